#include "model/model_blast.h"

#include "base/check.h"
#include "model/model_watch.h"

#include <stdlib.h>

#define REGION_BYTES (16u << 20)
#define PIECE_MIN    (32u << 10)
#define PIECE_MAX    (512u << 10)
#define FRESH_NS     20000 /* a stamp serves for so long: TLS takes a record at a time */

/* One event of the round: a chunk of its own. */
struct slot {
	uint32_t at, rv_at, wrote_at; /* in the text; wrote_at 0 = none */
};

/* The round in one of its two forms. */
struct form {
	struct model_text text;
	struct slot
	        *slots; /* own; slot_count + 1, the last marks the end; NULL = nobody watches so */
};

/* Owner: the store. Life: one blast .. everybody has it, the next, or the store's end. */
struct model_blast {
	struct form forms[2]; /* JSON, protobuf */
	size_t slot_count;
	uint64_t first_pos, count, first_rv;
	unsigned rv_digits;
	const struct model_watch *patched_by; /* the text is patched for it */
	bool shared;                          /* one of many: goes as soon as everybody has it */
};

void model_blast_free(struct model_blast **bp)
{
	struct model_blast *b = *bp;
	*bp = NULL;
	if (!b)
		return;
	for (size_t i = 0; i < ARRAY_LEN(b->forms); i++) {
		model_text_fini(&b->forms[i].text);
		free(b->forms[i].slots);
	}
	free(b);
}

static unsigned digits_of(uint64_t v)
{
	unsigned n = 1;
	while (v >= 10) {
		v /= 10;
		n++;
	}
	return n;
}

static void put_digits(char *at, uint64_t v, unsigned width)
{
	for (unsigned i = width; i-- > 0; v /= 10)
		at[i] = (char)('0' + v % 10);
}

/* Where what follows that text begins; 0: it is not there. */
static uint32_t find(const struct model_text *t, size_t from, struct span what)
{
	const char *p = memmem(t->p + from, t->n - from, what.p, what.n);
	return p ? (uint32_t)(p - t->p + (ptrdiff_t)what.n) : 0;
}

/* In protobuf, resourceVersion is the field after uid, each with a byte of tag and one of length.
 */
static uint32_t find_proto_rv(
        const struct model_text *t, size_t from, const struct model_version *v)
{
	struct model_text uid = {0};
	model_render_uid(v, &uid);
	uint32_t at = find(t, from, model_text_as_span(&uid));
	model_text_fini(&uid);
	return at ? at + 2 : 0;
}

static void render_slot(struct model_blast *b, size_t slot, bool proto,
        const struct model_library *lib, const struct model_version *v)
{
	struct form *f = &b->forms[proto];
	struct model_text event = {0};
	struct slot *s = &f->slots[slot];
	if (proto)
		model_render_proto_event(lib, v, "MODIFIED", (struct model_look){0}, &event);
	else
		model_render_event(lib, v, "MODIFIED", (struct model_look){.typed = true}, &event);
	s->at = (uint32_t)f->text.n;
	model_text_printf(&f->text, "%zx\r\n", event.n);
	model_text_span(&f->text, model_text_as_span(&event));
	TEXT_LIT(&f->text, "\r\n");
	model_text_fini(&event);
	s->rv_at = proto ? find_proto_rv(&f->text, s->at, v)
	                 : find(&f->text, s->at, SPAN("\"resourceVersion\":\""));
	if (lib->stamp)
		s->wrote_at = find(&f->text, s->at,
		        proto ? SPAN(MODEL_WROTE_KEY "\x12\x14")
		              : SPAN("\"" MODEL_WROTE_KEY "\":\""));
	CHECK(s->rv_at && f->text.n < UINT32_MAX);
	f->slots[slot + 1].at = (uint32_t)f->text.n;
}

static struct slot *slots_new(size_t n)
{
	struct slot *s = calloc(n + 1, sizeof *s);
	CHECK(s);
	return s;
}

/* Whether somebody watches in protobuf. */
static bool proto_is_watched(const struct model_store *st)
{
	LIST_EACH (it, &st->watchers) {
		const struct model_watch *w =
		        model_watch_of(CONTAINER_OF(it, struct model_conn, watcher.link));
		if (w && w->proto)
			return true;
	}
	return false;
}

/* The next count versions shall have one number of digits. */
static void align_rv(struct model_cluster *c, uint64_t count)
{
	unsigned digits = digits_of(c->rv + count);
	if (digits == digits_of(c->rv + 1))
		return;
	uint64_t power = 1;
	for (unsigned i = 1; i < digits; i++)
		power *= 10;
	model_cluster_skip(c, power - c->rv);
}

static bool still_sending(const struct model_store *st)
{
	const struct model_blast *b = st->blast;
	LIST_EACH (it, &st->watchers) {
		const struct model_conn *c = CONTAINER_OF(it, struct model_conn, watcher.link);
		const struct model_watch *w = model_watch_of(c);
		if (b && w && w->pos >= b->first_pos && w->pos < b->first_pos + b->count)
			return true;
	}
	return false;
}

/* The objects of a round: those that are there, in the order of their keys, until the region is
 * full. */
static size_t pick(const struct model_store *st, struct model_object **objects, size_t max)
{
	struct model_index_at at;
	size_t n = 0;
	struct model_object *o = model_index_seek(&st->index, SPAN_NONE, &at);
	for (; o && n < max; o = model_index_next(&st->index, &at))
		if (o->last->op != MODEL_DELETED)
			objects[n++] = o;
	return n;
}

