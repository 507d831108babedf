/* inject.c: see inject.h. */
#include "tests/e2e/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TASKS_MAX 256
#define SITES_MAX 1024
#define PROGRAM_LIMIT_MS 60000
#define SYSCALL_BYTES 2

struct task {
	pid_t pid; /* 0: a free entry */
	bool announced;
	bool held; /* stopped before its parent's event told what it is */
	bool collector;
	bool spawning; /* inside the clone that makes the collector */
	int error;     /* that the present call is to return; 0: its own result */
	uint64_t library_start;
	uint64_t library_text;
	uint64_t library_end;
};

/* An instruction of the library that makes system calls. */
struct site {
	uint64_t offset;
	bool passes_on; /* in a file that makes the program's own calls */
	char where[256];
};

struct tracer {
	const struct injection *injection;
	struct injected *injected;
	pid_t program;
	struct task tasks[TASKS_MAX];
};

static struct site sites[SITES_MAX];
static size_t site_count;

static void
resolve(struct site *site)
{
	static struct conversation talk;
	static const char *const files[] = {
	    "capture/record/mapping.c",	     "capture/record/raw_call.c",
	    "capture/record/madvise.c",	     "preload/hooks/hooks_map.c",
	    "preload/hooks/hooks_process.c", "preload/hooks/hooks_exec.c",
	    "preload/hooks/hooks_syscall.c", "capture/entry/raw_entry.c",
	    "capture/record/segments.c",     "capture/record/around_own.c"};

	if (talk.pid == 0)
		converse_start(&talk,
			       (const char *const[]){"addr2line", "-a", "-i", "-e",
						     built("libvmtrace.so"), NULL},
			       NULL);
	dprintf(talk.to, "%#llx\n0\n", (unsigned long long)site->offset);
	converse_read_line(&talk);
	for (;;) {
		converse_read_line(&talk);
		if (strncmp(talk.line, "0x", 2) == 0)
			break;
		if (strstr(talk.line, "base/sys.h") == NULL && site->where[0] == '\0')
			snprintf(site->where, sizeof(site->where), "%.255s", talk.line);
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			site->passes_on |= strstr(talk.line, files[i]) != NULL;
	}
	converse_read_line(&talk);
}

static const struct site *
find_site_at(uint64_t offset)
{
	for (size_t i = 0; i < site_count; i++)
		if (sites[i].offset == offset)
			return &sites[i];
	assert_true(site_count < SITES_MAX);
	sites[site_count].offset = offset;
	resolve(&sites[site_count]);
	return &sites[site_count++];
}

static bool
can_be_the_programs(uint64_t number)
{
	static const uint64_t numbers[] = {SYS_mmap,
					   SYS_munmap,
					   SYS_mremap,
					   SYS_madvise,
					   SYS_process_madvise,
					   SYS_mprotect,
					   SYS_pkey_mprotect,
					   SYS_mlock,
					   SYS_mlock2,
					   SYS_mlockall,
					   SYS_munlock,
					   SYS_munlockall,
					   SYS_remap_file_pages,
					   SYS_shmat,
					   SYS_shmdt,
					   SYS_brk,
					   SYS_prctl,
					   SYS_execveat};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static struct task *
task_of(struct tracer *tracer, pid_t pid)
{
	struct task *free_task = NULL;

	for (size_t i = 0; i < TASKS_MAX; i++) {
		if (tracer->tasks[i].pid == pid)
			return &tracer->tasks[i];
		if (tracer->tasks[i].pid == 0 && free_task == NULL)
			free_task = &tracer->tasks[i];
	}
	assert_non_null(free_task);
	*free_task = (struct task){.pid = pid};
	return free_task;
}

/* Where the library lies in a task; nowhere, before the loader has mapped it. */
static void
find_library(struct task *task)
{
	char path[64];
	char line[PATH_MAX + 256];

	snprintf(path, sizeof(path), "/proc/%d/maps", task->pid);
	FILE *maps = fopen(path, "re");

	task->library_start = 0;
	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long long start, end;
		char protection[8];

		if (strstr(line, "/libvmtrace.so") == NULL ||
		    sscanf(line, "%llx-%llx %7s", &start, &end, protection) != 3)
			continue;
		if (task->library_start == 0)
			task->library_start = start;
		if (protection[2] == 'x') {
			task->library_text = start;
			task->library_end = end;
		}
	}
	if (maps != NULL)
		fclose(maps);
}

