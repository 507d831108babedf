#include "tools/render/text_report.h"

#include "tools/render/headline.h"
#include "tools/render/sparkline.h"

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

static struct vmt_text_options
plain(size_t columns)
{
	return (struct vmt_text_options){
	    .layout = {.columns = columns, .utf8 = true}, .top = 12, .callers = 3};
}

static void
assert_shows(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("missing: %s\nin:\n%s\n", part, text);
	assert_non_null(strstr(text, part));
}

static void
losses_stand_at_the_top(void **state)
{
	struct vmt_report report = fixture_report();
	char text[2048];
	char *whole;

	(void)state;
	vmt_headline_losses(&report, text, sizeof(text));
	assert_string_equal(text, "");
	report.loss.stacks_dropped = 1;
	vmt_headline_losses(&report, text, sizeof(text));
	assert_shows(text,
		     "Lost: 1 call stack dropped because the stack table was full, or no memory"
		     " was left for it: these calls");
	assert_null(strstr(text, "off by"));
	report.loss.stacks_dropped = 0;
	report.loss.events_dropped = 1234;
	report.loss.slots_abandoned = 1;
	vmt_headline_losses(&report, text, sizeof(text));
	assert_shows(text, "Lost: 1,234 events dropped because the rings were full");
	assert_shows(text, "1 event left unfinished by a thread; figures are off by that much");
	whole = print(&report, plain(400));
	assert_shows(whole, "of 1 GiB.\nLost: 1,234 events");
	free(whole);
	report.loss.events_missing = 3864;
	report.loss.cut_bytes = 2144;
	vmt_headline_losses(&report, text, sizeof(text));
	assert_shows(text, "3,864 events missing from both the rings and the file, 2,144 bytes");
	report.loss.cut = true;
	vmt_headline_losses(&report, text, sizeof(text));
	assert_shows(text, "The file is cut: 3,864 events past its end are missing");
	assert_shows(text, "snapshots there. Lost: 1,234 events");
	assert_null(strstr(text, "bytes"));
	report.loss = (typeof(report.loss)){.is_thinned = true,
					    .thinned_from_ns = 2000000000,
					    .one_in = 4096,
					    .one_in_at_snapshot = 1};
	vmt_headline_losses(&report, text, sizeof(text));
	assert_shows(text, "From 2 s on, fewer and fewer malloc blocks were recorded, to keep the "
			   "trace within its maximum size (--max-size, VMTRACE_MAX_SIZE). At the "
			   "end it was one in 4,096 of those below 64 KiB.");
	assert_shows(text, "This snapshot was taken before and lacks nothing");
	report.loss.one_in_at_snapshot = 8;
	vmt_headline_losses(&report, text, sizeof(text));
	assert_shows(text, "estimates, at this snapshot from one in 8; counts");
	assert_null(strstr(text, "exact"));
	report.loss = (typeof(report.loss)){.is_full = true, .full_from_ns = 3000000000};
	vmt_headline_losses(&report, text, sizeof(text));
	assert_string_equal(text,
			    "The trace reached its maximum size (--max-size, VMTRACE_MAX_SIZE) at "
			    "3 s: later calls and snapshots are not in it, RSS over time is.");
	report.loss = (typeof(report.loss)){.cut = true};
	vmt_headline_losses(&report, text, sizeof(text));
	assert_string_equal(text,
			    "The file's end is missing: it was cut off, or the disk was full. "
			    "No event is missing, but snapshots may be.");
}

static void
no_line_is_wider_than_asked(void **state)
{
	struct vmt_report report = fixture_report();

	(void)state;
	report.loss.events_dropped = 7;
	for (size_t columns = 20; columns <= 200; columns++) {
		struct vmt_text_options options = plain(columns);
		char *text;

		options.layout.utf8 = columns % 2;
		text = print(&report, options);
		for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (vmt_layout_width(&options.layout, line) > columns)
				print_error("%zu: %s\n", columns, line);
			assert_true(vmt_layout_width(&options.layout, line) <= columns);
		}
		free(text);
	}
}

