/* watch.c - the list as it is now, then every change, in order, each exactly once.
 *
 * With -o jsonl the lines can be folded: after each of them, the set that they add up to has the
 * digest that the line carries. ADDED of the first set carries no version, because the set is not
 * at one before its SYNCED; RESET empties the set: digest 0, version 0.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "kubering/commands.h"
#include "kubering/print/diff.h"
#include "kubering/print/json.h"
#include "kubering/print/objects.h"
#include "kubering/print/rows.h"
#include "kubering/say.h"
#include "kubering/text.h"

enum {
	OBJECT_BYTES_MAX = 1 << 30,
	ROWS_MAX = 1000, /* held back while more changes are pending */
	STUCK_MS = 100,
};

struct watched {
	struct source *source;
	struct kr_view view; /* its follow is in use */
	uint64_t digest;
	bool live, closed;
};

struct watch {
	const struct args *args;
	struct sources sources;
	struct watched *lists;
	struct kr_follow **follows; /* of lists that are not closed, in any order */
	size_t follow_count;
	struct rows rows;
	struct objects objects;
	struct json_parser *parser;
	struct json_dom *old, *patch;
	struct text line, merge;
	int64_t until; /* CLOCK_MONOTONIC; KR_FOREVER */
	bool begun;    /* the first set is out */
};

static struct span line_of(const struct watch *w)
{
	return (struct span){w->line.p, w->line.n};
}

/* --- one line of jsonl --------------------------------------------------------------- */

static void line_begin(struct watch *w, const struct watched *l, const char *type, const char *rv)
{
	text_clear(&w->line);
	text_printf(&w->line, "{\"type\":\"%s\",\"cluster\":", type);
	json_add_string(&w->line, span_of(l->source->cluster));
	text_add(&w->line, SPAN(",\"resource_version\":"));
	json_add_string(&w->line, span_of(rv));
	text_printf(&w->line, ",\"digest\":\"%016" PRIx64 "\"", l->digest);
}

static void line_end(struct watch *w)
{
	text_add(&w->line, SPAN("}\n"));
	fwrite(w->line.p, 1, w->line.n, stdout);
}

static const char *word_of(enum kr_type type)
{
	static const char *const words[] = {"", "ADDED", "MODIFIED", "DELETED"};
	return words[type <= KR_DELETED ? type : 0];
}

static void line_object(struct watch *w, const struct watched *l, const struct kr_object *o)
{
	text_add(&w->line, SPAN(",\"object\":"));
	if (o->json_bytes > 0) {
		json_add_object(&w->line, w->parser, &l->source->kind, NULL,
		        (struct span){o->json, o->json_bytes});
		return;
	}
	/* Its deletion was found by a relist, and nobody has its last state. */
	const char *field[] = {
	        "apiVersion", l->source->kind.api_version, "kind", l->source->kind.kind};
	text_printf(&w->line, "{\"%s\":\"%s\",\"%s\":\"%s\",\"metadata\":{\"name\":", field[0],
	        field[1], field[2], field[3]);
	json_add_string(&w->line, span_of(o->name));
	text_add(&w->line, SPAN(",\"namespace\":"));
	json_add_string(&w->line, span_of(o->namespace_));
	text_add(&w->line, SPAN(",\"uid\":"));
	json_add_string(&w->line, span_of(o->uid));
	text_add(&w->line, SPAN(",\"resourceVersion\":"));
	json_add_string(&w->line, span_of(o->resource_version));
	text_add(&w->line, SPAN("}}"));
}

/* --- differences --------------------------------------------------------------------- */

static int merge_patch(struct watch *w, const struct kr_change *ch)
{
	size_t n = 0;
	text_clear(&w->merge);
	text_reserve(&w->merge, 4096);
	int r = kr_change_diff(ch, w->merge.p, w->merge.cap - 1, &n);
	if (r == KR_ERR_SPACE) {
		text_reserve(&w->merge, n);
		r = kr_change_diff(ch, w->merge.p, w->merge.cap - 1, &n);
	}
	w->merge.n = r == KR_OK ? n : 0;
	return r;
}

