#include "tools/model/blocks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define FIRST_CAPACITY 1024u
#define ADDRESS_BITS 48u
#define ADDRESS_MASK ((UINT64_C(1) << ADDRESS_BITS) - 1)
#define SIZE_LOW_BITS 16u
#define SIZE_LOW_MASK ((UINT64_C(1) << SIZE_LOW_BITS) - 1)
#define MOVE_BYTES ((size_t)1 << 20) /* of the old table given back at a time while it grows */

/* Address 48 bits, size 48 bits in two parts, site 32 bits. Address 0 = empty. */
struct entry {
	uint64_t address_size_low;
	uint32_t size_high;
	uint32_t site;
};

_Static_assert(sizeof(struct entry) == 16, "a live block costs 16 bytes");

struct vmt_blocks {
	struct entry *entries;
	size_t capacity; /* entries: any number */
	size_t count;
	uint64_t bytes;
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
 * (Fibonacci hashing, Knuth volume 3, 6.4). They are a fraction of 2^64, and the home that fraction
 * of the capacity: it rises with the hash whatever the capacity is, which `grow` rests on. */
static size_t
home_of(const struct vmt_blocks *blocks, uint64_t address)
{
	uint64_t hash = (address >> 4) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(((unsigned __int128)hash * blocks->capacity) >> 64);
}

static size_t
after(const struct vmt_blocks *blocks, size_t slot)
{
	return slot + 1 == blocks->capacity ? 0 : slot + 1;
}

/* How far it is from one slot on to another. */
static size_t
distance(const struct vmt_blocks *blocks, size_t from, size_t to)
{
	return to >= from ? to - from : to + blocks->capacity - from;
}

/* The slot that holds address, or the empty one where it belongs. */
static size_t
slot_of(const struct vmt_blocks *blocks, uint64_t address)
{
	size_t slot = home_of(blocks, address);

	for (;;) {
		uint64_t found = address_of(&blocks->entries[slot]);

		if (found == address || found == 0)
			return slot;
		slot = after(blocks, slot);
	}
}

static size_t
table_bytes(size_t capacity)
{
	return capacity * sizeof(struct entry);
}

/* Zeros that take memory as they are touched, or NULL. */
static struct entry *
map_table(size_t capacity)
{
	void *table = mmap(NULL, table_bytes(capacity), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return table == MAP_FAILED ? NULL : table;
}

struct vmt_blocks *
vmt_blocks_new(void)
{
	struct vmt_blocks *blocks = calloc(1, sizeof(*blocks));

	if (!blocks)
		return NULL;
	blocks->capacity = FIRST_CAPACITY;
	blocks->entries = map_table(FIRST_CAPACITY);
	if (!blocks->entries) {
		free(blocks);
		return NULL;
	}
	return blocks;
}

void
vmt_blocks_free(struct vmt_blocks *blocks)
{
	if (!blocks)
		return;
	munmap(blocks->entries, table_bytes(blocks->capacity));
	free(blocks);
}

/* By a third, so that the table is never less than nine sixteenths full once it has grown. Homes
 * rise with the hash: going through the old table from its start fills the new one from its start,
 * and what was moved is given back on the way, so that both together take no more memory than the
 * new one will. */
static int
grow(struct vmt_blocks *blocks)
{
	struct vmt_blocks larger = *blocks;
	size_t step = MOVE_BYTES / sizeof(struct entry);

	larger.capacity += larger.capacity / 3;
	larger.entries = map_table(larger.capacity);
	if (!larger.entries)
		return -ENOMEM;
	for (size_t i = 0; i < blocks->capacity; i++) {
		uint64_t address = address_of(&blocks->entries[i]);

		if (address)
			larger.entries[slot_of(&larger, address)] = blocks->entries[i];
		if ((i + 1) % step == 0)
			madvise(blocks->entries + (i + 1 - step), MOVE_BYTES, MADV_DONTNEED);
	}
	munmap(blocks->entries, table_bytes(blocks->capacity));
	*blocks = larger;
	return 0;
}

int
vmt_blocks_put(struct vmt_blocks *blocks, const struct vmt_block *block, struct vmt_block *old,
	       bool *replaced)
{
	struct entry *entry;

	assert(block->address && block->address <= ADDRESS_MASK && block->size <= ADDRESS_MASK);
	if (blocks->count >= blocks->capacity / 4 * 3 && grow(blocks))
		return -ENOMEM;
	entry = &blocks->entries[slot_of(blocks, block->address)];
	*replaced = address_of(entry) != 0;
	if (*replaced) {
		*old = unpack(entry);
		blocks->bytes -= old->size;
	} else {
		blocks->count++;
	}
	blocks->bytes += block->size;
	*entry = pack(block);
	return 0;
}

/* Fills the hole at slot with a later entry that may live there, and so on, until a hole stays
 * behind which nothing was pushed on. Keeps: from its home to its slot an entry meets no hole. */
static void
close_hole(struct vmt_blocks *blocks, size_t hole)
{
	size_t next = after(blocks, hole);
	uint64_t address;

	while ((address = address_of(&blocks->entries[next]))) {
		size_t home = home_of(blocks, address);

		if (distance(blocks, home, next) >= distance(blocks, hole, next)) {
			blocks->entries[hole] = blocks->entries[next];
			hole = next;
		}
		next = after(blocks, next);
	}
	blocks->entries[hole] = (struct entry){0};
}

bool
vmt_blocks_find(const struct vmt_blocks *blocks, uint64_t address, struct vmt_block *block)
{
	const struct entry *entry = &blocks->entries[slot_of(blocks, address)];

	if (!address || !address_of(entry))
		return false;
	*block = unpack(entry);
	return true;
}

bool
vmt_blocks_take(struct vmt_blocks *blocks, uint64_t address, struct vmt_block *block)
{
	size_t slot = slot_of(blocks, address);

	if (!address || !address_of(&blocks->entries[slot]))
		return false;
	*block = unpack(&blocks->entries[slot]);
	close_hole(blocks, slot);
	assert(blocks->count > 0 && blocks->bytes >= block->size);
	blocks->count--;
	blocks->bytes -= block->size;
	return true;
}

void
vmt_blocks_prefetch(const struct vmt_blocks *blocks, uint64_t address)
{
	__builtin_prefetch(&blocks->entries[home_of(blocks, address)], 1);
}

size_t
vmt_blocks_count(const struct vmt_blocks *blocks)
{
	return blocks->count;
}

uint64_t
vmt_blocks_bytes(const struct vmt_blocks *blocks)
{
	return blocks->bytes;
}

bool
vmt_blocks_walk(const struct vmt_blocks *blocks, size_t *cursor, struct vmt_block *block)
{
	while (*cursor < blocks->capacity) {
		const struct entry *entry = &blocks->entries[(*cursor)++];

		if (!address_of(entry))
			continue;
		*block = unpack(entry);
		return true;
	}
	return false;
}

bool
vmt_blocks_check(const struct vmt_blocks *blocks)
{
	struct vmt_block block;
	struct vmt_block found;
	uint64_t bytes = 0;
	size_t cursor = 0;
	size_t count = 0;

	while (vmt_blocks_walk(blocks, &cursor, &block)) {
		if (!vmt_blocks_find(blocks, block.address, &found) || found.size != block.size)
			return false;
		bytes += block.size;
		count++;
	}
	return count == blocks->count && bytes == blocks->bytes;
}
