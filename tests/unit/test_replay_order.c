/* Acquisitions that were stamped before the release of their address: put behind it within the
 * bound, counted beyond it. */
#include "tests/unit/model_world.h"

#include "tools/model/replay/held_events.h"

#define P 0x5000u
#define HELD_TICKS 1000u
#define A 11u /* threads; each one's stack has its number */
#define B 12u
#define C 13u

static struct vmt_replay *
new_world(void)
{
	struct vmt_replay_options options = {.stacks = {world_stack, NULL},
					     .touch_stacks = {world_stack, NULL},
					     .page_bytes = 4096,
					     .held_ticks = HELD_TICKS};
	struct vmt_replay *replay = vmt_replay_new(&options);

	assert_non_null(replay);
	return replay;
}

static void
acquire(struct vmt_replay *replay, uint64_t time, uint32_t thread, uint64_t address)
{
	happen(replay, EVENT(MALLOC, .time = time, .thread = thread, .stack = thread,
			     .address = address, .length = thread));
}

static void
release(struct vmt_replay *replay, uint64_t time, uint32_t thread, uint64_t address)
{
	happen(replay, EVENT(FREE, .time = time, .thread = thread, .address = address));
}

static void
assert_counted(const struct vmt_replay *replay, uint64_t early, uint64_t twice, uint64_t unknown)
{
	assert_int_equal(replay->early_acquisitions, early);
	assert_int_equal(replay->double_acquisitions, twice);
	assert_int_equal(replay->unknown_releases, unknown);
	assert_int_equal(replay->malformed, 0);
}

/* How often the thread allocated, how much of it is released, and how often at once. */
static void
assert_thread(struct vmt_replay *replay, uint32_t thread, uint64_t count, uint64_t released,
	      uint64_t temporary)
{
	assert_int_equal(FIGURE(replay, MALLOC, thread, COUNT), count);
	assert_int_equal(FIGURE(replay, MALLOC, thread, TOTAL_RESERVED), count * thread);
	assert_int_equal(FIGURE(replay, MALLOC, thread, RELEASED), released * thread);
	assert_int_equal(FIGURE(replay, MALLOC, thread, TEMPORARY), temporary);
}

static void
assert_live(struct vmt_replay *replay, uint64_t address, uint32_t thread)
{
	struct vmt_block block;

	assert_int_equal(vmt_blocks_find(replay->blocks, address, &block), thread != 0);
	if (thread)
		assert_int_equal(block.size, thread);
	assert_true(vmt_blocks_check(replay->blocks));
}

static void
an_acquisition_waits_for_its_release(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	acquire(replay, 100, A, P);
	acquire(replay, 200, B, P);
	assert_live(replay, P, A);
	release(replay, 200 + HELD_TICKS, A, P);
	assert_live(replay, P, B);
	assert_thread(replay, A, 1, 1, 1);
	assert_thread(replay, B, 1, 0, 0);
	release(replay, 5000, B, P);
	assert_live(replay, P, 0);
	assert_thread(replay, B, 1, 1, 1);
	assert_counted(replay, 1, 0, 0);
	vmt_replay_free(replay);
}

static void
beyond_the_bound_it_is_counted(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	acquire(replay, 100, A, P);
	acquire(replay, 200, B, P);
	acquire(replay, 201 + HELD_TICKS, C, P + 64);
	assert_live(replay, P, B);
	assert_counted(replay, 0, 1, 0);
	assert_thread(replay, A, 1, 1, 0);
	/* The release that comes too late is taken for B's. */
	release(replay, 202 + HELD_TICKS, A, P);
	assert_live(replay, P, 0);
	assert_counted(replay, 0, 1, 0);
	vmt_replay_free(replay);
}

/* B has the block and gives it back, all before the release that made it free. */
static void
what_follows_waits_too(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	acquire(replay, 100, A, P);
	acquire(replay, 200, B, P);
	release(replay, 210, B, P);
	acquire(replay, 220, C, P);
	acquire(replay, 230, A, P);
	assert_live(replay, P, A);
	release(replay, 240, A, P); /* of the fourth block */
	release(replay, 250, B, P); /* of the first, by another thread */
	assert_live(replay, P, C);
	release(replay, 260, C, P);
	assert_live(replay, P, 0);
	assert_thread(replay, B, 1, 1, 1);
	assert_thread(replay, C, 1, 1, 1);
	assert_thread(replay, A, 2, 2, 1);
	assert_counted(replay, 3, 0, 0);
	vmt_replay_free(replay);
}

