#include "tools/model/tree/tree_moment.h"

#include <stdlib.h>
#include <string.h>

/* RSS that differs by less is as much. */
#define SAME_PART 128u

/* A process has another RSS from a time on; 0 from its end on. One without a trace comes or goes.
 */
struct change {
	size_t family;
	int64_t time_ns;
	size_t process; /* VMT_TREE_NONE: without a trace */
	uint64_t rss_bytes;
	bool goes;
};

static int
compare_changes(const void *left, const void *right)
{
	const struct change *a = left;
	const struct change *b = right;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return a->process < b->process ? -1 : a->process > b->process;
}

static size_t
list_untraced(const struct vmt_tree_process *process, struct change *changes)
{
	struct change change = {.family = process->tree, .process = VMT_TREE_NONE};
	size_t count = 0;

	for (size_t i = 0; i < process->untraced_count; i++) {
		const struct vmt_tree_span *span = &process->untraced[i];

		change.rss_bytes = span->private_bytes;
		change.time_ns = span->start_ns;
		change.goes = false;
		changes[count++] = change;
		change.time_ns = span->end_ns < span->start_ns ? span->start_ns : span->end_ns;
		change.goes = true;
		changes[count++] = change;
	}
	return count;
}

static size_t
list_changes(const struct vmt_tree *tree, struct change *changes)
{
	size_t count = 0;

	for (size_t i = 0; i < tree->count; i++) {
		const struct vmt_tree_process *process = &tree->processes[i];
		struct change change = {.family = process->tree, .process = i};

		for (size_t j = 0; j < process->point_count; j++) {
			change.time_ns = process->points[j].time_ns;
			change.rss_bytes = process->points[j].rss_bytes;
			changes[count++] = change;
		}
		/* Behind its last point: a process that is killed has its peak there. */
		change.time_ns = process->end_ns;
		change.rss_bytes = 0;
		changes[count++] = change;
		count += list_untraced(process, &changes[count]);
	}
	return count;
}

/* Pages that are copied after a fork do not move RSS: while RSS stays where it is most, and nobody
 * comes or goes, the later time has more in RAM. */
static bool
is_as_much(const struct vmt_tree_family *family, const struct vmt_tree_sums *sums,
	   uint64_t weight_bytes)
{
	return sums->changes == family->peak_changes && sums->untraced_bytes == 0 &&
	       weight_bytes + weight_bytes / SAME_PART >= family->weight_bytes;
}

static int64_t
wanted_ns(const struct vmt_tree *tree, const struct vmt_tree_family *family)
{
	int64_t start_ns = tree->processes[family->root].start_ns;

	return tree->at_time_ns < INT64_MAX - 1 - start_ns ? start_ns + tree->at_time_ns
							   : INT64_MAX - 1;
}

/* Of a moment that is not to be found by what there was most. */
static void
take_until(void *context, size_t number, int64_t time_ns, const struct vmt_tree_sums *sums)
{
	const struct vmt_tree *tree = context;
	struct vmt_tree_family *family = &tree->families[number];

	if (tree->at == VMT_TREE_AT_TIME) {
		family->moment_ns = wanted_ns(tree, family);
		if (time_ns <= family->moment_ns)
			family->moment_rss_bytes = sums->rss_bytes;
	} else if (time_ns != INT64_MAX && sums->rss_bytes > 0) {
		family->moment_ns = time_ns;
		family->moment_rss_bytes = sums->rss_bytes;
	}
}

static void
take_change(void *context, size_t number, int64_t time_ns, const struct vmt_tree_sums *sums)
{
	struct vmt_tree_family *family = &((struct vmt_tree *)context)->families[number];
	uint64_t weight_bytes = sums->rss_bytes + sums->untraced_bytes;
	bool is_newer = family->is_live && time_ns != INT64_MAX;

	if (!is_newer && weight_bytes <= family->weight_bytes &&
	    !is_as_much(family, sums, weight_bytes))
		return;
	if (is_newer || weight_bytes > family->weight_bytes)
		family->weight_bytes = weight_bytes;
	family->peak_changes = sums->changes;
	family->moment_rss_bytes = sums->rss_bytes;
	family->moment_ns = time_ns;
}

