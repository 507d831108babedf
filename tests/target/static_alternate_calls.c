/* What sigaltstack answers: each line is the same whoever watches. Raw calls, by an own system call
 * and by libc's function of a number. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)65536)

static char *memory;

static void
say(const char *what, long result, const stack_t *old)
{
	printf("%s: %ld, errno %d, old %d %d %zu\n", what, result, result < 0 ? errno : 0,
	       old->ss_flags, (char *)old->ss_sp == memory, old->ss_size);
}

static void
set(const char *what, const void *wanted)
{
	stack_t old = {.ss_flags = -1};
	stack_t same = {.ss_flags = -1};
	long result;

	errno = 0;
	result = sigaltstack(wanted, &old);
	say(what, result, &old);
	result = syscall(SYS_sigaltstack, NULL, &same);
	say("then", result, &same);
}

static void
handle(int number)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	(void)number;
	set("on it", NULL);
	set("on it, another", &none);
}

int
main(void)
{
	stack_t stack = {.ss_size = STACK_BYTES};
	stack_t small = {.ss_size = 16};
	stack_t odd = {.ss_flags = 77, .ss_size = STACK_BYTES};
	stack_t none = {.ss_flags = SS_DISABLE};
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};

	memory =
	    mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack.ss_sp = small.ss_sp = odd.ss_sp = memory;
	if (memory == MAP_FAILED || sigaction(SIGUSR1, &action, NULL) != 0)
		return 2;
	set("none yet", NULL);
	set("too small", &small);
	set("odd flags", &odd);
	set("nowhere", (const void *)8);
	set("one", &stack);
	if (raise(SIGUSR1) != 0)
		return 3;
	set("none", &none);
	return 0;
}
