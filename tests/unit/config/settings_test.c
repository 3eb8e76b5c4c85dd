/* settings.c: defaults, every field, strictness with places, and that a broken file changes
 * nothing. */
#include "config/settings.h"

#include "config/settings_priv.h"
#include "scratch.h"

#define HEAD "apiVersion: kubering.io/v1alpha1\nkind: Config\n"

static const struct settings_env env = {.uid = 1234, .runtime_dir = "/run/user/1234"};

struct loaded {
	struct problem_list problems;
	struct settings *s;
	err_t err;
};

static void load(struct loaded *l, struct scratch *s, const char *body)
{
	char text[8192];
	snprintf(text, sizeof text, HEAD "%s", body);
	problem_list_init(&l->problems);
	l->err = settings_load(scratch_write(s, "d/k.yaml", text), &env, &l->problems, &l->s);
	assert_int_equal(l->err == ERR_OK, l->s != NULL);
	assert_int_equal(l->err == ERR_OK, l->problems.errors == 0);
}

static void fine(struct loaded *l, struct scratch *s, const char *body)
{
	load(l, s, body);
	if (l->err != ERR_OK)
		fail_msg("%s", scratch_problems(&l->problems));
}

static void unload(struct loaded *l)
{
	settings_free(&l->s);
	problem_list_fini(&l->problems);
}

