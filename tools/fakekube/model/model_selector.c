#include "model/model_selector.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUIREMENTS_MAX 64
#define VALUES_MAX       64

enum sel_op { SEL_IN, SEL_NOT_IN, SEL_EXISTS, SEL_ABSENT, SEL_GREATER, SEL_LESS };

struct requirement {
	struct span key;
	struct span *values; /* own */
	size_t value_count;
	enum sel_op op;
	bool field;
};

struct model_selector {
	char *text; /* own; the spans point into it */
	struct requirement *reqs;
	size_t count;
};

/* One pass over the text with the token in hand. */
struct lexer {
	const char *p, *end;
	struct span token; /* empty at the end of the text */
	struct model_text *error;
};

static bool is_special(char c)
{
	return strchr("=!(),<>", c) != NULL;
}

static void lex(struct lexer *x)
{
	while (x->p < x->end && strchr(" \t\r\n", *x->p))
		x->p++;
	const char *from = x->p;
	if (x->p < x->end && is_special(*x->p)) {
		char c = *x->p++;
		if (x->p < x->end && *x->p == '=' && (c == '=' || c == '!'))
			x->p++;
	} else {
		while (x->p < x->end && !is_special(*x->p) && !strchr(" \t\r\n", *x->p))
			x->p++;
	}
	x->token = (struct span){from, (size_t)(x->p - from)};
}

static bool is_word(struct span t)
{
	return t.n > 0 && !is_special(t.p[0]);
}

static bool fail(struct lexer *x, const char *expected)
{
	model_text_printf(x->error, "found '%.*s'%s expected: %s", SPAN_ARG(x->token),
	        expected[0] == '!' ? "," : "", expected);
	return false;
}

static bool parse_values(struct lexer *x, struct requirement *r)
{
	if (!span_is(x->token, "("))
		return fail(x, "'('");
	r->values = calloc(VALUES_MAX, sizeof *r->values);
	CHECK(r->values);
	for (lex(x);; lex(x)) {
		if (r->value_count == VALUES_MAX)
			return fail(x, "')'");
		r->values[r->value_count] = SPAN_NONE;
		if (is_word(x->token)) {
			r->values[r->value_count] = x->token;
			lex(x);
		}
		r->value_count++;
		if (span_is(x->token, ")"))
			break;
		if (!span_is(x->token, ","))
			return fail(x, "',', or ')'");
	}
	lex(x);
	return true;
}

static bool parse_operand(struct lexer *x, struct requirement *r)
{
	r->values = calloc(1, sizeof *r->values);
	CHECK(r->values);
	r->value_count = 1;
	lex(x);
	if (is_word(x->token)) {
		r->values[0] = x->token;
		lex(x);
	}
	return true;
}

static bool parse_requirement(struct lexer *x, struct requirement *r)
{
	if (span_is(x->token, "!")) {
		r->op = SEL_ABSENT;
		lex(x);
	}
	if (!is_word(x->token))
		return fail(x,
		        r->op == SEL_ABSENT ? "identifier" : "!, identifier, or 'end of string'");
	r->key = x->token;
	lex(x);
	if (r->op == SEL_ABSENT)
		return true;
	r->op = SEL_EXISTS;
	if (x->token.n == 0 || span_is(x->token, ","))
		return true;
	if (span_is(x->token, "in") || span_is(x->token, "notin")) {
		r->op = x->token.n == 2 ? SEL_IN : SEL_NOT_IN;
		lex(x);
		return parse_values(x, r);
	}
	if (span_is(x->token, "=") || span_is(x->token, "=="))
		r->op = SEL_IN;
	else if (span_is(x->token, "!="))
		r->op = SEL_NOT_IN;
	else if (span_is(x->token, ">") || span_is(x->token, "<"))
		r->op = x->token.p[0] == '>' ? SEL_GREATER : SEL_LESS;
	else
		return fail(x, "in, notin, =, ==, !=, gt, lt");
	return parse_operand(x, r);
}

static bool parse_labels(struct model_selector *s, struct span text, struct model_text *error)
{
	struct lexer x = {.p = text.p, .end = text.p + text.n, .error = error};
	lex(&x);
	if (x.token.n == 0)
		return true;
	for (;;) {
		if (s->count == REQUIREMENTS_MAX)
			return fail(&x, "'end of string'");
		struct requirement *r = &s->reqs[s->count++];
		*r = (struct requirement){.op = SEL_EXISTS};
		size_t at = error->n;
		if (!parse_requirement(&x, r)) {
			if (r->key.n) { /* as the server says it: the key was there, the rest is
				           wrong */
				struct model_text t = {0};
				model_text_put(&t, error->p + at, error->n - at);
				error->n = at;
				model_text_printf(
				        error, "unable to parse requirement: %.*s", (int)t.n, t.p);
				model_text_fini(&t);
			}
			return false;
		}
		if (x.token.n == 0)
			return true;
		if (!span_is(x.token, ",")) {
			model_text_printf(error, "found '%.*s', expected: ',' or 'end of string'",
			        SPAN_ARG(x.token));
			return false;
		}
		lex(&x);
	}
}

