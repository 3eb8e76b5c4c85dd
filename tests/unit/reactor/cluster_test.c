/* cluster_test.c - the gate and the queue of one cluster: what a dead one costs, who is told, and
 * that nothing stays shut for ever. */
#include "unit/reactor/world.h"

/* How many timers are armed by feeds. */
static unsigned feed_timers(const struct world *w)
{
	unsigned n = 0;
	LIST_EACH (it, &w->r->feeds)
		n += CONTAINER_OF(it, struct feed, link)->timer.at_ns != UINT64_MAX;
	return n;
}

static void a_dead_cluster_costs_one_timer(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	connect_fails(&w, 0);
	for (uint32_t i = 1; i < 20; i++)
		open_list(&w, i, 0);
	for (int i = 0; i < 300; i++) {
		pass(&w, SEC / 10);
		assert_true(fake_io_count(&w.io) <= 1); /* one probe at a time */
		if (fake_io_count(&w.io))
			connect_fails(&w, 0);
		assert_true(feed_timers(&w) <= 1); /* the one whose connect failed just now */
	}
	assert_true(w.io.connects > 3 && w.io.connects < 60);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(row_at(feed_at(&w, i))->last_error, ERR_CONN_REFUSED);
		assert_non_null(strstr(row_at(feed_at(&w, i))->error_text, "api.test:6443"));
	}
	world_fini(&w);
}

/* Resources of one cluster come and go, or are names that somebody mistyped. */
static void resources_that_nobody_has_open_are_forgotten(void **state)
{
	enum { TIMES = 3 * CLUSTER_CAPS_KEPT };
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	struct feed *f = open_list(&w, 0, 0);
	f->watch.caps->no_watch_list = true;
	for (uint32_t i = 1; i < TIMES; i++) {
		open_list(&w, i, 0);
		struct reactor_msg *m = msg(REACTOR_LIST_CLOSE);
		m->id = i;
		post(&w, m);
		expect_note(&w, REACTOR_LIST_CLOSED);
		assert_true(cluster_at(&w, 0)->caps_count <= CLUSTER_CAPS_KEPT + 1);
	}
	struct feed *same = open_list(&w, 1, 0); /* comes anew */
	assert_ptr_not_equal(same->watch.caps, f->watch.caps);
	assert_true(f->watch.caps->no_watch_list);
	world_fini(&w);
}

static void one_answer_opens_for_all(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	connect_fails(&w, 0);
	for (uint32_t i = 1; i < 5; i++)
		open_list(&w, i, 0);
	while (!fake_io_count(&w.io))
		pass(&w, WHEEL_TICK_NS);
	assert_int_equal(fake_io_count(&w.io), 1);
	connect_ok(&w, 0);
	assert_int_equal(fake_io_count(&w.io), 1); /* TCP alone proves nothing */
	answer(&w, fake_io_sock(&w.io, 0), "503 Nope", "");
	pass(&w, SEC);
	assert_true(fake_io_count(&w.io) >= 4);
	world_fini(&w);
}

static void connects_under_way_when_the_gate_shuts_are_one_failure(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	for (uint32_t i = 0; i < 30; i++)
		open_list(&w, i, 0);
	assert_int_equal(fake_io_count(&w.io), 30);
	for (int i = 0; i < 30; i++) { /* they time out one after the other */
		connect_fails(&w, 0);
		pass(&w, SEC / 10);
	}
	struct gate *g = &cluster_at(&w, 0)->gate;
	/* 3 s have passed: without probes being answered there was one failure and at most one
	 * probe. */
	assert_true(g->backoff.failures <= 2);
	world_fini(&w);
}

