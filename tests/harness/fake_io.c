#include "harness/fake_io.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum fake_event_type { FAKE_CONNECTED, FAKE_BYTES, FAKE_END };

struct fake_event {
	struct list link;
	enum fake_event_type type;
	err_t err;
	size_t n;
	char data[];
};

static struct fake_io *fake_of(struct io *io)
{
	return CONTAINER_OF(io, struct fake_io, io);
}

static struct fake_sock *sock_of(struct io *io, const struct io_sock *s)
{
	LIST_EACH (it, &fake_of(io)->socks) {
		struct fake_sock *k = CONTAINER_OF(it, struct fake_sock, link);
		if (k->sock == s)
			return k;
	}
	return NULL;
}

/* --- struct io_ops --------------------------------------------------------------------------- */

static err_t fake_connect(struct io *io, struct io_sock *s, const struct sockaddr *addr,
        socklen_t addr_len, uint64_t timeout_ns)
{
	struct fake_io *f = fake_of(io);
	err_t err = f->connect_err;
	(void)timeout_ns;
	f->connect_err = ERR_OK;
	f->connects++;
	if (err)
		return err;
	struct fake_sock *k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NO_MEMORY;
	CHECK(addr_len <= sizeof k->address && !sock_of(io, s));
	k->io = f;
	k->sock = s;
	memcpy(&k->address, addr, addr_len);
	list_init(&k->events);
	list_push(&f->socks, &k->link);
	return ERR_OK;
}

static err_t fake_send(struct io *io, struct io_sock *s, const void *data, size_t n)
{
	struct fake_io *f = fake_of(io);
	struct fake_sock *k = sock_of(io, s);
	CHECK(k && k->open && !k->closing && !k->sending && n > 0);
	err_t err = f->send_err;
	f->send_err = ERR_OK;
	if (err)
		return err;
	k->sent = realloc(k->sent, k->sent_bytes + n + 1);
	CHECK(k->sent);
	memcpy(k->sent + k->sent_bytes, data, n);
	k->sent_bytes += n;
	k->sent[k->sent_bytes] = 0;
	k->sending = true;
	return ERR_OK;
}

static void fake_close(struct io *io, struct io_sock *s)
{
	struct fake_sock *k = sock_of(io, s);
	if (k)
		k->closing = true;
}

static void fake_notify(struct io *io, int eventfd)
{
	(void)eventfd;
	fake_of(io)->notifies++;
}

static void fake_wake(struct io *io)
{
	fake_of(io)->wakes++;
}

static uint64_t fake_clock_ns(struct io *io)
{
	return fake_of(io)->now_ns;
}

static void fake_close_all(struct io *io)
{
	(void)io;
}

/* --- the tick ----------------------------------------------------------------------------------
 */

static void drop_events(struct fake_sock *k)
{
	for (struct list *it; (it = list_pop(&k->events));)
		free(CONTAINER_OF(it, struct fake_event, link));
}

static void happen(struct fake_sock *k, struct fake_event *e)
{
	struct io *io = &k->io->io;
	char *copy;
	switch (e->type) {
	case FAKE_CONNECTED:
		k->open = !e->err;
		io->handlers->on_connect(io->owner, k->sock, e->err);
		break;
	case FAKE_BYTES:
		CHECK(k->open);
		/* An exact allocation: reading behind the slack is caught by the sanitizer. */
		copy = malloc(e->n + IO_SLACK);
		CHECK(copy);
		memcpy(copy, e->data, e->n);
		memset(copy + e->n, 'x', IO_SLACK);
		io->handlers->on_recv(io->owner, k->sock, copy, e->n);
		free(copy);
		break;
	case FAKE_END: io->handlers->on_end(io->owner, k->sock, e->err); break;
	}
	free(e);
}

static void run_sock(struct fake_sock *k)
{
	struct io *io = &k->io->io;
	if (k->sending && !k->hold_sent && !k->closing) {
		k->sending = false;
		io->handlers->on_sent(io->owner, k->sock);
	}
	for (struct list *it; !k->closing && (it = list_pop(&k->events));)
		happen(k, CONTAINER_OF(it, struct fake_event, link));
}

static void forget(struct fake_sock *k)
{
	struct io *io = &k->io->io;
	struct io_sock *s = k->sock;
	list_unlink(&k->link);
	drop_events(k);
	if (k->sent)
		memset(k->sent, 0, k->sent_bytes); /* tests look at what others leave behind */
	free(k->sent);
	free(k);
	io->handlers->on_closed(io->owner, s);
}

static int fake_tick(struct io *io, uint64_t deadline_ns)
{
	struct fake_io *f = fake_of(io);
	struct list now;
	list_init(&now);
	io->now_ns = f->now_ns;
	io->counters.ticks++;
	f->wanted_ns = deadline_ns;
	/* Sockets that are made inside have their turn in the next tick, those closed inside too.
	 */
	for (struct list *it; (it = list_pop(&f->socks));)
		list_push(&now, it);
	for (struct list *it; (it = list_pop(&now));) {
		struct fake_sock *k = CONTAINER_OF(it, struct fake_sock, link);
		bool gone = k->closing && !f->hold_closed;
		list_push(&f->socks, it);
		if (gone)
			forget(k);
		else if (!k->closing)
			run_sock(k);
	}
	return 0;
}

static const struct io_ops fake_ops = {IO_KIND_SIM, fake_close_all, fake_clock_ns, fake_connect,
        fake_send, fake_close, fake_notify, fake_tick, fake_wake};

/* --- the script --------------------------------------------------------------------------------
 */

void fake_io_init(struct fake_io *f, const struct io_handlers *handlers, void *owner)
{
	*f = (struct fake_io){.now_ns = 1000000000000};
	f->io = (struct io){
	        .ops = &fake_ops, .handlers = handlers, .owner = owner, .now_ns = f->now_ns};
	list_init(&f->socks);
}

void fake_io_fini(struct fake_io *f)
{
	CHECK(list_empty(&f->socks));
}

struct fake_sock *fake_io_sock(const struct fake_io *f, unsigned i)
{
	LIST_EACH (it, &f->socks) {
		struct fake_sock *k = CONTAINER_OF(it, struct fake_sock, link);
		if (!k->closing && i-- == 0)
			return k;
	}
	return NULL;
}

unsigned fake_io_count(const struct fake_io *f)
{
	unsigned n = 0;
	while (fake_io_sock(f, n))
		n++;
	return n;
}

static void queue(struct fake_sock *s, enum fake_event_type type, err_t err, struct span data)
{
	CHECK(s);
	struct fake_event *e = malloc(sizeof *e + data.n);
	CHECK(e);
	e->type = type;
	e->err = err;
	e->n = data.n;
	if (data.n)
		memcpy(e->data, data.p, data.n);
	list_push(&s->events, &e->link);
}

void fake_io_connected(struct fake_sock *s, err_t err)
{
	queue(s, FAKE_CONNECTED, err, SPAN_NONE);
}

void fake_io_bytes(struct fake_sock *s, const char *text)
{
	queue(s, FAKE_BYTES, ERR_OK, span_of(text));
}

void fake_io_data(struct fake_sock *s, const char *data, size_t n)
{
	queue(s, FAKE_BYTES, ERR_OK, (struct span){data, n});
}

void fake_io_end(struct fake_sock *s, err_t err)
{
	queue(s, FAKE_END, err, SPAN_NONE);
}

void fake_io_sent_clear(struct fake_sock *s)
{
	s->sent_bytes = 0;
	if (s->sent)
		s->sent[0] = 0;
}
