/* Calls that were made by their numbers: which of them leave the thread outside while they take. */
#include "tests/unit/memory_trace.h"

#include "capture/record/raw_call.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define TRIES 100
#define BYTES (INT64_C(64) << 20) /* takes some ten times as long as the timer */

static volatile sig_atomic_t making;
static volatile sig_atomic_t was_outside;

static void
look(int unused)
{
	(void)unused;
	if (making && vmt_thread_mine()->depth == 0)
		was_outside = 1;
}

static void
make(struct vmt_raw_call *call)
{
	const struct itimerval soon = {{0, 0}, {0, 1000}};

	assert_true(vmt_guard_enter());
	making = 1;
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(vmt_raw_call_record(call, 0), 0);
	making = 0;
	assert_int_equal(vmt_thread_mine()->depth, 1);
	vmt_guard_leave();
}

/* An allocation of pages, and a signal that comes meanwhile. */
static void
a_file_call_is_made_outside(void **state)
{
	const struct sigaction action = {.sa_handler = look};
	struct vmt_raw_call call = {.number = SYS_fallocate, .words = {0, 0, 0, BYTES}};

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	for (unsigned tries = 0; tries < TRIES && !was_outside; tries++) {
		call.words[0] = memfd_create("raw", MFD_CLOEXEC);
		assert_true(call.words[0] >= 0);
		make(&call);
		close((int)call.words[0]);
	}
	assert_true(was_outside);
}

static int
set_up(void **state)
{
	(void)state;
	memory_trace_begin();
	vmt_thread_mine()->depth = 0; /* it enters by itself */
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	memory_trace_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_call_is_made_outside),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
