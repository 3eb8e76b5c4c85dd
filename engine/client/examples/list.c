/* list.c - prints a list as it is now: one line per object, then its version. RESOURCE is one of
 * the core group, such as pods.
 *
 *   cc list.c $(pkg-config --cflags --libs kubering) && ./a.out CLUSTER RESOURCE
 */
#include <kubering.h>
#include <stdio.h>

static int fail(struct kr_client *c, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, kr_last_error(c));
	kr_close(c);
	return 1;
}

int main(int argc, char **argv)
{
	struct kr_client *client;
	struct kr_list *list;
	struct kr_view view;
	struct kr_object object;
	int result;

	if (argc != 3) {
		fprintf(stderr, "usage: %s CLUSTER RESOURCE\n", argv[0]);
		return 2;
	}
	if (kr_connect(&client, NULL) != KR_OK)
		return fail(NULL, "connect");
	struct kr_list_spec spec = {
	        .size = sizeof spec, .cluster = argv[1], .version = "v1", .resource = argv[2]};
	if (kr_list_open(client, &spec, &list) != KR_OK)
		return fail(client, "open");
	if (kr_list_wait_live(list, 30000000000) != KR_OK) /* 30 s */
		return fail(client, "wait");

	do { /* a view that is overrun is taken again: the list moves on, we see one state of it */
		if (kr_view_begin(list, &view) != KR_OK)
			return fail(client, "view");
		while ((result = kr_view_next(&view, &object)) == KR_OK)
			printf("%s/%s %s %zu bytes\n", object.namespace_, object.name,
			        object.resource_version, object.json_bytes);
		kr_view_end(&view);
	} while (result == KR_ERR_OVERRUN);
	if (result != KR_END)
		return fail(client, "next");

	printf("%llu objects at version %s\n", (unsigned long long)view.count,
	        view.resource_version);
	kr_close(client);
	return 0;
}
