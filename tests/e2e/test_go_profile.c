/*
 * test_go_profile.c: are live objects by Go line what Go's own profile says of the same moment?
 *
 * tests/go/profile writes its heap profile, with no collection behind it, and is stopped while it
 * is looked at. What `go tool pprof` makes of the profile is compared function by function.
 */
#include "tests/e2e/documented.h"
#include "tests/e2e/go_programs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNCTIONS_MOST 64
#define MIB (INT64_C(1) << 20)

struct function {
	char name[256];
	int64_t bytes;
};

struct functions {
	struct function items[FUNCTIONS_MOST];
	size_t count;
};

/* Types of a generic function are written in several ways: they are left off. */
static struct function *
function_of(struct functions *functions, const char *whole_name)
{
	char name[sizeof(functions->items[0].name)];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(whole_name, "["), whole_name);
	for (size_t i = 0; i < functions->count; i++)
		if (strcmp(functions->items[i].name, name) == 0)
			return &functions->items[i];
	assert_true(functions->count < FUNCTIONS_MOST);
	memcpy(functions->items[functions->count].name, name, sizeof(name));
	functions->items[functions->count].bytes = 0;
	return &functions->items[functions->count++];
}

/* Lines of `go tool pprof -top`: flat, flat%, sum%, cum, cum%, name. */
static void
ask_pprof(struct functions *functions, const char *version, const char *profile)
{
	struct run run;

	memset(functions, 0, sizeof(*functions));
	go_pprof(&run, version,
		 (const char *const[]){"-top", "-inuse_space", "-unit=B", "-nodecount=1000",
				       "-nodefraction=0", "-symbolize=none", profile, NULL});
	for (char *line = strtok(run.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char name[256];
		long long bytes;

		if (sscanf(line, " %lldB %*s %*s %*s %*s %255[^\n]", &bytes, name) != 2)
			continue;
		if (strstr(name, " (inline)") != NULL)
			*strstr(name, " (inline)") = '\0';
		if (bytes != 0)
			function_of(functions, name)->bytes += bytes;
	}
	run_free(&run);
	assert_true(functions->count >= 3);
}

static void
ask_report(struct functions *functions, json_t *root)
{
	json_t *go = member(root, "go");
	json_t *row;
	size_t i;

	memset(functions, 0, sizeof(*functions));
	check_report(root);
	check_documented(root, "docs/trace-format.md");
	assert_true(json_is_null(member(go, "unprofiled")));
	assert_int_equal(number(go, "profile_unread"), 0);
	json_array_foreach(member(go, "live_objects"), i, row)
	{
		json_t *frame = json_array_get(member(row, "frames"), 0);

		assert_true(number(row, "objects") >= number(row, "sampled_objects"));
		assert_true(number(row, "bytes") >= number(row, "sampled_bytes"));
		assert_true(frame && json_is_string(member(frame, "function")));
		function_of(functions, json_string_value(member(frame, "function")))->bytes +=
		    number(row, "bytes");
	}
}

/* To the byte, but for what pprof leaves off of each size and stack. */
static void
compare(struct functions *ours, struct functions *theirs)
{
	for (size_t i = 0; i < theirs->count; i++) {
		const struct function *function = &theirs->items[i];
		int64_t bytes = function_of(ours, function->name)->bytes;

		if (bytes < function->bytes || bytes > function->bytes + 1000)
			fail_msg("%s has %lld bytes in the profile, %lld in the report",
				 function->name, (long long)function->bytes, (long long)bytes);
	}
	assert_int_equal(ours->count, theirs->count);
}

/* In sampled and in all objects. */
static void
check_exact(json_t *root)
{
	struct functions functions;

	ask_report(&functions, root);
	assert_int_equal(function_of(&functions, "main.large")->bytes, 8 * 3 * MIB);
	assert_int_equal(function_of(&functions, "main.(*pages).make")->bytes / 24576, 300);
	assert_in_range(function_of(&functions, "main.newNode")->bytes, 60000 * 112, 60001 * 112);
}

/* Of each of the eight blocks of main.large a third is written. */
static void
check_large(json_t *root)
{
	json_t *go = member(root, "go");
	json_t *other = member(go, "large_of_unknown_line");
	int64_t reserved = number(other, "reserved_bytes");
	int64_t committed = number(other, "committed_bytes");
	bool found = false;
	json_t *row;
	size_t i;

	assert_int_equal(number(go, "large_unread"), 0);
	json_array_foreach(member(go, "large_objects"), i, row)
	{
		json_t *frame = json_array_get(member(row, "frames"), 0);

		reserved += number(row, "reserved_bytes");
		committed += number(row, "committed_bytes");
		if (strcmp(json_string_value(member(frame, "function")), "main.large") != 0)
			continue;
		found = true;
		assert_int_equal(number(row, "objects"), 8);
		assert_int_equal(number(row, "reserved_bytes"), 8 * 3 * MIB);
		assert_int_equal(number(row, "committed_bytes"), 8 * MIB);
		assert_int_equal(number(row, "untouched_bytes"), 8 * 2 * MIB);
	}
	assert_true(found);
	assert_int_equal(reserved, class_figure(root, "Go large objects", "reserved_bytes"));
	assert_int_equal(committed, class_figure(root, "Go large objects", "committed_bytes"));
}

static json_t *
look(pid_t pid)
{
	struct run run;
	json_t *root;
	char text[16];
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	snprintf(text, sizeof(text), "%d", (int)pid);
	run_program(
	    &run,
	    (const char *const[]){built("vmtrace"), "snapshot", text, "--format", "json", NULL},
	    NULL);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(run.exit_status, 0);
	root = json_loads(run.out, 0, NULL);
	assert_non_null(root);
	run_free(&run);
	return root;
}

/* A look from outside. */
static void
check_look(const char *version, const char *program, const char *how)
{
	const char *profile = scratch_file("heap.pb.gz");
	struct functions ours, theirs;
	struct conversation talk;
	json_t *root;

	converse_start(&talk, (const char *const[]){program, profile, how, NULL}, NULL);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	root = look(talk.pid);
	assert_true(json_is_false(member(member(root, "go"), "uncollected")));
	ask_report(&ours, root);
	ask_pprof(&theirs, version, profile);
	compare(&ours, &theirs);
	if (strcmp(how, "exact") == 0) {
		check_exact(root);
		check_large(root);
	}
	json_decref(root);
	assert_int_equal(converse_end(&talk), 0);
}

/* Once the names are packed, the program itself is not asked. */
static void
check_packed(const char *trace)
{
	struct run run;
	json_t *root, *first;

	run_program(&run, (const char *const[]){built("vmtrace"), "pack", trace, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root =
	    report(trace, (const char *const[]){"--at", "end", "--sysroot", "/nonexistent", NULL});
	first = json_array_get(member(member(root, "go"), "live_objects"), 0);
	assert_non_null(first);
	first = json_array_get(member(first, "frames"), 0);
	assert_true(json_is_string(member(first, "function")));
	assert_int_equal(strncmp(json_string_value(member(first, "function")), "main.", 5), 0);
	json_decref(root);
}

/* The last snapshot of a recording. */
static void
check_recorded(const char *version, const char *program)
{
	const char *profile = scratch_file("recorded.pb.gz");
	const char *trace = scratch_file("recorded.vmt");
	struct functions ours, theirs;
	struct run run;
	json_t *root;

	run_program(&run,
		    (const char *const[]){"sh", "-c",
					  "echo | \"$0\" record -o \"$1\" -- \"$2\" \"$3\" sampled",
					  built("vmtrace"), trace, program, profile, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	assert_true(json_is_false(member(member(root, "go"), "uncollected")));
	ask_report(&ours, root);
	ask_pprof(&theirs, version, profile);
	compare(&ours, &theirs);
	json_decref(root);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "report", "--at", "end", trace, NULL},
		    NULL);
	assert_true(says(run.out, "Live objects by Go line, as of the last garbage collection"));
	assert_true(says(run.out, "main.large main.go:"));
	assert_true(says(run.out, "Large objects (over 32 KiB) by Go line"));
	run_free(&run);
	check_packed(trace);
}

/* What the symbol table does not say, the program's code does. */
static void
check_stripped(const char *version)
{
	static const char *const stripped[] = {"-ldflags=-s -w", NULL};
	static const char *const movable[] = {"-ldflags=-s -w", "-buildmode=pie", NULL};

	check_look(version, go_program_without_cgo(version, "profile", "stripped", stripped),
		   "sampled");
	check_look(version, go_program_without_cgo(version, "profile", "stripped-pie", movable),
		   "sampled");
	check_look(version, go_program(version, "profile", "stripped-pie-cgo", movable), "exact");
}

static const char *
record_exact(const char *program, const char *words, const char *name)
{
	const char *trace = scratch_file(name);

	shell("echo | %s record -o %s -- %s %s exact %s >/dev/null 2>&1", built("vmtrace"), trace,
	      program, scratch_file("unread.pb.gz"), words);
	return trace;
}

/* Eight blocks are there in both, and in one a MiB more of each is written. */
static void
check_large_grows(json_t *root)
{
	bool found = false;
	json_t *row;
	size_t i;

	json_array_foreach(member(root, "large_objects"), i, row)
	{
		json_t *frame = json_array_get(member(row, "frames"), 0);

		if (strcmp(json_string_value(member(frame, "function")), "main.large") != 0)
			continue;
		found = true;
		assert_int_equal(number(member(row, "objects"), "delta"), 0);
		assert_int_equal(number(member(row, "reserved_bytes"), "delta"), 0);
		assert_int_equal(number(member(row, "committed_bytes"), "delta"), 8 * MIB);
		assert_int_equal(number(row, "error_bytes"), 0);
	}
	assert_true(found);
}

/* What grew is named, by the line, and how much it was. */
static void
check_grows(const char *version)
{
	const char *program = go_program_without_cgo(version, "profile", "static", NULL);
	char before[4096];
	char after[4096];
	struct run run;
	json_t *root, *row;
	int64_t grown = 0;
	size_t i;

	snprintf(before, sizeof(before), "%s", record_exact(program, "", "before.vmt"));
	snprintf(after, sizeof(after), "%s", record_exact(program, "more", "after.vmt"));
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", "--at", "end", before, after,
					  "--format", "json", "-n", "100", NULL},
		    NULL);
	root = json_loads(run.out, 0, NULL);
	assert_non_null(root);
	json_array_foreach(member(root, "live_objects"), i, row)
	{
		json_t *frame = json_array_get(member(row, "frames"), 0);
		json_t *function = frame ? member(frame, "function") : NULL;

		assert_int_equal(number(row, "error_bytes"), 0);
		if (json_is_string(function) &&
		    strcmp(json_string_value(function), "main.(*pages).make") == 0 &&
		    number(member(row, "bytes"), "delta") > MIB)
			grown += number(member(row, "bytes"), "delta");
	}
	assert_in_range(grown, 100 * 24576, 100 * 24576 + 65536); /* with the list that grew */
	check_large_grows(root);
	json_decref(root);
	run_free(&run);
	run_program(
	    &run,
	    (const char *const[]){built("vmtrace"), "diff", "--at", "end", before, after, NULL},
	    NULL);
	assert_true(says(run.out, "Live objects by Go line, by change"));
	assert_true(says(run.out, "Large Go objects by line, by change in RAM"));
	assert_true(says(run.out, "main.(*pages).make main.go:"));
	run_free(&run);
}

/* How many bytes of main.live a trace has at its end; -1: the program keeps no profile. */
static int64_t
live_bytes(const char *trace)
{
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	json_t *go = member(root, "go");
	struct functions functions;
	int64_t bytes = -1;

	if (json_is_null(member(go, "unprofiled"))) {
		ask_report(&functions, root);
		bytes = function_of(&functions, "main.live")->bytes;
	} else
		assert_int_equal(json_array_size(member(go, "live_objects")), 0);
	json_decref(root);
	return bytes;
}

/* The program keeps no profile by itself. Its exit is recorded, so the last snapshot is of it. */
static int64_t
recorded_without(const char *program, const char *option)
{
	const char *trace = scratch_file("without.vmt");
	struct run run;

	run_program(&run,
		    (const char *const[]){"sh", "-c",
					  "echo | \"$0\" record -o \"$1\" $3 -- \"$2\" live",
					  built("vmtrace"), trace, program, option, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return live_bytes(trace);
}

/* Of 35 MiB about one byte in 512 KiB is sampled. */
static bool
is_all_live(int64_t bytes)
{
	return bytes >= 12 * MIB && bytes <= 70 * MIB;
}

static void
check_on(const char *program)
{
	struct run run;

	assert_int_equal(recorded_without(program, ""), -1);
	assert_true(is_all_live(recorded_without(program, "--go-heap")));
	run_program(&run, (const char *const[]){built("vmtrace"), "doctor", "--", program, NULL},
		    NULL);
	assert_true(says(run.out, "keeps no memory profile"));
	assert_true(says(run.out, "vmtrace record --go-heap"));
	run_free(&run);
}

/* No call of the program is recorded, so no snapshot waits for its end: one that is taken while it
 * fills its heap has a part of it. As it then stands still, one that has all of it follows. */
static void
check_on_without_calls(const char *program)
{
	const char *trace = scratch_file("calls.vmt");
	int64_t until_ms = now_ms() + 60000;
	struct conversation talk;

	converse_start(&talk,
		       (const char *const[]){built("vmtrace"), "record", "-o", trace, "--go-heap",
					     "--", program, "live", NULL},
		       NULL);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	while (!is_all_live(live_bytes(trace)))
		assert_true(now_ms() < until_ms);
	assert_int_equal(converse_end(&talk), 0);
}

static void
check_turned_on(const char *version)
{
	static const char *const stripped[] = {"-ldflags=-s -w", NULL};
	static const char *const movable[] = {"-ldflags=-s -w", "-buildmode=pie", NULL};

	check_on(go_program_without_cgo(version, "inside", "static", NULL));
	check_on(go_program_without_cgo(version, "inside", "stripped", stripped));
	check_on(go_program(version, "inside", "stripped-pie-cgo", movable));
	check_on_without_calls(go_program_without_cgo(version, "inside", "stripped-pie", movable));
}

static void
check_agrees(const char *version)
{
	const char *program = go_program_without_cgo(version, "profile", "static", NULL);

	check_look(version, program, "sampled");
	check_look(version, program, "exact");
	check_recorded(version, go_program(version, "profile", "cgo", NULL));
}

#define TESTS(id, version)                                                                         \
	TEST(agrees, id, version)                                                                  \
	TEST(stripped, id, version)                                                                \
	TEST(turned_on, id, version)                                                               \
	TEST(grows, id, version)
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
