/*
 * test_remote_call.c: does a system call in another process give what it should, and is that
 * process what it was afterwards? Also where the one who made it dies in the middle?
 */
#include "inject/remote_call.h"
#include "inject/spare_signal.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS UINT64_C(20000000000)

#if defined(__x86_64__)

static const uint64_t no_words[6] = {0};

static uint64_t
deadline(void)
{
	return vmt_sys_clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
}

/* Maps a page, writes to it and reads it back, and unmaps it. 0, or the number of the step that
 * failed. */
static int
use_memory(struct vmt_remote *remote)
{
	uint64_t words[6] = {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0};
	char read_back[4] = "";
	int64_t result;

	if (vmt_remote_call(remote, SYS_mmap, words, &result) != 0 || result <= 0)
		return 1;
	if (vmt_target_write(remote->target, (uint64_t)result, "abc", 4) != 0)
		return 2;
	if (vmt_target_read(remote->target, (uint64_t)result, read_back, 4) != 0 ||
	    memcmp(read_back, "abc", 4) != 0)
		return 3;
	words[0] = (uint64_t)result;
	if (vmt_remote_call(remote, SYS_munmap, words, &result) != 0 || result != 0)
		return 4;
	return 0;
}

static void
calls_at_the_stop_of_an_exec(void **state)
{
	struct vmt_registers before, after;
	struct vmt_target target;
	struct vmt_remote remote;
	uint64_t mask_before, mask_after;
	pid_t child = fork();
	int64_t result;
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl("/bin/sh", "sh", "-c", "exit 7", NULL);
		_exit(127);
	}
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), 0);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(vmt_target_open(&target, child), 0);
	assert_int_equal(vmt_tracee_read_registers(child, &before), 0);
	assert_int_equal(vmt_tracee_read_mask(child, &mask_before), 0);

	assert_int_equal(vmt_remote_begin(&remote, &target, child, 0), 0);
	assert_int_equal(vmt_remote_call(&remote, SYS_getpid, no_words, &result), 0);
	assert_int_equal(result, child);
	assert_int_equal(vmt_remote_call(&remote, SYS_close, (uint64_t[6]){999}, &result), 0);
	assert_int_equal(result, -EBADF);
	assert_int_equal(use_memory(&remote), 0);
	assert_int_equal(vmt_remote_end(&remote), 0);

	assert_int_equal(vmt_tracee_read_registers(child, &after), 0);
	assert_int_equal(vmt_tracee_read_mask(child, &mask_after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(mask_before == mask_after);
	assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
	vmt_target_close(&target);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* The same stop, told by an event that lies within the call. */
static void
calls_at_the_event_of_an_exec(void **state)
{
	struct vmt_target target;
	struct vmt_remote remote;
	pid_t child = fork();
	int64_t result;
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
		raise(SIGSTOP);
		execl("/bin/sh", "sh", "-c", "exit 7", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACEEXEC), 0);
	assert_int_equal(kill(child, SIGCONT), 0);
	do {
		assert_int_equal(vmt_tracee_wait(child, deadline(), &status), 0);
		assert_true(WIFSTOPPED(status));
		if (vmt_tracee_event(status) == PTRACE_EVENT_EXEC)
			break;
		assert_int_equal(ptrace(PTRACE_CONT, child, NULL,
					vmt_tracee_event(status) ? 0L : (long)WSTOPSIG(status)),
				 0);
	} while (true);
	assert_int_equal(vmt_target_open(&target, child), 0);
	assert_int_equal(vmt_remote_begin(&remote, &target, child, 0), 0);
	assert_int_equal(vmt_remote_call(&remote, SYS_getpid, no_words, &result), 0);
	assert_int_equal(result, child);
	assert_int_equal(use_memory(&remote), 0);
	assert_int_equal(vmt_remote_end(&remote), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
	vmt_target_close(&target);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* ---- a program that runs: what it does, and how it sees that it was left alone -------------- */

static int wake[2];
static int ready[2];
static volatile sig_atomic_t ends;

static void
end_spin(int signal)
{
	(void)signal;
	ends = 1;
}

/* Numbers in vector registers, all of which have to be right at the end. */
static int
spin(void)
{
	double sums[8] = {0};
	uint64_t rounds = 0;

	while (!ends || rounds == 0) {
		rounds++;
		for (int i = 0; i < 8; i++)
			sums[i] += i + 1;
	}
	for (int i = 0; i < 8; i++)
		if (sums[i] != (double)rounds * (i + 1)) /* whole numbers below 2^53 */
			return 1;
	return 0;
}

static int
wait_in_read(void)
{
	char byte = 0;

	return read(wake[0], &byte, 1) == 1 && byte == 'x' ? 0 : 1;
}

static int
wait_in_poll(void)
{
	struct pollfd asked = {wake[0], POLLIN, 0};

	return poll(&asked, 1, 60000) == 1 && asked.revents == POLLIN ? 0 : 1;
}

static int
wait_in_nanosleep(void)
{
	struct timespec time = {0, 300000000};

	return nanosleep(&time, NULL) == 0 ? 0 : 1;
}

struct way {
	const char *name;
	int (*live)(void);
};

static const struct way ways[] = {{"spin", spin},
				  {"read", wait_in_read},
				  {"poll", wait_in_poll},
				  {"nanosleep", wait_in_nanosleep}};

/* A program with a signal that it blocks: its mask must come back. */
static pid_t
start(const struct way *way)
{
	struct sigaction action = {.sa_handler = end_spin};
	sigset_t blocked, later;
	pid_t child;
	char byte = 0;

	assert_int_equal(pipe(wake), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child > 0) {
		close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		return child;
	}
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	alarm(60); /* outlives no failed test for long */
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	if (write(ready[1], "x", 1) != 1)
		_exit(3);
	errno = 0;
	if (way->live() != 0 || errno != 0)
		_exit(1);
	sigprocmask(SIG_SETMASK, NULL, &later);
	for (int signal = 1; signal < NSIG; signal++)
		if (sigismember(&later, signal) != sigismember(&blocked, signal))
			_exit(2);
	_exit(0);
}

static void
assert_unharmed(pid_t child, const struct way *way)
{
	int status;

	if (way->live == spin)
		assert_int_equal(kill(child, SIGUSR1), 0);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		print_error("%s: status %x\n", way->name, (unsigned)status);
	assert_int_equal(status, 0);
	close(wake[0]);
	close(wake[1]);
}

static int
seize(pid_t child)
{
	int status;

	if (ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACESYSGOOD) != 0 ||
	    ptrace(PTRACE_INTERRUPT, child, NULL, NULL) != 0 ||
	    vmt_tracee_wait(child, deadline(), &status) != 0)
		return 1;
	return WIFSTOPPED(status) && vmt_tracee_event(status) == PTRACE_EVENT_STOP ? 0 : 2;
}

/* All of it; dies_at counts where this process kills itself: 0 = nowhere. */
static int
attack(pid_t child, int dies_at)
{
	struct vmt_return_frame frame;
	struct vmt_target target;
	struct vmt_remote remote;
	int points = 0;

#define POINT()                                                                                    \
	if (++points == dies_at)                                                                   \
	kill(getpid(), SIGKILL)
	if (vmt_target_open(&target, child) != 0 || vmt_return_frame_find(&frame, &target) != 0)
		return 10;
	if (seize(child) != 0)
		return 11;
	POINT();
	if (vmt_remote_begin_guarded(&remote, &target, child, &frame) != 0)
		return 12;
	/* While all signals are blocked for its calls. */
	if (vmt_spare_signal_find(child, child, remote.kept_mask) != SIGURG ||
	    vmt_spare_signal_find(child, child, UINT64_C(1) << (SIGURG - 1)) != SIGWINCH)
		return 16;
	POINT();
	if (use_memory(&remote) != 0)
		return 13;
	POINT();
	if (vmt_remote_end(&remote) != 0)
		return 14;
	POINT();
	if (ptrace(PTRACE_DETACH, child, NULL, NULL) != 0)
		return 15;
#undef POINT
	vmt_return_frame_close(&frame);
	vmt_target_close(&target);
	return 0;
}

static void
calls_in_a_program_that_runs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		pid_t child = start(&ways[i]);

		assert_int_equal(attack(child, 0), 0);
		assert_unharmed(child, &ways[i]);
	}
}

