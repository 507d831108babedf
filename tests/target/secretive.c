/* Has a secret everywhere a program can have one: argument, environment, blocks, mappings, stack,
 * thread, fork child. Its bytes are odd ones in the program's own text: only the caller knows them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 64u

static const char *secret;

/* Fills memory with the secret, over and over. */
static void
fill(char *bytes, size_t length)
{
	size_t piece = strlen(secret);

	for (size_t at = 0; at + piece <= length; at += piece)
		memcpy(bytes + at, secret, piece);
}

__attribute__((noinline)) static void
keep_in_stack_and_heap(unsigned depth)
{
	char frame[4096];
	char *block = malloc(100 + depth * 997);

	fill(frame, sizeof(frame));
	if (block)
		fill(block, 100 + depth * 997);
	if (depth > 0)
		keep_in_stack_and_heap(depth - 1);
	__asm__ volatile("" ::"r"(frame) : "memory");
	if (depth % 2)
		free(block);
}

static void *
in_a_thread(void *unused)
{
	(void)unused;
	keep_in_stack_and_heap(40);
	return NULL;
}

int
main(int argc, char **argv)
{
	char *mapping =
	    mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	pid_t child;

	secret = argc > 1 ? argv[1] : getenv("SECRET");
	if (mapping == MAP_FAILED || !secret || strlen(secret) < 8)
		return 1;
	fill(mapping, PAGES * 4096);
	pthread_create(&thread, NULL, in_a_thread, NULL);
	pthread_join(thread, NULL);
	child = fork();
	if (child == 0) {
		keep_in_stack_and_heap(20);
		madvise(mapping, PAGES * 1024, MADV_DONTNEED); /* what keeps its trace */
		exit(0);
	}
	keep_in_stack_and_heap(60);
	madvise(mapping, PAGES * 2048, MADV_DONTNEED);
	return waitpid(child, NULL, 0) == child ? 0 : 1;
}
