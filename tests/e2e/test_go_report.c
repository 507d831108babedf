/*
 * test_go_report.c: does a report of a Go program say what its runtime counts, and what C holds
 * beside it?
 *
 * tests/go/service prints what runtime.ReadMemStats says before and after a snapshot. Where both
 * say the same, it held in between, and the report of that snapshot must say so to the byte.
 */
#include "tests/e2e/documented.h"
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define PAGE INT64_C(4096)
#define TRIES 50

/* As in tests/go/service/main.go. */
#define BLOCKS 64
#define TOUCHED_BYTES (2 * MIB)
#define GO_BYTES (100 * MIB)

static const char *const at_end[] = {"--at=end", NULL};

/* What the service says of itself, and the report of a snapshot that was taken while it held. */
struct instant {
	json_t *said;
	json_t *report;
};

static json_t *
ask(struct conversation *talk)
{
	json_t *said;

	assert_int_equal(write(talk->to, "\n", 1), 1);
	converse_read_line(talk);
	said = json_loads(talk->line, 0, NULL);
	assert_non_null(said);
	return said;
}

/* Of arenas, all that the runtime has made accessible it has handed out or not: to the byte.
 * Buffers of a collection that has just ended are neither heap nor stack, and are given back soon.
 */
static bool
is_settled(const struct instant *instant, json_t *said_before)
{
	return json_equal(said_before, instant->said) &&
	       go_heap_figure(instant->report, "accessible_bytes") ==
		   number(instant->said, "heap_idle") + number(instant->said, "heap_in_use") +
		       number(instant->said, "stack_in_use");
}

static void
forget(struct instant *instant)
{
	json_decref(instant->said);
	json_decref(instant->report);
}

static struct instant
observe(struct conversation *talk, const char *trace)
{
	struct instant instant = {NULL, NULL};

	for (int i = 0; i < TRIES; i++) {
		json_t *before = ask(talk);
		bool settled;

		living_snapshot(trace);
		instant.said = ask(talk);
		instant.report = report(trace, at_end);
		settled = is_settled(&instant, before);
		json_decref(before);
		if (settled)
			return instant;
		forget(&instant);
	}
	fail_msg("the service never came to rest");
	return instant;
}

/* The line of the service's source that has these words. */
static int64_t
line_of(const char *words)
{
	FILE *source = fopen("tests/go/service/main.go", "r");
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

static json_t *
frame_of(json_t *site, const char *function)
{
	json_t *frame;
	size_t i;

	json_array_foreach(member(site, "frames"), i, frame)
	{
		const char *name = json_string_value(member(frame, "function"));

		if (name != NULL && strcmp(name, function) == 0)
			return frame;
	}
	return NULL;
}

/* The mallocs of the line of Go that calls C; half of each block, and the page of its header. */
static void
check_line(json_t *root, const char *words)
{
	int64_t committed = 0;
	int64_t count = 0;
	json_t *site;
	size_t i;

	json_array_foreach(member(root, "sites"), i, site)
	{
		json_t *frame = frame_of(site, "main.worker");

		if (strcmp(json_string_value(member(site, "kind")), "malloc") != 0 ||
		    frame == NULL || number(frame, "line") != line_of(words))
			continue;
		assert_non_null(strstr(json_string_value(member(frame, "file")), "main.go"));
		assert_non_null(frame_of(site, "main.main.func1"));
		assert_non_null(frame_of(site, "runtime.goexit"));
		committed += number(site, "committed_bytes");
		count += number(site, "count");
	}
	assert_int_equal(count, BLOCKS);
	assert_in_range(committed, BLOCKS * TOUCHED_BYTES, BLOCKS * (TOUCHED_BYTES + 2 * PAGE));
}

static void
check_malloc(json_t *root)
{
	check_line(root, "C.grab_framed(");
	check_line(root, "C.grab_frameless(");
	/* What the C library and runtime/cgo allocate for themselves is small. */
	assert_in_range(number(member(root, "go"), "rss_malloc_live_bytes"),
			2 * BLOCKS * TOUCHED_BYTES, 2 * BLOCKS * (TOUCHED_BYTES + 2 * PAGE) + MIB);
}

/* RSS, all of it: Go's, malloc's, neither. */
static void
check_shares(json_t *root, const char *trace)
{
	static const char *const classes[] = {"Go metadata", "Go other"};
	static const char *const words[] = {"RSS is ",	   " Go accounts for ", " of it; C malloc ",
					    " holds ",	   " live, ",		" retained); ",
					    " is neither."};
	const char *const argv[] = {built("vmtrace"), "report", "--at=end", trace, NULL};
	const char *const wide[] = {"COLUMNS=300", NULL};
	json_t *go = member(root, "go");
	int64_t of_go = go_heap_figure(root, "committed_bytes");
	struct run run;
	const char *at;

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		of_go += class_committed(root, classes[i]);
	assert_int_equal(of_go, number(go, "rss_go_bytes"));
	assert_int_equal(of_go + number(go, "rss_malloc_live_bytes") +
			     number(go, "rss_malloc_retained_bytes") +
			     number(go, "rss_neither_bytes"),
			 number(member(root, "snapshot"), "rss_bytes"));
	run_program(&run, argv, wide);
	assert_int_equal(run.exit_status, 0);
	at = run.out;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		at = strstr(at, words[i]);
		if (at == NULL)
			fail_msg("no \"%s\" in: %s", words[i], run.out);
	}
	run_free(&run);
}