/* A's release was lost: what the same thread does later is right, and the loss shows. */
static void
a_release_that_was_lost_shows(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	acquire(replay, 100, A, P);
	for (uint64_t time = 200; time < 3000; time += 20) {
		acquire(replay, time, B, P);
		release(replay, time + 10, B, P);
	}
	assert_live(replay, P, 0);
	assert_thread(replay, B, 140, 140, 140);
	assert_counted(replay, 0, 1, 0);
	vmt_replay_free(replay);
}

static void
a_realloc_in_place_and_one_that_failed_wait(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	acquire(replay, 100, A, P);
	acquire(replay, 200, B, P);
	happen(replay, EVENT(REALLOC_BEGIN, .time = 210, .thread = B, .address = P));
	happen(replay, EVENT(HEAP_UNDO, .time = 220, .thread = B, .address = P));
	happen(replay, EVENT(REALLOC_BEGIN, .time = 230, .thread = B, .address = P));
	happen(replay,
	       EVENT(REALLOC, .time = 240, .thread = B, .stack = B, .address = P, .length = 40));
	assert_live(replay, P, A);
	release(replay, 250, A, P);
	assert_live(replay, P, 40);
	assert_thread(replay, B, 1, 1, 1);
	assert_int_equal(FIGURE(replay, REALLOC, B, RELEASED), 0);
	assert_counted(replay, 2, 0, 0);
	vmt_replay_free(replay);
}

/* B allocates more before the release comes: its block at P is not its last one. */
static void
whether_a_block_was_temporary_is_told_by_the_threads_own_order(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	acquire(replay, 100, A, P);
	acquire(replay, 200, B, P);
	acquire(replay, 210, B, P + 64);
	release(replay, 220, A, P);
	release(replay, 230, B, P);
	assert_thread(replay, A, 1, 1, 1);
	assert_thread(replay, B, 2, 1, 0);
	release(replay, 240, B, P + 64);
	assert_thread(replay, B, 2, 2, 1);
	assert_counted(replay, 1, 0, 0);
	vmt_replay_free(replay);
}

/* As many as there is room for; one more, and the oldest has waited in vain. */
static void
the_number_is_bounded(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	for (uint64_t i = 0; i <= VMT_HELD_EVENTS_MOST; i++)
		acquire(replay, 100, A, P + i * 64);
	for (uint64_t i = 0; i < VMT_HELD_EVENTS_MOST; i++)
		acquire(replay, 200, B, P + i * 64);
	assert_counted(replay, 0, 0, 0);
	acquire(replay, 200, B, P + VMT_HELD_EVENTS_MOST * 64);
	assert_counted(replay, 0, 1, 0);
	assert_live(replay, P, B);
	for (uint64_t i = 1; i <= VMT_HELD_EVENTS_MOST; i++) {
		release(replay, 300, A, P + i * 64);
		assert_live(replay, P + i * 64, B);
	}
	assert_counted(replay, VMT_HELD_EVENTS_MOST, 1, 0);
	vmt_replay_free(replay);
}

static void
at_the_end_nothing_waits(void **state)
{
	struct vmt_replay *replay = new_world();

	(void)state;
	acquire(replay, 100, A, P);
	acquire(replay, 200, B, P);
	acquire(replay, 200, C, P);
	assert_int_equal(vmt_replay_heap_settle(replay), 0);
	assert_live(replay, P, C);
	assert_counted(replay, 0, 2, 0);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_acquisition_waits_for_its_release),
	    cmocka_unit_test(beyond_the_bound_it_is_counted),
	    cmocka_unit_test(what_follows_waits_too),
	    cmocka_unit_test(a_release_that_was_lost_shows),
	    cmocka_unit_test(a_realloc_in_place_and_one_that_failed_wait),
	    cmocka_unit_test(whether_a_block_was_temporary_is_told_by_the_threads_own_order),
	    cmocka_unit_test(the_number_is_bounded),
	    cmocka_unit_test(at_the_end_nothing_waits),
	};

	return cmocka_run_group_tests_name("replay order", tests, NULL, NULL);
}
