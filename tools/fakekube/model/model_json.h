/* model_json.h - JSON as Go's encoding/json reads and writes it, as far as a backend of Headlamp
 * looks into it: members of an object, strings both ways.
 *
 * Limits: 1,000 levels. Numbers are checked, never converted. */
#ifndef KR_MODEL_MODEL_JSON_H
#define KR_MODEL_MODEL_JSON_H

#include "model/model_text.h"

/* Where the reader is. All zero but p and end at the start. */
struct model_json {
	const char *p, *end;
	unsigned depth;
};

/* Each takes white space before it. False: not JSON, or not of that type. */
bool model_json_skip(struct model_json *j); /* a value of any kind */
/* Appends the text; what is not UTF-8 becomes U+FFFD. out NULL: skipped. */
bool model_json_string(struct model_json *j, struct model_text *out);
/* True: there is "null", and it is read. */
bool model_json_null(struct model_json *j);
/* An object; member is called with the reader at the value and must read it. Keys are valid during
 * the call. */
typedef bool (*model_json_member_fn)(void *arg, struct span key, struct model_json *j);
bool model_json_object(struct model_json *j, model_json_member_fn member, void *arg);
/* Nothing but white space is left. */
bool model_json_at_end(struct model_json *j);
/* The character that the next value begins with; 0 at the end. */
char model_json_peek(struct model_json *j);

/* A string with its quotes: <, >, &, U+2028 and U+2029 escaped, \ufffd for what is not UTF-8. */
void model_json_quote(struct model_text *t, struct span s);

#endif
