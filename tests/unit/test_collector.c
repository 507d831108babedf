/* A process that announces itself, writes events and ends; what the collector leaves on disk. */
#include "tests/unit/trace_fixture.h"

#include "collect/collector.h"
#include "collect/ticks.h"
#include "format/codec.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define CAPACITY 64u
#define HEAP_EVENTS 5000u
#define MAP_EVENTS 3000u
#define PAGE 4096u

/* What the child tells the test, in a mapping that both share. */
struct told {
	uint64_t rss_before_bytes;
	uint64_t rss_after_bytes;
	uint32_t step;
};

struct place {
	char directory[32];
	char session_path[64];
	char trace_path[64];
	struct vmt_session *session;
	struct told *told;
};

static void
set_up(struct place *place)
{
	strcpy(place->directory, "/tmp/vmt-collector-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->session_path, sizeof(place->session_path), "%s/session", place->directory);
	snprintf(place->trace_path, sizeof(place->trace_path), "%s/a.vmt", place->directory);
	assert_int_equal(vmt_session_create(place->session_path, &place->session), 0);
	place->told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(place->told != MAP_FAILED);
}

static void
tear_down(struct place *place)
{
	/* The collector has removed the session's file. */
	assert_int_equal(access(place->session_path, F_OK), -1);
	munmap(place->session, sizeof(*place->session));
	munmap(place->told, PAGE);
	unlink(place->trace_path);
	assert_int_equal(rmdir(place->directory), 0);
}

static int
collect(const struct place *place, uint32_t first_pid)
{
	struct vmt_collector_host host = {.first_pid = first_pid,
					  .session_path = place->session_path};

	return vmt_collector_run(place->session, &host);
}

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
child(const struct place *place, int status)
{
	struct fixture_trace trace;
	int rollup_fd = vmt_procfs_open(0, "smaps_rollup");

	fixture_make(&trace, place->trace_path, CAPACITY, 77);
	if (!vmt_session_announce(place->session, (uint32_t)getpid(), 77, place->trace_path))
		_exit(99);
	write_events(&trace);
	make_memory(place->trace_path);
	place->told->rss_before_bytes = own_rss_bytes(rollup_fd);
	place->told->rss_before_bytes = own_rss_bytes(rollup_fd);
	ask_for_snapshot(&trace, place->session);
	place->told->rss_after_bytes = own_rss_bytes(rollup_fd);
	_exit(status);
}

struct seen {
	uint32_t heap[HEAP_EVENTS];
	uint32_t map[MAP_EVENTS];
};

static void
see_events(struct seen *seen, const struct fixture_chunk *chunk)
{
	struct vmt_decoder decoder;
	struct vmt_event event;

	vmt_codec_begin_decode(&decoder, chunk->payload, chunk->header->payload_bytes);
	for (uint32_t i = 0; i < chunk->header->events; i++) {
		assert_true(vmt_codec_get_event(&decoder, &event));
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
	assert_true(decoder.at == decoder.end);
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
		assert_int_equal(head.lazyfree_bytes, 0);
	}
	assert_int_equal(asked_for, 1);
}

static void
check_end(const struct fixture_chunks *chunks, uint32_t end, int32_t status)
{
	const struct fixture_chunk *last = &chunks->list[chunks->count - 1];
	const struct vmt_head *head = (const void *)chunks->bytes;
	struct vmt_chunk_end written;

	assert_int_equal(last->header->kind, VMT_CHUNK_END);
	memcpy(&written, last->payload, sizeof(written));
	assert_int_equal(written.end, end);
	assert_int_equal(written.status, status);
	assert_int_equal(head->collected_end, end);
	assert_int_equal(head->collected_status, status);
	assert_int_equal(head->collector_pid, 0);
	assert_true(head->clock_last.monotonic_ns > 0);
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
read_trace(struct fixture_chunks *chunks, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct vmt_head head;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	close(fd);
	assert_null(vmt_head_check(&head));
	fixture_read_chunks(chunks, path, head.chunks_offset);
}

/* Child: makes a trace and says so; 0 or an exit status. */
static int
announce(struct fixture_trace *trace, const struct place *place, uint64_t random_id)
{
	fixture_make(trace, place->trace_path, CAPACITY, random_id);
	return vmt_session_announce(place->session, (uint32_t)getpid(), random_id,
				    place->trace_path)
		   ? 0
		   : 99;
}

static void
await_collector(const struct fixture_trace *trace)
{
	while (vmt_atomic_load_acquire(&trace->head->heartbeat_ns) == 0)
		sched_yield();
}

static void
finds_everything_on_disk(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct stat status;
	pid_t pid;

	(void)state;
	set_up(&place);
	pid = fork();
	if (pid == 0)
		child(&place, 7);
	assert_int_equal(collect(&place, (uint32_t)pid), 0);
	read_trace(&chunks, place.trace_path);
	check_events(&chunks);
	check_snapshots(&chunks, place.told);
	has_usage(&chunks);
	check_end(&chunks, VMT_END_EXIT, 7);
	/* Drained slots and unused tables are holes now. */
	assert_int_equal(stat(place.trace_path, &status), 0);
	assert_true((size_t)status.st_blocks * 512 < chunks.length);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fixture_free_chunks(&chunks);
	tear_down(&place);
}

static uint64_t
count_events(const struct fixture_chunks *chunks, uint64_t *abandoned)
{
	uint64_t events = 0;

	*abandoned = 0;
	for (size_t i = 0; i < chunks->count; i++) {
		events += chunks->list[i].header->events;
		*abandoned += chunks->list[i].header->abandoned;
	}
	return events;
}

/* Killed with one slot claimed and one committed behind it. */
static void
a_killed_process_leaves_what_it_had_committed(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	uint64_t abandoned;
	pid_t pid;

	(void)state;
	set_up(&place);
	pid = fork();
	if (pid == 0) {
		struct vmt_ring_view ring;
		uint64_t position;

		if (announce(&trace, &place, 5))
			_exit(99);
		await_collector(&trace);
		ring = vmt_head_ring(trace.head, trace.base, 0, VMT_RING_HEAP);
		if (!vmt_ring_claim(&ring, &position) ||
		    !fixture_put_heap(&trace, 0, 1, 16, VMT_EVENT_MALLOC))
			_exit(98);
		raise(SIGKILL);
	}
	assert_int_equal(collect(&place, (uint32_t)pid), 0);
	read_trace(&chunks, place.trace_path);
	check_end(&chunks, VMT_END_SIGNAL, SIGKILL);
	assert_int_equal(count_events(&chunks, &abandoned), 1);
	assert_int_equal(abandoned, 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fixture_free_chunks(&chunks);
	tear_down(&place);
}

/* The process is over, reaped and forgotten before anybody collects. */
static void
a_process_that_was_faster_is_collected_still(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	uint64_t abandoned;
	pid_t pid;

	(void)state;
	set_up(&place);
	pid = fork();
	if (pid == 0) {
		if (announce(&trace, &place, 5) ||
		    !fixture_put_heap(&trace, 0, 1, 16, VMT_EVENT_MALLOC))
			_exit(99);
		trace.head->end_status = 3;
		trace.head->end = VMT_END_EXIT;
		_exit(3);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(collect(&place, (uint32_t)pid), 0);
	read_trace(&chunks, place.trace_path);
	check_end(&chunks, VMT_END_EXIT, 3);
	assert_int_equal(count_events(&chunks, &abandoned), 1);
	fixture_free_chunks(&chunks);
	tear_down(&place);
}

/* The process becomes a program that is not traced; the collector stays till that has ended. */
static void
an_exec_ends_the_image_and_not_the_process(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	siginfo_t info;
	pid_t pid;

	(void)state;
	set_up(&place);
	pid = fork();
	if (pid == 0) {
		if (announce(&trace, &place, 5))
			_exit(99);
		await_collector(&trace);
		execl("/bin/sh", "sh", "-c", "exec sleep 0.3", (char *)NULL);
		_exit(98);
	}
	assert_int_equal(collect(&place, (uint32_t)pid), 0);
	/* It has ended by now: nothing to wait for. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG), 0);
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_status, 0);
	read_trace(&chunks, place.trace_path);
	check_end(&chunks, VMT_END_EXEC, 0);
	fixture_free_chunks(&chunks);
	tear_down(&place);
}

/* A second image announces itself under the same pid. */
static void
an_exec_into_a_traced_program_makes_two_traces(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace first, second;
	char path[sizeof(place.trace_path) + 8];
	pid_t pid;

	(void)state;
	set_up(&place);
	snprintf(path, sizeof(path), "%s.2", place.trace_path);
	pid = fork();
	if (pid == 0) {
		if (announce(&first, &place, 5))
			_exit(99);
		await_collector(&first);
		fixture_make(&second, path, CAPACITY, 6);
		if (!vmt_session_announce(place.session, (uint32_t)getpid(), 6, path))
			_exit(98);
		while (vmt_atomic_load_acquire(&first.head->collected_end) == 0)
			sched_yield();
		_exit(11);
	}
	assert_int_equal(collect(&place, (uint32_t)pid), 0);
	read_trace(&chunks, place.trace_path);
	check_end(&chunks, VMT_END_EXEC, 0);
	fixture_free_chunks(&chunks);
	read_trace(&chunks, path);
	check_end(&chunks, VMT_END_EXIT, 11);
	fixture_free_chunks(&chunks);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	unlink(path);
	tear_down(&place);
}

struct reaper {
	pid_t pid;
	int status;
	bool done;
};

static bool
reap(void *context)
{
	struct reaper *reaper = context;

	if (!reaper->done && waitpid(reaper->pid, &reaper->status, WNOHANG) == reaper->pid)
		reaper->done = true;
	return !reaper->done;
}

static bool
tell_status(void *context, uint32_t pid, int *wait_status)
{
	const struct reaper *reaper = context;

	if (!reaper->done || (pid_t)pid != reaper->pid)
		return false;
	*wait_status = reaper->status;
	return true;
}

/* A host that reaps; an announcement of a file that is no trace does no harm. */
static void
the_host_has_its_say(void **state)
{
	struct place place;
	struct fixture_chunks chunks;
	struct fixture_trace trace;
	struct reaper reaper = {0};
	struct vmt_collector_host host = {
	    .expects_more = reap, .reaped = tell_status, .context = &reaper};

	(void)state;
	set_up(&place);
	host.session_path = place.session_path;
	assert_true(vmt_session_announce(place.session, 1, 1, "/etc/passwd"));
	assert_true(vmt_session_announce(place.session, 1, 1, "/no/such/file"));
	reaper.pid = fork();
	if (reaper.pid == 0) {
		if (announce(&trace, &place, 5))
			_exit(99);
		await_collector(&trace);
		raise(SIGTERM);
	}
	assert_int_equal(vmt_collector_run(place.session, &host), 0);
	assert_true(reaper.done);
	read_trace(&chunks, place.trace_path);
	check_end(&chunks, VMT_END_SIGNAL, SIGTERM);
	for (unsigned i = 0; i < VMT_SESSION_SLOTS; i++)
		assert_int_equal(place.session->slots[i].state, VMT_SESSION_FREE);
	assert_int_equal(place.session->collector_pid, 0);
	fixture_free_chunks(&chunks);
	tear_down(&place);
}

/* Nobody is ever traced: the collector leaves with the first process. */
static void
leaves_with_a_first_process_that_never_announces(void **state)
{
	struct place place;
	pid_t pid;

	(void)state;
	set_up(&place);
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(collect(&place, (uint32_t)pid), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	tear_down(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_everything_on_disk),
	    cmocka_unit_test(a_killed_process_leaves_what_it_had_committed),
	    cmocka_unit_test(a_process_that_was_faster_is_collected_still),
	    cmocka_unit_test(an_exec_ends_the_image_and_not_the_process),
	    cmocka_unit_test(an_exec_into_a_traced_program_makes_two_traces),
	    cmocka_unit_test(the_host_has_its_say),
	    cmocka_unit_test(leaves_with_a_first_process_that_never_announces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
