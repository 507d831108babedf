#include "capture/stacks/stack_floors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BYTES UINT64_C(0x10000)
#define LOW UINT64_C(0x7f0000000000)

static void
a_thread_is_found_by_its_top(void **state)
{
	(void)state;
	assert_true(vmt_stack_floors_of(LOW) == 0);
	vmt_stack_floors_add(LOW, BYTES);
	vmt_stack_floors_add(LOW + 2 * BYTES, BYTES);
	assert_true(vmt_stack_floors_of(LOW + BYTES - 8) == LOW);
	assert_true(vmt_stack_floors_of(LOW + BYTES) == 0);
	assert_true(vmt_stack_floors_of(LOW - 1) == 0);
	assert_true(vmt_stack_floors_of(LOW + 2 * BYTES) == LOW + 2 * BYTES);
}

/* Whatever was there before: the memory is the new one's. */
static void
a_new_stack_takes_an_old_ones_place(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 2 * VMT_STACK_FLOORS; i++)
		vmt_stack_floors_add(LOW + i * 16, BYTES);
	assert_true(vmt_stack_floors_of(LOW + BYTES) == LOW + (2 * VMT_STACK_FLOORS - 1) * 16);
	assert_true(vmt_stack_floors_of(LOW + 8) == 0);
}

static void
nonsense_is_no_stack(void **state)
{
	(void)state;
	vmt_stack_floors_add(UINT64_MAX - 8, BYTES);
	assert_true(vmt_stack_floors_of(UINT64_MAX - 4) == 0);
}

/* Until it is known where it lies, it may be any. */
static void
a_stack_is_told_of_afterwards(void **state)
{
	uint64_t top = LOW + 64 * BYTES;

	(void)state;
	vmt_stack_floors_expect();
	vmt_stack_floors_expect();
	vmt_stack_floors_tell(top, 8 * BYTES);
	assert_true(vmt_stack_floors_of(top) == top - 7 * BYTES);
	assert_true(vmt_stack_floors_of(top + BYTES) == UINT64_MAX);
	vmt_stack_floors_expect_no_more();
	assert_true(vmt_stack_floors_of(top + BYTES) == 0);
	vmt_stack_floors_expect();
	vmt_stack_floors_tell(top + 8 * BYTES, BYTES); /* too small to tell */
	vmt_stack_floors_tell(BYTES, 8 * BYTES);
	assert_true(vmt_stack_floors_of(top + 8 * BYTES) == UINT64_MAX);
	vmt_stack_floors_expect_no_more();
	vmt_stack_floors_add(top + 32 * BYTES, 0);
	assert_true(vmt_stack_floors_of(LOW - 1) == UINT64_MAX);
	vmt_stack_floors_expect_no_more();
}

static void
with_too_many_any_may_be_one(void **state)
{
	uint64_t next = LOW + 8 * BYTES;

	(void)state;
	for (uint64_t i = 0; i < VMT_STACK_FLOORS; i++)
		vmt_stack_floors_add(next + i * BYTES, BYTES);
	assert_true(vmt_stack_floors_of(LOW - 1) == UINT64_MAX);
	assert_true(vmt_stack_floors_of(next) == next);
}

/* What is told of them lies beside what is told of stacks without a guard page. */
static void
guard_pages_are_known_until_another_stack_is_there(void **state)
{
	uint64_t top = LOW - 64 * BYTES;

	(void)state;
	assert_false(vmt_stack_floors_are_known(top));
	vmt_stack_floors_add_guarded(top);
	assert_true(vmt_stack_floors_are_known(top));
	assert_false(vmt_stack_floors_are_known(top - 8));
	vmt_stack_floors_forget(top);
	assert_false(vmt_stack_floors_are_known(top));
	for (uint64_t i = 0; i <= VMT_STACK_FLOORS; i++)
		vmt_stack_floors_add_guarded(top + i * 16);
	assert_false(vmt_stack_floors_are_known(top)); /* the oldest */
	assert_true(vmt_stack_floors_are_known(top + 16));
	assert_true(vmt_stack_floors_of(top + 16) == 0);
	vmt_stack_floors_add(top, 32);
	assert_true(vmt_stack_floors_are_known(top + 16));
	assert_true(vmt_stack_floors_of(top + 16) == top);
	assert_true(vmt_stack_floors_are_known(top + 32));
	vmt_stack_floors_forget(top + 16);
	assert_true(vmt_stack_floors_of(top + 16) == top + 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(guard_pages_are_known_until_another_stack_is_there),
	    cmocka_unit_test(a_thread_is_found_by_its_top),
	    cmocka_unit_test(a_new_stack_takes_an_old_ones_place),
	    cmocka_unit_test(nonsense_is_no_stack),
	    cmocka_unit_test(a_stack_is_told_of_afterwards),
	    cmocka_unit_test(with_too_many_any_may_be_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
