#include "tools/model/go/go_memstats.h"

#include "format/chunk.h"

#include <string.h>

#define CONTROLLER "runtime.gcController"
#define STATISTICS "runtime.memstats"

/* Which figures a member is part of. */
enum {
	IN_USE = 1,
	IDLE = 2,
	RELEASED = 4, /* a part of IDLE */
	STACKS = 8,
	METADATA = 16,
	LIMIT = 32,
	MUST = 64, /* every known version has it */

};

static const struct {
	const char *variable;
	const char *path;
	unsigned figures;
} terms[] = {
    {CONTROLLER, "heapInUse", IN_USE | MUST},
    {CONTROLLER, "heapFree", IDLE | MUST},
    {CONTROLLER, "heapReleased", IDLE | RELEASED | MUST},
    {CONTROLLER, "memoryLimit", LIMIT},
    {STATISTICS, "stacks_sys", STACKS | MUST},
    {STATISTICS, "mspan_sys", METADATA | MUST},
    {STATISTICS, "mcache_sys", METADATA},
    {STATISTICS, "buckhash_sys", METADATA},
    {STATISTICS, "gcMiscSys", METADATA},
    {STATISTICS, "other_sys", METADATA | MUST},
    {STATISTICS, "heapStats.stats.0.inStacks", STACKS | MUST},
    {STATISTICS, "heapStats.stats.1.inStacks", STACKS},
    {STATISTICS, "heapStats.stats.2.inStacks", STACKS},
    {STATISTICS, "heapStats.stats.0.inWorkBufs", METADATA},
    {STATISTICS, "heapStats.stats.1.inWorkBufs", METADATA},
    {STATISTICS, "heapStats.stats.2.inWorkBufs", METADATA},
    {STATISTICS, "heapStats.stats.0.inPtrScalarBits", METADATA},
    {STATISTICS, "heapStats.stats.1.inPtrScalarBits", METADATA},
    {STATISTICS, "heapStats.stats.2.inPtrScalarBits", METADATA},
};

#define TERMS (sizeof(terms) / sizeof(*terms))
_Static_assert(TERMS <= VMT_GO_MEMSTATS_TERMS, "a layout has room for every term");

void
vmt_go_memstats_lay_out(struct vmt_go_layout *layout, struct vmt_lookup *symbols,
			const struct vmt_module *module)
{
	*layout = (struct vmt_go_layout){.usable = true};
	for (size_t i = 0; i < TERMS; i++) {
		layout->known[i] = vmt_lookup_go_member(symbols, module, terms[i].variable,
							terms[i].path, &layout->places[i]) &&
				   layout->places[i].bytes == sizeof(uint64_t);
		if ((terms[i].figures & MUST) && !layout->known[i])
			layout->usable = false;
	}
}

static bool
read_term(const struct vmt_go_chunk_read *counters, const char *variable,
	  const struct vmt_symbol_place *place, uint64_t *value)
{
	for (size_t i = 0; i < counters->count; i++) {
		const struct vmt_go_chunk_object *object = &counters->objects[i];

		if (strcmp(object->described.symbol, variable) != 0 ||
		    object->described.bytes < sizeof(*value) ||
		    place->offset > object->described.bytes - sizeof(*value))
			continue;
		memcpy(value, object->data + place->offset, sizeof(*value));
		return true;
	}
	return false;
}

/* Counts of the three generations wrap around one another: their sum does not. */
static uint64_t
not_below_zero(uint64_t sum)
{
	return (int64_t)sum < 0 ? 0 : sum;
}

bool
vmt_go_memstats_add_up(struct vmt_go_figures *figures, const struct vmt_go_layout *layout,
		       const struct vmt_go_chunk_read *counters)
{
	*figures = (struct vmt_go_figures){.memory_limit_bytes = VMT_FIGURE_UNKNOWN};
	for (size_t i = 0; i < TERMS; i++) {
		uint64_t value = 0;

		if (!layout->known[i])
			continue;
		if (!read_term(counters, terms[i].variable, &layout->places[i], &value))
			return false;
		if (terms[i].figures & IN_USE)
			figures->heap_in_use_bytes += value;
		if (terms[i].figures & IDLE)
			figures->heap_idle_bytes += value;
		if (terms[i].figures & RELEASED)
			figures->heap_released_bytes += value;
		if (terms[i].figures & STACKS)
			figures->stacks_bytes += value;
		if (terms[i].figures & METADATA)
			figures->metadata_bytes += value;
		/* math.MaxInt64 is "none". */
		if ((terms[i].figures & LIMIT) && value < INT64_MAX)
			figures->memory_limit_bytes = value;
	}
	figures->stacks_bytes = not_below_zero(figures->stacks_bytes);
	figures->metadata_bytes = not_below_zero(figures->metadata_bytes);
	figures->total_bytes = figures->heap_in_use_bytes + figures->heap_idle_bytes +
			       figures->stacks_bytes + figures->metadata_bytes;
	return layout->usable;
}
