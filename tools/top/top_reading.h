/*
 * top_reading.h: what `vmtrace top` shows of a process at one moment, as plain data.
 *
 * Out of a report: its call sites, as its text groups them, and its classes, each with the report's
 * own figures. Nothing in it points anywhere, so it can be written to a pipe. At most
 * VMT_TOP_READING_MOST rows of each kind, the largest: the others are counted. Bytes and
 * nanoseconds. One thread's.
 */
#ifndef VMT_TOP_READING_H
#define VMT_TOP_READING_H

#include "tools/model/report/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define VMT_TOP_READING_MOST 4096u

enum vmt_top_view {
	VMT_TOP_SITES,
	VMT_TOP_CLASSES,
	VMT_TOP_PROCESSES, /* of a directory of traces; a reading has these alone, or none */
	VMT_TOP_VIEWS
};

struct vmt_top_item {
	uint64_t key; /* the same for the same row of another reading */
	uint64_t committed_bytes;
	uint64_t reserved_bytes;
	bool estimate;
	char kind[24];	   /* the call's name; of a process its pid */
	char name[240];	   /* the frame that names the row; the class; the command line */
	char callers[240]; /* "main < start"; of a process how it ended; "": none */
};

struct vmt_top_reading {
	uint32_t pid;
	char command[240];
	char state[120];    /* "running", or how it ended */
	char note[1024];    /* what was lost, or can't be known; "": nothing */
	bool is_live;	    /* the last figures are of now */
	bool goes_on;	    /* another reading may say something else */
	bool is_partial;    /* there is more to read now */
	bool has_snapshot;  /* false: there are no rows yet */
	bool has_sites;	    /* false: no call was recorded */
	int64_t time_ns;    /* of the snapshot that the rows are of, since the start of the trace */
	uint64_t rss_bytes; /* then */
	int64_t end_ns;	    /* up to when the trace has anything */
	uint64_t last_rss_bytes; /* the last that was read */
	uint64_t peak_rss_bytes;
	uint64_t limit_bytes;			   /* of its cgroup; VMT_FIGURE_UNKNOWN: none */
	struct vmt_top_item *items[VMT_TOP_VIEWS]; /* largest in RAM first; owned */
	size_t counts[VMT_TOP_VIEWS];
	size_t left_out[VMT_TOP_VIEWS]; /* of the smallest */
};

/* 0 or -ENOMEM. To be freed in either case. */
int vmt_top_reading_make(struct vmt_top_reading *reading, const struct vmt_report *report);
/* Plain bytes, for a reader of the same program: 0, or -EIO. Back into a reading: 0, -ENOMEM, or
 * -EBADMSG where they are none; to be freed in any case. */
int vmt_top_reading_write(const struct vmt_top_reading *reading, FILE *out);
int vmt_top_reading_read(struct vmt_top_reading *reading, const char *bytes, size_t length);
void vmt_top_reading_free(struct vmt_top_reading *reading);

/* A key of a name. */
uint64_t vmt_top_reading_key(uint64_t seed, const char *text);

#endif
