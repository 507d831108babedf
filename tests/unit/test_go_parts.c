/* What the RSS of a Go program is made of, and what most of it is. */
#include "tools/model/go/go_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB(n) ((uint64_t)(n) << 20)

static struct vmt_amounts classes[VMT_CLASSES];
static struct vmt_go_figures figures;

static void
set(enum vmt_class_id class, uint64_t reserved, uint64_t committed)
{
	classes[class].bytes[VMT_AMOUNT_RESERVED] = MIB(reserved);
	classes[class].bytes[VMT_AMOUNT_COMMITTED] = MIB(committed);
}

/* 100 MiB of objects in RAM and 10 MiB of all else but the file; live as they are told to be. */
static int
fill(void **state)
{
	(void)state;
	memset(classes, 0, sizeof(classes));
	set(VMT_CLASS_GO_LARGE, 60, 60);
	set(VMT_CLASS_GO_SMALL, 40, 40);
	set(VMT_CLASS_PROGRAM, 50, 10);
	figures = (struct vmt_go_figures){
	    .has_pace = true,
	    .gc_percent = 100,
	    .heap_goal_bytes = MIB(200),
	    .heap_live_bytes = MIB(100),
	    .heap_marked_bytes = MIB(100),
	};
	return 0;
}

static void
expect(enum vmt_go_cause cause, uint64_t bytes)
{
	struct vmt_go_parts parts;

	vmt_go_parts_take(&parts, classes, &figures);
	assert_true(parts.is_known);
	assert_int_equal(parts.cause, cause);
	assert_int_equal(parts.cause_bytes, bytes);
}

/* Each class is in one part, and none is left out. */
static void
the_parts_are_all_of_rss(void **state)
{
	struct vmt_go_parts parts;
	uint64_t sum = 0;
	uint64_t all = 0;

	(void)state;
	for (int i = 0; i < VMT_CLASSES; i++) {
		set((enum vmt_class_id)i, 2000, 1 + (uint64_t)i * 7);
		all += MIB(1 + (uint64_t)i * 7);
	}
	vmt_go_parts_take(&parts, classes, &figures);
	for (int part = 0; part < VMT_GO_PARTS; part++)
		sum += parts.bytes[part];
	assert_int_equal(sum, all);
	assert_int_equal(parts.bytes[VMT_GO_PART_STACKS],
			 classes[VMT_CLASS_GO_STACKS].bytes[VMT_AMOUNT_COMMITTED]);
	assert_int_equal(parts.bytes[VMT_GO_PART_IDLE],
			 classes[VMT_CLASS_GO_FREE].bytes[VMT_AMOUNT_COMMITTED]);
	assert_int_equal(parts.bytes[VMT_GO_PART_RELEASED],
			 classes[VMT_CLASS_GO_RELEASED].bytes[VMT_AMOUNT_COMMITTED]);
}

static void
objects_are_live_or_not(void **state)
{
	struct vmt_go_parts parts;

	(void)state;
	expect(VMT_GO_CAUSE_LIVE, MIB(100));
	figures.heap_marked_bytes = MIB(25);
	expect(VMT_GO_CAUSE_GARBAGE, MIB(75));
	/* What the last collection found to be garbage is so, though it is not swept. */
	figures.heap_live_bytes = MIB(40);
	vmt_go_parts_take(&parts, classes, &figures);
	assert_int_equal(parts.objects.live_bytes, MIB(25));
	assert_int_equal(parts.objects.since_bytes, MIB(15));
	assert_int_equal(parts.objects.unswept_bytes, MIB(60));
	expect(VMT_GO_CAUSE_GARBAGE, MIB(75));
	/* No collection has run: nothing is known to be live. */
	figures.heap_marked_bytes = 0;
	figures.heap_live_bytes = MIB(100);
	vmt_go_parts_take(&parts, classes, &figures);
	assert_false(parts.objects.is_collected);
	expect(VMT_GO_CAUSE_GARBAGE, MIB(100));
}

/* The counts are off by what caches hold. */
static void
a_small_difference_is_none(void **state)
{
	struct vmt_go_parts parts;

	(void)state;
	figures.heap_live_bytes = MIB(105);
	vmt_go_parts_take(&parts, classes, &figures);
	assert_int_equal(parts.objects.since_bytes, 0);
	figures.heap_live_bytes = MIB(95);
	figures.heap_marked_bytes = MIB(95);
	vmt_go_parts_take(&parts, classes, &figures);
	assert_int_equal(parts.objects.unswept_bytes, 0);
	expect(VMT_GO_CAUSE_LIVE, MIB(100));
}

