/*
 * hooks_process.c: processes and threads begin and end, prctl, and other namespaces.
 *
 * fork and clone are called through while not inside a hook: in the child of a fork everything runs
 * on as in any hook's caller, and a child of clone with CLONE_VM shares our thread state for as
 * long as it lives. The child of a fork is not touched: its owner page is zero (or made so, where
 * the kernel cannot), and its first event opens a trace. daemon forks within libc, so only its
 * child shows, and opens its trace at once.
 * Over 500 lines: few lines for each of many calls.
 */
#include "preload/hooks/hooks_process.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "capture/core/clock.h"
#include "capture/core/guard.h"
#include "capture/core/threads_inside.h"
#include "capture/emit/emit.h"
#include "capture/entry/filter.h"
#include "capture/record/long_call.h"
#include "capture/record/retreat.h"
#include "capture/record/samples.h"
#include "capture/stacks/capture.h"
#include "capture/stacks/stack_floors.h"
#include "capture/trace/finish.h"
#include "capture/trace/open.h"
#include "format/event.h"
#include "preload/hooks/hooks_load.h"
#include "preload/libc/real.h"
#include "preload/trace/untraced_fork.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <threads.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* sizeof(struct pthread) of glibc 2.36 on x86-64: those near it differ by less than a page, and the
 * value only serves to find the mapping that a stack lies in. */
#define USUAL_DESCRIPTOR_BYTES 2304u

/* Not in the headers of older C libraries. */
pid_t _Fork(void);

static uint64_t descriptor_bytes = USUAL_DESCRIPTOR_BYTES;
/* Where a descriptor holds the kernel's id of its thread; 0 = not known. */
static uint32_t tid_offset;
/* Looked up, not linked: before glibc 2.34 they live in libpthread, which may not be loaded. */
static int (*get_default_attributes)(pthread_attr_t *attributes);
static int (*get_stack_size)(const pthread_attr_t *attributes, size_t *bytes);
static int (*get_stack)(const pthread_attr_t *attributes, void **address, size_t *bytes);
static int (*get_guard_size)(const pthread_attr_t *attributes, size_t *bytes);
static int (*destroy_attributes)(pthread_attr_t *attributes);

void
vmt_hooks_process_set_up(void)
{
	const uint32_t *size = vmt_real_find("_thread_db_sizeof_pthread");
	/* For debuggers (nptl_db/db_info.c): bits, elements, offset. */
	const uint32_t *tid = vmt_real_find("_thread_db_pthread_tid");

	if (size && *size != 0)
		descriptor_bytes = *size;
	if (tid && tid[0] == 32 && tid[2] <= descriptor_bytes - sizeof(uint32_t))
		tid_offset = tid[2];
	*(void **)&get_default_attributes = vmt_real_find("pthread_getattr_default_np");
	*(void **)&get_stack_size = vmt_real_find("pthread_attr_getstacksize");
	*(void **)&get_stack = vmt_real_find("pthread_attr_getstack");
	*(void **)&get_guard_size = vmt_real_find("pthread_attr_getguardsize");
	*(void **)&destroy_attributes = vmt_real_find("pthread_attr_destroy");
}

/* The child of a fork, in the parent. */
VMT_FORK_CODE static void
write_fork(pid_t child, int flags, const void *frame)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_FORK, .argument_a = (uint64_t)child, .flags = (uint32_t)flags};
	int saved_errno = errno;

	if (vmt_untraced_fork_tell(child, flags) || !vmt_guard_enter())
		return;
	vmt_hooks_load_settle();
	event.stack = vmt_capture_stack(frame);
	event.time = vmt_emit_time_after();
	vmt_emit_map(&event);
	vmt_guard_leave();
	errno = saved_errno;
}

/* None of the parent's other threads is here: what they were about to do is nobody's. */
VMT_FORK_CODE static void
begin_in_child(bool prepared)
{
	vmt_guard_forked();
	vmt_retreat_forked();
	vmt_untraced_fork_begin(prepared);
}

VMT_EXPORT VMT_FORK_CODE pid_t
fork(void)
{
	bool prepared = vmt_untraced_fork_prepare();
	pid_t child = vmt_real()->fork();

	if (child < 0 && vmt_retreat_from_fork(errno))
		child = vmt_real()->fork();
	if (child == 0)
		begin_in_child(prepared);
	else if (child > 0)
		write_fork(child, 0, __builtin_frame_address(0));
	return child;
}

