#include "model/model_render.h"

#include "base/check.h"
#include "model/model_body.h"
#include "model/model_proto.h"

#define META_HEAD "\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\""

static void put_fixed(struct model_text *t, uint64_t v, unsigned width)
{
	char *at = model_text_reserve(t, width);
	for (unsigned i = width; i > 0; v /= 100) { /* width is even: two at a time */
		unsigned two = (unsigned)(v % 100);
		at[--i] = (char)('0' + two % 10);
		at[--i] = (char)('0' + two / 10);
	}
	t->n += width;
}

static void put_hex(struct model_text *t, uint64_t v)
{
	char *at = model_text_reserve(t, 8);
	for (unsigned i = 8; i-- > 0; v >>= 4)
		at[i] = "0123456789abcdef"[v & 15];
	t->n += 8;
}

static void put_ip(struct model_text *t, uint64_t seed)
{
	TEXT_LIT(t, "10.");
	model_text_u64(t, seed >> 8 & 255);
	TEXT_LIT(t, ".");
	model_text_u64(t, seed >> 16 & 255);
	TEXT_LIT(t, ".");
	model_text_u64(t, seed >> 24 & 255);
}

static void put_suffix(struct model_text *t, uint64_t seed)
{
	for (int i = 0; i < 5; i++, seed /= 27)
		model_text_put(t, &"bcdfghjklmnpqrstvwxz2456789"[seed % 27], 1);
}

void model_render_slot(
        const struct model_version *v, char slot, uint64_t wrote_ns, struct model_text *t)
{
	const struct model_object *o = v->object;
	switch ((enum model_slot)slot) {
	case MODEL_SLOT_NAME: model_text_span(t, model_object_name(o)); return;
	case MODEL_SLOT_NAMESPACE: model_text_span(t, model_object_ns(o)); return;
	case MODEL_SLOT_HEX: put_hex(t, o->seed >> 32); return;
	case MODEL_SLOT_SUFFIX: put_suffix(t, o->seed); return;
	case MODEL_SLOT_NODE: model_text_u64(t, model_object_node(o)); return;
	case MODEL_SLOT_IP: put_ip(t, o->seed); return;
	case MODEL_SLOT_CREATED: model_text_time(t, v->created_s); return;
	case MODEL_SLOT_CHANGED: model_text_time(t, v->changed_s); return;
	case MODEL_SLOT_CHANGES: model_text_u64(t, v->changes); return;
	case MODEL_SLOT_GENERATION: model_text_u64(t, v->generation); return;
	case MODEL_SLOT_READY: model_text_str(t, v->changes % 8 == 7 ? "False" : "True"); return;
	case MODEL_SLOT_STAMP: put_fixed(t, v->stamp_ns, MODEL_STAMP_BYTES); return;
	case MODEL_SLOT_WROTE: put_fixed(t, wrote_ns, MODEL_STAMP_BYTES); return;
	}
	check_failed(__FILE__, __LINE__, "a slot that no template has");
}

static void put_part(struct model_text *t, const struct model_part *p,
        const struct model_version *v, uint64_t wrote_ns)
{
	uint32_t from = 0;
	for (uint32_t i = 0; i < p->slot_count; i++) {
		model_text_put(t, p->text + from, p->slots[i].at - from);
		from = p->slots[i].at;
		model_render_slot(v, p->slots[i].slot, wrote_ns, t);
	}
	model_text_put(t, p->text + from, p->bytes - from);
}

void model_render_uid(const struct model_version *v, struct model_text *out)
{
	if (v->body && v->body->uid[0])
		model_text_str(out, v->body->uid);
	else
		model_text_uuid(out, v->uid_seed);
}

/* What metadata is made of, in the two orders in which it is printed. */
struct meta {
	const struct model_library *lib;
	const struct model_version *v;
	struct model_look look;
	struct model_text *out;
};

static void meta_name(struct meta *m)
{
	if (m->look.quirks & MODEL_QUIRK_NO_NAME)
		return;
	TEXT_LIT(m->out, "\"name\":");
	model_text_quoted(m->out, model_object_name(m->v->object));
	TEXT_LIT(m->out, ",");
	if (m->look.quirks & MODEL_QUIRK_TWO_NAMES)
		TEXT_LIT(m->out, "\"name\":\"another\",");
}

