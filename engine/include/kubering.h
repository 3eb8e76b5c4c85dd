/* kubering.h - libkubering: read Kubernetes lists that kuberingd keeps up to date in shared memory,
 * and follow their changes.
 *
 * Conventions, valid for every function below:
 *  1. Functions return enum kr_result: 0 = done, positive = nothing wrong but nothing more (END,
 * TIMEOUT), negative = error. kr_strerror() names a result; kr_last_error() says in one sentence
 * what happened last on a client and what to do.
 *  2. A client and everything opened from it belong to one thread at a time. Different clients are
 * independent. The library starts no thread, installs no signal handler, prints nothing, never ends
 * the process, and needs libc only. After fork() the child may call kr_close() on it and nothing
 * else: both share one socket, and the daemon sees that the parent has gone only when the child
 * has, too.
 *  3. Nothing blocks unless it takes timeout_ns. 0 = do not wait; KR_FOREVER = no limit.
 *  4. Safe by default: objects handed out were checked after they were copied, into a buffer of the
 * view or follow; they are whole and stay valid until the next call on the same view or follow.
 * With KR_BORROW they point into shared memory instead: no copy, but the bytes may be replaced
 *     under you (a string may even lose its end); act on what you read only after kr_check() or
 * kr_change_check() has said KR_OK. Strings of objects are never NULL.
 *  5. JSON handed out has at least KR_PADDING readable bytes behind it, so SIMD parsers can run on
 * it in place.
 *  6. Structs that you pass in start with their size. Unknown non-zero bytes behind what this
 * library knows are refused (KR_ERR_ARGUMENT).
 *  7. Strings are NUL-terminated UTF-8. A NULL string in a spec means "".
 *  8. The shared memory is treated as hostile: a corrupt segment gives KR_ERR_CORRUPT, never a
 * crash.
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
	KR_DELETED = 3, /* object: its last state (empty json when the deletion was found by a
	                   relist); old_object: what we had */
	KR_SYNCED = 4,  /* the list is whole at resource_version: first sync, or end of a relist */
	KR_STATE = 5,   /* the list's state changed: see state; the objects did not */
	KR_RESET = 6,   /* the set changed as a whole (or the daemon was replaced): take the list
	                   again */
};

enum kr_change_flags {
	KR_FINAL_STATE_UNKNOWN = 1, /* DELETED, found missing by a relist */
	KR_FROM_RELIST = 2,
	KR_RECREATED = 4,     /* same name, other uid: DELETED and ADDED follow each other */
	KR_LAGGING = 8,       /* this follower has used 3/4 of the ring: hurry, or be overrun */
	KR_FROM_RESTART = 16, /* computed difference after the daemon was replaced */
};

enum kr_list_state {
	KR_LIST_IDLE = 0,
	KR_LIST_CONNECTING = 1,
	KR_LIST_LISTING = 2,
	KR_LIST_LIVE = 3,
	KR_LIST_STALE = 4,
	KR_LIST_RESUMING = 5,
	KR_LIST_RELISTING = 6,
	KR_LIST_PARKED = 7 /* forbidden, absent or refused; asked again slowly */,
	KR_LIST_CLOSED = 8,
};

enum kr_flags {
	KR_BORROW = 1, /* bytes in shared memory instead of a copy: see 4 */
	KR_NO_OLD = 2, /* kr_follow_next_flags: leave old_object empty (half the copying) */
};

struct kr_client;
struct kr_list;

struct kr_object {
	const char *namespace_; /* "" for cluster-scoped objects */
	const char *name;
	const char *uid;
	const char *resource_version;
	const char *json; /* the object as the server sent it, metadata.managedFields cut out unless
	                     asked for */
	size_t json_bytes;
	uint64_t recv_ns;   /* CLOCK_MONOTONIC when the daemon had read it from its socket */
	uint64_t json_hash; /* XXH3_64bits of json, as the daemon wrote it; not checked here */
	uint64_t _private[4];
};

/* --- client ------------------------------------------------------------------------------ */

struct kr_options {
	size_t size;
	const char *socket_path; /* NULL: $KUBERING_SOCKET; else, not for root and where it exists,
	                            $XDG_RUNTIME_DIR/kubering.sock; else
	                            /run/kubering/kubering.sock */
	const char *name;        /* shown in `kubering status`; NULL: the program's name */
	int64_t timeout_ns;      /* for connect and for each question to the daemon; 0 = 5 s */
};

/* Attaches to the daemon. options may be NULL. On failure *client is NULL. KR_ERR_UNREACHABLE,
 * _DENIED, _VERSION, _SYSTEM, _MEMORY. */
