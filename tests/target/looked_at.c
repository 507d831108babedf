/*
 * looked_at: has memory of every kind, for whoever looks at it from outside.
 *
 * Maps 16 MiB and writes to 5 of them, has 2 MiB by the program break, three threads that wait, and
 * 3 MiB of shared memory without a file. Says on its standard output, in one line, where its
 * threads' stacks begin and end, with their guards, in decimal. Then it does what each line of its
 * standard input says, and answers "done":
 *
 *   grow    maps and writes to 8 MiB more
 *   churn   answers, then maps, writes to and unmaps for ever
 *   fork    makes a child that waits for the end of the same input; answers its pid
 *
 * None of it is in huge pages, so that what it writes to is what it has in RAM. It ends with its
 * input.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MIB (1u << 20)
#define THREADS 3

static pthread_barrier_t ready;
static uintptr_t bounds[THREADS][2];

static void *
wait_for_ever(void *bound)
{
	pthread_attr_t attributes;
	uintptr_t *own = bound;
	size_t bytes, guard_bytes;
	void *low;

	if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
	    pthread_attr_getstack(&attributes, &low, &bytes) != 0 ||
	    pthread_attr_getguardsize(&attributes, &guard_bytes) != 0)
		exit(9);
	own[0] = (uintptr_t)low - guard_bytes;
	own[1] = (uintptr_t)low + bytes;
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
}

static void
map(size_t bytes, size_t written, int flags)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (memory == MAP_FAILED)
		exit(9);
	memset(memory, 1, written);
}

static void
churn(void)
{
	void *held[32] = {NULL};

	printf("churns\n");
	fflush(stdout);
	for (unsigned i = 0;; i = i * 1103515245 + 12345) {
		void **place = &held[i >> 16 & 31];

		if (*place) {
			munmap(*place, MIB);
			*place = NULL;
			continue;
		}
		*place =
		    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
		if (*place == MAP_FAILED)
			exit(9);
		memset(*place, 1, i >> 8 & (MIB - 1));
	}
}

static void
fork_child(void)
{
	char byte;
	pid_t child = fork();

	if (child == 0) {
		while (read(STDIN_FILENO, &byte, 1) > 0)
			continue;
		_exit(0);
	}
	printf("%d\n", (int)child);
}

int
main(void)
{
	char line[64];
	void *pages;

	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
		return 9;
	pthread_barrier_init(&ready, NULL, THREADS + 1);
	map(16 * MIB, 5 * MIB, MAP_PRIVATE);
	map(3 * MIB, 3 * MIB, MAP_SHARED);
	pages = sbrk(2 * MIB);
	if (pages == (void *)-1)
		return 9;
	memset(pages, 1, 2 * MIB);
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, wait_for_ever, bounds[i]) != 0)
			return 9;
	}
	pthread_barrier_wait(&ready);
	for (int i = 0; i < THREADS; i++)
		printf("%s%lu %lu", i ? " " : "", (unsigned long)bounds[i][0],
		       (unsigned long)bounds[i][1]);
	printf("\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "grow\n") == 0) {
			map(8 * MIB, 8 * MIB, MAP_PRIVATE);
			printf("done\n");
		} else if (strcmp(line, "churn\n") == 0) {
			churn();
		} else {
			fork_child();
		}
		fflush(stdout);
	}
	return 0;
}
