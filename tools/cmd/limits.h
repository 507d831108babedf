/*
 * limits.h: by how much may one recording exceed another?
 *
 * The value of --fail-over: figure=growth, several with commas between. A figure is committed,
 * reserved (both without vmtrace's own), rss or virtual (the kernel's); growth is a percentage of A
 * or bytes with a unit. What shrinks exceeds nothing.
 */
#ifndef VMT_LIMITS_H
#define VMT_LIMITS_H

#include "tools/err.h"
#include "tools/model/diff/diff.h"

enum vmt_limits_figure {
	VMT_LIMIT_COMMITTED,
	VMT_LIMIT_RESERVED,
	VMT_LIMIT_RSS,
	VMT_LIMIT_VIRTUAL,
	VMT_LIMITS,
};

struct vmt_limit {
	bool set;
	bool is_share;
	double percent;
	uint64_t bytes;
};

struct vmt_limits {
	struct vmt_limit of[VMT_LIMITS];
};

/* 0, or -EINVAL. */
int vmt_limits_parse(struct vmt_limits *limits, const char *text, struct vmt_err *err);

/* How many are exceeded, with a message that names each; -ENODATA where a trace has no snapshot. */
int vmt_limits_check(const struct vmt_limits *limits, const struct vmt_diff *diff,
		     struct vmt_err *err);

#endif
