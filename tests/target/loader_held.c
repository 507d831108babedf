/* One thread sits in a dl_iterate_phdr callback, in the constructor of a plugin or in an atfork
 * handler; meanwhile another allocates, maps, walks, makes threads and releases, and only then lets
 * the first go: loader_held PLUGIN. A hook that waited for the first would wait for ever. */
#include "tests/target/truth.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/wait.h>

#define BLOCKS 2000

static int entered[2], go[2];
static const char *plugin;
static volatile int in_atfork;

static void
stay(void)
{
	char byte = 0;

	if (write(entered[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
		truth_die("waiting");
}

static int
stay_in_callback(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)info;
	(void)size;
	(void)unused;
	stay();
	return 1;
}

static void *
iterate(void *unused)
{
	dl_iterate_phdr(stay_in_callback, NULL);
	return unused;
}

static void *
load(void *unused)
{
	void *handle = dlopen(plugin, RTLD_NOW);

	if (!handle)
		truth_die(dlerror());
	dlclose(handle);
	return unused;
}

static void
stay_before_fork(void)
{
	if (in_atfork)
		stay();
}

static void *
fork_slowly(void *unused)
{
	pid_t child;
	int status;

	in_atfork = 1;
	child = fork();
	if (child == 0)
		_exit(6);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 6)
		truth_die("fork");
	in_atfork = 0;
	return unused;
}

static NOINLINE char *
make_meanwhile(void)
{
	return malloc(7000);
}

static NOINLINE char *
map_meanwhile(void)
{
	return truth_mapped(
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void *
work(void *unused)
{
	for (int i = 0; i < BLOCKS; i++) {
		char *block = make_meanwhile();
		char *range = map_meanwhile();

		block[0] = range[0] = 1;
		munmap(range, 2 * PAGE);
		free(block);
	}
	return unused;
}

static void
hold(void *(*how)(void *), int may_make_threads)
{
	pthread_t holder, worker;
	char byte = 0;

	if (pthread_create(&holder, NULL, how, NULL) != 0 || read(entered[0], &byte, 1) != 1)
		truth_die("starting");
	if (may_make_threads) {
		if (pthread_create(&worker, NULL, work, NULL) != 0)
			truth_die("pthread_create");
		pthread_join(worker, NULL);
	} else {
		work(NULL);
	}
	if (write(go[1], &byte, 1) != 1)
		truth_die("write");
	pthread_join(holder, NULL);
}

int
main(int argc, char **argv)
{
	char text[16];

	plugin = argc > 1 ? argv[1] : "";
	alarm(60);
	if (pipe(entered) != 0 || pipe(go) != 0 ||
	    pthread_atfork(stay_before_fork, NULL, NULL) != 0)
		truth_die("setting up");
	snprintf(text, sizeof(text), "%d", entered[1]);
	setenv("PLUGIN_ENTERED", text, 1);
	snprintf(text, sizeof(text), "%d", go[0]);
	setenv("PLUGIN_GO", text, 1);
	hold(iterate, 1);
	hold(load, 0); /* the C library itself waits for the loader when a thread begins */
	hold(fork_slowly, 1);
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "make_meanwhile",
	    .count = 3 * BLOCKS,
	    .total_reserved_bytes = (size_t)3 * BLOCKS * 7000,
	    .released_bytes = (size_t)3 * BLOCKS * 7000,
	});
	return truth_end("loader_held");
}
