/*
 * test_touch_cost.c: are the events of a process closed when they cost too much, and opened again?
 */
#include "collect/touch_cost.h"

#include "base/ticks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND (1000 * MILLISECOND)
#define MIB (UINT64_C(1) << 20)

static struct vmt_traced process;

static int
set_up(void **state)
{
	(void)state;
	process = (struct vmt_traced){.pid = (uint32_t)getpid()};
	return 0;
}

static bool
parse(const char *text, uint64_t *slices)
{
	return vmt_touch_cost_parse(text, strlen(text), slices);
}

static void
test_schedstat(void **state)
{
	uint64_t slices = 7;

	(void)state;
	assert_true(parse("958760 117947 2\n", &slices));
	assert_int_equal(slices, 2);
	assert_true(parse("0 0 18446744073709551615\n", &slices));
	assert_int_equal(slices, UINT64_MAX);
	assert_false(parse("", &slices));
	assert_false(parse("1 2", &slices));
	assert_false(parse("1 2 x", &slices));
	assert_false(parse("1 2 99999999999999999999", &slices));
}

static int pipes[2][2];

static void *
answer(void *unused)
{
	char byte;

	while (read(pipes[0][0], &byte, 1) == 1 && write(pipes[1][1], &byte, 1) == 1)
		continue;
	return unused;
}

/* Each turn takes this thread on once. */
static void
take_turns(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char byte = 0;

		assert_int_equal(write(pipes[0][1], &byte, 1), 1);
		assert_int_equal(read(pipes[1][0], &byte, 1), 1);
	}
}

static void
test_switches_are_spent(void **state)
{
	struct vmt_buffer scratch = {0};
	pthread_t thread;
	int64_t before;

	(void)state;
	assert_int_equal(pipe(pipes[0]), 0);
	assert_int_equal(pipe(pipes[1]), 0);
	assert_int_equal(pthread_create(&thread, NULL, answer, NULL), 0);
	vmt_touch_cost_begin(&process.touch, SECOND);
	vmt_touch_cost_weigh(&process, &scratch, SECOND);
	before = process.touch.switching.left_ns;
	take_turns(2000);
	/* Not yet due. */
	vmt_touch_cost_weigh(&process, &scratch, SECOND + 1);
	assert_int_equal(process.touch.switching.left_ns, before);
	vmt_touch_cost_weigh(&process, &scratch, process.touch.weigh_ns);
	/* Two threads on two processors may meet without going to sleep. */
	assert_true(process.touch.switching.left_ns < before);
	close(pipes[0][1]);
	pthread_join(thread, NULL);
	close(pipes[0][0]);
	close(pipes[1][0]);
	close(pipes[1][1]);
	vmt_buffer_free(&scratch);
}

static void
test_a_process_that_is_gone_costs_nothing(void **state)
{
	struct vmt_buffer scratch = {0};

	(void)state;
	process.pid = 0x7ffffff0;
	vmt_touch_cost_begin(&process.touch, SECOND);
	vmt_touch_cost_weigh(&process, &scratch, SECOND);
	vmt_touch_cost_weigh(&process, &scratch, process.touch.weigh_ns);
	assert_int_equal(process.touch.switching.left_ns, VMT_CPU_BUDGET_FIRST_NS);
	vmt_buffer_free(&scratch);
}

static void
test_a_rest_ends_after_a_time(void **state)
{
	(void)state;
	process.sampling.rss_bytes = 100 * MIB;
	vmt_touch_cost_rest(&process, 100 * SECOND);
	assert_false(vmt_touch_cost_has_rested(&process, 100 * SECOND));
	assert_false(vmt_touch_cost_has_rested(&process, 109 * SECOND));
	assert_true(vmt_touch_cost_has_rested(&process, 110 * SECOND));
	vmt_touch_cost_begin(&process.touch, 110 * SECOND);
	assert_int_equal(process.touch.rests_until_ns, 0);
}

static void
test_a_rest_ends_when_memory_grows(void **state)
{
	(void)state;
	process.sampling.rss_bytes = 160 * MIB;
	vmt_touch_cost_rest(&process, 100 * SECOND);
	process.sampling.rss_bytes = 170 * MIB;
	assert_false(vmt_touch_cost_has_rested(&process, 101 * SECOND));
	process.sampling.rss_bytes = 171 * MIB;
	assert_false(vmt_touch_cost_has_rested(&process, 100 * SECOND + 400 * MILLISECOND));
	assert_true(vmt_touch_cost_has_rested(&process, 100 * SECOND + 500 * MILLISECOND));
	process.touch.rests_until_ns = UINT64_MAX;
	assert_false(vmt_touch_cost_has_rested(&process, 200 * SECOND));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_schedstat, set_up),
	    cmocka_unit_test_setup(test_switches_are_spent, set_up),
	    cmocka_unit_test_setup(test_a_process_that_is_gone_costs_nothing, set_up),
	    cmocka_unit_test_setup(test_a_rest_ends_after_a_time, set_up),
	    cmocka_unit_test_setup(test_a_rest_ends_when_memory_grows, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
