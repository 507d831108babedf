/*
 * test_go_heap.c: is a Go heap told apart as the runtime itself counts it?
 *
 * tests/go/inside prints what runtime.ReadMemStats says, and is stopped while it is looked at.
 * Where a figure moved between the two, it is asked again.
 */
#include "tests/e2e/documented.h"
#include "tests/e2e/go_looks.h"
#include "tests/e2e/go_programs.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
static int64_t
reserved(json_t *root, const char *class)
{
	return class_figure(root, class, "reserved_bytes");
}

/* What the runtime's lists say must hold in every way of filling a heap. */
static void
check_sums(const struct go_look *seen)
{
	json_t *go = member(seen->report, "go");
	json_t *row;
	int64_t objects = 0, spans = 0, goroutines = 0, stacks = 0;
	size_t i;

	check_report(seen->report);
	check_documented(seen->report, "docs/trace-format.md");
	assert_non_null(json_object_get(seen->said, "metrics_total")); /* it was compared */
	assert_int_equal(number(go, "spans_unread"), 0);
	assert_int_equal(number(go, "goroutines_unread"), 0);
	json_array_foreach(member(go, "sizes"), i, row)
	{
		objects += number(row, "object_bytes");
		spans += number(row, "reserved_bytes");
		assert_true(number(row, "committed_bytes") <= number(row, "reserved_bytes"));
	}
	assert_int_equal(objects, number(seen->said, "heap_alloc"));
	assert_int_equal(spans, number(seen->said, "heap_in_use"));
	json_array_foreach(member(go, "goroutine_stacks"), i, row)
	{
		if (!json_is_true(member(row, "ended")))
			goroutines += number(row, "goroutines");
		stacks += number(row, "reserved_bytes");
	}
	/* The runtime does not count its own. */
	assert_in_range(goroutines, number(seen->said, "goroutines"),
			number(seen->said, "goroutines") + 16);
	assert_true(stacks <= number(seen->said, "stack_in_use"));
	assert_true(go_heap_figure(seen->report, "committed_bytes") <=
		    number(seen->said, "heap_in_use") + number(seen->said, "heap_idle") -
			number(seen->said, "heap_released") + number(seen->said, "stack_in_use") +
			class_committed(seen->report, "Go released"));
}

static void
check_live(const struct go_look *seen)
{
	assert_true(json_is_null(member(member(seen->report, "go"), "gc_percent"))); /* off */
	/* The list of the objects has grown, and what it was before is garbage. */
	assert_in_range(class_committed(seen->report, "Go large objects"), 24 * MIB, 40 * MIB);
	assert_in_range(class_committed(seen->report, "Go small objects"), 100000 * 112, 20 * MIB);
}

static void
check_garbage(const struct go_look *seen)
{
	/* Not yet swept, so they are objects still. */
	assert_true(reserved(seen->report, "Go small objects") >= 300000 * 112);
}

static void
check_fragments(const struct go_look *seen)
{
	json_t *row;
	bool found = false;
	size_t i;

	assert_true(class_committed(seen->report, "Go free slots") >= 15 * MIB);
	json_array_foreach(member(member(seen->report, "go"), "sizes"), i, row)
	{
		json_t *slot = member(row, "slot_bytes");

		if (json_is_null(slot) || json_integer_value(slot) != 112)
			continue;
		found = true;
		assert_in_range(number(row, "objects"), 12500, 13500);
		assert_true(number(row, "reserved_bytes") >= 200000 * 112);
	}
	assert_true(found);
}

static int64_t
goroutines_of_line(const struct go_look *seen, int64_t line, int64_t *committed)
{
	json_t *row;
	size_t i;

	json_array_foreach(member(member(seen->report, "go"), "goroutine_stacks"), i, row)
	{
		json_t *frame = json_array_get(member(row, "frames"), 0);

		if (!frame || !json_is_string(member(frame, "function")) ||
		    strcmp(json_string_value(member(frame, "function")), "main.parked") != 0 ||
		    number(frame, "line") != line)
			continue;
		*committed = number(row, "committed_bytes");
		return number(row, "goroutines");
	}
	return 0;
}

/* The line of the program's source that has these words. */
static int64_t
line_of(const char *words)
{
	FILE *source = fopen("tests/go/inside/main.go", "r");
	char line[512];
	int64_t count = 0;

	assert_non_null(source);
	while (fgets(line, sizeof(line), source) != NULL) {
		count++;
		if (strstr(line, words) != NULL) {
			fclose(source);
			return count;
		}
	}
	fail_msg("no line with %s", words);
	return 0;
}

static void
check_parked(const struct go_look *seen)
{
	int64_t shallow = 0, tall = 0;

	assert_int_equal(goroutines_of_line(seen, line_of("// shallow"), &shallow), 1000);
	assert_int_equal(goroutines_of_line(seen, line_of("// tall"), &tall), 50);
	assert_in_range(shallow, 1000 * 2048, 1000 * 8192);
	/* 101 frames of at least 512 bytes. */
	assert_in_range(tall, 50 * 101 * 512, 50 * 128 * 1024 * 2);
}

