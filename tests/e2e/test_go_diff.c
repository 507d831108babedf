/*
 * test_go_diff.c: does a diff name what one version of Go does to memory and others do not?
 *
 * tests/go/untouched keeps 384 MiB of slices and channels that it never touches. Go 1.24 clears
 * them as it makes them, 1.23 and 1.26 do not.
 */
#include "tests/e2e/documented.h"
#include "tests/e2e/fault_events.h"
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)
/* As in tests/go/untouched/main.go. */
#define KEPT_BYTES (384 * MIB)
/* What the runtime itself has, and the collector of garbage makes it touch, beside that, is 1 to 3
 * MiB in every version, by chance; and the snapshot of a peak may be 2 % below it. */
#define RUNTIME_BYTES (8 * MIB)

/* By each of the two functions that keep it, in one row. */
#define OWN_BYTES (96 * MIB)

#define RECORDINGS 7

struct recording {
	const char *version;
	const char *label;
	const char *flag; /* of `go build` */
	bool touches;
	bool sampled; /* its page faults */
	char trace[4096];
	json_t *said;
};

enum { OLDER, TOUCHING, NEWER, NOT_INLINED, OLDER_SAMPLED, TOUCHING_SAMPLED, NEWER_SAMPLED };

static struct recording recordings[RECORDINGS] = {
    [OLDER] = {.version = "1.23", .label = ""},
    [TOUCHING] = {.version = "1.24", .label = "", .touches = true},
    [NEWER] = {.version = "1.26", .label = ""},
    [NOT_INLINED] = {.version = "1.26", .label = "not-inlined", .flag = "-gcflags=-l"},
    [OLDER_SAMPLED] = {.version = "1.23", .label = "", .sampled = true},
    [TOUCHING_SAMPLED] = {.version = "1.24", .label = "", .touches = true, .sampled = true},
    [NEWER_SAMPLED] = {.version = "1.26", .label = "", .sampled = true},
};

