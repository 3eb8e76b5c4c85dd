#include "harness/fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/fake_daemon.h"

#define MUST(cond, ...) ((cond) ? (void)0 : wrong(#cond, __LINE__, __VA_ARGS__))

static _Noreturn void wrong(
        const char *what, int line, const char *name, const struct kr_change *ch)
{
	fprintf(stderr, "fold: %s failed at line %d for \"%s\"", what, line, name);
	if (ch)
		fprintf(stderr, ", change %" PRIu64 " type %d flags %u", ch->seq, ch->type,
		        ch->flags);
	fprintf(stderr, "\n");
	abort();
}

void fold_init(struct fold *f)
{
	*f = (struct fold){.bytes = true};
}

static void clear(struct fold *f)
{
	for (size_t i = 0; i < f->room; i++) {
		free(f->items[i].key);
		free(f->items[i].uid);
		free(f->items[i].rv);
	}
	free(f->items);
	f->items = NULL;
	f->room = f->used = f->count = 0;
	f->digest = 0;
}

void fold_fini(struct fold *f)
{
	clear(f);
}

static size_t place(const struct fold *f, const char *key)
{
	size_t at = kr_object_hash(key, "", "", "") & (f->room - 1);
	while (f->items[at].key && strcmp(f->items[at].key, key) != 0)
		at = (at + 1) & (f->room - 1);
	return at;
}

static struct fold_item *item_of(struct fold *f, const char *ns, const char *name)
{
	char key[1024];
	snprintf(key, sizeof key, "%s/%s", ns, name);
	if (f->used * 2 >= f->room) {
		struct fold old = *f;
		f->room = old.room ? old.room * 2 : 64;
		f->items = calloc(f->room, sizeof *f->items);
		for (size_t i = 0; i < old.room; i++)
			if (old.items[i].key)
				f->items[place(f, old.items[i].key)] = old.items[i];
		free(old.items);
	}
	struct fold_item *it = &f->items[place(f, key)];
	if (!it->key) {
		it->key = strdup(key);
		f->used++;
	}
	return it;
}

static void set(char **to, const char *s)
{
	free(*to);
	*to = s ? strdup(s) : NULL;
}

static uint64_t part(const struct kr_object *o)
{
	return kr_object_hash(o->namespace_, o->name, o->uid, o->resource_version);
}

static void check_bytes(struct fold *f, const struct kr_object *o, const struct kr_change *ch)
{
	if (f->bytes)
		MUST(fake_json_is(o->json, o->json_bytes, o->namespace_, o->name, o->uid,
		             o->resource_version),
		        o->name, ch);
	volatile char last = o->json[o->json_bytes + KR_PADDING - 1]; /* readable (ASan looks) */
	(void)last;
}

static void put(struct fold *f, const struct kr_object *o)
{
	struct fold_item *it = item_of(f, o->namespace_, o->name);
	set(&it->uid, o->uid);
	set(&it->rv, o->resource_version);
}

int fold_view(struct fold *f, struct kr_view *v)
{
	struct kr_object o;
	int r;
	clear(f);
	while ((r = kr_view_next(v, &o)) == KR_OK) {
		MUST(!fold_rv(f, o.namespace_, o.name), o.name, NULL); /* each once */
		check_bytes(f, &o, NULL);
		put(f, &o);
		f->count++;
		f->digest += part(&o);
	}
	int end = kr_view_end(v);
	if (r != KR_END)
		return r;
	MUST(end == KR_OK, "end", NULL);
	MUST(f->count == v->count, "count", NULL);
	MUST(f->digest == v->digest, "digest", NULL);
	f->seq = 0;
	return KR_OK;
}

static void check_old(struct fold *f, const struct kr_change *ch, const struct fold_item *it)
{
	const struct kr_object *old = &ch->old_object;
	const char *name = ch->object.name;
	MUST(it->rv, name, ch);
	MUST(strcmp(it->rv, old->resource_version) == 0 && strcmp(it->uid, old->uid) == 0, name,
	        ch);
	MUST(strcmp(old->name, name) == 0, name, ch);
	check_bytes(f, old, ch);
	f->digest -= part(old);
}

static void apply(struct fold *f, const struct kr_change *ch)
{
	const struct kr_object *o = &ch->object;
	struct fold_item *it = item_of(f, o->namespace_, o->name);
	if (ch->type == KR_ADDED) {
		MUST(!it->rv, o->name, ch);
		MUST(ch->old_object.json_bytes == 0 && *ch->old_object.name == '\0', o->name, ch);
		f->count++;
	} else {
		check_old(f, ch, it);
	}
	if (ch->type == KR_DELETED) {
		if (ch->flags & KR_FINAL_STATE_UNKNOWN)
			MUST(o->json_bytes == 0, o->name, ch);
		else
			check_bytes(f, o, ch);
		set(&it->uid, NULL);
		set(&it->rv, NULL);
		f->count--;
		return;
	}
	if (ch->type == KR_MODIFIED)
		MUST(strcmp(it->uid, o->uid) == 0, o->name, ch);
	check_bytes(f, o, ch);
	f->digest += part(o);
	set(&it->uid, o->uid);
	set(&it->rv, o->resource_version);
}

bool fold_change(struct fold *f, const struct kr_change *ch)
{
	f->changes++;
	if (ch->type == KR_RESET) {
		f->resets++;
		return false;
	}
	bool computed = (ch->flags & KR_FROM_RESTART) != 0;
	if (ch->type <= KR_DELETED)
		apply(f, ch);
	else if (ch->type == KR_SYNCED && computed)
		f->restarts++;
	bool ours = ch->type == KR_STATE; /* may be the library's, which has no seq of its own */
	if (!computed && !ours && f->seq != 0)
		MUST(ch->seq > f->seq, "seq rises", ch);
	f->seq = computed ? 0 : ch->seq;
	MUST(ch->digest == f->digest, "digest", ch);
	return true;
}

const char *fold_rv(const struct fold *f, const char *ns, const char *name)
{
	char key[1024];
	if (f->room == 0)
		return NULL;
	snprintf(key, sizeof key, "%s/%s", ns, name);
	return f->items[place(f, key)].rv;
}