static void a_fetch_may_probe_when_its_time_has_come(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	post_fetch(&w, 0);
	connect_fails(&w, 0);
	expect_note(&w, REACTOR_FETCHED);
	post_fetch(&w, 0); /* at once: refused with the reason */
	struct reactor_note *n = take_note(&w, REACTOR_FETCHED);
	assert_non_null(n);
	assert_int_equal(n->err, ERR_CONN_REFUSED);
	assert_non_null(strstr(n->text, "api.test:6443"));
	reactor_note_free(&n);
	pass(&w, 60 * SEC); /* nobody else waits for this cluster */
	post_fetch(&w, 0);
	assert_int_equal(fake_io_count(&w.io), 1);
	connect_ok(&w, 0);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", "{}");
	n = take_note(&w, REACTOR_FETCHED);
	assert_non_null(n);
	assert_int_equal(n->err, ERR_OK);
	reactor_note_free(&n);
	world_fini(&w);
}

/* Control answers at once, as a resolver does that knows that there is no such name. */
static void a_name_that_does_not_resolve_is_asked_for_with_back_off(void **state)
{
	struct world w;
	unsigned asked = 0;
	(void)state;
	world_init(&w);
	add_cluster_only(&w, 0, false, false);
	post_credential(&w, 0, ERR_OK, "");
	open_list(&w, 0, 0);
	for (uint64_t end = w.io.now_ns + 60 * SEC; w.io.now_ns < end;) {
		struct reactor_note *n = take_note(&w, REACTOR_WANTS_ADDRESSES);
		if (n) {
			asked++;
			reactor_note_free(&n);
			struct reactor_msg *m = msg(REACTOR_CLUSTER_ADDRESSES);
			m->err = ERR_DNS;
			snprintf(m->text, sizeof m->text, "no such name");
			post(&w, m);
		}
		pass(&w, WHEEL_TICK_NS);
	}
	/* 0.5, 1, 2 ... 30 s, each halved at most: asked 4 to 9 times. */
	assert_in_range(asked, 4, 9);
	assert_int_equal(row_at(feed_at(&w, 0))->last_error, ERR_DNS);
	assert_string_equal(row_at(feed_at(&w, 0))->error_text, "no such name");
	post_addresses(&w, 0, 1); /* it is there now, which control says unasked after a reload */
	pass(&w, 40 * SEC);
	assert_int_equal(fake_io_count(&w.io), 1);
	world_fini(&w);
}

/* The probe of a dead cluster has asked and waits, when its credential is renewed. */
static void a_probe_that_is_retired_leaves_the_next_to_another(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	connect_fails(&w, 0);
	while (!fake_io_count(&w.io))
		pass(&w, WHEEL_TICK_NS);
	connect_ok(&w, 0);
	assert_true(cluster_at(&w, 0)->gate.probing);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CREDENTIAL);
	m->credential.renewed = true;
	post(&w, m);
	assert_int_equal(fake_io_count(&w.io), 0);
	pass(&w, 40 * SEC);
	assert_int_equal(fake_io_count(&w.io), 1);
	go_live(&w, 0);
	assert_int_equal(feed_at(&w, 0)->watch.state, WATCH_STREAMING);
	world_fini(&w);
}

static void a_handshake_that_never_ends_is_given_up(void **state)
{
	struct world w;
	struct errmsg m = {0};
	struct tls_config *tls = NULL;
	(void)state;
	world_init(&w);
	add_cluster_only(&w, 0, true, false);
	struct reactor_msg *c = msg(REACTOR_CLUSTER_CREDENTIAL);
	struct tls_spec spec = {.insecure = true, .server_name = SPAN("api.test")};
	assert_int_equal(tls_config_new(&tls, &spec, &m), ERR_OK);
	c->credential.tls = tls;
	post(&w, c);
	post_addresses(&w, 0, 1);
	struct feed *f = open_list(&w, 0, 0);
	connect_ok(&w, 0);
	pass(&w, 12 * SEC);
	assert_int_equal(row_at(f)->last_error, ERR_CONN_TIMEOUT);
	assert_true(cluster_at(&w, 0)->gate.backoff.failures > 0);
	while (!fake_io_count(&w.io))
		pass(&w, WHEEL_TICK_NS);
	connect_ok(&w, 0); /* the probe hangs as well: another follows */
	pass(&w, 20 * SEC);
	assert_true(w.io.connects >= 3);
	world_fini(&w);
}

