/* What was surely never touched of private memory: by advice, by snapshots, by moves. */
#include "tests/unit/model_world.h"

#include <errno.h>

static struct world_snapshot world;

/* 16 pages, of which the first two are resident and the third is swapped. */
static uint64_t
never_touched(struct vmt_replay *replay, uint64_t start)
{
	struct vmt_attribution attribution;
	uint64_t bytes;

	memset(&world, 0, sizeof(world));
	add_mapping(&world, start, 16 * PAGE, "", 0);
	add_run(&world, start, 2 * PAGE, VMT_RUN_PRESENT);
	add_run(&world, start + 2 * PAGE, PAGE, VMT_RUN_SWAPPED);
	attribution = join_world(&world, replay, NULL);
	bytes = CLASS_OF(attribution, MMAP, UNTOUCHED);
	vmt_attribution_free(&attribution);
	return bytes;
}

static void
advise(struct vmt_replay *replay, uint64_t page, uint64_t pages, uint16_t advice,
       uint64_t committed_pages, uint8_t marks)
{
	struct vmt_event event =
	    EVENT(MADVISE, .address = BASE + page * PAGE, .length = pages * PAGE, .advice = advice,
		  .argument_a = committed_pages * PAGE, .stack = 9);

	event.marks = marks;
	happen(replay, event);
}

static struct vmt_replay *
begin(void)
{
	struct vmt_replay *replay = world_new(0, false);

	map_anonymous(replay, BASE, 16 * PAGE, 1);
	return replay;
}

static void
resident_and_swapped_pages_were_touched(void **state)
{
	struct vmt_replay *replay = begin();

	(void)state;
	assert_int_equal(never_touched(replay, BASE), 13 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, UNTOUCHED), 13 * PAGE);
	vmt_replay_free(replay);
}

