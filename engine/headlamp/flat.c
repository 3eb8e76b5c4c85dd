#include "headlamp/flat.h"

#include <stdint.h>

#include "base/check.h"
#include "json/json.h"

struct cursor {
	const char *p, *end; /* *end may be read, and means nothing */
	char *to;
	const struct flat_strings *strings;
};

static bool at(const struct cursor *c, char what)
{
	return c->p < c->end && *c->p == what;
}

static void space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
		c->p++;
}

static bool take(struct cursor *c, char what)
{
	space(c);
	if (!at(c, what))
		return false;
	c->p++;
	return true;
}

/* The text is behind c->to, which does not move. */
static bool string(struct cursor *c, struct span *text)
{
	if (!at(c, '"'))
		return false;
	struct quoted q = {c->p + 1, c->end, c->to};
	if (!c->strings->read(&q, c->strings->moves))
		return false;
	*text = (struct span){c->to, (size_t)(q.to - c->to)};
	c->p = q.p;
	return true;
}

static bool literal(struct cursor *c, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n))
		return false;
	c->p += n;
	return true;
}

static bool digits(struct cursor *c)
{
	const char *start = c->p;
	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	return c->p > start;
}

static bool number(struct cursor *c)
{
	if (at(c, '-'))
		c->p++;
	if (at(c, '0'))
		c->p++;
	else if (!digits(c))
		return false;
	if (at(c, '.')) {
		c->p++;
		if (!digits(c))
			return false;
	}
	if (at(c, 'e') || at(c, 'E')) {
		c->p++;
		if (at(c, '+') || at(c, '-'))
			c->p++;
		return digits(c);
	}
	return true;
}

static bool scalar(struct cursor *c)
{
	struct span ignored;
	if (at(c, '"'))
		return string(c, &ignored);
	return literal(c, "true") || literal(c, "false") || literal(c, "null") || number(c);
}

static bool key(struct cursor *c, struct span *name)
{
	space(c);
	return string(c, name) && take(c, ':');
}

/* A value of any kind. No recursion: what is open is a bit each, set for an object. */
static bool skip(struct cursor *c)
{
	uint64_t objects[JSON_DEPTH_MAX / 64] = {0};
	unsigned depth = 0;
	for (;;) {
		struct span ignored;
		space(c);
		bool object = at(c, '{');
		if (object || at(c, '[')) {
			if (depth == JSON_DEPTH_MAX - 1) /* one is open around it */
				return false;
			uint64_t bit = UINT64_C(1) << depth % 64;
			objects[depth / 64] = (objects[depth / 64] & ~bit) | (object ? bit : 0);
			depth++;
			c->p++;
			space(c);
			if (!at(c, object ? '}' : ']')) {
				if (object && !key(c, &ignored))
					return false;
				continue;
			}
		} else if (!scalar(c)) {
			return false;
		}
		for (;; depth--) { /* behind a value, or at the end of what is open */
			if (depth == 0)
				return true;
			object = objects[(depth - 1) / 64] >> (depth - 1) % 64 & 1;
			if (take(c, ',')) {
				if (object && !key(c, &ignored))
					return false;
				break;
			}
			if (!take(c, object ? '}' : ']'))
				return false;
		}
	}
}

/* Does c stand at that name, written without escapes? The slack behind the text makes 16 bytes
 * readable. */
static bool stands_at(const struct cursor *c, const struct flat_name *n)
{
	uint64_t got[2], want[2];
	unsigned bits = 8 * (n->name_bytes + 1u);
	memcpy(got, c->p + 1, 16);
	memcpy(want, n->name, 16);
	uint64_t low = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
	uint64_t high = bits > 64 ? (UINT64_C(1) << (bits - 64)) - 1 : 0;
	return !(((got[0] ^ want[0]) & low) | ((got[1] ^ want[1]) & high)) &&
	       (size_t)(c->end - c->p) >= n->name_bytes + 2u;
}

/* Which of the known names is there; f->count: none of them. The one that follows the last one is
 * tried first. False: no string at all. */
static bool name(struct cursor *c, const struct flat *f, size_t guess, size_t *which)
{
	struct span text;
	if (at(c, '"') && guess < f->count && stands_at(c, &f->names[guess])) {
		c->p += f->names[guess].name_bytes + 2u;
		*which = guess;
		return true;
	}
	if (!string(c, &text))
		return false;
	for (*which = 0; *which < f->count; ++*which)
		if (span_eq(text,
		            (struct span){f->names[*which].name, f->names[*which].name_bytes}))
			break;
	return true;
}

static const char *member(struct cursor *c, struct flat *f, size_t *guess)
{
	size_t which;
	if (!name(c, f, *guess, &which))
		return "a member has no name";
	if (!take(c, ':'))
		return "no colon behind a name";
	if (which == f->count)
		return skip(c) ? NULL : "a member that is not known is not valid JSON";
	*guess = which + 1;
	uint32_t bit = UINT32_C(1) << which;
	if (f->seen & bit)
		return "a member is there twice";
	space(c);
	if (f->names[which].is_bool) {
		f->seen |= bit;
		f->truth |= at(c, 't') ? bit : 0;
		f->text[which] = SPAN_NONE;
		return literal(c, at(c, 't') ? "true" : "false") ? NULL
		                                                 : "a boolean is something else";
	}
	if (!at(c, '"'))
		return "a member that must be a string is none";
	if (!string(c, &f->text[which]))
		return "a string is broken";
	f->seen |= bit;
	c->to += f->text[which].n;
	return NULL;
}

const char *flat_read(const struct flat_strings *s, struct span doc, struct flat *f, char *buf)
{
	struct cursor c = {doc.p, doc.p ? doc.p + doc.n : doc.p, buf, s};
	size_t guess = 0;
	f->seen = f->truth = 0;
	if (!take(&c, '{'))
		return "it is no JSON object";
	if (!take(&c, '}')) {
		do {
			space(&c);
			const char *wrong = member(&c, f, &guess);
			if (wrong)
				return wrong;
		} while (take(&c, ','));
		if (!take(&c, '}'))
			return "the object does not end";
	}
	space(&c);
	return c.p == c.end ? NULL : "something stands behind the object";
}
