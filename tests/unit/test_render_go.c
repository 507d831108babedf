/* The parts of a report that are about Go, as text and as JSON. */
#include "tools/render/json.h"
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

static char version[] = "go1.24.4";
static char madvise_symbol[] = "runtime.madvise";
static char mmap_symbol[] = "runtime.sysMmap";
static char no_reason[] = "";
static char reason[] = "unknown instructions";
static char go_main[] = "main.main";
static char go_file[] = "/src/main.go";
static char go_sysunused[] = "runtime.sysUnused";
static char go_cgocall[] = "runtime.cgocall";

static struct vmt_frame go_frames[] = {
    {go_sysunused, go_file, fixture_app, 0x400100, 0x100, 1, false},
    {go_cgocall, go_file, fixture_app, 0x400180, 0x180, 3, false},
    {go_main, go_file, fixture_app, 0x400200, 0x200, 35, false},
};
static struct vmt_advice go_advice[] = {
    {.advice = "MADV_FREE",
     .cause = "background scavenger",
     .calls = 3,
     .bytes = MIB(6),
     .committed_before_bytes = MIB(5),
     .mapped_now_bytes = MIB(6),
     .committed_now_bytes = MIB(2),
     .stack = {go_frames, 3}},
    {.advice = "MADV_FREE",
     .cause = "background scavenger",
     .calls = 4,
     .bytes = MIB(2),
     .committed_before_bytes = MIB(2),
     .stack = {go_frames, 3}},
    {.advice = "MADV_COLLAPSE",
     .cause = "huge pages wanted",
     .calls = 1,
     .failed_calls = 5,
     .bytes = MIB(8),
     .mapped_now_bytes = MIB(8),
     .committed_now_bytes = MIB(8),
     .huge_now_bytes = MIB(4),
     .stack = {go_frames, 3}},
};
static struct vmt_class go_classes[] = {
    {"Go heap", MIB(128), MIB(112), MIB(100), 0, 0, 0, 0},
    {"Go metadata", MIB(60), MIB(7), MIB(3), 0, 0, 0, 0},
};
static struct vmt_go_site_row go_sites[] = {
    {madvise_symbol, true, no_reason},
    {mmap_symbol, false, reason},
};
static struct vmt_go_point go_points[] = {
    {.time_ns = 5, .figures = {.heap_in_use_bytes = MIB(1)}},
    {.time_ns = 9, .figures = {.heap_in_use_bytes = MIB(77)}},
};

static struct vmt_report
go_report(void)
{
	struct vmt_report report = fixture_report();

	report.go.version = version;
	report.go.cgo = true;
	report.go.figures = (struct vmt_go_figures){.heap_in_use_bytes = MIB(90),
						    .heap_idle_bytes = MIB(20),
						    .heap_released_bytes = MIB(15),
						    .stacks_bytes = MIB(1),
						    .metadata_bytes = MIB(2),
						    .total_bytes = MIB(113),
						    .memory_limit_bytes = MIB(500)};
	report.go.points = go_points;
	report.go.point_count = 2;
	report.go.go_bytes = MIB(103);
	report.go.malloc_live_bytes = MIB(10);
	report.go.malloc_retained_bytes = MIB(4);
	report.go.neither_bytes = MIB(14);
	report.snapshot.lazyfree_bytes = MIB(2);
	report.classes = go_classes;
	report.class_count = 2;
	report.advice = go_advice;
	report.advice_count = 3;
	report.coverage.go_sites = go_sites;
	report.coverage.go_site_count = 2;
	return report;
}

static char *
print_text(const struct vmt_report *report)
{
	struct vmt_text_options options = {.layout = {.columns = 100}, .top = 12, .callers = 3};
	char *text = NULL;
	size_t bytes;

	options.layout.out = open_memstream(&text, &bytes);
	assert_non_null(options.layout.out);
	vmt_text_report_print(report, &options);
	fclose(options.layout.out);
	return text;
}

static char *
print_json(const struct vmt_report *report)
{
	struct vmt_json_options options = {.top = SIZE_MAX};
	struct vmt_err err = {""};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	assert_int_equal(vmt_json_print(report, &options, out, &err), 0);
	fclose(out);
	return text;
}

static void
assert_has(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("'%s' is not in:\n%s", words, text);
}

