#include "capture/record/file_release.h"

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "format/event.h"

#include <linux/falloc.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define BLOCK_BYTES UINT64_C(512) /* of st_blocks, whatever the file system */

struct vmt_file_release
vmt_file_release_of_size(int fd, uint64_t size)
{
	struct vmt_file_release release = {.fd = fd, .offset = size, .length = UINT64_MAX - size};

	return release;
}

bool
vmt_file_release_is_one(uint32_t mode)
{
	return mode & FALLOC_FL_PUNCH_HOLE;
}

static bool
is_in_memory(int fd)
{
	struct statfs system;

	if (vmt_sys_call2(SYS_fstatfs, fd, &system) < 0)
		return false;
	return system.f_type == TMPFS_MAGIC || system.f_type == HUGETLBFS_MAGIC;
}

/* The length becomes what lies within the file. */
bool
vmt_file_release_begin(struct vmt_file_release *release)
{
	struct stat file;
	uint64_t size;

	if (!vmt_guard_syscalls_allowed() || vmt_sys_call2(SYS_fstat, release->fd, &file) < 0)
		return false;
	size = (uint64_t)file.st_size;
	if (release->offset >= size || !is_in_memory(release->fd))
		return false;
	if (release->length > size - release->offset)
		release->length = size - release->offset;
	release->blocks = (uint64_t)file.st_blocks;
	return true;
}

void
vmt_file_release_end(const struct vmt_file_release *release, int error, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_FILE_RELEASE,
	    .time = vmt_emit_time_after(),
	    .stack = stack,
	    .length = release->length,
	    .argument_a = release->offset,
	    .flags = release->mode,
	    .error = (int16_t)error,
	};
	struct stat file;

	if (!error && vmt_sys_call2(SYS_fstat, release->fd, &file) == 0 &&
	    (uint64_t)file.st_blocks < release->blocks)
		event.argument_b = (release->blocks - (uint64_t)file.st_blocks) * BLOCK_BYTES;
	vmt_emit_map(&event);
}
