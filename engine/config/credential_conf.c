#include "config/credential_conf.h"

#include <string.h>

#include "base/hash_index.h"

/* Copies made so far are all right as long as ok holds. */
struct credential_copier {
	struct arena *arena;
	bool ok;
};

static const char *credential_copy_text(struct credential_copier *c, const char *s)
{
	if (!s || !c->ok)
		return NULL;
	const char *copy = arena_copy(c->arena, span_of(s));
	c->ok = copy != NULL;
	return copy;
}

static struct span credential_copy_span(struct credential_copier *c, struct span s)
{
	if (s.n == 0 || !c->ok)
		return SPAN_NONE;
	struct span copy = {arena_copy(c->arena, s), s.n};
	c->ok = copy.p != NULL;
	return copy;
}

static void *credential_copy_array(struct credential_copier *c, size_t count, size_t item_bytes)
{
	void *p = c->ok ? arena_array(c->arena, count, item_bytes) : NULL;
	c->ok = p != NULL;
	return p;
}

static const struct credential_exec_conf *credential_copy_exec(
        struct credential_copier *c, const struct credential_exec_conf *from)
{
	struct credential_exec_conf *to = credential_copy_array(c, 1, sizeof *to);
	const char **args = credential_copy_array(c, from->arg_count, sizeof(*args));
	struct credential_env *env = credential_copy_array(c, from->env_count, sizeof *env);
	if (!c->ok)
		return NULL;
	for (size_t i = 0; i < from->arg_count; i++)
		args[i] = credential_copy_text(c, from->args[i]);
	for (size_t i = 0; i < from->env_count; i++) {
		env[i].name = credential_copy_text(c, from->env[i].name);
		env[i].value = credential_copy_text(c, from->env[i].value);
	}
	*to = (struct credential_exec_conf){
	        .command = credential_copy_text(c, from->command),
	        .args = args,
	        .arg_count = from->arg_count,
	        .env = env,
	        .env_count = from->env_count,
	        .api_version = credential_copy_text(c, from->api_version),
	        .install_hint = credential_copy_text(c, from->install_hint),
	        .cluster_info = credential_copy_text(c, from->cluster_info),
	};
	return to;
}

bool credential_conf_copy(
        const struct credential_conf *from, struct arena *arena, struct credential_conf *to)
{
	struct credential_copier c = {arena, true};
	*to = (struct credential_conf){
	        .user = credential_copy_text(&c, from->user),
	        .token = credential_copy_text(&c, from->token),
	        .token_file = credential_copy_text(&c, from->token_file),
	        .username = credential_copy_text(&c, from->username),
	        .password = credential_copy_text(&c, from->password),
	        .cert_pem = credential_copy_span(&c, from->cert_pem),
	        .key_pem = credential_copy_span(&c, from->key_pem),
	        .cert_file = credential_copy_text(&c, from->cert_file),
	        .key_file = credential_copy_text(&c, from->key_file),
	        .impersonate = credential_copy_text(&c, from->impersonate),
	};
	if (from->exec)
		to->exec = credential_copy_exec(&c, from->exec);
	return c.ok;
}

static bool credential_text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool credential_exec_conf_equal(
        const struct credential_exec_conf *a, const struct credential_exec_conf *b)
{
	if (a->arg_count != b->arg_count || a->env_count != b->env_count ||
	        !credential_text_equal(a->command, b->command) ||
	        !credential_text_equal(a->api_version, b->api_version) ||
	        !credential_text_equal(a->cluster_info, b->cluster_info))
		return false;
	for (size_t i = 0; i < a->arg_count; i++)
		if (strcmp(a->args[i], b->args[i]) != 0)
			return false;
	for (size_t i = 0; i < a->env_count; i++)
		if (strcmp(a->env[i].name, b->env[i].name) != 0 ||
		        strcmp(a->env[i].value, b->env[i].value) != 0)
			return false;
	return true;
}

static uint64_t credential_hash_text(const char *s, uint64_t seed)
{
	return hash_of_text(s ? s : "", seed);
}

uint64_t credential_exec_conf_hash(const struct credential_exec_conf *x, uint64_t seed)
{
	uint64_t h = credential_hash_text(x->command, seed);
	h = credential_hash_text(x->cluster_info, h);
	for (size_t i = 0; i < x->arg_count; i++)
		h = credential_hash_text(x->args[i], h);
	for (size_t i = 0; i < x->env_count; i++)
		h = credential_hash_text(x->env[i].value, h);
	return h;
}

bool credential_conf_equal(const struct credential_conf *a, const struct credential_conf *b)
{
	return credential_text_equal(a->user, b->user) &&
	       credential_text_equal(a->token, b->token) &&
	       credential_text_equal(a->token_file, b->token_file) &&
	       credential_text_equal(a->username, b->username) &&
	       credential_text_equal(a->password, b->password) &&
	       span_eq(a->cert_pem, b->cert_pem) && span_eq(a->key_pem, b->key_pem) &&
	       credential_text_equal(a->cert_file, b->cert_file) &&
	       credential_text_equal(a->key_file, b->key_file) &&
	       credential_text_equal(a->impersonate, b->impersonate) && !a->exec == !b->exec &&
	       (!a->exec || credential_exec_conf_equal(a->exec, b->exec));
}
