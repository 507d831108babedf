/* Rows of call sites that print the same are one, with all figures added up. */
#include "tools/render/group_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES 3

static char program[] = "/bin/program";
static char library[] = "/lib/libc.so.6";
static char source[] = "/src/a.c";
static char grab[] = "grab";
static char caller_a[] = "caller_a";
static char caller_b[] = "caller_b";
static char outer[] = "outer";

static struct vmt_frame
frame_of(char *function, uint32_t line)
{
	return (struct vmt_frame){
	    .function = function, .file = source, .module = program, .line = line};
}

/* A site whose stack is grab <- caller <- outer. */
static struct vmt_site
site_of(struct vmt_frame frames[FRAMES], char *caller, uint32_t grab_line, uint64_t bytes)
{
	frames[0] = frame_of(grab, grab_line);
	frames[1] = frame_of(caller, 20);
	frames[2] = frame_of(outer, 30);
	return (struct vmt_site){.kind = "mmap",
				 .stack_id = 5,
				 .count = 1,
				 .live_count = 2,
				 .reserved_bytes = bytes * 4,
				 .accessible_bytes = bytes * 3,
				 .committed_bytes = bytes,
				 .swapped_bytes = 7,
				 .total_reserved_bytes = bytes * 5,
				 .released_bytes = bytes,
				 .released_committed_bytes = 3,
				 .stack = {frames, FRAMES}};
}

static void
test_same_frames_are_one_row(void **state)
{
	struct vmt_frame frames[3][FRAMES];
	struct vmt_site sites[3] = {site_of(frames[0], caller_a, 10, 100),
				    site_of(frames[1], caller_b, 10, 1000),
				    site_of(frames[2], caller_a, 10, 10000)};
	struct vmt_report report = {.sites = sites, .site_count = 3};
	size_t count;

	(void)state;
	sites[2].estimate = true;
	sites[2].stack_id = 3;
	struct vmt_site *rows = vmt_group_rows_merge(&report, 1, &count);

	assert_non_null(rows);
	assert_int_equal(count, 2);
	const struct vmt_site *both = rows[0].count == 2 ? &rows[0] : &rows[1];

	assert_int_equal(both->count, 2);
	assert_int_equal(both->stack_id, 3);
	assert_int_equal(both->live_count, 4);
	assert_int_equal(both->reserved_bytes, 40400);
	assert_int_equal(both->accessible_bytes, 30300);
	assert_int_equal(both->committed_bytes, 10100);
	assert_int_equal(both->swapped_bytes, 14);
	assert_int_equal(both->total_reserved_bytes, 50500);
	assert_int_equal(both->released_bytes, 10100);
	assert_int_equal(both->released_committed_bytes, 6);
	assert_true(both->estimate);
	free(rows);
	/* The name alone: all three. */
	rows = vmt_group_rows_merge(&report, 0, &count);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].committed_bytes, 11100);
	free(rows);
	/* What the report holds is as it was. */
	assert_int_equal(report.sites[0].committed_bytes, 100);
}

/* A report may have one text at several places. Rows are in the order of their frames. */
static void
test_same_texts_elsewhere_are_one_row(void **state)
{
	char elsewhere[] = "caller_a";
	struct vmt_frame frames[4][FRAMES];
	struct vmt_site sites[4] = {
	    site_of(frames[0], caller_b, 10, 1), site_of(frames[1], caller_a, 10, 10),
	    site_of(frames[2], elsewhere, 10, 100), site_of(frames[3], caller_a, 10, 1000)};
	struct vmt_report report = {.sites = sites, .site_count = 4};
	size_t count;

	(void)state;
	sites[2].stack_id = 3;
	struct vmt_site *rows = vmt_group_rows_merge(&report, 1, &count);

	assert_non_null(rows);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].committed_bytes, 1110);
	assert_int_equal(rows[0].count, 3);
	assert_int_equal(rows[0].stack_id, 3);
	assert_ptr_equal(rows[0].stack.frames, frames[1]);
	assert_int_equal(rows[1].committed_bytes, 1);
	free(rows);
}

static void
test_what_differs_stays_apart(void **state)
{
	struct vmt_frame frames[4][FRAMES];
	struct vmt_site sites[4] = {
	    site_of(frames[0], caller_a, 10, 1), site_of(frames[1], caller_a, 11, 1),
	    site_of(frames[2], caller_a, 10, 1), site_of(frames[3], caller_a, 10, 1)};
	struct vmt_report report = {.sites = sites, .site_count = 4};
	size_t count;

	(void)state;
	sites[2].kind = "malloc";
	sites[3].stack.count = 0;
	struct vmt_site *rows = vmt_group_rows_merge(&report, 2, &count);

	assert_int_equal(count, 4);
	free(rows);
}

