#include "model/model_blast.h"

#include "base/check.h"
#include "model/model_watch.h"

#include <stdlib.h>

#define REGION_BYTES (16u << 20)
#define PIECE_BYTES  (1u << 20)

/* One event of the round: a chunk of its own. */
struct slot {
	uint32_t at, rv_at, stamp_at; /* in the region; stamp_at 0 = none */
	uint64_t patched;             /* number of the event that it shows */
};

/* Owner: the store. Life: one blast .. the next, or the store's end. */
struct model_blast {
	struct model_text text;
	struct slot *slots; /* own; slot_count + 1, the last marks the end */
	size_t slot_count;
	uint64_t first_pos, count, first_rv, stamp_ns;
	unsigned rv_digits;
};

void model_blast_free(struct model_blast **bp)
{
	struct model_blast *b = *bp;
	*bp = NULL;
	if (!b)
		return;
	model_text_fini(&b->text);
	free(b->slots);
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

static uint32_t find(const struct model_text *t, size_t from, const char *what)
{
	const char *p = memmem(t->p + from, t->n - from, what, strlen(what));
	return p ? (uint32_t)(p - t->p + (ptrdiff_t)strlen(what)) : 0;
}

static void render_slot(
        struct model_blast *b, const struct model_library *lib, const struct model_version *v)
{
	struct model_text event = {0};
	model_render_event(lib, v, "MODIFIED", (struct model_look){.typed = true}, &event);
	struct slot *s = &b->slots[b->slot_count++];
	s->at = (uint32_t)b->text.n;
	model_text_printf(&b->text, "%zx\r\n", event.n);
	model_text_span(&b->text, model_text_as_span(&event));
	TEXT_LIT(&b->text, "\r\n");
	model_text_fini(&event);
	s->rv_at = find(&b->text, s->at, "\"resourceVersion\":\"");
	s->stamp_at = lib->stamp ? find(&b->text, s->at, "\"" MODEL_STAMP_KEY "\":\"") : 0;
	s->patched = b->slot_count - 1;
	CHECK(s->rv_at && b->text.n < UINT32_MAX);
	b->slots[b->slot_count].at = (uint32_t)b->text.n;
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
        uint64_t now_ns, struct model_blast_result *out)
{
	struct model_store *st = model_cluster_store(c, k);
	if (!st || st->live == 0 || count == 0 || still_sending(st))
		return false;
	struct model_blast *b = calloc(1, sizeof *b);
	size_t max = st->live < count ? st->live : (size_t)count;
	struct model_object **objects = calloc(max, sizeof(struct model_object *));
	CHECK(b && objects);
	size_t n = pick(st, objects, max);
	b->slots = calloc(n + 1, sizeof *b->slots);
	CHECK(b->slots);
	align_rv(c, count);
	b->first_rv = c->rv + 1;
	b->first_pos = st->log_first + st->log_count;
	b->count = count;
	b->stamp_ns = now_ns;
	b->rv_digits = digits_of(b->first_rv);
	for (uint64_t i = 0; i < count; i++) {
		size_t slot = (size_t)(i % n);
		const struct model_version *v = model_repeat(c, st, objects[slot], now_ns);
		if (b->slot_count > slot || i >= n)
			continue;
		render_slot(b, c->library, v);
		if (b->text.n >= REGION_BYTES)
			n = b->slot_count; /* the rest of the objects is not part of the round */
	}
	free(objects);
	model_blast_free(&st->blast);
	st->blast = b;
	*out = (struct model_blast_result){b->first_rv, c->rv, n, b->text.n};
	return true;
}

/* --- sending --- */

bool model_blast_serves(const struct model_conn *c, const struct model_watch *w)
{
	const struct model_blast *b = w->store->blast;
	return b && w->phase == WATCH_LIVE && !c->hits && !c->reply.framed && !w->selector &&
	       !w->meta && !w->proto && !w->gzip && w->ns.n == 0 && w->start_rv < b->first_rv &&
	       w->pos >= b->first_pos && w->pos < b->first_pos + b->count;
}

static void patch(struct model_blast *b, size_t slot, uint64_t event)
{
	struct slot *s = &b->slots[slot];
	if (s->patched == event)
		return;
	s->patched = event;
	put_digits(b->text.p + s->rv_at, b->first_rv + event, b->rv_digits);
}

struct span model_blast_peek(struct model_conn *c)
{
	struct model_watch *w = model_watch_of(c);
	if (!w || w->timeline != w->a.cluster->timeline || !model_blast_serves(c, w))
		return SPAN_NONE;
	struct model_blast *b = w->store->blast;
	uint64_t event = w->pos - b->first_pos;
	size_t first = (size_t)(event % b->slot_count), slot = first;
	for (; slot < b->slot_count && event < b->count; slot++, event++) {
		if (b->slots[slot].at - b->slots[first].at >= PIECE_BYTES)
			break;
		patch(b, slot, event);
	}
	size_t from = b->slots[first].at + w->blast_sent;
	return (struct span){b->text.p + from, b->slots[slot].at - from};
}

void model_blast_consume(struct model_conn *c, size_t n)
{
	struct model_watch *w = model_watch_of(c);
	CHECK(w && w->store->blast);
	const struct model_blast *b = w->store->blast;
	uint64_t event = w->pos - b->first_pos;
	size_t slot = (size_t)(event % b->slot_count);
	n += w->blast_sent;
	while (event < b->count && n >= b->slots[slot + 1].at - b->slots[slot].at) {
		n -= b->slots[slot + 1].at - b->slots[slot].at;
		event++;
		slot = slot + 1 == b->slot_count ? 0 : slot + 1;
		c->events++;
		c->server->events++;
		w->events++;
	}
	w->pos = b->first_pos + event;
	w->blast_sent = n;
	if (event > 0)
		w->seen = b->first_rv + event - 1;
}
