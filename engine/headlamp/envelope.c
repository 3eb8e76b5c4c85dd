#include "headlamp/envelope.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/check.h"
#include "headlamp/flat.h"
#include "headlamp/quoted.h"
#include "json/json.h"

_Static_assert((int)QUOTED_SLACK <= (int)JSON_PADDING, "what is promised behind a message");

/* Owner: a reactor. */
struct buffer {
	char *p; /* own */
	size_t cap;
};
struct envelope_reader {
	struct flat_strings strings;
	struct quoted_moves moves;
	struct buffer fields; /* the unescaped strings of the message */
	struct buffer inner;  /* the unescaped strings of the data of a STATUS or an ERROR */
	size_t data_bytes_max;
};

/* What does not count as data: names, path, query, and members that we do not know. */
enum { ELSE_BYTES_MAX = 1 << 20 };

struct envelope_reader *envelope_reader_new(size_t data_bytes_max)
{
	struct envelope_reader *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	quoted_moves_init(&r->moves);
	r->strings = (struct flat_strings){quoted_best(), &r->moves};
	r->data_bytes_max = data_bytes_max;
	return r;
}

void envelope_reader_free(struct envelope_reader **r)
{
	if (!*r)
		return;
	free((*r)->fields.p);
	free((*r)->inner.p);
	free(*r);
	*r = NULL;
}

/* Room for bytes and the slack; what was in it is gone. */
static bool reserve(struct buffer *b, size_t bytes)
{
	if (b->cap >= bytes + QUOTED_SLACK)
		return true;
	size_t cap = 4096;
	while (cap < bytes + QUOTED_SLACK)
		cap *= 2;
	free(b->p);
	b->p = calloc(1, cap);
	b->cap = b->p ? cap : 0;
	return b->p;
}

#define IS(span, lit) ((span).n == sizeof(lit) - 1 && !memcmp((span).p, (lit), sizeof(lit) - 1))

/* In the order in which the backend writes them; the last one only where there is no type. */
enum { CLUSTER, PATH, QUERY, USER, DATA, BINARY, TYPE, ERROR, FIELDS };
static const struct flat_name fields[FIELDS] = {FLAT("clusterId"), FLAT("path"), FLAT("query"),
        FLAT("userId"), FLAT("data"), FLAT_BOOL("binary"), FLAT("type"), FLAT("error")};
static const struct flat_name status_fields[] = {FLAT("state"), FLAT("error")};
static const struct flat_name error_fields[] = {FLAT("error")};

static bool has(const struct flat *f, size_t i)
{
	return f->seen >> i & 1;
}

static enum envelope_type type_of(const struct flat *f)
{
	if (!has(f, TYPE))
		return has(f, ERROR) ? ENVELOPE_ERROR : ENVELOPE_OTHER;
	struct span s = f->text[TYPE];
	if (IS(s, "DATA"))
		return ENVELOPE_DATA;
	if (IS(s, "COMPLETE"))
		return ENVELOPE_COMPLETE;
	if (IS(s, "STATUS"))
		return ENVELOPE_STATUS;
	return IS(s, "ERROR") ? ENVELOPE_ERROR : ENVELOPE_OTHER;
}

static err_t take_data(
        struct envelope_reader *r, const struct flat *f, struct envelope *out, struct errmsg *m)
{
	struct span data = flat_text(f, has(f, TYPE) ? DATA : ERROR);
	if (data.n && f->truth >> BINARY & 1) {
		char *p = r->fields.p + (data.p - r->fields.p);
		if (!base64_in_place(p, data.n, &data.n))
			return errmsg_set(m, ERR_HEADLAMP_FRAME, "binary data is no base64");
	}
	if (data.n > r->data_bytes_max)
		return errmsg_set(m, ERR_JSON_LIMIT,
		        "Headlamp sent %zu bytes of data; %zu is the most", data.n,
		        r->data_bytes_max);
	out->data = data;
	if (out->type != ENVELOPE_STATUS && out->type != ENVELOPE_ERROR)
		return ERR_OK;
	return reserve(&r->inner, data.n) ? ERR_OK : errmsg_set(m, ERR_NO_MEMORY, "envelope");
}

