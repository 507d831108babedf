/* Takes 16 MiB in one place, then more and more in another: argv[1] MiB altogether, after which it
 * says so and stands still, or until the kernel puts an end to it. */
#include "tests/target/truth.h"

static NOINLINE char *
take_base(void)
{
	return truth_mapped(
	    mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE char *
starve_more(void)
{
	return truth_mapped(
	    mmap(NULL, 256 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
main(int argc, char **argv)
{
	size_t most = argc > 1 ? (size_t)atol(argv[1]) * MIB : SIZE_MAX;

	truth_touch(take_base(), 16 * MIB, PAGE);
	for (size_t taken = 16 * MIB; taken < most; taken += 256 * KIB) {
		truth_touch(starve_more(), 256 * KIB, PAGE);
		usleep(2000);
	}
	return truth_end("starve");
}
