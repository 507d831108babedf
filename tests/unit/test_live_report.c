/*
 * Is the report of a replay that goes on that of a replay from the beginning, byte for byte?
 *
 * A traced process and its collector are played: events wait in rings and are drained in random
 * order, snapshots, readings and lists of threads come between, the file is seen at random moments,
 * cut anywhere.
 * Over 500 lines: they are played by one world.
 */
#include "tests/unit/build_trace.h"

#include "base/procfs.h"
#include "tests/soak.h"
#include "tests/unit/trace_file.h"
#include "tools/model/report/live_report.h"
#include "tools/model/report/report_build.h"
#include "tools/render/json.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define HEAP UINT64_C(0x550000000000)
#define PAGES 512u
#define MS UINT64_C(1000000)
#define CAPACITY 512u
#define STACKS 12u

static const struct vmt_report_options options = {.at = VMT_AT_END, .no_growth = true};

struct world {
	struct build_trace *build;
	uint64_t random;
	uint64_t now;
	uint32_t stacks[STACKS];
	struct vmt_event waiting[2][CAPACITY]; /* by ring: in no chunk yet */
	uint32_t waiting_count[2];
	uint32_t snapshots;
	bool has_stragglers; /* writers that are stopped for long */
	bool has_touches;
	size_t seen; /* bytes of the file that were written */
	int fd;
};

static uint64_t
next_random(struct world *world, uint64_t below)
{
	world->random =
	    world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (world->random >> 33) % below;
}

static void
begin_world(struct world *world, uint64_t seed)
{
	struct vmt_head head;

	*world = (struct world){.random = seed * 2654435761u + 1, .now = BUILD_START + MS};
	build_trace_default_head(&head);
	head.heap_capacity = CAPACITY;
	head.map_capacity = CAPACITY;
	world->build = build_trace_new(&head);
	for (uint64_t i = 0; i < STACKS; i++) {
		uint64_t frames[3] = {0x1000 + i * 16, 0x2000 + i % 3, 0x3000};

		world->stacks[i] = build_trace_stack(world->build, frames, 3);
	}
	unlink(trace_file_path);
	world->seen = world->build->length;
	world->fd = open(trace_file_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(world->fd >= 0);
}

static void
end_world(struct world *world)
{
	close(world->fd);
	build_trace_free(world->build);
}

/* Most are written down at once, some a little late, and a few after many snapshots. */
static uint64_t
time_of_event(struct world *world)
{
	uint64_t late = next_random(world, 8) == 0 ? next_random(world, 40000) : 0;

	if (world->has_stragglers && next_random(world, 400) == 0)
		late = next_random(world, 30 * MS);
	world->now += 1 + next_random(world, 3000);
	return world->now > late + BUILD_START ? world->now - late : world->now;
}

static struct vmt_event
random_event(struct world *world, int *ring)
{
	static const uint8_t maps[] = {VMT_EVENT_MMAP, VMT_EVENT_MMAP, VMT_EVENT_MUNMAP,
				       VMT_EVENT_MADVISE};
	static const uint8_t heaps[] = {VMT_EVENT_MALLOC, VMT_EVENT_MALLOC, VMT_EVENT_FREE,
					VMT_EVENT_REALLOC};
	struct vmt_event event = {.thread = 7 + (uint32_t)next_random(world, 3),
				  .stack = world->stacks[next_random(world, STACKS)]};

	*ring = (int)next_random(world, 2);
	event.time = time_of_event(world);
	if (*ring == VMT_RING_HEAP) {
		event.kind = heaps[next_random(world, 4)];
		event.address = HEAP + next_random(world, 4000) * 64;
		event.length = event.kind == VMT_EVENT_FREE ? 0 : 1 + next_random(world, 3000);
		return event;
	}
	event.kind = maps[next_random(world, 4)];
	event.address = BASE + next_random(world, PAGES - 32) * PAGE;
	event.length = (1 + next_random(world, 32)) * PAGE;
	event.marks = VMT_MARK_LOOKED;
	event.argument_a = event.kind == VMT_EVENT_MMAP ? 0 : PAGE;
	event.advice = event.kind == VMT_EVENT_MADVISE ? 4 : 0;
	event.flags = event.kind == VMT_EVENT_MMAP ? MAP_PRIVATE | MAP_ANONYMOUS : 0;
	event.protection = event.kind == VMT_EVENT_MMAP ? 3 : 0;
	return event;
}

/* What waits in a ring becomes a chunk, as the collector does it. */
static void
drain(struct world *world, int ring)
{
	struct vmt_ring_view view = build_trace_ring(world->build, (uint32_t)ring);
	uint32_t count = world->waiting_count[ring];
	size_t room = VMT_COLUMNS_ROOM(count);
	unsigned char *payload = malloc(room);
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_EVENTS,
				  .ring = (uint32_t)ring,
				  .events = count,
				  .time_min = UINT64_MAX,
				  .position_from = view.control->head - count,
				  .position_to = view.control->head};
	struct vmt_columns_encoder encoder;

	assert_non_null(payload);
	vmt_columns_begin_encode(&encoder, payload, room, 1);
	for (uint32_t i = 0; i < count; i++) {
		const struct vmt_event *event = &world->waiting[ring][i];

		assert_true(vmt_columns_put(&encoder, event));
		assert_true(vmt_ring_release(&view, chunk.position_from + i, VMT_RING_COMMITTED));
		if (event->time < chunk.time_min)
			chunk.time_min = event->time;
		if (event->time > chunk.time_max)
			chunk.time_max = event->time;
	}
	if (count > 0)
		build_trace_chunk(world->build, &chunk, payload, vmt_columns_end_encode(&encoder));
	world->waiting_count[ring] = 0;
	free(payload);
}

