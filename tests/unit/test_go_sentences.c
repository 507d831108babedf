/* What a report says of a Go program's memory, in sentences. */
#include "tools/render/go_sentences.h"

#include "format/chunk.h"
#include "tools/render/go_cause.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB(n) ((uint64_t)(n) << 20)

static char version[] = "go1.24.4";
static struct vmt_report report;

/* RSS of 300 MiB: 200 MiB of objects, 100 MiB of them live, 40 MiB that is not Go's. */
static int
fill(void **state)
{
	(void)state;
	report = (struct vmt_report){.snapshot = {.rss_bytes = MIB(300)}};
	report.snapshot.lazyfree_bytes = VMT_FIGURE_UNKNOWN;
	report.cgroup.limit_bytes = VMT_FIGURE_UNKNOWN;
	report.cgroup.is_read = true;
	report.go.version = version;
	report.go.go_bytes = MIB(260);
	report.go.neither_bytes = MIB(40);
	report.go.figures = (struct vmt_go_figures){
	    .heap_in_use_bytes = MIB(220),
	    .heap_idle_bytes = MIB(40),
	    .heap_released_bytes = MIB(20),
	    .stacks_bytes = MIB(10),
	    .metadata_bytes = MIB(10),
	    .total_bytes = MIB(280),
	    .memory_limit_bytes = VMT_FIGURE_UNKNOWN,
	    .has_pace = true,
	    .gc_percent = 100,
	    .heap_goal_bytes = MIB(220),
	    .heap_live_bytes = MIB(150),
	    .heap_marked_bytes = MIB(100),
	    .scavenger_goal_bytes = MIB(230),
	};
	report.go.parts = (struct vmt_go_parts){
	    .is_known = true,
	    .bytes = {[VMT_GO_PART_OBJECTS] = MIB(200),
		      [VMT_GO_PART_FREE_SLOTS] = MIB(20),
		      [VMT_GO_PART_STACKS] = MIB(10),
		      [VMT_GO_PART_IDLE] = MIB(20),
		      [VMT_GO_PART_METADATA] = MIB(9),
		      [VMT_GO_PART_MALLOC] = MIB(1),
		      [VMT_GO_PART_OUTSIDE] = MIB(40)},
	    .objects = {true, true, MIB(100), MIB(50), MIB(50)},
	    .objects_reserved_bytes = MIB(200),
	    .cause = VMT_GO_CAUSE_LIVE,
	    .cause_bytes = MIB(100),
	};
	return 0;
}

static const char *
written(void (*say)(struct vmt_sentence *sentence, const struct vmt_report *of))
{
	static char text[4096];
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	text[0] = '\0';
	say(&sentence, &report);
	return text;
}

static void
causes_are_said(void **state)
{
	struct vmt_go_size sizes[] = {
	    {.object_bytes = MIB(90), .reserved_bytes = MIB(90)},
	    {.slot_bytes = 64, .object_bytes = MIB(5), .reserved_bytes = MIB(6)},
	    {.slot_bytes = 112, .object_bytes = MIB(5), .reserved_bytes = MIB(20)},
	};

	(void)state;
	assert_string_equal(written(vmt_go_cause_say),
			    "The largest part of RSS, about 100 MiB, is objects that were live at "
			    "the last collection. About 50 MiB was allocated since, live or "
			    "garbage. About 50 MiB is garbage by that collection, whose room is "
			    "not yet free.");
	report.go.parts.cause = VMT_GO_CAUSE_GARBAGE;
	report.go.parts.objects.unswept_bytes = 0;
	report.go.parts.cause_bytes = MIB(160);
	assert_string_equal(written(vmt_go_cause_say),
			    "Most of RSS, about 160 MiB, is objects that were not live at the last "
			    "collection: 100 MiB was. About 50 MiB was allocated since, live or "
			    "garbage. GOGC is 100, so the heap may grow to 220 MiB before the next "
			    "one.");
	report.go.parts.objects.is_collected = false;
	assert_string_equal(written(vmt_go_cause_say),
			    "Most of RSS, about 160 MiB, is objects, and no collection has run "
			    "that would tell which of them are live.");
	report.go.parts.cause = VMT_GO_CAUSE_FREE_SLOTS;
	report.go.sizes = sizes;
	report.go.size_count = 3;
	assert_non_null(strstr(written(vmt_go_cause_say),
			       "The most is in spans of 112-byte objects: 15 MiB free of 20 MiB, "
			       "25 % in use."));
	report.go.parts.cause = VMT_GO_CAUSE_MALLOC;
	assert_non_null(strstr(written(vmt_go_cause_say),
			       "is C's malloc: neither GOGC nor GOMEMLIMIT bounds it."));
	report.go.parts.cause = VMT_GO_CAUSE_METADATA;
	assert_non_null(
	    strstr(written(vmt_go_cause_say), "is what Go's runtime needs for itself."));
}

