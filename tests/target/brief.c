/* Takes 32 MiB, lives for some milliseconds, and leaves in the way that argv[1] says. */
#include "tests/target/truth.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#define LENGTH (32 * MIB)

static NOINLINE char *
map_brief(void)
{
	return truth_mapped(
	    mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void *
exit_from_thread(void *nothing)
{
	(void)nothing;
	exit(7);
}

static void *
outlive_main(void *nothing)
{
	(void)nothing;
	return NULL;
}

static void
leave(const char *way)
{
	pthread_t thread;

	if (strcmp(way, "exit") == 0)
		exit(7);
	if (strcmp(way, "_exit") == 0)
		_exit(7);
	if (strcmp(way, "_Exit") == 0)
		_Exit(7);
	if (strcmp(way, "quick_exit") == 0)
		quick_exit(7);
	if (strcmp(way, "exit_group") == 0)
		syscall(SYS_exit_group, 7);
	if (strcmp(way, "thread") == 0 &&
	    pthread_create(&thread, NULL, exit_from_thread, NULL) == 0)
		pthread_join(thread, NULL);
	if (strcmp(way, "pthread_exit") == 0 &&
	    pthread_create(&thread, NULL, outlive_main, NULL) == 0)
		pthread_exit(NULL);
	if (strcmp(way, "abort") == 0)
		abort();
	if (strcmp(way, "kill") == 0)
		kill(getpid(), SIGKILL);
}

int
main(int argc, char **argv)
{
	truth_touch(map_brief(), LENGTH, PAGE);
	if (argc > 1)
		leave(argv[1]);
	return 7;
}
