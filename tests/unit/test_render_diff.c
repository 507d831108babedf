/*
 * What a diff says, in text and JSON.
 * Over 500 lines: one case a sentence.
 */
#include "tools/render/diff_text.h"

#include "tools/render/diff_caveats.h"
#include "tools/render/diff_change.h"
#include "tools/render/diff_headline.h"
#include "tools/render/diff_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/diff_fixture.h"

static struct pair world;

static int
begin(void **state)
{
	(void)state;
	pair_begin(&world);
	return 0;
}

static void
go_regression(void)
{
	pair_begin(&world);
	pair_class(&world.a, "Go heap", MIB(1280), MIB(3));
	pair_class(&world.b, "Go heap", MIB(1280), MIB(387));
	pair_class(&world.a, "mmap", MIB(30), MIB(10));
	pair_class(&world.b, "mmap", MIB(30), MIB(10));
	pair_class(&world.a, "program and libraries", MIB(2), MIB(1));
	pair_class(&world.b, "program and libraries", MIB(2), MIB(1));
	pair_site(&world.a, "mmap", "runtime.mmap runtime.(*mheap).grow main.fill main.main",
		  MIB(1280), MIB(3));
	pair_site(&world.b, "mmap", "runtime.sysMap runtime.(*mheap).grow main.fill main.main",
		  MIB(1280), MIB(387));
	pair_site(&world.a, "malloc", "grab main.main", MIB(30), MIB(10));
	pair_site(&world.b, "malloc", "grab main.main", MIB(30), MIB(10));
}

static void
the_first_sentence_tells_the_story(void **state)
{
	(void)state;
	go_regression();
	world.a.report.site_count = world.b.report.site_count = 0;
	pair_expect_headline(
	    &world, "Reserved flat at 1.28 GiB, committed +384 MiB (from 14 MiB to 398 MiB), "
		    "nearly all in class Go heap: more of what is reserved is touched.");
	world.a.report.snapshot.huge_bytes = MIB(2);
	world.b.report.snapshot.huge_bytes = MIB(202);
	pair_expect_headline(
	    &world,
	    "Reserved flat at 1.28 GiB, committed +384 MiB (from 14 MiB to 398 MiB), nearly all in "
	    "class Go heap: more of what is reserved is touched. In huge pages: +200 MiB.");
}

static void
growth_is_told_with_its_site(void **state)
{
	(void)state;
	pair_class(&world.a, "mmap", MIB(100), MIB(80));
	pair_class(&world.b, "mmap", MIB(140), MIB(110));
	pair_class(&world.a, "malloc live", MIB(10), MIB(10));
	pair_class(&world.b, "malloc live", MIB(20), MIB(20));
	pair_site(&world.b, "mmap", "grow main", MIB(40), MIB(30));
	pair_expect_headline(
	    &world, "Reserved +50 MiB (+45 %), committed +40 MiB (+44 %), mostly in class mmap "
		    "(+30 MiB): more is requested. Mostly at grow main.go:20, +30 MiB (new).");
	/* A tenth explains nothing. */
	world.b.sites[0].committed_bytes = MIB(3);
	pair_expect_headline(
	    &world, "Reserved +50 MiB (+45 %), committed +40 MiB (+44 %), mostly in class mmap "
		    "(+30 MiB): more is requested.");
}

static void
chance_is_named(void **state)
{
	(void)state;
	pair_class(&world.a, "malloc live", MIB(1), MIB(1));
	pair_class(&world.b, "malloc live", MIB(2), MIB(2));
	pair_site(&world.b, "malloc", "f main", MIB(1), MIB(1))->estimate = true;
	pair_expect_headline(
	    &world, "Reserved +1 MiB (+100 %), committed +1 MiB (+100 %), nearly all in class "
		    "malloc live: more is requested. Mostly at f main.go:20, about +1 MiB "
		    "(new) (beyond the sampling error of 512 KiB).");
	world.b.report.coverage.malloc_sample_bytes = MIB(1);
	world.a.report.coverage.malloc_sample_bytes = MIB(1);
	pair_expect_headline(
	    &world, "Reserved +1 MiB (+100 %), committed +1 MiB (+100 %), nearly all in class "
		    "malloc live: more is requested. Mostly at f main.go:20, about +1 MiB "
		    "(new) (within the sampling error of 2 MiB).");
}

