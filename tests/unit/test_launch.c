#include "tools/cmd/launch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct vmt_err err;
static int status;

static struct vmt_launch
launch_shell(const char *script)
{
	struct vmt_launch launch;
	char shell[] = "sh";
	char option[] = "-c";
	char text[256];
	char *argv[] = {shell, option, text, NULL};

	assert_true(strlen(script) < sizeof(text));
	strcpy(text, script);
	err.text[0] = '\0';
	assert_int_equal(vmt_launch_start(&launch, argv, &status, &err), 0);
	return launch;
}

static int
status_of(const char *script)
{
	struct vmt_launch launch = launch_shell(script);

	assert_true(vmt_launch_reap(&launch, true));
	assert_true(launch.end_ns >= launch.start_ns);
	return vmt_launch_status(&launch);
}

static void
the_status_is_the_programs(void **state)
{
	(void)state;
	assert_int_equal(status_of("exit 0"), 0);
	assert_int_equal(status_of("exit 7"), 7);
	assert_int_equal(status_of("kill -KILL $$"), 128 + SIGKILL);
	assert_int_equal(status_of("kill -TERM $$"), 128 + SIGTERM);
}

static int
start_failure(const char *command)
{
	struct vmt_launch launch;
	char text[64];
	char *argv[] = {text, NULL};

	strcpy(text, command);
	status = -1;
	err.text[0] = '\0';
	assert_int_equal(vmt_launch_start(&launch, argv, &status, &err), 0);
	assert_true(launch.ended);
	assert_non_null(strstr(err.text, command));
	return status;
}

static int
status_of_file(const char *bytes)
{
	char path[] = "/tmp/vmt-launch-XXXXXX";
	int fd = mkstemp(path);
	struct vmt_launch launch;
	char *argv[] = {path, NULL};

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	err.text[0] = '\0';
	assert_int_equal(vmt_launch_start(&launch, argv, &status, &err), 0);
	if (!launch.ended) {
		vmt_launch_reap(&launch, true);
		status = vmt_launch_status(&launch);
	}
	unlink(path);
	return status;
}

static void
machine_code_is_no_script(void **state)
{
	(void)state;
	assert_int_equal(status_of_file("exit 7\n"), 7);
	assert_int_equal(status_of_file("\177ELF\nexit 7\n"), VMT_LAUNCH_CANNOT_RUN);
	assert_non_null(strstr(err.text, "format"));
}

static void
what_cannot_start_has_its_own_status(void **state)
{
	(void)state;
	assert_int_equal(start_failure("no-such-command-anywhere"), VMT_LAUNCH_NOT_FOUND);
	assert_int_equal(start_failure("/no/such/file"), VMT_LAUNCH_NOT_FOUND);
	assert_int_equal(start_failure("/dev/null"), VMT_LAUNCH_CANNOT_RUN);
	assert_int_equal(start_failure("/"), VMT_LAUNCH_CANNOT_RUN);
}

static void
signals_are_passed_on_or_ignored(void **state)
{
	struct vmt_launch launch;

	(void)state;
	/* The program itself waits for it, and tells by its status that it came. */
	launch = launch_shell("trap 'exit 9' TERM; kill -TERM $PPID; while :; do :; done");
	assert_true(vmt_launch_reap(&launch, true));
	assert_int_equal(vmt_launch_status(&launch), 9);
	launch = launch_shell("kill -INT $PPID; kill -QUIT $PPID; exit 4");
	assert_true(vmt_launch_reap(&launch, true));
	assert_int_equal(vmt_launch_status(&launch), 4);
}

static int
set_up(void **state)
{
	static const int numbers[] = {SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGHUP};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], SIG_DFL);
	return 0;
}

static void
the_program_has_our_first_dispositions(void **state)
{
	/* INT, QUIT, PIPE are ignored here and would be there, had they not been given back. */
	assert_int_equal(status_of("kill -INT $$; exit 0"), 128 + SIGINT);
	set_up(state);
	assert_int_equal(status_of("kill -PIPE $$; exit 0"), 128 + SIGPIPE);
}

static void
an_unfinished_one_is_not_reaped(void **state)
{
	struct vmt_launch launch = launch_shell("kill -STOP $$");

	(void)state;
	assert_false(vmt_launch_reap(&launch, false));
	assert_int_equal(kill(launch.pid, SIGKILL), 0);
	assert_true(vmt_launch_reap(&launch, true));
	/* Once more: the answer stays. */
	assert_true(vmt_launch_reap(&launch, false));
	assert_int_equal(vmt_launch_status(&launch), 128 + SIGKILL);
}

/* Traced by us, and stopped: the kernel tells of that, too, where only an end is asked for. */
static void
a_stop_of_a_traced_one_is_no_end(void **state)
{
	struct vmt_launch launch = launch_shell("kill -STOP $$; exit 9");
	siginfo_t info;

	(void)state;
	assert_int_equal(waitid(P_PID, (id_t)launch.pid, &info, WSTOPPED), 0);
	assert_int_equal(ptrace(PTRACE_SEIZE, launch.pid, NULL, NULL), 0);
	assert_int_equal(waitid(P_PID, (id_t)launch.pid, &info, WEXITED | WSTOPPED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_TRAPPED);
	assert_false(vmt_launch_has_ended(&launch));
	assert_false(vmt_launch_reap(&launch, false));
	assert_int_equal(launch.end_ns, 0);
	assert_int_equal(waitid(P_PID, (id_t)launch.pid, &info, WSTOPPED), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, launch.pid, NULL, NULL), 0);
	assert_int_equal(kill(launch.pid, SIGCONT), 0);
	assert_true(vmt_launch_reap(&launch, true));
	assert_int_equal(vmt_launch_status(&launch), 9);
}

#define MIB (UINT64_C(1) << 20)
#define GROWS                                                                                      \
	"a=xxxxxxxx; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do "       \
	"a=$a$a; done; "

static uint64_t
peak_of(const char *script)
{
	struct vmt_launch launch = launch_shell(script);

	assert_true(vmt_launch_reap(&launch, true));
	return launch.peak_rss_bytes;
}

/* What a child had, that the program waited for, is not its own. */
static void
a_peak_is_the_programs_own(void **state)
{
	uint64_t small_bytes = peak_of("kill -KILL $$");

	(void)state;
	assert_true(small_bytes > 0 && small_bytes < 30 * MIB);
	assert_true(peak_of(GROWS "kill -KILL $$") > 32 * MIB);
	assert_int_equal(peak_of("(" GROWS ":); kill -KILL $$"), 0);
	assert_int_equal(peak_of("(:); kill -KILL $$"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_program_has_our_first_dispositions, set_up),
	    cmocka_unit_test_setup(the_status_is_the_programs, set_up),
	    cmocka_unit_test_setup(what_cannot_start_has_its_own_status, set_up),
	    cmocka_unit_test_setup(machine_code_is_no_script, set_up),
	    cmocka_unit_test_setup(signals_are_passed_on_or_ignored, set_up),
	    cmocka_unit_test_setup(an_unfinished_one_is_not_reaped, set_up),
	    cmocka_unit_test_setup(a_stop_of_a_traced_one_is_no_end, set_up),
	    cmocka_unit_test_setup(a_peak_is_the_programs_own, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
