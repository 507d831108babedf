#include "tools/model/attribute/attribution.h"

#include "base/assert.h"
#include "tools/model/attribute/advice_tally.h"
#include "tools/model/attribute/go_pieces.h"
#include "tools/model/attribute/heap_pages.h"
#include "tools/model/replay/unfinished_calls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GUARD_MOST_BYTES (UINT64_C(64) << 10)

static void
settle(struct vmt_region *region, enum vmt_class_id class)
{
	vmt_assert(class < VMT_CLASSES);
	region->class = class;
	region->open = false;
}

static bool
is_thread_stack(const struct vmt_region *region)
{
	return region->class == VMT_CLASS_THREAD_STACKS || region->class == VMT_CLASS_ENDED_STACKS;
}

/* Just below a thread's stack: a PROT_NONE mapping, or the little that begins the stack's own one
 * and was never used (glibc 2.42 guards by MADV_GUARD_INSTALL). */
static bool
is_guard(const struct vmt_region *region, const struct vmt_region *stack)
{
	if (!region->open || !is_thread_stack(stack) || region->end != stack->start)
		return false;
	if (region->mapping->protection == PROT_NONE)
		return true;
	return region->mapping == stack->mapping && region->start == region->mapping->start &&
	       region->end - region->start <= GUARD_MOST_BYTES &&
	       region->total.bytes[VMT_AMOUNT_COMMITTED] == 0;
}

static void
find_guards(struct vmt_regions *regions)
{
	for (size_t i = 0; i + 1 < regions->count; i++) {
		struct vmt_region *guard = &regions->items[i];
		const struct vmt_region *stack = &regions->items[i + 1];

		if (!is_guard(guard, stack))
			continue;
		settle(guard, stack->class);
		guard->site = stack->site;
		guard->thread = stack->thread;
		guard->call = stack->call;
	}
}

/* What is left open, ends where the descriptor of a thread that is over does, and is no larger than
 * that thread's stack with its guard: other memory may have come to the same place. */
static bool
is_ended_stack(const struct vmt_region *region, struct vmt_threads *threads)
{
	const struct vmt_thread_stack *thread = vmt_threads_over_after(threads, region->end - 1);
	uint64_t bytes = region->end - region->start;

	if (!region->open || region->has_blocks || !thread || thread->callers ||
	    thread->top != region->end || thread->descriptor < region->start)
		return false;
	return thread->asked_bytes && bytes >= thread->asked_bytes &&
	       bytes <= thread->asked_bytes + GUARD_MOST_BYTES;
}

static void
find_ended_stacks(struct vmt_regions *regions, struct vmt_threads *threads)
{
	for (size_t i = 0; i < regions->count; i++)
		if (is_ended_stack(&regions->items[i], threads))
			settle(&regions->items[i], VMT_CLASS_ENDED_STACKS);
}

/* What a fresh image has before its first event is the loader's (thread-local storage, link maps).
 * A fork child's may be anything that its parent had: here is what an allocator has gone on with.
 */
static void
settle_present(struct vmt_regions *regions, bool forked)
{
	for (size_t i = 0; i < regions->count; i++) {
		struct vmt_region *region = &regions->items[i];

		if (region->open && region->present)
			settle(region, forked ? VMT_CLASS_MALLOC_RETAINED : VMT_CLASS_PROGRAM);
	}
}

/* The rest of a data segment, past the end of its file. */
static bool
is_bss(const struct vmt_region *data, const struct vmt_region *region)
{
	return region->open && !region->heap && data->end == region->start && !data->tracked &&
	       (data->mapping->protection & PROT_WRITE) && data->mapping->inode &&
	       data->mapping->protection == region->mapping->protection &&
	       (data->class == VMT_CLASS_PROGRAM || data->class == VMT_CLASS_TRACER);
}

/* Unless `all`: behind a module whose span is known, and has ended, may be anybody's memory. */
static void
find_bss(struct vmt_regions *regions, const struct vmt_module_history *history, bool all)
{
	for (size_t i = 1; i < regions->count; i++)
		if (is_bss(&regions->items[i - 1], &regions->items[i]) &&
		    (all || !vmt_module_history_find(history, regions->items[i - 1].start)))
			settle(&regions->items[i], regions->items[i - 1].class);
}

