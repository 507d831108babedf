/*
 * test_compiled.c: has code that a program compiles by itself the names that it wrote down?
 *
 * A made program that writes a map, or something else in its place, and the run times that are
 * installed here. The maps lie in /tmp, by pid; the tests remove them.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const no_options[] = {NULL};

static void
forget_map(long pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/perf-%ld.map.target", pid);
	unlink(path);
	snprintf(path, sizeof(path), "/tmp/perf-%ld.map", pid);
	if (unlink(path) != 0)
		rmdir(path);
}

/* Runs the made program to its end, beside `vmtrace record`. */
static void
record_mode(const char *mode, const char *trace)
{
	struct conversation talk;
	long pid = 0;

	converse_start(&talk,
		       (const char *[]){built("vmtrace"), "record", "-o", trace, "--",
					built("tests/target/compiled"), mode, NULL},
		       NULL);
	converse_read_line(&talk);
	assert_int_equal(sscanf(talk.line, "ready %ld", &pid), 1);
	assert_int_equal(converse_end(&talk), 0);
	forget_map(pid);
}

static json_t *
frame_named(json_t *site, const char *beginning)
{
	json_t *frame;
	size_t i;

	json_array_foreach(member(site, "frames"), i, frame)
	{
		const char *function = json_string_value(member(frame, "function"));

		if (function && strncmp(function, beginning, strlen(beginning)) == 0)
			return frame;
	}
	return NULL;
}

static bool
any_line_says(json_t *whole, const char *words)
{
	json_t *line;
	size_t i;

	json_array_foreach(member(member(whole, "coverage"), "blind_spots"), i, line)
	{
		if (strstr(json_string_value(line), words))
			return true;
	}
	return false;
}

/* Named by the last line, and that there was another one is said. */
static void
compiled_code_is_named_by_the_map(void **state)
{
	const char *trace = scratch_file("named.vmt");
	json_t *whole, *site, *frame;

	(void)state;
	record_mode("named", trace);
	whole = report(trace, no_options);
	site = find_site(whole, "mmap", "take_memory", 1);
	assert_non_null(site);
	frame = frame_named(site, "hot");
	assert_non_null(frame);
	assert_string_equal(json_string_value(member(frame, "function")), "hot (or other code)");
	assert_string_equal(json_string_value(member(frame, "file")), "/srv/app.js");
	assert_int_equal(number(frame, "line"), 12);
	assert_true(json_is_null(member(frame, "module")));
	assert_int_equal(number(member(whole, "trace"), "compiled_functions"), 2);
	assert_true(any_line_says(whole, "addresses of compiled code"));
	assert_non_null(frame_named(site, "main")); /* the stack goes on behind it */
	json_decref(whole);
}

/* Until a look at the map was written down that knows so many functions. The map is looked at with
 * each snapshot: one is asked for, as the next that is due may take seconds. */
static void
await_functions(const char *trace, int count)
{
	int64_t deadline_ms = now_ms() + 60000;

	while (now_ms() < deadline_ms) {
		const char *argv[] = {built("vmtrace"), "report", "--format", "json", trace, NULL};
		struct run run;
		json_t *whole;
		int known = -1;

		living_snapshot(trace);
		run_program(&run, argv, NULL);
		whole = json_loads(run.out, 0, NULL);
		if (whole)
			known = (int)number(member(whole, "trace"), "compiled_functions");
		json_decref(whole);
		run_free(&run);
		if (known >= count)
			return;
		usleep(10000);
	}
	fail_msg("the map was not copied");
}

