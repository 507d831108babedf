/* Keys that meet under a hash that everybody knows: no look passes more than a few of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/hash_table.h"
#include "tools/model/attribute/commit_sums.h"
#include "tools/model/replay/temporary_blocks.h"
#include "tools/model/space/sites.h"
#include "tools/model/space/touch_marks.h"

#define KEYS 4096u
#define MEET_BITS 14u	  /* of the hash: as many as the largest table here has */
#define LONGEST_WAY 1024u /* by chance some hundred, where keys meet KEYS */
#define PRINT_SEED "TEST_PRINT_HASH_SEED"

/* The next number whose word has the hash 0, as far as a table looks at it. */
static uint32_t
next_chosen(uint32_t number, unsigned shift)
{
	do
		number++;
	while ((((uint64_t)number << shift) * UINT64_C(0x9e3779b97f4a7c15) >> 32 &
		((1u << MEET_BITS) - 1)) != 0);
	return number;
}

static void
sites(void **state)
{
	const struct vmt_stack_source none = {0};
	struct vmt_module_history *history = vmt_module_history_new();
	struct vmt_sites *sites = vmt_sites_new(history, none);
	uint32_t stack = 0;
	uint32_t site;

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		struct vmt_site_key key = {.stack = stack = next_chosen(stack, 32)};

		assert_int_equal(vmt_sites_intern(sites, key, &site), 0);
		assert_int_equal(site, i);
	}
	assert_in_range(vmt_sites_longest_way(sites), 1, LONGEST_WAY);
	vmt_sites_free(sites);
	vmt_module_history_free(history);
}

static void
touch_marks(void **state)
{
	struct vmt_touch_marks marks = {0};
	struct vmt_touch_mark mark = {.toucher = 0};
	unsigned longest = 0, way = 0;
	uint32_t number;

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		mark.toucher = next_chosen(mark.toucher, 0);
		assert_int_equal(vmt_touch_marks_find(&marks, &mark, &number), 0);
		assert_int_equal(number, i + 1);
	}
	for (uint32_t i = 0; i < 2 * marks.room; i++) {
		way = marks.index[i] ? way + 1 : 0;
		longest = way > longest ? way : longest;
	}
	assert_in_range(longest, 1, LONGEST_WAY);
	vmt_touch_marks_clear(&marks);
}

static void
commit_sums(void **state)
{
	struct vmt_commit_sums sums = {0};
	struct vmt_commit_sum sum = {.bytes = 1};
	unsigned longest = 0, way = 0;

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		sum.toucher = next_chosen(sum.toucher, 0);
		assert_int_equal(vmt_commit_sums_add(&sums, &sum), 0);
	}
	for (size_t i = 0; i < sums.room; i++) {
		way = sums.items[i].used ? way + 1 : 0;
		longest = way > longest ? way : longest;
	}
	assert_in_range(longest, 1, LONGEST_WAY);
	vmt_commit_sums_clear(&sums);
}

/* Each thread's last block is at an address whose 16-bit hash is that of all others. */
static void
temporary_blocks(void **state)
{
	struct vmt_temporary_blocks *blocks = vmt_temporary_blocks_new();
	uint64_t address = 0;

	(void)state;
	assert_non_null(blocks);
	for (uint32_t thread = 0; thread < KEYS; thread++) {
		do
			address += 16;
		while ((address >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48 != 0);
		vmt_temporary_blocks_acquire(blocks, thread, address);
	}
	assert_in_range(vmt_temporary_blocks_longest_way(blocks), 1, 64);
	vmt_temporary_blocks_free(blocks);
}

struct item {
	UT_hash_handle hh;
	uint64_t key;
};

/* uthash's own hash, which is what it takes where no other is given. */
static uint64_t
next_under_jenkins(uint64_t key)
{
	unsigned hash;

	do {
		key++;
		HASH_JEN(&key, sizeof(key), hash);
	} while (hash % (1u << MEET_BITS) != 0);
	return key;
}

/* uthash lets a table grow no more, for good, where that shortens no chain. */
static void
tables_by_uthash(void **state)
{
	struct item *table = NULL;
	uint64_t key = 0;

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		struct item *item = calloc(1, sizeof(*item));

		assert_non_null(item);
		item->key = key = i < KEYS / 8 ? next_under_jenkins(key) : key + 1;
		HASH_ADD(hh, table, key, sizeof(item->key), item);
		assert_non_null(item->hh.tbl);
	}
	assert_int_equal(table->hh.tbl->noexpand, 0);
	for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++)
		assert_in_range(table->hh.tbl->buckets[i].count, 0, 64);
	VMT_HASH_TABLE_FREE(struct item, table, free);
}

/* Each byte counts, and the length. */
static void
every_byte_has_a_hash_of_its_own(void **state)
{
	unsigned char bytes[40] = {0};

	(void)state;
	for (size_t length = 0; length < sizeof(bytes); length++) {
		uint64_t hash = vmt_hash_bytes(bytes, length);

		assert_true(hash != vmt_hash_bytes(bytes, length + 1));
		assert_true(hash == vmt_hash_bytes(bytes, length));
		for (size_t i = 0; i < length; i++) {
			bytes[i] = 1;
			assert_true(hash != vmt_hash_bytes(bytes, length));
			bytes[i] = 0;
		}
	}
}

/* The seed of another process that runs this program. */
static void
another_process_has_another_seed(void **state)
{
	char path[4096] = {0};
	char command[4200];
	unsigned long long seed[2] = {0};
	FILE *other;

	(void)state;
	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	snprintf(command, sizeof(command), PRINT_SEED "=1 '%s'", path);
	other = popen(command, "r");
	assert_non_null(other);
	assert_int_equal(fscanf(other, "%llx %llx", &seed[0], &seed[1]), 2);
	pclose(other);
	assert_true(seed[0] != vmt_hash_seed[0] && seed[1] != vmt_hash_seed[1]);
	assert_true(seed[0] != 0 && vmt_hash_seed[0] != 0);
	assert_int_equal(seed[1] & vmt_hash_seed[1] & 1, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sites),
	    cmocka_unit_test(touch_marks),
	    cmocka_unit_test(commit_sums),
	    cmocka_unit_test(temporary_blocks),
	    cmocka_unit_test(tables_by_uthash),
	    cmocka_unit_test(every_byte_has_a_hash_of_its_own),
	    cmocka_unit_test(another_process_has_another_seed),
	};

	if (getenv(PRINT_SEED)) {
		printf("%llx %llx\n", (unsigned long long)vmt_hash_seed[0],
		       (unsigned long long)vmt_hash_seed[1]);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
