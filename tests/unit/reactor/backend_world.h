/* backend_world.h - a Headlamp backend on the scripted io, and clusters behind it: the test is the
 * backend. Cluster 0 stands for it; 1 is "a", 2 is "b", ... Lists resume or open on one
 * multiplexer's socket, `peer`. */
#ifndef KR_TESTS_UNIT_REACTOR_BACKEND_WORLD_H
#define KR_TESTS_UNIT_REACTOR_BACKEND_WORLD_H

#include "reactor/mux_link.h"
#include "unit/reactor/ws_peer.h"

static struct world w;
static struct fake_sock *peer; /* the multiplexer's socket, once hear_upgrade() has agreed */
static size_t heard;           /* bytes of it that were looked at */

static inline void add_behind(uint32_t id, enum strategy_way way, bool is_auto, const char *user)
{
	char name[2] = {id ? (char)('a' + id - 1) : 'H', 0}, prefix[16] = "";
	if (id)
		snprintf(prefix, sizeof prefix, "/clusters/%s", name);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_ADD);
	m->cluster_spec = (struct cluster_spec){.cluster = id,
	        .name = strdup(name),
	        .host = strdup("hl.test:4466"),
	        .prefix = strdup(prefix),
	        .connects_per_s = 50,
	        .connects_burst = 100,
	        .way = id ? way : STRATEGY_DIRECT,
	        .way_auto = is_auto,
	        .backend = id ? 0 : REACTOR_NO_CLUSTER,
	        .context = id ? strdup(name) : NULL,
	        .user = user ? strdup(user) : NULL};
	post(&w, m);
	post_credential(&w, id, ERR_OK, "");
	post_addresses(&w, id, 1);
}

/* The backend with the clusters a and b behind it. */
static inline void open_backend(enum strategy_way way, bool is_auto)
{
	world_init(&w);
	peer = NULL;
	heard = 0;
	for (uint32_t id = 0; id < 3; id++)
		add_behind(id, way, is_auto, NULL);
}

static inline struct fake_sock *must_send(const char *what)
{
	struct fake_sock *s = sock_that_sent(&w, what);
	if (!s)
		fail_msg("nobody sent \"%s\"", what);
	return s;
}

/* The LIST of the list, asked for by HTTP through the cluster's prefix, is answered: one object
 * "a", version 10. */
