/*
 * test_order.c: is the order of events exact, and is every event accounted for?
 *
 * Eight threads hand the same addresses round, so that a replay in any other order than the real
 * one meets an address acquired twice or a release of nothing. The program says what it did and
 * what it still holds; the trace must say the same, kind by kind.
 */
#include "tests/e2e/books.h"
#include "tests/soak.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTACHED_THREADS 4

static int64_t
figure(json_t *books, const char *name)
{
	return number(member(books, "figures"), name);
}

static const char *program = "tests/target/handoff";

static json_t *
storm(const char *trace, const char *mode, const char *buffer, const char *operations)
{
	struct run run;

	record(&run, trace,
	       (const char *const[]){"--malloc", mode, buffer != NULL ? "--buffer" : NULL, buffer,
				     NULL},
	       (const char *const[]){built(program), operations, NULL});
	if (run.exit_status != 0)
		fail_msg("status %d: %s", run.exit_status, run.err);
	json_t *books = json_loads(run.out, 0, NULL);

	assert_non_null(books);
	run_free(&run);
	return books;
}

static void
check_counts(json_t *books, json_t *root)
{
	assert_int_equal(site_sum(root, "malloc", "make_block", "count"), figure(books, "mallocs"));
	assert_int_equal(site_sum(root, "calloc", "make_block", "count"), figure(books, "callocs"));
	assert_int_equal(site_sum(root, "realloc", "change_block", "count"),
			 figure(books, "reallocs"));
	assert_int_equal(site_sum(root, "mmap", "make_range", "count"), figure(books, "mmaps"));
	assert_int_equal(site_sum(root, "mmap", "map_over_range", "count"),
			 figure(books, "fixed_mmaps"));
}

static void
check_live_set(json_t *books, json_t *root)
{
	static const char *const block_makers[][2] = {
	    {"malloc", "make_block"}, {"calloc", "make_block"}, {"realloc", "change_block"}};
	static const char *const range_makers[][2] = {
	    {"mmap", "make_range"}, {"mmap", "map_over_range"}, {"mremap", "change_range"}};
	int64_t blocks = 0;
	int64_t block_bytes = 0;
	int64_t range_bytes = 0;

	for (int i = 0; i < 3; i++) {
		blocks += site_sum(root, block_makers[i][0], block_makers[i][1], "live_count");
		block_bytes +=
		    site_sum(root, block_makers[i][0], block_makers[i][1], "reserved_bytes");
		range_bytes +=
		    site_sum(root, range_makers[i][0], range_makers[i][1], "reserved_bytes");
	}
	assert_int_equal(blocks, figure(books, "live_blocks"));
	assert_int_equal(block_bytes, figure(books, "live_block_bytes"));
	assert_int_equal(range_bytes, figure(books, "live_range_bytes"));
}

/* The report of a storm of which nothing was lost, and in which each address has its alternation.
 */
static void
check_storm(const char *name, long operations)
{
	const char *trace = scratch_file(name);
	char number_of[32];

	snprintf(number_of, sizeof(number_of), "%ld", operations);
	json_t *books = storm(trace, "all", NULL, number_of);
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	json_t *totals = member(root, "totals");
	json_t *loss = member(root, "loss");

	assert_true(number(loss, "events") >= operations + operations / 6);
	assert_int_equal(number(loss, "events_dropped"), 0);
	assert_int_equal(number(loss, "slots_abandoned"), 0);
	assert_int_equal(number(totals, "double_acquisitions"), 0);
	assert_int_equal(number(totals, "unknown_releases"), 0);
	check_report(root);
	check_counts(books, root);
	check_live_set(books, root);
	print_message("%s: %lld events, %lld early acquisitions\n", name,
		      (long long)number(loss, "events"),
		      (long long)number(totals, "early_acquisitions"));
	json_decref(root);
	json_decref(books);
	unlink(trace);
}

