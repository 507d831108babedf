#include "collect/mount_release.h"

#include "base/assert.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

bool
vmt_mount_release_close(struct vmt_traced *process, uint64_t now_ns)
{
	void *stand_in;

	vmt_atomic_store_relaxed(&vmt_process_head(process)->forks_over, 1);
	stand_in =
	    vmt_sys_mmap(process->base, process->layout.chunks_offset, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	vmt_assert(!process->trace_closed && process->trace_fd >= 0 && process->aside_fd < 0);
	if (vmt_sys_failed(stand_in))
		return false;
	vmt_sys_close(process->trace_fd);
	process->trace_fd = -1;
	process->trace_closed = true;
	process->trace_closed_ns = now_ns;
	return true;
}

static bool
is_the_same(const struct vmt_traced *process, int fd)
{
	struct stat status;

	return vmt_sys_call2(SYS_fstat, fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       status.st_dev == process->device && status.st_ino == process->inode &&
	       (uint64_t)status.st_size >= process->layout.chunks_offset;
}

bool
vmt_mount_release_reopen(struct vmt_traced *process)
{
	uint64_t bytes = process->layout.chunks_offset;
	int fd = vmt_sys_open(process->path, O_RDWR | O_NOFOLLOW, 0);
	void *mapped = (void *)(intptr_t)-ENOENT;

	vmt_assert(process->trace_closed && process->trace_fd < 0);
	if (fd < 0)
		return false;
	if (is_the_same(process, fd))
		mapped = vmt_sys_mmap(process->base, bytes, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, fd, 0);
	if (vmt_sys_failed(mapped)) {
		vmt_sys_close(fd);
		return false;
	}
	vmt_sys_call3(SYS_madvise, mapped, bytes, MADV_RANDOM);
	process->trace_fd = process->writer.fd = fd;
	process->trace_closed = false;
	return true;
}
