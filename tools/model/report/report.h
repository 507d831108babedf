/*
 * report.h: the data of a report.
 *
 * The result of replaying one trace up to a snapshot and on to its end: plain data, in bytes and
 * nanoseconds, with every figure that section "report" of docs/trace-format.md's JSON names. Built
 * by report_build.h, printed by render/. Owns all it points to; freed by vmt_report_free.
 * Over 500 lines: it is all the data of a report.
 */
#ifndef VMT_REPORT_H
#define VMT_REPORT_H

#include "format/chunk.h"
#include "tools/err.h"
#include "tools/model/attribute/kernel_rss.h"
#include "tools/model/go/go_figures.h"
#include "tools/model/go/go_parts.h"
#include "tools/model/report/history.h"
#include "tools/model/space/classes.h" /* names of classes */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct vmt_frame {
	char *function; /* NULL = not known */
	char *file;
	char *module;
	uint64_t address; /* in the traced process */
	uint64_t module_offset;
	uint32_t line;
	bool inlined;
};

struct vmt_stack_frames {
	struct vmt_frame *frames; /* innermost first, hooks left out */
	size_t count;
};

/* What of a site's committed bytes was committed by the touches of a row of committers. */
struct vmt_touched_part {
	size_t row;
	uint64_t bytes;
	double samples; /* that tell so; those of pages that are shared out are shared out */
	bool estimate;
};

/* Where no page fault was sampled: the two snapshots between which most of what a site has
 * committed came into RAM, as far as it came between one pair of them. Each from `by` on shows
 * these pages, and `after` does not. */
struct vmt_came_in {
	uint64_t bytes; /* 0: not known */
	bool estimate;
	bool has_after; /* false: the first snapshot that tells shows them */
	uint32_t after; /* from 0 */
	uint32_t by;
	int64_t after_ns;
	int64_t by_ns;
};

struct vmt_site {
	const char *kind;  /* the call's name */
	const char *class; /* in which most of its bytes lie at the snapshot; NULL where none has */
	uint32_t stack_id;
	uint32_t thread;     /* kernel id of the calling thread; 0 = not known, or not asked for */
	uint64_t count;	     /* acquisitions over the run */
	uint64_t live_count; /* at the snapshot */
	uint64_t reserved_bytes;
	uint64_t accessible_bytes;
	uint64_t committed_bytes;
	uint64_t swapped_bytes;
	uint64_t
	    never_touched_bytes; /* surely; what else is not in RAM now may have been touched */
	uint64_t hugetlb_bytes;	 /* in RAM, not in RSS */
	uint64_t total_reserved_bytes;
	uint64_t released_bytes;
	uint64_t released_committed_bytes;
	uint64_t pins_bytes;		/* free memory of malloc that its live blocks keep */
	uint64_t grown_bytes;		/* held at the end, and not yet at growth_from_ns */
	uint64_t since_requested_bytes; /* in report->since's time */
	uint64_t since_released_bytes;
	uint64_t missed_requested_bytes; /* in that of report->peak, where it was missed */
	/* Of sites of blocks (malloc and its like), else VMT_FIGURE_UNKNOWN. */
	uint64_t end_count;	  /* live at the end of the trace */
	uint64_t temporary_count; /* freed before the next allocation of their thread; unknown
				     too where not all blocks are recorded */
	uint64_t end_bytes;	  /* held at the end of the trace */
	bool estimate;		  /* from samples */
	bool released_committed_is_estimate; /* the pages of some release were sampled */
	struct vmt_stack_frames stack;
	/* Where page faults were sampled: by whose touches its bytes are committed, the largest
	 * first; they and unsampled_bytes add up to committed_bytes. The report's own memory. */
	struct vmt_touched_part *touched_by;
	size_t touched_by_count;
	uint64_t unsampled_bytes; /* of committed, what no sample explains */
	struct vmt_came_in came_in;
};

/* The class of vmtrace's own memory. */
#define VMT_REPORT_TRACER_CLASS "vmtrace"