static void meta_namespace(struct meta *m)
{
	if (!m->v->object->ns_bytes)
		return;
	TEXT_LIT(m->out, "\"namespace\":");
	model_text_quoted(m->out, model_object_ns(m->v->object));
	TEXT_LIT(m->out, ",");
}

static void meta_uid(struct meta *m)
{
	if (m->look.quirks & MODEL_QUIRK_NO_UID)
		return;
	TEXT_LIT(m->out, "\"uid\":\"");
	model_render_uid(m->v, m->out);
	TEXT_LIT(m->out, "\",");
}

static void meta_rv(struct meta *m)
{
	if (m->look.quirks & MODEL_QUIRK_RV_MISSING)
		return;
	TEXT_LIT(m->out, "\"resourceVersion\":\"");
	if (m->look.quirks & MODEL_QUIRK_RV_ZERO)
		TEXT_LIT(m->out, "0");
	else if (m->look.quirks & MODEL_QUIRK_RV_TEXT)
		TEXT_LIT(m->out, "abc");
	else if (!(m->look.quirks & MODEL_QUIRK_RV_EMPTY))
		model_text_u64(m->out, m->look.rv ? m->look.rv : m->v->rv);
	TEXT_LIT(m->out, "\",");
}

static void meta_generation(struct meta *m)
{
	if (!m->v->object->look->generation)
		return;
	TEXT_LIT(m->out, "\"generation\":");
	model_text_u64(m->out, m->v->generation);
	TEXT_LIT(m->out, ",");
}

static void meta_created(struct meta *m)
{
	TEXT_LIT(m->out, "\"creationTimestamp\":\"");
	model_text_time(m->out, m->v->created_s);
	TEXT_LIT(m->out, "\",");
}

static void meta_labels(struct meta *m)
{
	if (!m->v->labels)
		return;
	TEXT_LIT(m->out, "\"labels\":");
	model_labels_json(m->v->labels, m->out);
	TEXT_LIT(m->out, ",");
}

static void put_stamps(struct meta *m, const char *sep)
{
	model_text_printf(m->out, "%s\"" MODEL_STAMP_KEY "\":\"", sep);
	put_fixed(m->out, m->v->stamp_ns, MODEL_STAMP_BYTES);
	TEXT_LIT(m->out, "\",\"" MODEL_WROTE_KEY "\":\"");
	put_fixed(m->out, m->look.wrote_ns, MODEL_STAMP_BYTES);
	TEXT_LIT(m->out, "\"");
}

static void own_annotations(struct meta *m)
{
	struct span k, v;
	const char *sep = "";
	bool stamp = m->lib->stamp;
	for (size_t at = 0; model_labels_next(m->v->body->annotations, &at, &k, &v); sep = ",") {
		if (stamp && strcmp(k.p, MODEL_STAMP_KEY) > 0) {
			put_stamps(m, sep);
			sep = ",";
			stamp = false;
		}
		model_text_str(m->out, sep);
		model_text_quoted(m->out, k);
		TEXT_LIT(m->out, ":");
		model_text_quoted(m->out, v);
	}
	if (stamp)
		put_stamps(m, sep);
}

static void meta_annotations(struct meta *m)
{
	const struct model_body *b = m->v->body;
	bool own = b && (b->annotations || b->has_members);
	bool none =
	        own ? !b->annotations && !m->lib->stamp : !m->v->object->look->annotations.bytes;
	if (none && !(m->look.quirks & MODEL_QUIRK_BAD_UTF8))
		return;
	TEXT_LIT(m->out, "\"annotations\":{");
	if (m->look.quirks & MODEL_QUIRK_BAD_UTF8)
		model_text_str(m->out, none ? "\"bad\":\"\xff\"" : "\"bad\":\"\xff\",");
	if (own)
		own_annotations(m);
	else
		put_part(m->out, &m->v->object->look->annotations, m->v, m->look.wrote_ns);
	TEXT_LIT(m->out, "},");
}

