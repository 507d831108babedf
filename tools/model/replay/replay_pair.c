#include "tools/model/replay/replay_pair.h"

#include "base/assert.h"
#include "tools/model/replay/block_touches.h"
#include "tools/model/replay/held_events.h"
#include "tools/model/replay/replay_heap.h"
#include "tools/model/replay/temporary_blocks.h"

/* Whether nothing but the figures of the block's site, and what is known of the thread, changes. */
static inline bool
is_simple(const struct vmt_replay *replay, const struct vmt_event *acquire,
	  const struct vmt_event *release)
{
	return vmt_replay_state_is_whole(replay) &&
	       (!replay->thin_from || release->time < replay->thin_from[1]) &&
	       acquire->address != 0 && acquire->address <= VMT_ADDRESS_MASK &&
	       acquire->length <= VMT_ADDRESS_MASK && release->length <= VMT_ADDRESS_MASK &&
	       vmt_held_events_are_none(replay->held) &&
	       !vmt_blocks_has(replay->blocks, acquire->address);
}

static inline void
note(struct vmt_site_entry *entry, const struct vmt_event *release, uint64_t size)
{
	uint64_t committed = release->argument_a;

	/* The look was at whole pages, and the block shares its first and last with others. */
	if (committed > size)
		committed = size;
	entry->exact[VMT_FIGURE_COUNT]++;
	entry->exact[VMT_FIGURE_TOTAL_RESERVED] += size;
	entry->exact[VMT_FIGURE_TEMPORARY]++;
	entry->exact[VMT_FIGURE_RELEASED] += size;
	entry->exact[VMT_FIGURE_RELEASED_COMMITTED] += committed;
	entry->sampled |= (release->marks & VMT_MARK_SAMPLED) != 0;
}

static int
apply_in_turn(struct vmt_replay *replay, const struct vmt_event *acquire,
	      const struct vmt_event *release)
{
	int status = vmt_replay_heap_apply(replay, acquire);

	return status ? status : vmt_replay_heap_apply(replay, release);
}

int
vmt_replay_pair_apply(struct vmt_replay *replay, const struct vmt_event *acquire,
		      const struct vmt_event *release)
{
	struct vmt_block block = {.address = acquire->address, .size = acquire->length};
	int status;

	vmt_assert(vmt_replay_pair_is(acquire, release) && acquire->time <= release->time);
	if (!is_simple(replay, acquire, release))
		return apply_in_turn(replay, acquire, release);
	status =
	    vmt_sites_intern(replay->sites, vmt_replay_state_key(replay, acquire), &block.site);
	if (status)
		return status;
	note(vmt_sites_get(replay->sites, block.site), release, block.size);
	vmt_temporary_blocks_pass(replay->temporary, acquire->thread, block.address);
	return vmt_block_touches_release(replay, release, &block);
}
