/* layout.h - the byte layout of everything that the daemon shares. This file is a contract with
 * programs built years ago: it holds fixed widths, offsets and little-endian words only, each
 * offset asserted below. It has its own version, apart from the library's SONAME.
 *
 * A shard is what one reactor writes for one realm. It is a set of fixed-size sealed memfds
 * ("segments"), numbered from 0:
 *
 *   CONTROL  header, segment directory, list table      exactly one, number 0
 *   RING     the change ring                            exactly one, number 1
 *   INDEX    open-addressing table key -> slot          the newest one counts; a larger one
 *                                                       replaces it when it fills
 *   SLOTS    pages of 16 x 64 bytes: 1 page header + 15 slots; a page belongs to one list
 *   BLOCKS   the objects: header, strings, raw JSON
 *
 * Nothing here is a pointer. A *block reference* is (segment number << 40) | byte offset; a *slot
 * number* is (SLOTS segment ordinal << 16) | (page << 4) | place, place 1..15; a *page number* is
 * slot number >> 4; 0 = none.
 *
 * Who writes: the reactor that owns the shard, alone. Consumers map all of it read-only. Words
 * marked [atomic] are read and written with C11 atomics.
 *
 * Writer, change s (the numbers are cited in write.c and read.c):
 *   W1  head = oldest change that stays intact (relaxed), so that what it gives up may be reused
 *   W2  fence(release)
 *   W3  block taken from the free lists, payload written
 *   W4  slot: ver odd (relaxed), fence(release), fields relaxed, ver even (release)
 *   W5  ring entry: fields relaxed, entry.seq = s (release);
 *       then the list's row (same seqlock as W4), whose last_change = s
 *   W6  commit = s (release)
 *   A batch (a relist) writes W1-W5 for all its changes and W6 once: what is at or before `commit`
 *   is whole, never half a relist.
 * Reader:
 *   R1  c = commit (acquire)
 *   R2  slot or row by bounded seqlock: SHM_SPINS_MAX tries, then the writer is stuck or off core
 *   R3  every offset and length checked against the mapped size, then the payload copied
 *   R4  fence(acquire)
 *   R5  head (relaxed) <= position of what was read, else discard: it may have been reused
 * Invariants:
 *   S1  head <= s implies: entry s, its new_block and its old_block are intact.
 *   S2  a block that is referenced by a live slot whose seq is still the one seen is intact,
 *       whatever head says.
 *   S3  rows: last_change is stored before the commit that covers it; so whoever loads commit first
 *       sees every change up to it in the chain last_change -> prev -> prev ...
 *       Liveness words (events, last_*_ns, sync_objects of a row) are stored one by one, relaxed,
 *       without moving `ver`: each is right by itself.
 *       A slot or row may carry a seq > commit while a batch is being written: wait until commit
 *       has reached it (bounded), or go by the ring.
 *   S4  the digest of a list = sum mod 2^64 over its objects of
 *       XXH3_64bits(namespace NUL name NUL uid NUL resourceVersion NUL).
 *   S5  head <= commit + 1. Blocks replaced or removed by change s, and pages of a list closed by
 *       s, are reused only when head > s. So a view of position C may go on reading what it saw as
 *       long as head <= C + 1, whether it was replaced by single changes or by a RESET.
 *   S6  a list in bulk: RESET at s, SYNCED at s + 1, no entry per object; every slot that changed
 *       carries seq = s. The RESET is in the ring before the first of these slots.
 *   S7  an index entry may name a slot that is FREE (staged by a sync, or just deleted) or that
 *       holds another key by now: skip it and probe on.
 *   S8  a closed list: its row says CLOSED and keeps its gen until the row is reused with another
 *       gen; its last entry is STATE with aux = CLOSED.
 */
