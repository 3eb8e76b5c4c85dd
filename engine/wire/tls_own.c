/* The own record path: TLS 1.3 after the handshake without OpenSSL's SSL object.
 *
 * Taking over. OpenSSL's key log hands out the two application traffic secrets in the handshake.
 * When that is done, OpenSSL has read exactly up to the server's Finished (it reads a header and
 * then its body, nothing ahead) and written exactly our Finished, so both directions begin here
 * with sequence 0. From then on OpenSSL writes nothing (tls_bio_write refuses) and no nonce can be
 * used twice.
 *
 * Session tickets need the resumption secret, which only OpenSSL has. So its object is kept as long
 * as only tickets came: such records are opened here, and then read by OpenSSL once more, whose
 * sequence is the same as ours because it has seen every record. The first record with anything
 * else in it, or TLS_TICKETS_KEPT tickets, and the object goes. Servers send tickets before data
 * (right after the handshake); later ones are not read.
 *
 * Plaintext goes straight to the caller's buffer; what is not authentic is wiped there before
 * anything is said about it. The refusals and alerts are those of RFC 8446 5 and 6, and of OpenSSL
 * where that leaves a choice. */
#include "wire/tls_priv.h"

#include "base/check.h"
#include "base/fetch.h"
#include "wire/tls_record.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

enum {
	ALERT_BYTES = 2,
	MESSAGE_HEAD_BYTES = 4,
	TICKET_BYTES_MIN = 14,     /* fields of 4.6.1, with a ticket of one byte */
	TICKET_BYTES_MAX = 131338, /* with all fields at their longest */
	EMPTY_RECORDS_MAX = 32,    /* in a row */
	CANCELS_MAX = 4,           /* alerts user_canceled without data between them */
};

/* Records under one key of AES-GCM, where 2^24.5 full ones are the bound (RFC 8446 5.5). Sending,
 * the key is changed then; receiving, the server is asked to, again and again. */
#define RECORDS_PER_KEY (UINT64_C(1) << 24)

static const struct tls_suite *suite_of(const struct tls_conn *c)
{
	return c->own->suite;
}

/* --- keys and life --------------------------------------------------------------------------- */

struct tls_own *tls_own_new(void)
{
	return calloc(1, sizeof(struct tls_own));
}

static void drop_carry(struct tls_own *o)
{
	free(o->carry);
	o->carry = NULL;
	o->head_have = 0;
}

static void drop_plain(struct tls_own *o)
{
	free(o->plain);
	o->plain = NULL;
}

void tls_own_free(struct tls_own **o)
{
	struct tls_own *x = *o;
	*o = NULL;
	if (!x)
		return;
	tls_opener_free(&x->opener);
	drop_carry(x);
	drop_plain(x);
	OPENSSL_cleanse(x, sizeof *x);
	free(x);
}

static uint8_t secret_bytes_of(const char *line, const char *label, uint8_t *secret)
{
	if (tls_secret_parse(line, label, secret, 32))
		return 32;
	return tls_secret_parse(line, label, secret, 48) ? 48 : 0;
}

/* OpenSSL's signature. The line is not kept, and OpenSSL wipes it. */
void tls_on_keylog(const SSL *ssl, const char *line)
{
	struct tls_conn *c = tls_conn_of(ssl);
	if (!c->own || c->own->suite)
		return;
	uint8_t n;
	if ((n = secret_bytes_of(line, "CLIENT_TRAFFIC_SECRET_0", c->own->send.secret)) > 0)
		c->own->send_secret_bytes = n;
	else if ((n = secret_bytes_of(line, "SERVER_TRAFFIC_SECRET_0", c->own->recv.secret)) > 0)
		c->own->recv_secret_bytes = n;
}

static struct tls_opener *make_opener(const struct tls_conn *c)
{
	return tls_opener_new(c->config->base->aead, suite_of(c), c->own->recv.key,
	        c->config->records == TLS_RECORDS_EVP);
}

