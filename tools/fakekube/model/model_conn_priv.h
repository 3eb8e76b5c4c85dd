/* model_conn_priv.h - the inside of a connection, for the files that answer requests
 * (model_reply.c, model_answer.c, model_get.c, model_watch.c, model_discovery.c). Everybody else
 * includes model_conn.h. */
#ifndef KR_MODEL_MODEL_CONN_PRIV_H
#define KR_MODEL_MODEL_CONN_PRIV_H

#include "model/model_conn.h"
#include "model/model_render.h"
#include "model/model_request.h"
#include "model/model_selector.h"
#include "model/model_status.h"
#include "model/model_ws.h"

/* An answer is generated until this much waits to be sent. */
#define MODEL_PUMP_BYTES (256 * 1024)

struct z_stream_s;

/* An answer that is generated as it is sent. Owner: the connection. */
enum model_pumped {
	MODEL_PUMP_MORE, /* call again as soon as there is room */
	MODEL_PUMP_WAIT, /* nothing until an event or the deadline */
	MODEL_PUMP_DONE  /* the reply is ended */
};
struct model_answer {
	enum model_pumped (*pump)(struct model_conn *c, struct model_answer *a);
	void (*free)(struct model_conn *c, struct model_answer *a);
	uint64_t deadline_ns; /* UINT64_MAX: none */
	const struct model_kind *kind;
	struct model_cluster *cluster;
	enum model_verb verb;
};

/* The reply that is being written: head and framing (model_reply.c). */
struct model_reply {
	struct model_text pre; /* body, until it is known whether it is short */
	struct z_stream_s *z;  /* own; NULL = not compressed */
	const char *type;      /* static */
	char *fields;          /* own; further header lines, or NULL */
	uint16_t code;
	bool open, head_sent, chunked, may_gzip, gzip_flush, close;
	bool framed; /* a WebSocket: each piece that is written is one text frame */
};

/* A watch over a WebSocket (model_upgrade.c). Owner: the connection. Life: the request .. its end,
 * after which the connection is closed. */
struct model_upgrade {
	char accept[MODEL_WS_ACCEPT_BYTES + 1];
	struct model_text protocol; /* with its NUL; empty: none */
	struct model_ws_in in;
};

/* What hit the request or the connection, and how far it has come. Allocated when the first fault
 * strikes. */
struct model_hits {
	struct model_hit v[MODEL_HITS_MAX];
	size_t count, conn_count;  /* the first conn_count ones belong to the whole connection */
	uint64_t sent, head_bytes; /* of this answer */
	uint64_t base;             /* sent before it on this connection */
	uint64_t until_ns;         /* nothing is sent before */
	bool stalled, silent, deaf;
};

/* What speaks on a connection in place of the API server: model_backend.c. All calls have the time
 * in c->now_ns. */
struct model_speaker {
	/* Reads c->in, writes with model_reply_raw, until there is enough to send or nothing to do.
	 */
	void (*pump)(struct model_conn *c);
	uint64_t (*deadline_ns)(const struct model_conn *c);
	bool (*wants_input)(const struct model_conn *c);
	/* The connection has been cut, or ended: what belongs to it goes. */
	void (*drop)(struct model_conn *c);
	void (*free)(struct model_conn *c); /* and its own memory */
};

/* Owner: the host. Life: new .. free. */
struct model_conn {
	struct model_watcher watcher; /* linked while a watch is open */
	struct list of_cluster;       /* in model_cluster.answering */
	struct model_server *server;
	struct model_cluster *only;
	struct model_answer *answer;            /* own */
	struct model_hits *hits;                /* own */
	struct model_upgrade *upgrade;          /* own; NULL = HTTP only */
	const struct model_speaker *speaker;    /* NULL = an API server */
	void *speaking;                         /* the speaker's; own, through it */
	void (*on_ready)(struct model_conn *c); /* NULL = for model_conn_next_ready */
	struct model_text in, out; /* out: a buffer of the server while there is something in it */
	size_t out_at;
	struct model_reply reply;
	uint64_t now_ns, requests, events;
	void *context;
	char *user; /* own; from the certificate */
	enum model_closed closed;
	bool eof, keep;
	bool mute; /* a cluster that hangs has its request */
};