static bool in_list(const char *list, struct span what)
{
	for (; *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
		if (span_eq((struct span){list, strcspn(list, ",")}, what))
			return true;
	return false;
}

static bool field_known(const struct model_kind *k, struct span key, struct model_text *error)
{
	if (span_is(key, "metadata.name") || span_is(key, "metadata.namespace"))
		return true;
	if (k->shape == MODEL_SHAPE_POD && span_is(key, "spec.nodeName"))
		return true;
	if (k->custom && in_list(k->selectable, key))
		return true;
	bool labelled = k->custom || k->shape == MODEL_SHAPE_POD || k->shape == MODEL_SHAPE_NODE ||
	                k->shape == MODEL_SHAPE_EVENT || k->shape == MODEL_SHAPE_SECRET ||
	                k->shape == MODEL_SHAPE_NAMESPACE;
	if (labelled) /* kinds with a field conversion of their own say it so */
		model_text_printf(error, "field label not supported: %.*s", SPAN_ARG(key));
	else
		model_text_printf(error,
		        "\"%.*s\" is not a known field selector: only \"metadata.name\", "
		        "\"metadata.namespace\"",
		        SPAN_ARG(key));
	return false;
}

static bool parse_fields(struct model_selector *s, struct span text, const struct model_kind *k,
        struct model_text *error)
{
	const char *p = text.p, *end = text.p + text.n;
	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		struct span term = {p, (size_t)((comma ? comma : end) - p)};
		p += term.n + (comma != NULL);
		if (term.n == 0)
			continue;
		const char *eq = memchr(term.p, '=', term.n);
		if (!eq || s->count == REQUIREMENTS_MAX) {
			model_text_printf(error,
			        "invalid selector: '%.*s'; can't understand '%.*s'", SPAN_ARG(text),
			        SPAN_ARG(term));
			return false;
		}
		struct requirement *r = &s->reqs[s->count++];
		*r = (struct requirement){.field = true, .op = SEL_IN, .value_count = 1};
		r->key = (struct span){term.p, (size_t)(eq - term.p)};
		if (r->key.n && r->key.p[r->key.n - 1] == '!') {
			r->key.n--;
			r->op = SEL_NOT_IN;
		}
		eq += eq + 1 < term.p + term.n && eq[1] == '=' && r->op == SEL_IN;
		r->values = malloc(sizeof *r->values);
		CHECK(r->values);
		r->values[0] = (struct span){eq + 1, (size_t)(term.p + term.n - eq - 1)};
		if (!field_known(k, r->key, error))
			return false;
	}
	return true;
}

bool model_selector_parse(struct span labels, struct span fields, const struct model_kind *k,
        struct model_selector **out, struct model_text *error)
{
	*out = NULL;
	if (labels.n == 0 && fields.n == 0)
		return true;
	struct model_selector *s = calloc(1, sizeof *s);
	CHECK(s);
	s->text = malloc(labels.n + fields.n + 1);
	s->reqs = calloc(REQUIREMENTS_MAX, sizeof *s->reqs);
	CHECK(s->text && s->reqs);
	memcpy(s->text, labels.n ? labels.p : "", labels.n);
	memcpy(s->text + labels.n, fields.n ? fields.p : "", fields.n);
	bool ok = parse_labels(s, (struct span){s->text, labels.n}, error) &&
	          parse_fields(s, (struct span){s->text + labels.n, fields.n}, k, error);
	if (!ok || s->count == 0)
		model_selector_free(&s);
	*out = s;
	return ok;
}

void model_selector_free(struct model_selector **sp)
{
	struct model_selector *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->reqs[i].values);
	free(s->reqs);
	free(s->text);
	free(s);
}

static bool has_value(const struct requirement *r, struct span v)
{
	for (size_t i = 0; i < r->value_count; i++)
		if (span_eq(r->values[i], v))
			return true;
	return false;
}

static long long number(struct span s)
{
	long long v = 0;
	for (size_t i = 0; i < s.n; i++)
		v = v * 10 + (s.p[i] - '0');
	return v;
}

static bool field_value(
        struct span key, const struct model_version *v, char *buf, size_t bytes, struct span *out)
{
	if (span_is(key, "metadata.name"))
		*out = model_object_name(v->object);
	else if (span_is(key, "metadata.namespace"))
		*out = model_object_ns(v->object);
	else if (span_is(key, "spec.nodeName") && !v->body)
		*out = (struct span){
		        buf, (size_t)snprintf(buf, bytes, "node-%u", model_object_node(v->object))};
	else
		return false;
	return true;
}

static bool match_one(const struct requirement *r, const struct model_version *v)
{
	char buf[32];
	struct span value = SPAN_NONE;
	bool has = r->field ? field_value(r->key, v, buf, sizeof buf, &value)
	                    : model_labels_get(v->labels, r->key, &value);
	switch (r->op) {
	case SEL_IN: return has && has_value(r, value);
	case SEL_NOT_IN: return !has || !has_value(r, value);
	case SEL_EXISTS: return has;
	case SEL_ABSENT: return !has;
	case SEL_GREATER: return has && number(value) > number(r->values[0]);
	case SEL_LESS: return has && number(value) < number(r->values[0]);
	}
	return false;
}

bool model_selector_match(const struct model_selector *s, const struct model_version *v)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (!match_one(&s->reqs[i], v))
			return false;
	return true;
}