static void
the_sentence_and_the_layers_are_there(void **state)
{
	struct vmt_report report = go_report();
	char *text = print_text(&report);

	(void)state;
	assert_has(text, "RSS is 131 MiB; Go accounts for 103 MiB of it; C malloc holds 14 MiB "
			 "(10 MiB live, 4 MiB retained);\n  14 MiB is neither.");
	assert_has(text, "The Go runtime (go1.24.4, cgo)");
	assert_has(text, "  Go heap                   111 MiB    128 MiB    112 MiB    100 MiB\n");
	assert_has(text, "    idle                     20 MiB");
	assert_has(text, "      of it released         15 MiB");
	assert_has(text, "  total                     113 MiB    188 MiB    119 MiB    103 MiB\n");
	assert_has(text, "memory limit (GOMEMLIMIT) 500 MiB");
	assert_has(text, "peak 77 MiB");
	free(text);
}

static void
advice_has_causes_and_consequences(void **state)
{
	struct vmt_report report = go_report();
	char *text = print_text(&report);
	const char *first = strstr(text, "background scavenger: MADV_FREE");

	(void)state;
	/* two rows, together, once */
	assert_has(text, "      7 MiB      8 MiB         7  background scavenger: MADV_FREE\n");
	assert_null(strstr(first + 1, "background scavenger: MADV_FREE"));
	assert_has(text, "MADV_FREE (background scavenger) main.main main.go:35");
	assert_has(text, "2 MiB of its 6 MiB is resident now: LazyFree or used again");
	assert_has(text, "8 MiB of its 8 MiB is resident now, 4 MiB in huge pages");
	assert_has(text, "refused by the kernel: 5");
	assert_has(text, "LazyFree: 2 MiB of RSS was given back by MADV_FREE");
	/* what only leads to a system call is no caller */
	assert_null(strstr(text, "<- runtime.cgocall"));
	free(text);
}

/* A snapshot knows of no advice, and what became of it nevertheless. */
static void
lazily_freed_pages_are_said_without_advice(void **state)
{
	struct vmt_report report = go_report();
	char *text;

	(void)state;
	report.advice_count = 0;
	text = print_text(&report);
	assert_has(text,
		   "\nGiven back, and not yet taken\n  LazyFree: 2 MiB of RSS was given back by");
	free(text);
	report.snapshot.lazyfree_bytes = VMT_FIGURE_UNKNOWN;
	text = print_text(&report);
	assert_null(strstr(text, "LazyFree"));
	free(text);
	report.snapshot.lazyfree_bytes = 0;
	text = print_text(&report);
	assert_null(strstr(text, "LazyFree"));
	free(text);
}

static void
uncounted_is_said(void **state)
{
	struct vmt_report report = go_report();
	char *text;

	(void)state;
	report.go.uncounted = "the program is stripped";
	report.go.uncut = "its heap can't be located";
	text = print_text(&report);
	assert_has(text, "  Go heap                              128 MiB    112 MiB    100 MiB\n");
	assert_has(text, "the program is stripped");
	assert_null(strstr(text, "of it released"));
	free(text);
	text = print_json(&report);
	assert_has(text, "\"heap_in_use_bytes\": null");
	assert_has(text, "\"uncounted\": \"the program is stripped\"");
	free(text);
}

/* Of what the heap is used for, what each class has stands beside what the runtime counts. */
static void
the_heap_is_told_apart(void **state)
{
	static struct vmt_class classes[] = {
	    {"Go heap", MIB(8), MIB(8), 0, 0, 0, 0, 0},
	    {"Go large objects", MIB(50), MIB(50), MIB(40), 0, 0, 0, 0},
	    {"Go small objects", MIB(30), MIB(30), MIB(30), 0, 0, 0, 0},
	    {"Go free slots", MIB(10), MIB(10), MIB(9), 0, 0, 0, 0},
	    {"Go stacks", MIB(1), MIB(1), MIB(1), 0, 0, 0, 0},
	    {"Go free spans", MIB(5), MIB(5), MIB(4), 0, 0, 0, 0},
	    {"Go released", MIB(15), MIB(15), 0, 0, 0, 0, 0},
	};
	static struct vmt_go_creator creators[] = {
	    {.address = 0x400201,
	     .stack = {&go_frames[2], 1},
	     .goroutines = 12000,
	     .reserved_bytes = MIB(96),
	     .committed_bytes = MIB(90)},
	    {.has_ended = true, .goroutines = 7, .reserved_bytes = MIB(2)},
	};
	static struct vmt_go_size sizes[] = {{.spans = 4, .objects = 4, .object_bytes = MIB(50)},
					     {.slot_bytes = 48, .spans = 9, .objects = 70}};
	struct vmt_report report = go_report();
	char *text;

	(void)state;
	report.classes = classes;
	report.class_count = sizeof(classes) / sizeof(classes[0]);
	report.go.creators = creators;
	report.go.creator_count = 2;
	report.go.sizes = sizes;
	report.go.size_count = 2;
	report.go.spans = 13;
	report.go.goroutines = 12007;
	text = print_text(&report);
	assert_has(text, "  Go heap                   111 MiB    119 MiB    119 MiB     84 MiB\n");
	assert_has(text, "    in use                   90 MiB     90 MiB     90 MiB     79 MiB\n");
	assert_has(text, "      large objects                     50 MiB     50 MiB     40 MiB\n");
	assert_has(text, "      free slots                        10 MiB     10 MiB      9 MiB\n");
	assert_has(text, "    goroutine stacks          1 MiB      1 MiB      1 MiB      1 MiB\n");
	assert_has(text, "      of it released         15 MiB     15 MiB     15 MiB        0 B\n");
	assert_has(text, "       12000     96 MiB     90 MiB   main.main main.go:35\n");
	assert_has(text, "           7      2 MiB        0 B   ended: their stacks wait for new");
	free(text);
	text = print_json(&report);
	assert_has(text, "\"uncut\": null");
	assert_has(text, "\"goroutines\": 12007");
	assert_has(text, "\"slot_bytes\": null");
	assert_has(text, "\"slot_bytes\": 48");
	assert_has(text, "\"ended\": true");
	free(text);
}

