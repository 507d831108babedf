#include "capture/emit/emit.h"

#include "base/assert.h"
#include "base/session.h"
#include "base/sys.h"
#include "capture/core/clock.h"
#include "capture/core/cpu.h"
#include "capture/core/guard.h"

#include <string.h>

/* A wait yields, then sleeps, longer and longer: thousands that wait at once must leave the
 * collector a CPU. On an idle machine FAIR_TURNS take somewhat less than VMT_EMIT_WAIT_NS. Where
 * they take longer, this thread gets no CPU either when it wants one, and the collector is no more
 * to blame than it. */
#define SLEEP_FROM_TURN 4u
#define SLEEP_NS UINT64_C(50000)
#define TURNS_A_DOUBLING 8u
#define DOUBLINGS_MAX 7u
#define FAIR_TURNS 180u
#define WAKE_EACH_TURNS 64u

/* Turns without any progress where the clock fails; some tens of milliseconds where no system call
 * may be made. */
#define SLEPT_TURNS 800u
#define SPUN_TURNS 20000u
#define SPINS_A_TURN 64u

/* Discards tried in one go: an unfinished slot is given up after VMT_RING_STALL_LIMIT. A ring that
 * yields none after this many was damaged, or emptied by a collector that has ended. */
#define DISCARD_TURNS (4u * VMT_RING_STALL_LIMIT)
#define YIELD_EACH_TURNS 64u

/* A ring is looked at, whether it is half full, each time this part of it has been claimed. */
#define LOOKS_A_LAP 8u

/* Of each ring: tail + 1 when the collector was last woken, and when a wait was last in vain; what
 * its end was (end_of) when discards were last in vain. 0 = never. */
static uint64_t woken_tails[VMT_MAX_SHARDS][VMT_RING_CLASSES];
static uint64_t vain_tails[VMT_MAX_SHARDS][VMT_RING_CLASSES];
static uint64_t stuck_ends[VMT_MAX_SHARDS][VMT_RING_CLASSES];
/* head->heartbeat_ns + 1 when it was found late by the clock, and when it had stood still all
 * through a wait; 0 = never. */
static uint64_t late_beat;
static uint64_t stale_beat;
static bool is_put_off; /* the collector, by vmt_emit_put_off_collector */

/* What happens to an event when its ring is full and somebody collects. */
enum full_policy { FULL_DROP, FULL_WAIT_BOUNDED, FULL_WAIT_WHILE_DRAINED };

void
vmt_emit_begin_trace(void)
{
	memset(woken_tails, 0, sizeof(woken_tails));
	memset(vain_tails, 0, sizeof(vain_tails));
	memset(stuck_ends, 0, sizeof(stuck_ends));
	late_beat = stale_beat = 0;
}

void
vmt_emit_put_off_collector(bool is_off)
{
	is_put_off = is_off;
}

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

uint32_t
vmt_emit_thread_id(void)
{
	struct vmt_thread *thread = vmt_thread_mine();

	if (__builtin_expect(thread->generation != vmt_guard_owner->generation, 0))
		vmt_guard_introduce_slow(thread);
	return thread->thread_id;
}

