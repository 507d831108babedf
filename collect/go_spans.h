/*
 * go_spans.h: what the pages of a Go heap are used for, read from outside
 *
 * Reads the runtime's list of spans and each span, and what address space the heap has. The process
 * runs meanwhile. Spans that then lie over one another are read again; what still makes no sense is
 * left out and counted. Single-threaded. Errors: negative errno; -EAGAIN: the list moved each time;
 * -EINVAL: what stands there can't be a heap.
 */
#ifndef VMT_GO_SPANS_H
#define VMT_GO_SPANS_H

#include "collect/go_view.h"
#include "format/go_heap.h"

#include <stdbool.h>
#include <stddef.h>

/* One span and where the runtime describes it. */
struct vmt_go_span_row {
	struct vmt_go_span span;
	uint64_t descriptor;
	uint64_t specials; /* the first of its list (go_large_reader.h); 0: there is none */
};

/* By address. */
struct vmt_go_runs {
	struct vmt_buffer rows; /* struct vmt_go_run */
	size_t count;
};

/* Zero it first, free it in any case. */
struct vmt_go_spans {
	struct vmt_buffer pointers;
	struct vmt_buffer rows; /* struct vmt_go_span_row, by address */
	struct vmt_buffer spare;
	struct vmt_go_runs ranges;   /* address space that the heap has */
	struct vmt_go_runs free;     /* of it, what no span has and was not given back: go_free.h */
	struct vmt_go_runs released; /* ... and what was */
	uint64_t known;		     /* entries of the runtime's list */
	size_t count;
	uint64_t unread;
};

/* How many spans there would be to read. */
int vmt_go_spans_count(const struct vmt_go_view *view, uint64_t *count);

/* What the bytes of a runtime.mspan say; descriptor stays. False: nothing that makes sense, or that
 * the span is free. */
bool vmt_go_spans_parse(const struct vmt_go_offsets *offsets, const unsigned char *bytes,
			struct vmt_go_span_row *row);

int vmt_go_spans_read(struct vmt_go_spans *spans, const struct vmt_go_view *view);
void vmt_go_spans_free(struct vmt_go_spans *spans);

static inline const struct vmt_go_span_row *
vmt_go_spans_rows(const struct vmt_go_spans *spans)
{
	return (const void *)spans->rows.bytes;
}

/* The span that holds the address; NULL: none is known. */
const struct vmt_go_span *vmt_go_spans_at(const struct vmt_go_spans *spans, uint64_t address);

#endif
