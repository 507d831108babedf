/*
 * test_touchers.c: is the last one who touched a page known, whatever becomes of the page?
 */
#include "model_world.h"

#define HUGE_SHIFT 21u
#define HUGE_BYTES (UINT64_C(1) << HUGE_SHIFT)

static struct vmt_replay *replay;

/* The stack of the page's last toucher; 0 = none. */
static uint32_t
toucher_of(uint64_t address)
{
	struct vmt_touch touch;

	if (!vmt_touchers_at(replay->touchers, address, &touch))
		return 0;
	assert_true(touch.start <= address && touch.end > address);
	return vmt_sites_get(replay->touch_sites, touch.toucher)->key.stack;
}

/* All pages of the range have this toucher, and where there is one, those around it another. */
static void
assert_touched(uint64_t start, uint64_t bytes, uint32_t stack)
{
	for (uint64_t at = start; at < start + bytes; at += PAGE)
		assert_int_equal(toucher_of(at), stack);
	assert_true(stack == 0 || toucher_of(start - PAGE) != stack);
	assert_true(stack == 0 || toucher_of(start + bytes) != stack);
}

static int
set_up(void **state)
{
	(void)state;
	replay = world_new(0, false);
	map_anonymous(replay, BASE, 64 * PAGE, 1);
	touch_pages(replay, BASE, 16 * PAGE, 2, 1);
	touch_pages(replay, BASE + 16 * PAGE, 8 * PAGE, 3, 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_replay_free(replay);
	return 0;
}

static void
test_the_list_joins_neighbours(void **state)
{
	struct vmt_touch *list;
	size_t count;

	(void)state;
	assert_touched(BASE, 16 * PAGE, 2);
	assert_touched(BASE + 16 * PAGE, 8 * PAGE, 3);
	touch_pages(replay, BASE + 30 * PAGE, PAGE, 3, 61);
	touch_pages(replay, BASE + 31 * PAGE, PAGE, 3, 1);
	assert_int_equal(vmt_touchers_list(replay->touchers, &list, &count), 0);
	assert_int_equal(count, 4);
	assert_true(list[0].start == BASE && list[0].end == BASE + 16 * PAGE);
	assert_true(list[1].start == list[0].end && list[1].end == BASE + 24 * PAGE);
	assert_int_equal(list[1].period, 1);
	assert_true(list[2].start == BASE + 30 * PAGE && list[2].end == BASE + 31 * PAGE);
	assert_int_equal(list[2].period, 61);
	assert_int_equal(list[3].period, 1);
	assert_int_equal(list[3].page_shift, 12);
	free(list);
}

/* As many pages as make the table grow, taken out in pieces large and small. */
static void
test_many_pages(void **state)
{
	const uint64_t at = BASE + (UINT64_C(1) << 32);
	const uint64_t pages = 50000;
	struct vmt_touch *list;
	struct vmt_touch touch;
	size_t count;

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		touch_pages(replay, at, pages * PAGE, 2 + round, 1);
		for (uint64_t i = 0; i < pages; i += 100)
			assert_int_equal(vmt_touchers_take(replay->touchers, at + i * PAGE,
							   at + (i + 50) * PAGE, NULL),
					 0);
		for (uint64_t i = 0; i < pages; i++)
			assert_int_equal(vmt_touchers_at(replay->touchers, at + i * PAGE, &touch),
					 i % 100 >= 50);
		assert_int_equal(vmt_touchers_list(replay->touchers, &list, &count), 0);
		assert_int_equal(count, 2 + pages / 100);
		assert_true(list[2].start == at + 50 * PAGE && list[2].end == at + 100 * PAGE);
		free(list);
		assert_int_equal(
		    vmt_touchers_take(replay->touchers, at, at + (UINT64_C(1) << 50), NULL), 0);
		assert_int_equal(vmt_touchers_list(replay->touchers, &list, &count), 0);
		assert_int_equal(count, 2);
		free(list);
	}
}

static void
test_the_last_toucher_counts(void **state)
{
	(void)state;
	touch_pages(replay, BASE + 4 * PAGE, 2 * PAGE, 3, 1);
	assert_touched(BASE, 4 * PAGE, 2);
	assert_touched(BASE + 4 * PAGE, 2 * PAGE, 3);
	assert_touched(BASE + 6 * PAGE, 10 * PAGE, 2);
}

