#include "tools/model/attribute/region_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct vmt_region_part *
make_room(struct vmt_region_parts *parts)
{
	if (parts->count == parts->room) {
		size_t room = parts->room ? parts->room * 2 : 256;
		struct vmt_region_part *items =
		    reallocarray(parts->items, room, sizeof(*parts->items));

		if (!items)
			return NULL;
		parts->items = items;
		parts->room = room;
	}
	return &parts->items[parts->count];
}

int
vmt_region_parts_add(struct vmt_region_parts *parts, const struct vmt_region *region,
		     const uint64_t rest[VMT_AMOUNTS], const double estimate[VMT_AMOUNTS])
{
	enum vmt_backing backing = vmt_files_backing(region->mapping);
	struct vmt_region_part *part = make_room(parts);

	if (!part)
		return -ENOMEM;
	*part = (struct vmt_region_part){.site = region->site, .class = region->class};
	if (backing == VMT_BACKING_FILE || backing == VMT_BACKING_SHARED) {
		part->path = region->mapping->path;
		part->path_bytes = region->mapping->path_bytes;
	}
	memcpy(part->rest, rest, sizeof(part->rest));
	memcpy(part->estimate, estimate, sizeof(part->estimate));
	parts->count++;
	return 0;
}

static int
compare_parts(const void *left, const void *right)
{
	const struct vmt_region_part *a = left;
	const struct vmt_region_part *b = right;

	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	if (a->path_bytes != b->path_bytes)
		return a->path_bytes < b->path_bytes ? -1 : 1;
	return a->path_bytes ? memcmp(a->path, b->path, a->path_bytes) : 0;
}

void
vmt_region_parts_join(struct vmt_region_parts *parts)
{
	size_t kept = 0;

	if (parts->count)
		qsort(parts->items, parts->count, sizeof(*parts->items), compare_parts);
	for (size_t i = 0; i < parts->count; i++) {
		struct vmt_region_part *part = &parts->items[i];

		if (kept == 0 || compare_parts(&parts->items[kept - 1], part) != 0) {
			parts->items[kept++] = *part;
			continue;
		}
		for (int j = 0; j < VMT_AMOUNTS; j++) {
			parts->items[kept - 1].rest[j] += part->rest[j];
			parts->items[kept - 1].estimate[j] += part->estimate[j];
		}
	}
	parts->count = kept;
}

void
vmt_region_parts_clear(struct vmt_region_parts *parts)
{
	free(parts->items);
	*parts = (struct vmt_region_parts){0};
}
