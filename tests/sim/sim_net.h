/* sim_net.h - io.h on a simulated network: sockets whose other end is the API-server model, time
 * that only the world moves, everything drawn from a seed.
 *
 * Bytes arrive in order, cut into pieces at random places and delayed at random, as TCP may.
 * Addresses: 10.0.0.0 + cluster number stands for that cluster, 10.0.0.63 for the Headlamp backend.
 * A cluster can be unreachable (refused or silent). Nothing here waits: a tick delivers what is due
 * now and returns. */
#ifndef KR_TESTS_SIM_NET_H
#define KR_TESTS_SIM_NET_H

#include "base/list.h"
#include "base/prng.h"
#include "io/io.h"
#include "model/model_backend.h"

/* Shared by all nets of one world. */
struct sim_clock {
	uint64_t now_ns;
};

enum {
	SIM_NET_BACKEND = 63, /* the backend's number, where a cluster is asked for */
	SIM_NET_ALL = 64,     /* to sim_net_cut: all of them */
};

enum sim_reach { SIM_UP, SIM_REFUSED, SIM_BLACK_HOLE };

struct sim_net_options {
	uint64_t latency_min_ns, latency_max_ns;
	uint32_t piece_max; /* largest piece handed to on_recv, 1..IO_RECV_BYTES */
};

struct sim_net {
	struct io io; /* first: this is a struct io */
	struct sim_clock *clock;
	struct model_server *server;
	struct model_backend *backend; /* NULL: there is none */
	struct prng rng;
	struct sim_net_options options;
	struct list socks;  /* struct sim_sock */
	uint64_t wanted_ns; /* when the reactor asked to be called again */
	bool woken;
	enum sim_reach reach[64];
	bool no_sockets; /* io_connect() finds none left */
	uint64_t bytes, connects;
};

void sim_net_init(struct sim_net *n, struct sim_clock *c, struct model_server *s, uint64_t seed,
        const struct sim_net_options *o, const struct io_handlers *handlers, void *owner);
void sim_net_fini(struct sim_net *n);
void sim_net_address(uint32_t cluster, struct sockaddr_storage *out, socklen_t *bytes);
/* The earliest time at which something happens in the net by itself; UINT64_MAX: never. */
uint64_t sim_net_next_ns(struct sim_net *n);
/* Cuts every connection of a cluster (reset). */
void sim_net_cut(struct sim_net *n, uint32_t cluster);

#endif
