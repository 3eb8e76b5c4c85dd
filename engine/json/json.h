/* json.h - JSON: one call per document, plain structs of spans out.
 *
 * What it reads are watch events, list items, and small documents (Status, discovery,
 * ExecCredential). It never hands out a C++ type, never throws, never aborts. Inside: a checked
 * token list per document (tokens.h), on top of simdjson (json.cc, the only C++ file of the
 * project: compiled without exceptions and RTTI, and a test keeps unwinder symbols out) or of an
 * AVX-512 kernel of our own.
 *
 * Readable slack: every document handed in must have JSON_PADDING readable bytes behind it (their
 * content does not matter). The caller vouches for it; buffers of io/ and blocks of shm/ are laid
 * out so that it always holds.
 *
 * Validation: what is accepted is valid JSON (RFC 8259) from its first byte to its last: UTF-8,
 * grammar, escapes, numbers. What the store keeps is served to others, so it must be valid
 * everywhere, not just where we looked. There is no mode that checks less. Beyond the RFC: depth
 * <= JSON_DEPTH_MAX; a number too large for a double is refused; of two members with one name,
 * where the name means something to us, both are refused. A lone surrogate escape in any other
 * string than those is legal JSON and passes.
 */
#ifndef KR_JSON_JSON_H
#define KR_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum {
	JSON_PADDING = 64, /* equals SIMDJSON_PADDING: simd.h */
	JSON_DEPTH_MAX = 256,
	JSON_FLATTEN_DEPTH_MAX = 10000, /* what readers in Go take, API servers among them */
	/* DNS subdomains have 253 (RFC 1123), but names of roles and their bindings are segments of
	 * a path, to which an API server sets no limit, and so are those of some aggregated APIs.
	 */
	JSON_NAME_MAX = 2048,
	JSON_NAMESPACE_MAX = 63,
	JSON_UID_MAX = 255,      /* 36 from Kubernetes; other servers may print something else */
	JSON_VERSION_MAX = 1024, /* 20 digits from Kubernetes; opaque elsewhere */
	JSON_KIND_MAX = 320,     /* also apiVersion: a DNS subdomain, a slash and a label */
};

struct json_parser;

/* One per reactor (or per thread): not thread-safe. capacity: largest document it takes without
 * growing; it grows on demand up to limit_bytes, beyond which a document is ERR_JSON_LIMIT. NULL:
 * out of memory. */
struct json_parser *json_parser_new(size_t capacity, size_t limit_bytes);
void json_parser_free(struct json_parser **p);
/* How often the second reader (struct json_hint) read something else: anything but 0 is a bug of
 * ours or of simdjson. */
uint64_t json_parser_disputes(const struct json_parser *p);

enum json_event_type {
	JSON_EVENT_ADDED,
	JSON_EVENT_MODIFIED,
	JSON_EVENT_DELETED,
	JSON_EVENT_BOOKMARK,
	JSON_EVENT_ERROR
};

/* What the engine needs to know of one object. Spans point into the document (strings with escapes
 * are unescaped into the parser's own buffer); valid until the next call with this parser or until
 * the document's bytes go, whichever is first. In the strings there is no NUL and nothing that is
 * not UTF-8. An absent member, null and "" are the same: an empty span. */
struct json_object {
	struct span raw;               /* the object itself, from '{' to '}' */
	struct span kind, api_version; /* empty in items of typed lists */
	struct span name;              /* 1 to JSON_NAME_MAX bytes; may be empty in a bookmark */
	struct span namespace_;        /* at most JSON_NAMESPACE_MAX; empty: cluster-scoped */
	struct span uid;               /* at most JSON_UID_MAX; may be empty (aggregated APIs) */
	/* At most JSON_VERSION_MAX bytes of any form: kube/ decides what "0" or an opaque one is
	 * worth. Never empty in an event, because an event without version has no place in the
	 * order; may be empty in an item of a list, whose position is the version of the list. */
	struct span resource_version;
	/* Byte range inside raw that must be left out so that the rest is the same object without
	 * metadata.managedFields (one neighbouring comma included). cut.n == 0: there is none.
	 * Present only if asked for by strip_managed_fields. */
	struct span cut;
	bool more; /* has a member besides kind, apiVersion and metadata. json_shape_event does not
	              look: what it compares with has, or has not */
};

struct json_event {
	enum json_event_type type;
	struct json_object object; /* for ERROR: raw only */
	bool initial_events_end;   /* BOOKMARK annotated k8s.io/initial-events-end: "true" */
};

struct json_status { /* a metav1.Status; absent fields are 0 or empty */
	int code;
	struct span reason, message;
	bool too_large_rv; /* details.causes[].reason == ResourceVersionTooLarge */
	int retry_after_seconds;
};

/* Per watch: when the second reader is due. The first document of a watch, then one in 1024, is
 * read once more with simdjson On-Demand and must give the same fields; if not, the document is
 * refused as ERR_JSON_SYNTAX and counted. Zero it when the watch starts; NULL: never. */
struct json_hint {
	uint16_t events; /* private to scan.c */
};

/* One watch event: {"type":..., "object":{...}}. The order of keys is free, on all levels.
 * Errors: ERR_JSON_SYNTAX; _DEPTH; _LIMIT (longer than the parser takes); _SHAPE (no object; no
 * type, metadata, name, resourceVersion; one of them mistyped, too long, or there twice);
 * ERR_KUBE_EVENT (unknown type); ERR_NO_MEMORY. *out is meaningless then. And ERR_JSON_NAME: all is
 * well but for the object's name, a string that is longer than JSON_NAME_MAX or has a NUL or a lone
 * surrogate in it. Then all of *out but the name is as if there were no error. */
