/* The rules of store.h for the live stream, lists and the shard, one by one. */
#include "base/check.h"
#include "store_world.h"

#include <fcntl.h>
#include <sys/mman.h>

#define SMALL                                                                                      \
	(&(struct store_config){.ring_entries = 64,                                                \
	        .lists_max = 4,                                                                    \
	        .hash_seed = 5,                                                                    \
	        .block_segment_bytes = 1 << 20})

static enum store_outcome upsert(struct store_list *l, const struct json_object *o)
{
	enum store_outcome what;
	assert_ok(store_upsert(l, o, 1000, &what));
	return what;
}
static enum store_outcome delete (struct store_list *l, const struct json_object *o) {
	enum store_outcome what; assert_ok(store_delete(l, o, 2000, &what)); return what;
}
static void refused(struct store *s, struct store_list *l, const struct json_object *o, bool del)
{
	enum store_outcome what;
	struct shm_list before = *test_row(s, l);
	uint64_t commit = test_header(s)->commit;
	err_t e = del ? store_delete(l, o, 3000, &what) : store_upsert(l, o, 3000, &what);
	assert_int_equal(e, ERR_KUBE_ORDER);
	assert_true(test_header(s)->commit == commit); /* nothing is applied */
	assert_memory_equal(test_row(s, l), &before, sizeof before);
	test_audit_list(s, l);
}
static const struct shm_entry *last_entry(const struct store *s)
{
	return test_entry(s, test_header(s)->commit);
}
static struct span block_json(const struct store *s, uint64_t ref)
{
	const struct shm_block *b = test_block(s, ref);
	return (struct span){(const char *)b + b->json_offset, b->json_bytes};
}

static bool peek(const struct store_list *l, const char *ns, const char *name, struct store_held *h)
{
	return store_peek(l, test_span(ns), test_span(name), h);
}

/* --- shard ---------------------------------------------------------------------------------- */

static void header_says_what_it_is(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.shard = 3;
	c.realm = 4;
	c.incarnation[0] = 11;
	c.incarnation[1] = 12;
	c.started_ns = 99;
	struct store *s = test_store(&c);
	const struct shm_header *h = test_header(s);
	assert_true(h->magic == SHM_MAGIC);
	assert_int_equal(memcmp(&h->magic, "KUBERING", 8), 0);
	assert_int_equal(h->layout_major, SHM_LAYOUT_MAJOR);
	assert_int_equal(h->shard, 3);
	assert_int_equal(h->realm, 4);
	assert_int_equal(h->incarnation[1], 12);
	assert_int_equal(h->hash_seed, 5);
	assert_int_equal(h->ring_entries, 64);
	assert_int_equal(h->lists_max, 4);
	assert_int_equal(h->started_ns, 99);
	assert_int_equal(h->state, SHM_SHARD_RUNNING);
	assert_int_equal(h->list_stride, SHM_LIST_BYTES);
	assert_int_equal(h->segment_count, 3); /* control, ring, index */
	assert_int_equal(h->head, 1);
	const char *base = store_segment_at(s, 0);
	const struct shm_segment_row *rows = (const void *)(base + h->directory_offset);
	assert_int_equal(rows[0].kind, SHM_CONTROL);
	assert_int_equal(rows[0].bytes, h->control_bytes);
	assert_int_equal(rows[1].kind, SHM_RING);
	assert_int_equal(rows[2].kind, SHM_INDEX);
	assert_true(h->lists_offset + 4 * SHM_LIST_BYTES <= h->control_bytes);
	store_stop(s);
	assert_int_equal(h->state, SHM_SHARD_STOPPED);
	store_free(&s);
	store_free(&s); /* nothing left is fine */
}

static void config_is_checked(void **state)
{
	(void)state;
	struct store *s;
	struct errmsg msg;
	struct store_config bad[] = {{.ring_entries = 8}, {.ring_entries = 48},
	        {.block_segment_bytes = 1000}, {.block_segment_bytes = 8ull << 30},
	        {.block_segment_bytes = 4ull << 30}, {.lists_max = (1 << 20) + 1}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		bad[i].in_process = true;
		assert_int_equal(store_new(&bad[i], &s, &msg), ERR_ARGUMENT);
		assert_null(s);
		assert_true(strlen(msg.text) > 20);
	}
}

static void segments_are_handed_out(void **state)
{
	(void)state;
	struct store *s;
	struct errmsg msg;
	uint64_t bytes;
	struct store_config c = *SMALL;
	assert_ok(store_new(&c, &s, &msg));
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	upsert(l, test_simple(&t, "a", 5));
	uint32_t count = test_header(s)->segment_count;
	assert_int_equal(count, 5);
	for (uint32_t i = 0; i < count; i++) {
		int fd = store_segment(s, i, &bytes);
		assert_true(fd >= 0 && bytes > 0);
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		const void *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
		assert_true(at != MAP_FAILED);
		assert_memory_equal(at, store_segment_at(s, i), 4096);
		munmap((void *)(uintptr_t)at, bytes);
	}
	assert_int_equal(store_segment(s, count, &bytes), -1);
	assert_int_equal(bytes, 0);
	assert_null(store_segment_at(s, count));
	store_free(&s);
}

