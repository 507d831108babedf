/*
 * test_report_memory.c: does a report's memory depend on what is live, and not on how much
 * happened?
 *
 * Traces of programs that take and give back, all that is live being a few hundred things at a
 * time. A report of one that is four times as long may take no more than a little more memory.
 */
#define BUILD_CHUNKS_BYTES (UINT32_C(160) << 20)
#include "build_trace.h"
#include "trace_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tools/model/report/report_build.h"

#define SHORT_ROUNDS 150000u
#define LONG_ROUNDS (4 * SHORT_ROUNDS)
#define LIVE 256u
/* The chunk index has 88 bytes a chunk, and is the one thing that grows with the file. */
#define MORE_MOST_KIB 2048
#define BATCH 2048u
#define BASE UINT64_C(0x7f0000000000)

typedef uint32_t happening(struct vmt_event *events, uint64_t round);

static struct vmt_event
event_at(uint8_t kind, uint64_t address, uint64_t length)
{
	return (struct vmt_event){
	    .kind = kind, .address = address, .length = length, .stack = 1, .thread = 7};
}

/* Each round takes one thing and gives back the one of LIVE rounds ago; addresses come back after
 * a while, as an allocator's do. */
static uint32_t
blocks(struct vmt_event *events, uint64_t round)
{
	uint64_t place = BASE + round % (4 * LIVE) * 64;

	events[0] = event_at(VMT_EVENT_FREE, BASE + (round - LIVE) % (4 * LIVE) * 64, 0);
	events[1] = event_at(VMT_EVENT_MALLOC, place, 48);
	return round < LIVE ? (events[0] = events[1], 1) : 2;
}

static uint32_t
ranges_that_wander(struct vmt_event *events, uint64_t round)
{
	uint64_t place = BASE + round * 16384;

	events[0] = event_at(VMT_EVENT_MUNMAP, place - LIVE * 16384, 8192);
	events[1] = event_at(VMT_EVENT_MMAP, place, 8192);
	events[1].protection = 3;
	events[1].flags = 0x22;
	return round < LIVE ? (events[0] = events[1], 1) : 2;
}

static uint32_t
advice(struct vmt_event *events, uint64_t round)
{
	events[0] = event_at(VMT_EVENT_MMAP, BASE + round % LIVE * 16384, 8192);
	events[0].protection = 3;
	events[0].flags = 0x22;
	events[1] = event_at(VMT_EVENT_MADVISE, BASE + round % LIVE * 16384, 4096);
	events[1].advice = 4;
	return round < LIVE ? 1 : (events[0] = events[1], 1);
}

/* Threads that are over, each at a new place. */
static uint32_t
threads(struct vmt_event *events, uint64_t round)
{
	events[0] = event_at(VMT_EVENT_THREAD, BASE + round * 65536, 32768);
	events[0].argument_a = 2304;
	events[0].argument_b = VMT_THREAD_OVER;
	return 1;
}

/* Kernel ids of threads that come and go, each of which maps and unmaps. */
static uint32_t
many_threads_ranges(struct vmt_event *events, uint64_t round)
{
	uint32_t count = ranges_that_wander(events, round);

	for (uint32_t i = 0; i < count; i++)
		events[i].thread = (uint32_t)round;
	return count;
}

static uint32_t
modules(struct vmt_event *events, uint64_t round)
{
	events[0] = event_at(VMT_EVENT_MODULE_LOAD, BASE + round % LIVE * 65536, 32768);
	events[0].argument_b = 8;
	events[1] = event_at(VMT_EVENT_MODULE_UNLOAD, BASE + round % LIVE * 65536, 32768);
	events[1].argument_b = 8;
	return 2;
}

static void
write_trace(happening *happen, uint32_t rounds, uint32_t batch, uint32_t ring)
{
	struct build_trace *build = build_trace_new(NULL);
	static struct vmt_event events[BATCH + 2];
	uint64_t time = BUILD_START;
	uint32_t count = 0;

	for (uint64_t round = 0; round < rounds; round++) {
		uint32_t more = happen(events + count, round);

		for (uint32_t i = 0; i < more; i++)
			events[count + i].time = ++time;
		count += more;
		if (count >= batch || round + 1 == rounds) {
			build_trace_events(build, ring, events, count);
			count = 0;
		}
	}
	build_trace_end(build, VMT_END_EXIT, 0, time + 1);
	build_trace_write(build, trace_file_path);
	build_trace_free(build);
}

static long
peak_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kib;
}

/* The most that a process had in memory which makes a report of the trace and nothing else. */
static long
report_kib(void)
{
	long kib = -1;
	int pipes[2];
	pid_t child;
	int status;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct vmt_report_options options = {.at = VMT_AT_END};
		struct vmt_report *report = NULL;
		struct vmt_err err = {""};
		FILE *file = fopen("/proc/self/clear_refs", "w");

		if (file == NULL || fputs("5", file) < 0 || fclose(file) != 0)
			_exit(2);
		if (vmt_report_build(&report, trace_file_path, &options, &err) != 0)
			_exit(1);
		kib = peak_kib();
		_exit(write(pipes[1], &kib, sizeof(kib)) != sizeof(kib));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read(pipes[0], &kib, sizeof(kib)), sizeof(kib));
	close(pipes[0]);
	close(pipes[1]);
	return kib;
}

static void
check(const char *name, happening *happen, uint32_t batch, uint32_t ring)
{
	long small, large;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* keep what was freed */
#endif
	write_trace(happen, SHORT_ROUNDS, batch, ring);
	small = report_kib();
	write_trace(happen, LONG_ROUNDS, batch, ring);
	large = report_kib();
	print_message("%s: %ld KiB, four times as long: %ld KiB\n", name, small, large);
	assert_true(large - small <= MORE_MOST_KIB);
}

#define CASE(name, happen, batch, ring)                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		check(#name, happen, batch, ring);                                                 \
	}

CASE(blocks_that_come_and_go, blocks, BATCH, VMT_RING_HEAP)
CASE(ranges_at_new_places, ranges_that_wander, BATCH, VMT_RING_MAP)
CASE(ranges_of_many_threads, many_threads_ranges, BATCH, VMT_RING_MAP)
CASE(advice_again_and_again, advice, BATCH, VMT_RING_MAP)
CASE(threads_that_end, threads, BATCH, VMT_RING_MAP)
CASE(modules_that_come_and_go, modules, BATCH, VMT_RING_MAP)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blocks_that_come_and_go), cmocka_unit_test(ranges_at_new_places),
	    cmocka_unit_test(ranges_of_many_threads),  cmocka_unit_test(advice_again_and_again),
	    cmocka_unit_test(threads_that_end),	       cmocka_unit_test(modules_that_come_and_go),
	};

	return cmocka_run_group_tests(tests, trace_file_begin, trace_file_end);
}