/* Which of the parent's memory was live is in its parent's trace alone. */
static void
find_inherited(struct vmt_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++) {
		struct vmt_region *region = &regions->items[i];

		if (region->open && region->inherited)
			settle(region, VMT_CLASS_INHERITED);
	}
}

static int
compare_calls(const void *left, const void *right)
{
	const struct vmt_region *const *a = left;
	const struct vmt_region *const *b = right;

	return ((*a)->call > (*b)->call) - ((*a)->call < (*b)->call);
}

/* A thread's stack is one, without its guard. */
static bool
is_counted(const struct vmt_region *region)
{
	if (region->site == VMT_SITE_NONE)
		return false;
	return !region->thread || (region->thread->descriptor >= region->start &&
				   region->thread->descriptor < region->end);
}

/* Live calls of a site: those of which some page is still mapped. */
static int
count_live_calls(const struct vmt_regions *regions, struct vmt_replay *replay)
{
	const struct vmt_region **owned = calloc(regions->count + 1, sizeof(struct vmt_region *));
	size_t count = 0;

	if (!owned)
		return -ENOMEM;
	for (size_t i = 0; i < regions->count; i++) {
		const struct vmt_region *region = &regions->items[i];

		if (is_counted(region))
			owned[count++] = region;
	}
	vmt_assert(count <= regions->count);
	qsort(owned, count, sizeof(*owned), compare_calls);
	for (size_t i = 0; i < count; i++) {
		struct vmt_site_entry *entry = vmt_sites_get(replay->sites, owned[i]->site);

		if (!owned[i]->call || i == 0 || owned[i]->call != owned[i - 1]->call)
			entry->exact[VMT_FIGURE_LIVE_COUNT]++;
	}
	free(owned);
	return 0;
}

static void
add_up_files(struct vmt_attribution *attribution, const struct vmt_region *region)
{
	enum vmt_backing backing = vmt_files_backing(region->mapping);
	struct vmt_mapped_file *file;

	if (!region->mapping->path_bytes ||
	    (backing != VMT_BACKING_FILE && backing != VMT_BACKING_SHARED))
		return;
	file =
	    vmt_files_find(attribution->files, region->mapping->path, region->mapping->path_bytes);
	assert(file);
	file->class = region->class;
	file->reserved_bytes += region->total.bytes[VMT_AMOUNT_RESERVED];
	file->committed_bytes += region->total.bytes[VMT_AMOUNT_COMMITTED];
	attribution->file_bytes += region->total.bytes[VMT_AMOUNT_COMMITTED];
}

static void
add_up(struct vmt_attribution *attribution, const struct vmt_regions *regions)
{
	struct vmt_amounts sum = {{0}};

	for (size_t i = 0; i < regions->count; i++) {
		const struct vmt_region *region = &regions->items[i];

		for (int j = 0; j < VMT_AMOUNTS; j++)
			attribution->total.bytes[j] += region->total.bytes[j];
		vmt_assert(region->class < VMT_CLASSES && region->start < region->end);
		add_up_files(attribution, region);
	}
	for (int i = 0; i < VMT_CLASSES; i++)
		for (int j = 0; j < VMT_AMOUNTS; j++)
			sum.bytes[j] += attribution->classes[i].bytes[j];
	for (int j = 0; j < VMT_AMOUNTS; j++)
		assert(sum.bytes[j] == attribution->total.bytes[j]);
}

/* A thread's stack is as large as the snapshot shows it, with its guard; none, where it lies in
 * memory that another call owns. */
static void
measure_stacks(const struct vmt_regions *regions, struct vmt_replay *replay)
{
	size_t count;
	struct vmt_thread_stack *threads = vmt_threads_owners(replay->threads, &count);

	for (size_t i = 0; i < count; i++)
		threads[i].held_bytes = 0;
	for (size_t i = 0; i < regions->count; i++)
		if (regions->items[i].thread)
			regions->items[i].thread->held_bytes +=
			    regions->items[i].end - regions->items[i].start;
}

/* Events tell what was asked for, of a thread's stack, or found, before the start. What of it is
 * these rows' is known now: so much was reserved as is here, and was released before. */
