#include "tools/model/replay/block_touches.h"
#include "tools/model/replay/heap_change.h"
#include "tools/model/report/digest.h"
#include "tools/model/report/digest_items.h"
#include "tools/model/report/history_marks.h"
#include "tools/read/trace/merge.h"

#include <errno.h>

struct fold {
	uint64_t first; /* ticks */
	uint64_t last;
	uint64_t others; /* events of the map family before it */
	uint64_t events;
	const unsigned char *at; /* its items that are not applied yet */
	const unsigned char *end;
	uint64_t item_others; /* of the item before */
	bool has_begun;
};

struct vmt_digest_reader {
	struct vmt_report_draft *draft;
	unsigned char *bytes;
	struct fold *folds;
	size_t count;
	size_t room;
	size_t now;	     /* the first that is not applied; count: all are */
	uint64_t others;     /* events of the map family so far */
	uint64_t sites_left; /* that may still be new */
};

static bool
get_fold(const unsigned char **at, const unsigned char *end, struct fold *fold)
{
	uint64_t bytes;

	*fold = (struct fold){.first = 0};
	if (!vmt_varint_get(at, end, &fold->first) || !vmt_varint_get(at, end, &fold->last) ||
	    !vmt_varint_get(at, end, &fold->others) || !vmt_varint_get(at, end, &fold->events) ||
	    !vmt_varint_get_bounded(at, end, UINT64_MAX, &bytes) || bytes > (size_t)(end - *at) ||
	    fold->first > fold->last)
		return false;
	fold->at = *at;
	fold->end = *at += bytes;
	fold->item_others = fold->others;
	return true;
}

/* Whether an event of the heap in the fold is the first behind that moment: behind > time. */
static bool
has_within(const struct fold *fold, uint64_t time)
{
	return fold->first <= time && time < fold->last;
}

static bool
has_snapshot_within(const struct vmt_report_draft *draft, const struct fold *fold)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_SNAPSHOT &&
		    fold->first <= chunks[i].header.time_max &&
		    chunks[i].header.time_min < fold->last)
			return true;
	return false;
}

static bool
has_window_within(const struct vmt_window *window, const struct fold *fold)
{
	return window->is_wanted &&
	       (has_within(fold, window->from) || has_within(fold, window->until));
}

static bool
is_of_use(const struct vmt_report_draft *draft, const struct fold *fold)
{
	if (draft->growth_from && has_within(fold, draft->growth_from - 1))
		return false;
	return !has_window_within(&draft->since, fold) &&
	       !has_window_within(&draft->missed, fold) && !has_snapshot_within(draft, fold);
}

static bool
add_fold(struct vmt_digest_reader *reader, const struct fold *fold)
{
	if (reader->count == reader->room) {
		size_t room = reader->room ? 2 * reader->room : 64;
		struct fold *folds = reallocarray(reader->folds, room, sizeof(*folds));

		if (!folds)
			return false;
		reader->folds = folds;
		reader->room = room;
	}
	reader->folds[reader->count++] = *fold;
	return true;
}

uint64_t
vmt_digest_heap_events(const struct vmt_report_draft *draft)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	uint64_t events = 0;

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_EVENTS &&
		    chunks[i].header.ring % VMT_RING_CLASSES == VMT_RING_HEAP)
			events += chunks[i].header.events;
	return events;
}

/* False: they are no folds, or there is no memory. */
static bool
read_folds(struct vmt_digest_reader *reader, size_t count)
{
	const unsigned char *at = reader->bytes;
	const unsigned char *end = at + count;
	uint64_t events_left = vmt_digest_heap_events(reader->draft);
	struct fold before = {.first = 0};
	struct fold fold;

	/* An acquisition that waits makes a call site when it comes and when it is applied. */
	reader->sites_left = 2 * events_left;
	for (; at < end; before = fold) {
		if (!get_fold(&at, end, &fold) || fold.first <= before.last ||
		    fold.others < before.others || fold.events == 0 || fold.events > events_left)
			return false;
		events_left -= fold.events;
		if (is_of_use(reader->draft, &fold) && !add_fold(reader, &fold))
			return false;
	}
	return reader->count > 0;
}

