#include "sample_trace.h"
#include "trace_file.h"
#include "walk_trace.h"

#include <errno.h>
#include <sys/stat.h>

#include "tools/read/trace/zstd.h"

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	size_t written = vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);

	assert_true(written > 0);
	return written;
}

/* Opening fails with this errno, and a message that holds these words and the path. */
static void
check_refusal(const char *where, int code, const char *words)
{
	struct vmt_trace *trace;
	struct vmt_err err = {""};

	assert_int_equal(vmt_trace_open(&trace, where, &err), -code);
	assert_null(trace);
	assert_non_null(strstr(err.text, words));
	assert_non_null(strstr(err.text, where));
}

static struct vmt_trace *
open_trace(const struct build_trace *build)
{
	struct vmt_trace *trace;
	struct vmt_err err = {""};

	build_trace_write(build, trace_file_path);
	assert_int_equal(vmt_trace_open(&trace, trace_file_path, &err), 0);
	assert_string_equal(err.text, "");
	return trace;
}

static void
gives_back_what_was_written(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_trace *trace = open_trace(build);
	const uint64_t *frames;
	struct vmt_module module;
	uint32_t count;
	size_t chunks;
	int status;

	(void)state;
	assert_string_equal(vmt_trace_head(trace)->exe, "/usr/bin/victim");
	assert_string_equal(vmt_trace_path(trace), trace_file_path);
	assert_non_null(vmt_trace_chunks(trace, &chunks));
	assert_int_equal(chunks, SAMPLE_CHUNKS);
	frames = vmt_trace_stack(trace, 1, &count);
	assert_non_null(frames);
	assert_int_equal(count, 3);
	assert_int_equal(frames[0], 0x401234);
	assert_null(vmt_trace_stack(trace, 0, &count));
	assert_null(vmt_trace_stack(trace, 4, &count));
	assert_null(vmt_trace_stack(trace, UINT32_MAX, &count));
	assert_true(vmt_trace_module(trace, 8, &module));
	assert_int_equal(module.path_bytes, strlen("/usr/bin/victim"));
	assert_memory_equal(module.path, "/usr/bin/victim", module.path_bytes);
	assert_false(vmt_trace_module(trace, 0, &module));
	assert_false(vmt_trace_module(trace, 9, &module));
	assert_string_equal(vmt_trace_end(trace, &status), "exit");
	assert_int_equal(status, 3);
	assert_int_equal(vmt_trace_loss(trace)->cut_bytes, 0);
	assert_int_equal(vmt_trace_loss(trace)->events_missing, 0);
	vmt_trace_close(trace);
	build_trace_free(build);
}

/* All but the stacks is there, also after a refresh. */
static void
reads_without_stacks(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_trace *trace;
	struct vmt_module module;
	struct vmt_err err;
	uint32_t count;
	size_t chunks;

	(void)state;
	build_trace_write(build, trace_file_path);
	assert_int_equal(vmt_trace_open_without_stacks(&trace, trace_file_path, &err), 0);
	for (int i = 0; i < 2; i++) {
		assert_null(vmt_trace_stack(trace, 1, &count));
		assert_int_equal(count, 0);
		assert_true(vmt_trace_module(trace, 8, &module));
		assert_non_null(vmt_trace_chunks(trace, &chunks));
		assert_int_equal(chunks, SAMPLE_CHUNKS);
		assert_int_equal(vmt_trace_refresh(trace, &err), 0);
	}
	vmt_trace_close(trace);
	build_trace_free(build);
}

static void
reads_compressed_chunks_alike(void **state)
{
	size_t (*const packers[])(void *, size_t, const void *, size_t) = {NULL, compress};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct build_trace *build = build_trace_new(NULL);
		struct vmt_event events[200] = {{0}};
		struct walk_result walk;

		build->compress = packers[i];
		for (uint32_t e = 0; e < 200; e++)
			events[e] = (struct vmt_event){.time = BUILD_START + e,
						       .kind = VMT_EVENT_MALLOC,
						       .address = 16 * e,
						       .length = e % 7};
		build_trace_events(build, BUILD_HEAP_RING(0), events, 200);
		assert_int_equal(build_trace_last_chunk(build)->flags, i == 0 ? 0 : VMT_CHUNK_ZSTD);
		build_trace_write(build, trace_file_path);
		walk = walk_trace(trace_file_path);
		assert_int_equal(walk.result, 0);
		assert_int_equal(walk.events, 200);
		build_trace_free(build);
	}
}

