#include "inject/interrupted_call.h"

#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "inject/signal_lines.h"
#include "inject/tracee.h"

#include <errno.h>
#include <signal.h>

#if defined(__x86_64__)

#define STATUS_BYTES 4096u
#define PEEK_SHARED 1u /* PTRACE_PEEKSIGINFO_SHARED */
#define PEEK_MOST 32

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* Calls that can be made again as they were: nothing of theirs has happened when they end with
 * EINTR. Not close, of which the descriptor is gone by then. */
static bool
can_be_made_again(int64_t number)
{
	static const uint16_t numbers[] = {
	    SYS_read,	      SYS_write,	 SYS_readv,	      SYS_writev,
	    SYS_accept,	      SYS_accept4,	 SYS_connect,	      SYS_recvfrom,
	    SYS_recvmsg,      SYS_recvmmsg,	 SYS_sendto,	      SYS_sendmsg,
	    SYS_sendmmsg,     SYS_epoll_wait,	 SYS_epoll_pwait,     SYS_epoll_pwait2,
	    SYS_semop,	      SYS_semtimedop,	 SYS_msgsnd,	      SYS_msgrcv,
	    SYS_io_getevents, SYS_io_pgetevents, SYS_rt_sigtimedwait, SYS_io_uring_enter,
	    SYS_splice,	      SYS_tee,		 SYS_vmsplice,	      SYS_sendfile,
	    SYS_preadv,	      SYS_pwritev,	 SYS_preadv2,	      SYS_pwritev2,
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (number == numbers[i])
			return true;
	return false;
}

/* Signals that interrupt nothing in a process that is not traced: who ignores them never sees them.
 */
static uint64_t
ignored_signals(pid_t pid)
{
	const uint64_t by_default = vmt_signal_lines_bit(SIGCHLD) | vmt_signal_lines_bit(SIGURG) |
				    vmt_signal_lines_bit(SIGWINCH) | vmt_signal_lines_bit(SIGCONT);
	char bytes[STATUS_BYTES];
	int fd = vmt_procfs_open((uint32_t)pid, "status");
	struct vmt_text text;
	long got;

	if (fd < 0)
		return 0;
	got = vmt_procfs_read(fd, bytes, sizeof(bytes));
	vmt_sys_close(fd);
	if (got <= 0)
		return 0;
	text = vmt_text_of(bytes, (size_t)got);
	return vmt_signal_lines_mask(text, "SigIgn:") |
	       (by_default & ~vmt_signal_lines_mask(text, "SigCgt:"));
}

/* Whether one of a queue waits that the thread takes and the process does not ignore. */
static bool
has_pending(pid_t tid, uint32_t queue, uint64_t uninteresting)
{
	struct {
		uint64_t offset;
		uint32_t flags;
		int32_t count;
	} ask = {0, queue, PEEK_MOST};
	siginfo_t found[PEEK_MOST];
	long count = vmt_tracee_ask(VMT_PTRACE_PEEKSIGINFO, tid, (uintptr_t)&ask, (uintptr_t)found);

	if (count < 0 || count == PEEK_MOST)
		return true; /* perhaps */
	for (long i = 0; i < count; i++)
		if (!(uninteresting >> (found[i].si_signo - 1) & 1))
			return true;
	return false;
}

int
vmt_interrupted_call_repair(pid_t pid, pid_t tid, int signal)
{
	struct vmt_registers registers = {{0}};
	uint64_t mask = 0, ignored;
	int result = vmt_tracee_read_registers(tid, &registers);

	if (result < 0 || (int64_t)registers.user.rax != -EINTR ||
	    !can_be_made_again((int64_t)registers.user.orig_rax))
		return result;
	result = vmt_tracee_read_mask(tid, &mask);
	if (result < 0)
		return result;
	ignored = ignored_signals(pid);
	if (signal != 0 && !(ignored & vmt_signal_lines_bit(signal)))
		return 0;
	if (has_pending(tid, 0, ignored | mask) || has_pending(tid, PEEK_SHARED, ignored | mask))
		return 0;
	registers.user.rax = registers.user.orig_rax;
	registers.user.orig_rax = UINT64_MAX;
	registers.user.rip -= 2;
	return vmt_tracee_write_registers(tid, &registers);
}

#else

int
vmt_interrupted_call_repair(pid_t pid, pid_t tid, int signal)
{
	(void)pid;
	(void)tid;
	(void)signal;
	return -ENOSYS;
}

#endif
