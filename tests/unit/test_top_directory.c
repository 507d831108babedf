/*
 * test_top_directory.c: is each of many traces looked at, though a reading has no time for all?
 */
#include "base/procfs.h"
#include "tests/unit/build_trace.h"
#include "tools/cmd/top_directory.h"

#define MIB (UINT64_C(1) << 20)
#define TRACES 5u
#define HOUR_NS UINT64_C(3600000000000)

static char place[] = "/tmp/vmtrace-test-XXXXXX";

static const char *
path_of(unsigned number)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%u.vmt", place, number);
	return path;
}

/* A new trace of this process, which runs, or of one that does not. */
static void
write_trace(unsigned number, bool runs, uint64_t rss_bytes)
{
	struct vmt_usage usage = {
	    .time = BUILD_START, .monotonic_ns = BUILD_START, .rss_bytes = rss_bytes};
	static uint64_t written;
	struct vmt_procfs_stat stat;
	struct build_trace *build;
	struct vmt_head head;
	int fd = vmt_procfs_open((uint32_t)getpid(), "stat");

	assert_true(fd >= 0 && vmt_procfs_read_stat(fd, &stat));
	close(fd);
	build_trace_default_head(&head);
	head.random_id = ++written;
	head.pid = runs ? (uint32_t)getpid() : BUILD_PID;
	head.start_ticks = stat.start_ticks;
	build = build_trace_new(&head);
	build_trace_usage(build, &usage, 1);
	build_trace_write(build, path_of(number));
	build_trace_free(build);
}

static void
remove_traces(void)
{
	for (unsigned number = 0; number < TRACES; number++)
		unlink(path_of(number));
}

static struct vmt_top_directory *
open_place(uint64_t most_ns)
{
	static char *const paths[] = {place};
	struct vmt_top_directory *directory;
	struct vmt_err err = {""};

	assert_int_equal(vmt_top_directory_open(&directory, paths, 1, most_ns, &err), 0);
	return directory;
}

/* How many rows the next reading has; how many of them have this RSS. To be freed. */
static size_t
read_on(struct vmt_top_directory *directory, struct vmt_top_reading *reading, uint64_t rss_bytes,
	size_t *with_it)
{
	struct vmt_err err = {""};

	assert_int_equal(vmt_top_directory_read(directory, reading, &err), 0);
	*with_it = 0;
	for (size_t i = 0; i < reading->counts[VMT_TOP_PROCESSES]; i++)
		*with_it += reading->items[VMT_TOP_PROCESSES][i].committed_bytes == rss_bytes;
	return reading->counts[VMT_TOP_PROCESSES];
}

static void
test_one_at_a_time(void **state)
{
	struct vmt_top_directory *directory = open_place(0);
	struct vmt_top_reading reading;
	size_t found;

	(void)state;
	for (unsigned number = 0; number < TRACES; number++)
		write_trace(number, true, MIB);
	for (unsigned turn = 1; turn <= TRACES; turn++) {
		assert_int_equal(read_on(directory, &reading, MIB, &found), turn);
		assert_int_equal(reading.is_partial, turn < TRACES);
		assert_int_equal(strstr(reading.note, "not read to the end") != NULL,
				 turn < TRACES);
		vmt_top_reading_free(&reading);
	}
	for (unsigned number = 0; number < TRACES; number++)
		write_trace(number, true, 2 * MIB);
	for (unsigned turn = 1; turn <= TRACES; turn++) {
		assert_int_equal(read_on(directory, &reading, MIB, &found), TRACES);
		assert_int_equal(found, TRACES - turn);
		assert_false(reading.is_partial);
		assert_non_null(strstr(reading.note, "no time for 4 traces"));
		vmt_top_reading_free(&reading);
	}
	vmt_top_directory_close(directory);
	remove_traces();
}

/* Whatever the files are, a reading that is whole comes. */
static void
test_those_that_are_none(void **state)
{
	struct vmt_top_directory *directory = open_place(0);
	struct vmt_top_reading reading;
	bool is_partial = true;
	size_t found;

	(void)state;
	for (unsigned number = 0; number < 3; number++)
		write_trace(number, number == 2, MIB);
	for (unsigned number = 3; number < TRACES; number++)
		build_trace_write_bytes(path_of(number), (const unsigned char *)"none", 4);
	for (unsigned turn = 1; turn <= TRACES && is_partial; turn++) {
		read_on(directory, &reading, MIB, &found);
		is_partial = reading.is_partial;
		vmt_top_reading_free(&reading);
	}
	assert_false(is_partial);
	assert_int_equal(found, 1);
	vmt_top_directory_close(directory);
	remove_traces();
}

/* Where there is time, no figure is older, also of a trace that replaced another. */
static void
test_with_time(void **state)
{
	struct vmt_top_directory *directory = open_place(HOUR_NS);
	struct vmt_top_reading reading;
	size_t found;

	(void)state;
	for (uint64_t turn = 1; turn <= 3; turn++) {
		for (unsigned number = 0; number < TRACES; number++)
			write_trace(number, turn < 3, turn * MIB);
		assert_int_equal(read_on(directory, &reading, turn * MIB, &found),
				 turn < 3 ? TRACES : 0);
		assert_int_equal(found, turn < 3 ? TRACES : 0);
		assert_false(reading.is_partial);
		assert_string_equal(reading.note, "");
		vmt_top_reading_free(&reading);
		unlink(path_of(0));
	}
	vmt_top_directory_close(directory);
	remove_traces();
}

/* What can't be read is said, one as one. */
static void
test_how_unreadable_ones_are_said(void **state)
{
	struct vmt_top_directory *directory = open_place(HOUR_NS);
	struct vmt_top_reading reading;
	size_t found;

	(void)state;
	build_trace_write_bytes(path_of(0), (const unsigned char *)"none", 4);
	read_on(directory, &reading, MIB, &found);
	assert_non_null(strstr(reading.note, "1 trace can't be read: "));
	vmt_top_reading_free(&reading);
	build_trace_write_bytes(path_of(1), (const unsigned char *)"none", 4);
	read_on(directory, &reading, MIB, &found);
	assert_non_null(strstr(reading.note, "2 traces can't be read, the first: "));
	vmt_top_reading_free(&reading);
	vmt_top_directory_close(directory);
	remove_traces();
}

static int
begin(void **state)
{
	(void)state;
	return mkdtemp(place) ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	return rmdir(place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_at_a_time),
	    cmocka_unit_test(test_those_that_are_none),
	    cmocka_unit_test(test_with_time),
	    cmocka_unit_test(test_how_unreadable_ones_are_said),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