static void
advised_pages_that_were_there_were_touched(void **state)
{
	struct vmt_replay *replay = begin();

	(void)state;
	advise(replay, 0, 6, MADV_DONTNEED, 3, VMT_MARK_LOOKED);
	assert_int_equal(never_touched(replay, BASE), 10 * PAGE);
	/* A later one that finds nothing takes nothing back. */
	advise(replay, 0, 16, MADV_DONTNEED, 0, VMT_MARK_LOOKED);
	assert_int_equal(never_touched(replay, BASE), 10 * PAGE);
	/* Nobody asked, or in part: it may have been. */
	advise(replay, 6, 1, MADV_FREE, 0, 0);
	advise(replay, 7, 1, MADV_FREE, 0, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	assert_int_equal(never_touched(replay, BASE), 8 * PAGE);
	/* Guards and numbers that are not known give back, too; this one does not. */
	advise(replay, 8, 1, 102, 1, VMT_MARK_LOOKED);
	advise(replay, 9, 1, 77, 1, VMT_MARK_LOOKED);
	advise(replay, 10, 6, MADV_WILLNEED, 6, VMT_MARK_LOOKED);
	assert_int_equal(never_touched(replay, BASE), 6 * PAGE);
	vmt_replay_free(replay);
}

static void
new_memory_forgets_what_was_there(void **state)
{
	struct vmt_replay *replay = begin();

	(void)state;
	advise(replay, 0, 16, MADV_DONTNEED, 16, VMT_MARK_LOOKED);
	assert_int_equal(never_touched(replay, BASE), 0);
	happen(replay, EVENT(MUNMAP, .address = BASE, .length = 16 * PAGE));
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	assert_int_equal(never_touched(replay, BASE), 13 * PAGE);
	vmt_replay_free(replay);
}

static void
moved_memory_keeps_it(void **state)
{
	struct vmt_replay *replay = begin();
	uint64_t there = BASE + MIB;

	(void)state;
	advise(replay, 4, 2, MADV_DONTNEED, 1, VMT_MARK_LOOKED);
	happen(replay,
	       EVENT(MREMAP_BEGIN, .address = BASE, .length = 8 * PAGE, .argument_b = 16 * PAGE));
	happen(replay, EVENT(MREMAP, .address = there, .length = 16 * PAGE, .argument_a = BASE,
			     .argument_b = 8 * PAGE, .flags = MREMAP_MAYMOVE));
	/* The eight that moved may have been; those that came to them were not. */
	assert_int_equal(never_touched(replay, there), 8 * PAGE);
	vmt_replay_free(replay);
}

/* MREMAP_DONTUNMAP takes the pages away and leaves the range. */
static void
memory_that_was_moved_out_of_was_touched(void **state)
{
	struct vmt_replay *replay = begin();

	(void)state;
	happen(replay, EVENT(MREMAP_BEGIN, .address = BASE, .length = 16 * PAGE,
			     .argument_b = 16 * PAGE, .flags = 5));
	happen(replay, EVENT(MREMAP, .address = BASE + MIB, .length = 16 * PAGE, .argument_a = BASE,
			     .argument_b = 16 * PAGE, .flags = 5));
	assert_int_equal(never_touched(replay, BASE), 0);
	vmt_replay_free(replay);
}

/* Pages of files and of shared memory leave and come without a word. */
static void
only_private_memory_is_never_touched(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	happen(replay, EVENT(MMAP, .address = BASE, .length = 16 * PAGE, .stack = 1, .flags = 1,
			     .protection = RW));
	add_mapping(&world, BASE, 16 * PAGE, "/memfd:x", 0)->shared = 1;
	add_mapping(&world, BASE + MIB, 16 * PAGE, "/tmp/data", 0);
	attribution = join_world(&world, replay, NULL);
	for (int i = 0; i < VMT_CLASSES; i++)
		assert_int_equal(attribution.classes[i].bytes[VMT_AMOUNT_UNTOUCHED], 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
what_was_lost_might_have_told(void **state)
{
	struct vmt_replay *replay = begin();

	(void)state;
	vmt_touched_lose(replay->touched);
	assert_int_equal(never_touched(replay, BASE), 0);
	vmt_replay_free(replay);
}

/* A fork child's memory may have been given back before the fork. */
static void
inherited_memory_may_have_been_touched(void **state)
{
	struct vmt_replay *replay = world_new(0, true);

	(void)state;
	happen(replay, EVENT(PRESENT, .address = BASE, .length = 16 * PAGE, .protection = RW));
	assert_int_equal(never_touched(replay, BASE), 0);
	vmt_replay_free(replay);
}

/* A hugetlb mapping, whatever file the kernel shows behind it, is a class of its own and its
 * call's. */
static void
hugetlb_pages_are_in_ram_and_not_in_rss(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_anonymous(replay, BASE, 4 * MIB, 1);
	add_mapping(&world, BASE, 4 * MIB, "/anon_hugepage (deleted)", 0)->hugetlb = 1;
	add_run(&world, BASE, 2 * MIB, VMT_RUN_HUGETLB);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, HUGETLB, RESERVED), 4 * MIB);
	assert_int_equal(CLASS_OF(attribution, HUGETLB, COMMITTED), 0);
	assert_int_equal(CLASS_OF(attribution, HUGETLB, HUGETLB), 2 * MIB);
	assert_int_equal(FIGURE(replay, MMAP, 1, HUGETLB), 2 * MIB);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 0);
	assert_int_equal(FIGURE(replay, MMAP, 1, UNTOUCHED), 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* A trace is read by the pages of the machine that made it. */
static void
pages_are_those_of_the_trace(void **state)
{
	struct vmt_replay_options options = {.stacks = {world_stack, NULL}, .page_bytes = 65536};
	struct vmt_replay *replay = vmt_replay_new(&options);

	(void)state;
	assert_non_null(replay);
	map_anonymous(replay, BASE, 3 * 65536, 1);
	happen(replay, EVENT(MUNMAP, .address = BASE + 65536, .length = 1));
	assert_owner(replay, BASE, VMT_EVENT_MMAP, 1);
	assert_owner(replay, BASE + 65536, 0, 0);
	assert_owner(replay, BASE + 65536 + 61440, 0, 0);
	assert_owner(replay, BASE + 2 * 65536, VMT_EVENT_MMAP, 1);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pages_are_those_of_the_trace),
	    cmocka_unit_test(resident_and_swapped_pages_were_touched),
	    cmocka_unit_test(advised_pages_that_were_there_were_touched),
	    cmocka_unit_test(new_memory_forgets_what_was_there),
	    cmocka_unit_test(moved_memory_keeps_it),
	    cmocka_unit_test(memory_that_was_moved_out_of_was_touched),
	    cmocka_unit_test(only_private_memory_is_never_touched),
	    cmocka_unit_test(what_was_lost_might_have_told),
	    cmocka_unit_test(inherited_memory_may_have_been_touched),
	    cmocka_unit_test(hugetlb_pages_are_in_ram_and_not_in_rss),
	};

	return cmocka_run_group_tests_name("touched", tests, NULL, NULL);
}
