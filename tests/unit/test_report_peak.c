/* The largest RSS, and what came after the last snapshot: out of traces that are made here. */
#include "tests/unit/build_trace.h"

#include "format/advice.h"
#include "tools/model/report/report_build.h"
#include "tools/render/headline.h"

#include <signal.h>

#define MIB ((uint64_t)1 << 20)
#define MS UINT64_C(1000000)
#define AT(ms) (BUILD_START + (ms)*MS)
#define BASE UINT64_C(0x7f0000000000)

static struct vmt_report *
report_of(const struct build_trace *build, enum vmt_report_at at, int64_t at_ns)
{
	struct vmt_report_options options = {.at = at, .at_time_ns = at_ns};
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, path);

	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
	return report;
}

static void
assert_says(const struct vmt_report *report, const char *part, bool says)
{
	char text[4096];

	vmt_headline_write(report, text, sizeof(text));
	if ((strstr(text, part) != NULL) != says)
		fail_msg("%s: %s", part, text);
}

static void
usage(struct build_trace *build, uint64_t ms, uint64_t rss_bytes, uint64_t counted_bytes)
{
	struct vmt_usage usage;

	memset(&usage, 0xff, sizeof(usage));
	usage.time = usage.monotonic_ns = AT(ms);
	usage.rss_bytes = rss_bytes;
	usage.peak_rss_bytes = counted_bytes;
	build_trace_usage(build, &usage, 1);
}

static void
snapshot(struct build_trace *build, uint64_t ms, uint32_t index, uint64_t resident_bytes)
{
	const struct vmt_run run = {BASE, resident_bytes, VMT_RUN_PRESENT};
	const struct build_mapping part = {
	    .mapping = {.start = BASE, .end = BASE + 512 * MIB, .protection = 3},
	    .runs = &run,
	    .run_count = 1};
	struct vmt_snapshot_head head = {.time = AT(ms),
					 .monotonic_ns = AT(ms),
					 .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
					 .shared_rss_bytes = VMT_FIGURE_UNKNOWN,
					 .source = VMT_RESIDENCY_PAGEMAP_SCAN,
					 .reason = VMT_SNAPSHOT_GROWTH,
					 .index = index,
					 .peak_rss_bytes = VMT_FIGURE_UNKNOWN};

	build_trace_snapshot(build, &head, &part, 1);
}

static struct vmt_event
mapping(uint8_t kind, uint64_t ms, uint64_t bytes)
{
	return (struct vmt_event){.kind = kind,
				  .time = AT(ms),
				  .address = BASE + 1024 * MIB + ms * 256 * MIB,
				  .length = bytes,
				  .protection = 3};
}

/* 150 MiB are mapped and given back between two readings, 100 and 400 ms after the start. */
static struct build_trace *
with_spike(uint64_t counted_bytes)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event events[] = {
	    mapping(VMT_EVENT_MMAP, 50, 7 * MIB),
	    mapping(VMT_EVENT_MMAP, 200, 150 * MIB),
	    {.kind = VMT_EVENT_MUNMAP,
	     .time = AT(300),
	     .address = BASE + 1024 * MIB + 200 * 256 * MIB,
	     .length = 150 * MIB},
	};

	build_trace_events(build, BUILD_MAP_RING(0), events, 3);
	usage(build, 400, 2 * MIB, counted_bytes); /* chunks are in no order */
	usage(build, 60, 2 * MIB, VMT_FIGURE_UNKNOWN);
	usage(build, 100, 2 * MIB, 2 * MIB);
	usage(build, 450, 2 * MIB, counted_bytes);
	snapshot(build, 90, 0, 2 * MIB);
	snapshot(build, 500, 1, 2 * MIB);
	return build;
}

static void
the_kernel_counts_what_nobody_saw(void **state)
{
	struct build_trace *build = with_spike(152 * MIB);

	(void)state;
	build_trace_end(build, VMT_END_EXIT, 0, AT(600));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_true(report->peak.is_missed);
	assert_int_equal(vmt_report_peak_bytes(report), 152 * MIB);
	assert_int_equal(report->peak.seen_bytes, 2 * MIB);
	assert_int_equal(report->peak.after_ns, 100 * MS);
	assert_int_equal(report->peak.by_ns, 400 * MS);
	assert_says(report, "peak 152 MiB, which no snapshot shows)", true);
	assert_says(report, "between two readings, at 100 ms and 400 ms", true);
	assert_says(report, "requested meanwhile: 150 MiB", true);
	vmt_report_free(report);
	build_trace_free(build);
}

