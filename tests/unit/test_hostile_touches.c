/*
 * test_hostile_touches.c: what can page faults of a few bytes each cost a report?
 *
 * As much processor time as a trace of honest ones may take, and bounded memory.
 */
#include "touch_trace.h"

#include <sys/resource.h>

#define SECONDS UINT64_C(1000000000)
#define GIB (UINT64_C(1) << 30)

static long
peak_rss_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* Pages of 1 << shift bytes each, `apart` bytes from one another, by one toucher. */
static void
touch_apart(uint64_t time, uint32_t count, uint64_t apart, uint8_t shift, uint64_t period)
{
	const struct vmt_touch_head head = {.period = period, .minor_faults = count};
	struct vmt_touch_sample *samples = calloc(count, sizeof(*samples));

	assert_non_null(samples);
	for (uint32_t i = 0; i < count; i++)
		samples[i] = (struct vmt_touch_sample){.time = BUILD_START + time,
						       .address = GIB + i * apart,
						       .thread = 7,
						       .page_shift = shift};
	build_trace_touch(build, &head, touchers, 1, samples, count);
	free(samples);
}

static void
make_report_within(uint64_t cpu_ns)
{
	const struct vmt_report_options options = {.at = VMT_AT_END, .cpu_ns = cpu_ns};
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];
	int fd;

	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + 1000000);
	fd = build_trace_memfd(build, path);
	if (vmt_report_build(&report, path, &options, &err) != 0)
		fail_msg("%s", err.text);
	close(fd);
}

static bool
has_blind_spot(const char *text)
{
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		if (strstr(report->coverage.blind_spots[i], text))
			return true;
	return false;
}

/* 100,000 pages of 2 MiB, in half a megabyte of trace, are 51 million pages. */
static void
huge_pages_without_end_are_left_out(void **state)
{
	long before_kib = peak_rss_kib();

	(void)state;
	map(10, 128);
	touch_apart(20, 100000, UINT64_C(2) << 20, 21, 1);
	look(50, 128, 64, 0);
	make_report_within(20 * SECONDS);
	assert_true(has_blind_spot("more pages were touched than a report keeps"));
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(peak_rss_kib() - before_kib < 700 * 1024);
#else
	(void)before_kib;
#endif
}

static void
event_at(uint64_t time, uint16_t kind, uint64_t address, uint64_t length)
{
	add_event((struct vmt_event){
	    .time = time, .kind = kind, .address = address, .length = length, .protection = 3});
}

/* A release of much costs what it finds there. */
static void
large_releases_look_at_nothing(void **state)
{
	(void)state;
	map(10, 128);
	touch_apart(20, 100000, UINT64_C(1) << 16, 12, 1);
	for (uint64_t i = 0; i < 50000; i++)
		event_at(30 + i, VMT_EVENT_MUNMAP, 64 * GIB, 60000 * GIB);
	look(60000, 128, 64, 0);
	make_report_within(10 * SECONDS);
	assert_int_equal(report->touch.samples, 100000);
}

/* Nor does the search for a sample that one after a fork stands for. */
static void
samples_after_a_fork_look_near_by(void **state)
{
	(void)state;
	map(10, 128);
	touch_apart(20, 100000, PAGE, 12, 61);
	event_at(30, VMT_EVENT_FORK, 0, 0);
	for (uint64_t i = 0; i < 10; i++)
		touch_apart(40 + i, 100000, PAGE, 12, 61);
	look(60000, 128, 64, 0);
	make_report_within(10 * SECONDS);
	assert_int_equal(report->touch.samples, 1100000);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(huge_pages_without_end_are_left_out),
	    TEST(large_releases_look_at_nothing),
	    TEST(samples_after_a_fork_look_near_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
