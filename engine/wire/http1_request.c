/* The request writer of http1.h. Everything that goes onto the wire has been checked against the
 * class of bytes that may stand there; that, and not quoting, is what stops header injection. */
#include "wire/http1.h"

#include "base/check.h"
#include "wire/http1_head.h"

/* Counts on when the buffer is full, so that the caller learns the size. */
struct out {
	char *p;
	size_t cap, n;
};

static void put(struct out *o, struct span s)
{
	if (s.n > 0 && o->n <= o->cap && s.n <= o->cap - o->n)
		memcpy(o->p + o->n, s.p, s.n);
	o->n += s.n;
}

static void put_char(struct out *o, char c)
{
	put(o, (struct span){&c, 1});
}

static void put_field(struct out *o, struct span name, struct span value)
{
	put(o, name);
	put(o, SPAN(": "));
	put(o, value);
	put(o, SPAN("\r\n"));
}

/* RFC 4648 4, over the concatenation of user ":" password. */
static void put_base64(struct out *o, struct span user, struct span password)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = user.n + 1 + password.n;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = 0;
		for (size_t k = i; k < i + 3; k++) {
			char c = 0;
			if (k < user.n)
				c = user.p[k];
			else if (k == user.n)
				c = ':';
			else if (k < n)
				c = password.p[k - user.n - 1];
			v = v << 8 | (uint8_t)c;
		}
		put_char(o, digits[v >> 18]);
		put_char(o, digits[v >> 12 & 63]);
		put_char(o, i + 1 < n ? digits[v >> 6 & 63] : '=');
		put_char(o, i + 2 < n ? digits[v & 63] : '=');
	}
}

/* Keys of impersonation extras travel in a header name: what is no token, and '%', is
 * percent-encoded, and the server decodes it. */
static void put_extra_name(struct out *o, struct span key)
{
	static const char hex[] = "0123456789ABCDEF";
	put(o, SPAN("Impersonate-Extra-"));
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];
		if (c != '%' && http1_is_token((struct span){&c, 1})) {
			put_char(o, c);
		} else {
			put_char(o, '%');
			put_char(o, hex[(uint8_t)c >> 4]);
			put_char(o, hex[(uint8_t)c & 15]);
		}
	}
}

/* Printable ASCII without space: what may stand in a request target, a host, or a token. */
static bool is_graphic(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7F)
			return false;
	return true;
}

/* A value that is sent as it is; white space at its ends would not survive. */
static bool is_plain_value(struct span s)
{
	if (!http1_is_value(s))
		return false;
	return s.n == 0 ||
	       (s.p[0] != ' ' && s.p[0] != '\t' && s.p[s.n - 1] != ' ' && s.p[s.n - 1] != '\t');
}

static bool is_ours(struct span name)
{
	static const struct span ours[] = {{"host", 4}, {"content-length", 14},
	        {"transfer-encoding", 17}, {"authorization", 13}, {"accept-encoding", 15}};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (http1_name_is(name, ours[i]))
			return true;
	return false;
}

static err_t refuse(struct errmsg *m, const char *what)
{
	return errmsg_set(m, ERR_ARGUMENT, "%s holds a byte that may not stand in a request", what);
}

static err_t check_auth(const struct http1_request *r, struct errmsg *m)
{
	if (r->auth == HTTP1_AUTH_BEARER && (r->token.n == 0 || !is_graphic(r->token)))
		return refuse(m, "the bearer token is empty or");
	if (r->auth == HTTP1_AUTH_READY &&
	        (r->authorization.n == 0 || !is_plain_value(r->authorization)))
		return refuse(m, "the credential is empty or");
	if (r->auth == HTTP1_AUTH_BASIC) {
		if (!http1_is_value(r->user) || (r->user.n && memchr(r->user.p, ':', r->user.n)))
			return refuse(m, "the user name");
		if (!http1_is_value(r->password))
			return refuse(m, "the password");
	}
	if (!is_plain_value(r->as_user) || !is_plain_value(r->as_uid))
		return refuse(m, "the user to impersonate");
	for (size_t i = 0; i < r->as_group_count; i++)
		if (!is_plain_value(r->as_groups[i]))
			return refuse(m, "a group to impersonate");
	for (size_t i = 0; i < r->as_extra_count; i++)
		if (r->as_extra[i].name.n == 0 || !is_plain_value(r->as_extra[i].value))
			return refuse(m, "an extra to impersonate");
	bool more = r->as_uid.n || r->as_group_count || r->as_extra_count;
	if (more && r->as_user.n == 0)
		return errmsg_set(m, ERR_ARGUMENT, "impersonation without a user; set one");
	return ERR_OK;
}

