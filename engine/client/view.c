/* view.c - the public face of scan.h. */
#include "client/follow.h"
#include "client/scan.h"
#include "client/session.h"

#include <stdlib.h>
#include <string.h>

/* Owner: the user, through kr_view. Thread: the client's. Life: kr_view_begin to kr_view_end. */
struct view {
	struct kr_list *list; /* shared(refs) */
	struct scan scan;
	struct object_buf buf;
	unsigned flags;
	int result; /* of kr_view_next when it ended */
};

static void view_free(struct view *v)
{
	scan_fini(&v->scan);
	object_buf_fini(&v->buf);
	list_put(&v->list);
	free(v);
}

int kr_view_begin_flags(struct kr_list *list, struct kr_view *view, unsigned flags)
{
	bool memory = false;
	if (view) /* whatever fails: it may be ended */
		memset(view, 0, sizeof *view);
	int r = list_usable(list);
	if (r != KR_OK)
		return r;
	struct kr_client *c = list->client;
	if (!view || (flags & ~(unsigned)KR_BORROW))
		return client_fail(
		        c, KR_ERR_ARGUMENT, "kr_view_begin: view is NULL, or unknown flags");
	session_glance(c);
	(void)list_settle(list);
	struct view *v = calloc(1, sizeof *v);
	if (!v)
		return client_fail(c, KR_ERR_MEMORY, "out of memory");
	list->refs++;
	v->list = list;
	v->flags = flags;
	enum read_result rr = scan_take(&v->scan, &list->home, &memory);
	if (memory)
		r = client_fail(c, KR_ERR_MEMORY,
		        "no memory for a view of the list: it takes 17 bytes per object");
	else
		r = mapping_fail(list->home.shard, rr);
	if (r != KR_OK) {
		view_free(v);
		return r;
	}
	struct follow_start start = {v->scan.position, v->scan.digest};
	follow_prepare(&view->follow, list, &list->home, &start);
	view->digest = v->scan.digest;
	view->count = v->scan.count;
	view->whole = v->scan.whole;
	memcpy(view->resource_version, v->scan.rv, sizeof view->resource_version);
	view->_private[0] = v;
	return KR_OK;
}

int kr_view_begin(struct kr_list *list, struct kr_view *view)
{
	return kr_view_begin_flags(list, view, 0);
}

int kr_view_next(struct kr_view *view, struct kr_object *object)
{
	struct object_guard guard;
	if (!view || !object || !view->_private[0])
		return KR_ERR_ARGUMENT;
	struct view *v = view->_private[0];
	if (v->result != KR_OK)
		return v->result;
	if (v->list->closed)
		return list_usable(v->list);
	if (!scan_next(&v->scan, &guard))
		return v->result = KR_END;
	scan_prefetch(&v->scan);
	int r = object_take(v->scan.shard, &guard, &v->buf, v->flags, object);
	if (r == KR_ERR_OVERRUN)
		r = client_fail(v->list->client, r,
		        "this view took so long that objects of it are gone; begin again "
		        "(kr_view_begin)");
	if (r == KR_ERR_MEMORY) {
		v->scan.at--; /* the same one again */
		return r;
	}
	return v->result = r;
}

int kr_view_end(struct kr_view *view)
{
	if (!view || !view->_private[0])
		return KR_ERR_ARGUMENT;
	struct view *v = view->_private[0];
	struct object_guard guard;
	int r = v->result;
	if (r == KR_END || (r == KR_OK && !scan_next(&v->scan, &guard)))
		r = KR_OK;
	else if (r == KR_OK)
		r = KR_END; /* stopped early */
	view->_private[0] = NULL;
	view_free(v);
	return r;
}
