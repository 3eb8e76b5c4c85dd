/* tls_priv.h - what tls.c, tls_config.c and tls_error.c share. Private to wire/tls*.c. */
#ifndef KR_WIRE_TLS_PRIV_H
#define KR_WIRE_TLS_PRIV_H

#include "wire/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

#define TLS_NAME_BYTES_MAX 253 /* RFC 1035 2.3.4, as text */

struct tls_roots {
	atomic_int refs;
	int count;
	X509_STORE *store; /* own(counted by OpenSSL too) */
};

/* What of OpenSSL does not depend on a cluster, shared by all configs that were made to share it.
 */
struct tls_base {
	atomic_int refs;
	SSL_CTX *ctx;
	BIO_METHOD *bio_method; /* of the BIOs of all connections */
};

struct tls_config {
	atomic_int refs;
	bool insecure;
	bool name_is_ip;
	int64_t expiry;
	struct tls_base *base;
	struct tls_roots *roots;
	X509 *leaf; /* client certificate, with its key and chain; NULL: none */
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
	_Atomic(SSL_SESSION *) tickets[TLS_TICKETS_KEPT]; /* newest first; each owned by its slot */
	char name[TLS_NAME_BYTES_MAX + 1];
};

/* One allocation of output. Bytes [sent, len) wait; more may be added behind len, but nothing
 * moves. */
struct tls_block {
	struct tls_block *next;
	uint32_t sent, len, cap;
	char bytes[];
};

/* Why the BIO refused to go on: OpenSSL only learns that it did. */
enum tls_stop {
	TLS_STOP_NONE,
	TLS_STOP_HANDSHAKE_BYTES,
	TLS_STOP_CONTROL,
	TLS_STOP_OUTPUT,
	TLS_STOP_MEMORY,
	TLS_STOP_ALPN,
};

struct tls_conn {
	SSL *ssl;
	struct tls_config *config; /* shared(counted) */
	struct span in;            /* borrow(until drained): what OpenSSL has not read yet */
	struct tls_block *out_head, *out_tail;
	struct errmsg *msg; /* borrow(of the current call): for the verify callback */
	struct errmsg *why; /* own: text of the failure, once there is one */
	uint64_t now_ns, window_ns;
	uint32_t out_bytes, handshake_bytes;
	err_t err;
	err_t verify_err;
	enum tls_state state;
	enum tls_stop stop;
	uint8_t control; /* KeyUpdate and HelloRequest in the window */
	uint8_t tickets;
	uint8_t first_bytes;
	bool dry;          /* OpenSSL has said that it needs more input */
	bool keep_buffers; /* SSL_MODE_RELEASE_BUFFERS is off */
	char first[8];     /* of what the server sent: tells plain HTTP from TLS */
};

/* tls.c: installed by tls_config.c */
int tls_bio_read(BIO *b, char *out, size_t n, size_t *got);
int tls_bio_write(BIO *b, const char *data, size_t n, size_t *put);
long tls_bio_ctrl(BIO *b, int cmd, long num, void *ptr);
int tls_on_new_session(SSL *ssl, SSL_SESSION *session);

/* tls_config.c */
/* An SSL with everything that the config says, but without a BIO. NULL: the queue says why. */
SSL *tls_config_make_ssl(struct tls_config *c);
/* The newest kept session, or NULL. The caller owns it. */
SSL_SESSION *tls_config_take_ticket(struct tls_config *c);
/* Takes over one reference. */
void tls_config_give_ticket(struct tls_config *c, SSL_SESSION *session);

/* tls_error.c */
/* X509 verify callback: describes the first refusal in the connection's msg. */
int tls_on_verify(int ok, X509_STORE_CTX *x);
/* Code and text for the failure that an SSL call has just reported. Empties OpenSSL's queue. */
err_t tls_explain(const struct tls_conn *c, struct errmsg *m);
/* ERR_NO_MEMORY if that is what the queue holds, else e. Text: what, and OpenSSL's reason. Empties
 * the queue. */
err_t tls_explain_config(err_t e, struct errmsg *m, const char *what);

static inline struct tls_conn *tls_conn_of(const SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}

#endif
