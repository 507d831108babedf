/*
 * building.h: what do the parts of a report under construction share?
 *
 * Internal to model/: report.c makes it, report_events.c reads the trace, rows.c and coverage.c
 * fill in the report. Strings of the report live in its set. Functions return 0 or a negative
 * errno.
 */
#ifndef VMT_BUILDING_H
#define VMT_BUILDING_H

#include "tools/model/frames.h"
#include "tools/model/go_owners.h"
#include "tools/model/replay.h"
#include "tools/model/report.h"
#include "tools/model/residency.h"
#include "tools/model/rss_line.h"
#include "tools/read/symbols/disk_cache.h"
#include "tools/read/trace/trace.h"

#include <errno.h>

struct vmt_building {
	struct vmt_report report; /* first: vmt_report_free gets a pointer to it */
	struct vmt_strings *strings;

	/* while it is built */
	const struct vmt_report_options *options;
	enum vmt_report_at at; /* never DEFAULT, COMPARED or CLOCK */
	int64_t at_time_ns;
	struct vmt_trace *trace;
	struct vmt_replay *replay;
	struct vmt_snapshot snapshot;
	struct vmt_residency residency;
	struct vmt_rss_line *line;
	struct vmt_disk_cache *cache; /* NULL = none */
	struct vmt_lookup *names;
	struct vmt_go_owners *go_owners;
	struct vmt_allocators *allocators;
	bool joined;
	uint32_t joined_level;	   /* of format/thin.h, then */
	bool begun;		   /* past the events that list what was there before */
	uint64_t earlier_runs;	   /* of the snapshots before the report's */
	size_t tasks_at;	   /* chunk from which on lists of threads are still to be taken */
	uint64_t last_time;	   /* ticks */
	uint64_t growth_from;	   /* ticks; 0 = passed, or there is none */
	uint64_t last_event;	   /* ticks */
	uint64_t cpu_limit_ns;	   /* of this process, until the events are replayed */
	uint64_t first_peak_bytes; /* of the cgroup, as the kernel counts it; 0 = not known */
	uint64_t last_peak_bytes;
	uint64_t first_oom_kills;
	bool oom_kills_known;
};

/* The larger of two figures of which either may be VMT_FIGURE_UNKNOWN. */
static inline uint64_t
vmt_building_larger_known(uint64_t old, uint64_t new)
{
	if (old == VMT_FIGURE_UNKNOWN)
		return new;
	return new != VMT_FIGURE_UNKNOWN &&new > old ? new : old;
}

static inline int
vmt_building_no_memory(struct vmt_err *err, const char *path)
{
	return vmt_err_set(err, ENOMEM, "%s: not enough memory to replay it", path);
}

static inline void
vmt_building_tell(const struct vmt_building *building, const char *doing, uint64_t done,
		  uint64_t total)
{
	if (building->options->progress && total)
		building->options->progress(building->options->progress_context, doing, done,
					    total);
}

/* All events, and at the snapshot, where one is wanted, the join with it. */
int vmt_report_events_replay(struct vmt_building *building, bool wanted, const char *path,
			     struct vmt_err *err);

/* Classes, files, sites and advice, out of the replay and the join. */
int vmt_rows_fill(struct vmt_building *building);
void vmt_rows_free(struct vmt_report *report);

/* What the Go runtime says of itself, and which of its calls are seen. */
int vmt_go_report_fill(struct vmt_building *building);
void vmt_go_report_free(struct vmt_report *report);

/* How it was recorded, and the blind spots. */
int vmt_coverage_fill(struct vmt_building *building);
/* One more line there, printf-like. */
__attribute__((format(printf, 2, 3))) int vmt_coverage_add(struct vmt_building *building,
							   const char *format, ...);

#endif
