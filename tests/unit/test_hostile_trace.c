/*
 * Traces that a hostile writer made: whole behind every checksum, wrong in what they say. All that
 * reads a trace must end, in bounded memory, with a report or an error.
 */
#include "tests/fuzz/seal_trace.h"
#include "tests/soak.h"
#include "tests/unit/read_all.h"
#include "tests/unit/sample_trace.h"
#include "tools/read/trace/zstd.h"

#include <sys/resource.h>

#define MOST_CHUNKS 16u

/* AddressSanitizer asks for it. */
const char *__asan_default_options(void);

/* Memory that is not to be had is an error here, as it is without the sanitizer. */
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static const uint64_t claims[] = {UINT64_C(1) << 60, UINT64_MAX, UINT64_C(1) << 63,
				  UINT64_C(0x7fffffff7fffffff), 0};

static size_t chunk_at[MOST_CHUNKS + 1];
static size_t chunk_count;

static long
peak_rss_kib(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

static struct build_trace *
make_sample(void)
{
	struct build_trace *build = sample_trace_new(NULL);
	uint64_t at = build_trace_head(build)->chunks_offset;
	struct vmt_chunk chunk;

	sample_trace_add_touch(build);
	chunk_count = 0;
	chunk_at[0] = at;
	while (seal_trace_next(build->bytes, build->length, &at, &chunk) != NULL) {
		assert_true(chunk_count < MOST_CHUNKS);
		chunk_at[++chunk_count] = at < build->length ? at : build->length;
	}
	assert_int_equal(chunk_count, SAMPLE_CHUNKS + 1);
	return build;
}

/* Reads what the bytes are as a file. */
static void
read_bytes(const unsigned char *bytes, size_t length)
{
	char path[BUILD_PATH_BYTES];
	int fd = memfd_create("hostile", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_all(path);
	close(fd);
}

/* The sample with its chunks in this order; renumbered and sealed, or as they were. */
static void
read_in_order(const struct build_trace *build, const size_t *order, size_t count, bool renumbered)
{
	unsigned char *bytes = malloc(build->length * 2);
	size_t length = chunk_at[0];

	assert_non_null(bytes);
	memcpy(bytes, build->bytes, length);
	for (size_t i = 0; i < count; i++) {
		size_t piece = chunk_at[order[i] + 1] - chunk_at[order[i]];

		memcpy(bytes + length, build->bytes + chunk_at[order[i]], piece);
		length += piece;
	}
	if (renumbered) {
		seal_trace_order(bytes, length);
		seal_trace(bytes, length);
	}
	read_bytes(bytes, length);
	free(bytes);
}

static void
chunks_may_come_twice_or_never_or_in_another_order(void **state)
{
	struct build_trace *build = make_sample();
	size_t order[MOST_CHUNKS];

	(void)state;
	for (size_t i = 0; i < chunk_count; i++) {
		for (size_t j = 0; j < 2 * chunk_count; j++) {
			size_t count = 0;

			for (size_t k = 0; k < chunk_count; k++) {
				order[count++] = k;
				if (j == i && k == i)
					order[count++] = k; /* twice */
				if (j == i + chunk_count && k == i)
					count--; /* never */
			}
			if (j < chunk_count && j != i) {
				order[i] = j;
				order[j] = i;
			}
			read_in_order(build, order, count, true);
			read_in_order(build, order, count, false);
		}
	}
	build_trace_free(build);
}

/* Every word of a range claims too much, in turn. */
static void
claim_too_much(struct build_trace *build, size_t from, size_t bytes, size_t width)
{
	for (size_t at = from; at + width <= from + bytes; at += width) {
		unsigned char kept[8];

		memcpy(kept, build->bytes + at, width);
		for (size_t i = 0; i < sizeof(claims) / sizeof(*claims); i++) {
			memcpy(build->bytes + at, &claims[i], width);
			seal_trace(build->bytes, build->length);
			read_bytes(build->bytes, build->length);
		}
		memcpy(build->bytes + at, kept, width);
	}
	seal_trace(build->bytes, build->length);
}

static void
a_head_may_claim_anything(void **state)
{
	struct build_trace *build = make_sample();
	size_t numbers = offsetof(struct vmt_head, cmdline_bytes);

	(void)state;
	claim_too_much(build, 0, offsetof(struct vmt_head, exe), 8);
	claim_too_much(build, numbers, offsetof(struct vmt_head, go) - numbers, 4);
	claim_too_much(build, numbers & ~(size_t)7, offsetof(struct vmt_head, go) - numbers, 8);
	build_trace_free(build);
}

static void
tables_may_claim_anything(void **state)
{
	struct build_trace *build = make_sample();
	const struct vmt_head *head = build_trace_head(build);

	(void)state;
	claim_too_much(build, head->controls_offset, 256, 8);
	claim_too_much(build, head->slots_offset, 256, 8);
	claim_too_much(build, head->stack_words_offset, 64, 8);
	claim_too_much(build, head->modules_offset, 128, 4);
	build_trace_free(build);
}

static void
chunks_may_claim_anything(void **state)
{
	struct build_trace *build = make_sample();

	(void)state;
	for (size_t i = 0; i < chunk_count; i++) {
		claim_too_much(build, chunk_at[i], sizeof(struct vmt_chunk), 4);
		claim_too_much(build, chunk_at[i], chunk_at[i + 1] - chunk_at[i], 8);
	}
	build_trace_free(build);
}

/* Rings as large as they may be, in a file that is one hole: 24 GiB that nobody has written. */
static void
rings_of_holes_cost_no_memory(void **state)
{
	struct build_trace *build;
	struct vmt_head head;
	char path[BUILD_PATH_BYTES];
	long before = peak_rss_kib();
	int fd;

	(void)state;
	build = make_sample();
	head = *build_trace_head(build);
	head.shards = VMT_MAX_SHARDS;
	head.heap_capacity = UINT32_C(1) << 24;
	head.map_capacity = UINT32_C(1) << 24;
	vmt_head_lay_out(&head);
	fd = build_trace_memfd(build, path);
	assert_int_equal(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
	assert_int_equal(ftruncate(fd, (off_t)head.chunks_offset), 0);
	read_all(path);
	/* A ring that says it is full of what was never written. */
	uint64_t full = head.heap_capacity;

	assert_int_equal(pwrite(fd, &full, sizeof(full), (off_t)head.controls_offset),
			 sizeof(full));
	walk_trace(path);
	close(fd);
	build_trace_free(build);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(peak_rss_kib() - before < 64 * 1024);
#else
	(void)before;
#endif
}

/* Some kilobytes that decompress to millions of records of one instant. */
static void
add_packed_events(struct build_trace *build, uint32_t count)
{
	size_t room = VMT_COLUMNS_ROOM(count);
	unsigned char *payload = malloc(room);
	unsigned char *packed = malloc(room);
	struct vmt_event event = {
	    .time = BUILD_START, .kind = VMT_EVENT_FREE, .address = SAMPLE_BASE};
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_EVENTS,
				  .flags = VMT_CHUNK_ZSTD,
				  .events = count,
				  .position_to = count,
				  .time_min = BUILD_START,
				  .time_max = BUILD_START};
	struct vmt_columns_encoder encoder;

	assert_non_null(payload);
	assert_non_null(packed);
	vmt_columns_begin_encode(&encoder, payload, room, 1);
	for (uint32_t i = 0; i < count; i++)
		assert_true(vmt_columns_put(&encoder, &event));
	chunk.magic = VMT_CHUNK_MAGIC;
	chunk.raw_bytes = (uint32_t)vmt_columns_end_encode(&encoder);
	chunk.payload_bytes =
	    (uint32_t)vmt_zstd_compress(NULL, packed, room, payload, chunk.raw_bytes);
	assert_in_range(chunk.payload_bytes, 1, 65536);
	build->last_chunk = build->length;
	build_trace_append(build, &chunk, sizeof(chunk));
	build_trace_append(build, packed, chunk.payload_bytes);
	build_trace_seal(build_trace_last_chunk(build));
	free(payload);
	free(packed);
}

static void
records_without_end_are_refused(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct walk_result walk;
	char path[BUILD_PATH_BYTES];
	long before = peak_rss_kib();
	int fd;

	(void)state;
	add_packed_events(build, 3000000);
	fd = build_trace_memfd(build, path);
	walk = walk_trace(path);
	assert_int_equal(walk.result, -E2BIG);
	assert_non_null(strstr(walk.err.text, "one time stamp"));
	close(fd);
	build_trace_free(build);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(peak_rss_kib() - before < 700 * 1024);
#else
	(void)before;
#endif
}

/* Refused by what it says, before a record is read. */
static void
a_bomb_of_records_is_not_read(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_trace *trace;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd;

	(void)state;
	add_packed_events(build, 1000000);
	build_trace_repeat(build, 15);
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_trace_open(&trace, path, &err), 0); /* 2^24 are always allowed */
	vmt_trace_close(trace);
	close(fd);
	build_trace_repeat(build, 1); /* out of order: as if it were not there */
	build_trace_last_chunk(build)->sequence = 16;
	build_trace_seal(build_trace_last_chunk(build));
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_trace_open(&trace, path, &err), -E2BIG);
	assert_non_null(strstr(err.text, "claims 17000000 records"));
	close(fd);
	build_trace_free(build);
}

