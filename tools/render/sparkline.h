/*
 * sparkline.h: a curve on one line.
 */
#ifndef VMT_SPARKLINE_H
#define VMT_SPARKLINE_H

#include "tools/model/report/report.h"
#include "tools/render/layout.h"

#define VMT_SPARKLINE_MAX_COLUMNS 72u

/* RSS over equal spans of time from zero up, the highest value of each span; gaps go on as the
 * value before. `text` has room for 4 bytes a column and a NUL. False where there is nothing to be
 * drawn: less than three points, no span of time, or a terminal without UTF-8. */
bool vmt_sparkline_write(const struct vmt_layout *layout, const struct vmt_rss_point *points,
			 size_t count, char text[4 * VMT_SPARKLINE_MAX_COLUMNS + 1]);

#endif