static void
moves_name_both_ends(void **state)
{
	(void)state;
	pair_class(&world.a, "malloc live", MIB(64), MIB(64));
	pair_class(&world.b, "malloc live", MIB(32), MIB(32));
	pair_class(&world.b, "malloc retained", MIB(32), MIB(32));
	pair_expect_headline(
	    &world, "RSS is the same (64 MiB); 32 MiB moved from class malloc live to class "
		    "malloc retained.");
	pair_site(&world.a, "malloc", "load main", MIB(32), MIB(32));
	pair_site(&world.b, "malloc", "cache main", MIB(32), MIB(32));
	pair_class(&world.b, "mmap", MIB(100), 0);
	pair_expect_headline(&world,
			     "RSS is the same (64 MiB); 32 MiB moved from load main.go:10 to cache "
			     "main.go:20; reserved +100 MiB (+156 %).");
}

/* They are requested and in RAM, and in no figure of committed memory. */
static void
huge_pages_outside_of_rss_are_touched(void **state)
{
	(void)state;
	pair_class(&world.a, "mmap", MIB(64), MIB(10));
	pair_class(&world.b, "mmap", MIB(64), MIB(10));
	pair_class(&world.a, "huge pages (hugetlb)", MIB(32), 0);
	pair_class(&world.b, "huge pages (hugetlb)", MIB(64), 0);
	world.a.classes[1].hugetlb_bytes = MIB(20);
	world.b.classes[1].hugetlb_bytes = MIB(52);
	pair_expect_headline(
	    &world, "Reserved +32 MiB (+33 %), nearly all in class huge pages (hugetlb), "
		    "committed flat at 10 MiB: more is requested, and more is in huge pages "
		    "outside of RSS. Huge pages outside of RSS (hugetlb): +32 MiB (from 20 "
		    "MiB to 52 MiB).");
	world.b.classes[1].hugetlb_bytes = MIB(16);
	pair_expect_headline(&world,
			     "Reserved +32 MiB (+33 %), nearly all in class huge pages (hugetlb), "
			     "committed flat at 10 MiB: more is requested, and is not in RAM: "
			     "given back, or not touched yet. Huge pages outside of RSS (hugetlb): "
			     "-4 MiB (from 20 MiB to 16 MiB).");
	world.b.classes[1].reserved_bytes = MIB(32);
	world.b.report.snapshot.virtual_bytes -= MIB(32);
	pair_expect_headline(
	    &world, "Reserved flat at 96 MiB, committed flat at 10 MiB (two runs of one "
		    "program may differ by 512 KiB). Huge pages outside of RSS (hugetlb): -4 "
		    "MiB (from 20 MiB to 16 MiB).");
}

/* What is in RAM in neither snapshot may have been there between them. */
static void
not_touched_is_what_surely_never_had_a_page(void **state)
{
	(void)state;
	pair_class(&world.a, "mmap", MIB(64), MIB(10));
	pair_class(&world.b, "mmap", MIB(96), MIB(10));
	world.a.classes[0].never_touched_bytes = MIB(54);
	world.b.classes[0].never_touched_bytes = MIB(86);
	pair_expect_headline(&world,
			     "Reserved +32 MiB (+50 %), nearly all in class mmap, committed "
			     "flat at 10 MiB: more is requested, but not touched.");
	world.b.classes[0].never_touched_bytes = MIB(54);
	pair_expect_headline(&world,
			     "Reserved +32 MiB (+50 %), nearly all in class mmap, committed "
			     "flat at 10 MiB: more is requested, and is not in RAM: given "
			     "back, or not touched yet.");
	world.a.classes[0].reserved_bytes = MIB(128);
	world.a.report.snapshot.virtual_bytes += MIB(64);
	pair_expect_headline(&world,
			     "Reserved -32 MiB (-25 %), nearly all in class mmap, committed "
			     "flat at 10 MiB: less is requested, of what was not in RAM.");
	world.a.classes[0].never_touched_bytes = MIB(86);
	pair_expect_headline(&world,
			     "Reserved -32 MiB (-25 %), nearly all in class mmap, committed "
			     "flat at 10 MiB: less is requested, of what was not touched.");
}

