/* What a report says of a Go runtime, from a trace's bytes: here of one whose file is gone.
 * Over 500 lines: one case a thing that is known or not. */
#include "tests/unit/build_trace.h"

#include <sys/mman.h>

#include "base/procfs.h"
#include "format/go_heap.h"
#include "format/go_profile.h"
#include "tools/model/report/report_build.h"
#include "tools/model/report/report_draft.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define MS UINT64_C(1000000)
#define AT(ms) (BUILD_START + (ms)*MS)

static void
add_site(struct vmt_go *go, const char *symbol, bool patched, const char *why)
{
	struct vmt_go_site *site = &go->sites[go->sites_count++];

	site->patched = patched;
	strcpy(site->symbol, symbol);
	strcpy(site->why, why);
}

/* Four mappings of two pages each, one page of each resident; three have the runtime's names. */
static void
add_snapshot(struct build_trace *build)
{
	static const char *const names[] = {"[anon: Go: heap]", "[anon: Go: page summary]",
					    "[anon: Go: trace buffer]", ""};
	struct build_mapping parts[4];
	struct vmt_run runs[4];
	struct vmt_snapshot_head head = {
	    .time = AT(20),
	    .lazyfree_bytes = 3 * PAGE,
	    .source = VMT_RESIDENCY_PAGEMAP_SCAN,
	    .reason = VMT_SNAPSHOT_EXIT,
	};

	for (uint32_t i = 0; i < 4; i++) {
		uint64_t start = BASE + i * 16 * PAGE;

		runs[i] = (struct vmt_run){start, PAGE, VMT_RUN_PRESENT};
		parts[i] = (struct build_mapping){
		    .mapping = {.start = start,
				.end = start + 2 * PAGE,
				.protection = PROT_READ | PROT_WRITE,
				.path = names[i]},
		    .runs = &runs[i],
		    .run_count = 1,
		};
	}
	build_trace_snapshot(build, &head, parts, 4);
}

static struct vmt_report *
report_noted(const struct vmt_go *go, enum vmt_malloc_mode mode, uint32_t notes)
{
	struct vmt_report_options options = {.at = VMT_AT_END, .symbols = true};
	struct vmt_event mapped = {.kind = VMT_EVENT_MMAP,
				   .time = AT(5),
				   .thread = 7,
				   .address = BASE,
				   .length = 64 * PAGE,
				   .flags = MAP_PRIVATE | MAP_ANONYMOUS,
				   .protection = 3};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd;

	build_trace_head(build)->go = *go;
	build_trace_head(build)->malloc_mode = mode;
	build_trace_head(build)->notes |= notes;
	build_trace_events(build, BUILD_MAP_RING(0), &mapped, 1);
	add_snapshot(build);
	build_trace_end(build, VMT_END_EXIT, 0, AT(40));
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
	build_trace_free(build);
	return report;
}

static struct vmt_report *
report_with(const struct vmt_go *go, enum vmt_malloc_mode mode)
{
	return report_noted(go, mode, 0);
}

static struct vmt_report *
report_of(const struct vmt_go *go)
{
	return report_with(go, VMT_MALLOC_ALL);
}

static uint64_t
committed_of(const struct vmt_report *report, const char *class)
{
	for (size_t i = 0; i < report->class_count; i++)
		if (strcmp(report->classes[i].name, class) == 0)
			return report->classes[i].committed_bytes;
	return 0;
}

static bool
has_blind_spot(const struct vmt_report *report, const char *words)
{
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		if (strstr(report->coverage.blind_spots[i], words))
			return true;
	return false;
}

static void
a_stripped_runtime_is_reported(void **state)
{
	struct vmt_go go = {.version = "go1.24.4", .flags = VMT_GO_CGO | VMT_GO_STRIPPED};
	struct vmt_report *report;

	(void)state;
	add_site(&go, "runtime.madvise", true, "");
	add_site(&go, "runtime.sysMmap", false, "unknown instructions");
	add_site(&go, "runtime.sysMunmap", false, "unknown instructions");
	go.missed_calls = 5;
	report = report_of(&go);
	assert_string_equal(report->go.version, "go1.24.4");
	assert_true(report->go.cgo);
	assert_true(report->go.stripped);
	assert_non_null(strstr(report->go.uncounted, "stripped"));
	assert_int_equal(report->go.point_count, 0);
	assert_int_equal(report->coverage.go_site_count, 3);
	assert_true(report->coverage.go_sites[0].patched);
	assert_string_equal(report->coverage.go_sites[1].symbol, "runtime.sysMmap");
	assert_string_equal(report->coverage.go_sites[1].why, "unknown instructions");
	assert_true(has_blind_spot(report, "runtime.sysMmap, runtime.sysMunmap: unknown"));
	assert_false(has_blind_spot(report, "runtime.madvise"));
	assert_true(has_blind_spot(report, "5 raw system calls"));
	vmt_report_free(report);
}

