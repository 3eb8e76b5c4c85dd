/* watch_priv.h - the inside of a watch: what the files of a watch share. */
#ifndef KR_KUBE_WATCH_PRIV_H
#define KR_KUBE_WATCH_PRIV_H

#include "kube/url.h"
#include "kube/watch.h"

/* watch_state.c */
void watch_enter(struct watch *w, enum watch_state s);
/* CHECKs what holds between two inputs. */
void watch_invariant(const struct watch *w);

/* watch_target.c: the path of the list and its selectors, which every request begins with. */
void watch_target_begin(const struct watch_conf *c, struct url *u, bool *first);

/* watch_pages.c */
/* Longer ones than we keep are no decimal integers, but a server's own. */
static inline bool watch_is_version(struct span rv)
{
	return rv.n && rv.n < WATCH_RV_MAX && !memchr(rv.p, 0, rv.n);
}
/* false: it is none that we keep, and dst is as before. */
static inline bool watch_keep_version(char dst[WATCH_RV_MAX], struct span rv)
{
	if (!watch_is_version(rv))
		return false;
	memcpy(dst, rv.p, rv.n);
	dst[rv.n] = 0;
	return true;
}
void watch_drop_pages(struct watch *w);
/* false: no memory, and nothing is kept. */
bool watch_keep_pages(struct watch *w, const struct json_list_meta *meta) MUST_USE;
/* What leads to the next page; empty: the first one is asked for. */
struct span watch_token(const struct watch *w);
bool watch_is_list(const struct json_list_meta *meta);
/* Behind the first page: is this the one that it leads to, and does it lead on? All pages of one
 * list have one version. */
bool watch_follows(const struct watch *w, const struct json_list_meta *meta);

#endif
