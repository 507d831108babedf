#include "tools/model/space/blocks.h"

#include "base/assert.h"
#include "tools/hash_seed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUCKET_ENTRIES 4u
#define FIRST_CAPACITY 256u /* buckets */
#define ADDRESS_BITS 48u
#define ADDRESS_MASK ((UINT64_C(1) << ADDRESS_BITS) - 1)
#define SIZE_LOW_BITS 16u
#define SIZE_LOW_MASK ((UINT64_C(1) << SIZE_LOW_BITS) - 1)
#define HUGE_BYTES ((size_t)2 << 20)
#define MOVE_BYTES HUGE_BYTES /* of the old table given back at a time while it grows */
#define LONGEST_WAY 128u      /* buckets; many times what comes by chance among 10^9 blocks */

/* Address 48 bits, size 48 bits in two parts, site 32 bits. Address 0 = empty. */
struct entry {
	uint64_t address_size_low;
	uint32_t size_high;
	uint32_t site;
};

_Static_assert(sizeof(struct entry) == 16, "a live block costs 16 bytes");

/* One cache line: what is looked for is nearly always in it, or nowhere. */
struct bucket {
	struct entry entries[BUCKET_ENTRIES];
} __attribute__((aligned(64)));

/* An entry lies in its home bucket, or where that was full when it came, in the next that was not.
 * For each that lies further on, the buckets from its home to the one before it count one. */
struct vmt_blocks {
	struct bucket *buckets;
	uint32_t *passed; /* by bucket; behind the buckets, in one mapping */
	size_t capacity;  /* buckets: any number */
	size_t count;
	uint64_t bytes;
	bool seeded; /* the addresses were chosen to meet */
};

static uint64_t
address_of(const struct entry *entry)
{
	return entry->address_size_low & ADDRESS_MASK;
}

static struct vmt_block
unpack(const struct entry *entry)
{
	return (struct vmt_block){
	    .address = address_of(entry),
	    .size = ((uint64_t)entry->size_high << SIZE_LOW_BITS) |
		    (entry->address_size_low >> ADDRESS_BITS),
	    .site = entry->site,
	};
}

static struct entry
pack(const struct vmt_block *block)
{
	return (struct entry){
	    .address_size_low = block->address | (block->size & SIZE_LOW_MASK) << ADDRESS_BITS,
	    .size_high = (uint32_t)(block->size >> SIZE_LOW_BITS),
	    .site = block->site,
	};
}

/* Blocks are 16-byte aligned, so the low bits say nothing; the product's high bits mix all others
 * (Fibonacci hashing, Knuth volume 3, 6.4). Without a seed a walk has the same order in each run,
 * and so have the rounding errors of what is summed up on the way. */
