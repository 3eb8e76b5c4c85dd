/* source.h - the daemon's side of a command: connect, resolve what was asked for, open the lists,
 * wait for them.
 */
#ifndef KR_KUBERING_SOURCE_H
#define KR_KUBERING_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/kubering.h"
#include "kubering/args.h"
#include "json/json.h"

/* One kind of object, as discovery names it. */
struct kind {
	char *group, *version, *resource, *kind;
	bool namespaced;
	char *api_version; /* "v1", "apps/v1" */
};

/* One list in one cluster. */
struct source {
	char *cluster;
	char *namespace_; /* what is asked for; "": all, or there are none */
	struct kind kind;
	struct kr_list *list;
	void *format; /* of whoever prints it; see print/columns.h */
};

/* Owner: the command. Thread: one. Life: sources_open to sources_close. */
struct sources {
	struct kr_client *client;
	struct source *v;
	size_t n;
	int code; /* of clusters that were left out: CODE_OK or the first failure */
	bool show_cluster, show_namespace;
};

/* CLOCK_MONOTONIC, as the library measures. */
int64_t source_clock_ns(void);
/* Connects, or says why not and gives the exit code. */
int source_connect(const struct args *a, struct kr_client **client);
/* The same, for answers that take up to so long. */
int source_connect_for(const struct args *a, int64_t ns, struct kr_client **client);
/* kr_query into a DOM; the exit code. The DOM is the caller's, also on failure. */
int source_query(
        struct kr_client *client, const char *what, struct json_dom *dom, struct json_node *root);
/* The exit code. With --all-clusters one cluster's failure is said and remembered in code, the
 * others go on. */
int sources_open(struct sources *s, const struct args *a);
void sources_close(struct sources *s);

enum source_want { SOURCE_LIVE, SOURCE_WHOLE };
/* Waits for all of them, showing progress on a terminal; drops those that cannot come (code says
 * so). fresh_ns: how long nothing may move when no --timeout was given; KR_FOREVER = for ever. */
int sources_wait(struct sources *s, const struct args *a, enum source_want want, int64_t fresh_ns);

#endif
