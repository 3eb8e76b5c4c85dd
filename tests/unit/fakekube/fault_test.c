/* Each fault: what the bytes look like, that it strikes when its rule says so, and that the server
 * behaves again afterwards. */
#include "drive.h"
#include "json_check.h"

#include "base/prng.h"
#include "model/model_fault.h"

#define CMS   "/api/v1/configmaps"
#define WATCH CMS "?watch=1&resourceVersion=203&allowWatchBookmarks=true"
#define WATCHLIST                                                                                  \
	CMS "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch="       \
	    "NotOlderThan"
#define MS_NS 1000000ull

static int setup(void **state)
{
	struct drive *d = malloc(sizeof *d);
	drive_init(d);
	make_configmap(d, "a", "c1"); /* 201..203 */
	make_configmap(d, "a", "c2");
	make_configmap(d, "a", "c3");
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	drive_fini(*state);
	free(*state);
	return 0;
}

static void fault(struct drive *d, const char *line)
{
	struct model_fault rule;
	struct model_text error = {0};
	if (!model_fault_parse(span_of(line), &rule, &error))
		fail_msg("%s: %.*s", line, (int)error.n, error.p);
	assert_int_not_equal(rule.id, MODEL_FAULT_COUNT);
	assert_true(model_fault_add(&d->server.faults, &rule));
}

/* The next fault alone, on a fresh connection. */
static const char *with(struct drive *d, const char *line, const char *url)
{
	model_fault_clear(&d->server.faults);
	fault(d, line);
	return drive_fresh(d, url, NULL);
}

static void write_three(struct drive *d)
{
	model_patch_status(d->cluster, kind_of("", "configmaps"), SPAN("a/c1"), d->now_ns);
	model_patch_status(d->cluster, kind_of("", "configmaps"), SPAN("a/c2"), d->now_ns);
	model_patch_status(d->cluster, kind_of("", "configmaps"), SPAN("a/c3"), d->now_ns);
	drive_take(d);
}

static void healthy(struct drive *d)
{
	model_fault_clear(&d->server.faults);
	drive_fresh(d, CMS, NULL);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
	assert_contains(d->got.p, "\"name\":\"c1\"");
}

/* --- the transport --- */

static void cut_at_every_byte(void **state)
{
	struct drive *d = *state;
	drive_get(d, CMS, NULL);
	size_t whole = d->got.n;
	char *reference = strdup(
	        d->got.p +
	        strlen("HTTP/1.1 200 OK\r\nAudit-Id: 36-characters-that-differ-each-time....\r\n"));
	for (size_t at = 0; at <= whole; at += at < 20 || at > whole - 20 ? 1 : 13) {
		char line[64];
		snprintf(line, sizeof line, "%s byte=%zu", at % 2 ? "cut-rst" : "cut-fin", at);
		with(d, line, CMS);
		assert_int_equal(d->got.n, at);
		assert_int_equal(
		        model_conn_closed(d->conn), at % 2 ? MODEL_CLOSED_RST : MODEL_CLOSED_CUT);
		size_t skip = strlen(
		        "HTTP/1.1 200 OK\r\nAudit-Id: 36-characters-that-differ-each-time....\r\n");
		if (at > skip)
			assert_memory_equal(d->got.p + skip, reference, at - skip);
	}
	free(reference);
	healthy(d);
}

static void pieces(void **state)
{
	struct drive *d = *state;
	fault(d, "split bytes=7");
	drive_connect(d);
	model_conn_feed(d->conn, SPAN("GET " CMS " HTTP/1.1\r\n\r\n"), 0);
	size_t n = 0;
	for (struct span s; (s = model_conn_peek(d->conn, 0)).n; n++) {
		assert_in_range(s.n, 1, 7);
		model_conn_consume(d->conn, s.n, 0);
	}
	assert_true(n > 50);
	with(d, "drip bytes=100 ms=10", CMS);
	assert_int_equal(d->got.n, 100);
	drive_wait(d, 10 * MS_NS);
	assert_int_equal(d->got.n, 200);
	drive_wait(d, 10 * SECOND_NS);
	assert_contains(d->got.p, "]}\n");
	with(d, "slow-head ms=5", CMS);
	assert_int_equal(d->got.n, 1);
	drive_wait(d, 10 * 5 * MS_NS);
	assert_int_equal(d->got.n, 11);
	drive_wait(d, 10 * SECOND_NS);
	assert_contains(d->got.p, "]}\n");
	healthy(d);
}

