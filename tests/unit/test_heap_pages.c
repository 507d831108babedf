/* Arenas by evidence, and which bytes of them live blocks own. */
#include <math.h>

#include "tests/unit/model_world.h"
#include "tools/model/attribute/heap_pages.h"

#define ARENA UINT64_C(0x7f1200000000) /* a multiple of 64 MiB */
#define HEAP UINT64_C(0x555500000000)

static struct world_snapshot world;

static void
block(struct vmt_replay *replay, uint64_t address, uint64_t size, uint32_t stack)
{
	happen(replay, EVENT(MALLOC, .address = address, .length = size, .stack = stack));
}

static void
blocks_own_their_bytes_and_the_rest_is_retained(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, HEAP, 33 * PAGE, "[heap]", 0);
	add_run(&world, HEAP, 2 * PAGE, VMT_RUN_PRESENT);
	add_run(&world, HEAP + 2 * PAGE, PAGE, VMT_RUN_PRESENT | VMT_RUN_ZERO);
	add_run(&world, HEAP + 3 * PAGE, PAGE, VMT_RUN_PRESENT);
	add_run(&world, HEAP + 4 * PAGE, PAGE, VMT_RUN_SWAPPED);
	block(replay, HEAP + 16, 100, 1);
	block(replay, HEAP + 128, 200, 2);
	block(replay, HEAP + PAGE + 1000, 3 * PAGE,
	      1); /* the zero page in its middle, ends in swap */
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, MALLOC, 1, COMMITTED), 100 + (PAGE - 1000) + PAGE);
	assert_int_equal(FIGURE(replay, MALLOC, 1, SWAPPED), 1000);
	assert_int_equal(FIGURE(replay, MALLOC, 1, RESERVED), 100 + 3 * PAGE);
	assert_int_equal(FIGURE(replay, MALLOC, 1, LIVE_COUNT), 2);
	assert_int_equal(FIGURE(replay, MALLOC, 2, COMMITTED), 200);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 300 + 2 * PAGE - 1000);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), PAGE - 300 + 1000);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, SWAPPED), 1000);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, SWAPPED), PAGE - 1000);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, RESERVED), 300 + 3 * PAGE);
	assert_false(attribution.foreign_allocator);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* What is shared is a part of what is committed, and no memory beside it. */
static void
shared_pages_count_once(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, HEAP, 8 * PAGE, "[heap]", 0);
	add_run(&world, HEAP, 8 * PAGE, VMT_RUN_PRESENT | VMT_RUN_SHARED);
	block(replay, HEAP, 3 * PAGE, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, RESERVED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, SHARED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, RESERVED), 5 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 5 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, SHARED), 5 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
mmapped_chunk_is_known_by_its_block(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 257 * PAGE, "", 257 * PAGE);
	block(replay, BASE + 16, MIB, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), MIB);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), PAGE);
	assert_false(attribution.foreign_allocator);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* As malloc(0) makes them. */
static void
empty_block_owns_nothing_and_is_live(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 8 * PAGE, "", 8 * PAGE);
	block(replay, BASE + 4112, 0, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, MALLOC, 1, LIVE_COUNT), 1);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 0);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 8 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
arena_takes_its_reserve_with_it(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, ARENA, 33 * PAGE, "", 4 * PAGE);
	add_mapping(&world, ARENA + 33 * PAGE, 64 * MIB - 33 * PAGE, "", 0)->protection = PROT_NONE;
	add_mapping(&world, ARENA + 64 * MIB, 3 * PAGE, "", 3 * PAGE);
	block(replay, ARENA + 2208, 1000, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 1000);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 4 * PAGE - 1000);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, RESERVED), 64 * MIB - 1000);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 3 * PAGE);
	assert_false(attribution.foreign_allocator);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
arena_without_blocks_is_known_by_its_shape(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	/* not an arena: starts at a multiple, but nothing is reserved behind it */
	add_mapping(&world, ARENA - 128 * MIB, 33 * PAGE, "", PAGE);
	/* not an arena: starts elsewhere */
	add_mapping(&world, ARENA - 32 * MIB, 33 * PAGE, "", PAGE);
	add_mapping(&world, ARENA - 32 * MIB + 33 * PAGE, MIB, "", 0)->protection = PROT_NONE;
	add_mapping(&world, ARENA, 33 * PAGE, "", 4 * PAGE);
	add_mapping(&world, ARENA + 33 * PAGE, 64 * MIB - 33 * PAGE, "", 0)->protection = PROT_NONE;
	/* full */
	add_mapping(&world, ARENA + 128 * MIB, 64 * MIB, "", 16 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 20 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, RESERVED), 128 * MIB);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 2 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* A fork child inherits its parent's arenas, and nothing of what is in them. */
