#include "capture/record/samples.h"

#include "capture/core/guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES 1024u
#define FIRST VMT_SAMPLES_FIRST_LINES
#define CELLS (UINT64_C(1) << 16)
#define GRANULE_BITS 7u

static void *
block_at(uint64_t number)
{
	return (void *)(uintptr_t)(0x10000000 + number * 16);
}

static int
fresh_table(void **state)
{
	static const struct vmt_samples_size size = {LINES, CELLS, GRANULE_BITS};

	(void)state;
	return vmt_samples_set_up(&size) ? 0 : -1;
}

static bool
filter_is_empty(void)
{
	for (uint64_t i = 0; i <= vmt_samples_table.cell_mask; i++) {
		if (vmt_samples_table.filter[i] != 0)
			return false;
	}
	return true;
}

static void
what_was_added_is_found_once(void **state)
{
	uint64_t size = 0;

	(void)state;
	assert_false(vmt_samples_may_have(block_at(1)));
	assert_true(vmt_samples_add(block_at(1), 4096));
	assert_true(vmt_samples_may_have(block_at(1)));
	assert_false(vmt_samples_remove(block_at(2), &size));
	assert_true(vmt_samples_remove(block_at(1), &size));
	assert_int_equal(size, 4096);
	assert_false(vmt_samples_may_have(block_at(1)));
	assert_false(vmt_samples_remove(block_at(1), &size));
}

static bool
none_stands_elsewhere(void)
{
	for (uint32_t level = 0; level < vmt_samples_table.levels; level++) {
		const struct vmt_samples_line *lines = vmt_samples_table.lines[level];

		for (uint64_t i = 0; lines && i <= vmt_samples_table.line_masks[level]; i++)
			if (lines[i].elsewhere != 0)
				return false;
	}
	return true;
}

/* Half full: many blocks stand away from their home line, or in the second level. */
static void
many_blocks_keep_their_sizes(void **state)
{
	const uint64_t count = LINES * 2;
	uint64_t refused = 0;
	bool *in = calloc(count, sizeof(*in));

	(void)state;
	for (uint64_t i = 0; i < count; i++) {
		in[i] = vmt_samples_add(block_at(i * 7), i + 1);
		refused += !in[i];
	}
	assert_true(refused < count / 100);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t number = i * 1237 % count; /* in another order */
		uint64_t size = 0;

		assert_int_equal(vmt_samples_remove(block_at(number * 7), &size), in[number]);
		if (in[number])
			assert_int_equal(size, number + 1);
	}
	assert_true(filter_is_empty());
	assert_true(none_stands_elsewhere());
	free(in);
}

static void
a_full_table_refuses_and_loses_nothing(void **state)
{
	uint64_t added = 0;
	uint64_t found = 0;

	(void)state;
	for (uint64_t i = 0; i < 8 * LINES; i++)
		added += vmt_samples_add(block_at(i), i + 1);
	assert_in_range(added, (LINES + FIRST) * VMT_SAMPLES_LINE_ENTRIES * 9 / 10,
			(LINES + FIRST) * VMT_SAMPLES_LINE_ENTRIES);
	for (uint64_t i = 0; i < 8 * LINES; i++) {
		uint64_t size = 0;

		if (vmt_samples_remove(block_at(i), &size)) {
			assert_int_equal(size, i + 1);
			found++;
		}
	}
	assert_int_equal(found, added);
	assert_true(filter_is_empty());
}

/* 255 live blocks in one cell: it can no longer be counted down, and never says "no" again. */
static void
a_cell_that_overflows_keeps_saying_perhaps(void **state)
{
	static const struct vmt_samples_size size = {1u << 14, 1u << 10, GRANULE_BITS};
	const uint64_t turn = (UINT64_C(1) << (10 + GRANULE_BITS)) / 16; /* the same cell again */
	uint64_t removed;

	(void)state;
	assert_true(vmt_samples_set_up(&size));
	for (uint64_t i = 0; i < 300; i++)
		assert_true(vmt_samples_add(block_at(i * turn), i));
	assert_int_equal(*vmt_samples_cell(block_at(0)), 255);
	for (uint64_t i = 0; i < 300; i++)
		assert_true(vmt_samples_remove(block_at(i * turn), &removed));
	assert_true(vmt_samples_may_have(block_at(0)));
	assert_false(vmt_samples_remove(block_at(0), &removed));
	assert_false(vmt_samples_may_have(block_at(16)));
}

/* However many blocks were ever recorded, a level is used only when those before it are full of
 * live ones; and what a level holds is found when it is not the first any more. */
static void
memory_follows_the_live_blocks(void **state)
{
	const uint64_t room = FIRST * VMT_SAMPLES_LINE_ENTRIES;
	uint64_t size;

	(void)state;
	for (uint64_t i = 0; i < 100 * room; i++) {
		assert_true(vmt_samples_add(block_at(i * 3), 1));
		if (i >= room / 4)
			assert_true(vmt_samples_remove(block_at((i - room / 4) * 3), &size));
	}
	assert_int_equal(vmt_samples_table.used, 1);
	for (uint64_t i = 0; i < 2 * room; i++)
		assert_true(vmt_samples_add(block_at(i * 3 + 1), 2));
	assert_int_equal(vmt_samples_table.used, 2);
	for (uint64_t i = 0; i < room / 4; i++)
		assert_true(vmt_samples_remove(block_at((100 * room - room / 4 + i) * 3), &size));
	for (uint64_t i = 0; i < 2 * room; i++)
		assert_true(vmt_samples_remove(block_at(i * 3 + 1), &size));
	assert_true(filter_is_empty());
}

