#include "tools/model/replay/replay_heap.h"

#include "base/assert.h"
#include "tools/model/replay/block_touches.h"
#include "tools/model/replay/held_events.h"
#include "tools/model/replay/temporary_blocks.h"

#include <errno.h>
#include <math.h>

double
vmt_replay_weight(const struct vmt_replay *replay, uint64_t size)
{
	double weight = ldexp(1, (int)vmt_thin_level_for(replay->thin_level, size));

	vmt_assert(weight >= 1);
	if (!replay->sample_bytes || size >= replay->sample_bytes)
		return weight;
	return weight / -expm1(-(double)(size ? size : 1) / (double)replay->sample_bytes);
}

bool
vmt_replay_is_exact(const struct vmt_replay *replay, uint64_t size)
{
	return (!replay->sample_bytes || size >= replay->sample_bytes) &&
	       (replay->thin_level == 0 || vmt_thin_level_for(replay->thin_level, size) == 0);
}

/* Adds `times` x value of a block of this size: whole numbers where the block stands for itself. */
static inline void
add_weighted(const struct vmt_replay *replay, struct vmt_site_entry *entry, enum vmt_figure figure,
	     uint64_t size, uint64_t value)
{
	if (vmt_replay_is_exact(replay, size)) {
		entry->exact[figure] += value;
		return;
	}
	entry->estimate[figure] += vmt_replay_weight(replay, size) * (double)value;
	entry->estimated = true;
}

static void
note_released(struct vmt_replay *replay, const struct vmt_block *block, uint64_t committed)
{
	struct vmt_site_entry *entry = vmt_sites_get(replay->sites, block->site);

	/* The look was at whole pages, and the block shares its first and last with others. */
	if (committed > block->size)
		committed = block->size;
	add_weighted(replay, entry, VMT_FIGURE_RELEASED, block->size, block->size);
	add_weighted(replay, entry, VMT_FIGURE_RELEASED_COMMITTED, block->size, committed);
}

static int
put_block(struct vmt_replay *replay, const struct vmt_block *block)
{
	struct vmt_block old;
	bool replaced;
	int status = vmt_blocks_put(replay->blocks, block, &old, &replaced);

	if (status || !replaced)
		return status;
	replay->double_acquisitions++;
	note_released(replay, &old, 0);
	return 0;
}

static bool
is_recorded(const struct vmt_replay *replay, const struct vmt_block *block)
{
	return replay->thin_level == 0 ||
	       vmt_thin_keeps(replay->thin_level, replay->random_id, block->address, block->size);
}

/* The figures of the site that a block was acquired at. */
static inline void
note_acquired(struct vmt_replay *replay, const struct vmt_block *block)
{
	struct vmt_site_entry *entry = vmt_sites_get(replay->sites, block->site);

	add_weighted(replay, entry, VMT_FIGURE_COUNT, block->size, 1);
	add_weighted(replay, entry, VMT_FIGURE_TOTAL_RESERVED, block->size, block->size);
}

/* An acquisition of a live block: the release before it is still to come. */
static void
hold_acquisition(struct vmt_replay *replay, const struct vmt_event *event)
{
	vmt_held_events_add(replay->held, &(struct vmt_held_event){.event = *event});
	vmt_temporary_blocks_expect(replay->temporary, event->thread, event->address);
}

static inline int
acquire_block(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_block block = {.address = event->address, .size = event->length};
	bool resized = event->kind == VMT_EVENT_REALLOC || event->kind == VMT_EVENT_REALLOCARRAY;
	struct vmt_block *old = &replay->realloc_undo[event->thread & 0xffff];
	bool is_live = false;
	int status = resized ? vmt_block_touches_move(replay, event, old) : 0;

	if (status || !is_recorded(replay, &block))
		return status;
	status = vmt_sites_intern(replay->sites, vmt_replay_state_key(replay, event), &block.site);
	if (!status)
		status = vmt_blocks_add(replay->blocks, &block, &is_live);
	if (status)
		return status;
	if (resized)
		old->address = 0;
	if (is_live) {
		hold_acquisition(replay, event);
		return 0;
	}
	note_acquired(replay, &block);
	vmt_temporary_blocks_acquire(replay->temporary, event->thread, block.address);
	return 0;
}