/* Frames inside the C library do not name a site: one more or less makes no difference. */
static void
test_library_frames_do_not_count(void **state)
{
	struct vmt_frame frames[2][FRAMES];
	struct vmt_site sites[2] = {site_of(frames[0], caller_a, 10, 1),
				    site_of(frames[1], caller_a, 10, 1)};
	struct vmt_report report = {.sites = sites, .site_count = 2};
	size_t count;

	(void)state;
	frames[1][2] = frames[1][1];
	frames[1][1] = frames[1][0];
	frames[1][0] = (struct vmt_frame){.module = library, .module_offset = 64};
	struct vmt_site *rows = vmt_group_rows_merge(&report, 1, &count);

	assert_int_equal(count, 1);
	free(rows);
}

/* Without names, the place in the module tells frames apart; its address in memory does not. */
static void
test_nameless_frames(void **state)
{
	struct vmt_frame frames[3] = {
	    {.module = program, .module_offset = 64, .address = 1000},
	    {.module = program, .module_offset = 64, .address = 2000},
	    {.module = program, .module_offset = 65, .address = 1000},
	};
	struct vmt_site sites[3];
	struct vmt_report report = {.sites = sites, .site_count = 3};
	size_t count;

	(void)state;
	for (int i = 0; i < 3; i++)
		sites[i] = (struct vmt_site){.kind = "mmap", .stack = {&frames[i], 1}};
	struct vmt_site *rows = vmt_group_rows_merge(&report, 3, &count);

	assert_int_equal(count, 2);
	free(rows);
}

static void
test_nothing(void **state)
{
	struct vmt_report report = {0};
	size_t count = 9;

	(void)state;
	assert_null(vmt_group_rows_merge(&report, 3, &count));
	assert_int_equal(count, 0);
}

/* Without a name, one address in an allocator is everybody's: callers tell them apart. */
static void
test_nameless_frames_join_by_their_callers(void **state)
{
	struct vmt_frame frames[3][FRAMES];
	struct vmt_site sites[3] = {site_of(frames[0], caller_a, 10, 100),
				    site_of(frames[1], caller_b, 10, 1000),
				    site_of(frames[2], caller_a, 10, 10000)};
	struct vmt_report report = {.sites = sites, .site_count = 3};
	struct vmt_site *rows;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		frames[i][0] = (struct vmt_frame){.module = program, .module_offset = 0x4955bc};
	rows = vmt_group_rows_merge(&report, 0, &count);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].committed_bytes + rows[1].committed_bytes, 11100);
	assert_true(rows[0].committed_bytes == 1000 || rows[1].committed_bytes == 1000);
	free(rows);
}

/* What only leads on is not shown, so that it takes no caller's place: what is shown decides. */
static void
test_passages_do_not_count(void **state)
{
	static char passage[] = "runtime.asmcgocall";
	struct vmt_frame frames[2][5];
	struct vmt_site sites[2];
	struct vmt_report report = {.sites = sites, .site_count = 2};
	struct vmt_site *rows;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		sites[i] = site_of(frames[i], passage, 10, 100);
		frames[i][2] = frame_of(caller_a, 30);
		frames[i][3] = frame_of(i == 0 ? caller_a : caller_b, 40);
		frames[i][4] = frame_of(outer, 50);
		sites[i].stack.count = 5;
	}
	rows = vmt_group_rows_merge(&report, 1, &count);
	assert_int_equal(count, 1);
	free(rows);
	rows = vmt_group_rows_merge(&report, 2, &count);
	assert_int_equal(count, 2);
	free(rows);
}

/* Addresses beyond those that are shown make no other row, the first name behind them does. */
static void
test_hidden_addresses_do_not_count(void **state)
{
	struct vmt_frame frames[3][5];
	struct vmt_site sites[3];
	struct vmt_report report = {.sites = sites, .site_count = 3};
	struct vmt_site *rows;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 4; k++)
			frames[i][k] =
			    (struct vmt_frame){.module = program, .module_offset = 100 + k};
		frames[i][2].module_offset += i;
		frames[i][4] = frame_of(i == 2 ? caller_b : caller_a, 30);
		sites[i] = (struct vmt_site){
		    .kind = "mmap", .committed_bytes = i + 1, .stack = {frames[i], 5}};
	}
	rows = vmt_group_rows_merge(&report, 1, &count);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].committed_bytes, 3);
	assert_int_equal(rows[1].committed_bytes, 3);
	free(rows);
	rows = vmt_group_rows_merge(&report, 2, &count);
	assert_int_equal(count, 3);
	free(rows);
	/* No name at all: the next address. */
	for (size_t i = 0; i < 3; i++)
		sites[i].stack.count = 4;
	frames[2][1].module_offset = 500;
	rows = vmt_group_rows_merge(&report, 0, &count);
	assert_int_equal(count, 2);
	free(rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_frames_are_one_row),
	    cmocka_unit_test(test_same_texts_elsewhere_are_one_row),
	    cmocka_unit_test(test_what_differs_stays_apart),
	    cmocka_unit_test(test_library_frames_do_not_count),
	    cmocka_unit_test(test_nameless_frames),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_nameless_frames_join_by_their_callers),
	    cmocka_unit_test(test_passages_do_not_count),
	    cmocka_unit_test(test_hidden_addresses_do_not_count),
	};

	return cmocka_run_group_tests_name("alike", tests, NULL, NULL);
}
