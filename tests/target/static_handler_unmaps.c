/* A signal handler unmaps whatever a file of a trace is mapped in, while its thread makes memory
 * calls. Prints "ok" after 1,000 more of them. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define BYTES ((size_t)8 * 4096)
#define ROUNDS 1000

static struct {
	char *low, *high;
} ranges[64];
static int count;
static volatile int is_done;

static void
find_ranges(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4200];

	while (maps && fgets(line, sizeof(line), maps) && count < 64)
		if (strstr(line, ".vmt") && sscanf(line, "%p-%p", (void **)&ranges[count].low,
						   (void **)&ranges[count].high) == 2)
			count++;
	if (maps)
		fclose(maps);
}

static void
handle(int number)
{
	(void)number;
	for (int i = 0; i < count; i++)
		munmap(ranges[i].low, (size_t)(ranges[i].high - ranges[i].low));
	is_done = 1;
}

int
main(void)
{
	const struct itimerval once = {{0, 0}, {0, 3000}};
	struct sigaction action = {.sa_handler = handle};

	find_ranges();
	if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &once, NULL) != 0)
		return 3;
	for (int after = 0; after < ROUNDS; after += is_done) {
		char *range =
		    mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (range == MAP_FAILED)
			return 4;
		range[0] = 1;
		if (munmap(range, BYTES) != 0)
			return 5;
	}
	return printf("ok %d\n", count) < 0;
}