/* What is resident is never what was given back, and no more than the rest. */
static void
check_resident(const struct instant *instant, int64_t at_least)
{
	int64_t committed = go_heap_figure(instant->report, "committed_bytes");

	assert_true(committed >= at_least);
	assert_true(committed <= go_heap_figure(instant->report, "accessible_bytes") -
				     number(instant->said, "heap_released"));
	assert_true(go_heap_figure(instant->report, "reserved_bytes") >=
		    go_heap_figure(instant->report, "accessible_bytes"));
}

static void
check_counted(const struct instant *instant)
{
	static const char *const figures[][2] = {{"heap_released_bytes", "heap_released"},
						 {"heap_idle_bytes", "heap_idle"},
						 {"heap_in_use_bytes", "heap_in_use"},
						 {"stacks_bytes", "stack_sys"},
						 {"total_bytes", "sys"}};
	json_t *go = member(instant->report, "go");

	assert_true(json_is_null(member(go, "uncounted")));
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (number(go, figures[i][0]) != number(instant->said, figures[i][1]))
			fail_msg("%s: %ld, the service said %ld", figures[i][0],
				 (long)number(go, figures[i][0]),
				 (long)number(instant->said, figures[i][1]));
}

/* A stripped binary names nothing, and its code tells where the counters are. */
static void
check_counted_stripped(const struct instant *instant)
{
	assert_true(json_is_true(member(member(instant->report, "go"), "stripped")));
	check_counted(instant);
}

static void
check_service(const char *version, const char *label, const char *const flags[],
	      void (*check_figures)(const struct instant *instant))
{
	const char *program = go_program(version, "service", label, flags);
	const char *trace = scratch_file("service.vmt");
	const char *const argv[] = {program, "ask", NULL};
	struct conversation talk;
	struct instant instant;

	unlink(trace);
	converse_start(&talk, argv, preloaded(trace));
	instant = observe(&talk, trace);
	assert_true(number(instant.said, "heap_in_use") >= GO_BYTES);
	check_figures(&instant);
	check_resident(&instant, GO_BYTES);
	forget(&instant);

	assert_int_equal(write(talk.to, "drop\n", 5), 5);
	converse_read_line(&talk);
	instant = observe(&talk, trace);
	check_report(instant.report);
	assert_true(number(instant.said, "heap_released") >= GO_BYTES);
	check_figures(&instant);
	check_resident(&instant, 0);
	check_malloc(instant.report);
	check_shares(instant.report, trace);
	check_documented(instant.report, "docs/trace-format.md");
	check_documented(instant.report, "docs/man/vmtrace-report.1.scd");
	forget(&instant);
	assert_int_equal(converse_end(&talk), 0);
}

static void
check_said(const char *version)
{
	check_service(version, "", NULL, check_counted);
}

static void
check_stripped(const char *version)
{
	static const char *const flags[] = {"-ldflags=-s -w", NULL};

	check_service(version, "stripped", flags, check_counted_stripped);
}

static json_t *
run_to_end(const char *trace, const char *program, const char *variable, struct run *run)
{
	json_t *root;

	go_run(run, trace, program, NULL, variable);
	assert_int_equal(run->exit_status, 0);
	root = report(trace, at_end);
	check_report(root);
	return root;
}

