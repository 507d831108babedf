/*
 * rss_peak.h: the largest RSS of a process, by what was read of it now and then, and by the
 * kernel's own count of it, which misses nothing.
 *
 * The two are read a moment apart, and the kernel's counters lag (collect/kernel_counters.h): the
 * count says more only where it is above by a MiB and by 1 %.
 *
 * The count goes back to the exec of the program. A recording may have begun later: what it was
 * when the trace began, or else at its first reading, is no peak of the recording. Bytes; plain
 * data.
 */
#ifndef VMT_RSS_PEAK_H
#define VMT_RSS_PEAK_H

#include "format/chunk.h"

#include <stdbool.h>

#define VMT_RSS_PEAK_NOISE_BYTES (UINT64_C(1) << 20)
#define VMT_RSS_PEAK_NOISE_PART 100u

struct vmt_rss_peak {
	uint64_t at_start_bytes; /* start_peak_rss_bytes of struct vmt_head; 0: not known */
	uint64_t seen_bytes;
	bool is_counted;
	uint64_t counted_bytes; /* the largest, and ... */
	uint64_t first_bytes;	/* ... the earliest, which was read at ... */
	uint64_t first_time;
};

/* A reading, at a time of any clock that is the same for all; in any order. Either figure may be
 * VMT_FIGURE_UNKNOWN. */
static inline void
vmt_rss_peak_add(struct vmt_rss_peak *peak, uint64_t time, uint64_t rss_bytes,
		 uint64_t counted_bytes)
{
	if (rss_bytes != VMT_FIGURE_UNKNOWN && rss_bytes > peak->seen_bytes)
		peak->seen_bytes = rss_bytes;
	if (counted_bytes == VMT_FIGURE_UNKNOWN)
		return;
	if (!peak->is_counted || time < peak->first_time) {
		peak->first_time = time;
		peak->first_bytes = counted_bytes;
	}
	peak->is_counted = true;
	if (counted_bytes > peak->counted_bytes)
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

/* Of the recording, by a count that was not there when it began. */
static inline bool
vmt_rss_peak_is_of_recording(const struct vmt_rss_peak *peak, uint64_t counted_bytes)
{
	return (peak->at_start_bytes != 0 && counted_bytes > peak->at_start_bytes) ||
	       vmt_rss_peak_is_above(counted_bytes, peak->first_bytes);
}

/* The kernel counted a peak of the recording that no reading saw. */
static inline bool
vmt_rss_peak_is_missed(const struct vmt_rss_peak *peak)
{
	return peak->is_counted && vmt_rss_peak_is_of_recording(peak, peak->counted_bytes) &&
	       vmt_rss_peak_is_above(peak->counted_bytes, peak->seen_bytes);
}

static inline uint64_t
vmt_rss_peak_bytes(const struct vmt_rss_peak *peak)
{
	return vmt_rss_peak_is_missed(peak) ? peak->counted_bytes : peak->seen_bytes;
}

/* The largest RSS that there was before the first reading, where it is none of the recording and
 * more than all that was seen; else 0. */
static inline uint64_t
vmt_rss_peak_earlier_bytes(const struct vmt_rss_peak *peak)
{
	if (!peak->is_counted || vmt_rss_peak_is_missed(peak) ||
	    !vmt_rss_peak_is_above(peak->first_bytes, peak->seen_bytes))
		return 0;
	return peak->first_bytes;
}

#endif
