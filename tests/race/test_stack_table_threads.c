/* Threads intern the same stacks at the same time: every id must name the frames it was given for,
 * and a thread that asks twice gets one id. With and without ids of outer frames that each thread
 * remembers, as its last walk does. Clean under ThreadSanitizer. */
#include "format/stack_table.c"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8u
#define STACKS 2000u
#define ROUNDS 3u
#define INDEX_ENTRIES 8192u
#define WORDS (STACKS * THREADS * 40u)

static uint64_t index_words[INDEX_ENTRIES];
static uint64_t words[WORDS];
static uint64_t words_used;
static uint64_t dropped;
static uint32_t ids[THREADS][STACKS];
static uint32_t wrong[THREADS];
static pthread_barrier_t together;

static const struct vmt_stack_table table = {
    .index = index_words,
    .index_mask = INDEX_ENTRIES - 1,
    .words = words,
    .words_count = WORDS,
    .words_used = &words_used,
    .dropped = &dropped,
};

/* Stacks of 1 to 33 frames that share their outer frames, as real ones do. */
static uint32_t
make_stack(uint32_t number, uint64_t frames[VMT_STACK_MAX_FRAMES])
{
	uint32_t count = 1 + number % 33;

	for (uint32_t i = 0; i < count; i++)
		frames[i] = UINT64_C(0x400000) + (uint64_t)i * 64;
	frames[0] += UINT64_C(0x1000) + (uint64_t)number * 16;
	return count;
}

static bool
is_stack(uint32_t id, uint32_t number)
{
	uint64_t frames[VMT_STACK_MAX_FRAMES];
	uint32_t count = make_stack(number, frames);
	uint64_t stored[VMT_STACK_MAX_FRAMES];

	return vmt_stack_table_read(words, WORDS, id, stored) == count &&
	       memcmp(stored, frames, count * sizeof(*frames)) == 0;
}

#define TREE_DEPTH 12u
#define TREE_STACKS 4096u
#define TREE_WORDS (TREE_STACKS * TREE_THREADS * 4u)
#define TREE_THREADS 8u

static uint64_t tree_index[4 * TREE_STACKS];
static uint64_t tree_words[TREE_WORDS];
static uint64_t tree_used;
static uint64_t tree_dropped;
static uint32_t tree_ids[TREE_THREADS][TREE_STACKS];

static const struct vmt_stack_table tree = {
    .index = tree_index,
    .index_mask = 4 * TREE_STACKS - 1,
    .words = tree_words,
    .words_count = TREE_WORDS,
    .words_used = &tree_used,
    .dropped = &tree_dropped,
};

/* Bits of the number, from the outermost frame on. */
static uint64_t
make_tree_stack(uint32_t number, uint64_t frames[TREE_DEPTH])
{
	uint64_t key = 0;

	for (uint32_t i = TREE_DEPTH; i-- > 0;) {
		frames[i] = UINT64_C(0x400000) + UINT64_C(0x1000) * i + (number >> i & 1) * 64;
		key = vmt_stack_table_add_frame(key, frames[i]);
	}
	return key;
}

/* Walks through all stacks, from where it began, and forgets ids of the frames that change. */
static void *
intern_tree(void *argument)
{
	uintptr_t self = (uintptr_t)argument;
	uint32_t known[TREE_DEPTH] = {0};
	uint32_t begin = (uint32_t)self * 512;
	uint32_t earlier = begin % TREE_STACKS;

	pthread_barrier_wait(&together);
	for (uint32_t i = 0; i < TREE_STACKS; i++) {
		uint64_t frames[TREE_DEPTH], found[VMT_STACK_MAX_FRAMES];
		uint32_t number = (begin + i) % TREE_STACKS;
		uint32_t changed = number ^ earlier;
		uint64_t key = make_tree_stack(number, frames);
		uint32_t id;

		for (uint32_t k = 0; k < TREE_DEPTH && changed >> k != 0; k++)
			known[k] = 0;
		earlier = number;
		id = vmt_stack_table_intern_keyed(&tree, frames, TREE_DEPTH, key, known);
		tree_ids[self][number] = id;
		wrong[self] += id == 0 || id != known[0];
		wrong[self] +=
		    vmt_stack_table_read(tree_words, TREE_WORDS, id, found) != TREE_DEPTH ||
		    memcmp(found, frames, sizeof(frames)) != 0;
	}
	return NULL;
}

static void
test_threads_that_remember(void **state)
{
	pthread_t threads[TREE_THREADS];

	(void)state;
	memset(wrong, 0, sizeof(wrong));
	assert_int_equal(pthread_barrier_init(&together, NULL, TREE_THREADS), 0);
	for (uintptr_t i = 0; i < TREE_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, intern_tree, (void *)i), 0);
	for (unsigned i = 0; i < TREE_THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (unsigned i = 0; i < TREE_THREADS; i++) {
		assert_int_equal(wrong[i], 0);
		assert_memory_equal(tree_ids[i], tree_ids[0], sizeof(tree_ids[0]));
	}
	assert_int_equal(tree_dropped, 0);
}

static void *
intern_all(void *argument)
{
	uintptr_t self = (uintptr_t)argument;

	pthread_barrier_wait(&together);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < STACKS; i++) {
			uint64_t frames[VMT_STACK_MAX_FRAMES];
			uint32_t count = make_stack(i, frames);
			uint32_t id = vmt_stack_table_intern(&table, frames, count);

			wrong[self] += id == 0 || !is_stack(id, i);
			wrong[self] += round != 0 && id != ids[self][i];
			ids[self][i] = id;
		}
	}
	return NULL;
}

static void
test_threads_agree(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, intern_all, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(wrong[i], 0);
		/* A lost race wastes a record, never an id: all threads end with the same. */
		assert_memory_equal(ids[i], ids[0], sizeof(ids[0]));
	}
	assert_int_equal(dropped, 0);
	for (uint32_t i = 1; i < STACKS; i++)
		assert_int_not_equal(ids[0][i], ids[0][i - 1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads_agree),
	    cmocka_unit_test(test_threads_that_remember),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
