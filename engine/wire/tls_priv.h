/* tls_priv.h - what tls.c, tls_own.c, tls_config.c, tls_ticket.c and tls_error.c share. Private to
 * wire/tls*.c. */
#ifndef KR_WIRE_TLS_PRIV_H
#define KR_WIRE_TLS_PRIV_H

#include "wire/tls.h"
#include "wire/tls_record.h"

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
	struct tls_aead *aead;  /* of the own record path */
};

/* A session that may be resumed, as OpenSSL writes it down (ASN.1), but without the server's
 * certificate: 0.3 KiB instead of the 8 of an SSL_SESSION with its chain. Secret: wiped when it
 * goes. */
struct tls_ticket {
	uint32_t bytes;
	uint8_t der[];
};

struct tls_config {
	atomic_int refs;
	bool insecure;
	bool name_is_ip;
	enum tls_records records;
	int64_t expiry;
	struct tls_base *base;
	struct tls_roots *roots;
	X509 *leaf; /* client certificate, with its key and chain; NULL: none */
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
	_Atomic(struct tls_ticket *) tickets[TLS_TICKETS_KEPT]; /* newest first; each owned by its
	                                                           slot */
	char name[];                                            /* NUL-terminated */
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

/* A keyed opener takes 1 KiB, and less than a microsecond to make. Who gets something once a minute
 * does without: it is kept from the TLS_BUSY_FEEDS-th feed on, and goes after a pause. */
enum { TLS_BUSY_FEEDS = 8 };
#define TLS_PAUSE_NS (UINT64_C(10) * 1000000000)

/* The own record path of one connection. Until suite is set it only waits for the secrets. */
struct tls_own {
	const struct tls_suite *suite;
	struct tls_opener *opener; /* own; NULL: made with the next record */
	struct tls_keys recv, send;
	uint64_t records_per_key;
	uint8_t *carry; /* own: a record that is not whole yet */
	uint8_t *plain; /* own: plaintext that had no room in the caller's buffer */
	uint32_t carry_have, carry_need;
	uint32_t plain_at, plain_end;
	uint32_t message_left; /* of a message after the handshake */
	uint8_t message_head[4], message_have;
	uint8_t head[TLS_HEAD_BYTES], head_have;
	uint8_t send_secret_bytes, recv_secret_bytes;
	uint8_t empties; /* records in a row */
	uint8_t cancels; /* alerts in a row */
	uint8_t feeds;   /* without a long pause; counted up to TLS_BUSY_FEEDS */
	uint64_t fed_ns;
};

struct tls_conn {
	SSL *ssl;                  /* NULL: the own record path does without it */
	struct tls_own *own;       /* NULL: OpenSSL does it all */
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
	bool resumed;
	char first[8];       /* of what the server sent: tells plain HTTP from TLS */
	const char *version; /* once it is known */
};

/* tls.c: installed by tls_config.c */
int tls_bio_read(BIO *b, char *out, size_t n, size_t *got);
int tls_bio_write(BIO *b, const char *data, size_t n, size_t *put);
long tls_bio_ctrl(BIO *b, int cmd, long num, void *ptr);
int tls_on_new_session(SSL *ssl, SSL_SESSION *session);
/* tls.c: for tls_own.c */
/* Room for n bytes of output, which tls_output_commit() makes part of it. NULL: c->stop says why.
 */
char *tls_output_claim(struct tls_conn *c, size_t n);
void tls_output_commit(struct tls_conn *c, size_t n);
/* The connection is over; returns e. The text is kept: plaintext that came before may have to be
 * given out first. */
err_t tls_fail(struct tls_conn *c, err_t e, const struct errmsg *m);
/* A message that the server can make us answer for ever; too many set c->stop. */
void tls_count_control(struct tls_conn *c);
/* Frees the SSL object; its session can still be resumed if nothing was wrong. */
void tls_free_ssl(struct tls_conn *c);

/* tls_own.c */
struct tls_own *tls_own_new(void);
void tls_own_free(struct tls_own **o); /* wipes the keys */
void tls_on_keylog(const SSL *ssl, const char *line);
/* The handshake is done: takes over what OpenSSL would do from here, or frees c->own. */
err_t tls_own_take_over(struct tls_conn *c, struct errmsg *m) MUST_USE;
/* From the secrets in c->own, with sequence 0 both ways. false: no memory. */
bool tls_own_start(struct tls_conn *c, uint16_t suite_id);
err_t tls_own_read(struct tls_conn *c, char *buf, size_t cap, size_t *n, struct errmsg *m) MUST_USE;
err_t tls_own_write(struct tls_conn *c, const char *data, size_t n, struct errmsg *m) MUST_USE;
size_t tls_own_bytes(const struct tls_own *o);
void tls_own_fetch(const struct tls_own *o, unsigned step);

/* tls_config.c */
/* An SSL with everything that the config says, but without a BIO. NULL: the queue says why. */
SSL *tls_config_make_ssl(struct tls_config *c);

/* tls_ticket.c */
/* The newest kept session, or NULL. The caller owns it. */
SSL_SESSION *tls_config_take_ticket(struct tls_config *c);
/* Keeps what is needed of a session; it stays the caller's. Without memory nothing is kept. */
void tls_config_give_ticket(struct tls_config *c, const SSL_SESSION *session);
void tls_config_drop_tickets(struct tls_config *c);
/* der is a SEQUENCE: takes out of it what has that tag, and returns the bytes left; 0: it is no
 * such thing. */
size_t tls_der_cut(uint8_t *der, size_t n, uint8_t tag);

/* tls_error.c */
/* X509 verify callback: describes the first refusal in the connection's msg. */
int tls_on_verify(int ok, X509_STORE_CTX *x);
/* Code and text for the failure that an SSL call has just reported. Empties OpenSSL's queue. */
err_t tls_explain(const struct tls_conn *c, struct errmsg *m);
/* The same for an alert of the server. */
err_t tls_explain_alert(const struct tls_conn *c, int alert, struct errmsg *m);
/* ERR_NO_MEMORY if that is what the queue holds, else e. Text: what, and OpenSSL's reason. Empties
 * the queue. */
err_t tls_explain_config(err_t e, struct errmsg *m, const char *what);

static inline struct tls_conn *tls_conn_of(const SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}

#endif
