/*
 * go_view.h: a Go runtime in another process, as it is read from outside
 *
 * Whoever reads takes what it finds for untrusted: the process runs on, and may have written
 * anything. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_GO_VIEW_H
#define VMT_GO_VIEW_H

#include "base/buffer.h"
#include "collect/remote_read.h"
#include "format/go_offsets.h"
#include "format/head.h"

#include <stdint.h>

struct vmt_go_view {
	uint32_t pid;
	const struct vmt_go_offsets *offsets;
	uint64_t heap;		      /* address of runtime.mheap_ */
	uint64_t all_goroutines;      /* runtime.allgs; 0: not known */
	uint64_t processors;	      /* runtime.allp; 0: not known */
	uint64_t profile;	      /* runtime.mbuckets; 0: not known; so are the next two */
	uint64_t profile_cycle;	      /* runtime.mProfCycle */
	uint64_t profile_rate;	      /* runtime.MemProfileRate */
	void (*pause)(void *context); /* in long work; NULL: nothing */
	void *context;
};

/* Of the first runtime that the head names; 0 where it does not name an object, and no offsets
 * where the version is not known. The head is the target's to damage. */
void vmt_go_view_open(struct vmt_go_view *view, const struct vmt_head *head, uint32_t pid);

struct vmt_go_slice {
	uint64_t address;
	uint64_t count;
	uint64_t capacity;
};

/* A slice's own words. -EINVAL: they make no sense. */
static inline int
vmt_go_view_slice(const struct vmt_go_view *view, uint64_t address, struct vmt_go_slice *slice)
{
	int result = vmt_remote_read(view->pid, address, slice, sizeof(*slice));

	if (result == 0 && (slice->count > slice->capacity || slice->address % 8 != 0))
		result = -22; /* EINVAL */
	return result;
}

#endif
