#include "capture/core/message.h"

#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

#define LINE_BYTES 512u
#define ERROR_OUTPUT 2
#define KERNEL_NCCS 19

/* As the kernel's struct termios; libc's is another. */
struct kernel_termios {
	uint32_t iflag;
	uint32_t oflag;
	uint32_t cflag;
	uint32_t lflag;
	unsigned char line;
	unsigned char cc[KERNEL_NCCS];
};

static struct stat at_start; /* st_mode 0: closed */

void
vmt_message_set_up(void)
{
	if (vmt_sys_call2(SYS_fstat, ERROR_OUTPUT, &at_start) < 0)
		at_start.st_mode = 0;
}

static bool
leads_as_before(const struct stat *now)
{
	return at_start.st_mode != 0 && now->st_dev == at_start.st_dev &&
	       now->st_ino == at_start.st_ino && now->st_rdev == at_start.st_rdev;
}

/* By another description of the same file, as O_NONBLOCK is shared with whoever else has this. */
static long
write_through_another(const char *line, size_t bytes)
{
	int fd = vmt_sys_open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
	long result;

	if (fd < 0)
		return fd;
	result = vmt_sys_write(fd, line, bytes);
	vmt_sys_close(fd);
	return result;
}

/* Another user's pipe can't be opened anew, nor any without /proc or behind some filters: then by a
 * call that Linux 6.4 knows of pipes. It comes second, as a filter that ends who makes a rare call
 * is more likely to know the others. */
static long
write_to_pipe(const char *line, size_t bytes)
{
	struct iovec vector = {(void *)(uintptr_t)line, bytes};
	long result = write_through_another(line, bytes);

	if (result >= 0 || result == -EAGAIN || result == -EPIPE || result == -ENXIO)
		return result;
	return vmt_sys_call6(SYS_pwritev2, ERROR_OUTPUT, (long)&vector, 1, -1, -1, RWF_NOWAIT);
}

static long
write_to_socket(const char *line, size_t bytes, const struct stat *status)
{
	struct stat input;

	if (vmt_sys_call2(SYS_fstat, 0, &input) == 0 && input.st_dev == status->st_dev &&
	    input.st_ino == status->st_ino)
		return 0;
	return vmt_sys_call6(SYS_sendto, ERROR_OUTPUT, (long)line, (long)bytes,
			     MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
}

/* A terminal that this job may write to: any but the controlling one, or the foreground's, or one
 * that lets everybody write. */
static long
write_to_terminal(const char *line, size_t bytes)
{
	struct kernel_termios settings;
	int foreground = 0;

	if (vmt_sys_call3(SYS_ioctl, ERROR_OUTPUT, TCGETS, &settings) < 0)
		return 0;
	if ((settings.lflag & TOSTOP) &&
	    vmt_sys_call3(SYS_ioctl, ERROR_OUTPUT, TIOCGPGRP, &foreground) == 0 &&
	    foreground != vmt_sys_call1(SYS_getpgid, 0))
		return 0;
	return write_through_another(line, bytes);
}

static long
write_to_file(const char *line, size_t bytes, const struct stat *status)
{
	long flags = vmt_sys_call3(SYS_fcntl, ERROR_OUTPUT, F_GETFL, 0);
	struct rlimit limit;
	long position;

	if (flags < 0 || (flags & O_ACCMODE) != O_WRONLY ||
	    vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) < 0)
		return 0;
	position = flags & O_APPEND ? (long)status->st_size
				    : vmt_sys_call3(SYS_lseek, ERROR_OUTPUT, 0, SEEK_CUR);
	if (position < 0 || limit.rlim_cur < bytes || (uint64_t)position > limit.rlim_cur - bytes)
		return 0;
	return vmt_sys_write(ERROR_OUTPUT, line, bytes);
}

static long
write_line(const char *line, size_t bytes)
{
	struct stat status;

	if (vmt_sys_call2(SYS_fstat, ERROR_OUTPUT, &status) < 0 || !leads_as_before(&status))
		return 0;
	if (S_ISFIFO(status.st_mode))
		return write_to_pipe(line, bytes);
	if (S_ISSOCK(status.st_mode))
		return write_to_socket(line, bytes, &status);
	if (S_ISCHR(status.st_mode))
		return write_to_terminal(line, bytes);
	return S_ISREG(status.st_mode) ? write_to_file(line, bytes, &status) : 0;
}

static uint64_t
bit_of(int signal_number)
{
	return UINT64_C(1) << (signal_number - 1);
}

/* With what it could raise blocked: of a thread's own signals, one that is there after the write
 * has failed and was not before is ours. */
static void
write_quietly(const char *line, size_t bytes)
{
	static const struct timespec now = {0, 0};
	const uint64_t blocked = bit_of(SIGPIPE) | bit_of(SIGXFSZ) | bit_of(SIGTTOU);
	uint64_t before;
	uint64_t pending;
	uint64_t raised;

	if (vmt_sys_call4(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, &before, sizeof(blocked)) < 0)
		return;
	if (vmt_sys_call2(SYS_rt_sigpending, &pending, sizeof(pending)) == 0) {
		raised = (bit_of(SIGPIPE) | bit_of(SIGXFSZ)) & ~pending;
		if (write_line(line, bytes) < 0)
			vmt_sys_call4(SYS_rt_sigtimedwait, &raised, NULL, &now, sizeof(raised));
	}
	vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
}

void
vmt_message_say(const char *text, const char *detail)
{
	char line[LINE_BYTES];
	size_t used = 0;
	const char *parts[] = {"vmtrace: ", text, detail ? ": " : "", detail ? detail : "", "\n"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t length = vmt_text_string_bytes(parts[i]);
		size_t room = sizeof(line) - 1 - used;

		memcpy(line + used, parts[i], length < room ? length : room);
		used += length < room ? length : room;
	}
	line[used - 1] = '\n'; /* also where the text was cut */
	write_quietly(line, used);
}