static void
test_munmap_drops(void **state)
{
	(void)state;
	happen(replay, EVENT(MUNMAP, .address = BASE + 8 * PAGE, .length = 12 * PAGE));
	assert_touched(BASE, 8 * PAGE, 2);
	assert_touched(BASE + 8 * PAGE, 12 * PAGE, 0);
	assert_touched(BASE + 20 * PAGE, 4 * PAGE, 3);
}

static void
test_a_munmap_that_failed_drops_nothing(void **state)
{
	(void)state;
	happen(replay, EVENT(MUNMAP, .address = BASE + 8 * PAGE, .length = 12 * PAGE));
	happen(replay, EVENT(MAP_UNDO, .address = BASE + 8 * PAGE, .length = 12 * PAGE));
	assert_touched(BASE, 16 * PAGE, 2);
	assert_touched(BASE + 16 * PAGE, 8 * PAGE, 3);
}

static void
test_new_memory_in_the_place_has_no_toucher(void **state)
{
	(void)state;
	happen(replay, EVENT(MMAP_BEGIN, .address = BASE + 2 * PAGE, .length = 2 * PAGE));
	map_anonymous(replay, BASE + 2 * PAGE, 2 * PAGE, 4);
	assert_touched(BASE + 2 * PAGE, 2 * PAGE, 0);
	/* The release of what was here was not seen. */
	map_anonymous(replay, BASE + 16 * PAGE, 2 * PAGE, 4);
	assert_touched(BASE + 16 * PAGE, 2 * PAGE, 0);
	assert_touched(BASE + 18 * PAGE, 6 * PAGE, 3);
}

static void
advise(unsigned advice, uint64_t start, uint64_t bytes, int error)
{
	happen(replay, EVENT(MADVISE, .address = start, .length = bytes, .advice = (uint16_t)advice,
			     .argument_a = bytes, .error = (int16_t)error, .stack = 9));
}

static void
test_advice(void **state)
{
	(void)state;
	advise(MADV_DONTNEED, BASE, 2 * PAGE, 0);
	assert_touched(BASE, 2 * PAGE, 0);
	advise(MADV_REMOVE, BASE + 2 * PAGE, PAGE, 0);
	assert_touched(BASE, 3 * PAGE, 0);
	/* Only the snapshot shows what the kernel has taken of these. */
	advise(MADV_FREE, BASE + 4 * PAGE, PAGE, 0);
	advise(21 /* MADV_PAGEOUT */, BASE + 5 * PAGE, PAGE, 0);
	advise(MADV_WILLNEED, BASE + 6 * PAGE, PAGE, 0);
	advise(MADV_DONTNEED, BASE + 7 * PAGE, PAGE, 22 /* refused */);
	assert_touched(BASE + 3 * PAGE, 13 * PAGE, 2);
	/* Beyond the mapping: what is mapped of the range is gone. */
	advise(MADV_DONTNEED, BASE + 15 * PAGE, PAGE, 12 /* ENOMEM */);
	assert_touched(BASE + 3 * PAGE, 12 * PAGE, 2);
}

static void
move(uint64_t from, uint64_t bytes, uint64_t to, uint64_t new_bytes, int flags)
{
	happen(replay, EVENT(MREMAP_BEGIN, .address = from, .length = bytes, .argument_a = 0,
			     .flags = (uint32_t)flags));
	happen(replay, EVENT(MREMAP, .address = to, .length = new_bytes, .argument_a = from,
			     .argument_b = bytes, .flags = (uint32_t)flags, .stack = 5));
}

static void
test_mremap_moves(void **state)
{
	const uint64_t to = BASE + 1024 * PAGE;

	(void)state;
	move(BASE + 8 * PAGE, 12 * PAGE, to, 40 * PAGE, MREMAP_MAYMOVE);
	assert_touched(BASE, 8 * PAGE, 2);
	assert_touched(BASE + 20 * PAGE, 4 * PAGE, 3);
	assert_touched(to, 8 * PAGE, 2);
	assert_touched(to + 8 * PAGE, 4 * PAGE, 3);
	assert_int_equal(toucher_of(BASE + 10 * PAGE), 0);
}

static void
test_mremap_that_moves_less(void **state)
{
	const uint64_t to = BASE + 1024 * PAGE;

	(void)state;
	move(BASE + 8 * PAGE, 12 * PAGE, to, 3 * PAGE, MREMAP_MAYMOVE);
	assert_touched(to, 3 * PAGE, 2);
	assert_int_equal(toucher_of(to + 8 * PAGE), 0);
}

