/*
 * refused.c: a program in a process that the kernel refuses something.
 *
 * Usage: refused WHAT PROGRAM [ARGUMENT...]. WHAT is "read": process_vm_readv fails with EPERM, for
 * the process and all that it starts, as Yama's ptrace_scope has it for a collector that the
 * library started; "trace": ptrace fails so, as in a container of before Linux 4.8; or "rewrite":
 * memory that was writable is never executable (PR_SET_MDWE, Linux 6.3). Ends with 77 where the
 * kernel can't do that.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static int
refuse(uint32_t call)
{
	struct sock_filter steps[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
		   ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
		   : -1;
}

int
main(int argc, char **argv)
{
	int result;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "read") == 0)
		result = refuse(SYS_process_vm_readv);
	else if (strcmp(argv[1], "trace") == 0)
		result = refuse(SYS_ptrace);
	else
		result = prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
	if (result != 0)
		return 77;
	execv(argv[2], argv + 2);
	return 127;
}
