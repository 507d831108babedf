/*
 * go_profile_writer.h: writes the memory profile of a Go runtime into the trace
 *
 * Appends one GO_PROFILE chunk (format/go_profile.h), by what the head of the trace names. A
 * profile that is as the one before is not written twice. Single-threaded. Errors: negative errno;
 * -ENODATA: there is nothing that can be read.
 */
#ifndef VMT_GO_PROFILE_WRITER_H
#define VMT_GO_PROFILE_WRITER_H

#include "collect/go_heap_cost.h"
#include "collect/writer.h"
#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

/* Of one process; zero at first. */
struct vmt_go_profile_state {
	struct vmt_go_heap_cost cost; /* a row is a bucket */
	uint64_t buckets;	      /* that there are at least */
	uint32_t checksum;	      /* of the rows that were written last */
	bool is_written;
};

struct vmt_go_profile_job {
	const struct vmt_head *head; /* mapped */
	uint32_t pid;		     /* of the process, as the collector knows it */
	int maps_fd;		     /* of its maps, as the pid may be another program by now */
	uint32_t snapshot;	     /* index of the one that is to follow */
	uint64_t most_ns;	     /* of CPU time, as for the heap (go_heap_reader.h) */
	struct vmt_go_profile_state *state;
	void (*pause)(void *context);
	void *context;
};

int vmt_go_profile_writer_take(const struct vmt_go_profile_job *job, struct vmt_writer *writer);

#endif
