#include "sample_trace.h"

#include <errno.h>

#include "tools/read/trace/merge.h"
#include "tools/read/trace/zstd.h"

#define MANY 5000u
#define SHARDS 4u
#define THREE_BLOCKS 10000u /* records of a chunk that the merge decodes in three steps */

static struct vmt_trace *trace;
static struct vmt_merge *merge;
static int trace_fd;

static void
begin(struct build_trace *build)
{
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];

	trace_fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_trace_open(&trace, path, &err), 0);
	assert_int_equal(vmt_merge_open(&merge, trace, &err), 0);
	build_trace_free(build);
}

static void
end(void)
{
	vmt_merge_close(merge);
	vmt_trace_close(trace);
	close(trace_fd);
}

static struct vmt_record
next(void)
{
	struct vmt_record record;
	struct vmt_err err = {""};

	assert_int_equal(vmt_merge_next(merge, &record, &err), 0);
	return record;
}

static struct vmt_event
event_at(uint64_t time, uint8_t kind, uint64_t address)
{
	return (struct vmt_event){.time = BUILD_START + time, .kind = kind, .address = address};
}

static void
expect_event(uint64_t time, uint8_t kind, uint64_t address)
{
	struct vmt_record record = next();

	assert_int_equal(record.kind, VMT_RECORD_EVENT);
	assert_int_equal(record.time, BUILD_START + time);
	assert_int_equal(record.event.time, record.time);
	assert_int_equal(record.event.kind, kind);
	assert_int_equal(record.event.address, address);
}

static void
expect_end(void)
{
	assert_int_equal(next().kind, VMT_RECORD_END);
	assert_int_equal(next().kind, VMT_RECORD_END);
	end();
}

static void
gives_all_records_in_order(void **state)
{
	static const struct {
		uint64_t time;
		enum vmt_record_kind kind;
	} expected[] = {
	    {5, VMT_RECORD_USAGE},     {10, VMT_RECORD_EVENT},	  {20, VMT_RECORD_EVENT},
	    {30, VMT_RECORD_EVENT},    {35, VMT_RECORD_EVENT},	  {40, VMT_RECORD_EVENT},
	    {50, VMT_RECORD_EVENT},    {50, VMT_RECORD_SNAPSHOT}, {55, VMT_RECORD_USAGE},
	    {60, VMT_RECORD_EVENT},    {61, VMT_RECORD_EVENT},	  {90, VMT_RECORD_EVENT},
	    {95, VMT_RECORD_EVENT},    {99, VMT_RECORD_USAGE},	  {100, VMT_RECORD_EVENT},
	    {100, VMT_RECORD_SNAPSHOT}};

	(void)state;
	begin(sample_trace_new(NULL));
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct vmt_record record = next();

		assert_int_equal(record.time, BUILD_START + expected[i].time);
		assert_int_equal(record.kind, expected[i].kind);
		if (record.kind == VMT_RECORD_USAGE)
			assert_int_equal(record.usage.time, record.time);
		if (record.kind == VMT_RECORD_SNAPSHOT)
			assert_int_equal(record.snapshot->header.kind, VMT_CHUNK_SNAPSHOT);
	}
	expect_end();
}

static void
keeps_every_field_of_an_event(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event event = {.time = BUILD_START + 1,
					.address = 0x7f0000001000,
					.length = 0x123456789000,
					.argument_a = 0x1122334455667788,
					.argument_b = UINT64_MAX,
					.stack = 0xfedcba98,
					.thread = 0x12345678,
					.flags = 0x87654321,
					.error = -12,
					.advice = 0xabcd,
					.kind = VMT_EVENT_MREMAP,
					.protection = 7,
					.marks = 5};
	struct vmt_record record;

	(void)state;
	build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
	build_trace_remain(build, BUILD_MAP_RING(0), &event);
	begin(build);
	for (int i = 0; i < 2; i++) {
		record = next();
		assert_int_equal(record.kind, VMT_RECORD_EVENT);
		assert_memory_equal(&record.event, &event, sizeof(event));
	}
	expect_end();
}

static void
puts_releases_before_acquisitions_of_the_same_time(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event heap[] = {event_at(5, VMT_EVENT_MALLOC, 1),
					 event_at(5, VMT_EVENT_FREE, 2),
					 event_at(5, VMT_EVENT_REALLOC_BEGIN, 3)};
	const struct vmt_event map[] = {event_at(5, VMT_EVENT_MPROTECT, 4),
					event_at(5, VMT_EVENT_MMAP, 5),
					event_at(5, VMT_EVENT_MUNMAP, 6)};
	const struct vmt_event late = event_at(5, VMT_EVENT_FREE, 7);
	const struct vmt_snapshot_head snapshot = {.time = BUILD_START + 5};

	(void)state;
	build_trace_snapshot(build, &snapshot, NULL, 0);
	build_trace_events(build, BUILD_HEAP_RING(0), heap, 3);
	build_trace_events(build, BUILD_MAP_RING(0), map, 3);
	build_trace_remain(build, BUILD_HEAP_RING(0), &late);
	begin(build);
	expect_event(5, VMT_EVENT_FREE, 2);
	expect_event(5, VMT_EVENT_REALLOC_BEGIN, 3);
	expect_event(5, VMT_EVENT_MUNMAP, 6);
	expect_event(5, VMT_EVENT_FREE, 7);
	expect_event(5, VMT_EVENT_MALLOC, 1);
	expect_event(5, VMT_EVENT_MMAP, 5);
	expect_event(5, VMT_EVENT_MPROTECT, 4);
	assert_int_equal(next().kind, VMT_RECORD_SNAPSHOT);
	expect_end();
}

