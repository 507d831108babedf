/*
 * test_report_touch.c: what does a report say of who touched memory?
 */
#include "build_trace.h"

#include <unistd.h>

#include "tools/model/diff/diff_build.h"
#include "tools/model/report/report_build.h"
#include "tools/render/diff_json.h"
#include "tools/render/diff_text.h"
#include "tools/render/json.h"
#include "tools/render/text_report.h"

#define BASE UINT64_C(0x7f0000000000)
#define PAGE UINT64_C(4096)
#define MOST_PAGES 8192u

static const uint64_t reserver[] = {0x401010, 0x401500};
static const struct vmt_touch_stack touchers[] = {
    {2, VMT_TOUCH_STACK_COMPLETE, {0x402000, 0x401510}},
    {2, VMT_TOUCH_STACK_COMPLETE, {0x403000, 0x401520}},
    {2, VMT_TOUCH_STACK_CUT, {0x402008, 0x401510}}, /* the first's, at another instruction */
};

static struct build_trace *build;
static struct vmt_report *report;

static void
add_event(struct vmt_event event)
{
	event.thread = 7;
	event.marks = VMT_MARK_LOOKED;
	event.time += BUILD_START;
	build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
}

static void
map(uint64_t time, uint64_t pages)
{
	add_event((struct vmt_event){.time = time,
				     .kind = VMT_EVENT_MMAP,
				     .address = BASE,
				     .length = pages * PAGE,
				     .protection = 3,
				     .flags = 0x22,
				     .argument_b = UINT64_MAX,
				     .stack = build_trace_stack(build, reserver, 2)});
}

/* Every period-th page of a range, by a toucher. */
static void
touch(uint64_t time, uint64_t first, uint64_t pages, uint32_t stack, uint64_t period)
{
	const struct vmt_touch_head head = {.period = period,
					    .minor_faults = pages,
					    .major_faults = 0,
					    .flags = VMT_TOUCH_PAGE_SIZES | VMT_TOUCH_INHERITED |
						     VMT_TOUCH_KERNEL_FAULTS};
	static struct vmt_touch_sample samples[MOST_PAGES];
	uint32_t count = 0;

	for (uint64_t i = 0; i < pages; i += period)
		samples[count++] = (struct vmt_touch_sample){.time = BUILD_START + time,
							     .address = BASE + (first + i) * PAGE,
							     .thread = 7,
							     .stack = stack,
							     .page_shift = 12};
	build_trace_touch(build, &head, touchers, 3, samples, count);
}

static void
look(uint64_t time, uint64_t pages, uint64_t resident, uint32_t index)
{
	const struct vmt_run run = {BASE, resident * PAGE, VMT_RUN_PRESENT};
	const struct build_mapping part = {
	    {.start = BASE, .end = BASE + pages * PAGE, .protection = 3}, &run, 1};
	const struct vmt_snapshot_head head = {.time = BUILD_START + time,
					       .monotonic_ns = BUILD_START + time,
					       .rss_before_bytes = resident * PAGE,
					       .rss_after_bytes = resident * PAGE,
					       .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
					       .source = VMT_RESIDENCY_PAGEMAP,
					       .index = index};

	build_trace_snapshot(build, &head, &part, 1);
}

static void
make_report(void)
{
	const struct vmt_report_options options = {.at = VMT_AT_END};
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];
	int fd;

	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + 1000);
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
}

static char *
text_of_report(void)
{
	struct vmt_text_options options = {.layout = {.columns = 100}, .top = 12, .callers = 3};
	char *text = NULL;
	size_t length;

	options.layout.out = open_memstream(&text, &length);
	vmt_text_report_print(report, &options);
	fclose(options.layout.out);
	return text;
}

static char *
json_of_report(void)
{
	const struct vmt_json_options options = {.top = SIZE_MAX};
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_int_equal(vmt_json_print(report, &options, out, &err), 0);
	fclose(out);
	return text;
}

static void
expect_in(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("no \"%s\" in:\n%s", wanted, text);
}

static int
set_up(void **state)
{
	(void)state;
	build = build_trace_new(NULL);
	report = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_report_free(report);
	build_trace_free(build);
	return 0;
}

