#include "tools/model/replay/unfinished_calls.h"

#include "base/assert.h"
#include "tools/model/space/undo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_MOST_BYTES (UINT64_C(64) << 10)

struct call {
	struct vmt_event event;
	uint64_t lent_bytes;
	bool chosen; /* for the gap at hand */
	uint32_t site;
};

struct vmt_lent {
	uint64_t bytes;
	uint32_t site;
};

struct loan {
	struct vmt_extent extent;
	bool stack;
};

struct vmt_unfinished_calls {
	struct call calls[VMT_UNFINISHED_CALLS_MOST]; /* oldest first */
	size_t count;
	uint64_t page_bytes;
	struct loan *loans;
	size_t loan_count;
	size_t loan_room;
};

struct vmt_unfinished_calls *
vmt_unfinished_calls_new(uint64_t page_bytes)
{
	struct vmt_unfinished_calls *calls = calloc(1, sizeof(*calls));

	if (calls)
		calls->page_bytes = page_bytes;
	return calls;
}

void
vmt_unfinished_calls_free(struct vmt_unfinished_calls *calls)
{
	if (!calls)
		return;
	free(calls->loans);
	free(calls);
}

size_t
vmt_unfinished_calls_count(const struct vmt_unfinished_calls *calls)
{
	return calls->count;
}

static void
drop(struct vmt_unfinished_calls *calls, size_t i)
{
	vmt_assert(i < calls->count);
	calls->count--;
	memmove(&calls->calls[i], &calls->calls[i + 1],
		(calls->count - i) * sizeof(calls->calls[0]));
}

/* A call that releases alone: its pages may be there until it has got to them. */
static bool
is_release(const struct vmt_event *event)
{
	return event->kind == VMT_EVENT_BRK_BEGIN ||
	       ((event->kind == VMT_EVENT_MUNMAP || event->kind == VMT_EVENT_SHMDT) &&
		(event->marks & VMT_MARK_ENDS));
}

void
vmt_unfinished_calls_apply(struct vmt_unfinished_calls *calls, const struct vmt_event *event)
{
	bool begins = event->kind == VMT_EVENT_LONG_BEGIN ||
		      event->kind == VMT_EVENT_MREMAP_BEGIN || is_release(event);

	for (size_t i = 0; i < calls->count; i++) {
		if (calls->calls[i].event.thread != event->thread)
			continue;
		drop(calls, i);
		break;
	}
	if (!begins)
		return;
	if (calls->count == VMT_UNFINISHED_CALLS_MOST)
		drop(calls, 0);
	vmt_assert(calls->count < VMT_UNFINISHED_CALLS_MOST);
	calls->calls[calls->count++] = (struct call){.event = *event, .site = VMT_SITE_NONE};
}

/* The event that the call will end with; of a release, its own. */
static uint8_t
kind_of(const struct vmt_event *event)
{
	if (is_release(event))
		return event->kind;
	return event->kind == VMT_EVENT_MREMAP_BEGIN ? VMT_EVENT_MREMAP
						     : (uint8_t)event->argument_a;
}

/* A trace may say anything: no sum goes round. */
static uint64_t
length_of_break(const struct vmt_event *event)
{
	return event->length > VMT_ADDRESS_MASK || event->address > VMT_ADDRESS_MASK
		   ? 0
		   : event->length;
}

/* In whole pages; 0: none, or one that no call has. */
static uint64_t
length_of(const struct vmt_unfinished_calls *calls, const struct vmt_event *event)
{
	uint64_t length = event->kind == VMT_EVENT_MREMAP_BEGIN ? event->argument_b : event->length;

	if (is_release(event) || length > VMT_ADDRESS_MASK)
		return 0;
	return vmt_pages_up(length, calls->page_bytes);
}

static bool
is_anonymous(const struct vmt_mapping *mapping)
{
	return mapping->inode == 0 && !mapping->shared;
}

static bool
is_private_anonymous(const struct vmt_event *event)
{
	return (event->flags & MAP_ANONYMOUS) && (event->flags & MAP_TYPE) == MAP_PRIVATE;
}

/* Whether the call may have made this mapping, or a part of it. */
static bool
may_be_of(const struct vmt_event *event, const struct vmt_mapping *mapping)
{
	switch (kind_of(event)) {
	case VMT_EVENT_MMAP:
		if (mapping->protection != event->protection)
			return false;
		if (is_private_anonymous(event))
			return is_anonymous(mapping) && mapping->path_bytes == 0;
		return mapping->inode != 0 &&
		       mapping->shared == ((event->flags & MAP_TYPE) != MAP_PRIVATE);
	case VMT_EVENT_THREAD:
		return is_anonymous(mapping) && mapping->path_bytes == 0 &&
		       (mapping->protection & PROT_WRITE);
	case VMT_EVENT_MREMAP:
		return is_anonymous(mapping) && mapping->path_bytes == 0;
	case VMT_EVENT_BRK:
		return is_anonymous(mapping);
	case VMT_EVENT_SHMAT: /* the first segment of a machine has an inode of 0 */
		return mapping->shared && mapping->protection == event->protection;
	default:
		return false;
	}
}

