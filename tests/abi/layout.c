/* layout.c - prints every offset, size and number of shm/layout.h and shm/attach.h: the bytes that
 * daemon and library of different age share. */
#include "shm/layout.h"
#include "shm/attach.h"

#include <stdio.h>

#define SIZE(type) printf("%-32s %5zu\n", #type, sizeof(struct type))
#define FIELD(type, field)                                                                         \
	printf("  %-30s %5zu %4zu\n", #field, offsetof(struct type, field),                        \
	        sizeof(((struct type *)0)->field))
#define VALUE(name) printf("%-32s %lld\n", #name, (long long)(name))

static void print_shm_segment_row(void)
{
	SIZE(shm_segment_row);
	FIELD(shm_segment_row, kind);
	FIELD(shm_segment_row, ordinal);
	FIELD(shm_segment_row, bytes);
}

static void print_shm_header(void)
{
	SIZE(shm_header);
	FIELD(shm_header, magic);
	FIELD(shm_header, layout_major);
	FIELD(shm_header, layout_minor);
	FIELD(shm_header, header_bytes);
	FIELD(shm_header, incarnation);
	FIELD(shm_header, shard);
	FIELD(shm_header, realm);
	FIELD(shm_header, hash_seed);
	FIELD(shm_header, ring_entries);
	FIELD(shm_header, lists_max);
	FIELD(shm_header, list_stride);
	FIELD(shm_header, slot_stride);
	FIELD(shm_header, entry_stride);
	FIELD(shm_header, page_bytes);
	FIELD(shm_header, control_bytes);
	FIELD(shm_header, directory_offset);
	FIELD(shm_header, lists_offset);
	FIELD(shm_header, started_ns);
	FIELD(shm_header, commit);
	FIELD(shm_header, head);
	FIELD(shm_header, futex);
	FIELD(shm_header, heartbeat_ns);
	FIELD(shm_header, state);
	FIELD(shm_header, index);
	FIELD(shm_header, segment_count);
	FIELD(shm_header, list_count);
	FIELD(shm_header, slot_segments);
}

static void print_shm_index_entry(void)
{
	SIZE(shm_index_entry);
	FIELD(shm_index_entry, slot);
	FIELD(shm_index_entry, tag);
}

static void print_shm_page(void)
{
	SIZE(shm_page);
	FIELD(shm_page, list);
	FIELD(shm_page, list_gen);
	FIELD(shm_page, ordinal);
	FIELD(shm_page, next);
}

static void print_shm_slot(void)
{
	SIZE(shm_slot);
	FIELD(shm_slot, ver);
	FIELD(shm_slot, state);
	FIELD(shm_slot, key_hash);
	FIELD(shm_slot, seq);
	FIELD(shm_slot, block);
	FIELD(shm_slot, object_hash);
	FIELD(shm_slot, rv);
	FIELD(shm_slot, list);
	FIELD(shm_slot, json_bytes);
}

static void print_shm_entry(void)
{
	SIZE(shm_entry);
	FIELD(shm_entry, seq);
	FIELD(shm_entry, list);
	FIELD(shm_entry, list_gen);
	FIELD(shm_entry, op);
	FIELD(shm_entry, flags);
	FIELD(shm_entry, slot);
	FIELD(shm_entry, aux);
	FIELD(shm_entry, new_block);
	FIELD(shm_entry, old_block);
	FIELD(shm_entry, prev);
	FIELD(shm_entry, digest);
	FIELD(shm_entry, rv);
}

static void print_shm_list(void)
{
	SIZE(shm_list);
	FIELD(shm_list, ver);
	FIELD(shm_list, gen);
	FIELD(shm_list, state);
	FIELD(shm_list, whole);
	FIELD(shm_list, last_change);
	FIELD(shm_list, digest);
	FIELD(shm_list, objects);
	FIELD(shm_list, bytes);
	FIELD(shm_list, rv_num);
	FIELD(shm_list, rv);
	FIELD(shm_list, first_page);
	FIELD(shm_list, page_count);
	FIELD(shm_list, events);
	FIELD(shm_list, relists);
	FIELD(shm_list, last_byte_ns);
	FIELD(shm_list, last_event_ns);
	FIELD(shm_list, last_bookmark_ns);
	FIELD(shm_list, state_since_ns);
	FIELD(shm_list, stale_since_ns);
	FIELD(shm_list, identity);
	FIELD(shm_list, sync_objects);
	FIELD(shm_list, last_error);
	FIELD(shm_list, error_text);
	FIELD(shm_list, error_name);
}

