#include "base/prealloc.h"

#include "base/pages.h"
#include "base/sys.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* tmpfs gives up where a signal comes meanwhile, and a program's timer may come again and again. */
#define INTERRUPTIONS 16

static bool
is_within_limit(uint64_t bytes)
{
	struct rlimit limit;

	return vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) < 0 ||
	       limit.rlim_cur >= bytes;
}

static int
write_zeros(int fd, uint64_t bytes)
{
	static const char zeros[4096];

	for (uint64_t at = 0; at < bytes;) {
		size_t left = bytes - at < sizeof(zeros) ? bytes - at : sizeof(zeros);
		long result = vmt_sys_call4(SYS_pwrite64, fd, zeros, left, at);

		if (result <= 0)
			return result < 0 ? (int)result : -EIO;
		at += (uint64_t)result;
	}
	return 0;
}

static long
allocate(int fd, uint64_t offset, uint64_t bytes)
{
	long result = -EINTR;

	for (int i = 0; i < INTERRUPTIONS && result == -EINTR; i++)
		result = vmt_sys_call4(SYS_fallocate, fd, 0, offset, bytes);
	return result;
}

int
vmt_prealloc_take(int fd, uint64_t bytes)
{
	long result;

	if (!is_within_limit(bytes))
		return -EFBIG;
	result = allocate(fd, 0, bytes);
	if (result == -EOPNOTSUPP || result == -ENOSYS || result == -EINTR)
		return write_zeros(fd, bytes);
	return (int)result;
}

int
vmt_prealloc_lengthen(int fd, uint64_t bytes)
{
	return is_within_limit(bytes) ? (int)vmt_sys_call2(SYS_ftruncate, fd, bytes) : -EFBIG;
}

int
vmt_prealloc_view(int fd, uint64_t bytes, void **base)
{
	void *mapped = vmt_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (vmt_sys_failed(mapped))
		return (int)(intptr_t)mapped;
	/* Else each fault reads the pages around it: more work than all the rest of a start. */
	vmt_sys_call3(SYS_madvise, mapped, bytes, MADV_RANDOM);
	*base = mapped;
	return 0;
}

long
vmt_prealloc_back(const void *part, uint64_t bytes)
{
	return vmt_sys_call3(SYS_madvise, part, bytes, MADV_POPULATE_WRITE);
}

static bool
is_in_memory(int fd)
{
	struct statfs where;

	return vmt_sys_call2(SYS_fstatfs, fd, &where) == 0 && (uint32_t)where.f_type == TMPFS_MAGIC;
}

/* All but the gap; the page before it shows whether others can be had later. */
static bool
map_around(int fd, uint64_t bytes, uint64_t gap, uint64_t gap_end, void **base)
{
	if (!is_within_limit(bytes) || allocate(fd, 0, gap) < 0 ||
	    allocate(fd, gap_end, bytes - gap_end) < 0 || vmt_prealloc_view(fd, bytes, base) < 0)
		return false;
	if (vmt_prealloc_back((char *)*base + gap - vmt_page_bytes, vmt_page_bytes) == 0)
		return true;
	vmt_sys_munmap(*base, bytes);
	return false;
}

int
vmt_prealloc_map_around(int fd, uint64_t bytes, uint64_t gap, uint64_t gap_end, void **base,
			bool *left_out)
{
	*left_out = gap >= vmt_page_bytes && gap < gap_end && gap_end < bytes && is_in_memory(fd) &&
		    map_around(fd, bytes, gap, gap_end, base);
	return *left_out ? 0 : vmt_prealloc_map(fd, bytes, base);
}

int
vmt_prealloc_map(int fd, uint64_t bytes, void **base)
{
	int result = vmt_prealloc_take(fd, bytes);

	return result < 0 ? result : vmt_prealloc_view(fd, bytes, base);
}
