/* conn_test.c - one connection with a user that the test plays: keep-alive, answers that overtake
 * on_sent, closing from inside each callback, bodies of every framing, gzip, 101. */
#include "unit/reactor/world.h"

#include "reactor/conn_ws.h"
#include "unit/wire/tls_peer.h"
#include <zlib.h>

enum where { NOWHERE, IN_READY, IN_HEAD, IN_BODY, IN_END, IN_LOST };

static char user_body[65536];

struct user {
	struct conn *c;
	enum where close_in;
	unsigned ready, heads, bodies, ends, lost;
	bool ask_again; /* from inside on_body_end */
	bool reusable;
	int status;
	err_t err;
	char text[256];
	char *body; /* user_body */
	size_t body_bytes;
};

static void leave(struct user *u, enum where here)
{
	if (u->close_in != here)
		return;
	conn_close(u->c);
	conn_close(u->c); /* idempotent */
}

static void ask(struct user *u, const char *target)
{
	struct errmsg m = {0};
	assert_int_equal(conn_request(u->c, span_of(target), SPAN("a/b"), false, &m), ERR_OK);
}

static void on_ready(void *arg, struct conn *c)
{
	struct user *u = arg;
	assert_ptr_equal(u->c, c);
	u->ready++;
	leave(u, IN_READY);
	if (u->close_in != IN_READY)
		ask(u, "/1");
}

static void on_head(void *arg, struct conn *c, const struct http1_head *h)
{
	struct user *u = arg;
	(void)c;
	u->heads++;
	u->status = h->status;
	leave(u, IN_HEAD);
}

static void on_body(void *arg, struct conn *c, struct span data)
{
	struct user *u = arg;
	(void)c;
	u->bodies++;
	assert_true(u->body_bytes + data.n <= sizeof user_body);
	memcpy(u->body + u->body_bytes, data.p, data.n);
	u->body_bytes += data.n;
	leave(u, IN_BODY);
}

static void on_body_end(void *arg, struct conn *c, bool reusable)
{
	struct user *u = arg;
	(void)c;
	u->ends++;
	u->reusable = reusable;
	leave(u, IN_END);
	if (u->ask_again)
		ask(u, "/2");
	u->ask_again = false;
}

static void on_lost(void *arg, struct conn *c, err_t err, const char *text)
{
	struct user *u = arg;
	(void)c;
	u->lost++;
	u->err = err;
	snprintf(u->text, sizeof u->text, "%s", text);
	leave(u, IN_LOST);
}

static const struct conn_user user_fns = {on_ready, on_head, on_body, on_body_end, on_lost, NULL};

static void begin(struct world *w, struct user *u, enum where close_in)
{
	err_t err;
	*u = (struct user){.close_in = close_in, .body = user_body};
	world_init(w);
	add_cluster(w, 0, false);
	u->c = conn_open(cluster_at(w, 0), &user_fns, u, &err);
	assert_non_null(u->c);
	assert_int_equal(u->ready, 0); /* never from inside */
	connect_ok(w, 0);
}

static void keep_alive_carries_the_next_request(void **state)
{
	struct world w;
	struct user u;
	(void)state;
	begin(&w, &u, NOWHERE);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	assert_non_null(strstr(s->sent, "GET /1 HTTP/1.1\r\n"));
	assert_null(strstr(s->sent, "Authorization"));
	u.ask_again = true;
	answer(&w, s, "200 OK", "abc");
	assert_true(u.reusable);
	assert_non_null(strstr(s->sent, "GET /2 HTTP/1.1\r\n"));
	answer(&w, s, "404 Not Found", "");
	assert_int_equal(u.heads, 2);
	assert_int_equal(u.ends, 2);
	assert_int_equal(u.status, 404);
	conn_close(u.c);
	world_fini(&w);
}

