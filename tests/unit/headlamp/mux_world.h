/* mux_world.h - the multiplexer of a Headlamp backend as it is, with its defects, for the tests of
 * the mux: one client, one socket, frames as texts.
 *
 * BM-1 the query is not in the key · BM-3 a STATUS names no query and no user · BM-4 the end of a
 * watch is a STATUS and nothing else · BM-5 frames are served one after the other, a dial blocks
 * them for 45 s · BM-8 a lost heartbeat: STATUS error, then the end. A key is forgotten a little
 * after its end was said: a REQUEST that finds it is lost. */
#ifndef KR_TESTS_HEADLAMP_MUX_WORLD_H
#define KR_TESTS_HEADLAMP_MUX_WORLD_H

#include <stdio.h>

#include "base/prng.h"
#include "headlamp/mux.h"
#include "unit/json/doc.h"

enum { WORLD_TEXTS = 4096, WORLD_KEYS = 256, WORLD_CLUSTERS = 4 };
#define SECOND       UINT64_C(1000000000)
#define WORLD_FORGET (SECOND / 20)

enum world_cluster { WORLD_UP, WORLD_REFUSES, WORLD_HANGS, WORLD_UNKNOWN };

struct world_key {
	char cluster[32], path[64], query[128], user[32];
};
struct world {
	char *to_backend[WORLD_TEXTS], *to_client[WORLD_TEXTS]; /* own */
	size_t backend_count, client_count;
	struct world_key keys[WORLD_KEYS]; /* open upstreams */
	size_t key_count;
	struct world_key dying[WORLD_KEYS]; /* it has been said that they ended */
	uint64_t forgotten_ns[WORLD_KEYS];
	size_t dying_count;
	enum world_cluster clusters[WORLD_CLUSTERS]; /* "c0", "c1", … */
	uint64_t now_ns, busy_until_ns;
	struct world_key dialling;
	size_t requests, documents;
	struct envelope_reader *reader;
};

__attribute__((noinline)) static void world_say(
        struct world *w, const struct world_key *k, bool exact, const char *data, const char *type)
{
	char text[1024], escaped[512];
	size_t n = 0;
	for (const char *p = data; *p; p++) {
		if (*p == '"' || *p == '\\')
			escaped[n++] = '\\';
		escaped[n++] = *p;
	}
	escaped[n] = 0;
	snprintf(text, sizeof text,
	        "{\"clusterId\":\"%s\",\"path\":\"%s\",\"query\":\"%s\",\"userId\":\"%s\",%s%s%"
	        "s\"type\":"
	        "\"%s\"}\n",
	        k->cluster, k->path, exact ? k->query : "", exact ? k->user : "",
	        *data ? "\"data\":\"" : "", escaped, *data ? "\"," : "", type);
	assert_true(w->client_count < WORLD_TEXTS);
	w->to_client[w->client_count++] = strdup(text);
}

__attribute__((noinline)) static void world_status(
        struct world *w, const struct world_key *k, const char *state, const char *error)
{
	char data[256];
	snprintf(data, sizeof data, "{\"state\":\"%s\",\"error\":\"%s\"}", state, error);
	world_say(w, k, false, data, "STATUS");
}

__attribute__((noinline)) static void world_refuse(
        struct world *w, const struct world_key *k, const char *text, bool status)
{
	char data[256];
	if (status)
		world_status(w, k, "error", text);
	snprintf(data, sizeof data, "{\"error\":\"%s\"}", text);
	world_say(w, k, true, data, "ERROR");
}

static inline char *world_pop(char **texts, size_t *count)
{
	char *first = texts[0];
	memmove(texts, texts + 1, --*count * sizeof *texts);
	return first;
}

static inline bool world_same(const struct world_key *a, const struct world_key *b)
{
	return !strcmp(a->cluster, b->cluster) && !strcmp(a->path, b->path) &&
	       !strcmp(a->user, b->user);
}

static inline size_t world_find(const struct world *w, const struct world_key *k)
{
	size_t i = 0;
	while (i < w->key_count && !world_same(&w->keys[i], k))
		i++;
	return i;
}

