/* Which processes of a tree had no trace? By records, each of which may be anything. */
#include "tests/unit/build_trace.h"

#include "tools/model/tree/tree_build.h"

#define SECOND INT64_C(1000000000)
#define MIB (UINT64_C(1) << 20)

static struct vmt_tree *tree;

/* A trace of a process that had so much at one time, and these records. */
static void
build(const struct vmt_untraced *records, size_t count)
{
	const struct vmt_tree_options options = {.group_by = VMT_TREE_BY_TITLE};
	const struct vmt_usage usage = {
	    .time = 100, .monotonic_ns = 10 * SECOND, .rss_bytes = 8 * MIB};
	const struct vmt_chunk chunk = {.kind = VMT_CHUNK_UNTRACED,
					.record_bytes = sizeof(*records)};
	struct build_trace *trace;
	struct vmt_head head;
	struct vmt_tree_file file;
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];
	int fd;

	build_trace_default_head(&head);
	head.clock_start.monotonic_ns = SECOND;
	head.clock_last.monotonic_ns = 20 * SECOND;
	trace = build_trace_new(&head);
	build_trace_usage(trace, &usage, 1);
	build_trace_chunk(trace, &chunk, records, count * sizeof(*records));
	build_trace_end(trace, VMT_END_EXIT, 0, 200);
	fd = build_trace_memfd(trace, path);
	file = (struct vmt_tree_file){path, path};
	assert_int_equal(vmt_tree_build(&tree, &file, 1, &options, &err), 0);
	close(fd);
	build_trace_free(trace);
}

static const struct vmt_tree_untraced *
untraced(void)
{
	assert_int_equal(tree->family_count, 1);
	return &tree->families[0].untraced;
}

static void
those_at_the_moment_are_counted(void **state)
{
	const struct vmt_untraced records[] = {
	    {.start_ns = 9 * SECOND,
	     .end_ns = 11 * SECOND,
	     .random_id = 5,
	     .pid = 50,
	     .private_bytes = 2 * MIB},
	    {.start_ns = 9 * SECOND,
	     .end_ns = 11 * SECOND,
	     .random_id = 5,
	     .pid = 50,
	     .private_bytes = 3 * MIB},
	    {.start_ns = 9 * SECOND,
	     .end_ns = 11 * SECOND,
	     .pid = 51,
	     .why = VMT_UNTRACED_BRIEF,
	     .private_bytes = VMT_FIGURE_UNKNOWN},
	    {.start_ns = 9 * SECOND,
	     .end_ns = 10 * SECOND - 1,
	     .pid = 52,
	     .private_bytes = VMT_FIGURE_UNKNOWN},
	    {.start_ns = 9 * SECOND + SECOND / 2,
	     .end_ns = VMT_UNTRACED_RUNS,
	     .why = VMT_UNTRACED_EARLY,
	     .random_id = 6,
	     .pid = 53,
	     .private_bytes = MIB},
	    {.start_ns = 7 * SECOND,
	     .end_ns = VMT_UNTRACED_RUNS,
	     .why = VMT_UNTRACED_EARLY,
	     .random_id = 7,
	     .pid = 54,
	     .private_bytes = MIB},
	    {.start_ns = 7 * SECOND,
	     .end_ns = VMT_UNTRACED_RUNS,
	     .why = VMT_UNTRACED_REFUSED,
	     .pid = 55,
	     .private_bytes = VMT_FIGURE_UNKNOWN},
	};

	(void)state;
	build(records, sizeof(records) / sizeof(records[0]));
	assert_int_equal(tree->families[0].moment_ns, 10 * SECOND);
	assert_int_equal(untraced()->told, 6);
	assert_int_equal(untraced()->there, 3);
	assert_int_equal(untraced()->brief, 1);
	assert_int_equal(untraced()->unread, 1);
	assert_int_equal(untraced()->private_bytes, 4 * MIB);
	assert_int_equal(untraced()->most_private_bytes, 3 * MIB);
	vmt_tree_free(tree);
}

/* They had more than the one that has a trace, at another time: that is the moment. */
static void
they_make_the_moment(void **state)
{
	struct vmt_untraced records[100];

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		records[i] = (struct vmt_untraced){.start_ns = 15 * SECOND,
						   .end_ns = 16 * SECOND,
						   .random_id = i + 1,
						   .pid = i + 1,
						   .private_bytes = MIB / 2};
	build(records, 100);
	assert_int_equal(tree->families[0].moment_ns, 15 * SECOND);
	assert_int_equal(tree->families[0].moment_rss_bytes, 8 * MIB);
	assert_int_equal(untraced()->there, 100);
	assert_int_equal(untraced()->private_bytes, 50 * MIB);
	vmt_tree_free(tree);
}

static void
figures_that_no_machine_has_wrap_nothing(void **state)
{
	struct vmt_untraced records[64];

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		records[i] = (struct vmt_untraced){.start_ns = i % 2 ? 0 : UINT64_MAX,
						   .end_ns = i % 3 ? UINT64_MAX - 1 : 0,
						   .random_id = i + 1,
						   .why = i + VMT_UNTRACED_EARLY,
						   .private_bytes = UINT64_MAX - 1 - i};
	build(records, 64);
	assert_true(untraced()->private_bytes <= untraced()->there * VMT_TREE_MOST_BYTES);
	assert_true(untraced()->there > 0 && untraced()->there <= 32);
	assert_int_equal(untraced()->most_private_bytes, VMT_TREE_MOST_BYTES);
	vmt_tree_free(tree);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(those_at_the_moment_are_counted),
	    cmocka_unit_test(they_make_the_moment),
	    cmocka_unit_test(figures_that_no_machine_has_wrap_nothing),
	};

	return cmocka_run_group_tests_name("tree_untraced", tests, NULL, NULL);
}
