#include "tools/export/fleet_metrics.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS UINT64_C(1000000000000)

/* A process that has bytes of two classes. */
static void
add(struct vmt_fleet *fleet, char *exe, uint32_t pid, uint64_t bytes, bool has_snapshot)
{
	struct vmt_class classes[] = {{.name = vmt_classes_name(VMT_CLASS_MALLOC_LIVE),
				       .reserved_bytes = 2 * bytes,
				       .committed_bytes = bytes},
				      {.name = vmt_classes_name(VMT_CLASS_FILES),
				       .reserved_bytes = 7,
				       .committed_bytes = 5,
				       .swapped_bytes = 2}};
	struct vmt_report report = {.classes = classes, .class_count = 2};

	report.process.exe = exe;
	report.process.pid = pid;
	report.process.start_unix_ns = NOW_NS - 5 * UINT64_C(1000000000);
	report.snapshot.time_ns = INT64_C(3500000000);
	report.snapshot.taken = has_snapshot;
	report.snapshot.rss_bytes = bytes + 5;
	report.snapshot.swap_bytes = 2;
	report.loss.events = 10;
	report.loss.events_dropped = 1;
	report.loss.events_overwritten = 2;
	report.loss.events_missing = 4;
	assert_true(vmt_fleet_add(fleet, &report, NOW_NS));
}

/* To be freed. */
static char *
written(struct vmt_fleet *fleet)
{
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	assert_int_equal(vmt_fleet_write(fleet, out, &err), 0);
	fclose(out);
	return text;
}

static void
has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at || (at != text && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("no line %s in\n%s", line, text);
}

static void
processes_of_a_program_are_added_up(void **state)
{
	struct vmt_fleet *fleet = vmt_fleet_new(false);
	char *text;

	(void)state;
	add(fleet, "/bin/a", 1, 100, true);
	add(fleet, "/bin/a", 2, 1000, true);
	add(fleet, "/bin/b", 3, 10, true);
	vmt_fleet_add_unread(fleet);
	text = written(fleet);
	has_line(text, "vmtrace_rss_bytes{exe=\"/bin/a\"} 1110");
	has_line(text, "vmtrace_rss_bytes{exe=\"/bin/b\"} 15");
	has_line(text, "vmtrace_swap_bytes{exe=\"/bin/a\"} 4");
	has_line(text, "vmtrace_reserved_bytes{exe=\"/bin/a\",class=\"malloc live\"} 2200");
	has_line(text, "vmtrace_committed_bytes{exe=\"/bin/a\",class=\"malloc live\"} 1100");
	has_line(text, "vmtrace_committed_bytes{exe=\"/bin/a\",class=\"mapped files\"} 10");
	has_line(text, "vmtrace_swapped_bytes{exe=\"/bin/a\",class=\"mapped files\"} 4");
	has_line(text, "vmtrace_processes{exe=\"/bin/a\"} 2");
	has_line(text, "vmtrace_events_total{exe=\"/bin/a\"} 20");
	has_line(text, "vmtrace_events_dropped_total{exe=\"/bin/a\"} 14");
	has_line(text, "vmtrace_snapshot_age_seconds{exe=\"/bin/a\"} 1.500000000");
	has_line(text, "vmtrace_unread_traces 1");
	assert_null(strstr(text, "pid="));
	assert_string_equal(text + strlen(text) - strlen("# EOF\n"), "# EOF\n");
	free(text);
	vmt_fleet_free(fleet);
}

static size_t count_lines(const char *text, const char *beginning);

/* A scraper refuses an answer that has one series twice. */
static void
names_that_are_one_label_are_one_series(void **state)
{
	struct vmt_fleet *fleet = vmt_fleet_new(false);
	char *text;

	(void)state;
	add(fleet, "/bin/a\001", 1, 100, true);
	add(fleet, "/bin/a\002", 2, 1000, true);
	text = written(fleet);
	assert_int_equal(count_lines(text, "vmtrace_rss_bytes{"), 1);
	assert_non_null(strstr(text, "\"} 1110\n"));
	free(text);
	vmt_fleet_free(fleet);
}

static void
processes_stay_apart_where_asked_for(void **state)
{
	struct vmt_fleet *fleet = vmt_fleet_new(true);
	char *text;

	(void)state;
	add(fleet, "/bin/a", 1, 100, true);
	add(fleet, "/bin/a", 2, 1000, true);
	text = written(fleet);
	has_line(text, "vmtrace_rss_bytes{exe=\"/bin/a\",pid=\"1\"} 105");
	has_line(text, "vmtrace_rss_bytes{exe=\"/bin/a\",pid=\"2\"} 1005");
	free(text);
	vmt_fleet_free(fleet);
}

