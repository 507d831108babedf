/*
 * headline.h: the first sentence of a report.
 */
#ifndef VMT_HEADLINE_H
#define VMT_HEADLINE_H

#include "tools/model/report/report.h"

#include <stddef.h>

/* "RSS 131 MiB at 1.2 s (last 90 MiB, peak 131 MiB): 64 MiB mapped by mmap (49 %), by arena_grow
 * cache.c:88; ...". */
void vmt_headline_write(const struct vmt_report *report, char *text, size_t text_bytes);

/* What was lost, as one sentence; empty where nothing was. */
void vmt_headline_losses(const struct vmt_report *report, char *text, size_t text_bytes);

#endif
