/* watch_rig.h - a list+watch machine at a clock that the test moves, and short words for what a
 * server says to it. Included behind cmocka.h. */
#ifndef KR_TESTS_WATCH_RIG_H
#define KR_TESTS_WATCH_RIG_H

#include <stdio.h>

#include "kube/watch.h"

#define S KUBE_S

struct rig {
	struct watch w;
	struct watch_conf conf;
	struct watch_caps caps;
	struct watch_out out;
	uint64_t now;
};

static inline void rig_init(struct rig *r, bool watch_list)
{
	*r = (struct rig){.now = 1000 * S};
	r->conf =
	        (struct watch_conf){.version = "v1", .resource = "pods", .watch_list = watch_list};
	watch_init(&r->w, &r->conf, &r->caps, 7);
	watch_start(&r->w, r->now, &r->out);
	assert_true(r->out.acts & WATCH_CONNECT);
	watch_on_ready(&r->w, r->now, &r->out);
	assert_true(r->out.acts & WATCH_SEND);
}

static inline const char *target(struct rig *r)
{
	static char buf[WATCH_TARGET_MAX + 1];
	const char *accept;
	size_t n = watch_target(&r->w, buf, WATCH_TARGET_MAX, &accept);
	assert_true(n > 0);
	buf[n] = 0;
	return buf;
}

static inline bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static inline enum watch_apply event(
        struct rig *r, enum json_event_type type, const char *rv, bool end)
{
	struct json_event ev = {.type = type,
	        .initial_events_end = end,
	        .object = {.name = SPAN("a"), .resource_version = span_of(rv)}};
	return watch_on_event(&r->w, &ev, NULL, r->now, &r->out);
}

static inline void page(struct rig *r, const char *rv, const char *token)
{
	struct json_list_meta meta = {
	        .resource_version = span_of(rv), .continue_ = span_of(token), .saw_items = true};
	assert_int_equal(watch_on_head(&r->w, 200, -1, r->now, &r->out), WATCH_BODY_LIST);
	watch_on_page(&r->w, &meta, r->now, &r->out);
}

static inline void status(struct rig *r, int http, struct json_status st, int retry_after)
{
	assert_int_equal(
	        watch_on_head(&r->w, http, retry_after, r->now, &r->out), WATCH_BODY_STATUS);
	watch_on_status(&r->w, &st, true, r->now, &r->out);
}

/* A list at rv 100 that streams. */
static inline void rig_live(struct rig *r)
{
	rig_init(r, false);
	page(r, "100", "");
	assert_true(r->out.acts & WATCH_SYNC_COMMIT && r->out.acts & WATCH_SEND);
	assert_true(has(target(r), "resourceVersion=100"));
	assert_int_equal(watch_on_head(&r->w, 200, -1, r->now, &r->out), WATCH_BODY_EVENTS);
	assert_int_equal(watch_list_state(&r->w), WATCH_LIST_LIVE);
}

/* Its time has come: it connects and asks. */
static inline void again(struct rig *r)
{
	r->now = r->w.deadline_ns;
	watch_on_timer(&r->w, r->now, &r->out);
	assert_true(r->out.acts & WATCH_CONNECT);
	watch_on_ready(&r->w, r->now, &r->out);
	assert_true(r->out.acts & WATCH_SEND);
}

static inline void stream(struct rig *r)
{
	assert_int_equal(r->w.request, WATCH_REQ_WATCH);
	assert_int_equal(watch_on_head(&r->w, 200, -1, r->now, &r->out), WATCH_BODY_EVENTS);
}

static inline void error_event(struct rig *r, struct json_status st)
{
	struct json_event ev = {.type = JSON_EVENT_ERROR};
	assert_int_equal(watch_on_event(&r->w, &ev, &st, r->now, &r->out), WATCH_APPLY_NOTHING);
	assert_true(r->out.acts & WATCH_CLOSE);
}

/* The next thing asked for is the list, at once or when its time has come. */
static inline void assert_relists(struct rig *r)
{
	if (r->w.state == WATCH_WAITING || r->w.state == WATCH_PARKED)
		again(r);
	else if (r->w.state == WATCH_CONNECTING)
		watch_on_ready(&r->w, r->now, &r->out);
	assert_true(has(target(r), "limit=500"));
}

#endif
