#include "tools/model/replay/replay_move.h"

#include "base/pages.h"
#include "tools/model/replay/advised_pages.h"
#include "tools/model/replay/extent_owners.h"
#include "tools/model/space/undo.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#define REMAP_DONTUNMAP 4u /* newer than the C library's headers may be */

/* What mremap is about to cut off and what it will move: all leave their place, but only the tail
 * had its committed bytes looked at. */
int
vmt_replay_move_begin(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_undo_record *record;
	uint64_t start;
	uint64_t end;

	if (!vmt_replay_state_pages(replay, event->address, event->length, &start, &end)) {
		replay->malformed++;
		return 0;
	}
	record = vmt_undo_begin(replay->undo, event);
	if (!record || vmt_touchers_take(replay->touchers, start, end, &record->touches))
		return -ENOMEM;
	if (event->flags & REMAP_DONTUNMAP)
		return vmt_space_look(replay->space, start, end, &record->pieces);
	return vmt_space_remove(replay->space, start, end, &record->pieces);
}

/* Of the pieces, those from `start` on. */
static void
cut_head(struct vmt_extents *pieces, uint64_t start)
{
	size_t kept = 0;

	assert(pieces->count == 0 || pieces->items);
	for (size_t i = 0; i < pieces->count; i++) {
		struct vmt_extent piece = pieces->items[i];

		if (piece.start < start)
			piece.start = start;
		if (piece.start < piece.end)
			pieces->items[kept++] = piece;
	}
	pieces->count = kept;
}

/* Who touched the pages that mremap has kept touched them where they are now. */
static int
move_touches(struct vmt_replay *replay, const struct vmt_undo_record *record,
	     const struct vmt_event *event)
{
	uint64_t length = event->length;
	uint64_t start;
	uint64_t end;

	if (length > record->event.length)
		length = record->event.length;
	if (!vmt_replay_state_pages(replay, record->event.address, length, &start, &end))
		return 0;
	return vmt_touchers_put(replay->touchers, &record->touches, start, end,
				vmt_pages_down(event->address, replay->page_bytes));
}

/* mremap shrank the range where it was. */
static int
shrink(struct vmt_replay *replay, const struct vmt_event *event, struct vmt_undo_record *record)
{
	uint64_t end = event->address + event->length;
	int status = vmt_extent_owners_put_back(replay, &record->pieces, end);

	cut_head(&record->pieces, end);
	vmt_extent_owners_share_out(replay, &record->pieces, record->event.argument_a, true, 1);
	vmt_extent_owners_note_sampled(replay, &record->pieces, &record->event);
	return status ? status : move_touches(replay, record, event);
}

/* Of a range that moves, what a smaller length cut off was released with its pages; the rest gave
 * back address space alone. */
static void
leave_old(struct vmt_replay *replay, struct vmt_undo_record *record, uint64_t new_length)
{
	if (record->event.flags & REMAP_DONTUNMAP)
		return;
	vmt_extent_owners_share_out(replay, &record->pieces, 0, true, 1);
	if (new_length >= record->event.length)
		return;
	cut_head(&record->pieces, record->event.address + new_length);
	vmt_extent_owners_share_out(replay, &record->pieces, record->event.argument_a, false, 1);
	vmt_extent_owners_note_sampled(replay, &record->pieces, &record->event);
}

static bool
was_touched(const struct vmt_replay *replay, const struct vmt_event *event)
{
	uint64_t start;
	uint64_t end;

	return vmt_replay_state_pages(replay, event->argument_a, event->argument_b, &start, &end) &&
	       vmt_touched_has(replay->touched, start, end);
}

/* What moved had pages that are gone now. */
static int
keep_touched(struct vmt_replay *replay, const struct vmt_event *event,
	     const struct vmt_extent *extent)
{
	uint64_t length = extent->end - extent->start;
	uint64_t old_length = vmt_pages_up(event->argument_b, replay->page_bytes);

	return vmt_touched_add(replay->touched, extent->start,
			       extent->start + (old_length < length ? old_length : length));
}

