/* Ten threads, one after another, map and unmap where their stack has 1,500 bytes left. There is no
 * guard page: what lies below is the program's. Prints "ok" where nothing of it has changed. Usage:
 * static_guardless_stack [waits|frame]. waits: the first thread says "ready" and waits for a line.
 * frame: the stack lies in a frame of main. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define STACK_BYTES (8 * PAGE)
#define BELOW_BYTES (4 * PAGE)
#define LEFT_BYTES 1500
#define PATTERN 0x5a

#define ALL_BYTES (BELOW_BYTES + STACK_BYTES)

static char apart[ALL_BYTES] __attribute__((aligned(4096)));
static char *memory = apart;

/* Each call takes some of the stack. */
__attribute__((noinline)) static void
map_low(void)
{
	volatile char room[128];

	room[0] = 1;
	if ((char *)room - memory > (long)(BELOW_BYTES + LEFT_BYTES + 2 * sizeof(room))) {
		map_low();
		room[1] = 2;
		return;
	}
	for (int i = 0; i < 2; i++) {
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
work(void *waits)
{
	char byte = 0;

	if (waits && (write(STDOUT_FILENO, "ready\n", 6) != 6 || read(STDIN_FILENO, &byte, 1) != 1))
		_exit(5);
	map_low();
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
