/*
 * mapping.h: makes a call of the mmap family and writes it down
 *
 * Each function looks at what is about to be released, writes the release, makes the raw system
 * call, and writes the acquisition, the note or the undo: the rules of format/event.h. Used by the
 * hooks of libc's names and by the syscall() hook alike. Call between vmt_guard_enter and
 * vmt_guard_leave. Returns the kernel's value: negative errno on failure; errno may be clobbered.
 *
 * Lengths are written rounded up to whole pages (to huge pages for MAP_HUGETLB), as the kernel
 * takes them. Arguments that the kernel refuses before it touches anything write nothing.
 * Where one call makes two releases (mremap with MREMAP_FIXED) and fails, two MAP_UNDO follow, the
 * later release's first; each carries its release's address and length.
 *
 * Async-signal-safe as the calls are. Kernel facts: mm/mmap.c, mm/mremap.c, mm/madvise.c.
 */
#ifndef VMT_MAPPING_H
#define VMT_MAPPING_H

#include "capture/record/mapping_request.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What the next hook needs stays mapped (capture/record/own_release.h), also where nothing is
 * recorded: of each call that could take it there is a form that may be made at any time. */
long vmt_mapping_mmap(const struct vmt_mapping_request *request, uint32_t stack);
long vmt_mapping_mmap_unrecorded(const struct vmt_mapping_request *request);

struct vmt_mapping_range {
	uint64_t address;
	uint64_t length;
};

/* After a failure the range is what is left of it. */
long vmt_mapping_munmap(struct vmt_mapping_range *range, uint32_t stack);
long vmt_mapping_munmap_unrecorded(struct vmt_mapping_range *range);

struct vmt_mapping_move {
	uint64_t old_address;
	uint64_t old_length;
	uint64_t new_length;
	int flags;
	uint64_t new_address; /* passed on whatever the flags, as libc does */
};

long vmt_mapping_mremap(const struct vmt_mapping_move *move, uint32_t stack);
long vmt_mapping_mremap_unrecorded(const struct vmt_mapping_move *move);

/* key -1: plain mprotect. What the kernel refuses for its arguments writes nothing: a hook need not
 * ask for its stack. */
long vmt_mapping_make_mprotect(uint64_t address, uint64_t length, int protection, int key);
void vmt_mapping_write_mprotect(uint64_t address, uint64_t length, int protection, long result,
				uint32_t stack);

/* A private anonymous mapping that another call than mmap has made. */
void vmt_mapping_write_private(uint64_t address, uint64_t length, uint32_t stack);

/* MLOCK, MUNLOCK, REMAP_FILE_PAGES or NAME: a call that was made and changed no ownership. Of a
 * range that the kernel does not take the length is 0. */
void vmt_mapping_note(uint8_t kind, uint64_t address, uint64_t length, uint32_t flags, long result,
		      uint32_t stack);

/* The parts that capture/record/segments.c shares: a release before, an undo after. marks: 0 or
 * VMT_MARK_ENDS. */
void vmt_mapping_write_release(uint8_t kind, uint64_t address, uint64_t length, uint8_t marks,
			       uint32_t stack);
void vmt_mapping_write_undo(uint64_t address, uint64_t length, long result, uint32_t stack);

#endif
