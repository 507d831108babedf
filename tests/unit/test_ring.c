/* One thread's view of the ring; what threads do to each other is tests/race's. */
#include "format/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CAPACITY 8u
#define START (UINT64_C(3) << 20)

static struct vmt_ring control;
static struct vmt_heap_event slots[CAPACITY];
static const struct vmt_ring_view ring = {
    .control = &control,
    .slots = (unsigned char *)slots,
    .capacity = CAPACITY,
    .slot_bytes = sizeof(slots[0]),
};

static int
set_up(void **state)
{
	(void)state;
	memset(&control, 0, sizeof(control));
	memset(slots, 0xee, sizeof(slots));
	for (unsigned i = 0; i < CAPACITY; i++)
		slots[i].sequence = 0;
	return 0;
}

static uint8_t
kind_of(const void *slot)
{
	const struct vmt_heap_event *event = slot;

	return (uint8_t)(event->address_kind >> VMT_ADDRESS_BITS);
}

static uint64_t
push(uint64_t address)
{
	uint64_t position = 0;
	struct vmt_heap_event *slot = vmt_ring_claim(&ring, &position);

	assert_non_null(slot);
	slot->address_kind = vmt_event_pack_address(address, VMT_EVENT_FREE);
	assert_true(vmt_ring_commit(&ring, position));
	return position;
}

static uint64_t
pop(uint64_t position)
{
	struct vmt_heap_event copy;

	assert_int_equal(vmt_ring_look(&ring, position), VMT_RING_COMMITTED);
	assert_true(vmt_ring_copy(&ring, position, &copy));
	vmt_ring_release_filed(&ring, position, kind_of(&copy));
	vmt_ring_help_tail(&ring);
	assert_int_equal(vmt_ring_look(&ring, position), VMT_RING_RELEASED);
	return copy.address_kind & VMT_ADDRESS_MASK;
}

static void
test_first_in_first_out(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 5 * CAPACITY; i += 5) {
		for (uint64_t j = i; j < i + 5; j++)
			assert_int_equal(push(1000 + j), j);
		for (uint64_t j = i; j < i + 5; j++)
			assert_int_equal(pop(j), 1000 + j);
	}
	assert_int_equal(control.head, control.tail);
	assert_int_equal(vmt_ring_look(&ring, control.head), VMT_RING_EMPTY);
}

static void
test_full_ring_refuses(void **state)
{
	uint64_t position = 99;

	(void)state;
	for (uint64_t i = 0; i < CAPACITY; i++)
		push(i);
	assert_null(vmt_ring_claim(&ring, &position));
	assert_int_equal(position, 99);
	assert_int_equal(control.head, CAPACITY);
	pop(0);
	assert_int_equal(push(8), CAPACITY);
	assert_null(vmt_ring_claim(&ring, &position));
}

static void
test_states_of_a_position(void **state)
{
	uint64_t position = 0;

	(void)state;
	assert_int_equal(vmt_ring_look(&ring, 0), VMT_RING_EMPTY);
	assert_non_null(vmt_ring_claim(&ring, &position));
	assert_int_equal(vmt_ring_look(&ring, 0), VMT_RING_BUSY);
	assert_true(vmt_ring_release(&ring, 0, VMT_RING_BUSY));
	assert_int_equal(vmt_ring_look(&ring, 0), VMT_RING_RELEASED);
	/* Nobody has come to the dead slot's next position yet. */
	assert_int_equal(vmt_ring_look(&ring, CAPACITY), VMT_RING_EMPTY);
	for (uint64_t i = 1; i < CAPACITY; i++) {
		push(i);
		pop(i);
	}
	assert_int_equal(push(9), CAPACITY + 1); /* steps over it */
	assert_int_equal(vmt_ring_look(&ring, CAPACITY), VMT_RING_DEAD);
	assert_false(vmt_ring_commit(&ring, position)); /* its writer comes back, one lap late */
	assert_int_equal(vmt_ring_look(&ring, CAPACITY), VMT_RING_DEAD_DONE);
	assert_false(vmt_ring_release(&ring, CAPACITY, VMT_RING_DEAD));
	assert_true(vmt_ring_release(&ring, CAPACITY, VMT_RING_DEAD_DONE));
	assert_int_equal(control.tail, CAPACITY + 1);
	for (uint64_t i = 2; i < CAPACITY; i++)
		push(i);
	assert_int_equal(push(16), 2 * CAPACITY); /* and the slot is in use again */
}

