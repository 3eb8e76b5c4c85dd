#include "config/credential_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/file.h"
#include "config/pem.h"
#include "config/rfc3339.h"
#include "config/text.h"

#define SECOND_NS                1000000000ull
#define CREDENTIAL_TOKEN_NS      (50 * SECOND_NS)
#define CREDENTIAL_PEM_NS        (300 * SECOND_NS)
#define CREDENTIAL_FILE_RETRY_NS (10 * SECOND_NS)
#define CREDENTIAL_EXEC_RETRY_NS (5 * SECOND_NS)
#define CREDENTIAL_EXEC_LIFE_NS                                                                    \
	(5 * SECOND_NS) /* a plugin whose answers live shorter is not run more often */
#define CREDENTIAL_REFRESH_NS                                                                      \
	(10 * SECOND_NS) /* a server that answers 401 to everything must not start a plugin per    \
	                    request */

enum {
	CREDENTIAL_CONF_BYTES_MAX = 16 << 20,
	CREDENTIAL_BACKOFF_MAX = 6,                   /* 5 s << 6 = 320 s */
	CREDENTIAL_LIFE_S_MAX = 10 * 365 * 24 * 3600, /* keeps the nanoseconds within 64 bits */
};

/* A time in (90 %, 100 %] of ns from now, so that thousands of sources do not move in step. */
static uint64_t credential_source_jitter(struct credential_source *s, uint64_t ns)
{
	return ns - prng_below(&s->pool->prng, ns / 10);
}

static void credential_source_arm(
        struct credential_source *s, enum credential_timer kind, uint64_t at_ns)
{
	wheel_set(&s->pool->wheel, &s->work->timers[kind], at_ns);
}

/* --- what the parts make ----------------------------------------------------------------- */

static struct span credential_source_or(struct span first, struct span second)
{
	return first.n > 0 ? first : second;
}

static bool credential_source_has_cert(const struct credential_conf *c)
{
	return c->cert_file || c->cert_pem.n > 0;
}

/* Have all the parts that the user needs been there at least once? */
static bool credential_source_is_ready(const struct credential_source *s)
{
	const struct credential_conf *c = &s->conf;
	bool token = !c->token_file || s->work->token.bytes.n > 0 || c->token;
	bool pair = !credential_source_has_cert(c) || s->has_pair;
	return token && pair && (!c->exec || s->has_answer);
}

/* Makes the present credential of what is there; a difference is news. ERR_NO_MEMORY: the old one
 * goes on, and whoever sees to its next refresh sees to another try. */
static err_t credential_source_rebuild(struct credential_source *s)
{
	static const struct credential_work none;
	const struct credential_work *w = s->work ? s->work : &none;
	const struct credential_conf *c = &s->conf;
	if (!credential_source_is_ready(s))
		return ERR_OK;
	struct credential_parts parts = {
	        .token = credential_source_or(w->token.bytes, span_of(c->token)),
	        .username = span_of(c->username),
	        .password = span_of(c->password),
	        .cert_pem = credential_source_or(w->cert.bytes, c->cert_pem),
	        .key_pem = credential_source_or(w->key.bytes, c->key_pem),
	};
	if (c->exec) /* and nothing else */
		parts = (struct credential_parts){
		        .token = w->answer.token,
		        .cert_pem = w->answer.cert_pem,
		        .key_pem = w->answer.key_pem,
		        .expires_s = w->answer.has_expiry ? w->answer.expires_s : 0,
		};
	struct credential *c_new = credential_new(&parts);
	if (c_new && s->current && credential_equal(c_new, s->current)) {
		credential_put(&c_new);
		return ERR_OK;
	}
	if (!c_new)
		return ERR_NO_MEMORY;
	credential_put(&s->current);
	s->current = c_new;
	credential_pool_push_news(s);
	return ERR_OK;
}

/* Where there is no memory for a text: that it failed is known all the same. */
static struct errmsg credential_untold = {ERR_NO_MEMORY, "why a credential failed"};

static void credential_source_forget(struct credential_source *s, enum credential_timer kind)
{
	if (s->errors[kind] != &credential_untold)
		free(s->errors[kind]);
	s->errors[kind] = NULL;
}

/* Most sources never fail: an error is memory of its own. */
static void credential_source_fail(
        struct credential_source *s, enum credential_timer kind, const struct errmsg *m)
{
	struct errmsg *copy = malloc(sizeof *copy);
	if (copy)
		*copy = *m;
	credential_source_forget(s, kind);
	s->errors[kind] = copy ? copy : &credential_untold;
	credential_pool_push_news(s);
}

