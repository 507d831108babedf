/* What only a process with one thread may do, and what a program whose main thread leaves first
 * does; each with its result: to be the same bare and preloaded. */
#include "tests/target/truth.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

static void
say(const char *what, int result)
{
	dprintf(1, "%s %d %d\n", what, result, result < 0 ? errno : 0);
}

/* A zygote: sandboxes itself, then makes children as it is asked to. */
static void
be_zygote(void)
{
	int status = 0;
	pid_t child;

	say("unshare in zygote", unshare(CLONE_NEWUSER));
	say("pid namespace", unshare(CLONE_NEWPID));
	child = fork();
	if (child == 0) {
		free(malloc(100000));
		say("pid of child", getpid() == 1);
		_exit(21);
	}
	waitpid(child, &status, 0);
	say("child of zygote", WEXITSTATUS(status));
	_exit(22);
}

static void
try_namespaces(const char *name)
{
	char path[64];
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)getppid(), name);
		say(name, setns(open(path, O_RDONLY | O_CLOEXEC), 0));
		_exit(23);
	}
	waitpid(child, &status, 0);
	say("child", WEXITSTATUS(status));
}

static void *
outlive_main(void *main_thread)
{
	pthread_join(*(pthread_t *)main_thread, NULL);
	free(malloc(100000));
	say("last thread", 0);
	exit(24);
}

int
main(void)
{
	static pthread_t main_thread;
	pthread_t thread;
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		be_zygote();
	waitpid(child, &status, 0);
	say("zygote", WEXITSTATUS(status));
	try_namespaces("user");
	try_namespaces("mnt");
	try_namespaces("pid");
	say("unshare", unshare(CLONE_NEWUSER));
	main_thread = pthread_self();
	if (pthread_create(&thread, NULL, outlive_main, &main_thread) != 0)
		truth_die("pthread_create");
	pthread_exit(NULL);
}
