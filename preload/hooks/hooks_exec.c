/*
 * hooks_exec.c: the exec family: this process image is about to end.
 *
 * EXEC is written before, MAP_UNDO after an exec that failed. In between the head says EXEC, so
 * that nobody takes the end of the program that follows for this image's, however soon that ends.
 * In between the thread is not inside a hook: a vfork child shares its parent's thread state and
 * never comes back to leave. execl and its kin take their list from the stack and go on to the
 * functions with an array, as in libc.
 */
#include "preload/hooks/hooks_process.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/stacks/capture.h"
#include "format/event.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>

int execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags);

/* Whether this is the recorded process itself. A fork child that has no trace yet gets none for the
 * sake of its exec. Where no system call may be made that can't be told, and nothing is written. */
static bool
is_owner(void)
{
	return vmt_guard_syscalls_allowed() &&
	       vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING &&
	       vmt_guard_owner->pid == (uint32_t)vmt_sys_call0(SYS_getpid);
}

/* Several threads may try: the head says EXEC for as long as one of them does. */
static void
say_exec(void)
{
	uint32_t running = VMT_END_RUNNING;

	vmt_atomic_add_relaxed(&vmt_recording.execs, 1);
	(void)vmt_atomic_cas(&vmt_recording.head->end, &running, VMT_END_EXEC);
}

static void
take_back_exec(void)
{
	uint32_t exec = VMT_END_EXEC;
	bool last = vmt_atomic_add_relaxed(&vmt_recording.execs, UINT32_MAX) == 1;
	uint32_t outer;

	/* Meanwhile another thread may have given the recording up, and the head is gone. */
	if (!vmt_guard_hold(&outer))
		return;
	if (last)
		(void)vmt_atomic_cas(&vmt_recording.head->end, &exec, VMT_END_RUNNING);
	vmt_guard_let_go(outer);
}

static void
write_event(struct vmt_map_event *event, const void *frame)
{
	event->stack = vmt_capture_stack(frame);
	event->time = vmt_emit_time_after();
	vmt_emit_map(event);
}

struct vmt_hooks_exec
vmt_hooks_process_begin_exec(const struct vmt_static_exec *what, const void *frame)
{
	struct vmt_map_event event = {.kind = VMT_EVENT_EXEC};
	struct vmt_hooks_exec exec = {.no_syscalls = vmt_thread_mine()->no_syscalls};
	int saved_errno = errno;

	if (is_owner() && vmt_guard_enter()) {
		if (vmt_guard_syscalls_allowed())
			event.length = vmt_sys_peak_rss_bytes();
		write_event(&event, frame);
		say_exec();
		vmt_guard_leave();
		exec.written = true;
	}
	exec.seized = vmt_static_exec_announce(what);
	vmt_hooks_process_give_back();
	errno = saved_errno;
	return exec;
}

void
vmt_hooks_process_end_exec(const struct vmt_hooks_exec *exec, int error, const void *frame)
{
	struct vmt_map_event event = {.kind = VMT_EVENT_MAP_UNDO, .error = (int16_t)error};
	int saved_errno = errno;

	vmt_static_exec_failed(exec->seized);
	vmt_thread_mine()->no_syscalls = exec->no_syscalls;
	if (exec->written)
		take_back_exec();
	if (exec->written && vmt_guard_enter()) {
		write_event(&event, frame);
		vmt_guard_leave();
	}
	errno = saved_errno;
}

/* What every exec function below ends with: it returns only when the exec has failed. */
static int
has_returned(struct vmt_hooks_exec exec, int result, const void *frame)
{
	vmt_hooks_process_end_exec(&exec, errno, frame);
	return result;
}

VMT_EXPORT int
execve(const char *path, char *const argv[], char *const envp[])
{
	const struct vmt_static_exec what = {AT_FDCWD, path, false};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execve(path, argv, envp), frame);
}

