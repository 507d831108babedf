/*
 * test_long_calls.c: are the pages a call's own while it is still at work?
 *
 * Programs that spend their time in calls which fill memory. Whatever instant a snapshot was taken
 * at, its pages have an owner. The long form looks at more snapshots, small ones too.
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <stdio.h>
#include <string.h>

/* What no event explains in any program: pages of the C library's own. */
#define UNATTRIBUTED_MOST_BYTES (64 * 4096)
#define LARGE_BYTES (16 << 20)

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

/* The snapshots of a trace with so much in memory. */
static json_t *
large_snapshots(const char *trace, int64_t resident_bytes)
{
	json_t *snapshots = dump(trace, "snapshot");
	json_t *large = json_array();
	json_t *snapshot;
	size_t i;

	json_array_foreach(snapshots, i,
			   snapshot) if (number(snapshot, "resident_bytes") >= resident_bytes)
	    json_array_append(large, snapshot);
	json_decref(snapshots);
	return large;
}

/* Of some of these snapshots, evenly spread: in how many is almost all of the mode's own call? */
static size_t
check_owners(const char *trace, const char *mode, json_t *snapshots)
{
	size_t step = json_array_size(snapshots) / (size_t)soak_count(8, 32) + 1;
	size_t owned = 0;

	for (size_t i = 0; i < json_array_size(snapshots); i += step) {
		json_t *snapshot = json_array_get(snapshots, i);
		struct moment moment = look_at(trace, number(snapshot, "time_ns"), mode);
		int64_t resident = number(snapshot, "resident_bytes");

		owned += resident >= LARGE_BYTES && moment.called_bytes >= resident / 4 * 3;
		if (moment.unattributed_bytes > UNATTRIBUTED_MOST_BYTES)
			fail_msg("%s: snapshot %zu has %lld unattributed bytes", mode, i,
				 (long long)moment.unattributed_bytes);
	}
	return owned;
}

/* Snapshots of a recording that had much in memory; and in how many of those that were looked at
 * almost all of it was the mode's own call's. */
static size_t
check_snapshots(const char *mode, size_t *owned)
{
	const char *trace = scratch_file("long.vmt");
	struct run run;
	size_t large;

	record(&run, trace, (const char *const[]){"--interval", "2", NULL},
	       (const char *const[]){built("tests/target/long_calls"), mode, NULL});
	if (run.exit_status == 77) {
		run_free(&run);
		return SIZE_MAX;
	}
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s", mode, run.exit_status, run.err);
	run_free(&run);
	json_t *snapshots = large_snapshots(trace, LARGE_BYTES);

	large = json_array_size(snapshots);
	if (soak_count(0, 1) != 0) {
		json_decref(snapshots);
		snapshots = large_snapshots(trace, 0);
	}
	*owned = check_owners(trace, mode, snapshots);
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
	print_message("%s: %zu snapshots with much in memory, its call's in %zu of those seen\n",
		      mode, large, owned);
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