static void a_bad_address_is_left_for_the_next(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster_only(&w, 0, false, false);
	post_credential(&w, 0, ERR_OK, "");
	post_addresses(&w, 0, 2); /* the first one is dead, the second lives */
	for (uint32_t i = 0; i < 20; i++)
		open_list(&w, i, 0);
	for (int i = 0; i < 1000; i++) {
		w.io.now_ns += WHEEL_TICK_NS;
		turn(&w);
		for (unsigned k = 0; k < fake_io_count(&w.io); k++) {
			struct fake_sock *s = fake_io_sock(&w.io, k);
			struct sockaddr_in *a = (void *)&s->address;
			if (!s->open && list_empty(&s->events))
				fake_io_connected(s, a->sin_addr.s_addr == htonl(0x0A000001)
				                             ? ERR_CONN_UNREACHABLE
				                             : ERR_OK);
			else if (s->open && strstr(s->sent ? s->sent : "", "limit=500")) {
				fake_io_sent_clear(s);
				fake_io_bytes(s, "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"
				                 "{\"kind\":\"L\",\"metadata\":{"
				                 "\"resourceVersion\":\"10\"},\"items\":[      ]}");
			} else if (s->open && strstr(s->sent ? s->sent : "", "watch=1")) {
				fake_io_sent_clear(s);
				fake_io_bytes(s, STREAM_HEAD);
			}
		}
	}
	unsigned live = 0;
	for (uint32_t i = 0; i < 20; i++)
		live += feed_at(&w, i)->watch.state == WATCH_STREAMING;
	assert_int_equal(live, 20); /* within 10 s */
	world_fini(&w);
}

static void a_list_opened_after_the_credential_failed_says_so(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster_only(&w, 0, false, false);
	post_credential(&w, 0, ERR_CRED_EXEC, "plugin aws failed: log in again");
	post_addresses(&w, 0, 1);
	struct feed *f = open_list(&w, 0, 0);
	assert_int_equal(row_at(f)->last_error, ERR_CRED_EXEC);
	assert_non_null(strstr(row_at(f)->error_text, "log in again"));
	post_fetch(&w, 0);
	struct reactor_note *n = take_note(&w, REACTOR_FETCHED);
	assert_non_null(n);
	assert_int_equal(n->err, ERR_CRED_EXEC);
	reactor_note_free(&n);
	post_credential(&w, 0, ERR_OK, "");
	assert_int_equal(fake_io_count(&w.io), 1);
	world_fini(&w);
}

static void no_address_says_so_and_asks_again(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster_only(&w, 0, false, false);
	post_credential(&w, 0, ERR_OK, "");
	struct feed *f = open_list(&w, 0, 0);
	expect_note(&w, REACTOR_WANTS_ADDRESSES);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_ADDRESSES);
	m->err = ERR_DNS;
	snprintf(m->text, sizeof m->text, "api.test: no such name");
	post(&w, m);
	assert_int_equal(row_at(f)->last_error, ERR_DNS);
	pass(&w, SEC);
	expect_note(&w, REACTOR_WANTS_ADDRESSES);
	post_addresses(&w, 0, 1);
	pass(&w, SEC);
	assert_int_equal(fake_io_count(&w.io), 1);
	world_fini(&w);
}

/* The first list of a realm needs a shard: no descriptor may be left for it, or no memory. */
static void a_list_that_gets_no_memory_says_what_to_do(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	w.r->config.ring_entries = 3; /* here it is that */
	add_cluster(&w, 0, false);
	post(&w, list_msg(0, 0, 0));
	struct reactor_note *n = take_note(&w, REACTOR_LIST_OPENED);
	assert_non_null(n);
	assert_int_equal(n->err, ERR_ARGUMENT);
	assert_non_null(strstr(n->text, "ring_entries is 3: a power of two"));
	reactor_note_free(&n);
	w.r->config.ring_entries = 256;
	open_list(&w, 0, 0);
	world_fini(&w);
}

