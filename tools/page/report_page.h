/*
 * report_page.h: a report, or what two differ by, as an HTML file of a largest size.
 *
 * Call sites are folded (view_data.h) until the file is small enough. One thread's.
 */
#ifndef VMT_REPORT_PAGE_H
#define VMT_REPORT_PAGE_H

#include "tools/err.h"
#include "tools/page/view_data.h"

#include <stdio.h>

#define VMT_REPORT_PAGE_MOST_BYTES ((size_t)8 << 20)

/* data->most_sites and folded_depth do not count. 0, or a negative errno with a message. Errors of
 * writing stay in out. */
int vmt_report_page_write(const struct vmt_view_data *data, FILE *out, struct vmt_err *err);

#endif
