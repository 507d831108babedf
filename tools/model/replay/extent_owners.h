/*
 * extent_owners.h: gives pages to call sites and takes them back.
 *
 * Moves extents in and out of a replay's address space and keeps their sites' figures; for the
 * replay_*.c files. 0 or -ENOMEM.
 */
#ifndef VMT_EXTENT_OWNERS_H
#define VMT_EXTENT_OWNERS_H

#include "format/event.h"
#include "tools/model/replay/replay_state.h"

/* Gives the pieces' owners what was released, or takes it back (sign UINT64_MAX, that is -1 modulo
 * 2^64). `address_space`: the ranges themselves are gone too. */
void vmt_extent_owners_share_out(struct vmt_replay *replay, const struct vmt_extents *pieces,
				 uint64_t committed, bool address_space, uint64_t sign);

/* Where the event's committed bytes are a sample, so is what its pieces' owners gave back. */
void vmt_extent_owners_note_sampled(struct vmt_replay *replay, const struct vmt_extents *pieces,
				    const struct vmt_event *event);

/* A range is about to be acquired: whoever still has a part of it loses it, a contradiction unless
 * it is from before the trace began. */
int vmt_extent_owners_clear_way(struct vmt_replay *replay, uint64_t start, uint64_t end);

/* A new acquisition of the event's site; fills in site and, where it is 0, call: an extent that
 * goes on with what an earlier call made has that one's. */
int vmt_extent_owners_acquire(struct vmt_replay *replay, const struct vmt_event *event,
			      struct vmt_extent *extent);

/* The pieces' parts below `end` come back as they were, where nobody has taken their place. */
int vmt_extent_owners_put_back(struct vmt_replay *replay, const struct vmt_extents *pieces,
			       uint64_t end);

#endif
