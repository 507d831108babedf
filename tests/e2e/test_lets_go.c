/*
 * test_lets_go.c: does the collector hold what the program has let go, or make it wait in vain?
 *
 * Binaries that are replaced, file systems that are unmounted and mount namespaces that end right
 * after a traced program has; and ends of programs where no collector can come, or see them. $L is
 * the library.
 */
#include "tests/e2e/twice.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs what it is given with the library; OUT says where the traces go. */
#define WATCHED "watched() { env LD_PRELOAD=\"$L\" VMTRACE_OUTPUT=\"$D/%n.%p.vmt\" \"$@\"; }; "

/* In a mount namespace of its own, with a tmpfs at $D/fs. */
#define WITH_MOUNT                                                                                 \
	"mkdir -p \"$D/fs\"; exec unshare -m sh -c '" WATCHED                                      \
	"mount -t tmpfs none \"$D/fs\" || exit 4; "

static void
set_up(void)
{
	twice_set_up();
	setenv("L", built("libvmtrace.so"), 1);
	setenv("C", built("vmtrace"), 1);
	setenv("T", built("tests/target"), 1);
}

static void
run_script(const char *script, long times)
{
	char number[32];
	struct run run;

	snprintf(number, sizeof(number), "TIMES=%ld", times);
	twice_run(&run, script, (const char *const[]){number, NULL});
	if (run.exit_status != 3)
		fail_msg("%s: status %x: %s%s", script, (unsigned)run.wait_status, run.out,
			 run.err);
	run_free(&run);
}

static void
need_mounts(void)
{
	if (geteuid() == 0 && twice_succeeds("mkdir -p \"$D/try\"; exec unshare -m mount -t tmpfs "
					     "none \"$D/try\""))
		return;
	print_message("skip: no leave to mount\n");
	skip();
}

/* "Text file busy" would end the script. Ends of every kind. */
static void
test_program_is_replaced(void **state)
{
	(void)state;
	run_script(WATCHED "for i in $(seq $TIMES); do\n"
			   "cp /bin/true \"$D/t\"; watched \"$D/t\" || exit 4\n"
			   "cp /bin/sh \"$D/t\" || exit 5\n"
			   "watched \"$D/t\" -c 'kill -9 $$'; cp /bin/sh \"$D/t\" || exit 6\n"
			   "watched \"$D/t\" -c 'exec /bin/true'; cp /bin/sh \"$D/t\" || exit 7\n"
			   "rm \"$D/t\"; done; exit 3",
		   soak_count(30, 1000));
}

/* A child that lives on, as another program, keeps the collector alive. The gate opens once it is
 * one. */
static void
test_program_is_replaced_while_its_child_lives(void **state)
{
	(void)state;
	run_script(WATCHED "mkfifo \"$D/gate\"; cp /bin/sh \"$D/t\"\n"
			   "watched \"$D/t\" -c 'cat \"$D/gate\" >/dev/null & exit 0'\n"
			   "exec 9>\"$D/gate\"; cp /bin/false \"$D/t\" || exit 4\n"
			   "exec 9>&-; exit 3",
		   1);
}

/* The library's own file is the collector's executable, whatever the program is. A collector that
 * has just begun, or that has the directory of its traces open to read it, is looked at again. */
static void
test_collector_is_the_library(void **state)
{
	(void)state;
	run_script(
	    WATCHED
	    "watched sh -c '\n"
	    "look() {\n"
	    "  for p in /proc/[0-9]*; do\n"
	    "    [ \"$(readlink $p/exe)\" = \"$L\" ] || continue\n"
	    "    tr \"\\0\" \" \" <$p/cmdline | grep -q \" $$ \" || continue\n"
	    "    [ \"$(cat $p/comm)\" = vmtrace ] || return 4\n"
	    "    [ \"$(readlink $p/cwd)\" = / ] || return 5\n"
	    "    grep -F / $p/maps | grep -vF -e \"$L\" -e \"$D/\" "
	    "      -e /memfd:vmtrace.session && return 6\n"
	    "    ls -l $p/fd | grep -F \" /\" | grep -vF -e \"$D/\" -e \" /proc/\" "
	    "      -e /memfd:vmtrace.session && return 7\n"
	    "    return 0\n"
	    "  done; return 8\n"
	    "}\n"
	    "for i in $(seq 200); do look && exit 3; found=$?; sleep .05; done; exit $found'",
	    1);
}

