/*
 * test_tools.c: do the tools that watch a program find what they find without the library, and is
 * a program chosen by any of its names?
 *
 * Under valgrind nothing is recorded and nothing of ours is reported, whatever its tool. Under
 * strace, ltrace and gdb, in qemu's user mode and under proot, a program says and ends as it does
 * bare.
 */
#include "tests/e2e/twice.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void
compare(const char *tool)
{
	char script[1024];

	snprintf(script, sizeof(script),
		 "cd \"$D\"; %s /bin/sh -c 'x=$(echo a); echo $x; exit 5'; echo $?; exit 3", tool);
	(void)twice_compare(script);
}

static void
test_valgrind(void **state)
{
	(void)state;
	compare("valgrind -q --error-exitcode=9 --trace-children=no");
	compare("valgrind -q --tool=helgrind --error-exitcode=9");
	compare("valgrind -q --tool=drd --error-exitcode=9");
	compare("valgrind -q --tool=massif --massif-out-file=/dev/null");
	compare("valgrind -q --tool=callgrind --callgrind-out-file=/dev/null");
	compare("valgrind -q --tool=dhat --dhat-out-file=/dev/null");
	compare("valgrind -q --tool=none");
}

/* Not every release has each of them. */
static void
compare_if_there(const char *tool)
{
	char script[256];

	snprintf(script, sizeof(script), "command -v %.*s", (int)strcspn(tool, " "), tool);
	if (twice_succeeds(script))
		compare(tool);
	else
		print_message("skip: %s is not installed\n", tool);
}

static void
test_emulators(void **state)
{
	struct utsname machine;
	char qemu[sizeof(machine.machine) + 8];

	(void)state;
	assert_int_equal(uname(&machine), 0);
	snprintf(qemu, sizeof(qemu), "qemu-%s", machine.machine);
	compare_if_there(qemu);
	compare_if_there("proot");
	compare_if_there("proot -0");
}

static void
test_debuggers(void **state)
{
	(void)state;
	compare("strace -f -o /dev/null");
	compare_if_there("ltrace -o /dev/null");
	compare_if_there("ltrace -f -S -o /dev/null");
	/* Without the lines that name a process. */
	(void)twice_compare(
	    "gdb -q -batch -ex run --args /bin/sh -c 'x=$(echo a); echo $x; exit 5' "
	    "2>/dev/null | grep -v process; exit 3");
}

static size_t
count_traces(void)
{
	glob_t found;
	size_t count = 0;

	if (glob(scratch_file("named.*.vmt"), 0, NULL, &found) == 0)
		count = found.gl_pathc;
	for (size_t i = 0; i < count; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
	return count;
}

/* Runs a script's command under the bare library, which is to record what has this name. */
static size_t
record_only(const char *only, const char *command)
{
	char output[4200];
	struct run run;

	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", scratch_file("named.%p.vmt"));
	run_program(&run, (const char *const[]){"/bin/sh", "-c", command, NULL},
		    (const char *const[]){variable("LD_PRELOAD", built("libvmtrace.so")), output,
					  variable("VMTRACE_ONLY", only), variable("D", scratch()),
					  NULL});
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s", command, run.exit_status, run.err);
	run_free(&run);
	return count_traces();
}

static void
test_names(void **state)
{
	(void)state;
	assert_int_equal(record_only("sleep", "exec sleep 0"), 1);
	assert_int_equal(record_only("other", "exec sleep 0"), 0);
	/* A link, by its name and by that of its file. */
	assert_int_equal(record_only("snooze", "ln -s $(command -v sleep) \"$D/snooze\"; "
					       "exec \"$D/snooze\" 0"),
			 1);
	assert_int_equal(record_only("sleep", "exec \"$D/snooze\" 0"), 1);
	/* An applet's name, which is argv[0] alone. */
	assert_int_equal(record_only("applet", "exec bash -c 'exec -a applet sleep 0'"), 1);
	/* A script, whose name is longer than the kernel keeps. */
	assert_int_equal(
	    record_only("a-script-with-a-long-name",
			"printf '#!/bin/sleep 0\\n' >\"$D/a-script-with-a-long-name\"; "
			"chmod +x \"$D/a-script-with-a-long-name\"; "
			"LD_PRELOAD= /bin/true; \"$D/a-script-with-a-long-name\" || :"),
	    1);
	/* A program that the loader is told to load. */
	assert_int_equal(record_only("sleep", "exec $(ls /lib64/ld-linux-x86-64.so.2 "
					      "/lib/ld-linux-aarch64.so.1 2>/dev/null) "
					      "$(command -v sleep) 0"),
			 1);
}

/* What `record` says where --only is `only`. */
static void
expect_said(const char *only, const char *script, const char *wanted, bool said)
{
	struct run run;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-o",
					  scratch_file("said.%p.vmt"), "--only", only, "--",
					  "/bin/sh", "-c", script, NULL},
		    (const char *const[]){variable("D", scratch()), NULL});
	assert_int_equal(run.exit_status, 0);
	if ((says(run.err, wanted) != NULL) != said)
		fail_msg("--only %s: %s", only, run.err);
	run_free(&run);
}

/* Nothing is left unrecorded without a word: these programs ran, by these names. */
static void
test_left_out(void **state)
{
	const char *words = "no trace was written: --only matches none of the programs that ran: ";
	char wanted[256];

	(void)state;
	snprintf(wanted, sizeof(wanted), "%ssh, sleep; programs that never load", words);
	expect_said("slep", "sleep 0; sleep 0; :", wanted, true);
	expect_said("slep",
		    "ln -sf $(command -v sleep) \"$D/$(printf 'a\\033b')\"; sleep 0; "
		    "\"$D/$(printf 'a\\033b')\" 0",
		    "$'a\\033b'", true);
	expect_said("slep",
		    "for i in 1 2 3 4 5 6 7 8; do ln -sf $(command -v sleep) \"$D/n$i\"; "
		    "\"$D/n$i\" 0; done; rm \"$D\"/n?",
		    ", perhaps others; programs", true);
	expect_said("sleep", "sleep 0; :", "programs that ran", false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_valgrind),  cmocka_unit_test(test_emulators),
	    cmocka_unit_test(test_debuggers), cmocka_unit_test(test_names),
	    cmocka_unit_test(test_left_out),
	};

	twice_set_up();
	prefer_system_programs();
	return cmocka_run_group_tests_name("tools", tests, NULL, NULL);
}
