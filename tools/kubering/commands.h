/* commands.h - one function per command, each in its own file: prints its data on stdout, says the
 * rest on stderr, gives the exit code.
 */
#ifndef KR_KUBERING_COMMANDS_H
#define KR_KUBERING_COMMANDS_H

#include "kubering/args.h"

int command_get(const struct args *a);
int command_watch(const struct args *a);
int command_status(const struct args *a);
int command_clusters(const struct args *a);
int command_lists(const struct args *a);
int command_top(const struct args *a);
int command_doctor(const struct args *a);
int command_version(const struct args *a);
int command_reload(const struct args *a);
int command_audit(const struct args *a);

#endif
