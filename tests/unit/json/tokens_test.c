/* Which documents are valid, on all kernels, and against the naive reader. The categories are
 * those of the well-known test suites for JSON parsers. */
#include "json/tokens.h"

#include <stdio.h>

#include "harness/json_naive.h"
#include "unit/json/doc.h"

static struct tokens kernels[3];
static size_t kernel_count;

static int open_kernels(void **state)
{
	(void)state;
	static const enum tokens_kernel all[] = {
	        TOKENS_KERNEL_PORTABLE, TOKENS_KERNEL_AVX2, TOKENS_KERNEL_AVX512};
	for (size_t k = 0; k < ARRAY_LEN(all); k++) {
		err_t e = tokens_init(&kernels[kernel_count], 0, all[k]);
		kernel_count += e == ERR_OK;
		if (e != ERR_OK)
			print_message("kernel %zu is not for this CPU: not tested\n", k);
	}
	assert_int_equal(kernels[0].fast == NULL, kernel_count > 0);
	return 0;
}

static int close_kernels(void **state)
{
	(void)state;
	for (size_t k = 0; k < kernel_count; k++)
		tokens_fini(&kernels[k]);
	return 0;
}

/* All kernels and the naive reader give that answer. */
static void judge(const char *p, size_t n, err_t want)
{
	struct span d = doc_bytes(p, n);
	for (size_t k = 0; k < kernel_count; k++) {
		err_t got = tokens_read(&kernels[k], d);
		if (got != want)
			print_message("kernel %zu: %s for %.*s\n", k, err_name(got), SPAN_ARG(d));
		assert_int_equal(got, want);
	}
	struct naive *tree = naive_parse(d, JSON_DEPTH_MAX);
	assert_int_equal(tree != NULL, want == ERR_OK);
	naive_free(tree);
	doc_free(&d);
}

/* By itself, as an element, as a member, and after 60 to 70 bytes, so that it crosses a block. */
static void judge_value(const char *p, size_t n, err_t want)
{
	char buf[2048];
	assert_true(n < sizeof buf - 128);
	judge(p, n, want);
	static const char *const around[][2] = {{"[", "]"}, {" [1 , ", " , {}] "}, {"{\"a\":", "}"},
	        {"{\"a\" : [] , \"b\" : ", ",\"c\":0}\n"}};
	for (size_t i = 0; i < ARRAY_LEN(around); i++) {
		for (size_t pad = 0; pad < 70; pad += pad ? 1 : 55) {
			memset(buf, ' ', pad);
			size_t at = pad, left = strlen(around[i][0]), right = strlen(around[i][1]);
			memcpy(buf + at, around[i][0], left);
			memcpy(buf + at + left, p, n);
			memcpy(buf + at + left + n, around[i][1], right);
			judge(buf, at + left + n + right, want);
		}
	}
}

#define LITERAL(s)                                                                                 \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}
struct text {
	const char *p;
	size_t n;
};

static const struct text valid_values[] = {
        LITERAL("null"),
        LITERAL("true"),
        LITERAL("false"),
        LITERAL("0"),
        LITERAL("-0"),
        LITERAL("7"),
        LITERAL("-12"),
        LITERAL("1234567"),
        LITERAL("12345678"),
        LITERAL("123456789012345678901234567890"),
        LITERAL("0.5"),
        LITERAL("-0.0"),
        LITERAL("1e5"),
        LITERAL("1E+5"),
        LITERAL("1e-5"),
        LITERAL("0e0"),
        LITERAL("1.5e300"),
        LITERAL("1.7976931348623157e308"),
        LITERAL("1e-400"),
        LITERAL("0e999999999999"),
        LITERAL("0.0001e311"),
        LITERAL("\"\""),
        LITERAL("\"a\""),
        LITERAL("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        LITERAL("\"\\u0000\""),
        LITERAL("\"\\uD83D\\uDE00\""),
        LITERAL("\"\\uD800\""),
        LITERAL("\"\\uDC00\\uD800\""),
        LITERAL("\"\\uaBcD\""),
        LITERAL("\"\x7F\""),
        LITERAL("\"\xC3\xA9\""),
        LITERAL("\"\xE2\x82\xAC\""),
        LITERAL("\"\xF0\x9F\x98\x80\""),
        LITERAL("\"\xEF\xBF\xBF\""),
        LITERAL("\"\xF4\x8F\xBF\xBF\""),
        LITERAL("\"[{]}:,\""),
        LITERAL("\"//\""),
        LITERAL("[]"),
        LITERAL("{}"),
        LITERAL("[ ]"),
        LITERAL("{ }"),
        LITERAL("[[]]"),
        LITERAL("[{}]"),
        LITERAL("[1,2]"),
        LITERAL("[\"a\",\"b\"]"),
        LITERAL("{\"\":0}"),
        LITERAL("{\"a\":\"b\"}"),
        LITERAL("{\"a\":1,\"a\":2}"),
        LITERAL("{\"a\":[],\"b\":{}}"),
        LITERAL("{\"a\":{\"b\":{\"c\":[null]}}}"),
        LITERAL("[{\"a\":1},[2,[3]],\"x\"]"),
        LITERAL(" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n"),
        LITERAL("{ \"a\" \n:\t1 }"),
        LITERAL("[[],[],{},{},[]]"),
        LITERAL("{\"a\":{},\"b\":[],\"c\":{}}"),
        LITERAL("[[[],[]],[{},{}]]"),
};