/* One place, of three functions one after the other: each has what it took. */
static void
a_map_that_is_written_anew_names_each_at_its_time(void **state)
{
	static const char *const names[] = {"first_function", "second_function", "third_function"};
	const char *trace = scratch_file("anew.vmt");
	struct conversation talk;
	json_t *whole;
	long pid = 0;

	(void)state;
	converse_start(&talk,
		       (const char *[]){built("vmtrace"), "record", "-o", trace, "--",
					built("tests/target/compiled"), "anew", NULL},
		       NULL);
	for (int i = 0; i < 3; i++) {
		converse_read_line(&talk);
		assert_int_equal(sscanf(talk.line, "ready %ld", &pid), 1);
		await_functions(trace, i + 1);
		if (i < 2)
			assert_int_equal(write(talk.to, "\n", 1), 1);
	}
	assert_int_equal(converse_end(&talk), 0);
	forget_map(pid);
	whole = report(trace, no_options);
	for (int i = 0; i < 3; i++) {
		json_t *site;
		size_t row;
		int found = 0;

		json_array_foreach(member(whole, "sites"), row, site)
		{
			if (!frame_named(site, names[i]))
				continue;
			assert_int_equal(number(site, "total_reserved_bytes"), 1 << (20 + i));
			found++;
		}
		assert_int_equal(found, 1);
	}
	assert_int_equal(number(member(whole, "trace"), "compiled_functions"), 3);
	json_decref(whole);
}

/* The recording and the program come to their ends, and nothing is taken from there. */
static void
what_is_no_map_costs_names_alone(void **state)
{
	static const char *const modes[] = {"silent", "link", "fifo", "directory"};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		const char *trace = scratch_file("other.vmt");
		json_t *whole, *site;

		record_mode(modes[i], trace);
		whole = report(trace, no_options);
		site = find_site(whole, "mmap", "take_memory", 1);
		assert_non_null(site);
		assert_null(frame_named(site, "hot"));
		assert_int_equal(number(member(whole, "trace"), "compiled_functions"), 0);
		assert_int_equal(number(member(whole, "loss"), "chunks_unknown"), 0);
		json_decref(whole);
	}
}

static const char *const script =
    "const kept = [];"
    "function hot(n) { for (let i = 0; i < n; i++) kept.push(Buffer.alloc(1 << 20, 1)); "
    "return kept.length; }"
    "function outer() { return hot(8); }"
    "for (let i = 0; i < 8; i++) outer();";

/* V8 compiles each function at its first call. JavaScript's functions have names with the flag, and
 * the report names the flag without. */
static void
node_functions_have_names_with_the_flag(void **state)
{
	const char *trace = scratch_file("node.vmt");
	const char *file = scratch_file("hot.js");
	char logfile[4096];
	FILE *out;

	(void)state;
	snprintf(logfile, sizeof(logfile), "--logfile=%s", scratch_file("v8.log"));
	prefer_system_programs();
	need_program("node");
	out = fopen(file, "w");
	assert_non_null(out);
	fputs(script, out);
	fclose(out);
	for (int flag = 0; flag < 2; flag++) {
		const char *const with[] = {"node",
					    "--always-sparkplug",
					    "--perf-basic-prof",
					    "--no-logfile-per-isolate",
					    logfile,
					    file,
					    NULL};
		const char *const without[] = {"node", "--always-sparkplug", file, NULL};
		const char *const options[] = {"--malloc", "all", NULL};
		json_t *whole;
		struct run run;
		char *text;

		record(&run, trace, options, flag ? with : without);
		assert_int_equal(run.exit_status, 0);
		run_free(&run);
		whole = report(trace, no_options);
		text = json_dumps(whole, 0);
		forget_map((long)number(member(whole, "process"), "pid"));
		assert_int_equal(strstr(text, "\"hot\"") || strstr(text, "\"hot ("), flag);
		assert_int_equal(strstr(text, "hot.js") && strstr(text, "\"outer"), flag);
		assert_int_equal(any_line_says(whole, "--perf-basic-prof"), !flag);
		assert_int_equal(number(member(whole, "trace"), "compiled_functions") > 0, flag);
		free(text);
		json_decref(whole);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(compiled_code_is_named_by_the_map),
	    cmocka_unit_test(a_map_that_is_written_anew_names_each_at_its_time),
	    cmocka_unit_test(what_is_no_map_costs_names_alone),
	    cmocka_unit_test(node_functions_have_names_with_the_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
