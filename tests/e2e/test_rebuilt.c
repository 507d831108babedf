/*
 * test_rebuilt.c: does a program that was built anew after its recording lend it false names?
 *
 * A program without a build-id: the file that lies in its place tells its names only where it is
 * certainly the one that was recorded, and else the report says that it may have changed.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const no_options[] = {NULL};

/* Both functions of a build have names of that build alone. */
static const char source[] = "#include <string.h>\n"
			     "#include <sys/mman.h>\n"
			     "static void *NAME(void)\n"
			     "{ void *at = mmap(0, 9437184, 3, 34, -1, 0);\n"
			     "  return at == MAP_FAILED ? at : memset(at, 1, 9437184); }\n"
			     "int main(void) { return NAME() == MAP_FAILED; }\n";

static void
build_as(const char *function, const char *program)
{
	char define[64];
	const char *text = scratch_file("program.c");
	const char *const argv[] = {"gcc",   "-g", "-O0", "-Wl,--build-id=none", define, "-o",
				    program, text, NULL};
	FILE *file = fopen(text, "w");
	struct run run;

	assert_non_null(file);
	fputs(source, file);
	assert_int_equal(fclose(file), 0);
	snprintf(define, sizeof(define), "-DNAME=%s", function);
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("gcc: %s", run.err);
	run_free(&run);
}

static void
record_program(const char *program, const char *trace)
{
	const char *const argv[] = {program, NULL};
	struct run run;

	record(&run, trace, no_options, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

/* What a report says of a trace. */
static char *
said_of(const char *trace, const char *option, const char *value)
{
	const char *const argv[] = {built("vmtrace"), "report", trace, option, value, NULL};
	struct run run;
	char *text;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	text = strdup(run.out);
	run_free(&run);
	return text;
}

static void
expect(const char *trace, const char *program, bool is_named, const char *option, const char *value)
{
	char *text = said_of(trace, option, value);
	char line[8192];

	snprintf(line, sizeof(line), "%s may have changed", program);
	assert_int_equal(says(text, "alpha") != NULL, is_named);
	assert_int_equal(says(text, "program.c:") != NULL, is_named);
	assert_null(says(text, "wrong"));
	assert_int_equal(says(text, "may have changed") != NULL, !is_named);
	free(text);
	text = said_of(trace, "-f", "json");
	assert_int_equal(says(text, line) != NULL, !is_named);
	assert_int_equal(says(text, "\"alpha\"") != NULL, is_named);
	assert_null(says(text, "wrong"));
	free(text);
}

/* A trace beside itself: neither has names. */
static void
expect_caveat(const char *trace, const char *program)
{
	const char *const argv[] = {built("vmtrace"), "diff", trace, trace, "-f", "json", NULL};
	char caveat[4200];
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	for (char side = 'A'; side <= 'B'; side++) {
		snprintf(caveat, sizeof(caveat), "\"%c: %s may have changed", side, program);
		assert_non_null(says(run.out, caveat));
	}
	run_free(&run);
}

/* Packed before, its names stay; packed now, none are made up. */
static void
expect_changed(const char *trace, const char *packed, const char *program)
{
	const char *late = scratch_file("late.vmt");

	expect(trace, program, false, NULL, NULL);
	expect(trace, program, false, "--sysroot", "/");
	expect(packed, program, true, NULL, NULL);
	expect(packed, program, true, "--sysroot", "/");
	expect_caveat(trace, program);
	shell("cp %s %s", trace, late);
	shell("%s pack %s", built("vmtrace"), late);
	expect(late, program, false, NULL, NULL);
}

static void
pack(const char *trace, const char *packed)
{
	shell("cp %s %s", trace, packed);
	shell("%s pack %s", built("vmtrace"), packed);
}

static void
what_is_unchanged_has_names(void **state)
{
	const char *program = scratch_file("unchanged");
	const char *trace = scratch_file("unchanged.vmt");
	const char *packed = scratch_file("unchanged-packed.vmt");

	(void)state;
	build_as("alpha", program);
	record_program(program, trace);
	expect(trace, program, true, NULL, NULL);
	expect(trace, program, true, "--sysroot", "/");
	pack(trace, packed);
	expect(packed, program, true, NULL, NULL);
}

static void
another_file_by_rename_has_none(void **state)
{
	const char *program = scratch_file("renamed");
	const char *trace = scratch_file("renamed.vmt");
	const char *packed = scratch_file("renamed-packed.vmt");
	const char *other = scratch_file("renamed-other");

	(void)state;
	build_as("alpha", program);
	record_program(program, trace);
	pack(trace, packed);
	build_as("wrong", other);
	shell("touch -r %s %s", program, other);
	assert_int_equal(rename(other, program), 0);
	expect_changed(trace, packed, program);
}

static void
other_content_of_the_same_inode_and_date_has_none(void **state)
{
	const char *program = scratch_file("rewritten");
	const char *trace = scratch_file("rewritten.vmt");
	const char *packed = scratch_file("rewritten-packed.vmt");
	const char *other = scratch_file("rewritten-other");
	struct stat before, after;

	(void)state;
	build_as("alpha", program);
	record_program(program, trace);
	pack(trace, packed);
	build_as("wrong", other);
	assert_int_equal(stat(program, &before), 0);
	shell("touch -r %s %s", program, other);
	shell("cat %s > %s", other, program);
	shell("touch -r %s %s", other, program);
	assert_int_equal(stat(program, &after), 0);
	assert_true(after.st_ino == before.st_ino && after.st_size == before.st_size);
	assert_true(after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
		    after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
	expect_changed(trace, packed, program);
}

/* No file is touched: the directory is another one. */
static void
an_older_file_in_its_place_has_none(void **state)
{
	const char *place = scratch_file("place");
	const char *next = scratch_file("next");
	const char *trace = scratch_file("place.vmt");
	const char *packed = scratch_file("place-packed.vmt");
	char program[4096];
	char other[4096];

	(void)state;
	shell("mkdir %s %s", place, next);
	snprintf(program, sizeof(program), "%s/program", place);
	snprintf(other, sizeof(other), "%s/program", next);
	build_as("wrong", other);
	build_as("alpha", program);
	record_program(program, trace);
	pack(trace, packed);
	shell("mv %s %s.old", place, place);
	shell("mv %s %s", next, place);
	expect_changed(trace, packed, program);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_unchanged_has_names),
	    cmocka_unit_test(another_file_by_rename_has_none),
	    cmocka_unit_test(other_content_of_the_same_inode_and_date_has_none),
	    cmocka_unit_test(an_older_file_in_its_place_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
