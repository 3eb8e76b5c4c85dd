/* model_fault.h - faults by name: which there are (model_fault.def), when one strikes, and how a
 *seed draws them.
 *
 * A rule says what happens to which requests: by cluster, resource and verb, from the nth match on,
 *count times. Rules can be added and removed at any time; a request that is being answered keeps
 *what hit it. The text form, one rule a line, is that of `fakekube --faults FILE`:
 *
 *	NAME [a=N] [b=N] [verb=V[,V...]] [resource=R] [cluster=C] [nth=N] [count=N]
 *	cut-rst a=700 verb=watch resource=pods nth=2 count=1      # comment
 *
 * Parameters may also be given by their own name (byte=700). Verbs: connect discovery get list
 *continue watch watchlist mux; left out: any request (not connect, not mux). nth counts matches
 *from 1; count=0 is for ever; both default to 1 and 0.
 *
 * Limits: 64 rules. Not thread-safe. */
#ifndef KR_MODEL_MODEL_FAULT_H
#define KR_MODEL_MODEL_FAULT_H

#include "base/prng.h"
#include "model/model_text.h"

enum model_fault_id {
#define FAULT(id, name, a, b, text) MODEL_FAULT_##id,
#include "model/model_fault.def"
#undef FAULT
	MODEL_FAULT_COUNT
};

struct model_fault_row {
	const char *name, *a, *b, *text;
};
extern const struct model_fault_row model_fault_rows[MODEL_FAULT_COUNT];

enum model_verb {
	MODEL_VERB_CONNECT,
	MODEL_VERB_DISCOVERY, /* anything that is no resource: /api, /version, /readyz */
	MODEL_VERB_GET,
	MODEL_VERB_LIST, /* the first page */
	MODEL_VERB_CONTINUE,
	MODEL_VERB_WATCH,
	MODEL_VERB_WATCHLIST,
	MODEL_VERB_MUX, /* the upgrade to Headlamp's multiplexer (model_backend.h) */
	MODEL_VERB_COUNT
};

struct model_fault {
	enum model_fault_id id;
	uint64_t a, b;
	unsigned verbs;    /* bit 1 << enum model_verb; 0 = any but connect */
	char cluster[64];  /* "" = any */
	char resource[64]; /* plural; "" = any */
	uint32_t nth, count;
	uint32_t seen, fired; /* so far */
};

#define MODEL_FAULTS_MAX 64
/* All zero is a table without rules. */
struct model_faults {
	struct model_fault *rules; /* own */
	size_t count;
	uint64_t fired;     /* of all rules, also of those removed */
	uint64_t reordered; /* events that came after the next one so far (event-reorder) */
};

/* What a request is matched by. */
struct model_fault_what {
	enum model_verb verb;
	struct span cluster, resource;
};

/* What hit one request. */
#define MODEL_HITS_MAX 6
struct model_hit {
	enum model_fault_id id;
	uint64_t a, b;
};

/* False: 64 rules are there already. */
bool model_fault_add(struct model_faults *f, const struct model_fault *rule);
void model_fault_clear(struct model_faults *f); /* no rules, no memory */
/* Counts the request at every rule and returns those that strike it: at most MODEL_HITS_MAX. */
size_t model_fault_match(
        struct model_faults *f, const struct model_fault_what *w, struct model_hit *hits);

/* One line of the text form; an empty line or a comment gives *rule with id MODEL_FAULT_COUNT.
 * False: error says what is wrong. */
bool model_fault_parse(struct span line, struct model_fault *rule, struct model_text *error);
void model_fault_print(const struct model_fault *rule, struct model_text *out);
/* Any fault with fitting parameters, for some verb, that strikes once or twice: after it the server
 * behaves again. */
void model_fault_draw(struct prng *r, struct model_fault *rule);

#endif
