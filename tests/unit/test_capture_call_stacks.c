/*
 * test_capture_call_stacks.c: are the stacks of raw calls bounded, closed at their ends, and given
 * back?
 */
#include "base/pages.h"
#include "capture/core/call_stacks.h"
#include "capture/core/own_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

static ucontext_t here;

static void
begin(void)
{
	vmt_call_stacks_begin(0);
}

static void
run_on(uint32_t number)
{
	ucontext_t there;

	assert_int_equal(getcontext(&there), 0);
	there.uc_stack.ss_sp =
	    (void *)(vmt_call_stacks.base + number * VMT_CALL_STACK_BYTES); /* NOLINT */
	there.uc_stack.ss_size = VMT_CALL_STACK_BYTES;
	there.uc_link = &here;
	makecontext(&there, begin, 0);
	assert_int_equal(swapcontext(&here, &there), 0);
}

/* Whether the kernel can read a byte there. */
static bool
is_readable(uint64_t address)
{
	int ends[2];
	bool readable;

	assert_int_equal(pipe(ends), 0);
	readable = write(ends[1], (const void *)address, 1) == 1; /* NOLINT */
	close(ends[0]);
	close(ends[1]);
	return readable;
}

static uint64_t
stack(uint32_t number)
{
	return vmt_call_stacks.base + number * VMT_CALL_STACK_BYTES;
}

static int
set_up(void **state)
{
	(void)state;
	vmt_call_stacks = (struct vmt_call_stacks){0};
	vmt_own_memory.count = 0;
	return 0;
}

static void
few_where_a_limit_counts_them(void **state)
{
	(void)state;
	vmt_call_stacks_set_up(true);
	assert_true(vmt_call_stacks.free == (UINT64_C(1) << VMT_CALL_STACKS_SCARCE) - 1);
	assert_true(vmt_call_stacks_spare_bytes() == VMT_CALL_STACKS_SCARCE * VMT_CALL_STACK_BYTES);
	assert_int_equal(vmt_own_memory.count, 1);
	assert_true(vmt_own_memory.ranges[0].end - vmt_own_memory.ranges[0].start ==
		    VMT_CALL_STACKS_SCARCE * VMT_CALL_STACK_BYTES);
	set_up(state);
	vmt_call_stacks_set_up(false);
	assert_true(vmt_call_stacks.free == UINT64_MAX);
}

static void
what_would_run_over_ends_in_a_closed_page(void **state)
{
	(void)state;
	vmt_call_stacks_set_up(false);
	for (uint32_t i = 2; i < VMT_CALL_STACKS; i += VMT_CALL_STACKS - 3) {
		run_on(i);
		assert_false(is_readable(stack(i)));
		assert_true(is_readable(stack(i) + vmt_page_bytes));
		assert_true(is_readable(stack(i) - 1));
	}
}

static void
those_above_all_in_use_are_given_back(void **state)
{
	const uint64_t used = UINT64_C(1) << 3;

	(void)state;
	vmt_call_stacks_set_up(true);
	vmt_call_stacks.free &= ~used;
	assert_true(vmt_call_stacks_spare_bytes() == 4 * VMT_CALL_STACK_BYTES);
	vmt_call_stacks_give_up();
	assert_false(is_readable(stack(4)));
	assert_false(is_readable(stack(7)));
	assert_true(is_readable(stack(4) - 1));
	assert_true(vmt_call_stacks_spare_bytes() == 0);
	assert_true(vmt_own_memory.ranges[0].end == stack(4));
	/* None of them is taken again, in a fork child neither. */
	assert_true(vmt_call_stacks.free == 7);
	vmt_call_stacks_forked();
	assert_true(vmt_call_stacks.free == 15);
	vmt_call_stacks_give_up();
	assert_true(vmt_call_stacks.free == 0);
	assert_false(is_readable(stack(0)));
	vmt_call_stacks_give_up();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(few_where_a_limit_counts_them, set_up),
	    cmocka_unit_test_setup(what_would_run_over_ends_in_a_closed_page, set_up),
	    cmocka_unit_test_setup(those_above_all_in_use_are_given_back, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
