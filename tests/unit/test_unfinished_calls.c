/* Whose the pages are that a call has mapped, and not returned from yet. */
#include "tests/unit/model_world.h"

#include "tools/model/replay/unfinished_calls.h"

#define LENGTH (64 * PAGE)
#define POPULATE (ANON | MAP_POPULATE)

static struct world_snapshot world;

static struct vmt_replay *
begin(void)
{
	memset(&world, 0, sizeof(world));
	return world_new(0, false);
}

static void
start_call(struct vmt_replay *replay, uint32_t thread, uint64_t bytes, uint32_t stack)
{
	happen(replay, EVENT(LONG_BEGIN, .length = bytes, .stack = stack, .thread = thread,
			     .protection = RW, .flags = POPULATE, .argument_a = VMT_EVENT_MMAP));
}

static void
end(struct vmt_attribution *attribution, struct vmt_replay *replay)
{
	assert_int_equal(replay->double_acquisitions, 0);
	assert_int_equal(replay->unknown_releases, 0);
	vmt_attribution_free(attribution);
	vmt_replay_free(replay);
}

/* The call that comes to its end afterwards is counted once. */
static void
pages_are_the_calls(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;

	(void)state;
	start_call(replay, 7, LENGTH, 1);
	add_mapping(&world, BASE, LENGTH, "", 20 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, RESERVED), 0);
	assert_int_equal(CLASS_OF(attribution, MMAP, COMMITTED), 20 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 20 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, LIVE_COUNT), 1);
	assert_int_equal(FIGURE(replay, MMAP, 1, COUNT), 0);
	assert_owner(replay, BASE, 0, 0); /* the loan is over */
	happen(replay, EVENT(MMAP, .address = BASE, .length = LENGTH, .stack = 1, .thread = 7,
			     .flags = POPULATE, .protection = RW));
	vmt_unfinished_calls_settle(replay);
	assert_int_equal(FIGURE(replay, MMAP, 1, COUNT), 1);
	assert_int_equal(FIGURE(replay, MMAP, 1, TOTAL_RESERVED), LENGTH);
	end(&attribution, replay);
}

/* One that the end of the process cut short. */
static void
call_that_never_ends_is_counted(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;

	(void)state;
	start_call(replay, 7, LENGTH, 1);
	add_mapping(&world, BASE, LENGTH, "", 20 * PAGE);
	attribution = join_world(&world, replay, NULL);
	vmt_unfinished_calls_settle(replay);
	assert_int_equal(FIGURE(replay, MMAP, 1, COUNT), 1);
	assert_int_equal(FIGURE(replay, MMAP, 1, TOTAL_RESERVED), LENGTH);
	end(&attribution, replay);
}

/* Other lengths, protections and kinds are not the call's, nor is anything after its end. */
static void
other_memory_is_not(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;

	(void)state;
	start_call(replay, 7, LENGTH, 1);
	start_call(replay, 8, 32 * PAGE, 2);
	happen(replay, EVENT(LONG_END, .thread = 8, .argument_a = VMT_EVENT_MMAP)); /* it failed */
	add_mapping(&world, BASE, LENGTH - PAGE, "", PAGE);
	add_mapping(&world, BASE + 100 * PAGE, LENGTH, "", PAGE)->protection = PROT_READ;
	add_mapping(&world, BASE + 200 * PAGE, 32 * PAGE, "", PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MMAP, RESERVED), 0);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 3 * PAGE);
	end(&attribution, replay);
}

/* The kernel joins neighbours into one mapping, with memory that has an owner, too. */
static void
calls_share_a_mapping(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;

	(void)state;
	map_anonymous(replay, BASE + 96 * PAGE, 10 * PAGE, 9);
	start_call(replay, 7, LENGTH, 1);
	start_call(replay, 8, 32 * PAGE, 2);
	add_mapping(&world, BASE, 106 * PAGE, "", 106 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 0);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), LENGTH);
	assert_int_equal(FIGURE(replay, MMAP, 2, COMMITTED), 32 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 9, COMMITTED), 10 * PAGE);
	end(&attribution, replay);
}

static void
fixed_calls_know_their_place(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;

	(void)state;
	happen(replay, EVENT(LONG_BEGIN, .address = BASE + 100 * PAGE, .length = LENGTH, .stack = 1,
			     .protection = RW, .flags = POPULATE | MAP_FIXED,
			     .argument_a = VMT_EVENT_MMAP));
	add_mapping(&world, BASE, LENGTH, "", PAGE);
	add_mapping(&world, BASE + 100 * PAGE, LENGTH, "", 2 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 2 * PAGE);
	end(&attribution, replay);
}

