/* What becomes of an event when its ring is full: who waits, how long, and what is counted. */
#include "tests/unit/emit_fixture.h"

#include <pthread.h>
#include <sched.h>

static void
without_a_collector_the_newest_stay(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_HEAP)->control;

	(void)state;
	for (uint64_t i = 0; i < 3 * CAPACITY; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(control->head, 3 * CAPACITY);
	assert_int_equal(control->overwritten[VMT_EVENT_MALLOC], 2 * CAPACITY);
	assert_int_equal(control->dropped[VMT_EVENT_MALLOC], 0);
	assert_int_equal(vmt_ring_look(ring(VMT_RING_HEAP), 2 * CAPACITY), VMT_RING_COMMITTED);
	assert_int_equal(vmt_ring_look(ring(VMT_RING_HEAP), 2 * CAPACITY - 1), VMT_RING_RELEASED);
}

static void
a_dead_collector_is_like_none(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_MAP)->control;

	(void)state;
	collector_died();
	assert_false(vmt_emit_is_collected());
	for (uint64_t i = 0; i < CAPACITY + 3; i++)
		assert_true(emit_mapping(VMT_EVENT_MUNMAP, i));
	assert_int_equal(control->overwritten[VMT_EVENT_MUNMAP], 3);
}

static void
sampled_acquisitions_are_dropped_and_counted(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_HEAP)->control;

	(void)state;
	collect();
	assert_true(vmt_emit_is_collected());
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_false(emit_block(VMT_EVENT_MALLOC, 90));
	assert_false(emit_block(VMT_EVENT_REALLOC, 91));
	assert_int_equal(control->dropped[VMT_EVENT_MALLOC], 1);
	assert_int_equal(control->dropped[VMT_EVENT_REALLOC], 1);
	assert_int_equal(control->overwritten[VMT_EVENT_MALLOC], 0);
	assert_int_equal(control->head, CAPACITY);
}

/* What `all` waits for is this trace's own heartbeat. */
static void
in_all_nobody_waits_for_a_collector_that_is_elsewhere(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_HEAP)->control;

	(void)state;
	vmt_recording.malloc_mode = VMT_MALLOC_ALL;
	collector_died();
	for (uint64_t i = 0; i < CAPACITY + 3; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(control->overwritten[VMT_EVENT_MALLOC], 3);
	assert_int_equal(control->dropped[VMT_EVENT_MALLOC], 0);
}

static void
a_trace_that_nobody_opened_is_uncollected_in_the_end(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_HEAP)->control;
	uint64_t now_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);

	(void)state;
	vmt_recording.malloc_mode = VMT_MALLOC_ALL;
	collector_missed_us();
	vmt_recording.head->clock_start.monotonic_ns = now_ns + 60000000000u;
	assert_true(vmt_emit_is_collected());
	vmt_recording.head->clock_start.monotonic_ns = now_ns - VMT_EMIT_OPEN_NS;
	assert_false(vmt_emit_is_collected());
	for (uint64_t i = 0; i < CAPACITY + 3; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(control->overwritten[VMT_EVENT_MALLOC], 3);
	/* Late is better than never. */
	vmt_recording.head->collector_pid = 1;
	vmt_recording.head->heartbeat_ns = now_ns + 60000000000u;
	assert_true(vmt_emit_is_collected());
}

/* The collector has taken the announcement, and not opened the trace. */
static void
a_collector_that_can_not_open_the_trace_is_not_waited_for(void **state)
{
	struct vmt_session_slot *slot = &session.slots[3];

	(void)state;
	collector_missed_us();
	vmt_recording.head->random_id = 77;
	*slot = (struct vmt_session_slot){.state = VMT_SESSION_READY, .random_id = 77};
	vmt_recording.slot = slot;
	assert_true(vmt_emit_is_collected());
	/* Somebody else's by now. */
	slot->random_id = 78;
	assert_false(vmt_emit_is_collected());
	slot->state = VMT_SESSION_FREE;
	assert_false(vmt_emit_is_collected());
	/* Opened, and not yet visited for the first time. */
	vmt_recording.head->collector_pid = 1;
	assert_true(vmt_emit_is_collected());
}

