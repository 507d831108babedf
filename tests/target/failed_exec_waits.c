/* Executes a program that it may not execute, and waits then: failed_exec_waits PROGRAM [thread].
 * Prints "ok" where no wait was interrupted: there is no handler, and so nothing that could.
 * "thread": in a second thread.
 * failed_exec_waits PROGRAM again MICROSECONDS: in a second thread, which waits for so long and
 * executes this program anew; status 7 tells of that. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ROUNDS 10
#define WAIT_MS 50

extern char **environ;

static char **command;

static int
execute_and_wait(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	char *arguments[] = {command[0], NULL};

	if (epoll < 0)
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		struct epoll_event event;

		if (execve(arguments[0], arguments, environ) == 0)
			return 2;
		if (epoll_wait(epoll, &event, 1, WAIT_MS) != 0)
			return 3;
	}
	return puts("ok") < 0;
}

static void *
execute_anew(void *microseconds)
{
	char *failing[] = {command[0], NULL};
	char *arguments[] = {"failed_exec_waits", NULL};

	execve(failing[0], failing, environ);
	usleep((useconds_t)atoi(microseconds));
	execve("/proc/self/exe", arguments, environ);
	return NULL;
}

static void *
run(void *result)
{
	*(int *)result = execute_and_wait();
	return NULL;
}

int
main(int argc, char **argv)
{
	int result = 4;
	pthread_t thread;

	if (argc < 2)
		return 7;
	command = argv + 1;
	if (argc == 2)
		return execute_and_wait();
	if (strcmp(argv[2], "again") == 0 && argc == 4) {
		if (pthread_create(&thread, NULL, execute_anew, argv[3]) == 0)
			pthread_join(thread, NULL);
		return 5;
	}
	if (pthread_create(&thread, NULL, run, &result) == 0)
		pthread_join(thread, NULL);
	return result;
}
