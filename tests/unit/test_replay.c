/* Events into extents, blocks and sites' figures: exact numbers. */
#include <math.h>

#include "tests/unit/model_world.h"

#define ASSERT_FIGURES(replay, kind, stack, n, reserved, freed, freed_committed)                   \
	do {                                                                                       \
		assert_int_equal(FIGURE(replay, kind, stack, COUNT), n);                           \
		assert_int_equal(FIGURE(replay, kind, stack, TOTAL_RESERVED), reserved);           \
		assert_int_equal(FIGURE(replay, kind, stack, RELEASED), freed);                    \
		assert_int_equal(FIGURE(replay, kind, stack, RELEASED_COMMITTED),                  \
				 freed_committed);                                                 \
	} while (0)

static void
assert_clean(const struct vmt_replay *replay)
{
	assert_int_equal(replay->double_acquisitions, 0);
	assert_int_equal(replay->unknown_releases, 0);
	assert_int_equal(replay->malformed, 0);
}

static void
partial_munmap_leaves_the_rest(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	happen(replay, EVENT(MUNMAP, .address = BASE + 4 * PAGE, .length = 4 * PAGE,
			     .argument_a = 3 * PAGE));
	ASSERT_FIGURES(replay, MMAP, 1, 1, 16 * PAGE, 4 * PAGE, 3 * PAGE);
	assert_owner(replay, BASE + 3 * PAGE, VMT_EVENT_MMAP, 1);
	assert_owner(replay, BASE + 4 * PAGE, 0, 0);
	assert_owner(replay, BASE + 8 * PAGE, VMT_EVENT_MMAP, 1);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
munmap_of_several_owners_splits_by_length_and_adds_up(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, PAGE, 1);
	map_anonymous(replay, BASE + PAGE, 2 * PAGE, 2);
	map_anonymous(replay, BASE + 3 * PAGE, 4 * PAGE, 3);
	happen(replay, EVENT(MUNMAP, .address = BASE, .length = 7 * PAGE, .argument_a = 10001));
	assert_int_equal(FIGURE(replay, MMAP, 1, RELEASED_COMMITTED), 10001 / 7);
	assert_int_equal(FIGURE(replay, MMAP, 2, RELEASED_COMMITTED), 10001 * 3 / 7 - 10001 / 7);
	assert_int_equal(FIGURE(replay, MMAP, 1, RELEASED_COMMITTED) +
			     FIGURE(replay, MMAP, 2, RELEASED_COMMITTED) +
			     FIGURE(replay, MMAP, 3, RELEASED_COMMITTED),
			 10001);
	assert_int_equal(vmt_space_count(replay->space), 0);
	vmt_replay_free(replay);
}

