#include "tools/model/residency.h"

#include "tools/model/advised.h"
#include "tools/model/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static void
settle(struct vmt_piece *piece, enum vmt_class_id class)
{
	piece->class = class;
	piece->open = false;
}

static bool
is_thread_stack(const struct vmt_piece *piece)
{
	return piece->class == VMT_CLASS_THREAD_STACKS ||
	       (piece->class == VMT_CLASS_GO_STACKS && !piece->tracked);
}

/* The PROT_NONE mapping just below a thread's stack is its guard. */
static void
find_guards(struct vmt_pieces *pieces)
{
	for (size_t i = 0; i + 1 < pieces->count; i++) {
		struct vmt_piece *guard = &pieces->items[i];
		const struct vmt_piece *stack = &pieces->items[i + 1];

		if (!guard->open || guard->mapping->protection != PROT_NONE ||
		    !is_thread_stack(stack) || guard->end != stack->start)
			continue;
		settle(guard, stack->class);
		guard->site = stack->site;
		guard->call = 0;
	}
}

/* What a fresh image has before its first event is the loader's (thread-local storage, link maps);
 * a fork child's may be anything that its parent had. */
static void
settle_present(struct vmt_pieces *pieces, bool forked)
{
	for (size_t i = 0; i < pieces->count; i++) {
		struct vmt_piece *piece = &pieces->items[i];

		if (piece->open && piece->present)
			settle(piece, forked ? VMT_CLASS_MMAP : VMT_CLASS_PROGRAM);
	}
}

/* The rest of a data segment, past the end of its file. */
static void
find_bss(struct vmt_pieces *pieces)
{
	for (size_t i = 1; i < pieces->count; i++) {
		const struct vmt_piece *data = &pieces->items[i - 1];
		struct vmt_piece *bss = &pieces->items[i];

		if (!bss->open || data->end != bss->start || data->tracked ||
		    !(data->mapping->protection & PROT_WRITE) || !data->mapping->inode ||
		    data->mapping->protection != bss->mapping->protection)
			continue;
		if (data->class == VMT_CLASS_PROGRAM || data->class == VMT_CLASS_TRACER)
			settle(bss, data->class);
	}
}

static int
compare_calls(const void *left, const void *right)
{
	const struct vmt_piece *const *a = left;
	const struct vmt_piece *const *b = right;

	return ((*a)->call > (*b)->call) - ((*a)->call < (*b)->call);
}

/* Live calls of a site: those of which some page is still mapped. A thread's stack is one, without
 * its guard. */
static int
count_live_calls(const struct vmt_pieces *pieces, struct vmt_replay *replay)
{
	const struct vmt_piece **owned = calloc(pieces->count + 1, sizeof(struct vmt_piece *));
	size_t count = 0;

	if (!owned)
		return -ENOMEM;
	for (size_t i = 0; i < pieces->count; i++) {
		const struct vmt_piece *piece = &pieces->items[i];

		if (piece->site != VMT_SITE_NONE && (piece->call || piece->mapping->protection))
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
add_up_files(struct vmt_residency *residency, const struct vmt_piece *piece)
{
	enum vmt_backing backing = vmt_files_backing(piece->mapping);
	struct vmt_file *file;

	if (!piece->mapping->path_bytes ||
	    (backing != VMT_BACKING_FILE && backing != VMT_BACKING_SHARED))
		return;
	file = vmt_files_find(residency->files, piece->mapping->path, piece->mapping->path_bytes);
	assert(file);
	file->reserved_bytes += piece->total.bytes[VMT_AMOUNT_RESERVED];
	file->committed_bytes += piece->total.bytes[VMT_AMOUNT_COMMITTED];
	residency->file_bytes += piece->total.bytes[VMT_AMOUNT_COMMITTED];
}

static void
add_up(struct vmt_residency *residency, const struct vmt_pieces *pieces)
{
	struct vmt_amounts sum = {{0}};

	for (size_t i = 0; i < pieces->count; i++) {
		const struct vmt_piece *piece = &pieces->items[i];

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

static int
join(struct vmt_residency *residency, struct vmt_pieces *pieces,
     const struct vmt_pieces_input *input)
{
	int status = vmt_pieces_name_files(input);

	if (!status)
		status = vmt_pieces_cut(pieces, input);
	if (status)
		return status;
	vmt_heap_own(pieces, input->replay, input->resident);
	vmt_heap_find_arenas(pieces);
	find_guards(pieces);
	settle_present(pieces, residency->forked);
	find_bss(pieces);
	residency->foreign_allocator = vmt_heap_find_foreign(pieces);
	vmt_heap_tally(pieces, input->replay, residency->classes);
	vmt_advised_tally(input->replay->advised, pieces, input->replay->sites, input->resident);
	add_up(residency, pieces);
	return count_live_calls(pieces, input->replay);
}

int
vmt_residency_join(struct vmt_residency *residency, const struct vmt_snapshot *snapshot,
		   struct vmt_replay *replay, const struct vmt_residency_options *options)
{
	struct vmt_pieces pieces = {0};
	struct vmt_resident resident = {0};
	struct vmt_pieces_input input = {
	    .snapshot = snapshot,
	    .replay = replay,
	    .resident = &resident,
	    .tracer_address = options->tracer_address,
	    .trace_name = options->trace_name,
	    .trace_bytes = options->trace_bytes,
	    .module = options->module,
	    .context = options->context,
	    .go_owners = options->go_owners,
	};
	int status;

	*residency = (struct vmt_residency){.files = vmt_files_new(), .forked = replay->forked};
	input.files = residency->files;
	status = residency->files ? 0 : -ENOMEM;
	if (!status)
		status = vmt_resident_open(&resident, snapshot->runs, snapshot->head.runs);
	if (!status)
		status = join(residency, &pieces, &input);
	vmt_pieces_clear(&pieces);
	vmt_resident_close(&resident);
	return status;
}

void
vmt_residency_free(struct vmt_residency *residency)
{
	vmt_files_free(residency->files);
	*residency = (struct vmt_residency){0};
}
