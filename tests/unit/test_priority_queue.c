#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tools/read/trace/priority_queue.h"

#define ITEMS 1000u

static void
gives_items_in_order_of_time_then_order(void **state)
{
	struct vmt_priority_queue queue = {0};
	struct vmt_priority_queue_item last = {0};
	uint64_t seed = 42;
	uint64_t sum = 0;

	(void)state;
	for (uint64_t i = 0; i < ITEMS; i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		assert_true(vmt_priority_queue_push(
		    &queue, (struct vmt_priority_queue_item){seed >> 57, i, i}));
	}
	assert_int_equal(queue.count, ITEMS);
	for (unsigned i = 0; i < ITEMS; i++) {
		struct vmt_priority_queue_item item = vmt_priority_queue_pop(&queue);

		assert_true(i == 0 || item.time > last.time ||
			    (item.time == last.time && item.order > last.order));
		assert_int_equal(item.order, item.value);
		sum += item.value;
		last = item;
	}
	assert_int_equal(sum, (uint64_t)ITEMS * (ITEMS - 1) / 2);
	assert_int_equal(queue.count, 0);
	vmt_priority_queue_free(&queue);
}

static void
takes_items_between_pops(void **state)
{
	struct vmt_priority_queue queue = {0};

	(void)state;
	assert_true(vmt_priority_queue_push(&queue, (struct vmt_priority_queue_item){5, 0, 50}));
	assert_true(vmt_priority_queue_push(&queue, (struct vmt_priority_queue_item){3, 0, 30}));
	assert_int_equal(vmt_priority_queue_pop(&queue).value, 30);
	assert_true(vmt_priority_queue_push(&queue, (struct vmt_priority_queue_item){4, 0, 40}));
	assert_int_equal(queue.items[0].time, 4);
	assert_int_equal(vmt_priority_queue_pop(&queue).value, 40);
	assert_int_equal(vmt_priority_queue_pop(&queue).value, 50);
	vmt_priority_queue_free(&queue);
}

static void
puts_an_item_in_the_place_of_the_first(void **state)
{
	struct vmt_priority_queue queue = {0};

	(void)state;
	assert_true(vmt_priority_queue_push(&queue, (struct vmt_priority_queue_item){1, 0, 10}));
	assert_null(vmt_priority_queue_second(&queue));
	assert_true(vmt_priority_queue_push(&queue, (struct vmt_priority_queue_item){7, 0, 70}));
	assert_int_equal(vmt_priority_queue_second(&queue)->value, 70);
	assert_true(vmt_priority_queue_push(&queue, (struct vmt_priority_queue_item){5, 0, 50}));
	assert_int_equal(vmt_priority_queue_second(&queue)->value, 50);
	vmt_priority_queue_replace(&queue, (struct vmt_priority_queue_item){6, 0, 60});
	assert_int_equal(queue.count, 3);
	assert_int_equal(vmt_priority_queue_second(&queue)->value, 60);
	assert_int_equal(vmt_priority_queue_pop(&queue).value, 50);
	vmt_priority_queue_replace(&queue, (struct vmt_priority_queue_item){2, 0, 20});
	assert_int_equal(vmt_priority_queue_pop(&queue).value, 20);
	assert_int_equal(vmt_priority_queue_pop(&queue).value, 70);
	vmt_priority_queue_free(&queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_items_in_order_of_time_then_order),
	    cmocka_unit_test(takes_items_between_pops),
	    cmocka_unit_test(puts_an_item_in_the_place_of_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
