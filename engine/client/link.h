/* link.h - the socket to the daemon: whole messages of shm/attach.h, with the descriptors that
 * travel along. Knows no client and no list.
 *
 * What arrives is hostile: a message counts only if its head is right, its length is what was
 * received, and it is as long as its type demands. The socket is non-blocking; nothing here waits.
 * Results are 0 or a negative errno, except where noted. No text, no retry: those are client.c's.
 */
#ifndef KR_CLIENT_LINK_H
#define KR_CLIENT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/attach.h"

enum { LINK_FDS_MAX = 2 };

/* One message; the union's members all start with head. */
union link_message {
	struct attach_head head;
	struct attach_hello hello;
	struct attach_welcome welcome;
	struct attach_spec spec;
	struct attach_list list;
	struct attach_ref ref;
	struct attach_segment segment;
	struct attach_query query;
	struct attach_document document;
	struct attach_error error;
	uint64_t words[ATTACH_BYTES_MAX / 8];
};

/* Owner: the client. Thread: the client's. Life: link_open to link_close; a closed link has fd -1.
 */
struct link {
	int fd;
	union link_message in, out;
	int fds[LINK_FDS_MAX]; /* own; of the last message received, -1 where there is none */
	bool cut; /* it had more of them, and this process could not take them: its limit, mostly */
};

void link_init(struct link *l);
/* -EAGAIN: the listener's queue is full, try again. -ENAMETOOLONG. */
int link_open(struct link *l, const char *path);
void link_close(struct link *l);

/* Starts a message in l->out: head filled in, the rest of its struct zero. */
void link_begin(struct link *l, enum attach_type type, uint32_t id, size_t bytes);
/* Adds bytes behind what is there; false if they do not fit. */
bool link_add(struct link *l, const void *p, size_t n);
/* Sends l->out. -EAGAIN: the queue is full. */
int link_send(struct link *l);

/* Takes one message into l->in, closing descriptors of the last one that nobody took. 1: there is
 * one; 0: the daemon closed; -EAGAIN: nothing there; -EPROTO: no message of attach.h. */
int link_recv(struct link *l);
/* Takes over descriptor i of the last message; -1 if there is none. */
int link_take_fd(struct link *l, int i);

#endif
