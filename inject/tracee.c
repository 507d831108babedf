#include "inject/tracee.h"

#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define MASK_BYTES 8u

/* A stop comes within microseconds where there is a processor for it: at first only others are let
 * run. */
#define YIELDS 16
#define FIRST_NAP_NS 5000u
#define LONGEST_NAP_NS 1000000u

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

/* Between two looks. */
static void
nap(int round)
{
	uint64_t ns = LONGEST_NAP_NS;
	struct timespec time;

	if (round < YIELDS) {
		vmt_sys_call0(SYS_sched_yield);
		return;
	}
	if (round < YIELDS + 8)
		ns = FIRST_NAP_NS << (round - YIELDS);
	time = (struct timespec){0, (long)ns};
	vmt_sys_call2(SYS_nanosleep, &time, 0);
}

/* No call waits for a stop and for a time both, without a signal handler. */
int
vmt_tracee_wait(pid_t tid, uint64_t deadline_ns, int *status)
{
	for (int round = 0;; round++) {
		long got = vmt_sys_call4(SYS_wait4, tid, status, __WALL | WNOHANG, 0);

		if (got > 0)
			return 0;
		if (got < 0 && got != -EINTR)
			return (int)got;
		if (vmt_sys_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			return -ETIMEDOUT;
		nap(round);
	}
}
