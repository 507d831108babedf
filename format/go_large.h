/*
 * go_large.h: what a trace says of who allocated the large objects of a Go heap
 *
 * Each large object has a span of its own. Where the runtime sampled its allocation for the memory
 * profile, the span's list of specials leads to the bucket of its stack (runtime/mheap.go,
 * specialprofile). That holds for live objects, and for garbage not yet swept.
 *
 * A GO_LARGE chunk follows the GO_HEAP chunk of the same snapshot. It holds struct
 * vmt_go_large_head, then its sites as rows of go_profile.h (of each, how many of the objects have
 * it), then its objects, by rising address and without overlap: two varints each, the distance from
 * the end of the object before, in the runtime's pages, and the number of its site. How long an
 * object is says its site. Freestanding: no allocation, no I/O. Thread and signal safe on separate
 * coders. What is decoded is untrusted: decoders never read past the end.
 */
#ifndef VMT_GO_LARGE_H
#define VMT_GO_LARGE_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_GO_LARGE_SITES UINT64_C(1024)
#define VMT_GO_LARGE_OBJECTS UINT64_C(65536)
#define VMT_GO_LARGE_OBJECT_MAX_BYTES 20u

struct vmt_go_large_head {
	uint64_t time; /* ticks when all had been read */
	uint64_t monotonic_ns;
	uint32_t snapshot; /* index of the snapshot that follows in the file */
	uint32_t flags;	   /* 0 */
	uint64_t sites;
	uint64_t objects;
	uint64_t unread; /* objects whose list moved while it was read, makes no sense, or is beyond
			    the bounds above */
};

struct vmt_go_large_object {
	uint64_t start; /* of its span */
	uint32_t site;
};

/* page: where the object before ends, in the runtime's pages; 0 at first. pages: of this one. */
unsigned char *vmt_go_large_put(uint64_t *page, unsigned char *at,
				const struct vmt_go_large_object *object, uint64_t pages);

/* pages_of: of each site's objects, and how many sites there are. False: malformed. */
bool vmt_go_large_get(uint64_t *page, const unsigned char **at, const unsigned char *end,
		      const uint64_t *pages_of, uint64_t sites, struct vmt_go_large_object *object);

/* How many of the runtime's pages an object of so many bytes has. */
uint64_t vmt_go_large_pages(uint64_t object_bytes);

#endif
