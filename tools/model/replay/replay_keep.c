#include "tools/model/replay/replay_keep.h"

#include "tools/model/replay/replay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static int
keep_stacks(struct vmt_replay *replay, struct vmt_replay_kept *kept)
{
	const struct vmt_thread_stack *threads =
	    vmt_threads_owners(replay->threads, &kept->stack_count);

	if (kept->stack_count > kept->stack_room) {
		uint64_t *bytes =
		    reallocarray(kept->stack_bytes, kept->stack_count, sizeof(*bytes));

		if (!bytes)
			return -ENOMEM;
		kept->stack_bytes = bytes;
		kept->stack_room = kept->stack_count;
	}
	for (size_t i = 0; i < kept->stack_count; i++)
		kept->stack_bytes[i] = threads[i].held_bytes;
	return 0;
}

static int
copy_blocks(struct vmt_blocks *copy, const struct vmt_blocks *blocks)
{
	struct vmt_block block;
	struct vmt_block old;
	bool replaced;
	size_t cursor = 0;
	int status = 0;

	while (!status && vmt_blocks_walk(blocks, &cursor, &block))
		status = vmt_blocks_put(copy, &block, &old, &replaced);
	return status;
}

/* The heap is thinned from a copy: the next event finds what the last one left. */
static int
reach(struct vmt_replay *replay, uint64_t time, struct vmt_replay_kept *kept)
{
	struct vmt_blocks *copy;
	uint32_t next = replay->thin_level + 1;

	kept->thin_level = replay->thin_level;
	if (!replay->thin_from || next >= VMT_THIN_LEVELS || time < replay->thin_from[next])
		return 0;
	copy = vmt_blocks_new();
	if (!copy || copy_blocks(copy, replay->blocks)) {
		vmt_blocks_free(copy);
		return -ENOMEM;
	}
	kept->blocks = replay->blocks;
	replay->blocks = copy;
	return vmt_replay_reach(replay, time);
}

int
vmt_replay_keep(struct vmt_replay *replay, uint64_t time, struct vmt_replay_kept *kept)
{
	int status = vmt_sites_keep(replay->sites, &kept->sites);

	assert(!kept->blocks);
	kept->call_count = replay->calls;
	kept->thinned_bytes = replay->thinned_bytes;
	if (!status)
		status = vmt_unfinished_calls_keep(replay->under_way, &kept->calls);
	if (!status)
		status = keep_stacks(replay, kept);
	return status ? status : reach(replay, time, kept);
}

void
vmt_replay_restore(struct vmt_replay *replay, struct vmt_replay_kept *kept)
{
	size_t count;
	struct vmt_thread_stack *threads = vmt_threads_owners(replay->threads, &count);

	assert(count == kept->stack_count);
	for (size_t i = 0; i < count; i++)
		threads[i].held_bytes = kept->stack_bytes[i];
	vmt_unfinished_calls_restore(replay->under_way, &kept->calls);
	vmt_sites_restore(replay->sites, &kept->sites);
	if (kept->blocks) {
		vmt_blocks_free(replay->blocks);
		replay->blocks = kept->blocks;
		kept->blocks = NULL;
	}
	replay->calls = kept->call_count;
	replay->thinned_bytes = kept->thinned_bytes;
	replay->thin_level = kept->thin_level;
}

void
vmt_replay_kept_free(struct vmt_replay_kept *kept)
{
	vmt_sites_kept_free(&kept->sites);
	vmt_unfinished_calls_kept_free(&kept->calls);
	vmt_blocks_free(kept->blocks);
	free(kept->stack_bytes);
	*kept = (struct vmt_replay_kept){0};
}
