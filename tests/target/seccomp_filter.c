/* Installs a filter that kills at every system call but the few that the program itself still
 * makes; goes on mapping, advising and allocating, and leaves. */
#include "tests/target/truth.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void
install_filter(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    ALLOW(mmap),
	    ALLOW(munmap),
	    ALLOW(madvise),
	    ALLOW(mprotect),
	    ALLOW(brk),
	    ALLOW(read),
	    ALLOW(write),
	    ALLOW(exit_group),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		truth_die("seccomp");
}

static NOINLINE char *
map_filtered(void)
{
	return truth_mapped(
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE char *
block_filtered(void)
{
	return malloc(300000);
}

int
main(void)
{
	int pid = (int)getpid();

	free(block_filtered()); /* the first one makes calls that the filter forbids */
	install_filter();
	for (int i = 0; i < 200; i++) {
		char *range = map_filtered();
		char *block = block_filtered();

		*(volatile char *)range = *(volatile char *)block = 1;
		madvise(range, MIB, MADV_DONTNEED);
		free(block);
		munmap(range, MIB);
	}
	truth_add(&truth_line, "{\"program\":\"seccomp_filter\",\"pid\":%d,\"figures\":{}}\n", pid);
	if (write(1, truth_line.bytes, truth_line.used) != (ssize_t)truth_line.used)
		return 1;
	truth_stand_still();
	return 0;
}