static void diff_line(struct watch *w, struct watched *l, const struct kr_change *ch)
{
	line_begin(w, l, word_of(ch->type), ch->resource_version);
	if (ch->type == KR_MODIFIED && merge_patch(w, ch) == KR_OK) {
		text_add(&w->line, SPAN(",\"namespace\":"));
		json_add_string(&w->line, span_of(ch->object.namespace_));
		text_add(&w->line, SPAN(",\"name\":"));
		json_add_string(&w->line, span_of(ch->object.name));
		text_add(&w->line, SPAN(",\"patch\":"));
		text_add(&w->line, (struct span){w->merge.p, w->merge.n});
	} else {
		line_object(w, l, &ch->object);
	}
	line_end(w);
}

static void diff_text(struct watch *w, struct watched *l, const struct kr_change *ch)
{
	const struct kr_object *o = &ch->object;
	struct json_node old, patch;
	enum say_color color = ch->type == KR_ADDED     ? SAY_GREEN
	                       : ch->type == KR_DELETED ? SAY_RED
	                                                : SAY_BOLD;
	text_clear(&w->line);
	text_printf(&w->line, "%s%s/", say_color(stdout, color), l->source->cluster);
	text_add_safe(&w->line, span_of(o->namespace_));
	text_add(&w->line, *o->namespace_ ? SPAN("/") : SPAN(""));
	text_add_safe(&w->line, span_of(o->name));
	text_add(&w->line, span_of(say_color(stdout, SAY_PLAIN)));
	if (ch->type == KR_MODIFIED) {
		text_add_char(&w->line, '\n');
		if (merge_patch(w, ch) == KR_OK &&
		        !json_dom_parse(w->old,
		                (struct span){ch->old_object.json, ch->old_object.json_bytes},
		                &old) &&
		        !json_dom_parse(w->patch, (struct span){w->merge.p, w->merge.n}, &patch))
			diff_add(&w->line, old, patch);
		else
			text_add(&w->line, SPAN("  (too different to compare)\n"));
	} else {
		text_printf(&w->line, ": %s\n", ch->type == KR_ADDED ? "added" : "deleted");
	}
	fwrite(w->line.p, 1, w->line.n, stdout);
}

/* --- objects ------------------------------------------------------------------------- */

static void print_object(
        struct watch *w, struct watched *l, const char *type, const struct kr_object *o)
{
	const struct args *a = w->args;
	if (a->output == OUTPUT_TABLE) {
		rows_add(&w->rows, l->source->cluster, o, type);
		if (w->begun && w->rows.table.n >= ROWS_MAX)
			table_print(&w->rows.table, stdout);
		return;
	}
	text_clear(&w->line);
	if (a->output != OUTPUT_NAME)
		json_add_object(&w->line, w->parser, &l->source->kind,
		        w->sources.show_cluster ? l->source->cluster : NULL,
		        (struct span){o->json, o->json_bytes});
	objects_add(&w->objects, &l->source->kind, o->name, line_of(w));
}

static void print_initial(struct watch *w, struct watched *l, const struct kr_object *o)
{
	l->digest += kr_object_hash(o->namespace_, o->name, o->uid, o->resource_version);
	if (w->args->output == OUTPUT_JSONL) {
		line_begin(w, l, "ADDED", "");
		line_object(w, l, o);
		line_end(w);
	} else if (!w->args->diff) {
		print_object(w, l, "ADDED", o);
	}
}

static void print_change(struct watch *w, struct watched *l, struct kr_change *ch)
{
	l->digest = ch->digest;
	if (ch->type == KR_DELETED && ch->object.json_bytes == 0 && ch->old_object.json_bytes > 0)
		ch->object = ch->old_object; /* the last state that anybody has */
	if (w->args->diff && w->args->output == OUTPUT_JSONL) {
		diff_line(w, l, ch);
	} else if (w->args->diff) {
		diff_text(w, l, ch);
	} else if (w->args->output == OUTPUT_JSONL) {
		line_begin(w, l, word_of(ch->type), ch->resource_version);
		line_object(w, l, &ch->object);
		line_end(w);
	} else {
		print_object(w, l, word_of(ch->type), &ch->object);
	}
}

