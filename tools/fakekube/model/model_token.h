/* model_token.h - continue tokens as kube-apiserver makes them: base64url of
 * {"v":"meta.k8s.io/v1","rv":N,"start":"KEY\u0000"}. */
#ifndef KR_MODEL_MODEL_TOKEN_H
#define KR_MODEL_MODEL_TOKEN_H

#include "model/model_text.h"

/* rv -1: go on at the newest version (the inconsistent token of a 410). after: the page starts
 * after the key, else at it. Appends a NUL-terminated string that is counted without its NUL. key
 * as "/name", "/ns/name", or without the slash. */
void model_token_make(struct model_text *out, int64_t rv, bool after, struct span key);
/* key: where to start, without the slash and with the NUL that stands for "after". False: error has
 * the text of the 400. */
bool model_token_parse(
        struct span token, int64_t *rv, struct model_text *key, struct model_text *error);

#endif