/* What went to swap was neither given back nor left untouched. */
static void
pages_in_swap_are_touched(void **state)
{
	(void)state;
	pair_class(&world.a, "mmap", MIB(64), MIB(50));
	pair_class(&world.b, "mmap", MIB(64), MIB(10));
	world.b.report.snapshot.swap_bytes = MIB(40);
	pair_expect_headline(&world, "Reserved flat at 64 MiB, committed -40 MiB (-80 %), nearly "
				     "all in class mmap: less of what is reserved is in RAM, more "
				     "of it in swap. In swap: +40 MiB (from 0 B to 40 MiB).");
	world.b.classes[0].committed_bytes = world.b.report.snapshot.rss_bytes = MIB(50);
	world.b.classes[0].reserved_bytes = world.b.report.snapshot.virtual_bytes = MIB(164);
	pair_expect_headline(&world, "Reserved +100 MiB (+156 %), nearly all in class mmap, "
				     "committed flat at 50 MiB: more is requested, and more is in "
				     "swap. In swap: +40 MiB (from 0 B to 40 MiB).");
	world.b.classes[0].committed_bytes = world.b.report.snapshot.rss_bytes = MIB(10);
	world.b.classes[0].reserved_bytes = world.b.report.snapshot.virtual_bytes = MIB(64);
	world.a.report.snapshot.swap_bytes = MIB(90);
	pair_expect_headline(&world,
			     "Reserved flat at 64 MiB, committed -40 MiB (-80 %), nearly all in "
			     "class mmap: less of what is reserved is touched, or more was given "
			     "back. In swap: -50 MiB (from 90 MiB to 40 MiB).");
	world.a.report.snapshot.swap_bytes = MIB(40) + KIB(8);
	pair_expect_headline(&world,
			     "Reserved flat at 64 MiB, committed -40 MiB (-80 %), nearly all in "
			     "class mmap: less of what is reserved is touched, or more was given "
			     "back.");
}

static void
quiet_ends_are_told(void **state)
{
	(void)state;
	pair_class(&world.a, "mmap", MIB(64), MIB(10));
	pair_class(&world.b, "mmap", MIB(64), MIB(10));
	pair_expect_headline(
	    &world, "Nothing changed. Reserved flat at 64 MiB, committed flat at 10 MiB (two "
		    "runs of one program may differ by 512 KiB).");
	world.b.report.loss.cut = true;
	pair_expect_headline(
	    &world,
	    "B is cut, so only parts of the runs are compared: Nothing changed. Reserved flat at "
	    "64 MiB, committed flat at 10 MiB (two runs of one program may differ by 512 KiB).");
	world.b.report.loss.cut = false;
	world.b.report.snapshot.taken = false;
	pair_expect_headline(&world,
			     "B has no snapshot of resident pages: committed memory is unknown.");
}

/* One class grows by more than the whole, while reserved shrinks. */
static void
a_sentence_does_not_contradict_its_figures(void **state)
{
	(void)state;
	pair_class(&world.a, "mmap", MIB(300), MIB(60));
	pair_class(&world.b, "mmap", MIB(46), MIB(12));
	pair_class(&world.a, "malloc live", MIB(2), MIB(2));
	pair_class(&world.b, "malloc live", MIB(60), MIB(60));
	pair_expect_headline(&world,
			     "Reserved -196 MiB (-65 %), committed +10 MiB (+16 %), most in class "
			     "malloc live (+58 MiB): less is reserved, but more of it is touched.");
}

