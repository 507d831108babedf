/*
 * test_fault_kernels.c: is it said what an older kernel, or a narrower place, can't tell of faults?
 *
 * Older kernels are played by errors of the collector's calls: the kernel answers EINVAL to what it
 * does not know.
 */
#include "collect/touch_events.h"
#include "tests/e2e/fault_events.h"
#include "tests/e2e/identities.h"
#include "tests/e2e/inject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROBES 4 /* of a kernel that knows nothing of what came after Linux 4.8 */

/* Records with so many of the first calls of perf_event_open answered by EINVAL. The call before
 * them asks whether there is a seccomp filter. */
static json_t *
record_with_old_kernel(long probes)
{
	const struct injection injection = {.whose = INJECT_COLLECTOR,
					    .first = 2,
					    .last = 1 + probes,
					    .error = EINVAL,
					    .source = "collect/touch_events.c"};
	const char *trace = scratch_file("old.vmt");
	const char *const *bare = preloaded(trace);
	const char *const environment[] = {bare[0], bare[1], "VMTRACE_TOUCH=1",
					   "VMTRACE_EXIT_WAIT=60s", NULL};
	struct injected injected;

	unlink(trace);
	inject_run(&injected, &injection,
		   (const char *const[]){built("tests/target/ordinary"), NULL}, environment);
	assert_string_equal(injected.run.err, "");
	assert_int_equal(injected.failed, probes);
	run_free(&injected.run);
	return report(trace, NULL);
}

static bool
is_said(json_t *root, const char *words)
{
	json_t *spots = member(member(root, "coverage"), "blind_spots");

	for (size_t i = 0; i < json_array_size(spots); i++)
		if (strstr(json_string_value(json_array_get(spots, i)), words))
			return true;
	return false;
}

/* Unknown are, one after the other: the losses that an event counts (Linux 6.0), inheritance by
 * threads alone (5.13), the size of a page (5.11), the copy of a stack. */
static void
older_kernels_tell_less_and_that_is_said(void **state)
{
	(void)state;
	if (lacks_events())
		skip();
	for (long probes = 0; probes <= PROBES; probes++) {
		json_t *root = record_with_old_kernel(probes);
		json_t *touch = member(root, "touch");

		check_report(root);
		identities_check(root, "an older kernel");
		assert_true(json_is_null(member(touch, "refused")));
		assert_true(number(touch, "samples") > 0);
		assert_int_equal(json_is_true(member(touch, "threads_to_come")), probes < 2);
		assert_int_equal(is_said(root, "threads that began later were not sampled"),
				 probes >= 2);
		assert_int_equal(json_is_true(member(touch, "page_sizes")), probes < 3);
		assert_int_equal(is_said(root, "did not tell the sizes of touched pages"),
				 probes >= 3);
		json_decref(root);
	}
}

/* Its root has no rights over the kernel's events. */
static void
a_user_namespace_has_samples_or_is_told(void **state)
{
	const char *trace = scratch_file("namespace.vmt");
	struct run run;
	json_t *root, *touch;

	(void)state;
	run_program(&run, (const char *const[]){"unshare", "-Ur", "true", NULL}, NULL);
	if (run.exit_status != 0) {
		printf("skip: no user namespaces here\n");
		run_free(&run);
		skip();
	}
	run_free(&run);
	run_program(&run,
		    (const char *const[]){"unshare", "-Ur", built("vmtrace"), "record", "--touch",
					  "1", "-o", trace, "--", built("tests/target/fault_steps"),
					  "at-once", "2000", NULL},
		    (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "touched "));
	run_free(&run);
	root = report(trace, NULL);
	check_report(root);
	identities_check(root, "a user namespace");
	touch = member(root, "touch");
	if (json_is_null(member(touch, "refused")))
		assert_true(number(touch, "samples") + number(touch, "lost") > 0);
	else
		assert_true(is_said(root, "the kernel refused to sample page faults"));
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(older_kernels_tell_less_and_that_is_said),
	    cmocka_unit_test(a_user_namespace_has_samples_or_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
