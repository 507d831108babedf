#include "preload/samples.h"

#include "collect/sys.h"
#include "preload/state.h"

#include <sys/mman.h>

/* Lines tried for one block, its home included. */
#define PROBES 8u
#define CELL_STUCK 255u

struct vmt_samples vmt_samples_table;

_Static_assert(VMT_SAMPLES_FILTER_CELLS == 1u << 15, "the filter is indexed by 15 bits");

static size_t
table_bytes(uint64_t lines)
{
	return VMT_SAMPLES_FILTER_CELLS + lines * sizeof(struct vmt_samples_line);
}

bool
vmt_samples_set_up(uint64_t lines)
{
	struct vmt_samples *table = &vmt_samples_table;
	unsigned char *memory = vmt_state_map_own(table_bytes(lines));

	if (!memory)
		return false;
	(void)vmt_state_wipe_on_fork(memory, table_bytes(lines));
	table->filter = memory;
	table->lines = (struct vmt_samples_line *)(void *)(memory + VMT_SAMPLES_FILTER_CELLS);
	table->line_mask = lines - 1;
	return true;
}

void
vmt_samples_clear(void)
{
	const struct vmt_samples *table = &vmt_samples_table;

	if (table->filter)
		vmt_sys_call3(SYS_madvise, table->filter, table_bytes(table->line_mask + 1),
			      MADV_DONTNEED);
}

/* A cell that ever held 255 stays so: it can no longer be counted down rightly. */
static void
count_in_filter(uint64_t hash, int step)
{
	uint8_t *cell = &vmt_samples_table.filter[hash >> 49];
	uint8_t found = vmt_atomic_load_relaxed(cell);

	while (found != CELL_STUCK && !vmt_atomic_cas(cell, &found, (uint8_t)(found + step)))
		;
}

/* Bits apart from the filter's. */
static uint64_t
home_of(uint64_t hash)
{
	return (hash >> 17) & vmt_samples_table.line_mask;
}

static struct vmt_samples_line *
line_at(uint64_t home, uint32_t probe)
{
	return &vmt_samples_table.lines[(home + probe) & vmt_samples_table.line_mask];
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

/* Nobody looks for the block before this thread has handed it out: the size may come after the
 * address, and all of it before the filter. */
bool
vmt_samples_add(const void *block, uint64_t size)
{
	uint64_t hash = vmt_samples_hash(block);
	uint64_t home = home_of(hash);

	for (uint32_t probe = 0; probe < PROBES; probe++) {
		struct vmt_sample *entry =
		    take_entry(line_at(home, probe), (uint64_t)(uintptr_t)block);

		if (!entry)
			continue;
		vmt_atomic_store_relaxed(&entry->size, size);
		if (probe > 0)
			vmt_atomic_add_relaxed(&line_at(home, 0)->elsewhere, 1);
		count_in_filter(hash, 1);
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

bool
vmt_samples_remove(const void *block, uint64_t *size)
{
	uint64_t hash = vmt_samples_hash(block);
	uint64_t home = home_of(hash);
	uint32_t elsewhere = vmt_atomic_load_relaxed(&line_at(home, 0)->elsewhere);
	uint32_t probes = elsewhere ? PROBES : 1;

	for (uint32_t probe = 0; probe < probes; probe++) {
		struct vmt_sample *entry =
		    find_entry(line_at(home, probe), (uint64_t)(uintptr_t)block);

		if (!entry)
			continue;
		*size = vmt_atomic_load_relaxed(&entry->size);
		/* Orders the load of the size before the entry can be another block's. */
		vmt_atomic_store_release(&entry->address, 0);
		if (probe > 0)
			vmt_atomic_add_relaxed(&line_at(home, 0)->elsewhere, (uint32_t)-1);
		count_in_filter(hash, -1);
		return true;
	}
	return false;
}
