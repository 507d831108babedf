/* Memory that came to a call without one of its own: below a mapping that grows down, and where
 * mremap put what nobody knew of. */
#include "tests/unit/model_world.h"

#define GROWS (ANON | MAP_GROWSDOWN)

static void
map_growing(struct vmt_replay *replay, uint64_t address, uint64_t length, uint32_t stack)
{
	happen(replay, EVENT(MMAP, .address = address, .length = length, .stack = stack,
			     .flags = GROWS, .protection = RW, .argument_b = UINT64_MAX));
}

static void
growth_is_the_mappings(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_growing(replay, BASE, 8 * PAGE, 1);
	map_anonymous(replay, BASE + MIB, 8 * PAGE, 2);
	/* Grown by 4 pages, the lower two of them protected apart since. */
	add_mapping(&world, BASE - 4 * PAGE, 2 * PAGE, "", 2 * PAGE)->protection = PROT_READ;
	add_mapping(&world, BASE - 2 * PAGE, 10 * PAGE, "", 3 * PAGE);
	/* What lies below a mapping that doesn't grow is somebody else's. */
	add_mapping(&world, BASE + MIB - PAGE, 9 * PAGE, "", PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, MMAP, 1, RESERVED), 12 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, TOTAL_RESERVED), 12 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 5 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, LIVE_COUNT), 1);
	assert_int_equal(FIGURE(replay, MMAP, 2, RESERVED), 8 * PAGE);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, RESERVED), PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
growth_given_back_is_no_contradiction(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_growing(replay, BASE, 8 * PAGE, 1);
	happen(replay, EVENT(MUNMAP, .address = BASE - 4 * PAGE, .length = 4 * PAGE,
			     .argument_a = 4 * PAGE));
	assert_int_equal(replay->unknown_releases, 0);
	assert_int_equal(FIGURE(replay, MMAP, 1, RELEASED), 0);
	happen(replay,
	       EVENT(MUNMAP, .address = BASE + 16 * PAGE, .length = PAGE, .argument_a = PAGE));
	assert_int_equal(replay->unknown_releases, 1);
	vmt_replay_free(replay);
}

/* A fork child moves what its parent had mapped: a file, or shared memory. */
static void
moved_memory_of_nobody_is_the_movers(void **state)
{
	struct vmt_replay *replay = world_new(0, true);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	happen(replay,
	       EVENT(MREMAP_BEGIN, .address = BASE, .length = 4 * PAGE, .argument_b = 4 * PAGE));
	happen(replay, EVENT(MREMAP, .address = BASE + MIB, .length = 4 * PAGE, .stack = 1,
			     .argument_a = BASE, .argument_b = 4 * PAGE));
	happen(replay, EVENT(MREMAP, .address = BASE + 2 * MIB, .length = 4 * PAGE, .stack = 2,
			     .argument_a = BASE + 9 * MIB, .argument_b = 4 * PAGE));
	add_mapping(&world, BASE + MIB, 4 * PAGE, "/memfd:x (deleted)", 3 * PAGE)->shared = 1;
	add_mapping(&world, BASE + 2 * MIB, 4 * PAGE, "", PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, MREMAP, 1, RESERVED), 4 * PAGE);
	assert_int_equal(FIGURE(replay, MREMAP, 1, COMMITTED), 3 * PAGE);
	assert_int_equal(FIGURE(replay, MREMAP, 2, COMMITTED), PAGE);
	assert_int_equal(CLASS_OF(attribution, SHARED, COMMITTED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MMAP, COMMITTED), PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(growth_is_the_mappings),
	    cmocka_unit_test(growth_given_back_is_no_contradiction),
	    cmocka_unit_test(moved_memory_of_nobody_is_the_movers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
