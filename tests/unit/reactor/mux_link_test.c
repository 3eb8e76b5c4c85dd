/* mux_link_test.c - lists of clusters behind a Headlamp backend, over its multiplexer: what is
 * asked, what is made of each answer, and what one list's or one cluster's trouble does to the
 * others (ids: tests/headlamp.md). */
#include "unit/reactor/backend_world.h"

static void a_list_by_http_then_one_request(void **state)
{
	char value[128];
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct feed *f = open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	dial(&w);
	struct fake_sock *s = must_send("GET /wsMultiplexer HTTP/1.1\r\n");
	header(s, "Sec-WebSocket-Protocol", value, sizeof value);
	assert_string_equal(value, "headlamp.multiplexer.k8s.io");
	assert_int_equal(fake_io_count(&w.io), 1); /* the LIST's connection is not kept for it */
	hear_upgrade();
	struct said q = hear_request("a", "/api/v1/r0", "10");
	assert_int_not_equal(row_at(f)->state, SHM_LIST_LIVE);
	say_status(&q, "connected");
	is_at(0, SHM_LIST_LIVE, "10");
	assert_int_equal(row_at(f)->objects, 1);
	nothing_said();
	world_fini(&w);
}

static void post_token(uint32_t cluster)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CREDENTIAL);
	m->cluster = cluster;
	m->credential.auth = auth_new();
	assert_non_null(m->credential.auth);
	m->credential.auth->fields = calloc(1, sizeof m->credential.auth->fields[0]);
	m->credential.auth->fields[0] =
	        (struct auth_field){strdup("X-HEADLAMP_BACKEND-TOKEN"), strdup("desktop-token")};
	m->credential.auth->field_count = 1;
	if (cluster == 0)
		m->credential.auth->upgrade_cookie = strdup("headlamp-auth-a.0=T");
	post(&w, m);
}

/* C2, R1: one form of it, everywhere; a sub-protocol beside it could contradict. */
static void the_backend_token_is_a_header(void **state)
{
	static const char token[] = "\r\nX-HEADLAMP_BACKEND-TOKEN: desktop-token\r\n";
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	post_token(0);
	post_token(1);
	open_list(&w, 0, 1);
	dial(&w);
	assert_non_null(strstr(must_send("GET /clusters/a/api/v1/r0?limit=500 ")->sent, token));
	answer_list("/clusters/a/api/v1/r0");
	dial(&w);
	struct fake_sock *s = must_send("GET /wsMultiplexer ");
	assert_non_null(strstr(s->sent, token));
	assert_non_null(strstr(s->sent, "\r\nCookie: headlamp-auth-a.0=T\r\n"));
	assert_null(strstr(s->sent, "headlamp.backend.authorization"));
	world_fini(&w);
}

static void events_are_applied_and_complete_says_nothing(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	struct feed *f = feed_at(&w, 0);
	say(&q, "COMPLETE", "", false);
	is_at(0, SHM_LIST_LIVE, "10");
	say_event(&q, EVENT_JSON("ADDED", "b", "11"));
	say_event(&q, EVENT_JSON("MODIFIED", "a", "12"));
	is_at(0, SHM_LIST_LIVE, "12");
	assert_int_equal(row_at(f)->objects, 2);
	say_event(&q, EVENT_JSON("DELETED", "b", "13"));
	assert_int_equal(row_at(f)->objects, 1);
	say_event(&q, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
	              "\"resourceVersion\":\"20\"}}}\n");
	is_at(0, SHM_LIST_LIVE, "20");
	assert_int_equal(row_at(f)->objects, 1);
	nothing_said(); /* an event moves no watch (LS-1) */
	world_fini(&w);
}

static void binary_data_is_base64(void **state)
{
	char text[1024];
	const char *ev = EVENT_JSON("ADDED", "b", "11");
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)ev, (int)strlen(ev));
	say(&q, "DATA", text, true);
	is_at(0, SHM_LIST_LIVE, "11");
	assert_int_equal(row_at(feed_at(&w, 0))->objects, 2);
	world_fini(&w);
}

static void a_list_comes_and_goes_alone(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1);
	struct said q1 = go_live_mux(1, 1); /* exactly one REQUEST: it would find another */
	struct said q2 = go_live_mux(2, 2);
	nothing_said();
	assert_string_not_equal(q0.user, q1.user);
	assert_string_not_equal(q1.user, q2.user);
	assert_int_equal(fake_io_count(&w.io), 1); /* one socket for all of them */
	close_list(1);
	hear_close(&q1);
	nothing_said();
	say_status(&q1, "closed"); /* the echo */
	is_at(0, SHM_LIST_LIVE, "10");
	is_at(2, SHM_LIST_LIVE, "10");
	say_event(&q0, EVENT_JSON("ADDED", "b", "11"));
	say_event(&q1, EVENT_JSON("ADDED", "late", "12")); /* one late event is possible (2.5) */
	is_at(0, SHM_LIST_LIVE, "11");
	nothing_said();
	world_fini(&w);
}