static void tick_beats_and_signals(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	store_tick(s, 50);
	uint32_t futex = test_header(s)->futex;
	assert_int_equal(test_header(s)->heartbeat_ns, 50);
	store_tick(s, 60);
	assert_int_equal(test_header(s)->futex, futex);
	upsert(l, test_simple(&t, "a", 5));
	upsert(l, test_simple(&t, "b", 6));
	assert_int_equal(test_header(s)->futex, futex);
	store_tick(s, 70);
	assert_int_equal(test_header(s)->futex, futex + 1); /* once for both */
	store_free(&s);
}

/* --- the live stream --------------------------------------------------------------------- */

static void added_modified_deleted(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object a, b, c;
	uint32_t gen, row = store_list_row(l, &gen);
	uint64_t prev = test_row(s, l)->last_change, commit = test_header(s)->commit;

	struct json_object *o = test_simple(&a, "pod", 10);
	assert_int_equal(upsert(l, o), STORE_ADDED);
	const struct shm_entry *e = last_entry(s);
	const struct shm_slot *slot = test_get(s, l, "default", "pod");
	assert_true(e->seq == commit + 1 && e->op == SHM_OP_ADDED && e->flags == 0);
	assert_true(e->list == row && e->list_gen == (uint16_t)gen && e->prev == prev);
	assert_true(e->old_block == 0 && e->new_block == slot->block && e->rv == 10);
	assert_true(slot == test_slot(s, e->slot) && slot->seq == e->seq && slot->rv == 10);
	assert_true(e->digest == store_list_digest(l) && e->digest == slot->object_hash);
	assert_true(span_eq(block_json(s, e->new_block), o->raw));
	assert_int_equal(test_block(s, e->new_block)->recv_ns, 1000);
	assert_true(span_is(store_list_rv(l), "10"));
	assert_int_equal(test_row(s, l)->last_event_ns, 1000);

	uint64_t added = e->seq, first = e->new_block, digest = e->digest;
	o = test_simple(&b, "pod", 11);
	assert_int_equal(upsert(l, o), STORE_MODIFIED);
	e = last_entry(s);
	assert_true(e->op == SHM_OP_MODIFIED && e->old_block == first && e->prev == added);
	assert_true(e->digest != digest && e->new_block != first);
	assert_true(span_eq(block_json(s, e->new_block), o->raw));
	assert_int_equal(store_list_objects(l), 1);

	o = test_simple(&c, "pod", 12);
	assert_int_equal(delete (l, o), STORE_DELETED);
	uint64_t second = e->new_block;
	e = last_entry(s);
	assert_true(e->op == SHM_OP_DELETED && e->old_block == second && e->flags == 0);
	assert_true(span_eq(block_json(s, e->new_block), o->raw)); /* the last state */
	assert_int_equal(test_block(s, e->new_block)->seq, e->seq);
	assert_true(e->digest == 0 && e->rv == 12);
	assert_int_equal(slot->state, SHM_SLOT_FREE);
	assert_true(slot->seq == e->seq);
	assert_null(test_get(s, l, "default", "pod"));
	assert_int_equal(store_list_objects(l), 0);
	assert_int_equal(test_row(s, l)->events, 3);
	test_audit_list(s, l);
	store_free(&s);
}

static void same_version_publishes_nothing(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	struct store_usage before, after;
	upsert(l, test_simple(&t, "a", 10));
	uint64_t commit = test_header(s)->commit;
	store_usage(s, &before);
	while (store_dirty_pop(s))
		;
	assert_int_equal(upsert(l, test_simple(&t, "a", 10)), STORE_UNCHANGED);
	store_usage(s, &after);
	assert_true(test_header(s)->commit == commit);
	assert_memory_equal(&before, &after, sizeof before); /* no block is lost */
	assert_null(store_dirty_pop(s));
	assert_int_equal(test_row(s, l)->events, 2);
	store_free(&s);
}

static void older_version_is_refused(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	upsert(l, test_simple(&t, "a", 10));
	refused(s, l, test_simple(&t, "a", 9), false);
	refused(s, l, test_simple(&t, "a", 9), true);
	refused(s, l, test_object(&t, "default", "a", "other", "9", 100), false);
	refused(s, l, test_object(&t, "default", "a", "other", "10", 100), false); /* M8 */
	refused(s, l, test_object(&t, "default", "a", "other", "11", 100),
	        true); /* a life we missed */
	assert_int_equal(upsert(l, test_simple(&t, "a", 11)), STORE_MODIFIED);
	assert_int_equal(
	        delete (l, test_simple(&t, "a", 11)), STORE_DELETED); /* same version: fine */
	store_free(&s);
}

