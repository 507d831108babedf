/*
 * killed_for: runs a command that the kernel kills when it makes one system call
 *
 * Usage: killed_for memfd_create|fstatfs|perf_event_open COMMAND...
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned
number_of(const char *name)
{
	static const struct {
		const char *name;
		unsigned number;
	} calls[] = {{"memfd_create", SYS_memfd_create},
		     {"fstatfs", SYS_fstatfs},
		     {"perf_event_open", SYS_perf_event_open}};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (strcmp(name, calls[i].name) == 0)
			return calls[i].number;
	_exit(2);
}

int
main(int argc, char **argv)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number_of(argc > 2 ? argv[1] : ""), 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 2;
	execvp(argv[2], argv + 2);
	return 2;
}