static void valid_values_are_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(valid_values); i++)
		judge_value(valid_values[i].p, valid_values[i].n, ERR_OK);
}

static const struct text broken_scalars[] = {
        LITERAL("nul"),
        LITERAL("nulll"),
        LITERAL("Null"),
        LITERAL("tru"),
        LITERAL("truee"),
        LITERAL("TRUE"),
        LITERAL("fals"),
        LITERAL("falsee"),
        LITERAL("nan"),
        LITERAL("NaN"),
        LITERAL("Infinity"),
        LITERAL("-Infinity"),
        LITERAL("undefined"),
        LITERAL("-"),
        LITERAL("--1"),
        LITERAL("+1"),
        LITERAL("01"),
        LITERAL("00"),
        LITERAL("-01"),
        LITERAL("-00"),
        LITERAL("1."),
        LITERAL("1.e1"),
        LITERAL(".5"),
        LITERAL("-.5"),
        LITERAL("1e"),
        LITERAL("1e+"),
        LITERAL("1E-"),
        LITERAL("1e1.5"),
        LITERAL("1e1e1"),
        LITERAL("1.2.3"),
        LITERAL("1+2"),
        LITERAL("0x1"),
        LITERAL("1a"),
        LITERAL("1 000"),
        LITERAL("1_0"),
        LITERAL("- 1"),
        LITERAL("12345678a"),
        LITERAL("true1"),
        LITERAL("1true"),
        LITERAL("null\0"),
        LITERAL("1\0"),
        LITERAL("1.7976931348623159e308"),
        LITERAL("1e309"),
        LITERAL("-1e309"),
        LITERAL("1e99999999999999999999"),
        LITERAL("0.001e312"),
        LITERAL("\xEF\xBC\x91"),
        LITERAL("\xFF"),
        LITERAL("\x80"),
        LITERAL("1\xC3\xA9"),
        LITERAL("'a'"),
        LITERAL("a"),
        LITERAL("\\"),
        LITERAL("\\u0031"),
        LITERAL("#"),
        LITERAL("/**/1"),
        LITERAL("1//"),
        LITERAL("\x01"),
        LITERAL("\x7F"),
        LITERAL("\f1"),
        LITERAL("\v1"),
        LITERAL("\xC2\xA0"
                "1"),
        LITERAL("\xE2\x81\xA0"
                "1"),
        LITERAL("\xEF\xBB\xBF"
                "1"),
        LITERAL("1\"\""),
        LITERAL("\"\"1"),
        LITERAL("\"a\"\"b\""),
        LITERAL("true\"\""),
        LITERAL("1\\\""),
        LITERAL("1[]"),
        LITERAL("[]1"),
};

static void broken_scalars_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken_scalars); i++)
		judge_value(broken_scalars[i].p, broken_scalars[i].n, ERR_JSON_SYNTAX);
}

