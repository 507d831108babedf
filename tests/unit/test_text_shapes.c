#include "tools/render/text_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/report_fixture.h"

static char name_fill[] = "fill";
static char name_load[] = "load";
static char name_serve[] = "serve";
static char name_main[] = "main";
static char name_start[] = "_start";
static char name_library[] = "/usr/lib/libdata.so";

/* main calls serve from two lines; serve calls load, and fill of a library; fill has no line. */
static struct vmt_frame load_frames[] = {
    {name_load, fixture_cache, fixture_app, 1, 1, 10, false},
    {name_serve, fixture_cache, fixture_app, 2, 2, 20, false},
    {name_main, fixture_cache, fixture_app, 3, 3, 30, false},
    {name_start, NULL, fixture_app, 4, 4, 0, false},
};
static struct vmt_frame fill_frames[] = {
    {name_fill, NULL, name_library, 5, 5, 0, false},
    {name_serve, fixture_cache, fixture_app, 6, 6, 21, false},
    {name_main, fixture_cache, fixture_app, 7, 7, 31, false},
};
static struct vmt_frame main_frames[] = {
    {name_main, fixture_cache, fixture_app, 8, 8, 32, false},
};
static struct vmt_site shape_sites[] = {
    {.kind = "malloc",
     .class = "malloc live",
     .stack_id = 1,
     .thread = 42,
     .count = 3,
     .committed_bytes = MIB(3),
     .reserved_bytes = MIB(4),
     .stack = {load_frames, 4}},
    {.kind = "mmap",
     .class = "mmap",
     .stack_id = 2,
     .thread = 43,
     .count = 1,
     .committed_bytes = MIB(5),
     .reserved_bytes = MIB(64),
     .stack = {fill_frames, 3}},
    {.kind = "malloc",
     .class = "malloc live",
     .stack_id = 3,
     .thread = 43,
     .count = 2,
     .committed_bytes = MIB(1),
     .reserved_bytes = MIB(1),
     .stack = {main_frames, 1}},
    {.kind = "brk", .stack_id = 0, .count = 1, .committed_bytes = MIB(2), .reserved_bytes = MIB(2)},
};

static struct vmt_report
shape_report(void)
{
	struct vmt_report report = fixture_report();

	report.sites = shape_sites;
	report.site_count = 4;
	return report;
}

/* Not inlined: gcc 12 takes the memory stream's buffer for one on the stack. */
__attribute__((noinline)) static char *
print(const struct vmt_report *report, struct vmt_text_options options)
{
	char *text = NULL;
	size_t bytes;

	options.layout.out = open_memstream(&text, &bytes);
	assert_non_null(options.layout.out);
	vmt_text_report_print(report, &options);
	fclose(options.layout.out);
	return text;
}

static void
assert_shows(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("missing: %s\nin:\n%s", part, text);
}

/* The figures of all rows of an aggregation. */
static void
assert_adds_up(const struct vmt_report *report, enum vmt_aggregate_by by, size_t rows)
{
	struct vmt_aggregate aggregate;
	uint64_t committed = 0;
	size_t sites = 0;

	assert_int_equal(vmt_aggregate_make(&aggregate, report, by, VMT_RANK_COMMITTED), 0);
	assert_int_equal(aggregate.count, rows);
	for (size_t i = 0; i < aggregate.count; i++) {
		const struct vmt_aggregate_row *row = &aggregate.rows[i];

		if (i > 0)
			assert_true(row[-1].sum.committed_bytes >= row->sum.committed_bytes);
		committed += row->sum.committed_bytes;
		sites += row->sites;
	}
	assert_int_equal(committed, MIB(11));
	assert_int_equal(aggregate.all.committed_bytes, MIB(11));
	assert_int_equal(sites, 4);
	vmt_aggregate_free(&aggregate);
}

static void
every_aggregation_adds_up(void **state)
{
	struct vmt_report report = shape_report();

	(void)state;
	assert_adds_up(&report, VMT_AGGREGATE_FUNCTION, 4); /* load, fill, main, no stack */
	assert_adds_up(&report, VMT_AGGREGATE_FILE, 3);
	assert_adds_up(&report, VMT_AGGREGATE_MODULE, 3);
	assert_adds_up(&report, VMT_AGGREGATE_CLASS, 3);
	assert_adds_up(&report, VMT_AGGREGATE_THREAD, 3);
}

static void
what_is_not_shown_is_in_the_sum(void **state)
{
	struct vmt_report report = shape_report();
	struct vmt_text_options options = {
	    .layout = {.columns = 100, .whole = true}, .top = 1, .by = VMT_AGGREGATE_MODULE};
	char *text = print(&report, options);

	(void)state;
	assert_shows(text, "By module, by committed, 1 of 3\n");
	assert_shows(text, "      5 MiB    4 %     64 MiB    8 %        0 B         1  "
			   "/usr/lib/libdata.so\n");
	assert_shows(text, "      6 MiB    5 %      7 MiB   86 %        0 B         6  (2 more)\n");
	assert_shows(text, "    120 MiB   92 %   1.09 GiB   11 %          -         -  "
			   "(no call site: files, stacks, what allocators keep, vmtrace)\n");
	assert_shows(text,
		     "    131 MiB  100 %   1.16 GiB   11 %        0 B         7  total = RSS\n");
	free(text);
}

