/*
 * test_other_namespaces.c: is a child in namespaces of its own recorded, and left as it is?
 *
 * User namespaces, which are made and entered by each way there is, and mount namespaces of
 * programs that load no library. test_lets_go has the mount namespaces of those that do.
 */
#include "tests/e2e/twice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each way, with each kind of namespace beside the user's; RUN runs what it is given. Keeps what
 * the program prints, and checks that each of its processes that uses memory has a trace:
 * $TRACES at least. */
#define EACH_WAY(ways, kinds)                                                                      \
	"for way in " ways "; do for kinds in " kinds "; do\n"                                     \
	"\"$T/$P\" $way $kinds >\"$D/bare\" || exit 4\n"                                           \
	"run \"$T/$P\" $way $kinds >\"$D/ours\" || exit 5\n"                                       \
	"cmp \"$D/bare\" \"$D/ours\" || exit 6\n"                                                  \
	"[ $(ls \"$D\" | grep -c \"^$P.*vmt$\") -ge $TRACES ] || exit 7\n"                         \
	"rm \"$D/$P\"*.vmt; done; done; exit 3"

#define PRELOADED                                                                                  \
	"run() { env LD_PRELOAD=\"$L\" VMTRACE_OUTPUT=\"$D/%n.%p.vmt\" \"$@\"; }; P=own_users\n"
#define RECORDED "run() { \"$C\" record -o \"$D/%n.%p.vmt\" -- \"$@\" 2>\"$D/said\"; }\n"

static void
run_script(const char *script)
{
	struct run run;

	twice_run(&run, script, NULL);
	if (run.exit_status != 3)
		fail_msg("%s: status %x: %s%s", script, (unsigned)run.wait_status, run.out,
			 run.err);
	run_free(&run);
}

static void
need(const char *program)
{
	char script[256];

	snprintf(script, sizeof(script), "mkdir -p \"$D/fs\"; \"$T/%s\" >/dev/null", program);
	if (twice_succeeds(script))
		return;
	print_message("skip: no leave to make namespaces\n");
	skip();
}

/* Parent, child, grandchild, and what the child executes. */
static void
children_in_user_namespaces(void **state)
{
	(void)state;
	need("own_users\" unshare \"mp");
	run_script("TRACES=4; " PRELOADED EACH_WAY("clone raw_clone unshare raw_unshare", "- mp"));
}

/* Who executes a static program in there can't ask for the recorder: that image has none. */
static void
children_of_static_programs_in_user_namespaces(void **state)
{
	(void)state;
	need("static_own_users\" unshare \"mp");
	run_script("TRACES=3; P=static_own_users; " RECORDED EACH_WAY("clone unshare", "m"));
}

/* Nothing of ours holds a mount namespace that a static program has entered and left. */
static void
static_programs_leave_mount_namespaces(void **state)
{
	(void)state;
	need("static_leaves_mounts\" \"$D/fs\" setns \"waits");
	run_script("P=static_leaves_mounts; " RECORDED
		   "for way in unshare syscall setns clone; do\n"
		   "run \"$T/$P\" \"$D/fs\" $way leaves || exit 4\n"
		   "[ $(ls \"$D\" | grep -c \"^$P.*vmt$\") -ge 2 ] || exit 5\n"
		   "rm \"$D/$P\"*.vmt; done; exit 3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(children_in_user_namespaces),
	    cmocka_unit_test(children_of_static_programs_in_user_namespaces),
	    cmocka_unit_test(static_programs_leave_mount_namespaces),
	};

	twice_set_up();
	setenv("L", built("libvmtrace.so"), 1);
	setenv("C", built("vmtrace"), 1);
	setenv("T", built("tests/target"), 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
