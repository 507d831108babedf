#include "tools/model/tree/tree_moment.h"

#include <stdlib.h>
#include <string.h>

/* A process has another RSS from a time on; 0 from its end on. */
struct change {
	size_t family;
	int64_t time_ns;
	size_t process;
	uint64_t rss_bytes;
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
	}
	return count;
}

static void
take_change(struct vmt_tree_family *family, uint64_t sum_bytes, int64_t time_ns)
{
	bool is_newer = family->is_live && time_ns != INT64_MAX;

	if (is_newer || sum_bytes > family->moment_rss_bytes) {
		family->moment_rss_bytes = sum_bytes;
		family->moment_ns = time_ns;
	}
}

/* Changes of one time are one step. */
static void
sweep(struct vmt_tree *tree, const struct change *changes, size_t count, uint64_t *rss_bytes)
{
	uint64_t sum_bytes = 0;

	for (size_t i = 0; i < count; i++) {
		const struct change *change = &changes[i];
		bool is_last = i + 1 == count || change[1].family != change->family;

		sum_bytes -= rss_bytes[change->process];
		rss_bytes[change->process] = change->rss_bytes;
		sum_bytes += change->rss_bytes;
		if (is_last || change[1].time_ns != change->time_ns)
			take_change(&tree->families[change->family], sum_bytes, change->time_ns);
		if (is_last)
			sum_bytes = 0;
	}
}

static void
mark_live(struct vmt_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (strcmp(tree->processes[i].end, "running") == 0)
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
	size_t room = tree->count;
	struct change *changes;
	uint64_t *rss_bytes = calloc(tree->count ? tree->count : 1, sizeof(*rss_bytes));

	for (size_t i = 0; i < tree->count; i++)
		room += tree->processes[i].point_count;
	changes = calloc(room ? room : 1, sizeof(*changes));
	if (changes && rss_bytes) {
		mark_live(tree);
		room = list_changes(tree, changes);
		qsort(changes, room, sizeof(*changes), compare_changes);
		sweep(tree, changes, room, rss_bytes);
		mark_there(tree);
	}
	free(rss_bytes);
	free(changes);
	return changes && rss_bytes;
}
