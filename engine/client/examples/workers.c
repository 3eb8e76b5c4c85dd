/* workers.c - a controller: one thread follows the list and puts the names of what changed into a
 * queue, others look the object up and act. A client belongs to one thread, so each has its own;
 * the list is in memory once all the same. Ends with its standard input.
 *
 *   cc workers.c -pthread $(pkg-config --cflags --libs kubering) && ./a.out CLUSTER RESOURCE
 */
#include <kubering.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { WORKERS = 4, QUEUE = 1024, NAME = 256 };

struct key {
	char namespace_[NAME], name[NAME];
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more, less;
	struct key keys[QUEUE];
	unsigned long long put, taken;
	int ended;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
        .more = PTHREAD_COND_INITIALIZER,
        .less = PTHREAD_COND_INITIALIZER};

struct worker {
	pthread_t thread;
	struct kr_client *client; /* made by the main thread, used by this one from then on */
	struct kr_list *list;
};

static const char *cluster, *resource;

/* What an object is read from is the library's until the next call, so the name is copied. */
static void put(const struct kr_object *object)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.put - queue.taken == QUEUE)
		pthread_cond_wait(&queue.less, &queue.lock);
	struct key *key = &queue.keys[queue.put++ % QUEUE];
	snprintf(key->namespace_, NAME, "%s", object->namespace_);
	snprintf(key->name, NAME, "%s", object->name);
	pthread_cond_signal(&queue.more);
	pthread_mutex_unlock(&queue.lock);
}

/* 0: there will be no more. */
static int get(struct key *key)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.put == queue.taken && !queue.ended)
		pthread_cond_wait(&queue.more, &queue.lock);
	int some = queue.put != queue.taken;
	if (some)
		*key = queue.keys[queue.taken++ % QUEUE];
	pthread_cond_signal(&queue.less);
	pthread_mutex_unlock(&queue.lock);
	return some;
}

/* A client and the list. NULL: said why. */
static struct kr_client *attach(struct kr_list **list)
{
	struct kr_client *client;
	struct kr_list_spec spec = {
	        .size = sizeof spec, .cluster = cluster, .version = "v1", .resource = resource};
	int result = kr_connect(&client, NULL);
	if (result == KR_OK)
		result = kr_list_open(client, &spec, list);
	if (result == KR_OK)
		result = kr_list_wait_live(*list, 30000000000); /* 30 s */
	if (result == KR_OK)
		return client;
	fprintf(stderr, "attach: %s\n", kr_last_error(client));
	kr_close(client);
	return NULL;
}

/* Acts on the object as it is now, which may be newer than the change that put it here. */
static void *work(void *of)
{
	const struct worker *w = of;
	struct kr_object object;
	struct key key;
	while (get(&key)) {
		int result;
		do
			result = kr_get(w->list, key.namespace_, key.name, 0, &object);
		while (result == KR_ERR_STUCK);
		if (result == KR_OK)
			printf("%s/%s is at %s\n", key.namespace_, key.name,
			        object.resource_version);
		else if (result == KR_ERR_NOT_FOUND)
			printf("%s/%s is gone\n", key.namespace_, key.name);
		else
			fprintf(stderr, "get: %s\n", kr_last_error(w->client));
		fflush(stdout);
	}
	return NULL;
}

/* Everything there is, as work. */
static int put_all(struct kr_list *list, struct kr_view *view)
{
	struct kr_object object;
	int result;
	do {
		result = kr_view_begin(list, view);
		while (result == KR_OK && (result = kr_view_next(view, &object)) == KR_OK)
			put(&object);
		kr_view_end(view);
	} while (result == KR_ERR_OVERRUN || result == KR_ERR_STUCK);
	return result == KR_END ? KR_OK : result;
}

static int put_changes(struct kr_list *list, struct kr_view *view)
{
	struct kr_change change;
	int result;
	while ((result = kr_follow_next_flags(&view->follow, &change, 0, KR_NO_OLD)) !=
	        KR_TIMEOUT) {
		if (result == KR_ERR_OVERRUN || (result == KR_OK && change.type == KR_RESET)) {
			/* A deletion may be among what was lost: who keeps state compares it. */
			kr_follow_end(&view->follow);
			result = put_all(list, view);
		} else if (result == KR_OK && change.type <= KR_DELETED) {
			put(&change.object);
		}
		if (result != KR_OK) /* STUCK: asked again at once, kr_fd is still readable */
			return result == KR_ERR_STUCK ? KR_OK : result;
	}
	return KR_OK;
}

int main(int argc, char **argv)
{
	static struct worker workers[WORKERS];
	struct kr_list *list;
	struct kr_view view;
	if (argc != 3) {
		fprintf(stderr, "usage: %s CLUSTER RESOURCE\n", argv[0]);
		return 2;
	}
	cluster = argv[1];
	resource = argv[2];
	struct kr_client *client = attach(&list);
	if (!client)
		return 1;
	for (int i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];
		w->client = attach(&w->list);
		if (!w->client || pthread_create(&w->thread, NULL, work, w) != 0)
			return 1;
	}
	int result = put_all(list, &view);
	/* Not kr_follow_next(KR_FOREVER): nobody could end that. */
	struct pollfd fds[2] = {
	        {.fd = kr_fd(client), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	while (result == KR_OK && (result = put_changes(list, &view)) == KR_OK) {
		char ignored[256];
		poll(fds, 2, -1);
		if (fds[1].revents && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
			break;
	}
	if (result != KR_OK)
		fprintf(stderr, "follow: %s\n", kr_last_error(client));
	pthread_mutex_lock(&queue.lock);
	queue.ended = 1;
	pthread_cond_broadcast(&queue.more);
	pthread_mutex_unlock(&queue.lock);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		kr_close(workers[i].client);
	}
	kr_follow_end(&view.follow);
	kr_close(client);
	return result != KR_OK;
}
