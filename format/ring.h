/*
 * ring.h: a queue that takes an event from any thread to the collector without a lock
 *
 * A bounded queue of fixed slots after D. Vyukov's multi-producer queue, in memory that outlives
 * the process. Each slot starts with its own 32-bit sequence number; all state is in it. For the
 * slot at position p (index p mod capacity), with C = capacity (a power of two, at least 8):
 *
 *     p          free: the writer whose claim of head wins p may fill it
 *     p          and head > p: claimed, being filled
 *     p + 1      committed: readers may take it
 *     p + C      released for the next lap (= free at position p + C)
 *     p + 2      dead: given up in an earlier lap, its late writer may still scribble in it;
 *                both sides step over it
 *     p + 3      dead, but its writer has come back and left: the reader frees it for lap p + C
 *
 * The four residues modulo C never collide as C >= 8. docs/ring.md has the proof.
 *
 * Ownership: producers move head; whoever releases a slot helps tail along. Between claim and
 * commit a slot belongs to its writer alone, until the reader gives it up; a given-up slot is not
 * used again before its late writer has said that it is done, so no two writers share a slot.
 *
 * A reader's round: start at tail or at its own cursor, whichever is later; for each position
 * vmt_ring_look; COMMITTED is taken with vmt_ring_copy, BUSY ends the round (or, after a while, is
 * given up by vmt_ring_release); what was copied goes to the file; only then is it released, by
 * vmt_ring_release_filed for each and vmt_ring_help_tail for all. Beside it, where nobody seems to
 * collect, producers may discard. In a ring of which nobody has discarded yet the reader may take
 * the releases for itself (vmt_ring_begin_release), and needs no locked instruction for each.
 *
 * Thread and signal safety: every function is lock-free and async-signal-safe.
 */
#ifndef VMT_RING_H
#define VMT_RING_H

#include "base/assert.h"
#include "base/atomic.h"
#include "format/event.h"

#include <stddef.h>
#include <stdint.h>

#define VMT_RING_MIN_CAPACITY 8u

/* Attempts to discard a slot that is claimed and not committed, before it is given up. Used only
 * where nobody collects, so that one dead writer does not end the recording. */
#define VMT_RING_STALL_LIMIT 4096u

/* vmt_ring.releaser, beside 0 and the kernel's id of a thread: producers have discarded, for ever
 * after each release is a swap; the thread died while it released (FUTEX_OWNER_DIED of
 * linux/futex.h, which the kernel leaves of the id: robust futexes, set_robust_list(2)). */
#define VMT_RING_CONTESTED (1u << 31)
#define VMT_RING_RELEASER_DIED (1u << 30)

/* Control words of one ring, in the trace file's head. Cache lines are kept apart: producers write
 * the first, the side that releases the second, the slow path the third. */
struct vmt_ring {
	_Alignas(64) uint64_t head; /* next position to claim */
	_Alignas(64) uint64_t tail; /* every position below has been released; may lag */
	uint64_t stalls;	    /* failed discards: position, and how many at it */
	uint32_t releaser; /* the thread that releases without swaps; 0 = none; VMT_RING_* */
	_Alignas(64) uint64_t dropped[VMT_EVENT_KINDS];	    /* never got a slot */
	_Alignas(64) uint64_t overwritten[VMT_EVENT_KINDS]; /* discarded to make room */
	uint64_t abandoned; /* slots given up by a producer, where nobody collects */
	uint64_t stepped;   /* dead slots that a producer stepped over when discarding */
};

/* One side's handle on a ring: private memory, validated sizes. */
struct vmt_ring_view {
	struct vmt_ring *control;
	unsigned char *slots;
	uint32_t capacity; /* slots, power of two */
	uint32_t slot_bytes;
};

/* A slot's content, whatever its type, as a reader copies it. */
struct vmt_ring_word {
	uint64_t value;
} __attribute__((may_alias));

