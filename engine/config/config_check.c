#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include "config/credential.h"
#include "config/file.h"
#include "config/pattern.h"
#include "config/pem.h"
#include "config/rfc3339.h"

enum { CONFIG_CHECK_SCRATCH_BYTES = 16 << 20, CONFIG_CHECK_SOON_S = 14 * 24 * 3600 };

/* One cluster, or one Headlamp backend, of one check. */
struct config_checker {
	const struct config *config;
	const char *kind, *name;
	const char *token_field, *ca_field, *insecure_field; /* as the file calls them */
	struct problem_place place;
	const struct cluster_conf *conf;
	const char *cluster_token_file; /* of a backend; NULL: none */
	const char *search_path;
	int64_t wall_s;
	struct problem_list *problems;
	struct arena scratch; /* files read; wiped */
};

static void config_check_tell(struct config_checker *k, enum problem_level level, const char *field,
        const char *file, const char *what)
{
	problem_add(k->problems, level, k->place, "%s \"%.60s\": %s%s%.160s: %s", k->kind, k->name,
	        field, file ? " " : "", file ? file : "", what);
}

static void config_check_expiry(struct config_checker *k, const char *field, const char *file,
        const struct pem_facts *facts)
{
	char when[RFC3339_BYTES], text[64];
	if (facts->not_after_s - k->wall_s >= CONFIG_CHECK_SOON_S)
		return;
	bool over = facts->not_after_s <= k->wall_s;
	snprintf(text, sizeof text, "%s %s", over ? "has expired at" : "expires soon, at",
	        rfc3339_format(facts->not_after_s, when));
	config_check_tell(k, over ? PROBLEM_LEVEL_ERROR : PROBLEM_LEVEL_WARNING, field, file, text);
}

/* What is in the file if there is one, else data. false: told. */
static bool config_check_read(struct config_checker *k, const char *field, const char *file,
        struct span data, struct span *out)
{
	struct file_bytes bytes;
	const char *why;
	*out = data;
	if (!file)
		return true;
	if (file_read(file, CREDENTIAL_PEM_BYTES_MAX, &k->scratch, &bytes, &why) != ERR_OK) {
		config_check_tell(k, PROBLEM_LEVEL_ERROR, field, file, why);
		return false;
	}
	*out = (struct span){bytes.p, bytes.n};
	return true;
}

static void config_check_token_file(struct config_checker *k, const char *field, const char *file)
{
	struct span token;
	if (!file || !config_check_read(k, field, file, SPAN_NONE, &token))
		return;
	for (; token.n > 0 && strchr(" \t\r\n", *token.p); token.n--)
		token.p++;
	if (token.n == 0)
		config_check_tell(k, PROBLEM_LEVEL_ERROR, field, file, "is empty");
}

static void config_check_pair(struct config_checker *k)
{
	const struct credential_conf *c = &k->conf->credential;
	struct span cert, key;
	struct pem_facts facts;
	if (!c->cert_file && c->cert_pem.n == 0)
		return;
	bool cert_there =
	        config_check_read(k, "client-certificate", c->cert_file, c->cert_pem, &cert);
	bool key_there = config_check_read(k, "client-key", c->key_file, c->key_pem, &key);
	if (!cert_there || !key_there)
		return;
	const char *wrong = pem_check_pair(cert, key, &facts);
	if (wrong)
		config_check_tell(
		        k, PROBLEM_LEVEL_ERROR, "client-certificate", c->cert_file, wrong);
	else
		config_check_expiry(k, "client-certificate", c->cert_file, &facts);
}

static void config_check_ca(struct config_checker *k)
{
	const struct cluster_conf *c = k->conf;
	struct pem_facts facts;
	if (c->ca_pem.n > 0 && !pem_check_certificates(c->ca_pem, &facts))
		config_check_expiry(k, k->ca_field, c->ca_file, &facts);
	if (c->insecure)
		config_check_tell(k, PROBLEM_LEVEL_WARNING, k->insecure_field, NULL,
		        "anyone on the way can read and change what this cluster sends");
}

