/* fetch_test.c - one GET for the control thread: every way it ends gives exactly one note. */
#include "unit/reactor/world.h"

static bool none_is_under_way(const struct world *w)
{
	const struct cluster *c = core_cluster(w->r, 0);
	return !c || list_empty(&c->fetches);
}

static void expect_fetched(struct world *w, err_t err, int status, const char *body)
{
	struct reactor_note *n = take_note(w, REACTOR_FETCHED);
	assert_non_null(n);
	assert_int_equal(n->err, err);
	assert_int_equal(n->http_status, status);
	if (body) {
		assert_int_equal(n->body_bytes, strlen(body));
		assert_memory_equal(n->body, body, n->body_bytes);
	}
	reactor_note_free(&n);
	assert_null(take_note(w, REACTOR_FETCHED));
	assert_true(none_is_under_way(w));
}

static void begin(struct world *w)
{
	world_init(w);
	add_cluster(w, 0, false);
	post_fetch(w, 0);
	connect_ok(w, 0);
	assert_non_null(strstr(fake_io_sock(&w->io, 0)->sent, "GET /api HTTP/1.1\r\n"));
}

static void collects_the_body(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	fake_io_bytes(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\"");
	turn(&w);
	fake_io_bytes(s, "\r\n3\r\na\"}\r\n0\r\n\r\n");
	turn(&w);
	expect_fetched(&w, ERR_OK, 200, "{\"a\"}");
	world_fini(&w);
}

static void a_body_until_the_end(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	fake_io_bytes(fake_io_sock(&w.io, 0), "HTTP/1.1 200 OK\r\n\r\nabc");
	fake_io_end(fake_io_sock(&w.io, 0), ERR_CONN_CLOSED);
	turn(&w);
	expect_fetched(&w, ERR_OK, 200, "abc");
	world_fini(&w);
	begin(&w);
	fake_io_bytes(fake_io_sock(&w.io, 0), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
	fake_io_end(fake_io_sock(&w.io, 0), ERR_CONN_CLOSED);
	turn(&w);
	expect_fetched(&w, ERR_HTTP_TRUNCATED, 200, NULL);
	world_fini(&w);
}

static void no_answer_ends_after_30_s(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	pass(&w, 29 * SEC);
	assert_null(take_note(&w, REACTOR_FETCHED));
	pass(&w, 2 * SEC);
	expect_fetched(&w, ERR_CONN_TIMEOUT, 0, NULL);
	assert_false(cluster_at(&w, 0)->gate.probing);
	world_fini(&w);
}

static void a_401_gets_one_refresh(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	expect_note(&w, REACTOR_WANTS_CREDENTIAL);
	assert_null(take_note(&w, REACTOR_FETCHED));
	post_credential(&w, 0, ERR_OK, "");
	connect_ok(&w, 0);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", "{}");
	expect_fetched(&w, ERR_OK, 200, "{}");
	post_fetch(&w, 0);
	connect_ok(&w, 0);
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	expect_note(&w, REACTOR_WANTS_CREDENTIAL);
	post_credential(&w, 0, ERR_CRED_EXEC, "log in again");
	expect_fetched(&w, ERR_KUBE_UNAUTHORIZED, 401, NULL);
	post_credential(&w, 0, ERR_OK, "");
	post_fetch(&w, 0);
	connect_ok(&w, 0);
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	expect_note(&w, REACTOR_WANTS_CREDENTIAL);
	post_credential(&w, 0, ERR_OK, "");
	connect_ok(&w, 0);
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	expect_fetched(&w, ERR_OK, 401, NULL);
	world_fini(&w);
}

/* Two wait for a credential; the first has it and finds no socket, which refuses the second. */
static void one_that_fails_takes_another_with_it(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	post_fetch(&w, 0);
	post_fetch(&w, 0);
	post_fetch(&w, 0);
	for (unsigned i = 0; i < 3; i++)
		fake_io_connected(fake_io_sock(&w.io, i), ERR_OK);
	turn(&w);
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	answer(&w, fake_io_sock(&w.io, 0), "401 Unauthorized", "");
	w.io.connect_err = ERR_LIMIT;
	post_credential(&w, 0, ERR_OK, "");
	unsigned n = 0;
	for (struct reactor_note *k; (k = take_note(&w, REACTOR_FETCHED)); n++)
		reactor_note_free(&k);
	assert_int_equal(n, 3);
	assert_true(none_is_under_way(&w));
	world_fini(&w);
}

static void ends_with_a_message_at_once_when_it_cannot_be_sent(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	post_fetch(&w, 0);
	w.io.send_err = ERR_CONN_RESET;
	connect_ok(&w, 0);
	expect_fetched(&w, ERR_CONN_RESET, 0, NULL);
	post_fetch(&w, 77); /* no such cluster */
	expect_fetched(&w, ERR_UNKNOWN_CLUSTER, 0, NULL);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(collects_the_body),
	        cmocka_unit_test(a_body_until_the_end),
	        cmocka_unit_test(no_answer_ends_after_30_s),
	        cmocka_unit_test(a_401_gets_one_refresh),
	        cmocka_unit_test(one_that_fails_takes_another_with_it),
	        cmocka_unit_test(ends_with_a_message_at_once_when_it_cannot_be_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
