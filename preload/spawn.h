/*
 * spawn.h: who collects for a bare LD_PRELOAD?
 *
 * Makes the session file beside the trace and a process that runs the collector: a grandchild whose
 * parent ends at once and is waited for here, so that no wait call of the program ever finds it,
 * not even one for children of any kind (__WALL). Where orphans come back to the program (it is
 * process 1 or a subreaper) it is a child made by raw clone with no exit signal, which such a call
 * does find. It holds none of the program's descriptors, is in a session and directory of its own,
 * never runs the program's code, signal or exit handlers, and leaves by exit_group. Constructor
 * only.
 */
#ifndef VMT_SPAWN_H
#define VMT_SPAWN_H

#include <stdbool.h>

/* On success vmt_state_process.session is set and *path is the session's (static memory). */
bool vmt_spawn_collector(const char **path);

#endif
