#include "headlamp/mux_key.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

/* --- Tables --------------------------------------------------------------------------------- */

enum { ROWS_FIRST = 64 };

bool mux_table_init(struct mux_table *t)
{
	t->rows = calloc(ROWS_FIRST, sizeof(struct mux_node *));
	t->row_count = t->rows ? ROWS_FIRST : 0;
	return t->rows;
}

void mux_table_fini(struct mux_table *t)
{
	free(t->rows);
	*t = (struct mux_table){0};
}

static struct mux_node *row_of(const struct mux_table *t, uint64_t hash)
{
	return t->rows[hash & (t->row_count - 1)];
}

static void link_node(struct mux_table *t, struct mux_node *n)
{
	struct mux_node **row = &t->rows[n->hash & (t->row_count - 1)];
	n->next = *row;
	*row = n;
}

/* Without memory the chains grow longer, no more. */
static void grow(struct mux_table *t)
{
	struct mux_table bigger = {.row_count = t->row_count * 2, .count = t->count};
	bigger.rows = calloc(bigger.row_count, sizeof(struct mux_node *));
	if (!bigger.rows)
		return;
	for (size_t i = 0; i < t->row_count; i++) {
		for (struct mux_node *n = t->rows[i], *next; n; n = next) {
			next = n->next;
			link_node(&bigger, n);
		}
	}
	free(t->rows);
	*t = bigger;
}

static void add(struct mux_table *t, struct mux_node *n)
{
	if (t->count >= t->row_count)
		grow(t);
	link_node(t, n);
	t->count++;
}

static void take_out(struct mux_table *t, struct mux_node *n)
{
	struct mux_node **at = &t->rows[n->hash & (t->row_count - 1)];
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	t->count--;
}

void mux_table_each(
        struct mux_table *t, struct mux *m, void (*f)(struct mux *m, struct mux_node *n))
{
	for (size_t i = 0; i < t->row_count; i++) {
		for (struct mux_node *n = t->rows[i], *next; n; n = next) {
			next = n->next;
			f(m, n);
		}
	}
}

/* FNV-1a, mixed by the generator's last step: the names are ours or the configuration's. */
static uint64_t hash_of(uint64_t seed, struct span s)
{
	struct prng mixed = {seed};
	for (size_t i = 0; i < s.n; i++)
		mixed.s = (mixed.s ^ (unsigned char)s.p[i]) * 0x100000001B3u;
	return prng_next(&mixed);
}

/* --- Clusters and paths --------------------------------------------------------------------- */

static struct mux_cluster *cluster_find(struct mux *m, struct span name, uint64_t hash)
{
	for (struct mux_node *n = row_of(&m->clusters, hash); n; n = n->next) {
		struct mux_cluster *c = CONTAINER_OF(n, struct mux_cluster, node);
		if (n->hash == hash && span_eq((struct span){c->name, c->name_bytes}, name))
			return c;
	}
	return NULL;
}

static struct mux_cluster *cluster_get(struct mux *m, struct span name, uint64_t hash)
{
	struct mux_cluster *c = cluster_find(m, name, hash);
	if (c)
		return c;
	c = calloc(1, sizeof *c + name.n);
	if (!c)
		return NULL;
	c->node.hash = hash;
	c->name_bytes = name.n;
	memcpy(c->name, name.p, name.n);
	list_init(&c->link);
	list_init(&c->queue);
	add(&m->clusters, &c->node);
	return c;
}

static void cluster_put(struct mux *m, struct mux_cluster *c)
{
	if (c->path_count)
		return;
	take_out(&m->clusters, &c->node);
	list_unlink(&c->link);
	free(c);
}

bool mux_path_is(const struct mux_path *p, struct span cluster, struct span path)
{
	return span_eq((struct span){p->text, p->text_bytes}, path) &&
	       span_eq((struct span){p->cluster->name, p->cluster->name_bytes}, cluster);
}

struct mux_path *mux_path_find(struct mux *m, struct span cluster, struct span path)
{
	uint64_t hash = hash_of(hash_of(m->seed, cluster), path);
	for (struct mux_node *n = row_of(&m->paths, hash); n; n = n->next) {
		struct mux_path *p = CONTAINER_OF(n, struct mux_path, node);
		if (n->hash == hash && mux_path_is(p, cluster, path))
			return p;
	}
	return NULL;
}

static struct mux_path *path_get(struct mux *m, struct span cluster, struct span path)
{
	struct mux_path *p = mux_path_find(m, cluster, path);
	if (p)
		return p;
	uint64_t hash = hash_of(m->seed, cluster);
	struct mux_cluster *c = cluster_get(m, cluster, hash);
	if (!c)
		return NULL;
	p = calloc(1, sizeof *p + path.n);
	if (!p) {
		cluster_put(m, c);
		return NULL;
	}
	p->node.hash = hash_of(hash, path);
	p->cluster = c;
	p->text_bytes = path.n;
	memcpy(p->text, path.p, path.n);
	list_init(&p->keys);
	list_init(&p->asked);
	c->path_count++;
	add(&m->paths, &p->node);
	return p;
}

static void path_put(struct mux *m, struct mux_path *p)
{
	if (!list_empty(&p->keys))
		return;
	take_out(&m->paths, &p->node);
	p->cluster->path_count--;
	cluster_put(m, p->cluster);
	free(p);
}

/* --- Keys ----------------------------------------------------------------------------------- */

static struct mux_key *key_find(struct mux *m, uint64_t id)
{
	for (struct mux_node *n = row_of(&m->keys, id); n; n = n->next)
		if (n->hash == id)
			return CONTAINER_OF(n, struct mux_key, node);
	return NULL;
}

struct mux_key *mux_key_find(struct mux *m, struct span user)
{
	uint64_t id = 0;
	if (user.n != MUX_USER_BYTES)
		return NULL;
	for (size_t i = 0; i < user.n; i++) {
		char c = user.p[i];
		bool digit = c >= '0' && c <= '9';
		if (!digit && (c < 'a' || c > 'f'))
			return NULL;
		id = id << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
	}
	return key_find(m, id);
}

bool mux_key_set_query(struct mux_key *k, struct span query)
{
	char *copy = k->query;
	if (!copy || query.n > k->query_bytes) {
		copy = realloc(copy, query.n + 1);
		if (!copy)
			return false;
	}
	if (query.n)
		memcpy(copy, query.p, query.n);
	k->query = copy;
	k->query_bytes = query.n;
	return true;
}

struct mux_key *mux_key_new(struct mux *m, struct span cluster, struct span path, struct span query)
{
	struct mux_key *k = calloc(1, sizeof *k);
	if (!k || !mux_key_set_query(k, query) || !(k->path = path_get(m, cluster, path))) {
		free(k ? k->query : NULL);
		free(k);
		return NULL;
	}
	do
		k->node.hash = prng_next(&m->prng);
	while (key_find(m, k->node.hash));
	snprintf(k->user, sizeof k->user, "%016llx", (unsigned long long)k->node.hash);
	list_push(&k->path->keys, &k->of_path);
	list_init(&k->asked);
	list_init(&k->sent);
	list_init(&k->queue);
	list_init(&k->told);
	add(&m->keys, &k->node);
	return k;
}

void mux_key_drop(struct mux *m, struct mux_key *k)
{
	if (k->sub || !list_empty(&k->sent) || !list_empty(&k->queue))
		return;
	CHECK(list_empty(&k->told) && list_empty(&k->asked) && m->probe != k);
	take_out(&m->keys, &k->node);
	list_unlink(&k->of_path);
	path_put(m, k->path);
	free(k->query);
	free(k);
}
