/*
 * Are reports out of a digest those of a replay, byte for byte, and does a damaged one harm
 * nothing?
 *
 * A process is played that allocates, resizes and maps at random, with snapshots, modules and
 * threads. Its reports at many moments are made with and without what an earlier report has kept.
 */
#include "tests/unit/build_trace.h"

#include "tests/unit/trace_file.h"
#include "tools/byte_buffer.h"
#include "tools/model/report/report_build.h"
#include "tools/read/trace/trace_cache.h"
#include "tools/render/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x7f0000000000)
#define HEAP UINT64_C(0x550000000000)
#define LARGE UINT64_C(0x7e0000000000)
#define PAGES 512u
#define BLOCKS 600u
#define STACKS 40u
#define CHUNK_EVENTS 32u
#define THREADS 3u
#define STEP_TICKS 3000u

struct world {
	struct build_trace *build;
	uint64_t random;
	uint64_t now;
	uint32_t stacks[STACKS];
	bool is_live[BLOCKS];
	struct vmt_event waiting[VMT_RING_CLASSES][CHUNK_EVENTS];
	uint32_t waiting_count[VMT_RING_CLASSES];
	uint32_t snapshots;
};

static char cache_directory[160];

static uint64_t
next_random(struct world *world, uint64_t below)
{
	world->random =
	    world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (world->random >> 33) % below;
}

static void
drain(struct world *world, uint32_t ring)
{
	if (world->waiting_count[ring] > 0)
		build_trace_events(world->build, ring, world->waiting[ring],
				   world->waiting_count[ring]);
	world->waiting_count[ring] = 0;
}

static void
add(struct world *world, uint32_t ring, struct vmt_event event)
{
	world->now += 1 + next_random(world, STEP_TICKS);
	event.time = world->now;
	event.thread = 7 + (uint32_t)next_random(world, THREADS);
	if (event.stack == 0)
		event.stack = world->stacks[next_random(world, STACKS)];
	if (world->waiting_count[ring] == CHUNK_EVENTS)
		drain(world, ring);
	world->waiting[ring][world->waiting_count[ring]++] = event;
}

/* One block in eight is large, with a mapping of its own. */
static uint64_t
address_of(uint64_t block)
{
	return block % 8 == 0 ? LARGE + block * 128 * PAGE + 16 : HEAP + block * 64;
}

static uint64_t
size_of(struct world *world, uint64_t block)
{
	return block % 8 == 0 ? 40 * PAGE + next_random(world, 100) : 1 + next_random(world, 60);
}

static void
add_release(struct world *world, uint64_t block, uint8_t kind)
{
	struct vmt_event event = {.kind = kind, .address = address_of(block)};

	if (block % 8 == 0) {
		event.argument_a = next_random(world, 3) * PAGE;
		event.marks = VMT_MARK_LOOKED;
	}
	add(world, BUILD_HEAP_RING(0), event);
	world->is_live[block] = false;
}

static void
add_acquisition(struct world *world, uint64_t block, uint8_t kind)
{
	add(world, BUILD_HEAP_RING(0),
	    (struct vmt_event){
		.kind = kind, .address = address_of(block), .length = size_of(world, block)});
	world->is_live[block] = true;
}

/* A realloc is its two events, one of which may fail; now and then a free is of no block. */
static void
add_heap(struct world *world)
{
	uint64_t block = next_random(world, BLOCKS);
	uint64_t what = next_random(world, 16);

	if (!world->is_live[block]) {
		add_acquisition(world, block, VMT_EVENT_MALLOC);
		if (what < 6)
			add_release(world, block, VMT_EVENT_FREE);
	} else if (what < 3) {
		add_release(world, block, VMT_EVENT_REALLOC_BEGIN);
		if (what == 0)
			add(world, BUILD_HEAP_RING(0),
			    (struct vmt_event){.kind = VMT_EVENT_HEAP_UNDO,
					       .address = address_of(block)});
		else
			add_acquisition(world, block, VMT_EVENT_REALLOC);
	} else if (what == 3) {
		add_acquisition(world, block, VMT_EVENT_MALLOC);
	} else {
		add_release(world, block, VMT_EVENT_FREE);
	}
	if (what == 15)
		add_release(world, block, VMT_EVENT_FREE);
}

