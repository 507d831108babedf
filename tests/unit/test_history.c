/* Are the figures of every snapshot those that a report of that snapshot has? On random traces. */
#include "tests/unit/build_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/thin.h"
#include "tools/model/report/report_build.h"
#include "tools/render/json.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define PLACE_PAGES 512u /* all that a random trace knows of */
#define STACKS 24u
#define ROUNDS 14u
#define ROUND_EVENTS 40u
#define MAPPINGS 24u

struct world {
	struct build_trace *build;
	uint32_t stacks[STACKS];
	uint64_t time;
	unsigned short seed[3];
	uint32_t level; /* of format/thin.h */
	bool pauses;	/* snapshots follow each other without an event */
};

static uint64_t
up_to(struct world *world, uint64_t most)
{
	return (uint64_t)nrand48(world->seed) % most;
}

static uint64_t
later(struct world *world)
{
	world->time += 1 + up_to(world, 1000);
	return BUILD_START + world->time;
}

static void
make_stacks(struct world *world)
{
	for (unsigned int i = 0; i < STACKS; i++) {
		const uint64_t frames[] = {0x401000 + i * 16, 0x402000 + i % 5 * 16, 0x403000};

		world->stacks[i] = build_trace_stack(world->build, frames, 3);
	}
}

/* One of those that change what is mapped or how it is used. Most make sense, some do not. */
static struct vmt_event
random_map_event(struct world *world)
{
	static const uint8_t kinds[] = {
	    VMT_EVENT_MMAP,	    VMT_EVENT_MMAP,	  VMT_EVENT_MMAP,	VMT_EVENT_MUNMAP,
	    VMT_EVENT_MREMAP_BEGIN, VMT_EVENT_MREMAP,	  VMT_EVENT_MADVISE,	VMT_EVENT_MPROTECT,
	    VMT_EVENT_THREAD,	    VMT_EVENT_LONG_BEGIN, VMT_EVENT_MMAP_BEGIN, VMT_EVENT_MAP_UNDO,
	    VMT_EVENT_FORK,	    VMT_EVENT_SHMAT,	  VMT_EVENT_SHMDT,
	};
	struct vmt_event event = {
	    .kind = kinds[up_to(world, sizeof(kinds))],
	    .time = later(world),
	    .address = BASE + up_to(world, PLACE_PAGES) * PAGE,
	    .length = (1 + up_to(world, 40)) * PAGE,
	    .protection = up_to(world, 8) ? 3 : 0,
	    .flags = up_to(world, 4) ? 0x22 : 0x122,
	    .advice = up_to(world, 2) ? 4 : 14,
	    .thread = 7 + (uint32_t)up_to(world, 3),
	    .stack = world->stacks[up_to(world, STACKS)],
	    .marks = VMT_MARK_LOOKED,
	    .argument_b = UINT64_MAX,
	};

	if (event.kind == VMT_EVENT_LONG_BEGIN)
		event.argument_a = up_to(world, 2) ? VMT_EVENT_MMAP : VMT_EVENT_THREAD;
	if (event.kind == VMT_EVENT_MREMAP_BEGIN)
		event.argument_b = (1 + up_to(world, 40)) * PAGE;
	if (event.kind == VMT_EVENT_MREMAP)
		event.argument_a = BASE + up_to(world, PLACE_PAGES) * PAGE;
	if (event.kind == VMT_EVENT_THREAD) {
		event.address += event.length - 2304;
		event.argument_a = 2304;
		event.argument_b = 100 + up_to(world, 6);
		event.flags = 0;
	}
	return event;
}

static struct vmt_event
random_heap_event(struct world *world)
{
	static const uint8_t kinds[] = {VMT_EVENT_MALLOC, VMT_EVENT_MALLOC, VMT_EVENT_CALLOC,
					VMT_EVENT_FREE,	  VMT_EVENT_FREE,   VMT_EVENT_REALLOC_BEGIN,
					VMT_EVENT_REALLOC};

	return (struct vmt_event){.kind = kinds[up_to(world, sizeof(kinds))],
				  .time = later(world),
				  .address = BASE + 16 + up_to(world, PLACE_PAGES / 4) * 4 * PAGE,
				  .length = 1 + up_to(world, 3 * PAGE),
				  .thread = 7 + (uint32_t)up_to(world, 3),
				  .stack = world->stacks[up_to(world, STACKS)]};
}

