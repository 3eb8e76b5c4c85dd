/* gzip: properties of the streaming inflater.
 *
 * Input: one byte of mode (bit 0), cut size and buffer size, then
 * mode 0  a body as it came: any cut and any buffer size give the same bytes and the same error,
 * and zlib called once per member agrees on both. mode 1  plain text: split into members by its own
 * newlines and compressed, it comes back whole; with the last byte missing, finish says so.
 */
#include "wire/gzip.h"

#include "base/check.h"

#include <stdlib.h>
#include <zlib.h>

enum { OUT_BYTES_MAX = 1 << 17, IN_BYTES_MAX = 1 << 16 };

static const struct gzip_limits limits = {
        .output_bytes_max = OUT_BYTES_MAX, .ratio_free_bytes = OUT_BYTES_MAX, .ratio_max = 50};

struct result {
	err_t err;
	size_t n;
	char out[OUT_BYTES_MAX];
};

static void run(const uint8_t *p, size_t n, size_t piece_max, size_t cap, struct result *r)
{
	struct gzip *g;
	struct errmsg m;
	r->n = 0;
	r->err = ERR_OK;
	CHECK(gzip_new(&g, &limits, &m) == ERR_OK);
	char *buf = malloc(cap);
	CHECK(buf);
	for (size_t at = 0; at < n && r->err == ERR_OK;) {
		size_t piece = n - at < piece_max ? n - at : piece_max, got;
		char *copy = malloc(piece);
		CHECK(copy);
		memcpy(copy, p + at, piece);
		struct span in = {copy, piece};
		do {
			r->err = gzip_inflate(g, &in, buf, cap, &got, &m);
			CHECK(got <= cap && r->n + got <= sizeof r->out);
			memcpy(r->out + r->n, buf, got);
			r->n += got;
		} while (r->err == ERR_OK && got > 0);
		CHECK(r->err != ERR_OK || in.n == 0);
		at += piece;
		free(copy);
	}
	if (r->err == ERR_OK)
		r->err = gzip_finish(g, &m);
	CHECK(gzip_output_bytes(g) == r->n);
	free(buf);
	gzip_free(&g);
}

/* One inflate() with all input and room for one byte too many, per member. */
static void oracle(const uint8_t *p, size_t n, struct result *r)
{
	static char out[OUT_BYTES_MAX + 1];
	size_t at = 0, made = 0;
	r->err = ERR_OK;
	while (at < n && r->err == ERR_OK) {
		z_stream z = {0};
		CHECK(inflateInit2(&z, 31) == Z_OK);
		z.next_in = (z_const Bytef *)(uintptr_t)(p + at);
		z.avail_in = (uInt)(n - at);
		z.next_out = (Bytef *)out + made;
		z.avail_out = (uInt)(sizeof out - made);
		int code = inflate(&z, Z_FINISH);
		at = n - z.avail_in;
		made = sizeof out - z.avail_out;
		if (made > OUT_BYTES_MAX)
			r->err = ERR_LIMIT;
		else if (code != Z_STREAM_END)
			r->err = ERR_GZIP;
		inflateEnd(&z);
	}
	r->n = made < OUT_BYTES_MAX ? made : OUT_BYTES_MAX;
	memcpy(r->out, out, r->n);
}

static void check_same(const struct result *a, const struct result *b)
{
	CHECK(a->err == b->err);
	CHECK(a->n == b->n && memcmp(a->out, b->out, a->n) == 0);
}

static void fuzz_raw(const uint8_t *p, size_t n, size_t piece, size_t cap)
{
	static struct result want, whole, cut;
	oracle(p, n, &want);
	run(p, n, IN_BYTES_MAX, OUT_BYTES_MAX, &whole);
	check_same(&want, &whole);
	run(p, n, piece, cap, &cut);
	check_same(&want, &cut);
	run(p, n, 1, cap, &cut);
	check_same(&want, &cut);
}

static size_t compress_lines(const uint8_t *p, size_t n, uint8_t *out, size_t cap)
{
	size_t at = 0, made = 0;
	while (at < n) {
		const uint8_t *lf = memchr(p + at, '\n', n - at);
		size_t line = lf ? (size_t)(lf - p) + 1 - at : n - at;
		z_stream z = {0};
		CHECK(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
		z.next_in = (z_const Bytef *)(uintptr_t)(p + at);
		z.avail_in = (uInt)line;
		z.next_out = out + made;
		z.avail_out = (uInt)(cap - made);
		if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
			deflateEnd(&z);
			return 0;
		}
		made = cap - z.avail_out;
		deflateEnd(&z);
		at += line;
	}
	return made;
}

static void fuzz_round(const uint8_t *p, size_t n, size_t piece, size_t cap)
{
	static uint8_t body[IN_BYTES_MAX];
	static struct result r;
	size_t made = compress_lines(p, n, body, sizeof body);
	if (made == 0)
		return;
	run(body, made, piece, cap, &r);
	CHECK(r.err == ERR_OK && r.n == n && memcmp(r.out, p, n) == 0);
	run(body, made - 1, piece, cap, &r);
	CHECK(r.err == ERR_GZIP && r.n == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > IN_BYTES_MAX)
		return 0;
	size_t piece = 1 + (size_t)(data[0] >> 1 & 7) * 5, cap = 1 + (size_t)(data[0] >> 4) * 37;
	if (data[0] & 1)
		fuzz_round(data + 1, size - 1, piece, cap);
	else
		fuzz_raw(data + 1, size - 1, piece, cap);
	return 0;
}
