#include "preload/emit.h"

#include "collect/collector.h"
#include "collect/sys.h"
#include "preload/clock.h"
#include "preload/state.h"

#include <sched.h>
#include <string.h>

/* Turns of the waiting loop where no system call may be made: some milliseconds. */
#define SPIN_TURNS 20000u
#define SPINS_A_TURN 16u
#define SLEEP_FROM_TURN 4u
#define SLEEP_NS 50000
#define WAKE_EACH_TURNS 64u

enum patience { PATIENCE_NONE, PATIENCE_BOUNDED, PATIENCE_WHILE_COLLECTED };

uint64_t
vmt_emit_time_after(void)
{
	return vmt_clock_after();
}

uint64_t
vmt_emit_time_before(void)
{
	return vmt_clock_before();
}

static uint32_t __attribute__((noinline)) ask_thread_id_slow(struct vmt_thread *thread)
{
	if (vmt_state_process.no_syscalls)
		thread->thread_id = (uint32_t)((uintptr_t)thread >> 6) | 1;
	else
		thread->thread_id = (uint32_t)vmt_sys_call0(SYS_gettid);
	thread->generation = vmt_state_owner->generation;
	return thread->thread_id;
}

uint32_t
vmt_emit_thread_id(void)
{
	struct vmt_thread *thread = &vmt_state_thread;

	if (__builtin_expect(thread->generation != vmt_state_owner->generation, 0))
		return ask_thread_id_slow(thread);
	return thread->thread_id;
}

static const struct vmt_ring_view *
ring_of(enum vmt_ring_class ring_class)
{
	const struct vmt_process *process = &vmt_state_process;
	uint32_t shard = 0;

	/* Without rseq or a vDSO, sched_getcpu would be a system call. */
	if (process->shard_mask != 0 && !process->no_syscalls)
		shard = (uint32_t)sched_getcpu() & process->shard_mask;
	return &process->rings[shard][ring_class];
}

static uint8_t
kind_of_heap(const void *slot)
{
	const struct vmt_heap_event *event = slot;

	return (uint8_t)(event->address_kind >> VMT_ADDRESS_BITS);
}

static uint8_t
kind_of_map(const void *slot)
{
	const struct vmt_map_event *event = slot;

	return event->kind;
}

bool
vmt_emit_is_collected(void)
{
	const struct vmt_process *process = &vmt_state_process;
	uint64_t latest = process->head->clock_start.monotonic_ns;
	uint64_t beat = vmt_atomic_load_relaxed(&process->head->heartbeat_ns);

	if (!process->session)
		return false;
	if (process->no_syscalls) /* no clock to judge by */
		return vmt_atomic_load_relaxed(&process->head->collector_pid) != 0;
	latest = beat > latest ? beat : latest;
	beat = vmt_atomic_load_relaxed(&process->session->heartbeat_ns);
	latest = beat > latest ? beat : latest;
	return vmt_sys_clock_ns(CLOCK_MONOTONIC) < latest + VMT_EMIT_FRESH_NS;
}

static void
spin(void)
{
	for (unsigned i = 0; i < SPINS_A_TURN; i++) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#else
		__asm__ volatile("" ::: "memory");
#endif
	}
}

/* Lets the collector come to work. */
static void
wait_a_turn(uint32_t turn)
{
	const struct vmt_process *process = &vmt_state_process;
	struct timespec pause = {0, SLEEP_NS};

	if (process->no_syscalls) {
		spin();
		return;
	}
	if (turn % WAKE_EACH_TURNS == 0 && process->session)
		vmt_session_wake(process->session);
	if (turn < SLEEP_FROM_TURN)
		vmt_sys_call0(SYS_sched_yield);
	else
		vmt_sys_call2(SYS_nanosleep, &pause, NULL);
}