static void
inherited_arena_is_none_of_the_childs(void **state)
{
	struct vmt_replay *replay = world_new(0, true);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, ARENA, 33 * PAGE, "", 4 * PAGE);
	add_mapping(&world, ARENA + 33 * PAGE, 64 * MIB - 33 * PAGE, "", 0)->protection = PROT_NONE;
	add_mapping(&world, ARENA + 64 * MIB, 4 * PAGE, "", PAGE);
	happen(replay, EVENT(PRESENT, .address = ARENA, .length = 33 * PAGE, .protection = RW));
	happen(replay,
	       EVENT(PRESENT, .address = ARENA + 33 * PAGE, .length = 64 * MIB - 33 * PAGE));
	happen(replay,
	       EVENT(PRESENT, .address = ARENA + 64 * MIB, .length = 4 * PAGE, .protection = RW));
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, INHERITED, COMMITTED), 5 * PAGE);
	assert_int_equal(CLASS_OF(attribution, INHERITED, RESERVED), 64 * MIB + 4 * PAGE);
	assert_int_equal(FIGURE(replay, PRESENT, 0, RESERVED), 64 * MIB + 4 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* The Go runtime's first arena has the same shape, at an address of its own choice. */
static void
low_addresses_are_no_arenas(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;
	uint64_t start = UINT64_C(0xc000000000);

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, start, 4 * MIB, "", MIB);
	add_mapping(&world, start + 4 * MIB, 60 * MIB, "", 0)->protection = PROT_NONE;
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), MIB);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* An allocator that maps through mmap, as jemalloc: what no block owns is retained, the site of the
 * mapping keeps its reserved bytes and what is left of the committed ones. */
static void
blocks_in_a_mapped_range_make_an_allocator_of_it(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_anonymous(replay, BASE, 512 * PAGE, 1);
	map_anonymous(replay, BASE + 8 * MIB, 4 * PAGE, 2);
	add_mapping(&world, BASE, 512 * PAGE, "", 100 * PAGE);
	add_mapping(&world, BASE + 8 * MIB, 4 * PAGE, "", 4 * PAGE);
	add_mapping(&world, BASE + 16 * MIB, 4 * PAGE, "", 3 * PAGE); /* bookkeeping */
	block(replay, BASE + 64, 1000, 3);
	block(replay, BASE + 99 * PAGE, 2 * PAGE, 3);
	attribution = join_world(&world, replay, NULL);
	assert_true(attribution.foreign_allocator);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 1000 + PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 102 * PAGE - 1000);
	assert_int_equal(CLASS_OF(attribution, MMAP, COMMITTED), 4 * PAGE);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, RESERVED), 0);
	assert_int_equal(FIGURE(replay, MMAP, 1, RESERVED), 512 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 99 * PAGE - 1000);
	assert_int_equal(FIGURE(replay, MMAP, 2, COMMITTED), 4 * PAGE);
	assert_int_equal(FIGURE(replay, MALLOC, 3, COMMITTED), 1000 + PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
block_across_two_mappings_owns_in_both(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 64 * PAGE, "", 64 * PAGE);
	add_mapping(&world, BASE + 64 * PAGE, 64 * PAGE, "", PAGE)->protection = PROT_READ;
	block(replay, BASE + 16, 127 * PAGE, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 65 * PAGE - 16);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 16);
	assert_int_equal(FIGURE(replay, MALLOC, 1, COMMITTED), 65 * PAGE - 16);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
