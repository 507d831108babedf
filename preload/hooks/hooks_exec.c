/*
 * hooks_exec.c: the exec family: this process image is about to end.
 *
 * What is written and said of it is that of capture/entry/exec_call.h. In between the thread is not
 * inside a hook: a vfork child shares its parent's thread state and never comes back to leave.
 * execl and its kin take their list from the stack and go on to the functions with an array, as in
 * libc.
 */
#include "preload/hooks/hooks_process.h"

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/entry/route.h"
#include "preload/libc/real.h"
#include "preload/trace/search_path.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>

int execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags);

struct vmt_hooks_exec
vmt_hooks_process_begin_exec(const struct vmt_static_exec *what, const void *frame)
{
	const struct vmt_route_caller caller = {.frame = frame};
	struct vmt_hooks_exec exec = {.no_syscalls = vmt_thread_mine()->no_syscalls};
	int saved_errno = errno;

	exec.call = vmt_exec_call_begin(what, &caller);
	vmt_hooks_process_give_back();
	errno = saved_errno;
	return exec;
}

void
vmt_hooks_process_end_exec(const struct vmt_hooks_exec *exec, int error, const void *frame)
{
	const struct vmt_route_caller caller = {.frame = frame};
	int saved_errno = errno;

	vmt_thread_mine()->no_syscalls = exec->no_syscalls;
	vmt_exec_call_end(&exec->call, error, &caller);
	errno = saved_errno;
}

/* What the exec functions below end with: they return only when the exec has failed. */
static int
has_returned(struct vmt_hooks_exec exec, int result, const void *frame)
{
	vmt_hooks_process_end_exec(&exec, errno, frame);
	return result;
}

VMT_EXPORT int
execve(const char *path, char *const argv[], char *const envp[])
{
	const struct vmt_static_exec what = {.directory = AT_FDCWD, .path = path};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execve(path, argv, envp), frame);
}

VMT_EXPORT int
execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags)
{
	const struct vmt_static_exec what = {.directory = directory, .path = path};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);
	long result =
	    vmt_sys_call6(SYS_execveat, directory, (long)path, (long)argv, (long)envp, flags, 0);

	vmt_hooks_process_end_exec(&exec, (int)-result, frame);
	if (result == 0) /* AT_EXECVE_CHECK: it was asked alone */
		return 0;
	errno = (int)-result;
	return -1;
}

VMT_EXPORT int
fexecve(int fd, char *const argv[], char *const envp[])
{
	const struct vmt_static_exec what = {.directory = fd};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->fexecve(fd, argv, envp), frame);
}

VMT_EXPORT int
execv(const char *path, char *const argv[])
{
	const struct vmt_static_exec what = {.directory = AT_FDCWD, .path = path};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execv(path, argv), frame);
}

VMT_EXPORT int
execvp(const char *file, char *const argv[])
{
	const struct vmt_static_exec what = {
	    .directory = AT_FDCWD, .path = file, .search = vmt_search_path_find};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execvp(file, argv), frame);
}

VMT_EXPORT int
execvpe(const char *file, char *const argv[], char *const envp[])
{
	const struct vmt_static_exec what = {
	    .directory = AT_FDCWD, .path = file, .search = vmt_search_path_find};
	const void *frame = __builtin_frame_address(0);
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, frame);

	return has_returned(exec, vmt_real()->execvpe(file, argv, envp), frame);
}

/* The child is made within libc, and shares this process's memory until it executes: who records a
 * program that loads no library is asked for before. */
static struct vmt_session_slot *
announce_spawn(const char *path, bool is_searched)
{
	const struct vmt_static_exec what = {.directory = AT_FDCWD,
					     .path = path,
					     .search = is_searched ? vmt_search_path_find : NULL,
					     .spawns = true};
	int saved_errno = errno;
	struct vmt_session_slot *slot = path ? vmt_static_exec_announce(&what) : NULL;

	errno = saved_errno;
	return slot;
}

static int
has_spawned(struct vmt_session_slot *slot, int error)
{
	int saved_errno = errno;

	if (error != 0)
		vmt_static_exec_failed(slot);
	errno = saved_errno;
	return error;
}

VMT_EXPORT int
posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
	    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	struct vmt_session_slot *slot = announce_spawn(path, false);

	return has_spawned(slot,
			   vmt_real()->posix_spawn(pid, path, actions, attributes, argv, envp));
}

VMT_EXPORT int
posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
	     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	struct vmt_session_slot *slot = announce_spawn(file, true);

	return has_spawned(slot,
			   vmt_real()->posix_spawnp(pid, file, actions, attributes, argv, envp));
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
	const struct vmt_static_exec what = {.directory = AT_FDCWD, .path = path};
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
	const struct vmt_static_exec what = {
	    .directory = AT_FDCWD, .path = file, .search = vmt_search_path_find};
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
	const struct vmt_static_exec what = {.directory = AT_FDCWD, .path = path};
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
