/*
 * test_retained.c: is what malloc holds beside live blocks what malloc_trim finds?
 *
 * A program makes a heap in a shape, a snapshot is taken, then it calls malloc_trim and says what
 * came back: that is the report's figure of free pages, exactly where every block was recorded, and
 * about where they were sampled.
 */
#include "tests/e2e/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

struct shape {
	const char *name;
	const char *pinning; /* whose blocks keep the most; NULL: nobody's worth naming */
	/* How far off the estimate from samples may be, of what is held: five deviations where a
	 * megabyte lives, as in burst, of which 15 blocks are sampled; as many of tiny's 350. */
	double about;
	int64_t overhead_bytes;
	int64_t overhead_error_bytes;
};

static const struct shape shapes[] = {
    {"burst", "make_block", .5, 4688 * 8, 65536},
    {"tiny", NULL, .25, INT64_C(1000000) * 23, 65536},
    {"frames", NULL, .1, 12 * 16, 65536},
    {"thread", "make_block", .5, 4688 * 8, 65536},
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

struct found {
	int64_t free_pages;
	int64_t pinned;
	int64_t overhead;
	int64_t came_back;
};

/* Sites pin no more than is free; the one that pins most is the one that should. */
static void
check_pinning(json_t *root, const struct shape *shape, int64_t free_bytes)
{
	int64_t all = 0;
	int64_t of_it = 0;
	json_t *site;
	size_t i;

	json_array_foreach(member(root, "sites"), i, site)
	{
		json_t *frame = json_array_get(member(site, "frames"), 0);
		int64_t pins = number(site, "pins_bytes");
		const char *function = NULL;

		all += pins;
		for (size_t j = 0; j < 3 && frame && !function; j++) {
			frame = json_array_get(member(site, "frames"), j);
			function = frame ? json_string_value(member(frame, "function")) : NULL;
			if (function && strncmp(function, "make_", 5) != 0)
				function = NULL;
		}
		if (shape->pinning && function &&
		    strncmp(function, shape->pinning, strlen(shape->pinning)) == 0)
			of_it += pins;
	}
	assert_true(all <= free_bytes + (int64_t)i);
	if (shape->pinning && free_bytes > MIB)
		assert_true(of_it > free_bytes / 2);
}

static struct found
try_shape(const struct shape *shape, const char *mode)
{
	static struct conversation talk;
	const char *trace = scratch_file("retained.vmt");
	const char *const argv[] = {built("vmtrace"),
				    "record",
				    "--malloc",
				    mode,
				    "-o",
				    trace,
				    "--",
				    built("tests/target/retained"),
				    shape->name,
				    NULL};
	struct found found;

	unlink(trace);
	converse_start(&talk, argv, NULL);
	converse_read_line(&talk);
	assert_string_equal(talk.line, "ready");
	living_snapshot(trace);
	json_t *root = report(trace, NULL);
	json_t *retained = member(root, "retained");

	check_report(root);
	assert_string_equal(json_string_value(member(retained, "allocator")), "glibc");
	assert_true(json_is_true(member(retained, "is_split")));
	assert_int_equal(json_is_true(member(retained, "estimate")), strcmp(mode, "all") != 0);
	found.free_pages = number(retained, "free_page_bytes");
	found.pinned = number(retained, "pinned_bytes");
	found.overhead = number(retained, "overhead_bytes");
	assert_int_equal(found.free_pages + found.pinned + found.overhead,
			 class_committed(root, "malloc retained"));
	if (strcmp(shape->name, "frames") == 0) /* whose notes may not have been sampled */
		assert_true(strcmp(mode, "all") != 0 ||
			    site_sum(root, "malloc", "make_note", "pins_bytes") >
				found.free_pages / 2);
	check_pinning(root, shape, found.free_pages + found.pinned);
	json_decref(root);
	close(talk.to);
	talk.to = -1;
	converse_read_line(&talk);
	assert_int_equal(sscanf(talk.line, "came back %ld", &found.came_back), 1);
	assert_int_equal(converse_end(&talk), 0);
	return found;
}

static void
every_block_recorded_is_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHAPES; i++) {
		struct found found = try_shape(&shapes[i], "all");

		print_message("%s: free pages %ld, came back %ld, pinned %ld, overhead %ld\n",
			      shapes[i].name, found.free_pages, found.came_back, found.pinned,
			      found.overhead);
		/* The last free chunk of a thread's arena stays; thread caches keep some blocks. */
		assert_true(labs(found.free_pages - found.came_back) <= MIB / 8);
		assert_true(labs(found.overhead - shapes[i].overhead_bytes) <=
			    shapes[i].overhead_error_bytes);
	}
}

static void
samples_tell_it_about(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHAPES; i++) {
		struct found found = try_shape(&shapes[i], "sampled");
		int64_t all = found.free_pages + found.pinned + found.overhead;

		print_message("%s: free pages about %ld, came back %ld, overhead about %ld\n",
			      shapes[i].name, found.free_pages, found.came_back, found.overhead);
		assert_true(labs(found.free_pages - found.came_back) <=
			    (int64_t)(shapes[i].about * (double)all));
		assert_true(labs(found.overhead - shapes[i].overhead_bytes) <=
			    (int64_t)(shapes[i].about * (double)all));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_block_recorded_is_exact),
	    cmocka_unit_test(samples_tell_it_about),
	};

	return cmocka_run_group_tests_name("retained", tests, NULL, NULL);
}
