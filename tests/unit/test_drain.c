#include "tests/unit/trace_fixture.h"

#include "collect/drain.h"
#include "format/columns.h"

#include <signal.h>
#include <sys/resource.h>

#define CAPACITY 16u
#define NOW UINT64_C(1000000000)

struct place {
	struct fixture_trace trace;
	struct vmt_buffer packed;
	struct vmt_writer writer;
	struct vmt_drain drain;
	struct vmt_drain_scratch scratch;
	struct fixture_chunks chunks;
};

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	char path[] = "/tmp/vmt-drain-XXXXXX";

	assert_non_null(place);
	assert_true(close(mkstemp(path)) == 0 && unlink(path) == 0);
	fixture_make(&place->trace, path, CAPACITY, 1);
	place->writer = (struct vmt_writer){.fd = place->trace.fd,
					    .end_bytes = place->trace.head->chunks_offset,
					    .packed = &place->packed};
	vmt_drain_open(&place->drain, place->trace.head, place->trace.base);
	*state = place;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	fixture_free_chunks(&place->chunks);
	vmt_buffer_free(&place->scratch.payload);
	unlink(place->trace.path);
	fixture_close(&place->trace);
	free(place);
	return 0;
}

static int
drain(struct place *place, uint64_t now_ns, enum vmt_drain_mode mode)
{
	return vmt_drain_collect(&place->drain, &place->writer, &place->scratch, now_ns, mode);
}

static const struct vmt_chunk *
chunk(struct place *place, size_t index)
{
	fixture_free_chunks(&place->chunks);
	fixture_read_chunks(&place->chunks, place->trace.path, place->trace.head->chunks_offset);
	assert_true(index < place->chunks.count);
	return place->chunks.list[index].header;
}

static size_t
chunk_count(struct place *place)
{
	fixture_free_chunks(&place->chunks);
	fixture_read_chunks(&place->chunks, place->trace.path, place->trace.head->chunks_offset);
	return place->chunks.count;
}

static struct vmt_ring_view
heap_ring(struct place *place)
{
	return vmt_head_ring(place->trace.head, place->trace.base, 0, VMT_RING_HEAP);
}

static bool
put(struct place *place, uint64_t time)
{
	return fixture_put_heap(&place->trace, 0, time, time * 16, VMT_EVENT_MALLOC);
}

static void
takes_events_in_order_and_frees_their_slots(void **state)
{
	struct place *place = *state;
	struct vmt_columns_decoder decoder;
	struct vmt_event event;

	for (uint64_t lap = 0; lap < 3; lap++) {
		for (uint64_t i = 0; i < CAPACITY; i++)
			assert_true(put(place, 100 - i));
		assert_false(put(place, 1));
		assert_int_equal(vmt_drain_fill(&place->drain), 16);
		assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
		assert_int_equal(vmt_drain_fill(&place->drain), 0);
		assert_int_equal(chunk(place, lap)->position_from, lap * CAPACITY);
		assert_int_equal(chunk(place, lap)->position_to, (lap + 1) * CAPACITY);
		assert_int_equal(chunk(place, lap)->events, CAPACITY);
		assert_int_equal(chunk(place, lap)->time_min, 100 - (CAPACITY - 1));
		assert_int_equal(chunk(place, lap)->time_max, 100);
	}
	assert_true(vmt_columns_begin_decode(&decoder, place->chunks.list[2].payload,
					     place->chunks.list[2].header->payload_bytes));
	for (uint64_t i = 0; i < CAPACITY; i++) {
		assert_true(vmt_columns_get(&decoder, &event));
		assert_int_equal(event.time, 100 - i);
		assert_int_equal(event.address, (100 - i) * 16);
		assert_int_equal(event.kind, VMT_EVENT_MALLOC);
	}
}