static void
tell_story(void)
{
	map(10, 128);
	touch(20, 0, 32, 0, 1);
	touch(30, 32, 8, 2, 1);
	touch(40, 40, 20, 1, 1);
	look(50, 128, 64, 0);
}

static void
check_rows_add_up(void)
{
	uint64_t committed = 0;

	for (size_t i = 0; i < report->committer_count; i++) {
		const struct vmt_committer *row = &report->committers[i];
		uint64_t reserved = 0;

		for (size_t j = 0; j < row->reserved_by_count; j++)
			reserved += row->reserved_by[j].bytes;
		assert_int_equal(reserved, row->committed_bytes);
		assert_true(i == 0 || row->committed_bytes <= row[-1].committed_bytes);
		committed += row->committed_bytes;
	}
	assert_int_equal(committed, report->snapshot.rss_bytes);
	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *site = &report->sites[i];
		uint64_t touched = site->unsampled_bytes;

		for (size_t j = 0; j < site->touched_by_count; j++)
			touched += site->touched_by[j].bytes;
		assert_int_equal(touched, site->committed_bytes);
	}
}

/* Two instructions of one function, called from one place, are one row (here, without names, two:
 * addresses tell them apart). */
static void
test_the_rows(void **state)
{
	(void)state;
	tell_story();
	make_report();
	check_rows_add_up();
	assert_int_equal(report->committer_count, 4);
	assert_int_equal(report->committers[0].committed_bytes, 32 * PAGE);
	assert_string_equal(report->committers[0].evidence, VMT_EVIDENCE_SAMPLES);
	assert_string_equal(report->committers[0].stack_end, "complete");
	assert_int_equal(report->committers[0].samples, 32);
	assert_int_equal(report->committers[0].stack.frames[0].address, 0x402000);
	assert_int_equal(report->committers[0].stack.frames[1].address, 0x401510);
	assert_int_equal(report->committers[1].committed_bytes, 20 * PAGE);
	assert_int_equal(report->committers[1].stack.frames[0].address, 0x403000);
	assert_int_equal(report->committers[2].committed_bytes, 8 * PAGE);
	assert_string_equal(report->committers[2].stack_end, "cut");
	assert_int_equal(report->committers[3].committed_bytes, 4 * PAGE);
	assert_string_equal(report->committers[3].evidence, VMT_EVIDENCE_RESERVATION);
	assert_int_equal(report->committers[3].stack.frames[0].address, 0x401010);
	assert_null(report->committers[3].stack_end);
	assert_int_equal(report->site_count, 1);
	assert_int_equal(report->sites[0].touched_by_count, 3);
	assert_int_equal(report->sites[0].touched_by[0].row, 0);
	assert_int_equal(report->sites[0].unsampled_bytes, 4 * PAGE);
	assert_false(report->committers[0].estimate);
}

static void
test_the_heads(void **state)
{
	(void)state;
	tell_story();
	make_report();
	assert_true(report->touch.asked);
	assert_int_equal(report->touch.period, 1);
	assert_int_equal(report->touch.samples, 60);
	assert_int_equal(report->touch.unsampled_faults, 0);
	assert_int_equal(report->coverage.blind_spot_count, 0);
}

static void
test_the_text(void **state)
{
	char *text;

	(void)state;
	tell_story();
	make_report();
	text = text_of_report();
	expect_in(text, "touched 128 KiB by 0x402000");
	expect_in(text, "touched 80 KiB by 0x403000");
	expect_in(text, "Committed by: whose touches made pages resident");
	expect_in(text, "128 KiB   50 %   1  touch 0x402000");
	expect_in(text, "no sample: reserved by 0x401010");
	expect_in(text, "256 KiB             total = RSS");
	assert_null(strstr(text, "~"));
	free(text);
}

static void
test_the_json(void **state)
{
	char *text;

	(void)state;
	tell_story();
	make_report();
	text = json_of_report();
	expect_in(text, "\"source\": \"perf page faults\"");
	expect_in(text, "\"refused\": null");
	expect_in(text, "\"period\": 1,");
	expect_in(text, "\"evidence\": \"reserving call\"");
	expect_in(text, "\"unsampled_bytes\": 16384");
	free(text);
}

