#include "tools/model/report/rss_series.h"

#include <assert.h>

static void
take(struct vmt_rss_bucket *bucket, const struct vmt_rss_bucket *more)
{
	if (more->low.rss_bytes < bucket->low.rss_bytes)
		bucket->low = more->low;
	if (more->high.rss_bytes > bucket->high.rss_bytes)
		bucket->high = more->high;
}

/* All buckets are full: two become one. */
static void
halve(struct vmt_rss_series *line)
{
	for (uint32_t i = 0; i < VMT_RSS_BUCKETS / 2; i++) {
		line->buckets[i] = line->buckets[2 * i];
		take(&line->buckets[i], &line->buckets[2 * i + 1]);
	}
	line->count = VMT_RSS_BUCKETS / 2;
	line->stride *= 2;
	line->samples = line->stride;
}

void
vmt_rss_series_add(struct vmt_rss_series *line, int64_t time_ns, uint64_t rss_bytes)
{
	struct vmt_rss_point point = {time_ns, rss_bytes};
	struct vmt_rss_bucket sample = {point, point};

	if (!line->stride)
		line->stride = 1;
	if (line->count && line->samples < line->stride) {
		take(&line->buckets[line->count - 1], &sample);
		line->samples++;
		return;
	}
	if (line->count == VMT_RSS_BUCKETS)
		halve(line);
	line->buckets[line->count++] = sample;
	line->samples = 1;
}

size_t
vmt_rss_series_points(const struct vmt_rss_series *line,
		      struct vmt_rss_point points[VMT_RSS_POINTS])
{
	size_t count = 0;

	for (uint32_t i = 0; i < line->count; i++) {
		const struct vmt_rss_bucket *bucket = &line->buckets[i];
		bool rising = bucket->low.time_ns <= bucket->high.time_ns;

		points[count++] = rising ? bucket->low : bucket->high;
		if (bucket->low.time_ns != bucket->high.time_ns)
			points[count++] = rising ? bucket->high : bucket->low;
	}
	assert(count <= VMT_RSS_POINTS);
	return count;
}
