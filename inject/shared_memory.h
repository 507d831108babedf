/*
 * shared_memory.h: does another process run in the memory of this one?
 *
 * A process of clone(2) with CLONE_VM and without CLONE_THREAD, and a child of vfork(2) up to its
 * exec, run the same code, but are no threads of it: who stops all threads does not stop them.
 * Single-threaded.
 */
#ifndef VMT_SHARED_MEMORY_H
#define VMT_SHARED_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

/* Of those that /proc shows and that may be compared with it (kcmp(2)). */
bool vmt_shared_memory_is_there(pid_t pid);

#endif
