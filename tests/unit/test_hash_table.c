/* A table that can't grow leaves the new item out, and keeps what it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned allocations_left;

static void *
scarce(size_t bytes)
{
	return allocations_left-- > 0 ? malloc(bytes) : NULL;
}

#define uthash_malloc(bytes) scarce(bytes)
#include "tools/hash_table.h"

#define ITEMS 4096u /* more than the buckets that a table begins with can hold */

struct item {
	UT_hash_handle hh;
	uint32_t key;
};

static struct item *table;
static unsigned released;

static void
release(struct item *item)
{
	released++;
	free(item);
}

/* How many of the items found memory. */
static unsigned
fill(unsigned allocations)
{
	unsigned added = 0;

	table = NULL;
	allocations_left = allocations;
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct item *item = calloc(1, sizeof(*item));

		assert_non_null(item);
		item->key = i;
		HASH_ADD(hh, table, key, sizeof(item->key), item);
		if (!item->hh.tbl) {
			free(item);
			break;
		}
		added++;
	}
	return added;
}

static void
what_finds_no_memory_is_left_out(void **state)
{
	(void)state;
	for (unsigned allocations = 0; allocations < 2; allocations++) {
		assert_int_equal(fill(allocations), 0);
		assert_null(table);
	}
}

static void
a_table_that_cannot_grow_keeps_what_it_has(void **state)
{
	unsigned added = fill(2);

	(void)state;
	assert_in_range(added, 1, ITEMS - 1);
	assert_int_equal(HASH_COUNT(table), added);
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct item *found;

		HASH_FIND(hh, table, &i, sizeof(i), found);
		assert_int_equal(found != NULL, i < added);
	}
	released = 0;
	VMT_HASH_TABLE_FREE(struct item, table, release);
	assert_int_equal(released, added);
	assert_null(table);
}

static void
items_stand_in_the_order_of_their_arrival(void **state)
{
	uint32_t next = 0;

	(void)state;
	assert_int_equal(fill(1000), ITEMS);
	for (const struct item *item = table; item; item = item->hh.next)
		assert_int_equal(item->key, next++);
	assert_int_equal(next, ITEMS);
	released = 0;
	VMT_HASH_TABLE_FREE(struct item, table, release);
	assert_int_equal(released, ITEMS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_finds_no_memory_is_left_out),
	    cmocka_unit_test(a_table_that_cannot_grow_keeps_what_it_has),
	    cmocka_unit_test(items_stand_in_the_order_of_their_arrival),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
