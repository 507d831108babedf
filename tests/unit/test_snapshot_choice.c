/* Which snapshot of a trace is the report about? */
#include "tests/unit/build_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/procfs.h"
#include "tools/model/report/report_build.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define MS UINT64_C(1000000)
#define AT(ms) (BUILD_START + (ms)*MS)
#define DAY_S INT64_C(86400)
#define SECOND INT64_C(1000000000)

static void
snapshot(struct build_trace *build, uint64_t ms, uint32_t index, uint64_t resident_pages)
{
	struct vmt_run run = {BASE, resident_pages * PAGE, VMT_RUN_PRESENT};
	struct build_mapping part = {
	    .mapping = {.start = BASE, .end = BASE + 16 * PAGE, .protection = 3},
	    .runs = &run,
	    .run_count = 1};
	struct vmt_snapshot_head head = {
	    .time = AT(ms),
	    .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
	    .source = VMT_RESIDENCY_PAGEMAP_SCAN,
	    .reason = VMT_SNAPSHOT_GROWTH,
	    .index = index,
	};

	build_trace_snapshot(build, &head, &part, 1);
}

/* 9 pages at the peak, 6 in the end. */
static struct build_trace *
three_snapshots(bool ended)
{
	struct build_trace *build = build_trace_new(NULL);

	snapshot(build, 20, 0, 3);
	snapshot(build, 24, 1, 9);
	snapshot(build, 30, 2, 6);
	if (ended)
		build_trace_end(build, VMT_END_EXIT, 0, AT(40));
	return build;
}

/* Its report, or NULL and what is wrong. */
static struct vmt_report *
report_at(const struct build_trace *build, enum vmt_report_at at, int64_t at_ns,
	  struct vmt_err *err)
{
	struct vmt_report_options options = {.at = at, .at_time_ns = at_ns};
	struct vmt_report *report;
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, path);
	int result = vmt_report_build(&report, path, &options, err);

	close(fd);
	assert_true(result == 0 || result == -ENODATA);
	assert_int_equal(result == 0, report != NULL);
	return report;
}

static uint32_t
chosen(const struct build_trace *build, enum vmt_report_at at, int64_t at_ns)
{
	struct vmt_err err = {{0}};
	struct vmt_report *report = report_at(build, at, at_ns, &err);

	assert_non_null(report);
	uint32_t index = report->snapshot.index;

	assert_int_equal(report->process.start_unix_ns, UINT64_C(1700000000000000000));
	vmt_report_free(report);
	return index;
}

static void
of_one_that_has_ended_it_is_the_peak(void **state)
{
	struct build_trace *build = three_snapshots(true);

	(void)state;
	assert_int_equal(chosen(build, VMT_AT_DEFAULT, 0), 1);
	assert_int_equal(chosen(build, VMT_AT_COMPARED, 0), chosen(build, VMT_AT_PLATEAU, 0));
	assert_int_equal(chosen(build, VMT_AT_PEAK, 0), 1);
	assert_int_equal(chosen(build, VMT_AT_END, 0), 2);
	assert_int_equal(chosen(build, VMT_AT_TIME, 24 * MS), 1);
	build_trace_free(build);
}

/* This test program stands for it. */
static void
of_one_that_runs_it_is_the_last(void **state)
{
	struct build_trace *build = three_snapshots(false);
	int fd = vmt_procfs_open((uint32_t)getpid(), "stat");
	struct vmt_procfs_stat stat;

	(void)state;
	assert_true(vmt_procfs_read_stat(fd, &stat));
	close(fd);
	build_trace_head(build)->pid = (uint32_t)getpid();
	build_trace_head(build)->start_ticks = stat.start_ticks;
	assert_int_equal(chosen(build, VMT_AT_DEFAULT, 0), 2);
	assert_int_equal(chosen(build, VMT_AT_COMPARED, 0), 2);
	assert_int_equal(chosen(build, VMT_AT_PEAK, 0), 1);
	build_trace_free(build);
}

static int64_t
seconds_of_day(time_t seconds)
{
	struct tm local;

	assert_non_null(localtime_r(&seconds, &local));
	return local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec;
}

static void
expect_after_end(const struct build_trace *build, enum vmt_report_at at, int64_t at_ns,
		 bool after_end)
{
	struct vmt_err err = {{0}};
	struct vmt_report *report = report_at(build, at, at_ns, &err);

	assert_non_null(report);
	assert_int_equal(report->snapshot.index, 2);
	assert_int_equal(report->snapshot.after_end, after_end);
	vmt_report_free(report);
}

/* The trace goes on to 40 ms after its last snapshot at 30 ms. */
static void
a_time_after_the_end_is_known_as_such(void **state)
{
	struct build_trace *build = three_snapshots(true);

	(void)state;
	expect_after_end(build, VMT_AT_END, 0, false);
	expect_after_end(build, VMT_AT_TIME, 30 * MS, false);
	expect_after_end(build, VMT_AT_TIME, 40 * MS, false);
	expect_after_end(build, VMT_AT_TIME, 40 * MS + 1, true);
	expect_after_end(build, VMT_AT_TIME, INT64_MAX, true);
	build_trace_free(build);
}

/* A whole second, as that is what one can say; the start's own second is not tomorrow's. */
static void
a_time_of_day_is_the_first_that_is_not_before_the_start(void **state)
{
	static const char *const zones[] = {"UTC", "Asia/Kolkata", "America/New_York"};
	struct build_trace *build = three_snapshots(true);

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++) {
		assert_int_equal(setenv("TZ", zones[i], 1), 0);
		tzset();
		int64_t start_s = seconds_of_day(1700000000);
		int64_t after_s = (start_s + 1) % DAY_S;

		expect_after_end(build, VMT_AT_CLOCK, start_s * SECOND, false);
		expect_after_end(build, VMT_AT_CLOCK, after_s * SECOND, true);
	}
	build_trace_free(build);
}

/* The second before the start is the next day's, if the trace has that. */
static void
a_time_of_day_that_the_trace_has_not_is_refused(void **state)
{
	struct build_trace *brief = three_snapshots(true);
	struct build_trace *lasting = three_snapshots(false);
	struct vmt_err err = {{0}};

	(void)state;
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	int64_t before_s = seconds_of_day(1700000000 - 1);

	assert_null(report_at(brief, VMT_AT_CLOCK, before_s * SECOND, &err));
	assert_non_null(strstr(err.text, "no snapshot as early as that: the first is at 20000 µs"));
	build_trace_end(lasting, VMT_END_EXIT, 0, AT((uint64_t)DAY_S * 1000));
	expect_after_end(lasting, VMT_AT_CLOCK, before_s * SECOND, false);
	build_trace_free(brief);
	build_trace_free(lasting);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_one_that_has_ended_it_is_the_peak),
	    cmocka_unit_test(of_one_that_runs_it_is_the_last),
	    cmocka_unit_test(a_time_after_the_end_is_known_as_such),
	    cmocka_unit_test(a_time_of_day_is_the_first_that_is_not_before_the_start),
	    cmocka_unit_test(a_time_of_day_that_the_trace_has_not_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
