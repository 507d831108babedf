#include "capture/record/heap.h"

#include "base/assert.h"
#include "base/sys.h"
#include "capture/core/clock.h"
#include "capture/core/config.h"
#include "capture/core/same_thread.h"
#include "capture/emit/emit.h"
#include "capture/record/resident_probe.h"
#include "capture/stacks/capture.h"

#define SAMPLE_LINES_SMALL (UINT64_C(1) << 8) /* with a small VMTRACE_BUFFER */
#define SAMPLE_CELLS_SMALL (UINT64_C(1) << 15)

static const uint8_t shut = 1; /* a cell that is never 0 */
static const uint8_t clear = 0;

struct vmt_heap_gate vmt_heap_gate = {.cells = &shut};
uint64_t vmt_heap_missed;

bool
vmt_heap_set_up_samples(void)
{
	bool sampled = vmt_config.malloc_mode == VMT_MALLOC_SAMPLED;
	struct vmt_samples_size size =
	    vmt_samples_size_for(sampled ? vmt_config.malloc_sample_bytes : 0, vmt_config.scarce);

	if (vmt_config.malloc_mode == VMT_MALLOC_OFF)
		return true;
	if (vmt_config.buffer_bytes != 0 &&
	    vmt_config.buffer_bytes < VMT_CONFIG_SMALL_BUFFER_BYTES) {
		size.lines = SAMPLE_LINES_SMALL;
		size.cells = SAMPLE_CELLS_SMALL;
	}
	return vmt_samples_set_up(&size);
}

void
vmt_heap_open_gate(const struct vmt_heap_next *next)
{
	const struct vmt_samples *samples = &vmt_samples_table;
	struct vmt_heap_gate *gate = &vmt_heap_gate;
	uint32_t mode = vmt_heap_mode();

	gate->malloc = next->malloc;
	gate->calloc = next->calloc;
	gate->realloc = next->realloc;
	gate->free = next->free;
	if (mode == VMT_MALLOC_OFF) {
		gate->cells = &clear;
		gate->quick_below = VMT_HEAP_QUIET_BYTES;
	} else if (mode == VMT_MALLOC_SAMPLED) {
		gate->cell_mask = samples->cell_mask;
		gate->granule_bits = samples->granule_bits;
		gate->cells = samples->filter;
		if (next->is_self_contained)
			gate->quick_below = vmt_config.malloc_sample_bytes;
	}
}

bool
vmt_heap_is_outermost_slow(struct vmt_thread *thread, const void *frame)
{
	if (vmt_guard_hook_abandoned(thread->heap_frame, frame)) {
		thread->heap_depth = 0;
		return true;
	}
	vmt_guard_count_nested();
	return false;
}

/* A heap hook may be called while the thread is inside: by a signal handler. */
static bool
is_recording(struct vmt_thread *thread, const void *frame)
{
	if (vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING)
		return true;
	if (thread->depth != 0 && !vmt_guard_hook_abandoned(thread->entered_frame, frame))
		return false;
	thread->entered_frame = (uint64_t)(uintptr_t)frame;
	thread->depth = 1;
	if (!vmt_guard_enter_slow(thread))
		return false;
	vmt_guard_leave();
	return true;
}

bool
vmt_heap_enter_slow(struct vmt_thread *thread, const void *frame)
{
	if (thread->heap_depth != 0 && !vmt_heap_is_outermost_slow(thread, frame))
		return false;
	return is_recording(thread, frame);
}

#if defined(VMT_THREAD_ON_STACK)
/* A thread's state may be that of one before it, which had the same thread pointer. Where nobody
 * can be asked it is learnt anew each time. */
static void
renew(struct vmt_thread *thread)
{
	if (vmt_guard_syscalls_allowed() && vmt_same_thread_is(thread))
		return;
	vmt_same_thread_renew(thread);
}
#else
static void
renew(const struct vmt_thread *thread)
{
	(void)thread;
}
#endif

/* Enters the tracer's own code, perhaps for the second time. *outer is what to give back to leave:
 * put back, not counted down, since a handler may have found that nobody was inside. False: nothing
 * is recorded any more, and there is nothing to leave. */
static inline bool
enter(struct vmt_thread *thread, const void *frame, uint32_t *outer)
{
	*outer = thread->depth;
	if (*outer != 0 && vmt_guard_hook_abandoned(thread->entered_frame, frame))
		*outer = 0;
	if (*outer == 0) {
		thread->entered_frame = (uint64_t)(uintptr_t)frame;
		renew(thread);
	}
	thread->depth = *outer + 1;
	__asm__ volatile("" ::: "memory");
	if (__builtin_expect(vmt_guard_is_at_work(thread), 1))
		return true;
	thread->depth = *outer;
	return vmt_guard_hold(outer);
}

static void
leave(struct vmt_thread *thread, uint32_t outer)
{
	__asm__ volatile("" ::: "memory");
	vmt_assert(thread->depth == outer + 1 || vmt_threads_inside_is_distrusted());
	thread->depth = outer;
}

