/* err.h - the one error type of the engine, made from the one table err.def.
 *
 * A function that can fail returns err_t; 0 is success. -errno lives only inside io/ and
 * shm/segment.c, which translate it. Text exists on control paths only: struct errmsg, written
 * where the error arises, prefixed by at most one room each.
 */
#ifndef KR_BASE_ERR_H
#define KR_BASE_ERR_H

enum err_class {
	ERR_CLASS_NONE,
	ERR_CLASS_RETRY,
	ERR_CLASS_PEER,
	ERR_CLASS_AUTH,
	ERR_CLASS_ABSENT,
	ERR_CLASS_LOCAL,
	ERR_CLASS_CALLER
};

enum err_code {
#define ERR(name, cls, text) ERR_##name,
#include "base/err.def"
#undef ERR
	ERR_COUNT
};

typedef enum err_code err_t;
#define MUST_USE __attribute__((warn_unused_result))

/* Static text, never NULL, also for values outside the table. Any thread. */
const char *err_text(err_t e);
/* The name of the row ("CONN_REFUSED"): the word for metrics and JSON. Any thread. */
const char *err_name(err_t e);
enum err_class err_class_of(err_t e);

#define ERRMSG_BYTES 256
struct errmsg {
	err_t code;
	char text[ERRMSG_BYTES]; /* NUL-terminated, cut at the end if too long; never holds a secret
	                          */
};

/* Sets code and text ("<err_text>: <formatted>"), returns the code. m may be NULL. */
err_t errmsg_set(struct errmsg *m, err_t code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* Puts "<formatted>: " before the text that is there. */
void errmsg_prefix(struct errmsg *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
