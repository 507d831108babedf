/*
 * test_pack.c: does a packed trace say the same where none of the program's files are?
 *
 * A program and its plugin are copied into a directory of their own, recorded there, and removed;
 * or another program takes the place. What was said of the trace while they were there is what its
 * packed copy has to say.
 *
 * Over 500 lines: one case a promise of pack.
 */
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const no_options[] = {NULL};

static void
shell(const char *format, const char *a, const char *b)
{
	char command[2048];
	const char *const argv[] = {"sh", "-c", command, NULL};
	struct run run;

	snprintf(command, sizeof(command), format, a, b);
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s", command, run.exit_status, run.err);
	run_free(&run);
}

/* A directory with a program and what it loads; the program. */
static const char *
install(const char *name)
{
	const char *place = scratch_file(name);
	static char program[4096];

	shell("mkdir -p %s%s", place, "");
	shell("cp %s %s/service", built("tests/target/dlopen_loop"), place);
	shell("cp %s %s/", built("tests/target/plugin_small"), place);
	snprintf(program, sizeof(program), "%s/service", place);
	return program;
}

static void
record_service(const char *program, const char *trace)
{
	const char *const argv[] = {program, "20", NULL};
	struct run run;

	record(&run, trace, no_options, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

/* What a command prints of traces; to be freed. */
static char *
say(const char *const words[])
{
	const char *argv[16] = {built("vmtrace")};
	struct run run;
	char *text;

	for (size_t i = 0; words[i]; i++) {
		assert_true(i + 2 < sizeof(argv) / sizeof(*argv));
		argv[i + 1] = words[i];
	}
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s %s: status %d: %s", words[0], words[1], run.exit_status, run.err);
	text = strdup(run.out);
	run_free(&run);
	return text;
}

static void
pack(const char *trace, const char *output)
{
	char *said = say((const char *[]){"pack", trace, output ? "-o" : NULL, output, NULL});

	free(said);
}

/* Text and JSON of a trace at several moments, and all that is in it. */
#define ANSWERS 5u

static void
ask(const char *trace, char *answers[ANSWERS])
{
	answers[0] = say((const char *[]){"report", trace, "-n", "1000", "--frames", "50", NULL});
	answers[1] = say((const char *[]){"report", trace, "--at", "end", NULL});
	answers[2] = say((const char *[]){"report", trace, "--at", "peak", "-n", "1000", NULL});
	answers[3] = say((const char *[]){"report", trace, "-f", "json", NULL});
	answers[4] = say((const char *[]){"dump", trace, "-f", "json", "--stacks", NULL});
}

/* A report's JSON without what says that the trace is packed. */
static json_t *
without_packed(const char *text)
{
	json_t *report = json_loads(text, 0, NULL);

	assert_non_null(report);
	json_object_del(report, "trace");
	return report;
}

static void
compare(char *wanted[ANSWERS], char *got[ANSWERS])
{
	for (size_t i = 0; i < ANSWERS; i++) {
		if (i == 3) {
			json_t *a = without_packed(wanted[i]);
			json_t *b = without_packed(got[i]);

			assert_true(json_equal(a, b));
			json_decref(a);
			json_decref(b);
		} else {
			assert_string_equal(wanted[i], got[i]);
		}
	}
}

static void
forget(char *answers[ANSWERS])
{
	for (size_t i = 0; i < ANSWERS; i++)
		free(answers[i]);
}

static json_t *
packed_of(const char *trace)
{
	json_t *whole = report(trace, no_options);
	json_t *packed = json_incref(member(member(whole, "trace"), "packed"));

	json_decref(whole);
	return packed;
}

/* Of two traces, which are then packed in their places, and their program removed. */
static void
a_diff_needs_none_of_the_files(void **state)
{
	const char *a = scratch_file("a.vmt");
	const char *b = scratch_file("b.vmt");
	const char *const text[] = {"diff", a, b, "-n", "1000", NULL};
	const char *const json[] = {"diff", a, b, "-f", "json", NULL};
	const char *program = install("diff");
	char *wanted[2], *got[2];

	(void)state;
	record_service(program, a);
	record_service(program, b);
	wanted[0] = say(text);
	wanted[1] = say(json);
	assert_non_null(strstr(wanted[1], "plugin_small.c"));
	pack(a, NULL);
	pack(b, NULL);
	shell("rm -r %s/*%s", scratch_file("diff"), "");
	got[0] = say(text);
	got[1] = say(json);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(wanted[i], got[i]);
		free(wanted[i]);
		free(got[i]);
	}
}

static void
a_packed_trace_needs_none_of_the_files(void **state)
{
	const char *trace = scratch_file("needs.vmt");
	const char *packed = scratch_file("needs-packed.vmt");
	const char *program = install("needs");
	char *wanted[ANSWERS], *got[ANSWERS];
	json_t *figures;

	(void)state;
	record_service(program, trace);
	ask(trace, wanted);
	assert_non_null(strstr(wanted[0], "plugin_small.c:"));
	assert_non_null(strstr(wanted[0], "dlopen_loop.c:"));
	figures = packed_of(trace);
	assert_true(json_is_null(figures));
	json_decref(figures);
	pack(trace, packed);
	ask(packed, got); /* with its files there, and other ones */
	compare(wanted, got);
	forget(got);
	shell("rm -r %s/*%s", scratch_file("needs"), "");
	ask(packed, got);
	compare(wanted, got);
	forget(got);
	shell("cp %s %s", built("tests/target/ordinary"), program); /* rebuilt */
	ask(packed, got);
	compare(wanted, got);
	forget(got);
	forget(wanted);
	wanted[0] = say((const char *[]){"report", trace, NULL});
	assert_null(strstr(wanted[0], "dlopen_loop.c:")); /* the other one has lost them */
	free(wanted[0]);
	figures = packed_of(packed);
	assert_true(number(figures, "modules") >= 3);
	assert_true(number(figures, "addresses") > 0);
	json_decref(figures);
}

/* By the system calls: nothing that the trace names is opened, and nobody is made who would. */
static void
no_file_of_the_trace_is_opened(void **state)
{
	const char *trace = scratch_file("opened.vmt");
	const char *log = scratch_file("opened.strace");
	const char *program = install("opened");
	const char *const argv[] = {"strace",	      "-f",	"-o",  log,
				    built("vmtrace"), "report", trace, NULL};
	char line[4096];
	struct run run;
	FILE *file;
	unsigned opened = 0;

	(void)state;
	record_service(program, trace);
	for (int is_packed = 0; is_packed < 2; is_packed++) {
		unsigned found = 0, children = 0;

		if (is_packed)
			pack(trace, NULL);
		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 0);
		run_free(&run);
		file = fopen(log, "r");
		assert_non_null(file);
		while (fgets(line, sizeof(line), file)) {
			opened += strstr(line, "opened.vmt") != NULL;
			children += strstr(line, "clone") || strstr(line, "fork(");
			found +=
			    strstr(line, "open") &&
			    (strstr(line, "opened/service") || strstr(line, "plugin_small") ||
			     strstr(line, "/usr/lib/debug") || strstr(line, "libvmtrace.so\""));
		}
		fclose(file);
		assert_int_equal(children > 0, !is_packed);
		assert_int_equal(found > 0, !is_packed);
	}
	assert_true(opened >= 2);
}

