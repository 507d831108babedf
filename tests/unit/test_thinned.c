/*
 * test_thinned.c: what does a reader make of a trace of which blocks were left out?
 */
#include "tests/unit/build_trace.h"
#include "tests/unit/model_world.h"

#include "tools/read/trace/trace.h"

#include <math.h>

#define HEAP BUILD_HEAP_RING(0)
#define BLOCKS 20000u
#define BLOCK_BYTES 100u
#define LARGE_BYTES (UINT64_C(1) << 20)
#define RANDOM_ID UINT64_C(0x1234567890abcdef)

static uint64_t
address_of(uint64_t block)
{
	return BASE + block * 112;
}

/* Level 1 from 1000 on, level 3 from 2000 on. */
static const uint64_t *
levels(void)
{
	static uint64_t thin_from[VMT_THIN_LEVELS];

	for (uint32_t i = 1; i < VMT_THIN_LEVELS; i++)
		thin_from[i] = i == 1 ? 1000 : i <= 3 ? 2000 : UINT64_MAX;
	return thin_from;
}

static struct vmt_replay *
thinned_world(uint64_t sample_bytes)
{
	struct vmt_replay_options options = {.stacks = {world_stack, NULL},
					     .page_bytes = 4096,
					     .sample_bytes = sample_bytes,
					     .thin_from = levels(),
					     .random_id = RANDOM_ID};
	struct vmt_replay *replay = vmt_replay_new(&options);

	assert_non_null(replay);
	return replay;
}

/* As the collector lets it through at that level. */
static void
happen_at(struct vmt_replay *replay, uint32_t level, struct vmt_event event)
{
	if (vmt_thin_keeps(level, RANDOM_ID, event.address, event.length))
		happen(replay, event);
}

static void
allocate(struct vmt_replay *replay, uint32_t level, uint64_t time, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		happen_at(replay, level,
			  EVENT(MALLOC, .time = time, .address = address_of(i),
				.length = BLOCK_BYTES, .stack = 1));
}

static void
release(struct vmt_replay *replay, uint32_t level, uint64_t time, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		happen_at(replay, level, EVENT(FREE, .time = time, .address = address_of(i)));
}

static void
assert_near(double figure, double wanted, double part)
{
	if (figure < wanted * (1 - part) || figure > wanted * (1 + part))
		fail_msg("%.0f is not about %.0f", figure, wanted);
}

static double
live_bytes(const struct vmt_replay *replay)
{
	struct vmt_block block;
	size_t cursor = 0;
	double bytes = 0;

	while (vmt_blocks_walk(replay->blocks, &cursor, &block))
		bytes += vmt_replay_weight(replay, block.size) * (double)block.size;
	return bytes;
}

/* What is reserved and not released is what is live, by the same estimate. */
static void
assert_books(struct vmt_replay *replay)
{
	double held = (double)FIGURE(replay, MALLOC, 1, TOTAL_RESERVED) -
		      (double)FIGURE(replay, MALLOC, 1, RELEASED);

	assert_true(fabs(held - live_bytes(replay)) < 2);
	assert_int_equal(replay->unknown_releases, 0);
	assert_int_equal(replay->double_acquisitions, 0);
	assert_int_equal(replay->early_releases, 0);
}

static void
live_blocks_of_all_ages_are_estimated(void **state)
{
	struct vmt_replay *replay = thinned_world(0);

	(void)state;
	allocate(replay, 0, 10, 0, BLOCKS);
	assert_int_equal(vmt_blocks_count(replay->blocks), BLOCKS);
	assert_int_equal(FIGURE(replay, MALLOC, 1, COUNT), BLOCKS);
	assert_true(vmt_replay_state_is_whole(replay));
	/* Half of the old ones go, a quarter of them unseen; as many new ones come. */
	release(replay, 1, 1000, 0, BLOCKS / 2);
	allocate(replay, 1, 1001, BLOCKS, 2 * BLOCKS);
	assert_near(live_bytes(replay), 1.5 * BLOCKS * BLOCK_BYTES, .03);
	assert_near((double)FIGURE(replay, MALLOC, 1, COUNT), 2 * BLOCKS, .03);
	assert_books(replay);
	release(replay, 3, 2000, BLOCKS / 2, BLOCKS);
	assert_near(live_bytes(replay), 1. * BLOCKS * BLOCK_BYTES, .06);
	assert_near((double)FIGURE(replay, MALLOC, 1, TOTAL_RESERVED), 2. * BLOCKS * BLOCK_BYTES,
		    .06);
	assert_books(replay);
	release(replay, 3, 2001, BLOCKS, 2 * BLOCKS);
	assert_int_equal(vmt_blocks_count(replay->blocks), 0);
	assert_books(replay);
	vmt_replay_free(replay);
}

