/* Blocks that the next event frees: the same, in one step, as event by event. */
#include "tests/unit/model_world.h"

#include "tools/model/replay/replay_heap.h"
#include "tools/model/replay/replay_pair.h"

#define EVENTS 40000u
#define HELD_TICKS 40u

static uint64_t state_of_random;

static uint64_t
pick(uint64_t below)
{
	state_of_random = state_of_random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (state_of_random >> 33) % below;
}

static struct vmt_replay *
new_replay(const uint64_t *thin_from, bool by_thread)
{
	struct vmt_replay_options options = {.stacks = {world_stack, NULL},
					     .touch_stacks = {world_stack, NULL},
					     .page_bytes = 4096,
					     .thin_from = thin_from,
					     .held_ticks = HELD_TICKS,
					     .by_thread = by_thread};
	struct vmt_replay *replay = vmt_replay_new(&options);

	assert_non_null(replay);
	return replay;
}

/* Half of them follow an acquisition of the same address; few addresses, so that they meet. */
static struct vmt_event
random_event(const struct vmt_event *before)
{
	static const uint8_t kinds[] = {
	    VMT_EVENT_MALLOC,	     VMT_EVENT_NEW,	VMT_EVENT_FREE,	    VMT_EVENT_DELETE,
	    VMT_EVENT_REALLOC_BEGIN, VMT_EVENT_REALLOC, VMT_EVENT_HEAP_UNDO};
	static const uint64_t sizes[] = {0, 40, 5000, 300000, UINT64_C(1) << 50};
	struct vmt_event event = {
	    .kind = kinds[pick(sizeof(kinds))],
	    .time = before->time + pick(8),
	    .thread = 1 + (uint32_t)pick(3),
	    .stack = 1 + (uint32_t)pick(4),
	    .address = pick(200) ? UINT64_C(0x7f0000000010) + pick(6) * 0x1000 : 0,
	    .length = sizes[pick(pick(50) ? 4 : 5)],
	    .argument_a = pick(3) ? 0 : pick(8) * 4096,
	    .marks = pick(9) ? 0 : VMT_MARK_SAMPLED,
	};

	if (pick(2) && !vmt_event_is_release(before->kind)) {
		event.kind = pick(2) ? VMT_EVENT_FREE : VMT_EVENT_DELETE;
		event.address = before->address;
		event.thread = pick(8) ? before->thread : event.thread;
	}
	return event;
}

static void
assert_same_sites(struct vmt_replay *one, struct vmt_replay *other)
{
	assert_int_equal(vmt_sites_count(one->sites), vmt_sites_count(other->sites));
	for (uint32_t i = 0; i < vmt_sites_count(one->sites); i++) {
		const struct vmt_site_entry *left = vmt_sites_get(one->sites, i);
		const struct vmt_site_entry *right = vmt_sites_get(other->sites, i);

		assert_true(vmt_sites_is_same_key(left->key, right->key));
		assert_memory_equal(left->exact, right->exact, sizeof(left->exact));
		assert_memory_equal(left->estimate, right->estimate, sizeof(left->estimate));
		assert_int_equal(left->sampled, right->sampled);
		assert_int_equal(left->estimated, right->estimated);
	}
}

static void
assert_same_blocks(const struct vmt_replay *one, const struct vmt_replay *other)
{
	struct vmt_block left;
	struct vmt_block right;
	size_t cursor = 0;

	assert_int_equal(vmt_blocks_count(one->blocks), vmt_blocks_count(other->blocks));
	assert_int_equal(vmt_blocks_bytes(one->blocks), vmt_blocks_bytes(other->blocks));
	while (vmt_blocks_walk(one->blocks, &cursor, &left)) {
		assert_true(vmt_blocks_find(other->blocks, left.address, &right));
		assert_int_equal(left.size, right.size);
		assert_int_equal(left.site, right.site);
	}
	assert_true(vmt_blocks_check(other->blocks));
}

