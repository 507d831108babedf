/*
 * test_versions.c: what does a reader make of a trace that another version made?
 *
 * docs/trace-format.md has the policy. Each trace here is one of this version, changed as another
 * version's would differ.
 */
#include "moved_regions.h"
#include "sample_trace.h"
#include "trace_file.h"
#include "walk_trace.h"

#include "format/codec.h"

#include <errno.h>

#define NEWER_CHUNK (VMT_CHUNK_MAY_BE_SKIPPED + 1234u)
#define NEWER_EVENT 31u	  /* may be skipped, and no version has it yet */
#define REFUSED_EVENT 15u /* may not */

static struct walk_result
walk(const struct build_trace *build)
{
	build_trace_write(build, trace_file_path);
	return walk_trace(trace_file_path);
}

/* Reads all of the sample, whatever lies beside it. */
static void
check_sample(const struct walk_result *walked)
{
	assert_string_equal(walked->err.text, "");
	assert_int_equal(walked->result, 0);
	assert_int_equal(walked->events, SAMPLE_EVENTS + SAMPLE_REMAINS);
	assert_int_equal(walked->usages, SAMPLE_USAGES);
	assert_int_equal(walked->snapshots, SAMPLE_SNAPSHOTS);
	assert_int_equal(walked->loss.events_missing, 0);
	assert_int_equal(walked->loss.slots_abandoned, 0);
	assert_int_equal(walked->loss.cut_bytes, 0);
}

static void
check_refused(const struct walk_result *walked, const char *words)
{
	assert_int_equal(walked->result, -EPROTONOSUPPORT);
	assert_non_null(strstr(walked->err.text, words));
	assert_non_null(strstr(walked->err.text, trace_file_path));
}

static void
regions_lie_anywhere(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct walk_result walked;

	(void)state;
	moved_regions(build, sizeof(struct vmt_head));
	walked = walk(build);
	check_sample(&walked);
	build_trace_free(build);
}

static void
heads_may_be_larger(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct walk_result walked;

	(void)state;
	moved_regions(build, 9000);
	build_trace_head(build)->features |= UINT64_C(1) << 40;
	walked = walk(build);
	check_sample(&walked);
	build_trace_head(build)->features |= UINT64_C(1) << 4;
	walked = walk(build);
	check_refused(&walked, "0x10");
	build_trace_free(build);
}

static void
versions_are_named(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct walk_result walked;

	(void)state;
	build_trace_head(build)->version = VMT_VERSION + 1;
	walked = walk(build);
	check_refused(&walked, "is a trace of version 7, this vmtrace reads versions 5 to 6");
	build_trace_head(build)->version = VMT_OLDEST_VERSION - 1;
	walked = walk(build);
	check_refused(&walked, "is a trace of version 4");
	build_trace_head(build)->version = VMT_OLDEST_VERSION;
	walked = walk(build);
	check_sample(&walked);
	build_trace_free(build);
}

static void
chunks_that_may_be_skipped_are_counted(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_chunk chunk = {.kind = NEWER_CHUNK, .time_min = 5, .time_max = 3, .events = 7};
	struct walk_result walked;

	(void)state;
	build_trace_chunk(build, &chunk, "what it says", 12);
	walked = walk(build);
	check_sample(&walked);
	assert_int_equal(walked.chunks, SAMPLE_CHUNKS + 1);
	assert_int_equal(walked.loss.chunks_unknown, 1);
	build_trace_free(build);
}

static void
chunks_that_may_not_are_refused(void **state)
{
	static const uint16_t kinds[] = {0, VMT_CHUNK_TASKS + 1, VMT_CHUNK_MAY_BE_SKIPPED - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct build_trace *build = sample_trace_new(NULL);
		struct vmt_chunk chunk = {.kind = kinds[i]};
		struct walk_result walked;

		build_trace_chunk(build, &chunk, "what it says", 12);
		walked = walk(build);
		check_refused(&walked, "made by a newer version");
		build_trace_free(build);
	}
}

static struct vmt_event
event_of(uint8_t kind)
{
	return (struct vmt_event){
	    .kind = kind, .time = BUILD_START + 1, .address = 0x1000, .length = 64, .thread = 7};
}

/* In a chunk, and in what the rings still hold. */
static void
events_that_may_be_skipped_are_counted(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_event event = event_of(NEWER_EVENT);
	struct vmt_err err = {""};
	struct vmt_merge *merge;
	struct vmt_trace *trace;
	struct vmt_record record = {0};

	(void)state;
	assert_false(vmt_event_is_known(NEWER_EVENT));
	assert_true(vmt_event_may_be_skipped(NEWER_EVENT));
	build_trace_events(build, VMT_RING_MAP, &event, 1);
	build_trace_remain(build, VMT_RING_MAP, &event);
	build_trace_write(build, trace_file_path);
	assert_int_equal(vmt_trace_open(&trace, trace_file_path, &err), 0);
	assert_int_equal(vmt_trace_loss(trace)->slots_abandoned, 0);
	assert_int_equal(vmt_merge_open(&merge, trace, &err), 0);
	do
		assert_int_equal(vmt_merge_next(merge, &record, &err), 0);
	while (record.kind != VMT_RECORD_END);
	assert_int_equal(vmt_merge_events_unknown(merge), 2);
	vmt_merge_close(merge);
	vmt_trace_close(trace);
	build_trace_free(build);
}

