/*
 * go_goroutines.h: the goroutines of a Go runtime and their stacks, read from outside
 *
 * A stack that lies in no span of stacks has moved since the spans were read: it counts as unread.
 * Single-threaded. Errors: negative errno.
 */
#ifndef VMT_GO_GOROUTINES_H
#define VMT_GO_GOROUTINES_H

#include "collect/go_spans.h"

/* Zero it first, free it in any case. */
struct vmt_go_goroutines {
	struct vmt_buffer pointers;
	struct vmt_buffer rows; /* struct vmt_go_goroutine, by address */
	struct vmt_buffer spare;
	uint64_t known; /* entries of the runtime's list, without a stack too */
	size_t count;
	uint64_t unread;
};

/* How many goroutines there would be to read. */
int vmt_go_goroutines_count(const struct vmt_go_view *view, uint64_t *count);

int vmt_go_goroutines_read(struct vmt_go_goroutines *goroutines, const struct vmt_go_view *view,
			   const struct vmt_go_spans *spans);
void vmt_go_goroutines_free(struct vmt_go_goroutines *goroutines);

#endif
