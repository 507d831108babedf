#include "tools/model/replay/advised_pages.h"

#include "base/assert.h"
#include "format/advice.h"

#include <assert.h>
#include <stdlib.h>

enum { GIVEN_BACK, HUGE_PAGES = VMT_ADVISED_PAGES_HUGE };

struct vmt_advised_pages {
	struct vmt_space *sorts[VMT_ADVISED_PAGES_SORTS];
};

struct vmt_advised_pages *
vmt_advised_pages_new(void)
{
	struct vmt_advised_pages *advised = calloc(1, sizeof(*advised));
	bool complete = advised != NULL;

	for (unsigned int i = 0; advised && i < VMT_ADVISED_PAGES_SORTS; i++) {
		advised->sorts[i] = vmt_space_new();
		complete &= advised->sorts[i] != NULL;
	}
	if (complete)
		return advised;
	vmt_advised_pages_free(advised);
	return NULL;
}

void
vmt_advised_pages_free(struct vmt_advised_pages *advised)
{
	if (!advised)
		return;
	for (unsigned int i = 0; i < VMT_ADVISED_PAGES_SORTS; i++)
		if (advised->sorts[i])
			vmt_space_free(advised->sorts[i]);
	free(advised);
}

static int
forget(struct vmt_space *space, uint64_t start, uint64_t end)
{
	struct vmt_extents removed = {0};
	int status = vmt_space_remove(space, start, end, &removed);

	vmt_extents_clear(&removed);
	return status;
}

int
vmt_advised_pages_note(struct vmt_advised_pages *advised, uint16_t advice,
		       const struct vmt_extent *extent)
{
	struct vmt_space *space = NULL;
	int status;

	if (vmt_advice_releases(advice))
		space = advised->sorts[GIVEN_BACK];
	else if (advice == VMT_ADVICE_HUGEPAGE || advice == VMT_ADVICE_NOHUGEPAGE ||
		 advice == VMT_ADVICE_COLLAPSE)
		space = advised->sorts[HUGE_PAGES];
	if (!space)
		return 0;
	vmt_assert(extent->start < extent->end);
	status = forget(space, extent->start, extent->end);
	return status ? status : vmt_space_put(space, extent);
}

int
vmt_advised_pages_forget(struct vmt_advised_pages *advised, uint64_t start, uint64_t end)
{
	int status = 0;

	for (unsigned int i = 0; !status && i < VMT_ADVISED_PAGES_SORTS; i++)
		status = forget(advised->sorts[i], start, end);
	return status;
}

const struct vmt_extent *
vmt_advised_pages_next(const struct vmt_advised_pages *advised, unsigned int sort, uint64_t address)
{
	assert(sort < VMT_ADVISED_PAGES_SORTS);
	return vmt_space_next(advised->sorts[sort], address);
}

uint64_t
vmt_advised_pages_part(const struct vmt_extents *pieces, enum vmt_extent_kind kind, uint64_t taken)
{
	uint64_t part = 0;
	uint64_t all = 0;

	for (size_t i = 0; i < pieces->count; i++) {
		const struct vmt_extent *piece = &pieces->items[i];

		all += piece->end - piece->start;
		if (piece->kind == kind)
			part += piece->end - piece->start;
	}
	assert(part <= all);
	return all ? (uint64_t)((unsigned __int128)taken * part / all) : 0;
}

uint64_t
vmt_advised_pages_stayed(uint16_t advice, const struct vmt_extents *pieces, uint64_t taken)
{
	if (advice == VMT_ADVICE_REMOVE)
		return 0;
	return vmt_advised_pages_part(pieces, VMT_EXTENT_SHARED, taken);
}
