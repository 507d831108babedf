/*
 * test_frames.c: does every frame of a report say which function it is, and where it stands?
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>

struct expected {
	const char *start; /* of the function's name */
	const char *end;
	bool inlined;
};

/* As tests/target/cxx_frames.cc prints their lines. */
static const struct expected cxx_frames[] = {
    {"storage::pool<long, 25000>::grab", "grab", false},
    {"storage::sum::operator+=", "operator+=", false},
    {"storage::inner", "inner", true},
    {"storage::outer", "outer", true},
    {"storage::(anonymous namespace)::nest::pass", "nest::pass", true},
    {"storage::derived::fill", "fill", false},
    {"storage::run(", "::operator()", false},
    {"storage::run", "run", false},
    {"main", "main", false},
};

static bool
ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static void
check_frame(json_t *frame, const struct expected *expected, int64_t line)
{
	const char *function = json_string_value(member(frame, "function"));
	const char *file = json_string_value(member(frame, "file"));
	const char *module = json_string_value(member(frame, "module"));

	assert_non_null(function);
	if (strncmp(function, expected->start, strlen(expected->start)) != 0 ||
	    !ends_with(function, expected->end))
		fail_msg("%s where %s ... %s was expected", function, expected->start,
			 expected->end);
	if (file == NULL || !ends_with(file, "/cxx_frames.cc"))
		fail_msg("%s: file %s", function, file);
	if (module == NULL || !ends_with(module, "/cxx_frames"))
		fail_msg("%s: module %s", function, module);
	assert_int_equal(number(frame, "line"), line);
	assert_int_equal(json_is_true(member(frame, "inlined")), expected->inlined);
}

static void
test_cxx(void **state)
{
	static const char *const walkers[] = {"cfi", "libunwind"};
	const char *trace = scratch_file("cxx_frames.vmt");

	(void)state;
	for (int walker = 0; walker < 2; walker++) {
		struct run run;

		record(&run, trace,
		       (const char *const[]){"--malloc", "all", "--stacks", walkers[walker], NULL},
		       (const char *const[]){built("tests/target/cxx_frames"), NULL});
		assert_int_equal(run.exit_status, 0);
		json_t *lines = json_loads(run.out, 0, NULL);
		json_t *root = report(trace, NULL);
		json_t *site = find_site(root, "malloc", cxx_frames[0].start, 1);

		assert_non_null(lines);
		assert_non_null(site);
		assert_int_equal(number(site, "total_reserved_bytes"), 200000);
		for (size_t i = 0; i < sizeof(cxx_frames) / sizeof(cxx_frames[0]); i++)
			check_frame(json_array_get(member(site, "frames"), i), &cxx_frames[i],
				    json_integer_value(json_array_get(lines, i)));
		json_decref(root);
		json_decref(lines);
		run_free(&run);
	}
}

/* A whole program: whatever is in its own file has a name and a line; what is in libraries has at
 * least its module. Nothing of the tracer stands in any stack. */
static void
test_every_frame(void **state)
{
	const char *trace = scratch_file("cxx_threads.vmt");
	struct run run;
	json_t *site;
	json_t *frame;
	size_t i;
	size_t j;
	size_t own = 0;

	(void)state;
	record(&run, trace, (const char *const[]){"--malloc", "all", NULL},
	       (const char *const[]){built("tests/target/cxx_threads"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	json_t *root = report(trace, NULL);

	json_array_foreach(member(root, "sites"), i, site)
	{
		json_array_foreach(member(site, "frames"), j, frame)
		{
			const char *module = json_string_value(member(frame, "module"));
			const char *function = json_string_value(member(frame, "function"));

			assert_non_null(module);
			assert_false(ends_with(module, "libvmtrace.so"));
			if (function != NULL)
				assert_int_not_equal(strncmp(function, "_Z", 2), 0);
			if (!ends_with(module, "/cxx_threads"))
				continue;
			assert_non_null(function);
			own++;
			if (strcmp(function, "_start") != 0)
				assert_true(number(frame, "line") > 0);
		}
	}
	assert_true(own > 20);
	json_decref(root);
}

/* With --stacks checked each remembered walk is compared with a full one; the first that differs
 * ends the recording, with a message. */
static void
test_remembered(void **state)
{
	const char *trace = scratch_file("remembered.vmt");
	const char *const programs[][4] = {
	    {built("tests/target/cxx_unwinding"), NULL},
	    {built("tests/target/cxx_threads"), NULL},
	    {"/usr/bin/python3", "-c", "import json; json.dumps([str(i) for i in range(9999)])",
	     NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		struct run run;
		json_t *site;
		size_t j;
		int64_t calls = 0;

		record(&run, trace,
		       (const char *const[]){"--malloc", "all", "--stacks", "checked", "--verbose",
					     NULL},
		       programs[i]);
		assert_int_equal(run.exit_status, 0);
		if (says(run.err, "full walk") != NULL)
			fail_msg("%s: %s", programs[i][0], run.err);
		run_free(&run);
		json_t *root = report(trace, NULL);

		assert_string_equal(json_string_value(member(member(root, "process"), "end")),
				    "exit");
		json_array_foreach(member(root, "sites"), j, site) calls += number(site, "count");
		assert_true(calls > 100);
		json_decref(root);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cxx),
	    cmocka_unit_test(test_every_frame),
	    cmocka_unit_test(test_remembered),
	};

	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
