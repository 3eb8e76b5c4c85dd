/* report.h - what the commands about the daemon itself share.
 */
#ifndef KR_KUBERING_REPORT_H
#define KR_KUBERING_REPORT_H

#include "kubering/args.h"
#include "kubering/text.h"
#include "json/json.h"

/* Asks for the status. raw: the daemon's own bytes, unless NULL. The exit code; dom and raw are the
 * caller's, also on failure. */
int report_status(
        const struct args *a, struct json_dom *dom, struct json_node *root, struct text *raw);
/* 1536 -> "1.5Ki". */
void report_add_bytes(struct text *t, double bytes);
/* An age in seconds as kubectl writes one; "-" for null. */
void report_add_age(struct text *t, struct json_node seconds);
/* "deployments.apps" */
void report_add_resource(struct text *t, struct json_node list);
/* "web -l app=x": the namespace ("*" for all) and the selectors. */
void report_add_scope(struct text *t, struct json_node list);
/* Tables of status, to stdout. */
void report_backends(struct json_node status, const struct args *a);
void report_clusters(struct json_node status, const struct args *a);
void report_lists(struct json_node status, const struct args *a);

#endif
