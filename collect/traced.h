/*
 * traced.h: what the collector knows of one traced process, and what all of them share
 *
 * Descriptors of /proc/PID are opened once and kept, since leave to read them is checked at open: a
 * process that changes its identity later stays readable.
 */
#ifndef VMT_TRACED_H
#define VMT_TRACED_H

#include "base/procfs.h"
#include "base/session.h"
#include "collect/bound.h"
#include "collect/cgroup_cache.h"
#include "collect/clock_drift.h"
#include "collect/cpu_budget.h"
#include "collect/demand.h"
#include "collect/drain.h"
#include "collect/exit_status.h"
#include "collect/go_heap_cost.h"
#include "collect/go_profile_writer.h"
#include "collect/head_writer.h"
#include "collect/host.h"
#include "collect/jit_copy.h"
#include "collect/snapshot.h"
#include "collect/touch_target.h"
#include "collect/writer.h"
#include "format/head.h"
#include "format/untraced.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VMT_PROCESS_USAGES 256u
#define VMT_UNTRACED_HELD 64u
/* Of processes taken up last, how many pids are known. */
#define VMT_LAST_PIDS 256u

enum vmt_process_state {
	VMT_PROCESS_NONE,
	VMT_PROCESS_LIVE,
	VMT_PROCESS_UNSEEN,  /* not to be found under its pid: over, or in another pid namespace */
	VMT_PROCESS_REPLACED /* finished, as it became another program: watched till that ends */
};

_Static_assert(VMT_PROCFS_NAME_BYTES == VMT_NAME_BYTES && VMT_PROCFS_UNKNOWN == VMT_FIGURE_UNKNOWN,
	       "what /proc says goes into the trace as it is");

/* Collector-wide: what is bounded or expensive is here once. */
struct vmt_traced;

struct vmt_shared {
	const struct vmt_collector_host *host;
	struct vmt_drain_scratch drain_scratch;
	struct vmt_snapshot_scratch snapshot_scratch;
	struct vmt_buffer packed;
	unsigned char *residency_scratch;
	enum vmt_residency_source source;
	uint64_t zero_frame;
	bool knows_guards;
	uint32_t first_pid;  /* of the processes, 0: none yet */
	bool is_tree;	     /* there was another than the first: pages may be shared among them */
	uint64_t changed_ns; /* when one began or ended last */
	struct vmt_traced *const *processes; /* the collector's, as many as *used; NULL: none */
	const uint32_t *used;
	uint32_t last_pids[VMT_LAST_PIDS]; /* of those taken up last, ended or not */
	uint32_t begun;
	/* Called inside long work, so that no heartbeat gets old and no ring full. */
	void (*pause)(void *context);
	/* Told of each fork of a process, with its time, and of each process that ends, before its
	 * trace goes (both with `context`). NULL: nobody asks. */
	void (*forked)(void *context, struct vmt_traced *parent, uint32_t pid, uint64_t fork_ns);
	void (*ending)(void *context, const struct vmt_traced *parent);
	void *context; /* of pause */
	struct vmt_session *session;
	uint64_t pid_namespace;	    /* the collector's own; 0 = not known */
	struct vmt_buffer retained; /* struct vmt_retained, where the host has max_files */
	uint32_t retained_count;
	struct vmt_cpu_budget credit; /* of all processes' snapshots */
	/* CPU time, since it was last asked for, that the credit is not to pay for as readings:
	 * snapshots, draining, taking up and finishing processes, page faults. */
	uint64_t apart_ns;
	uint64_t quota_due_ns; /* when the collector's CPU quota is read again */
	struct vmt_cgroup_caches cgroups;
	struct vmt_touch touch;
};