bool tls_own_start(struct tls_conn *c, uint16_t suite_id)
{
	struct tls_own *o = c->own;
	o->suite = tls_suite_of(suite_id);
	o->records_per_key = o->suite->gcm ? RECORDS_PER_KEY : UINT64_MAX;
	if (!tls_keys_derive(&o->recv, o->suite) || !tls_keys_derive(&o->send, o->suite))
		return false;
	o->opener = make_opener(c);
	return o->opener != NULL;
}

/* All that was fed has been read. */
static void rest(struct tls_conn *c)
{
	struct tls_own *o = c->own;
	if (c->now_ns - o->fed_ns >= TLS_PAUSE_NS)
		o->feeds = 0;
	o->fed_ns = c->now_ns;
	if (o->feeds >= TLS_BUSY_FEEDS)
		return;
	o->feeds++;
	tls_opener_free(&o->opener);
}

err_t tls_own_take_over(struct tls_conn *c, struct errmsg *m)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(c->ssl);
	uint16_t id = cipher ? SSL_CIPHER_get_protocol_id(cipher) : 0;
	const struct tls_suite *suite = tls_suite_of(id);
	if (!c->own)
		return ERR_OK;
	if (SSL_version(c->ssl) != TLS1_3_VERSION || !suite || SSL_has_pending(c->ssl) ||
	        c->own->recv_secret_bytes != suite->secret_bytes ||
	        c->own->send_secret_bytes != suite->secret_bytes) {
		tls_own_free(&c->own); /* stays with OpenSSL */
		return ERR_OK;
	}
	if (tls_own_start(c, id))
		return ERR_OK;
	ERR_clear_error();
	return tls_fail(c, errmsg_set(m, ERR_NO_MEMORY, "TLS keys"), m);
}

size_t tls_own_bytes(const struct tls_own *o)
{
	return sizeof *o + (o->opener ? tls_opener_bytes(o->opener) : 0) +
	       (o->carry ? o->carry_need : 0) + (o->plain ? o->plain_end : 0);
}

void tls_own_fetch(const struct tls_own *o, unsigned step)
{
	if (step == 0)
		fetch(o, sizeof *o);
	else if (o->opener)
		tls_opener_fetch(o->opener, step - 1);
}

/* --- sending --------------------------------------------------------------------------------- */

static bool seal_to_output(
        struct tls_conn *c, struct tls_sealer *s, uint8_t type, const uint8_t *data, size_t n)
{
	uint8_t *out = (uint8_t *)tls_output_claim(c, n + TLS_SEAL_OVERHEAD);
	if (!out)
		return false; /* c->stop says why */
	if (!tls_sealer_seal(s, &c->own->send, type, data, n, out)) {
		c->stop = TLS_STOP_MEMORY;
		return false;
	}
	tls_output_commit(c, n + TLS_SEAL_OVERHEAD);
	return true;
}

static bool key_sealer(struct tls_conn *c, struct tls_sealer *s)
{
	tls_sealer_fini(s);
	if (tls_sealer_init(s, c->config->base->aead, suite_of(c), c->own->send.key))
		return true;
	c->stop = TLS_STOP_MEMORY;
	return false;
}

/* The key that follows is in force at once: nothing may be sent with the old one after it. */
static bool seal_key_update(struct tls_conn *c, struct tls_sealer *s, bool ask)
{
	const uint8_t message[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, ask};
	if (!seal_to_output(c, s, TLS_TYPE_HANDSHAKE, message, sizeof message))
		return false;
	if (tls_keys_next(&c->own->send, suite_of(c)))
		return true;
	c->stop = TLS_STOP_MEMORY;
	return false;
}

static bool send_record(struct tls_conn *c, uint8_t type, const uint8_t *data, size_t n)
{
	struct tls_sealer s = {0};
	bool ok = key_sealer(c, &s) && seal_to_output(c, &s, type, data, n);
	tls_sealer_fini(&s);
	return ok;
}

static bool send_key_update(struct tls_conn *c, bool ask)
{
	struct tls_sealer s = {0};
	bool ok = key_sealer(c, &s) && seal_key_update(c, &s, ask);
	tls_sealer_fini(&s);
	return ok;
}