static void
another_part_may_be_the_largest(void **state)
{
	static const struct {
		enum vmt_class_id class;
		enum vmt_go_cause cause;
	} all[] = {
	    {VMT_CLASS_GO_FREE_SLOTS, VMT_GO_CAUSE_FREE_SLOTS},
	    {VMT_CLASS_GO_STACKS, VMT_GO_CAUSE_STACKS},
	    {VMT_CLASS_GO_FREE, VMT_GO_CAUSE_IDLE},
	    {VMT_CLASS_GO_RELEASED, VMT_GO_CAUSE_RELEASED},
	    {VMT_CLASS_GO_METADATA, VMT_GO_CAUSE_METADATA},
	    {VMT_CLASS_MALLOC_LIVE, VMT_GO_CAUSE_MALLOC},
	    {VMT_CLASS_MMAP, VMT_GO_CAUSE_OUTSIDE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		fill(NULL);
		set(all[i].class, 200, 101);
		expect(all[i].cause, MIB(101) + (all[i].class == VMT_CLASS_MMAP ? MIB(10) : 0));
		set(all[i].class, 200, 89);
		expect(VMT_GO_CAUSE_LIVE, MIB(100));
	}
	/* Objects are most of it, whichever half of them is. */
	fill(NULL);
	figures.heap_marked_bytes = MIB(55);
	set(VMT_CLASS_GO_STACKS, 80, 80);
	expect(VMT_GO_CAUSE_LIVE, MIB(55));
}

/* Counts do not tell which of the objects are in RAM: the live ones may be those that are not. */
static void
untouched_objects_are_not_split(void **state)
{
	(void)state;
	set(VMT_CLASS_GO_LARGE, 260, 60); /* 300 MiB of objects, 100 of them in RAM */
	figures.heap_live_bytes = MIB(300);
	figures.heap_marked_bytes = MIB(200);
	expect(VMT_GO_CAUSE_OBJECTS, MIB(100));
	assert_string_equal(vmt_go_parts_cause_name(VMT_GO_CAUSE_OBJECTS), "objects");
	figures.heap_marked_bytes = MIB(20);
	expect(VMT_GO_CAUSE_OBJECTS, MIB(100));
	/* All of one sort. */
	figures.heap_marked_bytes = MIB(300);
	expect(VMT_GO_CAUSE_LIVE, MIB(100));
	figures.heap_marked_bytes = 0;
	expect(VMT_GO_CAUSE_GARBAGE, MIB(100));
	/* Nearly all is in RAM. */
	set(VMT_CLASS_GO_LARGE, 260, 200);
	figures.heap_marked_bytes = MIB(200);
	expect(VMT_GO_CAUSE_LIVE, MIB(160));
}

/* A cache's span counts as full: no more can be new than there are objects. */
static void
no_more_is_new_than_there_is(void **state)
{
	struct vmt_go_parts parts;

	(void)state;
	figures.heap_marked_bytes = MIB(70);
	figures.heap_live_bytes = MIB(300);
	vmt_go_parts_take(&parts, classes, &figures);
	assert_int_equal(parts.objects.since_bytes, MIB(30));
	figures.heap_marked_bytes = MIB(120);
	vmt_go_parts_take(&parts, classes, &figures);
	assert_int_equal(parts.objects.since_bytes, 0);
}

/* Where the runtime's counts are unknown, so is what of the objects is live. */
static void
nothing_is_made_up(void **state)
{
	struct vmt_go_parts parts;

	(void)state;
	vmt_go_parts_take(&parts, classes, NULL);
	assert_true(parts.is_known);
	assert_false(parts.objects.is_known);
	assert_int_equal(parts.cause, VMT_GO_CAUSE_UNKNOWN);
	assert_null(vmt_go_parts_cause_name(parts.cause));
	figures.has_pace = false;
	expect(VMT_GO_CAUSE_UNKNOWN, 0);
	set(VMT_CLASS_GO_STACKS, 200, 200);
	expect(VMT_GO_CAUSE_STACKS, MIB(200));
	/* Counts that no runtime has break no sum. */
	fill(NULL);
	figures.heap_live_bytes = UINT64_MAX;
	figures.heap_marked_bytes = UINT64_MAX - 5;
	vmt_go_parts_take(&parts, classes, &figures);
	assert_true(parts.cause_bytes <= MIB(100));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_parts_are_all_of_rss, fill),
	    cmocka_unit_test_setup(objects_are_live_or_not, fill),
	    cmocka_unit_test_setup(a_small_difference_is_none, fill),
	    cmocka_unit_test_setup(another_part_may_be_the_largest, fill),
	    cmocka_unit_test_setup(untouched_objects_are_not_split, fill),
	    cmocka_unit_test_setup(no_more_is_new_than_there_is, fill),
	    cmocka_unit_test_setup(nothing_is_made_up, fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
