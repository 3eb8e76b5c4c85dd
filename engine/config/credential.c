#include "config/credential.h"

#include <stdlib.h>
#include <string.h>

#include "config/credential_priv.h"
#include "config/text.h"

enum { CREDENTIAL_BYTES_MAX = 8 << 20, CREDENTIAL_HEADER_MAX = 4 << 20 };

struct credential *credential_get(struct credential *c)
{
	atomic_fetch_add_explicit(&c->_refs, 1, memory_order_relaxed);
	return c;
}

void credential_put(struct credential **p)
{
	struct credential *c = *p;
	*p = NULL;
	/* acq_rel: the one who frees has seen the last reads of all the others */
	if (!c || atomic_fetch_sub_explicit(&c->_refs, 1, memory_order_acq_rel) > 1)
		return;
	arena_fini(&c->_arena);
	free(c);
}

static bool credential_copy(struct credential *c, struct span from, struct span *to)
{
	*to = SPAN_NONE;
	if (from.n == 0)
		return true;
	*to = (struct span){arena_copy(&c->_arena, from), from.n};
	return to->p != NULL;
}

static void credential_push_basic(struct text *t, const struct credential_parts *parts)
{
	struct text pair = {.bytes_max = CREDENTIAL_HEADER_MAX / 2};
	text_push(&pair, parts->username);
	text_push(&pair, SPAN(":"));
	text_push(&pair, parts->password);
	text_push(t, SPAN("Basic "));
	text_push_base64(t, (struct span){pair.p, pair.n});
	t->broken = t->broken || pair.broken;
	text_fini(&pair);
}

static bool credential_authorize(struct credential *c, const struct credential_parts *parts)
{
	struct text t = {.bytes_max = CREDENTIAL_HEADER_MAX};
	if (parts->token.n > 0) {
		text_push(&t, SPAN("Bearer "));
		text_push(&t, text_trim(parts->token));
	} else if (parts->username.n > 0 || parts->password.n > 0) {
		credential_push_basic(&t, parts);
	}
	bool fine = !t.broken && credential_copy(c, (struct span){t.p, t.n}, &c->authorization);
	text_fini(&t);
	return fine;
}

struct credential *credential_new(const struct credential_parts *parts)
{
	struct credential *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	arena_init(&c->_arena, CREDENTIAL_BYTES_MAX);
	atomic_init(&c->_refs, 1);
	c->expires_s = parts->expires_s;
	if (!credential_authorize(c, parts) || !credential_copy(c, parts->cert_pem, &c->cert_pem) ||
	        !credential_copy(c, parts->key_pem, &c->key_pem))
		credential_put(&c);
	return c;
}

struct span credential_token(const struct credential *c)
{
	static const char head[] = "Bearer ";
	struct span a = c->authorization;
	size_t n = sizeof head - 1;
	bool bearer = a.n > n && memcmp(a.p, head, n) == 0;
	return bearer ? (struct span){a.p + n, a.n - n} : SPAN_NONE;
}

bool credential_same_certificate(const struct credential *a, const struct credential *b)
{
	struct span none = SPAN_NONE;
	return span_eq(a ? a->cert_pem : none, b ? b->cert_pem : none) &&
	       span_eq(a ? a->key_pem : none, b ? b->key_pem : none);
}

bool credential_equal(const struct credential *a, const struct credential *b)
{
	return credential_same_certificate(a, b) && span_eq(a->authorization, b->authorization) &&
	       a->expires_s == b->expires_s;
}
