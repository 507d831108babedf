/*
 * blob_image.h: the blob (blob/blob_start.h) as the linker made it, and as it lies at an address
 *
 * A shared object of this build's own, which the host carries in itself: its bytes are trusted. It
 * has one part that is read and executed and behind it one that is read and written, zeros at the
 * end, and no relocations but relative ones. Pure; thread and signal safe. Errors: negative errno.
 */
#ifndef VMT_BLOB_IMAGE_H
#define VMT_BLOB_IMAGE_H

#include "format/heap_functions.h"

#include <stddef.h>
#include <stdint.h>

struct vmt_blob_image {
	const unsigned char *file;
	uint64_t bytes;	     /* from its first address to its last, whole pages of 4 KiB */
	uint64_t writable;   /* offset of what is written to; up to bytes */
	uint64_t filled;     /* offset behind the last byte that is not zero at first */
	uint64_t start;	     /* offsets: vmt_blob_start */
	uint64_t parameters; /* vmt_blob_parameters */
	uint64_t entry;	     /* vmt_blob_entry */
	uint64_t end;	     /* vmt_blob_end */
	uint64_t handlers[VMT_HEAP_ENTRIES_COUNT]; /* by enum vmt_heap_entry */
};

/* -ENOEXEC: it is no such object. */
int vmt_blob_image_read(struct vmt_blob_image *image, const unsigned char *file, size_t file_bytes);

/* Its first `filled` bytes, as they have to lie at the address. */
void vmt_blob_image_place(const struct vmt_blob_image *image, uint64_t address,
			  unsigned char *bytes);

#endif
