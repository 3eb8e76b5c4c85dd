#include "model/model_template.h"

#include "base/check.h"
#include "model/model_proto.h"

#include <stdlib.h>

#define OBJECT_BYTES_MAX (8u << 20)

void model_library_init(struct model_library *lib, int64_t wall_s, bool stamp)
{
	*lib = (struct model_library){.wall_s = wall_s, .stamp = stamp};
}

static void part_fini(struct model_part *p)
{
	free(p->text);
	free(p->slots);
	*p = (struct model_part){0};
}

static void template_free(struct model_template *t)
{
	part_fini(&t->annotations);
	part_fini(&t->managed);
	part_fini(&t->managed_sorted);
	part_fini(&t->members);
	model_program_free(&t->proto_annotations);
	model_program_free(&t->proto_managed);
	model_program_free(&t->proto_members);
	model_text_fini(&t->head);
	free(t);
}

void model_library_fini(struct model_library *lib)
{
	for (size_t i = 0; i < lib->template_count; i++)
		template_free(lib->templates[i]);
	for (size_t i = 0; i < lib->custom_count; i++)
		free(lib->customs[i]);
	free(lib->templates);
	free(lib->customs);
	model_labels_fini(&lib->labels);
	*lib = (struct model_library){0};
}

static void part_init(struct model_part *p, const struct model_text *from)
{
	size_t slots = 0;
	for (size_t i = 0; i < from->n; i++)
		slots += from->p[i] == MODEL_SLOT[0];
	CHECK(from->n - 2 * slots <= UINT32_MAX);
	*p = (struct model_part){.slot_count = (uint32_t)slots};
	p->text = malloc(from->n - 2 * slots + 1);
	p->slots = malloc((slots + 1) * sizeof *p->slots);
	CHECK(p->text && p->slots);
	uint32_t slot = 0;
	for (size_t i = 0; i < from->n; i++) {
		if (from->p[i] == MODEL_SLOT[0])
			p->slots[slot++] = (struct model_part_slot){p->bytes, from->p[++i]};
		else
			p->text[p->bytes++] = from->p[i];
	}
}

static void generated_fini(struct model_generated *g)
{
	model_text_fini(&g->annotations);
	model_text_fini(&g->managed);
	model_text_fini(&g->members);
}

/* An event beside the three parts: its wrapping, head, names, uid, version, labels, braces. */
#define FRAME_BYTES 350

/* With what typically stands in the place of the slots. */
static size_t part_bytes(const struct model_text *t)
{
	static const struct {
		char slot;
		unsigned char bytes;
	} widths[] = {{MODEL_SLOT_NAME, 11}, {MODEL_SLOT_NAMESPACE, 6}, {MODEL_SLOT_HEX, 8},
	        {MODEL_SLOT_SUFFIX, 5}, {MODEL_SLOT_NODE, 2}, {MODEL_SLOT_IP, 13},
	        {MODEL_SLOT_CREATED, 20}, {MODEL_SLOT_CHANGED, 20}, {MODEL_SLOT_CHANGES, 1},
	        {MODEL_SLOT_GENERATION, 1}, {MODEL_SLOT_READY, 4}, {MODEL_SLOT_STAMP, 20},
	        {MODEL_SLOT_WROTE, 20}};
	size_t n = t->n;
	for (size_t i = 0; i + 1 < t->n; i++) {
		if (t->p[i] != MODEL_SLOT[0])
			continue;
		for (size_t k = 0; k < ARRAY_LEN(widths); k++)
			if (widths[k].slot == t->p[i + 1])
				n += widths[k].bytes;
		n -= 2;
	}
	return n;
}

static size_t generated_bytes(const struct model_generated *g)
{
	return part_bytes(&g->annotations) + part_bytes(&g->managed) + part_bytes(&g->members) +
	       FRAME_BYTES;
}

static void managed_sorted(struct model_part *p, const struct model_kind *k)
{
	struct model_text t = {0};
	model_text_printf(&t,
	        "[{\"apiVersion\":\"%s/"
	        "%s\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:spec\":{}},"
	        "\"manager\":\"kubectl\",\"operation\":\"Update\",\"time\":\"" MODEL_SLOT "W\"}]",
	        k->group, k->version);
	part_init(p, &t);
	model_text_fini(&t);
}

static void put_stamp(struct model_text *annotations)
{
	struct model_text t = {0};
	TEXT_LIT(&t, "\"" MODEL_STAMP_KEY "\":\"" MODEL_SLOT "S\",\"" MODEL_WROTE_KEY
	             "\":\"" MODEL_SLOT "T\"");
	if (annotations->n)
		TEXT_LIT(&t, ",");
	model_text_span(&t, model_text_as_span(annotations));
	model_text_fini(annotations);
	*annotations = t;
}