static void
settle_totals(const struct vmt_regions *regions, struct vmt_replay *replay)
{
	measure_stacks(regions, replay);
	for (uint32_t i = 0; i < vmt_sites_count(replay->sites); i++) {
		struct vmt_site_entry *entry = vmt_sites_get(replay->sites, i);
		uint64_t total =
		    entry->exact[VMT_FIGURE_RELEASED] + entry->exact[VMT_FIGURE_RESERVED];
		uint64_t more = total - entry->exact[VMT_FIGURE_TOTAL_RESERVED];

		if (entry->key.kind != VMT_EVENT_THREAD && entry->key.kind != VMT_EVENT_PRESENT)
			continue;
		entry->exact[VMT_FIGURE_TOTAL_RESERVED] = total;
		if (entry->exact[VMT_FIGURE_HELD_BEFORE])
			entry->exact[VMT_FIGURE_HELD_BEFORE] += more;
	}
}

/* What a pthread_create was lent that has not returned: its event will count that, or, where none
 * comes, vmt_unfinished_calls_settle. */
static void
leave_out_lent(const struct vmt_regions *regions, struct vmt_replay *replay)
{
	for (size_t i = 0; i < regions->count; i++) {
		const struct vmt_region *region = &regions->items[i];
		struct vmt_site_entry *entry;

		if (region->thread || region->site == VMT_SITE_NONE ||
		    !vmt_unfinished_calls_has_stack(replay->under_way, region->start))
			continue;
		entry = vmt_sites_get(replay->sites, region->site);
		entry->exact[VMT_FIGURE_TOTAL_RESERVED] -= region->end - region->start;
		if (entry->exact[VMT_FIGURE_HELD_BEFORE])
			entry->exact[VMT_FIGURE_HELD_BEFORE] -= region->end - region->start;
	}
}

/* Without a word of blocks nobody can tell what of an allocator's memory is live. */
static void
leave_open(struct vmt_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++)
		if (regions->items[i].class == VMT_CLASS_MALLOC_RETAINED)
			regions->items[i].class = VMT_CLASS_MALLOC;
}

/* Below a mapping that grows down lies what it has grown by, without a call: it reserved that too.
 */
static void
find_grown(struct vmt_regions *regions, struct vmt_replay *replay)
{
	for (size_t i = regions->count; i-- > 1;) {
		const struct vmt_region *above = &regions->items[i];
		struct vmt_region *region = &regions->items[i - 1];
		struct vmt_site_entry *entry;

		if (!above->grows_down || !region->open || region->end != above->start)
			continue;
		vmt_assert(above->site != VMT_SITE_NONE && above->tracked);
		settle(region, above->class);
		region->site = above->site;
		region->call = above->call;
		region->tracked = region->grows_down = true;
		entry = vmt_sites_get(replay->sites, region->site);
		entry->exact[VMT_FIGURE_TOTAL_RESERVED] += region->end - region->start;
		if (entry->exact[VMT_FIGURE_HELD_BEFORE])
			entry->exact[VMT_FIGURE_HELD_BEFORE] += region->end - region->start;
	}
}

/* Stacks that a pthread_create still works on. */
static void
find_new_stacks(struct vmt_regions *regions, const struct vmt_unfinished_calls *calls)
{
	for (size_t i = 0; i < regions->count; i++)
		if (vmt_unfinished_calls_has_stack(calls, regions->items[i].start))
			settle(&regions->items[i], VMT_CLASS_THREAD_STACKS);
}

static int
join_committers(struct vmt_attribution *attribution, const struct vmt_regions *regions,
		const struct vmt_regions_input *input, bool since)
{
	struct vmt_committers_input committers = {.regions = regions,
						  .replay = input->replay,
						  .resident = input->resident,
						  .classes = attribution->classes,
						  .coarse = input->snapshot->coarse};
	int status = vmt_committers_join(&attribution->committers, &committers);

	committers.seen = true;
	if (!status && since)
		status = vmt_committers_join(&attribution->since, &committers);
	return status;
}