static void
check_burst(const struct go_look *seen)
{
	json_t *go = member(seen->report, "go");

	assert_int_equal(number(go, "gc_percent"), 100);
	assert_int_equal(number(go, "heap_goal_bytes"), number(seen->said, "next_gc"));
	assert_in_range(number(go, "heap_marked_bytes"), 1, 4 * MIB);
	assert_true(number(go, "heap_live_bytes") >= number(go, "heap_marked_bytes"));
	assert_in_range(reserved(seen->report, "Go large objects"), 0, 4 * MIB);
	assert_true(reserved(seen->report, "Go free spans") +
			reserved(seen->report, "Go released") >=
		    24 * MIB);
}

static void
check_untouched(const struct go_look *seen)
{
	json_t *row;
	bool found = false;
	size_t i;

	assert_true(reserved(seen->report, "Go large objects") >= 32 * MIB);
	assert_true(class_committed(seen->report, "Go large objects") <= 4 * MIB);
	json_array_foreach(member(member(seen->report, "coverage"), "blind_spots"), i, row)
	{
		if (says(json_string_value(row), "of Go's large objects have no page"))
			found = true;
	}
	assert_true(found);
}

static void
check_way(const char *program, const char *way, void (*check)(const struct go_look *seen))
{
	struct conversation talk;
	struct go_look seen;

	converse_start(&talk, (const char *const[]){program, way, NULL}, NULL);
	seen = go_look_steady(&talk, "");
	check_sums(&seen);
	check(&seen);
	go_look_forget(&seen);
	assert_int_equal(converse_end(&talk), 0);
}

/* In a dump of all goroutines: how many a line of main.parked has created. */
static int64_t
dumped(const char *dump, int64_t line)
{
	char place[32];
	int64_t count = 0;

	snprintf(place, sizeof(place), "/main.go:%d ", (int)line);
	while ((dump = strstr(dump, "created by main.parked")) != NULL) {
		const char *next = strchr(dump, '\n');
		const char *end = next ? strchr(next + 1, '\n') : NULL;
		const char *found = next ? strstr(next, place) : NULL;

		count += found && end && found < end;
		dump++;
	}
	return count;
}

static char *
read_dump(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 32 << 20);

	assert_true(file && text);
	assert_true(fread(text, 1, (32 << 20) - 1, file) > 0);
	assert_int_equal(fclose(file), 0);
	return text;
}

/* The program's own dump of its goroutines says of each go statement what the report does. */
static void
check_dump(const char *program)
{
	static const char *const words[] = {"// shallow", "// tall"};
	const char *path = scratch_file("goroutines");
	struct conversation talk;
	struct go_look seen;
	int64_t committed;
	char *dump;

	converse_start(&talk, (const char *const[]){program, "parked", path, NULL}, NULL);
	seen = go_look_steady(&talk, "");
	dump = read_dump(path);
	check_sums(&seen);
	check_parked(&seen);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(goroutines_of_line(&seen, line_of(words[i]), &committed),
				 dumped(dump, line_of(words[i])));
	free(dump);
	go_look_forget(&seen);
	assert_int_equal(converse_end(&talk), 0);
}

static void
check_ways(const char *version)
{
	const char *program = go_program_without_cgo(version, "inside", "static", NULL);

	check_way(program, "live", check_live);
	check_way(program, "garbage", check_garbage);
	check_way(program, "fragments", check_fragments);
	check_dump(program);
	check_way(program, "burst", check_burst);
	check_way(program, "untouched", check_untouched);
}

/* What the symbol table does not say, the program's code does. */
static void
check_stripped(const char *version)
{
	static const char *const stripped[] = {"-ldflags=-s -w", NULL};
	static const char *const movable[] = {"-ldflags=-s -w", "-buildmode=pie", NULL};

	check_way(go_program_without_cgo(version, "inside", "stripped", stripped), "live",
		  check_live);
	check_way(go_program_without_cgo(version, "inside", "stripped", stripped), "parked",
		  check_parked);
	check_way(go_program_without_cgo(version, "inside", "stripped-pie", movable), "fragments",
		  check_fragments);
	check_way(go_program(version, "inside", "stripped-pie-cgo", movable), "parked",
		  check_parked);
}

/* What moves or not, rows have what their classes have, and the parts of RSS are all of it. */
static void
check_adds_up(json_t *root)
{
	static const char *const parts[] = {"objects",	"free_slots", "stacks", "idle",
					    "released", "metadata",   "malloc", "outside"};
	json_t *go = member(root, "go");
	json_t *row;
	int64_t spans = 0, stacks = 0, rss = 0;
	char key[64];
	size_t i;

	json_array_foreach(member(go, "sizes"), i, row) spans += number(row, "reserved_bytes");
	json_array_foreach(member(go, "goroutine_stacks"), i, row) stacks +=
	    number(row, "reserved_bytes");
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(key, sizeof(key), "rss_%s_bytes", parts[i]);
		rss += number(member(go, "diagnosis"), key);
	}
	assert_int_equal(spans, reserved(root, "Go large objects") +
				    reserved(root, "Go small objects") +
				    reserved(root, "Go free slots"));
	assert_true(stacks <= reserved(root, "Go stacks"));
	assert_int_equal(rss, number(member(root, "snapshot"), "rss_bytes"));
}

