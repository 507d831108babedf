/*
 * writer.h: appends chunks to a trace file
 *
 * Appends at an offset that only this writer moves. A chunk that could not be written whole leaves
 * the file as it was, so a full disk costs chunks and never the file. Sequence numbers run on
 * without a gap over failures. Single-threaded; the descriptor belongs to the caller. Errors:
 * negative errno (ENOSPC, EDQUOT, EFBIG, EIO ...).
 */
#ifndef VMT_WRITER_H
#define VMT_WRITER_H

#include "base/buffer.h"
#include "collect/bound.h"
#include "format/chunk.h"

struct vmt_writer {
	int fd;
	uint64_t end_bytes; /* where the next chunk goes */
	uint64_t sequence;  /* of the next chunk */
	size_t (*compress)(void *context, void *dst, size_t dst_bytes, const void *src,
			   size_t src_bytes); /* NULL: never */
	void *compress_context;
	struct vmt_buffer *packed; /* scratch for compressed payloads */
	int (*prepare)(
	    void *context); /* before each chunk; 0, or the append's error. NULL: nothing */
	void *prepare_context;
	struct vmt_bound *bound; /* of the file's size; NULL: none */
};

/* Fills in magic, sequence, sizes, flags and checksum; the caller sets kind and what belongs to
 * it. flags may carry VMT_CHUNK_COARSE, or a level. 0 or negative errno. */
int vmt_writer_append(struct vmt_writer *writer, struct vmt_chunk *chunk, const void *payload,
		      size_t payload_bytes);

#endif
