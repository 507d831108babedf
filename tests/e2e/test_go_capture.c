/*
 * test_go_capture.c: is everything seen that a Go program does with memory, and is it unharmed?
 *
 * The programs of tests/go, built with several toolchains, run under the library. All of
 * the runtime's system calls must be found, however a program was built; stacks must lead from C
 * through Go, callbacks included, to runtime.goexit; output must be what it is without.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"

#include "format/chunk.h"
#include "format/go.h"
#include "format/head.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The whole trace, mapped. */
static const unsigned char *
map_trace(const char *trace, size_t *length)
{
	int fd = open(trace, O_RDONLY | O_CLOEXEC);
	off_t end;

	assert_true(fd >= 0);
	end = lseek(fd, 0, SEEK_END);
	assert_true(end > (off_t)sizeof(struct vmt_head));
	void *bytes = mmap(NULL, (size_t)end, PROT_READ, MAP_PRIVATE, fd, 0);

	close(fd);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	*length = (size_t)end;
	return bytes;
}

static struct vmt_go
go_of(const char *trace)
{
	size_t length;
	const unsigned char *bytes = map_trace(trace, &length);
	struct vmt_go go = ((const struct vmt_head *)(const void *)bytes)->go;

	munmap((void *)(uintptr_t)bytes, length);
	return go;
}

/* All five functions that make the calls are known in all versions. */
static void
check_sites(const char *trace, const char *version, const char *why)
{
	struct vmt_go go = go_of(trace);

	assert_int_equal(go.sites_count, 5);
	assert_memory_equal(go.version, "go", 2);
	assert_memory_equal(go.version + 2, version, strlen(version));
	for (uint32_t i = 0; i < go.sites_count; i++) {
		assert_string_equal(go.sites[i].why, why);
		assert_int_equal(go.sites[i].patched, why[0] == '\0');
		assert_true(go.sites[i].address >= go.text_low &&
			    go.sites[i].address < go.text_high);
	}
	assert_int_equal(go.missed_calls, 0);
}

static size_t
count_events(const char *trace, const char *kind)
{
	const char *const argv[] = {built("vmtrace"), "dump", "--format", "json", trace, NULL};
	char wanted[64];
	struct run run;
	size_t count = 0;

	snprintf(wanted, sizeof(wanted), "\"kind\":\"%s\"", kind);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	for (const char *at = run.out; (at = strstr(at, wanted)) != NULL; at++)
		count++;
	run_free(&run);
	return count;
}

/* Whether a site's frames have these among them, in this order. */
static bool
has_frames(json_t *site, const char *const functions[])
{
	size_t next = 0;
	json_t *frame;
	size_t i;

	json_array_foreach(member(site, "frames"), i, frame)
	{
		const char *name = json_string_value(json_object_get(frame, "function"));

		if (functions[next] != NULL && name != NULL && strcmp(name, functions[next]) == 0)
			next++;
	}
	return functions[next] == NULL;
}

/* The first site of a kind that has these frames; there must be one. */
static json_t *
site_with(json_t *root, const char *kind, const char *const functions[])
{
	json_t *site;
	size_t i;

	json_array_foreach(member(root, "sites"), i, site)
	{
		if (strcmp(json_string_value(member(site, "kind")), kind) == 0 &&
		    has_frames(site, functions))
			return site;
	}
	fail_msg("no %s of %s", kind, functions[0]);
	return NULL;
}

static void
check_callbacks(const char *version)
{
	static const char *const framed[] = {"inner",
					     "runtime.asmcgocall",
					     "main.allocate",
					     "main.inGo",
					     "runtime.cgocallback",
					     "crosscall2",
					     "inGo",
					     "outer_framed",
					     "runtime.asmcgocall",
					     "main.framed",
					     "main.main",
					     "runtime.main",
					     "runtime.goexit",
					     NULL};
	static const char *const frameless[] = {"inner",
						"runtime.asmcgocall",
						"main.allocate",
						"main.inGo",
						"runtime.cgocallback",
						"crosscall2",
						"inGo",
						"outer_frameless",
						"runtime.asmcgocall",
						"main.frameless",
						"main.main",
						"runtime.main",
						"runtime.goexit",
						NULL};
	const char *trace = scratch_file("callback.vmt");
	struct run run;

	go_run(&run, trace, go_program(version, "callback", "", NULL), NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "done\n");
	run_free(&run);
	json_t *root = report(trace, NULL);

	assert_int_equal(number(site_with(root, "malloc", framed), "count"), 8);
	assert_int_equal(number(site_with(root, "malloc", frameless), "count"), 8);
	json_decref(root);
}

