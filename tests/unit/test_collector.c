/* A process that announces itself, writes events and asks for a snapshot; what the collector leaves
 * on disk. */
#include "tests/unit/collector_place.h"

#include "base/ticks.h"
#include "format/codec.h"
#include "format/columns.h"

#define HEAP_EVENTS 5000u
#define MAP_EVENTS 3000u
#define PAGE 4096u

/* What the child tells the test, in a mapping that both share. */
struct told {
	uint64_t rss_before_bytes;
	uint64_t rss_after_bytes;
	uint32_t step;
};

static uint64_t
own_rss_bytes(int fd)
{
	struct vmt_procfs_rollup rollup;

	return vmt_procfs_read_rollup(fd, &rollup) ? rollup.rss_bytes : 0;
}

/* Child: asks for a snapshot and stands still till it is there. */
static void
ask_for_snapshot(const struct fixture_trace *trace, struct vmt_session *session)
{
	uint32_t wanted = vmt_atomic_add_relaxed(&trace->head->snapshot_wanted, 1) + 1;

	vmt_session_wake(session);
	while (vmt_atomic_load_acquire(&trace->head->snapshot_done) != wanted)
		sched_yield();
}

static void
write_events(const struct fixture_trace *trace)
{
	for (uint32_t i = 0; i < HEAP_EVENTS; i++) {
		while (!fixture_put_heap(trace, i & 1, vmt_ticks_monotonic_ns(), 0x1000 + i * 64ull,
					 VMT_EVENT_MALLOC))
			sched_yield();
		if (i >= MAP_EVENTS)
			continue;
		while (!fixture_put_map(trace, i & 1, vmt_ticks_monotonic_ns(), i * 4096ull,
					VMT_EVENT_MMAP, i))
			sched_yield();
	}
}

/* Child: memory of several kinds, so that the sum has something to be wrong about. */
static void
make_memory(const char *file)
{
	volatile unsigned char *touched =
	    mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile unsigned char *read_only =
	    mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(file, O_RDONLY);
	volatile unsigned char *mapped = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	for (unsigned i = 0; i < 64; i += 2)
		touched[i * PAGE] = 1;
	for (unsigned i = 0; i < 64; i += 3)
		(void)read_only[i * PAGE];
	(void)mapped[0];
	close(fd);
}

static void
child(const struct place *place, struct told *told, int status)
{
	struct fixture_trace trace;
	int rollup_fd = vmt_procfs_open(0, "smaps_rollup");

	fixture_make(&trace, place->trace_path, PLACE_CAPACITY, 77);
	if (!vmt_session_announce(place->session, (uint32_t)getpid(), 77, place->trace_path))
		_exit(99);
	write_events(&trace);
	/* Where it may: a kernel that takes cold file pages back makes two readings differ. */
	(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	make_memory(place->trace_path);
	told->rss_before_bytes = own_rss_bytes(rollup_fd);
	told->rss_before_bytes = own_rss_bytes(rollup_fd);
	ask_for_snapshot(&trace, place->session);
	told->rss_after_bytes = own_rss_bytes(rollup_fd);
	_exit(status);
}

struct seen {
	uint32_t heap[HEAP_EVENTS];
	uint32_t map[MAP_EVENTS];
};

static void
see_events(struct seen *seen, const struct fixture_chunk *chunk)
{
	struct vmt_columns_decoder decoder;
	struct vmt_event event;

	assert_true(
	    vmt_columns_begin_decode(&decoder, chunk->payload, chunk->header->payload_bytes));
	for (uint32_t i = 0; i < chunk->header->events; i++) {
		assert_true(vmt_columns_get(&decoder, &event));
		assert_in_range(event.time, chunk->header->time_min, chunk->header->time_max);
		if (event.kind == VMT_EVENT_MALLOC) {
			assert_true((event.address - 0x1000) / 64 < HEAP_EVENTS);
			seen->heap[(event.address - 0x1000) / 64]++;
		} else {
			assert_int_equal(event.kind, VMT_EVENT_MMAP);
			assert_true(event.argument_a < MAP_EVENTS);
			seen->map[event.argument_a]++;
		}
	}
	assert_true(vmt_columns_is_done(&decoder));
}

static void
check_events(const struct fixture_chunks *chunks)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	uint64_t positions[VMT_MAX_SHARDS * VMT_RING_CLASSES] = {0};

	assert_non_null(seen);
	for (size_t i = 0; i < chunks->count; i++) {
		const struct vmt_chunk *header = chunks->list[i].header;

		if (header->kind != VMT_CHUNK_EVENTS)
			continue;
		assert_int_equal(header->position_from, positions[header->ring]);
		positions[header->ring] = header->position_to;
		assert_int_equal(header->position_to - header->position_from,
				 (uint64_t)header->events + header->abandoned +
				     header->overwritten + header->dead);
		see_events(seen, &chunks->list[i]);
	}
	for (unsigned i = 0; i < HEAP_EVENTS; i++)
		assert_int_equal(seen->heap[i], 1);
	for (unsigned i = 0; i < MAP_EVENTS; i++)
		assert_int_equal(seen->map[i], 1);
	free(seen);
}

