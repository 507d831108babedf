/* Threads that fail for want of memory, or unmap the trace, while others do. */
#include "tests/unit/limited_child.h"

#include "capture/core/robust_trylock.h"
#include "capture/record/own_release.h"

#include <pthread.h>
#include <sched.h>

static uint32_t go; /* a thread that the trace knows may ask */

static void *
visit_and_ask_twice(void *argument)
{
	bool *answers = argument;
	uint32_t outer;

	if (!vmt_guard_hold(&outer))
		abort();
	vmt_guard_let_go(outer);
	vmt_atomic_store_release(&go, 1);
	while (vmt_atomic_load_acquire(&go) != 2)
		sched_yield();
	answers[0] = ask_mmap(2 * MIB, 0);
	answers[1] = ask_mmap(2 * MIB, 0);
	return NULL;
}

/* Of each thread's calls one may have been refused before ours went, however late it says so. */
static int
ask_after_ours_have_gone(void)
{
	bool answers[2] = {false, true};
	pthread_t thread;

	if (pthread_create(&thread, NULL, visit_and_ask_twice, answers) != 0)
		return 1;
	while (vmt_atomic_load_acquire(&go) != 1)
		sched_yield();
	leave_room(1 * MIB);
	if (!ask_mmap(2 * MIB, 0) || ask_mmap(2 * MIB, 0))
		return 2;
	vmt_atomic_store_release(&go, 2);
	pthread_join(thread, NULL);
	return answers[0] && !answers[1] ? 0 : 3;
}

static void
each_thread_has_one_more_try(void **state)
{
	(void)state;
	in_child(ask_after_ours_have_gone);
}

static void *
visit(void *unused)
{
	if (!vmt_guard_visit())
		abort();
	vmt_atomic_store_release(&go, 1);
	while (vmt_atomic_load_acquire(&go) != 2)
		sched_yield();
	vmt_guard_end_visit();
	return unused;
}

/* Nothing goes while one reads it that is not inside, and nobody else may begin to. */
static int
ask_during_a_visit(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, visit, NULL) != 0)
		return 1;
	while (vmt_atomic_load_acquire(&go) != 1)
		sched_yield();
	leave_room(1 * MIB);
	if (ask_mmap(2 * MIB, 0) || is_recording() || !vmt_recording.head)
		return 2;
	if (vmt_guard_visit())
		return 3;
	vmt_atomic_store_release(&go, 2);
	pthread_join(thread, NULL);
	return ask_mmap(2 * MIB, 0) && !vmt_recording.head ? 0 : 4;
}

/* The program unmaps the trace itself: it stays for the visitor. */
static int
unmap_during_a_visit(void)
{
	uint64_t start = (uint64_t)(uintptr_t)vmt_recording.head;
	struct vmt_own_range part;
	pthread_t thread;

	if (pthread_create(&thread, NULL, visit, NULL) != 0)
		return 1;
	while (vmt_atomic_load_acquire(&go) != 1)
		sched_yield();
	if (vmt_own_release_let_go(start, start + TRACE_BYTES, 0) || is_recording())
		return 2;
	if (!vmt_own_release_next(start, start + TRACE_BYTES, &part) || vmt_guard_visit())
		return 3;
	vmt_atomic_store_release(&go, 2);
	pthread_join(thread, NULL);
	return 0;
}

static void
a_visitor_is_waited_for(void **state)
{
	(void)state;
	in_child(ask_during_a_visit);
	in_child(unmap_during_a_visit);
}

static void *
hold_turn(void *unused)
{
	if (vmt_robust_trylock_take(&vmt_own_release_turn) != VMT_ROBUST_TRYLOCK_TAKEN)
		abort();
	vmt_atomic_store_release(&go, 1);
	while (vmt_atomic_load_acquire(&go) != 2)
		sched_yield();
	vmt_robust_trylock_release(&vmt_own_release_turn);
	return unused;
}

/* The program unmaps the trace while another thread is about to, for want of memory. */
static int
unmap_while_another_thread_is_at_it(void)
{
	uint64_t start = (uint64_t)(uintptr_t)vmt_recording.head;
	struct vmt_own_range part;
	pthread_t thread;
	uint32_t outer;

	if (pthread_create(&thread, NULL, hold_turn, NULL) != 0)
		return 1;
	while (vmt_atomic_load_acquire(&go) != 1)
		sched_yield();
	if (vmt_own_release_let_go(start, start + TRACE_BYTES, 0) || !vmt_recording.head)
		return 2;
	if (!vmt_own_release_next_whole(start, start + TRACE_BYTES, &part))
		return 3;
	vmt_atomic_store_release(&go, 2);
	pthread_join(thread, NULL);
	if (!vmt_guard_hold(&outer))
		return 4;
	if (vmt_own_release_let_go(start, start + TRACE_BYTES, 1) || vmt_recording.head)
		return 5;
	return is_recording() ? 6 : 0;
}

static void
one_thread_at_a_time_lets_the_trace_go(void **state)
{
	(void)state;
	in_child(unmap_while_another_thread_is_at_it);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_thread_has_one_more_try),
	    cmocka_unit_test(a_visitor_is_waited_for),
	    cmocka_unit_test(one_thread_at_a_time_lets_the_trace_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