static inline bool world_is_dying(const struct world *w, const struct world_key *k)
{
	for (size_t i = 0; i < w->dying_count; i++)
		if (w->now_ns < w->forgotten_ns[i] && world_same(&w->dying[i], k))
			return true;
	return false;
}

/* An upstream goes. */
static inline struct world_key world_remove(struct world *w, size_t i)
{
	struct world_key k = w->keys[i];
	w->keys[i] = w->keys[--w->key_count];
	return k;
}

static inline void world_dial(struct world *w, const struct world_key *k)
{
	switch (w->clusters[k->cluster[1] - '0']) {
	case WORLD_UP:
		assert_true(w->key_count < WORLD_KEYS);
		w->keys[w->key_count++] = *k;
		world_status(w, k, "connected", "");
		break;
	case WORLD_REFUSES:
		world_refuse(w, k, "dialing WebSocket: websocket: bad handshake", true);
		break;
	case WORLD_HANGS:
		w->dialling = *k;
		w->busy_until_ns = w->now_ns + 45 * SECOND;
		break;
	case WORLD_UNKNOWN:
		world_refuse(w, k, "getting cluster config: getting context: key not found", false);
		break;
	}
}

static inline void world_copy(char *to, size_t cap, struct span s)
{
	assert_true(s.n > 0 && s.n < cap);
	memcpy(to, s.p, s.n);
	to[s.n] = 0;
}

/* Serves one frame; false: it is dialling, or there is none. */
static inline bool world_serve(struct world *w)
{
	if (w->busy_until_ns) {
		if (w->now_ns < w->busy_until_ns)
			return false;
		w->busy_until_ns = 0;
		world_refuse(w, &w->dialling, "dialing WebSocket: context deadline exceeded", true);
		return true;
	}
	if (!w->backend_count)
		return false;
	char *text = world_pop(w->to_backend, &w->backend_count);
	bool close = strstr(text, "\"type\":\"CLOSE\"}");
	struct span d = doc(text);
	struct envelope e;
	struct world_key k;
	assert_int_equal(envelope_read(w->reader, d, &e, NULL), ERR_OK);
	world_copy(k.cluster, sizeof k.cluster, e.cluster);
	world_copy(k.path, sizeof k.path, e.path);
	world_copy(k.query, sizeof k.query, e.query);
	world_copy(k.user, sizeof k.user, e.user);
	size_t i = world_find(w, &k);
	if (close && i < w->key_count) {
		world_remove(w, i);
		world_status(w, &k, "closed", "");
	}
	w->requests += !close;
	if (!close && i == w->key_count && !world_is_dying(w, &k))
		world_dial(w, &k);
	doc_free(&d);
	free(text);
	return true;
}

/* A document of that upstream: its query, so that one can see whose it was. */
__attribute__((noinline)) static void world_document(struct world *w, const struct world_key *k)
{
	char data[256];
	world_say(w, k, true, "", "COMPLETE");
	snprintf(data, sizeof data, "{\"of\":\"%s\"}", k->query);
	world_say(w, k, true, data, "DATA");
	w->documents++;
}

/* The upstream ends by itself. */
static inline void world_end(struct world *w, size_t i, bool heartbeat)
{
	struct world_key k = world_remove(w, i);
	if (w->dying_count == WORLD_KEYS)
		w->dying_count = 0; /* the oldest are forgotten long ago */
	w->forgotten_ns[w->dying_count] = w->now_ns + WORLD_FORGET;
	w->dying[w->dying_count++] = k;
	if (heartbeat)
		world_status(w, &k, "error", "write: broken pipe");
	world_status(w, &k, "closed", "");
}

/* The socket goes, and all that the backend had for it. */
static inline void world_cut(struct world *w)
{
	while (w->backend_count)
		free(world_pop(w->to_backend, &w->backend_count));
	while (w->client_count)
		free(world_pop(w->to_client, &w->client_count));
	w->key_count = w->dying_count = 0;
	w->busy_until_ns = 0;
}

#endif