/* A block that was recorded at the level so far. */
static int
thin_block(struct vmt_replay *replay, struct vmt_blocks *left, const struct vmt_block *block,
	   double times)
{
	struct vmt_site_entry *entry = vmt_sites_get(replay->sites, block->site);
	bool stays = is_recorded(replay, block);
	double change = stays ? vmt_replay_weight(replay, block->size) - times : -times;
	struct vmt_block old;
	bool replaced;

	if (change != 0) {
		entry->estimate[VMT_FIGURE_COUNT] += change;
		entry->estimate[VMT_FIGURE_TOTAL_RESERVED] += change * (double)block->size;
		entry->estimated = true;
	}
	return stays ? vmt_blocks_put(left, block, &old, &replaced) : 0;
}

static int
thin_blocks(struct vmt_replay *replay, uint32_t level)
{
	struct vmt_replay before = {.sample_bytes = replay->sample_bytes,
				    .thin_level = replay->thin_level};
	struct vmt_blocks *left = vmt_blocks_new();
	struct vmt_block block;
	size_t cursor = 0;
	int status = left ? 0 : -ENOMEM;

	vmt_assert(level > replay->thin_level && level < VMT_THIN_LEVELS);
	replay->thin_level = level;
	while (!status && vmt_blocks_walk(replay->blocks, &cursor, &block))
		status = thin_block(replay, left, &block, vmt_replay_weight(&before, block.size));
	if (!status) {
		vmt_blocks_free(replay->blocks);
		replay->blocks = left;
		left = NULL;
	}
	vmt_blocks_free(left);
	return status;
}

__attribute__((noinline)) static int
reach_level(struct vmt_replay *replay, uint64_t time)
{
	uint32_t level = replay->thin_level;

	while (level + 1 < VMT_THIN_LEVELS && time >= replay->thin_from[level + 1])
		level++;
	return level > replay->thin_level ? thin_blocks(replay, level) : 0;
}

static inline int
reach(struct vmt_replay *replay, uint64_t time)
{
	uint32_t next = replay->thin_level + 1;

	return replay->thin_from && next < VMT_THIN_LEVELS && time >= replay->thin_from[next]
		   ? reach_level(replay, time)
		   : 0;
}

int
vmt_replay_reach(struct vmt_replay *replay, uint64_t time)
{
	return reach(replay, time);
}

void
vmt_replay_tally_live(struct vmt_replay *replay)
{
	struct vmt_site_entry *entry;
	struct vmt_block block;
	size_t cursor = 0;

	while (vmt_blocks_walk(replay->blocks, &cursor, &block)) {
		entry = vmt_sites_get(replay->sites, block.site);
		add_weighted(replay, entry, VMT_FIGURE_END_COUNT, block.size, 1);
		add_weighted(replay, entry, VMT_FIGURE_END_BYTES, block.size, block.size);
	}
}

/* A block from before the trace began lies in memory from before, or in a fork child's. */
static void
note_unknown_block(struct vmt_replay *replay, uint64_t address)
{
	const struct vmt_extent *extent = vmt_space_next(replay->space, address);
	bool early =
	    extent && extent->start <= address &&
	    (extent->kind == VMT_EXTENT_PRESENT || extent->kind == VMT_EXTENT_PRESENT_HEAP);

	if (!vmt_thin_keeps(replay->thin_level, replay->random_id, address, 0))
		return; /* it was left out, or its release would be */
	if (early || replay->forked)
		replay->early_releases++;
	else
		replay->unknown_releases++;
}

/* A live block goes. */
static inline int
release_block(struct vmt_replay *replay, const struct vmt_event *event,
	      const struct vmt_block *block, bool temporary)
{
	struct vmt_site_entry *entry = vmt_sites_get(replay->sites, block->site);

	vmt_assert(block->address == event->address);
	if (temporary)
		entry->exact[VMT_FIGURE_TEMPORARY]++;
	note_released(replay, block, event->argument_a);
	entry->sampled |= (event->marks & VMT_MARK_SAMPLED) != 0;
	return vmt_block_touches_release(replay, event, block);
}

