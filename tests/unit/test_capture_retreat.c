/*
 * test_capture_retreat.c: when are the tracer's mappings given up, and when not?
 *
 * Each question is asked in a fork child with limits and a trace of its own.
 */
#include "tests/unit/limited_child.h"

#include "capture/core/threads_inside.h"

#include <pthread.h>
#include <sched.h>

static int
ask_for_what_ours_take(void)
{
	struct vmt_head *head = vmt_recording.head;

	leave_room(1 * MIB);
	if (!ask_mmap(2 * MIB, 0))
		return 1;
	if (is_recording() || vmt_recording.head != NULL)
		return 2;
	if (msync(head, TRACE_BYTES, MS_ASYNC) == 0) /* still mapped */
		return 3;
	return mmap(NULL, 2 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 4
												: 0;
}

static void
ours_go_where_that_makes_room(void **state)
{
	(void)state;
	in_child(ask_for_what_ours_take);
}

static int
ask_for_too_much(void)
{
	leave_room(1 * MIB);
	if (ask_mmap(1 * MIB + TRACE_BYTES + 4096, 0) || ask_mmap(UINT64_C(1) << 46, 0))
		return 1;
	return is_recording() ? 0 : 2;
}

static int
ask_with_much_room(void)
{
	leave_room(1024 * MIB);
	if (ask_mmap(MIB, 0) || vmt_retreat_from_heap(MIB, 0, ENOMEM) ||
	    vmt_retreat_from_fork(ENOMEM) || vmt_retreat_from_munmap(-ENOMEM) ||
	    vmt_retreat_from_madvise(-EAGAIN) || vmt_retreat_from_thread(8 * MIB, EAGAIN) ||
	    vmt_retreat_from_brk(MIB))
		return 1;
	return is_recording() ? 0 : 2;
}

static int
ask_without_limits(void)
{
	if (ask_mmap(MIB, 0) || ask_mmap(MIB, MAP_HUGETLB) || vmt_retreat_from_heap(1, 0, ENOMEM))
		return 1;
	return is_recording() ? 0 : 2;
}

static void
what_would_fail_without_us_changes_nothing(void **state)
{
	(void)state;
	in_child(ask_for_too_much);
	in_child(ask_with_much_room);
	in_child(ask_without_limits);
}

/* All of these fit into what is left, or were refused for something else. */
static int
ask_after_other_failures(void)
{
	char *range;

	range = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(range + 4096, 4096);
	leave_room(MIB / 2);
	if (ask_mmap(64 * 1024, MAP_HUGETLB) || ask_mmap(64 * 1024, MAP_32BIT))
		return 1;
	if (vmt_retreat_from_thread(64 * 1024, EAGAIN)) /* a limit on threads */
		return 2;
	if (vmt_retreat_from_mprotect((uint64_t)(uintptr_t)range, 2 * MIB, PROT_WRITE, -ENOMEM))
		return 3; /* a hole */
	if (vmt_retreat_from_mremap(
		&(struct vmt_mapping_move){(uint64_t)(uintptr_t)range, 4096, 2 * MIB, 0, 0},
		-EAGAIN))
		return 4;
	if (mmap(range + 4096, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		MAP_FAILED ||
	    vmt_retreat_from_mremap(
		&(struct vmt_mapping_move){(uint64_t)(uintptr_t)range, 4096, 2 * MIB, 0, 0},
		-ENOMEM))
		return 5; /* something lies behind */
	if (vmt_retreat_from_heap(1, 0, EINVAL) || vmt_retreat_from_heap(SIZE_MAX, 0, ENOMEM) ||
	    vmt_retreat_from_heap(1, SIZE_MAX, ENOMEM))
		return 6;
	return is_recording() ? 0 : 7;
}

static void
failures_of_other_kinds_change_nothing(void **state)
{
	(void)state;
	in_child(ask_after_other_failures);
}

/* RLIMIT_DATA does not count the trace, which is shared: to give it up would help nobody. */
static int
ask_under_data_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_DATA, &limit) != 0)
		return 1;
	limit.rlim_cur = 4096;
	if (setrlimit(RLIMIT_DATA, &limit) != 0 || ask_mmap(TRACE_BYTES / 2, 0))
		return 2;
	return is_recording() ? 0 : 3;
}

static void
what_the_limit_does_not_count_stays(void **state)
{
	(void)state;
	in_child(ask_under_data_limit);
}

#define MANY 65540 /* pages: more than the usual vm.max_map_count */

