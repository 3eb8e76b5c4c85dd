#include "json/tokens.h"

#include "base/check.h"
#include "json/json.h"
#include "json/number.h"
#include "json/simd.h"

#include <stdlib.h>

/* False: this CPU has not what the kernel needs. */
static bool choose(struct tokens *t, enum tokens_kernel kernel, size_t *scratch_bytes)
{
	bool best = kernel == TOKENS_KERNEL_BEST;
	if ((best || kernel == TOKENS_KERNEL_AVX512) && tokens_avx512_possible()) {
		t->fast = tokens_avx512_read;
		*scratch_bytes = tokens_avx512_bytes();
	} else if ((best || kernel == TOKENS_KERNEL_AVX2) && tokens_avx2_possible()) {
		t->fast = tokens_avx2_read;
		*scratch_bytes = tokens_avx2_bytes();
	}
	return t->fast || best || kernel == TOKENS_KERNEL_PORTABLE;
}

err_t tokens_init(struct tokens *t, size_t token_count, enum tokens_kernel kernel)
{
	*t = (struct tokens){0};
	size_t bytes = 0;
	if (!choose(t, kernel, &bytes))
		return ERR_ARGUMENT;
	t->scratch = t->fast ? calloc(1, bytes) : NULL; /* zeroed: see struct pass2 */
	t->simd = simd_new();
	if ((t->fast && !t->scratch) || !t->simd || !tokens_reserve(t, token_count)) {
		tokens_fini(t);
		return ERR_NO_MEMORY;
	}
	return ERR_OK;
}

void tokens_fini(struct tokens *t)
{
	free(t->code_memory);
	free(t->pos);
	free(t->depth);
	free(t->scratch);
	simd_free(&t->simd);
	*t = (struct tokens){0};
}

bool tokens_reserve(struct tokens *t, size_t count)
{
	if (LIKELY(t->depth && t->capacity >= count))
		return true;
	size_t capacity = t->capacity < 1024 ? 1024 : t->capacity;
	while (capacity < count)
		capacity *= 2;
	uint8_t *code = realloc(t->code_memory, capacity + 2 * TOKENS_SLACK);
	if (!code)
		return false;
	t->code_memory = code;
	t->code = code + TOKENS_SLACK;
	memset(code, TOKEN_NONE, TOKENS_SLACK);
	uint32_t *pos = realloc(t->pos, (capacity + TOKENS_SLACK) * sizeof *pos);
	if (!pos)
		return false;
	t->pos = pos;
	uint8_t *depth = realloc(t->depth, capacity + TOKENS_SLACK);
	if (!depth)
		return false;
	t->depth = depth;
	t->capacity = (uint32_t)capacity;
	return true;
}

/* --- depth ---------------------------------------------------------------------------------- */

#if defined(__SSE2__)

/* 16 at a time. */
void tokens_fill_depth(struct tokens *t)
{
	__m128i before = _mm_setzero_si128();
	for (uint32_t at = 0; at < t->count; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(t->code + at));
		__m128i opens = _mm_cmplt_epi8(v, _mm_set1_epi8(TOKEN_OBJECT_END));
		__m128i brackets = _mm_cmplt_epi8(v, _mm_set1_epi8(TOKEN_COLON));
		/* -1 where one opens, 1 where one closes: then all of that before it, added up */
		__m128i sum = _mm_sub_epi8(opens, _mm_andnot_si128(opens, brackets));
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 1));
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 2));
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 4));
		sum = _mm_add_epi8(sum, _mm_slli_si128(sum, 8));
		__m128i behind = _mm_sub_epi8(before, sum);
		_mm_storeu_si128((__m128i *)(void *)(t->depth + at), _mm_add_epi8(behind, opens));
		before = _mm_set1_epi8((char)(_mm_extract_epi16(behind, 7) >> 8));
	}
}

#else

void tokens_fill_depth(struct tokens *t)
{
	uint8_t depth = 0;
	for (uint32_t i = 0; i < t->count; i++) {
		depth -= t->code[i] == TOKEN_OBJECT_END || t->code[i] == TOKEN_ARRAY_END;
		t->depth[i] = depth;
		depth += t->code[i] <= TOKEN_ARRAY;
	}
}

#endif

/* --- scalars and escapes -------------------------------------------------------------------- */

bool tokens_hex4(const char *p, const char *end)
{
	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char lower = (char)(p[i] | 0x20);
		if ((p[i] < '0' || p[i] > '9') && (lower < 'a' || lower > 'f'))
			return false;
	}
	return true;
}

bool tokens_scalar_ok(const char *p, const char *end)
{
	size_t left = (size_t)(end - p);
	if (left >= 4 && (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0))
		p += 4;
	else if (left >= 5 && memcmp(p, "false", 5) == 0)
		p += 5;
	else
		p = number_end(p, end);
	return p && (p == end || memchr(" \t\n\r,:]}[{", *p, 10));
}

/* The next backslash. In JSON inside of JSON they are a few bytes apart: too near for a call. */
static const char *next_escape(const char *p, const char *end)
{
	for (int i = 0; i < 16; i++, p++) {
		if (p == end)
			return NULL;
		if (*p == '\\')
			return p;
	}
	return memchr(p, '\\', (size_t)(end - p));
}

bool tokens_may_be_escaped(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
	case 'u': return true;
	default: return false;
	}
}

/* Are all escapes in the strings of this document legal? The rest of it is known to be good. */
static bool escapes_ok(struct span doc, size_t first_escape)
{
	const char *p = doc.p + first_escape, *end = doc.p + doc.n;
	while ((p = next_escape(p, end))) {
		if (end - p < 2 || !tokens_may_be_escaped(p[1]))
			return false;
		if (p[1] == 'u' && !tokens_hex4(p + 2, end))
			return false;
		p += 2;
	}
	return true;
}

