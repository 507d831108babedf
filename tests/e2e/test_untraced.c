/*
 * test_untraced.c: is the memory of processes that have no trace of their own told of?
 *
 * Children that call nothing that is recorded end within a second. Each has a trace, as it had
 * memory of its own, or is told of in its parent's; and a sum says what is not in it.
 */
#include "tests/e2e/trees.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define CHILDREN 5

struct recorded {
	char directory[PATH_MAX];
	char *said; /* by `vmtrace record` */
	json_t *root;
	int64_t alone; /* what the kernel counted of the children */
	int64_t proportional;
};

static void
record_children(struct recorded *recorded, const char *name, const char *option,
		const char *const program[])
{
	char output[PATH_MAX + 32];
	const char *argv[16] = {built("vmtrace"), "record", "-o", output};
	size_t count = 4;
	struct run run;

	snprintf(recorded->directory, sizeof(recorded->directory), "%s", scratch_file(name));
	snprintf(output, sizeof(output), "%s/%%n.%%p.vmt", recorded->directory);
	assert_int_equal(mkdir(recorded->directory, 0700), 0);
	if (option)
		argv[count++] = option;
	argv[count++] = "--";
	argv[count++] = built("tests/target/fork_own");
	for (size_t i = 0; program[i]; i++)
		argv[count++] = program[i];
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s", run.err);
	assert_int_equal(
	    sscanf(run.out, "%" SCNd64 " %" SCNd64, &recorded->alone, &recorded->proportional), 2);
	recorded->said = strdup(run.err);
	assert_non_null(recorded->said);
	run_free(&run);
	recorded->root = trees_list(recorded->directory, "title");
}

static void
forget(struct recorded *recorded)
{
	json_decref(recorded->root);
	free(recorded->said);
}

static json_t *
only_tree(const struct recorded *recorded)
{
	json_t *trees = member(recorded->root, "trees");

	assert_int_equal(json_array_size(trees), 1);
	return json_array_get(trees, 0);
}

static char *
text_of(const struct recorded *recorded)
{
	struct run run;
	char *text;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "report", recorded->directory, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	text = strdup(run.out);
	run_free(&run);
	for (char *at = text; at && *at; at++)
		if (*at == '\n')
			*at = ' ';
	return text;
}

/* No child is lost, and no sum is said to be whole that is not. */
static void
check_all_told(const struct recorded *recorded)
{
	json_t *tree = only_tree(recorded);
	json_t *untraced = member(tree, "untraced");
	char *text = text_of(recorded);

	assert_int_equal(number(tree, "traces") + number(untraced, "told"), 1 + CHILDREN);
	assert_in_range(number(untraced, "there"), 0, number(untraced, "told"));
	if (number(untraced, "there") > 0) {
		assert_non_null(says(text, "without a trace"));
		assert_true(number(tree, "traces") == 1 || says(text, "At least about") ||
			    says(text, "RSS of "));
	}
	free(text);
}

/* Too little of their own for traces that are named early. */
static void
test_small(void **state)
{
	static const char *const kinds[] = {"fresh", "copied"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct recorded recorded;
		json_t *untraced;

		record_children(&recorded, kinds[i], NULL,
				(const char *const[]){"5", "500", kinds[i], "300", NULL});
		check_all_told(&recorded);
		untraced = member(only_tree(&recorded), "untraced");
		/* Beside a machine that is slow, they live for a second. */
		if (number(untraced, "there") == CHILDREN && number(untraced, "unread") == 0) {
			assert_in_range(number(untraced, "private_bytes"), recorded.alone * 9 / 10,
					recorded.alone * 11 / 10);
			assert_non_null(strstr(recorded.said, "5 processes without a trace"));
		}
		forget(&recorded);
	}
}

/* What the kernel counts, where the moment is that at which all had written; or at most that, and
 * then it is said to be the least. */
static void
check_sum(const struct recorded *recorded, json_t *tree)
{
	json_t *once = member(tree, "once_bytes");

	if (!json_is_integer(once) || number(tree, "there") < 1 + CHILDREN)
		return;
	assert_true(json_integer_value(once) < recorded->proportional * 11 / 10);
	if (!json_is_true(member(tree, "least")) &&
	    number(tree, "moment_rss_bytes") > recorded->alone)
		assert_true(json_integer_value(once) > recorded->proportional * 9 / 10);
}

/* Each is worth a trace, by what it has of its own, however it came to it. */
static void
test_large(void **state)
{
	static const char *const kinds[] = {"fresh", "copied"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char name[32];
		struct recorded recorded;
		json_t *tree;

		snprintf(name, sizeof(name), "large.%s", kinds[i]);
		record_children(&recorded, name, NULL,
				(const char *const[]){"5", "20480", kinds[i], "800", NULL});
		check_all_told(&recorded);
		tree = only_tree(&recorded);
		check_sum(&recorded, tree);
		forget(&recorded);
	}
}

/* A trace that is removed is of a process that had memory all the same. */
static void
test_removed(void **state)
{
	struct recorded recorded;

	(void)state;
	record_children(&recorded, "removed", "--max-files=1",
			(const char *const[]){"5", "20480", "fresh", "800", NULL});
	check_all_told(&recorded);
	assert_int_equal(number(only_tree(&recorded), "traces"), 1);
	assert_in_range(number(member(only_tree(&recorded), "untraced"), "told"), CHILDREN,
			CHILDREN);
	forget(&recorded);
}

/* A program that gives up its user can't reach this recording's collector: its processes have one
 * of their own, and their traces are counted, also where what was left running ends after them. */
static void
test_another_user(void **state)
{
	const char *const may_read[] = {
	    "setpriv", "--reuid",	 "65534", "--regid",
	    "65534",   "--clear-groups", "cat",	  built("libvmtrace.so"),
	    NULL};
	char directory[] = "/tmp/vmtrace-other-XXXXXX";
	char output[sizeof(directory) + 16];
	struct run run;
	bool is_told;

	(void)state;
	if (geteuid() != 0)
		skip();
	run_program(&run, may_read, NULL);
	if (run.exit_status != 0)
		skip();
	run_free(&run);
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chmod(directory, 01777), 0);
	snprintf(output, sizeof(output), "%s/%%n.%%p.vmt", directory);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-o", output, "--", "sh",
					  "-c",
					  "setpriv --reuid 65534 --regid 65534 --clear-groups "
					  "sh -c '/bin/ls / | /usr/bin/wc -l'; /bin/sleep .3 &",
					  NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	is_told = says(run.err, " of this tree were written without this collector");
	if (!is_told)
		print_error("%s", run.err);
	run_free(&run);
	run_program(&run, (const char *const[]){"rm", "-r", directory, NULL}, NULL);
	run_free(&run);
	assert_true(is_told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_small),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_removed),
	    cmocka_unit_test(test_another_user),
	};

	return cmocka_run_group_tests_name("untraced", tests, NULL, NULL);
}
