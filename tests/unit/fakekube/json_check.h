/* json_check.h - is this one JSON document? RFC 8259 with UTF-8 checked; no recursion. For the
 * model's own output. */
#ifndef KR_UNIT_FAKEKUBE_JSON_CHECK_H
#define KR_UNIT_FAKEKUBE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline size_t json_string(const char *p, size_t n)
{
	if (n == 0 || p[0] != '"')
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if (c == '"')
			return i + 1;
		if (c < 0x20)
			return 0;
		if (c == '\\') {
			i++;
			if (i == n || !strchr("\"\\/bfnrtu", p[i]))
				return 0;
			if (p[i] == 'u' &&
			        (n - i < 5 || strspn(p + i + 1, "0123456789abcdefABCDEF") < 4))
				return 0;
		} else if (c >= 0x80) {
			size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
			if (c < 0xc2 || c > 0xf4 || i + more >= n)
				return 0;
			for (size_t k = 1; k <= more; k++)
				if (((unsigned char)p[i + k] & 0xc0) != 0x80)
					return 0;
			i += more;
		}
	}
	return 0;
}

static inline size_t json_scalar(const char *p, size_t n)
{
	static const char *const words[] = {"true", "false", "null"};
	for (size_t i = 0; i < 3; i++)
		if (n >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
			return strlen(words[i]);
	size_t i = n && p[0] == '-', from = i;
	while (i < n && strchr("0123456789", p[i]) && p[i])
		i++;
	if (i == from || (p[from] == '0' && i > from + 1))
		return 0;
	if (i + 1 < n && p[i] == '.')
		for (i++; i < n && strchr("0123456789", p[i]) && p[i];)
			i++;
	return i;
}

/* Bytes of the first document of the text; 0: it is not one. */
static inline size_t json_document(const char *p, size_t n)
{
	enum { VALUE, KEY, AFTER } want = VALUE;
	char stack[2048];
	size_t depth = 0, i = 0;
	bool first = true; /* right behind an opening bracket */
	do {
		if (i >= n)
			return 0;
		bool object = depth && stack[depth - 1] == '{';
		if (want != VALUE && depth && p[i] == (object ? '}' : ']') &&
		        (want == AFTER || first)) {
			depth--;
			i++;
			want = AFTER;
		} else if (want == VALUE && depth && !object && first && p[i] == ']') {
			depth--;
			i++;
			want = AFTER;
		} else if (want == AFTER) {
			if (p[i++] != ',')
				return 0;
			want = object ? KEY : VALUE;
			first = false;
			continue;
		} else if (want == KEY) {
			size_t k = json_string(p + i, n - i);
			if (!k || i + k >= n || p[i + k] != ':')
				return 0;
			i += k + 1;
			want = VALUE;
			first = false;
			continue;
		} else if (p[i] == '{' || p[i] == '[') {
			if (depth == sizeof stack)
				return 0;
			stack[depth++] = p[i++];
			want = stack[depth - 1] == '{' ? KEY : VALUE;
			first = true;
			continue;
		} else {
			size_t k =
			        p[i] == '"' ? json_string(p + i, n - i) : json_scalar(p + i, n - i);
			if (!k)
				return 0;
			i += k;
			want = AFTER;
		}
		first = false;
	} while (depth);
	return i;
}

#endif
