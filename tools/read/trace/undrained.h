/*
 * undrained.h: events that the rings still held, and the account of what was lost.
 *
 * The account. Every position of a ring below its head has one fate:
 *   read         an event in a chunk of the valid prefix, or, committed still, in the ring
 *   overwritten  committed, then discarded by a producer: control.overwritten, by kind
 *   abandoned    claimed, never committed: control.abandoned (given up by a producer),
 *                chunk.abandoned (given up by the collector), or found so in the ring
 *   dead         stepped over; no event ever was there
 *   missing      gone from the ring, in no chunk of the valid prefix and in no counter: the chunk
 *                was cut off or could not be written, or the collector died between giving up a
 *                slot and saying so. Where the collector has finished (head.collected_end), it
 *                had accounted for every position and freed the slots: a slot that is empty then
 *                is missing, too, not abandoned
 *   thinned      left out by the collector, so that the file stays within its bound: what of a
 *                chunk's positions is in no other of its counts, where its level is not 0; behind
 *                the last chunk of such a ring, and behind a full trace's (head.full_since), what
 *                else would be missing, unless the file is cut
 * and an event that never got a position is in control.dropped. chunk.overwritten and the ring's
 * released positions beyond the last chunk (or between two) are positions seen to be gone, the same
 * ones that the controls count, so they are never added to a loss; missing is by how many they
 * exceed the controls. So written = read + dropped + overwritten + abandoned + missing + thinned.
 *
 * Order, for a trace that is still being written: the rings are copied before the chunks are
 * walked. The collector appends a chunk before it releases the slots, so an event that leaves the
 * ring after the copy is dropped here as one that a chunk has, and none falls between.
 */
#ifndef VMT_UNDRAINED_H
#define VMT_UNDRAINED_H

#include "format/head.h"
#include "tools/read/trace/chunk_index.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/trace_loss.h"

struct vmt_undrained {
	struct vmt_ring *controls; /* [shards][VMT_RING_CLASSES], copied before the slots */
	struct vmt_ring *counters; /* the same, copied after them */
	unsigned char *slots;
	struct vmt_event *events; /* sorted by time */
	size_t count;
};

/* Copies the rings out of the file. */
int vmt_undrained_load(struct vmt_undrained *remains, const struct vmt_file_reader *file,
		       const struct vmt_head *head, struct vmt_err *err);

/* Takes the events that the chunks lack and adds up the losses; those of the file's end
 * (cut_bytes) are there already. Frees the copies. */
int vmt_undrained_settle(struct vmt_undrained *remains, const struct vmt_head *head,
			 const struct vmt_chunk_index *index, struct vmt_trace_loss *loss,
			 struct vmt_err *err);

void vmt_undrained_free(struct vmt_undrained *remains);

#endif
