/* serve.h - the sockets of fakekube: one thread, epoll, one struct model_conn behind each
 * connection.
 *
 * A turn takes what the kernel has, feeds it, sends what the model has to say, and calls due
 * timers. A connection may send 1 MiB per turn, then it is the others' turn. Per idle connection:
 * this struct, the model's (about 350 bytes), and nothing else. */
#ifndef KR_HOST_SERVE_H
#define KR_HOST_SERVE_H

#include "base/list.h"
#include "host/sends.h"
#include "host/tls.h"
#include "model/model_backend.h"

/* Anything that waits on a descriptor. First member of whoever embeds it. */
struct serve_source {
	void (*on_ready)(struct serve_source *s, uint32_t events);
	int fd;
};

#define SERVE_WHEEL_SLOTS 1024

/* Owner: main. Life: init .. fini. */
struct serve {
	struct serve_source listener;
	struct serve_source front;     /* the backend's; fd -1: nobody listens */
	struct model_backend *backend; /* borrow(until fini); NULL = none */
	uint16_t front_port;
	struct model_server *model;
	SSL_CTX *tls;           /* borrow(until fini); NULL = plain */
	struct sends *sends;    /* own; NULL = one by one */
	unsigned char *records; /* own; SENDS_MAX records of TLS; NULL = OpenSSL makes them */
	int epoll;
	struct list again;                    /* connections that used up their turn */
	struct list dead;                     /* to be freed at the end of the turn */
	struct list wheel[SERVE_WHEEL_SLOTS]; /* by deadline, in ticks of 8 ms */
	struct list all;
	uint64_t wheel_at, now_ns;
	uint64_t accepted, refused, handshakes;
	unsigned backlog;  /* connections that may wait in the kernel: net.core.somaxconn */
	size_t blocked;    /* connections whose socket takes no more */
	bool listener_off; /* there was no descriptor left: until one is closed */
};

uint64_t serve_clock_ns(void); /* CLOCK_MONOTONIC */

/* False: a message was printed. */
bool serve_init(
        struct serve *s, struct model_server *model, SSL_CTX *tls, const char *bind, uint16_t port);
void serve_fini(struct serve *s);
/* What is sent over TLS is sealed here (seal.h). Before the first connection. */
void serve_own_records(struct serve *s);
uint16_t serve_port(const struct serve *s);
/* A backend on a port of 127.0.0.1 (0 = a free one), plain HTTP. Its restarts close the port for as
 * long as they take. False: a message was printed. */
bool serve_backend(struct serve *s, struct model_backend *b, uint16_t port);
/* The descriptor is watched for input from now on. False: the kernel refused. */
bool serve_watch(struct serve *s, struct serve_source *src);
/* What it is watched for, from then on: EPOLLIN, EPOLLOUT. */
void serve_interest(struct serve *s, struct serve_source *src, uint32_t events);

/* One turn: waits until something is ready or until_ns has come. */
void serve_turn(struct serve *s, uint64_t until_ns);
/* Sends what the last writes to clusters and commands to the backend have made ready. */
void serve_flush_ready(struct serve *s);

/* All that was to be sent has been handed to the sockets. */
bool serve_drained(const struct serve *s);

/* Cuts the connections that are busy with that cluster (NULL: any) and resource (NULL: any), those
 * of the backend to it as well. Returns how many. */
size_t serve_cut(struct serve *s, const struct model_cluster *c, const struct model_kind *k,
        enum model_closed how);

#endif