VMT_EXPORT VMT_FORK_CODE pid_t
_Fork(void)
{
	const struct vmt_real *real = vmt_real();
	bool prepared = vmt_untraced_fork_prepare();
	pid_t child;

	if (!real->_Fork) {
		errno = ENOSYS;
		return -1;
	}
	child = real->_Fork();
	if (child < 0 && vmt_retreat_from_fork(errno))
		child = real->_Fork();
	if (child == 0)
		begin_in_child(prepared);
	else if (child > 0)
		write_fork(child, 0, __builtin_frame_address(0));
	return child;
}

void
vmt_hooks_process_clone(uint64_t flags)
{
	if ((flags & CLONE_VM) && !(flags & (CLONE_VFORK | CLONE_SETTLS)))
		vmt_threads_inside_distrust();
	if ((flags & CLONE_NEWNS) && !(flags & CLONE_VM) && vmt_guard_syscalls_allowed())
		vmt_atomic_store_relaxed(&vmt_recording.mounts_of,
					 (uint32_t)vmt_sys_call0(SYS_getpid));
}

/* The C library's clone takes the child to its own stack and calls the function there: no frame of
 * ours is ever returned from twice. The three optional arguments are words and are passed on
 * whatever the flags. */
VMT_EXPORT int
clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	pid_t *parent_tid;
	void *tls;
	pid_t *child_tid;
	va_list rest;
	int child;

	va_start(rest, argument);
	parent_tid = va_arg(rest, pid_t *);
	tls = va_arg(rest, void *);
	child_tid = va_arg(rest, pid_t *);
	va_end(rest);
	vmt_hooks_process_clone((uint64_t)(unsigned)flags);
	child = vmt_real()->clone(function, stack, flags, argument, parent_tid, tls, child_tid);
	if (child > 0 && !(flags & CLONE_THREAD))
		write_fork(child, flags, __builtin_frame_address(0));
	return child;
}

VMT_EXPORT int
daemon(int keep_directory, int keep_descriptors)
{
	bool prepared = vmt_untraced_fork_prepare();
	int result = vmt_real()->daemon(keep_directory, keep_descriptors);

	if (result == 0) { /* in the child; the parent has left by _exit, and told nobody of it */
		int saved_errno = errno;

		begin_in_child(prepared);
		if (vmt_guard_enter())
			vmt_guard_leave();
		errno = saved_errno;
	}
	return result;
}

/* What a call of pthread_create asks for. */
struct stack_request {
	uint64_t bytes; /* 0 = not known */
	bool callers;	/* the caller gave the memory */
	bool expected;	/* a stack without a guard page: stack_floors.h */
	bool begun;	/* LONG_BEGIN was written */
};

/* Without an address in the attributes the C library says one that ends at 0 (glibc), or fails. */
static bool
has_callers_stack(const pthread_attr_t *attributes)
{
	void *address = NULL;
	size_t bytes = 0;

	if (!get_stack || get_stack(attributes, &address, &bytes) != 0 || !address ||
	    (uintptr_t)address + bytes == 0)
		return false;
	vmt_stack_floors_add((uintptr_t)address, bytes);
	return true;
}

static void
read_attributes(struct stack_request *stack, const pthread_attr_t *attributes)
{
	size_t bytes = 0;
	size_t guard_bytes = 0;

	if (get_stack_size && get_stack_size(attributes, &bytes) == 0)
		stack->bytes = bytes;
	stack->callers = has_callers_stack(attributes);
	stack->expected = !stack->callers && get_guard_size &&
			  get_guard_size(attributes, &guard_bytes) == 0 && guard_bytes == 0;
	if (stack->expected)
		vmt_stack_floors_expect();
}

static void
read_defaults(struct stack_request *stack)
{
	pthread_attr_t defaults;

	if (!get_default_attributes || !destroy_attributes ||
	    get_default_attributes(&defaults) != 0)
		return;
	read_attributes(stack, &defaults);
	destroy_attributes(&defaults);
}

/* The new thread may have ended, and freed what is read here: so the kernel reads it for us where
 * it will. */
