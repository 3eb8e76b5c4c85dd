/* ring_words.h - the seam between the shipped C code and the model checker. */
#ifndef KR_MODEL_RING_WORDS_H
#define KR_MODEL_RING_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct read_shard;
struct shm_list;

uint64_t model_load(
        const void *at, size_t bytes, int order, const char *function, const char *what);
void model_store(
        void *at, size_t bytes, uint64_t v, int order, const char *function, const char *what);
void model_fence(int order, const char *function);
void model_pause(void);
void *model_copy(void *to, const void *from, size_t n);

uint64_t model_commit(const struct read_shard *s);
bool model_intact(const struct read_shard *s, uint64_t seq);
uint64_t model_head(const struct read_shard *s);
void model_row(struct shm_list *row, uint64_t last_change);

#ifdef __cplusplus
}
#endif

#endif
