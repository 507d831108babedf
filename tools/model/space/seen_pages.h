/*
 * seen_pages.h: which pages were resident in the last snapshot, and since which one?
 *
 * A page that each snapshot shows from one on, and that no recorded call gave back meanwhile, has
 * been there since that one, and was not at the one before. What is released is forgotten, what is
 * moved stays. Ranges are bytes, whole pages, [start, end). One thread at a time. 0 or -ENOMEM.
 */
#ifndef VMT_SEEN_PAGES_H
#define VMT_SEEN_PAGES_H

#include "tools/model/space/space.h"

struct vmt_seen_pages;

struct vmt_seen_pages *vmt_seen_pages_new(void);
void vmt_seen_pages_free(struct vmt_seen_pages *seen);

/* A snapshot, by a number above 0 and that of any before; then each range that it shows, with a
 * mark of the caller's. */
int vmt_seen_pages_begin(struct vmt_seen_pages *seen, uint64_t snapshot);
int vmt_seen_pages_add(struct vmt_seen_pages *seen, uint64_t start, uint64_t end, uint8_t mark);

/* The caller's mark of the page at address; false: the last snapshot does not show it. */
bool vmt_seen_pages_at(const struct vmt_seen_pages *seen, uint64_t address, uint8_t *mark);

/* Takes a range out, appended to *taken where it is not NULL; puts what of that lies in [start,
 * end) back, moved there to `to`. */
int vmt_seen_pages_take(struct vmt_seen_pages *seen, uint64_t start, uint64_t end,
			struct vmt_extents *taken);
int vmt_seen_pages_put(struct vmt_seen_pages *seen, const struct vmt_extents *taken, uint64_t start,
		       uint64_t end, uint64_t to);

/* All of [start, end) in address order, appended: `call` is the snapshot since which. */
int vmt_seen_pages_list(const struct vmt_seen_pages *seen, struct vmt_extents *list);

#endif
