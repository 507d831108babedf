/*
 * attribution.h: the owner and class of every page of a snapshot.
 *
 * Joins a snapshot with the replay's state at its time. Every page goes to exactly one class, so by
 * construction, in bytes and page-exact:
 *	sum over classes of committed = bytes of present, non-zero runs = RSS
 *	sum over classes of reserved  = sum of the mappings' sizes = virtual
 * [vsyscall] is left out: it is the kernel's, and can't be scanned. Adds to each site its figures
 * at the snapshot (sites.h).
 *
 * Evidence for memory that no event explains, strongest first: a module's span (its .bss), a
 * thread's descriptor, live blocks and glibc's arenas (heap_pages.h), a guard below a thread's
 * stack, that it was there before the trace began, that it lies directly behind a library's data.
 */
#ifndef VMT_ATTRIBUTION_H
#define VMT_ATTRIBUTION_H

#include "tools/model/attribute/committers.h"
#include "tools/model/attribute/earlier.h"
#include "tools/model/attribute/largest_mappings.h"
#include "tools/model/attribute/region_parts.h"
#include "tools/model/attribute/regions.h"
#include "tools/model/attribute/retained.h"
#include "tools/read/trace/go_heap_chunk.h"

struct vmt_attribution {
	struct vmt_amounts classes[VMT_CLASSES];
	struct vmt_amounts total;
	uint64_t file_bytes; /* committed, over all rows of files */
	struct vmt_files *files;
	bool foreign_allocator; /* not glibc's malloc */
	bool is_split;		/* retained is known */
	struct vmt_retained retained;
	struct vmt_region_parts parts;	     /* paths point into the snapshot */
	struct vmt_largest_mappings largest; /* of a snapshot alone; likewise */
	struct vmt_committers committers;    /* by whose touches; none where no fault was sampled */
	struct vmt_committers since; /* by the snapshot since which it is there; where asked for */
	bool forked;
	bool go_claimed; /* Go heap was told by what was read of the heap alone */
};

struct vmt_attribution_options {
	uint64_t tracer_address; /* an address inside libvmtrace.so; 0 = not known */
	const char *trace_name;	 /* last part of the trace file's path; NULL = not known */
	uint64_t trace_bytes;	 /* of the trace file that are mapped; 0 = not known */
	bool (*module)(void *context, uint32_t id, struct vmt_module *module); /* may be NULL */
	void *context;
	struct vmt_go_sites *go_owners;	   /* NULL: no stack is a Go runtime's */
	struct vmt_allocators *allocators; /* NULL: known by their blocks alone */
	bool blocks_unseen;		   /* no hook of the heap has told of any */
	enum vmt_earlier earlier;
	const struct vmt_go_heap *go_heap; /* the inside of a Go heap; NULL: not known */
	bool has_go;			   /* a Go runtime is in the process */
	bool since;	 /* the touchers know what each earlier snapshot showed, and this one */
	bool sums_alone; /* classes' and sites', and neither `retained` nor `committers` */
	/* Called with the regions and pages, which do not outlive the call, once all is added up;
	 * may be NULL. 0 or -ENOMEM. */
	int (*see)(void *see_context, const struct vmt_attribution *attribution,
		   const struct vmt_regions *regions, const struct vmt_resident *resident);
	void *see_context;
};

/* Paths of files point into the snapshot. 0 or -ENOMEM; free in either case. */
int vmt_attribution_join(struct vmt_attribution *attribution, const struct vmt_snapshot *snapshot,
			 struct vmt_replay *replay, const struct vmt_attribution_options *options);
void vmt_attribution_free(struct vmt_attribution *attribution);

#endif
