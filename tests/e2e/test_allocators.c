/*
 * test_allocators.c: is what an allocator mapped the allocator's, whichever blocks were sampled?
 *
 * Other allocators than glibc's, preloaded behind the library: the classes of a sampled recording
 * are those of one that has every block, and nothing moved to diff between two
 * sampled ones. Of those that are linked into the program no block is seen: the first lines say so.
 */
#include "tests/e2e/living.h"
#include "tests/soak.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLE_BYTES 65536.0

#define DIRECTORY "/usr/lib/x86_64-linux-gnu/"

static const char *libraries[] = {
    NULL, /* glibc's own */
    DIRECTORY "libjemalloc.so.2",
    DIRECTORY "libtcmalloc_minimal.so.4",
    DIRECTORY "libmimalloc.so.2",
};

#define LIBRARIES (sizeof(libraries) / sizeof(libraries[0]))

struct figures {
	double live;
	double retained;
	double either; /* where blocks are not recorded */
	double mmap;
	double all;
	double rest; /* of RSS, without vmtrace */
};

static struct figures
figures_of(const char *trace)
{
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});
	struct figures figures = {
	    .live = (double)class_committed(root, "malloc live"),
	    .retained = (double)class_committed(root, "malloc retained"),
	    .either = (double)class_committed(root, "malloc, live or free"),
	    .mmap = (double)class_committed(root, "mmap"),
	};

	check_report(root);
	figures.all = figures.live + figures.retained + figures.either + figures.mmap;
	figures.rest = (double)number(member(root, "snapshot"), "rss_bytes") - figures.all -
		       (double)class_committed(root, "vmtrace");
	json_decref(root);
	return figures;
}

/* The program waits with what it has until a snapshot was taken. */
static struct figures
record_program(const char *program, const char *library, const char *mode, unsigned seed,
	       const char *trace)
{
	static struct conversation talk;
	char seed_text[16];
	char live_text[32];
	const char *const argv[] = {
	    built("vmtrace"), "record", "--malloc", mode, "--seed", seed_text, "-o", trace, "--",
	    program,	      NULL};

	snprintf(seed_text, sizeof(seed_text), "%u", seed);
	converse_start(&talk, argv,
		       library ? (const char *const[]){variable("LD_PRELOAD", library), NULL}
			       : NULL);
	converse_read_line(&talk);
	snprintf(live_text, sizeof(live_text), "live %u", 300000 * 8 + 4688 * 200);
	assert_string_equal(talk.line, live_text);
	living_snapshot(trace);
	assert_int_equal(converse_end(&talk), 0);
	return figures_of(trace);
}

static struct figures
record_churn(const char *library, const char *mode, unsigned seed, const char *trace)
{
	return record_program(built("tests/target/churn"), library, mode, seed, trace);
}

static void
assert_near(double figure, double truth, double error)
{
	if (fabs(figure - truth) > error)
		print_error("%.0f is not within %.0f of %.0f\n", figure, error, truth);
	assert_true(fabs(figure - truth) <= error);
}

static void
expect_nothing_moved(const char *a, const char *b)
{
	struct run run;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", "--at", "end", "--format",
					  "json", a, b, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	json_t *root = json_loads(run.out, 0, NULL);

	assert_non_null(root);
	/* How much address space jemalloc asks for differs by where the kernel puts it. */
	assert_string_not_equal(json_string_value(member(member(root, "verdict"), "kind")),
				"moved");
	json_decref(root);
	run_free(&run);
}

static void
check_allocator(const char *library)
{
	const char *const first = scratch_file("churn-1.vmt");
	struct figures truth = record_churn(library, "all", 1, scratch_file("churn-all.vmt"));
	double live = truth.live;
	unsigned seeds = (unsigned)soak_count(3, 10);

	assert_near(live, 300000 * 8 + 4688 * 200, 65536);
	assert_true(truth.retained > 40e6);
	assert_true(truth.mmap == 0);
	for (unsigned seed = 1; seed <= seeds; seed++) {
		char name[32];

		snprintf(name, sizeof(name), "churn-%u.vmt", seed);
		const char *trace = scratch_file(name);
		struct figures found = record_churn(library, "sampled", seed, trace);

		/* jemalloc has 2 MiB more in some runs, in RSS as well. */
		assert_near(found.rest, truth.rest, truth.all * .03);
		assert_near(found.mmap, truth.mmap, truth.all * .03);
		assert_true((found.live - live) * (found.live - live) <= 9 * SAMPLE_BYTES * live);
		assert_true(found.either == 0);
		if (seed > 1)
			expect_nothing_moved(first, trace);
	}
}

static void
a_region_has_one_owner_whatever_was_sampled(void **state)
{
	(void)state;
	for (size_t i = 0; i < LIBRARIES; i++) {
		print_message("%s\n", libraries[i] ? libraries[i] : "glibc");
		if (libraries[i])
			assert_int_equal(access(libraries[i], R_OK), 0);
		check_allocator(libraries[i]);
	}
}

/* Nothing is said of live and free where no block was recorded. */
static void
without_blocks_live_and_free_are_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < LIBRARIES; i++) {
		struct figures truth =
		    record_churn(libraries[i], "all", 1, scratch_file("off-all.vmt"));
		struct figures found =
		    record_churn(libraries[i], "off", 1, scratch_file("off.vmt"));

		assert_true(found.live == 0);
		assert_true(found.retained == 0);
		/* The table of pointers, which glibc maps for itself, is seen by its block alone.
		 */
		assert_near(found.either, truth.all - (libraries[i] ? 0 : 300000 * 8),
			    truth.all * .05);
	}
}

