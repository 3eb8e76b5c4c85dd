#include "kubering/print/yaml_out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>
#include <yaml.h>

#include "kubering/print/json.h"
#include "kubering/say.h"
#include "kubering/text.h"

struct yaml_out {
	yaml_emitter_t emitter;
	FILE *file;
	size_t documents;
	bool failed;
};

static int write_out(void *data, unsigned char *p, size_t n)
{
	struct yaml_out *y = data;
	return fwrite(p, 1, n, y->file) == n;
}

static void emit(struct yaml_out *y, yaml_event_t *e)
{
	if (!yaml_emitter_emit(&y->emitter, e) && !y->failed) {
		y->failed = true;
		say_error("YAML: %s", y->emitter.problem ? y->emitter.problem : "out of memory");
	}
}

struct yaml_out *yaml_out_new(FILE *f)
{
	struct yaml_out *y = text_alloc(sizeof *y);
	yaml_event_t e;
	y->file = f;
	if (!yaml_emitter_initialize(&y->emitter))
		(void)text_need(NULL);
	yaml_emitter_set_output(&y->emitter, write_out, y);
	yaml_emitter_set_unicode(&y->emitter, 1);
	yaml_emitter_set_width(&y->emitter, 80);
	yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING);
	emit(y, &e);
	return y;
}

void yaml_out_free(struct yaml_out **y)
{
	yaml_event_t e;
	if (!*y)
		return;
	yaml_stream_end_event_initialize(&e);
	emit(*y, &e);
	yaml_emitter_delete(&(*y)->emitter);
	free(*y);
	*y = NULL;
}

/* --- scalars ------------------------------------------------------------------------- */

static bool is_word(struct span s)
{
	static const char *const words[] = {"~", "null", "true", "false", "yes", "no", "on", "off",
	        "y", "n", "<<", "=", ".nan", ".inf", "+.inf", "-.inf"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i]) == s.n && strncasecmp(words[i], s.p, s.n) == 0)
			return true;
	return false;
}

static size_t run(const char *p, const char *end, const char *set)
{
	size_t n = 0;
	while (p + n < end && p[n] != '\0' && strchr(set, p[n]))
		n++;
	return n;
}

/* Integers of any base, floats, and numbers to base 60 ("12:30"). */
static bool is_number(const char *p, const char *end)
{
	p += p < end && (*p == '+' || *p == '-');
	if (end - p > 2 && *p == '0' && strchr("xob", p[1]))
		return run(p + 2, end, "0123456789abcdefABCDEF_") == (size_t)(end - p) - 2;
	size_t whole = run(p, end, "0123456789_"), fraction = 0;
	p += whole;
	if (whole > 0 && p < end && *p == ':')
		return run(p, end, "0123456789_:.") == (size_t)(end - p);
	if (p < end && *p == '.')
		p += 1 + (fraction = run(p + 1, end, "0123456789_"));
	if (whole + fraction > 0 && p < end && (*p == 'e' || *p == 'E')) {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		size_t exponent = run(p, end, "0123456789");
		p += exponent;
		if (exponent == 0)
			return false;
	}
	return p == end && whole + fraction > 0;
}

/* "2026-11-25", with or without a time behind it. */
static bool is_time(const char *p, const char *end)
{
	static const char digits[] = "0123456789";
	if (run(p, end, digits) != 4 || end - p < 8 || p[4] != '-')
		return false;
	size_t month = run(p + 5, end, digits);
	p += 5 + month;
	if (month < 1 || month > 2 || p == end || *p != '-')
		return false;
	size_t day = run(p + 1, end, digits);
	p += 1 + day;
	return day >= 1 && day <= 2 && (p == end || *p == 'T' || *p == 't' || *p == ' ');
}

bool yaml_out_is_special(struct span s)
{
	return s.n == 0 || is_word(s) || is_number(s.p, s.p + s.n) || is_time(s.p, s.p + s.n);
}

static void scalar(struct yaml_out *y, struct span s, yaml_scalar_style_t style)
{
	yaml_event_t e;
	yaml_scalar_event_initialize(
	        &e, NULL, NULL, (const yaml_char_t *)(s.p ? s.p : ""), (int)s.n, 1, 1, style);
	emit(y, &e);
}

static void string(struct yaml_out *y, struct span s)
{
	yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;
	if (yaml_out_is_special(s))
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	else if (memchr(s.p, '\n', s.n))
		style = YAML_LITERAL_SCALAR_STYLE;
	scalar(y, s, style);
}

/* --- containers ---------------------------------------------------------------------- */

