#include "tools/model/tree/tree_calm.h"

#include <stdlib.h>

static void
narrow(struct vmt_tree_calm *calm, int64_t time_ns, int64_t moment_ns)
{
	if (time_ns <= moment_ns && time_ns > calm->from_ns)
		calm->from_ns = time_ns;
	if (time_ns > moment_ns && time_ns <= calm->to_ns)
		calm->to_ns = time_ns - 1;
}

struct vmt_tree_calm
vmt_tree_calm_find(const struct vmt_tree *tree, const struct vmt_tree_family *family,
		   const size_t *members, size_t count)
{
	struct vmt_tree_calm calm = {INT64_MIN, INT64_MAX};

	for (size_t i = 0; i < count; i++) {
		const struct vmt_tree_process *process = &tree->processes[members[i]];

		narrow(&calm, process->start_ns, family->moment_ns);
		if (!process->is_there)
			narrow(&calm, process->end_ns, family->moment_ns);
		else if (process->leaves_ns >= family->moment_ns && process->leaves_ns < calm.to_ns)
			calm.to_ns = process->leaves_ns;
	}
	return calm;
}

bool
vmt_tree_calm_is_broken(const struct vmt_tree *tree, const size_t *members, size_t count,
			int64_t first_ns, int64_t last_ns)
{
	for (size_t i = 0; i < count; i++) {
		const struct vmt_tree_process *process = &tree->processes[members[i]];

		if ((process->leaves_ns >= first_ns && process->leaves_ns < last_ns) ||
		    (process->start_ns > first_ns && process->start_ns <= last_ns))
			return true;
	}
	return false;
}

struct vmt_tree_kin {
	size_t elder;		 /* the first of them, whose own pages they share */
	int64_t last_child_ns;	 /* when it forked last */
	int64_t first_leaves_ns; /* of an elder: who of them went first, and came last */
	int64_t last_start_ns;
};

static bool
is_forked(const struct vmt_tree_process *process)
{
	return process->origin == VMT_TREE_FORK && process->parent != VMT_TREE_NONE;
}

/* Up to who was not forked: each process is passed once. Links have no circles. */
static size_t
elder_of(const struct vmt_tree *tree, struct vmt_tree_kin *kin, size_t process)
{
	size_t elder = process;

	while (kin[elder].elder == VMT_TREE_NONE && is_forked(&tree->processes[elder]))
		elder = tree->processes[elder].parent;
	if (kin[elder].elder != VMT_TREE_NONE)
		elder = kin[elder].elder;
	for (size_t at = process; kin[at].elder == VMT_TREE_NONE; at = tree->processes[at].parent) {
		kin[at].elder = elder;
		if (at == elder)
			break;
	}
	return elder;
}

static void
note_member(const struct vmt_tree *tree, struct vmt_tree_kin *kin, size_t at)
{
	const struct vmt_tree_process *process = &tree->processes[at];
	struct vmt_tree_kin *elder;

	elder = &kin[elder_of(tree, kin, at)];
	if (is_forked(process) && process->start_ns > kin[process->parent].last_child_ns)
		kin[process->parent].last_child_ns = process->start_ns;
	if (!process->is_there)
		return;
	if (process->leaves_ns < elder->first_leaves_ns)
		elder->first_leaves_ns = process->leaves_ns;
	if (process->start_ns > elder->last_start_ns)
		elder->last_start_ns = process->start_ns;
}

/* A page that a fork child has for itself while its parent is there, is a copy, or its parent's is:
 * two pages. Of whose parent is gone, it may be one that they shared. */
static bool
stands_apart(const struct vmt_tree *tree, const struct vmt_tree_kin *kin, size_t at)
{
	const struct vmt_tree_process *process = &tree->processes[at];
	int64_t time_ns = process->at.time_ns;

	if (!process->has_snapshot)
		return false;
	if (is_forked(process) && tree->processes[process->parent].leaves_ns >= time_ns &&
	    tree->processes[process->parent].is_there)
		return time_ns < kin[at].last_child_ns;
	return time_ns > kin[kin[at].elder].first_leaves_ns ||
	       time_ns < kin[kin[at].elder].last_start_ns;
}

struct vmt_tree_kin *
vmt_tree_calm_kin(const struct vmt_tree *tree)
{
	struct vmt_tree_kin *kin = calloc(tree->count + 1, sizeof(*kin));

	for (size_t i = 0; kin && i < tree->count; i++)
		kin[i] = (struct vmt_tree_kin){VMT_TREE_NONE, INT64_MIN, INT64_MAX, INT64_MIN};
	return kin;
}

void
vmt_tree_calm_mark_apart(struct vmt_tree *tree, struct vmt_tree_kin *kin, const size_t *members,
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		note_member(tree, kin, members[i]);
	for (size_t i = 0; i < count; i++)
		tree->processes[members[i]].is_apart = stands_apart(tree, kin, members[i]);
}

bool
vmt_tree_calm_may_have_copied(const struct vmt_tree *tree, const struct vmt_tree_family *family,
			      const size_t *members, size_t count)
{
	bool is_before = false;
	bool has_forked = false;

	for (size_t i = 0; i < count; i++) {
		const struct vmt_tree_process *process = &tree->processes[members[i]];

		if (!process->has_snapshot)
			continue;
		has_forked |= is_forked(process);
		is_before |= process->at.time_ns < family->moment_ns;
	}
	return has_forked && is_before;
}
