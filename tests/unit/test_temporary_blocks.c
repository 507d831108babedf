#include "tools/model/replay/temporary_blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct vmt_temporary_blocks *blocks;

static int
make(void **state)
{
	(void)state;
	blocks = vmt_temporary_blocks_new();
	return blocks ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	vmt_temporary_blocks_free(blocks);
	return 0;
}

static void
what_is_freed_before_the_next_allocation(void **state)
{
	(void)state;
	vmt_temporary_blocks_acquire(blocks, 1, 0x1000);
	assert_true(vmt_temporary_blocks_release(blocks, 1, 0x1000));
	vmt_temporary_blocks_acquire(blocks, 1, 0x1000);
	vmt_temporary_blocks_acquire(blocks, 1, 0x2000);
	assert_false(vmt_temporary_blocks_release(blocks, 1, 0x1000));
	/* A release between makes no difference. */
	assert_true(vmt_temporary_blocks_release(blocks, 1, 0x2000));
	assert_false(vmt_temporary_blocks_release(blocks, 1, 0x2000));
}

static void
each_thread_has_its_own_last_block(void **state)
{
	(void)state;
	vmt_temporary_blocks_acquire(blocks, 1, 0x1000);
	vmt_temporary_blocks_acquire(blocks, 2, 0x2000);
	assert_false(vmt_temporary_blocks_release(blocks, 1, 0x2000));
	assert_true(vmt_temporary_blocks_release(blocks, 1, 0x1000));
	/* Ids are told apart by their 16 low bits. */
	vmt_temporary_blocks_acquire(blocks, 0x10003, 0x3000);
	assert_true(vmt_temporary_blocks_release(blocks, 0x20003, 0x3000));
}

/* A block's memory is another block once another thread has freed it, and is nobody's last. */
static void
memory_of_another_block_is_not_mistaken(void **state)
{
	(void)state;
	for (uint32_t thread = 10; thread < 14; thread++) {
		vmt_temporary_blocks_acquire(blocks, thread, 0x5000);
		assert_false(vmt_temporary_blocks_release(blocks, 1, 0x5000));
		vmt_temporary_blocks_acquire(blocks, 1, 0x5000);
		assert_false(vmt_temporary_blocks_release(blocks, thread, 0x5000));
	}
	assert_false(vmt_temporary_blocks_release(blocks, 14, 0x5000));
}

static void
a_release_that_failed_was_none(void **state)
{
	(void)state;
	vmt_temporary_blocks_acquire(blocks, 1, 0x1000);
	assert_true(vmt_temporary_blocks_release(blocks, 1, 0x1000));
	assert_true(vmt_temporary_blocks_undo(blocks, 1, 0x1000));
	assert_true(vmt_temporary_blocks_release(blocks, 1, 0x1000));
	vmt_temporary_blocks_acquire(blocks, 1, 0x1000);
	vmt_temporary_blocks_acquire(blocks, 1, 0x2000);
	assert_false(vmt_temporary_blocks_release(blocks, 1, 0x1000));
	assert_false(vmt_temporary_blocks_undo(blocks, 1, 0x1000));
	assert_true(vmt_temporary_blocks_release(blocks, 1, 0x2000));
}

/* What the module says, by a look at every thread. */
struct plain {
	uint64_t last;
	bool is_released;
};

static bool
plain_release(struct plain *thread, uint64_t address)
{
	thread->is_released = thread->last == address;
	if (thread->is_released)
		thread->last = 0;
	return thread->is_released;
}

static bool
plain_undo(struct plain *thread, uint64_t address)
{
	if (!thread->is_released)
		return false;
	*thread = (struct plain){.last = address};
	return true;
}

static void
any_order_of_calls_is_as_by_a_look_at_every_thread(void **state)
{
	enum { MANY = 64 };
	static struct plain plain[MANY];
	uint64_t random = 1;
	unsigned counted = 0, undone = 0;

	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		uint32_t thread;
		uint64_t address;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		thread = random >> 58;
		address = (random >> 40 & 15) * 16; /* 0 as well */
		if ((random >> 33 & 3) < 2) {
			for (unsigned k = 0; k < MANY; k++)
				if (plain[k].last == address)
					plain[k].last = 0;
			plain[thread].last = address;
			vmt_temporary_blocks_acquire(blocks, thread, address);
		} else if ((random >> 33 & 3) == 2) {
			bool released = plain_release(&plain[thread], address);

			counted += released;
			assert_int_equal(vmt_temporary_blocks_release(blocks, thread, address),
					 released);
		} else {
			bool undo = plain_undo(&plain[thread], address);

			undone += undo;
			assert_int_equal(vmt_temporary_blocks_undo(blocks, thread, address), undo);
		}
	}
	assert_true(counted > 1000 && undone > 500);
}

static void
without_a_table_nothing_is_counted(void **state)
{
	(void)state;
	vmt_temporary_blocks_acquire(NULL, 1, 0x1000);
	assert_false(vmt_temporary_blocks_release(NULL, 1, 0x1000));
	assert_false(vmt_temporary_blocks_undo(NULL, 1, 0x1000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_freed_before_the_next_allocation, make, end),
	    cmocka_unit_test_setup_teardown(each_thread_has_its_own_last_block, make, end),
	    cmocka_unit_test_setup_teardown(memory_of_another_block_is_not_mistaken, make, end),
	    cmocka_unit_test_setup_teardown(a_release_that_failed_was_none, make, end),
	    cmocka_unit_test_setup_teardown(any_order_of_calls_is_as_by_a_look_at_every_thread,
					    make, end),
	    cmocka_unit_test(without_a_table_nothing_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