/* How it is known who committed pages. */
#define VMT_EVIDENCE_SAMPLES "samples"
#define VMT_EVIDENCE_RESERVATION "reserving call" /* no sample: the call that reserved them */
#define VMT_EVIDENCE_NONE "none"		  /* no sample, and no call is known */

/* What of a committer's bytes a call site reserved, or a class has. */
struct vmt_reserved_part {
	const char *class;
	size_t site; /* index into sites; SIZE_MAX: no call is known */
	uint64_t bytes;
	bool estimate;
};

/* Who committed pages: the code that touched them last, before the snapshot. */
struct vmt_committer {
	const char *evidence;	       /* VMT_EVIDENCE_* */
	struct vmt_stack_frames stack; /* of the touch; of the reserving call where no sample is */
	const char *stack_end;	       /* touch_stacks.h; NULL where no sample is */
	uint64_t samples;	       /* up to the snapshot */
	double samples_now;	       /* of these, whose pages are resident at the snapshot */
	uint64_t committed_bytes;      /* all rows' add up to RSS */
	uint64_t unshared_bytes;       /* written to first after a fork, of pages from before it */
	bool estimate;
	bool unshared_is_estimate;
	bool unshared_is_least; /* of some pages it is not known whether they are from before */
	struct vmt_reserved_part *reserved_by; /* largest first; the report's own memory */
	size_t reserved_by_count;
	size_t number; /* while they are sorted */
};

struct vmt_class {
	const char *name;
	uint64_t reserved_bytes;
	uint64_t accessible_bytes;
	uint64_t committed_bytes;
	uint64_t swapped_bytes;
	uint64_t never_touched_bytes;
	uint64_t hugetlb_bytes;
	uint64_t shared_bytes; /* of committed, in other mappings too; or VMT_FIGURE_UNKNOWN */
};

/* A mapped file, or another mapping that names itself. */
struct vmt_file_row {
	char *path;
	const char *class; /* a name of classes.h */
	uint64_t reserved_bytes;
	uint64_t committed_bytes;
};

/* One of the mappings that have most in RAM. */
struct vmt_mapping_row {
	uint64_t start; /* addresses in the process: [start, end) */
	uint64_t end;
	const char *class;  /* a name of classes.h: of most of it */
	char *path;	    /* a file, or a name that the kernel gives; "": none */
	uint8_t protection; /* PROT_* bits */
	bool shared;	    /* MAP_SHARED */
	uint64_t committed_bytes;
	uint64_t swapped_bytes;
	uint64_t shared_bytes; /* of committed, in other mappings too; VMT_FIGURE_UNKNOWN */
};

/* What a call site, or nobody known, has of a class, in one file or in none, at the snapshot,
 * without what live blocks have. With these, which the sites of the heap's calls have, the parts of
 * a class add up to it. */
struct vmt_memory_part {
	const char *class;
	size_t site; /* index into sites; SIZE_MAX: no call is known */
	char *path;  /* NULL: no file */
	uint64_t reserved_bytes;
	uint64_t committed_bytes;
	uint64_t swapped_bytes;
};

/* A file from which code was loaded, at one place. */
struct vmt_loaded_file {
	char *path;
	char *build_id; /* hexadecimal; "" = it has none */
	uint64_t low;	/* [low, high) */
	uint64_t high;
	uint64_t bias; /* from addresses in the file to those in the process */
};

struct vmt_advice {
	const char *advice; /* "MADV_DONTNEED" ... */
	const char *cause;  /* what made a Go runtime give it; NULL = not known, or not one */
	uint64_t calls;
	uint64_t failed_calls; /* refused by the kernel, in no other figure */
	uint64_t bytes;
	uint64_t committed_before_bytes;
	uint64_t since_taken_bytes; /* of taken_bytes: in report->since's time */
	uint64_t taken_bytes;	    /* that left the process: MADV_PAGEOUT may take less, or none */
	uint64_t stayed_bytes;	    /* of those, shared ones, which stay in their file or segment */
	/* Of those, of private mappings of files: what was not written is in the page cache still.
	 */
	uint64_t private_file_bytes;
	bool committed_before_is_estimate; /* the pages of some call were sampled */
	/* At the snapshot, of the pages that are still mapped and that got no later advice of the
	 * same sort (what gives back, what is about huge pages). */
	uint64_t mapped_now_bytes;
	uint64_t committed_now_bytes;
	uint64_t huge_now_bytes;
	struct vmt_stack_frames stack;
};

