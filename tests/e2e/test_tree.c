/*
 * test_tree.c: is a whole tree of processes recorded by one collector, one trace an image?
 *
 * Shells, pipelines and worker pools run under the bare library. While they stand still, one single
 * collector is alive; afterwards every trace is readable and whole, and
 * the collector is gone with its session.
 */
#include "tests/e2e/living.h"

#include <dirent.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A directory of its own for the traces of one tree. */
static const char *
fresh_directory(const char *name)
{
	const char *directory = scratch_file(name);

	assert_int_equal(mkdir(directory, 0700), 0);
	return directory;
}

static void
start(struct conversation *talk, const char *directory, const char *const argv[])
{
	char output[4096];

	snprintf(output, sizeof(output), "%s/%%n.%%p.vmt", directory);
	converse_start(talk, argv, preloaded(output));
}

static glob_t
traces_of(const char *directory)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*.vmt", directory);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	return found;
}

/* The one that a trace of the tree names is alive, and it is the only one. */
static void
check_one_collector(const char *directory)
{
	char pattern[4096];

	snprintf(pattern, sizeof(pattern), "%s/*.vmt", directory);
	pid_t collector = living_collector(pattern);

	assert_int_equal(living_count_collectors(directory), 1);
	assert_int_equal(kill(collector, 0), 0);
}

/* A trace is empty while it is made. */
static bool
is_unseen(const char *trace)
{
	struct stat status;
	json_t *root;
	bool unseen;

	if (stat(trace, &status) != 0 || status.st_size == 0)
		return true;
	root = report(trace, NULL);
	unseen = !json_is_true(member(member(root, "snapshot"), "taken")) &&
		 strcmp(json_string_value(member(member(root, "process"), "end")), "running") == 0;
	json_decref(root);
	return unseen;
}

/* Until every process that runs has had a snapshot: the collector is slow on a busy machine. */
static void
wait_until_seen(const char *directory)
{
	int64_t deadline = now_ms() + 60000;
	bool unseen;

	do {
		glob_t traces = traces_of(directory);

		unseen = false;
		for (size_t i = 0; i < traces.gl_pathc && !unseen; i++)
			unseen = is_unseen(traces.gl_pathv[i]);
		globfree(&traces);
		assert_true(now_ms() < deadline);
	} while (unseen);
}

/* A process that ends sooner may be gone before the collector has a turn: its end waits 20 ms. */
#define SURELY_SEEN_NS 1000000000

/* Each ended well and was seen, or was replaced by another image, maybe before anyone looked. */
static void
check_traces(const char *directory, size_t at_least)
{
	glob_t traces = traces_of(directory);

	if (traces.gl_pathc < at_least)
		fail_msg("%zu traces", traces.gl_pathc);
	for (size_t i = 0; i < traces.gl_pathc; i++) {
		json_t *root = report(traces.gl_pathv[i], NULL);
		const char *end = json_string_value(member(member(root, "process"), "end"));

		check_report(root);
		if (strcmp(end, "exec") != 0) {
			assert_string_equal(end, "exit");
			if (!json_is_true(member(member(root, "snapshot"), "taken")) &&
			    number(member(root, "process"), "duration_ns") >= SURELY_SEEN_NS)
				fail_msg("%s: no snapshot", traces.gl_pathv[i]);
		}
		assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
		assert_int_equal(number(member(root, "loss"), "cut_bytes"), 0);
		json_decref(root);
	}
	globfree(&traces);
}

/* Nothing but traces may be left in the directory: no session file either. */
static void
check_nothing_else(const char *directory)
{
	DIR *listing = opendir(directory);
	struct dirent *entry;

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL) {
		const char *suffix = strrchr(entry->d_name, '.');

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    (suffix == NULL || strcmp(suffix, ".vmt") != 0))
			fail_msg("left behind: %s", entry->d_name);
	}
	closedir(listing);
}

/* `ready` stands in the pipe's last member's output when all of it runs. */
static void
test_pipeline(void **state)
{
	static struct conversation talk;
	const char *directory = fresh_directory("pipeline");

	(void)state;
	start(&talk, directory,
	      (const char *const[]){
		  "/bin/sh", "-c", "(echo ready; cat) | cat | (read line; echo $line; cat; exit 3)",
		  NULL});
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	check_one_collector(directory);
	wait_until_seen(directory);
	int status = converse_end(&talk);

	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	living_wait_gone(directory);
	/* The shell, two of its children, and two cats. Of a child that became a cat at once
	 * nothing is left: it held nothing of its own. */
	check_traces(directory, 4);
	check_nothing_else(directory);
}

/* The workers say their pids when they all live; each must have a trace of its own that knows what
 * it did. */
static void
pool(const char *directory, const char *method)
{
	static struct conversation talk;
	json_t *pid;
	size_t i;

	start(&talk, directory,
	      (const char *const[]){"python3", script_file("pool.py"), method, NULL});
	converse_read_line(&talk);
	json_t *pids = json_loads(talk.line, 0, NULL);

	assert_int_equal(json_array_size(pids), 4);
	check_one_collector(directory);
	wait_until_seen(directory);
	assert_int_equal(converse_end(&talk), 0);
	living_wait_gone(directory);
	check_traces(directory, 5);
	check_nothing_else(directory);
	json_array_foreach(pids, i, pid)
	{
		char pattern[4096];

		snprintf(pattern, sizeof(pattern), "%s/*.%lld.vmt", directory,
			 (long long)json_integer_value(pid));
		json_t *root = report_of_pid(pattern, json_integer_value(pid));

		assert_true(peak_rss(root) > 16 << 20);
		json_decref(root);
	}
	json_decref(pids);
}

static void
test_pool_of_forks(void **state)
{
	(void)state;
	pool(fresh_directory("forks"), "fork");
}

static void
test_pool_of_execs(void **state)
{
	(void)state;
	pool(fresh_directory("execs"), "spawn");
}

/* The parent leaves before its children: they are collected to their end all the same. */
static void
test_orphans(void **state)
{
	static struct conversation talk;
	const char *directory = fresh_directory("orphans");

	(void)state;
	start(&talk, directory,
	      (const char *const[]){
		  "/bin/sh", "-c",
		  "(exec 3<&0; (echo ready; cat <&3; echo late; exec sort /dev/null) & ) ; exit 0",
		  NULL});
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	check_one_collector(directory);
	wait_until_seen(directory);
	close(talk.to);
	talk.to = -1;
	converse_read_line(&talk);
	assert_string_equal(talk.line, "late");
	assert_int_equal(converse_end(&talk), 0);
	living_wait_gone(directory);
	check_traces(directory, 4);
	check_nothing_else(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pipeline),
	    cmocka_unit_test(test_pool_of_forks),
	    cmocka_unit_test(test_pool_of_execs),
	    cmocka_unit_test(test_orphans),
	};

	prefer_system_programs();
	return cmocka_run_group_tests_name("process tree", tests, NULL, NULL);
}
