#include "preload/samples.h"

#include "preload/state.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES 1024u

static void *
block_at(uint64_t number)
{
	return (void *)(uintptr_t)(0x10000000 + number * 16);
}

static int
fresh_table(void **state)
{
	(void)state;
	return vmt_samples_set_up(LINES) ? 0 : -1;
}

static bool
filter_is_empty(void)
{
	for (uint32_t i = 0; i < VMT_SAMPLES_FILTER_CELLS; i++) {
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

/* Two thirds full: many blocks stand away from their home line. */
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
	for (uint64_t i = 0; i < LINES; i++)
		assert_int_equal(vmt_samples_table.lines[i].elsewhere, 0);
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
	assert_in_range(added, LINES * VMT_SAMPLES_LINE_ENTRIES * 9 / 10,
			LINES * VMT_SAMPLES_LINE_ENTRIES);
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
	void *blocks[300];
	uint64_t count = 0;
	uint64_t cell = vmt_samples_hash(block_at(0)) >> 49;
	uint64_t size;

	(void)state;
	assert_true(vmt_samples_set_up(1u << 14));
	for (uint64_t i = 0; count < 300; i++) {
		if (vmt_samples_hash(block_at(i)) >> 49 == cell)
			blocks[count++] = block_at(i);
	}
	for (uint64_t i = 0; i < count; i++)
		assert_true(vmt_samples_add(blocks[i], i));
	assert_int_equal(vmt_samples_table.filter[cell], 255);
	for (uint64_t i = 0; i < count; i++)
		assert_true(vmt_samples_remove(blocks[i], &size));
	assert_true(vmt_samples_may_have(blocks[0]));
	assert_false(vmt_samples_remove(blocks[0], &size));
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
	pthread_t threads[THREADS];

	(void)state;
	assert_true(vmt_samples_set_up(8));
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_true(filter_is_empty());
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(vmt_samples_table.lines[i].elsewhere, 0);
}

static void
its_memory_is_known_as_the_tracers_own(void **state)
{
	const struct vmt_process *process = &vmt_state_process;
	uint64_t filter = (uint64_t)(uintptr_t)vmt_samples_table.filter;
	bool found = false;

	(void)state;
	for (uint32_t i = 0; i < process->own_count && i < VMT_STATE_OWN_RANGES; i++)
		found |= process->own[i].start == filter &&
			 process->own[i].end >= filter + VMT_SAMPLES_FILTER_CELLS + LINES * 64;
	assert_true(found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_was_added_is_found_once, fresh_table),
	    cmocka_unit_test_setup(many_blocks_keep_their_sizes, fresh_table),
	    cmocka_unit_test_setup(a_full_table_refuses_and_loses_nothing, fresh_table),
	    cmocka_unit_test_setup(a_cell_that_overflows_keeps_saying_perhaps, fresh_table),
	    cmocka_unit_test_setup(clear_empties, fresh_table),
	    cmocka_unit_test_setup(threads_do_not_disturb_one_another, fresh_table),
	    cmocka_unit_test_setup(its_memory_is_known_as_the_tracers_own, fresh_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