static void
a_race_build_is_named(void **state)
{
	struct vmt_go go = {.version = "go1.24.4", .flags = VMT_GO_CGO | VMT_GO_RACE};
	struct vmt_report *report = report_of(&go);

	(void)state;
	assert_true(has_blind_spot(report, "race detector"));
	vmt_report_free(report);
}

/* Named pages have their class whatever mapped them; RSS is shared out without a rest. */
static void
rss_is_shared_out(void **state)
{
	struct vmt_go go = {.version = "go1.26"};
	struct vmt_report *report = report_of(&go);

	(void)state;
	assert_int_equal(committed_of(report, "Go heap"), PAGE);
	assert_int_equal(committed_of(report, "Go metadata"), PAGE);
	assert_int_equal(committed_of(report, "Go other"), PAGE);
	assert_int_equal(committed_of(report, "mmap"), PAGE);
	assert_int_equal(report->go.go_bytes, 3 * PAGE);
	assert_int_equal(report->go.go_bytes + report->go.malloc_live_bytes +
			     report->go.malloc_retained_bytes + report->go.neither_bytes,
			 report->snapshot.rss_bytes);
	vmt_report_free(report);
}

static void
what_malloc_holds_is_known_where_blocks_are_recorded(void **state)
{
	struct vmt_go go = {.version = "go1.26"};
	struct vmt_report *report = report_with(&go, VMT_MALLOC_OFF);

	(void)state;
	assert_true(report->go.malloc_unseen);
	vmt_report_free(report);
	report = report_of(&go);
	assert_false(report->go.malloc_unseen);
	vmt_report_free(report);
}

/* What the runtime mapped before anybody looked is not told apart. */
static void
what_was_mapped_before_is_no_share(void **state)
{
	static const uint32_t notes[] = {0, VMT_NOTE_SNAPSHOT, VMT_NOTE_WATCHED, VMT_NOTE_ATTACHED};
	struct vmt_go go = {.version = "go1.26"};

	(void)state;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		struct vmt_report *report = report_noted(&go, VMT_MALLOC_ALL, notes[i]);

		assert_int_equal(report->go.is_partial, notes[i] != 0);
		vmt_report_free(report);
	}
}

static void
without_c_no_block_is_missed(void **state)
{
	static const struct {
		uint32_t notes;
		const char *words;
	} cases[] = {
	    {VMT_NOTE_INJECTED, "blocks of a malloc in it are not"},
	    {VMT_NOTE_INJECTED | VMT_NOTE_ATTACHED, "blocks of malloc are not"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vmt_go go = {.version = "go1.26", .flags = VMT_GO_CGO};
		struct vmt_report *report = report_noted(&go, VMT_MALLOC_OFF, cases[i].notes);

		assert_true(has_blind_spot(report, cases[i].words));
		vmt_report_free(report);
		go.flags = 0;
		report = report_noted(&go, VMT_MALLOC_OFF, cases[i].notes);
		assert_false(has_blind_spot(report, "malloc"));
		assert_true(has_blind_spot(report, "by the system calls in its code"));
		vmt_report_free(report);
		go.version[0] = '\0';
		report = report_noted(&go, VMT_MALLOC_OFF, cases[i].notes);
		assert_true(has_blind_spot(report, cases[i].words));
		vmt_report_free(report);
	}
}

/* Of a Go heap the runtime's lists tell it. */
static void
a_snapshot_says_of_what_it_does_not_know_the_use(void **state)
{
	struct vmt_go go = {.version = "go1.26"};
	struct vmt_report *report = report_noted(&go, VMT_MALLOC_OFF, VMT_NOTE_SNAPSHOT);

	(void)state;
	assert_true(has_blind_spot(report, "\"anonymous memory\". What of these two is in use"));
	vmt_report_free(report);
}

#define ARENA (BASE + (UINT64_C(256) << 20))

/* Two pages that nothing explains, one of them resident. */
static void
add_unexplained(struct build_trace *build, uint32_t index, uint64_t ms)
{
	const struct vmt_run run = {ARENA, PAGE, VMT_RUN_PRESENT};
	const struct build_mapping part = {
	    .mapping = {.start = ARENA,
			.end = ARENA + 2 * PAGE,
			.protection = PROT_READ | PROT_WRITE},
	    .runs = &run,
	    .run_count = 1,
	};
	const struct vmt_snapshot_head head = {
	    .time = AT(ms),
	    .index = index,
	    .source = VMT_RESIDENCY_PAGEMAP_SCAN,
	    .reason = VMT_SNAPSHOT_PERIODIC,
	};

	build_trace_snapshot(build, &head, &part, 1);
}

/* Of one range and nothing in it; or of what was too dear. */
static void
add_heap(struct build_trace *build, uint32_t snapshot, uint64_t ms, bool is_read)
{
	const struct vmt_go_heap_head head = {
	    .time = AT(ms),
	    .snapshot = snapshot,
	    .flags = is_read ? 0 : VMT_GO_HEAP_TOO_DEAR,
	    .spans_known = 70000,
	    .ranges = is_read,
	};
	const struct vmt_go_run range = {ARENA, UINT64_C(4) << 20};
	const struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_GO_HEAP,
	    .record_bytes = sizeof(head),
	    .time_min = AT(ms),
	    .time_max = AT(ms),
	};
	unsigned char payload[sizeof(head) + VMT_GO_HEAP_ROW_MAX_BYTES];
	unsigned char *end = payload + sizeof(head);
	struct vmt_go_heap_coder coder;

	memcpy(payload, &head, sizeof(head));
	vmt_go_heap_begin(&coder);
	if (is_read)
		end = vmt_go_heap_put_run(&coder, end, &range);
	build_trace_chunk(build, &chunk, payload, (size_t)(end - payload));
}

