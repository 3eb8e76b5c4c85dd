/* credential.c, credential_source.c, credential_pool.c: what is handed out when, with time passed
 * in; plugins are real. */
#include "config/credential.h"

#include <poll.h>
#include <pthread.h>

#include "config/credential_exec.h"
#include "scratch.h"

enum { WAIT_MS = 20000 };
#define S     1000000000ull
#define T0    (1000 * S)
#define WALL0 1795514400 /* 2026-11-24T10:00:00Z */

static struct scratch_pair pair, other;
static char path_variable[] = "PATH=/usr/bin:/bin";
static char *environment[] = {path_variable, NULL};

/* The pool and one source, and a clock for them. */
struct world {
	struct scratch *s;
	struct credential_pool *pool;
	struct credential_source *source;
	uint64_t now_ns;
	int64_t wall_s;
};

static void world_open(struct world *w, struct scratch *s, uint32_t running_max)
{
	*w = (struct world){.s = s, .now_ns = T0, .wall_s = WALL0};
	struct credential_pool_conf conf = {
	        .environ = environment, .running_max = running_max, .seed = 7};
	assert_int_equal(credential_pool_new(&conf, w->now_ns, &w->pool, NULL), ERR_OK);
}

static void world_close(struct world *w)
{
	credential_source_close(&w->source);
	credential_pool_free(&w->pool);
	assert_null(w->pool);
}

static struct credential_source *open_source(struct world *w, const struct credential_conf *conf)
{
	struct credential_source *source;
	assert_int_equal(
	        credential_source_open(w->pool, conf, w->now_ns, w->wall_s, &source), ERR_OK);
	return source;
}

static void advance(struct world *w, uint64_t ns)
{
	w->now_ns += ns;
	w->wall_s += (int64_t)(ns / S);
	credential_pool_on_timer(w->pool, w->now_ns, w->wall_s);
}

/* Until a plugin ends and its source has news. */
static struct credential_source *wait_news(struct world *w)
{
	struct credential_source *source;
	while (!(source = credential_pool_pop(w->pool))) {
		struct pollfd p = {.fd = credential_pool_fd(w->pool), .events = POLLIN};
		if (poll(&p, 1, WAIT_MS) != 1)
			fail_msg("no news");
		credential_pool_on_readable(w->pool, w->now_ns, w->wall_s);
	}
	return source;
}

static void drop_news(struct world *w)
{
	while (credential_pool_pop(w->pool))
		continue;
}

static void authorization_is(struct credential_source *source, const char *value)
{
	struct credential *c = credential_source_get(source);
	if (!value) {
		assert_null(c);
		return;
	}
	if (!c)
		fail_msg("no credential; error: %s", credential_source_error(source)->text);
	if (!span_is(c->authorization, value))
		fail_msg("%.*s instead of %s", SPAN_ARG(c->authorization), value);
	credential_put(&c);
}

static void error_is(struct credential_source *source, const char *part)
{
	const struct errmsg *m = credential_source_error(source);
	if (!part) {
		if (m)
			fail_msg("unexpected: %s", m->text);
		return;
	}
	assert_non_null(m);
	scratch_has(m->text, part);
}

/* --- static ------------------------------------------------------------------------------ */

