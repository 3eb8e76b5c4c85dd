#include "client/restart.h"

#include <stdlib.h>
#include <string.h>

#include "client/hash.h"
#include "client/scan.h"

struct restart_item {
	uint64_t hash; /* of namespace and name, seeded */
	uint64_t at;   /* cell in the scan */
};

struct restart_side {
	struct scan scan;
	struct restart_item *items; /* own; by hash */
	size_t n, at;
};

enum restart_stage { RESTART_OBJECTS, RESTART_SYNCED, RESTART_STATE, RESTART_DONE };

/* Owner: the follow. Life: restart_begin to the last restart_step. */
struct restart {
	enum restart_stage stage;
	struct restart_side then, now;
	struct home to;  /* own reference: where `now` was taken */
	bool recreated;  /* DELETED was said, ADDED of the same name is next */
	uint64_t digest; /* of what the consumer has */
};

/* --- reading both sides ---------------------------------------------------------------------- */

static void side_fini(struct restart_side *s)
{
	scan_fini(&s->scan);
	free(s->items);
	*s = (struct restart_side){0};
}

void restart_free(struct restart **restart)
{
	struct restart *r = *restart;
	*restart = NULL;
	if (!r)
		return;
	side_fini(&r->then);
	side_fini(&r->now);
	mapping_put(&r->to.shard);
	free(r);
}

/* The strings of an object, in place, valid under its guard at this moment. */
static bool peek(struct scan *s, const struct object_guard *g, struct read_object *out)
{
	const uint8_t *at = NULL;
	uint32_t bytes = 0;
	return mapping_block(s->shard, g->block, &at, &bytes) == READ_OK &&
	       read_object(at, bytes, out) && object_intact(s->shard, g);
}

static int by_hash(const void *a, const void *b)
{
	uint64_t x = ((const struct restart_item *)a)->hash;
	uint64_t y = ((const struct restart_item *)b)->hash;
	return (x > y) - (x < y);
}

/* KR_OK; KR_ERR_MEMORY; anything else: this side cannot be read. */
static int side_take(struct restart_side *s, const struct home *home, uint64_t seed)
{
	bool memory;
	struct object_guard g;
	struct read_object o;
	enum read_result r = scan_take(&s->scan, home, &memory);
	if (memory)
		return KR_ERR_MEMORY;
	if (r != READ_OK)
		return KR_ERR_OVERRUN;
	s->items = malloc((s->scan.count + 1) * sizeof *s->items);
	if (!s->items)
		return KR_ERR_MEMORY;
	while (scan_next(&s->scan, &g)) {
		if (s->n == s->scan.count || !peek(&s->scan, &g, &o))
			return KR_ERR_OVERRUN;
		uint64_t hash = hash_key(seed, 0, o.namespace_, o.name);
		s->items[s->n++] = (struct restart_item){hash, s->scan.at - 1};
	}
	qsort(s->items, s->n, sizeof *s->items, by_hash);
	return KR_OK;
}

/* The item that is next, if it has this hash or hash is NULL. */
static bool side_peek(struct restart_side *s, struct object_guard *g, uint64_t *hash)
{
	if (s->at == s->n)
		return false;
	*hash = s->items[s->at].hash;
	s->scan.at = s->items[s->at].at;
	return scan_next(&s->scan, g);
}

static bool drained(struct follow *f, const struct scan *then)
{
	uint64_t last = 0;
	struct shm_entry e;
	const struct read_shard *s = &f->home.shard->read;
	if (read_last(s, f->home.row, f->home.gen, &last) != READ_OK)
		return false;
	struct read_chain chain = {last, f->position, f->home.row, (uint16_t)f->home.gen, 0};
	while (read_chain_next(s, &chain, &e) == READ_OK)
		if (e.seq <= then->position)
			return false;
	return true;
}

int restart_reset(struct follow *f)
{
	const struct home *to = &f->list->home;
	struct follow_start start = {read_commit(&to->shard->read), 0};
	restart_free(&f->restart);
	follow_move(f, to, &start);
	f->reset = true;
	return KR_TIMEOUT;
}

int restart_begin(struct follow *f)
{
	const struct home *to = &f->list->home;
	struct restart *r = calloc(1, sizeof *r);
	if (!r)
		return client_fail(f->list->client, KR_ERR_MEMORY, "out of memory");
	f->restart = r;
	r->to = *to;
	r->to.shard = mapping_ref(to->shard);
	uint64_t seed = to->shard->read.hash_seed;
	int then = side_take(&r->then, &f->home, seed);
	int now = then == KR_OK ? side_take(&r->now, to, seed) : then;
	if (now == KR_ERR_MEMORY) {
		restart_free(&f->restart);
		return client_fail(f->list->client, KR_ERR_MEMORY,
		        "no memory to compare the list before and after the restart of the daemon");
	}
	if (then == KR_OK && !drained(f, &r->then.scan)) { /* the old writer lives on */
		restart_free(&f->restart);
		return KR_TIMEOUT;
	}
	if (now != KR_OK)
		return restart_reset(f);
	if (!r->now.scan.whole) { /* neither was whole: nothing was there, nothing is */
		struct follow_start start = {r->now.scan.position, 0};
		if (r->then.scan.count > 0)
			return restart_reset(f);
		follow_move(f, &r->to, &start);
		restart_free(&f->restart);
		return KR_TIMEOUT;
	}
	r->digest = r->then.scan.digest;
	return KR_OK;
}

