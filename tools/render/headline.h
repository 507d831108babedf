/*
 * headline.h: the first sentence of a report.
 */
#ifndef VMT_HEADLINE_H
#define VMT_HEADLINE_H

#include "tools/model/report/report.h"
#include "tools/render/sentence.h"

#include <stddef.h>

/* "RSS 131 MiB at 1.2 s (last 90 MiB, peak 131 MiB): 64 MiB mapped by mmap (49 %), by arena_grow
 * cache.c:88; ...". */
void vmt_headline_write(const struct vmt_report *report, char *text, size_t text_bytes);

/* Where the trace ends, if what was asked for is after that; else nothing. */
void vmt_headline_say_end(struct vmt_sentence *sentence, const struct vmt_report *report,
			  const char *trace);

/* What was lost, as one sentence; empty where nothing was. */
void vmt_headline_losses(const struct vmt_report *report, char *text, size_t text_bytes);

#endif