/* The pages go, the place stays, empty. */
static void
test_mremap_that_leaves_the_place(void **state)
{
	const uint64_t to = BASE + 1024 * PAGE;

	(void)state;
	move(BASE, 16 * PAGE, to, 16 * PAGE, MREMAP_MAYMOVE | 4);
	assert_touched(to, 16 * PAGE, 2);
	assert_touched(BASE, 16 * PAGE, 0);
}

static void
test_mremap_in_place(void **state)
{
	(void)state;
	move(BASE, 64 * PAGE, BASE, 18 * PAGE, 0);
	assert_touched(BASE, 16 * PAGE, 2);
	assert_touched(BASE + 16 * PAGE, 2 * PAGE, 3);
	move(BASE, 18 * PAGE, BASE, 64 * PAGE, 0);
	assert_touched(BASE, 16 * PAGE, 2);
	assert_touched(BASE + 16 * PAGE, 2 * PAGE, 3);
}

static void
test_mremap_that_failed(void **state)
{
	(void)state;
	happen(replay, EVENT(MREMAP_BEGIN, .address = BASE, .length = 64 * PAGE));
	happen(replay, EVENT(MAP_UNDO, .address = BASE, .length = 64 * PAGE));
	assert_touched(BASE, 16 * PAGE, 2);
	assert_touched(BASE + 16 * PAGE, 8 * PAGE, 3);
}

static void
test_a_break_that_shrinks(void **state)
{
	(void)state;
	happen(replay, EVENT(BRK, .argument_a = BASE + 100 * PAGE, .address = BASE + 110 * PAGE,
			     .stack = 6));
	touch_pages(replay, BASE + 100 * PAGE, 10 * PAGE, 7, 1);
	happen(replay, EVENT(BRK_BEGIN, .address = BASE + 104 * PAGE, .length = 6 * PAGE));
	assert_touched(BASE + 100 * PAGE, 4 * PAGE, 7);
}

static void
touch_huge(uint64_t address, uint32_t stack)
{
	const struct vmt_touch_sample sample = {
	    .address = address, .stack = stack, .page_shift = HUGE_SHIFT};

	assert_int_equal(vmt_replay_touch_apply(replay, &sample, 1), 0);
}

/* The whole page was touched, wherever in it; what is left of it stays. */
static void
test_a_huge_page_that_is_split(void **state)
{
	(void)state;
	map_anonymous(replay, BASE + HUGE_BYTES, 4 * HUGE_BYTES, 1);
	touch_huge(BASE + HUGE_BYTES + 5 * PAGE, 8);
	assert_touched(BASE + HUGE_BYTES, HUGE_BYTES, 8);
	happen(replay,
	       EVENT(MUNMAP, .address = BASE + HUGE_BYTES + 100 * PAGE, .length = 12 * PAGE));
	assert_touched(BASE + HUGE_BYTES, 100 * PAGE, 8);
	assert_touched(BASE + HUGE_BYTES + 112 * PAGE, 400 * PAGE, 8);
}

/* No RSS has them. */
static void
test_pages_larger_than_a_page_table_has(void **state)
{
	const struct vmt_touch_sample large[] = {{.address = BASE, .page_shift = 22},
						 {.address = BASE, .page_shift = 30},
						 {.address = BASE, .page_shift = 63}};
	uint64_t before = replay->malformed;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(vmt_replay_touch_apply(replay, &large[i], 1), 0);
	assert_int_equal(replay->malformed, before);
	assert_touched(BASE, 16 * PAGE, 2);
}

/* However little a sample takes in a trace, what all of them need is bounded, and the rest counted.
 */
static void
test_more_than_finds_room(void **state)
{
	struct vmt_touchers *touchers = vmt_touchers_new(PAGE, 100);
	struct vmt_touch touch = {.period = 1, .page_shift = 12};
	enum vmt_touch_again again;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		touch.start = BASE + i * 16 * PAGE;
		touch.end = touch.start + PAGE;
		assert_int_equal(vmt_touchers_touch(touchers, &touch, &again), 0);
		assert_int_equal(vmt_touchers_at(touchers, touch.start, &touch), i < 100);
	}
	assert_int_equal(vmt_touchers_left_out(touchers), 900);
	/* What is there is touched again, and what is given back makes room. */
	touch = (struct vmt_touch){
	    .start = BASE, .end = BASE + PAGE, .period = 1, .page_shift = 12, .toucher = 5};
	assert_int_equal(vmt_touchers_touch(touchers, &touch, &again), 0);
	assert_true(vmt_touchers_at(touchers, BASE, &touch) && touch.toucher == 5);
	assert_int_equal(vmt_touchers_take(touchers, BASE, BASE + 16 * 100 * PAGE, NULL), 0);
	touch.start = BASE + 2000 * 16 * PAGE;
	touch.end = touch.start + PAGE;
	assert_int_equal(vmt_touchers_touch(touchers, &touch, &again), 0);
	assert_true(vmt_touchers_at(touchers, touch.start, &touch));
	assert_int_equal(vmt_touchers_left_out(touchers), 900);
	vmt_touchers_free(touchers);
}

