/*
 * test_unharmed.c: do programs that live dangerously run as if nobody watched, and are they seen?
 *
 * Signals, thread storms, forks, exec chains, closed descriptors, plugins that come and go. The
 * program must end well, the trace must be readable, and its books must stand in the report.
 */
#include "tests/e2e/books.h"
#include "tests/e2e/observe.h"
#include "tests/soak.h"

#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
check_no_loss(json_t *root)
{
	json_t *loss = member(root, "loss");

	assert_int_equal(number(loss, "events_dropped"), 0);
	assert_int_equal(number(loss, "stacks_dropped"), 0);
	assert_int_equal(number(loss, "slots_abandoned"), 0);
	assert_int_equal(number(loss, "cut_bytes"), 0);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
}

/* Records a target in `all`; its books must balance. Returns the report of the process that wrote
 * them, and the books in *truth. */
static json_t *
watch(const char *program, const char *argument, json_t **truth)
{
	char target[256];
	char output[4096];
	char pattern[4096];
	struct run run;

	snprintf(target, sizeof(target), "tests/target/%s", program);
	snprintf(output, sizeof(output), "%s/%s.%%p.vmt", scratch(), program);
	snprintf(pattern, sizeof(pattern), "%s/%s.*.vmt", scratch(), program);
	record(&run, output, (const char *const[]){"--malloc", "all", NULL},
	       (const char *const[]){built(target), argument, NULL});
	if (run.exit_status != 0)
		fail_msg("%s ended with %d: %s%s", program, run.exit_status, run.out, run.err);
	*truth = json_loads(run.out, 0, NULL);
	if (*truth == NULL)
		fail_msg("%s did not write its books: %s%s", program, run.out, run.err);
	json_t *root = report_of_pid(pattern, number(*truth, "pid"));

	check_report(root);
	books_compare_sites(*truth, root);
	books_compare_advice(*truth, root);
	run_free(&run);
	return root;
}

static void
watch_all(const char *program, const char *argument)
{
	json_t *truth;
	json_t *root = watch(program, argument, &truth);

	check_no_loss(root);
	json_decref(root);
	json_decref(truth);
}

static void
test_signal_free(void **state)
{
	(void)state;
	watch_all("signal_free", NULL);
}

static void
test_tls_destructor(void **state)
{
	(void)state;
	watch_all("tls_destructor_malloc", NULL);
}

/* Blocks of before the library's constructor are not known: their frees may not count as errors. */
static void
test_before_main(void **state)
{
	(void)state;
	watch_all("malloc_before_main", NULL);
}

static void
test_threads_in_turn(void **state)
{
	(void)state;
	watch_all("threads_many", soak_count(0, 1) ? "100000" : "10000");
}

static void
test_threads_at_once(void **state)
{
	(void)state;
	watch_all("threads_at_once", soak_count(0, 1) ? "10000" : "2000");
}

static void
test_as_many_mappings_as_the_kernel_allows(void **state)
{
	(void)state;
	/* Looked at while it stands still: a look at so many takes longer than an end waits. */
	observe("many_maps", "65000");
}

/* More than the table of stacks holds: each block is there, those without a stack are counted. */
static void
test_more_stacks_than_the_table_holds(void **state)
{
	const char *trace = scratch_file("stacks.vmt");
	struct run run;

	(void)state;
	record(&run, trace, (const char *const[]){"--malloc", "all", NULL},
	       (const char *const[]){built("tests/target/many_stacks"),
				     soak_count(0, 1) ? "22" : "18", NULL});
	assert_int_equal(run.exit_status, 0);
	json_t *truth = json_loads(run.out, 0, NULL);
	json_t *root = report(trace, (const char *const[]){"--top", "20", NULL});
	json_t *loss = member(root, "loss");
	int64_t made = number(member(truth, "figures"), "made");

	assert_true(made >= 1 << 18);
	assert_int_equal(number(member(root, "totals"), "live_blocks"), made);
	assert_in_range(number(loss, "stacks_dropped"), 1, made);
	assert_int_equal(number(loss, "events_dropped") + number(loss, "events_overwritten"), 0);
	json_decref(root);
	json_decref(truth);
	run_free(&run);
}

