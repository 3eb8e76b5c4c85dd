#include "wire/tls_priv.h"

#include "base/check.h"
#include "base/fetch.h"

#include <openssl/err.h>
#include <stdlib.h>

/*  HANDSHAKING ──► OPEN ──► CLOSED_CLEAN
 *       └────────────┴─────► FAILED          */

enum {
	BLOCK_BYTES = 4096,   /* a request, or a flight without a long client chain */
	RECORD_OVERHEAD = 64, /* header, tag, nonce, and room for a KeyUpdate before it */
	RECORD_BYTES = 16 * 1024,
	READ_BUFFER_BYTES = 17 * 1024, /* OpenSSL's, while a record is incomplete */
};
#define CONTROL_WINDOW_NS (60ull * 1000 * 1000 * 1000)

static inline bool is_own(const struct tls_conn *c)
{
	return c->own && c->own->suite;
}

/* --- the BIO --------------------------------------------------------------------------------- */

int tls_bio_read(BIO *b, char *out, size_t n, size_t *got)
{
	struct tls_conn *c = BIO_get_data(b);
	BIO_clear_retry_flags(b);
	*got = 0;
	if (UNLIKELY(c->stop != TLS_STOP_NONE))
		return 0;
	if (c->in.n == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	if (n > c->in.n)
		n = c->in.n;
	if (UNLIKELY(c->state == TLS_HANDSHAKING)) {
		c->handshake_bytes += (uint32_t)n;
		if (c->handshake_bytes > TLS_HANDSHAKE_BYTES_MAX) {
			c->stop = TLS_STOP_HANDSHAKE_BYTES;
			return 0;
		}
	}
	memcpy(out, c->in.p, n);
	c->in.p += n;
	c->in.n -= n;
	*got = n;
	return 1;
}

static struct tls_block *block_with_room(struct tls_conn *c, size_t n)
{
	struct tls_block *b = c->out_tail;
	if (b && b->cap - b->len >= n)
		return b;
	size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
	b = malloc(sizeof *b + cap);
	if (!b)
		return NULL;
	*b = (struct tls_block){.cap = (uint32_t)cap};
	if (c->out_tail)
		c->out_tail->next = b;
	else
		c->out_head = b;
	c->out_tail = b;
	return b;
}

char *tls_output_claim(struct tls_conn *c, size_t n)
{
	if (n > TLS_OUTPUT_BYTES_MAX - c->out_bytes) {
		c->stop = TLS_STOP_OUTPUT;
		return NULL;
	}
	struct tls_block *block = block_with_room(c, n);
	if (!block) {
		c->stop = TLS_STOP_MEMORY;
		return NULL;
	}
	return block->bytes + block->len;
}

void tls_output_commit(struct tls_conn *c, size_t n)
{
	c->out_tail->len += (uint32_t)n;
	c->out_bytes += (uint32_t)n;
}

int tls_bio_write(BIO *b, const char *data, size_t n, size_t *put)
{
	struct tls_conn *c = BIO_get_data(b);
	BIO_clear_retry_flags(b);
	*put = 0;
	if (is_own(c))
		return 0; /* its keys are in other hands: not one byte */
	char *out = tls_output_claim(c, n);
	if (!out)
		return 0;
	memcpy(out, data, n);
	tls_output_commit(c, n);
	*put = n;
	return 1;
}

long tls_bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

/* --- failing --------------------------------------------------------------------------------- */

err_t tls_fail(struct tls_conn *c, err_t e, const struct errmsg *m)
{
	c->err = e;
	c->state = TLS_FAILED;
	c->in = SPAN_NONE;
	if (m && !c->why) {
		c->why = malloc(sizeof *c->why);
		if (c->why)
			*c->why = *m;
	}
	return e;
}

static err_t fail_ssl(struct tls_conn *c, struct errmsg *m)
{
	struct errmsg own;
	struct errmsg *to = m ? m : &own;
	return tls_fail(c, tls_explain(c, to), to);
}

static err_t failed_before(const struct tls_conn *c, struct errmsg *m)
{
	if (m && c->why)
		*m = *c->why;
	else
		errmsg_set(m, c->err, "TLS connection");
	return c->err;
}

/* --- after the handshake --------------------------------------------------------------------- */

/* OpenSSL's signature. Sees every message; counts what a server can make us answer for ever. */
static void on_message(
        int sent, int version, int type, const void *bytes, size_t n, SSL *ssl, void *arg)
{
	(void)version;
	(void)arg;
	if (LIKELY(type != SSL3_RT_HANDSHAKE) || sent || n == 0)
		return;
	unsigned char message = *(const unsigned char *)bytes;
	if (message != SSL3_MT_KEY_UPDATE && message != SSL3_MT_HELLO_REQUEST)
		return;
	tls_count_control(tls_conn_of(ssl));
}

void tls_count_control(struct tls_conn *c)
{
	if (c->control == 0 || c->now_ns - c->window_ns >= CONTROL_WINDOW_NS) {
		c->window_ns = c->now_ns;
		c->control = 0;
	}
	if (++c->control > TLS_CONTROL_PER_MIN)
		c->stop = TLS_STOP_CONTROL;
}

int tls_on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_conn *c = tls_conn_of(ssl);
	if (c->tickets >= TLS_TICKETS_KEPT)
		return 0;
	c->tickets++;
	tls_config_give_ticket(c->config, session);
	return 0; /* we keep a copy, no reference */
}

