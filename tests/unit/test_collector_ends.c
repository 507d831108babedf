/* When a process, or an image of one, is over for the collector, and how it says that it ended. */
#include "tests/unit/collector_place.h"

/* Killed with one slot claimed and one committed behind it. */
static void
a_killed_process_leaves_what_it_had_committed(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	uint64_t abandoned;
	pid_t pid;

	(void)state;
	place_set_up(&place);
	pid = fork();
	if (pid == 0) {
		struct vmt_ring_view ring;
		uint64_t position;

		if (place_announce(&trace, &place, 5))
			_exit(99);
		place_await_collector(&trace);
		ring = vmt_head_ring(trace.head, trace.base, 0, VMT_RING_HEAP);
		if (!vmt_ring_claim(&ring, &position) ||
		    !fixture_put_heap(&trace, 0, 1, 16, VMT_EVENT_MALLOC))
			_exit(98);
		raise(SIGKILL);
	}
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	place_read_trace(&chunks, place.trace_path);
	place_check_end(&chunks, VMT_END_SIGNAL, SIGKILL);
	assert_int_equal(place_count_events(&chunks, &abandoned), 1);
	assert_int_equal(abandoned, 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fixture_free_chunks(&chunks);
	place_tear_down(&place);
}

/* The process is over, reaped and forgotten before anybody collects. */
static void
a_process_that_was_faster_is_collected_still(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	uint64_t abandoned;
	pid_t pid;

	(void)state;
	place_set_up(&place);
	pid = fork();
	if (pid == 0) {
		if (place_announce(&trace, &place, 5) ||
		    !fixture_put_heap(&trace, 0, 1, 16, VMT_EVENT_MALLOC))
			_exit(99);
		trace.head->end_status = 3;
		trace.head->end = VMT_END_EXIT;
		_exit(3);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	place_read_trace(&chunks, place.trace_path);
	place_check_end(&chunks, VMT_END_EXIT, 3);
	assert_int_equal(place_count_events(&chunks, &abandoned), 1);
	fixture_free_chunks(&chunks);
	place_tear_down(&place);
}

/* Killed before anybody collects, and not reaped: what the kernel keeps of it says how it ended. */
static void
a_process_that_was_killed_early_is_known_by_its_remains(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	siginfo_t info;
	pid_t pid;

	(void)state;
	place_set_up(&place);
	pid = fork();
	if (pid == 0) {
		if (place_announce(&trace, &place, 5))
			_exit(99);
		raise(SIGKILL);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	place_read_trace(&chunks, place.trace_path);
	place_check_end(&chunks, VMT_END_SIGNAL, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fixture_free_chunks(&chunks);
	place_tear_down(&place);
}

/* The process becomes a program that is not traced; the collector stays till that has ended. */
static void
an_exec_ends_the_image_and_not_the_process(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	siginfo_t info;
	pid_t pid;

	(void)state;
	place_set_up(&place);
	pid = fork();
	if (pid == 0) {
		if (place_announce(&trace, &place, 5))
			_exit(99);
		place_await_collector(&trace);
		execl("/bin/sh", "sh", "-c", "exec sleep 0.3", (char *)NULL);
		_exit(98);
	}
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	/* It has ended by now: nothing to wait for. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG), 0);
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_status, 0);
	place_read_trace(&chunks, place.trace_path);
	place_check_end(&chunks, VMT_END_EXEC, 0);
	fixture_free_chunks(&chunks);
	place_tear_down(&place);
}

/* A second image announces itself under the same pid. */
static void
an_exec_into_a_traced_program_makes_two_traces(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace first, second;
	char path[sizeof(place.trace_path) + 8];
	pid_t pid;

	(void)state;
	place_set_up(&place);
	snprintf(path, sizeof(path), "%s.2", place.trace_path);
	pid = fork();
	if (pid == 0) {
		if (place_announce(&first, &place, 5))
			_exit(99);
		place_await_collector(&first);
		fixture_make(&second, path, PLACE_CAPACITY, 6);
		if (!vmt_session_announce(place.session, (uint32_t)getpid(), 6, path))
			_exit(98);
		while (vmt_atomic_load_acquire(&first.head->collected_end) == 0)
			sched_yield();
		_exit(11);
	}
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	place_read_trace(&chunks, place.trace_path);
	place_check_end(&chunks, VMT_END_EXEC, 0);
	fixture_free_chunks(&chunks);
	place_read_trace(&chunks, path);
	place_check_end(&chunks, VMT_END_EXIT, 11);
	fixture_free_chunks(&chunks);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	unlink(path);
	place_tear_down(&place);
}

struct reaper {
	pid_t pid;
	int status;
	bool done;
};

static bool
reap(void *context)
{
	struct reaper *reaper = context;

	if (!reaper->done && waitpid(reaper->pid, &reaper->status, WNOHANG) == reaper->pid)
		reaper->done = true;
	return !reaper->done;
}

static bool
tell_status(void *context, uint32_t pid, int *wait_status)
{
	const struct reaper *reaper = context;

	if (!reaper->done || (pid_t)pid != reaper->pid)
		return false;
	*wait_status = reaper->status;
	return true;
}

/* A host that reaps; an announcement of a file that is no trace does no harm. */
static void
the_host_has_its_say(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	struct reaper reaper = {0};
	struct vmt_collector_host host = {
	    .expects_more = reap, .reaped = tell_status, .context = &reaper};

	(void)state;
	place_set_up(&place);
	host.session_path = place.session_path;
	assert_true(vmt_session_announce(place.session, 1, 1, "/etc/passwd"));
	assert_true(vmt_session_announce(place.session, 1, 1, "/no/such/file"));
	reaper.pid = fork();
	if (reaper.pid == 0) {
		if (place_announce(&trace, &place, 5))
			_exit(99);
		place_await_collector(&trace);
		raise(SIGTERM);
	}
	assert_int_equal(vmt_collector_run(place.session, &host), 0);
	assert_true(reaper.done);
	place_read_trace(&chunks, place.trace_path);
	place_check_end(&chunks, VMT_END_SIGNAL, SIGTERM);
	for (unsigned i = 0; i < VMT_SESSION_SLOTS; i++)
		assert_int_equal(place.session->slots[i].state, VMT_SESSION_FREE);
	assert_int_equal(place.session->collector_pid, 0);
	fixture_free_chunks(&chunks);
	place_tear_down(&place);
}

/* Nobody is ever traced: the collector leaves with the first process. */
static void
leaves_with_a_first_process_that_never_announces(void **state)
{
	struct place place;
	pid_t pid;

	(void)state;
	place_set_up(&place);
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	place_tear_down(&place);
}

static bool
count_rounds(void *context)
{
	unsigned *rounds = context;

	(*rounds)++;
	return false;
}

/* A child that has ended without a word is not waited for, though its parent does not reap it: the
 * collector leaves while both are zombies. Waiting, it would do ten rounds and more. */
static void
a_forked_zombie_is_not_waited_for(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	siginfo_t info;
	unsigned rounds = 0;
	struct vmt_collector_host host = {.expects_more = count_rounds, .context = &rounds};
	pid_t pid, child;

	(void)state;
	place_set_up(&place);
	host.session_path = place.session_path;
	child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	pid = fork();
	if (pid == 0) {
		if (place_announce(&trace, &place, 5) ||
		    !fixture_put_map(&trace, 0, 1, 0, VMT_EVENT_FORK, (uint64_t)child))
			_exit(99);
		_exit(0);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	host.first_pid = (uint32_t)pid;
	assert_int_equal(vmt_collector_run(place.session, &host), 0);
	assert_in_range(rounds, 1, 5);
	place_read_trace(&chunks, place.trace_path);
	place_check_end(&chunks, VMT_END_EXIT, 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(waitpid(child, NULL, 0), child);
	fixture_free_chunks(&chunks);
	place_tear_down(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_killed_process_leaves_what_it_had_committed),
	    cmocka_unit_test(a_process_that_was_faster_is_collected_still),
	    cmocka_unit_test(a_process_that_was_killed_early_is_known_by_its_remains),
	    cmocka_unit_test(an_exec_ends_the_image_and_not_the_process),
	    cmocka_unit_test(an_exec_into_a_traced_program_makes_two_traces),
	    cmocka_unit_test(the_host_has_its_say),
	    cmocka_unit_test(a_forked_zombie_is_not_waited_for),
	    cmocka_unit_test(leaves_with_a_first_process_that_never_announces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
