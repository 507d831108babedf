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
	uint64_t found[VMT_STACK_MAX_FRAMES];
	uint32_t id = vmt_stack_table_intern(&fixture->table, frames, 3);

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, id, found), 3);
	assert_int_equal(vmt_stack_table_intern(&fixture->table, frames, 3), id);
	assert_int_not_equal(vmt_stack_table_intern(&fixture->table, frames, 2), id);
	assert_int_not_equal(vmt_stack_table_intern(&fixture->table, frames + 1, 2), id);
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
	uint64_t frames[VMT_STACK_MAX_FRAMES + 10], found[VMT_STACK_MAX_FRAMES];
	uint32_t id;

	(void)state;
	for (unsigned i = 0; i < VMT_STACK_MAX_FRAMES + 10; i++)
		frames[i] = i + 1;
	id = vmt_stack_table_intern(&fixture->table, frames, VMT_STACK_MAX_FRAMES + 10);
	assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, id, found),
			 VMT_STACK_MAX_FRAMES);
	assert_memory_equal(found, frames, sizeof(found));
	assert_int_equal(vmt_stack_table_intern(&fixture->table, frames, VMT_STACK_MAX_FRAMES), id);
}

/* Every id handed out stays right up to the last word; from then on 0, counted. */
static void
test_full_words(void **state)
{
	struct fixture *fixture = fresh();
	uint64_t frames[VMT_STACK_MAX_FRAMES];
	uint32_t ids[WORDS], interned = 0;

	(void)state;
	fixture->table.words_count = 64;
	for (uint64_t i = 0; i < 40; i++) {
		uint32_t id =
		    vmt_stack_table_intern(&fixture->table, (const uint64_t[]){i + 1, 7}, 2);

		if (id != 0)
			ids[interned++] = id;
	}
	assert_in_range(interned, 19, 21);
	assert_int_equal(fixture->dropped, 40 - interned);
	for (uint32_t i = 0; i < interned; i++) {
		assert_int_equal(vmt_stack_table_read(fixture->words, 64, ids[i], frames), 2);
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

/* What finds no room in the index takes no words, however often it comes. */
static void
test_full_index(void **state)
{
	struct fixture *fixture = fresh();
	uint32_t interned = 0;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		interned += vmt_stack_table_intern(&fixture->table, &(uint64_t){i + 1}, 1) != 0;
	assert_int_equal(interned, 64);
	assert_int_equal(fixture->dropped, 100 - interned);
	assert_int_equal(fixture->used, 2 + 2 * interned); /* word 0 costs one record */
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
	uint64_t found[VMT_STACK_MAX_FRAMES];
	uint32_t id;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		fixture->index[i] = UINT64_MAX;
	assert_int_equal(vmt_stack_table_intern(&fixture->table, frames, 3), 0);
	assert_int_equal(fixture->dropped, 1);
	memset(fixture->index, 0, sizeof(fixture->index));
	id = vmt_stack_table_intern(&fixture->table, frames, 3);
	fixture->words[id + 1] ^= 4;
	assert_int_not_equal(vmt_stack_table_intern(&fixture->table, frames, 3), id);
	assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, id, found), 0);
}

/* Words that lead in a circle, or outside, hold up nobody. */
static void
test_damaged_words(void **state)
{
	static const uint64_t ends[] = {0, 1, 2, 5, 900, WORDS, UINT32_MAX};
	const uint64_t frames[] = {7, 7, 7, 7, 7, 7, 7, 7};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct fixture *fixture = fresh();
		uint64_t found[VMT_STACK_MAX_FRAMES];
		uint32_t id = vmt_stack_table_intern(&fixture->table, frames, 8);

		for (unsigned word = 0; word < WORDS; word++)
			fixture->words[word] = UINT64_C(1) << 63 | ends[i];
		fixture->words[id] = 7;
		assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, id, found), 0);
		assert_int_not_equal(vmt_stack_table_intern(&fixture->table, frames, 8), id);
	}
}

/* Stacks of which the outer frames are the same: bits of the number, from the outermost one on. */
static uint32_t
make_tree_stack(uint64_t number, uint64_t *frames, uint32_t depth)
{
	for (uint32_t i = 0; i < depth; i++) {
		uint32_t bit = number >> (depth - 1 - i) & 1 ? 0x40 : 0;

		frames[depth - 1 - i] = 0x400000 + 0x1000 * (uint64_t)i + bit;
	}
	return depth;
}

