/*
 * test_trees.c: is what a tree of processes has in RAM together what the kernel says?
 *
 * Trees are recorded, stopped (SIGSTOP all) and looked at. Their sum of Pss is then read apart from
 * smaps_rollup, and, by root, the number of page frames that they map.
 */
#include "tests/e2e/trees.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A figure of smaps_rollup, of all processes. */
static int64_t
sum_of(const struct tree *tree, const char *key)
{
	int64_t bytes = 0;

	for (size_t i = 0; i < tree->count; i++) {
		char path[64], line[256];

		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)tree->pids[i]);
		FILE *file = fopen(path, "r");

		assert_non_null(file);
		while (fgets(line, sizeof(line), file))
			if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
				bytes += 1024 * strtoll(line + strlen(key) + 1, NULL, 10);
		fclose(file);
	}
	return bytes;
}

/* By page frames; 0 where they are not shown. */
static int64_t
frames_of(const struct tree *tree)
{
	const char *argv[20] = {"python3", script_file("pages_once.py")};
	char words[16][16];
	struct run run;

	for (size_t i = 0; i < tree->count; i++) {
		snprintf(words[i], sizeof(words[i]), "%d", (int)tree->pids[i]);
		argv[2 + i] = words[i];
	}
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s", run.err);
	int64_t bytes = strtoll(run.out, NULL, 10);

	run_free(&run);
	return bytes;
}

struct sums {
	int64_t rss, proportional, alone, frames;
};

static struct sums
sums_of(const struct tree *tree)
{
	return (struct sums){
	    .rss = sum_of(tree, "Rss"),
	    .proportional = sum_of(tree, "Pss"),
	    .alone = sum_of(tree, "Private_Clean") + sum_of(tree, "Private_Dirty"),
	    .frames = frames_of(tree),
	};
}

static bool
is_near(int64_t told, int64_t truth)
{
	return llabs(told - truth) <= truth / 100;
}

/* By the kernel and by us. Of the frames only root is told. */
static bool
are_near(json_t *row, const struct sums *sums)
{
	return is_near(number(row, "rss_bytes"), sums->rss) &&
	       is_near(number(row, "proportional_bytes"), sums->proportional) &&
	       is_near(number(row, "private_bytes"), sums->alone) &&
	       is_near(number(row, "once_bytes") - number(row, "outside_bytes"),
		       sums->proportional) &&
	       (sums->frames == 0 || is_near(number(row, "once_bytes"), sums->frames));
}

/* Looks at a stopped tree. It shares pages of files with programs that come and go, between our
 * look and the kernel's as well: looks again until both agree, a minute at most. */
static json_t *
look_until_near(const struct tree *tree)
{
	int64_t deadline = now_ms() + TREES_LIMIT_MS;

	for (;;) {
		trees_look(tree);
		json_t *root = trees_list(tree->directory, "title");
		json_t *row = json_array_get(member(root, "trees"), 0);
		struct sums sums = sums_of(tree);

		if (are_near(row, &sums))
			return root;
		if (now_ms() > deadline)
			fail_msg("RSS %lld, Pss %lld, private %lld, frames %lld: %s",
				 (long long)sums.rss, (long long)sums.proportional,
				 (long long)sums.alone, (long long)sums.frames,
				 json_dumps(row, JSON_COMPACT));
		json_decref(root);
	}
}

static void
check_row(const struct tree *tree, json_t *root)
{
	json_t *row = json_array_get(member(root, "trees"), 0);

	assert_int_equal(json_array_size(member(root, "trees")), 1);
	assert_int_equal(number(row, "there"), (int64_t)tree->count);
	assert_int_equal(number(row, "unseen"), 0);
	assert_true(json_is_true(member(row, "live")));
	/* On a busy machine more than a second may pass from the first snapshot to the last. */
	assert_int_equal(json_is_true(member(row, "estimate")),
			 number(row, "skew_ns") > 1000000000);
}

