/* envelope_bench: what the multiplexer's envelope costs on one core, beside the scan of what is in
 * it.
 *
 *   envelope_bench [--seconds S] [--toy]
 *
 * Messages: watch events of Pods of 3.6 and of 14.5 KB, wrapped as the backend does it: every
 * quote and backslash of the document escaped, one in about 8 bytes. Rows: envelope_read, its loop
 * over the string alone with each kernel (the portable one copies until the next escape), and
 * json_scan_event of the document. Bytes are those of the message; of the scan those of the
 * document.
 *
 * Each figure is the best and the median of many rounds over a set that stays in the cache; rounds
 * are interleaved between the rows, so that all of them see the same machine. The checksum says
 * that nothing was left out. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "headlamp/envelope.h"
#include "headlamp/quoted.h"
#include "json/json.h"

enum { SET = 16, ROUNDS_MAX = 8192, ROWS_MAX = 16, POD_MAX = 1 << 16 };

struct text {
	char *p; /* own */
	size_t n;
};
struct set {
	struct text documents[SET], messages[SET];
	size_t quoted_at[SET]; /* of a message: behind the quote that opens data */
	size_t count;
};
static struct set sets[2];
static const size_t set_bytes[2] = {3600, 14500};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	t->n += (size_t)vsnprintf(t->p + t->n, POD_MAX - t->n, format, ap);
	va_end(ap);
	CHECK(t->n + JSON_PADDING < POD_MAX);
}

static void put_pod(struct text *t, unsigned i, size_t bytes)
{
	unsigned h = i * 2654435761u;
	put(t,
	        "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
	        "\"metadata\":{\"name\":\"checkout-api-%08x\",\"generateName\":\"checkout-api-\","
	        "\"namespace\":\"team-%u\",\"uid\":\"%08x-1111-4222-a333-%012x\","
	        "\"resourceVersion\":\"%u\",\"creationTimestamp\":\"2025-11-24T15:00:00Z\","
	        "\"labels\":{\"app\":\"checkout-api\",\"pod-template-hash\":\"%08x\"},"
	        "\"annotations\":{\"note\":\"a \\\"quote\\\", \\u00e9 and {[}] \"},"
	        "\"managedFields\":[{\"manager\":\"kubelet\",\"operation\":\"Update\","
	        "\"fieldsV1\":{\"f:status\":{\"f:conditions\":{",
	        h, h % 97, h, i, 184000000 + i * 7, h);
	size_t fields = bytes / 3;
	for (unsigned k = 0; t->n < fields; k++)
		put(t,
		        "%s\"k:{\\\"type\\\":\\\"Ready%u\\\"}\":{\".\":{},\"f:lastProbeTime\":{},"
		        "\"f:status\":{},\"f:type\":{}}",
		        k ? "," : "", k);
	put(t, "}}},\"subresource\":\"status\"}]},\"spec\":{\"containers\":[{\"name\":\"c\","
	       "\"image\":\"registry.example.com/shop/checkout-api:v1\",\"env\":[");
	for (unsigned k = 0; t->n < bytes - 500; k++)
		put(t,
		        "%s{\"name\":\"SETTING_%u\",\"value\":\"postgres://svc-%u.svc.cluster."
		        "local:5432/db?sslmode=require\"}",
		        k ? "," : "", k, k);
	put(t,
	        "]}],\"restartPolicy\":\"Always\",\"nodeName\":\"ip-10-0-%u-%u.ec2.internal\"},"
	        "\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":"
	        "\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\"2025-11-24T15:01:00Z\"}],"
	        "\"hostIP\":\"10.0.1.%u\",\"podIP\":\"10.1.2.%u\",\"startTime\":"
	        "\"2025-11-24T15:00:00Z\",\"qosClass\":\"Burstable\"}}}\n",
	        h & 255, h >> 8 & 255, h & 255, i & 255);
}

static void wrap(struct text *t, struct span doc, size_t *quoted_at)
{
	put(t, "{\"clusterId\":\"production-eu\",\"path\":\"/api/v1/pods\",\"query\":"
	       "\"watch=1\\u0026allowWatchBookmarks=true\\u0026resourceVersion=184000000\","
	       "\"userId\":\"9872e4f36eaadb0e\",\"data\":\"");
	*quoted_at = t->n;
	for (size_t i = 0; i < doc.n; i++) {
		if (doc.p[i] == '\n')
			put(t, "\\n");
		else
			put(t, "%s%c", doc.p[i] == '"' || doc.p[i] == '\\' ? "\\" : "", doc.p[i]);
	}
	put(t, "\",\"type\":\"DATA\"}\n");
}

static void make(struct set *s, size_t bytes, size_t count)
{
	s->count = count;
	for (size_t i = 0; i < count; i++) {
		struct text *d = &s->documents[i], *m = &s->messages[i];
		d->p = calloc(1, POD_MAX);
		m->p = calloc(1, POD_MAX);
		CHECK(d->p && m->p);
		put_pod(d, (unsigned)i, bytes);
		wrap(m, (struct span){d->p, d->n}, &s->quoted_at[i]);
	}
}