static void an_answer_may_overtake_on_sent(void **state)
{
	struct world w;
	struct user u;
	(void)state;
	begin(&w, &u, NOWHERE);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	s->hold_sent = true;
	u.ask_again = true;
	answer(&w, s, "200 OK", "abc");
	assert_int_equal(u.ends, 1);
	assert_null(strstr(s->sent, "GET /2")); /* one send at a time */
	s->hold_sent = false;
	turn(&w);
	assert_non_null(strstr(s->sent, "GET /2"));
	turn(&w); /* its own on_sent */
	answer(&w, s, "200 OK", "");
	assert_int_equal(u.ends, 2);
	conn_close(u.c);
	world_fini(&w);
}

/* To the last byte; when it reads again, there is room again. */
static void what_waits_to_be_sent_is_bounded(void **state)
{
	static char flood[CONN_OUT_MAX];
	struct world w;
	struct user u;
	struct errmsg m = {0};
	(void)state;
	begin(&w, &u, NOWHERE);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	s->hold_sent = true;
	memset(flood, 'x', sizeof flood);
	assert_int_equal(conn_write(u.c, flood, 100, &m), ERR_OK);
	assert_int_equal(conn_write(u.c, flood, sizeof flood - 100, &m), ERR_OK);
	assert_int_equal(conn_write(u.c, flood, 1, &m), ERR_LIMIT);
	size_t before = s->sent_bytes;
	s->hold_sent = false;
	turn(&w);
	assert_int_equal(s->sent_bytes - before, sizeof flood);
	assert_memory_equal(s->sent + before, flood, sizeof flood);
	assert_int_equal(conn_write(u.c, flood, 1, &m), ERR_OK);
	conn_close(u.c);
	world_fini(&w);
}

