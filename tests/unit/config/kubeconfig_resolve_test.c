/* kubeconfig_resolve: every rule of clusters and users that can be told from the file (client-go:
 * tools/clientcmd, rest, transport, plugin/pkg/client/auth/exec), and that one broken context
 * leaves the others alone. */
#include "config/kubeconfig.h"

#include "scratch.h"

static struct scratch_pair pair;

struct resolved {
	struct problem_list problems;
	struct kubeconfig *kc;
	struct cluster_conf conf;
	struct errmsg m;
	err_t err;
};

/* One context "c" with these two stanzas (flow mappings; NULL: no user). */
static void resolve(struct resolved *r, struct scratch *s, const char *cluster, const char *user)
{
	size_t size = 32768;
	char *text = malloc(size);
	snprintf(text, size,
	        "clusters:\n- name: k\n  cluster: %s\nusers:\n- name: u\n  user: %s\n"
	        "contexts: [{name: c, context: {cluster: k%s, namespace: ns}}]\n",
	        cluster, user ? user : "{}", user ? ", user: u" : "");
	*r = (struct resolved){0};
	problem_list_init(&r->problems);
	const char *path = scratch_write(s, "d/kubeconfig", text);
	free(text);
	struct kubeconfig_source source = {.files = &path, .file_count = 1};
	if (kubeconfig_load(&source, &r->problems, &r->kc) != ERR_OK)
		fail_msg("%s", scratch_problems(&r->problems));
	r->err = kubeconfig_resolve(r->kc, "c", &r->conf, &r->m);
	assert_int_equal(r->err, r->m.code);
}

static void release(struct resolved *r)
{
	cluster_conf_fini(&r->conf);
	kubeconfig_free(&r->kc);
	problem_list_fini(&r->problems);
}

static void fine(struct resolved *r, struct scratch *s, const char *cluster, const char *user)
{
	resolve(r, s, cluster, user);
	if (r->err != ERR_OK)
		fail_msg("%s", r->m.text);
}

#define HTTPS "{server: 'https://h'}"

static const char *data(const char *pem)
{
	static char out[4][4096];
	static unsigned turn;
	return scratch_base64(pem, out[turn++ % 4], sizeof out[0]);
}

static char cert_only[4096], bad_key[12288], both_cert[8192], both_ca[8192], insecure_ca[8192];

#define EXEC(rest) "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1" rest "}}"

