/*
 * touch_rings.h: one of perf's rings for each processor
 *
 * Each belongs to an event of the collector's own that never fires; the events of traced threads
 * write into it. Their pages are charged to the user's account of locked memory.
 */
#ifndef VMT_TOUCH_RINGS_H
#define VMT_TOUCH_RINGS_H

#include "collect/touch_target.h"

/* How large each ring is to be, so that a storm of faults does not fill it before the collector has
 * woken: what a processor can write in about 40 ms, and all of them 32 MiB at most. Pure. */
uint64_t vmt_touch_rings_wish(uint64_t period, uint32_t cpus);

/* What the rings of all processors may have of an account, and each of them then has: a power of
 * two of pages, at most most_bytes, beside the page that says how far it is filled. 0: not even
 * one. Pure. */
uint64_t vmt_touch_rings_size(uint64_t account_bytes, uint32_t cpus, uint64_t page_bytes,
			      uint64_t most_bytes);

/* The next processor of a list such as 0-3,8: false = none. Begins with *next = 0. Pure. */
bool vmt_touch_rings_next_cpu(const char *list, size_t length, uint32_t *next);

/* How long a storm of faults takes to fill one, at least a millisecond. Pure. */
uint64_t vmt_touch_rings_filled_ns(uint64_t ring_bytes, uint32_t copy_bytes, uint64_t period);

/* Makes the rings, and settles how much of a stack a sample has. 0 or negative errno, and then
 * there is none. */
int vmt_touch_rings_open(struct vmt_touch *touch);

void vmt_touch_rings_close(struct vmt_touch *touch);

#endif
