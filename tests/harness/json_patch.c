#include "harness/json_patch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum patch_kind { PATCH_BARE, PATCH_STRING, PATCH_ARRAY, PATCH_OBJECT };

struct patch_value {
	enum patch_kind kind;
	char *text; /* BARE, STRING (decoded, may hold NUL): own */
	size_t bytes;
	/* ARRAY, OBJECT */
	struct patch_value **items; /* own */
	struct patch_value **names; /* own; STRING values */
	size_t count;
};

struct reader {
	const unsigned char *p, *end;
	unsigned depth;
};

static struct patch_value *value_new(enum patch_kind kind)
{
	struct patch_value *v = calloc(1, sizeof *v);
	v->kind = kind;
	return v;
}

void patch_free(struct patch_value *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->count; i++) {
		patch_free(v->items[i]);
		if (v->names)
			patch_free(v->names[i]);
	}
	free(v->items);
	free(v->names);
	free(v->text);
	free(v);
}

static void space(struct reader *r)
{
	while (r->p < r->end && strchr(" \t\n\r", *r->p) && *r->p)
		r->p++;
}

static void push(struct patch_value *v, struct patch_value *name, struct patch_value *item)
{
	v->items = realloc(v->items, (v->count + 1) * sizeof *v->items);
	v->items[v->count] = item;
	if (v->kind == PATCH_OBJECT) {
		v->names = realloc(v->names, (v->count + 1) * sizeof *v->names);
		v->names[v->count] = name;
	}
	v->count++;
}

static void put_byte(struct patch_value *v, unsigned c)
{
	v->text = realloc(v->text, v->bytes + 1);
	v->text[v->bytes++] = (char)c;
}

static void put_code(struct patch_value *v, uint32_t c)
{
	if (c < 0x80) {
		put_byte(v, c);
	} else if (c < 0x800) {
		put_byte(v, 0xc0 | c >> 6);
		put_byte(v, 0x80 | (c & 63));
	} else if (c < 0x10000) {
		put_byte(v, 0xe0 | c >> 12);
		put_byte(v, 0x80 | (c >> 6 & 63));
		put_byte(v, 0x80 | (c & 63));
	} else {
		put_byte(v, 0xf0 | c >> 18);
		put_byte(v, 0x80 | (c >> 12 & 63));
		put_byte(v, 0x80 | (c >> 6 & 63));
		put_byte(v, 0x80 | (c & 63));
	}
}

static bool hex(struct reader *r, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *d = r->p < r->end && *r->p ? strchr(digits, *r->p) : NULL;
		if (!d)
			return false;
		*out = *out << 4 | (uint32_t)((d - digits) % 16);
		r->p++;
	}
	return true;
}

static bool escape(struct reader *r, struct patch_value *v)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t c, low;
	if (r->p == r->end)
		return false;
	unsigned e = *r->p++;
	if (e != 'u') {
		const char *s = e ? strchr(from, (int)e) : NULL;
		if (!s)
			return false;
		put_byte(v, (unsigned char)to[s - from]);
		return true;
	}
	if (!hex(r, &c))
		return false;
	if (c >= 0xd800 && c < 0xe000) { /* strict: pairs only */
		if (c >= 0xdc00 || r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
			return false;
		r->p += 2;
		if (!hex(r, &low) || low < 0xdc00 || low >= 0xe000)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_code(v, c);
	return true;
}

static struct patch_value *string(struct reader *r)
{
	struct patch_value *v = value_new(PATCH_STRING);
	bool ok = true;
	for (r->p++; ok && r->p < r->end && *r->p != '"';) {
		unsigned c = *r->p++;
		ok = c >= 0x20;
		if (c != '\\')
			put_byte(v, c);
		else
			ok = escape(r, v);
	}
	if (ok && r->p < r->end) {
		r->p++;
		return v;
	}
	patch_free(v);
	return NULL;
}

static bool digits(struct reader *r)
{
	const unsigned char *start = r->p;
	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > start;
}

static bool number(struct reader *r)
{
	if (r->p < r->end && *r->p == '-')
		r->p++;
	const unsigned char *start = r->p;
	if (!digits(r) || (*start == '0' && r->p - start > 1))
		return false;
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!digits(r))
			return false;
	}
	if (r->p < r->end && (*r->p | 32) == 'e') {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		return digits(r);
	}
	return true;
}

static struct patch_value *bare(struct reader *r)
{
	static const char *const words[] = {"true", "false", "null"};
	const unsigned char *start = r->p;
	bool ok = false;
	for (int i = 0; i < 3 && !ok; i++) {
		size_t n = strlen(words[i]);
		ok = (size_t)(r->end - r->p) >= n && memcmp(r->p, words[i], n) == 0;
		if (ok)
			r->p += n;
	}
	if (!ok && !number(r))
		return NULL;
	struct patch_value *v = value_new(PATCH_BARE);
	while (start < r->p)
		put_byte(v, *start++);
	return v;
}

