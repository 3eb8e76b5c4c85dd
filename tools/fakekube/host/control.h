/* control.h - the UNIX socket of --control: a line in, a line out. Up to 16 users at a time; lines
 * up to 64 KiB. */
#ifndef KR_HOST_CONTROL_H
#define KR_HOST_CONTROL_H

#include "host/command.h"

#define CONTROL_USERS_MAX 16

struct control;
struct control_user {
	struct serve_source source; /* fd -1: free */
	struct control *control;
	struct model_text in;
	bool waits; /* its next line is answered later (COMMAND_LATER) */
};

/* Owner: main. Life: init .. fini. */
struct control {
	struct serve_source listener;
	struct command_target *target;
	struct control_user users[CONTROL_USERS_MAX];
	const char *path;
};

/* An old socket at the path is replaced. False: a message was printed. */
bool control_init(struct control *c, struct command_target *t, const char *path);
/* Answers lines that had to wait. After each turn. */
void control_turn(struct control *c);
void control_fini(struct control *c);

#endif
