/* The interval map against the plainest model there is: one entry a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/model/space/space.h"

#define PAGE UINT64_C(4096)
#define PAGES 512u
#define BASE UINT64_C(0x7f0000000000)

static uint64_t
at(uint64_t page)
{
	return BASE + page * PAGE;
}

static struct vmt_extent
extent(uint64_t from, uint64_t to, uint64_t call)
{
	return (struct vmt_extent){.start = at(from),
				   .end = at(to),
				   .call = call,
				   .site = (uint32_t)(call % 7),
				   .protection = 3};
}

static void
put(struct vmt_space *space, uint64_t from, uint64_t to, uint64_t call)
{
	struct vmt_extent item = extent(from, to, call);

	assert_int_equal(vmt_space_put(space, &item), 0);
}

static void
assert_extent(const struct vmt_extent *found, uint64_t from, uint64_t to, uint64_t call)
{
	assert_non_null(found);
	assert_int_equal(found->start, at(from));
	assert_int_equal(found->end, at(to));
	assert_int_equal(found->call, call);
}

static void
empty_map_has_nothing(void **state)
{
	struct vmt_space *space = vmt_space_new();

	(void)state;
	assert_null(vmt_space_next(space, 0));
	assert_int_equal(vmt_space_count(space), 0);
	assert_true(vmt_space_check(space));
	vmt_space_free(space);
}

static void
next_is_the_first_that_ends_after(void **state)
{
	struct vmt_space *space = vmt_space_new();

	(void)state;
	put(space, 4, 8, 1);
	put(space, 10, 12, 2);
	assert_extent(vmt_space_next(space, 0), 4, 8, 1);
	assert_extent(vmt_space_next(space, at(8) - 1), 4, 8, 1);
	assert_extent(vmt_space_next(space, at(8)), 10, 12, 2);
	assert_null(vmt_space_next(space, at(12)));
	vmt_space_free(space);
}

static void
hole_in_the_middle_leaves_two(void **state)
{
	struct vmt_space *space = vmt_space_new();
	struct vmt_extents removed = {0};

	(void)state;
	put(space, 0, 10, 1);
	assert_int_equal(vmt_space_remove(space, at(3), at(5), &removed), 0);
	assert_int_equal(removed.count, 1);
	assert_extent(&removed.items[0], 3, 5, 1);
	assert_int_equal(vmt_space_count(space), 2);
	assert_extent(vmt_space_next(space, at(0)), 0, 3, 1);
	assert_extent(vmt_space_next(space, at(3)), 5, 10, 1);
	assert_true(vmt_space_check(space));
	put(space, 3, 5, 1);
	assert_int_equal(vmt_space_count(space), 1);
	assert_true(vmt_space_check(space));
	vmt_extents_clear(&removed);
	vmt_space_free(space);
}

static void
remove_spans_owners_and_gaps(void **state)
{
	struct vmt_space *space = vmt_space_new();
	struct vmt_extents removed = {0};

	(void)state;
	put(space, 0, 4, 1);
	put(space, 4, 6, 2);
	put(space, 8, 12, 3);
	assert_int_equal(vmt_space_remove(space, at(2), at(10), &removed), 0);
	assert_int_equal(removed.count, 3);
	assert_extent(&removed.items[0], 2, 4, 1);
	assert_extent(&removed.items[1], 4, 6, 2);
	assert_extent(&removed.items[2], 8, 10, 3);
	assert_int_equal(vmt_space_count(space), 2);
	assert_true(vmt_space_check(space));
	vmt_extents_clear(&removed);
	vmt_space_free(space);
}

static void
neighbours_of_other_calls_stay_apart(void **state)
{
	struct vmt_space *space = vmt_space_new();

	(void)state;
	put(space, 0, 4, 1);
	put(space, 4, 8, 8); /* the same site, another call */
	assert_int_equal(vmt_space_count(space), 2);
	assert_true(vmt_space_check(space));
	vmt_space_free(space);
}

static void
protection_splits_and_joins_again(void **state)
{
	struct vmt_space *space = vmt_space_new();

	(void)state;
	put(space, 0, 10, 1);
	assert_int_equal(vmt_space_protect(space, at(2), at(5), 0), 0);
	assert_int_equal(vmt_space_count(space), 3);
	assert_int_equal(vmt_space_next(space, at(2))->protection, 0);
	assert_int_equal(vmt_space_next(space, at(5))->protection, 3);
	assert_int_equal(vmt_space_protect(space, at(0), at(10), 3), 0);
	assert_int_equal(vmt_space_count(space), 1);
	for (uint64_t page = 0; page < 10; page++)
		assert_int_equal(vmt_space_protect(space, at(page), at(page + 1), 1), 0);
	assert_int_equal(vmt_space_count(space), 1);
	assert_true(vmt_space_check(space));
	vmt_space_free(space);
}

