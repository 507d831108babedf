#include "inject/tracee.h"

#include "base/sys.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t
deadline(void)
{
	return vmt_sys_clock_ns(CLOCK_MONOTONIC) + UINT64_C(60000000000);
}

/* Traced, and in a stop for SIGSTOP; goes on to end with 42. */
static pid_t
start(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(42);
	}
	return child;
}

static void
assert_stop(pid_t child)
{
	int status = 0;

	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), 0);
	assert_int_equal(status, SIGSTOP << 8 | 0x7f);
}

static void
an_end_is_taken(void **state)
{
	pid_t child = start();
	int status = 0;

	(void)state;
	assert_stop(child);
	assert_int_equal(vmt_tracee_wait(child, 0, &status), -ETIMEDOUT);
	assert_int_equal(vmt_tracee_ask(VMT_PTRACE_CONT, child, 0, 0), 0);
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(waitpid(child, &status, 0), -1);
}

static void
an_end_is_left(void **state)
{
	pid_t child = start();
	int status = 0;

	(void)state;
	vmt_tracee_leave_end(child);
	assert_stop(child);
	assert_int_equal(vmt_tracee_wait(child, 0, &status), -ETIMEDOUT);
	assert_int_equal(vmt_tracee_ask(VMT_PTRACE_CONT, child, 0, 0), 0);
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), -ESRCH);
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), -ESRCH);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	vmt_tracee_leave_end(0);
}

/* As of an exec: the event stands in the status. */
static void
an_event_is_told_of_one_whose_end_is_left(void **state)
{
	pid_t child = start();
	int status = 0;

	(void)state;
	vmt_tracee_leave_end(child);
	assert_stop(child);
	assert_int_equal(vmt_tracee_ask(VMT_PTRACE_SETOPTIONS, child, 0, VMT_PTRACE_O_EXIT), 0);
	assert_int_equal(vmt_tracee_ask(VMT_PTRACE_CONT, child, 0, 0), 0);
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), 0);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(vmt_tracee_event(status), PTRACE_EVENT_EXIT);
	assert_int_equal(kill(child, SIGKILL), 0);
	(void)vmt_tracee_ask(VMT_PTRACE_CONT, child, 0, 0);
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), -ESRCH);
	assert_int_equal(waitpid(child, NULL, 0), child);
	vmt_tracee_leave_end(0);
}

static bool
is_blocked(int signal)
{
	sigset_t mask;

	assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
	return sigismember(&mask, signal) == 1;
}

/* The wait has another one meanwhile. */
static void
the_mask_of_signals_stays(void **state)
{
	pid_t child = start();
	sigset_t child_signal;
	int status = 0;

	(void)state;
	sigemptyset(&child_signal);
	sigaddset(&child_signal, SIGCHLD);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &child_signal, NULL), 0);
	assert_stop(child);
	assert_false(is_blocked(SIGCHLD));
	assert_int_equal(sigprocmask(SIG_BLOCK, &child_signal, NULL), 0);
	assert_int_equal(vmt_tracee_wait(child, 0, &status), -ETIMEDOUT);
	assert_true(is_blocked(SIGCHLD));
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &child_signal, NULL), 0);
	assert_int_equal(vmt_tracee_ask(VMT_PTRACE_CONT, child, 0, 0), 0);
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), 0);
	assert_true(WIFEXITED(status));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_end_is_taken),
	    cmocka_unit_test(the_mask_of_signals_stays),
	    cmocka_unit_test(an_end_is_left),
	    cmocka_unit_test(an_event_is_told_of_one_whose_end_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