static bool
is_in_library(struct task *task, uint64_t address)
{
	if (task->library_end == 0)
		find_library(task);
	return address >= task->library_text && address < task->library_end;
}

/* Calls that no kernel refuses: leaving, and giving back a mask that it let be changed. */
static bool
cannot_fail(const struct injected *injected, const struct __ptrace_syscall_info *info)
{
	const uint64_t *args = (const uint64_t *)info->entry.args;

	if (info->entry.nr == SYS_rt_sigprocmask && args[0] == SIG_SETMASK && args[2] == 0)
		return injected->failed > 0;
	return info->entry.nr == SYS_exit_group;
}

/* A shared mapping of a file where none is to be had. */
static bool
is_unmappable(const struct injection *injection, const struct task *task,
	      const struct __ptrace_syscall_info *info)
{
	char link[64];
	char path[PATH_MAX] = "";

	if (injection->unmappable == NULL || info->entry.nr != SYS_mmap ||
	    (info->entry.args[3] & MAP_TYPE) != MAP_SHARED ||
	    (info->entry.args[3] & MAP_ANONYMOUS) != 0)
		return false;
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", task->pid, (int)info->entry.args[4]);
	return readlink(link, path, sizeof(path) - 1) > 0 &&
	       strncmp(path, injection->unmappable, strlen(injection->unmappable)) == 0;
}

static void
refuse(struct task *task, int error)
{
	task->error = error;
	task->spawning = false;
	ptrace(PTRACE_POKEUSER, task->pid, ORIG_RAX * sizeof(long), -1);
}

/* By its flags: no exit signal. */
static bool
is_for_collector(uint64_t flags)
{
	return flags == 0 || flags == (CLONE_VM | CLONE_VFORK);
}

/* Lets the call fail that a task is about to make, if it is its turn. */
static void
enter_call(struct tracer *tracer, struct task *task, const struct __ptrace_syscall_info *info)
{
	const struct injection *injection = tracer->injection;
	struct injected *injected = tracer->injected;
	uint64_t number = info->entry.nr;

	if (is_unmappable(injection, task, info)) {
		refuse(task, ENODEV);
		return;
	}
	if (!is_in_library(task, info->instruction_pointer))
		return;
	task->spawning = number == SYS_clone && is_for_collector(info->entry.args[0]);
	if (cannot_fail(injected, info) ||
	    task->collector != (injection->whose == INJECT_COLLECTOR))
		return;
	const struct site *site =
	    find_site_at(info->instruction_pointer - SYSCALL_BYTES - task->library_start);

	if (site->passes_on && can_be_the_programs(number))
		return;
	if (injection->source && strstr(site->where, injection->source) == NULL)
		return;
	injected->calls++;
	if (injected->calls < injection->first || injected->calls > injection->last)
		return;
	if (injected->failed++ == 0)
		snprintf(injected->where, sizeof(injected->where), "call %llu at %s",
			 (unsigned long long)number, site->where);
	if (injection->kills)
		kill(task->pid, SIGKILL);
	else if (number != SYS_close)
		refuse(task, injection->error);
	else
		task->error = injection->error;
}

static void
leave_call(struct task *task)
{
	if (task->error != 0)
		ptrace(PTRACE_POKEUSER, task->pid, RAX * sizeof(long), -(long)task->error);
	task->error = 0;
}

static void
at_call(struct tracer *tracer, struct task *task)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		enter_call(tracer, task, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		leave_call(task);
}

/* A collector that is left alone need not stop at each call. */
static void
resume(const struct tracer *tracer, const struct task *task, int signal)
{
	bool stops = !task->collector || tracer->injection->whose == INJECT_COLLECTOR ||
		     tracer->injection->unmappable != NULL;

	ptrace(stops ? PTRACE_SYSCALL : PTRACE_CONT, task->pid, NULL, signal);
}

/* A new task has its parent's address space, or a copy. */
static void
at_birth(struct tracer *tracer, struct task *parent)
{
	unsigned long pid = 0;

	ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &pid);
	struct task *child = task_of(tracer, (pid_t)pid);

	child->announced = true;
	child->collector = parent->collector || parent->spawning;
	child->library_start = parent->library_start;
	child->library_text = parent->library_text;
	child->library_end = parent->library_end;
	parent->spawning = false;
	if (child->held)
		resume(tracer, child, 0);
	child->held = false;
}