static bool same_text(const struct patch_value *a, const struct patch_value *b)
{
	return a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->text, b->text, a->bytes) == 0);
}

static ptrdiff_t find(const struct patch_value *object, const struct patch_value *name)
{
	for (size_t i = 0; i < object->count; i++)
		if (same_text(object->names[i], name))
			return (ptrdiff_t)i;
	return -1;
}

static struct patch_value *value(struct reader *r);

/* One member or item into v; false: broken. */
static bool item(struct reader *r, struct patch_value *v)
{
	struct patch_value *name = NULL;
	space(r);
	if (v->kind == PATCH_OBJECT) {
		if (r->p == r->end || *r->p != '"' || !(name = string(r)))
			return false;
		space(r);
		if (r->p == r->end || *r->p != ':' || find(v, name) >= 0) {
			patch_free(name);
			return false;
		}
		r->p++;
	}
	struct patch_value *it = value(r);
	if (!it) {
		patch_free(name);
		return false;
	}
	push(v, name, it);
	return true;
}

static struct patch_value *container(struct reader *r, enum patch_kind kind, char close)
{
	struct patch_value *v = value_new(kind);
	r->p++;
	space(r);
	bool ok = ++r->depth <= 128;
	if (ok && r->p < r->end && *r->p == (unsigned char)close) {
		r->p++;
		r->depth--;
		return v;
	}
	while (ok) {
		ok = item(r, v);
		space(r);
		if (!ok || r->p == r->end)
			break;
		unsigned char c = *r->p++;
		if (c == (unsigned char)close) {
			r->depth--;
			return v;
		}
		ok = c == ',';
	}
	patch_free(v);
	return NULL;
}

static struct patch_value *value(struct reader *r)
{
	space(r);
	if (r->p == r->end)
		return NULL;
	switch (*r->p) {
	case '{': return container(r, PATCH_OBJECT, '}');
	case '[': return container(r, PATCH_ARRAY, ']');
	case '"': return string(r);
	default: return bare(r);
	}
}

struct patch_value *patch_parse(const char *p, size_t n)
{
	struct reader r = {(const unsigned char *)p, (const unsigned char *)p + n, 0};
	struct patch_value *v = value(&r);
	space(&r);
	if (v && r.p != r.end) {
		patch_free(v);
		return NULL;
	}
	return v;
}

static bool is_null(const struct patch_value *v)
{
	return v->kind == PATCH_BARE && v->bytes == 4 && memcmp(v->text, "null", 4) == 0;
}

static void drop(struct patch_value *object, size_t i)
{
	patch_free(object->items[i]);
	patch_free(object->names[i]);
	object->count--;
	memmove(object->items + i, object->items + i + 1,
	        (object->count - i) * sizeof *object->items);
	memmove(object->names + i, object->names + i + 1,
	        (object->count - i) * sizeof *object->names);
}

struct patch_value *patch_apply(struct patch_value *target, struct patch_value *patch)
{
	if (patch->kind != PATCH_OBJECT) {
		patch_free(target);
		return patch;
	}
	if (!target || target->kind != PATCH_OBJECT) {
		patch_free(target);
		target = value_new(PATCH_OBJECT);
	}
	for (size_t i = 0; i < patch->count; i++) {
		ptrdiff_t at = find(target, patch->names[i]);
		struct patch_value *name = patch->names[i], *item = patch->items[i];
		if (is_null(item)) {
			if (at >= 0)
				drop(target, (size_t)at);
			patch_free(item);
			patch_free(name);
		} else if (at >= 0) {
			target->items[at] = patch_apply(target->items[at], item);
			patch_free(name);
		} else {
			push(target, name, patch_apply(NULL, item));
		}
	}
	patch->count = 0; /* all of it was taken */
	patch_free(patch);
	return target;
}

void patch_drop_nulls(struct patch_value *v)
{
	if (v->kind != PATCH_OBJECT)
		return;
	for (size_t i = v->count; i-- > 0;) {
		if (is_null(v->items[i]))
			drop(v, i);
		else
			patch_drop_nulls(v->items[i]);
	}
}

bool patch_equal(const struct patch_value *a, const struct patch_value *b)
{
	if (a->kind != b->kind || a->count != b->count)
		return false;
	if (a->kind == PATCH_BARE || a->kind == PATCH_STRING)
		return same_text(a, b);
	for (size_t i = 0; i < a->count; i++) {
		ptrdiff_t at = a->kind == PATCH_OBJECT ? find(b, a->names[i]) : (ptrdiff_t)i;
		if (at < 0 || !patch_equal(a->items[i], b->items[at]))
			return false;
	}
	return true;
}
