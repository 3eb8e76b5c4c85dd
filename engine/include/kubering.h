/* kubering.h - libkubering: read Kubernetes lists that kuberingd keeps up to date in shared memory,
 * and follow their changes.
 *
 * Conventions, valid for every function below:
 *  1. Functions return enum kr_result: 0 = done, positive = nothing wrong but nothing more (END,
 *     TIMEOUT), negative = error. kr_strerror() names a result; kr_last_error() says in one
 *     sentence what happened last on a client and what to do. Any may be _ARGUMENT, _MEMORY, or
 *     _SYSTEM; those on a list also _CLOSED, _CORRUPT, _STUCK, _UNREACHABLE. Others: see below.
 *  2. A client and everything opened from it belong to one thread at a time: with several, connect
 *     in each (a list is in memory once all the same). The library starts no thread, installs no
 *     signal handler, prints nothing, never ends the process, and needs libc only. After fork() the
 *     child may call kr_close() on it and nothing else: both share one socket, and the daemon sees
 *     that the parent has gone only when the child has, too.
 *  3. Times are ns, of CLOCK_MONOTONIC. timeout_ns: 0 = do not wait; KR_FOREVER = no limit. Neither
 *     a signal nor another thread ends a wait: who wants to be woken polls kr_fd() beside a
 *     descriptor of his own. kr_connect, kr_list_open, kr_query wait for the daemon's answer, up to
 *     kr_options.timeout_ns; what reads a list only where the daemon added memory to it since, and
 *     up to 250 ms for a writer in the middle of a write (_STUCK). Nothing else waits.
 *  4. Safe by default: objects handed out were checked after they were copied, into a buffer of the
 *     view, follow or list (kr_get); they are whole and stay valid until the next call on it.
 *     With KR_BORROW they point into shared memory instead: no copy, but the bytes may be replaced
 *     under you (a string may even lose its end); act on what you read only after kr_check() or
 *     kr_change_check() has said KR_OK. Strings of objects are never NULL.
 *  5. JSON handed out has at least KR_PADDING readable bytes behind it, so SIMD parsers can run on
 *     it in place. They are 0 behind a copy; borrowed JSON has no NUL: go by json_bytes.
 *  6. Structs that you pass in start with their size. Unknown non-zero bytes behind what this
 *     library knows are refused (KR_ERR_ARGUMENT). The strings in them are copied.
 *  7. Strings are NUL-terminated UTF-8. A NULL string in a spec means "".
 *  8. The shared memory is treated as hostile: what is corrupt gives KR_ERR_CORRUPT, never a crash.
 */
#ifndef KUBERING_H
#define KUBERING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KR_API     __attribute__((visibility("default")))
#define KR_FOREVER INT64_MAX
#define KR_PADDING 64

enum kr_result {
	KR_OK = 0,
	KR_END = 1,           /* no more objects */
	KR_TIMEOUT = 2,       /* nothing happened in time */
	KR_ERR_ARGUMENT = -1, /* a bug in the caller */
	KR_ERR_MEMORY = -2,
	KR_ERR_UNREACHABLE = -3, /* no daemon at the socket, or it went away and is not back */
	KR_ERR_DENIED = -4,      /* the daemon's policy does not let this user see that list */
	KR_ERR_VERSION = -5,     /* daemon and library speak different layouts */
	KR_ERR_UNKNOWN_CLUSTER = -6,
	KR_ERR_UNKNOWN_RESOURCE = -7,
	KR_ERR_NOT_FOUND = -8, /* no such object in the list */
	KR_ERR_OVERRUN = -9,  /* too slow: changes were lost; take the list again (kr_view_begin) */
	KR_ERR_TORN = -10,    /* what was borrowed has been replaced meanwhile; read again */
	KR_ERR_CORRUPT = -11, /* the shared memory breaks its own rules */
	KR_ERR_STUCK = -12,   /* the writer is long in the middle of a write, or stopped there */
	KR_ERR_LIMIT = -13,   /* a limit of the daemon or the system */
	KR_ERR_CLOSED = -14,  /* the list was closed */
	KR_ERR_SPACE = -15,   /* the caller's buffer is too small; *size says how much is needed */
	KR_ERR_SYSTEM = -16,  /* a system call failed; errno is set */
	KR_ERR_JSON = -17,    /* not JSON, or nested too deep (kr_merge_patch) */
	KR_ERR_STALE = -18,   /* asked for a live list, and it is not */
	KR_ERR_DAEMON = -19,  /* the daemon refused for a reason that kr_last_error() gives */
};

