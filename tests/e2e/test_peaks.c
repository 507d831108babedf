/*
 * test_peaks.c: is the peak that is said the largest RSS by the kernel's own count, however short
 * it was?
 *
 * The truth is ru_maxrss, which the program says before it ends. Every place that says a peak is
 * asked: the report's first sentence and JSON, record's last line, OpenMetrics.
 */
#include "tests/e2e/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((int64_t)1 << 20)

static void
check_near(const char *what, int64_t peak, int64_t truth)
{
	int64_t slack = truth / 50 > 2 * MIB ? truth / 50 : 2 * MIB;

	if (llabs(peak - truth) > slack)
		fail_msg("%s: peak %" PRId64 ", the kernel counted %" PRId64, what, peak, truth);
}

static char *
output_of(const char *trace, const char *format)
{
	const char *const argv[] = {built("vmtrace"), "report", trace, "--format", format, NULL};
	struct run run;
	char *text;

	run_program(&run, argv, (const char *const[]){"COLUMNS=1000", NULL});
	assert_int_equal(run.exit_status, 0);
	text = strdup(run.out);
	run_free(&run);
	return text;
}

/* A figure behind some words, in bytes: "151 MiB". */
static int64_t
bytes_behind(const char *text, const char *words)
{
	const char *at = says(text, words);
	char unit[8] = "";
	double figure = 0;

	if (at == NULL || sscanf(at + strlen(words), "%lf %7[KMGiB]", &figure, unit) != 2)
		fail_msg("no figure behind \"%s\" in:\n%s", words, text);
	return (int64_t)(figure * (unit[0] == 'K' ? 1 << 10 : 1 << 20));
}

static void
check_trace(const char *way, json_t *root, const char *trace, int64_t truth)
{
	char *text = output_of(trace, "text");
	char *metrics = output_of(trace, "openmetrics");
	char *at = strstr(metrics, "\nvmtrace_peak_rss_bytes{");
	json_t *peak = member(root, "peak");

	check_report(root);
	check_near(way, number(peak, "rss_bytes"), truth);
	check_near(way, bytes_behind(text, ", peak "), truth);
	if (json_is_true(member(peak, "missed"))) {
		assert_non_null(says(text, "which no snapshot shows"));
		assert_non_null(says(text, "is the kernel's count"));
		assert_true(number(peak, "counted_bytes") > number(peak, "seen_bytes"));
		assert_true(number(peak, "after_ns") <= number(peak, "by_ns"));
	}
	assert_non_null(at);
	check_near(way, strtoll(strchr(at, '}') + 1, NULL, 10), truth);
	free(text);
	free(metrics);
}

/* What the program said of itself. */
struct truth {
	int64_t peak_bytes;
	int64_t pid;
	int64_t recorded_bytes; /* record's last line */
};

static void
spike(const char *way, const char *output, const char *who, struct truth *truth)
{
	const char *const argv[] = {built("tests/target/spikes"), way, "40", NULL};
	const char *line;
	struct run run;

	record(&run, output, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	line = says(run.out, who);
	assert_non_null(line);
	assert_int_equal(
	    sscanf(line + strlen(who), "%" SCNd64 " %" SCNd64, &truth->peak_bytes, &truth->pid), 2);
	truth->recorded_bytes = bytes_behind(run.err, "peak RSS ");
	run_free(&run);
	assert_true(truth->peak_bytes > 40 * MIB);
	if (strcmp(way, "exec") != 0)
		check_near(way, truth->recorded_bytes, truth->peak_bytes);
}

/* Of a process that has a name or a number of its own beside others. */
static void
check_one_of(const char *way, const char *who)
{
	char name[64];
	struct truth truth;

	snprintf(name, sizeof(name), "%s.%%n.%%p.vmt", way);
	spike(way, scratch_file(name), who, &truth);
	snprintf(name, sizeof(name), "%s.spikes.%" PRId64 ".vmt", way, truth.pid);
	const char *trace = scratch_file(name);
	json_t *root = report(trace, NULL);

	check_trace(way, root, trace, truth.peak_bytes);
	json_decref(root);
}

static void
a_short_peak_is_not_missed(void **state)
{
	(void)state;
	check_one_of("mmap", "self");
	check_one_of("brk", "self");
	check_one_of("malloc", "self");
	check_one_of("blocks", "self");
}

static void
nor_is_one_right_before_the_end(void **state)
{
	(void)state;
	check_one_of("exit", "self");
	check_one_of("_exit", "self");
	check_one_of("exec", "self");
}

static void
nor_is_one_of_a_fork_child(void **state)
{
	(void)state;
	check_one_of("child", "child");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_short_peak_is_not_missed),
	    cmocka_unit_test(nor_is_one_right_before_the_end),
	    cmocka_unit_test(nor_is_one_of_a_fork_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
