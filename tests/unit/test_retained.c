/* What is an arena of glibc's beside its live blocks? */
#include "tests/unit/model_world.h"

#include "tools/model/attribute/retained.h"

static struct world_snapshot world;

static void
a_block_takes_a_header_and_rounding(void **state)
{
	(void)state;
	assert_int_equal(vmt_retained_chunk_bytes(0), 32);
	assert_int_equal(vmt_retained_chunk_bytes(9), 32);
	assert_int_equal(vmt_retained_chunk_bytes(24), 32);
	assert_int_equal(vmt_retained_chunk_bytes(25), 48);
	assert_int_equal(vmt_retained_chunk_bytes(40), 48);
	assert_int_equal(vmt_retained_chunk_bytes(4096), 4112);
}

static void
block(struct vmt_replay *replay, uint64_t address, uint64_t size, uint32_t stack)
{
	happen(replay, EVENT(MALLOC, .address = address, .length = size, .stack = stack));
}

/* Three blocks in ten resident pages: one at the start, one on the fourth page, one at the end. */
static void
gaps_are_whole_pages_and_parts_of_pages(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;
	uint64_t middle = BASE + 3 * PAGE + 1000 * 2;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 12 * PAGE, "[heap]", 10 * PAGE);
	block(replay, BASE + 16, 100, 1);
	block(replay, middle, 9, 2);
	block(replay, BASE + 10 * PAGE - 4096, 4088, 3);
	attribution = join_world(&world, replay, NULL);
	assert_true(attribution.is_split);
	/* 112 - 100, 32 - 9, 8 bytes of a header each included; and 8 bytes before the first. */
	assert_int_equal(attribution.retained.overhead_bytes, 12 + 23 + 8 + 8);
	/* Pages 1 and 2; 4 to 8, which end where the last block's header begins. */
	assert_int_equal(attribution.retained.free_page_bytes, (2 + 4) * PAGE);
	assert_int_equal(FIGURE(replay, MALLOC, 1, PINS), 0);
	assert_int_equal(FIGURE(replay, MALLOC, 2, PINS), middle - 8 - (BASE + 8 + 112));
	assert_int_equal(FIGURE(replay, MALLOC, 3, PINS), BASE + 9 * PAGE - 8 - (middle - 8 + 32));
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* The pages behind it belong to a mapping of the block's own. */
static void
a_block_with_its_own_mapping_has_no_free_pages(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE + PAGE, 256 * KIB, "", 256 * KIB);
	block(replay, BASE + PAGE + 16, 250 * KIB, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(attribution.retained.overhead_bytes, 6 * KIB);
	assert_int_equal(attribution.retained.free_page_bytes, 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* Of blocks that nobody saw, nothing can be said. */
static void
a_fork_child_is_not_split(void **state)
{
	struct vmt_replay *replay = world_new(0, true);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 12 * PAGE, "[heap]", 10 * PAGE);
	block(replay, BASE + 16, 100, 1);
	attribution = join_world(&world, replay, NULL);
	assert_false(attribution.is_split);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_block_takes_a_header_and_rounding),
	    cmocka_unit_test(gaps_are_whole_pages_and_parts_of_pages),
	    cmocka_unit_test(a_block_with_its_own_mapping_has_no_free_pages),
	    cmocka_unit_test(a_fork_child_is_not_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
