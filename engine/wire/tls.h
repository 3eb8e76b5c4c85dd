/* tls.h - the client half of TLS 1.2 and 1.3 on memory: OpenSSL without a socket, and in TLS 1.3
 * after the handshake without OpenSSL's records (tls_own.c).
 *
 * A tls_config is what one cluster and one user need: trust, client certificate, the server's name,
 * and the last session tickets. The control thread makes it once; many connections share it. A
 * tls_conn is one connection. Received bytes go in with tls_feed(), bytes to send come out with
 * tls_take_output(), plaintext goes through tls_write() and tls_read().
 *
 * The BIO under OpenSSL reads straight from the slice that was fed, five bytes of record header
 * and then exactly the record: no memory BIO in between. Only the head of a record whose rest has
 * not come yet stays, inside OpenSSL's own buffer. tls_read() decrypts as many records as fit in
 * the caller's buffer. Buffers are kept while a slice has bytes and given back when it is dry, so
 * there is one allocation per feed, not one per record, and none while idle.
 *
 * Refused: TLS below 1.2, renegotiation, compression, names only in the CN, RSA below 2048 bits,
 * SHA-1 signatures, ALPN other than http/1.1. Nothing of the application is sent before the
 * server's certificate has been accepted.
 *
 * A close_notify of ours is never sent, though RFC 8446 6.1 wants one: it keeps the server from
 * taking half a request for a whole one, and our requests are GETs whose end is in their heads. It
 * would cost each connection a last send, and a wait for it. kube-apiserver takes the end between
 * two records for an end.
 *
 * OpenSSL itself asks the kernel for random bytes; wall time comes in.
 */
#ifndef KR_WIRE_TLS_H
#define KR_WIRE_TLS_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_HANDSHAKE_BYTES_MAX (256 * 1024) /* received before the handshake is done */
#define TLS_CERT_BYTES_MAX      (100 * 1024) /* certificate message of the server */
#define TLS_CHAIN_DEPTH_MAX     8            /* CA certificates between server and trust anchor */
#define TLS_OUTPUT_BYTES_MAX    (512 * 1024) /* waiting to be sent */
#define TLS_CONTROL_PER_MIN     16           /* KeyUpdate and HelloRequest from the server */
#define TLS_TICKETS_KEPT        2            /* per config */
#define TLS_CONN_BYTES          (16 * 1024)  /* held by OpenSSL for an idle connection, measured */
#define TLS_CONN_OWN_BYTES      (2 * 1024)   /* the same on the own record path */

/* From now on OpenSSL wipes all memory that it gives back: what it frees still has keys in it.
 * Once, in main, before anything else of this room and of OpenSSL; false: too late. */
bool tls_wipe_freed(void) MUST_USE;

/* Trust anchors. Owner: whoever made it, and each config that uses it (counted). Any thread. */
struct tls_roots;
/* What one server needs. Owner: counted. Thread: made in the control thread, then shared by any;
 * only the tickets in it change, by atomic exchange. */
struct tls_config;
/* One connection. Owner: the connection. Thread: its reactor. */
struct tls_conn;

/* PEM certificates, all of them trusted as they are (also an intermediate or the server's own, as
 * Go does it). ERR_TLS_CONFIG names the broken block. Any thread. */
err_t tls_roots_new(struct tls_roots **out, struct span pem, struct errmsg *m) MUST_USE;
/* The bundle of the operating system ($SSL_CERT_FILE first). Reads a file: control thread only.
 * Make it once and share it: it holds about 1 MiB. */
err_t tls_roots_new_system(struct tls_roots **out, struct errmsg *m) MUST_USE;
struct tls_roots *tls_roots_get(struct tls_roots *r);
void tls_roots_put(struct tls_roots **r); /* drops one reference, nulls the pointer; NULL is fine */
int tls_roots_count(const struct tls_roots *r);

/* Who opens and seals the records of TLS 1.3 once the handshake is done. TLS 1.2 is OpenSSL's. */
enum tls_records {
	TLS_RECORDS_OWN,     /* libipsec-mb where there is one, else OpenSSL's ciphers (EVP) */
	TLS_RECORDS_EVP,     /* the same without libipsec-mb */
	TLS_RECORDS_OPENSSL, /* OpenSSL's SSL object for as long as the connection lives */
};