static void silence(void **state)
{
	struct drive *d = *state;
	with(d, "stall byte=50 ms=2000", CMS);
	assert_int_equal(d->got.n, 50);
	drive_wait(d, 2 * SECOND_NS - 1);
	assert_int_equal(d->got.n, 50);
	drive_wait(d, 1);
	assert_contains(d->got.p, "]}\n");
	with(d, "half-open byte=60", CMS);
	drive_wait(d, 86400 * SECOND_NS);
	assert_int_equal(d->got.n, 60);
	assert_int_equal(model_conn_closed(d->conn), MODEL_OPEN);
	with(d, "half-open byte=0 verb=connect", CMS);
	drive_wait(d, 86400 * SECOND_NS);
	assert_int_equal(d->got.n, 0);
	with(d, "not-reading", CMS);
	assert_int_equal(d->got.n, 0);
	assert_false(model_conn_wants_input(d->conn));
	with(d, "hang ms=60000", CMS);
	drive_wait(d, 60 * SECOND_NS - 1);
	assert_int_equal(model_conn_closed(d->conn), MODEL_OPEN);
	drive_wait(d, 1);
	assert_int_equal(d->got.n, 0);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_CUT);
	with(d, "close", CMS);
	assert_int_equal(d->got.n, 0);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_CUT);
	model_fault_clear(&d->server.faults);
	fault(d, "close verb=connect");
	drive_connect(d);
	assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_CUT);
	/* counted from the start of the connection: over two answers */
	model_fault_clear(&d->server.faults);
	fault(d, "cut-rst byte=600 verb=connect");
	drive_connect(d);
	drive_get(d, "/readyz", NULL);
	size_t first = d->got.n;
	assert_in_range(first, 100, 599);
	drive_get(d, "/version", NULL);
	assert_int_equal(first + d->got.n, 600);
	healthy(d);
}

/* --- HTTP --- */

