/* Why a Go program has more in RAM than before, or less. */
#include "tools/model/diff/diff_go.h"
#include "tools/model/diff/diff_live.h"
#include "tools/render/diff_headline_go.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB(n) ((uint64_t)(n) << 20)

static struct vmt_report a;
static struct vmt_report b;
static struct vmt_diff diff;

static int
fill(void **state)
{
	(void)state;
	memset(&a, 0, sizeof(a));
	a.go.figures.has_pace = true;
	a.go.figures.gc_percent = 100;
	a.go.figures.heap_goal_bytes = MIB(80);
	a.go.figures.scavenger_goal_bytes = VMT_FIGURE_UNKNOWN;
	a.go.figures.memory_limit_bytes = VMT_FIGURE_UNKNOWN;
	a.go.goroutines = 12;
	a.go.parts = (struct vmt_go_parts){
	    .is_known = true,
	    .bytes = {[VMT_GO_PART_OBJECTS] = MIB(40), [VMT_GO_PART_OUTSIDE] = MIB(10)},
	    .objects = {true, true, MIB(40), 0, 0},
	    .objects_reserved_bytes = MIB(40),
	};
	b = a;
	return 0;
}

static const char *
compare(enum vmt_diff_go_cause cause)
{
	static char text[2048];
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	diff = (struct vmt_diff){.a = &a, .b = &b};
	vmt_diff_go_compare(&diff.go, &a, &b, MIB(1));
	assert_int_equal(diff.go.cause, cause);
	text[0] = '\0';
	vmt_diff_headline_go_say(&sentence, &diff);
	return text;
}

static void
a_small_change_has_no_cause(void **state)
{
	(void)state;
	assert_string_equal(compare(VMT_DIFF_GO_UNKNOWN), "");
	b.go.parts.bytes[VMT_GO_PART_STACKS] = MIB(1);
	assert_string_equal(compare(VMT_DIFF_GO_UNKNOWN), "");
	assert_null(vmt_diff_go_cause_word(diff.go.cause));
	b.go.parts.is_known = false;
	b.go.parts.bytes[VMT_GO_PART_STACKS] = MIB(100);
	assert_string_equal(compare(VMT_DIFF_GO_UNKNOWN), "");
	assert_false(diff.go.is_known);
}

static void
objects_are_live_or_not(void **state)
{
	(void)state;
	b.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(100);
	b.go.parts.objects_reserved_bytes = MIB(100);
	b.go.parts.objects.live_bytes = MIB(95);
	b.go.parts.objects.since_bytes = MIB(5);
	assert_string_equal(compare(VMT_DIFF_GO_LIVE),
			    "Most of the change, +60 MiB, is objects, most of them live. What was "
			    "live at the last collection is 40 MiB in A and 95 MiB in B; newer "
			    "objects and garbage are about 0 B and 5 MiB.");
	b.go.parts.objects.live_bytes = MIB(40);
	b.go.parts.objects.since_bytes = MIB(20);
	b.go.parts.objects.unswept_bytes = MIB(40);
	b.go.figures.gc_percent = -1;
	assert_non_null(strstr(compare(VMT_DIFF_GO_GARBAGE),
			       "newer objects and garbage are about 0 B and 60 MiB. GOGC is 100 in "
			       "A (goal 80 MiB) and off in B."));
	/* Before the first collection nothing is known of what was there. */
	a.go.parts.objects = (struct vmt_go_objects){.is_known = true, .since_bytes = MIB(40)};
	assert_string_equal(compare(VMT_DIFF_GO_OBJECTS),
			    "Most of the change, +60 MiB, is objects, live or not.");
	a.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(1);
	a.go.parts.objects_reserved_bytes = MIB(1);
	a.go.parts.objects.since_bytes = MIB(1);
	assert_non_null(strstr(compare(VMT_DIFF_GO_GARBAGE),
			       "is not known (no collection had run) in A and 40 MiB in B"));
}

/* The same objects by Go's counts: pages of them were written to, or were taken. */
static void
objects_come_into_ram(void **state)
{
	(void)state;
	a.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(1);
	b.go.fresh_large_committed_bytes = MIB(39);
	assert_string_equal(
	    compare(VMT_DIFF_GO_TOUCHED),
	    "Most of the change, +39 MiB, is in objects of which Go counts about "
	    "as many (40 MiB in A, 40 MiB in B): more of them is in RAM. +39 MiB of that is in "
	    "large objects, whose pages came fresh from the kernel: Go had no need "
	    "to zero them.");
	b.go.fresh_large_committed_bytes = MIB(1);
	assert_null(strstr(compare(VMT_DIFF_GO_TOUCHED), "large objects"));
	b.go.reused_large_committed_bytes = MIB(39);
	assert_non_null(strstr(compare(VMT_DIFF_GO_TOUCHED),
			       "is in RAM. +39 MiB of that is in large objects, whose pages Go had "
			       "used before: it zeroes such pages at allocation (needzero)."));
	b.go.reused_large_committed_bytes = 0;
	a.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(40);
	b.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(1);
	assert_non_null(strstr(compare(VMT_DIFF_GO_TOUCHED), "less of them is in RAM."));
}

