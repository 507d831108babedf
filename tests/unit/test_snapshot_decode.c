#include "sample_trace.h"

#include <errno.h>

#include "tools/read/trace/snapshot_decode.h"

static struct vmt_trace *trace;
static int trace_fd;

static void
begin(struct build_trace *build)
{
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];

	trace_fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_trace_open(&trace, path, &err), 0);
	build_trace_free(build);
}

static void
end(void)
{
	vmt_trace_close(trace);
	close(trace_fd);
}

/* Reads the first snapshot there is. */
static int
read_snapshot(struct vmt_snapshot *snapshot, struct vmt_err *err)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	for (size_t i = 0; i < count; i++) {
		if (chunks[i].header.kind == VMT_CHUNK_SNAPSHOT)
			return vmt_snapshot_decode(snapshot, trace, &chunks[i], err);
	}
	fail_msg("no snapshot in the trace");
	return 0;
}

static void
gives_back_mappings_and_runs(void **state)
{
	struct vmt_snapshot snapshot;
	struct vmt_err err = {""};

	(void)state;
	begin(sample_trace_new(NULL));
	assert_int_equal(read_snapshot(&snapshot, &err), 0);
	end(); /* a snapshot owns what it points to */
	assert_int_equal(snapshot.head.mappings, 3);
	assert_int_equal(snapshot.head.runs, 4);
	assert_int_equal(snapshot.head.resident_bytes, 12288);
	assert_int_equal(snapshot.mappings[0].mapping.start, 0x400000);
	assert_int_equal(snapshot.mappings[0].mapping.inode, 99);
	assert_int_equal(snapshot.mappings[0].mapping.device, 0x801);
	assert_int_equal(snapshot.mappings[0].mapping.protection, 5);
	assert_memory_equal(snapshot.mappings[0].mapping.path, "/usr/bin/victim", 15);
	assert_int_equal(snapshot.mappings[0].runs, 1);
	assert_int_equal(snapshot.runs[0].start, 0x400000);
	assert_int_equal(snapshot.runs[0].kind, VMT_RUN_PRESENT | VMT_RUN_FILE);
	assert_int_equal(snapshot.mappings[1].first_run, 1);
	assert_int_equal(snapshot.mappings[1].runs, 3);
	assert_int_equal(snapshot.mappings[1].mapping.path_bytes, 0);
	assert_int_equal(snapshot.runs[3].start, SAMPLE_BASE + 20480);
	assert_int_equal(snapshot.runs[3].bytes, 4096);
	assert_int_equal(snapshot.runs[3].kind, VMT_RUN_SWAPPED);
	assert_memory_equal(snapshot.mappings[2].mapping.path, "[stack]", 7);
	assert_int_equal(snapshot.mappings[2].runs, 0);
	vmt_snapshot_decode_free(&snapshot);
}

static void
takes_a_snapshot_of_nothing(void **state)
{
	const struct vmt_snapshot_head head = {.time = BUILD_START};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_snapshot snapshot;
	struct vmt_err err = {""};

	(void)state;
	build_trace_snapshot(build, &head, NULL, 0);
	begin(build);
	assert_int_equal(read_snapshot(&snapshot, &err), 0);
	assert_int_equal(snapshot.head.mappings, 0);
	assert_false(snapshot.coarse);
	vmt_snapshot_decode_free(&snapshot);
	end();
}

static void
says_where_it_is_coarse(void **state)
{
	const struct vmt_snapshot_head head = {.time = BUILD_START};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_snapshot snapshot;
	struct vmt_err err = {""};

	(void)state;
	build_trace_snapshot(build, &head, NULL, 0);
	build_trace_last_chunk(build)->flags |= VMT_CHUNK_COARSE;
	build_trace_seal(build_trace_last_chunk(build));
	begin(build);
	assert_int_equal(read_snapshot(&snapshot, &err), 0);
	assert_true(snapshot.coarse);
	vmt_snapshot_decode_free(&snapshot);
	end();
}

/* Bytes that the codec takes, and that still can't be a snapshot. */
static void
expect_malformed(const struct build_mapping *parts, uint32_t count)
{
	const struct vmt_snapshot_head head = {.time = BUILD_START};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_snapshot snapshot;
	struct vmt_err err = {""};

	build_trace_snapshot(build, &head, parts, count);
	begin(build);
	assert_int_equal(read_snapshot(&snapshot, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "malformed"));
	assert_null(snapshot.mappings);
	end();
}

