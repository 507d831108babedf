/* A thread maps and unmaps where its stack has 1,500 bytes left above its guard page. Prints "ok".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define STACK_BYTES (8 * PAGE)
#define LEFT_BYTES 1500

static char *lowest;

/* Each call takes some of the stack. */
__attribute__((noinline)) static void
map_low(void)
{
	volatile char room[128];

	room[0] = 1;
	if ((char *)room - lowest > (long)(LEFT_BYTES + 2 * sizeof(room))) {
		map_low();
		room[1] = 2;
		return;
	}
	for (int i = 0; i < 20; i++) {
		char *range = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (range == MAP_FAILED)
			_exit(3);
		range[0] = 1;
		if (munmap(range, 8 * PAGE) != 0)
			_exit(4);
	}
}

static void *
work(void *unused)
{
	map_low();
	return unused;
}

int
main(void)
{
	char *stack = mmap(NULL, PAGE + STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attributes;
	pthread_t thread;

	if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) != 0)
		return 5;
	lowest = stack + PAGE;
	pthread_attr_init(&attributes);
	if (pthread_attr_setstack(&attributes, lowest, STACK_BYTES) != 0 ||
	    pthread_create(&thread, &attributes, work, NULL) != 0 ||
	    pthread_join(thread, NULL) != 0)
		return 6;
	return puts("ok") < 0;
}
