/*
 * tree.h: the data of a report about several traces: whose child is who, and what they have
 * together.
 *
 * Plain data, in bytes and nanoseconds, with the figures that section "several traces" of
 * docs/trace-format.md names. Built by tree_build.h, printed by render/. Owns all it points to,
 * freed by vmt_tree_free. VMT_FIGURE_UNKNOWN marks a figure that no snapshot has.
 *
 * A trace is of one process image: what a process executes has a trace of its own. Times are
 * CLOCK_MONOTONIC of the boot in which a process ran.
 */
#ifndef VMT_TREE_H
#define VMT_TREE_H

#include "format/chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_TREE_NONE SIZE_MAX

/* Figures are untrusted. No machine has more, and sums of as many traces as are looked at are still
 * numbers. */
#define VMT_TREE_MOST_BYTES (UINT64_C(1) << 46)

static inline uint64_t
vmt_tree_figure(uint64_t bytes)
{
	return bytes > VMT_TREE_MOST_BYTES && bytes != VMT_FIGURE_UNKNOWN ? VMT_TREE_MOST_BYTES
									  : bytes;
}

/* How a process image came to be. */
enum vmt_tree_origin {
	VMT_TREE_ROOT,	/* its parent has no trace here */
	VMT_TREE_FORK,	/* with its parent's memory */
	VMT_TREE_EXEC,	/* in the process of its parent: an earlier image */
	VMT_TREE_SPAWN, /* a child of its parent, that executed a program since */
};

struct vmt_tree_point {
	int64_t time_ns;
	uint64_t rss_bytes;
};

/* What was read of a process without a trace, and for how long. */
struct vmt_tree_span {
	int64_t start_ns;
	int64_t end_ns; /* INT64_MAX: not known */
	uint64_t private_bytes;
};

/* At the moment of its tree, by one snapshot. */
struct vmt_tree_figures {
	int64_t time_ns; /* of the snapshot */
	uint64_t rss_bytes;
	uint64_t private_bytes; /* in no other mapping */
	uint64_t shared_bytes;	/* rss_bytes = private_bytes + shared_bytes */
	uint64_t proportional_bytes;
	uint64_t swap_bytes;
};

/* What a process inherited at its fork, by who reserved it. */
struct vmt_tree_inherited {
	size_t from; /* process */
	char *call;  /* the call site, or the class where no call is known */
	uint64_t committed_bytes;
	bool is_estimate;
};

struct vmt_tree_process {
	char *path; /* of the trace */
	char *name; /* of the trace, as it is shown */
	char *exe;
	char *title; /* what it called itself last, else its command line, else its program */
	uint32_t pid;
	uint32_t parent_pid;
	uint64_t start_ticks;
	unsigned char boot_id[16];
	uint64_t namespace; /* of its collector's pids; 0 = not known */
	uint64_t random_id;
	uint64_t forked_from;
	uint64_t start_unix_ns;
	uint32_t clock;	     /* of its trace's times */
	uint64_t start_time; /* of its trace, by that clock */
	int64_t start_ns;
	int64_t end_ns;	   /* the last that is known of it; INT64_MAX: it runs */
	int64_t leaves_ns; /* of its last snapshot, where it waited for that in order to end; else
			      end_ns */
	const char *end;   /* process_end.h; or "oom", by the OOM killer's signal */
	int end_status;
	bool is_attached;	 /* the recording began while it ran */
	bool is_unseen;		 /* /proc does not show here whether it runs: it is of another pid
				    namespace, or hidden */
	bool is_snapshot;	 /* its only one is all there is of it; end is "snapshot" */
	uint64_t peak_rss_bytes; /* 0: never read */
	struct vmt_tree_point *points;
	size_t point_count;
	struct vmt_tree_point last; /* the last that was read of RSS; time_ns 0: nothing was */
	enum vmt_tree_origin origin;
	size_t parent; /* or VMT_TREE_NONE */
	size_t tree;
	size_t group;
	struct vmt_tree_span *untraced; /* the first of those that had more than little */
	size_t untraced_count;
	bool tells_untraced; /* its trace has records of processes without one */
	bool is_ambiguous;   /* several traces may be its parent's: none was taken */
	bool is_outside;     /* its trace was made from outside */
	size_t continued;  /* the process's own trace, that came later; or VMT_TREE_NONE. It stands
			      for the process then: this one is in no count */
	bool is_there;	   /* at the moment of its tree */
	bool has_snapshot; /* that stands for that moment: */
	struct vmt_tree_figures at;
	size_t chunk;  /* of the snapshot */
	bool is_apart; /* others of the tree came or went between it and the moment */
	struct vmt_tree_inherited *inherited; /* largest first; where the owner was looked up */
	size_t inherited_count;
	char *owner; /* who has most of it then, in words; NULL: not looked up */
};

