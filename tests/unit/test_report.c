/*
 * From a trace's bytes to a report's figures.
 * Over 500 lines: one case a figure.
 */
#include "tests/unit/build_trace.h"

#include <sys/mman.h>

#include "format/untraced.h"
#include "tools/model/report/report_build.h"
#include "tools/model/report/rss_series.h"
#include "tools/string_set.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define PROGRAM UINT64_C(0x555500000000)
#define MS UINT64_C(1000000)
#define AT(ms) (BUILD_START + (ms)*MS)

#define MAP_EVENT(name, ms, ...)                                                                   \
	(struct vmt_event)                                                                         \
	{                                                                                          \
		.kind = VMT_EVENT_##name, .time = AT(ms), .thread = 7, .marks = VMT_MARK_LOOKED,   \
		__VA_ARGS__                                                                        \
	}

static struct vmt_event
mmap_event(uint64_t ms, uint64_t address, uint64_t pages, uint32_t stack)
{
	return MAP_EVENT(MMAP, ms, .address = address, .length = pages * PAGE, .stack = stack,
			 .flags = MAP_PRIVATE | MAP_ANONYMOUS, .protection = 3);
}

static void
snapshot(struct build_trace *build, uint64_t ms, uint32_t index, uint64_t resident_pages,
	 uint64_t mapped_pages)
{
	struct vmt_run program_run = {PROGRAM, 2 * PAGE, VMT_RUN_PRESENT | VMT_RUN_FILE};
	struct vmt_run run = {BASE, resident_pages * PAGE, VMT_RUN_PRESENT};
	struct build_mapping parts[] = {
	    {.mapping = {.start = PROGRAM,
			 .end = PROGRAM + 4 * PAGE,
			 .protection = PROT_READ | PROT_EXEC,
			 .inode = 5,
			 .path = "/usr/bin/victim"},
	     .runs = &program_run,
	     .run_count = 1},
	    {.mapping = {.start = BASE, .end = BASE + mapped_pages * PAGE, .protection = 3},
	     .runs = &run,
	     .run_count = 1},
	};
	struct vmt_snapshot_head head = {
	    .time = AT(ms),
	    .rss_before_bytes = (resident_pages + 1) * PAGE,
	    .rss_after_bytes = (resident_pages + 2) * PAGE,
	    .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
	    .source = VMT_RESIDENCY_PAGEMAP_SCAN,
	    .reason = VMT_SNAPSHOT_GROWTH,
	    .index = index,
	};

	build_trace_snapshot(build, &head, parts, 2);
}

static void
usage(struct build_trace *build)
{
	struct vmt_usage samples[4];

	for (uint32_t i = 0; i < 4; i++)
		samples[i] = (struct vmt_usage){
		    .time = AT(i * 10),
		    .rss_bytes = (i + 1) * PAGE,
		    .cgroup_current_bytes = i == 2 ? 900 : 100,
		    .cgroup_peak_bytes = VMT_FIGURE_UNKNOWN,
		    .cgroup_limit_bytes = i ? 5000 : VMT_FIGURE_UNKNOWN,
		    .cgroup_anon_bytes = VMT_FIGURE_UNKNOWN,
		    .cgroup_file_bytes = VMT_FIGURE_UNKNOWN,
		    .cgroup_oom_kills = 3 + (i == 3),
		};
	build_trace_usage(build, samples, 4);
}

/* 16 pages mapped at 5 ms, 8 of them unmapped at 25 ms, 4 advised away at 28 ms. Snapshots at 20 ms
 * (the peak), 24 ms (as large) and 30 ms. */