struct archive {
	const char *preloaded; /* the same allocator, all of whose blocks can be seen */
	const char *path;
	const char *strip;
};

static const char *
link_churn(const struct archive *archive)
{
	const char *const program = scratch_file("churn_static");
	const char *const argv[] = {"gcc",
				    "-g",
				    "-O1",
				    archive->strip,
				    "-o",
				    program,
				    "tests/target/churn.c",
				    archive->path,
				    "-lstdc++",
				    "-lm",
				    NULL};
	struct run run;

	assert_int_equal(access(archive->path, R_OK), 0);
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		print_error("%s\n", run.err);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return program;
}

static void
expect_text(const char *trace, const char *part, bool is_there)
{
	const char *const argv[] = {built("vmtrace"), "report", "--at=end", trace, NULL};
	struct run run;

	run_program(&run, argv, (const char *const[]){"COLUMNS=600", NULL});
	assert_int_equal(run.exit_status, 0);
	if ((strstr(run.out, part) != NULL) != is_there)
		fail_msg("%s \"%s\" in: %s", is_there ? "no" : "there is", part, run.out);
	run_free(&run);
}

/* The allocator's functions come to the recorder by a change at their entries. Stripped, the
 * dynamic symbols are left: a program that defines malloc gives its libraries all of the family. */
static void
check_archive(const struct archive *archive)
{
	const double live = 300000 * 8 + 4688 * 200;
	const struct figures truth =
	    record_churn(archive->preloaded, "all", 1, scratch_file("preloaded.vmt"));
	const char *program = link_churn(archive);

	for (unsigned seed = 1; seed <= 2; seed++) {
		const char *trace = scratch_file(seed == 1 ? "static-1.vmt" : "static-2.vmt");
		struct figures found = record_program(program, NULL, "sampled", seed, trace);

		assert_true((found.live - live) * (found.live - live) <= 9 * SAMPLE_BYTES * live);
		assert_near(found.live + found.retained + found.mmap, truth.all, truth.all * .05);
		/* What it maps before it is led there has no names when stripped. */
		assert_near(found.mmap, 0,
			    truth.all * (strcmp(archive->strip, "-s") == 0 ? .1 : .03));
		assert_true(found.either == 0);
		expect_text(trace, "its own malloc", false);
		expect_text(trace, "unbiased estimates", true);
	}
	expect_nothing_moved(scratch_file("static-1.vmt"), scratch_file("static-2.vmt"));
}

/* Blocks of an allocator in the program itself pass no hook. */
static void
a_linked_allocator_is_recorded_as_a_loaded_one(void **state)
{
	static const char *const jemalloc = DIRECTORY "libjemalloc.a";
	static const char *const tcmalloc = DIRECTORY "libtcmalloc_minimal.a";
	const struct archive archives[] = {
	    {libraries[1], jemalloc, "-pthread"},
	    {libraries[1], jemalloc, "-s"},
	    {libraries[2], tcmalloc, "-pthread"},
	    {libraries[2], tcmalloc, "-s"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(archives) / sizeof(archives[0]); i++) {
		print_message("%s %s\n", archives[i].path, archives[i].strip);
		check_archive(&archives[i]);
	}
}

/* What is a malloc's function by its name, but can't be changed at its entry. */
static void
what_can_not_be_led_is_said(void **state)
{
	const char *const program = scratch_file("short");
	const char *const argv[] = {
	    "gcc", "-g", "-O1", "-o", program, "tests/target/own_malloc_short.c", NULL};
	const char *trace = scratch_file("short.vmt");
	struct run run;
	json_t *root;

	(void)state;
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	record(&run, trace, NULL, (const char *const[]){program, NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "made and released\n");
	run_free(&run);
	expect_text(trace, "The program has its own malloc: its blocks are not recorded", true);
	expect_text(trace, "could not be led to the recorder", true);
	root = report(trace, NULL);
	assert_true(json_is_true(member(member(root, "coverage"), "own_malloc")));
	json_decref(root);
}

/* A caller that saw its allocator goes by which registers that one uses, vector registers too. */
static void
registers_that_callers_keep_are_unharmed(void **state)
{
	static const char *const modes[] = {"all", "sampled:4KiB", "sampled"};
	const char *const argv[] = {built("tests/target/ipa_registers"), "2", NULL};
	const char *trace = scratch_file("registers.vmt");

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const char *const options[] = {"--malloc", modes[i], NULL};
		struct run run;
		json_t *root;

		record(&run, trace, options, argv);
		assert_int_equal(run.exit_status, 0);
		assert_string_equal(run.out, "broken: 0 of 4000 calls\n");
		run_free(&run);
		root = report(trace, NULL);
		if (i == 0)
			assert_int_equal(site_sum(root, "malloc", "call_malloc", "count"), 2000);
		assert_true(site_sum(root, "malloc", "call_malloc", "count") > 0);
		json_decref(root);
	}
}

/* Debian 12 has version 2 of mimalloc, later ones version 3. */
static int
find_libraries(void **state)
{
	(void)state;
	if (access(libraries[LIBRARIES - 1], R_OK) != 0)
		libraries[LIBRARIES - 1] = DIRECTORY "libmimalloc.so.3";
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_region_has_one_owner_whatever_was_sampled),
	    cmocka_unit_test(without_blocks_live_and_free_are_one),
	    cmocka_unit_test(a_linked_allocator_is_recorded_as_a_loaded_one),
	    cmocka_unit_test(what_can_not_be_led_is_said),
	    cmocka_unit_test(registers_that_callers_keep_are_unharmed),
	};

	return cmocka_run_group_tests_name("allocators", tests, find_libraries, NULL);
}
