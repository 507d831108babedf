/* Forks while another thread holds the loader's list lock, after a dlopen, and lets it go as soon
 * as it has forked. In the child the lock stays taken for ever: it allocates and leaves by exit. */
#include "tests/target/truth.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/wait.h>

static int ends[2];
static int entered[2];

static int
hold(struct dl_phdr_info *info, size_t size, void *context)
{
	char byte = 0;

	(void)info;
	(void)size;
	(void)context;
	if (write(entered[1], &byte, 1) != 1)
		truth_die("write");
	return (int)read(ends[0], &byte, 1);
}

static void
let_go(void)
{
	char byte = 0;

	if (write(ends[1], &byte, 1) != 1)
		truth_die("write");
}

static void *
iterate(void *argument)
{
	(void)argument;
	dl_iterate_phdr(hold, NULL);
	return NULL;
}

int
main(void)
{
	pthread_t thread;
	int status = 0;
	char byte = 0;
	pid_t child;

	if (!dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL) || pipe(ends) != 0 || pipe(entered) != 0 ||
	    pthread_atfork(NULL, let_go, NULL) != 0 ||
	    pthread_create(&thread, NULL, iterate, NULL) != 0)
		truth_die("setting up");
	if (read(entered[0], &byte, 1) != 1)
		truth_die("read");
	child = fork();
	if (child == 0) {
		void *volatile block = malloc(100000);

		alarm(20);
		free(block);
		exit(3);
	}
	waitpid(child, &status, 0);
	pthread_join(thread, NULL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}
