#include "tools/model/report/history_marks.h"

#include "format/advice.h"
#include "tools/model/replay/replay_map.h"
#include "tools/model/report/history_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KINDS_MOST 16u /* in one part of the recording; more are told as one */

/* What is one mark in one part: a kind of event, and which advice. */
#define OF_EVENT (1u << 16)
#define OTHER (2u << 16)

/* One mark under construction. */
struct noted {
	uint64_t first;
	uint64_t last; /* ticks */
	uint32_t kind;
	uint64_t calls;
	uint64_t bytes;
	uint64_t in_ram_bytes;
	uint64_t taken_bytes;
	uint64_t largest_bytes; /* of one call */
	struct vmt_site_key largest;
	bool estimate;
};

/* The last release of a thread, while it may be undone. */
struct undoable {
	uint32_t thread;
	size_t item;
	uint64_t bytes;
	uint64_t in_ram_bytes;
	uint64_t taken_bytes;
	bool is_there;
};

struct vmt_history_marks {
	uint64_t start; /* of the recording, ticks */
	uint64_t length;
	uint64_t part;	   /* that events fall into now */
	size_t part_first; /* its first item */
	struct noted *items;
	size_t count;
	size_t room;
	struct undoable undoable[VMT_HISTORY_MARKS_THREADS];
};

struct vmt_history_marks *
vmt_history_marks_new(struct vmt_trace *trace)
{
	struct vmt_history_marks *marks = calloc(1, sizeof(*marks));
	uint64_t last = 0;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	if (!marks)
		return NULL;
	marks->start = vmt_trace_head(trace)->clock_start.ticks;
	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_EVENTS && chunks[i].header.time_max > last)
			last = chunks[i].header.time_max;
	marks->length = last > marks->start ? last - marks->start : 0;
	return marks;
}

void
vmt_history_marks_free(struct vmt_history_marks *marks)
{
	if (marks)
		free(marks->items);
	free(marks);
}

static uint64_t
part_of(const struct vmt_history_marks *marks, uint64_t time)
{
	uint64_t after = time > marks->start ? time - marks->start : 0;
	uint64_t part = marks->length / VMT_HISTORY_MARK_PARTS + 1;

	return after / part < VMT_HISTORY_MARK_PARTS ? after / part : VMT_HISTORY_MARK_PARTS - 1;
}

/* What an event gives back or tells; false: neither. */
static bool
read_event(const struct vmt_event *event, struct noted *noted)
{
	bool refused = event->error && event->error != ENOMEM;

	*noted = (struct noted){.first = event->time,
				.last = event->time,
				.kind = OF_EVENT | event->kind,
				.calls = 1,
				.bytes = event->length,
				.in_ram_bytes = event->argument_a,
				.estimate = (event->marks & VMT_MARK_SAMPLED) != 0};
	if (event->kind == VMT_EVENT_MADVISE) {
		noted->kind = event->advice;
		noted->taken_bytes =
		    vmt_advice_releases(event->advice) ? vmt_replay_map_taken(event) : 0;
		noted->in_ram_bytes = vmt_advice_releases(event->advice) ? event->argument_a : 0;
		noted->largest = (struct vmt_site_key){
		    .kind = event->kind, .stack = event->stack, .advice = event->advice};
		return !refused;
	}
	if (event->kind == VMT_EVENT_FILE_RELEASE) {
		noted->in_ram_bytes = noted->taken_bytes = event->argument_b;
		noted->largest = (struct vmt_site_key){.kind = event->kind,
						       .stack = event->stack,
						       .advice = event->flags ? VMT_FILE_PUNCHED
									      : VMT_FILE_SHRUNK};
		noted->kind |= (uint32_t)noted->largest.advice << 8;
		return !event->error;
	}
	if (event->kind == VMT_EVENT_BRK_BEGIN) {
		noted->bytes =
		    event->argument_a > event->address ? event->argument_a - event->address : 0;
		noted->in_ram_bytes = event->argument_b;
	}
	/* Nothing of an untouched range comes back. */
	return vmt_event_is_release(event->kind) && noted->in_ram_bytes > 0;
}

static void
add_up(struct noted *sum, const struct noted *noted)
{
	sum->last = noted->last;
	sum->calls += noted->calls;
	sum->bytes += noted->bytes;
	sum->in_ram_bytes += noted->in_ram_bytes;
	sum->taken_bytes += noted->taken_bytes;
	sum->estimate |= noted->estimate;
	if (noted->bytes > sum->largest_bytes) {
		sum->largest_bytes = noted->bytes;
		sum->largest = noted->largest;
	}
}

/* NULL: no memory. */
static struct noted *
add_item(struct vmt_history_marks *marks, const struct noted *noted, uint32_t kind)
{
	struct noted *items = marks->items;

	if (marks->count == marks->room) {
		size_t room = marks->room ? 2 * marks->room : 64;

		items = reallocarray(items, room, sizeof(*items));
		if (!items)
			return NULL;
		marks->items = items;
		marks->room = room;
	}
	items[marks->count] = (struct noted){.first = noted->first, .kind = kind};
	return &items[marks->count++];
}

/* The item of this part that it belongs to; NULL: no memory. */
static struct noted *
find_item(struct vmt_history_marks *marks, const struct noted *noted)
{
	uint32_t kind =
	    marks->count - marks->part_first < KINDS_MOST ? noted->kind : (uint32_t)OTHER;

	for (size_t i = marks->part_first; i < marks->count; i++)
		if (marks->items[i].kind == noted->kind)
			return &marks->items[i];
	for (size_t i = marks->part_first; i < marks->count; i++)
		if (marks->items[i].kind == kind)
			return &marks->items[i];
	return add_item(marks, noted, kind);
}

