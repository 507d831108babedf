/* Lives with bounds that it sets itself. Linked without a dynamic loader by the test that uses it.
 *
 *   limit KIB  a limit of address space; prints how many pieces of 64 KiB it could map
 *   filter     forbids itself, on pain of death, what a tracer would call; maps and unmaps 50 times
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIECE_BYTES (64ul << 10)
#define KILL(number)                                                                               \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static void *
take(void)
{
	return mmap(NULL, PIECE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int
limit(unsigned long kib)
{
	struct rlimit bound = {kib << 10, kib << 10};
	unsigned pieces = 0;

	if (setrlimit(RLIMIT_AS, &bound) != 0)
		return 1;
	while (take() != MAP_FAILED)
		pieces++;
	printf("%u\n", pieces);
	return errno != ENOMEM;
}

static int
filter(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    KILL(SYS_rt_sigprocmask),
	    KILL(SYS_gettid),
	    KILL(SYS_mincore),
	    KILL(SYS_openat),
	    KILL(SYS_process_vm_readv),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	/* One that fails changes nothing. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == 0 || take() == MAP_FAILED)
		return 1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 1;
	for (int i = 0; i < 50; i++) {
		char *piece = take();

		if (piece == MAP_FAILED)
			return 1;
		piece[0] = 1;
		munmap(piece, PIECE_BYTES);
	}
	printf("went on\n");
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "limit") == 0)
		return limit(strtoul(argv[2], NULL, 0));
	return filter();
}