/* Two processes come back to one claim: the second leaves the slot alone. */
static void
test_second_commit_changes_nothing(void **state)
{
	uint64_t position = push(5);
	struct vmt_heap_event before = slots[0];

	(void)state;
	assert_false(vmt_ring_commit(&ring, position));
	assert_memory_equal(&slots[0], &before, sizeof(before));
	pop(position);
	before = slots[0];
	assert_false(vmt_ring_commit(&ring, position));
	assert_memory_equal(&slots[0], &before, sizeof(before));
}

static void
test_discards_the_oldest(void **state)
{
	(void)state;
	assert_false(vmt_ring_discard_oldest(&ring, kind_of));
	for (uint64_t i = 0; i < CAPACITY; i++)
		push(i);
	assert_true(vmt_ring_discard_oldest(&ring, kind_of));
	assert_int_equal(control.overwritten[VMT_EVENT_FREE], 1);
	assert_int_equal(control.tail, 1);
	assert_int_equal(push(8), 8);
	assert_int_equal(vmt_ring_look(&ring, 0), VMT_RING_RELEASED);
	assert_int_equal(pop(1), 1);
}

static void
test_gives_up_a_dead_writer(void **state)
{
	uint64_t position = 0;
	unsigned tries = 0;

	(void)state;
	assert_non_null(vmt_ring_claim(&ring, &position));
	for (uint64_t i = 1; i < CAPACITY; i++)
		push(i);
	while (!vmt_ring_discard_oldest(&ring, kind_of))
		assert_true(++tries <= VMT_RING_STALL_LIMIT);
	assert_int_equal(tries, VMT_RING_STALL_LIMIT);
	assert_int_equal(control.abandoned, 1);
	assert_int_equal(control.tail, 1);
	/* The count begins anew at another position. */
	for (uint64_t i = 1; i < CAPACITY; i++)
		assert_true(vmt_ring_discard_oldest(&ring, kind_of));
	assert_int_equal(push(0), CAPACITY + 1);
	assert_true(vmt_ring_discard_oldest(&ring, kind_of)); /* the dead slot */
	assert_int_equal(control.stepped, 1);
	assert_true(vmt_ring_discard_oldest(&ring, kind_of));
	assert_non_null(vmt_ring_claim(&ring, &position));
	assert_false(vmt_ring_discard_oldest(&ring, kind_of));
}

/* What a collector had filed before a producer discarded it is not lost. */
static void
test_takes_a_loss_back(void **state)
{
	struct vmt_heap_event copy;

	(void)state;
	push(7);
	assert_true(vmt_ring_copy(&ring, 0, &copy));
	assert_true(vmt_ring_discard_oldest(&ring, kind_of));
	assert_int_equal(control.overwritten[VMT_EVENT_FREE], 1);
	assert_false(vmt_ring_copy(&ring, 0, &copy)); /* too late to copy */
	vmt_ring_release_filed(&ring, 0, VMT_EVENT_FREE);
	assert_int_equal(control.overwritten[VMT_EVENT_FREE], 0);
}

