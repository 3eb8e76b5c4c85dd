#include "base/wheel.h"

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		list_init(&w->slots[i]);
	w->tick = now_ns / WHEEL_TICK_NS;
	w->next_ns = UINT64_MAX;
	w->armed = 0;
}

void wheel_timer_init(struct wheel_timer *t, uint32_t kind)
{
	t->kind = kind;
	list_init(&t->link);
	t->at_ns = UINT64_MAX;
}

/* The tick at whose start the deadline has passed: never early. */
static uint64_t tick_of(uint64_t at_ns)
{
	return at_ns / WHEEL_TICK_NS + 1;
}

void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t at_ns)
{
	if (t->at_ns != UINT64_MAX) {
		list_unlink(&t->link);
		w->armed--;
	}
	t->at_ns = at_ns;
	if (at_ns == UINT64_MAX)
		return;
	uint64_t tick = tick_of(at_ns);
	if (tick < w->tick)
		tick = w->tick; /* already due: the slot that is looked at next */
	list_push(&w->slots[tick % WHEEL_SLOTS], &t->link);
	w->armed++;
	if (at_ns < w->next_ns)
		w->next_ns = at_ns;
}

static struct wheel_timer *pop_slot(struct wheel *w, uint64_t tick, uint64_t now_ns)
{
	LIST_EACH (it, &w->slots[tick % WHEEL_SLOTS]) {
		struct wheel_timer *t = CONTAINER_OF(it, struct wheel_timer, link);
		if (tick_of(t->at_ns) > now_ns / WHEEL_TICK_NS)
			continue; /* another round */
		list_unlink(it);
		t->at_ns = UINT64_MAX;
		w->armed--;
		return t;
	}
	return NULL;
}

/* After a full sweep: the earliest of what is left. Only when something fired or the bound has
 * passed, so a quiet wheel costs nothing. */
static void find_next(struct wheel *w)
{
	w->next_ns = UINT64_MAX;
	uint32_t left = w->armed;
	for (uint64_t i = 0; i < WHEEL_SLOTS && left; i++) {
		uint64_t best = UINT64_MAX;
		LIST_EACH (it, &w->slots[(w->tick + i) % WHEEL_SLOTS]) {
			struct wheel_timer *t = CONTAINER_OF(it, struct wheel_timer, link);
			best = t->at_ns < best ? t->at_ns : best;
			left--;
		}
		w->next_ns = best < w->next_ns ? best : w->next_ns;
		if (w->next_ns != UINT64_MAX && tick_of(w->next_ns) <= w->tick + i)
			return; /* nothing in later slots can be due before */
	}
}

struct wheel_timer *wheel_pop(struct wheel *w, uint64_t now_ns)
{
	uint64_t now_tick = now_ns / WHEEL_TICK_NS;
	if (!w->armed || now_ns < w->next_ns) {
		w->tick = now_tick > w->tick ? now_tick : w->tick;
		return NULL;
	}
	/* After a long sleep one round over all slots suffices. */
	if (now_tick - w->tick > WHEEL_SLOTS && now_tick > w->tick)
		w->tick = now_tick - WHEEL_SLOTS;
	for (; w->tick <= now_tick; w->tick++) {
		struct wheel_timer *t = pop_slot(w, w->tick, now_ns);
		if (t)
			return t;
	}
	w->tick = now_tick;
	find_next(w);
	return NULL;
}

uint64_t wheel_next_ns(const struct wheel *w)
{
	return w->armed ? w->next_ns : UINT64_MAX;
}