static long
read_memory(uint64_t address, void *copy, size_t bytes)
{
	struct iovec from = {(void *)(uintptr_t)address, bytes};
	struct iovec to = {copy, bytes};

	if (!vmt_guard_syscalls_allowed())
		return -ENOSYS;
	return vmt_sys_call6(SYS_process_vm_readv, vmt_guard_owner->pid, (long)&to, 1, (long)&from,
			     1, 0);
}

static bool
read_thread(const pthread_t *variable, uint64_t *thread)
{
	long result = read_memory((uint64_t)(uintptr_t)variable, thread, sizeof(*thread));

	if (result == -EFAULT)
		return false;
	if (result != (long)sizeof(*thread))
		*thread = (uint64_t)*variable;
	return true;
}

/* The kernel clears the id when the thread ends; glibc sets it to -1 once it has been joined. */
static uint64_t
read_tid(uint64_t thread)
{
	int32_t tid = 0;
	long result;

	if (tid_offset == 0)
		return 0;
	result = read_memory(thread + tid_offset, &tid, sizeof(tid));
	if (result == (long)sizeof(tid))
		return tid > 0 ? (uint64_t)tid : VMT_THREAD_OVER;
	return result == -EFAULT ? VMT_THREAD_OVER : 0;
}

static void
write_thread(const pthread_t *variable, const struct stack_request *stack, const void *frame)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_THREAD,
	    .length = stack->bytes,
	    .argument_a = descriptor_bytes,
	    .flags = stack->callers ? VMT_THREAD_CALLERS_STACK : 0,
	};

	if (!vmt_guard_enter())
		return;
	vmt_hooks_load_settle();
	if (read_thread(variable, &event.address)) {
		if (stack->expected)
			vmt_stack_floors_tell(event.address, stack->bytes);
		event.argument_b = read_tid(event.address);
		event.stack = vmt_capture_stack(frame);
		event.time = vmt_emit_time_after();
		vmt_emit_map(&event);
	}
	vmt_guard_leave();
}

static void
begin_thread(struct stack_request *stack, const pthread_attr_t *attributes, const void *frame)
{
	int saved_errno = errno;

	if (!vmt_guard_enter())
		return;
	if (attributes)
		read_attributes(stack, attributes);
	else
		read_defaults(stack);
	stack->begun = !stack->callers;
	if (stack->begun)
		vmt_long_call_begin_thread(stack->bytes, vmt_capture_stack(frame));
	vmt_guard_leave();
	errno = saved_errno;
}

static void
end_thread(const pthread_t *thread, const struct stack_request *stack, bool created,
	   const void *frame)
{
	int saved_errno = errno;

	if (!created && stack->expected)
		vmt_stack_floors_expect_no_more();
	if (created)
		write_thread(thread, stack, frame);
	else if (stack->begun && vmt_guard_enter()) {
		vmt_long_call_end(VMT_EVENT_THREAD, 0);
		vmt_guard_leave();
	}
	errno = saved_errno;
}

VMT_EXPORT int
pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
	       void *argument)
{
	const struct vmt_real *real = vmt_real();
	struct stack_request stack = {0};
	int error;

	if (!real->pthread_create)
		return ENOSYS;
	vmt_real_begin();
	begin_thread(&stack, attributes, __builtin_frame_address(0));
	error = real->pthread_create(thread, attributes, function, argument);
	if (vmt_retreat_from_thread(stack.bytes, error))
		error = real->pthread_create(thread, attributes, function, argument);
	end_thread(thread, &stack, error == 0, __builtin_frame_address(0));
	return error;
}

/* C11's threads are the same ones, made within libc. It has one result for any shortage. */
VMT_EXPORT int
thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	const struct vmt_real *real = vmt_real();
	struct stack_request stack = {0};
	int result;

	if (!real->thrd_create)
		return thrd_error;
	vmt_real_begin();
	begin_thread(&stack, NULL, __builtin_frame_address(0));
	result = real->thrd_create(thread, function, argument);
	if (result != thrd_success && vmt_retreat_from_thread(stack.bytes, EAGAIN))
		result = real->thrd_create(thread, function, argument);
	end_thread(thread, &stack, result == thrd_success, __builtin_frame_address(0));
	return result;
}

VMT_FORK_CODE void
vmt_hooks_process_give_back(void)
{
	if (vmt_thread_has_state())
		vmt_thread_mine()->no_syscalls = 0;
}

