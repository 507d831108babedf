/*
 * open.h: makes and maps the trace file of a process
 *
 * Makes the file (new, never another's, mode 0600), gives it all the blocks of its head so that no
 * later store can raise SIGBUS, maps the head (or one aside, where the file system shares no
 * mappings) and closes the descriptor at once. Then fills the head and points vmt_recording at
 * its rings and tables. Where a session says which earlier trace is replaced, the new one takes its
 * name by rename, last of all. Constructor, and the one thread of a fork child that won the owner;
 * raw system calls only, async-signal-safe.
 */
#ifndef VMT_OPEN_H
#define VMT_OPEN_H

#include "capture/core/config.h"
#include "format/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens the trace of this process. NULL, or why not (static text, see open_error.h). */
const char *vmt_open_trace(void);

/* Tells the session's collector of the trace; without one the trace says so. NULL, or why nothing
 * can be recorded without a collector: then no file is left behind. */
const char *vmt_open_announce(void);

/* Where page faults are sampled by a given period: waits until the collector has opened the trace,
 * and with it what the kernel tells of page faults: those of the program's start are among them
 * then. 0.2 s at most. */
void vmt_open_await_collector(void);

/* At the end: where the collector has looked for a head aside in vain (another root), nobody else
 * will remove it. */
void vmt_open_leave(void);

/* The two parts of vmt_open_trace that tests call alone.
 * Fills the counts of a head from the configuration. */
void vmt_open_size(struct vmt_head *head, const struct vmt_config *config, uint32_t processors);
/* The path of the attempt-th try (0, 1, ...) at a free name, absolute. False: too long. */
bool vmt_open_path(char *path, size_t room, const struct vmt_config *config, const char *name,
		   uint32_t pid, uint32_t attempt);

/* Before the program allows itself no more system calls: the stack table's memory, as much as there
 * is. Inside a hook. */
void vmt_open_provide_stacks(void);

#endif
