/* patch.c - RFC 7386 merge patch between two JSON texts, in one pass over both, with no allocation.
 *
 * Two cursors walk the members of both objects in step; where the order is the same (the rule for
 * what Kubernetes prints) each member is found at once, elsewhere by a scan of the object, under a
 * budget. Bytes that are equal in both texts are skipped as a run (run_covers). Objects on both
 * sides are entered, with an explicit stack; the enclosing `"key":{` are written only when a
 * difference turns up below them. Arrays and scalars are replaced whole.
 *
 * What the RFC cannot say: in a patch, null means "remove". So a member whose new value is null
 * ends up absent (Kubernetes takes the two for the same), and the nulls inside an object that is
 * new are dropped by whoever applies the patch. Inside arrays nulls are kept. Numbers, and arrays,
 * are equal when their text is; strings when their value is. Too big a patch is still right, a
 * member missed would not be.
 *
 * The texts come from a server, so they may be anything: every step is bounded by `end`, depth by
 * PATCH_DEPTH_MAX, searching by the budget. What is skipped is checked for brackets and quotes
 * only; a text that is no JSON gives KR_ERR_JSON or a patch without meaning.
 */
#include "client/json_skip.h"
#include "include/kubering.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	PATCH_DEPTH_MAX = 128,
	/* Bytes that searching for members may touch: so many for free, and so often both texts. */
	PATCH_BUDGET_BYTES = 64 << 20,
	PATCH_BUDGET_TIMES = 64,
};

/* One member of an object: raw key with its quotes, and where its value starts. */
struct patch_member {
	const char *key;
	size_t key_bytes;
	const char *value;
};

/* One text. */
struct patch_side {
	const char *at, *end;
};

/* A pair of objects under comparison. Cursors stand behind '{' or behind a value. */
struct patch_frame {
	const char *from, *to;       /* behind the '{' */
	const char *at_from, *at_to; /* cursors */
	const char *key;             /* raw, in `to`; the member of the parent */
	size_t key_bytes;
	bool jumped;   /* some member was not found in step: members may be missing */
	bool deleting; /* second pass: members of from that are not in to */
	bool comma;    /* something was written at this level */
};

struct patch {
	const char *from_end, *to_end;
	const char *run_end; /* from: bytes before it equal those of to at run_delta */
	ptrdiff_t run_delta;
	uint64_t budget;
	char *out;
	size_t out_bytes, out_at;
	unsigned depth, opened; /* frames, and how many of them have their '{' written */
	struct patch_frame frames[PATCH_DEPTH_MAX];
};

/* --- output ---------------------------------------------------------------------------------- */

static void put(struct patch *x, const char *p, size_t n)
{
	if (n <= x->out_bytes && x->out_at <= x->out_bytes - n)
		memcpy(x->out + x->out_at, p, n);
	x->out_at += n;
}

static void put_key(struct patch *x, struct patch_frame *f, const char *key, size_t key_bytes)
{
	if (f->comma)
		put(x, ",", 1);
	f->comma = true;
	put(x, key, key_bytes);
	put(x, ":", 1);
}

static void put_member(
        struct patch *x, const char *key, size_t key_bytes, const char *value, size_t value_bytes)
{
	for (; x->opened < x->depth; x->opened++) {
		struct patch_frame *f = &x->frames[x->opened];
		if (x->opened > 0)
			put_key(x, f - 1, f->key, f->key_bytes);
		put(x, "{", 1);
	}
	put_key(x, &x->frames[x->depth - 1], key, key_bytes);
	put(x, value, value_bytes);
}

/* --- members --------------------------------------------------------------------------------- */

/* The member at *at of the object that starts at start. 1: there is one, *at stays; 0: the object
 * ends, *at is behind its '}'; else KR_ERR_JSON. */
