#include "capture/core/call_stacks.h"

#include "base/atomic.h"
#include "base/pages.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/core/own_memory.h"
#include "capture/core/same_thread.h"

#include <sys/mman.h>

#define CLOSED_EARLY 16u /* each is a mapping more; few programs ever use another stack */

__attribute__((used)) struct vmt_call_stacks vmt_call_stacks;

/* A thread's state is found by its stack's alignment, and lies above it. */
#if defined(VMT_THREAD_ON_STACK)
_Static_assert(VMT_THREAD_STACK_BYTES == VMT_CALL_STACK_BYTES, "each has a thread's state");
#define ALIGNMENT_BYTES VMT_CALL_STACK_BYTES
#define STATE_BYTES VMT_THREAD_STATE_BYTES
#else
#define ALIGNMENT_BYTES 1
#define STATE_BYTES 0
#endif

static uint64_t
bit(uint32_t number)
{
	return UINT64_C(1) << number;
}

static uint64_t
address_of(uint32_t number)
{
	return vmt_call_stacks.base + number * VMT_CALL_STACK_BYTES;
}

static void
close_last_page(uint32_t number)
{
	if (!vmt_guard_syscalls_allowed())
		return;
	(void)vmt_sys_call3(SYS_mprotect, address_of(number), vmt_page_bytes, PROT_NONE);
	vmt_atomic_or_relaxed(&vmt_call_stacks.guarded, bit(number));
}

static void
unmap(uint64_t from, uint64_t to)
{
	if (from < to)
		vmt_sys_munmap((void *)from, to - from);
}

/* What is beside goes back at once. 0: no memory. */
static uint64_t
map_aligned(uint64_t bytes)
{
	uint64_t all = vmt_pages_up(bytes + ALIGNMENT_BYTES - 1, vmt_page_bytes);
	uint64_t start = (uint64_t)vmt_own_memory_map(all);
	uint64_t aligned = (start + ALIGNMENT_BYTES - 1) & ~(ALIGNMENT_BYTES - 1);

	if (start == 0)
		return 0;
	unmap(start, aligned);
	unmap(aligned + bytes, start + all);
	return aligned;
}

void
vmt_call_stacks_set_up(bool scarce)
{
	uint32_t count = scarce ? VMT_CALL_STACKS_SCARCE : VMT_CALL_STACKS;
	uint64_t bytes = count * VMT_CALL_STACK_BYTES;

	vmt_call_stacks.base = map_aligned(bytes);
	if (vmt_call_stacks.base == 0)
		return;
	vmt_own_memory_add(vmt_call_stacks.base, bytes);
	vmt_call_stacks.first_top = vmt_call_stacks.base + VMT_CALL_STACK_BYTES - STATE_BYTES;
	for (uint32_t i = 0; i < count && i < CLOSED_EARLY; i++)
		close_last_page(i);
	vmt_call_stacks.there = count == VMT_CALL_STACKS ? UINT64_MAX : bit(count) - 1;
	vmt_atomic_store_release(&vmt_call_stacks.free, vmt_call_stacks.there);
}

/* VMT_CALL_STACKS or more: the thread is on none. */
static uint64_t
mine(void)
{
	return ((uint64_t)__builtin_frame_address(0) - vmt_call_stacks.base) >>
	       VMT_CALL_STACK_SHIFT;
}

void
vmt_call_stacks_forked(void)
{
	uint64_t free = vmt_atomic_load_relaxed(&vmt_call_stacks.there);
	uint64_t number = mine();

	if (vmt_call_stacks.base == 0)
		return;
	if (number < VMT_CALL_STACKS)
		free &= ~bit((uint32_t)number);
	vmt_atomic_store_relaxed(&vmt_call_stacks.free, free);
	vmt_atomic_store_relaxed(&vmt_call_stacks.missed, 0);
}

bool
vmt_call_stacks_are_free(void)
{
	return vmt_atomic_load_acquire(&vmt_call_stacks.free) ==
	       vmt_atomic_load_relaxed(&vmt_call_stacks.there);
}