KR_API int kr_connect(struct kr_client **client, const struct kr_options *options);
/* Closes every list and detaches. NULL is fine. */
KR_API void kr_close(struct kr_client *client);
/* Becomes readable (poll, epoll, libuv, Go) when a list of this client may have changed or the
 * daemon went away. Then call kr_follow_next() with timeout 0 until KR_TIMEOUT, which arms the
 * descriptor again. Owned by the client. */
KR_API int kr_fd(struct kr_client *client);
/* Text of the last failure on this client, "" if none. Valid until the next call on it. client may
 * be NULL: the last kr_connect of this thread. */
KR_API const char *kr_last_error(const struct kr_client *client);
KR_API const char *kr_strerror(int result);
/* "0.1.0"; and the layout version "1.0". Static. */
KR_API const char *kr_version(void);
KR_API const char *kr_layout_version(void);
/* A JSON document from the daemon: what = "status", or "resolve CLUSTER RESOURCE" (short names,
 * groups; answers group, version, resource, kind, namespaced, short_names), or "audit CLUSTER ID"
 * (a list's id of the status; the daemon's user and root only; answers verdict and text). *json is
 * malloc'ed; free() it. KR_TIMEOUT: the daemon is there, but the cluster has not answered it within
 * the client's timeout. */
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
 * finds group, version and plural of what people write. KR_ERR_UNKNOWN_CLUSTER, _DENIED, _LIMIT,
 * _UNREACHABLE, _ARGUMENT. */
KR_API int kr_list_open(
        struct kr_client *client, const struct kr_list_spec *spec, struct kr_list **list);
/* Gives the list back; the last closer ends the watch after a linger. Views and follows of it are
 * dead after this: only kr_view_end and kr_follow_end may still be called on them. NULL is fine. */
KR_API void kr_list_close(struct kr_list *list);
/* Waits until the list is live (whole and fresh). KR_TIMEOUT; KR_ERR_STALE with kr_last_error() =
 * the reason when it is parked: forbidden, absent, or a question that the server does not take, a
 * selector as a rule (KUBE_SERVER and "400 ..." in kr_list_status()). */
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
	uint64_t digest, objects, bytes, events, relists;
	uint64_t sync_objects; /* received so far in the sync under way */
	int64_t byte_age_ns, event_age_ns, bookmark_age_ns; /* since the last of each; -1 = never */
	int64_t stale_ns;    /* for how long it has not been live; 0 = live */
	char error_name[32]; /* "" or a word such as "KUBE_FORBIDDEN" */
	char error_text[168];
};
/* Asks nobody: read from shared memory. */
KR_API int kr_list_status(struct kr_list *list, struct kr_list_status *status);

/* Finds one object. Copies it into the list's buffer (valid until the next kr_get on this list), or
 * borrows it with KR_BORROW. KR_ERR_NOT_FOUND: it is not in the list, which means little before the
 * list is whole. KR_ERR_STUCK: for 250 ms it could not be told, as where a list of more than some
 * million objects is taken anew: ask again. */
KR_API int kr_get(struct kr_list *list, const char *namespace_, const char *name, unsigned flags,
        struct kr_object *object);
/* After reading a borrowed object (of kr_get or kr_view_next): KR_OK = it was whole all the time.
 * KR_ERR_TORN otherwise. */
KR_API int kr_check(struct kr_list *list, const struct kr_object *object);

/* --- view and follow ---------------------------------------------------------------------
 * A view is the list at one position; a follow is every change after a position, in order, each
 * exactly once. view.follow starts where the view stands, so view + follow has no gap. A follow
 * begins with the first kr_follow_next on it and holds memory from then to kr_follow_end; one that
 * never began holds nothing. Do not copy a follow that has begun.
 *
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
 * KR_ERR_OVERRUN: it changed faster than it could be read, again and again; begin again.
 * KR_ERR_MEMORY, _STUCK, _CLOSED, _CORRUPT, _UNREACHABLE, _SYSTEM. */
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
	uint64_t digest; /* of the list after this change: compare with your own (README, "Check
	                    yourself") */
	char resource_version[64];   /* version of the list after this change, as far as known */
	enum kr_list_state state;    /* for KR_STATE */
	struct kr_object object;     /* ADDED, MODIFIED, DELETED */
	struct kr_object old_object; /* MODIFIED, DELETED: what it replaced */
};

/* The next change, waiting up to timeout_ns. KR_TIMEOUT. KR_ERR_OVERRUN: changes were lost; take a
 * new view (this follow says so from now on). KR_ERR_CLOSED. While the daemon is away or does not
 * turn: KR_STATE with KR_LIST_STALE, once. After it was replaced: the computed difference
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
