/*
 * history.h: the figures of every snapshot of a trace.
 *
 * Each snapshot's figures are those that a report of it has (`report --at` its time), all from one
 * reading of the trace. Where a trace has very many snapshots, or such that are dear to look at,
 * the classes of some are left out: times tell which are there. Of a few chosen ones the sites'
 * figures are kept too, and a coarse map of the address space.
 *
 * Bytes, and nanoseconds since the start. Plain data; it belongs to the report.
 */
#ifndef VMT_HISTORY_H
#define VMT_HISTORY_H

#include "tools/model/space/classes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_HISTORY_LINE_MOST 2000u   /* snapshots whose classes are kept */
#define VMT_HISTORY_CHOSEN_MOST 24u   /* snapshots whose sites are kept */
#define VMT_HISTORY_CELLS_MOST 65536u /* of all maps together */
#define VMT_HISTORY_MARK_PARTS 128u   /* of the recording: marks are apart by one of these */

struct vmt_history_amounts {
	uint64_t reserved_bytes;
	uint64_t accessible_bytes;
	uint64_t committed_bytes;
	uint64_t swapped_bytes;
	uint64_t never_touched_bytes;
	uint64_t hugetlb_bytes;
};

/* The classes of one snapshot. */
struct vmt_history_point {
	int64_t time_ns;
	uint32_t index; /* of the snapshot, from 0, as report->snapshot.index */
	uint64_t rss_bytes;
	uint64_t virtual_bytes;
	uint64_t swap_bytes;
	struct vmt_history_amounts classes[VMT_CLASSES]; /* by enum vmt_class_id */
};

struct vmt_history_site {
	uint32_t site; /* index into report->sites */
	uint64_t live_count;
	struct vmt_history_amounts amounts;
};

/* Neighbouring pages of one class and one owner. */
struct vmt_history_range {
	uint64_t start;
	uint64_t end;
	uint8_t class; /* enum vmt_class_id */
	uint32_t site; /* whose call reserved it: index into report->sites; UINT32_MAX: not known */
	uint32_t cells; /* equal parts that it is cut into; at least 1 */
};

/* What one chosen snapshot has beside its classes. */
struct vmt_history_snapshot {
	size_t point;	 /* index into points */
	bool is_peak;	 /* the largest RSS of all snapshots */
	bool is_end;	 /* the last one */
	bool is_reports; /* report->snapshot */

	/* Those that have anything then, in the order of the report's sites. */
	struct vmt_history_site *sites;
	size_t site_count;
	bool has_sites; /* false: they were left out, since all of them are too many */

	/* What of a class no call site has. All sites' committed bytes and these add up to RSS; the
	 * reserved bytes of sites do not add up, as a block lies in memory that a call reserved. */
	uint64_t rest_committed_bytes[VMT_CLASSES];
	uint64_t rest_reserved_bytes[VMT_CLASSES];

	/* In address order; what is small may be left out, which these two count. */
	struct vmt_history_range *ranges;
	size_t range_count;
	uint64_t left_out_ranges;
	uint64_t left_out_bytes;
	uint8_t
	    *fill; /* of each cell: how much of it is committed, 0 to 255; never 0 where some is */
	size_t cell_count;
};

/* Calls of one kind, in one part of the recording, that gave memory back or told the kernel how it
 * is used. Refused ones are not counted. */
struct vmt_history_mark {
	int64_t first_ns; /* the first of them, and the last */
	int64_t last_ns;
	const char *call; /* "MADV_DONTNEED", "munmap" ... */
	uint64_t calls;
	uint64_t bytes;	       /* of their ranges */
	uint64_t in_ram_bytes; /* in these before */
	uint64_t taken_bytes;  /* that left the process; VMT_FIGURE_UNKNOWN: malloc may keep it */
	bool estimate;
	size_t advice; /* whose largest call it was: row of the report; SIZE_MAX: not known */
};

struct vmt_history {
	bool is_built; /* false: it was not asked for, or no snapshot was taken */
	struct vmt_history_point *points; /* in time order; the report's snapshot is one */
	size_t point_count;
	struct vmt_history_snapshot *snapshots; /* in time order; the report's is one */
	size_t snapshot_count;
	size_t reports;			/* index into snapshots of the report's own */
	struct vmt_history_mark *marks; /* in time order, but for those of one part */
	size_t mark_count;
};

#endif
