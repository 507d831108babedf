#include "tools/render/headline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/report_fixture.h"

static void
assert_shows(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("missing: %s\nin:\n%s\n", part, text);
	assert_non_null(strstr(text, part));
}

static char *
headline(const struct vmt_report *report)
{
	static char text[2048];

	vmt_headline_write(report, text, sizeof(text));
	return text;
}

static void
check_gap(uint64_t accessible_bytes, uint64_t committed_bytes, bool told)
{
	struct vmt_frame frames[] = {
	    {.module = "/lib/libx.so.1", .module_offset = 0x40},
	    {.module = "/lib/libx.so.1", .module_offset = 0x50},
	    {.module = "/lib/libx.so.1", .module_offset = 0x60, .function = "named"},
	};
	struct vmt_site site = {.kind = "mmap",
				.class = "mmap",
				.reserved_bytes = accessible_bytes,
				.accessible_bytes = accessible_bytes,
				.committed_bytes = committed_bytes,
				.stack = {frames, 3}};
	struct vmt_report report = fixture_report();

	report.sites = &site;
	report.site_count = 1;
	report.class_count = 1;
	assert_int_equal(strstr(headline(&report), "not in RAM: ") != NULL, told);
	assert_shows(headline(&report),
		     "mapped by mmap (6 %), by libx.so.1+0x40 (called by named)");
	frames[2].function = NULL;
	assert_shows(headline(&report), ", by libx.so.1+0x40 (called by libx.so.1+0x50)");
	site.stack.count = 1;
	assert_null(strstr(headline(&report), "called by"));
	site.never_touched_bytes = accessible_bytes - committed_bytes;
	assert_int_equal(strstr(headline(&report), "never touched: libx.so.1+0x40, ") != NULL,
			 told);
	/* Some of the gap may have been. */
	site.never_touched_bytes /= 2;
	assert_int_equal(strstr(headline(&report), "not in RAM: ") != NULL, told);
	assert_null(strstr(headline(&report), "never touched"));
	site.accessible_bytes = 0; /* a reservation without access is no news */
	assert_null(strstr(headline(&report), "not in RAM: "));
	site.accessible_bytes = accessible_bytes;
	site.class = "Go heap";
	assert_null(strstr(headline(&report), "not in RAM: "));
	/* What is not in this process's page tables may be in RAM. */
	site.class = "shared memory";
	assert_null(strstr(headline(&report), "not in RAM: "));
	site.class = "mapped files";
	assert_null(strstr(headline(&report), "not in RAM: "));
	site.class = "thread stacks";
	report.snapshot.virtual_bytes = accessible_bytes * 2;
	assert_null(strstr(headline(&report), "not in RAM: "));
	report.snapshot.virtual_bytes = accessible_bytes * 2 - 1;
	assert_int_equal(strstr(headline(&report), "not in RAM: ") != NULL, told);
}

/* The largest file of all may be another class's. */
static void
a_class_of_files_is_explained_by_its_own(void **state)
{
	static char library[] = "/lib/large.so";
	static char nameless[] = "/dev/zero (deleted)";
	struct vmt_class classes[] = {{.name = "shared memory", .committed_bytes = MIB(100)}};
	struct vmt_file_row files[] = {
	    {library, "program and libraries", MIB(90), MIB(90)},
	    {nameless, "shared memory", MIB(80), MIB(80)},
	};
	struct vmt_frame frame = {.function = "share", .module = "/bin/app"};
	struct vmt_site site = {.kind = "mmap",
				.class = "shared memory",
				.committed_bytes = MIB(80),
				.stack = {&frame, 1}};
	struct vmt_report report = fixture_report();

	(void)state;
	report.classes = classes;
	report.class_count = 1;
	report.files = files;
	report.file_count = 2;
	report.sites = &site;
	report.site_count = 1;
	assert_shows(headline(&report),
		     "100 MiB shared memory (76 %), mostly by share (app) (80 MiB);");
	files[0].class = "shared memory";
	assert_shows(headline(&report), "100 MiB shared memory (76 %), mostly /lib/large.so;");
}

/* 31.2 GiB of 31.2 GiB would say that nothing of it was. */
static void
a_part_does_not_look_like_the_whole(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_site site = {.kind = "mmap",
				.class = "mmap",
				.reserved_bytes = MIB(32000),
				.accessible_bytes = MIB(32000),
				.never_touched_bytes = MIB(32000) - MIB(62)};

	(void)state;
	report.sites = &site;
	report.site_count = 1;
	assert_shows(headline(&report), ", all but 62 MiB of 31.2 GiB.");
	site.never_touched_bytes = site.accessible_bytes;
	assert_shows(headline(&report), ", 31.2 GiB of 31.2 GiB.");
}