/* Estimates may be more than all that is there: nothing is equal to RSS then. */
static void
too_much_is_not_called_rss(void **state)
{
	struct vmt_report report = shape_report();
	struct vmt_text_options options = {
	    .layout = {.columns = 100, .whole = true}, .top = 9, .by = VMT_AGGREGATE_CLASS};
	char *text;

	(void)state;
	report.snapshot.rss_bytes = MIB(10);
	text = print(&report, options);
	assert_null(strstr(text, "= RSS"));
	assert_shows(text, "sum of all call sites\n");
	free(text);
	report.snapshot.taken = false;
	text = print(&report, options);
	assert_null(strstr(text, "= RSS"));
	assert_shows(text, "    unknown");
	free(text);
}

static void
a_tree_has_one_branch_a_function(void **state)
{
	static const char *const lines[] = {
	    "     11 MiB     71 MiB  sum of all call sites\n",
	    "      9 MiB     69 MiB  + main (server)\n",
	    "      8 MiB     68 MiB  | + serve (server)\n",
	    "      5 MiB     64 MiB  | | + fill (libdata.so)\n",
	    "      5 MiB     64 MiB  | | | mmap\n",
	    "      3 MiB      4 MiB  | | ` load cache.c:10\n",
	    "      3 MiB      4 MiB  | |   malloc\n",
	    "      1 MiB      1 MiB  | ` malloc\n",
	    "      2 MiB      2 MiB  ` (no stack) brk\n",
	};
	struct vmt_report report = shape_report();
	struct vmt_text_options options = {
	    .layout = {.columns = 100, .whole = true}, .top = 12, .tree = VMT_TEXT_TREE_CALLERS};
	char *text = print(&report, options);
	const char *at = text;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		at = strstr(at, lines[i]);
		if (!at)
			fail_msg("missing: %s\nin:\n%s", lines[i], text);
		at += strlen(lines[i]) - 1;
	}
	free(text);
	options.tree = VMT_TEXT_TREE_INVERTED;
	text = print(&report, options);
	assert_shows(text, "      5 MiB     64 MiB  + fill (libdata.so)\n"
			   "      5 MiB     64 MiB  | serve cache.c:21\n"
			   "      5 MiB     64 MiB  | main cache.c:31\n"
			   "      5 MiB     64 MiB  | mmap\n");
	free(text);
	/* What has no room is added up. */
	options.top = 1;
	text = print(&report, options);
	assert_shows(text, "      4 MiB      5 MiB  ` (2 more, smaller)\n");
	free(text);
}

/* The widest line, in columns: each byte that begins a character is one. */
static size_t
widest(const char *text)
{
	size_t most = 0;
	size_t columns = 0;

	for (; *text; text++) {
		columns += ((unsigned char)*text & 0xc0) != 0x80;
		if (*text == '\n')
			columns = 0;
		most = columns > most ? columns : most;
	}
	return most;
}

static void
a_tree_fits_the_terminal(void **state)
{
	enum { DEEP = 60 };
	static char names[DEEP][16];
	static struct vmt_frame frames[DEEP];
	static const size_t widths[] = {20, 40, 80, 200};
	struct vmt_site sites[DEEP];
	struct vmt_report report = fixture_report();

	(void)state;
	/* Each site ends one call deeper than the one before. */
	for (int i = 0; i < DEEP; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		frames[DEEP - 1 - i] = (struct vmt_frame){.function = names[i],
							  .file = fixture_cache,
							  .module = fixture_app,
							  .line = (uint32_t)(i + 1)};
		sites[i] = (struct vmt_site){.kind = "malloc",
					     .committed_bytes = MIB(1),
					     .reserved_bytes = MIB(1),
					     .stack = {&frames[DEEP - 1 - i], (size_t)(i + 1)}};
	}
	report.sites = sites;
	report.site_count = DEEP;
	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++)
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct vmt_text_options options = {
			    .layout = {.columns = widths[i], .utf8 = utf8},
			    .top = 12,
			    .tree = VMT_TEXT_TREE_CALLERS};
			char *text = print(&report, options);

			assert_true(widest(text) <= widths[i]);
			assert_shows(text, "f59");
			for (const char *at = text; !utf8 && *at; at++)
				assert_true((unsigned char)*at < 0x80);
			free(text);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_aggregation_adds_up),
	    cmocka_unit_test(what_is_not_shown_is_in_the_sum),
	    cmocka_unit_test(too_much_is_not_called_rss),
	    cmocka_unit_test(a_tree_has_one_branch_a_function),
	    cmocka_unit_test(a_tree_fits_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
