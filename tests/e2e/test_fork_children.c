/*
 * test_fork_children.c: what is told of fork children that make no call that is recorded?
 *
 * They are seen from outside once they have lived for a second, each in a trace by its own name;
 * and brief ones that did nothing leave no file. Waits are for what stands in a trace.
 */
#include "tests/e2e/trees.h"

#include "format/head.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static bool
tells(json_t *root, const char *words)
{
	const json_t *spot;
	size_t i;

	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i, spot)
	{
		if (strstr(json_string_value(spot), words))
			return true;
	}
	return false;
}

/* A program with a child that makes no call that is recorded. */
struct silent {
	struct conversation talk;
	char directory[PATH_MAX];
	char parent[PATH_MAX + 64]; /* the parent's trace */
	char trace[PATH_MAX + 64];  /* of the child, should it get one */
	char later[PATH_MAX + 64];  /* one that the child makes by itself afterwards */
	int64_t child;
	int hold; /* the end of a pipe whose other end the program has */
};

/* Once the collector has come to the program's trace: it is asked about children from then on. */
static void
let_fork(struct silent *silent)
{
	char trace[PATH_MAX + 64];
	struct vmt_head head = {.pid = 0};
	int64_t deadline = now_ms() + 60000;
	int64_t pid;
	int fd;

	assert_int_equal(sscanf(silent->talk.line, "%" SCNd64, &pid), 1);
	snprintf(trace, sizeof(trace), "%s/s.%lld.vmt", silent->directory, (long long)pid);
	fd = open(trace, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	while (head.collector_pid_namespace == 0) {
		assert_true(now_ms() < deadline);
		usleep(1000);
		assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	}
	close(fd);
	assert_int_equal(write(silent->talk.to, "\n", 1), 1);
	converse_read_line(&silent->talk);
}

static void
silent_begin(struct silent *silent, const char *kind, bool bare)
{
	char output[PATH_MAX + 32];
	char descriptor[16];
	int64_t parent;
	int given;
	int ends[2];
	const char *name = scratch_file(kind);

	snprintf(silent->directory, sizeof(silent->directory), "%s%s", name, bare ? ".bare" : "");
	assert_int_equal(mkdir(silent->directory, 0700), 0);
	snprintf(output, sizeof(output), "%s/s.%%p.vmt", silent->directory);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	silent->hold = ends[1];
	given = fcntl(ends[0], F_DUPFD, 0);
	assert_true(given >= 0);
	close(ends[0]);
	snprintf(descriptor, sizeof(descriptor), "%d", given);
	if (bare)
		converse_start(&silent->talk,
			       (const char *const[]){built("tests/target/fork_silent"), kind,
						     descriptor, NULL},
			       preloaded(output));
	else
		converse_start(&silent->talk,
			       (const char *const[]){
				   built("vmtrace"), "record", "--malloc", "all", "-o", output,
				   "--", built("tests/target/fork_silent"), kind, descriptor, NULL},
			       NULL);
	close(given);
	converse_read_line(&silent->talk);
	if (strcmp(kind, "double") == 0)
		let_fork(silent);
	assert_int_equal(sscanf(silent->talk.line, "%" SCNd64 " %" SCNd64, &silent->child, &parent),
			 2);
	snprintf(silent->parent, sizeof(silent->parent), "%s/s.%lld.vmt", silent->directory,
		 (long long)parent);
	snprintf(silent->trace, sizeof(silent->trace), "%s/s.%lld.vmt", silent->directory,
		 (long long)silent->child);
	snprintf(silent->later, sizeof(silent->later), "%s/s.%lld.1.vmt", silent->directory,
		 (long long)silent->child);
}

static void
await_file(const char *path)
{
	int64_t deadline = now_ms() + 60000;

	while (access(path, F_OK) != 0) {
		assert_true(now_ms() < deadline);
		usleep(1000);
	}
}

/* But what it has of its own for a session. */
static size_t
count_traces(const struct silent *silent)
{
	char pattern[PATH_MAX + 16];
	glob_t found;
	size_t count = 0;

	snprintf(pattern, sizeof(pattern), "%s/*.vmt", silent->directory);
	if (glob(pattern, 0, NULL, &found) == 0)
		count = found.gl_pathc;
	globfree(&found);
	return count;
}

/* Until the collector of a bare preload has finished it. */
static void
await_end_of(const char *path)
{
	int64_t deadline = now_ms() + 60000;

	for (;;) {
		json_t *ends = dump(path, "end");
		size_t count = json_array_size(ends);

		json_decref(ends);
		if (count > 0)
			return;
		assert_true(now_ms() < deadline);
	}
}

static void
check_outside(const struct silent *silent, json_t *root)
{
	const int64_t mib = 1 << 20;

	check_report(root);
	assert_int_equal(number(member(root, "process"), "pid"), silent->child);
	assert_int_equal(site_sum(root, "mmap", "map_before", "committed_bytes"), 0);
	assert_in_range(class_committed(root, "inherited at fork"), 16 * mib, 17 * mib);
	assert_int_equal(number(member(root, "loss"), "events_missing"), 0);
	assert_true(tells(root, "observed from outside"));
	assert_true(tells(root, "neither has written"));
}

/* A child that makes no call that is recorded has a trace of what the kernel says of it, by its
 * own name, and an end. */
static void
check_silent_child(const char *kind, bool bare)
{
	struct silent silent;
	json_t *root;

	silent_begin(&silent, kind, bare);
	await_file(silent.trace);
	assert_int_equal(WEXITSTATUS(converse_end(&silent.talk)), 3);
	close(silent.hold);
	if (bare)
		await_end_of(silent.trace);
	assert_int_equal(count_traces(&silent), 2);
	root = report(silent.trace, NULL);
	check_outside(&silent, root);
	if (strcmp(json_string_value(member(member(root, "process"), "end")), "exit") == 0)
		assert_int_equal(number(member(root, "process"), "end_status"), 3);
	else /* a kernel that does not tell whoever is not the parent */
		assert_string_equal(json_string_value(member(member(root, "process"), "end")),
				    "cut");
	json_decref(root);
}

static void
test_silent_child(void **state)
{
	(void)state;
	check_silent_child("wait", false);
}

static void
test_silent_child_of_a_bare_preload(void **state)
{
	(void)state;
	check_silent_child("wait", true);
}

/* A child that does nothing but fork has no trace; its own child has, as its parent's would. */
static void
test_silent_grandchild(void **state)
{
	(void)state;
	check_silent_child("double", false);
}

static void
test_silent_grandchild_of_a_bare_preload(void **state)
{
	(void)state;
	check_silent_child("double", true);
}

/* Its two traces are of one process, which counts once. */
static void
check_counted_once(const struct silent *silent)
{
	json_t *root = trees_list(silent->directory, "title");
	json_t *outside = trees_trace_of(root, silent->child);
	json_t *group;
	json_t *trace;
	size_t own = 0, forked = 0, i;

	json_array_foreach(member(root, "traces"), i, trace)
	{
		own += number(trace, "pid") == silent->child &&
		       json_is_null(member(trace, "continued"));
		if (!json_is_null(member(trace, "continued")))
			outside = trace;
	}
	assert_int_equal(own, 1);
	assert_string_equal(json_string_value(member(outside, "end")), "stopped");
	assert_non_null(strstr(silent->later, json_string_value(member(outside, "continued"))));
	assert_int_equal(number(json_array_get(member(root, "trees"), 0), "there"), 2);
	json_array_foreach(member(root, "groups"), i, group)
	{
		if (!json_is_true(member(group, "forked")))
			continue;
		forked++;
		assert_int_equal(number(group, "traces"), 1);
	}
	assert_int_equal(forked, 1);
	json_decref(root);
}

/* From its first call on it has a trace of its own, and the other says so. */
static void
test_silent_child_that_calls_later(void **state)
{
	struct silent silent;
	json_t *root;

	(void)state;
	silent_begin(&silent, "late", false);
	await_file(silent.trace);
	close(silent.talk.to);
	silent.talk.to = -1;
	await_file(silent.later);
	await_end_of(silent.trace);
	close(silent.hold);
	assert_int_equal(WEXITSTATUS(converse_end(&silent.talk)), 3);
	assert_int_equal(count_traces(&silent), 3);
	root = report(silent.trace, NULL);
	check_outside(&silent, root);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "stopped");
	assert_int_equal(number(member(root, "process"), "end_status"), 5);
	assert_true(json_is_null(member(member(root, "process"), "shortage")));
	json_decref(root);
	root = report(silent.later, NULL);
	check_report(root);
	assert_false(tells(root, "observed from outside"));
	assert_int_equal(site_sum(root, "mmap", "be_child", "reserved_bytes"), 5 * PAGE);
	json_decref(root);
	check_counted_once(&silent);
}