err_t envelope_read(
        struct envelope_reader *r, struct span message, struct envelope *out, struct errmsg *m)
{
	struct flat f;
	f.names = fields;
	f.count = FIELDS;
	*out = (struct envelope){.type = ENVELOPE_OTHER};
	/* A byte of text takes at most 6 of the message. */
	if (message.n > ELSE_BYTES_MAX && (message.n - ELSE_BYTES_MAX) / 6 > r->data_bytes_max)
		return errmsg_set(m, ERR_JSON_LIMIT, "Headlamp message of %zu bytes", message.n);
	if (!reserve(&r->fields, message.n))
		return errmsg_set(m, ERR_NO_MEMORY, "envelope of %zu bytes", message.n);
	const char *wrong = flat_read(&r->strings, message, &f, r->fields.p);
	if (wrong)
		return errmsg_set(m, ERR_HEADLAMP_FRAME, "%s", wrong);
	out->type = type_of(&f);
	out->cluster = flat_text(&f, CLUSTER);
	out->path = flat_text(&f, PATH);
	out->query = flat_text(&f, QUERY);
	out->user = flat_text(&f, USER);
	return take_data(r, &f, out, m);
}

enum envelope_state envelope_status(
        struct envelope_reader *r, const struct envelope *e, struct span *text)
{
	struct flat f = {.names = status_fields, .count = ARRAY_LEN(status_fields)};
	*text = SPAN_NONE;
	if (e->type != ENVELOPE_STATUS || flat_read(&r->strings, e->data, &f, r->inner.p))
		return ENVELOPE_UNKNOWN;
	*text = flat_text(&f, 1);
	struct span state = flat_text(&f, 0);
	if (IS(state, "connected"))
		return ENVELOPE_CONNECTED;
	if (IS(state, "closed"))
		return ENVELOPE_CLOSED;
	return IS(state, "error") ? ENVELOPE_FAILED : ENVELOPE_UNKNOWN;
}

struct span envelope_error(struct envelope_reader *r, const struct envelope *e)
{
	struct flat f = {.names = error_fields, .count = ARRAY_LEN(error_fields)};
	if (e->type != ENVELOPE_ERROR || flat_read(&r->strings, e->data, &f, r->inner.p) || !f.seen)
		return e->data;
	return f.text[0];
}

/* --- Writing -------------------------------------------------------------------------------- */

struct out {
	char *p;
	size_t n, cap;
};

static void put(struct out *o, const char *p, size_t n)
{
	if (n > o->cap - o->n) {
		o->cap = 0; /* full, for good */
		o->n = 0;
		return;
	}
	if (n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

/* RFC 8259 section 7: what must be escaped, and nothing else. */
static void put_string(struct out *o, struct span s)
{
	static const char hex[] = "0123456789abcdef";
	put(o, "\"", 1);
	for (size_t i = 0, plain = 0; i <= s.n; i++) {
		unsigned char c = i < s.n ? (unsigned char)s.p[i] : 0;
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		put(o, s.p ? s.p + plain : "", i - plain);
		plain = i + 1;
		char unit[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		char simple[2] = {'\\', (char)c};
		if (i < s.n)
			put(o, c < 0x20 ? unit : simple, c < 0x20 ? sizeof unit : sizeof simple);
	}
	put(o, "\"", 1);
}

size_t envelope_write(const struct envelope_request *q, char *out, size_t cap)
{
	struct out o = {out, 0, cap};
	const struct {
		const char *name;
		struct span text;
	} members[] = {
	        {"{\"clusterId\":", q->cluster},
	        {",\"path\":", q->path},
	        {",\"query\":", q->query},
	        {",\"userId\":", q->user},
	        {",\"type\":", q->close ? SPAN("CLOSE") : SPAN("REQUEST")},
	};
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		put(&o, members[i].name, strlen(members[i].name));
		put_string(&o, members[i].text);
	}
	put(&o, "}", 1);
	return o.cap ? o.n : 0;
}
