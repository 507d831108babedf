#include "format/stack_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WORDS 1024u

struct fixture {
	uint64_t index[64];
	uint64_t words[WORDS];
	uint64_t used;
	uint64_t dropped;
	struct vmt_stack_table table;
};

static struct fixture *
fresh(void)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	fixture.table = (struct vmt_stack_table){
	    .index = fixture.index,
	    .index_mask = 63,
	    .words = fixture.words,
	    .words_count = WORDS,
	    .words_used = &fixture.used,
	    .dropped = &fixture.dropped,
	};
	return &fixture;
}

static void
test_same_stack_same_id(void **state)
{
	struct fixture *fixture = fresh();
	const uint64_t frames[] = {0x401000, 0x402000, 0x403000};
	uint32_t count;
	uint32_t id = vmt_stack_table_intern(&fixture->table, frames, 3);
	const uint64_t *found = vmt_stack_table_get(fixture->words, WORDS, id, &count);

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_equal(vmt_stack_table_intern(&fixture->table, frames, 3), id);
	assert_int_not_equal(vmt_stack_table_intern(&fixture->table, frames, 2), id);
	assert_int_not_equal(vmt_stack_table_intern(&fixture->table, frames + 1, 2), id);
	assert_int_equal(count, 3);
	assert_memory_equal(found, frames, sizeof(frames));
	assert_int_equal(fixture->dropped, 0);
}

static void
test_no_frames_no_id(void **state)
{
	struct fixture *fixture = fresh();
	uint64_t frame = 1;

	(void)state;
	assert_int_equal(vmt_stack_table_intern(&fixture->table, &frame, 0), 0);
	assert_int_equal(fixture->dropped, 0);
}

static void
test_deep_stacks_are_cut(void **state)
{
	struct fixture *fixture = fresh();
	uint64_t frames[VMT_STACK_MAX_FRAMES + 10];
	uint32_t count, id;

	(void)state;
	for (unsigned i = 0; i < VMT_STACK_MAX_FRAMES + 10; i++)
		frames[i] = i + 1;
	id = vmt_stack_table_intern(&fixture->table, frames, VMT_STACK_MAX_FRAMES + 10);
	assert_non_null(vmt_stack_table_get(fixture->words, WORDS, id, &count));
	assert_int_equal(count, VMT_STACK_MAX_FRAMES);
	assert_int_equal(vmt_stack_table_intern(&fixture->table, frames, VMT_STACK_MAX_FRAMES), id);
}

/* Every id handed out stays right up to the last word; from then on 0, counted. */
static void
test_full_words(void **state)
{
	struct fixture *fixture = fresh();
	uint32_t ids[WORDS], count, interned = 0;

	(void)state;
	fixture->table.words_count = 64;
	for (uint64_t i = 0; i < 40; i++) {
		const uint64_t frames[2] = {i + 1, 7};
		uint32_t id = vmt_stack_table_intern(&fixture->table, frames, 2);

		if (id != 0)
			ids[interned++] = id;
	}
	assert_in_range(interned, 19, 21);
	assert_int_equal(fixture->dropped, 40 - interned);
	for (uint32_t i = 0; i < interned; i++) {
		const uint64_t *frames = vmt_stack_table_get(fixture->words, 64, ids[i], &count);

		assert_non_null(frames);
		assert_int_equal(count, 2);
		assert_int_equal(frames[0], i + 1);
		assert_int_equal(frames[1], 7);
	}
	assert_true(fixture->words[64] == 0 && fixture->words[65] == 0);
}

static uint64_t backed_words;
static uint64_t most_words;

static bool
back(uint64_t words)
{
	if (words > most_words)
		return false;
	backed_words = words;
	return true;
}

