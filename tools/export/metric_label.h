/*
 * metric_label.h: a text as the value of a label of OpenMetrics.
 */
#ifndef VMT_METRIC_LABEL_H
#define VMT_METRIC_LABEL_H

#include "tools/export/clean_text.h"

#define VMT_METRIC_LABEL_BYTES (2 * VMT_CLEAN_TEXT_BYTES)

/* Backslashes and quotes are escaped, and a line's end is none. Returns result. */
const char *vmt_metric_label(char result[VMT_METRIC_LABEL_BYTES], const char *text);

#endif
