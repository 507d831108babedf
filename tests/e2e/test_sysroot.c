/*
 * test_sysroot.c: are the files that a trace names found below another root, and is a trace read
 * that was compressed as a whole?
 */
#include "tests/e2e/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const no_options[] = {NULL};

/* An image of a pod has the program, and a link to where its plugin is: absolute, of the image. */
static void
files_are_found_below_a_sysroot(void **state)
{
	const char *trace = scratch_file("rooted.vmt");
	const char *packed = scratch_file("rooted-packed.vmt");
	const char *program = service_install("rooted");
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
	service_record(program, trace);
	service_expect_names(bare, true, true);
	shell("mkdir -p %s%s", root, place);
	shell("mv %s/service %s/program", place, root);
	shell("mv %s/plugin_small %s/plugin", place, root);
	service_expect_names(bare, false, false);
	service_expect_names(below, false, false);
	shell("ln -s /program %s%s/service", root, place);
	shell("ln -s ../../../../../../../../../../../../../../plugin %s%s/plugin_small", root,
	      place);
	service_expect_names(below, true, true);
	free(service_say(both));
	free(service_say(pack_it));
	service_expect_names(carried, true, true);
	shell("mv %s/plugin %s/plugin", root, place); /* where the link leads outside of it */
	shell("ln -sf %s/plugin %s/plugin", place, root);
	service_expect_names(below, true, false);
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
	const char *program = service_install("compressed");
	static const char *const names[] = {"a.vmt.gz", "b.vmt.zst", "c.vmt"};
	char *wanted[SERVICE_ANSWERS], *got[SERVICE_ANSWERS];
	const char *const list[] = {"report", place, NULL};
	const char *const pack_it[] = {built("vmtrace"), "pack", NULL, NULL};
	char *text;

	(void)state;
	service_record(program, trace);
	service_ask(trace, wanted);
	shell("mkdir %s", place);
	shell("gzip -c %s > %s/a.vmt.gz", trace, place);
	shell("zstd -q -c %s > %s/b.vmt.zst", trace, place);
	shell("cp %s/b.vmt.zst %s/c.vmt", place, place);
	text = service_say(list);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[4096];
		const char *const packing[] = {pack_it[0], pack_it[1], path, NULL};
		struct run run;

		assert_non_null(says(text, names[i]));
		snprintf(path, sizeof(path), "%s/%s", place, names[i]);
		service_ask(path, got);
		service_compare(wanted, got);
		assert_string_equal(wanted[3], got[3]);
		service_forget(got);
		run_program(&run, packing, NULL);
		assert_int_equal(run.exit_status, 2);
		assert_non_null(says(run.err, "is compressed"));
		run_free(&run);
		free(service_say(
		    (const char *[]){"pack", path, "-o", scratch_file("expanded.vmt"), NULL}));
		service_ask(scratch_file("expanded.vmt"), got);
		service_compare(wanted, got);
		service_forget(got);
	}
	free(text);
	service_forget(wanted);
}

/* So are those of all traces of a directory. */
static void
a_list_finds_files_below_a_sysroot(void **state)
{
	const char *place = scratch_file("listed");
	const char *root = scratch_file("listed-root");
	const char *list = scratch_file("list");
	char program[4096], trace[4096];
	struct run run;
	char *bare, *below;

	(void)state;
	snprintf(program, sizeof(program), "%s/cache", place);
	snprintf(trace, sizeof(trace), "%s/cache.vmt", list);
	shell("mkdir -p %s %s", place, list);
	shell("mkdir -p %s%s", root, place);
	shell("cp %s %s", built("tests/target/cache_demo"), program);
	record(&run, trace, no_options, (const char *const[]){program, NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	shell("mv %s %s/moved", program, root);
	shell("ln -s /moved %s%s/cache", root, place);
	bare = service_say((const char *[]){"report", list, NULL});
	below = service_say((const char *[]){"report", list, "--sysroot", root, NULL});
	assert_null(strstr(bare, "cache_demo.c:"));
	assert_non_null(strstr(below, "arena_grow cache_demo.c:"));
	free(bare);
	free(below);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_are_found_below_a_sysroot),
	    cmocka_unit_test(a_list_finds_files_below_a_sysroot),
	    cmocka_unit_test(compressed_traces_are_read_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
