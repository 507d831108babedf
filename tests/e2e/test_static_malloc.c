/*
 * test_static_malloc.c: are the blocks of a program recorded that loads no library?
 *
 * C programs linked with -static, by the C libraries that are there. Their own books say what they
 * hold.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>

/* Links tests/target/static_heap.c. False: this compiler can't. */
static bool
link_heap(const char *program, const char *compiler, const char *flag, const char *other)
{
	const char *const link[] = {compiler,
				    flag,
				    other,
				    "-D_GNU_SOURCE",
				    "-O1",
				    "-g",
				    "-o",
				    program,
				    "tests/target/static_heap.c",
				    NULL};
	char find[128];
	struct run run;
	bool found;

	snprintf(find, sizeof(find), "command -v %s >/dev/null", compiler);
	run_program(&run, (const char *const[]){"sh", "-c", find, NULL}, NULL);
	found = run.exit_status == 0;
	run_free(&run);
	if (!found)
		return false;
	run_program(&run, link, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return true;
}

/* Over the sites whose stacks come through a function. */
static int64_t
held(json_t *root, const char *function, const char *figure)
{
	static const char *const kinds[] = {"malloc",	      "calloc",	       "realloc",
					    "posix_memalign", "aligned_alloc", "memalign"};
	int64_t sum = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		sum += site_sum(root, kinds[i], function, figure);
	return sum;
}

static bool
has_spot(json_t *root, const char *words)
{
	json_t *spot;
	size_t i;

	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i,
			   spot) if (strstr(json_string_value(spot), words)) return true;
	return false;
}

static json_t *
record_heap(const char *program, const char *mode, const char *const options[], struct run *run)
{
	const char *trace = scratch_file("heap.vmt");
	const char *const argv[] = {program, mode, NULL};
	json_t *root;

	record(run, trace, options, argv);
	assert_int_equal(run->exit_status, 0);
	assert_null(strstr(run->err, "not recorded"));
	root = report(trace, NULL);
	check_report(root);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	assert_int_equal(number(member(root, "loss"), "events_missing"), 0);
	return root;
}

static void
check_doctor(const char *program, const char *words)
{
	const char *const argv[] = {built("vmtrace"), "doctor", "--", program, NULL};
	struct run run;

	run_program(&run, argv, (const char *const[]){"COLUMNS=600", NULL});
	assert_int_equal(run.exit_status, 0);
	if (!strstr(run.out, words))
		fail_msg("no \"%s\" in: %s", words, run.out);
	run_free(&run);
}

static const char *const all[] = {"--malloc", "all", NULL};

/* Byte for byte what the program's books say, and nothing bypassed the recorder. */
static void
check_books(const char *compiler, const char *flag, const char *mode)
{
	const char *program = scratch_file("heap");
	long bytes;
	long blocks;
	const char *line;
	struct run run;
	json_t *root;

	if (!link_heap(program, compiler, flag, "-Wall")) {
		printf("skip: no %s\n", compiler);
		skip();
	}
	root = record_heap(program, mode, all, &run);
	line = strstr(run.out, "holds ");
	assert_non_null(line);
	assert_int_equal(sscanf(line, "holds %ld bytes in %ld blocks", &bytes, &blocks), 2);
	assert_int_equal(held(root, "hold", "end_bytes"), bytes);
	assert_int_equal(held(root, "hold", "end_count"), blocks);
	assert_string_equal(json_string_value(member(member(root, "coverage"), "malloc")), "all");
	assert_false(has_spot(root, "bypassed"));
	assert_false(has_spot(root, "allocator in the program's code"));
	check_doctor(program, "blocks are recorded by changing its ");
	json_decref(root);
	run_free(&run);
}

static void
test_glibc(void **state)
{
	(void)state;
	check_books("gcc", "-static", NULL);
}

static void
test_glibc_position_independent(void **state)
{
	(void)state;
	check_books("gcc", "-static-pie", NULL);
}

static void
test_musl(void **state)
{
	(void)state;
	check_books("musl-gcc", "-static", NULL);
}

