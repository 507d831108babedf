/*
 * sample_trace.h: a small trace with one of everything in it.
 *
 * Under 32 KiB, so that tests can damage every byte of it in turn.
 */
#ifndef SAMPLE_TRACE_H
#define SAMPLE_TRACE_H

#include "build_trace.h"

#define SAMPLE_EVENTS 9u /* in chunks; two more remain in the rings */
#define SAMPLE_REMAINS 2u
#define SAMPLE_USAGES 3u
#define SAMPLE_SNAPSHOTS 2u
#define SAMPLE_CHUNKS 6u
#define SAMPLE_BASE UINT64_C(0x7f0000000000)

static inline void
sample_trace_snapshot(struct build_trace *build, uint64_t time, uint32_t index)
{
	static const struct vmt_run runs[] = {
	    {SAMPLE_BASE, 8192, VMT_RUN_PRESENT},
	    {SAMPLE_BASE + 16384, 4096, VMT_RUN_PRESENT | VMT_RUN_ZERO},
	    {SAMPLE_BASE + 20480, 4096, VMT_RUN_SWAPPED},
	};
	static const struct vmt_run file_run = {0x400000, 4096, VMT_RUN_PRESENT | VMT_RUN_FILE};
	const struct build_mapping parts[] = {
	    {{.start = 0x400000,
	      .end = 0x402000,
	      .inode = 99,
	      .device = 0x801,
	      .protection = 5,
	      .path = "/usr/bin/victim"},
	     &file_run,
	     1},
	    {{.start = SAMPLE_BASE, .end = SAMPLE_BASE + 65536, .protection = 3}, runs, 3},
	    {{.start = 0x7ffffffde000, .end = 0x7ffffffff000, .path = "[stack]"}, NULL, 0},
	};
	struct vmt_snapshot_head head = {
	    .time = time,
	    .monotonic_ns = time,
	    .rss_before_bytes = 12288,
	    .rss_after_bytes = 12288,
	    .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
	    .source = VMT_RESIDENCY_PAGEMAP,
	    .reason = index == 0 ? VMT_SNAPSHOT_FIRST : VMT_SNAPSHOT_EXIT,
	    .index = index,
	    .kernel = {.anonymous_bytes = 8192,
		       .file_bytes = 4096,
		       .page_table_bytes = 45056,
		       .proportional_bytes = VMT_FIGURE_UNKNOWN,
		       .private_bytes = VMT_FIGURE_UNKNOWN,
		       .shared_bytes = VMT_FIGURE_UNKNOWN,
		       .anonymous_huge_bytes = VMT_FIGURE_UNKNOWN,
		       .locked_rss_bytes = VMT_FIGURE_UNKNOWN},
	};

	build_trace_snapshot(build, &head, parts, 3);
}

static inline void
sample_trace_map_events(struct build_trace *build, uint32_t stack, uint32_t module)
{
	const struct vmt_event events[] = {
	    {.time = BUILD_START + 10,
	     .kind = VMT_EVENT_MODULE_LOAD,
	     .address = 0x400000,
	     .length = 0x2000,
	     .argument_b = module},
	    {.time = BUILD_START + 20,
	     .kind = VMT_EVENT_MMAP,
	     .address = SAMPLE_BASE,
	     .length = 65536,
	     .protection = 3,
	     .flags = 0x22,
	     .argument_b = UINT64_MAX,
	     .stack = stack,
	     .thread = 4242},
	    {.time = BUILD_START + 40,
	     .kind = VMT_EVENT_MADVISE,
	     .address = SAMPLE_BASE,
	     .length = 4096,
	     .advice = 4,
	     .argument_a = 4096,
	     .marks = VMT_MARK_LOOKED,
	     .stack = stack,
	     .thread = 4242},
	    {.time = BUILD_START + 90,
	     .kind = VMT_EVENT_MUNMAP,
	     .address = SAMPLE_BASE,
	     .length = 65536,
	     .argument_a = 8192,
	     .marks = VMT_MARK_LOOKED,
	     .stack = stack,
	     .thread = 4242},
	};

	build_trace_events(build, BUILD_MAP_RING(0), events, 4);
}

static inline void
sample_trace_heap_events(struct build_trace *build, uint32_t stack)
{
	const struct vmt_event events[] = {
	    {.time = BUILD_START + 30,
	     .kind = VMT_EVENT_MALLOC,
	     .address = 0x500010,
	     .length = 100,
	     .stack = stack,
	     .thread = 4242},
	    {.time = BUILD_START + 35,
	     .kind = VMT_EVENT_MALLOC,
	     .address = 0x500090,
	     .length = 200,
	     .stack = stack,
	     .thread = 4243},
	    {.time = BUILD_START + 50, .kind = VMT_EVENT_FREE, .address = 0x500010, .thread = 4243},
	    {.time = BUILD_START + 60,
	     .kind = VMT_EVENT_REALLOC_BEGIN,
	     .address = 0x500090,
	     .length = 200},
	    {.time = BUILD_START + 61,
	     .kind = VMT_EVENT_REALLOC,
	     .address = 0x500200,
	     .length = 300},
	};

	build_trace_events(build, BUILD_HEAP_RING(0), events, 5);
}

