/*
 * test_advice.c: what did advice take, and what did it not?
 *
 *   call                 outcome                          row says
 *   process_madvise      refused (a flag)                 refused, took nothing
 *   process_madvise      stopped at its second range      one done, one refused
 *   process_madvise by   done                             done
 *   syscall()
 *   madvise              done, later refused              both, and the first one's figures
 *   madvise              refused half-way (locked pages)  refused, and what it took before
 *   MADV_PAGEOUT         done, without swap               took nothing
 *   MADV_DONTNEED        of shared memory                 left the process, stays in its file
 *   MADV_REMOVE          of shared memory                 taken from the file as well
 *   a number that no kernel knows                         refused, under its number
 *   MADV_DONTNEED        of a sealed mapping              refused, took nothing
 *   fallocate and ftruncate of a memfd                    what the file gave back
 *
 * And each call that has a hook by its name is seen by its number too.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>

static const char *const modes[] = {"off", "sampled", "all"};
static const char *const moments[] = {"end", "peak"};

#define EACH(list, item) for (size_t item = 0; item < sizeof(list) / sizeof((list)[0]); item++)

static void
record_outcomes(json_t **truth, const char *mode, const char *trace)
{
	struct run run;

	record(&run, trace, (const char *const[]){"--malloc", mode, NULL},
	       (const char *const[]){built("tests/target/advice_outcomes"), NULL});
	if (run.exit_status != 0)
		fail_msg("status %d: %s", run.exit_status, run.err);
	*truth = json_loads(run.out, 0, NULL);
	assert_non_null(*truth);
	run_free(&run);
}

static bool
is_by(json_t *row, const char *function)
{
	json_t *frame = json_array_get(member(row, "frames"), 0);
	const char *name = json_string_value(json_object_get(frame, "function"));

	return name && strcmp(name, function) == 0;
}

/* Over all rows of the function. */
static int64_t
sum(json_t *root, const char *function, const char *figure)
{
	int64_t total = 0;
	json_t *row;
	size_t i;

	json_array_foreach(member(root, "advice"), i, row) if (is_by(row, function)) total +=
	    number(row, figure);
	return total;
}

static const char *
advice_of(json_t *root, const char *function)
{
	json_t *row;
	size_t i;

	json_array_foreach(
	    member(root, "advice"), i,
	    row) if (is_by(row, function)) return json_string_value(member(row, "advice"));
	return "";
}

static int64_t
true_figure(json_t *truth, const char *function, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s", function, what);
	return number(member(truth, "figures"), name);
}

static void
check_row(json_t *truth, json_t *root, const char *function)
{
	int64_t taken = true_figure(truth, function, "taken");

	if (taken < 0) {
		print_message("skip: %s is not to be had here\n", function);
		return;
	}
	if (sum(root, function, "taken_bytes") != taken ||
	    sum(root, function, "calls") != true_figure(truth, function, "done") ||
	    sum(root, function, "failed_calls") != true_figure(truth, function, "failed"))
		fail_msg("%s: took %lld (%lld in truth), %lld done, %lld refused", function,
			 (long long)sum(root, function, "taken_bytes"), (long long)taken,
			 (long long)sum(root, function, "calls"),
			 (long long)sum(root, function, "failed_calls"));
}

static void
check_text(const char *trace)
{
	struct run run;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "report", "--at", "end", "--top", "40",
					  trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "2 MiB was shared: it stays in its file or segment"));
	assert_non_null(says(run.out, " was of files: unwritten pages stay in the page cache"));
	assert_non_null(says(run.out, "advice 77 unknown_advice"));
	assert_non_null(says(run.out, "fallocate(PUNCH_HOLE) punch_hole"));
	assert_non_null(says(run.out, "ftruncate cut_off"));
	assert_non_null(says(run.out, "freed in the file, for all processes that map it"));
	assert_non_null(says(run.out, "refused by the kernel"));
	run_free(&run);
}

static void
check_rows(json_t *truth, json_t *root)
{
	static const char *const functions[] = {
	    "vector_refused", "vector_partly",	 "vector_by_number", "done_then_refused",
	    "half_way",	      "page_out",	 "shared_dontneed",  "shared_remove",
	    "unknown_advice", "punch_hole",	 "punch_by_number",  "cut_off",
	    "punch_sealed",   "sealed_dontneed", "private_file"};

	check_report(root);
	EACH(functions, i) check_row(truth, root, functions[i]);
	assert_int_equal(sum(root, "shared_dontneed", "stayed_bytes"),
			 true_figure(truth, "shared_dontneed", "taken"));
	assert_int_equal(sum(root, "shared_remove", "stayed_bytes"), 0);
	assert_int_equal(sum(root, "shared_dontneed", "private_file_bytes"), 0);
	assert_int_equal(sum(root, "private_file", "stayed_bytes"), 0);
	assert_int_equal(sum(root, "private_file", "private_file_bytes"),
			 true_figure(truth, "private_file", "taken"));
	assert_int_equal(sum(root, "done_then_refused", "stayed_bytes"), 0);
	assert_int_equal(sum(root, "done_then_refused", "committed_before_bytes"),
			 true_figure(truth, "done_then_refused", "taken"));
	assert_string_equal(advice_of(root, "unknown_advice"), "advice 77");
}

/* Of the whole run, whichever moment the other figures are of. */
static void
test_what_advice_took(void **state)
{
	const char *trace = scratch_file("advice.vmt");
	json_t *truth;

	(void)state;
	EACH(modes, i)
	{
		record_outcomes(&truth, modes[i], trace);
		EACH(moments, j)
		{
			json_t *root =
			    report(trace, (const char *const[]){"--at", moments[j], NULL});

			check_rows(truth, root);
			json_decref(root);
		}
		check_text(trace);
		json_decref(truth);
	}
}

static size_t
count_events(json_t *events, const char *kind)
{
	json_t *event;
	size_t count = 0;
	size_t i;

	json_array_foreach(events, i, event)
	{
		const char *name = json_string_value(json_object_get(event, "kind"));

		count += name && strcmp(name, kind) == 0;
	}
	return count;
}

/* Beside the locks that the target makes by name: four. */
static void
test_calls_by_their_numbers(void **state)
{
	const char *trace = scratch_file("numbers.vmt");
	json_t *truth, *events;

	(void)state;
	record_outcomes(&truth, "off", trace);
	events = dump(trace, "event");
	assert_int_equal(count_events(events, "MLOCK"), 2 + 3);
	assert_int_equal(count_events(events, "MUNLOCK"), 2);
	assert_int_equal(count_events(events, "MPROTECT"), 2);
	assert_int_equal(count_events(events, "REMAP_FILE_PAGES"), 1);
	assert_int_equal(count_events(events, "FILE_RELEASE"), 4);
	json_decref(events);
	json_decref(truth);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_advice_took),
	    cmocka_unit_test(test_calls_by_their_numbers),
	};

	return cmocka_run_group_tests_name("advice", tests, NULL, NULL);
}
