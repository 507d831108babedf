/*
 * The program that `make demo` records: a small cache that does what services do to their memory.
 * It reserves a large arena and touches a little of it, keeps records by malloc, frees most of
 * them, and gives one buffer back by advice.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)
#define RECORDS 40000

static char *records[RECORDS];

__attribute__((noinline)) static char *
arena_grow(size_t reserve, size_t use)
{
	char *arena = mmap(NULL, reserve, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (arena == MAP_FAILED)
		exit(1);
	memset(arena, 1, use);
	return arena;
}

__attribute__((noinline)) static void
load_records(void)
{
	for (size_t i = 0; i < RECORDS; i++) {
		records[i] = malloc(400 + i % 1200);
		memset(records[i], 'r', 400);
	}
}

__attribute__((noinline)) static void
expire_records(void)
{
	for (size_t i = 0; i < RECORDS; i++)
		if (i % 4 != 0) {
			free(records[i]);
			records[i] = NULL;
		}
}

__attribute__((noinline)) static void
compact(size_t bytes)
{
	char *scratch =
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (scratch == MAP_FAILED)
		exit(1);
	memset(scratch, 2, bytes);
	madvise(scratch, bytes, MADV_DONTNEED);
}

static void *
serve(void *arena)
{
	load_records();
	expire_records();
	compact(24 * MIB);
	return arena;
}

int
main(void)
{
	pthread_t worker;
	char *arena = arena_grow(1024 * MIB, 64 * MIB);

	if (pthread_create(&worker, NULL, serve, arena) != 0)
		return 1;
	pthread_join(worker, NULL);
	printf("cache ready: %d records kept\n", RECORDS / 4);
	return 0;
}
