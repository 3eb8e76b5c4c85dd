/* credentials_test.c - what control tells a reactor of a credential that has changed. The reactor
 * never turns while that is asked: its mailbox is read. */
#include "unit/config/scratch.h"

#include "base/check.h"
#include "config/config.h"
#include "control/core.h"
#include "unit/control/reactor.h"
#include "wire/tls.h"

struct rig {
	char path[96];
	struct settings settings;
	struct config_cluster clusters[3]; /* in the order of their names */
	struct config config;
	struct control *control;
	struct reactor *reactor;
	struct fake_io io;
};

static unsigned warnings;
static char warned[512];
static void warn(const char *text)
{
	warnings++;
	snprintf(warned, sizeof warned, "%s", text);
}

static void rig_init(struct rig *g, struct scratch *s)
{
	*g = (struct rig){0};
	warnings = 0;
	snprintf(g->path, sizeof g->path, "%s/socket", s->dir);
	g->clusters[0] = (struct config_cluster){.name = "c",
	        .context = "c",
	        .conf = {.context = "c",
	                .insecure = true,
	                .server = {.tls = true,
	                        .text = "https://127.0.0.1:1",
	                        .host = "127.0.0.1",
	                        .authority = "127.0.0.1:1",
	                        .path = "",
	                        .port = 1},
	                .credential = {.cert_file = scratch_path(s, "c.crt"),
	                        .key_file = scratch_path(s, "c.key"),
	                        .token_file = scratch_path(s, "token")}}};
}

/* With so many of the clusters. */
static void rig_start(struct rig *g, size_t count)
{
	struct errmsg m = {0};
	g->config = (struct config){
	        .settings = &g->settings, .clusters = g->clusters, .cluster_count = count};
	struct control_config cc = {.socket_path = g->path,
	        .config = &g->config,
	        .settings = &g->settings,
	        .reactor_count = 1,
	        .warn = warn};
	assert_int_equal(control_new(&cc, &g->control, &m), ERR_OK);
	g->reactor = reactor_of_test(g->control, &g->io, 0, 1);
	control_set_reactors(g->control, &g->reactor);
}

static void rig_fini(struct rig *g)
{
	consumers_bye(g->control);
	reactor_post(g->reactor, reactor_msg_new(REACTOR_STOP));
	while (!g->reactor->stopped)
		reactor_turn(g->reactor, 0);
	control_free(&g->control);
	reactor_free(&g->reactor);
	fake_io_fini(&g->io);
}

/* The last CLUSTER_CREDENTIAL; *count: how many there are. */
static const struct reactor_msg *told(const struct rig *g, unsigned *count)
{
	const struct reactor_msg *last = NULL;
	*count = 0;
	LIST_EACH (it, &g->reactor->mailbox) {
		const struct reactor_msg *m = CONTAINER_OF(it, struct reactor_msg, link);
		if (m->type != REACTOR_CLUSTER_CREDENTIAL)
			continue;
		last = m;
		++*count;
	}
	assert_non_null(last);
	return last;
}

/* A 401 reads all files again; the pool's clock runs ahead, over what it spaces refreshes by. */
static void read_again(struct rig *g, uint64_t *ahead_ns)
{
	struct control *c = g->control;
	*ahead_ns += 20000000000u;
	clusters_on_wants_credential(c, 0);
	credential_pool_on_timer(c->credentials, loop_now_ns(c->loop) + *ahead_ns, 1000000000);
	clusters_on_credentials(c);
}

/* What the reactor of cluster "c" is told, which has a certificate until 2000000000 and a token. */
static const struct reactor_msg *placed_with_a_pair(
        struct rig *g, struct scratch *s, unsigned *count)
{
	struct scratch_pair pair;
	struct errmsg m = {0};
	scratch_pair_make(&pair, 2000000000);
	scratch_write(s, "c.crt", pair.cert);
	scratch_write(s, "c.key", pair.key);
	scratch_write(s, "token", "one");
	rig_init(g, s);
	rig_start(g, 1);
	assert_int_equal(clusters_place(g->control, clusters_find(g->control, "c"), &m), ERR_OK);
	return told(g, count);
}

static void another_certificate_is_told_as_such(void **state)
{
	struct scratch *s = *state;
	struct scratch_pair second;
	struct rig g;
	unsigned count;
	uint64_t ahead_ns = 0;
	scratch_pair_make(&second, 2000000000);
	const struct reactor_msg *last = placed_with_a_pair(&g, s, &count);
	assert_int_equal(count, 1);
	assert_int_equal(last->err, ERR_OK);
	assert_false(last->credential.renewed); /* nothing was made with another one */
	scratch_write(s, "token", "two");
	read_again(&g, &ahead_ns);
	last = told(&g, &count);
	assert_int_equal(count, 2);
	assert_string_equal(last->credential.auth->authorization, "Bearer two");
	assert_false(last->credential.renewed); /* a token is checked with each request */
	scratch_write(s, "c.crt", second.cert);
	scratch_write(s, "c.key", second.key);
	read_again(&g, &ahead_ns);
	last = told(&g, &count);
	assert_int_equal(count, 3);
	assert_int_equal(last->err, ERR_OK);
	assert_true(last->credential.renewed);
	assert_int_equal(warnings, 0);
	rig_fini(&g);
}

