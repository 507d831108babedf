#include "tools/model/advised.h"

#include "format/advice.h"

#include <stdlib.h>

enum { GIVEN_BACK, HUGE_PAGES, SORTS };

struct vmt_advised {
	struct vmt_space *sorts[SORTS];
};

struct vmt_advised *
vmt_advised_new(void)
{
	struct vmt_advised *advised = calloc(1, sizeof(*advised));
	bool complete = advised != NULL;

	for (int i = 0; advised && i < SORTS; i++) {
		advised->sorts[i] = vmt_space_new();
		complete &= advised->sorts[i] != NULL;
	}
	if (complete)
		return advised;
	vmt_advised_free(advised);
	return NULL;
}

void
vmt_advised_free(struct vmt_advised *advised)
{
	if (!advised)
		return;
	for (int i = 0; i < SORTS; i++)
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
vmt_advised_note(struct vmt_advised *advised, uint16_t advice, const struct vmt_extent *extent)
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
	status = forget(space, extent->start, extent->end);
	return status ? status : vmt_space_put(space, extent);
}

int
vmt_advised_forget(struct vmt_advised *advised, uint64_t start, uint64_t end)
{
	int status = 0;

	for (int i = 0; !status && i < SORTS; i++)
		status = forget(advised->sorts[i], start, end);
	return status;
}

/* The extent's pages that are mapped as they were. */
static void
tally_extent(const struct vmt_extent *extent, const struct vmt_pieces *pieces,
	     struct vmt_site_entry *entry, const struct vmt_resident *resident)
{
	for (size_t i = vmt_pieces_after(pieces, extent->start); i < pieces->count; i++) {
		const struct vmt_piece *piece = &pieces->items[i];
		uint64_t start = extent->start > piece->start ? extent->start : piece->start;
		uint64_t end = extent->end < piece->end ? extent->end : piece->end;
		struct vmt_amounts amounts;

		if (piece->start >= extent->end)
			break;
		if (piece->call > extent->call)
			continue;
		amounts = vmt_resident_range(resident, start, end);
		entry->exact[VMT_FIGURE_RESERVED] += amounts.bytes[VMT_AMOUNT_RESERVED];
		entry->exact[VMT_FIGURE_COMMITTED] += amounts.bytes[VMT_AMOUNT_COMMITTED];
		entry->exact[VMT_FIGURE_SWAPPED] += amounts.bytes[VMT_AMOUNT_SWAPPED];
		entry->exact[VMT_FIGURE_HUGE] += vmt_resident_huge(resident, start, end);
	}
}

void
vmt_advised_tally(const struct vmt_advised *advised, const struct vmt_pieces *pieces,
		  struct vmt_sites *sites, const struct vmt_resident *resident)
{
	for (int i = 0; i < SORTS; i++) {
		const struct vmt_extent *extent = vmt_space_next(advised->sorts[i], 0);

		for (; extent; extent = vmt_space_next(advised->sorts[i], extent->end))
			tally_extent(extent, pieces, vmt_sites_get(sites, extent->site), resident);
	}
}

uint64_t
vmt_advised_stayed(uint16_t advice, const struct vmt_extents *pieces, uint64_t taken)
{
	uint64_t shared = 0;
	uint64_t all = 0;

	for (size_t i = 0; i < pieces->count; i++) {
		const struct vmt_extent *piece = &pieces->items[i];

		all += piece->end - piece->start;
		if (piece->kind == VMT_EXTENT_SHARED)
			shared += piece->end - piece->start;
	}
	if (!all || advice == VMT_ADVICE_REMOVE)
		return 0;
	return (uint64_t)((unsigned __int128)taken * shared / all);
}