static void versions_beyond_64_bits(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	const char *big = "99999999999999999999999", *bigger = "100000000000000000000000";
	upsert(l, test_object(&t, "", "a", "u", big, 50));
	assert_true(test_get(s, l, "", "a")->rv == 0);
	assert_int_equal(upsert(l, test_object(&t, "", "a", "u", bigger, 50)), STORE_MODIFIED);
	refused(s, l, test_object(&t, "", "a", "u", big, 50), false);
	refused(s, l, test_object(&t, "", "a", "u", "5", 50), false);
	assert_true(span_is(store_list_rv(l), bigger));
	assert_int_equal(last_entry(s)->rv, 0);
	store_free(&s);
}

static void opaque_versions_know_equality_only(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	assert_int_equal(upsert(l, test_object(&t, "", "a", "u", "zz", 50)), STORE_ADDED);
	assert_int_equal(upsert(l, test_object(&t, "", "a", "u", "zz", 50)), STORE_UNCHANGED);
	assert_int_equal(upsert(l, test_object(&t, "", "a", "u", "aa", 50)), STORE_MODIFIED);
	assert_int_equal(upsert(l, test_object(&t, "", "a", "u", "007", 50)), STORE_MODIFIED);
	assert_int_equal(upsert(l, test_object(&t, "", "a", "u", "6", 50)), STORE_MODIFIED);
	assert_int_equal(delete (l, test_object(&t, "", "a", "u", "x", 50)), STORE_DELETED);
	assert_true(span_is(store_list_rv(l), "x"));
	store_free(&s);
}

static void another_uid_is_deleted_and_added(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	upsert(l, test_object(&t, "ns", "a", "first", "10", 100));
	const struct shm_slot *slot = test_get(s, l, "ns", "a");
	uint64_t old = slot->block, commit = test_header(s)->commit, hash = slot->object_hash;
	assert_int_equal(
	        upsert(l, test_object(&t, "ns", "a", "second", "11", 100)), STORE_RECREATED);
	assert_true(test_header(s)->commit == commit + 2); /* one batch */
	const struct shm_entry *d = test_entry(s, commit + 1), *a = test_entry(s, commit + 2);
	assert_int_equal(d->op, SHM_OP_DELETED);
	assert_int_equal(d->flags, SHM_FLAG_RECREATED | SHM_FLAG_FINAL_STATE_UNKNOWN);
	assert_true(d->old_block == old && d->new_block == 0 && d->digest == 0 && d->rv == 11);
	assert_int_equal(a->op, SHM_OP_ADDED);
	assert_int_equal(a->flags, SHM_FLAG_RECREATED);
	assert_true(a->old_block == 0 && a->prev == d->seq && a->slot == d->slot);
	assert_true(slot->block == a->new_block && slot->seq == a->seq && a->digest != hash);
	assert_int_equal(store_list_objects(l), 1);
	test_audit_list(s, l);
	store_free(&s);
}

static void unknown_delete_is_counted(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	struct store_usage u;
	uint64_t commit = test_header(s)->commit;
	assert_int_equal(delete (l, test_simple(&t, "ghost", 10)), STORE_UNKNOWN);
	assert_true(test_header(s)->commit == commit);
	assert_true(span_is(store_list_rv(l), "10")); /* the position moves */
	assert_true(span_is(span_of(test_row(s, l)->rv), "10"));
	store_usage(s, &u);
	assert_int_equal(u.unknown_deletes, 1);
	store_free(&s);
}

static void managed_fields_are_cut(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	struct json_object *o = test_simple(&t, "a", 10);
	strcpy(t.json, "{\"a\":1,\"cut\":2,\"b\":3}");
	o->raw = test_span(t.json);
	o->cut = (struct span){t.json + 7, 8};
	upsert(l, o);
	const struct shm_slot *slot = test_get(s, l, "default", "a");
	assert_true(span_is(block_json(s, slot->block), "{\"a\":1,\"b\":3}"));
	test_audit_list(s, l);        /* json_hash is that of what is left */
	o = test_simple(&t, "a", 11); /* at the very end */
	strcpy(t.json, "{\"a\":1,\"cut\":2}");
	o->raw = test_span(t.json);
	o->cut = (struct span){t.json + 6, 8};
	upsert(l, o);
	assert_true(span_is(block_json(s, slot->block), "{\"a\":1}"));
	test_audit_list(s, l);
	store_free(&s);
}

static void broken_objects_are_refused(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	enum store_outcome what;
	char big[300], bigger[JSON_NAME_MAX + 2];
	memset(bigger, 'x', sizeof bigger - 1);
	bigger[sizeof bigger - 1] = 0;
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	uint64_t commit = test_header(s)->commit;
	assert_int_equal(
	        store_upsert(l, test_object(&t, "n", "", "u", "1", 50), 1, &what), ERR_JSON_SHAPE);
	struct json_object *o = test_object(&t, "n", "a", "u", "1", 50);
	o->name = test_span(bigger);
	assert_int_equal(store_upsert(l, o, 1, &what), ERR_JSON_LIMIT);
	assert_non_null(strstr(store_list_refusal(l), "name 2049 of 2048"));
	assert_int_equal(
	        store_delete(l, test_object(&t, "n", "a", big, "1", 50), 1, &what), ERR_JSON_LIMIT);
	assert_true(test_header(s)->commit == commit);
	store_free(&s);
}

