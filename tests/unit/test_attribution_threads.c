/* Whose the stacks of threads are: of those that run, of those that are over, in others' memory. */
#include "tests/unit/model_world.h"

static void
start_task(struct vmt_replay *replay, uint64_t top, uint32_t tid, uint32_t stack)
{
	happen(replay, EVENT(THREAD, .address = top - 2304, .length = 8 * PAGE, .argument_a = 2304,
			     .argument_b = tid, .time = 1, .stack = stack));
}

/* A guard, a stack of 8 pages, at `page` pages above the base. */
static void
map_stack(struct world_snapshot *world, uint64_t page)
{
	add_mapping(world, BASE + page * PAGE, PAGE, "", 0)->protection = PROT_NONE;
	add_mapping(world, BASE + (page + 1) * PAGE, 8 * PAGE, "", 3 * PAGE);
}

/* Four threads, two of them over: one's stack is still mapped, the other's place has other memory
 * by now, in which the descriptor would lie. */
static void
thread_that_is_over_owns_nothing(void **state)
{
	static const uint32_t there[] = {11, 13};
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	start_task(replay, BASE + 9 * PAGE, 10, 1);
	start_task(replay, BASE + 29 * PAGE, 11, 1);
	start_task(replay, BASE + 42 * PAGE, 12, 2);
	start_task(replay, BASE + 69 * PAGE, 13, 3);
	map_stack(&world, 0);
	map_stack(&world, 20);
	add_mapping(&world, BASE + 35 * PAGE, 12 * PAGE, "", 12 * PAGE);
	map_stack(&world, 60);
	vmt_replay_keep_threads(replay, 2, there, 2);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, RESERVED), 18 * PAGE);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, COMMITTED), 6 * PAGE);
	assert_int_equal(CLASS_OF(attribution, ENDED_STACKS, RESERVED), 9 * PAGE);
	assert_int_equal(CLASS_OF(attribution, ENDED_STACKS, COMMITTED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 12 * PAGE);
	/* total_reserved - released = reserved, guards and all */
	assert_int_equal(FIGURE(replay, THREAD, 1, RESERVED), 9 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 1, RELEASED), 8 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 1, TOTAL_RESERVED), 17 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 2, RESERVED), 0);
	assert_int_equal(FIGURE(replay, THREAD, 2, RELEASED), 8 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 2, TOTAL_RESERVED), 8 * PAGE);
	/* What is over later gives back what it was seen to have. */
	vmt_replay_keep_threads(replay, 3, there, 1);
	assert_int_equal(FIGURE(replay, THREAD, 3, TOTAL_RESERVED), 9 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 3, RELEASED), 9 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* A heap of glibc's where a stack was, as long as its threads are over, with no block known. */
static void
arena_takes_the_place_of_a_stack(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;
	uint64_t arena = BASE + 64 * MIB;

	(void)state;
	memset(&world, 0, sizeof(world));
	start_task(replay, arena + 10 * PAGE, 10, 1);
	start_task(replay, arena + 20 * PAGE, 11, 1);
	add_mapping(&world, arena, 20 * PAGE, "", 20 * PAGE);
	add_mapping(&world, arena + 20 * PAGE, 64 * MIB - 20 * PAGE, "", 0)->protection = PROT_NONE;
	vmt_replay_keep_threads(replay, 2, NULL, 0);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 20 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, RESERVED), 64 * MIB);
	assert_int_equal(FIGURE(replay, THREAD, 1, RELEASED), 16 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* glibc 2.42 has its guard in the stack's own mapping. */
static void
guard_may_begin_the_stacks_mapping(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 9 * PAGE, "", 0);
	add_run(&world, BASE + 7 * PAGE, 2 * PAGE, VMT_RUN_PRESENT);
	start_task(replay, BASE + 9 * PAGE, 10, 1);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, RESERVED), 9 * PAGE);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, COMMITTED), 2 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 1, TOTAL_RESERVED), 9 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 1, LIVE_COUNT), 1);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* The block was there first, and stays its caller's. */