static void status_codes(void **state)
{
	struct drive *d = *state;
	static const struct {
		const char *fault, *head, *has;
	} rows[] = {
	        {"400", "HTTP/1.1 400 Bad Request\r\n", "\"reason\":\"BadRequest\""},
	        {"401", "HTTP/1.1 401 Unauthorized\r\n",
	                "\"reason\":\"Unauthorized\",\"code\":401}"},
	        {"403", "HTTP/1.1 403 Forbidden\r\n", "cannot list resource \\\"configmaps\\\""},
	        {"404", "HTTP/1.1 404 Not Found\r\n", "404 page not found\n"},
	        {"406", "HTTP/1.1 406 Not Acceptable\r\n", "\"reason\": \"NotAcceptable\""},
	        {"410", "HTTP/1.1 410 Gone\r\n", "\"reason\":\"Expired\",\"code\":410}"},
	        {"422", "HTTP/1.1 422 Unprocessable Entity\r\n", "\"reason\":\"Invalid\""},
	        {"429 seconds=1", "HTTP/1.1 429 Too Many Requests\r\n", "\r\nRetry-After: 1\r\n"},
	        {"429 seconds=0", "HTTP/1.1 429 Too Many Requests\r\n", "\r\nRetry-After: 0\r\n"},
	        {"429 seconds=86400 form=3", "HTTP/1.1 429 Too Many Requests\r\n",
	                "\r\nRetry-After: -86400\r\n"},
	        {"429 seconds=60 form=1", "HTTP/1.1 429 Too Many Requests\r\n",
	                "\r\nRetry-After: Tue, 24 Nov 2026 22:57:46 GMT\r\n"},
	        {"429 form=2", "HTTP/1.1 429 Too Many Requests\r\n",
	                "Too many requests, please try again later.\n"},
	        {"5xx code=500", "HTTP/1.1 500 Internal Server Error\r\n",
	                "\"reason\":\"InternalError\""},
	        {"5xx code=502", "HTTP/1.1 502 Bad Gateway\r\n", "\r\nContent-Length: 0\r\n\r\n"},
	        {"5xx code=503", "HTTP/1.1 503 Service Unavailable\r\n", "no healthy upstream"},
	        {"5xx code=504", "HTTP/1.1 504 Gateway Timeout\r\n", "upstream request timeout"},
	        {"redirect", "HTTP/1.1 302 Found\r\n", "\r\nLocation: https://login.example.com/"},
	        {"wrong-content-type", "HTTP/1.1 200 OK\r\n",
	                "\r\nContent-Type: text/html; charset=utf-8\r\n"},
	        {"too-large-rv", "HTTP/1.1 504 Gateway Timeout\r\n", "ResourceVersionTooLarge"},
	        {"gzip-unasked", "HTTP/1.1 200 OK\r\n", "\r\nContent-Encoding: gzip\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		with(d, rows[i].fault, CMS);
		assert_starts(d->got.p, rows[i].head);
		assert_contains(d->got.p, rows[i].has);
		assert_int_equal(model_conn_closed(d->conn), MODEL_OPEN);
	}
	with(d, "429 form=2", CMS);
	assert_lacks(d->got.p, "Retry-After");
	healthy(d);
}

static void broken_http(void **state)
{
	struct drive *d = *state;
	static const char *const heads[] = {"200 OK\nContent", "\r\n folded",
	        "Content-Length: 2\r\nContent-Length: 3",
	        "Content-Length: 2\r\nTransfer-Encoding: chunked", NULL, "Content-Length : 2",
	        "SSH-2.0", "HTTP/2 200"};
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		char line[40];
		snprintf(line, sizeof line, "head-garbage variant=%zu", i);
		with(d, line, CMS);
		if (heads[i])
			assert_contains(d->got.p, heads[i]);
		else
			assert_true(strlen(d->got.p) < d->got.n); /* the NUL */
		assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_FIN);
	}
	static const char *const chunks[] = {"\r\n\r\nzz\r\n", "\r\n\r\nffffffffffffffff1\r\n",
	        "2\r\n{}3\r\n", "\r\n\r\n-2\r\n"};
	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		char line[40];
		snprintf(line, sizeof line, "chunk-garbage variant=%zu", i);
		with(d, line, CMS);
		assert_contains(d->got.p, chunks[i]);
		assert_int_equal(model_conn_closed(d->conn), MODEL_CLOSED_CUT);
	}
	static const char *const endless[] = {"endless-head", "endless-1xx"};
	for (size_t i = 0; i < 2; i++) {
		model_fault_clear(&d->server.faults);
		fault(d, endless[i]);
		drive_connect(d);
		model_conn_feed(d->conn, SPAN("GET " CMS " HTTP/1.1\r\n\r\n"), 0);
		size_t total = 0;
		while (total < 4u << 20) { /* it never ends, and never holds more than what is about
			                      to be sent */
			struct span s = model_conn_peek(d->conn, 0);
			assert_in_range(s.n, 1, 300000);
			total += s.n;
			model_conn_consume(d->conn, s.n, 0);
		}
	}
	healthy(d);
}

/* --- versions and lists --- */