/* Where the files are gone, what was packed once stays; the same bytes come out again. */
static void
packing_again_keeps_names(void **state)
{
	const char *trace = scratch_file("again.vmt");
	const char *program = install("again");
	char *wanted[ANSWERS], *got[ANSWERS];
	struct stat before, after;

	(void)state;
	record_service(program, trace);
	chmod(trace, 0640);
	pack(trace, NULL);
	ask(trace, wanted);
	assert_int_equal(stat(trace, &before), 0);
	shell("cp %s %s", trace, scratch_file("again-first.vmt"));
	shell("rm -r %s/*%s", scratch_file("again"), "");
	pack(trace, NULL);
	ask(trace, got);
	compare(wanted, got);
	assert_string_equal(wanted[3], got[3]);
	assert_int_equal(stat(trace, &after), 0);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(after.st_ino != before.st_ino); /* another file took its place, whole */
	forget(got);
	forget(wanted);
}

/* Root packs a service's trace, which the service's user reads then as before. */
static void
a_packed_trace_is_its_owners(void **state)
{
	const char *trace = scratch_file("owned.vmt");
	const char *program = install("owned");
	struct stat status;

	(void)state;
	if (getuid() != 0)
		skip();
	record_service(program, trace);
	assert_int_equal(chown(trace, 65534, 65533), 0);
	assert_int_equal(chmod(trace, 0640), 0);
	pack(trace, NULL);
	assert_int_equal(stat(trace, &status), 0);
	assert_int_equal(status.st_uid, 65534);
	assert_int_equal(status.st_gid, 65533);
	assert_int_equal(status.st_mode & 0777, 0640);
}