static void
add_events(struct world *world, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int ring;
		struct vmt_event event = random_event(world, &ring);

		if (world->waiting_count[ring] == CAPACITY / 2)
			drain(world, ring);
		(void)build_trace_remain(world->build, (uint32_t)ring, &event);
		world->waiting[ring][world->waiting_count[ring]++] = event;
	}
}

static void
add_snapshot(struct world *world)
{
	struct vmt_run runs[8];
	struct vmt_run heap_run = {HEAP, 4 * PAGE, VMT_RUN_PRESENT};
	struct build_mapping parts[] = {
	    {.mapping = {.start = HEAP, .end = HEAP + 64 * PAGE, .protection = 3, .path = "[heap]"},
	     .runs = &heap_run,
	     .run_count = 1},
	    {.mapping = {.start = BASE, .end = BASE + PAGES * PAGE, .protection = 3},
	     .runs = runs,
	     .run_count = 8},
	};
	struct vmt_snapshot_head head = {
	    .time = world->now,
	    .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
	    .source = VMT_RESIDENCY_PAGEMAP_SCAN,
	    .reason = VMT_SNAPSHOT_GROWTH,
	    .peak_rss_bytes =
		next_random(world, 6) == 0 ? (400 + next_random(world, 2000)) * PAGE : 100 * PAGE,
	    .index = world->snapshots++};

	for (uint32_t i = 0; i < 8; i++)
		runs[i] = (struct vmt_run){BASE + i * 64 * PAGE,
					   (1 + next_random(world, 60)) * PAGE, VMT_RUN_PRESENT};
	build_trace_snapshot(world->build, &head, parts, 2);
	world->now += 1;
}

static void
add_usage(struct world *world)
{
	struct vmt_usage usage = {.time = world->now,
				  .monotonic_ns = world->now,
				  .rss_bytes =
				      next_random(world, next_random(world, 6) ? 500 : 3000) * PAGE,
				  .peak_rss_bytes = 500 * PAGE,
				  .cgroup_current_bytes = next_random(world, 1000) * PAGE,
				  .cgroup_peak_bytes = VMT_FIGURE_UNKNOWN,
				  .cgroup_limit_bytes = 4000 * PAGE,
				  .cgroup_anon_bytes = VMT_FIGURE_UNKNOWN,
				  .cgroup_oom_kills = 0};

	build_trace_usage(world->build, &usage, 1);
}

static void
add_tasks(struct world *world)
{
	uint32_t tids[2] = {7, 8};
	struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_TASKS, .time_min = world->now, .time_max = world->now};

	build_trace_chunk(world->build, &chunk, tids, sizeof(tids));
}

static void
add_touches(struct world *world)
{
	uint64_t frames[2] = {0x1001, 0x2002};
	struct vmt_touch_stack stack = {.end = 1, .count = 2};
	struct vmt_touch_head head = {
	    .period = 3, .samples = 2, .stacks = 1, .minor_faults = 1000, .major_faults = 0};
	struct vmt_touch_sample samples[2];

	memcpy(stack.frames, frames, sizeof(frames));
	for (uint64_t i = 0; i < 2; i++)
		samples[i] =
		    (struct vmt_touch_sample){.time = world->now + i,
					      .address = BASE + next_random(world, PAGES) * PAGE,
					      .stack = 0};
	build_trace_touch(world->build, &head, &stack, 1, samples, 2);
}

/* What the process and its collector do until somebody looks at the trace again. */
static void
go_on(struct world *world)
{
	uint64_t rounds = 1 + next_random(world, 4);

	for (uint64_t i = 0; i < rounds; i++) {
		add_events(world, (uint32_t)next_random(world, 120));
		for (int ring = 0; ring < 2; ring++)
			if (next_random(world, 2) == 0)
				drain(world, ring);
		if (next_random(world, 3) == 0)
			add_snapshot(world);
		if (next_random(world, 3) == 0)
			add_usage(world);
		if (next_random(world, 6) == 0)
			add_tasks(world);
		if (world->has_touches && next_random(world, 3) == 0)
			add_touches(world);
	}
}