/* Recorded once, by the first test that needs it; skips where the toolchain is missing. */
static struct recording *
recording_of(int which)
{
	struct recording *recording = &recordings[which];
	const char *const flags[] = {recording->flag, NULL};
	const char *const sampled[] = {"--touch", "61", NULL};
	struct run run;
	char name[64];

	go_need(recording->version);
	if (recording->said != NULL)
		return recording;
	snprintf(name, sizeof(name), "untouched-%d.vmt", which);
	snprintf(recording->trace, sizeof(recording->trace), "%s", scratch_file(name));
	record(&run, recording->trace, recording->sampled ? sampled : NULL,
	       (const char *const[]){
		   go_program(recording->version, "untouched", recording->label, flags), NULL});
	assert_int_equal(run.exit_status, 0);
	recording->said = json_loads(run.out, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(recording->said);
	run_free(&run);
	return recording;
}

static int
forget_recordings(void **state)
{
	(void)state;
	for (size_t i = 0; i < RECORDINGS; i++)
		json_decref(recordings[i].said);
	return 0;
}

static void
run_diff(struct run *run, int a, int b, const char *option)
{
	const char *const argv[] = {built("vmtrace"),	    "diff", recording_of(a)->trace,
				    recording_of(b)->trace, option, NULL};

	run_program(run, argv, (const char *const[]){"COLUMNS=300", NULL});
}

static json_t *
diff(int a, int b)
{
	struct run run;
	json_t *root;

	run_diff(&run, a, b, "--format=json");
	assert_int_equal(run.exit_status, 0);
	root = json_loads(run.out, 0, NULL);
	assert_non_null(root);
	run_free(&run);
	return root;
}

/* The program's own books: Go counts the same in every version, and only one has it resident. */
static void
check_facts(const struct recording *recording)
{
	int64_t grown =
	    number(recording->said, "rss_after") - number(recording->said, "rss_before");

	assert_in_range(number(recording->said, "heap_in_use"), KEPT_BYTES, KEPT_BYTES + MIB);
	if (recording->touches)
		assert_in_range(grown, KEPT_BYTES - MIB, KEPT_BYTES + RUNTIME_BYTES);
	else
		assert_in_range(grown, 0, RUNTIME_BYTES);
}

static void
test_facts(void **state)
{
	(void)state;
	for (int i = 0; i < OLDER_SAMPLED; i++)
		check_facts(recording_of(i));
}

static int64_t
delta(json_t *row, const char *figure)
{
	return number(member(row, figure), "delta");
}

static void
expect_verdict(json_t *root, const char *kind, const char *const words[])
{
	json_t *verdict = member(root, "verdict");
	const char *text = json_string_value(member(verdict, "text"));

	assert_string_equal(json_string_value(member(verdict, "kind")), kind);
	for (size_t i = 0; words[i] != NULL; i++)
		if (says(text, words[i]) == NULL)
			fail_msg("no \"%s\" in: %s", words[i], text);
}

static void
expect_limit(int a, int b, int status)
{
	struct run run;

	run_diff(&run, a, b, "--fail-over=committed=10%");
	assert_int_equal(run.exit_status, status);
	assert_int_equal(says(run.err, "vmtrace: committed went from ") != NULL, status == 1);
	run_free(&run);
}

static void
test_regression(void **state)
{
	static const char *const words[] = {
	    "Reserved flat at ",
	    ", committed +38",
	    " MiB (from ",
	    ", nearly all in class Go large objects: more of what is reserved is touched.",
	    " Mostly at main.(*held).keepSlice main.go:",
	    NULL};
	json_t *root;
	struct run run;

	(void)state;
	root = diff(OLDER, TOUCHING);
	check_documented(root, "docs/man/vmtrace-diff.1.scd");
	expect_verdict(root, "more-touched", words);
	assert_in_range(delta(class_row(root, "Go large objects"), "committed_bytes"),
			KEPT_BYTES - RUNTIME_BYTES, KEPT_BYTES + RUNTIME_BYTES);
	assert_in_range(delta(member(root, "totals"), "committed_bytes"),
			KEPT_BYTES - RUNTIME_BYTES, KEPT_BYTES + RUNTIME_BYTES);
	assert_true(llabs(delta(member(root, "totals"), "reserved_bytes")) <=
		    number(member(root, "verdict"), "reserved_noise_bytes"));
	/* People read the same, first of all. */
	run_diff(&run, OLDER, TOUCHING, "--top=1");
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(strncmp(run.out, words[0], strlen(words[0])), 0);
	assert_int_equal(
	    strncmp(run.out, json_string_value(member(member(root, "verdict"), "text")), 100), 0);
	run_free(&run);
	json_decref(root);
	expect_limit(OLDER, TOUCHING, 1);
	expect_limit(TOUCHING, OLDER, 0);
}

/* It is the runtime that clears what nobody has touched yet. */
static void
test_the_toucher_is_named(void **state)
{
	static const char *const words[] = {
	    "Reserved flat at ", ", committed +38",
	    "first touched by runtime.memclrNoHeapPointers <- runtime.mallocgcLarge <- main.",
	    NULL};
	json_t *root;

	(void)state;
	if (lacks_events())
		skip();
	check_facts(recording_of(OLDER_SAMPLED));
	check_facts(recording_of(TOUCHING_SAMPLED));
	root = diff(OLDER_SAMPLED, TOUCHING_SAMPLED);
	expect_verdict(root, "more-touched", words);
	json_decref(root);
	root = diff(OLDER_SAMPLED, NEWER_SAMPLED);
	/* The run times differ by some 100 KiB, which anybody may have touched. */
	if (strstr(json_string_value(member(member(root, "verdict"), "text")),
		   "memclrNoHeapPointers"))
		fail_msg("%s", json_string_value(member(member(root, "verdict"), "text")));
	json_decref(root);
}

static void
test_nothing_of_the_kind(void **state)
{
	json_t *root;

	(void)state;
	root = diff(OLDER, NEWER);
	assert_true(llabs(delta(class_row(root, "Go large objects"), "committed_bytes")) <
		    RUNTIME_BYTES);
	assert_true(llabs(delta(member(root, "totals"), "committed_bytes")) < RUNTIME_BYTES);
	json_decref(root);
}

static bool
has_frame(json_t *site, const char *function)
{
	json_t *frame;
	size_t i;

	json_array_foreach(member(site, "frames"), i, frame)
	{
		const char *name = json_string_value(member(frame, "function"));

		if (name != NULL && strcmp(name, function) == 0)
			return true;
	}
	return false;
}

/* Lines and inlined calls differ from version to version. The program's own sites match all the
 * same; without a counterpart is what chance decides: whose allocation makes the runtime collect,
 * start a thread or ask for the next 4 MiB of an arena. */
static void
check_matched(int a, int b)
{
	static const char *const own[] = {"main.(*held).keepSlice", "main.(*held).keepChannel"};
	json_t *root = diff(a, b);
	bool found[2] = {false, false};
	int64_t alone = 0;
	int64_t all = 0;
	unsigned matched = 0;
	json_t *row;
	size_t i;

	json_array_foreach(member(root, "sites"), i, row)
	{
		const char *match = json_string_value(member(row, "match"));
		json_t *figure = member(row, "reserved_bytes");
		bool is_alone = strcmp(match, "new") == 0 || strcmp(match, "gone") == 0;

		all += number(figure, "a") + number(figure, "b");
		alone += is_alone ? number(figure, "a") + number(figure, "b") : 0;
		matched += !is_alone;
		for (size_t j = 0; j < 2; j++)
			found[j] |= number(figure, "a") >= OWN_BYTES &&
				    number(figure, "b") >= OWN_BYTES && has_frame(row, own[j]);
	}
	assert_true(found[0] && found[1]);
	assert_true(matched >= 8);
	assert_true(alone < all / 50);
	json_decref(root);
}

static void
test_matched(void **state)
{
	(void)state;
	check_matched(OLDER, TOUCHING);
	check_matched(OLDER, NEWER);
	check_matched(NOT_INLINED, NEWER);
	check_matched(OLDER, NOT_INLINED);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_regression),
	    cmocka_unit_test(test_the_toucher_is_named),
	    cmocka_unit_test(test_nothing_of_the_kind),
	    cmocka_unit_test(test_matched),
	};

	return cmocka_run_group_tests(tests, NULL, forget_recordings);
}
