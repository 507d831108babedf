/* Memory calls by libc's syscall(), with their errno, and calls that must pass it untouched: one
 * with six arguments, one that returns twice. */
#include "tests/target/truth.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LENGTH (4 * MIB)

static NOINLINE char *
map_raw(void)
{
	return truth_mapped((void *)syscall(SYS_mmap, NULL, LENGTH, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L));
}

static NOINLINE void
advise_raw(char *range, size_t length)
{
	if (syscall(SYS_madvise, range, length, MADV_DONTNEED) != 0)
		truth_die("madvise");
}

static void
fail_raw(void)
{
	errno = 0;
	if (syscall(SYS_munmap, 1L, PAGE) != -1 || errno != EINVAL)
		truth_die("munmap of an odd address");
	if (syscall(SYS_close, -1) != -1 || errno != EBADF)
		truth_die("close of no descriptor");
	if (syscall(SYS_mmap, NULL, 0L, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L) != -1 ||
	    errno != EINVAL)
		truth_die("mmap of nothing");
	errno = 55;
	if (syscall(SYS_getpid) != getpid() || errno != 55)
		truth_die("errno of a call that succeeded");
}

static void
fork_raw(void)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
	int status;

	if (child == 0) {
		free(malloc(100000));
		syscall(SYS_exit_group, 5);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 5)
		truth_die("raw clone");
}

int
main(void)
{
	struct truth_site site = {.kind = "mmap", .function = "map_raw"};
	char *range = map_raw();
	char *other = map_raw();

	truth_touch(range, LENGTH, PAGE);
	truth_touch(other, LENGTH, PAGE);
	site.released_committed_bytes = truth_present(range, MIB) + truth_present(other, LENGTH);
	advise_raw(range, MIB);
	if (syscall(SYS_munmap, other, LENGTH) != 0)
		truth_die("munmap");
	if (syscall(SYS_mprotect, range + 3 * MIB, MIB, PROT_NONE) != 0)
		truth_die("mprotect");
	fail_raw();
	fork_raw();
	site.count = 2;
	site.live_count = 1;
	site.total_reserved_bytes = 2 * LENGTH;
	site.released_bytes = LENGTH;
	site.reserved_bytes = LENGTH;
	site.accessible_bytes = 3 * MIB;
	site.committed_bytes = truth_present(range, LENGTH);
	truth_site(&site);
	return truth_end("raw_syscalls");
}
