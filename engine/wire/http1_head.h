/* http1_head.h - the grammar half of http1.h, private to wire/: one whole section (a head
 * or the trailers) as a span, in which http1.c has already found the lines. */
#ifndef KR_WIRE_HTTP1_HEAD_H
#define KR_WIRE_HTTP1_HEAD_H

#include "wire/http1.h"

/* What was wrong; why is static text, NULL while nothing is. line 0 is the status line. */
struct http1_fault {
	const char *why;
	unsigned line;
};

/* Decodes a head: every line ends in CR LF, the last one is empty, the first begins with "HTTP/1.".
 * Spans of h point into bytes. 1xx heads are decoded like others. */
bool http1_decode_head(
        struct span bytes, unsigned request_flags, struct http1_head *h, struct http1_fault *f);
/* Checks trailers, which nobody reads, by the same rules as headers. */
bool http1_check_trailers(struct span bytes, struct http1_fault *f);

bool http1_is_token(struct span s);
/* The next of h->fields, of which *rest is what is left. false: none is. */
bool http1_next_field(struct span *rest, struct http1_field *field);
/* The next of a list with commas (RFC 9110 5.6.1), perhaps an empty one. false: none is left. */
bool http1_next_token(struct span *rest, struct span *token);
/* Without spaces and tabs at its ends. */
struct span http1_trim(struct span s);
/* No CTL but HTAB (RFC 9110 5.5). */
bool http1_is_value(struct span s);
/* ASCII case ignored; lower must be in lower case. */
bool http1_name_is(struct span name, struct span lower);

#endif
