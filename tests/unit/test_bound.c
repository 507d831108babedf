/*
 * test_bound.c: does a trace stay within its size, whatever comes?
 */
#include "collect/bound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FIXED_BYTES (UINT64_C(3) << 20)
#define MAX_BYTES (UINT64_C(64) << 20)
#define ROOM_BYTES (MAX_BYTES - FIXED_BYTES)
#define SECOND UINT64_C(1000000000)

static const struct vmt_head layout = {.chunks_offset = FIXED_BYTES, .malloc_mode = VMT_MALLOC_ALL};
static const struct vmt_chunk heap = {.kind = VMT_CHUNK_EVENTS, .ring = VMT_RING_HEAP};
static const struct vmt_chunk map = {.kind = VMT_CHUNK_EVENTS, .ring = VMT_RING_MAP};
static const struct vmt_chunk snapshot = {.kind = VMT_CHUNK_SNAPSHOT};
static const struct vmt_chunk touch = {.kind = VMT_CHUNK_TOUCH, .events = 1};
static const struct vmt_chunk touch_count = {.kind = VMT_CHUNK_TOUCH};
static const struct vmt_chunk end = {.kind = VMT_CHUNK_END};

static struct vmt_bound
begun(void)
{
	struct vmt_bound bound;

	vmt_bound_begin(&bound, MAX_BYTES, &layout, SECOND);
	return bound;
}

static void
the_shares_are_all_there_is(void **state)
{
	struct vmt_bound bound = begun();

	(void)state;
	assert_int_equal(bound.end_bytes, MAX_BYTES);
	assert_int_equal(bound.most[VMT_BOUND_HEAP] + bound.most[VMT_BOUND_MAP] +
			     bound.most[VMT_BOUND_OTHERS],
			 ROOM_BYTES);
	assert_int_equal(bound.most[VMT_BOUND_HEAP], ROOM_BYTES / 2);
}

static void
a_small_bound_leaves_room_behind_the_regions(void **state)
{
	struct vmt_bound bound;

	(void)state;
	vmt_bound_begin(&bound, FIXED_BYTES / 2, &layout, SECOND);
	assert_int_equal(bound.end_bytes, FIXED_BYTES + VMT_BOUND_LEAST_BYTES);
}

/* And leave the rest to snapshots; what says how many were lost goes on. */
static void
page_faults_have_a_quarter_of_the_others_share(void **state)
{
	struct vmt_bound bound = begun();
	uint64_t quarter = bound.most[VMT_BOUND_OTHERS] / 4;
	uint64_t at = FIXED_BYTES;

	(void)state;
	while (vmt_bound_check(&bound, &touch, 4096, at) == 0) {
		vmt_bound_note(&bound, &touch, 4096);
		at += 4096;
	}
	assert_int_equal(vmt_bound_check(&bound, &touch, 4096, at), -EFBIG);
	assert_true(at - FIXED_BYTES <= quarter && at - FIXED_BYTES + 4096 > quarter);
	assert_int_equal(vmt_bound_check(&bound, &touch_count, 144, at), 0);
	assert_int_equal(vmt_bound_check(&bound, &snapshot, quarter, at), 0);
	assert_int_equal(vmt_bound_check(&bound, &map, quarter, at), 0);
}

static void
without_a_bound_everything_goes(void **state)
{
	struct vmt_bound bound;

	(void)state;
	vmt_bound_begin(&bound, 0, &layout, SECOND);
	vmt_bound_note(&bound, &map, UINT64_C(1) << 50);
	assert_int_equal(vmt_bound_check(&bound, &map, 1 << 20, UINT64_C(1) << 50), 0);
	assert_int_equal(vmt_bound_level(&bound), 0);
	assert_false(vmt_bound_is_spent(&bound));
	assert_false(vmt_bound_is_scarce(&bound));
}

/* A program that allocates for ever: each batch brings as many bytes as its level lets through. The
 * share is never passed, and each doubling of all events costs as much as the one before. */
static void
the_heap_is_thinned_as_it_goes_on(void **state)
{
	const uint64_t batch = 64 << 10;
	struct vmt_bound bound = begun();
	uint64_t begun_at[VMT_THIN_LEVELS] = {0};
	uint32_t last = 0;

	(void)state;
	for (uint64_t i = 1; i < 4000000; i++) {
		uint32_t level = vmt_bound_level(&bound);

		assert_true(level >= last);
		if (level != last)
			begun_at[level] = i;
		last = level;
		vmt_bound_note(&bound, &heap, batch >> level);
	}
	assert_in_range(last, 14, 20);
	for (uint32_t level = 3; level <= 12; level++)
		assert_in_range(begun_at[level] * 100 / begun_at[level - 1], 180, 220);
	assert_true(bound.used[VMT_BOUND_HEAP] <= bound.most[VMT_BOUND_HEAP]);
	vmt_bound_note(&bound, &heap, bound.most[VMT_BOUND_HEAP] - bound.used[VMT_BOUND_HEAP]);
	assert_int_equal(vmt_bound_level(&bound), VMT_THIN_LEVELS - 1);
	assert_false(vmt_bound_is_spent(&bound));
}

