/* gzip: bodies of one and many members, cut everywhere, into buffers of every size; damage of every
 * kind. The bodies are made with zlib's deflate. */
#include "wire/gzip.h"

#include "base/check.h"
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

enum { BODY_BYTES = 1 << 16 };

struct body {
	char p[BODY_BYTES];
	size_t n;
};

static const struct gzip_limits roomy = {
        .output_bytes_max = 1 << 24, .ratio_free_bytes = 1 << 20, .ratio_max = 50};

/* One member; with name, comment and header CRC if asked for. */
static void add_member(struct body *b, struct span text, bool full_header)
{
	z_stream z = {0};
	gz_header h = {.text = 1,
	        .time = 1,
	        .extra = (Bytef[]){1, 2, 3},
	        .extra_len = 3,
	        .name = (Bytef[]){'n', 0},
	        .comment = (Bytef[]){'c', 0},
	        .hcrc = 1};
	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	if (full_header)
		deflateSetHeader(&z, &h);
	z.next_in = (z_const Bytef *)(uintptr_t)text.p;
	z.avail_in = (uInt)text.n;
	z.next_out = (Bytef *)b->p + b->n;
	z.avail_out = (uInt)(BODY_BYTES - b->n);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	b->n = BODY_BYTES - z.avail_out;
	deflateEnd(&z);
}