/* The sum of a snapshot's runs, from its own bytes. */
static uint64_t
sum_runs(const struct fixture_chunk *chunk, const struct vmt_snapshot_head *head)
{
	struct vmt_decoder decoder;
	struct vmt_mapping mapping;
	struct vmt_run run;
	uint64_t sum = 0;
	uint32_t runs;

	vmt_codec_begin_decode(&decoder, chunk->payload + sizeof(*head),
			       chunk->header->payload_bytes - sizeof(*head));
	for (uint32_t i = 0; i < head->mappings; i++) {
		assert_true(vmt_codec_get_mapping(&decoder, &mapping, &runs));
		while (runs--) {
			assert_true(vmt_codec_get_run(&decoder, &run));
			assert_true(run.start >= mapping.start);
			assert_true(run.start + run.bytes <= mapping.end);
			if ((run.kind & VMT_RUN_PRESENT) && !(run.kind & VMT_RUN_ZERO))
				sum += run.bytes;
		}
	}
	assert_true(decoder.at == decoder.end);
	return sum;
}

static void
check_snapshots(const struct fixture_chunks *chunks, const struct told *told)
{
	unsigned asked_for = 0, snapshots = 0;

	for (size_t i = 0; i < chunks->count; i++) {
		struct vmt_snapshot_head head;

		if (chunks->list[i].header->kind != VMT_CHUNK_SNAPSHOT)
			continue;
		memcpy(&head, chunks->list[i].payload, sizeof(head));
		assert_int_equal(head.index, snapshots++);
		assert_int_equal(sum_runs(&chunks->list[i], &head), head.resident_bytes);
		assert_int_not_equal(head.source, VMT_RESIDENCY_NONE);
		if (head.reason != VMT_SNAPSHOT_REQUEST)
			continue;
		asked_for++;
		assert_int_equal(told->rss_before_bytes, told->rss_after_bytes);
		if (head.source == VMT_RESIDENCY_PAGEMAP_SCAN)
			assert_int_equal(head.resident_bytes, told->rss_before_bytes);
		assert_int_equal(head.lazyfree_bytes, VMT_FIGURE_UNKNOWN);
	}
	assert_int_equal(asked_for, 1);
}

static void
has_usage(const struct fixture_chunks *chunks)
{
	uint64_t last_ns = 0, samples = 0;

	for (size_t i = 0; i < chunks->count; i++) {
		const struct vmt_usage *usages = (const void *)chunks->list[i].payload;
		size_t count = chunks->list[i].header->payload_bytes / sizeof(*usages);

		for (size_t j = 0; chunks->list[i].header->kind == VMT_CHUNK_USAGE && j < count;
		     j++) {
			assert_true(usages[j].monotonic_ns >= last_ns);
			assert_true(usages[j].rss_bytes > 0);
			assert_true(usages[j].virtual_bytes > usages[j].rss_bytes);
			last_ns = usages[j].monotonic_ns;
			samples++;
		}
	}
	assert_true(samples >= 1);
}

static void
finds_everything_on_disk(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct stat status;
	struct told *told =
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(told, MAP_FAILED);
	place_set_up(&place);
	pid = fork();
	if (pid == 0)
		child(&place, told, 7);
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	place_read_trace(&chunks, place.trace_path);
	check_events(&chunks);
	check_snapshots(&chunks, told);
	has_usage(&chunks);
	place_check_end(&chunks, VMT_END_EXIT, 7);
	/* Drained slots and unused tables are holes now. */
	assert_int_equal(stat(place.trace_path, &status), 0);
	assert_true((size_t)status.st_blocks * 512 < chunks.length);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fixture_free_chunks(&chunks);
	munmap(told, PAGE);
	place_tear_down(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_everything_on_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
