/* attach.h - the messages between libkubering and the daemon over the UNIX socket (SOCK_SEQPACKET:
 * one message = one packet, <= ATTACH_BYTES_MAX).
 *
 * Fixed-width little-endian words, no pointers; strings are length + bytes. Both sides treat what
 * they receive as hostile: lengths are checked against the packet, unknown types are refused. A
 * request carries an id that its answer repeats; the daemon sends nothing unasked but ATTACH_BYE.
 * Descriptors travel by SCM_RIGHTS with the answer that names them. The protocol version moves
 * apart from the layout version.
 */
#ifndef KR_SHM_ATTACH_H
#define KR_SHM_ATTACH_H

#include <stdint.h>

enum {
	ATTACH_MAGIC = 0x4352424b, /* "KBRC" */
	ATTACH_VERSION = 1,
	ATTACH_BYTES_MAX = 12288,
	ATTACH_STRING_MAX = 4096,
};

enum attach_type {
	ATTACH_HELLO = 1,      /* -> first message: struct attach_hello. Answer WELCOME with 2
	                          descriptors: consumer page (read-write memfd), eventfd */
	ATTACH_WELCOME = 2,    /* <- struct attach_welcome */
	ATTACH_OPEN_LIST = 3,  /* -> struct attach_spec. Answer LIST */
	ATTACH_LIST = 4,       /* <- struct attach_list */
	ATTACH_CLOSE_LIST = 5, /* -> struct attach_ref. Answer OK */
	ATTACH_SEGMENT = 6,    /* -> struct attach_segment. Answer SEGMENT_FD with 1 descriptor
	                          (segment 0 = control) */
	ATTACH_SEGMENT_FD = 7, /* <- struct attach_segment with bytes set */
	ATTACH_QUERY = 8,    /* -> struct attach_query: status, clusters, lists, resolve, ... Answer
	                        DOCUMENT with 1 descriptor: a sealed memfd of JSON */
	ATTACH_DOCUMENT = 9, /* <- struct attach_document */
	ATTACH_OK = 10,      /* <- nothing more */
	ATTACH_ERROR = 11,   /* <- struct attach_error */
	ATTACH_BYE = 12,     /* <- the daemon is stopping in an orderly way */
};

struct attach_head { /* of every message */
	uint32_t magic;
	uint16_t version, type;
	uint32_t id;
	uint32_t bytes; /* of the whole message */
};
struct attach_hello {
	struct attach_head head;
	uint16_t layout_major, layout_minor;
	uint32_t pid_hint; /* for people; the daemon asks SO_PEERCRED, and shows that */
	char name[64];     /* program name for status, NUL-padded */
};
struct attach_welcome {
	struct attach_head head;
	uint64_t incarnation[2];
	uint32_t consumer;
	uint16_t layout_major, layout_minor;
	char version[32];
};
enum attach_form { ATTACH_FORM_OBJECT = 0, ATTACH_FORM_METADATA = 1 };
enum attach_spec_string {
	ATTACH_CLUSTER,
	ATTACH_GROUP,
	ATTACH_API_VERSION,
	ATTACH_RESOURCE,
	ATTACH_NAMESPACE,
	ATTACH_LABELS,
	ATTACH_FIELDS,
	ATTACH_STRINGS
};
struct attach_spec { /* the strings follow one another, without NUL, in the order of enum
	                attach_spec_string */
	struct attach_head head;
	uint32_t form, flags;
	uint16_t length[ATTACH_STRINGS];
	uint16_t _pad;
};
enum attach_spec_flags { ATTACH_KEEP_MANAGED_FIELDS = 1 };
struct attach_list {
	struct attach_head head;
	uint32_t handle; /* names this opening in CLOSE_LIST */
	uint32_t shard, list, list_gen;
};
struct attach_ref {
	struct attach_head head;
	uint32_t handle, _pad;
};
struct attach_segment {
	struct attach_head head;
	uint32_t shard, segment;
	uint64_t bytes;
};
enum attach_query_kind {
	ATTACH_QUERY_STATUS = 1,
	ATTACH_QUERY_RESOLVE = 2,
	ATTACH_QUERY_DOCTOR = 3,
	ATTACH_QUERY_AUDIT = 4
};
struct attach_query { /* RESOLVE: cluster and resource follow (lengths); answers
	                 {"group":,"version":,"resource":,"kind":,"namespaced":,...}.
	                 AUDIT: cluster, and the list's "id" of the status; answers
	                 {"verdict":,"text":} */
	struct attach_head head;
	uint32_t kind;
	uint16_t length[2];
};
struct attach_document {
	struct attach_head head;
	uint64_t bytes;
};
struct attach_error {
	struct attach_head head;
	int32_t code;   /* enum kr_result, negative */
	uint32_t err;   /* enum err_code of the daemon */
	char text[256]; /* NUL-terminated: says what happened and what to do */
};

_Static_assert(sizeof(struct attach_head) == 16, "head");
_Static_assert(sizeof(struct attach_hello) == 88, "hello");
_Static_assert(sizeof(struct attach_welcome) == 72, "welcome");
_Static_assert(sizeof(struct attach_spec) == 40, "spec");
_Static_assert(sizeof(struct attach_list) == 32, "list");
_Static_assert(sizeof(struct attach_segment) == 32, "segment");
_Static_assert(sizeof(struct attach_query) == 24, "query");
_Static_assert(sizeof(struct attach_error) == 280, "error");

#endif
