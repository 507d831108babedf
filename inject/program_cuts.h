/*
 * program_cuts.h: the cuts of a program that stands still: planned, made and taken back
 *
 * Where they can be is found by cut_search.h. Stubs lie in a mapping of their own, readable and
 * executable from the beginning. A program that was linked for fixed addresses may map others near
 * itself: there the kernel chooses the place, and the text reaches it by jumps in what its last
 * page has left. Else, and where that is too little, they lie near it (base/near_place.h,
 * free_place.h).
 * Single-threaded. Errors: negative errno.
 */
#ifndef VMT_PROGRAM_CUTS_H
#define VMT_PROGRAM_CUTS_H

#include "inject/code_map.h"
#include "inject/cuts.h"
#include "inject/frame_index.h"
#include "inject/heap_hooks.h"
#include "inject/remote_call.h"
#include "inject/syscall_sites.h"
#include "inject/target_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_program_cuts {
	const struct vmt_wanted_calls *wanted;
	struct vmt_code_map map; /* once found, without the bytes */
	struct vmt_buffer sites; /* struct vmt_syscall_site */
	size_t sites_count;
	struct vmt_buffer cuts; /* struct vmt_cut */
	size_t cuts_count;
	struct vmt_heap_hooks heap;
	struct vmt_cut_veneers veneers; /* room 0: none; its bytes are in the next */
	struct vmt_buffer veneer_bytes; /* new ones, and behind them what was there */
	struct vmt_frame_index frames;	/* of the program, where it has none itself */
	uint64_t stubs;			/* 0: none are mapped */
	uint64_t stubs_bytes;		/* of the mapping */
	uint64_t index;			/* in it, behind the stubs; 0: none */
	/* The caller's to fill in before map; 0: no allocator is led. */
	uint64_t handlers[VMT_HEAP_ENTRIES_COUNT];
};

/* How many of the sites can be led to the recorder, known functions of Go's among them; and how
 * many can't, and where the first of these is. Those of sigaltstack alone don't count. */
size_t vmt_program_cuts_possible(const struct vmt_program_cuts *cuts);
size_t vmt_program_cuts_impossible(const struct vmt_program_cuts *cuts, uint64_t *first);

/* Whether a site that may make sigaltstack can't be led there. */
bool vmt_program_cuts_hide_alternates(const struct vmt_program_cuts *cuts);

/* Maps and writes the stubs and the index of frames by calls of the stopped thread; entry: where
 * they go. Without a site that can be cut, and a function that can be led: nothing. -ENOSPC: no
 * place within reach is free. */
int vmt_program_cuts_map(struct vmt_program_cuts *cuts, struct vmt_remote *remote, uint64_t entry);
void vmt_program_cuts_unmap(struct vmt_program_cuts *cuts, struct vmt_remote *remote);

/* Leaves the sites as they are that would have been cut, for want of a place. How many. */
uint64_t vmt_program_cuts_leave(struct vmt_program_cuts *cuts);

/* Whether a site can be led to the recorder as far as /proc/PID/maps shows it now. */
bool vmt_program_cuts_have_place(struct vmt_program_cuts *cuts, const struct vmt_target *target);

/* Writes the cuts into the text; all or none. No thread may run, or stand in one. */
int vmt_program_cuts_make(const struct vmt_program_cuts *cuts, const struct vmt_target *target);
int vmt_program_cuts_undo(const struct vmt_program_cuts *cuts, const struct vmt_target *target);

/* The two steps of that, where threads may be on their way to a stub: the jumps at once, the
 * veneers (cuts.h) when nobody stands in one. */
int vmt_program_cuts_undo_jumps(const struct vmt_program_cuts *cuts,
				const struct vmt_target *target);
int vmt_program_cuts_undo_veneers(const struct vmt_program_cuts *cuts,
				  const struct vmt_target *target);

void vmt_program_cuts_close(struct vmt_program_cuts *cuts);

#endif
