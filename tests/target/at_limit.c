/*
 * What fails near a limit of address space, and why: at_limit WAY [PROGRAM]
 *
 *   blocks  sets RLIMIT_AS, makes blocks of malloc until one is refused, prints how many MiB
 *   locked  the same with mappings, under mlockall(MCL_FUTURE)
 *   others  leaves a MiB and makes calls that fail for other reasons; lifts the limit, maps 5 MiB
 *   shared  maps until it is refused while a thread without thread state of its own is there
 *   exec    maps until it is refused while threads make calls of exec that fail, in 20 processes
 *   asking  under vmtrace record, stops it: maps until it is refused while an exec of the static
 *           program that PROGRAM names asks for the recorder; says whether there is room afterwards
 */
#include "tests/target/truth.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_BYTES (64ul * MIB)
#define PIECE_BYTES (512ul * KIB)

extern char **environ;

static void
set_limit(rlim_t bytes)
{
	struct rlimit limit = {bytes, RLIM_INFINITY};

	if (setrlimit(RLIMIT_AS, &limit) != 0)
		truth_die("setrlimit");
}

static size_t
map_with(int protection)
{
	size_t pieces = 0;

	while (mmap(NULL, PIECE_BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED)
		pieces++;
	return pieces;
}

static size_t
map_until_refused(void)
{
	return map_with(PROT_READ | PROT_WRITE);
}

static void
fill_with_blocks(void)
{
	size_t bytes = 0;
	void *volatile block;

	set_limit(LIMIT_BYTES);
	while ((block = malloc(1000)) != NULL)
		bytes += malloc_usable_size(block);
	printf("%zu\n", bytes / MIB);
}

static void
fill_locked(void)
{
	set_limit(LIMIT_BYTES);
	if (mlockall(MCL_FUTURE) != 0)
		truth_die("mlockall");
	printf("%zu\n", map_until_refused() / 2);
}

static rlim_t
virtual_bytes(void)
{
	char text[64];
	int fd = open("/proc/self/statm", O_RDONLY);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (length <= 0)
		truth_die("statm");
	text[length] = '\0';
	return strtoul(text, NULL, 10) * 4096;
}

static void
say(const char *what, bool failed)
{
	printf("%s: %s\n", what, failed ? strerror(errno) : "done");
}

static void
fail_for_other_reasons(void)
{
	static char buffer[BUFSIZ];
	size_t half = SIZE_MAX / 2 + 1;
	char *range = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	set_limit(virtual_bytes() + MIB);
	say("calloc", calloc(*(volatile size_t *)&half, 2) == NULL);
	say("memalign", memalign(*(volatile size_t *)&half + 1, 1) == NULL);
	say("mremap", mremap(range, 4096, 2 * MIB, 0) == MAP_FAILED);
	munmap(range + 4096, 4096);
	say("mprotect", mprotect(range, 2 * MIB, PROT_READ | PROT_WRITE) != 0);
	set_limit(RLIM_INFINITY);
	say("mmap",
	    mmap(NULL, 5 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}

static volatile int over;

/* On another stack, with the first thread's state: touches nothing of it. */
static void
stand_by(void)
{
	while (!over)
		__asm__ volatile("pause");
	__asm__ volatile("syscall" : : "a"(SYS_exit), "D"(0) : "rcx", "r11", "memory");
}

/* The call returns there through what lies on the new stack. */
static void
fill_beside_a_bare_thread(void)
{
	static void *stack[4096] __attribute__((aligned(16)));
	int flags =
	    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

	*(void (**)(void)) & stack[4000] = stand_by;
	if (syscall(SYS_clone, flags, &stack[4000], 0L, 0L, 0L) < 0)
		truth_die("clone");
	set_limit(LIMIT_BYTES);
	printf("%s\n", map_until_refused() > 10 ? "filled" : "refused at once");
	over = 1;
}

/* By a long way, so that most of the time is spent within the call. */
static void *
exec_nothing(void *argument)
{
	char path[4000] = "";
	char *const argv[] = {path, NULL};

	while (strlen(path) + 16 < sizeof(path) / 2)
		strcat(path, "/proc/self/..");
	while (!over)
		execve(path, argv, environ);
	return argument;
}

static void
fill_while_others_exec(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, exec_nothing, NULL) != 0)
			truth_die("pthread_create");
	set_limit(virtual_bytes() + 32 * MIB);
	(void)map_until_refused();
	over = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void
fill_in_many(void)
{
	for (int i = 0; i < 20; i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0)
			fill_while_others_exec();
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			printf("child: status %x\n", (unsigned)status);
	}
	printf("done\n");
}

/* Where in a file the text is found; NULL: nowhere. */
static const char *
find_in(const char *path, const char *text, char all[4096])
{
	int fd = open(path, O_RDONLY);
	ssize_t length = read(fd, all, 4095);

	if (length < 0)
		truth_die(path);
	close(fd);
	all[length] = '\0';
	return strstr(all, text);
}

static bool
begins(const char *path, const char *text)
{
	char all[4096];

	return find_in(path, text, all) == all;
}

static bool
is_stopped(pid_t process)
{
	char text[4096];
	glob_t threads;
	bool stopped;

	snprintf(text, sizeof(text), "/proc/%d/task/*/status", (int)process);
	stopped = glob(text, 0, NULL, &threads) == 0;
	for (size_t i = 0; stopped && i < threads.gl_pathc; i++)
		stopped = find_in(threads.gl_pathv[i], "\nState:\tT", text) != NULL;
	globfree(&threads);
	return stopped;
}

/* Whatever becomes of the program, its recorder goes on. */
static void
stop_recorder(pid_t recorder)
{
	char path[64];
	int ends[2];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)recorder);
	if (!begins(path, "vmtrace\n") || pipe(ends) != 0)
		truth_die("not recorded");
	if (fork() == 0) {
		close(ends[1]);
		(void)!read(ends[0], path, 1);
		_exit(kill(recorder, SIGCONT));
	}
	kill(recorder, SIGSTOP);
	while (!is_stopped(recorder))
		usleep(1000);
}

