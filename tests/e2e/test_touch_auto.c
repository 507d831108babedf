/*
 * test_touch_auto.c: what does `--touch auto` give up, so that the program is not slowed down?
 */
#include "tests/e2e/fault_events.h"

#include <string.h>

#define LONGEST_MS 60000

/* Figures of the recording up to now. */
static int64_t
touch_figure(const char *trace, const char *figure)
{
	json_t *root = report(trace, NULL);
	int64_t value = number(member(root, "touch"), figure);

	json_decref(root);
	return value;
}

static void
grow(struct conversation *talk)
{
	assert_int_equal(write(talk->to, "\n", 1), 1);
	converse_read_line(talk);
	assert_string_equal(talk->line, "grown");
}

/* With each switch the kernel moves the events of a thread: they are given up, and come back when
 * memory grows. The program ends as ever, and what it touched in between is the reserver's. */
static void
switches_of_threads_pause_the_sampling(void **state)
{
	const char *trace = scratch_file("turns.vmt");
	int64_t until_ms = now_ms() + LONGEST_MS;
	struct conversation talk;
	int64_t samples;
	json_t *root;

	(void)state;
	if (lacks_events())
		skip();
	converse_start(&talk,
		       (const char *const[]){built("vmtrace"), "record", "--touch", "auto", "-o",
					     trace, "--", built("tests/target/take_turns"), NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	converse_read_line(&talk);
	wait_for_events(trace);
	while (touch_figure(trace, "pauses") == 0)
		assert_true(now_ms() < until_ms);
	samples = touch_figure(trace, "samples");
	do {
		assert_true(now_ms() < until_ms);
		grow(&talk);
	} while (touch_figure(trace, "samples") == samples);
	assert_int_equal(converse_end(&talk), 0);
	root = report(trace, NULL);
	check_report(root);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(switches_of_threads_pause_the_sampling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