VMT_EXPORT int
execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags)
{
	const struct vmt_static_exec what = {directory, path, false};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);
	long result =
	    vmt_sys_call6(SYS_execveat, directory, (long)path, (long)argv, (long)envp, flags, 0);

	errno = (int)-result;
	return has_returned(exec, -1, frame);
}

VMT_EXPORT int
fexecve(int fd, char *const argv[], char *const envp[])
{
	const struct vmt_static_exec what = {fd, NULL, false};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->fexecve(fd, argv, envp), frame);
}

VMT_EXPORT int
execv(const char *path, char *const argv[])
{
	const struct vmt_static_exec what = {AT_FDCWD, path, false};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execv(path, argv), frame);
}

VMT_EXPORT int
execvp(const char *file, char *const argv[])
{
	const struct vmt_static_exec what = {AT_FDCWD, file, true};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execvp(file, argv), frame);
}

VMT_EXPORT int
execvpe(const char *file, char *const argv[], char *const envp[])
{
	const struct vmt_static_exec what = {AT_FDCWD, file, true};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execvpe(file, argv, envp), frame);
}

/* Arguments of a list after the first, with their NULL; INT_MAX: too many. */
static int
count_list(const char *first, va_list *rest)
{
	int count = 1;

	while (first && count < INT_MAX) {
		first = va_arg(*rest, const char *);
		count++;
	}
	return count;
}

static void
copy_list(char **argv, const char *first, va_list *rest)
{
	*argv = (char *)(uintptr_t)first;
	while (*argv)
		*++argv = va_arg(*rest, char *);
}

/* The list as an array on the hook's own stack, as in libc: the memory that a vfork child's exec
 * leaves behind must not be its parent's to free. A list is bounded by what the caller could push,
 * which it has on the same stack already. */
#define COLLECT_LIST(argv, last)                                                                   \
	do {                                                                                       \
		va_list list;                                                                      \
		int count;                                                                         \
                                                                                                   \
		va_start(list, last);                                                              \
		count = count_list(last, &list);                                                   \
		va_end(list);                                                                      \
		if (count == INT_MAX) {                                                            \
			errno = E2BIG;                                                             \
			return -1;                                                                 \
		}                                                                                  \
		(argv) = __builtin_alloca((size_t)count * sizeof(char *));                         \
		va_start(list, last);                                                              \
		copy_list((argv), last, &list);                                                    \
		va_end(list);                                                                      \
	} while (0)

VMT_EXPORT int
execl(const char *path, const char *first, ...)
{
	const struct vmt_static_exec what = {AT_FDCWD, path, false};
	const void *frame = __builtin_frame_address(0);
	char **argv;
	struct vmt_hooks_exec exec;

	COLLECT_LIST(argv, first);
	exec = vmt_hooks_process_begin_exec(&what, frame);
	return has_returned(exec, vmt_real()->execv(path, argv), frame);
}

VMT_EXPORT int
execlp(const char *file, const char *first, ...)
{
	const struct vmt_static_exec what = {AT_FDCWD, file, true};
	const void *frame = __builtin_frame_address(0);
	char **argv;
	struct vmt_hooks_exec exec;

	COLLECT_LIST(argv, first);
	exec = vmt_hooks_process_begin_exec(&what, frame);
	return has_returned(exec, vmt_real()->execvp(file, argv), frame);
}

VMT_EXPORT int
execle(const char *path, const char *first, ...)
{
	const struct vmt_static_exec what = {AT_FDCWD, path, false};
	const void *frame = __builtin_frame_address(0);
	char *const *envp;
	char **argv;
	struct vmt_hooks_exec exec;
	va_list rest;

	COLLECT_LIST(argv, first);
	va_start(rest, first);
	(void)count_list(first, &rest);
	envp = va_arg(rest, char *const *);
	va_end(rest);
	exec = vmt_hooks_process_begin_exec(&what, frame);
	return has_returned(exec, vmt_real()->execve(path, argv, envp), frame);
}
