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

static void put_field(struct out *o, struct span name, struct span value)
{
	put(o, name);
	put(o, SPAN(": "));
	put(o, value);
	put(o, SPAN("\r\n"));
}

/* Printable ASCII without space: what may stand in a request target or a host. */
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
	if (!is_plain_value(r->authorization))
		return refuse(m, "the credential");
	for (size_t i = 0; i < r->field_count; i++) {
		const struct http1_field *f = &r->fields[i];
		if (!http1_is_token(f->name) || is_ours(f->name))
			return errmsg_set(
			        m, ERR_ARGUMENT, "header %zu: its name cannot be used", i + 1);
		if (!is_plain_value(f->value))
			return refuse(m, "the value of an extra header");
	}
	return ERR_OK;
}

err_t http1_write_request(
        const struct http1_request *r, char *buf, size_t cap, size_t *n, struct errmsg *m)
{
	struct out o = {buf, cap, 0};
	*n = 0;
	err_t e = check_request(r, m);
	if (e != ERR_OK)
		return e;
	put(&o, SPAN("GET "));
	put(&o, r->target);
	put(&o, SPAN(" HTTP/1.1\r\n"));
	put_field(&o, SPAN("Host"), r->host);
	if (r->user_agent.n)
		put_field(&o, SPAN("User-Agent"), r->user_agent);
	if (r->accept.n)
		put_field(&o, SPAN("Accept"), r->accept);
	put_field(&o, SPAN("Accept-Encoding"), r->gzip ? SPAN("gzip") : SPAN("identity"));
	if (r->authorization.n)
		put_field(&o, SPAN("Authorization"), r->authorization);
	for (size_t i = 0; i < r->field_count; i++)
		put_field(&o, r->fields[i].name, r->fields[i].value);
	put(&o, SPAN("\r\n"));
	*n = o.n;
	if (o.n > cap)
		return errmsg_set(
		        m, ERR_LIMIT, "request of %zu bytes; the buffer has %zu", o.n, cap);
	return ERR_OK;
}
