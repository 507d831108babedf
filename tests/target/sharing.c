/* A parent whose child has the same pages: of 32 MiB touched before the fork the parent writes to
 * 12 MiB afterwards, which are its own then; 8 MiB are mapped shared. Says "ready", and waits for
 * the end of its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

__attribute__((noinline)) static char *
map_touched(size_t bytes, int flags)
{
	char *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (range == MAP_FAILED)
		_exit(77);
	madvise(range, bytes, MADV_NOHUGEPAGE);
	memset(range, 1, bytes);
	return range;
}

/* Has the shared pages as well, says so, and lives for as long as the parent does. */
static void
be_child(int from_parent, int to_parent, const volatile char *shared)
{
	char byte;

	for (size_t at = 0; at < 8 * MIB; at += 4096)
		(void)shared[at];
	if (write(to_parent, "", 1) != 1)
		_exit(1);
	while (read(from_parent, &byte, 1) < 0)
		;
	_exit(0);
}

int
main(void)
{
	char *private = map_touched(32 * MIB, MAP_PRIVATE);
	char *shared = map_touched(8 * MIB, MAP_SHARED);
	int line[2], told[2];
	char byte;
	pid_t child;

	if (pipe(line) < 0 || pipe(told) < 0)
		return 1;
	child = fork();
	if (child == 0) {
		close(line[1]);
		be_child(line[0], told[1], shared);
	}
	if (child < 0 || read(told[0], &byte, 1) != 1)
		return 1;
	memset(private, 2, 12 * MIB);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	close(line[1]);
	return waitpid(child, NULL, 0) == child ? 0 : 1;
}