static struct build_trace *
sample(void)
{
	struct build_trace *build = build_trace_new(NULL);
	uint64_t frames[] = {PROGRAM + 0x101, PROGRAM + 0x202};
	uint32_t stack = build_trace_stack(build, frames, 2);
	uint32_t module = build_trace_module(build, "/usr/bin/victim");
	struct vmt_event events[] = {
	    MAP_EVENT(MODULE_LOAD, 1, .address = PROGRAM, .length = 4 * PAGE, .argument_a = PROGRAM,
		      .argument_b = module),
	    mmap_event(5, BASE, 16, stack),
	    MAP_EVENT(MUNMAP, 25, .address = BASE + 8 * PAGE, .length = 8 * PAGE,
		      .argument_a = 5 * PAGE, .stack = stack),
	    MAP_EVENT(MADVISE, 28, .address = BASE, .length = 4 * PAGE, .argument_a = 3 * PAGE,
		      .advice = MADV_DONTNEED, .stack = stack),
	};
	struct vmt_event heap = {.kind = VMT_EVENT_MALLOC,
				 .time = AT(6),
				 .address = PROGRAM + 0x2000,
				 .length = 64,
				 .stack = stack};

	build_trace_events(build, BUILD_MAP_RING(0), events, 4);
	build_trace_events(build, BUILD_HEAP_RING(0), &heap, 1);
	snapshot(build, 20, 0, 13, 16);
	snapshot(build, 24, 1, 13, 16);
	snapshot(build, 30, 2, 6, 8);
	usage(build);
	build_trace_end(build, VMT_END_EXIT, 3, AT(40));
	return build;
}

static struct vmt_report *
try_report(const struct build_trace *build, enum vmt_report_at at, int64_t ms, struct vmt_err *err)
{
	struct vmt_report_options options = {.at = at, .at_time_ns = ms * (int64_t)MS};
	struct vmt_report *report;
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(build, path);

	(void)vmt_report_build(&report, path, &options, err);
	close(fd);
	return report;
}

static struct vmt_report *
report_of(const struct build_trace *build, enum vmt_report_at at, int64_t ms)
{
	struct vmt_err err = {{0}};
	struct vmt_report *report = try_report(build, at, ms, &err);

	assert_string_equal(err.text, "");
	return report;
}

static const struct vmt_site *
site_of(const struct vmt_report *report, const char *kind)
{
	for (size_t i = 0; i < report->site_count; i++)
		if (strcmp(report->sites[i].kind, kind) == 0)
			return &report->sites[i];
	fail_msg("no site of kind %s", kind);
	return NULL;
}

/* The identity, as a reader of the report would check it. */
static void
assert_adds_up(const struct vmt_report *report)
{
	uint64_t reserved = 0;
	uint64_t committed = 0;

	for (size_t i = 0; i < report->class_count; i++) {
		reserved += report->classes[i].reserved_bytes;
		committed += report->classes[i].committed_bytes;
	}
	assert_int_equal(committed, report->snapshot.rss_bytes);
	assert_int_equal(reserved, report->snapshot.virtual_bytes);
	assert_int_equal(report->totals.committed_bytes, report->snapshot.rss_bytes);
}

static void
peak_is_the_later_of_the_largest(void **state)
{
	struct build_trace *build = sample();
	struct vmt_report *report = report_of(build, VMT_AT_PEAK, 0);
	const struct vmt_site *site = site_of(report, "mmap");

	(void)state;
	assert_true(report->snapshot.taken);
	assert_int_equal(report->snapshot.index, 1);
	assert_int_equal(report->snapshot.count, 3);
	assert_int_equal(report->snapshot.time_ns, 24 * MS);
	assert_int_equal(report->snapshot.rss_bytes, 15 * PAGE);
	assert_int_equal(report->snapshot.virtual_bytes, 20 * PAGE);
	assert_int_equal(report->snapshot.skew_bytes, PAGE);
	assert_string_equal(report->snapshot.source, "PAGEMAP_SCAN");
	assert_adds_up(report);
	/* at the snapshot */
	assert_int_equal(site->reserved_bytes, 16 * PAGE);
	assert_int_equal(site->committed_bytes, 13 * PAGE);
	assert_int_equal(site->live_count, 1);
	/* over the whole run */
	assert_int_equal(site->count, 1);
	assert_int_equal(site->total_reserved_bytes, 16 * PAGE);
	assert_int_equal(site->released_bytes, 8 * PAGE);
	assert_int_equal(site->released_committed_bytes, 8 * PAGE);
	vmt_report_free(report);
	build_trace_free(build);
}

