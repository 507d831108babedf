/* Every interleaving of a few threads over the real ring code: see model.h, docs/ring.md. */
#include "tests/race/ring_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct scenario {
	const char *name;
	void (*bodies[MODEL_THREADS])(unsigned self);
	unsigned mortal;    /* bit mask of bodies */
	unsigned collector; /* which body, NOBODY = none */
	void (*set_up)(void);
};

/* A batch that set_up has filed. */
static struct batch filed;

/* Threads. Ids of thread i begin at 20 + 4 * i. */

static uint8_t
first_id(unsigned self)
{
	return (uint8_t)(20 + 4 * self);
}

static void
body_produce_one(unsigned self)
{
	(void)produce(self, first_id(self));
}

static void
body_produce_two(unsigned self)
{
	(void)produce(self, first_id(self));
	(void)produce(self, (uint8_t)(first_id(self) + 1));
}

static void
body_discard_one(unsigned self)
{
	produce_discarding(self, first_id(self));
}

static void
body_collect_patient(unsigned self)
{
	(void)self;
	collect(true);
}

static void
body_collect_impatient(unsigned self)
{
	(void)self;
	collect(false);
}

static void
body_collect_twice(unsigned self)
{
	(void)self;
	collect(true);
	collect(false);
}

/* Releases what it has filed before. */
static void
body_release(unsigned self)
{
	(void)self;
	release_batch(&filed);
}

/* The kernel, where the collector is killed while it has taken the releases for itself. */
static void
body_bury(unsigned self)
{
	(void)self;
	model_yield();
	if (world.control.releaser != COLLECTOR_ID)
		return;
	model_kill(world_collector);
	world.buried = 1;
	world.control.releaser = VMT_RING_RELEASER_DIED;
}

/* Comes back to a slot that it claimed, and that was given up, long ago. */
static void
body_late(unsigned self)
{
	fill_and_commit(self, world.late_position, first_id(self));
}

/* Starting states. */

static void
fill(unsigned events)
{
	while (events-- != 0)
		MODEL_CHECK(produce(MODEL_THREADS, ++world.filled), "set-up found no room");
}

static void
set_up_two_left(void)
{
	fill(CAPACITY - 2);
}

static void
set_up_full(void)
{
	fill(CAPACITY);
	/* The next failed discard of the oldest position gives it up. */
	world.control.stalls =
	    world.control.tail * (2 * VMT_RING_STALL_LIMIT) + VMT_RING_STALL_LIMIT;
}

/* Thread 0 has claimed a slot, which was given up; the next position to claim is that slot's. */
static void
set_up_late(void)
{
	(void)vmt_ring_claim(&ring, &world.late_position);
	note_claim(0, world.late_position, first_id(0));
	collect(false);
	fill(CAPACITY - 1);
	collect(true);
}

/* The same with a ring that is full but for the dead slot, which heads the queue. */
static void
set_up_late_full(void)
{
	set_up_late();
	fill(CAPACITY - 1);
}

/* Thread 0 has claimed the oldest slot of a full ring and is about to be given up. */
static void
set_up_busy_oldest(void)
{
	(void)vmt_ring_claim(&ring, &world.late_position);
	note_claim(0, world.late_position, first_id(0));
	fill(CAPACITY - 1);
	world.control.stalls =
	    world.control.tail * (2 * VMT_RING_STALL_LIMIT) + VMT_RING_STALL_LIMIT;
}

static void
set_up_full_small_batch(void)
{
	set_up_full();
	world.batch_limit = 2;
}

/* Producers have discarded before. */
static void
set_up_full_contested(void)
{
	set_up_full();
	world.control.releaser = VMT_RING_CONTESTED;
}

static void
set_up_filed(void)
{
	set_up_full_small_batch();
	filed = fill_batch(true);
	put_into_file(&filed);
}

static void
set_up_busy_oldest_small_batch(void)
{
	set_up_busy_oldest();
	world.batch_limit = 3;
}

static void
set_up_three(void)
{
	fill(3);
}

