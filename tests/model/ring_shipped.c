/* ring_shipped.c - the shipped text of the protocol (shm/write.c, shm/read.c, store/retire.c),
 * compiled with its atomic accesses handed to the model checker: nothing is retyped, so what is
 * checked is what runs. Where an access is made (its function and expression) is passed along, so
 * that a mutant can spoil exactly one of them. */
#include <string.h>

#include "ring_words.h"

#define __atomic_load_n(p, order)                                                                  \
	((__typeof__(*(p)))model_load((p), sizeof *(p), (order), __func__, #p))
#define __atomic_store_n(p, v, order)                                                              \
	model_store((p), sizeof *(p), (uint64_t)(v), (order), __func__, #p)
#define __atomic_thread_fence(order) model_fence((order), __func__)
#define __builtin_ia32_pause()       model_pause()
#define memcpy(to, from, n)          model_copy((to), (from), (n))

#include "../../engine/shm/read.c"
#include "../../engine/shm/write.c"
#include "../../engine/store/retire.c"

/* The inline halves, for C++. */
uint64_t model_commit(const struct read_shard *s)
{
	return read_commit(s);
}
bool model_intact(const struct read_shard *s, uint64_t seq)
{
	return read_intact(s, seq);
}
uint64_t model_head(const struct read_shard *s)
{
	return read_head(s);
}
void model_row(struct shm_list *row, uint64_t last_change)
{
	write_row_begin(row);
	WRITE_WORD(&row->last_change, last_change);
	write_row_end(row);
}