/* BM-1: the backend's key is (cluster, path, userId), without the query. */
static void two_selectors_on_one_path_are_two_watches(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q[2];
	const char *labels[] = {"app=x", "app=y"};
	for (uint32_t i = 0; i < 2; i++) {
		open_selected(i, 1, labels[i]);
		dial(&w);
		answer(&w, must_send("GET /clusters/a/api/v1/pods?labelSelector="), "200 OK",
		        LIST_JSON("10", ""));
		if (!peer)
			hear_upgrade();
		q[i] = hear_request("a", "/api/v1/pods", "10");
		say_status(&q[i], "connected");
	}
	assert_non_null(strstr(q[0].query, "labelSelector=app%3Dx&"));
	assert_non_null(strstr(q[1].query, "labelSelector=app%3Dy&"));
	assert_string_not_equal(q[0].user, q[1].user);
	say_event(&q[1], EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "10");
	is_at(1, SHM_LIST_LIVE, "11");
	assert_int_equal(row_at(feed_at(&w, 0))->objects, 0);
	assert_int_equal(row_at(feed_at(&w, 1))->objects, 1);
	close_list(1); /* ends the other's watch at the backend no more than here */
	hear_close(&q[1]);
	say_status(&q[1], "closed");
	say_event(&q[0], EVENT_JSON("ADDED", "c", "12"));
	is_at(0, SHM_LIST_LIVE, "12");
	world_fini(&w);
}

/* FM-1, FM-2, C13: at once, from where each list is, without a LIST. */
static void a_lost_socket_resumes_all_from_their_versions(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1), q1 = go_live_mux(1, 2);
	say_event(&q0, EVENT_JSON("ADDED", "b", "11"));
	say_event(&q1, EVENT_JSON("ADDED", "b", "12"));
	fake_io_end(peer, ERR_CONN_RESET);
	turn(&w);
	is_at(0, SHM_LIST_STALE, "11");
	is_at(1, SHM_LIST_STALE, "12");
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_CONN_RESET);
	pass(&w, 2 * SEC);
	hear_upgrade();
	struct said r[2];
	for (int i = 0; i < 2; i++) {
		assert_true(next_said(&r[i]));
		bool first = !strcmp(r[i].cluster, "a");
		assert_string_equal(r[i].path, first ? "/api/v1/r0" : "/api/v1/r1");
		assert_non_null(strstr(
		        r[i].query, first ? "&resourceVersion=11&" : "&resourceVersion=12&"));
		assert_string_not_equal(r[i].user, first ? q0.user : q1.user);
		say_status(&r[i], "connected");
	}
	nothing_said();
	is_at(0, SHM_LIST_LIVE, "11");
	is_at(1, SHM_LIST_LIVE, "12");
	assert_int_equal(row_at(feed_at(&w, 0))->relists, 0);
	assert_int_equal(fake_io_count(&w.io), 1);
	world_fini(&w);
}

/* BM-4: the server ends every watch after a while; all that comes is a STATUS. */
static void a_watch_that_ends_is_asked_for_again(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	say_event(&q, EVENT_JSON("ADDED", "b", "11"));
	say_status(&q, "closed");
	hear_close(&q); /* silent, if it was gone already */
	struct said again = hear_request("a", "/api/v1/r0", "11");
	assert_string_not_equal(q.user, again.user);
	is_at(0, SHM_LIST_RESUMING, "11");
	say_status(&again, "connected");
	is_at(0, SHM_LIST_LIVE, "11");
	say_event(&q, EVENT_JSON("ADDED", "old", "12")); /* of the former watch */
	say_event(&again, EVENT_JSON("ADDED", "c", "13"));
	is_at(0, SHM_LIST_LIVE, "13");
	assert_int_equal(row_at(feed_at(&w, 0))->objects, 3);
	assert_int_equal(row_at(feed_at(&w, 0))->relists, 0);
	world_fini(&w);
}

/* BM-3: which of the two, the STATUS does not say. */
static void one_of_two_on_a_path_ends(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q[2], again[2];
	for (uint32_t i = 0; i < 2; i++) {
		open_selected(i, 1, i ? "app=y" : "app=x");
		dial(&w);
		answer(&w, must_send("GET /clusters/a/api/v1/pods?"), "200 OK",
		        LIST_JSON("10", ""));
		if (!peer)
			hear_upgrade();
		q[i] = hear_request("a", "/api/v1/pods", "10");
		say_status(&q[i], "connected");
	}
	say_event(&q[0], EVENT_JSON("ADDED", "b", "14"));
	say_status(&q[1], "closed");
	nothing_said(); /* the backend has not forgotten that key yet */
	pass(&w, SEC / 8);
	for (int i = 0; i < 2; i++) /* from its latest version, with the key that it has */
		again[i] = hear_request("a", "/api/v1/pods", i ? "10" : "14");
	assert_string_equal(again[0].user, q[0].user);
	assert_string_equal(again[1].user, q[1].user);
	nothing_said();
	say_status(&again[1], "connected"); /* for the one that had ended; silence for the other */
	say_event(&q[0], EVENT_JSON("ADDED", "c", "15"));
	say_event(&again[1], EVENT_JSON("ADDED", "d", "16"));
	is_at(0, SHM_LIST_LIVE, "15");
	is_at(1, SHM_LIST_LIVE, "16");
	assert_int_equal(row_at(feed_at(&w, 0))->relists, 0);
	assert_int_equal(row_at(feed_at(&w, 1))->relists, 0);
	nothing_said();
	world_fini(&w);
}

/* KL-1, V1-1: the version is kept until a new list is whole; the list is taken anew by HTTP. */
static void expired_is_a_new_list(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	say_event(&q, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
	              "\"metadata\":{},\"status\":\"Failure\",\"reason\":\"Expired\",\"code\":410}}"
	              "\n");
	hear_close(&q);
	assert_string_equal(row_at(feed_at(&w, 0))->rv, "10");
	assert_int_equal(row_at(feed_at(&w, 0))->objects, 1);
	dial(&w);
	answer(&w, must_send("GET /clusters/a/api/v1/r0?limit=500 "), "200 OK",
	        LIST_JSON("30", ITEM_JSON("a", "5") "," ITEM_JSON("z", "29")));
	struct said again = hear_request("a", "/api/v1/r0", "30");
	say_status(&again, "connected");
	is_at(0, SHM_LIST_LIVE, "30");
	assert_int_equal(row_at(feed_at(&w, 0))->objects, 2);
	world_fini(&w);
}

