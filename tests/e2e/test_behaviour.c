/*
 * test_behaviour.c: is every figure of every site exact, to the page?
 *
 * Each target program keeps its own books (tests/target/truth.h). It is recorded, stands still, and
 * is looked at from outside: a snapshot on request must show the RSS that smaps_rollup shows. Then
 * it ends, and each figure of its books must stand in the report.
 */
#include "tests/e2e/books.h"

#include "format/head.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Asks the collector for a snapshot as the traced program itself would, and waits until it is
 * there. */
static void
request_snapshot(const char *trace)
{
	int fd = open(trace, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	struct vmt_head *head =
	    mmap(NULL, sizeof(*head), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	assert_ptr_not_equal(head, MAP_FAILED);
	uint32_t wanted = vmt_atomic_add_relaxed(&head->snapshot_wanted, 1) + 1;

	for (int tries = 0; (int32_t)(vmt_atomic_load_acquire(&head->snapshot_done) - wanted) < 0;
	     tries++) {
		assert_true(tries < 10000);
		poll(NULL, 0, 1);
	}
	munmap(head, sizeof(*head));
}

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
	const char *const argv[] = {built("vmtrace"), "dump", "--format", "json", trace, NULL};
	struct run run;
	int64_t found = -1;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	for (char *line = strtok(run.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		json_t *row = json_loads(line, 0, NULL);

		assert_non_null(row);
		if (strcmp(json_string_value(member(row, "record")), "snapshot") == 0 &&
		    strcmp(json_string_value(member(row, "reason")), "request") == 0)
			found = number(row, "resident_bytes");
		json_decref(row);
	}
	run_free(&run);
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
	request_snapshot(trace);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reserve_touch),   cmocka_unit_test(test_many_maps),
	    cmocka_unit_test(test_partial_munmap),  cmocka_unit_test(test_fixed_over_middle),
	    cmocka_unit_test(test_mremap_kinds),    cmocka_unit_test(test_mprotect_kinds),
	    cmocka_unit_test(test_advice),	    cmocka_unit_test(test_shared_memfd),
	    cmocka_unit_test(test_file_half_read),  cmocka_unit_test(test_shmat),
	    cmocka_unit_test(test_brk_grow_shrink), cmocka_unit_test(test_free_other_thread),
	    cmocka_unit_test(test_malloc_sites),
	};

	return cmocka_run_group_tests_name("behaviour", tests, NULL, NULL);
}