struct vmt_lock {
	const char *call; /* "mlock" ... */
	uint64_t calls;	  /* refused ones are in no figure */
	uint64_t bytes;	  /* of their ranges; 0 of mlockall */
	struct vmt_stack_frames stack;
};

/* What the small objects of one size have, or all large ones. */
struct vmt_go_size {
	uint64_t slot_bytes; /* 0: large objects */
	uint64_t spans;
	uint64_t objects; /* garbage that is not yet swept included */
	uint64_t object_bytes;
	uint64_t reserved_bytes; /* of their spans */
	uint64_t committed_bytes;
};

/* The goroutines that one go statement has started. */
struct vmt_go_creator {
	uint64_t address; /* where it returns to; 0: not known */
	struct vmt_stack_frames stack;
	bool has_ended; /* all that have, whoever started them: their stacks wait for others */
	uint64_t goroutines;
	uint64_t reserved_bytes; /* of their stacks */
	uint64_t committed_bytes;
};

/* Live objects that one line has allocated, by the runtime's memory profile. */
struct vmt_go_live {
	/* The line, then its callers as far as more than half of the bytes came through them. */
	struct vmt_stack_frames stack;
	uint64_t sampled_objects;
	uint64_t sampled_bytes;
	uint64_t objects; /* an estimate of all, and their bytes */
	uint64_t bytes;
};

/* The large objects that one line has allocated, garbage that is not yet swept included. Exact. */
struct vmt_go_large {
	struct vmt_stack_frames stack; /* as of vmt_go_live */
	uint64_t objects;
	uint64_t reserved_bytes; /* of their spans */
	uint64_t committed_bytes;
	uint64_t swapped_bytes;
	uint64_t untouched_bytes; /* the rest: never written, or given back to the kernel */
};

struct vmt_go_point {
	int64_t time_ns;
	struct vmt_go_figures figures;
};

/* A raw system call of a Go runtime. */
struct vmt_go_site_row {
	char *symbol;
	bool patched;
	char *why; /* empty where patched */
};

struct vmt_rss_point {
	int64_t time_ns;
	uint64_t rss_bytes;
};

