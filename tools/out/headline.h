/*
 * headline.h: what is the one sentence about a process's memory that leads to an action?
 */
#ifndef VMT_HEADLINE_H
#define VMT_HEADLINE_H

#include "tools/model/report.h"

#include <stddef.h>

/* "RSS 131 MiB; 1.16 GiB reserved; largest committed: arena_grow cache.c:88, 64 MiB; ...". */
void vmt_headline_write(const struct vmt_report *report, char *text, size_t text_bytes);

/* What was lost, as one sentence; empty where nothing was. */
void vmt_headline_losses(const struct vmt_report *report, char *text, size_t text_bytes);

#endif
