/* A report about the traces of a directory: whatever it leaves out is counted. */
#include "tests/unit/sample_trace.h"

#include "tools/cmd/tree_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/vmt-listing-XXXXXX";

static void
put_file(const char *name, const void *bytes, size_t length)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static int
set_up(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);

	(void)state;
	assert_non_null(mkdtemp(directory));
	put_file("a.vmt", build->bytes, build->length);
	put_file("b.vmt", build->bytes, build->length);
	put_file("c.vmt", build->bytes, build->length);
	put_file("d.vmt", "no trace", 8);
	put_file("e.txt", "no trace", 8);
	build_trace_free(build);
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"a.vmt", "b.vmt", "c.vmt", "d.vmt", "e.txt", "said"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	return rmdir(directory);
}

static char said[65536];

/* What it says as JSON. */
static void
list(size_t most, const char *top)
{
	char *const operands[] = {directory, NULL};
	char output[128];
	struct vmt_err err = {""};
	FILE *file;

	snprintf(output, sizeof(output), "%s/said", directory);
	assert_true(vmt_tree_report_is_for(operands, 1));
	assert_int_equal(vmt_tree_report_write(&(struct vmt_tree_report){.operands = operands,
									 .operand_count = 1,
									 .format = "json",
									 .output = output,
									 .top = top,
									 .most = most},
					       &err),
			 0);
	file = fopen(output, "re");
	assert_non_null(file);
	said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
	fclose(file);
}

static long
number_of(const char *key)
{
	const char *found = strstr(said, key);

	assert_non_null(found);
	return strtol(found + strlen(key), NULL, 10);
}

static size_t
traces(void)
{
	size_t count = 0;

	for (const char *at = said; (at = strstr(at, "\"command\":")) != NULL; at++)
		count++;
	return count;
}

static void
counts_what_is_no_trace(void **state)
{
	(void)state;
	list(100, "2");
	assert_int_equal(traces(), 2);
	assert_int_equal(number_of("\"unreadable\":"), 1);
	assert_int_equal(number_of("\"passed_over\":"), 0);
}

/* The file that is no trace counts by where it comes. */
static void
counts_what_it_has_no_room_for(void **state)
{
	(void)state;
	list(2, "100");
	assert_int_equal(traces(), 2);
	assert_int_equal(number_of("\"passed_over\":") + number_of("\"unreadable\":"), 2);
	assert_true(number_of("\"passed_over\":") > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_what_is_no_trace),
	    cmocka_unit_test(counts_what_it_has_no_room_for),
	};

	return cmocka_run_group_tests_name("tree_report", tests, set_up, tear_down);
}
