/* questions.h - what consumers ask that takes a while: status (every reactor is asked) and resolve
 * (discovery may have to be fetched). Each is answered once, also when nobody answers us: a
 * deadline ends it. */
#ifndef KR_CONTROL_QUESTIONS_H
#define KR_CONTROL_QUESTIONS_H

#include <stdint.h>

#include "base/list.h"
#include "control/consumers.h"
#include "control/loop.h"
#include "control/report.h"

struct control;
struct discovery_resource;
struct known_cluster;
struct settings_list;
struct settings_resource;

enum {
	QUESTION_STATUS_NS = 1000000000,
	QUESTION_RESOLVE_S = 30,
	QUESTION_AUDIT_S = 900, /* the list may wait for its turn; each look is bounded */
	QUESTION_PIN_AGAIN_S = 10,
	QUESTION_PIN_DOUBLINGS = 5,
	QUESTION_PIN_DOUBLINGS_UNTOLD = 2, /* where nobody tells when it may be asked again */
	DISCOVERY_LOST_S = 60,
	DISCOVERY_FRESH_S = 600,
	DISCOVERY_RETRY_S = 5
};
enum question_kind { QUESTION_STATUS, QUESTION_RESOLVE, QUESTION_PIN, QUESTION_AUDIT };

/* Owner: control->questions. Thread: control. */
struct question {
	struct list link;
	struct list waiting; /* in known_cluster.discovery_waiters */
	struct list about;   /* in known_cluster.questions */
	uint32_t id, request;
	enum question_kind kind;
	struct consumer *consumer;     /* NULL for QUESTION_PIN */
	struct known_cluster *cluster; /* RESOLVE, PIN, AUDIT */
	const struct settings_list *pin;
	struct control *control;
	struct loop_timer deadline;
	uint32_t answers_due;
	uint8_t tries;     /* of a PIN: its pause doubles, 10 s to 40 s or 320 s */
	err_t failed;      /* why the last one came to nothing */
	char *failed_text; /* own; NULL: none yet, or out of memory */
	uint64_t since_ns;
	struct reactor_status **status; /* own: per reactor, NULL when not answered */
	char *name;                     /* own: what to resolve */
};

void questions_status(struct control *c, struct consumer *k, uint32_t request);
void questions_resolve(struct control *c, struct consumer *k, uint32_t request, const char *cluster,
        const char *name);
/* One list is to be audited: by its id of the status, and by its cluster, should the id be another
 * list's by now. It costs the API server a LIST: only the daemon's user and root may. */
void questions_audit(struct control *c, struct consumer *k, uint32_t request, const char *cluster,
        const char *list);
void questions_on_audited(struct control *c, const struct reactor_note *n);
/* A list of the configuration: resolved, then opened; asked again until it can be. Harmless when
 * that is under way. Without memory the cluster stays `fresh`. */
void questions_pin(struct control *c, struct known_cluster *k, const struct settings_list *l);
/* What its discovery has said is not believed any more. */
void questions_doubt(struct control *c, struct known_cluster *k);
/* pinned.c: opens it. r: what discovery says. */
void pinned_open(struct control *c, struct known_cluster *k, const struct settings_list *l,
        const struct discovery_resource *r);
void questions_on_status(struct control *c, struct reactor_note *n);
/* A fetch of discovery came back: id is clusters_question's. */
void questions_on_fetched(struct control *c, struct reactor_note *n);
void questions_fini(struct control *c);
/* The cluster is at another server: what the old one said so far is forgotten, and this one asked.
 */
void questions_moved(struct control *c, struct known_cluster *k);
/* It answers, or is logged in to: lists that are to be kept open and could not be are tried now. */
void questions_on_answers(struct known_cluster *k);
/* The cluster was removed: whoever asked about it hears why. */
void questions_end_cluster(struct known_cluster *k, const char *why);
/* The settings are others: a question about a list that they keep open goes on for the entry that
 * entry_of gives for its old one; NULL: it is dropped. */
void questions_repin(
        struct control *c, const struct settings_list *(*entry_of)(
                                   const struct control *c, const struct settings_list *old));
/* "deployments", "deployments.apps", "deployments.v1.apps": as people would write it; free() it. */
char *questions_name_of(const struct settings_resource *r);

/* status.c: the whole status as JSON. */
void status_write(struct control *c, struct reactor_status *const *status, struct report *out);
/* Sends a document as a sealed memfd and frees it. */
void questions_answer(struct control *c, struct consumer *k, uint32_t request, struct report *doc);

#endif