static const struct text broken_strings[] = {
        LITERAL("\""),
        LITERAL("\"a"),
        LITERAL("\"\\\""),
        LITERAL("\"\\"),
        LITERAL("\"\\a\""),
        LITERAL("\"\\x20\""),
        LITERAL("\"\\'\""),
        LITERAL("\"\\ \""),
        LITERAL("\"\\0\""),
        LITERAL("\"\\\0\""),
        LITERAL("\"\\U0041\""),
        LITERAL("\"\\u\""),
        LITERAL("\"\\u1\""),
        LITERAL("\"\\u12\""),
        LITERAL("\"\\u123\""),
        LITERAL("\"\\u123g\""),
        LITERAL("\"\\u-123\""),
        LITERAL("\"\\u 123\""),
        LITERAL("\"\\uD800\\u\""),
        LITERAL("\"\\uD800\\u1\""),
        LITERAL("\"\\uD83D\\uDE0\""),
        LITERAL("\"\n\""),
        LITERAL("\"\t\""),
        LITERAL("\"\0\""),
        LITERAL("\"\x1F\""),
        LITERAL("\"\\\n\""),
        LITERAL("\"\\\x80\""),
        LITERAL("\"\\\xC3\xA9\""),
        LITERAL("\"\x80\""),
        LITERAL("\"\xC3\""),
        LITERAL("\"\xC0\xAF\""),
        LITERAL("\"\xC1\xBF\""),
        LITERAL("\"\xE0\x80\xAF\""),
        LITERAL("\"\xE2\x82\""),
        LITERAL("\"\xED\xA0\x80\""),
        LITERAL("\"\xED\xBF\xBF\""),
        LITERAL("\"\xF0\x8F\xBF\xBF\""),
        LITERAL("\"\xF0\x9F\x98\""),
        LITERAL("\"\xF4\x90\x80\x80\""),
        LITERAL("\"\xF5\x80\x80\x80\""),
        LITERAL("\"\xF8\x88\x80\x80\x80\""),
        LITERAL("\"\xFC\x83\xBF\xBF\xBF\xBF\""),
        LITERAL("\"\xFE\""),
        LITERAL("\"\xFF\""),
        LITERAL("\"\xE9\""),
        LITERAL("\"\xBF\xBF\""),
};

static void broken_strings_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken_strings); i++)
		judge_value(broken_strings[i].p, broken_strings[i].n, ERR_JSON_SYNTAX);
}