static const struct {
	const char *cluster, *user, *problem;
} mistakes[] = {
        /* cluster */
        {"{}", "{}", ":3:12: cluster \"k\": server: is missing"},
        {"{server: ''}", "{}", "server: is missing"},
        {"{server: [h]}", "{}", ":3:21: cluster \"k\": server: expected a string, found a list"},
        {"{server: 'https://u:hunter2@h'}", "{}", "server: user and password in the URL"},
        {"{server: 'ftp://h'}", "{}", "server: only http and https"},
        {"{server: 'h/path'}", "{}", "server: a path needs a scheme"},
        {"{server: h, proxy-url: 'socks5://p'}", "{}", "proxy-url: proxies are not supported yet"},
        {"{server: h, insecure-skip-tls-verify: 'true'}", "{}",
                "insecure-skip-tls-verify: expected true or false, found a string"},
        {"{server: h, certificate-authority-data: '?'}", "{}",
                "certificate-authority-data: is not base64"},
        {"{server: h, certificate-authority-data: aGk=}", "{}",
                "certificate-authority-data: no PEM certificate inside"},
        {both_ca, "{}", "certificate-authority: is given together with certificate-authority-data"},
        {insecure_ca, "{}", "certificate-authority-data: is not allowed together with insecure"},
        {"{server: h, certificate-authority: none.crt}", "{}", "/d/none.crt no such file"},
        {"{server: h, tls-server-name: 'a b'}", "{}", "tls-server-name: is not a host name"},
        {"{server: h, tls-server-name: 'a:1'}", "{}", "tls-server-name: is not a host name"},
        /* user */
        {HTTPS, cert_only, "client-key: or client-key-data is missing"},
        {HTTPS, bad_key, "client-key-data: no PEM private key inside"},
        {HTTPS, "{client-certificate-data: aGk=, client-key-data: aGk=}",
                "client-certificate-data: no PEM certificate inside"},
        {HTTPS, both_cert, "client-certificate: is given together with client-certificate-data"},
        {HTTPS, "{client-certificate: f, client-key: a, client-key-data: aGk=}",
                "client-key: is given together with client-key-data"},
        {HTTPS, "{token: t, username: u}", "token: is given together with username or password"},
        {HTTPS, "{tokenFile: t, password: u}", "tokenFile: is given together with username"},
        {HTTPS, "{token: \"t\\r\\nX: y\"}", "token: has a control character"},
        {HTTPS, "{token: {a: b}}", ":6:17: user \"u\": token: expected a string, found a mapping"},
        {HTTPS, "{auth-provider: {name: gcp}}", "use the exec plugin gke-gcloud-auth-plugin"},
        {HTTPS, "{auth-provider: {name: azure}}",
                "use the exec plugin kubelogin (Azure/kubelogin)"},
        {HTTPS, "{auth-provider: {name: oidc}}", "kubectl oidc-login"},
        {HTTPS, "{auth-provider: {name: x}}",
                "auth-provider: is no longer part of Kubernetes; use"},
        {HTTPS, "{auth-provider: {name: x}, exec: {}}", "is given together with exec"},
        {HTTPS, "{as-uid: '1'}", "as: is missing, but as-uid"},
        {HTTPS, "{as-groups: [g]}", "as: is missing, but as-uid"},
        {HTTPS, "{as-user-extra: {k: [v]}}", "as: is missing, but as-uid"},
        {HTTPS, "{as: \"a\\nb\"}", "has a control character"},
        {HTTPS, "{as: a, as-groups: g}", "as-groups: expected a list, found a string"},
        {HTTPS, "{as: a, as-groups: [[g]]}", "as-groups: expected a string, found a list"},
        {HTTPS, "{as: a, as-user-extra: [k]}", "as-user-extra: expected a mapping"},
        {HTTPS, "{as: a, as-user-extra: {k: [\"v\\r\"]}}", "as-user-extra: has a control"},
        /* exec */
        {HTTPS, "{exec: [x]}", "exec: expected a mapping, found a list"},
        {HTTPS, "{exec: {apiVersion: client.authentication.k8s.io/v1}}",
                "exec.command: is missing"},
        {HTTPS, "{exec: {command: x}}", "exec.apiVersion: is missing"},
        {HTTPS, "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}",
                "exec.apiVersion: must be client.authentication.k8s.io/v1 or /v1beta1"},
        {HTTPS, EXEC(""), "exec.interactiveMode: is missing"},
        {HTTPS, EXEC(", interactiveMode: Always"), "standard input is unavailable"},
        {HTTPS, EXEC(", interactiveMode: never"), "must be Never, IfAvailable or Always"},
        {HTTPS, EXEC(", interactiveMode: Never, args: x"), "args: expected a list"},
        {HTTPS, EXEC(", interactiveMode: Never, env: {a: b}"), "exec.env: expected a list"},
        {HTTPS, EXEC(", interactiveMode: Never, env: [x]"), "exec.env: expected {name, value}"},
        {HTTPS, EXEC(", interactiveMode: Never, env: [{value: x}]"), "a name is missing"},
        {HTTPS, EXEC(", interactiveMode: Never, env: [{name: 'a=b'}]"), "has '='"},
};

static void resolve_errors_say_file_line_and_field(void **state)
{
	struct scratch *s = *state;
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		struct resolved r;
		resolve(&r, s, mistakes[i].cluster, mistakes[i].user);
		if (r.err == ERR_OK)
			fail_msg("was taken: %s %s", mistakes[i].cluster, mistakes[i].user);
		assert_true(r.err == ERR_CONFIG || r.err == ERR_CRED_FILE);
		scratch_has(r.m.text, "/d/kubeconfig:");
		scratch_has(r.m.text, mistakes[i].problem);
		scratch_has_not(r.m.text, "hunter2");
		release(&r);
	}
}

