#include "base/prealloc.h"

#include "base/sys.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

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

int
vmt_prealloc_take(int fd, uint64_t bytes)
{
	long result = -EINTR;

	if (!is_within_limit(bytes))
		return -EFBIG;
	for (int i = 0; i < INTERRUPTIONS && result == -EINTR; i++)
		result = vmt_sys_call4(SYS_fallocate, fd, 0, 0, bytes);
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

int
vmt_prealloc_map(int fd, uint64_t bytes, void **base)
{
	int result = vmt_prealloc_take(fd, bytes);

	return result < 0 ? result : vmt_prealloc_view(fd, bytes, base);
}
