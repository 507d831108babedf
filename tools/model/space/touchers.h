/*
 * touchers.h: who touched each page last, as far as page faults were sampled.
 *
 * Keeps of each page that a sample named its toucher (a site of its own, sites.h), for how many
 * faults the sample stands, and how large the page was. A release takes pages out, a move takes
 * them along; a later sample of a page replaces the earlier one. What of a huge page is released
 * leaves the rest of it. A sample costs one look into a tree of groups of 16 pages, a release what
 * it finds there. Memory is bounded by the sampled pages that are live, and by a number of groups:
 * what is touched beyond is left out, and counted.
 *
 * Where a sample stands for several pages, those that were touched again after a fork had another
 * toucher before, who loses a sample near by for it.
 *
 * Whether a page was written to for the first time since a fork shows by what was resident before:
 * by a sample, or in a snapshot.
 *
 * In bytes, whole pages, [start, end). One thread at a time. 0 or -ENOMEM.
 */
#ifndef VMT_TOUCHERS_H
#define VMT_TOUCHERS_H

#include "tools/model/space/resident.h"
#include "tools/model/space/space.h"

/* 32 GiB of pages of 4 KiB next to one another, and some 400 MB in memory. */
#define VMT_TOUCHERS_MOST_GROUPS (1u << 21)

/* Most pages that one touch may have: those of a page table. Larger ones are hugetlb pages, which
 * no RSS has. */
static inline uint64_t
vmt_touchers_most_pages(uint64_t page_bytes)
{
	return page_bytes / sizeof(uint64_t);
}

struct vmt_touchers;

/* Pages and what their sample stands for. */
struct vmt_touch {
	uint64_t start;
	uint64_t end;
	uint64_t period;
	uint32_t toucher;
	uint32_t serial;    /* later ones are greater; 0: period 1, the page's last one is known */
	uint8_t page_shift; /* of the page that was touched */
};

/* Pages that were taken out, owned by the caller: zero it first, then clear. */
struct vmt_taken_touches {
	struct vmt_taken_touch *items;
	size_t count;
	size_t room;
	struct vmt_extents seen; /* what the last snapshot showed */
};

void vmt_taken_touches_clear(struct vmt_taken_touches *taken);

struct vmt_touchers *vmt_touchers_new(uint64_t page_bytes, size_t most_groups);
void vmt_touchers_free(struct vmt_touchers *touchers);

/* Whether the page was resident before the last fork and has not been touched since, by what is
 * known of it. A snapshot's word is of private memory alone; a sample may be of any. */
enum vmt_touch_again {
	VMT_TOUCH_NEW, /* it was not, or there was no fork */
	VMT_TOUCH_UNKNOWN,
	VMT_TOUCH_SAMPLED,
	VMT_TOUCH_SEEN,
};

/* Gives the touch its serial. */
int vmt_touchers_touch(struct vmt_touchers *touchers, const struct vmt_touch *touch,
		       enum vmt_touch_again *again);

/* Takes pages out. Those that a sample had named are appended to *taken, where it is not NULL. */
int vmt_touchers_take(struct vmt_touchers *touchers, uint64_t start, uint64_t end,
		      struct vmt_taken_touches *taken);

/* Puts what was taken back, as far as it lies in [start, end), moved there to `to`. */
int vmt_touchers_put(struct vmt_touchers *touchers, const struct vmt_taken_touches *taken,
		     uint64_t start, uint64_t end, uint64_t to);

/* From here on every page may be another process's too. */
void vmt_touchers_fork(struct vmt_touchers *touchers);

/* A snapshot, by a number above 0 and that of any before; then each range that it shows to be
 * resident. `shared`: from before a fork, and not touched since as far as is known. */
int vmt_touchers_begin_seen(struct vmt_touchers *touchers, uint32_t snapshot);
int vmt_touchers_see(struct vmt_touchers *touchers, uint64_t start, uint64_t end, bool shared);

/* An earlier snapshot, of the page tables. A page that it does not have, or as the zero page, was
 * given back before, whether or not the call was recorded. That counts of pages touched before the
 * snapshot before it, since its mappings were read a while before its pages; and from the next
 * snapshot on, since the event of a page that moved under the look is yet to come. */
void vmt_touchers_find_gone(struct vmt_touchers *touchers, const struct vmt_resident *resident);

/* The next snapshot is the report's. */
void vmt_touchers_drop_gone(struct vmt_touchers *touchers);

/* Whether there is any. */
bool vmt_touchers_is_empty(const struct vmt_touchers *touchers);

/* The touch of the page at address; false where no sample named it. */
bool vmt_touchers_at(const struct vmt_touchers *touchers, uint64_t address,
		     struct vmt_touch *touch);

/* Whether no page of the range has one. */
bool vmt_touchers_is_clear(const struct vmt_touchers *touchers, uint64_t start, uint64_t end);

/* All, in address order, alike neighbours joined; to be freed by the caller. */
int vmt_touchers_list(const struct vmt_touchers *touchers, struct vmt_touch **list, size_t *count);

/* What the last snapshot showed: as `toucher` the number of the snapshot since which. */
int vmt_touchers_list_seen(const struct vmt_touchers *touchers, struct vmt_touch **list,
			   size_t *count);

/* Groups that found no room. */
uint64_t vmt_touchers_left_out(const struct vmt_touchers *touchers);

#endif
