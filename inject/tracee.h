/*
 * tracee.h: one thread that this process traces: its stops, registers and signal mask
 *
 * ptrace(2) and wait4(2) by raw system calls, with waits that end. Whoever traces a thread must
 * make all of these calls from the thread that seized it. x86-64 alone: elsewhere registers are
 * refused with -ENOSYS. Errors: negative errno; -ESRCH says that the thread is gone, or is not in a
 * stop.
 */
#ifndef VMT_TRACEE_H
#define VMT_TRACEE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* Of include/uapi/linux/ptrace.h; older C libraries lack some. */
#define VMT_PTRACE_CONT 7
#define VMT_PTRACE_GETREGS 12
#define VMT_PTRACE_SETREGS 13
#define VMT_PTRACE_DETACH 17
#define VMT_PTRACE_SYSCALL 24
#define VMT_PTRACE_SETOPTIONS 0x4200
#define VMT_PTRACE_GETEVENTMSG 0x4201
#define VMT_PTRACE_GETREGSET 0x4204
#define VMT_PTRACE_SEIZE 0x4206
#define VMT_PTRACE_INTERRUPT 0x4207
#define VMT_PTRACE_PEEKSIGINFO 0x4209
#define VMT_PTRACE_GETSIGMASK 0x420a
#define VMT_PTRACE_SETSIGMASK 0x420b

#define VMT_PTRACE_O_SYSGOOD 0x01u
#define VMT_PTRACE_O_FORK 0x02u
#define VMT_PTRACE_O_VFORK 0x04u
#define VMT_PTRACE_O_CLONE 0x08u
#define VMT_PTRACE_O_EXEC 0x10u
#define VMT_PTRACE_O_EXIT 0x40u
#define VMT_PTRACE_O_SUSPEND_SECCOMP (UINT32_C(1) << 21)

#define VMT_PTRACE_EVENT_VFORK 2
#define VMT_PTRACE_EVENT_CLONE 3
#define VMT_PTRACE_EVENT_EXEC 4
#define VMT_PTRACE_EVENT_STOP 128

#if defined(__x86_64__)
struct vmt_registers {
	struct user_regs_struct user;
};
#else
struct vmt_registers {
	uint64_t unused;
};
#endif

long vmt_tracee_ask(long request, pid_t tid, uint64_t address, uint64_t data);

int vmt_tracee_read_registers(pid_t tid, struct vmt_registers *registers);
int vmt_tracee_write_registers(pid_t tid, const struct vmt_registers *registers);

/* Bit n - 1 of the mask is signal n. Where a call such as sigsuspend has put another mask in its
 * place for as long as it lasts, the mask read is the one that comes back (Linux 5.1 and later). */
int vmt_tracee_read_mask(pid_t tid, uint64_t *mask);
int vmt_tracee_write_mask(pid_t tid, uint64_t mask);

/* Waits until the thread stops, at most to deadline_ns (CLOCK_MONOTONIC; 0: does not wait).
 * *status is as waitpid has it. -ETIMEDOUT: it did not stop; -ECHILD: it is not traced by this
 * thread. 0: *status says that it has stopped, or ended. */
int vmt_tracee_wait(pid_t tid, uint64_t deadline_ns, int *status);

/* The end of this process, a child of ours, is taken by another part of this process, or later:
 * vmt_tracee_wait leaves it there and returns -ESRCH. One at a time for each thread that waits; 0:
 * none. */
void vmt_tracee_leave_end(pid_t pid);

/* What of a wait status says which event a stop is, 0 for none: PTRACE_EVENT_*. */
static inline int
vmt_tracee_event(int status)
{
	return status >> 16;
}

#endif