struct vmt_digest_reader *
vmt_digest_reader_new(struct vmt_report_draft *draft, unsigned char *bytes, size_t count)
{
	struct vmt_digest_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		free(bytes);
		return NULL;
	}
	reader->draft = draft;
	reader->bytes = bytes;
	if (read_folds(reader, count))
		return reader;
	vmt_digest_reader_free(reader);
	return NULL;
}

void
vmt_digest_reader_free(struct vmt_digest_reader *reader)
{
	if (!reader)
		return;
	free(reader->folds);
	free(reader->bytes);
	free(reader);
}

int
vmt_digest_reader_leave_out(struct vmt_digest_reader *reader, struct vmt_err *err)
{
	struct vmt_merge_span *spans = calloc(reader->count, sizeof(*spans));
	int status;

	if (!spans)
		return vmt_report_draft_no_memory(err, vmt_trace_path(reader->draft->trace));
	for (size_t i = 0; i < reader->count; i++)
		spans[i] = (struct vmt_merge_span){reader->folds[i].first, reader->folds[i].last};
	status = vmt_merge_leave_out(reader->draft->merge, spans, reader->count, err);
	free(spans);
	return status;
}

uint64_t
vmt_digest_reader_next(const struct vmt_digest_reader *reader)
{
	return reader->now < reader->count ? reader->folds[reader->now].first : UINT64_MAX;
}

static bool
get(struct fold *fold, uint64_t most, uint64_t *value)
{
	return vmt_varint_get_bounded(&fold->at, fold->end, most, value);
}

static int
apply_site(struct vmt_digest_reader *reader, struct fold *fold)
{
	uint64_t stack, advice, kind, number;
	uint32_t site;
	int status;

	if (reader->sites_left == 0)
		return -ESTALE;
	reader->sites_left--;
	if (!get(fold, UINT32_MAX, &stack) || !get(fold, UINT16_MAX, &advice) ||
	    !get(fold, VMT_EVENT_FIRST_OF_MAP - 1, &kind) || !get(fold, UINT32_MAX, &number))
		return -ESTALE;
	status = vmt_sites_intern(reader->draft->replay->sites,
				  (struct vmt_site_key){.stack = (uint32_t)stack,
							.advice = (uint16_t)advice,
							.kind = (uint8_t)kind},
				  &site);
	return status || site == number ? status : -ESTALE;
}

static int
apply_touch(struct vmt_digest_reader *reader, struct fold *fold, uint64_t tag)
{
	struct vmt_replay *replay = reader->draft->replay;
	struct vmt_block block = {.address = 0};
	struct vmt_event event;

	if (!vmt_heap_change_get_event(&fold->at, fold->end, &event) ||
	    !get(fold, VMT_ADDRESS_MASK, &block.address) ||
	    !get(fold, VMT_ADDRESS_MASK, &block.size))
		return -ESTALE;
	if (tag == VMT_DIGEST_RELEASE)
		return vmt_block_touches_release(replay, &event, &block);
	return tag == VMT_DIGEST_MOVE ? vmt_block_touches_move(replay, &event, &block)
				      : vmt_block_touches_undo(replay, &event, &block);
}

static int
apply_mark(struct vmt_digest_reader *reader, struct fold *fold)
{
	struct vmt_event event;

	if (!vmt_heap_change_get_event(&fold->at, fold->end, &event))
		return -ESTALE;
	return vmt_history_marks_note(reader->draft->marks, &event);
}

static int
apply_clear(struct vmt_digest_reader *reader, struct fold *fold)
{
	uint64_t slot;

	if (!get(fold, VMT_HISTORY_MARKS_THREADS - 1, &slot))
		return -ESTALE;
	vmt_history_marks_clear(reader->draft->marks, (uint32_t)slot);
	return 0;
}

