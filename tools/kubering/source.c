#include "kubering/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kubering/say.h"
#include "kubering/text.h"
#include "shm/layout.h"

#define NS_PER_S 1000000000ll

enum {
	ASK_SECONDS = 35, /* discovery of a far cluster may take 30 s */
	SLICE_MS = 100,
	QUIET_SECONDS = 5, /* without a terminal: then one line says what is waited for */
	NAMES_SHOWN = 12,
};

int64_t source_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* --- connect and ask ----------------------------------------------------------------- */

int source_connect_for(const struct args *a, int64_t ns, struct kr_client **client)
{
	struct kr_options o = {.size = sizeof o,
	        .socket_path = a->socket,
	        .name = "kubering",
	        .timeout_ns = a->timeout_ns > 0 && a->timeout_ns < ns ? a->timeout_ns : ns};
	int r = kr_connect(client, &o);
	return r == KR_OK ? CODE_OK : say_result(NULL, r, NULL);
}

int source_connect(const struct args *a, struct kr_client **client)
{
	return source_connect_for(a, ASK_SECONDS * NS_PER_S, client);
}

int source_query(
        struct kr_client *client, const char *what, struct json_dom *dom, struct json_node *root)
{
	char *json = NULL;
	size_t bytes = 0;
	int r = kr_query(client, what, &json, &bytes);
	if (r != KR_OK)
		return say_result(client, r, NULL);
	err_t e = json_dom_parse(dom, (struct span){json, bytes}, root);
	free(json);
	if (e) {
		say_error("the daemon's answer is not JSON: %s", err_text(e));
		return CODE_FAILED;
	}
	return CODE_OK;
}

/* --- which clusters ------------------------------------------------------------------ */

static void add_source(struct sources *s, struct span cluster)
{
	struct source *v = realloc(s->v, (s->n + 1) * sizeof *v);
	if (!v) {
		say_error("out of memory");
		exit(CODE_FAILED);
	}
	s->v = v;
	s->v[s->n++] = (struct source){.cluster = text_copy(cluster)};
}

static int name_one(struct json_node clusters, size_t count)
{
	struct json_iter it = {0};
	struct json_node c;
	struct text names = {0};
	for (size_t i = 0; i < NAMES_SHOWN && json_dom_next(clusters, &it, NULL, &c); i++)
		text_printf(&names, "%s%.*s", i ? ", " : "",
		        SPAN_ARG(json_dom_string(json_dom_get(c, "name"))));
	if (count == 0)
		say_error("the daemon has no cluster: start kuberingd with --kubeconfig or "
		          "--config, or "
		          "see kubering doctor if they are behind a Headlamp backend");
	else
		say_error("there are %zu clusters: choose one with --cluster, or --all-clusters: "
		          "%s%s",
		        count, text_cstr(&names),
		        count > NAMES_SHOWN ? ", ... (kubering clusters lists them)" : "");
	text_fini(&names);
	return count == 0 ? CODE_FAILED : CODE_USAGE;
}

static int choose_clusters(struct sources *s, const struct args *a)
{
	struct json_dom *dom = text_need(json_dom_new());
	struct json_node root, c;
	struct json_iter it = {0};
	if (a->cluster) {
		add_source(s, span_of(a->cluster));
		json_dom_free(&dom);
		return CODE_OK;
	}
	int code = source_query(s->client, "status", dom, &root);
	if (code == CODE_OK) {
		struct json_node clusters = json_dom_get(root, "clusters");
		while (json_dom_next(clusters, &it, NULL, &c))
			add_source(s, json_dom_string(json_dom_get(c, "name")));
		if (s->n == 0 || (s->n > 1 && !a->all_clusters))
			code = name_one(clusters, s->n);
	}
	json_dom_free(&dom);
	return code;
}

/* --- which kind, which list ---------------------------------------------------------- */

static void kind_fini(struct kind *k)
{
	free(k->group);
	free(k->version);
	free(k->resource);
	free(k->kind);
	free(k->api_version);
	*k = (struct kind){0};
}

static int fail_about(struct sources *s, const struct source *v, int result)
{
	return say_result(s->client, result, s->show_cluster ? v->cluster : NULL);
}

/* As kubectl chooses it: -A, -n, or that of the context. */
static char *choose_namespace(
        const struct source *v, const struct args *a, struct json_node resolved)
{
	if (!v->kind.namespaced || a->all_namespaces)
		return text_copy(SPAN(""));
	if (a->namespace_)
		return text_copy(span_of(a->namespace_));
	struct span of_context = json_dom_string(json_dom_get(resolved, "context_namespace"));
	return text_copy(of_context.n ? of_context : SPAN("default"));
}

