/* http1.h - the client half of HTTP/1.1 (RFC 9112): reads responses, writes requests. Bytes in,
 * bytes out.
 *
 * One parser serves one connection, whose responses follow each other. http1_begin() announces a
 * request; http1_feed() then gives, for each response: HEAD, BODY*, END. Body bytes are spans of
 * the caller's own data: a chunk that is in the fed bytes costs a few steps for its size line and
 * nothing for its bytes. Chunk borders mean nothing; whoever wants lines frames them.
 *
 * Strict on purpose: what two readers could understand differently is refused (request smuggling
 * lives there), and everything a server can make long has a limit. A refusal is final for the
 * connection: ERR_HTTP_SYNTAX or ERR_HTTP_LIMIT, and http1_error() names the rule.
 *
 * A head that is whole in the fed bytes is read in place. One that is not is carried in a buffer
 * from malloc, bounded by head_bytes_max, freed as soon as the HEAD event is over. So an idle
 * connection holds this struct and nothing else. No data is ever allocated for a body.
 */
#ifndef KR_WIRE_HTTP1_H
#define KR_WIRE_HTTP1_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The limits of one parser. Exactly the limit passes, one more is ERR_HTTP_LIMIT. */
struct http1_limits {
	uint32_t line_bytes_max; /* status line without its CR LF */
	uint32_t head_bytes_max; /* status line, headers and the empty line; each 1xx on its own */
	uint32_t trailer_bytes_max;   /* trailer section with its empty line */
	uint32_t chunk_ext_bytes_max; /* what stands behind one chunk size */
	uint16_t header_count_max;    /* also of trailers */
	uint16_t interim_count_max;   /* 1xx before one final response */
};
extern const struct http1_limits http1_limits_default; /* 8K, 64K, 8K, 1K, 128, 8 */

#define HTTP1_CHUNK_DIGITS_MAX 16 /* hex digits; a size over 2^63-1 is refused too */

/* What the request was; decides how its response is framed (RFC 9112 6.3). */
enum http1_request_flags {
	HTTP1_PLAIN = 0,
	HTTP1_HEAD = 1,    /* the method was HEAD: no body whatever the headers say */
	HTTP1_UPGRADE = 2, /* asked for an upgrade: 101 is legal */
};

enum http1_coding { HTTP1_IDENTITY, HTTP1_GZIP, HTTP1_UNKNOWN_CODING };
enum http1_body {
	HTTP1_BODY_NONE,    /* HEAD, 204, 304 */
	HTTP1_BODY_LENGTH,  /* head.content_length bytes */
	HTTP1_BODY_CHUNKED, /* until the last chunk and the trailers */
	HTTP1_BODY_EOF,     /* until the connection ends: see http1_eof() */
	HTTP1_BODY_RAW,     /* 101: whatever comes is not HTTP any more */
};

/* A decoded head. Life: its spans hold until the next call on the parser, and not longer than the
 * bytes that were fed. Absent headers are SPAN_NONE; of a repeated one the first is shown. */
struct http1_head {
	uint16_t status;       /* 101, 200..599; other 1xx are swallowed */
	uint8_t version_minor; /* HTTP/1.0 or HTTP/1.1 */
	bool keep_alive;       /* the connection may be used again after END */
	enum http1_body body;
	enum http1_coding coding;
	int64_t content_length; /* -1: not said */
	struct span reason;     /* may be empty */
	struct span date, retry_after;
	struct span fields; /* all header lines, each with its CR LF */
};

enum http1_event_type {
	HTTP1_EV_HEAD, /* head */
	HTTP1_EV_BODY, /* data: body bytes, in place, at least one */
	HTTP1_EV_END,  /* the body is whole; head.keep_alive repeats what HEAD said */
	HTTP1_EV_RAW,  /* data: bytes behind a 101, in place, at least one */
};
struct http1_event {
	enum http1_event_type type;
	bool keep_alive;        /* END */
	struct span data;       /* BODY, RAW: borrow(until the fed bytes go) */
	struct http1_head head; /* HEAD only; other events leave it as it was */
};

enum http1_result {
	HTTP1_NEED_MORE, /* all fed bytes are consumed, nothing more to say */
	HTTP1_EVENT,     /* ev is filled; call again with the rest, even if that is empty */
	HTTP1_ERROR,     /* p->err; sticky */
};

/* Owner: the connection. Thread: its reactor. Life: http1_init .. http1_fini. Fields are private,
 * but err may be read. */
