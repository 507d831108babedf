/*
 * chunk_index.h: finds a trace's valid chunks.
 *
 * Walks the chunks from the end of the head and keeps every header up to the first that is cut,
 * damaged or out of sequence: the longest valid prefix. A chunk counts when its magic, sequence,
 * checksum and the sizes and positions in its header hold; one of a kind that is not known
 * counts and is passed over by readers, where it may be; else the file is refused. Payloads are
 * checked through a window and not kept: memory is that of the headers, at most a little over the
 * file's size for a file of empty chunks alone. A file whose chunks claim far more records than a
 * program's could have is refused before any is read.
 */
#ifndef VMT_CHUNK_INDEX_H
#define VMT_CHUNK_INDEX_H

#include "format/head.h"
#include "format/thin.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/trace_chunk.h"

struct vmt_chunk_index {
	struct vmt_trace_chunk *chunks; /* in file order */
	size_t count;
	size_t room;
	uint64_t unknown; /* chunks of kinds that are not known, and may be skipped */
	uint64_t thin_from[VMT_THIN_LEVELS]; /* ticks, see trace.h */
	uint64_t end_offset;  /* of the last chunk taken, with its padding as far as it is there */
	uint64_t next_offset; /* where the next chunk would begin */
};

/* Empty, before the first chunk. */
void vmt_chunk_index_begin(struct vmt_chunk_index *index, const struct vmt_head *head);
/* Takes what is there and was not taken yet; the file reader knows its size. After an error the
 * index is empty. */
int vmt_chunk_index_extend(struct vmt_chunk_index *index, struct vmt_file_reader *file,
			   const struct vmt_head *head, struct vmt_err *err);

/* Whether a header says what a writer of this version does; of the chunk with that number. */
bool vmt_chunk_index_is_sound(const struct vmt_chunk *chunk, const struct vmt_head *head,
			      uint64_t sequence);
/* Whether the checksum of a chunk in the file holds. */
bool vmt_chunk_index_is_whole(struct vmt_file_reader *file, const struct vmt_chunk *chunk,
			      uint64_t payload_offset);

/* Whether the last chunk that was taken is still what it was. */
bool vmt_chunk_index_is_there(const struct vmt_chunk_index *index,
			      const struct vmt_file_reader *file);

void vmt_chunk_index_free(struct vmt_chunk_index *index);

/* The last chunk of a kind, or NULL. */
const struct vmt_trace_chunk *vmt_chunk_index_last(const struct vmt_chunk_index *index,
						   enum vmt_chunk_kind kind);

#endif
