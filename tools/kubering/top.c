/* top.c - what each list costs: two looks at the status, and the difference. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "include/kubering.h"
#include "kubering/commands.h"
#include "kubering/print/columns.h"
#include "kubering/print/json.h"
#include "kubering/print/table.h"
#include "kubering/report.h"
#include "kubering/say.h"
#include "kubering/source.h"
#include "kubering/text.h"

enum {
	KEY_FIELDS = 8,
	ROWS_AROUND = 4, /* headline, a blank one, the names of the columns, the cursor's */
};

/* One look. Owner: command_top. */
struct sample {
	struct json_dom *dom;
	struct json_node root;
	int64_t at_ns;
};

struct line {
	struct json_node list;
	double events; /* a second */
};

static int look(struct kr_client *client, struct sample *s)
{
	s->at_ns = source_clock_ns();
	return source_query(client, "status", s->dom, &s->root);
}

static int span_order(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;
	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_identity(const void *a, const void *b)
{
	static const char *const key[KEY_FIELDS] = {"cluster", "resource", "namespace", "group",
	        "version", "label_selector", "field_selector", "form"};
	const struct json_node *x = a, *y = b;
	int order = 0;
	for (int i = 0; i < KEY_FIELDS && !order; i++)
		order = span_order(json_dom_string(json_dom_get(*x, key[i])),
		        json_dom_string(json_dom_get(*y, key[i])));
	return order;
}

/* In the order of what they are lists of: where one has gone all others have another place, and to
 * look through twenty thousand for each of twenty thousand takes minutes. free() it. */
static struct json_node *sorted(struct json_node lists, size_t *n)
{
	struct json_node *all = text_alloc((size_t)cell_count(lists) * sizeof *all), l;
	struct json_iter it = {0};
	*n = 0;
	while (json_dom_next(lists, &it, NULL, &l))
		all[(*n)++] = l;
	if (*n > 1)
		qsort(all, *n, sizeof *all, by_identity);
	return all;
}

static double rate(struct json_node now, struct json_node before, const char *field, double seconds)
{
	double a = json_dom_double(json_dom_get(before, field), 0),
	       b = json_dom_double(json_dom_get(now, field), 0);
	return json_dom_exists(before) && b > a && seconds > 0 ? (b - a) / seconds : 0;
}

static int busier(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	if (x->events != y->events)
		return x->events < y->events ? 1 : -1;
	double bx = json_dom_double(json_dom_get(x->list, "bytes"), 0),
	       by = json_dom_double(json_dom_get(y->list, "bytes"), 0);
	return (bx < by) - (bx > by);
}

static struct line *compare(const struct sample *before, const struct sample *now, size_t *n)
{
	struct json_node lists = json_dom_get(now->root, "lists"), l;
	size_t old_count;
	struct json_node *old = sorted(json_dom_get(before->root, "lists"), &old_count);
	struct line *lines = text_alloc((size_t)cell_count(lists) * sizeof *lines);
	struct json_iter it = {0};
	double seconds = (double)(now->at_ns - before->at_ns) / 1e9;
	*n = 0;
	while (json_dom_next(lists, &it, NULL, &l)) {
		const struct json_node *was = bsearch(&l, old, old_count, sizeof l, by_identity);
		lines[(*n)++] = (struct line){
		        l, rate(l, was ? *was : (struct json_node){0}, "events", seconds)};
	}
	free(old);
	if (*n > 1)
		qsort(lines, *n, sizeof *lines, busier);
	return lines;
}

static void print_json(const struct line *lines, size_t n)
{
	struct text t = {0};
	text_add_char(&t, '[');
	for (size_t i = 0; i < n; i++) {
		text_printf(&t, "%s{\"events_per_second\":%.1f,\"list\":", i ? "," : "",
		        lines[i].events);
		json_add_node(&t, lines[i].list);
		text_add_char(&t, '}');
	}
	text_add_char(&t, ']');
	puts(text_cstr(&t));
	text_fini(&t);
}

static void add_row(struct table *t, const struct line *l)
{
	static const char *const fields[] = {"state", "objects"};
	struct text cell = {0};
	table_begin_row(t, SPAN(""), false);
	table_add_cell(t, json_dom_string(json_dom_get(l->list, "cluster")));
	report_add_resource(&cell, l->list);
	table_add_cell(t, (struct span){cell.p, cell.n});
	text_clear(&cell);
	report_add_scope(&cell, l->list);
	table_add_cell(t, (struct span){cell.p, cell.n});
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		text_clear(&cell);
		cell_text(&cell, json_dom_get(l->list, fields[i]), "-");
		table_add_cell(t, (struct span){cell.p, cell.n});
	}
	text_clear(&cell);
	report_add_bytes(&cell, json_dom_double(json_dom_get(l->list, "bytes"), 0));
	table_add_cell(t, (struct span){cell.p, cell.n});
	text_clear(&cell);
	text_printf(&cell, "%.1f", l->events);
	table_add_cell(t, (struct span){cell.p, cell.n});
	text_clear(&cell);
	report_add_age(&cell, json_dom_get(l->list, "byte_age_seconds"));
	table_add_cell(t, (struct span){cell.p, cell.n});
	text_fini(&cell);
}

