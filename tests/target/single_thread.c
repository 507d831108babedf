/* What only a process with one thread may do, what a child that borrows memory but has no thread
 * area may, and what a program whose main thread leaves first does; each with its result: to be the
 * same bare and preloaded. */
#include "tests/target/truth.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
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

static int
leave(void *unused)
{
	(void)unused;
	_exit(chdir("/") == 0 ? 25 : 26);
}

/* As Chromium's sandbox gives up its file system: the child's thread area is a buffer of zeros on
 * the parent's memory, and below it lies what is not the child's. */
static void
borrow_memory(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	static char area[8192] __attribute__((aligned(64)));
	const size_t below = sizeof(area) / 2;
	size_t kept = 0;
	int status = 0;
	pid_t child;

	memset(area, 0x5a, below);
	child = clone(leave, stack + sizeof(stack),
		      CLONE_VM | CLONE_VFORK | CLONE_FS | CLONE_SETTLS | SIGCHLD, NULL, NULL,
		      area + below);
	waitpid(child, &status, 0);
	say("without a thread area", status);
	while (kept < below && area[kept] == 0x5a)
		kept++;
	say("kept below it", (int)kept);
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
	borrow_memory();
	say("nobody left of any kind", waitpid(-1, NULL, __WALL));
	try_namespaces("user");
	try_namespaces("mnt");
	try_namespaces("pid");
	say("unshare", unshare(CLONE_NEWUSER));
	main_thread = pthread_self();
	if (pthread_create(&thread, NULL, outlive_main, &main_thread) != 0)
		truth_die("pthread_create");
	pthread_exit(NULL);
}
