/*
 * fail_over.h: the growth that --fail-over allows, and whether a diff exceeds it.
 *
 * The value of --fail-over: figure=growth, several with commas between. A figure is committed,
 * reserved (both without vmtrace's own), rss or virtual (the kernel's); growth is a percentage of A
 * or bytes with a unit. What shrinks exceeds nothing.
 */
#ifndef VMT_FAIL_OVER_H
#define VMT_FAIL_OVER_H

#include "tools/err.h"
#include "tools/model/diff/diff.h"

enum vmt_fail_over_figure {
	VMT_LIMIT_COMMITTED,
	VMT_LIMIT_RESERVED,
	VMT_LIMIT_RSS,
	VMT_LIMIT_VIRTUAL,
	VMT_FAIL_OVER,
};

struct vmt_limit {
	bool set;
	bool is_share;
	double percent;
	uint64_t bytes;
};

struct vmt_fail_over {
	struct vmt_limit of[VMT_FAIL_OVER];
};

/* 0, or -EINVAL. */
int vmt_fail_over_parse(struct vmt_fail_over *limits, const char *text, struct vmt_err *err);

/* How many are exceeded, with a message that names each. -ENODATA where there is nothing to
 * compare: a trace has no snapshot, its process replaced itself (exec), or both are one snapshot.
 */
int vmt_fail_over_check(const struct vmt_fail_over *limits, const struct vmt_diff *diff,
			struct vmt_err *err);

#endif
