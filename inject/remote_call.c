#include "inject/remote_call.h"

#include "base/sys.h"
#include "inject/text_search.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#if defined(__x86_64__)

/* An open on a network's file system may take its time; a call that takes longer never comes back
 * while the program stands. */
#define CALL_NS UINT64_C(5000000000)

/* Stops of other kinds on the way to one of a call: SIGSTOP and its group stop, an interrupt. */
#define OTHER_STOPS 16

/* Of include/linux/errno.h: the call is to be made again. */
#define FIRST_RESTART 512
#define LAST_RESTART 516

static bool
is_call_stop(int status)
{
	int signal = WSTOPSIG(status);

	return WIFSTOPPED(status) && vmt_tracee_event(status) == 0 &&
	       (signal == SIGTRAP || signal == (SIGTRAP | 0x80));
}

/* Runs to where a system call begins or ends. Other stops are gone through: a SIGSTOP takes effect
 * on the other threads at once and on this one when it is let go. */
static int
run_to_call_stop(const struct vmt_remote *remote, uint64_t deadline_ns)
{
	uint64_t signal = 0;

	for (int i = 0; i < OTHER_STOPS; i++) {
		int status = 0;
		int result = (int)vmt_tracee_ask(VMT_PTRACE_SYSCALL, remote->tid, 0, signal);

		if (result == 0)
			result = vmt_tracee_wait(remote->tid, deadline_ns, &status);
		if (result < 0)
			return result == -ECHILD ? -ESRCH : result;
		if (!WIFSTOPPED(status))
			return -ESRCH;
		if (is_call_stop(status))
			return 0;
		signal = vmt_tracee_event(status) == 0 ? (uint64_t)WSTOPSIG(status) : 0;
		if (signal != 0 && signal != SIGSTOP)
			return -EIO;
	}
	return -EIO;
}

static struct vmt_registers
registers_of_call(const struct vmt_remote *remote, long number, const uint64_t words[6])
{
	struct vmt_registers call = remote->kept;

	call.user.rip = remote->syscall_address;
	call.user.rax = (uint64_t)number;
	call.user.orig_rax = UINT64_MAX; /* of no call that the kernel would make again */
	call.user.rdi = words[0];
	call.user.rsi = words[1];
	call.user.rdx = words[2];
	call.user.r10 = words[3];
	call.user.r8 = words[4];
	call.user.r9 = words[5];
	if (remote->frame)
		call.user.rsp = remote->frame->address;
	return call;
}

/* From any stop to the one in which the call begins. An exec's event lies within a call that has
 * yet to end: its end is gone through. */
static int
enter_call(const struct vmt_remote *remote, const struct vmt_registers *call, uint64_t deadline_ns)
{
	struct vmt_registers now = {{0}};

	for (int i = 0; i < 2; i++) {
		int result = vmt_tracee_write_registers(remote->tid, call);

		if (result == 0)
			result = run_to_call_stop(remote, deadline_ns);
		if (result == 0)
			result = vmt_tracee_read_registers(remote->tid, &now);
		if (result < 0)
			return result;
		if (now.user.rip == remote->syscall_address + 2 &&
		    now.user.orig_rax == call->user.rax && (int64_t)now.user.rax == -ENOSYS)
			return 0;
	}
	return -EIO;
}

int
vmt_remote_call(struct vmt_remote *remote, long number, const uint64_t words[6], int64_t *result)
{
	struct vmt_registers call = registers_of_call(remote, number, words);
	uint64_t deadline_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + CALL_NS;
	struct vmt_registers now = {{0}};

	for (int i = 0; i < OTHER_STOPS; i++) {
		int error = enter_call(remote, &call, deadline_ns);

		if (error == 0)
			error = run_to_call_stop(remote, deadline_ns);
		if (error == 0)
			error = vmt_tracee_read_registers(remote->tid, &now);
		if (error < 0)
			return error;
		*result = (int64_t)now.user.rax;
		if (*result > -FIRST_RESTART || *result < -LAST_RESTART)
			return 0;
	}
	return -EIO;
}