static void silence_after_bookmarks_is_met_by_a_new_watch(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	say_event(&q, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
	              "\"resourceVersion\":\"20\"}}}\n");
	pass_with_pongs((WATCH_BOOKMARK_S - 2) * SEC);
	nothing_said();
	is_at(0, SHM_LIST_LIVE, "20");
	pass_with_pongs(3 * SEC);
	hear_close(&q);
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_CONN_SILENT);
	dial(&w); /* the cluster is asked whether it is there: 75 s were silent */
	answer(&w, must_send("GET /clusters/a/version "), "200 OK", "{}");
	struct said again = hear_request("a", "/api/v1/r0", "20");
	say_status(&again, "connected");
	is_at(0, SHM_LIST_LIVE, "20");
	way_text(1, STRATEGY_MULTIPLEXED); /* once is no reason to leave a way that works */
	world_fini(&w);
}

/* It says "connected", and then nothing ever comes: the multiplexer has never worked here. */
static void silence_from_the_start_leaves_the_multiplexer(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	pass_with_pongs((WATCH_VERIFY_S + 1) * SEC);
	hear_close(&q);
	assert_non_null(strstr(way_text(1, STRATEGY_LEGACY), "multiplexed: "));
	answer_list("/clusters/a/api/v1/r0");
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r0?watch=1");
	agree(&w, s, "base64.binary.k8s.io");
	event(&w, s, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	world_fini(&w);
}

static void an_error_is_of_one_list(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1);
	open_list(&w, 1, 1);
	answer_list("/clusters/a/api/v1/r1");
	struct said q1 = hear_request("a", "/api/v1/r1", "10");
	say(&q1, "STATUS", "{\"state\":\"error\",\"error\":\"dialing WebSocket: bad handshake\"}",
	        false);
	say_error(&q1, "dialing WebSocket: bad handshake");
	struct feed *f = feed_at(&w, 1);
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	assert_int_equal(f->watch.err, ERR_HEADLAMP_REFUSED);
	assert_non_null(strstr(f->watch.text, "bad handshake"));
	say_event(&q0, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	pass_with_pongs(2 * SEC);
	struct said again = hear_request("a", "/api/v1/r1", "10");
	say_error(&again, "dialing WebSocket: bad handshake");
	assert_true(f->watch.relist); /* a LIST tells 401, 403 and 404 apart */
	pass_with_pongs(3 * SEC);
	dial(&w);
	answer(&w, must_send("GET /clusters/a/api/v1/r1?limit=500 "), "403 Forbidden",
	        "{\"kind\":\"Status\",\"code\":403,\"message\":\"no\"}");
	assert_int_equal(f->watch.err, ERR_KUBE_FORBIDDEN);
	is_at(0, SHM_LIST_LIVE, "11");
	world_fini(&w);
}

/* It names the cluster and nothing else, without a type: no broken frame. */
static void a_refusal_of_an_older_backend_is_of_one_list(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1);
	open_list(&w, 1, 2);
	answer_list("/clusters/b/api/v1/r1");
	struct said q1 = hear_request("b", "/api/v1/r1", "10");
	say(&q1, "STATUS", "{\"state\":\"error\",\"error\":\"dialing WebSocket: bad handshake\"}",
	        false);
	event(&w, peer, "{\"clusterId\":\"b\",\"error\":\"dialing WebSocket: bad handshake\"}\n");
	hear_close(&q1);
	is_at(0, SHM_LIST_LIVE, "10");
	assert_int_equal(row_at(feed_at(&w, 1))->state, SHM_LIST_STALE);
	assert_int_equal(feed_at(&w, 1)->watch.err, ERR_HEADLAMP_REFUSED);
	assert_string_equal(feed_at(&w, 1)->watch.text,
	        "the Headlamp backend says: dialing WebSocket: bad handshake");
	say_event(&q0, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	world_fini(&w);
}

/* Where there was no memory for the message about a cluster, its lists were left on a link that was
 * gone. */
static void a_backend_that_goes_takes_along_the_lists_behind_it(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	go_live_mux(0, 1);
	open_list(&w, 1, 2);
	answer_list("/clusters/b/api/v1/r1"); /* it waits for the probe */
	struct reactor_msg *m = msg(REACTOR_CLUSTER_REMOVE);
	m->cluster = 0;
	m->err = ERR_UNKNOWN_CLUSTER;
	post(&w, m);
	turn(&w); /* their connections go */
	for (uint32_t i = 0; i < 2; i++) {
		assert_null(feed_at(&w, i));
		expect_note(&w, REACTOR_LIST_CLOSED);
	}
	assert_null(cluster_at(&w, 0));
	expect_note(&w, REACTOR_CLUSTER_REMOVED);
	for (uint32_t i = 1; i < 3; i++)
		assert_int_equal(cluster_at(&w, i)->spec.backend, REACTOR_NO_CLUSTER);
	pass(&w, 60 * SEC); /* a probe may be under way */
	world_fini(&w);
}

/* Which may be listed and not watched, say. The others are fine where they are; this one goes by
 * a way that has more words for it than "bad handshake". */
static void one_list_that_is_refused_goes_by_legacy_alone(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1);
	open_list(&w, 1, 1);
	answer_list("/clusters/a/api/v1/r1");
	for (int i = 0; i < 3; i++) {
		struct said q = hear_request("a", "/api/v1/r1", "10");
		say_error(&q, "dialing WebSocket: websocket: bad handshake");
		pass_with_pongs(4 * SEC);
		if (i > 0) /* LIST says nothing against it */
			answer_list("/clusters/a/api/v1/r1");
	}
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r1?watch=1&");
	nothing_said();
	answer(&w, s, "403 Forbidden",
	        "{\"kind\":\"Status\",\"code\":403,\"message\":\"you may not watch\"}");
	assert_int_equal(feed_at(&w, 1)->watch.err, ERR_KUBE_FORBIDDEN);
	assert_non_null(strstr(feed_at(&w, 1)->watch.text, "you may not watch"));
	assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
	say_event(&q0, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	go_live_mux(2, 1); /* and so is the next one */
	world_fini(&w);
}

/* BM-10, BM-11: the multiplexer has no token for this cluster, the proxy of the same backend has.
 */
static void a_cluster_that_it_cannot_log_in_to_goes_by_legacy(void **state)
{
	static const char why[] = "dialing WebSocket: websocket: bad handshake";
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said b = go_live_mux(1, 2);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	for (int i = 1; i <= STRATEGY_TRIES; i++) {
		struct said q = hear_request("a", "/api/v1/r0", "10");
		assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
		say_error(&q, why);
		pass_with_pongs(3 * SEC);
		dial(&w);
		if (i == 1) /* it could be the cluster: it is there */
			answer(&w, must_send("GET /clusters/a/version "), "200 OK", "{}");
		else if (i < STRATEGY_TRIES) /* it could be the list: the cluster has no words
		                                against it */
			answer_list("/clusters/a/api/v1/r0");
	}
	assert_non_null(strstr(way_text(1, STRATEGY_LEGACY), why));
	assert_string_equal(way_text(2, STRATEGY_MULTIPLEXED), "");
	pass_with_pongs(5 * SEC);
	dial(&w);
	if (!sock_that_sent(&w, "GET /clusters/a/api/v1/r0?watch=1&"))
		answer_list("/clusters/a/api/v1/r0");
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r0?watch=1&");
	agree(&w, s, "base64.binary.k8s.io");
	event(&w, s, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	say_event(&b, EVENT_JSON("ADDED", "b", "11"));
	is_at(1, SHM_LIST_LIVE, "11");
	world_fini(&w);
}

/* REQUESTs come from three lists, CLOSEs perhaps between; each is answered alike. */
static void answer_three(const char *error)
{
	struct said q;
	for (int n = 0; n < 3;) {
		assert_true(next_said(&q));
		if (strcmp(q.type, "REQUEST") != 0)
			continue;
		n++;
		if (error)
			say_error(&q, error);
		else
			say_status(&q, "connected");
	}
	assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
}

static void answer_probe(const char *head)
{
	pass_with_pongs(3 * SEC);
	nothing_said();
	dial(&w);
	answer(&w, must_send("GET /clusters/a/version "), head, "{}");
}

/* Its kube-apiserver restarts: all its watches end, and each REQUEST of the next seconds is
 * refused. The multiplexer can do nothing about it, and no other way could. */
static void a_cluster_that_is_away_is_not_the_multiplexers_fault(void **state)
{
	struct said q[3];
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	for (uint32_t i = 0; i < 3; i++)
		q[i] = go_live_mux(i, 1);
	pass_with_pongs(2 * SEC);
	say_event(&q[0], EVENT_JSON("ADDED", "b", "11")); /* it was there just now */
	for (int i = 0; i < 3; i++)
		say_status(&q[i], "closed");
	answer_three("dialing WebSocket: dial tcp 127.0.0.1:1: connect: connection refused");
	answer_probe("502 Bad Gateway"); /* from now on it is asked first */
	answer_probe("200 OK");
	answer_three("dialing WebSocket: websocket: bad handshake"); /* it knows no roles yet */
	answer_probe("200 OK");
	answer_three(NULL);
	for (uint32_t i = 0; i < 3; i++)
		is_at(i, SHM_LIST_LIVE, i ? "10" : "11");
	world_fini(&w);
}

/* C15: what is no JSON is that list's trouble; its LIST is taken anew. */
static void a_document_that_is_broken_is_of_one_list(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1), q1 = go_live_mux(1, 1);
	say(&q0, "DATA", "not json", false);
	hear_close(&q0);
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_JSON_SYNTAX);
	assert_true(feed_at(&w, 0)->watch.relist);
	assert_string_equal(row_at(feed_at(&w, 0))->rv, "10");
	say_event(&q1, EVENT_JSON("ADDED", "b", "11"));
	is_at(1, SHM_LIST_LIVE, "11");
	world_fini(&w);
}

