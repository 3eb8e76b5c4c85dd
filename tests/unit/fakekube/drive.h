/* drive.h - for the tests of the API-server model: a server with one cluster and one connection,
 * driven by hand. */
#ifndef KR_UNIT_FAKEKUBE_DRIVE_H
#define KR_UNIT_FAKEKUBE_DRIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model_conn.h"
#include "model/model_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000ull
/* Tuesday, 24 November 2026, 22:56:46 UTC: the moment of the recorded traffic. */
#define WALL_S 1795561006

struct drive {
	struct model_server server;
	struct model_cluster *cluster;
	struct model_conn *conn;
	uint64_t now_ns;
	struct model_text got; /* everything that came since the last request */
};

static inline void drive_init_with(struct drive *d, const struct model_server_options *o)
{
	memset(d, 0, sizeof *d);
	model_server_init(&d->server, o);
	d->cluster = model_server_add_cluster(&d->server,
	        &(struct model_cluster_options){.name = "", .seed = 7, .first_rv = 200});
	assert_non_null(d->cluster);
}

static inline void drive_init(struct drive *d)
{
	drive_init_with(d, &(struct model_server_options){.wall_s = WALL_S, .seed = 1});
}

static inline void drive_fini(struct drive *d)
{
	model_conn_free(&d->conn);
	model_server_fini(&d->server);
	model_text_fini(&d->got);
}

/* Takes what there is to take, without time passing. The text is NUL-terminated for string
 * functions. */
static inline void drive_take(struct drive *d)
{
	for (;;) {
		struct span s = model_conn_peek(d->conn, d->now_ns);
		if (s.n == 0)
			break;
		model_text_span(&d->got, s);
		model_conn_consume(d->conn, s.n, d->now_ns);
	}
	TEXT_LIT(&d->got, "\0");
	d->got.n--;
}

/* Lets time pass, deadline by deadline, taking output at each. */
static inline void drive_wait(struct drive *d, uint64_t ns)
{
	uint64_t end = d->now_ns + ns;
	for (;;) {
		uint64_t next = model_conn_deadline_ns(d->conn);
		if (next > end)
			break;
		d->now_ns = next > d->now_ns ? next : d->now_ns + 1;
		model_conn_tick(d->conn, d->now_ns);
		drive_take(d);
	}
	d->now_ns = end;
	model_conn_tick(d->conn, d->now_ns);
	drive_take(d);
}

/* A new connection if the last one is closed or there was none. */
static inline void drive_connect(struct drive *d)
{
	model_conn_free(&d->conn);
	d->conn = model_conn_new(&d->server, NULL, d->now_ns);
}

/* Sends GET url with further header lines (each with CRLF) and takes what comes at once. */
static inline const char *drive_get(struct drive *d, const char *url, const char *fields)
{
	if (!d->conn || model_conn_closed(d->conn) != MODEL_OPEN)
		drive_connect(d);
	struct model_text r = {0};
	model_text_printf(&r, "GET %s HTTP/1.1\r\nHost: x\r\nUser-Agent: kuberingd\r\n%s\r\n", url,
	        fields ? fields : "");
	d->got.n = 0;
	model_conn_feed(d->conn, model_text_as_span(&r), d->now_ns);
	model_text_fini(&r);
	drive_take(d);
	return d->got.p;
}

/* GET on a connection of its own, in place of the one before. */
static inline const char *drive_fresh(struct drive *d, const char *url, const char *fields)
{
	drive_connect(d);
	return drive_get(d, url, fields);
}

static inline const char *drive_body(const struct drive *d)
{
	const char *p = strstr(d->got.p, "\r\n\r\n");
	assert_non_null(p);
	return p + 4;
}

/* The body with the chunk framing taken off. The caller frees it with model_text_fini. *whole: the
 * last chunk was there. */
static inline struct model_text drive_unchunk(const struct drive *d, bool *whole)
{
	struct model_text out = {0};
	const char *p = drive_body(d), *end = d->got.p + d->got.n;
	*whole = false;
	while (p < end) {
		char *eol;
		size_t n = strtoul(p, &eol, 16);
		assert_memory_equal(eol, "\r\n", 2);
		p = eol + 2;
		*whole = n == 0;
		if (n == 0 || (size_t)(end - p) < n + 2)
			break;
		model_text_put(&out, p, n);
		p += n;
		assert_memory_equal(p, "\r\n", 2);
		p += 2;
	}
	TEXT_LIT(&out, "\0");
	out.n--;
	return out;
}

static inline void assert_contains(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("missing: %s\nin: %.2000s", what, text);
}
static inline void assert_starts(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("does not start with: %s\nbut: %.2000s", with, text);
}
static inline void assert_lacks(const char *text, const char *what)
{
	if (strstr(text, what))
		fail_msg("there is: %s\nin: %.2000s", what, text);
}
static inline size_t count_of(const char *text, const char *what)
{
	size_t n = 0;
	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static inline const struct model_kind *kind_of(const char *group, const char *resource)
{
	const struct model_kind *k = model_kind_find(span_of(group), SPAN_NONE, span_of(resource));
	assert_non_null(k);
	return k;
}

/* A ConfigMap {"data":{"k":"v"}} as it was recorded. Returns its version. */
static inline uint64_t make_configmap(struct drive *d, const char *ns, const char *name)
{
	return model_create(d->cluster, kind_of("", "configmaps"),
	        &(struct model_spec){
	                .namespace_ = ns, .name = name, .members = "\"data\":{\"k\":\"v\"}"},
	        d->now_ns);
}

#endif