/* The file as it is now, its last bytes still to come. */
static void
write_file(struct world *world, bool whole)
{
	size_t left = world->build->length - world->seen;

	world->seen = whole || left == 0 ? world->build->length
					 : world->seen + (size_t)next_random(world, left + 1);
	assert_int_equal(pwrite(world->fd, world->build->bytes, world->seen, 0), world->seen);
}

static int
write_json(void *context, const struct vmt_report *report, FILE *out)
{
	struct vmt_err err = {""};

	(void)context;
	return vmt_json_print(report, &(struct vmt_json_options){.top = SIZE_MAX}, out, &err);
}

/* The report of a replay from the beginning. */
static char *
fresh(size_t *length)
{
	struct vmt_report *report;
	struct vmt_err err = {""};
	char *text = NULL;
	FILE *out;

	if (vmt_report_build(&report, trace_file_path, &options, &err) < 0)
		fail_msg("%s", err.text);
	out = open_memstream(&text, length);
	assert_int_equal(write_json(NULL, report, out), 0);
	fclose(out);
	vmt_report_free(report);
	return text;
}

static void
compare(struct vmt_live_report *live, uint64_t seed, unsigned step)
{
	struct vmt_err err = {""};
	size_t length, wanted_length;
	char *text;
	char *wanted;

	if (vmt_live_report_make(live, write_json, NULL, &text, &length, &err) < 0)
		fail_msg("seed %ju, step %u: %s", (uintmax_t)seed, step, err.text);
	wanted = fresh(&wanted_length);
	if (length != wanted_length || memcmp(text, wanted, length) != 0) {
		size_t at = 0;

		while (at < length && text[at] == wanted[at])
			at++;
		fail_msg("seed %ju, step %u: differs at byte %zu: %.120s", (uintmax_t)seed, step,
			 at, text + (at > 60 ? at - 60 : 0));
	}
	free(text);
	free(wanted);
}

/* Returns how often the replay began. */
static unsigned
run_world(uint64_t seed, unsigned steps, bool stragglers, bool touches)
{
	struct vmt_live_report *live;
	struct vmt_err err = {""};
	struct world world;
	unsigned beginnings;

	begin_world(&world, seed);
	world.has_stragglers = stragglers;
	world.has_touches = touches;
	if (touches)
		add_touches(&world);
	assert_int_equal(vmt_live_report_open(&live, trace_file_path, &options, &err), 0);
	for (unsigned step = 0; step < steps; step++) {
		go_on(&world);
		write_file(&world, false);
		compare(live, seed, step);
		compare(live, seed, step); /* nothing is new */
	}
	drain(&world, 0);
	drain(&world, 1);
	add_snapshot(&world);
	build_trace_head(world.build)->collected_end = VMT_END_EXIT;
	build_trace_end(world.build, VMT_END_EXIT, 3, world.now);
	write_file(&world, true);
	compare(live, seed, steps);
	beginnings = vmt_live_report_beginnings(live);
	vmt_live_report_close(live);
	end_world(&world);
	return beginnings;
}

static void
same_as_from_the_beginning(void **state)
{
	long count = soak_count(4, 400);

	(void)state;
	for (long seed = 1; seed <= count; seed++)
		(void)run_world((uint64_t)seed, 20, true, seed % 2 == 0);
	/* A peak is missed, then another one that did not come, and none. */
	(void)run_world(22, 20, true, true);
}

/* Else each report may have been one from the beginning. A peak that was missed, of which the next
 * reading tells, is a reason to begin anew. */
static void
seldom_begins_anew(void **state)
{
	unsigned beginnings = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		beginnings += run_world(seed, 25, false, false);
	assert_in_range(beginnings, 4, 40);
}

/* A straggler is seen, and right. */
static void
late_events_count(void **state)
{
	struct vmt_live_report *live;
	struct vmt_err err = {""};
	struct world world;
	struct vmt_event late = {.kind = VMT_EVENT_MMAP,
				 .time = BUILD_START + MS,
				 .thread = 7,
				 .stack = 0,
				 .address = BASE,
				 .length = 64 * PAGE,
				 .flags = MAP_PRIVATE | MAP_ANONYMOUS,
				 .protection = 3};

	(void)state;
	begin_world(&world, 99);
	late.stack = world.stacks[0];
	assert_int_equal(vmt_live_report_open(&live, trace_file_path, &options, &err), 0);
	for (unsigned step = 0; step < 6; step++) {
		add_events(&world, 50);
		drain(&world, 0);
		drain(&world, 1);
		add_snapshot(&world);
		write_file(&world, true);
		compare(live, 99, step);
	}
	assert_int_equal(vmt_live_report_beginnings(live), 1);
	(void)build_trace_remain(world.build, VMT_RING_MAP, &late);
	write_file(&world, true);
	compare(live, 99, 6);
	assert_int_equal(vmt_live_report_beginnings(live), 2);
	vmt_live_report_close(live);
	end_world(&world);
}

