#include "config/resolve.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "config/pem.h"
#include "config/text.h"

enum { RESOLVE_HEADERS_MAX = 16 << 10 };
_Static_assert(CREDENTIAL_IMPERSONATE_MAX == 60, "as resolve_impersonate() says");

/* --- impersonation ----------------------------------------------------------------------- */

static void resolve_push_header(struct text *t, const char *name, const char *value)
{
	text_push(t, span_of(name));
	text_push(t, SPAN(": "));
	text_push(t, text_trim(span_of(value))); /* as Go writes headers */
	text_push(t, SPAN("\r\n"));
}

/* The key of an extra becomes part of a header name: what is no token character (RFC 9110 5.6.2),
 * and '%' itself, is percent-encoded, as client-go does. */
static void resolve_push_extra(struct text *t, const struct yaml_node *key, const char *value)
{
	char hex[4];
	text_push(t, SPAN("Impersonate-Extra-"));
	for (size_t i = 0; i < key->text.n; i++) {
		unsigned char c = (unsigned char)key->text.p[i];
		bool token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		             (c >= 'A' && c <= 'Z') || strchr("!#$&'*+-.^_`|~", c);
		snprintf(hex, sizeof hex, "%%%02X", c);
		text_push(t, token ? (struct span){key->text.p + i, 1} : (struct span){hex, 3});
	}
	resolve_push_header(t, "", value);
}

static err_t resolve_extras(struct resolver *r, const struct yaml_node *body, struct text *t)
{
	const struct yaml_node *extras = yaml_get(body, "as-user-extra");
	if (yaml_is_null(extras))
		return ERR_OK;
	if (extras->kind != YAML_KIND_MAP)
		return resolve_fail(r, extras, "as-user-extra", "expected a mapping, found ",
		        yaml_kind_text(extras));
	if (extras->count > RESOLVE_STRINGS_MAX)
		return resolve_fail(r, extras, "as-user-extra", "has too many keys", "");
	for (uint32_t i = 0; i < extras->count; i++) {
		const char *const *values;
		size_t count;
		err_t e = resolve_strings(r, extras, extras->pairs[i].key->text.p, &values, &count);
		if (e != ERR_OK)
			return e;
		for (size_t k = 0; k < count; k++) {
			if (!text_is_header(span_of(values[k])))
				return resolve_fail(
				        r, extras, "as-user-extra", "has a control character", "");
			resolve_push_extra(t, extras->pairs[i].key, values[k]);
		}
	}
	return ERR_OK;
}

static err_t resolve_impersonate_into(
        struct resolver *r, const struct yaml_node *body, struct text *t)
{
	const char *as, *uid, *const *groups;
	size_t group_count;
	err_t e = resolve_text(r, body, "as", &as);
	if (e == ERR_OK)
		e = resolve_text(r, body, "as-uid", &uid);
	if (e == ERR_OK)
		e = resolve_strings(r, body, "as-groups", &groups, &group_count);
	if (e != ERR_OK)
		return e;
	const struct yaml_node *extras = yaml_get(body, "as-user-extra");
	bool more = uid || group_count > 0 || (extras && extras->count > 0);
	if (!as && more)
		return resolve_fail(r, body, "as",
		        "is missing, but as-uid, as-groups or as-user-extra is given", "");
	if (!as)
		return ERR_OK;
	bool fine = text_is_header(span_of(as)) && text_is_header(span_of(uid));
	for (size_t i = 0; i < group_count; i++)
		fine = fine && text_is_header(span_of(groups[i]));
	if (!fine)
		return resolve_fail(r, yaml_get(body, "as"), "as",
		        "or as-uid or as-groups has a control character", "");
	resolve_push_header(t, "Impersonate-User", as);
	if (uid)
		resolve_push_header(t, "Impersonate-Uid", uid);
	for (size_t i = 0; i < group_count; i++)
		resolve_push_header(t, "Impersonate-Group", groups[i]);
	return resolve_extras(r, body, t);
}

static size_t resolve_lines(const struct text *t)
{
	size_t lines = 0;
	for (size_t i = 0; i < t->n; i++)
		lines += t->p[i] == '\n';
	return lines;
}

static err_t resolve_impersonate(struct resolver *r, const struct yaml_node *body)
{
	struct text t = {.bytes_max = RESOLVE_HEADERS_MAX};
	err_t e = resolve_impersonate_into(r, body, &t);
	if (e == ERR_OK && t.broken)
		e = resolve_fail(r, yaml_get(body, "as"), "as", "the headers are too large", "");
	if (e == ERR_OK && resolve_lines(&t) > CREDENTIAL_IMPERSONATE_MAX)
		e = resolve_fail(r, yaml_get(body, "as"), "as",
		        "with its groups and extras comes to more than 60 headers", "");
	if (e == ERR_OK && t.n > 0) {
		r->out->credential.impersonate =
		        arena_copy(&r->out->arena, (struct span){t.p, t.n});
		if (!r->out->credential.impersonate)
			e = resolve_memory(r);
	}
	text_fini(&t);
	/* The Go field is called act-as in memory and `as` in the file; documents mix them up, and
	 * kubectl says nothing. */
	if (e == ERR_OK && !yaml_is_null(yaml_get(body, "act-as")))
		resolve_warn(r, "act-as has no effect; the field is called as");
	return e;
}