static bool send_data(struct tls_conn *c, struct tls_sealer *s, const uint8_t *data, size_t n)
{
	bool ok = key_sealer(c, s);
	while (ok && n > 0) {
		size_t piece = n < TLS_PLAIN_BYTES_MAX ? n : TLS_PLAIN_BYTES_MAX;
		if (UNLIKELY(c->own->send.seq >= c->own->records_per_key))
			ok = seal_key_update(c, s, false) && key_sealer(c, s);
		ok = ok && seal_to_output(c, s, TLS_TYPE_DATA, data, piece);
		data += piece;
		n -= piece;
	}
	return ok;
}

/* --- failing --------------------------------------------------------------------------------- */

static err_t fail_stopped(struct tls_conn *c, struct errmsg *m)
{
	struct errmsg own;
	struct errmsg *to = m ? m : &own;
	return tls_fail(c, tls_explain(c, to), to);
}

/* The last that is sent. */
static void send_fatal(struct tls_conn *c, int alert)
{
	const uint8_t bytes[ALERT_BYTES] = {SSL3_AL_FATAL, (uint8_t)alert};
	(void)send_record(c, TLS_TYPE_ALERT, bytes, sizeof bytes); /* as far as there is room */
	ERR_clear_error();
}

/* The server broke the protocol: it is told so. */
static err_t refuse(struct tls_conn *c, int alert, const char *why, struct errmsg *m)
{
	struct errmsg own;
	struct errmsg *to = m ? m : &own;
	err_t e = errmsg_set(to, ERR_TLS_RECORD, "%s", why);
	send_fatal(c, alert);
	return tls_fail(c, e, to);
}

/* --- messages after the handshake (4.6) ------------------------------------------------------- */

static void drop_ssl(struct tls_conn *c)
{
	if (c->ssl) {
		tls_free_ssl(c);
		ERR_clear_error();
	}
}

