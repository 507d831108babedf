/*
 * commit_sums.h: sums by place, touch and toucher.
 *
 * What committers.h adds up before it shares out. Zero it first, then clear. 0 or -ENOMEM.
 */
#ifndef VMT_COMMIT_SUMS_H
#define VMT_COMMIT_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_commit_sum {
	uint8_t class;
	uint32_t site;
	uint32_t toucher; /* VMT_SITE_NONE: the place itself */
	uint32_t serial;  /* touchers.h */
	double bytes;	  /* that samples stand for; of the place itself: resident */
	double variance;
	double samples;
	bool estimate;
	bool used;
};

struct vmt_commit_sums {
	struct vmt_commit_sum *items; /* open addressing, until they are sorted */
	size_t count;
	size_t room;
};

int vmt_commit_sums_add(struct vmt_commit_sums *sums, const struct vmt_commit_sum *more);

/* By class and site, the latest touch first, the place itself last; no more can be added then. */
void vmt_commit_sums_sort(struct vmt_commit_sums *sums);

/* Makes one of each toucher's sums, of those at [first, end), which are one place's: returns the
 * end of what is left, sorted by toucher, the place itself last. */
size_t vmt_commit_sums_join(struct vmt_commit_sums *sums, size_t first, size_t end);

void vmt_commit_sums_clear(struct vmt_commit_sums *sums);

#endif