static void
stack_is_pthread_creates(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;

	(void)state;
	happen(replay,
	       EVENT(LONG_BEGIN, .length = LENGTH, .stack = 1, .argument_a = VMT_EVENT_THREAD));
	add_mapping(&world, BASE, PAGE, "", 0)->protection = PROT_NONE;
	add_mapping(&world, BASE + PAGE, LENGTH, "", 8 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, RESERVED), 0);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, COMMITTED), 8 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 1, COMMITTED), 8 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 1, LIVE_COUNT), 1); /* guard and all */
	end(&attribution, replay);
}

/* A stack that a snapshot found before its pthread_create returned: reserved once, whether its
 * event comes or the process ends. */
static void
stack_is_counted_once(void **state)
{
	(void)state;
	for (int returned = 0; returned < 2; returned++) {
		struct vmt_replay *replay = begin();
		struct vmt_attribution attribution;

		happen(replay, EVENT(LONG_BEGIN, .length = LENGTH, .stack = 1, .thread = 7,
				     .argument_a = VMT_EVENT_THREAD));
		add_mapping(&world, BASE, LENGTH, "", 8 * PAGE);
		attribution = join_world(&world, replay, NULL);
		assert_int_equal(FIGURE(replay, THREAD, 1, RESERVED), LENGTH);
		if (returned)
			happen(replay,
			       EVENT(THREAD, .address = BASE + LENGTH - 2304, .length = LENGTH,
				     .argument_a = 2304, .argument_b = 8, .stack = 1, .thread = 7));
		vmt_unfinished_calls_settle(replay);
		assert_int_equal(FIGURE(replay, THREAD, 1, COUNT), 1);
		assert_int_equal(FIGURE(replay, THREAD, 1, TOTAL_RESERVED), LENGTH);
		end(&attribution, replay);
	}
}

/* Before the kernel has moved it the range is its owner's, afterwards the call's. */
static void
range_that_moves_has_an_owner(void **state)
{
	for (int moved = 0; moved < 2; moved++) {
		struct vmt_replay *replay = begin();
		struct vmt_attribution attribution;

		(void)state;
		map_anonymous(replay, BASE, LENGTH, 1);
		happen(replay, EVENT(MREMAP_BEGIN, .address = BASE, .length = LENGTH,
				     .argument_b = 2 * LENGTH, .stack = 2));
		if (moved)
			add_mapping(&world, BASE + 1000 * PAGE, 2 * LENGTH, "", 30 * PAGE);
		else
			add_mapping(&world, BASE, LENGTH, "", 30 * PAGE);
		attribution = join_world(&world, replay, NULL);
		assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 0);
		assert_int_equal(CLASS_OF(attribution, MMAP, COMMITTED), 30 * PAGE);
		assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), moved ? 0 : 30 * PAGE);
		assert_owner(replay, BASE, 0, 0);
		end(&attribution, replay);
	}
}

/* A release that the kernel may not have got to, and how its call ends. */
struct release {
	struct vmt_event acquired;
	struct vmt_event released;
	struct vmt_event end;
	bool ends;	/* it says that LONG_END will follow */
	bool has_owner; /* meanwhile */
	bool shared;
};

static void
check_release(const struct release *release)
{
	for (int over = 0; over < 2; over++) {
		struct vmt_replay *replay = begin();
		struct vmt_attribution attribution;
		struct vmt_mapping *mapping;
		bool has_owner = release->has_owner && !over;
		struct vmt_event released = release->released;

		released.marks = release->ends ? VMT_MARK_ENDS : 0;
		happen(replay, release->acquired);
		happen(replay, released);
		if (over)
			happen(replay, release->end);
		mapping = add_mapping(&world, BASE, LENGTH, "", 30 * PAGE);
		mapping->shared = release->shared;
		attribution = join_world(&world, replay, NULL);
		assert_int_equal(
		    figure_of_site(replay, release->acquired.kind, 1, VMT_FIGURE_COMMITTED),
		    has_owner ? 30 * PAGE : 0);
		end(&attribution, replay);
	}
}

/* The release is stamped before the kernel has got to it. Without the mark nothing says that the
 * call may still be at work; a break always says when it is over. */