static void config_check_exec(struct config_checker *k)
{
	const struct credential_exec_conf *x = k->conf->credential.exec;
	const struct exec_policy *policy = &k->config->settings->exec_policy;
	char path[EXEC_POLICY_PATH_MAX];
	if (!x)
		return;
	if (policy->mode == EXEC_POLICY_DENY_ALL)
		config_check_tell(k, PROBLEM_LEVEL_ERROR, "exec.command", x->command,
		        "execPolicy is DenyAll");
	else if (!exec_policy_find(x->command, k->search_path, path))
		config_check_tell(k, PROBLEM_LEVEL_ERROR, "exec.command", x->command,
		        x->install_hint ? x->install_hint : "not found or not executable");
	else if (!exec_policy_allows(policy, path, k->search_path))
		config_check_tell(
		        k, PROBLEM_LEVEL_ERROR, "exec.command", path, "is not in execAllowlist");
	for (size_t i = 0; i < x->env_count; i++)
		if (!exec_policy_allows_variable(policy, x->env[i].name))
			config_check_tell(k, PROBLEM_LEVEL_ERROR, "exec.env", x->env[i].name,
			        "lets other programs run than execAllowlist names");
}

static void config_check_error(struct config_checker *k, const struct errmsg *error)
{
	/* the text has file, line and field already; its first words are those of the code */
	const char *text = error->text + strlen(err_text(error->code)) + 2;
	problem_add(k->problems, PROBLEM_LEVEL_ERROR, (struct problem_place){0}, "%s", text);
}

static void config_check_conf(struct config_checker *k)
{
	arena_init(&k->scratch, CONFIG_CHECK_SCRATCH_BYTES);
	config_check_ca(k);
	config_check_token_file(k, k->token_field, k->conf->credential.token_file);
	config_check_token_file(k, "headlamp.clusterTokenFile", k->cluster_token_file);
	config_check_pair(k);
	config_check_exec(k);
	arena_fini(&k->scratch);
}

static void config_check_cluster(struct config_checker *k, const struct config_cluster *c)
{
	if (c->backend)
		return; /* all that there is to say is said of the backend */
	k->kind = "context";
	k->token_field = "tokenFile";
	k->ca_field = "certificate-authority";
	k->insecure_field = "insecure-skip-tls-verify";
	k->name = c->context;
	k->place = c->place;
	k->conf = &c->conf;
	if (c->error.code != ERR_OK)
		config_check_error(k, &c->error);
	else
		config_check_conf(k);
}

static void config_check_backend(struct config_checker *k, const struct config_backend *b)
{
	k->kind = "backend";
	k->token_field = "headlamp.backendTokenFile";
	k->ca_field = "headlamp.certificateAuthority";
	k->insecure_field = "headlamp.insecureSkipTlsVerify";
	k->name = b->name;
	k->place = b->place;
	k->conf = &b->conf;
	k->cluster_token_file = b->cluster_credential.token_file;
	if (b->error.code != ERR_OK)
		config_check_error(k, &b->error);
	else
		config_check_conf(k);
	k->cluster_token_file = NULL;
}

/* A list that is to be kept open needs a cluster to come from and a realm to be in. */
static void config_check_list(const struct config *c, size_t i, struct problem_list *problems)
{
	const struct settings *s = c->settings;
	const struct settings_list *l = &s->lists[i];
	struct problem_place at = {s->file, l->line, l->column};
	size_t matches = 0, granted = 0;
	for (size_t k = 0; k < c->cluster_count; k++) {
		const char *name = c->clusters[k].name;
		if (!pattern_match(l->clusters, name))
			continue;
		matches++;
		granted += !l->resource.has_group || settings_realm_for(s, name, l->resource.group,
		                                             l->resource.resource, l->namespace_);
	}
	bool discovers = false; /* then more may come */
	for (size_t k = 0; k < c->backend_count; k++)
		discovers = discovers || c->backends[k].discovers;
	if (matches == 0 && !discovers)
		problem_add(problems, PROBLEM_LEVEL_WARNING, at,
		        "lists[%zu].clusters: no cluster matches \"%.100s\"", i, l->clusters);
	if (granted < matches)
		problem_add(problems, PROBLEM_LEVEL_WARNING, at,
		        "lists[%zu]: no realm covers it for %zu of %zu clusters; there it is not "
		        "kept",
		        i, matches - granted, matches);
}

err_t config_check(const struct config_options *o, const char *search_path, int64_t wall_s,
        struct problem_list *problems)
{
	struct config *config;
	err_t e = config_load(o, problems, &config);
	if (e != ERR_OK)
		return e;
	struct config_checker k = {.config = config,
	        .search_path = search_path,
	        .wall_s = wall_s,
	        .problems = problems};
	for (size_t i = 0; i < config->cluster_count; i++)
		config_check_cluster(&k, &config->clusters[i]);
	for (size_t i = 0; i < config->backend_count; i++)
		config_check_backend(&k, &config->backends[i]);
	for (size_t i = 0; i < config->settings->list_count; i++)
		config_check_list(config, i, problems);
	config_free(&config);
	return problems->errors > 0 ? ERR_CONFIG : ERR_OK;
}
