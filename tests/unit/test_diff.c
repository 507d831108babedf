#include "tools/model/diff/diff.h"

#include "tools/model/diff/diff_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/diff_fixture.h"

static struct pair world;

static int
begin(void **state)
{
	(void)state;
	pair_begin(&world);
	return 0;
}

/* One stack on each side: how they match. */
static enum vmt_diff_match
match_of(const char *kind_a, const char *stack_a, const char *kind_b, const char *stack_b)
{
	struct vmt_diff *diff;
	enum vmt_diff_match match;

	pair_begin(&world);
	pair_site(&world.a, kind_a, stack_a, MIB(4), MIB(1));
	pair_site(&world.b, kind_b, stack_b, MIB(4), MIB(3));
	diff = pair_diff(&world);
	match = diff->sites[0].match;
	assert_int_equal(diff->site_count, match < VMT_DIFF_NEW ? 1 : 2);
	if (match < VMT_DIFF_NEW)
		assert_int_equal(vmt_diff_delta(&diff->sites[0].committed_bytes), MIB(2));
	vmt_diff_free(diff);
	return match;
}

#define MATCH(a, b) match_of("mmap", a, "mmap", b)

static bool
is_single(enum vmt_diff_match match)
{
	return match == VMT_DIFF_NEW || match == VMT_DIFF_GONE;
}

static void
names_match_whatever_else_moved(void **state)
{
	(void)state;
	assert_int_equal(MATCH("grow run main", "grow run main"), VMT_DIFF_EXACT);
	assert_int_equal(MATCH("grow! run main", "grow run! main"), VMT_DIFF_EXACT);
	assert_int_equal(MATCH("", ""), VMT_DIFF_EXACT);
	assert_int_equal(MATCH("grow@/a/libx-2.31.so main", "grow@/b/libx-2.36.so main"),
			 VMT_DIFF_EXACT);
	assert_int_equal(MATCH("grow@/a/libx.so.1.2.3 main", "grow@/a/libx.so.1.2.4 main"),
			 VMT_DIFF_EXACT);
	assert_int_equal(MATCH("grow.isra.0 main", "grow.constprop.1 main"), VMT_DIFF_EXACT);
	assert_int_equal(MATCH("grow main.part.0.cold", "grow main"), VMT_DIFF_EXACT);
}

static void
inlined_calls_may_be_missing(void **state)
{
	(void)state;
	assert_int_equal(MATCH("small! grow main", "grow main"), VMT_DIFF_INLINING);
	assert_int_equal(MATCH("a! grow main", "b! grow main"), VMT_DIFF_INLINING);
}

static void
runtimes_may_change(void **state)
{
	(void)state;
	assert_int_equal(MATCH("runtime.sysMmap runtime.(*mheap).sysAlloc runtime.mallocgc "
			       "main.fill main.main runtime.main runtime.goexit",
			       "runtime.mmap runtime.(*mheap).sysAlloc runtime.mallocgcLarge "
			       "runtime.mallocgc main.fill main.main runtime.main"),
			 VMT_DIFF_RUNTIME);
	assert_int_equal(MATCH("grow main __libc_start_main@/lib/libc-2.31.so _start",
			       "grow main call_main@/lib/libc.so.6 start@/lib/libc.so.6 _start"),
			 VMT_DIFF_RUNTIME);
	assert_int_equal(MATCH("parse parse parse main", "parse parse main"), VMT_DIFF_RUNTIME);
	/* The runtime alone: by what it does, not by how it got there. */
	assert_int_equal(MATCH("runtime.mmap runtime.(*pageAlloc).grow runtime.schedinit",
			       "runtime.sysMap runtime.(*pageAlloc).grow runtime.schedinit2"),
			 VMT_DIFF_RUNTIME);
	assert_true(is_single(MATCH("runtime.mmap runtime.(*pageAlloc).grow runtime.schedinit",
				    "runtime.mmap runtime.(*mheap).sysAlloc runtime.schedinit")));
}

