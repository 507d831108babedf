/*
 * retreat.h: unmaps the tracer's mappings when a limit refuses the program a call
 *
 * Ours go. Recording ends for good in this process: the trace says so (VMT_END_STOPPED, with which
 * limit it was), all of the tracer's mappings that can be large are unmapped, and the call is made
 * again by its hook. The program gets what the kernel would have given it without us. Whether ours
 * are to blame is the question of shortage.h; any other failure is the program's own, and changes
 * nothing.
 *
 * Unmapped only when no thread is inside a hook (threads_inside.h). Where that can't be known,
 * nothing is given up, and the call's failure stands. Where a thread stays inside for
 * VMT_RETREAT_WAIT_NS, the recording has ended and the failure stands; the mappings go at the next
 * failure that finds nobody inside. Signals of the calling thread wait meanwhile. Not under a
 * seccomp filter, nor in a vfork child, nor after a call that chose its place (MAP_FIXED,
 * MREMAP_FIXED). What stays in any case: the library's own segments, the owner page, the filter of
 * samples.h, and those stacks of call_stacks.h that are in use.
 *
 * Between calls: not inside a hook. errno may be clobbered. Async-signal-safe.
 */
#ifndef VMT_RETREAT_H
#define VMT_RETREAT_H

#include "base/fork_code.h"
#include "capture/record/mapping.h"
#include "capture/record/shortage.h"
#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_RETREAT_WAIT_NS UINT64_C(200000000)

/* After a call that was refused: true where it is to be made again, once, recorded if there still
 * is a recording. */
bool vmt_retreat_from(const struct vmt_shortage_call *call);

/* The same after calls of libc's names or their numbers, with the kernel's negative errno. Of those
 * that were not refused for want of room, or failed for reasons of their own, nothing is asked. */
bool vmt_retreat_from_mmap(const struct vmt_mapping_request *request, long result);
bool vmt_retreat_from_munmap(long result);
bool vmt_retreat_from_mremap(const struct vmt_mapping_move *move, long result);
bool vmt_retreat_from_madvise(long result);
bool vmt_retreat_from_mprotect(uint64_t address, uint64_t length, int protection, long result);
bool vmt_retreat_from_shmat(int id, int flags, long result);
bool vmt_retreat_from_brk(uint64_t growth_bytes);
bool vmt_retreat_from_fork(int error);
bool vmt_retreat_from_thread(uint64_t stack_bytes, int error);
/* An allocator refused a block: it may have asked the kernel for more. `beside`: for its alignment.
 */
bool vmt_retreat_from_heap(uint64_t size, uint64_t beside, int error);

/* The two steps of it, where recording has ended in this process already. The last that the trace
 * hears of it, unless it has said how it ends; the collector looks at the memory once more. And
 * what is unmapped then: nobody may be inside a hook. */
void vmt_retreat_say(enum vmt_stop cause);
void vmt_retreat_unmap(void);

/* Waits, bounded, until no other thread is about to unmap the tracer's mappings: whoever is not
 * inside a hook then reads what is mapped. */
void vmt_retreat_settle(void);

/* In a fork child, from the fork hooks and before it has a trace: nobody of the parent's threads is
 * here. */
VMT_FORK_CODE void vmt_retreat_forked(void);

#endif