/* What take_event does for each of them. */
static void
note_events(struct vmt_report_draft *draft, const struct fold *fold)
{
	draft->report.loss.events += fold->events;
	if (fold->last > draft->last_event) {
		draft->last_event = fold->last;
		draft->ends_with_exec = false;
	}
	if (fold->last > draft->last_time)
		draft->last_time = fold->last;
}

static int
apply_change(struct vmt_digest_reader *reader, struct fold *fold)
{
	struct vmt_replay *replay = reader->draft->replay;
	uint64_t value;
	int status;

#define VMT_DIGEST_ADD(name)                                                                       \
	if (!get(fold, UINT64_MAX, &value))                                                        \
		return -ESTALE;                                                                    \
	replay->name += value;
	VMT_DIGEST_COUNTERS(VMT_DIGEST_ADD)
#undef VMT_DIGEST_ADD
	status = vmt_heap_change_apply(replay, &fold->at, fold->end);
	note_events(reader->draft, fold);
	if (status == -EBADMSG || (!status && fold->at != fold->end))
		return -ESTALE;
	return status;
}

static int
apply_item(struct vmt_digest_reader *reader, struct fold *fold, uint64_t tag)
{
	switch (tag) {
	case VMT_DIGEST_SITE:
		return apply_site(reader, fold);
	case VMT_DIGEST_RELEASE:
	case VMT_DIGEST_MOVE:
	case VMT_DIGEST_UNDO:
		return apply_touch(reader, fold, tag);
	case VMT_DIGEST_MARK:
		return apply_mark(reader, fold);
	case VMT_DIGEST_CLEAR:
		return apply_clear(reader, fold);
	case VMT_DIGEST_CHANGE:
		reader->now++;
		return apply_change(reader, fold);
	default:
		return -ESTALE;
	}
}

/* The items of the fold that come before the next event of the map family, or all. */
static int
apply_items(struct vmt_digest_reader *reader, struct fold *fold, bool all)
{
	size_t now = reader->now;
	int status = 0;

	if (!fold->has_begun) {
		fold->has_begun = true;
		status = vmt_report_events_pass(reader->draft, fold->first);
	}
	while (!status && reader->now == now) {
		const unsigned char *at = fold->at;
		uint64_t tag, others;

		if (!get(fold, UINT8_MAX, &tag) || !get(fold, UINT64_MAX, &others))
			return -ESTALE;
		fold->item_others += others;
		if (!all && fold->item_others > reader->others) {
			fold->item_others -= others;
			fold->at = at;
			break;
		}
		status = apply_item(reader, fold, tag);
	}
	return status;
}

/* Of all folds, what comes before the next event of the map family. */
static int
reach_other(struct vmt_digest_reader *reader)
{
	int status = 0;

	while (!status && reader->now < reader->count &&
	       reader->folds[reader->now].others <= reader->others) {
		size_t now = reader->now;

		status = apply_items(reader, &reader->folds[now], false);
		if (reader->now == now)
			break;
	}
	reader->others++;
	return status;
}

int
vmt_digest_reader_reach(struct vmt_digest_reader *reader, const struct vmt_record *record,
			bool *is_folded)
{
	int status = 0;

	while (!status && reader->now < reader->count &&
	       record->time > reader->folds[reader->now].last)
		status = apply_items(reader, &reader->folds[reader->now], true);
	*is_folded = false;
	if (status || record->kind != VMT_RECORD_EVENT)
		return status;
	if (record->event.kind >= VMT_EVENT_FIRST_OF_MAP)
		return reach_other(reader);
	*is_folded =
	    reader->now < reader->count && record->time >= reader->folds[reader->now].first;
	return 0;
}

int
vmt_digest_reader_finish(struct vmt_digest_reader *reader)
{
	int status = 0;

	while (!status && reader->now < reader->count)
		status = apply_items(reader, &reader->folds[reader->now], true);
	return status;
}
