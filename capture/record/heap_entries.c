#include "capture/record/heap_entries.h"

#include "capture/record/heap_calls.h"

#include <stddef.h>

typedef uint64_t next_call(uint64_t first, uint64_t second, uint64_t third);

static uint64_t __attribute__((noinline))
pass(uint64_t first, uint64_t second, uint64_t third, next_call *next)
{
	vmt_atomic_add_relaxed(&vmt_heap_missed, 1);
	return next(first, second, third);
}

static inline uint64_t
product(uint64_t count, uint64_t size)
{
	uint64_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? UINT64_MAX : bytes;
}

static inline void *
block_of(uint64_t word)
{
	return (void *)word; /* NOLINT(performance-no-int-to-ptr) */
}

static inline bool
is_watched(const struct vmt_thread *thread)
{
	return vmt_heap_mode() != VMT_MALLOC_OFF && thread->heap_depth == 0 &&
	       vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING;
}

/* The function as it was, with all that it came with. */
#define NEXT (next(first, second, third))
#define ACQUIRE(event, size)                                                                       \
	((uint64_t)VMT_HEAP_CALLS_ACQUIRE(thread, frame, VMT_EVENT_##event, size, block_of(NEXT)))
#define CHANGE(event, size)                                                                        \
	((uint64_t)VMT_HEAP_CALLS_CHANGE(thread, frame, VMT_EVENT_##event, block_of(first), size,  \
					 block_of(NEXT)))

#define MAKE_ACQUIRE_1(event) return ACQUIRE(event, first);
#define MAKE_ACQUIRE_2(event) return ACQUIRE(event, second);
#define MAKE_ACQUIRE_PRODUCT(event) return ACQUIRE(event, product(first, second));
#define MAKE_CHANGE_2(event) return CHANGE(event, second);
#define MAKE_CHANGE_PRODUCT(event) return CHANGE(event, product(second, third));
/* Where nothing is written, no frame of ours stays on the stack. */
#define MAKE_RELEASE(event)                                                                        \
	{                                                                                          \
		uint32_t outer;                                                                    \
                                                                                                   \
		if (first == 0 || !vmt_heap_may_release(thread, block_of(first), frame))           \
			return NEXT;                                                               \
		outer = vmt_heap_calls_begin_release(thread, VMT_EVENT_##event, block_of(first),   \
						     frame);                                       \
		(void)NEXT;                                                                        \
		thread->heap_depth = outer;                                                        \
		return 0;                                                                          \
	}
#define MAKE_ACQUIRE_AT(event)                                                                     \
	return (uint64_t)VMT_HEAP_CALLS_ACQUIRE_AT(thread, frame, VMT_EVENT_##event,               \
						   (void **)block_of(first), third, (int)NEXT);

/* What may throw is called last, with no frame of ours below it. */
#define MAKE_OR_ELSE(event)                                                                        \
	{                                                                                          \
		uint64_t block = (uint64_t)VMT_HEAP_CALLS_ACQUIRE(                                 \
		    thread, frame, VMT_EVENT_##event, first, block_of(acquire(first, 0, 0)));      \
                                                                                                   \
		return block != 0 ? block : NEXT;                                                  \
	}

/* Nothing is held across the call. */
#define MAKE_NEW(event)                                                                            \
	{                                                                                          \
		uint32_t calls = thread->heap_calls;                                               \
		uint64_t block;                                                                    \
                                                                                                   \
		if (!is_watched(thread))                                                           \
			return NEXT;                                                               \
		block = NEXT;                                                                      \
		if (thread->heap_calls == calls)                                                   \
			vmt_heap_acquired(thread, VMT_EVENT_##event, block_of(block), first,       \
					  frame);                                                  \
		return block;                                                                      \
	}
#define MAKE_INSIDE(event)                                                                         \
	{                                                                                          \
		uint64_t result;                                                                   \
                                                                                                   \
		if (!vmt_heap_enter(thread, frame))                                                \
			return NEXT;                                                               \
		result = NEXT;                                                                     \
		vmt_heap_leave(thread);                                                            \
		return result;                                                                     \
	}

#define QUICK_RELEASE                                                                              \
	if (vmt_heap_is_quick_free(block_of(first)))                                               \
		return NEXT;
#define QUICK_ACQUIRE_1
#define QUICK_ACQUIRE_2
#define QUICK_ACQUIRE_PRODUCT
#define QUICK_ACQUIRE_AT
#define QUICK_CHANGE_2
#define QUICK_INSIDE
#define QUICK_NEW
#define QUICK_OR_ELSE
#define QUICK_CHANGE_PRODUCT

/* The report knows them by the beginning of their names. */
#define HANDLER(entry, event, form)                                                                \
	static uint64_t heap_entry_##entry(uint64_t first, uint64_t second, uint64_t third,        \
					   next_call *next, next_call *acquire)                    \
	{                                                                                          \
		const void *frame = __builtin_frame_address(0);                                    \
		struct vmt_thread *thread;                                                         \
                                                                                                   \
		(void)acquire;                                                                     \
		QUICK_##form thread = vmt_thread_find();                                           \
		if (__builtin_expect(thread == NULL, 0))                                           \
			return pass(first, second, third, next);                                   \
		MAKE_##form(event)                                                                 \
	}
VMT_HEAP_ENTRIES(HANDLER)

#define ADDRESS(entry, event, form) [VMT_HEAP_ENTRY_##entry] = (const void *)heap_entry_##entry,
__attribute__((visibility("default")))
const void *const vmt_heap_entries[VMT_HEAP_ENTRIES_COUNT] = {VMT_HEAP_ENTRIES(ADDRESS)};
