#include "tools/read/trace/go_heap_chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROW_LEAST_BYTES 2u

struct rest {
	const unsigned char *at;
	const unsigned char *end;
};

void
vmt_go_heap_chunk_free(struct vmt_go_heap *heap)
{
	free(heap->spans);
	free(heap->ranges);
	free(heap->free);
	free(heap->released);
	free(heap->goroutines);
	*heap = (struct vmt_go_heap){.spans = NULL};
}

/* Room for a list; NULL where the rest can't hold so many, or memory is short. */
static void *
make_list(const struct rest *rest, uint64_t count, size_t row_bytes)
{
	if (count > (size_t)(rest->end - rest->at) / ROW_LEAST_BYTES)
		return NULL;
	return calloc((size_t)count + 1, row_bytes);
}

static bool
read_spans(struct vmt_go_heap *heap, struct rest *rest)
{
	struct vmt_go_heap_coder coder;

	heap->spans = make_list(rest, heap->head.spans, sizeof(*heap->spans));
	vmt_go_heap_begin(&coder);
	for (uint64_t i = 0; heap->spans && i < heap->head.spans; i++)
		if (!vmt_go_heap_get_span(&coder, &rest->at, rest->end, &heap->spans[i]))
			return false;
	return heap->spans != NULL;
}

static bool
read_runs(struct vmt_go_run **runs, uint64_t count, struct rest *rest)
{
	struct vmt_go_heap_coder coder;

	*runs = make_list(rest, count, sizeof(**runs));
	vmt_go_heap_begin(&coder);
	for (uint64_t i = 0; *runs && i < count; i++)
		if (!vmt_go_heap_get_run(&coder, &rest->at, rest->end, &(*runs)[i]))
			return false;
	return *runs != NULL;
}

static bool
read_goroutines(struct vmt_go_heap *heap, struct rest *rest)
{
	struct vmt_go_heap_coder coder;

	heap->goroutines = make_list(rest, heap->head.goroutines, sizeof(*heap->goroutines));
	vmt_go_heap_begin(&coder);
	for (uint64_t i = 0; heap->goroutines && i < heap->head.goroutines; i++)
		if (!vmt_go_heap_get_goroutine(&coder, &rest->at, rest->end, &heap->goroutines[i]))
			return false;
	return heap->goroutines != NULL;
}

int
vmt_go_heap_chunk_read(struct vmt_go_heap *heap, const struct vmt_chunk *header,
		       const unsigned char *payload, size_t length, struct vmt_err *err)
{
	struct rest rest = {payload + header->record_bytes, payload + length};

	*heap = (struct vmt_go_heap){.spans = NULL};
	if (header->record_bytes < sizeof(heap->head) || header->record_bytes > length)
		return vmt_err_set(err, EBADMSG,
				   "the inside of a Go heap, of %zu bytes, has no head", length);
	memcpy(&heap->head, payload, sizeof(heap->head));
	if (read_spans(heap, &rest) && read_runs(&heap->ranges, heap->head.ranges, &rest) &&
	    read_runs(&heap->free, heap->head.free, &rest) &&
	    read_runs(&heap->released, heap->head.released, &rest) && read_goroutines(heap, &rest))
		return 0;
	vmt_go_heap_chunk_free(heap);
	return vmt_err_set(err, EBADMSG, "the inside of a Go heap is cut or wrong");
}