/* Whoever takes the releases needs no swap for each; nobody discards meanwhile. */
static void
test_releases_without_swaps(void **state)
{
	struct vmt_ring before;

	(void)state;
	for (uint64_t i = 0; i < CAPACITY; i++)
		push(i);
	assert_true(vmt_ring_begin_release(&ring, 7));
	before = control;
	assert_false(vmt_ring_discard_oldest(&ring, kind_of));
	assert_false(vmt_ring_begin_release(&ring, 8));
	assert_memory_equal(&control, &before, sizeof(before));
	for (uint64_t i = 0; i < CAPACITY; i++)
		vmt_ring_release_alone(&ring, i, VMT_EVENT_FREE);
	vmt_ring_end_release(&ring);
	vmt_ring_lead_tail(&ring, 0, CAPACITY);
	assert_int_equal(control.tail, CAPACITY);
	assert_int_equal(control.overwritten[VMT_EVENT_FREE], 0);
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_int_equal(push(i), CAPACITY + i);
	assert_true(vmt_ring_discard_oldest(&ring, kind_of));
	assert_int_equal(control.releaser, VMT_RING_CONTESTED);
	assert_false(vmt_ring_begin_release(&ring, 7));
	assert_int_equal(pop(CAPACITY + 1), 1);
}

/* A slot that was damaged is left alone, as it is by a swap. */
static void
test_releases_no_damaged_slot(void **state)
{
	(void)state;
	push(1);
	control.overwritten[VMT_EVENT_FREE] = 1;
	slots[0].sequence = 0;
	assert_true(vmt_ring_begin_release(&ring, 7));
	vmt_ring_release_alone(&ring, 0, VMT_EVENT_FREE);
	vmt_ring_end_release(&ring);
	assert_int_equal(slots[0].sequence, 0);
	assert_int_equal(control.overwritten[VMT_EVENT_FREE], 0);
}

/* A side that was killed after its swap of the sequence left tail behind. */
static void
test_tail_is_helped(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		push(i);
	slots[0].sequence = CAPACITY;
	slots[1].sequence = CAPACITY;
	assert_int_equal(control.tail, 0);
	pop(2);
	assert_int_equal(control.tail, 3);
}

/* The program may write over our memory: nothing hangs. */
static void
check_slot(const void *slot)
{
	size_t offset = (size_t)((const char *)slot - (const char *)slots);

	if (slot == NULL)
		return;
	assert_true(offset < sizeof(slots));
	assert_int_equal(offset % sizeof(slots[0]), 0);
}

/* The tail never goes back, and at one discard over no more than the ring holds. */
static void
check_discards(unsigned tries)
{
	for (unsigned i = 0; i < tries; i++) {
		uint64_t tail = control.tail;

		(void)vmt_ring_discard_oldest(&ring, kind_of);
		assert_true(control.tail - tail <= CAPACITY);
	}
}

static void
test_damage_ends_loops(void **state)
{
	uint64_t position = 0;
	void *slot;

	(void)state;
	for (uint32_t value = 1; value != 0; value *= 3) {
		for (unsigned i = 0; i < CAPACITY; i++)
			slots[i].sequence = value + i * (value >> 3);
		control.head = START + value % 64;
		control.tail = START + value % 32;
		slot = vmt_ring_claim(&ring, &position);
		check_slot(slot);
		if (slot != NULL)
			(void)vmt_ring_commit(&ring, position);
		check_discards(3 * CAPACITY);
		if (value > UINT32_MAX / 3)
			break;
	}
	memset(slots, 0xff, sizeof(slots));
	memset(&control, 0xff, sizeof(control));
	check_slot(vmt_ring_claim(&ring, &position));
	check_discards(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_first_in_first_out, set_up),
	    cmocka_unit_test_setup(test_full_ring_refuses, set_up),
	    cmocka_unit_test_setup(test_states_of_a_position, set_up),
	    cmocka_unit_test_setup(test_second_commit_changes_nothing, set_up),
	    cmocka_unit_test_setup(test_discards_the_oldest, set_up),
	    cmocka_unit_test_setup(test_gives_up_a_dead_writer, set_up),
	    cmocka_unit_test_setup(test_takes_a_loss_back, set_up),
	    cmocka_unit_test_setup(test_releases_without_swaps, set_up),
	    cmocka_unit_test_setup(test_releases_no_damaged_slot, set_up),
	    cmocka_unit_test_setup(test_tail_is_helped, set_up),
	    cmocka_unit_test_setup(test_damage_ends_loops, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