/* When the next look is due, and what the last ones found. */
struct vmt_sampling {
	struct vmt_cgroup_cache *cgroup; /* NULL: none */
	bool cgroup_sought;
	uint64_t interval_ns; /* between RSS samples, at present */
	uint64_t next_ns;
	uint64_t rss_bytes;
	uint64_t peak_rss_bytes;     /* of all readings, and by the kernel's own count */
	uint64_t peak_read_ns;	     /* when that count was last read */
	uint64_t most_private_bytes; /* of all snapshots that know it; 0: none did */
	uint64_t faults; /* of one observed from outside, without I/O; at the last one: */
	uint64_t snapshot_faults;
	uint64_t settle_ns; /* see settles() in sampling.c; 0: as at first */
	bool lacks_shares;  /* its last snapshot does not tell which pages are shared, or no Pss */
	bool moves_fast;    /* RSS, from one reading to the next */
	bool lost_sight;    /* at the last reading: the process may be another program by now */
	bool near_limit;    /* of the cgroup */
	uint64_t flushed_ns;
	uint64_t snapshot_ns;	     /* of the last snapshot; 0 = none yet */
	uint64_t snapshot_rss_bytes; /* at the last snapshot */
	struct vmt_demand demand;
	struct vmt_go_heap_cost go_heap;
	struct vmt_go_profile_state go_profile;
	uint32_t snapshots;
	uint64_t snapshots_skipped;
	bool searched;	   /* the program's file, for the code of an allocator */
	bool skip_counted; /* for the snapshot that is wanted now */
	uint32_t usage_count;
	struct vmt_usage usages[VMT_PROCESS_USAGES];
};

struct vmt_traced {
	bool used; /* held something before */
	enum vmt_process_state state;
	struct vmt_shared *shared;
	uint32_t pid;
	uint64_t random_id;
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
	/* Of the image that made the trace, see address_space.h: */
	uint64_t stack_start;
	char name[VMT_NAME_BYTES];	   /* when its address space was last seen */
	bool replaced;			   /* was another program already when opened */
	bool vouched_for;		   /* maps_fd is of the image that made the trace */
	bool traceable;			   /* its memory and its exit code may be read */
	uint64_t device;		   /* of the trace's file system */
	char path[VMT_SESSION_PATH_BYTES]; /* of the trace, absolute */
	uint64_t inode;
	bool elsewhere;		  /* its file system is not that of the first trace */
	bool leaving;		  /* the trace is to be closed before its process is answered */
	bool trace_closed;	  /* it is closed, see mount_release.h */
	uint64_t trace_closed_ns; /* since when */
	bool outside;		  /* made by the collector, see outside_trace.h */
	bool unnamed;		  /* ... the file has not got its name yet */
	bool hidden;		  /* ... and has a hidden one meanwhile */
	uint64_t ended_ns;	  /* when it did, seen with the trace closed; 0 = not yet */
	struct vmt_exit_status exit_status;
	int trace_fd;
	int aside_fd; /* of the head where it lies aside (shm_fallback.h); -1: it is in the trace */
	int pidfd;
	int stat_fd;
	int maps_fd;
	int pagemap_fd;
	int statm_fd;
	int rollup_fd;
	unsigned char *base;	/* the head and its regions, mapped */
	struct vmt_head layout; /* as it was when checked: the mapping is the target's to damage */
	struct vmt_writer writer;
	struct vmt_bound bound;
	struct vmt_head_writer head_writer; /* in use where the head lies aside */
	struct vmt_drain drain;
	struct vmt_sampling sampling;
	struct vmt_touch_target touch;
	uint64_t visit_ns; /* next visit due */
	uint64_t pace_ns;  /* between visits, at present */
	uint64_t retry_ns; /* after a failed write: not before this */
	uint64_t retry_pace_ns;
	uint64_t cpu_ns; /* spent on it */
	uint64_t title;	 /* see title.h */
	struct vmt_jit_copy_state jit;
	uint32_t end_seen;	     /* head.end when last looked at */
	struct vmt_clock_drift step; /* of the two clocks */
	/* Of others, to be written into this trace: see untraced_notes.h */
	struct vmt_untraced untraced[VMT_UNTRACED_HELD];
	uint32_t untraced_count;
	bool untraced_lost;
};

/* Zeros where something was before. A new one is all zeros, and most of its pages are never needed:
 * nobody touches them here. */
static inline void
vmt_traced_clear(struct vmt_traced *process)
{
	if (process->used)
		memset(process, 0, sizeof(*process));
	process->used = true;
}

static inline struct vmt_head *
vmt_process_head(const struct vmt_traced *process)
{
	return (struct vmt_head *)(void *)process->base;
}

#endif
