#include "inject/stopped_threads.h"

#include "base/listing.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "inject/interrupted_call.h"
#include "inject/tracee.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define ENTRIES_BYTES 8192u

static struct vmt_stopped_thread *
find(const struct vmt_stopped_threads *threads, pid_t tid)
{
	struct vmt_stopped_thread *list = vmt_stopped_threads_list(threads);

	for (uint32_t i = 0; i < threads->count; i++)
		if (list[i].tid == tid && list[i].state != VMT_STOPPED_THREADS_GONE)
			return &list[i];
	return NULL;
}

static int
add(struct vmt_stopped_threads *threads, pid_t tid)
{
	size_t bytes = (threads->count + (size_t)1) * sizeof(struct vmt_stopped_thread);

	if (!vmt_buffer_reserve(&threads->list, bytes))
		return -ENOMEM;
	vmt_stopped_threads_list(threads)[threads->count++] =
	    (struct vmt_stopped_thread){.tid = tid};
	return 0;
}

/* Path of what /proc shows of one thread. */
static int
open_of_thread(pid_t pid, pid_t tid, const char *name)
{
	char path[48];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, "task/");
	vmt_text_put_decimal(&out, (uint64_t)tid);
	vmt_text_put(&out, "/");
	vmt_text_put(&out, name);
	return vmt_procfs_open((uint32_t)pid, path);
}

static bool
has_ended(pid_t pid, pid_t tid)
{
	struct vmt_procfs_stat stat = {.state = 'X'};
	int fd = open_of_thread(pid, tid, "stat");
	bool read;

	if (fd < 0)
		return fd == -ENOENT || fd == -ESRCH;
	read = vmt_procfs_read_stat(fd, &stat);
	vmt_sys_close(fd);
	return !read || stat.state == 'Z' || stat.state == 'X';
}

/* Whether the thread is one that this thread traces already: it was made by one that it traces. */
static bool
is_ours(pid_t tid)
{
	siginfo_t unused;

	/* WNOWAIT: it can be waited for again. */
	return vmt_sys_call6(SYS_waitid, P_PID, tid, (long)&unused,
			     WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL, 0, 0) == 0;
}

/* Seizes one that is not known yet. 1: it is one more; 0: it is none. */
static int
seize(struct vmt_stopped_threads *threads, pid_t tid, uint32_t options)
{
	int result;

	if (find(threads, tid))
		return 0;
	result = (int)vmt_tracee_ask(VMT_PTRACE_SEIZE, tid, 0,
				     options | VMT_PTRACE_O_CLONE | VMT_PTRACE_O_SYSGOOD);
	if (result == 0) /* one that ends instead says so when it is waited for */
		(void)vmt_tracee_ask(VMT_PTRACE_INTERRUPT, tid, 0, 0);
	if (result == -EPERM && is_ours(tid))
		result = 0;
	if (result == -ESRCH || (result == -EPERM && has_ended(threads->pid, tid)))
		return 0;
	if (result == 0)
		result = add(threads, tid);
	return result < 0 ? result : 1;
}

/* How many of a piece of the directory are new, or negative errno. */
static int
seize_entries(struct vmt_stopped_threads *threads, const char *bytes, long length, uint32_t options)
{
	struct vmt_listing listing = {.bytes = bytes, .length = (size_t)length};
	uint64_t tid;
	int added = 0;

	while (vmt_listing_next(&listing, &tid)) {
		int result = seize(threads, (pid_t)tid, options);

		if (result < 0)
			return result;
		added += result;
	}
	return added;
}

static int
seize_listed(struct vmt_stopped_threads *threads, uint32_t options)
{
	_Alignas(struct vmt_listing_entry) char bytes[ENTRIES_BYTES];
	int fd = vmt_procfs_open((uint32_t)threads->pid, "task");
	int added = 0;
	long got = 0;

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	while (added >= 0 && (got = vmt_sys_call3(SYS_getdents64, fd, bytes, sizeof(bytes))) > 0) {
		int more = seize_entries(threads, bytes, got, options);

		added = more < 0 ? more : added + more;
	}
	vmt_sys_close(fd);
	return got < 0 && got != -ENOENT ? (int)got : added;
}

/* What a thread has made is traced from its birth. Not a thread of the process's: it is let go with
 * the others. */
static int
take_born(struct vmt_stopped_threads *threads, pid_t parent)
{
	uint64_t tid = 0;
	int result = (int)vmt_tracee_ask(VMT_PTRACE_GETEVENTMSG, parent, 0, (uintptr_t)&tid);
	int fd;

	if (result < 0 || find(threads, (pid_t)tid))
		return 0;
	result = add(threads, (pid_t)tid);
	if (result < 0)
		return result;
	fd = open_of_thread(threads->pid, (pid_t)tid, "stat");
	vmt_stopped_threads_list(threads)[threads->count - 1].is_other = fd < 0;
	if (fd >= 0)
		vmt_sys_close(fd);
	return 0;
}