struct vmt_tree_sum {
	uint64_t rss_bytes; /* added up: shared pages once for each process */
	uint64_t private_bytes;
	uint64_t proportional_bytes;
	uint64_t once_bytes;	/* each page once, shared or not */
	uint64_t outside_bytes; /* of once_bytes, the part of those that also map the pages and are
				   not in the sum */
	bool is_apart;	  /* processes came or went between the snapshots: the sum of Pss means
			     nothing, and outside_bytes is not known */
	bool is_estimate; /* once_bytes */
	bool is_short;	  /* the snapshots have less RSS than was read at the moment: what all have
			     together is more */
	bool is_least;	  /* once_bytes may be too small: as it is short, processes are not in it,
			     or pages were copied since the snapshots */
};

/* Processes of the tree that have no trace: in no sum. */
struct vmt_tree_untraced {
	size_t told;		     /* at any time */
	uint64_t ever_private_bytes; /* the most that was read of one of them; 0: nothing was */
	size_t there;		     /* at the moment */
	size_t
	    brief; /* they may have been there: between their forks and a look at them they ended */
	size_t unread;		     /* of these: nothing was read */
	uint64_t most_private_bytes; /* of these, the most of one */
	uint64_t private_bytes;	     /* of these, together */
	size_t executed; /* besides, at any time: programs that load no library, not recorded */
};

/* Processes that descend from one, as far as there are traces. */
struct vmt_tree_family {
	size_t root;
	size_t traces;
	size_t there;  /* processes at the moment */
	size_t unseen; /* of these, without a snapshot: in no sum of snapshots */
	size_t unread; /* of these, whose RSS was not read until then: not in moment_rss_bytes */
	bool is_live;  /* the moment is the newest, else that of the largest sum of RSS */
	struct vmt_tree_point
	    *line; /* the sum of RSS over time (tree_line.h), where it was asked for */
	size_t line_count;
	size_t line_steps; /* that it was made of */
	int64_t moment_ns;
	int64_t skew_ns;	   /* of the snapshot that is furthest from the moment */
	uint64_t moment_rss_bytes; /* the sum of RSS then, by what was read between snapshots */
	uint64_t weight_bytes;	   /* and of processes without a trace, that made it the moment */
	uint64_t peak_changes;	   /* how many had come or gone until then */
	struct vmt_tree_untraced untraced;
	struct vmt_tree_sum sum;
};

/* Processes of one tree that are called alike. */
struct vmt_tree_group {
	size_t tree;
	bool is_forked; /* they were forked; else they began with a program of their own */
	char *name;
	size_t traces;
	size_t there;
	size_t largest;	    /* process with most RSS at the moment, or the highest peak */
	uint64_t rss_bytes; /* sums at the moment */
	uint64_t private_bytes;
	size_t known;		      /* of those there, whose private bytes are known */
	uint64_t least_private_bytes; /* of those that are known; UNKNOWN: none is */
	uint64_t most_private_bytes;
	uint64_t proportional_bytes;
	uint64_t peak_rss_bytes; /* the highest of any */
	size_t number;		 /* while they are sorted */
};

/* Which moment a report is about. */
enum vmt_tree_at {
	VMT_TREE_AT_DEFAULT, /* of a tree that runs the newest, else the peak */
	VMT_TREE_AT_PEAK,
	VMT_TREE_AT_END, /* the last at which RSS was read; of a tree that runs the newest */
	VMT_TREE_AT_TIME,
};

enum vmt_tree_group_by { VMT_TREE_BY_TITLE, VMT_TREE_BY_EXE };

/* Who wants to know which trace is read, while it is read. All NULL: nobody. */
struct vmt_tree_watcher {
	bool (*begin)(void *context, const char *path); /* false: it is not to be read */
	void (*end)(void *context);
	void *context;
};

static inline bool
vmt_tree_watcher_begin(const struct vmt_tree_watcher *watcher, const char *path)
{
	return !watcher->begin || watcher->begin(watcher->context, path);
}

static inline void
vmt_tree_watcher_end(const struct vmt_tree_watcher *watcher)
{
	if (watcher->end)
		watcher->end(watcher->context);
}

struct vmt_tree {
	struct vmt_tree_process *processes; /* the highest peak first */
	size_t count;
	struct vmt_tree_family *families; /* the largest sum first */
	size_t family_count;
	struct vmt_tree_group *groups; /* by family, then the largest sum of RSS first */
	size_t group_count;
	enum vmt_tree_at at;
	int64_t at_time_ns; /* VMT_TREE_AT_TIME: since the start of each root's trace, 0 or more */
	size_t unreadable;
	char *unreadable_why; /* of the first; NULL: none is */
	size_t passed_over;
	size_t ambiguous;
	struct vmt_tree_watcher watcher; /* for as long as it is built */
};

#endif
