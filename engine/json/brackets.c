#include "json/brackets.h"

#include "json/bits.h"

/* --- plain C; also the ends of what the others read ----------------------------------------- */

static enum brackets_result run_plain(struct brackets *b, const char *p, size_t n, size_t *taken)
{
	bool in_string = b->in_string, escaped = b->escaped;
	uint32_t depth = b->depth;
	enum brackets_result r = BRACKETS_MORE;
	size_t i = 0;
	while (i < n && r == BRACKETS_MORE) {
		char c = p[i++];
		/* Outside of strings a backslash is an error that others find. Here it escapes a
		 * quote, and nothing else, so that all kernels agree. */
		bool literal = escaped;
		escaped = c == '\\' && !literal;
		if (c == '"' && !literal)
			in_string = !in_string;
		else if (!in_string && (c | 0x20) == '{')
			r = ++depth > b->depth_max ? BRACKETS_DEEP : BRACKETS_MORE;
		else if (!in_string && (c | 0x20) == '}')
			r = --depth == 0 ? BRACKETS_CLOSED : BRACKETS_MORE;
	}
	b->in_string = in_string ? ~0ull : 0;
	b->escaped = escaped;
	b->depth = depth;
	*taken = i;
	return r;
}

/* --- 64 bytes at a time --------------------------------------------------------------------- */

/* What a kernel sees in a block. */
struct block {
	uint64_t backslash, quote, open, close; /* also those inside strings */
};

/* One by one, where the depth may reach a limit. Bits beyond the end are gone already. */
static enum brackets_result step(struct brackets *b, struct block k, size_t at, size_t *taken)
{
	for (uint64_t both = k.open | k.close; both; both &= both - 1) {
		bool open = k.open & both & -both;
		b->depth = open ? b->depth + 1 : b->depth - 1;
		if (open ? b->depth > b->depth_max : b->depth == 0) {
			*taken = at + (size_t)__builtin_ctzll(both) + 1;
			b->in_string = 0;
			b->escaped = 0;
			return open ? BRACKETS_DEEP : BRACKETS_CLOSED;
		}
	}
	return BRACKETS_MORE;
}

/* string: of the quotes, their prefix xor. */
static inline enum brackets_result take(
        struct brackets *b, struct block k, uint64_t string, size_t at, size_t *taken)
{
	string ^= b->in_string;
	b->in_string = (uint64_t)((int64_t)string >> 63);
	k.open &= ~string;
	k.close &= ~string;
	uint32_t opens = (uint32_t)__builtin_popcountll(k.open);
	uint32_t closes = (uint32_t)__builtin_popcountll(k.close);
	if (b->depth > closes && b->depth + opens <= b->depth_max) {
		b->depth += opens - closes;
		return BRACKETS_MORE;
	}
	return step(b, k, at, taken);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define WITH_AVX2   __attribute__((target("avx2,bmi,bmi2,popcnt,pclmul")))
#define WITH_AVX512 __attribute__((target("avx512f,avx512bw,avx2,bmi,bmi2,popcnt,pclmul")))

__attribute__((target("pclmul"))) static inline uint64_t prefix_xor(uint64_t x)
{
	__m128i ones = _mm_set1_epi8((char)0xFF);
	return (uint64_t)_mm_cvtsi128_si64(
	        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)x), ones, 0));
}

WITH_AVX2 static inline uint64_t equal2(__m256i a, __m256i b, char c)
{
	__m256i v = _mm256_set1_epi8(c);
	uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, v));
	uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, v));
	return (uint64_t)high << 32 | low;
}

WITH_AVX2 static enum brackets_result run_avx2(
        struct brackets *b, const char *p, size_t n, size_t *taken)
{
	__m256i to_lower = _mm256_set1_epi8(0x20);
	size_t at = 0;
	for (; at + 64 <= n; at += 64) {
		__m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(p + at));
		__m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + at + 32));
		struct block k = {equal2(low, high, '\\'), equal2(low, high, '"'), 0, 0};
		low = _mm256_or_si256(low, to_lower);
		high = _mm256_or_si256(high, to_lower);
		k.open = equal2(low, high, '{');
		k.close = equal2(low, high, '}');
		if (k.backslash | b->escaped)
			k.quote &= ~bits_escaped(k.backslash, &b->escaped);
		if (take(b, k, prefix_xor(k.quote), at, taken))
			return b->depth ? BRACKETS_DEEP : BRACKETS_CLOSED;
	}
	enum brackets_result r = run_plain(b, p + at, n - at, taken);
	*taken += at;
	return r;
}

WITH_AVX512 static enum brackets_result run_avx512(
        struct brackets *b, const char *p, size_t n, size_t *taken)
{
	__m512i to_lower = _mm512_set1_epi8(0x20);
	size_t at = 0;
	for (; at + 64 <= n; at += 64) {
		__m512i in = _mm512_loadu_si512(p + at), lower = _mm512_or_si512(in, to_lower);
		struct block k = {
		        .backslash = _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('\\')),
		        .quote = _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('"')),
		        .open = _mm512_cmpeq_epi8_mask(lower, _mm512_set1_epi8('{')),
		        .close = _mm512_cmpeq_epi8_mask(lower, _mm512_set1_epi8('}')),
		};
		if (k.backslash | b->escaped)
			k.quote &= ~bits_escaped(k.backslash, &b->escaped);
		if (take(b, k, prefix_xor(k.quote), at, taken))
			return b->depth ? BRACKETS_DEEP : BRACKETS_CLOSED;
	}
	enum brackets_result r = run_plain(b, p + at, n - at, taken);
	*taken += at;
	return r;
}

static bool has_avx2(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
	       __builtin_cpu_supports("pclmul");
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw");
}

#else

#define run_avx2   run_plain
#define run_avx512 run_plain
static bool has_avx2(void)
{
	return false;
}
static bool has_avx512(void)
{
	return false;
}

#endif

bool brackets_init(struct brackets *b, uint32_t depth_max, enum brackets_kernel kernel)
{
	*b = (struct brackets){.depth_max = depth_max, .run = run_plain};
	bool best = kernel == BRACKETS_KERNEL_BEST;
	if ((best || kernel == BRACKETS_KERNEL_AVX512) && has_avx512())
		b->run = run_avx512;
	else if ((best || kernel == BRACKETS_KERNEL_AVX2) && has_avx2())
		b->run = run_avx2;
	else if (!best && kernel != BRACKETS_KERNEL_PLAIN)
		return false;
	return true;
}