static void object_larger_than_a_segment(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.block_segment_bytes = 64 << 10;
	struct store *s = test_store(&c);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	enum store_outcome what;
	struct json_object *o = test_simple(&t, "a", 10);
	char *json = malloc(80000);
	memset(json, ' ', 80000);
	size_t strings = 64 + strlen("default") + 1 + 2 + strlen("uid-a") + 1 + 3;
	size_t most = (64 << 10) - ((strings + 7) & ~7ull);
	o->raw = (struct span){json, most + 1};
	assert_int_equal(store_upsert(l, o, 1, &what), ERR_JSON_LIMIT); /* limit + 1 */
	assert_non_null(strstr(store_list_refusal(l), "block_segment_bytes"));
	o->raw.n = most; /* limit */
	assert_int_equal(upsert(l, o), STORE_ADDED);
	test_audit_list(s, l);
	free(json);
	store_free(&s);
}

/* --- versions, bookmarks, liveness ------------------------------------------------------- */

static void bookmark_moves_the_version_only(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	uint64_t commit = test_header(s)->commit;
	while (store_dirty_pop(s))
		;
	store_bookmark(l, SPAN("100"), 7);
	assert_true(test_header(s)->commit == commit);
	assert_true(span_is(store_list_rv(l), "100"));
	assert_int_equal(test_row(s, l)->rv_num, 100);
	assert_int_equal(test_row(s, l)->last_bookmark_ns, 7);
	assert_ptr_equal(store_dirty_pop(s), l); /* somebody may wait for a version */
	store_bookmark(l, SPAN("99"), 8);        /* never back (M3) */
	assert_true(span_is(store_list_rv(l), "100"));
	assert_int_equal(test_row(s, l)->last_bookmark_ns, 8);
	assert_null(store_dirty_pop(s));
	store_bookmark(l, SPAN(""), 9);
	char longest[80];
	memset(longest, '9', sizeof longest);
	store_bookmark(l, (struct span){longest, 64}, 9); /* does not fit a row */
	assert_true(span_is(store_list_rv(l), "100"));
	store_bookmark(l, (struct span){longest, 63}, 9);
	assert_int_equal(store_list_rv(l).n, 63);
	store_free(&s);
}

static void bookmark_before_the_first_sync(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_list(s, "pods", NULL);
	store_bookmark(l, SPAN("100"), 7);
	assert_int_equal(store_list_rv(l).n, 0); /* nothing is whole at that version */
	store_free(&s);
}

static void list_version_never_goes_back(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	upsert(l, test_simple(&t, "a", 50));
	upsert(l, test_simple(&t, "b", 40)); /* unknown: ADDED, whatever its version */
	assert_true(span_is(store_list_rv(l), "50"));
	assert_int_equal(last_entry(s)->rv, 50);
	store_free(&s);
}

static void liveness_words(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	uint32_t ver = test_row(s, l)->ver;
	uint64_t commit = test_header(s)->commit;
	store_list_byte(l, 1234);
	assert_int_equal(test_row(s, l)->last_byte_ns, 1234);
	assert_int_equal(test_row(s, l)->ver, ver);
	assert_true(test_header(s)->commit == commit);
	store_free(&s);
}