static void
test_estimates_are_marked(void **state)
{
	char *text;

	(void)state;
	map(10, 256);
	touch(20, 0, 256, 0, 16);
	look(50, 256, 256, 0);
	make_report();
	check_rows_add_up();
	assert_true(report->committers[0].estimate);
	assert_int_equal(report->committers[0].committed_bytes, 256 * PAGE);
	text = text_of_report();
	expect_in(text, "touched ~1 MiB by 0x402000");
	expect_in(text, "~ = about: estimated from sampled page faults");
	free(text);
}

/* What was touched later than the snapshot is not what it shows. */
static void
test_later_touches_do_not_count(void **state)
{
	(void)state;
	map(10, 128);
	touch(20, 0, 32, 0, 1);
	look(50, 128, 64, 0);
	touch(60, 32, 32, 1, 1);
	make_report();
	check_rows_add_up();
	assert_int_equal(report->committer_count, 2);
	assert_string_equal(report->committers[0].evidence, VMT_EVIDENCE_SAMPLES);
	assert_int_equal(report->committers[0].committed_bytes, 32 * PAGE);
}

/* A parent that goes on after a fork: what it wrote to again shows by samples and by a snapshot. */
static void
test_what_was_unshared(void **state)
{
	char *text;

	(void)state;
	map(10, 128);
	touch(20, 0, 16, 0, 1);
	look(25, 128, 64, 0);
	add_event((struct vmt_event){.time = 30, .kind = VMT_EVENT_FORK, .argument_a = 4711});
	touch(40, 0, 48, 1, 1);
	look(50, 128, 64, 1);
	make_report();
	check_rows_add_up();
	assert_int_equal(report->committers[0].committed_bytes, 48 * PAGE);
	assert_int_equal(report->committers[0].unshared_bytes, 48 * PAGE);
	text = text_of_report();
	expect_in(text, "un-shared after fork: 192 KiB");
	free(text);
}

static void
test_a_refusal(void **state)
{
	static const struct vmt_touch_head refused = {.flags = VMT_TOUCH_REFUSED, .refused = 13};
	char *text;

	(void)state;
	map(10, 128);
	build_trace_touch(build, &refused, NULL, 0, NULL, 0);
	look(50, 128, 64, 0);
	make_report();
	assert_int_equal(report->committer_count, 0);
	assert_int_equal(report->coverage.blind_spot_count, 1);
	expect_in(report->coverage.blind_spots[0], "Permission denied");
	expect_in(report->coverage.blind_spots[0], "perf_event_paranoid");
	text = json_of_report();
	expect_in(text, "\"refused\": \"Permission denied\"");
	free(text);
}

/* Lost samples stand at the top, and make all of it an estimate. */
static void
test_losses(void **state)
{
	static const struct vmt_touch_head lossy = {
	    .period = 1, .minor_faults = 128, .samples_lost = 1234, .samples_skipped = 5};
	char *text;

	(void)state;
	map(10, 128);
	touch(20, 0, 32, 0, 1);
	build_trace_touch(build, &lossy, NULL, 0, NULL, 0);
	look(50, 128, 64, 0);
	make_report();
	check_rows_add_up();
	assert_true(report->committers[0].estimate);
	text = text_of_report();
	expect_in(text, "Of the page faults sampled, 32 are in the trace, 1,234 lost");
	expect_in(text, ", 5 left out to limit CPU time");
	free(text);
}

/* As symbols would: a clearing function of the runtime's, called by one that differs. */
static void
name_frames(struct vmt_report *side)
{
	static char clear[] = "memclr";
	static char callers[][8] = {"load", "build"};

	for (size_t i = 0; i < side->committer_count; i++) {
		struct vmt_stack_frames *stack = &side->committers[i].stack;

		if (stack->count != 2)
			continue;
		stack->frames[0].function = clear;
		stack->frames[1].function = callers[stack->frames[1].address == 0x401520];
	}
}

