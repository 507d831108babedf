/* The rules for looking, on this process itself and by a clock of the test's own. */
#include "collect/process.h"
#include "tests/unit/figure_file.h"
#include "tests/unit/trace_fixture.h"

#include "base/ticks.h"
#include "collect/sampling.h"
#include "collect/usage_readings.h"

#include <inttypes.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND (1000 * MILLISECOND)
#define GROWN_BYTES (UINT64_C(256) << 20)

struct place {
	struct fixture_trace trace;
	struct vmt_collector_host host;
	struct vmt_shared shared;
	struct vmt_session session;
	struct vmt_traced process;
	uint64_t now_ns;
	uint64_t scratch[VMT_RESIDENCY_SCRATCH_BYTES / sizeof(uint64_t)];
};

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	char path[] = "/tmp/vmt-sampling-XXXXXX";

	assert_non_null(place);
	assert_true(close(mkstemp(path)) == 0 && unlink(path) == 0);
	fixture_make(&place->trace, path, 16, 9);
	place->now_ns = vmt_ticks_monotonic_ns();
	place->shared.host = &place->host;
	place->shared.session = &place->session;
	place->shared.residency_scratch = (unsigned char *)place->scratch;
	place->shared.source = vmt_residency_choose(0, false).source;
	vmt_cpu_budget_begin(&place->shared.credit, place->now_ns);
	place->shared.credit.left_ns = (int64_t)SECOND;
	/* The quota of whoever runs the tests is not asked for. */
	place->shared.quota_due_ns = UINT64_MAX;
	assert_int_equal(
	    vmt_process_open(&place->process, &place->shared, (uint32_t)getpid(), 9, path, false),
	    0);
	assert_int_equal(place->process.state, VMT_PROCESS_LIVE);
	*state = place;
	return 0;
}

static int
tear_down(void **state)
{
	static const struct vmt_exit_status over = {VMT_END_UNKNOWN, 0};
	struct place *place = *state;

	if (place->process.state == VMT_PROCESS_LIVE)
		vmt_process_finish(&place->process, &place->shared, over);
	vmt_snapshot_release(&place->shared.snapshot_scratch);
	vmt_buffer_free(&place->shared.drain_scratch.payload);
	unlink(place->trace.path);
	fixture_close(&place->trace);
	free(place);
	return 0;
}

static void
advance(struct place *place, uint64_t step_ns)
{
	place->now_ns += step_ns;
	vmt_sampling_round(&place->process, &place->shared, place->now_ns);
}

/* Reasons of the snapshots in the file, as digits. */
static void
assert_reasons(struct place *place, const char *wanted)
{
	char reasons[16] = "";
	struct fixture_chunks chunks;
	size_t count = 0;

	fixture_read_chunks(&chunks, place->trace.path, place->trace.head->chunks_offset);
	for (size_t i = 0; i < chunks.count && count < sizeof(reasons) - 1; i++) {
		struct vmt_snapshot_head head;

		if (chunks.list[i].header->kind != VMT_CHUNK_SNAPSHOT)
			continue;
		memcpy(&head, chunks.list[i].payload, sizeof(head));
		assert_int_equal(head.index, count);
		reasons[count++] = (char)('0' + head.reason);
	}
	fixture_free_chunks(&chunks);
	assert_string_equal(reasons, wanted);
}