/* Objects of one line, of which a runtime that samples nothing now has sampled so many. */
static void
add_profile(struct build_trace *build, uint32_t snapshot, uint64_t ms, uint64_t objects)
{
	const struct vmt_go_profile_head head = {
	    .time = AT(ms), .snapshot = snapshot, .known = 1, .rows = 1};
	const struct vmt_go_profile_row row = {objects, 4096, 1};
	const struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_GO_PROFILE,
	    .record_bytes = sizeof(head),
	    .time_min = AT(ms),
	    .time_max = AT(ms),
	};
	const uint64_t address = BASE;
	unsigned char payload[sizeof(head) + VMT_GO_PROFILE_ROW_MAX_BYTES(1)];
	struct vmt_go_profile_coder coder;
	unsigned char *end;

	memcpy(payload, &head, sizeof(head));
	vmt_go_profile_begin(&coder);
	end = vmt_go_profile_put(&coder, payload + sizeof(head), &row, &address);
	build_trace_chunk(build, &chunk, payload, (size_t)(end - payload));
}

static struct vmt_report *
report_of_profile(uint64_t objects)
{
	struct vmt_report_options options = {.at = VMT_AT_END, .symbols = true};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd;

	strcpy(build_trace_head(build)->go.version, "go1.24.4");
	add_profile(build, 0, 10, objects);
	add_unexplained(build, 0, 10);
	build_trace_end(build, VMT_END_EXIT, 0, AT(40));
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
	build_trace_free(build);
	return report;
}

/* What was sampled before sampling was switched off stands for itself. A few are none: each
 * runtime samples some before it is told not to. */
static void
a_profile_that_was_switched_off_is_not_scaled(void **state)
{
	struct vmt_report *report = report_of_profile(1000);

	(void)state;
	assert_null(report->go.unprofiled);
	assert_int_equal(report->go.profile_rate_bytes, 0);
	assert_int_equal(report->go.live_count, 1);
	assert_int_equal(report->go.live[0].objects, 1000);
	assert_int_equal(report->go.live[0].bytes, 4096000);
	vmt_report_free(report);
	report = report_of_profile(2);
	assert_non_null(strstr(report->go.unprofiled, "keeps no memory profile"));
	assert_int_equal(report->go.live_count, 0);
	vmt_report_free(report);
}

/* A rate that was raised on the way makes more of the samples than there can have been. */
static void
a_profile_is_not_scaled_beyond_the_heap(void **state)
{
	struct vmt_go_live live[] = {
	    {.objects = 90, .bytes = UINT64_C(90) << 20, .sampled_objects = 1, .sampled_bytes = 8},
	    {.objects = 9,
	     .bytes = UINT64_C(9) << 20,
	     .sampled_objects = 2,
	     .sampled_bytes = 4096}};
	struct vmt_report report = {
	    .go = {.live = live, .live_count = 2, .profile_rate_bytes = UINT64_C(1) << 40}};

	(void)state;
	vmt_report_go_profile_settle(&report); /* a heap that was not read */
	report.go.figures.heap_in_use_bytes = UINT64_C(20) << 20;
	report.go.figures.heap_idle_bytes = UINT64_C(5) << 20;
	vmt_report_go_profile_settle(&report);
	assert_false(report.go.is_unscaled);
	assert_int_equal(live[0].objects, 90);
	report.go.figures.heap_idle_bytes = UINT64_C(4) << 20;
	report.go.profile_rate_bytes = 1;
	vmt_report_go_profile_settle(&report);
	assert_false(report.go.is_unscaled);
	report.go.profile_rate_bytes = UINT64_C(1) << 40;
	vmt_report_go_profile_settle(&report);
	assert_true(report.go.is_unscaled);
	assert_int_equal(live[0].objects, 2);
	assert_int_equal(live[0].bytes, 4096);
	assert_int_equal(live[1].bytes, 8);
}

