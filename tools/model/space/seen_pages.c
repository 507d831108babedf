#include "tools/model/space/seen_pages.h"

#include <errno.h>
#include <stdlib.h>

struct vmt_seen_pages {
	struct vmt_space *now; /* call: since which snapshot; protection: the caller's mark */
	struct vmt_space *before;
	uint64_t snapshot;
};

struct vmt_seen_pages *
vmt_seen_pages_new(void)
{
	struct vmt_seen_pages *seen = calloc(1, sizeof(*seen));

	if (!seen)
		return NULL;
	seen->now = vmt_space_new();
	seen->before = vmt_space_new();
	if (seen->now && seen->before)
		return seen;
	vmt_seen_pages_free(seen);
	return NULL;
}

void
vmt_seen_pages_free(struct vmt_seen_pages *seen)
{
	if (!seen)
		return;
	vmt_space_free(seen->now);
	vmt_space_free(seen->before);
	free(seen);
}

int
vmt_seen_pages_begin(struct vmt_seen_pages *seen, uint64_t snapshot)
{
	struct vmt_space *none = vmt_space_new();

	if (!none)
		return -ENOMEM;
	vmt_space_free(seen->before);
	seen->before = seen->now;
	seen->now = none;
	seen->snapshot = snapshot;
	return 0;
}

static int
put(struct vmt_seen_pages *seen, uint64_t start, uint64_t end, uint64_t since, uint8_t mark)
{
	const struct vmt_extent extent = {
	    .start = start, .end = end, .call = since, .protection = mark};
	int status;

	if (start >= end)
		return 0;
	status = vmt_seen_pages_take(seen, start, end, NULL);
	return status ? status : vmt_space_put(seen->now, &extent);
}

int
vmt_seen_pages_add(struct vmt_seen_pages *seen, uint64_t start, uint64_t end, uint8_t mark)
{
	struct vmt_extents found = {0};
	int status = vmt_space_look(seen->before, start, end, &found);
	uint64_t at = start;

	for (size_t i = 0; i < found.count && !status; i++) {
		const struct vmt_extent *piece = &found.items[i];

		status = put(seen, at, piece->start, seen->snapshot, mark);
		if (!status)
			status = put(seen, piece->start, piece->end, piece->call, mark);
		at = piece->end;
	}
	vmt_extents_clear(&found);
	return status ? status : put(seen, at, end, seen->snapshot, mark);
}

bool
vmt_seen_pages_at(const struct vmt_seen_pages *seen, uint64_t address, uint8_t *mark)
{
	const struct vmt_extent *found = vmt_space_next(seen->now, address);

	if (!found || found->start > address)
		return false;
	*mark = found->protection;
	return true;
}

int
vmt_seen_pages_take(struct vmt_seen_pages *seen, uint64_t start, uint64_t end,
		    struct vmt_extents *taken)
{
	const struct vmt_extent *first = vmt_space_next(seen->now, start);
	struct vmt_extents removed = {0};
	int status;

	if (!first || first->start >= end)
		return 0;
	status = vmt_space_remove(seen->now, start, end, taken ? taken : &removed);
	vmt_extents_clear(&removed);
	return status;
}

int
vmt_seen_pages_put(struct vmt_seen_pages *seen, const struct vmt_extents *taken, uint64_t start,
		   uint64_t end, uint64_t to)
{
	int status = 0;

	for (size_t i = 0; i < taken->count && !status; i++) {
		const struct vmt_extent *piece = &taken->items[i];
		uint64_t low = piece->start > start ? piece->start : start;
		uint64_t high = piece->end < end ? piece->end : end;

		if (low < high)
			status = put(seen, low - start + to, high - start + to, piece->call,
				     piece->protection);
	}
	return status;
}

int
vmt_seen_pages_list(const struct vmt_seen_pages *seen, struct vmt_extents *list)
{
	return vmt_space_look(seen->now, 0, UINT64_MAX, list);
}