static const struct vmt_ring_view *
ring_of(enum vmt_ring_class ring_class)
{
	const struct vmt_recording *process = &vmt_recording;

	/* Between enter and leave, or held. */
	vmt_assert(vmt_thread_mine()->depth != 0 || vmt_threads_inside_is_distrusted());
	vmt_assert(process->shard_mask < VMT_MAX_SHARDS);
	return &process->rings[vmt_cpu_number() & process->shard_mask][ring_class];
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

/* Whether the collector has looked at the announcement and not opened the trace: another root, or
 * no leave to. It says who it is before it frees the slot. */
static bool
is_refused(const struct vmt_recording *process)
{
	return process->slot &&
	       !vmt_session_is_announced(process->slot, process->head->random_id) &&
	       vmt_atomic_load_relaxed(&process->head->collector_pid) == 0;
}

/* Whether there is one that may still come: it has neither left nor refused, nor stood still all
 * through somebody's wait. */
static bool
has_collector(const struct vmt_recording *process, uint64_t beat)
{
	if (is_put_off || !process->session || vmt_atomic_load_relaxed(&process->session->over) ||
	    vmt_atomic_load_relaxed(&stale_beat) == beat + 1)
		return false;
	if (beat != 0)
		return vmt_atomic_load_relaxed(&process->head->collector_pid) != 0;
	return !is_refused(process);
}

uint64_t
vmt_emit_count(void)
{
	const struct vmt_recording *process = &vmt_recording;
	uint64_t count = 0;

	for (uint32_t shard = 0; shard <= process->shard_mask; shard++)
		for (uint32_t kind = 0; kind < VMT_RING_CLASSES; kind++)
			count +=
			    vmt_atomic_load_relaxed(&process->rings[shard][kind].control->head);
	return count;
}

bool
vmt_emit_is_collected(void)
{
	struct vmt_recording *process = &vmt_recording;
	const struct vmt_head *head = process->head;
	uint64_t beat = vmt_atomic_load_acquire(&head->heartbeat_ns);
	uint64_t limit_ns = beat + VMT_EMIT_FRESH_NS;

	if (!has_collector(process, beat) || vmt_atomic_load_relaxed(&late_beat) == beat + 1)
		return false;
	if (beat == 0)
		limit_ns = head->clock_start.monotonic_ns + VMT_EMIT_OPEN_NS;
	/* Without a clock to judge by, whoever waits in vain will find out. */
	if (!vmt_guard_syscalls_allowed() || vmt_sys_clock_ns(CLOCK_MONOTONIC) < limit_ns)
		return true;
	vmt_atomic_store_relaxed(&late_beat, beat + 1);
	return false;
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

/* A wait for room, and what it saw when something last moved. */
struct wait {
	const struct vmt_ring_view *ring;
	uint64_t *vain_tail; /* the ring's */
	uint64_t *stuck_end; /* the ring's */
	uint64_t head;	     /* when the wait began */
	uint64_t since_ns;   /* 0: no clock to be had */
	uint64_t tail;
	uint64_t beat;
	uint32_t turn; /* since then */
	uint32_t discards;
};

/* The word of such an array that belongs to a ring. */
static uint64_t *
word_of(uint64_t (*words)[VMT_RING_CLASSES], const struct vmt_ring_view *ring)
{
	vmt_assert(ring >= vmt_recording.rings[0]);
	vmt_assert(ring - vmt_recording.rings[0] < VMT_MAX_SHARDS * VMT_RING_CLASSES);
	return &words[0][ring - vmt_recording.rings[0]];
}

static bool
was_in_vain(const struct wait *wait)
{
	uint64_t tail = vmt_atomic_load_relaxed(&wait->ring->control->tail);

	return vmt_atomic_load_relaxed(wait->vain_tail) == tail + 1;
}

/* Whether room can come from nowhere but the oldest events. That a heartbeat is late convinces only
 * who does not wait: the others see for themselves whether it stands still. */
static bool
no_collector(const struct wait *wait, enum full_policy policy)
{
	const struct vmt_recording *process = &vmt_recording;

	if (policy == FULL_DROP || was_in_vain(wait))
		return !vmt_emit_is_collected();
	return !has_collector(process, vmt_atomic_load_acquire(&process->head->heartbeat_ns));
}

static uint64_t
clock_ns(void)
{
	return vmt_guard_syscalls_allowed() ? vmt_sys_clock_ns(CLOCK_MONOTONIC) : 0;
}

static void
look_around(struct wait *wait)
{
	wait->since_ns = clock_ns();
	wait->tail = vmt_atomic_load_relaxed(&wait->ring->control->tail);
	wait->beat = vmt_atomic_load_relaxed(&vmt_recording.head->heartbeat_ns);
	wait->turn = 0;
}

static uint64_t
sleep_ns(uint32_t turn)
{
	uint32_t doublings = (turn - SLEEP_FROM_TURN) / TURNS_A_DOUBLING;

	vmt_assert(turn >= SLEEP_FROM_TURN);
	return SLEEP_NS << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}

/* Lets the collector come to work. */
static void
wait_a_turn(uint32_t turn)
{
	const struct vmt_recording *process = &vmt_recording;
	struct timespec pause = {0, 0};

	if (!vmt_guard_syscalls_allowed()) {
		spin();
		return;
	}
	if (turn % WAKE_EACH_TURNS == 0 && process->session)
		vmt_session_wake(process->session);
	if (turn < SLEEP_FROM_TURN) {
		vmt_sys_call0(SYS_sched_yield);
	} else {
		pause.tv_nsec = (long)sleep_ns(turn);
		vmt_sys_call2(SYS_nanosleep, &pause, NULL);
	}
}

/* Whether it has lasted long enough since something last moved. */
static bool
is_long(const struct wait *wait)
{
	uint64_t waited_ns = clock_ns() - wait->since_ns;

	if (wait->turn >= (vmt_guard_syscalls_allowed() ? SLEPT_TURNS : SPUN_TURNS))
		return true;
	if (waited_ns < VMT_EMIT_WAIT_NS)
		return false;
	return wait->turn >= FAIR_TURNS || waited_ns >= VMT_EMIT_BUSY_WAIT_NS;
}

/* Whether to wait no longer. A heartbeat that stood still all the time is stale, whatever the
 * clocks of the two processes say: then the oldest events may make room after all. */
static bool
is_over(struct wait *wait, enum full_policy policy)
{
	uint64_t tail = vmt_atomic_load_relaxed(&wait->ring->control->tail);
	struct vmt_recording *process = &vmt_recording;

	if (policy == FULL_DROP || was_in_vain(wait))
		return true;
	if (tail != wait->tail && policy == FULL_WAIT_WHILE_DRAINED)
		look_around(wait);
	if (!is_long(wait))
		return false;
	if (vmt_atomic_load_relaxed(&process->head->heartbeat_ns) == wait->beat) {
		vmt_atomic_store_relaxed(&stale_beat, wait->beat + 1);
		return false;
	}
	if (tail == wait->tail)
		vmt_atomic_store_relaxed(wait->vain_tail, tail + 1);
	return true;
}

/* Changes when a discard may succeed that did not before: tail has moved, or who released is gone.
 */
static uint64_t
end_of(const struct vmt_ring_view *ring)
{
	uint64_t releaser = vmt_atomic_load_relaxed(&ring->control->releaser);

	return vmt_atomic_load_relaxed(&ring->control->tail) + 1 + (releaser << 32);
}

/* Where nobody collects. False: there is nothing that can make room. */
static bool
discard(struct wait *wait, enum vmt_ring_class ring_class)
{
	if (vmt_atomic_load_relaxed(wait->stuck_end) == end_of(wait->ring))
		return false;
	if (vmt_ring_discard_oldest(wait->ring,
				    ring_class == VMT_RING_HEAP ? kind_of_heap : kind_of_map))
		return true;
	if (++wait->discards % YIELD_EACH_TURNS == 0 && vmt_guard_syscalls_allowed())
		vmt_sys_call0(SYS_sched_yield);
	if (wait->discards < DISCARD_TURNS)
		return true;
	vmt_atomic_store_relaxed(wait->stuck_end, end_of(wait->ring));
	return false;
}

/* Whether all that moves is dead slots: head goes round and round over them. */
static bool
ring_exhausted(const struct wait *wait)
{
	uint64_t head = vmt_atomic_load_relaxed(&wait->ring->control->head);

	return head - wait->head >= wait->ring->capacity && vmt_ring_is_exhausted(wait->ring);
}

/* The ring is full: waits for a slot, or makes one where nobody collects. NULL: drop the event. */
static void *__attribute__((noinline))
make_room_slow(const struct vmt_ring_view *ring, enum vmt_ring_class ring_class,
	       enum full_policy policy, uint64_t *position)
{
	struct wait wait = {.ring = ring,
			    .vain_tail = word_of(vain_tails, ring),
			    .stuck_end = word_of(stuck_ends, ring),
			    .head = vmt_atomic_load_relaxed(&ring->control->head)};

	look_around(&wait);
	while (!ring_exhausted(&wait)) {
		void *slot;

		if (no_collector(&wait, policy)) {
			if (!discard(&wait, ring_class))
				return NULL;
		} else if (is_over(&wait, policy)) {
			return NULL;
		} else {
			wait_a_turn(wait.turn++);
		}
		slot = vmt_ring_claim(ring, position);
		if (slot)
			return slot;
	}
	return NULL;
}

/* Once while tail stays where it is: the collector that has been woken moves it. */
static void __attribute__((noinline))
wake_if_half_full_slow(const struct vmt_ring_view *ring, uint64_t position)
{
	struct vmt_recording *process = &vmt_recording;
	uint64_t tail = vmt_atomic_load_relaxed(&ring->control->tail);
	uint64_t *woken_tail = word_of(woken_tails, ring);
	uint64_t before = vmt_atomic_load_relaxed(woken_tail);

	if (position + 1 - tail < ring->capacity / 2 || before == tail + 1 || !process->session ||
	    !vmt_guard_syscalls_allowed())
		return;
	if (vmt_atomic_cas(woken_tail, &before, tail + 1))
		vmt_session_wake(process->session);
}

/* In a fork child that a signal handler has made meanwhile the ring is its parent's: a slot would
 * count as lost there. */
static void *
claim(const struct vmt_ring_view *ring, enum vmt_ring_class ring_class, uint8_t kind,
      enum full_policy policy, uint64_t *position)
{
	void *slot;

	if (__builtin_expect(vmt_guard_is_unopened(), 0))
		return NULL;
	slot = vmt_ring_claim(ring, position);
	vmt_assert(kind != 0 && kind < VMT_EVENT_KINDS);
	if (__builtin_expect(!slot, 0)) {
		slot = make_room_slow(ring, ring_class, policy, position);
		if (!slot)
			vmt_atomic_add_relaxed(&ring->control->dropped[kind], 1);
	} else if (__builtin_expect(((*position + 1) & (ring->capacity / LOOKS_A_LAP - 1)) == 0,
				    0)) {
		wake_if_half_full_slow(ring, *position);
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
	if (vmt_atomic_load_relaxed(&vmt_guard_owner->state) == VMT_OWNER_NONE)
		return false;
	return vmt_ring_commit(ring, position);
}

static enum full_policy
heap_policy(uint8_t kind)
{
	if (vmt_recording.malloc_mode == VMT_MALLOC_ALL)
		return FULL_WAIT_WHILE_DRAINED;
	switch (kind) {
	case VMT_EVENT_FREE:
	case VMT_EVENT_DELETE:
	case VMT_EVENT_REALLOC_BEGIN:
	case VMT_EVENT_HEAP_UNDO:
		return FULL_WAIT_BOUNDED;
	default:
		return FULL_DROP;
	}
}

bool
vmt_emit_heap(uint8_t kind, const void *block, uint64_t size, uint32_t stack, uint64_t time)
{
	const struct vmt_ring_view *ring = ring_of(VMT_RING_HEAP);
	uint64_t position;
	struct vmt_heap_event *slot =
	    claim(ring, VMT_RING_HEAP, kind, heap_policy(kind), &position);

	if (!slot)
		return false;
	vmt_assert(kind < VMT_EVENT_FIRST_OF_MAP);
	vmt_assert(ring->slot_bytes == sizeof(*slot));
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
	void *slot = claim(ring, VMT_RING_MAP, event->kind, FULL_WAIT_BOUNDED, &position);

	if (!slot)
		return false;
	vmt_assert(ring->slot_bytes == sizeof(*event));
	event->thread = vmt_emit_thread_id();
	memcpy((unsigned char *)slot + skip, (const unsigned char *)event + skip,
	       sizeof(*event) - skip);
	return commit(ring, position);
}
