/*
 * touch_counts.h: how many page faults has a process had since its events were opened?
 *
 * By its stat, which counts those of all its threads, also of ended ones and such as had too few
 * for a sample; and faults that no event tells of (MAP_POPULATE, mlock).
 */
#ifndef VMT_TOUCH_COUNTS_H
#define VMT_TOUCH_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

struct vmt_touch_counts {
	uint64_t minor; /* since the beginning, when last read */
	uint64_t major;
	uint64_t minor_before; /* it */
	uint64_t major_before;
	bool known;    /* these are what the process has had by now */
	bool is_final; /* it has said its end: none will follow */
};

void vmt_touch_counts_begin(struct vmt_touch_counts *counts, int stat_fd);

/* Where the process is gone, or there is no descriptor, the counts stay, and are known no longer
 * unless they were final. */
void vmt_touch_counts_read(struct vmt_touch_counts *counts, int stat_fd);

#endif
