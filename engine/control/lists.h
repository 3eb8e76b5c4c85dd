/* lists.h - which lists are open. One feed per identity (cluster, resource, namespace, selectors,
 * form, realm), however many ask for it: the first opener starts it, the last closer ends it after
 * a linger, and a process that dies is a closer. */
#ifndef KR_CONTROL_LISTS_H
#define KR_CONTROL_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash_index.h"
#include "base/list.h"
#include "control/audits.h"
#include "control/loop.h"
#include "shm/attach.h"

struct consumer;
struct control;
struct known_cluster;
struct reactor_note;
struct settings_list;
struct shm_list;
struct user;

enum { LISTS_MAX = 65536, LISTS_PIN_AGAIN_S = 60 };
enum list_phase { LIST_OPENING, LIST_OPEN, LIST_CLOSING };

/* What identifies a list, as asked for; strings NUL-terminated, borrowed. */
struct list_want {
	const char *cluster, *group, *version, *resource, *namespace_, *labels, *fields;
	bool metadata_only, keep_managed_fields;
};

/* Owner: control->lists. Thread: control. Life: first want to REACTOR_LIST_CLOSED. */
struct open_list {
	uint32_t id, realm;
	enum list_phase phase;
	struct known_cluster *cluster;
	struct list of_cluster; /* in its lists */
	char *key;              /* own: all of the identity, for the look-up */
	struct hash_node by_key;
	char *group, *version, *resource, *namespace_, *labels, *fields; /* own */
	bool metadata_only, keep_managed_fields;
	bool pinned;         /* named by the configuration: never closed */
	bool again;          /* wanted again while it was closing */
	bool ended;          /* its cluster was removed: nobody finds it any more */
	uint32_t refs;       /* openings of consumers */
	struct user *opener; /* shared(refs): whose it counts as; NULL: the configuration's */
	uint32_t opener_at;  /* which reactor it counts at */
	uint32_t shard, row, gen;
	struct audits_of_list audits;
	struct loop_timer linger;
	struct control *control;
	struct list waiters; /* struct opening: who is to be told when it is open */
};

/* One opening by one consumer: its handle. Owner: the consumer. */
struct opening {
	struct list link;                    /* in the consumer's openings */
	struct list waiting;                 /* in open_list.waiters while LIST_OPENING */
	struct hash_node by_handle, by_list; /* in the consumer's; by_list: while `list` is set */
	uint32_t handle, request;            /* request: id of the message to answer */
	struct consumer *consumer;
	struct open_list *list;
};

struct lists {
	struct open_list **rows; /* own, by id; NULL: free */
	uint32_t *next_free;     /* own, by id: of a free row, the next one */
	uint32_t first_free;     /* UINT32_MAX: none */
	uint32_t count;          /* rows there are */
	uint32_t open;
	struct hash_index by_key;
	uint64_t seed;
	struct loop_timer again; /* set while some that the configuration keeps open are not */
};

/* Finds or starts the list. o (may be NULL: pinned) joins it; answered at once or when it is open.
 * On error nothing was joined. */
err_t lists_open(struct control *c, const struct list_want *w, uint32_t realm, struct opening *o,
        struct errmsg *m) MUST_USE;
/* The opening goes; the list may linger. */
void lists_leave(struct control *c, struct opening *o);
/* Reads the rows of open lists as consumers do; keeps the shard it read last. Heap: 64 KiB. */
struct list_reader;
struct list_reader *list_reader_new(const struct control *c); /* NULL: out of memory */
/* false: the list is not open, or its row cannot be read. r may be NULL. */
bool list_reader_row(struct list_reader *r, const struct open_list *l, struct shm_list *row);
void list_reader_free(struct list_reader **r);
/* The cluster was removed: the reactor closes its lists; whoever waits for one hears why. */
void lists_end_cluster(struct control *c, struct known_cluster *k, const char *why);
/* The reactor has none of its lists any more, whatever it had memory to say of each. */
void lists_forget_cluster(struct control *c, struct known_cluster *k);
/* No longer named by the configuration: it goes when nobody wants it. */
void lists_unpin(struct control *c, struct open_list *l);
void lists_on_opened(struct control *c, const struct reactor_note *n);
void lists_on_closed(struct control *c, uint32_t id);
/* Opens what the configuration keeps open: everywhere, or in a cluster that has just become known.
 */
void lists_open_pinned(struct control *c);
void lists_pin_cluster(struct control *c, struct known_cluster *k);
/* Those that there was no memory, descriptor or row for when they were opened. */
void lists_pin_again(struct control *c);
/* One of them. */
void lists_pin_entry(struct control *c, struct known_cluster *k, const struct settings_list *l);
/* Is this list one of those that the configuration keeps open by that entry? in_full: only if the
 * entry names it by resource, version and group, which takes no look at what the cluster has. */
bool lists_is_pinned_by(const struct control *c, const struct open_list *l,
        const struct settings_list *entry, bool in_full);
void lists_init(struct control *c);
void lists_fini(struct control *c);

#endif