static void state_is_published_when_it_differs(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_list(s, "pods", NULL);
	const struct shm_list *row = test_row(s, l);
	assert_int_equal(row->state, SHM_LIST_IDLE);
	store_list_state(l, SHM_LIST_CONNECTING, ERR_OK, NULL, 10);
	assert_int_equal(test_header(s)->commit, 1);
	assert_int_equal(last_entry(s)->op, SHM_OP_STATE);
	assert_int_equal(last_entry(s)->aux, SHM_LIST_CONNECTING);
	assert_true(row->state_since_ns == 10 && row->stale_since_ns == 10);
	store_list_state(l, SHM_LIST_CONNECTING, ERR_CONN_REFUSED, "connection refused", 20);
	assert_int_equal(test_header(s)->commit, 1); /* same state: only the row */
	assert_true(row->state_since_ns == 10);
	assert_string_equal(row->error_text, "connection refused");
	assert_string_equal(row->error_name, "CONN_REFUSED");
	assert_int_equal(row->last_error, ERR_CONN_REFUSED);
	store_list_state(l, SHM_LIST_LIVE, ERR_OK, "not shown", 30);
	assert_int_equal(test_header(s)->commit, 2);
	assert_true(row->last_change == 2 && last_entry(s)->prev == 1);
	assert_true(row->stale_since_ns == 0 && row->state_since_ns == 30);
	assert_string_equal(row->error_text, "");
	assert_string_equal(row->error_name, "");
	char longest[300];
	memset(longest, 'e', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	store_list_state(l, SHM_LIST_STALE, ERR_CONN_SILENT, longest, 40);
	store_list_state(l, SHM_LIST_RESUMING, ERR_CONN_SILENT, longest, 50);
	assert_int_equal(row->stale_since_ns, 40); /* since it stopped being live */
	assert_int_equal(strlen(row->error_text), SHM_ERROR_TEXT_BYTES - 1);
	store_free(&s);
}

/* --- lists ------------------------------------------------------------------------------- */

static void identity_can_be_read(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l;
	int owner;
	struct store_identity id = {SPAN("prod"), SPAN("apps"), SPAN("v1"), SPAN("deployments"),
	        SPAN("web"), SPAN("a=b"), SPAN(""), SPAN("metadata")};
	assert_ok(store_list_open(s, &id, NULL, &owner, &l));
	static const char want[] = "prod\0apps\0v1\0deployments\0web\0a=b\0\0metadata";
	struct span text = block_json(s, test_row(s, l)->identity);
	assert_int_equal(text.n, sizeof want);
	assert_memory_equal(text.p, want, sizeof want);
	assert_ptr_equal(store_list_owner(l), &owner);
	assert_int_equal(test_header(s)->list_count, 1);
	char *longest = malloc(40000);
	memset(longest, 'x', 40000);
	id.labels = (struct span){longest, 40000};
	assert_int_equal(store_list_open(s, &id, NULL, NULL, &l), ERR_LIMIT);
	assert_null(l);
	free(longest);
	store_free(&s);
}

static void closed_list_says_so_and_its_row_comes_back(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	struct store_usage u;
	uint32_t gen, again, row = store_list_row(l, &gen);
	for (uint64_t i = 1; i <= 40; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%u", (unsigned)i);
		upsert(l, test_simple(&t, name, 10 + i));
	}
	uint64_t block = test_get(s, l, "default", "p7")->block, hash = test_block_hash(s, block);
	store_list_close(&l, 99);
	store_list_close(&l, 99); /* NULL is fine */
	assert_null(l);
	const struct shm_list *r = test_row_at(s, row);
	assert_true(r->state == SHM_LIST_CLOSED && r->gen == gen);
	assert_int_equal(last_entry(s)->op, SHM_OP_STATE);
	assert_int_equal(last_entry(s)->aux, SHM_LIST_CLOSED);
	assert_true(test_block_hash(s, block) == hash); /* S5: head is not past the close */
	store_usage(s, &u);
	assert_int_equal(u.live_bytes, 0);
	assert_true(u.retained_bytes > 0);
	/* all rows of the table are taken: the closed one must come back */
	struct store_list *more[4];
	for (int i = 0; i < 4; i++)
		more[i] = test_list(s, "nodes", NULL);
	assert_int_equal(store_list_row(more[3], &again), row);
	assert_int_equal(again, gen + 1);
	assert_int_equal(r->state, SHM_LIST_IDLE);
	assert_int_equal(r->objects, 0);
	assert_int_equal(r->last_change, 0);
	assert_true(test_header(s)->head == test_header(s)->commit + 1);
	store_usage(s, &u);
	assert_int_equal(u.slots, 0);
	assert_int_equal(u.retained_bytes, 0);
	struct store_list *none;
	struct store_identity id = {.cluster = SPAN("x")};
	assert_int_equal(store_list_open(s, &id, NULL, NULL, &none), ERR_LIMIT); /* limit + 1 */
	assert_null(none);
	upsert(more[3], test_simple(&t, "p7", 5)); /* no ghost of the old list */
	assert_null(test_get(s, more[3], "default", "p8"));
	test_audit_list(s, more[3]);
	store_free(&s);
}

static void closing_frees_without_stalling(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.retained_bytes_max = 1;
	struct store *s = test_store(&c);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	struct store_usage u;
	for (uint64_t i = 1; i <= 20000; i++) {
		char name[16];
		snprintf(name, sizeof name, "p%u", (unsigned)i);
		upsert(l, test_simple(&t, name, 10 + i));
	}
	store_list_close(&l, 1);
	int ticks = 0;
	do {
		store_tick(s, 1);
		store_usage(s, &u);
	} while (++ticks < 100 && u.slots > 0);
	assert_true(ticks > 1 && ticks < 10); /* by pieces of 512 pages */
	assert_int_equal(u.retained_bytes, 0);
	store_free(&s);
}

static void dirty_lists_come_once(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *a = test_live_list(s, "a", NULL), *b = test_live_list(s, "b", NULL);
	struct test_object t;
	while (store_dirty_pop(s))
		;
	upsert(b, test_simple(&t, "x", 10));
	upsert(a, test_simple(&t, "x", 10));
	upsert(b, test_simple(&t, "x", 11));
	assert_ptr_equal(store_dirty_pop(s), b);
	assert_ptr_equal(store_dirty_pop(s), a);
	assert_null(store_dirty_pop(s));
	upsert(a, test_simple(&t, "x", 12));
	store_list_close(&a, 1); /* a closed one is not handed out any more */
	assert_null(store_dirty_pop(s));
	store_free(&s);
}

static void lists_do_not_see_each_other(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *a = test_live_list(s, "a", NULL), *b = test_live_list(s, "b", NULL);
	struct test_object t;
	upsert(a, test_simple(&t, "x", 10));
	assert_int_equal(delete (b, test_simple(&t, "x", 11)), STORE_UNKNOWN);
	assert_int_equal(upsert(b, test_simple(&t, "x", 12)), STORE_ADDED);
	assert_int_equal(delete (a, test_simple(&t, "x", 13)), STORE_DELETED);
	assert_non_null(test_get(s, b, "default", "x"));
	assert_null(test_get(s, a, "default", "x"));
	test_audit_list(s, a);
	test_audit_list(s, b);
	store_free(&s);
}

/* --- memory ------------------------------------------------------------------------------ */

static uint64_t segments_rss(void)
{
	char line[512];
	unsigned long kib;
	uint64_t sum = 0;
	bool ours = false;
	FILE *f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (strstr(line, " rw-s "))
			ours = strstr(line, "memfd:kubering-") != NULL;
		else if (strstr(line, "-p ") || strstr(line, "r--s"))
			ours = false;
		else if (ours && sscanf(line, "Rss: %lu", &kib) == 1)
			sum += kib * 1024;
	}
	fclose(f);
	return sum;
}