/* Nothing is looked at any more, and the moment goes on. */
static void
check_old_snapshots(const struct tree *tree)
{
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	json_t *root = NULL;
	json_t *row;

	do {
		assert_true(now_ms() < deadline);
		json_decref(root);
		poll(NULL, 0, 10);
		root = trees_list(tree->directory, "title");
		row = json_array_get(member(root, "trees"), 0);
	} while (number(row, "skew_ns") <= 1000000000);
	check_row(tree, root);
	json_decref(root);
}

static void
check_stopped(struct tree *tree)
{
	trees_stop(tree);
	json_t *root = look_until_near(tree);

	check_row(tree, root);
	check_old_snapshots(tree);
	for (size_t i = 1; i < tree->count; i++) {
		json_t *child = trees_trace_of(root, tree->pids[i]);

		assert_int_equal(number(child, "parent_pid"), tree->pids[0]);
		assert_string_equal(json_string_value(member(child, "origin")), "fork");
		assert_string_equal(
		    json_string_value(member(child, "parent")),
		    json_string_value(member(trees_trace_of(root, tree->pids[0]), "name")));
	}
	json_decref(root);
	trees_go_on(tree);
}

/* Of one of the workers, its cache belongs to the call site of its parent. */
static void
check_inherited(const struct tree *tree, json_t *root)
{
	const char *parent = json_string_value(member(trees_trace_of(root, tree->pids[0]), "name"));
	json_t *trace;
	size_t explained = 0;
	size_t i;

	json_array_foreach(member(root, "traces"), i, trace)
	{
		json_t *part = json_array_get(member(trace, "inherited"), 0);

		if (!part)
			continue;
		explained++;
		assert_int_not_equal(number(trace, "pid"), tree->pids[0]);
		assert_string_equal(json_string_value(member(part, "from")), parent);
		assert_non_null(strstr(json_string_value(member(part, "call")), "prefork.c:"));
		assert_int_equal(number(part, "committed_bytes"), 24000 << 10);
		assert_non_null(strstr(json_string_value(member(trace, "owner")),
				       " inherited from the parent"));
	}
	assert_int_equal(explained, 1);
	assert_non_null(strstr(
	    json_string_value(member(trees_trace_of(root, tree->pids[0]), "owner")), "prefork.c:"));
}

static void
test_workers_of_c(void **state)
{
	static struct tree tree;
	const int64_t kib = 1 << 10;

	(void)state;
	trees_start(&tree, "workers",
		    (const char *const[]){built("tests/target/prefork"), "6", "24000", "1000",
					  "3000", NULL});
	trees_read_pids(&tree);
	assert_int_equal(tree.count, 7);
	check_stopped(&tree);
	json_t *root = trees_list(tree.directory, "exe");
	json_t *groups = member(root, "groups");

	/* The cache once; each worker's copies and its own memory. The rest is the program's. */
	assert_in_range(number(json_array_get(member(root, "trees"), 0), "once_bytes"),
			24000 * kib + 6 * 4000 * kib, 24000 * kib + 6 * 4000 * kib + (12 << 20));
	assert_int_equal(json_array_size(groups), 2);
	assert_int_equal(number(json_array_get(groups, 0), "traces"), 6);
	assert_true(json_is_true(member(json_array_get(groups, 0), "forked")));
	assert_in_range(number(json_array_get(groups, 0), "least_private_bytes"), 4000 * kib,
			4000 * kib + (2 << 20));
	check_inherited(&tree, root);
	assert_int_equal(trees_end(&tree), 0);
	json_decref(root);
}