/* BM-5: the backend would dial a hung cluster for 45 s, and everything behind it would wait. */
static void a_hung_cluster_is_probed_before_it_is_asked_for(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	go_live_mux(0, 1);
	go_live_mux(1, 2);
	pass_with_pongs((MUX_LINK_PROVEN_S + 1) * SEC);
	fake_io_end(peer, ERR_CONN_RESET);
	pass(&w, 2 * SEC);
	hear_upgrade();
	nothing_said(); /* neither has shown lately that it is there */
	dial(&w);
	struct fake_sock *b = must_send("GET /clusters/b/version ");
	answer(&w, must_send("GET /clusters/a/version "), "200 OK", "{}");
	struct said q = hear_request("a", "/api/v1/r0", "10");
	say_status(&q, "connected");
	is_at(0, SHM_LIST_LIVE, "10");
	answer(&w, b, "502 Bad Gateway", "");
	is_at(1, SHM_LIST_STALE, "10");
	assert_int_equal(feed_at(&w, 1)->watch.err, ERR_KUBE_SERVER);
	assert_non_null(strstr(feed_at(&w, 1)->watch.text, "502 for this cluster"));
	assert_true(peer_is_open());
	pass(&w, 2 * SEC); /* and again, after a back-off */
	dial(&w);
	must_send("GET /clusters/b/version ");
	pass_with_pongs((MUX_LINK_PROBE_S + 1) * SEC);
	assert_int_equal(feed_at(&w, 1)->watch.err, ERR_CONN_TIMEOUT);
	nothing_said();
	is_at(0, SHM_LIST_LIVE, "10");
	world_fini(&w);
}