/* SYNCED, STALE, LIVE, RESET: a line of jsonl, else a word on stderr if it is news to a person. */
static void print_mark(struct watch *w, struct watched *l, const char *type, const char *rv)
{
	struct kr_list_status st = {.size = sizeof st};
	if (w->args->output == OUTPUT_JSONL) {
		line_begin(w, l, type, rv);
		line_end(w);
		return;
	}
	if (strcmp(type, "SYNCED") == 0)
		return;
	if (kr_list_status(l->source->list, &st) != KR_OK || strcmp(type, "STALE") != 0)
		st.error_text[0] = '\0';
	say_note("%s %s: %s%s%s", l->source->cluster, l->source->kind.resource,
	        strcmp(type, "RESET") == 0  ? "was replaced as a whole; it follows anew"
	        : strcmp(type, "LIVE") == 0 ? "live again"
	                                    : "stale",
	        st.error_text[0] ? ": " : "", st.error_text);
}

static void set_live(struct watch *w, struct watched *l, enum kr_list_state state, const char *rv)
{
	bool live = state == KR_LIST_LIVE;
	if (live == l->live)
		return;
	l->live = live;
	print_mark(w, l, live ? "LIVE" : "STALE", rv);
}

static void flush(struct watch *w)
{
	if (w->args->output == OUTPUT_TABLE && !w->args->diff && w->rows.table.n > 0)
		table_print(&w->rows.table, stdout);
	fflush(stdout);
}

/* --- following ----------------------------------------------------------------------- */

static void pause_for_writer(void)
{
	struct timespec t = {0, STUCK_MS * 1000000};
	(void)ppoll(NULL, 0, &t, NULL);
}

static void print_reset(struct watch *w, struct watched *l)
{
	l->digest = 0;
	print_mark(w, l, "RESET", "0");
}

/* The set as of now, as ADDED and SYNCED. reset: something was printed before. */
static int take_view(struct watch *w, struct watched *l, bool reset)
{
	for (;;) {
		struct kr_object o;
		size_t rows = w->rows.table.n;
		if (reset)
			print_reset(w, l);
		l->digest = 0;
		int r = kr_view_begin(l->source->list, &l->view);
		if (r == KR_ERR_STUCK) {
			flush(w);
			pause_for_writer();
			reset = false;
			continue;
		}
		if (r != KR_OK)
			return say_result(w->sources.client, r, l->source->cluster);
		while ((r = kr_view_next(&l->view, &o)) == KR_OK)
			print_initial(w, l, &o);
		int ended = kr_view_end(&l->view);
		if (r == KR_END && ended == KR_OK) {
			if (l->view.whole)
				print_mark(w, l, "SYNCED", l->view.resource_version);
			return CODE_OK;
		}
		kr_follow_end(&l->view.follow);
		if (r != KR_ERR_OVERRUN)
			return say_result(w->sources.client, r, l->source->cluster);
		table_rollback(&w->rows.table, rows);
		reset = true;
	}
}

/* Who mistyped a name or a namespace would look at nothing, for ever. */
static void say_nothing_yet(const struct watch *w)
{
	const struct source *v = &w->sources.v[0];
	for (size_t i = 0; i < w->sources.n; i++)
		if (w->lists[i].view.count > 0)
			return;
	if (w->args->output != OUTPUT_JSONL) /* it has SYNCED */
		say_note("No %s%s%s found yet%s%s; waiting for changes.", v->kind.resource,
		        w->args->name ? " " : "", w->args->name ? w->args->name : "",
		        *v->namespace_ ? " in namespace " : "", v->namespace_);
}

static int begin(struct watch *w)
{
	size_t n = w->sources.n;
	w->lists = text_alloc(n * sizeof *w->lists);
	w->follows = text_alloc(n * sizeof(struct kr_follow *));
	for (size_t i = 0; i < n; i++) {
		struct watched *l = &w->lists[i];
		struct kr_list_status st = {.size = sizeof st};
		l->source = &w->sources.v[i];
		l->live = true;
		w->follows[i] = &l->view.follow;
		int code = take_view(w, l, false);
		if (code != CODE_OK)
			return code;
		if (kr_list_status(l->source->list, &st) == KR_OK)
			set_live(w, l, st.state, st.resource_version);
	}
	w->follow_count = n;
	say_nothing_yet(w);
	if (w->args->output == OUTPUT_TABLE)
		table_sort(&w->rows.table);
	w->begun = true;
	return CODE_OK;
}

