/*
 * test_bad_use.c: what does a user who got it wrong see?
 *
 * Every wrong call ends with one clear line on stderr, nothing on stdout, and the documented
 * status.
 */
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
expect(const char *const argv[], int status, const char *words)
{
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status != status)
		fail_msg("%s %s: status %d, not %d: %s", argv[1], argv[2] != NULL ? argv[2] : "",
			 run.exit_status, status, run.err);
	assert_string_equal(run.out, "");
	assert_int_equal(strncmp(run.err, "vmtrace: ", 9), 0);
	if (strstr(run.err, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, run.err);
	run_free(&run);
}

static void
write_file(const char *path, const void *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static const char *small_trace;

/* One small recording that the tests of this file damage. */
static int
make_trace(void **state)
{
	static char path[4096];
	static const char *const options[] = {"--buffer", "8KiB", NULL};
	const char *const argv[] = {"/bin/true", NULL};
	struct run run;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_file("small.vmt"));
	record(&run, path, options, argv);
	if (run.exit_status != 0)
		fprintf(stderr, "%s", run.err);
	int failed = run.exit_status;

	run_free(&run);
	small_trace = path;
	return failed;
}

static void
test_unknown_words(void **state)
{
	const char *vmtrace = built("vmtrace");

	(void)state;
	expect((const char *const[]){vmtrace, "frobnicate", NULL}, 2, "frobnicate");
	expect((const char *const[]){vmtrace, "report", "--frobnicate", small_trace, NULL}, 2,
	       "--frobnicate");
	expect((const char *const[]){vmtrace, "record", "--frobnicate", "--", "true", NULL}, 125,
	       "--frobnicate");
	expect((const char *const[]){vmtrace, "report", "--sort", "colour", small_trace, NULL}, 2,
	       "colour");
	expect((const char *const[]){vmtrace, "report", "--at", "noon", small_trace, NULL}, 2,
	       "noon");
	expect((const char *const[]){vmtrace, "record", "--malloc", "some", "--", "true", NULL},
	       125, "some");
}

static void
test_missing_things(void **state)
{
	const char *vmtrace = built("vmtrace");

	(void)state;
	expect((const char *const[]){vmtrace, "report", NULL}, 2, "FILE");
	expect((const char *const[]){vmtrace, "report", "/nonexistent.vmt", NULL}, 2,
	       "/nonexistent.vmt");
	expect((const char *const[]){vmtrace, "dump", "/nonexistent.vmt", NULL}, 2,
	       "/nonexistent.vmt");
	expect((const char *const[]){vmtrace, "report", "/", NULL}, 2, "directory");
	expect((const char *const[]){vmtrace, "record", "--", "/nonexistent-program", NULL}, 127,
	       "/nonexistent-program");
	expect((const char *const[]){vmtrace, "record", "--", "/etc/passwd", NULL}, 126,
	       "/etc/passwd");
	expect((const char *const[]){vmtrace, "record", NULL}, 125, "command");
}

static void
test_foreign_files(void **state)
{
	const char *vmtrace = built("vmtrace");
	const char *path = scratch_file("foreign");
	char zeros[65536] = {0};

	(void)state;
	write_file(path, "", 0);
	expect((const char *const[]){vmtrace, "report", path, NULL}, 2, "empty");
	write_file(path, "hello, world, this is not a trace\n", 34);
	expect((const char *const[]){vmtrace, "report", path, NULL}, 2, "not a vmtrace trace");
	write_file(path, zeros, sizeof(zeros));
	expect((const char *const[]){vmtrace, "dump", path, NULL}, 2, "not a vmtrace trace");
}

static void
test_other_version(void **state)
{
	const char *vmtrace = built("vmtrace");
	const char *path = scratch_file("version.vmt");
	static char bytes[1 << 20];
	int fd = open(small_trace, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, bytes, sizeof(bytes));

	(void)state;
	close(fd);
	assert_true(length > 4096);
	bytes[8] = 99; /* the version follows the 8 bytes of magic */
	write_file(path, bytes, (size_t)length);
	expect((const char *const[]){vmtrace, "report", path, NULL}, 2, "of version 99");
}

/* The command as built for users; the ASan build runs the reader over every byte in the unit tests.
 */
static void
test_cut_traces(void **state)
{
	const char *vmtrace = built("vmtrace");
	const char *path = scratch_file("cut.vmt");
	static char bytes[4 << 20];
	int fd = open(small_trace, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, bytes, sizeof(bytes));

	(void)state;
	close(fd);
	assert_true(length > 4096 && (size_t)length < sizeof(bytes));
	for (ssize_t cut = 0; cut < length; cut += length / 97 + 1) {
		const char *const argv[] = {vmtrace, "report", "--format", "json", path, NULL};
		struct run run;

		write_file(path, bytes, (size_t)cut);
		run_program(&run, argv, NULL);
		assert_true(run.exit_status == 0 || run.exit_status == 2);
		if (run.exit_status == 2)
			assert_int_equal(strncmp(run.err, "vmtrace: ", 9), 0);
		assert_true(run.peak_rss_kib < 256 * 1024);
		run_free(&run);
	}
}

static void
test_version_and_help(void **state)
{
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){built("vmtrace"), "--version", NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(strncmp(run.out, "vmtrace ", 8), 0);
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), "help", "record", NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "--malloc"));
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), NULL}, NULL);
	assert_int_equal(run.exit_status, 2);
	run_free(&run);
}

static void
test_child_status_is_ours(void **state)
{
	struct run run;

	(void)state;
	record(&run, scratch_file("status.vmt"), NULL,
	       (const char *const[]){"/bin/sh", "-c", "exit 42", NULL});
	assert_int_equal(run.exit_status, 42);
	run_free(&run);
	record(&run, scratch_file("signal.vmt"), NULL,
	       (const char *const[]){"/bin/sh", "-c", "kill -KILL $$", NULL});
	assert_int_equal(run.exit_status, 137);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unknown_words),	 cmocka_unit_test(test_missing_things),
	    cmocka_unit_test(test_foreign_files),	 cmocka_unit_test(test_other_version),
	    cmocka_unit_test(test_cut_traces),		 cmocka_unit_test(test_version_and_help),
	    cmocka_unit_test(test_child_status_is_ours),
	};

	return cmocka_run_group_tests_name("bad use", tests, make_trace, NULL);
}