static inline void answer_list(const char *target)
{
	char line[128];
	dial(&w);
	snprintf(line, sizeof line, "GET %s?limit=500 HTTP/1.1\r\nHost: hl.test:4466\r\n", target);
	answer(&w, must_send(line), "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
}

static inline void hear_upgrade(void)
{
	dial(&w);
	peer = must_send("GET /wsMultiplexer HTTP/1.1\r\nHost: hl.test:4466\r\n");
	heard = 0;
	agree(&w, peer, "headlamp.multiplexer.k8s.io");
}

static inline bool peer_is_open(void)
{
	for (unsigned i = 0; i < fake_io_count(&w.io); i++)
		if (fake_io_sock(&w.io, i) == peer)
			return true;
	return false;
}

/* A message to the backend, and exactly that: these members, in this order, no others. */
struct said {
	char cluster[16], path[64], query[256], user[32], type[16];
};

static __attribute__((noinline, unused)) bool next_said(struct said *q)
{
	static char text[PEER_TEXT];
	int op, end = 0;
	turn(&w);
	turn(&w);
	assert_true(peer_is_open());
	while ((op = sent_frame(peer, &heard, text)) != OP_TEXT) {
		if (op < 0)
			return false;
		assert_int_not_equal(op, OP_CLOSE);
	}
	int n = sscanf(text,
	        "{\"clusterId\":\"%15[^\"]\",\"path\":\"%63[^\"]\",\"query\":\"%255[^\"]\","
	        "\"userId\":\"%31[^\"]\",\"type\":\"%15[^\"]\"}%n",
	        q->cluster, q->path, q->query, q->user, q->type, &end);
	assert_int_equal(n, 5);
	assert_int_equal(end, strlen(text));
	assert_int_equal(strlen(q->user), MUX_USER_BYTES);
	assert_int_equal(strspn(q->user, "0123456789abcdef"), MUX_USER_BYTES);
	return true;
}

static inline void nothing_said(void)
{
	struct said q;
	assert_false(next_said(&q));
}

/* The next message is a REQUEST for that path from that version. */
static inline struct said hear_request(const char *cluster, const char *path, const char *version)
{
	struct said q;
	char query[128];
	unsigned seconds = 0;
	assert_true(next_said(&q));
	assert_string_equal(q.type, "REQUEST");
	assert_string_equal(q.cluster, cluster);
	assert_string_equal(q.path, path);
	const char *tail = strstr(q.query, "&timeoutSeconds=");
	assert_non_null(tail);
	assert_int_equal(sscanf(tail, "&timeoutSeconds=%u", &seconds), 1);
	assert_in_range(seconds, 300, 600);
	snprintf(query, sizeof query, "watch=1&allowWatchBookmarks=true&resourceVersion=%s&",
	        version);
	assert_non_null(strstr(q.query, query));
	return q;
}

static inline void hear_close(const struct said *of)
{
	struct said q;
	assert_true(next_said(&q));
	assert_string_equal(q.type, "CLOSE");
	assert_string_equal(q.cluster, of->cluster);
	assert_string_equal(q.path, of->path);
	assert_string_equal(q.user, of->user);
}

/* A message of the backend. STATUS names neither query nor user (BM-3). */
static __attribute__((noinline, unused)) void say(
        const struct said *to, const char *type, const char *data, bool binary)
{
	static char text[PEER_TEXT], escaped[PEER_TEXT / 2];
	bool exact = strcmp(type, "STATUS") != 0;
	size_t n = 0;
	for (const char *p = data; *p; p++) {
		assert_true(n + 3 < sizeof escaped);
		if (*p == '"' || *p == '\\' || *p == '\n')
			escaped[n++] = '\\';
		escaped[n++] = *p == '\n' ? 'n' : *p;
	}
	escaped[n] = 0;
	int bytes = snprintf(text, sizeof text,
	        "{\"clusterId\":\"%s\",\"path\":\"%s\",\"query\":\"%s\",\"userId\":\"%s\"%s%s%s%s"
	        ",\"type\":\"%s\"}\n",
	        to->cluster, to->path, exact ? to->query : "", exact ? to->user : "",
	        *data ? ",\"data\":\"" : "", escaped, *data ? "\"" : "",
	        binary ? ",\"binary\":true" : "", type);
	frame(&w, peer, OP_TEXT, text, (size_t)bytes);
}

static inline void say_status(const struct said *to, const char *state)
{
	char data[128];
	snprintf(data, sizeof data, "{\"state\":\"%s\",\"error\":\"\"}", state);
	say(to, "STATUS", data, false);
}

static inline void say_event(const struct said *to, const char *text)
{
	say(to, "COMPLETE", "", false);
	say(to, "DATA", text, false);
}

static inline void say_error(const struct said *to, const char *text)
{
	char data[256];
	snprintf(data, sizeof data, "{\"error\":\"%s\"}", text);
	say(to, "ERROR", data, false);
}

/* List `id` of the cluster is live at version 10 over the multiplexer. */
static inline struct said go_live_mux(uint32_t id, uint32_t cluster)
{
	char name[2] = {(char)('a' + cluster - 1), 0}, target[64], path[32];
	open_list(&w, id, cluster);
	snprintf(path, sizeof path, "/api/v1/r%u", id);
	snprintf(target, sizeof target, "/clusters/%s%s", name, path);
	answer_list(target);
	if (!peer)
		hear_upgrade();
	struct said q = hear_request(name, path, "10");
	say_status(&q, "connected");
	assert_int_equal(row_at(feed_at(&w, id))->state, SHM_LIST_LIVE);
	return q;
}

static inline void is_at(uint32_t id, enum shm_list_state state, const char *version)
{
	assert_int_equal(row_at(feed_at(&w, id))->state, state);
	assert_string_equal(row_at(feed_at(&w, id))->rv, version);
}

/* Time passes; the peer answers pings, so that only what the test is about is silent. */
static inline void pass_with_pongs(uint64_t ns)
{
	for (uint64_t end = w.io.now_ns + ns; w.io.now_ns < end;) {
		pass(&w, SEC);
		if (peer)
			frame(&w, peer, OP_PONG, "", 0);
	}
}

static inline const char *way_text(uint32_t cluster, enum strategy_way way)
{
	static struct cluster_status st;
	cluster_status_of(cluster_at(&w, cluster), &st);
	assert_int_equal(st.way, way);
	return st.way_text;
}

/* REACTOR_LIST_OPEN of "pods" with a selector. */
static inline void open_selected(uint32_t id, uint32_t cluster, const char *labels)
{
	struct reactor_msg *m = list_msg(id, cluster, 0);
	free(m->list_spec.resource);
	free(m->list_spec.labels);
	m->list_spec.resource = strdup("pods");
	m->list_spec.labels = strdup(labels);
	post(&w, m);
	expect_note(&w, REACTOR_LIST_OPENED);
}

static inline void close_list(uint32_t id)
{
	struct reactor_msg *m = msg(REACTOR_LIST_CLOSE);
	m->id = m->list = id;
	post(&w, m);
}

#endif
