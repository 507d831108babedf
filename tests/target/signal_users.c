/* Programs that use the signals others keep away from: faults that a handler repairs (guard pages,
 * null checks by a fault), on an alternate stack, where it allocates and maps; SIGTRAP, SIGPROF at
 * a high rate; a sigwait on everything. With an argument only SIGSYS, from a filter that it
 * installed itself: behind a filter nobody asks for a snapshot of the end, and books are of the
 * last one. */
#include "tests/target/truth.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#define GUARDS 300
#define CHECKS 300
#define TRAPS 100
#define WAITS 100

static char *guarded;
static volatile sig_atomic_t repaired, checked, trapped, emulated, ticks;
static volatile sig_atomic_t waited;

extern char null_check[], null_check_end[];

static NOINLINE char *
block_in_handler(void)
{
	return malloc(2500);
}

#if defined(__x86_64__)
/* Reads through a pointer; 1 where it was null, by what the handler does. */
static NOINLINE int
is_null(const char *pointer)
{
	int result;

	__asm__ volatile("	movl $0, %0\n"
			 "null_check: movb (%1), %%cl\n"
			 "	jmp 1f\n"
			 "null_check_end: movl $1, %0\n"
			 "1:\n"
			 : "=&r"(result)
			 : "r"(pointer)
			 : "rcx", "memory");
	return result;
}
#endif

static void
repair(int number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;
	char *block = block_in_handler();

	(void)number;
	block[0] = 1;
	free(block);
	if (info->si_addr == guarded) {
		if (mprotect(guarded, PAGE, PROT_READ | PROT_WRITE) != 0)
			_exit(97);
		repaired++;
		return;
	}
#if defined(__x86_64__)
	if (interrupted->uc_mcontext.gregs[REG_RIP] != (greg_t)(uintptr_t)null_check)
		_exit(96);
	interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)null_check_end;
#endif
	checked++;
}

static void
trap(int number)
{
	(void)number;
	trapped++;
}

static void
emulate(int number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;

	(void)number;
	if (info->si_syscall != SYS_getppid)
		_exit(95);
#if defined(__x86_64__)
	interrupted->uc_mcontext.gregs[REG_RAX] = 4711;
#endif
	emulated++;
}

static void
tick(int number)
{
	(void)number;
	ticks++;
}

static void
handle(int number, void (*simple)(int), void (*detailed)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_flags = SA_ONSTACK | SA_RESTART};

	if (detailed) {
		action.sa_sigaction = detailed;
		action.sa_flags |= SA_SIGINFO;
	} else {
		action.sa_handler = simple;
	}
	if (sigaction(number, &action, NULL) != 0)
		truth_die("sigaction");
}

static void
provoke_faults(void)
{
	static char stack[64 * KIB];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};

	if (sigaltstack(&alternate, NULL) != 0)
		truth_die("sigaltstack");
	handle(SIGSEGV, NULL, repair);
	guarded = truth_mapped(
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (int i = 0; i < GUARDS; i++) {
		if (mprotect(guarded, PAGE, PROT_NONE) != 0)
			truth_die("mprotect");
		((volatile char *)guarded)[0] = 1;
	}
#if defined(__x86_64__)
	for (int i = 0; i < CHECKS; i++)
		if (is_null(i % 2 ? guarded : NULL) != !(i % 2))
			truth_die("null check");
#endif
}

static void *
wait_for_all(void *unused)
{
	sigset_t all;
	int number;

	sigfillset(&all);
	for (int i = 0; i < WAITS; i++) {
		if (sigwait(&all, &number) != 0 || number != SIGUSR2)
			truth_die("sigwait");
		free(malloc(777));
		waited++;
	}
	return unused;
}

static void
send_and_wait(void)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, wait_for_all, NULL) != 0)
		truth_die("pthread_create");
	for (int i = 0; i < WAITS; i++) {
		pthread_kill(thread, SIGUSR2);
		while (waited <= i)
			sched_yield();
	}
	pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* getppid is the program's own to answer; all else is allowed. */
static void
filter_own_call(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	handle(SIGSYS, NULL, emulate);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		truth_die("seccomp");
	for (int i = 0; i < TRAPS; i++) {
		free(malloc(5000));
#if defined(__x86_64__)
		if (getppid() != 4711)
			truth_die("emulation");
#endif
	}
}

static void
provoke_signals(void)
{
	struct itimerval every = {{0, 500}, {0, 500}};
	struct itimerval never = {{0, 0}, {0, 0}};

	handle(SIGPROF, tick, NULL);
	setitimer(ITIMER_PROF, &every, NULL);
	provoke_faults();
	handle(SIGTRAP, trap, NULL);
	for (int i = 0; i < TRAPS; i++)
		raise(SIGTRAP);
	while (ticks < 20)
		free(malloc(200000));
	setitimer(ITIMER_PROF, &never, NULL);
	send_and_wait();
	truth_figure("repaired", repaired);
	truth_figure("checked", checked);
	truth_figure("trapped", trapped);
	truth_figure("waited", waited);
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "block_in_handler",
	    .count = (size_t)(repaired + checked),
	    .total_reserved_bytes = (size_t)(repaired + checked) * 2500,
	    .released_bytes = (size_t)(repaired + checked) * 2500,
	});
}

int
main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		filter_own_call();
		truth_figure("emulated", emulated);
	} else {
		provoke_signals();
	}
	return truth_end("signal_users");
}
