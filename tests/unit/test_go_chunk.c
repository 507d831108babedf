/* GO chunks, whole, cut and wrong; and what is added up of them. */
#include "tools/model/go/go_memstats.h"
#include "tools/read/trace/go_chunk.h"

#include "format/chunk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static unsigned char payload[4096];
static size_t length;

static void
put(const void *bytes, size_t count)
{
	assert_true(length + count <= sizeof(payload));
	memcpy(payload + length, bytes, count);
	length += count;
}

static void
put_object(const char *symbol, const uint64_t *words, size_t bytes)
{
	struct vmt_go_object object = {.address = 0x1000, .bytes = bytes};

	strcpy(object.symbol, symbol);
	put(&object, sizeof(object));
	put(words, (bytes + 7) / 8 * 8);
}

/* gcController: in use, free, released, limit. memstats: 16 words, word i is 100 + i. */
static void
make(uint64_t limit)
{
	struct vmt_go_counters head = {.time = 7, .snapshot = 3, .objects = 2};
	const uint64_t controller[] = {1000, 200, 30, limit};
	uint64_t statistics[16];

	length = 0;
	for (uint64_t i = 0; i < 16; i++)
		statistics[i] = 100 + i;
	put(&head, sizeof(head));
	put_object("runtime.gcController", controller, sizeof(controller));
	put_object("runtime.memstats", statistics, sizeof(statistics));
}

static void
objects_are_taken_apart(void **state)
{
	struct vmt_go_chunk_read counters;
	struct vmt_err err;

	(void)state;
	make(INT64_MAX);
	assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), 0);
	assert_int_equal(counters.head.snapshot, 3);
	assert_int_equal(counters.count, 2);
	assert_string_equal(counters.objects[1].described.symbol, "runtime.memstats");
	assert_int_equal(counters.objects[1].described.bytes, 128);
	assert_int_equal(counters.objects[1].data[8], 101);
}

static void
what_is_cut_or_wrong_is_an_error(void **state)
{
	struct vmt_go_chunk_read counters;
	struct vmt_go_counters head = {.objects = VMT_GO_OBJECTS + 1};
	uint64_t huge = UINT64_MAX - 3;
	struct vmt_err err;

	(void)state;
	make(INT64_MAX);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(vmt_go_chunk_read(&counters, payload, cut, &err), -EBADMSG);
	memcpy(payload + sizeof(head) + 8, &huge, 8);
	assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), -EBADMSG);
	memcpy(payload, &head, sizeof(head));
	assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), -EBADMSG);
}

/* The first terms are gcController's four, then memstats' in the order of its words. */
static void
lay_out(struct vmt_go_layout *layout)
{
	*layout = (struct vmt_go_layout){.usable = true};
	for (size_t i = 0; i < 16; i++) {
		layout->known[i] = true;
		layout->places[i] = (struct vmt_symbol_place){(i < 4 ? i : i - 4) * 8, 8};
	}
}

static void
figures_add_up(void **state)
{
	struct vmt_go_chunk_read counters;
	struct vmt_go_figures figures;
	struct vmt_go_layout layout;
	struct vmt_err err;

	(void)state;
	make(5000);
	lay_out(&layout);
	assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), 0);
	assert_true(vmt_go_memstats_add_up(&figures, &layout, &counters));
	assert_int_equal(figures.heap_in_use_bytes, 1000);
	assert_int_equal(figures.heap_idle_bytes, 230);
	assert_int_equal(figures.heap_released_bytes, 30);
	assert_int_equal(figures.memory_limit_bytes, 5000);
	/* stacks_sys, then after five of metadata the three generations */
	assert_int_equal(figures.stacks_bytes, 100 + 106 + 107 + 108);
	assert_int_equal(figures.metadata_bytes, 101 + 102 + 103 + 104 + 105 + 109 + 110 + 111);
	assert_int_equal(figures.total_bytes, 1230 + figures.stacks_bytes + figures.metadata_bytes);
	make(INT64_MAX);
	assert_true(vmt_go_memstats_add_up(&figures, &layout, &counters));
	assert_int_equal(figures.memory_limit_bytes, VMT_FIGURE_UNKNOWN);
}

