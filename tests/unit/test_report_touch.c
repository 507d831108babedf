/*
 * test_report_touch.c: what does a report say of who touched memory?
 */
#include "touch_trace.h"

#include "tools/render/json.h"
#include "tools/render/text_report.h"

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
	assert_int_equal(report->touch.from_ns, 20);
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
	expect_in(text, "un-shared after forks, over the run: 192 KiB");
	free(text);
}

/* Without a snapshot in between, what was touched before is known from samples alone. What was
 * mapped after the fork is no question. */
static void
test_more_may_be_unshared_than_is_known(void **state)
{
	char *text;

	(void)state;
	map(10, 64);
	touch(20, 0, 16, 0, 1);
	add_event((struct vmt_event){.time = 30, .kind = VMT_EVENT_FORK, .argument_a = 4711});
	touch(40, 0, 48, 1, 1);
	look(50, 64, 48, 0);
	make_report();
	check_rows_add_up();
	assert_int_equal(report->committers[0].unshared_bytes, 16 * PAGE);
	assert_true(report->committers[0].unshared_is_least);
	text = text_of_report();
	expect_in(text, "un-shared after forks, over the run: 64 KiB or more, written to first");
	free(text);
	text = json_of_report();
	expect_in(text, "\"unshared_is_least\": true");
	free(text);
}

static void
test_memory_from_after_a_fork_is_not_unshared(void **state)
{
	(void)state;
	add_event((struct vmt_event){.time = 5, .kind = VMT_EVENT_FORK, .argument_a = 4711});
	map(10, 64);
	touch(40, 0, 48, 1, 1);
	look(50, 64, 48, 0);
	make_report();
	assert_int_equal(report->committers[0].unshared_bytes, 0);
	assert_false(report->committers[0].unshared_is_least);
}

/* Who has two samples may as well have had half as much, or twice. */
static void
test_few_samples_are_told(void **state)
{
	char *text;

	(void)state;
	map(10, 1024);
	touch(20, 0, 122, 0, 61);
	touch(30, 122, 610, 1, 61);
	look(50, 1024, 732, 0);
	make_report();
	check_rows_add_up();
	text = text_of_report();
	expect_in(text, "touched ~488 KiB (2 samples) by 0x402000");
	expect_in(text, "touched ~2.38 MiB by 0x403000");
	expect_in(text, "touch (2 samples) 0x402000");
	expect_in(text, "touch 0x403000");
	free(text);
	text = json_of_report();
	expect_in(text, "\"samples_now\": 2,");
	expect_in(text, "\"samples_now\": 10,");
	free(text);
}

static void
expect_blind_spot(const char *wanted)
{
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		if (strstr(report->coverage.blind_spots[i], wanted))
			return;
	fail_msg("no blind spot \"%s\"", wanted);
}

/* 2000 of them, and 1200 others without a sample. */
static void
report_faults_that_read(uint32_t flags)
{
	const struct vmt_touch_head more = {.period = 61,
					    .minor_faults = 7300,
					    .major_faults = 2000,
					    .flags = VMT_TOUCH_PAGE_SIZES | VMT_TOUCH_INHERITED |
						     VMT_TOUCH_KERNEL_FAULTS | flags};

	map(10, 6100);
	touch(20, 0, 6100, 0, 61);
	build_trace_touch(build, &more, touchers, 3, NULL, 0);
	look(50, 6100, 6100, 0);
	make_report();
}

static void
test_faults_that_read_are_like_others(void **state)
{
	(void)state;
	report_faults_that_read(VMT_TOUCH_MAJOR_FAULTS);
	assert_true(report->touch.major_sampled);
	expect_blind_spot("of 9300 page faults about 3200 are in no sample: a thread of fewer");
	assert_int_equal(report->coverage.blind_spot_count, 1);
}

