/* Threads and a child: family. Maps 32 MiB and touches 20, starts 4 threads that touch 60,000 bytes
 * of their stacks each and stay, forks a child that touches 4 MiB, and ends with status 6. Prints
 * "child PID" and "thread TID" for each. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define THREADS 4

static pthread_barrier_t begun;

static void *
stay(void *unused)
{
	volatile char bytes[60000];

	(void)unused;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 1;
	printf("thread %ld\n", syscall(SYS_gettid));
	fflush(stdout);
	pthread_barrier_wait(&begun);
	while (bytes[0] == 1)
		pause();
	return NULL;
}

static void *
map(size_t bytes)
{
	void *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return range == MAP_FAILED ? NULL : range;
}

int
main(void)
{
	char *range = map(32 * MIB);
	pthread_t thread;
	pid_t child;

	if (!range || pthread_barrier_init(&begun, NULL, THREADS + 1) != 0)
		return 1;
	memset(range, 1, 20 * MIB);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, stay, NULL) != 0)
			return 1;
	pthread_barrier_wait(&begun);
	child = fork();
	if (child == 0) {
		char *own = map(4 * MIB);

		if (own)
			memset(own, 1, 4 * MIB);
		_exit(own ? 0 : 1);
	}
	printf("child %d\n", (int)child);
	exit(child > 0 && waitpid(child, NULL, 0) == child ? 6 : 1);
}
