/*
 * test_urgent.c: does a thread come first only as long as it wants to?
 */
#include "inject/urgent.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NICE 3

static bool
may_be_urgent(void)
{
	struct sched_param parameters = {.sched_priority = 1};
	struct rlimit limit = {0, 0};
	bool may = sched_setscheduler(0, SCHED_RR, &parameters) == 0;

	assert_int_equal(getrlimit(RLIMIT_RTTIME, &limit), 0);
	parameters.sched_priority = 0;
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &parameters), 0);
	return may && limit.rlim_cur == RLIM_INFINITY;
}

static void
it_ends_as_it_was(void **state)
{
	struct vmt_urgent urgent = {.is_on = false};

	(void)state;
	vmt_urgent_begin(&urgent);
	assert_int_equal(urgent.is_on, may_be_urgent());
	vmt_urgent_end(&urgent);
	vmt_urgent_begin(&urgent);
	vmt_urgent_begin(&urgent);
	assert_int_equal(sched_getscheduler(0), urgent.is_on ? SCHED_RR : SCHED_OTHER);
	vmt_urgent_end(&urgent);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	vmt_urgent_end(&urgent);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

/* 0: as it should be. */
static int
be_nice(void)
{
	struct vmt_urgent urgent = {.is_on = false};

	if (setpriority(PRIO_PROCESS, 0, NICE) != 0)
		return 1;
	vmt_urgent_begin(&urgent);
	vmt_urgent_end(&urgent);
	return getpriority(PRIO_PROCESS, 0) == NICE ? 0 : 2;
}

/* 0: who has chosen a policy keeps it. */
static int
be_chosen(void)
{
	struct vmt_urgent urgent = {.is_on = false};
	struct sched_param parameters = {.sched_priority = 0};

	if (sched_setscheduler(0, SCHED_BATCH, &parameters) != 0)
		return 1;
	vmt_urgent_begin(&urgent);
	if (urgent.is_on || sched_getscheduler(0) != SCHED_BATCH)
		return 2;
	vmt_urgent_end(&urgent);
	return sched_getscheduler(0) == SCHED_BATCH ? 0 : 3;
}

/* 0: where processor time is limited at such a priority it is not taken. */
static int
be_limited(void)
{
	struct vmt_urgent urgent = {.is_on = false};
	struct rlimit limit = {1000000, 1000000};

	if (setrlimit(RLIMIT_RTTIME, &limit) != 0)
		return 1;
	vmt_urgent_begin(&urgent);
	return !urgent.is_on && sched_getscheduler(0) == SCHED_OTHER ? 0 : 2;
}

static int
run(int (*what)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(what());
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
what_was_chosen_stays(void **state)
{
	(void)state;
	assert_int_equal(run(be_nice), 0);
	assert_int_equal(run(be_chosen), 0);
	assert_int_equal(run(be_limited), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_ends_as_it_was),
	    cmocka_unit_test(what_was_chosen_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