static void
assert_same(struct vmt_replay *one, struct vmt_replay *other)
{
	assert_same_sites(one, other);
	assert_same_blocks(one, other);
	assert_int_equal(one->double_acquisitions, other->double_acquisitions);
	assert_int_equal(one->early_acquisitions, other->early_acquisitions);
	assert_int_equal(one->unknown_releases, other->unknown_releases);
	assert_int_equal(one->malformed, other->malformed);
}

static size_t
apply_by_pairs(struct vmt_replay *replay, const struct vmt_event *events)
{
	size_t pairs = 0;

	for (size_t i = 0; i < EVENTS; i++) {
		if (i + 1 < EVENTS && vmt_replay_pair_is(&events[i], &events[i + 1])) {
			assert_int_equal(vmt_replay_pair_apply(replay, &events[i], &events[i + 1]),
					 0);
			i++;
			pairs++;
		} else {
			assert_int_equal(vmt_replay_apply(replay, &events[i]), 0);
		}
	}
	return pairs;
}

static void
try_events(const uint64_t *thin_from, bool by_thread)
{
	struct vmt_event *events = calloc(EVENTS, sizeof(*events));
	struct vmt_replay *one = new_replay(thin_from, by_thread);
	struct vmt_replay *other = new_replay(thin_from, by_thread);
	struct vmt_event before = {.time = 1, .kind = VMT_EVENT_FREE};

	assert_non_null(events);
	for (size_t i = 0; i < EVENTS; i++)
		before = events[i] = random_event(&before);
	for (size_t i = 0; i < EVENTS; i++)
		assert_int_equal(vmt_replay_apply(one, &events[i]), 0);
	assert_true(apply_by_pairs(other, events) > EVENTS / 20);
	assert_int_equal(vmt_replay_heap_settle(one), 0);
	assert_int_equal(vmt_replay_heap_settle(other), 0);
	assert_same(one, other);
	assert_true(one->double_acquisitions > 0 && one->early_acquisitions > 0);
	vmt_replay_free(one);
	vmt_replay_free(other);
	free(events);
}

static void
pairs_leave_what_their_events_would(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 6; seed++) {
		state_of_random = seed;
		try_events(NULL, seed % 2);
	}
}

static void
so_they_do_where_a_trace_was_thinned(void **state)
{
	uint64_t thin_from[VMT_THIN_LEVELS];

	(void)state;
	state_of_random = 9;
	memset(thin_from, 0xff, sizeof(thin_from));
	thin_from[1] = EVENTS;
	thin_from[3] = EVENTS * 2;
	try_events(thin_from, false);
}

/* A thousand short blocks: what they were is told, and none is live. */
static void
a_pair_counts_as_a_temporary_block(void **state)
{
	struct vmt_replay *replay = new_replay(NULL, false);

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		struct vmt_event acquire = EVENT(MALLOC, .time = i, .thread = 7, .stack = 3,
						 .address = 0x5000, .length = 100);
		struct vmt_event release =
		    EVENT(FREE, .time = i, .thread = 7, .address = 0x5000, .argument_a = 4096);

		assert_true(vmt_replay_pair_is(&acquire, &release));
		assert_false(vmt_replay_pair_is(&release, &acquire));
		assert_int_equal(vmt_replay_pair_apply(replay, &acquire, &release), 0);
	}
	assert_int_equal(FIGURE(replay, MALLOC, 3, COUNT), 1000);
	assert_int_equal(FIGURE(replay, MALLOC, 3, TOTAL_RESERVED), 100000);
	assert_int_equal(FIGURE(replay, MALLOC, 3, RELEASED), 100000);
	assert_int_equal(FIGURE(replay, MALLOC, 3, RELEASED_COMMITTED), 100000);
	assert_int_equal(FIGURE(replay, MALLOC, 3, TEMPORARY), 1000);
	assert_int_equal(vmt_blocks_count(replay->blocks), 0);
	vmt_replay_free(replay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pairs_leave_what_their_events_would),
	    cmocka_unit_test(so_they_do_where_a_trace_was_thinned),
	    cmocka_unit_test(a_pair_counts_as_a_temporary_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
