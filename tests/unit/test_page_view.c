/* The page's data: stacks are kept once, and folded call sites keep their sums. */
#include "tools/page/html.h"
#include "tools/page/report_page.h"
#include "tools/page/view_cut.h"
#include "tools/page/view_sites.h"
#include "tools/page/view_stacks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DEEP 8u

/* Of a page whose size is bounded: its own code takes a seventh of it. */
#define MOST_BYTES ((size_t)1 << 20)

static struct vmt_frame
frame_of(const char *function, uint32_t line)
{
	return (struct vmt_frame){.function = (char *)(uintptr_t)function,
				  .file = (char *)(uintptr_t) "/src/a.c",
				  .module = (char *)(uintptr_t) "/srv/app",
				  .line = line};
}

static char *
columns_of(const struct vmt_view_stacks *stacks)
{
	struct vmt_err err = {""};
	struct vmt_emitter emitter;
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	vmt_emitter_begin(&emitter, out, VMT_EMITTER_JSON_LINES);
	vmt_emitter_object(&emitter, NULL);
	vmt_view_stacks_write(stacks, &emitter);
	vmt_emitter_object_end(&emitter);
	assert_int_equal(vmt_emitter_finish(&emitter, &err), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void
test_what_stacks_share_is_kept_once(void **state)
{
	struct vmt_frame nameless = {
	    .module = (char *)(uintptr_t) "/srv/app", .address = 0x5000, .module_offset = 0x1000};
	struct vmt_frame first[] = {frame_of("leaf", 1), frame_of("main", 2)};
	struct vmt_frame second[] = {nameless, frame_of("main", 2)};
	struct vmt_stack_frames stacks[] = {{first, 2}, {second, 2}, {first, 2}, {NULL, 0}};
	struct vmt_view_stacks *view = vmt_view_stacks_new();
	uint32_t nodes[4];

	(void)state;
	assert_non_null(view);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(vmt_view_stacks_add(view, &stacks[i], SIZE_MAX, &nodes[i]), 0);
	assert_int_equal(nodes[0], 2);
	assert_int_equal(nodes[1], 3);
	assert_int_equal(nodes[2], 2);
	assert_int_equal(nodes[3], 0);

	char *text = columns_of(view);

	assert_string_equal(text,
			    "{\"strings\":[\"\",\"main\",\"/src/a.c\",\"/srv/app\",\"leaf\"],"
			    "\"frames\":{\"function\":[1,4,0],\"file\":[2,2,0],\"line\":[2,1,0],"
			    "\"module\":[3,3,3],\"inlined\":[0,0,0],"
			    "\"address\":[null,null,\"0x1000\"]},"
			    "\"nodes\":{\"parent\":[0,0,1,1],\"frame\":[-1,0,1,2]}}\n");
	free(text);
	vmt_view_stacks_free(view);
}

/* So many call sites with stacks of their own, but for the outermost two frames. */
struct crowd {
	struct vmt_report report;
	struct vmt_frame *frames;
	char (*names)[32];
};

static void
crowd_make(struct crowd *crowd, size_t count)
{
	uint32_t at = 1;

	*crowd = (struct crowd){.report = {.site_count = count}};
	crowd->report.sites = calloc(count, sizeof(*crowd->report.sites));
	crowd->frames = calloc(count * DEEP, sizeof(*crowd->frames));
	crowd->names = calloc(count, sizeof(*crowd->names));
	assert_true(crowd->report.sites && crowd->frames && crowd->names);
	crowd->report.process.end = "exit";
	crowd->report.coverage.stacks = "dwarf";
	crowd->report.coverage.malloc_mode = "all";
	crowd->report.snapshot.taken = true;
	for (size_t i = 0; i < count; i++) {
		struct vmt_site *site = &crowd->report.sites[i];

		snprintf(crowd->names[i], sizeof(crowd->names[i]), "made_%zx_%08x", i,
			 at = at * 1664525 + 1013904223);
		for (size_t k = 0; k < DEEP; k++) {
			at = at * 1664525 + 1013904223;
			crowd->frames[i * DEEP + k] =
			    k + 2 < DEEP ? frame_of(crowd->names[at % (i + 1)], at >> 12)
					 : frame_of(k + 1 < DEEP ? "serve" : "main", 1);
		}
		site->kind = i % 2 ? "malloc" : "mmap";
		site->class = i % 2 ? "malloc live" : "mmap";
		site->stack = (struct vmt_stack_frames){&crowd->frames[i * DEEP], DEEP};
		site->count = 1 + i % 3;
		site->committed_bytes = 4096 * (1 + at % 1000);
		site->reserved_bytes = 2 * site->committed_bytes;
		site->total_reserved_bytes = 3 * site->committed_bytes;
	}
}

static void
crowd_free(struct crowd *crowd)
{
	free(crowd->report.sites);
	free(crowd->frames);
	free(crowd->names);
}

static void
test_folded_sites_keep_their_sums(void **state)
{
	struct crowd crowd;
	struct vmt_view_sites sites;
	struct vmt_view_stacks *stacks = vmt_view_stacks_new();
	uint64_t reserved[2] = {0, 0};
	uint64_t counts[2] = {0, 0};
	uint64_t least_kept = UINT64_MAX;
	uint64_t most_folded = 0;

	(void)state;
	crowd_make(&crowd, 3000);
	assert_int_equal(vmt_view_sites_make(&sites, &crowd.report, 100, 2, stacks), 0);
	assert_int_equal(sites.folded_sites, 2900);
	assert_true(sites.row_count >= 100 && sites.row_count <= 102); /* by two calls */
	for (size_t i = 0; i < 3000; i++) {
		const struct vmt_site *site = &crowd.report.sites[i];
		const struct vmt_view_row *row = &sites.rows[sites.row_of[i]];

		reserved[0] += site->total_reserved_bytes;
		counts[0] += site->count;
		assert_string_equal(row->kind, site->kind);
		assert_string_equal(row->class, site->class);
		if (!row->is_folded && site->committed_bytes < least_kept)
			least_kept = site->committed_bytes;
		if (row->is_folded && site->committed_bytes > most_folded)
			most_folded = site->committed_bytes;
	}
	for (size_t i = 0; i < sites.row_count; i++) {
		reserved[1] += sites.rows[i].total_reserved_bytes;
		counts[1] += sites.rows[i].count;
	}
	assert_int_equal(reserved[0], reserved[1]);
	assert_int_equal(counts[0], counts[1]);
	assert_true(most_folded <= least_kept); /* the smallest are folded */
	vmt_view_sites_free(&sites);
	vmt_view_stacks_free(stacks);
	crowd_free(&crowd);
}

static void
test_few_sites_are_not_folded(void **state)
{
	struct crowd crowd;
	struct vmt_view_sites sites;
	struct vmt_view_stacks *stacks = vmt_view_stacks_new();

	(void)state;
	crowd_make(&crowd, 50);
	assert_int_equal(vmt_view_sites_make(&sites, &crowd.report, 50, 5, stacks), 0);
	assert_int_equal(sites.folded_sites, 0);
	assert_int_equal(sites.row_count, 50);
	vmt_view_sites_free(&sites);
	vmt_view_stacks_free(stacks);
	crowd_free(&crowd);
}

static int
write_all(void *argument, FILE *json, struct vmt_err *err)
{
	return vmt_view_data_write(argument, json, err);
}

/* How long the file is with all call sites. */
static size_t
whole_length(struct vmt_view_data *data)
{
	struct vmt_err err = {""};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	data->most_sites = data->most_rows = SIZE_MAX;
	assert_int_equal(vmt_html_write(out, "x", write_all, data, &err), 0);
	assert_int_equal(fclose(out), 0);
	free(text);
	return length;
}

/* More call sites than fit: the file is cut to its size by folding them. */
static void
test_a_page_has_at_most_its_size(void **state)
{
	struct crowd crowd;
	struct vmt_view_data data = {.version = "0", .most_bytes = MOST_BYTES};
	struct vmt_err err = {""};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	crowd_make(&crowd, 12000);
	data.reports[0] = &crowd.report;
	data.paths[0] = "x.vmt";
	assert_true(whole_length(&data) > MOST_BYTES);
	assert_int_equal(vmt_report_page_write(&data, out, &err), 0);
	assert_int_equal(fclose(out), 0);
	assert_true(length <= MOST_BYTES);
	assert_true(length > MOST_BYTES / 2); /* and no smaller than needed */
	free(text);
	crowd_free(&crowd);
}

/* Rows of advice and files beyond a number are counted, and the largest stay in their order. */
static void
test_long_lists_are_cut(void **state)
{
	struct vmt_advice advice[5] = {{.committed_before_bytes = 1},
				       {.committed_before_bytes = 9},
				       {.bytes = 7},
				       {.committed_before_bytes = 5},
				       {.bytes = 8}};
	struct vmt_file_row files[3] = {
	    {.committed_bytes = 4}, {.committed_bytes = 9}, {.committed_bytes = 2}};
	struct vmt_lock locks[2] = {{.bytes = 1}, {.bytes = 2}};
	const struct vmt_report report = {.advice = advice,
					  .advice_count = 5,
					  .files = files,
					  .file_count = 3,
					  .locks = locks,
					  .lock_count = 2};
	struct vmt_view_cut cut;

	(void)state;
	assert_int_equal(vmt_view_cut_make(&cut, &report, 2), 0);
	assert_int_equal(cut.report.advice_count, 2);
	assert_int_equal(cut.report.advice[0].committed_before_bytes, 9);
	assert_int_equal(cut.report.advice[1].committed_before_bytes, 5);
	assert_true(cut.advice_rows[0] == SIZE_MAX && cut.advice_rows[2] == SIZE_MAX);
	assert_int_equal(cut.advice_rows[1], 0);
	assert_int_equal(cut.advice_rows[3], 1);
	assert_int_equal(cut.advice_left_out, 3);
	assert_int_equal(cut.files_left_out, 1);
	assert_int_equal(cut.files_left_out_bytes, 2);
	assert_int_equal(cut.locks_left_out, 0);
	vmt_view_cut_free(&cut);
	assert_int_equal(vmt_view_cut_make(&cut, &report, SIZE_MAX), 0);
	assert_int_equal(cut.report.advice_count, 5);
	assert_int_equal(cut.advice_left_out + cut.files_left_out, 0);
	vmt_view_cut_free(&cut);
}

/* Names that don't compress, of advice alone: such a file is cut too. */
static void
test_a_page_of_much_advice_has_at_most_its_size(void **state)
{
	struct crowd crowd;
	struct vmt_view_data data = {.version = "0", .most_bytes = MOST_BYTES};
	struct vmt_err err = {""};
	struct vmt_advice *advice;
	char *text;
	size_t length, count;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	crowd_make(&crowd, 12000);
	count = crowd.report.site_count;
	advice = calloc(count, sizeof(*advice));
	assert_non_null(advice);
	for (size_t i = 0; i < count; i++)
		advice[i] = (struct vmt_advice){
		    .advice = "MADV_DONTNEED", .bytes = i, .stack = crowd.report.sites[i].stack};
	crowd.report.site_count = 0;
	crowd.report.advice = advice;
	crowd.report.advice_count = count;
	data.reports[0] = &crowd.report;
	data.paths[0] = "x.vmt";
	assert_true(whole_length(&data) > MOST_BYTES);
	assert_int_equal(vmt_report_page_write(&data, out, &err), 0);
	assert_int_equal(fclose(out), 0);
	assert_true(length <= MOST_BYTES);
	free(text);
	free(advice);
	crowd.report.site_count = count;
	crowd_free(&crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_stacks_share_is_kept_once),
	    cmocka_unit_test(test_folded_sites_keep_their_sums),
	    cmocka_unit_test(test_few_sites_are_not_folded),
	    cmocka_unit_test(test_a_page_has_at_most_its_size),
	    cmocka_unit_test(test_long_lists_are_cut),
	    cmocka_unit_test(test_a_page_of_much_advice_has_at_most_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
