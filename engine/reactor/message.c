#include "reactor/reactor.h"
#include "wire/tls.h"

#include <stdlib.h>

static bool is_answered(enum reactor_msg_type type)
{
	return type == REACTOR_CLUSTER_REMOVE || type == REACTOR_LIST_OPEN ||
	       type == REACTOR_LIST_CLOSE || type == REACTOR_CONSUMER_REMOVE ||
	       type == REACTOR_FETCH || type == REACTOR_STATUS || type == REACTOR_AUDIT ||
	       type == REACTOR_STOP;
}

struct reactor_msg *reactor_msg_new(enum reactor_msg_type type)
{
	struct reactor_msg *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	list_init(&m->link);
	m->type = type;
	if (is_answered(type) && !(m->answer = calloc(1, sizeof *m->answer))) {
		free(m);
		return NULL;
	}
	return m;
}

void reactor_msg_free(struct reactor_msg **mp)
{
	struct reactor_msg *m = *mp;
	*mp = NULL;
	if (!m)
		return;
	switch (m->type) {
	case REACTOR_CLUSTER_ADD:
	case REACTOR_CLUSTER_CHANGE:
		free(m->cluster_spec.name);
		free(m->cluster_spec.host);
		free(m->cluster_spec.prefix);
		free(m->cluster_spec.context);
		free(m->cluster_spec.user);
		break;
	case REACTOR_LIST_OPEN:
		free(m->list_spec.group);
		free(m->list_spec.version);
		free(m->list_spec.resource);
		free(m->list_spec.namespace_);
		free(m->list_spec.labels);
		free(m->list_spec.fields);
		break;
	case REACTOR_CLUSTER_CREDENTIAL:
		auth_put(&m->credential.auth);
		tls_config_put(&m->credential.tls);
		break;
	case REACTOR_FETCH:
		free(m->fetch.target);
		free(m->fetch.accept);
		break;
	default: break;
	}
	reactor_note_free(&m->answer);
	free(m);
}

void reactor_note_free(struct reactor_note **np)
{
	struct reactor_note *n = *np;
	*np = NULL;
	if (!n)
		return;
	free(n->body);
	free(n->status);
	free(n);
}