static void
test_samples_that_make_no_sense(void **state)
{
	static const struct vmt_touch_sample odd[] = {
	    {.address = UINT64_MAX & ~UINT64_C(4095), .page_shift = 12},
	    {.address = VMT_REPLAY_ADDRESS_END, .page_shift = 12},
	};
	const struct vmt_touch_sample small = {.address = BASE, .stack = 9, .page_shift = 3};
	uint64_t before = replay->malformed;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(vmt_replay_touch_apply(replay, &odd[i], 1), 0);
	assert_int_equal(vmt_replay_touch_apply(replay, &small, 0), 0);
	assert_int_equal(vmt_replay_touch_apply(replay, &small, UINT64_MAX), 0);
	assert_int_equal(replay->malformed, before + 4);
	assert_touched(BASE, 16 * PAGE, 2);
	/* A page smaller than the machine's is the machine's. */
	assert_int_equal(vmt_replay_touch_apply(replay, &small, 1), 0);
	assert_touched(BASE, PAGE, 9);
}

static void
look(const struct vmt_run *runs, size_t count)
{
	const struct vmt_resident resident = {.runs = runs, .count = count};

	vmt_touchers_find_gone(replay->touchers, &resident);
}

/* Given back by a call that nobody recorded: 8 pages of the first toucher are not there, one is the
 * zero page, and two are swapped out. */
static void
test_pages_that_a_snapshot_does_not_show(void **state)
{
	const struct vmt_run all[] = {{BASE, 24 * PAGE, VMT_RUN_PRESENT}};
	const struct vmt_run few[] = {{BASE + 8 * PAGE, 4 * PAGE, VMT_RUN_PRESENT},
				      {BASE + 12 * PAGE, PAGE, VMT_RUN_PRESENT | VMT_RUN_ZERO},
				      {BASE + 13 * PAGE, 2 * PAGE, VMT_RUN_SWAPPED},
				      {BASE + 15 * PAGE, 9 * PAGE, VMT_RUN_PRESENT}};

	(void)state;
	look(few, 4); /* they may be newer than the look */
	vmt_touchers_drop_gone(replay->touchers);
	assert_touched(BASE, 16 * PAGE, 2);
	look(few, 4);
	touch_pages(replay, BASE + 2 * PAGE, PAGE, 4, 1);
	move(BASE, PAGE, BASE + 1024 * PAGE, PAGE, MREMAP_MAYMOVE); /* it was under way */
	look(all, 1);
	assert_touched(BASE, 2 * PAGE, 0);
	assert_touched(BASE + 2 * PAGE, PAGE, 4);
	assert_touched(BASE + 3 * PAGE, 5 * PAGE, 0);
	assert_touched(BASE + 8 * PAGE, 4 * PAGE, 2);
	assert_touched(BASE + 12 * PAGE, PAGE, 0);
	assert_touched(BASE + 13 * PAGE, 3 * PAGE, 2);
	assert_touched(BASE + 16 * PAGE, 8 * PAGE, 3);
	assert_touched(BASE + 1024 * PAGE, PAGE, 2);
}

static uint64_t
unshared(uint32_t stack)
{
	for (uint32_t i = 0; i < vmt_sites_count(replay->touch_sites); i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(replay->touch_sites, i);

		if (entry->key.stack == stack)
			return vmt_sites_figure(entry, VMT_FIGURE_UNSHARED);
	}
	return 0;
}

static void
test_writes_after_a_fork(void **state)
{
	(void)state;
	touch_pages(replay, BASE, 4 * PAGE, 3, 1); /* again, and no fork between */
	assert_int_equal(unshared(3), 0);
	happen(replay, EVENT(FORK, .argument_a = 4711));
	touch_pages(replay, BASE, 6 * PAGE, 4, 1);
	touch_pages(replay, BASE, 6 * PAGE, 5, 1); /* they are this process's own by now */
	touch_pages(replay, BASE + 40 * PAGE, 6 * PAGE, 4, 1); /* new pages */
	assert_int_equal(unshared(4), 6 * PAGE);
	assert_int_equal(unshared(5), 0);
	advise(MADV_DONTNEED, BASE + 8 * PAGE, 4 * PAGE, 0);
	touch_pages(replay, BASE + 8 * PAGE, 8 * PAGE, 6, 1); /* half of these are new */
	assert_int_equal(unshared(6), 4 * PAGE);
}

