/*
 * file_release.h: measures how much memory a file gives back
 *
 * fallocate(FALLOC_FL_PUNCH_HOLE) and an ftruncate to a smaller size take pages out of a file in
 * memory (memfd, tmpfs, hugetlbfs), and so out of every process that maps them, this one included.
 * What came back is the file's blocks (st_blocks) before the call less those after it: what others
 * do with the file meanwhile counts too, and pages that were swapped out do. Of files on disks
 * nothing is written: their pages come and go as the kernel likes.
 *
 * Between vmt_guard_enter and vmt_guard_leave, each. Async-signal-safe; errno is kept.
 */
#ifndef VMT_FILE_RELEASE_H
#define VMT_FILE_RELEASE_H

#include <stdbool.h>
#include <stdint.h>

struct vmt_file_release {
	int fd;
	uint32_t mode; /* fallocate's, or 0 of ftruncate */
	uint64_t offset;
	uint64_t length;
	/* filled in by begin */
	uint64_t blocks;
};

/* What an ftruncate to `size` bytes would be. */
struct vmt_file_release vmt_file_release_of_size(int fd, uint64_t size);

/* Whether a call with this mode is to be written down at all. */
bool vmt_file_release_is_one(uint32_t mode);

/* Before the call. False: this one releases no memory, or nobody can tell; no end follows. */
bool vmt_file_release_begin(struct vmt_file_release *release);

/* After it: error = errno, 0 where it was done. */
void vmt_file_release_end(const struct vmt_file_release *release, int error, uint32_t stack);

#endif