/* 32 MiB reserved in each, of which B touches 24 MiB more by code that A has not. */
static struct vmt_report *
make_side(bool more)
{
	struct vmt_report *side;

	map(10, 8192);
	touch(20, 0, 1024, 0, 1);
	if (more)
		touch(30, 1024, 6144, 1, 1);
	look(50, 8192, more ? 7168 : 1024, 0);
	make_report();
	side = report;
	side->process.pid = more ? 2 : 1; /* of two runs */
	name_frames(side);
	report = NULL;
	build_trace_free(build);
	build = build_trace_new(NULL);
	return side;
}

static void
test_a_diff_names_the_new_toucher(void **state)
{
	struct vmt_report *a = make_side(false);
	struct vmt_report *b = make_side(true);
	struct vmt_diff_text_options options = {
	    .layout = {.columns = 400}, .paths = {"a", "b"}, .top = 12, .callers = 3};
	const struct vmt_diff_json_options json = {.paths = {"a", "b"}, .top = SIZE_MAX};
	struct vmt_diff *diff;
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;

	(void)state;
	assert_int_equal(vmt_diff_build(&diff, a, b, VMT_AT_END, &err), 0);
	assert_int_equal(diff->touch->site_count, 2);
	assert_int_equal(diff->touch->sites[0].match, VMT_DIFF_NEW);
	assert_int_equal(vmt_diff_delta(&diff->touch->sites[0].committed_bytes), 24 << 20);
	assert_int_equal(vmt_diff_delta(&diff->touch->sites[1].committed_bytes), 0);
	options.layout.out = open_memstream(&text, &length);
	vmt_diff_text_print(diff, &options);
	fclose(options.layout.out);
	expect_in(text, "Reserved flat at 32 MiB, committed +24 MiB (+600 %), first touched by "
			"memclr, nearly all in class mmap");
	expect_in(text, "Committed by, by change");
	expect_in(text, "+24 MiB       0 B    24 MiB  new touch memclr");
	free(text);
	text = NULL;
	options.layout.out = open_memstream(&text, &length);
	assert_int_equal(vmt_diff_json_print(diff, &json, options.layout.out, &err), 0);
	fclose(options.layout.out);
	expect_in(text, "\"committed_by\": [");
	expect_in(text, "\"match\": \"new\"");
	free(text);
	vmt_diff_free(diff);
	vmt_report_free(a);
	vmt_report_free(b);
}

static void
test_a_diff_of_one_side_alone(void **state)
{
	struct vmt_report *a;
	struct vmt_report *b = make_side(true);
	struct vmt_diff_text_options options = {
	    .layout = {.columns = 400}, .paths = {"a", "b"}, .top = 12, .callers = 3};
	struct vmt_diff *diff;
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;

	(void)state;
	map(10, 8192);
	look(50, 8192, 1024, 0);
	make_report();
	a = report;
	report = NULL;
	assert_int_equal(vmt_diff_build(&diff, a, b, VMT_AT_END, &err), 0);
	assert_null(diff->touch);
	options.layout.out = open_memstream(&text, &length);
	vmt_diff_text_print(diff, &options);
	fclose(options.layout.out);
	expect_in(text, "Who touched memory is known of B alone.");
	assert_null(strstr(text, "first touched"));
	free(text);
	vmt_diff_free(diff);
	vmt_report_free(a);
	vmt_report_free(b);
}

/* Nobody asked: nothing is said. */
static void
test_without_samples(void **state)
{
	char *text;

	(void)state;
	map(10, 128);
	look(50, 128, 64, 0);
	make_report();
	assert_int_equal(report->coverage.blind_spot_count, 0);
	text = text_of_report();
	assert_null(strstr(text, "touched"));
	assert_null(strstr(text, "Committed by"));
	free(text);
	text = json_of_report();
	expect_in(text, "\"touch\": null");
	expect_in(text, "\"committed_by\": []");
	assert_null(strstr(text, "\"touched_by\""));
	free(text);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_rows),
	    TEST(test_the_heads),
	    TEST(test_the_text),
	    TEST(test_the_json),
	    TEST(test_estimates_are_marked),
	    TEST(test_later_touches_do_not_count),
	    TEST(test_what_was_unshared),
	    TEST(test_a_refusal),
	    TEST(test_losses),
	    TEST(test_without_samples),
	    TEST(test_a_diff_names_the_new_toucher),
	    TEST(test_a_diff_of_one_side_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