static void settings_defaults_without_a_file(void **state)
{
	(void)state;
	static const struct {
		struct settings_env env;
		const char *socket;
	} rows[] = {
	        {{0, "/run/user/0"}, "/run/kubering/kubering.sock"},
	        {{1234, "/run/user/1234"}, "/run/user/1234/kubering.sock"},
	        {{1234, NULL}, "/run/user/1234/kubering.sock"},
	        {{1234, ""}, "/run/user/1234/kubering.sock"},
	        {{1234, "/elsewhere"}, "/elsewhere/kubering.sock"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct problem_list problems;
		struct settings *s;
		problem_list_init(&problems);
		assert_int_equal(settings_load(NULL, &rows[i].env, &problems, &s), ERR_OK);
		assert_int_equal(problems.count, 0);
		assert_string_equal(s->socket, rows[i].socket);
		assert_null(s->file);
		assert_int_equal(s->reactors, 0);
		assert_int_equal(s->io, SETTINGS_IO_AUTO);
		assert_int_equal(s->log_format, SETTINGS_LOG_LOGFMT);
		assert_int_equal(s->log_level, SETTINGS_LEVEL_INFO);
		assert_int_equal(s->metrics_port, 0);
		assert_int_equal(s->limits.event_bytes_max, 8 << 20);
		assert_int_equal(s->limits.linger_seconds, 30);
		assert_int_equal(s->exec_policy.mode, EXEC_POLICY_ALLOW_ALL);
		assert_int_equal(s->cluster_count + s->list_count + s->kubeconfig.count, 0);
		assert_int_equal(s->realm_count, 1);
		const struct settings_realm *r = s->realms;
		assert_string_equal(r->name, "default");
		assert_true(settings_allows(s, r, rows[i].env.uid, NULL, 0));
		assert_true(settings_allows(s, r, 0, NULL, 0));
		const gid_t gids[] = {0, rows[i].env.uid};
		assert_false(settings_allows(s, r, 4321, gids, 2));
		assert_false(settings_secret_values(s, r));
		assert_ptr_equal(settings_realm_for(s, "any", "apps", "deployments", "ns"), r);
		assert_ptr_equal(settings_realm_for(s, "any", "", "secrets", NULL), r);
		settings_free(&s);
		problem_list_fini(&problems);
	}
}

/* The example with its comment signs away: "#key" and "#  key" are settings, "# Words" are words.
 */
static void example_whole(char *to, size_t bytes)
{
	char line[512];
	size_t n = 0;
	FILE *f = fopen("engine/main/kubering.yaml", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		bool words = line[0] == '#' && line[1] == ' ' && line[2] != ' ';
		n += (size_t)snprintf(
		        to + n, bytes - n, "%s", words ? "" : line + (line[0] == '#'));
		assert_true(n < bytes);
	}
	fclose(f);
}

/* What it says of the defaults is so. */
static void settings_example_shows_the_defaults(void **state)
{
	static const struct settings_env root = {.uid = 0};
	char text[8192];
	struct problem_list problems;
	struct settings *shown, *without;
	example_whole(text, sizeof text);
	problem_list_init(&problems);
	assert_int_equal(settings_load(NULL, &root, &problems, &without), ERR_OK);
	if (settings_load(scratch_write(*state, "d/k.yaml", text), &root, &problems, &shown) !=
	        ERR_OK)
		fail_msg("%s", scratch_problems(&problems));
	assert_string_equal(shown->socket, without->socket);
	assert_int_equal(shown->reactors, without->reactors);
	assert_int_equal(shown->io, without->io);
	assert_int_equal(shown->batch_wait_us, without->batch_wait_us);
	assert_int_equal(shown->tls_records, without->tls_records);
	assert_int_equal(shown->log_format, without->log_format);
	assert_int_equal(shown->log_level, without->log_level);
	assert_int_equal(shown->clusters[0].qps, SETTINGS_QPS_DEFAULT);
	assert_int_equal(shown->clusters[0].watch_list, SETTINGS_WATCH_LIST_AUTO);
	assert_int_equal(shown->clusters[0].compression, SETTINGS_COMPRESSION_OFF);
	assert_true(shown->limits.retained_bytes > 0);
	assert_true(shown->limits.memory_bytes > 0);
	shown->limits.retained_bytes = shown->limits.memory_bytes = 0; /* no fixed defaults */
	assert_memory_equal(&shown->limits, &without->limits, sizeof shown->limits);
	settings_free(&shown);
	settings_free(&without);
	problem_list_fini(&problems);
}

static void limits_are(const struct settings_limits *l)
{
	assert_int_equal(l->memory_bytes, 128 << 20);
	assert_int_equal(l->shard_bytes, 64 << 20);
	assert_int_equal(l->list_bytes, 32 << 20);
	assert_int_equal(l->cluster_bytes, 1 << 30);
	assert_int_equal(l->objects_max, 10);
	assert_int_equal(l->ring_entries, 2048);
	assert_int_equal(l->retained_bytes, 4 << 20);
	assert_int_equal(l->event_bytes_max, 1 << 20);
	assert_int_equal(l->lists_max, 5);
	assert_int_equal(l->consumers_max, 6);
	assert_int_equal(l->linger_seconds, 0);
}

static void settings_reads_every_field(void **state)
{
	struct loaded l;
	fine(&l, *state,
	        "socket: run/k.sock\nreactors: 2\nio: epoll\nbatchWaitMicros: 5000\ntlsRecords: "
	        "openssl\nlog: {format: "
	        "json, level: debug}\n"
	        "metrics: {listen: \"127.0.0.1:9464\"}\n"
	        "limits: {memoryBytes: 128Mi, shardBytes: 64Mi, listBytes: 32Mi, clusterBytes: "
	        "1Gi, objectsMax: 10, "
	        "ringEntries: 2048, retainedBytes: 4Mi, eventBytesMax: 1Mi, listsMax: 5, "
	        "consumersMax: 6, "
	        "lingerSeconds: 0}\n"
	        "kubeconfig: [/etc/a, b]\n"
	        "clusters:\n- {name: x, context: y, kubeconfig: kc, strategy: direct, qps: 7, "
	        "watchList: never, auditSeconds: 3600}\n- {context: 'prod-*'}\n- {name: only}\n"
	        "lists:\n- {clusters: 'p*', resource: deployments.v1.apps, namespace: web, "
	        "labelSelector: a=b, fieldSelector: c=d, metadataOnly: true, keepManagedFields: "
	        "true}\n"
	        "- {resource: pods}\n"
	        "execPolicy: Allowlist\nexecAllowlist: [/usr/bin/aws, kubelogin]\n");
	const struct settings *s = l.s;
	char want[512];
	snprintf(want, sizeof want, "%s/d/run/k.sock", ((struct scratch *)*state)->dir);
	assert_string_equal(s->socket, want);
	assert_int_equal(s->reactors, 2);
	assert_int_equal(s->io, SETTINGS_IO_EPOLL);
	assert_int_equal(s->batch_wait_us, 5000);
	assert_int_equal(s->tls_records, SETTINGS_RECORDS_OPENSSL);
	assert_int_equal(s->log_format, SETTINGS_LOG_JSON);
	assert_int_equal(s->log_level, SETTINGS_LEVEL_DEBUG);
	assert_int_equal(s->metrics_port, 9464);
	limits_are(&s->limits);
	assert_int_equal(s->kubeconfig.count, 2);
	assert_string_equal(s->kubeconfig.items[0], "/etc/a");
	snprintf(want, sizeof want, "%s/d/b", ((struct scratch *)*state)->dir);
	assert_string_equal(s->kubeconfig.items[1], want);
	assert_int_equal(s->cluster_count, 3);
	assert_string_equal(s->clusters[0].name, "x");
	assert_string_equal(s->clusters[0].context, "y");
	assert_int_equal(s->clusters[0].qps, 7);
	assert_int_equal(s->clusters[0].audit_s, 3600);
	assert_int_equal(s->clusters[0].watch_list, SETTINGS_WATCH_LIST_NEVER);
	assert_int_equal(s->clusters[0].strategy, SETTINGS_STRATEGY_DIRECT);
	scratch_has(s->clusters[0].kubeconfig, "/d/kc");
	assert_null(s->clusters[1].name);
	assert_int_equal(s->clusters[1].qps, SETTINGS_QPS_DEFAULT);
	assert_int_equal(s->clusters[1].audit_s, 0);
	assert_string_equal(s->clusters[2].context, "only");
	assert_int_equal(s->list_count, 2);
	assert_string_equal(s->lists[0].clusters, "p*");
	assert_string_equal(s->lists[0].resource.resource, "deployments");
	assert_string_equal(s->lists[0].resource.version, "v1");
	assert_string_equal(s->lists[0].resource.group, "apps");
	assert_string_equal(s->lists[0].namespace_, "web");
	assert_string_equal(s->lists[0].label_selector, "a=b");
	assert_string_equal(s->lists[0].field_selector, "c=d");
	assert_true(s->lists[0].metadata_only && s->lists[0].keep_managed_fields);
	assert_string_equal(s->lists[1].clusters, "*");
	assert_false(s->lists[1].resource.has_group);
	assert_null(s->lists[1].namespace_);
	assert_int_equal(s->exec_policy.mode, EXEC_POLICY_ALLOWLIST);
	assert_int_equal(s->exec_policy.allowed_count, 2);
	assert_string_equal(s->realms[0].name, "default");
	unload(&l);
	fine(&l, *state, "kubeconfig: /one\nmetrics: {listen: off}\nclusters:\nlimits: null\n");
	assert_int_equal(l.s->kubeconfig.count, 1); /* one string is a list of one */
	assert_int_equal(l.s->metrics_port, 0);
	unload(&l);
}

/* Bodies of a file and what is said about them. The head has two lines. */
static const struct {
	const char *body, *problem;
} mistakes[] = {
        {"sockets: x\n", "/d/k.yaml:3:1: unknown field \"sockets\"; did you mean \"socket\"?"},
        {"Socket: x\n", "did you mean \"socket\"?"},
        {"limits: {shard_bytes: 1Gi}\n", ":3:10: limits: unknown field \"shard_bytes\"; "
                                         "did you mean \"shardBytes\"?"},
        {"lists: [{resource: pods, label_selector: x}]\n", "did you mean \"labelSelector\"?"},
        {"completelyOther: 1\n", ":3:1: unknown field \"completelyOther\"\n"},
        {"clusters:\n- {context: a, qqs: 1}\n", ":4:16: clusters[0]: unknown field \"qqs\"; did"},
        {"reactors: many\n", ":3:11: reactors: expected a number, found something else"},
        {"reactors: 65\n", ":3:11: reactors: must be from 0 to 64"},
        {"reactors: [1]\n", "reactors: expected a number, found a list"},
        {"io: fast\n", ":3:5: io: must be one of: auto, uring, epoll"},
        {"log: {format: xml}\n", ":3:15: log.format: must be one of: logfmt, json"},
        {"log: debug\n", ":3:6: log: expected a mapping, found a string"},
        {"metrics: {listen: 0.0.0.0:1}\n", ":3:19: metrics.listen: must be 127.0.0.1:PORT or off"},
        {"metrics: {listen: 127.0.0.1:0}\n", "metrics.listen: must be"},
        {"metrics: {listen: 127.0.0.1:65536}\n", "metrics.listen: must be"},
        {"limits: {shardBytes: 1}\n", "limits.shardBytes: must be from 16777216 to"},
        {"limits: {shardBytes: 1Xi}\n", "limits.shardBytes: expected a number of bytes"},
        {"limits: {ringEntries: 3000}\n", "limits.ringEntries: must be a power of two"},
        {"limits: {shardBytes: 64Mi, listBytes: 65Mi}\n", "is larger than limits.shardBytes"},
        {"limits: {shardBytes: 64Mi, retainedBytes: 33Mi}\n",
                "limits.retainedBytes: is more than half of limits.shardBytes"},
        {"limits: {lingerSeconds: 86401}\n", "limits.lingerSeconds: must be from 0 to 86400"},
        {"kubeconfig: ~/.kube/config\n", ":3:13: kubeconfig: ~ is not expanded"},
        {"kubeconfig: {a: b}\n", "kubeconfig: expected a list, found a mapping"},
        {"clusters: [{qps: 1}]\n", ":3:12: clusters[0]: needs a context"},
        {"clusters: [{context: a, auditSeconds: 604801}]\n",
                "clusters[0].auditSeconds: must be from 0 to 604800"},
        {"clusters: [{context: a, qps: 0}]\n", "clusters[0].qps: must be from 1 to 10000"},
        {"clusters: [{context: a, strategy: legacy}]\n",
                ":3:35: clusters[0]: strategy: goes through a Headlamp backend: add headlamp: "
                "{url: https://HOST:PORT} to this entry"},
        {"clusters: [{context: a, strategy: multiplexed}]\n", "add headlamp"},
        {"clusters: [{context: a, strategy: http}]\n", "add headlamp"},
        {"clusters: [{context: a, compression: gzip}]\n",
                "clusters[0].compression: must be one of: off, auto"},
        {"clusters: [{name: a, strategy: direct, headlamp: {url: 'https://h'}}]\n",
                ":3:32: clusters[0]: strategy: goes straight to a kube-apiserver"},
        {"clusters: [{name: a, strategy: websocket, headlamp: {url: 'https://h'}}]\n",
                "use auto, multiplexed, legacy or http"},
        {"clusters: [{headlamp: {url: 'https://h'}}]\n",
                ":3:12: clusters[0]: needs a name: that of the Headlamp backend"},
        {"clusters: [{name: a, context: b, headlamp: {url: 'https://h'}}]\n",
                "clusters[0]: context: is of a kubeconfig"},
        {"clusters: [{name: a, kubeconfig: b, headlamp: {url: 'https://h'}}]\n",
                "clusters[0]: kubeconfig: the clusters of a Headlamp backend come from"},
        {"clusters: [{name: a, headlamp: {}}]\n", ":3:32: clusters[0].headlamp: url is missing"},
        {"clusters: [{name: a, headlamp: [x]}]\n",
                "clusters[0].headlamp: expected a mapping, found a list"},
        {"clusters: [{name: a, headlamp: {url: 'ftp://h'}}]\n",
                ":3:38: clusters[0].headlamp: url: only http and https are supported"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', tokn: x}}]\n",
                "unknown field \"tokn\""},
        {"clusters: [{name: a, headlamp: {url: 'http://hub:4466', backendToken: x}}]\n",
                ":3:38: clusters[0].headlamp: url: the backend token would travel in the clear "
                "to hub: use https"},
        {"clusters: [{name: a, headlamp: {url: 'http://10.0.0.1', backendTokenFile: x}}]\n",
                "in the clear to 10.0.0.1"},
        {"clusters: [{name: a, headlamp: {url: 'http://localhost.evil', backendToken: x}}]\n",
                "in the clear to localhost.evil"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', backendToken: x, "
         "backendTokenFile: y}}]\n",
                "backendTokenFile is given together with backendToken"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', backendToken: \"x\\ny\"}}]\n",
                "backendToken has a control character"},
        {"clusters: [{name: a, headlamp: {url: 'http://hub', clusterToken: x}}]\n",
                "in the clear to hub"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', clusterToken: x, "
         "clusterTokenFile: y}}]\n",
                "clusterTokenFile is given together with clusterToken"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', clusterToken: \"x\\ny\"}}]\n",
                "clusterToken has a control character"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', user: a.b}}]\n",
                "user may have letters"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', contexts: []}}]\n",
                "contexts names nothing"},
        {"clusters: [{name: a, headlamp: {url: 'https://h', certificateAuthority: c, "
         "insecureSkipTlsVerify: true}}]\n",
                "certificateAuthority is not allowed together"},
        {"clusters: [{context: a, strategy: x}]\n",
                "clusters[0].strategy: must be one of: auto, direct"},
        {"clusters: [{context: a, watchList: always}]\n", "watchList: must be one of: auto, never"},
        {"clusters: {a: b}\n", "clusters: expected a list"},
        {"clusters: [a]\n", ":3:12: clusters[0]: expected a mapping, found a string"},
        {"lists: [{clusters: a}]\n", ":3:9: lists[0]: resource is missing"},
        {"lists: [{resource: pods, namespace: Web}]\n", "lists[0]: namespace \"Web\" cannot be"},
        {"lists: [{resource: pods, namespace: '*'}]\n", "leave it out for all namespaces"},
        {"lists: [{resource: pods, namespace: ../x}]\n", ":3:37: lists[0]: namespace"},
        {"lists: [{resource: Pods}]\n", "lists[0]: resource must be RESOURCE[.VERSION][.GROUP]"},
        {"lists: [{resource: pods, metadataOnly: 1}]\n", "metadataOnly: must be true or false"},
        {"lists: [{resource: pods, metadataOnly: yes}]\n", "metadataOnly: must be true or false"},
        {"lists: [{resource: pods, metadataOnly: 'true'}]\n",
                "metadataOnly: must be true or false"},
        {"lists: [{resource: pods, namespace: ''}]\n", "lists[0].namespace: must not be empty"},
        {"execPolicy: allowall\n", "execPolicy: must be one of: AllowAll, DenyAll, Allowlist"},
        {"execAllowlist: [/x]\n", "execAllowlist: has no effect unless execPolicy is Allowlist"},
        {"execPolicy: Allowlist\nexecAllowlist: [a/b]\n", "\"a/b\" must be an absolute path"},
        {"realms: [{}]\n", ":3:10: realms[0]: needs a name"},
        {"realms: [{name: A, allow: {}, lists: []}]\n", "realms[0]: needs a name of lower case"},
        {"realms: [{name: a, allow: {}}]\n", "realms[0]: lists is missing"},
        {"realms: [{name: a, lists: []}]\n", "realms[0]: allow is missing"},
        {"realms: [{name: a, allow: {}, lists: []}, {name: a, allow: {}, lists: []}]\n",
                "realms[1]: there is a realm \"a\" already"},
        {"realms: [{name: a, allow: {uids: [-1]}, lists: []}]\n",
                ":3:34: realms[0].allow: \"-1\" is no id"},
        {"realms: [{name: a, allow: {gids: [4294967295]}, lists: []}]\n", "is no id"},
        {"realms: [{name: a, allow: {users: [no-such-user-here]}, lists: []}]\n",
                "no such user on this host: \"no-such-user-here\""},
        {"realms: [{name: a, allow: {groups: [no-such-group-x]}, lists: []}]\n",
                "no such group on this host: \"no-such-group-x\""},
        {"realms: [{name: a, allow: {uid: [1]}, lists: []}]\n", "did you mean \"uids\"?"},
        {"realms: [{name: a, allow: {}, lists: [{resources: [deployments]}]}]\n",
                "realms[0].lists[0]: deployments are in group apps: write "
                "deployments.apps"},
        {"realms: [{name: a, allow: {}, lists: [{resources: []}]}]\n",
                "resources is empty; leave it out for all"},
        {"realms: [{name: a, allow: {}, lists: [{clusters: []}]}]\n", "clusters is empty"},
        {"realms: [{name: a, allow: {}, lists: [{namespaces: []}]}]\n", "namespaces is empty"},
        {"realms: [{name: a, allow: {}, lists: [{namespace: x}]}]\n",
                "did you mean \"namespaces\"?"},
        {"socket: a\nsocket: b\n", ":4:1: key given twice: socket"},
        {"socket: [\n", ":4:1: "},
};

static void settings_mistakes_name_line_column_and_field(void **state)
{
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		struct loaded l;
		load(&l, *state, mistakes[i].body);
		if (l.err == ERR_OK)
			fail_msg("was taken: %s", mistakes[i].body);
		scratch_has(scratch_problems(&l.problems), mistakes[i].problem);
		unload(&l);
	}
}

