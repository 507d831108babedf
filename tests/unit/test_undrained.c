#include "build_trace.h"

#include "tools/read/trace/trace.h"

#define HEAP BUILD_HEAP_RING(0)
#define MAP BUILD_MAP_RING(0)

static struct vmt_trace *trace;
static int trace_fd;

static const struct vmt_trace_loss *
begin(struct build_trace *build)
{
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];

	trace_fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_trace_open(&trace, path, &err), 0);
	build_trace_free(build);
	return vmt_trace_loss(trace);
}

static void
end(void)
{
	vmt_trace_close(trace);
	close(trace_fd);
}

static size_t
remaining(void)
{
	size_t count;

	(void)vmt_trace_ring_events(trace, &count);
	return count;
}

static struct vmt_event
block(uint64_t time)
{
	return (struct vmt_event){
	    .time = BUILD_START + time, .kind = VMT_EVENT_MALLOC, .address = time};
}

static uint8_t
kind_of_heap(const void *slot)
{
	return (uint8_t)(((const struct vmt_heap_event *)slot)->address_kind >> VMT_ADDRESS_BITS);
}

static void
sorts_what_the_rings_hold(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event mapped = {
	    .time = BUILD_START + 2, .kind = VMT_EVENT_MMAP, .address = 2};
	const struct vmt_event times[] = {block(3), block(1)};
	const struct vmt_event *events;
	size_t count;

	(void)state;
	build_trace_remain(build, HEAP, &times[0]);
	build_trace_remain(build, HEAP, &times[1]);
	build_trace_remain(build, MAP, &mapped);
	begin(build);
	events = vmt_trace_ring_events(trace, &count);
	assert_int_equal(count, 3);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(events[i].time, BUILD_START + i + 1);
		assert_int_equal(events[i].address, i + 1);
	}
	end();
}

static void
leaves_out_what_a_chunk_has(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event events[] = {block(1), block(2), block(3)};
	unsigned char payload[VMT_COLUMNS_ROOM(2)];
	struct vmt_columns_encoder encoder;
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_EVENTS,
				  .ring = HEAP,
				  .events = 2,
				  .time_min = BUILD_START + 1,
				  .time_max = BUILD_START + 2,
				  .position_to = 2};
	const struct vmt_trace_loss *loss;

	(void)state;
	for (int i = 0; i < 3; i++)
		build_trace_remain(build, HEAP, &events[i]);
	/* The collector was killed between appending the chunk and releasing the slots. */
	vmt_columns_begin_encode(&encoder, payload, sizeof(payload), 1);
	assert_true(vmt_columns_put(&encoder, &events[0]));
	assert_true(vmt_columns_put(&encoder, &events[1]));
	build_trace_chunk(build, &chunk, payload, vmt_columns_end_encode(&encoder));
	loss = begin(build);
	assert_int_equal(remaining(), 1);
	assert_int_equal(loss->slots_abandoned + loss->events_missing + loss->events_overwritten,
			 0);
	end();
}

static void
counts_a_claim_never_committed(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event event = block(1);
	const struct vmt_trace_loss *loss;

	(void)state;
	build_trace_remain_busy(build, HEAP);
	build_trace_remain(build, HEAP, &event);
	build_trace_remain_busy(build, MAP);
	loss = begin(build);
	assert_int_equal(remaining(), 1);
	assert_int_equal(loss->slots_abandoned, 2);
	assert_int_equal(loss->events_missing, 0);
	end();
}

/* Nobody collects: 16 slots, 40 events, the newest stay. */
static void
counts_overwritten_events_once(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_ring_view view = build_trace_ring(build, HEAP);
	const struct vmt_trace_loss *loss;

	(void)state;
	for (uint64_t i = 0; i < 40; i++) {
		const struct vmt_event event = block(i);

		if (i >= 16)
			assert_true(vmt_ring_discard_oldest(&view, kind_of_heap));
		build_trace_remain(build, HEAP, &event);
	}
	loss = begin(build);
	assert_int_equal(remaining(), 16);
	assert_int_equal(loss->events_overwritten, 24);
	assert_int_equal(loss->overwritten_by_kind[VMT_EVENT_MALLOC], 24);
	assert_int_equal(loss->slots_abandoned, 0);
	assert_int_equal(loss->events_missing, 0);
	end();
}

/* The collector found the first 4 of 6 positions discarded, and says so in its chunk as well. */
static void
counts_overwritten_events_once_where_a_chunk_tells_too(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_ring_view view = build_trace_ring(build, HEAP);
	const struct vmt_event event = block(1);
	const struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_EVENTS, .ring = HEAP, .position_to = 4, .overwritten = 4};
	const struct vmt_trace_loss *loss;

	(void)state;
	for (int i = 0; i < 6; i++)
		build_trace_remain(build, HEAP, &event);
	for (int i = 0; i < 4; i++)
		assert_true(vmt_ring_discard_oldest(&view, kind_of_heap));
	build_trace_chunk(build, &chunk, NULL, 0);
	loss = begin(build);
	assert_int_equal(remaining(), 2);
	assert_int_equal(loss->events_overwritten, 4);
	assert_int_equal(loss->events_missing, 0);
	end();
}

static void
counts_what_the_collector_gave_up(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_ring_view view = build_trace_ring(build, HEAP);
	const struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_EVENTS, .ring = HEAP, .position_to = 1, .abandoned = 1};
	const struct vmt_trace_loss *loss;

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint64_t position = build_trace_remain_busy(build, HEAP);

		assert_true(vmt_ring_release(&view, position, VMT_RING_BUSY));
	}
	/* It was killed before it could say so of the second. */
	build_trace_chunk(build, &chunk, NULL, 0);
	loss = begin(build);
	assert_int_equal(loss->slots_abandoned, 1);
	assert_int_equal(loss->events_missing, 1);
	end();
}

