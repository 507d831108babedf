#include "format/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
test_kinds_are_distinct_and_fit(void **state)
{
	bool used[VMT_EVENT_KINDS] = {false};

	(void)state;
#define VMT_EVENT(name, id, ring, role, call, fields, a, b)                                        \
	assert_true((id) > 0 && (id) < VMT_EVENT_KINDS - 1);                                       \
	assert_false(used[id]);                                                                    \
	used[id] = true;
#include "format/event_kinds.def"
}

/* Ids are the file format's: a reader of another version relies on them. */
static void
test_ids_stay(void **state)
{
	(void)state;
	assert_int_equal(VMT_EVENT_MALLOC, 1);
	assert_int_equal(VMT_EVENT_FREE, 16);
	assert_int_equal(VMT_EVENT_MMAP, 33);
	assert_int_equal(VMT_EVENT_MUNMAP, 34);
	assert_int_equal(VMT_EVENT_PRESENT, 48);
	assert_int_equal(VMT_EVENT_MAP_UNDO, 56);
}

static void
test_heap_slot_round_trip(void **state)
{
	struct vmt_heap_event slot = {
	    .sequence = 77,
	    .stack = 0xfedcba98,
	    .time = UINT64_MAX - 5,
	    .address_kind = vmt_event_pack_address(UINT64_C(0x7fffdeadbef0), VMT_EVENT_CALLOC),
	    .size_thread = vmt_event_pack_size(UINT64_C(0x123456789ab), 0x12345),
	};
	struct vmt_event event;

	(void)state;
	memset(&event, 0xff, sizeof(event));
	vmt_event_from_heap(&event, &slot);
	assert_int_equal(event.stack, 0xfedcba98);
	assert_true(event.time == UINT64_MAX - 5);
	assert_true(event.address == UINT64_C(0x7fffdeadbef0));
	assert_int_equal(event.kind, VMT_EVENT_CALLOC);
	assert_true(event.length == UINT64_C(0x123456789ab));
	assert_int_equal(event.thread, 0x2345);
	assert_int_equal(event.argument_a | event.argument_b | event.flags | event.marks, 0);
}

static void
test_heap_limits(void **state)
{
	struct vmt_heap_event slot = {
	    .address_kind = vmt_event_pack_address(UINT64_MAX, VMT_EVENT_KINDS - 1),
	    .size_thread = vmt_event_pack_size(UINT64_MAX, UINT32_MAX),
	};
	struct vmt_event event;

	(void)state;
	vmt_event_from_heap(&event, &slot);
	assert_true(event.address == VMT_ADDRESS_MASK);
	assert_int_equal(event.kind, VMT_EVENT_KINDS - 1);
	assert_true(event.length == VMT_ADDRESS_MASK); /* capped, not wrapped */
	assert_int_equal(event.thread, 0xffff);
}

static void
test_map_slot_round_trip(void **state)
{
	struct vmt_map_event slot = {
	    .sequence = 1,
	    .stack = 2,
	    .time = 3,
	    .address = UINT64_C(0xffffffffff600000),
	    .length = 5,
	    .argument_a = 6,
	    .argument_b = 7,
	    .flags = 8,
	    .thread = 9,
	    .error = -10,
	    .advice = 11,
	    .kind = VMT_EVENT_MADVISE,
	    .protection = 13,
	    .marks = VMT_MARK_LOOKED,
	};
	struct vmt_event event;

	(void)state;
	vmt_event_from_map(&event, &slot);
	assert_int_equal(event.stack, 2);
	assert_int_equal(event.time, 3);
	assert_true(event.address == UINT64_C(0xffffffffff600000));
	assert_int_equal(event.length, 5);
	assert_int_equal(event.argument_a, 6);
	assert_int_equal(event.argument_b, 7);
	assert_int_equal(event.flags, 8);
	assert_int_equal(event.thread, 9);
	assert_int_equal(event.error, -10);
	assert_int_equal(event.advice, 11);
	assert_int_equal(event.kind, VMT_EVENT_MADVISE);
	assert_int_equal(event.protection, 13);
	assert_int_equal(event.marks, VMT_MARK_LOOKED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kinds_are_distinct_and_fit), cmocka_unit_test(test_ids_stay),
	    cmocka_unit_test(test_heap_slot_round_trip),       cmocka_unit_test(test_heap_limits),
	    cmocka_unit_test(test_map_slot_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
