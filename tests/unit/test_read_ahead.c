/* Chunks that a second thread decodes: the same records as without it, and the same errors. */
#define BUILD_CHUNKS_BYTES (UINT32_C(64) << 20)
#include "tests/unit/build_trace.h"

#include <errno.h>
#include <sched.h>

#include "tools/read/trace/merge.h"
#include "tools/read/trace/read_ahead.h"
#include "tools/read/trace/zstd.h"

#define SHARDS 4u
#define MOST VMT_READ_AHEAD_MOST_RECORDS

static struct vmt_event events[MOST + 1];
static uint64_t state_of_random;
static char path[BUILD_PATH_BYTES];
static int fd;

static uint64_t
pick(uint64_t below)
{
	state_of_random = state_of_random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (state_of_random >> 33) % below;
}

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	return vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);
}

static struct build_trace *
begin(void)
{
	struct vmt_head head;

	build_trace_default_head(&head);
	head.shards = SHARDS;
	return build_trace_new(&head);
}

/* Events from about that time on, some of which come late; a few kinds, so that ranks matter. */
static void
add_chunk(struct build_trace *build, uint32_t shard, uint64_t from, uint32_t count)
{
	static const uint8_t kinds[] = {VMT_EVENT_MALLOC, VMT_EVENT_FREE, VMT_EVENT_NEW,
					VMT_EVENT_DELETE};

	for (uint32_t i = 0; i < count; i++)
		events[i] = (struct vmt_event){
		    .kind = kinds[pick(4)],
		    .time = BUILD_START + from + i / 2 + (pick(50) ? 0 : pick(3000)),
		    .address = 16 + pick(1000) * 16,
		    .stack = (uint32_t)pick(9),
		    .length = pick(100),
		};
	build->compress = count > 1000 ? compress : NULL; /* a few would not get smaller */
	build_trace_events(build, BUILD_HEAP_RING(shard), events, count);
	build->compress = NULL;
}

/* Chunks of all sizes in four rings, some around the bounds of what is decoded ahead. */
static struct build_trace *
mixed_trace(void)
{
	static const uint32_t sizes[] = {VMT_READ_AHEAD_LEAST_RECORDS - 1,
					 VMT_READ_AHEAD_LEAST_RECORDS,
					 4096,
					 4097,
					 9000,
					 MOST,
					 MOST + 1,
					 7};
	struct build_trace *build = begin();
	uint64_t from[SHARDS] = {0, 17, 40, 90};

	for (unsigned i = 0; i < 45; i++) {
		uint32_t shard = (uint32_t)pick(SHARDS);
		uint32_t size = sizes[i < 8 ? i : pick(8)];

		add_chunk(build, shard, from[shard], size);
		from[shard] += size / 2;
		if (pick(3) == 0)
			build_trace_usage(
			    build, &(struct vmt_usage){.time = BUILD_START + from[shard]}, 1);
	}
	return build;
}

struct reading {
	struct vmt_trace *trace;
	struct vmt_merge *merge;
	struct vmt_err err;
};

static void
open_reading(struct reading *reading, bool ahead)
{
	*reading = (struct reading){.err = {""}};
	assert_int_equal(vmt_trace_open(&reading->trace, path, &reading->err), 0);
	assert_int_equal(vmt_merge_open(&reading->merge, reading->trace, &reading->err), 0);
	if (ahead)
		vmt_merge_read_ahead(reading->merge);
}

static void
close_reading(struct reading *reading)
{
	vmt_merge_close(reading->merge);
	vmt_trace_close(reading->trace);
}

static void
write_trace(struct build_trace *build)
{
	fd = build_trace_memfd(build, path);
	build_trace_free(build);
}

static void
assert_same_record(const struct vmt_record *one, const struct vmt_record *other)
{
	assert_int_equal(one->kind, other->kind);
	if (one->kind == VMT_RECORD_END)
		return;
	assert_int_equal(one->time, other->time);
	if (one->kind == VMT_RECORD_EVENT)
		assert_memory_equal(&one->event, &other->event, sizeof(one->event));
}

/* With and without; how many records there are before the end or an error, which is the result. */
static uint64_t
compare(int *result)
{
	struct vmt_record one = {.kind = VMT_RECORD_USAGE};
	struct vmt_record other;
	struct reading plain, ahead;
	uint64_t records = 0;

	open_reading(&plain, false);
	open_reading(&ahead, true);
	for (*result = 0; *result == 0 && one.kind != VMT_RECORD_END; records++) {
		*result = vmt_merge_next(plain.merge, &one, &plain.err);
		assert_int_equal(vmt_merge_next(ahead.merge, &other, &ahead.err), *result);
		if (*result == 0)
			assert_same_record(&one, &other);
	}
	assert_string_equal(plain.err.text, ahead.err.text);
	assert_int_equal(vmt_merge_events_unknown(plain.merge),
			 vmt_merge_events_unknown(ahead.merge));
	assert_int_equal(vmt_merge_chunks_opened(plain.merge),
			 vmt_merge_chunks_opened(ahead.merge));
	close_reading(&plain);
	close_reading(&ahead);
	return records;
}

