#include "model/model_link.h"

#include "base/check.h"
#include "model/model_conn_priv.h"

#include <stdlib.h>

void model_link_wake(struct model_link *l)
{
	if (l->ready && list_empty(&l->ready_link))
		list_push(l->ready, &l->ready_link);
	model_conn_wake(l->owner);
}

static void inner_ready(struct model_conn *inner)
{
	model_link_wake(model_conn_context(inner));
}

static enum model_link_state cluster_state(struct model_link *l, uint64_t now_ns)
{
	(void)now_ns;
	return model_conn_closed(l->inner) == MODEL_OPEN ? MODEL_LINK_OPEN : MODEL_LINK_ENDED;
}

static void cluster_send(struct model_link *l, struct span s, uint64_t now_ns)
{
	model_conn_feed(l->inner, s, now_ns);
}

static struct span cluster_peek(struct model_link *l, uint64_t now_ns)
{
	return model_conn_peek(l->inner, now_ns);
}

static void cluster_consume(struct model_link *l, size_t n, uint64_t now_ns)
{
	model_conn_consume(l->inner, n, now_ns);
}

static uint64_t cluster_deadline(const struct model_link *l)
{
	return model_conn_deadline_ns(l->inner);
}

static void cluster_free(struct model_link *l)
{
	model_conn_free(&l->inner);
	free(l);
}

static const struct model_link_ops cluster_ops = {
        cluster_state, cluster_send, cluster_peek, cluster_consume, cluster_deadline, cluster_free};

struct model_link *model_link_to_cluster(struct model_server *s, struct model_cluster *cluster,
        const char *user, struct model_conn *owner, uint64_t now_ns)
{
	struct model_link *l = calloc(1, sizeof *l);
	CHECK(l);
	l->ops = &cluster_ops;
	l->owner = owner;
	l->inner = model_conn_new(s, cluster, now_ns);
	l->inner->on_ready = inner_ready;
	model_conn_set_user(l->inner, user);
	model_conn_set_context(l->inner, l);
	return l;
}