static void resolve_contexts_fail_one_by_one(void **state)
{
	struct scratch *s = *state;
	const char *path = scratch_write(s, "f",
	        "clusters:\n- {name: k, cluster: {server: 'https://h'}}\n- {name: bad, cluster: "
	        "{}}\n"
	        "users:\n- {name: u, user: {token: t}}\n- {name: old, user: {auth-provider: {name: "
	        "gcp}}}\n"
	        "contexts:\n"
	        "- {name: good, context: {cluster: k, user: u}}\n"
	        "- {name: anonymous, context: {cluster: k}}\n"
	        "- {name: nocluster, context: {user: u}}\n"
	        "- {name: none}\n"
	        "- {name: gone, context: {cluster: gone}}\n"
	        "- {name: nouser, context: {cluster: k, user: gone}}\n"
	        "- {name: broken, context: {cluster: bad, user: u}}\n"
	        "- {name: provider, context: {cluster: k, user: old}}\n"
	        "- {context: {cluster: k}}\n");
	static const struct {
		const char *context, *problem; /* NULL: fine */
	} rows[] = {
	        {"good", NULL},
	        {"anonymous", NULL},
	        {"nocluster", ":10:30: context \"nocluster\": cluster: is missing"},
	        {"none", ":11:3: context \"none\": cluster: is missing"},
	        {"gone",
	                ":12:35: context \"gone\": cluster: no such entry in the kubeconfig: gone"},
	        {"nouser",
	                ":13:46: context \"nouser\": user: no such entry in the kubeconfig: gone"},
	        {"broken", ":3:24: cluster \"bad\": server: is missing"},
	        {"provider", ":6:37: user \"old\": auth-provider: is no longer"},
	        {"", "context \"\": name: is empty"},
	};
	struct problem_list problems;
	struct kubeconfig *kc;
	problem_list_init(&problems);
	struct kubeconfig_source source = {.files = &path, .file_count = 1};
	assert_int_equal(kubeconfig_load(&source, &problems, &kc), ERR_OK);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cluster_conf c;
		struct errmsg m;
		err_t e = kubeconfig_resolve(kc, rows[i].context, &c, &m);
		if ((e == ERR_OK) != (rows[i].problem == NULL))
			fail_msg("%s: %s", rows[i].context, m.text);
		if (rows[i].problem)
			scratch_has(m.text, rows[i].problem);
		else
			cluster_conf_fini(&c);
	}
	struct cluster_conf c;
	struct errmsg m;
	assert_int_equal(kubeconfig_resolve(kc, "unknown", &c, &m), ERR_UNKNOWN_CLUSTER);
	scratch_has(m.text, "no such cluster: context \"unknown\"");
	kubeconfig_free(&kc);
	problem_list_fini(&problems);
}

