/*
 * moments: is asked for its moments one after another. For each line of input it does what the line
 * says, and prints the line when it is done: "spike" (60 MiB mapped and written), "drop"
 * (unmapped), "keep" (20 MiB mapped and written, and kept).
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define SPIKE_BYTES ((size_t)60 << 20)
#define KEPT_BYTES ((size_t)20 << 20)

__attribute__((noinline)) static char *
map_spike(void)
{
	char *memory =
	    mmap(NULL, SPIKE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memset(memory, 1, SPIKE_BYTES);
}

__attribute__((noinline)) static char *
map_kept(void)
{
	char *memory =
	    mmap(NULL, KEPT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memset(memory, 1, KEPT_BYTES);
}

int
main(void)
{
	char *spike = NULL;
	char line[64];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "spike\n") == 0)
			spike = map_spike();
		if (strcmp(line, "drop\n") == 0 && munmap(spike, SPIKE_BYTES) != 0)
			return 1;
		if (strcmp(line, "keep\n") == 0 && !map_kept())
			return 1;
		fputs(line, stdout);
		fflush(stdout);
	}
	return 0;
}