static void
range_that_goes_has_its_owner(void **state)
{
	static const struct vmt_event mapped =
	    EVENT(MMAP, .address = BASE, .length = LENGTH, .flags = MAP_PRIVATE | MAP_ANONYMOUS,
		  .protection = RW, .stack = 1);
	static const struct vmt_event attached =
	    EVENT(SHMAT, .address = BASE, .length = LENGTH, .protection = RW, .stack = 1);
	static const struct vmt_event grown =
	    EVENT(BRK, .address = BASE + LENGTH, .argument_a = BASE, .length = LENGTH, .stack = 1);
	static const struct vmt_event over = EVENT(LONG_END, .stack = 1);
	static const struct vmt_event unmapped = EVENT(MUNMAP, .address = BASE, .length = LENGTH);
	static const struct vmt_event detached = EVENT(SHMDT, .address = BASE, .length = LENGTH);
	static const struct vmt_event all_detached = EVENT(SHMDT, .address = BASE);
	static const struct vmt_event shrinks =
	    EVENT(BRK_BEGIN, .address = BASE, .argument_a = BASE + LENGTH, .length = LENGTH);
	static const struct vmt_event shrunk =
	    EVENT(BRK, .address = BASE, .argument_a = BASE + LENGTH, .length = LENGTH);
	const struct release releases[] = {
	    {mapped, unmapped, over, .ends = false, .has_owner = false},
	    {mapped, unmapped, over, .ends = true, .has_owner = true},
	    {attached, detached, over, .ends = false, .has_owner = false, .shared = true},
	    {attached, detached, over, .ends = true, .has_owner = true, .shared = true},
	    {attached, all_detached, over, .ends = true, .has_owner = true, .shared = true},
	    {grown, shrinks, shrunk, .ends = false, .has_owner = true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(releases) / sizeof(*releases); i++)
		check_release(&releases[i]);
}

/* More calls at once than are kept, of lengths that no call has. */
static void
hostile_calls_cost_little(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;

	(void)state;
	for (uint32_t i = 1; i < 3 * VMT_UNFINISHED_CALLS_MOST; i++)
		start_call(replay, i, i % 3 == 0 ? UINT64_MAX - i : i % 3, i);
	assert_int_equal(vmt_unfinished_calls_count(replay->under_way), VMT_UNFINISHED_CALLS_MOST);
	add_mapping(&world, BASE, 5 * PAGE, "", 5 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_true(vmt_space_check(replay->space));
	end(&attribution, replay);
}

/* A segment has no inode where its id is 0; a break's part follows what it had before. */
static void
segments_and_breaks_are_their_calls(void **state)
{
	struct vmt_replay *replay = begin();
	struct vmt_attribution attribution;
	struct vmt_mapping *segment;

	(void)state;
	happen(replay, EVENT(BRK, .address = BASE + 10 * PAGE, .argument_a = BASE,
			     .length = 10 * PAGE, .stack = 1, .thread = 7));
	happen(replay,
	       EVENT(LONG_BEGIN, .address = BASE + 10 * PAGE, .length = LENGTH - 8, .stack = 2,
		     .thread = 7, .protection = RW, .argument_a = VMT_EVENT_BRK));
	happen(replay, EVENT(LONG_BEGIN, .length = LENGTH, .stack = 3, .thread = 8,
			     .protection = RW, .argument_a = VMT_EVENT_SHMAT));
	add_mapping(&world, BASE, 10 * PAGE + LENGTH, "[heap]", 20 * PAGE);
	segment =
	    add_mapping(&world, BASE + 100 * PAGE, LENGTH, "/SYSV00000000 (deleted)", 5 * PAGE);
	segment->inode = 0;
	segment->shared = true;
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, RESERVED), 0);
	assert_int_equal(FIGURE(replay, BRK, 1, COMMITTED), 10 * PAGE);
	assert_int_equal(FIGURE(replay, BRK, 2, COMMITTED), 10 * PAGE);
	assert_int_equal(FIGURE(replay, SHMAT, 3, COMMITTED), 5 * PAGE);
	end(&attribution, replay);
}

/* Of another place or length, or where the numbers go round. */
static void
other_breaks_are_not(void **state)
{
	static const struct {
		uint64_t address;
		uint64_t length;
	} breaks[] = {{BASE + PAGE, LENGTH},
		      {BASE, LENGTH - PAGE},
		      {UINT64_MAX, LENGTH},
		      {BASE, UINT64_MAX},
		      {0, BASE + LENGTH}};

	(void)state;
	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		struct vmt_replay *replay = begin();
		struct vmt_attribution attribution;

		happen(replay, EVENT(LONG_BEGIN, .address = breaks[i].address,
				     .length = breaks[i].length, .stack = 2, .thread = 7,
				     .protection = RW, .argument_a = VMT_EVENT_BRK));
		add_mapping(&world, BASE, LENGTH, "", PAGE);
		attribution = join_world(&world, replay, NULL);
		assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), PAGE);
		end(&attribution, replay);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pages_are_the_calls),
	    cmocka_unit_test(call_that_never_ends_is_counted),
	    cmocka_unit_test(other_memory_is_not),
	    cmocka_unit_test(calls_share_a_mapping),
	    cmocka_unit_test(fixed_calls_know_their_place),
	    cmocka_unit_test(stack_is_pthread_creates),
	    cmocka_unit_test(stack_is_counted_once),
	    cmocka_unit_test(range_that_moves_has_an_owner),
	    cmocka_unit_test(range_that_goes_has_its_owner),
	    cmocka_unit_test(hostile_calls_cost_little),
	    cmocka_unit_test(segments_and_breaks_are_their_calls),
	    cmocka_unit_test(other_breaks_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