/* C's allocations by their Go line, with and without frame pointers; the mappings that the heap
 * grew by name the line whose allocation made it grow. */
static void
check_stacks(const char *version)
{
	static const char *const blocks[][6] = {{"grab_framed", "runtime.asmcgocall", "main.worker",
						 "main.main.func1", "runtime.goexit", NULL},
						{"grab_frameless", "runtime.asmcgocall",
						 "main.worker", "main.main.func1", "runtime.goexit",
						 NULL}};
	static const char *const heap[] = {"runtime.callCgoMmap",
					   "runtime.(*mheap).grow",
					   "runtime.mallocgc",
					   "main.hold",
					   "main.main",
					   "runtime.goexit",
					   NULL};
	const char *trace = scratch_file("service.vmt");
	struct run run;

	go_run(&run, trace, go_program(version, "service", "", NULL), NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	check_sites(trace, version, "");
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	for (int i = 0; i < 2; i++) {
		json_t *site = site_with(root, "malloc", blocks[i]);

		assert_int_equal(number(site, "count"), 64);
		/* half of each block, and the page of its header */
		assert_in_range(number(site, "committed_bytes"), 128 << 20,
				64 * ((2 << 20) + 8192));
	}
	(void)site_with(root, "mmap", heap);
	json_decref(root);
}

/* Each snapshot has the counters before it, whole. */
static void
check_counters(const char *version)
{
	const char *trace = scratch_file("counters.vmt");
	uint32_t counted = 0;
	uint32_t snapshots = 0;
	struct run run;
	size_t length;

	go_run(&run, trace, go_program(version, "service", "", NULL), NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	const unsigned char *bytes = map_trace(trace, &length);
	uint64_t at = ((const struct vmt_head *)(const void *)bytes)->chunks_offset;
	const struct vmt_chunk *chunk = (const void *)(bytes + at);

	for (; at + sizeof(*chunk) <= length && chunk->magic == VMT_CHUNK_MAGIC;
	     at += (sizeof(*chunk) + chunk->payload_bytes + 7) & ~UINT64_C(7)) {
		chunk = (const void *)(bytes + at);
		snapshots += chunk->magic == VMT_CHUNK_MAGIC && chunk->kind == VMT_CHUNK_SNAPSHOT;
		if (chunk->magic != VMT_CHUNK_MAGIC || chunk->kind != VMT_CHUNK_GO)
			continue;
		const struct vmt_go_counters *counters = (const void *)(chunk + 1);
		const struct vmt_go_object *object = (const void *)(counters + 1);

		assert_int_equal(counters->snapshot, counted);
		counted++;
		assert_int_equal(counters->objects, 2); /* statistics and pace of collections */
		for (uint32_t i = 0; i < counters->objects; i++)
			object = (const void *)((const unsigned char *)(object + 1) +
						((object->bytes + 7) & ~UINT64_C(7)));
		assert_ptr_equal(object, (const unsigned char *)counters + chunk->payload_bytes);
	}
	assert_true(counted >= 2);
	assert_int_equal(counted, snapshots);
	munmap((void *)(uintptr_t)bytes, length);
}

/* Built in all ways: found by symbols or without. */
static void
check_ways(const char *version)
{
	static const char *const pie[] = {"-buildmode=pie", NULL};
	static const char *const stripped[] = {"-ldflags=-s -w", NULL};
	/* Nor with the note that Go's linker leaves. */
	static const char *const all[] = {"-buildmode=pie", "-ldflags=-s -w -buildid=", NULL};
	static const struct {
		const char *label;
		const char *const *flags;
	} ways[] = {{"pie", pie}, {"stripped", stripped}, {"pie-stripped-unnamed", all}};
	const char *trace = scratch_file("ways.vmt");
	struct run run;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		go_run(&run, trace, go_program(version, "raw", ways[i].label, ways[i].flags), NULL,
		       "VMTRACE_FOLLOW=none");
		assert_int_equal(run.exit_status, 0);
		run_free(&run);
		check_sites(trace, version, "");
		struct vmt_go go = go_of(trace);

		assert_int_equal(go.flags, VMT_GO_CGO | (i > 0 ? VMT_GO_STRIPPED : 0));
	}
}

/* The text stays as it is: no call is seen, and the output is the same. */
static void
check_left_alone(const char *version)
{
	static const char *const pie[] = {"-buildmode=pie", NULL};
	const char *trace = scratch_file("alone.vmt");
	struct run run;

	go_run(&run, trace, go_program(version, "raw", "", NULL), NULL, "VMTRACE_GO=off");
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	check_sites(trace, version, "VMTRACE_GO=off");
	assert_int_equal(count_events(trace, "MADVISE"), 0);
	assert_int_equal(count_events(trace, "MUNMAP"), 0);

	go_run(&run, trace, go_program_without_cgo(version, "plain", "pie", pie), NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "ok\n");
	run_free(&run);
	check_sites(trace, version, "no runtime/cgo: threads the C library does not know");
}

/* A shared object's runtime starts its threads before the library's own constructor. */
static void
check_shared_object(const char *version)
{
	static const char *const flags[] = {"-buildmode=c-shared", NULL};
	static const char *const heap[] = {"runtime.(*mheap).grow",
					   "main.Grow",
					   "runtime.cgocallback",
					   "crosscall2",
					   "main",
					   NULL};
	const char *object = go_program(version, "shared", "so", flags);
	const char *program = scratch_file("shared-main");
	const char *trace = scratch_file("shared.vmt");
	const char *const compile[] = {"cc",   "-o", program, "tests/go/shared/c/main.c",
				       object, NULL};
	struct run run;

	run_program(&run, compile, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	go_run(&run, trace, program, NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "16\n");
	run_free(&run);
	check_sites(trace, version, "");
	json_t *root = report(trace, NULL);

	(void)site_with(root, "mmap", heap);
	json_decref(root);
}

/* Of two Go runtimes each has counters of its own: those of one are not shown as all of them. */
static void
check_says_several(json_t *root)
{
	json_t *go = member(root, "go");
	json_t *row;
	bool said = false;
	size_t i;

	check_report(root);
	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i, row)
	{
		if (says(json_string_value(row), "of several Go runtimes in the process, one at"))
			said = true;
	}
	assert_true(said);
	assert_true(json_is_null(member(member(go, "diagnosis"), "cause")));
	assert_true(json_is_null(member(member(go, "diagnosis"), "give_back_text")));
	assert_non_null(strstr(json_string_value(member(go, "uncounted")), "several Go runtimes"));
	assert_true(json_is_null(member(go, "total_bytes")));
	assert_int_equal(json_array_size(member(go, "over_time")), 0);
	assert_true(number(go, "rss_go_bytes") > 0);
	json_decref(root);
}

/* The same of a program that runs already: looked at, and recorded for a while. */
static void
check_two_running(const char *program)
{
	const char *trace = scratch_file("two-attached.vmt");
	struct conversation talk;
	struct run run;
	char pid[16];

	converse_start(&talk, (const char *const[]){program, NULL}, NULL);
	converse_read_line(&talk);
	converse_read_line(&talk);
	snprintf(pid, sizeof(pid), "%d", (int)talk.pid);
	check_says_several(snapshot_report(talk.pid));
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-p", pid, "--for", "100ms",
					  "-o", trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	check_says_several(report(trace, (const char *const[]){"--at=end", NULL}));
	run_program(&run, (const char *const[]){built("vmtrace"), "doctor", pid, NULL}, NULL);
	assert_true(says(run.out, "there are several Go runtimes"));
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
}

static void
check_two(const char *version)
{
	static const char *const flags[] = {"-buildmode=c-shared", NULL};
	/* Without the note that Go's linker leaves. */
	static const char *const unnamed[] = {"-buildmode=c-shared", "-ldflags=-buildid=", NULL};
	const char *object = go_program(version, "shared", "so", flags);
	const char *second = go_program(version, "second", "so-unnamed", unnamed);
	const char *program = scratch_file("two-main");
	const char *trace = scratch_file("two.vmt");
	const char *const compile[] = {"cc",   "-o",   program, "tests/go/shared/c/two.c",
				       object, second, NULL};
	struct run run;

	run_program(&run, compile, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	go_run(&run, trace, program, NULL, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "16\n16\n");
	run_free(&run);
	check_says_several(report(trace, (const char *const[]){"--at=end", NULL}));
	check_two_running(program);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", trace,
					  scratch_file("two-attached.vmt"), NULL},
		    (const char *const[]){"COLUMNS=300", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_true(
	    says(run.out, "A and B have several Go runtimes, of which one at most was read"));
	run_free(&run);
}

#define TESTS(id, version)                                                                         \
	TEST(stacks, id, version)                                                                  \
	TEST(callbacks, id, version)                                                               \
	TEST(two, id, version)                                                                     \
	TEST(counters, id, version)                                                                \
	TEST(ways, id, version)                                                                    \
	TEST(left_alone, id, version)                                                              \
	TEST(shared_object, id, version)

#define TEST GO_TEST_FUNCTION
GO_VERSIONS(TESTS)
#undef TEST

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST GO_TEST_ENTRY
	    GO_VERSIONS(TESTS)
#undef TEST
	};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
