/*
 * heap_calls.h: a call of the allocator that is made and written down
 *
 * What the hooks of the library (preload/hooks) and the handlers of functions that were changed at
 * their entry (heap_entries.h) have in common. Each macro makes the expression `call` once, with
 * heap_depth set where the call is looked at, and has its value. thread: of the caller, never NULL;
 * frame: that of the hook, whose caller is the program.
 */
#ifndef VMT_HEAP_CALLS_H
#define VMT_HEAP_CALLS_H

#include "capture/record/heap.h"

/* A call whose value is a new block. */
#define VMT_HEAP_CALLS_ACQUIRE(thread, frame, kind, size, call)                                    \
	(vmt_heap_enter(thread, frame) ? vmt_heap_acquired(thread, kind, (call), size, frame)      \
				       : (call))

/* What the allocator frees in turn, while a block that is looked at is released, is its own. */
static inline uint32_t
vmt_heap_calls_begin_release(struct vmt_thread *thread, uint8_t kind, const void *block,
			     const void *frame)
{
	uint32_t outer;

	vmt_heap_release_slow(thread, kind, block, frame);
	outer = thread->heap_depth;
	if (outer == 0)
		thread->heap_frame = (uint64_t)(uintptr_t)frame;
	thread->heap_depth = 1;
	return outer;
}

/* A call without a value that releases a block, which is not NULL. */
#define VMT_HEAP_CALLS_RELEASE(thread, frame, kind, block, call)                                   \
	do {                                                                                       \
		uint32_t outer_;                                                                   \
                                                                                                   \
		if (!vmt_heap_may_release(thread, block, frame)) {                                 \
			call;                                                                      \
			break;                                                                     \
		}                                                                                  \
		outer_ = vmt_heap_calls_begin_release(thread, kind, block, frame);                 \
		call;                                                                              \
		(thread)->heap_depth = outer_;                                                     \
	} while (0)

/* A call that moves or resizes a block, or makes one of NULL. glibc's to size 0 frees: NULL is no
 * failure then. */
#define VMT_HEAP_CALLS_CHANGE(thread, frame, kind, block, size, call)                              \
	__extension__({                                                                            \
		uint64_t old_size_;                                                                \
		bool written_;                                                                     \
		void *fresh_;                                                                      \
                                                                                                   \
		if (vmt_heap_enter(thread, frame)) {                                               \
			written_ = vmt_heap_begin_realloc(thread, block, &old_size_, frame);       \
			fresh_ = (call);                                                           \
			if (!fresh_ && (size) != 0 && written_)                                    \
				vmt_heap_undo_realloc(thread, block, old_size_, frame);            \
			fresh_ = vmt_heap_acquired(thread, kind, fresh_, size, frame);             \
		} else {                                                                           \
			fresh_ = (call);                                                           \
		}                                                                                  \
		fresh_;                                                                            \
	})

/* posix_memalign: the new block lies at `block`, the value is the error. */
#define VMT_HEAP_CALLS_ACQUIRE_AT(thread, frame, kind, block, size, call)                          \
	__extension__({                                                                            \
		int error_;                                                                        \
                                                                                                   \
		if (vmt_heap_enter(thread, frame)) {                                               \
			error_ = (call);                                                           \
			vmt_heap_acquired(thread, kind, error_ ? NULL : *(block), size, frame);    \
		} else {                                                                           \
			error_ = (call);                                                           \
		}                                                                                  \
		error_;                                                                            \
	})

#endif
