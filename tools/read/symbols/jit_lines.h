/*
 * jit_lines.h: the lines of the maps that a process wrote of its compiled code.
 *
 * Reads the payloads of JIT chunks (format/jit_map.h), which are untrusted: what is no line of a
 * map is passed over, and so is the rest of a line that is longer than a chunk. Of a line that is
 * repeated the first and the last are kept. Of jit_names.h alone; 0 or -ENOMEM. Single-threaded.
 */
#ifndef VMT_JIT_LINES_H
#define VMT_JIT_LINES_H

#include "tools/string_set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of all maps of one trace: more than a collector copies. */
#define VMT_JIT_LINES_MAX_BYTES (UINT64_C(128) << 20)

/* Lines that are kept. */
#define VMT_JIT_LINES_MOST ((size_t)2 << 20)

struct vmt_jit_line {
	uint64_t start; /* [start, end) */
	uint64_t end;
	const char *name; /* one of texts: the same name is the same pointer */
	uint32_t order;	  /* of the lines */
	uint32_t look;
};

struct vmt_jit_lines {
	struct vmt_string_set *texts;
	struct vmt_jit_line *items; /* once compacted, by start, end, name and order */
	size_t count;
	size_t room;
	size_t functions; /* different lines; once compacted */
	uint64_t *looks;  /* their times in ticks, rising */
	uint32_t look_count;
	uint32_t look_room;
	uint64_t bytes;
	uint64_t next_offset; /* of the map, where what was read ends */
	uint32_t taken;
	bool in_line; /* what was read ends within a line */
	bool is_cut;  /* there were more */
};

int vmt_jit_lines_begin(struct vmt_jit_lines *lines);
void vmt_jit_lines_free(struct vmt_jit_lines *lines);

int vmt_jit_lines_read(struct vmt_jit_lines *lines, const unsigned char *bytes, size_t length);

/* Sorts them, and drops repeated ones. */
void vmt_jit_lines_compact(struct vmt_jit_lines *lines);

/* Whether two say the same. */
bool vmt_jit_lines_is_same(const struct vmt_jit_line *a, const struct vmt_jit_line *b);

#endif