static void whatever_the_cluster_answers_it_is_there(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	go_live_mux(0, 1);
	pass_with_pongs((MUX_LINK_PROVEN_S + 1) * SEC);
	fake_io_end(peer, ERR_CONN_RESET);
	pass(&w, 2 * SEC);
	hear_upgrade();
	dial(&w);
	answer(&w, must_send("GET /clusters/a/version "), "403 Forbidden", "");
	hear_request("a", "/api/v1/r0", "10");
	world_fini(&w);
}

static void a_list_that_leaves_while_its_cluster_is_probed(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	go_live_mux(0, 1);
	go_live_mux(1, 2);
	pass_with_pongs((MUX_LINK_PROVEN_S + 1) * SEC);
	fake_io_end(peer, ERR_CONN_RESET);
	pass(&w, 2 * SEC);
	hear_upgrade();
	dial(&w);
	must_send("GET /clusters/a/version ");
	close_list(0);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_REMOVE);
	m->cluster = 1;
	post(&w, m);
	turn(&w);
	assert_null(sock_that_sent(&w, "GET /clusters/a/version "));
	answer(&w, must_send("GET /clusters/b/version "), "200 OK", "{}");
	hear_request("b", "/api/v1/r1", "10");
	nothing_said();
	world_fini(&w);
}

/* One object over the limit must not take down what is on the socket beside it, again and again. */
static void an_event_over_the_limit_is_of_one_list(void **state)
{
	enum { LIMIT = 4096 }; /* of world_init */
	static char big[LIMIT + 512];
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1), q1 = go_live_mux(1, 1);
	snprintf(big, sizeof big,
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\",\"uid\":\"u\","
	        "\"resourceVersion\":\"11\"},\"data\":\"%0*d\"}}",
	        LIMIT, 0);
	say_event(&q0, big);
	hear_close(&q0);
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_JSON_LIMIT);
	assert_true(feed_at(&w, 0)->watch.relist);
	say_event(&q1, EVENT_JSON("ADDED", "b", "11"));
	is_at(1, SHM_LIST_LIVE, "11");
	way_text(1, STRATEGY_MULTIPLEXED);
	world_fini(&w);
}

/* The upgrade is agreed to, pings are answered, and no REQUEST ever is. */
static void a_multiplexer_that_answers_nothing_is_left(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	hear_upgrade();
	struct said q = hear_request("a", "/api/v1/r0", "10");
	pass_with_pongs((WATCH_HEAD_S - 1) * SEC);
	nothing_said();
	pass_with_pongs(2 * SEC);
	hear_close(&q);
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_CONN_TIMEOUT);
	pass_with_pongs((MUX_ANSWER_S - WATCH_HEAD_S - 2) * SEC);
	way_text(1, STRATEGY_MULTIPLEXED);
	for (int i = 0; i < 3 && cluster_at(&w, 0)->mux->state == MUX_LINK_OPEN; i++)
		pass(&w, SEC);
	assert_int_equal(cluster_at(&w, 0)->mux->state, MUX_LINK_DOWN);
	assert_non_null(strstr(way_text(1, STRATEGY_LEGACY), "did not answer within 60 s (a)"));
	world_fini(&w);
}

/* The connection is taken, and the upgrade is never answered. */
static void an_upgrade_without_an_answer_is_given_up(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	dial(&w);
	must_send("GET /wsMultiplexer ");
	pass(&w, (WATCH_HEAD_S - 1) * SEC);
	assert_int_equal(cluster_at(&w, 0)->mux->state, MUX_LINK_CONNECTING);
	way_text(1, STRATEGY_MULTIPLEXED);
	pass(&w, 2 * SEC);
	assert_int_equal(cluster_at(&w, 0)->mux->state, MUX_LINK_DOWN);
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_CONN_TIMEOUT);
	assert_non_null(strstr(way_text(1, STRATEGY_LEGACY),
	        "did not answer the multiplexer's upgrade within 30 s"));
	world_fini(&w);
}

