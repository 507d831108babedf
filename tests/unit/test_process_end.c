#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/procfs.h"
#include "base/ticks.h"
#include "tools/read/trace/process_end.h"

static void
check(const struct vmt_head *head, const struct vmt_chunk_end *chunk, const char *how, int code)
{
	int status = 1234;

	assert_string_equal(vmt_process_end_find(head, chunk, &status), how);
	assert_int_equal(status, code);
}

static void
believes_the_best_informed(void **state)
{
	struct vmt_head head = {.end = VMT_END_EXIT, .end_status = 1};
	struct vmt_chunk_end chunk = {.end = VMT_END_SIGNAL, .status = 9};

	(void)state;
	check(&head, NULL, "exit", 1);
	head.collected_end = VMT_END_SIGNAL;
	head.collected_status = 15;
	check(&head, NULL, "signal", 15);
	check(&head, &chunk, "signal", 9);
	chunk.end = VMT_END_UNKNOWN;
	check(&head, &chunk, "signal", 15);
	head.collected_end = VMT_END_UNKNOWN;
	check(&head, &chunk, "exit", 1);
	head.end = VMT_END_EXEC;
	check(&head, &chunk, "exec", 1);
}

static void
says_cut_where_nobody_knows(void **state)
{
	struct vmt_head head = {0};
	struct vmt_chunk_end chunk = {.end = VMT_END_UNKNOWN, .status = 7};

	(void)state;
	check(&head, NULL, "cut", 0);
	check(&head, &chunk, "cut", 0);
	chunk.end = 99;
	check(&head, &chunk, "cut", 0);
}

/* A head of this process, or of a child of it. */
static struct vmt_head
head_of(pid_t pid)
{
	struct vmt_head head = {.pid = (uint32_t)pid};
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open((uint32_t)pid, "stat");

	assert_true(fd >= 0);
	assert_true(vmt_procfs_read_stat(fd, &stat));
	close(fd);
	head.start_ticks = stat.start_ticks;
	return head;
}

static void
knows_a_process_that_lives(void **state)
{
	struct vmt_head head = head_of(getpid());
	const struct vmt_chunk_end chunk = {.end = VMT_END_EXIT};

	(void)state;
	check(&head, NULL, "running", 0);
	check(&head, &chunk, "exit", 0);
	head.end = VMT_END_EXIT; /* on its way out */
	check(&head, NULL, "running", 0);
	head.end = VMT_END_EXEC; /* another program by now */
	check(&head, NULL, "exec", 0);
	head.end = VMT_END_RUNNING;
	head.boot_id[0] = 1; /* of another boot */
	check(&head, NULL, "cut", 0);
	head.boot_id[0] = 0;
	head.start_ticks++; /* another process of the same number */
	check(&head, NULL, "cut", 0);
}

/* What became of the process since is said where it is known. */
static void
a_recording_that_was_given_up_ends_as_the_process_does(void **state)
{
	struct vmt_head head = head_of(getpid());
	const struct vmt_chunk_end chunk = {.end = VMT_END_EXIT, .status = 3};

	(void)state;
	head.end = VMT_END_STOPPED;
	head.end_status = VMT_STOP_DATA;
	check(&head, NULL, "running", 0);
	check(&head, &chunk, "exit", 3);
	head.start_ticks++; /* gone, and nobody saw how */
	check(&head, NULL, "stopped", VMT_STOP_DATA);
	assert_string_equal(vmt_process_end_shortage(VMT_STOP_DATA),
			    "private memory (RLIMIT_DATA)");
	assert_string_equal(vmt_process_end_shortage(-1), "memory");
}

