/*
 * cuts_in_use.h: which cuts of a program's files can be made now, as the program stands?
 *
 * Not where its code is other than in the file, where a jump would lie in two pages, and where a
 * thread stands in what would be replaced, or may come back to it (standing.h). Single-threaded.
 */
#ifndef VMT_CUTS_IN_USE_H
#define VMT_CUTS_IN_USE_H

#include "inject/program_cuts.h"
#include "inject/stopped_threads.h"

/* Of the first `files` of the cuts, with all threads stopped. -EBUSY: something is in use. What
 * can't be replaced in any case gets another verdict; with `leave` what is in use, too, unless it
 * is Go's. Or negative errno. */
int vmt_cuts_in_use_check(struct vmt_program_cuts *cuts, uint32_t files,
			  const struct vmt_target *target,
			  const struct vmt_stopped_threads *threads, bool leave);

#endif
