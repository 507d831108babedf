/*
 * test_programs.c: do reports of real programs add up, and do the programs not notice?
 *
 * Each program runs bare and recorded: same output, same exit status. Every trace it left must have
 * a report whose rows add up to its RSS, by who reserved and by who touched (page faults are
 * sampled, where they can be), with at most 2 % of it unattributed; and where a program
 * or its allocator counts live memory itself, both counts agree.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/identities.h"

#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

static bool
have(const char *program)
{
	char command[256];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	return system(command) == 0;
}

static void
check_attribution(const char *trace, json_t *root)
{
	int64_t rss = number(member(root, "snapshot"), "rss_bytes");
	int64_t unattributed = number(member(root, "totals"), "unattributed_bytes");

	check_report(root);
	identities_check(root, trace);
	if (unattributed * 50 > rss)
		fail_msg("%s: %lld of %lld bytes unattributed", trace, (long long)unattributed,
			 (long long)rss);
}

/* Checks every trace of a directory pattern; returns the highest peak of one of them, which the
 * kernel counts: on a busy machine a snapshot may come before it. */
static int64_t
check_traces(const char *pattern, size_t at_least)
{
	glob_t found;
	int64_t largest = 0;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= at_least);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		json_t *root = report(found.gl_pathv[i], NULL);
		int64_t rss = number(member(root, "peak"), "rss_bytes");

		check_attribution(found.gl_pathv[i], root);
		largest = rss > largest ? rss : largest;
		json_decref(root);
	}
	globfree(&found);
	return largest;
}

/* Runs a shell command bare and recorded, compares, checks its traces. */
static int64_t
compare(const char *name, const char *script, size_t traces_at_least)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	char output[256];
	char pattern[256];
	struct run bare;
	struct run traced;

	snprintf(output, sizeof(output), "%s/%s.%%n.%%p.vmt", scratch(), name);
	snprintf(pattern, sizeof(pattern), "%s/%s.*.vmt", scratch(), name);
	run_program(&bare, argv, NULL);
	record(&traced, output, (const char *const[]){"--touch", "61", NULL}, argv);
	assert_int_equal(traced.exit_status, bare.exit_status);
	assert_int_equal(traced.out_bytes, bare.out_bytes);
	assert_memory_equal(traced.out, bare.out, bare.out_bytes);
	run_free(&bare);
	run_free(&traced);
	return check_traces(pattern, traces_at_least);
}

static void
test_sqlite(void **state)
{
	(void)state;
	int64_t rss = compare(
	    "sqlite",
	    "exec sqlite3 :memory: \"create table t(a integer primary key, b text); with recursive "
	    "c(n) as (select 1 union all select n+1 from c where n < 1000000) insert into t "
	    "select n, 'row number ' || n from c; select count(*), sum(length(b)) from t;\"",
	    1);

	assert_true(rss > 20 * MIB);
}

static void
test_python(void **state)
{
	(void)state;
	int64_t rss = compare("python",
			      "exec python3 -c \"d = {i: str(i) * 3 for i in range(500000)}; "
			      "print(len(d), sum(map(len, "
			      "d.values())))\"",
			      1);

	assert_true(rss > 50 * MIB);
}

/* What is live by the events is what the allocator itself holds: its own figure counts each block's
 * header and rounding as well, 16 bytes a block on average of some hundreds. */
static void
test_allocator_agrees(void **state)
{
	const char *trace = scratch_file("mallinfo.vmt");
	struct run run;

	(void)state;
	record(&run, trace, (const char *const[]){"--malloc", "all", NULL},
	       (const char *const[]){"python3", script_file("mallinfo.py"), NULL});
	assert_int_equal(run.exit_status, 0);
	int64_t theirs = atoll(run.out);

	run_free(&run);
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	int64_t ours = class_figure(root, "malloc live", "reserved_bytes");

	if (theirs == 0) {
		print_message("skip: python3 is not linked to glibc's malloc\n");
		json_decref(root);
		skip();
	}
	if (ours > theirs || ours < theirs / 100 * 95)
		fail_msg("malloc live %lld, mallinfo2 %lld", (long long)ours, (long long)theirs);
	json_decref(root);
}

