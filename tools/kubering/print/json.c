#include "kubering/print/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { INDENT = 4 };

void json_add_string(struct text *t, struct span s)
{
	text_add_char(t, '"');
	size_t from = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		text_add(t, (struct span){s.p + from, i - from});
		from = i + 1;
		if (c == '"' || c == '\\')
			text_printf(t, "\\%c", c);
		else if (c == '\n')
			text_add(t, SPAN("\\n"));
		else
			text_printf(t, "\\u%04x", c);
	}
	text_add(t, (struct span){s.p + from, s.n - from});
	text_add_char(t, '"');
}

/* The shortest that reads back as the same, without an exponent where the number is whole and has
 * at most 21 digits (as Go prints JSON). */
void json_add_double(struct text *t, double v)
{
	char s[40];
	int digits = 15;
	do
		snprintf(s, sizeof s, "%.*e", digits - 1, v);
	while (strtod(s, NULL) != v && ++digits <= 17);
	char *e = strchr(s, 'e');
	long exponent = e ? strtol(e + 1, NULL, 10) : 0;
	if (!e || exponent < digits - 1 || exponent >= 21) {
		text_printf(t, "%.*g", digits > 17 ? 17 : digits, v);
		return;
	}
	for (const char *p = s; p < e; p++)
		if (*p != '.')
			text_add_char(t, *p);
	for (long i = digits - 1; i < exponent; i++)
		text_add_char(t, '0');
}

static void add_members(struct text *t, struct json_node n, bool object)
{
	struct json_iter it = {0};
	struct json_node v;
	struct span key;
	text_add_char(t, object ? '{' : '[');
	for (bool first = true; json_dom_next(n, &it, &key, &v); first = false) {
		if (!first)
			text_add_char(t, ',');
		if (object) {
			json_add_string(t, key);
			text_add_char(t, ':');
		}
		json_add_node(t, v);
	}
	text_add_char(t, object ? '}' : ']');
}

void json_add_node(struct text *t, struct json_node n)
{
	if (!json_dom_exists(n)) {
		text_add(t, SPAN("null"));
		return;
	}
	switch (json_dom_type(n)) {
	case JSON_NULL: text_add(t, SPAN("null")); break;
	case JSON_BOOL: text_add(t, json_dom_bool(n, false) ? SPAN("true") : SPAN("false")); break;
	case JSON_INT: text_printf(t, "%" PRId64, json_dom_int(n, 0)); break;
	case JSON_DOUBLE: json_add_double(t, json_dom_double(n, 0)); break;
	case JSON_STRING: json_add_string(t, json_dom_string(n)); break;
	case JSON_ARRAY: add_members(t, n, false); break;
	case JSON_OBJECT: add_members(t, n, true); break;
	}
}

/* Raw line breaks stand only between tokens (RFC 8259, 7), so a space does as well. */
static void add_on_one_line(struct text *t, struct span s)
{
	size_t at = t->n;
	text_add(t, s);
	for (char *p = t->p + at, *end = t->p + t->n; p < end; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
}

void json_add_object(struct text *t, struct json_parser *p, const struct kind *k,
        const char *cluster, struct span json)
{
	struct json_object o;
	size_t brace = 0;
	bool known = json_scan_object(p, json, false, NULL, &o) == ERR_OK;
	while (brace < json.n && json.p[brace] != '{')
		brace++;
	if (brace == json.n) {
		text_add(t, SPAN("null"));
		return;
	}
	text_add_char(t, '{');
	if (known && o.api_version.n == 0) {
		text_add(t, SPAN("\"apiVersion\":"));
		json_add_string(t, span_of(k->api_version));
		text_add_char(t, ',');
	}
	if (known && o.kind.n == 0) {
		text_add(t, SPAN("\"kind\":"));
		json_add_string(t, span_of(k->kind));
		text_add_char(t, ',');
	}
	if (known && cluster) {
		text_add(t, SPAN("\"cluster\":"));
		json_add_string(t, span_of(cluster));
		text_add_char(t, ',');
	}
	add_on_one_line(t, (struct span){json.p + brace + 1, json.n - brace - 1});
}

/* --- indenting ----------------------------------------------------------------------- */

static void new_line(struct text *t, unsigned level)
{
	size_t n = (size_t)level * INDENT;
	text_reserve(t, n + 1);
	text_add_char(t, '\n');
	memset(t->p + t->n, ' ', n);
	t->n += n;
	t->p[t->n] = '\0';
}

static size_t string_end(struct span s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++)
		i += s.p[i] == '\\';
	return i < s.n ? i + 1 : s.n;
}

static size_t skip_white(struct span s, size_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
		i++;
	return i;
}

void json_add_pretty(struct text *t, struct span s, unsigned level)
{
	for (size_t i = skip_white(s, 0); i < s.n; i = skip_white(s, i)) {
		char c = s.p[i];
		size_t next = skip_white(s, i + 1);
		if (c == '"') {
			size_t end = string_end(s, i);
			text_add(t, (struct span){s.p + i, end - i});
			i = end;
			continue;
		}
		if ((c == '{' || c == '[') && next < s.n &&
		        (s.p[next] == '}' || s.p[next] == ']')) {
			text_add_char(t, c);
			text_add_char(t, s.p[next]);
			i = next + 1;
			continue;
		}
		if (c == '}' || c == ']')
			new_line(t, --level);
		text_add_char(t, c);
		if (c == '{' || c == '[')
			new_line(t, ++level);
		else if (c == ',')
			new_line(t, level);
		else if (c == ':')
			text_add_char(t, ' ');
		i++;
	}
}
