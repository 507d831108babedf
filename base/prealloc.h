/*
 * prealloc.h: gives a file all of its blocks before it is mapped
 *
 * A store to a mapped page that has no block yet raises SIGBUS when the disk is full, and a file
 * that grows past RLIMIT_FSIZE raises SIGXFSZ: both in the traced program. So the limit is asked
 * first, and the blocks are given before the file is mapped: by fallocate, and where the file
 * system has none, by writing zeros. Async-signal-safe. Kernel facts: fs/open.c (vfs_fallocate),
 * inode_newsize_ok in fs/attr.c.
 */
#ifndef VMT_PREALLOC_H
#define VMT_PREALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* Gives the first bytes of an empty file their blocks. 0 or negative errno: EFBIG for the limit,
 * ENOSPC, EDQUOT, whatever the file system says. */
int vmt_prealloc_take(int fd, uint64_t bytes);

/* Gives an empty file a length, and no blocks: for a file in memory, whose pages its maker takes by
 * other means. 0 or negative errno. */
int vmt_prealloc_lengthen(int fd, uint64_t bytes);

/* Maps bytes that have their blocks: shared, to be read and written, few of them ever. */
int vmt_prealloc_view(int fd, uint64_t bytes, void **base);

/* Both. */
int vmt_prealloc_map(int fd, uint64_t bytes, void **base);

/* The same, but that a file in memory gets no pages for [gap, gap_end), which are in whole pages:
 * there blocks in advance are memory, 1.4 us a page. *left_out: that part is to be given pages by
 * vmt_prealloc_back before it is written to. */
int vmt_prealloc_map_around(int fd, uint64_t bytes, uint64_t gap, uint64_t gap_end, void **base,
			    bool *left_out);

/* Gives a part of a mapping pages, in whole ones. 0, or negative errno: EINVAL before Linux 5.14,
 * EFAULT or ENOMEM where there are none. */
long vmt_prealloc_back(const void *part, uint64_t bytes);

#endif