/* All of the controller is 0 before the runtime starts: no limit of 0, and no GOGC of 0. */
static void
before_the_start_no_pace_is_set(void **state)
{
	static const struct vmt_go_offsets offsets = {
	    .gc_percent = 32, .heap_goal = 40, .heap_live = 48, .heap_marked = 56};
	uint64_t controller[8] = {0};
	uint64_t statistics[16] = {0};
	struct vmt_go_counters head = {.time = 7, .snapshot = 3, .objects = 2};
	struct vmt_go_chunk_read counters;
	struct vmt_go_figures figures;
	struct vmt_go_layout layout;
	struct vmt_err err;

	(void)state;
	lay_out(&layout);
	for (uint64_t in_use = 0; in_use < 2; in_use++) {
		controller[0] = in_use;
		controller[5] = in_use * 4096; /* its goal, with a GOGC of 0 */
		length = 0;
		put(&head, sizeof(head));
		put_object("runtime.gcController", controller, sizeof(controller));
		put_object("runtime.memstats", statistics, sizeof(statistics));
		assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), 0);
		assert_true(vmt_go_memstats_add_up(&figures, &layout, &counters));
		vmt_go_memstats_add_pace(&figures, &offsets, &counters);
		assert_int_equal(figures.memory_limit_bytes, in_use ? 0 : VMT_FIGURE_UNKNOWN);
		assert_int_equal(figures.has_pace, in_use != 0);
	}
}

/* What was in use at the last collection, by how the goal has changed since, and a tenth. */
static void
the_scavenger_has_a_goal_after_a_collection(void **state)
{
	static const struct vmt_go_offsets offsets = {.gc_percent = 32,
						      .heap_goal = 40,
						      .heap_live = 48,
						      .heap_marked = 56,
						      .last_heap_goal = 16,
						      .last_heap_in_use = 120};
	uint64_t controller[8] = {[2] = 8000, [4] = 100, [5] = 4000};
	uint64_t statistics[16] = {[15] = 10000};
	struct vmt_go_counters head = {.time = 7, .snapshot = 3, .objects = 2};
	struct vmt_go_chunk_read counters;
	struct vmt_go_figures figures;
	struct vmt_err err;
	const struct {
		uint64_t percent;
		uint64_t last;
		uint64_t goal;
	} all[] = {{100, 8000, 5500},
		   {100, 0, VMT_FIGURE_UNKNOWN},
		   {UINT32_MAX, 8000, VMT_FIGURE_UNKNOWN},
		   {100, UINT64_MAX, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		controller[4] = all[i].percent;
		controller[2] = all[i].last;
		length = 0;
		put(&head, sizeof(head));
		put_object("runtime.gcController", controller, sizeof(controller));
		put_object("runtime.memstats", statistics, sizeof(statistics));
		assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), 0);
		figures.memory_limit_bytes = VMT_FIGURE_UNKNOWN;
		vmt_go_memstats_add_pace(&figures, &offsets, &counters);
		assert_int_equal(figures.scavenger_goal_bytes, all[i].goal);
		/* By a limit the goal may have been another. */
		figures.memory_limit_bytes = 1 << 20;
		vmt_go_memstats_add_pace(&figures, &offsets, &counters);
		assert_int_equal(figures.scavenger_goal_bytes, VMT_FIGURE_UNKNOWN);
	}
}

static void
generations_below_zero_cancel_out(void **state)
{
	struct vmt_go_chunk_read counters;
	struct vmt_go_figures figures;
	struct vmt_go_layout layout;
	struct vmt_err err;
	uint64_t below = (uint64_t)-100;

	(void)state;
	make(INT64_MAX);
	lay_out(&layout);
	assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), 0);
	memcpy(payload + length - 128 + 7 * 8, &below, 8);
	assert_true(vmt_go_memstats_add_up(&figures, &layout, &counters));
	assert_int_equal(figures.stacks_bytes, 100 + 106 - 100 + 108);
	below = (uint64_t)-100000;
	memcpy(payload + length - 128 + 7 * 8, &below, 8);
	assert_true(vmt_go_memstats_add_up(&figures, &layout, &counters));
	assert_int_equal(figures.stacks_bytes, 0);
}

static void
a_member_outside_its_object_is_no_figure(void **state)
{
	struct vmt_go_chunk_read counters;
	struct vmt_go_figures figures;
	struct vmt_go_layout layout;
	struct vmt_err err;

	(void)state;
	make(INT64_MAX);
	lay_out(&layout);
	assert_int_equal(vmt_go_chunk_read(&counters, payload, length, &err), 0);
	layout.places[0].offset = 25;
	assert_false(vmt_go_memstats_add_up(&figures, &layout, &counters));
	layout.places[0].offset = UINT64_MAX - 4;
	assert_false(vmt_go_memstats_add_up(&figures, &layout, &counters));
	layout.places[0].offset = 24;
	assert_true(vmt_go_memstats_add_up(&figures, &layout, &counters));
	counters.count = 1;
	assert_false(vmt_go_memstats_add_up(&figures, &layout, &counters));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(objects_are_taken_apart),
	    cmocka_unit_test(what_is_cut_or_wrong_is_an_error),
	    cmocka_unit_test(figures_add_up),
	    cmocka_unit_test(before_the_start_no_pace_is_set),
	    cmocka_unit_test(the_scavenger_has_a_goal_after_a_collection),
	    cmocka_unit_test(generations_below_zero_cancel_out),
	    cmocka_unit_test(a_member_outside_its_object_is_no_figure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
