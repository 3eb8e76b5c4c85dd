/* envelope: the recorded frames byte for byte, every escape, everything that is cut or broken, and
 * all string kernels against each other and against the naive reader. */
#include "headlamp/envelope.h"

#include "base/prng.h"
#include "harness/json_naive.h"
#include "headlamp/quoted.h"
#include "unit/json/doc.h"

#include <stdio.h>

enum { DATA_MAX = 1 << 20 };
static struct envelope_reader *reader;

static int open_reader(void **state)
{
	(void)state;
	reader = envelope_reader_new(DATA_MAX);
	return reader ? 0 : -1;
}

static int close_reader(void **state)
{
	(void)state;
	envelope_reader_free(&reader);
	envelope_reader_free(&reader);
	return reader != NULL;
}

static err_t read_bytes(const char *p, size_t n, struct span *d, struct envelope *e)
{
	struct errmsg m = {0};
	*d = doc_bytes(p, n);
	err_t got = envelope_read(reader, *d, e, &m);
	assert_int_equal(m.code, got);
	return got;
}

static err_t error_of(const char *text)
{
	struct envelope e;
	struct span d;
	err_t got = read_bytes(text, strlen(text), &d, &e);
	doc_free(&d);
	return got;
}

/* --- What was recorded ---------------------------------------------------------------------- */

#define HEAD(query, user)                                                                          \
	"{\"clusterId\":\"c1\",\"path\":\"/api/v1/pods\",\"query\":\"" query                       \
	"\",\"userId\":\"" user "\","
#define WATCH HEAD("watch=1\\u0026resourceVersion=5", "u1")
#define RAW   "watch=1&resourceVersion=5"

static const struct vector {
	const char *frame;
	enum envelope_type type;
	const char *query, *user, *data;
} vectors[] = {
        {HEAD("", "") "\"data\":\"{\\\"state\\\":\\\"connected\\\",\\\"error\\\":\\\"\\\"}\","
                      "\"type\":\"STATUS\"}\n",
                ENVELOPE_STATUS, "", "", "{\"state\":\"connected\",\"error\":\"\"}"},
        {WATCH "\"type\":\"COMPLETE\"}\n", ENVELOPE_COMPLETE, RAW, "u1", ""},
        {WATCH "\"data\":\"{\\\"type\\\":\\\"ADDED\\\",\\\"object\\\":{\\\"kind\\\":\\\"Pod\\\","
               "\\\"metadata\\\":{\\\"name\\\":\\\"a\\u003cb\\u003e\\u0026c\\\","
               "\\\"uid\\\":\\\"1\\\",\\\"resourceVersion\\\":\\\"6\\\"}}}\\n\","
               "\"type\":\"DATA\"}\n",
                ENVELOPE_DATA, RAW, "u1",
                "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a<b>&"
                "c\","
                "\"uid\":\"1\",\"resourceVersion\":\"6\"}}}\n"},
        {WATCH "\"data\":\"{\\\"type\\\":\\\"MODIFIED\\\",\\\"object\\\":{\\\"kind\\\":"
               "\\\"Pod\\\",\\\"metadata\\\":{\\\"name\\\":\\\"x\\\",\\\"uid\\\":\\\"1\\\","
               "\\\"resourceVersion\\\":\\\"6\\\"}}}\\n\",\"type\":\"DATA\"}\n",
                ENVELOPE_DATA, RAW, "u1",
                "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\","
                "\"uid\":\"1\",\"resourceVersion\":\"6\"}}}\n"},
        {WATCH "\"data\":\"{\\\"type\\\":\\\"BOOKMARK\\\",\\\"object\\\":{\\\"kind\\\":"
               "\\\"Pod\\\",\\\"metadata\\\":{\\\"resourceVersion\\\":\\\"9\\\"}}}\\n\","
               "\"type\":\"DATA\"}\n",
                ENVELOPE_DATA, RAW, "u1",
                "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
                "\"resourceVersion\":\"9\"}}}\n"},
        {WATCH "\"data\":\"{\\\"type\\\":\\\"ERROR\\\",\\\"object\\\":{\\\"kind\\\":\\\"Status\\\","
               "\\\"apiVersion\\\":\\\"v1\\\",\\\"metadata\\\":{},\\\"status\\\":\\\"Failure\\\","
               "\\\"reason\\\":\\\"Expired\\\",\\\"code\\\":410}}\\n\",\"type\":\"DATA\"}\n",
                ENVELOPE_DATA, RAW, "u1",
                "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
                "\"metadata\":{},\"status\":\"Failure\",\"reason\":\"Expired\",\"code\":410}}\n"},
        {WATCH "\"data\":\"not json\",\"type\":\"DATA\"}\n", ENVELOPE_DATA, RAW, "u1", "not json"},
        {WATCH "\"data\":\"AQID/w==\",\"binary\":true,\"type\":\"DATA\"}\n", ENVELOPE_DATA, RAW,
                "u1", "\x01\x02\x03\xFF"},
        {HEAD("", "") "\"data\":\"{\\\"state\\\":\\\"closed\\\",\\\"error\\\":\\\"\\\"}\","
                      "\"type\":\"STATUS\"}\n",
                ENVELOPE_STATUS, "", "", "{\"state\":\"closed\",\"error\":\"\"}"},
        {HEAD("", "") "\"data\":\"{\\\"state\\\":\\\"error\\\",\\\"error\\\":\\\"dialing "
                      "WebSocket: websocket: bad handshake\\\"}\",\"type\":\"STATUS\"}\n",
                ENVELOPE_STATUS, "", "",
                "{\"state\":\"error\",\"error\":\"dialing WebSocket: websocket: bad handshake\"}"},
        {HEAD("watch=1", "u1") "\"data\":\"{\\\"error\\\":\\\"getting cluster config: getting "
                               "context: key not found\\\"}\",\"type\":\"ERROR\"}\n",
                ENVELOPE_ERROR, "watch=1", "u1",
                "{\"error\":\"getting cluster config: getting context: key not found\"}"},
};