/* Whether this test may have the kernel take another file for a process's executable. */
static bool
may_change_executable(void)
{
	unsigned long long effective = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	fclose(file);
	return effective >> 24 & 1; /* CAP_SYS_RESOURCE */
}

/* Of a subreaper it is a copy, without an exit signal: it has none of the program's files mapped.
 * `as` runs the program, exe is what the copy is a process of. */
static void
check_copy(const char *as, const char *exe)
{
	setenv("AS", as, 1);
	setenv("EXE", exe, 1);
	run_script(
	    "cp /bin/sh \"$D/reaper\"; cat >\"$D/look\" <<\\END\n"
	    "look() {\n"
	    "  for p in /proc/[0-9]*; do\n"
	    "    [ \"$(cat $p/comm 2>/dev/null)\" = vmtrace ] || continue\n"
	    "    [ \"$(sed -n 's/^PPid:.//p' $p/status)\" = $$ ] || continue\n"
	    "    [ \"$(readlink $p/cwd)\" = / ] || return 5\n"
	    "    grep -F / $p/maps | grep -vF -e \"$L\" -e \"$D/\" "
	    "      -e /memfd:vmtrace.session && return 6\n"
	    "    grep -q \"$D/reaper\\$\" $p/maps && return 7\n"
	    "    eval wanted=\"$EXE\"; [ \"$(readlink $p/exe)\" = \"$wanted\" ] || return 9\n"
	    "    return 0\n"
	    "  done; return 8\n"
	    "}\n"
	    "for i in $(seq 200); do look && exit 3; found=$?; sleep .05; done; exit $found\n"
	    "END\n"
	    "LD_PRELOAD= $AS python3 -c 'import ctypes, os\n"
	    "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
	    "os.execve(os.environ[\"D\"] + \"/reaper\", [\"reaper\", os.environ[\"D\"] + "
	    "\"/look\"],\n"
	    "  dict(os.environ, LD_PRELOAD=os.environ[\"L\"],\n"
	    "       VMTRACE_OUTPUT=os.environ[\"D\"] + \"/%n.%p.vmt\"))'",
	    1);
	unsetenv("AS");
	unsetenv("EXE");
}

/* It lets go of the executable where it may, and else is no worse. */
static void
test_collector_of_a_subreaper(void **state)
{
	(void)state;
	if (!may_change_executable()) {
		check_copy("", "$D/reaper");
		print_message("no leave to let go of the executable: only tried without\n");
		return;
	}
	check_copy("", "$L");
	check_copy("setpriv --bounding-set -sys_resource", "$D/reaper");
}

/* Where it may not be executed the collector is a copy of the program, as good as any. */
static void
test_library_is_not_executable(void **state)
{
	(void)state;
	run_script("cp \"$L\" \"$D/plain.so\"; chmod 644 \"$D/plain.so\"\n"
		   "LD_PRELOAD=\"$D/plain.so\" VMTRACE_OUTPUT=\"$D/plain.vmt\" sh -c 'exit 3' || "
		   "[ $? = 3 ] || exit 4\n"
		   "[ -s \"$D/plain.vmt\" ] || exit 5; exit 3",
		   1);
	json_t *snapshots = dump(scratch_file("plain.vmt"), "snapshot");

	assert_true(json_array_size(snapshots) > 0);
	json_decref(snapshots);
}

/* By a name that is good in the present directory alone. */
static void
test_library_has_a_relative_name(void **state)
{
	(void)state;
	run_script("cd \"$D\"; cp \"$L\" relative.so; cp /bin/true t\n"
		   "LD_PRELOAD=./relative.so VMTRACE_OUTPUT=relative.vmt ./t || exit 4\n"
		   "cp /bin/false t || exit 5; [ -s relative.vmt ] || exit 6; exit 3",
		   1);
}

static void
test_by_hand(void **state)
{
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){built("libvmtrace.so"), NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "LD_PRELOAD"));
	assert_string_equal(strchr(run.out, '\n'), "\n");
	run_free(&run);
}

/* The program, its directory, its root and a library of its own on a file system; the trace is
 * elsewhere. */