static void
refuses_what_is_not_a_trace(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_head *head = build_trace_head(build);
	const char *missing = "/nonexistent/trace.vmt";
	static const char zeros[4096];

	(void)state;
	check_refusal(missing, ENOENT, strerror(ENOENT));
	check_refusal(trace_file_directory, EISDIR, "is a directory");
	check_refusal("/dev/null", ENOTSUP, "is not a regular file");
	build_trace_write_bytes(trace_file_path, "", 0);
	check_refusal(trace_file_path, ENODATA, "is empty");
	build_trace_write_bytes(trace_file_path, zeros, sizeof(zeros));
	check_refusal(trace_file_path, ENODATA, "ended before its recording began");
	build_trace_write_bytes(trace_file_path, "hello", 5);
	check_refusal(trace_file_path, EBADMSG, "is not a vmtrace trace");
	build_trace_write_bytes(trace_file_path, "VMTR", 4);
	check_refusal(trace_file_path, EBADMSG, "cut before the end of its head");
	head->version = 7;
	build_trace_write(build, trace_file_path);
	check_refusal(trace_file_path, EPROTONOSUPPORT, "version 7");
	head->version = VMT_VERSION;
	head->features |= 0x10;
	build_trace_write(build, trace_file_path);
	check_refusal(trace_file_path, EPROTONOSUPPORT, "features 0x10");
	build_trace_free(build);
}

static void
refuses_a_fifo_without_waiting(void **state)
{
	(void)state;
	unlink(trace_file_path);
	assert_int_equal(mkfifo(trace_file_path, 0600), 0);
	check_refusal(trace_file_path, ENOTSUP, "is not a regular file");
	unlink(trace_file_path);
}

static void
refuses_claims_beyond_the_file(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_head *head = build_trace_head(build);
	struct vmt_head kept = *head;

	(void)state;
	head->chunks_offset = UINT64_C(1) << 60;
	build_trace_write(build, trace_file_path);
	check_refusal(trace_file_path, EBADMSG, "damaged head");
	*head = kept;
	head->stack_words = UINT64_C(1) << 31;
	vmt_head_lay_out(head);
	build_trace_write(build, trace_file_path);
	check_refusal(trace_file_path, EBADMSG, "cut before the end of its head");
	build_trace_free(build);
}

static void
takes_a_flood_of_empty_chunks(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_chunk flood[1000] = {{0}};
	struct walk_result walk;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		flood[i] = (struct vmt_chunk){
		    .magic = VMT_CHUNK_MAGIC, .kind = (uint16_t)(1 + i % 6), .sequence = i};
		if (flood[i].kind == VMT_CHUNK_SNAPSHOT)
			flood[i].kind = VMT_CHUNK_MAY_BE_SKIPPED + 77;
		build_trace_seal(&flood[i]);
	}
	build_trace_append(build, flood, sizeof(flood));
	build_trace_write(build, trace_file_path);
	walk = walk_trace(trace_file_path);
	assert_int_equal(walk.result, 0);
	assert_int_equal(walk.chunks, 1000);
	assert_int_equal(walk.events, 0);
	assert_int_equal(walk.loss.chunks_unknown, 167);
	build_trace_free(build);
}

static void
stops_at_a_gap_in_the_sequence(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct walk_result walk;

	(void)state;
	build_trace_last_chunk(build)->sequence++;
	build_trace_seal(build_trace_last_chunk(build));
	build_trace_write(build, trace_file_path);
	walk = walk_trace(trace_file_path);
	assert_int_equal(walk.result, 0);
	assert_int_equal(walk.chunks, SAMPLE_CHUNKS - 1);
	assert_int_equal(walk.loss.cut_bytes, build->length - build->last_chunk);
	build_trace_free(build);
}