struct tls_spec {
	struct tls_roots *roots; /* shared(counted); NULL only with insecure */
	struct span cert_pem;    /* client certificate, then its chain; may be empty */
	struct span key_pem;     /* its key, not encrypted */
	struct span server_name; /* host name or IP address to verify; a name is also sent as SNI */
	bool insecure;           /* verify nothing: insecure-skip-tls-verify */
	struct tls_config *share; /* any config that is there: shares what OpenSSL needs for itself
	                           * (15 KiB and 1 ms); no secret, no session. NULL: made anew */
	enum tls_records records;
};

/* ERR_TLS_CONFIG with what is wrong in which field; ERR_NO_MEMORY. The bytes of spec are not kept.
 */
err_t tls_config_new(
        struct tls_config **out, const struct tls_spec *spec, struct errmsg *m) MUST_USE;
struct tls_config *tls_config_get(struct tls_config *c);
void tls_config_put(struct tls_config **c);
/* notAfter of the client certificate in Unix seconds; INT64_MAX without one. */
int64_t tls_config_expiry(const struct tls_config *c);

enum tls_state {
	TLS_HANDSHAKING,
	TLS_OPEN,
	TLS_CLOSED_CLEAN, /* the server sent close_notify; no more plaintext comes */
	TLS_FAILED,       /* sticky; the output may hold an alert worth sending */
};

/* A connection with its ClientHello already in the output. wall_s: Unix seconds that certificates
 * are checked against. Takes a reference on config. */
err_t tls_conn_new(struct tls_conn **out, struct tls_config *config, int64_t wall_s,
        struct errmsg *m) MUST_USE;
void tls_conn_free(struct tls_conn **c);

/* Received bytes. Drives the handshake as far as they go. The slice is borrowed until tls_read()
 * has said that there is no more (or the state is not TLS_OPEN): drain before the buffer goes, and
 * before the next feed (CHECK). now_ns: monotonic, for rates only. Look at the state and the output
 * afterwards. */
err_t tls_feed(
        struct tls_conn *c, const char *data, size_t n, uint64_t now_ns, struct errmsg *m) MUST_USE;
/* Decrypts into buf. ERR_OK with *n > 0: call again; ERR_OK with *n == 0: no more until the next
 * feed (or the state is TLS_CLOSED_CLEAN). Plaintext that came before an error is given out first.
 * buf should have 16 KiB or more, 64 KiB is best. During the handshake: ERR_OK and 0. */
err_t tls_read(struct tls_conn *c, char *buf, size_t cap, size_t *n, struct errmsg *m) MUST_USE;
/* Encrypts all of data (a request, a WebSocket frame) into the output. Only when TLS_OPEN;
 * ERR_CONN_CLOSED after close_notify; ERR_LIMIT when the output is full, and then nothing was
 * taken. */
err_t tls_write(struct tls_conn *c, const char *data, size_t n, struct errmsg *m) MUST_USE;
/* The transport ended. ERR_OK after close_notify, else ERR_TLS_TRUNCATED (also in the handshake).
 */
err_t tls_eof(struct tls_conn *c, struct errmsg *m) MUST_USE;

/* The oldest bytes to send; empty if there are none. They do not move or change until
 * tls_output_done(), whatever is called in between: a send may be in flight. */
struct span tls_take_output(const struct tls_conn *c);
/* The first n bytes of what tls_take_output() gave have been sent. */
void tls_output_done(struct tls_conn *c, size_t n);

/* Hints to the cache: what reading the next record needs, one pointer further with each step, 0 to
 * TLS_FETCH_STEPS - 1. A step reads what the one before it has asked for. */
enum { TLS_FETCH_STEPS = 4 };
void tls_fetch(const struct tls_conn *c, unsigned step);

enum tls_state tls_state(const struct tls_conn *c);
/* Memory held now, the share of OpenSSL's object estimated by TLS_CONN_BYTES. */
size_t tls_bytes(const struct tls_conn *c);
bool tls_resumed(const struct tls_conn *c);
/* "TLSv1.3"; static text. */
const char *tls_version(const struct tls_conn *c);

#endif
