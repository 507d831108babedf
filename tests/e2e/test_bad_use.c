/*
 * test_bad_use.c: what does a user who got it wrong see?
 *
 * Every wrong call ends with one clear line on stderr, nothing on stdout, and the documented
 * status.
 */
#include "format/head.h"
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
expect_with(const char *const environment[], const char *const argv[], int status,
	    const char *words)
{
	struct run run;

	run_program(&run, argv, environment);
	if (run.exit_status != status)
		fail_msg("%s %s: status %d, not %d: %s", argv[1], argv[2] != NULL ? argv[2] : "",
			 run.exit_status, status, run.err);
	assert_string_equal(run.out, "");
	assert_int_equal(strncmp(run.err, "vmtrace: ", 9), 0);
	if (says(run.err, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, run.err);
	run_free(&run);
}

static void
expect(const char *const argv[], int status, const char *words)
{
	expect_with(NULL, argv, status, words);
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

/* A value is named as it was given: by the option, or else by the variable. */
static void
test_values(void **state)
{
	static const struct {
		const char *option;
		const char *variable;
		const char *value;
		const char *may_be;
	} cases[] = {
	    {"--malloc", "VMTRACE_MALLOC", "bla", "one of off, sampled[:BYTES], all"},
	    {"--interval", "VMTRACE_INTERVAL", "0", "a time such as 100ms"},
	    {"--depth", "VMTRACE_DEPTH", "129", "a number from 1 to 128"},
	    {"--buffer", "VMTRACE_BUFFER", "2GiB", "a size such as 4MiB, 1KiB to 1GiB"},
	    {"--stack-table", "VMTRACE_STACK_TABLE", "1KiB", "a size such as 8MiB, 4KiB to 1GiB"},
	    {"--min-rss", "VMTRACE_MIN_RSS", "much", "a size such as 10MiB"},
	    {"--max-files", "VMTRACE_MAX_FILES", "0", "a number from 1 to 65536"},
	    {"--max-size", "VMTRACE_MAX_SIZE", "500KiB",
	     "a size such as 500MiB, 1MiB or more, or 0"},
	    {"--follow", "VMTRACE_FOLLOW", "bla", "one of none, exec, fork, all"},
	    {"--stacks", "VMTRACE_STACKS", "bla", "one of auto, cfi, libunwind, fp, checked"},
	    {"--residency", "VMTRACE_RESIDENCY", "bla",
	     "one of auto, pagemap-scan, pagemap, mincore"},
	    {"--touch", "VMTRACE_TOUCH", "bla",
	     "one of off, auto, or a number from 1 to 1000000000"},
	    {"--cmdline", "VMTRACE_CMDLINE", "bla", "one of on, off, 1, 0"},
	    {"--go", "VMTRACE_GO", "bla", "one of on, off, 1, 0"},
	    {"--seed", "VMTRACE_SEED", "-1", "a whole number below 2^64"},
	};
	const char *vmtrace = built("vmtrace");
	char words[160];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(words, sizeof(words), "vmtrace: %s: '%s' is not %s\n", cases[i].option,
			 cases[i].value, cases[i].may_be);
		expect((const char *const[]){vmtrace, "record", cases[i].option, cases[i].value,
					     "--", "true", NULL},
		       125, words);
		snprintf(words, sizeof(words), "vmtrace: %s: '%s' is not %s\n", cases[i].variable,
			 cases[i].value, cases[i].may_be);
		expect_with(
		    (const char *const[]){variable(cases[i].variable, cases[i].value), NULL},
		    (const char *const[]){vmtrace, "record", "--", "true", NULL}, 125, words);
	}
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
	expect((const char *const[]){vmtrace, "help", "record", "extra", NULL}, 2, "'extra'");
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
	expect((const char *const[]){vmtrace, "dump", path, NULL}, 2, "holds nothing yet");
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

/* A recording with all kinds of chunks, and what it says when it is whole. */
struct specimen {
	char *bytes;
	size_t length;
	int64_t events;
};

static struct specimen
make_specimen(void)
{
	const char *path = scratch_file("specimen.vmt");
	struct specimen specimen;
	struct stat status;
	struct run run;

	record(&run, path, (const char *const[]){"--buffer", "64KiB", NULL},
	       (const char *const[]){built("tests/target/cache_demo"), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	json_t *root = report(path, NULL);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	specimen.events = number(member(root, "loss"), "events");
	assert_int_equal(fstat(fd, &status), 0);
	specimen.length = (size_t)status.st_size;
	specimen.bytes = malloc(specimen.length);
	assert_int_equal(read(fd, specimen.bytes, specimen.length), specimen.length);
	close(fd);
	json_decref(root);
	return specimen;
}

static uint64_t
random_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Explains a damaged trace; events that were read, or -1 where it was refused. */
static int64_t
explain(const char *path)
{
	struct run run;
	int64_t events = -1;

	run_program(
	    &run, (const char *const[]){built("vmtrace"), "report", "--format", "json", path, NULL},
	    NULL);
	assert_true(run.exit_status == 0 || run.exit_status == 2);
	assert_true(run.peak_rss_kib < 256 * 1024);
	if (run.exit_status == 2) {
		assert_string_equal(run.out, "");
		assert_int_equal(strncmp(run.err, "vmtrace: ", 9), 0);
	} else {
		json_error_t trouble;
		json_t *root = json_loads(run.out, 0, &trouble);

		assert_string_equal(run.err, "");
		if (root == NULL)
			fail_msg("line %d: %s", trouble.line, trouble.text);
		events = number(member(root, "loss"), "events");
		check_report(root);
		json_decref(root);
	}
	run_free(&run);
	return events;
}

static int
by_value(const void *left, const void *right)
{
	const size_t *a = left;
	const size_t *b = right;

	return (*a > *b) - (*a < *b);
}

#define CUTS 500

/* The command as built for users; the ASan build runs the reader over every byte in the unit tests.
 * Every second cut is in the chunks, one of them in the last, which holds no events. Whatever is
 * longer never says less. */
static void
test_cut_traces(void **state)
{
	const char *path = scratch_file("cut.vmt");
	struct specimen specimen = make_specimen();
	static size_t cuts[CUTS];
	size_t count = (size_t)soak_count(40, CUTS);
	uint64_t random = 88172645463325252;
	int64_t before = -1;
	struct vmt_head head;

	(void)state;
	memcpy(&head, specimen.bytes, sizeof(head));
	for (size_t i = 0; i < count; i++) {
		size_t from = i % 2 ? (size_t)head.chunks_offset : 0;

		cuts[i] = from + random_number(&random) % (specimen.length - from);
	}
	cuts[0] = specimen.length - 1;
	qsort(cuts, count, sizeof(cuts[0]), by_value);
	for (size_t i = 0; i < count; i++) {
		write_file(path, specimen.bytes, cuts[i]);
		int64_t events = explain(path);

		if (events < before)
			fail_msg("cut at %zu: %lld events, %lld before", cuts[i], (long long)events,
				 (long long)before);
		before = events;
	}
	assert_true(before > 0);
	write_file(path, specimen.bytes, specimen.length);
	assert_int_equal(explain(path), specimen.events);
	free(specimen.bytes);
}

/* Bytes changed at random, in what follows the head's regions most of all. */
static void
test_damaged_traces(void **state)
{
	const char *path = scratch_file("damaged.vmt");
	struct specimen specimen = make_specimen();
	uint64_t random = 88172645463325252;

	(void)state;
	for (long i = soak_count(40, 200); i > 0; i--) {
		size_t place = random_number(&random) % specimen.length;

		if (i % 4 == 0)
			place %= 4096;
		char kept = specimen.bytes[place];

		specimen.bytes[place] ^= (char)(1 + random_number(&random) % 255);
		write_file(path, specimen.bytes, specimen.length);
		explain(path);
		specimen.bytes[place] = kept;
	}
	free(specimen.bytes);
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
	assert_non_null(says(run.out, "--malloc"));
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), NULL}, NULL);
	assert_int_equal(run.exit_status, 2);
	run_free(&run);
}

/* Asked for a process that runs without the library: its program can be recorded, this run can't.
 */
static void
test_doctor_of_a_running_process(void **state)
{
#if defined(__x86_64__)
	static const char last[] = "\nRecording it as it runs can be tried.\n";
#else
	static const char last[] = "\nCan be recorded after a restart.\n";
#endif
	struct conversation talk;
	char pid[16];
	struct run run;

	(void)state;
	converse_start(&talk, (const char *const[]){"cat", NULL}, NULL);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	snprintf(pid, sizeof(pid), "%d", (int)talk.pid);
	run_program(&run, (const char *const[]){built("vmtrace"), "doctor", pid, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "is not loaded in process"));
	assert_string_equal(run.out + run.out_bytes - strlen(last), last);
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
	run_program(
	    &run, (const char *const[]){built("vmtrace"), "doctor", "--", "/bin/true", NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "\nCan be recorded.\n"));
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

static void
expect_kept(const char *path, ino_t inode, int status, const char *const options[],
	    const char *program)
{
	struct stat after;
	struct run run;

	record(&run, path, options, (const char *const[]){program, NULL});
	if (run.exit_status != status)
		fail_msg("%s: status %d: %s", program, run.exit_status, run.err);
	if (stat(path, &after) < 0 || after.st_ino != inode)
		fail_msg("%s: the earlier trace is gone", program);
	run_free(&run);
}

/* A shell would take it for a script, and its trace would be the shell's. */
static void
test_another_machines_program(void **state)
{
	const char *path = scratch_file("foreign-program");
	static char bytes[1 << 20];
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, bytes, sizeof(bytes));
	Elf64_Ehdr header;

	(void)state;
	close(fd);
	assert_true(length > (ssize_t)sizeof(header));
	memcpy(&header, bytes, sizeof(header));
	header.e_machine = EM_SPARCV9;
	memcpy(bytes, &header, sizeof(header));
	write_file(path, bytes, (size_t)length);
	assert_int_equal(chmod(path, 0700), 0);
	expect((const char *const[]){built("vmtrace"), "record", "-o", scratch_file("foreign.vmt"),
				     "--", path, NULL},
	       126, "Exec format error");
	assert_int_equal(access(scratch_file("foreign.vmt"), F_OK), -1);
}

/* An earlier trace goes when there is one to take its place, and not before. */
static void
test_earlier_trace_is_kept(void **state)
{
	static const char *const nobody[] = {"--only", "nobody", NULL};
	static const char *const wrong[] = {"--malloc", "nonsense", NULL};
	const char *path = scratch_file("kept.vmt");
	struct stat before;
	struct stat after;
	struct run run;

	(void)state;
	record(&run, path, NULL, (const char *const[]){"/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(stat(path, &before), 0);
	expect_kept(path, before.st_ino, 127, NULL, "/nonexistent-program");
	expect_kept(path, before.st_ino, 126, NULL, "/etc/passwd");
	expect_kept(path, before.st_ino, 125, wrong, "/bin/true");
	expect_kept(path, before.st_ino, 0, nobody, "/bin/true");
	json_decref(report(path, NULL));

	record(&run, path, NULL, (const char *const[]){"/bin/sh", "-c", "/bin/true; :", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(stat(path, &after), 0);
	/* An inode number may be taken anew at once. */
	assert_true(after.st_ino != before.st_ino ||
		    after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
		    after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
	json_t *root = report(path, NULL);

	assert_non_null(strstr(json_string_value(member(member(root, "process"), "exe")), "sh"));
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unknown_words),
	    cmocka_unit_test(test_missing_things),
	    cmocka_unit_test(test_foreign_files),
	    cmocka_unit_test(test_other_version),
	    cmocka_unit_test(test_cut_traces),
	    cmocka_unit_test(test_damaged_traces),
	    cmocka_unit_test(test_version_and_help),
	    cmocka_unit_test(test_child_status_is_ours),
	    cmocka_unit_test(test_doctor_of_a_running_process),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_another_machines_program),
	    cmocka_unit_test(test_earlier_trace_is_kept),
	};

	return cmocka_run_group_tests_name("bad use", tests, make_trace, NULL);
}