/* Counters lag, and readings are a moment apart. */
static void
a_little_more_is_no_missed_peak(void **state)
{
	struct build_trace *build = with_spike(2 * MIB + MIB);

	(void)state;
	build_trace_end(build, VMT_END_EXIT, 0, AT(600));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_false(report->peak.is_missed);
	assert_int_equal(vmt_report_peak_bytes(report), 2 * MIB);
	assert_int_equal(report->peak.counted_bytes, 3 * MIB);
	assert_says(report, "kernel's count", false);
	vmt_report_free(report);
	build_trace_free(build);
}

/* A process that ran before anybody looked: as of snapshot PID and of record -p. */
static void
check_earlier(uint64_t start_bytes, uint64_t later_bytes, bool missed)
{
	struct build_trace *build = build_trace_new(NULL);

	build_trace_head(build)->start_peak_rss_bytes = start_bytes;
	usage(build, 400, 80 * MIB, later_bytes); /* chunks are in no order */
	usage(build, 100, 80 * MIB, 298 * MIB);
	snapshot(build, 120, 0, 80 * MIB);
	build_trace_end(build, VMT_END_STOPPED, 0, AT(600));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_int_equal(report->peak.is_missed, missed);
	assert_int_equal(report->peak.counted_bytes, later_bytes);
	assert_int_equal(report->peak.earlier_bytes, missed ? 0 : 298 * MIB);
	assert_int_equal(vmt_report_peak_bytes(report), missed ? later_bytes : 80 * MIB);
	assert_says(report, "is the kernel's count: it lay between", missed);
	assert_says(report,
		    " Before the process was first looked at, its largest RSS was 298 MiB by the "
		    "kernel's count.",
		    !missed);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
what_was_before_is_no_peak_of_the_recording(void **state)
{
	(void)state;
	check_earlier(0, 298 * MIB, false);
	check_earlier(0, 299 * MIB, false); /* counters lag */
	check_earlier(298 * MIB, 298 * MIB, false);
	check_earlier(0, 400 * MIB, true);
	check_earlier(298 * MIB, 400 * MIB, true);
	check_earlier(3 * MIB, 298 * MIB, true); /* it began with the trace */
}

/* 150 MiB more were in RAM for a while, and this much was requested then. */
static void
check_requests(uint64_t requested_bytes, bool explains)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event event = mapping(VMT_EVENT_MMAP, 200, requested_bytes);

	build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
	usage(build, 100, 2 * MIB, 2 * MIB);
	usage(build, 400, 100 * MIB, 152 * MIB);
	snapshot(build, 500, 0, 2 * MIB);
	build_trace_end(build, VMT_END_EXIT, 0, AT(600));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_true(report->peak.is_missed);
	assert_int_equal(report->peak.after_rss_bytes, 2 * MIB);
	assert_says(report, "requested meanwhile: ", explains);
	assert_says(report, "; what was requested meanwhile does not explain it.", !explains);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
few_requests_explain_no_peak(void **state)
{
	(void)state;
	check_requests(64 << 10, false);
	check_requests(74 * MIB, false); /* more than the 52 MiB above what was seen */
	check_requests(75 * MIB, true);
}

/* No call of one that is seen from outside is recorded: that says nothing of what it requested. */
static void
check_unrecorded(uint32_t note)
{
	struct build_trace *build = build_trace_new(NULL);

	build_trace_head(build)->notes |= note;
	usage(build, 100, 2 * MIB, 2 * MIB);
	usage(build, 400, 100 * MIB, 152 * MIB);
	snapshot(build, 500, 0, 2 * MIB);
	build_trace_end(build, VMT_END_EXIT, 0, AT(600));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_true(report->peak.is_missed);
	assert_false(report->peak.requests_known);
	assert_says(report, "and nobody looked at its pages.", true);
	assert_says(report, "requested meanwhile", false);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
requests_that_nobody_recorded_are_not_known(void **state)
{
	(void)state;
	check_unrecorded(VMT_NOTE_WATCHED);
	check_unrecorded(VMT_NOTE_OUTSIDE);
}

/* What EXIT says is of programs before an exec, too: it counts where it is more than at the start.
 */
static void
check_exit(uint64_t start_bytes, uint64_t exit_bytes, bool missed)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event event = {.kind = VMT_EVENT_EXIT, .time = AT(300), .length = exit_bytes};

	build_trace_head(build)->start_peak_rss_bytes = start_bytes;
	build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
	usage(build, 100, 2 * MIB, 2 * MIB);
	snapshot(build, 120, 0, 2 * MIB);
	build_trace_end(build, VMT_END_EXIT, 0, AT(600));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_int_equal(report->peak.is_missed, missed);
	assert_int_equal(vmt_report_peak_bytes(report), missed ? exit_bytes : 2 * MIB);
	if (missed) {
		assert_int_equal(report->peak.after_ns, 100 * MS);
		assert_int_equal(report->peak.by_ns, 300 * MS);
	}
	vmt_report_free(report);
	build_trace_free(build);
}

static void
an_exit_tells_of_its_own_program(void **state)
{
	(void)state;
	check_exit(3 * MIB, 90 * MIB, true);
	check_exit(90 * MIB, 90 * MIB, false); /* of who came before */
	check_exit(0, 90 * MIB, false);	       /* an older trace */
	check_exit(MIB, 3 * MIB, false);       /* no more than counters may lag */
}

/* As of a program that rests, and is killed before anybody looks again. */
static void
what_came_after_the_last_snapshot_is_told(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event events[] = {
	    mapping(VMT_EVENT_MMAP, 50, 7 * MIB),
	    mapping(VMT_EVENT_MMAP, 4000, 60 * MIB),
	    mapping(VMT_EVENT_MMAP, 4010, 30 * MIB),
	};
	struct vmt_usage usages[2];

	(void)state;
	memset(usages, 0xff, sizeof(usages));
	for (uint32_t i = 0; i < 2; i++) {
		usages[i].time = usages[i].monotonic_ns = AT(90 + 4000 * i);
		usages[i].rss_bytes = 6 * MIB;
		usages[i].cgroup_oom_kills = i;
		usages[i].cgroup_limit_bytes = 96 * MIB;
	}
	build_trace_events(build, BUILD_MAP_RING(0), events, 3);
	build_trace_usage(build, usages, 2);
	snapshot(build, 100, 0, 6 * MIB);
	build_trace_end(build, VMT_END_SIGNAL, 9, AT(4100));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_true(report->since.is_known);
	assert_int_equal(report->since.from_ns, 100 * MS);
	assert_int_equal(report->since.until_ns, 4100 * MS);
	assert_int_equal(report->since.mapped_bytes, 90 * MIB);
	assert_int_equal(report->since.blocks_requested_bytes, 0);
	assert_says(report,
		    "This snapshot is 4 s before the OOM killer's kill; since then 90 MiB were "
		    "mapped",
		    true);
	vmt_report_free(report);
	/* Up to a moment that is asked for. */
	report = report_of(build, VMT_AT_TIME, 4005 * (int64_t)MS);
	assert_int_equal(report->since.until_ns, 4005 * MS);
	assert_int_equal(report->since.mapped_bytes, 60 * MIB);
	assert_says(report,
		    "This snapshot is 3.9 s before the time asked for; since then 60 MiB "
		    "were mapped",
		    true);
	vmt_report_free(report);
	report = report_of(build, VMT_AT_TIME, 110 * (int64_t)MS);
	assert_int_equal(report->since.mapped_bytes, 0);
	assert_says(report, "before the time", false); /* near enough, and nothing happened */
	vmt_report_free(report);
	report = report_of(build, VMT_AT_TIME, 2000 * (int64_t)MS);
	assert_says(report,
		    "This snapshot is 1.9 s before the time asked for; since then no call is "
		    "recorded that requested or freed memory.",
		    true);
	vmt_report_free(report);
	build_trace_free(build);
}

/* What a program gives back before it exits is no news. */
static void
an_orderly_end_is_not_told(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event events[] = {
	    mapping(VMT_EVENT_MMAP, 50, 70 * MIB),
	    {.kind = VMT_EVENT_MUNMAP,
	     .time = AT(300),
	     .address = BASE + 1024 * MIB + 50 * 256 * MIB,
	     .length = 70 * MIB},
	};

	(void)state;
	build_trace_events(build, BUILD_MAP_RING(0), events, 2);
	snapshot(build, 100, 0, 60 * MIB);
	build_trace_end(build, VMT_END_EXIT, 0, AT(400));
	struct vmt_report *report = report_of(build, VMT_AT_DEFAULT, 0);

	assert_int_equal(report->since.unmapped_bytes, 70 * MIB);
	assert_says(report, "since then", false);
	vmt_report_free(report);
	build_trace_free(build);
}

/* A signal comes in the middle of the work: what was given back before it is news. */
static struct vmt_report *
report_of_shrinking(const struct vmt_event *release, uint32_t end, uint32_t status)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event events[] = {mapping(VMT_EVENT_MMAP, 50, 300 * MIB), *release};
	struct vmt_report *report;

	build_trace_events(build, BUILD_MAP_RING(0), events, 2);
	usage(build, 90, 299 * MIB, 299 * MIB);
	snapshot(build, 100, 0, 299 * MIB);
	build_trace_end(build, end, status, AT(1600));
	report = report_of(build, VMT_AT_DEFAULT, 0);
	build_trace_free(build);
	return report;
}

