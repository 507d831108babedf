/*
 * test_surroundings.c: does a program run the same when its surroundings fail the library?
 *
 * Disks that are full from the start or become so, limits, missing directories and file systems,
 * traces that are deleted. Output and exit status are those of the program alone, the library says
 * one line at most, and what is left of a trace is read or refused in one line.
 */
#include "tests/e2e/harness.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A script for sh in a mount namespace of its own; "$@" is the program, $D the directory of its
 * traces, and what is mounted there goes with the namespace: $KEEP saves the traces as they are
 * when the program ends. */
struct place {
	const char *name;
	const char *script;
	size_t traces; /* how many to expect at least */
};

#define RUN_AND_KEEP "\"$@\"; status=$?; cp $D/t.*.vmt $D.kept 2>/dev/null; exit $status"
#define TMPFS(size, traces)                                                                        \
	{                                                                                          \
		"a disk of " size, "mount -t tmpfs -o size=" size " none $D; " RUN_AND_KEEP,       \
		    traces                                                                         \
	}
#define FILLED(after)                                                                              \
	{                                                                                          \
		"a disk that is full after " after " s",                                           \
		    "mount -t tmpfs -o size=40m none $D; "                                         \
		    "(sleep " after "; cat /dev/zero >$D/rest 2>/dev/null) & " RUN_AND_KEEP,       \
		    0                                                                              \
	}
#define LIMIT(blocks, traces)                                                                      \
	{                                                                                          \
		"files of " blocks " blocks at most", "ulimit -f " blocks "; exec \"$@\"", traces  \
	}

static const struct place places[] = {
    TMPFS("4k", 0),
    TMPFS("300k", 0),
    TMPFS("312k", 0),
    TMPFS("1m", 0),
    TMPFS("2m", 0),
    TMPFS("3m", 0),
    TMPFS("4m", 0),
    TMPFS("20m", 0),
    TMPFS("60m", 2),
    FILLED("0.01"),
    FILLED("0.05"),
    FILLED("0.1"),
    FILLED("0.2"),
    LIMIT("0", 0),
    LIMIT("100", 0),
    LIMIT("1400", 0),
    LIMIT("2400", 0),
    LIMIT("5272", 0),
    LIMIT("5280", 0),
    LIMIT("60000", 3),
    {"a read-only directory", "mount -t tmpfs -o ro none $D; exec \"$@\"", 0},
    {"somebody else's directory",
     "mount -t tmpfs -o mode=0755 none $D; exec setpriv --reuid 65534 --regid 65534 "
     "--clear-groups \"$@\"",
     0},
    {"no directory", "rmdir $D; exec \"$@\"", 0},
    {"a file for a directory", "rmdir $D; : >$D; exec \"$@\"", 0},
    {"no fallocate", "mount -t ramfs none $D; " RUN_AND_KEEP, 3},
    {"a directory that is deleted",
     "(for i in 1 2 3 4 5 6 7 8 9; do sleep 0.01; ls $D/t.* && rm -rf $D; done) >/dev/null 2>&1 & "
     "\"$@\"; status=$?; wait; exit $status",
     0},
    {"no /proc", "umount -l /proc; exec \"$@\"", 3},
    {"no /proc, no /sys, no /dev/shm",
     "mount -t tmpfs -o ro none /dev/shm; umount -l /sys 2>/dev/null; umount -l /proc; exec "
     "\"$@\"",
     3},
    {"four descriptors", "ulimit -n 4; exec \"$@\"", 1},
    {"six descriptors", "ulimit -n 6; exec \"$@\"", 3},
};

#define PLACES (sizeof(places) / sizeof(places[0]))

static const char *const modes[] = {"sampled", "all"};

static void
run_in(struct run *run, const struct place *place, const char *directory, const char *program,
       const char *mode)
{
	char script[1024];
	char preload[PATH_MAX];
	char output[PATH_MAX];
	char malloc_mode[64];
	const char *argv[16] = {"unshare", "-m", "sh", "-c", script, "sh"};
	size_t count = 6;

	snprintf(script, sizeof(script), "D=%s; %s", directory, place->script);
	if (mode != NULL) {
		snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", built("libvmtrace.so"));
		snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s/t.%%p.vmt", directory);
		snprintf(malloc_mode, sizeof(malloc_mode), "VMTRACE_MALLOC=%s", mode);
		argv[count++] = "env";
		argv[count++] = preload;
		argv[count++] = output;
		argv[count++] = malloc_mode;
	}
	argv[count++] = built(program);
	run_program(run, argv, NULL);
}

