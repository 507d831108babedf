/* What became of advised pages, from events and a snapshot. */
#include "tests/unit/model_world.h"

#include <errno.h>

#define FREE MADV_FREE
#define COLLAPSE 25

/* 16 pages, the first half of them resident, two of those in a huge page. */
static void
take_snapshot(struct world_snapshot *world)
{
	memset(world, 0, sizeof(*world));
	add_mapping(world, BASE, 16 * PAGE, "", 0);
	add_run(world, BASE, 2 * PAGE, VMT_RUN_PRESENT | VMT_RUN_HUGE);
	add_run(world, BASE + 2 * PAGE, 6 * PAGE, VMT_RUN_PRESENT);
	add_run(world, BASE + 8 * PAGE, PAGE, VMT_RUN_PRESENT | VMT_RUN_ZERO);
}

static void
join(struct vmt_replay *replay)
{
	struct world_snapshot *world = malloc(sizeof(*world));
	struct vmt_attribution attribution;

	assert_non_null(world);
	take_snapshot(world);
	attribution = join_world(world, replay, NULL);
	vmt_attribution_free(&attribution);
	free(world);
}

static void
advise(struct vmt_replay *replay, uint64_t page, uint64_t pages, uint16_t advice, uint32_t stack)
{
	happen(replay, EVENT(MADVISE, .address = BASE + page * PAGE, .length = pages * PAGE,
			     .advice = advice, .stack = stack));
}

static void
assert_now(struct vmt_replay *replay, uint32_t stack, uint64_t mapped, uint64_t committed,
	   uint64_t huge)
{
	assert_int_equal(FIGURE(replay, MADVISE, stack, RESERVED), mapped * PAGE);
	assert_int_equal(FIGURE(replay, MADVISE, stack, COMMITTED), committed * PAGE);
	assert_int_equal(FIGURE(replay, MADVISE, stack, HUGE), huge * PAGE);
}

static void
the_newest_advice_of_a_sort_has_the_page(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	advise(replay, 0, 12, FREE, 2);
	advise(replay, 4, 12, MADV_DONTNEED, 3);
	advise(replay, 0, 16, MADV_HUGEPAGE, 4);
	advise(replay, 0, 1, COLLAPSE, 5);
	advise(replay, 0, 16, MADV_WILLNEED, 6);
	join(replay);
	assert_now(replay, 2, 4, 4, 2);
	assert_now(replay, 3, 12, 4, 0);
	assert_now(replay, 4, 15, 7, 1);
	assert_now(replay, 5, 1, 1, 1);
	assert_now(replay, 6, 0, 0, 0);
	vmt_replay_free(replay);
}

static void
a_new_mapping_is_not_advised(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	advise(replay, 0, 16, FREE, 2);
	happen(replay, EVENT(MUNMAP, .address = BASE, .length = 4 * PAGE));
	map_anonymous(replay, BASE, 4 * PAGE, 7);
	join(replay);
	assert_now(replay, 2, 12, 4, 0);
	vmt_replay_free(replay);
}

static void
advice_that_failed_is_none(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	advise(replay, 0, 8, MADV_DONTNEED, 2);
	advise(replay, 2, 2, MADV_DONTNEED, 3);
	happen(replay,
	       EVENT(MAP_UNDO, .address = BASE + 2 * PAGE, .length = 2 * PAGE, .error = EINVAL));
	happen(replay, EVENT(MADVISE, .address = BASE, .length = 16 * PAGE, .advice = COLLAPSE,
			     .stack = 4, .error = EINVAL));
	join(replay);
	assert_now(replay, 2, 6, 6, 2);
	assert_now(replay, 3, 0, 0, 0);
	assert_now(replay, 4, 0, 0, 0);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_newest_advice_of_a_sort_has_the_page),
	    cmocka_unit_test(a_new_mapping_is_not_advised),
	    cmocka_unit_test(advice_that_failed_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