struct vmt_report {
	struct {
		uint32_t pid;
		char *exe;
		char *cmdline;
		char *title; /* what it called itself in the end; NULL: as it was started */
		uint64_t start_unix_ns;
		uint64_t duration_ns;
		const char *end; /* "exit" "signal" "exec" "stopped" "running" "ending" "cut" */
		const char
		    *shortage; /* what it ran out of when its recording was given up, or NULL */
		int end_status;
		bool is_snapshot; /* nothing was recorded: one look at a process that runs */
		bool is_watched;  /* ... or many over time */
		bool is_attached; /* the recording began while the process ran */
		bool forked;	  /* began at a fork: what it inherited are the parent's calls */
		bool end_seen;	  /* by the collector, which may not have learnt how it ended */
		bool not_in_proc; /* its collector did not find it, and left */
		bool other_pid_namespace;   /* of its collector, than that of who reads */
		bool hidden;		    /* "ending" or "cut": its number is in use, /proc shows
					     * not by whom */
		bool uncollected;	    /* "running", but its collector does not answer */
		int64_t collected_until_ns; /* of such a one: its collector's last visit; 0: none */
		uint64_t traces_removed;    /* of others of its session, by its end */
		int64_t last_event_ns;
		int64_t growth_from_ns; /* the last tenth of the recording: see grown_bytes */
	} process;
	struct {
		bool taken; /* false: no snapshot in the trace; the rest is zero */
		int64_t time_ns;
		uint64_t rss_bytes;
		uint64_t virtual_bytes;
		uint64_t swap_bytes;
		uint64_t lazyfree_bytes; /* VMT_FIGURE_UNKNOWN where not read */
		uint64_t huge_bytes;
		uint64_t shared_bytes; /* of RSS, in other mappings too; VMT_FIGURE_UNKNOWN
					  where not asked */
		uint64_t
		    skew_bytes; /* how far the kernel's own counter was off; or FIGURE_UNKNOWN */
		uint64_t duration_ns; /* from before it to its end */
		struct vmt_kernel_figures kernel;
		struct vmt_kernel_rss kernel_rss; /* against rss_bytes */
		const char *source;
		uint32_t index; /* from 0 */
		uint32_t count;
		bool after_end; /* asked for was a time after the trace's end: this is its last */
	} snapshot;
	/* The largest RSS of all: readings are some time apart, the kernel misses none. */
	struct {
		uint64_t seen_bytes; /* by readings and snapshots */
		int64_t seen_ns;
		uint64_t counted_bytes; /* by the kernel (VmHWM); VMT_FIGURE_UNKNOWN */
		uint64_t earlier_bytes; /* ... where it was there before the first look; else 0 */
		bool is_missed;		/* the kernel's is the peak: it lay ... */
		int64_t after_ns;	/* ... between these two readings */
		int64_t by_ns;
		uint64_t after_rss_bytes; /* RSS at the first of them; 0: not read */
		bool requests_known;	  /* missed_requested_bytes of the sites */
	} peak;
	/* What the events say of the time from the last snapshot up to the moment that was asked
	 * for, or to the end of the trace. Of blocks, and of calls that map: where an allocator
	 * maps by calls that are recorded, what it maps is in both. */
	struct {
		bool is_known; /* false: there is no snapshot; the rest is zero */
		bool is_asked; /* until_ns is what was asked for */
		int64_t from_ns;
		int64_t until_ns;
		uint64_t blocks_requested_bytes;
		uint64_t blocks_freed_bytes;
		uint64_t mapped_bytes;
		uint64_t unmapped_bytes;
		uint64_t given_back_bytes;	 /* pages: by advice, and by holes in files */
		uint64_t given_back_later_bytes; /* of those, by MADV_FREE: RSS has them until the
						    kernel wants them */
		bool estimate;
	} since;
	struct {
		uint64_t reserved_bytes;
		uint64_t accessible_bytes;
		uint64_t committed_bytes;
		uint64_t unattributed_bytes;
		uint64_t vmtrace_bytes;
		uint64_t file_bytes;
		uint64_t double_acquisitions; /* contradictions the replay met */
		uint64_t unknown_releases;
		uint64_t early_acquisitions; /* put behind the release of their address */
		uint64_t live_blocks;	     /* at the end of the trace */
		uint64_t live_block_bytes;
	} totals;
	/* Of class malloc retained, without overlap: see retained.h. */
	struct {
		const char *allocator; /* "glibc", "jemalloc" ...; NULL: not known which */
		bool is_split;	       /* false: the rest is zero, nothing is known of it */
		bool estimate;
		uint64_t overhead_bytes;
		uint64_t free_page_bytes;
		uint64_t pinned_bytes;
		/* Between which free_page_bytes are, as far as the sampling of blocks and their
		 * arrangement let them differ; equal where every block is recorded. */
		uint64_t free_page_least_bytes;
		uint64_t free_page_most_bytes;
	} retained;
	struct vmt_class *classes;
	size_t class_count;
	struct vmt_site *sites;
	size_t site_count;
	struct vmt_file_row *files;
	size_t file_count;
	struct vmt_mapping_row *mappings; /* of a snapshot alone: the largest of committed first */
	size_t mapping_count;
	struct vmt_memory_part *parts; /* by class, then site, then path */
	size_t part_count;
	struct vmt_loaded_file *loaded; /* over the run */
	size_t loaded_count;
	struct vmt_advice *advice;
	size_t advice_count;
	struct vmt_lock *locks; /* over the run */
	size_t lock_count;
	struct vmt_rss_point *rss;
	size_t rss_count;
	struct vmt_history history; /* where options.history asked for it */
	struct {
		char *version; /* NULL: no Go runtime in the process */
		bool cgo;
		bool stripped;
		bool unseen;	 /* none of its calls was: what it mapped is unattributed */
		bool heap_alone; /* likewise, but for the heap: its own lists tell where it is */
		bool is_several; /* there are others in the process, which were not read */
		/* Of what it mapped beside its arenas, part or all was not seen: it is in the class
		 * of anonymous memory. */
		bool is_partial;
		const char *uncounted;	       /* why there are no figures; NULL: there are */
		struct vmt_go_figures figures; /* at the snapshot */
		struct vmt_go_point *points;   /* at every snapshot */
		size_t point_count;
		/* RSS = go + malloc + neither, at the snapshot */
		uint64_t go_bytes;
		uint64_t malloc_live_bytes;
		uint64_t malloc_retained_bytes;
		uint64_t neither_bytes;
		bool malloc_unseen; /* no block was recorded: malloc's part is in "neither" */
		const char *uncut;  /* why the heap is not told apart; NULL: it is */
		struct vmt_go_parts parts; /* of RSS; not known where it is not */
		uint64_t spans;
		uint64_t spans_unread;
		uint64_t goroutines; /* that have a stack */
		uint64_t goroutines_unread;
		/* In RAM, of large objects whose pages were fresh from the kernel, so that nothing
		 * had to be zeroed. */
		uint64_t fresh_large_committed_bytes;
		/* ... whose pages Go had used before, so that it zeroes them (needzero). */
		uint64_t reused_large_committed_bytes;
		struct vmt_go_size *sizes; /* by size, large objects first */
		size_t size_count;
		struct vmt_go_creator *creators; /* by what is resident */
		size_t creator_count;
		const char *unprofiled; /* why live objects are not known by line; NULL: they are */
		bool
		    is_uncollected; /* no collection has finished: nothing is known to be garbage */
		/* Rows are of sampled objects alone: at the rate of now they would stand for more
		 * than the heap ever had. */
		bool is_unscaled;
		uint64_t profile_rate_bytes; /* one object in so many bytes is sampled */
		uint64_t profile_entries;    /* of the runtime's profile */
		uint64_t profile_unread;     /* of them */
		struct vmt_go_live *live;    /* by bytes */
		size_t live_count;
		/* By reserved bytes. Rows and other_large, whose line is not known, add up to what
		 * sizes have of large objects. None where the snapshot says not which pages. */
		struct vmt_go_large *large;
		size_t large_count;
		struct vmt_go_large other_large;
		bool has_large;	       /* the trace has lines */
		uint64_t large_unread; /* objects whose line changed while it was read */
	} go;
	struct {
		uint64_t events; /* read */
		uint64_t events_dropped;
		uint64_t events_overwritten;
		uint64_t stacks_dropped;
		uint64_t samples_dropped;
		uint64_t slots_abandoned;
		uint64_t events_missing; /* gone from the rings, and not in the file */
		uint64_t events_thinned; /* left out, so that the file stays within max_bytes */
		uint64_t max_bytes;	 /* what the file may have; 0 = any, or not known */
		bool is_thinned;	 /* of malloc's small blocks some alone are recorded ... */
		int64_t thinned_from_ns; /* ... from then on, fewer and fewer ... */
		uint64_t one_in;	 /* ... one in so many at the end ... */
		uint64_t one_in_at_snapshot; /* ... and at the snapshot */
		bool is_full;		     /* no event and no snapshot was written ... */
		int64_t full_from_ns;	     /* ... from then on */
		uint64_t events_unknown;     /* a newer version's, passed over */
		uint64_t chunks_unknown;
		uint64_t cut_bytes;
		bool cut; /* the file had an end once, and has not */
		uint64_t snapshots_skipped;
	} loss;
	/* Page faults that the kernel sampled: docs/trace-format.md. */
	struct {
		bool asked;	 /* for; false: the rest is zero */
		bool has_begun;	 /* or was refused */
		bool is_refused; /* by the kernel */
		int refused_errno;
		bool is_raised;	    /* the period was, to keep within the CPU budget */
		bool kernel_faults; /* touches by system calls are among them */
		bool page_sizes;
		bool threads_to_come;
		bool major_sampled; /* major faults are among them */
		int64_t from_ns;    /* when the sampling began */
		uint64_t period;    /* the last; one sample stands for so many faults */
		uint64_t least_period;
		uint64_t most_period;
		uint64_t samples;
		uint64_t stood_for; /* faults, by all samples */
		uint64_t samples_lost;
		uint64_t samples_skipped;
		uint64_t pauses;       /* times when none were taken, to limit CPU time */
		uint64_t minor_faults; /* by the kernel's count; VMT_FIGURE_UNKNOWN */
		uint64_t major_faults;
		uint64_t unsampled_faults; /* that no sample stands for; VMT_FIGURE_UNKNOWN */
	} touch;
	struct vmt_committer *committers; /* largest first */
	size_t committer_count;
	struct vmt_reserved_part *reserved_parts; /* what committers and sites point to */
	struct vmt_touched_part *touched_parts;
	struct {
		const char *stacks;
		const char *malloc_mode;
		bool own_malloc; /* the program brings its malloc: no block was seen */
		uint64_t malloc_sample_bytes;
		uint64_t thinned_bytes; /* of a thinned heap: see vmt_report_variance_bytes */
		struct vmt_go_site_row *go_sites;
		size_t go_site_count;
		char **blind_spots;
		size_t blind_spot_count;
		const char *nameless; /* the one of files that may have changed; NULL: none */
	} coverage;
	struct {
		bool is_read;	      /* some figure of it was, at some time */
		uint64_t limit_bytes; /* VMT_FIGURE_UNKNOWN where there is none */
		uint64_t peak_bytes;
		bool peak_sampled; /* the most that was seen, not the kernel's own figure */
		uint64_t last_bytes;
		uint64_t oom_kills; /* since the recording began */
		/* When most of it was seen in use; VMT_FIGURE_UNKNOWN where the kernel says none.
		 */
		struct {
			int64_t time_ns;
			uint64_t bytes;
			uint64_t anonymous_bytes;     /* of all its processes */
			uint64_t file_bytes;	      /* page cache and tmpfs */
			uint64_t shared_memory_bytes; /* of these, tmpfs, memfd, System V */
			uint64_t process_rss_bytes;   /* of this one */
		} fullest;
	} cgroup;