static void
add_map(struct world *world)
{
	static const uint8_t kinds[] = {VMT_EVENT_MMAP, VMT_EVENT_MMAP, VMT_EVENT_MUNMAP,
					VMT_EVENT_MADVISE, VMT_EVENT_MAP_UNDO};
	struct vmt_event event = {.kind = kinds[next_random(world, 5)]};

	event.address = BASE + next_random(world, PAGES - 32) * PAGE;
	event.length = (1 + next_random(world, 32)) * PAGE;
	event.marks = VMT_MARK_LOOKED;
	event.argument_a = event.kind == VMT_EVENT_MMAP ? 0 : PAGE;
	event.advice = event.kind == VMT_EVENT_MADVISE ? 4 : 0;
	event.flags = event.kind == VMT_EVENT_MMAP ? MAP_PRIVATE | MAP_ANONYMOUS : 0;
	event.protection = event.kind == VMT_EVENT_MMAP ? 3 : 0;
	add(world, BUILD_MAP_RING(0), event);
}

static void
add_module(struct world *world)
{
	struct vmt_event event = {.kind = next_random(world, 2) ? VMT_EVENT_MODULE_LOAD
								: VMT_EVENT_MODULE_UNLOAD,
				  .address = 0x1000,
				  .length = PAGE,
				  .argument_b = VMT_MODULE_FIRST_ID};

	add(world, BUILD_MAP_RING(0), event);
}

static void
add_snapshot(struct world *world)
{
	struct vmt_run runs[8];
	struct vmt_run heap_run = {HEAP, 9 * PAGE, VMT_RUN_PRESENT};
	struct vmt_run large_run = {LARGE, 300 * PAGE, VMT_RUN_PRESENT};
	struct build_mapping parts[] = {
	    {.mapping = {.start = HEAP, .end = HEAP + 64 * PAGE, .protection = 3, .path = "[heap]"},
	     .runs = &heap_run,
	     .run_count = 1},
	    {.mapping = {.start = LARGE, .end = LARGE + BLOCKS * 128 * PAGE, .protection = 3},
	     .runs = &large_run,
	     .run_count = 1},
	    {.mapping = {.start = BASE, .end = BASE + PAGES * PAGE, .protection = 3},
	     .runs = runs,
	     .run_count = 8},
	};
	struct vmt_snapshot_head head = {.time = world->now,
					 .lazyfree_bytes = VMT_FIGURE_UNKNOWN,
					 .source = VMT_RESIDENCY_PAGEMAP_SCAN,
					 .reason = VMT_SNAPSHOT_GROWTH,
					 .peak_rss_bytes = 100 * PAGE,
					 .index = world->snapshots++};

	for (uint32_t i = 0; i < 8; i++)
		runs[i] = (struct vmt_run){BASE + i * 64 * PAGE,
					   (1 + next_random(world, 60)) * PAGE, VMT_RUN_PRESENT};
	for (uint32_t ring = 0; ring < VMT_RING_CLASSES; ring++)
		if (next_random(world, 2) == 0)
			drain(world, ring);
	build_trace_snapshot(world->build, &head, parts, 3);
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
play(struct world *world, uint64_t seed)
{
	*world = (struct world){.random = seed * 2654435761u + 1, .now = BUILD_START + 1000};
	world->build = build_trace_new(NULL);
	for (uint64_t i = 0; i < STACKS; i++) {
		uint64_t frames[3] = {0x1000 + i * 16, 0x2000 + i % 3, 0x3000};

		world->stacks[i] = build_trace_stack(world->build, frames, 3);
	}
	for (uint32_t i = 0; i < 4000; i++) {
		uint64_t what = next_random(world, 2400);

		if (i == 100 || what < 1 + seed % 3)
			add_snapshot(world);
		else if (what < 4)
			add_tasks(world);
		else if (what == 4)
			add_module(world);
		else if (what < 60)
			add_map(world);
		else
			add_heap(world);
	}
	for (uint32_t ring = 0; ring < VMT_RING_CLASSES; ring++)
		drain(world, ring);
	add_snapshot(world);
	build_trace_end(world->build, VMT_END_EXIT, 0, world->now + 10);
	unlink(trace_file_path);
	build_trace_write(world->build, trace_file_path);
	build_trace_free(world->build);
}

struct told {
	uint64_t chunks; /* that were read */
};

static void
note_progress(void *context, const char *doing, uint64_t done, uint64_t total)
{
	struct told *told = context;

	(void)total;
	if (strcmp(doing, "reading events") == 0 && done > told->chunks)
		told->chunks = done;
}

/* To be freed; NULL where the report fails. */
static char *
try_report(struct vmt_report_options options, enum vmt_report_cache cache, struct told *told)
{
	struct vmt_report *report;
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;
	FILE *out;

	*told = (struct told){.chunks = 0};
	options.cache = cache;
	options.progress = note_progress;
	options.progress_context = told;
	if (vmt_report_build(&report, trace_file_path, &options, &err) < 0)
		return NULL;
	out = open_memstream(&text, &length);
	assert_non_null(out);
	assert_int_equal(
	    vmt_json_print(report, &(struct vmt_json_options){.top = SIZE_MAX}, out, &err), 0);
	fclose(out);
	vmt_report_free(report);
	return text;
}

static bool
is_kept(void)
{
	DIR *files = opendir(cache_directory);
	const struct dirent *file;
	bool found = false;

	while (files && (file = readdir(files)) != NULL)
		found |= strchr(file->d_name, '-') && strstr(file->d_name, ".digest");
	if (files)
		closedir(files);
	return found;
}

static void
forget(void)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -rf %s", cache_directory);
	assert_int_equal(system(command), 0);
}

