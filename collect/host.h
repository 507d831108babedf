/*
 * host.h: what the process in which the collector runs does for it, and asks of it
 */
#ifndef VMT_HOST_H
#define VMT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_procfs_watch;

struct vmt_collector_host {
	/* Compresses src into dst (dst_bytes of room); bytes written, or 0 to store it raw.
	 * NULL: never compress. */
	size_t (*compress)(void *context, void *dst, size_t dst_bytes, const void *src,
			   size_t src_bytes);
	/* Called every round; true = a process that the host knows of may still announce itself, so
	 * stay although nobody is left. NULL: leave when the tree is empty. */
	bool (*expects_more)(void *context);
	/* The process was left, and could not be told; may be NULL. Asked each round. */
	bool (*is_left)(void *context, uint32_t pid);
	/* How a process ended where the host has reaped it; false = not known. NULL: never. */
	bool (*reaped)(void *context, uint32_t pid, int *wait_status);
	/* The largest RSS of such a process in bytes, as wait4 tells it; 0 = not known. NULL:
	 * never.
	 */
	uint64_t (*peak_rss)(void *context, uint32_t pid);
	/* Called with each trace opened. NULL: not wanted. */
	void (*announce)(void *context, uint32_t pid, const char *path);
	void *context;
	/* Starts who serves requests of base/exec_request.h, where there are any and nobody does.
	 * Called every round, and within long work. NULL: the host serves them by itself. */
	void (*serve_execs)(void *serve_context);
	void *serve_context;
	/* Called with each trace that was removed (retain.h). NULL: not wanted. */
	void (*dropped)(void *context, uint32_t pid, const char *path);
	uint64_t min_rss_bytes;	   /* traces of processes below are removed; 0 = none */
	uint32_t max_files;	   /* finished traces that stay; 0 = all */
	uint64_t max_bytes;	   /* of each trace (bound.h); 0 = any */
	uint64_t interval_ns;	   /* between RSS samples; 0 = default */
	uint32_t residency_source; /* enum vmt_residency_source; 0 = the best there is */
	uint32_t touch_period;	   /* faults a sample; VMT_PERIOD_OFF, VMT_PERIOD_AUTO */
	uint32_t first_pid; /* the process whose session this is; watched until it announces */
	/* Of the first process, opened when the collector's leave to was the program's own: they go
	 * with the trace of this id and are the collector's to close. NULL: none. */
	struct vmt_procfs_watch *first_watch;
	uint64_t first_random_id;
	bool ends_at_exec;	  /* what a process executes is never recorded: it is not awaited */
	bool ends_with_collector; /* this process: nothing is given back before its exit */
	const char *session_path; /* unlinked when the tree has ended; NULL: the host does it */
};

#endif
