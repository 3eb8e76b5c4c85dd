/* settings_realm.c: the policy as a full matrix: every uid and group set x cluster x resource x
 * namespace, against a model written down by hand below, which shares no code with the policy. */
#include "config/settings.h"

#include <errno.h>
#include <grp.h>

#include "scratch.h"

static const char config[] =
        "apiVersion: kubering.io/v1alpha1\nkind: Config\n"
        "realms:\n"
        "- name: web\n"
        "  allow: {uids: [100], gids: [500]}\n"
        "  lists:\n"
        "  - {clusters: 'prod-*', resources: [pods, deployments.apps], namespaces: [web, "
        "web-staging]}\n"
        "  - {clusters: dev, namespaces: [web]}\n"
        "- name: nodes\n"
        "  allow: {uids: [100, 101]}\n"
        "  lists: [{resources: [nodes, '*.metrics.k8s.io']}]\n"
        "- name: teams\n"
        "  allow: {gids: [501]}\n"
        "  lists: [{clusters: [dev], resources: ['*'], namespaces: ['team-*']}]\n"
        "- name: vault\n"
        "  allow: {uids: [102]}\n"
        "  lists: [{clusters: prod-eu, resources: secrets, namespaces: '*'}]\n"
        "  secretValues: true\n"
        "- name: nobody\n"
        "  allow: {}\n"
        "  lists: [{clusters: lab}]\n"
        "- name: nothing\n"
        "  allow: {uids: [103]}\n"
        "  lists: []\n"
        "- name: admin\n"
        "  allow: {uids: [0]}\n"
        "  lists: [{clusters: '*'}]\n";

static const char *const clusters[] = {"prod-eu", "prod-", "prod", "dev", "lab", "xprod-eu"};
static const struct {
	const char *group, *resource;
} resources[] = {
        {"", "pods"},
        {"", "nodes"},
        {"", "secrets"},
        {"apps", "deployments"},
        {"", "deployments"},
        {"metrics.k8s.io", "pods"},
        {"metrics.k8s.io", "nodes"},
        {"evil.io", "secrets"},
};
static const char *const namespaces[] = {"", "web", "web-staging", "web2", "team-a", "team-"};
static const struct {
	uid_t uid;
	gid_t gids[2];
	size_t gid_count;
} peers[] = {
        {0, {0}, 0},
        {100, {100}, 1},
        {101, {500, 1}, 2},
        {102, {0}, 0},
        {103, {103}, 1},
        {104, {501, 500}, 2},
        {105, {1, 501}, 2},
        {500, {0}, 0},
        {4294967294u, {4294967294u}, 1},
};

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* The model: realm number i of the text above, spelled out. */
static bool model_covers(size_t realm, const char *c, const char *g, const char *r, const char *ns)
{
	switch (realm) {
	case 0:
		if (is(c, "prod-eu") || is(c, "prod-"))
			return ((is(r, "pods") && is(g, "")) ||
			               (is(r, "deployments") && is(g, "apps"))) &&
			       (is(ns, "web") || is(ns, "web-staging"));
		return is(c, "dev") && is(ns, "web");
	case 1: return (is(r, "nodes") && is(g, "")) || is(g, "metrics.k8s.io");
	case 2: return is(c, "dev") && (is(ns, "team-a") || is(ns, "team-"));
	case 3: return is(c, "prod-eu") && is(r, "secrets") && is(g, "");
	case 4: return is(c, "lab");
	case 5: return false;
	default: return true;
	}
}

static bool model_allows(size_t realm, size_t peer)
{
	static const bool allowed[7][9] = {
	        /*           0  100 101 102 103 104 105 500 max */
	        [0] = {false, true, true, false, false, true, false, false, false},
	        [1] = {false, true, true, false, false, false, false, false, false},
	        [2] = {false, false, false, false, false, true, true, false, false},
	        [3] = {false, false, false, true, false, false, false, false, false},
	        [5] = {false, false, false, false, true, false, false, false, false},
	        [6] = {true, false, false, false, false, false, false, false, false},
	};
	return allowed[realm][peer];
}

