/*
 * go_profile_reader.h: reads the memory profile of a Go runtime from outside
 *
 * Walks the runtime's list of buckets (runtime.mbuckets; struct bucket of runtime/mprof.go, the
 * same in Go 1.19 to 1.26), and tells of each how many sampled objects are live: as
 * runtime.MemProfile does, those that the last collection that has been swept did not free. New
 * buckets are only put before the others, and a bucket's size and stack never change; its counts
 * do: each is read twice.
 *
 * What is found is untrusted: the list may go on for ever, or in a circle. Single-threaded.
 */
#ifndef VMT_GO_PROFILE_READER_H
#define VMT_GO_PROFILE_READER_H

#include "collect/go_view.h"
#include "format/go_profile.h"

#include <stddef.h>

/* Zero it first, free it in any case. */
struct vmt_go_profile {
	struct vmt_buffer buckets; /* the reader's own */
	struct vmt_buffer records;
	struct vmt_buffer words; /* frames of all buckets */
	struct vmt_buffer window;
	uint64_t words_count;
	uint64_t window_address;
	uint64_t window_bytes;
	uint64_t rate_bytes;
	uint64_t count;	     /* buckets that were found */
	uint64_t unread;     /* of them */
	uint64_t rows;	     /* that have live objects */
	uint64_t rows_bytes; /* that they take in a chunk, at the most */
	bool uncollected;
};

/*
 * most: buckets. 0, or a negative errno: -ENODATA: no such list. -E2BIG: there are more than most.
 * -EAGAIN: it moved each time. -EINVAL: it makes no sense.
 */
int vmt_go_profile_read(struct vmt_go_profile *profile, const struct vmt_go_view *view,
			uint64_t most);
void vmt_go_profile_free(struct vmt_go_profile *profile);

/* The rows, rows_bytes at the most. Returns the byte behind. */
unsigned char *vmt_go_profile_write(const struct vmt_go_profile *profile, unsigned char *at);

#endif