/* --- model_reply.c: framing --- */

struct model_head {
	unsigned code;
	const char *type;   /* NULL = application/json */
	const char *before; /* header lines that sort before Content-Type, each with CRLF; NULL */
	const char *after;  /* those that sort after it */
	bool may_gzip;      /* compress if the body is over 128 KiB */
	bool stream;        /* head now, chunked */
	bool gzip_stream;   /* one gzip member per flush */
	bool close;         /* Connection: close */
};
void model_reply_begin(struct model_conn *c, const struct model_head *h);
void model_reply_write(struct model_conn *c, const void *p, size_t n);
/* Where to write one piece so that it need not be copied; then model_reply_written. NULL: it goes
 * another way. */
struct model_text *model_reply_in_place(struct model_conn *c);
void model_reply_written(struct model_conn *c);
void model_reply_flush(struct model_conn *c);
void model_reply_end(struct model_conn *c);
void model_reply_abort(struct model_conn *c); /* no terminator; the connection is closed */
/* Bytes past any framing: for faults. */
void model_reply_raw(struct model_conn *c, const void *p, size_t n);
/* A whole answer: begin, write, end. */
void model_reply_whole(struct model_conn *c, const struct model_head *h, struct span body);
void model_reply_status(struct model_conn *c, const struct model_status *s, bool pretty);
/* What is generated and not yet sent. */
static inline size_t model_reply_pending(const struct model_conn *c)
{
	return c->out.n - c->out_at;
}

/* --- a watch over a WebSocket: model_upgrade.c --- */

/* The checks of the upgrade. False: it was refused. True: the stream that is begun next will be a
 * WebSocket if r asks for one. */
bool model_upgrade_admit(struct model_conn *c, const struct model_request *r);
void model_upgrade_head(struct model_conn *c); /* 101 */
/* Reads what the client sends: pings are answered, its close ends the watch, the rest is ignored.
 */
void model_upgrade_read(struct model_conn *c);
void model_upgrade_frame(
        struct model_conn *c, enum model_ws_opcode opcode, const void *p, size_t n);
void model_upgrade_free(struct model_conn *c);

/* --- faults of a request --- */

/* A connection to something else than an API server: fault rules know it as that cluster. */
struct model_conn *model_conn_new_as(
        struct model_server *s, const char *fault_name, uint64_t now_ns);
/* Draws the faults of a request (or of a new connection). */
void model_conn_strike(struct model_conn *c, const struct model_fault_what *w);

/* The hit with that id, or NULL. */
const struct model_hit *model_conn_hit(const struct model_conn *c, enum model_fault_id id);
/* Faults that replace the answer (model_answer_fault.c). True: it was answered. */
bool model_answer_fault(struct model_conn *c, const struct model_request *r);

/* --- answers --- */

/* Answers one request (model_answer.c): writes a whole reply or sets c->answer. */
void model_answer(struct model_conn *c, const struct model_request *r);
/* Discovery, /version, /readyz. True: it was one of them. */
bool model_discovery_answer(
        struct model_conn *c, struct model_cluster *cluster, const struct model_request *r);
void model_not_found_page(struct model_conn *c);
void model_bad_request(struct model_conn *c, const struct model_request *r, struct span message);
/* Lists and objects (model_get.c). */
void model_get_object(struct model_conn *c, struct model_cluster *cluster, struct model_store *st,
        const struct model_request *r);
void model_get_list(struct model_conn *c, struct model_cluster *cluster, struct model_store *st,
        const struct model_request *r);
void model_watch_open(struct model_conn *c, struct model_cluster *cluster, struct model_store *st,
        const struct model_request *r);

/* The newest version that this request may see: the fault lag puts it back. */
uint64_t model_conn_seen_rv(const struct model_conn *c, const struct model_cluster *cluster);
/* What an object that is written now says of that (fakekube.io/wrote-ns). */
static inline uint64_t model_conn_wrote_ns(const struct model_conn *c)
{
	return c->server->library.stamp_writes ? c->now_ns : 0;
}

/* Seconds since 1970 by the server's wall clock. */
static inline int64_t model_conn_wall_s(const struct model_conn *c)
{
	return c->server->options.wall_s + (int64_t)(c->now_ns / 1000000000);
}

#endif
