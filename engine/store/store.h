/* store.h - one shard: applies events to the lists in it, and publishes each change. Single writer:
 * every function here is called by the reactor that owns the shard, and by nobody else. Pure but
 * for shm/segment.c, which makes memory; now_ns comes in.
 *
 * Rules (one set for all strategies):
 *   - upsert of an unknown key = ADDED; of a known uid with a higher version = MODIFIED; with the
 *     same version = unchanged, nothing is published; with a lower version = ERR_KUBE_ORDER,
 *     nothing is applied (M4, M8). Versions compare as decimal numbers (KEP-5504); opaque ones only
 *     by equality.
 *   - another uid under a known name = DELETED + ADDED (M5), in one batch. It must have a higher
 *     version, or it is ERR_KUBE_ORDER.
 *   - delete of an unknown key is ignored and counted; of another uid, or older than what is there,
 *     it is ERR_KUBE_ORDER (an event was missed). A delete is never refused for the memory of its
 *     last state: it goes without (FINAL_STATE_UNKNOWN).
 *   - the list's version follows events and bookmarks, and goes back only by a sync.
 *   - a sync (first list, relist, streaming list) stages what it receives: unchanged objects are
 *     touched nowhere, changed ones are written to blocks but not published. Commit publishes all
 *     of it as one batch (M2). Abort gives the blocks back. Same uid and version means the same
 *     object: its bytes are not compared.
 *   - budgets are checked before memory is taken: ERR_BUDGET concerns this list only. The object is
 *     not there then, so the list is not whole any more: the watch must say so (store_list_state)
 *     and relist when there is room.
 *
 * What is published, entry by entry; what stands in braces is one commit:
 *   upsert               ADDED or MODIFIED
 *   upsert, other uid    { DELETED(RECREATED|FINAL_STATE_UNKNOWN, new_block 0),
 *                        ADDED(RECREATED) }, both with the same slot
 *   delete               DELETED(new_block = last state)
 *   state                STATE(aux)
 *   close                STATE(aux = CLOSED)
 *   first sync           { RESET(aux = FIRST_SYNC), SYNCED }
 *   relist               { each changed object in slot order, as above; each missing one:
 *                        DELETED(FINAL_STATE_UNKNOWN); SYNCED }
 *   relist, version back { RESET(aux = VERSION_BACK), the same }
 *   relist in bulk       { RESET(aux = TOO_MANY or VERSION_BACK), SYNCED }
 * Entries of a sync carry RELIST, and rv = the list's new version. In bulk: when the entries (with
 * RESET and SYNCED) would be more than ring_entries / 4, or the blocks that go more than
 * retained_bytes_max / 2. Then changed slots carry seq = that of RESET, deleted ones are FREE with
 * that seq, and the digest of both entries is that of the new set.
 *
 * What is replaced or removed by change s (also in bulk, where no entry names it, and the pages of
 * a closed list) is kept in a private queue until head > s (layout.h S1, S5). head moves when the
 * ring or retained_bytes_max is full, when shard_bytes_max needs the memory, and when a closed
 * list's row is needed; never past commit + 1.
 */
#ifndef KR_STORE_STORE_H
#define KR_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "shm/layout.h"
#include "json/json.h"
#include "json/shape.h"

struct store;
struct store_list;

/* Bytes of blocks counted against limits, as the allocator rounds them; a chain list -> cluster ->
 * shard. What followers still need is not counted here, but in shard_bytes_max. During a sync a
 * list counts what it has or what it will have, whichever is more. Owner: whoever made it; must
 * outlive what counts on it. Thread: the reactor. */
struct store_budget {
	const char *name;          /* "list", "cluster prod-eu", "shard": for the error text */
	uint64_t bytes_max, bytes; /* bytes_max 0 = no limit */
	struct store_budget *parent;
	const char *setting; /* what raises it, for the error text; NULL: unknown */
};

struct store_config {
	uint32_t shard, realm;
	uint64_t incarnation[2];
	uint64_t hash_seed;
	uint32_t ring_entries; /* power of two, at least 16; 0 = 65536 */
	uint32_t lists_max;    /* 0 = 16384 */
	/* replaced blocks kept for followers; 0 = a sixteenth of what is live, 32 to 256 MiB.
	 * Whichever of ring and bytes is full first moves head */
	uint64_t retained_bytes_max;
	/* multiple of 64 KiB below 4 GiB; no object can be larger; 0 = 64 MiB */
	uint64_t block_segment_bytes;
	/* all blocks: live, staged, kept for followers (these give way first); 0 = no limit */
	uint64_t shard_bytes_max;
	/* What all shards of the process have ever used of their segments, slots and index too: the
	 * kernel gets none of it back. At memory_bytes_max (0 = no limit) they live with what they
	 * have. Not counted: what a shard has from its start. NULL = nobody counts. */
	atomic_ullong *memory_bytes;
	uint64_t memory_bytes_max;
	uint64_t objects_max; /* per list; 0 = 16 M */
	bool in_process;      /* simulation and unit tests: plain memory instead of memfds */
	uint64_t started_ns;  /* CLOCK_REALTIME, shown to consumers */
};

