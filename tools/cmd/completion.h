/*
 * completion.h: scripts by which a shell completes vmtrace's command line.
 *
 * Made from the tables of commands and options, and the lists of words that values are chosen from:
 * what a command takes is what a shell offers. `make install` puts them where bash, zsh and fish
 * look. Writes to one stream.
 */
#ifndef VMT_COMPLETION_H
#define VMT_COMPLETION_H

#include "tools/cmd/cmd.h"

#include <stdio.h>

void vmt_completion_bash(FILE *out);
void vmt_completion_zsh(FILE *out);
void vmt_completion_fish(FILE *out);

#endif