static void print_shm_block(void)
{
	SIZE(shm_block);
	FIELD(shm_block, seq);
	FIELD(shm_block, bytes);
	FIELD(shm_block, json_bytes);
	FIELD(shm_block, json_hash);
	FIELD(shm_block, recv_ns);
	FIELD(shm_block, list);
	FIELD(shm_block, namespace_bytes);
	FIELD(shm_block, name_bytes);
	FIELD(shm_block, uid_bytes);
	FIELD(shm_block, rv_bytes);
	FIELD(shm_block, json_offset);
	FIELD(shm_block, key_hash);
	FIELD(shm_block, object_hash);
}

static void print_shm_consumer(void)
{
	SIZE(shm_consumer);
	FIELD(shm_consumer, waiting);
}

static void print_attach_head(void)
{
	SIZE(attach_head);
	FIELD(attach_head, magic);
	FIELD(attach_head, version);
	FIELD(attach_head, type);
	FIELD(attach_head, id);
	FIELD(attach_head, bytes);
}

static void print_attach_hello(void)
{
	SIZE(attach_hello);
	FIELD(attach_hello, head);
	FIELD(attach_hello, layout_major);
	FIELD(attach_hello, layout_minor);
	FIELD(attach_hello, pid_hint);
	FIELD(attach_hello, name);
}

static void print_attach_welcome(void)
{
	SIZE(attach_welcome);
	FIELD(attach_welcome, head);
	FIELD(attach_welcome, incarnation);
	FIELD(attach_welcome, consumer);
	FIELD(attach_welcome, layout_major);
	FIELD(attach_welcome, layout_minor);
	FIELD(attach_welcome, version);
}

static void print_attach_spec(void)
{
	SIZE(attach_spec);
	FIELD(attach_spec, head);
	FIELD(attach_spec, form);
	FIELD(attach_spec, flags);
	FIELD(attach_spec, length);
}

static void print_attach_list(void)
{
	SIZE(attach_list);
	FIELD(attach_list, head);
	FIELD(attach_list, handle);
	FIELD(attach_list, shard);
	FIELD(attach_list, list);
	FIELD(attach_list, list_gen);
}

static void print_attach_ref(void)
{
	SIZE(attach_ref);
	FIELD(attach_ref, head);
	FIELD(attach_ref, handle);
}

static void print_attach_segment(void)
{
	SIZE(attach_segment);
	FIELD(attach_segment, head);
	FIELD(attach_segment, shard);
	FIELD(attach_segment, segment);
	FIELD(attach_segment, bytes);
}

static void print_attach_query(void)
{
	SIZE(attach_query);
	FIELD(attach_query, head);
	FIELD(attach_query, kind);
	FIELD(attach_query, length);
}

static void print_attach_document(void)
{
	SIZE(attach_document);
	FIELD(attach_document, head);
	FIELD(attach_document, bytes);
}

static void print_attach_error(void)
{
	SIZE(attach_error);
	FIELD(attach_error, head);
	FIELD(attach_error, code);
	FIELD(attach_error, err);
	FIELD(attach_error, text);
}