static void resolve_scheme_default_follows_tls_material(void **state)
{
	struct scratch *s = *state;
	static char ca[8192], cert[12288];
	snprintf(ca, sizeof ca, "{server: 'h:1', certificate-authority-data: %s}", data(pair.cert));
	snprintf(cert, sizeof cert, "{client-certificate-data: %s, client-key-data: %s}",
	        data(pair.cert), data(pair.key));
	const struct {
		const char *cluster, *user, *server;
	} rows[] = {
	        {"{server: 'h:1'}", "{}", "http://h:1"},
	        {"{server: 'h:1'}", "{token: t}", "http://h:1"},
	        {"{server: 'h:1', insecure-skip-tls-verify: true}", "{}", "https://h:1"},
	        {ca, "{}", "https://h:1"},
	        {"{server: 'h:1'}", cert, "https://h:1"},
	        {"{server: 'http://h:1'}", cert, "http://h:1"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct resolved r;
		fine(&r, s, rows[i].cluster, rows[i].user);
		assert_string_equal(r.conf.server.text, rows[i].server);
		release(&r);
	}
}

static void resolve_cluster_fields(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	fine(&r, s,
	        "{server: 'https://r:6443/k8s/clusters/c-1/', tls-server-name: real.example, "
	        "disable-compression: yes, insecure-skip-tls-verify: yes, unknown: 1}",
	        NULL);
	assert_string_equal(r.conf.context, "c");
	assert_string_equal(r.conf.namespace_, "ns");
	assert_string_equal(r.conf.server.path, "/k8s/clusters/c-1");
	assert_string_equal(r.conf.server.authority, "r:6443");
	assert_string_equal(r.conf.tls_server_name, "real.example");
	assert_true(r.conf.disable_compression);
	assert_true(r.conf.insecure);
	assert_int_equal(r.conf.ca_pem.n, 0);
	assert_null(r.conf.credential.user);
	release(&r);
	/* Regression: the address of a server behind a tunnel was taken for no host name. */
	fine(&r, s, "{server: 'https://localhost:1', tls-server-name: 'fd00::1'}", NULL);
	assert_string_equal(r.conf.tls_server_name, "fd00::1");
	release(&r);
	fine(&r, s, HTTPS, "{}");
	assert_false(r.conf.insecure);
	assert_false(r.conf.disable_compression);
	assert_null(r.conf.tls_server_name);
	release(&r);
}

static void resolve_ca_from_data_and_from_a_relative_file(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	char cluster[8192];
	snprintf(cluster, sizeof cluster, "{server: h, certificate-authority-data: %s}",
	        data(pair.cert));
	fine(&r, s, cluster, NULL);
	assert_true(span_is(r.conf.ca_pem, pair.cert));
	assert_null(r.conf.ca_file);
	release(&r);
	scratch_write(s, "d/ca.crt", pair.cert);
	fine(&r, s, "{server: h, certificate-authority: ca.crt}", NULL);
	assert_true(span_is(r.conf.ca_pem, pair.cert));
	scratch_has(r.conf.ca_file, "/d/ca.crt");
	assert_string_equal(r.conf.ca_file, scratch_path(s, "d/ca.crt"));
	release(&r);
	scratch_write(s, "d/ca.crt", "not a certificate");
	resolve(&r, s, "{server: h, certificate-authority: ca.crt}", NULL);
	scratch_has(r.m.text, "certificate-authority: no PEM certificate inside");
	release(&r);
}

static void resolve_relative_paths_and_data(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	char want[512];
	fine(&r, s, HTTPS, "{tokenFile: ../t, client-certificate: c.pem, client-key: /abs/k.pem}");
	snprintf(want, sizeof want, "%s/d/../t", s->dir);
	assert_string_equal(r.conf.credential.token_file, want);
	snprintf(want, sizeof want, "%s/d/c.pem", s->dir);
	assert_string_equal(r.conf.credential.cert_file, want);
	assert_string_equal(r.conf.credential.key_file, "/abs/k.pem");
	release(&r);
	/* "exec.command only if it contains '/'" */
	static const struct {
		const char *command, *want; /* NULL: in the directory */
	} rows[] = {{"aws", "aws"}, {"/bin/x", "/bin/x"}, {"./x", NULL}, {"sub/x", NULL}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char user[256];
		snprintf(user, sizeof user,
		        "{exec: {command: %s, apiVersion: client.authentication.k8s.io/v1beta1}}",
		        rows[i].command);
		snprintf(want, sizeof want, "%s/d/%s", s->dir, rows[i].command);
		fine(&r, s, HTTPS, user);
		assert_string_equal(
		        r.conf.credential.exec->command, rows[i].want ? rows[i].want : want);
		release(&r);
	}
}

static void resolve_user_fields(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	static char user[12288];
	snprintf(user, sizeof user, "{token: t, client-certificate-data: %s, client-key-data: %s}",
	        data(pair.cert), data(pair.key));
	fine(&r, s, HTTPS, user); /* certificate and token together are allowed */
	assert_string_equal(r.conf.credential.user, "u");
	assert_string_equal(r.conf.credential.token, "t");
	assert_true(span_is(r.conf.credential.cert_pem, pair.cert));
	assert_true(span_is(r.conf.credential.key_pem, pair.key));
	release(&r);
	fine(&r, s, HTTPS, "{username: u, password: p}");
	assert_string_equal(r.conf.credential.username, "u");
	assert_string_equal(r.conf.credential.password, "p");
	release(&r);
	fine(&r, s, HTTPS, "{client-key: ignored.pem}");
	assert_null(r.conf.credential.key_file);
	release(&r);
	fine(&r, s, HTTPS, "{token: 12345}"); /* more lenient than kubectl: text as written */
	assert_string_equal(r.conf.credential.token, "12345");
	release(&r);
	fine(&r, s, HTTPS, "{token: null, username: ''}");
	assert_null(r.conf.credential.token);
	assert_null(r.conf.credential.username);
	release(&r);
}

static void resolve_credentials_never_go_over_http(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	fine(&r, s, "{server: 'http://h'}", "{token: t, as: bob}");
	assert_null(r.conf.credential.token);
	assert_string_equal(r.conf.credential.impersonate, "Impersonate-User: bob\r\n");
	assert_int_equal(r.conf.warning_count, 1);
	scratch_has(r.conf.warnings[0], "user \"u\": its credential is not used");
	release(&r);
	fine(&r, s, "{server: 'http://h'}",
	        "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1beta1}}");
	assert_null(r.conf.credential.exec);
	release(&r);
	fine(&r, s, "{server: 'http://h'}", "{}");
	assert_int_equal(r.conf.warning_count, 0);
	release(&r);
}

static void resolve_impersonation_headers(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	fine(&r, s, HTTPS,
	        "{as: bob, as-uid: '7', as-groups: [g1, 'g 2'], "
	        "as-user-extra: {scopes: [a, b], 'acme.com/x%': [c], empty: []}}");
	assert_string_equal(r.conf.credential.impersonate,
	        "Impersonate-User: bob\r\nImpersonate-Uid: 7\r\nImpersonate-Group: g1\r\n"
	        "Impersonate-Group: g 2\r\nImpersonate-Extra-scopes: a\r\n"
	        "Impersonate-Extra-scopes: b\r\nImpersonate-Extra-acme.com%2Fx%25: c\r\n");
	release(&r);
	/* Regression: each request was refused for the blank, which Go does not send. */
	fine(&r, s, HTTPS, "{as: 'bob ', as-groups: [' g 1\t']}");
	assert_string_equal(r.conf.credential.impersonate,
	        "Impersonate-User: bob\r\nImpersonate-Group: g 1\r\n");
	release(&r);
	fine(&r, s, HTTPS, "{act-as: bob}"); /* kubectl ignores it; saying so helps */
	assert_null(r.conf.credential.impersonate);
	scratch_has(r.conf.warnings[0], "act-as has no effect");
	release(&r);
}

/* Regression: a cluster whose user has more groups than a request has room for was "out of memory"
 * for ever. */
static void resolve_impersonation_has_a_limit(void **state)
{
	struct scratch *s = *state;
	for (size_t over = 0; over < 2; over++) {
		struct resolved r;
		char user[1024];
		size_t n = (size_t)snprintf(user, sizeof user, "{as: bob, as-groups: [g");
		for (size_t i = 2; i < CREDENTIAL_IMPERSONATE_MAX + over; i++)
			n += (size_t)snprintf(user + n, sizeof user - n, ", g");
		snprintf(user + n, sizeof user - n, "]}");
		resolve(&r, s, HTTPS, user);
		assert_int_equal(r.err, over ? ERR_CONFIG : ERR_OK);
		if (over)
			scratch_has(r.m.text, "as: with its groups and extras comes to more than");
		release(&r);
	}
}

static void resolve_exec_fields(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	fine(&r, s, HTTPS,
	        "{exec: {command: aws, args: [eks, get-token, 1, ''], env: [{name: P, value: x}, "
	        "{name: E}], "
	        "apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, "
	        "installHint: brew install, extra: 1}}");
	const struct credential_exec_conf *x = r.conf.credential.exec;
	assert_string_equal(x->command, "aws");
	assert_int_equal(x->arg_count, 4);
	assert_string_equal(x->args[2], "1");
	assert_string_equal(x->args[3], "");
	assert_int_equal(x->env_count, 2);
	assert_string_equal(x->env[0].value, "x");
	assert_string_equal(x->env[1].value, "");
	assert_string_equal(x->install_hint, "brew install");
	assert_null(x->cluster_info);
	release(&r);
}

/* Regression: the plugin was run, and waited for, though the user has another credential; where it
 * is not installed, kubectl worked and the cluster here did not. It is checked all the same. */
static void resolve_exec_is_not_run_beside_another_credential(void **state)
{
	static const char *const others[] = {"token: t", "tokenFile: f", "username: u",
	        "password: p", "client-certificate: c, client-key: k"};
	struct scratch *s = *state;
	struct resolved r;
	char user[256];
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(user, sizeof user,
		        "{%s, exec: {command: x, apiVersion: "
		        "client.authentication.k8s.io/v1beta1}}",
		        others[i]);
		fine(&r, s, HTTPS, user);
		assert_null(r.conf.credential.exec);
		assert_int_equal(r.conf.warning_count, 1);
		scratch_has(r.conf.warnings[0], "user \"u\": its exec plugin is never run");
		release(&r);
	}
	resolve(&r, s, HTTPS, "{token: t, exec: {command: x}}");
	scratch_has(r.m.text, "exec.apiVersion: is missing");
	release(&r);
	fine(&r, s, HTTPS, /* "kubectl ignores a key without a certificate" */
	        "{client-key: k, exec: {command: x, apiVersion: "
	        "client.authentication.k8s.io/v1beta1}}");
	assert_non_null(r.conf.credential.exec);
	release(&r);
}