/* 404: an older backend, or none at all. */
static void a_refused_multiplexer_is_left_for_legacy(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	dial(&w);
	answer(&w, must_send("GET /wsMultiplexer "), "404 Not Found", "");
	const char *text = way_text(1, STRATEGY_LEGACY);
	assert_non_null(strstr(text, "multiplexed: hl.test:4466 answered 404"));
	assert_non_null(strstr(text, "next try in 60 s"));
	way_text(2, STRATEGY_LEGACY); /* it is the backend's answer, so of all behind it */
	pass(&w, 2 * SEC);
	dial(&w);
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r0?watch=1&");
	agree(&w, s, "base64.binary.k8s.io");
	event(&w, s, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	assert_int_equal(row_at(feed_at(&w, 0))->relists, 0);
	/* Later a list that asks tries it once more; the one that runs is not moved. */
	for (int i = 0; i < STRATEGY_REPROBE_MIN_S; i++) {
		pass(&w, SEC);
		frame(&w, s, OP_PONG, "", 0);
	}
	peer = NULL;
	struct said q = go_live_mux(1, 1);
	say_event(&q, EVENT_JSON("ADDED", "b", "11"));
	assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
	event(&w, s, EVENT_JSON("ADDED", "c", "12"));
	is_at(0, SHM_LIST_LIVE, "12");
	world_fini(&w);
}

static void a_fixed_multiplexer_is_not_left(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, false);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	dial(&w);
	answer(&w, must_send("GET /wsMultiplexer "), "404 Not Found", "");
	assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_HEADLAMP_REFUSED);
	assert_non_null(strstr(feed_at(&w, 0)->watch.text, "answered 404 to the multiplexer"));
	pass(&w, 2 * SEC);
	hear_upgrade();
	hear_request("a", "/api/v1/r0", "10");
	world_fini(&w);
}

/* What failed in the backend's former life may work in the next one. */
static void a_restarted_backend_is_asked_afresh(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	dial(&w);
	answer(&w, must_send("GET /wsMultiplexer "), "404 Not Found", "");
	pass(&w, 2 * SEC);
	dial(&w);
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r0?watch=1&");
	agree(&w, s, NULL);
	fake_io_end(s, ERR_CONN_RESET);
	pass(&w, 2 * SEC);
	assert_int_equal(fake_io_count(&w.io), 1);
	fake_io_connected(fake_io_sock(&w.io, 0), ERR_CONN_REFUSED);
	pass(&w, 2 * SEC);
	way_text(1, STRATEGY_LEGACY);
	dial(&w);
	s = must_send(
	        "GET /clusters/a/api/v1/r0?watch=1&allowWatchBookmarks=true&resourceVersion=10");
	agree(&w, s, NULL);
	assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
	fake_io_end(s, ERR_CONN_RESET);
	pass(&w, 5 * SEC); /* the fourth failure of the list */
	hear_upgrade();
	hear_request("a", "/api/v1/r0", "10");
	world_fini(&w);
}

/* The multiplexer forwards no Accept header: whole Secrets would come. */
static void metadata_only_goes_by_a_socket_of_its_own(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	struct reactor_msg *m = list_msg(1, 1, 0);
	m->list_spec.metadata_only = true;
	post(&w, m);
	expect_note(&w, REACTOR_LIST_OPENED);
	answer_list("/clusters/a/api/v1/r1");
	struct fake_sock *s = must_send("GET /clusters/a/api/v1/r1?watch=1&");
	assert_non_null(strstr(s->sent,
	        "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1\r\n"));
	agree(&w, s, "base64.binary.k8s.io");
	is_at(1, SHM_LIST_LIVE, "10");
	nothing_said();
	way_text(1, STRATEGY_MULTIPLEXED);
	say_event(&q, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	world_fini(&w);
}

static void a_broken_envelope_ends_the_socket_and_not_the_lists(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1);
	go_live_mux(1, 2);
	say_event(&q0, EVENT_JSON("ADDED", "b", "11"));
	event(&w, peer, "{\"clusterId\":\"a\",\"path\":7,\"type\":\"DATA\"}");
	is_at(0, SHM_LIST_STALE, "11");
	is_at(1, SHM_LIST_STALE, "10");
	assert_int_equal(feed_at(&w, 1)->watch.err, ERR_HEADLAMP_REFUSED);
	assert_false(feed_at(&w, 0)->watch.relist);
	assert_false(feed_at(&w, 1)->watch.relist);
	pass(&w, 2 * SEC);
	hear_upgrade();
	struct said q;
	for (int i = 0; i < 2; i++) {
		assert_true(next_said(&q));
		say_status(&q, "connected");
	}
	is_at(0, SHM_LIST_LIVE, "11");
	is_at(1, SHM_LIST_LIVE, "10");
	world_fini(&w);
}

/* Of nobody, or of a type that is not known: nothing. */
static void frames_that_say_nothing_are_ignored(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1), stranger = q, elsewhere = q;
	snprintf(stranger.user, sizeof stranger.user, "0123456789abcdef");
	snprintf(elsewhere.path, sizeof elsewhere.path, "/api/v1/other");
	say_event(&stranger, EVENT_JSON("ADDED", "b", "11"));
	say_event(&elsewhere, EVENT_JSON("ADDED", "b", "12"));
	say_status(&elsewhere, "closed");
	say(&q, "NEWS", EVENT_JSON("ADDED", "b", "13"), false);
	event(&w, peer, "{\"clusterId\":\"a\",\"path\":\"/api/v1/r0\"}\n");
	event(&w, peer, "{\"path\":\"/api/v1/r0\",\"data\":\"{}\",\"type\":\"DATA\"}\n");
	event(&w, peer, "{}");
	say(&q, "STATUS", "{\"state\":\"connecting\",\"error\":\"\"}", false);
	is_at(0, SHM_LIST_LIVE, "10");
	assert_int_equal(row_at(feed_at(&w, 0))->objects, 1);
	nothing_said();
	world_fini(&w);
}

/* C19, FM-4: it is closed there, and what still comes for it finds nobody. */
static void a_list_that_leaves_while_it_is_asked_for(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q0 = go_live_mux(0, 1);
	open_list(&w, 1, 1);
	answer_list("/clusters/a/api/v1/r1");
	struct said q1 = hear_request("a", "/api/v1/r1", "10");
	close_list(1);
	hear_close(&q1);
	say_status(&q1, "connected");
	say_event(&q1, EVENT_JSON("ADDED", "b", "11"));
	say_status(&q1, "closed");
	is_at(0, SHM_LIST_LIVE, "10");
	say_event(&q0, EVENT_JSON("ADDED", "b", "11"));
	is_at(0, SHM_LIST_LIVE, "11");
	nothing_said();
	world_fini(&w);
}

