/* A report about the traces of a directory: whatever it leaves out is counted. */
#include "tests/unit/sample_trace.h"

#include "tools/cmd/tree_report.h"
#include "tools/model/tree/tree_build.h"
#include "tools/render/tree_text.h"

#include <signal.h>
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

/* A process that SIGKILL ended, while so many kills were counted in its cgroup. */
static int
killed_trace(char path[BUILD_PATH_BYTES], uint64_t kills)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_usage usages[2];
	int fd;

	memset(usages, 0xff, sizeof(usages));
	for (uint64_t i = 0; i < 2; i++) {
		usages[i].time = usages[i].monotonic_ns = BUILD_START + 1000 * (i + 1);
		usages[i].rss_bytes = 8 << 20;
		usages[i].cgroup_oom_kills = 3 + i * kills;
	}
	build_trace_usage(build, usages, 2);
	build_trace_end(build, VMT_END_SIGNAL, SIGKILL, BUILD_START + 5000);
	fd = build_trace_memfd(build, path);
	build_trace_free(build);
	return fd;
}

static void
names_who_the_oom_killer_ended(void **state)
{
	(void)state;
	for (uint64_t kills = 0; kills < 2; kills++) {
		struct vmt_tree_options options = {.group_by = VMT_TREE_BY_TITLE};
		char path[BUILD_PATH_BYTES];
		int fd = killed_trace(path, kills);
		struct vmt_tree_file file = {path, path};
		struct vmt_err err = {""};
		struct vmt_tree *tree;
		FILE *out = fmemopen(said, sizeof(said), "w");

		assert_non_null(out);
		assert_int_equal(vmt_tree_build(&tree, &file, 1, &options, &err), 0);
		assert_string_equal(tree->processes[0].end, kills ? "oom" : "signal");
		vmt_tree_text_print(tree, &(struct vmt_tree_text_options){
					      .layout = {.out = out, .columns = 1000}, .top = 10});
		fclose(out);
		assert_int_equal(strstr(said, "  oom  ") != NULL, kills);
		assert_int_equal(strstr(said, "  signal  ") != NULL, !kills);
		vmt_tree_free(tree);
		close(fd);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_what_is_no_trace),
	    cmocka_unit_test(names_who_the_oom_killer_ended),
	    cmocka_unit_test(counts_what_it_has_no_room_for),
	};

	return cmocka_run_group_tests_name("tree_report", tests, set_up, tear_down);
}
