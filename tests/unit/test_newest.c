/*
 * test_newest.c: is what a growing trace says last found, for what is new, whatever the bytes are?
 */
#include "tests/unit/build_trace.h"
#include "tests/unit/trace_file.h"
#include "tools/read/trace/newest.h"
#include "tools/read/trace/trace_head.h"
#include "tools/read/trace/zstd.h"

#define MIB (UINT64_C(1) << 20)

static struct build_trace *build;
static uint64_t now;

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	return vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);
}

static void
begin(void)
{
	build = build_trace_new(NULL);
	now = BUILD_START;
}

static void
add_usage(uint64_t rss_bytes)
{
	struct vmt_usage usage = {.time = now, .monotonic_ns = now, .rss_bytes = rss_bytes};

	now += 1000;
	build_trace_usage(build, &usage, 1);
}

static void
add_snapshot(uint64_t pages)
{
	struct vmt_run run = {0x10000000, pages << 12, VMT_RUN_PRESENT};
	struct build_mapping part = {
	    .mapping = {.start = run.start, .end = run.start + run.bytes, .protection = 3},
	    .runs = &run,
	    .run_count = 1};
	struct vmt_snapshot_head head = {
	    .time = now, .monotonic_ns = now, .source = VMT_RESIDENCY_PAGEMAP_SCAN};

	now += 1000;
	build_trace_snapshot(build, &head, &part, 1);
}

static void
add_title(const char *words, size_t length)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_TITLE, .time_min = now, .time_max = now};

	build_trace_chunk(build, &chunk, words, length);
}

/* How the file as it is now is read; whether to its end. */
static bool
read_on(struct vmt_newest *newest, bool begins, uint64_t until_ns)
{
	struct vmt_file_reader file;
	struct vmt_err err = {""};
	struct vmt_head head;
	bool done;

	build_trace_write(build, trace_file_path);
	assert_int_equal(vmt_file_reader_open(&file, trace_file_path, &err), 0);
	assert_int_equal(vmt_trace_head_read(&file, &head, &err), 0);
	if (begins)
		vmt_newest_begin(newest, &head);
	done = vmt_newest_read(newest, &file, &head, until_ns);
	vmt_file_reader_close(&file);
	return done;
}

static void
test_what_is_new_is_read(void **state)
{
	struct vmt_newest newest;
	uint64_t sequence;

	(void)state;
	begin();
	assert_true(read_on(&newest, true, UINT64_MAX));
	assert_true(newest.rss_bytes == VMT_FIGURE_UNKNOWN);
	assert_string_equal(newest.title, "victim --flag");
	for (int i = 0; i < 5; i++)
		add_usage(7 * MIB);
	add_usage(8 * MIB);
	assert_true(read_on(&newest, false, UINT64_MAX));
	assert_true(newest.rss_bytes == 8 * MIB);
	assert_int_equal(newest.sequence, 6);
	add_snapshot(3);
	add_title("worker\0busy\0", 12);
	assert_true(read_on(&newest, false, UINT64_MAX));
	assert_true(newest.rss_bytes == 3 << 12);
	assert_string_equal(newest.title, "worker busy");
	sequence = newest.sequence;
	assert_true(read_on(&newest, false, UINT64_MAX));
	assert_int_equal(newest.sequence, sequence);
	assert_true(newest.rss_bytes == 3 << 12);
	build_trace_free(build);
}

/* Readings are held back and written later than a snapshot that was taken after them. */
static void
test_the_latest_moment_counts(void **state)
{
	struct vmt_usage usage = {.time = BUILD_START, .monotonic_ns = BUILD_START, .rss_bytes = 1};
	struct vmt_newest newest;

	(void)state;
	begin();
	add_usage(VMT_FIGURE_UNKNOWN);
	add_snapshot(5);
	build_trace_usage(build, &usage, 1);
	assert_true(read_on(&newest, true, UINT64_MAX));
	assert_true(newest.rss_bytes == 5 << 12);
	add_snapshot(9);
	add_usage(7 * MIB);
	assert_true(read_on(&newest, true, UINT64_MAX));
	assert_true(newest.rss_bytes == 7 * MIB);
	build_trace_free(build);
}

static void
test_compressed_payloads(void **state)
{
	struct vmt_usage usages[64];
	struct vmt_newest newest;

	(void)state;
	begin();
	build->compress = compress;
	memset(usages, 0, sizeof(usages));
	for (size_t i = 0; i < 64; i++) {
		usages[i].time = usages[i].monotonic_ns = now + i;
		usages[i].rss_bytes = i * MIB;
	}
	build_trace_usage(build, usages, 64);
	assert_true(read_on(&newest, true, UINT64_MAX));
	assert_true(newest.rss_bytes == 63 * MIB);
	build_trace_free(build);
}

/* A long trace is read in several goes, each of which comes further. */
static void
test_time_is_over(void **state)
{
	struct vmt_newest newest;
	unsigned goes = 1;

	(void)state;
	begin();
	for (uint64_t i = 1; i <= 200; i++)
		add_usage(i * MIB);
	assert_false(read_on(&newest, true, 0));
	assert_true(newest.rss_bytes == VMT_FIGURE_UNKNOWN);
	while (!read_on(&newest, false, 0))
		goes++;
	assert_int_equal(goes, 3);
	assert_true(newest.rss_bytes == 200 * MIB);
	build_trace_free(build);
}

/* Of the last chunk the file has a part, then all but its last bytes are right, then all. */
static void
test_a_chunk_that_is_being_written(void **state)
{
	struct vmt_newest newest;
	size_t whole;

	(void)state;
	begin();
	add_usage(MIB);
	assert_true(read_on(&newest, true, UINT64_MAX));
	add_usage(2 * MIB);
	whole = build->length;
	build->length -= 16;
	assert_true(read_on(&newest, false, UINT64_MAX));
	assert_true(newest.rss_bytes == MIB);
	build->length = whole;
	build->bytes[whole - 9] ^= 1;
	assert_true(read_on(&newest, false, UINT64_MAX));
	assert_true(newest.rss_bytes == MIB);
	build->bytes[whole - 9] ^= 1;
	assert_true(read_on(&newest, false, UINT64_MAX));
	assert_true(newest.rss_bytes == 2 * MIB);
	build_trace_free(build);
}

/* Headers that lie: nothing of them is believed, and what was read before stays. */
static void
test_damaged_headers(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct vmt_newest newest;
		struct vmt_chunk *chunk;

		begin();
		add_usage(MIB);
		add_usage(2 * MIB);
		chunk = build_trace_last_chunk(build);
		if (kind == 0)
			chunk->sequence = 7;
		else if (kind == 1)
			chunk->payload_bytes = UINT32_MAX;
		else if (kind == 2)
			chunk->record_bytes = UINT32_MAX;
		else
			chunk->magic = 0;
		if (kind != 1)
			build_trace_seal(chunk);
		assert_true(read_on(&newest, true, UINT64_MAX));
		assert_true(newest.rss_bytes == (kind == 2 ? VMT_FIGURE_UNKNOWN : MIB));
		build_trace_free(build);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_new_is_read),
	    cmocka_unit_test(test_the_latest_moment_counts),
	    cmocka_unit_test(test_compressed_payloads),
	    cmocka_unit_test(test_time_is_over),
	    cmocka_unit_test(test_a_chunk_that_is_being_written),
	    cmocka_unit_test(test_damaged_headers),
	};

	return cmocka_run_group_tests(tests, trace_file_begin, trace_file_end);
}
