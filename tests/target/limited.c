/*
 * Tries what limits can refuse, a little of each, and prints what came of it, a line each. Ends
 * with status 0 whatever was refused. limited FILE: the file that it writes to.
 */
#include "tests/target/truth.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *
in_words(bool done)
{
	return done ? "done" : "refused";
}

static void
try_memory(void)
{
	void *volatile block;
	void *map;
	int blocks = 0;

	printf("lock all %s\n", in_words(mlockall(MCL_CURRENT) == 0));
	munlockall();
	while (blocks < 4 && (block = malloc(4 * MIB)) != NULL)
		blocks++;
	map = mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("blocks %d\n16 MiB %s\n", blocks, in_words(map != MAP_FAILED));
	block = malloc(64 * KIB);
	printf("lock %s\n", in_words(block != NULL && mlock(block, 64 * KIB) == 0));
}

static void *
nothing(void *argument)
{
	return argument;
}

static void
try_processes(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int status = -1;
	pid_t child;
	bool made;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 * KIB);
	made = pthread_create(&thread, &attributes, nothing, NULL) == 0 &&
	       pthread_join(thread, NULL) == 0;
	printf("thread %s\n", in_words(made));
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(7);
	made = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 7;
	printf("child %s\n", in_words(made));
}

static void
try_files(const char *path)
{
	static char page[PAGE];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int files = 0;
	int pages = 0;

	signal(SIGXFSZ, SIG_IGN);
	while (pages < 8 && fd >= 0 && write(fd, page, sizeof(page)) == (ssize_t)sizeof(page))
		pages++;
	while (files < 6 && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		files++;
	printf("pages %d\nfiles %d\n", pages, files);
	unlink(path);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	try_memory();
	try_processes();
	try_files(argv[1]);
	return 0;
}