static void lists(void **state)
{
	struct drive *d = *state;
	with(d, "gone-continue", CMS "?limit=1");
	assert_contains(d->got.p, "\"continue\":");
	char url[300];
	const char *token = strstr(d->got.p, "\"continue\":\"") + 12;
	snprintf(url, sizeof url, CMS "?limit=1&continue=%.*s", (int)strcspn(token, "\""), token);
	drive_get(d, url, NULL);
	assert_starts(d->got.p, "HTTP/1.1 410 Gone\r\n");
	assert_contains(d->got.p, "\"metadata\":{\"continue\":");
	/* the object behind the first page is another one on the second, which still shows the old
	 * snapshot */
	with(d, "recreate-between-pages", CMS "?limit=1");
	drive_get(d, url, NULL);
	assert_contains(d->got.p, "\"name\":\"c2\"");
	assert_int_equal(d->cluster->rv, 206); /* c1 deleted and created, c2 deleted */
	drive_get(d, CMS, NULL);
	assert_lacks(d->got.p, "\"name\":\"c2\"");
	assert_contains(d->got.p, "\"resourceVersion\":\"205\"");
	with(d, "page-empty count=1", CMS "?limit=1");
	assert_contains(d->got.p, "\"items\":[]}");
	token = strstr(d->got.p, "\"continue\":\"") + 12;
	snprintf(url, sizeof url, CMS "?limit=5&continue=%.*s", (int)strcspn(token, "\""), token);
	drive_get(d, url, NULL);
	assert_int_equal(count_of(d->got.p, "\"name\":\"c"), 2); /* nothing was passed over */
	with(d, "compact", CMS);
	assert_int_equal(d->cluster->horizon, d->cluster->rv);
	with(d, "lag versions=1", CMS);
	assert_contains(
	        d->got.p, "\"metadata\":{\"resourceVersion\":\"206\"}"); /* not below the horizon */
	make_configmap(d, "a", "c9");
	drive_get(d, CMS, NULL);
	assert_contains(d->got.p, "\"metadata\":{\"resourceVersion\":\"206\"}");
	assert_lacks(d->got.p, "\"name\":\"c9\"");
	drive_get(d, CMS "?resourceVersion=207", NULL); /* the second server has not got there */
	drive_wait(d, 3 * SECOND_NS);
	assert_starts(d->got.p, "HTTP/1.1 504 ");
	with(d, "restore versions=1 count=1", CMS);
	assert_int_equal(d->cluster->rv, 206);
	assert_lacks(d->got.p, "\"name\":\"c9\"");
	with(d, "list-quirk item=2 quirks=2", CMS);
	assert_int_equal(count_of(d->got.p, "\"uid\":"), 1);
	healthy(d);
}

/* --- streaming lists --- */

static void streaming_lists(void **state)
{
	struct drive *d = *state;
	with(d, "watchlist-422 verb=watchlist", WATCHLIST);
	assert_starts(d->got.p, "HTTP/1.1 422 ");
	assert_contains(d->got.p, "sendInitialEvents is forbidden for watch unless the WatchList "
	                          "feature gate is enabled");
	with(d, "watchlist-ignored", WATCHLIST);
	assert_int_equal(count_of(d->got.p, "\"ADDED\""), 3);
	assert_lacks(d->got.p, "initial-events-end");
	with(d, "no-marker", WATCHLIST);
	assert_int_equal(count_of(d->got.p, "\"ADDED\""), 3);
	drive_wait(d, 61 * SECOND_NS);
	assert_contains(d->got.p, "BOOKMARK");
	assert_lacks(d->got.p, "initial-events-end");
	with(d, "watchlist-500", WATCHLIST);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
	assert_contains(d->got.p, "{\"type\":\"ERROR\",\"object\":");
	assert_contains(d->got.p,
	        "RequestWatchProgress is disabled\",\"reason\":\"InternalError\",\"code\":500}}\n");
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
	with(d, "watchlist-500", WATCH); /* an ordinary watch works there */
	assert_lacks(d->got.p, "ERROR");
	with(d, "gone-event", WATCHLIST);
	assert_contains(d->got.p, "too old resource version");
	with(d, "too-large-rv", WATCHLIST);
	assert_starts(d->got.p, "HTTP/1.1 200 OK\r\n");
	assert_contains(d->got.p, "{\"type\":\"ERROR\",\"object\":");
	assert_contains(d->got.p, "ResourceVersionTooLarge");
	healthy(d);
}

/* --- watches --- */

static const char *watch_with(struct drive *d, const char *line)
{
	with(d, line, WATCH);
	write_three(d);
	drive_wait(d, MS_NS);
	return drive_body(d);
}

static void rv_of(const struct drive *d, uint64_t back, char *buf, size_t bytes)
{
	snprintf(buf, bytes, "\"resourceVersion\":\"%llu\"",
	        (unsigned long long)(d->cluster->rv - back));
}