/* Until so much of the process's life is in its trace. */
static void
await_life(const char *path, int64_t nanoseconds)
{
	int64_t deadline = now_ms() + 60000;
	int64_t duration_ns = 0;

	while (duration_ns < nanoseconds) {
		json_t *root = report(path, NULL);

		duration_ns = number(member(root, "process"), "duration_ns");
		json_decref(root);
		assert_true(now_ms() < deadline);
	}
}

/* Neither what it executes nor one that has its parent's memory is a fork child. Until it executes
 * it is one: where this machine stops it for a tenth of a second, that has a trace too. */
static void
test_no_silent_children(void **state)
{
	static const struct {
		const char *kind;
		size_t traces;
		size_t most;
		int status;
	} expected[] = {{"exec", 2, 3, 0}, {"borrow", 1, 1, 3}};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct silent silent;

		silent_begin(&silent, expected[i].kind, false);
		close(silent.hold);
		await_life(silent.parent, INT64_C(1500000000));
		assert_int_equal(WEXITSTATUS(converse_end(&silent.talk)), expected[i].status);
		assert_in_range(count_traces(&silent), expected[i].traces, expected[i].most);
	}
}

/* No file stays of children that did nothing and were brief; of one that this machine stopped for a
 * second, one may. */
static void
test_brief_children_leave_nothing(void **state)
{
	const char *directory = scratch_file("brief");
	char output[PATH_MAX + 16];
	struct silent silent;
	struct run run;

	(void)state;
	assert_int_equal(mkdir(directory, 0700), 0);
	snprintf(output, sizeof(output), "%s/%%p.vmt", directory);
	snprintf(silent.directory, sizeof(silent.directory), "%s", directory);
	record(&run, output, NULL,
	       (const char *const[]){built("tests/target/fork_silent"), "brief", "200", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_in_range(count_traces(&silent), 1, 11);
}

/* What a report of a process that forked says of its children, and that of one that did not. */
static void
test_silent_children_are_told(void **state)
{
	const char *path = scratch_file("silent.vmt");
	struct run run;

	(void)state;
	record(&run, path, (const char *const[]){"--follow", "none", NULL},
	       (const char *const[]){built("tests/target/fork_share"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	json_t *root = report(path, NULL);

	assert_true(tells(root, "its fork children were not recorded"));
	json_decref(root);
	record(&run, path, NULL, (const char *const[]){built("tests/target/fork_share"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(path, NULL);
	assert_true(tells(root, "without call sites if it lived for a second"));
	json_decref(root);
	record(&run, path, NULL, (const char *const[]){"/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(path, NULL);
	assert_false(tells(root, "forked"));
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_silent_children_are_told),
	    cmocka_unit_test(test_silent_child),
	    cmocka_unit_test(test_silent_child_of_a_bare_preload),
	    cmocka_unit_test(test_silent_grandchild),
	    cmocka_unit_test(test_silent_grandchild_of_a_bare_preload),
	    cmocka_unit_test(test_silent_child_that_calls_later),
	    cmocka_unit_test(test_no_silent_children),
	    cmocka_unit_test(test_brief_children_leave_nothing),
	};

	return cmocka_run_group_tests_name("fork children", tests, NULL, NULL);
}
