/* A child shares its parent's touched memory, writes to a part of it, which commits nothing new,
 * and touches a part of what its parent has reserved alone: fork_share. Each says its pid. */
#include "tests/target/truth.h"

#include <sys/wait.h>

static NOINLINE char *
map_before(void)
{
	return truth_mapped(mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static NOINLINE char *
map_in_child(void)
{
	return truth_mapped(
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
main(void)
{
	char *touched = map_before();
	char *reserved = map_before();
	pid_t child;

	truth_touch(touched, 16 * MIB, PAGE);
	child = fork();
	if (child == 0) {
		truth_touch(map_in_child(), MIB, PAGE);
		truth_touch(touched, 8 * MIB, PAGE);
		truth_touch(reserved, 4 * MIB, PAGE);
		exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		truth_die("fork");
	truth_figure("child", child);
	return truth_end("fork_share");
}
