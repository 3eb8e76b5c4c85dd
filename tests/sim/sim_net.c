#include "sim/sim_net.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { SIM_BASE_ADDRESS = 0x0A000000, SIM_TURN_BYTES = 65536 };

struct piece {
	struct list link;
	uint64_t at_ns;
	size_t n;
	char data[];
};

enum sim_state { SIM_CONNECTING, SIM_OPEN, SIM_ENDED, SIM_CLOSING };

/* Owner: the net. Life: io_connect to on_closed. */
struct sim_sock {
	struct list link;
	struct io_sock *io;
	struct model_conn *peer; /* own, NULL before the connection is up or after its end */
	uint32_t cluster;
	enum sim_state state;
	uint64_t event_ns; /* when on_connect, on_end or on_closed is due; UINT64_MAX: not */
	err_t event_err;
	bool sent_due, end_queued;
	uint64_t last_in_ns, last_out_ns; /* arrival of the newest piece of each direction */
	struct list to_client, to_server; /* struct piece */
};

static struct sim_net *net_of(struct io *io)
{
	return CONTAINER_OF(io, struct sim_net, io);
}

static uint64_t latency(struct sim_net *n)
{
	return n->options.latency_min_ns +
	       prng_below(&n->rng, n->options.latency_max_ns - n->options.latency_min_ns + 1);
}

static struct sim_sock *sock_of(struct sim_net *n, const struct io_sock *s)
{
	LIST_EACH (it, &n->socks) {
		struct sim_sock *k = CONTAINER_OF(it, struct sim_sock, link);
		if (k->io == s)
			return k;
	}
	return NULL;
}

static void push_piece(struct list *l, const char *data, size_t n, uint64_t at_ns)
{
	struct piece *p = malloc(sizeof *p + n);
	CHECK(p);
	p->at_ns = at_ns;
	p->n = n;
	memcpy(p->data, data, n);
	list_push(l, &p->link);
}

static void drop_pieces(struct list *l)
{
	for (struct list *it; (it = list_pop(l));)
		free(CONTAINER_OF(it, struct piece, link));
}

/* --- struct io_ops ------------------------------------------------------------------------------
 */

static err_t sim_connect(struct io *io, struct io_sock *s, const struct sockaddr *addr,
        socklen_t bytes, uint64_t timeout_ns)
{
	struct sim_net *n = net_of(io);
	if (n->no_sockets)
		return ERR_LIMIT;
	struct sim_sock *k = calloc(1, sizeof *k);
	const struct sockaddr_in *a = (const void *)addr;
	CHECK(k && bytes == sizeof *a);
	list_init(&k->to_client);
	list_init(&k->to_server);
	k->io = s;
	k->cluster = ntohl(a->sin_addr.s_addr) - SIM_BASE_ADDRESS;
	k->state = SIM_CONNECTING;
	enum sim_reach reach = n->reach[k->cluster];
	k->event_err = reach == SIM_UP        ? ERR_OK
	               : reach == SIM_REFUSED ? ERR_CONN_REFUSED
	                                      : ERR_CONN_TIMEOUT;
	k->event_ns = n->clock->now_ns + (reach == SIM_BLACK_HOLE ? timeout_ns : 2 * latency(n));
	s->impl = 1;
	list_push(&n->socks, &k->link);
	n->connects++;
	return ERR_OK;
}

static err_t sim_send(struct io *io, struct io_sock *s, const void *data, size_t bytes)
{
	struct sim_net *n = net_of(io);
	struct sim_sock *k = sock_of(n, s);
	CHECK(k && !k->sent_due);
	if (k->end_queued && k->event_ns <= n->clock->now_ns) /* io knows it, on_end comes next */
		return k->event_err;
	uint64_t at = n->clock->now_ns + latency(n);
	k->last_out_ns = at > k->last_out_ns ? at : k->last_out_ns;
	push_piece(&k->to_server, data, bytes, k->last_out_ns);
	k->sent_due = true;
	return ERR_OK;
}

static void sim_close(struct io *io, struct io_sock *s)
{
	struct sim_net *n = net_of(io);
	struct sim_sock *k = sock_of(n, s);
	if (!k || k->state == SIM_CLOSING)
		return;
	k->state = SIM_CLOSING;
	k->event_ns = n->clock->now_ns; /* the next tick */
	if (k->peer)
		model_conn_free(&k->peer);
}

static void sim_notify(struct io *io, int eventfd)
{
	(void)io;
	(void)eventfd; /* consumers of the simulation are stepped by the world */
}

