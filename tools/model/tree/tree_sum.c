#include "tools/model/tree/tree_sum.h"

#include "format/codec.h"
#include "tools/model/tree/tree_calm.h"
#include "tools/model/tree/tree_pages.h"
#include "tools/model/tree/tree_untraced.h"
#include "tools/read/trace/snapshot_decode.h"
#include "tools/read/trace/trace.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A snapshot without Pss must be nearer than one with it by more than half, and by this. */
#define NEARER_NS INT64_C(100000000)
/* Forks and writes change what is shared, and not RSS: snapshots that are further from the moment
 * give an estimate. */
#define EXACT_NS INT64_C(1000000000)
/* How far the snapshots' RSS may be from what was read at the moment: one part of so many. */
#define SLACK_PART 100u

/* The snapshot that stands for a process at the moment. */
struct choice {
	bool is_there;
	struct vmt_snapshot_head head;
	size_t chunk;
	int64_t distance_ns; /* a quarter of it, so that its double is a number */
};

/* The nearest, and the nearest with Pss between which and the moment nobody came or went. */
struct choices {
	struct choice nearest;
	struct choice calm;
};

/* One family's processes, and its sums as they grow. */
struct adding {
	struct vmt_tree *tree;
	struct vmt_tree_family *family;
	const size_t *members;
	size_t count;
	struct vmt_tree_pages *pages;
	struct vmt_tree_kin *kin;
	struct vmt_tree_calm calm;
	uint64_t proportional_anonymous_bytes; /* Pss of all private pages */
	int64_t first_ns;		       /* the earliest of the snapshots and the moment */
	int64_t last_ns;
	bool knows_shares;
	bool knows_proportion;
	bool knows_pages;
	bool is_coarse;
};

static bool
is_known(uint64_t figure)
{
	return figure != VMT_FIGURE_UNKNOWN;
}

static bool
is_far(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) > b / SLACK_PART;
}

static void
add_figure(uint64_t *sum, uint64_t figure)
{
	if (is_known(*sum))
		*sum = is_known(figure) ? *sum + figure : VMT_FIGURE_UNKNOWN;
}

static int64_t
monotonic(const struct vmt_snapshot_head *head)
{
	return (int64_t)(head->monotonic_ns & INT64_MAX);
}

static int64_t
distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

static bool
has_proportion(const struct vmt_snapshot_head *head)
{
	return is_known(head->proportional_anonymous_bytes) &&
	       is_known(head->kernel.proportional_bytes);
}

static bool
is_better(const struct choice *one, const struct choice *best)
{
	bool has = has_proportion(&one->head);

	if (!best->is_there || has == has_proportion(&best->head))
		return !best->is_there || one->distance_ns < best->distance_ns;
	if (has)
		return one->distance_ns <= 2 * best->distance_ns + NEARER_NS / 4;
	return best->distance_ns > 2 * one->distance_ns + NEARER_NS / 4;
}

static void
take_choice(struct choices *best, const struct choice *one, const struct vmt_tree_calm *calm)
{
	int64_t time_ns = monotonic(&one->head);

	if (is_better(one, &best->nearest))
		best->nearest = *one;
	if (has_proportion(&one->head) && time_ns >= calm->from_ns && time_ns <= calm->to_ns &&
	    is_better(one, &best->calm))
		best->calm = *one;
}

static void
choose(struct choices *best, struct vmt_trace *trace, int64_t moment_ns,
       const struct vmt_tree_calm *calm)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	for (size_t i = 0; i < count; i++) {
		struct choice one = {.is_there = true, .chunk = i};
		struct vmt_err err = {""};
		const unsigned char *bytes;
		size_t length;

		if (chunks[i].header.kind != VMT_CHUNK_SNAPSHOT ||
		    vmt_trace_payload(trace, &chunks[i], &bytes, &length, &err) < 0 ||
		    vmt_codec_get_snapshot_head(&chunks[i].header, bytes, length, &one.head) == 0 ||
		    one.head.source == VMT_RESIDENCY_NONE)
			continue;
		one.distance_ns = distance(monotonic(&one.head), moment_ns) / 4;
		take_choice(best, &one, calm);
	}
}

/* NULL where the trace can't be read any more, or another has taken its place. */
static struct vmt_trace *
open_again(const struct vmt_tree_process *process)
{
	struct vmt_err err = {""};
	struct vmt_trace *trace;

	if (vmt_trace_open_without_stacks(&trace, process->path, &err) < 0)
		return NULL;
	if (vmt_trace_head(trace)->random_id == process->random_id)
		return trace;
	vmt_trace_close(trace);
	return NULL;
}

