#include "model/model_json.h"

#define DEPTH_MAX 1000

static void white(struct model_json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
		j->p++;
}

char model_json_peek(struct model_json *j)
{
	white(j);
	return j->p < j->end ? *j->p : 0;
}

bool model_json_at_end(struct model_json *j)
{
	white(j);
	return j->p == j->end;
}

static bool take(struct model_json *j, char c)
{
	if (model_json_peek(j) != c || j->p == j->end)
		return false;
	j->p++;
	return true;
}

static bool word(struct model_json *j, const char *w)
{
	size_t n = strlen(w);
	if ((size_t)(j->end - j->p) < n || memcmp(j->p, w, n) != 0)
		return false;
	j->p += n;
	return true;
}

bool model_json_null(struct model_json *j)
{
	white(j);
	return word(j, "null");
}

/* --- strings --- */

/* What stands for itself in a string, read or written: most of any. */
static bool plain(unsigned char c)
{
	static const uint8_t others[256] = {[0 ... 0x1f] = 1,
	        ['"'] = 1,
	        ['\\'] = 1,
	        ['<'] = 1,
	        ['>'] = 1,
	        ['&'] = 1,
	        [0x80 ... 0xff] = 1};
	return !others[c];
}

static size_t plain_run(const char *p, size_t n)
{
	size_t i = 0;
	while (i < n && plain((unsigned char)p[i]))
		i++;
	return i;
}

/* Bytes of the character of UTF-8 that begins there; 0: it is none (RFC 3629 4). */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char from, to, second_from, second_to;
		size_t bytes;
	} rows[] = {{0x00, 0x7f, 0, 0, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
	        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
	        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (p[0] < rows[i].from || p[0] > rows[i].to)
			continue;
		if (rows[i].bytes > n)
			return 0;
		if (rows[i].bytes > 1 && (p[1] < rows[i].second_from || p[1] > rows[i].second_to))
			return 0;
		for (size_t k = 2; k < rows[i].bytes; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return rows[i].bytes;
	}
	return 0;
}

static void put_rune(struct model_text *t, uint32_t c)
{
	char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = n; i-- > 1; c >>= 6)
		b[i] = (char)(0x80 | (c & 0x3f));
	b[0] = (char)(lead[n] | c);
	if (t)
		model_text_put(t, b, n);
}

static bool hex4(struct model_json *j, uint32_t *out)
{
	*out = 0;
	if (j->end - j->p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *j->p++;
		uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
		             : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
		             : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
		                                    : 16;
		if (d == 16)
			return false;
		*out = *out << 4 | d;
	}
	return true;
}

