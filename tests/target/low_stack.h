/*
 * low_stack.h: map and unmap where a stack has 1,500 bytes left.
 *
 * For programs whose threads have a stack of the program's own. Ends the process where a call
 * fails.
 */
#ifndef VMT_TESTS_LOW_STACK_H
#define VMT_TESTS_LOW_STACK_H

#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define LEFT_BYTES 1500

/* Each call takes some of the stack, which grows down to lowest. */
__attribute__((noinline)) static void
map_low(const char *lowest, int times)
{
	volatile char room[128];

	room[0] = 1;
	if ((char *)room - lowest > (long)(LEFT_BYTES + 2 * sizeof(room))) {
		map_low(lowest, times);
		room[1] = 2;
		return;
	}
	for (int i = 0; i < times; i++) {
		char *range = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (range == MAP_FAILED)
			_exit(3);
		range[0] = 1;
		if (munmap(range, 8 * PAGE) != 0)
			_exit(4);
	}
}

#endif