/* Makes control, ring and index; slot and block segments come as they are needed. errors: ERR_SHM
 * with the system's reason, ERR_BUDGET, ERR_NO_MEMORY, ERR_ARGUMENT. */
err_t store_new(const struct store_config *config, struct store **out, struct errmsg *msg) MUST_USE;
/* Lists that are still open go with it; their budgets are not touched any more. */
void store_free(struct store **s);
/* Marks the shard as stopped (consumers see it at once); memory stays readable to them. */
void store_stop(struct store *s);
/* Once per turn: heartbeat, and the futex word if something was committed (or a version moved)
 * since the last call. Frees a bounded piece of what closed lists and bulk syncs left behind. */
void store_tick(struct store *s, uint64_t now_ns);

/* For the control thread (any thread; rows of the directory never change): descriptor (borrowed)
 * and size of a segment; -1 and *bytes = 0 when there is no such segment; -1 and its size in
 * process. */
int store_segment(const struct store *s, uint32_t segment, uint64_t *bytes);
/* The mapping of a segment, for in-process readers (simulation, status). Any thread. */
const void *store_segment_at(const struct store *s, uint32_t segment);
/* Memory of the shard: bytes of blocks live, retained for followers, free in slabs; slots; index.
 */
struct store_usage {
	uint64_t live_bytes, retained_bytes, staged_bytes, free_bytes, segment_bytes, slots,
	        slots_free, index_entries, ring_head, ring_commit;
	uint64_t unknown_deletes;                /* DELETED of what was not there */
	uint64_t relists;                        /* syncs of lists that were whole, ever */
	uint64_t memory_bytes, memory_bytes_max; /* of all shards: see store_config */
};
void store_usage(const struct store *s, struct store_usage *out);
/* For other threads: what it was when its own last called store_tell_usage. Any thread; each number
 * is whole, and those of one moment but for a moment. */
void store_tell_usage(struct store *s);
void store_usage_told(const struct store *s, struct store_usage *out);

struct store_identity {
	struct span cluster, group, version, resource, namespace_, labels, fields, form;
};
/* Text of the last refusal (ERR_BUDGET, ERR_LIMIT, ERR_JSON_LIMIT, ERR_NO_MEMORY, ERR_SHM) on this
 * list: which limit, its value, and the setting that raises it. "" when there was none. Valid until
 * the next input of any list of the store. */
const char *store_list_refusal(const struct store_list *l);
err_t store_list_refused(const struct store_list *l); /* its code; ERR_OK: there was none */
/* Takes a row of the list table. budget may be NULL; it must outlive the list. owner is handed back
 * by store_list_owner (the reactor's list). errors: ERR_LIMIT when the table is full or the
 * identity longer than 32 KiB; ERR_BUDGET, ERR_SHM, ERR_NO_MEMORY. */
err_t store_list_open(struct store *s, const struct store_identity *id, struct store_budget *budget,
        void *owner, struct store_list **out) MUST_USE;
/* Frees everything of the list (its memory when head has passed); followers get KR_ERR_CLOSED. A
 * sync under way is aborted. The list is not handed out by store_dirty_pop after this: the caller
 * wakes its consumers. */
void store_list_close(struct store_list **l, uint64_t now_ns);
uint32_t store_list_row(const struct store_list *l, uint32_t *gen);
void *store_list_owner(const struct store_list *l);
/* The owner and its budget go while the list stays (a daemon that stops): NULL from now on. */
void store_list_disown(struct store_list *l);
uint64_t store_list_objects(const struct store_list *l);
uint64_t store_list_digest(const struct store_list *l);
/* A moment in the life of a list, and its digest at a version: that of the last change with this
 * version, of a list that has not been taken as a whole since the moment, and was at that version
 * then. By the changes that are in the ring still; false: not known. */
struct store_mark {
	uint64_t relists, change;
};
struct store_mark store_list_mark(const struct store_list *l);
bool store_list_digest_at(
        const struct store_list *l, uint64_t rv, struct store_mark mark, uint64_t *digest) MUST_USE;
/* Version of the list; empty before the first sync. Valid until the next change of the list. */
struct span store_list_rv(const struct store_list *l);