static int member_next(const char *start, const char **at, const char *end, struct patch_member *m)
{
	const char *p = json_space(*at, end);
	if (p == end)
		return KR_ERR_JSON;
	if (*p == '}') {
		*at = p + 1;
		return 0;
	}
	if (*at != start) {
		if (*p != ',')
			return KR_ERR_JSON;
		p = json_space(p + 1, end);
	}
	m->key = p;
	p = json_string(p, end);
	if (!p)
		return KR_ERR_JSON;
	m->key_bytes = (size_t)(p - m->key);
	p = json_space(p, end);
	if (p == end || *p != ':')
		return KR_ERR_JSON;
	m->value = json_space(p + 1, end);
	return m->value == end ? KR_ERR_JSON : 1;
}

static bool spend(struct patch *x, const char *from, const char *to)
{
	uint64_t n = (uint64_t)(to - from);
	if (n > x->budget)
		return false;
	x->budget -= n;
	return true;
}

/* Looks for key in the members from *at to stop (NULL: to the end of the object). 1: found; 0: not,
 * *at stands at stop or behind the object. */
static int member_scan(struct patch *x, const char *start, struct patch_side *side,
        const char *stop, const struct patch_member *key, struct patch_member *out)
{
	while (side->at != stop) {
		const char *before = side->at;
		int r = member_next(start, &side->at, side->end, out);
		if (r <= 0)
			return r;
		if (json_string_equal(key->key, key->key_bytes, out->key, out->key_bytes))
			return 1;
		side->at = json_value(out->value, side->end, PATCH_DEPTH_MAX - x->depth);
		if (!side->at)
			return KR_ERR_JSON;
		if (!spend(x, before, side->at))
			return KR_ERR_LIMIT;
	}
	return 0;
}

/* Finds key in an object: at the cursor, behind it, then before it. *stepped: it was at the cursor.
 */
static int member_find(struct patch *x, const char *start, struct patch_side side,
        const struct patch_member *key, struct patch_member *out, bool *stepped)
{
	const char *cursor = side.at;
	int r = member_next(start, &side.at, side.end, out);
	if (r < 0)
		return r;
	*stepped = r == 1 && json_string_equal(key->key, key->key_bytes, out->key, out->key_bytes);
	if (*stepped)
		return 1;
	side.at = cursor;
	r = member_scan(x, start, &side, NULL, key, out);
	if (r != 0)
		return r;
	side.at = start;
	return member_scan(x, start, &side, cursor, key, out);
}

/* --- comparison ------------------------------------------------------------------------------ */

/* The end of the value at from, if all of it is known to be equal to what stands at to; else NULL.
 */
static const char *run_covers(struct patch *x, const char *from, const char *to)
{
	if (to - from != x->run_delta || from >= x->run_end) {
		size_t n = (size_t)(x->from_end - from), m = (size_t)(x->to_end - to);
		x->run_end = from + json_common(from, to, n < m ? n : m);
		x->run_delta = to - from;
		if (!spend(x, from, x->run_end))
			x->run_end = from;
	}
	const char *end = json_value(from, x->run_end, PATCH_DEPTH_MAX - x->depth);
	bool closed = end && memchr("\"}]", end[-1], 3); /* else a number that may go on */
	return end < x->run_end || closed ? end : NULL;
}

static bool values_equal(const char *a, size_t an, const char *b, size_t bn)
{
	if (an == bn && memcmp(a, b, an) == 0)
		return true;
	/* Longer than a quote: a borrowed text may be another since its end was found. */
	return an > 1 && bn > 1 && *a == '"' && *b == '"' && json_string_equal(a, an, b, bn);
}

