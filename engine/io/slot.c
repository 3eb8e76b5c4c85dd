#include "io/slot.h"

#include <stdlib.h>

#include "base/check.h"
#include "io/os.h"

bool slot_table_init(
        struct slot_table *t, struct io *io, size_t stride, slot_deliver_fn deliver, unsigned count)
{
	*t = (struct slot_table){.io = io, .stride = stride, .count = count, .deliver = deliver};
	list_init(&t->free);
	list_init(&t->run);
	list_init(&t->connecting);
	t->base = calloc(count, stride);
	if (!t->base)
		return false;
	io->sockets_max = count;
	for (uint32_t i = 1; i <= count; i++) {
		struct slot *x = slot_at(t, i);
		x->index = i;
		list_init(&x->aux);
		list_push(&t->free, &x->run);
	}
	return true;
}

void slot_table_share(struct slot_table *t, const struct io_config *c)
{
	if (c->descriptors_max && c->descriptors_max < t->io->sockets_max)
		t->io->sockets_max = c->descriptors_max;
}

void slot_table_fini(struct slot_table *t)
{
	free(t->base);
	t->base = NULL;
}

static void slot_enter(struct slot *x, enum io_sock_state state)
{
	x->state = (uint8_t)state;
	x->s->state = (uint8_t)state;
}

static void slot_watch_connect(struct slot_table *t, struct slot *x)
{
	/* Sorted; timeouts are nearly always equal, so the place is at the end. */
	struct list *at = t->connecting.prev;
	while (at != &t->connecting &&
	        CONTAINER_OF(at, struct slot, aux)->deadline_ns > x->deadline_ns)
		at = at->prev;
	list_push(at->next, &x->aux);
}

struct slot *slot_open(struct slot_table *t, struct io_sock *s, uint64_t timeout_ns)
{
	CHECK(s->impl == 0);
	struct list *n = t->live < t->io->sockets_max ? list_pop(&t->free) : NULL;
	if (!n)
		return NULL;
	struct slot *x = CONTAINER_OF(n, struct slot, run);
	if (timeout_ns == 0)
		timeout_ns = (uint64_t)IO_CONNECT_TIMEOUT_S * 1000000000u;
	x->s = s;
	x->deadline_ns = os_clock_ns() + timeout_ns;
	x->send_at = NULL;
	x->send_left = 0;
	x->connect_err = x->end_err = ERR_OK;
	x->due = 0;
	x->sending = false;
	s->impl = x->index;
	slot_enter(x, IO_SOCK_CONNECTING);
	slot_watch_connect(t, x);
	t->live++;
	t->io->counters.connects++;
	return x;
}

void slot_release(struct slot_table *t, struct slot *x)
{
	slot_enter(x, IO_SOCK_NONE);
	x->s->impl = 0;
	x->s = NULL;
	x->due = 0;
	x->gen++;
	list_unlink(&x->aux);
	list_unlink(&x->run);
	list_push(&t->free, &x->run);
	t->live--;
}

void slot_due(struct slot_table *t, struct slot *x, enum slot_due what)
{
	if (x->state == IO_SOCK_CLOSING && what != SLOT_CLOSED)
		return;
	x->due |= (uint8_t)what;
	if (list_empty(&x->run))
		list_push(&t->run, &x->run);
}

void slot_connected(struct slot_table *t, struct slot *x, err_t err)
{
	if (x->state != IO_SOCK_CONNECTING)
		return;
	list_unlink(&x->aux);
	slot_enter(x, err == ERR_OK ? IO_SOCK_OPEN : IO_SOCK_ENDED);
	x->connect_err = err;
	slot_due(t, x, SLOT_CONNECT);
}

void slot_ended(struct slot_table *t, struct slot *x, err_t err)
{
	if (x->state != IO_SOCK_OPEN)
		return;
	slot_enter(x, IO_SOCK_ENDED);
	if (x->end_err == ERR_OK)
		x->end_err = err;
	slot_due(t, x, SLOT_END);
}

void slot_send_failed(struct slot_table *t, struct slot *x, err_t err)
{
	x->send_left = 0;
	slot_due(t, x, SLOT_SENT);
	if (x->state == IO_SOCK_OPEN && x->end_err == ERR_OK)
		x->end_err = err;
	/* A dead connection ends the read side by itself, after the last byte; a fault of our own
	 * does not. */
	if (err_class_of(err) == ERR_CLASS_LOCAL)
		slot_ended(t, x, err);
}