static void events(void **state)
{
	struct drive *d = *state;
	char rv[64];
	watch_with(d, "event-duplicate event=2");
	assert_int_equal(count_of(d->got.p, "\"MODIFIED\""), 4);
	assert_int_equal(count_of(d->got.p, "\"name\":\"c2\""), 2);
	with(d, "event-reorder event=2", CMS "?watch=1&resourceVersion=203");
	const char *one = strstr(d->got.p, "\"name\":\"c1\""),
	           *two = strstr(d->got.p, "\"name\":\"c2\""),
	           *three = strstr(d->got.p, "\"name\":\"c3\"");
	assert_true(one && one < three && three < two);
	with(d, "event-reorder event=3", CMS "?watch=1&resourceVersion=203");
	assert_lacks(d->got.p, "\"name\":\"c3\""); /* held until there is a next one */
	write_three(d);
	assert_int_equal(count_of(d->got.p, "\"MODIFIED\""), 6);
	make_configmap(d, "a", "d1");
	uint64_t from = d->cluster->rv;
	char url[128];
	snprintf(url, sizeof url, CMS "?watch=1&allowWatchBookmarks=true&resourceVersion=%llu",
	        (unsigned long long)from);
	with(d, "event-rv-decrease event=2 versions=50", url);
	write_three(d);
	rv_of(d, 51, rv, sizeof rv);
	assert_contains(d->got.p, rv);
	with(d, "event-unknown-type event=1", url);
	assert_contains(d->got.p, "{\"type\":\"PATCHED\",");
	assert_int_equal(count_of(d->got.p, "\"MODIFIED\""), 2);
	with(d, "event-half-line event=2", url);
	assert_int_equal(count_of(d->got.p, "}}\n"), 1);
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
	with(d, "event-bad-utf8 event=1", url);
	assert_int_equal(count_of(d->got.p, "\xff"), 1);
	with(d, "event-huge event=1 bytes=2000000", url);
	assert_true(d->got.n > 2000000);
	bool whole;
	struct model_text t = drive_unchunk(d, &whole);
	assert_true(json_document(t.p, t.n) > 2000000);
	model_text_fini(&t);
	with(d, "event-error event=2 code=500", url);
	assert_contains(d->got.p, "{\"type\":\"ERROR\",\"object\":");
	assert_contains(d->got.p, "\"reason\":\"InternalError\",\"code\":500}}\n");
	assert_int_equal(count_of(d->got.p, "\"MODIFIED\""), 1);
	with(d, "event-error event=1 code=410", url);
	assert_contains(d->got.p, "\"reason\":\"Expired\",\"code\":410}}\n");
	with(d, "event-quirk event=3 quirks=8", url); /* an empty version */
	assert_int_equal(count_of(d->got.p, "\"resourceVersion\":\"\""), 1);
	with(d, "event-quirk event=0 quirks=2", url); /* each without uid */
	assert_lacks(d->got.p, "\"uid\"");
	healthy(d);
}

static void ends_of_watches(void **state)
{
	struct drive *d = *state;
	with(d, "watch-close-at-once", WATCH);
	assert_string_equal(drive_body(d), "0\r\n\r\n");
	with(d, "watch-close-before-event", WATCH);
	assert_string_equal(drive_body(d), "");
	write_three(d);
	assert_string_equal(drive_body(d), "0\r\n\r\n");
	with(d, "watch-close-after events=2", WATCH);
	assert_int_equal(count_of(d->got.p, "\"MODIFIED\""), 2);
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
	with(d, "watch-close-after-bookmark", WATCH);
	drive_wait(d, 60 * SECOND_NS);
	assert_contains(d->got.p, "BOOKMARK");
	assert_string_equal(d->got.p + d->got.n - 5, "0\r\n\r\n");
	with(d, "no-bookmarks", WATCH);
	drive_wait(d, 1000 * SECOND_NS);
	assert_lacks(d->got.p, "BOOKMARK");
	with(d, "bookmark-low versions=5", WATCH);
	drive_wait(d, 3 * SECOND_NS);
	char rv[64];
	rv_of(d, 5, rv, sizeof rv);
	assert_int_equal(count_of(d->got.p, "BOOKMARK"), 3);
	assert_contains(strstr(d->got.p, "BOOKMARK"), rv);
	/* a lagging server shows what happened later */
	with(d, "lag versions=2", WATCH);
	d->got.n = 0;
	write_three(d);
	assert_int_equal(count_of(d->got.p, "\"MODIFIED\""), 3);
	assert_lacks(d->got.p, "\"resourceVersion\":\"209\"");
	model_cluster_skip(d->cluster, 2);
	drive_wait(d, SECOND_NS);
	assert_contains(d->got.p, "\"resourceVersion\":\"209\"");
	healthy(d);
}

