/* A handler maps and unmaps on an alternate stack that lies in a frame of main, or of a thread's
 * first function, and has little room. Prints "ok" where nothing was written below it.
 *
 * Usage: static_small_alternate main|thread [autodisarm]. With SS_AUTODISARM the kernel says in the
 * handler that there is no such stack. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif
#define RANGE_BYTES ((size_t)8 * 4096)
#define BELOW_BYTES 4096u
#define MOST_BYTES 16384u
#define HANDLER_BYTES 1024u /* what the handler itself may take */

static unsigned flags;

static void
map_and_unmap(void)
{
	char *range =
	    mmap(NULL, RANGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (range == MAP_FAILED)
		_exit(3);
	range[0] = 1;
	if (munmap(range, RANGE_BYTES) != 0)
		_exit(4);
}

static void
handle(int number)
{
	for (int i = 0; i < 20; i++)
		map_and_unmap();
	(void)number;
}

static void *
run(void *unused)
{
	volatile unsigned char memory[BELOW_BYTES + MOST_BYTES];
	unsigned long frame = getauxval(AT_MINSIGSTKSZ);
	stack_t alternate = {.ss_flags = (int)flags};

	alternate.ss_size = (frame ? frame : (unsigned long)MINSIGSTKSZ) + HANDLER_BYTES;
	if (alternate.ss_size > MOST_BYTES)
		_exit(5);
	alternate.ss_sp = (void *)(memory + sizeof(memory) - alternate.ss_size);
	map_and_unmap(); /* the thread is known, and has no such stack yet */
	memset((void *)memory, 0xa5, sizeof(memory));
	if (sigaltstack(&alternate, NULL) != 0 || raise(SIGUSR1) != 0)
		_exit(6);
	for (size_t i = 0; i < BELOW_BYTES; i++)
		if (((volatile unsigned char *)alternate.ss_sp - BELOW_BYTES)[i] != 0xa5)
			_exit(7);
	return unused;
}

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
	pthread_t thread;

	if (argc < 2 || sigaction(SIGUSR1, &action, NULL) != 0)
		return 2;
	flags = argc > 2 ? SS_AUTODISARM : 0;
	if (strcmp(argv[1], "main") == 0)
		run(NULL);
	else if (pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, NULL) != 0)
		return 8;
	return puts("ok") < 0;
}
