#include "capture/record/own_release.h"

#include "base/assert.h"
#include "base/pages.h"
#include "base/sys.h"
#include "capture/core/call_stacks.h"
#include "capture/core/robust_trylock.h"
#include "capture/core/threads_inside.h"

/* For those inside a hook to leave it. */
#define WAIT_NS UINT64_C(200000000)

uint32_t vmt_own_release_turn;

static uint32_t trace_stays;

/* The linker's names for the image that this code is part of. */
extern const char image_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char image_end[] __asm__("_end") __attribute__((visibility("hidden")));

/* Takes a range for the first part, where it lies in [start, end) and before what part says. */
static void
offer(struct vmt_own_range *part, uint64_t start, uint64_t end, struct vmt_own_range range)
{
	if (range.start < start)
		range.start = start;
	if (range.end > end)
		range.end = end;
	if (range.start < range.end && range.start < part->start)
		*part = range;
}

static struct vmt_own_range
range_of(const void *mapping, uint64_t bytes)
{
	uint64_t start = (uint64_t)(uintptr_t)mapping;

	return (struct vmt_own_range){start, start + vmt_pages_up(bytes, vmt_page_bytes)};
}

/* The trace's mappings, as far as there are any. */
static void
offer_trace(struct vmt_own_range *part, uint64_t start, uint64_t end)
{
	const struct vmt_recording *process = &vmt_recording;

	if (process->head)
		offer(part, start, end, range_of(process->head, process->head_mapped_bytes));
	if (process->session)
		offer(part, start, end, range_of(process->session, sizeof(*process->session)));
}

static bool
next(uint64_t start, uint64_t end, bool with_trace, struct vmt_own_range *part)
{
	uint32_t count = vmt_atomic_load_relaxed(&vmt_own_memory.count);
	struct vmt_own_range image = {
	    .start = vmt_pages_down((uint64_t)(uintptr_t)image_begin, vmt_page_bytes),
	    .end = vmt_pages_up((uint64_t)(uintptr_t)image_end, vmt_page_bytes),
	};

	part->start = UINT64_MAX;
	offer(part, start, end, image);
	for (uint32_t index = 0; index < count && index < VMT_OWN_MEMORY_RANGES; index++)
		offer(part, start, end, vmt_own_memory.ranges[index]);
	if (with_trace)
		offer_trace(part, start, end);
	vmt_assert(part->start == UINT64_MAX || (part->start >= start && part->start < part->end));
	vmt_assert(part->start == UINT64_MAX || part->end <= end);
	return part->start != UINT64_MAX;
}

bool
vmt_own_release_next(uint64_t start, uint64_t end, struct vmt_own_range *part)
{
	return next(start, end, vmt_atomic_load_acquire(&trace_stays) != 0, part);
}

bool
vmt_own_release_next_whole(uint64_t start, uint64_t end, struct vmt_own_range *part)
{
	return next(start, end, true, part);
}

bool
vmt_own_release_meets(uint64_t start, uint64_t end)
{
	struct vmt_own_range part;

	return next(start, end, true, &part);
}

/* Whether no hook that has begun reads the trace any more: of this thread neither, which a signal
 * handler may have interrupted. */
static bool
is_quiet(uint32_t depth)
{
	return vmt_guard_syscalls_allowed() && vmt_thread_mine()->depth == depth &&
	       !vmt_guard_is_interrupted() && vmt_threads_inside_can_tell() &&
	       vmt_threads_inside_wait((uint32_t)vmt_sys_call0(SYS_gettid),
				       vmt_guard_owner->generation, &vmt_guard_owner->visitors,
				       WAIT_NS);
}

static bool
is_recording(void)
{
	return vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING;
}

/* Whether the trace, as far as it is still there, lies in [start, end). */
static bool
meets_trace(uint64_t start, uint64_t end)
{
	struct vmt_own_range part = {.start = UINT64_MAX};

	offer_trace(&part, start, end);
	return part.start != UINT64_MAX;
}

/* With the turn taken. */
static void
let_go(uint32_t depth)
{
	struct vmt_recording *process = &vmt_recording;

	vmt_guard_close();
	if (is_recording()) {
		vmt_atomic_or_relaxed(&process->head->notes, VMT_NOTE_UNMAPPED);
		vmt_guard_go_inert("the program unmapped the trace");
	}
	if (!is_quiet(depth)) {
		vmt_atomic_store_release(&trace_stays, 1);
		return;
	}
	vmt_call_stacks_count_in(NULL);
	process->session = NULL;
	process->slot = NULL;
	process->head = NULL;
	process->head_mapped_bytes = 0;
}

/* Where a thread that was refused memory holds the turn, it is about to unmap the trace itself, or
 * waits for this one to leave its hook. */
bool
vmt_own_release_let_go(uint64_t start, uint64_t end, uint32_t depth)
{
	bool waited;

	if (!meets_trace(start, end))
		return is_recording();
	if (!vmt_robust_trylock_wait(&vmt_own_release_turn, 2 * WAIT_NS, &waited)) {
		vmt_atomic_store_release(&trace_stays, 1);
		return false;
	}
	if (meets_trace(start, end))
		let_go(depth);
	vmt_robust_trylock_release(&vmt_own_release_turn);
	return false;
}
