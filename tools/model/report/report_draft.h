/*
 * report_draft.h: a report under construction, as the parts share it that fill it in.
 *
 * Internal to model/: cmd_report.c makes it, report_events.c reads the trace, report_snapshots.c
 * joins it with snapshots, report_rows.c and
 * report_coverage.c fill in the report. Strings of the report live in its set. Functions return 0
 * or a negative errno.
 */
#ifndef VMT_REPORT_DRAFT_H
#define VMT_REPORT_DRAFT_H

#include "tools/model/attribute/attribution.h"
#include "tools/model/go/go_sites.h"
#include "tools/model/replay/replay.h"
#include "tools/model/report/frames.h"
#include "tools/model/report/report.h"
#include "tools/model/report/rss_series.h"
#include "tools/read/trace/rss_peak.h"
#include "tools/read/trace/trace.h"
#include "tools/read/trace/trace_cache.h"
#include "tools/read/trace/trace_record.h"

#include <errno.h>

struct vmt_digest_reader;
struct vmt_digest_writer;

struct vmt_waiting_snapshot {
	const struct vmt_trace_chunk *chunk;
	uint64_t time;
};

struct vmt_seen_snapshot {
	uint32_t index;
	uint64_t time; /* ticks */
};

/* Two moments between which requests are added up, in ticks: after one, up to the other. */
struct vmt_window {
	bool is_wanted;
	bool has_begun;
	bool has_figures; /* sites have those of one that began before this was wanted */
	bool has_ended;
	uint64_t from;
	uint64_t until;
	enum vmt_figure requested;
	enum vmt_figure released; /* VMT_FIGURES: not wanted */
};

/* What of the chunks that are there was taken for one purpose: from chunk `at` on it was not. */
struct vmt_choice_draft {
	size_t at;
	struct vmt_snapshot_head best;
	size_t best_at; /* chunk */
	bool has_best;
	uint64_t peak_bytes;
	uint64_t last; /* times of the last two snapshots, in ticks; 0: there is none */
	uint64_t last_but_one;
};

/* What EXIT or EXEC said of the peak. */
struct vmt_heard_peak {
	uint64_t bytes;
	uint64_t time;
};

/* The largest RSS, as the trace's records have it; times in ticks. */
struct vmt_peak_draft {
	struct vmt_rss_peak rss;
	uint64_t seen_time;
	bool is_said;		  /* the process said the kernel's count at its end */
	uint64_t after;		  /* the last reading of that count before ... */
	uint64_t after_rss_bytes; /* ... with this RSS; 0: not read */
	uint64_t by;		  /* the first that has it */
	uint64_t last;		  /* the last of all; 0: none */
	uint64_t last_rss_bytes;
};

struct vmt_report_draft {
	struct vmt_report report; /* first: vmt_report_free gets a pointer to it */
	struct vmt_string_set *strings;