static void
expect_words(const char *trace, const char *words)
{
	const char *const argv[] = {built("vmtrace"), "report", "--at=end", trace, NULL};
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	if (says(run.out, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, run.out);
	run_free(&run);
}

/* On a busy machine the end is missed now and then, and its figures with it: not ten times. */
static json_t *
run_until_lazyfree_is_known(const char *trace, const char *program, struct run *run)
{
	for (int left = 10;; left--) {
		json_t *root = run_to_end(trace, program, "GODEBUG=madvdontneed=0", run);

		if (json_is_integer(member(member(root, "snapshot"), "lazyfree_bytes")))
			return root;
		assert_true(left > 1);
		json_decref(root);
		run_free(run);
	}
}

/* With MADV_FREE all that was given back stays resident, and is LazyFree but for what the runtime
 * took into use again. */
static void
check_lazyfree(const char *version)
{
	const char *trace = scratch_file("lazyfree.vmt");
	struct run run;
	json_t *root =
	    run_until_lazyfree_is_known(trace, go_program(version, "service", "", NULL), &run);
	json_t *said = json_loads(run.out, JSON_DISABLE_EOF_CHECK, NULL);
	int64_t lazyfree = number(member(root, "snapshot"), "lazyfree_bytes");
	int64_t resident = 0;
	json_t *row;
	size_t i;

	assert_non_null(said);
	json_array_foreach(member(root, "advice"), i, row)
	{
		const char *name = json_string_value(member(row, "advice"));

		assert_string_not_equal(name, "MADV_DONTNEED");
		if (strcmp(name, "MADV_FREE") == 0)
			resident += number(row, "committed_now_bytes");
	}
	assert_true(lazyfree >= GO_BYTES - MIB);
	assert_in_range(lazyfree,
			resident - number(said, "heap_in_use") - number(said, "stack_in_use"),
			resident);
	assert_true(number(member(root, "go"), "rss_go_bytes") >= lazyfree);
	expect_words(trace, "MADV_FREE (debug.FreeOSMemory)");
	expect_words(trace, " is resident now: LazyFree or used again");
	expect_words(trace,
		     " of RSS was given back by MADV_FREE; it stays in RSS until the kernel needs");
	json_decref(said);
	json_decref(root);
	run_free(&run);
}

static json_t *
advice_of(json_t *root, const char *function, const char *advice)
{
	json_t *row;
	size_t i;

	json_array_foreach(member(root, "advice"), i, row)
	{
		if (frame_of(row, function) == NULL)
			continue;
		assert_string_equal(json_string_value(member(row, "advice")), advice);
		return row;
	}
	fail_msg("no advice of %s", function);
	return NULL;
}

static bool
has_huge_pages(void)
{
	char text[128] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return says(text, "[always]") != NULL || says(text, "[madvise]") != NULL;
}

/* A block whose pages are all resident, and huge or not. */
static void
expect_pages(json_t *row, int64_t block, bool huge)
{
	assert_int_equal(number(row, "calls"), 1);
	assert_int_equal(number(row, "failed_calls"), 0);
	assert_int_equal(number(row, "mapped_now_bytes"), block);
	assert_int_equal(number(row, "committed_now_bytes"), block);
	assert_int_equal(number(row, "huge_now_bytes"), huge ? block : 0);
}

/* What the kernel refused is counted as such; where it did so each time, there are no huge pages.
 */
static void
expect_collapsed(json_t *row, json_t *said)
{
	bool collapsed = json_is_true(member(said, "collapsed"));

	assert_int_equal(number(row, "failed_calls"), number(said, "refusals"));
	assert_int_equal(number(row, "calls"), collapsed);
	if (collapsed)
		assert_int_equal(number(row, "huge_now_bytes"), number(said, "block"));
	else
		print_message("the kernel made no huge pages at once: unchecked\n");
}

static void
check_huge(const char *version)
{
	const char *trace = scratch_file("huge.vmt");
	struct run run;
	json_t *root;
	json_t *said;
	int64_t block;

	if (!has_huge_pages()) {
		printf("skip: no transparent huge pages\n");
		skip();
	}
	root = run_to_end(trace, go_program(version, "advice", "", NULL), NULL, &run);
	said = json_loads(run.out, 0, NULL);
	block = number(said, "block");
	expect_pages(advice_of(root, "main.wanted", "MADV_HUGEPAGE"), block, true);
	expect_pages(advice_of(root, "main.unwanted", "MADV_NOHUGEPAGE"), block, false);
	expect_collapsed(advice_of(root, "main.collapsed", "MADV_COLLAPSE"), said);
	assert_int_equal(number(advice_of(root, "main.refused", "advice 12345"), "calls"), 0);
	assert_int_equal(number(advice_of(root, "main.refused", "advice 12345"), "failed_calls"),
			 1);
	assert_true(number(member(root, "snapshot"), "huge_bytes") >=
		    (json_is_true(member(said, "collapsed")) ? 2 : 1) * block);
	expect_words(trace, "8 MiB of its 8 MiB is resident now, 8 MiB in huge pages");
	expect_words(trace, "8 MiB of its 8 MiB is resident now, 0 B in huge pages");
	expect_words(trace, "refused by the kernel: 1");
	json_decref(said);
	json_decref(root);
	run_free(&run);
}

#define TESTS(id, version)                                                                         \
	TEST(said, id, version)                                                                    \
	TEST(stripped, id, version)                                                                \
	TEST(lazyfree, id, version)                                                                \
	TEST(huge, id, version)
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