static const struct text broken_structures[] = {
        LITERAL(""),
        LITERAL(" "),
        LITERAL(","),
        LITERAL(":"),
        LITERAL("["),
        LITERAL("]"),
        LITERAL("{"),
        LITERAL("}"),
        LITERAL("[}"),
        LITERAL("{]"),
        LITERAL("[]]"),
        LITERAL("{}}"),
        LITERAL("[[]"),
        LITERAL("{\"a\":{}"),
        LITERAL("[1"),
        LITERAL("[1,"),
        LITERAL("[1,]"),
        LITERAL("[,1]"),
        LITERAL("[,]"),
        LITERAL("[1,,2]"),
        LITERAL("[1 2]"),
        LITERAL("[\"a\" \"b\"]"),
        LITERAL("[[] []]"),
        LITERAL("[{} {}]"),
        LITERAL("[1:2]"),
        LITERAL("[\"a\":1]"),
        LITERAL("[\"a\",\"b\":1]"),
        LITERAL("[:]"),
        LITERAL("[\"a\":]"),
        LITERAL("{,}"),
        LITERAL("{\"a\"}"),
        LITERAL("{\"a\":}"),
        LITERAL("{:1}"),
        LITERAL("{1:1}"),
        LITERAL("{null:1}"),
        LITERAL("{[]:1}"),
        LITERAL("{{}:1}"),
        LITERAL("{\"a\":1,}"),
        LITERAL("{,\"a\":1}"),
        LITERAL("{\"a\":1,,\"b\":2}"),
        LITERAL("{\"a\" 1}"),
        LITERAL("{\"a\"::1}"),
        LITERAL("{\"a\":1 \"b\":2}"),
        LITERAL("{\"a\":1,\"b\"}"),
        LITERAL("{\"a\",\"b\":1}"),
        LITERAL("{\"a\":1,2}"),
        LITERAL("{\"a\":1,{}}"),
        LITERAL("{\"a\":1,[]}"),
        LITERAL("{\"a\":\"b\":1}"),
        LITERAL("{\"a\":\"b\",\"c\":\"d\":\"e\"}"),
        LITERAL("{\"a\":1:2}"),
        LITERAL("{\"a\":[}]"),
        LITERAL("{\"a\":[}}"),
        LITERAL("[{]}"),
        LITERAL("[{\"a\":1]"),
        LITERAL("[{\"a\":[1}]"),
        LITERAL("{\"a\":[1],2}"),
        LITERAL("[[1],\"a\":2]"),
        LITERAL("[{},\"a\":2]"),
        LITERAL("{\"a\":{},2}"),
        LITERAL("{\"a\":[],[]}"),
        LITERAL("{\"a\":{}\"b\":1}"),
        LITERAL("{\"a\":[]:1}"),
        LITERAL("[[]:1]"),
        LITERAL("{\"a\":[],\"b\"}"),
        LITERAL("[[],[],\"b\":{}]"),
        LITERAL("{\"x\":[[],[]],[]}"),
        LITERAL("{\"x\":[{},{}],{}}"),
        LITERAL("[{\"x\":{}},\"y\":{}]"),
        LITERAL("{\"x\":{\"y\":[]},{\"z\":[]}}"),
        LITERAL("[{\"x\":[1]},\"y\":[1]]"),
        LITERAL("<a/>"),
        LITERAL("[1]#"),
        LITERAL("[1]//"),
        LITERAL("[1]/**/"),
        LITERAL("{\"a\":1}}"),
        LITERAL("{\"a\":1}]"),
        LITERAL("{}{}"),
        LITERAL("[][]"),
        LITERAL("[] {}"),
        LITERAL("[],[]"),
        LITERAL("[],\"a\":{\"b\":1}"),
        LITERAL("{},\"a\":{\"b\":1}"),
        LITERAL("{}:{}"),
        LITERAL("[]\"a\""),
        LITERAL("{\"a\":{}},{\"b\":{}}"),
        LITERAL("][][]["),
        LITERAL("}{\"a\":{}}{"),
        LITERAL("1 2"),
        LITERAL("\"a\":1"),
        LITERAL("1,2"),
        LITERAL("[\xEF\xBB\xBF]"),
        LITERAL("\xEF\xBB\xBF[]"),
        LITERAL("[\0]"),
        LITERAL("[]\0"),
        LITERAL("[\f]"),
        /* Control characters that are a bit away from , : and ". */
        LITERAL("[1\f2]"),
        LITERAL("[\"a\"\f\"b\"]"),
        LITERAL("[\"a\"\x1A\"b\"]"),
        LITERAL("{\"a\"\x1A"
                "1}"),
        LITERAL("[\x02"
                "a\"]"),
        LITERAL("[\x02"
                "a\x02]"),
        LITERAL("[]],["),
        LITERAL("[]],[],[["),
        LITERAL("[\x0B]"),
        LITERAL("[\xC2\x85]"),
        LITERAL("[\\n]"),
        LITERAL("{\"a\"]"),
        LITERAL("[{\"a\"]]"),
        LITERAL("[[1],{\"a\"]]"),
        LITERAL("{\"a\",1]"),
        LITERAL("{\"a\",[]]"),
        LITERAL("{\"a\",{\"b\":1}]"),
        LITERAL("\xDB\x80 1]"),
        LITERAL("[1\xDD\x80"),
        LITERAL("[1 \xDD\x80"),
        LITERAL("[\"a\" \xC2\xAC 1]"),
        LITERAL("[1\xC2\xAC 2]"),
        LITERAL("[\\\"a\"]"),
};

static void broken_structures_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken_structures); i++)
		judge(broken_structures[i].p, broken_structures[i].n, ERR_JSON_SYNTAX);
}