/* 14.5 KB of Pod, 9.2 KB without managedFields: 9.7 KiB at most, all included, for the kernel too.
 */
static void a_pod_costs_what_it_must(void **state)
{
	(void)state;
	enum { PODS = 3000, BYTES = 14500, KEPT = 9200 };
	struct store *s;
	struct errmsg msg;
	struct store_config c = {.hash_seed = 1};
	assert_ok(store_new(&c, &s, &msg));
	struct store_list *l = test_list(s, "pods", NULL);
	struct store_sync_result r;
	struct store_usage u;
	char *json = calloc(1, BYTES);
	uint64_t before = segments_rss();
	store_sync_begin(l, 1);
	for (int i = 0; i < PODS; i++) {
		char name[64], uid[64], rv[16];
		snprintf(name, sizeof name, "deployment-7d4b9c9f8-%06d", i);
		snprintf(uid, sizeof uid, "6f1c2d3e-0000-4000-8000-%012d", i);
		snprintf(rv, sizeof rv, "%d", 100000000 + i);
		struct json_object o = {.raw = {json, BYTES},
		        .cut = {json + 500, BYTES - KEPT},
		        .name = test_span(name),
		        .namespace_ = SPAN("default"),
		        .uid = test_span(uid),
		        .resource_version = test_span(rv)};
		assert_ok(store_sync_item(l, &o, 1));
	}
	assert_ok(store_sync_commit(l, SPAN("200000000"), false, 1, &r));
	store_usage(s, &u);
	double counted =
	        (double)u.live_bytes / PODS + 64.0 * 16 / 15 + 8.0 * (double)u.index_entries / PODS;
	double rss = (double)(segments_rss() - before) / PODS;
	assert_true(counted < 9.7 * 1024);
	assert_true(rss < 9.7 * 1024 && rss > KEPT);
	free(json);
	store_free(&s);
}

static void usage_adds_up(void **state)
{
	(void)state;
	struct store_config c = *SMALL;
	c.ring_entries = 16;
	struct store *s = test_store(&c);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	struct store_usage u, v;
	store_usage(s, &u);
	assert_int_equal(u.slots, 0);
	assert_int_equal(u.index_entries, 4096);
	upsert(l, test_simple(&t, "a", 10));
	store_usage(s, &v);
	assert_int_equal(v.slots, 1);
	assert_int_equal(v.slots_free, 14);
	assert_int_equal(v.live_bytes - u.live_bytes, 320); /* 64 + 24 + 200, in steps of 64 */
	for (uint64_t rv = 11; rv < 100; rv++)
		upsert(l, test_simple(&t, "a", rv));
	store_usage(s, &v);
	assert_int_equal(v.live_bytes - u.live_bytes, 320);
	/* change c overwrote the entry of c - 16, whose old block went: 16 entries, 15 or 16 blocks
	 */
	assert_true(v.retained_bytes / 320 >= 15 && v.retained_bytes / 320 <= 16);
	assert_true(v.ring_commit - v.ring_head == 14 || v.ring_commit - v.ring_head == 15);
	store_free(&s);
}

/* --- peek ----------------------------------------------------------------------------------- */

