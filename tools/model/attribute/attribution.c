#include "tools/model/attribute/attribution.h"

#include "tools/model/attribute/advice_tally.h"
#include "tools/model/attribute/heap_pages.h"
#include "tools/model/replay/unfinished_calls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GUARD_MOST_BYTES (UINT64_C(64) << 10)

static void
settle(struct vmt_region *piece, enum vmt_class_id class)
{
	piece->class = class;
	piece->open = false;
}

static bool
is_thread_stack(const struct vmt_region *piece)
{
	return piece->class == VMT_CLASS_THREAD_STACKS || piece->class == VMT_CLASS_ENDED_STACKS ||
	       (piece->class == VMT_CLASS_GO_STACKS && !piece->tracked);
}

/* Just below a thread's stack: a PROT_NONE mapping, or the little that begins the stack's own one
 * and was never used (glibc 2.42 guards by MADV_GUARD_INSTALL). */
static bool
is_guard(const struct vmt_region *piece, const struct vmt_region *stack)
{
	if (!piece->open || !is_thread_stack(stack) || piece->end != stack->start)
		return false;
	if (piece->mapping->protection == PROT_NONE)
		return true;
	return piece->mapping == stack->mapping && piece->start == piece->mapping->start &&
	       piece->end - piece->start <= GUARD_MOST_BYTES &&
	       piece->total.bytes[VMT_AMOUNT_COMMITTED] == 0;
}

