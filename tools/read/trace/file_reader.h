/*
 * file_reader.h: bounded reads of an untrusted file.
 *
 * A regular file, opened once, read by pread alone: it may grow or shrink meanwhile, and a mapping
 * of it would turn that into a signal. Its size is taken when it is opened or refreshed, and
 * nothing beyond is read. A window keeps the bytes last read, so that many small reads in rising
 * order are cheap. Offsets and lengths in bytes; one thread's, but for vmt_file_reader_read.
 */
#ifndef VMT_FILE_READER_H
#define VMT_FILE_READER_H

#include "tools/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_FILE_READER_WINDOW_BYTES 65536u

struct vmt_file_reader {
	int fd;
	char *path;
	uint64_t bytes;
	bool was_compressed; /* what is read is the expanded file: expand.h */
	unsigned char *window;
	uint64_t window_offset;
	size_t window_bytes;
};

/* Refuses whatever is not a regular file with bytes in it; never waits for a FIFO's writer. A file
 * that was compressed as a whole is expanded. */
int vmt_file_reader_open(struct vmt_file_reader *file, const char *path, struct vmt_err *err);
void vmt_file_reader_close(struct vmt_file_reader *file);

/* Takes the size again: what was appended since can be read. */
void vmt_file_reader_refresh(struct vmt_file_reader *file);

/* Whether its path leads to another file now, or to none. */
bool vmt_file_reader_was_replaced(const struct vmt_file_reader *file);

/* All of [offset, offset + length), or false: it is not (any more) in the file. Any thread may call
 * it while none opens, refreshes or closes the file. */
bool vmt_file_reader_read(const struct vmt_file_reader *file, uint64_t offset, void *bytes,
			  size_t length);

/* A fresh copy of a range, to be freed; NULL with a message. Aligned to 64 bytes below 1 MiB, to 16
 * above, where holes of the file cost no memory. */
void *vmt_file_reader_copy(const struct vmt_file_reader *file, uint64_t offset, uint64_t length,
			   struct vmt_err *err);

/* At least one byte at offset, through the window: how many there are is in *length, at most
 * `wanted`. NULL past the end. Valid until the next call. */
const unsigned char *vmt_file_reader_peek(struct vmt_file_reader *file, uint64_t offset,
					  size_t wanted, size_t *length);

#endif
