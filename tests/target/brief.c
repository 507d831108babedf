/* Takes 32 MiB, lives for some milliseconds, and leaves in the way that argv[1] says. */
#include "tests/target/truth.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
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

/* Until the stack is used up. */
static NOINLINE size_t
descend(volatile char *above, size_t depth)
{
	volatile char here[PAGE];

	here[0] = above[0];
	return depth == SIZE_MAX ? 0 : descend(here, depth + 1) + (size_t)here[0];
}

static void *
overflow_in_thread(void *bottom)
{
	descend(bottom, 0);
	return NULL;
}

static void *
exec_from_thread(void *nothing)
{
	execl("/bin/true", "true", NULL);
	return nothing;
}

/* More than the limit allows is refused, to the program and to whoever else maps in it. */
static void
use_up_address_space(void)
{
	struct rlimit limit = {256 * MIB, 256 * MIB};
	size_t blocks = 0;

	setrlimit(RLIMIT_AS, &limit);
	while (malloc(MIB) != NULL)
		blocks++;
	while (malloc(100) != NULL)
		blocks++;
	exit(blocks > 0 ? 7 : 8);
}

static void
leave_by_fault(const char *way)
{
	pthread_t thread;
	char bottom = 0;

	if (strcmp(way, "segv") == 0)
		*(volatile char *)16 = 1;
	if (strcmp(way, "overflow") == 0)
		descend(&bottom, 0);
	if (strcmp(way, "overflow_thread") == 0 &&
	    pthread_create(&thread, NULL, overflow_in_thread, &bottom) == 0)
		pthread_join(thread, NULL);
	if (strcmp(way, "exec_thread") == 0 &&
	    pthread_create(&thread, NULL, exec_from_thread, NULL) == 0)
		pthread_join(thread, NULL);
	if (strcmp(way, "address_space") == 0)
		use_up_address_space();
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
	if (argc > 1) {
		leave_by_fault(argv[1]);
		leave(argv[1]);
	}
	return 7;
}