static void credential_source_succeed(struct credential_source *s, enum credential_timer kind)
{
	if (s->errors[kind]) {
		credential_source_forget(s, kind);
		credential_pool_push_news(s);
	}
}

/* Of what was just read: where there is no memory for it, it is read again at that time. */
static void credential_source_take_over(
        struct credential_source *s, enum credential_timer kind, uint64_t again_ns)
{
	struct errmsg m = {0};
	if (!credential_source_rebuild(s))
		return;
	(void)errmsg_set(&m, ERR_NO_MEMORY, "user \"%.40s\": credential", s->conf.user);
	credential_source_arm(s, kind, again_ns);
	credential_source_fail(s, kind, &m);
}

/* A refresh that was asked for is over when nothing of it is left to do. */
static void credential_source_settle(struct credential_source *s, uint64_t now_ns)
{
	if (!s->asked || s->run || !list_empty(&s->waiting))
		return;
	for (int kind = 0; kind < CREDENTIAL_TIMER_RUN; kind++) {
		uint64_t at_ns = s->work->timers[kind].at_ns;
		if (at_ns <= now_ns || at_ns == s->work->refreshed_ns)
			return;
	}
	s->asked = false;
	credential_pool_push_news(s);
}

/* --- files ------------------------------------------------------------------------------- */

/* Reads path into *part, which must be empty. NULL: fine. */
static const char *credential_part_read(
        struct credential_part *part, const char *path, size_t bytes_max)
{
	struct file_bytes bytes;
	const char *why;
	arena_init(&part->arena, 4 * bytes_max);
	if (file_read(path, bytes_max, &part->arena, &bytes, &why) != ERR_OK) {
		arena_fini(&part->arena);
		return why;
	}
	part->bytes = (struct span){bytes.p, bytes.n};
	return NULL;
}

static void credential_part_fini(struct credential_part *part)
{
	arena_fini(&part->arena);
	*part = (struct credential_part){0};
}

static void credential_part_replace(struct credential_part *part, struct credential_part *by)
{
	credential_part_fini(part);
	*part = *by;
}

static void credential_source_read_token(struct credential_source *s, uint64_t now_ns)
{
	struct credential_part part = {0};
	const char *path = s->conf.token_file;
	const char *wrong = credential_part_read(&part, path, CREDENTIAL_TOKEN_BYTES_MAX);
	if (!wrong) {
		part.bytes = text_trim(part.bytes);
		if (part.bytes.n == 0)
			wrong = "is empty";
		else if (!text_is_header(part.bytes))
			wrong = "has a line break or control character inside the token";
	}
	uint64_t again_ns = wrong ? CREDENTIAL_FILE_RETRY_NS : CREDENTIAL_TOKEN_NS;
	credential_source_arm(
	        s, CREDENTIAL_TIMER_TOKEN, now_ns + credential_source_jitter(s, again_ns));
	if (wrong) {
		struct errmsg m;
		errmsg_set(&m, ERR_CRED_FILE, "user \"%.40s\": tokenFile %.120s: %s", s->conf.user,
		        path, wrong);
		credential_part_fini(&part);
		credential_source_fail(s, CREDENTIAL_TIMER_TOKEN, &m);
		return;
	}
	credential_part_replace(&s->work->token, &part);
	credential_source_succeed(s, CREDENTIAL_TIMER_TOKEN);
	credential_source_take_over(s, CREDENTIAL_TIMER_TOKEN, now_ns + CREDENTIAL_FILE_RETRY_NS);
}

static const char *credential_source_read_pair(
        struct credential_source *s, struct credential_part *cert, struct credential_part *key)
{
	const struct credential_conf *c = &s->conf;
	const char *wrong = NULL;
	if (c->cert_file)
		wrong = credential_part_read(cert, c->cert_file, CREDENTIAL_PEM_BYTES_MAX);
	if (!wrong && c->key_file)
		wrong = credential_part_read(key, c->key_file, CREDENTIAL_PEM_BYTES_MAX);
	if (wrong)
		return wrong;
	return pem_check_pair(credential_source_or(cert->bytes, c->cert_pem),
	        credential_source_or(key->bytes, c->key_pem), NULL);
}

static void credential_source_pem_failed(struct credential_source *s,
        const struct credential_part *cert, const struct credential_part *key, const char *wrong)
{
	const struct credential_conf *c = &s->conf;
	bool files = c->cert_file || c->key_file;
	const char *path = c->cert_file ? c->cert_file : c->key_file;
	if (c->key_file && key->bytes.n == 0 && (!c->cert_file || cert->bytes.n > 0))
		path = c->key_file;
	struct errmsg m;
	errmsg_set(&m, files ? ERR_CRED_FILE : ERR_CONFIG,
	        "user \"%.40s\": client certificate %.120s: %s", c->user,
	        files ? path : "in the kubeconfig", wrong);
	credential_source_fail(s, CREDENTIAL_TIMER_PEM, &m);
}

