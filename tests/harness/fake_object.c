#include "harness/fake_daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(err_t e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "fake daemon: %s: %s\n", what, err_text(e));
	abort();
}

static int head_of(
        char *out, size_t bytes, const char *ns, const char *name, const char *uid, const char *rv)
{
	return snprintf(out, bytes,
	        "{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\","
	        "\"resourceVersion\":\"%s\"},\"spec\":\"",
	        ns, name, uid, rv);
}

/* Filler that depends on the version, so that halves of two versions do not fit together. */
static char filler(const char *rv, size_t i)
{
	size_t n = strlen(rv);
	return (char)('A' + (rv[i % n] + (int)(i % 23)) % 26);
}

void fake_object(struct fake_object *o, const char *ns, const char *name, unsigned generation,
        uint64_t rv, size_t json_bytes)
{
	snprintf(o->namespace_, sizeof o->namespace_, "%s", ns);
	snprintf(o->name, sizeof o->name, "%s", name);
	snprintf(o->uid, sizeof o->uid, "uid-%.200s-%u", name, generation);
	snprintf(o->rv, sizeof o->rv, rv ? "%" PRIu64 : "v", rv);
	size_t n = (size_t)head_of(o->json, FAKE_JSON_MAX, o->namespace_, o->name, o->uid, o->rv);
	for (size_t i = 0; n + 2 < json_bytes && n + 2 < FAKE_JSON_MAX; i++)
		o->json[n++] = filler(o->rv, i);
	o->json[n++] = '"';
	o->json[n++] = '}';
	memset(o->json + n, 0, 64);
	o->o = (struct json_object){.raw = {o->json, n},
	        .name = span_of(o->name),
	        .namespace_ = span_of(o->namespace_),
	        .uid = span_of(o->uid),
	        .resource_version = span_of(o->rv)};
}

bool fake_json_is(const char *json, size_t n, const char *ns, const char *name, const char *uid,
        const char *rv)
{
	char head[4 * FAKE_TEXT_MAX];
	size_t at = (size_t)head_of(head, sizeof head, ns, name, uid, rv);
	if (n < at + 2 || memcmp(json, head, at) != 0 || memcmp(json + n - 2, "\"}", 2) != 0)
		return false;
	for (size_t i = 0; at + i < n - 2; i++)
		if (json[at + i] != filler(rv, i))
			return false;
	return true;
}

void fake_put(struct store_list *l, const char *name, unsigned generation, uint64_t rv)
{
	static _Thread_local struct fake_object o;
	enum store_outcome what;
	fake_object(&o, "default", name, generation, rv, 200);
	must(store_upsert(l, &o.o, fake_now(), &what), "upsert");
}

void fake_delete(struct store_list *l, const char *name, unsigned generation, uint64_t rv)
{
	static _Thread_local struct fake_object o;
	enum store_outcome what;
	fake_object(&o, "default", name, generation, rv, 200);
	must(store_delete(l, &o.o, fake_now(), &what), "delete");
}

void fake_sync(
        struct store_list *l, unsigned first, unsigned count, uint64_t object_rv, uint64_t rv)
{
	static _Thread_local struct fake_object o;
	char name[32], version[32];
	struct store_sync_result result;
	store_sync_begin(l, fake_now());
	for (unsigned i = first; i < first + count; i++) {
		snprintf(name, sizeof name, "n%u", i);
		fake_object(&o, "default", name, 1, object_rv, 200);
		must(store_sync_item(l, &o.o, fake_now()), "sync item");
	}
	snprintf(version, sizeof version, "%" PRIu64, rv);
	must(store_sync_commit(l, span_of(version), false, fake_now(), &result), "sync commit");
	store_list_state(l, SHM_LIST_LIVE, ERR_OK, NULL, fake_now());
}
