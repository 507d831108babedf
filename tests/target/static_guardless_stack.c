/* Ten threads, one after another, map and unmap where their stack has 1,500 bytes left. There is no
 * guard page: what lies below is the program's. Prints "ok" where nothing of it has changed. Usage:
 * static_guardless_stack [waits|frame]. waits: the first thread says "ready" and waits for a line.
 * frame: the stack lies in a frame of main. */
#include "tests/target/low_stack.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK_BYTES (8 * PAGE)
#define BELOW_BYTES (4 * PAGE)
#define PATTERN 0x5a

#define ALL_BYTES (BELOW_BYTES + STACK_BYTES)

static char apart[ALL_BYTES] __attribute__((aligned(4096)));
static char *memory = apart;

static void *
work(void *waits)
{
	char byte = 0;

	if (waits && (write(STDOUT_FILENO, "ready\n", 6) != 6 || read(STDIN_FILENO, &byte, 1) != 1))
		_exit(5);
	map_low(memory + BELOW_BYTES, 2);
	return NULL;
}

static int
run(bool waits)
{
	pthread_attr_t attributes;
	pthread_t thread;

	memset(memory, PATTERN, BELOW_BYTES);
	pthread_attr_init(&attributes);
	if (pthread_attr_setstack(&attributes, memory + BELOW_BYTES, STACK_BYTES) != 0)
		return 6;
	for (int i = 0; i < 10; i++)
		if (pthread_create(&thread, &attributes, work,
				   i == 0 && waits ? (void *)memory : NULL) ||
		    pthread_join(thread, NULL) != 0)
			return 7;
	for (size_t i = 0; i < BELOW_BYTES; i++)
		if (memory[i] != PATTERN)
			return printf("byte %zu below the stack changed\n", BELOW_BYTES - i), 8;
	return puts("ok") < 0;
}

int
main(int argc, char **argv)
{
	char frame[ALL_BYTES] __attribute__((aligned(4096)));

	if (argc > 1 && strcmp(argv[1], "frame") == 0)
		memory = frame;
	return run(argc > 1 && memory == apart);
}