static void
programs_of_other_names_are_told_first(void **state)
{
	static char named[][24] = {"/old/server-1.23", "/new/server", "/x/server2", "/x/serverless",
				   "/x/sqlite3"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct vmt_diff *diff;
		char text[2048];

		world.b.report.process.exe = named[i];
		diff = pair_diff(&world);
		vmt_diff_headline_write(diff, text, sizeof(text));
		assert_int_equal(strncmp(text, "A is a trace of server-1.23 and B of s", 30) == 0,
				 i >= 3);
		vmt_diff_free(diff);
	}
}

static void
changes_have_a_sign(void **state)
{
	char text[VMT_DIFF_CHANGE_BYTES];

	(void)state;
	assert_string_equal(vmt_diff_change_write(text, &(struct vmt_diff_figure){MIB(3), MIB(1)}),
			    "-2 MiB");
	assert_string_equal(vmt_diff_change_write(text, &(struct vmt_diff_figure){MIB(1), MIB(3)}),
			    "+2 MiB");
	assert_string_equal(vmt_diff_change_write(text, &(struct vmt_diff_figure){MIB(3), MIB(3)}),
			    "0 B");
	/* The largest there is fits. */
	assert_true(
	    strlen(vmt_diff_change_write(text, &(struct vmt_diff_figure){UINT64_MAX / 2 + 1, 0})) <
	    VMT_DIFF_CHANGE_BYTES);
}

static void
one_that_runs_is_not_of_its_peak(void **state)
{
	struct vmt_diff *diff;
	char text[512];

	(void)state;
	world.b.report.process.end = "running";
	diff = pair_diff_at(&world, VMT_AT_COMPARED);
	vmt_diff_caveats_write(diff, 0, text, sizeof(text));
	assert_string_equal(text, "B still runs: its figures are of now, A's of its peak (--at "
				  "peak compares both peaks).");
	vmt_diff_caveats_write(diff, 1, text, sizeof(text));
	assert_string_equal(text, "");
	vmt_diff_free(diff);
	diff = pair_diff_at(&world, VMT_AT_PLATEAU);
	vmt_diff_caveats_write(diff, 0, text, sizeof(text));
	assert_string_equal(text, "");
	vmt_diff_free(diff);
}

static void
one_of_several_go_runtimes_is_said(void **state)
{
	struct vmt_diff *diff;
	char text[512];

	(void)state;
	world.b.report.go.is_several = true;
	diff = pair_diff(&world);
	vmt_diff_caveats_write(diff, 0, text, sizeof(text));
	assert_string_equal(
	    text,
	    "B has several Go runtimes, of which one at most was read. Goroutines, lines and "
	    "what the heap is used for are of that one. It may be another one in A than in B.");
	vmt_diff_caveats_write(diff, 1, text, sizeof(text));
	assert_string_equal(text, "");
	vmt_diff_free(diff);
	world.a.report.go.is_several = true;
	diff = pair_diff(&world);
	vmt_diff_caveats_write(diff, 0, text, sizeof(text));
	assert_int_equal(strncmp(text, "A and B have several Go runtimes", 32), 0);
	vmt_diff_free(diff);
}

