#include "inject/static_children.h"

#include "base/atomic.h"
#include "base/buffer.h"
#include "base/exec_request.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "blob/blob_parameters.h"
#include "inject/interrupted_call.h"
#include "inject/session_member.h"
#include "inject/static_start.h"
#include "inject/target_memory.h"
#include "inject/tracee.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define LISTEN 0x4208 /* PTRACE_LISTEN */
#define LIBRARY "libvmtrace"
#define PREFIX "VMTRACE_"
#define SESSION_VARIABLE VMT_SESSION_ENV "="
#define SLEEP_NS UINT64_C(1000000000)
#define LOOK_NS UINT64_C(5000000)     /* for an exec that failed */
#define EXEC_NS UINT64_C(5000000000)  /* from the answer to the exec */
#define LET_GO_NS UINT64_C(100000000) /* who does not stop by then is looked at again and again */
#define ARGUMENTS_MAX_BYTES (UINT64_C(8) << 20)
#define STACK_WORDS 512u
#define SPARE_BYTES 16u /* more than in what strings are compared with */

/* -- the environment of a program that is about to start -----------------------------------------
 * */

struct environment {
	const struct vmt_target *target;
	uint64_t at; /* of the next pointer */
	uint64_t words[STACK_WORDS];
	uint32_t count;
	uint32_t next;
	char string[VMT_BLOB_SETTINGS_BYTES + SPARE_BYTES];
	char settings[VMT_BLOB_SETTINGS_BYTES];
	size_t settings_bytes;
	bool has_library;
	bool has_session;
};

/* As much as can be read: the stack ends somewhere. */
static size_t
read_some(const struct vmt_target *target, uint64_t address, void *to, size_t bytes)
{
	size_t got = 0;

	for (size_t part = 4096; got < bytes; got += part) {
		size_t left = 4096 - (address + got) % 4096;

		part = left < bytes - got ? left : bytes - got;
		if (vmt_target_read(target, address + got, (char *)to + got, part) < 0)
			break;
	}
	return got;
}

static bool
next_word(struct environment *environment, uint64_t *word)
{
	if (environment->next == environment->count) {
		environment->count =
		    (uint32_t)(read_some(environment->target, environment->at, environment->words,
					 sizeof(environment->words)) /
			       sizeof(uint64_t));
		environment->at += environment->count * sizeof(uint64_t);
		environment->next = 0;
	}
	if (environment->count == 0)
		return false;
	*word = environment->words[environment->next++];
	return true;
}

static bool
begins_with(const char *string, const char *prefix)
{
	return memcmp(string, prefix, vmt_text_string_bytes(prefix)) == 0;
}

static bool
contains(const char *string, const char *words)
{
	size_t length = vmt_text_string_bytes(words);

	for (; *string; string++)
		if (memcmp(string, words, length) == 0)
			return true;
	return false;
}

/* What is too long for all settings is none. */
static void
take_variable(struct environment *environment, uint64_t address)
{
	char *string = environment->string;
	size_t got = read_some(environment->target, address, string,
			       sizeof(environment->string) - SPARE_BYTES);
	const char *end = vmt_text_find_byte(string, got, '\0');
	size_t bytes;

	if (!end)
		return;
	/* What is compared with lies in the buffer, whatever the string's length. */
	bytes = (size_t)(end - string) + 1;
	memset(string + bytes, 0, SPARE_BYTES);
	if (begins_with(string, "LD_PRELOAD="))
		environment->has_library = contains(string, LIBRARY);
	if (begins_with(string, SESSION_VARIABLE))
		environment->has_session = true;
	if (!begins_with(string, PREFIX) ||
	    bytes >= sizeof(environment->settings) - environment->settings_bytes)
		return;
	memcpy(environment->settings + environment->settings_bytes, string, bytes);
	environment->settings_bytes += bytes;
}

/* At the stop of an exec the stack pointer points to the number of arguments; their addresses, a
 * NULL, those of the variables, and another NULL follow. False: it is not to be recorded. */
static bool
read_environment(struct environment *environment, uint64_t stack)
{
	uint64_t arguments;
	uint64_t word = 1;

	environment->at = stack;
	if (!next_word(environment, &arguments) || arguments > ARGUMENTS_MAX_BYTES / 8)
		return false;
	for (uint64_t i = 0; i <= arguments; i++)
		if (!next_word(environment, &word))
			return false;
	for (uint64_t i = 0; i < ARGUMENTS_MAX_BYTES / 8; i++) {
		if (!next_word(environment, &word) || word == 0)
			break;
		take_variable(environment, word);
	}
	return environment->has_library;
}

static void
end_settings(struct environment *environment, const char *session_path)
{
	size_t room = sizeof(environment->settings) - environment->settings_bytes - 1;
	char *end = environment->settings + environment->settings_bytes;
	struct vmt_text_out out = vmt_text_out_begin(end, room);

	if (session_path && !environment->has_session) {
		vmt_text_put(&out, SESSION_VARIABLE);
		vmt_text_put(&out, session_path);
	}
	if (out.at != end && !out.overflow)
		environment->settings_bytes += (size_t)(out.at - end) + 1;
	environment->settings[environment->settings_bytes++] = '\0';
}