static void
test_file_system_of_the_program(void **state)
{
	(void)state;
	need_mounts();
	run_script(
	    WITH_MOUNT
	    "cp /bin/true /bin/sh \"$D/fs\"; for i in $(seq $TIMES); do\n"
	    "(cd \"$D/fs\" && watched ./true) || exit 5; umount \"$D/fs\" || exit 6\n"
	    "mount -t tmpfs none \"$D/fs\"; cp /bin/true /bin/sh \"$D/fs\"\n"
	    "(cd \"$D/fs\" && watched ./sh -c \"kill -9 \\$\\$\"); umount \"$D/fs\" || exit 7\n"
	    "mount -t tmpfs none \"$D/fs\"; cp /bin/true /bin/sh \"$D/fs\"\n"
	    "done; exit 3'",
	    soak_count(10, 300));
}

/* While the collector lives on, for a child elsewhere. */
static void
test_file_system_while_a_child_lives(void **state)
{
	(void)state;
	need_mounts();
	run_script("rm -f \"$D/gate\"; mkfifo \"$D/gate\"; " WITH_MOUNT
		   "cp /bin/sh \"$D/fs\"; (cd \"$D/fs\" && watched ./sh -c \"cd /; exec >/dev/null "
		   "2>&1; cat \\\"$D/gate\\\" & exit 0\")\n"
		   "exec 9>\"$D/gate\"; umount \"$D/fs\" || exit 5; exec 9>&-; exit 3'",
		   1);
}

/* A traced shell makes a namespace, mounts, runs programs in there, and unmounts; then in another
 * root. */
static void
test_mount_namespace(void **state)
{
	(void)state;
	need_mounts();
	run_script(
	    WATCHED
	    "mkdir -p \"$D/fs\"; for i in $(seq $TIMES); do\n"
	    "watched unshare -m sh -c 'mount -t tmpfs none \"$D/fs\" || exit 4; cp /bin/true "
	    "\"$D/fs\"; cd \"$D/fs\"; ./true || exit 5; (./true; ./true); cd /; umount "
	    "\"$D/fs\"' || exit 6\n"
	    "watched unshare -m sh -c 'mount -t tmpfs none \"$D/fs\" || exit 4; mkdir "
	    "\"$D/fs/old\"; cd \"$D/fs\"; /bin/true; pivot_root . old || exit 0; "
	    "cd /; exit 0' || exit 7\n"
	    "watched unshare -m sh -c 'mount -t tmpfs none \"$D/fs\" || exit 4; cd \"$D/fs\"; "
	    "/bin/true; umount -l \"$D/fs\"' || exit 8\n"
	    "done; exit 3",
	    soak_count(5, 100));
}

/* A child enters a mount namespace and leaves it again: what it has mapped holds nothing in there,
 * whether it waits or ends. It has a trace. */
static void
test_mount_namespace_is_left(void **state)
{
	(void)state;
	if (!twice_succeeds("mkdir -p \"$D/fs\"; LD_PRELOAD= \"$T/leaves_mounts\" \"$D/fs\" setns "
			    "waits")) {
		print_message("skip: no leave to make namespaces\n");
		skip();
	}
	run_script(WATCHED
		   "mkdir -p \"$D/fs\"; for i in $(seq $TIMES); do\n"
		   "for way in unshare syscall setns clone; do for end in waits leaves; do\n"
		   "watched \"$T/leaves_mounts\" \"$D/fs\" $way $end || exit 4\n"
		   "[ $(ls \"$D\" | grep -c ^leaves_mounts) -ge 2 ] || exit 5\n"
		   "rm \"$D\"/leaves_mounts*; done; done; done; exit 3",
		   soak_count(2, 100));
}

/* Process 1 of a pid namespace, where /proc has another process by that number, which sees another
 * file system where the traces go: that stays empty. */
static void
test_mount_namespace_of_process_1(void **state)
{
	(void)state;
	need_mounts();
	run_script(
	    "mkdir -p \"$D/fs\"; INSIDE='mount -t tmpfs none \"$D/fs\" || exit 4\n"
	    "unshare -p -f env LD_PRELOAD=\"$L\" VMTRACE_OUTPUT=\"$D/fs/%n.%p.vmt\" "
	    "\"$T/mounts_child\" || exit 5\n"
	    "[ $(ls \"$D/fs\" | grep -c ^mounts_child) = 2 ] || exit 6'; export INSIDE\n"
	    "exec unshare -p -f --mount-proc sh -c 'unshare -m sh -c \"$INSIDE\" || exit $?\n"
	    "[ -z \"$(ls \"$D/fs\")\" ] || exit 7; exit 3'",
	    1);
}

