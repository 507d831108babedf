/*
 * heap.h: decides whether a call of the allocator is recorded, and records it
 *
 * What the hooks of malloc's family and of operator new share. Two guards, told apart on purpose:
 * heap_depth is set while the next allocator runs, so that what it calls of the same family by
 * itself is not recorded again, whereas what it maps is (depth is not set meanwhile). depth is set
 * while the tracer's own code runs.
 *
 * A signal handler that interrupts the tracer's own code (depth > 0) may allocate and free: that is
 * recorded, with stack 0. One that interrupts the next allocator looks like the allocator's own
 * recursion: passes through and is counted as nested, but the release of a sampled block is matched
 * even then. Lock-free, async-signal-safe, errno kept.
 */
#ifndef VMT_HEAP_H
#define VMT_HEAP_H

#include "capture/core/guard.h"
#include "capture/record/sampler.h"
#include "capture/record/samples.h"
#include "format/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With nothing to record, a thread comes the long way once in so many bytes. */
#define VMT_HEAP_QUIET_BYTES (INT64_C(1) << 30)

/*
 * What decides without a look at anything else, for most calls: all in one cache line. Shut (every
 * call takes the long way) until recording is decided upon, and where each call matters.
 *
 * A malloc of a size below `quick_below` that leaves the thread's distance to the next sample above
 * 0 is forwarded and that is all, unless it is refused (retreat.h): only where the next allocator
 * never calls the family by itself, for heap_depth is not set. A free of a block whose cell is 0
 * was not recorded. A realloc is both.
 */
struct vmt_heap_gate {
	uint64_t quick_below;
	const uint8_t *cells;
	uint64_t cell_mask;
	uint64_t granule_bits;
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t count, size_t size);
	void *(*realloc)(void *block, size_t size);
	void (*free)(void *block);
} __attribute__((aligned(64)));

extern struct vmt_heap_gate vmt_heap_gate;

/* Calls of handlers (heap_entries.h) by threads without a state. */
extern uint64_t vmt_heap_missed;

/* Makes the table of live blocks, as large as vmt_config wants it. False: no memory. */
bool vmt_heap_set_up_samples(void);

/* The part of enter that is not the common case: nested, or a fork child's first event. */
bool vmt_heap_enter_slow(struct vmt_thread *thread, const void *frame);

/* Writes the acquisition of a block that is to be recorded. */
void vmt_heap_record(struct vmt_thread *thread, uint8_t kind, const void *block, uint64_t size,
		     const void *frame);

/* Writes the release (kind FREE or DELETE) where the block was recorded. */
void vmt_heap_release_slow(struct vmt_thread *thread, uint8_t kind, const void *block,
			   const void *frame);

/* With heap_depth set: whether the next allocator is not at work after all, as a longjmp has left
 * it. Else the call is nested and passes through, which is counted. */
bool vmt_heap_is_outermost_slow(struct vmt_thread *thread, const void *frame);

/* REALLOC_BEGIN. True: the block was recorded, so a failure must be undone; *size is its size where
 * known, else 0. */
bool vmt_heap_begin_realloc(struct vmt_thread *thread, const void *block, uint64_t *size,
			    const void *frame);
void vmt_heap_undo_realloc(struct vmt_thread *thread, const void *block, uint64_t size,
			   const void *frame);

static inline uint32_t
vmt_heap_mode(void)
{
	return vmt_atomic_load_relaxed(&vmt_recording.malloc_mode);
}

/* Whether to look at an acquisition. True: heap_depth is set; call the allocator, then leave. */
static inline bool
vmt_heap_enter(struct vmt_thread *thread, const void *frame)
{
	if (vmt_heap_mode() == VMT_MALLOC_OFF) {
		thread->sample_left = (int64_t)vmt_heap_gate.quick_below; /* the next long way */
		return false;
	}
	if (__builtin_expect(thread->heap_depth != 0 ||
				 vmt_atomic_load_acquire(&vmt_guard_owner->state) !=
				     VMT_OWNER_RECORDING,
			     0) &&
	    !vmt_heap_enter_slow(thread, frame))
		return false;
	thread->heap_frame = (uint64_t)(uintptr_t)frame;
	thread->heap_depth = 1;
	__asm__ volatile("" ::: "memory");
	return true;
}

static inline void
vmt_heap_leave(struct vmt_thread *thread)
{
	__asm__ volatile("" ::: "memory");
	thread->heap_depth = 0;
}

/* After enter and the allocator's answer: leaves, decides, records. */
static inline void *
vmt_heap_acquired(struct vmt_thread *thread, uint8_t kind, void *block, uint64_t size,
		  const void *frame)
{
	vmt_heap_leave(thread);
	thread->heap_calls++;
	if (!block)
		return NULL;
	if (vmt_heap_mode() != VMT_MALLOC_SAMPLED || vmt_sampler_take(thread, size))
		vmt_heap_record(thread, kind, block, size, frame);
	return block;
}

/* The allocator behind the hooks. */
struct vmt_heap_next {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t count, size_t size);
	void *(*realloc)(void *block, size_t size);
	void (*free)(void *block);
	bool is_self_contained; /* it calls none of the family by a name that could be a hook */
};

/* Opens the gate as far as the mode allows. At the end of set-up. */
void vmt_heap_open_gate(const struct vmt_heap_next *next);

static inline bool
vmt_heap_is_quick_malloc(struct vmt_thread *thread, size_t size)
{
	if (__builtin_expect(
		size >= vmt_heap_gate.quick_below || thread->sample_left <= (int64_t)size, 0))
		return false;
	thread->sample_left -= (int64_t)size;
	thread->heap_calls++;
	return true;
}

static inline bool
vmt_heap_is_quick_free(const void *block)
{
	const struct vmt_heap_gate *gate = &vmt_heap_gate;
	const uint8_t *cell =
	    &gate->cells[(uintptr_t)block >> gate->granule_bits & gate->cell_mask];

	return __builtin_expect(vmt_atomic_load_relaxed(cell) == 0, 1);
}

/* Whether the release of this block may have to be written. In `all` every one has, but for the
 * allocator's own. */
static inline bool
vmt_heap_may_release(struct vmt_thread *thread, const void *block, const void *frame)
{
	uint32_t mode = vmt_heap_mode();

	if (mode == VMT_MALLOC_SAMPLED)
		return vmt_samples_may_have(block);
	return mode == VMT_MALLOC_ALL &&
	       (thread->heap_depth == 0 || vmt_heap_is_outermost_slow(thread, frame));
}

#endif
