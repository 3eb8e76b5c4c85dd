#include "json/shape.h"

#include <stdlib.h>

#include "base/check.h"
#include "json/pair.h"
#include "json/parser.h"

#define HEAD "{\"type\":\"MODIFIED\",\"object\":"
#define CUT  "\"managedFields\":"

enum {
	HEAD_BYTES = sizeof HEAD - 1,
	CUT_BYTES = sizeof CUT - 1,
	SHAPE_TOKENS_MAX = 48, /* that differ: with more, reading it all is as cheap */
	SHAPE_PROBE_BYTES = 16,
};

static bool begins(const char *p, const char *end, const char *with, size_t n)
{
	return (size_t)(end - p) >= n && memcmp(p, with, n) == 0;
}
#define BEGINS(p, end, literal) begins(p, end, literal, sizeof(literal) - 1)

/* --- whose event ------------------------------------------------------------------------------ */

/* p: behind the opening quote of a string. It, and what is behind its closing quote. */
static const char *plain_string(const char *p, const char *end, size_t bytes_max, struct span *out)
{
	size_t n = (size_t)(end - p);
	const char *quote = memchr(p, '"', n < bytes_max + 1 ? n : bytes_max + 1);
	if (!quote)
		return NULL;
	*out = (struct span){p, (size_t)(quote - p)};
	return quote + 1;
}

static const char *skip_member(const char *p, const char *end, size_t name_bytes)
{
	struct span value;
	p = plain_string(p + name_bytes, end, JSON_KIND_MAX, &value);
	return p && BEGINS(p, end, ",") ? p + 1 : NULL;
}

bool json_shape_key(struct span doc, struct span *namespace_, struct span *name)
{
	const char *p = doc.p, *end = doc.p + doc.n;
	if (!BEGINS(p, end, HEAD "{"))
		return false;
	p += HEAD_BYTES + 1;
	if (BEGINS(p, end, "\"kind\":\""))
		p = skip_member(p, end, sizeof "\"kind\":\"" - 1);
	if (p && BEGINS(p, end, "\"apiVersion\":\""))
		p = skip_member(p, end, sizeof "\"apiVersion\":\"" - 1);
	if (!p || !BEGINS(p, end, "\"metadata\":{\"name\":\""))
		return false;
	p = plain_string(p + sizeof "\"metadata\":{\"name\":\"" - 1, end, JSON_NAME_MAX, name);
	if (p && BEGINS(p, end, ",\"generateName\":\""))
		p = plain_string(
		        p + sizeof ",\"generateName\":\"" - 1, end, JSON_NAME_MAX, namespace_);
	*namespace_ = SPAN_NONE;
	if (p && BEGINS(p, end, ",\"namespace\":\""))
		p = plain_string(
		        p + sizeof ",\"namespace\":\"" - 1, end, JSON_NAMESPACE_MAX, namespace_);
	return p != NULL;
}

void json_shape_marks(const struct json_object *o, uint32_t *version_at, uint32_t *cut_at)
{
	size_t version = (size_t)(o->resource_version.p - o->raw.p);
	bool inside = o->resource_version.n > 0 && o->resource_version.p > o->raw.p &&
	              version < o->raw.n && o->raw.n < UINT32_MAX;
	*version_at = *cut_at = 0;
	if (!inside) /* it was written with escapes */
		return;
	if (o->cut.n > 0) {
		*cut_at = (uint32_t)(o->cut.p - o->raw.p);
		version -= version > *cut_at ? o->cut.n : 0;
	}
	*version_at = (uint32_t)version;
}

/* --- managedFields ---------------------------------------------------------------------------- */

/* One that was read before and is as long; it is checked with names and values alike, because
 * nobody reads it. */
static bool cut_is_like(const struct shape_cut *like, struct span text)
{
	struct pair p = pair_of(text, (struct span){like->text, like->n});
	for (int i = 0; i < SHAPE_TOKENS_MAX; i++) {
		struct pair_token t;
		pair_equal(&p, p.was_end);
		if (p.was == p.was_end && p.now == p.now_end)
			return true;
		if (!pair_token(&p, &t))
			return false;
	}
	return false;
}

static void cut_remember(struct shape_cut *like, struct span text)
{
	like->n = 0;
	if (text.n > like->capacity) {
		free(like->text);
		like->capacity = 0;
		like->text = malloc(text.n);
		if (!like->text)
			return; /* it is read whole each time, then */
		like->capacity = (uint32_t)text.n;
	}
	memcpy(like->text, text.p, text.n);
	like->n = (uint32_t)text.n;
}

/* Is it an array, alone and whole? */
static bool cut_is_good(struct json_parser *p, struct span text)
{
	struct shape_cut *like = &p->cuts[text.n % PARSER_CUTS];
	if (text.n < 2 || text.p[0] != '[' || text.n > p->limit_bytes)
		return false;
	if (like->n == text.n && cut_is_like(like, text))
		return true;
	if (tokens_read(&p->tokens, text))
		return false;
	if (text.n <= PARSER_CUT_BYTES_MAX)
		cut_remember(like, text);
	return true;
}

/* Where does the array at p end? What is behind it in the new text is what is behind the cut in the
 * old one: mostly as long, too. A wrong guess is found by cut_is_good(). */
