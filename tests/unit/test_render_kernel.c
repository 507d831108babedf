/* What a report's text says of the kernel's own figures, and of the start. */
#include "tools/render/headline.h"
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

/* Not inlined: gcc 12 takes the memory stream's buffer for one on the stack. */
__attribute__((noinline)) static char *
print(const struct vmt_report *report, size_t columns)
{
	struct vmt_text_options options = {
	    .layout = {.columns = columns, .utf8 = true}, .top = 12, .callers = 3};
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
		print_error("missing: %s\nin:\n%s\n", part, text);
	assert_non_null(strstr(text, part));
}

static void
what_the_kernel_does_not_call_rss_is_not_called_so(void **state)
{
	struct vmt_report report = fixture_report();
	char *text;

	(void)state;
	report.snapshot.kernel_rss = (struct vmt_kernel_rss){MIB(140), MIB(140), MIB(8)};
	text = print(&report, 100);
	assert_null(strstr(text, "total = RSS"));
	assert_shows(text, "the kernel's own RSS is 140 MiB: it differs by 8 MiB");
	free(text);
	report.snapshot.kernel_rss.least_bytes = MIB(60);
	text = print(&report, 140);
	assert_shows(text, "own RSS was between 60 MiB and 140 MiB while the pages were read\n");
	free(text);
	report.snapshot.kernel_rss.most_bytes = MIB(100);
	text = print(&report, 140);
	assert_shows(text, "own RSS was between 60 MiB and 100 MiB while the pages were read: it "
			   "differs by 8 MiB");
	free(text);
	report.snapshot.kernel_rss.gap_bytes = VMT_FIGURE_UNKNOWN;
	text = print(&report, 100);
	assert_null(strstr(text, "total = RSS"));
	assert_shows(text, "not checked against the kernel's own RSS");
	free(text);
}

/* Only where something is locked at the moment: the calls are those of the whole run. */
static void
locked_memory_is_named_with_its_calls(void **state)
{
	struct vmt_lock locks[5] = {{.call = "mlockall(MCL_FUTURE)", .calls = 1},
				    {.call = "mlock", .calls = 1200, .bytes = MIB(4)},
				    {.call = "mlock", .calls = 2},
				    {.call = "mlock", .calls = 3},
				    {.call = "mlock", .calls = 4}};
	struct vmt_report report = fixture_report();
	struct vmt_kernel_figures *kernel = &report.snapshot.kernel;
	char *whole;

	(void)state;
	report.locks = locks;
	report.lock_count = 5;
	kernel->anonymous_bytes = kernel->file_bytes = kernel->shared_memory_bytes = MIB(7);
	kernel->locked_bytes = MIB(34);
	whole = print(&report, 100);
	assert_shows(whole, "      34 MiB  address space locked in RAM (VmLck)\n"
			    "              by mlockall(MCL_FUTURE) (no stack)\n"
			    "              by 1,200 calls of mlock (no stack)\n"
			    "              by 2 calls of mlock (no stack)\n"
			    "              and at 2 more call sites\n");
	free(whole);
	kernel->locked_bytes = 0;
	whole = print(&report, 100);
	assert_null(strstr(whole, "mlock"));
	free(whole);
}

static void
the_kernels_figures_have_a_section(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_kernel_figures *kernel = &report.snapshot.kernel;
	char text[2048];
	char *whole;

	(void)state;
	kernel->anonymous_bytes = MIB(70);
	kernel->file_bytes = MIB(50);
	kernel->shared_memory_bytes = MIB(11);
	kernel->page_table_bytes = MIB(9);
	kernel->private_bytes = VMT_FIGURE_UNKNOWN;
	report.snapshot.shared_bytes = VMT_FIGURE_UNKNOWN;
	report.snapshot.huge_bytes = MIB(2);
	whole = print(&report, 100);
	assert_shows(whole, "      70 MiB  anonymous memory");
	assert_shows(whole, "      50 MiB  pages of files (RssFile)");
	assert_shows(whole, "      11 MiB  shared memory");
	assert_shows(whole, "       9 MiB  page tables: not in RSS");
	assert_shows(whole, "       2 MiB  of RSS in huge pages");
	assert_null(strstr(whole, "(VmLck)"));
	assert_null(strstr(whole, "mlock"));
	assert_null(strstr(whole, "(private)"));
	assert_null(strstr(whole, "Page tables take another"));
	free(whole);
	kernel->page_table_bytes = MIB(14);
	report.snapshot.huge_bytes = MIB(66);
	vmt_headline_write(&report, text, sizeof(text));
	assert_shows(text,
		     "66 MiB of RSS is in huge pages (THP). Page tables take another 14 MiB:");
	kernel->anonymous_bytes = VMT_FIGURE_UNKNOWN;
	whole = print(&report, 100);
	assert_null(strstr(whole, "What the kernel counts"));
	free(whole);
}

/* Of a fork child whose pages are its parent's; not where nobody asked. */
static void
shared_pages_are_told_by_class(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_class classes[3];
	char text[2048];
	char *whole;

	(void)state;
	memcpy(classes, fixture_classes, sizeof(classes));
	report.classes = classes;
	report.snapshot.kernel.private_bytes = VMT_FIGURE_UNKNOWN;
	report.snapshot.shared_bytes = VMT_FIGURE_UNKNOWN;
	whole = print(&report, 100);
	assert_null(strstr(whole, "shared 60 MiB"));
	assert_null(strstr(whole, "(private)"));
	free(whole);
	classes[0].shared_bytes = MIB(1) - 4096;
	classes[1].shared_bytes = MIB(60);
	classes[2].shared_bytes = MIB(9) + 4096;
	report.snapshot.shared_bytes = MIB(70);
	whole = print(&report, 100);
	assert_shows(whole, "49 %  swapped 1 MiB  shared 60 MiB\n");
	assert_null(strstr(whole, "shared 1020 KiB"));
	assert_shows(whole, "      61 MiB  of RSS mapped only once (private)\n");
	assert_shows(whole, "      70 MiB  of RSS mapped more than once");
	free(whole);
	vmt_headline_write(&report, text, sizeof(text));
	assert_shows(text, "Besides programs and libraries, 70 MiB of RSS is shared: mapped more "
			   "than once, by this or other processes.");
	/* Of libraries it is no news. */
	classes[1].name = "program and libraries";
	vmt_headline_write(&report, text, sizeof(text));
	assert_null(strstr(text, "mapped more than once"));
}

static void
the_start_stands_in_the_readers_time(void **state)
{
	struct vmt_report report = fixture_report();
	char *text;

	(void)state;
	setenv("TZ", "VMT-2", 1);
	report.process.start_unix_ns = UINT64_C(1735689599999999999);
	text = print(&report, 200);
	assert_shows(text, ", started 2025-01-01 01:59:59 +0200, ");
	free(text);
	report.process.start_unix_ns = 0;
	text = print(&report, 200);
	assert_null(strstr(text, "started"));
	free(text);
	unsetenv("TZ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_kernel_does_not_call_rss_is_not_called_so),
	    cmocka_unit_test(the_kernels_figures_have_a_section),
	    cmocka_unit_test(locked_memory_is_named_with_its_calls),
	    cmocka_unit_test(shared_pages_are_told_by_class),
	    cmocka_unit_test(the_start_stands_in_the_readers_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