blocks_that_overlap_never_own_more_than_there_is(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, HEAP, 4 * PAGE, "[heap]", 4 * PAGE);
	block(replay, HEAP + 16, 3 * PAGE, 1);
	block(replay, HEAP + 32, 3 * PAGE, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 4 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
sampled_blocks_estimate_and_large_ones_are_exact(void **state)
{
	struct vmt_replay *replay = world_new(64 * KIB, false);
	double weight = 1 / (1 - exp(-1.0 / 4));
	uint64_t small = (uint64_t)llround(weight * 16384);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, HEAP, MIB, "[heap]", MIB);
	block(replay, HEAP + 16, 16 * KIB, 1);
	block(replay, HEAP + 256 * KIB, 64 * KIB, 2);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 64 * KIB + small);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), MIB - 64 * KIB - small);
	assert_int_equal(FIGURE(replay, MALLOC, 1, COMMITTED), small);
	assert_int_equal(FIGURE(replay, MALLOC, 1, LIVE_COUNT), (uint64_t)llround(weight));
	assert_true(site_of(replay, VMT_EVENT_MALLOC, 1)->estimated);
	assert_int_equal(FIGURE(replay, MALLOC, 2, COMMITTED), 64 * KIB);
	assert_false(site_of(replay, VMT_EVENT_MALLOC, 2)->estimated);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* One block of 64 bytes stands for 64 KiB, but the arena has two pages. */
static void
estimate_is_never_more_than_the_arenas_have(void **state)
{
	struct vmt_replay *replay = world_new(64 * KIB, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, HEAP, 2 * PAGE, "[heap]", 2 * PAGE);
	block(replay, HEAP + 16, 64, 1);
	block(replay, HEAP + 1024, 64, 2);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 2 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 0);
	assert_int_equal(FIGURE(replay, MALLOC, 1, COMMITTED), PAGE);
	assert_int_equal(FIGURE(replay, MALLOC, 2, COMMITTED), PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
malloc_that_was_not_recorded_leaves_arenas_retained(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, HEAP, 33 * PAGE, "[heap]", 20 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 20 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, RESERVED), 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* An arena of the parent's, and its break: live blocks are the child's own, what it freed was its
 * parent's. What the allocator makes usable after the fork is retained. */
static void
a_fork_child_knows_nothing_of_its_parents_blocks(void **state)
{
	struct vmt_replay *replay = world_new(0, true);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	happen(replay, EVENT(PRESENT, .address = HEAP, .length = 8 * PAGE, .protection = RW,
			     .argument_b = 1));
	happen(replay, EVENT(PRESENT, .address = ARENA, .length = 4 * PAGE, .protection = RW));
	happen(replay, EVENT(PRESENT, .address = ARENA + 4 * PAGE,
			     .length = VMT_HEAP_MAX_BYTES - 4 * PAGE));
	block(replay, HEAP + 100, 200, 1);
	happen(replay, EVENT(FREE, .address = ARENA + 0x500));
	block(replay, ARENA + 4 * PAGE, 500, 1);
	add_mapping(&world, HEAP, 10 * PAGE, "[heap]", 10 * PAGE);
	add_mapping(&world, ARENA, 6 * PAGE, "", 6 * PAGE);
	add_mapping(&world, ARENA + 6 * PAGE, VMT_HEAP_MAX_BYTES - 6 * PAGE, "", 0)->protection =
	    PROT_NONE;
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, INHERITED, COMMITTED), 12 * PAGE - 200);
	assert_int_equal(CLASS_OF(attribution, INHERITED, RESERVED),
			 12 * PAGE - 200 + VMT_HEAP_MAX_BYTES - 6 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 4 * PAGE - 500);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 700);
	assert_int_equal(CLASS_OF(attribution, MMAP, RESERVED), 0);
	assert_int_equal(FIGURE(replay, PRESENT, 0, COMMITTED), 12 * PAGE - 200);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_fork_child_knows_nothing_of_its_parents_blocks),
	    cmocka_unit_test(blocks_own_their_bytes_and_the_rest_is_retained),
	    cmocka_unit_test(shared_pages_count_once),
	    cmocka_unit_test(mmapped_chunk_is_known_by_its_block),
	    cmocka_unit_test(empty_block_owns_nothing_and_is_live),
	    cmocka_unit_test(arena_takes_its_reserve_with_it),
	    cmocka_unit_test(arena_without_blocks_is_known_by_its_shape),
	    cmocka_unit_test(inherited_arena_is_none_of_the_childs),
	    cmocka_unit_test(low_addresses_are_no_arenas),
	    cmocka_unit_test(blocks_in_a_mapped_range_make_an_allocator_of_it),
	    cmocka_unit_test(block_across_two_mappings_owns_in_both),
	    cmocka_unit_test(blocks_that_overlap_never_own_more_than_there_is),
	    cmocka_unit_test(sampled_blocks_estimate_and_large_ones_are_exact),
	    cmocka_unit_test(estimate_is_never_more_than_the_arenas_have),
	    cmocka_unit_test(malloc_that_was_not_recorded_leaves_arenas_retained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
