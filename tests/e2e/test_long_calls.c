/*
 * test_long_calls.c: are the pages a call's own while it is still at work?
 *
 * Programs that spend their time in calls which fill memory. Whatever instant a snapshot was taken
 * at, its pages have an owner.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>

/* What no event explains in any program: pages of the C library's own. */
#define UNATTRIBUTED_MOST_BYTES (64 * 4096)
#define LARGE_BYTES (16 << 20)
#define CHECKED_MOST 16 /* snapshots of a recording, evenly spread */

/* What a report of one moment says. */
struct moment {
	int64_t unattributed_bytes;
	int64_t called_bytes; /* of the mode's call */
};

static struct moment
look_at(const char *trace, int64_t time_ns, const char *mode)
{
	struct moment moment;
	char function[64];
	char at[64];

	/* Whole microseconds, as --at takes them: not before the snapshot. */
	snprintf(at, sizeof(at), "%lldus", (long long)(time_ns + 999) / 1000);
	json_t *root = report(trace, (const char *const[]){"--at", at, NULL});

	check_report(root);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	moment.unattributed_bytes = number(member(root, "totals"), "unattributed_bytes");
	snprintf(function, sizeof(function), "fill_%s", mode);
	moment.called_bytes = site_sum(root, NULL, function, "committed_bytes");
	json_decref(root);
	return moment;
}

/* Snapshots of a recording; how many of them had much in memory, and in how many of these almost
 * all of it was the mode's own call's. */
static size_t
check_snapshots(const char *mode, size_t *owned)
{
	const char *trace = scratch_file("long.vmt");
	struct run run;
	json_t *snapshots;
	json_t *snapshot;
	size_t large = 0;
	size_t step;
	size_t i;

	record(&run, trace, (const char *const[]){"--interval", "2", NULL},
	       (const char *const[]){built("tests/target/long_calls"), mode, NULL});
	if (run.exit_status == 77) {
		run_free(&run);
		return SIZE_MAX;
	}
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s", mode, run.exit_status, run.err);
	run_free(&run);
	snapshots = dump(trace, "snapshot");
	step = json_array_size(snapshots) / CHECKED_MOST + 1;
	for (i = 0; i < json_array_size(snapshots); i += step) {
		snapshot = json_array_get(snapshots, i);
		struct moment moment = look_at(trace, number(snapshot, "time_ns"), mode);
		int64_t resident = number(snapshot, "resident_bytes");

		large += resident >= LARGE_BYTES;
		*owned += resident >= LARGE_BYTES && moment.called_bytes >= resident / 4 * 3;
		if (moment.unattributed_bytes > UNATTRIBUTED_MOST_BYTES)
			fail_msg("%s: snapshot %zu has %lld unattributed bytes", mode, i,
				 (long long)moment.unattributed_bytes);
	}
	json_decref(snapshots);
	return large;
}

static size_t
check_mode(const char *mode)
{
	size_t owned = 0;
	size_t large = check_snapshots(mode, &owned);

	if (large == SIZE_MAX) {
		print_message("skip: %s needs a larger RLIMIT_MEMLOCK\n", mode);
		skip();
	}
	print_message("%s: %zu snapshots with much in memory, %zu of them its call's\n", mode,
		      large, owned);
	assert_true(large >= 2);
	return owned;
}

static void
test_populate(void **state)
{
	(void)state;
	check_mode("populate");
}

static void
test_fixed(void **state)
{
	(void)state;
	check_mode("fixed");
}

static void
test_moved(void **state)
{
	(void)state;
	check_mode("moved");
}

static void
test_threads(void **state)
{
	(void)state;
	check_mode("threads");
}

static void
test_future(void **state)
{
	(void)state;
	check_mode("future");
}

/* Nobody else has such memory: that it is nobody's shows in its call alone. */
static void
test_segment(void **state)
{
	(void)state;
	assert_true(check_mode("segment") >= 2);
}

static void
test_break(void **state)
{
	(void)state;
	assert_true(check_mode("break") >= 2);
}

static void
test_advised(void **state)
{
	(void)state;
	check_mode("advised");
}

static void
test_pinned(void **state)
{
	(void)state;
	check_mode("pinned");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_populate), cmocka_unit_test(test_fixed),
	    cmocka_unit_test(test_moved),    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_future),   cmocka_unit_test(test_segment),
	    cmocka_unit_test(test_break),    cmocka_unit_test(test_advised),
	    cmocka_unit_test(test_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