/* Whole NewSessionTickets and nothing else. */
static bool is_tickets(const uint8_t *p, size_t n)
{
	while (n >= MESSAGE_HEAD_BYTES && p[0] == SSL3_MT_NEWSESSION_TICKET) {
		size_t size = MESSAGE_HEAD_BYTES + ((size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
		if (size > n)
			return false;
		p += size;
		n -= size;
	}
	return n == 0;
}

/* OpenSSL reads the record again and makes sessions of what is in it. */
static err_t read_tickets(struct tls_conn *c, struct span record, struct errmsg *m)
{
	struct span rest = c->in;
	char none;
	size_t got;
	ERR_clear_error();
	c->in = record;
	int r = SSL_read_ex(c->ssl, &none, 1, &got);
	bool ok = r != 1 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ && c->in.n == 0;
	c->in = rest;
	if (ok) {
		if (c->tickets >= TLS_TICKETS_KEPT)
			drop_ssl(c);
		return ERR_OK;
	}
	struct errmsg own;
	struct errmsg *to = m ? m : &own;
	err_t e = tls_explain(c, to);
	send_fatal(c, SSL_AD_DECODE_ERROR);
	return tls_fail(c, e, to);
}

static err_t on_key_update(struct tls_conn *c, uint8_t asked, bool last, struct errmsg *m)
{
	struct tls_own *o = c->own;
	if (!last) /* 5.1 */
		return refuse(
		        c, SSL_AD_UNEXPECTED_MESSAGE, "KeyUpdate not at the end of a record", m);
	if (asked > 1)
		return refuse(c, SSL_AD_ILLEGAL_PARAMETER, "KeyUpdate of an unknown kind", m);
	tls_count_control(c);
	if (c->stop != TLS_STOP_NONE)
		return fail_stopped(c, m);
	tls_opener_free(&o->opener);
	if (!tls_keys_next(&o->recv, o->suite) || !(o->opener = make_opener(c)))
		c->stop = TLS_STOP_MEMORY;
	else if (asked)
		(void)send_key_update(c, false);
	return c->stop == TLS_STOP_NONE ? ERR_OK : fail_stopped(c, m);
}

static err_t on_message_head(struct tls_conn *c, struct errmsg *m)
{
	struct tls_own *o = c->own;
	const uint8_t *h = o->message_head;
	o->message_left = (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
	if (h[0] != SSL3_MT_NEWSESSION_TICKET && h[0] != SSL3_MT_KEY_UPDATE)
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE,
		        "a message that has no place after the handshake", m);
	bool update = h[0] == SSL3_MT_KEY_UPDATE;
	if (o->message_left > (update ? 1 : TICKET_BYTES_MAX))
		return refuse(c, SSL_AD_ILLEGAL_PARAMETER, "a message that is too long", m);
	if (o->message_left < (update ? 1 : TICKET_BYTES_MIN))
		return refuse(c, SSL_AD_DECODE_ERROR, "a message that is too short", m);
	return ERR_OK;
}

/* Messages may go over several records; of tickets nothing is kept. */
static err_t read_messages(struct tls_conn *c, const uint8_t *p, size_t n, struct errmsg *m)
{
	struct tls_own *o = c->own;
	err_t e = ERR_OK;
	while (n > 0 && e == ERR_OK) {
		if (o->message_have < MESSAGE_HEAD_BYTES) {
			o->message_head[o->message_have++] = *p++;
			n--;
			if (o->message_have == MESSAGE_HEAD_BYTES)
				e = on_message_head(c, m);
			continue;
		}
		size_t piece = n < o->message_left ? n : o->message_left;
		uint8_t first = *p;
		p += piece;
		n -= piece;
		o->message_left -= (uint32_t)piece;
		if (o->message_left > 0)
			continue;
		o->message_have = 0;
		if (o->message_head[0] == SSL3_MT_KEY_UPDATE)
			e = on_key_update(c, first, n == 0, m);
	}
	return e;
}

static err_t on_handshake(
        struct tls_conn *c, struct span record, const uint8_t *p, size_t n, struct errmsg *m)
{
	if (c->ssl && c->own->message_have == 0 && is_tickets(p, n))
		return read_tickets(c, record, m);
	drop_ssl(c);
	return read_messages(c, p, n, m);
}

static err_t on_alert(struct tls_conn *c, const uint8_t *p, size_t n, struct errmsg *m)
{
	struct errmsg own;
	struct errmsg *to = m ? m : &own;
	if (n != ALERT_BYTES)
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE, "an alert that is not two bytes", m);
	if (p[1] == SSL_AD_USER_CANCELLED) {
		drop_ssl(c); /* it has not seen this record */
		if (++c->own->cancels <= CANCELS_MAX)
			return ERR_OK; /* a close_notify should follow (6.1) */
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE, "too many warning alerts", m);
	}
	if (p[1] != SSL_AD_CLOSE_NOTIFY)
		return tls_fail(c, tls_explain_alert(c, p[1], to), to);
	c->state = TLS_CLOSED_CLEAN;
	c->in = SPAN_NONE;
	drop_carry(c->own);
	return ERR_OK;
}

/* --- records --------------------------------------------------------------------------------- */

/* In the order of OpenSSL, so that the same alert comes. */
static err_t check_head(struct tls_conn *c, const uint8_t *h, uint32_t *bytes, struct errmsg *m)
{
	*bytes = TLS_HEAD_BYTES + ((uint32_t)h[3] << 8 | h[4]);
	if (LIKELY(h[0] == TLS_TYPE_DATA && h[1] == 3 && h[2] == 3 &&
	            *bytes <= TLS_HEAD_BYTES + TLS_CIPHER_BYTES_MAX))
		return ERR_OK;
	if (h[1] != 3)
		return refuse(c, SSL_AD_PROTOCOL_VERSION, "wrong version number", m);
	if (h[0] != TLS_TYPE_DATA)
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE, "a record that is not encrypted", m);
	if (h[2] != 3)
		return refuse(c, SSL_AD_DECODE_ERROR, "wrong version number", m);
	return refuse(c, SSL_AD_RECORD_OVERFLOW, "encrypted length too long", m);
}

