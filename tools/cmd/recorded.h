/*
 * recorded.h: what did a recording leave behind?
 *
 * The traces that a recording wrote, and what one sentence says of them. Paths are copied. Traces
 * beyond VMT_RECORDED_MAX are counted alone. Single-threaded.
 */
#ifndef VMT_RECORDED_H
#define VMT_RECORDED_H

#include "tools/read/trace/trace.h"

#include <stdint.h>
#include <stdio.h>

#define VMT_RECORDED_MAX 1024u

struct vmt_recorded {
	char *paths[VMT_RECORDED_MAX];
	uint32_t kept;
	uint64_t count;
	uint64_t dropped; /* removed again by whomever, and not among them: the caller knows */
};

/* One more trace; one that was removed again. */
void vmt_recorded_add(struct vmt_recorded *recorded, const char *path);
void vmt_recorded_remove(struct vmt_recorded *recorded, const char *path);
void vmt_recorded_free(struct vmt_recorded *recorded);

/* The largest RSS that a trace has, 0 where none was read. */
uint64_t vmt_recorded_peak(struct vmt_trace *trace);

/* The summary and the next command to type; at least one trace is there. */
void vmt_recorded_print(const struct vmt_recorded *recorded, uint64_t duration_ns, FILE *out);

/* A word as one would type it into a shell; what a terminal would obey is written out. */
void vmt_recorded_print_word(const char *word, FILE *out);

#endif