err_t slot_send(struct slot_table *t, struct slot *x, const void *data, size_t n, bool *now)
{
	*now = false;
	if (!x)
		return ERR_ARGUMENT;
	CHECK(!x->sending || x->state == IO_SOCK_CLOSING);
	if (x->state == IO_SOCK_ENDED)
		return x->end_err != ERR_OK ? x->end_err : ERR_CONN_CLOSED;
	if (x->state != IO_SOCK_OPEN)
		return ERR_ARGUMENT;
	x->sending = true;
	x->send_at = data;
	x->send_left = n;
	if (n == 0)
		slot_due(t, x, SLOT_SENT);
	*now = n != 0;
	return ERR_OK;
}

void slot_close(struct slot *x)
{
	slot_enter(x, IO_SOCK_CLOSING);
	x->due = 0;
	list_unlink(&x->aux);
	list_unlink(&x->run);
}

void slot_expire(struct slot_table *t, uint64_t now_ns)
{
	while (!list_empty(&t->connecting)) {
		struct slot *x = CONTAINER_OF(t->connecting.next, struct slot, aux);
		if (x->deadline_ns > now_ns)
			return;
		slot_connected(t, x, ERR_CONN_TIMEOUT);
	}
}

uint64_t slot_next_deadline(const struct slot_table *t)
{
	if (list_empty(&t->connecting))
		return UINT64_MAX;
	return CONTAINER_OF(t->connecting.next, struct slot, aux)->deadline_ns;
}

static bool slot_take(struct slot *x, enum slot_due what)
{
	bool due = x->due & what;
	x->due &= (uint8_t)~what;
	return due;
}

/* The handlers of one slot, in the order that io.h promises. A handler may close the socket, which
 * clears x->due; the slot itself cannot go away before its on_closed, the last step. Returns false
 * when the slot was given back. */
static bool slot_run(struct slot_table *t, struct slot *x, size_t *bytes)
{
	const struct io_handlers *h = t->io->handlers;
	void *owner = t->io->owner;
	struct io_sock *s = x->s;
	if (slot_take(x, SLOT_CONNECT))
		h->on_connect(owner, s, x->connect_err);
	if (x->due & SLOT_RECV)
		*bytes += t->deliver(t, x);
	if (slot_take(x, SLOT_SENT)) {
		x->sending = false;
		h->on_sent(owner, s);
	}
	if (!(x->due & SLOT_RECV) && slot_take(x, SLOT_END))
		h->on_end(owner, s, x->end_err);
	if (slot_take(x, SLOT_CLOSED)) {
		t->io->counters.closes++;
		slot_release(t, x);
		h->on_closed(owner, s);
		return false;
	}
	return true;
}

/* Moves all of `from` to the front of `to`. */
static void slot_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	from->next->prev = to;
	list_init(from);
}

static void look_ahead(struct slot_table *t, const struct list *batch)
{
	const struct io_handlers *h = t->io->handlers;
	struct io_ahead a[IO_AHEAD_MAX];
	size_t n = 0, seen = 0;
	if (!t->peek || !h->on_ahead)
		return;
	LIST_EACH (it, batch) {
		struct slot *x = CONTAINER_OF(it, struct slot, run);
		if (x->due & SLOT_RECV)
			a[n++] = (struct io_ahead){x->s, t->peek(t, x)};
		if (++seen == IO_AHEAD_MAX)
			break;
	}
	if (n > 1)
		h->on_ahead(t->io->owner, a, n);
}

int slot_dispatch(struct slot_table *t)
{
	struct list batch;
	list_init(&batch);
	slot_splice(&batch, &t->run); /* what handlers make due waits for the next tick */
	size_t bytes = 0;
	int n = 0;
	for (struct list *it; bytes < IO_TICK_BYTES; n++) {
		if (n % IO_AHEAD_MAX == 0)
			look_ahead(t, &batch);
		if (!(it = list_pop(&batch)))
			break;
		struct slot *x = CONTAINER_OF(it, struct slot, run);
		if (slot_run(t, x, &bytes) && x->due && list_empty(&x->run))
			list_push(t->rounds ? &batch : &t->run, &x->run);
	}
	slot_splice(&t->run, &batch);
	return n;
}
