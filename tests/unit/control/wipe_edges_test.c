/* wipe_edges_test.c - what logs in is wiped where things go wrong too: of a request that was not
 * sent, of a plugin's answer that is no good, of cookies that do not fit. */
#include "unit/control/rig.h"

#include "config/credential_answer.h"
#include "harness/given_back.h"

#define TOKEN "wiped-or-not-7f3a"

/* --- a Headlamp backend without TLS ------------------------------------------------------------
 */

enum { CONTEXTS = 16, LONG = 7000 };

struct hub {
	struct rig rig;
	struct settings_headlamp headlamp;
	struct settings_cluster entry;
	struct config_backend backend;
	struct config_cluster clusters[CONTEXTS];
	char names[CONTEXTS][16], token[LONG + 1];
};

/* cluster_token: of the clusters behind it; NULL: none. */
static void hub_init(struct hub *h, const char *cluster_token)
{
	rig_config(&h->rig);
	h->headlamp = (struct settings_headlamp){0};
	h->entry = (struct settings_cluster){.name = "hub", .headlamp = &h->headlamp};
	h->backend = (struct config_backend){.name = "hub",
	        .entry = &h->entry,
	        .conf = {.context = "hub",
	                .server = h->rig.cluster.conf.server,
	                .credential = {.token = TOKEN}},
	        .cluster_credential = {.token = cluster_token}};
	for (int i = 0; i < CONTEXTS; i++) {
		snprintf(h->names[i], sizeof h->names[i], "c%d", 10 + i);
		h->clusters[i] = (struct config_cluster){
		        .name = h->names[i], .context = h->names[i], .backend = &h->backend};
	}
	h->rig.config.backends = &h->backend;
	h->rig.config.backend_count = 1;
	h->rig.config.clusters = h->clusters;
	h->rig.config.cluster_count = CONTEXTS;
	rig_start(&h->rig);
	given_back_watch(TOKEN, sizeof TOKEN - 1);
	backends_start(h->rig.control);
}

static struct fake_sock *asked(struct rig *g)
{
	for (int i = 0; i < 20; i++) {
		struct fake_sock *s = fake_io_sock(&g->io, 0);
		if (s && s->sent_bytes)
			return s;
		if (s && !s->open)
			fake_io_connected(s, ERR_OK);
		both(g);
	}
	fail_msg("nothing was asked");
	return NULL;
}

/* half: the connection goes while the request is still being sent. */
static void a_request_in_the_clear(bool half)
{
	static struct hub h;
	struct rig *g = &h.rig;
	hub_init(&h, NULL);
	struct fake_sock *s = asked(g);
	assert_non_null(strstr(s->sent, TOKEN));
	s->hold_sent = half;
	if (half)
		fake_io_end(s, ERR_CONN_RESET);
	else
		fake_io_bytes(s, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"clusters\":[]}");
	for (int i = 0; i < 10; i++)
		both(g);
	rig_fini(g);
	assert_int_equal(given_back_with_it, 0);
}

static void a_request_that_was_sent(void **state)
{
	(void)state;
	a_request_in_the_clear(false);
}

static void a_request_that_was_not_sent(void **state)
{
	(void)state;
	a_request_in_the_clear(true);
}

static void cookies_that_do_not_fit(void **state)
{
	static struct hub h;
	(void)state;
	memset(h.token, 'x', LONG);
	memcpy(h.token, TOKEN, sizeof TOKEN - 1);
	hub_init(&h, h.token);
	/* The backend is asked for its clusters all the same; some of them can be logged in to. */
	const struct fake_sock *s = asked(&h.rig);
	assert_non_null(strstr(s->sent, "GET /config "));
	const struct known_cluster *self = h.rig.control->backends.rows[0]->self;
	const struct auth *a = core_cluster(h.rig.reactor, self->id)->auth;
	assert_non_null(strstr(a->upgrade_cookie, "; headlamp-auth-c11.0=" TOKEN));
	assert_null(strstr(a->upgrade_cookie, "headlamp-auth-c25."));
	assert_non_null(strstr(warned, "backend \"hub\": the cookies with headlamp.clusterToken"));
	assert_null(strstr(warned, TOKEN));
	rig_fini(&h.rig);
	assert_int_equal(given_back_with_it, 0);
}

/* --- a plugin ---------------------------------------------------------------------------------
 */

static void a_plugins_answer(void **state)
{
	static const char api[] = "client.authentication.k8s.io/v1";
	static const char good[] =
	        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
	        "\"status\":{\"token\":\"" TOKEN "\"}}";
	static const char bad[] = "{\"kind\":\"Other\",\"status\":{\"token\":\"" TOKEN "\"}}";
	static const char broken[] = "{\"status\":{\"token\":\"" TOKEN "\"";
	struct credential_answer a;
	struct errmsg m = {0};
	(void)state;
	given_back_watch(TOKEN, sizeof TOKEN - 1);
	assert_int_equal(credential_answer_parse(span_of(good), api, &a, &m), ERR_OK);
	assert_true(span_is(a.token, TOKEN));
	credential_answer_fini(&a);
	assert_int_equal(credential_answer_parse(span_of(bad), api, &a, &m), ERR_CRED_EXEC);
	assert_int_equal(credential_answer_parse(span_of(broken), api, &a, &m), ERR_CRED_EXEC);
	assert_int_equal(given_back_with_it, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_request_that_was_sent),
	        cmocka_unit_test(a_request_that_was_not_sent),
	        cmocka_unit_test(cookies_that_do_not_fit),
	        cmocka_unit_test(a_plugins_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
