/*
 * test_go_owners.c: does each class of a Go program hold what it should, however it was built, and
 * still when its file is gone?
 *
 * tests/go/offheap prints its own books: what runtime.ReadMemStats says, and what it mapped itself
 * by Go's package syscall. Built with C, and with runtime/cgo by package net alone (Go's own
 * linker), as an executable and as PIE, whole and stripped. check: a few of these with each
 * toolchain; soak: all.
 */
#include "tests/e2e/go_programs.h"
#include "tests/soak.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRIES 5

static const char *const at_end[] = {"--at=end", NULL};

struct form {
	const char *label;
	const char *flags[4];
	bool always; /* not in soak alone */
};

static const struct form forms[] = {
    {"c", {NULL}, false},
    {"c-s", {"-ldflags=-s", NULL}, false},
    {"c-s-w", {"-ldflags=-s -w", NULL}, true},
    {"c-pie", {"-buildmode=pie", NULL}, false},
    {"c-pie-s-w", {"-buildmode=pie", "-ldflags=-s -w", NULL}, false},
    {"net", {"-tags=netonly", NULL}, false},
    {"net-s-w", {"-tags=netonly", "-ldflags=-s -w", NULL}, false},
    {"net-pie", {"-tags=netonly", "-buildmode=pie", NULL}, true},
    {"net-pie-s", {"-tags=netonly", "-buildmode=pie", "-ldflags=-s", NULL}, false},
    {"net-pie-s-w", {"-tags=netonly", "-buildmode=pie", "-ldflags=-s -w", NULL}, false},
};

/* The runtime may have grown a goroutine's stack after it counted. */
static bool
is_settled(json_t *root, json_t *said)
{
	return go_heap_figure(root, "accessible_bytes") == number(said, "heap_idle") +
							       number(said, "heap_in_use") +
							       number(said, "stack_in_use");
}

static json_t *
observe(const char *trace, const char *program, json_t **said)
{
	for (int i = 0; i < TRIES; i++) {
		struct run run;
		json_t *root;

		go_run(&run, trace, program, NULL, NULL);
		assert_int_equal(run.exit_status, 0);
		*said = json_loads(run.out, JSON_DISABLE_EOF_CHECK, NULL);
		assert_non_null(*said);
		root = report(trace, at_end);
		run_free(&run);
		if (is_settled(root, *said))
			return root;
		json_decref(root);
		json_decref(*said);
	}
	fail_msg("%s: the heap is never what its runtime says", program);
	return NULL;
}

/* By the program's own books. */
static void
check_classes(json_t *root, json_t *said)
{
	assert_int_equal(class_figure(root, "mmap", "reserved_bytes"), number(said, "mapped"));
	assert_int_equal(class_figure(root, "mmap", "committed_bytes"),
			 number(said, "mapped_touched"));
	assert_int_equal(class_figure(root, "mapped files", "committed_bytes"),
			 number(said, "file"));
	assert_int_equal(class_figure(root, "shared memory", "committed_bytes"),
			 number(said, "shared"));
	assert_int_equal(class_figure(root, "unattributed", "reserved_bytes"), 0);
	assert_int_equal(class_figure(root, "Go other", "reserved_bytes"), 0);
	assert_true(go_heap_figure(root, "committed_bytes") >= number(said, "objects"));
	assert_true(class_figure(root, "malloc live", "committed_bytes") >= number(said, "c"));
	assert_true(class_figure(root, "Go metadata", "committed_bytes") > 0);
}

/* Mappings and blocks are named by the Go function that wanted them. */
static void
check_text(const char *trace, json_t *said)
{
	static const char *const names[] = {" main.(*cache).grow main.go:", "mmap main.allocate ",
					    " main.mapShared main.go:", " main.callC c.go:"};
	size_t count = number(said, "c") ? 4 : 3;
	const char *const argv[] = {built("vmtrace"), "report", "--at=end", trace, NULL};
	const char *const wide[] = {"COLUMNS=300", NULL};
	struct run run;

	run_program(&run, argv, wide);
	assert_int_equal(run.exit_status, 0);
	for (size_t i = 0; i < count; i++)
		if (strstr(run.out, names[i]) == NULL)
			fail_msg("no \"%s\" in: %s", names[i], run.out);
	*strstr(run.out, "\n\n") = '\0';
	if (strstr(run.out, "+0x") != NULL)
		fail_msg("an address in: %s", run.out);
	run_free(&run);
}

static void
check_same_classes(const char *trace, json_t *before)
{
	json_t *root = report(trace, at_end);

	check_report(root);
	assert_true(json_equal(member(root, "classes"), member(before, "classes")));
	json_decref(root);
}

static void
copy(const char *from, const char *to)
{
	const char *const argv[] = {"cp", from, to, NULL};
	struct run run;

	unlink(to);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static void
check_form(const char *version, const struct form *form)
{
	const char *built_program = go_program(version, "offheap", form->label, form->flags);
	char program[4096];
	char trace[4096];
	json_t *said;
	json_t *root;

	snprintf(program, sizeof(program), "%s", scratch_file("offheap"));
	snprintf(trace, sizeof(trace), "%s", scratch_file("owners.vmt"));
	copy(built_program, program);
	root = observe(trace, program, &said);
	check_report(root);
	check_classes(root, said);
	check_text(trace, said);

	/* deleted; another program by the same name; one that cannot be read as a program */
	unlink(program);
	check_same_classes(trace, root);
	copy("/bin/true", program);
	check_same_classes(trace, root);
	copy("/dev/null", program);
	check_same_classes(trace, root);
	unlink(program);
	json_decref(root);
	json_decref(said);
}

static void
check_owners(const char *version)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].always || soak_count(1, 2) > 1)
			check_form(version, &forms[i]);
}

#define TESTS(id, version) TEST(owners, id, version)
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