static void
refuses_a_frame_that_belies_its_size(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event events[100] = {{0}};
	struct walk_result walk;

	(void)state;
	build->compress = compress;
	for (uint32_t i = 0; i < 100; i++)
		events[i] = (struct vmt_event){.time = BUILD_START, .kind = VMT_EVENT_MALLOC};
	build_trace_events(build, BUILD_HEAP_RING(0), events, 100);
	build_trace_last_chunk(build)->raw_bytes = VMT_CHUNK_MAX_BYTES;
	build_trace_seal(build_trace_last_chunk(build));
	build_trace_write(build, trace_file_path);
	walk = walk_trace(trace_file_path);
	assert_int_equal(walk.result, -EBADMSG);
	assert_non_null(strstr(walk.err.text, "decompressed"));
	build_trace_free(build);
}

static int64_t
time_in(const struct vmt_head *wanted, uint64_t usage_ticks, uint64_t usage_ns, uint64_t ticks)
{
	struct build_trace *build = build_trace_new(wanted);
	struct vmt_usage usage = {.time = usage_ticks, .monotonic_ns = usage_ns};
	struct vmt_trace *trace;
	int64_t time_ns;

	if (usage_ticks != 0)
		build_trace_usage(build, &usage, 1);
	trace = open_trace(build);
	time_ns = vmt_trace_time_ns(trace, ticks);
	vmt_trace_close(trace);
	build_trace_free(build);
	return time_ns;
}

static void
turns_ticks_into_nanoseconds(void **state)
{
	struct vmt_head head;

	(void)state;
	build_trace_default_head(&head);
	assert_int_equal(time_in(&head, 0, 0, BUILD_START + 123), 123);
	assert_int_equal(time_in(&head, 0, 0, BUILD_START - 5), -5);
	assert_int_equal(time_in(&head, 0, 0, UINT64_MAX), INT64_MAX / 2);
	head.clock = VMT_CLOCK_TSC;
	head.clock_start = (struct vmt_clock_pair){3000000000, 500};
	head.clock_last = (struct vmt_clock_pair){6000000000, 1000000500};
	assert_int_equal(time_in(&head, 0, 0, 3000000000), 0);
	assert_int_equal(time_in(&head, 0, 0, 3000000003), 1);
	assert_int_equal(time_in(&head, 0, 0, 2999999997), -1);
	assert_int_equal(time_in(&head, 0, 0, 3000000000 + UINT64_C(3000000000) * 3600 * 24 * 365),
			 INT64_C(1000000000) * 3600 * 24 * 365);
	/* A reading further away is the better one. */
	assert_int_equal(time_in(&head, 9000000000, 3000000500, 3000000004), 2);
}

static void
finds_the_rate_without_a_last_reading(void **state)
{
	struct vmt_head head;

	(void)state;
	build_trace_default_head(&head);
	head.clock = VMT_CLOCK_TSC;
	head.clock_start = (struct vmt_clock_pair){1000, 500};
	assert_int_equal(time_in(&head, 5000, 2500, 3000), 1000);
	assert_int_equal(time_in(&head, 0, 0, 1010), 10);
	/* Readings that can't be: no division by zero, no negative rate. */
	head.clock_last = (struct vmt_clock_pair){1000, 500};
	assert_int_equal(time_in(&head, 0, 0, 1010), 10);
	head.clock_last = (struct vmt_clock_pair){2000, 400};
	assert_int_equal(time_in(&head, 0, 0, 1010), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_back_what_was_written),
	    cmocka_unit_test(reads_compressed_chunks_alike),
	    cmocka_unit_test(reads_without_stacks),
	    cmocka_unit_test(refuses_what_is_not_a_trace),
	    cmocka_unit_test(refuses_a_fifo_without_waiting),
	    cmocka_unit_test(refuses_claims_beyond_the_file),
	    cmocka_unit_test(takes_a_flood_of_empty_chunks),
	    cmocka_unit_test(stops_at_a_gap_in_the_sequence),
	    cmocka_unit_test(refuses_a_frame_that_belies_its_size),
	    cmocka_unit_test(turns_ticks_into_nanoseconds),
	    cmocka_unit_test(finds_the_rate_without_a_last_reading),
	};

	return cmocka_run_group_tests(tests, trace_file_begin, trace_file_end);
}
