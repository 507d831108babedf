/*
 * test_block_touches.c: who touched large blocks, as malloc unmaps and moves them?
 */
#include "model_world.h"

static struct vmt_replay *replay;

/* The stack of the page's last toucher; 0 = none. */
static uint32_t
toucher_of(uint64_t address)
{
	struct vmt_touch touch;

	if (!vmt_touchers_at(replay->touchers, address, &touch))
		return 0;
	return vmt_sites_get(replay->touch_sites, touch.toucher)->key.stack;
}

static void
assert_touched(uint64_t start, uint64_t bytes, uint32_t stack)
{
	for (uint64_t at = start; at < start + bytes; at += PAGE)
		assert_int_equal(toucher_of(at), stack);
}

static int
set_up(void **state)
{
	(void)state;
	replay = world_new(0, false);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_replay_free(replay);
	return 0;
}

/* glibc's mapping of a block: its first page has the header. */
#define OWN (BASE + (UINT64_C(1) << 33))
#define OWN_BYTES (256 * KIB)

static void
allocate_own(uint64_t mapping, uint64_t bytes)
{
	happen(replay, EVENT(MALLOC, .address = mapping + 16, .length = bytes - 16, .stack = 1));
	touch_pages(replay, mapping, bytes, 2, 1);
}

static void
resize(uint64_t from, uint64_t to, uint64_t bytes)
{
	happen(replay, EVENT(REALLOC_BEGIN, .address = from + 16));
	assert_int_equal(toucher_of(from), 0);
	happen(replay, EVENT(REALLOC, .address = to + 16, .length = bytes - 16, .stack = 1));
}

static void
test_a_block_with_its_own_mapping_is_unmapped(void **state)
{
	(void)state;
	allocate_own(OWN, OWN_BYTES);
	touch_pages(replay, OWN + OWN_BYTES, PAGE, 3, 1);
	happen(replay, EVENT(FREE, .address = OWN + 16));
	assert_touched(OWN, OWN_BYTES, 0);
	assert_touched(OWN + OWN_BYTES, PAGE, 3);
}

/* Pages of the heap stay when a block is freed: a small one, one that begins elsewhere in a page,
 * in a known mapping, right above the program. */
static void
test_other_blocks_stay_touched(void **state)
{
	(void)state;
	allocate_own(OWN, 64 * KIB);
	happen(replay, EVENT(FREE, .address = OWN + 16));
	assert_touched(OWN, 64 * KIB, 2);
	allocate_own(OWN + MIB + 16, OWN_BYTES);
	happen(replay, EVENT(FREE, .address = OWN + MIB + 32));
	assert_int_equal(toucher_of(OWN + MIB), 2);
	map_anonymous(replay, OWN + 2 * MIB, MIB, 1);
	allocate_own(OWN + 2 * MIB, OWN_BYTES);
	happen(replay, EVENT(FREE, .address = OWN + 2 * MIB + 16));
	assert_touched(OWN + 2 * MIB, OWN_BYTES, 2);
	happen(replay,
	       EVENT(MODULE_LOAD, .address = OWN + 3 * MIB, .length = MIB, .argument_b = 1));
	allocate_own(OWN + 8 * MIB, OWN_BYTES);
	happen(replay, EVENT(FREE, .address = OWN + 8 * MIB + 16));
	assert_touched(OWN + 8 * MIB, OWN_BYTES, 2);
}

static void
test_a_block_with_its_own_mapping_moves(void **state)
{
	(void)state;
	allocate_own(OWN, OWN_BYTES);
	touch_pages(replay, OWN + 8 * MIB, MIB, 3, 1); /* of a mapping before */
	resize(OWN, OWN + 8 * MIB, MIB);
	assert_touched(OWN, OWN_BYTES, 0);
	assert_touched(OWN + 8 * MIB, OWN_BYTES, 2);
	assert_touched(OWN + 8 * MIB + OWN_BYTES, MIB - OWN_BYTES, 0);
	/* In its place, and smaller. */
	resize(OWN + 8 * MIB, OWN + 8 * MIB, 128 * KIB);
	assert_touched(OWN + 8 * MIB, 128 * KIB, 2);
	assert_touched(OWN + 8 * MIB + 128 * KIB, 128 * KIB, 0);
}

static void
test_a_block_that_was_not_resized(void **state)
{
	(void)state;
	allocate_own(OWN, OWN_BYTES);
	happen(replay, EVENT(REALLOC_BEGIN, .address = OWN + 16));
	happen(replay, EVENT(HEAP_UNDO, .address = OWN + 16, .length = OWN_BYTES - 16));
	assert_touched(OWN, OWN_BYTES, 2);
	/* Copied to the heap. */
	happen(replay, EVENT(REALLOC_BEGIN, .address = OWN + 16));
	touch_pages(replay, OWN + MIB, PAGE, 3, 1);
	happen(replay, EVENT(REALLOC, .address = OWN + MIB + 32, .length = 64, .stack = 1));
	assert_touched(OWN, OWN_BYTES, 0);
	assert_touched(OWN + MIB, PAGE, 3);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_block_with_its_own_mapping_is_unmapped),
	    TEST(test_other_blocks_stay_touched),
	    TEST(test_a_block_with_its_own_mapping_moves),
	    TEST(test_a_block_that_was_not_resized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