/* What kind of thing a change is. */
enum kr_type {
	KR_ADDED = 1,
	KR_MODIFIED = 2,
	KR_DELETED = 3, /* object: its last state (json_bytes 0 when the deletion was found by a
	                   relist); old_object: what we had */
	KR_SYNCED = 4,  /* the list is whole at resource_version: first sync, or end of a relist */
	KR_STATE = 5,   /* the list's state changed: see state; the objects did not */
	KR_RESET = 6,   /* the set changed as a whole (or the daemon was replaced): take it again */
};

enum kr_change_flags {
	KR_FINAL_STATE_UNKNOWN = 1, /* DELETED, found missing by a relist */
	KR_FROM_RELIST = 2,         /* found by a relist: what was missed while it was stale */
	KR_RECREATED = 4,           /* same name, other uid: DELETED and ADDED follow each other */
	KR_LAGGING = 8,       /* this follower has used 3/4 of the ring: hurry, or be overrun */
	KR_FROM_RESTART = 16, /* computed difference after the daemon was replaced */
};

enum kr_list_state {
	KR_LIST_IDLE = 0,       /* not asked for yet */
	KR_LIST_CONNECTING = 1, /* not whole; the server has not answered yet */
	KR_LIST_LISTING = 2,    /* not whole; the first sync is under way */
	KR_LIST_LIVE = 3,       /* whole, and its watch runs */
	KR_LIST_STALE = 4,      /* its watch is lost and is tried again, or the daemon is away */
	KR_LIST_RESUMING = 5,   /* stale; its watch is begun again from where it was lost */
	KR_LIST_RELISTING = 6,  /* stale; it is listed again, and then changes all at once */
	KR_LIST_PARKED = 7,     /* forbidden, absent or refused; asked again slowly */
	KR_LIST_CLOSED = 8,     /* by the daemon, whose configuration has it no more */
};

enum kr_flags {
	KR_BORROW = 1, /* bytes in shared memory instead of a copy: see 4 */
	KR_NO_OLD = 2, /* follows only: leave old_object empty (half the copying) */
};

struct kr_client;
struct kr_list;

struct kr_object {
	const char *namespace_; /* "" for cluster-scoped objects */
	const char *name;
	const char *uid;
	const char *resource_version;
	const char *
	        json; /* as the server sent it, without metadata.managedFields (unless asked for) */
	size_t json_bytes;
	uint64_t recv_ns;   /* when the daemon had read it from its socket */
	uint64_t json_hash; /* XXH3_64bits of json, as the daemon wrote it; not checked here */
	uint64_t _private[4];
};

/* --- client ------------------------------------------------------------------------------ */

struct kr_options {
	size_t size;
	const char *socket_path; /* NULL: $KUBERING_SOCKET; else $XDG_RUNTIME_DIR/kubering.sock, or
	                            for root and where only that is /run/kubering/kubering.sock */
	const char *name;        /* shown in `kubering status`; NULL: the program's name */
	int64_t timeout_ns;      /* for connect and for each question to the daemon; 0 = 5 s */
};

/* Attaches to the daemon; options may be NULL. KR_ERR_UNREACHABLE, _DENIED, _VERSION: no client. */
KR_API int kr_connect(struct kr_client **client, const struct kr_options *options);
/* Closes every list and detaches: client and lists are gone, kr_list_close() must not follow. Of
 * views and follows only kr_view_end and kr_follow_end may be called then. NULL is fine. */
KR_API void kr_close(struct kr_client *client);
/* Readable (poll, epoll, libuv, Go) while a follow of this client may have something. Then take
 * from all of them with timeout 0 until KR_TIMEOUT, which arms it; before, and where nothing is
 * followed, it is always readable. For several kr_follow_any(): kr_follow_next() on each looks
 * after all each time. The client's own: one for its life, not to be read. -1: kr_last_error(). */
KR_API int kr_fd(struct kr_client *client);
/* Text of the last failure on this client, "" if none; also what a kr_list_wait that timed out had
 * waited for. Valid until the next call on it. NULL: of this thread's last kr_connect. */
KR_API const char *kr_last_error(const struct kr_client *client);
KR_API const char *kr_strerror(int result);
/* "0.1.0"; and the layout version "1.0". Static. */
KR_API const char *kr_version(void);
KR_API const char *kr_layout_version(void);
/* A JSON document from the daemon: what = "status" (as `kubering status -o json` prints it),
 * "resolve CLUSTER RESOURCE" (short names, groups), or "audit CLUSTER ID" (a list's id of the
 * status; the daemon's user and root only). free(*json), which ends with a NUL. KR_TIMEOUT: the
 * cluster has not answered the daemon in time. KR_ERR_UNKNOWN_CLUSTER, _UNKNOWN_RESOURCE. */
