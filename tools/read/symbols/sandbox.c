#include "tools/read/symbols/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef OWN_ARCHITECTURE

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define LOAD_ARGUMENT(number)                                                                      \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS,                                                         \
		 offsetof(struct seccomp_data, args) + (number) * sizeof(uint64_t))
#define GIVE(verdict) BPF_STMT(BPF_RET | BPF_K, (verdict))
#define REFUSE GIVE(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW(number)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##number, 0, 1), GIVE(SECCOMP_RET_ALLOW)

/* A wrong architecture's numbers mean other calls. prlimit64 of oneself (pid 0) moves the limit of
 * processor time on. */
static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
    REFUSE,
    LOAD(nr),
    ALLOW(mmap),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(mprotect),
    ALLOW(madvise),
    ALLOW(brk),
    ALLOW(read),
    ALLOW(pread64),
    ALLOW(lseek),
    ALLOW(fstat),
    ALLOW(close),
    ALLOW(recvfrom),
    ALLOW(sendto),
    ALLOW(futex),
    ALLOW(getrandom),
    ALLOW(getrusage),
    ALLOW(sysinfo),
    ALLOW(clock_gettime),
    ALLOW(sched_yield),
    ALLOW(rt_sigprocmask),
    ALLOW(sigaltstack), /* asked for by sanitizers */
    ALLOW(rt_sigreturn),
    ALLOW(restart_syscall),
    ALLOW(exit),
    ALLOW(exit_group),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 3),
    LOAD_ARGUMENT(0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
    GIVE(SECCOMP_RET_ALLOW),
    REFUSE,
};

static void
refuse_calls(void)
{
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#else

static void
refuse_calls(void)
{
}

#endif

void
vmt_sandbox_enter(void)
{
	static const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_NOFILE, &none);
	refuse_calls();
}
