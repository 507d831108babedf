/*
 * Makes and frees blocks of mixed sizes, the same at every run, and says what an unbiased sampler
 * with an interval of argv[1] bytes may be wrong by: each block counts as 1/p with probability
 * p = 1 - exp(-size / interval), so its variance is (1 - p) / p, of its bytes size^2 times that.
 * Figures of a site: calls, bytes, live, live_bytes, and each one's variance.
 */
#include "tests/target/truth.h"

#include <math.h>

#define MOST 40000

struct block {
	char *address;
	size_t size;
};

static struct block blocks[MOST];
static size_t block_count;
static uint64_t random_state = UINT64_C(0x2545f4914f6cdd1d);
static double interval;

static size_t
random_below(size_t limit)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (size_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % limit;
}

/* Small sizes are as likely as large ones are, doubling by doubling. */
static size_t
random_size(unsigned least_bits, unsigned most_bits)
{
	size_t base = (size_t)1 << (least_bits + random_below(most_bits - least_bits));

	return base + random_below(base);
}

static NOINLINE char *
equal_block(size_t size)
{
	return malloc(size);
}

static NOINLINE char *
mixed_block(size_t size)
{
	return malloc(size);
}

static NOINLINE char *
zeroed_block(size_t size)
{
	return calloc(size, 1);
}

static NOINLINE char *
large_block(size_t size)
{
	return malloc(size);
}

static NOINLINE char *
grown_block(char *block, size_t size)
{
	return realloc(block, size);
}

struct sums {
	size_t calls;
	size_t bytes;
	size_t live;
	size_t live_bytes;
	double calls_variance;
	double bytes_variance;
	double live_variance;
	double live_bytes_variance;
};

static double
variance_of(size_t size)
{
	return (double)size >= interval ? 0 : 1 / expm1((double)size / interval);
}

static void
count_made(struct sums *sums, size_t size)
{
	sums->calls++;
	sums->bytes += size;
	sums->calls_variance += variance_of(size);
	sums->bytes_variance += variance_of(size) * (double)size * (double)size;
}

static void
count_live(struct sums *sums, size_t size)
{
	sums->live++;
	sums->live_bytes += size;
	sums->live_variance += variance_of(size);
	sums->live_bytes_variance += variance_of(size) * (double)size * (double)size;
}

static void
say(const char *function, const struct sums *sums)
{
	const struct {
		const char *name;
		double value;
	} figures[] = {
	    {"calls", (double)sums->calls},
	    {"bytes", (double)sums->bytes},
	    {"live", (double)sums->live},
	    {"live_bytes", (double)sums->live_bytes},
	    {"calls_variance", sums->calls_variance},
	    {"bytes_variance", sums->bytes_variance},
	    {"live_variance", sums->live_variance},
	    {"live_bytes_variance", sums->live_bytes_variance},
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s.%s", function, figures[i].name);
		truth_figure(name, (long long)ceil(figures[i].value));
	}
}

/* Makes `count` blocks and frees each one that chance picks (3 of 5), some of them much later. */
static void
make_and_free(const char *function, char *(*make)(size_t), size_t count, unsigned least_bits,
	      unsigned most_bits)
{
	struct sums sums = {0};

	block_count = 0;
	for (size_t i = 0; i < count; i++) {
		size_t size = random_size(least_bits, most_bits);
		struct block made = {make(size), size};
		size_t place = block_count;

		count_made(&sums, size);
		if (block_count > 0 && random_below(5) < 3) {
			place = random_below(block_count);
			free(blocks[place].address);
		} else {
			block_count++;
		}
		made.address[0] = made.address[size - 1] = 1;
		blocks[place] = made;
	}
	for (size_t i = 0; i < block_count; i++)
		count_live(&sums, blocks[i].size);
	say(function, &sums);
}

/* Blocks that grow step by step: each step releases one that may have been sampled or not. */
static void
grow(void)
{
	struct sums sums = {0};

	for (size_t i = 0; i < 500; i++) {
		char *block = NULL;
		size_t size = 16;

		for (size_t step = 0; step < 8; step++) {
			size += random_below(size * 2) + 1;
			block = grown_block(block, size);
			count_made(&sums, size);
		}
		if (i % 2)
			free(block);
		else
			count_live(&sums, size);
	}
	say("grown_block", &sums);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		truth_die("no interval: start");
	interval = atof(argv[1]);
	make_and_free("equal_block", equal_block, 20000, 8, 9);
	make_and_free("mixed_block", mixed_block, 20000, 4, 16);
	make_and_free("zeroed_block", zeroed_block, 5000, 6, 14);
	make_and_free("large_block", large_block, 200, 16, 19);
	grow();
	return truth_end("sampled_blocks");
}
