#include "harness/json_naive.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *p, *end;
	unsigned depth, depth_max;
};

static struct naive *read_value(struct reader *r);

static void skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool next_is(struct reader *r, char c)
{
	skip_space(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static struct naive *node(enum naive_type type, const char *raw)
{
	struct naive *n = calloc(1, sizeof *n);
	if (!n)
		abort();
	n->type = type;
	n->raw = raw;
	return n;
}

void naive_free(struct naive *n)
{
	while (n) {
		struct naive *next = n->next;
		naive_free(n->key);
		naive_free(n->first);
		free(n->text);
		free(n);
		n = next;
	}
}

/* RFC 3629. The bytes of the sequence at p; 0: none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
	size_t n = p[0] < 0x80   ? 1
	           : p[0] < 0xC2 ? 0
	           : p[0] < 0xE0 ? 2
	           : p[0] < 0xF0 ? 3
	           : p[0] < 0xF5 ? 4
	                         : 0;
	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
	        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return n;
}

static void put_code_point(struct naive *n, unsigned cp)
{
	unsigned char *to = (unsigned char *)n->text + n->text_n;
	if (cp < 0x80) {
		to[0] = (unsigned char)cp;
		n->text_n += 1;
	} else if (cp < 0x800) {
		to[0] = (unsigned char)(0xC0 | cp >> 6);
		to[1] = (unsigned char)(0x80 | (cp & 63));
		n->text_n += 2;
	} else if (cp < 0x10000) {
		to[0] = (unsigned char)(0xE0 | cp >> 12);
		to[1] = (unsigned char)(0x80 | (cp >> 6 & 63));
		to[2] = (unsigned char)(0x80 | (cp & 63));
		n->text_n += 3;
	} else {
		to[0] = (unsigned char)(0xF0 | cp >> 18);
		to[1] = (unsigned char)(0x80 | (cp >> 12 & 63));
		to[2] = (unsigned char)(0x80 | (cp >> 6 & 63));
		to[3] = (unsigned char)(0x80 | (cp & 63));
		n->text_n += 4;
	}
}

/* -1: not four hexadecimal digits. */
static int hex4(const char *p, const char *end)
{
	int v = 0;
	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdefABCDEF";
		const char *at = p + i < end && p[i] ? strchr(digits, p[i]) : NULL;
		if (!at)
			return -1;
		int d = (int)(at - digits);
		v = v * 16 + (d > 15 ? d - 6 : d);
	}
	return v;
}

static bool read_unicode(struct reader *r, struct naive *n)
{
	int unit = hex4(r->p + 2, r->end);
	if (unit < 0)
		return false;
	r->p += 6;
	unsigned cp = (unsigned)unit;
	if (cp >= 0xD800 && cp < 0xE000) {
		int low = -1;
		if (cp < 0xDC00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u')
			low = hex4(r->p + 2, r->end);
		if (low >= 0xDC00 && low < 0xE000) {
			cp = 0x10000 + (cp - 0xD800) * 1024 + (unsigned)low - 0xDC00;
			r->p += 6;
		} else {
			cp = 0xFFFD;
			n->odd = true;
		}
	}
	n->odd |= cp == 0;
	put_code_point(n, cp);
	return true;
}

static bool read_char(struct reader *r, struct naive *n)
{
	if ((unsigned char)*r->p < 0x20)
		return false;
	if (*r->p != '\\') {
		size_t k = utf8_length((const unsigned char *)r->p, (size_t)(r->end - r->p));
		memcpy(n->text + n->text_n, r->p, k);
		n->text_n += k;
		r->p += k;
		return k > 0;
	}
	if (r->end - r->p < 2)
		return false;
	if (r->p[1] == 'u')
		return read_unicode(r, n);
	const char *from = "\"\\/bfnrt", *to = "\"\\/\b\f\n\r\t";
	const char *at = r->p[1] ? strchr(from, r->p[1]) : NULL;
	if (!at)
		return false;
	n->text[n->text_n++] = to[at - from];
	r->p += 2;
	return true;
}

static struct naive *read_string(struct reader *r)
{
	if (!next_is(r, '"'))
		return NULL;
	struct naive *n = node(NAIVE_STRING, r->p - 1);
	n->text = malloc((size_t)(r->end - r->p) + 8);
	if (!n->text)
		abort();
	while (r->p < r->end && *r->p != '"') {
		if (!read_char(r, n))
			break;
	}
	if (r->p == r->end || *r->p != '"') {
		naive_free(n);
		return NULL;
	}
	r->p++;
	n->raw_n = (size_t)(r->p - n->raw);
	return n;
}

static bool digits(struct reader *r)
{
	const char *from = r->p;
	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > from;
}

static struct naive *read_number(struct reader *r)
{
	const char *from = r->p;
	if (*r->p == '-')
		r->p++;
	const char *whole = r->p;
	bool ok = digits(r) && (*whole != '0' || r->p == whole + 1);
	if (ok && r->p < r->end && *r->p == '.') {
		r->p++;
		ok = digits(r);
	}
	if (ok && r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		ok = digits(r);
	}
	if (!ok)
		return NULL;
	char *copy = strndup(from, (size_t)(r->p - from));
	ok = copy && fabsl(strtold(copy, NULL)) < 1.7976931348623158e308L;
	free(copy);
	if (!ok)
		return NULL;
	struct naive *n = node(NAIVE_NUMBER, from);
	n->raw_n = (size_t)(r->p - from);
	return n;
}

static struct naive *read_literal(struct reader *r)
{
	static const struct {
		const char *text;
		enum naive_type type;
	} literals[] = {{"null", NAIVE_NULL}, {"true", NAIVE_TRUE}, {"false", NAIVE_FALSE}};
	for (int i = 0; i < 3; i++) {
		size_t k = strlen(literals[i].text);
		if ((size_t)(r->end - r->p) >= k && memcmp(r->p, literals[i].text, k) == 0) {
			struct naive *n = node(literals[i].type, r->p);
			n->raw_n = k;
			r->p += k;
			return n;
		}
	}
	return NULL;
}

static bool read_child(struct reader *r, struct naive *n, struct naive ***link)
{
	struct naive *key = NULL;
	if (n->type == NAIVE_OBJECT && (!(key = read_string(r)) || !next_is(r, ':'))) {
		naive_free(key);
		return false;
	}
	struct naive *child = read_value(r);
	if (!child) {
		naive_free(key);
		return false;
	}
	child->key = key;
	**link = child;
	*link = &child->next;
	return true;
}

static struct naive *read_container(struct reader *r, enum naive_type type, char close)
{
	struct naive *n = node(type, r->p++), **link = &n->first;
	bool ok = ++r->depth <= r->depth_max;
	bool done = ok && next_is(r, close);
	while (ok && !done) {
		ok = read_child(r, n, &link);
		done = ok && next_is(r, close);
		ok = done || (ok && next_is(r, ','));
	}
	r->depth--;
	n->raw_n = (size_t)(r->p - n->raw);
	if (ok)
		return n;
	naive_free(n);
	return NULL;
}

static struct naive *read_value(struct reader *r)
{
	skip_space(r);
	if (r->p == r->end)
		return NULL;
	switch (*r->p) {
	case '{': return read_container(r, NAIVE_OBJECT, '}');
	case '[': return read_container(r, NAIVE_ARRAY, ']');
	case '"': return read_string(r);
	case 't':
	case 'f':
	case 'n': return read_literal(r);
	default: return *r->p == '-' || (*r->p >= '0' && *r->p <= '9') ? read_number(r) : NULL;
	}
}

struct naive *naive_parse(struct span doc, unsigned depth_max)
{
	struct reader r = {doc.p, doc.p + doc.n, 0, depth_max};
	struct naive *n = read_value(&r);
	skip_space(&r);
	if (n && r.p != r.end) {
		naive_free(n);
		n = NULL;
	}
	return n;
}

unsigned naive_depth(const struct naive *n)
{
	unsigned deepest = 0;
	for (const struct naive *c = n->first; c; c = c->next) {
		unsigned d = naive_depth(c);
		deepest = d > deepest ? d : deepest;
	}
	return n->type >= NAIVE_ARRAY ? deepest + 1 : 0;
}

static bool named(const struct naive *n, const char *name)
{
	return n->key->text_n == strlen(name) && memcmp(n->key->text, name, n->key->text_n) == 0;
}

size_t naive_find(const struct naive *object, const char *name, struct naive **last)
{
	size_t count = 0;
	*last = NULL;
	if (!object || object->type != NAIVE_OBJECT)
		return 0;
	for (struct naive *c = object->first; c; c = c->next) {
		if (named(c, name)) {
			*last = c;
			count++;
		}
	}
	return count;
}

void naive_remove(struct naive *object, const char *name)
{
	for (struct naive **link = &object->first; *link;) {
		struct naive *c = *link;
		if (named(c, name)) {
			*link = c->next;
			c->next = NULL;
			naive_free(c);
		} else {
			link = &c->next;
		}
	}
}

bool naive_equal(const struct naive *a, const struct naive *b)
{
	if (!a || !b || a->type != b->type)
		return a == b;
	if (a->type == NAIVE_STRING)
		return a->raw_n == b->raw_n && memcmp(a->raw, b->raw, a->raw_n) == 0;
	if (a->type == NAIVE_NUMBER)
		return a->raw_n == b->raw_n && memcmp(a->raw, b->raw, a->raw_n) == 0;
	const struct naive *x = a->first, *y = b->first;
	for (; x && y; x = x->next, y = y->next)
		if ((a->type == NAIVE_OBJECT && !naive_equal(x->key, y->key)) || !naive_equal(x, y))
			return false;
	return !x && !y;
}

/* --- Kubernetes ----------------------------------------------------------------------------- */

static err_t word(const struct naive *from, const char *name, size_t bytes_max, struct span *out)
{
	struct naive *n;
	*out = SPAN_NONE;
	if (naive_find(from, name, &n) > 1)
		return ERR_JSON_SHAPE;
	if (!n || n->type == NAIVE_NULL)
		return ERR_OK;
	if (n->type != NAIVE_STRING || n->odd || n->text_n > bytes_max)
		return ERR_JSON_SHAPE;
	*out = (struct span){n->text, n->text_n};
	return ERR_OK;
}

err_t naive_object(const struct naive *tree, bool in_event, struct json_object *out)
{
	struct naive *metadata, *other;
	*out = (struct json_object){0};
	if (!tree)
		return ERR_JSON_SYNTAX;
	if (tree->type != NAIVE_OBJECT)
		return ERR_JSON_SHAPE;
	out->raw = (struct span){tree->raw, tree->raw_n};
	if (naive_find(tree, "metadata", &metadata) != 1 || metadata->type != NAIVE_OBJECT)
		return ERR_JSON_SHAPE;
	if (word(tree, "kind", JSON_KIND_MAX, &out->kind) ||
	        word(tree, "apiVersion", JSON_KIND_MAX, &out->api_version) ||
	        word(metadata, "name", JSON_NAME_MAX, &out->name) ||
	        word(metadata, "namespace", JSON_NAMESPACE_MAX, &out->namespace_) ||
	        word(metadata, "uid", JSON_UID_MAX, &out->uid) ||
	        word(metadata, "resourceVersion", JSON_VERSION_MAX, &out->resource_version))
		return ERR_JSON_SHAPE;
	if (naive_find(metadata, "managedFields", &other) > 1 ||
	        naive_find(metadata, "annotations", &other) > 1)
		return ERR_JSON_SHAPE;
	if (in_event)
		return out->resource_version.n ? ERR_OK : ERR_JSON_SHAPE;
	return out->name.n ? ERR_OK : ERR_JSON_SHAPE;
}

static bool end_mark(const struct naive *object)
{
	struct naive *metadata, *annotations, *mark;
	naive_find(object, "metadata", &metadata);
	naive_find(metadata, "annotations", &annotations);
	naive_find(annotations, "k8s.io/initial-events-end", &mark);
	return mark && mark->type == NAIVE_STRING &&
	       span_is((struct span){mark->text, mark->text_n}, "true");
}

err_t naive_event(const struct naive *tree, struct json_event *out)
{
	static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
	struct naive *object;
	struct span type;
	*out = (struct json_event){0};
	if (!tree)
		return ERR_JSON_SYNTAX;
	if (tree->type != NAIVE_OBJECT || word(tree, "type", JSON_KIND_MAX, &type))
		return ERR_JSON_SHAPE;
	int t = 0;
	while (t < 5 && !span_is(type, types[t]))
		t++;
	if (t == 5 || naive_find(tree, "object", &object) != 1 || object->type != NAIVE_OBJECT)
		return ERR_JSON_SHAPE;
	out->type = (enum json_event_type)t;
	out->object.raw = (struct span){object->raw, object->raw_n};
	if (out->type == JSON_EVENT_ERROR)
		return ERR_OK;
	err_t e = naive_object(object, true, &out->object);
	out->initial_events_end = !e && out->type == JSON_EVENT_BOOKMARK && end_mark(object);
	return e || (out->object.name.n == 0 && out->type != JSON_EVENT_BOOKMARK) ? ERR_JSON_SHAPE
	                                                                          : ERR_OK;
}
