/*
 * test_owners.c: whose is memory that changed hands?
 *
 * Threads, in every mode of malloc, at the peak and at the end:
 *
 *   thread                            its stack                          who owns it then
 *   runs                              glibc's, mapped in pthread_create  pthread_create
 *   runs, and ends the process        glibc's                            pthread_create
 *   runs                              a block, static data, an mmap      malloc, the program, mmap
 *   is over, joined                   in glibc's cache                   ended threads' stacks
 *   is over, neither joined nor       stays mapped                       ended threads' stacks
 *   detached
 *   detached itself, is over          in glibc's cache, or unmapped      ended threads' stacks
 *   is over                           unmapped, its place an arena now   malloc
 *   is over                           another thread's now               that pthread_create
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/identities.h"

#include <stdio.h>
#include <string.h>

static const char *const modes[] = {"off", "sampled", "all"};
static const char *const moments[] = {"end", "peak"};

#define EACH(list, item) for (size_t item = 0; item < sizeof(list) / sizeof((list)[0]); item++)

static json_t *
record_target(const char *what, const char *mode, const char *trace, int exit_status)
{
	struct run run;
	json_t *truth;

	record(&run, trace, (const char *const[]){"--malloc", mode, NULL},
	       (const char *const[]){built("tests/target/thread_owners"), what, NULL});
	if (run.exit_status != exit_status)
		fail_msg("%s in %s: status %d: %s", what, mode, run.exit_status, run.err);
	truth = json_loads(run.out, 0, NULL);
	assert_non_null(truth);
	run_free(&run);
	return truth;
}

static int64_t
true_figure(json_t *truth, const char *name)
{
	return number(member(truth, "figures"), name);
}

static void
with_reports(const char *what, const char *mode, void (*check)(json_t *truth, json_t *root))
{
	const char *trace = scratch_file("owners.vmt");
	json_t *truth = record_target(what, mode, trace, 0);

	EACH(moments, i)
	{
		json_t *root = report(trace, (const char *const[]){"--at", moments[i], NULL});

		check_report(root);
		check(truth, root);
		identities_check(root, what);
		json_decref(root);
	}
	json_decref(truth);
}

/* A worker's stack may have gained a page since it looked; the heaps have the library's bookkeeping
 * of no block in them. */
static void
check_arenas(json_t *truth, json_t *root)
{
	int64_t malloced = class_figure(root, "malloc live", "committed_bytes") +
			   class_figure(root, "malloc retained", "committed_bytes") +
			   class_figure(root, "malloc, live or free", "committed_bytes");
	int64_t heaps = true_figure(truth, "heaps_committed");
	int64_t stacks = class_figure(root, "thread stacks", "committed_bytes");

	assert_int_equal(class_figure(root, "thread stacks", "reserved_bytes"),
			 true_figure(truth, "stacks_reserved"));
	assert_true(stacks >= true_figure(truth, "stacks_committed"));
	assert_true(stacks <= true_figure(truth, "stacks_committed") + 6 * 8192);
	assert_true(malloced >= heaps);
	assert_true(malloced <= heaps + (INT64_C(4) << 20));
	assert_int_equal(site_sum(root, "pthread_create", "burst", "reserved_bytes"), 0);
	assert_int_equal(site_sum(root, "pthread_create", "burst", "committed_bytes"), 0);
}

static void
test_arena_in_the_place_of_stacks(void **state)
{
	(void)state;
	EACH(modes, i)
	with_reports("arenas", modes[i], check_arenas);
}

static void
check_unjoined(json_t *truth, json_t *root)
{
	assert_int_equal(class_figure(root, "ended threads' stacks", "reserved_bytes"),
			 true_figure(truth, "ended_reserved"));
	assert_int_equal(class_figure(root, "thread stacks", "reserved_bytes"), 0);
	assert_int_equal(site_sum(root, "pthread_create", "unjoined", "live_count"), 0);
}

static void
test_threads_that_nobody_joined(void **state)
{
	(void)state;
	EACH(modes, i)
	with_reports("unjoined", modes[i], check_unjoined);
}

static void
check_detached(json_t *truth, json_t *root)
{
	int64_t stacks = class_figure(root, "thread stacks", "committed_bytes");
	int64_t noted = true_figure(truth, "stacks_committed");

	assert_int_equal(class_figure(root, "thread stacks", "reserved_bytes"),
			 true_figure(truth, "stacks_reserved"));
	assert_int_equal(class_figure(root, "ended threads' stacks", "reserved_bytes"),
			 true_figure(truth, "ended_reserved"));
	assert_int_equal(site_sum(root, "pthread_create", "detached", "live_count"), 4);
	assert_in_range(stacks, noted, noted + 4 * INT64_C(8192));
}

