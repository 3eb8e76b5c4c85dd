#include "headlamp/strategy.h"

#include <stdio.h>

#include "base/check.h"

/* The ways through a backend, the best one first. Bounded by the enum: LEGACY and HTTP follow. */
enum { BEST = STRATEGY_MULTIPLEXED, LAST = STRATEGY_HTTP };

static const uint64_t second_ns = 1000000000;

const char *strategy_name(enum strategy_way w)
{
	static const char *const names[] = {"direct", "websocket", "multiplexed", "legacy", "http"};
	CHECK((unsigned)w < ARRAY_LEN(names));
	return names[w];
}

void strategy_init(struct strategy *s, enum strategy_way way, bool is_auto)
{
	*s = (struct strategy){.way = way,
	        .first = way,
	        .direct = way == STRATEGY_DIRECT || way == STRATEGY_WEBSOCKET,
	        .is_auto = is_auto,
	        .reprobe_ns = UINT64_MAX};
}

static bool moves(const struct strategy *s)
{
	return s->is_auto && !s->direct;
}

/* The order of preference: `first`, then the others from the best to the last. Returns the i-th. */
static enum strategy_way choice(const struct strategy *s, int i)
{
	if (i == 0)
		return s->first;
	int way = BEST + i - 1;
	return (enum strategy_way)(way < (int)s->first ? way : way + 1);
}
enum { CHOICES = LAST - BEST + 1 };

static void enter(struct strategy *s, enum strategy_way way)
{
	s->way = way;
	s->failures[way] = 0;
}

bool strategy_has_worked(const struct strategy *s, enum strategy_way way)
{
	return s->worked[way];
}

void strategy_on_works(struct strategy *s, enum strategy_way way, uint64_t now_ns)
{
	(void)now_ns;
	if (way != s->way) /* what runs on from before says nothing about the next one */
		return;
	s->worked[way] = true;
	s->failures[way] = 0;
	s->has_failed[way] = false;
	if (way != s->first)
		return;
	s->reprobes = 0;
	s->probing = false;
	s->reprobe_ns = UINT64_MAX;
	s->text[0] = 0;
}

static uint64_t reprobe_s(const struct strategy *s)
{
	uint64_t wait = STRATEGY_REPROBE_MIN_S;
	for (unsigned i = 0; i < s->reprobes && wait < STRATEGY_REPROBE_MAX_S; i++)
		wait *= 2;
	return wait < STRATEGY_REPROBE_MAX_S ? wait : STRATEGY_REPROBE_MAX_S;
}

/* The best way that has not failed. When all of them have, the one whose failure is oldest, if that
 * is some time ago: otherwise it would go round as fast as the backend refuses. */
static enum strategy_way other_way(const struct strategy *s, uint64_t now_ns)
{
	enum strategy_way oldest = s->way;
	for (int i = 0; i < CHOICES; i++) {
		enum strategy_way w = choice(s, i);
		if (!s->has_failed[w])
			return w;
		if (s->failed_ns[w] < s->failed_ns[oldest])
			oldest = w;
	}
	bool due = now_ns - s->failed_ns[oldest] >= STRATEGY_REPROBE_MIN_S * second_ns;
	return due ? oldest : s->way;
}

/* The way in use is given up. */
static bool leave(struct strategy *s, const char *text, uint64_t now_ns)
{
	enum strategy_way from = s->way;
	s->worked[from] = false;
	s->has_failed[from] = true;
	s->failed_ns[from] = now_ns;
	enter(s, other_way(s, now_ns));
	if (from == s->first || s->reprobe_ns == UINT64_MAX) {
		uint64_t wait = reprobe_s(s);
		s->reprobe_ns = now_ns + wait * second_ns;
		if (s->reprobes < UINT8_MAX)
			s->reprobes++;
	}
	s->probing = false;
	bool other = from != s->first;
	/* It may be due already, when what failed was begun before. */
	uint64_t left = s->reprobe_ns > now_ns ? s->reprobe_ns - now_ns : 0;
	snprintf(s->text, sizeof s->text, "%s: %.90s; next try%s%s in %llu s", strategy_name(from),
	        text ? text : "failed", other ? " of " : "", other ? strategy_name(s->first) : "",
	        (unsigned long long)((left + second_ns - 1) / second_ns));
	return s->way != from;
}

bool strategy_on_failure(struct strategy *s, enum strategy_way way, enum strategy_failure f,
        const char *text, uint64_t now_ns)
{
	if (!moves(s) || way != s->way)
		return false;
	bool same = s->worked[way] && s->failures[way] &&
	            now_ns - s->counted_ns[way] < STRATEGY_APART_S * second_ns;
	if (!same && s->failures[way] < UINT8_MAX) {
		s->failures[way]++;
		s->counted_ns[way] = now_ns;
	}
	/* Silence costs a minute each time: a way that never worked gets one. So does a probe, for
	 * the way that it left did work. */
	bool at_once =
	        f == STRATEGY_REFUSED || s->probing || (f == STRATEGY_SILENT && !s->worked[way]);
	return (at_once || s->failures[way] >= STRATEGY_TRIES) && leave(s, text, now_ns);
}

/* All ways are as good as new, and the first choice is next. */
static bool start_over(struct strategy *s)
{
	enum strategy_way from = s->way;
	for (int w = BEST; w <= LAST; w++) {
		s->has_failed[w] = false;
		s->failures[w] = 0;
	}
	enter(s, s->first);
	s->reprobe_ns = UINT64_MAX;
	return s->way != from;
}

bool strategy_on_restart(struct strategy *s, uint64_t now_ns)
{
	(void)now_ns;
	if (!moves(s))
		return false;
	for (int w = BEST; w <= LAST; w++)
		s->worked[w] = false;
	s->reprobes = 0;
	s->probing = false;
	s->text[0] = 0;
	return start_over(s);
}

bool strategy_on_timer(struct strategy *s, uint64_t now_ns)
{
	if (!moves(s) || now_ns < s->reprobe_ns)
		return false;
	bool changed = start_over(s);
	s->probing = changed;
	return changed;
}
