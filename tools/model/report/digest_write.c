#include "tools/model/replay/block_touches.h"
#include "tools/model/replay/heap_change.h"
#include "tools/model/report/digest.h"
#include "tools/model/report/digest_items.h"
#include "tools/model/report/history_marks.h"
#include "tools/read/trace/merge.h"

#include <errno.h>

#define EVENTS_FOR_A_BLOCK 4u /* live, that a fold has at least */
/* A moment within a fold costs a replay of all of it: a longer one is ended. */
#define EVENTS_ENOUGH (UINT64_C(1) << 20)

struct counters {
	uint64_t replay[VMT_DIGEST_COUNTED];
	uint64_t events;
};

struct vmt_digest_writer {
	struct vmt_report_draft *draft;
	struct vmt_block_touches_sink sink;
	struct vmt_heap_copy *copy;
	struct vmt_byte_buffer digest;
	struct vmt_byte_buffer items; /* of the fold */
	uint64_t least;
	uint64_t cut;
	uint64_t others;    /* events of the map family so far */
	uint64_t last_time; /* of an event of the heap */
	uint64_t heap_events_at_cut;
	uint64_t heap_events_before; /* between the two cuts before */
	bool is_open;
	bool has_failed;

	/* the fold */
	uint64_t first_time;
	uint64_t first_others;
	uint64_t item_others; /* of the item before */
	uint32_t sites;	      /* that are known to it */
	struct counters base;
	struct counters sum; /* of what events of the heap added */
	/* By slot of history_marks.h: it has seen a release that is no item, and none since that
	 * is, nor one of the map family. */
	bool released[VMT_HISTORY_MARKS_THREADS];

	/* the fold before */
	size_t before_bytes; /* of the digest without it */
	uint64_t before_last;
	bool has_before;
};

bool
vmt_digest_suits(const struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	const struct vmt_trace_loss *loss = vmt_trace_loss(draft->trace);
	const struct vmt_report_options *options = draft->options;
	size_t ring_events;

	(void)vmt_trace_ring_events(draft->trace, &ring_events);
	return head->malloc_mode == VMT_MALLOC_ALL && vmt_trace_end_chunk(draft->trace) != NULL &&
	       vmt_trace_thin_from(draft->trace)[1] == UINT64_MAX && ring_events == 0 &&
	       !loss->cut && !options->by_thread && !options->lent && options->lent_to == 0 &&
	       !draft->compiled && !draft->report.touch.asked &&
	       vmt_replay_state_is_whole(draft->replay);
}

static void note_touch(void *context, enum vmt_block_touches_step step,
		       const struct vmt_event *event, const struct vmt_block *block);

struct vmt_digest_writer *
vmt_digest_writer_new(struct vmt_report_draft *draft, uint64_t least)
{
	struct vmt_digest_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->draft = draft;
	writer->least = least;
	writer->digest.most = writer->items.most = VMT_DIGEST_MOST_BYTES;
	writer->sink = (struct vmt_block_touches_sink){note_touch, writer};
	writer->copy = vmt_heap_copy_new();
	if (!writer->copy) {
		vmt_digest_writer_free(writer);
		return NULL;
	}
	draft->replay->block_touches = &writer->sink;
	return writer;
}

void
vmt_digest_writer_free(struct vmt_digest_writer *writer)
{
	if (!writer)
		return;
	if (writer->draft->replay)
		writer->draft->replay->block_touches = NULL;
	vmt_heap_copy_free(writer->copy);
	free(writer->digest.bytes);
	free(writer->items.bytes);
	free(writer);
}

uint64_t
vmt_digest_writer_cut(const struct vmt_digest_writer *writer)
{
	return writer->has_failed ? UINT64_MAX : writer->cut;
}

static struct counters
count(const struct vmt_digest_writer *writer)
{
	const struct vmt_replay *replay = writer->draft->replay;

	return (struct counters){
#define VMT_DIGEST_READ(name) replay->name,
	    .replay = {VMT_DIGEST_COUNTERS(VMT_DIGEST_READ)},
#undef VMT_DIGEST_READ
	    .events = writer->draft->report.loss.events,
	};
}

static void
add_up(struct vmt_digest_writer *writer, const struct counters *now)
{
	for (size_t i = 0; i < VMT_DIGEST_COUNTED; i++)
		writer->sum.replay[i] += now->replay[i] - writer->base.replay[i];
	writer->sum.events += now->events - writer->base.events;
}

static uint64_t
heap_events(const struct vmt_digest_writer *writer)
{
	return writer->draft->report.loss.events - writer->others;
}

static struct vmt_byte_buffer *
begin_item(struct vmt_digest_writer *writer, enum vmt_digest_tag tag)
{
	vmt_byte_buffer_put(&writer->items, tag);
	vmt_byte_buffer_put(&writer->items, writer->others - writer->item_others);
	writer->item_others = writer->others;
	return &writer->items;
}