/* One budget per cluster, over all its realms: what a list gives back goes where it was taken. */
static void lists_of_two_realms_share_the_budget_of_their_cluster(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	go_live(&w, 0);
	uint64_t one = cluster_at(&w, 0)->budget.bytes;
	assert_true(one > 0);
	post(&w, list_msg(1, 0, 1));
	expect_note(&w, REACTOR_LIST_OPENED);
	go_live(&w, 1);
	assert_int_equal(cluster_at(&w, 0)->budget.bytes, 2 * one);
	for (uint32_t i = 0; i < 2; i++) {
		struct reactor_msg *m = msg(REACTOR_LIST_CLOSE);
		m->id = i;
		post(&w, m);
		assert_int_equal(cluster_at(&w, 0)->budget.bytes, (1 - i) * one);
		for (const struct store_budget *k = &cluster_at(&w, 0)->budget; k; k = k->parent)
			assert_true(k->bytes <= one); /* none went below zero */
	}
	world_fini(&w);
}

static void a_renewed_certificate_ends_what_the_old_one_opened(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	struct feed *f = open_list(&w, 0, 0);
	go_live(&w, 0);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CREDENTIAL);
	m->credential.renewed = true;
	post(&w, m);
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	assert_false(cluster_at(&w, 0)->gate.shut); /* the server did nothing wrong */
	pass(&w, SEC);
	connect_ok(&w, 0);
	assert_non_null(strstr(fake_io_sock(&w.io, 0)->sent, "watch=1")); /* resumed, not listed */
	assert_non_null(strstr(fake_io_sock(&w.io, 0)->sent, "resourceVersion=10"));
	post_credential(&w, 0, ERR_OK, ""); /* another token only: streams stay */
	assert_int_equal(w.io.connects, 2);
	world_fini(&w);
}

static void a_removed_cluster_goes_with_its_last_connection(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	open_list(&w, 0, 0);
	go_live(&w, 0);
	post_fetch(&w, 0);
	w.io.hold_closed = true;
	struct reactor_msg *m = msg(REACTOR_LIST_CLOSE);
	m->id = 0;
	post(&w, m);
	m = msg(REACTOR_CLUSTER_REMOVE);
	post(&w, m);
	expect_note(&w, REACTOR_FETCHED);
	assert_null(cluster_at(&w, 0));
	w.io.hold_closed = false;
	turn(&w);
	assert_true(list_empty(&w.r->clusters));
	world_fini(&w);
}

/* A reload no longer names it: the rows of its lists say so, and the last word comes last. */
static void a_removed_cluster_closes_its_lists_and_says_why(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	add_cluster(&w, 1, false);
	const struct shm_list *live = row_at(open_list(&w, 0, 0));
	const struct shm_list *waits = row_at(open_list(&w, 1, 0));
	struct feed *other = open_list(&w, 2, 1);
	go_live(&w, 0);
	w.io.hold_closed = true;
	struct reactor_msg *m = msg(REACTOR_CLUSTER_REMOVE);
	m->err = ERR_UNKNOWN_CLUSTER;
	snprintf(m->text, sizeof m->text, "removed from the configuration");
	post(&w, m);
	assert_int_equal(live->state, SHM_LIST_CLOSED);
	assert_string_equal(live->error_text, "removed from the configuration");
	assert_string_equal(live->error_name, err_name(ERR_UNKNOWN_CLUSTER));
	assert_int_equal(waits->state, SHM_LIST_CLOSED);
	expect_note(&w, REACTOR_LIST_CLOSED);
	expect_note(&w, REACTOR_LIST_CLOSED);
	assert_null(take_note(&w, REACTOR_LIST_CLOSED));
	assert_null(take_note(&w, REACTOR_CLUSTER_REMOVED)); /* its connections are closing */
	assert_ptr_equal(feed_at(&w, 2), other);
	assert_int_not_equal(row_at(other)->state, SHM_LIST_CLOSED);
	w.io.hold_closed = false;
	turn(&w);
	expect_note(&w, REACTOR_CLUSTER_REMOVED);
	add_cluster(&w, 0, false); /* the id is free */
	open_list(&w, 0, 0);
	world_fini(&w);
}

