/*
 * test_identities.c: does every report agree with itself?
 *
 * Every kind of row there is: mmap, mremap (grown, shrunk, moved, left empty), brk, shmat,
 * pthread_create (stacks that run, that glibc keeps, that nobody joined, that the program gave),
 * malloc and its like, "before start" of fork children, hugetlb, mappings that grow down. Each
 * target in one mode of malloc, with sampled page faults where the kernel allows them, in the long
 * form in all three; at the end and at the peak, of each process that it makes.
 */
#include "tests/e2e/harness.h"
#include "tests/e2e/identities.h"
#include "tests/soak.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNAVAILABLE 77

static const char *const modes[] = {"off", "sampled", "all"};
static const char *const moments[] = {"end", "peak"};

#define EACH(list, item) for (size_t item = 0; item < sizeof(list) / sizeof((list)[0]); item++)

static const char *const targets[][3] = {
    {"advice"},
    {"advice_outcomes"},
    {"brk_grow_shrink"},
    {"cancelled"},
    {"cxx_frames"},
    {"cxx_threads"},
    {"dlopen_loop"},
    {"file_half_read"},
    {"fixed_over_middle"},
    {"fork_share"},
    {"fork_with_threads"},
    {"free_other_thread"},
    {"grows_down"},
    {"handoff"},
    {"kernel_figures"},
    {"lock_all"},
    {"long_calls"},
    {"malloc_sites"},
    {"many_stacks"},
    {"moments"},
    {"mprotect_kinds"},
    {"mremap_kinds"},
    {"page_states", "guard"},
    {"page_states", "hugetlb-anonymous"},
    {"page_states", "hugetlb-memfd"},
    {"page_states", "hugetlb-segment"},
    {"page_states", "private"},
    {"page_states", "shared"},
    {"page_states", "wp"},
    {"partial_munmap"},
    {"random_maps", "1"},
    {"random_maps", "2"},
    {"random_maps", "3"},
    {"raw_syscalls"},
    {"reserve_touch"},
    {"sampled_blocks"},
    {"shared_memfd"},
    {"shmat"},
    {"spanning_release"},
    {"spike"},
    {"thread_owners", "arenas"},
    {"thread_owners", "given"},
    {"thread_owners", "joined"},
    {"thread_owners", "unjoined"},
    {"thread_owners", "detached"},
    {"threads_at_once"},
    {"tls_destructor_malloc"},
    {"vast"},
};

/* Each trace of it and of its children; they are removed. */
static size_t
check_traces(const char *what)
{
	glob_t found;
	size_t count;

	assert_int_equal(glob(scratch_file("identities*.vmt"), 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		EACH(moments, j)
		{
			json_t *root = report(found.gl_pathv[i],
					      (const char *const[]){"--at", moments[j], NULL});

			if (json_is_true(member(member(root, "snapshot"), "taken"))) {
				check_report(root);
				identities_check(root, what);
			}
			json_decref(root);
		}
		unlink(found.gl_pathv[i]);
	}
	count = found.gl_pathc;
	globfree(&found);
	return count;
}

static void
check_target(const char *const target[3], const char *mode)
{
	char program[256];
	char what[300];
	struct run run;

	snprintf(program, sizeof(program), "tests/target/%s", target[0]);
	snprintf(what, sizeof(what), "%s %s in %s", target[0], target[1] ? target[1] : "", mode);
	record(&run, scratch_file("identities.vmt"),
	       (const char *const[]){"--malloc", mode, "--touch", "7", NULL},
	       (const char *const[]){built(program), target[1], NULL});
	if (run.exit_status == UNAVAILABLE)
		print_message("skip: %s is not to be had here\n", what);
	assert_true(check_traces(what) > 0);
	run_free(&run);
}

static void
test_every_kind_of_row(void **state)
{
	size_t tried = (size_t)soak_count(1, 3);

	(void)state;
	EACH(targets, i)
	{
		for (size_t mode = 0; mode < tried; mode++)
			check_target(targets[i], modes[(i + mode) % 3]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_kind_of_row)};

	return cmocka_run_group_tests_name("identities", tests, NULL, NULL);
}