#ifndef KR_SHM_LAYOUT_H
#define KR_SHM_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define SHM_MAGIC 0x474e49524542554bull /* "KUBERING" in little-endian bytes; checked first */
enum {
	SHM_LAYOUT_MAJOR = 1, /* another major: refused with KR_ERR_VERSION */
	SHM_LAYOUT_MINOR = 0, /* a higher minor only adds */
	SHM_HEADER_BYTES = 4096,
	SHM_SEGMENTS_MAX = 4096,
	SHM_SLOT_SEGMENTS_MAX = 1024, /* x 65536 slots */
	SHM_SLOT_SEGMENT_BYTES = 4 << 20,
	SHM_PAGE_SLOTS = 16, /* place 0 is the page header */
	SHM_LIST_BYTES = 512,
	SHM_SPINS_MAX = 10000,
	SHM_SLACK = 64,    /* readable bytes behind every JSON document, for SIMD parsers */
	SHM_RV_BYTES = 64, /* resourceVersion, with NUL; longer ones are refused */
	SHM_ERROR_TEXT_BYTES = 168,
	SHM_BLOCK_SEGMENT_SHIFT = 40,
};

enum shm_segment_kind { SHM_CONTROL = 1, SHM_RING, SHM_INDEX, SHM_SLOTS, SHM_BLOCKS }; /* 1..5 */

/* Segment directory: a row is written once, before segment_count is raised (release). */
struct shm_segment_row {
	uint32_t kind;
	uint32_t ordinal; /* among its kind */
	uint64_t bytes;
};

enum shm_shard_state { SHM_SHARD_RUNNING = 1, SHM_SHARD_STOPPED = 2 };

struct shm_header {
	uint64_t magic;
	uint16_t layout_major, layout_minor;
	uint32_t header_bytes;
	uint64_t incarnation[2]; /* random per life of the daemon */
	uint32_t shard, realm;
	uint64_t hash_seed;    /* of the index, random per shard: nobody can aim for collisions */
	uint32_t ring_entries; /* a power of two */
	uint32_t lists_max;
	/* readers use these, not sizeof */
	uint32_t list_stride, slot_stride, entry_stride, page_bytes;
	uint64_t control_bytes, directory_offset, lists_offset;
	uint64_t started_ns; /* CLOCK_REALTIME */
	char _pad0[128 - 104];
	/* each hot word has its own pair of cache lines */
	uint64_t commit; /* [atomic] newest change that is whole */
	char _pad1[120];
	uint64_t head; /* [atomic] oldest change that is intact (S1); 1 at the start */
	char _pad2[120];
	uint32_t futex; /* [atomic] raised once per turn that committed something */
	char _pad3[124];
	uint64_t heartbeat_ns; /* [atomic] CLOCK_MONOTONIC, at least every 250 ms */
	uint32_t state;        /* [atomic] enum shm_shard_state */
	char _pad4[116];
	uint64_t index;         /* [atomic] (segment number << 32) | log2 of its entries */
	uint32_t segment_count; /* [atomic] rows valid in the directory */
	uint32_t list_count;    /* [atomic] rows used in the list table, high-water mark */
	char _pad5[112];
	/* [atomic] ordinal -> segment number, 0 = none yet */
	uint16_t slot_segments[SHM_SLOT_SEGMENTS_MAX];
};

/* Linear probing from hash & mask; slot 0 = never used, SHM_INDEX_GONE = removed. */
struct shm_index_entry {
	uint32_t slot; /* [atomic] */
	uint32_t tag;  /* [atomic] upper 32 bits of the key hash */
};
#define SHM_INDEX_GONE UINT32_MAX

struct shm_page {                /* place 0 of a page */
	uint32_t list, list_gen; /* [atomic] owner; list_gen 0 = free */
	uint32_t ordinal;        /* [atomic] position in the list's chain, from 0 */
	uint32_t next;           /* [atomic] page number, 0 = last */
	char _pad[48];
};

enum shm_slot_state { SHM_SLOT_FREE = 0, SHM_SLOT_LIVE = 1 };

/* Seqlock over all of it; fixed for an object's life. key_hash is XXH3_64bits_withSeed of list
 * number (4 bytes LE), namespace NUL name NUL. */
struct shm_slot {
	uint32_t ver; /* [atomic] */
	uint32_t state;
	uint64_t key_hash;
	uint64_t seq; /* change that wrote it; stays when the object goes */
	uint64_t block;
	uint64_t object_hash; /* its part of the digest (S4) */
	uint64_t rv;          /* numeric resourceVersion, 0 if opaque */
	uint32_t list, json_bytes;
	/* The daemon's own, so that it reads the next event of this object by comparing
	 * (json/shape.h); 0 = unknown. Nothing for consumers. */
	uint32_t version_at, cut_at;
};

