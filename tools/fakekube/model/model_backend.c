#include "model/model_backend_priv.h"

#include "base/check.h"
#include "model/model_word.h"

#include <stdlib.h>

#define SECOND_NS   1000000000ull
#define MS_NS       1000000ull
#define INPUT_ROOM  (256 * 1024)
#define COOKIE_NAME 50

static char *copy(const char *s)
{
	char *p = s ? strdup(s) : NULL;
	CHECK(!s || p);
	return p;
}

/* --- contexts --- */

/* FNV-1a. */
size_t backend_bucket(struct span name)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * 16777619u;
	return (h ^ h >> 16) % BACKEND_BUCKETS;
}

/* As the backend serves it: "/" as "--", " " as "__". */
static char *served_name(const char *name)
{
	struct model_text t = {0};
	for (; *name; name++)
		if (*name == '/')
			TEXT_LIT(&t, "--");
		else if (*name == ' ')
			TEXT_LIT(&t, "__");
		else
			model_text_put(&t, name, 1);
	TEXT_LIT(&t, "\0");
	return t.p;
}

struct context *backend_context(const struct model_backend *b, struct span name)
{
	LIST_EACH (it, &b->by_name[backend_bucket(name)]) {
		struct context *x = CONTAINER_OF(it, struct context, of_name);
		if (span_is(name, x->name))
			return x;
	}
	return NULL;
}

/* The path of http://host/path, without its last slash. */
static char *path_of(const char *server)
{
	const char *at = server ? strstr(server, "://") : NULL;
	at = at ? strchr(at + 3, '/') : NULL;
	size_t n = at ? strlen(at) : 0;
	while (n && at[n - 1] == '/')
		n--;
	char *p = strndup(n ? at : "", n);
	CHECK(p);
	return p;
}

bool model_backend_add(struct model_backend *b, const struct model_context_options *o)
{
	char *name = served_name(o->name);
	if (backend_context(b, span_of(name))) {
		free(name);
		return false;
	}
	struct context *x = calloc(1, sizeof *x);
	CHECK(x);
	x->name = name;
	x->server = copy(o->server ? o->server : "http://127.0.0.1:1");
	x->prefix = path_of(o->server);
	x->address = copy(o->address ? o->address : "127.0.0.1:1");
	x->token = copy(o->token);
	x->user = copy(o->user);
	x->open = o->open;
	x->arg = o->arg;
	list_push(&b->contexts, &x->link);
	list_push(&b->by_name[backend_bucket(span_of(x->name))], &x->of_name);
	return true;
}

bool model_backend_add_cluster(
        struct model_backend *b, struct model_cluster *c, const struct model_context_options *o)
{
	struct model_context_options with = *o;
	if (!with.name)
		with.name = c->name;
	if (!model_backend_add(b, &with))
		return false;
	struct context *x = CONTAINER_OF(b->contexts.prev, struct context, link);
	x->cluster = c;
	/* The connection is the cluster's already: a path in the server's URL is for others. */
	x->prefix[0] = 0;
	return true;
}

static struct model_link *refused(const struct context *x, struct model_conn *owner);

struct model_link *backend_dial(
        struct model_backend *b, struct context *x, struct model_conn *owner, uint64_t now_ns)
{
	if (x->state == CONTEXT_HANG)
		return NULL;
	if (x->state == CONTEXT_REFUSE)
		return refused(x, owner);
	if (x->cluster)
		return model_link_to_cluster(b->server, x->cluster, x->user, owner, now_ns);
	return x->open(x->arg, owner, now_ns);
}

/* --- a link that failed at once --- */

static enum model_link_state failed_state(struct model_link *l, uint64_t now_ns)
{
	(void)l;
	(void)now_ns;
	return MODEL_LINK_FAILED;
}
static void failed_send(struct model_link *l, struct span s, uint64_t now_ns)
{
	(void)l;
	(void)s;
	(void)now_ns;
}
static struct span failed_peek(struct model_link *l, uint64_t now_ns)
{
	(void)l;
	(void)now_ns;
	return SPAN_NONE;
}
static void failed_consume(struct model_link *l, size_t n, uint64_t now_ns)
{
	(void)l;
	(void)n;
	(void)now_ns;
}
static uint64_t failed_deadline(const struct model_link *l)
{
	(void)l;
	return UINT64_MAX;
}
static void failed_free(struct model_link *l)
{
	free(l);
}

