/* model_request.h - one HTTP/1.1 request, read: what of which cluster is asked for, how, and by
 * whom.
 *
 * Limits: head 64 KiB, path 4 KiB, query 16 KiB. Request bodies are not read: only GET is served.
 */
#ifndef KR_MODEL_MODEL_REQUEST_H
#define KR_MODEL_MODEL_REQUEST_H

#include "model/model_server.h"

#define MODEL_HEAD_BYTES_MAX  65536
#define MODEL_PATH_BYTES_MAX  4096
#define MODEL_QUERY_BYTES_MAX 16384

enum model_target {
	MODEL_TARGET_RESOURCE,   /* a list or an object */
	MODEL_TARGET_API,        /* /api */
	MODEL_TARGET_APIS,       /* /apis */
	MODEL_TARGET_GROUP,      /* /apis/GROUP */
	MODEL_TARGET_VERSION_OF, /* /api/v1 or /apis/GROUP/VERSION */
	MODEL_TARGET_VERSION,    /* /version */
	MODEL_TARGET_HEALTH,     /* /readyz /livez /healthz and below */
	MODEL_TARGET_OTHER
};

enum model_accept {
	MODEL_ACCEPT_JSON,
	MODEL_ACCEPT_META,      /* as=PartialObjectMetadata or ...List */
	MODEL_ACCEPT_DISCOVERY, /* as=APIGroupDiscoveryList */
	MODEL_ACCEPT_NONE       /* nothing that we have */
};

enum model_maybe { MODEL_UNSET, MODEL_FALSE, MODEL_TRUE };

/* Spans point into the head that was given, or into text; valid as long as both. */
struct model_request {
	struct span method, path; /* path without /clusters/NAME, not decoded */
	struct span cluster;      /* NAME, or empty */
	enum model_target target;
	struct span group, version, resource, ns, name; /* decoded */
	bool watch, bookmarks;
	enum model_maybe initial; /* sendInitialEvents */
	struct span rv, match, limit, token, labels, fields,
	        timeout; /* decoded; token = continue */
	bool has_token;
	enum model_accept accept; /* among the forms of JSON */
	bool protobuf;            /* asked for before any form of JSON */
	bool gzip, pretty, close; /* Accept-Encoding; User-Agent of a person; Connection: close */
	struct span bearer;
	bool has_auth;
	bool may_upgrade, upgrade; /* Connection: Upgrade; to a WebSocket */
	bool bad_protocol_token;   /* a token sub-protocol that cannot be read or stands alone */
	bool has_origin;
	struct span ws_key;
	size_t body_bytes;           /* Content-Length */
	struct model_text text;      /* own: what had to be decoded */
	struct model_text protocols; /* own: the sub-protocols, each ended by a comma */
	struct model_text
	        token_text; /* own: the token of a sub-protocol; bearer points here then */
};

/* head: up to and with the empty line. False: not HTTP/1.1, or over a limit. Call fini in both
 * cases. */
bool model_request_parse(struct model_request *r, struct span head);
void model_request_fini(struct model_request *r);

#endif