static void
keep_undoable(struct vmt_history_marks *marks, const struct vmt_event *event, size_t item,
	      const struct noted *noted)
{
	marks->undoable[event->thread % VMT_HISTORY_MARKS_THREADS] =
	    (struct undoable){.thread = event->thread,
			      .item = item,
			      .bytes = noted->bytes,
			      .in_ram_bytes = noted->in_ram_bytes,
			      .taken_bytes = noted->taken_bytes,
			      .is_there = true};
}

/* A release that did not happen. */
static void
take_back(struct vmt_history_marks *marks, const struct vmt_event *event)
{
	struct undoable *last = &marks->undoable[event->thread % VMT_HISTORY_MARKS_THREADS];
	struct noted *item;

	if (!last->is_there || last->thread != event->thread)
		return;
	last->is_there = false;
	item = &marks->items[last->item];
	item->calls--;
	item->bytes -= last->bytes;
	item->in_ram_bytes -= last->in_ram_bytes;
	item->taken_bytes -= last->taken_bytes;
}

static bool
is_of_the_heap(uint8_t kind)
{
	return kind == VMT_EVENT_FREE || kind == VMT_EVENT_REALLOC_BEGIN ||
	       kind == VMT_EVENT_DELETE;
}

int
vmt_history_marks_note(struct vmt_history_marks *marks, const struct vmt_event *event)
{
	struct noted noted;
	struct noted *item;
	uint64_t part;

	if (!marks)
		return 0;
	if (event->kind == VMT_EVENT_MAP_UNDO || event->kind == VMT_EVENT_HEAP_UNDO) {
		take_back(marks, event);
		return 0;
	}
	/* What was released before can't be undone any more, whether this one counts or not. */
	if (vmt_event_is_release(event->kind))
		marks->undoable[event->thread % VMT_HISTORY_MARKS_THREADS].is_there = false;
	if (!read_event(event, &noted))
		return 0;
	part = part_of(marks, event->time);
	if (part != marks->part) {
		marks->part = part;
		marks->part_first = marks->count;
	}
	item = find_item(marks, &noted);
	if (!item)
		return -ENOMEM;
	if (vmt_event_is_release(event->kind))
		keep_undoable(marks, event, (size_t)(item - marks->items), &noted);
	add_up(item, &noted);
	return 0;
}

void
vmt_history_marks_clear(struct vmt_history_marks *marks, uint32_t slot)
{
	if (marks)
		marks->undoable[slot % VMT_HISTORY_MARKS_THREADS].is_there = false;
}

static const char *
name_of(uint32_t kind)
{
	uint8_t event = kind & 0xff;
	const char *name;

	if (kind == OTHER)
		return "other calls";
	if (!(kind & OF_EVENT)) {
		name = vmt_advice_name(kind);
		return name ? name : "madvise";
	}
	if (event == VMT_EVENT_FILE_RELEASE)
		return vmt_file_release_name(kind >> 8 & 0xff);
	return vmt_report_rows_call(event);
}

/* The row of advice that a key became; SIZE_MAX: none. */
static size_t
row_of(const struct vmt_report_draft *draft, struct vmt_site_key key)
{
	struct vmt_sites *sites = draft->replay->sites;
	uint32_t site = key.kind ? vmt_sites_find(sites, key) : VMT_SITE_NONE;

	return site == VMT_SITE_NONE ? SIZE_MAX
				     : draft->advice_rows[vmt_sites_merged_into(sites, site)];
}

/* A block of malloc may stay with it: what of it left the process is not known. */
static bool
is_taken_known(uint32_t kind)
{
	return kind != OTHER && !((kind & OF_EVENT) && is_of_the_heap(kind & 0xff));
}

static uint64_t
taken_of(const struct noted *noted)
{
	bool is_advice =
	    !(noted->kind & OF_EVENT) || (noted->kind & 0xff) == VMT_EVENT_FILE_RELEASE;

	if (!is_taken_known(noted->kind))
		return VMT_FIGURE_UNKNOWN;
	return is_advice ? noted->taken_bytes : noted->in_ram_bytes;
}

int
vmt_history_marks_fill(struct vmt_report_draft *draft)
{
	const struct vmt_history_marks *marks = draft->marks;
	struct vmt_history *history = &draft->report.history;

	if (!marks)
		return 0;
	history->marks = calloc(marks->count + 1, sizeof(*history->marks));
	if (!history->marks)
		return -ENOMEM;
	for (size_t i = 0; i < marks->count; i++) {
		const struct noted *noted = &marks->items[i];

		if (noted->calls == 0) /* all of it was undone */
			continue;
		history->marks[history->mark_count++] = (struct vmt_history_mark){
		    .first_ns = vmt_trace_time_ns(draft->trace, noted->first),
		    .last_ns = vmt_trace_time_ns(draft->trace, noted->last),
		    .call = name_of(noted->kind),
		    .calls = noted->calls,
		    .bytes = noted->bytes,
		    .in_ram_bytes = noted->in_ram_bytes,
		    .taken_bytes = taken_of(noted),
		    .estimate = noted->estimate,
		    .advice = row_of(draft, noted->largest),
		};
	}
	return 0;
}