/* A finished trace, cut: its slots are holes by then. */
static void
counts_what_lay_behind_a_cut(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event event = block(1);
	const struct vmt_trace_loss *loss;

	(void)state;
	build_trace_events(build, HEAP, &event, 1);
	for (int i = 0; i < 3; i++)
		build_trace_remain_busy(build, HEAP);
	build_trace_head(build)->collected_end = VMT_END_EXIT;
	loss = begin(build);
	assert_true(loss->cut);
	assert_int_equal(loss->events_missing, 3);
	assert_int_equal(loss->slots_abandoned, 0);
	end();
}

static void
counts_positions_between_two_chunks(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_ring_view view = build_trace_ring(build, HEAP);
	const struct vmt_event event = block(1);
	const struct vmt_trace_loss *loss;

	(void)state;
	build_trace_events(build, HEAP, &event, 1);
	/* Drained, but the disk was full. */
	for (int i = 0; i < 3; i++) {
		uint64_t position = build_trace_remain(build, HEAP, &event);

		assert_true(vmt_ring_release(&view, position, VMT_RING_COMMITTED));
	}
	build_trace_events(build, HEAP, &event, 1);
	loss = begin(build);
	assert_int_equal(loss->events_missing, 3);
	assert_int_equal(loss->slots_abandoned + loss->events_overwritten, 0);
	end();
}

static void
steps_over_dead_positions(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_ring_view view = build_trace_ring(build, HEAP);
	const struct vmt_event event = block(1);
	const struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_EVENTS, .ring = HEAP, .position_to = 16, .abandoned = 1};
	const struct vmt_trace_loss *loss;

	(void)state;
	assert_true(vmt_ring_release(&view, build_trace_remain_busy(build, HEAP), VMT_RING_BUSY));
	for (int i = 1; i < 16; i++) {
		uint64_t position = build_trace_remain(build, HEAP, &event);

		assert_true(vmt_ring_release(&view, position, VMT_RING_COMMITTED));
	}
	build_trace_chunk(build, &chunk, NULL, 0);
	/* Position 16 is where the lost writer may still be: the next event takes 17. */
	assert_int_equal(build_trace_remain(build, HEAP, &event), 17);
	loss = begin(build);
	assert_int_equal(remaining(), 1);
	assert_int_equal(loss->slots_abandoned, 1);
	assert_int_equal(loss->events_missing, 0);
	end();
}

static void
adds_up_dropped_events_of_all_rings(void **state)
{
	struct vmt_head head;
	struct build_trace *build;
	const struct vmt_trace_loss *loss;

	(void)state;
	build_trace_default_head(&head);
	head.shards = 4;
	head.stacks_dropped = 5;
	head.samples_dropped = 6;
	build = build_trace_new(&head);
	build_trace_ring(build, BUILD_HEAP_RING(0)).control->dropped[VMT_EVENT_FREE] = 3;
	build_trace_ring(build, BUILD_HEAP_RING(3)).control->dropped[VMT_EVENT_FREE] = 4;
	build_trace_ring(build, BUILD_MAP_RING(3)).control->dropped[VMT_EVENT_MMAP] = 10;
	loss = begin(build);
	assert_int_equal(loss->events_dropped, 17);
	assert_int_equal(loss->dropped_by_kind[VMT_EVENT_FREE], 7);
	assert_int_equal(loss->dropped_by_kind[VMT_EVENT_MMAP], 10);
	assert_int_equal(loss->stacks_dropped, 5);
	assert_int_equal(loss->samples_dropped, 6);
	end();
}

static void
counts_slots_of_garbage_as_abandoned(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event strange = {.time = BUILD_START, .kind = 63};
	const struct vmt_event misplaced = {.time = BUILD_START, .kind = VMT_EVENT_MMAP};
	/* The release of a large block: a heap event in the map ring, as it should be. */
	const struct vmt_event large = {.time = BUILD_START, .kind = VMT_EVENT_FREE};
	const struct vmt_trace_loss *loss;

	(void)state;
	build_trace_remain(build, HEAP, &strange);
	build_trace_remain(build, HEAP, &misplaced);
	build_trace_remain(build, MAP, &large);
	loss = begin(build);
	assert_int_equal(remaining(), 1);
	assert_int_equal(loss->slots_abandoned, 2);
	end();
}

static void
survives_any_head_position(void **state)
{
	static const uint64_t heads[] = {1,	    15, 16, 17, 1000, UINT32_MAX, UINT64_C(1) << 40,
					 UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct build_trace *build = build_trace_new(NULL);

		build_trace_ring(build, HEAP).control->head = heads[i];
		begin(build);
		assert_true(remaining() <= 16);
		end();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sorts_what_the_rings_hold),
	    cmocka_unit_test(leaves_out_what_a_chunk_has),
	    cmocka_unit_test(counts_a_claim_never_committed),
	    cmocka_unit_test(counts_overwritten_events_once),
	    cmocka_unit_test(counts_overwritten_events_once_where_a_chunk_tells_too),
	    cmocka_unit_test(counts_what_the_collector_gave_up),
	    cmocka_unit_test(counts_what_lay_behind_a_cut),
	    cmocka_unit_test(counts_positions_between_two_chunks),
	    cmocka_unit_test(steps_over_dead_positions),
	    cmocka_unit_test(adds_up_dropped_events_of_all_rings),
	    cmocka_unit_test(counts_slots_of_garbage_as_abandoned),
	    cmocka_unit_test(survives_any_head_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
