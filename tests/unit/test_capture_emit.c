/* How an event is written: every field, its time, its owner. */
#include "tests/unit/emit_fixture.h"

#include "capture/core/clock.h"

#include <unistd.h>

static void
a_heap_event_arrives_whole(void **state)
{
	struct vmt_event event;
	const struct vmt_heap_event *slot;

	(void)state;
	assert_true(vmt_emit_heap(VMT_EVENT_CALLOC, (void *)0x7fff12345670, 1234567, 99, 424242));
	assert_int_equal(vmt_ring_look(ring(VMT_RING_HEAP), 0), VMT_RING_COMMITTED);
	slot = (void *)vmt_ring_sequence(ring(VMT_RING_HEAP), 0);
	vmt_event_from_heap(&event, slot);
	assert_int_equal(event.kind, VMT_EVENT_CALLOC);
	assert_int_equal(event.address, 0x7fff12345670);
	assert_int_equal(event.length, 1234567);
	assert_int_equal(event.stack, 99);
	assert_int_equal(event.time, 424242);
	assert_int_equal(event.thread, gettid() & 0xffff);
}

static void
a_map_event_arrives_whole(void **state)
{
	struct vmt_map_event event = {.kind = VMT_EVENT_MMAP,
				      .stack = 7,
				      .time = 8,
				      .address = 9,
				      .length = 10,
				      .argument_a = 11,
				      .argument_b = 12,
				      .flags = 13,
				      .error = -14,
				      .advice = 15,
				      .protection = 3,
				      .marks = 5};
	const struct vmt_map_event *slot;

	(void)state;
	assert_true(vmt_emit_map(&event));
	slot = (void *)vmt_ring_sequence(ring(VMT_RING_MAP), 0);
	event.thread = (uint32_t)gettid();
	event.sequence = 1;
	assert_memory_equal(slot, &event, sizeof(event));
}

static void
times_of_one_thread_never_go_back(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t before = vmt_emit_time_before();
		uint64_t after = vmt_emit_time_after();

		assert_true(before >= last && after >= before);
		last = after;
	}
#if defined(__x86_64__)
	vmt_clock_is_tsc = true;
	last = __builtin_ia32_rdtsc();
	assert_true(vmt_emit_time_after() > last);
#endif
}

static void
a_clock_that_was_stopped_goes_on_by_one(void **state)
{
	uint64_t before;
	uint64_t stopped;

	(void)state;
	vmt_clock_is_tsc = false;
	before = vmt_emit_time_after();
	vmt_clock_stop();
	vmt_guard.no_syscalls = true;
	stopped = vmt_emit_time_before();
	assert_true(stopped > before);
	assert_int_equal(vmt_emit_time_after(), stopped + 1);
	assert_int_equal(vmt_emit_time_before(), stopped + 2);
}

static void
a_new_owner_asks_for_the_thread_again(void **state)
{
	(void)state;
	assert_int_equal(vmt_emit_thread_id(), gettid());
	vmt_thread_mine()->thread_id = 5;
	assert_int_equal(vmt_emit_thread_id(), 5);
	owner.generation++;
	assert_int_equal(vmt_emit_thread_id(), gettid());
}

/* In the child of a fork inside a signal handler the rings are its parent's: there nothing is
 * lost. */
static void
a_wiped_owner_claims_nothing(void **state)
{
	(void)state;
	owner.state = VMT_OWNER_NONE;
	assert_false(emit_block(VMT_EVENT_MALLOC, 1));
	assert_int_equal(ring(VMT_RING_HEAP)->control->head, 0);
	assert_int_equal(ring(VMT_RING_HEAP)->control->dropped[VMT_EVENT_MALLOC], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_heap_event_arrives_whole),
	    TEST(a_map_event_arrives_whole),
	    TEST(times_of_one_thread_never_go_back),
	    TEST(a_clock_that_was_stopped_goes_on_by_one),
	    TEST(a_new_owner_asks_for_the_thread_again),
	    TEST(a_wiped_owner_claims_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
