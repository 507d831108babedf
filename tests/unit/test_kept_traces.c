/*
 * test_kept_traces.c: are reports out of what is kept those of a replay from the beginning, and is
 * what is kept bounded?
 */
#include "tools/serve/kept_traces.h"

#include "tests/unit/build_trace.h"
#include "tests/unit/trace_file.h"
#include "tools/model/report/report_build.h"
#include "tools/render/json.h"

#include <sys/wait.h>

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define PLENTY UINT64_MAX /* a sanitizer has mapped terabytes */
#define RUNNING (VMT_KEPT_TRACES_MOST + 3u)

/* As if there were so many: all are the one file under other names. */
static struct vmt_running_trace all[RUNNING];
static struct build_trace *build;
static uint64_t now = BUILD_START + 1000;
static uint32_t stack;

/* Two mappings more, and a look at them. */
static void
go_on(void)
{
	static uint64_t mapped;
	static uint32_t index;
	struct vmt_event event = {.kind = VMT_EVENT_MMAP,
				  .thread = 7,
				  .stack = stack,
				  .length = 4 * PAGE,
				  .flags = MAP_PRIVATE | MAP_ANONYMOUS,
				  .protection = 3};
	struct vmt_run run = {BASE, 2 * PAGE, VMT_RUN_PRESENT};
	struct build_mapping part = {
	    .mapping = {.start = BASE, .protection = 3}, .runs = &run, .run_count = 1};
	struct vmt_snapshot_head head = {.source = VMT_RESIDENCY_PAGEMAP_SCAN,
					 .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
					 .peak_rss_bytes = 10 * PAGE};

	for (int i = 0; i < 2; i++) {
		event.time = now += 10;
		event.address = BASE + mapped++ * 4 * PAGE;
		build_trace_events(build, BUILD_MAP_RING(0), &event, 1);
	}
	part.mapping.end = BASE + mapped * 4 * PAGE;
	head.time = now += 10;
	head.index = index++;
	build_trace_snapshot(build, &head, &part, 1);
	build_trace_write(build, trace_file_path);
}

static int
set_up(void **state)
{
	uint64_t frames[2] = {0x1000, 0x2000};

	if (trace_file_begin(state) < 0)
		return -1;
	build = build_trace_new(NULL);
	stack = build_trace_stack(build, frames, 2);
	go_on();
	for (size_t i = 0; i < RUNNING; i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s/%zu.vmt", trace_file_directory, i);
		assert_int_equal(symlink(trace_file_path, path), 0);
		all[i] = (struct vmt_running_trace){.path = strdup(path), .pid = 1};
		assert_non_null(all[i].path);
	}
	return 0;
}

static int
tear_down(void **state)
{
	for (size_t i = 0; i < RUNNING; i++) {
		unlink(all[i].path);
		free(all[i].path);
	}
	build_trace_free(build);
	return trace_file_end(state);
}

static void
print(const struct vmt_report *report, char **text, size_t *length)
{
	struct vmt_err err = {""};
	FILE *out = open_memstream(text, length);

	assert_non_null(out);
	assert_int_equal(
	    vmt_json_print(report, &(struct vmt_json_options){.top = SIZE_MAX}, out, &err), 0);
	fclose(out);
}

/* In a child: does each say what a replay from the beginning says? */
static int
compare_all(struct vmt_kept_traces *kept, size_t count, bool symbols)
{
	const struct vmt_report_options options = {
	    .at = VMT_AT_END, .no_growth = true, .symbols = symbols};

	for (size_t i = 0; i < count; i++) {
		struct vmt_kept_report report;
		struct vmt_report *fresh;
		struct vmt_err err = {""};
		char *texts[2];
		size_t lengths[2];

		if (vmt_kept_traces_report(kept, &all[i], symbols, &report, &err) < 0 ||
		    vmt_report_build(&fresh, all[i].path, &options, &err) < 0)
			return 1;
		print(report.report, &texts[0], &lengths[0]);
		print(fresh, &texts[1], &lengths[1]);
		if (lengths[0] != lengths[1] || memcmp(texts[0], texts[1], lengths[0]) != 0)
			return 2;
		free(texts[0]);
		free(texts[1]);
		vmt_kept_report_free(&report);
		vmt_report_free(fresh);
	}
	return 0;
}

