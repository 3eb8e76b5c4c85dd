/* json_list_*: splits the body of a LIST into items while it streams in.
 *
 * Only the outermost level is read byte by byte here; it has a dozen tokens and a comma per item.
 * An item is found by counting brackets (brackets.h) and is read by json_scan_object later. All
 * other values (metadata, kind, ...) are small: they are collected whole and read with tokens.h. So
 * everything in the body is checked once, wherever it is cut into pieces.
 *
 *   START -{-> KEY_OR_END -"-> IN_KEY -"-> COLON -:-> VALUE -> IN_VALUE -> NEXT -}-> DONE
 *                                                      |                    | ^
 *                                                      "items": [           , |
 *                                                      v                    v |
 *                                            ITEM_OR_END -{-> IN_ITEM -}-> ITEM_NEXT (, -> ITEM)
 */
#include "json/json.h"

#include "base/check.h"
#include "json/brackets.h"
#include "json/member.h"
#include "json/tokens.h"
#include "json/unescape.h"

#include <stdlib.h>

/* Of a key or of a value that is no item: metadata with a continue token has some hundred bytes. */
enum { LIST_VALUE_BYTES_MAX = 1 << 18 };
/* Of the body itself, which has four: each is read as two documents, at 100 times the cost of the
 * bytes of an item. */
enum { LIST_MEMBERS_MAX = 1024 };

enum list_state {
	LIST_START,      /* white space, then { */
	LIST_KEY_OR_END, /* behind { */
	LIST_KEY,        /* behind , */
	LIST_IN_KEY,
	LIST_COLON,
	LIST_VALUE,
	LIST_IN_BRACKETS, /* of a value that is an object or array */
	LIST_IN_STRING,
	LIST_IN_SCALAR,
	LIST_NEXT,        /* behind a value */
	LIST_ITEM_OR_END, /* behind [ */
	LIST_ITEM,        /* behind , */
	LIST_IN_ITEM,
	LIST_ITEM_NEXT, /* behind an item */
	LIST_DONE,      /* behind the last } */
	LIST_FAILED,
};

struct list_buffer {
	char *p; /* own: JSON_PADDING bytes more than capacity */
	size_t n, capacity;
};

/* Owner: one listing of a watch. Thread: its reactor. Life: new to free; reset between pages. */
struct json_list {
	enum list_state state;
	err_t err;
	enum member_name key; /* of the value being read */
	bool string_escaped;  /* LIST_IN_KEY, LIST_IN_STRING: behind a backslash */
	uint32_t seen;        /* bits of member_name */
	uint32_t members;     /* of the body, so far */
	struct brackets brackets;
	size_t item_bytes_max;
	struct list_buffer carry;          /* the unfinished key, value or item */
	struct list_buffer kind, metadata; /* their values; meta points into them */
	struct tokens tokens;
	struct json_list_meta meta;
};

/* --- life ----------------------------------------------------------------------------------- */

struct json_list *json_list_new(size_t item_bytes_max)
{
	struct json_list *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->item_bytes_max = item_bytes_max < TOKENS_BYTES_MAX ? item_bytes_max : TOKENS_BYTES_MAX;
	if (tokens_init(&s->tokens, 0, TOKENS_KERNEL_BEST)) {
		free(s);
		return NULL;
	}
	json_list_reset(s);
	return s;
}

void json_list_free(struct json_list **s)
{
	if (!*s)
		return;
	tokens_fini(&(*s)->tokens);
	free((*s)->carry.p);
	free((*s)->metadata.p);
	free((*s)->kind.p);
	free(*s);
	*s = NULL;
}

void json_list_reset(struct json_list *s)
{
	s->state = LIST_START;
	s->err = ERR_OK;
	s->seen = s->members = 0;
	s->carry.n = s->kind.n = s->metadata.n = 0;
	s->meta = (struct json_list_meta){0};
	/* Here they are only counted. Who reads the item may leave it out, if it is too deep. */
	brackets_init(&s->brackets, JSON_FLATTEN_DEPTH_MAX, BRACKETS_KERNEL_BEST);
}

