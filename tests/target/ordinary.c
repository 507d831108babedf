/*
 * Does a little of everything that touches memory, checks the content of every byte that it wrote,
 * and says what it sees of itself: the same line, whatever watches it. argv[1] "again": the same as
 * the new image of a child.
 */
#include "tests/target/truth.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define BLOCKS 24

extern char **environ;

/* Descriptors that are open, in decimal digits of a number; and what signals do. */
static void
say_self(const char *who)
{
	char line[512];
	int used = snprintf(line, sizeof(line), "%s: errno %d, open", who, errno);
	unsigned blocked = 0;
	sigset_t mask;

	for (int fd = 0; fd < 24; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			used += snprintf(line + used, sizeof(line) - (size_t)used, " %d", fd);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int number = 1; number < 32; number++)
		blocked |= (unsigned)(sigismember(&mask, number) == 1) << number;
	used += snprintf(line + used, sizeof(line) - (size_t)used, ", blocked %#x\n", blocked);
	if (write(1, line, (size_t)used) != used)
		_exit(98);
}

static void
check(const char *bytes, size_t length, char value)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != value)
			truth_die("content");
}

static void
use_blocks(void)
{
	static char *blocks[BLOCKS];

	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(i * 1997 + 1);
		memset(blocks[i], (int)i & 127, i * 1997 + 1);
	}
	for (size_t i = 0; i < BLOCKS; i += 2) {
		blocks[i] = realloc(blocks[i], i * 4001 + 1);
		check(blocks[i], i * 1997 + 1, (char)(i & 127));
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		check(blocks[i], i * 1997 + 1, (char)(i & 127));
		free(blocks[i]);
	}
}

static void
use_ranges(void)
{
	char *range = truth_mapped(
	    mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	memset(range, 5, 64 * PAGE);
	if (madvise(range, 16 * PAGE, MADV_DONTNEED) != 0 ||
	    mprotect(range, PAGE, PROT_READ) != 0 || munmap(range + 60 * PAGE, 4 * PAGE) != 0)
		truth_die("a call on a range");
	range = truth_mapped(mremap(range + PAGE, 59 * PAGE, 200 * PAGE, MREMAP_MAYMOVE));
	check(range, 15 * PAGE, 0);
	check(range + 15 * PAGE, 44 * PAGE, 5);
	munmap(range, 200 * PAGE);
	if (sbrk((intptr_t)PAGE) == (void *)-1)
		truth_die("sbrk");
}

static void *
use_memory(void *nothing)
{
	use_blocks();
	use_ranges();
	return nothing;
}

static void
use_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, use_memory, NULL) != 0 || pthread_join(thread, NULL) != 0)
		truth_die("thread");
}

static void
wait_for(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 3)
		truth_die("child");
}

static void
use_children(const char *self)
{
	char *argv[] = {(char *)(uintptr_t)self, "again", NULL};
	pid_t child = fork();

	if (child == 0) {
		use_memory(NULL);
		say_self("fork");
		_exit(3);
	}
	wait_for(child);
	if (posix_spawn(&child, self, NULL, NULL, argv, environ) != 0)
		truth_die("posix_spawn");
	wait_for(child);
	if (waitpid(-1, NULL, 0) != -1 || errno != ECHILD)
		truth_die("nobody left to wait for");
	errno = 0;
}

int
main(int argc, char **argv)
{
	say_self(argc > 1 ? argv[1] : "first");
	use_memory(NULL);
	use_thread();
	void *library = dlopen("libutil.so.1", RTLD_NOW);

	if (library != NULL)
		dlclose(library);
	errno = 0;
	if (argc == 1)
		use_children(argv[0]);
	say_self("last");
	return 3;
}
