/* envelope: any bytes as a message of the multiplexer.
 *
 * Property: envelope_read accepts what the DOM of json.h accepts and finds the same fields, but for
 * the documented differences: a known member twice or mistyped and invalid base64 are refused;
 * UTF-8 and the size of numbers are not looked at. All string kernels find the same. What was read
 * and is written again reads the same. Byte 0 of the input chooses what stands behind the message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "headlamp/envelope.h"
#include "headlamp/flat.h"
#include "json/json.h"
#include "json/simd.h"

enum { CLUSTER, PATH, QUERY, USER, DATA, BINARY, TYPE, ERROR, FIELDS };
static const char *const names[FIELDS] = {
        "clusterId", "path", "query", "userId", "data", "binary", "type", "error"};

static struct envelope_reader *reader;
static struct quoted_moves moves;

struct fields {
	struct span text[FIELDS];
	unsigned seen[FIELDS];
	bool binary;
};

/* What the DOM says: false when an envelope must be refused. */
static bool wanted(struct json_node root, struct fields *f)
{
	struct json_iter it = {0};
	struct json_node value;
	struct span key;
	if (json_dom_type(root) != JSON_OBJECT)
		return false;
	while (json_dom_next(root, &it, &key, &value)) {
		for (int i = 0; i < FIELDS; i++) {
			if (!span_is(key, names[i]))
				continue;
			if (f->seen[i]++ ||
			        json_dom_type(value) != (i == BINARY ? JSON_BOOL : JSON_STRING))
				return false;
			f->text[i] = json_dom_string(value);
			if (i == BINARY)
				f->binary = json_dom_bool(value, false);
		}
	}
	return true;
}

static struct span data_of(const struct fields *f)
{
	return f->text[f->seen[TYPE] ? DATA : ERROR];
}

/* The naive decoder: NULL when it is no base64. */
static char *decoded(struct span s, size_t *n)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = malloc(s.n + 1);
	*n = 0;
	for (size_t i = 0; i < s.n; i += 4) {
		uint32_t v = 0, pads = 0;
		for (size_t k = i; k < i + 4; k++) {
			char c = k < s.n ? s.p[k] : 0;
			const char *d = c ? strchr(digits, c) : NULL;
			bool pad = c == '=' && i + 4 == s.n && k >= i + 2;
			if ((!d && !pad) || (d && pads)) {
				free(out);
				return NULL;
			}
			pads += pad;
			v = v << 6 | (d ? (uint32_t)(d - digits) : 0);
		}
		for (uint32_t k = 0; k < 3 - pads; k++)
			out[(*n)++] = (char)(v >> (16 - 8 * k));
	}
	return out;
}

static void same(const struct envelope *e, const struct fields *f)
{
	const struct span *text = f->text;
	CHECK(span_eq(e->cluster, text[CLUSTER]) && span_eq(e->path, text[PATH]));
	CHECK(span_eq(e->query, text[QUERY]) && span_eq(e->user, text[USER]));
	CHECK((e->type == ENVELOPE_DATA) == span_is(text[TYPE], "DATA"));
	CHECK((e->type == ENVELOPE_STATUS) == span_is(text[TYPE], "STATUS"));
	CHECK((e->type == ENVELOPE_ERROR) ==
	        (f->seen[TYPE] ? span_is(text[TYPE], "ERROR") : f->seen[ERROR] > 0));
	struct span data = data_of(f);
	size_t n = data.n;
	char *bytes = f->binary ? decoded(data, &n) : NULL;
	CHECK(span_eq(e->data, (struct span){bytes ? bytes : data.p, n}));
	free(bytes);
}

static void kernels_agree(struct span message)
{
	static const struct flat_name known[FIELDS] = {FLAT("clusterId"), FLAT("path"),
	        FLAT("query"), FLAT("userId"), FLAT("data"), FLAT_BOOL("binary"), FLAT("type"),
	        FLAT("error")};
	const char *wrong[QUOTED_KERNELS];
	struct flat found[QUOTED_KERNELS];
	char *buf[QUOTED_KERNELS] = {NULL};
	for (int k = 0; k < QUOTED_KERNELS; k++) {
		struct flat_strings s = {quoted_of((enum quoted_kernel)k), &moves};
		struct flat *f = &found[k];
		if (!s.read)
			continue;
		*f = (struct flat){.names = known, .count = FIELDS};
		buf[k] = malloc(message.n + QUOTED_SLACK);
		wrong[k] = flat_read(&s, message, f, buf[k]);
		CHECK(!wrong[k] == !wrong[0]);
		if (wrong[0])
			continue;
		CHECK(f->seen == found[0].seen && f->truth == found[0].truth);
		for (size_t i = 0; i < FIELDS; i++)
			CHECK(span_eq(flat_text(f, i), flat_text(&found[0], i)));
	}
	for (int k = 0; k < QUOTED_KERNELS; k++)
		free(buf[k]);
}

/* The DOM may refuse what is no UTF-8, or a number that no double holds. */
static bool dom_is_stricter(struct span s)
{
	bool digits = false;
	for (size_t i = 0, run = 0; i < s.n && !digits; i++) {
		run = s.p[i] >= '0' && s.p[i] <= '9' ? run + 1 : 0;
		digits = run > 300 ||
		         ((s.p[i] | 0x20) == 'e' && i && s.p[i - 1] >= '0' && s.p[i - 1] <= '9');
	}
	return digits || !simd_utf8(s.p, s.n);
}

static void write_and_read(const struct envelope *e)
{
	size_t cap = 1 << 20;
	char *out = malloc(cap);
	struct envelope_request q = {e->cluster, e->path, e->query, e->user, e->data.n & 1};
	size_t n = envelope_write(&q, out, cap - JSON_PADDING);
	struct envelope_reader *other = envelope_reader_new(1 << 20);
	struct envelope again;
	CHECK(n);
	CHECK(!envelope_read(other, (struct span){out, n}, &again, NULL));
	CHECK(span_eq(again.cluster, e->cluster) && span_eq(again.path, e->path));
	CHECK(span_eq(again.query, e->query) && span_eq(again.user, e->user));
	CHECK(again.type == ENVELOPE_OTHER && again.data.n == 0);
	envelope_reader_free(&other);
	free(out);
}

static void one(struct span message)
{
	struct json_dom *dom = json_dom_new();
	struct json_node root;
	struct fields f = {0};
	struct span ignored;
	struct envelope e;
	err_t parsed = json_dom_parse(dom, message, &root);
	err_t got = envelope_read(reader, message, &e, NULL);
	CHECK(got == ERR_OK || got == ERR_HEADLAMP_FRAME);
	if (parsed) {
		CHECK(got || dom_is_stricter(message));
	} else {
		bool want = wanted(root, &f);
		if (want && f.binary) {
			size_t n;
			char *bytes = decoded(data_of(&f), &n);
			want = bytes;
			free(bytes);
		}
		CHECK(want == !got);
	}
	if (!got) {
		if (!parsed)
			same(&e, &f);
		(void)envelope_status(reader, &e, &ignored);
		(void)envelope_error(reader, &e);
		write_and_read(&e);
	}
	json_dom_free(&dom);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (!reader) {
		reader = envelope_reader_new(1 << 20);
		quoted_moves_init(&moves);
	}
	size_t n = size - 1;
	char *copy = malloc(n + JSON_PADDING);
	memcpy(copy, data + 1, n);
	memset(copy + n, "\"}\\0"[data[0] & 3], JSON_PADDING);
	one((struct span){copy, n});
	kernels_agree((struct span){copy, n});
	free(copy);
	return 0;
}
