/*
 * test_touch_records.c: do sampled page faults come out of a trace in time order, with their
 * stacks, and is what was lost of them told?
 */
#include "sample_trace.h"
#include "walk_trace.h"

#include "tools/cmd/dump_record.h"
#include "tools/read/trace/merge.h"
#include "tools/read/trace/touch_heads.h"
#include "tools/read/trace/zstd.h"

#define MANY 10000u

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

/* Checks that all records come, touches among the events by their time. Returns how many touches
 * there were. */
static uint32_t
count_touches(void)
{
	struct vmt_merge *merge;
	struct vmt_record record;
	struct vmt_err err = {""};
	uint64_t last = 0;
	uint32_t touches = 0;

	assert_int_equal(vmt_merge_open(&merge, trace, &err), 0);
	for (;;) {
		assert_int_equal(vmt_merge_next(merge, &record, &err), 0);
		if (record.kind == VMT_RECORD_END)
			break;
		assert_true(record.time >= last);
		last = record.time;
		touches += record.kind == VMT_RECORD_TOUCH;
	}
	vmt_merge_close(merge);
	return touches;
}

static void
test_touches_stand_between_the_events(void **state)
{
	static const uint64_t expected[] = {25, 45, 46};
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_merge *merge;
	struct vmt_record record = {.kind = VMT_RECORD_USAGE};
	struct vmt_err err = {""};
	uint32_t found = 0;
	uint32_t count;

	(void)state;
	sample_trace_add_touch(build);
	begin(build);
	assert_int_equal(vmt_merge_open(&merge, trace, &err), 0);
	while (record.kind != VMT_RECORD_END) {
		assert_int_equal(vmt_merge_next(merge, &record, &err), 0);
		if (record.kind != VMT_RECORD_TOUCH)
			continue;
		assert_true(found < SAMPLE_TOUCHES);
		assert_int_equal(record.time, BUILD_START + expected[found]);
		assert_int_equal(record.touch.period, 61);
		assert_int_equal(
		    vmt_touch_stacks_id(vmt_trace_touch_stacks(trace), record.touch.sample.stack),
		    found == 1 ? 2 : 1);
		found++;
	}
	assert_int_equal(found, SAMPLE_TOUCHES);
	/* The first frame is kept as one more than the instruction that touched. */
	assert_int_equal(vmt_touch_stacks_get(vmt_trace_touch_stacks(trace), 1, &count)[0],
			 0x401101);
	assert_int_equal(count, 3);
	assert_int_equal(vmt_touch_stacks_get(vmt_trace_touch_stacks(trace), 1, &count)[1],
			 0x401234);
	vmt_merge_close(merge);
	end();
}

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	return vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);
}

/* More than the merge decodes at a time, from two threads that alternate, each late by turns;
 * twice, so that the second chunk brings stacks that are known. */
static void
add_many(struct build_trace *build)
{
	static struct vmt_touch_sample samples[MANY];
	static const struct vmt_touch_head head = {.period = 1, .minor_faults = 2 * MANY};
	static const struct vmt_touch_stack stacks[] = {
	    {2, VMT_TOUCH_STACK_COMPLETE, {0x401100, 0x401234}},
	    {0, VMT_TOUCH_STACK_UNKNOWN, {0}},
	    {2, VMT_TOUCH_STACK_COMPLETE, {0x401150, 0x401234}},
	};

	for (uint32_t i = 0; i < MANY; i++)
		samples[i] = (struct vmt_touch_sample){
		    .time = BUILD_START + 1000 + (i ^ 3) * 10,
		    .address = SAMPLE_BASE + (uint64_t)i * 4096,
		    .thread = 100 + i % 2,
		    .stack = i % 3,
		    .page_shift = 12,
		};
	build_trace_touch(build, &head, stacks, 3, samples, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		samples[i].time += 5;
	build_trace_touch(build, &head, stacks, 3, samples, MANY);
}

static void
test_many_touches(void **state)
{
	uint32_t count;

	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct build_trace *build = build_trace_new(NULL);
		const struct vmt_touch_stacks *stacks;

		build->compress = packed ? compress : NULL;
		add_many(build);
		begin(build);
		assert_int_equal(count_touches(), 2 * MANY);
		stacks = vmt_trace_touch_stacks(trace);
		assert_int_equal(vmt_touch_stacks_next(stacks), 6);
		for (uint32_t i = 0; i < 2; i++) {
			assert_int_equal(vmt_touch_stacks_id(stacks, 3 * i), 1);
			assert_int_equal(vmt_touch_stacks_id(stacks, 3 * i + 1), 0);
			assert_int_equal(vmt_touch_stacks_id(stacks, 3 * i + 2), 2);
		}
		assert_null(vmt_touch_stacks_get(stacks, 3, &count));
		assert_null(vmt_touch_stacks_get(stacks, 0, &count));
		end();
	}
}

