/* Allocates before main, as early as a program can: from .preinit_array, before any library's
 * constructor, and from a constructor. Those blocks are freed and grown by main. */
#include "tests/target/truth.h"

static char *earliest, *early;
static char *late_range;

static NOINLINE void
allocate_earliest(void)
{
	earliest = malloc(70000);
	memset(earliest, 1, 70000);
	late_range =
	    mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	free(calloc(3, 1000));
}

__attribute__((section(".preinit_array"),
	       used)) static void (*const preinit)(void) = allocate_earliest;

__attribute__((constructor)) static void
allocate_early(void)
{
	early = calloc(1, 90000);
	early[0] = 1;
}

int
main(void)
{
	char *grown = realloc(earliest, 200000);

	if (!grown || grown[69999] != 1 || early[0] != 1)
		truth_die("early block");
	free(early);
	free(grown);
	if (late_range == MAP_FAILED || munmap(late_range, 64 * PAGE) != 0)
		truth_die("early range");
	truth_figure("survived", 1);
	return truth_end("malloc_before_main");
}
