/*
 * space.h: who mapped each page (interval map).
 *
 * An interval map of disjoint extents, each with the call that made it. Addresses are bytes and
 * multiples of the page; ranges are [start, end). A range that is partly released, replaced or
 * protected is split; neighbours that are alike again and came from one call are joined, so memory
 * is bounded by what is mapped. Every operation is O(log n) for each extent that it touches.
 *
 * One thread at a time. Functions that may need memory return 0 or -ENOMEM and then leave every
 * page as it was.
 */
#ifndef VMT_SPACE_H
#define VMT_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vmt_extent_kind {
	VMT_EXTENT_ANONYMOUS,	 /* private memory from mmap or mremap */
	VMT_EXTENT_GROWS_DOWN,	 /* the same with MAP_GROWSDOWN: the kernel moves its start */
	VMT_EXTENT_FILE,	 /* mapped from a descriptor, private */
	VMT_EXTENT_SHARED,	 /* MAP_SHARED, shmat */
	VMT_EXTENT_MOVED,	 /* by mremap, from where nothing is known of */
	VMT_EXTENT_BREAK,	 /* brk, sbrk */
	VMT_EXTENT_PRESENT,	 /* anonymous, from before the trace began */
	VMT_EXTENT_PRESENT_HEAP, /* the same, and the kernel called it [heap] */
	VMT_EXTENT_TRACER,	 /* mapped by libvmtrace.so for itself */
};

struct vmt_extent {
	uint64_t start;
	uint64_t end;
	uint64_t
	    call; /* number of the acquisition, so that one call's parts are told from another's */
	uint32_t site;
	uint8_t protection; /* PROT_* bits */
	uint8_t kind;	    /* enum vmt_extent_kind */
};

/* Extents in address order, owned by the caller: zero it first, then vmt_extents_clear. */
struct vmt_extents {
	struct vmt_extent *items;
	size_t count;
	size_t room;
};

void vmt_extents_clear(struct vmt_extents *extents);
int vmt_extents_reserve(struct vmt_extents *extents, size_t more);

struct vmt_space;

struct vmt_space *vmt_space_new(void);
void vmt_space_free(struct vmt_space *space);

/* Adds an extent. Its range must be free: vmt_space_remove comes first. */
int vmt_space_put(struct vmt_space *space, const struct vmt_extent *extent);

/* Takes [start, end) out; what was there is appended to *removed, cut to the range. */
int vmt_space_remove(struct vmt_space *space, uint64_t start, uint64_t end,
		     struct vmt_extents *removed);

/* Appends what is in [start, end) to *found, cut to the range, and leaves it. */
int vmt_space_look(const struct vmt_space *space, uint64_t start, uint64_t end,
		   struct vmt_extents *found);

int vmt_space_protect(struct vmt_space *space, uint64_t start, uint64_t end, uint8_t protection);

/* The first extent that ends after address, or NULL. Valid until the next change. */
const struct vmt_extent *vmt_space_next(const struct vmt_space *space, uint64_t address);

size_t vmt_space_count(const struct vmt_space *space);

/* Whether the map's invariants hold: sorted, disjoint, none empty, all counted, alike neighbours
 * joined. For tests. */
bool vmt_space_check(const struct vmt_space *space);

#endif