enum shm_op {
	SHM_OP_ADDED = 1,
	SHM_OP_MODIFIED = 2,
	SHM_OP_DELETED = 3,
	SHM_OP_SYNCED = 4, /* the list is whole at its version: first sync or end of a relist */
	SHM_OP_STATE = 5,  /* the list's state changed: aux = enum shm_list_state */
	SHM_OP_RESET = 6,  /* take the list again: aux = enum shm_reset */
};
enum shm_op_flags {
	/* DELETED with new_block 0: found by a relist or by another uid, or there was no memory for
	 * it; old_block is the last state we saw */
	SHM_FLAG_FINAL_STATE_UNKNOWN = 1,
	SHM_FLAG_RELIST = 2, /* part of a relist, not of the stream */
	/* DELETED (new_block 0) + ADDED of one name with another uid: on both entries, same slot */
	SHM_FLAG_RECREATED = 4,
};
enum shm_reset { SHM_RESET_TOO_MANY = 1, SHM_RESET_VERSION_BACK = 2, SHM_RESET_FIRST_SYNC = 3 };

/* Ring entry of change s, at index s & (ring_entries - 1). */
struct shm_entry {
	uint64_t seq; /* [atomic] */
	uint32_t list;
	uint16_t list_gen; /* low 16 bits */
	uint8_t op, flags;
	uint32_t slot, aux;
	uint64_t new_block; /* DELETED by an event: last state, with the version of the deletion */
	uint64_t old_block; /* what it replaced, 0 for ADDED */
	uint64_t prev;      /* previous change of the same list, 0 = none */
	uint64_t digest;    /* of the list, after this change (S4) */
	uint64_t rv;        /* numeric version of the list after this change, 0 if opaque */
};

enum shm_list_state { /* stable numbers: KR_LIST_* of kubering.h */
	SHM_LIST_IDLE = 0,
	SHM_LIST_CONNECTING = 1,
	SHM_LIST_LISTING = 2,
	SHM_LIST_LIVE = 3,
	SHM_LIST_STALE = 4,
	SHM_LIST_RESUMING = 5,
	SHM_LIST_RELISTING = 6,
	SHM_LIST_PARKED = 7,
	SHM_LIST_CLOSED = 8
};
/* As people are told: in status, in errors, at the terminal. Any number: it may be a hostile
 * daemon's. */
static inline const char *shm_list_state_word(uint32_t state)
{
	static const char *const words[] = {"idle", "connecting", "listing", "live", "stale",
	        "resuming", "relisting", "parked", "closed"};
	return state <= SHM_LIST_CLOSED ? words[state] : "unknown";
}

struct shm_list {       /* one row of the list table; seqlock over all of it */
	uint32_t ver;   /* [atomic] */
	uint32_t gen;   /* of this row, starts at 1; 0 = never used */
	uint32_t state; /* enum shm_list_state */
	uint32_t whole; /* 1 once the first sync is published: what is here was whole at `rv` */
	uint64_t last_change;            /* [atomic] newest ring entry of this list (S3) */
	uint64_t digest, objects, bytes; /* after last_change; bytes = JSON bytes */
	uint64_t rv_num;                 /* 0 if opaque */
	char rv[SHM_RV_BYTES]; /* version of the list: last event or bookmark, NUL-terminated */
	uint32_t first_page, page_count;
	uint64_t events, relists;
	uint64_t last_byte_ns, last_event_ns, last_bookmark_ns; /* CLOCK_MONOTONIC, 0 = never */
	uint64_t state_since_ns, stale_since_ns;                /* stale_since_ns 0 = fresh */
	/* block reference; its json bytes are: cluster NUL group NUL version NUL resource NUL
	 * namespace NUL labels NUL fields NUL form NUL */
	uint64_t identity;
	uint32_t sync_objects; /* received in the sync under way */
	uint32_t last_error;   /* enum err_code; the text says more */
	char error_text[SHM_ERROR_TEXT_BYTES];
	char error_name[32]; /* "KUBE_FORBIDDEN" */
	char _pad[SHM_LIST_BYTES - 400];
};

/* 64-byte header, then namespace NUL name NUL uid NUL resourceVersion NUL, then the JSON at
 * json_offset. */
