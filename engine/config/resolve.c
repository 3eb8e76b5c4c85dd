#include "config/resolve.h"

#include <stdio.h>

#include "config/base64.h"
#include "config/file.h"

err_t resolve_fail(struct resolver *r, const struct yaml_node *at, const char *field,
        const char *what, const char *which)
{
	struct problem_place p = yaml_place(&r->entry->file->yaml, at ? at : r->entry->item);
	return errmsg_set(r->m, ERR_CONFIG, "%s:%u:%u: %s%s%s: %s%.80s", p.file, p.line, p.column,
	        r->what, field ? ": " : "", field ? field : "", what, which);
}

err_t resolve_memory(struct resolver *r)
{
	return errmsg_set(r->m, ERR_NO_MEMORY, "%s", r->what);
}

void resolve_enter(struct resolver *r, const struct kubeconfig_entry *entry, const char *kind)
{
	r->entry = entry;
	snprintf(r->what, sizeof r->what, "%s \"%.40s\"", kind, entry->name);
}

void resolve_warn(struct resolver *r, const char *text)
{
	struct cluster_conf *c = r->out;
	const char *copy = arena_format(&c->arena, "%s: %s", r->what, text);
	if (copy && c->warning_count < CLUSTER_CONF_WARNINGS_MAX)
		c->warnings[c->warning_count++] = copy;
}

/* The scalar that is there; absent, null and "" give NULL. */
static err_t resolve_scalar(struct resolver *r, const struct yaml_node *map, const char *field,
        const struct yaml_node **out)
{
	const struct yaml_node *n = yaml_get(map, field);
	*out = NULL;
	if (yaml_is_null(n))
		return ERR_OK;
	if (n->kind != YAML_KIND_SCALAR)
		return resolve_fail(r, n, field, "expected a string, found ", yaml_kind_text(n));
	if (n->text.n > 0)
		*out = n;
	return ERR_OK;
}

/* A string; absent, null and "" give NULL. */
err_t resolve_text(
        struct resolver *r, const struct yaml_node *map, const char *field, const char **out)
{
	const struct yaml_node *n;
	*out = NULL;
	err_t e = resolve_scalar(r, map, field, &n);
	if (e != ERR_OK || !n)
		return e;
	*out = arena_copy(&r->out->arena, n->text);
	return *out ? ERR_OK : resolve_memory(r);
}

err_t resolve_bool(struct resolver *r, const struct yaml_node *map, const char *field, bool *out)
{
	const struct yaml_node *n = yaml_get(map, field);
	*out = false;
	if (yaml_is_null(n) || yaml_bool(n, out))
		return ERR_OK;
	return resolve_fail(r, n, field, "expected true or false, found ", yaml_kind_text(n));
}

/* A path, relative to the file that has it. */
err_t resolve_path(
        struct resolver *r, const struct yaml_node *map, const char *field, const char **out)
{
	err_t e = resolve_text(r, map, field, out);
	if (e != ERR_OK || !*out)
		return e;
	*out = file_resolve(r->entry->file->directory, *out, &r->out->arena);
	return *out ? ERR_OK : resolve_memory(r);
}

static err_t resolve_base64(
        struct resolver *r, const struct yaml_node *map, const char *field, struct span *out)
{
	const struct yaml_node *n;
	*out = SPAN_NONE;
	err_t e = resolve_scalar(r, map, field, &n);
	if (e != ERR_OK || !n)
		return e;
	if (!base64_decode(n->text, &r->out->arena, out))
		return resolve_fail(r, n, field, "is not base64", "");
	return ERR_OK;
}

/* NAME-data or NAME (a path), never both. */
err_t resolve_data_or_file(struct resolver *r, const struct yaml_node *map, const char *file_field,
        struct span *data, const char **file)
{
	char data_field[40];
	snprintf(data_field, sizeof data_field, "%s-data", file_field);
	err_t e = resolve_base64(r, map, data_field, data);
	if (e == ERR_OK)
		e = resolve_path(r, map, file_field, file);
	if (e == ERR_OK && data->n > 0 && *file)
		return resolve_fail(r, yaml_get(map, file_field), file_field,
		        "is given together with ", data_field);
	return e;
}

err_t resolve_strings(struct resolver *r, const struct yaml_node *map, const char *field,
        const char *const **out, size_t *count)
{
	const struct yaml_node *list = yaml_get(map, field);
	*out = NULL;
	*count = 0;
	if (yaml_is_null(list))
		return ERR_OK;
	if (list->kind != YAML_KIND_LIST)
		return resolve_fail(
		        r, list, field, "expected a list, found ", yaml_kind_text(list));
	if (list->count > RESOLVE_STRINGS_MAX)
		return resolve_fail(r, list, field, "is too long", "");
	const char **texts = arena_array(&r->out->arena, list->count, sizeof(*texts));
	if (!texts)
		return resolve_memory(r);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct yaml_node *n = list->items[i];
		if (n->kind != YAML_KIND_SCALAR)
			return resolve_fail(
			        r, n, field, "expected a string, found ", yaml_kind_text(n));
		texts[i] = yaml_is_null(n) ? "" : arena_copy(&r->out->arena, n->text);
		if (!texts[i])
			return resolve_memory(r);
	}
	*out = texts;
	*count = list->count;
	return ERR_OK;
}
