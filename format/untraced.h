/*
 * untraced.h: a process of the tree that has no trace, as another's trace tells of it
 *
 * The payload of an UNTRACED chunk is an array of them. A fork child that ended early, or could not
 * be observed, has none; traces of small or idle processes are removed at their ends. What they had
 * in RAM is in no other trace. One process may be told of several times: later readings are larger.
 */
#ifndef VMT_UNTRACED_H
#define VMT_UNTRACED_H

#include <stdint.h>

enum vmt_untraced_why {
	VMT_UNTRACED_BRIEF = 1,	  /* it had ended before it was looked at: nothing was read */
	VMT_UNTRACED_EARLY = 2,	  /* observed from outside, it ended before its trace had a name */
	VMT_UNTRACED_REMOVED = 3, /* its trace was removed */
	VMT_UNTRACED_REFUSED = 4, /* it could not be observed */
	/* A program that loads no library was executed, and the recorder was not put into it. */
	VMT_UNTRACED_STATIC = 5,
};

/* end_ns of one that was there when it was written down. */
#define VMT_UNTRACED_RUNS UINT64_MAX

/* Times: CLOCK_MONOTONIC. Figures that nobody read are VMT_FIGURE_UNKNOWN. */
struct vmt_untraced {
	uint64_t start_ns;  /* of the fork, or when the process was found */
	uint64_t end_ns;    /* when it was found to have ended */
	uint64_t random_id; /* of the trace that it had; 0: none */
	uint64_t rss_bytes; /* the most that was read */
	uint64_t private_bytes;
	uint32_t pid;
	uint32_t why; /* enum vmt_untraced_why */
};

_Static_assert(sizeof(struct vmt_untraced) == 48, "records of processes without a trace");

#endif
