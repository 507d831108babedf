/*
 * touch_trace.h: a trace of who touched one mapping, and its report.
 */
#ifndef TOUCH_TRACE_H
#define TOUCH_TRACE_H

#include "build_trace.h"

#include <unistd.h>

#include "tools/model/report/report_build.h"

#define BASE UINT64_C(0x7f0000000000)
#define PAGE UINT64_C(4096)
#define MOST_PAGES 8192u

static const uint64_t reserver[] = {0x401010, 0x401500};
static const struct vmt_touch_stack touchers[] = {
    {2, VMT_TOUCH_STACK_COMPLETE, {0x402000, 0x401510}},
    {2, VMT_TOUCH_STACK_COMPLETE, {0x403000, 0x401520}},
    {2, VMT_TOUCH_STACK_CUT, {0x402008, 0x401510}}, /* the first's, at another instruction */
};

static struct build_trace *build;
static struct vmt_report *report;

__attribute__((unused)) static void
add_event(struct vmt_event event)
{
	event.thread = 7;
	event.marks = VMT_MARK_LOOKED;
	event.time += BUILD_START;
	build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
}

__attribute__((unused)) static void
map_by(uint64_t time, uint64_t pages, uint32_t stack)
{
	add_event((struct vmt_event){.time = time,
				     .kind = VMT_EVENT_MMAP,
				     .address = BASE,
				     .length = pages * PAGE,
				     .protection = 3,
				     .flags = 0x22,
				     .argument_b = UINT64_MAX,
				     .stack = stack});
}

__attribute__((unused)) static void
map(uint64_t time, uint64_t pages)
{
	map_by(time, pages, build_trace_stack(build, reserver, 2));
}

/* Every period-th page of a range, by a toucher. */
__attribute__((unused)) static void
touch(uint64_t time, uint64_t first, uint64_t pages, uint32_t stack, uint64_t period)
{
	const struct vmt_touch_head head = {.period = period,
					    .minor_faults = pages,
					    .major_faults = 0,
					    .flags = VMT_TOUCH_PAGE_SIZES | VMT_TOUCH_INHERITED |
						     VMT_TOUCH_KERNEL_FAULTS};
	static struct vmt_touch_sample samples[MOST_PAGES];
	uint32_t count = 0;

	for (uint64_t i = 0; i < pages; i += period)
		samples[count++] = (struct vmt_touch_sample){.time = BUILD_START + time,
							     .address = BASE + (first + i) * PAGE,
							     .thread = 7,
							     .stack = stack,
							     .page_shift = 12};
	build_trace_touch(build, &head, touchers, 3, samples, count);
}

__attribute__((unused)) static void
look(uint64_t time, uint64_t pages, uint64_t resident, uint32_t index)
{
	const struct vmt_run run = {BASE, resident * PAGE, VMT_RUN_PRESENT};
	const struct build_mapping part = {
	    {.start = BASE, .end = BASE + pages * PAGE, .protection = 3}, &run, 1};
	const struct vmt_snapshot_head head = {.time = BUILD_START + time,
					       .monotonic_ns = BUILD_START + time,
					       .rss_before_bytes = resident * PAGE,
					       .rss_after_bytes = resident * PAGE,
					       .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
					       .source = VMT_RESIDENCY_PAGEMAP,
					       .index = index};

	build_trace_snapshot(build, &head, &part, 1);
}

__attribute__((unused)) static void
make_report(void)
{
	const struct vmt_report_options options = {.at = VMT_AT_END};
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];
	int fd;

	build_trace_end(build, VMT_END_EXIT, 0, BUILD_START + 1000);
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
}

__attribute__((unused)) static void
expect_in(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("no \"%s\" in:\n%s", wanted, text);
}

__attribute__((unused)) static int
set_up(void **state)
{
	(void)state;
	build = build_trace_new(NULL);
	report = NULL;
	return 0;
}

__attribute__((unused)) static int
tear_down(void **state)
{
	(void)state;
	vmt_report_free(report);
	build_trace_free(build);
	return 0;
}

#endif
