/* A handler maps and unmaps on an alternate stack that lies in a frame of main and has little room.
 * Prints "ok" where nothing was written below it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define RANGE_BYTES ((size_t)8 * 4096)
#define BELOW_BYTES 4096u
#define MOST_BYTES 65536u
#define HANDLER_BYTES 1024u /* what the handler itself may take */

static void
handle(int number)
{
	for (int i = 0; i < 20; i++) {
		char *range = mmap(NULL, RANGE_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (range == MAP_FAILED)
			_exit(3 + (number == 0));
		range[0] = 1;
		if (munmap(range, RANGE_BYTES) != 0)
			_exit(4);
	}
}

int
main(void)
{
	volatile unsigned char memory[BELOW_BYTES + MOST_BYTES];
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
	unsigned long frame = getauxval(AT_MINSIGSTKSZ);
	stack_t alternate = {.ss_sp = (void *)(memory + BELOW_BYTES)};

	alternate.ss_size = (frame ? frame : (unsigned long)MINSIGSTKSZ) + HANDLER_BYTES;
	if (alternate.ss_size > MOST_BYTES)
		return 5;
	memset((void *)memory, 0xa5, sizeof(memory));
	if (sigaltstack(&alternate, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0 ||
	    raise(SIGUSR1) != 0)
		return 6;
	for (size_t i = 0; i < BELOW_BYTES; i++)
		if (memory[i] != 0xa5)
			return 7;
	return puts("ok") < 0;
}
