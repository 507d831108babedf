/*
 * bound.h: limits how large a trace gets
 *
 * What a trace has beside its fixed part is shared out between the heap's events (a half where all
 * of malloc is recorded, else an eighth), those of the map family, and snapshots and readings of
 * RSS (three sixteenths). None can take another's share: each storm harms its own kind alone.
 *
 *   heap      thinned (format/thin.h), never cut: a share has VMT_BOUND_UNITS units, level 0 takes
 *             two of them and each later level one. Twice the events cost one unit more, so a
 *             trace of any length keeps blocks of all ages, as many of each doubling.
 *   map       whole, or nothing: half a history of who mapped what would give pages to the wrong
 *             owner. When the share is used up the recording of events and snapshots ends.
 *   others    from when half of the share is used, in distances that grow with the time since the
 *             beginning, so that twice the time costs the same again. The last eighth is for
 *             snapshots that somebody asks for, the last sixteenth for readings alone. Sampled page
 *             faults have a quarter of it at most.
 *
 * The last part of a file system's free space is never used either, so that the program can still
 * write. Single-threaded.
 */
#ifndef VMT_BOUND_H
#define VMT_BOUND_H

#include "format/chunk.h"
#include "format/thin.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_BOUND_LEAST_BYTES (UINT64_C(1) << 20) /* for what comes behind the fixed part */
#define VMT_BOUND_UNITS 24u

enum vmt_bound_share { VMT_BOUND_HEAP, VMT_BOUND_MAP, VMT_BOUND_OTHERS, VMT_BOUND_SHARES };

struct vmt_bound {
	uint64_t end_bytes; /* of the file; 0: there is no bound */
	uint64_t most[VMT_BOUND_SHARES];
	uint64_t used[VMT_BOUND_SHARES];
	uint64_t begun_ns;
	uint64_t touch_bytes; /* of the others': chunks of page faults */
	uint64_t usages;      /* records written */
	uint64_t snapshots;
	uint64_t usage_part; /* each is at least this part of the time since the beginning apart */
	uint64_t snapshot_part; /* from the next; 0: they come as they would */
	uint64_t space_due_ns;	/* when the free space is asked for again */
	bool lacks_space;
	bool is_full; /* the owner's: events and snapshots are recorded no more */
};

/* A file of max_bytes (0: any size). What comes behind the layout's regions, which are there, has
 * VMT_BOUND_LEAST_BYTES at the least. */
void vmt_bound_begin(struct vmt_bound *bound, uint64_t max_bytes, const struct vmt_head *layout,
		     uint64_t now_ns);

/* Whether a chunk of so many bytes, header and all, may be written at the file's end: 0, -EFBIG or
 * -ENOSPC. An END chunk always may. */
int vmt_bound_check(const struct vmt_bound *bound, const struct vmt_chunk *chunk, uint64_t bytes,
		    uint64_t end_bytes);
/* It was. */
void vmt_bound_note(struct vmt_bound *bound, const struct vmt_chunk *chunk, uint64_t bytes);
/* So many of the map family's bytes were the heap's: releases of large blocks. */
void vmt_bound_move(struct vmt_bound *bound, uint64_t bytes);

/* The level for the heap's events now. */
uint32_t vmt_bound_level(const struct vmt_bound *bound);

/* Whether the events' share is as good as used up: there is room for what the rings hold, and for a
 * last snapshot. */
bool vmt_bound_is_spent(const struct vmt_bound *bound);

/* Whether what is left of the others' share is kept for a snapshot that somebody asks for. */
bool vmt_bound_is_scarce(const struct vmt_bound *bound);

/* How far apart two readings, or snapshots (`part` says which), must be; 0: no matter. */
uint64_t vmt_bound_distance_ns(const struct vmt_bound *bound, uint64_t part, uint64_t now_ns);

/* The recording ends, and gives back more than it still writes: free space is no matter now. */
void vmt_bound_finish(struct vmt_bound *bound);

/* Looks at the free space of the file's file system, ten times a second at most. */
void vmt_bound_look(struct vmt_bound *bound, int fd, uint64_t now_ns);

#endif