static void
take_figures(struct vmt_tree_process *process, const struct vmt_snapshot_head *head)
{
	struct vmt_tree_figures *at = &process->at;

	at->time_ns = monotonic(head);
	at->rss_bytes = vmt_tree_figure(head->resident_bytes);
	at->swap_bytes = vmt_tree_figure(head->swap_bytes);
	at->proportional_bytes = vmt_tree_figure(head->kernel.proportional_bytes);
	at->private_bytes = at->shared_bytes = VMT_FIGURE_UNKNOWN;
	if (is_known(head->shared_rss_bytes) && head->shared_rss_bytes <= head->resident_bytes) {
		at->shared_bytes = vmt_tree_figure(head->shared_rss_bytes);
		at->private_bytes = at->rss_bytes - at->shared_bytes;
	} else if (is_known(head->kernel.private_bytes)) {
		at->private_bytes = vmt_tree_figure(head->kernel.private_bytes);
		at->shared_bytes = vmt_tree_figure(head->kernel.shared_bytes);
	}
}

static void
add_choice(struct adding *adding, struct vmt_tree_process *process, const struct choice *choice)
{
	struct vmt_tree_sum *sum = &adding->family->sum;
	const struct vmt_tree_figures *at = &process->at;

	process->has_snapshot = true;
	process->chunk = choice->chunk;
	take_figures(process, &choice->head);
	if (at->time_ns < adding->first_ns)
		adding->first_ns = at->time_ns;
	if (at->time_ns > adding->last_ns)
		adding->last_ns = at->time_ns;
	sum->rss_bytes += at->rss_bytes;
	add_figure(&sum->private_bytes, at->private_bytes);
	add_figure(&sum->proportional_bytes, at->proportional_bytes);
	adding->knows_shares &= is_known(choice->head.shared_rss_bytes);
	adding->knows_pages &= choice->head.source != VMT_RESIDENCY_MINCORE;
	adding->knows_proportion &= has_proportion(&choice->head);
	if (has_proportion(&choice->head))
		adding->proportional_anonymous_bytes +=
		    vmt_tree_figure(choice->head.proportional_anonymous_bytes);
}

/* Those of one calm time tell who shares what, if each process has one, and they have the RSS that
 * was read at the moment. */
static bool
are_calm(const struct adding *adding, const struct choices *choices)
{
	uint64_t rss_bytes = 0;

	for (size_t i = 0; i < adding->count; i++) {
		if (!adding->tree->processes[adding->members[i]].is_there)
			continue;
		if (!choices[i].calm.is_there)
			return false;
		rss_bytes += vmt_tree_figure(choices[i].calm.head.resident_bytes);
	}
	return !is_far(rss_bytes, adding->family->moment_rss_bytes);
}

static void
take_choices(struct adding *adding, const struct choices *choices)
{
	struct vmt_tree_family *family = adding->family;
	bool calm = are_calm(adding, choices);

	adding->first_ns = adding->last_ns = family->moment_ns;
	for (size_t i = 0; i < adding->count; i++) {
		struct vmt_tree_process *process = &adding->tree->processes[adding->members[i]];
		const struct choice *choice = calm ? &choices[i].calm : &choices[i].nearest;

		if (choice->is_there)
			add_choice(adding, process, choice);
		else
			family->unseen += process->is_there;
	}
}

static void
choose_one(struct choices *best, const struct adding *adding,
	   const struct vmt_tree_process *process)
{
	const struct vmt_tree_watcher *watcher = &adding->tree->watcher;
	struct vmt_trace *trace;

	if (!vmt_tree_watcher_begin(watcher, process->path))
		return;
	trace = open_again(process);
	if (trace)
		choose(best, trace, adding->family->moment_ns, &adding->calm);
	vmt_trace_close(trace);
	vmt_tree_watcher_end(watcher);
}

static bool
choose_all(struct adding *adding)
{
	struct vmt_tree_family *family = adding->family;
	struct choices *choices = calloc(adding->count + 1, sizeof(*choices));

	if (!choices)
		return false;
	adding->calm = vmt_tree_calm_find(adding->tree, family, adding->members, adding->count);
	for (size_t i = 0; i < adding->count; i++) {
		struct vmt_tree_process *process = &adding->tree->processes[adding->members[i]];

		if (process->is_there)
			choose_one(&choices[i], adding, process);
	}
	take_choices(adding, choices);
	free(choices);
	family->skew_ns = adding->last_ns - family->moment_ns;
	if (family->moment_ns - adding->first_ns > family->skew_ns)
		family->skew_ns = family->moment_ns - adding->first_ns;
	return true;
}

static bool
add_pages(struct adding *adding, const struct vmt_tree_process *process)
{
	struct vmt_trace *trace = open_again(process);
	struct vmt_snapshot snapshot;
	struct vmt_err err = {""};
	const struct vmt_trace_chunk *chunks;
	size_t count;
	bool done;

	if (!trace)
		return false;
	chunks = vmt_trace_chunks(trace, &count);
	done = process->chunk < count && chunks[process->chunk].header.kind == VMT_CHUNK_SNAPSHOT &&
	       vmt_snapshot_decode(&snapshot, trace, &chunks[process->chunk], &err) == 0;
	vmt_trace_close(trace);
	if (!done)
		return false;
	adding->is_coarse |= snapshot.coarse;
	done = vmt_tree_pages_add(adding->pages, &snapshot, process->is_apart);
	vmt_snapshot_decode_free(&snapshot);
	return done;
}

