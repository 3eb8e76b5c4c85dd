#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *text;
	enum err_class cls;
} rows[] = {
#define ERR(name, cls, text) {#name, text, ERR_CLASS_##cls},
#include "base/err.def"
#undef ERR
};

static unsigned row_of(err_t e)
{
	return (unsigned)e < ERR_COUNT ? (unsigned)e : (unsigned)ERR_IO;
}

const char *err_text(err_t e)
{
	return rows[row_of(e)].text;
}
const char *err_name(err_t e)
{
	return rows[row_of(e)].name;
}
enum err_class err_class_of(err_t e)
{
	return rows[row_of(e)].cls;
}

err_t errmsg_set(struct errmsg *m, err_t code, const char *fmt, ...)
{
	if (!m)
		return code;
	m->code = code;
	int n = snprintf(m->text, sizeof m->text, "%s: ", err_text(code));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(m->text + n, sizeof m->text - (size_t)n, fmt, ap);
	va_end(ap);
	return code;
}

void errmsg_prefix(struct errmsg *m, const char *fmt, ...)
{
	char old[ERRMSG_BYTES];
	memcpy(old, m->text, sizeof old);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(m->text, sizeof m->text, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof m->text - 3)
		return;
	size_t left = sizeof m->text - (size_t)n;
	snprintf(m->text + n, left, ": %.*s", (int)(left - 3), old);
}