/* Nobody asks for snapshots: once it is at rest, the collector takes them by itself. */
static void
test_at_rest(void **state)
{
	static struct tree tree;
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	bool near = false;

	(void)state;
	trees_start(&tree, "rest",
		    (const char *const[]){built("tests/target/prefork"), "3", "24000", "1000",
					  "3000", NULL});
	trees_read_pids(&tree);
	trees_stop(&tree);
	while (!near) {
		json_t *root = trees_list(tree.directory, "title");
		json_t *row = json_array_get(member(root, "trees"), 0);
		struct sums sums = sums_of(&tree);

		assert_true(now_ms() < deadline);
		near = number(row, "there") == 4 && json_is_integer(member(row, "once_bytes")) &&
		       json_is_integer(member(row, "proportional_bytes")) &&
		       json_is_integer(member(row, "private_bytes")) &&
		       json_is_integer(member(row, "outside_bytes")) && are_near(row, &sums);
		json_decref(root);
	}
	trees_go_on(&tree);
	assert_int_equal(trees_end(&tree), 0);
}

static void
test_workers_of_python(void **state)
{
	static struct tree tree;

	(void)state;
	trees_start(&tree, "python",
		    (const char *const[]){"python3", script_file("prefork_server.py"), NULL});
	trees_read_pids(&tree);
	assert_int_equal(tree.count, 5);
	check_stopped(&tree);
	assert_int_equal(trees_end(&tree), 0);
}

/* What redis-cli says, once the server answers it. */
static void
ask_redis(const char *socket, const char *const words[], char *said, size_t said_bytes)
{
	const char *argv[16] = {"redis-cli", "-s", socket};
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	struct run run;

	for (size_t i = 0; words[i]; i++)
		argv[3 + i] = words[i];
	for (;;) {
		run_program(&run, argv, NULL);
		if (run.exit_status == 0 && !says(run.out, "rror"))
			break;
		assert_true(now_ms() < deadline);
		run_free(&run);
		poll(NULL, 0, 10);
	}
	snprintf(said, said_bytes, "%s", run.out);
	run_free(&run);
}

/* What the child writes to is with the test's files, not where the tests were started. */
static void
wait_for_dump(pid_t child)
{
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	char name[64];

	snprintf(name, sizeof(name), "temp-%d.rdb", (int)child);
	while (access(scratch_file(name), F_OK) != 0) {
		assert_true(now_ms() < deadline);
		poll(NULL, 0, 1);
	}
}

/* A server that forks to save, and goes on writing meanwhile. */
static void
test_redis_that_saves(void **state)
{
	static struct tree tree;
	static char socket[PATH_MAX];
	char said[16384];

	(void)state;
	trees_skip_without("redis-server");
	snprintf(socket, sizeof(socket), "%s", scratch_file("redis.socket"));
	trees_start(&tree, "redis",
		    (const char *const[]){"redis-server", "--port", "0", "--unixsocket", socket,
					  "--save", "", "--dir", scratch(),
					  "--enable-debug-command", "yes", "--logfile", "/dev/null",
					  NULL});
	ask_redis(socket, (const char *const[]){"info", "server", NULL}, said, sizeof(said));
	pid_t server = (pid_t)strtol(strstr(said, "process_id:") + 11, NULL, 10);

	ask_redis(socket, (const char *const[]){"debug", "populate", "100000", "key", "200", NULL},
		  said, sizeof(said));
	/* A minute and a half for all keys: the test stops it long before. */
	ask_redis(socket,
		  (const char *const[]){"config", "set", "rdb-key-save-delay", "1000", NULL}, said,
		  sizeof(said));
	ask_redis(socket, (const char *const[]){"bgsave", NULL}, said, sizeof(said));
	trees_find_children(&tree, server, 1);
	wait_for_dump(tree.pids[1]);
	ask_redis(socket, (const char *const[]){"debug", "populate", "20000", "other", "200", NULL},
		  said, sizeof(said));
	check_stopped(&tree);
	assert_int_equal(kill(tree.pids[1], SIGKILL), 0);
	assert_int_equal(kill(server, SIGTERM), 0);
	(void)trees_end(&tree);
}

