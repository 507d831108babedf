/*
 * touch_unwind.h: which calls led to a page fault?
 *
 * From the user registers of a thread and a piece of its stack, as the kernel has copied them into
 * a sample, to code addresses: unwind/ over the copy, with the frame tables of the files whose code
 * lies in the process (code_ranges.h, frame_rules.h). Nothing of the copy is kept: only addresses
 * that lie in executable memory come out. Where there is no copy, the kernel's own chain of frame
 * pointers is taken: Go code keeps them, also from stack to stack.
 *
 * Everything is untrusted: registers, copy, chain, tables, maps. A walk takes at most as many steps
 * as frames are wanted. Single-threaded; no allocation but of growable mappings (base/buffer.h).
 */
#ifndef VMT_TOUCH_UNWIND_H
#define VMT_TOUCH_UNWIND_H

#include "collect/code_ranges.h"
#include "collect/frame_rules.h"
#include "format/touch.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether copies can be walked on this machine; elsewhere the kernel's chain is all there is. */
#if defined(__x86_64__)
#define VMT_TOUCH_UNWIND_COPIES 1
/* perf_event_attr.sample_regs_user: bp, sp, ip; a sample has them in this order. */
#define VMT_TOUCH_UNWIND_REGISTERS (UINT64_C(1) << 6 | UINT64_C(1) << 7 | UINT64_C(1) << 8)
#else
#define VMT_TOUCH_UNWIND_COPIES 0
#define VMT_TOUCH_UNWIND_REGISTERS UINT64_C(0)
#endif

/* What a sample has of the thread's user side. */
struct vmt_touch_thread {
	uint64_t ip; /* PERF_SAMPLE_REGS_USER, of a 64-bit process (PERF_SAMPLE_REGS_ABI_64) */
	uint64_t sp;
	uint64_t bp;
	const unsigned char *copy; /* PERF_SAMPLE_STACK_USER: the stack from sp on; NULL: none */
	uint64_t copy_bytes;	   /* that the kernel could copy (dyn_size) */
	uint64_t copy_wanted;	   /* that it was asked for */
	const uint64_t *chain;	   /* PERF_SAMPLE_CALLCHAIN, with its markers; NULL: none */
	uint64_t chain_count;
};

/* Of one traced process. */
struct vmt_touch_unwind {
	struct vmt_frame_rules *rules; /* of all processes */
	struct vmt_code_ranges code;
	uint64_t stack_start; /* the stack pointer at the program's entry; 0: not known */
	uint64_t chain_most;  /* as many frames as the kernel's chain has at most */
	uint64_t go_low;      /* [low, high): code of Go functions; 0: none */
	uint64_t go_high;
};

/* Begins with a process: reads which code lies where. maps_fd: of /proc/PID/maps, the caller's, and
 * open until the close. False: no memory. */
bool vmt_touch_unwind_open(struct vmt_touch_unwind *unwind, struct vmt_frame_rules *rules,
			   uint32_t pid, int maps_fd);

/* Where the Go code lies (vmt_go.text_low, text_high), once that is known. Untrusted. */
void vmt_touch_unwind_set_go(struct vmt_touch_unwind *unwind, uint64_t low, uint64_t high);

/* Code was mapped (PERF_RECORD_MMAP2, in order of time with the samples): what lies there from now
 * on. Code that has come unannounced is found when a walk meets it. */
void vmt_touch_unwind_mapped(struct vmt_touch_unwind *unwind, const struct vmt_mapping *mapping);

/* Fills the frames, at most `limit` and VMT_STACK_MAX_FRAMES, and why there are no more. */
void vmt_touch_unwind_walk(struct vmt_touch_unwind *unwind, const struct vmt_touch_thread *thread,
			   uint32_t limit, struct vmt_touch_stack *stack);

void vmt_touch_unwind_close(struct vmt_touch_unwind *unwind);

#endif