static void settings_all_mistakes_are_told_in_one_run(void **state)
{
	struct loaded l;
	load(&l, *state, "sokcet: x\nreactors: -1\nlists: [{}, {resource: '-'}]\n");
	assert_int_equal(l.problems.errors, 4);
	struct errmsg m;
	assert_int_equal(problem_result(&l.problems, &m), ERR_CONFIG);
	scratch_has(m.text, "(and 3 more)");
	unload(&l);
}

static void settings_head_is_required(void **state)
{
	static const struct {
		const char *text, *problem;
	} rows[] = {
	        {"", "is empty; it must start with apiVersion: kubering.io/v1alpha1"},
	        {"kind: Config\n",
	                "apiVersion: is missing; write \"apiVersion: kubering.io/v1alpha1\""},
	        {"apiVersion: kubering.io/v1alpha1\n", "kind: is missing; write \"kind: Config\""},
	        {"apiVersion: v1\nkind: Config\n",
	                ":1:13: apiVersion: must be kubering.io/v1alpha1"},
	        {"apiVersion: kubering.io/v1alpha1\nkind: Pod\n", ":2:7: kind: must be Config"},
	        {"[]\n", ":1:1: expected a mapping, found a list"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct problem_list problems;
		struct settings *s;
		problem_list_init(&problems);
		const char *file = scratch_write(*state, "k.yaml", rows[i].text);
		assert_int_equal(settings_load(file, &env, &problems, &s), ERR_CONFIG);
		assert_null(s);
		scratch_has(scratch_problems(&problems), rows[i].problem);
		problem_list_fini(&problems);
	}
	struct problem_list problems;
	struct settings *s;
	problem_list_init(&problems);
	assert_int_equal(settings_load("/nonexistent/k.yaml", &env, &problems, &s), ERR_CONFIG);
	scratch_has(scratch_problems(&problems), "/nonexistent/k.yaml: no such file");
	problem_list_fini(&problems);
}

static void settings_limits_at_their_edges(void **state)
{
	static const struct {
		const char *body;
		bool fine;
	} rows[] = {
	        {"limits: {shardBytes: 16Mi}\n", true},
	        {"limits: {shardBytes: 16777215}\n", false},
	        {"limits: {shardBytes: 1024Gi}\n", true},
	        {"limits: {shardBytes: 1025Gi}\n", false},
	        {"limits: {eventBytesMax: 64Mi}\n", true},
	        {"limits: {eventBytesMax: 67108865}\n", false},
	        {"limits: {ringEntries: 1024}\n", true},
	        {"limits: {ringEntries: 512}\n", false},
	        {"limits: {retainedBytes: 1Mi}\n", true},
	        {"limits: {retainedBytes: 1048575}\n", false},
	        {"limits: {shardBytes: 64Mi, retainedBytes: 32Mi}\n", true},
	        {"limits: {consumersMax: 0}\n", false},
	        {"limits: {consumersMax: 1}\n", true},
	        {"limits: {shardBytes: 64Mi, listBytes: 64Mi}\n", true},
	        {"reactors: 64\n", true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct loaded l;
		load(&l, *state, rows[i].body);
		if ((l.err == ERR_OK) != rows[i].fine)
			fail_msg("%s", rows[i].body);
		if (rows[i].fine) /* a default that does not fit bends */
			assert_true(l.s->limits.list_bytes <= l.s->limits.shard_bytes);
		unload(&l);
	}
}

static void settings_resource_grammar(void **state)
{
	(void)state;
	static const struct {
		const char *text, *resource, *version, *group;
		bool has_group;
	} rows[] = {
	        {"pods", "pods", "", "", false},
	        {"pods.v1", "pods", "v1", "", true},
	        {"pods.v1.", "pods", "v1", "", true},
	        {"deployments.apps", "deployments", "", "apps", true},
	        {"deployments.v1.apps", "deployments", "v1", "apps", true},
	        {"leases.v1beta1.coordination.k8s.io", "leases", "v1beta1", "coordination.k8s.io",
	                true},
	        {"widgets.v1x.io", "widgets", "", "v1x.io", true},
	        {"widgets.v2alpha.io", "widgets", "", "v2alpha.io", true},
	        {"", NULL, NULL, NULL, false},
	        {".", NULL, NULL, NULL, false},
	        {"pods.", NULL, NULL, NULL, false},
	        {"Pods", NULL, NULL, NULL, false},
	        {"po ds", NULL, NULL, NULL, false},
	        {"-pods", NULL, NULL, NULL, false},
	        {"pods/log", NULL, NULL, NULL, false},
	        {"a.v1.b_c", NULL, NULL, NULL, false},
	        {"a..b", NULL, NULL, NULL, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a;
		struct settings_resource r;
		arena_init(&a, 4096);
		bool fine = settings_resource_parse(rows[i].text, &a, &r);
		if (fine != (rows[i].resource != NULL))
			fail_msg("%s", rows[i].text);
		if (fine) {
			assert_string_equal(r.resource, rows[i].resource);
			assert_string_equal(r.version, rows[i].version);
			assert_string_equal(r.group, rows[i].group);
			assert_int_equal(r.has_group, rows[i].has_group);
		}
		arena_fini(&a);
	}
}

static void settings_users_and_groups_are_looked_up(void **state)
{
	struct loaded l;
	fine(&l, *state,
	        "realms: [{name: a, allow: {users: [root], uids: [7], groups: [root], gids: "
	        "['8']}, "
	        "lists: [{}]}]\n");
	const struct settings_realm *r = l.s->realms;
	assert_int_equal(r->uid_count, 2);
	assert_int_equal(r->gid_count, 2);
	const gid_t gids[] = {5, 8};
	assert_true(settings_allows(l.s, r, 0, NULL, 0));
	assert_true(settings_allows(l.s, r, 7, NULL, 0));
	assert_true(settings_allows(l.s, r, 9, gids, 2));
	assert_false(settings_allows(l.s, r, 9, gids, 1));
	assert_false(settings_allows(l.s, r, 8, NULL, 0)); /* a gid is no uid */
	unload(&l);
}

static void settings_strategies_and_headlamp(void **state)
{
	struct loaded l;
	fine(&l, *state,
	        "clusters:\n- {context: a}\n- {context: a, strategy: auto}\n"
	        "- {context: a, strategy: websocket, compression: auto}\n"
	        "- {name: hub, headlamp: {url: 'https://h/base/', backendTokenFile: tok, user: "
	        "u-1_A, contexts: ['p*', dev], certificateAuthority: ca.crt}}\n"
	        "- {name: h2, strategy: legacy, headlamp: {url: 'http://localhost:4466', "
	        "backendToken: t}}\n"
	        "- {name: h3, strategy: multiplexed, headlamp: {url: 'http://127.0.0.9:1', "
	        "backendToken: t, contexts: '*'}}\n"
	        "- {name: h4, strategy: http, headlamp: {url: 'http://[::1]:1', backendToken: t}}\n"
	        "- {name: h5, strategy: auto, headlamp: {url: 'http://10.0.0.1', "
	        "insecureSkipTlsVerify: true}}\n"
	        "- {context: z, headlamp: null}\n");
	static const unsigned strategies[] = {SETTINGS_STRATEGY_DIRECT, SETTINGS_STRATEGY_DIRECT,
	        SETTINGS_STRATEGY_WEBSOCKET, SETTINGS_STRATEGY_AUTO, SETTINGS_STRATEGY_LEGACY,
	        SETTINGS_STRATEGY_MULTIPLEXED, SETTINGS_STRATEGY_HTTP, SETTINGS_STRATEGY_AUTO,
	        SETTINGS_STRATEGY_DIRECT};
	char want[160];
	assert_int_equal(l.s->cluster_count, 9);
	for (size_t i = 0; i < 9; i++) {
		const struct settings_cluster *c = &l.s->clusters[i];
		assert_int_equal(c->strategy, strategies[i]);
		assert_int_equal(c->headlamp != NULL, i > 2 && i < 8);
		assert_int_equal(c->compression,
		        i == 2 ? SETTINGS_COMPRESSION_AUTO : SETTINGS_COMPRESSION_OFF);
	}
	const struct settings_headlamp *h = l.s->clusters[3].headlamp;
	assert_string_equal(h->server.path, "/base");
	assert_true(h->server.tls);
	assert_null(h->token);
	snprintf(want, sizeof want, "%s/d/tok", ((struct scratch *)*state)->dir);
	assert_string_equal(h->token_file, want);
	snprintf(want, sizeof want, "%s/d/ca.crt", ((struct scratch *)*state)->dir);
	assert_string_equal(h->certificate_authority, want);
	assert_string_equal(h->user, "u-1_A");
	assert_int_equal(h->contexts.count, 2);
	assert_false(h->insecure);
	assert_null(l.s->clusters[3].context);
	assert_int_equal(l.s->clusters[4].headlamp->contexts.count, 0);
	assert_string_equal(l.s->clusters[4].headlamp->token, "t");
	assert_int_equal(l.s->clusters[5].headlamp->contexts.count, 1);
	assert_true(l.s->clusters[7].headlamp->insecure);
	unload(&l);
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(settings_defaults_without_a_file),
	        SCRATCH_TEST(settings_example_shows_the_defaults),
	        SCRATCH_TEST(settings_reads_every_field),
	        SCRATCH_TEST(settings_strategies_and_headlamp),
	        SCRATCH_TEST(settings_mistakes_name_line_column_and_field),
	        SCRATCH_TEST(settings_all_mistakes_are_told_in_one_run),
	        SCRATCH_TEST(settings_head_is_required),
	        SCRATCH_TEST(settings_limits_at_their_edges),
	        cmocka_unit_test(settings_resource_grammar),
	        SCRATCH_TEST(settings_users_and_groups_are_looked_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