/* --- measuring ------------------------------------------------------------------------------ */

struct row {
	char name[64];
	const struct set *set;
	uint64_t (*run)(struct row *r);
	quoted_fn quoted;
	size_t bytes; /* of a round */
	uint64_t checksum;
	unsigned rounds;
	double ns[ROUNDS_MAX]; /* per message */
};

static struct envelope_reader *reader;
static struct json_parser *parser;
static struct quoted_moves moves;
static char out[POD_MAX];

static uint64_t run_scan(struct row *r)
{
	uint64_t sum = 0;
	struct json_hint hint = {1};
	for (size_t i = 0; i < r->set->count; i++) {
		struct json_event ev;
		const struct text *d = &r->set->documents[i];
		CHECK(!json_scan_event(parser, (struct span){d->p, d->n}, true, &hint, &ev));
		sum += ev.object.raw.n + ev.object.name.n;
		r->bytes += d->n;
	}
	return sum;
}

static uint64_t run_envelope(struct row *r)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < r->set->count; i++) {
		struct envelope e;
		const struct text *m = &r->set->messages[i];
		CHECK(!envelope_read(reader, (struct span){m->p, m->n}, &e, NULL));
		sum += e.data.n + e.query.n + e.user.n;
		r->bytes += m->n;
	}
	return sum;
}

static uint64_t run_quoted(struct row *r)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < r->set->count; i++) {
		const struct text *m = &r->set->messages[i];
		struct quoted q = {m->p + r->set->quoted_at[i], m->p + m->n, out};
		CHECK(r->quoted(&q, &moves));
		sum += (size_t)(q.to - out);
		r->bytes += m->n;
	}
	return sum;
}

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void measure(struct row *rows, size_t count, double seconds)
{
	double until = now_ns() + seconds * 1e9 * (double)count;
	for (unsigned round = 0; round < ROUNDS_MAX && (round < 3 || now_ns() < until); round++) {
		for (size_t i = 0; i < count; i++) {
			struct row *r = &rows[i];
			(void)r->run(r); /* into the cache: another row has been there */
			r->bytes = 0;
			double start = now_ns();
			uint64_t sum = r->run(r);
			r->ns[r->rounds++] = (now_ns() - start) / (double)r->set->count;
			CHECK(round == 0 || sum == r->checksum);
			r->checksum = sum;
		}
	}
}

static void print(struct row *r)
{
	qsort(r->ns, r->rounds, sizeof r->ns[0], by_value);
	double bytes = (double)r->bytes / (double)r->set->count, best = r->ns[0],
	       median = r->ns[r->rounds / 2];
	printf("%-36s %6.0f B  best %8.1f ns %6.2f GB/s  median %8.1f ns  rounds %u  sum %llu\n",
	        r->name, bytes, best, bytes / best, median, r->rounds,
	        (unsigned long long)r->checksum);
}

static struct row *add_rows(struct row *r, size_t set)
{
	static const char *const kernels[] = {"portable", "AVX2", "AVX-512"};
	const char *size = set ? "14.5 KB" : "3.6 KB";
	snprintf(r->name, sizeof r->name, "Pod of %s, json_scan_event", size);
	r->set = &sets[set];
	r++->run = run_scan;
	snprintf(r->name, sizeof r->name, "Pod of %s, envelope_read", size);
	r->set = &sets[set];
	r++->run = run_envelope;
	for (int k = 0; k < QUOTED_KERNELS; k++) {
		if (!quoted_of((enum quoted_kernel)k))
			continue;
		snprintf(r->name, sizeof r->name, "Pod of %s, data, %s", size, kernels[k]);
		r->set = &sets[set];
		r->quoted = quoted_of((enum quoted_kernel)k);
		r++->run = run_quoted;
	}
	return r;
}

int main(int argc, char **argv)
{
	static struct row rows[ROWS_MAX];
	double seconds = 0.5;
	size_t count = SET;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--toy")) {
			count = 2;
			seconds = 0;
		} else if (!strcmp(argv[i], "--seconds") && i + 1 < argc) {
			seconds = atof(argv[++i]);
		} else {
			fprintf(stderr, "usage: envelope_bench [--seconds S] [--toy]\n");
			return 2;
		}
	}
	reader = envelope_reader_new(8 << 20);
	parser = json_parser_new(1 << 16, 8 << 20);
	CHECK(reader && parser);
	quoted_moves_init(&moves);
	struct row *end = rows;
	for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
		make(&sets[s], set_bytes[s], count);
		end = add_rows(end, s);
	}
	measure(rows, (size_t)(end - rows), seconds);
	for (struct row *r = rows; r < end; r++)
		print(r);
	for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
		for (size_t i = 0; i < count; i++) {
			free(sets[s].documents[i].p);
			free(sets[s].messages[i].p);
		}
	}
	envelope_reader_free(&reader);
	json_parser_free(&parser);
	return 0;
}
