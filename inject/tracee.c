#include "inject/tracee.h"

#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define MASK_BYTES 8u

/* A stop comes within microseconds where there is a processor for it: at first there is no nap. Nor
 * is there a yield: beside other work that gives a processor away for a slice, and the program
 * stands meanwhile. */
#define LOOKS 16
#define FIRST_NAP_NS 5000u
#define LONGEST_NAP_NS 100000u /* where no signal ends it */

long
vmt_tracee_ask(long request, pid_t tid, uint64_t address, uint64_t data)
{
	return vmt_sys_call4(SYS_ptrace, request, tid, address, data);
}

#if defined(__x86_64__)
int
vmt_tracee_read_registers(pid_t tid, struct vmt_registers *registers)
{
	return (int)vmt_tracee_ask(VMT_PTRACE_GETREGS, tid, 0, (uintptr_t)&registers->user);
}

int
vmt_tracee_write_registers(pid_t tid, const struct vmt_registers *registers)
{
	return (int)vmt_tracee_ask(VMT_PTRACE_SETREGS, tid, 0, (uintptr_t)&registers->user);
}
#else
int
vmt_tracee_read_registers(pid_t tid, struct vmt_registers *registers)
{
	(void)tid;
	*registers = (struct vmt_registers){0};
	return -ENOSYS;
}

int
vmt_tracee_write_registers(pid_t tid, const struct vmt_registers *registers)
{
	(void)tid;
	(void)registers;
	return -ENOSYS;
}
#endif

int
vmt_tracee_read_mask(pid_t tid, uint64_t *mask)
{
	return (int)vmt_tracee_ask(VMT_PTRACE_GETSIGMASK, tid, MASK_BYTES, (uintptr_t)mask);
}

int
vmt_tracee_write_mask(pid_t tid, uint64_t mask)
{
	return (int)vmt_tracee_ask(VMT_PTRACE_SETSIGMASK, tid, MASK_BYTES, (uintptr_t)&mask);
}

#define SIGCHLD_BIT (UINT64_C(1) << (SIGCHLD - 1))

/* Between two looks. SIGCHLD, which is blocked, ends it: it comes with every stop, unless this
 * process ignores it or another thread takes it. */
static void
nap(int round)
{
	const uint64_t awaited = SIGCHLD_BIT;
	uint64_t ns = LONGEST_NAP_NS;
	struct timespec time;

	if (round < LOOKS)
		return;
	if (round < LOOKS + 5)
		ns = FIRST_NAP_NS << (round - LOOKS);
	time = (struct timespec){0, (long)ns};
	vmt_sys_call4(SYS_rt_sigtimedwait, &awaited, NULL, &time, MASK_BYTES);
}

static _Thread_local pid_t left_end;

void
vmt_tracee_leave_end(pid_t pid)
{
	left_end = pid;
}

static long
look(pid_t tid, int options, siginfo_t *info)
{
	*info = (siginfo_t){.si_pid = 0};
	return vmt_sys_call6(SYS_waitid, P_PID, tid, (long)info, options | WNOHANG | __WALL, 0, 0);
}

/* As wait4, but that no end is taken: it is -ESRCH. Of whom has ended no stop can be asked for. */
static long
take_stop(pid_t tid, int *status)
{
	siginfo_t info;
	long result = look(tid, WSTOPPED, &info);

	if (result == 0 && info.si_pid != 0) {
		*status = info.si_status << 8 | 0x7f;
		return tid;
	}
	result = look(tid, WEXITED | WNOWAIT, &info);
	if (result == 0 && (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
			    info.si_code == CLD_DUMPED))
		return -ESRCH;
	return result;
}

/* 0: nothing has happened. */
static long
look_once(pid_t tid, int *status)
{
	return tid == left_end ? take_stop(tid, status)
			       : vmt_sys_call4(SYS_wait4, tid, status, __WALL | WNOHANG, 0);
}

static int
wait_blocked(pid_t tid, uint64_t deadline_ns, int *status)
{
	for (int round = 0;; round++) {
		long got = look_once(tid, status);

		if (got > 0)
			return 0;
		if (got < 0 && got != -EINTR)
			return (int)got;
		if (vmt_sys_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			return -ETIMEDOUT;
		nap(round);
	}
}

/* No call waits for a stop and for a time both, without a signal. */
int
vmt_tracee_wait(pid_t tid, uint64_t deadline_ns, int *status)
{
	const uint64_t blocked = SIGCHLD_BIT;
	uint64_t before = 0;
	int result;

	vmt_sys_call4(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, &before, MASK_BYTES);
	result = wait_blocked(tid, deadline_ns, status);
	vmt_sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, MASK_BYTES);
	return result;
}
