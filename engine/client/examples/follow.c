/* follow.c - prints what changes in a list, field by field, and proves to itself that it missed
 * nothing. RESOURCE is one of the core group; it ends after CHANGES, or never.
 *
 *   cc follow.c $(pkg-config --cflags --libs kubering) && ./a.out CLUSTER RESOURCE [CHANGES]
 */
#include <kubering.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long long
        digest; /* of what this program knows: the sum of the hashes of its objects */

static void count(const struct kr_object *o, int sign)
{
	unsigned long long h = kr_object_hash(o->namespace_, o->name, o->uid, o->resource_version);
	digest += sign > 0 ? h : -h;
}

static int fail(struct kr_client *c, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, kr_last_error(c));
	kr_close(c);
	return 1;
}

/* The list as it is now; what was known before is forgotten. */
static int take_list(struct kr_list *list, struct kr_view *view)
{
	struct kr_object object;
	int result;
	do {
		result = kr_view_begin(list, view);
		if (result != KR_OK)
			return result;
		digest = 0;
		while ((result = kr_view_next(view, &object)) == KR_OK)
			count(&object, 1);
		kr_view_end(view);
	} while (result == KR_ERR_OVERRUN);
	printf("list of %llu objects at %s\n", (unsigned long long)view->count,
	        view->resource_version);
	return result == KR_END ? KR_OK : result;
}

static void print_change(const struct kr_change *change)
{
	static const char *const words[] = {
	        "", "added", "modified", "deleted", "synced", "state", "reset"};
	static char patch[1 << 20];
	size_t size;
	printf("%s %s/%s", words[change->type], change->object.namespace_, change->object.name);
	if (change->type == KR_MODIFIED &&
	        kr_change_diff(change, patch, sizeof patch, &size) == KR_OK)
		printf(" %.*s", (int)size, patch);
	printf("\n");
}

static int apply(const struct kr_change *change)
{
	if (change->type == KR_ADDED || change->type == KR_MODIFIED)
		count(&change->object, 1);
	if (change->type == KR_DELETED || change->type == KR_MODIFIED)
		count(&change->old_object, -1);
	return change->digest == digest;
}

int main(int argc, char **argv)
{
	struct kr_client *client;
	struct kr_list *list;
	struct kr_view view;
	struct kr_change change;

	if (argc < 3) {
		fprintf(stderr, "usage: %s CLUSTER RESOURCE [CHANGES]\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	long left = argc > 3 ? strtol(argv[3], NULL, 10) : -1;
	if (kr_connect(&client, NULL) != KR_OK)
		return fail(NULL, "connect");
	struct kr_list_spec spec = {
	        .size = sizeof spec, .cluster = argv[1], .version = "v1", .resource = argv[2]};
	if (kr_list_open(client, &spec, &list) != KR_OK)
		return fail(client, "open");
	if (kr_list_wait_live(list, 30000000000) != KR_OK) /* 30 s */
		return fail(client, "wait");
	if (take_list(list, &view) != KR_OK)
		return fail(client, "list");

	while (left != 0) {
		int result = kr_follow_next(&view.follow, &change, KR_FOREVER);
		if (result == KR_ERR_OVERRUN || (result == KR_OK && change.type == KR_RESET)) {
			kr_follow_end(&view.follow); /* said openly; the way back is the list */
			if (take_list(list, &view) != KR_OK)
				return fail(client, "list");
			continue;
		}
		if (result != KR_OK)
			return fail(client, "follow");
		print_change(&change);
		if (!apply(&change)) {
			fprintf(stderr, "digest differs: something was missed\n");
			return 1;
		}
		left -= left > 0;
	}
	kr_follow_end(&view.follow);
	kr_close(client);
	return 0;
}