static int resolve(struct sources *s, struct source *v, const struct args *a)
{
	struct text what = {0};
	char *json = NULL;
	size_t bytes = 0;
	struct json_node n;
	struct json_dom *dom = text_need(json_dom_new());
	text_printf(&what, "resolve %s %s", v->cluster, a->resource);
	int r = kr_query(s->client, text_cstr(&what), &json, &bytes);
	int code = r == KR_OK ? CODE_OK : fail_about(s, v, r);
	if (code == CODE_OK && json_dom_parse(dom, (struct span){json, bytes}, &n)) {
		say_error("%s: the daemon's answer is not JSON", v->cluster);
		code = CODE_FAILED;
	}
	if (code == CODE_OK) {
		struct kind *k = &v->kind;
		k->group = text_copy(json_dom_string(json_dom_get(n, "group")));
		k->version = text_copy(json_dom_string(json_dom_get(n, "version")));
		k->resource = text_copy(json_dom_string(json_dom_get(n, "resource")));
		k->kind = text_copy(json_dom_string(json_dom_get(n, "kind")));
		k->namespaced = json_dom_bool(json_dom_get(n, "namespaced"), false);
		struct text api = {0};
		text_printf(&api, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
		k->api_version = text_copy(span_of(text_cstr(&api)));
		text_fini(&api);
		v->namespace_ = choose_namespace(v, a, n);
	}
	free(json);
	json_dom_free(&dom);
	text_fini(&what);
	return code;
}

static int open_one(struct sources *s, struct source *v, const struct args *a)
{
	int code = resolve(s, v, a);
	if (code != CODE_OK)
		return code;
	struct kr_list_spec spec = {.size = sizeof spec,
	        .cluster = v->cluster,
	        .group = v->kind.group,
	        .version = v->kind.version,
	        .resource = v->kind.resource,
	        .namespace_ = v->namespace_,
	        .label_selector = a->labels,
	        .field_selector = a->fields};
	int r = kr_list_open(s->client, &spec, &v->list);
	return r == KR_OK ? CODE_OK : fail_about(s, v, r);
}

static void drop(struct sources *s, size_t i, int code)
{
	struct source *v = &s->v[i];
	if (s->code == CODE_OK)
		s->code = code;
	kr_list_close(v->list);
	kind_fini(&v->kind);
	free(v->namespace_);
	free(v->cluster);
	memmove(v, v + 1, (s->n - i - 1) * sizeof *v);
	s->n--;
}

int sources_open(struct sources *s, const struct args *a)
{
	*s = (struct sources){.show_cluster = a->all_clusters};
	int code = source_connect(a, &s->client);
	if (code == CODE_OK)
		code = choose_clusters(s, a);
	if (code != CODE_OK)
		return code;
	for (size_t i = 0; i < s->n;) {
		if (a->all_clusters && s->n > 1)
			say_progress("opening %s (%zu of %zu)", s->v[i].cluster, i + 1, s->n);
		code = open_one(s, &s->v[i], a);
		if (code == CODE_OK) {
			s->show_namespace |= a->all_namespaces && s->v[i].kind.namespaced;
			i++;
		} else {
			drop(s, i, code);
			if (code == CODE_UNREACHABLE)
				break;
		}
	}
	say_progress_end();
	if (code == CODE_UNREACHABLE)
		return code;
	return s->n > 0 ? CODE_OK : s->code;
}

void sources_close(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++) {
		kr_list_close(s->v[i].list);
		kind_fini(&s->v[i].kind);
		free(s->v[i].namespace_);
		free(s->v[i].cluster);
	}
	free(s->v);
	kr_close(s->client);
	*s = (struct sources){0};
}

/* --- waiting ------------------------------------------------------------------------- */

struct progress {
	int64_t until, moved_ns;
	uint64_t objects;
	size_t ready;
};

static bool reached(const struct kr_list_status *st, enum source_want want)
{
	return st->whole && (want == SOURCE_WHOLE || st->state == KR_LIST_LIVE);
}

/* KR_OK: all are ready. KR_TIMEOUT: not yet; *blocked is one that is not. Others: *blocked cannot
 * come. */