err_t json_scan_event(struct json_parser *p, struct span doc, bool strip_managed_fields,
        struct json_hint *hint, struct json_event *out) MUST_USE;

/* One object by itself (an item of a LIST). Same rules, but resourceVersion may be absent. */
err_t json_scan_object(struct json_parser *p, struct span doc, bool strip_managed_fields,
        struct json_hint *hint, struct json_object *out) MUST_USE;

/* A copy of a document that is nested too deep for the others (ERR_JSON_DEPTH), in which whatever
 * contains JSON_FLATTEN_HEIGHT levels or more has lost its content: for its identity. The first
 * three levels stay: event, object, metadata. What went was checked as all documents are; the rest
 * is, when the copy is read. *text: own, free() it; JSON_PADDING bytes behind *flat are readable.
 * Errors: ERR_JSON_SYNTAX; _DEPTH (over JSON_FLATTEN_DEPTH_MAX); _LIMIT; ERR_NO_MEMORY. */
enum { JSON_FLATTEN_HEIGHT = 128 };
err_t json_flatten(struct json_parser *p, struct span doc, struct span *flat, char **text) MUST_USE;

/* A '?' for each byte of doc that is no UTF-8, in its memory, which must be the caller's to write.
 * API servers print what they keep of raw JSON (runtime.RawExtension: claims of devices, revisions
 * of controllers) as it was given to them, and that need not be text. Readers in Go take it so;
 * here it is refused as ERR_JSON_SYNTAX, and may be read again when this says that it was changed.
 */
bool json_mend_utf8(struct span doc);

/* A Status document, or the object of an ERROR event. Anything that is JSON but no Status gives
 * code 0. Spans live as those of json_scan_event. */
err_t json_scan_status(struct json_parser *p, struct span doc, struct json_status *out) MUST_USE;

/* --- Splitting the body of a LIST as it streams in ------------------------------------------ */

/* Typed lists print kind, apiVersion, metadata, items; lists of custom resources print apiVersion,
 * items, kind, metadata: the version and the continue token may come after all items
 * (apimachinery, UnstructuredList: sorted keys), so nothing may be committed before JSON_LIST_END.
 */
enum json_list_result {
	JSON_LIST_MORE,  /* all of the input was consumed; feed more */
	JSON_LIST_ITEM,  /* *item is one element of items[], whole, with JSON_PADDING readable bytes
	                    behind; feed the rest */
	JSON_LIST_END,   /* all of the input was consumed, and the document is complete: list
	                    metadata is in the splitter. White space may follow; all else is an
	                    error */
	JSON_LIST_ERROR, /* json_list_err says which */
};
struct json_list; /* heap, because it carries the unfinished tail of an item */
struct json_list *json_list_new(size_t item_bytes_max);
void json_list_free(struct json_list **s);
void json_list_reset(struct json_list *s); /* before each page */
/* data: JSON_PADDING readable bytes behind it; may be empty. What was consumed is taken off its
 * front. An item is an object with balanced brackets, of at most JSON_FLATTEN_DEPTH_MAX levels, no
 * more: json_scan_object checks it.
 * Everything outside of the items is checked here. However the body is cut into pieces, the
 * answers are the same. An item that lies whole in data is handed out in place, else from the
 * carry; it is valid until the next call. Errors: ERR_JSON_SYNTAX; _DEPTH; _LIMIT (an item over
 * item_bytes_max, anything else over 256 KiB, a body of more than 1024 members); _SHAPE (an item
 * that is no object; kind, items, metadata or one of its members named below mistyped or there
 * twice); ERR_NO_MEMORY. */
enum json_list_result json_list_feed(struct json_list *s, struct span *data, struct span *item);
err_t json_list_err(const struct json_list *s);
/* After END (before it: what has been seen so far). Valid until reset. */
struct json_list_meta {
	struct span kind, resource_version, continue_;
	bool saw_items; /* "items" was there (it may be null: an empty list) */
};
void json_list_meta(const struct json_list *s, struct json_list_meta *out);

/* --- Small documents off the hot path ------------------------------------------------------- */

/* A read-only DOM (discovery answers, ExecCredential, configuration shown to people, objects
 * printed by tools). */
struct json_dom;
enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,    /* fits int64_t */
	JSON_DOUBLE, /* any other number */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};
/* A node is an opaque handle; {0} is "no such node" and every function takes it and answers with
 * nothing. */
struct json_node {
	const struct json_dom *dom;
	uint64_t at;
};
struct json_dom *json_dom_new(void);
void json_dom_free(struct json_dom **d);
/* Parses a copy of doc (no slack needed). Nodes are valid until the next parse or free. */
err_t json_dom_parse(struct json_dom *d, struct span doc, struct json_node *root) MUST_USE;
bool json_dom_exists(struct json_node n);
enum json_type json_dom_type(struct json_node n);
/* One member; of two with one name the last. */
struct json_node json_dom_get(struct json_node object, const char *key);
/* "status.conditions.0.type": names and places, one after the other. */
struct json_node json_dom_path(struct json_node n, const char *dotted_path);
/* Empty when it is no string. Its escapes are resolved; it may hold a NUL. */
struct span json_dom_string(struct json_node n);
int64_t json_dom_int(struct json_node n, int64_t otherwise);
double json_dom_double(struct json_node n, double otherwise);
bool json_dom_bool(struct json_node n, bool otherwise);
/* Iteration over an array or object: it = {0} to start; false at the end. key (may be NULL) is set
 * for objects. */
struct json_iter {
	uint64_t at, end;
	bool started;
};
bool json_dom_next(struct json_node container, struct json_iter *it, struct span *key,
        struct json_node *value);

#endif