/* A look at a snapshot comes before the next event of the heap. */
static void
a_level_is_reached_without_an_event(void **state)
{
	struct vmt_replay *replay = thinned_world(0);

	(void)state;
	allocate(replay, 0, 10, 0, BLOCKS);
	assert_int_equal(vmt_replay_reach(replay, 999), 0);
	assert_int_equal(vmt_blocks_count(replay->blocks), BLOCKS);
	assert_int_equal(vmt_replay_reach(replay, 1000), 0);
	assert_near((double)vmt_blocks_count(replay->blocks), BLOCKS / 2., .03);
	assert_int_equal(replay->thin_level, 1);
	assert_books(replay);
	vmt_replay_free(replay);
}

/* Chunks of other rings were taken at a lower level, and overlap. */
static void
what_was_recorded_at_a_lower_level_counts_as_the_level_says(void **state)
{
	struct vmt_replay *replay = thinned_world(0);

	(void)state;
	allocate(replay, 1, 2000, 0, BLOCKS);
	assert_near(live_bytes(replay), 1. * BLOCKS * BLOCK_BYTES, .06);
	assert_near((double)vmt_blocks_count(replay->blocks), BLOCKS / 8., .06);
	release(replay, 1, 2001, 0, BLOCKS);
	assert_int_equal(vmt_blocks_count(replay->blocks), 0);
	assert_books(replay);
	vmt_replay_free(replay);
}

static void
large_blocks_stay_exact(void **state)
{
	struct vmt_replay *replay = thinned_world(0);

	(void)state;
	happen(replay,
	       EVENT(MALLOC, .time = 10, .address = BASE, .length = LARGE_BYTES, .stack = 1));
	assert_int_equal(vmt_replay_reach(replay, 2000), 0);
	assert_true(vmt_replay_is_exact(replay, LARGE_BYTES));
	assert_false(vmt_replay_is_exact(replay, BLOCK_BYTES));
	assert_int_equal(FIGURE(replay, MALLOC, 1, TOTAL_RESERVED), LARGE_BYTES);
	assert_int_equal(vmt_blocks_count(replay->blocks), 1);
	assert_false(site_of(replay, VMT_EVENT_MALLOC, 1)->estimated);
	vmt_replay_free(replay);
}

/* Two ways to be left out: the weights multiply. */
static void
samples_are_thinned_as_well(void **state)
{
	struct vmt_replay *replay = thinned_world(1000);
	double before = vmt_replay_weight(replay, BLOCK_BYTES);

	(void)state;
	assert_int_equal(vmt_replay_reach(replay, 2000), 0);
	assert_true(fabs(vmt_replay_weight(replay, BLOCK_BYTES) - 8 * before) < 1e-9);
	assert_true(fabs(vmt_replay_weight(replay, 2000) - 8) < 1e-9);
	vmt_replay_free(replay);
}

static void
append(struct build_trace *build, uint32_t level, uint64_t time, uint64_t from, uint64_t to,
       uint32_t events)
{
	unsigned char payload[VMT_COLUMNS_ROOM(8)];
	struct vmt_columns_encoder encoder;
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_EVENTS,
				  .flags = (uint16_t)(level << VMT_CHUNK_THIN_SHIFT),
				  .ring = HEAP,
				  .events = events,
				  .time_min = time,
				  .time_max = time,
				  .position_from = from,
				  .position_to = to};

	vmt_columns_begin_encode(&encoder, payload, sizeof(payload), 1);
	for (uint32_t i = 0; i < events; i++) {
		struct vmt_event event = {
		    .kind = VMT_EVENT_MALLOC, .time = time, .address = address_of(i)};

		assert_true(vmt_columns_put(&encoder, &event));
	}
	build_trace_chunk(build, &chunk, payload, events ? vmt_columns_end_encode(&encoder) : 0);
	build_trace_ring(build, HEAP).control->head = to;
}