/* What the document before has left behind must not vouch for the next one. */
static void documents_do_not_touch_each_other(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"[1,2,3]", "[1],[1]"}, {"[1,2,3]", "[1,2,[["},
	        {"[]", ",1"}, {"[1]", ",[]"}, {"[1]", "[1 "}, {"[1]", ""}, {"[]", "1"},
	        {"[[],[]]", "[],[[]]"}, {"[[]]", "[]],["}};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		judge(pairs[i][0], strlen(pairs[i][0]), ERR_OK);
		err_t want = strcmp(pairs[i][1], "1") ? ERR_JSON_SYNTAX : ERR_OK;
		judge(pairs[i][1], strlen(pairs[i][1]), want);
		judge(pairs[i][1], strlen(pairs[i][1]), want); /* nor for itself */
	}
}

static void depth_ends_at_its_limit(void **state)
{
	(void)state;
	static const char open[][8] = {"[", "{\"a\":", "[[],"}, close[][4] = {"]", "}", "]"};
	char buf[4096];
	for (size_t kind = 0; kind < ARRAY_LEN(open); kind++) {
		for (unsigned depth = 1; depth <= JSON_DEPTH_MAX + 2; depth++) {
			size_t n = 0, k = strlen(open[kind]);
			for (unsigned i = 0; i < depth; i++, n += k)
				memcpy(buf + n, open[kind], k);
			buf[n++] = '0';
			for (unsigned i = 0; i < depth; i++, n++)
				memcpy(buf + n, close[kind], 1);
			bool inner = kind == 2 &&
			             depth == JSON_DEPTH_MAX; /* the [] beside it is one deeper */
			judge(buf, n, depth > JSON_DEPTH_MAX || inner ? ERR_JSON_DEPTH : ERR_OK);
		}
	}
}

/* An object of every shape that Kubernetes prints, in 700 bytes. */
static const char pod[] =
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a-1\","
        "\"labels\":{\"x/y\":\"1\"},"
        "\"annotations\":{\"j\":\"{\\\"k\\\":[\\\"v\\\\\\\\\\\"]}\\u003c\"},\"managedFields\":[{"
        "\"f\":{\".\":{},\"k:{\\\"n\\\":\\\"c\\\"}\":"
        "{\".\":{},\"f:a\":{},\"f:b\":{\".\":{}}}}}]},\"spec\":{\"c\":[{\"name\":\"c0\",\"p\":[{"
        "\"n\":8080,\"t\":true}],\"e\":[]},{\"name\":"
        "\"c1\",\"r\":{\"l\":{\"cpu\":\"1\"}}}],\"g\":30,\"z\":null,\"f\":-1.5e-7,\"u\":"
        "\"gr\xC3\xBC\xC3\x9F\xE2\x82\xAC\"},\"status\":{\"c\":[{\"t\":\"R\","
        "\"s\":\"True\",\"l\":null},{\"t\":\"Q\"}],\"q\":\"B\"}}}";

static void every_prefix_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof pod - 1; n++)
		judge(pod, n, ERR_JSON_SYNTAX);
	judge(pod, sizeof pod - 1, ERR_OK);
}

/* Every byte replaced by, removed, or joined by each of the bytes that mean something: the kernels
 * agree with the naive reader. */
static void every_single_fault_is_judged_alike(void **state)
{
	(void)state;
	static const char bytes[] = "{}[]:,\"\\ \n0-1eatu/\x00\x1f\x80\xc3\xff";
	char buf[sizeof pod + 1];
	const size_t n = sizeof pod - 1;
	size_t accepted = 0, refused = 0;
	for (size_t at = 0; at < n; at++) {
		for (size_t b = 0; b < sizeof bytes; b++) {
			for (int how = 0; how < 3; how++) { /* replace, insert, remove */
				size_t put = how < 2, from = how == 1 ? at : at + 1;
				if (how == 2 && b)
					continue;
				memcpy(buf, pod, at);
				buf[at] = bytes[b];
				memcpy(buf + at + put, pod + from, n - from);
				size_t length = at + put + n - from;
				struct span d = doc_bytes(buf, length);
				struct naive *tree = naive_parse(d, JSON_DEPTH_MAX);
				for (size_t k = 0; k < kernel_count; k++)
					assert_int_equal(tokens_read(&kernels[k], d),
					        tree ? ERR_OK : ERR_JSON_SYNTAX);
				accepted += tree != NULL;
				refused += tree == NULL;
				naive_free(tree);
				doc_free(&d);
			}
		}
	}
	assert_true(accepted > 1000 && refused > 1000);
}

