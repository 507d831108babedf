#include "tools/model/report/history_build.h"
#include "tools/model/report/report_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EARLIER_RUNS_MOST 4000000u /* some seconds */

static bool
module_of(void *trace, uint32_t id, struct vmt_module *module)
{
	return vmt_trace_module(trace, id, module);
}

static const char *
last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Without names for the report, stacks are looked up only where a Go runtime is known to be. */
static struct vmt_go_sites *
new_go_owners(const struct vmt_report_draft *draft)
{
	struct vmt_go_sites_input input = {
	    .trace = draft->trace,
	    .history = draft->replay->history,
	    .sites = draft->replay->sites,
	    .symbols = draft->names,
	};

	return vmt_go_sites_new(&input);
}

static struct vmt_allocators *
new_allocators(const struct vmt_report_draft *draft)
{
	struct vmt_allocators_input input = {
	    .trace = draft->trace,
	    .history = draft->replay->history,
	    .sites = draft->replay->sites,
	    .symbols = draft->options->symbols ? draft->names : NULL,
	    .tracer_address = vmt_trace_head(draft->trace)->tracer_address,
	};

	return vmt_allocators_new(&input);
}

int
vmt_report_snapshots_new_owners(const struct vmt_report_draft *draft,
				struct vmt_go_sites **go_owners, struct vmt_allocators **allocators)
{
	bool may_be_go = draft->options->symbols || vmt_trace_head(draft->trace)->go.version[0];

	*go_owners = may_be_go ? new_go_owners(draft) : NULL;
	*allocators = new_allocators(draft);
	return *allocators && (*go_owners || !may_be_go) ? 0 : -ENOMEM;
}

/* An advice may be among them. */
static bool
has_lost_events(const struct vmt_report_draft *draft)
{
	const struct vmt_trace_loss *loss = vmt_trace_loss(draft->trace);

	return loss->overwritten_by_kind[VMT_EVENT_MADVISE] ||
	       loss->dropped_by_kind[VMT_EVENT_MADVISE] || loss->events_missing;
}

static enum vmt_earlier
earlier(uint32_t notes)
{
	if (notes & (VMT_NOTE_SNAPSHOT | VMT_NOTE_WATCHED))
		return VMT_EARLIER_SNAPSHOT;
	return notes & VMT_NOTE_ATTACHED ? VMT_EARLIER_PRESENT : VMT_EARLIER_LOADER;
}

/* But for who owns what, and the heap's level. */
static struct vmt_attribution_options
join_options(const struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);

	return (struct vmt_attribution_options){
	    .tracer_address = head->tracer_address,
	    .trace_name = last_part(vmt_trace_path(draft->trace)),
	    .trace_bytes = head->mapped_bytes ? head->mapped_bytes : head->chunks_offset,
	    .module = module_of,
	    .context = draft->trace,
	    .blocks_unseen =
		vmt_blocks_count(draft->replay->blocks) == 0 &&
		(head->malloc_mode == VMT_MALLOC_OFF || head->notes & VMT_NOTE_OWN_MALLOC),
	    .earlier = earlier(head->notes),
	    .has_go = head->go.version[0] != '\0',
	};
}

static int
tell_inherited(void *context, const struct vmt_attribution *attribution,
	       const struct vmt_regions *regions, const struct vmt_resident *resident)
{
	const struct vmt_report_draft *draft = context;
	const struct vmt_report_options *options = draft->options;
	int status = 0;

	(void)attribution;
	(void)resident;
	for (size_t i = 0; i < regions->count && !status; i++)
		if (regions->items[i].class == VMT_CLASS_INHERITED)
			status = options->inherited(options->inherited_context,
						    regions->items[i].start, regions->items[i].end);
	return status;
}

/* With the report's own snapshot. */
static int
join(struct vmt_report_draft *draft)
{
	struct vmt_attribution_options options = join_options(draft);
	int status = vmt_report_events_take_tasks(draft, draft->snapshot.head.time);

	options.go_owners = draft->go_owners;
	options.allocators = draft->allocators;
	(void)vmt_report_go_heap_read(draft, draft->chosen, draft->snapshot.head.index,
				      &draft->go_heap);
	if (vmt_report_go_heap_is_read(&draft->go_heap))
		options.go_heap = &draft->go_heap;
	if (!status)
		status = vmt_replay_reach(draft->replay, draft->snapshot.head.time);
	vmt_touchers_drop_gone(draft->replay->touchers);
	if (!status && draft->report.touch.samples == 0 && !draft->seen_gap) {
		status = vmt_report_touch_see(draft, &draft->snapshot);
		options.since = !draft->seen_gap;
	}
	draft->joined = true;
	draft->joined_level = draft->replay->thin_level;
	options.blocks_unseen &= draft->joined_level == 0;
	draft->blocks_unseen = options.blocks_unseen;
	if (status)
		return status;
	if (has_lost_events(draft))
		vmt_touched_lose(draft->replay->touched);
	vmt_history_build_watch(draft, &options);
	if (draft->options->inherited) {
		options.see = tell_inherited;
		options.see_context = draft;
	}
	status =
	    vmt_attribution_join(&draft->attribution, &draft->snapshot, draft->replay, &options);
	if (!status)
		vmt_history_build_own(draft);
	return status;
}

