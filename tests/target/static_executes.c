/* A program that loads no library and executes another: static_executes WAY PROGRAM [ARGUMENT...].
 * WAY: in place ("exec", "execveat"), by a child ("fork", "vfork", "spawn"). An exec that fails
 * comes first each time. "refused": in place, once the program may be executed, which it may not at
 * first; in between a vfork child lives for half a second. Prints the number of the process that
 * executes, and the error of what failed. Ends with the status of its child. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
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

static int
is_traced(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return strstr(text, "TracerPid:\t0\n") == NULL;
}

/* Nobody can stop this thread while its vfork child lives. */
static void
execute_late(char **argv)
{
	static const struct timespec half_second = {0, 500000000};
	static const struct timespec moment = {0, 1000000};
	pid_t pid;

	execve(argv[0], argv, environ);
	dprintf(1, "%d\n", errno);
	pid = vfork();
	if (pid == 0) {
		nanosleep(&half_second, NULL);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid || chmod(argv[0], 0755) != 0)
		_exit(5);
	for (int i = 0; i < 60000 && is_traced(); i++)
		nanosleep(&moment, NULL);
	execve(argv[0], argv, environ);
	_exit(126);
}

int
main(int argc, char **argv)
{
	int status = 1;
	pid_t pid;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "refused") == 0) {
		dprintf(1, "%d\n", getpid());
		execute_late(argv + 2);
	}
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