static void print_values_0(void)
{
	VALUE(SHM_LAYOUT_MAJOR);
	VALUE(SHM_LAYOUT_MINOR);
	VALUE(SHM_HEADER_BYTES);
	VALUE(SHM_SEGMENTS_MAX);
	VALUE(SHM_SLOT_SEGMENTS_MAX);
	VALUE(SHM_SLOT_SEGMENT_BYTES);
	VALUE(SHM_PAGE_SLOTS);
	VALUE(SHM_LIST_BYTES);
	VALUE(SHM_SPINS_MAX);
	VALUE(SHM_SLACK);
	VALUE(SHM_RV_BYTES);
	VALUE(SHM_ERROR_TEXT_BYTES);
	VALUE(SHM_BLOCK_SEGMENT_SHIFT);
	VALUE(SHM_CONTROL);
	VALUE(SHM_RING);
	VALUE(SHM_INDEX);
	VALUE(SHM_SLOTS);
	VALUE(SHM_BLOCKS);
	VALUE(SHM_SHARD_RUNNING);
	VALUE(SHM_SHARD_STOPPED);
	VALUE(SHM_SLOT_FREE);
	VALUE(SHM_SLOT_LIVE);
	VALUE(SHM_OP_ADDED);
	VALUE(SHM_OP_MODIFIED);
	VALUE(SHM_OP_DELETED);
	VALUE(SHM_OP_SYNCED);
	VALUE(SHM_OP_STATE);
	VALUE(SHM_OP_RESET);
	VALUE(SHM_FLAG_FINAL_STATE_UNKNOWN);
	VALUE(SHM_FLAG_RELIST);
	VALUE(SHM_FLAG_RECREATED);
	VALUE(SHM_RESET_TOO_MANY);
	VALUE(SHM_RESET_VERSION_BACK);
	VALUE(SHM_RESET_FIRST_SYNC);
	VALUE(SHM_LIST_IDLE);
	VALUE(SHM_LIST_CONNECTING);
	VALUE(SHM_LIST_LISTING);
	VALUE(SHM_LIST_LIVE);
	VALUE(SHM_LIST_STALE);
	VALUE(SHM_LIST_RESUMING);
	VALUE(SHM_LIST_RELISTING);
	VALUE(SHM_LIST_PARKED);
	VALUE(SHM_LIST_CLOSED);
	VALUE(ATTACH_MAGIC);
	VALUE(ATTACH_VERSION);
	VALUE(ATTACH_BYTES_MAX);
	VALUE(ATTACH_STRING_MAX);
	VALUE(ATTACH_HELLO);
	VALUE(ATTACH_WELCOME);
	VALUE(ATTACH_OPEN_LIST);
	VALUE(ATTACH_LIST);
	VALUE(ATTACH_CLOSE_LIST);
	VALUE(ATTACH_SEGMENT);
	VALUE(ATTACH_SEGMENT_FD);
	VALUE(ATTACH_QUERY);
}

static void print_values_1(void)
{
	VALUE(ATTACH_DOCUMENT);
	VALUE(ATTACH_OK);
	VALUE(ATTACH_ERROR);
	VALUE(ATTACH_BYE);
	VALUE(ATTACH_FORM_OBJECT);
	VALUE(ATTACH_FORM_METADATA);
	VALUE(ATTACH_CLUSTER);
	VALUE(ATTACH_GROUP);
	VALUE(ATTACH_API_VERSION);
	VALUE(ATTACH_RESOURCE);
	VALUE(ATTACH_NAMESPACE);
	VALUE(ATTACH_LABELS);
	VALUE(ATTACH_FIELDS);
	VALUE(ATTACH_STRINGS);
	VALUE(ATTACH_KEEP_MANAGED_FIELDS);
	VALUE(ATTACH_QUERY_STATUS);
	VALUE(ATTACH_QUERY_RESOLVE);
	VALUE(ATTACH_QUERY_DOCTOR);
	VALUE(SHM_MAGIC);
	VALUE(SHM_INDEX_GONE);
}

int main(void)
{
	print_shm_segment_row();
	print_shm_header();
	print_shm_index_entry();
	print_shm_page();
	print_shm_slot();
	print_shm_entry();
	print_shm_list();
	print_shm_block();
	print_shm_consumer();
	print_attach_head();
	print_attach_hello();
	print_attach_welcome();
	print_attach_spec();
	print_attach_list();
	print_attach_ref();
	print_attach_segment();
	print_attach_query();
	print_attach_document();
	print_attach_error();
	print_values_0();
	print_values_1();
	return 0;
}
