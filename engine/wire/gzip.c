#include "wire/gzip.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	WINDOW_BITS_GZIP = 15 + 16, /* zlib: gzip wrapper only, the largest window */
	/* zlib's own figure for inflate (zconf.h): window plus about 7 KiB of state. */
	ZLIB_BYTES = (1 << 15) + 7 * 1024,
	/* inflate() counts in unsigned int. */
	STEP_BYTES_MAX = 1 << 30,
};

/* What the last call of inflate() means for the next. */
enum where {
	BETWEEN, /* no member is open: the next byte must start one, or the body ends */
	IN_MEMBER,
};

struct gzip {
	z_stream z;
	struct gzip_limits limits;
	uint64_t input, output; /* of all members */
	uint64_t members;       /* whole ones */
	enum where where;
	err_t err;
	const char *why; /* static text */
};

err_t gzip_new(struct gzip **out, const struct gzip_limits *limits, struct errmsg *m)
{
	CHECK(limits->output_bytes_max > 0 && limits->ratio_max > 0);
	*out = NULL;
	struct gzip *g = calloc(1, sizeof *g);
	if (!g || inflateInit2(&g->z, WINDOW_BITS_GZIP) != Z_OK) {
		free(g);
		return errmsg_set(m, ERR_NO_MEMORY, "to inflate a body");
	}
	g->limits = *limits;
	*out = g;
	return ERR_OK;
}

void gzip_free(struct gzip **g)
{
	if (!*g)
		return;
	inflateEnd(&(*g)->z);
	free(*g);
	*g = NULL;
}

static err_t fail(struct gzip *g, err_t e, const char *why)
{
	g->err = e;
	g->why = why;
	return e;
}

static err_t report(const struct gzip *g, struct errmsg *m)
{
	return errmsg_set(m, g->err, "%s, member %llu, after %llu bytes in and %llu out", g->why,
	        (unsigned long long)g->members + 1, (unsigned long long)g->input,
	        (unsigned long long)g->output);
}

/* zlib's texts are static. The header check is the only one that can fail where a member should
 * begin. */
static err_t fail_zlib(struct gzip *g, int code)
{
	if (code == Z_MEM_ERROR)
		return fail(g, ERR_NO_MEMORY, "to inflate a body");
	if (g->z.msg && strcmp(g->z.msg, "incorrect header check") == 0)
		return fail(g, ERR_GZIP,
		        g->members ? "garbage behind a member" : "the body is not gzip");
	if (g->z.msg && strcmp(g->z.msg, "incorrect data check") == 0)
		return fail(g, ERR_GZIP, "wrong CRC");
	if (g->z.msg && strcmp(g->z.msg, "incorrect length check") == 0)
		return fail(g, ERR_GZIP, "wrong length");
	return fail(g, ERR_GZIP, g->z.msg ? g->z.msg : "cannot be inflated");
}

/* One call of zlib. In *in and *room, what is left. false: no progress is possible with these. */
static bool step(struct gzip *g, struct span *in, char **to, size_t *room)
{
	uInt in_bytes = (uInt)(in->n < STEP_BYTES_MAX ? in->n : STEP_BYTES_MAX);
	uInt out_bytes = (uInt)(*room < STEP_BYTES_MAX ? *room : STEP_BYTES_MAX);
	g->z.next_in = (z_const Bytef *)(uintptr_t)in->p;
	g->z.avail_in = in_bytes;
	g->z.next_out = (Bytef *)*to;
	g->z.avail_out = out_bytes;
	if (g->where == BETWEEN && in_bytes == 0)
		return false;
	g->where = IN_MEMBER;
	int r = inflate(&g->z, Z_SYNC_FLUSH);
	size_t took = in_bytes - g->z.avail_in, made = out_bytes - g->z.avail_out;
	in->p += took;
	in->n -= took;
	*to += made;
	*room -= made;
	g->input += took;
	g->output += made;
	if (r == Z_STREAM_END) {
		/* Kubernetes ends a member at each flush; what comes next is another one. */
		CHECK(inflateReset(&g->z) == Z_OK);
		g->members++;
		g->where = BETWEEN;
		return true;
	}
	if (r != Z_OK && r != Z_BUF_ERROR) {
		fail_zlib(g, r);
		return false;
	}
	return took > 0 || made > 0;
}

/* Past any ratio that lists of objects reach, and large enough to hurt. */
static bool is_bomb(const struct gzip *g)
{
	return g->output > g->limits.ratio_free_bytes && g->output / g->limits.ratio_max > g->input;
}

/* The output has its full size: only members without content, or the end of one, may come. */
static void run_full(struct gzip *g, struct span *in)
{
	char one, *to = &one;
	size_t room = 1;
	while (room > 0 && step(g, in, &to, &room))
		;
	if (room == 0 && g->err == ERR_OK)
		fail(g, ERR_LIMIT, "body is larger than its limit");
	g->output -= 1 - room;
}

err_t gzip_inflate(
        struct gzip *g, struct span *in, char *buf, size_t cap, size_t *n, struct errmsg *m)
{
	*n = 0;
	if (g->err != ERR_OK)
		return report(g, m);
	CHECK(cap > 0);
	uint64_t left = g->limits.output_bytes_max - g->output;
	size_t room = left < cap ? (size_t)left : cap;
	const size_t size = room;
	if (room == 0)
		run_full(g, in);
	while (room > 0 && step(g, in, &buf, &room))
		;
	if (g->err == ERR_OK && is_bomb(g))
		fail(g, ERR_GZIP, "expands too far, it looks like a bomb");
	*n = size - room;
	if (*n == 0 && g->err != ERR_OK)
		return report(g, m);
	return ERR_OK;
}

err_t gzip_finish(struct gzip *g, struct errmsg *m)
{
	if (g->err == ERR_OK && g->where == IN_MEMBER)
		fail(g, ERR_GZIP, "the body ends inside a member");
	return g->err == ERR_OK ? ERR_OK : report(g, m);
}

uint64_t gzip_input_bytes(const struct gzip *g)
{
	return g->input;
}
uint64_t gzip_output_bytes(const struct gzip *g)
{
	return g->output;
}

size_t gzip_bytes(const struct gzip *g)
{
	return sizeof *g + ZLIB_BYTES;
}