/* --- handing out ----------------------------------------------------------------------------- */

static uint64_t part(const struct kr_object *o)
{
	return kr_object_hash(o->namespace_, o->name, o->uid, o->resource_version);
}

static int say(struct follow *f, struct kr_change *ch, unsigned flags)
{
	struct restart *r = f->restart;
	ch->flags = flags | KR_FROM_RESTART;
	ch->seq = r->now.scan.position;
	ch->digest = r->digest;
	return KR_OK;
}

static int say_deleted(
        struct follow *f, struct kr_change *ch, const struct object_guard *g, unsigned flags)
{
	struct restart *r = f->restart;
	int got = object_take(r->then.scan.shard, g, &f->before, 0, &ch->old_object);
	if (got != KR_OK)
		return got;
	ch->type = KR_DELETED;
	follow_deleted_unknown(ch);
	r->digest -= part(&ch->old_object);
	r->then.at++;
	return say(f, ch, flags | KR_FINAL_STATE_UNKNOWN);
}

static int say_added(struct follow *f, struct kr_change *ch, const struct object_guard *g)
{
	struct restart *r = f->restart;
	int got = object_take(r->now.scan.shard, g, &f->now, 0, &ch->object);
	if (got != KR_OK)
		return got;
	ch->type = KR_ADDED;
	r->digest += part(&ch->object);
	r->now.at++;
	unsigned flags = r->recreated ? KR_RECREATED : 0;
	r->recreated = false;
	return say(f, ch, flags);
}

/* The same name on both sides. KR_TIMEOUT: the same object. */
static int say_pair(struct follow *f, struct kr_change *ch, const struct object_guard *then,
        const struct object_guard *now)
{
	struct restart *r = f->restart;
	int got = object_take(r->then.scan.shard, then, &f->before, 0, &ch->old_object);
	if (got == KR_OK)
		got = object_take(r->now.scan.shard, now, &f->now, 0, &ch->object);
	if (got != KR_OK)
		return got;
	const struct kr_object *a = &ch->old_object, *b = &ch->object;
	if (strcmp(a->namespace_, b->namespace_) != 0 || strcmp(a->name, b->name) != 0)
		return KR_ERR_CORRUPT; /* two names with one 64-bit hash: start over */
	if (strcmp(a->uid, b->uid) != 0) {
		got = say_deleted(f, ch, then, KR_RECREATED);
		r->recreated = got == KR_OK;
		return got;
	}
	r->then.at++;
	r->now.at++;
	if (strcmp(a->resource_version, b->resource_version) == 0)
		return KR_TIMEOUT;
	ch->type = KR_MODIFIED;
	r->digest += part(b) - part(a);
	return say(f, ch, 0);
}

/* Are both the same object, by the strings in place? Most are, and copying them all would cost. */
static bool unchanged(
        struct restart *r, const struct object_guard *then, const struct object_guard *now)
{
	struct read_object a, b;
	if (!peek(&r->then.scan, then, &a) || !peek(&r->now.scan, now, &b))
		return false;
	bool same = strcmp(a.namespace_, b.namespace_) == 0 && strcmp(a.name, b.name) == 0 &&
	            strcmp(a.uid, b.uid) == 0 && strcmp(a.rv, b.rv) == 0;
	return same && object_intact(r->then.scan.shard, then) &&
	       object_intact(r->now.scan.shard, now);
}

static int say_object(struct follow *f, struct kr_change *ch)
{
	struct restart *r = f->restart;
	struct object_guard then, now;
	uint64_t hash_then = 0, hash_now = 0;
	for (;;) {
		bool old = side_peek(&r->then, &then, &hash_then);
		bool new = side_peek(&r->now, &now, &hash_now);
		follow_blank(f, ch, KR_ADDED);
		if (!old && !new)
			return KR_TIMEOUT;
		if (r->recreated || !old || (new &&hash_now < hash_then))
			return say_added(f, ch, &now);
		if (!new || hash_then < hash_now)
			return say_deleted(f, ch, &then, 0);
		if (unchanged(r, &then, &now)) {
			r->then.at++;
			r->now.at++;
			continue;
		}
		int said = say_pair(f, ch, &then, &now);
		if (said != KR_TIMEOUT)
			return said;
	}
}

int restart_step(struct follow *f, struct kr_change *ch)
{
	struct restart *r = f->restart;
	const struct scan *now = &r->now.scan;
	if (r->stage == RESTART_OBJECTS) {
		int said = say_object(f, ch);
		if (said == KR_ERR_MEMORY)
			return said;
		if (said != KR_OK && (said != KR_TIMEOUT || r->digest != now->digest))
			return restart_reset(f);
		if (said == KR_OK)
			return KR_OK;
		r->stage = RESTART_SYNCED;
	}
	follow_blank(f, ch, r->stage == RESTART_SYNCED ? KR_SYNCED : KR_STATE);
	if (r->stage == RESTART_DONE) {
		struct follow_start start = {now->position, now->digest};
		follow_move(f, &r->to, &start);
		restart_free(&f->restart);
		return KR_TIMEOUT;
	}
	r->stage++;
	memcpy(ch->resource_version, now->rv, sizeof ch->resource_version);
	ch->state = (enum kr_list_state)now->state;
	f->told_stale = false;
	return say(f, ch, 0);
}
