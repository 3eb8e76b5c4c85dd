/* command.h - the one-line commands of the control socket and of profiles. Each is answered with
 * one line that begins with "ok" or "error". */
#ifndef KR_HOST_COMMAND_H
#define KR_HOST_COMMAND_H

#include "host/load.h"
#include "host/serve.h"

/* What commands act on. */
struct command_target {
	struct serve *serve;
	struct load *load;
	struct model_server *model;
	struct model_backend *backend; /* NULL = without --headlamp */
	bool quit;                     /* the command quit was given */
};

/* out: the answer, without its line end. False: not yet, try the line again after the next turn. */
bool command_run(struct command_target *t, struct span line, struct model_text *out);

#endif