/* One cluster of several that goes takes only its own list along. */
static void on_closed(struct watch *w, struct watched *l)
{
	struct kr_list_status st = {.size = sizeof st};
	bool why = kr_list_status(l->source->list, &st) == KR_OK && st.error_text[0];
	flush(w);
	say_error("%s: the daemon closed the list%s%s", l->source->cluster, why ? ": " : "",
	        why ? st.error_text : "");
	l->closed = true;
}

static struct watched *watched_of(const struct watch *w, size_t which)
{
	struct kr_view *v = CONTAINER_OF(w->follows[which], struct kr_view, follow);
	return CONTAINER_OF(v, struct watched, view);
}

static int take(struct watch *w, struct watched *l, struct kr_change *ch)
{
	switch (ch->type) {
	case KR_ADDED:
	case KR_MODIFIED:
	case KR_DELETED: print_change(w, l, ch); break;
	case KR_SYNCED:
		l->digest = ch->digest;
		print_mark(w, l, "SYNCED", ch->resource_version);
		break;
	case KR_STATE:
		if (ch->state == KR_LIST_CLOSED)
			on_closed(w, l);
		else
			set_live(w, l, ch->state, ch->resource_version);
		break;
	case KR_RESET: kr_follow_end(&l->view.follow); return take_view(w, l, true);
	}
	return CODE_OK;
}

static int follow(struct watch *w)
{
	struct kr_change ch;
	int64_t wait = 0;
	for (;;) {
		size_t which = 0;
		int code = CODE_OK;
		int r = kr_follow_any(w->follows, w->follow_count, &which, &ch, wait);
		if (r == KR_TIMEOUT) {
			flush(w);
			if (ferror(stdout))
				return CODE_FAILED;
			int64_t left =
			        w->until == KR_FOREVER ? KR_FOREVER : w->until - source_clock_ns();
			if (left <= 0)
				return CODE_TIMED_OUT;
			wait = left;
			continue;
		}
		wait = 0;
		struct watched *l = watched_of(w, which);
		if (r == KR_OK) {
			code = take(w, l, &ch);
		} else if (r == KR_ERR_OVERRUN) {
			kr_follow_end(&l->view.follow);
			code = take_view(w, l, true);
		} else if (r == KR_ERR_STUCK) {
			flush(w);
			pause_for_writer();
		} else {
			flush(w);
			code = say_result(w->sources.client, r, l->source->cluster);
		}
		if (l->closed) {
			w->follows[which] = w->follows[--w->follow_count];
			if (!w->follow_count)
				code = CODE_FAILED;
		}
		if (code != CODE_OK)
			return code;
		if (w->until != KR_FOREVER && source_clock_ns() >= w->until) {
			flush(w);
			return CODE_TIMED_OUT; /* also when changes never pause */
		}
	}
}

static void finish(struct watch *w)
{
	for (size_t i = 0; w->lists && i < w->sources.n; i++)
		kr_follow_end(&w->lists[i].view.follow);
	rows_close(&w->rows);
	objects_close(&w->objects);
	json_parser_free(&w->parser);
	json_dom_free(&w->old);
	json_dom_free(&w->patch);
	text_fini(&w->line);
	text_fini(&w->merge);
	free(w->lists);
	free(w->follows);
	sources_close(&w->sources);
}

int command_watch(const struct args *a)
{
	struct watch w = {.args = a, .until = KR_FOREVER};
	struct args opened = *a;
	struct text one = {0};
	if (a->timeout_ns >= 0 && a->timeout_ns != KR_FOREVER)
		w.until = source_clock_ns() + a->timeout_ns;
	if (a->name) { /* so that version and digest are those of what is printed */
		text_printf(&one, "metadata.name=%s", a->name);
		opened.fields = text_cstr(&one);
	}
	int code = sources_open(&w.sources, &opened);
	if (code == CODE_OK)
		code = sources_wait(&w.sources, a, SOURCE_WHOLE, KR_FOREVER);
	if (code == CODE_OK) {
		w.parser = text_need(json_parser_new(1 << 16, OBJECT_BYTES_MAX));
		w.old = text_need(json_dom_new());
		w.patch = text_need(json_dom_new());
		rows_open(&w.rows, &w.sources, a);
		objects_open(&w.objects, stdout, a->output, false);
		code = begin(&w);
		if (code == CODE_OK)
			code = follow(&w);
	}
	finish(&w);
	text_fini(&one);
	return code;
}
