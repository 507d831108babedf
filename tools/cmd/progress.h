/*
 * progress.h: a progress line on a terminal.
 *
 * One line on a terminal, from a second after the beginning on, at most ten times a second, and
 * wiped at the end. On anything else than a terminal there is never a byte. One thread's.
 */
#ifndef VMT_PROGRESS_H
#define VMT_PROGRESS_H

#include "tools/err.h"
#include "tools/model/report/report_build.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct vmt_progress {
	FILE *stream;
	bool on_terminal;
	uint64_t next_ns;   /* CLOCK_MONOTONIC: nothing is written before */
	size_t shown_bytes; /* of the line that stands on the terminal */
};

void vmt_progress_begin(struct vmt_progress *progress, FILE *stream, uint64_t now_ns);

/* "doing: 42 %" of a total that is not 0. */
void vmt_progress_tell(struct vmt_progress *progress, const char *doing, uint64_t done,
		       uint64_t total, uint64_t now_ns);

void vmt_progress_end(struct vmt_progress *progress);

/* vmt_report_build with such a line on stderr. EINVAL, which is a wrong command line's alone,
 * becomes EBADMSG. */
int vmt_progress_build(struct vmt_report **report, const char *path,
		       const struct vmt_report_options *options, struct vmt_err *err);

#endif
