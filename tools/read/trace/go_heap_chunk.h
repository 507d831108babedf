/*
 * go_heap_chunk.h: decodes a GO_HEAP chunk.
 *
 * Takes the payload apart (format/go_heap.h). Bytes are untrusted: every list is by rising address
 * and without overlap, and no larger than the payload can hold.
 */
#ifndef VMT_GO_HEAP_CHUNK_H
#define VMT_GO_HEAP_CHUNK_H

#include "format/chunk.h"
#include "format/go_heap.h"
#include "tools/err.h"

/* As many of each as the head says. */
struct vmt_go_heap {
	struct vmt_go_heap_head head;
	struct vmt_go_span *spans;
	struct vmt_go_run *ranges;
	struct vmt_go_run *free;
	struct vmt_go_run *released;
	struct vmt_go_goroutine *goroutines;
};

/* header: of the chunk. 0 or a negative errno; free it after 0. */
int vmt_go_heap_chunk_read(struct vmt_go_heap *heap, const struct vmt_chunk *header,
			   const unsigned char *payload, size_t length, struct vmt_err *err);
void vmt_go_heap_chunk_free(struct vmt_go_heap *heap);

#endif