static int look(struct sources *s, enum source_want want, size_t *blocked, struct progress *p)
{
	uint64_t objects = 0;
	p->ready = 0;
	int result = KR_OK;
	for (size_t i = 0; i < s->n; i++) {
		struct kr_list_status st = {.size = sizeof st};
		int r = kr_list_status(s->v[i].list, &st);
		if (r == KR_OK && st.state == KR_LIST_PARKED)
			r = KR_ERR_STALE;
		if (r == KR_OK && st.state == KR_LIST_CLOSED)
			r = KR_ERR_CLOSED;
		if (r != KR_OK) {
			*blocked = i;
			return r;
		}
		objects += st.whole ? st.objects : st.sync_objects;
		if (reached(&st, want)) {
			p->ready++;
			continue;
		}
		if (result == KR_OK)
			*blocked = i;
		result = KR_TIMEOUT;
	}
	if (objects != p->objects)
		p->moved_ns = source_clock_ns();
	p->objects = objects;
	return result;
}

/* Who reads a pipe sees no progress; a watch may wait for ever. */
static void say_waiting(const struct source *v)
{
	struct kr_list_status st = {.size = sizeof st};
	if (!isatty(STDERR_FILENO) && kr_list_status(v->list, &st) == KR_OK)
		say_note("waiting for %s in cluster %s: %s%s%s", v->kind.resource, v->cluster,
		        shm_list_state_word(st.state), st.error_text[0] ? ": " : "", st.error_text);
}

static void show(const struct sources *s, size_t blocked, const struct progress *p)
{
	struct kr_list_status st = {.size = sizeof st};
	const struct source *v = &s->v[blocked];
	if (kr_list_status(v->list, &st) != KR_OK)
		return;
	if (s->n > 1)
		say_progress("lists %zu of %zu, %" PRIu64 " objects so far; waiting for %s: %s %s",
		        p->ready, s->n, p->objects, v->cluster, shm_list_state_word(st.state),
		        st.error_text);
	else
		say_progress("%s %s: %s, %" PRIu64 " objects so far %s", v->cluster,
		        v->kind.resource, shm_list_state_word(st.state), p->objects, st.error_text);
}

static void say_late(const struct source *v)
{
	struct kr_list_status st = {.size = sizeof st};
	if (kr_list_status(v->list, &st) != KR_OK)
		st.state = KR_LIST_STALE;
	say_error("timed out: %s in cluster %s is not live but %s%s%s%s", v->kind.resource,
	        v->cluster, shm_list_state_word(st.state), st.error_text[0] ? ": " : "",
	        st.error_text, st.error_text[0] ? "" : " (kubering doctor says more)");
}

static void say_blocked(struct sources *s, const struct source *v, int result)
{
	struct kr_list_status st = {.size = sizeof st};
	if (result == KR_ERR_STALE && kr_list_status(v->list, &st) == KR_OK && st.error_text[0])
		say_error("%s in cluster %s: %s", v->kind.resource, v->cluster, st.error_text);
	else
		say_result(s->client, result, v->cluster);
}

int sources_wait(struct sources *s, const struct args *a, enum source_want want, int64_t fresh_ns)
{
	int64_t start = source_clock_ns(), shown = start;
	struct progress p = {.moved_ns = start};
	bool told = false;
	for (;;) {
		size_t blocked = 0;
		int r = look(s, want, &blocked, &p);
		int64_t now = source_clock_ns();
		bool late = a->timeout_ns >= 0
		                    ? a->timeout_ns != KR_FOREVER && now - start >= a->timeout_ns
		                    : fresh_ns != KR_FOREVER && now - p.moved_ns >= fresh_ns;
		if (r == KR_OK)
			break;
		if (r == KR_TIMEOUT && late) {
			say_late(&s->v[blocked]);
			drop(s, blocked, CODE_TIMED_OUT);
		} else if (r != KR_TIMEOUT) {
			say_blocked(s, &s->v[blocked], r);
			drop(s, blocked, CODE_FAILED);
		} else {
			if (now - shown >= NS_PER_S / 2) {
				show(s, blocked, &p);
				shown = now;
			}
			if (!told && now - start >= QUIET_SECONDS * NS_PER_S) {
				say_waiting(&s->v[blocked]);
				told = true;
			}
			(void)kr_list_wait_live(s->v[blocked].list, SLICE_MS * 1000000ll);
		}
		if (s->n == 0)
			break;
	}
	say_progress_end();
	return s->n > 0 ? CODE_OK : s->code;
}
