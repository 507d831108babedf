/* What is new of a process's map of compiled code goes into its trace, whatever lies in its place.
 */
#include "collect/jit_copy.h"

#include "base/procfs.h"
#include "base/ticks.h"
#include "format/jit_map.h"
#include "tests/unit/trace_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Beyond every pid: no run time's map has the name. */
#define MADE_UP_PID (UINT32_C(1000000000) + (uint32_t)getpid())

struct place {
	char path[40]; /* of the trace */
	char map[64];
	char other[64];
	struct vmt_buffer packed;
	struct vmt_buffer scratch;
	struct vmt_writer writer;
	struct vmt_head head;
	struct vmt_jit_copy_state copied;
	struct vmt_jit_copy_job job;
};

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	strcpy(place->path, "/tmp/vmt-jit-XXXXXX");
	place->writer.fd = mkstemp(place->path);
	place->writer.packed = &place->packed;
	snprintf(place->map, sizeof(place->map), "/tmp/perf-%u.map", MADE_UP_PID);
	snprintf(place->other, sizeof(place->other), "/tmp/perf-%u.other", MADE_UP_PID);
	place->head.pid = MADE_UP_PID;
	place->job = (struct vmt_jit_copy_job){.pid = (uint32_t)getpid(),
					       .maps_fd = vmt_procfs_open(0, "maps"),
					       .head = &place->head,
					       .scratch = &place->scratch,
					       .state = &place->copied};
	*state = place;
	return place->writer.fd >= 0 && place->job.maps_fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	close(place->writer.fd);
	close(place->job.maps_fd);
	unlink(place->path);
	unlink(place->other);
	if (unlink(place->map) != 0)
		rmdir(place->map);
	vmt_buffer_free(&place->packed);
	vmt_buffer_free(&place->scratch);
	free(place);
	return 0;
}

static void
write_map(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static unsigned
open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A look, which leaves no descriptor open. */
static int
look(struct place *place)
{
	unsigned before = open_descriptors();
	int result = vmt_jit_copy_take(&place->job, &place->writer);

	assert_int_equal(open_descriptors(), before);
	return result;
}

/* The chunks so far; of the last one: its text and what is said of it. */
static void
expect(struct place *place, size_t count, const char *text, uint64_t offset, uint32_t flags)
{
	struct fixture_chunks chunks;
	const struct fixture_chunk *last;
	struct vmt_jit_head head;

	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, count);
	if (count > 0) {
		last = &chunks.list[count - 1];
		assert_int_equal(last->header->kind, VMT_CHUNK_JIT);
		memcpy(&head, last->payload, sizeof(head));
		assert_int_equal(head.bytes, strlen(text));
		assert_int_equal(last->header->payload_bytes, sizeof(head) + head.bytes);
		assert_memory_equal(last->payload + sizeof(head), text, head.bytes);
		assert_int_equal(head.offset, offset);
		assert_int_equal(head.flags, flags);
	}
	fixture_free_chunks(&chunks);
}

static void
only_what_is_new_is_copied(void **state)
{
	struct place *place = *state;

	assert_int_equal(look(place), -ENOENT);
	expect(place, 0, NULL, 0, 0);
	write_map(place->map, "1000 10 a\n", 0);
	assert_int_equal(look(place), 0);
	expect(place, 1, "1000 10 a\n", 0, 0);
	assert_int_equal(look(place), 0);
	expect(place, 1, "1000 10 a\n", 0, 0);
	write_map(place->map, "2000 10 b\n3000 1", O_APPEND); /* the writer is in a line */
	assert_int_equal(look(place), 0);
	expect(place, 2, "2000 10 b\n", 10, 0);
	write_map(place->map, "0 c\n", O_APPEND);
	assert_int_equal(look(place), 0);
	expect(place, 3, "3000 10 c\n", 20, 0);
}