/* A report keeps nothing of a file that has just been written: one that comes later does. */
static void
wait_until_settled(void)
{
	struct vmt_trace_cache_key key = {.is_known = false};
	struct vmt_err err = {""};
	struct vmt_trace *trace;

	assert_int_equal(vmt_trace_open(&trace, trace_file_path, &err), 0);
	for (int i = 0; i < 3000 && !key.is_known; i++) {
		vmt_trace_cache_describe(trace, &key);
		if (!key.is_known)
			usleep(10000);
	}
	vmt_trace_close(trace);
	assert_true(key.is_known);
}

static void
report_at_end(void)
{
	struct told told;

	free(
	    try_report((struct vmt_report_options){.at = VMT_AT_END}, VMT_REPORT_CACHE_ALL, &told));
}

static void
keep(void)
{
	forget();
	wait_until_settled();
	report_at_end();
	assert_true(is_kept());
}

static void
compare(struct vmt_report_options options, uint64_t seed, struct told *replayed, struct told *read)
{
	char *wanted = try_report(options, VMT_REPORT_CACHE_OFF, replayed);
	char *text = try_report(options, VMT_REPORT_CACHE_ALL, read);

	assert_non_null(wanted);
	assert_non_null(text);
	if (strcmp(text, wanted) != 0) {
		size_t at = 0;

		while (text[at] && text[at] == wanted[at])
			at++;
		fail_msg("seed %ju, at %jd ns: differs from byte %zu on: %.300s\n...\n%.300s",
			 (uintmax_t)seed, (intmax_t)options.at_time_ns, at,
			 text + (at > 100 ? at - 100 : 0), wanted + (at > 100 ? at - 100 : 0));
	}
	free(text);
	free(wanted);
}

/* The same, and chunks of events are left out. */
static void
compare_folded(struct vmt_report_options options, uint64_t seed)
{
	struct told replayed, read;

	compare(options, seed, &replayed, &read);
	assert_true(read.chunks < replayed.chunks);
	if (options.at != VMT_AT_TIME)
		assert_true(read.chunks * 2 < replayed.chunks);
}

/* At the end, at the peak and at many moments; with the history and without growth. */
static void
test_reports_are_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct world world;
		int64_t length;

		play(&world, seed);
		keep();
		length = (int64_t)(world.now - BUILD_START);
		compare_folded((struct vmt_report_options){.at = VMT_AT_END, .history = true},
			       seed);
		compare_folded((struct vmt_report_options){.at = VMT_AT_PEAK}, seed);
		compare_folded((struct vmt_report_options){.at = VMT_AT_END, .no_growth = true},
			       seed);
		for (int64_t i = 1; i < 8; i++)
			compare_folded((struct vmt_report_options){.at = VMT_AT_TIME,
								   .at_time_ns = length * i / 8,
								   .history = i % 2},
				       seed);
	}
}

