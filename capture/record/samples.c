#include "capture/record/samples.h"

#include "base/assert.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/own_mapping.h"

#include <sys/mman.h>

/* Lines of a level that are tried for one block, its home included. */
#define PROBES 8u
#define CELL_STUCK 255u

/* Live blocks that find room, about: 768,000, and 3 million for fine sampling. */
#define LINES (UINT64_C(1) << 18)
#define LINES_FINE (UINT64_C(1) << 20)
#define FINE_BYTES (UINT64_C(16) << 10)
#define CELLS (UINT64_C(1) << 20)
#define CELLS_SCARCE (UINT64_C(1) << 16)
#define CELLS_FINE (UINT64_C(1) << 22)

/* Levels that are mapped ahead of a seccomp filter: room for some 260,000 live blocks. */
#define LEVELS_PROVIDED 5u

/* Granules in an interval, and their least and largest size: an allocator's alignment, a page. */
#define GRANULES_BITS 7u
#define GRANULE_BITS_MIN 4u
#define GRANULE_BITS_MAX 12u

struct vmt_samples vmt_samples_table;

struct vmt_samples_size
vmt_samples_size_for(uint64_t interval_bytes, bool scarce)
{
	bool fine = interval_bytes != 0 && interval_bytes < FINE_BYTES;
	struct vmt_samples_size size = {fine ? LINES_FINE : LINES, fine ? CELLS_FINE : CELLS,
					GRANULE_BITS_MIN};

	if (scarce)
		size.cells = CELLS_SCARCE;
	while (
	    size.granule_bits < GRANULE_BITS_MAX &&
	    (interval_bytes == 0 || interval_bytes >> (GRANULES_BITS + size.granule_bits + 1) != 0))
		size.granule_bits++;
	return size;
}

/* Sets the masks of the levels. */
static void
lay_out(struct vmt_samples *table, uint64_t last_lines)
{
	uint64_t lines =
	    last_lines < VMT_SAMPLES_FIRST_LINES ? last_lines : VMT_SAMPLES_FIRST_LINES;

	for (table->levels = 0; table->levels < VMT_SAMPLES_LEVELS; lines *= 4) {
		uint64_t limited = lines < last_lines ? lines : last_lines;

		vmt_assert((limited & (limited - 1)) == 0 && limited != 0);
		table->line_masks[table->levels++] = limited - 1;
		if (limited == last_lines)
			break;
	}
}

static size_t
level_bytes(const struct vmt_samples *table, uint32_t level)
{
	vmt_assert(level < table->levels);
	return (table->line_masks[level] + 1) * sizeof(struct vmt_samples_line);
}

/* The filter and the first levels are one mapping. */
bool
vmt_samples_set_up(const struct vmt_samples_size *size)
{
	struct vmt_samples table = {.cell_mask = size->cells - 1,
				    .granule_bits = size->granule_bits};
	size_t bytes = size->cells;
	unsigned char *memory;

	vmt_assert((size->cells & table.cell_mask) == 0);
	lay_out(&table, size->lines);
	vmt_assert(table.levels >= 1 && table.levels <= VMT_SAMPLES_LEVELS);
	for (uint32_t i = 0; i < table.levels && i < VMT_SAMPLES_FIRST_LEVELS; i++)
		bytes += level_bytes(&table, i);
	memory = vmt_own_memory_map_listed(bytes);
	if (!memory)
		return false;
	(void)vmt_own_memory_wipe_on_fork(memory, bytes);
	table.filter = memory;
	memory += size->cells;
	for (uint32_t i = 0; i < table.levels && i < VMT_SAMPLES_FIRST_LEVELS; i++) {
		table.lines[i] = (struct vmt_samples_line *)(void *)memory;
		memory += level_bytes(&table, i);
	}
	vmt_assert(memory == table.filter + bytes);
	vmt_samples_table = table;
	return true;
}

/* Two threads may come here at once: one keeps its memory. */
static struct vmt_samples_line *__attribute__((noinline)) map_level_slow(uint32_t level)
{
	struct vmt_samples *table = &vmt_samples_table;
	size_t bytes = level_bytes(table, level);
	struct vmt_samples_line *expected = NULL;
	struct vmt_samples_line *lines;

	if (!vmt_guard_syscalls_allowed())
		return NULL;
	lines = vmt_own_memory_map(bytes);
	if (!lines)
		return NULL;
	(void)vmt_own_memory_wipe_on_fork(lines, bytes);
	if (!vmt_atomic_cas(&table->lines[level], &expected, lines)) {
		vmt_sys_munmap(lines, bytes);
		return expected;
	}
	vmt_own_mapping_write((uint64_t)(uintptr_t)lines, bytes);
	return lines;
}

/* The acquire pairs with the swap that published the level. */
static inline struct vmt_samples_line *
lines_of(uint32_t level)
{
	return vmt_atomic_load_acquire(&vmt_samples_table.lines[level]);
}

void
vmt_samples_provide(void)
{
	for (uint32_t i = 0; i < vmt_samples_table.levels && i < LEVELS_PROVIDED; i++)
		if (!lines_of(i))
			(void)map_level_slow(i);
}

void
vmt_samples_clear(void)
{
	const struct vmt_samples *table = &vmt_samples_table;

	if (!table->filter)
		return;
	vmt_sys_call3(SYS_madvise, table->filter, table->cell_mask + 1, MADV_DONTNEED);
	for (uint32_t i = 0; i < table->levels; i++)
		if (table->lines[i])
			vmt_sys_call3(SYS_madvise, table->lines[i], level_bytes(table, i),
				      MADV_DONTNEED);
}