/* --- rules --- */

static void rules_strike_when_they_say(void **state)
{
	struct drive *d = *state;
	fault(d, "  5xx  code=503 verb=list,watch resource=configmaps nth=2 count=2   # twice ");
	static const char *const want[] = {
	        "HTTP/1.1 200", "HTTP/1.1 503", "HTTP/1.1 503", "HTTP/1.1 200"};
	for (int i = 0; i < 4; i++) {
		drive_get(d, i == 2 ? WATCH : CMS, NULL);
		assert_starts(d->got.p, want[i]);
		drive_get(d,
		        "/api/v1/"
		        "configmaps?limit=1&continue="
		        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjAzLCJzdGFydCI6Ii9hL2MxXHUwMDAwIn0",
		        NULL);
		assert_starts(d->got.p, "HTTP/1.1 200"); /* another verb */
		drive_get(d, "/api/v1/pods", NULL);
		assert_starts(d->got.p, "HTTP/1.1 200"); /* another resource */
	}
	assert_int_equal(d->server.faults.rules[0].seen, 4);
	assert_int_equal(d->server.faults.rules[0].fired, 2);
	struct model_text t = {0};
	model_fault_print(&d->server.faults.rules[0], &t);
	TEXT_LIT(&t, "\0");
	assert_string_equal(t.p, "5xx code=503 verb=list,watch resource=configmaps nth=2 count=2");
	/* what is printed can be read again */
	struct model_fault again;
	struct model_text error = {0};
	assert_true(model_fault_parse(span_of(t.p), &again, &error));
	assert_int_equal(again.a, 503);
	assert_int_equal(again.verbs, 1u << MODEL_VERB_LIST | 1u << MODEL_VERB_WATCH);
	static const char *const bad[] = {"nope", "cut-rst byte", "cut-rst byte=x",
	        "cut-rst verb=", "cut-rst verb=lost", "5xx byte=1", "split nth=99999999999"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		t.n = 0;
		assert_false(model_fault_parse(span_of(bad[i]), &again, &t));
		assert_true(t.n > 10);
	}
	assert_true(model_fault_parse(SPAN("  # nothing"), &again, &t));
	assert_int_equal(again.id, MODEL_FAULT_COUNT);
	model_text_fini(&t);
	model_text_fini(&error);
	model_fault_clear(&d->server.faults);
	for (int i = 0; i < MODEL_FAULTS_MAX; i++)
		fault(d, "close nth=1000000");
	assert_false(model_fault_add(&d->server.faults, &d->server.faults.rules[0]));
}

/* Any mix of faults, requests in any pieces, writes in between: never a crash, never more memory
 * than the limit, and the same seed gives the same bytes. */
