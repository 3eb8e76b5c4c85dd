/* model_watch.h - the state of one open watch; for model_watch.c and model_blast.c. */
#ifndef KR_MODEL_MODEL_WATCH_H
#define KR_MODEL_MODEL_WATCH_H

#include "model/model_conn_priv.h"

enum watch_phase {
	WATCH_FRESH,   /* waiting until the version asked for is there; no head yet */
	WATCH_INITIAL, /* sending the list at w->seen */
	WATCH_LIVE     /* sending the log */
};

/* Owner: the connection, as its answer. */
struct model_watch {
	struct model_answer a;
	struct model_pin pin; /* while WATCH_INITIAL */
	struct model_store *store;
	struct model_selector *selector; /* own */
	struct model_text ns, next;      /* own; next: cursor of the initial events */
	struct model_text held;          /* own; the fault event-reorder */
	uint64_t pos;                    /* of the next log entry */
	uint64_t seen;                   /* version up to which everything was sent */
	uint64_t start_rv, need_rv, events;
	size_t blast_sent; /* bytes of the event at pos that are out already (model_blast.c) */
	uint64_t blast_wrote_ns; /* stamp of what was offered last */
	uint64_t blast_first_ns; /* of the event of which blast_sent bytes are out */
	size_t blast_taken;      /* of what was offered last */
	uint64_t blast_patched;  /* the events before it show it */
	bool blast_offered;      /* nothing of it was taken yet */
	uint64_t bookmark_ns, end_ns;
	enum watch_phase phase;
	uint32_t timeline;
	bool bookmarks, marker, initial, meta, proto, gzip, ending;
};

/* The watch that a connection is answering; NULL: it is not. */
struct model_watch *model_watch_of(const struct model_conn *c);

/* model_blast.c: whether this watch is sent from the rendered text just now, and the sending. */
bool model_blast_serves(const struct model_conn *c, const struct model_watch *w);
struct span model_blast_peek(struct model_conn *c);
void model_blast_consume(struct model_conn *c, size_t n);

#endif
