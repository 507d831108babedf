/*
 * shortage.h: whether a call was refused for room that the tracer's mappings take
 *
 * Asked of what the kernel counts, not by trying: what would be mapped to try is room that another
 * thread is refused meanwhile. RLIMIT_AS and RLIMIT_DATA are compared with VmSize and VmData of
 * /proc/self/status, overcommit (vm.overcommit_memory=2) with the sums of /proc/meminfo: the limit
 * is exceeded with the tracer's mappings, and is not without them. Where a limit is in force and
 * /proc says nothing, the tracer's mappings are taken for the cause. The descriptor lives for one
 * read, where a program has just been refused memory and a limit is in force.
 *
 * Nobody says how many mappings there are short of a list of them all. Whether there may be another
 * is asked by an mmap that the kernel refuses whatever happens, and tells why; by an advice about a
 * page of the library's, which needs a mapping more for a moment; or by an mremap of two pages.
 *
 * Units: bytes. errno is not touched. Async-signal-safe; one thread at a time (retreat.h).
 *
 * Kernel facts: may_expand_vm (mm/mmap.c, since Linux 6.16 mm/vma.c), __vm_enough_memory
 * (mm/util.c), do_mmap and split_vma (max_map_count), move_vma (mm/mremap.c: at three below it).
 */
#ifndef VMT_SHORTAGE_H
#define VMT_SHORTAGE_H

#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

enum vmt_shortage_mappings {
	VMT_MAPPINGS_SAME,
	VMT_MAPPINGS_NEW,   /* one more: refused above vm.max_map_count */
	VMT_MAPPINGS_SPLIT, /* one is cut: refused at vm.max_map_count */
	VMT_MAPPINGS_MOVED, /* by mremap: refused some before */
};

/* What a refused call wanted. */
struct vmt_shortage_call {
	uint64_t least; /* bytes */
	uint64_t most;
	bool copy;	/* of all private memory, instead: a fork */
	bool exact;	/* nobody asked for more in between, and other causes are usual */
	bool space;	/* RLIMIT_AS counts it */
	bool data;	/* RLIMIT_DATA counts it */
	bool committed; /* overcommit counts it */
	enum vmt_shortage_mappings mappings;
};

/* What the tracer would give back. */
struct vmt_shortage_own {
	uint64_t bytes;
	uint64_t private_bytes; /* of these, private and writable */
};

/* 0: for something else, or it would be refused without the tracer as well. */
enum vmt_stop vmt_shortage_find(const struct vmt_shortage_call *call,
				const struct vmt_shortage_own *own);

/* Whether a limit is in force that the tracer's mappings count against: RLIMIT_AS or RLIMIT_DATA.
 */
bool vmt_shortage_is_limited(void);

#endif
