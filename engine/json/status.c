/* json_scan_status: metav1.Status, which comes as the body of an HTTP error or as the object of an
 * ERROR event. */
#include "json/json.h"

#include "json/member.h"
#include "json/number.h"
#include "json/parser.h"

static err_t status_text(struct json_parser *p, uint32_t at, struct span *out)
{
	bool odd;
	return p->tokens.code[at] == TOKEN_STRING ? parser_text(p, at, out, &odd) : ERR_OK;
}

/* 0 when it is no integer of that size. */
static int status_int(const struct tokens *t, uint32_t at)
{
	int64_t v;
	if (t->code[at] != TOKEN_SCALAR || !number_int(tokens_scalar(t, at), &v))
		return 0;
	return v < INT32_MIN || v > INT32_MAX ? 0 : (int)v;
}

static bool has_reason(struct json_parser *p, uint32_t cause, const char *reason)
{
	const struct tokens *t = &p->tokens;
	bool yes = false;
	if (t->code[cause] != TOKEN_OBJECT)
		return false;
	for (struct member m = member_first(cause); member_next(t, &m);)
		if (m.name == MEMBER_REASON && t->code[m.value] == TOKEN_STRING)
			yes = span_is(tokens_string(t, m.value), reason);
	return yes;
}

static void scan_details(struct json_parser *p, uint32_t at, struct json_status *out)
{
	const struct tokens *t = &p->tokens;
	if (t->code[at] != TOKEN_OBJECT)
		return;
	for (struct member m = member_first(at); member_next(t, &m);) {
		if (m.name == MEMBER_RETRY_AFTER_SECONDS) {
			int seconds = status_int(t, m.value);
			out->retry_after_seconds = seconds > 0 ? seconds : 0;
		} else if (m.name == MEMBER_CAUSES && t->code[m.value] == TOKEN_ARRAY) {
			uint32_t cause = m.value + 1;
			while (t->code[cause] != TOKEN_ARRAY_END) {
				out->too_large_rv |=
				        has_reason(p, cause, "ResourceVersionTooLarge");
				cause = tokens_skip(t, cause);
				cause += t->code[cause] == TOKEN_COMMA;
			}
			m.next = cause + 1;
		}
	}
}

err_t json_scan_status(struct json_parser *p, struct span doc, struct json_status *out)
{
	*out = (struct json_status){0};
	err_t e = parser_read(p, doc);
	const struct tokens *t = &p->tokens;
	if (e || t->code[0] != TOKEN_OBJECT)
		return e;
	struct span kind = SPAN("Status");
	for (struct member m = member_first(0); !e && member_next(t, &m);) {
		switch (m.name) {
		case MEMBER_KIND: e = status_text(p, m.value, &kind); break;
		case MEMBER_CODE: out->code = status_int(t, m.value); break;
		case MEMBER_REASON: e = status_text(p, m.value, &out->reason); break;
		case MEMBER_MESSAGE: e = status_text(p, m.value, &out->message); break;
		case MEMBER_DETAILS: scan_details(p, m.value, out); break;
		default: break;
		}
	}
	if (e || !span_is(kind, "Status"))
		*out = (struct json_status){0};
	return e;
}
