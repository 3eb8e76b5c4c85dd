/* model_blast.h - very many events at full speed: their text is there before they are sent.
 *
 * A blast is count status changes, object after object, round and round over up to 16 MiB of
 * objects. The writes are made at once (so the digest of the list is known before the first byte is
 * sent); their events are rendered once per object, as whole chunks side by side, and only the
 * digits of resourceVersion and of fakekube.io/wrote-ns are patched as the text goes round. So a
 * watch that has nothing special (all objects, all namespaces, no selector, no gzip, no fault) is
 * sent from that text in pieces of up to 512 KiB, with no copy. Others get the same events in the
 * ordinary way, as far as the history reaches.
 *
 * resourceVersion may jump before a blast, so that all of its versions have the same number of
 * digits. */
#ifndef KR_MODEL_MODEL_BLAST_H
#define KR_MODEL_MODEL_BLAST_H

#include "model/model_conn.h"

struct model_blast;

struct model_blast_result {
	uint64_t first_rv, last_rv, objects, bytes; /* bytes of one round */
};

/* region_bytes: how much text a round may be, about; 0 = 16 MiB, which is also the most. With less,
 * the text goes as soon as everybody who watches has it: thousands of them are a lot. False: the
 * resource has no objects, or an earlier blast is still being sent. */
bool model_blast(struct model_cluster *c, const struct model_kind *k, uint64_t count,
        uint64_t now_ns, size_t region_bytes, struct model_blast_result *out);
void model_blast_free(struct model_blast **b);

#endif