static void
work_without_end_is_given_up(void **state)
{
	struct vmt_report_options options = {.cpu_ns = 1};
	struct build_trace *build = make_sample();
	struct vmt_err err = {{0}};
	struct vmt_report *report;
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, path);

	(void)state;
	assert_int_equal(vmt_report_build(&report, path, &options, &err), -E2BIG);
	assert_non_null(strstr(err.text, "gave up"));
	assert_null(report);
	options.cpu_ns = 0;
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	vmt_report_free(report);
	close(fd);
	build_trace_free(build);
}

/* The times of a line lie 2^64 apart, and go back and forth. */
static void
times_may_be_anything(void **state)
{
	static const uint64_t times[] = {0, UINT64_C(1) << 63, UINT64_MAX, 1, INT64_MAX};
	struct build_trace *build = make_sample();

	(void)state;
	for (size_t first = 0; first < 5; first++) {
		struct vmt_usage usage[5] = {{0}};

		for (size_t i = 0; i < 5; i++)
			usage[i] = (struct vmt_usage){.time = times[(first + i) % 5],
						      .monotonic_ns = times[(first + 2 * i) % 5],
						      .rss_bytes = times[i]};
		build_trace_usage(build, usage, 5);
		build_trace_last_chunk(build)->time_min = 0;
		build_trace_last_chunk(build)->time_max = UINT64_MAX;
		build_trace_seal(build_trace_last_chunk(build));
	}
	read_bytes(build->bytes, build->length);
	build_trace_head(build)->clock = VMT_CLOCK_TSC;
	read_bytes(build->bytes, build->length);
	build_trace_free(build);
}