#define TREE_DEPTH 16u
#define TREE_STACKS (1u << 12) /* the four outermost frames are common to all */
#define TREE_WORDS (6 * TREE_STACKS)

struct tree {
	uint64_t index[4 * TREE_STACKS];
	uint64_t words[TREE_WORDS];
	uint64_t used, dropped;
	struct vmt_stack_table table;
	uint32_t ids[TREE_STACKS];
};

static struct tree *
fresh_tree(void)
{
	static struct tree tree;

	memset(&tree, 0, sizeof(tree));
	tree.table = (struct vmt_stack_table){.index = tree.index,
					      .index_mask = 4 * TREE_STACKS - 1,
					      .words = tree.words,
					      .words_count = TREE_WORDS,
					      .words_used = &tree.used,
					      .dropped = &tree.dropped};
	return &tree;
}

static void
check_tree(struct tree *tree)
{
	uint64_t frames[TREE_DEPTH], found[VMT_STACK_MAX_FRAMES];

	for (uint32_t i = 0; i < TREE_STACKS; i++) {
		make_tree_stack(i, frames, TREE_DEPTH);
		assert_int_equal(vmt_stack_table_read(tree->words, TREE_WORDS, tree->ids[i], found),
				 TREE_DEPTH);
		assert_memory_equal(found, frames, sizeof(frames));
		assert_int_equal(vmt_stack_table_intern(&tree->table, frames, TREE_DEPTH),
				 tree->ids[i]);
	}
	assert_int_equal(tree->dropped, 0);
}

/* Stacks of 16 frames take five words of their own and a part of those that they share, in whatever
 * order they come. Alone each would take 17. */
static void
test_outer_frames_are_shared(void **state)
{
	struct tree *tree = fresh_tree();
	uint64_t frames[TREE_DEPTH];

	(void)state;
	for (uint32_t i = 0; i < TREE_STACKS; i++) {
		uint32_t number = i * 1027 % TREE_STACKS; /* an odd factor: each once */

		make_tree_stack(number, frames, TREE_DEPTH);
		tree->ids[number] = vmt_stack_table_intern(&tree->table, frames, TREE_DEPTH);
		assert_int_not_equal(tree->ids[number], 0);
	}
	assert_true(tree->used < 5 * TREE_STACKS);
	check_tree(tree);
}

/* The index has an entry for the four outer frames. The one before them is shared all the same: the
 * second stack takes a word for its innermost frame, and an end word. */
static void
test_frames_between_entries_are_shared(void **state)
{
	struct fixture *fixture = fresh();
	const uint64_t first[] = {0x401000, 0x402000, 0x403000, 0x404000, 0x405000, 0x406000};
	uint64_t second[6], found[VMT_STACK_MAX_FRAMES];
	uint32_t known[6] = {0};
	uint64_t key = 0;

	(void)state;
	memcpy(second, first, sizeof(second));
	second[0] += 8;
	for (uint32_t i = 6; i-- > 0;)
		key = vmt_stack_table_add_frame(key, second[i]);
	uint32_t first_id = vmt_stack_table_intern(&fixture->table, first, 6);
	uint64_t used = fixture->used;
	uint32_t id = vmt_stack_table_intern_keyed(&fixture->table, second, 6, key, known);

	assert_int_equal(fixture->used - used, 2);
	assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, id, found), 6);
	assert_memory_equal(found, second, sizeof(second));
	assert_int_equal(known[0], id);
	assert_int_equal(known[1], first_id + 1);
	/* What is left of the first stack is asked for: it has words already. */
	assert_int_equal(vmt_stack_table_intern(&fixture->table, first + 1, 5), first_id + 1);
	assert_int_equal(fixture->used - used, 2);
}

/* What another writer left before a record is no frame of its own. */
static void
test_words_before_a_record_are_not_its_own(void **state)
{
	struct fixture *fixture = fresh();
	const uint64_t outer[] = {0x402000, 0x403000, 0x404000, 0x405000};
	const uint64_t stack[] = {0x401000, 0x402000, 0x403000, 0x404000, 0x405000};
	uint64_t found[VMT_STACK_MAX_FRAMES];

	(void)state;
	fixture->used = 8; /* a record that was being written, and its writer died */
	fixture->words[7] = stack[0];
	assert_int_equal(vmt_stack_table_intern(&fixture->table, outer, 4), 8);
	uint32_t id = vmt_stack_table_intern(&fixture->table, stack, 5);

	assert_true(id > 8);
	assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, id, found), 5);
	assert_memory_equal(found, stack, sizeof(stack));
}