static void peek_shows_what_is_published(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL),
	                  *m = test_live_list(s, "jobs", NULL);
	struct store_held h = {.slot = 77}, first;
	struct test_object t;
	assert_false(peek(l, "default", "a", &h));
	assert_int_equal(h.slot, 77); /* untouched */
	const struct json_object *o = test_simple(&t, "a", 10);
	assert_int_equal(upsert(l, o), STORE_ADDED);
	assert_true(peek(l, "default", "a", &h));
	assert_true(span_eq(h.known.json, o->raw) && h.known.json.p != o->raw.p);
	assert_true(
	        span_is(h.known.uid, "uid-a") && span_is(h.resource_version, "10") && h.rv == 10);
	assert_ptr_equal(test_slot(s, h.slot), test_get(s, l, "default", "a"));
	first = h;
	assert_int_equal(upsert(l, test_simple(&t, "a", 11)), STORE_MODIFIED);
	assert_true(peek(l, "default", "a", &h));
	assert_true(span_eq(h.known.json, t.o.raw) && h.rv == 11 && h.slot == first.slot);
	/* another namespace, name, list; a name too long for any object */
	char longer[JSON_NAME_MAX + 2];
	memset(longer, 'a', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	assert_false(peek(l, "", "a", &h) || peek(l, "default", "", &h) ||
	             peek(l, "default", "aa", &h) || peek(m, "default", "a", &h) ||
	             peek(l, "default", longer, &h) || peek(l, longer, "a", &h));
	assert_int_equal(delete (l, test_simple(&t, "a", 12)), STORE_DELETED);
	assert_false(peek(l, "default", "a", &h));
	/* an opaque version, and no uid */
	assert_int_equal(upsert(l, test_object(&t, "", "node", "", "v-x", 64)), STORE_ADDED);
	assert_true(peek(l, "", "node", &h));
	assert_true(h.rv == 0 && span_is(h.resource_version, "v-x") && h.known.uid.n == 0);
	store_free(&s);
}

static void peek_does_not_see_what_a_sync_staged(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct store_sync_result r;
	struct store_held h;
	struct test_object t;
	assert_int_equal(upsert(l, test_simple(&t, "a", 10)), STORE_ADDED);
	store_sync_begin(l, 1);
	assert_ok(store_sync_item(l, test_simple(&t, "a", 20), 1));
	assert_ok(store_sync_item(l, test_simple(&t, "b", 21), 1));
	assert_true(peek(l, "default", "a", &h) && h.rv == 10);
	assert_false(peek(l, "default", "b", &h));
	struct shm_header before = *test_header(s);
	struct shm_list row = *test_row(s, l);
	assert_true(peek(l, "default", "a", &h)); /* and nobody can tell */
	assert_memory_equal(test_header(s), &before, sizeof before);
	assert_memory_equal(test_row(s, l), &row, sizeof row);
	assert_ok(store_sync_commit(l, SPAN("30"), false, 1, &r));
	assert_true(peek(l, "default", "a", &h) && h.rv == 20);
	assert_true(peek(l, "default", "b", &h) && h.rv == 21);
	store_free(&s);
}

/* {"managedFields":[],"name":"a","pad...":0,"resourceVersion":"RV"}: where the version and what was
 * cut stand in the text that is kept. */
static struct json_object marked(char *text, size_t cap, size_t pad, const char *rv)
{
	int n = snprintf(text, cap,
	        "{\"managedFields\":[],\"name\":\"a\",\"%0*d\":0,\"resourceVersion\":\"%s\"}",
	        (int)pad, 0, rv);
	assert_in_range(n, 1, cap - 1);
	struct json_object o = {.raw = {text, (size_t)n},
	        .cut = {text + 1, sizeof "\"managedFields\":[]," - 1},
	        .name = SPAN("a"),
	        .uid = SPAN("u"),
	        .resource_version = {text + n - 2 - strlen(rv), strlen(rv)}};
	return o;
}

static void assert_marks(const struct store_list *l, const char *rv)
{
	struct store_held h;
	assert_true(peek(l, "", "a", &h));
	assert_int_equal(h.known.cut_at, 1);
	assert_true(h.known.version_at > 1 && h.known.version_at < h.known.json.n);
	const char *at = h.known.json.p + h.known.version_at;
	assert_memory_equal(at, rv, strlen(rv));
	assert_true(at[-1] == '"' && at[strlen(rv)] == '"');
}

static void marks_are_those_of_the_object(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct store_sync_result r;
	char text[256];
	struct json_object o = marked(text, sizeof text, 3, "10");
	assert_int_equal(upsert(l, &o), STORE_ADDED);
	assert_marks(l, "10");
	store_sync_begin(l, 1);
	o = marked(text, sizeof text, 7, "20");
	assert_ok(store_sync_item(l, &o, 1));
	assert_marks(l, "10");
	o = marked(text, sizeof text, 9, "21"); /* once more */
	assert_ok(store_sync_item(l, &o, 1));
	assert_ok(store_sync_commit(l, SPAN("30"), false, 1, &r));
	assert_marks(l, "21");
	store_sync_begin(l, 1);
	o = marked(text, sizeof text, 11, "40");
	assert_ok(store_sync_item(l, &o, 1));
	store_sync_abort(l);
	assert_marks(l, "21");
	o = marked(text, sizeof text, 2, "41");
	assert_int_equal(upsert(l, &o), STORE_MODIFIED);
	assert_marks(l, "41");
	store_free(&s);
}