KR_API int kr_query(struct kr_client *client, const char *what, char **json, size_t *bytes);

/* --- lists ------------------------------------------------------------------------------- */

struct kr_list_spec {
	size_t size;
	const char *cluster;    /* context name */
	const char *group;      /* "" = core */
	const char *version;    /* "v1" */
	const char *resource;   /* plural, lower case: "pods" */
	const char *namespace_; /* "" = all, or cluster-scoped */
	const char *label_selector, *field_selector;
	int metadata_only; /* PartialObjectMetadata */
	int keep_managed_fields;
};

/* Opens a list: the first opener starts its watch, all share it. Does not wait for the sync, nor
 * ask the cluster whether there is such a resource: if not, the list is parked. kr_query "resolve"
 * finds group, version and plural of what people write. On failure *list is NULL.
 * KR_ERR_UNKNOWN_CLUSTER, _DENIED, _LIMIT, _UNREACHABLE. */
KR_API int kr_list_open(
        struct kr_client *client, const struct kr_list_spec *spec, struct kr_list **list);
/* Gives the list back; the last closer ends the watch after a linger. Views and follows of it are
 * dead after this: only kr_view_end and kr_follow_end may still be called on them. NULL is fine. */
KR_API void kr_list_close(struct kr_list *list);
/* Waits until the list is live (whole and fresh). KR_TIMEOUT; KR_ERR_STALE: it is parked
 * (forbidden, absent, a bad selector); kr_last_error() says why. An event loop follows instead: a
 * view that is not whole yet is empty, and KR_RESET comes when its first sync is done. */
KR_API int kr_list_wait_live(struct kr_list *list, int64_t timeout_ns);
/* Waits until the list's version is at least resource_version (numeric comparison; what is no
 * number is waited for as it is): read your own writes. */
KR_API int kr_list_wait_version(
        struct kr_list *list, const char *resource_version, int64_t timeout_ns);

struct kr_list_status {
	size_t size; /* set by the caller */
	enum kr_list_state state;
	int whole; /* the first sync is done; 0: what is there is nothing */
	char resource_version[64];
	uint64_t digest, objects, bytes, events, relists; /* bytes of JSON */
	uint64_t sync_objects; /* received so far in the sync under way */
	int64_t byte_age_ns, event_age_ns, bookmark_age_ns; /* since the last of each; -1 = never */
	int64_t stale_ns;    /* for how long it has not been live; 0 = live */
	char error_name[32]; /* "" or a word such as "KUBE_FORBIDDEN"; for people and logs */
	char error_text[168];
};
/* Asks nobody: read from shared memory. */
KR_API int kr_list_status(struct kr_list *list, struct kr_list_status *status);

/* Finds one object; namespace_ "" or NULL: cluster-scoped. Copies it into the list's buffer (valid
 * until the next kr_get on this list), or borrows it with KR_BORROW. KR_ERR_NOT_FOUND: it is not in
 * the list, which means little before the list is whole. KR_ERR_STUCK: for 250 ms it could not be
 * told, as where a list of more than some million objects is taken anew: ask again. */
KR_API int kr_get(struct kr_list *list, const char *namespace_, const char *name, unsigned flags,
        struct kr_object *object);
/* After reading a borrowed object (of kr_get or kr_view_next): KR_OK = it was whole all the time.
 * KR_ERR_TORN otherwise. */
KR_API int kr_check(struct kr_list *list, const struct kr_object *object);

/* --- view and follow ---------------------------------------------------------------------
 * A view is the list at one position; a follow is every change after a position, in order, each
 * exactly once. view.follow starts where the view stands, so view + follow has no gap. A follow
 * begins with the first kr_follow_next on it and holds memory from then to kr_follow_end; one that
 * never began holds nothing. Do not copy or move a follow that has begun, nor begin a view in its
 * struct before kr_follow_end: what it holds would be lost. One that is all zeros may be ended.
 * While the daemon is away, lists, views and kr_get go on serving its last whole state, and status
 * says that it is stale. */

struct kr_follow {
	void *_private[8];
};
struct kr_view {
	struct kr_follow follow; /* start of the changes after this view */
	uint64_t digest;         /* of the set */
	uint64_t count;          /* objects in it */
	char resource_version[64];
	int whole; /* 0: the list has not had its first sync; the view is empty */
	void *_private[8];
};