/* Half a MiB is 128 pages. */
static void
plateau_is_the_last_near_the_peak(void **state)
{
	static const uint64_t resident_pages[] = {500, 1000, 872, 871, 860, 1500, 1600, 1473, 1471};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_report *report;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		snapshot(build, 10 + i, i, resident_pages[i], 4096);
	report = report_of(build, VMT_AT_PLATEAU, 0);
	assert_int_equal(report->snapshot.index, 2);
	vmt_report_free(report);
	for (uint32_t i = 5; i < 9; i++)
		snapshot(build, 10 + i, i, resident_pages[i], 4096);
	report = report_of(build, VMT_AT_PLATEAU, 0);
	assert_int_equal(report->snapshot.index, 7);
	vmt_report_free(report);
	report = report_of(build, VMT_AT_PEAK, 0);
	assert_int_equal(report->snapshot.index, 6);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
end_is_the_last_and_time_the_last_not_after(void **state)
{
	struct build_trace *build = sample();
	struct vmt_report *report = report_of(build, VMT_AT_END, 0);
	struct vmt_err err = {{0}};

	(void)state;
	assert_int_equal(report->snapshot.index, 2);
	assert_int_equal(site_of(report, "mmap")->reserved_bytes, 8 * PAGE);
	assert_int_equal(site_of(report, "mmap")->committed_bytes, 6 * PAGE);
	assert_adds_up(report);
	vmt_report_free(report);
	report = report_of(build, VMT_AT_TIME, 23);
	assert_int_equal(report->snapshot.index, 0);
	assert_adds_up(report);
	vmt_report_free(report);
	report = report_of(build, VMT_AT_TIME, 24);
	assert_int_equal(report->snapshot.index, 1);
	vmt_report_free(report);
	assert_null(try_report(build, VMT_AT_TIME, 19, &err));
	assert_non_null(strstr(err.text, "the first is at 20000 µs (--at 20000us)"));
	build_trace_free(build);
}

/* The collector may take a snapshot while the library still writes its list. */
static void
list_of_what_was_there_explains_an_earlier_snapshot(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_event events[] = {
	    MAP_EVENT(PRESENT, 21, .address = BASE, .length = 4 * PAGE, .argument_b = 3),
	    mmap_event(22, BASE + 8 * PAGE, 1, 0),
	    MAP_EVENT(PRESENT, 23, .address = BASE + 4 * PAGE, .length = 4 * PAGE, .argument_b = 3),
	};
	struct vmt_report *report;

	(void)state;
	build_trace_events(build, BUILD_MAP_RING(0), events, 3);
	snapshot(build, 20, 0, 7, 8);
	report = report_of(build, VMT_AT_PEAK, 0);
	assert_int_equal(report->totals.vmtrace_bytes, 4 * PAGE);
	assert_int_equal(report->totals.unattributed_bytes, 3 * PAGE);
	assert_adds_up(report);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
rows_name_files_advice_and_frames(void **state)
{
	struct build_trace *build = sample();
	struct vmt_report *report = report_of(build, VMT_AT_PEAK, 0);
	const struct vmt_stack_frames *stack = &site_of(report, "mmap")->stack;

	(void)state;
	assert_int_equal(report->file_count, 1);
	assert_string_equal(report->files[0].path, "/usr/bin/victim");
	assert_int_equal(report->files[0].committed_bytes, 2 * PAGE);
	assert_int_equal(report->totals.file_bytes, 2 * PAGE);
	assert_int_equal(report->advice_count, 1);
	assert_string_equal(report->advice[0].advice, "MADV_DONTNEED");
	assert_int_equal(report->advice[0].calls, 1);
	assert_int_equal(report->advice[0].bytes, 4 * PAGE);
	assert_int_equal(report->advice[0].committed_before_bytes, 3 * PAGE);
	assert_int_equal(report->advice[0].stack.count, 2);
	assert_int_equal(stack->count, 2);
	assert_int_equal(stack->frames[0].address, PROGRAM + 0x101);
	assert_int_equal(stack->frames[0].module_offset, 0x101);
	assert_string_equal(stack->frames[1].module, "/usr/bin/victim");
	assert_null(stack->frames[0].function);
	assert_int_equal(site_of(report, "malloc")->reserved_bytes, 64);
	assert_int_equal(report->totals.live_blocks, 1);
	assert_int_equal(report->totals.live_block_bytes, 64);
	vmt_report_free(report);
	build_trace_free(build);
}

/* A collector without a descriptor for the pages writes which mappings there are: that none of
 * their pages is in RAM is not in such a snapshot. */
static void
snapshots_of_mappings_alone_tell_no_rss(void **state)
{
	struct build_mapping part = {
	    .mapping = {.start = BASE, .end = BASE + 16 * PAGE, .protection = 3}};
	struct vmt_snapshot_head head = {.source = VMT_RESIDENCY_NONE,
					 .reason = VMT_SNAPSHOT_FIRST,
					 .lazyfree_bytes = VMT_FIGURE_UNKNOWN};
	struct vmt_event mapped = mmap_event(5, BASE, 16, 0);

	(void)state;
	for (uint32_t seen = 0; seen < 2; seen++) {
		struct build_trace *build = build_trace_new(NULL);
		struct vmt_report *report;

		build_trace_events(build, BUILD_MAP_RING(0), &mapped, 1);
		head.time = AT(6);
		build_trace_snapshot(build, &head, &part, 1);
		if (seen)
			snapshot(build, 20, 1, 13, 16);
		head.time = AT(30);
		build_trace_snapshot(build, &head, &part, 1);
		build_trace_end(build, VMT_END_EXIT, 0, AT(40));
		report = report_of(build, VMT_AT_END, 0);
		assert_int_equal(report->snapshot.taken, seen);
		assert_int_equal(report->snapshot.count, seen);
		assert_int_equal(report->snapshot.time_ns, seen ? 20 * MS : 0);
		vmt_report_free(report);
		build_trace_free(build);
	}
}

/* A collector that learns of an exec late counts the successor's time: the call tells. Where it was
 * not recorded, the collector's time is all there is. */
static void
a_life_ends_with_its_exec(void **state)
{
	struct vmt_event events[] = {mmap_event(5, BASE, 16, 0), MAP_EVENT(EXEC, 7, .stack = 0)};

	(void)state;
	for (uint32_t count = 1; count <= 2; count++) {
		struct build_trace *build = build_trace_new(NULL);
		struct vmt_report *report;

		build_trace_events(build, BUILD_MAP_RING(0), events, count);
		build_trace_end(build, VMT_END_EXEC, 0, AT(40));
		report = report_of(build, VMT_AT_END, 0);
		assert_string_equal(report->process.end, "exec");
		assert_int_equal(report->process.duration_ns, count == 2 ? 7 * MS : 40 * MS);
		vmt_report_free(report);
		build_trace_free(build);
	}
}

static void
process_line_and_cgroup(void **state)
{
	struct build_trace *build = sample();
	struct vmt_report *report = report_of(build, VMT_AT_PEAK, 0);

	(void)state;
	assert_int_equal(report->process.pid, BUILD_PID);
	assert_string_equal(report->process.exe, "/usr/bin/victim");
	assert_string_equal(report->process.cmdline, "victim --flag");
	assert_string_equal(report->process.end, "exit");
	assert_int_equal(report->process.end_status, 3);
	assert_int_equal(report->process.duration_ns, 40 * MS);
	assert_int_equal(report->rss_count, 4);
	assert_int_equal(report->rss[3].time_ns, 30 * MS);
	assert_int_equal(report->rss[3].rss_bytes, 4 * PAGE);
	assert_int_equal(report->cgroup.peak_bytes, 900);
	assert_true(report->cgroup.peak_sampled);
	assert_int_equal(report->loss.events, 5);
	assert_string_equal(report->coverage.malloc_mode, "all");
	assert_string_equal(report->coverage.stacks, "dwarf");
	assert_int_equal(report->coverage.blind_spot_count, 0);
	vmt_report_free(report);
	build_trace_free(build);
}

/* 16 pages at 5 ms, of which 4 are left at 95 ms, and 2 elsewhere at 99 ms. */
static void
what_is_held_is_told_without_a_snapshot(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	uint64_t frame = PROGRAM + 0x101;
	uint64_t other = PROGRAM + 0x202;
	uint32_t early = build_trace_stack(build, &frame, 1);
	uint32_t late = build_trace_stack(build, &other, 1);
	struct vmt_event events[] = {
	    mmap_event(5, BASE, 16, early),
	    MAP_EVENT(MUNMAP, 95, .address = BASE, .length = 12 * PAGE, .stack = early),
	    mmap_event(99, BASE + 32 * PAGE, 2, late),
	};
	struct vmt_report *report;

	(void)state;
	build_trace_events(build, BUILD_MAP_RING(0), events, 3);
	report = report_of(build, VMT_AT_PEAK, 0);
	assert_false(report->snapshot.taken);
	assert_int_equal(report->totals.reserved_bytes, 6 * PAGE);
	assert_int_equal(report->site_count, 2);
	assert_int_equal(report->sites[0].reserved_bytes, 4 * PAGE);
	assert_int_equal(report->sites[0].grown_bytes, 0);
	assert_int_equal(report->sites[1].reserved_bytes, 2 * PAGE);
	assert_int_equal(report->sites[1].grown_bytes, 2 * PAGE);
	assert_int_equal(report->process.last_event_ns, 99 * MS);
	assert_in_range(report->process.growth_from_ns, 89 * MS, 90 * MS);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
blind_spots_are_told(void **state)
{
	struct vmt_head head;
	struct build_trace *build;
	struct vmt_report *report;

	(void)state;
	build_trace_default_head(&head);
	head.malloc_mode = VMT_MALLOC_OFF;
	head.notes = VMT_NOTE_SECCOMP | VMT_NOTE_OUT_OF_STEP | VMT_NOTE_PRESENT_CUT;
	head.nested_calls = 7;
	build = build_trace_new(&head);
	report = report_of(build, VMT_AT_PEAK, 0);
	assert_false(report->snapshot.taken);
	assert_int_equal(report->coverage.blind_spot_count, 6);
	assert_non_null(strstr(report->coverage.blind_spots[0], "seccomp"));
	assert_non_null(strstr(report->coverage.blind_spots[1], "times are estimates"));
	assert_non_null(strstr(report->coverage.blind_spots[2], "more than 16,384"));
	assert_non_null(strstr(report->coverage.blind_spots[3], "7 calls inside other recorded"));
	assert_non_null(strstr(report->coverage.blind_spots[3], "the allocator's own"));
	assert_non_null(strstr(report->coverage.blind_spots[4], "malloc was not recorded"));
	assert_non_null(strstr(report->coverage.blind_spots[5], "no snapshot"));
	assert_int_equal(report->cgroup.peak_bytes, VMT_FIGURE_UNKNOWN);
	vmt_report_free(report);
	build_trace_free(build);
}

static bool
is_blind_spot(const struct vmt_report *report, const char *words)
{
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		if (strstr(report->coverage.blind_spots[i], words))
			return true;
	return false;
}

/* What is put into one program does not go on to the next by itself. */
static void
programs_that_an_injected_one_starts_are_told(void **state)
{
	static const struct {
		uint32_t notes;
		bool lacks_static;
		bool lacks_all;
		bool lacks_most;
	} cases[] = {
	    {0, false, false, false},
	    {VMT_NOTE_INJECTED, true, false, false},
	    {VMT_NOTE_INJECTED | VMT_NOTE_ATTACHED, false, true, false},
	    {VMT_NOTE_INJECTED | VMT_NOTE_FORKED, false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vmt_head head;
		struct build_trace *build;
		struct vmt_report *report;

		build_trace_default_head(&head);
		head.notes = cases[i].notes;
		build = build_trace_new(&head);
		report = report_of(build, VMT_AT_PEAK, 0);
		assert_int_equal(is_blind_spot(report, "that load no library either are"),
				 cases[i].lacks_static);
		assert_int_equal(
		    is_blind_spot(report, "the programs that the process and its children start"),
		    cases[i].lacks_all);
		assert_int_equal(is_blind_spot(report, "only if LD_PRELOAD reaches them"),
				 cases[i].lacks_static || cases[i].lacks_most);
		assert_int_equal(is_blind_spot(report, "recorded only if LD_PRELOAD"),
				 cases[i].lacks_most);
		assert_int_equal(is_blind_spot(report, "One that loads no library is"),
				 cases[i].lacks_most);
		vmt_report_free(report);
		build_trace_free(build);
	}
}

static void
processes_without_a_trace_are_told(void **state)
{
	const struct vmt_untraced records[] = {
	    {.pid = 50, .private_bytes = 20520 << 10},
	    {.pid = 51, .private_bytes = VMT_FIGURE_UNKNOWN},
	};
	const struct vmt_chunk chunk = {.kind = VMT_CHUNK_UNTRACED,
					.record_bytes = sizeof(*records)};
	struct build_trace *build = build_trace_new(NULL);
	bool is_told = false;
	struct vmt_report *report;

	(void)state;
	build_trace_chunk(build, &chunk, records, sizeof(records));
	report = report_of(build, VMT_AT_PEAK, 0);
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		is_told |= strstr(report->coverage.blind_spots[i],
				  "ended without a trace: 2. At most 20.04 MiB of private memory "
				  "were read of one") != NULL;
	assert_true(is_told);
	vmt_report_free(report);
	build_trace_free(build);
}

/* The events that said where modules are went first. Where two were at one place, neither is named.
 */
static void
modules_are_placed_by_their_table_when_events_are_lost(void **state)
{
	(void)state;
	for (uint64_t lost = 0; lost < 2; lost++) {
		struct build_trace *build = build_trace_new(NULL);
		uint64_t frames[] = {PROGRAM + 0x101, PROGRAM + 5 * PAGE};
		uint32_t stack = build_trace_stack(build, frames, 2);
		struct vmt_event event = mmap_event(5, BASE, 16, stack);

		build_trace_module_at(build, "/usr/bin/victim", PROGRAM, PROGRAM + 4 * PAGE);
		build_trace_module_at(build, "/lib/one", PROGRAM + 4 * PAGE, PROGRAM + 6 * PAGE);
		build_trace_module_at(build, "/lib/two", PROGRAM + 5 * PAGE, PROGRAM + 7 * PAGE);
		build_trace_module(build, "/lib/nowhere");
		build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
		build_trace_ring(build, BUILD_MAP_RING(0))
		    .control->overwritten[VMT_EVENT_MODULE_LOAD] = lost;
		struct vmt_report *report = report_of(build, VMT_AT_END, 0);
		const struct vmt_frame *frames_of = site_of(report, "mmap")->stack.frames;

		assert_string_equal(frames_of[0].module ? frames_of[0].module : "",
				    lost ? "/usr/bin/victim" : "");
		assert_string_equal(frames_of[1].module ? frames_of[1].module : "", "");
		vmt_report_free(report);
		build_trace_free(build);
	}
}

static void
a_file_that_is_no_trace_is_an_error(void **state)
{
	struct vmt_report_options options = {.at = VMT_AT_PEAK};
	struct vmt_report *report = (struct vmt_report *)1;
	struct vmt_err err = {{0}};

	(void)state;
	assert_true(vmt_report_build(&report, "/no/such/file", &options, &err) < 0);
	assert_null(report);
	assert_non_null(strstr(err.text, "/no/such/file"));
}

static void
line_keeps_every_peak_in_bounded_points(void **state)
{
	static struct vmt_rss_series line;
	static struct vmt_rss_point points[VMT_RSS_POINTS];
	bool high = false;
	bool low = false;
	size_t count;

	(void)state;
	memset(&line, 0, sizeof(line));
	for (int64_t i = 0; i < 100000; i++)
		vmt_rss_series_add(&line, i, i == 77777 ? 9999 : i == 33333 ? 1 : 500);
	count = vmt_rss_series_points(&line, points);
	assert_true(count <= VMT_RSS_POINTS);
	assert_true(count >= VMT_RSS_BUCKETS / 2);
	for (size_t i = 0; i < count; i++) {
		high |= points[i].time_ns == 77777 && points[i].rss_bytes == 9999;
		low |= points[i].time_ns == 33333 && points[i].rss_bytes == 1;
		assert_true(i == 0 || points[i].time_ns > points[i - 1].time_ns);
	}
	assert_true(high);
	assert_true(low);
}

static void
line_of_few_samples_is_the_samples(void **state)
{
	static struct vmt_rss_series line;
	static struct vmt_rss_point points[VMT_RSS_POINTS];

	(void)state;
	memset(&line, 0, sizeof(line));
	for (int64_t i = 0; i < VMT_RSS_BUCKETS; i++)
		vmt_rss_series_add(&line, i, (uint64_t)(i * 7 % 13));
	assert_int_equal(vmt_rss_series_points(&line, points), VMT_RSS_BUCKETS);
	for (int64_t i = 0; i < VMT_RSS_BUCKETS; i++)
		assert_int_equal(points[i].rss_bytes, i * 7 % 13);
}

static void
strings_are_kept_once(void **state)
{
	struct vmt_string_set *strings = vmt_string_set_new();
	char text[16];
	char *first = vmt_string_set_intern(strings, "abc", 3);

	(void)state;
	assert_string_equal(first, "abc");
	assert_ptr_equal(vmt_string_set_intern(strings, "abcd", 3), first);
	assert_ptr_not_equal(vmt_string_set_intern(strings, "ab", 2), first);
	assert_string_equal(vmt_string_set_intern(strings, "", 0), "");
	for (int i = 0; i < 5000; i++)
		vmt_string_set_intern(strings, text, (size_t)snprintf(text, sizeof(text), "%d", i));
	assert_ptr_equal(vmt_string_set_intern(strings, "abc", 3), first);
	vmt_string_set_free(strings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(peak_is_the_later_of_the_largest),
	    cmocka_unit_test(plateau_is_the_last_near_the_peak),
	    cmocka_unit_test(end_is_the_last_and_time_the_last_not_after),
	    cmocka_unit_test(list_of_what_was_there_explains_an_earlier_snapshot),
	    cmocka_unit_test(rows_name_files_advice_and_frames),
	    cmocka_unit_test(process_line_and_cgroup),
	    cmocka_unit_test(a_life_ends_with_its_exec),
	    cmocka_unit_test(snapshots_of_mappings_alone_tell_no_rss),
	    cmocka_unit_test(what_is_held_is_told_without_a_snapshot),
	    cmocka_unit_test(blind_spots_are_told),
	    cmocka_unit_test(programs_that_an_injected_one_starts_are_told),
	    cmocka_unit_test(processes_without_a_trace_are_told),
	    cmocka_unit_test(modules_are_placed_by_their_table_when_events_are_lost),
	    cmocka_unit_test(a_file_that_is_no_trace_is_an_error),
	    cmocka_unit_test(line_keeps_every_peak_in_bounded_points),
	    cmocka_unit_test(line_of_few_samples_is_the_samples),
	    cmocka_unit_test(strings_are_kept_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