	/* Names that the trace carries with it: 0 = none, they are looked up in files. */
	struct {
		uint64_t modules;
		uint64_t addresses;
		bool are_damaged; /* and so dropped */
	} packed;

	/* What the process wrote down of the code that it compiled (jit_names.h). */
	struct {
		uint64_t functions;
		uint64_t reused; /* addresses of stacks that had more than one */
	} compiled;
};

enum vmt_report_at {
	VMT_AT_DEFAULT, /* the peak; of a process that still runs, the last */
	VMT_AT_PEAK,
	VMT_AT_END,
	VMT_AT_TIME,
	VMT_AT_CLOCK,	 /* a local time of day, the first after the start */
	VMT_AT_PLATEAU,	 /* the last whose RSS is the peak's but for 2 % or 512 KiB: which of many
			    snapshots of a steady process is the peak is chance */
	VMT_AT_COMPARED, /* as DEFAULT, with PLATEAU in the place of PEAK */
};

struct vmt_names_visitor;
struct vmt_snapshot;

/* Whether what the events of the heap led to is kept for the next report (digest.h). */
enum vmt_report_cache {
	VMT_REPORT_CACHE_OFF,
	VMT_REPORT_CACHE_LARGE, /* of traces with many events of the heap */
	VMT_REPORT_CACHE_ALL
};