static void
expect_same(struct vmt_kept_traces *kept, size_t count, bool symbols)
{
	int status;
	pid_t child;

	vmt_kept_traces_fork(kept, true);
	child = fork();
	if (child == 0)
		_exit(compare_all(kept, count, symbols));
	vmt_kept_traces_fork(kept, false);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
reports_are_those_from_the_beginning(void **state)
{
	struct vmt_kept_traces *kept = vmt_kept_traces_new(PLENTY);

	(void)state;
	for (int step = 0; step < 6; step++) {
		/* Names are wanted from the third on, but not for each report. */
		for (size_t i = 0; i < 2; i++)
			vmt_kept_traces_read(kept, &all[i], step == 2);
		assert_int_equal(vmt_kept_traces_count(kept), 2);
		expect_same(kept, 3, false); /* one of them is not kept */
		expect_same(kept, 3, true);
		go_on();
	}
	vmt_kept_traces_free(kept);
}

static void
what_has_ended_is_dropped(void **state)
{
	struct vmt_kept_traces *kept = vmt_kept_traces_new(PLENTY);
	struct vmt_running_traces running = {.all = all, .count = 3};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		vmt_kept_traces_read(kept, &all[i], false);
	vmt_kept_traces_drop_others(kept, &running);
	assert_int_equal(vmt_kept_traces_count(kept), 3);
	running.all = all + 1;
	running.count = 1;
	vmt_kept_traces_drop_others(kept, &running);
	assert_int_equal(vmt_kept_traces_count(kept), 1);
	all[1].random_id++; /* another process's trace at the same path */
	vmt_kept_traces_drop_others(kept, &running);
	assert_int_equal(vmt_kept_traces_count(kept), 0);
	all[1].random_id--;
	vmt_kept_traces_free(kept);
}

static void
number_and_memory_are_bounded(void **state)
{
	struct vmt_kept_traces *kept = vmt_kept_traces_new(PLENTY);

	(void)state;
	for (size_t i = 0; i < RUNNING; i++)
		vmt_kept_traces_read(kept, &all[i], false);
	assert_int_equal(vmt_kept_traces_count(kept), VMT_KEPT_TRACES_MOST);
	expect_same(kept, RUNNING, false);
	vmt_kept_traces_free(kept);
	kept = vmt_kept_traces_new(1);
	vmt_kept_traces_read(kept, &all[0], false);
	assert_int_equal(vmt_kept_traces_count(kept), 0);
	expect_same(kept, 1, false);
	vmt_kept_traces_free(kept);
}

/* The next answer tries again. */
static void
what_cannot_be_read_is_not_kept(void **state)
{
	struct vmt_kept_traces *kept = vmt_kept_traces_new(PLENTY);
	struct vmt_kept_report report;
	struct vmt_err err = {""};

	(void)state;
	assert_int_equal(truncate(trace_file_path, 100), 0);
	vmt_kept_traces_read(kept, &all[0], false);
	assert_int_equal(vmt_kept_traces_count(kept), 0);
	assert_true(vmt_kept_traces_report(kept, &all[0], false, &report, &err) < 0);
	assert_true(err.text[0] != '\0');
	vmt_kept_report_free(&report);
	build_trace_write(build, trace_file_path);
	vmt_kept_traces_read(kept, &all[0], false);
	assert_int_equal(vmt_kept_traces_count(kept), 1);
	vmt_kept_traces_free(kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reports_are_those_from_the_beginning),
	    cmocka_unit_test(what_has_ended_is_dropped),
	    cmocka_unit_test(number_and_memory_are_bounded),
	    cmocka_unit_test(what_cannot_be_read_is_not_kept),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