static void
test_signals(void **state)
{
	(void)state;
	check_books("gcc", "-static", "signals");
}

/* Sampled, as is the default: an estimate, and said to be one. */
static void
test_sampled(void **state)
{
	static const char *const options[] = {"--malloc", "sampled:4096", NULL};
	const char *program = scratch_file("heap");
	struct run run;
	json_t *root;
	long bytes;
	int64_t estimate;

	(void)state;
	assert_true(link_heap(program, "gcc", "-static", "-Wall"));
	root = record_heap(program, NULL, options, &run);
	assert_int_equal(sscanf(strstr(run.out, "holds "), "holds %ld", &bytes), 1);
	estimate = held(root, "hold", "end_bytes");
	/* Of 1,280 blocks of 6 KiB in the mean most are recorded: six standard deviations. */
	assert_in_range(estimate, bytes - bytes / 4, bytes + bytes / 4);
	assert_string_equal(json_string_value(member(member(root, "coverage"), "malloc")),
			    "sampled");
	json_decref(root);
	run_free(&run);
}

/* Without symbols nobody says where malloc is: its mappings are recorded, and that is said. */
static void
test_stripped(void **state)
{
	const char *program = scratch_file("heap");
	struct run run;
	json_t *root;

	(void)state;
	assert_true(link_heap(program, "gcc", "-static", "-s"));
	root = record_heap(program, NULL, all, &run);
	assert_true(has_spot(root, "blocks of a malloc in it are not"));
	check_doctor(program, "no symbol says where that is");
	assert_int_equal(held(root, "hold", "end_count"), 0);
	assert_string_equal(json_string_value(member(member(root, "coverage"), "malloc")), "off");
	json_decref(root);
	run_free(&run);
}

/* Its functions are left alone, and nothing is said of any that could not be led. */
static void
test_off(void **state)
{
	static const char *const options[] = {"--malloc", "off", NULL};
	const char *program = scratch_file("heap");
	struct run run;
	json_t *root;

	(void)state;
	assert_true(link_heap(program, "gcc", "-static", "-Wall"));
	root = record_heap(program, NULL, options, &run);
	assert_true(has_spot(root, "blocks of a malloc in it are not"));
	assert_false(has_spot(root, "of an allocator in the program's code"));
	assert_int_equal(held(root, "hold", "end_count"), 0);
	assert_string_equal(json_string_value(member(member(root, "coverage"), "malloc")), "off");
	json_decref(root);
	run_free(&run);
}

#if defined(__x86_64__)
/* A caller that saw its allocator goes by which registers that one uses. */
static void
test_registers_that_callers_keep(void **state)
{
	static const char *const modes[] = {"all", "sampled:4096"};
	const char *program = scratch_file("registers");
	const char *const link[] = {"gcc",
				    "-static",
				    "-D_GNU_SOURCE",
				    "-DNAME_MALLOC=je_malloc",
				    "-DNAME_FREE=je_free",
				    "-O2",
				    "-g",
				    "-o",
				    program,
				    "tests/target/ipa_registers.c",
				    NULL};
	struct run run;

	(void)state;
	run_program(&run, link, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	for (size_t i = 0; i < 2; i++) {
		const char *const options[] = {"--malloc", modes[i], NULL};
		json_t *root = record_heap(program, "2", options, &run);

		assert_string_equal(run.out, "broken: 0 of 4000 calls\n");
		if (i == 0)
			assert_int_equal(site_sum(root, "malloc", "call_malloc", "count"), 2000);
		assert_true(site_sum(root, "malloc", "call_malloc", "count") > 0);
		json_decref(root);
		run_free(&run);
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glibc),
		cmocka_unit_test(test_glibc_position_independent),
		cmocka_unit_test(test_musl),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_sampled),
		cmocka_unit_test(test_stripped),
		cmocka_unit_test(test_off),
#if defined(__x86_64__)
		cmocka_unit_test(test_registers_that_callers_keep),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
