/* A program that loads no library: static_successor [MS]. Touches 64 MiB, stands for so many
 * milliseconds, and ends with status 37. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BYTES ((size_t)64 << 20)

int
main(int argc, char **argv)
{
	long ms = argc > 1 ? atol(argv[1]) : 0;
	struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
	char *range = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (range == MAP_FAILED)
		return 1;
	memset(range, 1, BYTES);
	nanosleep(&pause, NULL);
	return 37;
}