static struct vmt_trace_loss
losses(struct build_trace *build, uint64_t thin_from[VMT_THIN_LEVELS])
{
	char path[BUILD_PATH_BYTES];
	struct vmt_err err = {""};
	struct vmt_trace_loss loss;
	struct vmt_trace *trace;
	int fd = build_trace_memfd(build, path);

	assert_int_equal(vmt_trace_open(&trace, path, &err), 0);
	loss = *vmt_trace_loss(trace);
	if (thin_from)
		memcpy(thin_from, vmt_trace_thin_from(trace), VMT_THIN_LEVELS * sizeof(*thin_from));
	vmt_trace_close(trace);
	close(fd);
	build_trace_free(build);
	return loss;
}

static void
chunks_tell_what_was_left_out_and_since_when(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	uint64_t thin_from[VMT_THIN_LEVELS];
	struct vmt_trace_loss loss;

	(void)state;
	append(build, 0, BUILD_START + 1, 0, 3, 3);
	append(build, 2, BUILD_START + 9, 3, 10, 1);
	append(build, 1, BUILD_START + 5, 10, 14, 2);
	append(build, 2, BUILD_START + 20, 14, 1000014, 0);
	loss = losses(build, thin_from);
	assert_int_equal(loss.events_thinned, 6 + 2 + 1000000);
	assert_int_equal(loss.events_missing + loss.slots_abandoned, 0);
	assert_int_equal(thin_from[0], 0);
	assert_int_equal(thin_from[1], BUILD_START + 5);
	assert_int_equal(thin_from[2], BUILD_START + 9);
	assert_int_equal(thin_from[3], UINT64_MAX);
}

/* What has left the ring behind the last chunk was left out, too: unless the file's end is gone. */
static void
a_cut_file_is_missing_what_it_is_missing(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_trace_loss loss;

	(void)state;
	append(build, 1, BUILD_START + 1, 0, 3, 3);
	build_trace_ring(build, HEAP).control->head = 103;
	loss = losses(build, NULL);
	assert_int_equal(loss.events_thinned, 84); /* 16 slots are there, and empty */
	assert_int_equal(loss.slots_abandoned, 16);
	build = build_trace_new(NULL);
	append(build, 1, BUILD_START + 1, 0, 3, 3);
	build_trace_ring(build, HEAP).control->head = 103;
	build_trace_append(build, "cut", 3);
	loss = losses(build, NULL);
	assert_int_equal(loss.events_thinned, 0);
	assert_int_equal(loss.events_missing, 84);
}

/* A trace that is full: the rings go on, and what they hold later is no part of it. */
static void
nothing_counts_behind_a_full_trace(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event event = {.kind = VMT_EVENT_MMAP, .time = BUILD_START + 11};
	struct vmt_trace_loss loss;

	(void)state;
	build_trace_head(build)->full_since = BUILD_START + 10;
	append(build, 0, BUILD_START + 1, 0, 3, 3);
	build_trace_remain(build, BUILD_MAP_RING(0), &event);
	event.time = BUILD_START + 12;
	build_trace_remain(build, BUILD_MAP_RING(0), &event);
	loss = losses(build, NULL);
	assert_int_equal(loss.events_thinned, 2);
	assert_int_equal(loss.events_missing, 0);
}

static void
a_level_that_no_writer_knows_is_damage(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_trace_loss loss;

	(void)state;
	append(build, VMT_THIN_LEVELS, BUILD_START + 1, 0, 3, 3);
	loss = losses(build, NULL);
	assert_true(loss.cut_bytes > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(live_blocks_of_all_ages_are_estimated),
	    cmocka_unit_test(a_level_is_reached_without_an_event),
	    cmocka_unit_test(what_was_recorded_at_a_lower_level_counts_as_the_level_says),
	    cmocka_unit_test(large_blocks_stay_exact),
	    cmocka_unit_test(samples_are_thinned_as_well),
	    cmocka_unit_test(chunks_tell_what_was_left_out_and_since_when),
	    cmocka_unit_test(a_cut_file_is_missing_what_it_is_missing),
	    cmocka_unit_test(nothing_counts_behind_a_full_trace),
	    cmocka_unit_test(a_level_that_no_writer_knows_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