/* Cuts a range into mappings of a page until the kernel allows no more. NULL: it allows so many. */
static char *
cut_until_refused(void)
{
	char *range = mmap(NULL, MANY * UINT64_C(4096), PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (range == MAP_FAILED)
		abort();
	for (uint64_t page = 1; page < MANY - 1; page += 2)
		if (mprotect(range + page * 4096, 4096, PROT_READ) != 0)
			return range;
	return NULL;
}

static bool
ask_move(uint64_t address)
{
	const struct vmt_mapping_move move = {address, 4096, 8192, MREMAP_MAYMOVE, 0};

	return vmt_retreat_from_mremap(&move, -ENOMEM);
}

static int
ask_with_few_mappings_left(void)
{
	char *range = cut_until_refused();

	if (!range)
		return 0;
	/* Back by six: enough for any of them. */
	if (mprotect(range, 7 * UINT64_C(4096), PROT_NONE) != 0)
		return 1;
	if (vmt_retreat_from_munmap(-ENOMEM) || vmt_retreat_from_madvise(-EAGAIN))
		return 2;
	if (ask_mmap(4096, 0) || ask_move((uint64_t)(uintptr_t)range))
		return 3;
	if (!is_recording())
		return 4;
	for (uint64_t page = 1; page < 7; page += 2) /* as many as before */
		if (mprotect(range + page * 4096, 4096, PROT_READ) != 0)
			return 5;
	return 0;
}

static int
ask_with_no_mapping_left(void)
{
	if (!cut_until_refused())
		return 0;
	return vmt_retreat_from_munmap(-ENOMEM) && !is_recording() ? 0 : 1;
}

/* An mremap is refused a few before a cut is. */
static int
ask_to_move_with_two_left(void)
{
	char *range = cut_until_refused();

	if (!range)
		return 0;
	if (mprotect(range, 3 * UINT64_C(4096), PROT_NONE) != 0)
		return 1;
	if (vmt_retreat_from_munmap(-ENOMEM))
		return 2;
	return ask_move((uint64_t)(uintptr_t)range) && !is_recording() ? 0 : 3;
}

static void
a_mapping_too_many_is_told_and_none_is_used_up(void **state)
{
	(void)state;
	in_child(ask_with_few_mappings_left);
	in_child(ask_with_no_mapping_left);
	in_child(ask_to_move_with_two_left);
}

/* A thread that shares another's state was seen: nobody knows who is inside. */
static int
ask_while_nobody_can_tell(void)
{
	vmt_threads_inside_distrust();
	leave_room(1 * MIB);
	if (ask_mmap(2 * MIB, 0))
		return 1;
	return is_recording() ? 0 : 2;
}

static void
what_cannot_be_unmapped_goes_on_recording(void **state)
{
	(void)state;
	in_child(ask_while_nobody_can_tell);
}

static uint32_t stay; /* 1: the visitor stays inside, 0: it may go */

static void *
visit(void *argument)
{
	uint32_t outer;

	if (!vmt_guard_hold(&outer))
		abort();
	vmt_atomic_store_release((uint32_t *)argument, 1);
	while (vmt_atomic_load_acquire(&stay))
		sched_yield();
	vmt_guard_let_go(outer);
	vmt_atomic_store_release((uint32_t *)argument, 2);
	return NULL;
}

/* The first failure finds a thread inside, a later one does not. What the process has said of its
 * end stays. */
static int
ask_with_a_visitor(void)
{
	struct vmt_head *head = vmt_recording.head;
	uint32_t seen = 0;
	pthread_t thread;

	stay = 1;
	head->end = VMT_END_EXIT;
	head->end_status = 3;
	if (pthread_create(&thread, NULL, visit, &seen) != 0)
		return 1;
	while (vmt_atomic_load_acquire(&seen) != 1)
		sched_yield();
	leave_room(1 * MIB);
	if (ask_mmap(2 * MIB, 0) || is_recording())
		return 2;
	if (head->end != VMT_END_EXIT || head->end_status != 3)
		return 3;
	vmt_atomic_store_release(&stay, 0);
	while (vmt_atomic_load_acquire(&seen) != 2)
		sched_yield();
	if (!ask_mmap(2 * MIB, 0) || vmt_recording.head != NULL)
		return 4;
	pthread_join(thread, NULL);
	return 0;
}

static void
a_later_failure_unmaps_what_could_not_go_at_first(void **state)
{
	(void)state;
	in_child(ask_with_a_visitor);
}

static void *
ask_long(void *argument)
{
	(void)argument;
	while (!ask_mmap(2 * MIB, 0) && is_recording())
		sched_yield();
	while (vmt_atomic_load_acquire(&stay)) /* else its turn could be taken over */
		sched_yield();
	return NULL;
}

/* A child that is forked while another thread asks has its turn at once. */
static int
fork_while_another_asks(void)
{
	uint32_t seen = 0;
	pthread_t threads[2];
	pid_t child;
	int status;

	stay = 1;
	if (pthread_create(&threads[0], NULL, visit, &seen) != 0)
		return 1;
	while (vmt_atomic_load_acquire(&seen) != 1)
		sched_yield();
	if (pthread_create(&threads[1], NULL, ask_long, NULL) != 0)
		return 2;
	leave_room(1 * MIB);
	while (is_recording()) /* until it waits for the visitor, with its turn taken */
		sched_yield();
	child = fork();
	if (child == 0) {
		lift_limit();
		vmt_retreat_forked();
		begin();
		leave_room(1 * MIB);
		_exit(ask_mmap(2 * MIB, 0) ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return 3;
	vmt_atomic_store_release(&stay, 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	return 0;
}

static void
a_fork_child_waits_for_nobody_of_its_parent(void **state)
{
	(void)state;
	in_child(fork_while_another_asks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ours_go_where_that_makes_room),
	    cmocka_unit_test(what_would_fail_without_us_changes_nothing),
	    cmocka_unit_test(failures_of_other_kinds_change_nothing),
	    cmocka_unit_test(what_the_limit_does_not_count_stays),
	    cmocka_unit_test(a_mapping_too_many_is_told_and_none_is_used_up),
	    cmocka_unit_test(what_cannot_be_unmapped_goes_on_recording),
	    cmocka_unit_test(a_later_failure_unmaps_what_could_not_go_at_first),
	    cmocka_unit_test(a_fork_child_waits_for_nobody_of_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