/* Member t of to was found as member s of from. Moves the cursors, or enters both objects. */
static int compare_member(struct patch *x, struct patch_frame *f, const struct patch_member *s,
        const struct patch_member *t)
{
	const char *end = run_covers(x, s->value, t->value);
	if (end) {
		f->at_from = end;
		f->at_to = t->value + (end - s->value);
		return KR_OK;
	}
	if (*s->value == '{' && *t->value == '{') {
		if (x->depth == PATCH_DEPTH_MAX)
			return KR_ERR_JSON;
		x->frames[x->depth++] = (struct patch_frame){
		        .from = s->value + 1,
		        .to = t->value + 1,
		        .at_from = s->value + 1,
		        .at_to = t->value + 1,
		        .key = t->key,
		        .key_bytes = t->key_bytes,
		};
		return KR_OK;
	}
	f->at_from = json_value(s->value, x->from_end, PATCH_DEPTH_MAX - x->depth);
	f->at_to = json_value(t->value, x->to_end, PATCH_DEPTH_MAX - x->depth);
	if (!f->at_from || !f->at_to)
		return KR_ERR_JSON;
	size_t bytes = (size_t)(f->at_to - t->value);
	if (!values_equal(s->value, (size_t)(f->at_from - s->value), t->value, bytes))
		put_member(x, t->key, t->key_bytes, t->value, bytes);
	return KR_OK;
}

/* Both objects are done: close it, and go on behind them in the parent. */
static void leave(struct patch *x, const char *from_end, const char *to_end)
{
	if (x->opened == x->depth) {
		put(x, "}", 1);
		x->opened--;
	}
	x->depth--;
	if (x->depth > 0) {
		x->frames[x->depth - 1].at_from = from_end;
		x->frames[x->depth - 1].at_to = to_end;
	} else { /* what stands behind the document */
		x->frames[0].at_from = from_end;
		x->frames[0].at_to = to_end;
	}
}

/* One member of to: the same, changed, or new in from. */
static int step_member(struct patch *x, struct patch_frame *f)
{
	struct patch_member s, t;
	int r = member_next(f->to, &f->at_to, x->to_end, &t);
	if (r < 0)
		return r;
	if (r == 0) { /* to is done; is anything left in from? */
		const char *at = f->at_from;
		r = f->jumped ? 1 : member_next(f->from, &at, x->from_end, &s);
		if (r < 0)
			return r;
		if (r == 0) {
			leave(x, at, f->at_to);
			return KR_OK;
		}
		f->deleting = true;
		f->at_from = f->from;
		f->at_to = f->to;
		return KR_OK;
	}
	bool stepped = false;
	struct patch_side from = {f->at_from, x->from_end};
	r = member_find(x, f->from, from, &t, &s, &stepped);
	if (r < 0)
		return r;
	f->jumped |= !stepped;
	if (r == 1)
		return compare_member(x, f, &s, &t);
	f->at_to = json_value(t.value, x->to_end, PATCH_DEPTH_MAX - x->depth);
	if (!f->at_to)
		return KR_ERR_JSON;
	if (*t.value != 'n') /* a new null is no member (see above) */
		put_member(x, t.key, t.key_bytes, t.value, (size_t)(f->at_to - t.value));
	return KR_OK;
}

/* One member of from: is it gone in to? */
static int step_delete(struct patch *x, struct patch_frame *f)
{
	struct patch_member s, t;
	int r = member_next(f->from, &f->at_from, x->from_end, &s);
	if (r < 0)
		return r;
	if (r == 0) {
		struct patch_member left; /* to is at its end or has members that from does not */
		while ((r = member_next(f->to, &f->at_to, x->to_end, &left)) == 1) {
			f->at_to = json_value(left.value, x->to_end, PATCH_DEPTH_MAX - x->depth);
			if (!f->at_to)
				return KR_ERR_JSON;
		}
		if (r < 0)
			return r;
		leave(x, f->at_from, f->at_to);
		return KR_OK;
	}
	bool stepped = false;
	struct patch_side to = {f->at_to, x->to_end};
	r = member_find(x, f->to, to, &s, &t, &stepped);
	if (r < 0)
		return r;
	if (r == 1) {
		f->at_to = json_value(t.value, x->to_end, PATCH_DEPTH_MAX - x->depth);
		if (!f->at_to)
			return KR_ERR_JSON;
	} else {
		put_member(x, s.key, s.key_bytes, "null", 4);
	}
	f->at_from = json_value(s.value, x->from_end, PATCH_DEPTH_MAX - x->depth);
	return f->at_from ? KR_OK : KR_ERR_JSON;
}

