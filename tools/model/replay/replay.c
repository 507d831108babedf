#include "tools/model/replay/replay.h"

#include "base/assert.h"
#include "tools/model/replay/advised_pages.h"
#include "tools/model/replay/held_events.h"
#include "tools/model/replay/replay_heap.h"
#include "tools/model/replay/replay_map.h"
#include "tools/model/replay/temporary_blocks.h"
#include "tools/model/replay/unfinished_calls.h"
#include "tools/model/space/undo.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define THREAD_TOKENS 65536u
#define DESCRIPTOR_BYTES 2304u /* of glibc on x86_64, where the event does not say */
#define ABOVE_DESCRIPTOR_BYTES (UINT64_C(64) << 10)
#define SMALL_BYTES (UINT64_C(256) << 10) /* half of the second cache of a common CPU */

struct vmt_replay *
vmt_replay_new(const struct vmt_replay_options *options)
{
	struct vmt_replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return NULL;
	assert(options->page_bytes != 0);
	replay->page_bytes = options->page_bytes;
	replay->sample_bytes = options->sample_bytes;
	replay->thin_from = options->thin_from;
	replay->random_id = options->random_id;
	replay->forked = options->forked;
	replay->folios_always = options->folios_always;
	replay->folios_advised = options->folios_advised;
	replay->history = vmt_module_history_new();
	if (replay->history)
		replay->sites = vmt_sites_new(replay->history, options->stacks);
	if (replay->history)
		replay->touch_sites = vmt_sites_new(replay->history, options->touch_stacks);
	replay->space = vmt_space_new();
	replay->blocks = vmt_blocks_new();
	replay->threads = vmt_threads_new();
	replay->undo = vmt_undo_new();
	replay->advised = vmt_advised_pages_new();
	replay->touched = vmt_touched_new();
	replay->touchers = vmt_touchers_new(options->page_bytes, VMT_TOUCHERS_MOST_GROUPS);
	replay->held_ticks = options->held_ticks;
	replay->held = vmt_held_events_new();
	replay->under_way = vmt_unfinished_calls_new(options->page_bytes);
	replay->realloc_undo = calloc(THREAD_TOKENS, sizeof(*replay->realloc_undo));
	if (!options->sample_bytes)
		replay->temporary = vmt_temporary_blocks_new();
	if (options->by_thread)
		replay->threads_by_bits = calloc(THREAD_TOKENS, sizeof(*replay->threads_by_bits));
	if (replay->touchers && replay->forked)
		vmt_touchers_fork(replay->touchers);
	if (replay->sites && replay->space && replay->blocks && replay->threads && replay->undo &&
	    replay->advised && replay->touched && replay->touchers && replay->touch_sites &&
	    replay->under_way && replay->held && replay->realloc_undo &&
	    (replay->threads_by_bits || !options->by_thread) &&
	    (replay->temporary || options->sample_bytes))
		return replay;
	vmt_replay_free(replay);
	return NULL;
}

void
vmt_replay_free(struct vmt_replay *replay)
{
	if (!replay)
		return;
	vmt_sites_free(replay->sites);
	vmt_sites_free(replay->touch_sites);
	vmt_module_history_free(replay->history);
	vmt_space_free(replay->space);
	vmt_blocks_free(replay->blocks);
	vmt_threads_free(replay->threads);
	vmt_undo_free(replay->undo);
	vmt_advised_pages_free(replay->advised);
	vmt_touched_free(replay->touched);
	vmt_touchers_free(replay->touchers);
	vmt_unfinished_calls_free(replay->under_way);
	vmt_held_events_free(replay->held);
	free(replay->realloc_undo);
	free(replay->threads_by_bits);
	vmt_temporary_blocks_free(replay->temporary);
	free(replay);
}

void
vmt_replay_fork(struct vmt_replay *replay, bool with_it)
{
	vmt_blocks_fork(replay->blocks, with_it);
	vmt_threads_fork(replay->threads, with_it);
}

void
vmt_replay_drop_blocks(struct vmt_replay *replay)
{
	vmt_blocks_free(replay->blocks);
	replay->blocks = NULL;
}

bool
vmt_replay_is_small(const struct vmt_replay *replay)
{
	size_t bytes = vmt_blocks_table_bytes(replay->blocks) +
		       vmt_sites_count(replay->sites) * sizeof(struct vmt_site_entry);

	return bytes <= SMALL_BYTES;
}

void
vmt_replay_expect(const struct vmt_replay *replay, const struct vmt_event *event)
{
	if (event->kind >= VMT_EVENT_FIRST_OF_MAP)
		return;
	vmt_blocks_prefetch(replay->blocks, event->address);
	if (!vmt_event_is_release(event->kind))
		vmt_sites_expect(replay->sites, vmt_replay_state_key(replay, event));
}

void
vmt_replay_expect_soon(const struct vmt_replay *replay, const struct vmt_event *event)
{
	if (event->kind >= VMT_EVENT_FIRST_OF_MAP)
		return;
	if (vmt_event_is_release(event->kind))
		vmt_sites_expect_entry(
		    replay->sites,
		    vmt_blocks_guess_site(replay->blocks, event->address, VMT_SITE_NONE));
	else
		vmt_sites_expect_soon(replay->sites, vmt_replay_state_key(replay, event));
}