static void
callers_far_out_may_change(void **state)
{
	(void)state;
	assert_int_equal(MATCH("grow put serve main", "grow put handle run main"),
			 VMT_DIFF_INNERMOST);
}

static void
others_are_new_and_gone(void **state)
{
	(void)state;
	assert_true(is_single(MATCH("xmalloc load_a main", "xmalloc load_b main")));
	assert_true(is_single(MATCH("grow main", "shrink main")));
	assert_true(is_single(match_of("mmap", "grow main", "malloc", "grow main")));
	assert_true(is_single(MATCH("? main@libc.so.6", "? main@libc.so.6")));
	assert_true(is_single(MATCH("grow", "")));
}

/* The boundary between two names is part of the key. */
static void
keys_keep_names_apart(void **state)
{
	(void)state;
	assert_true(is_single(MATCH("ab c main", "a bc main")));
	assert_false(
	    vmt_diff_key_make(pair_site(&world.a, "mmap", "? ?", 1, 1), NULL, VMT_DIFF_BY_OWN)
		.usable);
	assert_false(vmt_diff_key_make(pair_site(&world.a, "mmap", "runtime.x", 1, 1), NULL,
				       VMT_DIFF_BY_INNERMOST)
			 .usable);
}

static void
runtime_sites_are_told_from_others(void **state)
{
	(void)state;
	assert_true(vmt_diff_key_is_runtime(pair_site(
	    &world.a, "mmap",
	    "mmap@/lib/libc.so.6 x_cgo_mmap runtime.mmap runtime.(*mheap).grow main.f", 1, 1)));
	assert_false(vmt_diff_key_is_runtime(
	    pair_site(&world.a, "malloc", "grab _cgo_1_grab runtime.asmcgocall main.f", 1, 1)));
	assert_false(vmt_diff_key_is_runtime(pair_site(&world.a, "malloc", "", 1, 1)));
	assert_true(vmt_diff_key_is_named(&world.a.sites[1]));
	assert_false(vmt_diff_key_is_named(&world.a.sites[2]));
	assert_false(vmt_diff_key_is_named(pair_site(&world.a, "mmap", "? start@libc.so.6", 1, 1)));
}

static void
equal_keys_are_added_up(void **state)
{
	struct vmt_diff *diff;

	(void)state;
	pair_site(&world.a, "mmap", "grow main", MIB(1), KIB(4))->released_bytes = 11;
	world.a.sites[0].never_touched_bytes = 3;
	pair_site(&world.a, "mmap", "grow! main", MIB(2), KIB(8))->released_bytes = 22;
	pair_site(&world.b, "mmap", "grow main", MIB(4), KIB(16))->swapped_bytes = 5;
	pair_site(&world.b, "mmap", "other main", MIB(8), KIB(32));
	pair_site(&world.b, "mmap", "other! main", MIB(8), KIB(64));
	diff = pair_diff(&world);
	assert_int_equal(diff->site_count, 2);
	assert_int_equal(diff->sites[0].match, VMT_DIFF_NEW);
	assert_int_equal(diff->sites[0].committed_bytes.b, KIB(96));
	assert_ptr_equal(diff->sites[0].shown, &world.b.sites[2]);
	assert_int_equal(diff->sites[1].count.a, 2);
	assert_int_equal(diff->sites[1].reserved_bytes.a, MIB(3));
	assert_int_equal(diff->sites[1].committed_bytes.a, KIB(12));
	assert_int_equal(diff->sites[1].released_bytes.a, 33);
	assert_int_equal(diff->sites[1].swapped_bytes.b, 5);
	assert_int_equal(diff->sites[1].never_touched_bytes.a, 3);
	assert_ptr_equal(diff->sites[1].shown, &world.b.sites[0]);
	vmt_diff_free(diff);
}