/* A session of TLS 1.2 may be used again; one of 1.3 brings its successors itself. */
static void keep_session(struct tls_conn *c)
{
	if (SSL_version(c->ssl) < TLS1_3_VERSION && SSL_session_reused(c->ssl))
		tls_config_give_ticket(c->config, SSL_get0_session(c->ssl));
}

static err_t on_open(struct tls_conn *c, struct errmsg *m)
{
	const unsigned char *chosen;
	unsigned n;
	ERR_clear_error();
	SSL_get0_alpn_selected(
	        c->ssl, &chosen, &n); /* newer releases of OpenSSL check it themselves */
	if (n > 0 && !(n == 8 && memcmp(chosen, "http/1.1", 8) == 0)) {
		c->stop = TLS_STOP_ALPN;
		return fail_ssl(c, m);
	}
	keep_session(c);
	SSL_set_msg_callback(c->ssl, on_message);
	c->version = SSL_get_version(c->ssl); /* static text */
	c->resumed = SSL_session_reused(c->ssl);
	c->state = TLS_OPEN;
	return tls_own_take_over(c, m);
}

static err_t drive_handshake(struct tls_conn *c, struct errmsg *m)
{
	struct errmsg own;
	ERR_clear_error();
	c->msg = m ? m : &own;
	int r = SSL_do_handshake(c->ssl);
	int why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, r);
	err_t e = ERR_OK;
	if (r == 1)
		e = on_open(c, c->msg);
	else if (why != SSL_ERROR_WANT_READ || c->stop != TLS_STOP_NONE)
		e = fail_ssl(c, c->msg);
	c->msg = NULL;
	CHECK(c->state != TLS_HANDSHAKING || c->in.n == 0);
	return e;
}

/* --- life ------------------------------------------------------------------------------------ */

static bool make_ssl(struct tls_conn *c, int64_t wall_s)
{
	BIO *b = BIO_new(c->config->base->bio_method);
	c->ssl = tls_config_make_ssl(c->config);
	if (!b || !c->ssl) {
		BIO_free(b);
		return false;
	}
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	SSL_set_bio(c->ssl, b, b);
	SSL_set_connect_state(c->ssl);
	if (wall_s > 0)
		X509_VERIFY_PARAM_set_time(SSL_get0_param(c->ssl), (time_t)wall_s);
	SSL_SESSION *session = tls_config_take_ticket(c->config);
	if (session) {
		SSL_set_session(c->ssl, session); /* without it: a full handshake */
		SSL_SESSION_free(session);
	}
	return true;
}

