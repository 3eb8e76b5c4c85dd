#include "model/model_server.h"

#include "base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>

#define SECOND_NS 1000000000ull

void model_server_init(struct model_server *s, const struct model_server_options *o)
{
	memset(s, 0, sizeof *s);
	s->options = *o;
	if (s->options.bookmark_ns == 0)
		s->options.bookmark_ns = 60 * SECOND_NS;
	if (s->options.freshness_ns == 0)
		s->options.freshness_ns = 3 * SECOND_NS;
	if (!s->options.address)
		s->options.address = "127.0.0.1:6443";
	model_library_init(&s->library, o->wall_s, o->stamp);
	s->library.stamp_writes = o->stamp_writes;
	s->tokens = calloc(MODEL_TOKENS_MAX, sizeof *s->tokens);
	s->deny = calloc(MODEL_DENY_MAX, sizeof *s->deny);
	CHECK(s->tokens && s->deny);
	s->random.s = o->seed;
	list_init(&s->ready);
}

void model_server_fini(struct model_server *s)
{
	CHECK(s->connections == 0);
	for (size_t i = 0; i < s->cluster_count; i++)
		model_cluster_free(&s->clusters[i]);
	free(s->clusters);
	free(s->by_name);
	free(s->tokens);
	free(s->deny);
	model_fault_clear(&s->faults);
	model_text_fini(&s->scratch);
	model_text_fini(&s->chunk);
	for (size_t i = 0; i < s->spare_count; i++)
		model_text_fini(&s->spare[i]);
	model_library_fini(&s->library);
	memset(s, 0, sizeof *s);
}

static size_t slot_of(const struct model_server *s, struct span name)
{
	size_t at = XXH3_64bits(name.n ? name.p : "", name.n) & (s->by_name_cap - 1);
	while (s->by_name[at] && !span_is(name, s->clusters[s->by_name[at] - 1]->name))
		at = (at + 1) & (s->by_name_cap - 1);
	return at;
}

struct model_cluster *model_server_cluster(const struct model_server *s, struct span name)
{
	if (!s->by_name_cap)
		return NULL;
	uint32_t i = s->by_name[slot_of(s, name)];
	return i ? s->clusters[i - 1] : NULL;
}

static void grow(struct model_server *s)
{
	s->cluster_cap = s->cluster_cap ? s->cluster_cap * 2 : 8;
	s->clusters = realloc(s->clusters, s->cluster_cap * sizeof(struct model_cluster *));
	free(s->by_name);
	s->by_name_cap = s->cluster_cap * 2;
	s->by_name = calloc(s->by_name_cap, sizeof *s->by_name);
	CHECK(s->clusters && s->by_name);
	for (size_t i = 0; i < s->cluster_count; i++)
		s->by_name[slot_of(s, span_of(s->clusters[i]->name))] = (uint32_t)i + 1;
}

struct model_cluster *model_server_add_cluster(
        struct model_server *s, const struct model_cluster_options *o)
{
	struct span name = span_of(o->name ? o->name : "");
	if (model_server_cluster(s, name))
		return NULL;
	if (s->cluster_count == s->cluster_cap)
		grow(s);
	struct model_cluster *c = model_cluster_new(&s->library, o);
	size_t slot = slot_of(s, name);
	c->number = (uint32_t)s->cluster_count;
	s->clusters[s->cluster_count++] = c;
	s->by_name[slot] = (uint32_t)s->cluster_count;
	return c;
}

static bool fits(const char *s, size_t bytes)
{
	return strlen(s) < bytes;
}

bool model_server_add_token(struct model_server *s, const char *token, const char *user)
{
	size_t i = 0;
	while (i < s->token_count && s->tokens[i].token[0])
		i++;
	if (i == MODEL_TOKENS_MAX || !*token || !fits(token, sizeof s->tokens[i].token) ||
	        !fits(user, sizeof s->tokens[i].user))
		return false;
	memcpy(s->tokens[i].token, token, strlen(token) + 1);
	memcpy(s->tokens[i].user, user, strlen(user) + 1);
	if (i == s->token_count)
		s->token_count++;
	return true;
}

bool model_server_remove_token(struct model_server *s, const char *token)
{
	for (size_t i = 0; i < s->token_count; i++) {
		if (strcmp(s->tokens[i].token, token) != 0)
			continue;
		/* An emptied row, not a shorter table: with no row left, everybody would be let in.
		 */
		s->tokens[i].token[0] = 0;
		return true;
	}
	return false;
}

bool model_server_add_deny(struct model_server *s, const struct model_deny *rule)
{
	if (s->deny_count == MODEL_DENY_MAX)
		return false;
	s->deny[s->deny_count++] = *rule;
	return true;
}

void model_server_clear_deny(struct model_server *s)
{
	s->deny_count = 0;
}
