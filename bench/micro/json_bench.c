/* json_bench: what engine/json costs on one core.
 *
 *   json_bench [--seconds S] [--toy] [--lines FILE]
 *
 * Events: ns per json_scan_event (everything is validated) for built-in Pods of 3.6 KB, for a mix
 * of 3 to 12 KB, and for custom resources (keys sorted, managedFields before the name), for text
 * full of escapes and for text that is not ASCII, with the best kernel and with the portable one.
 * Beside them the bound: stage 1 of simdjson alone, which says where tokens are and checks nearly
 * nothing. Lists: GB/s of json_list_feed on Pods of 14.5 KB, fed whole and in receive buffers of 16
 * KiB, and with every item scanned. --lines reads watch lines from a file instead, to compare with
 * another program on one input.
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
#include "json/parser.h"
#include "json/simd.h"

enum { SET_LINES = 256, ROUNDS_MAX = 4096, PIECE = 16384, ROWS_MAX = 24 };

struct text {
	char *p;
	size_t n, capacity;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
	for (;;) {
		va_list ap;
		va_start(ap, format);
		char *to = t->p ? t->p + t->n : NULL;
		size_t n = (size_t)vsnprintf(to, t->capacity - t->n, format, ap);
		va_end(ap);
		if (n < t->capacity - t->n) {
			t->n += n;
			return;
		}
		t->capacity = t->capacity * 2 + n + 4096;
		t->p = realloc(t->p, t->capacity);
		CHECK(t->p);
	}
}

/* --- what a server prints ------------------------------------------------------------------- */

static void put_managed_fields(struct text *t, unsigned containers)
{
	put(t, "\"managedFields\":[{\"manager\":\"kube-controller-manager\",\"operation\":"
	       "\"Update\",\"apiVersion\":\"v1\",\"time\":"
	       "\"2025-11-24T15:00:00Z\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{"
	       "\"f:annotations\":{\".\":{},"
	       "\"f:scrape\":{}},\"f:generateName\":{},\"f:labels\":{\".\":{},\"f:app\":{},\"f:pod-"
	       "template-hash\":{}},"
	       "\"f:ownerReferences\":{\".\":{},\"k:{\\\"uid\\\":\\\"5f1c\\\"}\":{}}},\"f:spec\":{"
	       "\"f:containers\":{");
	for (unsigned c = 0; c < containers; c++)
		put(t,
		        "%s\"k:{\\\"name\\\":\\\"c%u\\\"}\":{\".\":{},\"f:image\":{},\"f:"
		        "imagePullPolicy\":{},\"f:name\":{},\"f:ports\":{\".\":{},"
		        "\"k:{\\\"containerPort\\\":8080,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},"
		        "\"f:containerPort\":{},\"f:protocol\":{}}},"
		        "\"f:resources\":{},\"f:terminationMessagePath\":{}}",
		        c ? "," : "", c);
	put(t, "},\"f:dnsPolicy\":{},\"f:restartPolicy\":{},\"f:schedulerName\":{}}}},{\"manager\":"
	       "\"kubelet\",\"operation\":\"Update\","
	       "\"apiVersion\":\"v1\",\"time\":\"2025-11-24T15:01:00Z\",\"fieldsType\":"
	       "\"FieldsV1\",\"fieldsV1\":{\"f:status\":{"
	       "\"f:conditions\":{\"k:{\\\"type\\\":\\\"Ready\\\"}\":{\".\":{},\"f:lastProbeTime\":"
	       "{},\"f:status\":{},\"f:type\":{}}},"
	       "\"f:containerStatuses\":{},\"f:hostIP\":{},\"f:phase\":{},\"f:podIP\":{}}},"
	       "\"subresource\":\"status\"}]");
}

