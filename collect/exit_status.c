#include "collect/exit_status.h"

#include "base/procfs.h"
#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

/* From Linux 6.15, include/uapi/linux/pidfd.h; older headers lack it. This is the first size of the
 * struct, which later kernels accept. */
struct pidfd_answer {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};

_Static_assert(sizeof(struct pidfd_answer) == 64, "the first published size");

#define PIDFD_REQUEST _IOWR(0xFF, 11, struct pidfd_answer)
#define PIDFD_ANSWER_EXIT (UINT64_C(1) << 3)

static bool
stat_says_ended(int stat_fd)
{
	struct vmt_procfs_stat stat;

	if (!vmt_procfs_read_stat(stat_fd, &stat))
		return true;
	/* The first thread of a process may be long gone while others run. */
	return stat.state == 'X' || (stat.state == 'Z' && stat.threads <= 1);
}

bool
vmt_exit_status_reached(int pidfd, int stat_fd)
{
	struct pollfd wanted = {.fd = pidfd, .events = POLLIN};
	const struct timespec now = {0, 0};

	if (pidfd >= 0)
		return vmt_sys_call6(SYS_ppoll, (long)&wanted, 1, (long)&now, 0, 0, 0) == 1 &&
		       (wanted.revents & POLLIN);
	return stat_fd < 0 || stat_says_ended(stat_fd);
}

bool
vmt_exit_status_is_there(uint32_t pid)
{
	/* To kill, 0 and what is negative is a group, or everybody. */
	return (int32_t)pid > 0 && vmt_sys_call2(SYS_kill, pid, 0) != -ESRCH;
}

bool
vmt_exit_status_is_running(uint32_t pid)
{
	bool ended;
	int pidfd;

	if (!vmt_exit_status_is_there(pid))
		return false;
	pidfd = (int)vmt_sys_call2(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return true;
	ended = vmt_exit_status_reached(pidfd, -1);
	vmt_sys_close(pidfd);
	return !ended;
}

struct vmt_exit_status
vmt_exit_status_decode(int wait_status)
{
	int signal_number = wait_status & 0x7f;

	if (signal_number)
		return (struct vmt_exit_status){VMT_END_SIGNAL, signal_number};
	return (struct vmt_exit_status){VMT_END_EXIT, wait_status >> 8 & 0xff};
}

static bool
ask_stat(int stat_fd, int *wait_status)
{
	struct vmt_procfs_stat stat;

	if (stat_fd < 0 || !vmt_procfs_read_stat(stat_fd, &stat) || stat.state != 'Z')
		return false;
	*wait_status = (int)stat.exit_code;
	return true;
}

static bool
ask_pidfd(int pidfd, int *wait_status)
{
	struct pidfd_answer answer = {.mask = PIDFD_ANSWER_EXIT};

	if (pidfd < 0 || vmt_sys_call3(SYS_ioctl, pidfd, PIDFD_REQUEST, &answer) < 0 ||
	    !(answer.mask & PIDFD_ANSWER_EXIT))
		return false;
	*wait_status = answer.exit_code;
	return true;
}

struct vmt_exit_status
vmt_exit_status_learn(const struct vmt_collector_host *host, uint32_t pid, int pidfd, int stat_fd,
		      bool stat_readable)
{
	int wait_status = 0;

	if (host->reaped && host->reaped(host->context, pid, &wait_status))
		return vmt_exit_status_decode(wait_status);
	/* In this order: it may be reaped between the two. */
	if (stat_readable && ask_stat(stat_fd, &wait_status))
		return vmt_exit_status_decode(wait_status);
	if (ask_pidfd(pidfd, &wait_status))
		return vmt_exit_status_decode(wait_status);
	return (struct vmt_exit_status){VMT_END_UNKNOWN, 0};
}

/* Whoever opens the file then has a signal sent to the holder: one that nobody notices. */
bool
vmt_exit_status_take_lease(int fd)
{
	return vmt_sys_call3(SYS_fcntl, fd, F_SETSIG, SIGURG) == 0 &&
	       vmt_sys_call3(SYS_fcntl, fd, F_SETLEASE, F_WRLCK) == 0;
}

void
vmt_exit_status_end_lease(int fd)
{
	vmt_sys_call3(SYS_fcntl, fd, F_SETLEASE, F_UNLCK);
}

bool
vmt_exit_status_is_sole_writer(int fd)
{
	if (!vmt_exit_status_take_lease(fd))
		return false;
	vmt_exit_status_end_lease(fd);
	return true;
}