static void print_table(const struct line *lines, size_t n, const struct args *a)
{
	static const char *const headers[] = {
	        "CLUSTER", "RESOURCE", "NAMESPACE", "STATE", "OBJECTS", "BYTES", "EVENTS/S", "AGE"};
	struct table t;
	table_init(&t);
	t.header_due = !a->no_headers;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		table_add_column(&t, span_of(headers[i]));
	for (size_t i = 0; i < n; i++)
		add_row(&t, &lines[i]);
	table_print(&t, stdout);
	table_fini(&t);
}

/* How many of n lists a screen has room for, under the headline and the names of the columns. */
static size_t room(size_t n)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
		return n;
	size_t rows = size.ws_row > ROWS_AROUND ? (size_t)size.ws_row - ROWS_AROUND : 1;
	return rows < n ? rows : n;
}

/* One screen: the busiest, cut at its edges. */
static void refresh(const struct line *lines, size_t n, double events, const struct args *a)
{
	size_t shown = room(n);
	printf("\033[H\033[J\033[?7l%zu lists, %.1f events/s", n, events);
	if (shown < n)
		printf(", the first %zu", shown);
	printf("\n\n");
	print_table(lines, shown, a);
	fputs("\033[?7h", stdout);
}

static void show(
        const struct sample *before, const struct sample *now, const struct args *a, bool screen)
{
	size_t n;
	struct line *lines = compare(before, now, &n);
	double events = 0;
	for (size_t i = 0; i < n; i++)
		events += lines[i].events;
	if (a->output == OUTPUT_JSON) {
		print_json(lines, n);
	} else if (screen) {
		refresh(lines, n, events, a);
	} else {
		printf("%zu lists, %.1f events/s\n\n", n, events);
		print_table(lines, n, a);
	}
	fflush(stdout);
	free(lines);
}

int command_top(const struct args *a)
{
	struct kr_client *client = NULL;
	struct sample s[2] = {
	        {.dom = text_need(json_dom_new())}, {.dom = text_need(json_dom_new())}};
	bool screen = a->output == OUTPUT_TABLE && isatty(STDOUT_FILENO);
	int64_t until = a->timeout_ns > 0 && a->timeout_ns != KR_FOREVER
	                        ? source_clock_ns() + a->timeout_ns
	                        : KR_FOREVER;
	int code = source_connect(a, &client);
	if (code == CODE_OK)
		code = look(client, &s[0]);
	for (unsigned i = 1; code == CODE_OK; i++) {
		struct timespec second = {1, 0};
		(void)ppoll(NULL, 0, &second, NULL);
		code = look(client, &s[i & 1]);
		if (code == CODE_OK)
			show(&s[!(i & 1)], &s[i & 1], a, screen);
		if ((!screen && until == KR_FOREVER) || source_clock_ns() >= until)
			break;
	}
	json_dom_free(&s[0].dom);
	json_dom_free(&s[1].dom);
	kr_close(client);
	return code;
}
