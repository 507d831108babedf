/* A thread maps and unmaps where its stack has 1,500 bytes left above its guard page. Prints "ok".
 */
#include "tests/target/low_stack.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_BYTES (8 * PAGE)

static char *lowest;

static void *
work(void *unused)
{
	map_low(lowest, 20);
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
