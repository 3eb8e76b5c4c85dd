/* All kernels against the plain one, for all lengths, cuts and offsets. */
#include "json/brackets.h"

#include "base/prng.h"
#include "unit/json/doc.h"

static const enum brackets_kernel all[] = {
        BRACKETS_KERNEL_PLAIN, BRACKETS_KERNEL_AVX2, BRACKETS_KERNEL_AVX512, BRACKETS_KERNEL_BEST};

/* In pieces of `piece` bytes. Returns the bytes taken, all in all. */
static size_t run(enum brackets_kernel kernel, uint32_t depth_max, struct span s, size_t piece,
        enum brackets_result *r)
{
	struct brackets b;
	if (!brackets_init(&b, depth_max, kernel))
		assert_true(brackets_init(&b, depth_max, BRACKETS_KERNEL_PLAIN));
	size_t at = 0;
	*r = BRACKETS_MORE;
	while (at < s.n && *r == BRACKETS_MORE) {
		size_t n = s.n - at < piece ? s.n - at : piece, taken;
		*r = brackets_run(&b, s.p + at, n, &taken);
		assert_true(taken <= n && (taken == n || *r != BRACKETS_MORE));
		at += taken;
	}
	if (*r == BRACKETS_CLOSED)
		assert_true(b.depth == 0 && b.in_string == 0 && b.escaped == 0);
	return at;
}

static void same_on_all(struct span s, uint32_t depth_max, enum brackets_result want, size_t want_n)
{
	static const size_t pieces[] = {1 << 20, 1, 63, 64, 65, 200};
	for (size_t k = 0; k < ARRAY_LEN(all); k++) {
		for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
			enum brackets_result r;
			assert_int_equal(run(all[k], depth_max, s, pieces[p], &r), want_n);
			assert_int_equal(r, want);
		}
	}
}

static void a_value_ends_at_its_bracket(void **state)
{
	(void)state;
	static const char *const values[] = {"{}", "[]", "{\"a\":1}", "[[],{}]", "{\"}\":\"]\"}",
	        "[\"\\\"]\"]", "[\"\\\\\"]", "{\"a\":\"\\\\\\\"}\"}",
	        "[{\"a\":[1,{\"b\":\"{[\"}]}]"};
	char text[1024];
	for (size_t v = 0; v < ARRAY_LEN(values); v++) {
		for (size_t pad = 0; pad < 200;
		        pad++) { /* inside, so that the end comes at every place in a block */
			size_t n = strlen(values[v]);
			text[0] = '[';
			memset(text + 1, ' ', pad);
			memcpy(text + 1 + pad, values[v], n);
			text[1 + pad + n] = ']';
			strcpy(text + 2 + pad + n, "}]\"}},[");
			struct span s = doc(text);
			same_on_all(s, 256, BRACKETS_CLOSED, 2 + pad + n);
			doc_free(&s);
		}
	}
}

static void the_depth_is_limited_exactly(void **state)
{
	(void)state;
	for (uint32_t depth_max = 1; depth_max < 150; depth_max += 7) {
		char text[512];
		memset(text, '[', depth_max);
		memset(text + depth_max, ']', depth_max);
		struct span s = doc_bytes(text, 2 * depth_max);
		same_on_all(s, depth_max, BRACKETS_CLOSED, 2 * depth_max);
		if (depth_max > 1)
			same_on_all(s, depth_max - 1, BRACKETS_DEEP, depth_max);
		doc_free(&s);
	}
}

static void noise_is_counted_alike(void **state)
{
	(void)state;
	static const char bytes[] = "{{}}[]\"\\, a";
	struct prng r = {20251125};
	char text[700];
	size_t closed = 0;
	for (int i = 0; i < 3000; i++) {
		size_t n = 1 + prng_below(&r, sizeof text - 1);
		text[0] = '{';
		for (size_t k = 1; k < n; k++)
			text[k] = bytes[prng_below(&r, i % 2 ? sizeof bytes - 1 : 9)];
		struct span s = doc_bytes(text, n);
		enum brackets_result want;
		size_t want_n = run(BRACKETS_KERNEL_PLAIN, 20, s, SIZE_MAX, &want);
		closed += want == BRACKETS_CLOSED;
		same_on_all(s, 20, want, want_n);
		doc_free(&s);
	}
	assert_true(closed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_value_ends_at_its_bracket),
	        cmocka_unit_test(the_depth_is_limited_exactly),
	        cmocka_unit_test(noise_is_counted_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
