/*
 * static_start.h: puts the recorder into a program that is about to start, where no loader would
 *
 * The program stands at the stop of its exec, traced by this thread (PTRACE_TRACEME), and has not
 * executed an instruction. The blob (blob/blob_start.h) is mapped and written, begins to record by
 * running in the program, and from then on the program's raw memory calls come to it. Afterwards
 * the program stands as it did: registers, signal mask, no page that can be written and executed,
 * no descriptor. The caller detaches.
 *
 * Should this process die within, the program is killed while it is made to call, and goes on,
 * recorded or not, from when the blob runs. Single-threaded. x86-64 alone.
 */
#ifndef VMT_STATIC_START_H
#define VMT_STATIC_START_H

#include "inject/cut_cache.h"
#include "inject/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct vmt_static_start {
	pid_t pid;
	const unsigned char *blob; /* the object, as built */
	size_t blob_bytes;
	/* "VARIABLE=value", each with its NUL, and one NUL more. */
	const char *settings;
	size_t settings_bytes;
	struct vmt_cut_cache *cache; /* of programs that started before; NULL: none is kept */

	/* Filled in: */
	int signal;		 /* to be given to the program when it is let go; 0: none */
	char why[VMT_WHY_BYTES]; /* it is not recorded; else empty */
};

/* True: it is recorded. False: it is as if nothing had been done, and `why` says why; or it has
 * ended meanwhile. */
bool vmt_static_start_run(struct vmt_static_start *start);

#endif
