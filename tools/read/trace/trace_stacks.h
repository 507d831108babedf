/*
 * trace_stacks.h: the call stacks of a trace.
 *
 * A copy of the trace's words, and of each record whether its checksum has been found right. Bytes
 * are untrusted: an id that is none has no frames, and whatever the words say, an id costs at most
 * some 300 words. One thread's.
 */
#ifndef VMT_TRACE_STACKS_H
#define VMT_TRACE_STACKS_H

#include "format/head.h"
#include "format/stack_table.h"
#include "tools/err.h"
#include "tools/read/trace/file_reader.h"

#include <stdint.h>

/* Empty: zeroed. */
struct vmt_trace_stacks {
	uint64_t *words;
	uint64_t count;
	uint64_t *whole; /* as for vmt_stack_table_read_many */
	uint64_t frames[VMT_STACK_MAX_FRAMES];
};

/* 0 or a negative errno with a message. What it had must be freed before. */
int vmt_trace_stacks_load(struct vmt_trace_stacks *stacks, const struct vmt_file_reader *file,
			  const struct vmt_head *head, struct vmt_err *err);

/* It is empty then. */
void vmt_trace_stacks_free(struct vmt_trace_stacks *stacks);

/* Addresses, innermost first, valid until the next call; NULL and 0 where the id is none. */
const uint64_t *vmt_trace_stacks_get(struct vmt_trace_stacks *stacks, const struct vmt_head *head,
				     uint32_t id, uint32_t *count);

#endif