static int patch_objects(struct patch *x, const char *from, const char *to)
{
	x->depth = 1;
	x->frames[0] = (struct patch_frame){
	        .from = from + 1, .to = to + 1, .at_from = from + 1, .at_to = to + 1};
	while (x->depth > 0) {
		struct patch_frame *f = &x->frames[x->depth - 1];
		int r = f->deleting ? step_delete(x, f) : step_member(x, f);
		if (r != KR_OK)
			return r;
	}
	if (x->out_at == 0)
		put(x, "{}", 2);
	bool clean = json_space(x->frames[0].at_from, x->from_end) == x->from_end &&
	             json_space(x->frames[0].at_to, x->to_end) == x->to_end;
	return clean ? KR_OK : KR_ERR_JSON;
}

/* --- public ---------------------------------------------------------------------------------- */

/* to replaces from whole. */
static int patch_replace(struct patch *x, const char *to)
{
	const char *end = json_value(to, x->to_end, PATCH_DEPTH_MAX);
	if (!end || json_space(end, x->to_end) != x->to_end)
		return KR_ERR_JSON;
	put(x, to, (size_t)(end - to));
	return KR_OK;
}

int kr_merge_patch(const char *from, size_t from_bytes, const char *to, size_t to_bytes, char *buf,
        size_t buf_bytes, size_t *size)
{
	if (!size || (!from && from_bytes) || (!to && to_bytes) || (!buf && buf_bytes))
		return KR_ERR_ARGUMENT;
	*size = 0;
	if (from_bytes == 0 || to_bytes == 0)
		return KR_ERR_JSON;
	/* 10 KiB; frames are set as they are entered, and clearing them all would cost more than
	 * the rest. */
	struct patch x __attribute__((uninitialized));
	x.from_end = from + from_bytes;
	x.to_end = to + to_bytes;
	x.run_end = from;
	x.run_delta = 0;
	x.budget = PATCH_BUDGET_BYTES + PATCH_BUDGET_TIMES * ((uint64_t)from_bytes + to_bytes);
	x.out = buf;
	x.out_bytes = buf_bytes;
	x.out_at = 0;
	x.depth = x.opened = 0;
	const char *a = json_space(from, x.from_end), *b = json_space(to, x.to_end);
	if (a == x.from_end || b == x.to_end)
		return KR_ERR_JSON;
	int r = *a == '{' && *b == '{' ? patch_objects(&x, a, b) : patch_replace(&x, b);
	if (r != KR_OK)
		return r;
	*size = x.out_at;
	return x.out_at <= buf_bytes ? KR_OK : KR_ERR_SPACE;
}

int kr_change_diff(const struct kr_change *change, char *buf, size_t buf_bytes, size_t *size)
{
	if (!change || !size || (!buf && buf_bytes))
		return KR_ERR_ARGUMENT;
	const struct kr_object *now = &change->object, *before = &change->old_object;
	const char *text = NULL;
	size_t bytes = 0;
	if (change->type == KR_MODIFIED) {
		return kr_merge_patch(before->json, before->json_bytes, now->json, now->json_bytes,
		        buf, buf_bytes, size);
	} else if (change->type == KR_ADDED) {
		text = now->json;
		bytes = now->json_bytes;
	} else if (change->type == KR_DELETED) {
		text = "null";
		bytes = 4;
	} else {
		return KR_ERR_ARGUMENT;
	}
	*size = bytes;
	if (bytes > buf_bytes)
		return KR_ERR_SPACE;
	memcpy(buf, text, bytes);
	return KR_OK;
}