/* Inside the tracer's own code a walk could meet its own half-changed tables. */
static uint32_t
capture(const struct vmt_thread *thread, const void *frame)
{
	return thread->depth > 1 ? 0 : vmt_capture_stack(frame);
}

/* Enters the block into the table of live recorded blocks where it belongs there. False: it
 * belongs and does not fit. An old entry of the same address was released behind our back. */
static bool
keep(const void *block, uint64_t size)
{
	uint64_t stale;

	if (vmt_heap_mode() != VMT_MALLOC_SAMPLED && size < VMT_SAMPLES_LARGE_BYTES)
		return true;
	if (vmt_samples_may_have(block))
		(void)vmt_samples_remove(block, &stale);
	return vmt_samples_add(block, size);
}

static void
forget(const void *block)
{
	uint64_t size;

	if (vmt_samples_may_have(block))
		(void)vmt_samples_remove(block, &size);
}

static void
publish_missed(void)
{
	uint64_t missed = vmt_atomic_load_relaxed(&vmt_heap_missed);

	if (__builtin_expect(missed != 0, 0))
		vmt_atomic_store_relaxed(&vmt_recording.head->heap_missed, missed);
}

/* In `all` a block that does not fit the table is written all the same: only the look at its pages
 * when it is released is lost. */
static void
write_acquisition(const struct vmt_thread *thread, uint8_t kind, const void *block, uint64_t size,
		  const void *frame)
{
	bool sampled = vmt_heap_mode() == VMT_MALLOC_SAMPLED;

	vmt_assert(block != NULL && !vmt_event_is_release(kind));
	publish_missed();
	if (!keep(block, size)) {
		vmt_atomic_add_relaxed(&vmt_recording.head->samples_dropped, 1);
		if (sampled)
			return;
	}
	if (!vmt_emit_heap(kind, block, size, capture(thread, frame), vmt_clock_early()) && sampled)
		forget(block);
}

void
vmt_heap_record(struct vmt_thread *thread, uint8_t kind, const void *block, uint64_t size,
		const void *frame)
{
	uint32_t outer;

	if (enter(thread, frame, &outer)) {
		write_acquisition(thread, kind, block, size, frame);
		leave(thread, outer);
	}
}

/* The pages are looked at before the time is taken: the release is what follows. */
static void
write_large_release(uint8_t kind, const void *block, uint64_t size, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = kind,
	    .stack = stack,
	    .address = (uint64_t)(uintptr_t)block,
	    .length = size,
	};

	vmt_assert(vmt_event_is_release(kind) && size >= VMT_SAMPLES_LARGE_BYTES);
	event.argument_a = vmt_resident_probe_committed(event.address, size, &event.marks);
	event.time = vmt_clock_before();
	vmt_emit_map(&event);
}

/* Stacks of releases are taken where they are few: of sampled and of large blocks. */
static void
write_release(const struct vmt_thread *thread, uint8_t kind, const void *block, const void *frame)
{
	uint64_t size = 0;
	bool known = vmt_samples_may_have(block) && vmt_samples_remove(block, &size);

	vmt_assert(vmt_event_is_release(kind));
	if (known && size >= VMT_SAMPLES_LARGE_BYTES)
		write_large_release(kind, block, size, capture(thread, frame));
	else if (known || vmt_heap_mode() == VMT_MALLOC_ALL)
		vmt_emit_heap(kind, block, 0, known ? capture(thread, frame) : 0,
			      vmt_clock_before());
}

/* A fork child that has no trace yet has blocks of its parent's alone, which a trace of its own
 * would not know: most such children end soon. */
void
vmt_heap_release_slow(struct vmt_thread *thread, uint8_t kind, const void *block, const void *frame)
{
	uint32_t outer;

	if (vmt_guard_is_unopened() || !is_recording(thread, frame))
		return;
	if (enter(thread, frame, &outer)) {
		write_release(thread, kind, block, frame);
		leave(thread, outer);
	}
}

bool
vmt_heap_begin_realloc(struct vmt_thread *thread, const void *block, uint64_t *size,
		       const void *frame)
{
	uint32_t outer;
	bool known;
	bool written;

	*size = 0;
	if (!block || (!vmt_samples_may_have(block) && vmt_heap_mode() != VMT_MALLOC_ALL) ||
	    !enter(thread, frame, &outer))
		return false;
	known = vmt_samples_may_have(block) && vmt_samples_remove(block, size);
	written = known || vmt_heap_mode() == VMT_MALLOC_ALL;
	if (written)
		vmt_emit_heap(VMT_EVENT_REALLOC_BEGIN, block, *size,
			      known ? capture(thread, frame) : 0, vmt_clock_before());
	leave(thread, outer);
	return written;
}

void
vmt_heap_undo_realloc(struct vmt_thread *thread, const void *block, uint64_t size,
		      const void *frame)
{
	uint32_t outer;

	if (!enter(thread, frame, &outer))
		return;
	if (size == 0 || keep(block, size))
		vmt_emit_heap(VMT_EVENT_HEAP_UNDO, block, size, 0, vmt_emit_time_after());
	else
		vmt_atomic_add_relaxed(&vmt_recording.head->samples_dropped, 1);
	leave(thread, outer);
}