/* -- one of them ---------------------------------------------------------------------------------
 * */

/* True: it stands at its exec, and its environment says that it is to be recorded. */
static bool
is_wanted(struct environment *environment, pid_t pid)
{
	struct vmt_target target;
	struct vmt_registers registers;
	bool wanted = false;

	if (vmt_target_open(&target, pid) < 0)
		return false;
	environment->target = &target;
	if (vmt_tracee_read_registers(pid, &registers) == 0)
		wanted = read_environment(environment, registers.user.rsp);
	environment->target = NULL;
	vmt_target_close(&target);
	return wanted;
}

static void
complain(struct vmt_static_children *children, pid_t pid, const char *why)
{
	vmt_exec_request_note_missed(children->session, (uint32_t)pid);
	children->complain(children->context, (uint32_t)pid, why);
}

static void
start(struct vmt_static_children *children, pid_t pid)
{
	static struct environment environment; /* large */
	struct vmt_static_start start = {.pid = pid,
					 .blob = children->blob,
					 .blob_bytes = children->blob_bytes,
					 .settings = environment.settings,
					 .cache = &children->cache};

	environment = (struct environment){.target = NULL};
	if (is_wanted(&environment, pid)) {
		end_settings(&environment, children->session_path);
		start.settings_bytes = environment.settings_bytes;
		if (!vmt_static_start_run(&start) && start.why[0] != '\0')
			complain(children, pid, start.why);
	}
	(void)vmt_tracee_ask(VMT_PTRACE_DETACH, pid, 0, (uint64_t)start.signal);
}

/* From a stop that is not the exec's back to what it did. */
static void
pass_on(pid_t pid, int status)
{
	bool is_group_stop =
	    vmt_tracee_event(status) == VMT_PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP;
	uint64_t signal = vmt_tracee_event(status) == 0 ? (uint64_t)WSTOPSIG(status) : 0;

	(void)vmt_tracee_ask(is_group_stop ? LISTEN : VMT_PTRACE_CONT, pid, 0, signal);
}

/* The host waits for it: its end is not ours to take. */
static bool
is_child(pid_t pid)
{
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open((uint32_t)pid, "stat");
	bool is_read = fd >= 0 && vmt_procfs_read_stat(fd, &stat);

	if (fd >= 0)
		vmt_sys_close(fd);
	return is_read && stat.parent_pid == (uint64_t)vmt_sys_call0(SYS_getpid);
}

static void
leave_end(pid_t pid)
{
	vmt_tracee_leave_end(is_child(pid) ? pid : 0);
}

/* Also of a thread that executes meanwhile: it stops by its process's number then. */
static int
wait_for(struct vmt_static_executor *executor, uint64_t deadline_ns, int *status)
{
	int result = vmt_tracee_wait(executor->tid, deadline_ns, status);

	if (result != -ECHILD || executor->tid == executor->pid)
		return result;
	executor->tid = executor->pid;
	return vmt_tracee_wait(executor->tid, deadline_ns, status);
}

/* Of one that was told to stop. False: it has not done so by then. */
static bool
has_let_go(struct vmt_static_executor *executor, uint64_t deadline_ns)
{
	int status;
	int result = wait_for(executor, deadline_ns, &status);

	while (result == 0 && WIFSTOPPED(status)) {
		uint64_t signal = vmt_tracee_event(status) == 0 ? (uint64_t)WSTOPSIG(status) : 0;

		(void)vmt_interrupted_call_repair(executor->pid, executor->tid, (int)signal);
		if (vmt_tracee_ask(VMT_PTRACE_DETACH, executor->tid, 0, signal) == 0)
			return true;
		result = wait_for(executor, deadline_ns, &status);
	}
	return result != -ETIMEDOUT;
}

/* Stops it and lets it go. It may be executing meanwhile: that is no matter. Room for one was there
 * when it was seized. */
static void
let_go(struct vmt_static_children *children, struct vmt_static_executor executor)
{
	(void)vmt_tracee_ask(VMT_PTRACE_INTERRUPT, executor.tid, 0, 0);
	if (!has_let_go(&executor, vmt_sys_clock_ns(CLOCK_MONOTONIC) + LET_GO_NS))
		children->held[children->held_count++] = executor;
}

/* It would stand for good otherwise, once it stops. */
static void
let_held_go(struct vmt_static_children *children)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < children->held_count; i++) {
		struct vmt_static_executor executor = children->held[i];

		leave_end(executor.pid);
		if (!has_let_go(&executor, 0))
			children->held[kept++] = executor;
	}
	children->held_count = kept;
}

/* Whether its exec has failed, or lasts for too long. */
static bool
is_over(struct vmt_static_children *children, const struct vmt_session_slot *slot,
	uint64_t until_ns)
{
	if (vmt_exec_request_has_failed(slot))
		return true;
	if (vmt_sys_clock_ns(CLOCK_MONOTONIC) < until_ns)
		return false;
	vmt_exec_request_count_missed(children->session, vmt_atomic_load_relaxed(&slot->pid));
	return true;
}