/* Light ones first: a mutation is looked for from the top. */
static const struct scenario scenarios[] = {
    {"2 producers discard the oldest, nobody collects",
     {body_discard_one, body_discard_one},
     0,
     NOBODY,
     set_up_full},
    {"a late producer comes back to a full ring",
     {body_late, body_produce_one, body_collect_impatient},
     1u << 0,
     2,
     set_up_late_full},
    {"a producer discards while the collector takes",
     {body_collect_impatient, body_discard_one},
     0,
     0,
     set_up_full},
    {"both producers are killed anywhere",
     {body_collect_impatient, body_produce_one, body_produce_one},
     1u << 1 | 1u << 2,
     0,
     set_up_two_left},
    {"the oldest is being written while 2 producers discard it",
     {body_late, body_discard_one, body_discard_one},
     1u << 0,
     NOBODY,
     set_up_busy_oldest},
    {"a dead slot is the oldest, 2 producers discard, its writer comes back",
     {body_late, body_discard_one, body_discard_one},
     1u << 0,
     NOBODY,
     set_up_late_full},
    {"the collector is killed anywhere",
     {body_collect_impatient, body_produce_two, body_produce_one},
     1u << 0,
     0,
     set_up_three},
    {"a producer discards while the collector is killed anywhere",
     {body_collect_impatient, body_discard_one, body_produce_one},
     1u << 0,
     0,
     set_up_full_small_batch},
    {"the collector is killed while it releases, 2 producers discard after that",
     {body_release, body_bury, body_discard_one, body_discard_one},
     1u << 0,
     0,
     set_up_filed},
    {"the oldest is being written, one discards, the collector takes",
     {body_late, body_collect_impatient, body_discard_one},
     1u << 0,
     1,
     set_up_busy_oldest_small_batch},
    {"a late producer comes back while others reach its slot",
     {body_late, body_produce_two, body_produce_one, body_collect_impatient},
     1u << 0,
     3,
     set_up_late},
    {"a producer is killed anywhere, another goes on, slots are given up",
     {body_collect_impatient, body_produce_two, body_produce_two},
     1u << 1,
     0,
     set_up_two_left},
    {"3 producers discard the oldest, one is killed",
     {body_discard_one, body_discard_one, body_discard_one},
     1u << 0,
     NOBODY,
     set_up_full_contested},
    {"2 producers of 2, collector of 2 rounds, wrapping",
     {body_collect_twice, body_produce_two, body_produce_two},
     0,
     0,
     set_up_two_left},
    {"3 producers, collector",
     {body_collect_patient, body_produce_one, body_produce_one, body_produce_one},
     0,
     0,
     set_up_two_left},
    {"2 producers discard while the collector takes",
     {body_collect_impatient, body_discard_one, body_discard_one},
     0,
     0,
     set_up_full_small_batch},
};

#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* A lap lies across the wrap of the 32-bit sequence; of its sign bit; laps begin at 0. */
static const uint64_t starts[] = {(UINT64_C(1) << 32) - 11, (UINT64_C(5) << 31) - 13, 0};
#define STARTS (sizeof(starts) / sizeof(starts[0]))

/* Scenarios with more states are explored across the wrap alone. */
#define LIGHT_STATES 100000u

static void
reset(uint64_t start)
{
	memset(&world, 0, sizeof(world));
	memset(world.writer_of, NOBODY, sizeof(world.writer_of));
	world.batch_limit = CAPACITY;
	world.start = start;
	world.control.head = start;
	world.control.tail = start;
	world.file.position_to = start;
	for (uint64_t p = start; p < start + CAPACITY; p++)
		world.slots[p % CAPACITY].sequence = (uint32_t)(p - p % CAPACITY);
}

static struct model_result
explore(const struct scenario *chosen, uint64_t start, enum model_mutation mutation)
{
	world_collector = chosen->collector;
	model_mutation = MUTATION_NONE;
	reset(start);
	chosen->set_up();
	model_mutation = mutation;
	return model_run(&world, sizeof(world), chosen->bodies, chosen->mortal, final_check);
}

/* Coroutines on stacks that are copied about: not for sanitizers. */
static void
skip_where_instrumented(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip();
#endif
#endif
}

static void
test_every_interleaving(void **state)
{
	double paths = 0;
	uint64_t states = 0;

	(void)state;
	skip_where_instrumented();
	for (size_t i = 0; i < SCENARIOS; i++) {
		struct model_result result = {0};

		for (size_t j = 0; j < STARTS && result.states < LIGHT_STATES; j++) {
			result = explore(&scenarios[i], starts[j], MUTATION_NONE);
			if (result.violation[0] != 0)
				fail_msg("%s, from %llu: %s", scenarios[i].name,
					 (unsigned long long)starts[j], result.violation);
			assert_true(result.finals > 0);
			paths += result.paths;
			states += result.states;
		}
		printf("%9llu states %8.2g interleavings: %s\n", (unsigned long long)result.states,
		       result.paths, scenarios[i].name);
	}
	printf("%llu states, %.2g interleavings in all\n", (unsigned long long)states, paths);
}

/* A search that can't fail shows nothing: each mutation must be found by some scenario. */
static void
test_mutations_are_found(void **state)
{
	(void)state;
	skip_where_instrumented();
	for (int mutation = MUTATION_NONE + 1; mutation < MUTATIONS; mutation++) {
		struct model_result result = {0};
		size_t i;

		for (i = 0; i < SCENARIOS && result.violation[0] == 0; i++)
			result = explore(&scenarios[i], starts[0], (enum model_mutation)mutation);
		if (result.violation[0] == 0)
			fail_msg("mutation %d was not found", mutation);
		printf("mutation %2d: %s (in: %s)\n", mutation, result.violation,
		       scenarios[i - 1].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_interleaving),
	    cmocka_unit_test(test_mutations_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
