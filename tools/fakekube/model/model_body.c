#include "model/model_body.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

static char *copy(const char *s)
{
	char *p = s ? strdup(s) : NULL;
	CHECK(!s || p);
	return p;
}

static void set_members(struct model_body *b, const char *members, const char *comma)
{
	size_t n = strlen(members), lead = n && *comma ? 1 : 0;
	b->members = malloc(n + lead + 1);
	CHECK(b->members);
	memcpy(b->members, comma, lead);
	memcpy(b->members + lead, members, n + 1);
	b->members_bytes = n + lead;
	b->has_members = true;
}

struct model_body *model_body_of(
        struct model_library *lib, const struct model_spec *s, struct model_body *old)
{
	if (!s->annotations && !s->members && !s->managed_fields && !s->uid)
		return model_body_get(old);
	struct model_body *b = calloc(1, sizeof *b);
	CHECK(b);
	b->refs = 1;
	if (s->uid)
		snprintf(b->uid, sizeof b->uid, "%s", s->uid);
	else if (old)
		memcpy(b->uid, old->uid, sizeof b->uid);
	b->annotations = s->annotations ? model_labels_intern(&lib->labels, s->annotations)
	                 : old          ? old->annotations
	                                : NULL;
	b->managed_fields = copy(s->managed_fields ? s->managed_fields
	                         : old             ? old->managed_fields
	                                           : NULL);
	if (s->members)
		set_members(b, s->members, ",");
	else if (old && old->has_members)
		set_members(b, old->members, "");
	return b;
}

struct model_body *model_body_get(struct model_body *b)
{
	if (b)
		b->refs++;
	return b;
}

void model_body_put(struct model_body *b)
{
	if (!b || --b->refs)
		return;
	free(b->managed_fields);
	free(b->members);
	free(b);
}