static void
the_first_sentence_names_what_to_look_at(void **state)
{
	struct vmt_report report = fixture_report();
	char cut[10];

	(void)state;
	report.rss = NULL;
	report.rss_count = 0;
	assert_string_equal(headline(&report),
			    "RSS 131 MiB at 500 ms: about 64 MiB in live malloc blocks (49 %), by "
			    "arena_grow cache.c:88; then 59 MiB mapped files (45 %), mostly "
			    "/usr/share/a/very/long/path/that/goes/on/and/on/until/it/is/longer/"
			    "than/any/terminal/is/wide/enough/for/data.bin; 1.16 GiB reserved; "
			    "never touched: server+0x400, 1016 MiB of 1 GiB.");
	report.site_count = 0;
	report.file_count = 0;
	assert_shows(headline(&report), "blocks (49 %); then 59 MiB mapped files (45 %); 1.16 GiB");
	report.class_count = 0;
	assert_string_equal(headline(&report), "RSS 131 MiB at 500 ms; 1.16 GiB reserved.");
	check_gap(MIB(300), MIB(300) - 1023 * UINT64_C(1024), false);
	check_gap(MIB(300), MIB(298), false);
	check_gap(MIB(300), MIB(296), true);
	report.snapshot.taken = false;
	assert_shows(headline(&report), "No snapshot");
	vmt_headline_write(&report, cut, sizeof(cut));
	assert_int_equal(strlen(cut), 9);
}

static void
the_first_sentence_tells_the_moment_from_now(void **state)
{
	struct vmt_report report = fixture_report();

	(void)state;
	assert_shows(headline(&report),
		     "RSS 131 MiB at 500 ms (last read 91 MiB, peak 131 MiB): about");
	report.process.duration_ns = 2000000000;
	report.process.last_event_ns = 0;
	assert_shows(headline(&report), "RSS 131 MiB at 500 ms (last 91 MiB, peak 131 MiB): about");
	report.process.end = "running";
	report.snapshot.rss_bytes = MIB(91);
	report.snapshot.time_ns = 1000000000;
	assert_shows(headline(&report), "RSS 91 MiB at 1 s (now 91 MiB, peak 131 MiB): about");
}

/* They are in no share of RSS, and may be most of what the process holds. */
static void
huge_pages_outside_of_rss_have_their_site(void **state)
{
	struct vmt_class classes[] = {
	    {.name = "huge pages (hugetlb)", .reserved_bytes = MIB(64), .hugetlb_bytes = MIB(48)}};
	struct vmt_frame frames[1] = {{.function = "store", .module = "/srv/app"}};
	struct vmt_site sites[2] = {{.kind = "mmap", .hugetlb_bytes = MIB(48)}, {.kind = "mmap"}};
	struct vmt_report report = fixture_report();

	(void)state;
	sites[0].stack = (struct vmt_stack_frames){frames, 1};
	report.classes = classes;
	report.class_count = 1;
	report.sites = sites;
	report.site_count = 2;
	assert_shows(headline(&report), ", plus 48 MiB of huge pages (hugetlb) by store (app)");
	sites[0].hugetlb_bytes = MIB(26);
	assert_shows(headline(&report), "(hugetlb) mostly by store (app)");
	sites[0].hugetlb_bytes = MIB(24);
	assert_null(strstr(headline(&report), "store"));
}

/* Sites of one class share it: the largest is named as what it is, and what lies in another class
 * is never named for this one. */
