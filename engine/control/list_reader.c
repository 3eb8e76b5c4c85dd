/* list_reader.c - what a list says of itself, for status and metrics. */
#include <stdlib.h>

#include "control/core.h"
#include "shm/read.h"
#include "store/store.h"

/* Owner: whoever made it, for one report. Thread: control. */
struct list_reader {
	const struct control *control; /* borrow */
	const struct store *at;        /* what `shard` was read from; NULL = nothing yet */
	struct read_shard shard;
};

struct list_reader *list_reader_new(const struct control *c)
{
	struct list_reader *r = malloc(sizeof *r);
	if (r) {
		r->control = c;
		r->at = NULL;
	}
	return r;
}

void list_reader_free(struct list_reader **r)
{
	free(*r);
	*r = NULL;
}

static bool look_at(struct list_reader *r, const struct store *s)
{
	uint64_t bytes = 0;
	if (r->at == s)
		return true;
	r->at = NULL;
	(void)store_segment(s, 0, &bytes);
	if (read_init(&r->shard, store_segment_at(s, 0), bytes) == READ_OK)
		r->at = s;
	return r->at;
}

bool list_reader_row(struct list_reader *r, const struct open_list *l, struct shm_list *row)
{
	const struct store *s = r && l->phase == LIST_OPEN ? r->control->shards[l->shard] : NULL;
	return s && look_at(r, s) && read_row(&r->shard, l->row, l->gen, row) == READ_OK;
}
