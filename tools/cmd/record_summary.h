/*
 * record_summary.h: the closing summary of a recording: its traces.
 *
 * The traces that a recording wrote, and what one sentence says of them. Paths are copied. Traces
 * beyond VMT_RECORD_SUMMARY_MAX are counted alone. Single-threaded.
 */
#ifndef VMT_RECORD_SUMMARY_H
#define VMT_RECORD_SUMMARY_H

#include "tools/read/trace/trace.h"

#include <stdint.h>
#include <stdio.h>

#define VMT_RECORD_SUMMARY_MAX 1024u

struct vmt_record_summary {
	char *paths[VMT_RECORD_SUMMARY_MAX];
	uint32_t kept;
	uint64_t count;
	uint64_t dropped; /* removed again by whomever, and not among them: the caller knows */
};

/* One more trace; one that was removed again. */
void vmt_record_summary_add(struct vmt_record_summary *recorded, const char *path);
void vmt_record_summary_remove(struct vmt_record_summary *recorded, const char *path);
void vmt_record_summary_free(struct vmt_record_summary *recorded);

/* The largest RSS that a trace has, 0 where none was read. */
uint64_t vmt_record_summary_peak(struct vmt_trace *trace);

/* The summary and the next commands to type; at least one trace is there. Returns the trace that
 * they name, the one with the largest RSS. */
const char *vmt_record_summary_print(const struct vmt_record_summary *recorded,
				     uint64_t duration_ns, FILE *out);

/* The path as the user would write it: relative where it lies below the current directory. */
const char *vmt_record_summary_short_path(const char *path);

/* A word as one would type it into a shell; what a terminal would obey is written out. */
void vmt_record_summary_print_word(const char *word, FILE *out);

#endif
