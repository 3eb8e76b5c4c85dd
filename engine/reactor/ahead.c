#include "reactor/ahead.h"

#include <string.h>

#include "base/fetch.h"
#include "reactor/core.h"
#include "reactor/feed_body.h"
#include "wire/tls.h"
#include "json/shape.h"

enum { AHEAD_EVENTS_BYTES_MAX = 8192, AHEAD_SIZE_LINE_BYTES = 16 };
_Static_assert((int)IO_AHEAD_MAX <= (int)STORE_TRACES_MAX, "a trace for each");
_Static_assert(TLS_FETCH_STEPS == 4, "ahead_fetch takes each");

static const struct conn *conn_of(const struct io_ahead *a)
{
	return CONTAINER_OF(a->s, struct conn, sock);
}

/* The list that this connection feeds; NULL: it feeds none now. */
static const struct feed *feed_of(const struct conn *c)
{
	return c->state == CONN_OPEN && c->user->on_body == feed_on_body ? c->arg : NULL;
}

static void fetch_feed(const struct feed *f)
{
	fetch(&f->conn, 1);
	fetch(&f->timer, 1);
	fetch(&f->watch, offsetof(struct watch, rv) + 64);
	fetch(&f->watch.deadline_ns, 128);
	fetch(&f->list, 128);
	fetch(&f->events, 1);
	fetch(&f->cluster->reactor, 1);
	fetch(&f->cluster->budget, sizeof f->cluster->budget);
}

/* Where servers send an event a chunk: the event behind the line with its size. Of more than a few
 * events feed_body.c takes care itself. */
static struct span event_of(const struct conn *c, struct span data)
{
	size_t n = data.n < AHEAD_SIZE_LINE_BYTES ? data.n : AHEAD_SIZE_LINE_BYTES;
	const char *p = n > 0 && data.n <= AHEAD_EVENTS_BYTES_MAX && !c->tls && !c->ws
	                        ? memchr(data.p, '{', n)
	                        : NULL;
	return p ? (struct span){p, data.n - (size_t)(p - data.p)} : SPAN_NONE;
}

static void fetch_tls(const struct io_ahead *a, size_t n, unsigned step)
{
	for (size_t i = 0; i < n; i++)
		if (conn_of(&a[i])->tls)
			tls_fetch(conn_of(&a[i])->tls, step);
}

void ahead_fetch(struct reactor *r, const struct io_ahead *a, size_t n)
{
	const struct feed *feeds[IO_AHEAD_MAX];
	struct store_trace traces[IO_AHEAD_MAX];
	memset(r->ahead_events, 0, sizeof r->ahead_events);
	for (size_t i = 0; i < n; i++)
		fetch(conn_of(&a[i]), sizeof(struct conn));
	for (size_t i = 0; i < n; i++)
		if ((feeds[i] = feed_of(conn_of(&a[i]))))
			fetch_feed(feeds[i]);
	fetch_tls(a, n, 0);
	for (size_t i = 0; i < n; i++)
		if (feeds[i])
			store_trace_list(feeds[i]->list);
	fetch_tls(a, n, 1);
	for (size_t i = 0; i < n; i++)
		if (feeds[i])
			store_trace_row(feeds[i]->list);
	fetch_tls(a, n, 2);
	for (size_t i = 0; i < n; i++) {
		struct span event = event_of(conn_of(&a[i]), a[i].data), namespace_, name;
		traces[i] = (struct store_trace){0};
		if (!feeds[i] || event.n == 0)
			continue;
		if (!json_shape_key(event, &namespace_, &name))
			continue;
		store_trace_begin(feeds[i]->list, namespace_, name, &traces[i]);
		r->ahead_events[i] = event.p;
	}
	fetch_tls(a, n, 3);
	store_trace_rest(traces, n);
}

bool ahead_has(const struct reactor *r, const char *event)
{
	for (size_t i = 0; i < IO_AHEAD_MAX; i++)
		if (r->ahead_events[i] == event)
			return true;
	return false;
}
