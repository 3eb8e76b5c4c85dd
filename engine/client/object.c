#include "client/object.h"

#include <stdlib.h>
#include <string.h>

enum { PRIVATE_POSITION, PRIVATE_SLOT, PRIVATE_SEQ, PRIVATE_BLOCK };

bool object_intact(struct mapping *s, const struct object_guard *g)
{
	struct shm_slot slot;
	if (read_intact(&s->read, g->position + 1)) /* R4, R5 */
		return true;
	return g->slot != 0 && mapping_slot(s, g->slot, &slot) == READ_OK && /* S2 */
	       slot.state == SHM_SLOT_LIVE && slot.seq == g->seq && slot.block == g->block;
}

void object_none(struct kr_object *out)
{
	static const char nothing[KR_PADDING + 1]; /* readable as JSON of 0 bytes with slack */
	out->namespace_ = out->name = out->uid = out->resource_version = out->json = nothing;
	out->json_bytes = 0;
	out->recv_ns = out->json_hash = 0;
	for (size_t i = 0; i < sizeof out->_private / sizeof out->_private[0]; i++)
		out->_private[i] = 0;
}

static bool reserve(struct object_buf *b, size_t bytes)
{
	if (b->bytes >= bytes)
		return true;
	size_t room = b->bytes ? b->bytes : 4096;
	while (room < bytes)
		room *= 2;
	uint8_t *at = malloc(room); /* the old content is of no use: no realloc */
	if (!at)
		return false;
	free(b->at);
	*b = (struct object_buf){at, room};
	return true;
}

void object_buf_fini(struct object_buf *b)
{
	free(b->at);
	*b = (struct object_buf){NULL, 0};
}

static void fill(struct kr_object *out, const struct read_object *o, const struct object_guard *g)
{
	_Static_assert(sizeof *out == 12 * 8, "each member is set: clearing it first costs more");
	out->namespace_ = o->namespace_;
	out->name = o->name;
	out->uid = o->uid;
	out->resource_version = o->rv;
	out->json = o->json;
	out->json_bytes = o->json_bytes;
	out->recv_ns = o->recv_ns;
	out->json_hash = o->json_hash;
	out->_private[PRIVATE_POSITION] = g->position;
	out->_private[PRIVATE_SLOT] = g->slot;
	out->_private[PRIVATE_SEQ] = g->seq;
	out->_private[PRIVATE_BLOCK] = g->block;
}

/* Room for bytes. A large number may be that of a block that is being reused: it is believed only
 * if the block is still ours. */
static int make_room(
        struct mapping *s, const struct object_guard *g, struct object_buf *buf, size_t bytes)
{
	if (bytes <= buf->bytes)
		return KR_OK;
	if (!object_intact(s, g))
		return KR_ERR_OVERRUN;
	if (!reserve(buf, bytes))
		return client_fail(
		        s->client, KR_ERR_MEMORY, "no memory for an object of %zu bytes", bytes);
	return KR_OK;
}

int object_load(struct mapping *s, const struct object_guard *g, struct object_buf *buf,
        unsigned flags, struct kr_object *out)
{
	struct read_object o __attribute__((uninitialized));
	const uint8_t *at = NULL;
	uint32_t bytes = 0;
	enum read_result r = mapping_block(s, g->block, &at, &bytes);
	if (r != READ_OK)
		return r == READ_CORRUPT ? KR_ERR_CORRUPT : mapping_fail(s, r);
	if (!(flags & KR_BORROW)) {
		int room = make_room(s, g, buf, (size_t)bytes + KR_PADDING);
		if (room != KR_OK)
			return room;
		read_bytes(buf->at, at, bytes); /* R3 */
		memset(buf->at + bytes, 0, KR_PADDING);
		at = buf->at;
	}
	if (!read_object(at, bytes, &o))
		return KR_ERR_CORRUPT;
	fill(out, &o, g);
	return KR_OK;
}

int object_take(struct mapping *s, const struct object_guard *g, struct object_buf *buf,
        unsigned flags, struct kr_object *out)
{
	int r = object_load(s, g, buf, flags, out);
	if (r != KR_OK && r != KR_ERR_CORRUPT)
		return r;
	if (!object_intact(s, g)) /* what looks broken may just be reused */
		return KR_ERR_OVERRUN;
	return r == KR_OK ? KR_OK : mapping_fail(s, READ_CORRUPT);
}

bool object_guard_of(const struct mapping *s, const struct kr_object *o, struct object_guard *g)
{
	*g = (struct object_guard){
	        .position = o->_private[PRIVATE_POSITION],
	        .slot = (uint32_t)o->_private[PRIVATE_SLOT],
	        .seq = o->_private[PRIVATE_SEQ],
	        .block = o->_private[PRIVATE_BLOCK],
	};
	uint64_t segment = g->block >> SHM_BLOCK_SEGMENT_SHIFT;
	if (segment == 0 || segment >= SHM_SEGMENTS_MAX || !s->read.maps[segment].at)
		return false;
	uintptr_t from = (uintptr_t)s->read.maps[segment].at;
	uintptr_t p = (uintptr_t)o->json;
	return p >= from && p - from < s->read.maps[segment].bytes;
}
