#include "model/model_token.h"

#include "base/check.h"

#include <stdlib.h>

void model_token_make(struct model_text *out, int64_t rv, bool after, struct span key)
{
	struct model_text j = {0};
	model_text_printf(&j, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":", (long long)rv);
	model_text_quoted(&j, key);
	if (after) {
		j.n--;
		TEXT_LIT(&j, "\\u0000\"");
	}
	TEXT_LIT(&j, "}");
	model_text_base64(out, model_text_as_span(&j), true);
	TEXT_LIT(out, "\0");
	out->n--;
	model_text_fini(&j);
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* True: ok. Else *bad is the offset of the first byte that does not belong. */
static bool decode(struct span s, struct model_text *out, size_t *bad)
{
	uint32_t bits = 0, have = 0;
	for (size_t i = 0; i < s.n; i++) {
		int v = value_of(s.p[i]);
		*bad = i;
		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		char c = (char)(bits >> have & 255);
		model_text_put(out, &c, 1);
	}
	*bad = s.n;
	return s.n % 4 != 1;
}

/* The value after "name": in the compact JSON that make writes. */
static struct span member(const struct model_text *j, const char *name)
{
	const char *at = memmem(j->p, j->n, name, strlen(name));
	if (!at)
		return SPAN_NONE;
	at += strlen(name);
	return (struct span){at, (size_t)(j->p + j->n - at)};
}

static void unquote(struct span s, struct model_text *out)
{
	for (size_t i = 0; i < s.n && s.p[i] != '"'; i++) {
		char c = s.p[i];
		if (c == '\\' && i + 5 < s.n && s.p[i + 1] == 'u') {
			char hex[5] = {s.p[i + 2], s.p[i + 3], s.p[i + 4], s.p[i + 5], 0};
			c = (char)strtoul(hex, NULL, 16);
			i += 5;
		} else if (c == '\\' && i + 1 < s.n) {
			c = s.p[++i];
		}
		model_text_put(out, &c, 1);
	}
}

static bool fail(struct model_text *error, const char *text)
{
	model_text_printf(error, "invalid continue token: continue key is not valid%s", text);
	return false;
}

bool model_token_parse(
        struct span token, int64_t *rv, struct model_text *key, struct model_text *error)
{
	struct model_text j = {0};
	size_t bad = 0;
	bool ok = decode(token, &j, &bad);
	if (!ok) {
		model_text_printf(error,
		        "invalid continue token: continue key is not valid: illegal base64 data at "
		        "input byte %zu",
		        bad);
	} else if (j.n == 0 || j.p[0] != '{') {
		model_text_printf(error, "invalid continue token: continue key is not valid: ");
		if (j.n == 0)
			TEXT_LIT(error, "unexpected end of JSON input");
		else if ((unsigned char)j.p[0] < ' ' ||
		         (unsigned char)j.p[0] >= 0x7F) /* as Go quotes a byte */
			model_text_printf(error,
			        "invalid character '\\u%04x' looking for beginning of value",
			        (unsigned char)j.p[0]);
		else
			model_text_printf(error,
			        "invalid character '%c' looking for beginning of value", j.p[0]);
		ok = false;
	} else if (member(&j, "\"v\":\"meta.k8s.io/v1\"").n == 0) {
		ok = fail(error, ": server does not recognize this encoded version ");
	} else {
		struct span n = member(&j, "\"rv\":"), start = member(&j, "\"start\":\"");
		*rv = n.n ? strtoll(n.p, NULL, 10) : 0;
		unquote(start, key);
		if (*rv == 0)
			ok = fail(error, ": incorrect encoded start resourceVersion (version "
			                 "meta.k8s.io/v1)");
		else if (key->n == 0)
			ok = fail(error, ": encoded start key empty (version meta.k8s.io/v1)");
	}
	if (ok && key->p[0] == '/') {
		memmove(key->p, key->p + 1, key->n - 1);
		key->n--;
	}
	model_text_fini(&j);
	return ok;
}