enum vmt_ring_state {
	VMT_RING_EMPTY, /* nothing at this position yet */
	VMT_RING_BUSY,	/* claimed, not committed */
	VMT_RING_COMMITTED,
	VMT_RING_RELEASED,  /* already taken or discarded by the other side */
	VMT_RING_DEAD,	    /* given up earlier; step over */
	VMT_RING_DEAD_DONE, /* given up earlier; its writer has left */
};

/* The slot's sequence word of a position: it holds the sequence less the slot's index, so that
 * zeroed memory is an empty ring, and nobody touches a page of it before its first use. */
static inline uint32_t *
vmt_ring_sequence(const struct vmt_ring_view *ring, uint64_t position)
{
	uint64_t index = position & (ring->capacity - 1);

	vmt_assert(ring->capacity >= VMT_RING_MIN_CAPACITY);
	vmt_assert((ring->capacity & (ring->capacity - 1)) == 0);
	return (uint32_t *)(void *)(ring->slots + index * ring->slot_bytes);
}

/* What the word of a free slot holds at this position: the others add to it. */
static inline uint32_t
vmt_ring_lap(const struct vmt_ring_view *ring, uint64_t position)
{
	return (uint32_t)position & ~(ring->capacity - 1);
}

/*
 * Claims the next position for writing. Returns the slot, or NULL when the ring is full; *position
 * is to be passed to vmt_ring_commit. The acquire load of the sequence orders the reader's last
 * look at the slot before the writes that follow.
 */
static inline void *
vmt_ring_claim(const struct vmt_ring_view *ring, uint64_t *position)
{
	uint64_t head = vmt_atomic_load_relaxed(&ring->control->head);

	for (;;) {
		uint32_t *sequence = vmt_ring_sequence(ring, head);
		int32_t state =
		    (int32_t)(vmt_atomic_load_acquire(sequence) - vmt_ring_lap(ring, head));

		if (state == 0 || state == 2 || state == 3) {
			/* From this swap on the position is this writer's alone: others find head
			 * beyond it and claim the next one, readers find the slot BUSY. */
			if (vmt_atomic_cas(&ring->control->head, &head, head + 1)) {
				if (state == 0) {
					*position = head;
					return sequence;
				}
				head++; /* stepped over a dead slot */
			}
		} else {
			/* Full, or head was stale. (state > 0 with head unmoved would be memory
			 * that the program overwrote: no claim either, and no endless loop.) */
			uint64_t now = vmt_atomic_load_relaxed(&ring->control->head);

			if (now == head)
				return NULL;
			head = now;
		}
	}
}

/*
 * Publishes a filled slot. The release half of the swap orders the slot's content before its
 * sequence. Returns false when the reader had given the slot up: the event is lost (the reader
 * counted it) and the slot is marked as no longer written to. In any other state (a fork in a
 * signal handler let two processes come back to one claim) the slot is left alone.
 */
static inline bool
vmt_ring_commit(const struct vmt_ring_view *ring, uint64_t position)
{
	uint32_t *sequence = vmt_ring_sequence(ring, position);
	uint32_t expected = vmt_ring_lap(ring, position);

	/* Whoever loads this sequence with acquire (vmt_ring_look) sees the whole slot. A writer
	 * that dies before this leaves a BUSY slot, which readers give up. */
	if (vmt_atomic_cas(sequence, &expected, expected + 1))
		return true;
	/* Given up meanwhile: 2 becomes 3, in whatever lap. Who sees 3 knows that nobody writes to
	 * the slot any more, and may free it. */
	while ((expected & (ring->capacity - 1)) == 2)
		if (vmt_atomic_cas(sequence, &expected, expected + 1))
			break;
	return false;
}

/*
 * State of a position as a reader sees it now. A position that nobody has claimed or stepped over
 * yet is EMPTY, also where the slot is dead: releasing it would take it out of the line for ever.
 * The acquire load of the sequence comes before that of head.
 */