/* All on the first CPU that is there. */
static void
check_on_one_cpu(const char *name, long operations)
{
	cpu_set_t all;
	cpu_set_t first;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&first);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&first) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &first);
	assert_int_equal(sched_setaffinity(0, sizeof(first), &first), 0);
	check_storm(name, operations);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* Ten million events where there is time for them. */
static void
test_a_storm(void **state)
{
	(void)state;
	check_storm("storm.vmt", soak_count(1200000, 8500000));
	check_on_one_cpu("storm-one-cpu.vmt", soak_count(600000, 8500000));
}

/* The recorder is put into it: calls come to it by cuts in the program's code. */
static void
test_a_storm_of_a_static_program(void **state)
{
	(void)state;
	program = "tests/target/static_handoff";
	check_storm("static.vmt", soak_count(300000, 8500000));
	check_on_one_cpu("static-one-cpu.vmt", soak_count(100000, 8500000));
	program = "tests/target/handoff";
}

/* Until a trace that is being written has so many events. */
static void
await_events(const char *trace, int64_t wanted)
{
	int64_t deadline = now_ms() + 60000;
	int64_t events;

	do {
		json_t *root = report(trace, NULL);

		events = number(member(root, "loss"), "events");
		json_decref(root);
		assert_true(now_ms() < deadline);
	} while (events < wanted);
}

/* All of its threads, beside the first. */
static void
await_threads(pid_t pid, int wanted)
{
	int64_t deadline = now_ms() + 60000;
	char path[64];
	struct stat task;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	while (stat(path, &task) != 0 || task.st_nlink < 2 + (nlink_t)wanted + 1) {
		poll(NULL, 0, 1);
		assert_true(now_ms() < deadline);
	}
}

/* Its threads are anywhere when the recorder comes. It is not left but killed: else each of them
 * might be within a call when the code is put back, which is recorded when it ends, and meanwhile
 * another might have released, unseen, what that call is given. */
static void
check_attached(const char *storming)
{
	const char *trace = scratch_file("attached.vmt");
	struct conversation target, command;
	char script[2048];
	char threads[16];
	json_t *totals;
	json_t *root;

	snprintf(threads, sizeof(threads), "%d", ATTACHED_THREADS);
	converse_start(
	    &target, (const char *const[]){built(storming), "1000000000000", threads, NULL}, NULL);
	await_threads(target.pid, ATTACHED_THREADS);
	snprintf(script, sizeof(script), "exec '%s' record -p %d --malloc all -o '%s' 2>&1",
		 built("vmtrace"), (int)target.pid, trace);
	converse_start(&command, (const char *const[]){"sh", "-c", script, NULL}, NULL);
	converse_read_line(&command);
	assert_non_null(strstr(command.line, "functions of its malloc"));
	await_events(trace, 20000);
	assert_int_equal(kill(target.pid, SIGKILL), 0);
	assert_int_equal(converse_end(&target), SIGKILL);
	(void)converse_end(&command);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	totals = member(root, "totals");
	check_report(root);
	if (number(member(root, "loss"), "events_dropped") == 0)
		assert_int_equal(number(totals, "double_acquisitions"), 0);
	assert_in_range(number(member(root, "loss"), "slots_abandoned"), 0, ATTACHED_THREADS);
	json_decref(root);
	unlink(trace);
}

static void
test_a_storm_that_is_attached_to(void **state)
{
	(void)state;
	for (long i = soak_count(1, 50); i > 0; i--) {
		check_attached("tests/target/handoff");
		check_attached("tests/target/static_handoff");
	}
}

/* Its threads wait in full rings most of the time, so in the recorder: they are let on while they
 * are waited for. None waits for so long that it takes the collector for a dead one. */
