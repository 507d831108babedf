/*
 * test_behaviour.c: is every figure of every site exact, to the page?
 *
 * Each target program keeps its own books (tests/target/truth.h). It is recorded, stands still, and
 * is looked at from outside: a snapshot on request must show the RSS that smaps_rollup shows. Then
 * it ends, and each figure of its books must stand in the report.
 */
#include "tests/e2e/books.h"
#include "tests/e2e/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t
rollup_rss(int64_t pid)
{
	char path[64];
	char text[4096];
	unsigned long kib = 0;

	snprintf(path, sizeof(path), "/proc/%lld/smaps_rollup", (long long)pid);
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	while (fgets(text, sizeof(text), file) != NULL)
		if (sscanf(text, "Rss: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return (int64_t)kib * 1024;
}

/* resident_bytes of the trace's snapshot that was asked for from outside. */
static int64_t
requested_rss(const char *trace)
{
	json_t *snapshots = dump(trace, "snapshot");
	json_t *row;
	size_t i;
	int64_t found = -1;

	json_array_foreach(snapshots, i, row)
	{
		if (strcmp(json_string_value(member(row, "reason")), "request") == 0)
			found = number(row, "resident_bytes");
	}
	json_decref(snapshots);
	return found;
}

static void
observe(const char *program, const char *argument)
{
	static struct conversation talk;
	const char *trace = scratch_file("behaviour.vmt");
	char target[4096];

	snprintf(target, sizeof(target), "tests/target/%s", program);
	const char *const argv[] = {built("vmtrace"), "record", "-o", trace,
				    "--malloc",	      "all",	"--", built(target),
				    argument,	      NULL};

	converse_start(&talk, argv, NULL);
	converse_read_line(&talk);
	json_t *truth = json_loads(talk.line, 0, NULL);

	assert_non_null(truth);
	living_snapshot(trace);
	int64_t outside = rollup_rss(number(truth, "pid"));

	assert_int_equal(WEXITSTATUS(converse_end(&talk)), 0);
	assert_int_equal(requested_rss(trace), outside);

	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

	check_report(root);
	books_compare_sites(truth, root);
	books_compare_advice(truth, root);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	json_decref(root);
	json_decref(truth);
}

#define BEHAVIOUR(name)                                                                            \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		observe(#name, NULL);                                                              \
	}

BEHAVIOUR(reserve_touch)
BEHAVIOUR(many_maps)
BEHAVIOUR(partial_munmap)
BEHAVIOUR(fixed_over_middle)
BEHAVIOUR(mremap_kinds)
BEHAVIOUR(mprotect_kinds)
BEHAVIOUR(advice)
BEHAVIOUR(shared_memfd)
BEHAVIOUR(file_half_read)
BEHAVIOUR(shmat)
BEHAVIOUR(brk_grow_shrink)
BEHAVIOUR(free_other_thread)
BEHAVIOUR(malloc_sites)
BEHAVIOUR(vast)

/* Committed bytes of a release over two sites are shared out by their lengths: the sum is exact. */
static void
test_spanning_release(void **state)
{
	const char *trace = scratch_file("spanning.vmt");
	struct run run;

	(void)state;
	record(&run, trace, NULL,
	       (const char *const[]){built("tests/target/spanning_release"), NULL});
	assert_int_equal(run.exit_status, 0);
	json_t *truth = json_loads(run.out, 0, NULL);
	json_t *figures = member(truth, "figures");
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	int64_t low = site_sum(root, "mmap", "map_low", "released_committed_bytes");
	int64_t high = site_sum(root, "mmap", "map_high", "released_committed_bytes");

	check_report(root);
	assert_int_equal(low + high, number(figures, "released_committed_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_low", "released_bytes"),
			 number(figures, "low_released_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_high", "released_bytes"),
			 number(figures, "high_released_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_low", "committed_bytes"),
			 number(figures, "low_committed_bytes"));
	assert_int_equal(site_sum(root, "mmap", "map_high", "committed_bytes"),
			 number(figures, "high_committed_bytes"));
	/* The first release: 3 of its 4 MiB are the low site's. */
	assert_true(low > 0 && high > low);
	json_decref(root);
	json_decref(truth);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reserve_touch),    cmocka_unit_test(test_many_maps),
	    cmocka_unit_test(test_partial_munmap),   cmocka_unit_test(test_fixed_over_middle),
	    cmocka_unit_test(test_mremap_kinds),     cmocka_unit_test(test_mprotect_kinds),
	    cmocka_unit_test(test_advice),	     cmocka_unit_test(test_shared_memfd),
	    cmocka_unit_test(test_file_half_read),   cmocka_unit_test(test_shmat),
	    cmocka_unit_test(test_brk_grow_shrink),  cmocka_unit_test(test_free_other_thread),
	    cmocka_unit_test(test_malloc_sites),     cmocka_unit_test(test_vast),
	    cmocka_unit_test(test_spanning_release),
	};

	return cmocka_run_group_tests_name("behaviour", tests, NULL, NULL);
}
