#include "collect/trace_dir.h"

#include "base/assert.h"
#include "base/sys.h"
#include "collect/exit_status.h"

#include <errno.h>
#include <string.h>

#define EXCHANGE 2 /* RENAME_EXCHANGE, <linux/fs.h> */
#define DIRECTORY_BYTES 4096u

static const char *
last_slash(const char *path)
{
	const char *slash = NULL;

	for (; *path; path++)
		if (*path == '/')
			slash = path;
	return slash;
}

int
vmt_trace_dir_open(struct vmt_trace_dir *dir, const char *path)
{
	const char *slash = last_slash(path);
	char directory[DIRECTORY_BYTES];
	size_t length;
	int fd;

	dir->directory = -1;
	if (!slash || slash[1] == '\0')
		return -EINVAL;
	length = slash == path ? 1 : (size_t)(slash - path);
	if (length >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, path, length);
	directory[length] = '\0';
	dir->name = slash + 1;
	fd = vmt_sys_open(directory, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	dir->directory = fd;
	return 0;
}

void
vmt_trace_dir_close(struct vmt_trace_dir *dir)
{
	if (dir->directory >= 0)
		vmt_sys_close(dir->directory);
	dir->directory = -1;
}

int
vmt_trace_dir_stat(const struct vmt_trace_dir *dir, const char *name, struct stat *status)
{
	vmt_assert(dir->directory >= 0);
	return (int)vmt_sys_call4(SYS_newfstatat, dir->directory, name, status,
				  AT_SYMLINK_NOFOLLOW);
}

static bool
is_ours(const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_uid == (uint32_t)vmt_sys_call0(SYS_geteuid);
}

bool
vmt_trace_dir_has(const struct vmt_trace_dir *dir, const char *name, uint64_t device,
		  uint64_t inode)
{
	struct stat status;

	return vmt_trace_dir_stat(dir, name, &status) == 0 && is_ours(&status) &&
	       status.st_dev == device && status.st_ino == inode;
}

int
vmt_trace_dir_remove(const struct vmt_trace_dir *dir, const char *name)
{
	vmt_assert(dir->directory >= 0);
	return (int)vmt_sys_call3(SYS_unlinkat, dir->directory, name, 0);
}

static int
open_file(const struct vmt_trace_dir *dir, const char *name, int flags)
{
	vmt_assert(dir->directory >= 0);
	return (int)vmt_sys_call4(SYS_openat, dir->directory, name,
				  flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* What a process left that was killed. */
static bool
is_left_behind(const struct vmt_trace_dir *dir, const char *name)
{
	int fd = open_file(dir, name, O_NONBLOCK);
	struct stat status;
	bool left;

	if (fd < 0)
		return false;
	left = vmt_sys_call2(SYS_fstat, fd, &status) == 0 && is_ours(&status) &&
	       status.st_nlink == 1 && vmt_exit_status_is_sole_writer(fd);
	vmt_sys_close(fd);
	return left;
}

int
vmt_trace_dir_make(const struct vmt_trace_dir *dir, const char *name)
{
	int fd = open_file(dir, name, O_CREAT | O_EXCL);

	if (fd != -EEXIST || !is_left_behind(dir, name) || vmt_trace_dir_remove(dir, name) < 0)
		return fd;
	return open_file(dir, name, O_CREAT | O_EXCL);
}

int
vmt_trace_dir_exchange(const struct vmt_trace_dir *dir, const char *one, const char *other)
{
	vmt_assert(dir->directory >= 0);
	return (int)vmt_sys_call6(SYS_renameat2, dir->directory, (long)one, dir->directory,
				  (long)other, EXCHANGE, 0);
}