/* Every byte of every site stands in exactly one row. */
static void
nothing_is_lost_in_matching(void **state)
{
	static const char *const stacks[] = {"a b main",  "a! b main", "b main", "a a b main",
					     "runtime.x", "?",	       "",	 "a b other"};
	struct vmt_diff *diff;
	struct vmt_diff_figure sum = {0, 0};

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		pair_site(&world.a, "mmap", stacks[i % 8], 1, UINT64_C(1) << i);
		pair_site(&world.b, i % 3 ? "mmap" : "brk", stacks[i % 5], 1, UINT64_C(1) << i);
	}
	diff = pair_diff(&world);
	for (size_t i = 0; i < diff->site_count; i++) {
		sum.a += diff->sites[i].committed_bytes.a;
		sum.b += diff->sites[i].committed_bytes.b;
	}
	assert_int_equal(sum.a, 65535);
	assert_int_equal(sum.b, 65535);
	for (size_t i = 1; i < diff->site_count; i++)
		assert_true(vmt_diff_distance(&diff->sites[i - 1].committed_bytes) >=
			    vmt_diff_distance(&diff->sites[i].committed_bytes));
	vmt_diff_free(diff);
}

static void
classes_match_by_name(void **state)
{
	struct vmt_diff *diff;

	(void)state;
	pair_class(&world.a, "mmap", MIB(10), MIB(4));
	pair_class(&world.a, "vmtrace", MIB(20), MIB(1));
	pair_class(&world.b, "vmtrace", MIB(90), MIB(9));
	pair_class(&world.b, "Go heap", MIB(64), MIB(32));
	pair_class(&world.b, "mmap", MIB(10), MIB(5));
	diff = pair_diff(&world);
	assert_int_equal(diff->class_count, 3);
	assert_string_equal(diff->classes[0].name, "Go heap");
	assert_int_equal(vmt_diff_delta(&diff->classes[0].committed_bytes), MIB(32));
	assert_string_equal(diff->classes[1].name, "vmtrace");
	assert_int_equal(vmt_diff_delta(&diff->classes[2].committed_bytes), MIB(1));
	/* The tracer's own part is no finding; what the kernel says is all. */
	assert_int_equal(diff->totals.committed_bytes.a, MIB(4));
	assert_int_equal(diff->totals.committed_bytes.b, MIB(37));
	assert_int_equal(diff->totals.reserved_bytes.b, MIB(74));
	assert_int_equal(diff->totals.rss_bytes.b, MIB(46));
	vmt_diff_free(diff);
}

struct story {
	uint64_t heap[2][2]; /* of A, B: reserved, committed */
	uint64_t other[2][2];
	uint64_t skew_bytes;
	enum vmt_diff_kind kind;
};

static enum vmt_diff_kind
judge(const struct story *story)
{
	struct vmt_diff *diff;
	enum vmt_diff_kind kind;

	pair_begin(&world);
	pair_class(&world.a, "Go heap", story->heap[0][0], story->heap[0][1]);
	pair_class(&world.a, "mmap", story->other[0][0], story->other[0][1]);
	pair_class(&world.b, "Go heap", story->heap[1][0], story->heap[1][1]);
	pair_class(&world.b, "mmap", story->other[1][0], story->other[1][1]);
	world.b.report.snapshot.skew_bytes = story->skew_bytes;
	diff = pair_diff(&world);
	kind = diff->verdict.kind;
	vmt_diff_free(diff);
	return kind;
}

