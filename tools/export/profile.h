/*
 * profile.h: the rows of a report as stacks with values that add up.
 *
 * What profile viewers read: each row is a stack, perhaps with a leaf that is no code, and a value
 * for each metric. At the report's snapshot the rows are a partition of the address space: the sum
 * of committed_space is RSS, that of inuse_space the virtual size, that of swapped_space what is
 * swapped, and the rows of a class add up to the report's row of that class. So memory that blocks
 * of malloc lie in counts for the call that allocated the block, and only what no block has for the
 * call that mapped it. Where blocks are sampled, a class's estimates are made to add up to it.
 *
 * Values over the run (alloc_objects, alloc_space, released_space) are those of the report's sites.
 *
 * The profile points into the report, which must outlive it. One thread's.
 */
#ifndef VMT_PROFILE_H
#define VMT_PROFILE_H

#include "tools/model/report/report.h"

#include <stddef.h>
#include <stdint.h>

#define VMT_METRICS_OF_PROFILE(X)                                                                  \
	X(ALLOC_OBJECTS, "alloc_objects", "count")                                                 \
	X(ALLOC_SPACE, "alloc_space", "bytes")                                                     \
	X(INUSE_OBJECTS, "inuse_objects", "count")                                                 \
	X(INUSE_SPACE, "inuse_space", "bytes")                                                     \
	X(RELEASED_SPACE, "released_space", "bytes")                                               \
	X(SWAPPED_SPACE, "swapped_space", "bytes")                                                 \
	X(COMMITTED_SPACE, "committed_space", "bytes")

enum vmt_metric {
#define X(name, text, unit) VMT_METRIC_##name,
	VMT_METRICS_OF_PROFILE(X)
#undef X
	    VMT_METRICS
};

/* The metrics' names, by enum vmt_metric; NULL ends them. */
extern const char *const vmt_profile_metric_names[VMT_METRICS + 1];
/* "bytes" or "count". */
const char *vmt_profile_metric_unit(enum vmt_metric metric);

/* What a viewer can show. */
#define VMT_PROFILE_MOST_ROWS 16000u

/* The only frame of a row without a stack and without a leaf. */
#define VMT_PROFILE_NO_STACK "[no stack]"

struct vmt_profile_row {
	const char *leaf;		      /* "[malloc retained]", "[file PATH]"; or NULL */
	const struct vmt_stack_frames *stack; /* innermost first; NULL: no call is known */
	const char *class;
	const char *kind; /* the call; "" where none is known */
	uint64_t values[VMT_METRICS];
	bool estimate;
	size_t number; /* while rows are sorted */
};

struct vmt_profile {
	struct vmt_profile_row *rows; /* most committed first */
	size_t count;
	uint64_t totals[VMT_METRICS];
	size_t joined_rows; /* so many small ones are in rows "[smaller rows]", one a class */
	uint64_t joined_committed_bytes;
	struct vmt_string_set *strings;
};

/* The smallest rows beyond `most` are joined by class. NULL: no memory. */
struct vmt_profile *vmt_profile_make(const struct vmt_report *report, size_t most);
void vmt_profile_free(struct vmt_profile *profile);

/* Text that begins so: what a reader of any profile has to know, line by line: the first sentence,
 * the snapshot, losses, blind spots. Calls say(context, line) for each. */
void vmt_profile_comments(const struct vmt_report *report, const struct vmt_profile *profile,
			  void (*say)(void *context, const char *line), void *context);

#endif
