/* client_world.h - what the tests of client/ share: a fake daemon on a socket of its own, a client
 * attached to it, waiting with a deadline. */
#ifndef KR_CLIENT_WORLD_H
#define KR_CLIENT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/fake_daemon.h"
#include "harness/fold.h"
#include "include/kubering.h"
#include "shm/layout.h"

#define WORLD_LONG_NS (20ll * 1000000000) /* a deadline that only a defect reaches */

struct world {
	char dir[64], path[80];
	uint64_t life; /* incarnation */
	struct store_config config;
	struct fake_daemon *d;
	struct kr_client *c;
};

static inline void world_daemon(struct world *w)
{
	struct fake_config config = {.path = w->path, .store = w->config};
	config.store.incarnation[0] = ++w->life;
	config.store.incarnation[1] = 77;
	config.store.hash_seed = w->life * 0x9E3779B97F4A7C15ull;
	w->d = fake_new(&config);
}

/* What the daemon has written, for tests that change it. */
static inline struct shm_header *header(struct world *w)
{
	return (void *)(uintptr_t)store_segment_at(fake_store(w->d), 0);
}

static inline struct shm_list *row(struct world *w, const char *resource)
{
	uint32_t gen;
	struct shm_header *h = header(w);
	uint32_t n = store_list_row(fake_list(w->d, "test", resource), &gen);
	return (void *)((char *)h + h->lists_offset + (size_t)n * h->list_stride);
}

/* ring 0: the store's default. No client yet. */
static inline void world_init(struct world *w, uint32_t ring)
{
	*w = (struct world){
	        .config = {.ring_entries = ring, .lists_max = 64, .block_segment_bytes = 4 << 20}};
	strcpy(w->dir, "/tmp/kr-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof w->path, "%s/sock", w->dir);
	world_daemon(w);
}

static inline int world_connect(struct world *w)
{
	return kr_connect(&w->c, &(struct kr_options){.size = sizeof(struct kr_options),
	                                 .socket_path = w->path,
	                                 .timeout_ns = WORLD_LONG_NS});
}

static inline void world_open(struct world *w, uint32_t ring)
{
	world_init(w, ring);
	assert_int_equal(world_connect(w), KR_OK);
}

static inline void world_fini(struct world *w)
{
	kr_close(w->c);
	fake_free(&w->d);
	unlink(w->path);
	assert_int_equal(rmdir(w->dir), 0);
}

/* Is answered after all that was said before. */
static inline void world_ask(struct world *w)
{
	char *json;
	size_t n;
	assert_int_equal(kr_query(w->c, "status", &json, &n), KR_OK);
	free(json);
}

static inline struct kr_list *world_list(struct world *w, const char *resource)
{
	struct kr_list *l = NULL;
	int r = kr_list_open(w->c,
	        &(struct kr_list_spec){.size = sizeof(struct kr_list_spec),
	                .cluster = "test",
	                .version = "v1",
	                .resource = resource},
	        &l);
	if (r != KR_OK)
		fail_msg("kr_list_open: %s", kr_last_error(w->c));
	return l;
}

/* A list of n0..n<count - 1>, whole at version 100. */
static inline void world_sync(struct world *w, const char *resource, unsigned count)
{
	fake_lock(w->d);
	fake_sync(fake_list(w->d, "test", resource), 0, count, 1, 100);
	fake_unlock(w->d);
}

/* A list "pods" of so many objects, open. */
static inline struct kr_list *world_pods(struct world *w, uint32_t ring, unsigned count)
{
	world_open(w, ring);
	struct kr_list *l = world_list(w, "pods");
	world_sync(w, "pods", count);
	return l;
}

static inline void world_put(struct world *w, const char *resource, const char *name, uint64_t rv)
{
	fake_lock(w->d);
	fake_put(fake_list(w->d, "test", resource), name, 1, rv);
	fake_unlock(w->d);
}

static inline void world_delete(
        struct world *w, const char *resource, const char *name, uint64_t rv)
{
	fake_lock(w->d);
	fake_delete(fake_list(w->d, "test", resource), name, 1, rv);
	fake_unlock(w->d);
}

/* View and follow into a fold, again if it was overrun. */
static inline void world_fold(struct kr_list *l, struct fold *f, struct kr_view *v)
{
	int r;
	do {
		r = kr_view_begin(l, v);
		if (r == KR_OK)
			r = fold_view(f, v);
	} while (r == KR_ERR_OVERRUN);
	assert_int_equal(r, KR_OK);
}

/* world_pods, and a follower of it. */
static inline struct kr_list *world_followed(
        struct world *w, uint32_t ring, unsigned count, struct fold *f, struct kr_view *v)
{
	struct kr_list *l = world_pods(w, ring, count);
	fold_init(f);
	world_fold(l, f, v);
	return l;
}

/* The next change has this type; it is folded. */
static inline void world_expect(
        struct fold *f, struct kr_view *v, struct kr_change *ch, enum kr_type type)
{
	int r = kr_follow_next(&v->follow, ch, WORLD_LONG_NS);
	if (r != KR_OK)
		fail_msg("kr_follow_next: %s (%d)", kr_strerror(r), r);
	assert_int_equal(ch->type, type);
	assert_int_equal(fold_change(f, ch), type != KR_RESET);
}

static inline void world_status(struct kr_list *l, struct kr_list_status *s)
{
	*s = (struct kr_list_status){.size = sizeof *s};
	assert_int_equal(kr_list_status(l, s), KR_OK);
}

/* Kills it and starts another one, whose lists are not synced yet. */
static inline void world_replace(struct world *w)
{
	fake_kill(w->d);
	fake_free(&w->d);
	world_daemon(w);
}

#endif