/* text, then `end`, as one document that the fast kernels must be sure of. Spoils text. */
static void be_sure(char *text, size_t n, const char *end)
{
	memcpy(text + n, end, strlen(end));
	struct span d = doc_bytes(text, n + strlen(end));
	for (size_t k = 1; k < kernel_count; k++) {
		assert_true(kernels[k].fast(&kernels[k], d));
		assert_int_equal(tokens_skip(&kernels[k], 0), kernels[k].count);
	}
	doc_free(&d);
}

/* They may say "not sure", but not of what servers print. */
static void the_fast_kernels_are_sure(void **state)
{
	(void)state;
	if (kernel_count < 2)
		skip();
	static char text[8192];
	for (size_t i = 0; i < ARRAY_LEN(valid_values); i++) {
		for (size_t pad = 0; pad < 70; pad++) {
			size_t n = valid_values[i].n;
			memset(text, ' ', pad);
			text[pad] = '[';
			memcpy(text + pad + 1, valid_values[i].p, n);
			be_sure(text, pad + 1 + n, ",{\"b\":[{\"c\":-12.5}]}]");
		}
	}
	static const char head[] = "[{\"z\":{\"y\":[0";
	/* all tokens at every place in blocks and parts; many, and few, brackets */
	static const char *const elements[] = {",1", ",[]", ",{\"k\":[7]}"};
	for (size_t e = 0; e < ARRAY_LEN(elements); e++) {
		size_t n = sizeof head - 1, length = strlen(elements[e]);
		memcpy(text, head, n);
		while (n < sizeof text - 256) {
			be_sure(text, n, "]}},{\"a\":[{},[[]],{\"b\":[true]}]}]");
			memcpy(text + n, elements[e], length);
			n += length;
		}
	}
	memcpy(text, pod, sizeof pod - 1);
	be_sure(text, sizeof pod - 1, " ");
}

/* Integers are judged by their digits alone, block by block: length and leading zeroes must not get
 * lost. */
static void long_integers_are_judged(void **state)
{
	(void)state;
	char text[512];
	for (size_t digits = 1; digits < 400; digits += digits < 140 ? 1 : 13) {
		memset(text, '1', digits);
		judge_value(text, digits, digits < 310 ? ERR_OK : ERR_JSON_SYNTAX);
		text[0] = '0';
		judge_value(text, digits, digits == 1 ? ERR_OK : ERR_JSON_SYNTAX);
		text[0] = '1';
		text[digits - 1] = 'x';
		judge_value(text, digits, ERR_JSON_SYNTAX);
	}
}

static void backslashes_are_counted_across_blocks(void **state)
{
	(void)state;
	char buf[512];
	for (size_t pad = 0; pad < 130; pad++) {
		for (size_t run = 0; run < 70; run++) {
			/* ["aaa\\\\\"] : closed if the run is even */
			size_t n = 0;
			buf[n++] = '[';
			buf[n++] = '"';
			memset(buf + n, 'a', pad);
			n += pad;
			memset(buf + n, '\\', run);
			n += run;
			buf[n++] = '"';
			buf[n++] = ']';
			judge(buf, n, run % 2 ? ERR_JSON_SYNTAX : ERR_OK);
		}
	}
}