	/* while it is built */
	const struct vmt_report_options *options;
	enum vmt_report_at at;	   /* never DEFAULT, COMPARED or CLOCK */
	int64_t at_time_ns;	   /* the last that counts */
	int64_t asked_ns;	   /* where what was asked for begins: a time of day is a second */
	int64_t first_snapshot_ns; /* INT64_MAX = there is none */
	bool is_next_day;	   /* a time of day that the first day had before the start */
	struct vmt_trace *trace;
	struct vmt_replay *replay;
	const struct vmt_trace_chunk *chosen; /* the report's snapshot; NULL: there is none */
	struct vmt_snapshot snapshot;	      /* ... decoded */
	struct vmt_attribution attribution;
	struct vmt_go_heap go_heap;	   /* read with it; no spans: it was not */
	struct vmt_history_draft *history; /* NULL: none is built */
	struct vmt_history_marks *marks;   /* likewise */
	struct {
		struct vmt_waiting_snapshot *items;
		size_t first;
		size_t end;
		size_t room;
	} waiting; /* snapshots whose events are not all replayed, in time order */
	struct vmt_rss_series *line;
	struct vmt_lookup *names;
	struct vmt_recorded_files *recorded; /* NULL: all modules have a build-id */
	struct vmt_packed_names *packed;     /* NULL: the trace has none */
	struct vmt_jit_names *compiled;	     /* NULL: the process wrote down none */
	struct vmt_go_sites *go_owners;
	struct vmt_allocators *allocators;
	size_t *site_rows;   /* by index of the replay's sites: of the report's; SIZE_MAX = none */
	size_t *advice_rows; /* likewise, of rows of advice */
	bool joined;
	uint32_t joined_level; /* of format/thin.h, then */
	bool begun;	       /* past the events that list what was there before */
	uint64_t earlier_runs; /* of the snapshots so far */
	uint64_t seen_runs;    /* ... of those that page faults were compared with */
	struct vmt_seen_snapshot
	    *seen; /* snapshots that the replay's touchers know, by number - 1 */
	size_t seen_count;
	size_t seen_room;
	bool seen_gap; /* one of them was not to be used: what came in between which is not known */
	size_t tasks_at;	   /* chunk from which on lists of threads are still to be taken */
	uint64_t last_time;	   /* ticks */
	uint64_t growth_from;	   /* ticks; 0 = passed, or there is none */
	uint64_t last_event;	   /* ticks */
	bool ends_with_exec;	   /* the last event is one */
	bool blocks_unseen;	   /* at the snapshot: what of malloc's is live is unknown */
	uint64_t cpu_limit_ns;	   /* of this process, until the events are replayed */
	uint64_t first_peak_bytes; /* of the cgroup, as the kernel counts it; 0 = not known */
	uint64_t last_peak_bytes;
	uint64_t first_oom_kills;
	bool oom_kills_known;
	uint64_t last_look; /* ticks: the last snapshot before what was asked for; 0: none */
	struct vmt_window since;
	struct vmt_window missed;
	uint64_t window_changes; /* ticks: nothing of either window changes up to then */
	struct vmt_peak_draft peak;

	/* digest.h; NULL: none is made, none is used */
	struct vmt_digest_writer *digest_writer;
	struct vmt_digest_reader *digest;
	struct vmt_trace_cache_key cache_key;
	bool has_kept;	   /* one was kept, whether it is of use or not */
	bool ignores_kept; /* it was wrong */

	/* Of a trace that grows (report_resume.h): what of it was taken. */
	struct vmt_merge *merge;
	struct vmt_choice_draft choice;
	size_t peak_at; /* chunk from which on the peak's readings are still to be taken */
	struct vmt_peak_draft peak_read; /* as the chunks before have it */
	struct vmt_heard_peak *heard;
	size_t heard_count;
	size_t heard_room;
	size_t recorded_at;	 /* chunk, of recorded files */
	uint64_t replayed_until; /* ticks: all records before are replayed; 0: none is */
	bool is_stale;		 /* what was replayed was not to be: begin anew */
	uint64_t fullest_time;	 /* of report.cgroup.fullest, in ticks */
};

/* The larger of two figures of which either may be VMT_FIGURE_UNKNOWN. */
static inline uint64_t
vmt_report_draft_larger_known(uint64_t old, uint64_t new)
{
	if (old == VMT_FIGURE_UNKNOWN)
		return new;
	return new != VMT_FIGURE_UNKNOWN &&new > old ? new : old;
}

static inline int
vmt_report_draft_no_memory(struct vmt_err *err, const char *path)
{
	return vmt_err_set(err, ENOMEM, "%s: not enough memory to replay it", path);
}

static inline void
vmt_report_draft_tell(const struct vmt_report_draft *draft, const char *doing, uint64_t done,
		      uint64_t total)
{
	if (draft->options->progress && total)
		draft->options->progress(draft->options->progress_context, doing, done, total);
}

/* The steps of a report: the trace; its snapshot; when all is planned and events have begun, all
 * that is left, and the report. What is needed no longer once that is filled is freed in any case.
 */