/* With another one, for the history. */
static int
look(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
     const struct vmt_snapshot *snapshot)
{
	struct vmt_go_heap go_heap;
	struct vmt_attribution_options options = join_options(draft);
	struct vmt_go_sites *go_owners;
	struct vmt_allocators *allocators;
	int status = vmt_report_snapshots_new_owners(draft, &go_owners, &allocators);

	options.go_owners = go_owners;
	options.allocators = allocators;
	(void)vmt_report_go_heap_read(draft, chunk, snapshot->head.index, &go_heap);
	if (vmt_report_go_heap_is_read(&go_heap))
		options.go_heap = &go_heap;
	if (!status)
		status = vmt_report_events_take_tasks(draft, snapshot->head.time);
	if (has_lost_events(draft))
		vmt_touched_lose(draft->replay->touched);
	if (!status)
		status = vmt_history_build_look(draft, snapshot, &options);
	vmt_go_heap_chunk_free(&go_heap);
	vmt_go_sites_free(go_owners);
	vmt_allocators_free(allocators);
	return status;
}

/* Pages that were resident then. Where a mapping's runs stand packed, all of it may have been. */
static int
add_touched(struct vmt_touched *touched, const struct vmt_snapshot *snapshot)
{
	int status = 0;

	for (uint32_t i = 0; i < snapshot->head.mappings && !status; i++) {
		const struct vmt_snapshot_mapping *mapping = &snapshot->mappings[i];

		if (snapshot->coarse && mapping->runs)
			status =
			    vmt_touched_add(touched, mapping->mapping.start, mapping->mapping.end);
	}
	for (uint32_t i = 0; i < snapshot->head.runs && !status && !snapshot->coarse; i++) {
		const struct vmt_run *run = &snapshot->runs[i];

		if ((run->kind & (VMT_RUN_PRESENT | VMT_RUN_SWAPPED)) &&
		    !(run->kind & VMT_RUN_ZERO))
			status = vmt_touched_add(touched, run->start, run->start + run->bytes);
	}
	return status;
}

/* What later ones are told by this one. All of them may have more runs than a report has time for.
 */
static int
remember(struct vmt_report_draft *draft, const struct vmt_snapshot *snapshot)
{
	draft->earlier_runs += snapshot->head.runs;
	if (draft->earlier_runs <= EARLIER_RUNS_MOST)
		return add_touched(draft->replay->touched, snapshot);
	vmt_touched_lose(draft->replay->touched);
	return 0;
}

/* One that waited. */
static int
visit(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk)
{
	struct vmt_snapshot snapshot;
	struct vmt_err err = {{0}};
	int status = 0;

	if ((draft->earlier_runs > EARLIER_RUNS_MOST && !draft->history) ||
	    vmt_snapshot_decode(&snapshot, draft->trace, chunk, &err)) {
		vmt_touched_lose(draft->replay->touched);
		draft->seen_gap = true;
		return 0;
	}
	if (!draft->report.touch.asked && !draft->joined)
		status = vmt_report_touch_see(draft, &snapshot);
	if (!status && vmt_history_build_wants(draft, chunk, &snapshot))
		status = look(draft, chunk, &snapshot);
	if (!status)
		status = remember(draft, &snapshot);
	vmt_snapshot_decode_free(&snapshot);
	return status;
}

/* The page faults up to an earlier one. */
static int
compare_touches(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk)
{
	struct vmt_snapshot snapshot;
	struct vmt_err err = {{0}};
	int status = 0;

	if (!draft->report.touch.asked)
		return 0;
	if (draft->seen_runs > EARLIER_RUNS_MOST ||
	    vmt_snapshot_decode(&snapshot, draft->trace, chunk, &err)) {
		draft->seen_gap = true;
		return 0;
	}
	draft->seen_runs += snapshot.head.runs;
	status = vmt_report_touch_see(draft, &snapshot);
	vmt_snapshot_decode_free(&snapshot);
	return status;
}

static int
wait_for_events(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk, uint64_t time)
{
	if (draft->waiting.first == draft->waiting.end)
		draft->waiting.first = draft->waiting.end = 0;
	if (draft->waiting.end == draft->waiting.room) {
		size_t room = draft->waiting.room ? draft->waiting.room * 2 : 16;
		struct vmt_waiting_snapshot *items =
		    reallocarray(draft->waiting.items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		draft->waiting.items = items;
		draft->waiting.room = room;
	}
	draft->waiting.items[draft->waiting.end++] = (struct vmt_waiting_snapshot){chunk, time};
	return 0;
}

int
vmt_report_snapshots_take(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
			  uint64_t time)
{
	bool earlier = draft->chosen && !draft->joined && time < draft->snapshot.head.time;
	int status = 0;

	if (chunk == draft->chosen || (!earlier && !draft->history))
		return 0;
	if (earlier)
		status = compare_touches(draft, chunk);
	return status ? status : wait_for_events(draft, chunk, time);
}

/* Those that wait, up to that time. */
static int
visit_until(struct vmt_report_draft *draft, uint64_t time)
{
	int status = 0;

	while (!status && draft->waiting.first < draft->waiting.end &&
	       draft->waiting.items[draft->waiting.first].time < time)
		status = visit(draft, draft->waiting.items[draft->waiting.first++].chunk);
	return status;
}

int
vmt_report_snapshots_reach(struct vmt_report_draft *draft, uint64_t time)
{
	uint64_t own = draft->snapshot.head.time;
	int status;

	if (!draft->chosen || draft->joined || own >= time)
		return visit_until(draft, time);
	status = visit_until(draft, own);
	if (!status)
		status = join(draft);
	if (!status && draft->history)
		status = remember(draft, &draft->snapshot);
	return status ? status : visit_until(draft, time);
}