static void
add_events(struct world *world)
{
	struct vmt_event events[ROUND_EVENTS];
	uint32_t heap = (uint32_t)up_to(world, ROUND_EVENTS);

	for (uint32_t i = 0; i < heap; i++)
		events[i] = random_heap_event(world);
	build_trace_events(world->build, BUILD_HEAP_RING(0), events, heap);
	build_trace_last_chunk(world->build)->flags |=
	    (uint16_t)(world->level << VMT_CHUNK_THIN_SHIFT);
	build_trace_seal(build_trace_last_chunk(world->build));
	for (uint32_t i = heap; i < ROUND_EVENTS; i++)
		events[i] = random_map_event(world);
	build_trace_events(world->build, BUILD_MAP_RING(0), events + heap, ROUND_EVENTS - heap);
}

static void
add_tasks(struct world *world)
{
	uint32_t tids[6];
	uint32_t count = 0;
	const uint64_t time = later(world);
	const struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_TASKS, .time_min = time, .time_max = time};

	for (uint32_t tid = 100; tid < 106; tid++)
		if (up_to(world, 3))
			tids[count++] = tid;
	if (count)
		build_trace_chunk(world->build, &chunk, tids, count * sizeof(*tids));
}

/* Mappings with gaps between, each with up to two runs of pages. */
static void
add_snapshot(struct world *world, uint32_t index)
{
	struct build_mapping parts[MAPPINGS];
	struct vmt_run runs[MAPPINGS][2];
	uint64_t at = BASE;
	struct vmt_snapshot_head head = {.time = later(world),
					 .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
					 .shared_rss_bytes = VMT_FIGURE_UNKNOWN,
					 .source = VMT_RESIDENCY_PAGEMAP_SCAN,
					 .index = index};

	for (unsigned int i = 0; i < MAPPINGS; i++) {
		uint64_t pages = 2 + up_to(world, 30);
		uint64_t first = 1 + up_to(world, pages - 1);

		at += up_to(world, 4) ? 0 : up_to(world, 8) * PAGE;
		runs[i][0] =
		    (struct vmt_run){at, (first - up_to(world, first)) * PAGE, VMT_RUN_PRESENT};
		runs[i][1] = (struct vmt_run){at + first * PAGE, (pages - first) * PAGE,
					      up_to(world, 3) ? VMT_RUN_PRESENT : VMT_RUN_SWAPPED};
		parts[i] =
		    (struct build_mapping){.mapping = {.start = at,
						       .end = at + pages * PAGE,
						       .protection = up_to(world, 6) ? 3 : 0},
					   .runs = runs[i],
					   .run_count = (uint32_t)up_to(world, 3)};
		at += pages * PAGE;
	}
	build_trace_snapshot(world->build, &head, parts, MAPPINGS);
}

static struct world
make_world(unsigned short seed, uint64_t sample_bytes, bool is_thinned, uint32_t notes)
{
	struct world world = {.seed = {seed, 17, 4711}, .pauses = seed % 2};
	struct vmt_head head;
	uint32_t index = 0;

	build_trace_default_head(&head);
	head.malloc_mode = sample_bytes ? VMT_MALLOC_SAMPLED : VMT_MALLOC_ALL;
	head.malloc_sample_bytes = sample_bytes;
	head.notes |= notes;
	world.build = build_trace_new(&head);
	make_stacks(&world);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (is_thinned && i % 4 == 3)
			world.level++;
		if (!world.pauses || i % 3)
			add_events(&world);
		if (up_to(&world, 3) == 0)
			add_tasks(&world);
		add_snapshot(&world, index++);
	}
	build_trace_end(world.build, VMT_END_EXIT, 0, later(&world));
	return world;
}

