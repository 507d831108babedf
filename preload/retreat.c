#include "preload/retreat.h"

#include "collect/collector.h"
#include "collect/sys.h"
#include "format/head.h"
#include "preload/last_walk.h"
#include "preload/presence.h"
#include "preload/samples.h"
#include "preload/state.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define PROBES 3u
#define PAUSE_NS 100000
/* A call that failed while ours were on their way out is made again. */
#define JUST_NOW_NS UINT64_C(100000000)
/* What glibc maps when the break cannot grow, and what it asks for on top (malloc/malloc.c,
 * MMAP_AS_MORECORE_SIZE and top_pad). */
#define HEAP_STEP_BYTES (UINT64_C(2) << 20)
#define ADDRESS_SPACE_BYTES (UINT64_C(1) << 47)

enum progress { PROGRESS_NONE, PROGRESS_ASKING, PROGRESS_GONE, PROGRESS_STUCK };

enum answer { ANSWER_OTHERS, ANSWER_FITS_NOW, ANSWER_OURS };

static uint32_t progress; /* enum progress */
static uint64_t gone_ns;

static bool
is_finite(int resource)
{
	struct rlimit limit;

	return vmt_sys_call4(SYS_prlimit64, 0, resource, NULL, &limit) == 0 &&
	       limit.rlim_cur != RLIM_INFINITY;
}

bool
vmt_retreat_is_limited(void)
{
	return is_finite(RLIMIT_AS) || is_finite(RLIMIT_DATA);
}

enum vmt_retreat_want
vmt_retreat_mmap_want(int protection, int flags)
{
	bool is_private = (flags & MAP_TYPE) == MAP_PRIVATE;

	return is_private && (protection & PROT_WRITE) ? VMT_RETREAT_WRITABLE : VMT_RETREAT_SHARED;
}

static uint64_t
round_up(uint64_t bytes)
{
	return (bytes + VMT_PAGE_BYTES - 1) & ~(uint64_t)(VMT_PAGE_BYTES - 1);
}

static bool
can_map(uint64_t bytes, enum vmt_retreat_want want)
{
	int protection = want == VMT_RETREAT_WRITABLE ? PROT_READ | PROT_WRITE : PROT_NONE;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *memory;

	if (want != VMT_RETREAT_WRITABLE)
		flags |= MAP_NORESERVE;
	memory = vmt_sys_mmap(NULL, bytes, protection, flags, -1, 0);
	if (vmt_sys_failed(memory))
		return false;
	vmt_sys_munmap(memory, bytes);
	return true;
}