/* Who can't give the packed one to its owner leaves what was there. */
static void
a_trace_that_can_not_be_given_back_stays(void **state)
{
	const char *trace = scratch_file("foreign.vmt");
	const char *program = install("foreign");
	struct stat before, after;
	struct run run;
	const char *const argv[] = {
	    "setpriv", "--bounding-set", "-chown", built("vmtrace"), "pack", trace, NULL};

	(void)state;
	if (getuid() != 0)
		skip();
	record_service(program, trace);
	assert_int_equal(chown(trace, 65534, 65534), 0);
	assert_int_equal(stat(trace, &before), 0);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 2);
	assert_non_null(strstr(run.err, "can't write"));
	run_free(&run);
	assert_int_equal(stat(trace, &after), 0);
	assert_true(after.st_ino == before.st_ino && after.st_uid == 65534);
	assert_int_equal(after.st_size, before.st_size);
}

static void
a_cut_trace_stays_cut(void **state)
{
	const char *trace = scratch_file("cut.vmt");
	const char *program = install("cut");
	char *wanted[ANSWERS], *got[ANSWERS];
	struct stat status;
	json_t *whole;

	(void)state;
	record_service(program, trace);
	assert_int_equal(stat(trace, &status), 0);
	assert_int_equal(truncate(trace, status.st_size - 60), 0);
	ask(trace, wanted);
	pack(trace, NULL);
	ask(trace, got);
	compare(wanted, got);
	whole = report(trace, no_options);
	assert_true(number(member(whole, "loss"), "cut_bytes") > 0);
	json_decref(whole);
	forget(got);
	forget(wanted);
}

static void
a_trace_that_grows_is_packed_as_a_copy(void **state)
{
	const char *trace = scratch_file("grows.vmt");
	const char *copy = scratch_file("grows-copy.vmt");
	const char *const refused[] = {built("vmtrace"), "pack", trace, NULL};
	struct conversation talk;
	struct run run;

	(void)state;
	converse_start(&talk,
		       (const char *[]){built("vmtrace"), "record", "-o", trace, "--", "sh", "-c",
					"echo ready; read word", NULL},
		       NULL);
	converse_read_line(&talk);
	run_program(&run, refused, NULL);
	assert_int_not_equal(run.exit_status, 0);
	assert_non_null(strstr(run.err, "still runs"));
	run_free(&run);
	pack(trace, copy);
	converse_end(&talk);
	free(say((const char *[]){"report", copy, NULL}));
	pack(trace, NULL);
}

static bool
names(const char *text, const char *line)
{
	return strstr(text, line) != NULL;
}

static void
expect_names(const char *const words[], bool of_program, bool of_plugin)
{
	char *text = say(words);

	assert_int_equal(names(text, "dlopen_loop.c:"), of_program);
	assert_int_equal(names(text, "plugin_small.c:"), of_plugin);
	free(text);
}

