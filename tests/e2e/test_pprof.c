/*
 * test_pprof.c: does `go tool pprof` say what the report says?
 *
 * Totals of each metric and of each class; what users ask it for first.
 */
#include "tests/e2e/exports.h"
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_MS 120000

#define GO GO_PPROF

static const char *const *traces;
static const struct exports_subject *subjects;

static int
record_all(void **state)
{
	(void)state;
	subjects = exports_subjects;
	traces = exports_record();
	return 0;
}

/* Of `pprof -raw`: a line of values, and one of labels, for each sample. */
static void
add_sample(const char *values, const char *labels, const char *class,
	   uint64_t sums[EXPORTS_METRICS], uint64_t of_class[EXPORTS_METRICS])
{
	char label[256];
	char *end = NULL;

	snprintf(label, sizeof(label), "class:[%s]", class);
	for (size_t i = 0; i < EXPORTS_METRICS; i++) {
		uint64_t value = strtoull(values, &end, 10);

		assert_ptr_not_equal(end, values);
		values = end;
		sums[i] += value;
		if (strstr(labels, label))
			of_class[i] += value;
	}
	assert_int_equal(*end, ':');
}

/* Adds up the samples: of all, and of one class. Changes the text. */
static size_t
add_samples(const char *raw, const char *class, uint64_t sums[EXPORTS_METRICS],
	    uint64_t of_class[EXPORTS_METRICS])
{
	const char *at = strstr(raw, "\nSamples:\n");
	const char *end = strstr(raw, "\nLocations\n");
	size_t samples = 0;

	assert_non_null(at);
	assert_non_null(end);
	at = strchr(at + 10, '\n') + 1; /* after the metrics' names */
	memset(sums, 0, EXPORTS_METRICS * sizeof(*sums));
	memset(of_class, 0, EXPORTS_METRICS * sizeof(*of_class));
	while (at < end) {
		const char *labels = strchr(at, '\n') + 1;
		const char *next = strchr(labels, '\n') + 1;
		char line[4096];

		snprintf(line, sizeof(line), "%.*s", (int)(next - labels), labels);
		add_sample(at, line, class, sums, of_class);
		samples++;
		at = next;
	}
	return samples;
}

static void
check_classes(json_t *root, const char *raw, const char *what)
{
	json_t *classes = json_object_get(root, "classes");

	for (size_t i = 0; i < json_array_size(classes); i++) {
		json_t *class = json_array_get(classes, i);
		const char *name = json_string_value(json_object_get(class, "name"));
		uint64_t sums[EXPORTS_METRICS];
		uint64_t of_class[EXPORTS_METRICS];

		add_samples(raw, name, sums, of_class);
		print_message("%s %s: %ju\n", what, name, (uintmax_t)of_class[6]);
		assert_int_equal(of_class[3],
				 json_integer_value(json_object_get(class, "reserved_bytes")));
		assert_int_equal(of_class[5],
				 json_integer_value(json_object_get(class, "swapped_bytes")));
		assert_int_equal(of_class[6],
				 json_integer_value(json_object_get(class, "committed_bytes")));
	}
}

static void
check_pprof(const char *trace, const char *what)
{
	const char *path = scratch_file("profile.pb.gz");
	json_t *root = report(trace, NULL);
	uint64_t totals[EXPORTS_METRICS];
	uint64_t sums[EXPORTS_METRICS];
	uint64_t of_class[EXPORTS_METRICS];
	struct run run;

	exports_expect(root, totals);
	exports_write(trace, "pprof", path, NULL, NULL);
	go_pprof(&run, GO, (const char *const[]){"-raw", path, NULL});
	assert_true(add_samples(run.out, "", sums, of_class) > 3);
	for (size_t i = 0; i < EXPORTS_METRICS; i++)
		if (sums[i] != totals[i])
			fail_msg("%s: %s is %ju, not %ju", what, exports_metrics[i],
				 (uintmax_t)sums[i], (uintmax_t)totals[i]);
	check_classes(root, run.out, what);
	run_free(&run);
	json_decref(root);
}

static void
test_sums_are_the_reports(void **state)
{
	(void)state;
	go_need(GO);
	for (size_t i = 0; i < EXPORTS_SUBJECTS; i++)
		check_pprof(traces[i], subjects[i].target);
}

