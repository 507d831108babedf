/*
 * rank.h: which sites come first.
 *
 * An order of a report's sites by one figure, largest first; equals by the next figure, so that the
 * order is always the same. And the frame that names a site for a person: the innermost one that is
 * not the C or C++ library's, Go's runtime's, vmtrace's or an allocator's wrapper
 * (allocator_wrappers.h), nor C code without names that Go code calls.
 */
#ifndef VMT_RANK_H
#define VMT_RANK_H

#include "tools/model/report/report.h"

enum vmt_rank_by {
	VMT_RANK_COMMITTED,
	VMT_RANK_GAP, /* reserved and not in RAM */
	VMT_RANK_NEVER_TOUCHED,
	VMT_RANK_RESERVED,
	VMT_RANK_RELEASED,
	VMT_RANK_COUNT,
	VMT_RANK_LEAKED,    /* bytes of blocks that were live at the end */
	VMT_RANK_TEMPORARY, /* blocks freed before their thread's next allocation */
};

/* The words of --sort, by enum vmt_rank_by; ends with NULL. */
extern const char *const vmt_rank_words[];

/* The figure that a site is ranked by. */
uint64_t vmt_rank_figure(const struct vmt_site *site, enum vmt_rank_by by);

/* Pointers to the report's sites in order, to be freed; NULL when out of memory or there is none.
 */
const struct vmt_site **vmt_rank_sites(const struct vmt_report *report, enum vmt_rank_by by);

/* Index of the frame that names the stack; 0 where no frame is the program's own. */
size_t vmt_rank_owner(const struct vmt_stack_frames *stack);

/* How many frames are worth showing: without the C library's that started main or the thread. */
size_t vmt_rank_depth(const struct vmt_stack_frames *stack);

/* A frame that only leads from Go code to C code, the other way, or to a system call: what called
 * it says more. */
bool vmt_rank_is_passage(const struct vmt_frame *frame);

/* The frames that a row shows, one after the other: the one that names it, then so many callers
 * that are no passages. An address says little: where none of these has a name, the first caller
 * that has one comes too, or where no caller has, one more place in a file. */
struct vmt_rank_walk {
	const struct vmt_stack_frames *stack;
	size_t next;
	size_t end;
	size_t callers; /* that are still to come */
	bool begun;	/* the owner came */
	bool named;	/* one that came has a name */
	bool skipped; /* before the last one that came, frames were left out that are no passages */
};

void vmt_rank_walk_begin(struct vmt_rank_walk *walk, const struct vmt_stack_frames *stack,
			 size_t callers);
/* NULL: there are no more. */
const struct vmt_frame *vmt_rank_walk_next(struct vmt_rank_walk *walk);

#endif