static void recorded_frames_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct envelope e;
		struct span d;
		assert_int_equal(read_bytes(v->frame, strlen(v->frame), &d, &e), ERR_OK);
		assert_int_equal(e.type, v->type);
		assert_span(e.cluster, "c1");
		assert_span(e.path, "/api/v1/pods");
		assert_span(e.query, v->query);
		assert_span(e.user, v->user);
		assert_span(e.data, v->data);
		doc_free(&d);
	}
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		size_t whole = strlen(vectors[i].frame) - 1; /* without its newline */
		for (size_t n = 0; n < whole; n++) {
			struct envelope e;
			struct span d;
			assert_int_equal(
			        read_bytes(vectors[i].frame, n, &d, &e), ERR_HEADLAMP_FRAME);
			doc_free(&d);
		}
	}
}

static void a_status_tells_its_state(void **state)
{
	(void)state;
	static const struct {
		size_t vector;
		enum envelope_state state;
		const char *text;
	} cases[] = {{0, ENVELOPE_CONNECTED, ""}, {8, ENVELOPE_CLOSED, ""},
	        {9, ENVELOPE_FAILED, "dialing WebSocket: websocket: bad handshake"},
	        {2, ENVELOPE_UNKNOWN, ""}, {10, ENVELOPE_UNKNOWN, ""}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct envelope e;
		struct span d, text;
		const char *frame = vectors[cases[i].vector].frame;
		assert_int_equal(read_bytes(frame, strlen(frame), &d, &e), ERR_OK);
		assert_int_equal(envelope_status(reader, &e, &text), cases[i].state);
		assert_span(text, cases[i].text);
		assert_span(e.cluster, "c1"); /* still there */
		doc_free(&d);
	}
}

