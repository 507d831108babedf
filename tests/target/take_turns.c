/*
 * take_turns: two threads that wake each other all the time, and memory that grows when it is told
 *
 * Usage: take_turns. Says "ready". The threads take turns until it ends. With each line on standard
 * input the first thread's helper touches 8 MiB more, and says "grown".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEP_BYTES ((size_t)8 << 20)

static int there[2];
static int back[2];

static void *
answer(void *unused)
{
	char byte;

	while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
		continue;
	return unused;
}

static void *
ask(void *unused)
{
	char byte = 0;

	while (write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1)
		continue;
	return unused;
}

static void
grow(void)
{
	char *step =
	    mmap(NULL, STEP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (step == MAP_FAILED)
		_exit(1);
	madvise(step, STEP_BYTES, MADV_NOHUGEPAGE);
	memset(step, 1, STEP_BYTES);
}

int
main(void)
{
	pthread_t threads[2];
	char byte;

	if (pipe(there) != 0 || pipe(back) != 0 ||
	    pthread_create(&threads[0], NULL, answer, NULL) != 0 ||
	    pthread_create(&threads[1], NULL, ask, NULL) != 0)
		return 1;
	dprintf(STDOUT_FILENO, "ready\n");
	while (read(STDIN_FILENO, &byte, 1) == 1) {
		grow();
		dprintf(STDOUT_FILENO, "grown\n");
	}
	return 0;
}