/* Of a name that is too long the middle goes; its line never, and nothing in a file or a pipe. */
static void
file_and_line_are_never_left_out(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_text_options options = plain(60);
	char *text;

	(void)state;
	text = print(&report, options);
	assert_shows(text, " cache.c:120\n");
	assert_null(strstr(text, "cache::detail::Hash<std::string>>::rehash"));
	free(text);
	options.layout.columns = 20;
	text = print(&report, options);
	assert_shows(text, "cache.c:120\n");
	free(text);
	options.layout.whole = true;
	text = print(&report, options);
	assert_shows(text, fixture_template);
	assert_shows(text, fixture_path);
	free(text);
	options.callers = 1;
	text = print(&report, options);
	assert_null(strstr(text, "<- main cache.c:7"));
	options.callers = 2;
	free(text);
	text = print(&report, options);
	assert_shows(text, "<- main cache.c:7");
	free(text);
}

static void
every_section_is_there(void **state)
{
	struct vmt_report report = fixture_report();
	char *text = print(&report, plain(100));

	(void)state;
	assert_shows(text, "exit status 3");
	assert_shows(text, "total = RSS");
	assert_shows(text, "1.16 GiB    131 MiB  100 %");
	assert_shows(text, "~    64 MiB     70 MiB   91 %     30 MiB     1,000  malloc arena_grow "
			   "cache.c:88");
	assert_shows(text, "of_two cache.c:120");
	assert_shows(text, "<- main cache.c:7");
	assert_shows(text, "(no stack)");
	assert_shows(text, "~ = estimated");
	assert_shows(text, "MADV_DONTNEED arena_grow");
	assert_shows(text, "peak 131 MiB at 500 ms");
	assert_shows(text, "snapshot 2 of 3");
	assert_shows(text, "pagemap-scan");
	assert_shows(text, "- memory mapped by raw");
	assert_shows(text, "data.bin");
	/* callers alone: the libc frame names nothing */
	assert_null(strstr(text, "malloc malloc"));
	free(text);
}

static void
says_where_advice_is_about(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_advice about = report.advice[0];
	char *text = print(&report, plain(200));

	(void)state;
	assert_shows(text, "     20 MiB     40 MiB        12  MADV_DONTNEED");
	assert_null(strstr(text, "not all pages were checked"));
	free(text);
	about.committed_before_is_estimate = true;
	report.advice = &about;
	text = print(&report, plain(200));
	assert_shows(text, "~    20 MiB     40 MiB        12  MADV_DONTNEED");
	assert_shows(text, "~ = partly estimated: not all pages were checked");
	free(text);
}

static void
check_ending(struct vmt_report *report, const char *end, int status, const char *words)
{
	report->process.end = end;
	report->process.end_status = status;
	char *text = print(report, plain(320));

	assert_shows(text, words);
	free(text);
}

static void
tells_where_another_program_is(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_text_options options = plain(200);
	char *text;

	(void)state;
	report.process.end = "exec";
	text = print(&report, options);
	assert_null(strstr(text, "Continues (exec)"));
	free(text);
	options.next_image = options.last_image = "a.7.vmt";
	text = print(&report, options);
	assert_shows(text, "(exec).\nContinues (exec) in a.7.vmt\n");
	free(text);
	options.last_image = "a.7.3.vmt";
	text = print(&report, options);
	assert_shows(text, "Continues (exec) in a.7.vmt, finally in a.7.3.vmt\n");
	free(text);
}

/* A process that its collector, or who reads, can't look for by its number. */
static void
does_not_call_what_it_cannot_see_killed(void **state)
{
	struct vmt_report report = fixture_report();

	(void)state;
	report.process.not_in_proc = true;
	check_ending(&report, "cut", 0, "not in the collector's /proc; whether it ended is not in");
	report.process.not_in_proc = false;
	report.process.other_pid_namespace = true;
	check_ending(&report, "cut", 0,
		     "whether it was killed or runs on is not seen from this pid namespace");
	check_ending(&report, "cut", 0,
		     "its memory cgroup could not be read: whether it was full is not known.");
	report.cgroup.is_read = true;
	report.cgroup.limit_bytes = MIB(800);
	report.cgroup.last_bytes = MIB(600);
	check_ending(&report, "cut", 0,
		     "its cgroup had 600 MiB of its limit of 800 MiB in use when last read.");
}