static void
test_fork_with_threads(void **state)
{
	(void)state;
	watch_all("fork_with_threads", NULL);
}

/* What lies below a thread's stack without a guard page looks like a part of it, and then goes. */
static void
run_stacks_below_a_stack(const char *program)
{
	const char *trace = scratch_file("below.vmt");
	struct run run;

	record(&run, trace, (const char *const[]){"--malloc", "all", NULL},
	       (const char *const[]){built(program), NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "fine\n");
	run_free(&run);
	json_t *root = report(trace, (const char *const[]){"--top", "20", NULL});

	check_no_loss(root);
	json_decref(root);
}

static void
test_stacks_below_a_stack(void **state)
{
	(void)state;
	run_stacks_below_a_stack("tests/target/coroutine_stacks_bare");
	run_stacks_below_a_stack("tests/target/static_coroutine_stacks_bare");
}

static void
test_exec_chain(void **state)
{
	glob_t found;
	char pattern[4096];

	(void)state;
	watch_all("exec_chain", "8");
	snprintf(pattern, sizeof(pattern), "%s/exec_chain.*.vmt", scratch());
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 9);
	globfree(&found);
}

static void
test_close_all_descriptors(void **state)
{
	(void)state;
	watch_all("close_all_fds", "loop");
	watch_all("close_all_fds", "closefrom");
	watch_all("close_all_fds", "close_range");
	watch_all("close_all_fds", "none_more");
}

static void
test_dlopen_loop(void **state)
{
	(void)state;
	watch_all("dlopen_loop", "300");
}

static void
test_raw_syscalls(void **state)
{
	(void)state;
	watch_all("raw_syscalls", NULL);
}

/* One system call of ours and the filter would kill it. */
static void
test_seccomp_filter(void **state)
{
	const char *trace = scratch_file("seccomp.vmt");
	static const char *const modes[] = {"off", "sampled", "all"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct run run;

		record(&run, trace, (const char *const[]){"--malloc", modes[i], NULL},
		       (const char *const[]){built("tests/target/seccomp_filter"), NULL});
		if (run.exit_status != 0)
			fail_msg("malloc=%s: status %d %s", modes[i], run.exit_status, run.err);
		run_free(&run);
		json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

		check_report(root);
		check_no_loss(root);
		assert_int_equal(site_sum(root, "mmap", "map_filtered", "count"), 200);
		assert_int_equal(site_sum(root, "mmap", "map_filtered", "released_bytes"),
				 200 << 20);
		assert_int_equal(site_sum(root, "malloc", "block_filtered", "count"),
				 i == 0 ? 0 : 201);
		/* Nobody asked for a snapshot at the end: the last one may have met a live block.
		 */
		assert_int_equal(site_sum(root, "malloc", "block_filtered", "released_bytes"),
				 i == 0 ? 0 : 201 * 300000);
		json_decref(root);
	}
}

/* A filter that a vfork child puts on is not its parent's, whose memory it runs on. */
static void
test_vfork_filter(void **state)
{
	(void)state;
	watch_all("vfork_filter", NULL);
}

static json_t *
self_portrait(const char *const environment[], const char *const argv[], struct run *run)
{
	run_program(run, argv, environment);
	assert_int_equal(run->exit_status, 0);
	json_t *portrait = json_loads(run->out, 0, NULL);

	assert_non_null(portrait);
	return portrait;
}