static void
what_paces_collections_is_said(void **state)
{
	static struct vmt_class classes[] = {{"Go free spans", MIB(5), MIB(5), MIB(4), 0, 0, 0, 0}};
	struct vmt_report report = go_report();
	char *text;

	(void)state;
	report.classes = classes;
	report.class_count = 1;
	report.go.figures.has_pace = true;
	report.go.figures.gc_percent = 400;
	report.go.figures.heap_goal_bytes = MIB(200);
	report.go.figures.heap_marked_bytes = MIB(40);
	report.go.figures.heap_live_bytes = MIB(90);
	text = print_text(&report);
	assert_has(text,
		   "GOGC is 400: the next collection is due by 200 MiB, or earlier because of "
		   "the memory limit. Live at\n");
	assert_has(text, "the last one: 40 MiB; about 50 MiB was allocated since");
	assert_has(text, "debug.FreeOSMemory would give back, or leave to the kernel "
			 "(GODEBUG=madvdontneed=0), 4 MiB that");
	assert_has(text, "memory limit (GOMEMLIMIT) 500 MiB; of what it counts, Go holds 98 MiB");
	free(text);
	text = print_json(&report);
	assert_has(text, "\"gc_percent\": 400");
	assert_has(text, "\"heap_goal_bytes\": 209715200");
	free(text);
	report.go.figures.gc_percent = -1;
	report.go.figures.heap_marked_bytes = 0;
	report.snapshot.lazyfree_bytes = 0;
	report.advice_count = 0;
	text = print_text(&report);
	assert_has(text, "debug.FreeOSMemory would give back 4 MiB that");
	assert_has(text,
		   "GOGC is off: collections are paced by the memory limit. No collection has");
	free(text);
	text = print_json(&report);
	assert_has(text, "\"gc_percent\": null");
	assert_has(text, "\"heap_goal_bytes\": null");
	free(text);
}

static void
no_more_is_said_of_collections_than_is_known(void **state)
{
	struct vmt_report report = go_report();
	struct vmt_go_figures *figures = &report.go.figures;
	char *text;

	(void)state;
	figures->memory_limit_bytes = VMT_FIGURE_UNKNOWN;
	figures->has_pace = true;
	figures->gc_percent = 100;
	figures->heap_goal_bytes = MIB(160);
	figures->heap_marked_bytes = MIB(80);
	figures->heap_live_bytes = MIB(90); /* an eighth more */
	text = print_text(&report);
	assert_has(text,
		   "GOGC is 100: the next collection is due by 160 MiB. Live at the last one: "
		   "80 MiB.\n");
	assert_null(strstr(text, "allocated since"));
	free(text);
	figures->heap_live_bytes = MIB(160);
	text = print_text(&report);
	assert_has(text, "the heap has reached its goal of 160 MiB, and a collection is due or");
	assert_has(text, "80 MiB was allocated");
	assert_null(strstr(text, "is due by"));
	free(text);
	figures->gc_percent = -1;
	figures->heap_marked_bytes = 0;
	text = print_text(&report);
	assert_has(text, "GOGC is off. No collection has run yet.");
	free(text);
}

