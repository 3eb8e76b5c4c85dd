/* json_scan_event and json_scan_object: what the engine needs to know of an object.
 *
 * The names we look for appear all over an object (labels, owner references, templates,
 * managedFields, ...). Only these places count: type and object of the event; kind, apiVersion and
 * metadata of the object; the members of that metadata. */
#include "json/json.h"

#include "base/check.h"
#include "json/member.h"
#include "json/parser.h"
#include "json/simd.h"
#include "json/unescape.h"

#include <stdlib.h>

_Static_assert((int)JSON_PADDING == (int)SIMD_PADDING, "json.h promises what simd.h needs");

struct json_parser *parser_new(size_t capacity, size_t limit_bytes, enum tokens_kernel kernel)
{
	struct json_parser *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->limit_bytes = limit_bytes;
	if (tokens_init(&p->tokens, capacity / 4, kernel)) { /* a token every 4 to 6 bytes */
		free(p);
		return NULL;
	}
	return p;
}

struct json_parser *json_parser_new(size_t capacity, size_t limit_bytes)
{
	return parser_new(capacity, limit_bytes, TOKENS_KERNEL_BEST);
}

void json_parser_free(struct json_parser **p)
{
	if (!*p)
		return;
	tokens_fini(&(*p)->tokens);
	free((*p)->text);
	for (size_t i = 0; i < PARSER_CUTS; i++)
		free((*p)->cuts[i].text);
	free(*p);
	*p = NULL;
}

err_t parser_read(struct json_parser *p, struct span doc)
{
	p->text_used = 0;
	return doc.n > p->limit_bytes ? ERR_JSON_LIMIT : tokens_read(&p->tokens, doc);
}

err_t parser_text(struct json_parser *p, uint32_t at, struct span *out, bool *odd)
{
	struct span raw = tokens_string(&p->tokens, at);
	*odd = false;
	*out = raw;
	if (LIKELY(!tokens_escaped(&p->tokens, raw)))
		return ERR_OK;
	/* No two strings overlap, so the document's length is room for all of them, and spans given
	 * out before stay where they are. */
	if (p->text_capacity < p->tokens.doc.n) {
		CHECK(p->text_used == 0);
		free(p->text);
		p->text_capacity = 0;
		p->text = malloc(p->tokens.doc.n);
		if (!p->text)
			return ERR_NO_MEMORY;
		p->text_capacity = p->tokens.doc.n;
	}
	out->p = p->text + p->text_used;
	out->n = unescape(p->text + p->text_used, raw, odd);
	*odd |= memchr(out->p, '\0', out->n) != NULL; /* written plainly, it would be no JSON */
	p->text_used += out->n;
	return ERR_OK;
}

/* A string of at most bytes_max that can be a key: no NUL, no lone surrogate. null counts as
 * absent. Any other string gives `unfit`. */
static err_t scan_text(
        struct json_parser *p, uint32_t at, size_t bytes_max, err_t unfit, struct span *out)
{
	if (member_is_null(&p->tokens, at))
		return ERR_OK;
	if (p->tokens.code[at] != TOKEN_STRING)
		return ERR_JSON_SHAPE;
	bool odd;
	err_t e = parser_text(p, at, out, &odd);
	if (e)
		return e;
	return odd || out->n > bytes_max ? unfit : ERR_OK;
}

static err_t scan_word(struct json_parser *p, uint32_t at, size_t bytes_max, struct span *out)
{
	return scan_text(p, at, bytes_max, ERR_JSON_SHAPE, out);
}

/* The bytes that have to go so that member m goes: with the comma behind it, or else with the one
 * before it. */
static struct span cut_of(const struct tokens *t, struct member *m)
{
	uint32_t from = m->key, to = member_end(t, m);
	if (t->code[to] == TOKEN_COMMA)
		to++;
	else if (t->code[from - 1] == TOKEN_COMMA)
		from--;
	return (struct span){t->doc.p + t->pos[from], t->pos[to] - t->pos[from]};
}

static bool has_end_mark(const struct tokens *t, uint32_t annotations)
{
	bool yes = false;
	if (t->code[annotations] != TOKEN_OBJECT)
		return false;
	for (struct member m = member_first(annotations); member_next(t, &m);)
		if (m.name == MEMBER_INITIAL_EVENTS_END && t->code[m.value] == TOKEN_STRING)
			yes = unescape_equals(tokens_string(t, m.value), SPAN("true"));
	return yes;
}

/* What is asked for, and what is found, on the way down. */
struct scan {
	struct json_parser *p;
	struct json_object *object;
	bool strip_managed_fields;
	bool bookmark, initial_events_end;
	bool escaped_names; /* a member we looked for was written with escapes */
	bool unfit_name;    /* of the object: as ERR_JSON_NAME has it */
};

