#include "reactor/reactor.h"

#include <stdlib.h>
#include <string.h>

struct auth *auth_new(void)
{
	struct auth *a = calloc(1, sizeof *a);
	if (a)
		atomic_init(&a->refs, 1);
	return a;
}

static void wipe(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

void auth_put(struct auth **ap)
{
	struct auth *a = *ap;
	*ap = NULL;
	if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
		return;
	wipe(a->authorization);
	for (size_t i = 0; i < a->field_count; i++) {
		free(a->fields[i].name);
		wipe(a->fields[i].value); /* a backend's token, perhaps */
	}
	free(a->fields);
	wipe(a->upgrade_cookie);
	free(a);
}