static void tokens_are_where_they_are(void **state)
{
	(void)state;
	struct span d =
	        doc(" {\"a\" : [1, {\"b\":\"x\\\"y\" }, []],\t\"c\":{} , \"d\":tru\x65 }  ");
	static const uint8_t codes[] = {TOKEN_OBJECT, TOKEN_STRING, TOKEN_COLON, TOKEN_ARRAY,
	        TOKEN_SCALAR, TOKEN_COMMA, TOKEN_OBJECT, TOKEN_STRING, TOKEN_COLON, TOKEN_STRING,
	        TOKEN_OBJECT_END, TOKEN_COMMA, TOKEN_ARRAY, TOKEN_ARRAY_END, TOKEN_ARRAY_END,
	        TOKEN_COMMA, TOKEN_STRING, TOKEN_COLON, TOKEN_OBJECT, TOKEN_OBJECT_END, TOKEN_COMMA,
	        TOKEN_STRING, TOKEN_COLON, TOKEN_SCALAR, TOKEN_OBJECT_END};
	for (size_t k = 0; k < kernel_count; k++) {
		struct tokens *t = &kernels[k];
		assert_int_equal(tokens_read(t, d), ERR_OK);
		assert_int_equal(t->count, sizeof codes);
		assert_memory_equal(t->code, codes, sizeof codes);
		assert_int_equal(t->code[t->count], TOKEN_NONE);
		assert_int_equal(t->pos[t->count], d.n);
		for (uint32_t i = 0; i < t->count; i++)
			assert_true(strchr("{[}]:,\"1t", d.p[t->pos[i]]));
		assert_int_equal(tokens_skip(t, 0), t->count);
		assert_int_equal(tokens_skip(t, 3), 15);
		assert_int_equal(tokens_skip(t, 6), 11);
		assert_int_equal(tokens_skip(t, 12), 14);
		assert_int_equal(tokens_skip(t, 18), 20);
		assert_int_equal(tokens_skip(t, 21), 22);
		assert_span(tokens_string(t, 1), "a");
		assert_span(tokens_string(t, 9), "x\\\"y");
		assert_true(tokens_escaped(t, tokens_string(t, 9)));
		assert_false(tokens_escaped(t, tokens_string(t, 1)));
		assert_false(tokens_escaped(t, tokens_string(t, 16)));
		assert_span(tokens_scalar(t, 23), "true");
	}
	doc_free(&d);
}

/* The token behind a value, counted bracket by bracket. */
static uint32_t slow_skip(const struct tokens *t, uint32_t at)
{
	uint32_t depth = 0;
	do {
		depth += t->code[at] <= TOKEN_ARRAY;
		depth -= t->code[at] == TOKEN_OBJECT_END || t->code[at] == TOKEN_ARRAY_END;
		at++;
	} while (depth);
	return at;
}

static void all_skips_are_right(const char *p, size_t n)
{
	struct span d = doc_bytes(p, n);
	for (size_t k = 0; k < kernel_count; k++) {
		struct tokens *t = &kernels[k];
		assert_int_equal(tokens_read(t, d), ERR_OK);
		for (uint32_t i = 0; i < t->count; i++) {
			bool ends = t->code[i] == TOKEN_OBJECT_END || t->code[i] == TOKEN_ARRAY_END;
			if (!ends)
				assert_int_equal(tokens_skip(t, i), slow_skip(t, i));
		}
	}
	doc_free(&d);
}

/* Short containers, long ones, and as deep as it goes, where depths no longer fit a byte. */
static void every_value_can_be_skipped(void **state)
{
	(void)state;
	static char buf[16384];
	all_skips_are_right(pod, sizeof pod - 1);
	for (unsigned levels = 1; levels < JSON_DEPTH_MAX; levels += levels < 230 ? 37 : 1) {
		size_t n = 0;
		for (unsigned i = 0; i < levels; i++)
			n += (size_t)sprintf(buf + n, i % 9 ? "[" : "[0,[],{\"a\":[1]},");
		n += (size_t)sprintf(buf + n, "7");
		for (unsigned i = 0; i < levels; i++)
			n += (size_t)sprintf(buf + n, i % 5 ? "]" : ",[2],{}]");
		all_skips_are_right(buf, n);
	}
	memset(buf, '[', JSON_DEPTH_MAX);
	memset(buf + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	all_skips_are_right(buf, 2 * (size_t)JSON_DEPTH_MAX);
}

/* Scalars are noted and checked later, many at a time: none may get lost. */
static void one_broken_scalar_among_many_is_found(void **state)
{
	(void)state;
	enum { COUNT = 2600 };
	static const char *const good[] = {
	        "1", "23", "true", "null", "-4", "5e6", "false", "1234567"};
	static const char *const broken[] = {"01", "tru", "1.", "nul1", "0x"};
	static char buf[COUNT * 10];
	for (size_t at = 0; at <= COUNT; at += at % 1020 < 1 ? 1 : 67) {
		size_t n = 0;
		for (size_t i = 0; i < COUNT; i++)
			n += (size_t)sprintf(buf + n, "%c%s", i ? ',' : '[',
			        i == at ? broken[at % ARRAY_LEN(broken)]
			                : good[i * 5 % 7 + (i % 3 == 0)]);
		buf[n++] = ']';
		judge(buf, n, at < COUNT ? ERR_JSON_SYNTAX : ERR_OK);
	}
}

/* Only the part of a document that is not ASCII is looked at for UTF-8: its ends may not cut off
 * anything. */
static void utf8_is_judged_at_every_place(void **state)
{
	(void)state;
	static const struct text parts[] = {LITERAL("\xC3\xA9"), LITERAL("\xF0\x9F\x98\x80"),
	        LITERAL("\xC3"), LITERAL("\xF0\x9F\x98"), LITERAL("\xA9"), LITERAL("\xED\xA0\x80")};
	char buf[512];
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		for (size_t pad = 0; pad < 140; pad++) {
			for (size_t behind = 0; behind < 140; behind += 23) {
				size_t n = (size_t)sprintf(buf, "[\"%*s", (int)pad, "");
				memcpy(buf + n, parts[i].p, parts[i].n);
				n += parts[i].n;
				n += (size_t)sprintf(buf + n, "%*s\xC3\xA9%*s\"]", (int)behind, "",
				        (int)behind, "");
				judge(buf, n, i < 2 ? ERR_OK : ERR_JSON_SYNTAX);
			}
		}
	}
}

