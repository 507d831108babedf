/* When was memory given back, and when was the kernel told how it is used? */
#include "tests/unit/build_trace.h"

#include <errno.h>
#include <string.h>

#include "format/advice.h"
#include "tools/model/report/report_build.h"
#include "tools/render/json.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define END_NS (128 * INT64_C(1000)) /* one part of the recording: 1 us */

static uint32_t
stack_of(struct build_trace *build, uint64_t address)
{
	const uint64_t frames[] = {address, 0x403000};

	return build_trace_stack(build, frames, 2);
}

static struct vmt_event
event_at(int64_t time_ns, uint8_t kind, uint64_t pages, uint64_t in_ram_pages)
{
	return (struct vmt_event){.kind = kind,
				  .time = BUILD_START + (uint64_t)time_ns,
				  .address = BASE,
				  .length = pages * PAGE,
				  .thread = 7,
				  .marks = VMT_MARK_LOOKED,
				  .argument_a = in_ram_pages * PAGE};
}

static struct vmt_event
advice_at(int64_t time_ns, uint16_t advice, uint32_t stack, uint64_t pages, uint64_t in_ram_pages)
{
	struct vmt_event event = event_at(time_ns, VMT_EVENT_MADVISE, pages, in_ram_pages);

	event.advice = advice;
	event.stack = stack;
	return event;
}

/* The last event ends the recording. Owns build. */
static struct vmt_report *
report_of(struct build_trace *build, struct vmt_event *events, uint32_t count, bool history)
{
	const struct vmt_run run = {BASE, PAGE, VMT_RUN_PRESENT};
	const struct build_mapping part = {
	    {.start = BASE, .end = BASE + 16 * PAGE, .protection = 3}, &run, 1};
	const struct vmt_snapshot_head head = {.time = BUILD_START + (uint64_t)END_NS + 1,
					       .source = VMT_RESIDENCY_PAGEMAP};
	struct vmt_report_options options = {.at = VMT_AT_END, .history = history};
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd;

	events[count - 1] = event_at(END_NS, VMT_EVENT_MPROTECT, 1, 0);
	build_trace_events(build, BUILD_MAP_RING(0), events, count);
	build_trace_snapshot(build, &head, &part, 1);
	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + (uint64_t)END_NS + 5);
	fd = build_trace_memfd(build, path);
	if (vmt_report_build(&report, path, &options, &err))
		fail_msg("%s", err.text);
	close(fd);
	build_trace_free(build);
	return report;
}

static void
expect(const struct vmt_history_mark *mark, const char *call, int64_t first_ns, int64_t last_ns,
       uint64_t calls)
{
	assert_string_equal(mark->call, call);
	assert_int_equal(mark->first_ns, first_ns);
	assert_int_equal(mark->last_ns, last_ns);
	assert_int_equal(mark->calls, calls);
}

static void
calls_close_together_are_one(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	uint32_t small = stack_of(build, 0x401000);
	uint32_t large = stack_of(build, 0x402000);
	struct vmt_event events[8] = {
	    advice_at(10100, VMT_ADVICE_DONTNEED, small, 2, 1),
	    advice_at(10200, VMT_ADVICE_DONTNEED, large, 8, 5),
	    advice_at(10250, VMT_ADVICE_HUGEPAGE, small, 4, 0),
	    advice_at(10300, VMT_ADVICE_DONTNEED, small, 2, 0),
	    advice_at(50000, VMT_ADVICE_DONTNEED, small, 2, 2),
	};
	struct vmt_report *report;
	const struct vmt_history_mark *marks;

	(void)state;
	report = report_of(build, events, 6, true);
	marks = report->history.marks;
	assert_int_equal(report->history.mark_count, 3);
	expect(&marks[0], "MADV_DONTNEED", 10100, 10300, 3);
	assert_int_equal(marks[0].bytes, 12 * PAGE);
	assert_int_equal(marks[0].in_ram_bytes, 6 * PAGE);
	assert_int_equal(marks[0].taken_bytes, 6 * PAGE);
	assert_int_equal(report->advice[marks[0].advice].bytes, 8 * PAGE);
	expect(&marks[1], "MADV_HUGEPAGE", 10250, 10250, 1);
	assert_int_equal(marks[1].taken_bytes, 0);
	assert_string_equal(report->advice[marks[1].advice].advice, "MADV_HUGEPAGE");
	expect(&marks[2], "MADV_DONTNEED", 50000, 50000, 1);
	assert_int_equal(report->advice[marks[2].advice].bytes, 6 * PAGE);
	vmt_report_free(report);
}