/* No toolchain of it was there when the table of versions was made. */
static void
an_unknown_version_is_named_once(void **state)
{
	struct vmt_report_options options = {.at = VMT_AT_END};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd;

	(void)state;
	strcpy(build_trace_head(build)->go.version, "go1.20.14");
	add_unexplained(build, 0, 10);
	build_trace_end(build, VMT_END_EXIT, 0, AT(40));
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
	build_trace_free(build);
	assert_true(has_blind_spot(report, "the layout of this Go version's heap is unknown"));
	assert_string_equal(report->go.uncut, "the layout of this Go version's heap is unknown");
	assert_int_equal(report->go.size_count, 0);
	assert_int_equal(report->go.large_count, 0);
	assert_int_equal(report->go.other_large.objects, 0);
	vmt_report_free(report);
}

/* The trace is of this process. */
static void
let_run(struct build_trace *build)
{
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open((uint32_t)getpid(), "stat");

	assert_true(fd >= 0);
	assert_true(vmt_procfs_read_stat(fd, &stat));
	close(fd);
	build_trace_head(build)->pid = (uint32_t)getpid();
	build_trace_head(build)->start_ticks = stat.start_ticks;
}

/* Three snapshots; which of them have the inside of the heap. */
static struct vmt_report *
report_of_heaps(bool first, bool second, bool third, enum vmt_end end)
{
	struct vmt_report_options options = {.at = VMT_AT_END, .symbols = true};
	const bool is_read[] = {first, second, third};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_go *go = &build_trace_head(build)->go;
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd;

	strcpy(go->version, "go1.24.4");
	add_site(go, "runtime.sysMmap", false, "no runtime/cgo");
	for (uint32_t i = 0; i < 3; i++) {
		add_heap(build, i, 10 * (i + 1), is_read[i]);
		add_unexplained(build, i, 10 * (i + 1));
	}
	if (end == VMT_END_RUNNING)
		let_run(build);
	else
		build_trace_end(build, end, 0, AT(40));
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
	build_trace_free(build);
	return report;
}

/* Where none of the runtime's calls is recorded, what was read of its heap tells where it is. */
static void
what_was_read_of_a_heap_tells_where_it_is(void **state)
{
	struct vmt_report *report = report_of_heaps(true, true, true, VMT_END_EXIT);

	(void)state;
	assert_int_equal(committed_of(report, "Go heap"), PAGE);
	assert_int_equal(committed_of(report, "unattributed"), 0);
	assert_int_equal(report->go.go_bytes, PAGE);
	assert_true(report->go.heap_alone);
	assert_false(report->go.unseen);
	assert_false(has_blind_spot(report, "not told apart"));
	vmt_report_free(report);
}

static void
the_nearest_snapshot_that_has_the_heap_is_named(void **state)
{
	struct vmt_report *report = report_of_heaps(true, true, false, VMT_END_EXIT);
	char words[64];

	(void)state;
	assert_true(report->go.unseen);
	assert_int_equal(committed_of(report, "unattributed"), PAGE);
	assert_true(has_blind_spot(report, "70000 spans"));
	assert_true(has_blind_spot(report, "The nearest snapshot that has it: --at 20000us"));
	vmt_report_free(report);
	report = report_of_heaps(true, false, false, VMT_END_EXIT);
	assert_true(has_blind_spot(report, "--at 10000us"));
	vmt_report_free(report);
	report = report_of_heaps(false, false, false, VMT_END_EXIT);
	assert_true(has_blind_spot(report, "not told apart"));
	assert_false(has_blind_spot(report, "--at"));
	assert_false(has_blind_spot(report, "vmtrace snapshot"));
	vmt_report_free(report);
	report = report_of_heaps(true, false, false, VMT_END_RUNNING);
	snprintf(words, sizeof(words), "vmtrace snapshot %d", (int)getpid());
	assert_true(has_blind_spot(report, words));
	assert_false(has_blind_spot(report, "--at"));
	vmt_report_free(report);
}