static void
refuses_mappings_out_of_order(void **state)
{
	const struct build_mapping overlap[] = {{{.start = 0x10000, .end = 0x20000}, NULL, 0},
						{{.start = 0x1f000, .end = 0x30000}, NULL, 0}};
	const struct build_mapping backwards[] = {{{.start = 0x20000, .end = 0x30000}, NULL, 0},
						  {{.start = 0x10000, .end = 0x11000}, NULL, 0}};
	const struct build_mapping empty = {{.start = 0x10000, .end = 0x10000}, NULL, 0};
	const struct build_mapping crooked = {{.start = 0x10001, .end = 0x11001}, NULL, 0};

	(void)state;
	expect_malformed(overlap, 2);
	expect_malformed(backwards, 2);
	expect_malformed(&empty, 1);
	expect_malformed(&crooked, 1);
}

static void
refuses_runs_outside_or_out_of_order(void **state)
{
	static const struct vmt_run wrong[][2] = {
	    {{0x10000, 4096, 1}, {0xf000, 4096, 1}},		      /* before the mapping */
	    {{0x10000, 4096, 1}, {0x1f000, 8192, 1}},		      /* past its end */
	    {{0x10000, 8192, 1}, {0x11000, 4096, 1}},		      /* overlap */
	    {{0x10000, 4096, 1}, {0x12000, 0, 1}},		      /* nothing */
	    {{0x10000, 4096, 1}, {0x12000, 100, 1}},		      /* no pages */
	    {{0x10000, 4096, 1}, {0x12000, UINT64_MAX - 0x12fff, 1}}, /* nearly wraps */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct build_mapping part = {{.start = 0x10000, .end = 0x20000}, wrong[i], 2};

		expect_malformed(&part, 1);
	}
}

static void
refuses_pages_in_two_places(void **state)
{
	static const uint32_t wrong[] = {
	    VMT_RUN_HUGETLB | VMT_RUN_PRESENT,
	    VMT_RUN_HUGETLB | VMT_RUN_SWAPPED,
	    VMT_RUN_HUGETLB | VMT_RUN_PRESENT | VMT_RUN_HUGE,
	    VMT_RUN_HUGETLB | VMT_RUN_SHARED,
	    VMT_RUN_PRESENT | VMT_RUN_SWAPPED,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct vmt_run run = {0x10000, 4096, wrong[i]};
		const struct build_mapping part = {{.start = 0x10000, .end = 0x20000}, &run, 1};

		expect_malformed(&part, 1);
	}
}

static void
refuses_counts_that_are_not_there(void **state)
{
	const struct vmt_snapshot_head claims[] = {
	    {.time = BUILD_START, .mappings = UINT32_MAX},
	    {.time = BUILD_START, .runs = UINT32_MAX},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct vmt_chunk chunk = {.kind = VMT_CHUNK_SNAPSHOT};
		struct build_trace *build = build_trace_new(NULL);
		struct vmt_snapshot snapshot;
		struct vmt_err err = {""};

		build_trace_chunk(build, &chunk, &claims[i], sizeof(claims[i]));
		begin(build);
		assert_int_equal(read_snapshot(&snapshot, &err), -EBADMSG);
		end();
	}
}

static void
refuses_a_payload_cut_anywhere(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	unsigned char *payload;
	size_t whole;

	(void)state;
	sample_trace_snapshot(build, BUILD_START, 0);
	whole = build_trace_last_chunk(build)->payload_bytes;
	payload = malloc(whole);
	assert_non_null(payload);
	memcpy(payload, build_trace_last_chunk(build) + 1, whole);
	build_trace_free(build);
	for (size_t length = 0; length < whole; length++) {
		const struct vmt_chunk chunk = {.kind = VMT_CHUNK_SNAPSHOT};
		struct vmt_snapshot snapshot;
		struct vmt_err err = {""};

		build = build_trace_new(NULL);
		build_trace_chunk(build, &chunk, payload, length);
		begin(build);
		assert_int_equal(read_snapshot(&snapshot, &err), -EBADMSG);
		end();
	}
	free(payload);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_back_mappings_and_runs),
	    cmocka_unit_test(takes_a_snapshot_of_nothing),
	    cmocka_unit_test(says_where_it_is_coarse),
	    cmocka_unit_test(refuses_mappings_out_of_order),
	    cmocka_unit_test(refuses_runs_outside_or_out_of_order),
	    cmocka_unit_test(refuses_pages_in_two_places),
	    cmocka_unit_test(refuses_counts_that_are_not_there),
	    cmocka_unit_test(refuses_a_payload_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