struct shm_block {
	uint64_t seq;   /* change that published it */
	uint32_t bytes; /* header + strings + JSON */
	uint32_t json_bytes;
	uint64_t json_hash; /* XXH3_64bits of the JSON: the consumer's check */
	uint64_t recv_ns;   /* CLOCK_MONOTONIC when its last byte was read from the socket */
	uint32_t list;
	uint16_t namespace_bytes, name_bytes; /* without NUL */
	uint16_t uid_bytes, rv_bytes;
	uint32_t json_offset; /* from the start of the block */
	uint64_t key_hash, object_hash;
};

/* A consumer's own page: the only memory that it can write. The daemon takes `waiting` and nothing
 * else, as a hint (waiting.h). */
struct shm_consumer {
	uint32_t waiting; /* [atomic] 1 = write my eventfd when one of my lists changes */
	uint32_t _pad[1023];
};

#define SHM_AT(type, field, offset)                                                                \
	_Static_assert(offsetof(type, field) == (offset), #type "." #field)
SHM_AT(struct shm_header, incarnation, 16);
SHM_AT(struct shm_header, shard, 32);
SHM_AT(struct shm_header, hash_seed, 40);
SHM_AT(struct shm_header, ring_entries, 48);
SHM_AT(struct shm_header, list_stride, 56);
SHM_AT(struct shm_header, control_bytes, 72);
SHM_AT(struct shm_header, started_ns, 96);
SHM_AT(struct shm_header, commit, 128);
SHM_AT(struct shm_header, head, 256);
SHM_AT(struct shm_header, futex, 384);
SHM_AT(struct shm_header, heartbeat_ns, 512);
SHM_AT(struct shm_header, state, 520);
SHM_AT(struct shm_header, index, 640);
SHM_AT(struct shm_header, segment_count, 648);
SHM_AT(struct shm_header, list_count, 652);
SHM_AT(struct shm_header, slot_segments, 768);
_Static_assert(sizeof(struct shm_header) <= SHM_HEADER_BYTES, "header fits its page");
_Static_assert(sizeof(struct shm_segment_row) == 16, "segment row");
_Static_assert(sizeof(struct shm_index_entry) == 8, "index entry");
_Static_assert(sizeof(struct shm_page) == 64, "page header is one slot");
_Static_assert(sizeof(struct shm_slot) == 64, "slot");
SHM_AT(struct shm_slot, key_hash, 8);
SHM_AT(struct shm_slot, seq, 16);
SHM_AT(struct shm_slot, block, 24);
SHM_AT(struct shm_slot, object_hash, 32);
SHM_AT(struct shm_slot, list, 48);
_Static_assert(sizeof(struct shm_entry) == 64, "ring entry");
SHM_AT(struct shm_entry, list, 8);
SHM_AT(struct shm_entry, list_gen, 12);
SHM_AT(struct shm_entry, op, 14);
SHM_AT(struct shm_entry, slot, 16);
SHM_AT(struct shm_entry, new_block, 24);
SHM_AT(struct shm_entry, prev, 40);
SHM_AT(struct shm_entry, digest, 48);
SHM_AT(struct shm_entry, rv, 56);
_Static_assert(sizeof(struct shm_list) == SHM_LIST_BYTES, "list row");
SHM_AT(struct shm_list, last_change, 16);
SHM_AT(struct shm_list, digest, 24);
SHM_AT(struct shm_list, rv_num, 48);
SHM_AT(struct shm_list, rv, 56);
SHM_AT(struct shm_list, first_page, 120);
SHM_AT(struct shm_list, events, 128);
SHM_AT(struct shm_list, identity, 184);
SHM_AT(struct shm_list, sync_objects, 192);
SHM_AT(struct shm_list, error_text, 200);
SHM_AT(struct shm_list, error_name, 368);
_Static_assert(sizeof(struct shm_block) == 64, "block header");
SHM_AT(struct shm_block, json_hash, 16);
SHM_AT(struct shm_block, list, 32);
SHM_AT(struct shm_block, json_offset, 44);
SHM_AT(struct shm_block, object_hash, 56);
_Static_assert(sizeof(struct shm_consumer) == 4096, "consumer page");

#endif
