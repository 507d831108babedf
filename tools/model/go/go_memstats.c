#include "tools/model/go/go_memstats.h"

#include "format/chunk.h"

#include <stddef.h>
#include <string.h>

#define CONTROLLER VMT_GO_CONTROLLER_SYMBOL
#define STATISTICS VMT_GO_STATISTICS_SYMBOL

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

#define AT(member) offsetof(struct vmt_go_offsets, member)

/* Where a term lies: by the debug information, or by the table of its version. */
static const struct {
	const char *variable;
	const char *path;
	unsigned figures;
	unsigned generation; /* 1 to 3: within that part of heapStats; 0: it is in none */
	size_t member;	     /* of struct vmt_go_offsets */
} terms[] = {
    {CONTROLLER, "heapInUse", IN_USE | MUST, 0, AT(heap_in_use)},
    {CONTROLLER, "heapFree", IDLE | MUST, 0, AT(heap_free)},
    {CONTROLLER, "heapReleased", IDLE | RELEASED | MUST, 0, AT(heap_released)},
    {CONTROLLER, "memoryLimit", LIMIT, 0, AT(memory_limit)},
    {STATISTICS, "stacks_sys", STACKS | MUST, 0, AT(stacks_sys)},
    {STATISTICS, "mspan_sys", METADATA | MUST, 0, AT(mspan_sys)},
    {STATISTICS, "mcache_sys", METADATA, 0, AT(mcache_sys)},
    {STATISTICS, "buckhash_sys", METADATA, 0, AT(buckhash_sys)},
    {STATISTICS, "gcMiscSys", METADATA, 0, AT(gc_misc_sys)},
    {STATISTICS, "other_sys", METADATA | MUST, 0, AT(other_sys)},
    {STATISTICS, "heapStats.stats.0.inStacks", STACKS | MUST, 1, AT(in_stacks)},
    {STATISTICS, "heapStats.stats.1.inStacks", STACKS, 2, AT(in_stacks)},
    {STATISTICS, "heapStats.stats.2.inStacks", STACKS, 3, AT(in_stacks)},
    {STATISTICS, "heapStats.stats.0.inWorkBufs", METADATA, 1, AT(in_work_buffers)},
    {STATISTICS, "heapStats.stats.1.inWorkBufs", METADATA, 2, AT(in_work_buffers)},
    {STATISTICS, "heapStats.stats.2.inWorkBufs", METADATA, 3, AT(in_work_buffers)},
    {STATISTICS, "heapStats.stats.0.inPtrScalarBits", METADATA, 1, AT(in_bits)},
    {STATISTICS, "heapStats.stats.1.inPtrScalarBits", METADATA, 2, AT(in_bits)},
    {STATISTICS, "heapStats.stats.2.inPtrScalarBits", METADATA, 3, AT(in_bits)},
};

/* No machine has so much: a figure above is none. */
#define MOST_BYTES (UINT64_C(1) << 60)
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

void
vmt_go_memstats_lay_out_by_version(struct vmt_go_layout *layout,
				   const struct vmt_go_offsets *offsets)
{
	*layout = (struct vmt_go_layout){.usable = true};
	for (size_t i = 0; i < TERMS; i++) {
		uint32_t at;

		memcpy(&at, (const unsigned char *)offsets + terms[i].member, sizeof(at));
		if (at == VMT_GO_NO_OFFSET)
			continue;
		if (terms[i].generation)
			at += offsets->heap_stats +
			      (terms[i].generation - 1) * offsets->heap_stats_bytes;
		layout->known[i] = true;
		layout->places[i] = (struct vmt_symbol_place){at, sizeof(uint64_t)};
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
	/* The runtime sets its limit when it starts: before that it has no heap. */
	if (figures->heap_in_use_bytes == 0 && figures->memory_limit_bytes == 0)
		figures->memory_limit_bytes = VMT_FIGURE_UNKNOWN;
	figures->stacks_bytes = not_below_zero(figures->stacks_bytes);
	figures->metadata_bytes = not_below_zero(figures->metadata_bytes);
	figures->total_bytes = figures->heap_in_use_bytes + figures->heap_idle_bytes +
			       figures->stacks_bytes + figures->metadata_bytes;
	return layout->usable;
}

/* As gcPaceScavenger has it (runtime/mgcscavenge.go): what was in use at the last collection, by
 * how the goal has changed since, and a tenth. Before the first collection there is none. The last
 * goal is the one that held, which a memory limit may have lowered: with one it is not known. */
static uint64_t
scavenger_goal(const struct vmt_go_figures *figures, uint64_t last_goal, uint64_t last_in_use)
{
	double goal = (double)figures->heap_goal_bytes;

	if (figures->gc_percent < 0 || figures->memory_limit_bytes != VMT_FIGURE_UNKNOWN ||
	    last_goal == 0 || last_in_use > MOST_BYTES || figures->heap_goal_bytes > MOST_BYTES)
		return VMT_FIGURE_UNKNOWN;
	goal = (double)last_in_use * (goal / (double)last_goal) * 1.1;
	return goal < (double)MOST_BYTES ? (uint64_t)goal : VMT_FIGURE_UNKNOWN;
}

void
vmt_go_memstats_add_pace(struct vmt_go_figures *figures, const struct vmt_go_offsets *offsets,
			 const struct vmt_go_chunk_read *counters)
{
	const struct {
		uint32_t at;
		uint64_t *value;
	} words[] = {
	    {offsets->heap_goal, &figures->heap_goal_bytes},
	    {offsets->heap_live, &figures->heap_live_bytes},
	    {offsets->heap_marked, &figures->heap_marked_bytes},
	};
	uint64_t percent = 0;
	uint64_t last_goal = 0;
	uint64_t last_in_use = 0;
	bool known =
	    read_term(counters, CONTROLLER,
		      &(struct vmt_symbol_place){offsets->gc_percent, sizeof(percent)}, &percent);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		known &= read_term(counters, CONTROLLER,
				   &(struct vmt_symbol_place){words[i].at, sizeof(uint64_t)},
				   words[i].value);
	known &= read_term(counters, CONTROLLER,
			   &(struct vmt_symbol_place){offsets->last_heap_goal, sizeof(uint64_t)},
			   &last_goal);
	known &= read_term(counters, STATISTICS,
			   &(struct vmt_symbol_place){offsets->last_heap_in_use, sizeof(uint64_t)},
			   &last_in_use);
	figures->gc_percent = (int32_t)(uint32_t)percent; /* its low half */
	figures->scavenger_goal_bytes = scavenger_goal(figures, last_goal, last_in_use);
	/* Both are set when the runtime starts. */
	figures->has_pace = known && (figures->gc_percent != 0 || figures->heap_goal_bytes != 0);
}
