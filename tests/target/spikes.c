/* Rests, has much memory for no longer than it takes to write it, by the way that is asked for, and
 * ends. Says what the kernel counts as its largest RSS: spikes WAY MEBIBYTES */
#include "tests/target/truth.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define BLOCK 3000
#define BLOCKS_MOST 100000

static char *blocks[BLOCKS_MOST];

static void
rest(long milliseconds)
{
	struct timespec left = {0, milliseconds * 1000000};

	while (nanosleep(&left, &left) != 0)
		;
}

static NOINLINE void
spike_mmap(size_t bytes)
{
	char *range = truth_mapped(
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	truth_touch(range, bytes, PAGE);
	munmap(range, bytes);
}

static NOINLINE void
spike_brk(size_t bytes)
{
	char *range = sbrk((intptr_t)bytes);

	truth_touch(range, bytes, PAGE);
	sbrk(-(intptr_t)bytes);
}

static NOINLINE void
spike_malloc(size_t bytes)
{
	char *range = malloc(bytes);

	truth_touch(range, bytes, PAGE);
	free(range);
}

static NOINLINE void
spike_blocks(size_t bytes)
{
	size_t count = bytes / BLOCK < BLOCKS_MOST ? bytes / BLOCK : BLOCKS_MOST;

	for (size_t i = 0; i < count; i++)
		truth_touch(blocks[i] = malloc(BLOCK), BLOCK, 1000);
	for (size_t i = 0; i < count; i++)
		free(blocks[i]);
}

static void
say(const char *who)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	dprintf(1, "%s %ld %d\n", who, usage.ru_maxrss * 1024, (int)getpid());
}

static void
in_child(size_t bytes)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		free(malloc(BLOCK));
		rest(100);
		spike_mmap(bytes);
		say("child");
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		truth_die("fork");
}

int
main(int argc, char **argv)
{
	const char *way = argc > 2 ? argv[1] : "mmap";
	size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) * MIB : MIB;
	bool ends = strcmp(way, "exit") == 0 || strcmp(way, "_exit") == 0;

	rest(300);
	if (strcmp(way, "brk") == 0)
		spike_brk(bytes);
	else if (strcmp(way, "malloc") == 0)
		spike_malloc(bytes);
	else if (strcmp(way, "blocks") == 0)
		spike_blocks(bytes);
	else if (strcmp(way, "child") == 0)
		in_child(bytes);
	else
		spike_mmap(bytes);
	if (!ends && strcmp(way, "exec") != 0)
		rest(200);
	say("self");
	if (strcmp(way, "exec") == 0)
		execl("/bin/true", "true", (char *)NULL);
	if (strcmp(way, "_exit") == 0)
		_exit(0);
	return 0;
}
