/*
 * ring_world.h: who uses the ring in the model, and what must hold whatever the interleaving?
 *
 * Producers and a collector as capture/emit/emit.c and collect/drain.c use the ring, an account of
 * what they did, and the check that a reader of the file and of the ring's remains comes to the
 * same. For test_ring_model.c alone; after model_atomic.h.
 */
#ifndef RING_WORLD_H
#define RING_WORLD_H

#include "tests/race/model_atomic.h"

#include "format/ring.c"

#include "tests/race/model.h"

#define CAPACITY 8u
#define IDS 40u /* every event has an id of its own, which is its kind as well */
#define NOBODY 0xff
#define COLLECTOR_ID 77u /* the kernel's */

struct slot {
	uint32_t sequence;
	uint32_t reserved;
	uint64_t content[2]; /* the id, twice: differing = torn */
};

/* What threads share: the ring and the account that the test keeps of it. */
static struct world {
	struct vmt_ring control;
	struct slot slots[CAPACITY];
	uint64_t start; /* first position of all */
	uint8_t writer_of[CAPACITY];
	uint8_t claimed[IDS];
	uint8_t committed[IDS];
	uint8_t read[IDS];	/* times that it was put into the file */
	uint8_t read_last[IDS]; /* in the last batch */
	uint8_t batch_limit;
	uint8_t buried; /* the kernel has told of the collector's death */
	uint8_t filled; /* ids 1 .. filled were written by set_up */
	uint64_t late_position;
	struct { /* the file: as struct vmt_chunk, summed up */
		uint64_t position_to;
		uint64_t events;
		uint64_t abandoned;
		uint64_t overwritten;
		uint64_t dead;
	} file;
} world;

enum model_mutation model_mutation;
uint32_t model_capacity = CAPACITY;

static const struct vmt_ring_view ring = {
    .control = &world.control,
    .slots = (unsigned char *)world.slots,
    .capacity = CAPACITY,
    .slot_bytes = sizeof(struct slot),
};

/* Which thread collects; NOBODY = none. */
static unsigned world_collector;

static uint8_t
kind_of(const void *slot)
{
	return (uint8_t)vmt_atomic_load_relaxed(&((const struct slot *)slot)->content[0]);
}

static void
write_content(uint64_t position, uint8_t id)
{
	struct slot *slot = &world.slots[position % CAPACITY];

	vmt_atomic_store_relaxed(&slot->content[0], id);
	vmt_atomic_store_relaxed(&slot->content[1], id);
}

static void
fill_and_commit(unsigned self, uint64_t position, uint8_t id)
{
	bool early = model_mutation == MUTATION_COMMIT_BEFORE_CONTENT;
	bool kept = early && vmt_ring_commit(&ring, position);

	write_content(position, id);
	if (!early)
		kept = vmt_ring_commit(&ring, position);
	MODEL_CHECK(world.writer_of[position % CAPACITY] == self, "a slot changed its writer");
	world.writer_of[position % CAPACITY] = NOBODY;
	world.committed[id] = kept;
}

/* From the successful swap of head to here nothing yields: the claim and its note are one. */
static void
note_claim(unsigned self, uint64_t position, uint8_t id)
{
	MODEL_CHECK(world.writer_of[position % CAPACITY] == NOBODY, "two writers in one slot");
	world.writer_of[position % CAPACITY] = (uint8_t)self;
	world.claimed[id] = 1;
}

static bool
produce(unsigned self, uint8_t id)
{
	uint64_t position;

	if (vmt_ring_claim(&ring, &position) == NULL)
		return false;
	note_claim(self, position, id);
	fill_and_commit(self, position, id);
	return true;
}

static void
produce_discarding(unsigned self, uint8_t id)
{
	for (unsigned tries = 0; tries < 2; tries++) {
		if (produce(self, id))
			return;
		if (model_mutation == MUTATION_TAKEN_FROM_THE_LIVING)
			vmt_atomic_store_relaxed(&world.control.releaser, VMT_RING_CONTESTED);
		(void)vmt_ring_discard_oldest(&ring, kind_of);
	}
	(void)produce(self, id);
}

struct batch {
	uint64_t from, to; /* positions accounted for */
	uint64_t overwritten;
	uint64_t dead;
	uint64_t abandoned;
	uint64_t positions[CAPACITY];
	uint8_t ids[CAPACITY];
	unsigned count;
};