/* A cluster that goes, or gets another certificate, takes its key along. */
static void what_all_share_is_not_of_the_first_one(void **state)
{
	struct scratch *s = *state;
	struct rig g;
	unsigned count;
	const struct reactor_msg *last = placed_with_a_pair(&g, s, &count);
	assert_int_equal(tls_config_expiry(last->credential.tls), 2000000000);
	assert_non_null(g.control->clusters.share);
	assert_int_equal(tls_config_expiry(g.control->clusters.share), INT64_MAX); /* no key */
	rig_fini(&g);
}

/* Read, the certificates of an authority are 4 KiB: clusters with the same bytes share them. */
static void clusters_with_one_authority_share_what_was_read_of_it(void **state)
{
	struct scratch *s = *state;
	struct scratch_pair one, other;
	struct rig g;
	struct errmsg m = {0};
	static const char *const names[] = {"a", "b", "c"};
	scratch_pair_make(&one, 2000000000);
	scratch_pair_make(&other, 2000000000);
	rig_init(&g, s);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		g.clusters[i] = g.clusters[0];
		g.clusters[i].name = g.clusters[i].conf.context = names[i];
		g.clusters[i].conf.insecure = false;
		g.clusters[i].conf.ca_pem = span_of(i == 1 ? other.cert : one.cert);
		g.clusters[i].conf.credential = (struct credential_conf){0};
	}
	rig_start(&g, ARRAY_LEN(names));
	struct known_cluster *k[3];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		k[i] = clusters_find(g.control, names[i]);
		assert_int_equal(clusters_place(g.control, k[i], &m), ERR_OK);
		assert_non_null(k[i]->roots);
	}
	assert_ptr_equal(k[0]->roots, k[2]->roots);
	assert_ptr_not_equal(k[0]->roots, k[1]->roots);
	/* The one that read it gets another authority, and then the first one's again. */
	k[0]->conf.ca_pem = span_of(other.cert);
	clusters_change(g.control, k[0], false, true);
	assert_ptr_equal(k[0]->roots, k[1]->roots);
	assert_int_equal(tls_roots_count(k[2]->roots), 1);
	k[0]->conf.ca_pem = span_of(one.cert);
	clusters_change(g.control, k[0], false, true);
	assert_ptr_equal(k[0]->roots, k[2]->roots);
	assert_int_equal(warnings, 0);
	rig_fini(&g);
}

/* Two of them have one plugin's answer between them. */
static void news_of_one_credential_go_to_those_who_have_it(void **state)
{
	struct scratch *s = *state;
	struct rig g;
	struct errmsg m = {0};
	unsigned count;
	static const char *const names[] = {"a", "b", "c"};
	static const char *const args[] = {"x"};
	static const struct credential_exec_conf exec = {.command = "/nowhere/plugin",
	        .api_version = "client.authentication.k8s.io/v1",
	        .args = args,
	        .arg_count = 1};
	scratch_write(s, "token", "one");
	rig_init(&g, s);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		g.clusters[i] = g.clusters[0];
		g.clusters[i].name = g.clusters[i].conf.context = names[i];
		g.clusters[i].conf.credential = (struct credential_conf){.exec = &exec};
	}
	g.clusters[0].conf.credential =
	        (struct credential_conf){.token_file = scratch_path(s, "token")};
	rig_start(&g, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(
		        clusters_place(g.control, clusters_find(g.control, names[i]), &m), ERR_OK);
	const struct known_cluster *b = clusters_find(g.control, "b");
	assert_ptr_equal(b->source, clusters_find(g.control, "c")->source);
	told(&g, &count);
	assert_int_equal(count, 3); /* of b and c: why there is none */
	assert_int_equal(warnings, 2);
	assert_non_null(strstr(warned, "cluster \"c\" has no credential that is good: "));
	assert_non_null(strstr(warned, "/nowhere/plugin not found"));
	scratch_write(s, "token", "two");
	uint64_t now_ns = loop_now_ns(g.control->loop);
	clusters_on_wants_credential(g.control, clusters_find(g.control, "a")->id);
	credential_pool_on_timer(g.control->credentials, now_ns + 1000000000u, 1000000000);
	clusters_on_credentials(g.control);
	const struct reactor_msg *last = told(&g, &count);
	assert_int_equal(count, 4);
	assert_int_equal(last->cluster, clusters_find(g.control, "a")->id);
	clusters_on_wants_credential(g.control, b->id); /* tried again, and again it is not there */
	credential_pool_on_timer(g.control->credentials, now_ns + 90000000000u, 1000000000);
	clusters_on_credentials(g.control);
	last = told(&g, &count);
	assert_int_equal(count, 6);
	assert_int_equal(last->err, ERR_CRED_EXEC);
	assert_int_equal(warnings, 2); /* it has been told */
	/* One of the two goes; the other has it still. */
	clusters_remove(g.control, clusters_find(g.control, "c"), "gone");
	assert_int_equal(
	        g.control->clusters.by_source.count, 3); /* until the reactor's last word */
	rig_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                another_certificate_is_told_as_such, scratch_setup, scratch_teardown),
	        cmocka_unit_test_setup_teardown(
	                what_all_share_is_not_of_the_first_one, scratch_setup, scratch_teardown),
	        cmocka_unit_test_setup_teardown(
	                clusters_with_one_authority_share_what_was_read_of_it, scratch_setup,
	                scratch_teardown),
	        cmocka_unit_test_setup_teardown(news_of_one_credential_go_to_those_who_have_it,
	                scratch_setup, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