/* --- user -------------------------------------------------------------------------------- */

/* auth-provider was taken out of Kubernetes; tell which plugin took its place. */
static err_t resolve_auth_provider(struct resolver *r, const struct yaml_node *body)
{
	static const struct {
		const char *name, *hint;
	} known[] = {
	        {"gcp", "use the exec plugin gke-gcloud-auth-plugin"},
	        {"azure", "use the exec plugin kubelogin (Azure/kubelogin)"},
	        {"oidc", "use the exec plugin kubectl oidc-login (int128/kubelogin)"},
	};
	const struct yaml_node *provider = yaml_get(body, "auth-provider");
	if (yaml_is_null(provider))
		return ERR_OK;
	if (!yaml_is_null(yaml_get(body, "exec")))
		return resolve_fail(
		        r, provider, "auth-provider", "is given together with exec", "");
	const struct yaml_node *name = yaml_get(provider, "name");
	const char *hint = "use an exec plugin";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (name && name->kind == YAML_KIND_SCALAR && span_is(name->text, known[i].name))
			hint = known[i].hint;
	return resolve_fail(
	        r, provider, "auth-provider", "is no longer part of Kubernetes; ", hint);
}

static err_t resolve_client_cert(struct resolver *r, const struct yaml_node *body)
{
	struct credential_conf *c = &r->out->credential;
	err_t e = resolve_data_or_file(r, body, "client-certificate", &c->cert_pem, &c->cert_file);
	if (e == ERR_OK)
		e = resolve_data_or_file(r, body, "client-key", &c->key_pem, &c->key_file);
	if (e != ERR_OK)
		return e;
	bool cert = c->cert_pem.n > 0 || c->cert_file, key = c->key_pem.n > 0 || c->key_file;
	if (cert && !key)
		return resolve_fail(r, body, "client-key",
		        "or client-key-data is missing: a certificate needs its key", "");
	if (!cert) { /* kubectl ignores a key without a certificate */
		c->key_pem = SPAN_NONE;
		c->key_file = NULL;
		return ERR_OK;
	}
	/* that they belong together is checked when they are used (credential_source.c), or by
	 * --check */
	if (c->cert_pem.n > 0 && !pem_has_block(c->cert_pem, "CERTIFICATE"))
		return resolve_fail(r, yaml_get(body, "client-certificate-data"),
		        "client-certificate-data", "no PEM certificate inside", "");
	if (c->key_pem.n > 0 && !pem_has_block(c->key_pem, "PRIVATE KEY"))
		return resolve_fail(r, yaml_get(body, "client-key-data"), "client-key-data",
		        "no PEM private key inside", "");
	return ERR_OK;
}

bool resolve_has_credential(const struct credential_conf *c)
{
	return c->token || c->token_file || c->username || c->password || c->cert_pem.n > 0 ||
	       c->cert_file;
}

/* The parts that the scheme of the server may depend on come first. */
err_t resolve_user(struct resolver *r)
{
	struct credential_conf *c = &r->out->credential;
	const struct yaml_node *body = r->entry->body;
	c->user = arena_copy(&r->out->arena, span_of(r->entry->name));
	err_t e = c->user ? ERR_OK : resolve_memory(r);
	if (e == ERR_OK)
		e = resolve_auth_provider(r, body);
	if (e == ERR_OK)
		e = resolve_text(r, body, "token", &c->token);
	if (e == ERR_OK)
		e = resolve_path(r, body, "tokenFile", &c->token_file);
	if (e == ERR_OK)
		e = resolve_text(r, body, "username", &c->username);
	if (e == ERR_OK)
		e = resolve_text(r, body, "password", &c->password);
	if (e == ERR_OK)
		e = resolve_client_cert(r, body);
	if (e == ERR_OK)
		e = resolve_impersonate(r, body);
	if (e != ERR_OK)
		return e;
	if (!text_is_header(span_of(c->token)))
		return resolve_fail(
		        r, yaml_get(body, "token"), "token", "has a control character", "");
	if ((c->token || c->token_file) && (c->username || c->password))
		return resolve_fail(r, body, c->token ? "token" : "tokenFile",
		        "is given together with username or password; only one is allowed", "");
	return ERR_OK;
}