static void resolve_exec_cluster_info(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	static char cluster[8192], want[8192];
	const char *exec = "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1beta1, "
	                   "provideClusterInfo: true}}";
	snprintf(cluster, sizeof cluster,
	        "{server: 'https://h:1/p/', certificate-authority-data: %s, tls-server-name: n, "
	        "disable-compression: true, extensions: [{name: other, extension: 1}, "
	        "{name: client.authentication.k8s.io/exec, extension: {audience: a, n: 5}}]}",
	        data(pair.cert));
	fine(&r, s, cluster, exec);
	snprintf(want, sizeof want,
	        "{\"server\":\"https://h:1/p/\",\"tls-server-name\":\"n\","
	        "\"certificate-authority-data\":\"%s\",\"disable-compression\":true,"
	        "\"config\":{\"audience\":\"a\",\"n\":5}}",
	        data(pair.cert));
	assert_string_equal(r.conf.credential.exec->cluster_info, want);
	release(&r);
	/* a CA in a file is given as data all the same */
	scratch_write(s, "d/ca.crt", pair.cert);
	fine(&r, s, "{server: 'https://h', certificate-authority: ca.crt}", exec);
	scratch_has(r.conf.credential.exec->cluster_info, data(pair.cert));
	release(&r);
	fine(&r, s, "{server: h, insecure-skip-tls-verify: true}", exec);
	assert_string_equal(r.conf.credential.exec->cluster_info,
	        "{\"server\":\"h\",\"insecure-skip-tls-verify\":true}");
	release(&r);
}

