/* json_shape: an event read by comparing it with an object that was read before.
 *
 * Input: a byte of options, an object, a NUL, and then the event: whole (option 1), or as edits of
 * the object, four bytes each: where (2), how (1), the byte (1). Option 2: managedFields stay.
 * Property: a "yes" of json_shape_event is what json_scan_event says of the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "json/parser.h"
#include "json/shape.h"

#define HEAD "{\"type\":\"MODIFIED\",\"object\":"
enum { HEAD_BYTES = sizeof HEAD - 1, EDITS_MAX = 64 };

/* Each keeps the texts that had escapes until it reads on: the one that read the known object reads
 * nothing else while that is compared with. */
static struct json_parser *parser, *other, *before;

static void check(struct span doc, const struct json_known *known, bool strip)
{
	struct json_event got, want;
	struct json_hint hint = {.events = 1};
	struct span namespace_, name;
	if (json_shape_key(doc, &namespace_, &name))
		CHECK(name.p + name.n <= doc.p + doc.n && name.n <= JSON_NAME_MAX);
	if (!json_shape_event(parser, doc, known, &hint, &got))
		return;
	err_t e = json_scan_event(other, doc, strip, NULL, &want);
	if (e == ERR_JSON_DEPTH) /* shape.h */
		return;
	CHECK(e == ERR_OK);
	const struct json_object *a = &got.object, *b = &want.object;
	CHECK(want.type == JSON_EVENT_MODIFIED && a->raw.p == b->raw.p && a->raw.n == b->raw.n);
	CHECK(a->cut.n == b->cut.n && (a->cut.n == 0 || a->cut.p == b->cut.p));
	CHECK(span_eq(a->name, b->name) && span_eq(a->namespace_, b->namespace_));
	CHECK(span_eq(a->uid, b->uid) && span_eq(a->resource_version, b->resource_version));
}

/* As long as it is, and the slack that is promised. */
static char *exact(const void *p, size_t n)
{
	char *d = malloc(n + JSON_PADDING);
	memcpy(d, p, n);
	memset(d + n, '"', JSON_PADDING);
	return d;
}

/* The object as an event, edited. */
static char *edited(struct span object, const uint8_t *edit, size_t edits, size_t *bytes)
{
	size_t n = HEAD_BYTES + object.n + 1;
	char *d = malloc(n + EDITS_MAX);
	memcpy(d, HEAD, HEAD_BYTES);
	memcpy(d + HEAD_BYTES, object.p, object.n);
	d[n - 1] = '}';
	for (size_t i = 0; i < edits && i < EDITS_MAX; i++, edit += 4) {
		size_t at = (edit[0] | (size_t)edit[1] << 8) % n;
		if (edit[2] % 3 == 1)
			memmove(d + at + 1, d + at, n++ - at);
		if (edit[2] % 3 == 2)
			memmove(d + at, d + at + 1, --n - at);
		else
			d[at] = (char)edit[3];
	}
	char *event = exact(d, n);
	free(d);
	*bytes = n;
	return event;
}

/* What a store would have of it; *kept is its JSON. */
static struct json_known hold(const struct json_object *o, char **kept)
{
	size_t front = o->cut.n ? (size_t)(o->cut.p - o->raw.p) : o->raw.n;
	struct json_known k = {.name = o->name, .namespace_ = o->namespace_, .uid = o->uid};
	k.json = (struct span){ *kept = malloc(o->raw.n), o->raw.n - o->cut.n};
	memcpy(*kept, o->raw.p, front);
	if (o->cut.n)
		memcpy(*kept + front, o->cut.p + o->cut.n, o->raw.n - front - o->cut.n);
	json_shape_marks(o, &k.version_at, &k.cut_at);
	return k;
}

static void one(struct span object, const uint8_t *event, size_t n, uint8_t how)
{
	struct json_object o;
	bool strip = !(how & 2);
	char *copy = exact(object.p, object.n), *kept = NULL;
	if (json_scan_object(before, (struct span){copy, object.n}, strip, NULL, &o) == ERR_OK) {
		struct json_known known = hold(&o, &kept);
		char *d = how & 1 ? exact(event, n) : edited(o.raw, event, n / 4, &n);
		check((struct span){d, n}, &known, strip);
		check((struct span){d, n}, &known, strip); /* with managedFields seen before */
		free(d);
	}
	free(kept);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!parser) {
		parser = json_parser_new(4096, 1 << 20);
		other = json_parser_new(4096, 1 << 20);
		before = json_parser_new(4096, 1 << 20);
	}
	const uint8_t *end = size ? memchr(data + 1, 0, size - 1) : NULL;
	if (!end)
		return 0;
	size_t n = (size_t)(end - data) - 1;
	one((struct span){(const char *)data + 1, n}, end + 1, size - n - 2, data[0]);
	return 0;
}
