/*
 * test_committers.c: do the pages of a snapshot go to who touched them, and do the rows add up?
 */
#include "model_world.h"

static struct vmt_replay *replay;
static struct world_snapshot world;
static struct vmt_attribution attribution;

static int
set_up(void **state)
{
	(void)state;
	replay = world_new(0, false);
	memset(&world, 0, sizeof(world));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
	return 0;
}

static uint32_t
stack_of(struct vmt_sites *sites, uint32_t site)
{
	return site == VMT_SITE_NONE ? 0 : vmt_sites_get(sites, site)->key.stack;
}

/* What of the class is reserved by a stack and touched by one; 0 = nobody. */
static uint64_t
cell(enum vmt_class_id class, uint32_t reserver, uint32_t toucher)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < attribution.committers.count; i++) {
		const struct vmt_committed_cell *found = &attribution.committers.cells[i];

		if (found->class == class && stack_of(replay->sites, found->site) == reserver &&
		    stack_of(replay->touch_sites, found->toucher) == toucher)
			bytes += found->bytes;
	}
	return bytes;
}

/* Joins. The cells of each class are its committed bytes. */
static void
join(const struct vmt_attribution_options *options)
{
	uint64_t sums[VMT_CLASSES] = {0};

	vmt_attribution_free(&attribution);
	attribution = join_world(&world, replay, options);
	for (size_t i = 0; i < attribution.committers.count; i++) {
		assert_true(attribution.committers.cells[i].bytes > 0);
		sums[attribution.committers.cells[i].class] +=
		    attribution.committers.cells[i].bytes;
	}
	for (int i = 0; i < VMT_CLASSES; i++)
		assert_int_equal(sums[i], attribution.committers.count
					      ? attribution.classes[i].bytes[VMT_AMOUNT_COMMITTED]
					      : 0);
}

/* One function reserves 64 MiB, a second touches a quarter, a third an eighth. */
static void
tell_story(uint64_t period)
{
	map_anonymous(replay, BASE, 64 * MIB, 1);
	touch_pages(replay, BASE, 16 * MIB, 2, period);
	touch_pages(replay, BASE + 16 * MIB, 8 * MIB, 3, period);
	add_mapping(&world, BASE, 64 * MIB, "", 24 * MIB);
	join(NULL);
}

static void
test_the_story_exactly(void **state)
{
	(void)state;
	tell_story(1);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 2), 16 * MIB);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 3), 8 * MIB);
	assert_int_equal(attribution.committers.count, 2);
	assert_false(attribution.committers.cells[0].estimate);
}

static void
test_the_story_from_samples(void **state)
{
	(void)state;
	tell_story(61);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 2), 16 * MIB * 9 / 10, 16 * MIB * 11 / 10);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 3), 8 * MIB * 9 / 10, 8 * MIB * 11 / 10);
	assert_int_equal(attribution.committers.count, 2);
	assert_true(attribution.committers.cells[0].estimate);
}

static void
test_nothing_without_samples(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * PAGE, 1);
	add_mapping(&world, BASE, 64 * PAGE, "", 24 * PAGE);
	join(NULL);
	assert_int_equal(attribution.committers.count, 0);
}

/* Pages that came without a fault (MAP_POPULATE): nobody touched them. */
static void
test_what_no_sample_explains(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * PAGE, 1);
	map_anonymous(replay, BASE + 64 * PAGE, 64 * PAGE, 4);
	touch_pages(replay, BASE, 7 * PAGE, 2, 1);
	add_mapping(&world, BASE, 128 * PAGE, "", 100 * PAGE);
	join(NULL);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 2), 7 * PAGE);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 0), 57 * PAGE);
	assert_int_equal(cell(VMT_CLASS_MMAP, 4, 0), 36 * PAGE);
}

/* The same from samples: more is resident than chance explains. */
static void
test_what_samples_do_not_explain(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * MIB, 1);
	touch_pages(replay, BASE, 8 * MIB, 2, 61);
	add_mapping(&world, BASE, 64 * MIB, "", 64 * MIB);
	join(NULL);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 2), 7 * MIB, 9 * MIB);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 0), 55 * MIB, 57 * MIB);
}

