#include "tools/read/trace/sorted_run.h"

#include "base/assert.h"
#include "format/codec.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum vmt_sorted_run_rank
vmt_sorted_run_rank(const struct vmt_record *record)
{
	static const uint8_t rank_of_role[] = {
	    [0] = VMT_SORTED_RUN_NOTE, /* a kind that this version does not know */
	    [VMT_ROLE_NOTE + 1] = VMT_SORTED_RUN_NOTE,
	    [VMT_ROLE_RELEASE + 1] = VMT_SORTED_RUN_RELEASE,
	    [VMT_ROLE_ACQUIRE + 1] = VMT_SORTED_RUN_ACQUIRE,
	};
	static const uint8_t role_of_kind[VMT_EVENT_KINDS] = {
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) [id] = VMT_ROLE_##role + 1,
#include "format/event_kinds.def"
	};

	if (record->kind == VMT_RECORD_USAGE)
		return VMT_SORTED_RUN_USAGE;
	if (record->kind == VMT_RECORD_SNAPSHOT)
		return VMT_SORTED_RUN_SNAPSHOT;
	if (record->kind == VMT_RECORD_TOUCH)
		return VMT_SORTED_RUN_NOTE;
	vmt_assert(record->event.kind < VMT_EVENT_KINDS);
	return rank_of_role[role_of_kind[record->event.kind]];
}

static int
begin_touches(struct vmt_sorted_run_cursor *cursor, const struct vmt_chunk *chunk,
	      const unsigned char *bytes, size_t length, struct vmt_touch_stacks *stacks)
{
	struct vmt_touch_stack stack;
	struct vmt_touch_head head;

	cursor->first_stack = vmt_touch_stacks_next(stacks);
	if (!vmt_touch_begin_decode(&cursor->touches, chunk, bytes, length, &head) ||
	    head.samples != chunk->events)
		return -EBADMSG;
	cursor->period = head.period;
	for (uint32_t i = 0; i < head.stacks; i++) {
		if (!vmt_touch_get_stack(&cursor->touches, &stack))
			return -EBADMSG;
		if (vmt_touch_stacks_add(stacks, &stack) != 0)
			return -ENOMEM;
	}
	return 0;
}

int
vmt_sorted_run_begin(struct vmt_sorted_run_cursor *cursor, const struct vmt_chunk *chunk,
		     const unsigned char *bytes, size_t length, struct vmt_touch_stacks *stacks)
{
	*cursor = (struct vmt_sorted_run_cursor){.at = bytes, .end = bytes + length};
	if (chunk->kind == VMT_CHUNK_USAGE || length == 0)
		return 0;
	cursor->at = cursor->end;
	if (chunk->kind == VMT_CHUNK_TOUCH)
		return begin_touches(cursor, chunk, bytes, length, stacks);
	return vmt_columns_begin_decode(&cursor->events, bytes, length) ? 0 : -EBADMSG;
}

bool
vmt_sorted_run_is_done(const struct vmt_sorted_run_cursor *cursor)
{
	return cursor->at == cursor->end && vmt_columns_is_done(&cursor->events) &&
	       vmt_touch_is_done(&cursor->touches);
}

static bool
decode_touch(struct vmt_sorted_run_cursor *cursor, struct vmt_record *record)
{
	record->kind = VMT_RECORD_TOUCH;
	if (!vmt_touch_get_sample(&cursor->touches, &record->touch.sample))
		return false;
	record->touch.sample.stack += cursor->first_stack;
	record->touch.period = cursor->period;
	record->time = record->touch.sample.time;
	return true;
}

bool
vmt_sorted_run_decode(const struct vmt_chunk *chunk, struct vmt_sorted_run_cursor *cursor,
		      struct vmt_record *record)
{
	if (chunk->kind == VMT_CHUNK_EVENTS) {
		record->kind = VMT_RECORD_EVENT;
		if (!vmt_columns_get(&cursor->events, &record->event))
			return false;
		record->time = record->event.time;
	} else if (chunk->kind == VMT_CHUNK_TOUCH) {
		if (!decode_touch(cursor, record))
			return false;
	} else {
		size_t bytes = vmt_codec_get_usage(
		    chunk, cursor->at, (size_t)(cursor->end - cursor->at), &record->usage);

		record->kind = VMT_RECORD_USAGE;
		if (bytes == 0)
			return false;
		cursor->at += bytes;
		record->time = record->usage.time;
	}
	return record->time >= chunk->time_min;
}