static inline int
release_address(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_block *undo = &replay->realloc_undo[event->thread & 0xffff];
	struct vmt_block block;

	if (event->kind == VMT_EVENT_REALLOC_BEGIN)
		undo->address = 0;
	if (!vmt_blocks_take(replay->blocks, event->address, &block)) {
		note_unknown_block(replay, event->address);
		return 0;
	}
	if (event->kind == VMT_EVENT_REALLOC_BEGIN)
		*undo = block;
	return release_block(
	    replay, event, &block,
	    vmt_temporary_blocks_release(replay->temporary, event->thread, event->address));
}

__attribute__((noinline)) static int
undo_realloc(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_block *undo = &replay->realloc_undo[event->thread & 0xffff];
	struct vmt_block block = *undo;
	struct vmt_site_entry *entry;
	double released;
	int status;

	if (!block.address || block.address != event->address || !is_recorded(replay, &block))
		return 0;
	undo->address = 0;
	entry = vmt_sites_get(replay->sites, block.site);
	if (vmt_replay_is_exact(replay, block.size)) {
		entry->exact[VMT_FIGURE_RELEASED] -= block.size;
	} else {
		released = vmt_replay_weight(replay, block.size) * (double)block.size;
		entry->estimate[VMT_FIGURE_RELEASED] -= released;
	}
	if (vmt_temporary_blocks_undo(replay->temporary, event->thread, block.address))
		entry->exact[VMT_FIGURE_TEMPORARY]--;
	status = vmt_block_touches_undo(replay, event, &block);
	return status ? status : put_block(replay, &block);
}

/* An acquisition that has waited: its block replaces what is still live there. */
static int
acquire_held(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_block block = {.address = event->address, .size = event->length};
	int status;

	if (!is_recorded(replay, &block))
		return 0;
	status = vmt_sites_intern(replay->sites, vmt_replay_state_key(replay, event), &block.site);
	if (!status)
		status = put_block(replay, &block);
	if (status)
		return status;
	note_acquired(replay, &block);
	if (!vmt_held_events_first(replay->held, block.address))
		vmt_temporary_blocks_confirm(replay->temporary, event->thread, block.address);
	return 0;
}

static int
release_held(struct vmt_replay *replay, const struct vmt_held_event *held)
{
	struct vmt_block block;

	if (!vmt_blocks_take(replay->blocks, held->event.address, &block)) {
		note_unknown_block(replay, held->event.address);
		return 0;
	}
	return release_block(replay, &held->event, &block, held->temporary);
}

static int
apply_held(struct vmt_replay *replay, struct vmt_held_event *event)
{
	struct vmt_held_event held = *event;

	vmt_held_events_remove(replay->held, event);
	return vmt_event_is_release(held.event.kind) ? release_held(replay, &held)
						     : acquire_held(replay, &held.event);
}

/* What waits for an address, as far as acquisitions and releases take turns. The latest release of
 * it so far was stamped at that time. */
static int
apply_in_turn(struct vmt_replay *replay, uint64_t address, uint64_t released)
{
	struct vmt_block live;
	int status = 0;

	while (!status) {
		struct vmt_held_event *next = vmt_held_events_first(replay->held, address);
		bool releases = next && vmt_event_is_release(next->event.kind);

		if (!next || vmt_blocks_find(replay->blocks, address, &live) != releases)
			break;
		if (releases && next->event.time > released)
			released = next->event.time;
		replay->early_acquisitions += !releases && next->event.time < released;
		status = apply_held(replay, next);
	}
	return status;
}

/* The oldest that waits has waited in vain. */
static int
apply_oldest(struct vmt_replay *replay)
{
	struct vmt_held_event *oldest = vmt_held_events_oldest(replay->held);
	uint64_t address = oldest->event.address;
	int status = apply_held(replay, oldest);

	return status ? status : apply_in_turn(replay, address, 0);
}