static void
take_stop(struct vmt_stopped_threads *threads, struct vmt_stopped_thread *thread, int status)
{
	int event = vmt_tracee_event(status);

	if (!WIFSTOPPED(status)) {
		thread->state = VMT_STOPPED_THREADS_GONE;
		return;
	}
	thread->state = event ? VMT_STOPPED_THREADS_STAND : VMT_STOPPED_THREADS_SIGNALLED;
	thread->signal = event ? 0 : (uint8_t)WSTOPSIG(status);
	/* At worst the call ends with EINTR. */
	(void)vmt_interrupted_call_repair(threads->pid, thread->tid, thread->signal);
}

/* Waits for the index-th until it stands. The list may grow, and move, meanwhile. */
static int
await(struct vmt_stopped_threads *threads, uint32_t index, uint64_t deadline_ns)
{
	while (vmt_stopped_threads_list(threads)[index].state == VMT_STOPPED_THREADS_RUNNING) {
		pid_t tid = vmt_stopped_threads_list(threads)[index].tid;
		int status = 0;
		int result = vmt_tracee_wait(tid, deadline_ns, &status);

		if (result == -ECHILD) { /* an exec took its number away */
			vmt_stopped_threads_list(threads)[index].state = VMT_STOPPED_THREADS_GONE;
			return 0;
		}
		if (result < 0)
			return result;
		if (!WIFSTOPPED(status) || vmt_tracee_event(status) != VMT_PTRACE_EVENT_CLONE) {
			take_stop(threads, &vmt_stopped_threads_list(threads)[index], status);
			continue;
		}
		result = take_born(threads, tid);
		/* This stop has taken the place of the one that it was told to come to. */
		if (result == 0)
			result = (int)vmt_tracee_ask(VMT_PTRACE_INTERRUPT, tid, 0, 0);
		if (result == 0)
			result = (int)vmt_tracee_ask(VMT_PTRACE_CONT, tid, 0, 0);
		if (result < 0 && result != -ESRCH)
			return result;
	}
	return 0;
}

static int
stop(struct vmt_stopped_threads *threads, uint32_t options, uint64_t deadline_ns)
{
	uint32_t awaited = 0;
	int added;

	do {
		added = seize_listed(threads, options);
		if (added < 0)
			return added;
		for (; awaited < threads->count; awaited++) {
			int result = await(threads, awaited, deadline_ns);

			if (result < 0)
				return result;
		}
		/* Each new one could have made others before it stood. */
	} while (added > 0 && vmt_sys_clock_ns(CLOCK_MONOTONIC) < deadline_ns);
	return added > 0 ? -ETIMEDOUT : 0;
}

static bool
has_any(const struct vmt_stopped_threads *threads)
{
	for (uint32_t i = 0; i < threads->count; i++)
		if (vmt_stopped_threads_list(threads)[i].state != VMT_STOPPED_THREADS_GONE)
			return true;
	return false;
}

int
vmt_stopped_threads_stop(struct vmt_stopped_threads *threads, pid_t pid, uint32_t options,
			 uint64_t deadline_ns)
{
	int result;

	threads->pid = pid;
	threads->count = 0;
	result = stop(threads, options, deadline_ns);
	if (result == 0 && !has_any(threads))
		result = -ESRCH;
	if (result < 0)
		(void)vmt_stopped_threads_let_go(threads);
	return result;
}

/* One that is still on its way to its stop can't be let go: it may have come to it by now. */
static void
let_go(struct vmt_stopped_threads *threads, struct vmt_stopped_thread *thread)
{
	int status = 0;

	if (thread->state == VMT_STOPPED_THREADS_RUNNING) {
		int result = vmt_tracee_wait(thread->tid, 0, &status);

		if (result == -ECHILD)
			thread->state = VMT_STOPPED_THREADS_GONE;
		if (result < 0)
			return;
		take_stop(threads, thread, status);
	}
	if (thread->state == VMT_STOPPED_THREADS_GONE)
		return;
	(void)vmt_tracee_ask(VMT_PTRACE_DETACH, thread->tid, 0, thread->signal);
	thread->state = VMT_STOPPED_THREADS_GONE;
}

uint32_t
vmt_stopped_threads_let_go(struct vmt_stopped_threads *threads)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < threads->count; i++) {
		let_go(threads, &vmt_stopped_threads_list(threads)[i]);
		left += vmt_stopped_threads_list(threads)[i].state != VMT_STOPPED_THREADS_GONE;
	}
	return left;
}

void
vmt_stopped_threads_close(struct vmt_stopped_threads *threads)
{
	vmt_buffer_free(&threads->list);
	*threads = (struct vmt_stopped_threads){0};
}
