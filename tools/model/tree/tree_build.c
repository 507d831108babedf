#include "tools/model/tree/tree_build.h"

#include "tools/model/tree/tree_groups.h"
#include "tools/model/tree/tree_links.h"
#include "tools/model/tree/tree_moment.h"
#include "tools/model/tree/tree_scan.h"
#include "tools/model/tree/tree_sum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Points of all traces together; each has 16 at least. */
#define ALL_POINTS (UINT64_C(4) << 20)
#define LEAST_POINTS 16u

static size_t
points_of_each(size_t files)
{
	uint64_t points = ALL_POINTS / (files ? files : 1);

	if (points > VMT_TREE_POINTS)
		return VMT_TREE_POINTS;
	return points < LEAST_POINTS ? LEAST_POINTS : (size_t)points;
}

/* Into the next place. */
static int
scan(struct vmt_tree *tree, const struct vmt_tree_file *file, size_t most_points,
     struct vmt_err *err)
{
	int result;

	if (!vmt_tree_watcher_begin(&tree->watcher, file->path))
		return vmt_err_set(err, EAGAIN, "%s: is left out", file->path);
	result =
	    vmt_tree_scan(&tree->processes[tree->count], file->path, file->name, most_points, err);
	vmt_tree_watcher_end(&tree->watcher);
	return result;
}

static int
scan_all(struct vmt_tree *tree, const struct vmt_tree_file *files, size_t count,
	 struct vmt_err *err)
{
	tree->processes = calloc(count + 1, sizeof(*tree->processes));
	if (!tree->processes)
		return vmt_err_set(err, ENOMEM, "out of memory for %zu traces", count);
	for (size_t i = 0; i < count; i++) {
		struct vmt_err why = {""};

		if (scan(tree, &files[i], points_of_each(count), &why) == 0) {
			tree->count++;
			continue;
		}
		if (tree->unreadable++ == 0)
			tree->unreadable_why = strdup(why.text);
	}
	if (tree->count == 0)
		return vmt_err_set(err, EIO, "%s",
				   tree->unreadable_why ? tree->unreadable_why : "no trace");
	return 0;
}

/* Largest first; equals by name. */
static int
compare_processes(const void *left, const void *right)
{
	const struct vmt_tree_process *a = left;
	const struct vmt_tree_process *b = right;

	if (a->peak_rss_bytes != b->peak_rss_bytes)
		return a->peak_rss_bytes < b->peak_rss_bytes ? 1 : -1;
	return strcmp(a->name, b->name);
}

static int
compare_families(const void *left, const void *right)
{
	const struct vmt_tree_family *a = left;
	const struct vmt_tree_family *b = right;

	if (a->moment_rss_bytes != b->moment_rss_bytes)
		return a->moment_rss_bytes < b->moment_rss_bytes ? 1 : -1;
	return a->root < b->root ? -1 : a->root > b->root;
}

/* Puts the largest first, and lets the processes know. */
static bool
sort_families(struct vmt_tree *tree)
{
	size_t *places = calloc(tree->family_count + 1, sizeof(*places));

	if (!places)
		return false;
	qsort(tree->families, tree->family_count, sizeof(*tree->families), compare_families);
	for (size_t i = 0; i < tree->family_count; i++)
		places[tree->processes[tree->families[i].root].tree] = i;
	for (size_t i = 0; i < tree->count; i++)
		tree->processes[i].tree = places[tree->processes[i].tree];
	free(places);
	return true;
}

static bool
make_families(struct vmt_tree *tree)
{
	tree->family_count = vmt_tree_links_find(tree->processes, tree->count);
	if (tree->family_count == SIZE_MAX)
		return false;
	tree->families = calloc(tree->family_count + 1, sizeof(*tree->families));
	if (!tree->families)
		return false;
	for (size_t i = 0; i < tree->count; i++) {
		struct vmt_tree_process *process = &tree->processes[i];

		tree->ambiguous += process->is_ambiguous;
		tree->families[process->tree].traces += process->continued == VMT_TREE_NONE;
		if (process->parent == VMT_TREE_NONE)
			tree->families[process->tree].root = i;
	}
	return vmt_tree_moment_find(tree) && sort_families(tree);
}

static int
build(struct vmt_tree *tree, const struct vmt_tree_file *files, size_t count,
      const struct vmt_tree_options *options, struct vmt_err *err)
{
	int result;

	tree->watcher = options->watcher;
	result = scan_all(tree, files, count, err);
	if (result < 0)
		return result;
	tree->at = options->at;
	tree->at_time_ns = options->at_time_ns;
	qsort(tree->processes, tree->count, sizeof(*tree->processes), compare_processes);
	if (!make_families(tree))
		return vmt_err_set(err, ENOMEM, "out of memory for %zu traces", count);
	result = vmt_tree_sum_fill(tree, err);
	if (result == 0 && !vmt_tree_groups_make(tree, options->group_by))
		result = vmt_err_set(err, ENOMEM, "out of memory for %zu traces", count);
	return result;
}

int
vmt_tree_build(struct vmt_tree **tree, const struct vmt_tree_file *files, size_t count,
	       const struct vmt_tree_options *options, struct vmt_err *err)
{
	int result;

	*tree = calloc(1, sizeof(**tree));
	if (!*tree)
		return vmt_err_set(err, ENOMEM, "out of memory for %zu traces", count);
	result = build(*tree, files, count, options, err);
	if (result < 0) {
		vmt_tree_free(*tree);
		*tree = NULL;
	}
	return result;
}

void
vmt_tree_free(struct vmt_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++)
		vmt_tree_scan_free(&tree->processes[i]);
	for (size_t i = 0; i < tree->family_count; i++)
		free(tree->families[i].line);
	free(tree->processes);
	free(tree->families);
	vmt_tree_groups_free(tree);
	free(tree->unreadable_why);
	free(tree);
}