/* After \u. Half a pair becomes U+FFFD, as in Go. */
static bool unicode(struct model_json *j, struct model_text *out)
{
	uint32_t c, low;
	if (!hex4(j, &c))
		return false;
	if (c >= 0xd800 && c < 0xdc00) {
		struct model_json ahead = *j;
		if (word(&ahead, "\\u") && hex4(&ahead, &low) && low >= 0xdc00 && low < 0xe000) {
			*j = ahead;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	put_rune(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return true;
}

static bool escape(struct model_json *j, struct model_text *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (j->p == j->end)
		return false;
	char c = *j->p++;
	if (c == 'u')
		return unicode(j, out);
	const char *at = c ? strchr(from, c) : NULL;
	if (at && out)
		model_text_put(out, to + (at - from), 1);
	return at != NULL;
}

bool model_json_string(struct model_json *j, struct model_text *out)
{
	if (!take(j, '"'))
		return false;
	while (j->p < j->end) {
		size_t run = plain_run(j->p, (size_t)(j->end - j->p));
		if (run && out)
			model_text_put(out, j->p, run);
		j->p += run;
		if (j->p == j->end)
			return false;
		unsigned char c = (unsigned char)*j->p;
		if (c == '"') {
			j->p++;
			return true;
		}
		if (c < 0x20)
			return false;
		if (c == '\\') {
			j->p++;
			if (!escape(j, out))
				return false;
			continue;
		}
		size_t n = utf8_length((const unsigned char *)j->p, (size_t)(j->end - j->p));
		if (n == 0)
			put_rune(out, 0xfffd);
		else if (out)
			model_text_put(out, j->p, n);
		j->p += n ? n : 1;
	}
	return false;
}

static void quote_ascii(struct model_text *t, unsigned char c)
{
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	const char *at = c ? memchr(from, c, sizeof from - 1) : NULL;
	if (at)
		model_text_put(t, (char[]){'\\', to[at - from]}, 2);
	else
		model_text_printf(t, "\\u%04x", c);
}

void model_json_quote(struct model_text *t, struct span s)
{
	size_t from = 0, n;
	TEXT_LIT(t, "\"");
	for (size_t i = plain_run(s.p, s.n); i < s.n; i += n, i += plain_run(s.p + i, s.n - i)) {
		unsigned char c = (unsigned char)s.p[i];
		n = c < 0x80 ? 1 : utf8_length((const unsigned char *)s.p + i, s.n - i);
		bool line = n == 3 && (memcmp(s.p + i, "\xe2\x80\xa8", 3) == 0 ||
		                              memcmp(s.p + i, "\xe2\x80\xa9", 3) == 0);
		bool ascii = c < 0x20 || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&';
		if (n && !line && !ascii)
			continue;
		model_text_put(t, s.p + from, i - from);
		if (ascii)
			quote_ascii(t, c);
		else
			model_text_str(t, n == 0           ? "\\ufffd"
			                  : s.p[i + 2] & 1 ? "\\u2029"
			                                   : "\\u2028");
		n = n ? n : 1;
		from = i + n;
	}
	model_text_put(t, s.p + from, s.n - from);
	TEXT_LIT(t, "\"");
}

/* --- values --- */

static bool digits(struct model_json *j)
{
	const char *from = j->p;
	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return j->p > from;
}

static bool number(struct model_json *j)
{
	if (j->p < j->end && *j->p == '-')
		j->p++;
	bool zero = j->p < j->end && *j->p == '0';
	const char *from = j->p;
	if (!digits(j) || (zero && j->p - from > 1))
		return false;
	if (j->p < j->end && *j->p == '.') {
		j->p++;
		if (!digits(j))
			return false;
	}
	if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
		j->p++;
		if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
			j->p++;
		return digits(j);
	}
	return true;
}

bool model_json_object(struct model_json *j, model_json_member_fn member, void *arg)
{
	if (j->depth >= DEPTH_MAX || !take(j, '{'))
		return false;
	if (take(j, '}'))
		return true;
	j->depth++;
	struct model_text key = {0};
	bool ok;
	do {
		key.n = 0;
		ok = model_json_string(j, &key) && take(j, ':') &&
		     member(arg, model_text_as_span(&key), j);
	} while (ok && take(j, ','));
	model_text_fini(&key);
	j->depth--;
	return ok && take(j, '}');
}

static bool skip_member(void *arg, struct span key, struct model_json *j)
{
	(void)arg;
	(void)key;
	return model_json_skip(j);
}

static bool skip_array(struct model_json *j)
{
	if (j->depth >= DEPTH_MAX || !take(j, '['))
		return false;
	if (take(j, ']'))
		return true;
	j->depth++;
	bool ok;
	do
		ok = model_json_skip(j);
	while (ok && take(j, ','));
	j->depth--;
	return ok && take(j, ']');
}

bool model_json_skip(struct model_json *j)
{
	switch (model_json_peek(j)) {
	case '{': return model_json_object(j, skip_member, NULL);
	case '[': return skip_array(j);
	case '"': return model_json_string(j, NULL);
	case 't': return word(j, "true");
	case 'f': return word(j, "false");
	case 'n': return word(j, "null");
	default: return number(j);
	}
}