static void
few_events_wait_for_company(void **state)
{
	struct place *place = *state;

	assert_int_equal(drain(place, NOW, VMT_DRAIN_LAZY), 0);
	assert_true(put(place, 1));
	place->drain.rings[VMT_RING_HEAP].drained_ns = NOW;
	assert_int_equal(drain(place, NOW + VMT_DRAIN_DELAY_NS - 1, VMT_DRAIN_LAZY), 0);
	assert_int_equal(chunk_count(place), 0);
	assert_int_equal(drain(place, NOW + VMT_DRAIN_DELAY_NS, VMT_DRAIN_LAZY), 0);
	assert_int_equal(chunk_count(place), 1);
	for (unsigned i = 0; i < CAPACITY / 4; i++)
		assert_true(put(place, 2));
	assert_int_equal(drain(place, NOW + VMT_DRAIN_DELAY_NS, VMT_DRAIN_LAZY), 0);
	assert_int_equal(chunk_count(place), 2);
}

static void
gives_up_a_slot_that_is_never_committed(void **state)
{
	struct place *place = *state;
	struct vmt_ring_view ring = heap_ring(place);
	uint64_t late = 0;

	assert_true(put(place, 1));
	assert_non_null(vmt_ring_claim(&ring, &late));
	assert_true(put(place, 3));
	assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	assert_int_equal(chunk(place, 0)->position_to, late);
	assert_int_equal(drain(place, NOW + VMT_DRAIN_PATIENCE_NS - 1, VMT_DRAIN_ALL), 0);
	assert_int_equal(chunk_count(place), 1);
	assert_int_equal(drain(place, NOW + VMT_DRAIN_PATIENCE_NS, VMT_DRAIN_ALL), 0);
	assert_int_equal(chunk(place, 1)->position_from, late);
	assert_int_equal(chunk(place, 1)->position_to, late + 2);
	assert_int_equal(chunk(place, 1)->abandoned, 1);
	assert_int_equal(chunk(place, 1)->events, 1);
	/* The writer comes back: its event is lost, and the slot is stepped over once. */
	assert_false(vmt_ring_commit(&ring, late));
	for (uint64_t i = 0; i < CAPACITY; i++)
		(void)put(place, 10 + i);
	assert_int_equal(drain(place, 3 * NOW, VMT_DRAIN_ALL), 0);
	assert_int_equal(chunk(place, 2)->dead, 1);
	assert_int_equal(chunk(place, 2)->position_to - chunk(place, 2)->position_from,
			 chunk(place, 2)->events + 1);
}

static void
the_final_drain_waits_for_nobody(void **state)
{
	struct place *place = *state;
	struct vmt_ring_view ring = heap_ring(place);
	uint64_t late = 0;

	assert_non_null(vmt_ring_claim(&ring, &late));
	assert_true(put(place, 3));
	assert_int_equal(drain(place, NOW, VMT_DRAIN_FINAL), 0);
	assert_int_equal(chunk(place, 0)->abandoned, 1);
	assert_int_equal(chunk(place, 0)->events, 1);
	assert_true(vmt_drain_is_empty(&place->drain.rings[VMT_RING_HEAP]));
}

static uint8_t
kind_of(const void *slot)
{
	const struct vmt_heap_event *event = slot;

	return (uint8_t)(event->address_kind >> VMT_ADDRESS_BITS);
}

static void
counts_what_producers_discarded(void **state)
{
	struct place *place = *state;
	struct vmt_ring_view ring = heap_ring(place);

	for (uint64_t i = 0; i < 5 * CAPACITY; i++) {
		while (!put(place, i))
			assert_true(vmt_ring_discard_oldest(&ring, kind_of));
	}
	assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	assert_int_equal(chunk(place, 0)->overwritten, 4 * CAPACITY);
	assert_int_equal(chunk(place, 0)->events, CAPACITY);
	assert_int_equal(chunk(place, 0)->position_from, 0);
	assert_int_equal(chunk(place, 0)->position_to, 5 * CAPACITY);
	assert_int_equal(ring.control->overwritten[VMT_EVENT_MALLOC], 4 * CAPACITY);
}

/* Large enough that the releases of a ring are taken for a batch. */
#define MANY 256u

