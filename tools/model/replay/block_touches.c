#include "tools/model/replay/block_touches.h"

#include "base/pages.h"
#include "tools/model/space/undo.h"

#include <errno.h>

#define HEADER_BYTES 16u
#define MAPPED_BYTES (UINT64_C(128) << 10)
#define HEAP_REACH_BYTES (UINT64_C(1) << 40) /* above the program; mappings are farther away */

/* The whole pages of a block that has its own; false where it may have not. */
static bool
pages_of(const struct vmt_replay *replay, uint64_t address, uint64_t size, uint64_t *start,
	 uint64_t *end)
{
	const struct vmt_extent *extent;

	if (address % replay->page_bytes != HEADER_BYTES ||
	    !vmt_replay_state_pages(replay, address, size ? size : 1, start, end) ||
	    (replay->lowest_module && address - replay->lowest_module < HEAP_REACH_BYTES))
		return false;
	extent = vmt_space_next(replay->space, *start);
	return !extent || extent->start >= *end;
}

static void
tell(const struct vmt_replay *replay, enum vmt_block_touches_step step,
     const struct vmt_event *event, const struct vmt_block *block)
{
	const struct vmt_block_touches_sink *sink = replay->block_touches;

	if (sink)
		sink->tell(sink->context, step, event, block);
}

int
vmt_block_touches_release(struct vmt_replay *replay, const struct vmt_event *event,
			  const struct vmt_block *block)
{
	struct vmt_undo_record *record;
	uint64_t start;
	uint64_t end;

	if (block->size < MAPPED_BYTES ||
	    !pages_of(replay, block->address, block->size, &start, &end))
		return 0;
	tell(replay, VMT_BLOCK_TOUCHES_RELEASE, event, block);
	if (event->kind != VMT_EVENT_REALLOC_BEGIN)
		return vmt_touchers_take(replay->touchers, start, end, NULL);
	record = vmt_undo_begin(replay->undo, event);
	return record ? vmt_touchers_take(replay->touchers, start, end, &record->touches) : -ENOMEM;
}

static struct vmt_undo_record *
find_record(struct vmt_replay *replay, const struct vmt_event *event, const struct vmt_block *old)
{
	return old->address ? vmt_undo_find(replay->undo, event->thread, VMT_EVENT_REALLOC_BEGIN,
					    old->address)
			    : NULL;
}

int
vmt_block_touches_move(struct vmt_replay *replay, const struct vmt_event *event,
		       const struct vmt_block *old)
{
	struct vmt_undo_record *record = find_record(replay, event, old);
	uint64_t from = vmt_pages_down(old->address, replay->page_bytes);
	uint64_t start;
	uint64_t end;
	int status;

	if (!record)
		return 0;
	tell(replay, VMT_BLOCK_TOUCHES_MOVE, event, old);
	record->event.kind = 0;
	if (!pages_of(replay, event->address, event->length, &start, &end))
		return 0;
	/* What is known of the new place is from before the mapping came there. */
	status = vmt_touchers_take(replay->touchers, start, end, NULL);
	return status ? status
		      : vmt_touchers_put(replay->touchers, &record->touches, from,
					 from + (end - start), start);
}

int
vmt_block_touches_undo(struct vmt_replay *replay, const struct vmt_event *event,
		       const struct vmt_block *old)
{
	struct vmt_undo_record *record = find_record(replay, event, old);

	if (!record)
		return 0;
	tell(replay, VMT_BLOCK_TOUCHES_UNDO, event, old);
	record->event.kind = 0;
	return vmt_touchers_put(replay->touchers, &record->touches, 0, UINT64_MAX, 0);
}
