/*
 * retreat.h: a call fails for want of room that our own mappings take; what then?
 *
 * Ours go. Recording ends for good in this process: the trace says so (VMT_END_STOPPED, with which
 * limit it was), all of the tracer's mappings that can be large are unmapped, and the call is made
 * again by its hook, unrecorded. The program gets what the kernel would have given it without us.
 *
 * Whether ours are to blame is asked of the kernel itself, by mappings that are made and unmapped
 * at once: nothing of the size fits, but something smaller by what is ours does; or not even a few
 * pages fit. What one thread asks so may be what another was refused for: so one asks at a time,
 * and a call that would succeed by now is made again. Any other failure is the program's own, and
 * changes nothing.
 *
 * Where room is short anyway, a failure of another kind (no huge page, no place below 2 GiB, a
 * limit on threads) can be taken for it, and the recording ends for nothing.
 *
 * Unmapped only when no thread is inside a hook (presence.h); if that does not come about within
 * VMT_RETREAT_WAIT_NS, the mappings stay, and the call's failure stands. Not under a seccomp
 * filter, nor in a vfork child, nor with mlockall(MCL_FUTURE) in force, nor after a call that chose
 * its place (MAP_FIXED, MREMAP_FIXED). What stays in any case: the library's own segments, the
 * owner page, the filter of samples.h, and what Go's patched calls use.
 *
 * Between calls: not inside a hook. errno may be clobbered. Async-signal-safe.
 */
#ifndef VMT_RETREAT_H
#define VMT_RETREAT_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_RETREAT_WAIT_NS UINT64_C(200000000)

/* What the failed call wanted. */
enum vmt_retreat_want {
	VMT_RETREAT_SHARED,   /* address space alone */
	VMT_RETREAT_WRITABLE, /* private and writable: counted by RLIMIT_DATA and overcommit, too */
	VMT_RETREAT_SPLIT,    /* no room, but a mapping more, where one is cut in two */
};

enum vmt_retreat_want vmt_retreat_mmap_want(int protection, int flags);

/* After a call that failed for want of `bytes` (about; 0 where it is a split). True: make the call
 * again. */
bool vmt_retreat_from(uint64_t bytes, enum vmt_retreat_want want);

/* The same after an allocator refused a block: it may ask the kernel for more than the block. */
bool vmt_retreat_from_heap(uint64_t size);

/* Whether a limit is in force that the tracer's mappings count against: RLIMIT_AS or RLIMIT_DATA.
 */
bool vmt_retreat_is_limited(void);

#endif