/* Fills up to the size that was asked for, in a few rounds, since entries come in whole pieces. */
static void generate(const struct model_kind *kind, uint32_t bytes, struct model_generated *g)
{
	/* Of a real Pod of 14.5 KB, 5.3 KB are managedFields. */
	bool managed = kind->shape == MODEL_SHAPE_POD && bytes >= 8000;
	size_t managed_want = (size_t)bytes * 53 / 145 < 64000 ? (size_t)bytes * 53 / 145 : 64000;
	struct model_size size = {.bytes = bytes};
	for (int round = 0; round < 4; round++) {
		generated_fini(g);
		model_generate(kind, &size, g);
		if (managed && g->managed.n < managed_want)
			size.managed_pad += managed_want - g->managed.n;
		size_t got = generated_bytes(g);
		if (managed && g->managed.n < managed_want)
			got += managed_want - g->managed.n;
		if (got < bytes)
			size.pad += bytes - got;
		else
			size.pad -= got - bytes < size.pad ? got - bytes : size.pad;
	}
}

/* The member NAME of an ObjectMeta. */
static struct model_program *program_of(
        const char *name, const char *open, const struct model_text *value, const char *close)
{
	struct model_text t = {0};
	model_text_printf(&t, "\"%s\":%s", name, open);
	model_text_span(&t, model_text_as_span(value));
	model_text_str(&t, close);
	struct model_program *p =
	        model_program_new(&model_proto_object_meta, model_text_as_span(&t));
	model_text_fini(&t);
	return p;
}

static void translate(struct model_template *t, const struct model_generated *g)
{
	const struct model_proto_message *m = model_proto_of(t->kind);
	if (!m)
		return;
	t->proto_annotations = program_of("annotations", "{", &g->annotations, "}");
	t->proto_managed = program_of("managedFields", "", &g->managed, "");
	t->proto_members = model_program_new(m, model_text_as_span(&g->members));
}

static struct model_template *template_new(
        const struct model_kind *kind, uint32_t bytes, bool stamp)
{
	struct model_generated g = {0};
	generate(kind, bytes, &g);
	struct model_template *t = calloc(1, sizeof *t);
	CHECK(t);
	t->kind = kind;
	t->bytes = bytes;
	t->generation = kind->custom || kind->shape == MODEL_SHAPE_POD ||
	                kind->shape == MODEL_SHAPE_DEPLOYMENT || strcmp(kind->group, "apps") == 0;
	if (stamp)
		put_stamp(&g.annotations);
	part_init(&t->annotations, &g.annotations);
	part_init(&t->managed, &g.managed);
	part_init(&t->members, &g.members);
	translate(t, &g);
	generated_fini(&g);
	if (kind->custom)
		managed_sorted(&t->managed_sorted, kind);
	char api[128];
	model_kind_api_version(kind, api, sizeof api);
	model_text_printf(&t->head,
	        kind->custom ? "\"apiVersion\":\"%2$s\",\"kind\":\"%1$s\""
	                     : "\"kind\":\"%1$s\",\"apiVersion\":\"%2$s\"",
	        kind->kind, api);
	return t;
}

const struct model_template *model_library_template(
        struct model_library *lib, const struct model_kind *kind, uint32_t bytes)
{
	CHECK(bytes <= OBJECT_BYTES_MAX);
	for (size_t i = 0; i < lib->template_count; i++)
		if (lib->templates[i]->kind == kind && lib->templates[i]->bytes == bytes)
			return lib->templates[i];
	lib->templates =
	        realloc(lib->templates, (lib->template_count + 1) * sizeof *lib->templates);
	CHECK(lib->templates);
	return lib->templates[lib->template_count++] = template_new(kind, bytes, lib->stamp);
}

static const char *put_string(char **at, const char *s)
{
	size_t n = strlen(s ? s : "") + 1;
	memcpy(*at, s ? s : "", n);
	*at += n;
	return *at - n;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

const struct model_kind *model_library_custom(
        struct model_library *lib, const struct model_kind *like)
{
	for (size_t i = 0; i < lib->custom_count; i++) {
		const struct model_kind *k = lib->customs[i];
		if (same(k->group, like->group) && same(k->version, like->version) &&
		        same(k->resource, like->resource) && same(k->kind, like->kind) &&
		        same(k->short_names, like->short_names) &&
		        same(k->singular, like->singular) &&
		        same(k->selectable, like->selectable) && k->namespaced == like->namespaced)
			return k;
	}
	const char *from[] = {like->group, like->version, like->resource, like->singular,
	        like->kind, like->short_names, like->categories, like->selectable};
	size_t bytes = 0;
	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		bytes += strlen(from[i] ? from[i] : "") + 1;
	struct model_kind *k = malloc(sizeof *k + bytes);
	CHECK(k);
	char *at = (char *)(k + 1);
	*k = (struct model_kind){.subresources = "",
	        .hash = "",
	        .zero = "",
	        .custom = true,
	        .shape = MODEL_SHAPE_CUSTOM,
	        .namespaced = like->namespaced};
	k->group = put_string(&at, from[0]);
	k->version = put_string(&at, from[1]);
	k->resource = put_string(&at, from[2]);
	k->singular = put_string(&at, from[3]);
	k->kind = put_string(&at, from[4]);
	k->short_names = put_string(&at, from[5]);
	k->categories = put_string(&at, from[6]);
	k->selectable = put_string(&at, from[7]);
	lib->customs = realloc(lib->customs, (lib->custom_count + 1) * sizeof *lib->customs);
	CHECK(lib->customs);
	lib->customs[lib->custom_count++] = k;
	return k;
}