err_t tls_conn_new(
        struct tls_conn **out, struct tls_config *config, int64_t wall_s, struct errmsg *m)
{
	*out = NULL;
	ERR_clear_error();
	struct tls_conn *c = calloc(1, sizeof *c);
	if (!c)
		return errmsg_set(m, ERR_NO_MEMORY, "TLS connection");
	c->config = tls_config_get(config);
	c->own = config->records != TLS_RECORDS_OPENSSL ? tls_own_new() : NULL;
	err_t e;
	if ((!c->own && config->records != TLS_RECORDS_OPENSSL) || !make_ssl(c, wall_s))
		e = tls_explain_config(ERR_NO_MEMORY, m, "TLS connection");
	else
		e = drive_handshake(c, m);
	if (e != ERR_OK)
		tls_conn_free(&c);
	*out = c;
	return e;
}

/* OpenSSL would mark the session as spoilt for want of our close_notify; TLS 1.1 and later allow to
 * resume it (RFC 5246 7.2.1), and after a cut is when we want to. */
void tls_free_ssl(struct tls_conn *c)
{
	if (c->ssl && (c->err == ERR_OK || c->err == ERR_TLS_TRUNCATED))
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	c->ssl = NULL;
}

void tls_conn_free(struct tls_conn **c)
{
	struct tls_conn *x = *c;
	*c = NULL;
	if (!x)
		return;
	tls_free_ssl(x);
	tls_own_free(&x->own);
	ERR_clear_error();
	for (struct tls_block *b = x->out_head, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(x->why);
	tls_config_put(&x->config);
	free(x);
}

/* --- bytes ----------------------------------------------------------------------------------- */

err_t tls_feed(struct tls_conn *c, const char *data, size_t n, uint64_t now_ns, struct errmsg *m)
{
	CHECK(c->in.n == 0);
	c->now_ns = now_ns;
	if (c->state == TLS_FAILED)
		return failed_before(c, m);
	if (c->state == TLS_CLOSED_CLEAN || n == 0)
		return ERR_OK; /* what follows close_notify is ignored (RFC 8446 6.1) */
	c->in = (struct span){data, n};
	c->dry = false;
	if (c->state == TLS_OPEN)
		return ERR_OK;
	for (size_t i = 0; i < n && c->first_bytes < sizeof c->first; i++)
		c->first[c->first_bytes++] = data[i];
	return drive_handshake(c, m);
}

/* The slice is exactly one record, as far as can be seen. Wrong when OpenSSL already has the first
 * bytes of a record; then only time is lost. */
static inline bool is_last_record(const struct span *in)
{
	return in->n > 5 && (size_t)((uint8_t)in->p[3] << 8 | (uint8_t)in->p[4]) == in->n - 5;
}

/* With more records at hand OpenSSL's buffer is kept from one to the next; the last one, or else
 * the read that finds no input, lets it go. */
static inline void keep_buffers(struct tls_conn *c, bool keep)
{
	if (keep == c->keep_buffers)
		return;
	c->keep_buffers = keep;
	if (keep)
		SSL_clear_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
	else
		SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
}

static err_t on_read_stop(struct tls_conn *c, struct errmsg *m)
{
	int why = SSL_get_error(c->ssl, 0);
	if (why == SSL_ERROR_WANT_READ && c->stop == TLS_STOP_NONE) {
		CHECK(c->in.n == 0);
		c->dry = true;
		return ERR_OK;
	}
	if (why == SSL_ERROR_ZERO_RETURN) {
		c->state = TLS_CLOSED_CLEAN;
		c->in = SPAN_NONE;
		return ERR_OK;
	}
	return fail_ssl(c, m);
}

err_t tls_read(struct tls_conn *c, char *buf, size_t cap, size_t *n, struct errmsg *m)
{
	size_t total = 0, got;
	err_t e = ERR_OK;
	*n = 0;
	if (c->state == TLS_FAILED)
		return failed_before(c, m);
	if (c->state != TLS_OPEN || c->dry)
		return ERR_OK;
	if (is_own(c))
		return tls_own_read(c, buf, cap, n, m);
	if (UNLIKELY(ERR_peek_error() != 0)) /* clearing an empty queue is dear */
		ERR_clear_error();
	while (total < cap) {
		keep_buffers(c, c->in.n > 0 && !is_last_record(&c->in));
		if (SSL_read_ex(c->ssl, buf + total, cap - total, &got) != 1) {
			e = on_read_stop(c, m);
			break;
		}
		total += got;
		if (c->in.n == 0 && !c->keep_buffers && !SSL_has_pending(c->ssl)) {
			c->dry = true; /* and nothing held: no need to ask again */
			break;
		}
	}
	*n = total;
	return total > 0 ? ERR_OK : e;
}

err_t tls_write(struct tls_conn *c, const char *data, size_t n, struct errmsg *m)
{
	if (c->state == TLS_FAILED)
		return failed_before(c, m);
	if (c->state == TLS_CLOSED_CLEAN)
		return errmsg_set(m, ERR_CONN_CLOSED, "nothing can be sent after close_notify");
	CHECK(c->state == TLS_OPEN);
	if (n == 0)
		return ERR_OK;
	size_t room = TLS_OUTPUT_BYTES_MAX - c->out_bytes;
	if (n > room || (n / RECORD_BYTES + 1) * RECORD_OVERHEAD > room - n)
		return errmsg_set(m, ERR_LIMIT, "%u bytes wait to be sent already", c->out_bytes);
	if (is_own(c))
		return tls_own_write(c, data, n, m);
	size_t put;
	ERR_clear_error();
	keep_buffers(c, false);
	if (SSL_write_ex(c->ssl, data, n, &put) != 1)
		return fail_ssl(c, m);
	CHECK(put == n);
	return ERR_OK;
}

err_t tls_eof(struct tls_conn *c, struct errmsg *m)
{
	struct errmsg own;
	struct errmsg *to = m ? m : &own;
	if (c->state == TLS_CLOSED_CLEAN)
		return ERR_OK;
	if (c->state == TLS_FAILED)
		return failed_before(c, m);
	const char *text = "the server ended the connection, or something on the way did";
	if (c->state == TLS_HANDSHAKING)
		text = c->first_bytes ? "the server ended the connection in the handshake"
		                      : "the server ended the connection without an answer; is "
		                        "this a TLS port?";
	return tls_fail(c, errmsg_set(to, ERR_TLS_TRUNCATED, "%s", text), to);
}

struct span tls_take_output(const struct tls_conn *c)
{
	const struct tls_block *b = c->out_head;
	return b ? (struct span){b->bytes + b->sent, b->len - b->sent} : SPAN_NONE;
}

void tls_output_done(struct tls_conn *c, size_t n)
{
	struct tls_block *b = c->out_head;
	if (n == 0)
		return;
	CHECK(b && n <= b->len - b->sent);
	b->sent += (uint32_t)n;
	c->out_bytes -= (uint32_t)n;
	if (b->sent < b->len)
		return;
	c->out_head = b->next;
	if (!c->out_head)
		c->out_tail = NULL;
	free(b);
}

enum tls_state tls_state(const struct tls_conn *c)
{
	return c->state;
}

void tls_fetch(const struct tls_conn *c, unsigned step)
{
	if (step == 0)
		fetch(c, sizeof *c);
	else if (c->own)
		tls_own_fetch(c->own, step - 1);
}

size_t tls_bytes(const struct tls_conn *c)
{
	size_t n = sizeof *c + (c->why ? sizeof *c->why : 0);
	if (c->own)
		n += tls_own_bytes(c->own);
	if (c->ssl)
		n += TLS_CONN_BYTES + (size_t)(SSL_has_pending(c->ssl) ? READ_BUFFER_BYTES : 0);
	for (const struct tls_block *b = c->out_head; b; b = b->next)
		n += sizeof *b + b->cap;
	return n;
}

bool tls_resumed(const struct tls_conn *c)
{
	return c->resumed;
}
const char *tls_version(const struct tls_conn *c)
{
	return c->version ? c->version : SSL_get_version(c->ssl);
}