static bool
precedes(const struct vmt_record *a, const struct vmt_record *b)
{
	if (a->time != b->time)
		return a->time < b->time;
	return vmt_sorted_run_rank(a) < vmt_sorted_run_rank(b);
}

/* Merges two neighbours, [0, middle) and [middle, end), each in order. What of the first need not
 * move is left where it is. */
static void
merge_neighbours(struct vmt_record *records, size_t middle, size_t end, struct vmt_record *scratch)
{
	size_t at = middle;
	size_t right = middle;
	size_t left = 0;
	size_t lefts;

	vmt_assert(middle > 0 && middle < end);
	while (at > 0 && precedes(&records[middle], &records[at - 1]))
		at--;
	lefts = middle - at;
	memcpy(scratch, &records[at], lefts * sizeof(*scratch));
	while (left < lefts) {
		if (right < end && precedes(&records[right], &scratch[left]))
			records[at++] = records[right++];
		else
			records[at++] = scratch[left++];
	}
	assert(at == right);
}

static bool
is_sorted(const struct vmt_sorted_run *stretch)
{
	for (uint32_t i = 1; i < stretch->count; i++)
		if (precedes(&stretch->records[i], &stretch->records[i - 1]))
			return false;
	return true;
}

/* Merge sort from the bottom: it is stable, and where neighbours are in order it only looks. */
void
vmt_sorted_run_sort(struct vmt_sorted_run *stretch, struct vmt_record *scratch)
{
	size_t count = stretch->count;

	assert(count <= VMT_SORTED_RUN_MAX_RECORDS);
	if (is_sorted(stretch))
		return;
	for (size_t width = 1; width < count; width *= 2) {
		for (size_t from = 0; from + width < count; from += 2 * width) {
			size_t end = count - from < 2 * width ? count - from : 2 * width;

			merge_neighbours(stretch->records + from, width, end, scratch);
		}
	}
	vmt_assert(is_sorted(stretch));
}

static void
note_unknown(struct vmt_sorted_run *stretch, uint8_t kind)
{
	if (vmt_event_is_known(kind))
		return;
	stretch->unknown++;
	if (!vmt_event_may_be_skipped(kind))
		stretch->refused_kind = kind;
}

/* Their kinds and times, once the events are decoded. False: one is earlier than the chunk's. */
static bool
complete_events(struct vmt_sorted_run *stretch, uint64_t time_min, bool *sorted)
{
	uint64_t earliest = UINT64_MAX;
	uint64_t before = 0;

	*sorted = true;
	for (uint32_t i = 0; i < stretch->count; i++) {
		struct vmt_record *record = &stretch->records[i];

		record->kind = VMT_RECORD_EVENT;
		record->time = record->event.time;
		*sorted &= i == 0 || record->time > before;
		before = record->time;
		earliest = before < earliest ? before : earliest;
		note_unknown(stretch, record->event.kind);
	}
	return earliest >= time_min;
}

static bool
fill_events(struct vmt_sorted_run *stretch, const struct vmt_chunk *chunk,
	    struct vmt_sorted_run_cursor *cursor, uint32_t count, bool *sorted)
{
	stretch->count = vmt_columns_get_events(&cursor->events, &stretch->records[0].event,
						sizeof(stretch->records[0]), count);
	return stretch->count == count && complete_events(stretch, chunk->time_min, sorted);
}

static bool
fill_others(struct vmt_sorted_run *stretch, const struct vmt_chunk *chunk,
	    struct vmt_sorted_run_cursor *cursor, uint32_t count)
{
	for (stretch->count = 0; stretch->count < count; stretch->count++)
		if (!vmt_sorted_run_decode(chunk, cursor, &stretch->records[stretch->count]))
			return false;
	return true;
}

bool
vmt_sorted_run_fill(struct vmt_sorted_run *stretch, const struct vmt_chunk *chunk,
		    struct vmt_sorted_run_cursor *cursor, uint32_t count,
		    struct vmt_record *scratch)
{
	bool sorted = false;

	assert(count <= stretch->room);
	stretch->next = 0;
	stretch->unknown = 0;
	stretch->refused_kind = 0;
	if (!(chunk->kind == VMT_CHUNK_EVENTS ? fill_events(stretch, chunk, cursor, count, &sorted)
					      : fill_others(stretch, chunk, cursor, count)))
		return false;
	vmt_assert(stretch->unknown <= stretch->count);
	if (!sorted)
		vmt_sorted_run_sort(stretch, scratch);
	return true;
}