static void
a_process_without_a_snapshot_counts_as_a_process(void **state)
{
	struct vmt_fleet *fleet = vmt_fleet_new(false);
	char *text;

	(void)state;
	add(fleet, "/bin/a", 1, 100, false);
	text = written(fleet);
	has_line(text, "vmtrace_processes{exe=\"/bin/a\"} 1");
	has_line(text, "vmtrace_rss_bytes{exe=\"/bin/a\"} 0");
	assert_null(strstr(text, "class=\"malloc live\""));
	free(text);
	vmt_fleet_free(fleet);
}

static size_t
count_lines(const char *text, const char *beginning)
{
	size_t count = 0;

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		count += strncmp(at, beginning, strlen(beginning)) == 0;
		if (!*at)
			break;
	}
	return count;
}

/* The sum of a metric over its rows. */
static uint64_t
sum_of(const char *text, const char *beginning)
{
	uint64_t sum = 0;

	for (const char *at = strstr(text, beginning); at; at = strstr(at + 1, beginning))
		sum += strtoull(strstr(at, "} ") + 2, NULL, 10);
	return sum;
}

static void
the_number_of_series_has_a_bound_and_nothing_is_lost(void **state)
{
	struct vmt_fleet *fleet = vmt_fleet_new(false);
	uint64_t rss = 0;
	char *text;

	(void)state;
	for (uint32_t i = 1; i <= 1000; i++) {
		char exe[32];

		snprintf(exe, sizeof(exe), "/bin/p%" PRIu32, i);
		add(fleet, exe, i, i, true);
		rss += i + 5;
	}
	text = written(fleet);
	assert_int_equal(count_lines(text, "vmtrace_rss_bytes{"), VMT_FLEET_MOST_SERIES + 1);
	assert_int_equal(sum_of(text, "\nvmtrace_rss_bytes{"), rss);
	assert_int_equal(sum_of(text, "\nvmtrace_committed_bytes{"), rss);
	assert_int_equal(sum_of(text, "\nvmtrace_processes{"), 1000);
	has_line(text, "vmtrace_processes{exe=\"other\"} 900");
	has_line(text, "vmtrace_rss_bytes{exe=\"/bin/p1000\"} 1005");
	assert_null(strstr(text, "\"/bin/p900\""));
	free(text);
	vmt_fleet_free(fleet);
}

static void
names_can_not_break_out_of_their_quotes(void **state)
{
	struct vmt_fleet *fleet = vmt_fleet_new(false);
	char *text;

	(void)state;
	add(fleet, "/bin/a\"} 1\n# EOF\\", 1, 100, true);
	text = written(fleet);
	assert_int_equal(count_lines(text, "# EOF"), 1);
	assert_non_null(strstr(text, "{exe=\"/bin/a\\\"} 1"));
	free(text);
	vmt_fleet_free(fleet);
}

static void
nothing_at_all_is_a_valid_answer(void **state)
{
	struct vmt_fleet *fleet = vmt_fleet_new(false);
	char *text = written(fleet);

	(void)state;
	has_line(text, "vmtrace_unread_traces 0");
	has_line(text, "vmtrace_quarantined_traces 0");
	has_line(text, "vmtrace_unlisted_processes 0");
	has_line(text, "vmtrace_answer_age_seconds 0");
	has_line(text, "# EOF");
	free(text);
	vmt_fleet_set_running(fleet, VMT_FLEET_MOST_TARGETS + 7);
	text = written(fleet);
	has_line(text, "vmtrace_unlisted_processes 7");
	free(text);
	vmt_fleet_free(fleet);
	vmt_fleet_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(processes_of_a_program_are_added_up),
	    cmocka_unit_test(names_that_are_one_label_are_one_series),
	    cmocka_unit_test(processes_stay_apart_where_asked_for),
	    cmocka_unit_test(a_process_without_a_snapshot_counts_as_a_process),
	    cmocka_unit_test(the_number_of_series_has_a_bound_and_nothing_is_lost),
	    cmocka_unit_test(names_can_not_break_out_of_their_quotes),
	    cmocka_unit_test(nothing_at_all_is_a_valid_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