int vmt_report_draft_open(struct vmt_report_draft *draft, const char *path, struct vmt_err *err);
int vmt_report_draft_choose(struct vmt_report_draft *draft, struct vmt_err *err);
int vmt_report_draft_finish(struct vmt_report_draft *draft, const char *path, struct vmt_err *err);
void vmt_report_draft_free(struct vmt_report_draft *draft);

/* All events, and at the snapshot, where there is one, the join with it. In four steps: before the
 * first; what the chunks that are there say beforehand; the records that the merge gives so far;
 * behind the last. */
int vmt_report_events_begin(struct vmt_report_draft *draft, const char *path, uint64_t until,
			    struct vmt_err *err);
void vmt_report_events_plan(struct vmt_report_draft *draft);
int vmt_report_events_run(struct vmt_report_draft *draft, const char *path, struct vmt_err *err);
int vmt_report_events_end(struct vmt_report_draft *draft, const char *path, struct vmt_err *err);
/* Whether the places of modules are taken from the table, as events may be lost. */
bool vmt_report_events_lack_modules(const struct vmt_report_draft *draft);
/* As before an event of the heap of that time, which is applied by other ways. */
int vmt_report_events_pass(struct vmt_report_draft *draft, uint64_t time);
/* Lists of threads that were taken up to that time. */
int vmt_report_events_take_tasks(struct vmt_report_draft *draft, uint64_t time);

/* digest.h: once all is planned and the merge is open; behind the last record that the merge gives,
 * before the heap is settled; in any case. */
int vmt_report_digest_begin(struct vmt_report_draft *draft, struct vmt_err *err);
void vmt_report_digest_keep(struct vmt_report_draft *draft);
void vmt_report_digest_free(struct vmt_report_draft *draft);

/* A snapshot of the trace, when its time has come; then, once all events up to `time` are replayed,
 * what there is to do with those before it. */
int vmt_report_snapshots_take(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
			      uint64_t time);
int vmt_report_snapshots_reach(struct vmt_report_draft *draft, uint64_t time);
/* What tells the memory of Go and of allocators, as nothing was asked of it. */
int vmt_report_snapshots_new_owners(const struct vmt_report_draft *draft,
				    struct vmt_go_sites **go_owners,
				    struct vmt_allocators **allocators);

/* The largest RSS: before the replay; what EXIT and EXEC say; into the report. */
void vmt_report_peak_scan(struct vmt_report_draft *draft);
int vmt_report_peak_hear(struct vmt_report_draft *draft, uint64_t bytes, uint64_t time);
void vmt_report_peak_fill(struct vmt_report_draft *draft);

/* What was requested between two moments: before the replay; before each event of that time, and
 * behind the last one; into the report, once the sites are merged and it knows where it ends. */
void vmt_report_window_plan(struct vmt_report_draft *draft);
/* Another window in its place, unless it is the same. */
void vmt_report_window_set(struct vmt_report_draft *draft, struct vmt_window *window,
			   const struct vmt_window *wanted);
void vmt_report_window_change(struct vmt_report_draft *draft, uint64_t time);
/* Before an event of that time. */
static inline void
vmt_report_window_reach(struct vmt_report_draft *draft, uint64_t time)
{
	if (time > draft->window_changes)
		vmt_report_window_change(draft, time);
}
void vmt_report_window_close(struct vmt_report_draft *draft);
void vmt_report_window_fill(struct vmt_report_draft *draft);

/* Sampled page faults: the frames of a toucher; a record of the trace; what an earlier snapshot
 * shows to be resident; how they were sampled, before the replay; what that leaves unseen. */
const uint64_t *vmt_report_touch_stack(void *trace, uint32_t id, uint32_t *frames);
int vmt_report_touch_take(struct vmt_report_draft *draft, const struct vmt_record_touch *touch);
int vmt_report_touch_see(struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot);
void vmt_report_touch_heads(struct vmt_report_draft *draft);
int vmt_report_touch_cover(struct vmt_report_draft *draft);