static void sim_wake(struct io *io)
{
	net_of(io)->woken = true;
}
static uint64_t sim_clock_ns(struct io *io)
{
	return net_of(io)->clock->now_ns;
}

/* --- the other end -------------------------------------------------------------------------------
 */

static void queue_end(struct sim_net *n, struct sim_sock *k, err_t err)
{
	if (k->end_queued)
		return;
	k->end_queued = true;
	k->event_err = err;
	uint64_t at = n->clock->now_ns + latency(n);
	k->event_ns = at > k->last_in_ns ? at : k->last_in_ns;
	if (k->peer)
		model_conn_free(&k->peer);
}

/* What the server has to say goes on its way, in pieces. */
static void pump(struct sim_net *n, struct sim_sock *k)
{
	uint64_t now = n->clock->now_ns;
	for (int i = 0; i < 4096 && k->peer; i++) {
		struct span s = model_conn_peek(k->peer, now);
		if (!s.n)
			break;
		size_t piece = 1 + prng_below(&n->rng, n->options.piece_max);
		piece = piece < s.n ? piece : s.n;
		uint64_t at = now + latency(n);
		k->last_in_ns = at > k->last_in_ns ? at : k->last_in_ns;
		push_piece(&k->to_client, s.p, piece, k->last_in_ns);
		model_conn_consume(k->peer, piece, now);
	}
	enum model_closed closed = k->peer ? model_conn_closed(k->peer) : MODEL_OPEN;
	if (closed != MODEL_OPEN)
		queue_end(n, k, closed == MODEL_CLOSED_RST ? ERR_CONN_RESET : ERR_CONN_CLOSED);
}

static bool serve(struct sim_net *n, struct sim_sock *k)
{
	uint64_t now = n->clock->now_ns;
	bool did = false;
	while (k->peer && !list_empty(&k->to_server)) {
		struct piece *p = CONTAINER_OF(k->to_server.next, struct piece, link);
		if (p->at_ns > now)
			break;
		list_unlink(&p->link);
		model_conn_feed(k->peer, (struct span){p->data, p->n}, now);
		free(p);
		did = true;
	}
	if (k->peer && model_conn_deadline_ns(k->peer) <= now) {
		model_conn_tick(k->peer, now);
		did = true;
	}
	pump(n, k);
	return did;
}

/* --- deliveries -------------------------------------------------------------------------- */

static int deliver_bytes(struct sim_net *n, struct sim_sock *k)
{
	size_t done = 0;
	int count = 0;
	while (k->state == SIM_OPEN && done < SIM_TURN_BYTES && !list_empty(&k->to_client)) {
		struct piece *p = CONTAINER_OF(k->to_client.next, struct piece, link);
		if (p->at_ns > n->clock->now_ns)
			break;
		list_unlink(&p->link);
		/* An exact allocation with slack behind: reading further is caught by the
		 * sanitizer. */
		char *copy = malloc(p->n + IO_SLACK);
		CHECK(copy);
		memcpy(copy, p->data, p->n);
		memset(copy + p->n, 'x', IO_SLACK);
		done += p->n;
		n->bytes += p->n;
		n->io.counters.recv_bytes += p->n;
		n->io.handlers->on_recv(n->io.owner, k->io, copy, p->n);
		free(copy);
		free(p);
		count++;
	}
	return count;
}

static struct model_conn *peer_of(struct sim_net *n, uint32_t cluster)
{
	uint64_t now = n->clock->now_ns;
	return cluster == SIM_NET_BACKEND
	               ? model_backend_accept(n->backend, now)
	               : model_conn_new(n->server, n->server->clusters[cluster], now);
}

static void connected(struct sim_net *n, struct sim_sock *k)
{
	k->event_ns = UINT64_MAX;
	if (k->cluster == SIM_NET_BACKEND && !model_backend_listens(n->backend, n->clock->now_ns))
		k->event_err = ERR_CONN_REFUSED;
	if (!k->event_err) {
		k->state = SIM_OPEN;
		k->peer = peer_of(n, k->cluster);
		CHECK(k->peer);
		model_conn_set_context(k->peer, k);
		pump(n, k);
	} else {
		k->state = SIM_ENDED;
	}
	n->io.handlers->on_connect(n->io.owner, k->io, k->event_err);
}