static void put_metadata(struct text *t, unsigned i, unsigned containers, bool sorted)
{
	unsigned h = i * 2654435761u;
	char labels[256], annotations[320], owner[256];
	snprintf(labels, sizeof labels,
	        "\"labels\":{\"app\":\"checkout-api\",\"app.kubernetes.io/"
	        "managed-by\":\"Helm\",\"pod-template-hash\":\"%08x\",\"tier\":\"backend\"}",
	        h);
	snprintf(annotations, sizeof annotations,
	        "\"annotations\":{\"cni.projectcalico.org/podIP\":\"10.%u.%u.1/"
	        "32\",\"kubectl.kubernetes.io/restartedAt\":"
	        "\"2025-11-20T08:11:00+01:00\",\"prometheus.io/scrape\":\"true\",\"note\":\"a "
	        "\\\"quote\\\", \\u00e9 and {[}] \"}",
	        h & 255, h >> 8 & 255);
	snprintf(owner, sizeof owner,
	        "\"ownerReferences\":[{\"apiVersion\":\"apps/"
	        "v1\",\"kind\":\"ReplicaSet\",\"name\":\"checkout-api-%08x\",\"uid\":"
	        "\"%08x-0000-4000-a000-000000000001\",\"controller\":true,\"blockOwnerDeletion\":"
	        "true}]",
	        h, h);
	put(t, "\"metadata\":{");
	if (sorted) {
		put(t, "%s,\"creationTimestamp\":\"2025-11-24T15:00:00Z\",\"generation\":1,%s,",
		        annotations, labels);
		put_managed_fields(t, containers);
		put(t,
		        ",\"name\":\"checkout-api-%08x\",\"namespace\":\"team-%u\",%s,"
		        "\"resourceVersion\":\"%u\",\"uid\":\"%08x-1111-4222-a333-%012x\"},",
		        h, h % 97, owner, 184000000 + i * 7, h, i);
	} else {
		put(t,
		        "\"name\":\"checkout-api-%08x\",\"generateName\":\"checkout-api-\","
		        "\"namespace\":\"team-%u\",\"uid\":\"%08x-1111-4222-a333-%012x\","
		        "\"resourceVersion\":\"%u\",\"generation\":1,\"creationTimestamp\":\"2025-"
		        "11-24T15:00:00Z\",%s,%s,%s,",
		        h, h % 97, h, i, 184000000 + i * 7, labels, annotations, owner);
		put_managed_fields(t, containers);
		put(t, "},");
	}
}

