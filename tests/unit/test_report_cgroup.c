/* What a report says of the process's memory cgroup, from several readings of it. */
#include "tests/unit/build_trace.h"

#include "tools/model/report/report_build.h"

static struct vmt_report *
report_of(const struct build_trace *build)
{
	struct vmt_report_options options = {.at = VMT_AT_PEAK};
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, path);

	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
	return report;
}

/* What two readings say of the cgroup's peak. */
static void
check_peak(uint64_t first_bytes, uint64_t last_bytes, uint64_t kills, uint64_t peak_bytes,
	   bool sampled)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_usage samples[2] = {
	    {.time = BUILD_START + 1,
	     .cgroup_current_bytes = 100,
	     .cgroup_peak_bytes = first_bytes,
	     .cgroup_limit_bytes = 5000,
	     .cgroup_oom_kills = 3},
	    {.time = BUILD_START + 2,
	     .cgroup_current_bytes = 90,
	     .cgroup_peak_bytes = last_bytes,
	     .cgroup_limit_bytes = VMT_FIGURE_UNKNOWN,
	     .cgroup_oom_kills = 3 + kills},
	};

	build_trace_usage(build, samples, 2);
	struct vmt_report *report = report_of(build);

	assert_int_equal(report->cgroup.peak_bytes, peak_bytes);
	assert_int_equal(report->cgroup.peak_sampled, sampled);
	assert_int_equal(report->cgroup.limit_bytes, 5000);
	assert_int_equal(report->cgroup.oom_kills, kills);
	vmt_report_free(report);
	build_trace_free(build);
}

/* What was read after a kill lacks what was killed: it is no account of what filled the limit. Of
 * two equal readings the first is when it was taken. */
static void
what_filled_it_is_of_before_a_kill(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_usage samples[4];

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		samples[i] = (struct vmt_usage){.time = BUILD_START + 10 * (i + 1),
						.rss_bytes = 7,
						.cgroup_current_bytes = i < 2 ? 900 : 950 + i,
						.cgroup_anon_bytes = i < 2 ? 800 : 1,
						.cgroup_file_bytes = i < 2 ? 50 : 900,
						.cgroup_shmem_bytes = 40 + i,
						.cgroup_limit_bytes = 1000,
						.cgroup_oom_kills = 3 + (i < 2 ? 0 : i - 1)};
	build_trace_usage(build, samples, 4);
	struct vmt_report *report = report_of(build);

	assert_int_equal(report->cgroup.oom_kills, 2);
	assert_int_equal(report->cgroup.fullest.bytes, 900);
	assert_int_equal(report->cgroup.fullest.anonymous_bytes, 800);
	assert_int_equal(report->cgroup.fullest.file_bytes, 50);
	assert_int_equal(report->cgroup.fullest.shared_memory_bytes, 40);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
the_peak_is_the_kernels_own(void **state)
{
	const uint64_t unknown = VMT_FIGURE_UNKNOWN;

	(void)state;
	check_peak(100, 500, 0, 500, false);
	check_peak(500, 500, 0, 100, true);  /* of before the recording */
	check_peak(500, 500, 1, 500, false); /* ... unless it was the limit */
	check_peak(100, 100, 0, 100, false);
	check_peak(300, unknown, 0, 100, true);
	check_peak(unknown, unknown, 0, 100, true);
	check_peak(unknown, unknown, 1, 100, true);
}

/* A later reading that is lower does not count, and neither does one that is not there. */
static void
the_account_is_of_the_fullest_moment(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_usage samples[3] = {
	    {.time = BUILD_START + 1,
	     .rss_bytes = 40,
	     .cgroup_current_bytes = 90,
	     .cgroup_anon_bytes = 35,
	     .cgroup_file_bytes = 50},
	    {.time = BUILD_START + 2,
	     .rss_bytes = 45,
	     .cgroup_current_bytes = 100,
	     .cgroup_anon_bytes = 30,
	     .cgroup_file_bytes = 60},
	    {.time = BUILD_START + 3, .rss_bytes = 50, .cgroup_current_bytes = 80},
	};

	(void)state;
	build_trace_usage(build, samples, 3);
	struct vmt_report *report = report_of(build);

	assert_int_equal(report->cgroup.fullest.bytes, 100);
	assert_int_equal(report->cgroup.fullest.anonymous_bytes, 30);
	assert_int_equal(report->cgroup.fullest.file_bytes, 60);
	assert_int_equal(report->cgroup.fullest.process_rss_bytes, 45);
	vmt_report_free(report);
	samples[0].cgroup_current_bytes = VMT_FIGURE_UNKNOWN;
	build_trace_free(build);
	build = build_trace_new(NULL);
	build_trace_usage(build, samples, 1);
	report = report_of(build);
	assert_true(report->cgroup.fullest.bytes == VMT_FIGURE_UNKNOWN);
	vmt_report_free(report);
	build_trace_free(build);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_filled_it_is_of_before_a_kill),
	    cmocka_unit_test(the_peak_is_the_kernels_own),
	    cmocka_unit_test(the_account_is_of_the_fullest_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