/* --- the portable kernel -------------------------------------------------------------------- */

const uint8_t tokens_codes[256] = {
        [0 ... ' '] = TOKEN_SCALAR,
        ['!'] = TOKEN_SCALAR,
        ['"'] = TOKEN_STRING,
        ['#' ... '+'] = TOKEN_SCALAR,
        [','] = TOKEN_COMMA,
        ['-' ... '9'] = TOKEN_SCALAR,
        [':'] = TOKEN_COLON,
        [';' ... 'Z'] = TOKEN_SCALAR,
        ['['] = TOKEN_ARRAY,
        ['\\'] = TOKEN_SCALAR,
        [']'] = TOKEN_ARRAY_END,
        ['^' ... 'z'] = TOKEN_SCALAR,
        ['{'] = TOKEN_OBJECT,
        ['|'] = TOKEN_SCALAR,
        ['}'] = TOKEN_OBJECT_END,
        ['~' ... 255] = TOKEN_SCALAR,
};

/* What may come next; more than one may. */
enum {
	WANT_VALUE = 1,
	WANT_KEY = 2,
	WANT_COLON = 4,
	WANT_COMMA = 8,
	WANT_END = 16, /* the closing bracket of the container we are in */
	WANT_NOTHING = 32,
};

struct grammar {
	unsigned want;
	unsigned depth;
	bool in_object;
	uint32_t open[JSON_DEPTH_MAX + 1]; /* by depth: the token that opened the container */
};

static err_t open_container(struct grammar *g, uint32_t at, bool object)
{
	if (!(g->want & WANT_VALUE))
		return ERR_JSON_SYNTAX;
	if (g->depth == JSON_DEPTH_MAX)
		return ERR_JSON_DEPTH;
	g->open[++g->depth] = at;
	g->in_object = object;
	g->want = WANT_END | (object ? WANT_KEY : WANT_VALUE);
	return ERR_OK;
}

static void after_value(struct grammar *g)
{
	g->want = g->depth ? WANT_COMMA | WANT_END : WANT_NOTHING;
}

static err_t close_container(struct grammar *g, const struct tokens *t, bool object)
{
	if (!(g->want & WANT_END) || g->in_object != object)
		return ERR_JSON_SYNTAX;
	g->depth--;
	g->in_object = g->depth && t->code[g->open[g->depth]] == TOKEN_OBJECT;
	after_value(g);
	return ERR_OK;
}

static err_t take_token(struct grammar *g, const struct tokens *t, uint32_t at)
{
	enum token k = t->code[at];
	switch (k) {
	case TOKEN_OBJECT:
	case TOKEN_ARRAY: return open_container(g, at, k == TOKEN_OBJECT);
	case TOKEN_OBJECT_END:
	case TOKEN_ARRAY_END: return close_container(g, t, k == TOKEN_OBJECT_END);
	case TOKEN_COLON:
		if (g->want != WANT_COLON)
			return ERR_JSON_SYNTAX;
		g->want = WANT_VALUE;
		return ERR_OK;
	case TOKEN_COMMA:
		if (!(g->want & WANT_COMMA))
			return ERR_JSON_SYNTAX;
		g->want = g->in_object ? WANT_KEY : WANT_VALUE;
		return ERR_OK;
	case TOKEN_STRING:
		if (g->want & WANT_KEY) {
			g->want = WANT_COLON;
			return ERR_OK;
		}
		break;
	default: break;
	}
	if (!(g->want & WANT_VALUE))
		return ERR_JSON_SYNTAX;
	after_value(g);
	return ERR_OK;
}

static err_t read_portable(struct tokens *t)
{
	const uint32_t *offsets;
	const char *p = t->doc.p, *end = p + t->doc.n;
	switch (simd_index(t->simd, p, t->doc.n, &offsets, &t->count)) {
	case SIMD_OK: break;
	case SIMD_NO_MEMORY: return ERR_NO_MEMORY;
	default: return ERR_JSON_SYNTAX;
	}
	if (!tokens_reserve(t, t->count))
		return ERR_NO_MEMORY;
	struct grammar g = {.want = WANT_VALUE};
	for (uint32_t i = 0; i < t->count; i++) {
		const char *at = p + offsets[i];
		enum token k = tokens_codes[(unsigned char)*at];
		t->code[i] = (uint8_t)k;
		t->pos[i] = offsets[i];
		err_t e = take_token(&g, t, i);
		if (e)
			return e;
		if (k == TOKEN_SCALAR && !tokens_scalar_ok(at, end))
			return ERR_JSON_SYNTAX;
	}
	memset(t->code + t->count, TOKEN_NONE, TOKENS_SLACK);
	t->pos[t->count] = (uint32_t)t->doc.n;
	tokens_fill_depth(t);
	const char *escape = memchr(p, '\\', t->doc.n);
	t->first_escape = escape ? (size_t)(escape - p) : t->doc.n;
	if (g.want != WANT_NOTHING || !escapes_ok(t->doc, t->first_escape))
		return ERR_JSON_SYNTAX;
	return ERR_OK;
}

/* --- for the rest of the room --------------------------------------------------------------- */

err_t tokens_read(struct tokens *t, struct span doc)
{
	if (doc.n > TOKENS_BYTES_MAX)
		return ERR_JSON_LIMIT;
	if (t->fast && doc.n <= TOKENS_FAST_BYTES_MAX && t->fast(t, doc))
		return ERR_OK;
	t->doc = doc;
	return read_portable(t);
}