static void a_status_that_says_something_else_is_unknown(void **state)
{
	(void)state;
	static const char *const data[] = {"", "no", "{}", "{\\\"state\\\":1}",
	        "{\\\"state\\\":\\\"connecting\\\"}", "{\\\"state\\\":\\\"connected\\\"",
	        "{\\\"state\\\":\\\"connected\\\",\\\"state\\\":\\\"connected\\\"}"};
	for (size_t i = 0; i < ARRAY_LEN(data); i++) {
		char frame[256];
		struct envelope e;
		struct span d, text;
		int n = snprintf(frame, sizeof frame,
		        "{\"clusterId\":\"c\",\"data\":\"%s\",\"type\":\"STATUS\"}", data[i]);
		assert_int_equal(read_bytes(frame, (size_t)n, &d, &e), ERR_OK);
		assert_int_equal(envelope_status(reader, &e, &text), ENVELOPE_UNKNOWN);
		assert_int_equal(text.n, 0);
		doc_free(&d);
	}
}

static void an_error_tells_its_text(void **state)
{
	(void)state;
	static const struct {
		const char *data, *text;
	} cases[] = {
	        {"{\\\"error\\\":\\\"say \\\\\\\"no\\\\\\\"\\\"}", "say \"no\""},
	        {"plain words", "plain words"},
	        {"{\\\"other\\\":1}", "{\"other\":1}"},
	        {"{\\\"error\\\":7}", "{\"error\":7}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char frame[256];
		struct envelope e;
		struct span d;
		int n = snprintf(frame, sizeof frame,
		        "{\"clusterId\":\"c\",\"data\":\"%s\",\"type\":\"ERROR\"}", cases[i].data);
		assert_int_equal(read_bytes(frame, (size_t)n, &d, &e), ERR_OK);
		assert_span(envelope_error(reader, &e), cases[i].text);
		doc_free(&d);
	}
}

static void the_document_inside_can_be_scanned_in_place(void **state)
{
	(void)state;
	struct json_parser *p = json_parser_new(4096, DATA_MAX);
	struct json_event ev;
	struct envelope e;
	struct span d;
	assert_int_equal(read_bytes(vectors[2].frame, strlen(vectors[2].frame), &d, &e), ERR_OK);
	assert_int_equal(json_scan_event(p, e.data, true, NULL, &ev), ERR_OK);
	assert_int_equal(ev.type, JSON_EVENT_ADDED);
	assert_span(ev.object.name, "a<b>&c");
	json_parser_free(&p);
	doc_free(&d);
}

/* --- Strings -------------------------------------------------------------------------------- */

#define PLAIN(data) "{\"clusterId\":\"c\",\"data\":\"" data "\",\"type\":\"DATA\"}"

static void data_is(const char *frame, const char *want, size_t n)
{
	struct envelope e;
	struct span d;
	assert_int_equal(read_bytes(frame, strlen(frame), &d, &e), ERR_OK);
	assert_int_equal(e.data.n, n);
	assert_memory_equal(e.data.p, want, n);
	doc_free(&d);
}
#define DATA_IS(data, want) data_is(PLAIN(data), want, sizeof(want) - 1)

static void every_escape_is_resolved(void **state)
{
	(void)state;
	DATA_IS("", "");
	DATA_IS("\\\"\\\\\\/", "\"\\/");
	DATA_IS("\\b\\f\\n\\r\\t", "\b\f\n\r\t");
	DATA_IS("a\\u0000b", "a\0b");
	DATA_IS("\\u007F\\u0080\\u07ff\\u0800", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80");
	DATA_IS("\\u00e9\\uFFFF", "\xC3\xA9\xEF\xBF\xBF");
	DATA_IS("\\ud83d\\ude00", "\xF0\x9F\x98\x80");
	DATA_IS("\\uDBFF\\uDFFF", "\xF4\x8F\xBF\xBF");
	DATA_IS("\\\\u0041\\\\\\\"", "\\u0041\\\"");
}

static void a_lone_surrogate_becomes_a_replacement(void **state)
{
	(void)state;
#define FFFD "\xEF\xBF\xBD"
	DATA_IS("\\ud83d", FFFD);
	DATA_IS("\\ude00x", FFFD "x");
	DATA_IS("\\ud83d\\u0041", FFFD "A");
	DATA_IS("\\ud83d\\n", FFFD "\n");
	DATA_IS("\\ud83d\\ud83d\\ude00", FFFD "\xF0\x9F\x98\x80");
	DATA_IS("\\ude00\\ud83d", FFFD FFFD);
}

static void broken_strings_are_refused(void **state)
{
	(void)state;
	static const char *const frames[] = {PLAIN("\\x"), PLAIN("\\u12"), PLAIN("\\u12g4"),
	        PLAIN("\\u/234"), PLAIN("\\u:234"), PLAIN("\\u@234"), PLAIN("\\u`234"),
	        PLAIN("\\U0041"), PLAIN("\\ud83d\\u12"), PLAIN("\\"), PLAIN("\\\\\\"),
	        PLAIN("a\nb"), PLAIN("\\\n"), PLAIN("\x01"), PLAIN("\x1f"), PLAIN("\\'"),
	        PLAIN("\\N"), PLAIN("\\A")};
	for (size_t i = 0; i < ARRAY_LEN(frames); i++)
		assert_int_equal(error_of(frames[i]), ERR_HEADLAMP_FRAME);
}

/* All kernels and the naive reader agree about text, which is q's opening quote and what follows.
 */
static void same_everywhere(const struct quoted_moves *moves, const char *text, size_t n)
{
	struct span d = doc_bytes(text, n);
	char *out[QUOTED_KERNELS];
	size_t length[QUOTED_KERNELS], taken[QUOTED_KERNELS];
	bool ok[QUOTED_KERNELS];
	for (int k = 0; k < QUOTED_KERNELS; k++) {
		quoted_fn f = quoted_of((enum quoted_kernel)k);
		out[k] = malloc(n + QUOTED_SLACK);
		struct quoted q = {d.p + 1, d.p + n, out[k]};
		ok[k] = f ? f(&q, moves) : ok[0];
		length[k] = f ? (size_t)(q.to - out[k]) : length[0];
		taken[k] = f ? (size_t)(q.p - d.p) : taken[0];
		if (!f)
			memcpy(out[k], out[0], length[0]);
		assert_int_equal(ok[k], ok[0]);
		if (ok[0]) {
			assert_int_equal(length[k], length[0]);
			assert_int_equal(taken[k], taken[0]);
			assert_memory_equal(out[k], out[0], length[0]);
		}
	}
	struct naive *tree = ok[0] ? naive_parse((struct span){d.p, taken[0]}, 8) : NULL;
	if (ok[0]) {
		assert_non_null(tree);
		assert_int_equal(tree->text_n, length[0]);
		assert_memory_equal(tree->text, out[0], length[0]);
	} else {
		for (size_t cut = 2; cut <= n; cut++) /* no prefix is a string */
			if (d.p[cut - 1] == '"')
				assert_null(naive_parse((struct span){d.p, cut}, 8));
	}
	naive_free(tree);
	for (int k = 0; k < QUOTED_KERNELS; k++)
		free(out[k]);
	doc_free(&d);
}

static void all_kernels_agree_on_random_strings(void **state)
{
	(void)state;
	static const char *const pieces[] = {"\\\"", "\\\\", "\\/", "\\n", "\\u0026", "\\ud83d",
	        "\\ude00", "\\u00e9", "a", "bcdefgh", "/", "\"type\"", "0123456789abcdef", " ",
	        "\\t", "\xC3\xA9", "\\\\\\\\\\\\", "{}", ":", "\\", "\x1f", "\\x", "\\u00g0",
	        "\x7f"};
	static struct quoted_moves moves;
	quoted_moves_init(&moves);
	struct prng r = {7};
	for (int round = 0; round < 30000; round++) {
		char text[512] = "\"";
		size_t n = 1, aim = prng_below(&r, 300);
		/* Often only what is good; the quotes of a piece end the string early. */
		size_t kinds = round % 8 ? (round % 2 ? 16 : 11) : ARRAY_LEN(pieces);
		while (n < aim) {
			const char *piece = pieces[prng_below(&r, kinds)];
			if (round % 2 && *piece == '"')
				continue;
			memcpy(text + n, piece, strlen(piece));
			n += strlen(piece);
		}
		if (round % 5)
			text[n++] = '"';
		same_everywhere(&moves, text, n);
	}
}

/* Each special thing at each place of two blocks, with each number of backslashes before it. */
static void all_kernels_agree_at_every_place(void **state)
{
	(void)state;
	static const char *const things[] = {
	        "\"", "\\n", "\\u0041", "\\ud83d\\ude00", "\n", "x", ""};
	static struct quoted_moves moves;
	quoted_moves_init(&moves);
	for (size_t t = 0; t < ARRAY_LEN(things); t++) {
		for (size_t at = 1; at < 140; at++) {
			for (size_t slashes = 0; slashes < 4; slashes++) {
				char text[256];
				memset(text, 'a', sizeof text);
				text[0] = '"';
				memset(text + at, '\\', slashes);
				size_t n = at + slashes;
				memcpy(text + n, things[t], strlen(things[t]));
				n += strlen(things[t]);
				same_everywhere(&moves, text, n);
				text[n + 30] = '"';
				same_everywhere(&moves, text, n + 31);
			}
		}
	}
}

static void data_is_right_at_every_alignment(void **state)
{
	(void)state;
	const char *frame = vectors[2].frame;
	size_t n = strlen(frame);
	char *bytes = malloc(n + 64 + JSON_PADDING);
	for (size_t shift = 0; shift < 64; shift++) {
		struct envelope e;
		memcpy(bytes + shift, frame, n);
		memset(bytes + shift + n, '\\', JSON_PADDING);
		assert_int_equal(
		        envelope_read(reader, (struct span){bytes + shift, n}, &e, NULL), ERR_OK);
		assert_span(e.data, vectors[2].data);
	}
	free(bytes);
}

/* --- The object ----------------------------------------------------------------------------- */

static void members_may_be_in_any_order_and_escaped(void **state)
{
	(void)state;
	struct envelope e;
	struct span d;
	const char *frame =
	        " \t\r\n{ \"type\" : \"DATA\" , \"d\\u0061ta\":\"eA==\",\"binary\":true, "
	        "\"path\":\"/p\",\"clusterId\":\"\"} \n";
	assert_int_equal(read_bytes(frame, strlen(frame), &d, &e), ERR_OK);
	assert_int_equal(e.type, ENVELOPE_DATA);
	assert_span(e.data, "x");
	assert_span(e.path, "/p");
	assert_int_equal(e.user.n, 0);
	doc_free(&d);
}

#define WITH(member) "{\"clusterId\":\"c\"," member ",\"type\":\"WHAT\"}"

static void unknown_members_are_skipped(void **state)
{
	(void)state;
	static const char *const good[] = {WITH("\"x\":null"), WITH("\"x\":-0.5e+7,\"x\":[ ]"),
	        WITH("\"CLUSTERID\":1"), WITH("\"x\":{\"type\":{\"data\":[1,\"}\\\"]\",true,{}]}}"),
	        WITH("\"\":[[],[{\"a\":[false,null]},0]]"), WITH("\"\\u0000data\":{ }"),
	        WITH("\"dat\":1,\"data2\":2"), WITH("\"x\":1E9")};
	static const char *const bad[] = {WITH("\"x\":"), WITH("\"x\":01"), WITH("\"x\":1."),
	        WITH("\"x\":+1"), WITH("\"x\":.5"), WITH("\"x\":1e"), WITH("\"x\":nul"),
	        WITH("\"x\":nulll"), WITH("\"x\":[1,]"), WITH("\"x\":[,1]"), WITH("\"x\":{\"a\"}"),
	        WITH("\"x\":{1:2}"), WITH("\"x\":{\"a\":1,}"), WITH("\"x\":[}"), WITH("\"x\":{]"),
	        WITH("\"x\":[1 2]"), WITH("\"x\" 1"), WITH("x:1"), WITH("\"x\":'a'"),
	        WITH("\"x\":-"), WITH("\"x\":\"\\q\"")};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(error_of(good[i]), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(error_of(bad[i]), ERR_HEADLAMP_FRAME);
}

static void depth_is_bounded(void **state)
{
	(void)state;
	for (size_t depth = JSON_DEPTH_MAX - 2; depth <= JSON_DEPTH_MAX; depth++) {
		char frame[4096];
		size_t n = (size_t)snprintf(frame, sizeof frame, "{\"clusterId\":\"c\",\"x\":");
		for (size_t i = 0; i < depth; i++) {
			memcpy(frame + n, i % 2 ? "{\"a\":" : "[", i % 2 ? 5 : 1);
			n += i % 2 ? 5 : 1;
		}
		frame[n++] = '1';
		for (size_t i = depth; i-- > 0;)
			frame[n++] = i % 2 ? '}' : ']';
		snprintf(frame + n, sizeof frame - n, ",\"type\":\"DATA\"}");
		assert_int_equal(
		        error_of(frame), depth < JSON_DEPTH_MAX ? ERR_OK : ERR_HEADLAMP_FRAME);
	}
}

static void what_is_no_envelope_is_refused(void **state)
{
	(void)state;
	static const char *const frames[] = {"", " ", "null", "[]", "\"\"",
	        "{\"clusterId\":\"c\",\"type\":\"DATA\"}x",
	        "{\"clusterId\":\"c\",\"type\":\"DATA\"}{}",
	        "{\"clusterId\":\"c\",\"type\":\"DATA\",}",
	        "{\"clusterId\":\"c\" \"type\":\"DATA\"}",
	        "{,\"clusterId\":\"c\",\"type\":\"DATA\"}", "{\"clusterId\":1,\"type\":\"DATA\"}",
	        "{\"clusterId\":\"c\",\"type\":null}", WITH("\"data\":{}"), WITH("\"data\":7"),
	        WITH("\"data\":null"), WITH("\"query\":[]"), WITH("\"binary\":\"true\""),
	        WITH("\"binary\":1"), WITH("\"userId\":true"), WITH("\"data\":\"\",\"data\":\"\""),
	        WITH("\"d\\u0061ta\":\"\",\"data\":\"\""), WITH("\"clusterId\":\"c\""),
	        WITH("\"type\":\"DATA\""), WITH("\"binary\":true,\"binary\":true"),
	        "{\"clusterId\":\"c\",\"error\":7}"};
	for (size_t i = 0; i < ARRAY_LEN(frames); i++)
		assert_int_equal(error_of(frames[i]), ERR_HEADLAMP_FRAME);
}

/* The mux finds nobody for it. */
static void what_lacks_a_member_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *frame, *cluster;
		enum envelope_type type;
	} cases[] = {{"{}", "", ENVELOPE_OTHER}, {"{\"clusterId\":\"c\"}", "c", ENVELOPE_OTHER},
	        {"{\"clusterId\":\"c\",\"path\":\"/p\",\"data\":\"x\"}", "c", ENVELOPE_OTHER},
	        {"{\"type\":\"DATA\"}", "", ENVELOPE_DATA},
	        {"{\"clusterID\":\"c\",\"type\":\"STATUS\"}", "", ENVELOPE_STATUS},
	        {"{\"error\":\"no\"}", "", ENVELOPE_ERROR}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct envelope e;
		struct span d;
		assert_int_equal(
		        read_bytes(cases[i].frame, strlen(cases[i].frame), &d, &e), ERR_OK);
		assert_int_equal(e.type, cases[i].type);
		assert_span(e.cluster, cases[i].cluster);
		assert_int_equal(e.user.n, 0);
		doc_free(&d);
	}
}

/* What a Headlamp before 0.43 sends. */
static void an_older_backend_has_errors_without_a_type(void **state)
{
	(void)state;
	static const char frame[] = "{\"clusterId\":\"c1\",\"error\":\"dialing WebSocket: \"}\n",
	                  typed[] = "{\"clusterId\":\"c1\",\"error\":\"x\",\"type\":\"DATA\","
	                            "\"data\":\"y\"}";
	struct envelope e;
	struct span d;
	assert_int_equal(read_bytes(frame, sizeof frame - 1, &d, &e), ERR_OK);
	assert_int_equal(e.type, ENVELOPE_ERROR);
	assert_span(e.cluster, "c1");
	assert_span(e.data, "dialing WebSocket: ");
	assert_span(envelope_error(reader, &e), "dialing WebSocket: ");
	doc_free(&d);
	assert_int_equal(read_bytes(typed, sizeof typed - 1, &d, &e), ERR_OK);
	assert_int_equal(e.type, ENVELOPE_DATA);
	assert_span(e.data, "y");
	doc_free(&d);
}

static void binary_data_is_decoded(void **state)
{
	(void)state;
#define BINARY(data) "{\"clusterId\":\"c\",\"binary\":true,\"data\":\"" data "\",\"type\":\"DATA\"}"
	static const struct {
		const char *frame, *want;
		size_t n;
	} good[] = {{BINARY(""), "", 0}, {BINARY("AA=="), "\0", 1}, {BINARY("YWI="), "ab", 2},
	        {BINARY("YWJj"), "abc", 3}, {BINARY("+\\/v+"), "\xFB\xFB\xFE", 3},
	        {BINARY("YWJjZA=="), "abcd", 4},
	        /* what the last digit has too much means nothing, as in Go */
	        {BINARY("AB=="), "\0", 1}, {BINARY("AAB="), "\0\0", 2}};
	static const char *const bad[] = {BINARY("A"), BINARY("AA"), BINARY("AAA"), BINARY("===="),
	        BINARY("A==="), BINARY("AA=A"), BINARY("A-AA"), BINARY("AA==AAAA"), BINARY("AAA "),
	        BINARY("\xFF\xFF\xFF\xFF")};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		data_is(good[i].frame, good[i].want, good[i].n);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(error_of(bad[i]), ERR_HEADLAMP_FRAME);
	data_is("{\"clusterId\":\"c\",\"binary\":false,\"data\":\"A\",\"type\":\"DATA\"}", "A", 1);
}

static void data_has_a_limit(void **state)
{
	(void)state;
	static const char *const pieces[] = {"a", "\\\"", "\\u0041"};
	for (size_t kind = 0; kind < ARRAY_LEN(pieces); kind++) {
		for (size_t over = 0; over < 2; over++) {
			size_t step = strlen(pieces[kind]), n = 0;
			char *frame = malloc(DATA_MAX * 6 + 100);
			n += (size_t)sprintf(frame, "{\"clusterId\":\"c\",\"data\":\"");
			for (size_t i = 0; i < DATA_MAX + over; i++, n += step)
				memcpy(frame + n, pieces[kind], step);
			n += (size_t)sprintf(frame + n, "\",\"type\":\"DATA\"}");
			struct envelope e;
			struct span d;
			assert_int_equal(
			        read_bytes(frame, n, &d, &e), over ? ERR_JSON_LIMIT : ERR_OK);
			assert_int_equal(e.data.n, over ? 0 : DATA_MAX);
			doc_free(&d);
			free(frame);
		}
	}
}

static void a_message_that_must_be_over_the_limit_is_not_read(void **state)
{
	(void)state;
	struct envelope_reader *small = envelope_reader_new(1);
	struct envelope e;
	size_t n = (1 << 20) + 12;
	char *bytes = malloc(n + JSON_PADDING);
	memset(bytes, 'x', n + JSON_PADDING);
	assert_int_equal(envelope_read(small, (struct span){bytes, n}, &e, NULL), ERR_JSON_LIMIT);
	assert_int_equal(
	        envelope_read(small, (struct span){bytes, n - 6}, &e, NULL), ERR_HEADLAMP_FRAME);
	free(bytes);
	envelope_reader_free(&small);
}

/* --- Writing -------------------------------------------------------------------------------- */

static void requests_are_written_as_recorded(void **state)
{
	(void)state;
	char out[256];
	struct envelope_request q = {SPAN("admin"), SPAN("/api/v1/namespaces/demo/configmaps"),
	        SPAN("watch=1&resourceVersion=306"), SPAN("u1"), false};
	static const char request[] =
	        "{\"clusterId\":\"admin\",\"path\":\"/api/v1/namespaces/demo/"
	        "configmaps\",\"query\":"
	        "\"watch=1&resourceVersion=306\",\"userId\":\"u1\",\"type\":\"REQUEST\"}";
	assert_span(((struct span){out, envelope_write(&q, out, sizeof out)}), request);
	for (size_t cap = 0; cap < sizeof request - 1; cap++)
		assert_int_equal(envelope_write(&q, out, cap), 0);
	assert_int_equal(envelope_write(&q, out, sizeof request - 1), sizeof request - 1);
	q.close = true;
	assert_span(((struct span){out, envelope_write(&q, out, sizeof out)}),
	        "{\"clusterId\":\"admin\",\"path\":\"/api/v1/namespaces/demo/"
	        "configmaps\",\"query\":"
	        "\"watch=1&resourceVersion=306\",\"userId\":\"u1\",\"type\":\"CLOSE\"}");
}

static void what_is_written_can_be_read(void **state)
{
	(void)state;
	char out[512];
	static const char odd[] = "a\"b\\c\n\x01\x1f\x7f/<\xC3\xA9";
	struct envelope_request q = {SPAN(odd), SPAN(""), SPAN_NONE, SPAN("\"\""), false};
	size_t n = envelope_write(&q, out, sizeof out);
	assert_span(((struct span){out, n}),
	        "{\"clusterId\":\"a\\\"b\\\\c\\u000a\\u0001\\u001f\x7f/<\xC3\xA9\",\"path\":\"\","
	        "\"query\":\"\",\"userId\":\"\\\"\\\"\",\"type\":\"REQUEST\"}");
	struct envelope e;
	struct span d;
	assert_int_equal(read_bytes(out, n, &d, &e), ERR_OK);
	assert_span(e.cluster, odd);
	assert_span(e.user, "\"\"");
	doc_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(recorded_frames_are_read),
	        cmocka_unit_test(every_truncation_is_refused),
	        cmocka_unit_test(a_status_tells_its_state),
	        cmocka_unit_test(a_status_that_says_something_else_is_unknown),
	        cmocka_unit_test(an_error_tells_its_text),
	        cmocka_unit_test(the_document_inside_can_be_scanned_in_place),
	        cmocka_unit_test(every_escape_is_resolved),
	        cmocka_unit_test(a_lone_surrogate_becomes_a_replacement),
	        cmocka_unit_test(broken_strings_are_refused),
	        cmocka_unit_test(all_kernels_agree_on_random_strings),
	        cmocka_unit_test(all_kernels_agree_at_every_place),
	        cmocka_unit_test(data_is_right_at_every_alignment),
	        cmocka_unit_test(members_may_be_in_any_order_and_escaped),
	        cmocka_unit_test(unknown_members_are_skipped),
	        cmocka_unit_test(depth_is_bounded),
	        cmocka_unit_test(what_is_no_envelope_is_refused),
	        cmocka_unit_test(what_lacks_a_member_is_read),
	        cmocka_unit_test(an_older_backend_has_errors_without_a_type),
	        cmocka_unit_test(binary_data_is_decoded),
	        cmocka_unit_test(data_has_a_limit),
	        cmocka_unit_test(a_message_that_must_be_over_the_limit_is_not_read),
	        cmocka_unit_test(requests_are_written_as_recorded),
	        cmocka_unit_test(what_is_written_can_be_read),
	};
	return cmocka_run_group_tests(tests, open_reader, close_reader);
}