static bool
is_late(const struct vmt_replay *replay, const struct vmt_event *held, uint64_t time)
{
	return time > held->time && time - held->time > replay->held_ticks;
}

/* Whether a release is of the block whose acquisition came last to wait: its own thread's. */
static bool
is_own_release(const struct vmt_event *last, const struct vmt_event *event)
{
	return !vmt_event_is_release(last->kind) && ((last->thread ^ event->thread) & 0xffff) == 0;
}

/* Whether an event may have to wait. */
static bool
may_wait(struct vmt_replay *replay, const struct vmt_event *event)
{
	const struct vmt_held_event *last;

	if (!vmt_event_is_release(event->kind))
		return event->kind != VMT_EVENT_HEAP_UNDO;
	last = vmt_held_events_last(replay->held, event->address);
	return last && is_own_release(&last->event, event);
}

/* Whoever has waited too long goes on, and there is room for one that may have to wait. */
static int
let_go(struct vmt_replay *replay, const struct vmt_event *event)
{
	const struct vmt_held_event *oldest;
	int status = 0;

	while (!status && (oldest = vmt_held_events_oldest(replay->held)) &&
	       (is_late(replay, &oldest->event, event->time) ||
		(vmt_held_events_are_full(replay->held) && may_wait(replay, event))))
		status = apply_oldest(replay);
	return status;
}

/* The last that waits is a release that did not happen. */
static bool
undo_held(struct vmt_replay *replay, struct vmt_held_event *last, const struct vmt_event *event)
{
	if (last->event.kind != VMT_EVENT_REALLOC_BEGIN ||
	    ((last->event.thread ^ event->thread) & 0xffff) != 0)
		return false;
	if (last->temporary)
		(void)vmt_temporary_blocks_undo(replay->temporary, event->thread, event->address);
	vmt_held_events_remove(replay->held, last);
	return true;
}

/* Where something waits for the event's address: whether the event waits, too. */
static bool
hold_behind(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_held_event *last = vmt_held_events_last(replay->held, event->address);
	struct vmt_held_event held = {.event = *event};

	if (!last)
		return false;
	if (event->kind == VMT_EVENT_HEAP_UNDO)
		return undo_held(replay, last, event);
	if (!vmt_event_is_release(event->kind)) {
		hold_acquisition(replay, event);
		return true;
	}
	if (!is_own_release(&last->event, event))
		return false;
	held.temporary =
	    vmt_temporary_blocks_release(replay->temporary, event->thread, event->address);
	vmt_held_events_add(replay->held, &held);
	return true;
}

static inline int
apply_now(struct vmt_replay *replay, const struct vmt_event *event)
{
	if (event->kind == VMT_EVENT_HEAP_UNDO)
		return undo_realloc(replay, event);
	return vmt_event_is_release(event->kind) ? release_address(replay, event)
						 : acquire_block(replay, event);
}

int
vmt_replay_heap_settle(struct vmt_replay *replay)
{
	int status = 0;

	while (!status && !vmt_held_events_are_none(replay->held))
		status = apply_oldest(replay);
	return status;
}

/* Where others wait: seldom, so that it takes no registers of those that need not wait. */
__attribute__((noinline)) static int
apply_among_held(struct vmt_replay *replay, const struct vmt_event *event)
{
	int status = let_go(replay, event);

	if (status || hold_behind(replay, event))
		return status;
	status = apply_now(replay, event);
	return status || !vmt_event_is_release(event->kind)
		   ? status
		   : apply_in_turn(replay, event->address, event->time);
}

int
vmt_replay_heap_apply(struct vmt_replay *replay, const struct vmt_event *event)
{
	int status = reach(replay, event->time);

	if (status)
		return status;
	if (!event->address || event->address > VMT_ADDRESS_MASK ||
	    event->length > VMT_ADDRESS_MASK) {
		replay->malformed++;
		return 0;
	}
	if (__builtin_expect(vmt_held_events_are_none(replay->held), true))
		return apply_now(replay, event);
	return apply_among_held(replay, event);
}
