#include "capture/record/file_ranges.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/roomy.h"

#define GRANULE_BYTES VMT_FILE_RANGES_GRANULE_BYTES
#define MOST_GRANULES 8192u /* that are looked up one by one */
#define TABLE_BITS 17
#define TABLE_WORDS ((UINT32_C(1) << TABLE_BITS) / 64)

static VMT_ROOMY uint64_t table[TABLE_WORDS];

/* A slot is taken by counting it; its last is written after its first and is 0 until then. Of a
 * slot that is not yet whole only the thread that fills it can know the range. */
static struct {
	uint64_t first;
	uint64_t last;
} listed[VMT_FILE_RANGES_LISTED];
static uint32_t taken;
static bool everywhere;

static uint32_t
hash_of(uint64_t granule)
{
	return (uint32_t)((granule * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - TABLE_BITS));
}

/* The last byte of a range of at least one, or of the address space. */
static uint64_t
last_byte(uint64_t address, uint64_t length)
{
	vmt_assert(length != 0);
	return length - 1 > UINT64_MAX - address ? UINT64_MAX : address + (length - 1);
}

static bool
is_listed(uint64_t first, uint64_t last, bool whole)
{
	uint32_t count = vmt_atomic_load_relaxed(&taken);

	for (uint32_t index = 0; index < count && index < VMT_FILE_RANGES_LISTED; index++) {
		uint64_t listed_last = vmt_atomic_load_acquire(&listed[index].last);
		uint64_t listed_first = listed[index].first;

		if (listed_last == 0)
			continue;
		if (whole ? listed_first <= first && last <= listed_last
			  : listed_first <= last && first <= listed_last)
			return true;
	}
	return false;
}

static void
note_long(uint64_t first, uint64_t last)
{
	uint32_t slot;

	vmt_assert(first <= last);
	if (vmt_atomic_load_relaxed(&everywhere) || is_listed(first, last, true))
		return;
	slot = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
	if (slot >= VMT_FILE_RANGES_LISTED) {
		vmt_atomic_store_relaxed(&everywhere, true);
		return;
	}
	listed[slot].first = first;
	vmt_atomic_store_release(&listed[slot].last, last);
}

void
vmt_file_ranges_note(uint64_t address, uint64_t length)
{
	uint64_t last;

	if (length == 0)
		return;
	last = last_byte(address, length);
	if (last - address >= VMT_FILE_RANGES_LONG_BYTES) {
		note_long(address, last);
		return;
	}
	for (uint64_t at = address / GRANULE_BYTES; at <= last / GRANULE_BYTES; at++) {
		uint32_t hash = hash_of(at);

		__atomic_fetch_or(&table[hash / 64], UINT64_C(1) << (hash % 64), __ATOMIC_RELAXED);
	}
}

static bool
is_noted(uint64_t granule)
{
	uint32_t hash = hash_of(granule);

	return (vmt_atomic_load_relaxed(&table[hash / 64]) >> (hash % 64)) & 1;
}

bool
vmt_file_ranges_may_have(uint64_t address, uint64_t length)
{
	uint64_t last;

	if (length == 0)
		return false;
	last = last_byte(address, length);
	if (vmt_atomic_load_relaxed(&everywhere) || is_listed(address, last, false) ||
	    (last - address) / GRANULE_BYTES >= MOST_GRANULES)
		return true;
	for (uint64_t at = address / GRANULE_BYTES; at <= last / GRANULE_BYTES; at++) {
		if (is_noted(at))
			return true;
	}
	return false;
}