static void
an_owner_is_named_for_its_own_class(void **state)
{
	struct vmt_class classes[] = {{"thread stacks", MIB(80), MIB(80), MIB(50), 0, 0, 0, 0},
				      {"vmtrace", MIB(20), MIB(20), MIB(1), 0, 0, 0, 0}};
	struct vmt_frame frames[2][1] = {{{.function = "start", .module = "/srv/app"}},
					 {{.function = "extra", .module = "/srv/app"}}};
	struct vmt_site sites[] = {
	    {.kind = "pthread_create", .class = "thread stacks", .committed_bytes = MIB(20)},
	    {.kind = "pthread_create", .class = "thread stacks", .committed_bytes = MIB(10)},
	    {.kind = "mmap", .class = "mmap", .committed_bytes = MIB(40)},
	};
	struct vmt_report report = fixture_report();

	(void)state;
	sites[0].stack = (struct vmt_stack_frames){frames[0], 1};
	sites[1].stack = (struct vmt_stack_frames){frames[1], 1};
	report.classes = classes;
	report.class_count = 2;
	report.sites = sites;
	report.site_count = 3;
	assert_shows(headline(&report),
		     "50 MiB thread stacks (38 %), the most by start (app) (20 MiB); 1.16");
	/* A twenty-fifth explains nothing. */
	classes[0].committed_bytes = MIB(500);
	assert_shows(headline(&report), "500 MiB thread stacks (382 %); 1.16");
	classes[0].committed_bytes = MIB(50);
	sites[0].committed_bytes = MIB(30);
	assert_shows(headline(&report), ", mostly by start (app) (30 MiB); 1.16");
}

/* Of glibc's: what was freed, or what live blocks cost beside their bytes. */
static void
what_malloc_keeps_is_named_for_what_it_is(void **state)
{
	struct vmt_class classes[] = {
	    {"malloc retained", MIB(120), MIB(120), MIB(100), 0, 0, 0, 0}};
	struct vmt_frame frames[] = {{.function = "metric_new", .module = "/srv/app"}};
	struct vmt_site site = {.kind = "malloc", .pins_bytes = MIB(80), .stack = {frames, 1}};
	struct vmt_report report = fixture_report();

	(void)state;
	report.classes = classes;
	report.class_count = 1;
	report.sites = &site;
	report.site_count = 1;
	assert_shows(headline(&report),
		     "about 100 MiB retained by the allocator (not in live blocks) (76 %)");
	report.retained.is_split = true;
	report.retained.free_page_bytes = MIB(70);
	report.retained.pinned_bytes = MIB(25);
	report.retained.overhead_bytes = MIB(5);
	report.retained.free_page_least_bytes = report.retained.free_page_most_bytes = MIB(70);
	assert_shows(
	    headline(&report),
	    ": 95 MiB freed but kept by glibc (73 %), of which 70 MiB in free pages, which "
	    "malloc_trim would give back, and 25 MiB in pages with live blocks (most of all "
	    "that below or around blocks of metric_new (app)); ");
	report.retained.estimate = true;
	report.retained.free_page_least_bytes = MIB(60);
	report.retained.free_page_most_bytes = MIB(80);
	assert_shows(
	    headline(&report),
	    ": about 95 MiB freed but kept by glibc (73 %), of which about 70 MiB (60 MiB to "
	    "80 MiB) in free pages, which malloc_trim would give back, and about 25 MiB in "
	    "pages with live blocks");
	report.retained.free_page_bytes = 0;
	report.retained.pinned_bytes = 0;
	report.retained.overhead_bytes = MIB(100);
	assert_shows(headline(&report), ": about 100 MiB overhead of live malloc blocks (76 %);");
	assert_null(strstr(headline(&report), "freed"));
}

/* Estimates of live blocks and of their resident part are each off by chance. */
static void
what_may_be_a_sampling_error_is_no_gap(void **state)
{
	struct vmt_site site = {.kind = "malloc",
				.class = "malloc live",
				.reserved_bytes = MIB(64),
				.accessible_bytes = MIB(64),
				.committed_bytes = MIB(60),
				.estimate = true};
	struct vmt_report report = fixture_report();

	(void)state;
	report.sites = &site;
	report.site_count = 1;
	assert_null(strstr(headline(&report), "not in RAM"));
	site.committed_bytes = MIB(50); /* three deviations are 6 MiB */
	assert_shows(headline(&report), "not in RAM: malloc without a stack, about 14 MiB of 64");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_part_does_not_look_like_the_whole),
	    cmocka_unit_test(the_first_sentence_names_what_to_look_at),
	    cmocka_unit_test(the_first_sentence_tells_the_moment_from_now),
	    cmocka_unit_test(huge_pages_outside_of_rss_have_their_site),
	    cmocka_unit_test(an_owner_is_named_for_its_own_class),
	    cmocka_unit_test(what_malloc_keeps_is_named_for_what_it_is),
	    cmocka_unit_test(a_class_of_files_is_explained_by_its_own),
	    cmocka_unit_test(what_may_be_a_sampling_error_is_no_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