static bool
read_pages(struct adding *adding, const struct vmt_tree_process *process)
{
	const struct vmt_tree_watcher *watcher = &adding->tree->watcher;
	bool done;

	if (!vmt_tree_watcher_begin(watcher, process->path))
		return false;
	done = add_pages(adding, process);
	vmt_tree_watcher_end(watcher);
	return done;
}

static bool
has_untraced(const struct vmt_tree_family *family)
{
	return family->untraced.there > 0 || family->untraced.brief > 0;
}

static void
sum_pages(struct adding *adding)
{
	struct vmt_tree_sum *sum = &adding->family->sum;
	struct vmt_tree_page_sums pages;
	bool is_exact = adding->knows_proportion && !sum->is_apart;

	sum->is_estimate = adding->is_coarse || !is_exact || adding->family->unseen > 0 ||
			   has_untraced(adding->family) || adding->family->skew_ns > EXACT_NS ||
			   is_far(sum->rss_bytes, adding->family->moment_rss_bytes);
	sum->is_least =
	    adding->family->unseen > 0 || has_untraced(adding->family) || sum->is_short ||
	    (sum->is_estimate && vmt_tree_calm_may_have_copied(adding->tree, adding->family,
							       adding->members, adding->count));
	if (!adding->knows_pages || !(adding->knows_shares || is_exact))
		return;
	vmt_tree_pages_sum(adding->pages, &pages);
	sum->once_bytes = pages.file_bytes +
			  (is_exact ? adding->proportional_anonymous_bytes : pages.anonymous_bytes);
	if (is_exact)
		sum->outside_bytes = sum->once_bytes > sum->proportional_bytes
					 ? sum->once_bytes - sum->proportional_bytes
					 : 0;
}

/* Of one process alone no pages need to be looked at. */
static bool
sum_family(struct adding *adding)
{
	struct vmt_tree *tree = adding->tree;
	struct vmt_tree_sum *sum = &adding->family->sum;

	vmt_tree_pages_clear(adding->pages);
	if (!vmt_tree_untraced_count(tree, adding->family, adding->members, adding->count) ||
	    !choose_all(adding))
		return false;
	sum->once_bytes = sum->outside_bytes = VMT_FIGURE_UNKNOWN;
	if (adding->count < 2)
		return true;
	sum->is_short = sum->rss_bytes < adding->family->moment_rss_bytes &&
			is_far(sum->rss_bytes, adding->family->moment_rss_bytes);
	sum->is_apart = vmt_tree_calm_is_broken(tree, adding->members, adding->count,
						adding->first_ns, adding->last_ns);
	vmt_tree_calm_mark_apart(tree, adding->kin, adding->members, adding->count);
	for (size_t i = 0; i < adding->count && adding->knows_pages; i++)
		if (tree->processes[adding->members[i]].has_snapshot)
			adding->knows_pages =
			    read_pages(adding, &tree->processes[adding->members[i]]);
	sum_pages(adding);
	return true;
}

/* Processes by family; first[f] is where those of a family begin. */
static void
list_members(const struct vmt_tree *tree, size_t *members, size_t *first)
{
	for (size_t i = 0; i < tree->count; i++)
		first[tree->processes[i].tree + 1]++;
	for (size_t i = 0; i < tree->family_count; i++)
		first[i + 1] += first[i];
	/* first[f + 1] goes down to where f begins, and so becomes first[f]. */
	for (size_t i = tree->count; i-- > 0;)
		members[--first[tree->processes[i].tree + 1]] = i;
	for (size_t i = 0; i < tree->family_count; i++)
		first[i] = first[i + 1];
	first[tree->family_count] = tree->count;
}

int
vmt_tree_sum_fill(struct vmt_tree *tree, struct vmt_err *err)
{
	size_t *members = calloc(tree->count + 1, sizeof(*members));
	size_t *first = calloc(tree->family_count + 1, sizeof(*first));
	struct vmt_tree_pages *pages = vmt_tree_pages_new();
	struct vmt_tree_kin *kin = vmt_tree_calm_kin(tree);
	bool has_memory = members && first && pages && kin;

	if (has_memory)
		list_members(tree, members, first);
	for (size_t i = 0; has_memory && i < tree->family_count; i++) {
		struct adding adding = {.tree = tree,
					.family = &tree->families[i],
					.members = &members[first[i]],
					.count = first[i + 1] - first[i],
					.pages = pages,
					.kin = kin,
					.knows_shares = true,
					.knows_proportion = true,
					.knows_pages = true};

		has_memory = sum_family(&adding);
	}
	vmt_tree_pages_free(pages);
	free(kin);
	free(members);
	free(first);
	return has_memory ? 0 : vmt_err_set(err, ENOMEM, "out of memory for the sum of a tree");
}
