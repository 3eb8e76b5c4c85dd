/* model_backend_priv.h - the inside of the backend, for model_backend*.c. */
#ifndef KR_MODEL_MODEL_BACKEND_PRIV_H
#define KR_MODEL_MODEL_BACKEND_PRIV_H

#include "model/model_backend.h"
#include "model/model_conn_priv.h"

enum model_context_state { CONTEXT_OK, CONTEXT_REFUSE, CONTEXT_HANG, CONTEXT_INVALID };

/* Owner: the backend. Life: as long as it. */
struct context {
	struct list link, of_name;
	char *name, *server, *prefix, *address, *token, *user; /* own; token, user: may be NULL */
	struct model_cluster *cluster;                         /* NULL = by open */
	model_link_open_fn open;
	void *arg;
	enum model_context_state state;
	uint64_t hang_ns;
};

enum model_mux_state { MUX_OK, MUX_REFUSE, MUX_SILENT };

#define BACKEND_BUCKETS 1024

struct model_backend {
	struct model_server *server;
	char *token; /* own */
	bool check_host;
	uint16_t port;
	uint64_t dial_ns, down_until_ns;
	enum model_mux_state mux;
	uint64_t drop_data; /* the DATA frame that will be cut, counted down; 0 = none */
	uint64_t restarts;
	struct list contexts;                 /* struct context, in their order */
	struct list fronts;                   /* struct front */
	struct list by_name[BACKEND_BUCKETS]; /* the same */
	struct list table[BACKEND_BUCKETS];   /* struct mux_entry: by cluster, whoever owns it */
};

enum front_state {
	FRONT_HTTP,   /* the next request is waited for */
	FRONT_TOKEN,  /* the body of set-token is */
	FRONT_RELAY,  /* the answer of a cluster is passed on */
	FRONT_SPLICE, /* both ways, byte for byte: a WebSocket to a cluster */
	FRONT_MUX
};

/* How much of an answer is still to come. */
enum body_form { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_TO_END };
enum chunk_part { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER };
struct body_track {
	enum body_form form;
	enum chunk_part part;
	uint64_t left, line; /* line: characters of the trailer line so far */
	bool done, broken;
};

struct relay {
	struct context *context;
	struct model_link *up;    /* own; NULL while it hangs */
	struct model_text ask;    /* what is sent when it is open */
	struct model_text answer; /* its head, until it is whole */
	struct body_track body;
	uint64_t deadline_ns; /* of the dial */
	uint64_t body_left;   /* of the request, still to be passed on */
	bool asked, headed, upgrade, head_only;
	unsigned interims; /* answers before the answer: a Go client takes five */
};

struct mux_entry;

/* One client connection. Owner: its model_conn, as speaking. */
struct front {
	struct list link;
	struct model_backend *backend;
	struct model_conn *conn;
	enum front_state state;
	bool keep; /* another request may follow */
	struct relay relay;
	struct context *token_for; /* FRONT_TOKEN: NULL = no such context */
	char *token_name;          /* own; the name in the URL */
	size_t token_left;
	/* FRONT_MUX */
	struct model_ws_in in;
	struct list entries;       /* struct mux_entry */
	struct list ready;         /* struct model_link: entries with something to do */
	uint64_t next_ns;          /* no entry's deadline is before that */
	struct mux_entry *dialing; /* one of them: nothing is read meanwhile */
	struct model_text cookies; /* of the upgrade */
};

/* --- model_backend.c --- */

size_t backend_bucket(struct span name);
struct context *backend_context(const struct model_backend *b, struct span name);
/* The link that the context's state allows; NULL: it hangs. */
struct model_link *backend_dial(
        struct model_backend *b, struct context *x, struct model_conn *owner, uint64_t now_ns);
/* headlamp-auth-NAME.0=... joined, out of Cookie lines (each ended by ';'). */
void backend_cookie(struct span cookies, struct span cluster, struct model_text *token);

/* --- model_backend_http.c --- */

/* Takes the next request out of the input. False: it is not here yet. */
bool front_request(struct front *f);
void front_token_body(struct front *f);
void front_answer(struct front *f, unsigned code, const char *fields, struct span body);

/* One line of a head without its end; false: there is none left. */
bool head_line(struct span *head, struct span *line);
bool head_field(struct span line, struct span *name, struct span *value);
bool head_name_is(struct span name, const char *what);

/* --- model_backend_relay.c --- */

void relay_start(struct front *f, struct context *x, bool upgrade, bool head_only,
        uint64_t body_bytes); /* f->relay.ask is set */
/* True: something was done. */
bool relay_pump(struct front *f);
void relay_drop(struct front *f);
uint64_t relay_deadline_ns(const struct front *f);

/* --- model_backend_mux.c --- */

void mux_start(struct front *f, struct span accept_key, bool protocol);
bool mux_pump(struct front *f);
void mux_drop(struct front *f);
uint64_t mux_deadline_ns(const struct front *f);
size_t mux_cut(struct front *f, const struct model_cluster *cluster, const struct model_kind *k,
        enum model_closed how);
bool link_cut(struct model_link *l, const struct model_cluster *cluster, const struct model_kind *k,
        enum model_closed how);

#endif