static err_t begin_carry(struct tls_conn *c, const uint8_t *head, uint32_t need, struct errmsg *m)
{
	struct tls_own *o = c->own;
	o->carry = malloc(need);
	if (!o->carry) {
		c->stop = TLS_STOP_MEMORY;
		return fail_stopped(c, m);
	}
	memcpy(o->carry, head, TLS_HEAD_BYTES);
	o->carry_need = need;
	o->carry_have = TLS_HEAD_BYTES;
	o->head_have = 0;
	return ERR_OK;
}

/* Moves input to head. true: it is whole. */
static bool gather_head(struct tls_conn *c)
{
	struct tls_own *o = c->own;
	while (o->head_have < TLS_HEAD_BYTES && c->in.n > 0) {
		o->head[o->head_have++] = (uint8_t)*c->in.p++;
		c->in.n--;
	}
	return o->head_have == TLS_HEAD_BYTES;
}

/* The next whole record, in the slice or in the carry; empty if there is none. It is not consumed
 * yet. */
static err_t next_record(struct tls_conn *c, struct span *record, struct errmsg *m)
{
	struct tls_own *o = c->own;
	uint32_t bytes;
	err_t e = ERR_OK;
	*record = SPAN_NONE;
	if (!o->carry && o->head_have == 0 && c->in.n >= TLS_HEAD_BYTES) {
		const uint8_t *h = (const uint8_t *)c->in.p;
		if ((e = check_head(c, h, &bytes, m)) != ERR_OK)
			return e;
		if (LIKELY(bytes <= c->in.n)) {
			*record = (struct span){c->in.p, bytes};
			return ERR_OK;
		}
	}
	if (!o->carry) {
		if (!gather_head(c))
			return ERR_OK;
		e = check_head(c, o->head, &bytes, m);
		if (e == ERR_OK)
			e = begin_carry(c, o->head, bytes, m);
		if (e != ERR_OK)
			return e;
	}
	size_t n = o->carry_need - o->carry_have;
	if (n > c->in.n)
		n = c->in.n;
	if (n > 0)
		memcpy(o->carry + o->carry_have, c->in.p, n);
	o->carry_have += (uint32_t)n;
	c->in.p += n;
	c->in.n -= n;
	if (o->carry_have == o->carry_need)
		*record = (struct span){(char *)o->carry, o->carry_need};
	return ERR_OK;
}

static void consume(struct tls_conn *c, struct span record)
{
	if (c->own->carry) {
		drop_carry(c->own);
	} else if (c->in.n > 0) { /* not after close_notify */
		c->in.p += record.n;
		c->in.n -= record.n;
	}
}

/* Content and type, without the padding (5.4). */
static err_t unpad(struct tls_conn *c, const uint8_t *p, size_t *n, uint8_t *type, struct errmsg *m)
{
	struct tls_own *o = c->own;
	size_t end = *n;
	while (end > 0 && p[end - 1] == 0)
		end--;
	*type = end > 0 ? p[--end] : 0;
	*n = end;
	if (*type != TLS_TYPE_DATA && *type != TLS_TYPE_HANDSHAKE && *type != TLS_TYPE_ALERT)
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE, "a record of unknown type", m);
	if (end > TLS_PLAIN_BYTES_MAX)
		return refuse(c, SSL_AD_RECORD_OVERFLOW, "data length too long", m);
	if (end > 0) {
		o->empties = 0;
		if (*type != TLS_TYPE_ALERT)
			o->cancels = 0;
		return ERR_OK;
	}
	if (*type != TLS_TYPE_DATA)
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE, "an empty message", m);
	if (++o->empties > EMPTY_RECORDS_MAX)
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE, "too many empty records", m);
	return ERR_OK;
}

