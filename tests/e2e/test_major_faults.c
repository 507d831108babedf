/*
 * test_major_faults.c: whose are pages that come back from a file or from swap?
 *
 * They are their reader's: the kernel has another event for such faults than for those that find a
 * page in memory. Where swap is on, as in tests/vm, that is tried, too.
 */
#include "tests/e2e/fault_events.h"
#include "tests/e2e/identities.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)
#define QUARTER (8 * MIB)
#define HALF (16 * MIB)
#define FEW 300 /* faults beside those of the two readers */

struct faults {
	long major;
	long minor;
};

/* False: the pages stayed in RAM, as a tmpfs's do. */
static bool
record_readers(const char *trace, const char *period, const char *kind, const char *path,
	       struct faults *faults)
{
	struct conversation talk;

	converse_start(&talk,
		       (const char *const[]){built("vmtrace"), "record", "--touch", period, "-o",
					     trace, "--", built("tests/target/read_back"), kind,
					     path, NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	converse_read_line(&talk);
	if (strcmp(talk.line, "unread") == 0) {
		assert_int_equal(converse_end(&talk), 0);
		return false;
	}
	assert_string_equal(talk.line, "ready");
	wait_for_events(trace);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	assert_int_equal(sscanf(talk.line, "major %ld minor %ld", &faults->major, &faults->minor),
			 2);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	assert_int_equal(converse_end(&talk), 0);
	return true;
}

static long
major_samples(const char *trace)
{
	json_t *samples = dump(trace, "touch");
	long count = 0;

	for (size_t i = 0; i < json_array_size(samples); i++)
		count += json_is_true(member(json_array_get(samples, i), "major"));
	json_decref(samples);
	return count;
}

/* With every fault sampled: all of the kernel's count, and not a page too few or too many. */
static void
check_every_page(const char *kind, const char *path)
{
	const char *trace = scratch_file("back.vmt");
	struct faults faults;
	json_t *root, *touch;

	if (lacks_events())
		skip();
	if (!record_readers(trace, "1", kind, path, &faults)) {
		printf("skip: pages do not leave RAM here (%s)\n", kind);
		skip();
	}
	root = report(trace, NULL);
	check_report(root);
	touch = member(root, "touch");
	assert_true(faults.major > 0);
	assert_true(json_is_true(member(touch, "major_sampled")));
	assert_in_range(number(touch, "major_faults"), faults.major, faults.major + FEW);
	if (number(touch, "lost") == 0) {
		assert_in_range(major_samples(trace), faults.major, faults.major + FEW);
		assert_int_equal(committed_by(root, "read_quarter"), QUARTER);
		assert_int_equal(committed_by(root, "read_half"), HALF);
	}
	json_decref(root);
}

static void
pages_of_a_file_are_their_readers(void **state)
{
	(void)state;
	check_every_page("file", scratch_file("cold"));
}

static void
pages_from_swap_are_their_readers(void **state)
{
	(void)state;
	check_every_page("swap", NULL);
}

/* One in 61: what each has is right within a quarter. */
static void
one_in_61_tells_them_apart(void **state)
{
	const char *trace = scratch_file("sampled.vmt");
	struct faults faults;
	json_t *root;

	(void)state;
	if (lacks_events())
		skip();
	if (!record_readers(trace, "61", "file", scratch_file("cold"), &faults)) {
		printf("skip: pages of a file do not leave RAM here\n");
		skip();
	}
	root = report(trace, NULL);
	check_report(root);
	assert_in_range(committed_by(root, "read_quarter"), QUARTER * 3 / 4, QUARTER * 5 / 4);
	assert_in_range(committed_by(root, "read_half"), HALF * 3 / 4, HALF * 5 / 4);
	assert_true(committed_by(root, "read_quarter") + committed_by(root, "read_half") <=
		    QUARTER + HALF);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pages_of_a_file_are_their_readers),
	    cmocka_unit_test(pages_from_swap_are_their_readers),
	    cmocka_unit_test(one_in_61_tells_them_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
