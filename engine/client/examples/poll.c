/* poll.c - several lists in one event loop, as a dashboard has them: only poll() waits. Prints each
 * list again when it has changed; ends with its standard input. RESOURCEs are of the core group.
 *
 *   cc poll.c $(pkg-config --cflags --libs kubering) && ./a.out CLUSTER RESOURCE...
 */
#include <kubering.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { PANES_MAX = 64, PAUSE_MS = 100 };

struct pane {
	const char *resource;
	struct kr_list *list;
	struct kr_view view; /* stays where it is once its follow has begun */
	unsigned long long objects;
	int due;    /* the list is to be taken, but could not be at that moment */
	int closed; /* by the daemon: its configuration has that cluster no more */
	int changed;
};

static struct pane panes[PANES_MAX];
static size_t pane_count;

/* The list as it is now. Before its first sync that is nothing: KR_RESET comes when it is done. */
static int take(struct pane *p)
{
	struct kr_object object;
	kr_follow_end(&p->view.follow); /* of the view before; all zeros is fine, too */
	p->objects = 0;
	int result = kr_view_begin(p->list, &p->view);
	while (result == KR_OK && (result = kr_view_next(&p->view, &object)) == KR_OK)
		p->objects++; /* here a dashboard filters, copies what it shows, sorts */
	kr_view_end(&p->view);
	p->changed = 1;
	p->due = result != KR_END;
	if (result == KR_END || result == KR_ERR_OVERRUN || result == KR_ERR_STUCK)
		return KR_OK; /* OVERRUN, STUCK: not now */
	return result;
}

static int apply(struct pane *p, const struct kr_change *change)
{
	p->changed = 1;
	switch (change->type) {
	case KR_ADDED: p->objects++; break;
	case KR_DELETED: p->objects--; break;
	case KR_RESET: return take(p);
	case KR_MODIFIED:
	case KR_SYNCED:
	case KR_STATE: break; /* draw() asks for the state */
	}
	return KR_OK;
}

/* Takes what has come, to the last: then kr_fd is armed. Lists that are due or closed are not
 * asked. */
static int follow_all(void)
{
	struct kr_follow *follows[PANES_MAX];
	struct pane *of[PANES_MAX];
	struct kr_change change;
	int result = KR_OK;
	while (result == KR_OK) {
		size_t n = 0, which = 0;
		for (size_t i = 0; i < pane_count; i++)
			if (!panes[i].due && !panes[i].closed) {
				of[n] = &panes[i];
				follows[n++] = &panes[i].view.follow;
			}
		if (n == 0)
			return KR_TIMEOUT;
		result = kr_follow_any_flags(follows, n, &which, &change, 0, KR_NO_OLD);
		if (result == KR_OK) {
			result = apply(of[which], &change);
		} else if (result == KR_ERR_OVERRUN) {
			result = take(of[which]); /* said openly; the way back is the list */
		} else if (result == KR_ERR_CLOSED) {
			of[which]->closed = of[which]->changed = 1;
			result = KR_OK;
		}
	}
	return result;
}

static void draw(void)
{
	static const char *const words[] = {"idle", "connecting", "listing", "live", "stale",
	        "resuming", "relisting", "parked", "closed"};
	struct kr_list_status status = {.size = sizeof status};
	for (size_t i = 0; i < pane_count; i++) {
		struct pane *p = &panes[i];
		if (p->changed && kr_list_status(p->list, &status) == KR_OK)
			printf("%s: %llu objects, %s%s%s\n", p->resource, p->objects,
			        words[status.state], *status.error_text ? ": " : "",
			        status.error_text);
		p->changed = 0;
	}
	fflush(stdout);
}

static int fail(struct kr_client *c, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, kr_last_error(c));
	kr_close(c);
	return 1;
}

/* One round. How long poll() may sleep, in ms (-1: for ever); -2: cannot go on. */
static int turn(void)
{
	int result, sleep_ms = -1;
	for (size_t i = 0; i < pane_count; i++)
		if (panes[i].due && take(&panes[i]) != KR_OK)
			return -2;
	result = follow_all();
	if (result != KR_TIMEOUT && result != KR_ERR_STUCK)
		return -2;
	for (size_t i = 0; i < pane_count; i++)
		if (panes[i].due)
			sleep_ms = PAUSE_MS;
	draw();
	return result == KR_ERR_STUCK ? PAUSE_MS : sleep_ms;
}

int main(int argc, char **argv)
{
	struct kr_client *client;
	if (argc < 3 || argc - 2 > PANES_MAX) {
		fprintf(stderr, "usage: %s CLUSTER RESOURCE...\n", argv[0]);
		return 2;
	}
	if (kr_connect(&client, NULL) != KR_OK)
		return fail(NULL, "connect");
	for (int i = 2; i < argc; i++) {
		struct pane *p = &panes[pane_count++];
		struct kr_list_spec spec = {.size = sizeof spec,
		        .cluster = argv[1],
		        .version = "v1",
		        .resource = argv[i]};
		*p = (struct pane){.resource = argv[i], .due = 1};
		if (kr_list_open(client, &spec, &p->list) != KR_OK)
			return fail(client, "open");
	}
	struct pollfd fds[2] = {
	        {.fd = kr_fd(client), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	if (fds[0].fd < 0)
		return fail(client, "fd");
	for (;;) {
		char ignored[256];
		int sleep_ms = turn();
		if (sleep_ms == -2)
			return fail(client, "follow");
		if (sleep_ms >= 0) /* readable or not: what cannot be read now can be soon */
			poll(fds + 1, 1, sleep_ms);
		else
			poll(fds, 2, -1);
		if (fds[1].revents && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
			break;
	}
	kr_close(client); /* follows that are open keep memory until kr_follow_end */
	for (size_t i = 0; i < pane_count; i++)
		kr_follow_end(&panes[i].view.follow);
	return 0;
}
