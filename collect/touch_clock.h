/*
 * touch_clock.h: the time of an event, in the clock of a trace
 *
 * Events have times of CLOCK_MONOTONIC. Where the trace's clock is the counter, a line through two
 * readings of both clocks gives the rest; the readings lie around the events' times or near them,
 * so that what an adjustment of the system's clock does to its rate is of no weight. Calls of the
 * process and its faults sort rightly if they are about 0.1 us apart. Single-threaded.
 */
#ifndef VMT_TOUCH_CLOCK_H
#define VMT_TOUCH_CLOCK_H

#include "format/head.h"

struct vmt_touch_clock {
	struct vmt_clock_pair older;
	struct vmt_clock_pair newer;
};

/* Reads both clocks. Begins as zeros. */
void vmt_touch_clock_read(struct vmt_touch_clock *clock);

/* By the last two readings; `kind` is enum vmt_clock. Pure. */
uint64_t vmt_touch_clock_ticks(const struct vmt_touch_clock *clock, uint32_t kind,
			       uint64_t time_ns);

#endif