static void
brings_a_straggler_forward(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event early = event_at(1, VMT_EVENT_MALLOC, 1);
	const struct vmt_event in_ring = event_at(2, VMT_EVENT_MALLOC, 2);

	(void)state;
	for (uint64_t i = 10; i < 100; i++) {
		struct vmt_event event = event_at(i, VMT_EVENT_MALLOC, i);

		build_trace_events(build, BUILD_HEAP_RING(0), &event, 1);
	}
	build_trace_events(build, BUILD_HEAP_RING(0), &early, 1);
	build_trace_remain(build, BUILD_HEAP_RING(0), &in_ring);
	begin(build);
	expect_event(1, VMT_EVENT_MALLOC, 1);
	expect_event(2, VMT_EVENT_MALLOC, 2);
	for (uint64_t i = 10; i < 100; i++)
		expect_event(i, VMT_EVENT_MALLOC, i);
	expect_end();
}

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	return vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);
}

/* A little out of order: i with its low bits turned about. */
static uint64_t
jumbled(uint64_t i)
{
	return i ^ (i * 7 & 0x3f);
}

static void
orders_blocks_of_many_chunks(void **state)
{
	static struct vmt_event events[MANY];
	static uint8_t seen[SHARDS * MANY * 2];
	struct vmt_head head;
	struct build_trace *build;
	uint64_t last = 0;

	(void)state;
	build_trace_default_head(&head);
	head.shards = SHARDS;
	head.map_capacity = 8;
	build = build_trace_new(&head);
	build->compress = compress;
	for (uint32_t chunk = 0; chunk < SHARDS * 2; chunk++) {
		for (uint64_t i = 0; i < MANY; i++) {
			/* Chunk c of the first round has the times 4i + c, the second those after.
			 */
			uint64_t serial =
			    (jumbled(i) % 8192 + (uint64_t)(chunk / SHARDS) * 8192) * SHARDS +
			    chunk % SHARDS;

			events[i] = event_at(serial, VMT_EVENT_MALLOC, chunk * MANY + i);
		}
		build_trace_events(build, BUILD_HEAP_RING(chunk % SHARDS), events, MANY);
	}
	begin(build);
	for (uint32_t i = 0; i < SHARDS * MANY * 2; i++) {
		struct vmt_record record = next();

		assert_int_equal(record.kind, VMT_RECORD_EVENT);
		assert_true(record.time >= last);
		last = record.time;
		assert_in_range(record.event.address, 0, SHARDS * MANY * 2 - 1);
		assert_int_equal(seen[record.event.address]++, 0);
	}
	expect_end();
}

/* The error that ends the stream. */
static void
expect_malformed(struct build_trace *build)
{
	struct vmt_record record = {.kind = VMT_RECORD_EVENT};
	struct vmt_err err = {""};
	int result = 0;

	build_trace_seal(build_trace_last_chunk(build));
	begin(build);
	while (result == 0 && record.kind != VMT_RECORD_END)
		result = vmt_merge_next(merge, &record, &err);
	assert_int_equal(result, -EBADMSG);
	assert_non_null(strstr(err.text, "malformed"));
	end();
}

static struct build_trace *
three_events(void)
{
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event events[] = {event_at(1, VMT_EVENT_MALLOC, 1),
					   event_at(2, VMT_EVENT_MALLOC, 2),
					   event_at(3, VMT_EVENT_MALLOC, 3)};

	build_trace_events(build, BUILD_HEAP_RING(0), events, 3);
	return build;
}

