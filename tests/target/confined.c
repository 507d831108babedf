/* Takes something away from itself that the library lives by, goes on allocating, and leaves.
 * Argument: "strict" seccomp mode, "tsc" (the counter faults), each also by way of syscall(). */
#include "tests/target/truth.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static NOINLINE void
allocate(void)
{
	for (int i = 0; i < 1000; i++) {
		void *volatile block = malloc(2000);

		free(block);
	}
}

static int
confine(const char *how)
{
	if (strcmp(how, "strict") == 0)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
	if (strcmp(how, "strict-syscall") == 0)
		return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
	if (strcmp(how, "tsc") == 0)
		return prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
	return (int)syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
}

int
main(int argc, char **argv)
{
	allocate();
	if (argc != 2 || confine(argv[1]) != 0)
		truth_die("confining");
	allocate();
	if (write(1, "unharmed\n", 9) != 9)
		return 1;
	/* All that strict mode leaves. */
	syscall(SYS_exit, 7);
	return 1;
}
