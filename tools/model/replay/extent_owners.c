#include "tools/model/replay/extent_owners.h"

#include "base/assert.h"

#include <assert.h>

/* Of c committed bytes and lengths l with sum L, piece i gets floor(c * (l1 + .. + li) / L) -
 * floor(c * (l1 + .. + l(i-1)) / L): shares add up. */
void
vmt_extent_owners_share_out(struct vmt_replay *replay, const struct vmt_extents *pieces,
			    uint64_t committed, bool address_space, uint64_t sign)
{
	uint64_t total = 0;
	uint64_t passed = 0;
	uint64_t given = 0;

	for (size_t i = 0; i < pieces->count; i++)
		total += pieces->items[i].end - pieces->items[i].start;
	if (committed > total)
		committed = total;
	for (size_t i = 0; i < pieces->count; i++) {
		const struct vmt_extent *piece = &pieces->items[i];
		struct vmt_site_entry *entry;
		uint64_t upto;

		vmt_assert(piece->start < piece->end);
		vmt_assert(i == 0 || piece->start >= pieces->items[i - 1].end);
		passed += piece->end - piece->start;
		upto = (uint64_t)((unsigned __int128)committed * passed / total);
		if (piece->site != VMT_SITE_NONE) {
			entry = vmt_sites_get(replay->sites, piece->site);
			entry->exact[VMT_FIGURE_RELEASED_COMMITTED] += sign * (upto - given);
			if (address_space)
				entry->exact[VMT_FIGURE_RELEASED] +=
				    sign * (piece->end - piece->start);
		}
		vmt_assert(given <= upto && upto <= committed);
		given = upto;
	}
	assert(given == committed || total == 0);
}

void
vmt_extent_owners_note_sampled(struct vmt_replay *replay, const struct vmt_extents *pieces,
			       const struct vmt_event *event)
{
	if (!(event->marks & VMT_MARK_SAMPLED))
		return;
	for (size_t i = 0; i < pieces->count; i++)
		if (pieces->items[i].site != VMT_SITE_NONE)
			vmt_sites_get(replay->sites, pieces->items[i].site)->sampled = true;
}

int
vmt_extent_owners_clear_way(struct vmt_replay *replay, uint64_t start, uint64_t end)
{
	struct vmt_extents pieces = {0};
	int status = vmt_space_remove(replay->space, start, end, &pieces);

	vmt_extent_owners_share_out(replay, &pieces, 0, true, 1);
	for (size_t i = 0; i < pieces.count; i++)
		if (pieces.items[i].kind < VMT_EXTENT_PRESENT) {
			replay->double_acquisitions++;
			break;
		}
	vmt_extents_clear(&pieces);
	return status;
}

int
vmt_extent_owners_acquire(struct vmt_replay *replay, const struct vmt_event *event,
			  struct vmt_extent *extent)
{
	struct vmt_site_key key = vmt_replay_state_key(replay, event);
	struct vmt_site_entry *entry;
	int status = vmt_extent_owners_clear_way(replay, extent->start, extent->end);

	vmt_assert(extent->start < extent->end);
	if (!status)
		status = vmt_touched_forget(replay->touched, extent->start, extent->end);
	if (!status && event->kind != VMT_EVENT_PRESENT) /* that has its pages from before */
		status = vmt_touchers_take(replay->touchers, extent->start, extent->end, NULL);
	if (!status)
		status = vmt_sites_intern(replay->sites, key, &extent->site);
	replay->calls++;
	if (!extent->call)
		extent->call = replay->calls;
	if (!status)
		status = vmt_space_put(replay->space, extent);
	if (status)
		return status;
	entry = vmt_sites_get(replay->sites, extent->site);
	entry->exact[VMT_FIGURE_COUNT]++;
	entry->exact[VMT_FIGURE_TOTAL_RESERVED] += extent->end - extent->start;
	return 0;
}

int
vmt_extent_owners_put_back(struct vmt_replay *replay, const struct vmt_extents *pieces,
			   uint64_t end)
{
	for (size_t i = 0; i < pieces->count; i++) {
		struct vmt_extent piece = pieces->items[i];
		const struct vmt_extent *next = vmt_space_next(replay->space, piece.start);
		int status = 0;

		if (piece.end > end)
			piece.end = end;
		if (piece.start >= piece.end)
			continue;
		if (next && next->start < piece.end)
			replay->double_acquisitions++;
		else
			status = vmt_space_put(replay->space, &piece);
		if (status)
			return status;
	}
	return 0;
}