static struct model_link *refused(const struct context *x, struct model_conn *owner)
{
	static const struct model_link_ops ops = {failed_state, failed_send, failed_peek,
	        failed_consume, failed_deadline, failed_free};
	struct model_link *l = calloc(1, sizeof *l);
	CHECK(l);
	l->ops = &ops;
	l->owner = owner;
	struct model_text t = {0};
	model_text_printf(&t, "dial tcp %s: connect: connection refused", x->address);
	size_t n = t.n < sizeof l->problem ? t.n : sizeof l->problem - 1;
	memcpy(l->problem, t.p, n);
	model_text_fini(&t);
	return l;
}

/* --- cookies --- */

static bool name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

void backend_cookie(struct span cookies, struct span cluster, struct model_text *token)
{
	token->n = 0;
	struct model_text name = {0};
	TEXT_LIT(&name, "headlamp-auth-");
	for (size_t i = 0, n = 0; i < cluster.n && n < COOKIE_NAME; i++)
		if (name_char(cluster.p[i])) {
			model_text_put(&name, cluster.p + i, 1);
			n++;
		}
	size_t bare = name.n;
	for (unsigned part = 0;; part++) {
		bool found = false;
		name.n = bare;
		model_text_printf(&name, ".%u=", part);
		for (struct span rest = cookies; rest.n && !found;) {
			const char *semi = memchr(rest.p, ';', rest.n);
			struct span one = {rest.p, semi ? (size_t)(semi - rest.p) : rest.n};
			rest.p += one.n + (semi != NULL);
			rest.n -= one.n + (semi != NULL);
			while (one.n && *one.p == ' ') {
				one.p++;
				one.n--;
			}
			found = span_starts(one, model_text_as_span(&name));
			if (found)
				model_text_put(token, one.p + name.n, one.n - name.n);
		}
		if (!found)
			break;
	}
	model_text_fini(&name);
}

/* --- connections --- */

static void front_drop(struct model_conn *c)
{
	struct front *f = c->speaking;
	relay_drop(f);
	mux_drop(f);
}

static void front_free(struct model_conn *c)
{
	struct front *f = c->speaking;
	front_drop(c);
	list_unlink(&f->link);
	model_ws_in_fini(&f->in);
	model_text_fini(&f->cookies);
	free(f->token_name);
	free(f);
	c->speaking = NULL;
}

static bool step(struct front *f)
{
	switch (f->state) {
	case FRONT_HTTP: return front_request(f);
	case FRONT_TOKEN: front_token_body(f); return f->state != FRONT_TOKEN;
	case FRONT_RELAY:
	case FRONT_SPLICE: return relay_pump(f);
	case FRONT_MUX: return mux_pump(f);
	}
	return false;
}

static void front_pump(struct model_conn *c)
{
	struct front *f = c->speaking;
	if (c->eof && c->closed == MODEL_OPEN) /* as Go's server: who closed its side has gone */
		c->closed = MODEL_CLOSED_CUT;
	while (c->closed == MODEL_OPEN && model_reply_pending(c) < MODEL_PUMP_BYTES)
		if (!step(f))
			break;
	if (c->closed != MODEL_OPEN)
		front_drop(c);
}

static uint64_t front_deadline_ns(const struct model_conn *c)
{
	const struct front *f = c->speaking;
	if (model_reply_pending(c) >= MODEL_PUMP_BYTES)
		return UINT64_MAX; /* nothing is taken before the client has read */
	if (f->state == FRONT_MUX)
		return mux_deadline_ns(f);
	return f->state == FRONT_HTTP || f->state == FRONT_TOKEN ? UINT64_MAX
	                                                         : relay_deadline_ns(f);
}

static bool front_wants_input(const struct model_conn *c)
{
	return c->in.n < INPUT_ROOM;
}

bool model_backend_listens(const struct model_backend *b, uint64_t now_ns)
{
	return now_ns >= b->down_until_ns;
}

