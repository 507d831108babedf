/*
 * own_users.c: a child in a user namespace of its own uses memory, forks and executes
 *
 * Usage: own_users WAY KINDS. WAY is how the child comes there: clone, raw_clone, unshare or
 * raw_unshare. KINDS are letters of the namespaces that it gets beside: m (mounts), p (processes).
 * Prints what each process saw. Status 0, or 77: no leave for it.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAPPED_BYTES (1u << 20)
#define BLOCK_BYTES 700000u

enum { FAILED = 1, OF_GRANDCHILD = 5, NO_LEAVE = 77 };

static const char *program;
static int kinds = CLONE_NEWUSER;

static int
wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return FAILED;
	return WEXITSTATUS(status);
}

static void
use_memory(const char *who)
{
	void *mapped =
	    mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *block = malloc(BLOCK_BYTES);
	int unmapped, error;

	if (mapped == MAP_FAILED || !block)
		_exit(FAILED);
	memset(mapped, 1, MAPPED_BYTES);
	memset(block, 1, BLOCK_BYTES);
	free(block);
	errno = E2BIG;
	unmapped = munmap(mapped, MAPPED_BYTES);
	error = errno;
	printf("%s, user %u: munmap %d, error %d\n", who, getuid(), unmapped, error);
	fflush(stdout);
}

static int
be_child(void *unused)
{
	pid_t pid;

	(void)unused;
	use_memory("child");
	pid = fork();
	if (pid == 0) {
		use_memory("grandchild");
		_exit(OF_GRANDCHILD);
	}
	printf("grandchild: %d\n", wait_for(pid));
	if (kinds & CLONE_NEWNS) {
		printf("mount %d", mount("none", "/mnt", "tmpfs", 0, NULL));
		printf(", umount %d\n", umount("/mnt"));
	}
	fflush(stdout);
	execl(program, program, "successor", NULL);
	return FAILED;
}

static _Noreturn void
enter(const char *way)
{
	if ((strcmp(way, "unshare") == 0 ? unshare(kinds) : (int)syscall(SYS_unshare, kinds)) < 0)
		_exit(NO_LEAVE);
	_exit(be_child(NULL));
}

static pid_t
make_child(const char *way)
{
	static _Alignas(16) char stack[1 << 18];
	pid_t pid;

	if (strcmp(way, "clone") == 0)
		return clone(be_child, stack + sizeof(stack), kinds | SIGCHLD, NULL);
	if (strcmp(way, "raw_clone") == 0) {
		pid = (pid_t)syscall(SYS_clone, kinds | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0)
			_exit(be_child(NULL));
		return pid;
	}
	pid = fork();
	if (pid == 0)
		enter(way);
	return pid;
}

int
main(int argc, char **argv)
{
	pid_t pid;
	int status;

	program = argv[0];
	if (argc == 2) {
		use_memory(argv[1]);
		return 0;
	}
	kinds |= strchr(argv[2], 'm') ? CLONE_NEWNS : 0;
	kinds |= strchr(argv[2], 'p') ? CLONE_NEWPID : 0;
	pid = make_child(argv[1]);
	if (pid < 0)
		return NO_LEAVE;
	status = wait_for(pid);
	printf("child: %d\n", status);
	use_memory("parent");
	return status;
}
