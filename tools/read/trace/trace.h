/*
 * trace.h: opens a trace, however it ended, and reads its parts.
 *
 * Opens a trace, checks it, finds the longest valid prefix of its chunks and what the rings still
 * held. Bytes are untrusted: an error, never a crash. A file cut before the end of its head (with
 * the regions the head names) is an error that says so; cut anywhere behind, it opens. Memory stays
 * within a small multiple of the file's size, and one decompressed chunk (VMT_CHUNK_MAX_BYTES at
 * most). Where the process is over and its collector still writes, opening waits for it, two
 * seconds at most, four for all traces that are opened. A struct vmt_trace is one thread's; it owns
 * everything its getters return.
 */
#ifndef VMT_TRACE_H
#define VMT_TRACE_H

#include "format/chunk.h"
#include "format/head.h"
#include "format/module_table.h"
#include "tools/err.h"
#include "tools/read/trace/touch_stacks.h"
#include "tools/read/trace/trace_chunk.h"
#include "tools/read/trace/trace_loss.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_file_reader;
struct vmt_trace;

int vmt_trace_open(struct vmt_trace **trace, const char *path, struct vmt_err *err);
/* The same for who asks for no stack: vmt_trace_stack then knows none. Saves as much memory as the
 * table of stacks has. */
int vmt_trace_open_without_stacks(struct vmt_trace **trace, const char *path, struct vmt_err *err);
/* Reads what was written since: getters then answer as those of a trace that was just opened, and
 * what they gave before is gone, but for the chunks' numbers. -ESTALE, without a message: it is not
 * the file that it was, open it anew. After an error it can only be closed. */
int vmt_trace_refresh(struct vmt_trace *trace, struct vmt_err *err);
void vmt_trace_close(struct vmt_trace *trace);

const char *vmt_trace_path(const struct vmt_trace *trace);
const struct vmt_head *vmt_trace_head(const struct vmt_trace *trace);
const struct vmt_trace_loss *vmt_trace_loss(const struct vmt_trace *trace);
const struct vmt_trace_chunk *vmt_trace_chunks(const struct vmt_trace *trace, size_t *count);

/* By level of format/thin.h: the ticks from which on the heap's events are thinned so far, or more;
 * UINT64_MAX = at no time. The first is 0. Rises with the level. */
const uint64_t *vmt_trace_thin_from(const struct vmt_trace *trace);

/* How the process ended, as process_end.h has it; *status = code or signal. */
const char *vmt_trace_end(const struct vmt_trace *trace, int *status);

/* The END chunk, or NULL where there is none. */
const struct vmt_chunk_end *vmt_trace_end_chunk(const struct vmt_trace *trace);

/* Payload of a chunk, checked and decompressed, valid until the next call with the same trace. */
int vmt_trace_payload(struct vmt_trace *trace, const struct vmt_trace_chunk *chunk,
		      const unsigned char **bytes, size_t *length, struct vmt_err *err);

/* What the rings still held: events not in any chunk, sorted by time. */
const struct vmt_event *vmt_trace_ring_events(const struct vmt_trace *trace, size_t *count);

/* The file, whose bytes any thread may read until the trace is refreshed or closed. */
const struct vmt_file_reader *vmt_trace_file(const struct vmt_trace *trace);

/* Return addresses, innermost first, valid until the next call with the same trace. NULL: the id is
 * not that of a stack. */
const uint64_t *vmt_trace_stack(const struct vmt_trace *trace, uint32_t id, uint32_t *frames);
/* The stacks of the sampled page faults that a merge has decoded so far. */
struct vmt_touch_stacks *vmt_trace_touch_stacks(const struct vmt_trace *trace);
bool vmt_trace_module(const struct vmt_trace *trace, uint32_t id, struct vmt_module *module);

/* Ticks to nanoseconds since the trace began. Negative before it. */
int64_t vmt_trace_time_ns(const struct vmt_trace *trace, uint64_t ticks);
/* About how many ticks pass in so many nanoseconds. */
uint64_t vmt_trace_ticks(const struct vmt_trace *trace, uint32_t ns);

#endif