/* Two laps; the word that says who releases is as it was. */
static void
check_many(struct place *place, uint32_t releaser)
{
	struct vmt_ring_view ring = heap_ring(place);

	ring.control->releaser = releaser;
	for (uint64_t lap = 0; lap < 2; lap++) {
		for (uint64_t i = 0; i < MANY; i++)
			assert_true(put(place, i));
		assert_false(put(place, 0));
		assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
		assert_int_equal(chunk(place, lap)->events, MANY);
		assert_int_equal(chunk(place, lap)->overwritten, 0);
		assert_int_equal(ring.control->tail, (lap + 1) * MANY);
	}
	assert_int_equal(ring.control->releaser, releaser);
	assert_int_equal(ring.control->overwritten[VMT_EVENT_MALLOC], 0);
}

static void
releases_many(uint64_t features, uint32_t releaser)
{
	struct place *place = calloc(1, sizeof(*place));
	char path[] = "/tmp/vmt-drain-XXXXXX";

	assert_non_null(place);
	assert_true(close(mkstemp(path)) == 0 && unlink(path) == 0);
	fixture_make(&place->trace, path, MANY, 1);
	place->trace.head->features = features;
	place->writer = (struct vmt_writer){.fd = place->trace.fd,
					    .end_bytes = place->trace.head->chunks_offset,
					    .packed = &place->packed};
	vmt_drain_open(&place->drain, place->trace.head, place->trace.base);
	check_many(place, releaser);
	tear_down((void **)&place);
}

static void
releases_whole_batches(void **state)
{
	(void)state;
	releases_many(VMT_FEATURE_DISCARDS_TOLD, 0);
	releases_many(VMT_FEATURE_DISCARDS_TOLD, VMT_RING_CONTESTED);
	releases_many(VMT_FEATURE_DISCARDS_TOLD, VMT_RING_RELEASER_DIED);
	releases_many(VMT_FEATURE_DISCARDS_TOLD, 12345); /* another thread's, or damaged */
	releases_many(0, 0); /* of a library that tells of no discards */
}

static void
a_failed_write_releases_nothing(void **state)
{
	struct place *place = *state;
	struct rlimit limit, low;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	low = limit;
	low.rlim_cur = place->trace.head->chunks_offset;
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(put(place, i + 1));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_true(drain(place, NOW, VMT_DRAIN_ALL) < 0);
	assert_false(put(place, 99));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	assert_int_equal(chunk(place, 0)->events, CAPACITY);
	assert_true(put(place, 99));
	signal(SIGXFSZ, SIG_DFL);
}

struct noted_child {
	uint32_t pid;
	uint64_t time;
};

static void
note_child(void *context, uint32_t pid, uint64_t time)
{
	*(struct noted_child *)context = (struct noted_child){pid, time};
}

static void
tells_of_forked_children(void **state)
{
	struct place *place = *state;
	struct noted_child child = {0};

	place->drain.forked = note_child;
	place->drain.context = &child;
	assert_true(fixture_put_map(&place->trace, 1, 5, 0, VMT_EVENT_FORK, 4321));
	assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	assert_int_equal(child.pid, 4321);
	assert_int_equal(child.time, 5);
	assert_int_equal(chunk(place, 0)->ring, 1 * VMT_RING_CLASSES + VMT_RING_MAP);
}

/* As full as it takes to be at that level. */
static void
bound_at(struct place *place, struct vmt_bound *bound, uint32_t level)
{
	struct vmt_head layout = *place->trace.head;

	layout.malloc_mode = VMT_MALLOC_ALL;
	vmt_bound_begin(bound, UINT64_C(64) << 20, &layout, NOW);
	bound->used[VMT_BOUND_HEAP] =
	    bound->most[VMT_BOUND_HEAP] / VMT_BOUND_UNITS * (level + 1) + 1;
	assert_int_equal(vmt_bound_level(bound), level);
	place->drain.bound = place->writer.bound = bound;
	place->drain.head = place->trace.head;
	place->drain.random_id = place->trace.head->random_id;
}