/* What is kept by thread, or not at all, is not mixed up. */
static void
test_other_options_need_no_digest(void **state)
{
	struct told replayed, read;
	struct world world;

	(void)state;
	play(&world, 7);
	keep();
	compare((struct vmt_report_options){.at = VMT_AT_END, .by_thread = true}, 7, &replayed,
		&read);
	assert_int_equal(read.chunks, replayed.chunks);
	free(try_report((struct vmt_report_options){.at = VMT_AT_END}, VMT_REPORT_CACHE_LARGE,
			&read));
	assert_int_equal(read.chunks, replayed.chunks);
}

static void
test_another_trace_finds_nothing(void **state)
{
	struct told replayed, read;
	struct world world;

	(void)state;
	play(&world, 8);
	keep();
	play(&world, 9); /* of the same name and random id */
	compare((struct vmt_report_options){.at = VMT_AT_END}, 9, &replayed, &read);
	assert_int_equal(read.chunks, replayed.chunks);
}

static void
test_an_open_directory_is_not_used(void **state)
{
	struct told replayed, read;
	struct world world;

	(void)state;
	play(&world, 10);
	keep();
	assert_int_equal(chmod(cache_directory, 0755), 0);
	compare((struct vmt_report_options){.at = VMT_AT_END}, 10, &replayed, &read);
	assert_int_equal(read.chunks, replayed.chunks);
}

/* A file without a byte on the disk, last used at that time. */
static void
add_file(const char *name, off_t bytes, time_t used_s)
{
	const struct timespec times[2] = {{.tv_sec = used_s}, {.tv_sec = used_s}};
	char path[500];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", cache_directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static bool
is_there(const char *name)
{
	struct stat status;
	char path[500];

	snprintf(path, sizeof(path), "%s/%s", cache_directory, name);
	return stat(path, &status) == 0;
}

/* What is not a file of the cache's neither counts nor goes. */
static void
test_oldest_files_make_room(void **state)
{
	const off_t most = VMT_TRACE_CACHE_MOST_BYTES;
	struct world world;
	char path[500];

	(void)state;
	play(&world, 13);
	forget();
	assert_int_equal(mkdir(cache_directory, 0700), 0);
	snprintf(path, sizeof(path), "%s/directory.digest", cache_directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, (const struct timespec[2]){{0}, {0}}, 0), 0);
	add_file("new.digest", most / 2, 4000);
	add_file("old.digest", most / 4, 2000);
	add_file("older.digest", most / 4, 1000);
	add_file("another", most, 500);
	wait_until_settled();
	report_at_end();
	assert_true(is_kept());
	assert_false(is_there("older.digest"));
	assert_true(is_there("old.digest"));
	assert_true(is_there("new.digest"));
	assert_true(is_there("another"));
	assert_true(is_there("directory.digest"));
}

/* Past it a write would end the process. */
static void
test_limit_of_files_is_heeded(void **state)
{
	struct rlimit before;
	struct rlimit limit;
	struct world world;

	(void)state;
	play(&world, 14);
	forget();
	wait_until_settled();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){.rlim_cur = 512, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	report_at_end();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_false(is_kept());
}

