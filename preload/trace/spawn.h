/*
 * spawn.h: starts a collector for a bare LD_PRELOAD
 *
 * Makes the session and a process that runs the collector: a grandchild whose
 * parent ends at once and is waited for here, so that no wait call of the program ever finds it,
 * not even one for children of any kind (__WALL). Where orphans come back to the program (it is
 * process 1 or a subreaper) it is a child made by raw clone with no exit signal, which such a call
 * does find.
 *
 * The collector is the library itself, run as a program (standalone.h): it holds nothing of the
 * traced program, neither executable, mappings, directory nor descriptors. What it needs of /proc
 * is opened before the exec, with the program's own leave. What stays held: the file system of its
 * root directory, that of the traces, and that of the library's file, which can't be written over
 * meanwhile (it can be replaced by rename). Where the library's file may not be executed, and
 * where orphans come back to the program, the collector is a copy of the program. An exec sets a
 * child's exit signal to SIGCHLD (de_thread in fs/exec.c), so does coming to another parent
 * (reparent_leader in kernel/exit.c), and CLONE_PARENT takes that of the caller: so a child of the
 * program that has another exit signal is never one that has executed something. The copy lets go
 * of mapped files and, with CAP_SYS_RESOURCE, of the executable (unmap_files.h).
 *
 * It is in a session and directory of its own, never runs the program's code, signal or exit
 * handlers, and leaves by exit_group. Until the exec it runs on the program's memory while the
 * calling thread waits (vfork), with all signals blocked. Constructor only.
 */
#ifndef VMT_SPAWN_H
#define VMT_SPAWN_H

#include <stdbool.h>

/* On success vmt_recording.session is set and *path is the session's (static memory), empty where
 * later images can't find it. */
bool vmt_spawn_collector(const char **path);
#endif