/* Programs with their traces on a file system that the shell that runs them mounts and unmounts. A
 * collector that comes too late for the last wait, on a machine that has no CPU for it, still has
 * the trace open: a quarter may be busy, where it was half and more. */
static void
test_file_system_of_traces(void **state)
{
	(void)state;
	need_mounts();
	run_script("mkdir -p \"$D/fs\"; cd \"$D\"; exec unshare -m env LD_PRELOAD=\"$L\" "
		   "VMTRACE_OUTPUT=%n.%p.vmt sh -c 'busy=0; for i in $(seq $TIMES); do\n"
		   "mount -t tmpfs none fs || exit 4; cd fs; /bin/true; sh -c \"/bin/true; exit "
		   "5\"; ls | grep -q true || exit 5; cd ..\n"
		   "umount fs 2>/dev/null || { busy=$((busy + 1)); umount -l fs || exit 6; }\n"
		   "done; [ $((busy * 4)) -le $TIMES ] || exit 7; exit 3'",
		   soak_count(12, 300));
}

/* A collector in a namespace of its own leaves it with the last process: within seconds here, as
 * the test measures no speed. */
static void
test_namespace_ends_with_its_processes(void **state)
{
	(void)state;
	need_mounts();
	run_script(WATCHED
		   "unshare -m sh -c 'readlink /proc/self/ns/mnt >\"$D/ns\"; " WATCHED
		   "watched true; watched sh -c \"kill -9 \\$\\$\"'\n"
		   "ns=$(cat \"$D/ns\"); for i in $(seq 500); do\n"
		   "readlink /proc/[0-9]*/ns/mnt 2>/dev/null | grep -qxF \"$ns\" || exit 3\n"
		   "done; exit 4",
		   1);
}

/* Nobody waits: 20 programs that waited two seconds each would be ended by the script's time limit.
 */
static void
expect_soon(const char *limit)
{
	setenv("LIMIT", limit, 1);
	run_script("timeout 20 sh -c 'n=$(seq 20); exec 2>/dev/null; eval \"$LIMIT\"; " WATCHED
		   "for i in $n; do watched true || exit 4; done; exit 3'",
		   1);
}

static void
test_no_descriptors(void **state)
{
	(void)state;
	for (int count = 4; count < 12; count++) {
		char limit[64];

		snprintf(limit, sizeof(limit), "ulimit -n %d", count);
		expect_soon(limit);
	}
}

static void
test_no_address_space(void **state)
{
	(void)state;
	expect_soon("ulimit -v 140000");
	expect_soon("ulimit -v 60000");
	expect_soon("ulimit -d 30000");
}

/* /proc shows another namespace's processes. */
static void
test_process_that_is_not_seen(void **state)
{
	(void)state;
	need_mounts();
	run_script(
	    WATCHED
	    "timeout 20 unshare -p -f sh -c '" WATCHED
	    "for i in $(seq 20); do watched sh -c \"/bin/true; exit 0\" || exit 4; done; exit 3'",
	    1);
	run_script(WATCHED "watched timeout 20 unshare -p -f sh -c 'for i in $(seq 20); do "
			   "/bin/true || exit 4; done; exit 3'",
		   1);
}

/* A filter that kills for a call which others need not make. The collector makes one of them, too.
 */
static void
test_filter_that_kills(void **state)
{
	(void)state;
	run_script("for call in memfd_create fstatfs; do\n"
		   "  \"$T/killed_for\" $call env LD_PRELOAD=\"$L\" "
		   "VMTRACE_OUTPUT=\"$D/killed.$call.vmt\" sh -c 'exit 7'\n"
		   "  [ $? = 7 ] || exit 4; [ -s \"$D/killed.$call.vmt\" ] || exit 5\n"
		   "  \"$C\" dump \"$D/killed.$call.vmt\" >\"$D/dump.$call\" || exit 6\n"
		   "done; grep -q ' snapshot ' \"$D/dump.memfd_create\" || exit 8; exit 3",
		   1);
}

/* The thread whose signal handler ends the process is the one that another end waits for. */
static void
test_handler_ends_the_process(void **state)
{
	(void)state;
	run_script(WATCHED "for i in $(seq 20); do\n"
			   "  watched timeout 30 \"$T/exit_in_handler\"; got=$?\n"
			   "  [ $got = 5 ] || [ $got = 3 ] || exit 4\n"
			   "done; exit 3",
		   1);
}