static void begin(struct yaml_out *y, bool object, bool empty)
{
	yaml_event_t e;
	if (object)
		yaml_mapping_start_event_initialize(&e, NULL, NULL, 1,
		        empty ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE);
	else
		yaml_sequence_start_event_initialize(&e, NULL, NULL, 1,
		        empty ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE);
	emit(y, &e);
}

static void end(struct yaml_out *y, bool object)
{
	yaml_event_t e;
	if (object)
		yaml_mapping_end_event_initialize(&e);
	else
		yaml_sequence_end_event_initialize(&e);
	emit(y, &e);
}

struct member {
	struct span key;
	struct json_node value;
};

static int by_key(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
	int r = n ? memcmp(x->key.p, y->key.p, n) : 0;
	return r ? r : (x->key.n > y->key.n) - (x->key.n < y->key.n);
}

static void node(struct yaml_out *y, struct json_node n);

static void object(struct yaml_out *y, struct json_node n)
{
	struct json_iter it = {0};
	struct member *m = NULL, one;
	size_t count = 0, cap = 0;
	while (json_dom_next(n, &it, &one.key, &one.value)) {
		if (count == cap) {
			cap = cap ? cap * 2 : 16;
			struct member *more = text_alloc(cap * sizeof *more);
			if (count > 0)
				memcpy(more, m, count * sizeof *m);
			free(m);
			m = more;
		}
		m[count++] = one;
	}
	if (count > 1)
		qsort(m, count, sizeof *m, by_key);
	begin(y, true, count == 0);
	for (size_t i = 0; i < count; i++) {
		string(y, m[i].key);
		node(y, m[i].value);
	}
	end(y, true);
	free(m);
}

static void array(struct yaml_out *y, struct json_node n)
{
	struct json_iter it = {0}, peek = {0};
	struct json_node v;
	begin(y, false, !json_dom_next(n, &peek, NULL, &v));
	while (json_dom_next(n, &it, NULL, &v))
		node(y, v);
	end(y, false);
}

/* The parser bounds the depth (JSON_DEPTH_MAX). */
static void node(struct yaml_out *y, struct json_node n)
{
	char digits[40];
	switch (json_dom_type(n)) {
	case JSON_NULL: scalar(y, SPAN("null"), YAML_PLAIN_SCALAR_STYLE); return;
	case JSON_BOOL:
		scalar(y, json_dom_bool(n, false) ? SPAN("true") : SPAN("false"),
		        YAML_PLAIN_SCALAR_STYLE);
		return;
	case JSON_INT: snprintf(digits, sizeof digits, "%" PRId64, json_dom_int(n, 0)); break;
	case JSON_DOUBLE: {
		struct text t = {0};
		json_add_double(&t, json_dom_double(n, 0));
		scalar(y, (struct span){t.p, t.n}, YAML_PLAIN_SCALAR_STYLE);
		text_fini(&t);
		return;
	}
	case JSON_STRING: string(y, json_dom_string(n)); return;
	case JSON_ARRAY: array(y, n); return;
	case JSON_OBJECT: object(y, n); return;
	}
	scalar(y, span_of(digits), YAML_PLAIN_SCALAR_STYLE);
}

/* --- documents ----------------------------------------------------------------------- */

static void document_begin(struct yaml_out *y)
{
	yaml_event_t e;
	yaml_document_start_event_initialize(&e, NULL, NULL, NULL, y->documents++ == 0);
	emit(y, &e);
}

static void document_end(struct yaml_out *y)
{
	yaml_event_t e;
	yaml_document_end_event_initialize(&e, 1);
	emit(y, &e);
	yaml_emitter_flush(&y->emitter);
}

void yaml_out_document(struct yaml_out *y, struct json_node root)
{
	document_begin(y);
	node(y, root);
	document_end(y);
}

void yaml_out_list_begin(struct yaml_out *y)
{
	document_begin(y);
	begin(y, true, false);
	string(y, SPAN("apiVersion"));
	string(y, SPAN("v1"));
	string(y, SPAN("items"));
	begin(y, false, false);
}

void yaml_out_add(struct yaml_out *y, struct json_node item)
{
	node(y, item);
}

void yaml_out_list_end(struct yaml_out *y)
{
	end(y, false);
	string(y, SPAN("kind"));
	string(y, SPAN("List"));
	string(y, SPAN("metadata"));
	begin(y, true, false);
	string(y, SPAN("resourceVersion"));
	string(y, SPAN(""));
	end(y, true);
	end(y, true);
	document_end(y);
}
