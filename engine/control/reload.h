/* reload.h - the configuration read again while everything goes on.
 *
 * The whole new one is read and checked first; with an error in it the old one stays in force, and
 * status says which error. Else it is compared with what there is, cluster by cluster:
 *   new       becomes known, and what is kept open of it is opened
 *   gone      its lists are closed, with the reason in their rows
 *   server    its lists are taken again from the new one, on new connections
 *   login     user, authority or server name: new connections, on which the lists resume
 *   options   for what is asked from now on
 *   the same  is not touched: no message goes to its reactor
 * A cluster that cannot be used in the new configuration, and could before, goes on with the old
 * one. A Headlamp backend whose entry changed is another one: its clusters go and come.
 *
 * Realms are numbers in shared memory, by their order: the new ones hold if those that there were
 * come first and in the same order, else the old ones stay. What a realm no longer grants is taken
 * away by cutting off the consumers that have it open; memory that a process has mapped cannot be
 * taken from it. Settings that are used at the start only are named as such, and keep their value.
 */
#ifndef KR_CONTROL_RELOAD_H
#define KR_CONTROL_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct config;
struct control;
struct report;

/* Owner: control. Thread: control. */
struct reload {
	struct config *config; /* own: in force; NULL: that of the start */
	struct config *realms; /* own: whose realms are in force, where that is another one */
	bool kept_realms;      /* they are not config's */
	uint32_t count;
	uint32_t added, removed, changed; /* by the last good one */
	uint64_t at_ns;                   /* the last one; 0: none */
	int64_t good_wall_s;              /* the last good one, or the start: seconds since 1970 */
	struct errmsg failed;             /* code != ERR_OK: of the last one */
	struct errmsg partly;             /* code != ERR_OK: one cluster goes on with what it had */
	char restart[512];                /* settings that wait for a restart: "a, b"; "": none */
};

void reload_run(struct control *c);
/* Status: "configuration". */
void reload_write(const struct control *c, struct report *t);
void reload_fini(struct control *c);

#endif