#define WANTED(name) (1u << MEMBER_##name)
static const uint32_t wanted_of_event = WANTED(TYPE) | WANTED(OBJECT);
static const uint32_t wanted_of_object = WANTED(KIND) | WANTED(API_VERSION) | WANTED(METADATA);
static const uint32_t wanted_of_metadata = WANTED(NAME) | WANTED(NAMESPACE) | WANTED(UID) |
                                           WANTED(RESOURCE_VERSION) | WANTED(MANAGED_FIELDS) |
                                           WANTED(ANNOTATIONS);

/* Goes to the next member whose name is among the wanted ones. One that comes twice is an error:
 * another reader might take the other one. */
static bool next_wanted(
        struct scan *s, struct member *m, uint32_t wanted, uint32_t *seen, err_t *error)
{
	while (member_next(&s->p->tokens, m)) {
		uint32_t bit = 1u << m->name & wanted;
		if (!bit) {
			s->object->more |= wanted == wanted_of_object;
			continue;
		}
		if (*seen & bit) {
			*error = ERR_JSON_SHAPE;
			return false;
		}
		*seen |= bit;
		s->escaped_names |= m->escaped;
		return true;
	}
	return false;
}

/* One that cannot be held is an error of the object as a whole, if there is no other: whoever
 * leaves it out for that must not leave out what is broken. */
static err_t scan_name(struct scan *s, uint32_t at)
{
	err_t e = scan_text(s->p, at, JSON_NAME_MAX, ERR_JSON_NAME, &s->object->name);
	if (LIKELY(e != ERR_JSON_NAME))
		return e;
	s->unfit_name = true;
	s->object->name = SPAN_NONE;
	return ERR_OK;
}

static err_t scan_metadata_member(struct scan *s, struct member *m)
{
	struct json_object *o = s->object;
	switch (m->name) {
	case MEMBER_NAME: return scan_name(s, m->value);
	case MEMBER_NAMESPACE: return scan_word(s->p, m->value, JSON_NAMESPACE_MAX, &o->namespace_);
	case MEMBER_UID: return scan_word(s->p, m->value, JSON_UID_MAX, &o->uid);
	case MEMBER_RESOURCE_VERSION:
		return scan_word(s->p, m->value, JSON_VERSION_MAX, &o->resource_version);
	case MEMBER_MANAGED_FIELDS:
		if (s->strip_managed_fields)
			o->cut = cut_of(&s->p->tokens, m);
		return ERR_OK;
	default:
		if (s->bookmark)
			s->initial_events_end = has_end_mark(&s->p->tokens, m->value);
		return ERR_OK;
	}
}

/* *end: the token behind it. */
static err_t scan_metadata(struct scan *s, uint32_t at, uint32_t *end)
{
	if (s->p->tokens.code[at] != TOKEN_OBJECT)
		return ERR_JSON_SHAPE;
	err_t e = ERR_OK;
	uint32_t seen = 0;
	struct member m = member_first(at);
	while (!e && next_wanted(s, &m, wanted_of_metadata, &seen, &e))
		e = scan_metadata_member(s, &m);
	*end = m.next + 1;
	return e;
}

static err_t scan_object(struct scan *s, uint32_t at, uint32_t *end)
{
	const struct tokens *t = &s->p->tokens;
	struct json_object *o = s->object;
	if (t->code[at] != TOKEN_OBJECT)
		return ERR_JSON_SHAPE;
	err_t e = ERR_OK;
	uint32_t seen = 0;
	struct member m = member_first(at);
	while (!e && next_wanted(s, &m, wanted_of_object, &seen, &e)) {
		if (m.name == MEMBER_METADATA)
			e = scan_metadata(s, m.value, &m.next);
		else
			e = scan_word(s->p, m.value, JSON_KIND_MAX,
			        m.name == MEMBER_KIND ? &o->kind : &o->api_version);
	}
	if (e)
		return e;
	o->raw = (struct span){t->doc.p + t->pos[at], t->pos[m.next] + 1 - t->pos[at]};
	*end = m.next + 1;
	return seen & WANTED(METADATA) ? ERR_OK : ERR_JSON_SHAPE;
}

/* --- events --------------------------------------------------------------------------------- */

static err_t event_type(struct span s, enum json_event_type *out)
{
	static const struct span types[] = {
	        [JSON_EVENT_ADDED] = {"ADDED", 5},
	        [JSON_EVENT_MODIFIED] = {"MODIFIED", 8},
	        [JSON_EVENT_DELETED] = {"DELETED", 7},
	        [JSON_EVENT_BOOKMARK] = {"BOOKMARK", 8},
	        [JSON_EVENT_ERROR] = {"ERROR", 5},
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (span_eq(s, types[i])) {
			*out = (enum json_event_type)i;
			return ERR_OK;
		}
	}
	return ERR_KUBE_EVENT;
}

