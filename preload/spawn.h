/*
 * spawn.h: who collects for a bare LD_PRELOAD?
 *
 * Makes the session file beside the trace and a child process that runs the collector. The child
 * is made by raw clone with no exit signal, so that the program's wait calls never see it; it holds
 * none of the program's descriptors, is in a session and directory of its own, never runs the
 * program's code, signal or exit handlers, and leaves by exit_group. Constructor only.
 */
#ifndef VMT_SPAWN_H
#define VMT_SPAWN_H

#include <stdbool.h>

/* On success vmt_state_process.session is set and *path is the session's (static memory). */
bool vmt_spawn_collector(const char **path);

#endif