/* Those that events of the heap have made since the last event of the map family. */
static void
tell_sites(struct vmt_digest_writer *writer)
{
	struct vmt_sites *sites = writer->draft->replay->sites;

	for (; writer->sites < vmt_sites_count(sites); writer->sites++) {
		struct vmt_site_key key = vmt_sites_get(sites, writer->sites)->key;
		struct vmt_byte_buffer *items = begin_item(writer, VMT_DIGEST_SITE);

		vmt_byte_buffer_put(items, key.stack);
		vmt_byte_buffer_put(items, key.advice);
		vmt_byte_buffer_put(items, key.kind);
		vmt_byte_buffer_put(items, writer->sites);
	}
}

static void
note_touch(void *context, enum vmt_block_touches_step step, const struct vmt_event *event,
	   const struct vmt_block *block)
{
	static const enum vmt_digest_tag tags[] = {[VMT_BLOCK_TOUCHES_RELEASE] = VMT_DIGEST_RELEASE,
						   [VMT_BLOCK_TOUCHES_MOVE] = VMT_DIGEST_MOVE,
						   [VMT_BLOCK_TOUCHES_UNDO] = VMT_DIGEST_UNDO};
	struct vmt_digest_writer *writer = context;
	struct vmt_byte_buffer *items;

	if (!writer->is_open)
		return;
	items = begin_item(writer, tags[step]);
	vmt_heap_change_put_event(items, event);
	vmt_byte_buffer_put(items, block->address);
	vmt_byte_buffer_put(items, block->size);
}

static uint64_t
earliest_after(uint64_t time, uint64_t a, uint64_t b)
{
	return a > time && a < b ? a : b;
}

/* The next moment at which a report may look at the heap, as far as it is known. */
static uint64_t
next_cut(const struct vmt_digest_writer *writer, uint64_t time)
{
	const struct vmt_report_draft *draft = writer->draft;
	const struct vmt_window *const windows[] = {&draft->since, &draft->missed};
	uint64_t cut = earliest_after(time, draft->growth_from, UINT64_MAX);

	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		if (!windows[i]->is_wanted)
			continue;
		cut = earliest_after(time, windows[i]->from + 1, cut);
		cut = earliest_after(time, windows[i]->until + 1, cut);
	}
	return cut;
}

static void
end_stretch(struct vmt_digest_writer *writer)
{
	uint64_t now = heap_events(writer);

	writer->heap_events_before = now - writer->heap_events_at_cut;
	writer->heap_events_at_cut = now;
}

/* How many events a fold has at least. */
static uint64_t
needed_events(const struct vmt_digest_writer *writer)
{
	const struct vmt_replay *replay = writer->draft->replay;

	if (writer->least == 0)
		return 0;
	return writer->least + vmt_sites_count(replay->sites) +
	       vmt_blocks_count(replay->blocks) * EVENTS_FOR_A_BLOCK;
}

void
vmt_digest_writer_look(struct vmt_digest_writer *writer)
{
	uint64_t events = heap_events(writer) - writer->heap_events_at_cut;

	if (!writer->is_open || (events >= EVENTS_ENOUGH && events >= needed_events(writer)))
		writer->cut = 0;
}

void
vmt_digest_writer_snapshot(struct vmt_digest_writer *writer, uint64_t time)
{
	if (writer->is_open)
		writer->cut = writer->cut > time + 1 ? time + 1 : writer->cut;
	else
		end_stretch(writer);
}

/* Whether so much happens that a fold is shorter than it. */
static bool
is_worth_while(const struct vmt_digest_writer *writer)
{
	uint64_t needed = needed_events(writer);

	return writer->heap_events_before >= needed ||
	       heap_events(writer) - writer->heap_events_at_cut >= needed;
}

static int
open_fold(struct vmt_digest_writer *writer, const struct vmt_event *event)
{
	writer->is_open = true;
	writer->items.count = 0;
	writer->first_time = event->time;
	writer->first_others = writer->item_others = writer->others;
	writer->sites = vmt_sites_count(writer->draft->replay->sites);
	writer->base = count(writer);
	writer->base.events--; /* the event is counted */
	writer->sum = (struct counters){.events = 0};
	memset(writer->released, 0, sizeof(writer->released));
	writer->cut = next_cut(writer, event->time);
	return vmt_heap_copy_take(writer->copy, writer->draft->replay);
}

/* An event of the same time as the last of a fold was not in it: it is none. */
static void
check_before(struct vmt_digest_writer *writer, const struct vmt_event *event)
{
	if (writer->has_before && event->time <= writer->before_last)
		writer->digest.count = writer->before_bytes;
	writer->has_before = false;
}