static int deliver_event(struct sim_net *n, struct sim_sock *k)
{
	if (k->event_ns > n->clock->now_ns)
		return 0;
	if (k->state == SIM_CONNECTING) {
		connected(n, k);
	} else if (k->state == SIM_CLOSING) {
		struct io_sock *s = k->io;
		list_unlink(&k->link);
		drop_pieces(&k->to_client);
		drop_pieces(&k->to_server);
		free(k);
		n->io.handlers->on_closed(n->io.owner, s);
	} else if (k->state == SIM_OPEN && list_empty(&k->to_client)) {
		k->state = SIM_ENDED;
		k->event_ns = UINT64_MAX;
		n->io.handlers->on_end(n->io.owner, k->io, k->event_err);
	} else {
		return 0;
	}
	return 1;
}

static int deliver(struct sim_net *n, struct sim_sock *k)
{
	int count = 0;
	if (k->sent_due && k->state == SIM_OPEN) {
		k->sent_due = false;
		n->io.handlers->on_sent(n->io.owner, k->io);
		count++;
	}
	if (k->state == SIM_OPEN)
		count += serve(n, k);
	count += deliver_bytes(n, k);
	return count + deliver_event(n, k);
}

static int sim_tick(struct io *io, uint64_t deadline_ns)
{
	struct sim_net *n = net_of(io);
	int count = 0;
	io->now_ns = n->clock->now_ns;
	n->wanted_ns = deadline_ns;
	io->counters.ticks++;
	/* Handlers open and close sockets: each pass looks at the list afresh, by position. */
	for (size_t at = 0;; at++) {
		size_t i = 0;
		struct sim_sock *k = NULL;
		LIST_EACH (it, &n->socks) {
			if (i++ == at) {
				k = CONTAINER_OF(it, struct sim_sock, link);
				break;
			}
		}
		if (!k)
			break;
		count += deliver(n, k);
	}
	for (struct model_conn *c; (c = model_conn_next_ready(n->server));)
		pump(n, model_conn_context(c));
	if (n->woken) {
		n->woken = false;
		n->io.handlers->on_wake(n->io.owner);
		count++;
	}
	io->counters.completions += (uint64_t)count;
	return count;
}

static uint64_t sock_next(const struct sim_sock *k)
{
	uint64_t next = k->event_ns;
	if (k->sent_due && k->state == SIM_OPEN)
		return 0;
	if (k->state == SIM_OPEN && !list_empty(&k->to_client)) {
		uint64_t at = CONTAINER_OF(k->to_client.next, struct piece, link)->at_ns;
		next = at < next ? at : next;
	}
	if (k->peer && !list_empty(&k->to_server)) {
		uint64_t at = CONTAINER_OF(k->to_server.next, struct piece, link)->at_ns;
		next = at < next ? at : next;
	}
	if (k->peer && model_conn_deadline_ns(k->peer) < next)
		next = model_conn_deadline_ns(k->peer);
	return next;
}

uint64_t sim_net_next_ns(struct sim_net *n)
{
	uint64_t next = n->woken ? 0 : UINT64_MAX;
	LIST_EACH (it, &n->socks) {
		uint64_t at = sock_next(CONTAINER_OF(it, struct sim_sock, link));
		next = at < next ? at : next;
	}
	return next;
}

void sim_net_cut(struct sim_net *n, uint32_t cluster)
{
	LIST_EACH_SAFE (it, &n->socks) {
		struct sim_sock *k = CONTAINER_OF(it, struct sim_sock, link);
		if ((cluster == SIM_NET_ALL || k->cluster == cluster) && k->state == SIM_OPEN)
			queue_end(n, k, ERR_CONN_RESET);
	}
}

void sim_net_address(uint32_t cluster, struct sockaddr_storage *out, socklen_t *bytes)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	        .sin_port = htons(443),
	        .sin_addr.s_addr = htonl(SIM_BASE_ADDRESS + cluster)};
	memcpy(out, &a, sizeof a);
	*bytes = sizeof a;
}

static void sim_close_all(struct io *io)
{
	(void)io;
}

static const struct io_ops sim_ops = {IO_KIND_SIM, sim_close_all, sim_clock_ns, sim_connect,
        sim_send, sim_close, sim_notify, sim_tick, sim_wake};

void sim_net_init(struct sim_net *n, struct sim_clock *c, struct model_server *s, uint64_t seed,
        const struct sim_net_options *o, const struct io_handlers *handlers, void *owner)
{
	*n = (struct sim_net){.clock = c, .server = s, .rng = {seed}, .options = *o};
	n->io.ops = &sim_ops;
	n->io.handlers = handlers;
	n->io.owner = owner;
	n->io.now_ns = c->now_ns;
	list_init(&n->socks);
}

void sim_net_fini(struct sim_net *n)
{
	CHECK(list_empty(&n->socks));
}