/* Changes of one time are one step. */
static void
sweep(const struct change *changes, size_t count, uint64_t *rss_bytes, vmt_tree_step *step,
      void *context)
{
	struct vmt_tree_sums sums = {0};

	for (size_t i = 0; i < count; i++) {
		const struct change *change = &changes[i];
		bool is_last = i + 1 == count || change[1].family != change->family;

		if (change->process == VMT_TREE_NONE) {
			sums.untraced_bytes +=
			    change->goes ? 0 - change->rss_bytes : change->rss_bytes;
		} else {
			sums.changes += rss_bytes[change->process] == 0 || change->rss_bytes == 0;
			sums.rss_bytes -= rss_bytes[change->process];
			rss_bytes[change->process] = change->rss_bytes;
			sums.rss_bytes += change->rss_bytes;
		}
		if (is_last || change[1].time_ns != change->time_ns)
			step(context, change->family, change->time_ns, &sums);
		if (is_last)
			sums = (struct vmt_tree_sums){0};
	}
}

bool
vmt_tree_moment_sweep(const struct vmt_tree *tree, vmt_tree_step *step, void *context)
{
	size_t room = tree->count;
	struct change *changes;
	uint64_t *rss_bytes = calloc(tree->count ? tree->count : 1, sizeof(*rss_bytes));

	for (size_t i = 0; i < tree->count; i++)
		room += tree->processes[i].point_count + 2 * tree->processes[i].untraced_count;
	changes = calloc(room ? room : 1, sizeof(*changes));
	if (changes && rss_bytes) {
		room = list_changes(tree, changes);
		qsort(changes, room, sizeof(*changes), compare_changes);
		sweep(changes, room, rss_bytes, step, context);
	}
	free(rss_bytes);
	free(changes);
	return changes && rss_bytes;
}

static void
mark_live(struct vmt_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (strcmp(tree->processes[i].end, "running") == 0 ||
		    tree->processes[i].is_snapshot)
			tree->families[tree->processes[i].tree].is_live = true;
}

/* Points are in order of time. */
static bool
is_read(const struct vmt_tree_process *process, int64_t moment_ns)
{
	return process->point_count > 0 && process->points[0].time_ns <= moment_ns;
}

/* Who was there. An image that was replaced is gone from the start of the next one on. */
static void
mark_there(struct vmt_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct vmt_tree_process *process = &tree->processes[i];
		int64_t moment_ns = tree->families[process->tree].moment_ns;

		process->is_there = process->start_ns <= moment_ns && moment_ns < process->end_ns;
	}
	for (size_t i = 0; i < tree->count; i++) {
		const struct vmt_tree_process *process = &tree->processes[i];

		if (process->origin == VMT_TREE_EXEC && process->is_there)
			tree->processes[process->parent].is_there = false;
	}
	for (size_t i = 0; i < tree->count; i++) {
		const struct vmt_tree_process *process = &tree->processes[i];
		struct vmt_tree_family *family = &tree->families[process->tree];

		family->there += process->is_there;
		family->unread += process->is_there && !is_read(process, family->moment_ns);
	}
}

bool
vmt_tree_moment_find(struct vmt_tree *tree)
{
	bool is_largest = tree->at == VMT_TREE_AT_DEFAULT || tree->at == VMT_TREE_AT_PEAK;

	if (tree->at == VMT_TREE_AT_DEFAULT || tree->at == VMT_TREE_AT_END)
		mark_live(tree);
	if (!vmt_tree_moment_sweep(tree, is_largest ? take_change : take_until, tree))
		return false;
	mark_there(tree);
	return true;
}
