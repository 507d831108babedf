/*
 * test_pack.c: does a packed trace say the same where none of the program's files are?
 *
 * A program and its plugin are copied into a directory of their own, recorded there, and removed;
 * or another program takes the place. What was said of the trace while they were there is what its
 * packed copy has to say.
 */
#include "tests/e2e/service.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const no_options[] = {NULL};

static void
pack(const char *trace, const char *output)
{
	char *said =
	    service_say((const char *[]){"pack", trace, output ? "-o" : NULL, output, NULL});

	free(said);
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
	const char *program = service_install("diff");
	char *wanted[2], *got[2];

	(void)state;
	service_record(program, a);
	service_record(program, b);
	wanted[0] = service_say(text);
	wanted[1] = service_say(json);
	assert_non_null(strstr(wanted[1], "plugin_small.c"));
	pack(a, NULL);
	pack(b, NULL);
	shell("rm -r %s/*", scratch_file("diff"));
	got[0] = service_say(text);
	got[1] = service_say(json);
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
	const char *program = service_install("needs");
	char *wanted[SERVICE_ANSWERS], *got[SERVICE_ANSWERS];
	json_t *figures;

	(void)state;
	service_record(program, trace);
	service_ask(trace, wanted);
	assert_non_null(strstr(wanted[0], "plugin_small.c:"));
	assert_non_null(strstr(wanted[0], "dlopen_loop.c:"));
	figures = packed_of(trace);
	assert_true(json_is_null(figures));
	json_decref(figures);
	pack(trace, packed);
	service_ask(packed, got); /* with its files there, and other ones */
	service_compare(wanted, got);
	service_forget(got);
	shell("rm -r %s/*", scratch_file("needs"));
	service_ask(packed, got);
	service_compare(wanted, got);
	service_forget(got);
	shell("cp %s %s", built("tests/target/ordinary"), program); /* rebuilt */
	service_ask(packed, got);
	service_compare(wanted, got);
	service_forget(got);
	service_forget(wanted);
	wanted[0] = service_say((const char *[]){"report", trace, NULL});
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
	const char *program = service_install("opened");
	const char *const argv[] = {"strace",	      "-f",	"-o",  log,
				    built("vmtrace"), "report", trace, NULL};
	char line[4096];
	struct run run;
	FILE *file;
	unsigned opened = 0;

	(void)state;
	service_record(program, trace);
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
	const char *program = service_install("again");
	char *wanted[SERVICE_ANSWERS], *got[SERVICE_ANSWERS];
	struct stat before, after;

	(void)state;
	service_record(program, trace);
	chmod(trace, 0640);
	pack(trace, NULL);
	service_ask(trace, wanted);
	assert_int_equal(stat(trace, &before), 0);
	shell("cp %s %s", trace, scratch_file("again-first.vmt"));
	shell("rm -r %s/*", scratch_file("again"));
	pack(trace, NULL);
	service_ask(trace, got);
	service_compare(wanted, got);
	assert_string_equal(wanted[3], got[3]);
	assert_int_equal(stat(trace, &after), 0);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(after.st_ino != before.st_ino); /* another file took its place, whole */
	service_forget(got);
	service_forget(wanted);
}

/* Root packs a service's trace, which the service's user reads then as before. */
static void
a_packed_trace_is_its_owners(void **state)
{
	const char *trace = scratch_file("owned.vmt");
	const char *program = service_install("owned");
	struct stat status;

	(void)state;
	if (getuid() != 0)
		skip();
	service_record(program, trace);
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
	const char *program = service_install("foreign");
	struct stat before, after;
	struct run run;
	const char *const argv[] = {
	    "setpriv", "--bounding-set", "-chown", built("vmtrace"), "pack", trace, NULL};

	(void)state;
	if (getuid() != 0)
		skip();
	service_record(program, trace);
	assert_int_equal(chown(trace, 65534, 65534), 0);
	assert_int_equal(stat(trace, &before), 0);
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 2);
	assert_non_null(says(run.err, "can't write"));
	run_free(&run);
	assert_int_equal(stat(trace, &after), 0);
	assert_true(after.st_ino == before.st_ino && after.st_uid == 65534);
	assert_int_equal(after.st_size, before.st_size);
}

static void
a_cut_trace_stays_cut(void **state)
{
	const char *trace = scratch_file("cut.vmt");
	const char *program = service_install("cut");
	char *wanted[SERVICE_ANSWERS], *got[SERVICE_ANSWERS];
	struct stat status;
	json_t *whole;

	(void)state;
	service_record(program, trace);
	assert_int_equal(stat(trace, &status), 0);
	assert_int_equal(truncate(trace, status.st_size - 60), 0);
	service_ask(trace, wanted);
	pack(trace, NULL);
	service_ask(trace, got);
	service_compare(wanted, got);
	whole = report(trace, no_options);
	assert_true(number(member(whole, "loss"), "cut_bytes") > 0);
	json_decref(whole);
	service_forget(got);
	service_forget(wanted);
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
	assert_non_null(says(run.err, "still runs"));
	run_free(&run);
	pack(trace, copy);
	converse_end(&talk);
	free(service_say((const char *[]){"report", copy, NULL}));
	pack(trace, NULL);
}

static void
record_packs_when_asked_to(void **state)
{
	const char *trace = scratch_file("asked.vmt");
	const char *program = service_install("asked");
	const char *const argv[] = {program, "5", NULL};
	const char *const options[] = {"--pack", NULL};
	json_t *figures;
	struct run run;

	(void)state;
	record(&run, trace, options, argv);
	assert_int_equal(run.exit_status, 0);
	assert_null(says(run.err, "not packed"));
	run_free(&run);
	shell("rm -r %s/*", scratch_file("asked"));
	figures = packed_of(trace);
	assert_true(number(figures, "addresses") > 0);
	json_decref(figures);
	service_expect_names((const char *[]){"report", trace, "--frames", "50", NULL}, true, true);
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
	    cmocka_unit_test(record_packs_when_asked_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
