/*
 * test_startup.c: does a start and an end make no system call that docs/startup.md does not list?
 *
 * The calls of /bin/true with the library and without, counted by strace.
 */
#include "tests/e2e/documented.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64

struct counts {
	struct count {
		char name[32];
		long times;
	} of[NAMES_MAX];
	size_t used;
};

/* fstat and newfstatat are one: which of them the loader calls differs by the C library. */
static struct count *
count_of(struct counts *counts, const char *name, size_t length)
{
	if (length == strlen("newfstatat") && strncmp(name, "newfstatat", length) == 0) {
		name = "fstat";
		length = strlen(name);
	}
	for (size_t i = 0; i < counts->used; i++)
		if (strncmp(counts->of[i].name, name, length) == 0 &&
		    counts->of[i].name[length] == '\0')
			return &counts->of[i];
	assert_true(counts->used < NAMES_MAX && length < sizeof(counts->of[0].name));
	memcpy(counts->of[counts->used].name, name, length);
	return &counts->of[counts->used++];
}

/* Lines such as "read(3, ..." of what strace wrote. */
static void
count_calls(struct counts *counts, const char *path)
{
	char line[8192];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		size_t length = strcspn(line, "(");

		if (line[length] == '(' && line[0] >= 'a' && line[0] <= 'z')
			count_of(counts, line, length)->times++;
	}
	fclose(file);
}

/* The rows "| `call` | times | why |". */
static void
read_document(struct counts *counts, const char *path)
{
	char line[8192];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		char name[32];
		long times;

		if (sscanf(line, "| `%31[a-z0-9_]` | %ld |", name, &times) == 2)
			count_of(counts, name, strlen(name))->times += times;
	}
	fclose(file);
}

static void
run_under_strace(struct counts *counts, const char *const options[])
{
	const char *output = scratch_file("calls");
	const char *argv[16] = {"strace", "-qq", "-o", output};
	size_t count = 4;
	struct run run;

	for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
		argv[count++] = "-E";
		argv[count++] = options[i];
	}
	argv[count] = "/bin/true";
	/* As users have it: each wait for the last snapshot is a call, and a busy machine waits
	 * long. */
	run_program(&run, argv, (const char *const[]){"VMTRACE_EXIT_WAIT=20ms", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	run_free(&run);
	count_calls(counts, output);
}

static void
test_calls_are_listed(void **state)
{
	static struct counts bare, watched, listed;
	long added = 0;

	(void)state;
	run_under_strace(&bare, NULL);
	run_under_strace(&watched, preloaded(scratch_file("true.vmt")));
	read_document(&listed, "docs/startup.md");
	assert_true(bare.used > 5 && listed.used > 10);
	for (size_t i = 0; i < watched.used; i++) {
		const struct count *with = &watched.of[i];
		long before = count_of(&bare, with->name, strlen(with->name))->times;
		long times = count_of(&listed, with->name, strlen(with->name))->times;

		added += with->times - before;
		if (with->times - before > times)
			fail_msg("%s: %ld more than without the library, %ld are listed",
				 with->name, with->times - before, times);
	}
	print_message("%ld calls more than without the library\n", added);
	assert_true(added > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls_are_listed),
	};

	prefer_system_programs();
	return cmocka_run_group_tests_name("startup", tests, NULL, NULL);
}