/* The kept file of the trace, open for reading and writing. */
static FILE *
open_kept(void)
{
	DIR *files = opendir(cache_directory);
	const struct dirent *file;
	FILE *kept = NULL;
	char path[500];

	assert_non_null(files);
	while (!kept && (file = readdir(files)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", cache_directory, file->d_name);
		if (strstr(file->d_name, ".digest"))
			kept = fopen(path, "r+");
	}
	closedir(files);
	assert_non_null(kept);
	return kept;
}

static void
test_damage_is_as_nothing(void **state)
{
	struct told replayed, read;
	struct world world;

	(void)state;
	play(&world, 11);
	for (int i = 0; i < 8; i++) {
		FILE *kept;
		long bytes, place;
		int byte;

		keep();
		kept = open_kept();
		assert_int_equal(fseek(kept, 0, SEEK_END), 0);
		bytes = ftell(kept);
		place = (long)next_random(&world, (uint64_t)bytes);
		if (i % 4 == 0) {
			assert_int_equal(ftruncate(fileno(kept), place), 0);
		} else {
			assert_int_equal(fseek(kept, place, SEEK_SET), 0);
			byte = fgetc(kept);
			assert_int_equal(fseek(kept, place, SEEK_SET), 0);
			fputc(byte ^ (1 << i % 8), kept);
		}
		fclose(kept);
		compare((struct vmt_report_options){.at = VMT_AT_END}, 11, &replayed, &read);
		assert_int_equal(read.chunks, replayed.chunks);
	}
}

/* Whoever may write there can make the checksum right: nothing is harmed. */
static void
test_wrong_folds_harm_nothing(void **state)
{
	struct vmt_trace_cache_key key;
	struct vmt_err err = {""};
	struct vmt_trace *trace;
	struct told told;
	struct world world;
	unsigned char *bytes;
	size_t count;

	(void)state;
	play(&world, 12);
	keep();
	assert_int_equal(vmt_trace_open(&trace, trace_file_path, &err), 0);
	vmt_trace_cache_describe(trace, &key);
	assert_true(vmt_trace_cache_read(&key, &bytes, &count));
	for (int i = 0; i < 40; i++) {
		size_t place = (size_t)next_random(&world, count);
		unsigned char before = bytes[place];

		bytes[place] = (unsigned char)next_random(&world, 256);
		vmt_trace_cache_write(trace, &key, bytes, i % 10 == 0 ? place + 1 : count);
		bytes[place] = before;
		free(try_report((struct vmt_report_options){.at = VMT_AT_END, .history = i % 2},
				VMT_REPORT_CACHE_ALL, &told));
	}
	free(bytes);
	vmt_trace_close(trace);
}

/* The same with another number of events in the first fold; to be freed. */
static struct vmt_byte_buffer
with_events(const unsigned char *bytes, size_t count, uint64_t events)
{
	struct vmt_byte_buffer other = {.most = 2 * count + 4096};
	const unsigned char *at = bytes;
	uint64_t words[4]; /* first and last time, others, events */

	for (size_t i = 0; i < 4; i++)
		assert_true(vmt_varint_get(&at, bytes + count, &words[i]));
	words[3] = events;
	for (size_t i = 0; i < 4; i++)
		vmt_byte_buffer_put(&other, words[i]);
	vmt_byte_buffer_put_bytes(&other, at, count - (size_t)(at - bytes));
	assert_false(other.has_failed);
	return other;
}

/* A fold has an event, and no more than the trace. */
static void
test_folds_are_bounded_by_events(void **state)
{
	static const uint64_t events[] = {0, 1 << 20, UINT64_MAX};
	struct vmt_trace_cache_key key;
	struct told replayed, read;
	struct vmt_err err = {""};
	struct vmt_trace *trace;
	struct world world;
	unsigned char *bytes;
	size_t count;

	(void)state;
	play(&world, 15);
	keep();
	assert_int_equal(vmt_trace_open(&trace, trace_file_path, &err), 0);
	vmt_trace_cache_describe(trace, &key);
	assert_true(vmt_trace_cache_read(&key, &bytes, &count));
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		struct vmt_byte_buffer wrong = with_events(bytes, count, events[i]);

		vmt_trace_cache_write(trace, &key, wrong.bytes, wrong.count);
		compare((struct vmt_report_options){.at = VMT_AT_END}, 15, &replayed, &read);
		assert_int_equal(read.chunks, replayed.chunks);
		free(wrong.bytes);
	}
	free(bytes);
	vmt_trace_close(trace);
}

static int
set_up(void **state)
{
	if (trace_file_begin(state) < 0)
		return -1;
	snprintf(cache_directory, sizeof(cache_directory), "%s/vmtrace", trace_file_directory);
	return setenv("XDG_CACHE_HOME", trace_file_directory, 1);
}

static int
tear_down(void **state)
{
	forget();
	return trace_file_end(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reports_are_the_same),
	    cmocka_unit_test(test_other_options_need_no_digest),
	    cmocka_unit_test(test_another_trace_finds_nothing),
	    cmocka_unit_test(test_an_open_directory_is_not_used),
	    cmocka_unit_test(test_oldest_files_make_room),
	    cmocka_unit_test(test_limit_of_files_is_heeded),
	    cmocka_unit_test(test_damage_is_as_nothing),
	    cmocka_unit_test(test_wrong_folds_harm_nothing),
	    cmocka_unit_test(test_folds_are_bounded_by_events),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