static int
join(struct vmt_attribution *attribution, struct vmt_regions *regions,
     const struct vmt_regions_input *input, const struct vmt_attribution_options *options)
{
	int status = vmt_regions_name_files(input);
	bool known;

	if (!status)
		status = vmt_regions_cut(regions, input);
	if (status)
		return status;
	find_grown(regions, input->replay);
	find_new_stacks(regions, input->replay->under_way);
	find_inherited(regions);
	vmt_heap_pages_own(regions, input->replay, input->resident);
	if (options->has_go && options->earlier != VMT_EARLIER_LOADER)
		vmt_earlier_find_go(regions);
	if (options->go_heap)
		attribution->go_claimed = vmt_go_pieces_claim(regions, options->go_heap);
	vmt_heap_pages_find_arenas(regions, options->earlier != VMT_EARLIER_LOADER);
	find_ended_stacks(regions, input->replay->threads);
	find_guards(regions);
	known = input->allocators && vmt_allocators_name(input->allocators);
	if (known)
		vmt_heap_pages_find_early(regions);
	if (options->earlier == VMT_EARLIER_LOADER)
		settle_present(regions, attribution->forked);
	find_bss(regions, input->replay->history, options->earlier == VMT_EARLIER_LOADER);
	if (options->earlier != VMT_EARLIER_LOADER)
		vmt_earlier_settle(regions, options->earlier);
	attribution->foreign_allocator = vmt_heap_pages_find_foreign(regions, known);
	if (input->blocks_unseen)
		leave_open(regions);
	attribution->is_split =
	    !attribution->foreign_allocator && !attribution->forked && !input->blocks_unseen;
	if (attribution->is_split && !options->sums_alone &&
	    vmt_retained_split(&attribution->retained, regions, input->replay, input->resident))
		return -ENOMEM;
	if (options->go_heap &&
	    vmt_go_pieces_cut(regions, options->go_heap, input->resident, input->replay->touched))
		return -ENOMEM;
	if (vmt_heap_pages_tally(regions, input->replay, attribution->classes, &attribution->parts))
		return -ENOMEM;
	vmt_advice_tally_add(input->replay->advised, regions, input->replay->sites,
			     input->resident);
	add_up(attribution, regions);
	if (options->earlier == VMT_EARLIER_SNAPSHOT)
		vmt_largest_mappings_find(&attribution->largest, regions);
	if (!options->sums_alone)
		status = join_committers(attribution, regions, input, options->since);
	if (status)
		return status;
	settle_totals(regions, input->replay);
	leave_out_lent(regions, input->replay);
	status = count_live_calls(regions, input->replay);
	if (!status && options->see)
		status = options->see(options->see_context, attribution, regions, input->resident);
	return status;
}

int
vmt_attribution_join(struct vmt_attribution *attribution, const struct vmt_snapshot *snapshot,
		     struct vmt_replay *replay, const struct vmt_attribution_options *options)
{
	struct vmt_regions regions = {0};
	struct vmt_resident resident = {0};
	struct vmt_regions_input input = {
	    .snapshot = snapshot,
	    .replay = replay,
	    .resident = &resident,
	    .tracer_address = options->tracer_address,
	    .trace_name = options->trace_name,
	    .trace_bytes = options->trace_bytes,
	    .module = options->module,
	    .context = options->context,
	    .go_owners = options->go_owners,
	    .allocators = options->allocators,
	    .blocks_unseen = options->blocks_unseen,
	};
	int status;

	*attribution = (struct vmt_attribution){.files = vmt_files_new(), .forked = replay->forked};
	input.files = attribution->files;
	status = attribution->files ? 0 : -ENOMEM;
	if (!status)
		status = vmt_resident_open(&resident, snapshot->runs, snapshot->head.runs);
	if (!status)
		status = vmt_unfinished_calls_lend(replay, snapshot);
	if (!status)
		status = join(attribution, &regions, &input, options);
	if (vmt_unfinished_calls_take_back(replay) && !status)
		status = -ENOMEM;
	vmt_regions_clear(&regions);
	vmt_resident_close(&resident);
	return status;
}

void
vmt_attribution_free(struct vmt_attribution *attribution)
{
	vmt_files_free(attribution->files);
	vmt_region_parts_clear(&attribution->parts);
	vmt_committers_free(&attribution->committers);
	vmt_committers_free(&attribution->since);
	*attribution = (struct vmt_attribution){0};
}
