/* discovery.h - which resources a cluster serves, and what people call them. Filled from the
 * server's answers (aggregated discovery v2 or v2beta1 where the server has it, else APIGroupList +
 * APIResourceList), asked as kubectl asks: "po", "pod", "pods", "deployments.apps",
 * "deployments.v1.apps".
 *
 * Pure: documents in, answers out. Asked for what is in none of the documents, the answer is
 * "unknown", never a guess.
 */
#ifndef KR_KUBE_DISCOVERY_H
#define KR_KUBE_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"

enum {
	DISCOVERY_RESOURCES_MAX = 20000,
	DISCOVERY_SHORT_NAMES_MAX = 8,
	DISCOVERY_TEXT_MAX = 8 << 20, /* strings of one cluster */
};

#define DISCOVERY_ACCEPT                                                                           \
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"                    \
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"               \
	"application/json"

struct discovery_resource { /* strings live as long as the discovery, NUL-terminated */
	const char *group, *version, *resource, *singular, *kind;
	const char *short_names[DISCOVERY_SHORT_NAMES_MAX];
	bool namespaced, can_list, can_watch;
};

/* Owner: whoever keeps a cluster. Not thread-safe. */
struct discovery;

struct discovery *discovery_new(void); /* NULL: out of memory */
/* Drops one reference. */
void discovery_free(struct discovery **d);

/* Discoveries in use. Most clusters of a fleet serve the same: they share one. Owner: whoever keeps
 * the clusters; must outlive what is in it. */
struct discovery_pool {
	struct list all;
};
void discovery_pool_init(struct discovery_pool *p);
/* *d is complete: nobody adds to it any more, and memory that it does not need is given back. If an
 * equal one is in the pool, *d is that one. */
void discovery_share(struct discovery_pool *p, struct discovery **d);

/* An answer of /api or /apis. What kind of document it is, is read from it:
 *   APIGroupDiscoveryList           everything is in it
 *   APIVersions, APIGroupList       names what has to be asked for next: discovery_missing()
 *   APIResourceList                 the resources of one group and version
 * ERR_JSON_SYNTAX, ERR_JSON_SHAPE (none of these), ERR_LIMIT, ERR_NO_MEMORY. */
err_t discovery_add(struct discovery *d, struct span document) MUST_USE;
/* The next path to ask for ("/apis/apps/v1"), or NULL when nothing is missing. Each is given once.
 */
const char *discovery_missing(struct discovery *d);

/* Resolves a name. The group order of the server decides between groups, the core group first; the
 * preferred version within one. Returns NULL when nothing has that name. */
const struct discovery_resource *discovery_resolve(const struct discovery *d, struct span name);
/* An exact group, version and plural. */
const struct discovery_resource *discovery_find(
        const struct discovery *d, struct span group, struct span version, struct span resource);
size_t discovery_count(const struct discovery *d);
/* No resource is known, and nothing is left to ask for. */
bool discovery_is_empty(const struct discovery *d);

#endif