/* One stop of one task; it goes on with the signal that it got, if it is one. */
static void
at_stop(struct tracer *tracer, pid_t pid, int status)
{
	struct task *task = task_of(tracer, pid);
	int signal = WSTOPSIG(status);
	int event = status >> 16;

	if (!task->announced) {
		task->held = true;
		return;
	}
	if (signal == (SIGTRAP | 0x80)) {
		at_call(tracer, task);
		signal = 0;
	} else if (event == PTRACE_EVENT_EXEC) {
		task->library_start = task->library_text = task->library_end = 0;
		signal = 0;
	} else if (event != 0) {
		at_birth(tracer, task);
		signal = 0;
	} else if (signal == SIGSTOP) {
		signal = 0;
	}
	resume(tracer, task, signal);
}

static bool
has_tasks(const struct tracer *tracer)
{
	for (size_t i = 0; i < TASKS_MAX; i++)
		if (tracer->tasks[i].pid != 0)
			return true;
	return false;
}

static void
kill_tasks(const struct tracer *tracer)
{
	for (size_t i = 0; i < TASKS_MAX; i++)
		if (tracer->tasks[i].pid != 0)
			kill(tracer->tasks[i].pid, SIGKILL);
}

/* Until all have ended. A program that hangs fails the test; a collector that does is noted. */
static void
watch_tasks(struct tracer *tracer)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	int64_t deadline = now_ms() + PROGRAM_LIMIT_MS;
	sigset_t children;
	bool program_ended = false;
	int status;

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	while (has_tasks(tracer)) {
		pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);

		if (pid == 0 && now_ms() > deadline) {
			kill_tasks(tracer);
			if (!program_ended)
				fail_msg("the program hangs: %s", tracer->injected->where);
			tracer->injected->lingered = true;
			deadline = INT64_MAX;
		}
		if (pid <= 0) {
			sigtimedwait(&children, NULL, &pause);
			continue;
		}
		if (WIFSTOPPED(status)) {
			at_stop(tracer, pid, status);
			continue;
		}
		task_of(tracer, pid)->pid = 0;
		if (pid == tracer->program) {
			tracer->injected->run.wait_status = status;
			program_ended = true;
			deadline = now_ms() + INJECT_LINGER_MS;
		}
	}
}

static char *
read_captured(int fd, size_t *bytes)
{
	off_t length = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)length + 1);

	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)length, 0), length);
	close(fd);
	*bytes = (size_t)length;
	return text;
}

static int
open_capture(void)
{
	int fd = open(scratch(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_APPEND, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* As a shell's 2>>: a file that is open for reading too might be one of the program's own. */
static int
for_writing_alone(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static void
become_program(int out, int err, const char *const argv[], const char *const environment[])
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	dup2(nothing, 0);
	dup2(out, 1);
	dup2(for_writing_alone(err), 2);
	for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
		putenv(strdup(environment[i]));
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

void
inject_run(struct injected *injected, const struct injection *injection, const char *const argv[],
	   const char *const environment[])
{
	static struct tracer tracer;
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
		       PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int out = open_capture();
	int err = open_capture();
	sigset_t children;
	sigset_t before;
	size_t err_bytes;
	int status;

	memset(injected, 0, sizeof(*injected));
	memset(&tracer, 0, sizeof(tracer));
	tracer.injection = injection;
	tracer.injected = injected;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	/* Before the fork: a child of this process that waitpid must not meet. */
	if (site_count == 0)
		(void)find_site_at(0);
	tracer.program = fork();
	if (tracer.program == 0)
		become_program(out, err, argv, environment);
	sigprocmask(SIG_BLOCK, &children, &before);
	assert_int_equal(waitpid(tracer.program, &status, 0), tracer.program);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, tracer.program, NULL, options), 0);
	task_of(&tracer, tracer.program)->announced = true;
	ptrace(PTRACE_SYSCALL, tracer.program, NULL, 0);
	watch_tasks(&tracer);
	sigprocmask(SIG_SETMASK, &before, NULL);
	injected->run.exit_status =
	    WIFEXITED(injected->run.wait_status) ? WEXITSTATUS(injected->run.wait_status) : -1;
	injected->run.out = read_captured(out, &injected->run.out_bytes);
	injected->run.err = read_captured(err, &err_bytes);
}
