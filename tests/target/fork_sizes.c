/* A fork child that touches I MiB and exits with them, for each I from 1 to its argument, one after
 * the other; and after each, one that does nothing. */
#include "tests/target/truth.h"

#include <sys/wait.h>

int
main(int argc, char **argv)
{
	int children = argc > 1 ? atoi(argv[1]) : 8;

	for (int i = 2; i < 2 * children + 2; i++) {
		size_t bytes = i % 2 ? 0 : (size_t)i / 2 * MIB;
		pid_t child = fork();

		if (child < 0)
			truth_die("fork");
		if (child == 0) {
			char *volatile block = bytes ? malloc(bytes) : NULL;

			for (size_t at = 0; block != NULL && at < bytes; at += PAGE)
				((volatile char *)block)[at] = 1;
			_exit(0);
		}
		if (waitpid(child, NULL, 0) != child)
			truth_die("waitpid");
	}
	return 0;
}