/* Until it calls itself so. */
static void
wait_for_title(pid_t pid, const char *title)
{
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	char path[64], text[4096] = "";

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	while (strncmp(text, title, strlen(title)) != 0) {
		FILE *file = fopen(path, "r");

		assert_true(now_ms() < deadline);
		assert_non_null(file);
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
		poll(NULL, 0, 1);
	}
}

/* A master and its workers. */
static void
test_nginx(void **state)
{
	static struct tree tree;
	static char directives[2 * PATH_MAX];
	char path[PATH_MAX];
	long master = 0;

	(void)state;
	trees_skip_without("nginx");
	snprintf(path, sizeof(path), "%s", scratch_file("nginx.pid"));
	snprintf(directives, sizeof(directives),
		 "daemon off; master_process on; worker_processes 3; error_log /dev/null; pid %s;",
		 path);
	FILE *configuration = fopen(scratch_file("nginx.conf"), "w");

	assert_non_null(configuration);
	assert_true(fputs("events {}\n", configuration) >= 0);
	assert_int_equal(fclose(configuration), 0);
	trees_start(&tree, "nginx",
		    (const char *const[]){"nginx", "-p", scratch(), "-c",
					  scratch_file("nginx.conf"), "-g", directives, NULL});
	for (int64_t deadline = now_ms() + TREES_LIMIT_MS; master == 0;) {
		FILE *file = fopen(path, "r");

		assert_true(now_ms() < deadline);
		poll(NULL, 0, 1);
		if (file && fscanf(file, "%ld", &master) != 1)
			master = 0;
		if (file)
			fclose(file);
	}
	trees_find_children(&tree, (pid_t)master, 3);
	for (size_t i = 1; i < tree.count; i++)
		wait_for_title(tree.pids[i], "nginx: worker process");
	check_stopped(&tree);
	json_t *root = trees_list(tree.directory, "title");

	assert_string_equal(
	    json_string_value(member(trees_trace_of(root, tree.pids[1]), "command")),
	    "nginx: worker process");
	json_decref(root);
	assert_int_equal(kill((pid_t)master, SIGTERM), 0);
	(void)trees_end(&tree);
}

/* The cache once, each worker's copies and its own memory, and what is the program's. An estimate
 * by addresses takes copies for what others share at the same address. */
static void
check_ended(json_t *row)
{
	const int64_t kib = 1 << 10;
	const int64_t copies = 6 * 1000 * kib;
	const int64_t all = 24000 * kib + 6 * 3000 * kib + copies;
	bool is_estimate = json_is_true(member(row, "estimate"));
	bool is_whole = number(row, "there") == 7 && number(row, "unseen") == 0 &&
			json_is_false(member(row, "short"));
	int64_t least = is_estimate ? all - copies : all;

	/* A busy machine may have no time to look at the pages of each: then they are not known. */
	assert_true(is_whole || is_estimate);
	if (json_is_null(member(row, "once_bytes"))) {
		assert_true(is_estimate);
		assert_true(number(row, "moment_rss_bytes") >= all);
	} else
		assert_in_range(number(row, "once_bytes"), is_whole ? least : 0, all + (12 << 20));
}

/* After the end, when each process had its last snapshot at another time: an estimate that is
 * called one, and is right. */
static void
test_ended(void **state)
{
	static struct tree tree;

	(void)state;
	trees_start(&tree, "ended",
		    (const char *const[]){built("tests/target/prefork"), "6", "24000", "1000",
					  "3000", NULL});
	trees_read_pids(&tree);
	assert_int_equal(trees_end(&tree), 0);
	json_t *root = trees_list(tree.directory, "title");
	json_t *row = json_array_get(member(root, "trees"), 0);

	assert_int_equal(json_array_size(member(root, "trees")), 1);
	assert_int_equal(number(row, "traces"), 7);
	assert_true(json_is_false(member(row, "live")));
	check_ended(row);
	json_decref(root);
}