/* While eight processors allocate and collect, and goroutines come and go, no row is wrong: what
 * moved is counted. */
static void
check_storm(const char *version)
{
	const char *program = go_program_without_cgo(version, "inside", "static", NULL);
	struct conversation talk;

	converse_start(&talk, (const char *const[]){program, "storm", NULL}, NULL);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	for (long i = 0; i < soak_count(2, 250); i++) {
		json_t *root = snapshot_report(talk.pid);
		json_t *go = member(root, "go");

		if (json_is_null(member(go, "uncut"))) {
			assert_true(number(go, "spans") > 0);
			assert_true(number(go, "spans_unread") <= number(go, "spans"));
			check_adds_up(root);
		}
		json_decref(root);
	}
	/* It is at work still. */
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	assert_int_equal(converse_end(&talk), 0);
}

/* format/go_offsets.def has just what this version's debug information says. */
static void
check_offsets(const char *version)
{
	const char *program = go_program_without_cgo(version, "offsets", "static", NULL);
	FILE *table = fopen("format/go_offsets.def", "r");
	struct run run;
	char line[4096];
	bool found = false;

	assert_non_null(table);
	run_program(&run, (const char *const[]){program, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	while (fgets(line, sizeof(line), table) != NULL)
		found |= strcmp(line, run.out) == 0;
	fclose(table);
	if (!found)
		fail_msg("format/go_offsets.def lacks: %s", run.out);
	run_free(&run);
}

/* A recording of a process that runs reads the runtime that a library has brought by then. */
static void
check_attached(const char *pid)
{
	const char *trace = scratch_file("attached.vmt");
	struct run run;
	json_t *root, *go;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-p", pid, "--for", "100ms",
					  "-o", trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	go = member(root, "go");
	check_report(root);
	assert_true(json_is_null(member(go, "uncut")));
	assert_true(json_is_null(member(go, "uncounted")));
	assert_true(number(go, "total_bytes") > 16 * MIB); /* of what it let go of, too */
	json_decref(root);
}

/* What a library brings later on: a snapshot reads it, and a report says that it lacks it. */
static void
check_library(const char *version)
{
	static const char *const flags[] = {"-buildmode=c-shared", NULL};
	const char *object = go_program(version, "shared", "so", flags);
	const char *program = scratch_file("later");
	const char *trace = scratch_file("later.vmt");
	struct conversation talk;
	struct run run;
	char pid[16];
	json_t *root, *go;

	run_program(
	    &run,
	    (const char *const[]){"cc", "-o", program, "tests/go/shared/c/later.c", "-ldl", NULL},
	    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	converse_start(&talk, (const char *const[]){program, object, NULL}, NULL);
	converse_read_line(&talk);
	snprintf(pid, sizeof(pid), "%d", (int)talk.pid);
	root = snapshot_report(talk.pid);
	go = member(root, "go");
	assert_true(json_is_string(member(go, "version")));
	assert_true(json_is_null(member(go, "uncut")));
	assert_true(number(go, "total_bytes") > 16 * MIB); /* of what it let go of, too */
	json_decref(root);
	run_program(&run, (const char *const[]){built("vmtrace"), "doctor", pid, NULL}, NULL);
	assert_true(says(run.out, "Go's runtime came with"));
	run_free(&run);
	check_attached(pid);
	assert_int_equal(converse_end(&talk), 0);

	run_program(&run,
		    (const char *const[]){"sh", "-c",
					  "\"$0\" record -o \"$1\" -- \"$2\" \"$3\" <&-",
					  built("vmtrace"), trace, program, object, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), "report", trace, NULL}, NULL);
	assert_true(
	    says(run.out, "was not read: only one that is there when the recording begins"));
	run_free(&run);
}

#define TESTS(id, version)                                                                         \
	TEST(ways, id, version)                                                                    \
	TEST(stripped, id, version)                                                                \
	TEST(library, id, version)                                                                 \
	TEST(storm, id, version)                                                                   \
	TEST(offsets, id, version)
#define TEST GO_TEST_FUNCTION
GO_VERSIONS(TESTS)
#define MORE_TESTS(id, version)                                                                    \
	TEST(stripped, id, version)                                                                \
	TEST(offsets, id, version)
GO_MORE_VERSIONS(MORE_TESTS)
#undef TEST

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST GO_TEST_ENTRY
	    GO_VERSIONS(TESTS) GO_MORE_VERSIONS(MORE_TESTS)
#undef TEST
	};
	static const char *const everywhere[] = {"ways", "offsets", NULL};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), everywhere);
}
