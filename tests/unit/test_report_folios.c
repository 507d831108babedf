/*
 * test_report_folios.c: does a sampled fault count for all that it brought?
 */
#include "tests/unit/touch_trace.h"

#include "format/advice.h"

#define FOLIO 16 /* pages: 64 KiB */

static void
expect_row(size_t index, uint64_t pages, uint64_t frame)
{
	assert_true(index < report->committer_count);
	assert_int_equal(report->committers[index].committed_bytes, pages * PAGE);
	assert_int_equal(report->committers[index].stack.frames[0].address, frame);
}

static bool
has_blind_spot(const char *words)
{
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		if (strstr(report->coverage.blind_spots[i], words))
			return true;
	return false;
}

/* Somewhere in each of four ranges of 64 KiB, and by another in the third. */
static void
tell_story(void)
{
	touch(20, 3, 1, 0, 1);
	touch(21, FOLIO + 15, 1, 0, 1);
	touch(22, 2 * FOLIO, 1, 1, 1);
	touch(23, 3 * FOLIO + 7, 1, 0, 1);
	look(50, 64, 64, 0);
	make_report();
}

static void
advise(uint16_t advice)
{
	add_event((struct vmt_event){.time = 15,
				     .kind = VMT_EVENT_MADVISE,
				     .address = BASE,
				     .length = 64 * PAGE,
				     .advice = advice,
				     .stack = build_trace_stack(build, reserver, 2)});
}

static void
test_a_fault_brings_a_folio(void **state)
{
	(void)state;
	build_trace_head(build)->folios_always = 1u << 16;
	map(10, 64);
	tell_story();
	assert_int_equal(report->committer_count, 2);
	expect_row(0, 48, 0x402000);
	expect_row(1, 16, 0x403000);
	assert_true(has_blind_spot("may bring up to 64 KiB of anonymous memory at once"));
}

static void
test_without_folios_a_fault_brings_a_page(void **state)
{
	(void)state;
	map(10, 64);
	tell_story();
	assert_int_equal(report->committer_count, 3);
	expect_row(0, 60, 0x401010); /* of the call that reserved */
	expect_row(1, 3, 0x402000);
	expect_row(2, 1, 0x403000);
	assert_false(has_blind_spot("at once"));
}

/* Where the kernel gave a page, its neighbours have faults of their own. */
static void
test_neighbours_with_faults_are_their_own(void **state)
{
	(void)state;
	build_trace_head(build)->folios_always = 1u << 16;
	map(10, 64);
	touch(20, 3, 1, 0, 1);
	touch(21, 4, 5, 1, 1);
	look(50, 64, 16, 0);
	make_report();
	assert_int_equal(report->committer_count, 2);
	expect_row(0, 11, 0x402000);
	expect_row(1, 5, 0x403000);
}

/* The largest that fits into the mapping, and has no page yet. */
static void
test_a_smaller_one_where_the_larger_has_no_room(void **state)
{
	(void)state;
	build_trace_head(build)->folios_always = 1u << 16 | 1u << 14;
	map(10, 24); /* one folio and a half */
	touch(20, 17, 1, 0, 1);
	touch(21, 0, 1, 1, 1);
	look(50, 24, 24, 0);
	make_report();
	assert_int_equal(report->committer_count, 3);
	expect_row(0, 16, 0x403000);
	expect_row(1, 4, 0x402000);
	expect_row(2, 4, 0x401010);
}

static void
test_folios_by_advice(void **state)
{
	(void)state;
	build_trace_head(build)->folios_advised = 1u << 16;
	map(10, 64);
	advise(VMT_ADVICE_HUGEPAGE);
	tell_story();
	assert_int_equal(report->committer_count, 2);
	expect_row(0, 48, 0x402000);
}

static void
test_no_folios_without_the_advice(void **state)
{
	(void)state;
	build_trace_head(build)->folios_advised = 1u << 16;
	map(10, 64);
	tell_story();
	assert_int_equal(report->committer_count, 3);
	expect_row(1, 3, 0x402000);
}

static void
test_no_folios_against_the_advice(void **state)
{
	(void)state;
	build_trace_head(build)->folios_always = 1u << 16;
	map(10, 64);
	advise(VMT_ADVICE_NOHUGEPAGE);
	tell_story();
	assert_int_equal(report->committer_count, 3);
	expect_row(1, 3, 0x402000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_fault_brings_a_folio),
	    TEST(test_without_folios_a_fault_brings_a_page),
	    TEST(test_neighbours_with_faults_are_their_own),
	    TEST(test_a_smaller_one_where_the_larger_has_no_room),
	    TEST(test_folios_by_advice),
	    TEST(test_no_folios_without_the_advice),
	    TEST(test_no_folios_against_the_advice),
	};

	return cmocka_run_group_tests_name("folios in a report", tests, NULL, NULL);
}
