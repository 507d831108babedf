#include "format/ring.h"

/* Counts a failed discard of `position`. The word holds the position beside the number, so that it
 * starts afresh by itself when the oldest position is another one. True = the limit is reached. */
static bool
stall(struct vmt_ring *control, uint64_t position)
{
	uint64_t base = position * (2 * VMT_RING_STALL_LIMIT);
	uint64_t found = vmt_atomic_load_relaxed(&control->stalls);
	uint64_t count = found - base;

	if (count >= VMT_RING_STALL_LIMIT && count < 2 * VMT_RING_STALL_LIMIT)
		return true;
	if (count > VMT_RING_STALL_LIMIT)
		count = 0;
	/* A lost race loses one count: the limit is no exact number. */
	(void)vmt_atomic_cas(&control->stalls, &found, base + count + 1);
	return false;
}

/* Tells readers that from now on each release has to be a swap. False: one releases without. */
static bool
contest(struct vmt_ring *control)
{
	uint32_t found = vmt_atomic_load_acquire(&control->releaser);

	if (found == VMT_RING_CONTESTED)
		return true;
	if (found != 0 && found != VMT_RING_RELEASER_DIED)
		return false;
	/* A reader that comes later finds its own swap refused. One that came between releases
	 * now; another producer has said the same. */
	return vmt_atomic_cas(&control->releaser, &found, VMT_RING_CONTESTED) ||
	       found == VMT_RING_CONTESTED;
}

static bool
discard_committed(const struct vmt_ring_view *ring, uint64_t position,
		  uint8_t (*kind_of)(const void *slot))
{
	/* Perhaps another lap's content by now; then the release fails and it is not used. */
	uint8_t kind = kind_of(vmt_ring_sequence(ring, position)) % VMT_EVENT_KINDS;

	/* The collector may have copied the event already: it then finds its own release refused,
	 * and takes this count back (vmt_ring_uncount). */
	if (!vmt_ring_release(ring, position, VMT_RING_COMMITTED))
		return false;
	vmt_atomic_add_relaxed(&ring->control->overwritten[kind], 1);
	return true;
}

bool
vmt_ring_discard_oldest(const struct vmt_ring_view *ring, uint8_t (*kind_of)(const void *slot))
{
	enum vmt_ring_state state;
	uint64_t tail;

	if (!contest(ring->control))
		return false;
	tail = vmt_atomic_load_acquire(&ring->control->tail);
	state = vmt_ring_look(ring, tail);
	switch (state) {
	case VMT_RING_COMMITTED:
		return discard_committed(ring, tail, kind_of);
	case VMT_RING_BUSY:
		if (!stall(ring->control, tail) || !vmt_ring_release(ring, tail, state))
			return false;
		vmt_atomic_add_relaxed(&ring->control->abandoned, 1);
		return true;
	case VMT_RING_DEAD:
	case VMT_RING_DEAD_DONE:
		if (!vmt_ring_release(ring, tail, state))
			return false;
		vmt_atomic_add_relaxed(&ring->control->stepped, 1);
		return true;
	case VMT_RING_RELEASED:
		return vmt_ring_release(ring, tail, state);
	case VMT_RING_EMPTY:
		break;
	}
	return false;
}

void
vmt_ring_uncount(const struct vmt_ring_view *ring, uint8_t kind)
{
	/* Modulo 2^64: the producer's own addition may be still to come. */
	vmt_atomic_add_relaxed(&ring->control->overwritten[kind % VMT_EVENT_KINDS], UINT64_MAX);
}

bool
vmt_ring_is_exhausted(const struct vmt_ring_view *ring)
{
	for (uint32_t i = 0; i < ring->capacity; i++) {
		uint32_t found = vmt_atomic_load_relaxed(vmt_ring_sequence(ring, i));

		if ((found & (ring->capacity - 1)) != 2)
			return false;
	}
	return true;
}