static void
test_sums_of_a_go_program_are_the_reports(void **state)
{
	const char *trace = scratch_file("go.vmt");
	struct run run;

	(void)state;
	go_need(GO);
	go_run(&run, trace, go_program(GO, "advise", "", NULL), NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	check_pprof(trace, "Go");
}

static void
expect_line(const char *text, const char *number, const char *name)
{
	const char *at = text;

	while ((at = strstr(at, number)) != NULL) {
		const char *end = strchr(at + 1, '\n');
		size_t length = end ? (size_t)(end - at) : strlen(at);

		if (length >= strlen(name) &&
		    strncmp(at + length - strlen(name), name, strlen(name)) == 0)
			return;
		at += strlen(number);
	}
	fail_msg("no line with %s and %s in:\n%s", number, name, text);
}

/* What a user asks of pprof first. */
static void
test_top_and_tagroot(void **state)
{
	const char *path = scratch_file("demo.pb.gz");
	json_t *root = report(traces[0], NULL);
	json_t *classes = json_object_get(root, "classes");
	char number[64];
	struct run run;

	(void)state;
	go_need(GO);
	exports_write(traces[0], "pprof", path, NULL, NULL);
	go_pprof(&run, GO, (const char *const[]){"-top", "-unit=B", path, NULL});
	assert_non_null(says(run.out, "Type: committed_space\n"));
	assert_non_null(says(run.out, "\nRSS "));
	assert_non_null(says(run.out, "sampled: their figures are unbiased estimates"));
	snprintf(number, sizeof(number), "Total samples = %jdB",
		 (intmax_t)json_integer_value(
		     json_object_get(json_object_get(root, "snapshot"), "rss_bytes")));
	assert_non_null(says(run.out, number));
	expect_line(run.out, " 67108864B", " arena_grow");
	run_free(&run);
	go_pprof(&run, GO,
		 (const char *const[]){"-top", "-unit=B", "-nodefraction=0", "-tagroot=class", path,
				       NULL});
	for (size_t i = 0; i < json_array_size(classes); i++) {
		json_t *class = json_array_get(classes, i);

		snprintf(number, sizeof(number), " %jdB",
			 (intmax_t)json_integer_value(json_object_get(class, "committed_bytes")));
		expect_line(run.out, number, json_string_value(json_object_get(class, "name")));
	}
	run_free(&run);
	go_pprof(&run, GO,
		 (const char *const[]){"-top", "-unit=B", "-sample_index=inuse_space", path, NULL});
	expect_line(run.out, "1073741824B", " arena_grow");
	run_free(&run);
	json_decref(root);
}

static void
export_demo(const char *argument, const char *path)
{
	const char *trace = scratch_file("demo.vmt");
	struct run run;

	record(&run, trace, NULL,
	       (const char *const[]){built("tests/target/diff_demo"), argument, NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	exports_write(trace, "pprof", path, NULL, NULL);
}

/* The addresses of one run are not those of the other, and rows are found again all the same. */
static void
test_two_are_compared(void **state)
{
	const char *a = scratch_file("a.pb.gz");
	const char *b = scratch_file("b.pb.gz");
	struct run run;

	(void)state;
	go_need(GO);
	export_demo("base", a);
	export_demo("move", b);
	go_pprof(
	    &run, GO,
	    (const char *const[]){"-top", "-unit=B", "-nodefraction=0", "-diff_base", a, b, NULL});
	expect_line(run.out, "\n-67108864B", " reserve_arena");
	expect_line(run.out, "\n 67108864B", " reserve_index");
	run_free(&run);
	go_pprof(&run, GO, (const char *const[]){"-top", "-diff_base", a, a, NULL});
	assert_non_null(says(run.out, "nodes accounting for 0,"));
	run_free(&run);
}

/* The main program is the first mapping, with its build-id; lines and files are named. */
static void
test_code_is_named(void **state)
{
	const char *path = scratch_file("demo.pb.gz");
	const char *mapping;
	struct run run;

	(void)state;
	go_need(GO);
	exports_write(traces[0], "pprof", path, NULL, NULL);
	go_pprof(&run, GO, (const char *const[]){"-raw", path, NULL});
	mapping = says(run.out, "\nMappings\n1: 0x");
	assert_non_null(mapping);
	mapping = strstr(mapping, "tests/target/cache_demo ");
	assert_non_null(mapping);
	assert_int_equal(strspn(mapping + strlen("tests/target/cache_demo "), "0123456789abcdef"),
			 40);
	assert_non_null(says(run.out, " M=1 arena_grow tests/target/cache_demo.c:20"));
	assert_non_null(says(run.out, "/libc.so.6 "));
	run_free(&run);
}

/* All pages of a server; false: it has ended. */
static bool
check_pages(pid_t server, const char *address)
{
	static const char *const pages[] = {"top", "flamegraph", "source?f=arena_grow"};
	int64_t deadline_ms = now_ms() + LIMIT_MS;

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		char url[128];
		struct run run;

		snprintf(url, sizeof(url), "http://%s/ui/%s", address, pages[i]);
		if (!exports_fetch(&run, server, url, deadline_ms))
			return false;
		assert_non_null(says(run.out, "arena_grow"));
		run_free(&run);
	}
	return true;
}

static void
test_pages_are_shown(void **state)
{
	const char *path = scratch_file("web.pb.gz");
	bool is_shown = false;

	(void)state;
	go_need(GO);
	exports_write(traces[0], "pprof", path, NULL, NULL);
	for (int i = 0; i < EXPORTS_TRIES && !is_shown; i++) {
		char address[64];

		snprintf(address, sizeof(address), "127.0.0.1:%u", exports_free_port());
		pid_t server = exports_serve((const char *const[]){
		    go_tool(GO, "pprof"), "-no_browser", "-http", address, path, NULL});

		is_shown = check_pages(server, address);
		if (is_shown)
			exports_stop(server);
	}
	assert_true(is_shown);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums_are_the_reports),
	    cmocka_unit_test(test_sums_of_a_go_program_are_the_reports),
	    cmocka_unit_test(test_top_and_tagroot),
	    cmocka_unit_test(test_two_are_compared),
	    cmocka_unit_test(test_code_is_named),
	    cmocka_unit_test(test_pages_are_shown),
	};

	return cmocka_run_group_tests(tests, record_all, NULL);
}
