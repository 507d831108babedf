#include "preload/look.h"

#include "collect/sys.h"
#include "format/atomic.h"
#include "preload/state.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* One granule is one mincore call, and the unit in which file ranges are remembered. */
#define GRANULE_BITS 21
#define GRANULE_BYTES (UINT64_C(1) << GRANULE_BITS)
#define PAGE_BYTES UINT64_C(4096)
#define GRANULE_PAGES (GRANULE_BYTES / PAGE_BYTES)

/* Pages asked by one move_pages call: 12 bytes of stack each. */
#define BATCH_PAGES 32u

/* mincore stores 0 or 1; a page it did not reach keeps this. */
#define NOT_REACHED 2u

#define NOTE_BITS 17
#define NOTE_WORDS ((UINT32_C(1) << NOTE_BITS) / 64)

/* Bit h is set when some granule with hash h was ever mapped from a file or shared. Bits are never
 * cleared: a stale or colliding one costs time (and a cautious mark where move_pages is not to be
 * had), not truth. Relaxed: a thread that releases a range has learnt of its mapping from the
 * thread that made it. */
static uint64_t file_granules[NOTE_WORDS];
static bool file_everywhere;

struct look {
	uint64_t bytes;	  /* committed bytes found */
	uint64_t looked;  /* bytes asked about */
	bool page_cache;  /* some file pages were asked by mincore alone */
	bool refused;	  /* the kernel answers no question of this kind */
	bool no_statuses; /* move_pages is not to be had */
};

static uint32_t
granule_hash(uint64_t granule)
{
	return (uint32_t)((granule * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - NOTE_BITS));
}

static bool
granule_is_file(uint64_t address)
{
	uint32_t hash = granule_hash(address >> GRANULE_BITS);

	if (vmt_atomic_load_relaxed(&file_everywhere))
		return true;
	return (vmt_atomic_load_relaxed(&file_granules[hash / 64]) >> (hash % 64)) & 1;
}

void
vmt_look_note_file(uint64_t address, uint64_t length)
{
	uint64_t first = address >> GRANULE_BITS;
	uint64_t last = (address + length - 1) >> GRANULE_BITS;

	if (length == 0)
		return;
	if (last - first >= (UINT64_C(1) << NOTE_BITS) / 4) {
		vmt_atomic_store_relaxed(&file_everywhere, true);
		return;
	}
	for (uint64_t granule = first; granule <= last; granule++) {
		uint32_t hash = granule_hash(granule);

		__atomic_fetch_or(&file_granules[hash / 64], UINT64_C(1) << (hash % 64),
				  __ATOMIC_RELAXED);
	}
}

bool
vmt_look_is_file(uint64_t address, uint64_t length)
{
	uint64_t end = address + length;

	for (; address < end; address = (address | (GRANULE_BYTES - 1)) + 1) {
		if (granule_is_file(address))
			return true;
	}
	return false;
}

/* Asks move_pages about the pages whose mark is not 0, and leaves 1 or 0 there: present in this
 * process's own page table and not the zero page. False: the kernel would not say. */
static bool
ask_statuses(uint64_t address, unsigned char *marks, uint32_t pages)
{
	void *addresses[BATCH_PAGES];
	int status[BATCH_PAGES];
	uint32_t page = 0;

	while (page < pages) {
		uint16_t where[BATCH_PAGES];
		uint32_t count = 0;

		for (; page < pages && count < BATCH_PAGES; page++) {
			if (marks[page] == 0)
				continue;
			addresses[count] = (void *)(uintptr_t)(address + page * PAGE_BYTES);
			status[count] = -ENOENT;
			where[count++] = (uint16_t)page;
		}
		if (count != 0 && vmt_sys_call6(SYS_move_pages, 0, count, (long)addresses, 0,
						(long)status, 0) < 0)
			return false;
		for (uint32_t index = 0; index < count; index++)
			marks[where[index]] = status[index] >= 0;
	}
	return true;
}

/* Goes on behind a hole that mincore stopped at, one page a call: only where move_pages, which
 * steps over holes, is not to be had. */
static void
ask_singly(uint64_t address, unsigned char *marks, uint32_t pages)
{
	for (uint32_t page = 0; page < pages; page++) {
		if (marks[page] != NOT_REACHED)
			continue;
		if (vmt_sys_call3(SYS_mincore, address + page * PAGE_BYTES, PAGE_BYTES,
				  &marks[page]) < 0)
			marks[page] = 0;
	}
}

/* Adds the committed pages of a range inside one granule. */
static void
look_at_granule(struct look *look, uint64_t address, uint32_t pages)
{
	unsigned char marks[GRANULE_PAGES];
	bool file = granule_is_file(address);
	long result;

	memset(marks, NOT_REACHED, pages);
	result = vmt_sys_call3(SYS_mincore, address, pages * PAGE_BYTES, marks);
	if (result < 0 && result != -ENOMEM) {
		look->refused = true;
		return;
	}
	/* -ENOMEM: a part is not mapped. mincore works mapping by mapping, so what lies before
	 * the hole has been answered. */
	if ((file || result < 0) && !look->no_statuses)
		look->no_statuses = !ask_statuses(address, marks, pages);
	if (look->no_statuses && result < 0)
		ask_singly(address, marks, pages);
	look->page_cache |= file && look->no_statuses;
	for (uint32_t page = 0; page < pages; page++)
		look->bytes += (marks[page] & 1) * PAGE_BYTES;
	look->looked += pages * PAGE_BYTES;
}

/* Looks at [address, end), granule by granule; skip = granules left out after each one asked. */
static void
look_at_range(struct look *look, uint64_t address, uint64_t end, uint64_t skip)
{
	while (address < end && !look->refused) {
		uint64_t next = (address | (GRANULE_BYTES - 1)) + 1;

		if (next > end)
			next = end;
		look_at_granule(look, address, (uint32_t)((next - address) / PAGE_BYTES));
		address = next + skip * GRANULE_BYTES;
	}
}

/* found * whole / part without overflow. */
static uint64_t
scale(uint64_t found, uint64_t whole, uint64_t part)
{
	uint64_t bytes = (uint64_t)((unsigned __int128)found * whole / part);

	return bytes & ~(PAGE_BYTES - 1);
}

uint64_t
vmt_look_committed(uint64_t address, uint64_t length, uint8_t *marks)
{
	uint64_t end = (address + length + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	uint64_t start = address & ~(PAGE_BYTES - 1);
	uint64_t skip = 0;
	struct look look = {0};

	*marks = 0;
	if (length == 0 || end <= start || !vmt_state_may_call())
		return 0;
	if (end - start > VMT_LOOK_LIMIT_BYTES)
		skip = (end - start - 1) / VMT_LOOK_LIMIT_BYTES;
	look_at_range(&look, start, end, skip);
	if (look.refused || look.looked == 0)
		return 0;
	*marks = VMT_MARK_LOOKED;
	if (look.page_cache)
		*marks |= VMT_MARK_PAGE_CACHE;
	if (skip == 0)
		return look.bytes;
	*marks |= VMT_MARK_SAMPLED;
	return scale(look.bytes, end - start, look.looked);
}