static void meta_managed(struct meta *m, bool sorted)
{
	const struct model_body *b = m->v->body;
	const struct model_template *look = m->v->object->look;
	if (b && b->has_members && !b->managed_fields)
		return;
	TEXT_LIT(m->out, "\"managedFields\":");
	if (b && b->managed_fields)
		model_text_str(m->out, b->managed_fields);
	else
		put_part(m->out, sorted ? &look->managed_sorted : &look->managed, m->v,
		        m->look.wrote_ns);
	TEXT_LIT(m->out, ",");
}

/* In struct order, up to the labels; each member is followed by a comma. */
static void put_identity(struct meta *m)
{
	meta_name(m);
	meta_namespace(m);
	meta_uid(m);
	meta_rv(m);
	meta_generation(m);
	meta_created(m);
	meta_labels(m);
}

static void put_metadata(struct meta *m, bool sorted)
{
	TEXT_LIT(m->out, "\"metadata\":{");
	if (sorted) {
		meta_annotations(m);
		meta_created(m);
		meta_generation(m);
		meta_labels(m);
		meta_managed(m, true);
		meta_name(m);
		meta_namespace(m);
		meta_rv(m);
		meta_uid(m);
	} else {
		put_identity(m);
		meta_annotations(m);
		meta_managed(m, false);
	}
	m->out->n--; /* the last comma; there is always a member: creationTimestamp */
	TEXT_LIT(m->out, "}");
}

static void put_extra(struct model_text *out, const struct model_look *look)
{
	if (look->quirks & MODEL_QUIRK_DEEP) {
		TEXT_LIT(out, ",\"deep\":");
		for (int i = 0; i < 1000; i++)
			TEXT_LIT(out, "[");
		for (int i = 0; i < 1000; i++)
			TEXT_LIT(out, "]");
	}
	if (!look->extra_bytes)
		return;
	TEXT_LIT(out, ",\"extra\":\"");
	memset(model_text_reserve(out, look->extra_bytes), 'x', look->extra_bytes);
	out->n += look->extra_bytes;
	TEXT_LIT(out, "\"");
}

void model_render_object(const struct model_library *lib, const struct model_version *v,
        struct model_look look, struct model_text *out)
{
	const struct model_template *t = v->object->look;
	bool sorted = t->kind->custom && !look.meta_only;
	struct meta m = {lib, v, look, out};
	TEXT_LIT(out, "{");
	if (look.meta_only)
		TEXT_LIT(out, META_HEAD);
	else if (look.typed || sorted)
		model_text_span(out, model_text_as_span(&t->head));
	bool has_head = look.meta_only || look.typed || sorted;
	if (look.quirks & MODEL_QUIRK_NO_METADATA) {
		if (!has_head)
			TEXT_LIT(out, "\"nothing\":0");
	} else {
		if (has_head)
			TEXT_LIT(out, ",");
		put_metadata(&m, sorted);
	}
	if (!look.meta_only) {
		if (v->body && v->body->has_members)
			model_text_put(out, v->body->members, v->body->members_bytes);
		else
			put_part(out, &t->members, v, look.wrote_ns);
	}
	put_extra(out, &look);
	TEXT_LIT(out, "}");
}

void model_render_event(const struct model_library *lib, const struct model_version *v,
        const char *type, struct model_look look, struct model_text *out)
{
	TEXT_LIT(out, "{\"type\":\"");
	model_text_str(out, type);
	TEXT_LIT(out, "\",\"object\":");
	look.typed = true;
	model_render_object(lib, v, look, out);
	TEXT_LIT(out, "}\n");
}

/* What a caller wrote itself, or a fault bent, goes the long way: as JSON, then translated. What a
 * translation does not take (bytes that are no JSON) becomes an object without fields. */
static void put_translated(const struct model_library *lib, const struct model_version *v,
        struct model_look look, struct model_text *out)
{
	struct model_text t = {0};
	size_t from = out->n;
	look.typed = false;
	model_render_object(lib, v, look, &t);
	struct span members = {t.p + 1, t.n - 2};
	if (!model_proto_members(model_proto_of(v->object->look->kind), members, out, NULL))
		out->n = from;
	model_text_fini(&t);
}

