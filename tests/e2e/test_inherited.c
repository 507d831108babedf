/*
 * test_inherited.c: does a fork child's report tell what it has of its parent from what is its own?
 *
 * tests/target/forked_heap saves a heap as databases do. The parent's blocks and mappings are
 * neither the child's free memory nor its mappings; what the child touches of shared memory is not
 * missing in its parent.
 */
#include "tests/e2e/living.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *
first_lines(const char *pattern, int64_t pid)
{
	char name[32];
	char *text = NULL;
	glob_t found;

	snprintf(name, sizeof(name), ".%lld.vmt", (long long)pid);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *const argv[] = {built("vmtrace"), "report", "--at=end",
					    found.gl_pathv[i], NULL};
		const char *const wide[] = {"COLUMNS=600", NULL};
		struct run run;

		if (!strstr(found.gl_pathv[i], name))
			continue;
		run_program(&run, argv, wide);
		assert_int_equal(run.exit_status, 0);
		text = strndup(run.out, strcspn(run.out, "\n"));
		run_free(&run);
	}
	globfree(&found);
	assert_non_null(text);
	return text;
}

/* The pid of the process that has said its line and waits, once a snapshot of it is taken. */
static int64_t
look_at(struct conversation *talk, const char *output)
{
	char trace[PATH_MAX];

	converse_read_line(talk);
	json_t *said = json_loads(talk->line, 0, NULL);

	assert_non_null(said);
	int64_t pid = number(said, "pid");

	snprintf(trace, sizeof(trace), "%.*s.%lld.vmt", (int)(strstr(output, ".%p") - output),
		 output, (long long)pid);
	living_snapshot(trace);
	json_decref(said);
	return pid;
}

static void
check_heir(const char *mode, const char *allocator)
{
	const int64_t mib = 1 << 20;
	const int64_t own = 40000 * 100;
	/* Three deviations of the estimate: 3 * sqrt(64 KiB * own). */
	const int64_t error = strcmp(mode, "all") == 0 ? 64 << 10 : 1536000;
	static struct conversation talk;
	char pattern[PATH_MAX];
	char output[PATH_MAX];
	const char *const argv[] = {built("vmtrace"),
				    "record",
				    "--malloc",
				    mode,
				    "-o",
				    output,
				    "--",
				    built("tests/target/forked_heap"),
				    NULL};

	snprintf(pattern, sizeof(pattern), "%s", scratch_file("heir.*.vmt"));
	snprintf(output, sizeof(output), "%s", scratch_file("heir.%p.vmt"));
	converse_start(&talk, argv,
		       allocator ? (const char *const[]){variable("LD_PRELOAD", allocator), NULL}
				 : NULL);
	int64_t child_pid = look_at(&talk, output);

	assert_int_equal(write(talk.to, "\n", 1), 1);
	int64_t parent_pid = look_at(&talk, output);

	assert_int_equal(converse_end(&talk), 0);
	json_t *child = report_of_pid(pattern, child_pid);
	char *of_child = first_lines(pattern, child_pid);
	char *of_parent = first_lines(pattern, parent_pid);

	check_report(child);
	assert_in_range(class_committed(child, "malloc live"), own - error, own + error);
	/* 8 MiB of mmap; blocks of 100 bytes with what the allocators add, a tenth of them freed;
	 * tables that allocators make. The child's blocks may lie there. */
	assert_in_range(class_committed(child, "inherited at fork") +
			    class_committed(child, "malloc live") +
			    class_committed(child, "malloc retained"),
			8 * mib + 200000 * 100 + own, 8 * mib + 200000 * 130 + 2 * own + 4 * mib);
	assert_in_range(class_committed(child, "malloc retained"), 0, 3 * mib);
	assert_int_equal(class_committed(child, "mmap"), 0);
	if (!strstr(of_child, " inherited from the parent at fork (") ||
	    strstr(of_child, "without a stack"))
		fail_msg("%s", of_child);
	/* The child has all of it in RAM. */
	if (!strstr(of_parent, "64 MiB shared memory (") || strstr(of_parent, "touched") ||
	    strstr(of_parent, "not in RAM") || !strstr(of_parent, "by map_shared forked_heap.c:"))
		fail_msg("%s", of_parent);
	free(of_child);
	free(of_parent);
	json_decref(child);
}

/* What a fork child has of its parent is neither its own free memory nor its mappings. */
static void
an_heir_knows_what_it_has_of_its_parent(void **state)
{
	static const char *const jemalloc = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";

	(void)state;
	assert_int_equal(access(jemalloc, R_OK), 0);
	check_heir("all", NULL);
	check_heir("sampled", NULL);
	check_heir("all", jemalloc);
	check_heir("sampled", jemalloc);
}

/* By the traces of the heirs before: a row for the mappings, one for the blocks, one for the shared
 * memory. */
static void
the_largest_of_what_is_inherited_comes_first(void **state)
{
	const char *const argv[] = {built("vmtrace"), "report", scratch(), "-f", "json", NULL};
	unsigned compared = 0;
	struct run run;
	size_t i, j;
	json_t *root, *process, *row;

	(void)state;
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	root = json_loads(run.out, 0, NULL);
	assert_non_null(root);
	json_array_foreach(member(root, "traces"), i, process)
	{
		int64_t last = INT64_MAX;

		json_array_foreach(json_object_get(process, "inherited"), j, row)
		{
			assert_true(number(row, "committed_bytes") <= last);
			last = number(row, "committed_bytes");
			compared += j > 0;
		}
	}
	assert_true(compared > 0);
	json_decref(root);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_heir_knows_what_it_has_of_its_parent),
	    cmocka_unit_test(the_largest_of_what_is_inherited_comes_first),
	};

	return cmocka_run_group_tests_name("inherited", tests, NULL, NULL);
}