/* What a list holds under a name now: the published object, not what a sync has staged for it. The
 * spans point into the block. Owner: the caller; valid until the next call that changes the store.
 * Thread: the reactor. */
struct store_held {
	struct json_known known;
	struct span resource_version;
	uint64_t rv;   /* numeric, 0 if opaque */
	uint32_t slot; /* where it is: the same for as long as the object lives */
};
/* False: there is no such object, *out is untouched. Changes nothing, also not for consumers. */
bool store_peek(const struct store_list *l, struct span namespace_, struct span name,
        struct store_held *out) MUST_USE;

/* Fetches the memory that a change will look at: the list, its row, and, for several events at hand
 * in steps that wait for memory once for all of them, what store_peek() needs: begin for each, then
 * the rest for all. Hints: whatever happens between the steps, nothing goes wrong. Thread: the
 * reactor. */
struct store_trace {
	const struct store_list *list; /* borrow; NULL: no such object can be there */
	uint64_t hash;
};
void store_trace_list(const struct store_list *l);
void store_trace_row(const struct store_list *l);
void store_trace_begin(const struct store_list *l, struct span namespace_, struct span name,
        struct store_trace *t);
enum { STORE_TRACES_MAX = 8 };
void store_trace_rest(const struct store_trace *t, size_t n);

enum store_outcome {
	STORE_UNCHANGED,
	STORE_ADDED,
	STORE_MODIFIED,
	STORE_DELETED,
	STORE_RECREATED,
	STORE_UNKNOWN /* delete of what is not there */
};

/* One event of the live stream; not during a sync (a bug). recv_ns: when its last byte was read.
 * The object's version becomes the list's version. errors: ERR_KUBE_ORDER, ERR_JSON_SHAPE,
 * ERR_JSON_LIMIT, ERR_BUDGET, ERR_LIMIT (objects_max, segments), ERR_SHM, ERR_NO_MEMORY. */
err_t store_upsert(struct store_list *l, const struct json_object *o, uint64_t recv_ns,
        enum store_outcome *what) MUST_USE;
/* The same for another version of the object that store_peek() gave, with its namespace, name and
 * uid: no look-up. Nothing may have changed the store in between. */
err_t store_replace(struct store_list *l, const struct store_held *held,
        const struct json_object *o, uint64_t recv_ns, enum store_outcome *what) MUST_USE;
/* o->raw empty: its last state is not known. */
err_t store_delete(struct store_list *l, const struct json_object *o, uint64_t recv_ns,
        enum store_outcome *what) MUST_USE;
/* A bookmark: the list's version moves, nothing is published in the ring. */
void store_bookmark(struct store_list *l, struct span rv, uint64_t now_ns);

/* A sync.
 *   begin    what was staged by an unfinished one is given back
 *   item     one object of the answer. errors: as store_upsert; ERR_KUBE_ORDER: the same name
 *            twice, the older one last. The sync is still open then: abort it, or go on
 *   commit   the set is whole at rv. version_back: the server's version went back (M3), which also
 *            is so when rv or the version of an item is lower than ours. errors: ERR_JSON_SHAPE,
 *            ERR_JSON_LIMIT (rv), ERR_NO_MEMORY: nothing is published, the sync is still open */
void store_sync_begin(struct store_list *l, uint64_t now_ns);
err_t store_sync_item(struct store_list *l, const struct json_object *o, uint64_t recv_ns) MUST_USE;
/* A DELETED inside a streaming list, before its end marker. */
err_t store_sync_remove(struct store_list *l, const struct json_object *o) MUST_USE;
struct store_sync_result {
	uint64_t added, modified, deleted, unchanged; /* modified: recreated ones as well */
	bool reset; /* in bulk: first sync, or too many changes to publish each */
};
err_t store_sync_commit(struct store_list *l, struct span rv, bool version_back, uint64_t now_ns,
        struct store_sync_result *out) MUST_USE;
void store_sync_abort(struct store_list *l);

/* The list's state for everyone to see; err/text: why (ERR_OK clears them). Publishes a STATE
 * change when the state differs from the last one. */
void store_list_state(struct store_list *l, enum shm_list_state state, err_t err, const char *text,
        uint64_t now_ns);
/* Bytes arrived on the list's stream (liveness; a store into the row, no publication). */
void store_list_byte(struct store_list *l, uint64_t now_ns);

/* Lists that have changed since they were last popped, for waking their consumers; NULL when there
 * are none. */
struct store_list *store_dirty_pop(struct store *s);

/* Walks all objects of a list (tests, audit, single-threaded). Spans are valid during the call. */
typedef void (*store_object_fn)(
        void *arg, const struct shm_slot *slot, const struct shm_block *block);
void store_list_each(const struct store_list *l, store_object_fn fn, void *arg);

#endif