static void resolve_exec_cluster_info_has_a_limit(void **state)
{
	struct scratch *s = *state;
	struct resolved r;
	size_t size = 32000;
	char *cluster = malloc(size);
	/* 8 anchors of 4,000 bytes each, used 4 times each, are 128 KB of JSON */
	size_t n = (size_t)snprintf(cluster, size,
	        "{server: 'https://h', extensions: [{name: "
	        "client.authentication.k8s.io/exec, extension: [");
	for (int i = 0; i < 6; i++) {
		n += (size_t)snprintf(cluster + n, size - n, "%s&a%d '", i ? ", " : "", i);
		memset(cluster + n, 'x', 4000);
		n += 4000;
		n += (size_t)snprintf(
		        cluster + n, size - n, "', *a%d, *a%d, *a%d, *a%d", i, i, i, i);
	}
	snprintf(cluster + n, size - n, "]}]}");
	resolve(&r, s, cluster,
	        "{exec: {command: x, apiVersion: client.authentication.k8s.io/v1beta1, "
	        "provideClusterInfo: true}}");
	free(cluster);
	assert_int_equal(r.err, ERR_CONFIG);
	scratch_has(r.m.text, "exec.provideClusterInfo: the cluster information is too large");
	release(&r);
}

static void resolve_default_namespace_and_name_limit(void **state)
{
	struct scratch *s = *state;
	char text[2048], name[CLUSTER_CONF_NAME_MAX + 2];
	for (size_t over = 0; over < 2; over++) {
		size_t n = CLUSTER_CONF_NAME_MAX + over;
		memset(name, 'n', n);
		name[n] = '\0';
		snprintf(text, sizeof text,
		        "clusters: [{name: k, cluster: {server: h}}]\n"
		        "contexts: [{name: %s, context: {cluster: k}}]\n",
		        name);
		struct problem_list problems;
		struct kubeconfig *kc;
		struct cluster_conf c;
		const char *path = scratch_write(s, "f", text);
		problem_list_init(&problems);
		struct kubeconfig_source source = {.files = &path, .file_count = 1};
		assert_int_equal(kubeconfig_load(&source, &problems, &kc), ERR_OK);
		assert_int_equal(
		        kubeconfig_resolve(kc, name, &c, NULL), over ? ERR_CONFIG : ERR_OK);
		if (!over)
			assert_string_equal(c.namespace_, "default");
		cluster_conf_fini(&c);
		kubeconfig_free(&kc);
		problem_list_fini(&problems);
	}
}