static void
fixed_map_over_the_middle_changes_the_owner(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	happen(replay, EVENT(MMAP_BEGIN, .address = BASE + 4 * PAGE, .length = 4 * PAGE,
			     .argument_a = 2 * PAGE, .stack = 2));
	map_anonymous(replay, BASE + 4 * PAGE, 4 * PAGE, 2);
	ASSERT_FIGURES(replay, MMAP, 1, 1, 16 * PAGE, 4 * PAGE, 2 * PAGE);
	ASSERT_FIGURES(replay, MMAP, 2, 1, 4 * PAGE, 0, 0);
	assert_owner(replay, BASE + 5 * PAGE, VMT_EVENT_MMAP, 2);
	assert_owner(replay, BASE + 8 * PAGE, VMT_EVENT_MMAP, 1);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
failed_fixed_map_is_undone(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 8 * PAGE, 1);
	happen(replay, EVENT(MMAP_BEGIN, .address = BASE + 2 * PAGE, .length = 4 * PAGE,
			     .argument_a = PAGE));
	happen(replay,
	       EVENT(MAP_UNDO, .address = BASE + 2 * PAGE, .length = 4 * PAGE, .error = 12));
	ASSERT_FIGURES(replay, MMAP, 1, 1, 8 * PAGE, 0, 0);
	assert_int_equal(vmt_space_count(replay->space), 1);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
undo_is_the_threads_own(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	map_anonymous(replay, BASE + 4 * PAGE, 4 * PAGE, 2);
	happen(replay, EVENT(MUNMAP, .address = BASE, .length = 4 * PAGE, .thread = 7));
	happen(replay, EVENT(MUNMAP, .address = BASE + 4 * PAGE, .length = 4 * PAGE, .thread = 8));
	happen(replay, EVENT(MAP_UNDO, .address = BASE, .length = 4 * PAGE, .thread = 8));
	assert_int_equal(vmt_space_count(replay->space), 0);
	happen(replay, EVENT(MAP_UNDO, .address = BASE, .length = 4 * PAGE, .thread = 7));
	assert_owner(replay, BASE, VMT_EVENT_MMAP, 1);
	assert_owner(replay, BASE + 4 * PAGE, 0, 0);
	/* used up: a second undo changes nothing */
	happen(replay, EVENT(MAP_UNDO, .address = BASE, .length = 4 * PAGE, .thread = 7));
	assert_int_equal(FIGURE(replay, MMAP, 1, RELEASED), 0);
	vmt_replay_free(replay);
}

static void
remap(struct vmt_replay *replay, uint64_t from, uint64_t from_length, uint64_t to,
      uint64_t to_length, uint32_t flags, uint64_t cut_committed)
{
	happen(replay, EVENT(MREMAP_BEGIN, .address = from, .length = from_length,
			     .argument_a = cut_committed, .argument_b = to_length, .flags = flags,
			     .stack = 9));
	happen(replay, EVENT(MREMAP, .address = to, .length = to_length, .argument_a = from,
			     .argument_b = from_length, .flags = flags, .stack = 9));
}

static void
mremap_that_shrinks_keeps_the_owner(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	remap(replay, BASE, 16 * PAGE, BASE, 4 * PAGE, 0, 5 * PAGE);
	ASSERT_FIGURES(replay, MMAP, 1, 1, 16 * PAGE, 12 * PAGE, 5 * PAGE);
	assert_owner(replay, BASE + 3 * PAGE, VMT_EVENT_MMAP, 1);
	assert_owner(replay, BASE + 4 * PAGE, 0, 0);
	assert_int_equal(vmt_sites_count(replay->sites), 1);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
mremap_that_grows_or_moves_owns_the_new_range(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	happen(replay, EVENT(MPROTECT, .address = BASE, .length = 4 * PAGE, .protection = 1));
	remap(replay, BASE, 4 * PAGE, BASE, 8 * PAGE, 0, 0);
	ASSERT_FIGURES(replay, MMAP, 1, 1, 4 * PAGE, 4 * PAGE, 0);
	ASSERT_FIGURES(replay, MREMAP, 9, 1, 8 * PAGE, 0, 0);
	assert_int_equal(vmt_space_next(replay->space, BASE)->protection, 1);
	remap(replay, BASE, 8 * PAGE, BASE + MIB, 2 * PAGE, MREMAP_MAYMOVE, 3 * PAGE);
	ASSERT_FIGURES(replay, MREMAP, 9, 2, 10 * PAGE, 8 * PAGE, 3 * PAGE);
	assert_owner(replay, BASE, 0, 0);
	assert_owner(replay, BASE + MIB, VMT_EVENT_MREMAP, 9);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
mremap_dontunmap_leaves_the_old_range_mapped(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	remap(replay, BASE, 4 * PAGE, BASE + MIB, 4 * PAGE, MREMAP_MAYMOVE | 4, 0);
	ASSERT_FIGURES(replay, MMAP, 1, 1, 4 * PAGE, 0, 0);
	ASSERT_FIGURES(replay, MREMAP, 9, 1, 4 * PAGE, 0, 0);
	assert_owner(replay, BASE, VMT_EVENT_MMAP, 1);
	assert_owner(replay, BASE + MIB, VMT_EVENT_MREMAP, 9);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
failed_mremap_to_a_fixed_place_is_undone_twice(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	map_anonymous(replay, BASE + MIB, 8 * PAGE, 2);
	happen(replay, EVENT(MMAP_BEGIN, .address = BASE + MIB, .length = 8 * PAGE,
			     .argument_a = 6 * PAGE));
	happen(replay, EVENT(MREMAP_BEGIN, .address = BASE, .length = 4 * PAGE,
			     .argument_b = 8 * PAGE, .flags = MREMAP_MAYMOVE | MREMAP_FIXED));
	happen(replay, EVENT(MAP_UNDO, .address = BASE, .length = 4 * PAGE, .error = 12));
	happen(replay, EVENT(MAP_UNDO, .address = BASE + MIB, .length = 8 * PAGE, .error = 12));
	ASSERT_FIGURES(replay, MMAP, 1, 1, 4 * PAGE, 0, 0);
	ASSERT_FIGURES(replay, MMAP, 2, 1, 8 * PAGE, 0, 0);
	assert_owner(replay, BASE + 3 * PAGE, VMT_EVENT_MMAP, 1);
	assert_owner(replay, BASE + MIB, VMT_EVENT_MMAP, 2);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
advice_gives_committed_bytes_back_but_no_range(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	happen(replay, EVENT(MADVISE, .address = BASE, .length = 8 * PAGE, .argument_a = 5 * PAGE,
			     .advice = MADV_DONTNEED, .stack = 3));
	happen(replay, EVENT(MADVISE, .address = BASE, .length = 16 * PAGE, .advice = MADV_WILLNEED,
			     .stack = 3));
	ASSERT_FIGURES(replay, MMAP, 1, 1, 16 * PAGE, 0, 5 * PAGE);
	/* two rows: the advice is part of the key */
	assert_int_equal(vmt_sites_count(replay->sites), 3);
	ASSERT_FIGURES(replay, MADVISE, 3, 1, 8 * PAGE, 0, 5 * PAGE);
	happen(replay, EVENT(MADVISE, .address = BASE, .length = 4 * PAGE, .argument_a = PAGE,
			     .advice = MADV_DONTNEED, .stack = 3));
	happen(replay, EVENT(MAP_UNDO, .address = BASE, .length = 4 * PAGE, .error = 22));
	ASSERT_FIGURES(replay, MADVISE, 3, 1, 8 * PAGE, 0, 5 * PAGE);
	ASSERT_FIGURES(replay, MMAP, 1, 1, 16 * PAGE, 0, 5 * PAGE);
	assert_int_equal(FIGURE(replay, MADVISE, 3, FAILED), 1);
	happen(replay, EVENT(MADVISE, .address = BASE, .length = 4 * PAGE, .advice = MADV_HUGEPAGE,
			     .stack = 4, .error = 22));
	ASSERT_FIGURES(replay, MADVISE, 4, 0, 0, 0, 0);
	assert_int_equal(FIGURE(replay, MADVISE, 4, FAILED), 1);
	vmt_replay_free(replay);
}

/* What was found by asking a sample of the pages is known as that at its owners, at its advice, and
 * nowhere else. */
static void
sampled_pages_are_marked(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_event about = EVENT(MADVISE, .address = BASE, .length = 4 * PAGE,
				       .argument_a = PAGE, .advice = MADV_DONTNEED, .stack = 4);

	(void)state;
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	map_anonymous(replay, BASE + 4 * PAGE, 4 * PAGE, 2);
	map_anonymous(replay, BASE + 8 * PAGE, 4 * PAGE, 5);
	about.marks = VMT_MARK_LOOKED | VMT_MARK_SAMPLED;
	happen(replay, about);
	happen(replay, EVENT(MADVISE, .address = BASE + 4 * PAGE, .length = PAGE,
			     .advice = MADV_DONTNEED, .stack = 3));
	about.kind = VMT_EVENT_MUNMAP;
	about.address = BASE + 8 * PAGE;
	about.length = PAGE;
	happen(replay, about);
	assert_true(site_of(replay, VMT_EVENT_MMAP, 1)->sampled);
	assert_false(site_of(replay, VMT_EVENT_MMAP, 2)->sampled);
	assert_true(site_of(replay, VMT_EVENT_MMAP, 5)->sampled);
	assert_true(site_of(replay, VMT_EVENT_MADVISE, 4)->sampled);
	assert_false(site_of(replay, VMT_EVENT_MADVISE, 3)->sampled);
	vmt_replay_free(replay);
}

static void
brk_moves_whole_pages(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	uint64_t heap = UINT64_C(0x555500000000);

	(void)state;
	happen(replay, EVENT(BRK, .address = heap + 10, .argument_a = heap, .stack = 4));
	happen(replay, EVENT(BRK, .address = heap + PAGE, .argument_a = heap + 10, .stack = 4));
	happen(replay,
	       EVENT(BRK, .address = heap + 8 * PAGE, .argument_a = heap + PAGE, .stack = 5));
	ASSERT_FIGURES(replay, BRK, 4, 1, PAGE, 0, 0);
	ASSERT_FIGURES(replay, BRK, 5, 1, 7 * PAGE, 0, 0);
	happen(replay, EVENT(BRK_BEGIN, .address = heap + 3 * PAGE, .length = 5 * PAGE,
			     .argument_a = 2 * PAGE));
	happen(replay, EVENT(BRK, .address = heap + 3 * PAGE, .argument_a = heap + 8 * PAGE,
			     .argument_b = 2 * PAGE));
	ASSERT_FIGURES(replay, BRK, 5, 1, 7 * PAGE, 5 * PAGE, 2 * PAGE);
	assert_owner(replay, heap + 2 * PAGE, VMT_EVENT_BRK, 5);
	assert_owner(replay, heap + 3 * PAGE, 0, 0);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
break_grown_in_small_steps_is_one_extent(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	uint64_t heap = UINT64_C(0x555500000000);
	uint64_t at = heap;

	(void)state;
	for (int step = 0; step < 10000; step++, at += PAGE)
		happen(replay, EVENT(BRK, .address = at + PAGE, .argument_a = at, .stack = 4));
	assert_int_equal(vmt_space_count(replay->space), 1);
	ASSERT_FIGURES(replay, BRK, 4, 10000, 10000 * PAGE, 0, 0);
	happen(replay, EVENT(BRK, .address = at + PAGE, .argument_a = at, .stack = 5));
	happen(replay, EVENT(BRK, .address = at + 2 * PAGE, .argument_a = at + PAGE, .stack = 4));
	assert_int_equal(vmt_space_count(replay->space), 3);
	assert_owner(replay, at, VMT_EVENT_BRK, 5);
	assert_owner(replay, at + PAGE, VMT_EVENT_BRK, 4);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
shmdt_without_a_length_finds_its_segment(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	happen(replay,
	       EVENT(SHMAT, .address = BASE, .length = 4 * PAGE, .stack = 1, .protection = RW));
	happen(replay, EVENT(SHMAT, .address = BASE + 4 * PAGE, .length = 4 * PAGE, .stack = 2,
			     .protection = RW));
	happen(replay, EVENT(MPROTECT, .address = BASE, .length = PAGE, .protection = PROT_READ));
	happen(replay, EVENT(SHMDT, .address = BASE, .argument_a = PAGE));
	ASSERT_FIGURES(replay, SHMAT, 1, 1, 4 * PAGE, 4 * PAGE, PAGE);
	ASSERT_FIGURES(replay, SHMAT, 2, 1, 4 * PAGE, 0, 0);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
contradictions_are_counted(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	map_anonymous(replay, BASE + 2 * PAGE, 4 * PAGE, 2);
	assert_int_equal(replay->double_acquisitions, 1);
	assert_int_equal(FIGURE(replay, MMAP, 1, RELEASED), 2 * PAGE);
	/* A hole is nobody's; pages are somebody's. */
	happen(replay, EVENT(MUNMAP, .address = BASE + MIB, .length = PAGE));
	assert_int_equal(replay->unknown_releases, 0);
	happen(replay, EVENT(MUNMAP, .address = BASE + MIB, .length = PAGE, .argument_a = PAGE));
	assert_int_equal(replay->unknown_releases, 1);
	happen(replay, EVENT(MALLOC, .address = 0x5000, .length = 10, .stack = 1));
	happen(replay, EVENT(MALLOC, .address = 0x5000, .length = 20, .stack = 1));
	assert_int_equal(vmt_replay_heap_settle(replay), 0);
	assert_int_equal(replay->double_acquisitions, 2);
	happen(replay, EVENT(FREE, .address = 0x6000));
	assert_int_equal(replay->unknown_releases, 2);
	happen(replay, EVENT(MMAP, .address = UINT64_MAX - PAGE, .length = 4 * PAGE));
	happen(replay, EVENT(MALLOC, .address = UINT64_C(1) << 50, .length = 1));
	assert_int_equal(replay->malformed, 2);
	vmt_replay_free(replay);
}

static void
releases_of_what_was_there_before_are_no_contradiction(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	happen(replay, EVENT(PRESENT, .address = BASE, .length = 33 * PAGE, .protection = RW,
			     .argument_b = 1));
	happen(replay, EVENT(FREE, .address = BASE + 64));
	happen(replay, EVENT(MUNMAP, .address = BASE + 32 * PAGE, .length = PAGE));
	assert_int_equal(replay->early_releases, 1);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
realloc_moves_a_block_to_its_own_site(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	happen(replay, EVENT(MALLOC, .address = 0x5000, .length = 100, .stack = 1));
	happen(replay, EVENT(REALLOC_BEGIN, .address = 0x5000, .stack = 2));
	happen(replay, EVENT(REALLOC, .address = 0x7000, .length = 300, .stack = 2));
	ASSERT_FIGURES(replay, MALLOC, 1, 1, 100, 100, 0);
	ASSERT_FIGURES(replay, REALLOC, 2, 1, 300, 0, 0);
	assert_int_equal(vmt_blocks_bytes(replay->blocks), 300);
	happen(replay, EVENT(REALLOC_BEGIN, .address = 0x7000, .stack = 3));
	happen(replay, EVENT(HEAP_UNDO, .address = 0x7000));
	ASSERT_FIGURES(replay, REALLOC, 2, 1, 300, 0, 0);
	assert_int_equal(vmt_blocks_count(replay->blocks), 1);
	/* an undo without its release changes nothing */
	happen(replay, EVENT(HEAP_UNDO, .address = 0x7000));
	assert_int_equal(vmt_blocks_count(replay->blocks), 1);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
free_of_a_large_block_tells_what_was_committed(void **state)
{
	struct vmt_replay *replay = world_new(0, false);

	(void)state;
	happen(replay, EVENT(MALLOC, .address = BASE + 16, .length = MIB, .stack = 1));
	happen(replay, EVENT(FREE, .address = BASE + 16, .length = MIB, .argument_a = 8 * PAGE));
	ASSERT_FIGURES(replay, MALLOC, 1, 1, MIB, MIB, 8 * PAGE);
	assert_clean(replay);
	vmt_replay_free(replay);
}

static void
weights_are_the_inverse_of_the_chance(void **state)
{
	struct vmt_replay *all = world_new(0, false);
	struct vmt_replay *sampled = world_new(64 * KIB, false);

	(void)state;
	assert_true(vmt_replay_weight(all, 1) == 1);
	assert_true(vmt_replay_weight(sampled, 64 * KIB) == 1);
	assert_true(fabs(vmt_replay_weight(sampled, 16 * KIB) - 1 / (1 - exp(-0.25))) < 1e-9);
	assert_true(fabs(vmt_replay_weight(sampled, 1) - 65536.5) < 0.01);
	assert_true(vmt_replay_weight(sampled, 0) == vmt_replay_weight(sampled, 1));
	vmt_replay_free(all);
	vmt_replay_free(sampled);
}

static void
sampled_blocks_stand_for_others(void **state)
{
	struct vmt_replay *replay = world_new(64 * KIB, false);
	double weight = 1 / (1 - exp(-0.25));

	(void)state;
	happen(replay, EVENT(MALLOC, .address = 0x5000, .length = 16 * KIB, .stack = 1));
	happen(replay, EVENT(MALLOC, .address = 0x15000, .length = 16 * KIB, .stack = 1));
	happen(replay, EVENT(MALLOC, .address = 0x25000, .length = 64 * KIB, .stack = 1));
	assert_int_equal(FIGURE(replay, MALLOC, 1, COUNT), 1 + (uint64_t)llround(2 * weight));
	assert_int_equal(FIGURE(replay, MALLOC, 1, TOTAL_RESERVED),
			 64 * KIB + (uint64_t)llround(2 * weight * 16384));
	happen(replay, EVENT(FREE, .address = 0x5000));
	happen(replay, EVENT(FREE, .address = 0x25000));
	assert_int_equal(FIGURE(replay, MALLOC, 1, RELEASED),
			 64 * KIB + (uint64_t)llround(weight * 16384));
	assert_true(site_of(replay, VMT_EVENT_MALLOC, 1)->estimated);
	vmt_replay_free(replay);
}

/* Of kinds that may be skipped, in the heap's range of ids and in the map's. */
static void
notes_of_a_newer_version_change_nothing(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_event heap = EVENT(MALLOC, .address = BASE, .length = 100, .stack = 1);
	struct vmt_event map = EVENT(MUNMAP, .address = BASE, .length = 4 * PAGE, .stack = 1);

	(void)state;
	heap.kind = 25;
	map.kind = 60;
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	happen(replay, heap);
	happen(replay, map);
	happen(replay, EVENT(FREE, .address = BASE));
	assert_int_equal(replay->unknown_releases, 1);
	assert_owner(replay, BASE, VMT_EVENT_MMAP, 1);
	ASSERT_FIGURES(replay, MMAP, 1, 1, 4 * PAGE, 0, 0);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(notes_of_a_newer_version_change_nothing),
	    cmocka_unit_test(partial_munmap_leaves_the_rest),
	    cmocka_unit_test(munmap_of_several_owners_splits_by_length_and_adds_up),
	    cmocka_unit_test(fixed_map_over_the_middle_changes_the_owner),
	    cmocka_unit_test(failed_fixed_map_is_undone),
	    cmocka_unit_test(undo_is_the_threads_own),
	    cmocka_unit_test(mremap_that_shrinks_keeps_the_owner),
	    cmocka_unit_test(mremap_that_grows_or_moves_owns_the_new_range),
	    cmocka_unit_test(mremap_dontunmap_leaves_the_old_range_mapped),
	    cmocka_unit_test(failed_mremap_to_a_fixed_place_is_undone_twice),
	    cmocka_unit_test(advice_gives_committed_bytes_back_but_no_range),
	    cmocka_unit_test(brk_moves_whole_pages),
	    cmocka_unit_test(break_grown_in_small_steps_is_one_extent),
	    cmocka_unit_test(shmdt_without_a_length_finds_its_segment),
	    cmocka_unit_test(contradictions_are_counted),
	    cmocka_unit_test(releases_of_what_was_there_before_are_no_contradiction),
	    cmocka_unit_test(realloc_moves_a_block_to_its_own_site),
	    cmocka_unit_test(free_of_a_large_block_tells_what_was_committed),
	    cmocka_unit_test(sampled_pages_are_marked),
	    cmocka_unit_test(weights_are_the_inverse_of_the_chance),
	    cmocka_unit_test(sampled_blocks_stand_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