/* Its runtime's call is known by what is on the stack, and the head says nothing of it. */
static void
a_runtime_of_a_library_is_said_to_be_unread(void **state)
{
	const uint64_t text = UINT64_C(0x7e0000000000);
	const uint64_t frames[] = {text + 0x10, text + 0x20};
	struct vmt_report_options options = {.at = VMT_AT_END, .symbols = true};
	struct build_trace *build = build_trace_new(NULL);
	struct vmt_go_code_roles *code = &build_trace_head(build)->go_roles;
	struct vmt_event events[] = {
	    {.kind = VMT_EVENT_MODULE_LOAD,
	     .time = AT(1),
	     .address = text,
	     .length = 0x1000,
	     .argument_a = text,
	     .argument_b = build_trace_module_at(build, "/srv/libgo.so", text, text + 0x1000)},
	    {.kind = VMT_EVENT_MMAP,
	     .time = AT(5),
	     .thread = 7,
	     .stack = build_trace_stack(build, frames, 2),
	     .address = ARENA,
	     .length = 2 * PAGE,
	     .flags = MAP_PRIVATE | MAP_ANONYMOUS,
	     .protection = 3},
	};
	struct vmt_report *report;
	struct vmt_err err = {{0}};
	char path[BUILD_PATH_BYTES];
	int fd;

	(void)state;
	code->text = text;
	code->bytes = 0x1000;
	assert_true(vmt_go_roles_add(code, 0, VMT_GO_ROLE_ARENA));
	build_trace_events(build, BUILD_MAP_RING(0), events, 2);
	add_unexplained(build, 0, 20);
	build_trace_end(build, VMT_END_EXIT, 0, AT(40));
	fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_report_build(&report, path, &options, &err), 0);
	close(fd);
	build_trace_free(build);
	assert_int_equal(committed_of(report, "Go heap"), PAGE);
	assert_null(report->go.version);
	assert_true(has_blind_spot(report, "Go's runtime in /srv/libgo.so was not read"));
	vmt_report_free(report);
}

static void
a_wild_head_does_no_harm(void **state)
{
	struct vmt_go go;
	struct vmt_report *report;

	(void)state;
	memset(&go, 'x', sizeof(go));
	go.version[VMT_GO_VERSION_BYTES - 1] = '\0';
	go.sites_count = VMT_GO_SITES;
	go.objects_count = VMT_GO_OBJECTS;
	for (uint32_t i = 0; i < VMT_GO_SITES; i++) {
		go.sites[i].symbol[VMT_GO_SYMBOL_BYTES - 1] = '\0';
		go.sites[i].why[VMT_GO_WHY_BYTES - 1] = '\0';
	}
	for (uint32_t i = 0; i < VMT_GO_OBJECTS; i++)
		go.objects[i].symbol[VMT_GO_SYMBOL_BYTES - 1] = '\0';
	report = report_of(&go);
	assert_int_equal(strlen(report->go.version), VMT_GO_VERSION_BYTES - 1);
	assert_int_equal(report->coverage.go_site_count, VMT_GO_SITES);
	assert_non_null(report->go.uncounted);
	vmt_report_free(report);
}

static void
without_go_nothing_is_said(void **state)
{
	struct vmt_go go = {.flags = 0};
	struct vmt_report *report = report_of(&go);

	(void)state;
	assert_null(report->go.version);
	assert_false(has_blind_spot(report, "Go"));
	vmt_report_free(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stripped_runtime_is_reported),
	    cmocka_unit_test(a_race_build_is_named),
	    cmocka_unit_test(a_profile_that_was_switched_off_is_not_scaled),
	    cmocka_unit_test(a_profile_is_not_scaled_beyond_the_heap),
	    cmocka_unit_test(an_unknown_version_is_named_once),
	    cmocka_unit_test(rss_is_shared_out),
	    cmocka_unit_test(what_malloc_holds_is_known_where_blocks_are_recorded),
	    cmocka_unit_test(what_was_mapped_before_is_no_share),
	    cmocka_unit_test(without_c_no_block_is_missed),
	    cmocka_unit_test(a_snapshot_says_of_what_it_does_not_know_the_use),
	    cmocka_unit_test(what_was_read_of_a_heap_tells_where_it_is),
	    cmocka_unit_test(the_nearest_snapshot_that_has_the_heap_is_named),
	    cmocka_unit_test(a_runtime_of_a_library_is_said_to_be_unread),
	    cmocka_unit_test(a_wild_head_does_no_harm),
	    cmocka_unit_test(without_go_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
