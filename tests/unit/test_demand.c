/* Do events make the collector look sooner, and only where they should? */
#include "collect/demand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)
#define MS UINT64_C(1000000)
#define NOW (1000 * MS)

static void
note(struct vmt_held *held, const struct vmt_event *event)
{
	vmt_held_note(held, event);
}

static void
map(struct vmt_held *held, uint64_t bytes)
{
	note(held, &(struct vmt_event){.kind = VMT_EVENT_MMAP,
				       .length = bytes,
				       .protection = PROT_READ | PROT_WRITE});
}

/* So many blocks of one size, acquired or released, as the heap ring has them. */
static void
blocks(struct vmt_held *held, uint8_t kind, uint64_t count, uint64_t bytes)
{
	struct vmt_held_blocks seen = {0};

	for (uint64_t i = 0; i < count; i++)
		vmt_held_count(&seen, held, kind, bytes);
	vmt_held_add(held, &seen);
}

static void
what_is_held_goes_up_and_down(void **state)
{
	struct vmt_held held = {0};

	(void)state;
	map(&held, 10 * MIB);
	assert_int_equal(held.mapped_bytes, 10 * MIB);
	note(&held, &(struct vmt_event){.kind = VMT_EVENT_MMAP, .length = MIB}); /* no access */
	note(&held,
	     &(struct vmt_event){
		 .kind = VMT_EVENT_MMAP, .length = MIB, .protection = PROT_WRITE, .error = 12});
	assert_int_equal(held.mapped_bytes, 10 * MIB);
	note(&held, &(struct vmt_event){
			.kind = VMT_EVENT_MREMAP, .length = 12 * MIB, .argument_b = 10 * MIB});
	assert_int_equal(held.mapped_bytes, 12 * MIB);
	note(&held,
	     &(struct vmt_event){.kind = VMT_EVENT_BRK, .address = 5 * MIB, .argument_a = 2 * MIB});
	assert_int_equal(held.mapped_bytes, 15 * MIB);
	note(&held,
	     &(struct vmt_event){.kind = VMT_EVENT_BRK, .address = 2 * MIB, .argument_a = 5 * MIB});
	note(&held, &(struct vmt_event){.kind = VMT_EVENT_MUNMAP,
					.length = 12 * MIB,
					.argument_a = 7 * MIB,
					.marks = VMT_MARK_LOOKED});
	assert_int_equal(held.mapped_bytes, 0);
	assert_int_equal(held.released_bytes, 7 * MIB);
	/* Nobody looked: how much of it was in RAM is not known. */
	note(&held, &(struct vmt_event){.kind = VMT_EVENT_MADVISE, .argument_a = MIB});
	assert_int_equal(held.released_bytes, 7 * MIB);
}

static void
blocks_come_and_go_with_their_size(void **state)
{
	struct vmt_held all = {0};
	struct vmt_held sampled = {.sample_bytes = MIB / 2};

	(void)state;
	blocks(&all, VMT_EVENT_MALLOC, 1000, 3000);
	assert_int_equal(all.heap_bytes, 3000000);
	blocks(&all, VMT_EVENT_FREE, 1000, 0);
	assert_int_equal(all.heap_bytes, 0);
	blocks(&all, VMT_EVENT_MALLOC, 2, 100 * MIB);
	note(&all, &(struct vmt_event){.kind = VMT_EVENT_FREE, .length = 100 * MIB});
	assert_int_equal(all.heap_bytes, 100 * MIB);
	/* A sampled block stands for all that were not. */
	blocks(&sampled, VMT_EVENT_MALLOC, 20, 3000);
	assert_int_equal(sampled.heap_bytes, 10 * MIB);
	blocks(&sampled, VMT_EVENT_DELETE, 20, 0);
	assert_int_equal(sampled.heap_bytes, 0);
	blocks(&sampled, VMT_EVENT_MALLOC, 1, 128 << 10);
	note(&sampled, &(struct vmt_event){.kind = VMT_EVENT_FREE, .length = 128 << 10});
	assert_int_equal(sampled.heap_bytes, 0);
}

