/* help.h - the texts of --help. */
#ifndef KR_KUBERING_HELP_H
#define KR_KUBERING_HELP_H

#include <stdio.h>

/* Both give CODE_OK. */
int help_all(FILE *f);
int help_command(const char *name);

#endif