static void put_object(
        struct text *t, unsigned i, unsigned containers, unsigned settings, bool sorted)
{
	put(t, "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",");
	put_metadata(t, i, containers, sorted);
	put(t, "\"spec\":{\"volumes\":[{\"name\":\"kube-api-access\",\"projected\":{\"sources\":[{"
	       "\"serviceAccountToken\":{\"expirationSeconds\":3607,"
	       "\"path\":\"token\"}},{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{"
	       "\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}}],"
	       "\"defaultMode\":420}}],\"containers\":[");
	for (unsigned c = 0; c < containers; c++) {
		put(t,
		        "%s{\"name\":\"c%u\",\"image\":\"registry.example.com/shop/"
		        "checkout-api:v1.%u@sha256:%08x%08x%08x\",\"ports\":[{\"containerPort\":"
		        "8080,"
		        "\"protocol\":\"TCP\"}],\"env\":[",
		        c ? "," : "", c, i % 30, i * 3, i * 5, i * 7);
		for (unsigned e = 0; e < settings; e++)
			put(t,
			        "%s{\"name\":\"SETTING_%u\",\"value\":\"postgres://"
			        "svc-%u.team-%u.svc.cluster.local:5432/db?sslmode=require\"}",
			        e ? "," : "", e, e, i % 97);
		put(t, "],\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"512Mi\"},"
		       "\"requests\":{\"cpu\":\"100m\",\"memory\":\"128Mi\"}},"
		       "\"terminationMessagePath\":\"/dev/"
		       "termination-log\",\"imagePullPolicy\":\"IfNotPresent\"}");
	}
	put(t,
	        "],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":"
	        "\"ClusterFirst\",\"serviceAccountName\":\"default\","
	        "\"nodeName\":\"ip-10-0-%u-%u.ec2.internal\",\"schedulerName\":\"default-"
	        "scheduler\",\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\","
	        "\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],"
	        "\"priority\":0},\"status\":{\"phase\":\"Running\","
	        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\",\"lastProbeTime\":null,"
	        "\"lastTransitionTime\":\"2025-11-24T15:01:00Z\"},"
	        "{\"type\":\"ContainersReady\",\"status\":\"True\",\"lastProbeTime\":null,"
	        "\"lastTransitionTime\":\"2025-11-24T15:01:00Z\"}],"
	        "\"hostIP\":\"10.0.1.%u\",\"podIP\":\"10.1.2.%u\",\"startTime\":\"2025-11-24T15:00:"
	        "00Z\",\"containerStatuses\":[",
	        i & 255, i >> 8 & 255, i & 1 ? "True" : "False", i & 255, i & 255);
	for (unsigned c = 0; c < containers; c++)
		put(t,
		        "%s{\"name\":\"c%u\",\"state\":{\"running\":{\"startedAt\":\"2025-11-24T15:"
		        "00:40Z\"}},\"lastState\":{},\"ready\":true,"
		        "\"restartCount\":%u,\"image\":\"registry.example.com/shop/"
		        "checkout-api:v1\",\"containerID\":\"containerd://%08x%08x%08x\","
		        "\"started\":true}",
		        c ? "," : "", c, i % 5, i, i * 3, i * 5);
	put(t, "],\"qosClass\":\"Burstable\"}}");
}

enum set { SET_PODS, SET_MIX, SET_CUSTOM, SET_ESCAPES, SET_NOT_ASCII, SET_COUNT };
static const char *const set_names[SET_COUNT] = {"Pods, 3.6 KB", "mix, 3 to 12 KB",
        "custom resources, 3.6 KB", "many escapes, 3.4 KB", "not ASCII, 3.6 KB"};

/* A config map with one long text. */
static void put_long_text(struct text *t, unsigned i, bool escapes)
{
	put(t,
	        "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"settings-%"
	        "u\","
	        "\"namespace\":\"team-%u\",\"uid\":\"%08x-1111-4222-a333-000000000000\","
	        "\"resourceVersion\":\"%u\"},\"data\":{\"text\":\"",
	        i, i % 97, i * 2654435761u, 184000000 + i);
	for (unsigned k = 0; k < 40; k++) {
		if (escapes)
			put(t,
			        "{\\n  \\\"key-%u\\\": \\\"value of %x\\\",\\n  \\\"path\\\": "
			        "\\\"C:\\\\\\\\x\\\",\\t\\u003c%u\\u003e}\\n",
			        k, i * k * 77, k);
		else
			put(t,
			        "gr\xC3\xBC\xC3\x9F"
			        "e aus M\xC3\xBCnchen, \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E %x und "
			        "noch \xE2\x82\xAC%u; ganz normaler Text dazwischen, ",
			        i * k * 77, k);
	}
	put(t, "\"}}");
}

static void put_events(struct text *t, enum set set, unsigned lines)
{
	static const char *const types[] = {"MODIFIED", "MODIFIED", "ADDED", "DELETED"};
	for (unsigned i = 0; i < lines; i++) {
		unsigned h = i * 40503u >> 3;
		put(t, "{\"type\":\"%s\",\"object\":", types[h & 3]);
		if (set == SET_ESCAPES || set == SET_NOT_ASCII)
			put_long_text(t, i, set == SET_ESCAPES);
		else
			put_object(t, i, set == SET_MIX ? 1 + h % 3 : 1,
			        set == SET_MIX ? h / 8 % 24 : 3, set == SET_CUSTOM);
		put(t, "}\n");
	}
}

static void put_list(struct text *t, unsigned items)
{
	put(t, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
	       "\"184000000\"},\"items\":[");
	for (unsigned i = 0; i < items; i++) {
		put(t, "%s", i ? "," : "");
		put_object(t, i, 3, 29, false);
	}
	put(t, "]}\n");
}

/* --- measuring ------------------------------------------------------------------------------ */

/* One line of the result: something that can be done to a text, again and again. */
struct row {
	char name[64];
	struct text text;
	struct json_parser *parser;
	struct json_list *list;
	size_t piece; /* of a list */
	uint64_t (*run)(struct row *r);
	size_t units; /* events or items of a round */
	uint64_t checksum;
	unsigned rounds;
	double ns[ROUNDS_MAX]; /* per unit */
};

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t sum_of(const struct json_object *o)
{
	return o->name.n + o->namespace_.n + o->uid.n + o->resource_version.n + o->raw.n - o->cut.n;
}

static uint64_t run_events(struct row *r)
{
	uint64_t sum = 0;
	struct json_hint hint = {
	        1}; /* rounds are shorter than the audit's period: it is not in here */
	const char *p = r->text.p, *end = p + r->text.n;
	for (r->units = 0; p < end; r->units++) {
		const char *line = memchr(p, '\n', (size_t)(end - p));
		struct json_event ev;
		CHECK(!json_scan_event(
		        r->parser, (struct span){p, (size_t)(line - p)}, true, &hint, &ev));
		sum += sum_of(&ev.object) + ev.type;
		p = line + 1;
	}
	return sum;
}

static uint64_t run_stage1(struct row *r)
{
	uint64_t sum = 0;
	const char *p = r->text.p, *end = p + r->text.n;
	for (r->units = 0; p < end; r->units++) {
		const char *line = memchr(p, '\n', (size_t)(end - p));
		const uint32_t *offsets;
		uint32_t count;
		CHECK(!simd_index(r->parser->tokens.simd, p, (size_t)(line - p), &offsets, &count));
		sum += count;
		p = line + 1;
	}
	return sum;
}

static uint64_t run_list(struct row *r)
{
	uint64_t sum = 0;
	enum json_list_result result = JSON_LIST_MORE;
	json_list_reset(r->list);
	r->units = 0;
	for (size_t at = 0; at < r->text.n;) {
		size_t n = r->text.n - at < r->piece ? r->text.n - at : r->piece;
		struct span item, piece = {r->text.p + at, n};
		result = json_list_feed(r->list, &piece, &item);
		CHECK(result != JSON_LIST_ERROR);
		at += n - piece.n;
		if (result != JSON_LIST_ITEM)
			continue;
		r->units++;
		struct json_object o = {.raw = item};
		if (r->parser)
			CHECK(!json_scan_object(r->parser, item, true, NULL, &o));
		sum += sum_of(&o);
	}
	CHECK(result == JSON_LIST_END);
	return sum;
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
			double start = now_ns();
			uint64_t sum = r->run(r);
			r->ns[r->rounds++] = (now_ns() - start) / (double)r->units;
			CHECK(round == 0 || sum == r->checksum);
			r->checksum = sum;
		}
	}
}

