/*
 * view_sites.h: which rows the page's table of call sites has.
 *
 * A row for each of the most important sites of a report; the others are added up by their
 * `folded_depth` outermost callers, call and class. One thread's.
 */
#ifndef VMT_VIEW_SITES_H
#define VMT_VIEW_SITES_H

#include "tools/model/report/report.h"
#include "tools/page/view_stacks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_view_row {
	uint32_t node;			      /* view_stacks.h */
	const struct vmt_stack_frames *stack; /* the report's; NULL: folded */
	const char *kind;
	const char *class; /* NULL: none */
	uint64_t count;
	uint64_t total_reserved_bytes;
	uint64_t released_bytes;
	uint64_t released_committed_bytes;
	bool estimate;
	bool is_folded; /* several sites */
};

struct vmt_view_sites {
	struct vmt_view_row *rows;
	size_t row_count;
	uint32_t *row_of; /* by site of the report */
	size_t folded_sites;
	uint64_t folded_committed_bytes; /* at the report's snapshot */
};

/* 0 or -ENOMEM. Freed in either case. */
int vmt_view_sites_make(struct vmt_view_sites *sites, const struct vmt_report *report,
			size_t most_sites, size_t folded_depth, struct vmt_view_stacks *stacks);
void vmt_view_sites_free(struct vmt_view_sites *sites);

#endif