static void
much_more_wants_a_reading(void **state)
{
	struct vmt_demand demand = {0};
	struct vmt_held held = {0};

	(void)state;
	(void)vmt_demand_note_reading(&demand, &held, 2 * MIB, NOW);
	map(&held, 3 * MIB);
	assert_false(vmt_demand_wants_reading(&demand, &held, NOW + 500 * MS));
	map(&held, 3 * MIB);
	assert_false(vmt_demand_wants_reading(&demand, &held, NOW + 1 * MS)); /* a moment ago */
	assert_true(vmt_demand_wants_reading(&demand, &held, NOW + 10 * MS));
	assert_true(vmt_demand_note_reading(&demand, &held, 2 * MIB, NOW + 10 * MS) != 0);
	assert_false(vmt_demand_wants_reading(&demand, &held, NOW + 500 * MS));
	/* Much is a twentieth of RSS as well. */
	(void)vmt_demand_note_reading(&demand, &held, 200 * MIB, NOW + 500 * MS);
	map(&held, 9 * MIB);
	assert_false(vmt_demand_wants_reading(&demand, &held, NOW + 3000 * MS));
	map(&held, 2 * MIB);
	assert_true(vmt_demand_wants_reading(&demand, &held, NOW + 3000 * MS));
}

/* A heap that is turned over and over, and RSS that stays: once a second in the end. */
static void
what_leads_to_nothing_is_heeded_seldom(void **state)
{
	struct vmt_demand demand = {0};
	struct vmt_held held = {0};
	uint64_t now_ns = NOW;
	unsigned readings = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++, now_ns += MS) {
		if (vmt_demand_wants_reading(&demand, &held, now_ns)) {
			(void)vmt_demand_note_reading(&demand, &held, MIB, now_ns);
			readings++;
		}
		map(&held, MIB);
	}
	assert_in_range(readings, 10, 20);
	/* RSS moves: at once again. */
	(void)vmt_demand_note_reading(&demand, &held, 50 * MIB, now_ns);
	map(&held, 20 * MIB);
	assert_true(vmt_demand_wants_reading(&demand, &held, now_ns + 10 * MS));
}

static void
freed_blocks_want_a_snapshot(void **state)
{
	struct vmt_demand demand = {0};
	struct vmt_held held = {0};
	uint64_t snapshot_ns = NOW;

	(void)state;
	blocks(&held, VMT_EVENT_MALLOC, 10000, 10000);
	(void)vmt_demand_note_reading(&demand, &held, 100 * MIB, NOW);
	vmt_demand_note_snapshot(&demand, &held, 0, false);
	assert_false(vmt_demand_wants_snapshot(&demand, &held, snapshot_ns, NOW + 9000 * MS));
	blocks(&held, VMT_EVENT_FREE, 5000, 0);
	assert_false(vmt_demand_wants_snapshot(&demand, &held, snapshot_ns, NOW + 100 * MS));
	assert_true(vmt_demand_wants_snapshot(&demand, &held, snapshot_ns, NOW + 250 * MS));
	assert_false(vmt_demand_wants_snapshot(&demand, &held, 0, NOW + 250 * MS)); /* the first */
	vmt_demand_note_snapshot(&demand, &held, 250 * MS, true);
	assert_false(vmt_demand_wants_snapshot(&demand, &held, NOW, NOW + 9000 * MS));
	/* Ranges that had pages are given back and others come: RSS stays where it is. */
	note(&held, &(struct vmt_event){.kind = VMT_EVENT_MUNMAP,
					.length = 50 * MIB,
					.argument_a = 50 * MIB,
					.marks = VMT_MARK_LOOKED});
	assert_true(vmt_demand_wants_snapshot(&demand, &held, NOW, NOW + 9000 * MS));
}

static void
snapshots_of_a_restless_heap_come_seldom(void **state)
{
	struct vmt_demand demand = {0};
	struct vmt_held held = {0};
	uint64_t snapshot_ns = NOW;
	unsigned snapshots = 0;

	(void)state;
	for (uint64_t now_ns = NOW; now_ns < NOW + 60000 * MS; now_ns += 10 * MS) {
		note(&held, &(struct vmt_event){.kind = VMT_EVENT_MUNMAP,
						.argument_a = MIB,
						.marks = VMT_MARK_LOOKED});
		if (!vmt_demand_wants_snapshot(&demand, &held, snapshot_ns, now_ns))
			continue;
		vmt_demand_note_snapshot(&demand, &held, now_ns - snapshot_ns, true);
		snapshot_ns = now_ns;
		snapshots++;
	}
	assert_in_range(snapshots, 12, 20); /* every 5 s, and more at first */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_held_goes_up_and_down),
	    cmocka_unit_test(blocks_come_and_go_with_their_size),
	    cmocka_unit_test(much_more_wants_a_reading),
	    cmocka_unit_test(what_leads_to_nothing_is_heeded_seldom),
	    cmocka_unit_test(freed_blocks_want_a_snapshot),
	    cmocka_unit_test(snapshots_of_a_restless_heap_come_seldom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