static void print(struct row *r)
{
	qsort(r->ns, r->rounds, sizeof r->ns[0], by_value);
	double bytes = (double)r->text.n / (double)r->units, best = r->ns[0],
	       median = r->ns[r->rounds / 2];
	printf("%-52s %6zu x %6.0f B  best %8.1f ns %6.2f GB/s  median %8.1f ns  rounds %u  sum "
	       "%llu\n",
	        r->name, r->units, bytes, best, bytes / best, median, r->rounds,
	        (unsigned long long)r->checksum);
}

static struct row *add_events(struct row *r, const char *set, const struct text *lines)
{
	static const char *const what[] = {"", ", portable kernel", ", stage 1 of simdjson alone"};
	for (size_t k = 0; k < ARRAY_LEN(what); k++) {
		r->parser = parser_new(
		        1 << 16, 8 << 20, k ? TOKENS_KERNEL_PORTABLE : TOKENS_KERNEL_BEST);
		CHECK(r->parser);
		r->text = *lines;
		r->run = k == 2 ? run_stage1 : run_events;
		snprintf(r->name, sizeof r->name, "event, %s%s", set, what[k]);
		r++;
	}
	return r;
}

static struct row *add_list(
        struct row *r, const char *name, const struct text *body, size_t piece, bool scan)
{
	r->list = json_list_new(8 << 20);
	r->parser = scan ? json_parser_new(1 << 16, 8 << 20) : NULL;
	CHECK(r->list && (r->parser || !scan));
	r->text = *body;
	r->piece = piece;
	r->run = run_list;
	snprintf(r->name, sizeof r->name, "list item, %s", name);
	return r + 1;
}

static void with_slack(struct text *t)
{
	size_t n = t->n;
	put(t, "%*s", JSON_PADDING, "");
	t->n = n;
}

static void read_lines(struct text *t, const char *path)
{
	FILE *f = fopen(path, "r");
	char buf[4096];
	if (!f) {
		perror(path);
		exit(1);
	}
	for (size_t n; (n = fread(buf, 1, sizeof buf, f)) > 0;)
		put(t, "%.*s", (int)n, buf);
	fclose(f);
}

int main(int argc, char **argv)
{
	static struct row rows[ROWS_MAX];
	double seconds = 0.5;
	unsigned lines = SET_LINES, items = 64;
	const char *file = NULL;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--toy")) {
			lines = items = 4;
			seconds = 0;
		} else if (!strcmp(argv[i], "--seconds") && i + 1 < argc) {
			seconds = atof(argv[++i]);
		} else if (!strcmp(argv[i], "--lines") && i + 1 < argc) {
			file = argv[++i];
		} else {
			fprintf(stderr, "usage: json_bench [--seconds S] [--toy] [--lines FILE]\n");
			return 2;
		}
	}
	struct row *end = rows;
	struct text texts[SET_COUNT + 1] = {{0}};
	if (file) {
		read_lines(&texts[0], file);
		with_slack(&texts[0]);
		end = add_events(end, "from file", &texts[0]);
	}
	for (enum set set = 0; set < SET_COUNT && !file; set++) {
		put_events(&texts[set], set, lines);
		with_slack(&texts[set]);
		end = add_events(end, set_names[set], &texts[set]);
	}
	if (!file) {
		struct text *body = &texts[SET_COUNT];
		put_list(body, items);
		with_slack(body);
		end = add_list(end, "split, fed whole", body, SIZE_MAX, false);
		end = add_list(end, "split, fed in 16 KiB", body, PIECE, false);
		end = add_list(end, "split and scanned, fed in 16 KiB", body, PIECE, true);
	}
	measure(rows, (size_t)(end - rows), seconds);
	for (struct row *r = rows; r < end; r++) {
		print(r);
		json_parser_free(&r->parser);
		json_list_free(&r->list);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i].p);
	return 0;
}
