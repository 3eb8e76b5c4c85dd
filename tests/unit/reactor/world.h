/* world.h - one reactor on a scripted io: messages go in, notes come out, the test is the network.
 */
#ifndef KR_TESTS_UNIT_REACTOR_WORLD_H
#define KR_TESTS_UNIT_REACTOR_WORLD_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/fake_io.h"
#include "reactor/core.h"
#include "store/store_priv.h"
#include "wire/tls.h"

#define SEC ((uint64_t)1000000000)

struct world {
	struct fake_io io;
	struct reactor *r;
	struct list notes; /* struct reactor_note */
};

static void world_note(void *arg, struct reactor_note *n)
{
	list_push(&((struct world *)arg)->notes, &n->link);
}

static inline void world_init_seed(struct world *w, uint64_t seed)
{
	struct reactor_config c = {.count = 1,
	        .incarnation = {1, 2},
	        .seed = seed,
	        .ring_entries = 256,
	        .lists_max = 64,
	        .shard_bytes_max = 64 << 20,
	        .retained_bytes_max = 1 << 20,
	        .block_segment_bytes = 1 << 22,
	        .objects_max = 1000,
	        .event_bytes_max = 4096,
	        .user_agent = "test/1",
	        .in_process = true,
	        .note = world_note,
	        .note_arg = w};
	list_init(&w->notes);
	assert_int_equal(reactor_new(&c, &w->r), ERR_OK);
	fake_io_init(&w->io, &reactor_io_handlers, w->r);
	reactor_set_io(w->r, &w->io.io);
}

static inline void world_init(struct world *w)
{
	world_init_seed(w, 7);
}

static inline void turn(struct world *w)
{
	reactor_turn(w->r, 0);
}

/* Time passes in steps of one wheel tick, so that timers fire in order. */
static inline void pass(struct world *w, uint64_t ns)
{
	uint64_t end = w->io.now_ns + ns;
	while (w->io.now_ns < end) {
		w->io.now_ns += WHEEL_TICK_NS;
		turn(w);
	}
}

static inline struct reactor_note *take_note(struct world *w, enum reactor_note_type type)
{
	LIST_EACH (it, &w->notes) {
		struct reactor_note *n = CONTAINER_OF(it, struct reactor_note, link);
		if (n->type == type) {
			list_unlink(it);
			return n;
		}
	}
	return NULL;
}

static inline void expect_note(struct world *w, enum reactor_note_type type)
{
	struct reactor_note *n = take_note(w, type);
	assert_non_null(n);
	reactor_note_free(&n);
}

static inline struct reactor_msg *msg(enum reactor_msg_type type)
{
	struct reactor_msg *m = reactor_msg_new(type);
	assert_non_null(m);
	return m;
}

static inline void post(struct world *w, struct reactor_msg *m)
{
	reactor_post(w->r, m);
	turn(w);
}

static inline void post_credential(struct world *w, uint32_t cluster, err_t err, const char *text)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CREDENTIAL);
	m->cluster = cluster;
	m->err = err;
	snprintf(m->text, sizeof m->text, "%s", text);
	post(w, m);
}

static inline void post_tls(struct world *w, uint32_t cluster)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CREDENTIAL);
	struct tls_spec spec = {.insecure = true, .server_name = SPAN("api.test")};
	struct errmsg why = {0};
	m->cluster = cluster;
	assert_int_equal(tls_config_new(&m->credential.tls, &spec, &why), ERR_OK);
	post(w, m);
}

/* 10.0.0.1, 10.0.0.2, ... */
static inline void post_addresses(struct world *w, uint32_t cluster, uint32_t count)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_ADDRESSES);
	m->cluster = cluster;
	m->addresses.count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct sockaddr_in a = {.sin_family = AF_INET,
		        .sin_port = htons(6443),
		        .sin_addr.s_addr = htonl(0x0A000001 + i)};
		memcpy(&m->addresses.at[i], &a, sizeof a);
		m->addresses.bytes[i] = sizeof a;
	}
	post(w, m);
}

static inline void add_cluster_only(struct world *w, uint32_t id, bool tls, bool watch_list)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_ADD);
	m->cluster = id;
	m->cluster_spec = (struct cluster_spec){.cluster = id,
	        .name = strdup("c"),
	        .host = strdup("api.test:6443"),
	        .prefix = strdup(""),
	        .tls = tls,
	        .watch_list = watch_list,
	        .connects_per_s = 50,
	        .connects_burst = 100};
	post(w, m);
}

