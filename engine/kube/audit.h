/* audit.h - does a list hold what its server held? A LIST of the same objects, metadata only, at
 * exactly the version that the list is at; its digest (layout.h S4) against the list's at that
 * version. Pure, as watch.h: the reactor asks, folds the items, and does what comes of it.
 *
 *   audit_look ──► audit_target ──► audit_on_head, audit_on_item ..., audit_on_page ──► audit_judge
 *       ▲               ▲──────────────────── one page more ──────────────┘                 │
 *       └──────────────── once more, a few seconds later: a difference, or no way to tell ──┘
 *
 * A healthy list under constant change must never be called different. So
 *   - the list's digest at that version is looked up when the answer is there, in the changes that
 *     were published since (several events may carry one version, and the last of them may come
 *     after the question);
 *   - until something later came through the stream, or a bookmark, the rest of that version may
 *     still be on its way: a difference is waited upon, not judged;
 *   - a difference counts when a second LIST finds one too;
 *   - whatever else is wrong (410, 403, another version in the answer, a list that was taken again
 *     meanwhile) is no verdict.
 */
#ifndef KR_KUBE_AUDIT_H
#define KR_KUBE_AUDIT_H

#include "kube/watch.h"

enum {
	AUDIT_AGAIN_S = 5,     /* between two looks, and two tries to judge one */
	AUDIT_LOOKS_MAX = 4,   /* LISTs of one audit */
	AUDIT_WAITS_MAX = 18,  /* x AUDIT_AGAIN_S: bookmarks come once a minute */
	AUDIT_DIFFERENCES = 2, /* LISTs that must say so */
	AUDIT_SILENT_S = 30,   /* no byte, or no connection, within this */
	AUDIT_LOOK_S = 300,    /* one look with all its pages */
};

enum audit_next {
	AUDIT_ASK,        /* send what audit_target writes */
	AUDIT_WAIT,       /* audit_judge again in AUDIT_AGAIN_S */
	AUDIT_LOOK_AGAIN, /* audit_look again in AUDIT_AGAIN_S */
	AUDIT_EQUAL,      /* these three: it is over, audit->text says more */
	AUDIT_DIFFERENT,
	AUDIT_NO_VERDICT,
};

/* The list as it is now. */
struct audit_view {
	struct span rv;
	uint64_t digest;
	bool live;     /* whole, and its stream is up */
	bool complete; /* nothing at or before rv is still to come: a bookmark has said so */
	/* For audit_judge: since audit_look it was taken as a whole again; and what its digest was
	 * at audit->rv, by what was published since, where that is known still. */
	bool retaken, known;
	uint64_t digest_then;
};

/* Thread: the reactor of the list. Life: audit_begin to audit_end. */
struct audit {
	const struct watch_conf *conf; /* borrow(as long as the audit): of the list's watch */
	char *token;                   /* own: continue; NULL: the first page */
	uint64_t begun;                /* the list's digest when it was asked */
	uint64_t digest, objects;      /* the server's, so far */
	uint8_t looks, differences, waits;
	char rv[WATCH_RV_MAX]; /* asked for */
	char text[WATCH_TEXT_BYTES];
};

void audit_begin(struct audit *a, const struct watch_conf *conf);
void audit_end(struct audit *a);
/* AUDIT_ASK or AUDIT_NO_VERDICT. */
enum audit_next audit_look(struct audit *a, const struct audit_view *now);
/* As watch_target(): bytes written, 0 when cap is too small. */
size_t audit_target(const struct audit *a, char *buf, size_t cap, const char **accept);
/* AUDIT_ASK: the body is a page. Else AUDIT_NO_VERDICT. */
enum audit_next audit_on_head(struct audit *a, int status);
/* hash: its part of the digest. */
void audit_on_item(struct audit *a, uint64_t hash);
/* A page is whole. AUDIT_ASK: the next one. AUDIT_WAIT: it was the last, audit_judge now. */
enum audit_next audit_on_page(struct audit *a, const struct json_list_meta *meta);
enum audit_next audit_judge(struct audit *a, const struct audit_view *now);
/* Something else ended it. */
enum audit_next audit_give_up(struct audit *a, const char *why);

#endif
