/*
 * prefork.c: a parent with a cache, and workers that it forks
 *
 * usage: prefork WORKERS CACHE_KIB COPIED_KIB OWN_KIB
 * The parent fills a cache (cache_load). Each worker writes to the first COPIED_KIB of it, which
 * makes copies, and fills memory of its own (worker_fill). Once all have, the parent prints their
 * pids in one line. All stay until the end of the parent's input.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int to_parent[2];
static int until[2];

static unsigned char *
map(size_t bytes)
{
	unsigned char *memory =
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(2);
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

__attribute__((noinline)) static unsigned char *
cache_load(size_t bytes)
{
	unsigned char *cache = map(bytes);

	memset(cache, 1, bytes);
	return cache;
}

__attribute__((noinline)) static void
worker_fill(size_t bytes)
{
	memset(map(bytes), 2, bytes);
}

static void
work(unsigned char *cache, size_t copied_bytes, size_t own_bytes)
{
	char byte = 0;

	close(until[1]);
	memset(cache, 3, copied_bytes);
	if (own_bytes)
		worker_fill(own_bytes);
	if (write(to_parent[1], &byte, 1) != 1)
		_exit(2);
	while (read(until[0], &byte, 1) > 0)
		;
	exit(0);
}

int
main(int argc, char **argv)
{
	unsigned workers = argc == 5 ? (unsigned)atoi(argv[1]) : 0;
	unsigned char *cache;
	char byte;

	if (workers == 0 || pipe(to_parent) != 0 || pipe(until) != 0)
		return 2;
	cache = cache_load((size_t)atol(argv[2]) << 10);
	pid_t *pids = calloc(workers, sizeof(*pids));

	for (unsigned i = 0; i < workers; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			return 2;
		if (pids[i] == 0)
			work(cache, (size_t)atol(argv[3]) << 10, (size_t)atol(argv[4]) << 10);
	}
	for (unsigned i = 0; i < workers; i++)
		if (read(to_parent[0], &byte, 1) != 1)
			return 2;
	for (unsigned i = 0; i < workers; i++)
		printf("%s%d", i ? " " : "", (int)pids[i]);
	printf("\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	close(until[1]);
	for (unsigned i = 0; i < workers; i++)
		waitpid(pids[i], NULL, 0);
	return 0;
}