/* Modules over one another, backwards, around the end of the address space, and of no name. */
static void
modules_may_lie_anywhere(void **state)
{
	static const uint64_t frames[] = {0x401234, 0x402300, 0x7f1111111111};
	struct build_trace *build = build_trace_new(NULL);
	uint32_t stack = build_trace_stack(build, frames, 3);
	uint32_t module = build_trace_module(build, "/usr/lib/another");
	uint64_t random = 1;

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct vmt_event event = {.time = BUILD_START + 11 + i, .argument_b = module};

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		event.kind = i % 3 ? VMT_EVENT_MODULE_LOAD : VMT_EVENT_MODULE_UNLOAD;
		if (i % 5 == 0)
			event.argument_b = i;
		event.address = 0x400000 + (random >> 40) % 0x4000;
		event.length = i % 7 ? (random >> 20) % 0x3000 : UINT64_MAX - i;
		event.argument_a = i % 2 ? event.address : random;
		build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
		event.kind = VMT_EVENT_MMAP;
		event.address = SAMPLE_BASE + i * 4096;
		event.length = 4096;
		event.stack = stack;
		build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
	}
	sample_trace_snapshot(build, BUILD_START + 200, 0);
	read_bytes(build->bytes, build->length);
	build_trace_free(build);
}

static void
what_is_left_of_a_trace_is_explained(void **state)
{
	struct build_trace *build = make_sample();

	(void)state;
	for (size_t length = 0; length < build->length; length += (size_t)soak_count(1531, 1))
		read_bytes(build->bytes, length);
	build_trace_free(build);
}

/* As the writer's checksums do not know it, and as if they did. */
static void
any_bit_may_be_wrong(void **state)
{
	struct build_trace *build = make_sample();
	size_t step = (size_t)soak_count(2411, 1);

	(void)state;
	for (size_t bit = 0; bit < build->length * 8; bit += step) {
		unsigned char *byte = &build->bytes[bit / 8];
		unsigned char kept = *byte;

		*byte ^= (unsigned char)(1u << bit % 8);
		read_bytes(build->bytes, build->length);
		seal_trace(build->bytes, build->length);
		read_bytes(build->bytes, build->length);
		*byte = kept;
		seal_trace(build->bytes, build->length);
	}
	build_trace_free(build);
}

/* Why there are no counters is told by who looked for the program, and said after that is gone. */
static void
a_go_program_may_be_gone(void **state)
{
	static const struct vmt_report_options options = {.at = VMT_AT_END};
	struct build_trace *build = make_sample();
	struct vmt_report *report;
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];
	int fd;

	(void)state;
	sample_trace_add_go(build);
	/* Of which nothing is known but what its file says. */
	strcpy(build_trace_head(build)->go.version, "go1.18.4");
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	assert_non_null(report->go.uncounted);
	assert_string_equal(report->go.uncounted, "file is gone or not readable");
	vmt_report_free(report);
	read_all(path);
	close(fd);
	build_trace_free(build);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rings_of_holes_cost_no_memory),
	    cmocka_unit_test(records_without_end_are_refused),
	    cmocka_unit_test(a_bomb_of_records_is_not_read),
	    cmocka_unit_test(work_without_end_is_given_up),
	    cmocka_unit_test(chunks_may_come_twice_or_never_or_in_another_order),
	    cmocka_unit_test(a_head_may_claim_anything),
	    cmocka_unit_test(tables_may_claim_anything),
	    cmocka_unit_test(chunks_may_claim_anything),
	    cmocka_unit_test(times_may_be_anything),
	    cmocka_unit_test(what_is_left_of_a_trace_is_explained),
	    cmocka_unit_test(any_bit_may_be_wrong),
	    cmocka_unit_test(a_go_program_may_be_gone),
	    cmocka_unit_test(modules_may_lie_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
