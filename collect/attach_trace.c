#include "collect/attach_trace.h"

#include "base/assert.h"
#include "base/prealloc.h"
#include "base/shm_fallback.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int
check_head(int fd, struct vmt_head *layout, uint64_t random_id, uint64_t *device, uint64_t *inode)
{
	struct stat status;
	long result = vmt_sys_call2(SYS_fstat, fd, &status);

	if (result < 0)
		return (int)result;
	*device = status.st_dev;
	*inode = status.st_ino;
	if (!S_ISREG(status.st_mode) ||
	    vmt_sys_pread(fd, layout, sizeof(*layout), 0) != (long)sizeof(*layout) ||
	    vmt_head_check(layout) != NULL || layout->version != VMT_VERSION ||
	    layout->head_bytes != sizeof(*layout) || layout->random_id != random_id ||
	    (uint64_t)status.st_size < layout->chunks_offset)
		return -EINVAL;
	return 0;
}

int
vmt_attach_trace_head_fd(const struct vmt_traced *process)
{
	return process->aside_fd >= 0 ? process->aside_fd : process->trace_fd;
}

int
vmt_attach_trace_find(struct vmt_traced *process, const char *path)
{
	uint64_t device, inode;
	int result;

	process->trace_fd = vmt_sys_open(path, O_RDWR | O_NOFOLLOW, 0);
	if (process->trace_fd < 0)
		return process->trace_fd;
	result = check_head(process->trace_fd, &process->layout, process->random_id,
			    &process->device, &process->inode);
	if (result < 0 || !(process->layout.notes & VMT_NOTE_BUFFERED))
		return result;
	process->aside_fd = vmt_shm_fallback_open(process->layout.pid, process->random_id);
	if (process->aside_fd < 0)
		return process->aside_fd;
	return check_head(process->aside_fd, &process->layout, process->random_id, &device, &inode);
}

static int
open_head_writer(struct vmt_traced *process)
{
	process->head_writer = (struct vmt_head_writer){.fd = process->trace_fd,
							.layout = &process->layout,
							.base = process->base,
							.drain = &process->drain};
	return vmt_head_writer_open(&process->head_writer);
}

int
vmt_attach_trace_map(struct vmt_traced *process)
{
	void *base = NULL;
	int result = vmt_prealloc_view(vmt_attach_trace_head_fd(process),
				       process->layout.chunks_offset, &base);

	if (result < 0)
		return result;
	process->base = base;
	return process->aside_fd >= 0 ? open_head_writer(process) : 0;
}

void
vmt_attach_trace_settle(const struct vmt_traced *process)
{
	if (process->layout.notes & VMT_NOTE_BUFFERED)
		vmt_shm_fallback_remove(process->layout.pid, process->random_id);
}

void
vmt_attach_trace_undo(struct vmt_traced *process)
{
	if (process->head_writer.copy)
		(void)vmt_head_writer_finish(&process->head_writer);
	vmt_head_writer_close(&process->head_writer);
	if (process->base)
		vmt_sys_munmap(process->base, process->layout.chunks_offset);
	process->base = NULL;
	if (process->aside_fd >= 0)
		vmt_sys_close(process->aside_fd);
	if (process->trace_fd >= 0)
		vmt_sys_close(process->trace_fd);
	process->aside_fd = process->trace_fd = -1;
}