static void
refuses_chunks_that_belie_their_header(void **state)
{
	const struct vmt_usage usage = {.time = BUILD_START};
	const struct vmt_snapshot_head snapshot = {.time = BUILD_START};
	struct build_trace *build = three_events();

	(void)state;
	build_trace_last_chunk(build)->events = 4;
	expect_malformed(build);
	build = three_events();
	build_trace_last_chunk(build)->events = 2;
	expect_malformed(build);
	build = three_events();
	build_trace_last_chunk(build)->time_min = BUILD_START + 2;
	expect_malformed(build);
	build = build_trace_new(NULL);
	build_trace_usage(build, &usage, 1);
	build_trace_last_chunk(build)->time_min = BUILD_START + 1;
	expect_malformed(build);
	build = build_trace_new(NULL);
	build_trace_snapshot(build, &snapshot, NULL, 0);
	build_trace_last_chunk(build)->time_min = BUILD_START + 1;
	expect_malformed(build);
	build = build_trace_new(NULL);
	build_trace_chunk(build, &(struct vmt_chunk){.kind = VMT_CHUNK_USAGE}, &usage,
			  sizeof(usage));
	build_trace_append(build, &usage, 8);
	build_trace_last_chunk(build)->payload_bytes += 8;
	build_trace_last_chunk(build)->raw_bytes += 8;
	expect_malformed(build);
}

/* One chunk whose events' times are those of `time_of`, in its order. */
static struct build_trace *
three_blocks(uint64_t (*time_of)(uint64_t i))
{
	static struct vmt_event events[THREE_BLOCKS];
	struct build_trace *build = build_trace_new(NULL);

	for (uint64_t i = 0; i < THREE_BLOCKS; i++)
		events[i] = event_at(time_of(i), VMT_EVENT_MALLOC, time_of(i) + 1);
	build_trace_events(build, BUILD_HEAP_RING(0), events, THREE_BLOCKS);
	return build;
}

static uint64_t
rising(uint64_t i)
{
	return i;
}

static uint64_t
falling(uint64_t i)
{
	return THREE_BLOCKS - 1 - i;
}

/* The last is the earliest. */
static uint64_t
straggling(uint64_t i)
{
	return (i + 1) % THREE_BLOCKS;
}

static void
orders_the_blocks_of_one_chunk(void **state)
{
	uint64_t (*const orders[])(uint64_t) = {rising, jumbled, falling, straggling};

	(void)state;
	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		uint64_t last = 0;
		uint64_t sum = 0;

		begin(three_blocks(orders[i]));
		for (uint32_t k = 0; k < THREE_BLOCKS; k++) {
			struct vmt_record record = next();

			assert_int_equal(record.kind, VMT_RECORD_EVENT);
			assert_true(record.time >= last);
			assert_int_equal(record.event.address, record.time - BUILD_START + 1);
			last = record.time;
			sum += record.event.address * record.event.address;
		}
		for (uint64_t k = 0; k < THREE_BLOCKS; k++)
			sum -= (orders[i](k) + 1) * (orders[i](k) + 1);
		assert_int_equal(sum, 0);
		expect_end();
	}
}

/* In whichever block it shows. */
static void
refuses_large_chunks_that_belie_their_header(void **state)
{
	uint64_t (*const orders[])(uint64_t) = {rising, falling};

	(void)state;
	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct build_trace *build = three_blocks(orders[i]);

		build_trace_last_chunk(build)->events++;
		expect_malformed(build);
		build = three_blocks(orders[i]);
		build_trace_last_chunk(build)->events--;
		expect_malformed(build);
		build = three_blocks(orders[i]);
		build_trace_last_chunk(build)->time_min++;
		expect_malformed(build);
	}
}

static void
an_empty_trace_has_no_records(void **state)
{
	(void)state;
	begin(build_trace_new(NULL));
	expect_end();
}

/* Three chunks of events and a rest in the ring. The first ends before the time, the second at it.
 */
static void
leaves_out_chunks_that_end_before_a_time(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_err err = {""};

	(void)state;
	for (uint64_t time = 10; time <= 30; time += 10) {
		const struct vmt_event events[] = {event_at(time, VMT_EVENT_MUNMAP, 1),
						   event_at(time + 5, VMT_EVENT_MUNMAP, 2)};

		build_trace_events(build, BUILD_MAP_RING(0), events, 2);
	}
	begin(build);
	vmt_merge_close(merge);
	assert_int_equal(vmt_merge_open_from(&merge, trace, 25, &err), 0);
	expect_event(20, VMT_EVENT_MUNMAP, 1);
	expect_event(25, VMT_EVENT_MUNMAP, 2);
	expect_event(30, VMT_EVENT_MUNMAP, 1);
	expect_event(35, VMT_EVENT_MUNMAP, 2);
	assert_int_equal(vmt_merge_chunks_opened(merge), 2);
	expect_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_all_records_in_order),
	    cmocka_unit_test(keeps_every_field_of_an_event),
	    cmocka_unit_test(puts_releases_before_acquisitions_of_the_same_time),
	    cmocka_unit_test(brings_a_straggler_forward),
	    cmocka_unit_test(orders_blocks_of_many_chunks),
	    cmocka_unit_test(refuses_chunks_that_belie_their_header),
	    cmocka_unit_test(orders_the_blocks_of_one_chunk),
	    cmocka_unit_test(refuses_large_chunks_that_belie_their_header),
	    cmocka_unit_test(an_empty_trace_has_no_records),
	    cmocka_unit_test(leaves_out_chunks_that_end_before_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