static void may_be_closed_in_each_callback(void **state)
{
	(void)state;
	for (enum where here = IN_READY; here <= IN_LOST; here++) {
		struct world w;
		struct user u;
		begin(&w, &u, here);
		struct fake_sock *s = fake_io_sock(&w.io, 0);
		if (s) {
			fake_io_bytes(
			        s, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 2");
			fake_io_end(s, ERR_CONN_RESET);
		}
		turn(&w);
		assert_int_equal(u.ready, 1);
		assert_int_equal(u.heads, here >= IN_HEAD);
		assert_int_equal(u.bodies, here >= IN_BODY);
		assert_int_equal(u.ends, here >= IN_END);
		assert_int_equal(u.lost, here == IN_LOST);
		turn(&w);
		assert_int_equal(cluster_at(&w, 0)->conn_count, 0);
		world_fini(&w);
	}
}

static void bytes_that_nobody_asked_for_end_it(void **state)
{
	struct world w;
	struct user u;
	(void)state;
	begin(&w, &u, NOWHERE);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK", "abc");
	fake_io_bytes(fake_io_sock(&w.io, 0), "HTTP/1.1 200 OK\r\n\r\n");
	turn(&w);
	assert_int_equal(u.lost, 1);
	assert_int_equal(u.err, ERR_HTTP_SYNTAX);
	assert_false(cluster_at(&w, 0)->gate.shut); /* it did answer */
	world_fini(&w);
}

static void a_body_until_close(void **state)
{
	struct world w;
	struct user u;
	(void)state;
	begin(&w, &u, IN_END);
	fake_io_bytes(fake_io_sock(&w.io, 0), "HTTP/1.1 200 OK\r\n\r\nabc");
	fake_io_bytes(fake_io_sock(&w.io, 0), "def");
	turn(&w);
	assert_int_equal(u.ends, 0);
	fake_io_end(fake_io_sock(&w.io, 0), ERR_CONN_CLOSED);
	turn(&w);
	assert_int_equal(u.ends, 1);
	assert_false(u.reusable);
	assert_memory_equal(u.body, "abcdef", 6);
	world_fini(&w);
	begin(&w, &u, NOWHERE); /* a reset is no end */
	fake_io_bytes(fake_io_sock(&w.io, 0), "HTTP/1.1 200 OK\r\n\r\nabc");
	fake_io_end(fake_io_sock(&w.io, 0), ERR_CONN_RESET);
	turn(&w);
	assert_int_equal(u.ends, 0);
	assert_int_equal(u.err, ERR_CONN_RESET);
	world_fini(&w);
}

/* What the server has for us; false: nothing. */
static bool deliver(struct world *w, struct fake_sock *s, struct peer *p)
{
	char *out;
	long n = BIO_get_mem_data(p->out, &out);
	if (n > 0)
		fake_io_data(s, out, (size_t)n);
	(void)BIO_reset(p->out);
	turn(w);
	return n > 0;
}

/* Until both are silent. */
static void exchange(struct world *w, struct fake_sock *s, struct peer *p)
{
	bool any;
	do {
		any = s->sent_bytes > 0;
		if (any)
			assert_int_equal(
			        BIO_write(p->in, s->sent, (int)s->sent_bytes), s->sent_bytes);
		fake_io_sent_clear(s);
		peer_step(p);
		any |= deliver(w, s, p);
	} while (any);
}

/* Where only the end of the connection says that a body is whole, whoever sits in between could cut
 * it anywhere: the server's close_notify says so, a FIN does not. */
static void a_body_that_was_cut_off_on_the_way_is_not_whole(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\n\r\nabc";
	struct cert cert = cert_make(&(struct cert_spec){.cn = "api.test", .san = "DNS:api.test"});
	(void)state;
	for (int said = 0; said < 2; said++) {
		struct world w;
		struct peer p;
		err_t err;
		struct user u = {.body = user_body};
		peer_init(&p, &cert, NULL, TLS1_3_VERSION);
		peer_open(&p);
		world_init(&w);
		add_cluster_only(&w, 0, true, false);
		post_tls(&w, 0);
		post_addresses(&w, 0, 1);
		u.c = conn_open(cluster_at(&w, 0), &user_fns, &u, &err);
		assert_non_null(u.c);
		connect_ok(&w, 0);
		struct fake_sock *s = fake_io_sock(&w.io, 0);
		exchange(&w, s, &p);
		assert_int_equal(u.ready, 1);
		assert_memory_equal(p.got, "GET /1 HTTP/1.1\r\n", 17);
		assert_int_equal(SSL_write(p.ssl, text, sizeof text - 1), sizeof text - 1);
		exchange(&w, s, &p);
		assert_int_equal(u.body_bytes, 3);
		if (said) {
			(void)SSL_shutdown(p.ssl);
			(void)deliver(&w, s, &p);
		} else {
			fake_io_end(s, ERR_CONN_CLOSED);
			turn(&w);
		}
		assert_int_equal(u.ends, said);
		assert_int_equal(u.lost, 1);
		assert_int_equal(u.err, said ? ERR_CONN_CLOSED : ERR_TLS_TRUNCATED);
		world_fini(&w);
		peer_fini(&p);
	}
	cert_free(&cert);
}

static void nothing_before_the_answer_names_host_and_reason(void **state)
{
	struct world w;
	struct user u;
	(void)state;
	begin(&w, &u, NOWHERE);
	fake_io_end(fake_io_sock(&w.io, 0), ERR_CONN_CLOSED);
	turn(&w);
	assert_int_equal(u.lost, 1);
	assert_int_equal(u.err, ERR_CONN_CLOSED);
	assert_non_null(strstr(u.text, "api.test:6443"));
	assert_true(cluster_at(&w, 0)->gate.shut);
	assert_non_null(strstr(cluster_at(&w, 0)->text, "api.test:6443"));
	world_fini(&w);
}

static void an_upgrade_that_nobody_wanted(void **state)
{
	struct world w;
	struct user u;
	(void)state;
	begin(&w, &u, NOWHERE);
	fake_io_bytes(fake_io_sock(&w.io, 0),
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw");
	turn(&w);
	assert_int_equal(u.lost, 1);
	assert_int_equal(u.err, ERR_HTTP_SYNTAX);
	world_fini(&w);
}

static size_t zip(char *out, size_t cap, const char *in, size_t n)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in,
	        .avail_in = (uInt)n,
	        .next_out = (Bytef *)out,
	        .avail_out = (uInt)cap};
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t done = cap - z.avail_out;
	deflateEnd(&z);
	return done;
}