/* No word is written to that has no memory; what finds none is counted. */
static void
test_memory_as_it_grows(void **state)
{
	struct fixture *fixture = fresh();
	uint32_t ids = 0;

	(void)state;
	backed_words = 4;
	most_words = 100;
	fixture->table.backed_words = &backed_words;
	fixture->table.back = back;
	for (uint64_t i = 0; i < 30; i++) {
		const uint64_t frames[] = {0x401000 + i, 0x402000, 0x403000};

		ids += vmt_stack_table_intern(&fixture->table, frames, 3) != 0;
	}
	assert_int_equal(ids + fixture->dropped, 30);
	assert_in_range(ids, 20, 24); /* of four words each, behind the first word */
	for (uint64_t word = most_words; word < WORDS; word++)
		assert_int_equal(fixture->words[word], 0);
}

static void
test_full_index(void **state)
{
	struct fixture *fixture = fresh();
	uint32_t interned = 0;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		interned += vmt_stack_table_intern(&fixture->table, &(uint64_t){i + 1}, 1) != 0;
	assert_in_range(interned, VMT_STACK_LINES * VMT_STACK_LINE, 64);
	assert_int_equal(fixture->dropped, 100 - interned);
}

#define MANY 2500u

/* Few stacks stay in the index's first part; many are all found again, wherever they stand. */
static void
test_parts_of_the_index(void **state)
{
	static uint64_t index[4096];
	static uint64_t words[2 + 2 * MANY];
	static uint32_t ids[MANY];
	uint64_t used = 0, dropped = 0;
	struct vmt_stack_table table = {.index = index,
					.index_mask = 4095,
					.words = words,
					.words_count = 2 + 2 * MANY,
					.words_used = &used,
					.dropped = &dropped};

	(void)state;
	for (uint64_t i = 0; i < MANY; i++) {
		ids[i] = vmt_stack_table_intern(&table, &(uint64_t){0x400000 + 24 * i}, 1);
		for (unsigned k = 4096 / 32; i == 40 && k < 4096; k++)
			assert_true(index[k] == 0);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		assert_int_not_equal(ids[i], 0);
		assert_int_equal(vmt_stack_table_intern(&table, &(uint64_t){0x400000 + 24 * i}, 1),
				 ids[i]);
	}
	assert_int_equal(used, 2 + 2 * MANY); /* word 0 costs one record */
	assert_int_equal(dropped, 0);
}

/* A damaged index gives no wrong stack and no read outside. */
static void
test_damaged_index(void **state)
{
	struct fixture *fixture = fresh();
	const uint64_t frames[] = {1, 2, 3};
	uint32_t count, id;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		fixture->index[i] = UINT64_MAX;
	assert_int_equal(vmt_stack_table_intern(&fixture->table, frames, 3), 0);
	assert_int_equal(fixture->dropped, 1);
	memset(fixture->index, 0, sizeof(fixture->index));
	id = vmt_stack_table_intern(&fixture->table, frames, 3);
	fixture->words[id + 1] ^= 4;
	assert_int_not_equal(vmt_stack_table_intern(&fixture->table, frames, 3), id);
	assert_null(vmt_stack_table_get(fixture->words, WORDS, id, &count));
}

static void
test_untrusted_ids(void **state)
{
	struct fixture *fixture = fresh();
	const uint64_t frames[] = {1, 2, 3};
	uint32_t id = vmt_stack_table_intern(&fixture->table, frames, 3);
	uint32_t count;

	(void)state;
	for (uint64_t other = 0; other < 2 * WORDS; other++) {
		const uint64_t *found =
		    vmt_stack_table_get(fixture->words, WORDS, (uint32_t)other, &count);

		assert_true((found != NULL) == (other == id));
		assert_true(found != NULL || count == 0);
	}
	assert_null(vmt_stack_table_get(fixture->words, WORDS, UINT32_MAX, &count));
	assert_null(vmt_stack_table_get(fixture->words, id + 3, id, &count));
	assert_non_null(vmt_stack_table_get(fixture->words, id + 4, id, &count));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_stack_same_id),	cmocka_unit_test(test_no_frames_no_id),
	    cmocka_unit_test(test_deep_stacks_are_cut), cmocka_unit_test(test_full_words),
	    cmocka_unit_test(test_memory_as_it_grows),	cmocka_unit_test(test_full_index),
	    cmocka_unit_test(test_parts_of_the_index),	cmocka_unit_test(test_damaged_index),
	    cmocka_unit_test(test_untrusted_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
