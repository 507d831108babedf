/* A vfork child locks itself in by a seccomp filter, under which a system call that it does not
 * make itself kills it, and leaves by exec or _exit. Its parent, not locked in, maps and unmaps
 * touched memory before and after. */
#include "tests/target/truth.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHILDREN 8
#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(mmap),
    ALLOW(munmap),
    ALLOW(execve),
    ALLOW(exit_group),
    ALLOW(seccomp),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
static const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

static NOINLINE void
release(char *range)
{
	munmap(range, MIB);
}

static NOINLINE void
map_and_release(void)
{
	char *range = truth_mapped(
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	truth_touch(range, MIB, 2 * PAGE);
	release(range);
}

/* Half of them try an exec that fails first; then one under the filter ends in the loader, which
 * needs more calls than there are. */
static void
be_child(int number)
{
	char *const arguments[] = {"true", NULL};
	char *const environment[] = {NULL};

	if (number % 2 == 0)
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
	else
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
	map_and_release();
	if (number % 4 < 2) {
		execve("/nonexistent/program", arguments, environment);
		map_and_release();
		_exit(errno == ENOENT ? 7 : 8);
	}
	execve("/bin/true", arguments, environment);
	_exit(9);
}

int
main(void)
{
	for (volatile int i = 0; i < CHILDREN; i++) {
		int status;
		pid_t child;

		map_and_release();
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		child = vfork();
		if (child == 0)
			be_child(i);
		if (child < 0 || waitpid(child, &status, 0) != child)
			truth_die("vfork");
		if (i % 4 < 2 ? !WIFEXITED(status) || WEXITSTATUS(status) != 7
			      : !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			truth_die("the child");
		map_and_release();
	}
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = "map_and_release",
	    .count = 3 * CHILDREN + CHILDREN / 2,
	    .total_reserved_bytes = (3 * CHILDREN + CHILDREN / 2) * MIB,
	    .released_bytes = (3 * CHILDREN + CHILDREN / 2) * MIB,
	    .released_committed_bytes = 2 * CHILDREN * MIB / 2,
	});
	return truth_end("vfork_filter");
}