/* With the frame in its place the thread goes back to what it did from here on. */
static int
stand_before_return(const struct vmt_remote *remote)
{
	struct vmt_registers back = remote->kept;

	back.user.rip = remote->frame->restorer_address;
	back.user.orig_rax = UINT64_MAX;
	back.user.rsp = remote->frame->address + sizeof(uint64_t);
	return vmt_tracee_write_registers(remote->tid, &back);
}

/* Runs to where the signal is about to be delivered: it is not, nor does anything else come before.
 */
static int
run_to_signal(const struct vmt_remote *remote, int wanted, uint64_t deadline_ns)
{
	uint64_t signal = 0;

	for (int i = 0; i < OTHER_STOPS; i++) {
		int status = 0;
		int result = (int)vmt_tracee_ask(VMT_PTRACE_CONT, remote->tid, 0, signal);

		if (result == 0)
			result = vmt_tracee_wait(remote->tid, deadline_ns, &status);
		if (result < 0)
			return result == -ECHILD ? -ESRCH : result;
		if (!WIFSTOPPED(status))
			return -ESRCH;
		signal = vmt_tracee_event(status) == 0 ? (uint64_t)WSTOPSIG(status) : 0;
		if (signal == (uint64_t)wanted)
			return 0;
		if (signal != 0 && signal != SIGSTOP)
			return -EIO;
	}
	return -EIO;
}

/* It may be in the middle of anything, but for a call that lasts. */
static void
stop_run(const struct vmt_remote *remote)
{
	uint64_t deadline_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + CALL_NS;
	int status;

	if (vmt_tracee_ask(VMT_PTRACE_INTERRUPT, remote->tid, 0, 0) == 0)
		(void)vmt_tracee_wait(remote->tid, deadline_ns, &status);
}

/* To the end of its next system call, or to the signal. */
static int
run_on(const struct vmt_remote *remote, int signal, uint64_t deadline_ns)
{
	int result;

	if (signal != 0)
		return run_to_signal(remote, signal, deadline_ns);
	result = run_to_call_stop(remote, deadline_ns);
	return result == 0 ? run_to_call_stop(remote, deadline_ns) : result;
}

int
vmt_remote_run(struct vmt_remote *remote, uint64_t address, int signal,
	       bool (*is_done)(void *context), void *context, uint64_t deadline_ns)
{
	struct vmt_registers registers = remote->kept;
	int result;

	if (!remote->frame)
		return -EINVAL;
	registers.user.rip = address;
	registers.user.rsp = remote->frame->address;
	registers.user.orig_rax = UINT64_MAX;
	result = vmt_tracee_write_registers(remote->tid, &registers);
	while (result == 0) {
		result = run_on(remote, signal, deadline_ns);
		if (result == 0 && is_done(context))
			break;
	}
	if (result == -ETIMEDOUT)
		stop_run(remote);
	/* The registers before the mask, as at the begin. */
	if (stand_before_return(remote) == 0)
		(void)vmt_tracee_write_mask(remote->tid, UINT64_MAX);
	return result;
}

static int
keep_state(struct vmt_remote *remote)
{
	int result = vmt_tracee_read_registers(remote->tid, &remote->kept);

	return result < 0 ? result : vmt_tracee_read_mask(remote->tid, &remote->kept_mask);
}

int
vmt_remote_begin(struct vmt_remote *remote, const struct vmt_target *target, pid_t tid,
		 uint64_t syscall_address)
{
	int result = 0;

	*remote =
	    (struct vmt_remote){.target = target, .tid = tid, .syscall_address = syscall_address};
	if (syscall_address == 0)
		result = vmt_text_search_syscall(target, &remote->syscall_address);
	if (result == 0)
		result = keep_state(remote);
	if (result < 0)
		return result;
	remote->changed = true;
	return vmt_tracee_write_mask(tid, UINT64_MAX);
}