static void
a_collector_that_is_done_with_us_has_left(void **state)
{
	(void)state;
	collect();
	assert_true(vmt_emit_is_collected());
	vmt_recording.head->collector_pid = 0;
	assert_false(vmt_emit_is_collected());
}

/* A heartbeat from a clock that runs ahead, or that stood still just now. */
static void
a_heartbeat_that_stands_still_ends_the_wait(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_HEAP)->control;

	(void)state;
	vmt_recording.malloc_mode = VMT_MALLOC_ALL;
	collect();
	for (uint64_t i = 0; i < CAPACITY + 3; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(control->overwritten[VMT_EVENT_MALLOC], 3);
	assert_false(vmt_emit_is_collected());
	vmt_recording.head->heartbeat_ns++;
	assert_true(vmt_emit_is_collected());
}

static void *
beat_on(void *stop)
{
	while (!vmt_atomic_load_relaxed((uint32_t *)stop)) {
		vmt_atomic_add_relaxed(&vmt_recording.head->heartbeat_ns, 1);
		sched_yield();
	}
	return NULL;
}

/* A full disk: the collector lives, the drain does not get on. One waits, the others do not. */
static void
after_a_wait_in_vain_events_are_dropped_at_once(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_HEAP)->control;
	uint64_t dropped = 20000;
	uint32_t stop = 0;
	pthread_t thread;

	(void)state;
	vmt_recording.malloc_mode = VMT_MALLOC_ALL;
	collect();
	assert_int_equal(pthread_create(&thread, NULL, beat_on, &stop), 0);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	/* With a wait for each this would take hours. */
	for (uint64_t i = 0; i < dropped; i++)
		assert_false(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(control->dropped[VMT_EVENT_MALLOC], dropped);
	assert_int_equal(control->overwritten[VMT_EVENT_MALLOC], 0);
	assert_true(vmt_ring_release(ring(VMT_RING_HEAP), 0, VMT_RING_COMMITTED));
	assert_true(emit_block(VMT_EVENT_MALLOC, 1));
	vmt_atomic_store_relaxed(&stop, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Killed while one waited: nobody waits any more who could see its heartbeat stand still. */
static void
a_collector_that_dies_after_a_wait_in_vain_is_missed(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_MAP)->control;
	uint32_t stop = 0;
	pthread_t thread;

	(void)state;
	collect();
	assert_int_equal(pthread_create(&thread, NULL, beat_on, &stop), 0);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_mapping(VMT_EVENT_MMAP, i));
	assert_false(emit_mapping(VMT_EVENT_MUNMAP, 1));
	vmt_atomic_store_relaxed(&stop, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(emit_mapping(VMT_EVENT_MUNMAP, 2));
	collector_died();
	assert_true(emit_mapping(VMT_EVENT_MUNMAP, 3));
	assert_int_equal(control->dropped[VMT_EVENT_MUNMAP], 2);
	assert_int_equal(control->overwritten[VMT_EVENT_MMAP], 1);
}

/* As while all threads stand, for the collector's own work. */
static void
a_collector_that_is_put_off_is_not_waited_for(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_MAP)->control;

	(void)state;
	collect();
	vmt_emit_put_off_collector(true);
	assert_false(vmt_emit_is_collected());
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_mapping(VMT_EVENT_PRESENT, i));
	session.wake = 0;
	for (uint64_t i = 0; i < 3; i++)
		assert_true(emit_mapping(VMT_EVENT_PRESENT, i));
	assert_int_equal(session.wake, 0);
	assert_int_equal(control->overwritten[VMT_EVENT_PRESENT], 3);
	vmt_emit_put_off_collector(false);
	assert_true(vmt_emit_is_collected());
}