/* MREMAP_DONTUNMAP: the pages are elsewhere now. */
static int
leave_empty(struct vmt_replay *replay, const struct vmt_event *event)
{
	uint64_t start;
	uint64_t end;

	if (!(event->flags & REMAP_DONTUNMAP) ||
	    !vmt_replay_state_pages(replay, event->argument_a, event->argument_b, &start, &end))
		return 0;
	return vmt_touched_add(replay->touched, start, end);
}

int
vmt_replay_move_end(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_undo_record *record =
	    vmt_undo_find(replay->undo, event->thread, VMT_EVENT_MREMAP_BEGIN, event->argument_a);
	const struct vmt_extent *from = vmt_space_next(replay->space, event->argument_a);
	struct vmt_extent extent = {.protection = PROT_READ | PROT_WRITE};
	int status = 0;

	if (event->error)
		return 0;
	if (!vmt_replay_state_pages(replay, event->address, event->length, &extent.start,
				    &extent.end)) {
		replay->malformed++;
		return 0;
	}
	if (record && record->pieces.count)
		from = record->pieces.items;
	if (!from || from->start > event->argument_a) {
		extent.kind = VMT_EXTENT_MOVED;
	} else if (from->kind < VMT_EXTENT_BREAK) {
		extent.kind = from->kind;
		extent.protection = from->protection;
	}
	if (record && event->address == event->argument_a && event->length <= event->argument_b) {
		status = shrink(replay, event, record);
	} else {
		bool touched = was_touched(replay, event);

		if (record)
			leave_old(replay, record, event->length);
		status = vmt_extent_owners_acquire(replay, event, &extent);
		if (!status && touched)
			status = keep_touched(replay, event, &extent);
		if (!status)
			status = leave_empty(replay, event);
		if (!status && record)
			status = move_touches(replay, record, event);
	}
	if (record)
		record->event.kind = 0;
	return status;
}

int
vmt_replay_move_undo(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_undo_record *record =
	    vmt_undo_find(replay->undo, event->thread, 0, event->address);
	struct vmt_site_entry *advice;
	uint32_t site;
	int status = 0;

	if (!record)
		return 0;
	if (record->event.kind == VMT_EVENT_MADVISE) {
		struct vmt_site_key key = {.kind = VMT_EVENT_MADVISE,
					   .stack = record->event.stack,
					   .advice = record->event.advice};

		vmt_extent_owners_share_out(replay, &record->pieces, record->event.argument_a,
					    false, UINT64_MAX);
		status = vmt_sites_intern(replay->sites, key, &site);
		if (status)
			return status;
		advice = vmt_sites_get(replay->sites, site);
		advice->exact[VMT_FIGURE_COUNT]--;
		advice->exact[VMT_FIGURE_FAILED]++;
		advice->exact[VMT_FIGURE_TOTAL_RESERVED] -= record->event.length;
		advice->exact[VMT_FIGURE_RELEASED_COMMITTED] -= record->event.argument_a;
		advice->exact[VMT_FIGURE_CAME_BACK] -= record->event.argument_a;
		advice->exact[VMT_FIGURE_STAYED] -= vmt_advised_pages_stayed(
		    record->event.advice, &record->pieces, record->event.argument_a);
		advice->exact[VMT_FIGURE_OF_FILES] -= vmt_advised_pages_part(
		    &record->pieces, VMT_EXTENT_FILE, record->event.argument_a);
		status = vmt_advised_pages_forget(replay->advised, record->event.address,
						  record->event.address + record->event.length);
	} else if (record->event.kind == VMT_EVENT_MREMAP_BEGIN) {
		if (!(record->event.flags & REMAP_DONTUNMAP))
			status = vmt_extent_owners_put_back(replay, &record->pieces, UINT64_MAX);
	} else {
		vmt_extent_owners_share_out(replay, &record->pieces, record->event.argument_a, true,
					    UINT64_MAX);
		status = vmt_extent_owners_put_back(replay, &record->pieces, UINT64_MAX);
	}
	record->event.kind = 0;
	return status ? status
		      : vmt_touchers_put(replay->touchers, &record->touches, 0, UINT64_MAX, 0);
}