static uint64_t
hash_of(const struct vmt_blocks *blocks, uint64_t address)
{
	if (__builtin_expect(blocks->seeded, false))
		return vmt_hash_word(address);
	return (address >> 4) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The hash is a fraction of 2^64, and the home that fraction of the capacity: it rises with the
 * hash whatever the capacity is, which `rebuild` rests on. */
static size_t
home_of(const struct vmt_blocks *blocks, uint64_t address)
{
	return (size_t)(((unsigned __int128)hash_of(blocks, address) * blocks->capacity) >> 64);
}

static size_t
after(const struct vmt_blocks *blocks, size_t slot)
{
	return slot + 1 == blocks->capacity ? 0 : slot + 1;
}

/* Which of a bucket's entries have the address (0: are empty), one bit each. No branch: where the
 * entry lies can't be guessed. */
static unsigned
matches(const struct bucket *bucket, uint64_t address)
{
	unsigned found = 0;

#pragma GCC unroll 4
	for (unsigned i = 0; i < BUCKET_ENTRIES; i++)
		found |= (unsigned)(address_of(&bucket->entries[i]) == address) << i;
	return found;
}

/* The entry of an address, and the bucket that it lies in, or NULL. */
static struct entry *
find(const struct vmt_blocks *blocks, uint64_t address, size_t *place)
{
	size_t home = home_of(blocks, address);
	size_t at = home;

	for (;;) {
		struct bucket *bucket = &blocks->buckets[at];
		unsigned found = matches(bucket, address);

		*place = at;
		if (found)
			return &bucket->entries[__builtin_ctz(found)];
		if (!blocks->passed[at])
			return NULL;
		at = after(blocks, at);
		if (at == home) /* hostile traces have such tables */
			return NULL;
	}
}

/* The empty entry for an address that is not there; *way: how many buckets it passes. */
static struct entry *
make_place(struct vmt_blocks *blocks, uint64_t address, size_t *way)
{
	size_t at = home_of(blocks, address);

	for (*way = 0;; ++*way) {
		struct bucket *bucket = &blocks->buckets[at];
		unsigned empty = matches(bucket, 0);

		if (empty)
			return &bucket->entries[__builtin_ctz(empty)];
		blocks->passed[at]++;
		at = after(blocks, at);
	}
}

/* An entry's place is empty again: those that it had passed by count one less. */
static void
leave_place(struct vmt_blocks *blocks, uint64_t address, size_t place)
{
	for (size_t at = home_of(blocks, address); at != place; at = after(blocks, at)) {
		vmt_assert(blocks->passed[at] != 0);
		blocks->passed[at]--;
	}
}

static size_t
table_bytes(size_t capacity)
{
	return capacity * (sizeof(struct bucket) + sizeof(uint32_t));
}

/* Zeros that take memory as they are touched. Blocks come in no order of their buckets: with huge
 * pages most find theirs without a walk through page tables. Most children
 * have no use for it. */
static bool
map_table(struct vmt_blocks *blocks, size_t capacity)
{
	size_t bytes = table_bytes(capacity);
	void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (table == MAP_FAILED)
		return false;
	if (bytes >= 2 * HUGE_BYTES)
		madvise(table, bytes, MADV_HUGEPAGE);
	madvise(table, bytes, MADV_DONTFORK);
	blocks->buckets = table;
	blocks->passed = (uint32_t *)(blocks->buckets + capacity);
	blocks->capacity = capacity;
	return true;
}

struct vmt_blocks *
vmt_blocks_new(void)
{
	struct vmt_blocks *blocks = calloc(1, sizeof(*blocks));

	if (!blocks || map_table(blocks, FIRST_CAPACITY))
		return blocks;
	free(blocks);
	return NULL;
}

struct vmt_blocks *
vmt_blocks_copy(const struct vmt_blocks *blocks)
{
	struct vmt_blocks *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *blocks;
	if (!map_table(copy, blocks->capacity)) {
		free(copy);
		return NULL;
	}
	memcpy(copy->buckets, blocks->buckets, table_bytes(blocks->capacity));
	return copy;
}

void
vmt_blocks_fork(struct vmt_blocks *blocks, bool with_it)
{
	madvise(blocks->buckets, table_bytes(blocks->capacity),
		with_it ? MADV_DOFORK : MADV_DONTFORK);
}

void
vmt_blocks_free(struct vmt_blocks *blocks)
{
	if (!blocks)
		return;
	munmap(blocks->buckets, table_bytes(blocks->capacity));
	free(blocks);
}

static void
move_bucket(struct vmt_blocks *larger, const struct bucket *bucket)
{
	for (unsigned i = 0; i < BUCKET_ENTRIES; i++) {
		uint64_t address = address_of(&bucket->entries[i]);
		size_t way;

		if (address)
			*make_place(larger, address, &way) = bucket->entries[i];
	}
}

/* Homes rise with the hash: going through the old table from its start fills the new one from its
 * start, and what was moved is given back on the way, so that both together take little more memory
 * than the new one will. */
static int
rebuild(struct vmt_blocks *blocks, size_t capacity, bool seeded)
{
	struct vmt_blocks larger = *blocks;
	size_t step = MOVE_BYTES / sizeof(struct bucket);

	if (!map_table(&larger, capacity))
		return -ENOMEM;
	larger.seeded = seeded;
	for (size_t i = 0; i < blocks->capacity; i++) {
		move_bucket(&larger, &blocks->buckets[i]);
		if ((i + 1) % step == 0)
			madvise(blocks->buckets + (i + 1 - step), MOVE_BYTES, MADV_DONTNEED);
	}
	munmap(blocks->buckets, table_bytes(blocks->capacity));
	*blocks = larger;
	return 0;
}

/* By a third, so that the table is never less than nine sixteenths full once it has grown. */
static int
grow(struct vmt_blocks *blocks)
{
	if (blocks->count < blocks->capacity * BUCKET_ENTRIES / 4 * 3)
		return 0;
	return rebuild(blocks, blocks->capacity + blocks->capacity / 3, blocks->seeded);
}

/* A new block. Where no memory is left for a table with a seed, that of now is slow, but right. */
static void
add(struct vmt_blocks *blocks, const struct vmt_block *block)
{
	size_t way;

	*make_place(blocks, block->address, &way) = pack(block);
	blocks->count++;
	blocks->bytes += block->size;
	if (__builtin_expect(way > LONGEST_WAY && !blocks->seeded, false))
		(void)rebuild(blocks, blocks->capacity, true);
}

/* Where nothing has passed its home by, and there is room: one look tells that the address is not
 * live, and where it goes. */
static bool
add_at_home(struct vmt_blocks *blocks, const struct vmt_block *block)
{
	size_t home = home_of(blocks, block->address);
	struct bucket *bucket = &blocks->buckets[home];
	unsigned empty = matches(bucket, 0);

	if (!empty || matches(bucket, block->address) || blocks->passed[home])
		return false;
	bucket->entries[__builtin_ctz(empty)] = pack(block);
	blocks->count++;
	blocks->bytes += block->size;
	return true;
}

int
vmt_blocks_add(struct vmt_blocks *blocks, const struct vmt_block *block, bool *is_live)
{
	size_t place;

	assert(block->address && block->address <= ADDRESS_MASK && block->size <= ADDRESS_MASK);
	if (grow(blocks))
		return -ENOMEM;
	*is_live = false;
	if (add_at_home(blocks, block))
		return 0;
	*is_live = find(blocks, block->address, &place) != NULL;
	if (!*is_live)
		add(blocks, block);
	return 0;
}

int
vmt_blocks_put(struct vmt_blocks *blocks, const struct vmt_block *block, struct vmt_block *old,
	       bool *replaced)
{
	struct entry *entry;
	size_t place;

	assert(block->address && block->address <= ADDRESS_MASK && block->size <= ADDRESS_MASK);
	if (grow(blocks))
		return -ENOMEM;
	entry = find(blocks, block->address, &place);
	*replaced = entry != NULL;
	if (!entry) {
		add(blocks, block);
		return 0;
	}
	*old = unpack(entry);
	blocks->bytes += block->size - old->size;
	*entry = pack(block);
	vmt_assert(unpack(entry).address == block->address && unpack(entry).size == block->size);
	return 0;
}

bool
vmt_blocks_find(const struct vmt_blocks *blocks, uint64_t address, struct vmt_block *block)
{
	size_t place;
	const struct entry *entry = address ? find(blocks, address, &place) : NULL;

	if (!entry)
		return false;
	*block = unpack(entry);
	return true;
}

bool
vmt_blocks_has(const struct vmt_blocks *blocks, uint64_t address)
{
	size_t place;

	return find(blocks, address, &place) != NULL;
}

bool
vmt_blocks_take(struct vmt_blocks *blocks, uint64_t address, struct vmt_block *block)
{
	size_t place;
	struct entry *entry = address ? find(blocks, address, &place) : NULL;

	if (!entry)
		return false;
	*block = unpack(entry);
	*entry = (struct entry){0};
	leave_place(blocks, address, place);
	assert(blocks->count > 0 && blocks->bytes >= block->size);
	blocks->count--;
	blocks->bytes -= block->size;
	return true;
}

void
vmt_blocks_prefetch(const struct vmt_blocks *blocks, uint64_t address)
{
	size_t home = home_of(blocks, address);

	__builtin_prefetch(&blocks->buckets[home], 1);
	__builtin_prefetch(&blocks->passed[home], 1);
}

uint32_t
vmt_blocks_guess_site(const struct vmt_blocks *blocks, uint64_t address, uint32_t otherwise)
{
	const struct bucket *home = &blocks->buckets[home_of(blocks, address)];
	unsigned found = matches(home, address);

	return found ? home->entries[__builtin_ctz(found)].site : otherwise;
}

size_t
vmt_blocks_count(const struct vmt_blocks *blocks)
{
	return blocks->count;
}

size_t
vmt_blocks_table_bytes(const struct vmt_blocks *blocks)
{
	return table_bytes(blocks->capacity);
}

uint64_t
vmt_blocks_bytes(const struct vmt_blocks *blocks)
{
	return blocks->bytes;
}

bool
vmt_blocks_walk(const struct vmt_blocks *blocks, size_t *cursor, struct vmt_block *block)
{
	while (*cursor < blocks->capacity * BUCKET_ENTRIES) {
		size_t at = (*cursor)++;
		const struct entry *entry =
		    &blocks->buckets[at / BUCKET_ENTRIES].entries[at % BUCKET_ENTRIES];

		if (!address_of(entry))
			continue;
		*block = unpack(entry);
		return true;
	}
	return false;
}

uint64_t
vmt_blocks_passed(const struct vmt_blocks *blocks)
{
	uint64_t passed = 0;

	for (size_t i = 0; i < blocks->capacity; i++)
		passed += blocks->passed[i];
	return passed;
}

bool
vmt_blocks_check(const struct vmt_blocks *blocks)
{
	struct vmt_block block;
	uint64_t bytes = 0;
	uint64_t passed = 0;
	size_t cursor = 0;
	size_t count = 0;

	while (vmt_blocks_walk(blocks, &cursor, &block)) {
		size_t place;
		const struct entry *entry = find(blocks, block.address, &place);
		size_t home = home_of(blocks, block.address);

		if (!entry || unpack(entry).size != block.size)
			return false;
		passed += place >= home ? place - home : place + blocks->capacity - home;
		bytes += block.size;
		count++;
	}
	return count == blocks->count && bytes == blocks->bytes &&
	       passed == vmt_blocks_passed(blocks);
}