static inline void add_cluster(struct world *w, uint32_t id, bool watch_list)
{
	add_cluster_only(w, id, false, watch_list);
	post_credential(w, id, ERR_OK, "");
	post_addresses(w, id, 1);
}

static inline struct reactor_msg *list_msg(uint32_t id, uint32_t cluster, uint32_t realm)
{
	char resource[16];
	snprintf(resource, sizeof resource, "r%u", id);
	struct reactor_msg *m = msg(REACTOR_LIST_OPEN);
	m->cluster = cluster;
	m->list_spec = (struct list_spec){.list = id,
	        .cluster = cluster,
	        .realm = realm,
	        .group = strdup(""),
	        .version = strdup("v1"),
	        .resource = strdup(resource),
	        .namespace_ = strdup(""),
	        .labels = strdup(""),
	        .fields = strdup("")};
	return m;
}

static inline struct feed *feed_at(struct world *w, uint32_t id)
{
	return id < w->r->feed_by_id.count ? w->r->feed_by_id.rows[id] : NULL;
}

static inline struct feed *open_list(struct world *w, uint32_t id, uint32_t cluster)
{
	post(w, list_msg(id, cluster, 0));
	expect_note(w, REACTOR_LIST_OPENED);
	assert_non_null(feed_at(w, id));
	return feed_at(w, id);
}

static inline void post_fetch(struct world *w, uint32_t cluster)
{
	struct reactor_msg *m = msg(REACTOR_FETCH);
	m->id = m->cluster = cluster;
	m->fetch.target = strdup("/api");
	m->fetch.accept = strdup("application/json");
	post(w, m);
}

static inline struct cluster *cluster_at(struct world *w, uint32_t id)
{
	return core_cluster(w->r, id);
}

/* The answer to what socket s asked. */
static __attribute__((noinline, unused)) void answer(
        struct world *w, struct fake_sock *s, const char *head, const char *body)
{
	char buf[8192];
	snprintf(buf, sizeof buf, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", head,
	        strlen(body), body);
	fake_io_bytes(s, buf);
	turn(w);
}

#define LIST_JSON(rv, items)                                                                       \
	"{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv      \
	"\"},\"items\":[" items "]}"
#define ITEM_JSON(name, rv)                                                                        \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"u-" name               \
	"\",\"resourceVersion\":\"" rv "\"}}"
#define EVENT_JSON(type, name, rv)                                                                 \
	"{\"type\":\"" type "\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{" \
	"\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"u-" name                              \
	"\",\"resourceVersion\":\"" rv "\"}}}\n"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static inline void connect_ok(struct world *w, unsigned i)
{
	assert_non_null(fake_io_sock(&w->io, i));
	fake_io_connected(fake_io_sock(&w->io, i), ERR_OK);
	turn(w);
}

static inline void connect_fails(struct world *w, unsigned i)
{
	assert_non_null(fake_io_sock(&w->io, i));
	fake_io_connected(fake_io_sock(&w->io, i), ERR_CONN_REFUSED);
	turn(w);
}

/* Lists at version 10 with one object, then the stream is open: the list is live on socket i. */
static inline void go_live(struct world *w, unsigned i)
{
	connect_ok(w, i);
	answer(w, fake_io_sock(&w->io, i), "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
	fake_io_bytes(fake_io_sock(&w->io, i), STREAM_HEAD);
	turn(w);
}

static __attribute__((noinline, unused)) void chunk(struct fake_sock *s, const char *data, size_t n)
{
	char buf[8192];
	int head = snprintf(buf, sizeof buf, "%zx\r\n", n);
	memcpy(buf + head, data, n);
	memcpy(buf + head + n, "\r\n", 2);
	fake_io_data(s, buf, (size_t)head + n + 2);
}

static inline const struct shm_list *row_at(const struct feed *f)
{
	return f->list->shm;
}

static inline void stop_all(struct world *w)
{
	w->io.hold_closed = false;
	post(w, msg(REACTOR_STOP));
	for (int i = 0; i < 4 && !w->r->stopped; i++)
		turn(w);
	assert_true(w->r->stopped);
}

static inline void world_fini(struct world *w)
{
	if (!w->r->stopped)
		stop_all(w);
	reactor_free(&w->r);
	fake_io_fini(&w->io);
	for (struct list *it; (it = list_pop(&w->notes));) {
		struct reactor_note *n = CONTAINER_OF(it, struct reactor_note, link);
		reactor_note_free(&n);
	}
}

#endif