static void
caveats_are_counted_off(void **state)
{
	struct vmt_rss_point point = {0, MIB(12)};
	struct vmt_diff *diff;
	char text[512];

	(void)state;
	world.b.report.coverage.malloc_mode = "off";
	world.b.report.snapshot.source = "mincore";
	world.a.report.coverage.nameless = "/a/x may have changed";
	world.b.report.coverage.nameless = "2 files may have changed";
	world.b.report.rss = &point;
	world.b.report.rss_count = 1;
	diff = pair_diff(&world);
	vmt_diff_caveats_write(diff, 0, text, sizeof(text));
	assert_string_equal(text,
			    "RSS of B rose 12 MiB above its largest snapshot, between snapshots: "
			    "that much of a difference may come from their timing.");
	vmt_diff_caveats_write(diff, 1, text, sizeof(text));
	assert_string_equal(
	    text,
	    "malloc was recorded differently (A: all, B: off): malloc rows can't be compared.");
	vmt_diff_caveats_write(diff, 2, text, sizeof(text));
	assert_string_equal(text, "A: /a/x may have changed. Call sites may not match.");
	vmt_diff_caveats_write(diff, 3, text, sizeof(text));
	assert_string_equal(text, "B: 2 files may have changed. Call sites may not match.");
	vmt_diff_caveats_write(diff, 4, text, sizeof(text));
	assert_string_equal(text,
			    "Resident pages were read differently (A: pagemap-scan, B: mincore).");
	vmt_diff_caveats_write(diff, 5, text, sizeof(text));
	assert_string_equal(text, "");
	vmt_diff_free(diff);
}

/* Not inlined: gcc 12 takes the memory stream's buffer for one on the stack. */
__attribute__((noinline)) static char *
print_text(size_t columns, size_t top)
{
	struct vmt_diff *diff = pair_diff(&world);
	struct vmt_diff_text_options options = {
	    .layout = {.columns = columns}, .paths = {"a.vmt", "b.vmt"}, .top = top, .callers = 3};
	char *text = NULL;
	size_t bytes;

	options.layout.out = open_memstream(&text, &bytes);
	assert_non_null(options.layout.out);
	vmt_diff_text_print(diff, &options);
	fclose(options.layout.out);
	vmt_diff_free(diff);
	return text;
}

static void
assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void
rows_have_their_columns(void **state)
{
	char *text;

	(void)state;
	go_regression();
	text = print_text(120, 12);
	assert_int_equal(strncmp(text, "Reserved flat at 1.28 GiB, committed +384 MiB", 45), 0);
	assert_has(text, "\n    +384 MiB     3 MiB   387 MiB  1.25 GiB  1.25 GiB  <1 %  30 %  Go "
			 "heap\n");
	assert_has(text, "  1.28 GiB  1.28 GiB   1 %  30 %  total, without vmtrace\n");
	assert_has(text, "Call sites by change of committed, 1 of 1, 1 unchanged\n");
	assert_has(text, "  <1 %  30 %  mmap main.fill main.go:20\n");
	assert_has(text, "<- main.main main.go:20\n");
	assert_has(text, "\nA: a.vmt, /old/server-1.23 (process 7), RSS 14 MiB at 0 ns\n");
	free(text);
	text = print_text(70, 0);
	assert_has(text, "\n    +384 MiB     3 MiB   387 MiB  Go heap\n");
	assert_has(text, "committed, 0 of 1, 1 unchanged\n");
	free(text);
	text = print_text(30, 12);
	assert_has(text, "\n    +384 MiB   387 MiB  Go h");
	free(text);
}

static void
marks_tell_chance_from_change(void **state)
{
	char *text;

	(void)state;
	pair_class(&world.a, "mmap", MIB(100), MIB(80));
	pair_class(&world.b, "mmap", MIB(100), MIB(80));
	pair_site(&world.b, "malloc", "f main", MIB(2), MIB(2))->estimate = true;
	pair_site(&world.b, "malloc", "g main", KIB(64), KIB(64))->estimate = true;
	pair_site(&world.a, "mmap", "", KIB(64), KIB(8));
	text = print_text(120, 12);
	assert_has(text, "\n~     +2 MiB ");
	assert_has(text, "new malloc f main.go:20\n");
	assert_has(text, "\n?    +64 KiB ");
	assert_has(text, "\n      -8 KiB ");
	assert_has(text, "gone mmap (no stack)\n");
	assert_has(text, "? = the change is within the sampling error\n");
	free(text);
}

