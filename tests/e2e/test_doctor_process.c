/*
 * test_doctor_process.c: does the doctor tell whether a running process is being recorded?
 *
 * Asked for processes that have the library loaded: one that is recorded, and each way not to be.
 */
#include "tests/e2e/inject.h"
#include "tests/e2e/living.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
doctor(struct run *run, int pid)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	setenv("COLUMNS", "1000", 1);
	run_program(run, (const char *const[]){built("vmtrace"), "doctor", number, NULL}, NULL);
	unsetenv("COLUMNS");
	assert_int_equal(run->exit_status, 0);
	/* That is of the doctor's own directory. */
	assert_null(says(run->out, "output:"));
}

static void
check_verdict(const char *out, const char *verdict)
{
	const char *end = out + strlen(out);

	assert_true(strlen(out) > strlen(verdict) + 2);
	assert_int_equal(end[-1], '\n');
	assert_int_equal(strncmp(end - 1 - strlen(verdict), verdict, strlen(verdict)), 0);
	assert_int_equal(end[-2 - (int)strlen(verdict)], '\n');
}

/* A cat, which has started once it answers. */
static void
start_cat(struct conversation *talk, const char *output, const char *only)
{
	const char *const *preload = preloaded(output);

	converse_start(talk, (const char *const[]){"cat", NULL},
		       (const char *const[]){preload[0], preload[1], only, NULL});
	assert_int_equal(write(talk->to, "\n", 1), 1);
	converse_read_line(talk);
}

static void
test_recorded(void **state)
{
	const char *trace = scratch_file("cat.vmt");
	char line[PATH_MAX + 64];
	struct conversation talk;
	struct run run;

	(void)state;
	start_cat(&talk, trace, NULL);
	doctor(&run, talk.pid);
	snprintf(line, sizeof(line), "process %d is being recorded: %s\n", (int)talk.pid, trace);
	assert_non_null(says(run.out, line));
	check_verdict(run.out, "Is being recorded.");
	run_free(&run);
	/* Of one whose trace has no name any more it never says that nothing is recorded. */
	assert_int_equal(unlink(trace), 0);
	doctor(&run, talk.pid);
	assert_null(says(run.out, "records nothing"));
	assert_non_null(says(run.out, "cat.vmt (deleted)"));
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
}

static void
expect_nothing_recorded(const char *output, const char *only)
{
	struct conversation talk;
	struct run run;

	start_cat(&talk, output, only);
	doctor(&run, talk.pid);
	assert_non_null(says(run.out, "but records nothing: no trace is mapped there"));
	assert_null(says(run.out, "is being recorded"));
	check_verdict(run.out, "Can be recorded after a restart.");
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
}

static void
test_loaded_alone(void **state)
{
	(void)state;
	expect_nothing_recorded(scratch_file("only.vmt"), "VMTRACE_ONLY=another");
	expect_nothing_recorded(scratch_file("no-such-directory/x.vmt"), NULL);
}

/* It has its parent's trace mapped until it calls something. */
static void
test_silent_child(void **state)
{
	struct conversation talk;
	struct run run;
	char words[64];
	int child, parent;

	(void)state;
	converse_start(&talk,
		       (const char *const[]){built("tests/target/fork_silent"), "wait", NULL},
		       preloaded(scratch_file("silent.%p.vmt")));
	converse_read_line(&talk);
	assert_int_equal(sscanf(talk.line, "%d %d", &child, &parent), 2);
	doctor(&run, child);
	snprintf(words, sizeof(words), "no trace of its own, but that of process %d: ", parent);
	assert_non_null(says(run.out, words));
	check_verdict(run.out, "Whether it is being recorded is not known: see the notes above.");
	run_free(&run);
	doctor(&run, parent);
	check_verdict(run.out, "Is being recorded.");
	run_free(&run);
	converse_end(&talk);
}