/* The kernel has taken what MADV_FREE gave it, or the release was not seen. */
static void
test_pages_that_are_gone(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * PAGE, 1);
	touch_pages(replay, BASE, 16 * PAGE, 2, 1);
	touch_pages(replay, BASE + 16 * PAGE, 16 * PAGE, 3, 1);
	add_mapping(&world, BASE, 64 * PAGE, "", 4 * PAGE);
	add_run(&world, BASE + 10 * PAGE, 10 * PAGE, VMT_RUN_PRESENT);
	add_run(&world, BASE + 20 * PAGE, 2 * PAGE, VMT_RUN_SWAPPED);
	add_run(&world, BASE + 24 * PAGE, 2 * PAGE, VMT_RUN_PRESENT | VMT_RUN_ZERO);
	join(NULL);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 2), 10 * PAGE);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 3), 4 * PAGE);
	assert_int_equal(attribution.committers.count, 2);
}

/* The C library has given back what was touched first, and nobody saw it. */
static void
test_the_latest_touches_count(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * MIB, 1);
	for (uint64_t i = 0; i < 5; i++)
		touch_pages(replay, BASE + i * PAGE, 30 * MIB, 2, 61);
	touch_pages(replay, BASE + 7 * PAGE, 20 * MIB, 3, 61);
	touch_pages(replay, BASE + 7 * PAGE + 20 * MIB, 10 * MIB, 4, 61);
	add_mapping(&world, BASE, 64 * MIB, "", 30 * MIB);
	join(NULL);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 3), 20 * MIB * 97 / 100, 20 * MIB * 103 / 100);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 4), 10 * MIB * 97 / 100, 10 * MIB * 103 / 100);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 2), 0, 30 * MIB / 50);
}

/* Where samples stand for what is resident, each toucher has its part, early or late. */
static void
test_early_touches_count_as_well(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * MIB, 1);
	touch_pages(replay, BASE, 20 * MIB, 2, 61);
	touch_pages(replay, BASE + 20 * MIB, 20 * MIB, 3, 61);
	add_mapping(&world, BASE, 64 * MIB, "", 40 * MIB);
	join(NULL);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 2), 20 * MIB * 97 / 100, 20 * MIB * 103 / 100);
	assert_in_range(cell(VMT_CLASS_MMAP, 1, 3), 20 * MIB * 97 / 100, 20 * MIB * 103 / 100);
}

/* Where the runs stand packed, each sample counts. */
static void
test_a_coarse_snapshot(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * PAGE, 1);
	touch_pages(replay, BASE + 30 * PAGE, 6 * PAGE, 2, 1);
	touch_pages(replay, BASE + 50 * PAGE, 2 * PAGE, 3, 1);
	add_mapping(&world, BASE, 64 * PAGE, "", 4 * PAGE);
	world.snapshot.coarse = true;
	join(NULL);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 2), 3 * PAGE);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 3), PAGE);
}

static void
allocate(uint64_t address, uint64_t bytes, uint32_t stack)
{
	happen(replay, EVENT(MALLOC, .address = address, .length = bytes, .stack = stack));
}

/* Of a page that blocks share each has its bytes; what no block has is retained. */
static void
test_blocks(void **state)
{
	(void)state;
	allocate(BASE + 16, 2 * PAGE, 5);
	allocate(BASE + 2 * PAGE + 32, PAGE, 6);
	touch_pages(replay, BASE, 2 * PAGE, 2, 1);
	touch_pages(replay, BASE + 2 * PAGE, 6 * PAGE, 3, 1);
	add_mapping(&world, BASE, 64 * PAGE, "[heap]", 10 * PAGE);
	join(NULL);
	assert_int_equal(cell(VMT_CLASS_MALLOC_LIVE, 5, 2), 2 * PAGE - 16);
	assert_int_equal(cell(VMT_CLASS_MALLOC_LIVE, 5, 3), 16);
	assert_int_equal(cell(VMT_CLASS_MALLOC_LIVE, 6, 3), PAGE);
	assert_int_equal(cell(VMT_CLASS_MALLOC_RETAINED, 0, 2), 16);
	assert_int_equal(cell(VMT_CLASS_MALLOC_RETAINED, 0, 3), 6 * PAGE - PAGE - 16);
	assert_int_equal(cell(VMT_CLASS_MALLOC_RETAINED, 0, 0), 2 * PAGE);
}

/* A program's data, and a stack. */
static void
test_places_without_a_call(void **state)
{
	(void)state;
	touch_pages(replay, BASE, 3 * PAGE, 2, 1);
	touch_pages(replay, BASE + MIB, 2 * PAGE, 3, 1);
	add_mapping(&world, BASE, 16 * PAGE, "", 4 * PAGE);
	add_mapping(&world, BASE + MIB, 16 * PAGE, "[stack]", 2 * PAGE);
	join(NULL);
	assert_int_equal(cell(VMT_CLASS_UNATTRIBUTED, 0, 2), 3 * PAGE);
	assert_int_equal(cell(VMT_CLASS_UNATTRIBUTED, 0, 0), PAGE);
	assert_int_equal(cell(VMT_CLASS_MAIN_STACK, 0, 3), 2 * PAGE);
}