uint64_t model_backend_down_until_ns(const struct model_backend *b)
{
	return b->down_until_ns;
}

struct model_conn *model_backend_accept(struct model_backend *b, uint64_t now_ns)
{
	static const struct model_speaker speaker = {
	        front_pump, front_deadline_ns, front_wants_input, front_drop, front_free};
	struct model_conn *c = model_conn_new_as(b->server, "headlamp", now_ns);
	struct front *f = calloc(1, sizeof *f);
	CHECK(f);
	f->backend = b;
	f->conn = c;
	list_init(&f->entries);
	list_init(&f->ready);
	f->next_ns = UINT64_MAX;
	list_push(&b->fronts, &f->link);
	c->speaker = &speaker;
	c->speaking = f;
	return c;
}

bool link_cut(struct model_link *l, const struct model_cluster *cluster, const struct model_kind *k,
        enum model_closed how)
{
	if (!l || !l->inner)
		return false;
	struct model_conn_info info;
	model_conn_describe(l->inner, &info);
	if ((cluster && info.cluster != cluster) || (k && info.kind != k))
		return false;
	model_conn_cut(l->inner, how);
	model_link_wake(l);
	return true;
}

size_t model_backend_cut(struct model_backend *b, const struct model_cluster *cluster,
        const struct model_kind *k, enum model_closed how)
{
	size_t n = 0;
	LIST_EACH (it, &b->fronts) {
		struct front *f = CONTAINER_OF(it, struct front, link);
		n += link_cut(f->relay.up, cluster, k, how);
		n += mux_cut(f, cluster, k, how);
	}
	return n;
}

/* --- life --- */

struct model_backend *model_backend_new(
        struct model_server *s, const struct model_backend_options *o)
{
	struct model_backend *b = calloc(1, sizeof *b);
	CHECK(b);
	b->server = s;
	b->token = copy(o->token);
	b->check_host = o->check_host;
	b->port = o->port;
	b->dial_ns = o->dial_ns ? o->dial_ns : 45 * SECOND_NS;
	list_init(&b->contexts);
	list_init(&b->fronts);
	for (size_t i = 0; i < BACKEND_BUCKETS; i++) {
		list_init(&b->table[i]);
		list_init(&b->by_name[i]);
	}
	return b;
}

void model_backend_set_port(struct model_backend *b, uint16_t port)
{
	b->port = port;
}

void model_backend_free(struct model_backend **bp)
{
	struct model_backend *b = *bp;
	*bp = NULL;
	if (!b)
		return;
	CHECK(list_empty(&b->fronts));
	for (struct list *n; (n = list_pop(&b->contexts));) {
		struct context *x = CONTAINER_OF(n, struct context, link);
		free(x->name);
		free(x->server);
		free(x->prefix);
		free(x->address);
		free(x->token);
		free(x->user);
		free(x);
	}
	free(b->token);
	free(b);
}

/* --- commands --- */

/* The index of the word; count: it is none of them. */
static size_t word_index(struct span w, const char *const *words, size_t count)
{
	size_t i = 0;
	while (i < count && !span_is(w, words[i]))
		i++;
	return i;
}

static const char *const mux_words[] = {"ok", "refuse", "silent"};
static const char *const context_words[] = {"ok", "refuse", "hang", "invalid"};

static bool cmd_mux(struct model_backend *b, struct span *line)
{
	size_t i = word_index(model_word_take(line), mux_words, ARRAY_LEN(mux_words));
	if (i == ARRAY_LEN(mux_words))
		return false;
	b->mux = (enum model_mux_state)i;
	return true;
}

static bool number_or(struct span w, uint64_t otherwise, uint64_t *out)
{
	*out = otherwise;
	return w.n == 0 || (model_word_u64(w, out) && *out < UINT64_MAX / MS_NS / 2);
}

static bool cmd_context(struct model_backend *b, struct span *line)
{
	struct context *x = backend_context(b, model_word_take(line));
	size_t i = word_index(model_word_take(line), context_words, ARRAY_LEN(context_words));
	uint64_t ms;
	if (!x || i == ARRAY_LEN(context_words) ||
	        !number_or(model_word_take(line), b->dial_ns / MS_NS, &ms))
		return false;
	x->state = (enum model_context_state)i;
	x->hang_ns = ms * MS_NS;
	return true;
}