struct vmt_report_options {
	enum vmt_report_at at;
	int64_t at_time_ns; /* VMT_AT_TIME: the last snapshot not after it; CLOCK: since midnight */
	bool symbols;	    /* false: addresses and modules alone */
	bool by_thread;	    /* call sites of different threads stay apart */
	bool history;	    /* the figures of the other snapshots too */
	bool no_growth; /* without grown_bytes: when to begin with it only the trace's end tells */
	const char
	    *sysroot; /* where the files that a trace names are looked up: lookup.h; or NULL */
	/* Where not NULL: told all names that a report of this trace may need (packed_names.h). */
	const struct vmt_names_visitor *all_names;
	uint64_t cpu_ns; /* to replay the events; 0 = what is plenty for a trace of its size */
	enum vmt_report_cache cache;

	/* Called now and then while the report is made, where not NULL: what is being done, and how
	 * much of it. total is never 0. */
	void (*progress)(void *context, const char *doing, uint64_t done, uint64_t total);
	void *progress_context;

	/* A snapshot in the place of the trace's own, or NULL: the process's, or what one that
	 * descends from it by forks has inherited. It is moved out. Its head.time is in ticks of
	 * this trace; the fork of the child lent_to comes before, if that is not 0. */
	struct vmt_snapshot *lent;
	uint32_t lent_to;
	/* Told of what the process itself inherited at its fork, by ranges of addresses, in rising
	 * order, where not NULL. 0 or -ENOMEM. */
	int (*inherited)(void *context, uint64_t start, uint64_t end);
	void *inherited_context;
};

