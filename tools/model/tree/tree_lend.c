#include "tools/model/tree/tree_lend.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
vmt_tree_lend_add(void *context, uint64_t start, uint64_t end)
{
	struct vmt_tree_ranges *ranges = context;

	assert(start < end);
	assert(ranges->count == 0 || ranges->all[ranges->count - 1].end <= start);
	if (ranges->count == ranges->room) {
		size_t room = ranges->room ? ranges->room * 2 : 64;
		struct vmt_tree_range *all = reallocarray(ranges->all, room, sizeof(*all));

		if (!all)
			return -ENOMEM;
		ranges->all = all;
		ranges->room = room;
	}
	ranges->all[ranges->count++] = (struct vmt_tree_range){start, end};
	return 0;
}

static size_t
path_bytes(const struct vmt_snapshot *snapshot)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < snapshot->head.mappings; i++)
		bytes += snapshot->mappings[i].mapping.path_bytes;
	return bytes;
}

/* Each range adds a run at the most: its end may cut one in two. */
static int
make_room(struct vmt_snapshot *kept, const struct vmt_snapshot *snapshot,
	  const struct vmt_tree_ranges *ranges)
{
	*kept = (struct vmt_snapshot){.head = snapshot->head, .coarse = snapshot->coarse};
	kept->mappings = calloc(snapshot->head.mappings + 1u, sizeof(*kept->mappings));
	kept->runs = calloc(snapshot->head.runs + ranges->count + 1, sizeof(*kept->runs));
	kept->paths = calloc(1, path_bytes(snapshot) + 1);
	if (kept->mappings && kept->runs && kept->paths)
		return 0;
	vmt_snapshot_decode_free(kept);
	return -ENOMEM;
}

/* The parts of a run that lie in ranges from *at on. */
static void
keep_run(struct vmt_snapshot *kept, const struct vmt_run *run, const struct vmt_tree_ranges *ranges,
	 size_t *at)
{
	uint64_t end = run->start + run->bytes;

	while (*at < ranges->count && ranges->all[*at].end <= run->start)
		(*at)++;
	for (size_t i = *at; i < ranges->count && ranges->all[i].start < end; i++) {
		const struct vmt_tree_range *range = &ranges->all[i];
		struct vmt_run part = *run;
		uint64_t part_end = range->end < end ? range->end : end;

		if (range->start > part.start)
			part.start = range->start;
		part.bytes = part_end - part.start;
		kept->runs[kept->head.runs++] = part;
	}
}

int
vmt_tree_lend_keep(struct vmt_snapshot *kept, const struct vmt_snapshot *snapshot,
		   const struct vmt_tree_ranges *ranges)
{
	size_t at = 0;
	char *path;

	if (make_room(kept, snapshot, ranges) < 0)
		return -ENOMEM;
	path = kept->paths;
	kept->head.runs = 0;
	for (uint32_t i = 0; i < snapshot->head.mappings; i++) {
		const struct vmt_snapshot_mapping *mapping = &snapshot->mappings[i];
		struct vmt_snapshot_mapping *copy = &kept->mappings[i];

		*copy = *mapping;
		memcpy(path, mapping->mapping.path, mapping->mapping.path_bytes);
		copy->mapping.path = path;
		path += mapping->mapping.path_bytes;
		copy->first_run = kept->head.runs;
		for (uint32_t j = 0; j < mapping->runs; j++)
			keep_run(kept, &snapshot->runs[mapping->first_run + j], ranges, &at);
		copy->runs = kept->head.runs - copy->first_run;
	}
	return 0;
}