static void gzip_is_inflated_whole_or_not_at_all(void **state)
{
	static char plain[60000], packed[70000];
	char head[128];
	(void)state;
	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (char)('a' + i % 23);
	size_t n = zip(packed, sizeof packed, plain, sizeof plain);
	for (int cut = 0; cut < 2; cut++) {
		struct world w;
		struct user u;
		begin(&w, &u, NOWHERE);
		size_t bytes = n - (size_t)cut * 5;
		snprintf(head, sizeof head,
		        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
		        bytes);
		fake_io_bytes(fake_io_sock(&w.io, 0), head);
		for (size_t i = 0; i < bytes; i++)
			fake_io_data(fake_io_sock(&w.io, 0), packed + i, 1);
		turn(&w);
		assert_int_equal(u.ends, !cut);
		assert_int_equal(u.lost, cut);
		assert_int_equal(u.err, cut ? ERR_GZIP : ERR_OK);
		assert_int_equal(u.body_bytes, sizeof plain);
		assert_memory_equal(u.body, plain, sizeof plain);
		if (!cut)
			conn_close(u.c);
		world_fini(&w);
	}
}

static void an_unknown_coding_is_refused(void **state)
{
	struct world w;
	struct user u;
	(void)state;
	begin(&w, &u, NOWHERE);
	answer(&w, fake_io_sock(&w.io, 0), "200 OK\r\nContent-Encoding: br", "abc");
	assert_int_equal(u.heads, 0);
	assert_int_equal(u.err, ERR_HTTP_ENCODING);
	world_fini(&w);
}

static void closed_before_it_is_up(void **state)
{
	struct world w;
	struct user u = {0};
	err_t err;
	(void)state;
	world_init(&w);
	add_cluster(&w, 0, false);
	u.c = conn_open(cluster_at(&w, 0), &user_fns, &u, &err);
	fake_io_connected(fake_io_sock(&w.io, 0), ERR_OK);
	conn_close(u.c);
	turn(&w);
	turn(&w);
	assert_int_equal(u.ready + u.lost, 0);
	assert_int_equal(cluster_at(&w, 0)->conn_count, 0);
	world_fini(&w);
}

static void a_token_never_goes_out_in_the_clear(void **state)
{
	struct world w;
	(void)state;
	world_init(&w);
	add_cluster_only(&w, 0, false, false);
	struct reactor_msg *m = msg(REACTOR_CLUSTER_CREDENTIAL);
	m->cluster = 0;
	m->credential.auth = auth_new();
	m->credential.auth->authorization = strdup("Bearer secret");
	post(&w, m);
	post_addresses(&w, 0, 1);
	open_list(&w, 0, 0);
	connect_ok(&w, 0);
	struct fake_sock *s = fake_io_sock(&w.io, 0);
	assert_non_null(strstr(s->sent, "GET /api/v1/r0"));
	assert_null(strstr(s->sent, "secret"));
	assert_null(strstr(s->sent, "uthorization"));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(keep_alive_carries_the_next_request),
	        cmocka_unit_test(an_answer_may_overtake_on_sent),
	        cmocka_unit_test(what_waits_to_be_sent_is_bounded),
	        cmocka_unit_test(may_be_closed_in_each_callback),
	        cmocka_unit_test(bytes_that_nobody_asked_for_end_it),
	        cmocka_unit_test(a_body_until_close),
	        cmocka_unit_test(a_body_that_was_cut_off_on_the_way_is_not_whole),
	        cmocka_unit_test(nothing_before_the_answer_names_host_and_reason),
	        cmocka_unit_test(an_upgrade_that_nobody_wanted),
	        cmocka_unit_test(gzip_is_inflated_whole_or_not_at_all),
	        cmocka_unit_test(an_unknown_coding_is_refused),
	        cmocka_unit_test(closed_before_it_is_up),
	        cmocka_unit_test(a_token_never_goes_out_in_the_clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
