/*
 * hooks_file.c: libc's names for taking pages out of a file.
 *
 * The call itself is made between two stays inside the hook, not in one: fallocate is a point of
 * cancellation, and a thread that is cancelled there never comes back.
 */
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/record/file_release.h"
#include "capture/stacks/capture.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool
begin(struct vmt_file_release *release)
{
	bool written;

	if (!vmt_guard_enter())
		return false;
	written = vmt_file_release_begin(release);
	vmt_guard_leave();
	return written;
}

static void
end(const struct vmt_file_release *release, int error, const void *frame)
{
	if (!vmt_guard_enter())
		return;
	vmt_file_release_end(release, error, vmt_capture_stack(frame));
	vmt_guard_leave();
}

/* The next definition: NULL only in a C library that lacks the name. */
typedef int file_call(int fd, int mode, off_t offset, off_t length);

static int
make_fallocate(file_call *next, int fd, int mode, off_t offset, off_t length)
{
	long result;

	if (next)
		return next(fd, mode, offset, length);
	result = vmt_sys_call4(SYS_fallocate, fd, mode, offset, length);
	if (result < 0)
		errno = (int)-result;
	return result < 0 ? -1 : 0;
}

static int
allocate(file_call *next, const struct vmt_file_release *asked, const void *frame)
{
	struct vmt_file_release release = *asked;
	off_t offset = (off_t)release.offset;
	off_t length = (off_t)release.length;
	bool written =
	    vmt_file_release_is_one(release.mode) && offset >= 0 && length > 0 && begin(&release);
	int result = make_fallocate(next, release.fd, (int)release.mode, offset, length);
	int saved_errno = errno;

	if (written)
		end(&release, result == 0 ? 0 : saved_errno, frame);
	errno = saved_errno;
	return result;
}

VMT_EXPORT int
fallocate(int fd, int mode, off_t offset, off_t length)
{
	const struct vmt_file_release asked = {fd, (uint32_t)mode, (uint64_t)offset,
					       (uint64_t)length, 0};

	return allocate(vmt_real()->fallocate, &asked, __builtin_frame_address(0));
}

VMT_EXPORT int
fallocate64(int fd, int mode, off_t offset, off_t length)
{
	const struct vmt_real *real = vmt_real();
	const struct vmt_file_release asked = {fd, (uint32_t)mode, (uint64_t)offset,
					       (uint64_t)length, 0};

	return allocate(real->fallocate64 ? real->fallocate64 : real->fallocate, &asked,
			__builtin_frame_address(0));
}

typedef int size_call(int fd, off_t length);

static int
make_ftruncate(size_call *next, int fd, off_t length)
{
	long result;

	if (next)
		return next(fd, length);
	result = vmt_sys_call2(SYS_ftruncate, fd, length);
	if (result < 0)
		errno = (int)-result;
	return result < 0 ? -1 : 0;
}

static int
set_size(size_call *next, int fd, off_t length, const void *frame)
{
	struct vmt_file_release release = vmt_file_release_of_size(fd, (uint64_t)length);
	bool written = length >= 0 && begin(&release);
	int result = make_ftruncate(next, fd, length);
	int saved_errno = errno;

	if (written)
		end(&release, result == 0 ? 0 : saved_errno, frame);
	errno = saved_errno;
	return result;
}

VMT_EXPORT int
ftruncate(int fd, off_t length)
{
	return set_size(vmt_real()->ftruncate, fd, length, __builtin_frame_address(0));
}

VMT_EXPORT int
ftruncate64(int fd, off_t length)
{
	const struct vmt_real *real = vmt_real();

	return set_size(real->ftruncate64 ? real->ftruncate64 : real->ftruncate, fd, length,
			__builtin_frame_address(0));
}
