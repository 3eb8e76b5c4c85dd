#include "kubering/print/objects.h"

#include <ctype.h>

#include "kubering/print/json.h"
#include "kubering/print/yaml_out.h"
#include "kubering/text.h"

void objects_open(struct objects *o, FILE *f, enum args_output form, bool list)
{
	*o = (struct objects){.file = f, .form = form, .list = list};
	if (form == OUTPUT_YAML) {
		o->dom = text_need(json_dom_new());
		o->yaml = yaml_out_new(f);
		if (list)
			yaml_out_list_begin(o->yaml);
	} else if (form == OUTPUT_JSON && list) {
		fputs("{\n    \"apiVersion\": \"v1\",\n    \"items\": [", f);
	}
}

/* "pod/web", "deployment.apps/web". */
static void add_name(struct text *t, const struct kind *k, const char *name)
{
	for (const char *p = k->kind; *p; p++)
		text_add_char(t, (char)tolower((unsigned char)*p));
	text_printf(t, "%s%s/", *k->group ? "." : "", k->group);
	text_add_safe(t, span_of(name));
}

static void add_json(struct objects *o, struct span line)
{
	if (o->list)
		text_add(&o->text, o->n > 0 ? SPAN(",\n        ") : SPAN("\n        "));
	json_add_pretty(&o->text, line, o->list ? 2 : 0);
	if (!o->list)
		text_add_char(&o->text, '\n');
}

static void add_yaml(struct objects *o, struct span line)
{
	struct json_node root;
	if (json_dom_parse(o->dom, line, &root) != ERR_OK)
		return;
	if (o->list)
		yaml_out_add(o->yaml, root);
	else
		yaml_out_document(o->yaml, root);
}

void objects_add(struct objects *o, const struct kind *k, const char *name, struct span line)
{
	text_clear(&o->text);
	switch (o->form) {
	case OUTPUT_NAME:
		add_name(&o->text, k, name);
		text_add_char(&o->text, '\n');
		break;
	case OUTPUT_JSONL:
		text_add(&o->text, line);
		text_add_char(&o->text, '\n');
		break;
	case OUTPUT_JSON: add_json(o, line); break;
	case OUTPUT_YAML: add_yaml(o, line); break;
	case OUTPUT_TABLE: break;
	}
	if (o->text.n > 0)
		fwrite(o->text.p, 1, o->text.n, o->file);
	o->n++;
}

void objects_close(struct objects *o)
{
	if (o->form == OUTPUT_JSON && o->list)
		fprintf(o->file,
		        "%s],\n    \"kind\": \"List\",\n    \"metadata\": {\n        "
		        "\"resourceVersion\": \"\"\n    }\n}\n",
		        o->n > 0 ? "\n    " : "");
	if (o->form == OUTPUT_YAML && o->list)
		yaml_out_list_end(o->yaml);
	yaml_out_free(&o->yaml);
	json_dom_free(&o->dom);
	text_fini(&o->text);
}