static void
take(struct batch *batch, uint64_t position)
{
	struct slot copy;
	bool good;

	if (model_mutation == MUTATION_RELEASE_BEFORE_COPY)
		(void)vmt_ring_release(&ring, position, VMT_RING_COMMITTED);
	good = vmt_ring_copy(&ring, position, &copy);
	if (model_mutation == MUTATION_NO_SECOND_LOOK ||
	    model_mutation == MUTATION_RELEASE_BEFORE_COPY)
		good = true;
	if (!good) {
		batch->overwritten++;
		return;
	}
	MODEL_CHECK(copy.content[0] == copy.content[1] && copy.content[0] < IDS &&
			copy.content[0] != 0,
		    "torn content was taken");
	batch->positions[batch->count] = position;
	batch->ids[batch->count++] = (uint8_t)copy.content[0] % IDS;
}

/* Accounts for one position; false when the batch ends before it. Only what was committed waits for
 * the file: whoever wins the swap of any other state counts it. */
static bool
account(struct batch *batch, uint64_t position, bool patient)
{
	for (;;) {
		enum vmt_ring_state state = vmt_ring_look(&ring, position);

		MODEL_CHECK(state != VMT_RING_EMPTY, "a position below head is empty");
		if (state == VMT_RING_EMPTY || (state == VMT_RING_BUSY && patient))
			return false;
		if (state == VMT_RING_COMMITTED)
			take(batch, position);
		else if (state == VMT_RING_RELEASED)
			batch->overwritten++;
		else if (!vmt_ring_release(&ring, position, state))
			continue;
		else if (state == VMT_RING_BUSY)
			batch->abandoned++;
		else
			batch->dead++;
		batch->to = position + 1;
		return true;
	}
}

/* One step: appending a chunk is atomic, a cut chunk does not count. */
static void
put_into_file(const struct batch *batch)
{
	model_yield();
	memset(world.read_last, 0, sizeof(world.read_last));
	for (unsigned i = 0; i < batch->count; i++) {
		world.read[batch->ids[i]]++;
		world.read_last[batch->ids[i]] = 1;
	}
	world.file.events += batch->count;
	world.file.overwritten += batch->overwritten;
	world.file.abandoned += batch->abandoned;
	world.file.dead += batch->dead;
	world.file.position_to = batch->to;
}

static void
release_batch(const struct batch *batch)
{
	bool begun = vmt_ring_begin_release(&ring, COLLECTOR_ID);
	bool alone = begun || model_mutation == MUTATION_ALONE_BESIDE_DISCARDS;

	for (unsigned i = 0; i < batch->count; i++) {
		if (alone)
			vmt_ring_release_alone(&ring, batch->positions[i], batch->ids[i]);
		else if (model_mutation == MUTATION_NO_TAKING_BACK)
			(void)vmt_ring_release(&ring, batch->positions[i], VMT_RING_COMMITTED);
		else
			vmt_ring_release_filed(&ring, batch->positions[i], batch->ids[i]);
	}
	if (begun)
		vmt_ring_end_release(&ring);
	vmt_ring_lead_tail(&ring, batch->from, batch->to);
}

/* What is to be put into the file, and to be released then. */
static struct batch
fill_batch(bool patient)
{
	struct batch batch = {.to = world.file.position_to};
	uint64_t head = vmt_atomic_load_acquire(&world.control.head);
	uint64_t tail = vmt_atomic_load_acquire(&world.control.tail);

	if (tail > batch.to) {
		batch.overwritten = tail - batch.to;
		batch.to = tail;
	}
	batch.from = batch.to;
	while (batch.to < head && batch.count < world.batch_limit &&
	       account(&batch, batch.to, patient))
		;
	return batch;
}

static void
collect(bool patient)
{
	struct batch batch = fill_batch(patient);

	if (model_mutation == MUTATION_RELEASE_BEFORE_FILE)
		release_batch(&batch);
	put_into_file(&batch);
	if (model_mutation != MUTATION_RELEASE_BEFORE_FILE &&
	    model_mutation != MUTATION_RELEASE_BEFORE_COPY)
		release_batch(&batch);
}

/* The final check: the account that a reader of the file and of the ring's remains makes. */

struct remains {
	uint8_t committed[IDS];
	uint64_t busy;
	uint64_t dead;
};

