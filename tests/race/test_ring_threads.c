/* The ring under real threads: what the exhaustive model (test_ring_model.c) can't show is whether
 * the machine keeps the orders. Bounded counts; clean under ThreadSanitizer. */
#include "format/ring.c"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CAPACITY 16u
#define PRODUCERS 4u
#define EVENTS 20000u /* of each producer */
#define KIND_FIRST 1u /* producer i writes kind KIND_FIRST + i */

struct slot {
	uint32_t sequence;
	uint32_t number;   /* 0 .. EVENTS-1, of its producer */
	uint64_t words[3]; /* producer, and twice a mix of both */
};

static struct {
	struct vmt_ring control;
	struct slot slots[CAPACITY];
	uint64_t committed[PRODUCERS];
	uint64_t given_up[PRODUCERS];
	uint64_t dropped[PRODUCERS];
	uint32_t running;
	uint8_t seen[PRODUCERS][EVENTS];
} shared;

static const struct vmt_ring_view ring = {
    .control = &shared.control,
    .slots = (unsigned char *)shared.slots,
    .capacity = CAPACITY,
    .slot_bytes = sizeof(struct slot),
};

struct account {
	uint64_t events;
	uint64_t overwritten;
	uint64_t abandoned;
	uint64_t dead;
};

static void
reset(uint64_t start)
{
	memset(&shared, 0, sizeof(shared));
	shared.control.head = start;
	shared.control.tail = start;
	for (uint64_t p = start; p < start + CAPACITY; p++)
		shared.slots[p % CAPACITY].sequence = (uint32_t)(p - p % CAPACITY);
	shared.running = PRODUCERS;
}

static uint64_t
mixed(uint64_t producer, uint32_t number)
{
	return (producer + 1) * UINT64_C(0x9e3779b97f4a7c15) + number;
}

static uint8_t
kind_of(const void *slot)
{
	return (uint8_t)(KIND_FIRST +
			 vmt_atomic_load_relaxed(&((const struct slot *)slot)->words[0]));
}

/* Plain stores: where nobody discards, the ring's own orders must keep all who touch a slot apart,
 * and ThreadSanitizer reports the one that is missing. */
static void
fill_plainly(struct slot *slot, uint64_t producer, uint32_t number)
{
	slot->number = number;
	slot->words[0] = producer;
	slot->words[1] = mixed(producer, number);
	slot->words[2] = mixed(producer, number);
}

/* Relaxed stores, since a reader may look at a slot that a discard has just handed on. */
static void
fill_shared(struct slot *slot, uint64_t producer, uint32_t number)
{
	vmt_atomic_store_relaxed(&slot->number, number);
	vmt_atomic_store_relaxed(&slot->words[0], producer);
	vmt_atomic_store_relaxed(&slot->words[1], mixed(producer, number));
	vmt_atomic_store_relaxed(&slot->words[2], mixed(producer, number));
}

static bool
produce(void (*fill)(struct slot *, uint64_t, uint32_t), uint64_t producer, uint32_t number)
{
	uint64_t position;
	struct slot *slot = vmt_ring_claim(&ring, &position);

	if (slot == NULL)
		return false;
	fill(slot, producer, number);
	if (vmt_ring_commit(&ring, position))
		shared.committed[producer]++;
	else
		shared.given_up[producer]++;
	return true;
}

static void *
drop_when_full(void *argument)
{
	uint64_t producer = (uintptr_t)argument;

	for (uint32_t i = 0; i < EVENTS; i++) {
		if (produce(fill_plainly, producer, i))
			continue;
		shared.dropped[producer]++;
		sched_yield();
	}
	vmt_atomic_add_relaxed(&shared.running, UINT32_MAX);
	return NULL;
}

static void *
discard_when_full(void *argument)
{
	uint64_t producer = (uintptr_t)argument;

	for (uint32_t i = 0; i < EVENTS; i++)
		while (!produce(fill_shared, producer, i))
			if (!vmt_ring_discard_oldest(&ring, kind_of))
				sched_yield();
	vmt_atomic_add_relaxed(&shared.running, UINT32_MAX);
	return NULL;
}

/* What a collector has taken and not yet released, a few in a row, as it releases batches. */
#define BATCH 5u

struct taken {
	uint64_t positions[BATCH];
	uint8_t kinds[BATCH];
	unsigned count;
};

static void
release(struct taken *taken)
{
	bool alone = vmt_ring_begin_release(&ring, 77);

	for (unsigned i = 0; i < taken->count; i++) {
		if (alone)
			vmt_ring_release_alone(&ring, taken->positions[i], taken->kinds[i]);
		else
			vmt_ring_release_filed(&ring, taken->positions[i], taken->kinds[i]);
	}
	if (alone)
		vmt_ring_end_release(&ring);
	vmt_ring_help_tail(&ring);
	taken->count = 0;
}