/* Without files the pair is checked once, here and not in kubeconfig_resolve: see pem.h for why. */
static void credential_source_read_pem(struct credential_source *s, uint64_t now_ns)
{
	struct credential_part cert = {0}, key = {0};
	const char *wrong = credential_source_read_pair(s, &cert, &key);
	uint64_t again_ns = wrong ? CREDENTIAL_FILE_RETRY_NS : CREDENTIAL_PEM_NS;
	if (s->conf.cert_file || s->conf.key_file)
		credential_source_arm(
		        s, CREDENTIAL_TIMER_PEM, now_ns + credential_source_jitter(s, again_ns));
	if (wrong) {
		credential_source_pem_failed(s, &cert, &key, wrong);
		credential_part_fini(&cert);
		credential_part_fini(&key);
		return;
	}
	s->has_pair = true;
	if (s->work) {
		credential_part_replace(&s->work->cert, &cert);
		credential_part_replace(&s->work->key, &key);
	}
	credential_source_succeed(s, CREDENTIAL_TIMER_PEM);
	if (s->conf.cert_file || s->conf.key_file)
		credential_source_take_over(
		        s, CREDENTIAL_TIMER_PEM, now_ns + CREDENTIAL_FILE_RETRY_NS);
}

/* --- exec -------------------------------------------------------------------------------- */

static void credential_source_exec_failed(
        struct credential_source *s, struct errmsg *m, uint64_t now_ns)
{
	uint32_t doublings = s->work->exec_failures < CREDENTIAL_BACKOFF_MAX
	                             ? s->work->exec_failures
	                             : CREDENTIAL_BACKOFF_MAX;
	uint64_t wait_ns = CREDENTIAL_EXEC_RETRY_NS << doublings;
	s->work->exec_failures++;
	credential_source_arm(s, CREDENTIAL_TIMER_EXEC,
	        now_ns + wait_ns / 2 + prng_below(&s->pool->prng, wait_ns / 2));
	errmsg_prefix(m, "user \"%.40s\"", s->conf.user);
	credential_source_fail(s, CREDENTIAL_TIMER_EXEC, m);
}

/* Refresh at 80 to 90 % of the life: a token is looked at when a request starts and not while it
 * runs, so a watch must find a valid one whenever it opens again. */
static void credential_source_plan_exec(
        struct credential_source *s, uint64_t now_ns, int64_t wall_s)
{
	if (!s->work->answer.has_expiry) {
		credential_source_arm(s, CREDENTIAL_TIMER_EXEC, UINT64_MAX);
		return;
	}
	int64_t life_s = s->work->answer.expires_s - wall_s;
	if (life_s > CREDENTIAL_LIFE_S_MAX)
		life_s = CREDENTIAL_LIFE_S_MAX;
	uint64_t life_ns = (uint64_t)life_s * SECOND_NS;
	uint64_t wait_ns = life_ns / 10 * 8 + prng_below(&s->pool->prng, life_ns / 10);
	if (wait_ns < CREDENTIAL_EXEC_LIFE_NS)
		wait_ns = CREDENTIAL_EXEC_LIFE_NS;
	credential_source_arm(s, CREDENTIAL_TIMER_EXEC, now_ns + wait_ns);
}

static err_t credential_source_take(struct credential_source *s, int64_t wall_s, struct errmsg *m)
{
	struct credential_answer answer;
	err_t e = credential_exec_take(s->run, &answer, m);
	if (e != ERR_OK)
		return e;
	if (answer.has_expiry && answer.expires_s <= wall_s) {
		char expiry[RFC3339_BYTES], now[RFC3339_BYTES];
		e = errmsg_set(m, ERR_CRED_EXPIRED,
		        "exec: executable %.80s gave a credential that ended at %s; here it is %s",
		        s->conf.exec->command, rfc3339_format(answer.expires_s, expiry),
		        rfc3339_format(wall_s, now));
		credential_answer_fini(&answer);
		return e;
	}
	credential_answer_fini(&s->work->answer);
	s->work->answer = answer;
	s->has_answer = true;
	return ERR_OK;
}