static struct vmt_report *
report_at(const struct world *world, struct vmt_report_options options)
{
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd = build_trace_memfd(world->build, path);

	if (vmt_report_build(&report, path, &options, &err))
		fail_msg("%s", err.text);
	close(fd);
	return report;
}

static char *
as_json(const struct vmt_report *report)
{
	struct vmt_report alone = *report;
	struct vmt_json_options options = {.top = SIZE_MAX};
	struct vmt_err err = {{0}};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	alone.history = (struct vmt_history){0};
	assert_non_null(out);
	assert_int_equal(vmt_json_print(&alone, &options, out, &err), 0);
	fclose(out);
	return text;
}

static void
expect_same_report(const struct vmt_report *with, const struct vmt_report *without)
{
	char *texts[] = {as_json(with), as_json(without)};

	assert_string_equal(texts[0], texts[1]);
	free(texts[0]);
	free(texts[1]);
}

static const struct vmt_class *
class_row(const struct vmt_report *report, const char *name)
{
	for (size_t i = 0; i < report->class_count; i++)
		if (strcmp(report->classes[i].name, name) == 0)
			return &report->classes[i];
	return NULL;
}

static void
expect_classes(const struct vmt_history_point *point, const struct vmt_report *alone)
{
	assert_int_equal(point->index, alone->snapshot.index);
	assert_int_equal(point->time_ns, alone->snapshot.time_ns);
	assert_int_equal(point->rss_bytes, alone->snapshot.rss_bytes);
	assert_int_equal(point->virtual_bytes, alone->snapshot.virtual_bytes);
	assert_int_equal(point->swap_bytes, alone->snapshot.swap_bytes);
	for (int i = 0; i < VMT_CLASSES; i++) {
		const struct vmt_class *row =
		    class_row(alone, vmt_classes_name((enum vmt_class_id)i));
		static const struct vmt_class none;

		if (!row)
			row = &none;
		assert_int_equal(point->classes[i].reserved_bytes, row->reserved_bytes);
		assert_int_equal(point->classes[i].accessible_bytes, row->accessible_bytes);
		assert_int_equal(point->classes[i].committed_bytes, row->committed_bytes);
		assert_int_equal(point->classes[i].swapped_bytes, row->swapped_bytes);
		assert_int_equal(point->classes[i].never_touched_bytes, row->never_touched_bytes);
		assert_int_equal(point->classes[i].hugetlb_bytes, row->hugetlb_bytes);
	}
}

static const struct vmt_site *
same_site(const struct vmt_report *report, const struct vmt_site *wanted)
{
	for (size_t i = 0; i < report->site_count; i++)
		if (report->sites[i].stack_id == wanted->stack_id &&
		    strcmp(report->sites[i].kind, wanted->kind) == 0)
			return &report->sites[i];
	return NULL;
}

static bool
has_anything(const struct vmt_site *site)
{
	return site->live_count || site->reserved_bytes || site->committed_bytes ||
	       site->swapped_bytes || site->hugetlb_bytes;
}

/* What the call sites have then; returns how many do. */
static size_t
expect_sites(const struct vmt_report *report, const struct vmt_history_snapshot *snapshot,
	     const struct vmt_report *alone)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct vmt_history_site *site = &snapshot->sites[i];
		const struct vmt_site *row = same_site(alone, &report->sites[site->site]);

		assert_non_null(row);
		assert_int_equal(site->live_count, row->live_count);
		assert_int_equal(site->amounts.reserved_bytes, row->reserved_bytes);
		assert_int_equal(site->amounts.accessible_bytes, row->accessible_bytes);
		assert_int_equal(site->amounts.committed_bytes, row->committed_bytes);
		assert_int_equal(site->amounts.swapped_bytes, row->swapped_bytes);
		assert_int_equal(site->amounts.never_touched_bytes, row->never_touched_bytes);
		assert_int_equal(site->amounts.hugetlb_bytes, row->hugetlb_bytes);
	}
	for (size_t i = 0; i < alone->site_count; i++)
		count +=
		    has_anything(&alone->sites[i]) && same_site(report, &alone->sites[i]) != NULL;
	assert_int_equal(count, snapshot->site_count);
	return count;
}

