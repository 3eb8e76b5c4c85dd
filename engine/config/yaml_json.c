#include "config/yaml_json.h"

#include "base/check.h"

struct yaml_json_frame {
	const struct yaml_node *node;
	uint32_t next; /* pair or item */
};

static size_t yaml_json_digits(struct span s, size_t at)
{
	while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
		at++;
	return at;
}

/* RFC 8259 section 6. Other numbers of YAML 1.1 (0x1F, 1_000, .5) stay strings. */
static bool yaml_json_is_number(struct span s)
{
	size_t at = s.n > 0 && s.p[0] == '-' ? 1 : 0;
	size_t end = yaml_json_digits(s, at);
	if (end == at || (s.p[at] == '0' && end > at + 1))
		return false;
	at = end;
	if (at < s.n && s.p[at] == '.') {
		end = yaml_json_digits(s, at + 1);
		if (end == at + 1)
			return false;
		at = end;
	}
	if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
		at++;
		if (at < s.n && (s.p[at] == '+' || s.p[at] == '-'))
			at++;
		end = yaml_json_digits(s, at);
		if (end == at)
			return false;
		at = end;
	}
	return at == s.n;
}

static void yaml_json_scalar(struct text *out, const struct yaml_node *n)
{
	bool value;
	if (yaml_is_null(n))
		text_push(out, SPAN("null"));
	else if (yaml_bool(n, &value))
		text_push(out, value ? SPAN("true") : SPAN("false"));
	else if (n->plain && yaml_json_is_number(n->text))
		text_push(out, n->text);
	else
		text_push_json(out, n->text);
}

void yaml_json_push(struct text *out, const struct yaml_node *n)
{
	struct yaml_json_frame frames[YAML_DEPTH_MAX];
	uint32_t depth = 0;
	while (!out->broken) {
		if (n && n->kind != YAML_KIND_SCALAR) {
			/* An alias can sit deep and stand for a deep tree, so the depth of the text
			 * is not that of the file. */
			if (depth == YAML_DEPTH_MAX) {
				out->broken = true;
				return;
			}
			frames[depth++] = (struct yaml_json_frame){n, 0};
			text_push(out, n->kind == YAML_KIND_MAP ? SPAN("{") : SPAN("["));
		} else {
			yaml_json_scalar(out, n);
		}
		/* close what is finished, then step to the next child */
		while (depth > 0 && frames[depth - 1].next == frames[depth - 1].node->count) {
			depth--;
			text_push(out,
			        frames[depth].node->kind == YAML_KIND_MAP ? SPAN("}") : SPAN("]"));
		}
		if (depth == 0)
			return;
		struct yaml_json_frame *f = &frames[depth - 1];
		if (f->next > 0)
			text_push(out, SPAN(","));
		if (f->node->kind == YAML_KIND_MAP) {
			text_push_json(out, f->node->pairs[f->next].key->text);
			text_push(out, SPAN(":"));
			n = f->node->pairs[f->next++].value;
		} else {
			n = f->node->items[f->next++];
		}
	}
}
