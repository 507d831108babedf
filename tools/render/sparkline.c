#include "tools/render/sparkline.h"

#include <string.h>

#define LEVELS 8u

bool
vmt_sparkline_write(const struct vmt_layout *layout, const struct vmt_rss_point *points,
		    size_t count, char text[4 * VMT_SPARKLINE_MAX_COLUMNS + 1])
{
	uint64_t highest[VMT_SPARKLINE_MAX_COLUMNS] = {0};
	size_t columns = layout->columns - 2;
	uint64_t peak = 0;
	uint64_t last = 0;
	double span;

	if (!layout->utf8 || count < 3 || points[count - 1].time_ns <= points[0].time_ns)
		return false;
	if (columns > VMT_SPARKLINE_MAX_COLUMNS)
		columns = VMT_SPARKLINE_MAX_COLUMNS;
	span = (double)(points[count - 1].time_ns - points[0].time_ns);
	for (size_t i = 0; i < count; i++) {
		double part = (double)(points[i].time_ns - points[0].time_ns) / span;
		size_t at = (size_t)((part > 1 ? 1 : part < 0 ? 0 : part) * (double)(columns - 1));

		if (points[i].rss_bytes > highest[at])
			highest[at] = points[i].rss_bytes;
		if (points[i].rss_bytes > peak)
			peak = points[i].rss_bytes;
	}
	if (peak == 0)
		return false;
	for (size_t i = 0; i < columns; i++) {
		unsigned level;

		last = highest[i] ? highest[i] : last;
		level = (unsigned)((double)last / (double)peak * (LEVELS - 1) + 0.5);
		/* U+2581 .. U+2588: one eighth to a full block */
		memcpy(text + 3 * i, (char[]){'\xe2', '\x96', (char)(0x81 + level)}, 3);
	}
	text[3 * columns] = '\0';
	return true;
}
