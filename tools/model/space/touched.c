#include "tools/model/space/touched.h"

#include "tools/model/space/space.h"

#include <assert.h>
#include <stdlib.h>

struct vmt_touched {
	struct vmt_space *space; /* extents that are all alike, so that neighbours join */
	bool lost;
};

struct vmt_touched *
vmt_touched_new(void)
{
	struct vmt_touched *touched = calloc(1, sizeof(*touched));

	if (!touched)
		return NULL;
	touched->space = vmt_space_new();
	if (touched->space)
		return touched;
	free(touched);
	return NULL;
}

void
vmt_touched_free(struct vmt_touched *touched)
{
	if (!touched)
		return;
	vmt_space_free(touched->space);
	free(touched);
}

static bool
covers(const struct vmt_touched *touched, uint64_t start, uint64_t end)
{
	const struct vmt_extent *extent = vmt_space_next(touched->space, start);

	return extent && extent->start <= start && extent->end >= end;
}

int
vmt_touched_add(struct vmt_touched *touched, uint64_t start, uint64_t end)
{
	const struct vmt_extent extent = {.start = start, .end = end};
	int status;

	if (start >= end || covers(touched, start, end))
		return 0;
	status = vmt_touched_forget(touched, start, end);
	return status ? status : vmt_space_put(touched->space, &extent);
}

int
vmt_touched_forget(struct vmt_touched *touched, uint64_t start, uint64_t end)
{
	struct vmt_extents removed = {0};
	int status = 0;

	if (vmt_touched_has(touched, start, end))
		status = vmt_space_remove(touched->space, start, end, &removed);
	vmt_extents_clear(&removed);
	return status;
}

bool
vmt_touched_has(const struct vmt_touched *touched, uint64_t start, uint64_t end)
{
	const struct vmt_extent *extent = vmt_space_next(touched->space, start);

	return extent && extent->start < end;
}

void
vmt_touched_lose(struct vmt_touched *touched)
{
	touched->lost = true;
}

static uint64_t
absent(const struct vmt_resident *resident, uint64_t start, uint64_t end)
{
	struct vmt_amounts amounts = vmt_resident_range(resident, start, end);

	assert(amounts.bytes[VMT_AMOUNT_COMMITTED] <= amounts.bytes[VMT_AMOUNT_RESERVED]);
	return amounts.bytes[VMT_AMOUNT_RESERVED] - amounts.bytes[VMT_AMOUNT_COMMITTED] -
	       amounts.bytes[VMT_AMOUNT_SWAPPED];
}

uint64_t
vmt_touched_never(const struct vmt_touched *touched, const struct vmt_resident *resident,
		  uint64_t start, uint64_t end)
{
	const struct vmt_extent *extent = vmt_space_next(touched->space, start);
	uint64_t never;

	if (touched->lost)
		return 0;
	never = absent(resident, start, end);
	for (; extent && extent->start < end; extent = vmt_space_next(touched->space, extent->end))
		never -= absent(resident, extent->start > start ? extent->start : start,
				extent->end < end ? extent->end : end);
	return never;
}