static const struct story stories[] = {
    /* a Go runtime that clears what it need not touch */
    {{{MIB(1280), MIB(3)}, {MIB(1280), MIB(387)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_MORE_TOUCHED},
    {{{MIB(1280), MIB(3)}, {MIB(1344), MIB(387)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_MORE_TOUCHED},
    /* another class reserves meanwhile, and touches nothing */
    {{{MIB(1280), MIB(3)}, {MIB(1280), MIB(387)}},
     {{0, 0}, {MIB(512), 0}},
     0,
     VMT_DIFF_MORE_TOUCHED},
    {{{MIB(64), MIB(60)}, {MIB(128), MIB(120)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_GROWN},
    {{{MIB(64), MIB(60)}, {MIB(9128), MIB(120)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_GROWN},
    {{{MIB(128), MIB(120)}, {MIB(64), MIB(60)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_SHRUNK},
    {{{MIB(128), MIB(120)}, {MIB(128), MIB(60)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_LESS_TOUCHED},
    /* reserved less and committed more */
    {{{MIB(512), MIB(60)}, {MIB(128), MIB(120)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_MORE_TOUCHED},
    {{{MIB(64), MIB(60)}, {MIB(64), 0}}, {{MIB(64), 0}, {MIB(64), MIB(60)}}, 0, VMT_DIFF_MOVED},
    {{{MIB(64), MIB(60)}, {MIB(0), 0}}, {{0, 0}, {MIB(64), MIB(60)}}, 0, VMT_DIFF_MOVED},
    {{{MIB(64), MIB(60)}, {MIB(128), MIB(60)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_MORE_RESERVED},
    {{{MIB(128), MIB(60)}, {MIB(64), MIB(60)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_LESS_RESERVED},
    {{{MIB(64), MIB(60)}, {MIB(64), MIB(60)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_SAME},
    /* within 2 % and beyond */
    {{{MIB(1000), MIB(500)}, {MIB(1000), MIB(510)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_SAME},
    {{{MIB(1000), MIB(500)}, {MIB(1000), MIB(511)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_MORE_TOUCHED},
    {{{MIB(1000), MIB(500)}, {MIB(1000), MIB(511)}}, {{0, 0}, {0, 0}}, MIB(12), VMT_DIFF_SAME},
    /* the floors of small programs */
    {{{MIB(4), MIB(1)}, {MIB(4), MIB(1) + KIB(512)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_SAME},
    {{{MIB(4), MIB(1)}, {MIB(4), MIB(1) + KIB(516)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_MORE_TOUCHED},
    {{{MIB(4), MIB(1)}, {MIB(5), MIB(1)}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_SAME},
    {{{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}, 0, VMT_DIFF_SAME},
};

static void
each_story_has_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(*stories); i++)
		if (judge(&stories[i]) != stories[i].kind)
			fail_msg("story %zu: %s, not %s", i, vmt_diff_kind_word(judge(&stories[i])),
				 vmt_diff_kind_word(stories[i].kind));
}

static enum vmt_diff_kind
judge_threads(uint64_t more_stacks, uint64_t more_arenas, uint64_t more_heap)
{
	struct vmt_diff *diff;
	enum vmt_diff_kind kind;
	char *version = world.a.report.go.version;

	pair_begin(&world);
	world.a.report.go.version = world.b.report.go.version = version;
	pair_class(&world.a, "Go heap", MIB(512), MIB(60));
	pair_class(&world.a, "Go stacks", MIB(8), 0);
	pair_class(&world.a, "malloc retained", MIB(64), 0);
	pair_class(&world.b, "Go heap", MIB(512) + more_heap, MIB(60));
	pair_class(&world.b, "Go stacks", MIB(8) + more_stacks, 0);
	pair_class(&world.b, "malloc retained", MIB(64) + more_arenas, 0);
	world.a.classes[2].accessible_bytes = world.b.classes[2].accessible_bytes = MIB(1);
	diff = pair_diff(&world);
	kind = diff->verdict.kind;
	vmt_diff_free(diff);
	return kind;
}

/* Of Go's runtime: another program has as many as it asks for. */
static void
a_few_threads_are_chance(void **state)
{
	static char version[] = "go1.24.4";

	(void)state;
	assert_int_equal(judge_threads(MIB(8), MIB(64), 0), VMT_DIFF_MORE_RESERVED);
	world.a.report.go.version = version;
	assert_int_equal(judge_threads(MIB(8), MIB(64), 0), VMT_DIFF_SAME);
	assert_int_equal(judge_threads(MIB(32), MIB(256), 0), VMT_DIFF_SAME);
	assert_int_equal(judge_threads(MIB(40), MIB(320), 0), VMT_DIFF_MORE_RESERVED);
	assert_int_equal(judge_threads(MIB(8), MIB(64), MIB(20)), VMT_DIFF_MORE_RESERVED);
	assert_int_equal(judge_threads(0, 0, MIB(72)), VMT_DIFF_MORE_RESERVED);
}

/* Snapshots are rare: a peak between two of them is not in either. */
static void
what_snapshots_missed_is_noise(void **state)
{
	struct vmt_rss_point points[] = {{0, MIB(30)}, {1, MIB(72)}, {2, MIB(40)}};
	struct vmt_diff *diff;

	(void)state;
	pair_class(&world.a, "mmap", MIB(100), MIB(60));
	pair_class(&world.b, "mmap", MIB(100), MIB(70));
	world.a.report.rss = points;
	world.a.report.rss_count = 3;
	diff = pair_diff(&world);
	assert_int_equal(diff->totals.missed_bytes.a, MIB(12));
	assert_int_equal(diff->totals.missed_bytes.b, 0);
	assert_int_equal(diff->verdict.kind, VMT_DIFF_SAME);
	vmt_diff_free(diff);
	/* No peak was meant. */
	diff = pair_diff_at(&world, VMT_AT_END);
	assert_int_equal(diff->totals.missed_bytes.a, 0);
	assert_int_equal(diff->verdict.kind, VMT_DIFF_MORE_TOUCHED);
	vmt_diff_free(diff);
}

static void
without_snapshot_nothing_is_known(void **state)
{
	struct vmt_diff *diff;

	(void)state;
	pair_class(&world.b, "mmap", MIB(64), MIB(64));
	world.a.report.snapshot.taken = false;
	diff = pair_diff(&world);
	assert_int_equal(diff->verdict.kind, VMT_DIFF_UNKNOWN);
	vmt_diff_free(diff);
}

static struct vmt_diff *
move_between(const char *from, const char *to)
{
	pair_begin(&world);
	pair_class(&world.a, "mmap", MIB(200), MIB(64));
	pair_class(&world.b, "mmap", MIB(200), MIB(64));
	pair_site(&world.a, "mmap", from, MIB(100), MIB(64));
	pair_site(&world.b, "mmap", from, MIB(100), 0);
	pair_site(&world.a, "mmap", to, MIB(100), 0);
	pair_site(&world.b, "mmap", to, MIB(100), MIB(64));
	return pair_diff(&world);
}

static void
owners_change_within_a_class(void **state)
{
	struct vmt_diff *diff = move_between("load main", "cache main");

	(void)state;
	assert_int_equal(diff->verdict.kind, VMT_DIFF_MOVED);
	assert_int_equal(diff->verdict.moved_bytes, MIB(64));
	assert_string_equal(diff->verdict.from_site->shown->stack.frames[0].function, "load");
	assert_string_equal(diff->verdict.to_site->shown->stack.frames[0].function, "cache");
	assert_null(diff->verdict.from_class);
	vmt_diff_free(diff);
	/* Which stack makes Go's heap grow is chance. */
	diff = move_between("runtime.mmap runtime.(*mheap).grow main.a",
			    "runtime.mmap runtime.(*mheap).grow main.b");
	assert_int_equal(diff->verdict.kind, VMT_DIFF_SAME);
	vmt_diff_free(diff);
	diff = move_between("? ?", "? ? ?");
	assert_int_equal(diff->verdict.kind, VMT_DIFF_SAME);
	vmt_diff_free(diff);
}

static void
estimates_have_an_error(void **state)
{
	struct vmt_diff *diff;

	(void)state;
	world.a.report.coverage.malloc_mode = "sampled";
	world.b.report.coverage.malloc_mode = "sampled";
	pair_class(&world.a, "malloc live", MIB(64), MIB(64));
	pair_class(&world.b, "malloc live", MIB(64), MIB(64));
	pair_class(&world.a, "mmap", MIB(1), MIB(1));
	pair_site(&world.a, "malloc", "f main", MIB(64), MIB(64))->estimate = true;
	pair_site(&world.b, "malloc", "f main", MIB(64), 0)->estimate = true;
	pair_site(&world.a, "malloc", "g main", KIB(64), KIB(64));
	diff = pair_diff(&world);
	/* 2 sqrt(64 KiB * 64 MiB) */
	assert_true(diff->sites[0].estimate);
	assert_int_equal(diff->sites[0].error_bytes, MIB(4));
	assert_false(diff->sites[1].estimate);
	assert_int_equal(diff->sites[1].error_bytes, 0);
	for (size_t i = 0; i < diff->class_count; i++) {
		bool live = strcmp(diff->classes[i].name, "malloc live") == 0;

		assert_int_equal(diff->classes[i].estimate, live);
		/* of both: sqrt(2) times as much */
		assert_int_equal(diff->classes[i].error_bytes, live ? 5931642 : 0);
	}
	vmt_diff_free(diff);
}

/* Two runs that sampled other blocks: as many bytes come and go as the error allows. */
static void
chance_moves_nothing(void **state)
{
	struct vmt_diff *diff;

	(void)state;
	for (int side = 0; side < 2; side++) {
		struct pair_side *of = side ? &world.b : &world.a;

		of->report.coverage.malloc_mode = "sampled";
		of->report.coverage.malloc_sample_bytes = MIB(1);
		pair_class(of, "malloc live", MIB(40), MIB(40));
		pair_site(of, "malloc", "f main", MIB(20), side ? MIB(25) : MIB(15))->estimate =
		    true;
		pair_site(of, "malloc", "g main", MIB(20), side ? MIB(15) : MIB(25))->estimate =
		    true;
	}
	diff = pair_diff(&world);
	assert_int_equal(diff->verdict.kind, VMT_DIFF_SAME);
	vmt_diff_free(diff);
	for (size_t i = 0; i < 2; i++)
		world.a.sites[i].estimate = world.b.sites[i].estimate = false;
	diff = pair_diff(&world);
	assert_int_equal(diff->verdict.kind, VMT_DIFF_MOVED);
	vmt_diff_free(diff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(names_match_whatever_else_moved, begin),
	    cmocka_unit_test_setup(inlined_calls_may_be_missing, begin),
	    cmocka_unit_test_setup(runtimes_may_change, begin),
	    cmocka_unit_test_setup(callers_far_out_may_change, begin),
	    cmocka_unit_test_setup(others_are_new_and_gone, begin),
	    cmocka_unit_test_setup(keys_keep_names_apart, begin),
	    cmocka_unit_test_setup(runtime_sites_are_told_from_others, begin),
	    cmocka_unit_test_setup(equal_keys_are_added_up, begin),
	    cmocka_unit_test_setup(nothing_is_lost_in_matching, begin),
	    cmocka_unit_test_setup(classes_match_by_name, begin),
	    cmocka_unit_test_setup(each_story_has_its_verdict, begin),
	    cmocka_unit_test_setup(a_few_threads_are_chance, begin),
	    cmocka_unit_test_setup(what_snapshots_missed_is_noise, begin),
	    cmocka_unit_test_setup(without_snapshot_nothing_is_known, begin),
	    cmocka_unit_test_setup(owners_change_within_a_class, begin),
	    cmocka_unit_test_setup(estimates_have_an_error, begin),
	    cmocka_unit_test_setup(chance_moves_nothing, begin),
	};

	return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
