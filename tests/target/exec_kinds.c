/* Goes on as another program, or tries to, in the way that is asked for:
 *
 *     exec_kinds plain|unset|syscall|raw|thread|shared|failed|vfork|spawn PROGRAM [ARGUMENT...]
 *
 * unset leaves LD_PRELOAD out; raw makes the system call in a way that no hook sees; thread execs
 * in a second one; shared leaves a process behind that uses the same memory until the program has
 * ended; failed tries a program that is not there, and ends with status 5. vfork and spawn run the
 * program as a child, and end with status 7. */
#include "tests/target/truth.h"

#include <pthread.h>
#include <sched.h>
#include <spawn.h>
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

static void
run_child(const char *how)
{
	pid_t child;

	if (strcmp(how, "spawn") == 0) {
		if (posix_spawn(&child, command[0], NULL, NULL, command, environ) != 0)
			truth_die("posix_spawn");
	} else {
		child = vfork();
		if (child == 0) {
			execv(command[0], command);
			_exit(127);
		}
	}
	if (waitpid(child, NULL, 0) != child)
		truth_die("waitpid");
	_exit(7);
}

int
main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[1] : "";
	pthread_t thread;

	command = argv + 2;
	if (strcmp(how, "unset") == 0)
		unsetenv("LD_PRELOAD");
	if (strcmp(how, "plain") == 0 || strcmp(how, "unset") == 0) {
		execv(command[0], command);
	} else if (strcmp(how, "syscall") == 0) {
		syscall(SYS_execve, command[0], command, environ);
	} else if (strcmp(how, "raw") == 0) {
		(void)exec_unseen();
	} else if (strcmp(how, "thread") == 0) {
		if (pthread_create(&thread, NULL, exec_in_thread, NULL) == 0)
			pthread_join(thread, NULL);
	} else if (strcmp(how, "shared") == 0) {
		exec_beside_another();
	} else if (strcmp(how, "vfork") == 0 || strcmp(how, "spawn") == 0) {
		run_child(how);
	} else if (strcmp(how, "failed") == 0) {
		execv("/nonexistent/program", command);
		_exit(5);
	}
	truth_die("exec");
}