static void
test_huge_pages(void **state)
{
	const struct vmt_touch_sample huge = {.address = BASE, .stack = 2, .page_shift = 21};

	(void)state;
	map_anonymous(replay, BASE, 8 * MIB, 1);
	assert_int_equal(vmt_replay_touch_apply(replay, &huge, 1), 0);
	touch_pages(replay, BASE + 4 * MIB, 2 * PAGE, 3, 1);
	add_mapping(&world, BASE, 8 * MIB, "", 2 * MIB);
	add_run(&world, BASE + 4 * MIB, 2 * PAGE, VMT_RUN_PRESENT);
	join(NULL);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 2), 2 * MIB);
	assert_int_equal(cell(VMT_CLASS_MMAP, 1, 3), 2 * PAGE);
}

/* Eight that take turns have the same each. */
static void
test_alternating_touchers(void **state)
{
	(void)state;
	map_anonymous(replay, BASE, 64 * MIB, 1);
	for (uint64_t page = 0; page < 16384; page += 61)
		touch_pages(replay, BASE + page * PAGE, PAGE, 2 + page % 8, 61);
	add_mapping(&world, BASE, 64 * MIB, "", 64 * MIB);
	join(NULL);
	for (uint32_t i = 0; i < 8; i++)
		assert_in_range(cell(VMT_CLASS_MMAP, 1, 2 + i), 8 * MIB * 85 / 100,
				8 * MIB * 115 / 100);
}

static uint64_t random_state = 88172645463325252;

static uint64_t
next_random(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static void
touch_at_random(uint64_t start, uint64_t pages)
{
	static const uint64_t periods[] = {1, 1, 7, 61};

	for (unsigned i = 0; i < 12; i++)
		touch_pages(replay, start + next_random(pages) * PAGE,
			    PAGE * (1 + next_random(pages / 4)), 50 + (uint32_t)next_random(5),
			    periods[next_random(4)]);
}

#define SAMPLED (512 * KIB)

/* Of a heap with one block after another, every so many bytes one is recorded. */
static void
allocate_sampled(uint64_t start, uint64_t bytes, uint32_t stack)
{
	for (uint64_t at = start; at < start + bytes; at += SAMPLED)
		allocate(at + next_random(SAMPLED - 400), 400, stack);
}

static double
samples_of(uint32_t toucher)
{
	double samples = 0;

	for (size_t i = 0; i < attribution.committers.count; i++) {
		const struct vmt_committed_cell *found = &attribution.committers.cells[i];

		if (stack_of(replay->touch_sites, found->toucher) == toucher)
			samples += found->samples;
	}
	return samples;
}

static void
grow_heap(uint64_t period)
{
	vmt_replay_free(replay);
	replay = world_new(SAMPLED, false);
	memset(&world, 0, sizeof(world));
	touch_pages(replay, BASE, 32 * MIB, 2, period);
	touch_pages(replay, BASE + 32 * MIB, 16 * MIB, 3, period);
	allocate_sampled(BASE, 64 * MIB, 5);
	add_mapping(&world, BASE, 64 * MIB, "[heap]", 64 * MIB);
	join(NULL);
}

static void
assert_near(uint64_t found, uint64_t expected, uint64_t distance)
{
	assert_in_range(found, expected - distance, expected + distance);
}

static uint64_t
heap_of(uint32_t toucher)
{
	return cell(VMT_CLASS_MALLOC_LIVE, 5, toucher) +
	       cell(VMT_CLASS_MALLOC_RETAINED, 0, toucher);
}

/* A few blocks stand for all of a heap, in which few pages have samples: rarely the same ones. All
 * samples count, with what no sample explains beside them. */
static void
test_sampled_blocks(void **state)
{
	static const uint64_t periods[] = {1, 8, 61};

	(void)state;
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		uint64_t period = periods[i];

		grow_heap(period);
		assert_near(heap_of(2), 32 * MIB, 2 * MIB);
		assert_near(heap_of(3), 16 * MIB, 2 * MIB);
		assert_near(heap_of(0), 16 * MIB, 2 * MIB);
		assert_near((uint64_t)(samples_of(2) + .5), 8192 / period, 1 + 8192 / period / 20);
		assert_near((uint64_t)(samples_of(3) + .5), 4096 / period, 1 + 4096 / period / 10);
		assert_true(samples_of(2) < 1.001 * (double)((8192 + period - 1) / period));
	}
}