static struct vmt_advice advice = {.advice = "MADV_DONTNEED", .cause = "the scavenger"};

static void
objects_of_which_a_part_is_in_ram_are_not_split(void **state)
{
	(void)state;
	report.go.parts.cause = VMT_GO_CAUSE_OBJECTS;
	report.go.parts.cause_bytes = MIB(200);
	report.go.parts.objects_reserved_bytes = MIB(500);
	assert_string_equal(written(vmt_go_cause_say),
			    "Most of RSS, 200 MiB, is objects; how many of those in RAM are "
			    "live is not known. Of 500 MiB that Go counts as objects, 300 MiB is "
			    "not in RAM.");
}

/* What the kernel may take already, the runtime does not give back again. */
static void
released_pages_are_no_idle_ones(void **state)
{
	(void)state;
	report.go.parts.cause = VMT_GO_CAUSE_RELEASED;
	report.go.parts.cause_bytes = MIB(200);
	assert_string_equal(written(vmt_go_cause_say),
			    "Most of RSS, 200 MiB, is pages of Go's heap that it has released, and "
			    "the kernel has not taken.");
	report.snapshot.lazyfree_bytes = MIB(200);
	assert_non_null(strstr(written(vmt_go_cause_say),
			       "With GODEBUG=madvdontneed=0 the kernel takes them when it needs"));
	report.go.parts.bytes[VMT_GO_PART_RELEASED] = MIB(200);
	assert_non_null(
	    strstr(written(vmt_go_sentences_give_back), "about 20 MiB that is free and in RAM,"));
	assert_non_null(strstr(written(vmt_go_sentences_above), "200 MiB of released pages"));
}

/* A line of the memory profile, and the class of what is not Go's. */
static void
owners_are_named(void **state)
{
	static char function[] = "main.(*cache).add";
	static char file[] = "/src/cache.go";
	struct vmt_frame frame = {.function = function, .file = file, .line = 88};
	struct vmt_go_live live = {.stack = {&frame, 1}, .bytes = MIB(60)};
	struct vmt_class classes[] = {
	    {.name = "Go stacks", .committed_bytes = MIB(200)},
	    {.name = "program and libraries", .committed_bytes = MIB(31)},
	    {.name = "mmap", .committed_bytes = MIB(9)},
	};

	(void)state;
	report.go.live = &live;
	report.go.live_count = 1;
	report.go.profile_rate_bytes = 512 << 10;
	assert_non_null(strstr(written(vmt_go_cause_say),
			       "By Go's memory profile the most, about 60 MiB, is of "
			       "main.(*cache).add cache.go:88. About 50 MiB was allocated since"));
	live.bytes = MIB(12);
	assert_null(strstr(written(vmt_go_cause_say), "profile"));
	report.go.parts.cause = VMT_GO_CAUSE_OUTSIDE;
	report.classes = classes;
	report.class_count = 3;
	assert_non_null(
	    strstr(written(vmt_go_cause_say),
		   "is not Go's: neither GOGC nor GOMEMLIMIT bounds it. The most of it, "
		   "31 MiB, is in class program and libraries."));
	report.go.is_partial = true;
	assert_non_null(strstr(written(vmt_go_cause_say),
			       "is not known to be Go's. The most of it, 31 MiB, is in"));
}

/* Its rate was changed on the way, or it was switched off. */
static void
a_profile_far_from_what_is_live_names_no_line(void **state)
{
	static char function[] = "main.add";
	struct vmt_frame frame = {.function = function};
	struct vmt_go_live live = {.stack = {&frame, 1}, .bytes = MIB(390)};

	(void)state;
	report.go.live = &live;
	report.go.live_count = 1;
	report.go.profile_rate_bytes = 512 << 10;
	assert_non_null(strstr(written(vmt_go_cause_say), "about 390 MiB, is of main.add"));
	assert_false(vmt_go_cause_is_profiled_within(&report, 1.125));
	live.bytes = MIB(410);
	assert_null(strstr(written(vmt_go_cause_say), "profile"));
	assert_true(vmt_go_cause_is_profiled_beyond(&report, VMT_GO_CAUSE_FAR));
	live.bytes = MIB(95);
	assert_true(vmt_go_cause_is_profiled_within(&report, 1.125));
	report.go.profile_rate_bytes = 0;
	assert_null(strstr(written(vmt_go_cause_say), "profile"));
	/* A few samples say nothing. */
	report.go.profile_rate_bytes = MIB(4);
	live.bytes = MIB(1);
	assert_false(vmt_go_cause_is_profiled_beyond(&report, VMT_GO_CAUSE_FAR));
}

