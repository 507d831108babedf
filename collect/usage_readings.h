/*
 * usage_readings.h: how large is a process, at one moment after another?
 *
 * RSS and virtual size by statm, every 100 ms the kernel's own count of the largest RSS, and the
 * cgroup's figures, not older than a second, or than 50 ms near its limit. Readings are held and
 * written in batches of USAGE. A reading tells when the next one is due: 10 ms while RSS moves,
 * backing off to 1 s; later where readings cost too much (cpu_budget.h). Single-threaded. Errors
 * are swallowed: figures that can't be had are left out.
 */
#ifndef VMT_USAGE_READINGS_H
#define VMT_USAGE_READINGS_H

#include "collect/traced.h"

#define VMT_USAGE_READINGS_FASTEST_NS UINT64_C(10000000)
#define VMT_USAGE_READINGS_PEAK_NS UINT64_C(100000000)	    /* a tenth of a hundredth of a CPU */
#define VMT_USAGE_READINGS_NEAR_LIMIT_NS UINT64_C(50000000) /* then takes the place of either */

static inline uint64_t
vmt_usage_readings_distance(uint64_t a_bytes, uint64_t b_bytes)
{
	return a_bytes > b_bytes ? a_bytes - b_bytes : b_bytes - a_bytes;
}

/* Once for each process: whoever waits for its last snapshot waits for no more. */
void vmt_usage_readings_find_cgroup(struct vmt_traced *process, struct vmt_shared *shared);

/* One reading now. Hasty: with what is known of the cgroup. */
void vmt_usage_readings_take(struct vmt_traced *process, struct vmt_shared *shared, uint64_t now_ns,
			     bool hasty);

/* Of a process that has ended: what its cgroup says by now, beside the last RSS. */
void vmt_usage_readings_end(struct vmt_traced *process, uint64_t now_ns);

/* The kernel's largest RSS, as somebody else has read it. */
void vmt_usage_readings_note_peak(struct vmt_sampling *sampling, uint64_t peak_rss_bytes,
				  uint64_t now_ns);

/* Writes the readings still held. 0 or the writer's error: they stay held. */
int vmt_usage_readings_flush(struct vmt_traced *process, uint64_t now_ns);

#endif
