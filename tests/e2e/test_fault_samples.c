/*
 * test_fault_samples.c: is every page fault of a process in its trace, or counted?
 *
 * A target touches pages once the collector has its events open, and says by getrusage how many
 * faults that took. Then the same where the kernel refuses: the program must not notice, and the
 * trace has to say why.
 * Over 500 lines: one case a way in which faults come, or are refused.
 */
#include "collect/touch_events.h"
#include "tests/e2e/fault_events.h"
#include "tests/e2e/inject.h"
#include "tests/soak.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 2000
/* Faults of the process beside those of its region: of its end, and of threads. */
#define OTHER_FAULTS 300

struct touched {
	unsigned long long address;
	long pages;
	long faults;
};

static long
processors(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static void
go_on(struct conversation *talk)
{
	assert_int_equal(write(talk->to, "\n", 1), 1);
}

static struct touched
read_touched(struct conversation *talk)
{
	struct touched touched;

	converse_read_line(talk);
	assert_int_equal(sscanf(talk->line, "touched %llx %ld %ld", &touched.address,
				&touched.pages, &touched.faults),
			 3);
	return touched;
}

static void
assert_no_events_inside(struct conversation *talk)
{
	converse_read_line(talk);
	assert_string_equal(talk->line, "events 0");
}

/* Samples in a region, each page once; *all: of the process. */
static long
pages_sampled(const char *trace, const struct touched *touched, long *all)
{
	json_t *samples = dump(trace, "touch");
	unsigned long long page_bytes = (unsigned long long)sysconf(_SC_PAGESIZE);
	unsigned char *seen = calloc((size_t)touched->pages, 1);
	long count = 0;

	assert_non_null(seen);
	*all = (long)json_array_size(samples);
	for (size_t i = 0; i < json_array_size(samples); i++) {
		const char *text = json_string_value(member(json_array_get(samples, i), "address"));
		unsigned long long page =
		    (strtoull(text, NULL, 16) - touched->address) / page_bytes;

		if (page < (unsigned long long)touched->pages) {
			count += !seen[page];
			seen[page] = 1;
		}
	}
	free(seen);
	json_decref(samples);
	return count;
}

/* 0 where it is not said. */
static int64_t
loss(const char *trace, const char *key)
{
	json_t *records = dump(trace, "loss");
	int64_t value;

	assert_int_equal(json_array_size(records), 1);
	value = json_integer_value(json_object_get(json_array_get(records, 0), key));
	json_decref(records);
	return value;
}

/* At period 1: what was sampled and what was lost are all there were. */
static void
check_all(const char *trace, const struct touched *touched)
{
	long all;
	long sampled = pages_sampled(trace, touched, &all);
	int64_t lost = loss(trace, "touches_lost");
	int64_t minor = loss(trace, "minor_faults");

	assert_true(touched->faults >= touched->pages);
	assert_true(sampled + lost >= touched->pages);
	assert_true(lost != 0 || sampled == touched->pages);
	assert_true(sampled > 0);
	assert_true(all + lost <= touched->faults + OTHER_FAULTS);
	assert_in_range(minor, touched->faults, touched->faults + OTHER_FAULTS);
	assert_int_equal(loss(trace, "touches_read"), all);
}

static void
start(struct conversation *talk, const char *trace, const char *period, const char *kind,
      const char *threads)
{
	char pages[16];

	snprintf(pages, sizeof(pages), "%d", PAGES);
	converse_start(talk,
		       (const char *const[]){built("vmtrace"), "record", "--touch", period, "-o",
					     trace, "--", built("tests/target/fault_steps"), kind,
					     pages, threads, NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	converse_read_line(talk);
}

static void
every_fault_is_sampled_or_counted(void **state)
{
	const char *trace = scratch_file("pages.vmt");
	struct conversation talk;
	struct touched touched;

	(void)state;
	if (lacks_events())
		skip();
	start(&talk, trace, "1", "pages", NULL);
	wait_for_events(trace);
	go_on(&talk);
	touched = read_touched(&talk);
	assert_no_events_inside(&talk);
	assert_int_equal(converse_end(&talk), 0);
	check_all(trace, &touched);
}

/* The start waits for the collector, but not for ever: on a busy machine it may be too late once.
 */
static void
faults_of_the_start_are_among_them(void **state)
{
	const char *trace = scratch_file("start.vmt");
	long sampled = 0;
	int64_t lost = 0;

	(void)state;
	if (lacks_events())
		skip();
	for (unsigned i = 0; i < 10 && sampled + lost < PAGES; i++) {
		struct conversation talk;
		struct touched touched;
		long all;

		start(&talk, trace, "1", "at-once", NULL);
		assert_int_equal(sscanf(talk.line, "touched %llx %ld %ld", &touched.address,
					&touched.pages, &touched.faults),
				 3);
		assert_no_events_inside(&talk);
		assert_int_equal(converse_end(&talk), 0);
		sampled = pages_sampled(trace, &touched, &all);
		lost = loss(trace, "touches_lost");
	}
	assert_true(sampled > 0 && sampled + lost >= PAGES);
}

/* A sample is due at about each 61st of a thread on each processor; when the number slips, each
 * begins anew. */
static void
a_period_samples_one_in_so_many(void **state)
{
	const char *trace = scratch_file("period.vmt");
	struct conversation talk;
	struct touched touched;
	long all, sampled;

	(void)state;
	if (lacks_events())
		skip();
	start(&talk, trace, "61", "pages", NULL);
	wait_for_events(trace);
	go_on(&talk);
	touched = read_touched(&talk);
	assert_no_events_inside(&talk);
	assert_int_equal(converse_end(&talk), 0);
	sampled = pages_sampled(trace, &touched, &all);
	assert_true(all + loss(trace, "touches_lost") >= touched.pages / 71 - 3 * processors());
	assert_true(all <= (touched.faults + OTHER_FAULTS) / 53);
	assert_true(sampled <= all);
}

static void
threads_that_come_later_are_sampled(void **state)
{
	const char *trace = scratch_file("threads.vmt");
	struct conversation talk;
	struct touched touched;

	(void)state;
	if (lacks_events())
		skip();
	start(&talk, trace, "1", "threads", "8");
	wait_for_events(trace);
	go_on(&talk);
	touched = read_touched(&talk);
	assert_int_equal(touched.pages, 8 * PAGES);
	assert_no_events_inside(&talk);
	assert_int_equal(converse_end(&talk), 0);
	check_all(trace, &touched);
}

static int
pid_said(const struct conversation *talk, const char *word)
{
	int pid = 0;

	assert_memory_equal(talk->line, word, strlen(word));
	assert_int_equal(sscanf(talk->line + strlen(word), "%d", &pid), 1);
	return pid;
}

/* The child's samples are in its trace, and the parent's in its own. */
static void
fork_children_have_their_own(void **state)
{
	const char *pattern = scratch_file("fork.%p.vmt");
	struct touched of_child, of_parent;
	struct conversation talk;
	char name[64];
	char child_trace[4096];
	long all;

	(void)state;
	if (lacks_events())
		skip();
	start(&talk, pattern, "1", "fork", NULL);
	snprintf(name, sizeof(name), "fork.%d.vmt", pid_said(&talk, "child "));
	snprintf(child_trace, sizeof(child_trace), "%s", scratch_file(name));
	wait_for_events(child_trace);
	go_on(&talk);
	of_child = read_touched(&talk);
	assert_no_events_inside(&talk);
	converse_read_line(&talk);
	snprintf(name, sizeof(name), "fork.%d.vmt", pid_said(&talk, "ready "));
	go_on(&talk);
	of_parent = read_touched(&talk);
	assert_no_events_inside(&talk);
	assert_int_equal(converse_end(&talk), 0);
	check_all(child_trace, &of_child);
	check_all(scratch_file(name), &of_parent);
	/* The regions lie at one address each: what is told apart is the count. */
	(void)pages_sampled(child_trace, &of_child, &all);
	assert_true(all <= of_child.faults + OTHER_FAULTS);
}

/* Whether a trace says how many faults its process had. */
static bool
knows_faults(const char *trace)
{
	json_t *records = dump(trace, "loss");
	bool known = json_object_get(json_array_get(records, 0), "minor_faults") != NULL;

	json_decref(records);
	return known;
}

/* The events go over to the program that is executed, and the kernel counts on: how many faults the
 * one before had is not known, but where it was read before. */
static void
an_executed_program_has_its_own(void **state)
{
	const char *first = scratch_file("exec.vmt");
	struct conversation talk;
	struct touched touched;
	char command[PATH_MAX + 64];
	char name[64];
	const char *trace;
	long all;

	(void)state;
	if (lacks_events())
		skip();
	snprintf(command, sizeof(command), "exec %s pages %d", built("tests/target/fault_steps"),
		 PAGES);
	converse_start(&talk,
		       (const char *const[]){built("vmtrace"), "record", "--touch", "1", "-o",
					     first, "--", "/bin/sh", "-c", command, NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	converse_read_line(&talk);
	snprintf(name, sizeof(name), "exec.%d.vmt", pid_said(&talk, "ready "));
	trace = scratch_file(name);
	wait_for_events(trace);
	go_on(&talk);
	touched = read_touched(&talk);
	assert_no_events_inside(&talk);
	assert_int_equal(converse_end(&talk), 0);
	check_all(trace, &touched);
	assert_true(knows_faults(trace));
	assert_int_equal(loss(first, "touches_refused"), 0);
	if (knows_faults(first))
		assert_true(loss(first, "minor_faults") < touched.pages);
	(void)pages_sampled(first, &touched, &all);
	assert_true(all < touched.pages);
}

/* Run without the library, the output is the same but for addresses and pids. */
static void
check_refused(const char *const wrapped[], const char *trace, int error)
{
	struct conversation talk;
	struct touched touched;
	long all;

	converse_start(&talk, wrapped, (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	converse_read_line(&talk);
	go_on(&talk);
	touched = read_touched(&talk);
	assert_int_equal(touched.pages, PAGES);
	assert_no_events_inside(&talk);
	assert_int_equal(converse_end(&talk), 0);
	assert_int_equal(pages_sampled(trace, &touched, &all), 0);
	assert_int_equal(all, 0);
	assert_int_equal(loss(trace, "touches_refused"), error);
}

static void
check_committed(const char *trace)
{
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_true(peak_rss(root) >= (int64_t)PAGES * sysconf(_SC_PAGESIZE));
	json_decref(root);
}

/* The filter's answer: an errno, or "kill". */
static void
check_filtered(const char *answer, int error)
{
	const char *trace = scratch_file("filter.vmt");
	char pages[16];

	snprintf(pages, sizeof(pages), "%d", PAGES);
	check_refused((const char *const[]){built("tests/target/without_perf"), answer,
					    built("vmtrace"), "record", "--touch", "61", "-o",
					    trace, "--", built("tests/target/fault_steps"), "pages",
					    pages, NULL},
		      trace, error);
	check_committed(trace);
}

static void
a_filter_that_refuses_harms_nothing(void **state)
{
	static const int errors[] = {EPERM, ENOSYS, EACCES, EMFILE, ENOMEM};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		char error[16];

		snprintf(error, sizeof(error), "%d", errors[i]);
		check_filtered(error, errors[i]);
	}
}

static void
a_filter_that_kills_is_told(void **state)
{
	(void)state; /* the collector would die of its own call, and with it all snapshots */
	check_filtered("kill", EPERM);
}

static void
descriptors_are_left_to_what_needs_them(void **state)
{
	const char *trace = scratch_file("limit.vmt");
	char pages[16];

	(void)state;
	if (lacks_events())
		skip();
	snprintf(pages, sizeof(pages), "%d", PAGES);
	check_refused((const char *const[]){"prlimit", "--nofile=72:72", built("vmtrace"), "record",
					    "--touch", "1", "-o", trace, "--",
					    built("tests/target/fault_steps"), "pages", pages,
					    NULL},
		      trace, EMFILE);
	check_committed(trace);
}

/* Without privileges: as many rings as locked memory allows, and no faults in kernel mode. */
static void
an_ordinary_user_has_samples_or_is_told(void **state)
{
	const char *trace = scratch_file("user.vmt");
	const char *vmtrace = built_for_others("vmtrace");
	const char *target = built_for_others("tests/target/fault_steps");
	struct conversation talk;
	struct touched touched;

	(void)state;
	if (geteuid() != 0) {
		printf("skip: only root can become another user\n");
		skip();
	}
	(void)built_for_others("libvmtrace.so");
	unlink(trace);
	converse_start(&talk,
		       (const char *const[]){"setpriv", "--reuid", "65534", "--regid", "65534",
					     "--clear-groups", vmtrace, "record", "--touch", "1",
					     "-o", trace, "--", target, "pages", "2000", NULL},
		       (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	converse_read_line(&talk);
	wait_for_events(trace);
	go_on(&talk);
	touched = read_touched(&talk);
	assert_no_events_inside(&talk);
	assert_int_equal(converse_end(&talk), 0);
	if (loss(trace, "touches_refused") == 0)
		check_all(trace, &touched);
	else
		assert_int_equal(loss(trace, "touches_read"), 0);
}

/* One call that the collector makes for page faults is refused, or all from there on. The program
 * ends as it would, and its trace has the rest. Returns how many such calls there were. */
static long
refuse_calls(long first, long last, int error, const struct run *expected)
{
	const struct injection injection = {.whose = INJECT_COLLECTOR,
					    .first = first,
					    .last = last,
					    .error = error,
					    .source = "collect/touch_"};
	const char *trace = scratch_file("refused.vmt");
	const char *const *bare = preloaded(trace);
	const char *const environment[] = {bare[0], bare[1], "VMTRACE_TOUCH=61",
					   "VMTRACE_EXIT_WAIT=60s", NULL};
	struct injected injected;
	json_t *root;
	long calls;

	unlink(trace);
	inject_run(&injected, &injection,
		   (const char *const[]){built("tests/target/ordinary"), NULL}, environment);
	if (injected.run.exit_status != expected->exit_status ||
	    strcmp(injected.run.out, expected->out) != 0 || injected.run.err[0] != '\0' ||
	    injected.lingered)
		fail_msg("%s, %s: status %#x, %s%s", injected.where, strerror(error),
			 injected.run.wait_status, injected.run.out, injected.run.err);
	calls = injected.calls;
	run_free(&injected.run);
	root = report(trace, NULL);
	check_report(root);
	json_decref(root);
	assert_true(loss(trace, "events_read") > 0);
	/* Sampled, or refused with a reason. */
	if (last == LONG_MAX && first == 1)
		assert_int_equal(loss(trace, "touches_refused"), error);
	return calls;
}

static void
a_call_that_fails_harms_nothing(void **state)
{
	static const int errors[] = {EPERM, EMFILE, ENOSYS, ENOMEM, EACCES};
	const long count = sizeof(errors) / sizeof(*errors);
	const long step = soak_count(7, 1);
	struct injection none = {.whose = INJECT_COLLECTOR};
	struct injected bare;
	long calls;

	(void)state;
	if (lacks_events())
		skip();
	inject_run(&bare, &none, (const char *const[]){built("tests/target/ordinary"), NULL}, NULL);
	calls = refuse_calls(0, 0, EPERM, &bare.run);
	assert_true(calls > 10);
	for (long i = 0; i < count; i++)
		(void)refuse_calls(1, LONG_MAX, errors[i], &bare.run);
	for (long first = 1; first <= calls; first += step)
		for (long i = 0; i < count; i += soak_count(count, 1)) {
			int error = errors[(first / step + i) % count];

			(void)refuse_calls(first, first, error, &bare.run);
			(void)refuse_calls(first, LONG_MAX, error, &bare.run);
		}
	run_free(&bare.run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_fault_is_sampled_or_counted),
	    cmocka_unit_test(faults_of_the_start_are_among_them),
	    cmocka_unit_test(a_period_samples_one_in_so_many),
	    cmocka_unit_test(threads_that_come_later_are_sampled),
	    cmocka_unit_test(fork_children_have_their_own),
	    cmocka_unit_test(an_executed_program_has_its_own),
	    cmocka_unit_test(a_filter_that_refuses_harms_nothing),
	    cmocka_unit_test(a_filter_that_kills_is_told),
	    cmocka_unit_test(a_call_that_fails_harms_nothing),
	    cmocka_unit_test(descriptors_are_left_to_what_needs_them),
	    cmocka_unit_test(an_ordinary_user_has_samples_or_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