/* As the JVM does, and who renames a new one into its place. */
static void
a_map_that_begins_anew_is_copied_anew(void **state)
{
	struct place *place = *state;

	write_map(place->map, "1000 10 first\n", 0);
	assert_int_equal(look(place), 0);
	write_map(place->map, "1000 10 other\n2000 10 more\n", O_TRUNC);
	assert_int_equal(look(place), 0);
	expect(place, 2, "1000 10 other\n2000 10 more\n", 0, VMT_JIT_ANEW);
	write_map(place->map, "1 1 a\n", O_TRUNC);
	assert_int_equal(look(place), 0);
	expect(place, 3, "1 1 a\n", 0, VMT_JIT_ANEW);
	write_map(place->other, "1 1 a\n", 0);
	assert_int_equal(rename(place->other, place->map), 0);
	assert_int_equal(look(place), 0);
	expect(place, 4, "1 1 a\n", 0, VMT_JIT_ANEW);
	assert_int_equal(look(place), 0);
	expect(place, 4, "1 1 a\n", 0, VMT_JIT_ANEW);
}

/* Of a process that had the pid before: its lines are of other code. */
static void
what_is_older_than_the_trace_is_left_out(void **state)
{
	static const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct place *place = *state;

	place->head.start_unix_ns = UINT64_C(2000000000000);
	write_map(place->map, "1000 10 stale\n", 0);
	assert_int_equal(utimensat(AT_FDCWD, place->map, old, 0), 0);
	assert_int_equal(look(place), 0);
	expect(place, 0, NULL, 0, 0);
	write_map(place->map, "2000 10 mine\n", O_APPEND);
	assert_int_equal(look(place), 0);
	expect(place, 1, "2000 10 mine\n", 14, 0);
}

static void
what_is_no_map_is_left_alone(void **state)
{
	struct place *place = *state;

	write_map(place->other, "1000 10 secret\n", 0);
	assert_int_equal(symlink(place->other, place->map), 0);
	assert_true(look(place) < 0);
	unlink(place->map);
	assert_int_equal(mkfifo(place->map, 0600), 0);
	assert_true(look(place) < 0);
	unlink(place->map);
	assert_int_equal(mkdir(place->map, 0700), 0);
	assert_true(look(place) < 0);
	expect(place, 0, NULL, 0, 0);
}

/* Nobody's file, or a device: for root alone to make. */
static void
what_another_user_wrote_is_left_alone(void **state)
{
	struct place *place = *state;

	if (getuid() != 0)
		skip();
	write_map(place->map, "1000 10 theirs\n", 0);
	assert_int_equal(chown(place->map, 12345, 12345), 0);
	assert_true(look(place) < 0);
	unlink(place->map);
	if (mknod(place->map, S_IFCHR | 0600, 0x0105) == 0) /* /dev/zero */
		assert_true(look(place) < 0);
	expect(place, 0, NULL, 0, 0);
}

/* Holes without an end: so much a look, and so much a trace. */
static void
a_huge_map_is_bounded(void **state)
{
	struct place *place = *state;
	struct fixture_chunks chunks;
	struct vmt_jit_head head;
	uint64_t before = 0;

	write_map(place->map, "", 0);
	assert_int_equal(truncate(place->map, INT64_C(1) << 40), 0);
	for (unsigned i = 0; i < 100000 && !place->copied.is_full; i++) {
		assert_int_equal(look(place), 0);
		assert_true(place->copied.copied - before <= VMT_JIT_COPY_LOOK_BYTES);
		before = place->copied.copied;
	}
	assert_true(place->copied.is_full);
	assert_true(place->copied.copied <= VMT_JIT_COPY_TRACE_BYTES);
	fixture_read_chunks(&chunks, place->path, 0);
	memcpy(&head, chunks.list[chunks.count - 1].payload, sizeof(head));
	assert_int_equal(head.flags & VMT_JIT_CUT, VMT_JIT_CUT);
	assert_int_equal(head.bytes, 0);
	before = chunks.count;
	fixture_free_chunks(&chunks);
	assert_int_equal(look(place), 0); /* and then no more */
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, before);
	fixture_free_chunks(&chunks);
}

int
main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    CASE(only_what_is_new_is_copied),
	    CASE(a_map_that_begins_anew_is_copied_anew),
	    CASE(what_is_older_than_the_trace_is_left_out),
	    CASE(what_is_no_map_is_left_alone),
	    CASE(what_another_user_wrote_is_left_alone),
	    CASE(a_huge_map_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