static int
try_open(struct vmt_digest_writer *writer, const struct vmt_event *event)
{
	check_before(writer, event);
	writer->cut = UINT64_MAX;
	if (!writer->draft->begun || event->time <= writer->last_time || !is_worth_while(writer))
		return 0;
	return open_fold(writer, event);
}

static void
tell_clear(struct vmt_digest_writer *writer, uint32_t slot)
{
	if (writer->released[slot])
		vmt_byte_buffer_put(begin_item(writer, VMT_DIGEST_CLEAR), slot);
	writer->released[slot] = false;
}

static void
put_fold(struct vmt_digest_writer *writer)
{
	struct vmt_byte_buffer *digest = &writer->digest;

	writer->before_bytes = digest->count;
	writer->before_last = writer->last_time;
	writer->has_before = true;
	vmt_byte_buffer_put(digest, writer->first_time);
	vmt_byte_buffer_put(digest, writer->last_time);
	vmt_byte_buffer_put(digest, writer->first_others);
	vmt_byte_buffer_put(digest, writer->sum.events);
	vmt_byte_buffer_put(digest, writer->items.count);
	vmt_byte_buffer_put_bytes(digest, writer->items.bytes, writer->items.count);
	writer->has_failed |= digest->has_failed || writer->items.has_failed;
}

/* `counted`: the events in the report's count that are not applied yet. */
static void
close_fold(struct vmt_digest_writer *writer, uint64_t counted)
{
	struct counters now = count(writer);
	struct vmt_byte_buffer *items;

	now.events -= counted;
	add_up(writer, &now);
	tell_sites(writer);
	for (uint32_t i = 0; i < VMT_HISTORY_MARKS_THREADS; i++)
		tell_clear(writer, i);
	items = begin_item(writer, VMT_DIGEST_CHANGE);
	for (size_t i = 0; i < VMT_DIGEST_COUNTED; i++)
		vmt_byte_buffer_put(items, writer->sum.replay[i]);
	vmt_heap_copy_tell(writer->copy, writer->draft->replay, items);
	put_fold(writer);
	writer->is_open = false;
	writer->cut = 0;
	end_stretch(writer);
}

static void
before_other(struct vmt_digest_writer *writer, const struct vmt_event *event)
{
	struct counters now;

	if (!writer->is_open)
		return;
	if (event->kind == VMT_EVENT_MODULE_LOAD || event->kind == VMT_EVENT_MODULE_UNLOAD) {
		close_fold(writer, 1);
		return;
	}
	now = count(writer);
	now.events--;
	add_up(writer, &now);
	tell_sites(writer);
	if (event->kind == VMT_EVENT_MAP_UNDO)
		tell_clear(writer, event->thread % VMT_HISTORY_MARKS_THREADS);
}

int
vmt_digest_writer_before(struct vmt_digest_writer *writer, const struct vmt_event *event)
{
	int status = 0;

	if (writer->has_failed)
		return 0;
	if (event->kind >= VMT_EVENT_FIRST_OF_MAP) {
		before_other(writer, event);
		return 0;
	}
	if (writer->is_open && event->time >= writer->cut)
		close_fold(writer, 1);
	if (!writer->is_open && !writer->has_failed)
		status = try_open(writer, event);
	return status;
}

void
vmt_digest_writer_after(struct vmt_digest_writer *writer, const struct vmt_event *event)
{
	uint32_t slot = event->thread % VMT_HISTORY_MARKS_THREADS;

	if (event->kind < VMT_EVENT_FIRST_OF_MAP) {
		vmt_digest_writer_note(writer, event);
		return;
	}
	writer->others++;
	if (!writer->is_open)
		return;
	writer->base = count(writer);
	writer->sites = vmt_sites_count(writer->draft->replay->sites);
	if (vmt_event_is_release(event->kind))
		writer->released[slot] = false;
}

void
vmt_digest_writer_note(struct vmt_digest_writer *writer, const struct vmt_event *event)
{
	uint32_t slot = event->thread % VMT_HISTORY_MARKS_THREADS;

	writer->last_time = event->time;
	if (!writer->is_open)
		return;
	if (event->kind == VMT_EVENT_HEAP_UNDO) {
		tell_clear(writer, slot);
		vmt_heap_change_put_event(begin_item(writer, VMT_DIGEST_MARK), event);
	} else if (vmt_event_is_release(event->kind)) {
		writer->released[slot] = event->argument_a == 0;
		if (event->argument_a != 0)
			vmt_heap_change_put_event(begin_item(writer, VMT_DIGEST_MARK), event);
	}
}

const struct vmt_byte_buffer *
vmt_digest_writer_finish(struct vmt_digest_writer *writer)
{
	if (writer->is_open && !writer->has_failed)
		close_fold(writer, 0);
	if (writer->has_failed || !vmt_merge_is_regular(writer->draft->merge) ||
	    vmt_merge_events_unknown(writer->draft->merge) != 0 || writer->digest.count == 0)
		return NULL;
	return &writer->digest;
}