/* metadata up to the labels, as put_identity prints it (field numbers of meta/v1 ObjectMeta). */
static void proto_identity(
        const struct model_version *v, const struct model_look *look, struct model_text *out)
{
	const struct model_object *o = v->object;
	struct span key, value;
	model_proto_string(out, 1, model_object_name(o));
	if (o->ns_bytes)
		model_proto_string(out, 3, model_object_ns(o));
	size_t at = model_proto_open(out, 5, 1);
	model_render_uid(v, out);
	model_proto_close(out, at, 1);
	at = model_proto_open(out, 6, 1);
	model_text_u64(out, look->rv ? look->rv : v->rv);
	model_proto_close(out, at, 1);
	if (o->look->generation) {
		model_proto_varint(out, 7 << 3);
		model_proto_varint(out, v->generation);
	}
	at = model_proto_open(out, 8, 1);
	model_proto_varint(out, 1 << 3);
	model_proto_varint(out, (uint64_t)v->created_s);
	model_proto_close(out, at, 1);
	for (size_t i = 0; v->labels && model_labels_next(v->labels, &i, &key, &value);) {
		at = model_proto_open(out, 11, 1);
		model_proto_string(out, 1, key);
		model_proto_string(out, 2, value);
		model_proto_close(out, at, 1);
	}
}

void model_render_proto(const struct model_library *lib, const struct model_version *v,
        struct model_look look, struct model_text *out)
{
	const struct model_template *t = v->object->look;
	if (v->body || look.quirks || look.extra_bytes) {
		put_translated(lib, v, look, out);
		return;
	}
	size_t meta = model_proto_open(out, 1, 2);
	proto_identity(v, &look, out);
	model_program_run(t->proto_annotations, v, look.wrote_ns, out);
	model_program_run(t->proto_managed, v, look.wrote_ns, out);
	model_proto_close(out, meta, 2);
	model_program_run(t->proto_members, v, look.wrote_ns, out);
}

void model_render_proto_event(const struct model_library *lib, const struct model_version *v,
        const char *type, struct model_look look, struct model_text *out)
{
	char api[128];
	struct model_proto_event e;
	const struct model_kind *k = v->object->look->kind;
	model_kind_api_version(k, api, sizeof api);
	model_proto_event_begin(out, type, api, k->kind, &e);
	model_render_proto(lib, v, look, out);
	model_proto_event_end(out, &e);
}

#define END_MARKER "\"k8s.io/initial-events-end\":\"true\""

void model_render_bookmark(const struct model_kind *k, uint64_t rv, bool end_marker, bool meta_only,
        struct model_text *out)
{
	char api[128];
	model_kind_api_version(k, api, sizeof api);
	TEXT_LIT(out, "{\"type\":\"BOOKMARK\",\"object\":{");
	if (k->custom && !meta_only) {
		model_text_printf(
		        out, "\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{", api, k->kind);
		if (end_marker)
			TEXT_LIT(out, "\"annotations\":{" END_MARKER "},");
		model_text_printf(out, "\"resourceVersion\":\"%llu\"}}}\n", (unsigned long long)rv);
		return;
	}
	if (meta_only)
		TEXT_LIT(out, META_HEAD);
	else
		model_text_printf(out, "\"kind\":\"%s\",\"apiVersion\":\"%s\"", k->kind, api);
	model_text_printf(
	        out, ",\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)rv);
	/* The conversion of a zero DaemonSet sets an annotation; recorded. */
	bool daemonset = strcmp(k->resource, "daemonsets") == 0;
	if (end_marker || daemonset) {
		TEXT_LIT(out, ",\"annotations\":{");
		if (daemonset)
			TEXT_LIT(out, "\"deprecated.daemonset.template.generation\":\"0\"");
		if (end_marker && daemonset)
			TEXT_LIT(out, ",");
		if (end_marker)
			TEXT_LIT(out, END_MARKER);
		TEXT_LIT(out, "}");
	}
	TEXT_LIT(out, "}");
	if (!meta_only)
		model_text_str(out, k->zero);
	TEXT_LIT(out, "}}\n");
}
