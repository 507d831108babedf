/* A heap with books, made by four threads: what it holds at its end is printed. Every call of
 * malloc's family stands in hold(). `signals`: before that a handler comes in between all the
 * time, and maps memory. Linked without a dynamic loader by the test that uses it. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#define THREADS 4
#define BLOCKS 400

static void *kept[THREADS][BLOCKS];
static long bytes[THREADS];
static long blocks[THREADS];

/* Not a leaf: its callers are in the stack. */
static void *__attribute__((noinline)) hold(int way, void *block, size_t size)
{
	void *fresh = NULL;

	switch (way % 6) {
	case 0:
		fresh = malloc(size);
		break;
	case 1:
		fresh = calloc(size, 1);
		break;
	case 2:
		fresh = realloc(block, size);
		break;
	case 3:
		if (posix_memalign(&fresh, 64, size) != 0)
			abort();
		break;
	case 4:
		fresh = aligned_alloc(32, size);
		break;
	default:
		fresh = memalign(128, size);
	}
	if (!fresh)
		abort();
	memset(fresh, way, size);
	return fresh;
}

static void __attribute__((noinline)) drop(void *block)
{
	free(block);
	__asm__ volatile("" ::: "memory");
}

static void *
work(void *argument)
{
	long me = (long)(intptr_t)argument;

	for (int i = 0; i < BLOCKS; i++) {
		size_t size = 96 + 32 * (size_t)(i + me);
		void *block = hold(i, NULL, size);

		if (i % 4 == 0) {
			size *= 3;
			block = hold(2, block, size);
		}
		if (i % 5 == 0) {
			drop(block);
			continue;
		}
		kept[me][i] = block;
		bytes[me] += (long)size;
		blocks[me]++;
	}
	return NULL;
}

static volatile sig_atomic_t handled;

static void
handle(int number)
{
	void *range = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)number;
	if (range == MAP_FAILED || munmap(range, 8192) != 0)
		abort();
	handled++;
}

/* 100 signals come while blocks are made and released. */
static void
be_interrupted(void)
{
	static const struct itimerval often = {{0, 300}, {0, 300}};
	static const struct itimerval never;
	struct sigaction action = {.sa_handler = handle};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (handled < 100)
		drop(hold(0, NULL, 100));
	setitimer(ITIMER_REAL, &never, NULL);
}

int
main(int count, char **arguments)
{
	pthread_t threads[THREADS];
	long all_bytes = 0;
	long all_blocks = 0;

	if (count > 1 && strcmp(arguments[1], "signals") == 0)
		be_interrupted();
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		all_bytes += bytes[i];
		all_blocks += blocks[i];
	}
	printf("holds %ld bytes in %ld blocks\n", all_bytes, all_blocks);
	return kept[0][1] ? 0 : 1;
}