static void
tells_how_it_ended(void **state)
{
	struct vmt_report report = fixture_report();

	(void)state;
	check_ending(&report, "exit", -1, "exited; its status is not in the trace");
	check_ending(&report, "signal", 11, "ended by signal 11 (SIGSEGV)");
	check_ending(&report, "signal", 9, "ended by signal 9 (SIGKILL)");
	check_ending(&report, "signal", 99, "ended by signal 99.");
	check_ending(&report, "exec", 0, "another program");
	check_ending(&report, "running", 0, "still running");
	check_ending(&report, "ending", 0,
		     "not seen here: it ended, or runs in another pid namespace; its collector "
		     "wrote a moment ago: run this again shortly.");
	report.process.last_event_ns = 1500000000;
	report.cgroup.is_read = true;
	check_ending(&report, "cut", 0,
		     "no collector was left to record the cause; last event at 1.5 s.");
	report.loss.events = 0;
	check_ending(&report, "cut", 0, "no collector was left to record the cause; no event.");
	report.cgroup.limit_bytes = MIB(140);
	check_ending(&report, "cut", 0, "near its limit of 140 MiB");
	check_ending(&report, "signal", 9, "ended by signal 9 (SIGKILL)");
	report.process.end_seen = true;
	check_ending(&report, "cut", 0,
		     "exit status unknown: only its parent could read it; no event; its cgroup was "
		     "near its limit");
	report.cgroup.oom_kills = 1;
	check_ending(
	    &report, "cut", 0,
	    "no event; the OOM killer killed in its cgroup (limit 140 MiB): most likely this");
	check_ending(&report, "signal", 9,
		     "killed by the OOM killer: its cgroup had reached its limit of 140 MiB");
	check_ending(&report, "signal", 9, "killed in this cgroup: once\n");
	check_ending(&report, "exit", 0, "killed in this cgroup: once, not this process\n");
	report.cgroup.oom_kills = 3;
	check_ending(&report, "cut", 0,
		     "killed in this cgroup: 3 times, this process or another\n");
	report.cgroup.peak_bytes = MIB(99);
	check_ending(&report, "exit", 0, "cgroup limit 140 MiB, peak usage 99 MiB\n");
	report.cgroup.peak_sampled = true;
	check_ending(&report, "exit", 0, "140 MiB, highest usage seen 99 MiB\n");
	check_ending(&report, "signal", 15, "ended by signal 15 (SIGTERM)");
	report.cgroup.fullest.bytes = MIB(140);
	report.cgroup.fullest.time_ns = 500000000;
	report.cgroup.fullest.anonymous_bytes = MIB(12);
	report.cgroup.fullest.file_bytes = MIB(125);
	report.cgroup.fullest.shared_memory_bytes = MIB(5);
	report.cgroup.fullest.process_rss_bytes = MIB(10);
	check_ending(
	    &report, "signal", 9,
	    "  highest usage seen 140 MiB at 500 ms: 12 MiB anonymous memory in all its processes "
	    "(at least 2 MiB in other processes), 5 MiB tmpfs and other shared memory, 120 MiB "
	    "page cache of files, 3 MiB kernel and other; RSS of this process then 10 MiB\n");
	report.cgroup.fullest.process_rss_bytes = MIB(13);
	report.cgroup.fullest.shared_memory_bytes = VMT_FIGURE_UNKNOWN;
	check_ending(&report, "signal", 9, "in all its processes, 125 MiB page cache and tmpfs, ");
	report.cgroup.fullest.anonymous_bytes = VMT_FIGURE_UNKNOWN;
	check_ending(&report, "signal", 9, "what filled it is unknown");
}

static void
tells_of_the_killed_what_grew_last(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_site sites[4];
	char *text;

	(void)state;
	memcpy(sites, report.sites, sizeof(sites));
	sites[1].grown_bytes = MIB(12);
	sites[3].grown_bytes = MIB(13);
	report.sites = sites;
	text = print(&report, plain(100));
	assert_null(strstr(text, "What grew"));
	free(text);
	report.process.end = "signal";
	report.process.growth_from_ns = 1200000000;
	text = print(&report, plain(100));
	assert_shows(text, "What grew last, from 1.2 s on\n     13 MiB  brk");
	assert_shows(text, "\n~    12 MiB  malloc arena_grow cache.c:88");
	free(text);
}

static void
calls_nothing_committed_without_a_snapshot(void **state)
{
	struct vmt_report report = fixture_report();
	char *text;

	(void)state;
	report.snapshot.taken = false;
	report.totals.reserved_bytes = MIB(1094);
	text = print(&report, plain(100));
	assert_shows(text, "committed memory is unknown; 1.07 GiB");
	assert_shows(text, "Call sites by reserved");
	assert_shows(text, "    unknown      1 GiB      -");
	assert_null(strstr(text, "not in RAM"));
	free(text);
}

