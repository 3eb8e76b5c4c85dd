/* json_dom_*: a read-only tree over the token list, for small documents off the hot path.
 *
 * A node is the number of a token plus one. Beside the tokens there is the length of every string:
 * its escapes have been resolved in place, in the DOM's own copy of the document. */
#include "json/json.h"

#include "json/number.h"
#include "json/simd.h"
#include "json/tokens.h"
#include "json/unescape.h"

#include <stdlib.h>

/* Owner: whoever made it. Thread: one at a time; any number once parsed. Life: new to free; nodes
 * until the next parse. */
struct json_dom {
	struct tokens tokens;
	char *text; /* own: the document, and how long it is */
	size_t bytes;
	uint32_t *length; /* own: by token, of strings */
	bool parsed;
};

struct json_dom *json_dom_new(void)
{
	struct json_dom *d = calloc(1, sizeof *d);
	if (d && tokens_init(&d->tokens, 0, TOKENS_KERNEL_BEST)) {
		free(d);
		d = NULL;
	}
	return d;
}

/* The answer of a credential plugin holds a token. */
static void drop_document(struct json_dom *d)
{
	if (d->text)
		explicit_bzero(d->text, d->bytes);
	free(d->text);
	free(d->length);
	d->text = NULL;
	d->length = NULL;
	d->parsed = false;
}

void json_dom_free(struct json_dom **d)
{
	if (!*d)
		return;
	tokens_fini(&(*d)->tokens);
	drop_document(*d);
	free(*d);
	*d = NULL;
}

static void fill_lengths(struct json_dom *d)
{
	const struct tokens *t = &d->tokens;
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->code[i] != TOKEN_STRING)
			continue;
		struct span raw = tokens_string(t, i);
		char *text = d->text + (raw.p - t->doc.p);
		bool escaped = tokens_escaped(t, raw);
		d->length[i] = (uint32_t)(escaped ? unescape(text, raw, NULL) : raw.n);
	}
}

err_t json_dom_parse(struct json_dom *d, struct span doc, struct json_node *root)
{
	*root = (struct json_node){0};
	drop_document(d);
	if (doc.n > TOKENS_BYTES_MAX)
		return ERR_JSON_LIMIT;
	d->text = malloc(doc.n + JSON_PADDING);
	if (!d->text)
		return ERR_NO_MEMORY;
	d->bytes = doc.n;
	if (doc.n)
		memcpy(d->text, doc.p, doc.n);
	memset(d->text + doc.n, ' ', JSON_PADDING);
	err_t e = tokens_read(&d->tokens, (struct span){d->text, doc.n});
	if (e)
		return e;
	d->length = malloc(d->tokens.count * sizeof *d->length);
	if (!d->length)
		return ERR_NO_MEMORY;
	fill_lengths(d);
	d->parsed = true;
	*root = (struct json_node){d, 1};
	return ERR_OK;
}

/* --- nodes ---------------------------------------------------------------------------------- */

/* A node handed in from outside: is it a value of the document that is there now? */
bool json_dom_exists(struct json_node n)
{
	if (!n.dom || !n.dom->parsed || n.at == 0 || n.at > n.dom->tokens.count)
		return false;
	enum token k = n.dom->tokens.code[n.at - 1];
	return k == TOKEN_OBJECT || k == TOKEN_ARRAY || k == TOKEN_STRING || k == TOKEN_SCALAR;
}

static bool is(struct json_node n, enum token k)
{
	return json_dom_exists(n) && n.dom->tokens.code[n.at - 1] == k;
}

static struct span text_of(const struct json_dom *d, uint32_t token)
{
	return (struct span){d->text + d->tokens.pos[token] + 1, d->length[token]};
}

static struct span scalar_of(struct json_node n)
{
	return is(n, TOKEN_SCALAR) ? tokens_scalar(&n.dom->tokens, (uint32_t)n.at - 1) : SPAN_NONE;
}

enum json_type json_dom_type(struct json_node n)
{
	if (is(n, TOKEN_OBJECT))
		return JSON_OBJECT;
	if (is(n, TOKEN_ARRAY))
		return JSON_ARRAY;
	if (is(n, TOKEN_STRING))
		return JSON_STRING;
	struct span s = scalar_of(n);
	int64_t v;
	if (s.n == 0 || s.p[0] == 'n')
		return JSON_NULL;
	if (s.p[0] == 't' || s.p[0] == 'f')
		return JSON_BOOL;
	return number_int(s, &v) ? JSON_INT : JSON_DOUBLE;
}

struct span json_dom_string(struct json_node n)
{
	return is(n, TOKEN_STRING) ? text_of(n.dom, (uint32_t)n.at - 1) : SPAN_NONE;
}

int64_t json_dom_int(struct json_node n, int64_t otherwise)
{
	int64_t v;
	return number_int(scalar_of(n), &v) ? v : otherwise;
}

double json_dom_double(struct json_node n, double otherwise)
{
	struct span s = scalar_of(n);
	bool number = s.n && (s.p[0] == '-' || (s.p[0] >= '0' && s.p[0] <= '9'));
	return number ? simd_double(s.p, s.n) : otherwise;
}

bool json_dom_bool(struct json_node n, bool otherwise)
{
	struct span s = scalar_of(n);
	return span_is(s, "true") || (otherwise && !span_is(s, "false"));
}

bool json_dom_next(
        struct json_node container, struct json_iter *it, struct span *key, struct json_node *value)
{
	bool object = is(container, TOKEN_OBJECT);
	if (!object && !is(container, TOKEN_ARRAY))
		return false;
	const struct json_dom *d = container.dom;
	uint32_t open = (uint32_t)container.at - 1;
	if (!it->started)
		*it = (struct json_iter){
		        .at = open + 1, .end = tokens_skip(&d->tokens, open) - 1, .started = true};
	if (it->at >= it->end)
		return false;
	uint32_t at = (uint32_t)it->at;
	if (key)
		*key = object ? text_of(d, at) : SPAN_NONE;
	at += object ? 2 : 0;
	*value = (struct json_node){d, at + 1};
	it->at = tokens_skip(&d->tokens, at) + 1; /* and behind the comma */
	return true;
}

static struct json_node member_named(struct json_node object, struct span name)
{
	struct json_node found = {0}, value;
	struct span key;
	for (struct json_iter it = {0}; json_dom_next(object, &it, &key, &value);)
		if (span_eq(key, name))
			found = value;
	return found;
}

static struct json_node element_at(struct json_node array, struct span index)
{
	struct json_node value;
	int64_t left;
	if (!number_int(index, &left) || left < 0)
		return (struct json_node){0};
	for (struct json_iter it = {0}; json_dom_next(array, &it, NULL, &value); left--)
		if (left == 0)
			return value;
	return (struct json_node){0};
}

struct json_node json_dom_get(struct json_node object, const char *key)
{
	return is(object, TOKEN_OBJECT) ? member_named(object, span_of(key))
	                                : (struct json_node){0};
}

struct json_node json_dom_path(struct json_node n, const char *dotted_path)
{
	for (const char *p = dotted_path; json_dom_exists(n);) {
		const char *dot = strchrnul(p, '.');
		struct span part = {p, (size_t)(dot - p)};
		n = is(n, TOKEN_ARRAY) ? element_at(n, part) : member_named(n, part);
		if (*dot == '\0')
			break;
		p = dot + 1;
	}
	return n;
}
