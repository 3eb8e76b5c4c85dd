/* get.c - prints one object as JSON. The first call for a list waits for its sync; those that come
 * soon after answer from memory. For example:
 *
 *   ./a.out prod-eu v1 pods shop web-0
 *   ./a.out prod-eu apps/v1 deployments shop web
 *   ./a.out prod-eu v1 nodes "" node-1
 *
 *   cc get.c $(pkg-config --cflags --libs kubering)
 *   ./a.out CLUSTER VERSION RESOURCE NAMESPACE NAME
 */
#include <kubering.h>
#include <stdio.h>
#include <string.h>

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
	struct kr_object object;
	char group[256] = "";

	if (argc != 6) {
		fprintf(stderr, "usage: %s CLUSTER VERSION RESOURCE NAMESPACE NAME\n", argv[0]);
		return 2;
	}
	const char *version = argv[2], *slash = strchr(argv[2], '/');
	if (slash) { /* "apps/v1", as manifests write it */
		snprintf(group, sizeof group, "%.*s", (int)(slash - argv[2]), argv[2]);
		version = slash + 1;
	}
	if (kr_connect(&client, NULL) != KR_OK)
		return fail(NULL, "connect");
	struct kr_list_spec spec = {.size = sizeof spec,
	        .cluster = argv[1],
	        .group = group,
	        .version = version,
	        .resource = argv[3],
	        .namespace_ = argv[4]};
	if (kr_list_open(client, &spec, &list) != KR_OK)
		return fail(client, "open");
	if (kr_list_wait_live(list, 30000000000) != KR_OK) /* 30 s */
		return fail(client, "wait");
	if (kr_get(list, argv[4], argv[5], 0, &object) != KR_OK)
		return fail(client, "get");
	fwrite(object.json, 1, object.json_bytes, stdout); /* by its length */
	putchar('\n');
	kr_close(client); /* object is gone with it */
	return 0;
}