static struct reactor_msg *change(const char *host, const char *prefix)
{
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CHANGE);
	m->cluster_spec = (struct cluster_spec){.name = strdup("c"),
	        .host = strdup(host),
	        .prefix = strdup(prefix),
	        .connects_per_s = 3,
	        .connects_burst = 6,
	        .bytes_max = 1 << 20,
	        .backend = REACTOR_NO_CLUSTER};
	return m;
}

static void other_options_disturb_nothing(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, true);
	struct feed *f = open_list(&w, 0, 0);
	connect_ok(&w, 0);
	post(&w, change("api.test:6443", ""));
	assert_int_equal(w.io.connects, 1);
	assert_int_equal(cluster_at(&w, 0)->gate.rate_per_s, 3);
	assert_int_equal(cluster_at(&w, 0)->budget.bytes_max, 1 << 20);
	assert_false(f->conf.watch_list);
	world_fini(&w);
}

/* Nothing goes to the new server but what is meant for it, and nothing of the old one is taken for
 * its own. */
static void another_server_gets_new_connections_and_a_list(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	struct feed *f = open_list(&w, 0, 0);
	open_list(&w, 1, 0); /* on its way to the old one */
	go_live(&w, 0);
	post(&w, change("other.test:6443", "/base"));
	assert_int_equal(row_at(f)->state, SHM_LIST_STALE);
	assert_false(cluster_at(&w, 0)->gate.shut);
	pass(&w, 2 * SEC);
	assert_int_equal(w.io.connects, 2); /* no credential and no address yet */
	post_addresses(&w, 0, 1);
	assert_int_equal(w.io.connects, 2);
	post_credential(&w, 0, ERR_OK, "");
	assert_int_equal(w.io.connects, 4);
	unsigned lists = 0;
	for (unsigned i = 0; i < 2; i++) {
		connect_ok(&w, i);
		const char *sent = fake_io_sock(&w.io, i)->sent;
		assert_non_null(strstr(sent, "GET /base/api/v1/r"));
		assert_non_null(strstr(sent, "Host: other.test:6443"));
		assert_null(strstr(sent, "watch=1"));
		lists += strstr(sent, "limit=500") != NULL;
	}
	assert_int_equal(lists, 2);
	world_fini(&w);
}

/* One list of those that were refused is let in: the others do not wait for their own probes. */
static void one_login_is_enough_for_all(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	struct feed *f[2] = {open_list(&w, 0, 0), open_list(&w, 1, 0)};
	for (unsigned i = 0; i < 2; i++) {
		connect_ok(&w, 0); /* the first one goes when it is refused */
		answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "{}");
		expect_note(&w, REACTOR_WANTS_CREDENTIAL);
		post_credential(&w, 0, ERR_KUBE_UNAUTHORIZED, "log in again");
		assert_int_equal(row_at(f[i])->state, SHM_LIST_PARKED);
		assert_string_equal(row_at(f[i])->error_text, "log in again");
	}
	while (w.io.connects == 2)
		pass(&w, SEC / 10);
	assert_int_equal(w.io.connects, 3); /* the first probe */
	connect_ok(&w, 0);
	assert_null(take_note(&w, REACTOR_CLUSTER_LETS_IN));
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
	assert_int_equal(w.io.connects, 4);
	expect_note(&w, REACTOR_CLUSTER_LETS_IN); /* once, however many lists */
	connect_ok(&w, 1);
	answer(&w, fake_io_sock(&w.io, 1), "200 OK", LIST_JSON("10", ITEM_JSON("a", "5")));
	assert_null(take_note(&w, REACTOR_CLUSTER_LETS_IN));
	world_fini(&w);
}