static void
stacks_of_ended_goroutines_are_given_back(void **state)
{
	struct vmt_go_creator rows[] = {
	    {.goroutines = 3, .reserved_bytes = MIB(1), .committed_bytes = MIB(1)},
	    {.has_ended = true,
	     .goroutines = 900,
	     .reserved_bytes = MIB(8),
	     .committed_bytes = MIB(7)},
	};

	(void)state;
	report.advice = &advice;
	report.advice_count = 1;
	report.go.creators = rows;
	report.go.creator_count = 2;
	assert_string_equal(
	    written(vmt_go_sentences_give_back),
	    "debug.FreeOSMemory would give back about 20 MiB that is free and in RAM, about 7 MiB "
	    "of stacks of goroutines that have ended, stacks that shrink, and what its collection "
	    "frees: about 50 MiB of objects is garbage already; what of 50 MiB of new ones "
	    "is garbage is not known.");
	report.go.figures.memory_limit_bytes = MIB(110);
	assert_non_null(strstr(written(vmt_go_sentences_limit), "take 112 MiB."));
	report.go.figures.memory_limit_bytes = MIB(112);
	assert_null(strstr(written(vmt_go_sentences_limit), "can't hold"));
}

static void
no_more_is_new_than_there_is(void **state)
{
	(void)state;
	report.go.figures.heap_live_bytes = MIB(290);
	assert_non_null(
	    strstr(written(vmt_go_sentences_pace), "about 100 MiB was allocated since"));
}

static void
the_scavenger_is_behind_or_done(void **state)
{
	(void)state;
	report.go.parts.cause = VMT_GO_CAUSE_IDLE;
	report.go.parts.cause_bytes = MIB(20);
	/* 240 MiB in use and free, and 230 MiB are to stay */
	assert_non_null(strstr(written(vmt_go_cause_say), "is about to give back 10 MiB,"));
	report.go.figures.scavenger_goal_bytes = 0;
	assert_non_null(strstr(written(vmt_go_cause_say), "is about to give back 20 MiB,"));
	report.go.figures.scavenger_goal_bytes = MIB(240);
	assert_non_null(strstr(written(vmt_go_cause_say),
			       "keeps them for new objects: it leaves the heap at about 240 MiB,"));
	report.go.figures.scavenger_goal_bytes = VMT_FIGURE_UNKNOWN;
	assert_null(strstr(written(vmt_go_cause_say), "scavenger"));
}

/* What stands beside objects adds up to RSS. */
static void
what_is_above_the_goal_is_named(void **state)
{
	(void)state;
	assert_string_equal(written(vmt_go_sentences_above),
			    "RSS is 80 MiB above the 220 MiB that GOGC lets objects grow to. It "
			    "has 200 MiB of objects, 40 MiB that is not Go's, 20 MiB of free "
			    "slots, 20 MiB of idle pages, 10 MiB of goroutine stacks, 9 MiB of "
			    "Go's metadata, 1 MiB else.");
	report.go.figures.heap_goal_bytes = MIB(400);
	assert_non_null(
	    strstr(written(vmt_go_sentences_above), "RSS is 100 MiB below the 400 MiB"));
	report.go.is_partial = true;
	assert_non_null(
	    strstr(written(vmt_go_sentences_above), "40 MiB that is not known to be Go's"));
	report.go.figures.gc_percent = -1;
	assert_string_equal(written(vmt_go_sentences_above), "");
}