static inline enum vmt_ring_state
vmt_ring_look(const struct vmt_ring_view *ring, uint64_t position)
{
	uint32_t found = vmt_atomic_load_acquire(vmt_ring_sequence(ring, position));
	int32_t state = (int32_t)(found - vmt_ring_lap(ring, position));

	if (state == 1)
		return VMT_RING_COMMITTED;
	if (state > 3)
		return VMT_RING_RELEASED;
	if (state < 0 || position >= vmt_atomic_load_acquire(&ring->control->head))
		return VMT_RING_EMPTY;
	if (state == 0)
		return VMT_RING_BUSY;
	return state == 2 ? VMT_RING_DEAD : VMT_RING_DEAD_DONE;
}

/*
 * Copies the slot of a COMMITTED position, slot_bytes of it. Returns false when a producer
 * discarded it meanwhile: what was copied may be torn and is not to be used. The fence orders the
 * copy before the second look at the sequence (and at tail, which no sequence of another lap can
 * stand in for).
 */
static inline bool
vmt_ring_copy(const struct vmt_ring_view *ring, uint64_t position, void *copy)
{
	uint32_t *sequence = vmt_ring_sequence(ring, position);
	const struct vmt_ring_word *from = (const struct vmt_ring_word *)(const void *)sequence;
	struct vmt_ring_word *to = copy;

	vmt_assert(ring->slot_bytes % sizeof(*to) == 0);
	/* A producer may discard and refill the slot under this loop: the two looks behind it
	 * tell. */
#pragma GCC unroll 4
	for (uint32_t i = 0; i < ring->slot_bytes / sizeof(*to); i++)
		to[i].value = vmt_atomic_load_relaxed(&from[i].value);
	vmt_atomic_fence_acquire();
	return vmt_atomic_load_relaxed(sequence) == vmt_ring_lap(ring, position) + 1 &&
	       vmt_atomic_load_relaxed(&ring->control->tail) <= position;
}

/*
 * Brings tail over every position that has been released, in whatever order and by whomever; so a
 * side that was killed after its swap of a sequence holds nobody up. A released position stays
 * released: what was seen so in a row can be stepped over in one swap, and a tail that moved on
 * meanwhile makes it fail, and the look begins anew from there.
 */
static inline void
vmt_ring_help_tail(const struct vmt_ring_view *ring)
{
	uint64_t tail = vmt_atomic_load_acquire(&ring->control->tail);
	uint64_t stop = tail + ring->capacity;

	while (tail < stop) {
		uint64_t end = tail;

		while (end < stop && vmt_ring_look(ring, end) == VMT_RING_RELEASED)
			end++;
		if (end == tail)
			return;
		vmt_assert(end > tail && end <= stop);
		/* Tail tells readers and discarders where to begin, and no writer whether there is
		 * room: one that lags behind costs nothing. */
		if (vmt_atomic_cas(&ring->control->tail, &tail, end))
			tail = end;
	}
}

/* Moves a position out of `state` (as seen by vmt_ring_look) into the next lap. False when the slot
 * changed in between. The release half of the swap orders what was read of the slot before its next
 * use. */
static inline bool
vmt_ring_pass_on(const struct vmt_ring_view *ring, uint64_t position, enum vmt_ring_state state)
{
	static const uint8_t offset_from[] = {
	    [VMT_RING_COMMITTED] = 1, [VMT_RING_DEAD] = 2, [VMT_RING_DEAD_DONE] = 3};
	uint32_t expected = vmt_ring_lap(ring, position) + offset_from[state];
	uint32_t desired = vmt_ring_lap(ring, position) + ring->capacity;

	vmt_assert(state != VMT_RING_EMPTY && state != VMT_RING_RELEASED);
	if (state == VMT_RING_BUSY || state == VMT_RING_DEAD)
		desired += 2;
	/* From one of the four residues of this lap to 0 or 2 of the next. */
	vmt_assert((expected & (ring->capacity - 1)) <= 3);
	vmt_assert((desired & (ring->capacity - 1)) == 0 || (desired & (ring->capacity - 1)) == 2);
	/* From this swap on the writer of the next lap may fill the slot (or, after BUSY and DEAD,
	 * both sides step over it). Of two who try, the other finds the slot changed. */
	return vmt_atomic_cas(vmt_ring_sequence(ring, position), &expected, desired);
}