static bool cmd_restart(struct model_backend *b, struct span *line, uint64_t now_ns)
{
	uint64_t ms;
	if (!number_or(model_word_take(line), 0, &ms))
		return false;
	b->down_until_ns = now_ns + ms * MS_NS;
	b->restarts++;
	LIST_EACH (it, &b->fronts) {
		struct front *f = CONTAINER_OF(it, struct front, link);
		model_conn_cut(f->conn, MODEL_CLOSED_RST);
		model_conn_wake(f->conn);
	}
	return true;
}

static void clear(struct model_backend *b)
{
	b->mux = MUX_OK;
	b->drop_data = 0;
	LIST_EACH (it, &b->contexts)
		CONTAINER_OF(it, struct context, link)->state = CONTEXT_OK;
}

void model_backend_draw(const struct model_backend *b, struct prng *r, struct model_text *line)
{
	size_t contexts = 0, which = 0;
	LIST_EACH (it, &b->contexts)
		contexts++;
	uint64_t kind = prng_below(r, contexts ? 4 : 3);
	if (kind == 0) {
		model_text_printf(line, "mux %s", mux_words[1 + prng_below(r, 2)]);
	} else if (kind == 1) {
		model_text_printf(line, "drop-data %u", 1 + (unsigned)prng_below(r, 20));
	} else if (kind == 2) {
		model_text_printf(line, "restart %u", (unsigned)prng_below(r, 5000));
	} else {
		which = prng_below(r, contexts);
		struct list *it = b->contexts.next;
		while (which--)
			it = it->next;
		size_t i = 1 + prng_below(r, ARRAY_LEN(context_words) - 1);
		model_text_printf(line, "context %s %s",
		        CONTAINER_OF(it, struct context, link)->name, context_words[i]);
		if (i == CONTEXT_HANG && prng_below(r, 4)) /* else as long as a dial may take */
			model_text_printf(line, " %u", 1 + (unsigned)prng_below(r, 8000));
	}
}

static void put_status(const struct model_backend *b, struct model_text *out)
{
	size_t fronts = 0, watches = 0, dialing = 0;
	LIST_EACH (it, &b->fronts) {
		fronts++;
		dialing += CONTAINER_OF(it, struct front, link)->dialing != NULL;
	}
	for (size_t i = 0; i < BACKEND_BUCKETS; i++)
		LIST_EACH (it, &b->table[i])
			watches++;
	model_text_printf(out, " mux=%s connections=%zu watches=%zu restarts=%llu dialing=%zu",
	        mux_words[b->mux], fronts, watches, (unsigned long long)b->restarts, dialing);
	LIST_EACH (it, &b->contexts) {
		const struct context *x = CONTAINER_OF(it, struct context, link);
		model_text_printf(out, " context:%s=%s", x->name, context_words[x->state]);
	}
}

void model_backend_command(
        struct model_backend *b, struct span line, uint64_t now_ns, struct model_text *out)
{
	struct span name = model_word_take(&line), rest = line;
	bool ok = false, status = span_is(name, "status");
	bool all_well = span_is(name, "clear");
	ok = status || all_well;
	if (all_well)
		clear(b);
	else if (span_is(name, "mux"))
		ok = cmd_mux(b, &line);
	else if (span_is(name, "context"))
		ok = cmd_context(b, &line);
	else if (span_is(name, "drop-data"))
		ok = number_or(model_word_take(&line), 1, &b->drop_data);
	else if (span_is(name, "restart"))
		ok = cmd_restart(b, &line, now_ns);
	if (!ok || model_word_take(&line).n) {
		model_text_printf(out,
		        "error not status | clear | mux ok|refuse|silent | context NAME "
		        "ok|refuse|hang [MS]|invalid | drop-data [N] | restart [MS]: %.*s%.*s",
		        SPAN_ARG(name), SPAN_ARG(rest));
		return;
	}
	TEXT_LIT(out, "ok");
	if (status)
		put_status(b, out);
}
