/*
 * hooks_malloc.c: malloc's family.
 *
 * Acquisitions are stamped after the next allocator has answered, releases before it is called
 * (format/event.h). With VMTRACE_MALLOC=off each is a forward and one look at the mode. Blocks of
 * the dlsym arena never reach an allocator. One that failed for want of room that the tracer takes
 * is made again without it (retreat.h).
 */
#include "capture/emit/emit.h"
#include "capture/record/heap.h"
#include "capture/record/heap_calls.h"
#include "capture/record/retreat.h"
#include "capture/stacks/capture.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Gone from glibc's headers. */
void cfree(void *block);

/* One call of the next allocator, or two. Returns from the hook. `beside`: what it may need beyond
 * the size. */
#define ALLOCATE(kind, size, beside, call)                                                         \
	do {                                                                                       \
		struct vmt_thread *thread = vmt_thread_mine();                                     \
		const void *frame = __builtin_frame_address(0);                                    \
		bool again = false;                                                                \
		void *block;                                                                       \
                                                                                                   \
		do {                                                                               \
			block = VMT_HEAP_CALLS_ACQUIRE(thread, frame, kind, size, call);           \
			again = !block && !again && vmt_retreat_from_heap(size, beside, errno);    \
		} while (__builtin_expect(again, 0));                                              \
		return block;                                                                      \
	} while (0)

/* The long ways stand in the place of their hooks: called last, without a frame in between (built
 * with sibling calls), so that their caller is the program. */
static void *__attribute__((noinline)) malloc_slow(size_t size)
{
	ALLOCATE(VMT_EVENT_MALLOC, size, 0, vmt_real()->malloc(size));
}

static void *__attribute__((noinline)) malloc_refused(size_t size)
{
	return vmt_retreat_from_heap(size, 0, errno) ? malloc_slow(size) : NULL;
}

VMT_EXPORT void *
malloc(size_t size)
{
	void *block;

	if (!vmt_heap_is_quick_malloc(vmt_thread_mine(), size))
		return malloc_slow(size);
	block = vmt_heap_gate.malloc(size);
	return __builtin_expect(block != NULL, 1) ? block : malloc_refused(size);
}

