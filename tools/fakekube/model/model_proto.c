#include "model/model_proto.h"

#include "base/check.h"
#include "model/model_render.h"

#include <stdlib.h>

#define DEPTH_MAX 32

/* --- the wire --- */

unsigned model_proto_varint_bytes(uint64_t v)
{
	unsigned n = 1;
	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

static void varint_at(char *at, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*at++ = (char)(v | 0x80);
	*at = (char)v;
}

void model_proto_varint(struct model_text *t, uint64_t v)
{
	char *at = model_text_reserve(t, 10);
	varint_at(at, v);
	t->n += model_proto_varint_bytes(v);
}

size_t model_proto_open(struct model_text *t, unsigned number, unsigned width)
{
	model_proto_varint(t, number << 3 | 2);
	model_text_reserve(t, width);
	t->n += width;
	return t->n;
}

void model_proto_close(struct model_text *t, size_t content, unsigned width)
{
	size_t n = t->n - content;
	unsigned right = model_proto_varint_bytes(n);
	size_t at = content - width;
	if (right != width) {
		if (right > width)
			model_text_reserve(t, right - width);
		memmove(t->p + at + right, t->p + content, n);
		t->n = at + right + n;
	}
	varint_at(t->p + at, n);
}

void model_proto_string(struct model_text *t, unsigned number, struct span s)
{
	model_proto_varint(t, number << 3 | 2);
	model_proto_varint(t, s.n);
	model_text_span(t, s);
}

/* --- what is written: bytes, or a program --- */

enum op_kind { OP_COPY, OP_OPEN, OP_CLOSE, OP_TEXT, OP_VARINT, OP_SECONDS };

struct op {
	enum op_kind kind;
	uint32_t at, n; /* OP_COPY: of the bytes */
	char slot;
};

struct model_program {
	struct model_text bytes;
	struct op *ops; /* own */
	size_t count, cap, copied;
};

/* Where a translation goes. program NULL: at once, to. Else to is the program's bytes. */
struct sink {
	struct model_text *to;
	struct model_program *program;
	size_t open[DEPTH_MAX];
	unsigned depth;
};

static void push_op(struct model_program *p, struct op op)
{
	if (p->count == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 64;
		p->ops = realloc(p->ops, p->cap * sizeof *p->ops);
		CHECK(p->ops);
	}
	p->ops[p->count++] = op;
}

static void end_copy(struct model_program *p)
{
	if (p->bytes.n > p->copied)
		push_op(p, (struct op){OP_COPY, (uint32_t)p->copied,
		                   (uint32_t)(p->bytes.n - p->copied), 0});
	p->copied = p->bytes.n;
}

static void emit_op(struct sink *s, enum op_kind kind, char slot)
{
	CHECK(s->program); /* a slot in what is not a template */
	end_copy(s->program);
	push_op(s->program, (struct op){.kind = kind, .slot = slot});
}

static bool emit_open(struct sink *s, unsigned number)
{
	if (s->depth == DEPTH_MAX)
		return false;
	if (s->program) {
		model_proto_varint(s->to, number << 3 | 2);
		emit_op(s, OP_OPEN, 0);
		s->open[s->depth] = s->program->count;
	} else {
		s->open[s->depth] = model_proto_open(s->to, number, 1);
	}
	s->depth++;
	return true;
}

/* What has been opened last has no slot in it: its length is known, and it is bytes like those
 * before it. */
static void fold(struct model_program *p)
{
	size_t content = p->copied, n = p->bytes.n - content;
	unsigned width = model_proto_varint_bytes(n);
	model_text_reserve(&p->bytes, width);
	memmove(p->bytes.p + content + width, p->bytes.p + content, n);
	varint_at(p->bytes.p + content, n);
	p->bytes.n += width;
	p->count--; /* the OP_OPEN, and the copy of its tag */
	CHECK(p->count && p->ops[p->count - 1].kind == OP_COPY);
	p->copied = p->ops[--p->count].at;
}

static void emit_close(struct sink *s)
{
	s->depth--;
	if (s->program && s->program->count == s->open[s->depth])
		fold(s->program);
	else if (s->program)
		emit_op(s, OP_CLOSE, 0);
	else
		model_proto_close(s->to, s->open[s->depth], 1);
}

static uint64_t slot_number(const struct model_version *v, char slot)
{
	switch ((enum model_slot)slot) {
	case MODEL_SLOT_NODE: return model_object_node(v->object);
	case MODEL_SLOT_CHANGES: return v->changes;
	case MODEL_SLOT_GENERATION: return v->generation;
	default: break;
	}
	check_failed(__FILE__, __LINE__, "a slot that is no number");
}

void model_program_run(const struct model_program *p, const struct model_version *v,
        uint64_t wrote_ns, struct model_text *out)
{
	size_t open[DEPTH_MAX];
	unsigned depth = 0;
	for (const struct op *o = p->ops; o < p->ops + p->count; o++) {
		switch (o->kind) {
		case OP_COPY: model_text_put(out, p->bytes.p + o->at, o->n); break;
		case OP_OPEN:
			model_text_reserve(out, 1);
			open[depth++] = ++out->n;
			break;
		case OP_CLOSE: model_proto_close(out, open[--depth], 1); break;
		case OP_TEXT: model_render_slot(v, o->slot, wrote_ns, out); break;
		case OP_VARINT: model_proto_varint(out, slot_number(v, o->slot)); break;
		case OP_SECONDS:
			model_proto_varint(
			        out, (uint64_t)(o->slot == MODEL_SLOT_CREATED ? v->created_s
			                                                      : v->changed_s));
			break;
		}
	}
}

void model_program_free(struct model_program **pp)
{
	struct model_program *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	model_text_fini(&p->bytes);
	free(p->ops);
	free(p);
}

/* --- reading JSON --- */

struct reader {
	const char *p, *end;
	struct sink *sink;
	struct span *unknown; /* NULL: nobody asks */
};

static bool put_members(struct reader *r, const struct model_proto_message *m);

static char peek(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
		r->p++;
	return r->p < r->end ? *r->p : 0;
}

static bool take(struct reader *r, char c)
{
	if (peek(r) != c)
		return false;
	r->p++;
	return true;
}

/* What stands between the quotes. plain: neither an escape nor a slot is in it. */
static bool read_string(struct reader *r, struct span *s, bool *plain)
{
	if (!take(r, '"'))
		return false;
	const char *p = r->p;
	*plain = true;
	for (; p < r->end && *p != '"'; p++) {
		if (*p == '\\') {
			*plain = false;
			p++;
		} else if (*p == MODEL_SLOT[0]) {
			*plain = false;
		}
	}
	if (p >= r->end)
		return false;
	*s = (struct span){r->p, (size_t)(p - r->p)};
	r->p = p + 1;
	return true;
}

static struct span read_scalar(struct reader *r)
{
	peek(r);
	const char *from = r->p;
	while (r->p < r->end && !memchr(",:]}[{\" \n\r\t", *r->p, 11))
		r->p++;
	return (struct span){from, (size_t)(r->p - from)};
}

static bool skip_value(struct reader *r, struct span *all)
{
	size_t depth = 0;
	peek(r);
	const char *from = r->p;
	do {
		struct span s;
		bool plain;
		char c = peek(r);
		if (c == '"') {
			if (!read_string(r, &s, &plain))
				return false;
		} else if (c == '{' || c == '[') {
			depth++;
			r->p++;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
			r->p++;
		} else if ((c == ',' || c == ':') && depth) {
			r->p++;
		} else if (read_scalar(r).n == 0) {
			return false;
		}
	} while (depth);
	*all = (struct span){from, (size_t)(r->p - from)};
	return true;
}

/* --- strings --- */

static unsigned hex4(const char *p)
{
	unsigned v = 0;
	for (int i = 0; i < 4; i++) {
		unsigned c = (unsigned char)p[i], lower = c | 0x20;
		unsigned d = c <= '9' ? c - '0' : lower - 'a' + 10;
		if (d > 15)
			return UINT32_MAX;
		v = v << 4 | d;
	}
	return v;
}

static void put_rune(struct model_text *t, unsigned c)
{
	char b[4];
	size_t n = 0;
	if (c < 0x80) {
		b[n++] = (char)c;
	} else if (c < 0x800) {
		b[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		b[n++] = (char)(0xe0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 63));
	} else {
		b[n++] = (char)(0xf0 | c >> 18);
		b[n++] = (char)(0x80 | (c >> 12 & 63));
		b[n++] = (char)(0x80 | (c >> 6 & 63));
	}
	if (c >= 0x80)
		b[n++] = (char)(0x80 | (c & 63));
	model_text_put(t, b, n);
}

/* \uXXXX at p, or two of them for one character. Returns the bytes read; 0: it is none. */
static size_t put_unicode(struct model_text *t, struct span s)
{
	if (s.n < 6)
		return 0;
	unsigned c = hex4(s.p + 2), low;
	if (c == UINT32_MAX)
		return 0;
	bool high = c >= 0xd800 && c < 0xdc00;
	if (high && s.n >= 12 && s.p[6] == '\\' && s.p[7] == 'u' &&
	        (low = hex4(s.p + 8)) >= 0xdc00 && low < 0xe000) {
		put_rune(t, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
		return 12;
	}
	put_rune(t, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return 6;
}

static bool put_text(struct sink *out, struct span s)
{
	static const char escapes[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
	for (size_t i = 0, from = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] != '\\' && s.p[i] != MODEL_SLOT[0])
			continue;
		model_text_put(out->to, s.p + from, i - from);
		if (i == s.n)
			return true;
		if (i + 1 == s.n)
			return false;
		const char *e = memchr(escapes, s.p[i + 1], sizeof escapes - 1);
		if (s.p[i] == MODEL_SLOT[0]) {
			emit_op(out, OP_TEXT, s.p[i + 1]);
			i++;
		} else if (e) {
			model_text_put(out->to, &plain[e - escapes], 1);
			i++;
		} else {
			size_t n = s.p[i + 1] == 'u'
			                   ? put_unicode(out->to, (struct span){s.p + i, s.n - i})
			                   : 0;
			if (n == 0)
				return false;
			i += n - 1;
		}
		from = i + 1;
	}
	return true;
}

static bool put_string(struct reader *r, unsigned number)
{
	struct span s;
	bool plain;
	if (!read_string(r, &s, &plain))
		return false;
	if (plain) {
		model_proto_string(r->sink->to, number, s);
		return true;
	}
	bool ok = emit_open(r->sink, number) && put_text(r->sink, s);
	if (ok)
		emit_close(r->sink);
	return ok;
}

/* --- values --- */

static bool put_int(struct reader *r, unsigned number)
{
	struct span s = read_scalar(r);
	model_proto_varint(r->sink->to, number << 3);
	if (s.n == 2 && s.p[0] == MODEL_SLOT[0]) {
		emit_op(r->sink, OP_VARINT, s.p[1]);
		return true;
	}
	bool negative = s.n && s.p[0] == '-';
	uint64_t v = 0;
	for (size_t i = negative; i < s.n; i++) {
		unsigned d = (unsigned)(s.p[i] - '0');
		if (d > 9)
			return false;
		v = v * 10 + d;
	}
	model_proto_varint(r->sink->to, negative ? 0 - v : v);
	return s.n > negative;
}

/* Days since 1970 of a date of the Gregorian calendar: years begin in March, eras have 400. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned of_era = (unsigned)(y - era * 400);
	unsigned of_year = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
	return era * 146097 + (int64_t)(of_era * 365 + of_era / 4 - of_era / 100 + of_year) -
	       719468;
}

static unsigned digits(const char *p, unsigned n)
{
	unsigned v = 0;
	while (n--)
		v = v * 10 + (unsigned)(*p++ - '0');
	return v;
}

static bool put_time(struct reader *r, unsigned number)
{
	struct span s;
	bool plain;
	if (!read_string(r, &s, &plain) || !emit_open(r->sink, number))
		return false;
	model_text_put(r->sink->to, "\x08", 1);
	if (s.n == 2 && s.p[0] == MODEL_SLOT[0])
		emit_op(r->sink, OP_SECONDS, s.p[1]);
	else if (s.n == 20 && s.p[19] == 'Z')
		model_proto_varint(r->sink->to,
		        (uint64_t)(days_of(digits(s.p, 4), digits(s.p + 5, 2), digits(s.p + 8, 2)) *
		                           86400 +
		                   digits(s.p + 11, 2) * 3600 + digits(s.p + 14, 2) * 60 +
		                   digits(s.p + 17, 2)));
	else
		return false;
	emit_close(r->sink);
	return true;
}

static bool put_bool(struct reader *r, unsigned number)
{
	struct span s = read_scalar(r);
	model_proto_varint(r->sink->to, number << 3);
	model_proto_varint(r->sink->to, span_is(s, "true"));
	return span_is(s, "true") || span_is(s, "false");
}

/* The JSON as it stands, in field 1; only slots are looked for. */
static bool put_raw(struct reader *r, unsigned number)
{
	struct span s;
	if (!skip_value(r, &s) || !emit_open(r->sink, number) || !emit_open(r->sink, 1))
		return false;
	const char *mark;
	while (s.n && (mark = memchr(s.p, MODEL_SLOT[0], s.n))) {
		model_text_put(r->sink->to, s.p, (size_t)(mark - s.p));
		emit_op(r->sink, OP_TEXT, mark[1]);
		s.n -= (size_t)(mark + 2 - s.p);
		s.p = mark + 2;
	}
	model_text_span(r->sink->to, s);
	emit_close(r->sink);
	emit_close(r->sink);
	return true;
}

static bool put_quantity(struct reader *r, unsigned number)
{
	if (!emit_open(r->sink, number) || !put_string(r, 1))
		return false;
	emit_close(r->sink);
	return true;
}

static bool put_map(struct reader *r, const struct model_proto_field *f)
{
	if (!take(r, '{'))
		return false;
	while (peek(r) == '"') {
		if (!emit_open(r->sink, f->number) || !put_string(r, 1) || !take(r, ':'))
			return false;
		if (!(f->type == MODEL_PROTO_MAP ? put_string(r, 2) : put_quantity(r, 2)))
			return false;
		emit_close(r->sink);
		if (!take(r, ','))
			break;
	}
	return take(r, '}');
}

static bool put_message(struct reader *r, const struct model_proto_field *f)
{
	if (!take(r, '{') || !emit_open(r->sink, f->number) || !put_members(r, f->of) ||
	        !take(r, '}'))
		return false;
	emit_close(r->sink);
	return true;
}

static bool put_value(struct reader *r, const struct model_proto_field *f)
{
	struct span s;
	switch (f->type) {
	case MODEL_PROTO_STRING: return put_string(r, f->number);
	case MODEL_PROTO_INT: return put_int(r, f->number);
	case MODEL_PROTO_BOOL: return put_bool(r, f->number);
	case MODEL_PROTO_MESSAGE: return put_message(r, f);
	case MODEL_PROTO_TIME: return put_time(r, f->number);
	case MODEL_PROTO_QUANTITY: return put_quantity(r, f->number);
	case MODEL_PROTO_RAW: return put_raw(r, f->number);
	case MODEL_PROTO_MAP:
	case MODEL_PROTO_MAP_QUANTITY: return put_map(r, f);
	case MODEL_PROTO_ELSEWHERE: return skip_value(r, &s);
	}
	return false;
}

static bool put_array(struct reader *r, const struct model_proto_field *f)
{
	r->p++;
	while (peek(r) != ']') {
		if (!put_value(r, f))
			return false;
		if (!take(r, ','))
			break;
	}
	return take(r, ']');
}

/* A value, an array of them, or null, which is nothing. */
static bool put_field(struct reader *r, const struct model_proto_field *f)
{
	if (peek(r) == 'n')
		return span_is(read_scalar(r), "null");
	if (f->via && !emit_open(r->sink, f->via))
		return false;
	if (!(peek(r) == '[' && f->type != MODEL_PROTO_RAW ? put_array(r, f) : put_value(r, f)))
		return false;
	if (f->via)
		emit_close(r->sink);
	return true;
}

/* The members mostly come in the order of the table: at is where the last one was found. */
static const struct model_proto_field *find(
        const struct model_proto_message *m, struct span name, size_t *at)
{
	for (size_t i = 0; i < m->count; i++) {
		size_t k = *at + i < m->count ? *at + i : *at + i - m->count;
		const struct model_proto_field *f = &m->fields[k];
		if (f->name_bytes == name.n && memcmp(f->name, name.p, name.n) == 0) {
			*at = k;
			return f;
		}
	}
	return NULL;
}

static bool put_members(struct reader *r, const struct model_proto_message *m)
{
	struct span name, value;
	bool plain;
	size_t at = 0;
	while (peek(r) == '"') {
		if (!read_string(r, &name, &plain) || !take(r, ':'))
			return false;
		const struct model_proto_field *f = find(m, name, &at);
		if (!f && r->unknown && !r->unknown->p)
			*r->unknown = name;
		if (!(f ? put_field(r, f) : skip_value(r, &value)))
			return false;
		if (!take(r, ','))
			break;
	}
	return true;
}

static bool translate(const struct model_proto_message *m, struct span members, struct sink *sink,
        struct span *unknown)
{
	struct reader r = {members.p, members.p + members.n, sink, unknown};
	take(&r, ','); /* members that follow others begin with one */
	return put_members(&r, m) && peek(&r) == 0;
}

bool model_proto_members(const struct model_proto_message *m, struct span members,
        struct model_text *out, struct span *unknown)
{
	struct sink sink = {.to = out};
	if (unknown)
		*unknown = SPAN_NONE;
	return translate(m, members, &sink, unknown);
}

struct model_program *model_program_new(const struct model_proto_message *m, struct span members)
{
	struct model_program *p = calloc(1, sizeof *p);
	CHECK(p);
	struct sink sink = {.to = &p->bytes, .program = p};
	CHECK(translate(m, members, &sink, NULL));
	end_copy(p);
	return p;
}

/* --- framing --- */

#define WIDTH 2 /* of the length of a typical object: 128 to 16383 bytes */

static void put_type_meta(struct model_text *t, const char *api_version, const char *kind)
{
	model_text_put(t, "k8s", 4);
	size_t at = model_proto_open(t, 1, 1);
	model_proto_string(t, 1, span_of(api_version));
	model_proto_string(t, 2, span_of(kind));
	model_proto_close(t, at, 1);
}

void model_proto_unknown_head(
        struct model_text *t, const char *api_version, const char *kind, uint64_t raw_bytes)
{
	put_type_meta(t, api_version, kind);
	model_proto_varint(t, 2 << 3 | 2);
	model_proto_varint(t, raw_bytes);
}

/* Go writes contentEncoding and contentType, which are empty. */
void model_proto_unknown_tail(struct model_text *t)
{
	model_text_put(t, "\x1a\0\x22\0", 4);
}

void model_proto_event_begin(struct model_text *t, const char *type, const char *api_version,
        const char *kind, struct model_proto_event *e)
{
	model_text_reserve(t, 4);
	t->n += 4;
	e->frame = t->n;
	model_proto_string(t, 1, span_of(type));
	e->object = model_proto_open(t, 2, WIDTH);
	e->extension = model_proto_open(t, 1, WIDTH);
	put_type_meta(t, api_version, kind);
	e->raw = model_proto_open(t, 2, WIDTH);
}

void model_proto_event_end(struct model_text *t, const struct model_proto_event *e)
{
	model_proto_close(t, e->raw, WIDTH);
	model_proto_unknown_tail(t);
	model_proto_close(t, e->extension, WIDTH);
	model_proto_close(t, e->object, WIDTH);
	size_t n = t->n - e->frame;
	for (int i = 0; i < 4; i++)
		t->p[e->frame - 4 + (size_t)i] = (char)(n >> (24 - 8 * i));
}

bool model_proto_line(const struct model_proto_message *m, const char *api_version,
        const char *kind, struct span line, struct model_text *out)
{
	struct reader r = {line.p, line.p + line.n, NULL, NULL};
	struct sink sink = {.to = out};
	struct span name, value, object;
	bool plain;
	if (!take(&r, '{') || !read_string(&r, &name, &plain) || !take(&r, ':') ||
	        !read_string(&r, &value, &plain) || !take(&r, ',') ||
	        !read_string(&r, &name, &plain) || !take(&r, ':') || !skip_value(&r, &object))
		return false;
	char type[32] = "";
	memcpy(type, value.p, value.n < sizeof type ? value.n : sizeof type - 1);
	struct model_proto_event e;
	model_proto_event_begin(out, type, api_version, kind, &e);
	if (object.n < 2 || !translate(m, (struct span){object.p + 1, object.n - 2}, &sink, NULL))
		return false;
	model_proto_event_end(out, &e);
	return true;
}