static void
classes_that_do_not_add_up_do_not_say_so(void **state)
{
	struct vmt_report report = fixture_report();
	char *text;

	(void)state;
	report.snapshot.rss_bytes += 4096;
	text = print(&report, plain(100));
	assert_null(strstr(text, "total = RSS"));
	assert_shows(text, "total");
	free(text);
}

static void
hostile_names_reach_no_terminal(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_text_options options = plain(120);
	char *text;

	(void)state;
	text = print(&report, options);
	assert_shows(text, "a?[31m?"
			   "?(?");
	for (const char *at = text; *at; at++)
		assert_true(*at == '\n' || (unsigned char)*at >= ' ');
	free(text);
	options.layout.utf8 = false;
	text = print(&report, options);
	for (const char *at = text; *at; at++)
		assert_true(*at == '\n' || (*at >= ' ' && *at < 0x7f));
	free(text);
}

static void
colors_come_only_when_asked(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_text_options options = plain(100);
	char *text;

	(void)state;
	options.layout.color = true;
	text = print(&report, options);
	assert_shows(text, "\033[1mRSS 131 MiB");
	free(text);
}

static size_t
place(const char *text, const char *part)
{
	const char *found = strstr(text, part);

	assert_non_null(found);
	return (size_t)(found - text);
}

static void
rows_follow_the_figure_asked_for(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_text_options options = plain(100);
	char *text;

	(void)state;
	text = print(&report, options);
	assert_true(place(text, "malloc arena_grow") < place(text, "mmap server+0x400"));
	free(text);
	options.rank = VMT_RANK_GAP;
	options.top = 1;
	text = print(&report, options);
	assert_shows(text, "Call sites by gap, 1 of 4");
	assert_shows(text, "mmap server+0x400");
	assert_true(place(text, "malloc arena_grow") > place(text, "Blocks of malloc"));
	assert_shows(text, "and 1 more");
	free(text);
	options.rank = VMT_RANK_COUNT;
	options.top = 0;
	text = print(&report, options);
	assert_shows(text, "Call sites by count, 0 of 4");
	free(text);
}

static void
an_empty_report_is_printed(void **state)
{
	struct vmt_report report;
	char *text;

	(void)state;
	memset(&report, 0, sizeof(report));
	report.process.end = "cut";
	report.coverage.stacks = "dwarf";
	report.coverage.malloc_mode = "off";
	text = print(&report, plain(80));
	assert_shows(text, "No snapshot");
	assert_shows(text, "malloc: off");
	assert_shows(text, "Stacks: by unwind tables (cfi).");
	free(text);
}

static void
the_curve_keeps_its_peak(void **state)
{
	struct vmt_layout layout = {.columns = 12, .utf8 = true};
	char text[4 * VMT_SPARKLINE_MAX_COLUMNS + 1];

	(void)state;
	assert_true(vmt_sparkline_write(&layout, fixture_rss, 4, text));
	assert_int_equal(vmt_layout_width(&layout, text), 10);
	assert_shows(text, "\xe2\x96\x88");
	assert_memory_equal(text, "\xe2\x96\x81", 3);
	assert_false(vmt_sparkline_write(&layout, fixture_rss, 2, text));
	layout.utf8 = false;
	assert_false(vmt_sparkline_write(&layout, fixture_rss, 4, text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(losses_stand_at_the_top),
	    cmocka_unit_test(no_line_is_wider_than_asked),
	    cmocka_unit_test(file_and_line_are_never_left_out),
	    cmocka_unit_test(every_section_is_there),
	    cmocka_unit_test(says_where_advice_is_about),
	    cmocka_unit_test(tells_how_it_ended),
	    cmocka_unit_test(does_not_call_what_it_cannot_see_killed),
	    cmocka_unit_test(tells_where_another_program_is),
	    cmocka_unit_test(tells_of_the_killed_what_grew_last),
	    cmocka_unit_test(calls_nothing_committed_without_a_snapshot),
	    cmocka_unit_test(classes_that_do_not_add_up_do_not_say_so),
	    cmocka_unit_test(hostile_names_reach_no_terminal),
	    cmocka_unit_test(colors_come_only_when_asked),
	    cmocka_unit_test(rows_follow_the_figure_asked_for),
	    cmocka_unit_test(an_empty_report_is_printed),
	    cmocka_unit_test(the_curve_keeps_its_peak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
