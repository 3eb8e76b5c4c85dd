#include "kubering/print/diff.h"

#include "kubering/print/json.h"

enum {
	VALUE_CHARS = 120, /* of a long value */
	DEPTH_MAX = 64,    /* deeper differences are shown as one */
};

struct diff {
	struct text *out, path, value;
	unsigned depth;
};

static void value(struct diff *d, struct json_node n)
{
	text_clear(&d->value);
	json_add_node(&d->value, n);
	size_t cut = d->value.n;
	if (cut > VALUE_CHARS)
		for (cut = VALUE_CHARS; cut > 0 && ((unsigned char)d->value.p[cut] & 0xc0) == 0x80;)
			cut--; /* not inside a character */
	text_add_safe(d->out, (struct span){d->value.p, cut});
	if (cut < d->value.n)
		text_printf(d->out, "... (%zu bytes)", d->value.n);
}

static bool is_null(struct json_node n)
{
	return !json_dom_exists(n) || json_dom_type(n) == JSON_NULL;
}

static void say(struct diff *d, struct json_node old, struct json_node new)
{
	if (span_is((struct span){d->path.p, d->path.n}, "metadata.resourceVersion"))
		return;
	text_add(d->out, SPAN("  "));
	text_add_safe(d->out, (struct span){d->path.p, d->path.n});
	text_add(d->out, SPAN(": "));
	if (json_dom_exists(old))
		value(d, old);
	else
		text_add(d->out, SPAN("(none)"));
	text_add(d->out, SPAN(" -> "));
	if (is_null(new))
		text_add(d->out, SPAN("(none)"));
	else
		value(d, new);
	text_add_char(d->out, '\n');
}

static bool same(struct json_node a, struct json_node b)
{
	struct text x = {0}, y = {0};
	json_add_node(&x, a);
	json_add_node(&y, b);
	bool r = span_eq((struct span){x.p, x.n}, (struct span){y.p, y.n});
	text_fini(&x);
	text_fini(&y);
	return r;
}

/* Names with a dot or a bracket are written ["like.this"]. */
static void push_key(struct diff *d, struct span key)
{
	bool plain = key.n > 0;
	for (size_t i = 0; i < key.n; i++)
		plain &= key.p[i] != '.' && key.p[i] != '[' && key.p[i] != '"';
	if (plain) {
		if (d->path.n > 0)
			text_add_char(&d->path, '.');
		text_add(&d->path, key);
		return;
	}
	text_add_char(&d->path, '[');
	json_add_string(&d->path, key);
	text_add_char(&d->path, ']');
}

static void pop(struct diff *d, size_t n)
{
	d->path.n = n;
	if (d->path.p)
		d->path.p[n] = '\0';
}

static struct json_node member(struct json_node object, struct span key)
{
	struct json_iter it = {0};
	struct json_node v;
	struct span k;
	while (json_dom_next(object, &it, &k, &v))
		if (span_eq(k, key))
			return v;
	return (struct json_node){0};
}

static bool both(struct json_node a, struct json_node b, enum json_type t)
{
	return json_dom_exists(a) && json_dom_exists(b) && json_dom_type(a) == t &&
	       json_dom_type(b) == t;
}

static void compare(struct diff *d, struct json_node old, struct json_node new, bool patch);

static void compare_arrays(struct diff *d, struct json_node old, struct json_node new)
{
	struct json_iter io = {0}, in = {0};
	size_t at = d->path.n;
	for (unsigned i = 0;; i++) {
		struct json_node o = {0}, n = {0};
		bool has_o = json_dom_next(old, &io, NULL, &o),
		     has_n = json_dom_next(new, &in, NULL, &n);
		if (!has_o && !has_n)
			break;
		text_printf(&d->path, "[%u]", i);
		compare(d, has_o ? o : (struct json_node){0}, has_n ? n : (struct json_node){0},
		        false);
		pop(d, at);
	}
}

/* patch: members that new does not have stay; otherwise they are gone. */
static void compare_objects(struct diff *d, struct json_node old, struct json_node new, bool patch)
{
	struct json_iter it = {0}, io = {0};
	struct json_node v;
	struct span key;
	size_t at = d->path.n;
	while (json_dom_next(new, &it, &key, &v)) {
		push_key(d, key);
		compare(d, member(old, key), v, patch);
		pop(d, at);
	}
	while (!patch && json_dom_next(old, &io, &key, &v)) {
		if (json_dom_exists(member(new, key)))
			continue;
		push_key(d, key);
		say(d, v, (struct json_node){0});
		pop(d, at);
	}
}

static void compare(struct diff *d, struct json_node old, struct json_node new, bool patch)
{
	d->depth++;
	if (d->depth < DEPTH_MAX && both(old, new, JSON_OBJECT))
		compare_objects(d, old, new, patch);
	else if (d->depth < DEPTH_MAX && both(old, new, JSON_ARRAY))
		compare_arrays(d, old, new);
	else if (!same(old, new))
		say(d, old, new);
	d->depth--;
}

void diff_add(struct text *t, struct json_node old, struct json_node patch)
{
	struct diff d = {.out = t};
	compare(&d, old, patch, true);
	text_fini(&d.path);
	text_fini(&d.value);
}
