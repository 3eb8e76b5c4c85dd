/* public.c - prints every offset, size and number of kubering.h: what programs have compiled in.
 * x86-64 and other LP64 systems. */
#include "include/kubering.h"

#include <stdio.h>

#define SIZE(type) printf("%-32s %5zu\n", #type, sizeof(struct type))
#define FIELD(type, field)                                                                         \
	printf("  %-30s %5zu %4zu\n", #field, offsetof(struct type, field),                        \
	        sizeof(((struct type *)0)->field))
#define VALUE(name) printf("%-32s %lld\n", #name, (long long)(name))

static void print_kr_object(void)
{
	SIZE(kr_object);
	FIELD(kr_object, namespace_);
	FIELD(kr_object, name);
	FIELD(kr_object, uid);
	FIELD(kr_object, resource_version);
	FIELD(kr_object, json);
	FIELD(kr_object, json_bytes);
	FIELD(kr_object, recv_ns);
	FIELD(kr_object, json_hash);
	FIELD(kr_object, _private);
}

static void print_kr_options(void)
{
	SIZE(kr_options);
	FIELD(kr_options, size);
	FIELD(kr_options, socket_path);
	FIELD(kr_options, name);
	FIELD(kr_options, timeout_ns);
}

static void print_kr_list_spec(void)
{
	SIZE(kr_list_spec);
	FIELD(kr_list_spec, size);
	FIELD(kr_list_spec, cluster);
	FIELD(kr_list_spec, group);
	FIELD(kr_list_spec, version);
	FIELD(kr_list_spec, resource);
	FIELD(kr_list_spec, namespace_);
	FIELD(kr_list_spec, label_selector);
	FIELD(kr_list_spec, field_selector);
	FIELD(kr_list_spec, metadata_only);
	FIELD(kr_list_spec, keep_managed_fields);
}

static void print_kr_list_status(void)
{
	SIZE(kr_list_status);
	FIELD(kr_list_status, size);
	FIELD(kr_list_status, state);
	FIELD(kr_list_status, whole);
	FIELD(kr_list_status, resource_version);
	FIELD(kr_list_status, digest);
	FIELD(kr_list_status, objects);
	FIELD(kr_list_status, bytes);
	FIELD(kr_list_status, events);
	FIELD(kr_list_status, relists);
	FIELD(kr_list_status, sync_objects);
	FIELD(kr_list_status, byte_age_ns);
	FIELD(kr_list_status, event_age_ns);
	FIELD(kr_list_status, bookmark_age_ns);
	FIELD(kr_list_status, stale_ns);
	FIELD(kr_list_status, error_name);
	FIELD(kr_list_status, error_text);
}

static void print_kr_follow(void)
{
	SIZE(kr_follow);
	FIELD(kr_follow, _private);
}

static void print_kr_view(void)
{
	SIZE(kr_view);
	FIELD(kr_view, follow);
	FIELD(kr_view, digest);
	FIELD(kr_view, count);
	FIELD(kr_view, resource_version);
	FIELD(kr_view, whole);
	FIELD(kr_view, _private);
}

static void print_kr_change(void)
{
	SIZE(kr_change);
	FIELD(kr_change, type);
	FIELD(kr_change, flags);
	FIELD(kr_change, list);
	FIELD(kr_change, seq);
	FIELD(kr_change, digest);
	FIELD(kr_change, resource_version);
	FIELD(kr_change, state);
	FIELD(kr_change, object);
	FIELD(kr_change, old_object);
}

static void print_values_0(void)
{
	VALUE(KR_OK);
	VALUE(KR_END);
	VALUE(KR_TIMEOUT);
	VALUE(KR_ERR_ARGUMENT);
	VALUE(KR_ERR_MEMORY);
	VALUE(KR_ERR_UNREACHABLE);
	VALUE(KR_ERR_DENIED);
	VALUE(KR_ERR_VERSION);
	VALUE(KR_ERR_UNKNOWN_CLUSTER);
	VALUE(KR_ERR_UNKNOWN_RESOURCE);
	VALUE(KR_ERR_NOT_FOUND);
	VALUE(KR_ERR_OVERRUN);
	VALUE(KR_ERR_TORN);
	VALUE(KR_ERR_CORRUPT);
	VALUE(KR_ERR_STUCK);
	VALUE(KR_ERR_LIMIT);
	VALUE(KR_ERR_CLOSED);
	VALUE(KR_ERR_SPACE);
	VALUE(KR_ERR_SYSTEM);
	VALUE(KR_ERR_JSON);
	VALUE(KR_ERR_STALE);
	VALUE(KR_ERR_DAEMON);
	VALUE(KR_ADDED);
	VALUE(KR_MODIFIED);
	VALUE(KR_DELETED);
	VALUE(KR_SYNCED);
	VALUE(KR_STATE);
	VALUE(KR_RESET);
	VALUE(KR_FINAL_STATE_UNKNOWN);
	VALUE(KR_FROM_RELIST);
	VALUE(KR_RECREATED);
	VALUE(KR_LAGGING);
	VALUE(KR_FROM_RESTART);
	VALUE(KR_LIST_IDLE);
	VALUE(KR_LIST_CONNECTING);
	VALUE(KR_LIST_LISTING);
	VALUE(KR_LIST_LIVE);
	VALUE(KR_LIST_STALE);
	VALUE(KR_LIST_RESUMING);
	VALUE(KR_LIST_RELISTING);
	VALUE(KR_LIST_PARKED);
	VALUE(KR_LIST_CLOSED);
	VALUE(KR_BORROW);
	VALUE(KR_NO_OLD);
	VALUE(KR_PADDING);
	VALUE(KR_FOREVER);
}

int main(void)
{
	print_kr_object();
	print_kr_options();
	print_kr_list_spec();
	print_kr_list_status();
	print_kr_follow();
	print_kr_view();
	print_kr_change();
	print_values_0();
	return 0;
}