static int
make(struct vmt_live_report *live, struct vmt_err *err)
{
	char *text;
	size_t length;
	int result = vmt_live_report_make(live, write_json, NULL, &text, &length, err);

	free(text);
	return result;
}

/* Cut, spoilt, gone, replaced: what a report from the beginning says, or one clear line. */
static void
a_file_that_changes(void **state)
{
	struct vmt_live_report *live;
	struct vmt_err err = {""};
	struct world world;
	size_t chunks;

	(void)state;
	begin_world(&world, 5);
	chunks = world.build->length;
	assert_int_equal(vmt_live_report_open(&live, trace_file_path, &options, &err), 0);
	for (unsigned step = 0; step < 8; step++)
		go_on(&world);
	write_file(&world, true);
	compare(live, 5, 0);

	assert_int_equal(ftruncate(world.fd, (off_t)(chunks + (world.seen - chunks) / 2)), 0);
	compare(live, 5, 1);
	write_file(&world, true);
	compare(live, 5, 2);
	assert_int_equal(pwrite(world.fd, "spoilt", 6, (off_t)world.build->last_chunk), 6);
	compare(live, 5, 3);

	assert_int_equal(ftruncate(world.fd, 1000), 0);
	assert_int_equal(make(live, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "is cut before the end of its head"));
	err.text[0] = '\0';
	assert_int_equal(ftruncate(world.fd, 0), 0);
	assert_int_equal(make(live, &err), -ENODATA);
	err.text[0] = '\0';
	unlink(trace_file_path);
	assert_int_equal(make(live, &err), -ENOENT);
	err.text[0] = '\0';

	build_trace_head(world.build)->random_id++;
	build_trace_write(world.build, trace_file_path);
	assert_int_equal(make(live, &err), -ESTALE);
	assert_non_null(strstr(err.text, "was replaced by another trace"));
	err.text[0] = '\0';
	build_trace_head(world.build)->random_id--;
	build_trace_write(world.build, trace_file_path);
	compare(live, 5, 4);
	vmt_live_report_close(live);
	end_world(&world);
}

static uint64_t
own_bytes(void)
{
	struct vmt_procfs_statm statm = {.resident_pages = 0};
	int fd = vmt_procfs_open(0, "statm");

	assert_true(fd >= 0);
	assert_true(vmt_procfs_read_statm(fd, &statm));
	close(fd);
	return statm.resident_pages * PAGE;
}

/* A day's worth of refreshes: what is held grows with the chunks' headers alone. */
static void
memory_is_bounded(void **state)
{
	long count = soak_count(150, 10000);
	struct vmt_live_report *live;
	struct vmt_err err = {""};
	struct world world;
	uint64_t before = 0;

	(void)state;
	begin_world(&world, 7);
	assert_int_equal(vmt_live_report_open(&live, trace_file_path, &options, &err), 0);
	for (long i = 0; i < count; i++) {
		size_t from = world.seen;

		add_events(&world, 8);
		drain(&world, (int)(i % 2));
		if (i % 4 == 0)
			add_snapshot(&world);
		world.seen = world.build->length;
		assert_int_equal(pwrite(world.fd, world.build->bytes,
					build_trace_head(world.build)->chunks_offset, 0),
				 build_trace_head(world.build)->chunks_offset);
		assert_int_equal(
		    pwrite(world.fd, world.build->bytes + from, world.seen - from, (off_t)from),
		    world.seen - from);
		assert_int_equal(make(live, &err), 0);
		if (i == count / 2)
			before = own_bytes() - world.seen; /* the test holds the file itself */
	}
#if !defined(__SANITIZE_ADDRESS__) /* which keeps what was freed */
	assert_in_range(own_bytes() - world.seen, 1, before + (UINT64_C(4) << 20));
#else
	(void)before;
#endif
	assert_in_range(vmt_live_report_beginnings(live), 1, (uint64_t)count / 50);
	compare(live, 7, 0);
	vmt_live_report_close(live);
	end_world(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_as_from_the_beginning), cmocka_unit_test(seldom_begins_anew),
	    cmocka_unit_test(late_events_count),	  cmocka_unit_test(a_file_that_changes),
	    cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests_name("live_report", tests, trace_file_begin, trace_file_end);
}