/* Asked from inside, a bare and a preloaded process are the same, and nothing is on stderr. */
static void
test_transparency(void **state)
{
	struct run bare_run;
	struct run preloaded_run;
	const char *const argv[] = {built("tests/target/transparency"), NULL};

	(void)state;
	json_t *bare = self_portrait(NULL, argv, &bare_run);
	json_t *watched =
	    self_portrait(preloaded(scratch_file("transparency.%p.vmt")), argv, &preloaded_run);

	if (!json_equal(bare, watched))
		fail_msg("bare:      %s\npreloaded: %s", bare_run.out, preloaded_run.out);
	assert_string_equal(preloaded_run.err, "");
	assert_string_equal(json_string_value(member(watched, "Threads")), "1");
	assert_int_equal(number(watched, "errno_at_main"), 0);
	json_decref(bare);
	json_decref(watched);
	run_free(&bare_run);
	run_free(&preloaded_run);
}

static int
last_status_of(const char *command, const char *const environment[])
{
	struct run run;

	run_program(&run, (const char *const[]){"/bin/sh", "-c", command, NULL}, environment);
	int status = run.exit_status;

	run_free(&run);
	return status;
}

/* unshare(CLONE_NEWUSER) fails in a process with a second thread. */
static void
test_unshare(void **state)
{
	(void)state;
	assert_int_equal(
	    last_status_of("unshare -U true", preloaded(scratch_file("unshare.%p.vmt"))),
	    last_status_of("unshare -U true", NULL));
}

/* A bare preload leaves the same trace as record: a collector of its own, snapshots, an end. */
static void
test_bare_preload(void **state)
{
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){built("tests/target/cache_demo"), NULL},
		    preloaded(scratch_file("bare.vmt")));
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	json_t *root = report(scratch_file("bare.vmt"), NULL);

	check_report(root);
	assert_int_equal(site_sum(root, "mmap", "arena_grow", "committed_bytes"), 64 << 20);
	json_decref(root);
	run_free(&run);
}

/* Where nothing can be written, the program runs on and the user gets one line. */
static void
test_unwritable_output(void **state)
{
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){"/bin/echo", "hello", NULL},
		    preloaded(scratch_file("missing/t.vmt")));
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "hello\n");
	assert_int_equal(strncmp(run.err, "vmtrace: not recording", 22), 0);
	assert_non_null(says(run.err, scratch_file("missing/t.vmt")));
	assert_ptr_equal(strchr(run.err, '\n'), run.err + strlen(run.err) - 1);
	run_free(&run);
}

/* The new image is a subreaper from its first instruction: orphans come back to it, and nobody may
 * find the collector among them. */
static void
test_subreaper_has_no_child_of_ours(void **state)
{
	const char *trace = scratch_file("subreaper.vmt");
	struct run run;

	(void)state;
	run_program(&run,
		    (const char *const[]){"python3", script_file("subreaper.py"),
					  built("libvmtrace.so"), trace, script_file("no_child.py"),
					  NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "no child\n");
	run_free(&run);
	assert_int_equal(access(trace, R_OK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_as_many_mappings_as_the_kernel_allows),
	    cmocka_unit_test(test_more_stacks_than_the_table_holds),
	    cmocka_unit_test(test_transparency),
	    cmocka_unit_test(test_unshare),
	    cmocka_unit_test(test_subreaper_has_no_child_of_ours),
	    cmocka_unit_test(test_bare_preload),
	    cmocka_unit_test(test_unwritable_output),
	    cmocka_unit_test(test_signal_free),
	    cmocka_unit_test(test_tls_destructor),
	    cmocka_unit_test(test_before_main),
	    cmocka_unit_test(test_threads_in_turn),
	    cmocka_unit_test(test_threads_at_once),
	    cmocka_unit_test(test_fork_with_threads),
	    cmocka_unit_test(test_stacks_below_a_stack),
	    cmocka_unit_test(test_exec_chain),
	    cmocka_unit_test(test_close_all_descriptors),
	    cmocka_unit_test(test_dlopen_loop),
	    cmocka_unit_test(test_raw_syscalls),
	    cmocka_unit_test(test_seccomp_filter),
	    cmocka_unit_test(test_vfork_filter),
	};

	return cmocka_run_group_tests_name("unharmed", tests, NULL, NULL);
}
