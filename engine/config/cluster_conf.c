#include "config/cluster_conf.h"

void cluster_conf_fini(struct cluster_conf *c)
{
	arena_fini(&c->arena);
	*c = (struct cluster_conf){0};
}
