/*
 * test_detach.c: is it said truly what became of a program that could not be left, or stopped?
 */
#include "inject/attach_stop.h"
#include "inject/detach.h"

#include "tests/unit/lives.h"

#include <sys/ptrace.h>

#define PATIENCE_NS UINT64_C(20000000000)

#if defined(__x86_64__)

/* Another process traces it: nothing can be done to it. */
static pid_t
start_tracer(pid_t child)
{
	int ready[2];
	char byte = 0;
	pid_t tracer;

	assert_int_equal(pipe(ready), 0);
	tracer = fork();
	assert_true(tracer >= 0);
	if (tracer == 0) {
		alarm(60); /* outlives no failed test for long */
		life_reset_signals();
		if (ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return tracer;
}

/* By a process that is not its parent, as the command is not. */
static int
detach(pid_t pid, bool is_put_back)
{
	pid_t detacher = fork();
	int status = -1;

	assert_true(detacher >= 0);
	if (detacher == 0) {
		struct vmt_attach *attach = calloc(1, sizeof(*attach));

		life_reset_signals();
		if (!attach)
			_exit(100);
		attach->pid = pid;
		attach->is_put_back = is_put_back;
		status = (int)vmt_detach_run(attach);
		if (attach->is_held || (attach->why[0] == '\0') != (status == VMT_DETACH_GONE))
			_exit(101);
		_exit(status);
	}
	assert_int_equal(waitpid(detacher, &status, 0), detacher);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
what_was_put_back_before_stays_so(void **state)
{
	pid_t child = life_start(&lives[0]);
	pid_t tracer = start_tracer(child);

	(void)state;
	assert_int_equal(detach(child, false), VMT_DETACH_FAILED);
	assert_int_equal(detach(child, true), VMT_DETACH_STAYS);
	assert_int_equal(kill(tracer, SIGKILL), 0);
	assert_int_equal(waitpid(tracer, NULL, 0), tracer);
	assert_int_equal(life_end(child), 0);
	assert_int_equal(detach(child, false), VMT_DETACH_GONE);
}

/* ---- a thread that does not come to its stop ---- */

static int
live_in_a_vfork(void)
{
	int status = 0;
	pid_t child = vfork();

	if (child == 0)
		_exit(life_read());
	return waitpid(child, &status, 0) == child ? status : 1;
}

/* Where nothing but a fatal signal interrupts it. */
static void
await_vfork(pid_t pid)
{
	uint64_t deadline_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	do {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		assert_non_null(fgets(text, sizeof(text), file));
		fclose(file);
		usleep(1000);
	} while (!strstr(text, ") D ") && vmt_sys_clock_ns(CLOCK_MONOTONIC) < deadline_ns);
	assert_non_null(strstr(text, ") D "));
}

static int
never_asked(void *context, const struct vmt_stopped_threads *threads, bool last)
{
	(void)context;
	(void)threads;
	(void)last;
	fail();
	return 0;
}

struct asked {
	uint32_t times;
	uint32_t last;
};

static int
always_busy(void *context, const struct vmt_stopped_threads *threads, bool last)
{
	struct asked *asked = context;

	(void)threads;
	asked->times++;
	asked->last += last;
	return -EBUSY;
}

/* Who has other work to do comes back to it soon, and the last moment is yet to come. */
static void
of_some_tries_none_is_the_last(void **state)
{
	pid_t child = life_start(&lives[0]);
	struct asked asked = {0, 0};
	struct vmt_attach_stop stop;
	struct vmt_target target;

	(void)state;
	assert_int_equal(vmt_target_open(&target, child), 0);
	assert_int_equal(vmt_attach_stop_open(&stop, &target), 0);
	stop.tries = 3;
	assert_int_equal(vmt_attach_stop_run(&stop, always_busy, &asked), -EBUSY);
	assert_int_equal(asked.times, 3);
	assert_int_equal(asked.last, 0);
	stop.tries = 0;
	assert_int_equal(vmt_attach_stop_run(&stop, always_busy, &asked), -EBUSY);
	assert_true(asked.times > 2 * 3);
	assert_int_equal(asked.last, 1);
	assert_int_equal(life_end(child), 0);
	vmt_target_close(&target);
	vmt_attach_stop_close(&stop);
}

static void
one_that_does_not_stop_is_not_awaited_for_ever(void **state)
{
	const struct life life = {"vfork", live_in_a_vfork, LIFE_PLAIN};
	uint64_t deadline_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	pid_t child = life_start(&life);
	struct vmt_attach_stop stop;
	struct vmt_target target;

	(void)state;
	await_vfork(child);
	assert_int_equal(vmt_target_open(&target, child), 0);
	assert_int_equal(vmt_attach_stop_open(&stop, &target), 0);
	stop.patience_ns = 2000000;
	assert_int_equal(vmt_attach_stop_run(&stop, never_asked, NULL), -ETIMEDOUT);
	assert_int_equal(stop.held, 1);
	assert_int_equal(write(life_pipe[1], "x", 1), 1);
	while (stop.held > 0 && vmt_sys_clock_ns(CLOCK_MONOTONIC) < deadline_ns)
		(void)vmt_attach_stop_let_go(&stop);
	assert_int_equal(stop.held, 0);
	assert_int_equal(life_end(child), 0);
	vmt_target_close(&target);
	vmt_attach_stop_close(&stop);
}

#endif

int
main(void)
{
#if defined(__x86_64__)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_put_back_before_stays_so),
	    cmocka_unit_test(of_some_tries_none_is_the_last),
	    cmocka_unit_test(one_that_does_not_stop_is_not_awaited_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