/* Many stacks: the table finds each again after it has grown. */
static void
test_stacks_are_kept_once(void **state)
{
	struct vmt_touch_stacks *stacks = vmt_touch_stacks_new();
	struct vmt_touch_stack stack = {.count = 5};
	uint32_t count;

	(void)state;
	assert_non_null(stacks);
	for (uint32_t i = 0; i < 2 * MANY; i++) {
		stack.frames[4] = i % MANY;
		stack.end = i % 2;
		assert_int_equal(vmt_touch_stacks_add(stacks, &stack), 0);
	}
	for (uint32_t i = 0; i < 2 * MANY; i++) {
		uint32_t id = vmt_touch_stacks_id(stacks, i);

		assert_int_equal(id, i % MANY + 1);
		assert_int_equal(vmt_touch_stacks_get(stacks, id, &count)[4], i % MANY);
		assert_int_equal(vmt_touch_stacks_end(stacks, id), i % 2);
	}
	assert_int_equal(vmt_touch_stacks_id(stacks, 2 * MANY), 0);
	vmt_touch_stacks_free(stacks);
}

static void
test_the_heads_add_up(void **state)
{
	static const struct vmt_touch_head off = {.minor_faults = 500,
						  .major_faults = VMT_FIGURE_UNKNOWN,
						  .samples_lost = 7,
						  .samples_skipped = 2,
						  .flags = VMT_TOUCH_RAISED};
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_touch_heads heads;

	(void)state;
	begin(build);
	vmt_touch_heads_add_up(&heads, trace);
	assert_false(heads.present);
	end();
	build = sample_trace_new(NULL);
	sample_trace_add_touch(build);
	build_trace_touch(build, &off, NULL, 0, NULL, 0);
	build_trace_touch(build, &off, NULL, 0, NULL, 0);
	begin(build);
	vmt_touch_heads_add_up(&heads, trace);
	assert_true(heads.present);
	assert_int_equal(heads.samples, SAMPLE_TOUCHES);
	assert_int_equal(heads.stood_for, 61 * SAMPLE_TOUCHES);
	assert_int_equal(heads.period, 61);
	assert_int_equal(heads.least_period, 61);
	assert_int_equal(heads.minor_faults, 500);
	assert_true(heads.major_faults == VMT_FIGURE_UNKNOWN); /* no longer */
	assert_int_equal(heads.samples_lost, 7);
	assert_int_equal(heads.flags, VMT_TOUCH_RAISED);
	assert_int_equal(heads.refused, 0);
	assert_int_equal(heads.pauses, 1); /* of two chunks */
	end();
}

static void
test_pauses_are_counted(void **state)
{
	static const struct vmt_touch_head off = {.minor_faults = 500};
	static const struct vmt_touch_head on = {.minor_faults = 500, .period = 61};
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_touch_heads heads;

	(void)state;
	build_trace_touch(build, &on, NULL, 0, NULL, 0);
	for (unsigned i = 0; i < 3; i++) {
		build_trace_touch(build, &off, NULL, 0, NULL, 0);
		build_trace_touch(build, &off, NULL, 0, NULL, 0);
		build_trace_touch(build, &on, NULL, 0, NULL, 0);
	}
	begin(build);
	vmt_touch_heads_add_up(&heads, trace);
	assert_int_equal(heads.pauses, 3);
	end();
}

