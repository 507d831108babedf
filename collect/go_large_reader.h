/*
 * go_large_reader.h: which call allocated each large object of a Go heap, read from outside
 *
 * From each span of a large object along its list of specials to the bucket of the memory profile,
 * whose stack and size never change. The process runs meanwhile: a span's list is read again behind
 * all of them, and a bucket whose size is not the object's is none of its. What then makes no sense
 * is left out and counted. Lists may go on for ever, or in a circle: so many steps are taken and no
 * more. Single-threaded.
 */
#ifndef VMT_GO_LARGE_READER_H
#define VMT_GO_LARGE_READER_H

#include "collect/go_spans.h"
#include "format/go_large.h"
#include "format/go_profile.h"

#include <stddef.h>

/* Zero it first, free it in any case. */
struct vmt_go_large {
	struct vmt_buffer found; /* the reader's own; its first `objects` are those that are known,
				    by address */
	struct vmt_buffer spare;
	struct vmt_buffer pending;
	struct vmt_buffer sites;
	struct vmt_buffer words; /* frames of all sites */
	uint64_t objects;
	uint64_t site_count;
	uint64_t words_count;
	uint64_t unread;
};

/* Of the spans that were read. 0 or -ENOMEM. */
int vmt_go_large_read(struct vmt_go_large *large, const struct vmt_go_view *view,
		      const struct vmt_go_spans *spans);
void vmt_go_large_free(struct vmt_go_large *large);

/* Sites and objects as a GO_LARGE chunk has them. room: what they take at the most. */
size_t vmt_go_large_room(const struct vmt_go_large *large);
unsigned char *vmt_go_large_write(const struct vmt_go_large *large, unsigned char *at);

#endif