/* Rows that print the same are one. */
static void
rows_that_look_alike_are_one(void **state)
{
	char *text;

	(void)state;
	pair_class(&world.a, "mmap", MIB(10), MIB(10));
	pair_class(&world.b, "mmap", MIB(10), MIB(10));
	pair_site(&world.a, "mmap", "grow f g h one main", MIB(1), MIB(1));
	pair_site(&world.b, "mmap", "grow f g h one main", MIB(4), MIB(4));
	pair_site(&world.b, "mmap", "grow f g h tri more x", MIB(3), MIB(3));
	text = print_text(140, 12);
	assert_has(text, "Call sites by change of committed, 1 of 1, 0 unchanged\n");
	assert_has(text, "\n      +6 MiB     1 MiB     7 MiB     1 MiB     7 MiB 100 % 100 %  mmap "
			 "grow main.go:20\n");
	assert_null(strstr(text, "several"));
	free(text);
}

/* Joined by the two innermost names: what one caller has a tenth of does not stand for the whole.
 */
static void
a_row_of_several_names_none_for_all(void **state)
{
	char stack[64];
	char *text;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		snprintf(stack, sizeof(stack), "?@lib%zu.so grow put main", i);
		pair_site(&world.a, "mmap", stack, MIB(1), MIB(1));
		snprintf(stack, sizeof(stack), "?@lib%zu.so grow put other", i);
		pair_site(&world.b, "mmap", stack, MIB(2 + i / 3), MIB(2 + i / 3));
	}
	text = print_text(140, 12);
	assert_has(text, "(several call sites; this one has 33 % of it)\n");
	free(text);
}

static void
no_line_is_wider(void **state)
{
	(void)state;
	go_regression();
	for (size_t columns = 20; columns < 140; columns++) {
		char *text = print_text(columns, 12);

		for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
			if (strcspn(at, "\n") > columns)
				fail_msg("%zu columns: %.*s", columns, (int)strcspn(at, "\n"), at);
		free(text);
	}
}

__attribute__((noinline)) static char *
print_json(size_t top)
{
	struct vmt_diff *diff = pair_diff(&world);
	struct vmt_diff_json_options options = {.paths = {"a.vmt", "b.vmt"}, .top = top};
	struct vmt_err err = {""};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	assert_int_equal(vmt_diff_json_print(diff, &options, out, &err), 0);
	fclose(out);
	vmt_diff_free(diff);
	return text;
}

/* What the kernel counts is told where it differs by more than chance. */
static void
the_kernels_figures_are_told_where_they_differ(void **state)
{
	char *text;

	(void)state;
	go_regression();
	text = print_text(100, 12);
	assert_null(strstr(text, "What the kernel counts"));
	free(text);
	world.a.report.snapshot.kernel.page_table_bytes = MIB(2);
	world.b.report.snapshot.kernel.page_table_bytes = MIB(64);
	world.b.report.snapshot.kernel.file_bytes = 4096;
	world.b.report.snapshot.kernel.locked_bytes = VMT_FIGURE_UNKNOWN;
	text = print_text(100, 12);
	assert_has(text, "What the kernel counts");
	assert_has(text, "     +62 MiB     2 MiB    64 MiB  page tables, not in RSS (VmPTE)");
	assert_null(strstr(text, "(RssFile)"));
	assert_null(strstr(text, "(VmLck)"));
	free(text);
	text = print_json(SIZE_MAX);
	assert_has(text, "\"page_table_bytes\": {\n        \"a\": 2097152,\n        \"b\": "
			 "67108864,\n        \"delta\": 65011712");
	assert_has(text, "\"locked_bytes\": null");
	free(text);
}