/* Where no call of the runtime was seen, no share of RSS is claimed. */
static void
unseen_calls_claim_no_share(void **state)
{
	static struct vmt_go_site_row unseen[] = {
	    {madvise_symbol, false, reason},
	    {mmap_symbol, false, reason},
	};
	struct vmt_report report = go_report();
	char *text;

	(void)state;
	report.coverage.go_sites = unseen;
	report.go.go_bytes = 0;
	report.go.unseen = true;
	report.class_count = 0;
	text = print_text(&report);
	assert_has(text, "Go's share of RSS is unknown");
	assert_null(strstr(text, "Go accounts"));
	assert_has(text, "  Go heap                   111 MiB\n");
	assert_null(strstr(text, "Go stacks"));
	assert_has(text, "  total                     113 MiB\n");
	free(text);
	text = print_json(&report);
	assert_has(text, "\"rss_go_bytes\": null");
	assert_has(text, "\"rss_neither_bytes\": null");
	assert_has(text, "\"total_bytes\": 118489088");
	free(text);
}

/* After an attach, and in a snapshot, part of the runtime's memory is not known as its own. */
static void
what_was_mapped_before_is_no_share(void **state)
{
	struct vmt_report report = go_report();
	char *text;

	(void)state;
	report.go.is_partial = true;
	text = print_text(&report);
	assert_has(text, "RSS is 131 MiB; at least 103 MiB of it is Go's. Other memory of Go's "
			 "runtime may");
	assert_has(text,
		   "What of the metadata was not recognized is in \"anonymous memory\", not here.");
	assert_null(strstr(text, "is neither"));
	assert_null(strstr(text, "Go other"));
	free(text);
	report.process.is_attached = true;
	report.go.cgo = false;
	text = print_text(&report);
	assert_has(text, "recording, may be part of");
	assert_null(strstr(text, "is not Go's"));
	free(text);
	text = print_json(&report);
	assert_has(text, "\"rss_go_bytes\": 108003328");
	assert_has(text, "\"rss_neither_bytes\": null");
	free(text);
}

/* Without blocks nobody knows what of the rest malloc holds. */
static void
without_blocks_malloc_has_no_share(void **state)
{
	struct vmt_report report = go_report();
	char *text;

	(void)state;
	report.go.malloc_unseen = true;
	text = print_text(&report);
	assert_has(text,
		   "RSS is 131 MiB; Go accounts for 103 MiB of it; what C malloc holds of the "
		   "other 14 MiB was not\n  recorded.");
	assert_null(strstr(text, "C malloc holds 14 MiB"));
	free(text);
	text = print_json(&report);
	assert_has(text, "\"rss_go_bytes\": 108003328");
	assert_has(text, "\"rss_malloc_live_bytes\": null");
	assert_has(text, "\"rss_malloc_retained_bytes\": null");
	assert_has(text, "\"rss_neither_bytes\": null");
	free(text);
}

static void
json_has_every_figure(void **state)
{
	static const char *const wanted[] = {
	    "\"go_version\": \"go1.24.4\"",
	    "\"heap_in_use_bytes\": 94371840",
	    "\"heap_released_bytes\": 15728640",
	    "\"total_bytes\": 118489088",
	    "\"rss_go_bytes\": 108003328",
	    "\"rss_neither_bytes\": 14680064",
	    "\"memory_limit_bytes\": 524288000",
	    "\"cause\": \"background scavenger\"",
	    "\"huge_now_bytes\": 4194304",
	    "\"symbol\": \"runtime.sysMmap\"",
	    "\"why\": \"unknown instructions\"",
	    "\"over_time\"",
	    "\"uncounted\": null",
	    "\"patched\": true",
	};
	struct vmt_report report = go_report();
	char *text = print_json(&report);

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		assert_has(text, wanted[i]);
	free(text);
}

static void
without_go_nothing_is_said(void **state)
{
	struct vmt_report report = fixture_report();
	char *text = print_text(&report);

	(void)state;
	assert_null(strstr(text, "Go accounts"));
	assert_null(strstr(text, "The Go runtime ("));
	free(text);
	text = print_json(&report);
	assert_has(text, "\"go\": null");
	assert_has(text, "\"go_version\": null");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_sentence_and_the_layers_are_there),
	    cmocka_unit_test(advice_has_causes_and_consequences),
	    cmocka_unit_test(lazily_freed_pages_are_said_without_advice),
	    cmocka_unit_test(uncounted_is_said),
	    cmocka_unit_test(the_heap_is_told_apart),
	    cmocka_unit_test(what_paces_collections_is_said),
	    cmocka_unit_test(no_more_is_said_of_collections_than_is_known),
	    cmocka_unit_test(unseen_calls_claim_no_share),
	    cmocka_unit_test(what_was_mapped_before_is_no_share),
	    cmocka_unit_test(without_blocks_malloc_has_no_share),
	    cmocka_unit_test(json_has_every_figure),
	    cmocka_unit_test(without_go_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
