/*
 * history_draft.h: a history under construction.
 *
 * Internal to report/: history_plan.c says which snapshots are looked at, history_build.c takes
 * their figures, history_map.c cuts the map of an address space. Functions return 0 or -ENOMEM.
 */
#ifndef VMT_HISTORY_DRAFT_H
#define VMT_HISTORY_DRAFT_H

#include "tools/model/attribute/attribution.h"
#include "tools/model/replay/replay_keep.h"
#include "tools/model/report/history.h"
#include "tools/read/trace/trace.h"

/* Figures of a site at a snapshot: from VMT_FIGURE_LIVE_COUNT on. */
#define VMT_HISTORY_FIGURES ((unsigned int)(VMT_FIGURE_HUGETLB - VMT_FIGURE_LIVE_COUNT + 1))

/* What one site of the replay has at one snapshot. Sites that turn out to be one are added up in
 * the end, and only then are estimates rounded. */
struct vmt_history_row {
	uint32_t site;
	uint32_t estimate; /* 1 + index into estimates; 0: all of it is exact */
	uint64_t exact[VMT_HISTORY_FIGURES];
};

struct vmt_history_estimate {
	double figures[VMT_HISTORY_FIGURES];
};

/* A row of a site that the replay had not made then: of a call that had not returned. */
struct vmt_history_late {
	size_t row;
	struct vmt_site_key key;
};

struct vmt_history_rows {
	struct vmt_history_row *items;
	size_t count;
	size_t room;
	struct vmt_history_estimate *estimates;
	size_t estimate_count;
	size_t estimate_room;
	struct vmt_history_late *late;
	size_t late_count;
	size_t late_room;
	bool is_dropped; /* there are too many */
};

/* A snapshot that is to be looked at. */
struct vmt_history_planned {
	const struct vmt_trace_chunk *chunk;
	uint64_t time; /* ticks */
	int64_t time_ns;
	uint64_t rss_bytes;
	uint32_t index;
	bool is_chosen; /* its sites are kept */
	bool is_peak;
	bool is_end;
	bool is_reports;
};

struct vmt_history_draft {
	struct vmt_history_planned *planned; /* in time order */
	size_t planned_count;
	size_t next; /* of planned: the first whose time has not come */
	size_t chosen_count;
	struct vmt_replay_kept kept;
	struct vmt_history_rows *rows; /* of each of the history's snapshots */
	uint64_t work;		       /* done so far, in what is looked at */
	/* of the look under way */
	struct vmt_history_snapshot *snapshot; /* NULL: it is not chosen */
	double sited[2][VMT_CLASSES];	       /* bytes that sites have: reserved and committed */
	bool is_coarse;
	bool is_restored; /* the replay is put back after it: what it adds is not kept */
};

/* Which snapshots: up to VMT_HISTORY_LINE_MOST of those with pages, up to VMT_HISTORY_CHOSEN_MOST
 * of these with sites. `own` is the report's. */
int vmt_history_plan(struct vmt_history_draft *draft, struct vmt_trace *trace,
		     const struct vmt_trace_chunk *own);

/* What the map of a snapshot is made of. */
struct vmt_history_place {
	const struct vmt_regions *regions;
	const struct vmt_resident *resident;
	bool coarse;  /* where in a mapping its pages lie is not known */
	size_t cells; /* at most; more than 1 */
	uint32_t
	    sites; /* of the replay that stay after the look: those from there on are not told */
	uint64_t page_bytes;
};

/* The ranges and cells of a chosen snapshot. Their sites are the replay's, VMT_SITE_NONE where
 * there is none, until the report has rows. */
int vmt_history_map_cut(struct vmt_history_snapshot *snapshot,
			const struct vmt_history_place *place);

#endif