err_t json_list_err(const struct json_list *s)
{
	return s->err;
}
void json_list_meta(const struct json_list *s, struct json_list_meta *out)
{
	*out = s->meta;
}

static bool append(struct list_buffer *b, const char *p, size_t n)
{
	if (b->capacity - b->n < n || !b->p) {
		size_t capacity = b->capacity < 4096 ? 4096 : b->capacity * 2;
		while (capacity - b->n < n)
			capacity *= 2;
		char *grown = realloc(b->p, capacity + JSON_PADDING);
		if (!grown)
			return false;
		b->p = grown;
		b->capacity = capacity;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return true;
}

/* --- what a whole key or value means -------------------------------------------------------- */

/* Reads the carry as a document of its own. */
static err_t read_carry(struct json_list *s)
{
	memset(s->carry.p + s->carry.n, ' ', JSON_PADDING);
	return tokens_read(&s->tokens, (struct span){s->carry.p, s->carry.n});
}

static const uint32_t wanted_of_list =
        1u << MEMBER_KIND | 1u << MEMBER_METADATA | 1u << MEMBER_ITEMS;

static err_t on_key(struct json_list *s)
{
	if (s->members++ == LIST_MEMBERS_MAX)
		return ERR_JSON_LIMIT;
	err_t e = read_carry(s);
	if (e)
		return e;
	struct span raw = tokens_string(&s->tokens, 0);
	s->key = member_name_of(raw, tokens_escaped(&s->tokens, raw));
	uint32_t bit = 1u << s->key & wanted_of_list;
	if (s->seen & bit)
		return ERR_JSON_SHAPE;
	s->seen |= bit;
	return ERR_OK;
}

/* A string of the carry, of which `kept` is a copy: its text goes there. null is empty. */
static err_t take_text(struct json_list *s, struct list_buffer *kept, uint32_t at, size_t bytes_max,
        struct span *out)
{
	const struct tokens *t = &s->tokens;
	if (member_is_null(t, at))
		return ERR_OK;
	if (t->code[at] != TOKEN_STRING)
		return ERR_JSON_SHAPE;
	struct span raw = tokens_string(t, at);
	char *text = kept->p + (raw.p - t->doc.p);
	bool lone = false;
	size_t n = tokens_escaped(t, raw) ? unescape(text, raw, &lone) : raw.n;
	*out = (struct span){text, n};
	return lone || n > bytes_max || memchr(text, '\0', n) ? ERR_JSON_SHAPE : ERR_OK;
}

static const uint32_t wanted_of_metadata = 1u << MEMBER_RESOURCE_VERSION | 1u << MEMBER_CONTINUE;

static err_t take_metadata(struct json_list *s)
{
	const struct tokens *t = &s->tokens;
	struct json_list_meta *meta = &s->meta;
	if (member_is_null(t, 0))
		return ERR_OK;
	if (t->code[0] != TOKEN_OBJECT)
		return ERR_JSON_SHAPE;
	err_t e = ERR_OK;
	uint32_t seen = 0;
	for (struct member m = member_first(0); !e && member_next(t, &m);) {
		uint32_t bit = 1u << m.name & wanted_of_metadata;
		if (seen & bit)
			return ERR_JSON_SHAPE;
		seen |= bit;
		if (m.name == MEMBER_RESOURCE_VERSION)
			e = take_text(s, &s->metadata, m.value, JSON_VERSION_MAX,
			        &meta->resource_version);
		else if (m.name == MEMBER_CONTINUE)
			e = take_text(
			        s, &s->metadata, m.value, LIST_VALUE_BYTES_MAX, &meta->continue_);
	}
	return e;
}

static err_t on_value(struct json_list *s)
{
	err_t e = read_carry(s);
	if (e)
		return e;
	struct list_buffer *kept = s->key == MEMBER_KIND       ? &s->kind
	                           : s->key == MEMBER_METADATA ? &s->metadata
	                                                       : NULL;
	if (kept && !append(kept, s->carry.p, s->carry.n))
		return ERR_NO_MEMORY;
	switch (s->key) {
	case MEMBER_KIND: return take_text(s, kept, 0, JSON_KIND_MAX, &s->meta.kind);
	case MEMBER_METADATA: return take_metadata(s);
	case MEMBER_ITEMS: return member_is_null(&s->tokens, 0) ? ERR_OK : ERR_JSON_SHAPE;
	default: return ERR_OK;
	}
}

/* --- the automaton -------------------------------------------------------------------------- */

static err_t fail(struct json_list *s, err_t e)
{
	s->state = LIST_FAILED;
	return s->err = e;
}

static err_t enter(struct json_list *s, enum list_state state)
{
	s->state = state;
	return ERR_OK;
}

/* The first byte of something that is collected: it is taken by the state that collects. */
static err_t enter_carry(struct json_list *s, enum list_state state, bool *taken)
{
	*taken = false;
	s->carry.n = 0;
	s->string_escaped = false;
	return enter(s, state);
}

static err_t enter_key(struct json_list *s, char c, bool *taken)
{
	return c == '"' ? enter_carry(s, LIST_IN_KEY, taken) : ERR_JSON_SYNTAX;
}

static err_t enter_item(struct json_list *s, char c, bool *taken)
{
	if (c == '{')
		return enter_carry(s, LIST_IN_ITEM, taken);
	return c && strchr("[\"-0123456789tfn", c) ? ERR_JSON_SHAPE : ERR_JSON_SYNTAX;
}

static err_t enter_value(struct json_list *s, char c, bool *taken)
{
	if (c == '{' || c == '[')
		return enter_carry(s, LIST_IN_BRACKETS, taken);
	if (c == '"')
		return enter_carry(s, LIST_IN_STRING, taken);
	if (c && strchr("-0123456789tfn", c))
		return enter_carry(s, LIST_IN_SCALAR, taken);
	return ERR_JSON_SYNTAX;
}

/* A byte of the outermost level that is no white space. *taken: false if it belongs to what comes
 * next. */
static err_t on_byte(struct json_list *s, char c, bool *taken)
{
	switch (s->state) {
	case LIST_START: return c == '{' ? enter(s, LIST_KEY_OR_END) : ERR_JSON_SYNTAX;
	case LIST_KEY_OR_END: return c == '}' ? enter(s, LIST_DONE) : enter_key(s, c, taken);
	case LIST_KEY: return enter_key(s, c, taken);
	case LIST_COLON: return c == ':' ? enter(s, LIST_VALUE) : ERR_JSON_SYNTAX;
	case LIST_VALUE:
		s->meta.saw_items |= s->key == MEMBER_ITEMS;
		if (s->key == MEMBER_ITEMS && c == '[')
			return enter(s, LIST_ITEM_OR_END);
		return enter_value(s, c, taken);
	case LIST_NEXT:
		if (c == '}')
			return enter(s, LIST_DONE);
		return c == ',' ? enter(s, LIST_KEY) : ERR_JSON_SYNTAX;
	case LIST_ITEM_OR_END: return c == ']' ? enter(s, LIST_NEXT) : enter_item(s, c, taken);
	case LIST_ITEM: return enter_item(s, c, taken);
	case LIST_ITEM_NEXT:
		if (c == ']')
			return enter(s, LIST_NEXT);
		return c == ',' ? enter(s, LIST_ITEM) : ERR_JSON_SYNTAX;
	default: return ERR_JSON_SYNTAX; /* LIST_DONE: something behind the end */
	}
}

/* How much of p belongs to the string or scalar being collected; *whole: and it ends there. */
static size_t collect(struct json_list *s, const char *p, size_t n, bool *whole)
{
	size_t i = 0;
	if (s->state == LIST_IN_SCALAR) {
		while (i < n && !tokens_is_space(p[i]) && p[i] != ',' && p[i] != '}' && p[i] != ']')
			i++;
		*whole = i < n;
		return i;
	}
	bool opened = s->carry.n > 0; /* the opening quote is the first byte */
	while (i < n) {
		char c = p[i++];
		if (s->string_escaped)
			s->string_escaped = false;
		else if (c == '\\')
			s->string_escaped = true;
		else if (c == '"' && opened) {
			*whole = true;
			return i;
		}
		opened = true;
	}
	return i;
}

/* A part of a key or of a value that is no item. */
static err_t on_part(struct json_list *s, struct span data, size_t *taken)
{
	bool whole = false;
	size_t room = LIST_VALUE_BYTES_MAX - s->carry.n;
	size_t n = data.n < room ? data.n : room;
	if (n == 0)
		return ERR_JSON_LIMIT;
	if (s->state == LIST_IN_BRACKETS) {
		enum brackets_result r = brackets_run(&s->brackets, data.p, n, taken);
		if (r == BRACKETS_DEEP)
			return ERR_JSON_DEPTH;
		whole = r == BRACKETS_CLOSED;
	} else {
		*taken = collect(s, data.p, n, &whole);
	}
	if (!append(&s->carry, data.p, *taken))
		return ERR_NO_MEMORY;
	if (!whole)
		return ERR_OK;
	bool is_key = s->state == LIST_IN_KEY;
	s->state = is_key ? LIST_COLON : LIST_NEXT;
	return is_key ? on_key(s) : on_value(s);
}

/* A part of an item. *item is set when it is whole. */
static err_t on_item(struct json_list *s, struct span data, size_t *taken, struct span *item)
{
	size_t room = s->item_bytes_max - s->carry.n;
	size_t n = data.n < room ? data.n : room;
	if (n == 0)
		return ERR_JSON_LIMIT;
	enum brackets_result r = brackets_run(&s->brackets, data.p, n, &n);
	*taken = n;
	if (r == BRACKETS_DEEP)
		return ERR_JSON_DEPTH;
	bool whole = r == BRACKETS_CLOSED;
	if (whole)
		s->state = LIST_ITEM_NEXT;
	if (whole && s->carry.n == 0) {
		*item = (struct span){data.p, n};
		return ERR_OK;
	}
	if (!append(&s->carry, data.p, n))
		return ERR_NO_MEMORY;
	if (whole)
		*item = (struct span){s->carry.p, s->carry.n};
	return ERR_OK;
}

static err_t step(struct json_list *s, struct span data, size_t *taken, struct span *item)
{
	switch (s->state) {
	case LIST_IN_KEY:
	case LIST_IN_STRING:
	case LIST_IN_SCALAR:
	case LIST_IN_BRACKETS: return on_part(s, data, taken);
	case LIST_IN_ITEM: return on_item(s, data, taken, item);
	default: break;
	}
	if (tokens_is_space(data.p[0])) {
		*taken = 1;
		return ERR_OK;
	}
	bool is_taken = true;
	err_t e = on_byte(s, data.p[0], &is_taken);
	*taken = is_taken;
	return e;
}

enum json_list_result json_list_feed(struct json_list *s, struct span *data, struct span *item)
{
	*item = SPAN_NONE;
	while (s->state != LIST_FAILED && data->n) {
		size_t taken = 0;
		err_t e = step(s, *data, &taken, item);
		data->p += taken;
		data->n -= taken;
		if (e)
			fail(s, e);
		else if (item->p)
			return JSON_LIST_ITEM;
	}
	if (s->state == LIST_FAILED)
		return JSON_LIST_ERROR;
	return s->state == LIST_DONE ? JSON_LIST_END : JSON_LIST_MORE;
}
