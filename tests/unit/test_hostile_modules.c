/*
 * test_hostile_modules.c: what can modules cost a report that come and go between any two calls,
 * and names that are damaged?
 *
 * Each call is of a site of its own then, although its stack is always the same. The processor time
 * is bounded as for a trace of honest calls.
 */
#include "touch_trace.h"

#define ROUNDS 120000u
#define AT_ONCE 1000u
#define MOST_CPU_NS UINT64_C(5000000000)

static struct vmt_event
event_at(uint64_t time, uint16_t kind, uint64_t address, uint64_t length)
{
	return (struct vmt_event){.time = BUILD_START + time,
				  .thread = 7,
				  .kind = kind,
				  .address = address,
				  .length = length};
}

/* A load, a call, an unload; each load is of another length, and so another place. */
static void
add_rounds(uint64_t first, uint32_t stack, uint32_t module)
{
	static struct vmt_event events[3 * AT_ONCE];

	for (uint64_t i = 0; i < AT_ONCE; i++) {
		uint64_t time = 10 + 3 * (first + i);
		struct vmt_event *event = &events[3 * i];

		event[0] = event_at(time, VMT_EVENT_MODULE_LOAD, 0x400000, (first + i + 1) * PAGE);
		event[0].argument_b = module;
		event[1] = event_at(time + 1, VMT_EVENT_MMAP, BASE, PAGE);
		event[1].protection = 3;
		event[1].flags = 0x22;
		event[1].argument_b = UINT64_MAX;
		event[1].stack = stack;
		event[2] = event_at(time + 2, VMT_EVENT_MODULE_UNLOAD, 0x400000, 0);
		event[2].argument_b = module;
	}
	build_trace_events(build, BUILD_MAP_RING(0), events, 3 * AT_ONCE);
}

static void
one_stack_in_many_modules(void **state)
{
	const struct vmt_report_options options = {.at = VMT_AT_END, .cpu_ns = MOST_CPU_NS};
	uint32_t stack = build_trace_stack(build, reserver, 2);
	uint32_t module = build_trace_module(build, "/nowhere/libplugin.so");
	uint64_t reserved = 0;
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];
	int fd;

	(void)state;
	for (uint64_t i = 0; i < ROUNDS; i += AT_ONCE)
		add_rounds(i, stack, module);
	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + 100000000);
	fd = build_trace_memfd(build, path);
	if (vmt_report_build(&report, path, &options, &err) != 0)
		fail_msg("%s", err.text);
	close(fd);
	assert_true(report->site_count > ROUNDS / 2);
	for (size_t i = 0; i < report->site_count; i++)
		reserved += report->sites[i].total_reserved_bytes;
	assert_int_equal(reserved, ROUNDS * PAGE);
}

/* The report goes on with names from files. */
static void
damaged_packed_names_are_dropped(void **state)
{
	const struct vmt_report_options options = {.at = VMT_AT_END, .symbols = true};
	const struct vmt_chunk chunk = {.kind = VMT_CHUNK_NAMES};
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];
	bool is_said = false;
	int fd;

	(void)state;
	map(10, 3);
	build_trace_chunk(build, &chunk, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + 100);
	fd = build_trace_memfd(build, path);
	if (vmt_report_build(&report, path, &options, &err) != 0)
		fail_msg("%s", err.text);
	close(fd);
	assert_int_equal(report->site_count, 1);
	assert_int_equal(report->packed.modules, 0);
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		is_said |= strstr(report->coverage.blind_spots[i], "are damaged") != NULL;
	assert_true(is_said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(one_stack_in_many_modules, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(damaged_packed_names_are_dropped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
