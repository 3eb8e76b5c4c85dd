#include "config/credential_answer.h"

#include <string.h>

#include "config/pem.h"
#include "config/rfc3339.h"
#include "config/text.h"
#include "config/yaml_json.h"
#include "json/json.h"

static err_t credential_answer_text(
        struct credential_answer *a, struct json_node status, const char *field, struct span *out)
{
	struct span s = json_dom_string(json_dom_get(status, field));
	*out = SPAN_NONE;
	if (s.n == 0)
		return ERR_OK;
	*out = (struct span){arena_copy(&a->arena, s), s.n};
	return out->p ? ERR_OK : ERR_NO_MEMORY;
}

static const char *credential_answer_check(const struct credential_answer *a)
{
	bool cert = a->cert_pem.n > 0, key = a->key_pem.n > 0;
	if (a->token.n == 0 && !cert && !key)
		return "its answer has neither status.token nor a certificate";
	if (cert != key)
		return "its answer has only one of status.clientCertificateData and "
		       "status.clientKeyData";
	if (!text_is_header(a->token))
		return "status.token has a control character";
	return cert ? pem_check_pair(a->cert_pem, a->key_pem, NULL) : NULL;
}

static const char *credential_answer_head(struct json_node root, const char *api_version)
{
	if (json_dom_type(root) != JSON_OBJECT)
		return "its answer is not an object";
	if (!span_is(json_dom_string(json_dom_get(root, "kind")), "ExecCredential"))
		return "its answer is not of kind ExecCredential";
	if (!span_is(json_dom_string(json_dom_get(root, "apiVersion")), api_version))
		return "its answer has another apiVersion than the kubeconfig asks for";
	if (json_dom_type(json_dom_get(root, "status")) != JSON_OBJECT)
		return "its answer has no status";
	return NULL;
}

static err_t credential_answer_status(
        struct json_node status, struct credential_answer *a, const char **wrong)
{
	err_t e = credential_answer_text(a, status, "token", &a->token);
	if (e == ERR_OK)
		e = credential_answer_text(a, status, "clientCertificateData", &a->cert_pem);
	if (e == ERR_OK)
		e = credential_answer_text(a, status, "clientKeyData", &a->key_pem);
	if (e != ERR_OK)
		return e;
	struct json_node expiry = json_dom_get(status, "expirationTimestamp");
	a->has_expiry = json_dom_exists(expiry) && json_dom_type(expiry) != JSON_NULL;
	if (a->has_expiry && !rfc3339_parse(json_dom_string(expiry), &a->expires_s))
		*wrong = "status.expirationTimestamp is no RFC 3339 time";
	else
		*wrong = credential_answer_check(a);
	return ERR_OK;
}

/* JSON, or YAML, which client-go's decoder takes too. */
static err_t credential_answer_read(struct json_dom *dom, struct span doc, struct json_node *root)
{
	struct yaml yaml;
	err_t e = json_dom_parse(dom, doc, root);
	if (e != ERR_JSON_SYNTAX || doc.n == 0)
		return e;
	err_t load = yaml_load(&yaml, "", doc, NULL);
	if (load != ERR_OK)
		return load == ERR_NO_MEMORY ? load : e;
	struct text t = {.bytes_max = 2 * CREDENTIAL_ANSWER_BYTES_MAX};
	yaml_json_push(&t, yaml.root);
	if (!t.broken)
		e = json_dom_parse(dom, (struct span){t.p, t.n}, root);
	text_fini(&t);
	yaml_fini(&yaml);
	return e;
}

err_t credential_answer_parse(
        struct span doc, const char *api_version, struct credential_answer *out, struct errmsg *m)
{
	struct json_node root;
	const char *wrong = NULL;
	*out = (struct credential_answer){0};
	arena_init(&out->arena, 2 * CREDENTIAL_ANSWER_BYTES_MAX);
	struct json_dom *dom = json_dom_new();
	err_t e = dom ? credential_answer_read(dom, doc, &root) : ERR_NO_MEMORY;
	if (e == ERR_OK)
		wrong = credential_answer_head(root, api_version);
	else if (e != ERR_NO_MEMORY)
		wrong = doc.n > 0 ? "its answer is neither JSON nor YAML" : "it printed nothing";
	if (e == ERR_OK && !wrong)
		e = credential_answer_status(json_dom_get(root, "status"), out, &wrong);
	json_dom_free(&dom);
	if (wrong)
		e = errmsg_set(m, ERR_CRED_EXEC, "%s", wrong);
	else if (e != ERR_OK)
		errmsg_set(m, e, "while reading its answer");
	if (e != ERR_OK)
		credential_answer_fini(out);
	return e;
}

void credential_answer_fini(struct credential_answer *a)
{
	arena_fini(&a->arena);
	*a = (struct credential_answer){0};
}