static void a_list_that_leaves_before_the_socket_is_up(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	close_list(0);
	hear_upgrade();
	nothing_said();
	world_fini(&w);
}

/* To the first message that may be an envelope. */
static void pass_over_text(void)
{
	for (bool found = false; !found;) {
		const uint8_t *p = (const uint8_t *)peer->sent + heard;
		size_t n = p[1] & 0x7F, head = n == 126 ? 8 : 6;
		assert_true(heard + head < peer->sent_bytes);
		if (head == 8)
			n = (size_t)p[2] << 8 | p[3];
		found = n && (p[head] ^ p[head - 4]) == '{';
		heard += found ? 0 : head + n;
	}
}

/* Thousands of lists may ask at once; half a MiB is what TLS holds. */
static void what_the_connection_has_no_room_for_is_sent_later(void **state)
{
	static const char text[60000];
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	go_live_mux(0, 1);
	nothing_said();
	struct conn *c = cluster_at(&w, 0)->mux->conn;
	peer->hold_sent = true;
	for (size_t n = sizeof text; n; n /= 2)
		while (!conn_send_text(c, (struct span){text, n}))
			;
	for (uint32_t id = 1; id < 3; id++) {
		char target[32];
		open_list(&w, id, 1);
		snprintf(target, sizeof target, "/clusters/a/api/v1/r%u", id);
		answer_list(target);
		assert_int_equal(feed_at(&w, id)->watch.state, WATCH_ASKING);
		is_at(0, SHM_LIST_LIVE, "10");
	}
	peer->hold_sent = false;
	pass(&w, SEC);
	pass_over_text();
	hear_request("a", "/api/v1/r1", "10");
	hear_request("a", "/api/v1/r2", "10");
	world_fini(&w);
}

/* All that comes on it is pongs, for an hour and more. */
static void an_idle_socket_stays(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	close_list(0);
	hear_close(&q);
	for (int i = 0; i < 1100; i++) {
		pass(&w, (CONN_PING_S + 1) * SEC);
		assert_true(peer_is_open());
		frame(&w, peer, OP_PONG, "", 0);
	}
	go_live_mux(1, 1);
	world_fini(&w);
}

/* BM-6's client side: a backend that stops reading is given up, not waited for. */
static void a_socket_without_pongs_is_lost(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	go_live_mux(0, 1);
	pass(&w, 60 * SEC); /* it may be busy with a dial: 45 s */
	is_at(0, SHM_LIST_LIVE, "10");
	for (int i = 0; i < 24 && row_at(feed_at(&w, 0))->state == SHM_LIST_LIVE; i++)
		pass(&w, SEC / 4);
	is_at(0, SHM_LIST_STALE, "10");
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_CONN_SILENT);
	assert_false(feed_at(&w, 0)->watch.relist);
	world_fini(&w);
}

/* What was answered before says nothing of what is silent now. */
static void a_socket_that_falls_silent_is_lost_a_minute_later(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	go_live_mux(0, 1);
	pass(&w, (CONN_PING_S + 1) * SEC); /* a ping is out */
	frame(&w, peer, OP_PONG, "", 0);
	pass(&w, (CONN_PING_S + MUX_ANSWER_S - 1) * SEC);
	is_at(0, SHM_LIST_LIVE, "10");
	for (int i = 0; i < 8 && row_at(feed_at(&w, 0))->state == SHM_LIST_LIVE; i++)
		pass(&w, SEC / 4);
	is_at(0, SHM_LIST_STALE, "10");
	assert_int_equal(feed_at(&w, 0)->watch.err, ERR_CONN_SILENT);
	world_fini(&w);
}

/* A proxy in front of a backend that starts: no reason to leave what has worked. */
static void a_502_to_the_upgrade_is_a_loss_and_no_refusal(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	say_event(&q, EVENT_JSON("ADDED", "b", "11"));
	fake_io_end(peer, ERR_CONN_RESET);
	for (int i = 1; i < STRATEGY_TRIES; i++) {
		pass(&w, 4 * SEC);
		dial(&w);
		answer(&w, must_send("GET /wsMultiplexer "), "502 Bad Gateway", "");
		is_at(0, SHM_LIST_STALE, "11");
		assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
	}
	pass(&w, 8 * SEC);
	dial(&w);
	answer(&w, must_send("GET /wsMultiplexer "), "502 Bad Gateway", "");
	assert_non_null(strstr(way_text(1, STRATEGY_LEGACY), "answered 502"));
	world_fini(&w);
}

/* Each time, before it has answered anything: something before it cuts WebSockets, or it does not
 * survive a REQUEST. */
static void a_socket_that_ends_before_it_answers_is_left(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	open_list(&w, 0, 1);
	answer_list("/clusters/a/api/v1/r0");
	for (int i = 0; i < STRATEGY_TRIES; i++) {
		assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
		hear_upgrade();
		if (i == 1)
			frame(&w, peer, OP_CLOSE, "\x03\xE8", 2);
		else
			fake_io_end(peer, ERR_CONN_RESET);
		pass(&w, 4 * SEC);
	}
	assert_non_null(strstr(way_text(1, STRATEGY_LEGACY), "multiplexed: connection reset"));
	world_fini(&w);
}

/* What has answered is asked again, however often it ends; and what nobody wants anything of may
 * end as it likes. */
