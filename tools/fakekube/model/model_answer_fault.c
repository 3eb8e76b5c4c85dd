/* Faults that stand in for the whole answer. Those that change an ordinary answer are where it is
 * made (model_get.c, model_watch.c). */
#include "model/model_conn_priv.h"

#include "base/check.h"

#include <stdlib.h>

static void status(struct model_conn *c, unsigned code, const char *reason, const char *message)
{
	struct model_status s = {.code = code, .reason = reason, .message = span_of(message)};
	model_reply_status(c, &s, code == 406);
}

static void too_many(struct model_conn *c, const struct model_hit *h)
{
	struct model_text t = {0};
	enum { FORM_SECONDS, FORM_DATE, FORM_NONE, FORM_NEGATIVE };
	if (h->b == FORM_DATE) {
		TEXT_LIT(&t, "Retry-After: ");
		model_text_http_date(&t, model_conn_wall_s(c) + (int64_t)h->a);
		TEXT_LIT(&t, "\r\n");
	} else if (h->b != FORM_NONE) {
		model_text_printf(&t, "Retry-After: %s%llu\r\n", h->b == FORM_NEGATIVE ? "-" : "",
		        (unsigned long long)h->a);
	}
	TEXT_LIT(&t, "X-Content-Type-Options: nosniff\r\n");
	TEXT_LIT(&t, "\0");
	struct model_head head = {.code = 429, .type = "text/plain; charset=utf-8", .after = t.p};
	model_reply_whole(c, &head, SPAN("Too many requests, please try again later.\n"));
	model_text_fini(&t);
}

static void server_error(struct model_conn *c, unsigned code)
{
	struct model_head h = {.code = code, .type = "text/plain; charset=utf-8"};
	if (code == 503 || code == 504)
		model_reply_whole(c, &h,
		        code == 503 ? SPAN("no healthy upstream")
		                    : SPAN("upstream request timeout"));
	else if (code == 502)
		model_reply_whole(c, &h, SPAN_NONE);
	else
		status(c, code, "InternalError",
		        "Internal error occurred: the model was told to fail");
}

static void redirect(struct model_conn *c)
{
	struct model_head h = {.code = 302,
	        .type = "text/html; charset=utf-8",
	        .after = "Location: https://login.example.com/oauth?next=%2Fapi\r\n"};
	model_reply_whole(c, &h,
	        SPAN("<a href=\"https://login.example.com/oauth?next=%2Fapi\">Found</a>.\n\n"));
}