static void
note(const struct slot *copy)
{
	assert_true(copy->words[0] < PRODUCERS && copy->number < EVENTS);
	assert_true(copy->words[1] == mixed(copy->words[0], copy->number));
	assert_true(copy->words[2] == copy->words[1]);
	assert_int_equal(shared.seen[copy->words[0]][copy->number], 0);
	shared.seen[copy->words[0]][copy->number] = 1;
}

/* Takes one position; false where there is nothing to take now. */
static bool
take(uint64_t *position, bool give_up, struct account *account, struct taken *taken)
{
	enum vmt_ring_state state = vmt_ring_look(&ring, *position);
	struct slot copy;

	if (state == VMT_RING_EMPTY || (state == VMT_RING_BUSY && !give_up))
		return false;
	if (state == VMT_RING_COMMITTED && vmt_ring_copy(&ring, *position, &copy)) {
		note(&copy);
		account->events++;
		taken->positions[taken->count] = *position;
		taken->kinds[taken->count++] = (uint8_t)(KIND_FIRST + copy.words[0]);
	} else if (state == VMT_RING_COMMITTED || state == VMT_RING_RELEASED) {
		account->overwritten++;
	} else if (!vmt_ring_release(&ring, *position, state)) {
		return true; /* changed: look again */
	} else if (state == VMT_RING_BUSY) {
		account->abandoned++;
	} else {
		account->dead++;
	}
	++*position;
	return true;
}

static void
collect(uint64_t start, bool give_up, struct account *account)
{
	struct taken taken = {.count = 0};
	uint64_t position = start;
	bool more = true;

	while (more) {
		bool running = vmt_atomic_load_acquire(&shared.running) != 0;
		uint64_t tail = vmt_atomic_load_acquire(&shared.control.tail);

		if (tail > position) {
			account->overwritten += tail - position;
			position = tail;
		}
		more = take(&position, give_up, account, &taken);
		if (!more || taken.count == BATCH)
			release(&taken);
		more |= running;
		if (running && (position & 7) == 0)
			sched_yield();
	}
	assert_int_equal(position, shared.control.head);
	assert_int_equal(shared.control.tail, shared.control.head);
}

static void
run(void *(*body)(void *), uint64_t start, bool give_up, struct account *account)
{
	pthread_t threads[PRODUCERS];

	reset(start);
	for (uintptr_t i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)i), 0);
	collect(start, give_up, account);
	for (unsigned i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* For each producer: all that it wrote was read, or counted by its kind. */
static void
check_by_kind(void)
{
	for (unsigned i = 0; i < PRODUCERS; i++) {
		uint64_t seen = 0;

		for (uint32_t n = 0; n < EVENTS; n++)
			seen += shared.seen[i][n];
		assert_int_equal(seen + shared.control.overwritten[KIND_FIRST + i],
				 shared.committed[i]);
		assert_int_equal(shared.committed[i] + shared.given_up[i] + shared.dropped[i],
				 EVENTS);
	}
}

static void
test_nothing_is_lost_uncounted(void **state)
{
	struct account account = {0};

	(void)state;
	run(drop_when_full, (UINT64_C(1) << 32) - EVENTS, false, &account);
	check_by_kind();
	assert_int_equal(account.overwritten + account.abandoned + account.dead, 0);
}

static void
test_slots_given_up_at_once(void **state)
{
	struct account account = {0};
	uint64_t given_up = 0;

	(void)state;
	run(drop_when_full, 0, true, &account);
	check_by_kind();
	for (unsigned i = 0; i < PRODUCERS; i++)
		given_up += shared.given_up[i];
	assert_int_equal(account.abandoned, given_up);
	assert_int_equal(account.overwritten, 0);
}

static void
test_discarding_beside_a_collector(void **state)
{
	struct account account = {0};
	uint64_t given_up = 0;

	(void)state;
	run(discard_when_full, 5, true, &account);
	check_by_kind();
	for (unsigned i = 0; i < PRODUCERS; i++)
		given_up += shared.given_up[i];
	assert_int_equal(account.abandoned + shared.control.abandoned, given_up);
	assert_int_equal(account.events + account.abandoned + account.dead + account.overwritten,
			 shared.control.head - 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_is_lost_uncounted),
	    cmocka_unit_test(test_slots_given_up_at_once),
	    cmocka_unit_test(test_discarding_beside_a_collector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