static void
other_parts_change(void **state)
{
	static const struct {
		enum vmt_go_part part;
		enum vmt_diff_go_cause cause;
		const char *up;
		const char *down;
	} all[] = {
	    {VMT_GO_PART_FREE_SLOTS, VMT_DIFF_GO_FREE_SLOTS, "+20 MiB, is free slots: room in",
	     "-20 MiB, is free slots."},
	    {VMT_GO_PART_STACKS, VMT_DIFF_GO_STACKS,
	     "is stacks of goroutines. A has 12 goroutines, B 50,012.",
	     "is stacks of goroutines. A has 50,012 goroutines, B 12."},
	    {VMT_GO_PART_IDLE, VMT_DIFF_GO_IDLE, "is pages of Go's heap that are free and not",
	     "is free pages of Go's heap."},
	    {VMT_GO_PART_RELEASED, VMT_DIFF_GO_RELEASED,
	     "is pages of Go's heap that it has released", "is released pages of Go's heap."},
	    {VMT_GO_PART_METADATA, VMT_DIFF_GO_METADATA, "is what Go's runtime needs for itself.",
	     "is what Go's runtime needs for itself."},
	    {VMT_GO_PART_MALLOC, VMT_DIFF_GO_MALLOC, "is C's malloc: neither", "is C's malloc."},
	    {VMT_GO_PART_OUTSIDE, VMT_DIFF_GO_OUTSIDE, "is not Go's: neither", "is not Go's."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct vmt_report kept;
		const char *text;

		fill(NULL);
		b.go.goroutines = 50012;
		b.go.parts.bytes[all[i].part] += MIB(20);
		text = compare(all[i].cause);
		if (!strstr(text, all[i].up))
			fail_msg("no \"%s\" in: %s", all[i].up, text);
		assert_non_null(vmt_diff_go_cause_word(all[i].cause));
		kept = a;
		a = b;
		b = kept;
		assert_non_null(strstr(compare(all[i].cause), all[i].down));
	}
}

/* Counts that differ are no "about as many", nor do they explain what is in RAM. */
static void
counts_against_ram_are_both_said(void **state)
{
	(void)state;
	a.go.parts.objects_reserved_bytes = MIB(200);
	b.go.parts.objects_reserved_bytes = MIB(71);
	b.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(70);
	assert_string_equal(compare(VMT_DIFF_GO_OBJECTS),
			    "Most of the change, +30 MiB, is in objects. Go counts 200 MiB in A "
			    "and 71 MiB in B; more of them is in RAM.");
	b.go.parts.objects_reserved_bytes = MIB(180);
	compare(VMT_DIFF_GO_TOUCHED);
}

/* What came into RAM may be the smaller sort. */
static void
untouched_objects_are_not_split(void **state)
{
	(void)state;
	b.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(100);
	b.go.parts.objects_reserved_bytes = MIB(240);
	b.go.parts.objects.live_bytes = MIB(180);
	b.go.parts.objects.since_bytes = MIB(60);
	assert_string_equal(compare(VMT_DIFF_GO_OBJECTS),
			    "Most of the change, +60 MiB, is objects, live or not.");
	b.go.parts.objects.live_bytes = MIB(240);
	b.go.parts.objects.since_bytes = 0;
	compare(VMT_DIFF_GO_LIVE);
}

/* A part may change by more than the whole. */
static void
a_part_against_the_change_is_named(void **state)
{
	(void)state;
	b.go.parts.bytes[VMT_GO_PART_FREE_SLOTS] = MIB(60);
	a.go.parts.bytes[VMT_GO_PART_STACKS] = MIB(40);
	a.go.parts.bytes[VMT_GO_PART_METADATA] = MIB(5);
	assert_non_null(strstr(compare(VMT_DIFF_GO_FREE_SLOTS),
			       "The largest part of the change, +60 MiB, with -40 MiB of goroutine "
			       "stacks against it, is free slots: room in"));
}

static void
ended_goroutines_are_none(void **state)
{
	struct vmt_go_creator rows = {.has_ended = true, .goroutines = 50000};

	(void)state;
	b.go.goroutines = 50012;
	b.go.creators = &rows;
	b.go.creator_count = 1;
	b.go.parts.bytes[VMT_GO_PART_STACKS] = MIB(60);
	assert_non_null(strstr(compare(VMT_DIFF_GO_STACKS), "A has 12 goroutines, B 12."));
}

static void
a_goal_below_a_limit_may_be_less(void **state)
{
	(void)state;
	b.go.parts.bytes[VMT_GO_PART_OBJECTS] = MIB(100);
	b.go.parts.objects_reserved_bytes = MIB(100);
	b.go.parts.objects.since_bytes = MIB(60);
	b.go.figures.memory_limit_bytes = MIB(70);
	assert_non_null(strstr(compare(VMT_DIFF_GO_GARBAGE),
			       "GOGC is 100 in A (goal 80 MiB) and 100 in B (goal 80 MiB, or less "
			       "because of the memory limit)."));
}

/* Neither scaled nor whole: they are no figures to compare. */
static void
live_objects_without_a_rate_are_not_compared(void **state)
{
	static char version[] = "go1.24.4";
	struct vmt_diff *whole = calloc(1, sizeof(*whole));

	(void)state;
	assert_non_null(whole);
	whole->a = &a;
	whole->b = &b;
	a.go.version = b.go.version = version;
	a.go.profile_rate_bytes = 512 << 10;
	assert_int_equal(vmt_diff_live_build(whole), 0);
	assert_null(whole->live);
	b.go.profile_rate_bytes = 512 << 10;
	assert_int_equal(vmt_diff_live_build(whole), 0);
	assert_non_null(whole->live);
	vmt_diff_free(whole);
}

/* Where one side does not know the runtime's own memory, it is in another part there. */
static void
what_is_known_otherwise_is_not_compared(void **state)
{
	(void)state;
	b.go.is_partial = true;
	b.go.parts.bytes[VMT_GO_PART_OUTSIDE] = MIB(60);
	assert_string_equal(compare(VMT_DIFF_GO_UNKNOWN), "");
	b.go.parts.bytes[VMT_GO_PART_STACKS] = MIB(40);
	assert_non_null(strstr(compare(VMT_DIFF_GO_STACKS), "The largest part of the change, +40"));
	a.go.is_partial = true;
	compare(VMT_DIFF_GO_OUTSIDE);
	/* Many small ones are none. */
	fill(NULL);
	for (int part = 0; part < VMT_GO_PARTS; part++)
		b.go.parts.bytes[part] += MIB(10);
	assert_string_equal(compare(VMT_DIFF_GO_UNKNOWN), "");
}

static uint64_t
large_error(uint64_t rate_a, uint64_t rate_b, uint64_t objects, uint64_t bytes)
{
	static char version[] = "go1.26.1", function[] = "main.grow", file[] = "main.go";
	struct vmt_frame frame = {.function = function, .file = file, .line = 7};
	struct vmt_go_large row = {.objects = objects,
				   .reserved_bytes = bytes,
				   .committed_bytes = bytes,
				   .stack = {.frames = &frame, .count = 1}};
	struct vmt_diff *whole = calloc(1, sizeof(*whole));
	uint64_t error_bytes;

	assert_non_null(whole);
	whole->a = &a;
	whole->b = &b;
	a.go.version = b.go.version = version;
	a.go.has_large = b.go.has_large = true;
	a.go.profile_rate_bytes = rate_a;
	b.go.profile_rate_bytes = rate_b;
	b.go.large = &row;
	b.go.large_count = 1;
	assert_int_equal(vmt_diff_live_build(whole), 0);
	assert_int_equal(whole->large->site_count, 1);
	error_bytes = whole->large->sites[0].error_bytes;
	vmt_diff_free(whole);
	return error_bytes;
}

/* A line that one rate has samples of, and the other has not, need not be new. */
static void
another_rate_makes_no_new_line(void **state)
{
	(void)state;
	assert_in_range(large_error(512 << 10, 1, 2, 240 << 10), 240 << 10, MIB(1));
	assert_in_range(large_error(UINT64_C(1) << 40, 1, 2, MIB(100)), MIB(100), MIB(150));
	assert_int_equal(large_error(1, 1, 2, 240 << 10), 0);
	/* Of objects of many times the rate none is missed. */
	assert_in_range(large_error(512 << 10, 1, 4, MIB(64)), 0, 64);
	assert_in_range(large_error(512 << 10, 512 << 10, 1, 120 << 10), 250 << 10, 350 << 10);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_small_change_has_no_cause, fill),
	    cmocka_unit_test_setup(objects_are_live_or_not, fill),
	    cmocka_unit_test_setup(objects_come_into_ram, fill),
	    cmocka_unit_test_setup(counts_against_ram_are_both_said, fill),
	    cmocka_unit_test_setup(untouched_objects_are_not_split, fill),
	    cmocka_unit_test_setup(a_part_against_the_change_is_named, fill),
	    cmocka_unit_test_setup(ended_goroutines_are_none, fill),
	    cmocka_unit_test_setup(a_goal_below_a_limit_may_be_less, fill),
	    cmocka_unit_test_setup(live_objects_without_a_rate_are_not_compared, fill),
	    cmocka_unit_test_setup(another_rate_makes_no_new_line, fill),
	    cmocka_unit_test_setup(other_parts_change, fill),
	    cmocka_unit_test_setup(what_is_known_otherwise_is_not_compared, fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