/* A file's pages may have been taken out of the page tables, and come back. */
static void
test_pages_of_files_are_not_unshared(void **state)
{
	(void)state;
	happen(replay, EVENT(MMAP, .address = BASE + 512 * PAGE, .length = 8 * PAGE, .stack = 1,
			     .flags = MAP_PRIVATE, .protection = RW));
	touch_pages(replay, BASE + 512 * PAGE, 8 * PAGE, 2, 1);
	happen(replay, EVENT(FORK, .argument_a = 4711));
	touch_pages(replay, BASE + 512 * PAGE, 8 * PAGE, 4, 1);
	assert_int_equal(unshared(4), 0);
	assert_touched(BASE + 512 * PAGE, 8 * PAGE, 4);
}

/* What was resident shows a snapshot, where samples are few. */
static void
test_writes_to_pages_that_a_snapshot_saw(void **state)
{
	(void)state;
	assert_int_equal(vmt_touchers_begin_seen(replay->touchers, 1), 0);
	assert_int_equal(
	    vmt_touchers_see(replay->touchers, BASE + 32 * PAGE, BASE + 40 * PAGE, false), 0);
	happen(replay, EVENT(FORK, .argument_a = 4711));
	touch_pages(replay, BASE + 32 * PAGE, 12 * PAGE, 4, 1);
	assert_int_equal(unshared(4), 8 * PAGE);
	happen(replay, EVENT(FORK, .flags = 0x100 /* CLONE_VM */, .argument_a = 4712));
	touch_pages(replay, BASE + 32 * PAGE, 4 * PAGE, 5, 1);
	assert_int_equal(unshared(5), 0);
}

/* At 61 few pages have a sample twice: each rewritten part takes an earlier sample out near by. */
static void
test_a_sample_after_a_fork_stands_for_pages(void **state)
{
	const uint64_t start = BASE + (UINT64_C(1) << 32);
	struct vmt_touch *list;
	uint64_t pages[8] = {0};
	size_t count;

	(void)state;
	touch_pages(replay, start, 61 * 400 * PAGE, 6, 61);
	assert_int_equal(vmt_touchers_see(replay->touchers, start, start + 61 * 400 * PAGE, false),
			 0);
	happen(replay, EVENT(FORK, .argument_a = 4711));
	touch_pages(replay, start + 30 * PAGE, 61 * 100 * PAGE, 7, 61);
	assert_int_equal(unshared(7), 61 * 100 * PAGE);
	assert_int_equal(vmt_touchers_list(replay->touchers, &list, &count), 0);
	for (size_t i = 0; i < count; i++)
		pages[vmt_sites_get(replay->touch_sites, list[i].toucher)->key.stack] +=
		    (list[i].end - list[i].start) / PAGE;
	assert_int_equal(pages[7], 100);
	assert_int_equal(pages[6], 300);
	free(list);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_list_joins_neighbours),
	    TEST(test_many_pages),
	    TEST(test_the_last_toucher_counts),
	    TEST(test_munmap_drops),
	    TEST(test_a_munmap_that_failed_drops_nothing),
	    TEST(test_new_memory_in_the_place_has_no_toucher),
	    TEST(test_advice),
	    TEST(test_mremap_moves),
	    TEST(test_mremap_that_moves_less),
	    TEST(test_mremap_that_leaves_the_place),
	    TEST(test_mremap_in_place),
	    TEST(test_mremap_that_failed),
	    TEST(test_a_break_that_shrinks),
	    TEST(test_a_huge_page_that_is_split),
	    TEST(test_pages_larger_than_a_page_table_has),
	    TEST(test_more_than_finds_room),
	    TEST(test_samples_that_make_no_sense),
	    TEST(test_pages_that_a_snapshot_does_not_show),
	    TEST(test_writes_after_a_fork),
	    TEST(test_pages_of_files_are_not_unshared),
	    TEST(test_writes_to_pages_that_a_snapshot_saw),
	    TEST(test_a_sample_after_a_fork_stands_for_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
