/*
 * touch_marks.h: what the samples of pages stand for, each kept once.
 *
 * A page's sample is a number of 32 bits: many pages have the same toucher, period and size. Zero
 * it first, then clear. One thread at a time.
 */
#ifndef VMT_TOUCH_MARKS_H
#define VMT_TOUCH_MARKS_H

#include <stdint.h>

struct vmt_touch_mark {
	uint64_t period;
	uint32_t toucher;
	uint8_t page_shift;
	uint8_t forks; /* before the touch */
};

struct vmt_touch_marks {
	struct vmt_touch_mark *items; /* by number - 1 */
	uint32_t count;
	uint32_t room;
	uint32_t *index; /* open addressing, twice the room: numbers, 0 = empty */
	uint32_t last;	 /* found */
};

void vmt_touch_marks_clear(struct vmt_touch_marks *marks);

/* The number of a mark, never 0. 0 or -ENOMEM. */
int vmt_touch_marks_find(struct vmt_touch_marks *marks, const struct vmt_touch_mark *mark,
			 uint32_t *number);

#endif
