/* model_envelope.h - the frames of Headlamp's multiplexer as its backend reads and writes them
 * (backend/cmd/multiplexer.go): field names in any case, unknown ones ignored, a wrong type spoils
 * the frame; answers in the key order and with the escapes of Go's encoder. */
#ifndef KR_MODEL_MODEL_ENVELOPE_H
#define KR_MODEL_MODEL_ENVELOPE_H

#include "model/model_text.h"

/* What a client sent. Owner: whoever embeds it. Life: all zero .. fini. */
struct model_envelope {
	struct model_text cluster, path, query, user, data, type;
};
/* False: not JSON, or a field of the wrong type. Call fini in both cases. */
bool model_envelope_read(struct model_envelope *e, struct span json);
void model_envelope_fini(struct model_envelope *e);

/* What a backend sends; data empty: left out. */
struct model_envelope_out {
	struct span cluster, path, query, user, data;
	bool binary;
	const char *type;
};
void model_envelope_write(struct model_text *t, const struct model_envelope_out *o);

/* metadata.resourceVersion of a watch event as the backend looks for it: at the top, else in
 * "object". False: it is not JSON, or there is none. */
bool model_envelope_version(struct span json, struct model_text *version);

/* A string member of an object: the token of POST set-token. False: not an object with it. */
bool model_envelope_member(struct span json, const char *key, struct model_text *out);

#endif
