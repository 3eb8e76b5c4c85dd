/* member.h - walking the members of an object in a token list, and the names that we look for.
 * Private to this room. */
#ifndef KR_JSON_MEMBER_H
#define KR_JSON_MEMBER_H

#include "json/tokens.h"

/* Every name that means something to us, anywhere. */
enum member_name {
	MEMBER_OTHER,
	MEMBER_TYPE,
	MEMBER_OBJECT,
	MEMBER_KIND,
	MEMBER_API_VERSION,
	MEMBER_METADATA,
	MEMBER_NAME,
	MEMBER_NAMESPACE,
	MEMBER_UID,
	MEMBER_RESOURCE_VERSION,
	MEMBER_MANAGED_FIELDS,
	MEMBER_ANNOTATIONS,
	MEMBER_INITIAL_EVENTS_END, /* k8s.io/initial-events-end */
	MEMBER_CODE,
	MEMBER_REASON,
	MEMBER_MESSAGE,
	MEMBER_DETAILS,
	MEMBER_CAUSES,
	MEMBER_RETRY_AFTER_SECONDS,
	MEMBER_CONTINUE,
	MEMBER_ITEMS,
	MEMBER_COUNT,
};

struct member {
	enum member_name name;
	bool escaped;        /* the name was written with escapes */
	uint32_t key, value; /* tokens */
	uint32_t next; /* the token behind the value, a comma or the closing brace; 0: not looked
	                * for yet. Who has walked the value knows it and may set it. */
};

/* Before the first member of the object that starts at `open`. */
static inline struct member member_first(uint32_t open)
{
	return (struct member){.next = open};
}

/* Goes to the next member. False: there is none, and m->next is the closing brace. */
bool member_next(const struct tokens *t, struct member *m);

/* Looks for m->next if need be. */
static inline uint32_t member_end(const struct tokens *t, struct member *m)
{
	if (!m->next)
		m->next = tokens_skip(t, m->value);
	return m->next;
}

/* By its written form; raw may hold escapes. */
enum member_name member_name_of(struct span raw, bool escaped);

static inline bool member_is_null(const struct tokens *t, uint32_t value)
{
	return t->code[value] == TOKEN_SCALAR && t->doc.p[t->pos[value]] == 'n';
}

#endif
