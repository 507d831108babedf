#include "sample_trace.h"
#include "tests/soak.h"
#include "walk_trace.h"

#include <errno.h>
#include <sys/resource.h>

/* Far more than any trace here deserves. */
#define MEMORY_LIMIT_BYTES (UINT64_C(64) << 20)

/* Whole chunks before a cut, and where the last of them ends. */
static size_t
chunks_before(struct build_trace *build, size_t length, size_t *end)
{
	size_t at = build_trace_head(build)->chunks_offset;
	size_t count = 0;

	while (at + sizeof(struct vmt_chunk) <= build->length) {
		const struct vmt_chunk *chunk = (const void *)(build->bytes + at);
		size_t payload_end = at + sizeof(*chunk) + chunk->payload_bytes;

		if (payload_end > length)
			break;
		at = (payload_end + 7) & ~(size_t)7;
		count++;
	}
	*end = at < length ? at : length;
	return count;
}

static void
check_cut(struct build_trace *build, const char *where, size_t length)
{
	struct walk_result walk = walk_trace(where);
	size_t head_bytes = build_trace_head(build)->chunks_offset;
	size_t chunks;
	size_t end;

	if (length < head_bytes) {
		assert_int_equal(walk.result, length == 0 ? -ENODATA : -EBADMSG);
		assert_non_null(strstr(walk.err.text, length == 0 ? "is empty" : "is cut before"));
		return;
	}
	chunks = chunks_before(build, length, &end);
	assert_int_equal(walk.result, 0);
	assert_int_equal(walk.chunks, chunks);
	assert_int_equal(walk.loss.cut_bytes, length - end);
	/* What was in the chunks that are gone is counted, to the event. */
	assert_int_equal(walk.events + walk.loss.events_missing, SAMPLE_EVENTS + SAMPLE_REMAINS);
	if (chunks >= 2)
		assert_int_equal(walk.loss.events_missing, 0);
}

static void
opens_a_trace_cut_at_any_byte(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	char where[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, where);

	(void)state;
	assert_true(build->length < 65536);
	for (size_t length = build->length + 1; length-- > 0;) {
		assert_int_equal(ftruncate(fd, (off_t)length), 0);
		check_cut(build, where, length);
	}
	close(fd);
	build_trace_free(build);
}

static void
limit_memory(struct rlimit *before)
{
#if defined(__SANITIZE_ADDRESS__)
	(void)before;
#else
	struct rlimit limit;
	uint64_t pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	assert_int_equal(getrlimit(RLIMIT_AS, before), 0);
	limit = *before;
	limit.rlim_cur = pages * 4096 + MEMORY_LIMIT_BYTES;
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
#endif
}

static void
unlimit_memory(const struct rlimit *before)
{
#if defined(__SANITIZE_ADDRESS__)
	(void)before;
#else
	assert_int_equal(setrlimit(RLIMIT_AS, before), 0);
#endif
}

static void
put_byte(int fd, size_t offset, unsigned char byte)
{
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
}

static void
check_flip(struct build_trace *build, const char *where, size_t offset)
{
	struct walk_result walk = walk_trace(where);
	size_t ignored;

	assert_int_not_equal(walk.result, -ENOMEM);
	if (offset < build_trace_head(build)->chunks_offset)
		return;
	/* The checksum, or what the header must be, ends the prefix at the damaged chunk. Only
	 * padding may be anything. */
	assert_int_equal(walk.result, 0);
	assert_in_range(walk.chunks, chunks_before(build, offset, &ignored), SAMPLE_CHUNKS);
	assert_int_equal(walk.events + walk.loss.events_missing, SAMPLE_EVENTS + SAMPLE_REMAINS);
}

static void
survives_any_byte_flipped(void **state)
{
	static const unsigned char flips[] = {0xff, 0x01, 0x80};
	struct build_trace *build = sample_trace_new(NULL);
	char where[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, where);
	struct rlimit before;
	size_t step = (size_t)soak_count(3, 1);

	(void)state;
	limit_memory(&before);
	for (size_t offset = 0; offset < build->length; offset += step) {
		for (size_t i = 0; i < sizeof(flips); i++) {
			put_byte(fd, offset, build->bytes[offset] ^ flips[i]);
			check_flip(build, where, offset);
		}
		put_byte(fd, offset, build->bytes[offset]);
	}
	unlimit_memory(&before);
	close(fd);
	build_trace_free(build);
}

/* Flips byte i of the chunk and makes its checksum right again; true when reading is refused. */
static bool
is_refused_with_lie(const char *where, int fd, struct vmt_chunk *chunk, off_t at, size_t i)
{
	size_t length = sizeof(*chunk) + chunk->payload_bytes;
	unsigned char *bytes = (unsigned char *)chunk;
	struct vmt_chunk kept = *chunk;
	struct walk_result walk;

	bytes[i] ^= 0xff;
	build_trace_seal(chunk);
	assert_int_equal(pwrite(fd, chunk, length, at), length);
	walk = walk_trace(where);
	assert_int_not_equal(walk.result, -ENOMEM);
	if (i >= sizeof(*chunk))
		bytes[i] ^= 0xff;
	*chunk = kept;
	assert_int_equal(pwrite(fd, chunk, length, at), length);
	return walk.result != 0;
}

static void
survives_lies_behind_a_good_checksum(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	char where[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, where);
	size_t at = build_trace_head(build)->chunks_offset;
	const size_t size_field = offsetof(struct vmt_chunk, payload_bytes);
	struct rlimit before;
	size_t step = (size_t)soak_count(3, 1);
	unsigned refused = 0;

	(void)state;
	limit_memory(&before);
	while (at < build->length) {
		struct vmt_chunk *chunk = (void *)(build->bytes + at);
		size_t length = sizeof(*chunk) + chunk->payload_bytes;

		for (size_t i = 0; i < length; i += step) {
			if (i >= size_field && i < size_field + sizeof(chunk->payload_bytes))
				continue;
			refused += is_refused_with_lie(where, fd, chunk, (off_t)at, i);
		}
		at += (length + 7) & ~(size_t)7;
	}
	unlimit_memory(&before);
	assert_true(refused > 0);
	assert_int_equal(walk_trace(where).events, SAMPLE_EVENTS + SAMPLE_REMAINS);
	close(fd);
	build_trace_free(build);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(opens_a_trace_cut_at_any_byte),
	    cmocka_unit_test(survives_any_byte_flipped),
	    cmocka_unit_test(survives_lies_behind_a_good_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
