/*
 * newest.h: what a trace that grows says last of its process: its RSS, and what it calls itself.
 *
 * Walks the headers of the chunks, from where the last walk stopped, and reads the payloads of the
 * last ones alone. So a walk costs what is new, and the first one as much as the trace has chunks.
 * Payloads in between are passed over unchecked: what is said last is what a reader of the whole
 * trace finds, unless a chunk before it is damaged. Bytes are untrusted. Memory does not grow. One
 * thread's.
 */
#ifndef VMT_NEWEST_H
#define VMT_NEWEST_H

#include "format/head.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/trace_chunk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_NEWEST_TITLE_BYTES 240u

struct vmt_newest {
	uint64_t offset;   /* of the next chunk */
	uint64_t sequence; /* its number */
	/* The last ones that were passed and not read; with a payload_offset of 0 there is none. */
	struct vmt_trace_chunk usage;
	struct vmt_trace_chunk snapshot;
	struct vmt_trace_chunk title_chunk;
	uint64_t rss_bytes;    /* VMT_FIGURE_UNKNOWN: there is none yet */
	uint64_t monotonic_ns; /* when that was read */
	char title[VMT_NEWEST_TITLE_BYTES];
};

/* At the first chunk of a trace: its title is that of the head. */
void vmt_newest_begin(struct vmt_newest *newest, const struct vmt_head *head);

/* Goes on until `until_ns` of CLOCK_MONOTONIC, or to the end of the file as the reader knows it.
 * false: there is more. */
bool vmt_newest_read(struct vmt_newest *newest, struct vmt_file_reader *file,
		     const struct vmt_head *head, uint64_t until_ns);

#endif