static void
write_large_source(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (int i = 0; i < 300; i++)
		fprintf(
		    file,
		    "int f%d(int a, int b, const int *p) { int s = 0; for (int i = 0; i < a; i++) "
		    "{ if "
		    "(p[i] %% %d == b) s += p[i] * %d; else s ^= p[(i * 7) & 63]; } return s; }\n",
		    i, i % 17 + 2, i);
	fclose(file);
}

static void
test_gcc(void **state)
{
	char script[512];

	(void)state;
	write_large_source(scratch_file("large.c"));
	snprintf(script, sizeof(script), "exec gcc -O2 -c %s -o %s", scratch_file("large.c"),
		 scratch_file("large.o"));
	assert_true(compare("gcc", script, 3) > 30 * MIB);
}

static void
test_git(void **state)
{
	char script[1024];

	(void)state;
	snprintf(
	    script, sizeof(script),
	    "set -e; rm -rf %s/repo; mkdir %s/repo; cd %s/repo; git init -q; awk 'BEGIN {for (i "
	    "= 1; i <= 300; i++) {for (j = i; j < i + 2000; j++) print j > (\"f\" i); "
	    "close(\"f\" i)}}'; git add .; git -c user.name=t -c user.email=t@t -c gc.auto=0 "
	    "commit -q -m t; git repack -a -d -q --threads=2; git count-objects -v | grep -E "
	    "'^(count|packs|in-pack)'",
	    scratch(), scratch(), scratch());
	compare("git", script, 3);
}

static void
test_cxx_threads(void **state)
{
	(void)state;
	compare("cxx", built("tests/target/cxx_threads"), 1);
}

static void
run_quietly(const char *script)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s%s", script, run.exit_status, run.out, run.err);
	run_free(&run);
}

static void
wait_until_ready(struct conversation *talk)
{
	do
		converse_read_line(talk);
	while (strstr(talk->line, "eady to accept connections") == NULL);
}

static int64_t
redis_used_memory(const char *socket)
{
	const char *const argv[] = {"redis-cli", "-s", socket, "info", "memory", NULL};
	struct run run;

	run_program(&run, argv, NULL);
	const char *line = says(run.out, "used_memory:");

	assert_non_null(line);
	int64_t used = atoll(line + strlen("used_memory:"));

	run_free(&run);
	return used;
}

/* redis-tools brings the server's program under another name; it acts by the name it is called. */
static void
test_redis(void **state)
{
	static struct conversation talk;
	char script[1024];
	const char *server = scratch_file("redis-server");
	const char *socket = scratch_file("redis.sock");
	const char *trace = scratch_file("redis.vmt");
	const char *const argv[] = {
	    built("vmtrace"), "record",	 "-o", trace,	       "--malloc", "all",    "--",
	    server,	      "--port",	 "0",  "--unixsocket", socket,	   "--save", "",
	    "--dir",	      scratch(), NULL};

	(void)state;
	if (!have("redis-check-rdb") || !have("redis-benchmark")) {
		print_message("skip: redis-tools is not installed\n");
		skip();
	}
	snprintf(script, sizeof(script), "ln -sf \"$(command -v redis-check-rdb)\" %s", server);
	run_quietly(script);
	converse_start(&talk, argv, NULL);
	wait_until_ready(&talk);
	snprintf(script, sizeof(script),
		 "redis-benchmark -s %s -q -n 100000 -r 50000 -d 200 -t set,get,lpush", socket);
	run_quietly(script);
	int64_t used = redis_used_memory(socket);

	snprintf(script, sizeof(script), "redis-cli -s %s shutdown nosave", socket);
	run_quietly(script);
	assert_int_equal(converse_end(&talk), 0);
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	int64_t live = class_figure(root, "malloc live", "reserved_bytes");

	check_attribution(trace, root);
	assert_true(number(member(root, "snapshot"), "rss_bytes") > 15 * MIB);
	/* Redis counts what the allocator made of each size: up to a quarter more, here a tenth. */
	if (live > used + MIB || live < used / 100 * 80)
		fail_msg("malloc live %lld, used_memory %lld", (long long)live, (long long)used);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sqlite),
	    cmocka_unit_test(test_python),
	    cmocka_unit_test(test_gcc),
	    cmocka_unit_test(test_git),
	    cmocka_unit_test(test_redis),
	    cmocka_unit_test(test_cxx_threads),
	    cmocka_unit_test(test_allocator_agrees),
	};

	prefer_system_programs();
	return cmocka_run_group_tests_name("real programs", tests, NULL, NULL);
}