static const char *cut_end(const struct pair *p, const char *from)
{
	size_t rest = (size_t)(p->was_end - p->was);
	size_t probe = rest < SHAPE_PROBE_BYTES ? rest : SHAPE_PROBE_BYTES;
	if ((size_t)(p->now_end - from) >= rest && memcmp(p->now_end - rest, p->was, probe) == 0)
		return p->now_end - rest;
	return memmem(from, (size_t)(p->now_end - from), p->was, probe);
}

/* The place where the old text was cut, without white space around it. *last: the member was the
 * last one, with a comma before it unless it was the only one: *at goes behind that. */
static bool cut_place(const struct pair *p, const char **at, bool *last)
{
	char left = p->was[-1], right = *p->was;
	*last = right == '}';
	if (!*last)
		return right == '"' && (left == '{' || left == ',');
	if (left == '{')
		return true;
	if (left == ',' || tokens_is_space(left) || !BEGINS(*at, p->now_end, ","))
		return false;
	++*at;
	return true;
}

/* At the place where the old text was cut. In the new one there is, with the comma that cut_of() of
 * scan.c takes with it, "managedFields": and an array. */
static bool cut_again(struct json_parser *parser, struct pair *p, struct span *cut)
{
	const char *at = p->now;
	bool last;
	if (!cut_place(p, &at, &last) || !BEGINS(at, p->now_end, CUT))
		return false;
	at += CUT_BYTES;
	const char *end = cut_end(p, at);
	const char *value_end = end;
	if (!end)
		return false;
	if (!last && *--value_end != ',')
		return false;
	if (value_end <= at || !cut_is_good(parser, (struct span){at, (size_t)(value_end - at)}))
		return false;
	*cut = (struct span){p->now, (size_t)(end - p->now)};
	p->now = end;
	return true;
}

/* --- the object ------------------------------------------------------------------------------- */

/* Values that decide which object it is, and in which version: whatever else has such a name is
 * left to the reader of everything. */
static bool names_identity(struct span name)
{
	static const char *const names[] = {"\"name\"", "\"uid\"", "\"namespace\"",
	        "\"resourceVersion\"", "\"kind\"", "\"apiVersion\"", "\"metadata\""};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_is(name, names[i]))
			return true;
	return false;
}

/* May this token differ? */
static bool may_differ(const struct pair *p, const struct pair_token *t,
        const struct json_known *known, struct span *version)
{
	struct span name;
	if (t->is_name)
		return false;
	if (t->was.p + 1 == known->json.p + known->version_at) {
		struct span text = {t->now.p + 1, t->now.n - 2};
		if (t->now.p[0] != '"' || text.n == 0 || text.n > JSON_VERSION_MAX ||
		        memchr(text.p, '\\', text.n))
			return false;
		*version = text;
		return true;
	}
	return pair_member(p, t->was.p, &name) && !names_identity(name);
}

/* Compares all of it. */
static bool read_object(struct json_parser *parser, struct span raw, const struct json_known *known,
        struct json_object *out)
{
	const struct span was = known->json;
	struct pair p = pair_of(raw, was);
	const char *cut_at = known->cut_at ? was.p + known->cut_at : NULL;
	for (int i = 0; i < SHAPE_TOKENS_MAX; i++) {
		struct pair_token t;
		pair_equal(&p, cut_at ? cut_at : p.was_end);
		if (p.was == cut_at) {
			if (!cut_again(parser, &p, &out->cut))
				return false;
			cut_at = NULL;
			continue;
		}
		if (p.was == p.was_end && p.now == p.now_end)
			return !cut_at && out->resource_version.n > 0;
		if (!pair_token(&p, &t) || !may_differ(&p, &t, known, &out->resource_version))
			return false;
		if (cut_at && p.was > cut_at)
			return false;
	}
	return false;
}

/* What the reader of everything says of it. Of CHECK_SLOW alone. */
__attribute__((unused)) static bool agrees(
        struct json_parser *p, struct span doc, const struct json_object *o)
{
	struct json_event ev;
	err_t e = json_scan_event(p, doc, o->cut.n > 0, NULL, &ev);
	if (e)
		return e == ERR_JSON_DEPTH;
	const struct json_object *q = &ev.object;
	return ev.type == JSON_EVENT_MODIFIED && q->raw.p == o->raw.p && q->raw.n == o->raw.n &&
	       q->cut.n == o->cut.n && (o->cut.n == 0 || q->cut.p == o->cut.p) &&
	       span_eq(q->name, o->name) && span_eq(q->namespace_, o->namespace_) &&
	       span_eq(q->uid, o->uid) && span_eq(q->resource_version, o->resource_version);
}

bool json_shape_event(struct json_parser *p, struct span doc, const struct json_known *known,
        struct json_hint *hint, struct json_event *out)
{
	const char *end = doc.p + doc.n;
	if (known->version_at == 0 || doc.n > p->limit_bytes || !BEGINS(doc.p, end, HEAD "{") ||
	        end[-1] != '}' || known->json.n < 2 || known->cut_at >= known->json.n ||
	        (hint && hint->events % AUDIT_PERIOD == 0))
		return false;
	*out = (struct json_event){.type = JSON_EVENT_MODIFIED};
	struct json_object *o = &out->object;
	o->raw = (struct span){doc.p + HEAD_BYTES, doc.n - HEAD_BYTES - 1};
	o->name = known->name;
	o->namespace_ = known->namespace_;
	o->uid = known->uid;
	if (!read_object(p, o->raw, known, o))
		return false;
	CHECK_SLOW(agrees(p, doc, o));
	if (hint)
		hint->events++;
	return true;
}