/* An image of a pod has the program, and a link to where its plugin is: absolute, of the image. */
static void
files_are_found_below_a_sysroot(void **state)
{
	const char *trace = scratch_file("rooted.vmt");
	const char *packed = scratch_file("rooted-packed.vmt");
	const char *program = install("rooted");
	const char *place = scratch_file("rooted");
	const char *root = scratch_file("root");
	const char *const bare[] = {"report", trace, "--frames", "50", NULL};
	const char *const below[] = {"report", trace, "--frames", "50", "--sysroot", root, NULL};
	const char *const carried[] = {"report", packed, "--frames", "50", NULL};
	const char *const both[] = {"diff", trace, trace, "--sysroot", root, NULL};
	const char *const pack_it[] = {"pack", trace, "-o", packed, "--sysroot", root, NULL};
	const char *const bad[] = {built("vmtrace"), "report", trace, "--sysroot", trace, NULL};
	struct run run;

	(void)state;
	record_service(program, trace);
	expect_names(bare, true, true);
	shell("mkdir -p %s%s", root, place);
	shell("mv %s/service %s/program", place, root);
	shell("mv %s/plugin_small %s/plugin", place, root);
	expect_names(bare, false, false);
	expect_names(below, false, false);
	shell("ln -s /program %s%s/service", root, place);
	shell("ln -s ../../../../../../../../../../../../../../plugin %s%s/plugin_small", root,
	      place);
	expect_names(below, true, true);
	free(say(both));
	free(say(pack_it));
	expect_names(carried, true, true);
	shell("mv %s/plugin %s/plugin", root, place); /* where the link leads outside of it */
	shell("ln -sf %s/plugin %s/plugin", place, root);
	expect_names(below, true, false);
	run_program(&run, bad, NULL);
	assert_int_equal(run.exit_status, 2);
	run_free(&run);
}

/* By gzip and zstd, whatever the name; a directory's list has them, too. */
static void
compressed_traces_are_read_as_they_are(void **state)
{
	const char *trace = scratch_file("plain.vmt");
	const char *place = scratch_file("archive");
	const char *program = install("compressed");
	static const char *const names[] = {"a.vmt.gz", "b.vmt.zst", "c.vmt"};
	char *wanted[ANSWERS], *got[ANSWERS];
	const char *const list[] = {"report", place, NULL};
	const char *const pack_it[] = {built("vmtrace"), "pack", NULL, NULL};
	char *text;

	(void)state;
	record_service(program, trace);
	ask(trace, wanted);
	shell("mkdir %s%s", place, "");
	shell("gzip -c %s > %s/a.vmt.gz", trace, place);
	shell("zstd -q -c %s > %s/b.vmt.zst", trace, place);
	shell("cp %s/b.vmt.zst %s/c.vmt", place, place);
	text = say(list);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[4096];
		const char *const packing[] = {pack_it[0], pack_it[1], path, NULL};
		struct run run;

		assert_non_null(strstr(text, names[i]));
		snprintf(path, sizeof(path), "%s/%s", place, names[i]);
		ask(path, got);
		compare(wanted, got);
		assert_string_equal(wanted[3], got[3]);
		forget(got);
		run_program(&run, packing, NULL);
		assert_int_equal(run.exit_status, 2);
		assert_non_null(strstr(run.err, "is compressed"));
		run_free(&run);
		pack(path, scratch_file("expanded.vmt"));
		ask(scratch_file("expanded.vmt"), got);
		compare(wanted, got);
		forget(got);
	}
	free(text);
	forget(wanted);
}

static void
record_packs_when_asked_to(void **state)
{
	const char *trace = scratch_file("asked.vmt");
	const char *program = install("asked");
	const char *const argv[] = {program, "5", NULL};
	const char *const options[] = {"--pack", NULL};
	json_t *figures;
	struct run run;

	(void)state;
	record(&run, trace, options, argv);
	assert_int_equal(run.exit_status, 0);
	assert_null(strstr(run.err, "not packed"));
	run_free(&run);
	shell("rm -r %s/*%s", scratch_file("asked"), "");
	figures = packed_of(trace);
	assert_true(number(figures, "addresses") > 0);
	json_decref(figures);
	expect_names((const char *[]){"report", trace, "--frames", "50", NULL}, true, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_packed_trace_needs_none_of_the_files),
	    cmocka_unit_test(a_diff_needs_none_of_the_files),
	    cmocka_unit_test(no_file_of_the_trace_is_opened),
	    cmocka_unit_test(packing_again_keeps_names),
	    cmocka_unit_test(a_packed_trace_is_its_owners),
	    cmocka_unit_test(a_trace_that_can_not_be_given_back_stays),
	    cmocka_unit_test(a_cut_trace_stays_cut),
	    cmocka_unit_test(a_trace_that_grows_is_packed_as_a_copy),
	    cmocka_unit_test(files_are_found_below_a_sysroot),
	    cmocka_unit_test(compressed_traces_are_read_as_they_are),
	    cmocka_unit_test(record_packs_when_asked_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