/* EVENTS, EVENTS, SNAPSHOT, USAGE, SNAPSHOT, END, and two events that the rings still hold. */
static inline struct build_trace *
sample_trace_new(size_t (*compress)(void *, size_t, const void *, size_t))
{
	static const uint64_t frames[] = {0x401234, 0x401300, 0x7f1111111111};
	const struct vmt_usage usage[] = {
	    {.time = BUILD_START + 5, .monotonic_ns = BUILD_START + 5, .rss_bytes = 4096},
	    {.time = BUILD_START + 55, .monotonic_ns = BUILD_START + 55, .rss_bytes = 8192},
	    {.time = BUILD_START + 99, .monotonic_ns = BUILD_START + 99, .rss_bytes = 12288},
	};
	const struct vmt_event last_map = {
	    .time = BUILD_START + 100, .kind = VMT_EVENT_EXIT, .argument_b = VMT_EXIT_EXIT};
	const struct vmt_event last_heap = {
	    .time = BUILD_START + 95, .kind = VMT_EVENT_FREE, .address = 0x500200};
	struct build_trace *build = build_trace_new(NULL);
	uint32_t stack = build_trace_stack(build, frames, 3);
	uint32_t module = build_trace_module(build, "/usr/bin/victim");

	build->compress = compress;
	sample_trace_map_events(build, stack, module);
	sample_trace_heap_events(build, stack);
	sample_trace_snapshot(build, BUILD_START + 50, 0);
	build_trace_usage(build, usage, SAMPLE_USAGES);
	sample_trace_snapshot(build, BUILD_START + 100, 1);
	build_trace_end(build, VMT_END_EXIT, 3, BUILD_START + 110);
	build_trace_remain(build, BUILD_MAP_RING(0), &last_map);
	build_trace_remain(build, BUILD_HEAP_RING(0), &last_heap);
	return build;
}

/* A Go runtime in the victim, with a chunk of its counters. */
static inline void
sample_trace_add_go(struct build_trace *build)
{
	struct vmt_head *head = build_trace_head(build);
	struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_GO, .time_min = BUILD_START + 99, .time_max = BUILD_START + 99};
	struct {
		struct vmt_go_counters head;
		struct vmt_go_object object;
		uint64_t words[32];
	} payload = {.head = {.time = BUILD_START + 99, .snapshot = 1, .objects = 1},
		     .object = {.address = 0x401000,
				.bytes = sizeof(payload.words),
				.symbol = "runtime.memstats"}};

	strcpy(head->go.version, "go1.24.4");
	head->go.sites_count = 1;
	head->go.sites[0].address = 0x401100;
	strcpy(head->go.sites[0].symbol, "runtime.madvise.abi0");
	head->go.objects_count = 1;
	head->go.objects[0] = payload.object;
	head->go.text_low = 0x401000;
	head->go.text_high = 0x402000;
	build_trace_chunk(build, &chunk, &payload, sizeof(payload));
}

#define SAMPLE_TOUCHES 3u

/* Page faults in the victim's mapping, sampled by the kernel. */
static inline void
sample_trace_add_touch(struct build_trace *build)
{
	static const struct vmt_touch_head head = {.period = 61,
						   .minor_faults = 200,
						   .major_faults = 1,
						   .samples_lost = 4,
						   .samples_skipped = 2,
						   .flags = VMT_TOUCH_PAGE_SIZES};
	static const struct vmt_touch_stack stacks[] = {
	    {3, VMT_TOUCH_STACK_COMPLETE, {0x401100, 0x401234, 0x401300}},
	    {1, VMT_TOUCH_STACK_CUT, {0x401180}},
	};
	static const struct vmt_touch_sample samples[] = {
	    {.time = BUILD_START + 25, .address = SAMPLE_BASE, .thread = 4242, .page_shift = 12},
	    {.time = BUILD_START + 45,
	     .address = SAMPLE_BASE + 4096,
	     .thread = 4243,
	     .stack = 1,
	     .page_shift = 12,
	     .kernel = true},
	    {.time = BUILD_START + 46,
	     .address = SAMPLE_BASE + 20480,
	     .thread = 4242,
	     .page_shift = 12,
	     .major = true},
	};

	build_trace_touch(build, &head, stacks, 2, samples, SAMPLE_TOUCHES);
}

#endif