bool model_blast(struct model_cluster *c, const struct model_kind *k, uint64_t count,
        uint64_t now_ns, size_t region_bytes, struct model_blast_result *out)
{
	struct model_store *st = model_cluster_store(c, k);
	if (!st || st->live == 0 || count == 0 || still_sending(st))
		return false;
	struct model_blast *b = calloc(1, sizeof *b);
	size_t max = st->live < count ? st->live : (size_t)count;
	struct model_object **objects = calloc(max, sizeof(struct model_object *));
	CHECK(b && objects);
	b->shared = region_bytes > 0 && region_bytes < REGION_BYTES;
	if (!b->shared)
		region_bytes = REGION_BYTES;
	size_t n = pick(st, objects, max);
	b->forms[0].slots = slots_new(n);
	if (proto_is_watched(st))
		b->forms[1].slots = slots_new(n);
	align_rv(c, count);
	b->first_rv = c->rv + 1;
	b->first_pos = st->log_first + st->log_count;
	b->count = count;
	b->rv_digits = digits_of(b->first_rv);
	for (uint64_t i = 0; i < count; i++) {
		const struct model_version *v = model_repeat(c, st, objects[i % n], now_ns);
		if (b->slot_count > i || i >= n)
			continue;
		render_slot(b, b->slot_count, false, c->library, v);
		if (b->forms[1].slots)
			render_slot(b, b->slot_count, true, c->library, v);
		b->slot_count++;
		if (b->forms[0].text.n >= region_bytes)
			n = b->slot_count; /* the rest of the objects is not part of the round */
	}
	free(objects);
	model_blast_free(&st->blast);
	st->blast = b;
	*out = (struct model_blast_result){b->first_rv, c->rv, n, b->forms[0].text.n};
	return true;
}

/* --- sending --- */

bool model_blast_serves(const struct model_conn *c, const struct model_watch *w)
{
	const struct model_blast *b = w->store->blast;
	return b && !w->a.cluster->silent && w->phase == WATCH_LIVE && !c->hits &&
	       !c->reply.framed && !w->selector && !w->meta && !w->gzip && w->ns.n == 0 &&
	       b->forms[w->proto].slots && w->start_rv < b->first_rv && w->pos >= b->first_pos &&
	       w->pos < b->first_pos + b->count;
}

/* Every event that is offered is patched anew: another watch may be at another place of the round.
 * What was offered before and is not sent whole keeps its stamp, since part of it may be out (or,
 * with TLS, in a record that is not yet). */
struct span model_blast_peek(struct model_conn *c)
{
	struct model_watch *w = model_watch_of(c);
	if (!w || w->timeline != w->a.cluster->timeline || !model_blast_serves(c, w))
		return SPAN_NONE;
	struct model_blast *b = w->store->blast;
	struct form *f = &b->forms[w->proto];
	uint64_t event = w->pos - b->first_pos;
	size_t first = (size_t)(event % b->slot_count), slot = first;
	char now[MODEL_STAMP_BYTES], before[MODEL_STAMP_BYTES];
	/* About twice what was taken last: what is patched and not taken is patched again. */
	size_t piece = w->blast_taken * 2;
	piece = piece < PIECE_MIN ? PIECE_MIN : piece > PIECE_MAX ? PIECE_MAX : piece;
	bool stamped = c->server->library.stamp_writes;
	put_digits(before, stamped ? w->blast_first_ns : 0, sizeof before);
	if (!w->blast_offered && c->now_ns - w->blast_wrote_ns > FRESH_NS) {
		w->blast_wrote_ns = c->now_ns;
		b->patched_by = NULL;
	}
	w->blast_offered = true;
	uint64_t patched = b->patched_by == w ? w->blast_patched : 0;
	b->patched_by = w;
	put_digits(now, stamped ? w->blast_wrote_ns : 0, sizeof now);
	for (; slot < b->slot_count && event < b->count; slot++, event++) {
		const struct slot *s = &f->slots[slot];
		if (s->at - f->slots[first].at >= piece)
			break;
		if (event < patched)
			continue;
		put_digits(f->text.p + s->rv_at, b->first_rv + event, b->rv_digits);
		if (s->wrote_at)
			memcpy(f->text.p + s->wrote_at,
			        slot == first && w->blast_sent ? before : now, sizeof now);
	}
	w->blast_patched = event;
	size_t from = f->slots[first].at + w->blast_sent;
	return (struct span){f->text.p + from, f->slots[slot].at - from};
}

void model_blast_consume(struct model_conn *c, size_t n)
{
	struct model_watch *w = model_watch_of(c);
	CHECK(w && w->store->blast);
	const struct model_blast *b = w->store->blast;
	const struct slot *slots = b->forms[w->proto].slots;
	uint64_t event = w->pos - b->first_pos;
	size_t slot = (size_t)(event % b->slot_count);
	w->blast_offered = false;
	w->blast_taken = n;
	n += w->blast_sent;
	while (event < b->count && n >= slots[slot + 1].at - slots[slot].at) {
		n -= slots[slot + 1].at - slots[slot].at;
		event++;
		slot = slot + 1 == b->slot_count ? 0 : slot + 1;
		c->events++;
		c->server->events++;
		w->events++;
		w->blast_sent = 0;
	}
	if (w->blast_sent == 0)
		w->blast_first_ns = w->blast_wrote_ns;
	w->pos = b->first_pos + event;
	w->blast_sent = n;
	if (event > 0)
		w->seen = b->first_rv + event - 1;
	if (b->shared && event == b->count && !still_sending(w->store))
		model_blast_free(&w->store->blast);
}