static void
look_at_remains(struct remains *remains)
{
	uint64_t head = world.control.head;
	uint64_t position = world.file.position_to;

	MODEL_CHECK(world.control.tail <= head, "tail has passed head");
	if (head - position > CAPACITY)
		position = head - CAPACITY;
	for (; position < head; position++) {
		const struct slot *slot = &world.slots[position % CAPACITY];
		enum vmt_ring_state state = vmt_ring_look(&ring, position);

		MODEL_CHECK(state != VMT_RING_EMPTY, "a position below head is empty");
		MODEL_CHECK(position >= world.control.tail || state == VMT_RING_RELEASED,
			    "tail has passed a position that is not released");
		if (state == VMT_RING_BUSY)
			remains->busy++;
		if (state == VMT_RING_DEAD || state == VMT_RING_DEAD_DONE)
			remains->dead++;
		if (state != VMT_RING_COMMITTED)
			continue;
		MODEL_CHECK(slot->content[0] == slot->content[1] && slot->content[0] < IDS,
			    "torn content is left in the ring");
		remains->committed[slot->content[0] % IDS]++;
	}
}

static unsigned
killed_threads(bool *collector)
{
	unsigned killed = 0;

	*collector = false;
	for (unsigned i = 0; i < model.thread_count; i++) {
		if (model.threads[i].ended)
			continue;
		killed++;
		*collector |= i == world_collector;
	}
	return killed;
}

static void
check_accounts(void)
{
	struct remains remains = {0};
	uint64_t claims = 0, lost = 0, uncounted = 0, dead, positions, given_up;
	bool collector_killed;
	unsigned killed = killed_threads(&collector_killed);

	look_at_remains(&remains);
	for (unsigned id = 1; id < IDS; id++) {
		unsigned kept = world.read[id] + remains.committed[id];
		unsigned fates = kept + (unsigned)world.control.overwritten[id];

		claims += world.claimed[id];
		lost += world.claimed[id] && fates == 0;
		MODEL_CHECK(kept <= 1, "event %u is there %u times", id, kept);
		MODEL_CHECK(kept == 0 || world.claimed[id], "event %u is made up", id);
		if (fates == 2 && collector_killed && world.read_last[id])
			continue; /* filed, and discarded since: docs/ring.md, "Accounts" */
		uncounted += world.committed[id] && fates == 0;
		MODEL_CHECK(fates <= 1, "event %u has %u fates", id, fates);
	}
	MODEL_CHECK(uncounted <= killed - collector_killed, "%u lost events are not counted",
		    (unsigned)uncounted);
	if (collector_killed)
		return; /* what it had given up and not filed yet is known by position alone */
	dead = world.file.dead + world.control.stepped + remains.dead;
	given_up = world.file.abandoned + world.control.abandoned + remains.busy;
	positions = world.control.head - world.start;
	MODEL_CHECK(positions >= claims + dead && positions - claims - dead <= killed,
		    "%d positions, %d claims, %d dead", (int)positions, (int)claims, (int)dead);
	MODEL_CHECK(lost >= given_up && lost - given_up <= killed,
		    "%d events without a fate, %d given up", (int)lost, (int)given_up);
	MODEL_CHECK(world.file.position_to - world.start ==
			world.file.events + world.file.abandoned + world.file.overwritten +
			    world.file.dead,
		    "the file does not add up");
}

static bool
discard_at_once(void)
{
	/* As if the limit of failed attempts had been reached. */
	world.control.stalls =
	    world.control.tail * (2 * VMT_RING_STALL_LIMIT) + VMT_RING_STALL_LIMIT;
	return vmt_ring_discard_oldest(&ring, kind_of);
}

/* Whatever state the killed have left behind, the ring goes on: with a collector, if it lives... */
static void
check_collecting_goes_on(void)
{
	uint8_t id = IDS - 1;

	world.batch_limit = CAPACITY;
	collect(false);
	MODEL_CHECK(produce(MODEL_THREADS, id), "no room after everything was collected");
	collect(false);
	MODEL_CHECK(world.read[id] == 1, "the collector does not get past what was left");
	MODEL_CHECK(world.control.tail == world.control.head, "tail stays behind");
}

/* ... and without one. */
static void
check_discarding_goes_on(void)
{
	unsigned tries;

	for (tries = 0; tries < 4 * CAPACITY && discard_at_once(); tries++)
		;
	MODEL_CHECK(world.control.tail == world.control.head, "discarding does not end");
	MODEL_CHECK(produce(MODEL_THREADS, IDS - 1), "no room after everything was discarded");
}

static void
final_check(void)
{
	struct world before;
	bool collector_killed;

	check_accounts();
	killed_threads(&collector_killed);
	MODEL_CHECK(collector_killed || world.control.releaser != COLLECTOR_ID,
		    "the releases are still taken");
	/* What the kernel does at its death. */
	if (collector_killed && world.control.releaser == COLLECTOR_ID)
		world.control.releaser = VMT_RING_RELEASER_DIED;
	before = world;
	if (!collector_killed)
		check_collecting_goes_on();
	world = before;
	check_discarding_goes_on();
}

#endif
