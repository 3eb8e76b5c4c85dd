/* log.h - lines on stderr, as logfmt or JSON. Control paths only: nothing is logged per event,
 * ever. Values are quoted where they must be; secrets never come here (their types have no text).
 * Any thread; one line is one write, so lines do not mix. It never waits: a line that stderr does
 * not take (nobody reads it, the disk under it is full) is counted, and the next one that it takes
 * says how many there were. */
#ifndef KR_BASE_LOG_H
#define KR_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum { LOG_LINE_BYTES = 2048, LOG_FIELDS_MAX = 8 };

/* Once, before the threads start. */
void log_init(enum log_level least, bool json);
/* msg, then pairs of key and value, then NULL: log_line(LOG_LEVEL_INFO, "listening", "socket",
 * path, NULL). A NULL value is "". */
void log_line(enum log_level level, const char *msg, ...) __attribute__((sentinel));
/* Lines that stderr has not taken, since the start. */
unsigned long long log_lost(void);

#endif