#define EACH(i, array) for (size_t i = 0; i < sizeof array / sizeof *array; i++)

static struct settings *load(struct scratch *s, const char *text)
{
	static const struct settings_env env = {.uid = 1};
	struct problem_list problems;
	struct settings *out;
	problem_list_init(&problems);
	if (settings_load(scratch_write(s, "k.yaml", text), &env, &problems, &out) != ERR_OK)
		fail_msg("%s", scratch_problems(&problems));
	problem_list_fini(&problems);
	return out;
}

/* One list: the realm it falls into, and the decision for every peer. */
static void check_list(const struct settings *s, const struct settings_target *t, size_t *granted)
{
	const struct settings_realm *first = NULL;
	for (size_t i = 0; i < 7 && !first; i++)
		if (model_covers(i, t->cluster, t->group, t->resource, t->namespace_))
			first = &s->realms[i];
	assert_ptr_equal(
	        settings_realm_for(s, t->cluster, t->group, t->resource, t->namespace_), first);
	EACH(p, peers)
	{
		const struct settings_realm *want = NULL;
		for (size_t i = 0; i < 7 && !want; i++)
			if (model_covers(i, t->cluster, t->group, t->resource, t->namespace_) &&
			        model_allows(i, p))
				want = &s->realms[i];
		struct settings_peer peer = {peers[p].uid, peers[p].gids, peers[p].gid_count};
		const struct settings_realm *got = settings_admit(s, t, &peer);
		if (got != want)
			fail_msg("uid %u, %s %s.%s in \"%s\": %s instead of %s", peer.uid,
			        t->cluster, t->resource, t->group, t->namespace_,
			        got ? got->name : "denied", want ? want->name : "denied");
		*granted += got != NULL;
	}
}

static void policy_matrix_equals_the_model(void **state)
{
	struct settings *s = load(*state, config);
	size_t decisions = 0, granted = 0;
	assert_int_equal(s->realm_count, 7);
	EACH(c, clusters) EACH(r, resources) EACH(n, namespaces)
	{
		struct settings_target t = {
		        clusters[c], resources[r].group, resources[r].resource, namespaces[n]};
		check_list(s, &t, &granted);
		decisions += sizeof peers / sizeof *peers;
	}
	assert_int_equal(decisions, 6 * 8 * 6 * 9);
	assert_true(granted > decisions / 10 && granted < decisions / 2); /* both answers occur */
	EACH(i, peers)
	for (size_t r = 0; r < 7; r++)
		assert_int_equal(settings_allows(s, &s->realms[r], peers[i].uid, peers[i].gids,
		                         peers[i].gid_count),
		        model_allows(r, i));
	settings_free(&s);
}

static void policy_secret_values_need_an_explicit_grant(void **state)
{
	struct settings *s = load(*state, config);
	for (size_t i = 0; i < s->realm_count; i++)
		assert_int_equal(settings_secret_values(s, &s->realms[i]),
		        strcmp(s->realms[i].name, "vault") == 0);
	settings_free(&s);
}

static void policy_no_realms_means_nobody(void **state)
{
	struct settings *s =
	        load(*state, "apiVersion: kubering.io/v1alpha1\nkind: Config\nrealms: []\n");
	struct settings_target t = {"c", "", "pods", NULL};
	struct settings_peer root = {0, NULL, 0};
	assert_int_equal(s->realm_count, 0);
	assert_null(settings_realm_for(s, "c", "", "pods", NULL));
	assert_null(settings_admit(s, &t, &root));
	settings_free(&s);
}

