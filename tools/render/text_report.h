/*
 * text_report.h: a report as text.
 *
 * A report as text, the most useful sentence first. Writes to one stream, allocates nothing that
 * outlives the call. The caller finds out the width and whether there is color.
 */
#ifndef VMT_TEXT_REPORT_H
#define VMT_TEXT_REPORT_H

#include "tools/model/report/report.h"
#include "tools/render/text_options.h"

void vmt_text_report_print(const struct vmt_report *report, const struct vmt_text_options *options);

#endif