static void
records_are_the_same(void **state)
{
	int result;

	(void)state;
	for (uint64_t seed = 1; seed < 3; seed++) {
		state_of_random = seed;
		write_trace(mixed_trace());
		assert_true(compare(&result) > 50000);
		assert_int_equal(result, 0);
		close(fd);
	}
}

/* Of which more overlap than are decoded ahead at once. */
static void
so_they_are_where_many_chunks_overlap(void **state)
{
	struct build_trace *build = begin();
	int result;

	(void)state;
	state_of_random = 7;
	for (unsigned i = 0; i < 24; i++)
		add_chunk(build, i % SHARDS, i * 20, MOST);
	write_trace(build);
	assert_int_equal(compare(&result), 24 * MOST + 1);
	assert_int_equal(result, 0);
	close(fd);
}

static void
errors_are_the_same(void **state)
{
	int result;

	(void)state;
	for (unsigned what = 0; what < 3; what++) {
		struct build_trace *build = begin();
		struct vmt_chunk *last;

		state_of_random = what;
		for (unsigned i = 0; i < 12; i++)
			add_chunk(build, 0, i * 4500, 9000);
		last = build_trace_last_chunk(build);
		last->events += what == 0;
		last->events -= what == 1;
		last->time_min += what == 2 ? 5000 : 0;
		build_trace_seal(last);
		write_trace(build);
		assert_true(compare(&result) > 90000);
		assert_int_equal(result, -EBADMSG);
		close(fd);
	}
}

/* Wherever a reader stops, the thread ends. */
static void
a_reader_may_stop_anywhere(void **state)
{
	(void)state;
	state_of_random = 5;
	write_trace(mixed_trace());
	for (unsigned stop = 0; stop < 10; stop++) {
		struct reading reading;
		struct vmt_record record;

		open_reading(&reading, true);
		for (unsigned i = 0; i < stop * 4000; i++)
			assert_int_equal(vmt_merge_next(reading.merge, &record, &reading.err), 0);
		close_reading(&reading);
	}
	close(fd);
}

/* Blocks that the thread has decoded while this one read the trace once more for each chunk;
 * UINT32_MAX: there is no thread. */
static uint32_t
count_decoded(struct vmt_trace *trace)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);
	uint32_t *order = calloc(count, sizeof(*order));
	struct vmt_read_ahead_chunk chunk;
	struct vmt_read_ahead *ahead;
	struct reading other;
	uint32_t decoded = 0;
	size_t those = 0;

	assert_non_null(order);
	for (uint32_t i = 0; i < count; i++)
		if (vmt_read_ahead_is_for(&chunks[i].header))
			order[those++] = i;
	assert_true(those > VMT_READ_AHEAD_CHUNKS);
	ahead = vmt_read_ahead_start(vmt_trace_file(trace), chunks, order, those);
	for (size_t i = 0; ahead && i < those; i++) {
		open_reading(&other, false);
		close_reading(&other);
		vmt_read_ahead_take(ahead, order[i], &chunk);
		decoded += chunk.count;
		while (chunk.count > 0)
			vmt_read_ahead_give_back(ahead, chunk.blocks[--chunk.count]);
	}
	vmt_read_ahead_close(ahead);
	return ahead ? decoded : UINT32_MAX;
}

static void
the_thread_decodes_meanwhile(void **state)
{
	struct vmt_err err = {""};
	struct vmt_trace *trace;
	uint32_t decoded = 0;

	(void)state;
	state_of_random = 5;
	write_trace(mixed_trace());
	assert_int_equal(vmt_trace_open(&trace, path, &err), 0);
	for (unsigned tries = 0; tries < 20 && decoded == 0; tries++)
		decoded = count_decoded(trace);
	assert_true(decoded > 0);
	vmt_trace_close(trace);
	close(fd);
}

/* A header alone must not make the thread take much memory. */
static void
claims_of_many_bytes_are_left_to_the_reader(void **state)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_EVENTS, .events = MOST};

	(void)state;
	chunk.raw_bytes = chunk.payload_bytes = VMT_COLUMNS_ROOM(MOST);
	assert_true(vmt_read_ahead_is_for(&chunk));
	chunk.raw_bytes++;
	assert_false(vmt_read_ahead_is_for(&chunk));
	chunk.raw_bytes--;
	chunk.payload_bytes++;
	assert_false(vmt_read_ahead_is_for(&chunk));
}

static void
one_cpu_has_no_second_thread(void **state)
{
	cpu_set_t before, one;
	uint32_t *order = calloc(1, sizeof(*order));
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_null(vmt_read_ahead_start(NULL, NULL, order, 1));
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_are_the_same),
	    cmocka_unit_test(so_they_are_where_many_chunks_overlap),
	    cmocka_unit_test(errors_are_the_same),
	    cmocka_unit_test(a_reader_may_stop_anywhere),
	    cmocka_unit_test(the_thread_decodes_meanwhile),
	    cmocka_unit_test(claims_of_many_bytes_are_left_to_the_reader),
	    cmocka_unit_test(one_cpu_has_no_second_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
