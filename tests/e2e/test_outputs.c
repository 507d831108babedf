/*
 * test_outputs.c: does a result land where it was sent, and is it whole or not there?
 */
#include "tests/e2e/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *trace;

static int
make_trace(void **state)
{
	static char path[4096];
	const char *const argv[] = {built("tests/target/cache_demo"), NULL};
	struct run run;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_file("demo.vmt"));
	trace = path;
	record(&run, trace, NULL, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return 0;
}

static char *
content_of(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;
	ssize_t bytes;

	assert_non_null(file);
	bytes = getdelim(&text, &room, '\0', file);
	fclose(file);
	if (bytes < 0 && text)
		*text = '\0';
	return text ? text : strdup("");
}

static void
write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* What lies in a directory. */
static size_t
count_entries(const char *directory)
{
	DIR *entries = opendir(directory);
	size_t count = 0;

	assert_non_null(entries);
	while (readdir(entries))
		count++;
	closedir(entries);
	return count - 2;
}

static void
run_report(struct run *run, const char *format, const char *output)
{
	const char *const argv[] = {built("vmtrace"), "report", trace,	"--format",
				    format,	      "-o",	output, NULL};

	run_program(run, argv, NULL);
}

static void
test_a_file_has_what_standard_output_has(void **state)
{
	static const char *const formats[] = {"text", "json"};
	const char *path = scratch_file("out");

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct run to_stdout;
		struct run to_file;
		char *written;

		run_report(&to_stdout, formats[i], "-");
		run_report(&to_file, formats[i], path);
		assert_int_equal(to_file.exit_status, 0);
		assert_string_equal(to_file.out, "");
		written = content_of(path);
		assert_true(to_stdout.out_bytes > 100);
		assert_string_equal(written, to_stdout.out);
		free(written);
		run_free(&to_stdout);
		run_free(&to_file);
	}
}

static void
test_a_diff_goes_to_a_file_too(void **state)
{
	const char *path = scratch_file("diff.json");
	const char *const diff[] = {built("vmtrace"), "diff", trace, trace, "--format",
				    "json",	      "-o",   path,  NULL};
	const char *const moments[] = {built("vmtrace"), "report", trace, "--from", "peak",
				       "--format",	 "json",   "-o",  path,	    NULL};
	const char *const *const commands[] = {diff, moments};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct run run;
		json_t *document;

		unlink(path);
		run_program(&run, commands[i], NULL);
		assert_int_equal(run.exit_status, 0);
		assert_string_equal(run.out, "");
		document = json_load_file(path, 0, NULL);
		assert_string_equal(json_string_value(json_object_get(document, "schema")),
				    "vmtrace-diff/1");
		json_decref(document);
		run_free(&run);
	}
}

/* The file's mode is that of any new file, or of the file that was there. */
static void
test_modes_stay(void **state)
{
	const char *path = scratch_file("mode");
	struct stat status;
	struct run run;
	mode_t mask = umask(027);

	(void)state;
	unlink(path);
	run_report(&run, "text", path);
	run_free(&run);
	umask(mask);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_int_equal(chmod(path, 0604), 0);
	run_report(&run, "json", path);
	run_free(&run);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0604);
}