/* One block in sixteen is live: what the others had was touched by the same. */
static void
test_sampled_blocks_in_a_heap_that_is_kept(void **state)
{
	(void)state;
	vmt_replay_free(replay);
	replay = world_new(SAMPLED, false);
	touch_pages(replay, BASE, 64 * MIB, 2, 61);
	for (uint64_t i = 0; i < 8; i++)
		allocate_sampled(BASE + i * 8 * MIB, SAMPLED, 5);
	add_mapping(&world, BASE, 64 * MIB, "[heap]", 64 * MIB);
	join(NULL);
	assert_near(cell(VMT_CLASS_MALLOC_LIVE, 5, 2), 4 * MIB, 64 * KIB);
	assert_near(cell(VMT_CLASS_MALLOC_RETAINED, 0, 2), 60 * MIB, 128 * KIB);
	assert_near((uint64_t)(samples_of(2) + .5), 269, 1);
}

/* A block has the page of the earlier touch, so that nothing of it is left to the heap. The later
 * one stands for more than is resident: 59 pages for 31, 101 for 7. Cut down to that, both are
 * above it in the last bit. */
static void
check_touch_of_nothing(uint64_t period, uint64_t pages)
{
	vmt_replay_free(replay);
	replay = world_new(0, false);
	memset(&world, 0, sizeof(world));
	allocate(BASE, PAGE, 5);
	touch_pages(replay, BASE, PAGE, 2, 61);
	touch_pages(replay, BASE + PAGE, PAGE, 3, period);
	add_mapping(&world, BASE, 256 * PAGE, "[heap]", (1 + pages) * PAGE);
	join(NULL);
	assert_int_equal(cell(VMT_CLASS_MALLOC_LIVE, 5, 2), PAGE);
	assert_int_equal(cell(VMT_CLASS_MALLOC_RETAINED, 0, 2), 0);
	assert_int_equal(cell(VMT_CLASS_MALLOC_RETAINED, 0, 3), pages * PAGE);
}

static void
test_touches_of_nothing(void **state)
{
	(void)state;
	for (uint64_t pages = 1; pages < 59; pages++) {
		check_touch_of_nothing(59, pages);
		check_touch_of_nothing(101, pages);
	}
}

/* Whatever is mapped, live, touched and resident, blocks sampled or all: join checks that all rows
 * add up to their classes, and these to what is resident. */
static void
test_any_world_adds_up(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		uint64_t at = BASE;

		vmt_replay_free(replay);
		replay = world_new(round % 2 ? 4096 : 0, round % 7 == 3);
		memset(&world, 0, sizeof(world));
		for (uint32_t i = 0; i < 12; i++) {
			uint64_t pages = 4 + next_random(60);
			uint64_t resident = next_random(pages + 1);

			if (next_random(3))
				map_anonymous(replay, at, pages * PAGE, 1 + i);
			for (unsigned j = 0; j < 20 && i % 3 == 0; j++)
				allocate(at + next_random(pages * PAGE - 600), 1 + next_random(500),
					 30 + (uint32_t)next_random(4));
			touch_at_random(at, pages);
			add_mapping(&world, at, pages * PAGE, i == 3 ? "[heap]" : "",
				    resident * PAGE);
			at += (pages + next_random(2)) * PAGE;
		}
		world.snapshot.coarse = round % 11 == 5;
		join(NULL);
		assert_true(attribution.committers.count > 0);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_story_exactly),
	    TEST(test_the_story_from_samples),
	    TEST(test_nothing_without_samples),
	    TEST(test_what_no_sample_explains),
	    TEST(test_what_samples_do_not_explain),
	    TEST(test_pages_that_are_gone),
	    TEST(test_the_latest_touches_count),
	    TEST(test_early_touches_count_as_well),
	    TEST(test_a_coarse_snapshot),
	    TEST(test_blocks),
	    TEST(test_places_without_a_call),
	    TEST(test_huge_pages),
	    TEST(test_alternating_touchers),
	    TEST(test_sampled_blocks),
	    TEST(test_sampled_blocks_in_a_heap_that_is_kept),
	    TEST(test_touches_of_nothing),
	    TEST(test_any_world_adds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