static void
what_a_collection_frees_is_not_made_up(void **state)
{
	(void)state;
	assert_non_null(
	    strstr(written(vmt_go_sentences_give_back),
		   "debug.FreeOSMemory would give back (or leave to the kernel, where GODEBUG has "
		   "madvdontneed=0) about 20 MiB that is free"));
	report.advice = &advice;
	report.advice_count = 1;
	assert_string_equal(written(vmt_go_sentences_give_back),
			    "debug.FreeOSMemory would give back about 20 MiB that is free and in "
			    "RAM, stacks that shrink, and what its collection frees: about 50 "
			    "MiB of objects is garbage "
			    "already; what of 50 MiB of new ones is garbage is not known.");
	report.go.parts.objects = (struct vmt_go_objects){.is_known = true};
	report.snapshot.lazyfree_bytes = MIB(1);
	assert_string_equal(
	    written(vmt_go_sentences_give_back),
	    "debug.FreeOSMemory would give back, or leave to the kernel "
	    "(GODEBUG=madvdontneed=0), about 20 MiB that is free and in RAM, stacks "
	    "that shrink, and what its collection frees.");
	report.go.parts.bytes[VMT_GO_PART_IDLE] = 0;
	assert_string_equal(written(vmt_go_sentences_give_back), "");
}

static void
a_limit_holds_or_not(void **state)
{
	(void)state;
	assert_string_equal(written(vmt_go_sentences_limit), "");
	report.go.figures.memory_limit_bytes = MIB(300);
	assert_string_equal(written(vmt_go_sentences_limit),
			    "The memory limit (GOMEMLIMIT) is 300 MiB; of what it counts, Go holds "
			    "260 MiB. It does not count the 40 MiB of RSS that is not Go's: with "
			    "Go at its limit, RSS would be up to 340 MiB.");
	report.go.figures.memory_limit_bytes = MIB(250);
	assert_non_null(strstr(written(vmt_go_sentences_limit), "Go is 10 MiB above it."));
	report.go.figures.memory_limit_bytes = MIB(110);
	assert_non_null(strstr(written(vmt_go_sentences_limit),
			       "It can't hold: what was live at the last collection, stacks and "
			       "metadata take 120 MiB."));
	report.go.is_partial = true;
	assert_null(strstr(written(vmt_go_sentences_limit), "does not count"));
	report.go.uncounted = "why";
	assert_string_equal(written(vmt_go_sentences_limit), "");
}

static void
the_cgroup_has_room_or_not(void **state)
{
	(void)state;
	report.cgroup.limit_bytes = MIB(320);
	assert_string_equal(written(vmt_go_sentences_limit),
			    "No memory limit (GOMEMLIMIT) is set: Go does not know that the cgroup "
			    "may have 320 MiB.");
	report.cgroup.limit_bytes = MIB(290); /* 220 MiB of objects, and 80 MiB that stays */
	assert_non_null(strstr(written(vmt_go_sentences_limit),
			       "With objects at the goal of 220 MiB, RSS would be about 300 MiB, "
			       "which is more."));
	report.go.figures.memory_limit_bytes = MIB(300);
	report.cgroup.limit_bytes = MIB(400);
	assert_non_null(strstr(written(vmt_go_sentences_limit),
			       "RSS would be up to 340 MiB, of 400 MiB that the cgroup may have."));
	report.cgroup.limit_bytes = MIB(320);
	assert_non_null(strstr(written(vmt_go_sentences_limit),
			       "RSS would be up to 340 MiB, and the cgroup may have 320 MiB: a "
			       "limit above about 280 MiB leaves no room."));
	report.cgroup.limit_bytes = MIB(40);
	assert_non_null(strstr(written(vmt_go_sentences_limit), "and the cgroup may have 40 MiB."));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(causes_are_said, fill),
	    cmocka_unit_test_setup(objects_of_which_a_part_is_in_ram_are_not_split, fill),
	    cmocka_unit_test_setup(released_pages_are_no_idle_ones, fill),
	    cmocka_unit_test_setup(owners_are_named, fill),
	    cmocka_unit_test_setup(a_profile_far_from_what_is_live_names_no_line, fill),
	    cmocka_unit_test_setup(stacks_of_ended_goroutines_are_given_back, fill),
	    cmocka_unit_test_setup(no_more_is_new_than_there_is, fill),
	    cmocka_unit_test_setup(the_scavenger_is_behind_or_done, fill),
	    cmocka_unit_test_setup(what_is_above_the_goal_is_named, fill),
	    cmocka_unit_test_setup(what_a_collection_frees_is_not_made_up, fill),
	    cmocka_unit_test_setup(a_limit_holds_or_not, fill),
	    cmocka_unit_test_setup(the_cgroup_has_room_or_not, fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
