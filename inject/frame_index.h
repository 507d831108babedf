/*
 * frame_index.h: an index of a program's tables of frames, where its linker has made none
 *
 * Stacks are walked by the index of .eh_frame_hdr. A static program of glibc's has tables of frames
 * and no index. It is made here, in the same form (LSB 5.0 Core, 10.6.2), from where the file's
 * sections say that the tables lie. Bytes of file and process are untrusted; a record that is not
 * as compilers make it ends the list. Memory is the index's own, until close. Errors: negative
 * errno.
 */
#ifndef VMT_FRAME_INDEX_H
#define VMT_FRAME_INDEX_H

#include "base/buffer.h"
#include "inject/code_map.h"
#include "inject/file_functions.h"

struct vmt_frame_index {
	struct vmt_buffer entries;
	size_t count;
	uint64_t frames_low; /* [low, high): the tables, in the process */
	uint64_t frames_high;
};

/* count is 0 where there is nothing to be indexed, or an index already. */
int vmt_frame_index_make(struct vmt_frame_index *index, const struct vmt_file *file,
			 const struct vmt_code_map *map);

/* Whether all that it names lies so low that it can lie anywhere itself; else only within 2 GiB. */
bool vmt_frame_index_is_low(const struct vmt_frame_index *index);

/* The size of its bytes, 0 for none; and the bytes themselves, as they have to lie at an address.
 */
size_t vmt_frame_index_bytes(const struct vmt_frame_index *index);
void vmt_frame_index_write(const struct vmt_frame_index *index, uint64_t address, uint8_t *bytes);

/* A copy for a program that lies so many bytes above, and what it takes of memory. -ENOMEM. */
int vmt_frame_index_copy(struct vmt_frame_index *to, const struct vmt_frame_index *from,
			 uint64_t up);
size_t vmt_frame_index_memory_bytes(const struct vmt_frame_index *index);

void vmt_frame_index_close(struct vmt_frame_index *index);

#endif
