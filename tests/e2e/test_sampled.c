/*
 * test_sampled.c: are the estimates of sampled malloc unbiased, and as precise as they must be?
 *
 * The target makes the same blocks at every run and knows what each figure's variance is. For each
 * of 20 seeds the sum over all sites must lie within 3 standard errors of the truth, each single
 * one of the many figures within 4.5; and over all seeds each must scatter as it should: too little
 * would be as wrong as too much. Counts of blocks of mixed sizes are left out: a few tiny blocks
 * that stand for thousands make them anything but normally distributed.
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 20

/* Squares of standard errors. */
#define SUM_MOST (3 * 3)
#define SITE_MOST (4.5 * 4.5)

/* 1 in 1000 of chi squared with 20 degrees of freedom lies beyond either. */
#define SCATTER_LEAST 5.92
#define SCATTER_MOST 45.31

static const struct {
	const char *kind;
	const char *function;
	const char *truth; /* figure FUNCTION.TRUTH, and its variance */
	const char *report;
} figures[] = {
    {"malloc", "equal_block", "calls", "count"},
    {"malloc", "equal_block", "live", "live_count"},
    {"malloc", "large_block", "calls", "count"},
    {"malloc", "large_block", "live", "live_count"},
    {"malloc", "equal_block", "bytes", "total_reserved_bytes"},
    {"malloc", "mixed_block", "bytes", "total_reserved_bytes"},
    {"calloc", "zeroed_block", "bytes", "total_reserved_bytes"},
    {"malloc", "large_block", "bytes", "total_reserved_bytes"},
    {"realloc", "grown_block", "bytes", "total_reserved_bytes"},
    {"malloc", "equal_block", "live_bytes", "reserved_bytes"},
    {"malloc", "mixed_block", "live_bytes", "reserved_bytes"},
    {"calloc", "zeroed_block", "live_bytes", "reserved_bytes"},
    {"malloc", "large_block", "live_bytes", "reserved_bytes"},
    {"realloc", "grown_block", "live_bytes", "reserved_bytes"},
};

#define FIGURES (sizeof(figures) / sizeof(figures[0]))

struct estimate {
	double off;
	double variance;
};

static double
truth_of(json_t *books, size_t figure, const char *suffix)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.%s%s", figures[figure].function, figures[figure].truth,
		 suffix);
	return (double)number(member(books, "figures"), name);
}

static struct estimate
estimate_of(json_t *books, json_t *root, size_t figure)
{
	int64_t have =
	    site_sum(root, figures[figure].kind, figures[figure].function, figures[figure].report);

	return (struct estimate){.off = (double)have - truth_of(books, figure, ""),
				 .variance = truth_of(books, figure, "_variance")};
}

/* The square of how far off it is, in standard errors. What has no error must be exact. */
static double
square_of(struct estimate estimate)
{
	if (estimate.variance == 0) {
		assert_true(estimate.off == 0);
		return 0;
	}
	return estimate.off * estimate.off / estimate.variance;
}

/* What is live was made and not released, in estimates as in truth; each is rounded to a byte. */
static void
check_balance(json_t *root)
{
	json_t *site;
	size_t i;

	json_array_foreach(member(root, "sites"), i, site)
	{
		int64_t made = number(site, "total_reserved_bytes");
		int64_t released = number(site, "released_bytes");
		int64_t live = number(site, "reserved_bytes");

		assert_true(llabs(made - released - live) <= 2);
	}
}

static void
check_no_loss(json_t *root)
{
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "loss"), "samples_dropped"), 0);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
}

static void
compare(int seed, json_t *books, json_t *root, double squares[FIGURES])
{
	struct estimate sum = {0, 0};

	for (size_t figure = 0; figure < FIGURES; figure++) {
		struct estimate estimate = estimate_of(books, root, figure);
		double square = square_of(estimate);

		if (square > SITE_MOST)
			fail_msg("seed %d: %s of %s: squared standard errors %.1f", seed,
				 figures[figure].truth, figures[figure].function, square);
		squares[figure] += square;
		if (strcmp(figures[figure].truth, "bytes") == 0) {
			sum.off += estimate.off;
			sum.variance += estimate.variance;
		}
	}
	if (square_of(sum) > SUM_MOST)
		fail_msg("seed %d: squared standard errors of all bytes %.1f", seed,
			 square_of(sum));
}

/* The buffer holds every event of a run: a collector that comes late must not cost any. */
static void
check_seed(int seed, const char *mode, const char *interval, double squares[FIGURES])
{
	const char *trace = scratch_file("sampled.vmt");
	char number_of_seed[16];
	struct run run;

	snprintf(number_of_seed, sizeof(number_of_seed), "%d", seed);
	record(&run, trace,
	       (const char *const[]){"--malloc", mode, "--seed", number_of_seed, "--buffer", "2MiB",
				     NULL},
	       (const char *const[]){built("tests/target/sampled_blocks"), interval, NULL});
	assert_int_equal(run.exit_status, 0);
	json_t *books = json_loads(run.out, 0, NULL);
	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

	assert_non_null(books);
	check_report(root);
	check_no_loss(root);
	check_balance(root);
	compare(seed, books, root, squares);
	json_decref(root);
	json_decref(books);
	run_free(&run);
}

static void
check_seeds(const char *mode, const char *interval)
{
	double squares[FIGURES] = {0};

	for (int seed = 1; seed <= SEEDS; seed++)
		check_seed(seed, mode, interval, squares);
	for (size_t figure = 0; figure < FIGURES; figure++)
		if (squares[figure] != 0 &&
		    (squares[figure] < SCATTER_LEAST || squares[figure] > SCATTER_MOST))
			fail_msg("%s of %s: the squares of %d seeds sum up to %.1f",
				 figures[figure].truth, figures[figure].function, SEEDS,
				 squares[figure]);
}

static void
test_default_interval(void **state)
{
	(void)state;
	check_seeds("sampled", "65536");
}

/* Many more samples, so that a bias of a few per cent stands out. */
static void
test_short_interval(void **state)
{
	(void)state;
	check_seeds("sampled:2KiB", "2048");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_default_interval),
	    cmocka_unit_test(test_short_interval),
	};

	return cmocka_run_group_tests_name("sampled malloc", tests, NULL, NULL);
}