static void
find_guards(struct vmt_regions *pieces)
{
	for (size_t i = 0; i + 1 < pieces->count; i++) {
		struct vmt_region *guard = &pieces->items[i];
		const struct vmt_region *stack = &pieces->items[i + 1];

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
is_ended_stack(const struct vmt_region *piece, struct vmt_threads *threads)
{
	const struct vmt_thread_stack *thread = vmt_threads_over_after(threads, piece->end - 1);
	uint64_t bytes = piece->end - piece->start;

	if (!piece->open || piece->has_blocks || !thread || thread->callers ||
	    thread->top != piece->end || thread->descriptor < piece->start)
		return false;
	return thread->asked_bytes && bytes >= thread->asked_bytes &&
	       bytes <= thread->asked_bytes + GUARD_MOST_BYTES;
}

static void
find_ended_stacks(struct vmt_regions *pieces, struct vmt_threads *threads)
{
	for (size_t i = 0; i < pieces->count; i++)
		if (is_ended_stack(&pieces->items[i], threads))
			settle(&pieces->items[i], VMT_CLASS_ENDED_STACKS);
}

/* What a fresh image has before its first event is the loader's (thread-local storage, link maps).
 * A fork child's may be anything that its parent had: here is what an allocator has gone on with.
 */
static void
settle_present(struct vmt_regions *pieces, bool forked)
{
	for (size_t i = 0; i < pieces->count; i++) {
		struct vmt_region *piece = &pieces->items[i];

		if (piece->open && piece->present)
			settle(piece, forked ? VMT_CLASS_MALLOC_RETAINED : VMT_CLASS_PROGRAM);
	}
}

/* The rest of a data segment, past the end of its file. */
static bool
is_bss(const struct vmt_region *data, const struct vmt_region *piece)
{
	return piece->open && data->end == piece->start && !data->tracked &&
	       (data->mapping->protection & PROT_WRITE) && data->mapping->inode &&
	       data->mapping->protection == piece->mapping->protection &&
	       (data->class == VMT_CLASS_PROGRAM || data->class == VMT_CLASS_TRACER);
}

static void
find_bss(struct vmt_regions *pieces)
{
	for (size_t i = 1; i < pieces->count; i++)
		if (is_bss(&pieces->items[i - 1], &pieces->items[i]))
			settle(&pieces->items[i], pieces->items[i - 1].class);
}

/* Which of the parent's memory was live is in its parent's trace alone. */
static void
find_inherited(struct vmt_regions *pieces)
{
	for (size_t i = 0; i < pieces->count; i++) {
		struct vmt_region *piece = &pieces->items[i];

		if (piece->open && piece->inherited &&
		    (i == 0 || !is_bss(&pieces->items[i - 1], piece)))
			settle(piece, VMT_CLASS_INHERITED);
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
is_counted(const struct vmt_region *piece)
{
	if (piece->site == VMT_SITE_NONE)
		return false;
	return !piece->thread || (piece->thread->descriptor >= piece->start &&
				  piece->thread->descriptor < piece->end);
}

/* Live calls of a site: those of which some page is still mapped. */
static int
count_live_calls(const struct vmt_regions *pieces, struct vmt_replay *replay)
{
	const struct vmt_region **owned = calloc(pieces->count + 1, sizeof(struct vmt_region *));
	size_t count = 0;

	if (!owned)
		return -ENOMEM;
	for (size_t i = 0; i < pieces->count; i++) {
		const struct vmt_region *piece = &pieces->items[i];

		if (is_counted(piece))
			owned[count++] = piece;
	}
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
add_up_files(struct vmt_attribution *residency, const struct vmt_region *piece)
{
	enum vmt_backing backing = vmt_files_backing(piece->mapping);
	struct vmt_file_reader *file;

	if (!piece->mapping->path_bytes ||
	    (backing != VMT_BACKING_FILE && backing != VMT_BACKING_SHARED))
		return;
	file = vmt_files_find(residency->files, piece->mapping->path, piece->mapping->path_bytes);
	assert(file);
	file->class = piece->class;
	file->reserved_bytes += piece->total.bytes[VMT_AMOUNT_RESERVED];
	file->committed_bytes += piece->total.bytes[VMT_AMOUNT_COMMITTED];
	residency->file_bytes += piece->total.bytes[VMT_AMOUNT_COMMITTED];
}

static void
add_up(struct vmt_attribution *residency, const struct vmt_regions *pieces)
{
	struct vmt_amounts sum = {{0}};

	for (size_t i = 0; i < pieces->count; i++) {
		const struct vmt_region *piece = &pieces->items[i];

		for (int j = 0; j < VMT_AMOUNTS; j++)
			residency->total.bytes[j] += piece->total.bytes[j];
		add_up_files(residency, piece);
	}
	for (int i = 0; i < VMT_CLASSES; i++)
		for (int j = 0; j < VMT_AMOUNTS; j++)
			sum.bytes[j] += residency->classes[i].bytes[j];
	for (int j = 0; j < VMT_AMOUNTS; j++)
		assert(sum.bytes[j] == residency->total.bytes[j]);
}

/* A thread's stack is as large as the snapshot shows it, with its guard; none, where it lies in
 * memory that another call owns. */
static void
measure_stacks(const struct vmt_regions *pieces, struct vmt_replay *replay)
{
	size_t count;
	struct vmt_thread_stack *threads = vmt_threads_owners(replay->threads, &count);

	for (size_t i = 0; i < count; i++)
		threads[i].held_bytes = 0;
	for (size_t i = 0; i < pieces->count; i++)
		if (pieces->items[i].thread)
			pieces->items[i].thread->held_bytes +=
			    pieces->items[i].end - pieces->items[i].start;
}

/* Events tell what was asked for, of a thread's stack, or found, before the start. What of it is
 * these rows' is known now: so much was reserved as is here, and was released before. */
static void
settle_totals(const struct vmt_regions *pieces, struct vmt_replay *replay)
{
	measure_stacks(pieces, replay);
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

/* Without a word of blocks nobody can tell what of an allocator's memory is live. */
static void
leave_open(struct vmt_regions *pieces)
{
	for (size_t i = 0; i < pieces->count; i++)
		if (pieces->items[i].class == VMT_CLASS_MALLOC_RETAINED)
			pieces->items[i].class = VMT_CLASS_MALLOC;
}

/* Below a mapping that grows down lies what it has grown by, without a call: it reserved that too.
 */
static void
find_grown(struct vmt_regions *pieces, struct vmt_replay *replay)
{
	for (size_t i = pieces->count; i-- > 1;) {
		const struct vmt_region *above = &pieces->items[i];
		struct vmt_region *piece = &pieces->items[i - 1];
		struct vmt_site_entry *entry;

		if (!above->grows_down || !piece->open || piece->end != above->start)
			continue;
		settle(piece, above->class);
		piece->site = above->site;
		piece->call = above->call;
		piece->tracked = piece->grows_down = true;
		entry = vmt_sites_get(replay->sites, piece->site);
		entry->exact[VMT_FIGURE_TOTAL_RESERVED] += piece->end - piece->start;
		if (entry->exact[VMT_FIGURE_HELD_BEFORE])
			entry->exact[VMT_FIGURE_HELD_BEFORE] += piece->end - piece->start;
	}
}

/* Stacks that a pthread_create still works on. */
static void
find_new_stacks(struct vmt_regions *pieces, const struct vmt_unfinished_calls *calls)
{
	for (size_t i = 0; i < pieces->count; i++)
		if (vmt_unfinished_calls_has_stack(calls, pieces->items[i].start))
			settle(&pieces->items[i], VMT_CLASS_THREAD_STACKS);
}

static int
join(struct vmt_attribution *residency, struct vmt_regions *pieces,
     const struct vmt_regions_input *input)
{
	int status = vmt_regions_name_files(input);
	bool known;

	if (!status)
		status = vmt_regions_cut(pieces, input);
	if (status)
		return status;
	find_grown(pieces, input->replay);
	find_new_stacks(pieces, input->replay->under_way);
	find_inherited(pieces);
	vmt_heap_pages_own(pieces, input->replay, input->resident);
	vmt_heap_pages_find_arenas(pieces);
	find_ended_stacks(pieces, input->replay->threads);
	find_guards(pieces);
	known = input->allocators && vmt_allocators_name(input->allocators);
	if (known)
		vmt_heap_pages_find_early(pieces);
	settle_present(pieces, residency->forked);
	find_bss(pieces);
	residency->foreign_allocator = vmt_heap_pages_find_foreign(pieces, known);
	if (input->blocks_unseen)
		leave_open(pieces);
	residency->is_split =
	    !residency->foreign_allocator && !residency->forked && !input->blocks_unseen;
	if (residency->is_split &&
	    vmt_retained_split(&residency->retained, pieces, input->replay, input->resident))
		return -ENOMEM;
	vmt_heap_pages_tally(pieces, input->replay, residency->classes);
	vmt_advice_tally_add(input->replay->advised, pieces, input->replay->sites, input->resident);
	add_up(residency, pieces);
	settle_totals(pieces, input->replay);
	return count_live_calls(pieces, input->replay);
}

int
vmt_attribution_join(struct vmt_attribution *residency, const struct vmt_snapshot *snapshot,
		     struct vmt_replay *replay, const struct vmt_attribution_options *options)
{
	struct vmt_regions pieces = {0};
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

	*residency = (struct vmt_attribution){.files = vmt_files_new(), .forked = replay->forked};
	input.files = residency->files;
	status = residency->files ? 0 : -ENOMEM;
	if (!status)
		status = vmt_resident_open(&resident, snapshot->runs, snapshot->head.runs);
	if (!status)
		status = vmt_unfinished_calls_lend(replay, snapshot);
	if (!status)
		status = join(residency, &pieces, &input);
	if (vmt_unfinished_calls_take_back(replay) && !status)
		status = -ENOMEM;
	vmt_regions_clear(&pieces);
	vmt_resident_close(&resident);
	return status;
}

void
vmt_attribution_free(struct vmt_attribution *residency)
{
	vmt_files_free(residency->files);
	*residency = (struct vmt_attribution){0};
}