static size_t
product(size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

static void *__attribute__((noinline)) calloc_slow(size_t count, size_t size)
{
	ALLOCATE(VMT_EVENT_CALLOC, product(count, size), 0, vmt_real()->calloc(count, size));
}

static void *__attribute__((noinline)) calloc_refused(size_t count, size_t size)
{
	if (!vmt_retreat_from_heap(product(count, size), 0, errno))
		return NULL;
	return calloc_slow(count, size);
}

VMT_EXPORT void *
calloc(size_t count, size_t size)
{
	void *block;

	if (!vmt_heap_is_quick_malloc(vmt_thread_mine(), product(count, size)))
		return calloc_slow(count, size);
	block = vmt_heap_gate.calloc(count, size);
	return __builtin_expect(block != NULL, 1) ? block : calloc_refused(count, size);
}

static void __attribute__((noinline)) free_slow(void *block)
{
	struct vmt_thread *thread = vmt_thread_mine();
	const void *frame = __builtin_frame_address(0);

	if (!block || vmt_real_arena_owns(block))
		return;
	VMT_HEAP_CALLS_RELEASE(thread, frame, VMT_EVENT_FREE, block, vmt_real()->free(block));
}

static inline void
release(void *block)
{
	if (vmt_heap_is_quick_free(block) && !vmt_real_arena_owns(block))
		vmt_heap_gate.free(block);
	else
		free_slow(block);
}

VMT_EXPORT void
free(void *block)
{
	release(block);
}

VMT_EXPORT void
cfree(void *block)
{
	release(block);
}

/* The arena's blocks cannot grow: the program gets one of its own. */
static void *
leave_arena(void *fresh, const void *block, size_t size)
{
	size_t old = vmt_real_arena_size(block);

	return memcpy(fresh, block, old < size ? old : size);
}

static void *
change_once(void *block, size_t size, uint8_t kind, const void *frame)
{
	struct vmt_thread *thread = vmt_thread_mine();

	return VMT_HEAP_CALLS_CHANGE(thread, frame, kind, block, size,
				     vmt_real()->realloc(block, size));
}

/* glibc's realloc to size 0 frees: NULL is no failure then. */
static void *
change_own(void *block, size_t size, uint8_t kind, const void *frame)
{
	void *fresh = change_once(block, size, kind, frame);

	if (__builtin_expect(!fresh && size != 0, 0) && vmt_retreat_from_heap(size, 0, errno))
		fresh = change_once(block, size, kind, frame);
	return fresh;
}

static inline void *
change(void *block, size_t size, uint8_t kind, const void *frame)
{
	void *fresh;

	if (!vmt_real_arena_owns(block))
		return change_own(block, size, kind, frame);
	fresh = change_own(NULL, size, kind, frame);
	return fresh ? leave_arena(fresh, block, size) : NULL;
}

static void *__attribute__((noinline)) realloc_slow(void *block, size_t size)
{
	return change(block, size, VMT_EVENT_REALLOC, __builtin_frame_address(0));
}

static void *__attribute__((noinline)) realloc_refused(void *block, size_t size)
{
	if (size == 0 || !vmt_retreat_from_heap(size, 0, errno))
		return NULL;
	return realloc_slow(block, size);
}

VMT_EXPORT void *
realloc(void *block, size_t size)
{
	void *fresh;

	if (!vmt_heap_is_quick_free(block) || vmt_real_arena_owns(block) ||
	    !vmt_heap_is_quick_malloc(vmt_thread_mine(), size))
		return realloc_slow(block, size);
	fresh = vmt_heap_gate.realloc(block, size);
	return __builtin_expect(fresh != NULL, 1) ? fresh : realloc_refused(block, size);
}

/* Few allocators have this function. Where one that has not stands before us, the block is its own
 * and not the next allocator's; the other calls of the heap never come here. */
VMT_EXPORT void *
reallocarray(void *block, size_t count, size_t size)
{
	const struct vmt_real *real = vmt_real();
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (real->foreign_realloc)
		return real->foreign_realloc(block, bytes);
	return change(block, bytes, VMT_EVENT_REALLOCARRAY, __builtin_frame_address(0));
}

static int
align_once(void **block, size_t alignment, size_t size, const void *frame)
{
	struct vmt_thread *thread = vmt_thread_mine();

	return VMT_HEAP_CALLS_ACQUIRE_AT(thread, frame, VMT_EVENT_POSIX_MEMALIGN, block, size,
					 vmt_real()->posix_memalign(block, alignment, size));
}

VMT_EXPORT int
posix_memalign(void **block, size_t alignment, size_t size)
{
	int error = align_once(block, alignment, size, __builtin_frame_address(0));

	if (__builtin_expect(error != 0, 0) && vmt_retreat_from_heap(size, alignment, error))
		error = align_once(block, alignment, size, __builtin_frame_address(0));
	return error;
}

VMT_EXPORT void *
aligned_alloc(size_t alignment, size_t size)
{
	ALLOCATE(VMT_EVENT_ALIGNED_ALLOC, size, alignment,
		 vmt_real()->aligned_alloc(alignment, size));
}

VMT_EXPORT void *
memalign(size_t alignment, size_t size)
{
	ALLOCATE(VMT_EVENT_MEMALIGN, size, alignment, vmt_real()->memalign(alignment, size));
}

VMT_EXPORT void *
valloc(size_t size)
{
	ALLOCATE(VMT_EVENT_VALLOC, size, 0, vmt_real()->valloc(size));
}

VMT_EXPORT void *
pvalloc(size_t size)
{
	ALLOCATE(VMT_EVENT_PVALLOC, size, 0, vmt_real()->pvalloc(size));
}

static void
write_trim(size_t pad, int result, const void *frame)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_TRIM, .argument_a = pad, .error = (int16_t)result};
	int saved = errno;

	if (!vmt_guard_enter())
		return;
	event.stack = vmt_capture_stack(frame);
	event.time = vmt_emit_time_after();
	vmt_emit_map(&event);
	vmt_guard_leave();
	errno = saved;
}

VMT_EXPORT int
malloc_trim(size_t pad)
{
	const struct vmt_real *real = vmt_real();
	int result = real->malloc_trim ? real->malloc_trim(pad) : 0;

	write_trim(pad, result, __builtin_frame_address(0));
	return result;
}

VMT_EXPORT size_t
malloc_usable_size(void *block)
{
	const struct vmt_real *real = vmt_real();

	if (vmt_real_arena_owns(block))
		return vmt_real_arena_size(block);
	return real->malloc_usable_size ? real->malloc_usable_size(block) : 0;
}