static void
a_zombie_does_not_live(void **state)
{
	pid_t child = fork();
	struct vmt_head head;
	siginfo_t info;

	(void)state;
	if (child == 0)
		_exit(0);
	assert_true(child > 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	head = head_of(child);
	check(&head, NULL, "cut", 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	check(&head, NULL, "cut", 0);
}

/* This process as the collector of one that is over. */
static void
awaits_a_collector_that_lives(void **state)
{
	struct vmt_head head = {.collector_pid = (uint32_t)getpid(),
				.heartbeat_ns = vmt_ticks_monotonic_ns()};
	const struct vmt_chunk_end unknown = {.end = VMT_END_UNKNOWN};

	(void)state;
	assert_true(vmt_process_end_is_awaited(&head));
	check(&head, NULL, "ending", 0);
	check(&head, &unknown, "cut", 0);
	head.end = VMT_END_EXIT;
	check(&head, NULL, "exit", 0);
	head.collected_end = VMT_END_UNKNOWN;
	assert_false(vmt_process_end_is_awaited(&head));
	head.collected_end = VMT_END_RUNNING;
	head.boot_id[0] = 1;
	assert_false(vmt_process_end_is_awaited(&head));
	head.boot_id[0] = 0;
	head.heartbeat_ns -= UINT64_C(60000000000);
	assert_false(vmt_process_end_is_awaited(&head));
	head.heartbeat_ns = 0;
	assert_false(vmt_process_end_is_awaited(&head));
}

static void
awaits_no_collector_that_is_gone(void **state)
{
	pid_t child = fork();
	struct vmt_head head = head_of(getpid());
	siginfo_t info;

	(void)state;
	if (child == 0)
		_exit(0);
	assert_true(child > 0);
	head.collector_pid = (uint32_t)getpid();
	head.heartbeat_ns = vmt_ticks_monotonic_ns();
	assert_false(vmt_process_end_is_awaited(&head)); /* the process lives */
	head.pid = 0;
	assert_true(vmt_process_end_is_awaited(&head));
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	head.collector_pid = (uint32_t)child;
	assert_false(vmt_process_end_is_awaited(&head));
	check(&head, NULL, "cut", 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(vmt_process_end_is_awaited(&head));
}

static void
a_process_outlives_its_collector(void **state)
{
	struct vmt_head head = head_of(getpid());
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	assert_true(child > 0);
	head.clock_start.monotonic_ns = vmt_ticks_monotonic_ns();
	assert_false(vmt_process_end_is_uncollected(&head)); /* one may come */
	head.notes = VMT_NOTE_NO_COLLECTOR;
	assert_true(vmt_process_end_is_uncollected(&head));
	head.notes = 0;
	head.clock_start.monotonic_ns -= UINT64_C(60000000000);
	assert_true(vmt_process_end_is_uncollected(&head));
	head.collector_pid = (uint32_t)getpid();
	head.heartbeat_ns = vmt_ticks_monotonic_ns();
	assert_false(vmt_process_end_is_uncollected(&head));
	head.heartbeat_ns -= UINT64_C(60000000000);
	assert_true(vmt_process_end_is_uncollected(&head)); /* another has its number */
	head.notes = VMT_NOTE_BUFFERED;
	assert_false(vmt_process_end_is_uncollected(&head)); /* the file is of its last chunk */
	assert_int_equal(waitpid(child, NULL, 0), child);
	head.collector_pid = (uint32_t)child;
	assert_true(vmt_process_end_is_uncollected(&head));
	head.notes = 0;
	head.heartbeat_ns = vmt_ticks_monotonic_ns();
	assert_true(vmt_process_end_is_uncollected(&head));
	/* Its number says nothing here. */
	head.collector_pid_namespace = vmt_procfs_pid_namespace() + 1;
	assert_false(vmt_process_end_is_uncollected(&head));
}

/* This process has the number and the start of one of another namespace. */
static void
a_number_of_another_namespace_says_nothing(void **state)
{
	struct vmt_head head = head_of(getpid());

	(void)state;
	head.heartbeat_ns = vmt_ticks_monotonic_ns();
	head.collector_pid_namespace = vmt_procfs_pid_namespace();
	check(&head, NULL, "running", 0);
	head.collector_pid_namespace++;
	assert_true(vmt_process_end_is_awaited(&head));
	check(&head, NULL, "ending", 0);
	head.heartbeat_ns -= UINT64_C(60000000000);
	check(&head, NULL, "cut", 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(believes_the_best_informed),
	    cmocka_unit_test(says_cut_where_nobody_knows),
	    cmocka_unit_test(knows_a_process_that_lives),
	    cmocka_unit_test(a_recording_that_was_given_up_ends_as_the_process_does),
	    cmocka_unit_test(a_zombie_does_not_live),
	    cmocka_unit_test(awaits_a_collector_that_lives),
	    cmocka_unit_test(awaits_no_collector_that_is_gone),
	    cmocka_unit_test(a_process_outlives_its_collector),
	    cmocka_unit_test(a_number_of_another_namespace_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
