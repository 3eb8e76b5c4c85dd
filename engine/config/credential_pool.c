#include "config/credential_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"

enum { CREDENTIAL_POOL_EVENTS = 16 };

err_t credential_pool_new(const struct credential_pool_conf *conf, uint64_t now_ns,
        struct credential_pool **out, struct errmsg *m)
{
	struct credential_pool *p = calloc(1, sizeof *p);
	*out = NULL;
	if (!p)
		return errmsg_set(m, ERR_NO_MEMORY, "pool of credentials");
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll_fd < 0) {
		free(p);
		return errmsg_set(m, ERR_IO, "epoll_create1: %s", strerror(errno));
	}
	p->conf = *conf;
	if (p->conf.exec_timeout_ns == 0)
		p->conf.exec_timeout_ns = CREDENTIAL_EXEC_TIMEOUT_NS;
	if (p->conf.running_max == 0)
		p->conf.running_max = CREDENTIAL_RUNNING_MAX;
	p->prng.s = conf->seed;
	p->exec_seed = prng_next(&p->prng);
	list_init(&p->sources);
	list_init(&p->waiting);
	list_init(&p->news);
	wheel_init(&p->wheel, now_ns);
	*out = p;
	return ERR_OK;
}

void credential_pool_free(struct credential_pool **pp)
{
	struct credential_pool *p = *pp;
	if (!p)
		return;
	CHECK(list_empty(&p->sources));
	close(p->epoll_fd);
	hash_index_fini(&p->by_exec);
	free(p);
	*pp = NULL;
}

void credential_pool_set_policy(
        struct credential_pool *p, const struct exec_policy *policy, uint64_t now_ns)
{
	bool same = exec_policy_equal(&p->conf.policy, policy);
	p->conf.policy = *policy;
	LIST_EACH (it, &p->sources)
		if (!same)
			credential_source_on_policy(
			        CONTAINER_OF(it, struct credential_source, link), now_ns);
}

int credential_pool_fd(const struct credential_pool *p)
{
	return p->epoll_fd;
}

uint64_t credential_pool_deadline(const struct credential_pool *p)
{
	if (!list_empty(&p->waiting) && p->running < p->conf.running_max)
		return 0; /* a source that was closed has left a place */
	return wheel_next_ns(&p->wheel);
}

bool credential_pool_watch(struct credential_source *s)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
	int fd = credential_exec_fd(s->run);
	return epoll_ctl(s->pool->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

void credential_pool_push_news(struct credential_source *s)
{
	if (list_empty(&s->news))
		list_push(&s->pool->news, &s->news);
}

struct credential_source *credential_pool_pop(struct credential_pool *p)
{
	struct list *n = list_pop(&p->news);
	return n ? CONTAINER_OF(n, struct credential_source, news) : NULL;
}

/* Starts waiting plugins while there are places. One that cannot be started leaves its place to the
 * next. */
static void credential_pool_fill(struct credential_pool *p, uint64_t now_ns)
{
	while (p->running < p->conf.running_max) {
		struct list *n = list_pop(&p->waiting);
		if (!n)
			return;
		struct credential_source *s = CONTAINER_OF(n, struct credential_source, waiting);
		credential_source_run(s, now_ns);
		if (s->run)
			p->running++;
	}
}

void credential_pool_start(struct credential_source *s, uint64_t now_ns)
{
	if (s->run || !list_empty(&s->waiting))
		return;
	list_push(&s->pool->waiting, &s->waiting);
	credential_pool_fill(s->pool, now_ns);
}

void credential_pool_ended(struct credential_pool *p, uint64_t now_ns)
{
	CHECK(p->running > 0);
	p->running--;
	credential_pool_fill(p, now_ns);
}

void credential_pool_on_readable(struct credential_pool *p, uint64_t now_ns, int64_t wall_s)
{
	struct epoll_event events[CREDENTIAL_POOL_EVENTS];
	int n = epoll_wait(p->epoll_fd, events, CREDENTIAL_POOL_EVENTS, 0);
	for (int i = 0; i < n; i++) {
		struct credential_source *s = events[i].data.ptr;
		if (s->run)
			credential_source_on_run(s, now_ns, wall_s);
	}
}

void credential_pool_on_timer(struct credential_pool *p, uint64_t now_ns, int64_t wall_s)
{
	credential_pool_fill(p, now_ns);
	for (struct wheel_timer *t; (t = wheel_pop(&p->wheel, now_ns)) != NULL;) {
		struct wheel_timer *first = t - t->kind;
		struct credential_work *w = CONTAINER_OF(first, struct credential_work, timers);
		credential_source_on_timer(
		        w->source, (enum credential_timer)t->kind, now_ns, wall_s);
	}
}
