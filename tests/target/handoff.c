/*
 * Eight threads hand the same addresses round, as fast as they can: blocks by malloc, calloc,
 * realloc and free, ranges by mmap, mremap, munmap and MAP_FIXED. A slot holds one block or range;
 * who swaps it out owns it. At the end the program says what is left in the slots.
 *
 * handoff [OPERATIONS [THREADS [SEED]]]; defaults 100000 in all, 8, 1.
 */
#include "tests/target/truth.h"

#include <pthread.h>
#include <stdbool.h>

#define SLOTS 64
#define RANGES 32
#define RANGE_PAGES 16

struct piece {
	char *address;
	size_t length;
};

/* Each slot points to a piece in the pool that its owner fills; NULL = empty. */
static struct piece *block_slots[SLOTS];
static struct piece *range_slots[RANGES];

static struct counts {
	long long mallocs, callocs, reallocs, frees;
	long long mmaps, fixed, mremaps, munmaps;
} totals;

struct worker {
	pthread_t thread;
	uint64_t random;
	long operations;
	struct counts counts;
	struct piece *spare; /* empty pieces, each pointing to the next */
};

static uint64_t
next_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random >> 11;
}

static struct piece *
take(struct piece **slot)
{
	return __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
}

/* False: somebody else has filled the slot meanwhile. */
static bool
put(struct piece **slot, struct piece *piece)
{
	struct piece *expected = NULL;

	return __atomic_compare_exchange_n(slot, &expected, piece, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Pieces themselves come from a static pool, so that they are no part of what is counted. */
static struct piece pool[4096];
static unsigned pool_used;

static struct piece *
new_piece(struct worker *worker)
{
	struct piece *piece = worker->spare;
	unsigned index;

	if (piece) {
		worker->spare = (struct piece *)(void *)piece->address;
		return piece;
	}
	index = __atomic_fetch_add(&pool_used, 1, __ATOMIC_RELAXED);
	if (index >= sizeof(pool) / sizeof(pool[0]))
		truth_die("room for pieces");
	return &pool[index];
}

static void
keep_spare(struct worker *worker, struct piece *piece)
{
	piece->address = (char *)worker->spare;
	worker->spare = piece;
}

static NOINLINE void
make_block(struct worker *worker, struct piece *piece)
{
	piece->length = 16 + next_random(worker) % 2000;
	if (next_random(worker) % 4 == 0) {
		piece->address = calloc(1, piece->length);
		worker->counts.callocs++;
	} else {
		piece->address = malloc(piece->length);
		worker->counts.mallocs++;
	}
	piece->address[0] = 1;
}

static NOINLINE void
change_block(struct worker *worker, struct piece *piece)
{
	piece->length = 16 + next_random(worker) % 4000;
	piece->address = realloc(piece->address, piece->length);
	piece->address[0] = 1;
	worker->counts.reallocs++;
}

static NOINLINE void
drop_block(struct worker *worker, struct piece *piece)
{
	free(piece->address);
	worker->counts.frees++;
	keep_spare(worker, piece);
}

static void
work_on_block(struct worker *worker)
{
	struct piece **slot = &block_slots[next_random(worker) % SLOTS];
	struct piece *piece = take(slot);

	if (!piece) {
		piece = new_piece(worker);
		make_block(worker, piece);
	} else if (next_random(worker) % 3 == 0) {
		change_block(worker, piece);
	} else {
		drop_block(worker, piece);
		return;
	}
	if (!put(slot, piece))
		drop_block(worker, piece);
}

static NOINLINE void
make_range(struct worker *worker, struct piece *piece)
{
	piece->length = (1 + next_random(worker) % RANGE_PAGES) * PAGE;
	piece->address = truth_mapped(
	    mmap(NULL, piece->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	piece->address[0] = 1;
	worker->counts.mmaps++;
}

static NOINLINE void
map_over_range(struct worker *worker, struct piece *piece)
{
	truth_mapped(mmap(piece->address, piece->length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	worker->counts.fixed++;
}

static NOINLINE void
change_range(struct worker *worker, struct piece *piece)
{
	size_t length = (1 + next_random(worker) % RANGE_PAGES) * PAGE;

	piece->address =
	    truth_mapped(mremap(piece->address, piece->length, length, MREMAP_MAYMOVE));
	piece->length = length;
	piece->address[length - 1] = 1;
	worker->counts.mremaps++;
}

static NOINLINE void
drop_range(struct worker *worker, struct piece *piece)
{
	if (munmap(piece->address, piece->length) != 0)
		truth_die("munmap");
	worker->counts.munmaps++;
	keep_spare(worker, piece);
}

static void
work_on_range(struct worker *worker)
{
	struct piece **slot = &range_slots[next_random(worker) % RANGES];
	struct piece *piece = take(slot);
	uint64_t choice = next_random(worker) % 5;

	if (!piece) {
		piece = new_piece(worker);
		make_range(worker, piece);
	} else if (choice == 0) {
		map_over_range(worker, piece);
	} else if (choice == 1) {
		change_range(worker, piece);
	} else {
		drop_range(worker, piece);
		return;
	}
	if (!put(slot, piece))
		drop_range(worker, piece);
}

static void *
work(void *argument)
{
	struct worker *worker = argument;

	for (long done = 0; done < worker->operations; done++) {
		if (next_random(worker) % 4 == 0)
			work_on_range(worker);
		else
			work_on_block(worker);
	}
	return NULL;
}

static void
add_counts(const struct counts *counts)
{
	totals.mallocs += counts->mallocs;
	totals.callocs += counts->callocs;
	totals.reallocs += counts->reallocs;
	totals.frees += counts->frees;
	totals.mmaps += counts->mmaps;
	totals.fixed += counts->fixed;
	totals.mremaps += counts->mremaps;
	totals.munmaps += counts->munmaps;
}

static void
say_live(const char *count_name, const char *bytes_name, struct piece **slots, int count)
{
	long long live = 0, bytes = 0;

	for (int i = 0; i < count; i++) {
		if (!slots[i])
			continue;
		live++;
		bytes += (long long)slots[i]->length;
	}
	truth_figure(count_name, live);
	truth_figure(bytes_name, bytes);
}

static void
say_counts(void)
{
	truth_figure("mallocs", totals.mallocs);
	truth_figure("callocs", totals.callocs);
	truth_figure("reallocs", totals.reallocs);
	truth_figure("frees", totals.frees);
	truth_figure("mmaps", totals.mmaps);
	truth_figure("fixed_mmaps", totals.fixed);
	truth_figure("mremaps", totals.mremaps);
	truth_figure("munmaps", totals.munmaps);
}

int
main(int argc, char **argv)
{
	static struct worker workers[64];
	long operations = argc > 1 ? atol(argv[1]) : 100000;
	int threads = argc > 2 ? atoi(argv[2]) : 8;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;

	if (threads < 1 || threads > 64)
		truth_die("number of threads");
	alarm(600); /* a test that was ended kills nobody */
	for (int i = 0; i < threads; i++) {
		workers[i].random = (seed * 64 + (uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15);
		workers[i].operations = operations / threads;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			truth_die("pthread_create");
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		add_counts(&workers[i].counts);
	}
	say_live("live_blocks", "live_block_bytes", block_slots, SLOTS);
	say_live("live_ranges", "live_range_bytes", range_slots, RANGES);
	say_counts();
	return truth_end("handoff");
}