/* Lines that begin as ours do, and nothing else. */
static size_t
count_own_lines(const struct place *place, const char *text)
{
	size_t count = 0;

	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		if (strncmp(line, "vmtrace: ", 9) != 0 || strchr(line, '\n') == NULL)
			fail_msg("%s: standard error has %s", place->name, line);
		count++;
	}
	return count;
}

static void
check_trace(const struct place *place, const char *trace)
{
	const char *const argv[] = {built("vmtrace"), "report", "--format", "json", trace, NULL};
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status == 0) {
		json_t *root = json_loads(run.out, 0, NULL);

		assert_non_null(root);
		check_report(root);
		json_decref(root);
	} else if (run.exit_status != 2 || strchr(run.err, '\n') == NULL ||
		   strchr(run.err, '\n')[1] != '\0') {
		fail_msg("%s: report of %s: %d %s", place->name, trace, run.exit_status, run.err);
	}
	run_free(&run);
}

static void
make_directory(const char *directory)
{
	const char *const argv[] = {
	    "sh", "-c", "rm -rf \"$0\" \"$0.kept\"; mkdir \"$0\" \"$0.kept\"; chmod 777 \"$0\"",
	    directory, NULL};
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static void
try_place(const struct place *place, const char *mode)
{
	char directory[PATH_MAX];
	char pattern[PATH_MAX + 16];
	struct run bare;
	struct run watched;
	glob_t found;

	snprintf(directory, sizeof(directory), "%s", scratch_file("place"));
	make_directory(directory);
	run_in(&bare, place, directory, "tests/target/ordinary", NULL);
	make_directory(directory);
	run_in(&watched, place, directory, "tests/target/ordinary", mode);
	if (bare.wait_status != watched.wait_status || strcmp(bare.out, watched.out) != 0)
		fail_msg("%s, malloc=%s: status %#x instead of %#x, output\n%s%sinstead of\n%s",
			 place->name, mode, watched.wait_status, bare.wait_status, watched.out,
			 watched.err, bare.out);
	size_t lines = count_own_lines(place, watched.err);

	snprintf(pattern, sizeof(pattern), "%s*/t.*.vmt", directory);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			check_trace(place, found.gl_pathv[i]);
	if (found.gl_pathc < place->traces)
		fail_msg("%s, malloc=%s: %zu traces", place->name, mode, found.gl_pathc);
	print_message("%s, malloc=%s: the same; %zu traces, %zu lines%s%s", place->name, mode,
		      found.gl_pathc, lines, lines > 0 ? ": " : "\n", watched.err);
	globfree(&found);
	run_free(&bare);
	run_free(&watched);
}

static void
need_mounts(void)
{
	struct run run;

	run_program(&run, (const char *const[]){"unshare", "-m", "true", NULL}, NULL);
	bool may_mount = run.exit_status == 0;

	run_free(&run);
	if (!may_mount) {
		printf("skip: no leave to make a mount namespace\n");
		skip();
	}
}

/* On a disk in memory the stack table takes its pages as it grows. Here there are few for the 2^18
 * stacks of the program, which is none the worse. */
static void
test_stack_table_without_memory(void **state)
{
	static const struct place place = {"a disk with little room for stacks",
					   "mount -t tmpfs -o size=1600k none $D; " RUN_AND_KEEP,
					   1};
	char directory[PATH_MAX];
	char pattern[PATH_MAX + 16];
	struct run run;
	glob_t found;

	(void)state;
	need_mounts();
	snprintf(directory, sizeof(directory), "%s", scratch_file("place"));
	snprintf(pattern, sizeof(pattern), "%s.kept/t.*.vmt", directory);
	make_directory(directory);
	run_in(&run, &place, directory, "tests/target/many_stacks", "sampled:64");
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	run_free(&run);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	json_t *root = report(found.gl_pathv[0], NULL);

	check_report(root);
	assert_true(number(member(root, "loss"), "stacks_dropped") > 0);
	json_decref(root);
	globfree(&found);
}

static void
test_places(void **state)
{
	(void)state;
	need_mounts();
	for (size_t i = 0; i < PLACES; i++)
		try_place(&places[i], modes[i % 2]);
	for (size_t i = 0; i < PLACES && getenv("VMT_SOAK") != NULL; i++)
		try_place(&places[i], modes[(i + 1) % 2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_stack_table_without_memory),
	};

	return cmocka_run_group_tests_name("surroundings", tests, NULL, NULL);
}