/* The first address from there on that is, or is not, recorded at the level. */
static uint64_t
address_of(const struct place *place, uint64_t from, uint32_t level, bool kept)
{
	while (vmt_thin_keeps(level, place->drain.random_id, from, 64) != kept)
		from += 16;
	return from;
}

static void
a_bounded_trace_has_a_part_of_the_blocks(void **state)
{
	struct place *place = *state;
	struct vmt_bound bound;
	const struct vmt_chunk *first;
	uint64_t kept = 0;

	bound_at(place, &bound, 1);
	for (uint64_t i = 1; i <= CAPACITY; i++)
		kept += vmt_thin_keeps(1, place->drain.random_id, i * 16, 64);
	assert_in_range(kept, 1, CAPACITY - 1);
	for (uint64_t i = 1; i <= CAPACITY; i++)
		assert_true(put(place, i));
	assert_int_equal(place->trace.head->features, 0);
	assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	assert_int_equal(place->trace.head->features, VMT_FEATURE_THINNED);
	first = chunk(place, 0);
	assert_int_equal(VMT_CHUNK_THIN_LEVEL(first->flags), 1);
	assert_int_equal(first->events, kept);
	assert_int_equal(first->position_to - first->position_from, CAPACITY);
	assert_int_equal(first->time_min, 1);
	assert_int_equal(first->time_max, CAPACITY);
	assert_int_equal(first->overwritten + first->abandoned + first->dead, 0);
	/* All of them have left the ring. */
	for (uint64_t i = 0; i < CAPACITY; i++)
		assert_true(put(place, 100));
}

static void
what_is_left_out_alone_counts_in_the_next_chunk(void **state)
{
	struct place *place = *state;
	struct vmt_bound bound;
	const struct vmt_chunk *first;
	uint64_t out, in;

	bound_at(place, &bound, 1);
	out = address_of(place, 0x1000, 1, false);
	in = address_of(place, 0x1000, 1, true);
	for (uint64_t time = 20; time < 23; time++) {
		assert_true(fixture_put_heap(&place->trace, 0, time, out, VMT_EVENT_MALLOC));
		assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
		assert_int_equal(chunk_count(place), 0);
	}
	assert_true(fixture_put_heap(&place->trace, 0, 30, in, VMT_EVENT_MALLOC));
	assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	first = chunk(place, 0);
	assert_int_equal(first->events, 1);
	assert_int_equal(first->position_from, 0);
	assert_int_equal(first->position_to, 4);
	assert_int_equal(first->time_min, 20);
	assert_int_equal(first->time_max, 30);
	/* The last of all has a chunk of its own. */
	assert_true(fixture_put_heap(&place->trace, 0, 40, out, VMT_EVENT_FREE));
	assert_int_equal(drain(place, NOW, VMT_DRAIN_FINAL), 0);
	first = chunk(place, 1);
	assert_int_equal(first->events, 0);
	assert_int_equal(first->position_from, 4);
	assert_int_equal(first->position_to, 5);
	assert_int_equal(first->time_min, 40);
}

/* A ring that was quiet: what it left out before the level rose has the level of its time, whether
 * something of the next batch is kept or not. */
static void
a_higher_level_is_not_dated_back(void **state)
{
	struct place *place = *state;
	struct vmt_bound bound;
	const struct vmt_chunk *before;

	for (unsigned kept = 0; kept < 2; kept++) {
		uint32_t level = 1 + 4 * kept;
		uint64_t out = 0x1000;

		bound_at(place, &bound, level);
		out = address_of(place, out, level, false);
		assert_true(fixture_put_heap(&place->trace, 0, 22, out, VMT_EVENT_MALLOC));
		assert_true(fixture_put_heap(&place->trace, 0, 20, out, VMT_EVENT_FREE));
		assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
		assert_int_equal(chunk_count(place), 2 * kept);
		bound_at(place, &bound, level + 2);
		out = address_of(place, out, level + 2, kept);
		assert_true(fixture_put_heap(&place->trace, 0, 50, out, VMT_EVENT_MALLOC));
		assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
		assert_int_equal(drain(place, NOW, VMT_DRAIN_FINAL), 0);
		before = chunk(place, 2 * kept);
		assert_int_equal(before->events, 0);
		assert_int_equal(before->position_to - before->position_from, 2);
		assert_int_equal(VMT_CHUNK_THIN_LEVEL(before->flags), level);
		assert_int_equal(before->time_min, 20);
		assert_int_equal(before->time_max, 22);
	}
}