static void add_raw(struct body *b, const void *p, size_t n)
{
	assert_true(b->n + n <= BODY_BYTES);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

struct result {
	char out[BODY_BYTES];
	size_t n;
	err_t err; /* of inflate or finish */
	struct errmsg m;
};

/* Everything that comes of one piece. */
static void pour(struct gzip *g, struct span piece, size_t cap, struct result *r)
{
	char *copy = malloc(piece.n + 1), *buf = malloc(cap);
	assert_non_null(copy);
	assert_non_null(buf);
	memcpy(copy, piece.p, piece.n);
	struct span in = {copy, piece.n};
	size_t n = 0;
	do {
		r->err = gzip_inflate(g, &in, buf, cap, &n, &r->m);
		assert_true(n <= cap);
		assert_true(r->err == ERR_OK || n == 0);
		assert_true(r->n + n <= sizeof r->out);
		memcpy(r->out + r->n, buf, n);
		r->n += n;
	} while (r->err == ERR_OK && n > 0);
	if (r->err == ERR_OK)
		assert_int_equal(in.n, 0);
	free(copy);
	free(buf);
}

static struct gzip_limits limits; /* of those that are made again */

static struct gzip *make(const struct gzip_limits *l)
{
	struct gzip *g;
	struct errmsg m;
	limits = *l;
	assert_int_equal(gzip_new(&g, l, &m), ERR_OK);
	return g;
}

static void make_again(struct gzip **g)
{
	struct gzip_limits same = limits;
	gzip_free(g);
	*g = make(&same);
}

/* A body, by a new one. */
static void run(struct gzip **g, const struct body *b, size_t first, size_t each, size_t cap,
        struct result *r)
{
	size_t at = 0;
	*r = (struct result){0};
	make_again(g);
	while (at < b->n && r->err == ERR_OK) {
		size_t n = at == 0 && first ? first : each ? each : b->n;
		if (n > b->n - at)
			n = b->n - at;
		pour(*g, (struct span){b->p + at, n}, cap, r);
		at += n;
	}
	if (r->err == ERR_OK)
		r->err = gzip_finish(*g, &r->m);
	assert_int_equal(gzip_output_bytes(*g), r->n);
}

static void want(const struct result *r, err_t err, const char *text, struct span out)
{
	if (r->err != err || (text && !strstr(r->m.text, text)))
		fail_msg("got %s '%s', wanted %s '%s'", err_name(r->err), r->err ? r->m.text : "",
		        err_name(err), text ? text : "");
	assert_int_equal(r->n, out.n);
	assert_memory_equal(r->out, out.p, out.n);
}

static const char event[] = "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{}}}\n";
#define EVENT ((struct span){event, sizeof event - 1})

static void members_do_not_depend_on_cuts(void **state)
{
	(void)state;
	static struct body b;
	static struct result r;
	struct gzip *g = make(&roomy);
	char all[4 * sizeof event];
	size_t n = 0;
	b.n = 0;
	for (int i = 0; i < 3; i++) {
		add_member(&b, EVENT, i == 1);
		add_member(&b, SPAN_NONE, false);
		memcpy(all + n, event, EVENT.n);
		n += EVENT.n;
	}
	struct span out = {all, n};
	static const size_t caps[] = {1, 2, 7, 64, 65536};
	for (size_t c = 0; c < ARRAY_LEN(caps); c++) {
		run(&g, &b, 0, 0, caps[c], &r);
		want(&r, ERR_OK, NULL, out);
		run(&g, &b, 0, 1, caps[c], &r);
		want(&r, ERR_OK, NULL, out);
		for (size_t cut = 1; cut < b.n; cut++) {
			run(&g, &b, cut, 0, caps[c], &r);
			want(&r, ERR_OK, NULL, out);
		}
	}
	assert_int_equal(gzip_input_bytes(g), b.n);
	gzip_free(&g);
	assert_null(g);
	gzip_free(&g);
}

/* A watch that is quiet after a flush must not hold its last event back. */
static void each_member_comes_out_at_once(void **state)
{
	(void)state;
	static struct body b;
	static struct result r;
	struct gzip *g = make(&roomy);
	for (int i = 0; i < 20; i++) {
		b.n = 0;
		add_member(&b, EVENT, false);
		r = (struct result){0};
		pour(g, (struct span){b.p, b.n}, 4096, &r);
		want(&r, ERR_OK, NULL, EVENT);
	}
	assert_int_equal(gzip_finish(g, NULL), ERR_OK);
	gzip_free(&g);
}

/* Other servers flush inside one member. */
static void each_sync_flush_comes_out_at_once(void **state)
{
	(void)state;
	struct gzip *g = make(&roomy);
	static struct result r;
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	for (int i = 0; i < 20; i++) {
		char piece[512];
		z.next_in = (z_const Bytef *)(uintptr_t)event;
		z.avail_in = (uInt)EVENT.n;
		z.next_out = (Bytef *)piece;
		z.avail_out = sizeof piece;
		assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
		r = (struct result){0};
		pour(g, (struct span){piece, sizeof piece - z.avail_out}, 4096, &r);
		want(&r, ERR_OK, NULL, EVENT);
	}
	struct errmsg m;
	assert_int_equal(gzip_finish(g, &m), ERR_GZIP);
	assert_non_null(strstr(m.text, "ends inside a member"));
	deflateEnd(&z);
	gzip_free(&g);
}

static void truncation_is_found_at_every_offset(void **state)
{
	(void)state;
	static struct body b, cut;
	static struct result r;
	struct gzip *g = make(&roomy);
	b.n = 0;
	add_member(&b, EVENT, true);
	size_t one = b.n;
	add_member(&b, EVENT, false);
	for (size_t n = 0; n < b.n; n++) {
		cut = b;
		cut.n = n;
		run(&g, &cut, 0, 0, 64, &r);
		bool whole = n == 0 || n == one;
		assert_int_equal(r.err, whole ? ERR_OK : ERR_GZIP);
		assert_memory_equal(r.out, event, r.n < EVENT.n ? r.n : EVENT.n);
		if (n >= one)
			assert_true(r.n >= EVENT.n);
		if (!whole)
			assert_non_null(strstr(r.m.text, n > one ? "member 2" : "member 1"));
	}
	gzip_free(&g);
}

static void damage_is_named(void **state)
{
	(void)state;
	static struct body good, b;
	static struct result r;
	struct gzip *g = make(&roomy);
	good.n = 0;
	add_member(&good, EVENT, false);
	for (size_t each = 0; each < 2; each++) {
		b = good;
		b.p[b.n - 8] ^= 1;
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, "wrong CRC", EVENT);
		b = good;
		b.p[b.n - 1] ^= 1;
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, "wrong length", EVENT);
		b = good;
		add_raw(&b, "x", 1);
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, each ? "inside a member" : NULL, EVENT);
		add_raw(&b, "yz", 2);
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, "garbage behind a member, member 2", EVENT);
		b = good;
		add_raw(&b, "\0\0\0\0", 4);
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, "garbage behind a member", EVENT);
		b.n = 0;
		add_raw(&b, "{\"kind\":\"PodList\"}", 18);
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, "the body is not gzip", SPAN_NONE);
		b = good;
		b.p[2] = 7;
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, "unknown compression method", SPAN_NONE);
		b = good;
		b.p[10] = 7; /* block type 3 */
		run(&g, &b, 0, each, 64, &r);
		want(&r, ERR_GZIP, "invalid block type", SPAN_NONE);
	}
	/* zlib format is another one */
	uLongf n = BODY_BYTES;
	assert_int_equal(compress((Bytef *)b.p, &n, (const Bytef *)event, EVENT.n), Z_OK);
	b.n = n;
	run(&g, &b, 0, 0, 64, &r);
	want(&r, ERR_GZIP, "the body is not gzip", SPAN_NONE);
	/* sticky */
	struct span in = {good.p, good.n};
	char buf[64];
	size_t got;
	struct errmsg m;
	assert_int_equal(gzip_inflate(g, &in, buf, sizeof buf, &got, &m), ERR_GZIP);
	assert_int_equal(gzip_finish(g, &m), ERR_GZIP);
	run(&g, &good, 0, 0, 64, &r);
	want(&r, ERR_OK, NULL, EVENT);
	gzip_free(&g);
}