/* From who makes a child to that child, which is traced from its birth on. */
static void
turn_to_child(struct vmt_static_executor *executor)
{
	uint64_t child = 0;
	int error =
	    (int)vmt_tracee_ask(VMT_PTRACE_GETEVENTMSG, executor->tid, 0, (uintptr_t)&child);

	(void)vmt_tracee_ask(VMT_PTRACE_DETACH, executor->tid, 0, 0);
	if (error == 0)
		executor->pid = executor->tid = (pid_t)child;
	leave_end(executor->pid);
}

/* False: there is nothing more to wait for. */
static bool
take_stop(struct vmt_static_children *children, struct vmt_static_executor *executor, int status)
{
	if (!WIFSTOPPED(status))
		return false;
	switch (vmt_tracee_event(status)) {
	case VMT_PTRACE_EVENT_EXEC:
		start(children, executor->tid);
		return false;
	case VMT_PTRACE_EVENT_VFORK:
		turn_to_child(executor);
		return true;
	default:
		pass_on(executor->tid, status);
		return true;
	}
}

/* False: there is nothing more to wait for. */
static bool
wait_for_stop(struct vmt_static_children *children, struct vmt_static_executor *executor)
{
	int status;
	int result = wait_for(executor, vmt_sys_clock_ns(CLOCK_MONOTONIC) + LOOK_NS, &status);

	if (result == 0)
		return take_stop(children, executor, status);
	return result == -ETIMEDOUT;
}

static void
attend(struct vmt_static_children *children, const struct vmt_session_slot *slot,
       struct vmt_static_executor executor)
{
	uint64_t until_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + EXEC_NS;

	while (!is_over(children, slot, until_ns)) {
		if (!wait_for_stop(children, &executor))
			return;
		if (children->held_count != 0) {
			let_held_go(children);
			leave_end(executor.pid);
		}
	}
	let_go(children, executor);
}

/* What a slot says may be a hostile process's word for another. */
static long
seize(const struct vmt_static_children *children, const struct vmt_session_slot *slot, pid_t tid)
{
	uint32_t options = vmt_atomic_load_relaxed(&slot->exec.spawns) != 0
			       ? VMT_PTRACE_O_EXEC | VMT_PTRACE_O_VFORK
			       : VMT_PTRACE_O_EXEC;

	if (children->held_count == VMT_STATIC_CHILDREN_HELD)
		return -EAGAIN;
	if (tid <= 0 || !vmt_session_member_is(children->session, tid))
		return -EACCES;
	return vmt_tracee_ask(VMT_PTRACE_SEIZE, tid, 0, options);
}

/* Of a thread that has gone nobody takes the answer. */
static void
refuse(struct vmt_session_slot *slot, pid_t pid, long error)
{
	enum vmt_session_state answer =
	    error == -EPERM ? VMT_SESSION_EXEC_BARRED : VMT_SESSION_EXEC_REFUSED;

	if (!vmt_exec_request_answer(slot, answer) || error != -ESRCH)
		return;
	vmt_exec_request_free(slot, (uint32_t)pid);
}

static void
serve_one(struct vmt_static_children *children, struct vmt_session_slot *slot)
{
	struct vmt_static_executor executor = {
	    .pid = (pid_t)vmt_atomic_load_relaxed(&slot->pid),
	    .tid = (pid_t)vmt_atomic_load_relaxed(&slot->exec.thread)};
	pid_t pid = executor.pid;
	long error = seize(children, slot, executor.tid);

	if (error < 0) {
		refuse(slot, pid, error);
		return;
	}
	leave_end(pid);
	if (!vmt_exec_request_answer(slot, VMT_SESSION_EXEC_SEIZED)) {
		let_go(children, executor);
		return;
	}
	attend(children, slot, executor);
	vmt_exec_request_free(slot, (uint32_t)pid);
}

/* Who is held has yet to be let go. */
static bool
is_idle(const struct vmt_static_children *children, uint64_t served_ns)
{
	if (children->idle_ns == 0 || children->held_count != 0)
		return false;
	return !vmt_exec_request_is_served(children->session) ||
	       vmt_sys_clock_ns(CLOCK_MONOTONIC) - served_ns >= children->idle_ns;
}

void
vmt_static_children_serve(struct vmt_static_children *children)
{
	struct vmt_session *session = children->session;
	uint64_t served_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);

	while (!vmt_atomic_load_acquire(&children->stop) && !is_idle(children, served_ns)) {
		uint32_t seen = vmt_atomic_load_acquire(&session->exec_wake);
		struct vmt_session_slot *slot = vmt_exec_request_next(session);

		let_held_go(children);
		if (slot) {
			serve_one(children, slot);
			served_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
		} else {
			vmt_exec_request_await(session, seen,
					       children->held_count != 0 ? LOOK_NS : SLEEP_NS);
		}
	}
	vmt_cut_cache_close(&children->cache);
}
