#include "model/model_labels.h"

#include "base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>

struct pair {
	struct span key, value;
};

void model_labels_fini(struct model_labels_table *t)
{
	for (size_t i = 0; i < t->chain_count; i++) {
		for (struct model_labels *l = t->chains[i], *next; l; l = next) {
			next = l->next;
			free(l);
		}
	}
	free(t->chains);
	*t = (struct model_labels_table){0};
}

static int span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

static size_t pairs_insert(struct pair *pairs, size_t count, struct pair p)
{
	size_t at = count;
	while (at > 0 && span_cmp(pairs[at - 1].key, p.key) > 0)
		at--;
	if (at > 0 && span_eq(pairs[at - 1].key, p.key)) {
		pairs[at - 1] = p;
		return count;
	}
	memmove(pairs + at + 1, pairs + at, (count - at) * sizeof *pairs);
	pairs[at] = p;
	return count + 1;
}

static size_t pairs_parse(const char *text, struct pair *pairs)
{
	size_t count = 0;
	while (*text) {
		size_t n = strcspn(text, ",");
		const char *eq = memchr(text, '=', n);
		struct pair p = {.key = {text, eq ? (size_t)(eq - text) : n}};
		if (eq)
			p.value = (struct span){eq + 1, n - p.key.n - 1};
		if (n)
			count = pairs_insert(pairs, count, p);
		text += n + (text[n] == ',');
	}
	return count;
}

static void table_grow(struct model_labels_table *t)
{
	size_t want = t->chain_count ? t->chain_count * 2 : 64;
	struct model_labels **chains = calloc(want, sizeof *chains);
	CHECK(chains);
	for (size_t i = 0; i < t->chain_count; i++) {
		for (struct model_labels *l = t->chains[i], *next; l; l = next) {
			next = l->next;
			l->next = chains[l->hash & (want - 1)];
			chains[l->hash & (want - 1)] = l;
		}
	}
	free(t->chains);
	t->chains = chains;
	t->chain_count = want;
}

static const struct model_labels *intern(
        struct model_labels_table *t, const struct model_text *text, size_t count)
{
	uint64_t hash = XXH3_64bits(text->p, text->n);
	if (t->count >= t->chain_count)
		table_grow(t);
	struct model_labels **chain = &t->chains[hash & (t->chain_count - 1)];
	for (struct model_labels *l = *chain; l; l = l->next)
		if (l->hash == hash && l->bytes == text->n &&
		        memcmp(l->text, text->p, text->n) == 0)
			return l;
	struct model_labels *l = malloc(sizeof *l + text->n);
	CHECK(l);
	*l = (struct model_labels){
	        .next = *chain, .hash = hash, .count = (uint32_t)count, .bytes = (uint32_t)text->n};
	memcpy(l->text, text->p, text->n);
	*chain = l;
	t->count++;
	return l;
}

const struct model_labels *model_labels_intern(struct model_labels_table *t, const char *pairs_text)
{
	if (!pairs_text || !*pairs_text)
		return NULL;
	size_t most = 1;
	for (const char *c = pairs_text; *c; c++)
		most += *c == ',';
	struct pair *pairs = malloc(most * sizeof *pairs);
	CHECK(pairs);
	size_t count = pairs_parse(pairs_text, pairs);
	struct model_text text = {0};
	for (size_t i = 0; i < count; i++) {
		model_text_span(&text, pairs[i].key);
		TEXT_LIT(&text, "\0");
		model_text_span(&text, pairs[i].value);
		TEXT_LIT(&text, "\0");
	}
	free(pairs);
	const struct model_labels *l = count ? intern(t, &text, count) : NULL;
	model_text_fini(&text);
	return l;
}

bool model_labels_next(
        const struct model_labels *l, size_t *at, struct span *key, struct span *value)
{
	if (!l || *at >= l->bytes)
		return false;
	*key = span_of(l->text + *at);
	*value = span_of(key->p + key->n + 1);
	*at += key->n + value->n + 2;
	return true;
}

bool model_labels_get(const struct model_labels *l, struct span key, struct span *value)
{
	struct span k, v;
	for (size_t at = 0; model_labels_next(l, &at, &k, &v);) {
		if (!span_eq(k, key))
			continue;
		*value = v;
		return true;
	}
	return false;
}

void model_labels_json(const struct model_labels *l, struct model_text *out)
{
	struct span k, v;
	const char *sep = "{";
	for (size_t at = 0; model_labels_next(l, &at, &k, &v); sep = ",") {
		model_text_str(out, sep);
		model_text_quoted(out, k);
		TEXT_LIT(out, ":");
		model_text_quoted(out, v);
	}
	if (l)
		TEXT_LIT(out, "}");
}
