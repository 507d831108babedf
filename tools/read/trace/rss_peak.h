/*
 * rss_peak.h: the largest RSS of a process, by what was read of it now and then, and by the
 * kernel's own count of it, which misses nothing.
 *
 * The two are read a moment apart, and the kernel's counters lag (collect/kernel_counters.h): the
 * count says more only where it is above by a MiB and by 1 %. Bytes; plain data.
 */
#ifndef VMT_RSS_PEAK_H
#define VMT_RSS_PEAK_H

#include "format/chunk.h"

#include <stdbool.h>

#define VMT_RSS_PEAK_NOISE_BYTES (UINT64_C(1) << 20)
#define VMT_RSS_PEAK_NOISE_PART 100u

struct vmt_rss_peak {
	uint64_t seen_bytes;
	uint64_t counted_bytes; /* 0: not known */
};

/* Either figure may be VMT_FIGURE_UNKNOWN. */
static inline void
vmt_rss_peak_add(struct vmt_rss_peak *peak, uint64_t rss_bytes, uint64_t counted_bytes)
{
	if (rss_bytes != VMT_FIGURE_UNKNOWN && rss_bytes > peak->seen_bytes)
		peak->seen_bytes = rss_bytes;
	if (counted_bytes != VMT_FIGURE_UNKNOWN && counted_bytes > peak->counted_bytes)
		peak->counted_bytes = counted_bytes;
}

static inline bool
vmt_rss_peak_is_above(uint64_t counted_bytes, uint64_t seen_bytes)
{
	uint64_t noise_bytes = seen_bytes / VMT_RSS_PEAK_NOISE_PART;

	if (noise_bytes < VMT_RSS_PEAK_NOISE_BYTES)
		noise_bytes = VMT_RSS_PEAK_NOISE_BYTES;
	return counted_bytes > seen_bytes && counted_bytes - seen_bytes > noise_bytes;
}

static inline uint64_t
vmt_rss_peak_bytes(const struct vmt_rss_peak *peak)
{
	return vmt_rss_peak_is_above(peak->counted_bytes, peak->seen_bytes) ? peak->counted_bytes
									    : peak->seen_bytes;
}

#endif