/* A caller that knows ids of outer frames gets the same ids as one that does not, and its stacks
 * share every outer frame: they take three words each. */
static void
test_known_ids(void **state)
{
	struct tree *tree = fresh_tree();
	uint64_t frames[TREE_DEPTH];
	uint32_t known[TREE_DEPTH] = {0};

	(void)state;
	for (uint32_t i = 0; i < TREE_STACKS; i++) {
		uint32_t changed = 1 + (uint32_t)__builtin_ctz(i | TREE_STACKS);
		uint64_t key = 0;

		make_tree_stack(i, frames, TREE_DEPTH);
		for (uint32_t k = TREE_DEPTH; k-- > 0;)
			key = vmt_stack_table_add_frame(key, frames[k]);
		memset(known, 0, changed * sizeof(*known));
		tree->ids[i] =
		    vmt_stack_table_intern_keyed(&tree->table, frames, TREE_DEPTH, key, known);
		assert_int_equal(known[0], tree->ids[i]);
	}
	assert_true(tree->used < 4 * TREE_STACKS);
	check_tree(tree);
}

/* Every part of a stack can be asked for, and is a stack of its own. */
static void
test_parts_of_a_stack(void **state)
{
	struct tree *tree = fresh_tree();
	uint64_t frames[TREE_DEPTH], found[VMT_STACK_MAX_FRAMES];

	(void)state;
	make_tree_stack(5, frames, TREE_DEPTH);
	tree->ids[0] = vmt_stack_table_intern(&tree->table, frames, TREE_DEPTH);
	for (uint32_t i = 1; i < TREE_DEPTH; i++) {
		uint32_t id = vmt_stack_table_intern(&tree->table, frames + i, TREE_DEPTH - i);

		assert_int_equal(vmt_stack_table_read(tree->words, TREE_WORDS, id, found),
				 TREE_DEPTH - i);
		assert_memory_equal(found, frames + i, (TREE_DEPTH - i) * sizeof(*frames));
		assert_int_equal(vmt_stack_table_intern(&tree->table, frames + i, TREE_DEPTH - i),
				 id);
		assert_int_equal(
		    vmt_stack_table_read(tree->words, TREE_WORDS, tree->ids[0] + i, found),
		    TREE_DEPTH - i);
	}
	assert_int_equal(vmt_stack_table_intern(&tree->table, frames, TREE_DEPTH), tree->ids[0]);
}

/* An address that no program's code has ends a stack. */
static void
test_address_of_the_kernel(void **state)
{
	struct fixture *fixture = fresh();
	const uint64_t frames[] = {1, 2, UINT64_MAX, 3};
	uint64_t found[VMT_STACK_MAX_FRAMES];
	uint32_t id = vmt_stack_table_intern(&fixture->table, frames, 4);

	(void)state;
	assert_int_equal(id, vmt_stack_table_intern(&fixture->table, frames, 2));
	assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, id, found), 2);
	assert_int_equal(vmt_stack_table_intern(&fixture->table, frames + 2, 2), 0);
	assert_int_equal(fixture->dropped, 0);
}

/* A number that is no frame's gives nothing, and so does a table that ends too early. */
static void
test_untrusted_ids(void **state)
{
	struct fixture *fixture = fresh();
	const uint64_t frames[] = {1, 2, 3};
	uint32_t id = vmt_stack_table_intern(&fixture->table, frames, 3);
	uint64_t found[VMT_STACK_MAX_FRAMES];

	(void)state;
	for (uint64_t other = 0; other < 2 * WORDS; other++) {
		uint32_t count =
		    vmt_stack_table_read(fixture->words, WORDS, (uint32_t)other, found);

		assert_int_equal(count, other >= id && other < id + 3 ? id + 3 - other : 0);
	}
	assert_int_equal(vmt_stack_table_read(fixture->words, WORDS, UINT32_MAX, found), 0);
	assert_int_equal(vmt_stack_table_read(fixture->words, id + 3, id, found), 0);
	assert_int_equal(vmt_stack_table_read(fixture->words, id + 4, id, found), 3);
}

/* Who asks for many ids gets what each gives alone, and a record that many go through is looked at
 * once: its checksum is wrong afterwards, and nobody computes it again. */