/*
 * Releases a position in `state`, and helps tail past it. A BUSY slot is thereby given up. Returns
 * false when the slot changed in between: look again.
 */
static inline bool
vmt_ring_release(const struct vmt_ring_view *ring, uint64_t position, enum vmt_ring_state state)
{
	if (state != VMT_RING_RELEASED && !vmt_ring_pass_on(ring, position, state))
		return false;
	vmt_ring_help_tail(ring);
	return true;
}

/* A producer has discarded what the reader had filed, and so counted it as overwritten: takes the
 * count back. */
void vmt_ring_uncount(const struct vmt_ring_view *ring, uint8_t kind);

/* Releases a position whose event the reader has copied and put into the file. Tail stays behind:
 * who has released a batch calls vmt_ring_lead_tail or vmt_ring_help_tail. */
static inline void
vmt_ring_release_filed(const struct vmt_ring_view *ring, uint64_t position, uint8_t kind)
{
	if (__builtin_expect(!vmt_ring_pass_on(ring, position, VMT_RING_COMMITTED), 0))
		vmt_ring_uncount(ring, kind);
}

/*
 * Takes the releases of committed slots for the calling thread, by the kernel's id of it. From here
 * to vmt_ring_end_release no producer discards. False: one has discarded, or another thread died
 * at this; vmt_ring_release_filed is always right. The thread has to have the word on the kernel's
 * list of robust futexes by now, or producers would wait in vain for the end where it is killed:
 * they drop events then. The swap's acquire half orders all discards before it.
 */
static inline bool
vmt_ring_begin_release(const struct vmt_ring_view *ring, uint32_t thread)
{
	uint32_t nobody = 0;

	vmt_assert(thread != 0 && thread < VMT_RING_RELEASER_DIED);
	return vmt_atomic_cas(&ring->control->releaser, &nobody, thread);
}

/* The release orders the slots' sequences before it: who discards next sees them. */
static inline void
vmt_ring_end_release(const struct vmt_ring_view *ring)
{
	vmt_atomic_store_release(&ring->control->releaser, 0);
}

/* As vmt_ring_release_filed, between vmt_ring_begin_release and vmt_ring_end_release: nobody else
 * changes a committed slot meanwhile. One that is not was damaged by the program. */
static inline void
vmt_ring_release_alone(const struct vmt_ring_view *ring, uint64_t position, uint8_t kind)
{
	uint32_t *sequence = vmt_ring_sequence(ring, position);
	uint32_t lap = vmt_ring_lap(ring, position);

	/* From this store on the writer of the next lap may fill the slot. Its release half orders
	 * what was read of the slot before that. */
	if (__builtin_expect(vmt_atomic_load_relaxed(sequence) == lap + 1, 1))
		vmt_atomic_store_release(sequence, lap + ring->capacity);
	else
		vmt_ring_uncount(ring, kind);
}

/* Brings tail from a batch's first position over the whole of it. The caller knows that each has
 * been released, by itself or by others. Where tail is elsewhere, it is helped along as ever. */
static inline void
vmt_ring_lead_tail(const struct vmt_ring_view *ring, uint64_t first, uint64_t end)
{
	uint64_t tail = first;

	vmt_assert(first <= end && end - first <= ring->capacity);
	if (!vmt_atomic_cas(&ring->control->tail, &tail, end))
		vmt_ring_help_tail(ring);
}

/*
 * Makes room where nobody collects: discards the oldest position. Returns false when the oldest is
 * being filled right now (try again; after VMT_RING_STALL_LIMIT failures it is given up), the ring
 * is empty, or a reader releases right now. `kind_of` tells the kind of a committed slot, for the
 * account of losses.
 */
bool vmt_ring_discard_oldest(const struct vmt_ring_view *ring,
			     uint8_t (*kind_of)(const void *slot));

/* Whether no slot is left: each was claimed by a writer that never came back. Looks at all. */
bool vmt_ring_is_exhausted(const struct vmt_ring_view *ring);

#endif
