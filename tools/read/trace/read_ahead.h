/*
 * read_ahead.h: chunks of events that a second thread decodes before they are asked for.
 *
 * A thread reads chunks of events in the order that it is given, decompresses and decodes them, and
 * puts each block of records in order (sorted_run.h): at most VMT_READ_AHEAD_CHUNKS of them before
 * they are taken. What it can't decode it leaves out, and what it has not begun when it is asked
 * for. Who asks decodes that, and finds out why. So nothing depends on the thread but time.
 *
 * The functions are for one thread, the asker. The other one has all signals blocked. It reads the
 * file and the headers, which must stay as they are until the last chunk was taken, or until close.
 * It is over by then. A child that is forked before that, to look up names, has no such thread and
 * calls none of these. Memory: about 1.3 MiB a chunk of records, and 3 MiB for one payload at most.
 */
#ifndef VMT_READ_AHEAD_H
#define VMT_READ_AHEAD_H

#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/sorted_run.h"
#include "tools/read/trace/trace_chunk.h"

#define VMT_READ_AHEAD_CHUNKS 4u
#define VMT_READ_AHEAD_BLOCKS 4u /* of a chunk */
/* Records of a chunk: of fewer it is not worth while, of more it takes too much memory. */
#define VMT_READ_AHEAD_LEAST_RECORDS 1024u
#define VMT_READ_AHEAD_MOST_RECORDS (VMT_READ_AHEAD_BLOCKS * VMT_SORTED_RUN_MAX_RECORDS)

struct vmt_read_ahead;

/* A chunk's records: its blocks in their order, each with room for VMT_SORTED_RUN_MAX_RECORDS. */
struct vmt_read_ahead_chunk {
	uint32_t count; /* 0: it was not decoded */
	struct vmt_sorted_run *blocks[VMT_READ_AHEAD_BLOCKS];
};

/* Whether a chunk is one of those that are decoded ahead. One that claims more bytes than its
 * events can take is not: it would cost the thread as much memory as the reader. */
bool vmt_read_ahead_is_for(const struct vmt_chunk *chunk);

/* order: the `count` numbers of chunks to be read, which is freed in any case. NULL: there is no
 * second CPU, no thread or no memory. */
struct vmt_read_ahead *vmt_read_ahead_start(const struct vmt_file_reader *file,
					    const struct vmt_trace_chunk *chunks, uint32_t *order,
					    size_t count);
void vmt_read_ahead_close(struct vmt_read_ahead *ahead);

/* The next chunk, for which it waits where the thread has begun it. Its number must be that of the
 * order. The blocks are the asker's. */
void vmt_read_ahead_take(struct vmt_read_ahead *ahead, size_t chunk,
			 struct vmt_read_ahead_chunk *taken);

/* A block that is not needed any more, and one that was given back: NULL where there is none. */
void vmt_read_ahead_give_back(struct vmt_read_ahead *ahead, struct vmt_sorted_run *block);
struct vmt_sorted_run *vmt_read_ahead_take_spare(struct vmt_read_ahead *ahead);

#endif
