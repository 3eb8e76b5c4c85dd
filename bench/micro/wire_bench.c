/* wire_bench: what reading WebSocket messages costs on one core (ws.h).
 *
 *   wire_bench [--toy]
 *
 * Text messages of 3.6 KB (one Pod event) and 14 KB that lie whole in one buffer, as in a turn that
 * received much, with and without the check of their UTF-8. Best and median of rounds that are
 * interleaved between the rows. Every 16th character of "mixed" has two bytes. The message bytes
 * are counted, so that nothing was left out; without the check they are not touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "wire/ws.h"

enum { BUFFER_BYTES = 256 * 1024, ROUNDS = 401, REPEATS = 20, ROWS = 6 };

static const struct row {
	const char *name;
	size_t bytes;
	bool check_text, mixed;
} rows[ROWS] = {
        {"3.6 KB", 3632, false, false},
        {"3.6 KB, checked", 3632, true, false},
        {"14 KB", 14336, false, false},
        {"14 KB, checked", 14336, true, false},
        {"3.6 KB, mixed, checked", 3632, true, true},
        {"14 KB, mixed, checked", 14336, true, true},
};

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t fill(char *p, const struct row *r)
{
	size_t n = 0;
	while (n + 4 + r->bytes <= BUFFER_BYTES) {
		const char head[] = {(char)0x81, 126, (char)(r->bytes >> 8), (char)r->bytes};
		memcpy(p + n, head, sizeof head);
		memset(p + n + 4, 'x', r->bytes);
		for (size_t i = 0; r->mixed && i < r->bytes; i += 16)
			memcpy(p + n + 4 + i, "\xC3\xA9", 2);
		n += 4 + r->bytes;
	}
	return n;
}

/* ns per message */
static double round_of(const struct row *r, const char *p, size_t n, unsigned repeats)
{
	size_t messages = 0, bytes = 0, used;
	double start = now_ns();
	for (unsigned i = 0; i < repeats; i++) {
		struct ws_parser parser;
		struct ws_event ev;
		ws_init(&parser, NULL, r->check_text);
		for (size_t at = 0; ws_feed(&parser, p + at, n - at, &used, &ev) == WS_EVENT;) {
			at += used;
			messages++;
			bytes += ev.data.n;
		}
		ws_fini(&parser);
	}
	double took = now_ns() - start;
	CHECK(messages > 0 && bytes == messages * r->bytes &&
	        messages * (r->bytes + 4) == n * repeats);
	return took / (double)messages;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double took[ROWS][ROUNDS];
	bool toy = argc > 1 && strcmp(argv[1], "--toy") == 0;
	size_t rounds = toy ? 1 : ROUNDS, n[ROWS];
	char *buffers[ROWS];
	for (size_t i = 0; i < ROWS; i++) {
		buffers[i] = malloc(BUFFER_BYTES);
		CHECK(buffers[i]);
		n[i] = fill(buffers[i], &rows[i]);
	}
	for (size_t k = 0; k < rounds; k++)
		for (size_t i = 0; i < ROWS; i++)
			took[i][k] = round_of(&rows[i], buffers[i], n[i], toy ? 1 : REPEATS);
	for (size_t i = 0; i < ROWS; i++) {
		qsort(took[i], rounds, sizeof took[i][0], compare);
		double best = took[i][0], median = took[i][rounds / 2];
		printf("ws %-24s %8.1f ns best %8.1f ns median %8.1f GB/s\n", rows[i].name, best,
		        median, (double)rows[i].bytes / best);
		free(buffers[i]);
	}
	return 0;
}
