/* merge_patch: for any two texts, kr_merge_patch ends, stays inside its arguments, and says what it
 * needs; for two JSON documents, as a strict reader of ours that shares no code with it takes them,
 * the patch is JSON and RFC 7386's own algorithm makes the one into the other (nulls aside:
 * kubering.h).
 *
 * Input: two bytes, how long the first text is; the two texts. */
#include "harness/json_patch.h"
#include "include/kubering.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* A copy of exactly its size, so that a byte too many is seen. */
static char *exact(const uint8_t *p, size_t n)
{
	char *s = malloc(n ? n : 1);
	memcpy(s, p, n);
	return s;
}

static void check_patch(
        const char *from, size_t n, const char *to, size_t m, const char *patch, size_t size)
{
	struct patch_value *a = patch_parse(from, n), *b = patch_parse(to, m);
	if (a && b) {
		struct patch_value *p = patch_parse(patch, size);
		CHECK(p != NULL);
		a = patch_apply(a, p);
		patch_drop_nulls(a);
		patch_drop_nulls(b);
		CHECK(patch_equal(a, b));
	}
	patch_free(a);
	patch_free(b);
}

static void run(const char *from, size_t n, const char *to, size_t m)
{
	size_t size = 0, again = 0;
	int r = kr_merge_patch(from, n, to, m, NULL, 0, &size);
	if (r != KR_ERR_SPACE) { /* no patch is empty */
		CHECK(r == KR_ERR_JSON || r == KR_ERR_LIMIT);
		struct patch_value *a = patch_parse(from, n), *b = patch_parse(to, m);
		CHECK(!a || !b || r == KR_ERR_LIMIT);
		patch_free(a);
		patch_free(b);
		return;
	}
	CHECK(size > 0 && size <= 2 * (n + m) + 2 + 8 * n);
	char *out = malloc(size);
	CHECK(kr_merge_patch(from, n, to, m, out, size, &again) == KR_OK && again == size);
	check_patch(from, n, to, m, out, size);
	char *less = malloc(size - 1 ? size - 1 : 1);
	CHECK(kr_merge_patch(from, n, to, m, less, size - 1, &again) == KR_ERR_SPACE &&
	        again == size);
	free(less);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t n = ((size_t)data[0] << 8 | data[1]) % (size - 1);
	char *a = exact(data + 2, n), *b = exact(data + 2 + n, size - 2 - n);
	run(a, n, b, size - 2 - n);
	run(b, size - 2 - n, a, n);
	free(a);
	free(b);
	return 0;
}
