/*
 * cmd_help.h: help texts.
 */
#ifndef VMT_CMD_HELP_H
#define VMT_CMD_HELP_H

#include "tools/cmd/cmd.h"

/* The command of that name, NULL where there is none. */
const struct vmt_cmd *vmt_cmd_help_find(const char *name);

/* The commands that help lists; the last has no name. */
const struct vmt_cmd *vmt_cmd_help_commands(void);

/* One command's help on stdout: for `vmtrace CMD --help` too. */
void vmt_cmd_help_print(const struct vmt_cmd *command);

#endif