static void
test_a_link_stays_a_link(void **state)
{
	const char *target = scratch_file("target");
	const char *name = scratch_file("link");
	struct stat status;
	struct run run;
	char *written;

	(void)state;
	write_text(target, "before");
	assert_int_equal(symlink("target", name), 0);
	run_report(&run, "json", name);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(lstat(name, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	written = content_of(target);
	assert_int_equal(*written, '{');
	free(written);
}

/* By its own name or another. */
static void
test_the_trace_is_not_written_over(void **state)
{
	const char *other = scratch_file("same.vmt");
	const char *const diff[] = {built("vmtrace"), "diff", other, trace, "-o", trace, NULL};
	/* A directory stands for the traces in it. */
	const char *const listing[] = {built("vmtrace"), "report", scratch(), "-o", other, NULL};
	const char *const outputs[] = {trace, other};
	struct stat before;
	struct stat after;
	struct run run;

	(void)state;
	assert_int_equal(link(trace, other), 0);
	assert_int_equal(stat(trace, &before), 0);
	for (size_t i = 0; i < 2; i++) {
		run_report(&run, "json", outputs[i]);
		assert_int_equal(run.exit_status, 2);
		assert_non_null(says(run.err, "is what is read"));
		run_free(&run);
	}
	run_program(&run, diff, NULL);
	assert_int_equal(run.exit_status, 2);
	run_free(&run);
	run_program(&run, listing, NULL);
	assert_int_equal(run.exit_status, 2);
	assert_non_null(says(run.err, "is what is read"));
	run_free(&run);
	assert_int_equal(stat(other, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(stat(trace, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_ino, before.st_ino);
	unlink(other);
}

/* A file may have this many bytes: as on a full disk, a write fails in the middle. */
static void
report_with_little_room(struct run *run, const char *path, const char *bytes)
{
	const char *const argv[] = {"sh",
				    "-c",
				    "trap '' XFSZ; exec prlimit --fsize=\"$1\" \"$2\" report \"$3\""
				    " --format json -o \"$4\"",
				    "sh",
				    bytes,
				    built("vmtrace"),
				    trace,
				    path,
				    NULL};

	run_program(run, argv, NULL);
}

static void
test_what_does_not_fit_leaves_what_was_there(void **state)
{
	char directory[4096];
	char path[4200];
	struct run run;
	char *content;

	(void)state;
	snprintf(directory, sizeof(directory), "%s", scratch_file("full"));
	snprintf(path, sizeof(path), "%s/report.json", directory);
	assert_int_equal(mkdir(directory, 0700), 0);
	report_with_little_room(&run, path, "5000");
	assert_int_equal(run.exit_status, 2);
	assert_non_null(says(run.err, "can't write"));
	run_free(&run);
	assert_int_equal(count_entries(directory), 0);
	write_text(path, "before");
	report_with_little_room(&run, path, "5000");
	assert_int_equal(run.exit_status, 2);
	run_free(&run);
	assert_int_equal(count_entries(directory), 1);
	content = content_of(path);
	assert_string_equal(content, "before");
	free(content);
	report_with_little_room(&run, path, "100000000");
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(count_entries(directory), 1);
}

static void
test_a_report_that_fails_leaves_what_was_there(void **state)
{
	const char *path = scratch_file("kept");
	const char *const argv[] = {built("vmtrace"), "report", "/dev/null", "-o", path, NULL};
	struct run run;
	char *content;

	(void)state;
	write_text(path, "before");
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 2);
	run_free(&run);
	content = content_of(path);
	assert_string_equal(content, "before");
	free(content);
}

static void
test_devices_are_written_to(void **state)
{
	static const char *const formats[] = {"text", "json", "html", "pprof"};
	struct run run;

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		run_report(&run, formats[i], "/dev/full");
		assert_int_equal(run.exit_status, 2);
		if (!says(run.err, "No space left"))
			fail_msg("%s: %s", formats[i], run.err);
		run_free(&run);
	}
	run_report(&run, "json", "/dev/null");
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_report(&run, "json", "/dev/stdout");
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(*run.out, '{');
	run_free(&run);
}

static void
test_no_such_directory_is_an_error(void **state)
{
	struct run run;

	(void)state;
	run_report(&run, "json", scratch_file("missing/report.json"));
	assert_int_equal(run.exit_status, 2);
	assert_non_null(says(run.err, "missing/report.json: No such file"));
	run_free(&run);
}

/* The exit status of a report into a pipe that nobody reads, where SIGPIPE is ignored. */
static int
report_to_nobody(const char *output)
{
	int ends[2];
	int status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		dup2(ends[1], STDOUT_FILENO);
		freopen("/dev/null", "w", stderr);
		execl(built("vmtrace"), "vmtrace", "report", trace, "--format", "json", "-o",
		      output, NULL);
		_exit(99);
	}
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_a_closed_pipe_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(report_to_nobody("-"), 2);
	assert_int_equal(report_to_nobody("/dev/stdout"), 2);
}

/* The first line of a file that another process writes, once it is there. */
static char *
wait_for_line(const char *path)
{
	int64_t until_ms = now_ms() + 120000;

	while (now_ms() < until_ms) {
		struct stat status;

		if (stat(path, &status) == 0 && status.st_size > 0)
			return content_of(path);
		usleep(10000);
	}
	fail_msg("%s was never written", path);
	return NULL;
}

/* A browser that says what it was started with: whole at once, by a rename. */
static void
make_browser(const char *path, const char *said)
{
	char script[3 * 4096 + 128];

	snprintf(script, sizeof(script),
		 "#!/bin/sh\necho \"$1 $LD_PRELOAD\" >'%s.new' && mv '%s.new' '%s'\n", said, said,
		 said);
	write_text(path, script);
	assert_int_equal(chmod(path, 0700), 0);
}

static void
record_on_terminal(struct run *run, const char *recorded, const char *browser)
{
	char command[16384];
	const char *const argv[] = {"script", "-qec", command, "/dev/null", NULL};

	snprintf(command, sizeof(command),
		 "env -u DISPLAY -u WAYLAND_DISPLAY BROWSER='%s' '%s' record --open -o '%s' -- "
		 "/bin/sh -c 'exit 7'",
		 browser, built("vmtrace"), recorded);
	run_program(run, argv, NULL);
	assert_int_equal(run->exit_status, 7);
}

/* The browser does not get the library that the program was recorded with. */
static void
test_a_page_is_opened(void **state)
{
	char recorded[4096];
	char page[4096];
	char browser[4096];
	char said[4096];
	char expected[8192];
	struct run run;
	char *line;
	char *html;

	(void)state;
	snprintf(recorded, sizeof(recorded), "%s", scratch_file("opened.vmt"));
	snprintf(page, sizeof(page), "%s", scratch_file("opened.html"));
	snprintf(browser, sizeof(browser), "%s", scratch_file("browser"));
	snprintf(said, sizeof(said), "%s", scratch_file("said"));
	make_browser(browser, said);
	record_on_terminal(&run, recorded, browser);
	run_free(&run);
	line = wait_for_line(said);
	snprintf(expected, sizeof(expected), "%s \n", page);
	assert_string_equal(line, expected);
	html = content_of(page);
	assert_non_null(strstr(html, "vmtrace-data"));
	free(html);
	free(line);
}

static void
test_a_page_that_can_not_be_opened_is_named(void **state)
{
	static const struct {
		const char *browser;
		const char *why;
	} kinds[] = {{"", "there is no display"}, {"/nonexistent/browser", "can't start"}};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const char *page = scratch_file("named.html");
		struct run run;

		record_on_terminal(&run, scratch_file("named.vmt"), kinds[i].browser);
		assert_non_null(says(run.out, kinds[i].why));
		assert_non_null(says(run.out, page));
		assert_int_equal(access(page, R_OK), 0);
		run_free(&run);
	}
}

static void
test_nothing_is_opened_without_a_terminal(void **state)
{
	char recorded[4096];
	struct run run;

	(void)state;
	snprintf(recorded, sizeof(recorded), "%s", scratch_file("unseen.vmt"));
	record(&run, recorded, (const char *const[]){"--open", NULL},
	       (const char *const[]){"/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.err, "--open: not on a terminal"));
	assert_int_equal(access(scratch_file("unseen.html"), F_OK), -1);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_file_has_what_standard_output_has),
	    cmocka_unit_test(test_a_diff_goes_to_a_file_too),
	    cmocka_unit_test(test_modes_stay),
	    cmocka_unit_test(test_a_link_stays_a_link),
	    cmocka_unit_test(test_the_trace_is_not_written_over),
	    cmocka_unit_test(test_what_does_not_fit_leaves_what_was_there),
	    cmocka_unit_test(test_a_report_that_fails_leaves_what_was_there),
	    cmocka_unit_test(test_devices_are_written_to),
	    cmocka_unit_test(test_no_such_directory_is_an_error),
	    cmocka_unit_test(test_a_closed_pipe_is_an_error),
	    cmocka_unit_test(test_a_page_is_opened),
	    cmocka_unit_test(test_a_page_that_can_not_be_opened_is_named),
	    cmocka_unit_test(test_nothing_is_opened_without_a_terminal),
	};

	return cmocka_run_group_tests(tests, make_trace, NULL);
}
