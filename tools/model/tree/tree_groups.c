#include "tools/model/tree/tree_groups.h"

#include <stdlib.h>
#include <string.h>

/* A process by the name of its group. */
struct named {
	char *name;
	size_t tree;
	bool is_forked;
	size_t process;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Each run of digits becomes one '#'. To be freed. */
static char *
without_numbers(const char *title)
{
	char *name = strdup(title);
	size_t length = 0;

	if (!name)
		return NULL;
	for (const char *at = title; *at; at++) {
		if (!is_digit(*at))
			name[length++] = *at;
		else if (at == title || !is_digit(at[-1]))
			name[length++] = '#';
	}
	name[length] = '\0';
	return name;
}

static char *
name_of(const struct vmt_tree_process *process, enum vmt_tree_group_by by)
{
	return by == VMT_TREE_BY_EXE ? strdup(process->exe) : without_numbers(process->title);
}

static int
by_name(const void *left, const void *right)
{
	const struct named *a = left;
	const struct named *b = right;
	int order;

	if (a->tree != b->tree)
		return a->tree < b->tree ? -1 : 1;
	if (a->is_forked != b->is_forked)
		return a->is_forked ? 1 : -1;
	order = strcmp(a->name, b->name);
	if (order != 0)
		return order;
	return a->process < b->process ? -1 : a->process > b->process;
}

static void
add_figure(uint64_t *sum, uint64_t figure)
{
	if (*sum != VMT_FIGURE_UNKNOWN)
		*sum = figure == VMT_FIGURE_UNKNOWN ? VMT_FIGURE_UNKNOWN : *sum + figure;
}

static void
add_private(struct vmt_tree_group *group, uint64_t bytes)
{
	add_figure(&group->private_bytes, bytes);
	if (bytes == VMT_FIGURE_UNKNOWN)
		return;
	group->known++;
	if (bytes < group->least_private_bytes)
		group->least_private_bytes = bytes;
	if (bytes > group->most_private_bytes)
		group->most_private_bytes = bytes;
}

static void
add_process(struct vmt_tree_group *group, const struct vmt_tree *tree, size_t index)
{
	const struct vmt_tree_process *process = &tree->processes[index];
	const struct vmt_tree_process *largest = &tree->processes[group->largest];
	uint64_t rss_bytes = process->has_snapshot ? process->at.rss_bytes : 0;

	if (group->traces == 0)
		group->largest = index;
	if (process->continued != VMT_TREE_NONE)
		return;
	group->traces++;
	if (process->peak_rss_bytes > group->peak_rss_bytes)
		group->peak_rss_bytes = process->peak_rss_bytes;
	if (group->traces == 1 || rss_bytes > (largest->has_snapshot ? largest->at.rss_bytes : 0))
		group->largest = index;
	if (!process->is_there)
		return;
	group->there++;
	group->rss_bytes += rss_bytes;
	add_private(group, process->has_snapshot ? process->at.private_bytes : VMT_FIGURE_UNKNOWN);
	add_figure(&group->proportional_bytes,
		   process->has_snapshot ? process->at.proportional_bytes : VMT_FIGURE_UNKNOWN);
}

static int
compare_groups(const void *left, const void *right)
{
	const struct vmt_tree_group *a = left;
	const struct vmt_tree_group *b = right;

	if (a->tree != b->tree)
		return a->tree < b->tree ? -1 : 1;
	if (a->rss_bytes != b->rss_bytes)
		return a->rss_bytes < b->rss_bytes ? 1 : -1;
	if (a->peak_rss_bytes != b->peak_rss_bytes)
		return a->peak_rss_bytes < b->peak_rss_bytes ? 1 : -1;
	return strcmp(a->name, b->name);
}

static bool
is_same(const struct named *named, const struct vmt_tree_group *group)
{
	return named->tree == group->tree && named->is_forked == group->is_forked &&
	       strcmp(named->name, group->name) == 0;
}

/* Names move into the groups. */
static void
fill(struct vmt_tree *tree, struct named *names)
{
	struct vmt_tree_group *group = NULL;

	for (size_t i = 0; i < tree->count; i++) {
		if (!group || !is_same(&names[i], group)) {
			group = &tree->groups[tree->group_count++];
			*group = (struct vmt_tree_group){.tree = names[i].tree,
							 .is_forked = names[i].is_forked,
							 .name = names[i].name,
							 .least_private_bytes = VMT_FIGURE_UNKNOWN};
			names[i].name = NULL;
		}
		add_process(group, tree, names[i].process);
		tree->processes[names[i].process].group = tree->group_count - 1;
	}
}

/* Sorts the groups, and lets the processes know their places. */
static bool
sort(struct vmt_tree *tree)
{
	size_t *places = calloc(tree->group_count + 1, sizeof(*places));

	if (!places)
		return false;
	for (size_t i = 0; i < tree->group_count; i++)
		tree->groups[i].number = i;
	qsort(tree->groups, tree->group_count, sizeof(*tree->groups), compare_groups);
	for (size_t i = 0; i < tree->group_count; i++)
		places[tree->groups[i].number] = i;
	for (size_t i = 0; i < tree->count; i++)
		tree->processes[i].group = places[tree->processes[i].group];
	free(places);
	return true;
}

bool
vmt_tree_groups_make(struct vmt_tree *tree, enum vmt_tree_group_by by)
{
	struct named *names = calloc(tree->count + 1, sizeof(*names));
	bool done;

	tree->groups = calloc(tree->count + 1, sizeof(*tree->groups));
	done = names && tree->groups;
	for (size_t i = 0; done && i < tree->count; i++) {
		names[i] = (struct named){.name = name_of(&tree->processes[i], by),
					  .tree = tree->processes[i].tree,
					  .is_forked = tree->processes[i].origin == VMT_TREE_FORK,
					  .process = i};
		done = names[i].name != NULL;
	}
	if (done) {
		qsort(names, tree->count, sizeof(*names), by_name);
		fill(tree, names);
		done = sort(tree);
	}
	for (size_t i = 0; names && i < tree->count; i++)
		free(names[i].name);
	free(names);
	return done;
}

void
vmt_tree_groups_free(struct vmt_tree *tree)
{
	for (size_t i = 0; i < tree->group_count; i++)
		free(tree->groups[i].name);
	free(tree->groups);
}