/* What the last chunk says is the period of samples that did not come. */
static void
test_the_period_is_of_samples(void **state)
{
	static const struct vmt_touch_head slipped = {.minor_faults = 500, .period = 53};
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_touch_heads heads;

	(void)state;
	build_trace_touch(build, &slipped, NULL, 0, NULL, 0);
	begin(build);
	vmt_touch_heads_add_up(&heads, trace);
	assert_int_equal(heads.period, 53); /* wanted, at least */
	end();
	build = sample_trace_new(NULL);
	sample_trace_add_touch(build);
	build_trace_touch(build, &slipped, NULL, 0, NULL, 0);
	begin(build);
	vmt_touch_heads_add_up(&heads, trace);
	assert_int_equal(heads.period, 61);
	assert_int_equal(heads.least_period, 61);
	end();
}

static void
test_a_refusal_is_told(void **state)
{
	static const struct vmt_touch_head refused = {.flags = VMT_TOUCH_REFUSED, .refused = 13};
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_touch_heads heads;

	(void)state;
	build_trace_touch(build, &refused, NULL, 0, NULL, 0);
	begin(build);
	vmt_touch_heads_add_up(&heads, trace);
	assert_true(heads.present && heads.flags & VMT_TOUCH_REFUSED);
	assert_int_equal(heads.refused, 13);
	assert_int_equal(heads.samples, 0);
	assert_int_equal(count_touches(), 0);
	end();
}

/* The header and the payload disagree about the number of samples. */
static void
test_a_chunk_that_belies_its_header(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	char path[BUILD_PATH_BYTES];
	struct walk_result walk;
	int fd;

	(void)state;
	sample_trace_add_touch(build);
	build_trace_last_chunk(build)->events = SAMPLE_TOUCHES - 1;
	build_trace_seal(build_trace_last_chunk(build));
	fd = build_trace_memfd(build, path);
	walk = walk_trace(path);
	assert_int_equal(walk.result, -EBADMSG);
	close(fd);
	build_trace_free(build);
}

static void
test_dump_shows_them(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_dump_record dumped = {.stacks = true};
	struct vmt_record record = {.kind = VMT_RECORD_USAGE};
	struct vmt_merge *merge;
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	sample_trace_add_touch(build);
	begin(build);
	dumped.trace = trace;
	vmt_emitter_begin(&dumped.emitter, out, VMT_EMITTER_JSON_LINES);
	assert_int_equal(vmt_merge_open(&merge, trace, &err), 0);
	while (record.kind != VMT_RECORD_END) {
		assert_int_equal(vmt_merge_next(merge, &record, &err), 0);
		if (record.kind == VMT_RECORD_TOUCH)
			vmt_dump_record_touch(&dumped, &record.touch);
	}
	vmt_dump_record_loss(&dumped);
	assert_int_equal(vmt_emitter_finish(&dumped.emitter, &err), 0);
	fclose(out);
	assert_non_null(strstr(text, "\"record\":\"touch\",\"address\":\"0x7f0000000000\","
				     "\"page_bytes\":4096,\"period\":61,\"major\":false,"
				     "\"kernel\":false,\"thread\":4242,\"touch_stack_id\":1,"
				     "\"stack_end\":\"complete\",\"frames\":[\"0x401100\","
				     "\"0x401234\",\"0x401300\"]"));
	assert_non_null(strstr(text, "\"kernel\":true,\"thread\":4243,\"touch_stack_id\":2,"
				     "\"stack_end\":\"cut\",\"frames\":[\"0x401180\"]"));
	assert_non_null(strstr(text, "\"touches_read\":3,\"touches_lost\":4,\"touches_skipped\":2,"
				     "\"minor_faults\":200,\"major_faults\":1"));
	vmt_merge_close(merge);
	free(text);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_touches_stand_between_the_events),
	    cmocka_unit_test(test_many_touches),
	    cmocka_unit_test(test_stacks_are_kept_once),
	    cmocka_unit_test(test_the_heads_add_up),
	    cmocka_unit_test(test_pauses_are_counted),
	    cmocka_unit_test(test_the_period_is_of_samples),
	    cmocka_unit_test(test_a_refusal_is_told),
	    cmocka_unit_test(test_a_chunk_that_belies_its_header),
	    cmocka_unit_test(test_dump_shows_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
