/* storm_test.c - much at once takes turns: connects, handshakes, messages. What is up goes before.
 */
#include "unit/reactor/world.h"

enum { CLUSTERS = 50, HANDSHAKES = 12 };

static void messages_take_turns_in_their_order(void **state)
{
	struct world w;
	uint32_t want = 0;
	(void)state;
	world_init(&w);
	for (uint32_t i = 0; i < 3 * CORE_MAIL_PER_TURN; i++) {
		struct reactor_msg *m = msg(REACTOR_STATUS);
		m->id = i;
		reactor_post(w.r, m);
	}
	for (int i = 0; i < 3; i++) {
		turn(&w);
		struct reactor_note *n;
		while ((n = take_note(&w, REACTOR_STATUS_OF))) {
			assert_int_equal(n->id, want++);
			reactor_note_free(&n);
		}
		assert_int_equal(want, (i + 1) * CORE_MAIL_PER_TURN);
	}
	world_fini(&w);
}

static void what_waits_for_a_turn_keeps_the_reactor_awake(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	for (int i = 0; i <= CORE_MAIL_PER_TURN; i++)
		reactor_post(w.r, msg(REACTOR_STATUS));
	reactor_turn(w.r, UINT64_MAX);
	reactor_turn(w.r, UINT64_MAX);
	assert_int_equal(w.io.wanted_ns, 0);
	reactor_turn(w.r, UINT64_MAX);
	assert_true(w.io.wanted_ns > w.io.now_ns);
	world_fini(&w);
}

static void connects_take_turns_and_none_is_forgotten(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	for (uint32_t i = 0; i < CLUSTERS; i++)
		add_cluster_only(&w, i, false, false);
	for (uint32_t i = 0; i < CLUSTERS; i++)
		open_list(&w, i, i);
	for (uint32_t i = 0; i < CLUSTERS; i++)
		post_credential(&w, i, ERR_OK, "");
	assert_int_equal(w.io.connects, 0);
	for (uint32_t i = 0; i < CLUSTERS; i++) {
		struct reactor_msg *m = msg(REACTOR_CLUSTER_ADDRESSES);
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(6443)};
		m->cluster = i;
		m->addresses.count = 1;
		memcpy(&m->addresses.at[0], &a, sizeof a);
		m->addresses.bytes[0] = sizeof a;
		reactor_post(w.r, m);
	}
	for (unsigned n = 1; n <= CLUSTERS; n++) {
		unsigned want = n * CORE_CONNECTS_PER_TURN;
		turn(&w);
		assert_int_equal(w.io.connects, want < CLUSTERS ? want : CLUSTERS);
	}
	world_fini(&w);
}

/* HANDSHAKES lists of one https cluster, whose TCP is up in the next turn; list 0 is a stream of
 * another cluster, live on the first socket. */
static void storm(struct world *w)
{
	world_init(w);
	add_cluster(w, 0, false);
	open_list(w, 0, 0);
	go_live(w, 0);
	add_cluster_only(w, 1, true, false);
	post_tls(w, 1);
	post_addresses(w, 1, 1);
	for (uint32_t i = 1; i <= HANDSHAKES; i++)
		open_list(w, i, 1);
	for (uint32_t i = 1; i <= HANDSHAKES; i++)
		fake_io_connected(fake_io_sock(&w->io, i), ERR_OK);
}

/* Sockets that have said their ClientHello. */
static unsigned begun(struct world *w)
{
	unsigned n = 0;
	for (uint32_t i = 1; i < fake_io_count(&w->io); i++)
		n += fake_io_sock(&w->io, i)->sent_bytes > 0;
	return n;
}

static void handshakes_take_turns_and_streams_do_not_wait(void **state)
{
	static const char ev[] = EVENT_JSON("ADDED", "b", "11");
	struct world w;
	(void)state;
	storm(&w);
	chunk(fake_io_sock(&w.io, 0), ev, sizeof ev - 1);
	for (unsigned n = 1; n <= HANDSHAKES / CORE_SHAKES_PER_TURN; n++) {
		turn(&w);
		assert_int_equal(begun(&w), n * CORE_SHAKES_PER_TURN);
		assert_int_equal(row_at(feed_at(&w, 0))->objects, 2);
	}
	world_fini(&w);
}

/* Alert: handshake_failure. */
static const char refusal[] = "\x15\x03\x03\x00\x02\x02\x28";