static err_t check_request(const struct http1_request *r, struct errmsg *m)
{
	if (r->target.n == 0 || r->target.p[0] != '/' || !is_graphic(r->target) ||
	        memchr(r->target.p, '#', r->target.n))
		return refuse(m, "the path does not begin with / or");
	if (r->host.n == 0 || !is_graphic(r->host) || memchr(r->host.p, '/', r->host.n))
		return refuse(m, "the host is empty or");
	if (!is_plain_value(r->user_agent))
		return refuse(m, "the user agent");
	if (!is_plain_value(r->accept))
		return refuse(m, "the accept header");
	for (size_t i = 0; i < r->field_count; i++) {
		const struct http1_field *f = &r->fields[i];
		if (!http1_is_token(f->name) || is_ours(f->name))
			return errmsg_set(
			        m, ERR_ARGUMENT, "header %zu: its name cannot be used", i + 1);
		if (!is_plain_value(f->value))
			return refuse(m, "the value of an extra header");
	}
	return check_auth(r, m);
}

static void put_auth(struct out *o, const struct http1_request *r)
{
	if (r->auth == HTTP1_AUTH_BEARER) {
		put(o, SPAN("Authorization: Bearer "));
		put(o, r->token);
		put(o, SPAN("\r\n"));
	} else if (r->auth == HTTP1_AUTH_BASIC) {
		put(o, SPAN("Authorization: Basic "));
		put_base64(o, r->user, r->password);
		put(o, SPAN("\r\n"));
	} else if (r->auth == HTTP1_AUTH_READY) {
		put_field(o, SPAN("Authorization"), r->authorization);
	}
	if (r->as_user.n)
		put_field(o, SPAN("Impersonate-User"), r->as_user);
	if (r->as_uid.n)
		put_field(o, SPAN("Impersonate-Uid"), r->as_uid);
	for (size_t i = 0; i < r->as_group_count; i++)
		put_field(o, SPAN("Impersonate-Group"), r->as_groups[i]);
	for (size_t i = 0; i < r->as_extra_count; i++) {
		put_extra_name(o, r->as_extra[i].name);
		put_field(o, SPAN(""), r->as_extra[i].value);
	}
}

err_t http1_write_request(
        const struct http1_request *r, char *buf, size_t cap, size_t *n, struct errmsg *m)
{
	struct out o = {buf, cap, 0};
	*n = 0;
	err_t e = check_request(r, m);
	if (e != ERR_OK)
		return e;
	put(&o, r->head ? SPAN("HEAD ") : SPAN("GET "));
	put(&o, r->target);
	put(&o, SPAN(" HTTP/1.1\r\n"));
	put_field(&o, SPAN("Host"), r->host);
	if (r->user_agent.n)
		put_field(&o, SPAN("User-Agent"), r->user_agent);
	if (r->accept.n)
		put_field(&o, SPAN("Accept"), r->accept);
	put_field(&o, SPAN("Accept-Encoding"), r->gzip ? SPAN("gzip") : SPAN("identity"));
	put_auth(&o, r);
	for (size_t i = 0; i < r->field_count; i++)
		put_field(&o, r->fields[i].name, r->fields[i].value);
	put(&o, SPAN("\r\n"));
	*n = o.n;
	if (o.n > cap)
		return errmsg_set(
		        m, ERR_LIMIT, "request of %zu bytes; the buffer has %zu", o.n, cap);
	return ERR_OK;
}