/* What each site has of each class, and the loaded files, once the sites are rows. */
int vmt_report_parts_fill(struct vmt_report_draft *draft);
void vmt_report_parts_free(struct vmt_report *report);

/* When it came into RAM, by the snapshots. */
int vmt_report_came_in_fill(struct vmt_report_draft *draft);

/* Who committed what, once the sites are rows. */
int vmt_report_committers_fill(struct vmt_report_draft *draft);
void vmt_report_committers_free(struct vmt_report *report);

/* Classes, files, sites and advice, out of the replay and the join. */
int vmt_report_rows_fill(struct vmt_report_draft *draft);
void vmt_report_rows_free(struct vmt_report *report);
/* The function that people know, of a kind of event. */
const char *vmt_report_rows_call(uint8_t kind);

/* What the Go runtime says of itself, and which of its calls are seen. */
int vmt_report_go_fill(struct vmt_report_draft *draft);
void vmt_report_go_free(struct vmt_report *report);

/* The inside of a Go heap: of the snapshot in that chunk; false: there is none that can be read.
 * Free it. Whether it has more than a reason why it has nothing. What the report says of it. */
bool vmt_report_go_heap_read(const struct vmt_report_draft *draft,
			     const struct vmt_trace_chunk *chunk, uint32_t snapshot,
			     struct vmt_go_heap *heap);
bool vmt_report_go_heap_is_read(const struct vmt_go_heap *heap);
struct vmt_frames *vmt_report_go_frames(struct vmt_report_draft *draft); /* NULL: no memory */
int vmt_report_go_heap_fill(struct vmt_report_draft *draft);
void vmt_report_go_heap_free(struct vmt_report *report);

/* Large objects by the line that allocated them, of a heap that was read; and what is to be said of
 * those whose line is not known. */
int vmt_report_go_large_fill(struct vmt_report_draft *draft, const struct vmt_resident *resident);
int vmt_report_go_large_cover(struct vmt_report_draft *draft);
void vmt_report_go_large_free(struct vmt_report *report);

/* Live objects by the line that allocated them. */
int vmt_report_go_profile_fill(struct vmt_report_draft *draft);

/* The address space of Go's heap never shrinks: rows of more than that were sampled by another rate
 * than that of now, and are of the sampled objects alone. */
void vmt_report_go_profile_settle(struct vmt_report *report);
void vmt_report_go_profile_free(struct vmt_report *report);

/* Where names come from: sets names and packed. What a report of the trace at any moment may ask
 * for, to who wants all names. */
int vmt_report_names_open(struct vmt_report_draft *draft, const char *path, struct vmt_err *err);
int vmt_report_names_tell(struct vmt_report_draft *draft);
/* Files that the process had mapped, of snapshots that came since. Whether they are wanted. */
bool vmt_report_names_want_files(const struct vmt_report_draft *draft);
int vmt_report_names_find_files(struct vmt_report_draft *draft);
/* Asks for the names of the sites from number `first` on, so that they are known later. */
void vmt_report_names_ask(struct vmt_report_draft *draft, uint32_t first);

/* Functions that the process compiled: reads what it wrote down, into compiled; once there are
 * frames, says what of it is not known. */
int vmt_report_compiled_open(struct vmt_report_draft *draft, const char *path, struct vmt_err *err);
int vmt_report_compiled_cover(struct vmt_report_draft *draft);
/* Before the replay; and before each record of it: what names addresses have then. */
void vmt_report_compiled_watch(struct vmt_report_draft *draft);
void vmt_report_compiled_reach(struct vmt_report_draft *draft, uint64_t time);

/* How it was recorded, and the blind spots. */
int vmt_report_coverage_fill(struct vmt_report_draft *draft);
/* One more line there, printf-like. */
__attribute__((format(printf, 2, 3))) int vmt_report_coverage_add(struct vmt_report_draft *draft,
								  const char *format, ...);

#endif
