#include "reactor/feed_left.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/core.h"

static struct json_parser *parser_of(const struct feed *f)
{
	return f->cluster->reactor->parser;
}

/* --- which -------------------------------------------------------------------------------- */

/* The rest of what is known of a deep one, or what is wrong with it besides. */
static err_t read_deep(
        struct feed *f, struct span doc, bool is_event, struct json_event *out, char **text)
{
	struct span flat;
	err_t err = json_flatten(parser_of(f), doc, &flat, text);
	if (err)
		return err;
	err = is_event ? json_scan_event(parser_of(f), flat, false, NULL, out)
	               : json_scan_object(parser_of(f), flat, false, NULL, &out->object);
	return err ? err : ERR_JSON_DEPTH;
}

err_t feed_left_read(struct feed *f, struct span doc, bool is_event, err_t err,
        struct json_event *out, char **text)
{
	*text = NULL;
	if (err == ERR_JSON_DEPTH)
		err = read_deep(f, doc, is_event, out, text);
	bool no_object = out->type == JSON_EVENT_ERROR || out->type == JSON_EVENT_BOOKMARK;
	if (is_event && no_object && feed_left_is(err))
		err = ERR_JSON_SHAPE;
	return err;
}

/* --- how many ------------------------------------------------------------------------------- */

static struct feed_left *left_of(struct feed *f)
{
	if (!f->left)
		f->left = calloc(1, sizeof *f->left);
	return f->left;
}

static void add(uint32_t *n, int by)
{
	if (by > 0 ? *n < UINT32_MAX : *n > 0)
		*n += (uint32_t)by;
}

static void keep_namespace(struct feed_left *l, const struct json_object *o)
{
	snprintf(l->namespace_, sizeof l->namespace_, "%.*s", SPAN_ARG(o->namespace_));
}

err_t feed_left_item(struct feed *f, err_t why, const struct json_object *o)
{
	struct feed_left *l = left_of(f);
	if (!l)
		return ERR_NO_MEMORY;
	f->cluster->reactor->left_out++;
	add(why == ERR_JSON_NAME ? &l->sync.names : &l->sync.deep, 1);
	keep_namespace(l, o);
	return ERR_OK;
}

static void tell(struct feed *f)
{
	struct feed_left *l = f->left;
	struct reactor_note *n = core_note_new(f->cluster->reactor, REACTOR_LEFT_OUT, f->id);
	if (!n)
		return; /* with the next sync */
	l->told = l->live;
	n->cluster = f->cluster->spec.cluster;
	n->left_names = l->live.names;
	n->left_deep = l->live.deep;
	snprintf(n->text, sizeof n->text, "%s", l->namespace_);
	core_note(f->cluster->reactor, n);
}

/* What it does to the number of those that are left out. What a sync has staged of a deep one is
 * not known, so there it counts as not shallow before, and none goes. */
static int change_of(err_t why, enum json_event_type type, bool syncing, bool was_live)
{
	bool deep = why == ERR_JSON_DEPTH;
	switch (type) {
	case JSON_EVENT_ADDED: return 1;
	case JSON_EVENT_DELETED: return deep && (was_live || syncing) ? 0 : -1;
	default: return deep && (was_live || syncing);
	}
}

err_t feed_left_event(struct feed *f, err_t why, const struct json_event *ev, bool was_live)
{
	struct feed_left *l = left_of(f);
	if (!l)
		return ERR_NO_MEMORY;
	bool syncing = f->watch.syncing;
	struct feed_left_count *c = syncing ? &l->sync : &l->live;
	int by = change_of(why, ev->type, syncing, was_live);
	f->cluster->reactor->left_out += by > 0;
	add(why == ERR_JSON_NAME ? &c->names : &c->deep, by);
	keep_namespace(l, &ev->object);
	if (!syncing && by > 0 && !l->told.names && !l->told.deep)
		tell(f);
	return ERR_OK;
}

void feed_left_begin(struct feed *f)
{
	if (f->left)
		f->left->sync = (struct feed_left_count){0};
}

void feed_left_commit(struct feed *f)
{
	struct feed_left *l = f->left;
	if (!l)
		return;
	l->live = l->sync;
	if (l->live.names != l->told.names || l->live.deep != l->told.deep)
		tell(f);
}

bool feed_left_no_deep(const struct feed *f)
{
	return !f->left || !f->left->live.deep;
}
