/* The stack walker on stacks that are none: no fault, and always an end. */
#include "tests/unit/captured_stacks.h"

/* A frame of code that nobody knows, with rbp as given. */
static uint32_t
walk_from(uint64_t rbp, enum vmt_capture_walker walker, uint64_t *addresses)
{
	uint64_t words[4] = {rbp, 0x7000, 0x1234, 0x5678};
	uint32_t count;

	assert_true(vmt_capture_choose(walker));
	count = vmt_capture_walk(words, addresses, LIMIT);
	assert_true(vmt_capture_choose(VMT_CAPTURE_WALK_CFI));
	return count;
}

static void
test_corrupted_rbp(void **state)
{
	char *memory = make_stack(4096);
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	const uint64_t wild[] = {0,
				 1,
				 8,
				 UINT64_MAX,
				 UINT64_MAX - 7,
				 UINT64_C(1) << 63,
				 (uint64_t)memory - 8,
				 (uint64_t)memory + 4096,
				 (uint64_t)memory + 4088,
				 here - 65536,
				 here + 1,
				 here + 4,
				 UINT64_C(0x7fffffffeff8)};
	uint64_t addresses[LIMIT];

	(void)state;
	for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		assert_int_equal(walk_from(wild[i], VMT_CAPTURE_WALK_CFI, addresses), 1);
		assert_int_equal(addresses[0], 0x7000);
		assert_int_equal(walk_from(wild[i], VMT_CAPTURE_WALK_FP, addresses), 1);
	}
	drop_stack(memory, 4096);
}

/* Every word of the present stack as rbp, from unknown code: no fault, and an end. */
static void
test_any_rbp(void **state)
{
	uint64_t addresses[LIMIT];
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	(void)state;
	for (uint64_t rbp = here; rbp < here + 2000; rbp += 8) {
		uint32_t count = walk_from(rbp, VMT_CAPTURE_WALK_CFI, addresses);

		assert_true(count >= 1 && count <= LIMIT);
	}
}

/* The same for code whose rules rest on rbp: a frame with a real return address. */
static void
test_any_rbp_known_code(void **state)
{
	uint64_t addresses[LIMIT];
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	(void)state;
	nested(1);
	for (uint64_t rbp = here - 4096; rbp < here + 4096; rbp += 4) {
		uint64_t words[] = {rbp, captured.ours[0], 0, 1, 2, 3};
		uint32_t count = vmt_capture_walk(words, addresses, LIMIT);

		assert_true(count >= 1 && count <= LIMIT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_corrupted_rbp),
	    cmocka_unit_test(test_any_rbp),
	    cmocka_unit_test(test_any_rbp_known_code),
	};

	return cmocka_run_group_tests(tests, captured_stacks_set_up, NULL);
}