/* So is what was never touched, and what advice took. */
static void
what_is_not_in_ram_is_told_where_it_differs(void **state)
{
	struct vmt_advice advice = {
	    .advice = "MADV_DONTNEED", .taken_bytes = MIB(48), .stayed_bytes = MIB(16)};
	char *text;

	(void)state;
	pair_class(&world.a, "mmap", MIB(100), MIB(10));
	pair_class(&world.b, "mmap", MIB(100), MIB(10));
	world.a.classes[0].never_touched_bytes = world.b.classes[0].never_touched_bytes = MIB(90);
	text = print_text(100, 12);
	assert_null(strstr(text, "Not in RAM"));
	free(text);
	world.b.classes[0].never_touched_bytes = MIB(20);
	world.b.report.advice = &advice;
	world.b.report.advice_count = 1;
	text = print_text(100, 12);
	assert_has(text, "Not in RAM: change, A, B");
	assert_has(text, "-70 MiB    90 MiB    20 MiB  private memory that was never touched");
	assert_has(text, "+48 MiB       0 B    48 MiB  given back by advice");
	assert_has(text, "+16 MiB       0 B    16 MiB  of that, still");
	free(text);
}

static void
json_has_every_figure(void **state)
{
	char *text;

	(void)state;
	go_regression();
	world.b.report.coverage.malloc_mode = "off";
	text = print_json(SIZE_MAX);
	assert_has(text, "\"schema\": \"vmtrace-diff/1\"");
	assert_has(text, "\"kind\": \"more-touched\"");
	assert_has(text,
		   "\"a\": 3145728,\n        \"b\": 405798912,\n        \"delta\": 402653184");
	assert_has(text, "\"path\": \"b.vmt\"");
	assert_has(text, "\"huge_bytes\": null");
	assert_has(text, "\"match\": \"runtime\"");
	assert_has(text, "\"match\": \"exact\"");
	assert_has(text, "\"function\": \"main.fill\"");
	assert_has(text, "\"caveats\": [\n    \"malloc was");
	/* The frames of B stand for both. */
	assert_null(strstr(text, "runtime.mmap"));
	free(text);
	text = print_json(1);
	assert_null(strstr(text, "\"match\": \"exact\""));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_first_sentence_tells_the_story, begin),
	    cmocka_unit_test_setup(growth_is_told_with_its_site, begin),
	    cmocka_unit_test_setup(chance_is_named, begin),
	    cmocka_unit_test_setup(moves_name_both_ends, begin),
	    cmocka_unit_test_setup(quiet_ends_are_told, begin),
	    cmocka_unit_test_setup(huge_pages_outside_of_rss_are_touched, begin),
	    cmocka_unit_test_setup(not_touched_is_what_surely_never_had_a_page, begin),
	    cmocka_unit_test_setup(pages_in_swap_are_touched, begin),
	    cmocka_unit_test_setup(a_sentence_does_not_contradict_its_figures, begin),
	    cmocka_unit_test_setup(programs_of_other_names_are_told_first, begin),
	    cmocka_unit_test_setup(changes_have_a_sign, begin),
	    cmocka_unit_test_setup(one_that_runs_is_not_of_its_peak, begin),
	    cmocka_unit_test_setup(one_of_several_go_runtimes_is_said, begin),
	    cmocka_unit_test_setup(caveats_are_counted_off, begin),
	    cmocka_unit_test_setup(rows_have_their_columns, begin),
	    cmocka_unit_test_setup(marks_tell_chance_from_change, begin),
	    cmocka_unit_test_setup(rows_that_look_alike_are_one, begin),
	    cmocka_unit_test_setup(a_row_of_several_names_none_for_all, begin),
	    cmocka_unit_test_setup(no_line_is_wider, begin),
	    cmocka_unit_test_setup(the_kernels_figures_are_told_where_they_differ, begin),
	    cmocka_unit_test_setup(what_is_not_in_ram_is_told_where_it_differs, begin),
	    cmocka_unit_test_setup(json_has_every_figure, begin),
	};

	return cmocka_run_group_tests_name("out diff", tests, NULL, NULL);
}