/* Heads that no client may take. None has an end that a lenient parser could find a list in. */
static void head_garbage(struct model_conn *c, uint64_t variant)
{
	static const struct span texts[] = {
	        SPAN("HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\n\n{}"),
	        SPAN("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n folded: "
	             "yes\r\nContent-Length: 2\r\n\r\n{}"),
	        SPAN("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
	        SPAN("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: "
	             "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
	        SPAN("HTTP/1.1 200 OK\r\nContent-Type: appli\0cation/json\r\nContent-Length: "
	             "2\r\n\r\n{}"),
	        SPAN("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}"),
	        SPAN("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
	        SPAN("HTTP/2 200 \r\ncontent-length: 2\r\n\r\n{}"),
	};
	struct span s = texts[variant % ARRAY_LEN(texts)];
	model_reply_raw(c, s.p, s.n);
	c->closed = MODEL_CLOSED_FIN;
}

static void chunk_garbage(struct model_conn *c, uint64_t variant)
{
	static const struct span texts[] = {
	        SPAN("zz\r\n{}\r\n0\r\n\r\n"),
	        SPAN("ffffffffffffffff1\r\n{}\r\n0\r\n\r\n"),
	        SPAN("2\r\n{}3\r\n{ }\r\n0\r\n\r\n"),
	        SPAN("-2\r\n{}\r\n0\r\n\r\n"),
	};
	model_reply_begin(c, &(struct model_head){.code = 200, .stream = true});
	struct span s = texts[variant % ARRAY_LEN(texts)];
	model_reply_raw(c, s.p, s.n);
	model_reply_abort(c);
}

/* --- an answer that never begins --- */

static enum model_pumped hang_pump(struct model_conn *c, struct model_answer *a)
{
	if (c->now_ns < a->deadline_ns)
		return MODEL_PUMP_WAIT;
	model_reply_abort(c);
	return MODEL_PUMP_DONE;
}

static void hang_free(struct model_conn *c, struct model_answer *a)
{
	(void)c;
	free(a);
}

static void hang(struct model_conn *c, uint64_t ms)
{
	struct model_answer *a = calloc(1, sizeof *a);
	CHECK(a);
	*a = (struct model_answer){
	        .pump = hang_pump, .free = hang_free, .verb = MODEL_VERB_DISCOVERY};
	a->deadline_ns = c->now_ns + ms * 1000000;
	c->answer = a;
}

/* --- endless answers --- */

struct endless {
	struct model_answer a;
	uint64_t n;
	bool interim; /* 1xx answers, else header lines */
};

static enum model_pumped endless_pump(struct model_conn *c, struct model_answer *a)
{
	struct endless *e = CONTAINER_OF(a, struct endless, a);
	struct model_text t = {0};
	if (e->n == 0 && !e->interim)
		TEXT_LIT(&t, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 32; i++, e->n++) {
		if (e->interim)
			TEXT_LIT(&t, "HTTP/1.1 100 Continue\r\n\r\n");
		else
			model_text_printf(&t, "X-Filler-%llu: 0123456789abcdef\r\n",
			        (unsigned long long)e->n);
	}
	model_reply_raw(c, t.p, t.n);
	model_text_fini(&t);
	return MODEL_PUMP_MORE;
}

static void endless_free(struct model_conn *c, struct model_answer *a)
{
	(void)c;
	free(CONTAINER_OF(a, struct endless, a));
}

static void endless(struct model_conn *c, bool interim)
{
	struct endless *e = calloc(1, sizeof *e);
	CHECK(e);
	e->a = (struct model_answer){.pump = endless_pump,
	        .free = endless_free,
	        .deadline_ns = UINT64_MAX,
	        .verb = MODEL_VERB_DISCOVERY};
	e->interim = interim;
	c->answer = &e->a;
}

static void forbidden(struct model_conn *c, const struct model_request *r)
{
	struct model_text m = {0}, d = {0};
	model_text_printf(&m,
	        "%.*s is forbidden: User \"admin\" cannot %s resource \"%.*s\" in API group "
	        "\"%.*s\"",
	        SPAN_ARG(r->resource),
	        r->watch    ? "watch"
	        : r->name.n ? "get"
	                    : "list",
	        SPAN_ARG(r->resource), SPAN_ARG(r->group));
	if (r->ns.n)
		model_text_printf(&m, " in the namespace \"%.*s\"", SPAN_ARG(r->ns));
	else
		TEXT_LIT(&m, " at the cluster scope");
	model_status_details(&d, r->name, "", r->resource);
	TEXT_LIT(&d, "\0");
	struct model_status s = {.code = 403,
	        .reason = "Forbidden",
	        .message = model_text_as_span(&m),
	        .details = d.p};
	model_reply_status(c, &s, false);
	model_text_fini(&m);
	model_text_fini(&d);
}

static void page_of_login(struct model_conn *c)
{
	struct model_head h = {.code = 200, .type = "text/html; charset=utf-8"};
	model_reply_whole(c, &h, SPAN("<!doctype html><title>Sign in</title><form></form>\n"));
}

static bool answer(struct model_conn *c, const struct model_request *r, const struct model_hit *h)
{
	switch (h->id) {
	case MODEL_FAULT_CLOSE: model_reply_abort(c); return true;
	case MODEL_FAULT_HTTP_400:
		status(c, 400, "BadRequest", "the model was told to refuse");
		return true;
	case MODEL_FAULT_HTTP_401: status(c, 401, "Unauthorized", "Unauthorized"); return true;
	case MODEL_FAULT_HTTP_403: forbidden(c, r); return true;
	case MODEL_FAULT_HTTP_404: model_not_found_page(c); return true;
	case MODEL_FAULT_HTTP_406:
		status(c, 406, "NotAcceptable",
		        "406: Not Acceptable\n\nAvailable representations: application/yaml");
		return true;
	case MODEL_FAULT_HTTP_410:
		status(c, 410, "Expired", "The resourceVersion for the provided watch is too old.");
		return true;
	case MODEL_FAULT_HTTP_422:
		status(c, 422, "Invalid", "ListOptions.meta.k8s.io \"\" is invalid");
		return true;
	case MODEL_FAULT_HTTP_429: too_many(c, h); return true;
	case MODEL_FAULT_HTTP_5XX:
		server_error(c, h->a >= 500 && h->a <= 599 ? (unsigned)h->a : 500);
		return true;
	case MODEL_FAULT_REDIRECT: redirect(c); return true;
	case MODEL_FAULT_WRONG_TYPE: page_of_login(c); return true;
	case MODEL_FAULT_HANG: hang(c, h->a); return true;
	case MODEL_FAULT_ENDLESS_HEAD: endless(c, false); return true;
	case MODEL_FAULT_ENDLESS_1XX: endless(c, true); return true;
	case MODEL_FAULT_HEAD_GARBAGE: head_garbage(c, h->a); return true;
	case MODEL_FAULT_CHUNK_GARBAGE: chunk_garbage(c, h->a); return true;
	default: return false;
	}
}

bool model_answer_fault(struct model_conn *c, const struct model_request *r)
{
	for (size_t i = 0; c->hits && i < c->hits->count; i++)
		if (answer(c, r, &c->hits->v[i]))
			return true;
	return false;
}
