/*
 * regions.h: a snapshot cut into regions of one owner each.
 *
 * Every mapping is cut where the replay's extents, a module's span or a thread's stack begin and
 * end. A region is given its class at once where an event or the mapping's own name says it; memory
 * without a name that no event explains stays open (VMT_CLASS_UNATTRIBUTED). attribution.h lists,
 * in order, what closes it; what is still open at the end is unattributed.
 *
 * Where an event and the snapshot contradict each other (an event says anonymous, the snapshot
 * shows a file), the snapshot wins: a munmap was not seen.
 *
 * Regions are in address order and cover every mapping but [vsyscall], so sums over regions are
 * sums over the process. Bytes. One thread at a time. 0 or -ENOMEM.
 */
#ifndef VMT_REGIONS_H
#define VMT_REGIONS_H

#include "tools/model/attribute/allocators.h"
#include "tools/model/attribute/files.h"
#include "tools/model/go/go_sites.h"
#include "tools/model/replay/replay.h"
#include "tools/model/space/classes.h"
#include "tools/model/space/resident.h"
#include "tools/read/trace/snapshot_decode.h"

struct vmt_region {
	uint64_t start;
	uint64_t end;
	uint64_t call; /* of the extent that owns it; 0 = none */
	const struct vmt_mapping *mapping;
	struct vmt_thread_stack *thread; /* whose stack it is, or its guard; NULL = none */
	uint32_t site;			 /* VMT_SITE_NONE where no call is known */
	uint8_t class;			 /* enum vmt_class_id: of what no block owns */
	bool tracked;			 /* owned by an event's extent */
	bool open;			 /* no class yet but UNATTRIBUTED */
	bool grows_down;		 /* tracked, and the kernel moves its start */
	bool present;			 /* was there before the trace began */
	bool inherited; /* ... in a fork child, and is used as it was at the fork */
	bool heap;	/* the kernel calls it [heap] */
	bool has_blocks;
	bool has_foreign_blocks; /* small ones, in a place where glibc has none */
	struct vmt_amounts total;
	struct vmt_amounts blocks;    /* of total: owned by blocks that were all recorded */
	double estimate[VMT_AMOUNTS]; /* owned by small blocks, from samples */
};

struct vmt_regions {
	struct vmt_region *items;
	size_t count;
	size_t room;
};

struct vmt_regions_input {
	const struct vmt_snapshot *snapshot;
	struct vmt_replay *replay;
	struct vmt_files *files; /* rows made by vmt_regions_name_files */
	const struct vmt_resident *resident;
	uint64_t tracer_address; /* an address inside libvmtrace.so; 0 = not known */
	const char *trace_name;	 /* last part of the trace file's path; NULL = not known */
	uint64_t trace_bytes;	 /* of the trace file that are mapped */
	bool (*module)(void *context, uint32_t id, struct vmt_module *module); /* may be NULL */
	void *context;
	struct vmt_go_sites *go_owners;	   /* NULL: no stack is a Go runtime's */
	struct vmt_allocators *allocators; /* NULL: known by their blocks alone */
	bool blocks_unseen;		   /* no hook of the heap has told of any */
};

/* First: makes the rows and says which files are the program's and which are vmtrace's. */
int vmt_regions_name_files(const struct vmt_regions_input *input);

int vmt_regions_cut(struct vmt_regions *regions, const struct vmt_regions_input *input);
void vmt_regions_clear(struct vmt_regions *regions);

/* Position of the first region that ends after address. */
size_t vmt_regions_after(const struct vmt_regions *regions, uint64_t address);

/* Of the range's part that lies in the region; there is one. */
struct vmt_amounts vmt_regions_amounts(const struct vmt_region *region, uint64_t start,
				       uint64_t end, const struct vmt_resident *resident,
				       const struct vmt_touched *touched);

#endif
