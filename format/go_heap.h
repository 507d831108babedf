/*
 * go_heap.h: what a trace says of the inside of a Go heap at a snapshot
 *
 * A GO_HEAP chunk holds, in this order, each list by rising address and without overlap:
 *
 *   struct vmt_go_heap_head
 *   spans:       what the heap's pages are used for (runtime.mspan)
 *   ranges:      address space that the heap has grown into
 *   free:        pages of the ranges that no span has, and that may be in RAM
 *   released:    ... that the runtime has given back to the kernel
 *   goroutines:  their stacks, and the go statements that started them
 *
 * Rows are varints, as differences from the row before in the same list; docs/trace-format.md gives
 * them one by one. Freestanding: no allocation, no I/O. Thread and signal safe on separate coders.
 * What is decoded is untrusted: decoders never read past the end, and a row that they take lies
 * above the row before it in its list and does not wrap around.
 */
#ifndef VMT_GO_HEAP_H
#define VMT_GO_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_GO_PAGE_BYTES UINT64_C(8192) /* the runtime's own, on every machine */
#define VMT_GO_HEAP_ROW_MAX_BYTES 80u
#define VMT_GO_HEAP_MOST UINT64_C(1048576) /* spans; goroutines */

/* flags */
#define VMT_GO_HEAP_TOO_DEAR 1u	 /* reading it would have cost too much: all lists are empty */
#define VMT_GO_HEAP_UNSTEADY 2u	 /* it moved while it was read, each time: all lists are empty */
#define VMT_GO_HEAP_NOT_FREE 4u	 /* what is free or released is not known */
#define VMT_GO_HEAP_NO_STACKS 8u /* goroutines are not known */

struct vmt_go_heap_head {
	uint64_t time; /* ticks when all had been read */
	uint64_t monotonic_ns;
	uint32_t snapshot; /* index of the snapshot that follows in the file */
	uint32_t flags;
	uint64_t spans_known; /* entries of the runtime's list, dead ones too */
	uint64_t spans;
	uint64_t spans_unread; /* moved while they were read, or make no sense */
	uint64_t ranges;
	uint64_t free;
	uint64_t released;
	uint64_t goroutines_known; /* entries of the runtime's list, without a stack too */
	uint64_t goroutines;
	uint64_t goroutines_unread;
};

/* class: the runtime's span class, twice the size class (0: one large object), + 1 where its
 * objects hold no pointers; or one of these. */
#define VMT_GO_SPAN_CLASSES 136u
#define VMT_GO_SPAN_STACK 254u /* goroutines' stacks */
#define VMT_GO_SPAN_OTHER 255u /* the runtime's own use */

struct vmt_go_span {
	uint64_t start;
	uint64_t bytes;
	uint64_t slot_bytes; /* of small objects, else 0 */
	uint32_t slots;
	uint32_t allocated; /* slots that hold an object, garbage not yet swept included */
	uint8_t class;
	bool needs_zero; /* a new object is zeroed, which touches its pages */
};

/* Of ranges, free or released pages. */
struct vmt_go_run {
	uint64_t start;
	uint64_t bytes;
};

struct vmt_go_goroutine {
	uint64_t low;
	uint64_t high;
	uint64_t creator; /* where its go statement returns to; 0 = none */
	uint32_t status; /* the runtime's; VMT_GO_DEAD: it has ended, its stack waits for another */
};

#define VMT_GO_DEAD 6u

/* One list: begin it anew for each. */
struct vmt_go_heap_coder {
	uint64_t address;
	uint64_t creator;
	struct {
		uint32_t slots;
		uint32_t slot_bytes;
	} shapes[VMT_GO_SPAN_CLASSES]; /* of the last span of each class */
};

void vmt_go_heap_begin(struct vmt_go_heap_coder *coder);

/* Return the byte behind; the caller has made sure of VMT_GO_HEAP_ROW_MAX_BYTES of room. */
unsigned char *vmt_go_heap_put_span(struct vmt_go_heap_coder *coder, unsigned char *at,
				    const struct vmt_go_span *span);
unsigned char *vmt_go_heap_put_run(struct vmt_go_heap_coder *coder, unsigned char *at,
				   const struct vmt_go_run *run);
unsigned char *vmt_go_heap_put_goroutine(struct vmt_go_heap_coder *coder, unsigned char *at,
					 const struct vmt_go_goroutine *goroutine);

/* False: malformed. */
bool vmt_go_heap_get_span(struct vmt_go_heap_coder *coder, const unsigned char **at,
			  const unsigned char *end, struct vmt_go_span *span);
bool vmt_go_heap_get_run(struct vmt_go_heap_coder *coder, const unsigned char **at,
			 const unsigned char *end, struct vmt_go_run *run);
bool vmt_go_heap_get_goroutine(struct vmt_go_heap_coder *coder, const unsigned char **at,
			       const unsigned char *end, struct vmt_go_goroutine *goroutine);

/* Whether what a span says of itself can be: its slots fit, and no more hold an object than there
 * are. */
bool vmt_go_heap_is_span(const struct vmt_go_span *span);

#endif