/* Sites, and what none has, add up to RSS: exactly, or up to one byte of rounding each. */
static void
expect_sum(const struct vmt_history_point *point, const struct vmt_history_snapshot *snapshot,
	   bool is_exact)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < snapshot->site_count; i++)
		sum += snapshot->sites[i].amounts.committed_bytes;
	for (int i = 0; i < VMT_CLASSES; i++)
		sum += snapshot->rest_committed_bytes[i];
	if (is_exact)
		assert_int_equal(sum, point->rss_bytes);
	assert_true(sum >= point->rss_bytes);
}

static void
expect_map(const struct vmt_history_point *point, const struct vmt_history_snapshot *snapshot,
	   size_t site_count)
{
	uint64_t bytes = snapshot->left_out_bytes;
	size_t cells = 0;
	bool has_pages = false;

	for (size_t i = 0; i < snapshot->range_count; i++) {
		const struct vmt_history_range *range = &snapshot->ranges[i];

		assert_true(i == 0 || range[-1].end <= range->start);
		assert_true(range->cells >= 1 && range->class < VMT_CLASSES);
		assert_true(range->site == UINT32_MAX || range->site < site_count);
		bytes += range->end - range->start;
		cells += range->cells;
	}
	assert_int_equal(cells, snapshot->cell_count);
	for (size_t i = 0; i < cells; i++)
		has_pages |= snapshot->fill[i] != 0;
	assert_int_equal(bytes, point->virtual_bytes);
	assert_int_equal(has_pages, point->rss_bytes != 0);
}

/* What a call mapped is as large in the map as in its row. Returns how many rows that was so for.
 */
static size_t
expect_owners(const struct vmt_report *report, const struct vmt_history_snapshot *snapshot)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct vmt_history_site *site = &snapshot->sites[i];
		uint64_t bytes = 0;

		if (strcmp(report->sites[site->site].kind, "mmap") != 0)
			continue;
		for (size_t j = 0; j < snapshot->range_count; j++)
			if (snapshot->ranges[j].site == site->site)
				bytes += snapshot->ranges[j].end - snapshot->ranges[j].start;
		assert_int_equal(bytes, site->amounts.reserved_bytes);
		count++;
	}
	return count;
}

static void
compare(const struct world *world, enum vmt_report_at at, bool is_exact)
{
	struct vmt_report *report =
	    report_at(world, (struct vmt_report_options){.at = at, .history = true});
	struct vmt_report *without = report_at(world, (struct vmt_report_options){.at = at});
	const struct vmt_history *history = &report->history;
	size_t sites = 0;
	size_t owners = 0;

	expect_same_report(report, without);
	assert_false(without->history.is_built);
	assert_true(history->is_built);
	assert_int_equal(history->point_count, ROUNDS);
	assert_int_equal(history->snapshot_count, ROUNDS);
	for (size_t i = 0; i < history->snapshot_count; i++) {
		const struct vmt_history_snapshot *snapshot = &history->snapshots[i];
		const struct vmt_history_point *point = &history->points[snapshot->point];
		struct vmt_report *alone =
		    report_at(world, (struct vmt_report_options){.at = VMT_AT_TIME,
								 .at_time_ns = point->time_ns});

		assert_int_equal(snapshot->point, i);
		assert_int_equal(snapshot->is_reports, i == history->reports);
		expect_classes(point, alone);
		sites += expect_sites(report, snapshot, alone);
		expect_sum(point, snapshot, is_exact);
		expect_map(point, snapshot, report->site_count);
		owners += expect_owners(report, snapshot);
		vmt_report_free(alone);
	}
	assert_true(sites > ROUNDS && owners > ROUNDS);
	assert_int_equal(history->points[history->snapshots[history->reports].point].index,
			 report->snapshot.index);
	vmt_report_free(without);
	vmt_report_free(report);
}

