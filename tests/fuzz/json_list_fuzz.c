/* json_list: any bytes as the body of a LIST, cut into pieces.
 *
 * Property: fed whole, byte by byte, and cut where the first bytes of the input say, the splitter
 * gives the same items, the same end and the same error. It comes to a clean end with only valid
 * items exactly when the naive reader accepts the whole body and finds the shape right, and then
 * items and metadata are those of its tree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "harness/json_naive.h"

enum { ITEMS_MAX = 512, ITEM_BYTES_MAX = 2048, BODY_BYTES_MAX = 16384 };

struct outcome {
	enum json_list_result end;
	err_t err;
	size_t items, bytes;           /* bytes: of all items */
	char text[BODY_BYTES_MAX * 2]; /* items, one after the other */
	size_t item_n[ITEMS_MAX];
	size_t taken;
};

static struct json_list *splitter;
static struct outcome whole, other;

/* Everything that is in one piece. */
static void feed(struct span piece, struct outcome *o)
{
	struct span item, rest = piece;
	while (rest.n && o->end != JSON_LIST_ERROR) {
		size_t before = rest.n;
		o->end = json_list_feed(splitter, &rest, &item);
		CHECK(rest.n < before || (rest.n == before && o->end == JSON_LIST_ERROR));
		CHECK(rest.n == 0 || o->end == JSON_LIST_ITEM || o->end == JSON_LIST_ERROR);
		if (o->end != JSON_LIST_ITEM)
			continue;
		CHECK(o->items < ITEMS_MAX && item.n <= ITEM_BYTES_MAX);
		o->item_n[o->items++] = item.n;
		memcpy(o->text + o->bytes, item.p, item.n);
		o->bytes += item.n;
	}
	o->taken += piece.n - rest.n;
}

static void begin(struct outcome *o)
{
	json_list_reset(splitter);
	o->items = o->bytes = o->taken = 0;
	o->end = JSON_LIST_MORE;
}

static void end(struct outcome *o)
{
	o->err = json_list_err(splitter);
	CHECK((o->end == JSON_LIST_ERROR) == (o->err != ERR_OK));
}

/* Pieces of the lengths in `cuts`, over and over. They are copies, so that reading on shows up. */
static void run_cut(struct span body, const uint8_t *cuts, size_t cuts_n, struct outcome *o)
{
	begin(o);
	for (size_t k = 0; o->taken < body.n && o->end != JSON_LIST_ERROR; k++) {
		size_t n = 1u + cuts[k % cuts_n];
		n = n < body.n - o->taken ? n : body.n - o->taken;
		char *piece = malloc(n + JSON_PADDING);
		memcpy(piece, body.p + o->taken, n);
		memset(piece + n, '}', JSON_PADDING);
		feed((struct span){piece, n}, o);
		free(piece);
	}
	end(o);
}

static void run_whole(struct span body, size_t piece, struct outcome *o)
{
	begin(o);
	while (o->taken < body.n && o->end != JSON_LIST_ERROR)
		feed((struct span){body.p + o->taken,
		             piece < body.n - o->taken ? piece : body.n - o->taken},
		        o);
	end(o);
}

static void same_outcome(void)
{
	CHECK(whole.end == other.end && whole.err == other.err && whole.taken == other.taken);
	CHECK(whole.items == other.items && whole.bytes == other.bytes);
	CHECK(memcmp(whole.item_n, other.item_n, whole.items * sizeof whole.item_n[0]) == 0);
	CHECK(memcmp(whole.text, other.text, whole.bytes) == 0);
}

static bool all_items_valid(void)
{
	bool ok = true;
	size_t at = 0;
	for (size_t i = 0; i < whole.items; at += whole.item_n[i++]) {
		struct naive *n = naive_parse(
		        (struct span){whole.text + at, whole.item_n[i]}, JSON_DEPTH_MAX);
		ok &= n != NULL;
		naive_free(n);
	}
	return ok;
}

static bool text_shape(
        const struct naive *from, const char *name, size_t bytes_max, struct span got)
{
	struct naive *n;
	if (naive_find(from, name, &n) > 1)
		return false;
	if (!n || n->type == NAIVE_NULL)
		return got.n == 0;
	return n->type == NAIVE_STRING && !n->odd && n->text_n <= bytes_max &&
	       span_eq(got, (struct span){n->text, n->text_n});
}

static bool items_shape(const struct naive *tree, bool saw_items)
{
	struct naive *items;
	size_t count = 0, at = 0;
	if (naive_find(tree, "items", &items) > 1 || saw_items != (items != NULL))
		return false;
	if (!items || items->type == NAIVE_NULL)
		return whole.items == 0;
	if (items->type != NAIVE_ARRAY)
		return false;
	for (struct naive *n = items->first; n; n = n->next) {
		if (n->type != NAIVE_OBJECT || n->raw_n > ITEM_BYTES_MAX || count == whole.items ||
		        whole.item_n[count] != n->raw_n ||
		        memcmp(whole.text + at, n->raw, n->raw_n) != 0)
			return false;
		at += whole.item_n[count++];
	}
	return count == whole.items;
}

/* Does the tree have the shape of a list, and is it the one that the splitter saw? */
static bool list_shape(const struct naive *tree)
{
	struct json_list_meta meta;
	struct naive *metadata;
	json_list_meta(splitter, &meta);
	if (tree->type != NAIVE_OBJECT || naive_find(tree, "metadata", &metadata) > 1)
		return false;
	if (metadata && metadata->type != NAIVE_NULL && metadata->type != NAIVE_OBJECT)
		return false;
	size_t members = 0;
	for (struct naive *n = tree->first; n; n = n->next) {
		if (++members > 1024)
			return false;
		bool items = n->type == NAIVE_ARRAY &&
		             span_is((struct span){n->key->text, n->key->text_n}, "items");
		if (naive_depth(n) > JSON_DEPTH_MAX + (unsigned)items)
			return false;
	}
	return text_shape(tree, "kind", JSON_KIND_MAX, meta.kind) &&
	       text_shape(metadata, "resourceVersion", JSON_VERSION_MAX, meta.resource_version) &&
	       text_shape(metadata, "continue", 1 << 18, meta.continue_) &&
	       items_shape(tree, meta.saw_items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { CUTS = 4 };
	if (size <= CUTS || size > BODY_BYTES_MAX)
		return 0;
	if (!splitter)
		splitter = json_list_new(ITEM_BYTES_MAX);
	char *copy = malloc(size - CUTS + JSON_PADDING);
	memcpy(copy, data + CUTS, size - CUTS);
	struct span body = {copy, size - CUTS};
	run_whole(body, SIZE_MAX, &whole);
	struct naive *tree = naive_parse(body, JSON_DEPTH_MAX + 2);
	bool accepted = whole.end == JSON_LIST_END && all_items_valid();
	bool right = tree && list_shape(tree);
	CHECK(accepted == right);
	run_whole(body, 1, &other);
	same_outcome();
	run_cut(body, data, CUTS, &other);
	same_outcome();
	naive_free(tree);
	free(copy);
	return 0;
}