static void
look_changes_nothing(void **state)
{
	struct vmt_space *space = vmt_space_new();
	struct vmt_extents found = {0};

	(void)state;
	put(space, 0, 4, 1);
	put(space, 6, 8, 2);
	assert_int_equal(vmt_space_look(space, at(1), at(7), &found), 0);
	assert_int_equal(found.count, 2);
	assert_extent(&found.items[0], 1, 4, 1);
	assert_extent(&found.items[1], 6, 7, 2);
	assert_int_equal(vmt_space_count(space), 2);
	assert_extent(vmt_space_next(space, at(0)), 0, 4, 1);
	vmt_extents_clear(&found);
	vmt_space_free(space);
}

/* What a page is: call 0 = nothing there. */
struct page {
	uint64_t call;
	uint8_t protection;
};

static void
assert_same(const struct vmt_space *space, const struct page *pages)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		const struct vmt_extent *found = vmt_space_next(space, at(page));
		bool there = found && found->start <= at(page);

		assert_int_equal(there, pages[page].call != 0);
		if (!there)
			continue;
		assert_int_equal(found->call, pages[page].call);
		assert_int_equal(found->protection, pages[page].protection);
		assert_int_equal(found->site, (uint32_t)(pages[page].call % 7));
	}
	assert_true(vmt_space_check(space));
}

/* The fewest extents that can tell the pages' story. */
static size_t
runs_of(const struct page *pages)
{
	size_t runs = 0;

	for (uint64_t page = 0; page < PAGES; page++)
		if (pages[page].call &&
		    (page == 0 || memcmp(&pages[page], &pages[page - 1], sizeof(*pages)) != 0))
			runs++;
	return runs;
}

static void
remove_both(struct vmt_space *space, struct page *pages, uint64_t from, uint64_t to)
{
	struct vmt_extents removed = {0};
	uint64_t expected = 0;
	uint64_t found = 0;

	for (uint64_t page = from; page < to; page++) {
		expected += pages[page].call != 0;
		memset(&pages[page], 0, sizeof(*pages));
	}
	assert_int_equal(vmt_space_remove(space, at(from), at(to), &removed), 0);
	for (size_t i = 0; i < removed.count; i++)
		found += (removed.items[i].end - removed.items[i].start) / PAGE;
	assert_int_equal(found, expected);
	vmt_extents_clear(&removed);
}

static void
step(struct vmt_space *space, struct page *pages, uint64_t call)
{
	uint64_t from = (uint64_t)rand() % PAGES;
	uint64_t to = from + 1 + (uint64_t)rand() % 40;
	uint8_t protection = (uint8_t)(rand() % 3);

	to = to > PAGES ? PAGES : to;
	switch (rand() % 4) {
	case 0:
	case 1: /* mmap, MAP_FIXED */
		remove_both(space, pages, from, to);
		put(space, from, to, call);
		for (uint64_t page = from; page < to; page++) {
			pages[page].call = call;
			pages[page].protection = 3;
		}
		break;
	case 2:
		remove_both(space, pages, from, to);
		break;
	default:
		assert_int_equal(vmt_space_protect(space, at(from), at(to), protection), 0);
		for (uint64_t page = from; page < to; page++)
			pages[page].protection = pages[page].call ? protection : 0;
		break;
	}
}

static void
random_operations_equal_a_page_array(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++) {
		struct vmt_space *space = vmt_space_new();
		struct page pages[PAGES];

		memset(pages, 0, sizeof(pages));
		srand(seed);
		for (uint64_t call = 1; call <= 1500; call++) {
			step(space, pages, call);
			if (call % 10 == 0)
				assert_same(space, pages);
			assert_int_equal(vmt_space_count(space), runs_of(pages));
		}
		vmt_space_free(space);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_map_has_nothing),
	    cmocka_unit_test(next_is_the_first_that_ends_after),
	    cmocka_unit_test(hole_in_the_middle_leaves_two),
	    cmocka_unit_test(remove_spans_owners_and_gaps),
	    cmocka_unit_test(neighbours_of_other_calls_stay_apart),
	    cmocka_unit_test(protection_splits_and_joins_again),
	    cmocka_unit_test(look_changes_nothing),
	    cmocka_unit_test(random_operations_equal_a_page_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