static void
change_rss(bool up)
{
	static unsigned char *grown;

	if (up) {
		grown = mmap(NULL, GROWN_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		assert_true(grown != MAP_FAILED);
	} else {
		assert_int_equal(munmap(grown, GROWN_BYTES), 0);
	}
}

static void
looks_first_then_when_rss_has_moved(void **state)
{
	struct place *place = *state;

	advance(place, 0);
	assert_reasons(place, "1");
	advance(place, SECOND);
	assert_reasons(place, "1");
	change_rss(true);
	advance(place, SECOND);
	assert_reasons(place, "12");
	change_rss(false);
	advance(place, SECOND);
	assert_reasons(place, "122");
	advance(place, SECOND);
	assert_reasons(place, "122");
}

/* Readings that have cost more than they may wait, but not where the host says when they are due.
 */
static void
reads_less_often_what_is_dear(void **state)
{
	struct place *place = *state;

	advance(place, SECOND);
	assert_in_range(place->process.sampling.next_ns - place->now_ns, 1, 15 * MILLISECOND);
	vmt_cpu_budget_owe(&place->shared.credit, SECOND);
	place->shared.credit.at_ns = UINT64_MAX; /* nothing is earned */
	advance(place, SECOND);
	assert_int_equal(place->process.sampling.next_ns - place->now_ns, 100 * MILLISECOND);
	place->host.interval_ns = place->process.sampling.interval_ns = 20 * MILLISECOND;
	advance(place, SECOND);
	assert_int_equal(place->process.sampling.next_ns - place->now_ns, 20 * MILLISECOND);
}

/* What a reading says is another program's is no reason for a snapshot, and the next visit ends the
 * recording. */
static void
takes_no_snapshot_of_another_program(void **state)
{
	struct place *place = *state;

	advance(place, 0);
	assert_false(place->process.sampling.lost_sight);
	place->process.stack_start += 4096;
	change_rss(true);
	advance(place, SECOND);
	change_rss(false);
	assert_true(place->process.sampling.lost_sight);
	assert_int_equal(place->process.sampling.next_ns - place->now_ns, 10 * MILLISECOND);
	assert_reasons(place, "1");
	vmt_process_visit(&place->process, &place->shared, place->now_ns + 10 * MILLISECOND, false);
	assert_int_equal(place->process.state, VMT_PROCESS_REPLACED);
	vmt_process_forget(&place->process);
}

/* A step of 8 % in one reading: with credit to spare it is looked at at once, else when it is over.
 */
static void
with_little_credit_waits_while_rss_moves_fast(void **state)
{
	static const size_t step = GROWN_BYTES / 12;
	struct place *place = *state;
	unsigned char *more[2];

	change_rss(true);
	advance(place, 0);
	for (unsigned i = 0; i < 2; i++) {
		place->shared.credit.left_ns = (int64_t)((i == 0 ? 50 : 2) * MILLISECOND);
		more[i] = mmap(NULL, step, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		assert_true(more[i] != MAP_FAILED);
		advance(place, 20 * MILLISECOND);
		assert_reasons(place, "12");
	}
	advance(place, 20 * MILLISECOND);
	assert_reasons(place, "122");
	munmap(more[0], step);
	munmap(more[1], step);
	change_rss(false);
}

static void
looks_every_ten_seconds_at_least(void **state)
{
	struct place *place = *state;

	advance(place, 0);
	advance(place, 9 * SECOND);
	assert_reasons(place, "1");
	advance(place, 2 * SECOND);
	assert_reasons(place, "13");
}

static void
without_credit_counts_what_it_leaves_out(void **state)
{
	struct place *place = *state;

	place->shared.credit.left_ns = -(int64_t)SECOND;
	advance(place, 0);
	advance(place, SECOND);
	advance(place, SECOND);
	assert_reasons(place, "");
	assert_int_equal(place->process.sampling.snapshots_skipped, 1);
	/* A hundredth of the time comes back as credit. */
	advance(place, 97 * SECOND);
	assert_reasons(place, "");
	advance(place, 2 * SECOND);
	assert_reasons(place, "1");
	assert_int_equal(place->process.sampling.snapshots_skipped, 1);
}

/* What somebody asks for is answered all the same, and the readings go on. */
static void
counts_what_the_size_of_the_trace_leaves_no_room_for(void **state)
{
	struct place *place = *state;
	struct vmt_bound *bound = &place->process.bound;

	advance(place, 0);
	vmt_bound_begin(bound, UINT64_C(64) << 20, &place->process.layout, place->now_ns);
	bound->used[VMT_BOUND_OTHERS] = bound->most[VMT_BOUND_OTHERS] / 16 * 15;
	bound->usage_part = bound->snapshot_part = 1000;
	advance(place, 10 * SECOND);
	advance(place, 10 * SECOND);
	assert_int_equal(place->process.sampling.snapshots_skipped, 1);
	advance(place, 1000 * SECOND);
	advance(place, 1000 * SECOND);
	assert_int_equal(place->process.sampling.snapshots_skipped, 3);
	place->trace.head->snapshot_wanted = 7;
	advance(place, 1);
	assert_int_equal(place->trace.head->snapshot_done, 7);
	assert_int_equal(place->process.sampling.snapshots_skipped, 4);
	assert_reasons(place, "1");
}

/* At the first look and every 10 s: the part is that of the quota of whoever runs the test. */
static void
reads_the_cpu_quota_now_and_then(void **state)
{
	struct place *place = *state;
	struct vmt_cgroup cgroup;
	uint32_t part = VMT_CPU_WHOLE;

	if (vmt_cgroup_find(&cgroup, 0, "cpu"))
		part = vmt_cgroup_read_cpu(&cgroup);
	place->shared.quota_due_ns = 0;
	place->shared.credit.part = VMT_CPU_WHOLE + 1;
	advance(place, 0);
	assert_int_equal(place->shared.credit.part, part);
	place->shared.credit.part = VMT_CPU_WHOLE + 1;
	advance(place, 9 * SECOND);
	assert_int_equal(place->shared.credit.part, VMT_CPU_WHOLE + 1);
	advance(place, SECOND);
	assert_int_equal(place->shared.credit.part, part);
}

static void
answers_requests_at_once_and_beyond_credit(void **state)
{
	struct place *place = *state;

	advance(place, 0);
	place->shared.credit.left_ns = -(int64_t)SECOND;
	place->trace.head->snapshot_wanted = 7;
	advance(place, 1);
	assert_int_equal(place->trace.head->snapshot_done, 7);
	place->trace.head->end = VMT_END_EXIT;
	place->trace.head->snapshot_wanted = 8;
	advance(place, 1);
	assert_int_equal(place->trace.head->snapshot_done, 8);
	assert_reasons(place, "154");
	assert_int_equal(place->shared.credit.left_ns, -(int64_t)SECOND);
}

/* LazyFree bytes of the last snapshot in the file. */
static uint64_t
last_lazyfree_bytes(struct place *place)
{
	struct vmt_snapshot_head head = {0};
	struct fixture_chunks chunks;

	fixture_read_chunks(&chunks, place->trace.path, place->trace.head->chunks_offset);
	for (size_t i = 0; i < chunks.count; i++) {
		if (chunks.list[i].header->kind == VMT_CHUNK_SNAPSHOT)
			memcpy(&head, chunks.list[i].payload, sizeof(head));
	}
	fixture_free_chunks(&chunks);
	return head.lazyfree_bytes;
}

/* The kernel's sum is dear; what was freed just before the request counts all the same. */
static void
asks_for_lazyfree_where_there_can_be_any(void **state)
{
	static const struct vmt_map_event advice = {
	    .time = 1, .length = 4096, .kind = VMT_EVENT_MADVISE, .advice = MADV_FREE};
	struct place *place = *state;

	if (place->shared.source != VMT_RESIDENCY_PAGEMAP_SCAN)
		skip();
	place->trace.head->snapshot_wanted = 1;
	vmt_process_visit(&place->process, &place->shared, place->now_ns, true);
	assert_int_equal(place->trace.head->snapshot_done, 1);
	assert_int_equal(last_lazyfree_bytes(place), VMT_FIGURE_UNKNOWN);
	assert_true(fixture_put_map_event(&place->trace, 0, &advice));
	place->trace.head->snapshot_wanted = 2;
	vmt_process_visit(&place->process, &place->shared, ++place->now_ns, true);
	assert_int_equal(last_lazyfree_bytes(place), 0);
}

static void
samples_fast_while_rss_moves_and_slowly_while_not(void **state)
{
	struct place *place = *state;
	struct vmt_sampling *sampling = &place->process.sampling;

	advance(place, 0);
	assert_int_equal(sampling->interval_ns, 10 * MILLISECOND);
	for (unsigned i = 0; i < 30; i++)
		advance(place, SECOND);
	assert_int_equal(sampling->interval_ns, SECOND);
	change_rss(true);
	advance(place, SECOND);
	assert_int_equal(sampling->interval_ns, 10 * MILLISECOND);
	change_rss(false);
}

static void
keeps_to_the_interval_it_is_given(void **state)
{
	struct place *place = *state;

	place->host.interval_ns = 5 * MILLISECOND;
	vmt_sampling_begin(&place->process, &place->shared);
	for (unsigned i = 0; i < 4; i++)
		advance(place, 5 * MILLISECOND);
	assert_int_equal(vmt_usage_readings_flush(&place->process, place->now_ns), 0);
	assert_int_equal(place->process.sampling.interval_ns, 5 * MILLISECOND);
	assert_int_equal(place->process.sampling.usage_count, 0);
}

/* One that says at its end that it lived for a moment, and one that lived longer. */
static void
asks_for_no_cgroup_of_a_brief_process(void **state)
{
	struct place *place = *state;
	struct vmt_cgroup cgroup;

	if (!vmt_cgroup_find(&cgroup, (uint32_t)getpid(), "memory"))
		skip();
	place->process.sampling.cgroup = NULL;
	place->process.layout.clock_start.monotonic_ns = place->now_ns;
	place->trace.head->end = VMT_END_EXIT;
	place->trace.head->snapshot_wanted = 1;
	advance(place, MILLISECOND);
	assert_int_equal(place->trace.head->snapshot_done, 1);
	assert_null(place->process.sampling.cgroup);
	place->trace.head->snapshot_wanted = 2;
	advance(place, SECOND);
	assert_non_null(place->process.sampling.cgroup);
}

static char figures[] = "/tmp/vmt-figures-XXXXXX";

static void
drop_figures(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/memory.stat", figures);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/memory.usage_in_bytes", figures);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(figures), 0);
}