void credential_source_run(struct credential_source *s, uint64_t now_ns)
{
	struct credential_pool *p = s->pool;
	struct credential_exec_spec spec = {
	        .conf = s->conf.exec,
	        .policy = &p->conf.policy,
	        .environ = p->conf.environ,
	        .timeout_ns = p->conf.exec_timeout_ns,
	};
	struct errmsg m;
	s->work->refreshed_ns = now_ns;
	err_t e = credential_exec_start(&spec, now_ns, &s->run, &m);
	if (e == ERR_OK && !credential_pool_watch(s)) {
		credential_exec_free(&s->run);
		e = errmsg_set(&m, ERR_IO, "epoll_ctl for an exec plugin");
	}
	if (e == ERR_OK) {
		credential_source_arm(s, CREDENTIAL_TIMER_RUN, credential_exec_deadline(s->run));
		return;
	}
	credential_source_exec_failed(s, &m, now_ns);
	credential_source_settle(s, now_ns);
}

static void credential_source_on_end(struct credential_source *s, uint64_t now_ns, int64_t wall_s)
{
	struct errmsg m = {0};
	err_t e = credential_source_take(s, wall_s, &m);
	credential_exec_free(&s->run);
	credential_source_arm(s, CREDENTIAL_TIMER_RUN, UINT64_MAX);
	if (e == ERR_OK) {
		s->work->exec_failures = 0;
		credential_source_plan_exec(s, now_ns, wall_s);
		credential_source_succeed(s, CREDENTIAL_TIMER_EXEC);
		credential_source_take_over(
		        s, CREDENTIAL_TIMER_EXEC, now_ns + CREDENTIAL_EXEC_RETRY_NS);
	} else {
		credential_source_exec_failed(s, &m, now_ns);
	}
	credential_source_settle(s, now_ns);
	credential_pool_ended(s->pool, now_ns);
}

void credential_source_on_run(struct credential_source *s, uint64_t now_ns, int64_t wall_s)
{
	if (credential_exec_on_readable(s->run, now_ns))
		credential_source_on_end(s, now_ns, wall_s);
	else
		credential_source_arm(s, CREDENTIAL_TIMER_RUN, credential_exec_deadline(s->run));
}

void credential_source_on_timer(
        struct credential_source *s, enum credential_timer kind, uint64_t now_ns, int64_t wall_s)
{
	switch (kind) {
	case CREDENTIAL_TIMER_TOKEN: credential_source_read_token(s, now_ns); break;
	case CREDENTIAL_TIMER_PEM: credential_source_read_pem(s, now_ns); break;
	case CREDENTIAL_TIMER_EXEC: credential_pool_start(s, now_ns); break;
	case CREDENTIAL_TIMER_RUN: credential_source_on_run(s, now_ns, wall_s); return;
	case CREDENTIAL_TIMER_COUNT: CHECK(false);
	}
	credential_source_settle(s, now_ns);
}

void credential_source_on_policy(struct credential_source *s, uint64_t now_ns)
{
	if (!s->errors[CREDENTIAL_TIMER_EXEC] || s->run || !list_empty(&s->waiting))
		return;
	s->work->exec_failures = 0;
	credential_source_arm(s, CREDENTIAL_TIMER_EXEC, now_ns);
}

/* --- life -------------------------------------------------------------------------------- */

static struct credential_source *credential_source_find(
        struct credential_pool *p, const struct credential_conf *conf)
{
	if (!conf->exec)
		return NULL;
	uint64_t hash = credential_exec_conf_hash(conf->exec, p->exec_seed);
	struct hash_node *n = hash_index_first(&p->by_exec, hash);
	for (; n; n = hash_index_next(n)) {
		struct credential_source *s = CONTAINER_OF(n, struct credential_source, by_exec);
		if (credential_exec_conf_equal(s->conf.exec, conf->exec))
			return s;
	}
	return NULL;
}

/* Without memory for the index it is found by nobody, and shared with nobody. */
static void credential_source_index(struct credential_source *s)
{
	struct credential_pool *p = s->pool;
	if (!s->conf.exec || hash_index_reserve(&p->by_exec))
		return;
	hash_index_add(
	        &p->by_exec, &s->by_exec, credential_exec_conf_hash(s->conf.exec, p->exec_seed));
	s->in_by_exec = true;
}

/* Is there anything to read or run more than once? */
static bool credential_source_works(const struct credential_conf *c)
{
	return c->token_file || c->cert_file || c->key_file || c->exec;
}

static struct credential_work *credential_work_new(struct credential_source *s)
{
	struct credential_work *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->source = s;
	for (uint32_t kind = 0; kind < CREDENTIAL_TIMER_COUNT; kind++)
		wheel_timer_init(&w->timers[kind], kind);
	return w;
}