/* The range of a mapping, or of a part of it, that no event explains. */
struct gap {
	uint64_t start;
	uint64_t end;
	const struct vmt_mapping *mapping;
};

static bool
fits_alone(const struct vmt_unfinished_calls *calls, const struct vmt_event *event,
	   const struct gap *gap)
{
	uint64_t bytes = gap->end - gap->start;
	uint64_t length = length_of(calls, event);

	if (kind_of(event) == VMT_EVENT_BRK)
		return gap->start == vmt_pages_up(event->address, calls->page_bytes) &&
		       gap->end ==
			   vmt_pages_up(event->address + length_of_break(event), calls->page_bytes);
	if (kind_of(event) == VMT_EVENT_THREAD)
		return length != 0 && bytes >= length && bytes - length <= GUARD_MOST_BYTES;
	if ((event->flags & MAP_FIXED) && event->kind == VMT_EVENT_LONG_BEGIN &&
	    event->address != gap->start)
		return false;
	return length != 0 && bytes == length;
}

static int
lend(struct vmt_replay *replay, struct call *call, uint64_t start, uint64_t end, bool shared)
{
	struct vmt_unfinished_calls *calls = replay->under_way;
	uint8_t kind = kind_of(&call->event);
	struct vmt_extent extent = {.start = start,
				    .end = end,
				    .call = ++replay->calls,
				    .protection = call->event.protection,
				    .kind = VMT_EXTENT_ANONYMOUS};
	struct vmt_site_key key = vmt_replay_state_key(replay, &call->event);
	int status;

	key.kind = kind;
	status = vmt_sites_intern(replay->sites, key, &call->site);

	if (kind == VMT_EVENT_BRK)
		extent.kind = VMT_EXTENT_BREAK;
	else if (shared)
		extent.kind = VMT_EXTENT_SHARED;
	else if (kind == VMT_EVENT_MMAP && !(call->event.flags & MAP_ANONYMOUS))
		extent.kind = VMT_EXTENT_FILE;
	extent.site = call->site;
	vmt_assert(start < end && calls->loan_count < calls->loan_room);
	call->lent_bytes += end - start;
	if (!status)
		status = vmt_space_put(replay->space, &extent);
	if (!status)
		calls->loans[calls->loan_count++] = (struct loan){extent, kind == VMT_EVENT_THREAD};
	return status;
}