static uint32_t
mapped_levels(void)
{
	uint32_t count = 0;

	while (count < vmt_samples_table.levels && vmt_samples_table.lines[count])
		count++;
	return count;
}

static bool
is_own(const void *memory)
{
	uint64_t address = (uint64_t)(uintptr_t)memory;

	for (uint32_t i = 0; i < vmt_own_memory.count && i < VMT_OWN_MEMORY_RANGES; i++)
		if (address >= vmt_own_memory.ranges[i].start &&
		    address < vmt_own_memory.ranges[i].end)
			return true;
	return false;
}

/* Address space too: a level is mapped when it is wanted, and known as the tracer's own. */
static void
levels_are_mapped_when_they_are_wanted(void **state)
{
	static const struct vmt_samples_size size = {1u << 16, CELLS, GRANULE_BITS};
	const uint64_t first = (FIRST + 4 * FIRST + 16 * FIRST) * VMT_SAMPLES_LINE_ENTRIES;

	(void)state;
	assert_true(vmt_samples_set_up(&size));
	assert_int_equal(vmt_samples_table.levels, 5);
	assert_int_equal(mapped_levels(), VMT_SAMPLES_FIRST_LEVELS);
	for (uint64_t i = 0; i < first / 2; i++)
		assert_true(vmt_samples_add(block_at(i * 7), i + 1));
	assert_int_equal(mapped_levels(), VMT_SAMPLES_FIRST_LEVELS);
	for (uint64_t i = first / 2; i < 2 * first; i++)
		assert_true(vmt_samples_add(block_at(i * 7), i + 1));
	assert_int_equal(mapped_levels(), 4);
	assert_true(is_own(vmt_samples_table.lines[3]));
	vmt_samples_provide();
	assert_int_equal(mapped_levels(), 5);
	for (uint64_t i = 0; i < 2 * first; i++) {
		uint64_t found = 0;

		assert_true(vmt_samples_remove(block_at(i * 7), &found));
		assert_int_equal(found, i + 1);
	}
	assert_true(filter_is_empty());
	vmt_samples_unmap();
	assert_int_equal(mapped_levels(), 0);
	assert_false(vmt_samples_may_have(block_at(7)));
}

/* About one cell in 128 counts a live block where every interval of the heap has one, whatever
 * their number: here as many as a table takes with the finest sampling that it is made for. */
static void
the_filter_stays_thin(void **state)
{
	static const uint64_t intervals[] = {512 << 10, 64 << 10, 4 << 10, 2048};

	(void)state;
	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
		struct vmt_samples_size size = vmt_samples_size_for(intervals[i], false);

		assert_true(intervals[i] >> size.granule_bits >= 128);
		assert_true(size.granule_bits == 12 || intervals[i] >> size.granule_bits < 256);
	}
	assert_int_equal(vmt_samples_size_for(0, false).granule_bits, 12);
	assert_int_equal(vmt_samples_size_for(1, false).granule_bits, 4);
}

static void
clear_empties(void **state)
{
	uint64_t size;

	(void)state;
	for (uint64_t i = 0; i < 500; i++)
		assert_true(vmt_samples_add(block_at(i), 1));
	vmt_samples_clear();
	assert_true(filter_is_empty());
	for (uint64_t i = 0; i < 500; i++)
		assert_false(vmt_samples_remove(block_at(i), &size));
}

#define THREADS 4
#define TURNS 100000

/* Each thread owns addresses of its own, all in the same few lines and cells. */
static void *
add_and_remove(void *argument)
{
	uintptr_t self = (uintptr_t)argument;
	uintptr_t wrong = 0;

	for (uint64_t turn = 0; turn < TURNS; turn++) {
		void *block = block_at(self + THREADS * (turn % 64));
		uint64_t size = 0;

		if (!vmt_samples_add(block, turn + 1))
			continue;
		wrong += !vmt_samples_may_have(block);
		wrong += !vmt_samples_remove(block, &size) || size != turn + 1;
	}
	return (void *)wrong;
}

static void
threads_do_not_disturb_one_another(void **state)
{
	static const struct vmt_samples_size size = {8, 32, 4};
	pthread_t threads[THREADS];

	(void)state;
	assert_true(vmt_samples_set_up(&size));
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_true(filter_is_empty());
	assert_true(none_stands_elsewhere());
}

static void
its_memory_is_known_as_the_tracers_own(void **state)
{
	(void)state;
	assert_true(is_own(vmt_samples_table.filter));
	assert_true(is_own(vmt_samples_table.lines[0]));
	assert_true(is_own(vmt_samples_table.lines[1] + LINES - 1));
	assert_false(is_own(&vmt_samples_table));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_was_added_is_found_once, fresh_table),
	    cmocka_unit_test_setup(many_blocks_keep_their_sizes, fresh_table),
	    cmocka_unit_test_setup(a_full_table_refuses_and_loses_nothing, fresh_table),
	    cmocka_unit_test_setup(a_cell_that_overflows_keeps_saying_perhaps, fresh_table),
	    cmocka_unit_test_setup(memory_follows_the_live_blocks, fresh_table),
	    cmocka_unit_test(levels_are_mapped_when_they_are_wanted),
	    cmocka_unit_test(the_filter_stays_thin),
	    cmocka_unit_test_setup(clear_empties, fresh_table),
	    cmocka_unit_test_setup(threads_do_not_disturb_one_another, fresh_table),
	    cmocka_unit_test_setup(its_memory_is_known_as_the_tracers_own, fresh_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