/* Whether code is of the C or C++ library, the loader or this tracer: it serves callers, and is
 * seldom what somebody looks for. */
bool vmt_report_is_c_library(const struct vmt_frame *frame);

/* The variance of an estimate of live blocks at the snapshot, by its bytes: the square of its
 * standard deviation is this times the estimate. 0 where all blocks are recorded. */
static inline uint64_t
vmt_report_variance_bytes(const struct vmt_report *report)
{
	return report->coverage.malloc_sample_bytes > report->coverage.thinned_bytes
		   ? report->coverage.malloc_sample_bytes
		   : report->coverage.thinned_bytes;
}

/* On how many samples something stands; at least one, where it is not 0. */
static inline uint64_t
vmt_report_samples(double samples)
{
	uint64_t whole = (uint64_t)samples;

	return whole + (samples - (double)whole > 1e-6);
}

/* Up to when the trace has anything, since its start. */
static inline int64_t
vmt_report_end_ns(const struct vmt_report *report)
{
	int64_t end_ns = (int64_t)report->process.duration_ns;

	if (report->process.last_event_ns > end_ns)
		end_ns = report->process.last_event_ns;
	return report->snapshot.time_ns > end_ns ? report->snapshot.time_ns : end_ns;
}

/* The largest RSS that was seen, and when. */
static inline struct vmt_rss_point
vmt_report_seen_peak(const struct vmt_report *report)
{
	struct vmt_rss_point peak = {report->snapshot.time_ns, report->snapshot.rss_bytes};

	for (size_t i = 0; i < report->rss_count; i++)
		if (report->rss[i].rss_bytes > peak.rss_bytes)
			peak = report->rss[i];
	if (report->peak.seen_bytes > peak.rss_bytes)
		peak = (struct vmt_rss_point){report->peak.seen_ns, report->peak.seen_bytes};
	return peak;
}

/* The largest RSS that there was, as far as anybody knows. */
static inline uint64_t
vmt_report_peak_bytes(const struct vmt_report *report)
{
	return report->peak.is_missed ? report->peak.counted_bytes
				      : vmt_report_seen_peak(report).rss_bytes;
}

/* Whether the process runs, and its last figures are of now. */
static inline bool
vmt_report_is_live(const struct vmt_report *report)
{
	return strcmp(report->process.end, "running") == 0 && !report->process.uncollected;
}

/* Whether it was killed because its cgroup, or the machine, was out of memory: by SIGKILL, while
 * the kernel counted such a kill in its cgroup. */
static inline bool
vmt_report_is_oom(const struct vmt_report *report)
{
	return strcmp(report->process.end, "signal") == 0 &&
	       report->process.end_status == SIGKILL &&
	       report->cgroup.oom_kills != VMT_FIGURE_UNKNOWN && report->cgroup.oom_kills != 0;
}

/* What the process was started as; where the command line was left out, its program. */
static inline const char *
vmt_report_command(const struct vmt_report *report)
{
	const char *command = report->process.cmdline;

	if (!command || !*command)
		command = report->process.exe;
	return command ? command : "";
}

#endif