static void
compare_many(uint64_t sample_bytes, bool is_thinned, uint32_t notes)
{
	for (unsigned short seed = 1; seed <= 12; seed++) {
		struct world world = make_world(seed, sample_bytes, is_thinned, notes);
		bool is_exact = !sample_bytes && !is_thinned;

		compare(&world, VMT_AT_PEAK, is_exact);
		compare(&world, VMT_AT_END, is_exact);
		build_trace_free(world.build);
	}
}

static void
every_figure_is_that_of_a_report_of_the_snapshot(void **state)
{
	(void)state;
	compare_many(0, false, 0);
}

static void
estimates_of_a_sampled_heap_are(void **state)
{
	(void)state;
	compare_many(4096, false, 0);
}

static void
estimates_of_a_thinned_heap_are(void **state)
{
	(void)state;
	compare_many(0, true, 0);
	compare_many(4096, true, 0);
}

static void
those_of_a_fork_child_are(void **state)
{
	(void)state;
	compare_many(0, false, VMT_NOTE_FORKED);
}

/* 3,000 snapshots: the line keeps the least and the most, and what the report is about. */
static void
a_line_of_many_snapshots_keeps_what_stands_out(void **state)
{
	struct build_trace *build = build_trace_new(NULL);
	const uint32_t count = 3000;
	struct world world = {.build = build};
	struct vmt_report *report;

	(void)state;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t pages = i == 1234 ? 16 : i == 777 ? 1 : 8;
		const struct vmt_run run = {BASE, pages * PAGE, VMT_RUN_PRESENT};
		const struct build_mapping part = {
		    {.start = BASE, .end = BASE + 16 * PAGE, .protection = 3}, &run, 1};
		const struct vmt_snapshot_head head = {.time = BUILD_START + 1000 * (i + 1),
						       .source = VMT_RESIDENCY_PAGEMAP,
						       .index = i};

		build_trace_snapshot(build, &head, &part, 1);
	}
	report =
	    report_at(&world, (struct vmt_report_options){
				  .at = VMT_AT_TIME, .at_time_ns = 2000 * 1000, .history = true});
	assert_int_equal(report->snapshot.index, 1999);
	assert_true(report->history.point_count <= VMT_HISTORY_LINE_MOST);
	assert_true(report->history.point_count > VMT_HISTORY_LINE_MOST / 4);
	assert_int_equal(report->history.snapshot_count, VMT_HISTORY_CHOSEN_MOST);

	bool found[3] = {false};
	const uint32_t wanted[] = {777, 1234, 1999};

	for (size_t i = 0; i < report->history.snapshot_count; i++)
		for (size_t j = 0; j < 3; j++)
			found[j] |=
			    report->history.points[report->history.snapshots[i].point].index ==
			    wanted[j];
	assert_true(found[0] && found[1] && found[2]);
	for (size_t i = 1; i < report->history.point_count; i++)
		assert_true(report->history.points[i - 1].time_ns <
			    report->history.points[i].time_ns);
	assert_int_equal(report->history.points[0].index, 0);
	assert_int_equal(report->history.points[report->history.point_count - 1].index, count - 1);
	vmt_report_free(report);
	build_trace_free(build);
}

static void
a_trace_without_snapshots_has_none(void **state)
{
	struct world world = {.build = build_trace_new(NULL)};
	struct vmt_report *report;

	(void)state;
	build_trace_end(world.build, VMT_END_EXIT, 0, BUILD_START + 5);
	report = report_at(&world, (struct vmt_report_options){.history = true});
	assert_false(report->history.is_built);
	assert_int_equal(report->history.point_count, 0);
	vmt_report_free(report);
	build_trace_free(world.build);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_figure_is_that_of_a_report_of_the_snapshot),
	    cmocka_unit_test(estimates_of_a_sampled_heap_are),
	    cmocka_unit_test(estimates_of_a_thinned_heap_are),
	    cmocka_unit_test(those_of_a_fork_child_are),
	    cmocka_unit_test(a_line_of_many_snapshots_keeps_what_stands_out),
	    cmocka_unit_test(a_trace_without_snapshots_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