static void static_parts_are_there_at_once(void **state)
{
	static const struct {
		struct credential_conf conf;
		const char *authorization;
	} rows[] = {
	        {{.user = "u", .token = "tok"}, "Bearer tok"},
	        {{.user = "u", .token = "tok "}, "Bearer tok"}, /* Regression: it was sent */
	        {{.user = "u", .username = "Aladdin", .password = "open sesame"},
	                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
	        {{.user = "u", .username = "x"}, "Basic eDo="},
	        {{.user = "u"}, ""},
	        {{0}, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w;
		world_open(&w, *state, 0);
		w.source = open_source(&w, &rows[i].conf);
		authorization_is(w.source, rows[i].authorization);
		error_is(w.source, NULL);
		assert_ptr_equal(credential_pool_pop(w.pool), w.source);
		assert_null(credential_pool_pop(w.pool));
		assert_int_equal(credential_pool_deadline(w.pool), UINT64_MAX);
		assert_false(credential_source_refresh(
		        w.source, NULL, w.now_ns)); /* nothing to refresh */
		world_close(&w);
	}
}

static void references_outlive_the_source(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_conf conf = {.user = "u",
	        .token = "tok",
	        .cert_pem = span_of(pair.cert),
	        .key_pem = span_of(pair.key)};
	w.source = open_source(&w, &conf);
	struct credential *a = credential_source_get(w.source), *b = credential_get(a);
	world_close(&w);
	credential_put(&a);
	assert_null(a);
	assert_true(span_is(b->authorization, "Bearer tok"));
	assert_true(span_is(b->cert_pem, pair.cert));
	assert_true(span_is(b->key_pem, pair.key));
	assert_true(credential_same_certificate(b, b));
	assert_false(credential_same_certificate(b, NULL));
	assert_true(credential_same_certificate(NULL, NULL));
	credential_put(&b);
	credential_put(&b); /* NULL is allowed */
}

static void *take_and_give(void *arg)
{
	for (int i = 0; i < 10000; i++) {
		struct credential *c = credential_get(arg);
		if (!span_is(c->authorization, "Bearer tok"))
			abort();
		credential_put(&c);
	}
	struct credential *mine = arg;
	credential_put(&mine);
	return NULL;
}

/* The last reference goes on some thread; ThreadSanitizer and the leak check judge. */
static void references_are_counted_across_threads(void **state)
{
	enum { THREADS = 4 };
	struct world w;
	pthread_t threads[THREADS];
	world_open(&w, *state, 0);
	struct credential_conf conf = {.user = "u", .token = "tok"};
	w.source = open_source(&w, &conf);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give,
		                         credential_source_get(w.source)),
		        0);
	world_close(&w);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* --- token file -------------------------------------------------------------------------- */

static void token_file_is_trimmed_and_wins_over_token(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_conf conf = {.user = "u",
	        .token = "static",
	        .token_file = scratch_write(w.s, "t", " \n one \r\n\t")};
	w.source = open_source(&w, &conf);
	authorization_is(w.source, "Bearer one");
	world_close(&w);
}

static void token_file_rotates_within_50_s(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_conf conf = {.user = "u", .token_file = scratch_write(w.s, "t", "one")};
	w.source = open_source(&w, &conf);
	drop_news(&w);
	for (int i = 0; i < 20; i++) {
		char token[16], want[32];
		snprintf(token, sizeof token, "tok%d", i);
		snprintf(want, sizeof want, "Bearer %s", token);
		scratch_write(w.s, "t", token);
		assert_true(credential_pool_deadline(w.pool) <= w.now_ns + 50 * S);
		advance(&w, 45 * S - 1);
		assert_null(credential_pool_pop(w.pool)); /* not too often either */
		advance(&w, 5 * S + 20000001);
		assert_ptr_equal(credential_pool_pop(w.pool), w.source);
		authorization_is(w.source, want);
		advance(&w, 0);
		/* re-arm from here, so that each round starts with a fresh reading */
		struct credential *c = credential_source_get(w.source);
		assert_true(credential_source_refresh(w.source, c, w.now_ns));
		credential_put(&c);
		advance(&w, 11 * S);
		drop_news(&w);
	}
	world_close(&w);
}

static void token_file_error_keeps_the_last_good_token(void **state)
{
	static const struct {
		const char *content, *problem; /* content NULL: no file */
	} rows[] = {
	        {NULL, "no such file"},
	        {" \n", "is empty"},
	        {"a\nb", "line break or control character"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w;
		world_open(&w, *state, 0);
		struct credential_conf conf = {
		        .user = "u", .token_file = scratch_write(w.s, "t", "one")};
		w.source = open_source(&w, &conf);
		drop_news(&w);
		unlink(scratch_path(w.s, "t"));
		if (rows[i].content)
			scratch_write(w.s, "t", rows[i].content);
		advance(&w, 51 * S);
		assert_ptr_equal(credential_pool_pop(w.pool), w.source);
		authorization_is(w.source, "Bearer one");
		error_is(w.source, rows[i].problem);
		error_is(w.source, "user \"u\": tokenFile /");
		scratch_write(w.s, "t", "two");
		advance(&w, 10 * S + 20000000); /* after an error sooner */
		assert_ptr_equal(credential_pool_pop(w.pool), w.source);
		authorization_is(w.source, "Bearer two");
		error_is(w.source, NULL);
		world_close(&w);
	}
}

static void token_file_that_is_missing_at_first_appears_later(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	unlink(scratch_path(w.s, "t"));
	struct credential_conf conf = {.user = "u", .token_file = scratch_path(w.s, "t")};
	w.source = open_source(&w, &conf);
	authorization_is(w.source, NULL);
	error_is(w.source, "credential file cannot be read: user \"u\": tokenFile");
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	scratch_write(w.s, "t", "one");
	advance(&w, 11 * S);
	authorization_is(w.source, "Bearer one");
	world_close(&w);
	world_open(&w, *state, 0); /* with a token beside it, that one serves meanwhile */
	unlink(scratch_path(w.s, "t"));
	conf.token = "static";
	w.source = open_source(&w, &conf);
	authorization_is(w.source, "Bearer static");
	error_is(w.source, "no such file");
	world_close(&w);
}

static void a_401_reads_the_token_file_at_once_and_once(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_conf conf = {.user = "u", .token_file = scratch_write(w.s, "t", "one")};
	w.source = open_source(&w, &conf);
	drop_news(&w);
	advance(&w, 20 * S);
	struct credential *old = credential_source_get(w.source);
	scratch_write(w.s, "t", "two");
	for (int i = 0; i < 100; i++) /* a hundred lists see the 401 */
		assert_true(credential_source_refresh(w.source, old, w.now_ns));
	assert_true(credential_pool_deadline(w.pool) <= w.now_ns);
	advance(&w, 20000000);
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	assert_null(credential_pool_pop(w.pool));
	authorization_is(w.source, "Bearer two");
	/* late ones still hold the old credential: there is a newer one, nothing is read */
	scratch_write(w.s, "t", "three");
	assert_true(credential_source_refresh(w.source, old, w.now_ns));
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	advance(&w, S);
	authorization_is(w.source, "Bearer two");
	/* the new one is rejected as well: at most one refresh in 10 s */
	struct credential *now = credential_source_get(w.source);
	assert_true(credential_source_refresh(w.source, now, w.now_ns));
	advance(&w, 8 * S);
	assert_null(credential_pool_pop(w.pool));
	advance(&w, 2 * S);
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	authorization_is(w.source, "Bearer three");
	credential_put(&old);
	credential_put(&now);
	world_close(&w);
}

static void a_refresh_without_change_is_news_too(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_conf conf = {.user = "u", .token_file = scratch_write(w.s, "t", "one")};
	w.source = open_source(&w, &conf);
	drop_news(&w);
	struct credential *c = credential_source_get(w.source);
	assert_true(credential_source_refresh(w.source, c, w.now_ns));
	advance(&w, 20000000);
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	struct credential *same = credential_source_get(w.source);
	assert_ptr_equal(same, c); /* so the caller can tell */
	credential_put(&same);
	credential_put(&c);
	world_close(&w);
}

/* --- certificate files ------------------------------------------------------------------- */

static void certificate_files_rotate_only_as_a_pair(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	char cert[128], key[128];
	snprintf(cert, sizeof cert, "%s", scratch_write(w.s, "c.pem", pair.cert));
	snprintf(key, sizeof key, "%s", scratch_write(w.s, "k.pem", pair.key));
	struct credential_conf conf = {
	        .user = "u", .cert_file = cert, .key_file = key, .token = "t"};
	w.source = open_source(&w, &conf);
	struct credential *first = credential_source_get(w.source);
	assert_non_null(first);
	assert_true(span_is(first->cert_pem, pair.cert));
	drop_news(&w);
	scratch_write(w.s, "c.pem", other.cert); /* the key follows later */
	advance(&w, 270 * S - 1);
	assert_null(credential_pool_pop(w.pool));
	advance(&w, 31 * S);
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	error_is(w.source, "do not belong together");
	struct credential *half = credential_source_get(w.source);
	assert_ptr_equal(half, first);
	credential_put(&half);
	scratch_write(w.s, "k.pem", other.key);
	advance(&w, 11 * S);
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	error_is(w.source, NULL);
	struct credential *second = credential_source_get(w.source);
	assert_true(span_is(second->cert_pem, other.cert));
	assert_true(span_is(second->authorization, "Bearer t"));
	assert_false(credential_same_certificate(first, second));
	credential_put(&first);
	credential_put(&second);
	world_close(&w);
}

static void certificate_file_that_is_missing_is_named(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	char key[128];
	snprintf(key, sizeof key, "%s", scratch_path(w.s, "none.pem"));
	struct credential_conf conf = {
	        .user = "u", .cert_file = scratch_write(w.s, "c.pem", pair.cert), .key_file = key};
	w.source = open_source(&w, &conf);
	authorization_is(w.source, NULL);
	error_is(w.source, "/none.pem: no such file");
	world_close(&w);
	world_open(&w, *state, 0); /* data and file may be mixed */
	conf = (struct credential_conf){.user = "u",
	        .cert_pem = span_of(pair.cert),
	        .key_file = scratch_write(w.s, "k.pem", pair.key)};
	w.source = open_source(&w, &conf);
	struct credential *c = credential_source_get(w.source);
	assert_true(span_is(c->cert_pem, pair.cert));
	assert_true(span_is(c->key_pem, pair.key));
	credential_put(&c);
	world_close(&w);
}

static void certificate_in_the_kubeconfig_is_checked_before_use(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_conf conf = {
	        .user = "u", .cert_pem = span_of(pair.cert), .key_pem = span_of(other.key)};
	w.source = open_source(&w, &conf);
	authorization_is(w.source, NULL);
	assert_int_equal(credential_source_error(w.source)->code, ERR_CONFIG);
	error_is(w.source,
	        "client certificate in the kubeconfig: certificate and key do not belong");
	assert_int_equal(credential_pool_deadline(w.pool), UINT64_MAX); /* it cannot change */
	world_close(&w);
}

/* --- exec -------------------------------------------------------------------------------- */

/* A plugin that prints `answer` and counts its runs in the file "runs". */
static struct credential_exec_conf plugin(struct scratch *s, const char *name, const char *status)
{
	char body[2048];
	snprintf(body, sizeof body,
	        "echo x >>%s/runs\nt=$(cat %s/token 2>/dev/null)\n"
	        "echo "
	        "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
	        "\"status\":%s}' | sed \"s/TOKEN/$t/\"",
	        s->dir, s->dir, status);
	return (struct credential_exec_conf){.command = scratch_script(s, name, body),
	        .api_version = "client.authentication.k8s.io/v1"};
}

static size_t runs(struct scratch *s)
{
	struct stat st;
	return stat(scratch_path(s, "runs"), &st) == 0 ? (size_t)st.st_size / 2 : 0;
}

static void exec_credential_is_kept_without_expiry(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	scratch_write(w.s, "token", "one");
	struct credential_exec_conf exec = plugin(w.s, "p", "{\"token\":\"TOKEN\"}");
	struct credential_conf conf = {.user = "u", .exec = &exec};
	w.source = open_source(&w, &conf);
	authorization_is(w.source, NULL);
	error_is(w.source, NULL);
	assert_ptr_equal(wait_news(&w), w.source);
	authorization_is(w.source, "Bearer one");
	assert_int_equal(credential_pool_deadline(w.pool), UINT64_MAX);
	advance(&w, 1000000 * S);
	assert_int_equal(runs(w.s), 1);
	/* until the server says 401 */
	scratch_write(w.s, "token", "two");
	struct credential *c = credential_source_get(w.source);
	assert_true(credential_source_refresh(w.source, c, w.now_ns));
	advance(&w, 20000000);
	assert_ptr_equal(wait_news(&w), w.source);
	authorization_is(w.source, "Bearer two");
	assert_int_equal(runs(w.s), 2);
	credential_put(&c);
	world_close(&w);
}

static void exec_refreshes_before_expiry_with_jitter(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	scratch_write(w.s, "token", "one");
	/* 1,000 s of life from WALL0 */
	struct credential_exec_conf exec = plugin(
	        w.s, "p", "{\"token\":\"TOKEN\",\"expirationTimestamp\":\"2026-11-24T10:16:40Z\"}");
	struct credential_conf conf = {.user = "u", .exec = &exec};
	w.source = open_source(&w, &conf);
	assert_ptr_equal(wait_news(&w), w.source);
	struct credential *c = credential_source_get(w.source);
	assert_int_equal(c->expires_s, WALL0 + 1000);
	credential_put(&c);
	scratch_write(w.s, "token", "two");
	advance(&w, 800 * S - 1);
	assert_int_equal(runs(w.s), 1);
	advance(&w, 100 * S + 20000001);
	assert_ptr_equal(wait_news(&w), w.source);
	assert_int_equal(runs(w.s), 2);
	authorization_is(w.source, "Bearer two");
	world_close(&w);
}

static void exec_answer_that_has_ended_is_an_error(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_exec_conf exec = plugin(
	        w.s, "p", "{\"token\":\"t\",\"expirationTimestamp\":\"2026-11-24T10:00:00Z\"}");
	struct credential_conf conf = {.user = "u", .exec = &exec};
	w.source = open_source(&w, &conf);
	assert_ptr_equal(wait_news(&w), w.source);
	authorization_is(w.source, NULL);
	assert_int_equal(credential_source_error(w.source)->code, ERR_CRED_EXPIRED);
	error_is(w.source, "ended at 2026-11-24T10:00:00Z; here it is 2026-11-24T10:00:00Z");
	world_close(&w);
	world_open(&w, *state, 0);
	w.wall_s--; /* one second of life is life */
	w.source = open_source(&w, &conf);
	assert_ptr_equal(wait_news(&w), w.source);
	authorization_is(w.source, "Bearer t");
	world_close(&w);
}

static void exec_failure_keeps_the_last_good_and_backs_off(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	scratch_write(w.s, "token", "one");
	struct credential_exec_conf exec = plugin(
	        w.s, "p", "{\"token\":\"TOKEN\",\"expirationTimestamp\":\"2026-11-24T10:16:40Z\"}");
	struct credential_conf conf = {.user = "u", .exec = &exec};
	w.source = open_source(&w, &conf);
	assert_ptr_equal(wait_news(&w), w.source);
	char body[256];
	snprintf(body, sizeof body, "echo x >>%s/runs; echo 'login needed' >&2; exit 2", w.s->dir);
	scratch_script(w.s, "p", body);
	advance(&w, 901 * S);
	uint64_t wait_s = 5;
	for (size_t i = 2; i < 12; i++) {
		assert_ptr_equal(wait_news(&w), w.source);
		assert_int_equal(runs(w.s), i);
		authorization_is(w.source, "Bearer one");
		error_is(w.source, "user \"u\": credential plugin failed: exec: executable /");
		error_is(w.source, "failed with exit code 2: login needed");
		uint64_t due_ns = credential_pool_deadline(w.pool) - w.now_ns;
		if (i < 5 && due_ns > wait_s * S + 20000000)
			fail_msg("%llu ns after failure %zu", (unsigned long long)due_ns, i - 1);
		advance(&w, wait_s * S / 2 - 1); /* half is certain, the rest is jitter */
		assert_int_equal(runs(w.s), i);
		assert_null(credential_pool_pop(w.pool));
		advance(&w, wait_s * S / 2 + 20000001);
		wait_s = wait_s < 320 ? wait_s * 2 : 320;
	}
	/* repaired: the error goes */
	plugin(w.s, "p", "{\"token\":\"new\"}");
	while (credential_source_error(w.source)) {
		wait_news(&w);
		advance(&w, 321 * S);
	}
	authorization_is(w.source, "Bearer new");
	world_close(&w);
}

/* A plugin whose answers live for two seconds is not run all the time; one that fails after it has
 * worked again is tried as soon as one that fails for the first time. */
static void exec_pauses_are_neither_too_short_nor_left_over(void **state)
{
	struct world w;
	char fails[256];
	world_open(&w, *state, 0);
	struct credential_exec_conf exec = plugin(
	        w.s, "p", "{\"token\":\"t\",\"expirationTimestamp\":\"2026-11-24T10:00:02Z\"}");
	struct credential_conf conf = {.user = "u", .exec = &exec};
	w.source = open_source(&w, &conf);
	assert_ptr_equal(wait_news(&w), w.source);
	assert_in_range(credential_pool_deadline(w.pool), w.now_ns + 5 * S, w.now_ns + 6 * S);
	snprintf(fails, sizeof fails, "echo x >>%s/runs; exit 2", w.s->dir);
	scratch_script(w.s, "p", fails);
	for (unsigned wait_s = 6; wait_s < 50; wait_s *= 2) { /* 5, 10, 20 s */
		advance(&w, wait_s * S);
		assert_ptr_equal(wait_news(&w), w.source);
	}
	plugin(w.s, "p", "{\"token\":\"t\",\"expirationTimestamp\":\"2026-11-24T10:16:40Z\"}");
	advance(&w, 50 * S);
	assert_ptr_equal(wait_news(&w), w.source);
	error_is(w.source, NULL);
	scratch_script(w.s, "p", fails);
	advance(&w, 901 * S);
	assert_ptr_equal(wait_news(&w), w.source);
	error_is(w.source, "exit code 2");
	assert_true(credential_pool_deadline(w.pool) <= w.now_ns + 5 * S + 20000000);
	world_close(&w);
}

static void exec_that_hangs_blocks_only_its_user(void **state)
{
	struct world w;
	world_open(&w, *state, 2);
	struct credential_exec_conf hangs = {
	        .command = scratch_script(w.s, "hangs", "exec sleep 1000"),
	        .api_version = "client.authentication.k8s.io/v1"};
	struct credential_exec_conf works = plugin(w.s, "works", "{\"token\":\"t\"}");
	struct credential_conf conf = {.user = "hangs", .exec = &hangs};
	w.source = open_source(&w, &conf);
	conf = (struct credential_conf){.user = "works", .exec = &works};
	struct credential_source *second = open_source(&w, &conf);
	assert_ptr_equal(wait_news(&w), second);
	authorization_is(second, "Bearer t");
	assert_true(credential_pool_deadline(w.pool) <= T0 + 30 * S);
	advance(&w, 30 * S - 1);
	error_is(w.source, NULL);
	advance(&w, 20000001);
	assert_ptr_equal(wait_news(&w), w.source);
	error_is(w.source, "did not end within 30 s and was killed");
	credential_source_close(&second);
	world_close(&w);
}

static void exec_runs_are_bounded_and_take_turns(void **state)
{
	enum { N = 12, MAX = 2 };
	struct world w;
	world_open(&w, *state, MAX);
	struct credential_source *sources[N];
	struct credential_exec_conf execs[N];
	char names[N][16], body[512], status[N][64];
	/* each waits at a FIFO until the test lets it go, so how many run at once can be seen */
	assert_int_equal(mkfifo(scratch_path(w.s, "gate"), 0600), 0);
	int gate = open(scratch_path(w.s, "gate"), O_RDWR | O_CLOEXEC);
	assert_true(gate >= 0);
	for (int i = 0; i < N; i++) {
		snprintf(names[i], sizeof names[i], "p%d", i);
		snprintf(status[i], sizeof status[i], "{\"token\":\"t%d\"}", i);
		execs[i] = plugin(w.s, names[i], status[i]);
		snprintf(body, sizeof body,
		        "echo x >>%s/runs; head -c 1 %s/gate >/dev/null; "
		        "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\",\"status\":%s}'",
		        w.s->dir, w.s->dir, "client.authentication.k8s.io/v1", status[i]);
		execs[i].command = scratch_script(w.s, names[i], body);
		struct credential_conf conf = {.user = names[i], .exec = &execs[i]};
		sources[i] = open_source(&w, &conf);
	}
	for (int i = 0; i < N; i++) {
		assert_true(runs(w.s) <= (size_t)i + MAX);
		assert_int_equal(write(gate, "x", 1), 1);
		struct credential *c = credential_source_get(wait_news(&w));
		assert_non_null(c);
		credential_put(&c);
	}
	for (int i = 0; i < N; i++)
		credential_source_close(&sources[i]);
	close(gate);
	world_close(&w);
}

static void exec_sources_that_are_equal_are_one(void **state)
{
	struct world w;
	world_open(&w, *state, 0);
	struct credential_exec_conf a = plugin(w.s, "p", "{\"token\":\"t\"}"), b = a;
	const char *args[] = {"x"};
	struct credential_conf conf = {.user = "a", .exec = &a};
	w.source = open_source(&w, &conf);
	assert_ptr_equal(wait_news(&w), w.source);
	conf.user = "b";
	struct credential_source *same = open_source(&w, &conf);
	assert_ptr_equal(same, w.source);
	assert_ptr_equal(credential_pool_pop(w.pool), same); /* the newcomer learns at once */
	authorization_is(same, "Bearer t");
	b.args = args;
	b.arg_count = 1;
	conf.exec = &b;
	struct credential_source *others[4];
	others[0] = open_source(&w, &conf);
	b = a;
	b.cluster_info = "{}";
	others[1] = open_source(&w, &conf);
	for (int i = 0; i < 2; i++) { /* the value is the same, the variable is not */
		struct credential_env env = {i ? "TWO" : "ONE", "value"};
		b = a;
		b.env = &env;
		b.env_count = 1;
		others[2 + i] = open_source(&w, &conf);
	}
	for (int i = 0; i < 4; i++) {
		assert_ptr_not_equal(others[i], w.source);
		for (int k = 0; k < i; k++)
			assert_ptr_not_equal(others[i], others[k]);
	}
	for (int i = 0; i < 4; i++)
		credential_source_close(&others[i]);
	credential_source_close(&same);
	authorization_is(w.source, "Bearer t"); /* one user is left */
	world_close(&w);
}

static void exec_policy_and_missing_programs_are_news(void **state)
{
	struct world w;
	world_open(&w, *state, 1);
	struct credential_exec_conf exec = {.command = "no-such-plugin-here",
	        .install_hint = "see docs",
	        .api_version = "client.authentication.k8s.io/v1"};
	struct credential_conf conf = {.user = "u", .exec = &exec};
	w.source = open_source(&w, &conf);
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	error_is(w.source, "no-such-plugin-here not found; see docs");
	credential_source_close(&w.source);
	struct exec_policy deny = {.mode = EXEC_POLICY_DENY_ALL};
	credential_pool_set_policy(w.pool, &deny, w.now_ns);
	exec = plugin(w.s, "p", "{\"token\":\"t\"}");
	w.source = open_source(&w, &conf);
	assert_int_equal(credential_source_error(w.source)->code, ERR_DENIED);
	assert_int_equal(runs(w.s), 0);
	assert_ptr_equal(credential_pool_pop(w.pool), w.source);
	credential_pool_set_policy(w.pool, &deny, w.now_ns); /* the same: it has its back-off */
	assert_true(credential_pool_deadline(w.pool) > w.now_ns);
	struct exec_policy allow = {.mode = EXEC_POLICY_ALLOW_ALL};
	credential_pool_set_policy(w.pool, &allow, w.now_ns);
	assert_true(credential_pool_deadline(w.pool) <= w.now_ns);
	advance(&w, S / 10);
	assert_ptr_equal(wait_news(&w), w.source);
	authorization_is(w.source, "Bearer t");
	world_close(&w);
}

static void closing_a_running_source_frees_its_place(void **state)
{
	struct world w;
	world_open(&w, *state, 1);
	struct credential_exec_conf hangs = {
	        .command = scratch_script(w.s, "hangs", "exec sleep 1000"),
	        .api_version = "client.authentication.k8s.io/v1"};
	struct credential_exec_conf works = plugin(w.s, "works", "{\"token\":\"t\"}");
	struct credential_conf conf = {.user = "hangs", .exec = &hangs};
	struct credential_source *first = open_source(&w, &conf);
	conf.exec = &works;
	w.source = open_source(&w, &conf);
	assert_int_equal(runs(w.s), 0);
	assert_true(credential_pool_deadline(w.pool) > w.now_ns);
	credential_source_close(&first);
	assert_int_equal(credential_pool_deadline(w.pool), 0);
	advance(&w, 0);
	assert_ptr_equal(wait_news(&w), w.source);
	authorization_is(w.source, "Bearer t");
	world_close(&w);
}

static int group_setup(void **state)
{
	(void)state;
	scratch_pair_make(&pair, 2000000000);
	scratch_pair_make(&other, 2000000000);
	return 0;
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(static_parts_are_there_at_once),
	        SCRATCH_TEST(references_outlive_the_source),
	        SCRATCH_TEST(references_are_counted_across_threads),
	        SCRATCH_TEST(token_file_is_trimmed_and_wins_over_token),
	        SCRATCH_TEST(token_file_rotates_within_50_s),
	        SCRATCH_TEST(token_file_error_keeps_the_last_good_token),
	        SCRATCH_TEST(token_file_that_is_missing_at_first_appears_later),
	        SCRATCH_TEST(a_401_reads_the_token_file_at_once_and_once),
	        SCRATCH_TEST(a_refresh_without_change_is_news_too),
	        SCRATCH_TEST(certificate_files_rotate_only_as_a_pair),
	        SCRATCH_TEST(certificate_file_that_is_missing_is_named),
	        SCRATCH_TEST(certificate_in_the_kubeconfig_is_checked_before_use),
	        SCRATCH_TEST(exec_credential_is_kept_without_expiry),
	        SCRATCH_TEST(exec_refreshes_before_expiry_with_jitter),
	        SCRATCH_TEST(exec_answer_that_has_ended_is_an_error),
	        SCRATCH_TEST(exec_failure_keeps_the_last_good_and_backs_off),
	        SCRATCH_TEST(exec_pauses_are_neither_too_short_nor_left_over),
	        SCRATCH_TEST(exec_that_hangs_blocks_only_its_user),
	        SCRATCH_TEST(exec_runs_are_bounded_and_take_turns),
	        SCRATCH_TEST(exec_sources_that_are_equal_are_one),
	        SCRATCH_TEST(exec_policy_and_missing_programs_are_news),
	        SCRATCH_TEST(closing_a_running_source_frees_its_place),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
