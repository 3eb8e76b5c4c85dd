/* mapping.h - the mappings of one shard in one life of the daemon.
 *
 * Segments are asked for when a reference names one, and beforehand when the directory shows new
 * ones (mapping_catch_up), because a dead daemon hands out no descriptor. A descriptor counts only
 * if it is sealed against shrinking (else the daemon could kill us with SIGBUS), growing and new
 * writers, and is as long as the directory says. Behind each mapping lies a page of zeros, so that
 * whoever runs over the end of a borrowed string finds an end.
 */
#ifndef KR_CLIENT_MAPPING_H
#define KR_CLIENT_MAPPING_H

#include "client/client.h"
#include "shm/read.h"

/* Owner: those who hold a reference (lists, views, follows). Thread: the client's. Life: to the
 * last mapping_put. */
struct mapping {
	struct list node;         /* in client->shards */
	struct kr_client *client; /* borrow: who holds a shard holds a list, and that the client */
	unsigned refs;
	uint32_t number;
	uint32_t ask_id;        /* of mapping_catch_up's question under way, 0 = none */
	uint32_t segments_seen; /* all below are mapped, or were refused */
	int refused; /* why the last segment could not be mapped; its text is in the client */
	struct read_shard read; /* 64 KiB */
};

/* Finds or maps a shard of this life; *out holds a reference. Codes and text as kr_list_open. */
int mapping_get(struct kr_client *c, uint32_t number, struct mapping **out);
struct mapping *mapping_ref(struct mapping *s);
void mapping_put(struct mapping **s);
/* Is it of the life that the client is attached to? */
bool mapping_current(const struct mapping *s);
/* Asks for what the directory has that we have not, without waiting for it; the answers come to
 * mapping_on_answer, which asks on. */
void mapping_catch_up(struct mapping *s);
void mapping_on_answer(struct mapping *s);
/* Does the daemon turn this shard? Its heartbeat's age; 0 when it never beat. */
int64_t mapping_beat_age_ns(const struct mapping *s, int64_t now_ns);
bool mapping_stopped(const struct mapping *s);

/* Waits a little for the writer to finish what it is in the middle of, then false. It is in the
 * middle of something for some 20 ns per change, so one that is seen there twice has been put to
 * sleep by its kernel: a quarter of a second is time enough for that to end. */
struct patience {
	unsigned tries;
};
bool patience_left(struct patience *p);

/* read.h with what needs doing done: missing segments fetched, a writer in the middle of a store
 * waited for. */
enum read_result mapping_row(struct mapping *s, uint32_t list, uint32_t gen, struct shm_list *out);
enum read_result mapping_slot(struct mapping *s, uint32_t slot, struct shm_slot *out);
enum read_result mapping_page(struct mapping *s, uint32_t page, struct shm_page *out);
enum read_result mapping_block(
        struct mapping *s, uint64_t block, const uint8_t **at, uint32_t *bytes);
enum read_result mapping_probe(struct mapping *s, uint64_t key_hash, struct read_probe *p);

/* The kr_result for a read_result, with a text. GONE is KR_ERR_OVERRUN, NONE is KR_END. */
int mapping_fail(struct mapping *s, enum read_result r);

#endif
