/*
 * exec_traces.h: finds the traces of the programs that a process executed later.
 *
 * An exec begins another trace, named after the first by the library: FILE.vmt, FILE.PID.vmt,
 * FILE.PID.1.vmt ... Where the name was made of the program's (%n), the next one is not to be
 * guessed. Reads directories by name alone. Thread safe.
 */
#ifndef VMT_EXEC_TRACES_H
#define VMT_EXEC_TRACES_H

#include <stdint.h>

#define VMT_EXEC_TRACES_PATH_BYTES 4096u

struct vmt_exec_traces {
	char next[VMT_EXEC_TRACES_PATH_BYTES]; /* "" = none was found */
	char last[VMT_EXEC_TRACES_PATH_BYTES]; /* after which there is none */
};

/* What follows the trace at a path, of the process that made it. */
void vmt_exec_traces_find(struct vmt_exec_traces *images, const char *path, uint32_t pid);

#endif
