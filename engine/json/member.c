#include "json/member.h"

#include "base/check.h"
#include "json/unescape.h"

enum { NAME_BYTES_MAX = 25, ESCAPED_BYTES_MAX = 6 * NAME_BYTES_MAX };

/* A name's text is padded, so that eight bytes can be read from anywhere in it. */
static const struct name {
	char text[NAME_BYTES_MAX + 6];
	uint8_t n;
} names[MEMBER_COUNT] = {
        [MEMBER_TYPE] = {"type", 4},
        [MEMBER_OBJECT] = {"object", 6},
        [MEMBER_KIND] = {"kind", 4},
        [MEMBER_API_VERSION] = {"apiVersion", 10},
        [MEMBER_METADATA] = {"metadata", 8},
        [MEMBER_NAME] = {"name", 4},
        [MEMBER_NAMESPACE] = {"namespace", 9},
        [MEMBER_UID] = {"uid", 3},
        [MEMBER_RESOURCE_VERSION] = {"resourceVersion", 15},
        [MEMBER_MANAGED_FIELDS] = {"managedFields", 13},
        [MEMBER_ANNOTATIONS] = {"annotations", 11},
        [MEMBER_INITIAL_EVENTS_END] = {"k8s.io/initial-events-end", 25},
        [MEMBER_CODE] = {"code", 4},
        [MEMBER_REASON] = {"reason", 6},
        [MEMBER_MESSAGE] = {"message", 7},
        [MEMBER_DETAILS] = {"details", 7},
        [MEMBER_CAUSES] = {"causes", 6},
        [MEMBER_RETRY_AFTER_SECONDS] = {"retryAfterSeconds", 17},
        [MEMBER_CONTINUE] = {"continue", 8},
        [MEMBER_ITEMS] = {"items", 5},
};

/* Length and first byte tell all names apart. */
#define SLOT(n, first) (((n) + 31u * (unsigned char)(first)) % 64)
static const uint8_t by_slot[64] = {
        [SLOT(4, 't')] = MEMBER_TYPE,
        [SLOT(6, 'o')] = MEMBER_OBJECT,
        [SLOT(4, 'k')] = MEMBER_KIND,
        [SLOT(10, 'a')] = MEMBER_API_VERSION,
        [SLOT(8, 'm')] = MEMBER_METADATA,
        [SLOT(4, 'n')] = MEMBER_NAME,
        [SLOT(9, 'n')] = MEMBER_NAMESPACE,
        [SLOT(3, 'u')] = MEMBER_UID,
        [SLOT(15, 'r')] = MEMBER_RESOURCE_VERSION,
        [SLOT(13, 'm')] = MEMBER_MANAGED_FIELDS,
        [SLOT(11, 'a')] = MEMBER_ANNOTATIONS,
        [SLOT(25, 'k')] = MEMBER_INITIAL_EVENTS_END,
        [SLOT(4, 'c')] = MEMBER_CODE,
        [SLOT(6, 'r')] = MEMBER_REASON,
        [SLOT(7, 'm')] = MEMBER_MESSAGE,
        [SLOT(7, 'd')] = MEMBER_DETAILS,
        [SLOT(6, 'c')] = MEMBER_CAUSES,
        [SLOT(17, 'r')] = MEMBER_RETRY_AFTER_SECONDS,
        [SLOT(8, 'c')] = MEMBER_CONTINUE,
        [SLOT(5, 'i')] = MEMBER_ITEMS,
};

static inline uint64_t load(const char *p)
{
	uint64_t x;
	memcpy(&x, p, 8);
	return x;
}

/* raw: with eight readable bytes behind it. */
static inline bool same_name(struct span raw, const struct name *name)
{
	uint64_t differ = load(raw.p) ^ load(name->text);
	if (raw.n < 8)
		return differ << (64 - 8 * raw.n) == 0;
	return differ == 0 && load(raw.p + raw.n - 8) == load(name->text + raw.n - 8) &&
	       (raw.n <= 16 || memcmp(raw.p, name->text, raw.n) == 0);
}

static inline enum member_name plain_name_of(struct span raw)
{
	enum member_name k = by_slot[SLOT(raw.n, raw.p[0])];
	return k && names[k].n == raw.n && same_name(raw, &names[k]) ? k : MEMBER_OTHER;
}

/* Nobody writes our names like this, so all that matters is that it costs little. */
__attribute__((noinline)) static enum member_name escaped_name_of(struct span raw)
{
	char text[ESCAPED_BYTES_MAX + 8] = {0};
	if (raw.n > ESCAPED_BYTES_MAX)
		return MEMBER_OTHER;
	return plain_name_of((struct span){text, unescape(text, raw, NULL)});
}

static inline enum member_name name_of(struct span raw, bool escaped)
{
	return UNLIKELY(escaped) ? escaped_name_of(raw) : plain_name_of(raw);
}

enum member_name member_name_of(struct span raw, bool escaped)
{
	return name_of(raw, escaped);
}

bool member_next(const struct tokens *t, struct member *m)
{
	uint32_t before = m->next || !m->value ? m->next : tokens_skip(t, m->value);
	if (t->code[before] == TOKEN_OBJECT && t->code[before + 1] == TOKEN_OBJECT_END)
		before++;
	if (t->code[before] == TOKEN_OBJECT_END) {
		m->next = before;
		return false;
	}
	m->key = before + 1;
	m->value = before + 3;
	m->next = 0;
	struct span raw = tokens_string(t, m->key);
	m->escaped = tokens_escaped(t, raw);
	m->name = name_of(raw, m->escaped);
	return true;
}