static void
releases_of_large_blocks_are_thinned_as_the_heap(void **state)
{
	struct place *place = *state;
	struct vmt_bound bound;
	struct vmt_map_event release = {.kind = VMT_EVENT_FREE, .time = 5};

	bound_at(place, &bound, 1);
	release.address = address_of(place, 0x1000, 1, false);
	release.length = 64;
	assert_true(fixture_put_map_event(&place->trace, 0, &release));
	release.length = VMT_THIN_LARGE_BYTES;
	assert_true(fixture_put_map_event(&place->trace, 0, &release));
	assert_true(fixture_put_map(&place->trace, 0, 6, release.address, VMT_EVENT_MMAP, 0));
	assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	assert_int_equal(chunk(place, 0)->events, 2);
	assert_int_equal(chunk(place, 0)->position_to, 3);
	assert_true(bound.used[VMT_BOUND_MAP] > 0);
	assert_int_equal(bound.used[VMT_BOUND_MAP],
			 place->writer.end_bytes - place->trace.head->chunks_offset -
			     (place->writer.end_bytes - place->trace.head->chunks_offset) / 2);
}

static void
a_full_trace_gets_nothing_and_the_rings_are_emptied(void **state)
{
	struct place *place = *state;
	struct vmt_bound bound;

	bound_at(place, &bound, 0);
	bound.is_full = true;
	for (int lap = 0; lap < 3; lap++) {
		for (uint64_t i = 0; i < CAPACITY; i++) {
			assert_true(put(place, i + 1));
			assert_true(
			    fixture_put_map(&place->trace, 0, i + 1, 0x1000, VMT_EVENT_MMAP, 0));
		}
		assert_int_equal(drain(place, NOW, VMT_DRAIN_ALL), 0);
	}
	assert_int_equal(drain(place, NOW, VMT_DRAIN_FINAL), 0);
	assert_int_equal(chunk_count(place), 0);
	assert_true(vmt_drain_is_empty(&place->drain.rings[0]));
}

/* A target that wrote nonsense over its own rings must not hang or crash the collector. */
static void
damaged_control_words_are_survived(void **state)
{
	static const uint64_t heads[] = {UINT64_MAX, UINT64_MAX / 2, CAPACITY * 1000, 1};
	struct place *place = *state;
	struct vmt_ring_view ring = heap_ring(place);

	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		ring.control->head = heads[i];
		ring.control->tail = heads[i] / 3;
		memset(ring.slots, (int)i * 85, CAPACITY * ring.slot_bytes);
		(void)drain(place, NOW, VMT_DRAIN_ALL);
		(void)drain(place, NOW, VMT_DRAIN_FINAL);
	}
	assert_true(chunk_count(place) < 100);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(takes_events_in_order_and_frees_their_slots),
	    TEST(few_events_wait_for_company),
	    TEST(gives_up_a_slot_that_is_never_committed),
	    TEST(the_final_drain_waits_for_nobody),
	    TEST(counts_what_producers_discarded),
	    cmocka_unit_test(releases_whole_batches),
	    TEST(a_failed_write_releases_nothing),
	    TEST(tells_of_forked_children),
	    TEST(a_bounded_trace_has_a_part_of_the_blocks),
	    TEST(what_is_left_out_alone_counts_in_the_next_chunk),
	    TEST(a_higher_level_is_not_dated_back),
	    TEST(releases_of_large_blocks_are_thinned_as_the_heap),
	    TEST(a_full_trace_gets_nothing_and_the_rings_are_emptied),
	    TEST(damaged_control_words_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