/* First stopped while it releases, then killed. */
static void
a_collector_that_dies_releasing_gives_the_ring_back(void **state)
{
	struct vmt_ring *control = ring(VMT_RING_MAP)->control;

	(void)state;
	collector_died();
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_mapping(VMT_EVENT_MMAP, i));
	control->releaser = 7;
	assert_false(emit_mapping(VMT_EVENT_MUNMAP, 1));
	assert_false(emit_mapping(VMT_EVENT_MUNMAP, 2));
	control->releaser = VMT_RING_RELEASER_DIED;
	assert_true(emit_mapping(VMT_EVENT_MUNMAP, 3));
	assert_int_equal(control->dropped[VMT_EVENT_MUNMAP], 2);
	assert_int_equal(control->overwritten[VMT_EVENT_MMAP], 1);
}

/* As a collector that has ended leaves it: its slots are a hole in the file. */
static void
a_ring_without_any_state_ends_every_loop(void **state)
{
	const struct vmt_ring_view *view = ring(VMT_RING_MAP);

	(void)state;
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_mapping(VMT_EVENT_MMAP, i));
	memset(view->slots, 0, (size_t)view->capacity * view->slot_bytes);
	for (uint64_t i = 0; i < 1000; i++)
		assert_false(emit_mapping(VMT_EVENT_MUNMAP, i));
	assert_int_equal(view->control->dropped[VMT_EVENT_MUNMAP], 1000);
}

static void
a_ring_that_gets_half_full_wakes_the_collector_once(void **state)
{
	(void)state;
	collect();
	for (uint64_t i = 0; i < CAPACITY / 2 - 1; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(session.wake, 0);
	assert_true(emit_block(VMT_EVENT_MALLOC, 1));
	assert_int_equal(session.wake, 1);
	for (uint64_t i = CAPACITY / 2; i < CAPACITY; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(session.wake, 1);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(vmt_ring_release(ring(VMT_RING_HEAP), i, VMT_RING_COMMITTED));
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_block(VMT_EVENT_MALLOC, i));
	assert_int_equal(session.wake, 2);
	/* The other ring has a line of its own. */
	for (uint64_t i = 0; i < CAPACITY / 2; i++)
		assert_true(emit_mapping(VMT_EVENT_MMAP, i));
	assert_int_equal(session.wake, 3);
}

/* Takes `wanted` events out of a ring, only once it is full and a producer waits. */
struct drain {
	const struct vmt_ring_view *ring;
	uint64_t wanted;
};

static void *
drain_when_full(void *argument)
{
	const struct drain *drain = argument;

	while (vmt_atomic_load_acquire(&session.wake) < 2) /* half full, then a wait */
		sched_yield();
	for (uint64_t position = 0; position < drain->wanted; position++) {
		while (vmt_ring_look(drain->ring, position) != VMT_RING_COMMITTED)
			sched_yield();
		assert_true(vmt_ring_release(drain->ring, position, VMT_RING_COMMITTED));
	}
	return NULL;
}

static void
with_drain(enum vmt_ring_class ring_class, uint8_t kind, bool (*emit)(uint8_t, uint64_t))
{
	struct drain drain = {ring(ring_class), 5 * CAPACITY};
	pthread_t thread;

	collect();
	assert_int_equal(pthread_create(&thread, NULL, drain_when_full, &drain), 0);
	for (uint64_t i = 0; i < drain.wanted; i++)
		assert_true(emit(kind, i));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(drain.ring->control->dropped[kind], 0);
	assert_int_equal(drain.ring->control->overwritten[kind], 0);
	assert_int_equal(drain.ring->control->tail, drain.wanted);
}

static void
map_events_wait_for_the_drain(void **state)
{
	(void)state;
	with_drain(VMT_RING_MAP, VMT_EVENT_MMAP, emit_mapping);
}

static void
frees_of_sampled_blocks_wait_for_the_drain(void **state)
{
	(void)state;
	with_drain(VMT_RING_HEAP, VMT_EVENT_FREE, emit_block);
}

static void
in_all_every_block_waits_for_the_drain(void **state)
{
	(void)state;
	vmt_recording.malloc_mode = VMT_MALLOC_ALL;
	with_drain(VMT_RING_HEAP, VMT_EVENT_MALLOC, emit_block);
}

static void
the_wait_is_bounded(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_MAP)->control;
	uint32_t stop = 0;
	pthread_t thread;

	(void)state;
	collect();
	assert_int_equal(pthread_create(&thread, NULL, beat_on, &stop), 0);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_mapping(VMT_EVENT_MMAP, i));
	assert_false(emit_mapping(VMT_EVENT_MUNMAP, 1));
	assert_int_equal(control->dropped[VMT_EVENT_MUNMAP], 1);
	assert_true(session.wake > 0);
	vmt_atomic_store_relaxed(&stop, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Each slot was claimed by a thread that was killed, and given up. */
static void
a_ring_of_dead_slots_ends_every_loop(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_HEAP)->control;
	uint64_t position;

	(void)state;
	vmt_recording.malloc_mode = VMT_MALLOC_ALL;
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_non_null(vmt_ring_claim(ring(VMT_RING_HEAP), &position));
	for (uint64_t i = 0; i + 1 < CAPACITY; i++)
		assert_true(vmt_ring_release(ring(VMT_RING_HEAP), i, VMT_RING_BUSY));
	assert_false(vmt_ring_is_exhausted(ring(VMT_RING_HEAP)));
	assert_true(vmt_ring_release(ring(VMT_RING_HEAP), CAPACITY - 1, VMT_RING_BUSY));
	assert_true(vmt_ring_is_exhausted(ring(VMT_RING_HEAP)));
	for (uint64_t i = 1; i < 4; i++) {
		assert_false(emit_block(VMT_EVENT_MALLOC, i));
		assert_int_equal(control->dropped[VMT_EVENT_MALLOC], i);
	}
	/* One of them comes back. */
	assert_false(vmt_ring_commit(ring(VMT_RING_HEAP), 3));
	assert_true(emit_block(VMT_EVENT_MALLOC, 9));
	assert_false(emit_block(VMT_EVENT_MALLOC, 10) && emit_block(VMT_EVENT_MALLOC, 11) &&
		     control->overwritten[VMT_EVENT_MALLOC] == 0);
}