static void policy_names_cannot_be_forged_with_dots(void **state)
{
	struct settings *s = load(*state,
	        "apiVersion: kubering.io/v1alpha1\nkind: Config\nrealms:\n"
	        "- {name: a, allow: {uids: [1]}, lists: [{resources: ['*.apps', pods]}]}\n");
	const struct settings_realm *r = s->realms;
	assert_ptr_equal(settings_realm_for(s, "c", "apps", "deployments", NULL), r);
	assert_ptr_equal(settings_realm_for(s, "c", NULL, "pods", NULL), r);
	assert_null(settings_realm_for(s, "c", "", "secrets.apps", NULL));
	assert_null(settings_realm_for(s, "c", "", "pods/log", NULL));
	char group[400];
	memset(group, 'g', sizeof group - 6);
	memcpy(group + sizeof group - 6, ".apps", 6);
	assert_null(settings_realm_for(s, "c", group, "x", NULL)); /* no cut name may match */
	settings_free(&s);
}

static void policy_sees_a_cluster_by_any_grant(void **state)
{
	struct settings *s = load(*state, config);
	struct settings_peer web = {100, NULL, 0}, team = {5, &(gid_t){501}, 1};
	struct settings_peer nothing = {103, NULL, 0}, stranger = {9, NULL, 0};
	EACH(c, clusters)
	{
		assert_true(settings_sees_cluster(s, clusters[c], &web)); /* nodes: of all */
		assert_int_equal(settings_sees_cluster(s, clusters[c], &team),
		        strcmp(clusters[c], "dev") == 0);
		assert_false(settings_sees_cluster(s, clusters[c], &nothing));
		assert_false(settings_sees_cluster(s, clusters[c], &stranger));
	}
	settings_free(&s);
}

/* Stands before libc's: a directory service's, where an entry names all members of a group. */
enum { STAFF_BYTES = 300000, STAFF_GID = 777 };
int getgrnam_r(const char *name, struct group *gr, char *buf, size_t size, struct group **found)
{
	*found = NULL;
	if (strcmp(name, "staff") != 0)
		return 0;
	if (size < STAFF_BYTES)
		return ERANGE;
	memset(buf, 0, size);
	*gr = (struct group){.gr_name = buf, .gr_gid = STAFF_GID};
	*found = gr;
	return 0;
}

static void policy_a_group_may_have_many_members(void **state)
{
	struct settings *s =
	        load(*state, "apiVersion: kubering.io/v1alpha1\nkind: Config\nrealms:\n"
	                     "- {name: a, allow: {groups: [staff], users: [root]}, lists: "
	                     "[{resources: [pods]}]}\n");
	assert_int_equal(s->realms[0].gid_count, 1);
	assert_int_equal(s->realms[0].gids[0], STAFF_GID);
	assert_int_equal(s->realms[0].uid_count, 1);
	assert_int_equal(s->realms[0].uids[0], 0);
	settings_free(&s);
}

/* What a start would refuse, --check refuses too. */
static void there_are_as_many_realms_as_reactors_serve(void **state)
{
	static const struct settings_env env = {.uid = 1};
	for (int extra = 0; extra <= 1; extra++) {
		struct problem_list problems;
		struct settings *s;
		char text[8192];
		int n = snprintf(text, sizeof text,
		        "apiVersion: kubering.io/v1alpha1\nkind: Config\nrealms:\n");
		for (int i = 0; i < SETTINGS_REALMS_MAX + extra; i++)
			n += snprintf(text + n, sizeof text - (size_t)n,
			        "- {name: r%d, allow: {uids: [0]}, lists: [{}]}\n", i);
		problem_list_init(&problems);
		err_t err =
		        settings_load(scratch_write(*state, "k.yaml", text), &env, &problems, &s);
		assert_int_equal(err, extra ? ERR_CONFIG : ERR_OK);
		if (extra)
			assert_non_null(strstr(scratch_problems(&problems), "at most 64"));
		problem_list_fini(&problems);
		settings_free(&s);
	}
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(there_are_as_many_realms_as_reactors_serve),
	        SCRATCH_TEST(policy_matrix_equals_the_model),
	        SCRATCH_TEST(policy_secret_values_need_an_explicit_grant),
	        SCRATCH_TEST(policy_no_realms_means_nobody),
	        SCRATCH_TEST(policy_sees_a_cluster_by_any_grant),
	        SCRATCH_TEST(policy_a_group_may_have_many_members),
	        SCRATCH_TEST(policy_names_cannot_be_forged_with_dots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