/* The file system of its trace has no shared mappings: a shell asks for itself. */
static void
test_head_aside(void **state)
{
	struct injection injection = {.whose = INJECT_PROGRAM, .unmappable = scratch()};
	struct injected injected;
	const char *environment[5] = {NULL, NULL, "VMTRACE_ONLY=sh,dash", "COLUMNS=1000", NULL};
	char command[PATH_MAX + 64];

	(void)state;
	memcpy(environment, preloaded(scratch_file("aside.%p.vmt")), 2 * sizeof(environment[0]));
	snprintf(command, sizeof(command), "env -u LD_PRELOAD %s doctor $$; true",
		 built("vmtrace"));
	inject_run(&injected, &injection, (const char *const[]){"/bin/sh", "-c", command, NULL},
		   environment);
	assert_int_equal(injected.run.exit_status, 0);
	assert_non_null(says(injected.run.out, "is being recorded; the trace's file system has "
					       "no shared mappings"));
	check_verdict(injected.run.out, "Is being recorded.");
	run_free(&injected.run);
}

/* Root alone may make a /proc that hides others' processes from nobody. */
static void
run_hidden(struct run *run, const char *command, const char *operand)
{
	static const char script[] =
	    "mount -t proc -o hidepid=2 none /proc || exit 77; exec setpriv "
	    "--reuid=65534 --regid=65534 --clear-groups \"$@\"";
	const char *const argv[] = {
	    "unshare", "-m",	"sh", "-c", script, "sh", built_for_others("vmtrace"),
	    command,   operand, NULL};

	run_program(run, argv, (const char *const[]){"COLUMNS=1000", NULL});
	if (geteuid() != 0 || run->exit_status == 77 || says(run->err, "unshare failed")) {
		run_free(run);
		printf("skip: no leave to mount a /proc\n");
		skip();
	}
}

static void
test_hidden(void **state)
{
	const char *trace = scratch_file("hidden.vmt");
	struct conversation talk;
	char number[16];
	struct run run;

	(void)state;
	start_cat(&talk, trace, NULL);
	snprintf(number, sizeof(number), "%d", (int)talk.pid);
	run_hidden(&run, "doctor", number);
	assert_int_equal(run.exit_status, 2);
	assert_non_null(says(run.err, "can't be seen: /proc hides it (hidepid=)"));
	run_free(&run);
	run_hidden(&run, "doctor", "999999999");
	assert_non_null(says(run.err, "there is no process 999999999"));
	run_free(&run);
	assert_int_equal(chmod(trace, 0644), 0);
	run_hidden(&run, "report", trace);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "/proc hides who has its number (hidepid=)"));
	assert_null(says(run.out, "killed; no collector"));
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
}

/* Neither doctor nor report takes a trace that nobody writes on for one of now. */
static void
test_collector_gone(void **state)
{
	static const char silent[] = "its collector is gone, or does not answer";
	const char *trace = scratch_file("alone/cat.vmt");
	struct conversation talk;
	struct run run;
	json_t *root;

	(void)state;
	assert_int_equal(mkdir(scratch_file("alone"), 0755), 0);
	start_cat(&talk, trace, NULL);
	pid_t collector = living_collector(trace);

	living_snapshot(trace);
	assert_int_equal(kill(collector, SIGKILL), 0);
	living_wait_gone(scratch_file("alone"));
	doctor(&run, talk.pid);
	assert_null(says(run.out, "is being recorded"));
	check_verdict(run.out, "Is not recorded as it should be: no collector of it answers.");
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), "report", trace, NULL},
		    (const char *const[]){"COLUMNS=1000", NULL});
	assert_non_null(says(run.out, silent));
	assert_non_null(says(run.out, " (last "));
	assert_null(says(run.out, " (now "));
	run_free(&run);
	root = report(trace, NULL);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "running");
	assert_true(json_is_true(member(member(root, "process"), "uncollected")));
	json_decref(root);
	assert_int_equal(converse_end(&talk), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recorded),	 cmocka_unit_test(test_loaded_alone),
	    cmocka_unit_test(test_silent_child), cmocka_unit_test(test_head_aside),
	    cmocka_unit_test(test_hidden),	 cmocka_unit_test(test_collector_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