static void
a_death_in_the_middle_harms_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways) * 4; i++) {
		const struct way *way = &ways[i / 4];
		pid_t child = start(way);
		pid_t attacker = fork();
		int status;

		assert_true(attacker >= 0);
		if (attacker == 0)
			_exit(attack(child, (int)(i % 4) + 1));
		assert_int_equal(waitpid(attacker, &status, 0), attacker);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_unharmed(child, way);
	}
}

static void
a_thread_that_ends_is_told(void **state)
{
	pid_t child = start(&ways[1]);
	struct vmt_target target;
	struct vmt_remote remote;
	int64_t result;

	(void)state;
	assert_int_equal(vmt_target_open(&target, child), 0);
	assert_int_equal(seize(child), 0);
	assert_int_equal(vmt_remote_begin(&remote, &target, child, 0), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(vmt_remote_call(&remote, SYS_getpid, no_words, &result), -ESRCH);
	assert_int_equal(vmt_remote_end(&remote), -ESRCH);
	vmt_target_close(&target);
	close(wake[0]);
	close(wake[1]);
}

#endif

static void
memory_that_is_not_there_is_refused(void **state)
{
	struct vmt_target target;
	char *pages =
	    mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char bytes[8192];

	(void)state;
	assert_true(pages != MAP_FAILED);
	munmap(pages + 4096, 4096);
	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	assert_int_equal(vmt_target_write(&target, (uintptr_t)pages + 4092, "abc", 4), 0);
	assert_string_equal(pages + 4092, "abc");
	assert_int_equal(vmt_target_read(&target, (uintptr_t)pages + 4092, bytes, 4), 0);
	assert_string_equal(bytes, "abc");
	assert_int_equal(vmt_target_read(&target, (uintptr_t)pages + 4092, bytes, 5), -EIO);
	assert_int_equal(vmt_target_write(&target, (uintptr_t)pages + 4096, "abc", 4), -EIO);
	assert_int_equal(vmt_target_read(&target, (uintptr_t)pages, bytes, sizeof(bytes)), -EIO);
	vmt_target_close(&target);
	munmap(pages, 3 * 4096);
	assert_int_equal(vmt_target_open(&target, 0x7ffffff0), -ENOENT);
	vmt_target_close(&target);
}

/* Text that the process may only execute is written all the same, and nobody else's copy of it. */
static int
answer(void)
{
	return 42;
}

static void
text_is_written(void **state)
{
	struct vmt_target target;
	unsigned char kept[8], changed[8];
	uint64_t address = (uintptr_t)answer;

	(void)state;
	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	assert_int_equal(vmt_target_read(&target, address, kept, sizeof(kept)), 0);
	memset(changed, 0x90, sizeof(changed));
	assert_int_equal(vmt_target_write(&target, address, changed, sizeof(changed)), 0);
	assert_memory_equal((const void *)address, changed, sizeof(changed));
	assert_int_equal(vmt_target_write(&target, address, kept, sizeof(kept)), 0);
	assert_int_equal(answer(), 42);
	vmt_target_close(&target);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
		cmocka_unit_test(calls_at_the_stop_of_an_exec),
		cmocka_unit_test(calls_at_the_event_of_an_exec),
		cmocka_unit_test(calls_in_a_program_that_runs),
		cmocka_unit_test(a_death_in_the_middle_harms_nothing),
		cmocka_unit_test(a_thread_that_ends_is_told),
#endif
		cmocka_unit_test(memory_that_is_not_there_is_refused),
		cmocka_unit_test(text_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
