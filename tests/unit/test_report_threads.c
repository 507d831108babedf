/* What lists of a process's threads say to a report, and which of them say nothing. */
#include "tests/unit/build_trace.h"

#include "tools/model/report/report_build.h"

#define PAGE UINT64_C(4096)
#define STACK UINT64_C(0x7f0000100000)
#define STACK_PAGES 16
#define DESCRIPTOR_BYTES 2304
#define MAIN_TID 5000u
#define OTHER_TID 5001u

static void
list_threads(struct build_trace *build, uint64_t time, const uint32_t *tids, uint32_t count)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_TASKS,
				  .time_min = BUILD_START + time,
				  .time_max = BUILD_START + time};

	build_trace_chunk(build, &chunk, tids, count * sizeof(*tids));
}

static struct build_trace *
thread_of_one_page(void)
{
	static const uint32_t both[] = {MAIN_TID, OTHER_TID};
	struct build_trace *build = build_trace_new(NULL);
	const struct vmt_event created = {.kind = VMT_EVENT_THREAD,
					  .time = BUILD_START + 10,
					  .address = STACK + STACK_PAGES * PAGE - DESCRIPTOR_BYTES,
					  .length = STACK_PAGES * PAGE,
					  .argument_a = DESCRIPTOR_BYTES,
					  .argument_b = OTHER_TID,
					  .thread = MAIN_TID};
	const struct vmt_snapshot_head head = {.time = BUILD_START + 30};
	const struct vmt_run run = {STACK, PAGE, VMT_RUN_PRESENT};
	const struct build_mapping part = {
	    .mapping = {.start = STACK, .end = STACK + STACK_PAGES * PAGE, .protection = 3},
	    .runs = &run,
	    .run_count = 1};

	build_trace_events(build, BUILD_MAP_RING(0), &created, 1);
	list_threads(build, 25, both, 2);
	build_trace_snapshot(build, &head, &part, 1);
	return build;
}

static const struct vmt_site *
thread_row(struct vmt_report **report, const struct build_trace *build)
{
	struct vmt_report_options options = {.at = VMT_AT_END};
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, path);

	assert_int_equal(vmt_report_build(report, path, &options, &err), 0);
	close(fd);
	assert_int_equal((*report)->site_count, 1);
	return (*report)->sites;
}

/* The process ended before the snapshot could be taken that the list was made for. */
static void
a_list_after_the_last_snapshot_ends_no_thread(void **state)
{
	static const uint32_t one = MAIN_TID;
	struct build_trace *build = thread_of_one_page();
	const struct vmt_site *row;
	struct vmt_report *report;

	(void)state;
	list_threads(build, 40, &one, 1);
	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + 50);
	row = thread_row(&report, build);
	assert_int_equal(row->reserved_bytes, STACK_PAGES * PAGE);
	assert_int_equal(row->released_bytes, 0);
	assert_int_equal(row->total_reserved_bytes, STACK_PAGES * PAGE);
	vmt_report_free(report);
	build_trace_free(build);
}

/* One before it does, though no event says so. */
static void
a_list_before_a_snapshot_ends_those_it_lacks(void **state)
{
	static const uint32_t one = MAIN_TID;
	const struct vmt_snapshot_head later = {.time = BUILD_START + 50, .index = 1};
	struct build_trace *build = thread_of_one_page();
	const struct vmt_site *row;
	struct vmt_report *report;

	(void)state;
	list_threads(build, 40, &one, 1);
	build_trace_snapshot(build, &later, NULL, 0);
	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + 60);
	row = thread_row(&report, build);
	assert_int_equal(row->reserved_bytes, 0);
	assert_int_equal(row->released_bytes, row->total_reserved_bytes);
	vmt_report_free(report);
	build_trace_free(build);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_after_the_last_snapshot_ends_no_thread),
	    cmocka_unit_test(a_list_before_a_snapshot_ends_those_it_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
