/*
 * aggregate.h: call sites added up by function, file, module, class or thread.
 *
 * Each call site is in one row, by the frame that names it (rank.h), so that the rows and what no
 * call site has add up to RSS. Figures are bytes. One thread at a time.
 */
#ifndef VMT_AGGREGATE_H
#define VMT_AGGREGATE_H

#include "tools/model/report/report.h"
#include "tools/render/rank.h"

enum vmt_aggregate_by {
	VMT_AGGREGATE_NONE,
	VMT_AGGREGATE_FUNCTION,
	VMT_AGGREGATE_FILE,
	VMT_AGGREGATE_MODULE,
	VMT_AGGREGATE_CLASS, /* the one in which most of a call site's bytes lie */
	VMT_AGGREGATE_THREAD,
};

/* The words of --by; the first is of VMT_AGGREGATE_FUNCTION; ends with NULL. */
extern const char *const vmt_aggregate_words[];

struct vmt_aggregate_row {
	const char *name;
	size_t sites;
	struct vmt_site sum; /* its figures alone */
};

struct vmt_aggregate {
	struct vmt_aggregate_row *rows; /* by a figure, largest first */
	size_t count;
	struct vmt_site all; /* of all rows */
	struct vmt_string_set *strings;
};

/* 0 or -ENOMEM. */
int vmt_aggregate_make(struct vmt_aggregate *aggregate, const struct vmt_report *report,
		       enum vmt_aggregate_by by, enum vmt_rank_by rank);
void vmt_aggregate_free(struct vmt_aggregate *aggregate);

#endif