static int group_setup(void **state)
{
	(void)state;
	scratch_pair_make(&pair, 2000000000);
	snprintf(cert_only, sizeof cert_only, "{client-certificate-data: %s}", data(pair.cert));
	snprintf(bad_key, sizeof bad_key, "{client-certificate-data: %s, client-key-data: aGk=}",
	        data(pair.cert));
	snprintf(both_cert, sizeof both_cert,
	        "{client-certificate-data: %s, client-certificate: f}", data(pair.cert));
	snprintf(both_ca, sizeof both_ca,
	        "{server: h, certificate-authority-data: %s, certificate-authority: f}",
	        data(pair.cert));
	snprintf(insecure_ca, sizeof insecure_ca,
	        "{server: h, insecure-skip-tls-verify: true, certificate-authority-data: %s}",
	        data(pair.cert));
	return 0;
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(resolve_errors_say_file_line_and_field),
	        SCRATCH_TEST(resolve_contexts_fail_one_by_one),
	        SCRATCH_TEST(resolve_scheme_default_follows_tls_material),
	        SCRATCH_TEST(resolve_cluster_fields),
	        SCRATCH_TEST(resolve_ca_from_data_and_from_a_relative_file),
	        SCRATCH_TEST(resolve_relative_paths_and_data),
	        SCRATCH_TEST(resolve_user_fields),
	        SCRATCH_TEST(resolve_credentials_never_go_over_http),
	        SCRATCH_TEST(resolve_impersonation_headers),
	        SCRATCH_TEST(resolve_impersonation_has_a_limit),
	        SCRATCH_TEST(resolve_exec_fields),
	        SCRATCH_TEST(resolve_exec_is_not_run_beside_another_credential),
	        SCRATCH_TEST(resolve_exec_cluster_info),
	        SCRATCH_TEST(resolve_exec_cluster_info_has_a_limit),
	        SCRATCH_TEST(resolve_default_namespace_and_name_limit),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
