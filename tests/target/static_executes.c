/* A program that loads no library and executes another: static_executes WAY PROGRAM [ARGUMENT...].
 * WAY: in place ("exec", "execveat"), by a child ("fork", "vfork", "spawn"). An exec that fails
 * comes first each time. Prints the number of the process that executes, and the error of what
 * failed. Ends with the status of its child. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void
execute(const char *way, char **argv)
{
	char *const none[] = {NULL};

	execve("/nonexistent/program", none, environ);
	dprintf(1, "%d\n", errno);
	if (strcmp(way, "execveat") == 0)
		fexecve(open(argv[0], O_RDONLY | O_CLOEXEC), argv, environ);
	else
		execve(argv[0], argv, environ);
	_exit(127);
}

/* None of them runs on when it has failed: what the vfork child changes is its parent's. */
static pid_t
start(const char *way, char **argv)
{
	pid_t pid = -1;

	if (strcmp(way, "spawn") == 0)
		return posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0 ? pid : -1;
	pid = strcmp(way, "vfork") == 0 ? vfork() : fork();
	if (pid == 0)
		execute(way, argv);
	return pid;
}

int
main(int argc, char **argv)
{
	int status = 1;
	pid_t pid;

	if (argc < 3)
		return 2;
	if (strncmp(argv[1], "exec", 4) == 0) {
		dprintf(1, "%d\n", getpid());
		execute(argv[1], argv + 2);
	}
	pid = start(argv[1], argv + 2);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 3;
	printf("%d\n", pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}