static void
put_figure(const char *name, uint64_t value)
{
	const char *before = strcmp(name, "memory.stat") == 0 ? "hierarchical_memory_limit " : "";

	assert_true(figure_file_write(figures, name, before, value));
}

/* Whether what is in use has been read again, some time after it changed. */
static bool
is_read_after(struct place *place, uint64_t wait_ns)
{
	static uint64_t current_bytes = 100;

	put_figure("memory.usage_in_bytes", ++current_bytes);
	advance(place, wait_ns);
	return place->shared.cgroups.list[0].figures.cgroup_current_bytes == current_bytes;
}

static void
reads_the_cgroup_more_often_near_its_limit(void **state)
{
	struct place *place = *state;
	struct vmt_cgroup_cache *cache = &place->shared.cgroups.list[0];

	assert_non_null(mkdtemp(figures));
	*cache = (struct vmt_cgroup_cache){.cgroup = {.version = 1}};
	strcpy(cache->cgroup.path, figures);
	place->process.sampling.cgroup = cache;
	place->process.sampling.cgroup_sought = true;
	place->host.interval_ns = 5 * MILLISECOND;
	vmt_usage_readings_flush(&place->process, place->now_ns);
	put_figure("memory.stat", UINT64_C(1) << 50);
	advance(place, SECOND);
	assert_false(is_read_after(place, 60 * MILLISECOND));
	put_figure("memory.stat", 8192);
	assert_true(is_read_after(place, SECOND));
	assert_false(is_read_after(place, 5 * MILLISECOND));
	assert_true(is_read_after(place, 60 * MILLISECOND));
	put_figure("memory.usage_in_bytes", 7);
	vmt_usage_readings_end(&place->process, place->now_ns);
	const struct vmt_sampling *sampling = &place->process.sampling;

	assert_int_equal(sampling->usages[sampling->usage_count - 1].cgroup_current_bytes, 7);
	place->process.sampling.cgroup = NULL;
	drop_figures();
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(looks_first_then_when_rss_has_moved),
	    TEST(reads_less_often_what_is_dear),
	    TEST(takes_no_snapshot_of_another_program),
	    TEST(looks_every_ten_seconds_at_least),
	    TEST(with_little_credit_waits_while_rss_moves_fast),
	    TEST(without_credit_counts_what_it_leaves_out),
	    TEST(counts_what_the_size_of_the_trace_leaves_no_room_for),
	    TEST(reads_the_cpu_quota_now_and_then),
	    TEST(answers_requests_at_once_and_beyond_credit),
	    TEST(asks_for_lazyfree_where_there_can_be_any),
	    TEST(samples_fast_while_rss_moves_and_slowly_while_not),
	    TEST(keeps_to_the_interval_it_is_given),
	    TEST(asks_for_no_cgroup_of_a_brief_process),
	    TEST(reads_the_cgroup_more_often_near_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