/* Under a seccomp filter nothing may be asked of the kernel: the wait is a spin, and short. */
static void
without_system_calls_it_gives_up_by_itself(void **state)
{
	const struct vmt_ring *control = ring(VMT_RING_MAP)->control;

	(void)state;
	collect();
	vmt_guard.no_syscalls = true;
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(emit_mapping(VMT_EVENT_MMAP, i));
	/* The heartbeat stood still meanwhile: the oldest makes room. */
	assert_true(emit_mapping(VMT_EVENT_MUNMAP, 1));
	assert_int_equal(control->overwritten[VMT_EVENT_MMAP], 1);
	assert_int_equal(session.wake, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(without_a_collector_the_newest_stay),
	    TEST(a_dead_collector_is_like_none),
	    TEST(in_all_nobody_waits_for_a_collector_that_is_elsewhere),
	    TEST(a_trace_that_nobody_opened_is_uncollected_in_the_end),
	    TEST(a_collector_that_can_not_open_the_trace_is_not_waited_for),
	    TEST(a_collector_that_is_done_with_us_has_left),
	    TEST(a_heartbeat_that_stands_still_ends_the_wait),
	    TEST(after_a_wait_in_vain_events_are_dropped_at_once),
	    TEST(a_collector_that_dies_after_a_wait_in_vain_is_missed),
	    TEST(a_collector_that_is_put_off_is_not_waited_for),
	    TEST(a_collector_that_dies_releasing_gives_the_ring_back),
	    TEST(a_ring_without_any_state_ends_every_loop),
	    TEST(a_ring_of_dead_slots_ends_every_loop),
	    TEST(a_ring_that_gets_half_full_wakes_the_collector_once),
	    TEST(sampled_acquisitions_are_dropped_and_counted),
	    TEST(map_events_wait_for_the_drain),
	    TEST(frees_of_sampled_blocks_wait_for_the_drain),
	    TEST(in_all_every_block_waits_for_the_drain),
	    TEST(the_wait_is_bounded),
	    TEST(without_system_calls_it_gives_up_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