static void
events_that_may_not_are_refused(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_event event = event_of(REFUSED_EVENT);
	struct walk_result walked;

	(void)state;
	assert_false(vmt_event_is_known(REFUSED_EVENT));
	assert_false(vmt_event_may_be_skipped(REFUSED_EVENT));
	build_trace_events(build, VMT_RING_HEAP, &event, 1);
	walked = walk(build);
	check_refused(&walked, "made by a newer version");
	assert_non_null(strstr(walked.err.text, "kind 15"));
	build_trace_free(build);
}

/* Kinds that this version writes are understood, whatever range they are of. */
static void
known_kinds_are_known(void **state)
{
	(void)state;
#define VMT_EVENT(name, id, ring, role, call, fields, a, b)                                        \
	assert_true(vmt_event_is_known(VMT_EVENT_##name));
#include "format/event_kinds.def"
	assert_false(vmt_event_is_known(0));
	assert_false(vmt_event_is_known(63));
	assert_false(vmt_event_is_known(200));
	assert_false(vmt_event_may_be_skipped(0));
	assert_false(vmt_event_may_be_skipped(63));
	assert_false(vmt_event_may_be_skipped(200));
}

/* A snapshot's head and a USAGE record, both `more` bytes longer than version 5's. */
static void
check_longer_records(size_t snapshot_more, size_t usage_more)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_snapshot_head head = {.time = BUILD_START + 9, .resident_bytes = 4096};
	struct vmt_usage usage = {.time = BUILD_START + 5, .rss_bytes = 77};
	unsigned char payload[2 * 256];
	struct vmt_chunk snapshot = {.kind = VMT_CHUNK_SNAPSHOT,
				     .record_bytes = (uint32_t)(104 + snapshot_more),
				     .time_min = head.time,
				     .time_max = head.time};
	struct vmt_chunk usages = {.kind = VMT_CHUNK_USAGE,
				   .record_bytes = (uint32_t)(80 + usage_more),
				   .time_min = usage.time,
				   .time_max = usage.time};
	struct walk_result walked;

	memset(payload, 0x5a, sizeof(payload));
	memcpy(payload, &head, 104);
	build_trace_chunk(build, &snapshot, payload, 104 + snapshot_more);
	memset(payload, 0x5a, sizeof(payload));
	memcpy(payload, &usage, 80);
	memcpy(payload + 80 + usage_more, &usage, 80);
	build_trace_chunk(build, &usages, payload, 2 * (80 + usage_more));
	walked = walk(build);
	assert_int_equal(walked.result, 0);
	assert_int_equal(walked.snapshots, 1);
	assert_int_equal(walked.usages, 2);
	build_trace_free(build);
}

static void
records_may_be_longer(void **state)
{
	(void)state;
	check_longer_records(0, 0);
	check_longer_records(8, 8);
	check_longer_records(96, 120);
}

static void
figures_that_are_not_there_are_not_known(void **state)
{
	unsigned char payload[104] = {0};
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_SNAPSHOT}; /* as version 5 */
	struct vmt_snapshot_head read;
	struct vmt_usage usage;

	(void)state;
	assert_int_equal(vmt_codec_get_snapshot_head(&chunk, payload, 103, &read), 0);
	assert_int_equal(vmt_codec_get_snapshot_head(&chunk, payload, 104, &read), 104);
	for (size_t at = 104; at < sizeof(read); at += 8)
		assert_int_equal(*(const uint64_t *)(const void *)((char *)&read + at),
				 VMT_FIGURE_UNKNOWN);
	chunk.record_bytes = 103; /* less than any version's */
	assert_int_equal(vmt_codec_get_snapshot_head(&chunk, payload, 104, &read), 0);
	chunk.record_bytes = 79;
	assert_int_equal(vmt_codec_get_usage(&chunk, payload, 104, &usage), 0);
	assert_int_equal(vmt_codec_usage_bytes(&chunk), 80);
	chunk.record_bytes = UINT32_MAX;
	assert_int_equal(vmt_codec_get_usage(&chunk, payload, 104, &usage), 0);
	assert_int_equal(vmt_codec_get_snapshot_head(&chunk, payload, 104, &read), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(regions_lie_anywhere),
	    cmocka_unit_test(heads_may_be_larger),
	    cmocka_unit_test(versions_are_named),
	    cmocka_unit_test(chunks_that_may_be_skipped_are_counted),
	    cmocka_unit_test(chunks_that_may_not_are_refused),
	    cmocka_unit_test(events_that_may_be_skipped_are_counted),
	    cmocka_unit_test(events_that_may_not_are_refused),
	    cmocka_unit_test(known_kinds_are_known),
	    cmocka_unit_test(records_may_be_longer),
	    cmocka_unit_test(figures_that_are_not_there_are_not_known),
	};

	return cmocka_run_group_tests(tests, trace_file_begin, trace_file_end);
}