/* A thread that is over owns nothing: its stack is the C library's again, mapped or not. */
static void
give_stack_back(void *context, const struct vmt_thread_stack *thread)
{
	struct vmt_replay *replay = context;

	if (thread->site != VMT_SITE_NONE)
		vmt_sites_get(replay->sites, thread->site)->exact[VMT_FIGURE_RELEASED] +=
		    thread->held_bytes;
}

void
vmt_replay_keep_threads(struct vmt_replay *replay, uint64_t time, const uint32_t *tids,
			size_t count)
{
	const struct vmt_threads_sink sink = {give_stack_back, replay};

	vmt_threads_keep(replay->threads, time, tids, count, &sink);
}

static struct vmt_thread_stack
thread_of(const struct vmt_event *event)
{
	bool callers = event->flags & VMT_THREAD_CALLERS_STACK;

	return (struct vmt_thread_stack){
	    .descriptor = event->address,
	    .asked_bytes = event->length,
	    .held_bytes = callers || (event->flags & VMT_THREAD_MAPPED) ? 0 : event->length,
	    .time = event->time,
	    .tid = event->argument_b < VMT_THREAD_OVER ? (uint32_t)event->argument_b : 0,
	    .over = event->argument_b == VMT_THREAD_OVER,
	    .callers = callers,
	};
}

/* What a C library maps for a stack ends with the thread's descriptor and little more. */
static uint64_t
call_of_stack(const struct vmt_replay *replay, uint64_t descriptor)
{
	const struct vmt_extent *extent = vmt_space_next(replay->space, descriptor);

	return extent && extent->start <= descriptor &&
		       extent->end - descriptor <= ABOVE_DESCRIPTOR_BYTES
		   ? extent->call
		   : 0;
}

/* Its whole id, of which events of the heap have a part. */
static void
note_thread(struct vmt_replay *replay, uint32_t tid)
{
	if (replay->threads_by_bits && tid)
		replay->threads_by_bits[tid & 0xffff] = tid;
}

static int
add_thread(struct vmt_replay *replay, const struct vmt_event *event)
{
	const struct vmt_threads_sink sink = {give_stack_back, replay};
	uint64_t bytes = event->argument_a ? event->argument_a : DESCRIPTOR_BYTES;
	struct vmt_thread_stack thread = thread_of(event);
	struct vmt_site_entry *entry;
	uint64_t start;
	int status;

	if (!event->address || event->address > VMT_ADDRESS_MASK ||
	    !vmt_replay_state_pages(replay, event->address, bytes, &start, &thread.top)) {
		replay->malformed++;
		return 0;
	}
	vmt_assert(start < thread.top);
	note_thread(replay, thread.tid);
	if (event->flags & VMT_THREAD_MAPPED)
		thread.call = call_of_stack(replay, event->address);
	if (event->flags & (VMT_THREAD_PRESENT | VMT_THREAD_MAPPED)) {
		thread.site = VMT_SITE_NONE;
		return vmt_threads_put(replay->threads, &thread, &sink);
	}
	status = vmt_sites_intern(replay->sites, vmt_replay_state_key(replay, event), &thread.site);
	if (!status)
		status = vmt_threads_put(replay->threads, &thread, &sink);
	if (status)
		return status;
	entry = vmt_sites_get(replay->sites, thread.site);
	entry->exact[VMT_FIGURE_COUNT]++;
	entry->exact[VMT_FIGURE_TOTAL_RESERVED] += thread.held_bytes;
	if (thread.over)
		give_stack_back(replay, &thread);
	return 0;
}

static int
load_module(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_span span = {
	    .low = event->address,
	    .high = event->address + event->length,
	    .bias = event->argument_a,
	    .module = (uint32_t)event->argument_b,
	};
	uint64_t start;
	uint64_t end;
	int status;

	if (!vmt_replay_state_pages(replay, event->address, event->length, &start, &end)) {
		replay->malformed++;
		return 0;
	}
	vmt_assert(span.low < span.high);
	if (!replay->lowest_module || span.low < replay->lowest_module)
		replay->lowest_module = span.low;
	status = vmt_module_history_load(replay->history, &span);
	if (status)
		return status;
	vmt_sites_loaded(replay->sites);
	vmt_sites_loaded(replay->touch_sites);
	return 0;
}

static void
note_fork(struct vmt_replay *replay, const struct vmt_event *event)
{
	if (event->error || event->flags & CLONE_VM)
		return;
	replay->forks++;
	replay->calls_at_fork = replay->calls;
	vmt_touchers_fork(replay->touchers);
}

int
vmt_replay_apply(struct vmt_replay *replay, const struct vmt_event *event)
{
	if (event->kind < VMT_EVENT_FIRST_OF_MAP)
		return vmt_event_is_known(event->kind) ? vmt_replay_heap_apply(replay, event) : 0;
	vmt_unfinished_calls_apply(replay->under_way, event);
	note_thread(replay, event->thread);
	switch (event->kind) {
	case VMT_EVENT_THREAD:
		return event->error ? 0 : add_thread(replay, event);
	case VMT_EVENT_FORK:
		note_fork(replay, event);
		return 0;
	case VMT_EVENT_MODULE_LOAD:
		return load_module(replay, event);
	case VMT_EVENT_MODULE_UNLOAD:
		vmt_module_history_unload(replay->history, event->address,
					  (uint32_t)event->argument_b);
		return 0;
	default:
		return vmt_replay_map_apply(replay, event);
	}
}