static bool
is_over(enum patience patience, uint64_t began_ns, uint32_t turn)
{
	if (patience == PATIENCE_NONE)
		return true;
	if (vmt_state_process.no_syscalls)
		return turn >= SPIN_TURNS;
	return patience == PATIENCE_BOUNDED &&
	       vmt_sys_clock_ns(CLOCK_MONOTONIC) - began_ns > VMT_EMIT_MAP_WAIT_NS;
}

/* The ring is full: waits for a slot, or makes one where nobody collects. NULL: drop the event. */
static void *__attribute__((noinline))
make_room_slow(const struct vmt_ring_view *ring, enum vmt_ring_class ring_class,
	       enum patience patience, uint64_t *position)
{
	uint64_t began_ns = vmt_state_process.no_syscalls ? 0 : vmt_sys_clock_ns(CLOCK_MONOTONIC);

	for (uint32_t turn = 0;; turn++) {
		void *slot;

		if (!vmt_emit_is_collected())
			vmt_ring_discard_oldest(ring, ring_class == VMT_RING_HEAP ? kind_of_heap
										  : kind_of_map);
		else if (is_over(patience, began_ns, turn))
			return NULL;
		else
			wait_a_turn(turn);
		slot = vmt_ring_claim(ring, position);
		if (slot)
			return slot;
	}
}

static void *
claim(const struct vmt_ring_view *ring, enum vmt_ring_class ring_class, uint8_t kind,
      enum patience patience, uint64_t *position)
{
	void *slot = vmt_ring_claim(ring, position);

	if (__builtin_expect(!slot, 0)) {
		slot = make_room_slow(ring, ring_class, patience, position);
		if (!slot)
			vmt_atomic_add_relaxed(&ring->control->dropped[kind], 1);
	}
	return slot;
}

/*
 * A signal handler may fork while this thread is between claim and commit; the child then returns
 * here with a copy of the claim. It must not touch its parent's slot: the wiped owner tells.
 */
static bool
commit(const struct vmt_ring_view *ring, uint64_t position)
{
	if (vmt_atomic_load_relaxed(&vmt_state_owner->state) == VMT_OWNER_NONE)
		return false;
	return vmt_ring_commit(ring, position);
}

static enum patience
heap_patience(uint8_t kind)
{
	if (vmt_state_process.malloc_mode == VMT_MALLOC_ALL)
		return PATIENCE_WHILE_COLLECTED;
	switch (kind) {
	case VMT_EVENT_FREE:
	case VMT_EVENT_DELETE:
	case VMT_EVENT_REALLOC_BEGIN:
	case VMT_EVENT_HEAP_UNDO:
		return PATIENCE_BOUNDED;
	default:
		return PATIENCE_NONE;
	}
}

bool
vmt_emit_heap(uint8_t kind, const void *block, uint64_t size, uint32_t stack, uint64_t time)
{
	const struct vmt_ring_view *ring = ring_of(VMT_RING_HEAP);
	uint64_t position;
	struct vmt_heap_event *slot =
	    claim(ring, VMT_RING_HEAP, kind, heap_patience(kind), &position);

	if (!slot)
		return false;
	slot->stack = stack;
	slot->time = time;
	slot->address_kind = vmt_event_pack_address((uint64_t)(uintptr_t)block, kind);
	slot->size_thread = vmt_event_pack_size(size, vmt_emit_thread_id());
	return commit(ring, position);
}

bool
vmt_emit_map(struct vmt_map_event *event)
{
	const struct vmt_ring_view *ring = ring_of(VMT_RING_MAP);
	const size_t skip = sizeof(event->sequence);
	uint64_t position;
	void *slot = claim(ring, VMT_RING_MAP, event->kind, PATIENCE_BOUNDED, &position);

	if (!slot)
		return false;
	event->thread = vmt_emit_thread_id();
	memcpy((unsigned char *)slot + skip, (const unsigned char *)event + skip,
	       sizeof(*event) - skip);
	return commit(ring, position);
}
