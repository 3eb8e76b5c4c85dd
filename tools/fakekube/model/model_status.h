/* model_status.h - Status documents, word for word as kube-apiserver 1.37.2 writes them
 * (recorded; tests/unit/fakekube/traffic_test.c). */
#ifndef KR_MODEL_MODEL_STATUS_H
#define KR_MODEL_MODEL_STATUS_H

#include "model/model_kind.h"
#include "model/model_text.h"

/* Absent strings: NULL. */
struct model_status {
	unsigned code;
	const char *reason;
	struct span message; /* not yet quoted */
	const char *continue_token;
	const char *details; /* JSON object */
};

/* The document without a line end; pretty: indented by two spaces as for curl. */
void model_status_json(const struct model_status *s, bool pretty, struct model_text *out);
/* The reason phrase of a status line. */
const char *model_status_phrase(unsigned code);

void model_status_expired(struct model_text *out, uint64_t rv,
        uint64_t oldest); /* "too old resource version: 1 (278)" */
void model_status_too_large(struct model_text *out, uint64_t rv, uint64_t current);
void model_status_internal(struct model_text *out, unsigned code, const char *message);

/* {"name":"x","group":"apps","kind":"deployments"}; name may be empty. */
void model_status_details(
        struct model_text *out, struct span name, const char *group, struct span kind);

/* One 422: up to two causes of one document. */
struct model_cause {
	const char *field,
	        *text; /* text as after the colon: "Forbidden: ..." or "Unsupported value: ..." */
	bool unsupported;
};
void model_status_invalid(struct model_text *out, const struct model_cause *causes, size_t count);

#endif