void
vmt_samples_abandon(void)
{
	struct vmt_samples *table = &vmt_samples_table;

	if (!table->filter)
		return;
	vmt_samples_unmap();
	vmt_own_memory_drop((uint64_t)(uintptr_t)table->filter, table->cell_mask + 1);
	vmt_sys_munmap(table->filter, table->cell_mask + 1);
	table->filter = NULL;
}

uint64_t
vmt_samples_mapped_bytes(void)
{
	const struct vmt_samples *table = &vmt_samples_table;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < table->levels; i++)
		if (lines_of(i))
			bytes += level_bytes(table, i);
	return bytes;
}

void
vmt_samples_unmap(void)
{
	struct vmt_samples *table = &vmt_samples_table;

	/* From the last: the first ones are the end of one range. */
	for (uint32_t i = table->levels; i-- > 0;) {
		if (!table->lines[i])
			continue;
		vmt_own_memory_drop((uint64_t)(uintptr_t)table->lines[i], level_bytes(table, i));
		vmt_sys_munmap(table->lines[i], level_bytes(table, i));
		table->lines[i] = NULL;
	}
}

/* A cell that ever held 255 stays so: it can no longer be counted down rightly. */
static void
count_in_filter(const void *block, int step)
{
	uint8_t *cell = vmt_samples_cell(block);
	uint8_t found = vmt_atomic_load_relaxed(cell);

	while (found != CELL_STUCK && !vmt_atomic_cas(cell, &found, (uint8_t)(found + step)))
		;
}

static uint64_t
hash_of(const void *block)
{
	return ((uint64_t)(uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
}

/* The line of a level that is so many behind the home of a hash. */
static struct vmt_samples_line *
line_at(uint32_t level, uint64_t hash, uint32_t probe)
{
	const struct vmt_samples *table = &vmt_samples_table;

	vmt_assert(level < table->levels && probe < PROBES);
	return &lines_of(level)[(hash + probe) & table->line_masks[level]];
}

static struct vmt_sample *
take_entry(struct vmt_samples_line *line, uint64_t address)
{
	for (uint32_t i = 0; i < VMT_SAMPLES_LINE_ENTRIES; i++) {
		uint64_t expected = 0;

		if (vmt_atomic_load_relaxed(&line->entries[i].address) == 0 &&
		    vmt_atomic_cas(&line->entries[i].address, &expected, address))
			return &line->entries[i];
	}
	return NULL;
}

static bool
add_to_level(uint32_t level, uint64_t hash, const void *block, uint64_t size)
{
	for (uint32_t probe = 0; probe < PROBES; probe++) {
		struct vmt_sample *entry =
		    take_entry(line_at(level, hash, probe), (uint64_t)(uintptr_t)block);

		if (!entry)
			continue;
		vmt_atomic_store_relaxed(&entry->size, size);
		if (probe > 0)
			vmt_atomic_add_relaxed(&line_at(level, hash, 0)->elsewhere, 1);
		return true;
	}
	return false;
}

/* Only grows. Whoever releases a block has learnt of it from the thread that made it, and so of
 * its level. */
static void
note_used(uint32_t levels)
{
	uint32_t used = vmt_atomic_load_relaxed(&vmt_samples_table.used);

	while (used < levels && !vmt_atomic_cas(&vmt_samples_table.used, &used, levels))
		;
}

/* Nobody looks for the block before this thread has handed it out: the size may come after the
 * address, and all of it before the filter. */
bool
vmt_samples_add(const void *block, uint64_t size)
{
	uint64_t hash = hash_of(block);

	vmt_assert(block != NULL);
	vmt_assert(vmt_samples_table.filter != NULL);
	for (uint32_t level = 0; level < vmt_samples_table.levels; level++) {
		if (!lines_of(level) && !map_level_slow(level))
			return false;
		if (!add_to_level(level, hash, block, size))
			continue;
		note_used(level + 1);
		count_in_filter(block, 1);
		return true;
	}
	return false;
}

static struct vmt_sample *
find_entry(struct vmt_samples_line *line, uint64_t address)
{
	for (uint32_t i = 0; i < VMT_SAMPLES_LINE_ENTRIES; i++) {
		if (vmt_atomic_load_acquire(&line->entries[i].address) == address)
			return &line->entries[i];
	}
	return NULL;
}

static bool
remove_from_level(uint32_t level, uint64_t hash, const void *block, uint64_t *size)
{
	uint32_t elsewhere = vmt_atomic_load_relaxed(&line_at(level, hash, 0)->elsewhere);
	uint32_t probes = elsewhere ? PROBES : 1;

	for (uint32_t probe = 0; probe < probes; probe++) {
		struct vmt_sample *entry =
		    find_entry(line_at(level, hash, probe), (uint64_t)(uintptr_t)block);

		if (!entry)
			continue;
		*size = vmt_atomic_load_relaxed(&entry->size);
		/* Orders the load of the size before the entry can be another block's. */
		vmt_atomic_store_release(&entry->address, 0);
		if (probe > 0)
			vmt_atomic_add_relaxed(&line_at(level, hash, 0)->elsewhere, (uint32_t)-1);
		return true;
	}
	return false;
}

bool
vmt_samples_remove(const void *block, uint64_t *size)
{
	uint32_t used = vmt_atomic_load_relaxed(&vmt_samples_table.used);
	uint64_t hash = hash_of(block);

	vmt_assert(used <= vmt_samples_table.levels);
	for (uint32_t level = 0; level < used; level++) {
		if (!remove_from_level(level, hash, block, size))
			continue;
		count_in_filter(block, -1);
		return true;
	}
	return false;
}