static bool
is_traced(void)
{
	char all[4096];

	return !find_in("/proc/self/status", "\nTracerPid:\t0\n", all);
}

/* By an argument that is too long. */
static const char *program;

static void
exec_in_vain(void)
{
	static char argument[256 * KIB];
	char *const argv[] = {argument, NULL};

	memset(argument, 'x', sizeof(argument) - 1);
	execve(program, argv, environ);
}

/* Without access: who reads what is in the place of something else does not go on. */
static void *
fill_while_first_asks(void *unused)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)getpid());
	while (!begins(path, "202 ")) /* futex */
		usleep(1000);
	set_limit(virtual_bytes() + 2 * MIB);
	(void)map_with(PROT_NONE);
	return unused;
}

static void
fill_while_asking(void)
{
	pthread_t thread;

	for (int i = 0; i < 1000 && !is_traced(); i++) /* until somebody answers */
		exec_in_vain();
	while (is_traced())
		usleep(1000);
	stop_recorder(getppid());
	if (pthread_create(&thread, NULL, fill_while_first_asks, NULL) != 0)
		truth_die("pthread_create");
	exec_in_vain();
	pthread_join(thread, NULL);
	printf("%s\n", map_with(PROT_NONE) > 1 ? "room" : "no room");
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*go)(void);
	} ways[] = {{"blocks", fill_with_blocks},
		    {"locked", fill_locked},
		    {"others", fail_for_other_reasons},
		    {"shared", fill_beside_a_bare_thread},
		    {"exec", fill_in_many},
		    {"asking", fill_while_asking}};

	program = argc > 2 ? argv[2] : NULL;

	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name) != 0)
			continue;
		ways[i].go();
		return 0;
	}
	return 2;
}