/* A process that waits at a gate in a pid namespace, and what a report from here says meanwhile
 * ($1) and at its end ($2). $MOUNT: how it sees /proc there. */
static void
expect_said_of_other_namespace(const char *mount, const char *meanwhile, const char *at_end)
{
	setenv("MOUNT", mount, 1);
	setenv("MEANWHILE", meanwhile, 1);
	setenv("AT_END", at_end, 1);
	run_script(WATCHED
		   "says() {\n"
		   "  until=$(($(date +%s) + 60)); while [ $(date +%s) -lt $until ]; do\n"
		   "    \"$C\" report \"$D\"/dash.1*.vmt 2>&1 | tr -s '\\n ' '  ' >\"$D/said\"\n"
		   "    grep -qF \"$1\" \"$D/said\" && return\n"
		   "    sleep .05\n"
		   "  done; cat \"$D/said\"; ls \"$D\"; ps -eo pid,ppid,stat,args; exit 4\n"
		   "}\n"
		   "rm -f \"$D\"/*.vmt \"$D/gate\"; mkfifo \"$D/gate\"\n"
		   "watched timeout -s KILL 100 unshare -p -f --kill-child $MOUNT "
		   "sh -c 'read line <\"$D/gate\"; exit 7' &\n"
		   "says \"$MEANWHILE\"; timeout 20 sh -c 'echo >\"$D/gate\"' || exit 6\n"
		   "wait $!; [ $? = 7 ] || exit 5; says \"$AT_END\"; exit 3",
		   1);
}

static void
test_what_is_said_of_another_pid_namespace(void **state)
{
	(void)state;
	need_mounts();
	expect_said_of_other_namespace(
	    "", "cut: not in the collector's /proc; whether it ended is not in the trace;",
	    "exit status 7.");
	expect_said_of_other_namespace(
	    "--mount-proc", "it ended, or runs in another pid namespace; its collector wrote",
	    "exit status 7.");
}

/* Nothing but traces, although the collector is killed with its namespace. */
static void
test_nothing_stays_of_a_pid_namespace(void **state)
{
	(void)state;
	need_mounts();
	run_script("for proc in --fork --mount-proc; do\n"
		   "  out=\"$D/out$proc\"; mkdir \"$out\"\n"
		   "  timeout 20 unshare -p -f $proc env LD_PRELOAD=\"$L\" "
		   "VMTRACE_OUTPUT=\"$out/%n.%p.vmt\" sh -c \"true; /bin/true; exit 0\" || exit 4\n"
		   "  [ $(ls -A \"$out\" | grep -c \"[.]vmt\\$\") = 2 ] || exit 5\n"
		   "  ls -A \"$out\" | grep -v \"[.]vmt\\$\" && exit 6\n"
		   "done; exit 3",
		   1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_program_is_replaced),
	    cmocka_unit_test(test_program_is_replaced_while_its_child_lives),
	    cmocka_unit_test(test_collector_is_the_library),
	    cmocka_unit_test(test_collector_of_a_subreaper),
	    cmocka_unit_test(test_library_is_not_executable),
	    cmocka_unit_test(test_library_has_a_relative_name),
	    cmocka_unit_test(test_by_hand),
	    cmocka_unit_test(test_file_system_of_the_program),
	    cmocka_unit_test(test_file_system_while_a_child_lives),
	    cmocka_unit_test(test_mount_namespace),
	    cmocka_unit_test(test_mount_namespace_is_left),
	    cmocka_unit_test(test_mount_namespace_of_process_1),
	    cmocka_unit_test(test_file_system_of_traces),
	    cmocka_unit_test(test_namespace_ends_with_its_processes),
	    cmocka_unit_test(test_no_descriptors),
	    cmocka_unit_test(test_no_address_space),
	    cmocka_unit_test(test_process_that_is_not_seen),
	    cmocka_unit_test(test_what_is_said_of_another_pid_namespace),
	    cmocka_unit_test(test_filter_that_kills),
	    cmocka_unit_test(test_handler_ends_the_process),
	    cmocka_unit_test(test_nothing_stays_of_a_pid_namespace),
	};

	set_up();
	return cmocka_run_group_tests_name("lets_go", tests, NULL, NULL);
}
