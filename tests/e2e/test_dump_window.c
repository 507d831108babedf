/*
 * test_dump_window.c: does a part of a dump have exactly what the whole one has of its time?
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char trace[4096];

static int
make_trace(void **state)
{
	const char *const argv[] = {built("tests/target/cache_demo"), NULL};
	struct run run;

	(void)state;
	snprintf(trace, sizeof(trace), "%s", scratch_file("demo.vmt"));
	record(&run, trace, (const char *const[]){"--malloc", "all", NULL}, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return 0;
}

static void
dump_between(struct run *run, const char *from, const char *to)
{
	const char *const argv[] = {built("vmtrace"), "dump", "--format", "json", "--from", from,
				    "--to",	      to,     trace,	  NULL};

	run_program(run, argv, NULL);
}

/* Head, loss and end are no records of a time. */
static bool
is_record(const char *line)
{
	static const char *const others[] = {"head", "loss", "end"};
	const char *kind = strstr(line, "\"record\":\"");

	if (kind == NULL)
		return false;
	kind += strlen("\"record\":\"");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(kind, others[i], strlen(others[i])) == 0)
			return false;
	return true;
}

/* The whole dump's lines of that time, in their order. */
static char *
lines_within(const char *whole, long long from_ns, long long to_ns)
{
	char *lines = malloc(strlen(whole) + 1);
	char *end = lines;

	assert_non_null(lines);
	for (const char *line = whole; *line; line = strchr(line, '\n') + 1) {
		size_t length = (size_t)(strchr(line, '\n') - line) + 1;
		const char *time = strstr(line, "\"time_ns\":");
		long long time_ns;

		if (!time || time >= line + length || !is_record(line))
			continue;
		time_ns = strtoll(time + strlen("\"time_ns\":"), NULL, 10);
		if (time_ns < from_ns || time_ns > to_ns)
			continue;
		memcpy(end, line, length);
		end += length;
	}
	*end = '\0';
	return lines;
}

static long long
last_time_ns(const char *whole)
{
	long long last = 0;

	for (const char *at = whole; (at = strstr(at, "{\"time_ns\":")) != NULL; at++)
		last = strtoll(at + strlen("{\"time_ns\":"), NULL, 10);
	return last;
}

static void
a_part_is_what_the_whole_has_of_it(void **state)
{
	struct run whole;
	char *all;
	long long last;

	(void)state;
	run_program(
	    &whole,
	    (const char *const[]){built("vmtrace"), "dump", "--format", "json", trace, NULL}, NULL);
	assert_int_equal(whole.exit_status, 0);
	last = last_time_ns(whole.out);
	all = lines_within(whole.out, INT64_MIN, INT64_MAX);
	for (int part = 0; part < 5; part++) {
		long long from_us = last / 1000 * part / 6;
		long long to_us = last / 1000 * (part + 1) / 6;
		char from[32];
		char to[32];
		char *expected = lines_within(whole.out, from_us * 1000, to_us * 1000);
		char *found;
		struct run run;

		snprintf(from, sizeof(from), "%lld.%06llds", from_us / 1000000, from_us % 1000000);
		snprintf(to, sizeof(to), "%lld.%06llds", to_us / 1000000, to_us % 1000000);
		dump_between(&run, from, to);
		assert_int_equal(run.exit_status, 0);
		found = lines_within(run.out, INT64_MIN, INT64_MAX);
		assert_string_equal(found, expected);
		assert_true(strlen(found) < strlen(all));
		run_free(&run);
		free(found);
		free(expected);
	}
	free(all);
	run_free(&whole);
}

static void
times_that_are_none_are_refused(void **state)
{
	struct run run;

	(void)state;
	dump_between(&run, "yesterday", "1s");
	assert_int_equal(run.exit_status, 2);
	assert_non_null(strstr(run.err, "--from"));
	run_free(&run);
	dump_between(&run, "2s", "1s");
	assert_int_equal(run.exit_status, 2);
	assert_non_null(strstr(run.err, "later than"));
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_part_is_what_the_whole_has_of_it),
	    cmocka_unit_test(times_that_are_none_are_refused),
	};

	return cmocka_run_group_tests_name("dump window", tests, make_trace, NULL);
}