static void empty_bodies_are_bodies(void **state)
{
	(void)state;
	static struct body b;
	static struct result r;
	struct gzip *g = make(&roomy);
	b.n = 0;
	run(&g, &b, 0, 0, 64, &r);
	want(&r, ERR_OK, NULL, SPAN_NONE);
	for (int i = 0; i < 100; i++)
		add_member(&b, SPAN_NONE, false);
	run(&g, &b, 0, 0, 64, &r);
	want(&r, ERR_OK, NULL, SPAN_NONE);
	run(&g, &b, 0, 1, 64, &r);
	want(&r, ERR_OK, NULL, SPAN_NONE);
	gzip_free(&g);
}

static void size_limit_is_exact(void **state)
{
	(void)state;
	static struct body b;
	static struct result r;
	static const size_t caps[] = {1, 16, 4096};
	b.n = 0;
	add_member(&b, EVENT, false);
	add_member(&b, EVENT, false);
	add_member(&b, SPAN_NONE, false);
	char two[2 * sizeof event];
	memcpy(two, event, EVENT.n);
	memcpy(two + EVENT.n, event, EVENT.n);
	for (size_t c = 0; c < ARRAY_LEN(caps); c++)
		for (size_t each = 0; each < 2; each++)
			for (int more = -1; more <= 1; more++) {
				struct gzip_limits l = roomy;
				l.output_bytes_max = (uint64_t)((int)(2 * EVENT.n) + more);
				struct gzip *g = make(&l);
				run(&g, &b, 0, each, caps[c], &r);
				bool over = more < 0;
				want(&r, over ? ERR_LIMIT : ERR_OK,
				        over ? "larger than its limit" : NULL,
				        (struct span){two, 2 * EVENT.n - over});
				gzip_free(&g);
			}
}

/* Zeros deflate to about 1000:1. */
static void bombs_are_stopped_early(void **state)
{
	(void)state;
	enum { MIB = 1 << 20 };
	static struct body b;
	char *zeros = calloc(16, MIB), *buf = malloc(65536);
	b.n = 0;
	add_member(&b, (struct span){zeros, 4 * MIB}, false);
	struct gzip_limits l = {
	        .output_bytes_max = 1 << 30, .ratio_free_bytes = MIB, .ratio_max = GZIP_RATIO_MAX};
	for (int allowed = 0; allowed < 2; allowed++) {
		struct gzip *g;
		struct errmsg m;
		if (allowed)
			l.ratio_free_bytes = 4 * MIB;
		assert_int_equal(gzip_new(&g, &l, &m), ERR_OK);
		struct span in = {b.p, b.n};
		size_t n, total = 0;
		err_t e;
		do {
			e = gzip_inflate(g, &in, buf, 65536, &n, &m);
			total += n;
		} while (e == ERR_OK && n > 0);
		assert_int_equal(e, allowed ? ERR_OK : ERR_GZIP);
		if (allowed)
			assert_int_equal(total, 4 * MIB);
		else
			assert_true(total > MIB && total <= MIB + 65536);
		if (!allowed)
			assert_non_null(strstr(m.text, "looks like a bomb"));
		gzip_free(&g);
	}
	free(zeros);
	free(buf);
}