/* The object of an event of known type. */
static err_t scan_event_object(struct scan *s, enum json_event_type type, struct member *m)
{
	const struct tokens *t = &s->p->tokens;
	struct json_object *o = s->object;
	if (type == JSON_EVENT_ERROR) { /* a Status, which has no name: json_scan_status reads it */
		if (t->code[m->value] != TOKEN_OBJECT)
			return ERR_JSON_SHAPE;
		uint32_t from = t->pos[m->value];
		o->raw = (struct span){t->doc.p + from, t->pos[member_end(t, m) - 1] + 1 - from};
		return ERR_OK;
	}
	s->bookmark = type == JSON_EVENT_BOOKMARK;
	err_t e = scan_object(s, m->value, &m->next);
	if (e)
		return e;
	/* Without a version an event has no place in the order, and nothing could be resumed from
	 * it. */
	if (o->resource_version.n == 0 || (o->name.n == 0 && s->bookmark == s->unfit_name))
		return ERR_JSON_SHAPE;
	return ERR_OK;
}

static err_t scan_event(struct scan *s, struct json_event *out, struct span *type)
{
	const struct tokens *t = &s->p->tokens;
	if (t->code[0] != TOKEN_OBJECT)
		return ERR_JSON_SHAPE;
	struct member object = {0}, m = member_first(0);
	err_t e = ERR_OK;
	bool has_type = false;
	uint32_t seen = 0;
	while (!e && next_wanted(s, &m, wanted_of_event, &seen, &e)) {
		if (m.name == MEMBER_TYPE) {
			has_type = t->code[m.value] == TOKEN_STRING;
			e = scan_word(s->p, m.value, JSON_KIND_MAX, type);
			if (!e && has_type)
				e = event_type(*type, &out->type);
		} else if (has_type) { /* the usual order: one walk */
			e = scan_event_object(s, out->type, &m);
			object = m;
		} else {
			object = m;
		}
	}
	if (e)
		return e;
	if (!has_type || !object.value)
		return ERR_JSON_SHAPE;
	if (!out->object.raw.p)
		e = scan_event_object(s, out->type, &object);
	return UNLIKELY(s->unfit_name) && !e ? ERR_JSON_NAME : e;
}

static bool audit_due(struct json_hint *hint, size_t bytes)
{
	return hint && hint->events++ % AUDIT_PERIOD == 0 && bytes <= AUDIT_BYTES_MAX;
}

/* type: empty when the document is the object. */
static err_t audit(struct json_parser *p, const struct json_object *o, struct span type, bool whole)
{
	struct span doc = p->tokens.doc;
	struct simd_claim claim = {
	        .type = type.p,
	        .type_bytes = type.n,
	        .has_object = whole,
	        .text = {o->name.p, o->namespace_.p, o->uid.p, o->resource_version.p},
	        .text_bytes = {o->name.n, o->namespace_.n, o->uid.n, o->resource_version.n},
	        .object_at = (size_t)(o->raw.p - doc.p),
	        .object_bytes = o->raw.n,
	};
	bool agrees = simd_agrees(p->tokens.simd, doc.p, doc.n, &claim);
	CHECK_SLOW(agrees);
	p->disputes += !agrees;
	return agrees ? ERR_OK : ERR_JSON_SYNTAX;
}

uint64_t json_parser_disputes(const struct json_parser *p)
{
	return p->disputes;
}

err_t json_scan_event(struct json_parser *p, struct span doc, bool strip_managed_fields,
        struct json_hint *hint, struct json_event *out)
{
	*out = (struct json_event){0};
	struct scan s = {
	        .p = p, .object = &out->object, .strip_managed_fields = strip_managed_fields};
	struct span type = SPAN_NONE;
	err_t e = parser_read(p, doc);
	if (!e)
		e = scan_event(&s, out, &type);
	if (!e && audit_due(hint, doc.n) && !s.escaped_names)
		e = audit(p, &out->object, type, out->type != JSON_EVENT_ERROR);
	out->initial_events_end = s.initial_events_end;
	return e;
}

err_t json_scan_object(struct json_parser *p, struct span doc, bool strip_managed_fields,
        struct json_hint *hint, struct json_object *out)
{
	*out = (struct json_object){0};
	struct scan s = {.p = p, .object = out, .strip_managed_fields = strip_managed_fields};
	err_t e = parser_read(p, doc);
	uint32_t end;
	if (!e)
		e = scan_object(&s, 0, &end);
	if (!e && out->name.n == 0)
		e = s.unfit_name ? ERR_JSON_NAME : ERR_JSON_SHAPE;
	if (!e && audit_due(hint, doc.n) && !s.escaped_names)
		e = audit(p, out, SPAN_NONE, true);
	return e;
}