static void
what_was_unmapped_before_a_signal_is_told(void **state)
{
	const struct vmt_event unmapped = {.kind = VMT_EVENT_MUNMAP,
					   .time = AT(300),
					   .address = BASE + 1024 * MIB + 50 * 256 * MIB,
					   .length = 200 * MIB};
	struct vmt_report *report = report_of_shrinking(&unmapped, VMT_END_SIGNAL, SIGKILL);

	(void)state;
	assert_says(report,
		    "This snapshot is 1.5 s before the signal that ended the process; since then "
		    "200 MiB were unmapped",
		    true);
	assert_says(report, "(last read 299 MiB, peak 299 MiB)", true);
	vmt_report_free(report);
	/* Before an exit it is not, but the reading is old. */
	report = report_of_shrinking(&unmapped, VMT_END_EXIT, 0);
	assert_says(report, "since then", false);
	assert_says(report, "(last read 299 MiB, peak 299 MiB)", true);
	/* Where the trace is cut, nobody knows how the process ended. */
	report->process.end = "cut";
	assert_says(report,
		    "This snapshot is 1.5 s before the last that the trace has; since then 200 "
		    "MiB were unmapped",
		    true);
	vmt_report_free(report);
}

static void
what_advice_took_is_told(void **state)
{
	struct vmt_event advised = {.kind = VMT_EVENT_MADVISE,
				    .time = AT(300),
				    .address = BASE + 1024 * MIB + 50 * 256 * MIB,
				    .length = 250 * MIB,
				    .advice = VMT_ADVICE_DONTNEED,
				    .marks = VMT_MARK_LOOKED,
				    .argument_a = 200 * MIB};
	struct vmt_report *report = report_of_shrinking(&advised, VMT_END_SIGNAL, SIGSEGV);

	(void)state;
	assert_int_equal(report->since.given_back_bytes, 200 * MIB);
	assert_int_equal(report->since.given_back_later_bytes, 0);
	assert_int_equal(report->advice_count, 1);
	assert_int_equal(report->advice[0].since_taken_bytes, 200 * MIB);
	assert_says(report, "; since then 200 MiB were given back", true);
	assert_says(report, "MADV_FREE", false);
	vmt_report_free(report);
	/* RSS has such pages until the kernel wants them. */
	advised.advice = VMT_ADVICE_FREE;
	report = report_of_shrinking(&advised, VMT_END_SIGNAL, SIGSEGV);
	assert_int_equal(report->since.given_back_later_bytes, 200 * MIB);
	assert_says(report,
		    "; since then 200 MiB were given back by MADV_FREE (in RSS until the kernel "
		    "wants it)",
		    true);
	vmt_report_free(report);
	/* What came before the snapshot is in it. */
	advised.time = AT(80);
	report = report_of_shrinking(&advised, VMT_END_SIGNAL, SIGSEGV);
	assert_int_equal(report->since.given_back_bytes, 0);
	assert_says(report, "since then", false);
	vmt_report_free(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_kernel_counts_what_nobody_saw),
	    cmocka_unit_test(a_little_more_is_no_missed_peak),
	    cmocka_unit_test(what_was_before_is_no_peak_of_the_recording),
	    cmocka_unit_test(few_requests_explain_no_peak),
	    cmocka_unit_test(requests_that_nobody_recorded_are_not_known),
	    cmocka_unit_test(an_exit_tells_of_its_own_program),
	    cmocka_unit_test(what_came_after_the_last_snapshot_is_told),
	    cmocka_unit_test(an_orderly_end_is_not_told),
	    cmocka_unit_test(what_was_unmapped_before_a_signal_is_told),
	    cmocka_unit_test(what_advice_took_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