static void
stack_in_a_block_is_the_blocks(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	happen(replay, EVENT(MALLOC, .address = BASE + 16, .length = 15 * PAGE, .stack = 1));
	happen(replay,
	       EVENT(THREAD, .address = BASE + 14 * PAGE, .length = 14 * PAGE, .argument_a = 2304,
		     .argument_b = 10, .stack = 2, .flags = VMT_THREAD_CALLERS_STACK));
	add_mapping(&world, BASE, 16 * PAGE, "", 5 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, RESERVED), 0);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, RESERVED), 15 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 5 * PAGE - 16);
	assert_int_equal(FIGURE(replay, THREAD, 2, TOTAL_RESERVED), 0);
	assert_int_equal(FIGURE(replay, THREAD, 2, COUNT), 1);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
start_mapped(struct vmt_replay *replay, uint64_t descriptor, uint32_t tid)
{
	happen(replay, EVENT(THREAD, .address = descriptor, .argument_a = 8, .argument_b = tid,
			     .time = 1, .stack = 9, .flags = VMT_THREAD_MAPPED));
}

/* A static program's C library maps stacks by calls of its own, which stay their owners: of a
 * thread that runs, of one that is over, and one whose descriptor lies far from the mapping's end;
 * what another call mapped later is nobody's stack. */
static void
stack_may_be_a_call_of_its_own(void **state)
{
	static const uint32_t there[] = {10, 12};
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	for (uint64_t i = 0; i < 4; i++)
		happen(replay, EVENT(MMAP, .address = BASE + i * 64 * PAGE, .length = 32 * PAGE,
				     .flags = MAP_PRIVATE | MAP_ANONYMOUS, .stack = 1));
	start_mapped(replay, BASE + 31 * PAGE + 64, 10);
	start_mapped(replay, BASE + (64 + 30) * PAGE, 11);
	start_mapped(replay, BASE + (128 + 4) * PAGE, 12);
	start_mapped(replay, BASE + (192 + 31) * PAGE, 13);
	vmt_replay_keep_threads(replay, 2, there, 2);
	happen(replay, EVENT(MUNMAP, .address = BASE + 192 * PAGE, .length = 32 * PAGE));
	happen(replay, EVENT(MMAP, .address = BASE + 192 * PAGE, .length = 32 * PAGE,
			     .flags = MAP_PRIVATE | MAP_ANONYMOUS, .stack = 1));
	add_mapping(&world, BASE, PAGE, "", 0)->protection = PROT_NONE;
	add_mapping(&world, BASE + PAGE, 31 * PAGE, "", 5 * PAGE);
	add_mapping(&world, BASE + 64 * PAGE, 32 * PAGE, "", 3 * PAGE);
	add_mapping(&world, BASE + 128 * PAGE, 32 * PAGE, "", 2 * PAGE);
	add_mapping(&world, BASE + 192 * PAGE, 32 * PAGE, "", 4 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, RESERVED), 32 * PAGE);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, COMMITTED), 5 * PAGE);
	assert_int_equal(CLASS_OF(attribution, ENDED_STACKS, RESERVED), 32 * PAGE);
	assert_int_equal(CLASS_OF(attribution, ENDED_STACKS, COMMITTED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MMAP, COMMITTED), 6 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, RESERVED), 128 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 14 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(thread_that_is_over_owns_nothing),
	    cmocka_unit_test(arena_takes_the_place_of_a_stack),
	    cmocka_unit_test(guard_may_begin_the_stacks_mapping),
	    cmocka_unit_test(stack_in_a_block_is_the_blocks),
	    cmocka_unit_test(stack_may_be_a_call_of_its_own),
	};

	return cmocka_run_group_tests_name("residency_threads", tests, NULL, NULL);
}
