/* Makes the calls of the map family from several threads at once, some in vain: static_calls
 * THREADS ROUNDS. Prints "ok". Linked without a dynamic loader by the tests that use it, with each
 * C library there is. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096
#define BYTES ((size_t)64 * PAGE)

static long rounds;

__attribute__((noinline)) static char *
reserve(size_t bytes)
{
	char *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (range == MAP_FAILED)
		abort();
	memset(range, 1, bytes / 2);
	return range;
}

static void
refuse(int result)
{
	if (result == 0)
		abort();
}

__attribute__((noinline)) static void
play_round(size_t bytes)
{
	char *range = reserve(bytes);

	if (mprotect(range + PAGE, PAGE, PROT_NONE) != 0 ||
	    mprotect(range + PAGE, PAGE, PROT_READ | PROT_WRITE) != 0 ||
	    madvise(range, bytes / 4, MADV_DONTNEED) != 0)
		abort();
	refuse(munmap(range + 1, PAGE));
	refuse(madvise(range, bytes, 12345));
	range = mremap(range, bytes, 2 * bytes, MREMAP_MAYMOVE);
	if (range == MAP_FAILED || munmap(range + bytes, bytes) != 0 || munmap(range, bytes) != 0)
		abort();
}

static void *
work(void *unused)
{
	(void)unused;
	for (long round = 0; round < rounds; round++) {
		char *block = malloc(3000 + (size_t)round);

		memset(block, 1, 3000);
		play_round(BYTES);
		free(block);
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 1;
	pthread_t thread[16];

	rounds = argc > 2 ? atol(argv[2]) : 1;
	if (syscall(SYS_brk, syscall(SYS_brk, 0) + 3 * PAGE) < 0)
		abort();
	/* The second gets the stack and the thread pointer of the first. */
	for (long i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, work, NULL) != 0 ||
		    pthread_join(thread[i], NULL) != 0)
			abort();
	for (long i = 0; i < threads && i < 16; i++)
		if (pthread_create(&thread[i], NULL, work, NULL) != 0)
			abort();
	for (long i = 0; i < threads && i < 16; i++)
		pthread_join(thread[i], NULL);
	work(NULL);
	puts("ok");
	return 0;
}
