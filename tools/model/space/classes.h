/*
 * classes.h: the classes into which an address space is divided.
 *
 * Every mapped byte of a snapshot is in exactly one class. Names are the report's.
 */
#ifndef VMT_CLASSES_H
#define VMT_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

enum vmt_class_id {
	VMT_CLASS_MMAP, /* direct maps, by call site */
	VMT_CLASS_MALLOC_LIVE,
	VMT_CLASS_MALLOC_RETAINED,
	VMT_CLASS_MALLOC,    /* an allocator's, of whose blocks nothing is known */
	VMT_CLASS_INHERITED, /* a fork child's, of whose use its parent's trace alone can tell */
	VMT_CLASS_HEAP,	     /* [heap], of which no recorded call is known: from before */
	VMT_CLASS_ANONYMOUS, /* the same, of any other private anonymous memory */
	VMT_CLASS_THREAD_STACKS,
	VMT_CLASS_ENDED_STACKS, /* kept by the C library for the next threads, or never joined */
	VMT_CLASS_MAIN_STACK,
	VMT_CLASS_PROGRAM,
	VMT_CLASS_FILES,
	VMT_CLASS_SHARED,
	VMT_CLASS_HUGETLB,
	VMT_CLASS_GO_HEAP,  /* arenas: what of them is in none of the six classes behind this one */
	VMT_CLASS_GO_LARGE, /* a span each */
	VMT_CLASS_GO_SMALL, /* slots of spans that hold an object, garbage included */
	VMT_CLASS_GO_FREE_SLOTS,
	VMT_CLASS_GO_STACKS,   /* of goroutines */
	VMT_CLASS_GO_FREE,     /* pages of no span, kept */
	VMT_CLASS_GO_RELEASED, /* ... and given back to the kernel */
	VMT_CLASS_GO_METADATA,
	VMT_CLASS_GO_OTHER,
	VMT_CLASS_KERNEL,
	VMT_CLASS_TRACER,
	VMT_CLASS_UNATTRIBUTED,
	VMT_CLASSES,
};

const char *vmt_classes_name(enum vmt_class_id id);

/* Whether it is a Go runtime's; a part of its arenas, or all of them. */
static inline bool
vmt_classes_is_go(enum vmt_class_id id)
{
	return id >= VMT_CLASS_GO_HEAP && id <= VMT_CLASS_GO_OTHER;
}

static inline bool
vmt_classes_is_go_heap(enum vmt_class_id id)
{
	return id >= VMT_CLASS_GO_HEAP && id <= VMT_CLASS_GO_RELEASED;
}

enum vmt_amount {
	VMT_AMOUNT_RESERVED,
	VMT_AMOUNT_ACCESSIBLE, /* all of a mapping's reserved bytes, or none: by its protection */
	VMT_AMOUNT_COMMITTED,
	VMT_AMOUNT_SWAPPED,
	VMT_AMOUNT_UNTOUCHED, /* private anonymous memory that never had a page (touched.h) */
	VMT_AMOUNT_HUGETLB,   /* has a hugetlb page, which is in RAM and not in RSS */
	VMT_AMOUNT_SHARED,    /* of committed: in other mappings too; 0 where the runs don't tell */
	VMT_AMOUNTS
};

/* Bytes, by enum vmt_amount. */
struct vmt_amounts {
	uint64_t bytes[VMT_AMOUNTS];
};

#endif
