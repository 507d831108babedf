/*
 * go_heap_reader.h: writes what the inside of a Go heap is into the trace
 *
 * Follows the runtime's objects that the head of the trace names, by the offsets of its version
 * (format/go_offsets.h), and appends one GO_HEAP chunk (format/go_heap.h), and where the heap was
 * read one GO_LARGE chunk (format/go_large.h). The head is the target's to damage: what it leads to
 * is untrusted. Single-threaded. Errors: negative errno; -ENODATA: there is nothing that can be
 * read.
 */
#ifndef VMT_GO_HEAP_READER_H
#define VMT_GO_HEAP_READER_H

#include "collect/go_heap_cost.h"
#include "collect/writer.h"
#include "format/head.h"

#include <stdint.h>

struct vmt_go_heap_job {
	const struct vmt_head *head; /* mapped */
	uint32_t pid;		     /* of the process, as the collector knows it */
	int maps_fd;		     /* of its maps, as the pid may be another program by now */
	uint32_t snapshot;	     /* index of the one that is to follow */
	/* Of CPU time: where it would take more, and is not due by its cost either
	 * (go_heap_cost.h), the chunk says that alone. */
	uint64_t most_ns;
	struct vmt_go_heap_cost *cost; /* of this process's heap */
	void (*pause)(void *context);
	void *context;
};

int vmt_go_heap_reader_take(const struct vmt_go_heap_job *job, struct vmt_writer *writer);

#endif
