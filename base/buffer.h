/*
 * buffer.h: growable mappings, the collector's memory
 *
 * Growable mappings of its own: the collector may run in a copy of somebody else's address space,
 * where malloc is that program's. Single-threaded; the owner frees. Errors: false, and the buffer
 * stays as it was.
 */
#ifndef VMT_BUFFER_H
#define VMT_BUFFER_H

#include "base/sys.h"

#include <stdbool.h>
#include <sys/mman.h>

struct vmt_buffer {
	unsigned char *bytes;
	size_t capacity;
};

/* A huge page would be committed for its first bytes, and the memory cgroup of the traced program
 * pays for it. */
static inline void
vmt_buffer_refuse_huge(void *start, size_t bytes)
{
	vmt_sys_call3(SYS_madvise, start, bytes, MADV_NOHUGEPAGE);
}

/* Makes room for at least `needed` bytes, at least doubling; contents stay. */
static inline bool
vmt_buffer_reserve(struct vmt_buffer *buffer, size_t needed)
{
	size_t capacity = buffer->capacity ? buffer->capacity : 65536;
	void *moved;

	if (needed <= buffer->capacity)
		return true;
	if (needed > SIZE_MAX / 4)
		return false;
	while (capacity < needed)
		capacity *= 2;
	if (buffer->bytes)
		moved = (void *)vmt_sys_call4(SYS_mremap, buffer->bytes, buffer->capacity, capacity,
					      MREMAP_MAYMOVE);
	else
		moved = vmt_sys_mmap(NULL, capacity, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vmt_sys_failed(moved))
		return false;
	vmt_buffer_refuse_huge(moved, capacity);
	buffer->bytes = moved;
	buffer->capacity = capacity;
	return true;
}

static inline void
vmt_buffer_free(struct vmt_buffer *buffer)
{
	if (buffer->bytes)
		vmt_sys_munmap(buffer->bytes, buffer->capacity);
	*buffer = (struct vmt_buffer){0};
}

#endif