/* As after a test that failed. */
static void
test_nothing_stays_stopped(void **state)
{
	static struct tree tree;

	trees_start(
	    &tree, "left",
	    (const char *const[]){built("tests/target/prefork"), "3", "100", "10", "10", NULL});
	trees_read_pids(&tree);
	trees_stop(&tree);
	assert_int_equal(trees_kill(state), 0);
	for (size_t i = 0; i < tree.count; i++)
		trees_wait_gone(tree.pids[i]);
}

static void
read_file(const char *path, char *bytes, size_t *length, size_t room)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	*length = fread(bytes, 1, room, file);
	fclose(file);
}

static void
put_file(const char *directory, const char *name, size_t number, const char *bytes, size_t length)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.%zu.vmt", directory, name, number);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

/* Thousands of files that are no traces, traces cut anywhere, and two trees: told apart, in bounded
 * memory, and none without a word. */
static void
test_garbage(void **state)
{
	static struct tree trees[2];
	static char bytes[1 << 20];
	const size_t garbage = 10000, cut = 40;
	char path[2 * PATH_MAX];
	size_t length;
	struct run run;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		trees_start(&trees[i], i == 0 ? "mixed" : "other",
			    (const char *const[]){built("tests/target/prefork"), "3", "4000", "100",
						  "100", NULL});
		trees_read_pids(&trees[i]);
		assert_int_equal(trees_end(&trees[i]), 0);
	}
	const char *directory = trees[0].directory;

	for (size_t i = 0; i < garbage; i++)
		put_file(directory, "garbage", i, "VMTRACE\0nothing of it\n", 8 + i % 16);
	snprintf(path, sizeof(path), "%s/t.vmt", trees[1].directory);
	read_file(path, bytes, &length, sizeof(bytes));
	for (size_t i = 0; i < cut; i++)
		put_file(directory, "cut", i, bytes, length * i / cut);
	const char *const argv[] = {built("vmtrace"), "report", directory, trees[1].directory,
				    "--format",	      "json",	NULL};

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s", run.err);
	assert_true(run.peak_rss_kib < 64 << 10);
	json_t *root = json_loads(run.out, 0, NULL);
	json_t *traces = member(root, "traces");
	size_t left = json_array_size(traces) - 8;
	size_t whole = 0;
	json_t *row;
	size_t i;

	/* A trace that is cut behind its head can be read; one that is not is counted. */
	assert_true(number(root, "unreadable") >= (int64_t)garbage);
	assert_int_equal(number(root, "unreadable") + (int64_t)left, (int64_t)(garbage + cut));
	assert_non_null(strstr(json_string_value(member(root, "unreadable_why")), ".vmt: "));
	json_array_foreach(member(root, "trees"), i, row)
	{
		whole += number(row, "traces") == 4;
		assert_true(number(row, "traces") == 4 || number(row, "traces") == 1);
	}
	/* The children of the second tree have several parents to choose from, where copies were
	 * cut behind their heads. */
	if (left == 0)
		assert_int_equal(whole, 2);
	else {
		assert_int_equal(whole, 1);
		assert_int_equal(number(root, "ambiguous"), 3);
	}
	json_decref(root);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_workers_of_c, trees_kill),
	    cmocka_unit_test_teardown(test_at_rest, trees_kill),
	    cmocka_unit_test_teardown(test_workers_of_python, trees_kill),
	    cmocka_unit_test_teardown(test_redis_that_saves, trees_kill),
	    cmocka_unit_test_teardown(test_nginx, trees_kill),
	    cmocka_unit_test_teardown(test_ended, trees_kill),
	    cmocka_unit_test_teardown(test_garbage, trees_kill),
	    cmocka_unit_test(test_nothing_stays_stopped),
	};

	prefer_system_programs();
	return cmocka_run_group_tests_name("trees", tests, NULL, NULL);
}