/* What some clusters have: one ConfigMap (certificates of a CA) in each namespace, as long as the
 * window allows. No list comes nearer to a bomb. */
static size_t deflate_copies(size_t payload, char *to, size_t cap)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct prng rng = {payload};
	z_stream z = {.next_out = (Bytef *)to, .avail_out = (uInt)cap};
	char *text = malloc(payload), head[512];
	assert_non_null(text);
	for (size_t i = 0; i < payload; i++)
		text[i] = digits[prng_below(&rng, 64)];
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	for (size_t made = 0; made < 4 << 20; made += payload) {
		int n = snprintf(head, sizeof head,
		        "\"}},{\"metadata\":{\"name\":\"kube-root-ca.crt\",\"namespace\":\"team-%"
		        "zu\","
		        "\"uid\":\"%016llx\",\"resourceVersion\":\"%zu\"},\"data\":{\"ca.crt\":\"",
		        made / payload, (unsigned long long)prng_next(&rng), 1000 + made);
		z.next_in = (Bytef *)head;
		z.avail_in = (uInt)n;
		assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
		z.next_in = (Bytef *)text;
		z.avail_in = (uInt)payload;
		assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
	}
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	free(text);
	return cap - z.avail_out;
}

static void copies_in_each_namespace_are_no_bomb(void **state)
{
	(void)state;
	static const size_t sizes[] = {1500, 4000, 10000, 20000, 30000};
	const struct gzip_limits l = {1 << 30, GZIP_RATIO_FREE_BYTES, GZIP_RATIO_MAX};
	enum { CAP = 1 << 20 };
	char *deflated = malloc(CAP), *buf = malloc(65536);
	struct gzip *g = make(&l);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct span in = {deflated, deflate_copies(sizes[i], deflated, CAP)};
		struct errmsg m;
		size_t n;
		make_again(&g);
		do {
			if (gzip_inflate(g, &in, buf, 65536, &n, &m) != ERR_OK)
				fail_msg("%zu: %s", sizes[i], m.text);
		} while (n > 0);
		assert_int_equal(gzip_finish(g, &m), ERR_OK);
		assert_true(gzip_output_bytes(g) > 4 << 20);
	}
	gzip_free(&g);
	free(deflated);
	free(buf);
}

static void random_bodies_come_back_whole(void **state)
{
	(void)state;
	static struct body b;
	static struct result r;
	static char text[BODY_BYTES / 2];
	struct prng rng = {42};
	struct gzip *g = make(&roomy);
	for (int round = 0; round < 200; round++) {
		size_t n = 0;
		b.n = 0;
		for (uint64_t members = 1 + prng_below(&rng, 4); members > 0; members--) {
			size_t one = prng_below(&rng, 6000);
			for (size_t i = 0; i < one; i++)
				text[n + i] = (char)('a' + prng_below(&rng, 3));
			add_member(&b, (struct span){text + n, one}, prng_below(&rng, 2));
			n += one;
		}
		run(&g, &b, 0, 1 + prng_below(&rng, 3000), 1 + prng_below(&rng, 5000), &r);
		want(&r, ERR_OK, NULL, (struct span){text, n});
	}
	assert_true(gzip_bytes(g) >= 32768 && gzip_bytes(g) < 65536);
	gzip_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(members_do_not_depend_on_cuts),
	        cmocka_unit_test(each_member_comes_out_at_once),
	        cmocka_unit_test(each_sync_flush_comes_out_at_once),
	        cmocka_unit_test(truncation_is_found_at_every_offset),
	        cmocka_unit_test(damage_is_named),
	        cmocka_unit_test(empty_bodies_are_bodies),
	        cmocka_unit_test(size_limit_is_exact),
	        cmocka_unit_test(bombs_are_stopped_early),
	        cmocka_unit_test(copies_in_each_namespace_are_no_bomb),
	        cmocka_unit_test(random_bodies_come_back_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