static void
test_threads_that_detach_themselves(void **state)
{
	(void)state;
	EACH(modes, i)
	{
		const char *trace = scratch_file("detached.vmt");
		json_t *truth = record_target("detached", modes[i], trace, 0);
		/* At the peak more of them run. */
		json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

		check_report(root);
		check_detached(truth, root);
		identities_check(root, "detached");
		json_decref(root);
		json_decref(truth);
	}
}

static void
check_c11(json_t *truth, json_t *root)
{
	assert_int_equal(class_figure(root, "thread stacks", "reserved_bytes"),
			 true_figure(truth, "stacks_reserved"));
	assert_int_equal(class_figure(root, "unattributed", "reserved_bytes"), 0);
	assert_int_equal(site_sum(root, "pthread_create", "c11", "count"), 5);
	assert_int_equal(site_sum(root, "pthread_create", "c11", "live_count"), 3);
}

static void
test_threads_of_c11(void **state)
{
	(void)state;
	EACH(modes, i)
	{
		const char *trace = scratch_file("c11.vmt");
		json_t *truth = record_target("c11", modes[i], trace, 0);
		json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

		check_report(root);
		check_c11(truth, root);
		json_decref(root);
		json_decref(truth);
	}
}

static void
check_given(json_t *truth, json_t *root)
{
	assert_int_equal(class_figure(root, "thread stacks", "reserved_bytes"), 0);
	assert_int_equal(site_sum(root, "pthread_create", "start_on", "total_reserved_bytes"), 0);
	assert_int_equal(site_sum(root, "pthread_create", "start_on", "count"), 3);
	assert_int_equal(site_sum(root, "mmap", "mapped_stack", "committed_bytes"),
			 true_figure(truth, "mapped_committed"));
}

static void
check_given_block(json_t *truth, json_t *root)
{
	check_given(truth, root);
	assert_int_equal(site_sum(root, "posix_memalign", "block_stack", "reserved_bytes"),
			 true_figure(truth, "given_bytes"));
	assert_int_equal(site_sum(root, "posix_memalign", "block_stack", "committed_bytes"),
			 true_figure(truth, "block_committed"));
}

static void
test_stacks_in_memory_of_others(void **state)
{
	(void)state;
	with_reports("given", "off", check_given);
	with_reports("given", "sampled", check_given_block);
	with_reports("given", "all", check_given_block);
}

/* No more than one of them ever had a stack: what grew is the leak. */
static void
test_joined_threads_do_not_add_up(void **state)
{
	const char *trace = scratch_file("joined.vmt");

	(void)state;
	EACH(modes, i)
	{
		json_decref(record_target("joined", modes[i], trace, 128 + 6));
		json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

		check_report(root);
		assert_int_equal(site_sum(root, "pthread_create", "joined", "count"), 300);
		assert_in_range(site_sum(root, "pthread_create", "joined", "grown_bytes"), 0,
				(8 << 20) + 4096);
		assert_in_range(site_sum(root, "pthread_create", "joined", "reserved_bytes"), 0,
				(8 << 20) + 4096);
		json_decref(root);
	}
}

/* The last snapshot is of the process as it stood when the first of them ended it. */
static void
test_threads_that_end_the_process_together(void **state)
{
	const char *trace = scratch_file("leaving.vmt");

	(void)state;
	for (int i = 0; i < 4; i++) {
		json_decref(record_target("leaving", "sampled", trace, 0));
		json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

		check_report(root);
		assert_int_equal(class_figure(root, "ended threads' stacks", "reserved_bytes"), 0);
		assert_int_equal(site_sum(root, "pthread_create", "leaving", "live_count"), 8);
		json_decref(root);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_arena_in_the_place_of_stacks),
	    cmocka_unit_test(test_threads_that_nobody_joined),
	    cmocka_unit_test(test_threads_that_detach_themselves),
	    cmocka_unit_test(test_threads_of_c11),
	    cmocka_unit_test(test_stacks_in_memory_of_others),
	    cmocka_unit_test(test_joined_threads_do_not_add_up),
	    cmocka_unit_test(test_threads_that_end_the_process_together),
	};

	return cmocka_run_group_tests_name("owners", tests, NULL, NULL);
}