static void what_has_begun_goes_before_what_has_not(void **state)
{
	struct world w;
	(void)state;
	storm(&w);
	turn(&w);
	for (unsigned i = 1; i <= CORE_SHAKES_PER_TURN; i++)
		fake_io_data(fake_io_sock(&w.io, i), refusal, sizeof refusal - 1);
	turn(&w);
	assert_int_equal(begun(&w), 0); /* those that had are lost; nobody else had a turn */
	assert_int_equal(fake_io_count(&w.io), 1 + HANDSHAKES - CORE_SHAKES_PER_TURN);
	assert_int_equal(cluster_at(&w, 1)->err, ERR_TLS_HANDSHAKE);
	turn(&w);
	assert_int_equal(begun(&w), CORE_SHAKES_PER_TURN);
	world_fini(&w);
}

/* With the end right behind it: what the server said is why. */
static void the_last_word_of_a_handshake_is_heard(void **state)
{
	struct world w;
	(void)state;
	storm(&w);
	turn(&w);
	fake_io_data(fake_io_sock(&w.io, 1), refusal, sizeof refusal - 1);
	fake_io_end(fake_io_sock(&w.io, 1), ERR_CONN_CLOSED);
	turn(&w);
	assert_int_equal(cluster_at(&w, 1)->err, ERR_TLS_HANDSHAKE);
	world_fini(&w);
}

static void what_came_before_its_turn_is_kept(void **state)
{
	struct world w;
	(void)state;
	storm(&w);
	struct fake_sock *last = fake_io_sock(&w.io, HANDSHAKES);
	fake_io_data(last, refusal, 3); /* in pieces, long before its ClientHello */
	fake_io_data(last, refusal + 3, sizeof refusal - 4);
	for (int i = 0; i < HANDSHAKES / CORE_SHAKES_PER_TURN; i++)
		turn(&w);
	assert_int_equal(fake_io_count(&w.io), 1 + HANDSHAKES);
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), HANDSHAKES);
	world_fini(&w);
}

static void who_leaves_before_its_turn_leaves_none(void **state)
{
	struct world w;
	(void)state;
	storm(&w);
	fake_io_data(fake_io_sock(&w.io, HANDSHAKES), refusal, 3); /* kept, and freed with it */
	turn(&w);
	for (uint32_t i = 1; i <= HANDSHAKES; i++) {
		struct reactor_msg *m = msg(REACTOR_LIST_CLOSE);
		m->id = i;
		post(&w, m);
	}
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), 1);
	assert_true(list_empty(&w.r->to_shake) && list_empty(&w.r->shaking));
	assert_int_equal(w.r->conn_count, 1);
	world_fini(&w);
}

static void what_is_kept_before_its_turn_is_bounded(void **state)
{
	static char flood[TLS_HANDSHAKE_BYTES_MAX];
	struct world w;
	(void)state;
	storm(&w);
	struct fake_sock *last = fake_io_sock(&w.io, HANDSHAKES);
	fake_io_data(last, flood, sizeof flood);
	turn(&w);
	assert_int_equal(fake_io_count(&w.io), 1 + HANDSHAKES);
	fake_io_data(last, flood, 1);
	turn(&w);
	assert_int_equal(cluster_at(&w, 1)->err, ERR_LIMIT);
	assert_int_equal(fake_io_count(&w.io), HANDSHAKES);
	world_fini(&w);
}

/* It would log in with what was replaced. */
static void a_handshake_with_the_old_certificate_is_given_up(void **state)
{
	struct world w;
	(void)state;
	storm(&w);
	turn(&w);
	assert_int_equal(begun(&w), CORE_SHAKES_PER_TURN);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CREDENTIAL);
	struct tls_spec spec = {.insecure = true, .server_name = SPAN("api.test")};
	struct errmsg why = {0};
	m->cluster = 1;
	m->credential.renewed = true;
	assert_int_equal(tls_config_new(&m->credential.tls, &spec, &why), ERR_OK);
	reactor_post(w.r, m);
	w.io.hold_closed = true;
	turn(&w);
	unsigned closing = 0;
	LIST_EACH (it, &cluster_at(&w, 1)->conns)
		closing += CONTAINER_OF(it, struct conn, link)->state == CONN_CLOSING;
	assert_int_equal(closing, CORE_SHAKES_PER_TURN); /* those that had not begun go on */
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(messages_take_turns_in_their_order),
	        cmocka_unit_test(what_waits_for_a_turn_keeps_the_reactor_awake),
	        cmocka_unit_test(connects_take_turns_and_none_is_forgotten),
	        cmocka_unit_test(handshakes_take_turns_and_streams_do_not_wait),
	        cmocka_unit_test(what_has_begun_goes_before_what_has_not),
	        cmocka_unit_test(the_last_word_of_a_handshake_is_heard),
	        cmocka_unit_test(what_came_before_its_turn_is_kept),
	        cmocka_unit_test(who_leaves_before_its_turn_leaves_none),
	        cmocka_unit_test(what_is_kept_before_its_turn_is_bounded),
	        cmocka_unit_test(a_handshake_with_the_old_certificate_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