/* Neighbours that are not alike are mappings each. */
static bool
can_map_pages(enum vmt_retreat_want want)
{
	void *pages[PROBES];
	uint32_t mapped = 0;

	while (mapped < PROBES) {
		int protection = mapped % 2 ? PROT_NONE : PROT_READ;

		if (want == VMT_RETREAT_WRITABLE)
			protection |= PROT_WRITE;
		pages[mapped] = vmt_sys_mmap(NULL, VMT_PAGE_BYTES, protection,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (vmt_sys_failed(pages[mapped]))
			break;
		mapped++;
	}
	for (uint32_t i = 0; i < mapped; i++)
		vmt_sys_munmap(pages[i], VMT_PAGE_BYTES);
	return mapped == PROBES;
}

/* All that would go. */
static uint64_t
own_bytes(void)
{
	const struct vmt_process *process = &vmt_state_process;
	uint64_t bytes = round_up(process->head_mapped_bytes);

	if (process->session)
		bytes += round_up(sizeof(*process->session));
	return bytes + vmt_samples_mapped_bytes() + vmt_last_walk_mapped_bytes();
}

/* Who is to blame. The call wanted `bytes` at the least, and perhaps some more. What another
 * thread's question took for a moment may be all that it was refused for. */
static enum answer
ask(uint64_t bytes, uint64_t more, enum vmt_retreat_want want)
{
	uint64_t least = round_up(bytes);
	uint64_t own = own_bytes();

	if (!can_map_pages(want))
		return ANSWER_OURS;
	if (want == VMT_RETREAT_SPLIT || least + more == 0)
		return ANSWER_OTHERS;
	if (can_map(least + more, want))
		return ANSWER_FITS_NOW;
	return least <= own || can_map(least - own, want) ? ANSWER_OURS : ANSWER_OTHERS;
}

static enum vmt_stop
find_cause(enum vmt_retreat_want want)
{
	bool is_data = want == VMT_RETREAT_WRITABLE && is_finite(RLIMIT_DATA);

	if (is_finite(RLIMIT_AS) && (!is_data || !can_map(2 * HEAP_STEP_BYTES, VMT_RETREAT_SHARED)))
		return VMT_STOP_ADDRESS_SPACE;
	if (is_data)
		return VMT_STOP_DATA;
	return can_map_pages(VMT_RETREAT_SHARED) ? VMT_STOP_MEMORY : VMT_STOP_MAPPINGS;
}

/* The last that the trace hears of this process. The collector looks at the memory once more. */
static void
say_so(enum vmt_stop cause)
{
	const struct vmt_process *process = &vmt_state_process;
	struct vmt_head *head = process->head;

	vmt_atomic_add_relaxed(&head->snapshot_wanted, 1);
	vmt_atomic_store_relaxed(&head->end_status, (int32_t)cause);
	vmt_atomic_store_release(&head->end, (uint32_t)VMT_END_STOPPED);
	if (process->session)
		vmt_session_wake(process->session);
}

static void
unmap(void)
{
	struct vmt_process *process = &vmt_state_process;

	vmt_samples_unmap();
	vmt_last_walk_unmap();
	if (process->session)
		vmt_sys_munmap(process->session, sizeof(*process->session));
	vmt_sys_munmap(process->head, process->head_mapped_bytes);
	process->session = NULL;
	process->slot = NULL;
	process->head = NULL;
	process->head_mapped_bytes = 0;
}

/* Of all threads that fail at once, one does it. */
static bool
retreat(enum vmt_stop cause)
{
	uint32_t own_thread_id = (uint32_t)vmt_sys_call0(SYS_gettid);
	uint32_t generation = vmt_state_owner->generation;
	bool gone;

	vmt_state_go_inert(NULL);
	gone = vmt_presence_wait(own_thread_id, generation, VMT_RETREAT_WAIT_NS);
	say_so(cause);
	if (gone)
		unmap();
	gone_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
	vmt_atomic_store_release(&progress, (uint32_t)(gone ? PROGRESS_GONE : PROGRESS_STUCK));
	return gone;
}

/* One thread asks at a time: what it maps meanwhile is refused to the others. False: it is not this
 * thread's turn, and will not be. */
static bool
take_turn(void)
{
	const struct timespec pause = {0, PAUSE_NS};
	uint32_t turns = 2 * VMT_RETREAT_WAIT_NS / PAUSE_NS;
	uint32_t found = PROGRESS_NONE;

	while (!vmt_atomic_cas(&progress, &found, (uint32_t)PROGRESS_ASKING)) {
		if (found != PROGRESS_ASKING || turns-- == 0)
			return false;
		found = PROGRESS_NONE;
		vmt_sys_call2(SYS_nanosleep, &pause, NULL);
	}
	return true;
}

/* Whether the call may have failed before another thread had made room. */
static bool
has_just_gone(void)
{
	return vmt_atomic_load_acquire(&progress) == PROGRESS_GONE &&
	       vmt_sys_clock_ns(CLOCK_MONOTONIC) - gone_ns < JUST_NOW_NS;
}

/* Not in a vfork child: its limits are its own, and the memory is its parent's. */
static bool
may_retreat(void)
{
	/* With mlockall(MCL_FUTURE) in force what is mapped to ask would be locked and filled. */
	return vmt_state_has_thread() && vmt_state_thread.depth == 0 && vmt_state_may_call() &&
	       !vmt_state_process.locks_future &&
	       vmt_state_owner->pid == (uint32_t)vmt_sys_call0(SYS_getpid);
}

static bool
retreat_from(uint64_t bytes, uint64_t more, enum vmt_retreat_want want)
{
	enum answer answer = ANSWER_OTHERS;

	if (bytes > ADDRESS_SPACE_BYTES || !may_retreat())
		return false;
	if (!take_turn())
		return has_just_gone();
	if (vmt_atomic_load_acquire(&vmt_state_owner->state) == VMT_OWNER_RECORDING)
		answer = ask(bytes, more, want);
	if (answer == ANSWER_OURS)
		return retreat(find_cause(want));
	vmt_atomic_store_release(&progress, (uint32_t)PROGRESS_NONE);
	return answer == ANSWER_FITS_NOW;
}

bool
vmt_retreat_from(uint64_t bytes, enum vmt_retreat_want want)
{
	return retreat_from(bytes, 0, want);
}

bool
vmt_retreat_from_heap(uint64_t size)
{
	return retreat_from(size, HEAP_STEP_BYTES, VMT_RETREAT_WRITABLE);
}