static int
make_room(struct vmt_unfinished_calls *calls, size_t more)
{
	size_t room = calls->loan_count + more;
	struct loan *larger;

	if (room <= calls->loan_room)
		return 0;
	room += room / 2;
	larger = reallocarray(calls->loans, room, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	calls->loans = larger;
	calls->loan_room = room;
	return 0;
}

/* The newest calls that fill the gap exactly, as the kernel maps from high to low: marks them.
 * Returns how many; 0 where none do. */
static size_t
choose(struct vmt_unfinished_calls *calls, const struct gap *gap)
{
	uint64_t left = gap->end - gap->start;
	size_t chosen = 0;

	for (size_t i = calls->count; i-- > 0;) {
		struct call *call = &calls->calls[i];
		uint64_t length = length_of(calls, &call->event);

		call->chosen = false;
		if (left == 0 || call->lent_bytes != 0 || length == 0 || length > left ||
		    kind_of(&call->event) == VMT_EVENT_THREAD ||
		    kind_of(&call->event) == VMT_EVENT_BRK || (call->event.flags & MAP_FIXED) ||
		    !may_be_of(&call->event, gap->mapping))
			continue;
		call->chosen = true;
		left -= length;
		chosen++;
	}
	return left == 0 ? chosen : 0;
}

static int
lend_gap(struct vmt_replay *replay, const struct gap *gap)
{
	struct vmt_unfinished_calls *calls = replay->under_way;
	uint64_t at = gap->start;
	int status = make_room(calls, calls->count);

	if (status)
		return status;
	for (size_t i = calls->count; i-- > 0;) {
		struct call *call = &calls->calls[i];

		if (call->lent_bytes == 0 && may_be_of(&call->event, gap->mapping) &&
		    fits_alone(calls, &call->event, gap))
			return lend(replay, call, gap->start, gap->end, gap->mapping->shared);
	}
	if (choose(calls, gap) == 0)
		return 0;
	for (size_t i = calls->count; i-- > 0 && !status;) {
		struct call *call = &calls->calls[i];
		uint64_t length = length_of(calls, &call->event);

		if (!call->chosen)
			continue;
		status = lend(replay, call, at, at + length, gap->mapping->shared);
		at += length;
	}
	return status;
}

/* What of the mapping no extent has. */
static int
lend_in_mapping(struct vmt_replay *replay, const struct vmt_mapping *mapping)
{
	struct gap gap = {mapping->start, mapping->start, mapping};
	int status = 0;

	while (gap.start < mapping->end && !status) {
		const struct vmt_extent *extent = vmt_space_next(replay->space, gap.start);
		uint64_t next = extent ? extent->end : mapping->end;

		gap.end = mapping->end;
		if (extent && extent->start < gap.end)
			gap.end = extent->start;
		if (gap.end > gap.start)
			status = lend_gap(replay, &gap);
		gap.start = next;
	}
	return status;
}

static bool
is_mapped(const struct vmt_snapshot *snapshot, uint64_t start, uint64_t end)
{
	uint32_t low = 0;
	uint32_t high = snapshot->head.mappings;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (snapshot->mappings[middle].mapping.end <= start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < snapshot->head.mappings && snapshot->mappings[low].mapping.start <= start &&
	       end <= snapshot->mappings[low].mapping.end;
}

/* What an mremap has not moved yet, and another call not released. */
static int
lend_old_place(struct vmt_replay *replay, struct call *call, const struct vmt_snapshot *snapshot)
{
	struct vmt_unfinished_calls *calls = replay->under_way;
	const struct vmt_undo_record *record =
	    vmt_undo_find(replay->undo, call->event.thread, call->event.kind, call->event.address);
	int status = record ? make_room(calls, record->pieces.count) : 0;

	for (size_t i = 0; record && i < record->pieces.count && !status; i++) {
		const struct vmt_extent *piece = &record->pieces.items[i];
		const struct vmt_extent *there = vmt_space_next(replay->space, piece->start);

		if ((there && there->start < piece->end) ||
		    !is_mapped(snapshot, piece->start, piece->end))
			continue;
		status = vmt_space_put(replay->space, piece);
		if (!status)
			calls->loans[calls->loan_count++] = (struct loan){*piece, false};
	}
	return status;
}

int
vmt_unfinished_calls_lend(struct vmt_replay *replay, const struct vmt_snapshot *snapshot)
{
	struct vmt_unfinished_calls *calls = replay->under_way;
	int status = 0;

	for (size_t i = 0; i < calls->count && !status; i++)
		if (calls->calls[i].event.kind != VMT_EVENT_LONG_BEGIN)
			status = lend_old_place(replay, &calls->calls[i], snapshot);
	for (uint32_t i = 0; i < snapshot->head.mappings && calls->count != 0 && !status; i++)
		status = lend_in_mapping(replay, &snapshot->mappings[i].mapping);
	return status;
}

int
vmt_unfinished_calls_take_back(struct vmt_replay *replay)
{
	struct vmt_unfinished_calls *calls = replay->under_way;
	struct vmt_extents removed = {0};
	int status = 0;

	for (size_t i = 0; i < calls->loan_count && !status; i++) {
		const struct vmt_extent *extent = &calls->loans[i].extent;

		status = vmt_space_remove(replay->space, extent->start, extent->end, &removed);
	}
	vmt_extents_clear(&removed);
	calls->loan_count = 0;
	return status;
}

bool
vmt_unfinished_calls_has_stack(const struct vmt_unfinished_calls *calls, uint64_t address)
{
	for (size_t i = 0; i < calls->loan_count; i++)
		if (calls->loans[i].stack && calls->loans[i].extent.start <= address &&
		    address < calls->loans[i].extent.end)
			return true;
	return false;
}

int
vmt_unfinished_calls_keep(struct vmt_unfinished_calls *calls,
			  struct vmt_unfinished_calls_kept *kept)
{
	if (calls->count > kept->room) {
		struct vmt_lent *lent = reallocarray(kept->lent, calls->count, sizeof(*lent));

		if (!lent)
			return -ENOMEM;
		kept->lent = lent;
		kept->room = calls->count;
	}
	for (size_t i = 0; i < calls->count; i++) {
		struct call *call = &calls->calls[i];

		kept->lent[i] = (struct vmt_lent){call->lent_bytes, call->site};
		call->lent_bytes = 0;
		call->site = VMT_SITE_NONE;
	}
	return 0;
}

void
vmt_unfinished_calls_restore(struct vmt_unfinished_calls *calls,
			     const struct vmt_unfinished_calls_kept *kept)
{
	for (size_t i = 0; i < calls->count; i++) {
		calls->calls[i].lent_bytes = kept->lent[i].bytes;
		calls->calls[i].site = kept->lent[i].site;
	}
}

void
vmt_unfinished_calls_kept_free(struct vmt_unfinished_calls_kept *kept)
{
	free(kept->lent);
	*kept = (struct vmt_unfinished_calls_kept){0};
}

void
vmt_unfinished_calls_settle(struct vmt_replay *replay)
{
	struct vmt_unfinished_calls *calls = replay->under_way;

	for (size_t i = 0; i < calls->count; i++) {
		struct call *call = &calls->calls[i];

		if (call->lent_bytes == 0)
			continue;
		struct vmt_site_entry *entry = vmt_sites_get(replay->sites, call->site);

		entry->exact[VMT_FIGURE_COUNT]++;
		entry->exact[VMT_FIGURE_TOTAL_RESERVED] += call->lent_bytes;
	}
	calls->count = 0;
}