/* Traces of versions that did not sample them. */
static void
test_faults_that_read_are_not_sampled(void **state)
{
	(void)state;
	report_faults_that_read(0);
	assert_false(report->touch.major_sampled);
	expect_blind_spot("2000 page faults read a file or swap");
	expect_blind_spot("of 7300 page faults about 1200 are in no sample: a thread of fewer");
	assert_int_equal(report->coverage.blind_spot_count, 2);
}

static void
test_much_without_a_sample_is_a_blind_spot(void **state)
{
	(void)state;
	map(10, 1024);
	touch(20, 0, 512, 0, 1);
	look(50, 1024, 1024, 0);
	make_report();
	expect_blind_spot("who touched 2 MiB of anonymous memory, 50 % of RSS");
	assert_int_equal(report->coverage.blind_spot_count, 1);
}

static void
test_huge_pages_make_rough_estimates(void **state)
{
	const struct vmt_run run = {BASE, UINT64_C(4) << 20, VMT_RUN_PRESENT | VMT_RUN_HUGE};
	const struct build_mapping part = {
	    {.start = BASE, .end = BASE + (UINT64_C(4) << 20), .protection = 3}, &run, 1};
	const struct vmt_snapshot_head head = {.time = BUILD_START + 50,
					       .source = VMT_RESIDENCY_PAGEMAP};

	(void)state;
	map(10, 1024);
	touch(20, 0, 1, 0, 61);
	build_trace_snapshot(build, &head, &part, 1);
	make_report();
	expect_blind_spot("one page fault in 61 was sampled, also of huge pages");
}

/* A process that was over too soon, or that the collector did not find. */
static void
test_a_sampling_that_did_not_begin_is_told(void **state)
{
	char *text;

	(void)state;
	build_trace_head(build)->notes |= VMT_NOTE_TOUCH_WANTED;
	map(10, 128);
	look(50, 128, 64, 0);
	make_report();
	expect_blind_spot("no page fault was sampled");
	assert_int_equal(report->coverage.blind_spot_count, 1);
	text = json_of_report();
	expect_in(text, "\"source\": \"perf page faults\"");
	expect_in(text, "\"from_ns\": null");
	free(text);
}

/* Half came in before the second snapshot, the rest before the third: the second half is gone
 * again. */
static void
see_three(void)
{
	map(10, 2048);
	look(20, 2048, 64, 0);
	look(30, 2048, 1024, 1);
	look(40, 2048, 1100, 2);
}

static void
test_when_it_came_into_ram(void **state)
{
	char *text;

	(void)state;
	see_three();
	make_report();
	assert_int_equal(report->sites[0].came_in.bytes, (1024 - 64) * PAGE);
	assert_true(report->sites[0].came_in.has_after);
	assert_int_equal(report->sites[0].came_in.after, 0);
	assert_int_equal(report->sites[0].came_in.by, 1);
	assert_int_equal(report->sites[0].came_in.after_ns, 20);
	assert_int_equal(report->sites[0].came_in.by_ns, 30);
	text = text_of_report();
	expect_in(text, "3.75 MiB of it came into RAM between snapshots 1 (20 ns) and 2 (30 ns)");
	free(text);
	text = json_of_report();
	expect_in(text, "\"after_snapshot\": 0,");
	expect_in(text, "\"by_snapshot\": 1,");
	free(text);
}

/* What was given back between two snapshots has come in anew, although both show it. */
static void
test_what_was_given_back_comes_in_anew(void **state)
{
	(void)state;
	map(10, 2048);
	look(20, 2048, 1024, 0);
	add_event((struct vmt_event){.time = 25,
				     .kind = VMT_EVENT_MADVISE,
				     .address = BASE,
				     .length = 1000 * PAGE,
				     .advice = 4});
	look(30, 2048, 1024, 1);
	make_report();
	assert_int_equal(report->sites[0].came_in.bytes, 1000 * PAGE);
	assert_int_equal(report->sites[0].came_in.by, 1);
}

