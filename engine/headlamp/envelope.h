/* envelope.h - the multiplexer's messages (Headlamp 0.45.0, backend/cmd/multiplexer.go): one flat
 * JSON object each, read and written.
 *
 * DATA is JSON in a JSON string: the envelope is walked once, and `data` is unescaped once, into a
 * buffer of the reader, with JSON_PADDING readable bytes behind it, so that json_scan_event() reads
 * it in place.
 */
#ifndef KR_HEADLAMP_ENVELOPE_H
#define KR_HEADLAMP_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum envelope_type {
	ENVELOPE_DATA,
	ENVELOPE_STATUS,
	ENVELOPE_COMPLETE,
	ENVELOPE_ERROR,
	ENVELOPE_OTHER
};

/* Spans hold until the next envelope_read() with this reader, or until the message's bytes go. */
struct envelope {
	enum envelope_type type;
	struct span cluster, path, query, user;
	struct span data; /* unescaped; of a binary DATA also decoded from base64 */
};

struct envelope_reader; /* heap: holds the buffer that data is unescaped into; one per reactor */
struct envelope_reader *envelope_reader_new(size_t data_bytes_max);
void envelope_reader_free(struct envelope_reader **r);

/* message: one whole WebSocket message, white space around it allowed, JSON_PADDING readable bytes
 * behind. Names in exact case; unknown members are skipped, whatever they hold; of a member twice
 * the envelope is refused. What is missing is empty, for then the message is nobody's; without a
 * type it is an OTHER. But {"clusterId":C,"error":TEXT} is what a Headlamp before 0.43 sends
 * instead of an ERROR: it is one, with TEXT as its data, and names neither path nor user. Errors:
 * ERR_HEADLAMP_FRAME (no JSON object, a known member mistyped, broken escape, invalid base64),
 * ERR_JSON_LIMIT (data over data_bytes_max), ERR_NO_MEMORY. m says what, and quotes nothing. UTF-8
 * of data is not checked here: whoever parses the document inside does. Lone surrogate escapes
 * become U+FFFD. */
err_t envelope_read(struct envelope_reader *r, struct span message, struct envelope *out,
        struct errmsg *m) MUST_USE;

enum envelope_state { ENVELOPE_CONNECTED, ENVELOPE_FAILED, ENVELOPE_CLOSED, ENVELOPE_UNKNOWN };
/* The data of a STATUS: {"state":"connected","error":""}. text: the error, valid as the envelope
 * is; may be empty. Unescapes in place of the reader's buffer. */
enum envelope_state envelope_status(
        struct envelope_reader *r, const struct envelope *e, struct span *text);
/* The data of an ERROR: {"error":TEXT}, or else the data itself. */
struct span envelope_error(struct envelope_reader *r, const struct envelope *e);

struct envelope_request {
	struct span cluster, path, query, user; /* not escaped: the writer does that */
	bool close;                             /* CLOSE instead of REQUEST */
};
/* Exactly these fields in this order: clusterId, path, query, userId, type. Returns the bytes
 * written; 0: cap too small. */
size_t envelope_write(const struct envelope_request *q, char *out, size_t cap);

#endif