static void
what_did_not_happen_is_none(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	uint32_t stack = stack_of(build, 0x401000);
	struct vmt_event refused = advice_at(10000, VMT_ADVICE_DONTNEED, stack, 2, 1);
	struct vmt_event undone = event_at(30000, VMT_EVENT_MAP_UNDO, 4, 0);
	struct vmt_event events[8] = {
	    refused,
	    event_at(20000, VMT_EVENT_MUNMAP, 4, 0), /* nothing of it was in RAM */
	    event_at(29000, VMT_EVENT_MUNMAP, 4, 3),
	    undone,
	    event_at(40000, VMT_EVENT_MUNMAP, 4, 2),
	    event_at(50000, VMT_EVENT_MUNMAP, 4, 0),
	    event_at(50001, VMT_EVENT_MAP_UNDO, 4, 0), /* of the one before, not of an older one */
	};
	struct vmt_report *report;

	(void)state;
	events[0].error = EINVAL;
	events[3].error = EINVAL;
	report = report_of(build, events, 8, true);
	assert_int_equal(report->history.mark_count, 1);
	expect(&report->history.marks[0], "munmap", 40000, 40000, 1);
	assert_int_equal(report->history.marks[0].taken_bytes, 2 * PAGE);
	assert_true(report->history.marks[0].advice == SIZE_MAX);
	vmt_report_free(report);
}

/* What malloc gets back it may keep. */
static void
of_a_block_it_is_not_known_what_left(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event malloc_event = event_at(1000, VMT_EVENT_MALLOC, 20, 0);
	struct vmt_event events[3] = {event_at(2000, VMT_EVENT_FREE, 20, 12)};
	struct vmt_report *report;

	(void)state;
	build_trace_events(build, BUILD_HEAP_RING(0), &malloc_event, 1);
	report = report_of(build, events, 2, true);
	assert_int_equal(report->history.mark_count, 1);
	expect(&report->history.marks[0], "free", 2000, 2000, 1);
	assert_int_equal(report->history.marks[0].in_ram_bytes, 12 * PAGE);
	assert_true(report->history.marks[0].taken_bytes == VMT_FIGURE_UNKNOWN);
	vmt_report_free(report);
}

/* A trace of many kinds and calls makes no more than so many marks. */
static void
their_number_is_bounded(void **state)
{
	enum { CALLS = 60000 };
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event *events = calloc(CALLS + 1, sizeof(*events));
	struct vmt_report *report;
	uint64_t calls = 0;
	bool has_others = false;

	(void)state;
	assert_non_null(events);
	for (uint32_t i = 0; i < CALLS; i++)
		events[i] = advice_at(1 + (int64_t)i * 2, (uint16_t)(i % 300), 0, 1, 0);
	report = report_of(build, events, CALLS + 1, true);
	assert_true(report->history.mark_count <= VMT_HISTORY_MARK_PARTS * 17);
	for (size_t i = 0; i < report->history.mark_count; i++) {
		calls += report->history.marks[i].calls;
		has_others |= strcmp(report->history.marks[i].call, "other calls") == 0;
	}
	assert_int_equal(calls, CALLS);
	assert_true(has_others);
	vmt_report_free(report);
	free(events);
}

static void
nobody_asked(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event events[2] = {advice_at(10, VMT_ADVICE_DONTNEED, 0, 2, 1)};
	struct vmt_report *report = report_of(build, events, 2, false);

	(void)state;
	assert_int_equal(report->history.mark_count, 0);
	assert_int_equal(report->advice_count, 1);
	vmt_report_free(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calls_close_together_are_one),
	    cmocka_unit_test(what_did_not_happen_is_none),
	    cmocka_unit_test(of_a_block_it_is_not_known_what_left),
	    cmocka_unit_test(their_number_is_bounded),
	    cmocka_unit_test(nobody_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
