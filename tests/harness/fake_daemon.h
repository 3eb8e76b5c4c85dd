/* fake_daemon.h - a daemon for tests of libkubering: speaks shm/attach.h on a UNIX socket and owns
 * a real store with real sealed memfds.
 *
 * One thread serves the socket and beats the heart; the test is the reactor: it writes to the
 * store, under fake_lock, and wakes consumers with fake_wake. Lists are opened by whoever asks
 * first, by either side, and stay open. Knobs make it refuse, lie or hang.
 *
 * Ends: fake_stop says goodbye (BYE, STOPPED); fake_kill is what a SIGKILL looks like from outside:
 * the socket is gone, the memory stays as it was. fake_free after either; it may start again at the
 * same path as another incarnation.
 */
#ifndef KR_HARNESS_FAKE_DAEMON_H
#define KR_HARNESS_FAKE_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct fake_daemon;

enum fake_lie { /* what it does wrong, until set to 0 */
	FAKE_LIE_NONE,
	FAKE_LIE_LAYOUT,    /* WELCOME: another layout */
	FAKE_LIE_NO_FDS,    /* WELCOME without descriptors */
	FAKE_LIE_UNSEALED,  /* segments that could be cut */
	FAKE_LIE_SHORT,     /* segments shorter than the directory says */
	FAKE_LIE_NOT_MEMFD, /* segments that are pipes */
	FAKE_LIE_NONSENSE,  /* answers that are no messages */
	FAKE_LIE_SILENT,    /* takes questions, does not answer */
	FAKE_LIE_REFUSE,    /* HELLO: refused with KR_ERR_DENIED */
	FAKE_LIE_CLOSE,     /* closes in the middle of a question */
	FAKE_LIE_PAGE,      /* WELCOME with a page that could be cut */
	FAKE_LIE_FLOOD,     /* BYE again and again instead of WELCOME */
	FAKE_LIE_FULL,      /* OPEN_LIST: refused with KR_ERR_LIMIT */
	FAKE_LIE_PIPE,      /* WELCOME with a pipe, whose reader is gone, for the eventfd */
	FAKE_LIE_NO_PAGE,   /* WELCOME with a page without a byte in it */
	FAKE_LIE_BLOCKING,  /* WELCOME with an eventfd that is waited for */
};

struct fake_config {
	const char *path;          /* of the socket */
	struct store_config store; /* incarnation must differ from life to life */
};

/* Dies with a message on failure: this is a test. */
struct fake_daemon *fake_new(const struct fake_config *config);
void fake_stop(struct fake_daemon *d);
void fake_kill(struct fake_daemon *d);
void fake_free(struct fake_daemon **d);
/* Closes the sockets of all consumers; life goes on. */
void fake_drop(struct fake_daemon *d);

void fake_lie(struct fake_daemon *d, enum fake_lie lie);
void fake_beat(struct fake_daemon *d, bool on); /* the heart */
/* Without O_NONBLOCK, whoever reads an empty eventfd waits, and whoever writes to a full one. */
void fake_block_eventfds(struct fake_daemon *d, bool full);
/* Names that OPEN_LIST refuses: cluster "nowhere" is unknown, resource "denied" is denied,
 * "nothings" unknown, "full" over a limit. */
unsigned fake_opens(struct fake_daemon *d);  /* OPEN_LIST granted so far */
unsigned fake_closes(struct fake_daemon *d); /* CLOSE_LIST seen so far */
unsigned fake_consumers(struct fake_daemon *d);
/* Waits until as many consumers are attached, or as many CLOSE_LIST have come; dies after 20 s. */
void fake_await_consumers(struct fake_daemon *d, unsigned n);
void fake_await_closes(struct fake_daemon *d, unsigned n);

void fake_lock(struct fake_daemon *d);
/* Publishes what was done under the lock: wakes who waits. */
void fake_unlock(struct fake_daemon *d);
struct store *fake_store(struct fake_daemon *d);
/* The list of that cluster and resource (version v1, all namespaces), opened if it is not. Under
 * the lock. */
struct store_list *fake_list(struct fake_daemon *d, const char *cluster, const char *resource);
/* The same of one namespace. */
struct store_list *fake_list_in(
        struct fake_daemon *d, const char *cluster, const char *resource, const char *namespace_);
void fake_close_list(struct fake_daemon *d, const char *cluster, const char *resource);

/* --- objects ------------------------------------------------------------------------------------
 */

enum { FAKE_TEXT_MAX = 320, FAKE_JSON_MAX = 8192 };
/* An object with storage of its own. Its JSON names everything in it, so that a torn one shows. */
struct fake_object {
	char namespace_[FAKE_TEXT_MAX], name[FAKE_TEXT_MAX], uid[FAKE_TEXT_MAX], rv[64];
	char json[FAKE_JSON_MAX + 64];
	struct json_object o;
};
/* generation goes into the uid; rv 0: an opaque version "v". json_bytes: at least what it takes to
 * name everything. */
void fake_object(struct fake_object *o, const char *ns, const char *name, unsigned generation,
        uint64_t rv, size_t json_bytes);
/* Is json what fake_object makes of these strings? */
bool fake_json_is(const char *json, size_t n, const char *ns, const char *name, const char *uid,
        const char *rv);
/* One event, under the lock: fake_object with 200 bytes. */
void fake_put(struct store_list *l, const char *name, unsigned generation, uint64_t rv);
void fake_delete(struct store_list *l, const char *name, unsigned generation, uint64_t rv);
/* A sync of names "n<first>".."n<first + count - 1>" of that generation and object version, at list
 * version rv; then LIVE. Under the lock. */
void fake_sync(
        struct store_list *l, unsigned first, unsigned count, uint64_t object_rv, uint64_t rv);
uint64_t fake_now(void); /* CLOCK_MONOTONIC */

#endif