/* Many parts of the second pass, containers that reach over them, all kinds of neighbours at their
 * borders. */
static void long_documents_are_read_whole(void **state)
{
	(void)state;
	size_t n = 0, capacity = 1 << 20;
	char *buf = malloc(capacity);
	assert_non_null(buf);
	buf[n++] = '[';
	for (unsigned i = 0; i < 9000; i++) {
		static const char *const items[] = {
		        "{}", "[[],[]]", "{\"a\":{\"b\":[1,\"}\"]},\"c\":{}}", "null", "\"\\\\\""};
		const char *item = items[i * 7 % 11 % 5];
		memcpy(buf + n, item, strlen(item));
		n += strlen(item);
		buf[n++] = ',';
	}
	buf[n - 1] = ']';
	judge(buf, n, ERR_OK);
	for (size_t k = 0; k < kernel_count; k++)
		assert_int_equal(tokens_skip(&kernels[k], 0), kernels[k].count);
	for (size_t at = 1; at < n; at += n / 97) {
		char was = buf[at];
		buf[at] = was == '}' ? ']' : '}';
		struct span d = {buf, n};
		struct naive *tree = naive_parse(d, JSON_DEPTH_MAX);
		judge(buf, n, tree ? ERR_OK : ERR_JSON_SYNTAX);
		naive_free(tree);
		buf[at] = was;
	}
	free(buf);
}

static void a_document_is_bounded(void **state)
{
	(void)state;
	for (size_t k = 0; k < kernel_count; k++)
		assert_int_equal(
		        tokens_read(&kernels[k], (struct span){"", (size_t)TOKENS_BYTES_MAX + 1}),
		        ERR_JSON_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(valid_values_are_accepted),
	        cmocka_unit_test(broken_scalars_are_refused),
	        cmocka_unit_test(broken_strings_are_refused),
	        cmocka_unit_test(broken_structures_are_refused),
	        cmocka_unit_test(documents_do_not_touch_each_other),
	        cmocka_unit_test(the_fast_kernels_are_sure),
	        cmocka_unit_test(long_integers_are_judged),
	        cmocka_unit_test(depth_ends_at_its_limit),
	        cmocka_unit_test(every_prefix_is_refused),
	        cmocka_unit_test(every_single_fault_is_judged_alike),
	        cmocka_unit_test(backslashes_are_counted_across_blocks),
	        cmocka_unit_test(tokens_are_where_they_are),
	        cmocka_unit_test(every_value_can_be_skipped),
	        cmocka_unit_test(one_broken_scalar_among_many_is_found),
	        cmocka_unit_test(utf8_is_judged_at_every_place),
	        cmocka_unit_test(long_documents_are_read_whole),
	        cmocka_unit_test(a_document_is_bounded),
	};
	return cmocka_run_group_tests(tests, open_kernels, close_kernels);
}