/* The frame first, then the way to it, then the mask: at each moment the thread either goes on as
 * it was or finds its way back. */
int
vmt_remote_begin_guarded(struct vmt_remote *remote, const struct vmt_target *target, pid_t tid,
			 struct vmt_return_frame *frame)
{
	int result;

	*remote = (struct vmt_remote){
	    .target = target, .tid = tid, .syscall_address = frame->call_address, .frame = frame};
	result = keep_state(remote);
	if (result == 0)
		result =
		    vmt_return_frame_write(frame, target, tid, &remote->kept, remote->kept_mask);
	if (result < 0)
		return result;
	remote->changed = true;
	result = stand_before_return(remote);
	return result < 0 ? result : vmt_tracee_write_mask(tid, UINT64_MAX);
}

/* From the end of our last call to a stop that comes from no call: there the kernel looks at the
 * registers again, and makes an interrupted call again. The thread executes nothing on the way. */
static int
settle(const struct vmt_remote *remote)
{
	uint64_t deadline_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + CALL_NS;
	uint64_t signal = 0;

	for (int i = 0; i < OTHER_STOPS; i++) {
		int status = 0;
		int result = (int)vmt_tracee_ask(VMT_PTRACE_INTERRUPT, remote->tid, 0, 0);

		if (result == 0)
			result = (int)vmt_tracee_ask(VMT_PTRACE_CONT, remote->tid, 0, signal);
		if (result == 0)
			result = vmt_tracee_wait(remote->tid, deadline_ns, &status);
		if (result < 0)
			return result;
		if (!WIFSTOPPED(status))
			return -ESRCH;
		if (vmt_tracee_event(status) == VMT_PTRACE_EVENT_STOP)
			return 0;
		signal = (uint64_t)WSTOPSIG(status);
		if (signal != SIGSTOP)
			return -EIO;
	}
	return -EIO;
}

int
vmt_remote_end(struct vmt_remote *remote)
{
	int result = 0;

	if (!remote->changed)
		return 0;
	if (remote->frame)
		result = settle(remote);
	/* Registers last: while they are not its own the frame still gives both back. */
	if (result == 0)
		result = vmt_tracee_write_mask(remote->tid, remote->kept_mask);
	if (result == 0)
		result = vmt_tracee_write_registers(remote->tid, &remote->kept);
	if (result < 0)
		return result;
	remote->changed = false;
	return remote->frame ? vmt_return_frame_erase(remote->frame, remote->target) : 0;
}

#else

int
vmt_remote_begin(struct vmt_remote *remote, const struct vmt_target *target, pid_t tid,
		 uint64_t syscall_address)
{
	*remote =
	    (struct vmt_remote){.target = target, .tid = tid, .syscall_address = syscall_address};
	return -ENOSYS;
}

int
vmt_remote_begin_guarded(struct vmt_remote *remote, const struct vmt_target *target, pid_t tid,
			 struct vmt_return_frame *frame)
{
	*remote = (struct vmt_remote){.target = target, .tid = tid, .frame = frame};
	return -ENOSYS;
}

int
vmt_remote_call(struct vmt_remote *remote, long number, const uint64_t words[6], int64_t *result)
{
	(void)remote;
	(void)number;
	(void)words;
	*result = -ENOSYS;
	return -ENOSYS;
}

int
vmt_remote_run(struct vmt_remote *remote, uint64_t address, int signal,
	       bool (*is_done)(void *context), void *context, uint64_t deadline_ns)
{
	(void)remote;
	(void)address;
	(void)signal;
	(void)is_done;
	(void)context;
	(void)deadline_ns;
	return -ENOSYS;
}

int
vmt_remote_end(struct vmt_remote *remote)
{
	remote->changed = false;
	return 0;
}

#endif