static void
write_name(uint64_t address, uint64_t length, long result, const void *frame)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_NAME,
	    .address = address,
	    .length = length,
	    .error = result < 0 ? (int16_t)-result : 0,
	};

	if (!vmt_guard_enter())
		return;
	event.stack = vmt_capture_stack(frame);
	event.time = vmt_emit_time_after();
	vmt_emit_map(&event);
	vmt_guard_leave();
}

VMT_FORK_CODE static long
call_prctl(int option, const unsigned long *words)
{
	struct vmt_filter seccomp = {.strict = words[0] == SECCOMP_MODE_STRICT};
	long result;

	if (option == PR_SET_TSC)
		vmt_filter_clock(words[0]);
	if (option == PR_SET_SECCOMP)
		vmt_filter_begin(&seccomp);
	result = vmt_sys_call6(SYS_prctl, option, (long)words[0], (long)words[1], (long)words[2],
			       (long)words[3], 0);
	if (option == PR_SET_SECCOMP)
		vmt_filter_end(&seccomp, result);
	return result;
}

/* As libc: five words to the kernel, whatever the option. */
VMT_EXPORT VMT_FORK_CODE int
prctl(int option, ...)
{
	unsigned long words[4];
	int saved_errno = errno;
	long result;
	va_list rest;

	va_start(rest, option);
	for (int index = 0; index < 4; index++)
		words[index] = va_arg(rest, unsigned long);
	va_end(rest);
	result = call_prctl(option, words);
	if (option == PR_SET_VMA && words[0] == PR_SET_VMA_ANON_NAME)
		write_name(words[1], words[2], result, __builtin_frame_address(0));
	errno = result < 0 ? (int)-result : saved_errno;
	return result < 0 ? -1 : (int)result;
}

/* Whether this is not the process that the fork hooks saw, but runs on its memory. */
static bool
is_on_parents_memory(void)
{
	uint32_t seen = vmt_guard_owner->seen_pid;

	return seen != 0 && vmt_guard_syscalls_allowed() && vmt_sys_call0(SYS_getpid) != (long)seen;
}

/* A mapped file holds the mount that it was opened in. So a fork child opens its trace where its
 * program lies, before it enters a mount namespace that is to go when it leaves it again. */
void
vmt_hooks_process_change_mounts(uint64_t kinds)
{
	int saved_errno = errno;

	if ((kinds & CLONE_NEWNS) && vmt_guard_is_unopened() && !is_on_parents_memory() &&
	    vmt_guard_enter())
		vmt_guard_leave();
	errno = saved_errno;
}

VMT_EXPORT int
unshare(int kinds)
{
	vmt_hooks_process_change_mounts((uint64_t)(unsigned)kinds);
	return vmt_real()->unshare(kinds);
}

/* Without a kind it is what the descriptor says. */
VMT_EXPORT int
setns(int fd, int kinds)
{
	vmt_hooks_process_change_mounts(kinds ? (uint64_t)(unsigned)kinds : CLONE_NEWNS);
	return vmt_real()->setns(fd, kinds);
}

VMT_EXPORT VMT_FORK_CODE void
exit(int status)
{
	int saved_errno = errno;

	if (vmt_guard_enter()) {
		vmt_hooks_load_settle();
		vmt_guard_leave();
	}
	vmt_finish(status, VMT_EXIT_EXIT);
	errno = saved_errno;
	vmt_real()->exit(status);
	__builtin_unreachable();
}

/* What libc's _exit does. */
static void __attribute__((cold, noreturn)) leave_now(int status)
{
	vmt_hooks_process_give_back();
	for (;;)
		vmt_sys_call1(SYS_exit_group, status);
}

VMT_EXPORT VMT_FORK_CODE void
_exit(int status)
{
	vmt_finish(status, VMT_EXIT_UNDERSCORE);
	leave_now(status);
}

VMT_EXPORT VMT_FORK_CODE void
_Exit(int status)
{
	vmt_finish(status, VMT_EXIT_UNDERSCORE);
	leave_now(status);
}

VMT_EXPORT void
quick_exit(int status)
{
	vmt_finish(status, VMT_EXIT_QUICK);
	vmt_real()->quick_exit(status);
	__builtin_unreachable();
}
