/*
 * coroutine_stacks_bare: a thread whose stack has no guard page runs functions on stacks right
 * below it, which it maps, takes out in parts and maps anew. Each function maps, allocates, frees
 * and unmaps. Parts are also taken out by another thread, and by a call that no hook sees, as those
 * of free are. Prints "fine".
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define STACK_BYTES ((size_t)256 << 10)
#define BELOW_BYTES ((size_t)64 << 10)
#define PART_BYTES ((size_t)32 << 10)
#define ROUNDS 5
#define GUARD_INSTALL 102 /* MADV_GUARD_INSTALL; older kernels refuse it */

static char *stack;
static pthread_barrier_t created;

static __attribute__((noinline)) void
map_and_unmap(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *volatile block = malloc(100);

	if (pages == MAP_FAILED)
		abort();
	memset(pages, 1, 8192);
	free(block);
	if (munmap(pages, 8192) != 0)
		abort();
}

static __attribute__((noinline)) void
run_on(char *top)
{
	__asm__ volatile("movq %%rsp, %%rbx\n\t"
			 "movq %0, %%rsp\n\t"
			 "call *%1\n\t"
			 "movq %%rbx, %%rsp"
			 :
			 : "r"(top), "r"(map_and_unmap)
			 : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
			   "memory", "cc");
}

static void
map_at(char *address, size_t bytes)
{
	if (mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		abort();
}

static void *
unmap(void *part)
{
	munmap(part, PART_BYTES);
	return NULL;
}

static void
unmap_elsewhere(char *part)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, unmap, part) != 0)
		abort();
	pthread_join(thread, NULL);
}

static void
unmap_unseen(char *part)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_munmap), "D"(part), "S"(PART_BYTES)
			 : "rcx", "r11", "memory");
	if (result != 0)
		abort();
}

enum way { UNMAPPED, PROTECTED, GUARDED, ELSEWHERE, UNSEEN, WAYS };

static void
take_away(enum way way)
{
	char *part = stack - PART_BYTES;

	if (way == UNMAPPED)
		unmap(part);
	else if (way == PROTECTED)
		mprotect(part, PART_BYTES, PROT_NONE);
	else if (way == GUARDED)
		madvise(part, PART_BYTES, GUARD_INSTALL);
	else if (way == ELSEWHERE)
		unmap_elsewhere(part);
	else
		unmap_unseen(part);
}

/* The lower part's function runs while the part between it and the thread's stack is gone. Not
 * before its creator has come back: who created it tells where a stack lies. */
static void *
run(void *argument)
{
	pthread_barrier_wait(&created);
	for (int i = 0; i < ROUNDS; i++) {
		map_at(stack - BELOW_BYTES, BELOW_BYTES);
		run_on(stack - 16);
		run_on(stack - PART_BYTES - 2048);
		take_away((enum way)(uintptr_t)argument);
		run_on(stack - PART_BYTES);
		munmap(stack - BELOW_BYTES, BELOW_BYTES);
	}
	return NULL;
}

/* A thread for each way: none knows what another's walks found. */
int
main(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	stack = mmap(NULL, STACK_BYTES + BELOW_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		return 1;
	stack += BELOW_BYTES;
	for (uintptr_t way = UNMAPPED; way < WAYS; way++) {
		if (pthread_attr_init(&attributes) != 0 ||
		    pthread_attr_setstack(&attributes, stack, STACK_BYTES) != 0 ||
		    pthread_barrier_init(&created, NULL, 2) != 0 ||
		    pthread_create(&thread, &attributes, run, (void *)way) != 0)
			return 1;
		pthread_barrier_wait(&created);
		pthread_join(thread, NULL);
	}
	puts("fine");
	return 0;
}