/* The count may be ahead of this one: calls that a filter made others miss go there at once. */
static void
publish_missed_slow(uint64_t *counter)
{
	uint64_t said = vmt_atomic_load_relaxed(counter);
	uint64_t missed;

	do {
		missed = vmt_atomic_load_relaxed(&vmt_call_stacks.missed);
		if (said >= missed)
			return;
	} while (!vmt_atomic_cas(counter, &said, missed));
}

static void
publish_missed(void)
{
	uint64_t counter = vmt_atomic_load_relaxed(&vmt_call_stacks.counter);
	uint32_t outer;

	if (vmt_atomic_load_relaxed(&vmt_call_stacks.missed) == 0 || counter == 0 ||
	    !vmt_guard_hold(&outer))
		return;
	publish_missed_slow((uint64_t *)counter); /* NOLINT(performance-no-int-to-ptr) */
	vmt_guard_let_go(outer);
}

#if defined(VMT_THREAD_ON_STACK)
/* Whether the calling thread was the last to use this stack, and used no other since: what is known
 * of it holds. A thread may have the pointer or the id of one that has ended, both by no chance
 * that matters here. */
static bool
is_known(struct vmt_thread *state, uint64_t pointer)
{
	const struct vmt_owner *owner = vmt_guard_owner;

	return state->thread_id != 0 && state->pointer == pointer &&
	       vmt_atomic_load_acquire(&owner->state) == VMT_OWNER_RECORDING &&
	       state->generation == owner->generation && !vmt_guard.no_syscalls &&
	       state->no_syscalls == 0 &&
	       vmt_threads_inside_has(state->thread_id, state->generation, &state->depth) &&
	       vmt_same_thread_is(state);
}
#endif

#if defined(VMT_THREAD_ON_STACK)
/* Whether a handler of the program has interrupted the calling thread while it was inside by its
 * own state. Not so in the child of a fork in such a handler: what it still has to finish is on its
 * parent's rings. A thread that ended in a raw call has left its state behind. */
static bool
is_interrupted(struct vmt_thread *own)
{
	const struct vmt_owner *owner = vmt_guard_owner;

	if (own->depth == 0 || !vmt_guard_syscalls_allowed() ||
	    vmt_atomic_load_acquire(&owner->state) != VMT_OWNER_RECORDING ||
	    own->generation != owner->generation)
		return false;
	if (vmt_same_thread_is(own))
		return true;
	if (own->depth == 1 && own->in_raw_call && !vmt_threads_inside_is_distrusted()) {
		vmt_same_thread_renew(own);
		own->depth = own->in_raw_call = 0;
	}
	return false;
}

/* What a handler has left by longjmp is over: it is counted once. */
static void
forget_left(struct vmt_thread *own, uint64_t caller_sp)
{
	if (own->depth != 0 &&
	    vmt_guard_hook_abandoned(own->entered_frame, (const void *)caller_sp))
		own->depth = own->in_raw_call = 0;
}

/* Only one of a thread's states can stand in the table of threads_inside.h: that which is inside,
 * or else this one from now on. */
static void
learn_thread(struct vmt_thread *state, struct vmt_thread *own, bool interrupted)
{
	uint64_t pointer = vmt_thread_pointer();

	if (interrupted)
		*state =
		    (struct vmt_thread){.thread_id = own->thread_id, .generation = own->generation};
	else if (!is_known(state, pointer))
		*state = (struct vmt_thread){.pointer = pointer};
	else
		return;
	if (own && !interrupted)
		own->generation = 0;
}
#endif

/* The stack may have been another thread's before. A handler of the program that has interrupted
 * the recorder in a heap hook is inside: its calls pass through. In a raw call no state of a heap
 * hook's is half done. */