static uint64_t random_run(uint64_t seed)
{
	static const char *const urls[] = {CMS, CMS "?limit=1", WATCH, WATCHLIST, "/api/v1/pods",
	        "/apis", "/version", "/clusters/x/api", CMS "/c1?x=%zz%", CMS "?watch=1",
	        CMS "?labelSelector=a+in+(b",
	        CMS "?limit=2&continue="
	            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoicDJcdTAwMDAifQ"};
	struct drive d;
	struct prng r = {seed};
	uint64_t hash = seed;
	drive_init(&d);
	make_configmap(&d, "a", "c1");
	for (int step = 0; step < 60; step++) {
		struct model_fault rule;
		model_fault_draw(&r, &rule);
		if (prng_below(&r, 3) == 0)
			model_fault_add(&d.server.faults, &rule);
		if (d.server.faults.count > 5)
			model_fault_clear(&d.server.faults);
		if (!d.conn || model_conn_closed(d.conn) != MODEL_OPEN || prng_below(&r, 4) == 0)
			drive_connect(&d);
		char request[400];
		int n = snprintf(request, sizeof request,
		        "GET %s HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n",
		        urls[prng_below(&r, sizeof urls / sizeof *urls)]);
		if (prng_below(&r, 10) == 0)
			request[prng_below(&r, (uint64_t)n)] = (char)prng_next(&r);
		for (int at = 0; at < n;) {
			int k = 1 + (int)prng_below(&r, (uint64_t)(n - at));
			model_conn_feed(d.conn, (struct span){request + at, (size_t)k}, d.now_ns);
			at += k;
		}
		static const char *const ops[] = {"a/c1", "a/c2", "a/c3"};
		const char *key = ops[prng_below(&r, 3)];
		make_configmap(&d, "a", key + 2);
		if (prng_below(&r, 2))
			model_recreate(
			        d.cluster, kind_of("", "configmaps"), span_of(key), d.now_ns);
		if (prng_below(&r, 20) == 0)
			model_cluster_restore(d.cluster,
			        d.cluster->horizon +
			                prng_below(&r, d.cluster->rv - d.cluster->horizon + 1));
		for (int piece = 0; piece < 40; piece++) {
			struct span s = model_conn_peek(d.conn, d.now_ns);
			for (size_t i = 0; i < s.n; i++)
				hash = (hash ^ (unsigned char)s.p[i]) * 0x100000001b3ull;
			model_conn_consume(d.conn, s.n, d.now_ns);
			if (s.n == 0 && model_conn_deadline_ns(d.conn) != UINT64_MAX &&
			        prng_below(&r, 2)) {
				d.now_ns = model_conn_deadline_ns(d.conn);
				model_conn_tick(d.conn, d.now_ns);
			}
		}
	}
	drive_fini(&d);
	return hash;
}

static void any_mix_of_faults_is_survived_and_repeatable(void **state)
{
	(void)state;
	uint64_t hashes = 0;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t h = random_run(seed);
		if (seed <= 10)
			assert_true(h == random_run(seed));
		hashes ^= h;
	}
	assert_true(hashes != 0);
}

static void every_fault_is_drawn(void **state)
{
	(void)state;
	struct prng r = {9};
	bool seen[MODEL_FAULT_COUNT] = {false};
	for (int i = 0; i < 4000; i++) {
		struct model_fault rule;
		model_fault_draw(&r, &rule);
		assert_in_range(rule.id, 0, MODEL_FAULT_COUNT - 1);
		assert_true(rule.count > 0); /* it ends by itself */
		seen[rule.id] = true;
	}
	for (int i = 0; i < MODEL_FAULT_COUNT; i++)
		if (!seen[i])
			fail_msg("never drawn: %s", model_fault_rows[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(cut_at_every_byte, setup, teardown),
	        cmocka_unit_test_setup_teardown(pieces, setup, teardown),
	        cmocka_unit_test_setup_teardown(silence, setup, teardown),
	        cmocka_unit_test_setup_teardown(status_codes, setup, teardown),
	        cmocka_unit_test_setup_teardown(broken_http, setup, teardown),
	        cmocka_unit_test_setup_teardown(lists, setup, teardown),
	        cmocka_unit_test_setup_teardown(streaming_lists, setup, teardown),
	        cmocka_unit_test_setup_teardown(events, setup, teardown),
	        cmocka_unit_test_setup_teardown(ends_of_watches, setup, teardown),
	        cmocka_unit_test_setup_teardown(rules_strike_when_they_say, setup, teardown),
	        cmocka_unit_test(any_mix_of_faults_is_survived_and_repeatable),
	        cmocka_unit_test(every_fault_is_drawn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
