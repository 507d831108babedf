/*
 * help.h: how is a command used?
 */
#ifndef VMT_HELP_H
#define VMT_HELP_H

#include "tools/cmd/cmd.h"

/* The command of that name, NULL where there is none. */
const struct vmt_cmd *vmt_help_find(const char *name);

/* One command's help on stdout: for `vmtrace CMD --help` too. */
void vmt_help_print(const struct vmt_cmd *command);

#endif