static err_t on_record(struct tls_conn *c, struct span record, uint8_t *plain, size_t *n,
        uint8_t *type, struct errmsg *m)
{
	struct tls_own *o = c->own;
	if (!o->opener && !(o->opener = make_opener(c))) {
		ERR_clear_error();
		c->stop = TLS_STOP_MEMORY;
		return fail_stopped(c, m);
	}
	if (!tls_opener_open(o->opener, &o->recv, (const uint8_t *)record.p, record.n, plain)) {
		ERR_clear_error();
		return refuse(c, SSL_AD_BAD_RECORD_MAC, "decryption failed or bad record mac", m);
	}
	if (UNLIKELY(o->recv.seq % o->records_per_key == 0) && !send_key_update(c, true))
		return fail_stopped(c, m);
	err_t e = unpad(c, plain, n, type, m);
	if (e != ERR_OK)
		return e;
	if (*type == TLS_TYPE_HANDSHAKE)
		return on_handshake(c, record, plain, *n, m);
	/* 5.1. Once the head of a message is there, an alert is heard as OpenSSL hears it: a server
	 * may end in the middle of its tickets. */
	bool alert = *type == TLS_TYPE_ALERT;
	if (o->message_have > 0 && (!alert || o->message_have < MESSAGE_HEAD_BYTES))
		return refuse(c, SSL_AD_UNEXPECTED_MESSAGE,
		        alert ? "an alert in the middle of a message"
		              : "data in the middle of a message",
		        m);
	if (alert)
		return on_alert(c, plain, *n, m);
	drop_ssl(c);
	return ERR_OK;
}

/* Opens into buf, or, if that is too small for what may be in it, into memory of its own. */
static err_t take_record(struct tls_conn *c, struct span record, uint8_t *buf, size_t room,
        size_t *got, struct errmsg *m)
{
	struct tls_own *o = c->own;
	uint8_t type = 0, *own = NULL;
	if (record.n <= TLS_HEAD_BYTES + TLS_TAG_BYTES)
		return refuse(c, SSL_AD_BAD_RECORD_MAC, "decryption failed or bad record mac", m);
	size_t n = record.n - TLS_HEAD_BYTES - TLS_TAG_BYTES;
	if (n > room && !(own = malloc(n))) {
		c->stop = TLS_STOP_MEMORY;
		return fail_stopped(c, m);
	}
	err_t e = on_record(c, record, own ? own : buf, &n, &type, m);
	consume(c, record);
	if (e != ERR_OK || type != TLS_TYPE_DATA)
		n = 0;
	if (!own) {
		*got = n;
	} else if (n > 0) {
		o->plain = own;
		o->plain_at = 0;
		o->plain_end = (uint32_t)n;
		own = NULL;
	}
	free(own);
	return e;
}

/* --- what tls.c calls ------------------------------------------------------------------------ */

static size_t give_plain(struct tls_own *o, char *buf, size_t room)
{
	size_t n = o->plain_end - o->plain_at;
	if (n > room)
		n = room;
	memcpy(buf, o->plain + o->plain_at, n);
	o->plain_at += (uint32_t)n;
	if (o->plain_at == o->plain_end)
		drop_plain(o);
	return n;
}

err_t tls_own_read(struct tls_conn *c, char *buf, size_t cap, size_t *n, struct errmsg *m)
{
	struct tls_own *o = c->own;
	struct span record;
	size_t total = 0;
	err_t e = ERR_OK;
	while (total < cap && c->state == TLS_OPEN) {
		if (o->plain) {
			total += give_plain(o, buf + total, cap - total);
			continue;
		}
		e = next_record(c, &record, m);
		if (e != ERR_OK || record.n == 0) {
			c->dry = true;
			break;
		}
		if (total > 0 && record.n - TLS_HEAD_BYTES > cap - total + TLS_TAG_BYTES)
			break; /* the next call has room */
		size_t got = 0;
		e = take_record(c, record, (uint8_t *)buf + total, cap - total, &got, m);
		if (e != ERR_OK)
			break;
		total += got;
	}
	if (c->in.n == 0 && !o->plain && !(o->carry && o->carry_have == o->carry_need))
		c->dry = true;
	if (c->dry)
		rest(c);
	*n = total;
	return total > 0 ? ERR_OK : e;
}

err_t tls_own_write(struct tls_conn *c, const char *data, size_t n, struct errmsg *m)
{
	struct tls_sealer s = {0};
	bool ok = send_data(c, &s, (const uint8_t *)data, n);
	tls_sealer_fini(&s);
	return ok ? ERR_OK : fail_stopped(c, m);
}
