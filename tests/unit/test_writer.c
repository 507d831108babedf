#include "tests/unit/trace_fixture.h"

#include "collect/bound.h"
#include "collect/writer.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

struct file {
	char path[32];
	struct vmt_buffer packed;
	struct vmt_writer writer;
};

static int
set_up(void **state)
{
	struct file *file = calloc(1, sizeof(*file));

	assert_non_null(file);
	strcpy(file->path, "/tmp/vmt-writer-XXXXXX");
	file->writer.fd = mkstemp(file->path);
	file->writer.packed = &file->packed;
	*state = file;
	return file->writer.fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct file *file = *state;

	close(file->writer.fd);
	unlink(file->path);
	vmt_buffer_free(&file->packed);
	free(file);
	return 0;
}

static int
append(struct file *file, uint16_t kind, const void *payload, size_t bytes)
{
	struct vmt_chunk chunk = {.kind = kind};

	return vmt_writer_append(&file->writer, &chunk, payload, bytes);
}

static void
writes_whole_padded_chunks_in_order(void **state)
{
	struct file *file = *state;
	struct fixture_chunks chunks;
	char payload[13] = "twelve bytes";

	for (size_t length = 0; length <= sizeof(payload); length++)
		assert_int_equal(append(file, VMT_CHUNK_USAGE, payload, length), 0);
	fixture_read_chunks(&chunks, file->path, 0);
	assert_int_equal(chunks.count, sizeof(payload) + 1);
	assert_int_equal(chunks.length % 8, 0);
	for (size_t i = 0; i < chunks.count; i++) {
		assert_int_equal(chunks.list[i].header->payload_bytes, i);
		assert_int_equal(chunks.list[i].header->raw_bytes, i);
		assert_int_equal(chunks.list[i].header->flags, 0);
		assert_memory_equal(chunks.list[i].payload, payload, i);
	}
	fixture_free_chunks(&chunks);
}

static void
refuses_payloads_over_the_limit(void **state)
{
	struct file *file = *state;

	assert_int_equal(append(file, VMT_CHUNK_USAGE, "", (size_t)VMT_CHUNK_MAX_BYTES + 1),
			 -EMSGSIZE);
	assert_int_equal(file->writer.end_bytes, 0);
	assert_int_equal(file->writer.sequence, 0);
}

/* "Compresses" to half the bytes. */
static size_t
halve(void *context, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	(*(unsigned *)context)++;
	assert_true(src_bytes / 2 <= dst_bytes);
	memcpy(dst, src, src_bytes / 2);
	return src_bytes / 2;
}

static size_t
give_up(void *context, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	(void)dst;
	(void)src;
	(*(unsigned *)context)++;
	assert_true(dst_bytes < src_bytes);
	return 0;
}

static void
compresses_only_when_it_is_smaller(void **state)
{
	struct file *file = *state;
	struct fixture_chunks chunks;
	unsigned calls = 0;
	char payload[1000];

	memset(payload, 'x', sizeof(payload));
	file->writer.compress_context = &calls;
	file->writer.compress = halve;
	assert_int_equal(append(file, VMT_CHUNK_EVENTS, payload, sizeof(payload)), 0);
	assert_int_equal(append(file, VMT_CHUNK_EVENTS, payload, 10), 0);
	assert_int_equal(calls, 1);
	file->writer.compress = give_up;
	assert_int_equal(append(file, VMT_CHUNK_EVENTS, payload, sizeof(payload)), 0);
	assert_int_equal(calls, 2);
	fixture_read_chunks(&chunks, file->path, 0);
	assert_int_equal(chunks.count, 3);
	assert_int_equal(chunks.list[0].header->flags, VMT_CHUNK_ZSTD);
	assert_int_equal(chunks.list[0].header->payload_bytes, 500);
	assert_int_equal(chunks.list[0].header->raw_bytes, 1000);
	assert_int_equal(chunks.list[1].header->flags, 0);
	assert_int_equal(chunks.list[2].header->flags, 0);
	assert_int_equal(chunks.list[2].header->payload_bytes, 1000);
	fixture_free_chunks(&chunks);
}

/* A limit on the file's size stands in for the full disk: part of a chunk still fits. */
static void
a_failed_write_leaves_no_trace_and_no_gap(void **state)
{
	struct file *file = *state;
	struct rlimit limit, low;
	struct fixture_chunks chunks;
	char payload[1000] = "x";

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(append(file, VMT_CHUNK_EVENTS, payload, 100), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	low = limit;
	low.rlim_cur = 500;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(append(file, VMT_CHUNK_EVENTS, payload, sizeof(payload)), -EFBIG);
	fixture_read_chunks(&chunks, file->path, 0);
	assert_int_equal(chunks.count, 1);
	fixture_free_chunks(&chunks);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(append(file, VMT_CHUNK_EVENTS, payload, sizeof(payload)), 0);
	fixture_read_chunks(&chunks, file->path, 0);
	assert_int_equal(chunks.count, 2);
	fixture_free_chunks(&chunks);
	signal(SIGXFSZ, SIG_DFL);
}

/* The map family's chunks have no share that ends before the file's limit does. */
static void
stays_within_the_traces_limit(void **state)
{
	struct file *file = *state;
	struct vmt_head layout = {.chunks_offset = 0};
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_EVENTS, .ring = VMT_RING_MAP};
	static unsigned char payload[100000];
	struct vmt_bound bound;
	unsigned written = 0;
	int result;

	vmt_bound_begin(&bound, VMT_BOUND_LEAST_BYTES, &layout, 1);
	file->writer.bound = &bound;
	while ((result = vmt_writer_append(&file->writer, &chunk, payload, sizeof(payload))) == 0)
		written++;
	assert_int_equal(result, -EFBIG);
	assert_int_equal(written, VMT_BOUND_LEAST_BYTES / sizeof(payload));
	assert_true(file->writer.end_bytes <= bound.end_bytes);
	assert_int_equal(append(file, VMT_CHUNK_END, payload, sizeof(struct vmt_chunk_end)), 0);
	assert_true(file->writer.end_bytes <= bound.end_bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(writes_whole_padded_chunks_in_order, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(refuses_payloads_over_the_limit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(compresses_only_when_it_is_smaller, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_failed_write_leaves_no_trace_and_no_gap, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(stays_within_the_traces_limit, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
