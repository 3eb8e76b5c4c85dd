#include "model/model_envelope.h"

#include "model/model_json.h"

#include <strings.h>

static bool same_name(struct span key, const char *name)
{
	return key.n == strlen(name) && strncasecmp(key.p, name, key.n) == 0;
}

static bool take_field(void *arg, struct span key, struct model_json *j)
{
	struct model_envelope *e = arg;
	struct {
		const char *name;
		struct model_text *to;
	} const rows[] = {{"clusterId", &e->cluster}, {"path", &e->path}, {"query", &e->query},
	        {"userId", &e->user}, {"data", &e->data}, {"type", &e->type}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!same_name(key, rows[i].name))
			continue;
		if (model_json_null(j)) /* leaves the field as it is */
			return true;
		rows[i].to->n = 0;
		return model_json_string(j, rows[i].to);
	}
	char first = model_json_peek(j);
	if (same_name(key, "binary") && first != 't' && first != 'f' && first != 'n')
		return false;
	return model_json_skip(j);
}

bool model_envelope_read(struct model_envelope *e, struct span json)
{
	struct model_json j = {.p = json.p, .end = json.p + json.n};
	return json.n && model_json_object(&j, take_field, e) && model_json_at_end(&j);
}

void model_envelope_fini(struct model_envelope *e)
{
	model_text_fini(&e->cluster);
	model_text_fini(&e->path);
	model_text_fini(&e->query);
	model_text_fini(&e->user);
	model_text_fini(&e->data);
	model_text_fini(&e->type);
}

void model_envelope_write(struct model_text *t, const struct model_envelope_out *o)
{
	TEXT_LIT(t, "{\"clusterId\":");
	model_json_quote(t, o->cluster);
	TEXT_LIT(t, ",\"path\":");
	model_json_quote(t, o->path);
	TEXT_LIT(t, ",\"query\":");
	model_json_quote(t, o->query);
	TEXT_LIT(t, ",\"userId\":");
	model_json_quote(t, o->user);
	if (o->data.n) {
		TEXT_LIT(t, ",\"data\":");
		model_json_quote(t, o->data);
	}
	if (o->binary)
		TEXT_LIT(t, ",\"binary\":true");
	model_text_printf(t, ",\"type\":\"%s\"}\n", o->type);
}

/* --- versions --- */

struct versions {
	struct model_text top, inner;
	struct model_text *to; /* of the metadata that is being read */
};

static bool in_metadata(void *arg, struct span key, struct model_json *j)
{
	struct versions *v = arg;
	if (!span_is(key, "resourceVersion") || model_json_peek(j) != '"')
		return model_json_skip(j);
	v->to->n = 0;
	return model_json_string(j, v->to);
}

static bool in_object(void *arg, struct span key, struct model_json *j)
{
	struct versions *v = arg;
	bool object = model_json_peek(j) == '{';
	if (object && span_is(key, "metadata")) {
		v->to = &v->inner;
		return model_json_object(j, in_metadata, v);
	}
	return model_json_skip(j);
}

static bool at_top(void *arg, struct span key, struct model_json *j)
{
	struct versions *v = arg;
	bool object = model_json_peek(j) == '{';
	if (object && span_is(key, "object"))
		return model_json_object(j, in_object, v);
	if (object && span_is(key, "metadata")) {
		v->to = &v->top;
		return model_json_object(j, in_metadata, v);
	}
	return model_json_skip(j);
}

bool model_envelope_version(struct span json, struct model_text *version)
{
	struct versions v = {0};
	struct model_json j = {.p = json.p, .end = json.p + json.n};
	bool ok = json.n && model_json_object(&j, at_top, &v) && model_json_at_end(&j);
	version->n = 0;
	model_text_span(version, model_text_as_span(v.top.n ? &v.top : &v.inner));
	model_text_fini(&v.top);
	model_text_fini(&v.inner);
	return ok && version->n;
}

struct wanted {
	const char *key;
	struct model_text *out;
	bool found;
};

static bool one_member(void *arg, struct span key, struct model_json *j)
{
	struct wanted *w = arg;
	if (!same_name(key, w->key))
		return model_json_skip(j);
	w->found = true;
	w->out->n = 0;
	return model_json_string(j, w->out);
}

bool model_envelope_member(struct span json, const char *key, struct model_text *out)
{
	struct wanted w = {.key = key, .out = out};
	struct model_json j = {.p = json.p, .end = json.p + json.n};
	return json.n && model_json_object(&j, one_member, &w) && w.found;
}
