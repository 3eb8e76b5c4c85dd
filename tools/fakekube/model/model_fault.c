#include "model/model_fault.h"

#include "base/check.h"
#include "model/model_word.h"

#include <stdio.h>
#include <stdlib.h>

const struct model_fault_row model_fault_rows[MODEL_FAULT_COUNT] = {
#define FAULT(id, name, a, b, text) {name, a, b, text},
#include "model/model_fault.def"
#undef FAULT
};

static const char *const verbs[MODEL_VERB_COUNT] = {
        "connect", "discovery", "get", "list", "continue", "watch", "watchlist", "mux"};

bool model_fault_add(struct model_faults *f, const struct model_fault *rule)
{
	CHECK(rule->id < MODEL_FAULT_COUNT);
	if (f->count == MODEL_FAULTS_MAX)
		return false;
	if (!f->rules)
		f->rules = calloc(MODEL_FAULTS_MAX, sizeof *f->rules);
	CHECK(f->rules);
	struct model_fault *r = &f->rules[f->count++];
	*r = *rule;
	r->seen = r->fired = 0;
	if (r->nth == 0)
		r->nth = 1;
	return true;
}

void model_fault_clear(struct model_faults *f)
{
	free(f->rules);
	f->rules = NULL;
	f->count = 0;
}

static bool applies(const struct model_fault *r, const struct model_fault_what *w)
{
	unsigned mask = r->verbs ? r->verbs : ~(1u << MODEL_VERB_CONNECT | 1u << MODEL_VERB_MUX);
	if (!(mask & 1u << w->verb))
		return false;
	if (r->cluster[0] && !span_is(w->cluster, r->cluster))
		return false;
	return !r->resource[0] || span_is(w->resource, r->resource);
}

size_t model_fault_match(
        struct model_faults *f, const struct model_fault_what *w, struct model_hit *hits)
{
	size_t n = 0;
	for (size_t i = 0; i < f->count; i++) {
		struct model_fault *r = &f->rules[i];
		if (!applies(r, w))
			continue;
		r->seen++;
		if (r->seen < r->nth || (r->count && r->fired == r->count) || n == MODEL_HITS_MAX)
			continue;
		r->fired++;
		f->fired++;
		hits[n++] = (struct model_hit){r->id, r->a, r->b};
	}
	return n;
}

static bool fault_named(struct span name, enum model_fault_id *id)
{
	for (size_t i = 0; i < MODEL_FAULT_COUNT; i++) {
		if (!span_is(name, model_fault_rows[i].name))
			continue;
		*id = (enum model_fault_id)i;
		return true;
	}
	return false;
}

static bool verbs_of(struct span s, unsigned *mask)
{
	while (s.n) {
		const char *comma = memchr(s.p, ',', s.n);
		struct span one = {s.p, comma ? (size_t)(comma - s.p) : s.n};
		size_t i = 0;
		while (i < MODEL_VERB_COUNT && !span_is(one, verbs[i]))
			i++;
		if (i == MODEL_VERB_COUNT)
			return false;
		*mask |= 1u << i;
		s.p += one.n + (comma != NULL);
		s.n -= one.n + (comma != NULL);
	}
	return *mask != 0;
}

static bool text_of(struct span s, char *buf, size_t bytes)
{
	if (s.n == 0 || s.n >= bytes)
		return false;
	memcpy(buf, s.p, s.n);
	buf[s.n] = 0;
	return true;
}

static bool setting(struct model_fault *r, struct span key, struct span value)
{
	uint64_t n = 0;
	const struct model_fault_row *row = &model_fault_rows[r->id];
	if (span_is(key, "a") || (row->a[0] && span_is(key, row->a)))
		return model_word_u64(value, &r->a);
	if (span_is(key, "b") || (row->b[0] && span_is(key, row->b)))
		return model_word_u64(value, &r->b);
	if (span_is(key, "verb"))
		return verbs_of(value, &r->verbs);
	if (span_is(key, "resource"))
		return text_of(value, r->resource, sizeof r->resource);
	if (span_is(key, "cluster"))
		return text_of(value, r->cluster, sizeof r->cluster);
	if (!model_word_u64(value, &n) || n > UINT32_MAX)
		return false;
	if (span_is(key, "nth"))
		r->nth = (uint32_t)n;
	else if (span_is(key, "count"))
		r->count = (uint32_t)n;
	else
		return false;
	return true;
}