/* store_replace is store_upsert without the look-up. */
static void replace_is_upsert_of_what_was_peeked(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL), *other = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL),
	                  *m = test_live_list(other, "pods", NULL);
	struct store_held h;
	struct test_object t;
	enum store_outcome what;
	for (uint64_t rv = 10; rv < 13; rv++) {
		assert_int_equal(upsert(m, test_simple(&t, "a", rv)),
		        rv == 10 ? STORE_ADDED : STORE_MODIFIED);
		const struct json_object *o = test_simple(&t, "a", rv);
		if (rv == 10) {
			assert_int_equal(upsert(l, o), STORE_ADDED);
			continue;
		}
		assert_true(peek(l, "default", "a", &h));
		assert_ok(store_replace(l, &h, o, 7, &what));
		assert_int_equal(what, STORE_MODIFIED);
	}
	const struct shm_entry *e = test_entry(s, test_header(s)->commit);
	assert_true(e->op == SHM_OP_MODIFIED && e->old_block != 0);
	assert_int_equal(store_list_digest(l), store_list_digest(m));
	assert_true(span_is(store_list_rv(l), "12"));
	/* the same version again, an older one, one that is too long */
	assert_true(peek(l, "default", "a", &h) && h.rv == 12);
	assert_ok(store_replace(l, &h, test_simple(&t, "a", 12), 7, &what));
	assert_int_equal(what, STORE_UNCHANGED);
	assert_true(peek(l, "default", "a", &h));
	assert_int_equal(store_replace(l, &h, test_simple(&t, "a", 11), 7, &what), ERR_KUBE_ORDER);
	char longer[SHM_RV_BYTES + 1];
	memset(longer, '9', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	struct json_object o = *test_simple(&t, "a", 13);
	o.resource_version = span_of(longer);
	assert_int_equal(store_replace(l, &h, &o, 7, &what), ERR_JSON_LIMIT);
	test_audit_list(s, l);
	store_free(&other);
	store_free(&s);
}

/* Hints: for objects that are there and that are not; nothing changes. */
static void a_trace_changes_nothing(void **state)
{
	(void)state;
	struct store *s = test_store(SMALL);
	struct store_list *l = test_live_list(s, "pods", NULL);
	struct test_object t;
	char longer[JSON_NAME_MAX + 2];
	memset(longer, 'a', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	const char *names[] = {"a", "b", "", longer};
	assert_int_equal(upsert(l, test_simple(&t, "a", 10)), STORE_ADDED);
	struct shm_header before = *test_header(s);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct store_trace trace;
		store_trace_begin(l, SPAN("default"), span_of(names[i]), &trace);
		store_trace_rest(&trace, 1);
		assert_true(i > 1 || trace.list == l);
		assert_true(i != 3 || !trace.list);
	}
	assert_memory_equal(test_header(s), &before, sizeof before);
	store_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(header_says_what_it_is),
	        cmocka_unit_test(config_is_checked),
	        cmocka_unit_test(segments_are_handed_out),
	        cmocka_unit_test(tick_beats_and_signals),
	        cmocka_unit_test(added_modified_deleted),
	        cmocka_unit_test(same_version_publishes_nothing),
	        cmocka_unit_test(older_version_is_refused),
	        cmocka_unit_test(versions_beyond_64_bits),
	        cmocka_unit_test(opaque_versions_know_equality_only),
	        cmocka_unit_test(another_uid_is_deleted_and_added),
	        cmocka_unit_test(unknown_delete_is_counted),
	        cmocka_unit_test(managed_fields_are_cut),
	        cmocka_unit_test(broken_objects_are_refused),
	        cmocka_unit_test(object_larger_than_a_segment),
	        cmocka_unit_test(bookmark_moves_the_version_only),
	        cmocka_unit_test(bookmark_before_the_first_sync),
	        cmocka_unit_test(list_version_never_goes_back),
	        cmocka_unit_test(liveness_words),
	        cmocka_unit_test(state_is_published_when_it_differs),
	        cmocka_unit_test(identity_can_be_read),
	        cmocka_unit_test(closed_list_says_so_and_its_row_comes_back),
	        cmocka_unit_test(closing_frees_without_stalling),
	        cmocka_unit_test(dirty_lists_come_once),
	        cmocka_unit_test(lists_do_not_see_each_other),
	        cmocka_unit_test(a_pod_costs_what_it_must),
	        cmocka_unit_test(usage_adds_up),
	        cmocka_unit_test(peek_shows_what_is_published),
	        cmocka_unit_test(peek_does_not_see_what_a_sync_staged),
	        cmocka_unit_test(marks_are_those_of_the_object),
	        cmocka_unit_test(replace_is_upsert_of_what_was_peeked),
	        cmocka_unit_test(a_trace_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