/* A move takes along since when pages are there. */
static void
test_what_was_moved_came_in_before(void **state)
{
	const struct vmt_run run = {BASE + 8192 * PAGE, 1024 * PAGE, VMT_RUN_PRESENT};
	const struct build_mapping part = {
	    {.start = BASE + 8192 * PAGE, .end = BASE + 10240 * PAGE, .protection = 3}, &run, 1};
	const struct vmt_snapshot_head head = {
	    .time = BUILD_START + 40, .source = VMT_RESIDENCY_PAGEMAP, .index = 2};
	const uint64_t to = BASE + 8192 * PAGE;
	const struct vmt_site *moved;

	(void)state;
	map(10, 2048);
	look(20, 2048, 64, 0);
	look(30, 2048, 1024, 1);
	add_event((struct vmt_event){.time = 34,
				     .kind = VMT_EVENT_MREMAP_BEGIN,
				     .address = BASE,
				     .length = 2048 * PAGE,
				     .flags = 1});
	add_event((struct vmt_event){.time = 35,
				     .kind = VMT_EVENT_MREMAP,
				     .address = to,
				     .length = 2048 * PAGE,
				     .argument_a = BASE,
				     .argument_b = 2048 * PAGE,
				     .flags = 1});
	build_trace_snapshot(build, &head, &part, 1);
	make_report();
	assert_int_equal(report->site_count, 2);
	moved = &report->sites[strcmp(report->sites[0].kind, "mremap") != 0];
	assert_string_equal(moved->kind, "mremap");
	assert_int_equal(moved->came_in.bytes, 960 * PAGE);
	assert_int_equal(moved->came_in.by, 1);
}

/* What the first snapshot shows came in before it, no more is known; with samples, these tell. */
static void
test_the_first_snapshot_is_no_news(void **state)
{
	char *text;

	(void)state;
	map(10, 2048);
	look(20, 2048, 1024, 0);
	look(30, 2048, 1024, 1);
	make_report();
	assert_int_equal(report->sites[0].came_in.bytes, 1024 * PAGE);
	assert_false(report->sites[0].came_in.has_after);
	text = text_of_report();
	assert_null(strstr(text, "came into RAM"));
	free(text);
	text = json_of_report();
	expect_in(text, "\"after_snapshot\": null");
	free(text);
}

static void
test_samples_tell_better(void **state)
{
	char *text;

	(void)state;
	touch(15, 0, 64, 0, 1);
	see_three();
	make_report();
	assert_int_equal(report->sites[0].came_in.bytes, 0);
	text = json_of_report();
	assert_null(strstr(text, "came_in"));
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

/* Of a call without a stack there is no frame to show. */
static void
test_a_site_without_a_stack(void **state)
{
	char *text;

	(void)state;
	map_by(10, 8192, 0);
	touch(20, 0, 1024, 0, 1);
	touch(30, 1024, 1024, 1, 1);
	look(50, 8192, 2048, 0);
	make_report();
	check_rows_add_up();
	text = text_of_report();
	expect_in(text, "Reserved by (rows)");
	expect_in(text, "      4 MiB      4 MiB          -  mmap");
	free(text);
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
	    TEST(test_more_may_be_unshared_than_is_known),
	    TEST(test_memory_from_after_a_fork_is_not_unshared),
	    TEST(test_few_samples_are_told),
	    TEST(test_faults_that_read_are_like_others),
	    TEST(test_faults_that_read_are_not_sampled),
	    TEST(test_much_without_a_sample_is_a_blind_spot),
	    TEST(test_huge_pages_make_rough_estimates),
	    TEST(test_a_sampling_that_did_not_begin_is_told),
	    TEST(test_when_it_came_into_ram),
	    TEST(test_what_was_given_back_comes_in_anew),
	    TEST(test_what_was_moved_came_in_before),
	    TEST(test_the_first_snapshot_is_no_news),
	    TEST(test_samples_tell_better),
	    TEST(test_a_refusal),
	    TEST(test_losses),
	    TEST(test_a_site_without_a_stack),
	    TEST(test_without_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