static void
test_a_storm_that_is_left(void **state)
{
	const char *trace = scratch_file("left.vmt");
	struct conversation target;
	char threads[16], pid[16];
	struct run run;
	json_t *root;

	(void)state;
	snprintf(threads, sizeof(threads), "%d", ATTACHED_THREADS);
	converse_start(&target,
		       (const char *const[]){built(program), "1000000000000", threads, NULL}, NULL);
	await_threads(target.pid, ATTACHED_THREADS);
	snprintf(pid, sizeof(pid), "%d", (int)target.pid);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-p", pid, "--malloc", "all",
					  "--buffer", "64KiB", "--for", "300ms", "-o", trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(kill(target.pid, SIGKILL), 0);
	assert_int_equal(converse_end(&target), SIGKILL);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	assert_true(number(member(root, "loss"), "events") > 0);
	assert_int_equal(number(member(root, "loss"), "events_overwritten"), 0);
	json_decref(root);
	run_free(&run);
	unlink(trace);
}

/* Without caches of their own, threads get from the allocator what another has just released: each
 * block goes through the one arena's lock. */
static void
test_a_storm_through_one_arena(void **state)
{
	(void)state;
	setenv("MALLOC_ARENA_MAX", "1", 1);
	setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
	check_storm("arena.vmt", soak_count(600000, 8500000));
	check_on_one_cpu("arena-one-cpu.vmt", soak_count(300000, 8500000));
	unsetenv("MALLOC_ARENA_MAX");
	unsetenv("GLIBC_TUNABLES");
}

/* How often each kind of event was read, and how often it was lost, out of a dump. */
struct account {
	int64_t read;
	int64_t lost;
};

static int64_t
lost_of_kind(json_t *loss, const char *kind)
{
	json_t *dropped = json_object_get(member(loss, "dropped"), kind);
	json_t *overwritten = json_object_get(member(loss, "overwritten"), kind);

	return (int64_t)json_integer_value(dropped) + (int64_t)json_integer_value(overwritten);
}

static struct account
account_of(const char *dump, const char *kind)
{
	struct account account = {0, 0};
	char record_key[64];
	const char *loss_line = strstr(dump, "{\"record\":\"loss\"");
	json_error_t trouble;

	snprintf(record_key, sizeof(record_key), "\"kind\":\"%s\"", kind);
	for (const char *at = dump; (at = strstr(at, record_key)) != NULL; at++)
		account.read++;
	assert_non_null(loss_line);
	json_t *loss = json_loads(loss_line, JSON_DISABLE_EOF_CHECK, &trouble);

	assert_non_null(loss);
	account.lost = lost_of_kind(loss, kind);
	json_decref(loss);
	return account;
}

static void
check_account(const char *dump, const char *kind, int64_t written)
{
	struct account account = account_of(dump, kind);

	if (account.read + account.lost != written)
		fail_msg("%s: %lld written, %lld read, %lld lost", kind, (long long)written,
			 (long long)account.read, (long long)account.lost);
}

/* Rings of a few slots and a sampling interval of one byte: every block is recorded exactly, and
 * far more is written than there is room for. */
static void
test_accounts(void **state)
{
	const char *trace = scratch_file("accounts.vmt");
	json_t *books = storm(trace, "sampled:1", "4KiB", "200000");
	struct run run;

	(void)state;
	run_program(
	    &run, (const char *const[]){built("vmtrace"), "dump", "--format", "json", trace, NULL},
	    NULL);
	assert_int_equal(run.exit_status, 0);
	int64_t lost = account_of(run.out, "MALLOC").lost;

	assert_true(lost > 0);
	check_account(run.out, "REALLOC", figure(books, "reallocs"));
	check_account(run.out, "MUNMAP", figure(books, "munmaps"));
	check_account(run.out, "MREMAP", figure(books, "mremaps"));
	check_account(run.out, "MREMAP_BEGIN", figure(books, "mremaps"));
	check_account(run.out, "MMAP_BEGIN", figure(books, "fixed_mmaps"));
	check_account(run.out, "MMAP", figure(books, "mmaps") + figure(books, "fixed_mmaps"));
	json_decref(books);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_storm),
	    cmocka_unit_test(test_a_storm_of_a_static_program),
	    cmocka_unit_test(test_a_storm_that_is_attached_to),
	    cmocka_unit_test(test_a_storm_that_is_left),
	    cmocka_unit_test(test_a_storm_through_one_arena),
	    cmocka_unit_test(test_accounts),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