static void
begin_thread(uint64_t caller_sp)
{
#if defined(VMT_THREAD_ON_STACK)
	struct vmt_thread *state = vmt_thread_mine();
	struct vmt_thread *own = vmt_thread_find();
	bool interrupted = own && is_interrupted(own);
	bool nested;

	if (own)
		forget_left(own, caller_sp);
	interrupted = interrupted && own->depth != 0;
	nested = interrupted && own->depth == 1 && own->in_raw_call;
	learn_thread(state, own, interrupted);
	/* What lies beside the thread's stack may have been part of it, and is unmapped since. */
	state->stack_low = state->stack_high = 0;
	state->foreign_low = state->foreign_high = 0;
	state->entered_frame = UINT64_MAX;
	state->depth = own && own->depth != 0 && !nested;
#else
	(void)caller_sp;
#endif
}

void
vmt_call_stacks_begin(uint64_t caller_sp)
{
	uint32_t number = (uint32_t)mine();

	begin_thread(caller_sp);
	if (number < VMT_CALL_STACKS &&
	    !(vmt_atomic_load_relaxed(&vmt_call_stacks.guarded) >> number & 1))
		close_last_page(number); /* nobody else is on this one */
	publish_missed();
}

/* Of the first of them. Never none: that would say that all code runs on one. */
static void
say_where(uint32_t count)
{
#if defined(VMT_THREAD_ON_STACK)
	vmt_thread_stacks = (struct vmt_thread_stacks){
	    vmt_call_stacks.base, count == 0 ? 1 : count * VMT_CALL_STACK_BYTES};
#else
	(void)count;
#endif
}

static bool
is_told(void)
{
#if defined(VMT_THREAD_ON_STACK)
	return vmt_thread_stacks.bytes != 0;
#else
	return false;
#endif
}

bool
vmt_call_stacks_tell(void)
{
	if (vmt_call_stacks.base != 0)
		say_where((uint32_t)__builtin_popcountll(vmt_call_stacks.there));
	return vmt_call_stacks.base != 0;
}

void
vmt_call_stacks_count_in(struct vmt_head *head)
{
	vmt_atomic_store_relaxed(&vmt_call_stacks.counter,
				 head ? (uint64_t)&head->go.missed_calls : 0);
	vmt_atomic_store_relaxed(&vmt_call_stacks.notes, head ? (uint64_t)&head->notes : 0);
}

/* The first of those above all that are in use. */
static uint32_t
first_spare(void)
{
	uint64_t used = vmt_atomic_load_relaxed(&vmt_call_stacks.there) &
			~vmt_atomic_load_relaxed(&vmt_call_stacks.free);

	return used == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(used);
}

uint64_t
vmt_call_stacks_spare_bytes(void)
{
	uint32_t there =
	    (uint32_t)__builtin_popcountll(vmt_atomic_load_relaxed(&vmt_call_stacks.there));
	uint32_t first = first_spare();

	return first < there ? (there - first) * VMT_CALL_STACK_BYTES : 0;
}

/* False: somebody has taken it. */
static bool
take(uint32_t number)
{
	uint64_t free = vmt_atomic_load_relaxed(&vmt_call_stacks.free);

	while (free & bit(number))
		if (vmt_atomic_cas(&vmt_call_stacks.free, &free, free & ~bit(number)))
			return true;
	return false;
}

/* From the last one down: they are taken from the first on. */
void
vmt_call_stacks_give_up(void)
{
	uint64_t there = vmt_atomic_load_relaxed(&vmt_call_stacks.there);
	uint32_t end = (uint32_t)__builtin_popcountll(there);
	uint32_t first = end;

	while (first > 0 && take(first - 1))
		first--;
	if (first == end)
		return;
	if (is_told())
		say_where(first);
	vmt_atomic_store_relaxed(&vmt_call_stacks.there, first == 0 ? 0 : there & (bit(first) - 1));
	vmt_own_memory_drop(address_of(first), (end - first) * VMT_CALL_STACK_BYTES);
	unmap(address_of(first), address_of(end));
}