struct http1_parser {
	const struct http1_limits *_limits; /* shared(outlives the parser) */
	char *_carry;                       /* own: a head or trailer section that came in pieces */
	uint32_t _carry_bytes, _carry_cap;
	uint32_t _section_bytes; /* seen of the head or trailer section, or of a chunk extension */
	uint32_t _line_bytes;    /* seen of its last line, CR included, LF not */
	uint64_t _left;          /* of the chunk or of the body */
	uint64_t _offset;        /* bytes of this response before the current call */
	const char *_why;        /* the rule that was broken: static text */
	err_t err;
	uint16_t _lines; /* complete lines of the section */
	uint8_t _state, _flags, _interim, _digits;
	bool _cr;         /* the last byte of the section was CR */
	bool _at_line;    /* the rule was broken in line _lines of a section */
	bool _keep_alive; /* of the response being read */
};

/* limits may be NULL: the defaults. Cannot fail. */
void http1_init(struct http1_parser *p, const struct http1_limits *limits);
void http1_fini(struct http1_parser *p);

/* A request with these http1_request_flags has been written; its response comes next. Legal before
 * the first response and after END; anything else is a bug of the caller (CHECK). */
void http1_begin(struct http1_parser *p, unsigned request_flags);

/* Reads from data. *consumed is always set, on HTTP1_ERROR to the bytes before the call's offence.
 * Bytes that arrive when no response is due are an error. n may be 0. Loop:
 *
 *     while ((r = http1_feed(p, data, n, &used, &ev)) == HTTP1_EVENT) { data += used; n -= used;
 * ... }
 */
enum http1_result http1_feed(struct http1_parser *p, const char *data, size_t n, size_t *consumed,
        struct http1_event *ev);

/* For whoever wants to fetch memory early: rest is what was received behind the body that
 * HTTP1_EV_BODY gave. *body: what is there of the chunk that follows, and *rest moves behind it.
 * false: none can be told. Checks nothing, and http1_feed() has seen none of it: the bytes may be
 * anything. */
bool http1_peek_chunk(struct span *rest, struct span *body) MUST_USE;

/* The connection ended cleanly (with TLS: after close_notify). HTTP1_EVENT: END of a body that
 * runs to the end. HTTP1_NEED_MORE: no response was due. HTTP1_ERROR: ERR_CONN_CLOSED before the
 * first byte of a response (on a reused connection: retry at once), else ERR_HTTP_TRUNCATED. */
enum http1_result http1_eof(struct http1_parser *p, struct http1_event *ev);

/* After HTTP1_ERROR: fills m with code, rule, and where. Holds no byte that the server sent, so no
 * secret either. Returns p->err. */
err_t http1_error(const struct http1_parser *p, struct errmsg *m);

/* true between http1_begin() and END: something is due. */
bool http1_busy(const struct http1_parser *p);
/* Heap bytes held now. */
size_t http1_bytes(const struct http1_parser *p);

/* Seconds that Retry-After asks for: delta-seconds, or a date seen from the response's own Date, or
 * from wall_s (Unix seconds) if it has none. Never negative; at most INT32_MAX. false: absent or
 * not understood. */
bool http1_retry_after(const struct http1_head *h, int64_t wall_s, int64_t *seconds);
/* Any of the three date forms of RFC 9110 5.6.7 as Unix seconds. */
bool http1_parse_date(struct span text, int64_t *unix_s);

/* --- requests -------------------------------------------------------------------------------- */

struct http1_field {
	struct span name, value;
};

/* A GET without a body. Empty spans are left out, but target and host must be there. Nothing is
 * escaped; a byte that has no place is an error. */
struct http1_request {
	bool gzip;              /* Accept-Encoding: gzip instead of identity */
	struct span target;     /* origin form: "/api/v1/pods?watch=1" */
	struct span host;       /* "name", "name:port" or "[v6]:port" */
	struct span user_agent; /* must not begin with curl, Wget or Mozilla/5.0: pretty-printing */
	struct span accept;
	struct span authorization;        /* the whole value, as a credential source made it */
	const struct http1_field *fields; /* further headers, as they are */
	size_t field_count;
};

/* Writes the request into buf. *n is the size needed, also when it did not fit (ERR_LIMIT; buf may
 * be NULL with cap 0 to ask). ERR_ARGUMENT: a value holds CR, LF, NUL or another byte that would
 * change the meaning; m names the field, never the value. */
err_t http1_write_request(
        const struct http1_request *r, char *buf, size_t cap, size_t *n, struct errmsg *m) MUST_USE;

#endif
