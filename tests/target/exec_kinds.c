/* Goes on as another program, or tries to, in the way that is asked for:
 *
 *     exec_kinds plain|unset|syscall|raw|thread|shared|failed|script|
 *                vfork|spawn|searched|begets|moved PROGRAM [ARGUMENT...]
 *
 * unset leaves LD_PRELOAD out; raw makes the system call in a way that no hook sees; thread execs
 * in a second one; shared leaves a process behind that uses the same memory until the program has
 * ended; failed tries a program that is not there, and ends with status 5; script is a descriptor.
 * vfork and those behind it run the program as a child, and end with status 7: searched finds it in
 * PATH after one that is not there; begets starts it in a second thread; moved goes to the
 * directory PROGRAM, and starts ./program there. The number of the process that executes is
 * printed. */
#include "tests/target/truth.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

static char **command;
static int until[2]; /* a pipe whose end the program has open while it runs */

static long
exec_unseen(void)
{
	long result = -1;

#if defined(__x86_64__)
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_execve), "D"(command[0]), "S"(command), "d"(environ)
			 : "rcx", "r11", "memory");
#else
	execv(command[0], command);
#endif
	return result;
}

static void *
exec_in_thread(void *nothing)
{
	execv(command[0], command);
	return nothing;
}

static int
stay_behind(void *nothing)
{
	char byte;

	(void)nothing;
	close(until[1]);
	(void)!read(until[0], &byte, 1);
	_exit(0);
}

static void
exec_beside_another(void)
{
	static char stack[65536] __attribute__((aligned(64)));

	if (pipe(until) < 0)
		truth_die("pipe");
	if (clone(stay_behind, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0)
		truth_die("clone");
	execv(command[0], command);
}

/* Without a slash in its name, by its directory alone. */
static int
spawn_searched(pid_t *child)
{
	static char path[4096];
	char *slash;

	snprintf(path, sizeof(path), "%s", command[0]);
	slash = strrchr(path, '/');
	*slash = '\0';
	setenv("PATH", path, 1);
	if (posix_spawnp(child, "not-there-at-all", NULL, NULL, command, environ) != ENOENT)
		truth_die("posix_spawnp");
	return posix_spawnp(child, slash + 1, NULL, NULL, command, environ);
}

static int
spawn_moved(pid_t *child)
{
	posix_spawn_file_actions_t actions;
	char *arguments[] = {"./program", NULL};

	if (posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_addchdir_np(&actions, command[0]) != 0)
		truth_die("actions");
	return posix_spawn(child, arguments[0], &actions, NULL, arguments, environ);
}

static void *
run_child(void *way)
{
	const char *how = way;
	int error = 0;
	pid_t child;

	if (strcmp(how, "searched") == 0) {
		error = spawn_searched(&child);
	} else if (strcmp(how, "moved") == 0) {
		error = spawn_moved(&child);
	} else if (strcmp(how, "vfork") != 0) {
		error = posix_spawn(&child, command[0], NULL, NULL, command, environ);
	} else {
		child = vfork();
		if (child == 0) {
			execv(command[0], command);
			_exit(127);
		}
	}
	if (error != 0 || waitpid(child, NULL, 0) != child)
		truth_die("child");
	dprintf(1, "%d\n", child);
	_exit(7);
}

static void
run_in_thread(void *(*function)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, function, argument) == 0)
		pthread_join(thread, NULL);
}

static bool
is_by_child(const char *how)
{
	return strcmp(how, "vfork") == 0 || strcmp(how, "spawn") == 0 ||
	       strcmp(how, "searched") == 0 || strcmp(how, "begets") == 0 ||
	       strcmp(how, "moved") == 0;
}

static void
replace(const char *how)
{
	dprintf(1, "%d\n", getpid());
	if (strcmp(how, "unset") == 0)
		unsetenv("LD_PRELOAD");
	if (strcmp(how, "plain") == 0 || strcmp(how, "unset") == 0) {
		execv(command[0], command);
	} else if (strcmp(how, "syscall") == 0) {
		syscall(SYS_execve, command[0], command, environ);
	} else if (strcmp(how, "raw") == 0) {
		(void)exec_unseen();
	} else if (strcmp(how, "thread") == 0) {
		run_in_thread(exec_in_thread, NULL);
	} else if (strcmp(how, "shared") == 0) {
		exec_beside_another();
	} else if (strcmp(how, "script") == 0) {
		fexecve(open(command[0], O_RDONLY), command, environ);
	} else if (strcmp(how, "failed") == 0) {
		execv("/nonexistent/program", command);
		_exit(5);
	}
}

int
main(int argc, char **argv)
{
	char *how = argc > 2 ? argv[1] : argv[0];

	command = argv + 2;
	if (strcmp(how, "begets") == 0)
		run_in_thread(run_child, how);
	else if (is_by_child(how))
		run_child(how);
	else
		replace(how);
	truth_die("exec");
}