static void a_socket_that_ends_after_it_answered_is_not_left(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	struct said q = go_live_mux(0, 1);
	for (int i = 0; i <= STRATEGY_TRIES; i++) {
		fake_io_end(peer, ERR_CONN_RESET);
		pass(&w, 8 * SEC);
		hear_upgrade();
		q = hear_request("a", "/api/v1/r0", "10");
		say_status(&q, "connected");
		assert_string_equal(way_text(1, STRATEGY_MULTIPLEXED), "");
	}
	close_list(0);
	fake_io_end(peer, ERR_CONN_RESET);
	pass(&w, 60 * SEC);
	assert_int_equal(fake_io_count(&w.io), 0);
	assert_int_equal(cluster_at(&w, 1)->strategy->failures[STRATEGY_MULTIPLEXED], 0);
	world_fini(&w);
}

/* C11, C12: all who wait hear why; the socket comes back by itself. */
static void a_socket_that_cannot_be_had_is_told_to_all(void **state)
{
	(void)state;
	open_backend(STRATEGY_MULTIPLEXED, true);
	for (uint32_t id = 0; id < 2; id++) {
		char target[32];
		snprintf(target, sizeof target, "/clusters/%c/api/v1/r%u", 'a' + (int)id, id);
		open_list(&w, id, id + 1);
		if (id) /* the socket's own connect stays under way */
			fake_io_connected(fake_io_sock(&w.io, 1), ERR_OK);
		else
			fake_io_connected(fake_io_sock(&w.io, 0), ERR_OK);
		turn(&w);
		answer(&w, must_send(target), "200 OK", LIST_JSON("10", ""));
	}
	assert_int_equal(fake_io_count(&w.io), 1);
	fake_io_connected(fake_io_sock(&w.io, 0), ERR_CONN_REFUSED);
	turn(&w);
	for (uint32_t id = 0; id < 2; id++) {
		assert_int_equal(row_at(feed_at(&w, id))->state, SHM_LIST_STALE);
		assert_int_equal(feed_at(&w, id)->watch.err, ERR_CONN_REFUSED);
	}
	pass(&w, 2 * SEC);
	hear_upgrade();
	hear_request("a", "/api/v1/r0", "10");
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_list_by_http_then_one_request),
	        cmocka_unit_test(the_backend_token_is_a_header),
	        cmocka_unit_test(events_are_applied_and_complete_says_nothing),
	        cmocka_unit_test(binary_data_is_base64),
	        cmocka_unit_test(a_list_comes_and_goes_alone),
	        cmocka_unit_test(two_selectors_on_one_path_are_two_watches),
	        cmocka_unit_test(a_lost_socket_resumes_all_from_their_versions),
	        cmocka_unit_test(a_watch_that_ends_is_asked_for_again),
	        cmocka_unit_test(one_of_two_on_a_path_ends),
	        cmocka_unit_test(expired_is_a_new_list),
	        cmocka_unit_test(silence_after_bookmarks_is_met_by_a_new_watch),
	        cmocka_unit_test(silence_from_the_start_leaves_the_multiplexer),
	        cmocka_unit_test(an_error_is_of_one_list),
	        cmocka_unit_test(a_refusal_of_an_older_backend_is_of_one_list),
	        cmocka_unit_test(a_backend_that_goes_takes_along_the_lists_behind_it),
	        cmocka_unit_test(one_list_that_is_refused_goes_by_legacy_alone),
	        cmocka_unit_test(a_cluster_that_it_cannot_log_in_to_goes_by_legacy),
	        cmocka_unit_test(a_cluster_that_is_away_is_not_the_multiplexers_fault),
	        cmocka_unit_test(a_document_that_is_broken_is_of_one_list),
	        cmocka_unit_test(a_hung_cluster_is_probed_before_it_is_asked_for),
	        cmocka_unit_test(whatever_the_cluster_answers_it_is_there),
	        cmocka_unit_test(a_list_that_leaves_while_its_cluster_is_probed),
	        cmocka_unit_test(an_event_over_the_limit_is_of_one_list),
	        cmocka_unit_test(a_multiplexer_that_answers_nothing_is_left),
	        cmocka_unit_test(an_upgrade_without_an_answer_is_given_up),
	        cmocka_unit_test(a_refused_multiplexer_is_left_for_legacy),
	        cmocka_unit_test(a_fixed_multiplexer_is_not_left),
	        cmocka_unit_test(a_restarted_backend_is_asked_afresh),
	        cmocka_unit_test(metadata_only_goes_by_a_socket_of_its_own),
	        cmocka_unit_test(a_broken_envelope_ends_the_socket_and_not_the_lists),
	        cmocka_unit_test(frames_that_say_nothing_are_ignored),
	        cmocka_unit_test(a_list_that_leaves_while_it_is_asked_for),
	        cmocka_unit_test(a_list_that_leaves_before_the_socket_is_up),
	        cmocka_unit_test(what_the_connection_has_no_room_for_is_sent_later),
	        cmocka_unit_test(an_idle_socket_stays),
	        cmocka_unit_test(a_socket_without_pongs_is_lost),
	        cmocka_unit_test(a_socket_that_falls_silent_is_lost_a_minute_later),
	        cmocka_unit_test(a_502_to_the_upgrade_is_a_loss_and_no_refusal),
	        cmocka_unit_test(a_socket_that_ends_before_it_answers_is_left),
	        cmocka_unit_test(a_socket_that_ends_after_it_answered_is_not_left),
	        cmocka_unit_test(a_socket_that_cannot_be_had_is_told_to_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
