/*
 * test_claims.c: is a trace refused that says more than a program could have written?
 */
#define BUILD_CHUNKS_BYTES (UINT32_C(64) << 20)
#include "tests/unit/build_trace.h"

#include "tools/read/trace/trace.h"
#include "tools/read/trace/zstd.h"

#include <errno.h>

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	return vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);
}

static void
assert_claims(struct build_trace *build, const char *words)
{
	struct vmt_trace *trace = NULL;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, path);

	assert_int_equal(vmt_trace_open(&trace, path, &err), words ? -E2BIG : 0);
	if (words && strstr(err.text, words) == NULL)
		fail_msg("no '%s' in: %s", words, err.text);
	vmt_trace_close(trace);
	close(fd);
}

/* A chunk of zeros, and more like it. */
static void
add_packed_zeros(struct build_trace *build, uint16_t kind, size_t length, unsigned times)
{
	struct vmt_chunk chunk = {.kind = kind, .time_min = BUILD_START, .time_max = BUILD_START};
	void *zeros = calloc(1, length);

	assert_non_null(zeros);
	build->compress = compress;
	build_trace_chunk(build, &chunk, zeros, length);
	build_trace_repeat(build, times - 1);
	free(zeros);
}

/* Readings and lists of threads count as events do; snapshots by their bytes. */
static void
bombs_of_other_kinds_are_not_read(void **state)
{
	static const struct {
		uint16_t kind;
		size_t bytes;
		unsigned few;
		unsigned many;
		const char *words;
	} cases[] = {
	    {VMT_CHUNK_USAGE, 8000000, 160, 180, "claims 18000000 records"},
	    {VMT_CHUNK_TASKS, 4000000, 16, 17, "claims 17000000 records"},
	    {VMT_CHUNK_SNAPSHOT, VMT_CHUNK_MAX_BYTES, 64, 65, "bytes of snapshots and lists"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct build_trace *few = build_trace_new(NULL);
		struct build_trace *many = build_trace_new(NULL);

		add_packed_zeros(few, cases[i].kind, cases[i].bytes, cases[i].few);
		assert_claims(few, NULL);
		add_packed_zeros(many, cases[i].kind, cases[i].bytes, cases[i].many);
		assert_claims(many, cases[i].words);
		build_trace_free(few);
		build_trace_free(many);
	}
}

/* More threads than any process can have: the chunk is no chunk. */
static void
a_list_of_too_many_threads_is_damage(void **state)
{
	static const uint32_t most = UINT32_C(4) << 20;

	(void)state;
	for (uint32_t more = 0; more < 2; more++) {
		struct build_trace *build = build_trace_new(NULL);
		struct vmt_trace *trace;
		struct vmt_err err = {{0}};
		char path[BUILD_PATH_BYTES];
		size_t count;
		int fd;

		add_packed_zeros(build, VMT_CHUNK_TASKS, (most + more) * sizeof(uint32_t), 1);
		fd = build_trace_memfd(build, path);
		assert_int_equal(vmt_trace_open(&trace, path, &err), 0);
		(void)vmt_trace_chunks(trace, &count);
		assert_int_equal(count, more == 0);
		assert_int_equal(vmt_trace_loss(trace)->cut_bytes > 0, more);
		vmt_trace_close(trace);
		close(fd);
		build_trace_free(build);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bombs_of_other_kinds_are_not_read),
	    cmocka_unit_test(a_list_of_too_many_threads_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
