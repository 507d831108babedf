/* Samples and stacks of one process, into chunks and back. */
#include "tests/unit/trace_fixture.h"

#include "collect/touch_batch.h"

#include <errno.h>

struct place {
	char path[32];
	struct vmt_buffer packed;
	struct vmt_buffer scratch;
	struct vmt_writer writer;
	struct vmt_touch_batch batch;
	struct vmt_touch_head head;
};

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	strcpy(place->path, "/tmp/vmt-batch-XXXXXX");
	place->writer.fd = mkstemp(place->path);
	place->writer.packed = &place->packed;
	place->head = (struct vmt_touch_head){.period = 61, .minor_faults = 1000};
	*state = place;
	return place->writer.fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	close(place->writer.fd);
	unlink(place->path);
	vmt_touch_batch_free(&place->batch);
	vmt_buffer_free(&place->packed);
	vmt_buffer_free(&place->scratch);
	free(place);
	return 0;
}

static struct vmt_touch_stack
stack_of(uint64_t number, uint32_t count)
{
	struct vmt_touch_stack stack = {.count = count, .end = (uint8_t)(number % 3)};

	for (uint32_t i = 0; i < count; i++)
		stack.frames[i] = number * 1000 + i;
	return stack;
}

static bool
add(struct place *place, uint64_t time, uint64_t stack_number, uint32_t count)
{
	struct vmt_touch_stack stack = stack_of(stack_number, count);
	struct vmt_touch_sample sample = {
	    .time = time, .address = time << 12, .thread = 7, .page_shift = 12};

	return vmt_touch_batch_add(&place->batch, &sample, &stack);
}

static int
write_chunk(struct place *place)
{
	return vmt_touch_batch_write(&place->batch, &place->head, 5, &place->scratch,
				     &place->writer);
}

/* The chunk's times are checked to rise, and each sample's stack to be what was put for it: its
 * number is (address >> 12) % stacks. Returns the samples. */
static uint32_t
check_chunk(const struct fixture_chunk *chunk, uint32_t stacks, uint32_t count)
{
	struct vmt_touch_stack list[VMT_TOUCH_BATCH_STACKS];
	struct vmt_touch_decoder decoder;
	struct vmt_touch_head head;
	uint64_t last = 0;

	assert_int_equal(chunk->header->kind, VMT_CHUNK_TOUCH);
	assert_true(vmt_touch_begin_decode(&decoder, chunk->header, chunk->payload,
					   chunk->header->payload_bytes, &head));
	assert_int_equal(head.period, 61);
	assert_int_equal(head.minor_faults, 1000);
	assert_int_equal(chunk->header->events, head.samples);
	for (uint32_t i = 0; i < head.stacks; i++)
		assert_true(vmt_touch_get_stack(&decoder, &list[i]));
	for (uint32_t i = 0; i < head.samples; i++) {
		struct vmt_touch_stack wanted;
		struct vmt_touch_sample sample;

		assert_true(vmt_touch_get_sample(&decoder, &sample));
		wanted = stack_of((sample.address >> 12) % stacks, count);
		assert_int_equal(list[sample.stack].count, wanted.count);
		assert_int_equal(list[sample.stack].end, wanted.end);
		assert_memory_equal(list[sample.stack].frames, wanted.frames,
				    count * sizeof(uint64_t));
		assert_int_equal(sample.address, sample.time << 12);
		assert_true(sample.time >= last && sample.time >= chunk->header->time_min &&
			    sample.time <= chunk->header->time_max);
		last = sample.time;
	}
	assert_true(vmt_touch_is_done(&decoder));
	return head.samples;
}

static void
samples_come_back_by_time_with_their_stacks(void **state)
{
	struct place *place = *state;
	struct fixture_chunks chunks;

	/* As of two processors: pairs of times are swapped. */
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(add(place, i ^ 3, (i ^ 3) % 7, 20));
	assert_int_equal(place->batch.stack_count, 7);
	assert_int_equal(write_chunk(place), 0);
	/* Nothing of it is in the next. */
	for (uint64_t i = 1000; i < 1010; i++)
		assert_true(add(place, i, i % 5, 20));
	assert_int_equal(place->batch.stack_count, 5);
	assert_int_equal(write_chunk(place), 0);
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, 2);
	assert_int_equal(check_chunk(&chunks.list[0], 7, 20), 1000);
	assert_int_equal(check_chunk(&chunks.list[1], 5, 20), 10);
	fixture_free_chunks(&chunks);
}

static void
a_batch_has_a_most_of_samples_and_of_stacks(void **state)
{
	struct place *place = *state;
	struct fixture_chunks chunks;
	uint64_t count;

	for (count = 0; add(place, count, count % 3, VMT_STACK_MAX_FRAMES); count++)
		continue;
	assert_int_equal(count, VMT_TOUCH_BATCH_SAMPLES);
	assert_int_equal(write_chunk(place), 0);
	for (count = 0; add(place, count, count, VMT_STACK_MAX_FRAMES); count++)
		continue;
	assert_int_equal(count, VMT_TOUCH_BATCH_STACKS);
	/* One that it has is taken still. */
	assert_true(add(place, VMT_TOUCH_BATCH_STACKS, 0, VMT_STACK_MAX_FRAMES));
	assert_int_equal(write_chunk(place), 0);
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, 2);
	assert_int_equal(check_chunk(&chunks.list[0], 3, VMT_STACK_MAX_FRAMES),
			 VMT_TOUCH_BATCH_SAMPLES);
	assert_int_equal(check_chunk(&chunks.list[1], VMT_TOUCH_BATCH_STACKS, VMT_STACK_MAX_FRAMES),
			 VMT_TOUCH_BATCH_STACKS + 1);
	fixture_free_chunks(&chunks);
}

static void
a_chunk_without_samples_has_the_time_that_is_given(void **state)
{
	struct place *place = *state;
	struct fixture_chunks chunks;

	assert_int_equal(write_chunk(place), 0);
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, 1);
	assert_int_equal(chunks.list[0].header->time_min, 5);
	assert_int_equal(check_chunk(&chunks.list[0], 1, 1), 0);
	fixture_free_chunks(&chunks);
}

static void
what_could_not_be_written_is_kept(void **state)
{
	struct place *place = *state;
	struct fixture_chunks chunks;
	int fd = place->writer.fd;

	for (uint64_t i = 0; i < 10; i++)
		assert_true(add(place, i, i % 2, 3));
	place->writer.fd = -1;
	assert_int_equal(write_chunk(place), -EBADF);
	place->writer.fd = fd;
	for (uint64_t i = 10; i < 20; i++)
		assert_true(add(place, i, i % 2, 3));
	assert_int_equal(write_chunk(place), 0);
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, 1);
	assert_int_equal(check_chunk(&chunks.list[0], 2, 3), 20);
	fixture_free_chunks(&chunks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(samples_come_back_by_time_with_their_stacks, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_batch_has_a_most_of_samples_and_of_stacks, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_chunk_without_samples_has_the_time_that_is_given,
					    set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_could_not_be_written_is_kept, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