static void credential_work_free(struct credential_source *s)
{
	struct credential_work *w = s->work;
	for (int kind = 0; kind < CREDENTIAL_TIMER_COUNT; kind++)
		credential_source_arm(s, (enum credential_timer)kind, UINT64_MAX);
	credential_part_fini(&w->token);
	credential_part_fini(&w->cert);
	credential_part_fini(&w->key);
	credential_answer_fini(&w->answer);
	free(w);
	s->work = NULL;
}

static void credential_source_free(struct credential_source *s)
{
	bool ran = s->run != NULL;
	if (s->work)
		credential_work_free(s);
	list_unlink(&s->link);
	if (s->in_by_exec)
		hash_index_remove(&s->pool->by_exec, &s->by_exec);
	list_unlink(&s->waiting);
	list_unlink(&s->news);
	credential_exec_free(&s->run);
	if (ran)
		s->pool->running--;
	credential_put(&s->current);
	for (int kind = 0; kind < CREDENTIAL_TIMER_RUN; kind++)
		credential_source_forget(s, (enum credential_timer)kind);
	arena_fini(&s->arena);
	free(s);
}

static struct credential_source *credential_source_new(
        struct credential_pool *p, const struct credential_conf *conf)
{
	struct credential_source *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->pool = p;
	list_init(&s->link);
	list_init(&s->waiting);
	list_init(&s->news);
	arena_init(&s->arena, CREDENTIAL_CONF_BYTES_MAX);
	bool works = credential_source_works(conf);
	if (works)
		s->work = credential_work_new(s);
	if ((works && !s->work) || !credential_conf_copy(conf, &s->arena, &s->conf)) {
		credential_source_free(s);
		return NULL;
	}
	if (!s->conf.user)
		s->conf.user = "";
	list_push(&p->sources, &s->link);
	credential_source_index(s);
	return s;
}

err_t credential_source_open(struct credential_pool *p, const struct credential_conf *conf,
        uint64_t now_ns, int64_t wall_s, struct credential_source **out)
{
	struct credential_source *s = credential_source_find(p, conf);
	*out = s;
	if (s) {
		s->users++;
		credential_pool_push_news(s);
		return ERR_OK;
	}
	s = credential_source_new(p, conf);
	if (!s)
		return ERR_NO_MEMORY;
	s->users = 1;
	if (s->conf.token_file)
		credential_source_on_timer(s, CREDENTIAL_TIMER_TOKEN, now_ns, wall_s);
	if (credential_source_has_cert(&s->conf))
		credential_source_on_timer(s, CREDENTIAL_TIMER_PEM, now_ns, wall_s);
	if (s->conf.exec)
		credential_source_on_timer(s, CREDENTIAL_TIMER_EXEC, now_ns, wall_s);
	if (credential_source_rebuild(s) && !credential_source_works(conf)) {
		credential_source_free(s); /* nothing would ever read or run it again */
		return ERR_NO_MEMORY;
	}
	*out = s;
	return ERR_OK;
}

void credential_source_close(struct credential_source **p)
{
	struct credential_source *s = *p;
	*p = NULL;
	if (!s || --s->users > 0)
		return;
	credential_source_free(s);
}

struct credential *credential_source_get(struct credential_source *s)
{
	return s->current ? credential_get(s->current) : NULL;
}

const struct errmsg *credential_source_error(const struct credential_source *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->errors); i++)
		if (s->errors[i])
			return s->errors[i];
	return NULL;
}

bool credential_source_refresh(
        struct credential_source *s, const struct credential *rejected, uint64_t now_ns)
{
	const struct credential_conf *c = &s->conf;
	if (!credential_source_works(c))
		return false;
	if (s->current && s->current != rejected) {
		credential_pool_push_news(s);
		return true;
	}
	if (s->asked)
		return true;
	s->asked = true;
	uint64_t at_ns = now_ns;
	if (s->work->refreshed_ns > 0 && at_ns < s->work->refreshed_ns + CREDENTIAL_REFRESH_NS)
		at_ns = s->work->refreshed_ns + CREDENTIAL_REFRESH_NS;
	s->work->refreshed_ns = at_ns;
	if (c->token_file)
		credential_source_arm(s, CREDENTIAL_TIMER_TOKEN, at_ns);
	if (c->cert_file || c->key_file)
		credential_source_arm(s, CREDENTIAL_TIMER_PEM, at_ns);
	if (c->exec && !s->run && list_empty(&s->waiting))
		credential_source_arm(s, CREDENTIAL_TIMER_EXEC, at_ns);
	return true;
}
