/* say.h - what the tool says beside its data: everything on stderr, and the exit codes.
 *
 * Colour only on a terminal, and not with NO_COLOR (non-empty).
 */
#ifndef KR_KUBERING_SAY_H
#define KR_KUBERING_SAY_H

#include <stdbool.h>
#include <stdio.h>

struct kr_client;

enum exit_code {
	CODE_OK = 0,
	CODE_FAILED = 1,
	CODE_USAGE = 2,
	CODE_TIMED_OUT = 3,
	CODE_UNREACHABLE = 4, /* the daemon */
};

enum say_color { SAY_PLAIN, SAY_RED, SAY_GREEN, SAY_YELLOW, SAY_DIM, SAY_BOLD };

/* "error: ..." and "warning: ...", one line each; a progress line is wiped first. */
void say_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says why a call of the library failed and gives the exit code for it. subject may be NULL. */
int say_result(const struct kr_client *client, int result, const char *subject);
/* One line that replaces itself, only when stderr is a terminal. NULL wipes it. */
void say_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_progress_end(void);
/* The escape that starts a colour on that stream; "" when it gets none. SAY_PLAIN ends one. */
const char *say_color(FILE *f, enum say_color color);
/* Ends with CODE_FAILED when stdout could not be written (a full disk). */
int say_close(int code);

#endif