static void
test_many_ids(void **state)
{
	struct tree *tree = fresh_tree();
	static uint64_t whole[TREE_WORDS / 64 + 1];
	uint64_t frames[TREE_DEPTH], found[VMT_STACK_MAX_FRAMES], alone[VMT_STACK_MAX_FRAMES];
	uint32_t first = 0, last = 0;

	(void)state;
	memset(whole, 0, sizeof(whole));
	for (uint32_t i = 0; i < 64; i++) {
		make_tree_stack(i, frames, TREE_DEPTH);
		last = vmt_stack_table_intern(&tree->table, frames, TREE_DEPTH);
		first = i == 0 ? last : first;
	}
	tree->words[first + TREE_DEPTH + 2] ^= 1; /* the second record: whoever goes through it */
	for (uint32_t id = 0; id < TREE_WORDS; id++) {
		uint32_t count = vmt_stack_table_read(tree->words, TREE_WORDS, id, alone);

		assert_int_equal(
		    vmt_stack_table_read_many(tree->words, TREE_WORDS, id, whole, found), count);
		assert_memory_equal(found, alone, count * sizeof(*found));
	}
	assert_int_equal(vmt_stack_table_read(tree->words, TREE_WORDS, last, alone), TREE_DEPTH);
	tree->words[first + TREE_DEPTH] ^= UINT64_C(1) << 32;
	assert_int_equal(vmt_stack_table_read(tree->words, TREE_WORDS, last, found), 0);
	assert_int_equal(vmt_stack_table_read_many(tree->words, TREE_WORDS, last, whole, found),
			 TREE_DEPTH);
	assert_memory_equal(found, alone, sizeof(frames));
}

/* The words that docs/trace-format.md shows. */
static void
test_example(void **state)
{
	struct fixture *fixture = fresh();
	static const uint64_t expected[] = {0,	      0x401000,
					    0x402000, UINT64_C(0x81b8bc9100000000),
					    0x401008, UINT64_C(0x802bfc2c00000002)};
	uint32_t known[2] = {0};
	uint64_t key = vmt_stack_table_add_frame(0, 0x402000);

	(void)state;
	fixture->used = 1;
	assert_int_equal(vmt_stack_table_intern_keyed(&fixture->table, expected + 1, 2,
						      vmt_stack_table_add_frame(key, 0x401000),
						      known),
			 1);
	known[0] = 0;
	assert_int_equal(
	    vmt_stack_table_intern_keyed(&fixture->table, (const uint64_t[]){0x401008, 0x402000}, 2,
					 vmt_stack_table_add_frame(key, 0x401008), known),
	    4);
	assert_memory_equal(fixture->words, expected, sizeof(expected));
}

/* A stack of a table in which each has its own words, as earlier versions wrote them. */
static void
test_unshared(void **state)
{
	/* The hash of docs/trace-format.md over 0x401000, 0x402000. */
	uint64_t words[] = {0, UINT64_C(0x3ce91138726f0002), 0x401000, 0x402000};
	uint32_t count;
	const uint64_t *found = vmt_stack_table_get_unshared(words, 4, 1, &count);

	(void)state;
	assert_ptr_equal(found, words + 2);
	assert_int_equal(count, 2);
	for (uint32_t id = 0; id < 8; id++)
		assert_true(id == 1 || !vmt_stack_table_get_unshared(words, 4, id, &count));
	assert_null(vmt_stack_table_get_unshared(words, 3, 1, &count));
	words[3]++;
	assert_null(vmt_stack_table_get_unshared(words, 4, 1, &count));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_stack_same_id),
	    cmocka_unit_test(test_no_frames_no_id),
	    cmocka_unit_test(test_deep_stacks_are_cut),
	    cmocka_unit_test(test_full_words),
	    cmocka_unit_test(test_memory_as_it_grows),
	    cmocka_unit_test(test_full_index),
	    cmocka_unit_test(test_parts_of_the_index),
	    cmocka_unit_test(test_damaged_index),
	    cmocka_unit_test(test_untrusted_ids),
	    cmocka_unit_test(test_damaged_words),
	    cmocka_unit_test(test_outer_frames_are_shared),
	    cmocka_unit_test(test_frames_between_entries_are_shared),
	    cmocka_unit_test(test_words_before_a_record_are_not_its_own),
	    cmocka_unit_test(test_known_ids),
	    cmocka_unit_test(test_parts_of_a_stack),
	    cmocka_unit_test(test_address_of_the_kernel),
	    cmocka_unit_test(test_many_ids),
	    cmocka_unit_test(test_unshared),
	    cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
