#include "model/model_status.h"

static void put_member(struct model_text *t, bool pretty, bool first, const char *name)
{
	if (!first)
		TEXT_LIT(t, ",");
	if (pretty)
		TEXT_LIT(t, "\n  ");
	model_text_printf(t, pretty ? "\"%s\": " : "\"%s\":", name);
}

/* Indents a compact object of one level, as details are: its own members two deeper. Nested ones
 * stay compact; no test needs more. */
static void put_details(struct model_text *t, const char *details, bool pretty)
{
	if (!pretty || strcmp(details, "{}") == 0 || strchr(details, '[')) {
		model_text_str(t, details);
		return;
	}
	bool quoted = false;
	for (const char *p = details; *p; p++) {
		if (*p == '"' && p[-1] != '\\')
			quoted = !quoted;
		if (*p == '}' && !quoted)
			TEXT_LIT(t, "\n  ");
		model_text_put(t, p, 1);
		if (quoted)
			continue;
		if (*p == '{' || *p == ',')
			TEXT_LIT(t, "\n    ");
		else if (*p == ':')
			TEXT_LIT(t, " ");
	}
}

void model_status_json(const struct model_status *s, bool pretty, struct model_text *t)
{
	TEXT_LIT(t, "{");
	put_member(t, pretty, true, "kind");
	TEXT_LIT(t, "\"Status\"");
	put_member(t, pretty, false, "apiVersion");
	TEXT_LIT(t, "\"v1\"");
	put_member(t, pretty, false, "metadata");
	if (s->continue_token)
		model_text_printf(t, "{\"continue\":\"%s\"}", s->continue_token);
	else
		TEXT_LIT(t, "{}");
	put_member(t, pretty, false, "status");
	TEXT_LIT(t, "\"Failure\"");
	put_member(t, pretty, false, "message");
	model_text_quoted(t, s->message);
	if (s->reason) {
		put_member(t, pretty, false, "reason");
		model_text_printf(t, "\"%s\"", s->reason);
	}
	if (s->details) {
		put_member(t, pretty, false, "details");
		put_details(t, s->details, pretty);
	}
	put_member(t, pretty, false, "code");
	model_text_printf(t, "%u", s->code);
	if (pretty)
		TEXT_LIT(t, "\n");
	TEXT_LIT(t, "}");
}

const char *model_status_phrase(unsigned code)
{
	switch (code) {
	case 200: return "OK";
	case 302: return "Found";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 406: return "Not Acceptable";
	case 410: return "Gone";
	case 422: return "Unprocessable Entity";
	case 429: return "Too Many Requests";
	case 500: return "Internal Server Error";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	default: return "Unknown";
	}
}

void model_status_expired(struct model_text *out, uint64_t rv, uint64_t oldest)
{
	struct model_text m = {0};
	model_text_printf(&m, "too old resource version: %llu (%llu)", (unsigned long long)rv,
	        (unsigned long long)oldest);
	struct model_status s = {
	        .code = 410, .reason = "Expired", .message = model_text_as_span(&m)};
	model_status_json(&s, false, out);
	model_text_fini(&m);
}

void model_status_too_large(struct model_text *out, uint64_t rv, uint64_t current)
{
	struct model_text m = {0};
	model_text_printf(&m, "Timeout: Too large resource version: %llu, current: %llu",
	        (unsigned long long)rv, (unsigned long long)current);
	struct model_status s = {.code = 504,
	        .reason = "Timeout",
	        .message = model_text_as_span(&m),
	        .details = "{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too "
	                   "large resource "
	                   "version\"}],\"retryAfterSeconds\":1}"};
	model_status_json(&s, false, out);
	model_text_fini(&m);
}

void model_status_internal(struct model_text *out, unsigned code, const char *message)
{
	const char *reason = code == 500   ? "InternalError"
	                     : code == 503 ? "ServiceUnavailable"
	                                   : "Timeout";
	struct model_status s = {.code = code, .reason = reason, .message = span_of(message)};
	model_status_json(&s, false, out);
}

void model_status_details(
        struct model_text *out, struct span name, const char *group, struct span kind)
{
	TEXT_LIT(out, "{");
	if (name.n) {
		TEXT_LIT(out, "\"name\":");
		model_text_quoted(out, name);
		TEXT_LIT(out, ",");
	}
	if (*group)
		model_text_printf(out, "\"group\":\"%s\",", group);
	TEXT_LIT(out, "\"kind\":");
	model_text_quoted(out, kind);
	TEXT_LIT(out, "}");
}

void model_status_invalid(struct model_text *out, const struct model_cause *causes, size_t count)
{
	struct model_text m = {0}, d = {0};
	TEXT_LIT(&m, "ListOptions.meta.k8s.io \"\" is invalid: ");
	TEXT_LIT(&d, "{\"group\":\"meta.k8s.io\",\"kind\":\"ListOptions\",\"causes\":[");
	if (count > 1)
		TEXT_LIT(&m, "[");
	for (size_t i = 0; i < count; i++) {
		model_text_printf(&m, "%s%s: %s", i ? ", " : "", causes[i].field, causes[i].text);
		model_text_printf(&d, "%s{\"reason\":\"%s\",\"message\":", i ? "," : "",
		        causes[i].unsupported ? "FieldValueNotSupported" : "FieldValueForbidden");
		model_text_quoted(&d, span_of(causes[i].text));
		model_text_printf(&d, ",\"field\":\"%s\"}", causes[i].field);
	}
	if (count > 1)
		TEXT_LIT(&m, "]");
	model_text_put(&d, "]}", 3); /* with the NUL */
	struct model_status s = {.code = 422,
	        .reason = "Invalid",
	        .message = model_text_as_span(&m),
	        .details = d.p};
	model_status_json(&s, false, out);
	model_text_fini(&m);
	model_text_fini(&d);
}