bool model_fault_parse(struct span line, struct model_fault *rule, struct model_text *error)
{
	*rule = (struct model_fault){.id = MODEL_FAULT_COUNT, .nth = 1};
	const char *hash = line.n ? memchr(line.p, '#', line.n) : NULL;
	if (hash)
		line.n = (size_t)(hash - line.p);
	struct span name = model_word_take(&line);
	if (name.n == 0)
		return true;
	if (!fault_named(name, &rule->id)) {
		model_text_printf(error, "no fault is called \"%.*s\"", SPAN_ARG(name));
		return false;
	}
	for (struct span w = model_word_take(&line); w.n; w = model_word_take(&line)) {
		const char *eq = memchr(w.p, '=', w.n);
		struct span key = {w.p, eq ? (size_t)(eq - w.p) : w.n};
		struct span value = {eq ? eq + 1 : w.p + w.n, eq ? w.n - key.n - 1 : 0};
		if (eq && setting(rule, key, value))
			continue;
		model_text_printf(error, "fault %.*s: \"%.*s\" is not understood", SPAN_ARG(name),
		        SPAN_ARG(w));
		return false;
	}
	return true;
}

void model_fault_print(const struct model_fault *r, struct model_text *out)
{
	const struct model_fault_row *row = &model_fault_rows[r->id];
	model_text_str(out, row->name);
	if (row->a[0])
		model_text_printf(out, " %s=%llu", row->a, (unsigned long long)r->a);
	if (row->b[0])
		model_text_printf(out, " %s=%llu", row->b, (unsigned long long)r->b);
	const char *sep = " verb=";
	for (unsigned v = 0; v < MODEL_VERB_COUNT; v++) {
		if (!(r->verbs & 1u << v))
			continue;
		model_text_printf(out, "%s%s", sep, verbs[v]);
		sep = ",";
	}
	if (r->resource[0])
		model_text_printf(out, " resource=%s", r->resource);
	if (r->cluster[0])
		model_text_printf(out, " cluster=%s", r->cluster);
	model_text_printf(out, " nth=%u count=%u", r->nth, r->count);
}

/* Parameters that make sense: a byte anywhere in a head or the first events, an early event, a
 * short while. */
static uint64_t draw_param(struct prng *r, const char *name)
{
	static const struct {
		const char *name;
		uint64_t from, below;
	} ranges[] = {{"byte", 0, 6000}, {"bytes", 1, 40}, {"ms", 1, 4000}, {"event", 1, 12},
	        {"events", 1, 12}, {"versions", 1, 60}, {"seconds", 0, 4}, {"form", 0, 4},
	        {"variant", 0, 8}, {"item", 1, 12}};
	if (strcmp(name, "code") == 0) {
		static const uint64_t codes[] = {500, 502, 503, 504};
		return codes[prng_below(r, ARRAY_LEN(codes))];
	}
	if (strcmp(name, "quirks") == 0)
		return 1ull << prng_below(r, 10);
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (strcmp(name, ranges[i].name) == 0)
			return ranges[i].from + prng_below(r, ranges[i].below - ranges[i].from);
	return 0;
}

void model_fault_draw(struct prng *r, struct model_fault *rule)
{
	*rule = (struct model_fault){.id = (enum model_fault_id)prng_below(r, MODEL_FAULT_COUNT)};
	const struct model_fault_row *row = &model_fault_rows[rule->id];
	rule->a = draw_param(r, row->a);
	rule->b = draw_param(r, row->b);
	if (rule->id == MODEL_FAULT_EVENT_HUGE)
		rule->b = prng_below(r, 2u << 20);
	static const unsigned some[] = {0, 1u << MODEL_VERB_LIST, 1u << MODEL_VERB_WATCH,
	        1u << MODEL_VERB_WATCHLIST, 1u << MODEL_VERB_WATCH | 1u << MODEL_VERB_WATCHLIST,
	        1u << MODEL_VERB_CONTINUE, 1u << MODEL_VERB_CONNECT};
	rule->verbs = some[prng_below(r, ARRAY_LEN(some))];
	if (rule->verbs == 1u << MODEL_VERB_CONNECT && rule->id > MODEL_FAULT_CLOSE)
		rule->verbs = 0; /* before the first request only the transport can fail */
	rule->nth = 1 + (uint32_t)prng_below(r, 3);
	rule->count = 1 + (uint32_t)prng_below(r, 2);
}
