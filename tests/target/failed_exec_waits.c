/* Executes a program that it may not execute, and waits then: failed_exec_waits PROGRAM. Prints
 * "ok" where no wait was interrupted: there is no handler, and so nothing that could. */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ROUNDS 10
#define WAIT_MS 50

extern char **environ;

int
main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (argc != 2 || epoll < 0)
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		struct epoll_event event;

		if (execve(argv[1], argv + 1, environ) == 0)
			return 2;
		if (epoll_wait(epoll, &event, 1, WAIT_MS) != 0)
			return 3;
	}
	return puts("ok") < 0;
}