/* Takes the list as of now: no copy of objects, 17 bytes of memory for each until kr_view_end.
 * KR_ERR_OVERRUN: it changed faster than it could be read, again and again; begin again. On failure
 * *view is all zeros, with nothing to be ended. */
KR_API int kr_view_begin(struct kr_list *list, struct kr_view *view);
KR_API int kr_view_begin_flags(struct kr_list *list, struct kr_view *view, unsigned flags);
/* The next object, in no particular order. KR_END after the last. KR_ERR_OVERRUN: it took so long
 * that objects of the view are gone; begin again. */
KR_API int kr_view_next(struct kr_view *view, struct kr_object *object);
/* Frees what the view holds. view->follow lives on until kr_follow_end. KR_OK: every object was
 * handed out, the set was whole at one position. KR_END: not all were asked for. KR_ERR_OVERRUN and
 * others: what kr_view_next said. */
KR_API int kr_view_end(struct kr_view *view);

struct kr_change {
	enum kr_type type;
	unsigned flags; /* enum kr_change_flags */
	struct kr_list *list;
	uint64_t seq;    /* per shard and incarnation, rising */
	uint64_t digest; /* of the list after this change: compare with your own (kr_object_hash) */
	char resource_version[64];   /* version of the list after this change, as far as known */
	enum kr_list_state state;    /* for KR_STATE */
	struct kr_object object;     /* ADDED, MODIFIED, DELETED */
	struct kr_object old_object; /* MODIFIED, DELETED: what it replaced */
};

/* The next change, waiting up to timeout_ns. KR_TIMEOUT. KR_ERR_OVERRUN: changes were lost; take a
 * new view (this follow says so from now on, as with KR_ERR_CLOSED). While the daemon is away or
 * does not turn: KR_STATE with KR_LIST_STALE, once. After it was replaced: the computed difference
 * (KR_FROM_RESTART), then KR_SYNCED and KR_STATE; or KR_RESET where that cannot be known, and then
 * what follows the reset. */
KR_API int kr_follow_next(struct kr_follow *follow, struct kr_change *change, int64_t timeout_ns);
KR_API int kr_follow_next_flags(
        struct kr_follow *follow, struct kr_change *change, int64_t timeout_ns, unsigned flags);
KR_API void kr_follow_end(struct kr_follow *follow);
/* Borrowed change: were both objects whole? */
KR_API int kr_change_check(struct kr_follow *follow, const struct kr_change *change);
/* The next change of any of the n follows (of one client), fair between them; *which is its index,
 * also on errors of one of them. */
KR_API int kr_follow_any(struct kr_follow *const *follows, size_t n, size_t *which,
        struct kr_change *change, int64_t timeout_ns);
KR_API int kr_follow_any_flags(struct kr_follow *const *follows, size_t n, size_t *which,
        struct kr_change *change, int64_t timeout_ns, unsigned flags);

/* --- differences ------------------------------------------------------------------------- */

/* RFC 7386 merge patch from old_object to object of a change, written to buf, *size = its bytes (no
 * NUL). KR_ERR_SPACE: *size is what is needed. ADDED: the object itself; DELETED: null. No
 * allocation; cost near a memcmp where little changed. Arrays are replaced whole (as the RFC says).
 * Not for changes taken with KR_NO_OLD. */
KR_API int kr_change_diff(
        const struct kr_change *change, char *buf, size_t buf_bytes, size_t *size);
/* The same for any two JSON documents (UTF-8, depth <= 128, no name twice in one object). Applied
 * to from it gives to, but for nulls: the RFC has no way to set a member to null, so one whose new
 * value is null ends up absent (Kubernetes takes that for the same); inside arrays nulls are kept.
 * 1 and 1.0 count as different. KR_ERR_JSON; KR_ERR_LIMIT: thousands of members in another order,
 * the search was given up. */
KR_API int kr_merge_patch(const char *from, size_t from_bytes, const char *to, size_t to_bytes,
        char *buf, size_t buf_bytes, size_t *size);
/* The hash that a digest is the sum of (mod 2^64), for checking yourself: XXH3_64bits of namespace
 * NUL name NUL uid NUL resourceVersion NUL. */
KR_API uint64_t kr_object_hash(
        const char *namespace_, const char *name, const char *uid, const char *resource_version);

#ifdef __cplusplus
}
#endif

#endif