static void
releases_of_large_blocks_count_as_the_heaps(void **state)
{
	struct vmt_bound bound = begun();

	(void)state;
	vmt_bound_note(&bound, &map, 1000);
	vmt_bound_move(&bound, 400);
	assert_int_equal(bound.used[VMT_BOUND_MAP], 600);
	assert_int_equal(bound.used[VMT_BOUND_HEAP], 400);
	vmt_bound_move(&bound, 1000);
	assert_int_equal(bound.used[VMT_BOUND_MAP], 0);
}

static void
the_map_family_ends_before_its_share_does(void **state)
{
	struct vmt_bound bound = begun();

	(void)state;
	while (!vmt_bound_is_spent(&bound))
		vmt_bound_note(&bound, &map, 4096);
	assert_true(bound.used[VMT_BOUND_MAP] < bound.most[VMT_BOUND_MAP]);
	assert_int_equal(vmt_bound_check(&bound, &snapshot, 4096, MAX_BYTES / 2), 0);
}

static void
nothing_passes_the_end_but_how_it_ended(void **state)
{
	struct vmt_bound bound = begun();

	(void)state;
	assert_int_equal(vmt_bound_check(&bound, &map, 4096, MAX_BYTES - 4096), -EFBIG);
	assert_int_equal(vmt_bound_check(&bound, &heap, 4096, MAX_BYTES - 4096), -EFBIG);
	assert_int_equal(vmt_bound_check(&bound, &end, 120, MAX_BYTES - 120), 0);
}

static void
the_last_of_the_others_share_is_for_readings(void **state)
{
	const struct vmt_chunk usage = {.kind = VMT_CHUNK_USAGE,
					.raw_bytes = sizeof(struct vmt_usage)};
	struct vmt_bound bound = begun();
	uint64_t kept = bound.most[VMT_BOUND_OTHERS] / 16;

	(void)state;
	vmt_bound_note(&bound, &snapshot, bound.most[VMT_BOUND_OTHERS] - kept - 4096);
	assert_int_equal(vmt_bound_check(&bound, &snapshot, 4096, MAX_BYTES / 2), 0);
	assert_int_equal(vmt_bound_check(&bound, &snapshot, 4097, MAX_BYTES / 2), -EFBIG);
	assert_true(vmt_bound_is_scarce(&bound));
	assert_int_equal(vmt_bound_check(&bound, &usage, kept + 4096, MAX_BYTES / 2), 0);
	assert_int_equal(vmt_bound_check(&bound, &usage, kept + 4097, MAX_BYTES / 2), -EFBIG);
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Readings every 10 ms, for 10,000 times as long as they fill a half of the share in. */
static void
readings_go_on_for_ever(void **state)
{
	const struct vmt_chunk usage = {.kind = VMT_CHUNK_USAGE,
					.raw_bytes = sizeof(struct vmt_usage)};
	struct vmt_bound bound = begun();
	uint64_t now_ns = SECOND;
	uint64_t half_ns = 0;

	(void)state;
	while (half_ns == 0 || now_ns < 10000 * half_ns) {
		uint64_t bytes = sizeof(usage) + usage.raw_bytes;
		uint64_t apart_ns = vmt_bound_distance_ns(&bound, bound.usage_part, now_ns);

		assert_int_equal(vmt_bound_check(&bound, &usage, bytes, MAX_BYTES / 2), 0);
		vmt_bound_note(&bound, &usage, bytes);
		if (half_ns == 0 && bound.usage_part)
			half_ns = now_ns;
		now_ns += larger(SECOND / 100, apart_ns);
	}
	assert_true(bound.used[VMT_BOUND_OTHERS] > bound.most[VMT_BOUND_OTHERS] / 2);
	assert_false(vmt_bound_is_scarce(&bound));
}

/* The file system has a size, and the kept part of it is small. */
static void
a_disk_with_room_is_no_matter(void **state)
{
	char path[] = "/tmp/vmt-bound-XXXXXX";
	struct vmt_bound bound = begun();
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	bound.lacks_space = true;
	vmt_bound_look(&bound, fd, SECOND);
	assert_false(bound.lacks_space);
	bound.lacks_space = true;
	assert_int_equal(vmt_bound_check(&bound, &map, 100, FIXED_BYTES), -ENOSPC);
	assert_int_equal(vmt_bound_check(&bound, &end, 120, FIXED_BYTES), 0);
	vmt_bound_look(&bound, fd, SECOND + SECOND / 100); /* too soon */
	assert_true(bound.lacks_space);
	vmt_bound_finish(&bound);
	assert_int_equal(vmt_bound_check(&bound, &map, 100, FIXED_BYTES), 0);
	bound.lacks_space = true;
	vmt_bound_look(&bound, fd, 100 * SECOND);
	assert_true(bound.lacks_space); /* not asked for any more */
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_shares_are_all_there_is),
	    cmocka_unit_test(a_small_bound_leaves_room_behind_the_regions),
	    cmocka_unit_test(page_faults_have_a_quarter_of_the_others_share),
	    cmocka_unit_test(without_a_bound_everything_goes),
	    cmocka_unit_test(the_heap_is_thinned_as_it_goes_on),
	    cmocka_unit_test(releases_of_large_blocks_count_as_the_heaps),
	    cmocka_unit_test(the_map_family_ends_before_its_share_does),
	    cmocka_unit_test(nothing_passes_the_end_but_how_it_ended),
	    cmocka_unit_test(the_last_of_the_others_share_is_for_readings),
	    cmocka_unit_test(readings_go_on_for_ever),
	    cmocka_unit_test(a_disk_with_room_is_no_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
