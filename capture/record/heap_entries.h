/*
 * heap_entries.h: handlers of an allocator's functions that were changed at their entry
 *
 * A function of the program (inject/entry_hook.h) comes to its handler with its own arguments in
 * their registers and, in words below the stack pointer, a way to itself as it was, and for the
 * form OR_ELSE a way to the allocator's malloc. The handler makes the call by that way, and writes
 * it down as the hooks of the library do. They run on the caller's stack.
 *
 * A handler leaves all registers as they were, but for the value in rax where the function has one:
 * general ones are saved at its entry, no others are used by its own code, and where it goes on
 * into code that may use some, all are saved (kept_vectors.h). x86-64 alone.
 *
 * A thread without a state is not recorded, and counted (vmt_heap_missed). An exception passes
 * through the handler of NEW alone, and only in the library: nobody knows the way through code that
 * was put into a process from outside, which leads an operator new that may throw to NEW_OR_ELSE.
 */
#ifndef VMT_HEAP_ENTRIES_H
#define VMT_HEAP_ENTRIES_H

#include "format/heap_functions.h"

#include <stdint.h>

/* By enum vmt_heap_entry: addresses of the handlers. Not to be called from C. */
extern const void *const vmt_heap_entries[VMT_HEAP_ENTRIES_COUNT];

#endif
