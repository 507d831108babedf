/* Has 64 MiB in blocks of malloc, written to, and does what it is told, a byte on standard input
 * for each: f frees all but each 64th and the last, so that RSS stays; g gets 48 MiB more and
 * writes nothing there; m maps 30 MiB and writes them, d gives them back but keeps the range; k
 * kills itself. None of it is in huge pages. Says a line when it is ready, and after each but k. */
#include "tests/target/truth.h"

#include <signal.h>
#include <sys/prctl.h>

#define BLOCK 3000
#define COUNT (64 * MIB / BLOCK)
#define MORE (48 * MIB / BLOCK)

static char *rows[COUNT];
static char *volatile sessions[MORE]; /* nobody reads them */

static NOINLINE void
parse_rows(void)
{
	for (size_t i = 0; i < COUNT; i++)
		truth_touch(rows[i] = malloc(BLOCK), BLOCK, 1000);
}

static NOINLINE void
free_rows(void)
{
	for (size_t i = 0; i + 1 < COUNT; i++)
		if (i % 64 != 0)
			free(rows[i]);
}

static NOINLINE void
open_sessions(void)
{
	for (size_t i = 0; i < MORE; i++)
		sessions[i] = malloc(BLOCK);
}

static NOINLINE char *
map_table(void)
{
	return truth_mapped(
	    mmap(NULL, 30 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
main(void)
{
	char *table = NULL;
	char order;

	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
		return 1;
	parse_rows();
	truth_say("freed");
	while (read(0, &order, 1) == 1) {
		if (order == 'f')
			free_rows();
		else if (order == 'g')
			open_sessions();
		else if (order == 'm')
			truth_touch(table = map_table(), 30 * MIB, PAGE);
		else if (order == 'd')
			madvise(table, 30 * MIB, MADV_DONTNEED);
		else if (order == 'k')
			raise(SIGKILL);
		truth_say("freed");
	}
	return 0;
}
