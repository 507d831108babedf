/*
 * rss_series.h: RSS over time, in a bounded number of points.
 *
 * Takes any number of samples in time order and keeps at most VMT_RSS_POINTS of them: buckets of
 * equal numbers of samples, of each the smallest and the largest, so that no peak is lost. Bytes
 * and nanoseconds. One thread at a time; no allocation.
 */
#ifndef VMT_RSS_SERIES_H
#define VMT_RSS_SERIES_H

#include "tools/model/report/report.h"

#define VMT_RSS_POINTS 2000u
#define VMT_RSS_BUCKETS (VMT_RSS_POINTS / 2)

struct vmt_rss_bucket {
	struct vmt_rss_point low;
	struct vmt_rss_point high;
};

/* Zero it to begin. */
struct vmt_rss_series {
	struct vmt_rss_bucket buckets[VMT_RSS_BUCKETS];
	uint32_t count;	  /* buckets in use */
	uint64_t samples; /* in the last of them */
	uint64_t stride;  /* samples that fill a bucket; 0 = 1 */
};

void vmt_rss_series_add(struct vmt_rss_series *line, int64_t time_ns, uint64_t rss_bytes);

/* Writes the points, in time order, and returns how many. */
size_t vmt_rss_series_points(const struct vmt_rss_series *line,
			     struct vmt_rss_point points[VMT_RSS_POINTS]);

#endif