static uint32_t address_at(struct world *w, unsigned i)
{
	struct sockaddr_in *a = (void *)&fake_io_sock(&w->io, i)->address;
	return ntohl(a->sin_addr.s_addr);
}

/* As ::1 on a host without IPv6: there is no socket at all for it. */
static void an_address_that_cannot_be_tried_is_left_too(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster_only(&w, 0, false, false);
	post_credential(&w, 0, ERR_OK, "");
	post_addresses(&w, 0, 2);
	w.io.connect_err = ERR_CONN_UNREACHABLE;
	open_list(&w, 0, 0);
	assert_null(fake_io_sock(&w.io, 0));
	pass(&w, 2 * SEC);
	assert_non_null(fake_io_sock(&w.io, 0));
	assert_int_equal(address_at(&w, 0), 0x0A000002);
	world_fini(&w);
}

/* Connects that were under way together say one thing about their address, however many they are;
 * and the one that answers is kept. */
static void an_address_is_left_once(void **state)
{
	struct world w;
	(void)state;
	for (unsigned lists = 1; lists <= 4; lists++) {
		world_init(&w);
		add_cluster_only(&w, 0, false, false);
		post_credential(&w, 0, ERR_OK, "");
		post_addresses(&w, 0, 2);
		for (uint32_t i = 0; i < lists; i++)
			open_list(&w, i, 0);
		for (unsigned i = 0; i < lists; i++) {
			assert_int_equal(address_at(&w, i), 0x0A000001);
			fake_io_connected(fake_io_sock(&w.io, i), ERR_CONN_UNREACHABLE);
		}
		turn(&w);
		for (int i = 0; i < 3; i++) {
			for (int n = 0; n < 40 && !fake_io_sock(&w.io, 0); n++)
				pass(&w, SEC / 4);
			assert_int_equal(address_at(&w, 0), 0x0A000002);
			connect_ok(&w, 0);
			answer(&w, fake_io_sock(&w.io, 0), "500 Internal Server Error", "no");
		}
		world_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_dead_cluster_costs_one_timer),
	        cmocka_unit_test(resources_that_nobody_has_open_are_forgotten),
	        cmocka_unit_test(one_answer_opens_for_all),
	        cmocka_unit_test(connects_under_way_when_the_gate_shuts_are_one_failure),
	        cmocka_unit_test(a_fetch_may_probe_when_its_time_has_come),
	        cmocka_unit_test(a_name_that_does_not_resolve_is_asked_for_with_back_off),
	        cmocka_unit_test(a_probe_that_is_retired_leaves_the_next_to_another),
	        cmocka_unit_test(a_handshake_that_never_ends_is_given_up),
	        cmocka_unit_test(a_bad_address_is_left_for_the_next),
	        cmocka_unit_test(a_list_opened_after_the_credential_failed_says_so),
	        cmocka_unit_test(no_address_says_so_and_asks_again),
	        cmocka_unit_test(a_list_that_gets_no_memory_says_what_to_do),
	        cmocka_unit_test(lists_of_two_realms_share_the_budget_of_their_cluster),
	        cmocka_unit_test(a_renewed_certificate_ends_what_the_old_one_opened),
	        cmocka_unit_test(a_removed_cluster_goes_with_its_last_connection),
	        cmocka_unit_test(a_removed_cluster_closes_its_lists_and_says_why),
	        cmocka_unit_test(other_options_disturb_nothing),
	        cmocka_unit_test(another_server_gets_new_connections_and_a_list),
	        cmocka_unit_test(one_login_is_enough_for_all),
	        cmocka_unit_test(an_address_that_cannot_be_tried_is_left_too),
	        cmocka_unit_test(an_address_is_left_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
